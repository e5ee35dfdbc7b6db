"""API tokens: their scopes, and how a token is created.

The secret of a token is returned once. The database keeps its SHA-256 digest only.
"""

import secrets

from peewee import IntegrityError

from clock import DAY
from models import Token
from web.accounts.users import MAX_NAME_LENGTH, AccountError, digest

SCOPES = {
    "ingest": "post alerts",
    "alerts:read": "read alerts, and which channels get them",
    "alerts:write": "close alerts",
    "silences:read": "read silences",
    "silences:write": "create, change and end silences",
    "deliveries:read": "read deliveries, their attempts, and replays",
    "deliveries:write": "send deliveries again, and cancel them",
    "channels:read": "read channels and their history, without secrets",
    "channels:write": "create, edit, pause, resume, test and delete channels",
    "metrics": "read /metrics",
}
PREFIX = "tocsin_"
MAX_LIFETIME_DAYS = 3650


def create_token(
    name: str, scopes: list[str], days: int | None, made_by: str, now: int
) -> tuple[Token, str]:
    """Store a new token and return its row and its secret.

    The token expires after `days`, or never if that is None.

    Raises:
        AccountError: a value is invalid, or the name is taken.
    """
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise AccountError(f"A token's name has 1 to {MAX_NAME_LENGTH} visible characters.")
    if not scopes or set(scopes) - set(SCOPES):
        raise AccountError(f"Choose at least one scope of {', '.join(SCOPES)}.")
    expires_at = None
    if days is not None:
        if not 1 <= days <= MAX_LIFETIME_DAYS:
            raise AccountError(f"A token expires after 1 to {MAX_LIFETIME_DAYS} days, or never.")
        expires_at = now + days * DAY
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        token = Token.create(
            name=name,
            digest=digest(secret),
            scopes=" ".join(sorted(set(scopes))),
            made_by=made_by,
            created_at=now,
            expires_at=expires_at,
        )
    except IntegrityError:
        raise AccountError(f"A token named “{name}” already exists.") from None
    return token, secret
