"""Passwords: hashed well, two at a time, guessed at most twenty times in a quarter of an hour, and never locked for good."""

import threading

import pytest
from argon2 import PasswordHasher
from conftest import PASSWORD, QUICK, Client

from clock import MINUTE
from models import Guess, User
from web.accounts.passwords import (
    PasswordChecker,
    TooManyAttempts,
    authenticate,
    create_admin,
    network,
)
from web.accounts.users import AccountError

NOW = 1_790_000_000_000
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
def checker(app, config, monkeypatch):
    """Passwords whose own hashes are quick."""
    checker = PasswordChecker(config.data_dir)
    monkeypatch.setattr(checker, "_hasher", QUICK)
    return checker


@pytest.fixture
def guess(checker):
    """Tries a password; whether it was right. None when it was not even looked at."""

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
def test_a_password_that_is_too_short_or_too_long_is_refused_in_words(checker, password):
    with pytest.raises(AccountError, match="at least 8 and at most 1000"):
        checker.hash(password)


@pytest.mark.parametrize(
    "password",
    ["8 signs.", "x" * 1000, "пароль и ключ", " spaces count ", "\x00\x01\x02\x03\x04\x05\x06\x07"],
)
def test_any_other_password_is_taken_and_told_from_all_others(checker, password):
    hashed = checker.hash(password)
    assert checker.verify(hashed, password)
    assert not checker.verify(hashed, password + "x")


@pytest.mark.parametrize("stored", ["", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$AAAA", "x" * 5000])
@pytest.mark.parametrize("password", ["", PASSWORD, "x" * 100_000])
def test_nothing_is_right_for_an_account_without_a_good_hash(checker, stored, password):
    assert not checker.verify(stored, password)


def test_the_password_is_right_whatever_the_case_of_the_name(guess):
    assert guess(PASSWORD)
    assert guess(PASSWORD, name=" ADA ")
    assert not guess(PASSWORD, name="nobody")
    assert not guess("three small bell")


def test_twenty_wrong_guesses_at_most_are_looked_at_in_a_quarter_of_an_hour(guess):
    ada = User.named("ada").id
    looked_at = [
        guess(address=f"192.0.2.{number}", known=ada if number % 2 else None)
        for number in range(250)
    ]
    assert looked_at.count(False) == 20
    assert guess(PASSWORD, address="192.0.2.251") is None


def test_a_name_that_nobody_has_is_counted_as_any_other(guess):
    assert [guess(name="nobody") for _ in range(16)] == [False] * 15 + [None]


def test_many_guesses_at_once_are_counted_one_by_one(app, checker):
    looked_at, gate = [], threading.Barrier(8)

    def try_them(address):
        with app.app_context():
            gate.wait()
            for _ in range(5):
                try:
                    looked_at.append(authenticate(checker, "ada", "wrong", address, None, NOW))
                except TooManyAttempts as many:
                    assert many.seconds > 0

    threads = [
        threading.Thread(target=try_them, args=(f"192.0.2.{number}",)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked_at) <= 15


def test_one_address_may_guess_at_many_names_for_a_while_only(guess):
    looked_at = [guess(name=f"name {number}") for number in range(70)]
    assert looked_at.count(False) == 60
    assert guess(name="one more", address=ELSEWHERE) is False


def test_a_browser_that_the_account_knows_gets_in_while_a_stranger_guesses(guess):
    ada = User.named("ada").id
    while guess(address=HOME) is not None:
        continue
    assert guess(PASSWORD, address=ELSEWHERE) is None
    assert guess(PASSWORD, address=HOME, known=ada)
    assert guess(PASSWORD, address=HOME, known=ada + 1) is None


def test_the_right_password_is_no_guess(guess):
    assert all(guess(PASSWORD) for _ in range(30))
    assert not Guess.select().count()


def test_nothing_is_locked_for_good(checker, guess):
    for number in range(15):
        guess(now=NOW + number * 1000)
    with pytest.raises(TooManyAttempts) as many:
        authenticate(checker, "ada", PASSWORD, HOME, None, NOW + 20_000)
    assert many.value.seconds == pytest.approx(15 * 60 - 20)
    assert guess(PASSWORD, now=NOW + 15 * MINUTE)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set_back_or_forward_locks_nobody_out(guess, days):
    for _ in range(15):
        guess()
    assert guess(PASSWORD, now=NOW + days * 24 * 60 * MINUTE)


def test_old_guesses_are_forgotten(guess):
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
def test_one_place_is_an_address_or_the_network_of_one_customer(address, place):
    assert network(address) == place


def test_two_are_hashed_at_a_time_and_who_may_not_wait_is_told_at_once(app, config, monkeypatch):
    """Two processes, as two objects are: the checker are files."""
    running, most, lock, gate = [0], [0], threading.Lock(), threading.Event()

    class Slow:
        def verify(self, _hash, _password):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
                if running[0] == 2:
                    entered.set()
            gate.wait(5)
            with lock:
                running[0] -= 1
            return True

    entered, answers = threading.Event(), []
    processes = [
        PasswordChecker(config.data_dir, max_waiting=3),
        PasswordChecker(config.data_dir, max_waiting=3),
    ]
    for one in processes:
        monkeypatch.setattr(one, "_hasher", Slow())
    threads = [
        threading.Thread(target=lambda one=one: answers.append(one.verify("x", "y")))
        for one in processes * 3
    ]
    for thread in threads:
        thread.start()
    assert entered.wait(5)
    while processes[0]._waiting._value:
        continue
    with pytest.raises(TooManyAttempts) as many:
        processes[0].verify("x", "y")
    assert many.value.seconds == 1
    gate.set()
    for thread in threads:
        thread.join()
    assert (answers, most[0]) == ([True] * 6, 2)


def test_the_first_start_makes_admin_once_and_never_changes_what_is_there(app, config):
    checker = PasswordChecker(config.data_dir)
    create_admin(checker, "", NOW)
    assert User.named("admin") is None
    create_admin(checker, "first password", NOW)
    first = User.named("admin")
    create_admin(checker, "another password", NOW)
    assert (first.role, User.named("admin").password) == ("editor", first.password)


# --- through the page ---------------------------------------------------------------------------------------------------


def answer(app, password, **kwargs):
    return Client(app, "").post("/login", {"username": "ada", "password": password, **kwargs})


def test_a_wrong_password_and_an_unknown_name_read_the_same(app):
    wrong, unknown = answer(app, "wrong password"), answer(app, PASSWORD, username="nobody")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert all("Name or password is wrong." in response.text for response in (wrong, unknown))
    assert "wrong password" not in wrong.text


def test_too_many_guesses_are_told_when_to_come_back(app):
    for _ in range(15):
        assert answer(app, "wrong password").status_code == 401
    refused = answer(app, PASSWORD)
    assert refused.status_code == 429
    assert 890 <= int(refused.headers["Retry-After"]) <= 901
    assert "Try again in 16 minutes. No account stays locked." in refused.text


def test_a_missing_field_is_a_wrong_password(app):
    assert Client(app, "").post("/login", {}).status_code == 401
