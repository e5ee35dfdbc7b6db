"""Hides a channel's secrets in whatever is shown, logged or stored."""

import base64
import html
import json
import re
import unicodedata
from functools import lru_cache
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from delivery.settings import Settings
from delivery.target import Target

HIDDEN = "••••"
# Words that many webhook URLs share; as secrets they would only blot out plain answers.
_COMMON = frozenset(
    {"webhook", "webhooks", "services", "workflows", "triggers", "message", "messages", "alerts", "channels", "notify"}
    | {"true", "false", "null", "none"}
)
_SAFE = "!#$&'()*+,/:;=?@[]~"  # what requests leaves as it is
_SHORTEST_SECRET, _SHORTEST_SEGMENT = 4, 6


class Mask:
    """Replaces every secret of `settings`, in every spelling that an answer is likely to repeat it in."""

    def __init__(self, settings: Settings):
        secrets = {text for text in _secrets(settings) if len(text) >= _SHORTEST_SECRET}
        spellings = {spelling for text in secrets for spelling in _spellings(text)}
        longest_first = sorted(spellings, key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if longest_first else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


@lru_cache(maxsize=256)
def mask_of(settings: Settings) -> Mask:
    """The mask of these settings; kept, because a channel is tested and sent to more than once."""
    return Mask(settings)


def basic_token(username: str, password: str) -> str:
    """The credentials of HTTP Basic (RFC 7617, in UTF-8)."""
    return base64.b64encode(f"{username}:{password}".encode("utf-8", "replace")).decode()


def _secrets(settings: Settings) -> list[str]:
    own = [settings.auth_secret, settings.signing_secret, settings.signing_secret_old]
    own += [row.value for row in settings.headers if row.secret]
    if settings.auth == "basic" and settings.auth_secret:
        own.append(basic_token(settings.auth_username, settings.auth_secret))
    return own + (_parts_of(settings.target) if settings.target else [settings.url])


def _parts_of(target: Target) -> list[str]:
    """The URL's own secrets: whole, its path with its query, and each part of them that is long enough to be a token."""
    segments = [part for part in target.path.split("/") if len(part) >= _SHORTEST_SEGMENT and part.lower() not in _COMMON]
    values = [value for _, value in parse_qsl(target.query, keep_blank_values=True) if value.lower() not in _COMMON]
    rest = target.path + (f"?{target.query}" if target.query else "")
    return [*segments, *values, *([target.url, rest, target.query] if segments or values else [])]


def _spellings(secret: str) -> set[str]:
    plain = secret.encode("utf-8", "replace").decode()
    return {
        secret,
        unquote(plain),
        _as_requested(plain),
        quote(plain, safe=_SAFE),
        quote(plain, safe="/"),
        quote(plain, safe=""),
        quote_plus(plain),
        json.dumps(plain)[1:-1],
        json.dumps(plain, ensure_ascii=False)[1:-1],
        plain.replace("/", "\\/"),
        html.escape(plain),
        base64.b64encode(plain.encode()).decode(),
    } - {""}


def _as_requested(text: str) -> str:
    """As requests spells it in the request line: letters that need no escape without one, all others escaped once."""
    unescaped = re.sub(
        r"%(2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])", lambda one: chr(int(one[1], 16)), text, flags=re.I
    )
    return quote(unescaped, safe=_SAFE + "%")


# What no font draws or what turns the direction of reading (Unicode's general categories), and letters that are blank.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def visible(text: str) -> str:
    """The text with every invisible character spelled out (`\\u202e`), so that it cannot pretend to be another."""
    return _NOT_PLAIN.sub(_spelled, text.replace("\r\n", "\n"))


_NOT_PLAIN = re.compile(r"[^\n\t\x20-\x7e\u3000]")


def _spelled(match: re.Match) -> str:
    one = match[0]
    hidden = unicodedata.category(one) in _UNSEEN or one in BLANK_LETTERS
    return f"\\u{ord(one):04x}" if hidden else one
