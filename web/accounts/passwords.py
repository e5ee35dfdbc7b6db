"""Passwords: hashed with argon2id, two at a time, and guessed at most twenty times an account in a quarter of an hour."""

import fcntl
import ipaddress
import secrets
import threading
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from clock import MINUTE
from config import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from models import Guess, Role, User, db
from web.accounts.users import AccountError, digest

WINDOW = 15 * MINUTE
# Twenty guesses an account in all. Five are kept for browsers that have signed in to it before, so that a stranger who goes
# on guessing locks out himself (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
MOST_BY_STRANGERS, MOST_BY_KNOWN, MOST_FROM_AN_ADDRESS = 15, 5, 60


class TooManyAttempts(Exception):
    """Too much was tried: nothing was looked at. `seconds` says when to try again."""

    def __init__(self, seconds: float):
        super().__init__(seconds)
        self.seconds = seconds


class Passwords:
    """Hashes and checks passwords with argon2id (RFC 9106, second recommended option: 64 MB each), two at a time.

    The two seats are locks on files, so that they count for all processes; `waiting` threads of one process may wait for one.
    """

    def __init__(self, folder: Path, waiting: int = 4):
        self._seats = [folder / f"password-{number}.lock" for number in (1, 2)]
        self._room = threading.BoundedSemaphore(waiting)
        self._hasher = PasswordHasher()

    def hash(self, password: str) -> str:
        """The hash to store. Raises Refused for a password that is too short or too long."""
        if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
            raise AccountError(
                f"A password has at least {MIN_PASSWORD_LENGTH} and at most {MAX_PASSWORD_LENGTH} characters."
            )
        with self._seat():
            return self._hasher.hash(password)

    def right(self, stored: str, password: str) -> bool:
        """Whether this is the password. It takes as long when nothing is stored. Raises TooMany when nobody more may wait."""
        password = password if len(password) <= MAX_PASSWORD_LENGTH else ""
        with self._seat():
            try:
                return self._hasher.verify(stored or self._nobody, password) and bool(stored)
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    @contextmanager
    def _seat(self):
        if not self._room.acquire(blocking=False):
            raise TooManyAttempts(1)
        try:
            with ExitStack() as stack:
                seats = [stack.enter_context(open(seat, "w")) for seat in self._seats]
                here = secrets.randbelow(2)  # else all that wait would wait for the same seat
                try:
                    fcntl.flock(seats[here], fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    fcntl.flock(seats[1 - here], fcntl.LOCK_EX)
                yield
        finally:
            self._room.release()


def sign_in(
    passwords: Passwords, name: str, password: str, address: str, known: int | None, now: int
) -> User | None:
    """The person, or None when name or password is wrong. `known` is whom this browser was signed in as before.

    Raises TooMany after too many guesses, before anything is looked at.
    """
    user = User.named(name.strip())
    guess = _counted(name, address, bool(user and known == user.id), now)
    if not passwords.right(user.password if user else "", password):
        return None
    guess.delete_instance()
    return user


def _counted(name: str, address: str, known: bool, now: int) -> Guess:
    """A guess, counted before the password is looked at, so that many at once are counted too. Raises TooMany."""
    account = ("known " if known else "") + digest(name.strip().casefold())
    place = "" if known else network(address)
    limits = [(Guess.account == account, MOST_BY_KNOWN if known else MOST_BY_STRANGERS)]
    limits += [] if known else [(Guess.address == place, MOST_FROM_AN_ADDRESS)]
    with db.atomic():
        # One of a time to come was written before the clock was set back.
        Guess.delete().where((Guess.at <= now - WINDOW) | (Guess.at > now + MINUTE)).execute()
        for same, most in limits:
            times = [
                guess.at
                for guess in Guess.select(Guess.at)
                .where(same)
                .order_by(Guess.at.desc())
                .limit(most)
            ]
            if len(times) == most:
                raise TooManyAttempts((times[-1] + WINDOW - now) / 1000)
        return Guess.create(account=account, address=place, at=now)


def network(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((read, 64), strict=False)) if read.version == 6 else str(read)


def first_start(passwords: Passwords, admin_password: str, now: int) -> None:
    """Makes the editor `admin` with this password (if one is given) unless somebody has that name."""
    if admin_password and not User.named("admin"):
        hashed = passwords.hash(admin_password)
        User.insert(
            name="admin", role=Role.EDITOR, password=hashed, created_at=now
        ).on_conflict_ignore().execute()
