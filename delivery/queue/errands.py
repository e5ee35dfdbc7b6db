"""What the leading worker sends beside deliveries: fire drills, and the heartbeat."""

from collections.abc import Callable

from config import Config
from delivery.queue.drills import DrillSender
from delivery.queue.message_builder import MessageBuilder
from delivery.queue.pulse import Pulse
from delivery.sender import Clock


class Errands:
    """Sends what is due, in threads: `run` returns at once."""

    def __init__(
        self,
        config: Config,
        builder: MessageBuilder,
        monotonic: Clock,
        rng: Callable[[], float],
    ):
        self.drills = DrillSender(
            builder.keyring, builder.policy, builder.installation, builder.clock, monotonic, rng
        )
        self.pulse = Pulse(config.heartbeat_url, builder.policy, monotonic)

    def run(self, now: int) -> None:
        """Start what is due; `now` is the time in milliseconds since the epoch."""
        self.drills.run(now)
        self.pulse.run(now)
