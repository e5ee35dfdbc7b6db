"""Users, their sessions and their invitations.

An invitation is a link, valid once, to choose a password. The secrets in cookies and links are
stored as SHA-256 digests only. Times are milliseconds since the epoch, given by the caller.
"""

import hashlib
import secrets
from collections.abc import Iterable

from peewee import IntegrityError

from clock import DAY, MINUTE
from database import relaxed_durability
from models import AuditAction, AuditEntry, Invitation, Login, Role, Token, User, db

MAX_IDLE = 14 * DAY
MAX_SESSION_AGE = 90 * DAY
INVITATION_LIFETIME = 3 * DAY
MAX_NAME_LENGTH = 64
SEEN_INTERVAL = 5 * MINUTE
# The creator of the command's tokens, which end with no user.
THE_COMMAND = "the command"
# The scopes of tokens that change nothing, as a viewer does.
VIEWER_SCOPES = frozenset(
    {"alerts:read", "silences:read", "deliveries:read", "channels:read", "metrics"}
)


class AccountError(ValueError):
    """An invalid change of a user, a password or a token; the message is shown to the user."""


def digest(secret: str) -> str:
    """Return the digest under which a random secret is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def record_command(
    action: AuditAction, detail: str, now: int, revoked_tokens: Iterable[str] = ()
) -> None:
    """Add an action of the command line to the audit log, and the tokens that it revoked."""
    AuditEntry.record(action, THE_COMMAND, detail, now)
    for token in revoked_tokens:
        AuditEntry.record(AuditAction.TOKEN_REVOKED, THE_COMMAND, f"“{token}”", now)


# --- sessions -------------------------------------------------------------------------------------


def start_session(user: User, now: int) -> str:
    """Store a session and return the secret for the cookie; delete expired sessions."""
    secret = secrets.token_urlsafe(32)
    expired = (Login.seen_at < now - MAX_IDLE) | (Login.created_at < now - MAX_SESSION_AGE)
    with db.atomic():
        Login.delete().where(expired).execute()
        Login.create(digest=digest(secret), user=user, created_at=now, seen_at=now)
        User.set_by_id(user.id, {"seen_at": now})
    return secret


def session_user(secret: str, now: int) -> User | None:
    """Return the user of a session that has not expired, and record the visit."""
    user = Login.find_user(digest(secret), now - MAX_SESSION_AGE, now - MAX_IDLE)
    if user and now - (user.seen_at or 0) > SEEN_INTERVAL:
        with relaxed_durability(), db.atomic():
            Login.set_by_id(digest(secret), {"seen_at": now})
            User.set_by_id(user.id, {"seen_at": now})
    return user


def end_session(secret: str) -> None:
    """Delete a session; copies of its cookie are useless from then on."""
    Login.delete_by_id(digest(secret))


# --- users ----------------------------------------------------------------------------------------


def add(name: str, role: str, now: int) -> User:
    """Create a user without a password.

    Raises:
        AccountError: the name or the role is invalid, or the name is taken.
    """
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable() or ":" in name:
        raise AccountError(f"A name has 1 to {MAX_NAME_LENGTH} visible characters and no colon.")
    if name.casefold() == THE_COMMAND:
        raise AccountError(f"“{name}” is the creator of the command's tokens: choose another name.")
    _check_role(role)
    try:
        return User.create(name=name, role=role, created_at=now)
    except IntegrityError:
        raise AccountError(f"A user named “{name}” already exists.") from None


def set_password(user: User, password_hash: str) -> None:
    """Store a password hash, and end the sessions and invitations of the user."""
    with db.atomic():
        User.set_by_id(user.id, {"password": password_hash})
        Login.delete().where(Login.user == user).execute()
        Invitation.delete().where(Invitation.user == user).execute()


def set_role(user: User, role: str) -> list[str]:
    """Change the role of a user, and return the names of the tokens that this revokes.

    Of a viewer's tokens, only those stay that change nothing.

    Raises:
        AccountError: the role is invalid, or no other editor would be left.
    """
    _check_role(role)
    with db.atomic():
        User.set_by_id(user.id, {"role": role})
        if role == Role.EDITOR:
            return []
        _require_other_editor(user)
        return _revoke_tokens(user, VIEWER_SCOPES)


def remove(user: User) -> list[str]:
    """Delete a user with their sessions and tokens; return the names of the tokens.

    Raises:
        AccountError: no other editor would be left.
    """
    with db.atomic():
        _require_other_editor(user)
        user.delete_instance()
        return _revoke_tokens(user)


def _revoke_tokens(user: User, kept_scopes: frozenset[str] = frozenset()) -> list[str]:
    """Delete the tokens that a user created, but those with no other than the kept scopes."""
    revoked = []
    for token in Token.listed().where(Token.made_by == user.name):
        if not kept_scopes.issuperset(token.scopes.split()):
            token.delete_instance()
            revoked.append(token.name)
    return revoked


def _check_role(role: str) -> None:
    if role not in list(Role):
        raise AccountError("Choose one of the roles: editor or viewer.")


def _require_other_editor(user: User) -> None:
    if not User.editors().where(User.id != user.id).exists():
        raise AccountError("This is the last editor. Make another user an editor first.")


# --- invitations ----------------------------------------------------------------------------------


def create_invitation(user: User | None, now: int) -> str:
    """Store an invitation and return the secret for its link.

    It replaces the user's older invitation. An invitation for None creates the first editor.
    """
    secret = secrets.token_urlsafe(24)
    expires_at = now + INVITATION_LIFETIME if user else None
    with db.atomic():
        Invitation.delete().where(Invitation.user == user).execute()
        Invitation.create(digest=digest(secret), user=user, expires_at=expires_at)
    return secret


def find_invitation(secret: str, now: int) -> Invitation | None:
    """Return the valid invitation of a link, or None."""
    valid = Invitation.expires_at >= now
    if not User.editors().exists():
        valid |= Invitation.user.is_null()
    return Invitation.get_or_none(Invitation.digest == digest(secret), valid)


def accept_invitation(invitation: Invitation, name: str, password_hash: str, now: int) -> User:
    """Use an invitation once and return its user with the new password.

    An invitation for no user creates an editor with the given name.

    Raises:
        AccountError: the invitation was used already, or the name is invalid.
    """
    with db.atomic():
        if not invitation.delete_instance():
            raise AccountError("This link was used already.")
        user = invitation.user or add(name, Role.EDITOR, now)
        set_password(user, password_hash)
    return user


def setup_secret(now: int) -> str:
    """Return the secret of a new set-up link, or "" if there is an editor already."""
    return "" if User.editors().exists() else create_invitation(None, now)
