"""Mask the secrets of a channel in everything that is shown, logged or stored."""

import base64
import json
import re
import string
import traceback
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html.entities import codepoint2name
from itertools import pairwise
from urllib.parse import parse_qsl, unquote

from delivery.guard.url import ParsedUrl
from delivery.kinds import match_url
from delivery.settings import Settings, names_credential

HIDDEN = "••••"
# Words of public addresses. A URL that has no others is no secret.
_COMMON_WORDS = """
    webhook webhooks services workflows triggers message messages alerts channels notify
    true false null none"""
# The letters that follow a letter, from a to z, in English words and in names of software. Only 2 %
# of all texts of 8 random letters have no other pairs, and 0.2 % of those of 12 letters.
_FOLLOWING_LETTERS = """
    bcdfgiklmnprstuvwyz abcdehijlorstuy acdeghiklorstuy adeilmorsuvy abcdefghiklmnopqrstuvwxy
    aefiklortuy aeghilmnorstu aceilmorstuy abcdefglmnoprstvxz eiou aefinostu acdefiklopstuvy
    abeilmopsu acdefghiklmnopqstuvy abcdfgiklmnoprstuvwy adehiloprstuy u abcdefgiklmnoprstuvwy
    acefghiklmnopstuwy acdefghilmoprstuwy abcdefgilmnoprstx aeio aehinorsx aceipt eimnopstw aeiou"""
_COMMON = frozenset(_COMMON_WORDS.split())
_FOLLOWERS = dict(zip(string.ascii_lowercase, _FOLLOWING_LETTERS.split(), strict=True))
_MAX_WORDS = 3
_MAX_DIGITS = 8
_MIN_SECRET = 4
_MIN_SEGMENT = 6
# The first letters of a secret that must match before the others are compared.
_PREFIX = 3
# The longest spelling of one letter, in characters.
_MAX_SPELLING = 12
_MAX_STEPS = 20_000
# Compiling a pattern for every letter of a long secret would take seconds: the first ones do.
_MAX_LETTERS = 128
_BACKSLASH = r"\\u005c|%5c|&#0{0,6}92;|&#x0{0,6}5c;"
# The end of a text, perhaps in the middle of a run of backslashes or of another spelling.
_CUT = re.compile(
    rf"(?:{_BACKSLASH}|\\)*+\Z|(?:{_BACKSLASH}|\\)*[%&\\].{{0,{_MAX_SPELLING - 2}}}\Z",
    re.IGNORECASE | re.DOTALL,
)
_ENTITIES = codepoint2name | {ord("'"): "apos"}


