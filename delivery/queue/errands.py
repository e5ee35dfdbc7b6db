"""What the leading worker sends beside deliveries: fire drills, and the heartbeat."""

from collections.abc import Callable

from config import Config
from delivery.guard.exchange import Policy
from delivery.installation import Installation
from delivery.queue.drills import DrillSender
from delivery.queue.pulse import Pulse
from delivery.secrets.encryption import Keyring
from delivery.sender import Clock


class Errands:
    """Sends what is due, in threads: `run` returns at once."""

    def __init__(
        self,
        config: Config,
        keyring: Keyring,
        policy: Policy,
        installation: Installation,
        clock: Clock,
        monotonic: Clock,
        rng: Callable[[], float],
    ):
        self.drills = DrillSender(keyring, policy, installation, clock, monotonic, rng)
        self.pulse = Pulse(config.heartbeat_url, policy, monotonic)

    def run(self, now: int) -> None:
        """Start what is due; `now` is the time in milliseconds since the epoch."""
        self.drills.run(now)
        self.pulse.run(now)
