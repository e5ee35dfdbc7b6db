"""The shared objects that views need, created once by `create_app`."""

from functools import cached_property
from threading import BoundedSemaphore

from flask import current_app

from config import Config
from delivery.batch_writer import BatchWriter
from delivery.channel_test import TestRunner
from delivery.guard import lab
from delivery.guard.exchange import Policy
from delivery.installation import Installation, load_installation
from delivery.queue import wakeup
from delivery.rate_limit import RateLimiter
from delivery.secrets.encryption import Keyring
from web.accounts.passwords import PasswordChecker


class Services:
    """The shared objects of an app.

    Those that read the database are created at their first use, so that a web process can also
    start while the database is missing. `rate_limiter` limits the requests of a user,
    `export_slots` the exports at a time.
    """

    def __init__(self, config: Config):
        self.config = config
        self.keyring = Keyring(config.encryption_keys, config.keys_file)
        self.passwords = PasswordChecker(config.data_dir, max_waiting=max(1, config.threads // 2))
        self.rate_limiter = RateLimiter()
        self.export_slots = BoundedSemaphore(max(1, config.threads // 4))
        self.batch_writer = BatchWriter(config.data_dir, lambda: wakeup.notify(config.data_dir))

    @cached_property
    def policy(self) -> Policy:
        """What channels may reach."""
        return Policy(self.config.allow, self.config.ca_file, lab.address(self.config))

    @cached_property
    def installation(self) -> Installation:
        """This installation, for messages."""
        return load_installation(self.config)

    @cached_property
    def test_runner(self) -> TestRunner:
        """Sends the tests of this process."""
        return TestRunner(self.config.test_slots, self.policy, self.installation)


def services() -> Services:
    """Return the services of the current app."""
    return current_app.extensions["tocsin"]
