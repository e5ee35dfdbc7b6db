"""The rules of group robots: a keyword in every message, a signature, allowed addresses."""

from delivery.content.alert_text import AlertText
from delivery.kinds.spec import Option
from delivery.text import json_length, truncate

_MAX_KEYWORD = 100


def _check(keyword: str) -> None:
    if len(keyword.strip()) > _MAX_KEYWORD:
        raise ValueError(f"A keyword has at most {_MAX_KEYWORD} characters.")


KEYWORD = Option(
    "keyword",
    "Keyword",
    "Only if the robot requires a keyword: it is added to every message that lacks it.",
    check=_check,
    any_letters=True,
)
KEYWORD_HINT = (
    "The robot accepts only messages with one of its keywords: enter one in the field “Keyword”."
)
SIGNATURE_HINT = "The robot verifies signatures: check the field “Signing secret”, and the clock."
ADDRESS_HINT = "Add the public address of this machine to the addresses that the robot allows."
# In bytes: the limits of the bodies leave more.
_MAX_BYTES = 600


def missing_keyword(alert: AlertText, text: str) -> str:
    """Return the keyword that the robot requires and the text lacks, else an empty text."""
    keyword = truncate(alert.settings.option("keyword"), _MAX_BYTES, json_length)
    return "" if keyword in text else keyword
