"""The filters of the lists of deliveries and alerts, as the address of a page has them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, TypeVar

from flask import abort

from clock import DAY, HOUR, MINUTE
from delivery.alerts.matchers import MatcherError, parse_matchers
from delivery.content.severity import Severity
from delivery.log.log_filter import STATE_FILTERS, LogFilter
from delivery.outcome import Reason
from models import MAX_ID

MAX_TEXT_LENGTH = 200
Value = TypeVar("Value")
_UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME_HELP = "Enter a time such as 2h, 7d or 2026-11-27 14:00 (UTC)."
_NAMES = (
    "state",
    "channel",
    "alert",
    "severity",
    "reason",
    "matchers",
    "q",
    "since",
    "until",
)


@dataclass(frozen=True)
class FilterQuery:
    """The filters of an address.

    `texts` are the filters as they are there, and `errors` the messages about those that cannot be
    used, by name.
    """

    texts: dict[str, str]
    errors: dict[str, str]
    filter: LogFilter

    @property
    def described(self) -> str:
        """The filters in one line, for the audit log; empty without any."""
        return ", ".join(f"{name} {text}" for name, text in self.texts.items())


def read_filter(arguments: Mapping[str, str], now: int) -> FilterQuery:
    """Return the filters of an address.

    A text that cannot be used has a message in `errors`; a state, a severity or a number that no
    form of Tocsin sends ends the request with 404.
    """
    query = {}
    for name in _NAMES:
        if value := arguments.get(name, "").strip():
            query[name] = value
    errors: dict[str, str] = {}
    try:
        parse_matchers(query.get("matchers", ""))
    except MatcherError as error:
        errors["matchers"] = str(error)
    text = query.get("q", "").casefold()
    if len(text) > MAX_TEXT_LENGTH:
        errors["q"] = f"Enter at most {MAX_TEXT_LENGTH} characters."
    log_filter = LogFilter(
        states=_choice(query, "state", STATE_FILTERS) or (),
        channel=read_number(query, "channel"),
        alert=read_number(query, "alert"),
        severity=_choice(query, "severity", {severity.value: severity for severity in Severity}),
        reason=_choice(query, "reason", {reason.value: reason for reason in Reason}) or "",
        matchers=query.get("matchers", ""),
        text=text,
        since=_read_time(query, "since", errors, now),
        until=_read_time(query, "until", errors, now),
    )
    return FilterQuery(query, errors, log_filter)


def _choice(query: dict[str, str], name: str, values: Mapping[str, Value]) -> Value | None:
    if name not in query:
        return None
    return values.get(query[name]) or _not_found(f"There is no such {name}.")


def read_number(query: Mapping[str, str], name: str) -> int:
    """Return the number in `7` or `msg_7`; 0 if the query has no such member."""
    match = re.fullmatch("(?:msg_)?([0-9]{1,19})", query.get(name) or "0", re.ASCII)
    if match is None:
        _not_found(f"The value of “{name}” in the address is not a number.")
    return min(int(match[1]), MAX_ID)


def _not_found(message: str) -> NoReturn:
    abort(404, message)


def _read_time(query: dict[str, str], name: str, errors: dict[str, str], now: int) -> int | None:
    """Return a time in milliseconds: `2h` before now, or a date with or without a time of day."""
    text = query.get(name, "")
    if not text:
        return None
    if ago := re.fullmatch(r"([0-9]{1,5})\s*([mhd])", text, re.ASCII):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.upper().removesuffix("UTC").strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        time = int(moment.timestamp() * 1000)
        # A whole day is meant by its date alone.
        return time + DAY if name == "until" and _DATE.fullmatch(text) else time
    except (ValueError, OverflowError):
        errors[name] = _TIME_HELP
        return None
