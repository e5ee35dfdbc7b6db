"""The stored bodies of deliveries, when the encryption keys change."""

from collections.abc import Callable

from delivery.outbox.statements import execute, execute_many

_FORGET_FINAL = """UPDATE delivery SET body = NULL
    WHERE body GLOB 'gAAAA*' AND state IN ('delivered', 'accepted', 'superseded', 'dropped')"""
_ENCRYPTED = "SELECT id, body FROM delivery WHERE body GLOB 'gAAAA*'"
_REPLACE = "UPDATE delivery SET body = :body WHERE id = :id"


def reencrypt_bodies(reencrypt: Callable[[int, str], str | None]) -> None:
    """Replace every encrypted body that may be sent again, and delete the others.

    `reencrypt` takes the id of a delivery and its token, and returns the new token, or None if it
    cannot be decrypted.
    """
    execute(_FORGET_FINAL)
    rows = []
    for delivery_id, token in execute(_ENCRYPTED):
        rows.append({"id": delivery_id, "body": reencrypt(delivery_id, token)})
    execute_many(_REPLACE, rows)
