"""Password hashes, and the limits on wrong passwords."""

import threading

import pytest
from argon2 import PasswordHasher
from conftest import PASSWORD, QUICK, Client

from clock import MINUTE
from models import Guess, User, db
from web.accounts.passwords import (
    PasswordChecker,
    TooManyAttempts,
    authenticate,
    create_admin,
    network,
)
from web.accounts.users import AccountError

NOW = 1_790_000_000_000
HOME = "192.0.2.7"
ELSEWHERE = "198.51.100.9"


@pytest.fixture
def checker(app, config, monkeypatch):
    """Return a checker with quick hashes."""
    checker = PasswordChecker(config.data_dir)
    monkeypatch.setattr(checker, "_hasher", QUICK)
    return checker


@pytest.fixture
def guess(checker):
    """Return a function that tries a password: True, False, or None if it was not checked."""

    def guess(password="wrong", name="ada", address=HOME, known=None, now=NOW):
        try:
            return authenticate(checker, name, password, address, known, now) is not None
        except TooManyAttempts:
            return None

    return guess


def test_a_hash_is_argon2id_with_the_parameters_of_rfc_9106(config):
    hashed = PasswordChecker(config.data_dir).hash("three small bells")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PasswordHasher().verify(hashed, "three small bells")


@pytest.mark.parametrize("password", ["", "7 chars", "x" * 1001])
def test_a_password_that_is_too_short_or_too_long_is_refused(checker, password):
    with pytest.raises(AccountError, match="at least 8 and at most 1000"):
        checker.hash(password)


@pytest.mark.parametrize(
    "password",
    ["8 signs.", "x" * 1000, "пароль и ключ", " spaces count ", "\x00\x01\x02\x03\x04\x05\x06\x07"],
)
def test_any_other_password_is_accepted_and_verified(checker, password):
    hashed = checker.hash(password)
    assert checker.verify(hashed, password)
    assert not checker.verify(hashed, password + "x")


