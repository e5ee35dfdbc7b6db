"""The form's own fields, and its rules as small functions that raise a sentence."""

import contextlib
import re
import unicodedata

from wtforms import FieldList, Form, StringField
from wtforms.validators import ValidationError

from delivery.redaction import BLANK_LETTERS

MOST_HEADERS = 20
MOST_ROWS_KEPT = 60
_OFF = ("", "0", "false", "off", "no")

# RFC 9110 §5.6.2, and the fields that belong to the connection or that Tocsin sets itself.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_OURS = re.compile(
    "host|content-length|transfer-encoding|connection|keep-alive|proxy-connection|proxy-authenticate|proxy-authorization|te|"
    "trailer|upgrade|expect|x-delivery-attempt|webhook-.*",
    re.IGNORECASE,
)
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class SwitchField(StringField):
    """A check box behind a hidden `0`: a form that does not name it at all keeps the default instead of switching it off."""

    def process_formdata(self, valuelist):
        if valuelist:
            self.data = valuelist[-1].strip().lower() not in _OFF


class ChoiceField(StringField):
    """One of several values, as (value, label); the page draws the list, and a value that is not in it stays visible."""

    def __init__(self, label, choices, **kwargs):
        super().__init__(label, **kwargs)
        self.choices = choices

    def pre_validate(self, form):
        if self.data not in dict(self.choices):
            raise ValidationError("Choose one of the list.")


class TickField(StringField):
    """A plain check box: not named is off."""

    def process_formdata(self, valuelist):
        self.data = bool(valuelist) and valuelist[-1].strip().lower() not in _OFF


class Rows(FieldList):
    """Rows of a form, under the numbers they were posted with; no more than sixty are ever built, however many are posted."""

    def _extract_indices(self, prefix, formdata):
        numbers = {
            match[1]
            for key in formdata
            if (match := re.match(rf"{prefix}-([0-9]{{1,6}})-", key, re.ASCII))
        }
        return sorted(int(number) for number in numbers)[:MOST_ROWS_KEPT]

    def _compact_indices(self):
        """WTForms would number the rows anew, and messages would then miss the rows in the page."""


class HeaderRow(Form):
    """One header: a name, a value, and whether the value is a secret."""

    name = StringField("Name", default="")
    value = StringField("Value", default="")
    secret = TickField("Secret", default=False)


@contextlib.contextmanager
def said_as_message():
    """A rule of the delivery side that raises ValueError with a sentence becomes a message of the form."""
    try:
        yield
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


def check_name(text: str) -> None:
    """A channel's name: 1 to 100 characters after trimming, one of them visible, none that hides or turns the others."""
    if not text:
        raise ValidationError("Give the channel a name.")
    if len(text) > 100:
        raise ValidationError(f"The name has {len(text)} characters; at most 100 are possible.")
    if any(unicodedata.category(one) in ("Cc", "Cs") or one in _BIDI for one in text):
        raise ValidationError(
            "The name holds a control character or one that turns the direction of reading: remove it."
        )
    if all(unicodedata.category(one)[0] in "ZC" or one in BLANK_LETTERS for one in text):
        raise ValidationError("The name has no visible character.")


def check_header_name(name: str) -> None:
    """A field name of RFC 9110 that is the person's to set."""
    if not name:
        raise ValidationError("Give the header a name, or remove the row.")
    if not _TOKEN.fullmatch(name):
        raise ValidationError(
            "A header's name has letters, digits and hyphens only (no blank, no colon)."
        )
    if _OURS.fullmatch(name):
        raise ValidationError(f"{name} is set by Tocsin itself: remove this row.")


def check_header_value(value: str, what: str = "A header's value") -> None:
    """A field value that can be sent: latin-1, without control characters, at most 4 096 characters."""
    if len(value) > 4096:
        raise ValidationError(f"{what} has {len(value)} characters; at most 4096 are possible.")
    if any(ord(one) < 32 or ord(one) == 127 for one in value):
        raise ValidationError(f"{what} cannot hold a line break or another control character.")
    wrong = next((one for one in value if ord(one) > 255), None)
    if wrong:
        raise ValidationError(
            f"{what} can hold only Western European letters (latin-1), and {wrong} is none."
        )


def check_repeat(text: str) -> None:
    """After how many minutes a firing alert is told again, as a whole number up to a week; empty is never."""
    if text and not (re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) and 1 <= int(text) <= 10080):
        raise ValidationError(
            "Enter a whole number of minutes from 1 to 10080 (a week), or leave it empty to tell it once."
        )


def seconds(text: str, least: int, most: int, default: int) -> int:
    """A whole number of seconds; blank is the default."""
    if not text.strip():
        return default
    if not re.fullmatch(r"[0-9]{1,4}", text.strip(), re.ASCII) or not least <= int(text) <= most:
        raise ValidationError(
            f"Enter a whole number of seconds from {least} to {most}, or leave it empty for {default}."
        )
    return int(text)
