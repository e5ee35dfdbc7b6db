"""The responses to posts of alerts that may be repeated, by the hash of their `Idempotency-Key`."""

from typing import Any

from delivery.alerts.plans import DELIVERY_LIFETIME
from models import Receipt
from web.problems import ApiError


def find(key_hash: str, body_hash: str, now: int) -> str | None:
    """Return the stored response to a post; None without one.

    Raises:
        ApiError: The key was used with another body.
    """
    receipt = Receipt.get_or_none(Receipt.key == key_hash, _is_current(now))
    if receipt is None:
        return None
    if not receipt.answer.startswith(body_hash):
        raise ApiError(
            422,
            "This Idempotency-Key was used with another body. "
            "Nothing was stored: choose another key.",
        )
    return receipt.answer.removeprefix(body_hash)


def store(key_hash: str, body_hash: str, answer: str, now: int) -> None:
    """Store a response in place of one that is too old.

    Raises:
        IntegrityError: A response is stored that is not.
    """
    Receipt.delete().where(Receipt.key == key_hash, ~_is_current(now)).execute()
    Receipt.create(key=key_hash, answer=body_hash + answer, at=now)


def _is_current(now: int) -> Any:
    return Receipt.at.between(now - DELIVERY_LIFETIME, now + DELIVERY_LIFETIME)
