"""Times and durations as people read them."""

import contextlib
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TypeGuard
from zoneinfo import ZoneInfo

from clock import DAY, HOUR, MINUTE, SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_PLAUSIBLE = 946_684_800_000  # the year 2000
_FIRST_IMPLAUSIBLE = 4_102_444_800_000  # the year 2100
_LONGEST = 3650 * DAY


def is_plausible(time: int | None) -> TypeGuard[int]:
    """Return True for a time that every service accepts in a field of its own."""
    return time is not None and _FIRST_PLAUSIBLE <= time < _FIRST_IMPLAUSIBLE


@lru_cache(maxsize=64)
def find_zone(name: str) -> tzinfo | None:
    """Return the time zone of this name in the IANA database, such as `Europe/Berlin`, or None."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown; a folder; no name of a zone
        return None


def format_time(time: int | None, zone: tzinfo | None) -> str:
    """Return a time in milliseconds as `2026-03-02 10:15 +01:00`; empty for None.

    Without a zone it is the time of this machine. Years that a zone cannot show are in UTC.
    """
    if time is None:
        return ""
    try:
        moment = _EPOCH + timedelta(milliseconds=time)
    except (OverflowError, ValueError):
        return ""
    with contextlib.suppress(OverflowError, ValueError, OSError):
        moment = moment.astimezone(zone)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}".rjust(23, "0")


def format_duration(milliseconds: int) -> str:
    """Return a duration as `45 s`, `12 min`, `2 h 5 min` or `3 d 4 h`.

    One that is negative or longer than ten years is empty: one of its ends is wrong.
    """
    if not 0 <= milliseconds <= _LONGEST:
        return ""
    if milliseconds < MINUTE:
        return f"{max(1, milliseconds // SECOND)} s"
    if milliseconds < HOUR:
        return f"{milliseconds // MINUTE} min"
    if milliseconds < DAY:
        return _two_units(milliseconds, (HOUR, "h"), (MINUTE, "min"))
    return _two_units(milliseconds, (DAY, "d"), (HOUR, "h"))


def _two_units(milliseconds: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    count, rest = divmod(milliseconds, large[0])
    text = f"{count} {large[1]}"
    if rest >= small[0]:
        text += f" {rest // small[0]} {small[1]}"
    return text