@pytest.mark.parametrize("stored", ["", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$AAAA", "x" * 5000])
@pytest.mark.parametrize("password", ["", PASSWORD, "x" * 100_000])
def test_no_password_matches_without_a_valid_hash(checker, stored, password):
    assert not checker.verify(stored, password)


def test_the_case_of_the_name_does_not_matter(guess):
    assert guess(PASSWORD)
    assert guess(PASSWORD, name=" ADA ")
    assert not guess(PASSWORD, name="nobody")
    assert not guess("three small bell")


def test_at_most_twenty_wrong_passwords_are_checked_in_fifteen_minutes(guess):
    ada = User.named("ada").id
    results = [
        guess(address=f"192.0.2.{number}", known=ada if number % 2 else None)
        for number in range(250)
    ]
    assert results.count(False) == 20
    assert guess(PASSWORD, address="192.0.2.251") is None


def test_guesses_for_an_unknown_name_are_limited_too(guess):
    assert [guess(name="nobody") for _ in range(16)] == [False] * 15 + [None]


def test_concurrent_guesses_are_all_counted(app, checker):
    results = []
    gate = threading.Barrier(8)

    def try_them(address):
        with app.app_context(), db.connection_context():
            gate.wait()
            for _ in range(5):
                try:
                    results.append(authenticate(checker, "ada", "wrong", address, None, NOW))
                except TooManyAttempts as error:
                    assert error.seconds > 0

    threads = [
        threading.Thread(target=try_them, args=(f"192.0.2.{number}",)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) <= 15


def test_guesses_from_one_address_for_many_names_are_limited(guess):
    results = [guess(name=f"name {number}") for number in range(70)]
    assert results.count(False) == 60
    assert guess(name="one more", address=ELSEWHERE) is False


def test_a_known_browser_can_sign_in_while_a_stranger_guesses(guess):
    ada = User.named("ada").id
    while guess(address=HOME) is not None:
        continue
    assert guess(PASSWORD, address=ELSEWHERE) is None
    assert guess(PASSWORD, address=HOME, known=ada)
    assert guess(PASSWORD, address=HOME, known=ada + 1) is None


def test_the_right_password_does_not_count_as_a_guess(guess):
    assert all(guess(PASSWORD) for _ in range(30))
    assert not Guess.select().count()


def test_the_limit_ends_after_fifteen_minutes(checker, guess):
    for number in range(15):
        guess(now=NOW + number * 1000)
    with pytest.raises(TooManyAttempts) as error:
        authenticate(checker, "ada", PASSWORD, HOME, None, NOW + 20_000)
    assert error.value.seconds == pytest.approx(15 * 60 - 20)
    assert guess(PASSWORD, now=NOW + 15 * MINUTE)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_change_of_the_clock_locks_no_account(guess, days):
    for _ in range(15):
        guess()
    assert guess(PASSWORD, now=NOW + days * 24 * 60 * MINUTE)


def test_old_guesses_are_deleted(guess):
    for number in range(100):
        guess(name=f"name {number}", address=f"192.0.2.{number}", now=NOW)
    guess(now=NOW + 16 * MINUTE)
    assert Guess.select().count() == 1


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        *(("", "unknown"), ("unix:", "unknown"), ("fe80::1%eth0", "fe80::/64")),
    ],
)
def test_ipv6_addresses_of_one_customer_count_as_one_address(address, place):
    assert network(address) == place


def test_two_hashes_run_at_a_time_and_excess_threads_are_refused_at_once(app, config, monkeypatch):
    """Two checkers stand for two processes, because the locks are files."""
    running = [0]
    highest = [0]
    lock = threading.Lock()
    gate = threading.Event()

    class Slow:
        def verify(self, _hash, _password):
            with lock:
                running[0] += 1
                highest[0] = max(highest[0], running[0])
                if running[0] == 2:
                    entered.set()
            gate.wait(5)
            with lock:
                running[0] -= 1
            return True

    entered = threading.Event()
    results = []
    processes = [
        PasswordChecker(config.data_dir, max_waiting=3),
        PasswordChecker(config.data_dir, max_waiting=3),
    ]
    for process in processes:
        monkeypatch.setattr(process, "_hasher", Slow())
    threads = [
        threading.Thread(target=lambda process=process: results.append(process.verify("x", "y")))
        for process in processes * 3
    ]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    while processes[0]._waiting._value:
        continue
    with pytest.raises(TooManyAttempts) as error:
        processes[0].verify("x", "y")
    assert error.value.seconds == 1
    gate.set()
    for thread in threads:
        thread.join()
    assert (results, highest[0]) == ([True] * 6, 2)


def test_create_admin_never_changes_an_existing_user(app, config):
    checker = PasswordChecker(config.data_dir)
    create_admin(checker, "", NOW)
    assert User.named("admin") is None
    create_admin(checker, "first password", NOW)
    first = User.named("admin")
    create_admin(checker, "another password", NOW)
    assert (first.role, User.named("admin").password) == ("editor", first.password)


# --- through the page -----------------------------------------------------------------------------


def post_login(app, password, **kwargs):
    """Return the response to a sign-in as ada."""
    return Client(app, "").post("/login", {"username": "ada", "password": password, **kwargs})


def test_a_wrong_password_and_an_unknown_name_get_the_same_message(app):
    wrong = post_login(app, "wrong password")
    unknown = post_login(app, PASSWORD, username="nobody")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert all("Name or password is wrong." in response.text for response in (wrong, unknown))
    assert "wrong password" not in wrong.text


def test_too_many_guesses_get_retry_after(app):
    for _ in range(15):
        assert post_login(app, "wrong password").status_code == 401
    refused = post_login(app, PASSWORD)
    assert refused.status_code == 429
    assert 890 <= int(refused.headers["Retry-After"]) <= 901
    assert "Try again in 16 minutes. No account stays locked." in refused.text


def test_a_missing_field_counts_as_a_wrong_password(app):
    assert Client(app, "").post("/login", {}).status_code == 401
