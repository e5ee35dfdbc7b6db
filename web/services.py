"""The shared objects that views need, created once by `create_app`."""

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
from web.accounts.passwords import PasswordChecker


class Services:
    """The shared objects of an app. Creating them reads the database once.

    `rate_limiter` limits the requests of a user; `slow_response_slots` limits the threads that
    wait for the lab's slow response.
    """

    def __init__(self, config: Config):
        with db.connection_context():
            self.policy = Policy(config.allow, config.ca_file, lab.address(config))
        self.config = config
        self.keyring = Keyring(config.encryption_keys, config.keys_file)
        self.test_runner = TestRunner(config.test_slots, self.policy)
        self.passwords = PasswordChecker(config.data_dir, max_waiting=max(1, config.threads // 2))
        self.rate_limiter = RateLimiter()
        self.slow_response_slots = BoundedSemaphore(min(2, config.threads - 1))
        self.batch_writer = BatchWriter(config.data_dir, lambda: wakeup.notify(config.data_dir))


def services() -> Services:
    """Return the services of the current app."""
    return current_app.extensions["tocsin"]
