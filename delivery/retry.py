"""When to try again: verdicts of statuses, `Retry-After`, and the schedule of a channel.

All functions are pure.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

from delivery.outcome import Verdict

# Alertmanager retries 5xx only, Standard Webhooks everything but 410. Tocsin retries what a
# receiver can cure: a request that came too early, too late or too often, and its own failures.
# Any other status needs a person.
_RETRY_STATUSES = frozenset({408, 425, 429})
MAX_WAIT = 6 * 3600.0
SCHEDULE = (10, 30, 120, 600, 1800, 7200, 21600, 36000)
# An ingress that redeploys its service answers 404 for a while: within three minutes, two retries.
NOT_FOUND_WAITS = (10, 120)
MAX_STEPS = 12
MAX_STEP = 10 * 3600  # 20 % more stays below what outbox.sweep takes for a wrong clock
_UNITS = {"s": 1, "m": 60, "h": 3600}


def verdict_of_status(status: int) -> Verdict:
    """Return the verdict on a status alone."""
    if 200 <= status <= 299:
        return Verdict.DELIVERED
    if status in _RETRY_STATUSES or 500 <= status <= 599:
        return Verdict.RETRY
    if status == 410:
        return Verdict.GONE
    return Verdict.FAILED


def retry_after(values: list[str], now: float, body_value: object = None) -> float | None:
    """Return the seconds that a response asks to wait, at most six hours.

    `values` are all values of the header `Retry-After`, in seconds or as a date (RFC 9110
    §10.2.3); the longest one counts. `body_value` is the vendor's field in the body, which
    overrides the header. `now` is in seconds since the epoch. Invalid values are ignored. None
    if no valid value is left.
    """
    waits = [_seconds(body_value, now)]
    if waits == [None]:
        waits = [_seconds(value, now) for value in values]
    valid = [wait for wait in waits if wait is not None]
    if not valid:
        return None
    return min(max(valid), MAX_WAIT)


def parse_steps(text: str) -> tuple[int, ...]:
    """Return the seconds before each retry, from a text such as `10s, 2m, 6h`.

    An empty text means the default schedule, `none` or `0` no retry.

    Raises:
        ValueError: the text is invalid; the message is a sentence for the form.
    """
    words = re.split(r"[\s,]+", text.strip(" \t\r\n,").lower())
    if words == [""]:
        return SCHEDULE
    if words in (["none"], ["0"]):
        return ()
    if len(words) > MAX_STEPS:
        raise ValueError(f"These are {len(words)} steps; at most {MAX_STEPS} are possible.")
    return tuple(map(_parse_step, words))


def steps_or_default(text: str) -> tuple[int, ...]:
    """Return the seconds before each retry; the default schedule if the text is damaged."""
    try:
        return parse_steps(text)
    except ValueError:
        return SCHEDULE


def _parse_step(word: str) -> int:
    match = re.fullmatch(r"([0-9]{1,5})([smh])", word, re.ASCII)
    if match:
        seconds = int(match[1]) * _UNITS[match[2]]
        if 1 <= seconds <= MAX_STEP:
            return seconds
    raise ValueError(
        f"“{word[:20]}” is not a step from 1s to 10h: enter steps such as 10s, 30s, 2m, 6h, "
        "or none for a single attempt."
    )


def _seconds(value: object, now: float) -> float | None:
    """Return a wait of any type in seconds, None if it is invalid."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(min(value, MAX_WAIT))
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", text, re.ASCII):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            # A date without a zone is UTC (RFC 9110 §5.6.7), whatever the zone of this machine.
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def wait(
    attempt: int, steps: Sequence[int], requested_wait: float | None, random_number: float
) -> float | None:
    """Return the seconds from this attempt (counted from 1) to the next, None if it is the last.

    A wait that the receiver requested replaces the step. `random_number` (0 to 1) varies a step
    by up to 20 %, so that deliveries that failed together do not return together.
    """
    if attempt > len(steps):
        return None
    if requested_wait is not None:
        return max(1.0, requested_wait)
    return steps[attempt - 1] * (0.8 + 0.4 * random_number)


def wait_not_found(retries: int, steps: Sequence[int], random_number: float) -> float | None:
    """Return the seconds until the next retry after 404, None after `retries` of them.

    No wait is longer than the longest step of the schedule; without steps, there is no retry.
    """
    longest = max(steps, default=0)
    waits = [min(seconds, longest) for seconds in NOT_FOUND_WAITS if longest]
    return wait(retries + 1, waits, None, random_number)


def wait_after_failures(failures: int, steps: Sequence[int]) -> int:
    """Return the seconds before an opening that did not arrive may be sent as a new delivery.

    `failures` openings in a row failed before that one. The last step holds for all further ones;
    without a step, the default schedule does.
    """
    steps = steps or SCHEDULE
    return steps[min(failures, len(steps) - 1)]
