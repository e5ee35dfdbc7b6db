"""Seals what must not be read from a stolen database: Fernet tokens that say inside what they were sealed for."""

import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Unopenable(ValueError):
    """A sealed value that these keys do not open, or that was sealed for something else; a sentence for a page."""


class Keyring:
    """The encryption keys: the first one seals, all of them open."""

    def __init__(self, keys: tuple[str, ...]):
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, purpose: str, values: dict) -> str:
        """A token that holds `values` (anything JSON has) and opens for this `purpose` alone."""
        return self._fernet.encrypt(json.dumps({"for": purpose, "values": values}).encode()).decode()

    def open(self, purpose: str, token: str) -> dict:
        """The values of a token. Raises Unopenable."""
        try:
            opened = json.loads(self._fernet.decrypt(token.encode()))
        except (InvalidToken, ValueError, TypeError, RecursionError):
            raise Unopenable("Its URL and secrets cannot be opened: the row is damaged, or sealed with another key.") from None
        values = opened.get("values") if isinstance(opened, dict) else None
        if not isinstance(values, dict) or opened.get("for") != purpose:
            raise Unopenable("Its URL and secrets belong to another channel.")
        return values
