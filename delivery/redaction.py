"""Hides a channel's secrets in whatever is shown, logged or stored."""

import base64
import json
import re
import traceback
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html.entities import codepoint2name
from urllib.parse import parse_qsl, unquote

from delivery.guard.url import ParsedUrl
from delivery.settings import Settings

HIDDEN = "••••"
# Words that many webhook URLs share; as secrets they would only blot out plain answers.
_COMMON_WORDS = "webhook webhooks services workflows triggers message messages alerts channels notify true false null none"
_COMMON = frozenset(_COMMON_WORDS.split())
_SHORTEST_SECRET, _SHORTEST_SEGMENT = 4, 6
_FIRST_LETTERS, _LONGEST_SPELLING = 3, 12
_MOST_STEPS = 100_000
_KNOWN_BY = 128  # A pattern for each letter of a long secret would take seconds to make: the beginning must do.


class Mask:
    """Replaces every secret of `settings`, in every spelling that an answer is likely to repeat it in."""

    def __init__(self, settings: Settings):
        secrets = {text for text in _secrets(settings) if len(text) >= _SHORTEST_SECRET}
        plain = {text.encode("utf-8", "replace").decode() for text in secrets}
        spelled = (
            plain
            | {unquote(text) for text in plain}
            | {base64.b64encode(text.encode()).decode() for text in plain}
        )
        longest_first = sorted(spelled, key=lambda text: (-len(text), text))
        self._letters = [[_letter(one) for one in text[:_KNOWN_BY]] for text in longest_first]
        rests = [_rest(len(text) - _KNOWN_BY) for text in longest_first]
        patterns = [
            "".join(letters) + rest for letters, rest in zip(self._letters, rests, strict=True)
        ]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def cut(self, text: str) -> str:
        """The text, which was cut off at its end, without secrets and without the beginning of one at its end."""
        text, steps = text.rstrip("\ufffd"), iter(range(_MOST_STEPS))
        begins = [
            begin
            for letters in self._letters
            if (begin := _unfinished(letters, text, steps)) is not None
        ]
        return self(text[: min(begins)]) + HIDDEN if begins else self(text)


@lru_cache(maxsize=256)
def mask_for(settings: Settings) -> Mask:
    """The mask of these settings; kept, because a channel is tested and sent to more than once."""
    return Mask(settings)


def basic_token(username: str, password: str) -> str:
    """The credentials of HTTP Basic (RFC 7617, in UTF-8)."""
    return base64.b64encode(f"{username}:{password}".encode("utf-8", "replace")).decode()


def _secrets(settings: Settings) -> list[str]:
    own = [settings.auth_secret, settings.signing_secret, settings.signing_secret_old]
    own += [row.value for row in (*settings.headers, *settings.options) if row.secret]
    if settings.auth == "basic" and settings.auth_secret:
        own.append(basic_token(settings.auth_username, settings.auth_secret))
    return own + (_parts_of(settings.target) if settings.target else [settings.url])


def _parts_of(target: ParsedUrl) -> list[str]:
    """The URL's own secrets: whole, its path with its query, and each part of them that is long enough to be a token."""
    segments = [
        part
        for part in target.path.split("/")
        if len(part) >= _SHORTEST_SEGMENT and part.lower() not in _COMMON
    ]
    values = [
        value
        for _, value in parse_qsl(target.query, keep_blank_values=True)
        if value.lower() not in _COMMON
    ]
    rest = target.path + (f"?{target.query}" if target.query else "")
    return [*segments, *values, *([target.url, rest, target.query] if segments or values else [])]


@lru_cache(maxsize=4096)
def _letter(one: str) -> str:
    """A pattern for one letter of a secret as it is, or as URLs, JSON, HTML, source code and mistaken charsets spell it."""
    if one.isascii() and one.isalnum():
        return one
    number, utf8 = ord(one), one.encode()
    latin1 = one.encode("latin-1", "ignore")
    spellings = {one, f"\\{one}", json.dumps(one)[1:-1], utf8.decode("latin-1")}
    spellings |= {"\ufffd"} if latin1 and number > 127 else set()
    spellings |= {"".join(f"%{byte:02x}" for byte in code) for code in (utf8, latin1) if code}
    spellings |= {
        f"&{entity};"
        for entity in (codepoint2name.get(number), "apos" if one == "'" else None)
        if entity
    }
    spellings |= {"+"} if one == " " else {f"\\u{number:04x}"}
    patterns = [
        *map(re.escape, sorted(spellings, key=len, reverse=True)),
        f"&#0{{0,6}}{number};",
        f"&#x0{{0,6}}{number:x};",
    ]
    return f"(?:{'|'.join(patterns)})"


def _rest(length: int) -> str:
    """A pattern for what follows the beginning of a long secret: as many letters, and on to the next blank."""
    return rf"(?s:.{{0,{length}}})\S*" if length > 0 else ""


def _unfinished(letters: list[str], text: str, steps: Iterator[int]) -> int | None:
    """Where the beginning of a secret begins that reaches to the end of the text; None when there is none.

    Secrets and texts that are made to be compared without end use the steps up, and then all of the end is hidden.
    """
    edge = max(0, len(text) - _KNOWN_BY * _LONGEST_SPELLING)
    for begin in re.compile(f"(?=({''.join(letters[:_FIRST_LETTERS])}))", re.IGNORECASE).finditer(
        text, edge
    ):
        at = begin.end(1)
        for letter in letters[_FIRST_LETTERS:]:
            if next(steps, None) is None:
                return edge
            step = re.compile(letter, re.IGNORECASE).match(text, at)
            if not step:
                break
            at = step.end()
        # A spelling of several signs may have been cut in its middle.
        if at == len(text) or (text[at] in "%&\\" and len(text) - at < _LONGEST_SPELLING):
            return begin.start()
    return None


def format_traceback_without_message(error: BaseException) -> str:
    """Where an exception comes from, for a log: its type and its frames without its text, which may quote a secret."""
    return f"{type(error).__name__}\n{''.join(traceback.format_list(traceback.extract_tb(error.__traceback__)))}"


# What no font draws or what turns the direction of reading (Unicode's general categories), and letters that are blank.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0") | frozenset(
    chr(number) for number in (*range(0xFFF0, 0xFFF9), *range(0xE0100, 0xE01F0))
)


def escape_invisible(text: str) -> str:
    """The text with every invisible character spelled out (`\\u202e`), so that it cannot pretend to be another."""
    return _NOT_PLAIN.sub(_spelled, text.replace("\r\n", "\n"))


_NOT_PLAIN = re.compile(r"[^\n\t\x20-\x7e\u3000]")


def _spelled(match: re.Match) -> str:
    one = match[0]
    hidden = unicodedata.category(one) in _UNSEEN or one in BLANK_LETTERS
    return f"\\u{ord(one):04x}" if hidden else one
