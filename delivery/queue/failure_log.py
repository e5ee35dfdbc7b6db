"""The lines of attempts that did not succeed.

Those that did have none. A line takes about 40 µs, a twentieth of a delivery; at two thousand
deliveries a second they would be all that the log keeps (journald drops what is above 10,000 lines
in 30 s), and every attempt is in the list of deliveries.
"""

import logging

from delivery.outbox import ClaimedMessage
from delivery.outcome import Outcome

log = logging.getLogger("tocsin.worker")


def log_failure(message: ClaimedMessage, outcome: Outcome) -> None:
    """Log an attempt that did not succeed: ids, verdict and reason, and no secret."""
    if outcome.good:
        return
    log.info(
        "an attempt did not succeed",
        extra={
            "delivery_id": message.first.id,
            "channel_id": message.channel_id,
            "attempt": message.attempt,
            "verdict": outcome.verdict.value,
            "reason": outcome.reason.value,
            "status": outcome.status,
            "milliseconds": round(outcome.milliseconds),
        },
    )
