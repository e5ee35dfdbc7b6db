"""What a status means, how long a receiver asks us to wait, and when a channel tries again. Pure; no loop, no clock."""

import math
import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

from delivery.outcome import Verdict

# Alertmanager repeats 5xx only, Standard Webhooks everything but 410. We repeat what a receiver can mend by itself: a
# request that came too early, too late or too often, and its own failures. Any other status stays wrong until a person acts.
AGAIN = frozenset({408, 425, 429})
LONGEST_WAIT = 6 * 3600.0
SCHEDULE = (10, 30, 120, 600, 1800, 7200, 21600, 36000)
MOST_STEPS, LONGEST_STEP = (
    12,
    10 * 3600,
)  # with its 20 % no later than outbox.sweep takes for the fault of a clock
_UNITS = {"s": 1, "m": 60, "h": 3600}


def classify(status: int) -> Verdict:
    """The verdict on a bare status: any 2xx is delivered; 408, 425, 429 and 5xx are retried; 410 is gone; the rest failed."""
    if 200 <= status <= 299:
        return Verdict.DELIVERED
    if status in AGAIN or 500 <= status <= 599:
        return Verdict.RETRY
    return Verdict.GONE if status == 410 else Verdict.FAILED


def retry_after(values: list[str], now: float, in_body: object = None) -> float | None:
    """The seconds that an answer asks to wait, at most six hours.

    Takes every value of the header `Retry-After` (RFC 9110 §10.2.3: seconds or a date), the time in seconds since the epoch,
    and the vendor's field in the body, which is more exact and counts before the header. Garbage counts for nothing; of
    several values, the longest wait is kept. None when there is nothing to honour.
    """
    exact = _seconds(in_body, now)
    waits = (
        [wait for value in values if (wait := _seconds(value, now)) is not None]
        if exact is None
        else [exact]
    )
    return min(max(waits), LONGEST_WAIT) if waits else None


def steps(text: str) -> tuple[int, ...]:
    """The seconds to wait before each further attempt, of a text such as `10s, 2m, 6h`; the usual ones of an empty text.

    `none` or `0` means that there is a single attempt. Raises ValueError with a sentence.
    """
    words = re.split(r"[\s,]+", text.strip(" \t\r\n,").lower())
    if words == [""] or words in (["none"], ["0"]):
        return SCHEDULE if words == [""] else ()
    if len(words) > MOST_STEPS:
        raise ValueError(f"These are {len(words)} steps; at most {MOST_STEPS} are possible.")
    return tuple(_step(word) for word in words)


def _step(word: str) -> int:
    known = re.fullmatch(r"([0-9]{1,5})([smh])", word, re.ASCII)
    seconds = int(known[1]) * _UNITS[known[2]] if known else 0
    if not 1 <= seconds <= LONGEST_STEP:
        raise ValueError(
            f"“{word[:20]}” is no step from 1s to 10h: write such as 10s, 30s, 2m, 6h, or none for a single attempt."
        )
    return seconds


def _seconds(value: object, now: float) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(min(value, LONGEST_WAIT)) if 0 <= value < math.inf else None
    return _seconds_in(value.strip(), now) if isinstance(value, str) else None


def _seconds_in(value: str, now: float) -> float | None:
    if re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", value, re.ASCII):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        # A date without a zone is UTC (RFC 9110 §5.6.7), wherever this machine stands.
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def wait(attempt: int, steps: Sequence[int], asked: float | None, chance: float) -> float | None:
    """The seconds from this attempt (counted from 1) to the next: what the receiver asked for, else the step, 20 % more or less
    by `chance` (0 to 1), so that what failed together does not come back together. None when there is no next.
    """
    if attempt > len(steps):
        return None
    return max(1.0, asked) if asked is not None else steps[attempt - 1] * (0.8 + 0.4 * chance)
