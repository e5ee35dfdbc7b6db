"""Password hashes (argon2id), and limits on wrong passwords.

At most two hashes are computed at a time, and at most twenty wrong passwords are checked for an
account in fifteen minutes.
"""

import ipaddress
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from clock import MINUTE
from config.values import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from locks import file_lock
from models import AuditAction, AuditEntry, Guess, Role, User, db
from web.accounts.users import AccountError, digest

WINDOW = 15 * MINUTE
# Five of an account's twenty guesses are reserved for browsers that signed in to it before, so that
# a stranger cannot lock the user out (OWASP, "Slow Down Online Guessing Attacks with Device
# Cookies").
MAX_GUESSES_BY_UNKNOWN = 15
MAX_GUESSES_BY_KNOWN = 5
MAX_GUESSES_FROM_ADDRESS = 60


class TooManyAttempts(AccountError):
    """Too many passwords were tried; the password was not checked.

    `seconds` is the time to wait. The message is a sentence for the user.
    """

    def __init__(self, seconds: float):
        wait = "a moment" if seconds < 60 else f"{round(seconds / 60) + 1} minutes"
        super().__init__(f"Too many attempts. Try again in {wait}. No account stays locked.")
        self.seconds = seconds


class PasswordChecker:
    """Computes and verifies argon2id hashes (RFC 9106, second recommended option: 64 MB each).

    Two file locks limit the hashes that all processes compute at a time. At most `max_waiting`
    threads of a process wait for a lock.
    """

    def __init__(self, folder: Path, max_waiting: int = 4):
        self._locks = [folder / "password-1.lock", folder / "password-2.lock"]
        self._waiting = threading.BoundedSemaphore(max_waiting)
        self._hasher = PasswordHasher()

    def hash(self, password: str) -> str:
        """Return the hash of a new password.

        Raises:
            AccountError: the password is too short or too long.
            TooManyAttempts: too many threads wait already.
        """
        if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
            raise AccountError(
                f"A password has at least {MIN_PASSWORD_LENGTH} "
                f"and at most {MAX_PASSWORD_LENGTH} characters."
            )
        with self._limit():
            return self._hasher.hash(password)

    def verify(self, stored: str, password: str) -> bool:
        """Return True if the password matches the stored hash.

        The check takes the same time if no hash is stored.

        Raises:
            TooManyAttempts: too many threads wait already.
        """
        if len(password) > MAX_PASSWORD_LENGTH:
            password = ""
        with self._limit():
            try:
                return self._hasher.verify(stored or self._dummy_hash, password) and bool(stored)
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    @contextmanager
    def _limit(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise TooManyAttempts(1)
        # A random order, so that waiting threads spread over both locks.
        first, second = secrets.SystemRandom().sample(self._locks, 2)
        with ExitStack() as stack:
            stack.callback(self._waiting.release)
            try:
                stack.enter_context(file_lock(first, wait=False))
            except BlockingIOError:
                stack.enter_context(file_lock(second))
            yield


def authenticate(
    checker: PasswordChecker, name: str, password: str, address: str, known: int | None, now: int
) -> User | None:
    """Return the user, or None if the name or the password is wrong.

    `known` is the id of the user that the browser was signed in as before.

    Raises:
        TooManyAttempts: too many guesses; the password was not checked.
    """
    user = User.named(name.strip())
    guess = _record_guess(name, address, user is not None and known == user.id, now)
    if not checker.verify(user.password if user else "", password):
        return None
    guess.delete_instance()
    return user


def _record_guess(name: str, address: str, known: bool, now: int) -> Guess:
    """Store a guess before its password is checked, so that concurrent guesses count."""
    account = digest(name.strip().casefold())
    place = network(address)
    limit = MAX_GUESSES_BY_UNKNOWN
    if known:
        account = f"known {account}"
        place = ""
        limit = MAX_GUESSES_BY_KNOWN
    with db.atomic():
        # A guess in the future was stored before the clock was set back.
        Guess.delete().where((Guess.at <= now - WINDOW) | (Guess.at > now + MINUTE)).execute()
        _check_limit(Guess.account == account, limit, now)
        if place:
            _check_limit(Guess.address == place, MAX_GUESSES_FROM_ADDRESS, now)
        return Guess.create(account=account, address=place, at=now)


def _check_limit(condition, limit: int, now: int) -> None:
    guesses = Guess.select().where(condition).order_by(Guess.at.desc()).limit(limit)
    if len(guesses) == limit:
        raise TooManyAttempts((guesses[-1].at + WINDOW - now) / 1000)


def network(address: str) -> str:
    """Return the IPv4 address, or the /64 network of an IPv6 address (one customer has one)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def create_admin(checker: PasswordChecker, password: str, now: int) -> None:
    """Create the editor `admin` if a password is given and the name is free."""
    if password and not User.named("admin"):
        User.insert(
            name="admin", role=Role.EDITOR, password=checker.hash(password), created_at=now
        ).on_conflict_ignore().execute()
        AuditEntry.record(AuditAction.USER_ADDED, "Tocsin", f"admin, {Role.EDITOR}", now)
