"""What the views need beside the request: put together once by `create_app`, found again by `services()`."""

from dataclasses import dataclass

from flask import current_app

from config import Config
from delivery.dial import Policy
from delivery.keyring import Keyring
from delivery.pace import Pacer
from delivery.trial import Bench
from web.passwords import Passwords


@dataclass(frozen=True)
class Services:
    """The configuration, the keys, the address policy, the bench that runs tests, the passwords, and the pace of people."""

    config: Config
    keyring: Keyring
    policy: Policy
    bench: Bench
    passwords: Passwords
    pacer: Pacer

    @classmethod
    def of(cls, config: Config) -> "Services":
        """The services of a configuration that has its keys."""
        policy = Policy(config.allow, config.ca_file)
        keyring, bench = Keyring(config.encryption_keys, config.keys_file), Bench(config.test_slots, policy)
        seats = Passwords(config.data_dir, waiting=max(1, config.threads // 2))
        return cls(config, keyring, policy, bench, seats, Pacer())


def services() -> Services:
    """The services of the current app."""
    return current_app.extensions["tocsin"]
