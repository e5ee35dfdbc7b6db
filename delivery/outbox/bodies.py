"""The stored bodies of deliveries, when the encryption keys change."""

from collections.abc import Callable

from delivery.outbox.statements import execute, execute_many

_FORGET_FINAL = """
    UPDATE delivery SET body = NULL
    WHERE substr(body, 1, 5) = 'gAAAA'
        AND state IN ('delivered', 'accepted', 'superseded', 'dropped')"""
_ENCRYPTED = "SELECT id, body FROM delivery WHERE substr(body, 1, 5) = 'gAAAA'"
_REPLACE = "UPDATE delivery SET body = :body WHERE id = :id"
_ENCRYPTED_OF_GROUPS = "SELECT id, body FROM group_message WHERE substr(body, 1, 5) = 'gAAAA'"
_REPLACE_OF_GROUPS = "UPDATE group_message SET body = :body WHERE id = :id"


def reencrypt_bodies(reencrypt: Callable[[int, str], str | None]) -> None:
    """Replace every encrypted body that may be sent again, and delete the others.

    `reencrypt` takes the id of a message and its token, and returns the new token, or None if it
    cannot be decrypted.
    """
    execute(_FORGET_FINAL)
    for find, replace in ((_ENCRYPTED, _REPLACE), (_ENCRYPTED_OF_GROUPS, _REPLACE_OF_GROUPS)):
        rows = []
        for message_id, token in execute(find):
            rows.append({"id": message_id, "body": reencrypt(message_id, token)})
        execute_many(replace, rows)
