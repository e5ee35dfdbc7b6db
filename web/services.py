"""What the views need beside the request: put together once by `create_app`, found again by `services()`."""

from dataclasses import dataclass

from flask import current_app

from config import Config
from delivery.dial import Policy
from delivery.keyring import Keyring
from delivery.trial import Bench


@dataclass(frozen=True)
class Services:
    """The configuration, the keys, the address policy, and the bench that runs tests."""

    config: Config
    keyring: Keyring
    policy: Policy
    bench: Bench

    @classmethod
    def of(cls, config: Config) -> "Services":
        """The services of a configuration that has its keys."""
        policy = Policy(config.allow, config.ca_file)
        return cls(config, Keyring(config.encryption_keys), policy, Bench(config.test_slots, policy))

    @property
    def base_url(self) -> str:
        """Where people reach these pages, without a slash at the end."""
        return self.config.public_url or self.config.address.rstrip("/")


def services() -> Services:
    """The services of the current app."""
    return current_app.extensions["tocsin"]
