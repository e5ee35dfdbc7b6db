"""Rules that several forms share; each raises `ValidationError` with a sentence for the field."""

import contextlib
import re
import unicodedata

from wtforms.validators import ValidationError

from delivery.alerts.grouping import DEFAULT_GROUP_WAIT, MAX_GROUP_WAIT
from delivery.redaction import BLANK_LETTERS
from delivery.settings import DEFAULT_TIMEOUT, MAX_TIMEOUT, MIN_TIMEOUT

MAX_NAME_LENGTH = 100
MAX_HEADER_LENGTH = 4096
MAX_REPEAT_MINUTES = 7 * 24 * 60
MAX_DRILL_DAYS = 365

# Control characters, surrogates, and marks that change the text direction.
_FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# RFC 9110 §5.6.2, and the fields that belong to the connection or that Tocsin sets.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_RESERVED = re.compile(
    "host|content-length|transfer-encoding|connection|keep-alive|proxy-connection|"
    "proxy-authenticate|proxy-authorization|te|trailer|upgrade|expect|"
    "x-delivery-attempt|webhook-.*",
    re.IGNORECASE,
)


@contextlib.contextmanager
def as_validation_error():
    """Turn a ValueError of the delivery code into the message of a form field."""
    try:
        yield
    except ValueError as error:
        raise ValidationError(str(error)) from None


def check_name(name: str) -> None:
    """Check the name of a channel; it must be trimmed."""
    if not name:
        raise ValidationError("Enter a name for the channel.")
    if len(name) > MAX_NAME_LENGTH:
        raise ValidationError(
            f"The name has {len(name)} characters; the maximum is {MAX_NAME_LENGTH}."
        )
    if _FORBIDDEN.search(name):
        raise ValidationError(
            "The name contains a control character or one that changes the text direction: "
            "remove it."
        )
    if not has_visible_character(name):
        raise ValidationError("The name has no visible character.")


def has_visible_character(text: str) -> bool:
    """Return True if a font draws at least one character of a text."""
    for letter in text:
        if unicodedata.category(letter)[0] not in "ZC" and letter not in BLANK_LETTERS:
            return True
    return False


def check_header_name(name: str) -> None:
    """Check that a text is a field name of RFC 9110 that a channel may set."""
    if not name:
        raise ValidationError("Enter a name for the header, or remove the row.")
    if not _TOKEN.fullmatch(name):
        raise ValidationError(
            "A header name can contain only letters, digits and hyphens (no spaces, no colon)."
        )
    if _RESERVED.fullmatch(name):
        raise ValidationError(f"Tocsin sets {name}: remove this header.")


def check_line(value: str) -> None:
    """Check that a text is one line that is not too long."""
    if len(value) > MAX_HEADER_LENGTH:
        raise ValidationError(
            f"The value has {len(value)} characters; the maximum is {MAX_HEADER_LENGTH}."
        )
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValidationError("The value cannot contain a line break or another control character.")


def check_header_value(value: str) -> None:
    """Check that a text can be sent in a header: latin-1, no control characters."""
    check_line(value)
    match = re.search(r"[^\x00-\xff]", value)
    if match:
        raise ValidationError(
            "The value can contain only Western European characters (latin-1), "
            f"and {match[0]} is not one of them."
        )


def parse_whole_number(text: str, minimum: int, maximum: int, default: int, message: str) -> int:
    """Return the number in a text of at most five digits; the default for an empty text."""
    text = text.strip()
    if not text:
        return default
    if re.fullmatch("[0-9]{1,5}", text) and minimum <= int(text) <= maximum:
        return int(text)
    raise ValidationError(message)


def parse_repeat(text: str) -> int:
    """Return a repeat interval in minutes; 0 for an empty text."""
    message = (
        f"Enter a whole number of minutes from 1 to {MAX_REPEAT_MINUTES} (a week), "
        "or leave it empty to notify once."
    )
    return parse_whole_number(text, 1, MAX_REPEAT_MINUTES, 0, message)


def parse_drill(text: str) -> int:
    """Return the days between two fire drills; 0 for an empty text."""
    message = (
        f"Enter a whole number of days from 1 to {MAX_DRILL_DAYS}, or leave it empty for no drills."
    )
    return parse_whole_number(text, 1, MAX_DRILL_DAYS, 0, message)


def parse_group_wait(text: str) -> int:
    """Return a group wait in seconds; the default for an empty text."""
    message = (
        f"Enter a whole number of seconds from 0 to {MAX_GROUP_WAIT}, "
        f"or leave it empty for {DEFAULT_GROUP_WAIT}."
    )
    return parse_whole_number(text, 0, MAX_GROUP_WAIT, DEFAULT_GROUP_WAIT, message)


def parse_timeout(text: str) -> int:
    """Return a timeout in seconds; the default for an empty text."""
    message = (
        f"Enter a whole number of seconds from {MIN_TIMEOUT} to {MAX_TIMEOUT}, "
        f"or leave it empty for {DEFAULT_TIMEOUT}."
    )
    return parse_whole_number(text, MIN_TIMEOUT, MAX_TIMEOUT, DEFAULT_TIMEOUT, message)
