"""What the views need beside the request: put together once by `create_app`, found again by `services()`."""

from dataclasses import dataclass
from threading import BoundedSemaphore

from flask import current_app

from config import Config
from delivery import lab, wake
from delivery.commits import GroupCommit
from delivery.dial import Policy
from delivery.keyring import Keyring
from delivery.pace import Pacer
from delivery.trial import Bench
from models import db
from web.passwords import Passwords


@dataclass(frozen=True)
class Services:
    """The configuration, the keys, the address policy, the bench that runs tests, the passwords, the pace of people, and how
    many threads may wait for the lab's slow answer; and who writes what alerts come in."""

    config: Config
    keyring: Keyring
    policy: Policy
    bench: Bench
    passwords: Passwords
    pacer: Pacer
    waits: BoundedSemaphore
    commits: GroupCommit

    @classmethod
    def of(cls, config: Config) -> "Services":
        """The services of a configuration that has its keys; reads the database once."""
        with db.connection_context():
            policy = Policy(config.allow, config.ca_file, lab.address(config))
        keyring, bench = Keyring(config.encryption_keys, config.keys_file), Bench(config.test_slots, policy)
        seats = Passwords(config.data_dir, waiting=max(1, config.threads // 2))
        commits = GroupCommit(config.data_dir, lambda: wake.ring(config.data_dir))
        waits = BoundedSemaphore(min(2, config.threads - 1))
        return cls(config, keyring, policy, bench, seats, Pacer(), waits, commits)


def services() -> Services:
    """The services of the current app."""
    return current_app.extensions["tocsin"]
