"""Accounts without their pages: people, sign-ins, links that are good once. The pages and the command use it.

Times are milliseconds since the epoch and come from the caller. What a cookie or a link holds is stored as a hash alone.
"""

import hashlib
import secrets

from clock import DAY, MINUTE
from database import relaxed_durability
from models import Invitation, Login, Role, User, db

IDLE, LONGEST = 14 * DAY, 90 * DAY
INVITED_FOR = 3 * DAY
LONGEST_NAME = 64


class AccountError(ValueError):
    """Something about an account that cannot be; a sentence for the person who asked for it."""


def digest(secret: str) -> str:
    """What is stored of a secret that was made by chance."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


# --- sign-ins ---------------------------------------------------------------------------------------------------------


def begin(user: User, now: int) -> str:
    """Signs a browser in; what its cookie is to hold."""
    secret = secrets.token_urlsafe(32)
    with db.atomic():
        Login.delete().where(
            (Login.seen_at < now - IDLE) | (Login.created_at < now - LONGEST)
        ).execute()
        Login.create(digest=digest(secret), user=user, created_at=now, seen_at=now)
        User.update(seen_at=now).where(User.id == user.id).execute()
    return secret


def person(secret: str, now: int) -> User | None:
    """Who is signed in with this cookie's secret; for two weeks after the last visit, for ninety days at most."""
    user = Login.person(digest(secret), now - LONGEST, now - IDLE)
    if user and now - (user.seen_at or 0) > 5 * MINUTE:
        with relaxed_durability(), db.atomic():
            Login.update(seen_at=now).where(Login.digest == digest(secret)).execute()
            User.update(seen_at=now).where(User.id == user.id).execute()
    return user


def end(secret: str) -> None:
    """Signs a browser out: its cookie is good for nothing from now on, wherever a copy of it is."""
    Login.delete().where(Login.digest == digest(secret)).execute()


# --- people -----------------------------------------------------------------------------------------------------------


def add(name: str, role: str, now: int) -> User:
    """A new person, who has no password yet. Raises Refused."""
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or ":" in name:
        raise AccountError(f"A name has 1 to {LONGEST_NAME} visible characters, and no colon.")
    if User.named(name):
        raise AccountError(f"There is a “{name}” already.")
    return User.create(name=name, role=_role(role), created_at=now)


def set_password(user: User, password: str) -> None:
    """Replaces the hash; every browser that was signed in as this person is signed out."""
    with db.atomic():
        User.update(password=password).where(User.id == user.id).execute()
        Login.delete().where(Login.user == user).execute()
        Invitation.delete().where(Invitation.user == user).execute()


def set_role(user: User, role: str) -> None:
    """Makes somebody an editor or a viewer. Raises Refused for the last editor."""
    with db.atomic():
        if _role(role) != Role.EDITOR:
            _keep_an_editor(user)
        User.update(role=role).where(User.id == user.id).execute()


def remove(user: User) -> None:
    """Removes somebody and signs them out everywhere. Raises Refused for the last editor."""
    with db.atomic():
        _keep_an_editor(user)
        User.delete().where(User.id == user.id).execute()


def _role(role: str) -> str:
    if role not in (Role.EDITOR, Role.VIEWER):
        raise AccountError("Choose one of the roles: editor or viewer.")
    return role


def _keep_an_editor(user: User) -> None:
    if not User.editors().where(User.id != user.id).exists():
        raise AccountError("This is the last editor: make somebody else an editor first.")


# --- links that are good once -------------------------------------------------------------------------------------------


def invite(user: User | None, now: int) -> str:
    """The secret of a link to choose a password; an older link of the same person is dead. None: to make the first editor."""
    secret = secrets.token_urlsafe(24)
    with db.atomic():
        Invitation.delete().where(
            Invitation.user == user if user else Invitation.user.is_null()
        ).execute()
        Invitation.create(
            digest=digest(secret), user=user, expires_at=now + INVITED_FOR if user else None
        )
    return secret


def invited(secret: str, now: int) -> Invitation | None:
    """The invitation that this link stands for, while it is good."""
    found = Invitation.get_or_none(Invitation.digest == digest(secret))
    if found is None or (found.expires_at is not None and found.expires_at < now):
        return None
    return None if found.user is None and User.editors().exists() else found


def accept(invitation: Invitation, name: str, password: str, now: int) -> User:
    """Uses the link: the person with this hash of a password, new (and an editor) when it is for nobody yet. Raises Refused."""
    with db.atomic():
        if not Invitation.delete().where(Invitation.digest == invitation.digest).execute():
            raise AccountError("This link was used already.")
        user = invitation.user or add(name, Role.EDITOR, now)
        set_password(user, password)
    return user


def setup_secret(now: int) -> str:
    """The secret of a fresh set-up link while nobody may change anything yet, else empty."""
    return "" if User.editors().exists() else invite(None, now)
