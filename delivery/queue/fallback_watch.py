"""Look for channels whose fallback must be notified, but not before all that waits was tried."""

from delivery import outbox
from delivery.sender import Clock

WATCH_AFTER = 60  # seconds after the first round of the worker


class FallbackWatch:
    """Notifies fallbacks from a minute after the start on.

    What was due while no worker ran is tried in that time: that is no trouble of a channel.
    """

    def __init__(self, public_url: str, monotonic: Clock):
        self._public_url = public_url
        self._monotonic = monotonic
        self._watches_from = float("inf")

    def begin(self) -> None:
        """Note that the worker has sent what was due; only the first call counts."""
        self._watches_from = min(self._watches_from, self._monotonic() + WATCH_AFTER)

    def run(self, now: int) -> None:
        """Notify fallbacks of troubles and of their ends."""
        if self._monotonic() >= self._watches_from:
            outbox.notify_fallbacks(now, self._public_url)