class Mask:
    """Replace every secret of a channel in a text.

    Each secret is found in every spelling in which a response is likely to repeat it:
    percent-encoded, in base64, escaped for JSON or HTML, or decoded with a wrong charset.
    """

    def __init__(self, settings: Settings):
        spellings = set()
        for secret in _secrets(settings):
            if len(secret) >= _MIN_SECRET:
                secret = secret.encode("utf-8", "replace").decode()
                spellings |= {secret, unquote(secret), _as_sent(secret), _base64(secret)}
        self._letters = []
        patterns = []
        # The longest first, so that a secret that contains another is hidden whole.
        for text in sorted(spellings, key=len, reverse=True):
            letters = _letter_patterns(text[:_MAX_LETTERS])
            self._letters.append(letters)
            if len(text) > _MAX_LETTERS:
                letters = [*letters, rf"(?s:.{{0,{len(text) - _MAX_LETTERS}}})\S*"]
            patterns.append("".join(letters))
        # Without secrets, the pattern finds nothing that its replacement would change.
        self._pattern = re.compile("|".join(patterns) or HIDDEN, re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        return self._pattern.sub(HIDDEN, text)

    def mask_truncated(self, text: str) -> str:
        """Return a text without secrets whose end was cut off, perhaps in the middle of one."""
        text = text.rstrip("\ufffd\\")
        steps = iter(range(_MAX_STEPS))
        ends = [_cut_secret(letters, text, steps) for letters in self._letters]
        end = min(ends, default=len(text))
        if end == len(text):
            return self(text)
        return self(text[:end]) + HIDDEN


@lru_cache(maxsize=256)
def mask_for(settings: Settings) -> Mask:
    """Return the mask of these settings, cached."""
    return Mask(settings)


def basic_token(username: str, password: str) -> str:
    """Return the credentials of HTTP Basic authentication (RFC 7617, in UTF-8)."""
    return _base64(f"{username}:{password}")


def _as_sent(text: str) -> str:
    """Return a part of a URL as requests sends it: without escapes that no URL needs."""
    return re.sub("%([0-9A-Fa-f]{2})", _unescape_unreserved, text)


def _unescape_unreserved(escape: re.Match) -> str:
    """Return the character of an escape if it is unreserved (RFC 3986, section 2.3)."""
    character = chr(int(escape[1], 16))
    is_unreserved = character.isascii() and (character.isalnum() or character in "-._~")
    return character if is_unreserved else escape[0]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def _secrets(settings: Settings) -> list[str]:
    secrets = [settings.auth_secret, settings.signing_secret, settings.signing_secret_old]
    secrets += [row.value for row in (*settings.headers, *settings.options) if row.secret]
    if settings.auth == "basic" and settings.auth_secret:
        secrets.append(basic_token(settings.auth_username, settings.auth_secret))
    if settings.target:
        return secrets + _url_secrets(settings.target)
    return [*secrets, settings.url]


def _url_secrets(target: ParsedUrl) -> list[str]:
    """Return the parts of a URL that may be tokens and, unless it is common, the whole URL."""
    parts = [("", part) for part in target.path.split("/") if len(part) >= _MIN_SEGMENT]
    parts += parse_qsl(target.query, keep_blank_values=True)
    parts = [(name, part) for name, part in parts if part.lower() not in _COMMON]
    if not parts:
        return []
    secrets = [part for name, part in parts if names_credential(name) or not _is_plain(part)]
    return [
        *secrets,
        *_recognized_tokens(target),
        target.url,
        target.path_and_query,
        target.query,
    ]


def _recognized_tokens(target: ParsedUrl) -> list[str]:
    """Return the parts of a URL that a kind knows as the values of its secret options."""
    recognized = match_url(target)
    if recognized is None:
        return []
    options = recognized.kind.options
    return [recognized.options.get(option.name, "") for option in options if option.secret]


def _is_plain(part: str) -> bool:
    """Return True if a part of a URL is a few words and short numbers, as no token is."""
    words = re.split(r"[-_.~+: ]|(?<=[a-z])(?=[A-Z])", unquote(part))
    digits = sum(map(str.isdecimal, part))
    return len(words) <= _MAX_WORDS and digits <= _MAX_DIGITS and all(map(_is_word, words))


def _is_word(text: str) -> bool:
    if not re.fullmatch("[A-Z]?[a-z]{1,15}|[A-Z]{1,15}|v?[0-9]{1,4}", text):
        return False
    letters = text.lower().rstrip(string.digits)
    return all(second in _FOLLOWERS[first] for first, second in pairwise(letters))


def _letter_patterns(text: str) -> list[str]:
    """Return a pattern for every letter of a secret, and one for each run of backslashes.

    A backslash may be itself, or the escape of what follows. So that a text can be read in one way
    only, and is searched in linear time, a run takes every backslash, and the letter after it none.
    """
    patterns = []
    after_run = False
    for piece in re.findall(r"\\+|[^\\]", text):
        count = piece.count("\\")
        if count:
            patterns.append(rf"(?:\\{{{count},{2 * count + 1}}}|(?:{_BACKSLASH}){{{count}}})")
        else:
            patterns.append(_letter_pattern(piece, escapable=not after_run))
        after_run = count > 0
    return patterns


@lru_cache(maxsize=4096)
def _letter_pattern(letter: str, escapable: bool = True) -> str:
    """Return a pattern of every spelling of one letter of a secret."""
    if letter.isascii() and letter.isalnum():
        return letter
    number = ord(letter)
    utf8 = letter.encode()
    latin1 = letter.encode("latin-1", "ignore")
    json_text = json.dumps(letter)[1:-1]
    spellings = {letter, json_text, f"\\u{number:04x}", utf8.decode("latin-1")}
    spellings |= {f"%{spelling.hex('%')}" for spelling in (utf8, latin1) if spelling}
    if 127 < number < 256:
        spellings.add("\ufffd")
    if letter == " ":
        spellings.add("+")
    if number in _ENTITIES:
        spellings.add(f"&{_ENTITIES[number]};")
    spellings.add(f"\\{letter}")
    if not escapable:
        spellings.remove(f"\\{letter}")
    patterns = [f"&#0{{0,6}}{number};", f"&#x0{{0,6}}{number:x};"]
    patterns += map(re.escape, sorted(spellings, key=len, reverse=True))
    return f"(?:{'|'.join(patterns)})"


def _cut_secret(letters: list[str], text: str, steps: Iterator[int]) -> int:
    """Return where a secret begins that the end of the text cuts off, else the text's length."""
    edge = max(0, len(text) - _MAX_LETTERS * _MAX_SPELLING)
    prefix = re.compile(f"(?={''.join(letters[:_PREFIX])})", re.IGNORECASE)
    for candidate in prefix.finditer(text, edge):
        if _reaches_end(letters, text, candidate.start(), steps):
            return candidate.start()
    return len(text)


def _reaches_end(letters: list[str], text: str, start: int, steps: Iterator[int]) -> bool:
    """Return True if the text ends within these letters, whichever spelling each of them has.

    Secrets and texts that are made to be compared without end use the steps up. Then everything
    that may be part of a secret is hidden.
    """
    positions = {start}
    for letter in letters:
        if any(_CUT.match(text, position) for position in positions) or next(steps, None) is None:
            return True
        pattern = re.compile(letter, re.IGNORECASE)
        positions = {end for start in positions for end in _spelling_ends(pattern, text, start)}
        if not positions:
            return False
    return any(_CUT.match(text, position) for position in positions)


def _spelling_ends(pattern: re.Pattern[str], text: str, start: int) -> Iterator[int]:
    """Yield where a spelling that begins here may end."""
    longest = pattern.match(text, start)
    if longest:
        yield longest.end()
        for end in range(max(start + 1, longest.end() - _MAX_SPELLING), longest.end()):
            if pattern.fullmatch(text, start, end):
                yield end


def format_traceback_without_message(error: BaseException) -> str:
    """Return the type and the frames of an exception, for a log.

    The message is left out because it may quote a secret.
    """
    return f"{type(error).__name__}\n" + "".join(traceback.format_tb(error.__traceback__))


# The Unicode categories of characters that are not drawn, or that change the writing direction.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
# Characters of other categories that are drawn as a blank.
BLANK_LETTERS = frozenset(
    [
        *"\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0",
        *map(chr, range(0xFFF0, 0xFFF9)),
        *map(chr, range(0xE0100, 0xE01F0)),
    ]
)
_UNUSUAL = re.compile(r"[^\n\t\x20-\x7e\u3000]")


def escape_invisible(text: str) -> str:
    """Return the text with every invisible character escaped, such as `\\u202e`.

    Then no text can pretend to be another one.
    """
    return _UNUSUAL.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if unicodedata.category(character) in _INVISIBLE or character in BLANK_LETTERS:
        return f"\\u{ord(character):04x}"
    return character
