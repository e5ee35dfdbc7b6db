"""What the views need beside the request: put together once by `create_app`, found again by `services()`."""

from dataclasses import dataclass
from threading import BoundedSemaphore

from flask import current_app

from config import Config
from delivery.batch_writer import BatchWriter
from delivery.channel_test import TestRunner
from delivery.guard import lab
from delivery.guard.exchange import Policy
from delivery.queue import wakeup
from delivery.rate_limit import RateLimiter
from delivery.secrets.encryption import Keyring
from models import db
from web.accounts.passwords import Passwords


@dataclass(frozen=True)
class Services:
    """The configuration, the keys, the address policy, the bench that runs tests, the passwords, the pace of people, and how
    many threads may wait for the lab's slow answer; and who writes what alerts come in."""

    config: Config
    keyring: Keyring
    policy: Policy
    bench: TestRunner
    passwords: Passwords
    rate_limiter: RateLimiter
    slow_response_slots: BoundedSemaphore
    commits: BatchWriter

    @classmethod
    def of(cls, config: Config) -> "Services":
        """The services of a configuration that has its keys; reads the database once."""
        with db.connection_context():
            policy = Policy(config.allow, config.ca_file, lab.address(config))
        keyring, bench = (
            Keyring(config.encryption_keys, config.keys_file),
            TestRunner(config.test_slots, policy),
        )
        seats = Passwords(config.data_dir, waiting=max(1, config.threads // 2))
        commits = BatchWriter(config.data_dir, lambda: wakeup.notify(config.data_dir))
        slow_response_slots = BoundedSemaphore(min(2, config.threads - 1))
        return cls(config, keyring, policy, bench, seats, RateLimiter(), slow_response_slots, commits)


def services() -> Services:
    """The services of the current app."""
    return current_app.extensions["tocsin"]
