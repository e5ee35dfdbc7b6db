"""How long recent deliveries took from their creation until a receiver accepted them."""

from clock import HOUR
from delivery.outbox.statements import execute

MAX_ATTEMPTS = 1000  # the latest ones, in the order in which they were stored

# Of a group, the delivery that waited longest: its id, which begins with its time, is the lowest.
_DELAYS = """
    SELECT a.at + a.milliseconds - coalesce(d.created_at, (
        SELECT created_at FROM delivery WHERE message_id = a.message_id ORDER BY id LIMIT 1))
    FROM (
        SELECT at, milliseconds, delivery_id, message_id, purpose, verdict FROM attempt
        ORDER BY id DESC LIMIT :max_attempts) AS a
    LEFT JOIN delivery d ON d.id = a.delivery_id
    WHERE a.purpose = 'delivery' AND a.verdict IN ('delivered', 'accepted') AND a.at > :since"""


def recent_delays(now: int) -> list[int]:
    """Return the milliseconds of the deliveries of the last hour, of at most the latest attempts.

    A message counts once, with the delivery in it that waited longest.
    """
    rows = execute(_DELAYS, max_attempts=MAX_ATTEMPTS, since=now - HOUR)
    return sorted(max(0, delay) for (delay,) in rows if delay is not None)
