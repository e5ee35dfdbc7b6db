"""Encrypted secrets: the check of the keys, their rotation, and the fingerprints in the editor."""

import base64
import contextlib
import itertools
import os
import re
import stat
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from channels import create, fields_in, form_of, message_at, stored_form
from databases import ON_POSTGRESQL, only_sqlite, refuse_updates
from peewee import DatabaseError
from receiver import reply
from werkzeug.datastructures import MultiDict

import database
from clock import MINUTE
from config import Config, ConfigError
from delivery.alerts.alert import Alert as AlertParts
from delivery.alerts.received import ReceivedAlert
from delivery.kinds import kinds
from delivery.outbox import store
from delivery.secrets import encryption as keyring_module
from delivery.secrets import rotation
from delivery.secrets.encryption import (
    DecryptionError,
    Keyring,
    body_purpose,
    is_token,
    lab_purpose,
)
from delivery.secrets.rotation import Rotation, WrongKeys, check_keys, rotate
from delivery.settings import Header, Settings, read_settings, write_settings
from delivery.worker import Worker
from models import (
    Alert,
    Attempt,
    Channel,
    ChannelVersion,
    Delivery,
    DeliveryState,
    Fact,
    LabReceiver,
    db,
)
from web.channels.editor import open_edit, save
from web.channels.forms import ChannelForm
from web.channels.secret_fields import Context

OLD, NEW, OTHER = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"o", b"n", b"x"))
FULL = Settings(
    url="https://hooks.example/services/t0ken",
    headers=(Header("X-Api-Key", "s3cret-of-the-row", secret=True),),
    auth="bearer",
    auth_secret="s3cret-of-the-sign-in",
)


@pytest.fixture
def opened(config):
    """Open the database, with the keys in the file, and return the configuration."""
    database.open_database(config.database)
    if not ON_POSTGRESQL:
        db.execute_sql("PRAGMA synchronous=OFF")
    yield config
    db.close()


def keys_in(config):
    """Return the keys in the file."""
    return tuple(config.keys_file.read_text().split())


def stored(keyring, count=3, settings=FULL):
    """Create this number of channels."""
    with db.atomic():
        for number in range(count):
            channel = Channel.create(name=f"Team {number:02}", kind="", created_at=1, updated_at=1)
            write_settings(channel, settings, keyring, "the key of the fingerprints")
            channel.save()


def stored_body(keyring, state, body="s3cret body"):
    """Store a delivery with an encrypted body, and return its id."""
    number = Delivery.select().count() + 1
    columns = {"name": "n", "status": "open", "body": "{}", "changed_at": 1, "seen_at": 1}
    alert, _ = Alert.get_or_create(key="k", defaults=columns)
    times = {"due_at": 1, "expires_at": 1, "created_at": 1}
    token = keyring.encrypt(body_purpose(number), {"body": body})
    columns = {"channel": 1, "alert": alert, "event": "open", "state": state, **times}
    return Delivery.create(id=number, body=token, config_hash="x", **columns).id


def bodies(*keys):
    """Return the decrypted body of each delivery by its id; None if it is deleted."""
    decrypted = {}
    for row in Delivery.select():
        decrypted[row.id] = row.body
        if row.body is not None and is_token(row.body):
            decrypted[row.id] = Keyring(keys).decrypt(body_purpose(row.id), row.body)["body"]
    return decrypted


def damage(name="Team 01"):
    """Make a row that no key decrypts."""
    Channel.update(sealed="damaged").where(Channel.name == name).execute()


def problems(*keys):
    """Return the problem of each channel (empty: none) when only these keys are known."""
    return [read_settings(channel, Keyring(keys)).problem for channel in Channel.listed()]


def by_variable(config, *keys):
    """Return the configuration of the same installation with the keys in the variable."""
    folder = str(config.data_dir)
    return Config.from_env(
        {"TOCSIN_DATA_DIR": folder, "TOCSIN_ENCRYPTION_KEYS": ",".join(keys)}
    ).with_keys()


# --- configuration --------------------------------------------------------------------------------


def test_a_configuration_names_the_file_of_its_keys(config, tmp_path):
    assert config.keys_file == config.data_dir / "encryption.keys"
    assert config.with_keys().keys_file == config.keys_file
    assert by_variable(config, NEW).keys_file is None


# --- key check ------------------------------------------------------------------------------------


def test_the_first_start_stores_a_key_check_that_only_its_keys_pass(opened):
    check_keys(Keyring((OLD,)))
    check_keys(Keyring((OLD,)))
    check_keys(Keyring((NEW, OLD)))
    assert Fact.select().where(Fact.name == "keys").count() == 1
    with pytest.raises(WrongKeys):
        check_keys(Keyring((NEW,)))


@pytest.mark.parametrize("key_check", [True, False])
def test_the_error_about_wrong_keys_is_one_line_with_the_variable_and_the_file(opened, key_check):
    stored(Keyring((OLD,)))
    if key_check:
        check_keys(Keyring((OLD,)))
    with pytest.raises(
        ConfigError, match=r"^TOCSIN_ENCRYPTION_KEYS: .*do not decrypt.*restore the right keys"
    ) as refusal:
        check_keys(Keyring((NEW,)))
    assert "encryption.keys" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert Fact.select().where(Fact.name == "keys").count() == key_check


def test_without_a_key_check_one_channel_that_can_be_decrypted_is_enough(opened):
    stored(Keyring((OLD,)))
    damage("Team 00")
    damage("Team 01")
    check_keys(Keyring((OLD,)))


@pytest.mark.parametrize(
    "value",
    ["", "damaged", Keyring((OLD,)).encrypt("channel 1", {})],
    ids=["empty", "damaged", "another purpose"],
)
def test_a_rotation_repairs_a_damaged_key_check_if_a_channel_can_be_decrypted(opened, value):
    stored(Keyring((OLD,)))
    Fact.create(name="keys", value=value)
    with pytest.raises(WrongKeys):
        check_keys(Keyring((OLD,)))
    rotate(by_variable(opened, NEW, OLD))
    check_keys(Keyring((NEW,)))


# --- rotation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_rotation_encrypts_everything_with_a_new_key_and_removes_the_old_one(opened, count):
    stored(Keyring(opened.encryption_keys), count)
    check_keys(Keyring(opened.encryption_keys))
    assert rotate(opened) == Rotation(count, (), old_keys_removed=True)
    [key] = keys_in(opened)
    assert key not in opened.encryption_keys
    assert problems(key) == [""] * count
    assert all(problems(*opened.encryption_keys))
    assert [read_settings(channel, Keyring((key,))).settings for channel in Channel.listed()] == [
        FULL
    ] * count
    check_keys(Keyring((key,)))


def test_a_rotation_encrypts_the_secrets_of_the_lab_and_leaves_damaged_ones(opened):
    old_key = opened.encryption_keys
    values = {"signing_secret": "s3cret of the lab"}
    times = {"responses": "200", "created_at": 1}
    for receiver_id in (7, 8):
        token = Keyring(old_key).encrypt(lab_purpose(receiver_id), values)
        row = {"name": str(receiver_id), "path": str(receiver_id), "sealed": token, **times}
        LabReceiver.create(id=receiver_id, **row)
    LabReceiver.update(sealed="damaged").where(LabReceiver.id == 8).execute()
    assert rotate(opened) == Rotation(0, (), old_keys_removed=True)
    sealed = {row.id: row.sealed for row in LabReceiver.select()}
    assert Keyring(keys_in(opened)).decrypt(lab_purpose(7), sealed[7]) == values
    with pytest.raises(DecryptionError):
        Keyring(old_key).decrypt(lab_purpose(7), sealed[7])
    assert sealed[8] == "damaged"


def test_a_rotation_changes_only_the_encrypted_column(opened):
    stored(Keyring(opened.encryption_keys))
    before = list(Channel.listed().dicts())
    rotate(opened)
    after = list(Channel.listed().dicts())
    assert [{**row, "sealed": ""} for row in before] == [{**row, "sealed": ""} for row in after]
    assert not {row["sealed"] for row in before} & {row["sealed"] for row in after}


def test_only_the_owner_can_read_the_key_file_and_no_other_file_is_left(opened):
    umask = os.umask(0)
    (opened.data_dir / "encryption.keys.new").write_text("left by a rotation that was killed")
    rotate(opened)
    os.umask(umask)
    assert stat.S_IMODE(opened.keys_file.stat().st_mode) == 0o600
    assert [path.name for path in opened.data_dir.glob("encryption*")] == ["encryption.keys"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the owner of a file")
def test_a_rotation_as_root_keeps_the_owner_of_the_key_file(opened):
    os.chown(opened.keys_file, 4711, -1)
    rotate(opened)
    assert opened.keys_file.stat().st_uid == 4711


def test_a_damaged_row_is_named_and_the_old_keys_are_kept_for_it(opened):
    stored(Keyring(opened.encryption_keys))
    damage()
    assert rotate(opened) == Rotation(2, ("Team 01",))
    first, *rest = keys_in(opened)
    assert tuple(rest) == opened.encryption_keys
    assert Channel.get(name="Team 01").sealed == "damaged"
    assert [bool(problem) for problem in problems(first)] == [False, True, False]
    Channel.delete().where(Channel.name == "Team 01").execute()
    assert rotate(opened) == Rotation(2, (), old_keys_removed=True)
    assert len(keys_in(opened)) == 1


def test_the_versions_of_a_channel_are_encrypted_again_and_a_damaged_one_stays(opened):
    stored(Keyring(opened.encryption_keys), 2)
    for channel in Channel.listed():
        for number in (1, 2):
            Channel.update(version=number).where(Channel.id == channel.id).execute()
            ChannelVersion.store(channel.id, "saved", "ada", 1)
    ChannelVersion.update(sealed="damaged").where(ChannelVersion.id == 1).execute()
    assert rotate(opened) == Rotation(2, (), old_keys_removed=True)
    [key] = keys_in(opened)
    versions = list(ChannelVersion.select().order_by(ChannelVersion.id))
    read = [read_settings(version.as_channel(), Keyring((key,))) for version in versions]
    assert [bool(one.problem) for one in read] == [True, False, False, False]
    assert [one.settings.url for one in read[1:]] == [FULL.url] * 3
    assert versions[0].sealed == "damaged"


def test_a_token_of_another_channel_is_not_reencrypted(opened):
    stored(Keyring(opened.encryption_keys), 2)
    swapped = Channel.get(name="Team 00").sealed
    Channel.update(sealed=swapped).where(Channel.name == "Team 01").execute()
    assert rotate(opened).undecryptable == ("Team 01",)
    assert Channel.get(name="Team 01").sealed == swapped


def test_a_rotation_with_wrong_keys_changes_nothing(opened):
    stored(Keyring((OTHER,)))
    before = [row.sealed for row in Channel.listed()]
    for config in (opened, by_variable(opened, NEW, OLD)):
        with pytest.raises(WrongKeys):
            rotate(config)
    assert keys_in(opened) == opened.encryption_keys
    assert [row.sealed for row in Channel.listed()] == before
    assert not Fact.select().where(Fact.name == "keys").exists()


def test_the_first_of_two_keys_in_the_variable_encrypts_and_the_other_can_be_removed(opened):
    stored(Keyring((OLD,)))
    check_keys(Keyring((OLD,)))
    both = by_variable(opened, NEW, OLD)
    assert rotate(both) == Rotation(3, ())
    assert problems(NEW) == [""] * 3
    check_keys(Keyring((NEW,)))
    assert keys_in(opened) == opened.encryption_keys
    assert rotate(by_variable(opened, NEW)) == Rotation(3, ())


def test_a_rotation_reads_the_keys_that_an_earlier_one_wrote(opened):
    stored(Keyring(opened.encryption_keys))
    rotate(opened)
    assert rotate(opened) == Rotation(3, (), old_keys_removed=True)
    assert problems(*keys_in(opened)) == [""] * 3


def test_concurrent_rotations_lose_no_key(opened):
    stored(Keyring(opened.encryption_keys), 10)
    together = threading.Barrier(4)
    results = []

    def run_rotation():
        with db.connection_context():
            together.wait(5)
            results.append(rotate(opened))

    run_together(*[run_rotation] * 4)
    assert results == [Rotation(10, (), old_keys_removed=True)] * 4
    [key] = keys_in(opened)
    assert problems(key) == [""] * 10


def run_together(*functions):
    """Run each function in its own thread, and wait for all."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)


@pytest.mark.parametrize(
    "content", [b"", b"no key", b"\xff\xfe", None], ids=["empty", "no key", "no text", "gone"]
)
def test_an_unusable_key_file_is_refused_by_name_and_not_changed(opened, content):
    opened.keys_file.unlink() if content is None else opened.keys_file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^TOCSIN_ENCRYPTION_KEYS: "):
        rotate(opened)
    assert (opened.keys_file.read_bytes() if opened.keys_file.exists() else None) == content


# --- stored bodies of deliveries -----------------------------------------------------------------


ENDED = {"delivered", "accepted", "superseded", "dropped"}


def test_a_rotation_encrypts_the_bodies_that_may_be_sent_again_and_deletes_the_others(opened):
    old = Keyring(opened.encryption_keys)
    stored(old, 1)
    states = {stored_body(old, state): state for state in DeliveryState}
    rotate(opened)
    [key] = keys_in(opened)
    expected = {one: None if state in ENDED else "s3cret body" for one, state in states.items()}
    assert bodies(key) == expected
    assert {row.id: row.state for row in Delivery.select()} == states


def test_a_rotation_leaves_bodies_without_a_secret_unchanged(opened):
    old = Keyring(opened.encryption_keys)
    stored(old, 1)
    for state in DeliveryState:
        stored_body(old, state)
    Delivery.update(body='{"text": "no secret"}').execute()
    rotate(opened)
    assert set(bodies().values()) == {'{"text": "no secret"}'}


@pytest.mark.parametrize("damage", ["gAAAAdamaged", "of another delivery", "of another key"])
def test_a_body_that_cannot_be_decrypted_is_deleted_and_prevents_no_rotation(opened, damage):
    old = Keyring(opened.encryption_keys)
    stored(old, 1)
    broken, whole = stored_body(old, "pending"), stored_body(old, "pending")
    tokens = {
        "of another delivery": Delivery.get_by_id(whole).body,
        "of another key": Keyring((OTHER,)).encrypt(body_purpose(broken), {"body": "x"}),
    }
    token = tokens.get(damage, damage)
    Delivery.update(body=token).where(Delivery.id == broken).execute()
    assert rotate(opened) == Rotation(1, (), old_keys_removed=True)
    assert bodies(*keys_in(opened)) == {broken: None, whole: "s3cret body"}


PAGERDUTY = Settings(
    kind="pagerduty",
    timeout=5,
    options=(Header("routing_key", "s3cr3t-routing-key-of-32-letters", True),),
)


class Workers:
    """Workers of one installation, each as if it were a new process, and their wall clock."""

    def __init__(self, config):
        self.config = config
        self.seconds = 1_790_000_000.0
        self.made = []

    def start(self):
        """Start a worker with the keys that the file has now."""
        config = replace(self.config, encryption_keys=keys_in(self.config))
        worker = Worker(config, clock=lambda: self.seconds, monotonic=lambda: self.seconds)
        worker.begin()
        self.made.append(worker)
        return worker

    def attempt(self, worker, number):
        """Run the worker until this number of attempts is stored."""
        self.seconds += 15 * MINUTE / 1000
        for _ in range(200):
            worker.run_once(0.05)
            if Attempt.select().count() == number:
                return
        raise AssertionError([(row.state, row.cause) for row in Delivery.select()])


@pytest.fixture
def workers(app, config, receiver):
    """Yield workers, with a PagerDuty channel to a receiver that fails and an alert for it."""
    db.connect(reuse_if_open=True)
    receiver.script = reply(503)
    stored(Keyring(config.encryption_keys), 1, replace(PAGERDUTY, url=receiver.url))
    workers = Workers(config)
    received = ReceivedAlert("k", AlertParts.from_json({"name": "Disk full", "status": "open"}))
    store([received], int(workers.seconds * 1000))
    yield workers
    for worker in workers.made:
        worker._runs.pool.shutdown(wait=False, cancel_futures=True)


def sent_bodies(receiver):
    return [request.body for request in receiver.requests]


@pytest.mark.parametrize("restart", [True, False], ids=["restarted", "beside the worker"])
def test_a_retry_after_a_rotation_has_the_same_body_and_only_the_new_key(
    workers, config, receiver, restart
):
    worker = workers.start()
    workers.attempt(worker, 1)
    assert is_token(Delivery.get().body)
    rotate(config)
    [key] = keys_in(config)
    [body] = bodies(key).values()
    assert body.encode() == sent_bodies(receiver)[0]
    workers.attempt(workers.start() if restart else worker, 2)
    assert len(set(sent_bodies(receiver))) == 1
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert list(bodies(key).values()) == [body]


def test_a_body_that_cannot_be_decrypted_is_built_and_stored_again(workers, config, receiver):
    workers.attempt(workers.start(), 1)
    Delivery.update(body="gAAAAdamaged").execute()
    rotate(config)
    assert Delivery.get().body is None
    workers.attempt(workers.start(), 2)
    assert len(sent_bodies(receiver)) == 2
    [body] = bodies(*keys_in(config)).values()
    assert body.encode() == sent_bodies(receiver)[1]


def test_bodies_that_a_worker_stores_during_rotations_are_not_lost(workers, config, receiver):
    worker = workers.start()
    received = [
        ReceivedAlert(str(number), AlertParts.from_json({"name": str(number), "status": "open"}))
        for number in range(40)
    ]
    now = int(workers.seconds * 1000)
    store(received, now)
    done = threading.Event()

    def rotating():
        with db.connection_context():
            while not done.is_set():
                rotate(config)

    thread = threading.Thread(target=rotating)
    thread.start()
    try:
        workers.attempt(worker, 41)
    finally:
        done.set()
        thread.join(20)
    rotate(config)
    [key] = keys_in(config)
    stored_bodies = {body.encode() for body in bodies(key).values()}
    assert stored_bodies == set(sent_bodies(receiver))
    assert len(stored_bodies) == 41


def test_a_body_is_encrypted_inside_the_transaction_that_stores_it(workers, monkeypatch):
    original, inside = Keyring.encrypt, []

    def watched(self, purpose, values):
        if purpose.startswith("body "):
            inside.append(db.in_transaction())
        return original(self, purpose, values)

    monkeypatch.setattr(Keyring, "encrypt", watched)
    workers.attempt(workers.start(), 1)
    assert inside == [True]


# --- killed rotations -----------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process."""


# Every step, and how often it runs in a rotation of three channels.
STEPS = [
    (os, "open", 3),
    (os, "fsync", 4),
    (os, "replace", 2),
    (os, "fchown", 2),
    (os, "utime", 2),
    (rotation, "_write", 2),
]
STEPS += [
    (rotation, "_reencrypt", 1),
    (rotation, "_store_key_check", 1),
    (Keyring, "encrypt", 5),
    (Keyring, "decrypt", 5),
]
MOMENTS = [
    (where, name, number, after)
    for where, name, times in STEPS
    for number in range(times)
    for after in (False, True)
]


def kill(monkeypatch, where, name, number, after):
    """End the process right before or after the step runs for this time (counted from 0)."""
    original, taken = getattr(where, name), []

    def step(*args, **kwargs):
        taken.append(name)
        last = len(taken) == number + 1
        if last and not after:
            raise Killed
        result = original(*args, **kwargs)
        if last:
            raise Killed
        return result

    monkeypatch.setattr(where, name, step)


@pytest.mark.parametrize(("where", "name", "number", "after"), MOMENTS)
def test_a_rotation_killed_at_any_step_loses_nothing_and_the_next_one_completes_it(
    opened, monkeypatch, where, name, number, after
):
    stored(Keyring(opened.encryption_keys))
    body = stored_body(Keyring(opened.encryption_keys), "pending")
    check_keys(Keyring(opened.encryption_keys))
    server = Keyring(opened.encryption_keys, opened.keys_file)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with monkeypatch.context() as patched:
        kill(patched, where, name, number, after)
        with pytest.raises(Killed):
            rotate(opened)
    assert problems(*keys_in(opened)) == [""] * 3
    check_keys(Keyring(keys_in(opened)))
    check_keys(server)
    Channel.update(sealed=server.encrypt("channel 1", {"url": FULL.url})).where(
        Channel.id == 1
    ).execute()
    assert rotate(opened) == Rotation(3, (), old_keys_removed=True)
    assert problems(*keys_in(opened)) == [""] * 3
    assert bodies(*keys_in(opened)) == {body: "s3cret body"}
    assert len(keys_in(opened)) == 1


@pytest.mark.parametrize("when", [0, 1])
def test_a_full_disk_is_a_one_line_error_and_loses_nothing(opened, monkeypatch, when):
    stored(Keyring(opened.encryption_keys))
    original, calls = os.replace, []

    def full(*args):
        calls.append(args)
        if len(calls) == when + 1:
            raise OSError(28, "No space left on device")
        return original(*args)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        ConfigError, match=r"^TOCSIN_DATA_DIR: .*cannot be written: No space left on device$"
    ):
        rotate(opened)
    assert problems(*keys_in(opened)) == [""] * 3


def test_a_database_failure_in_the_middle_loses_nothing(opened):
    stored(Keyring(opened.encryption_keys))
    refuse_updates("channel", "NEW.id = 2")
    with pytest.raises(DatabaseError):
        rotate(opened)
    assert problems(*opened.encryption_keys) == [""] * 3
    assert keys_in(opened)[1:] == opened.encryption_keys


@only_sqlite
def test_the_new_key_is_on_disk_before_the_rows_and_the_rows_before_the_old_key_is_removed(
    opened, monkeypatch
):
    stored(Keyring(opened.encryption_keys), 1)
    ChannelVersion.store(1, "saved", "ada", 1)
    stored_body(Keyring(opened.encryption_keys), "pending")
    check_keys(Keyring(opened.encryption_keys))
    events = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(
            os,
            name,
            lambda *args, name=name, original=original: (events.append(name), original(*args))[1],
        )
    db.connection().set_trace_callback(lambda sql: events.append(sql.split()[0]))
    rotate(opened)
    db.connection().set_trace_callback(None)
    steps = [event for event in events if event != "SELECT"]
    written = ["fsync", "replace", "fsync"]
    assert steps == [
        *written,
        "BEGIN",
        "UPDATE",  # the channel
        "UPDATE",  # the bodies that are deleted
        "UPDATE",  # the body that is encrypted again
        "INSERT",
        "COMMIT",
        "BEGIN",
        "UPDATE",  # the version of the channel
        "COMMIT",
        *written,
    ]


# --- beside a running server ----------------------------------------------------------------------


def test_a_running_server_encrypts_with_the_new_key_at_once_and_still_decrypts_older_tokens(opened):
    server = Keyring(opened.encryption_keys, opened.keys_file)
    stored(server)
    typed = server.encrypt("typed auth_secret", {"value": "typed"})
    rows = list(Channel.listed())
    for _ in range(3):
        rotate(opened)
        token = server.encrypt("channel 9", {})
        assert Keyring(keys_in(opened)).decrypt("channel 9", token) == {}
        assert server.decrypt("typed auth_secret", typed) == {"value": "typed"}
        assert [read_settings(row, server) for row in [*rows, *Channel.listed()]] == [
            (FULL, "")
        ] * 6


def test_a_server_that_has_only_the_old_key_reads_the_changed_file(opened):
    stored(Keyring(opened.encryption_keys))
    rotate(opened)
    late = Keyring(opened.encryption_keys, opened.keys_file)
    assert [read_settings(row, late).problem for row in Channel.listed()] == [""] * 3
    assert Keyring(keys_in(opened)).decrypt("x", late.encrypt("x", {})) == {}


@pytest.mark.parametrize("content", [b"", b"no key\n", b"\xff", None, "folder"], ids=repr)
def test_a_file_that_cannot_be_read_leaves_the_keys_unchanged(tmp_path, content):
    file = tmp_path / "encryption.keys"
    file.write_text(f"{NEW}\n{OLD}\n")
    server = Keyring((OTHER,), file)
    before = server.encrypt("x", {"a": 1})
    file.unlink()
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    assert server.decrypt("x", before) == {"a": 1}
    assert Keyring((NEW,)).decrypt("x", server.encrypt("x", {"a": 2})) == {"a": 2}
    with contextlib.suppress(OSError):
        file.rmdir()
    file.write_text(OLD)
    assert Keyring((OLD,)).decrypt("x", server.encrypt("x", {"a": 3})) == {"a": 3}
    assert server.decrypt("x", before) == {"a": 1}
    assert server.decrypt("x", Keyring((OTHER,)).encrypt("x", {})) == {}


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    file = tmp_path / "encryption.keys"
    file.write_text(OLD)
    reads, original = [], keyring_module.read_keys
    monkeypatch.setattr(
        keyring_module, "read_keys", lambda path: (reads.append(path), original(path))[1]
    )
    server = Keyring((OLD,), file)
    for _ in range(100):
        server.decrypt("x", server.encrypt("x", {}))
    assert reads == [file]


def test_a_keyring_without_a_file_keeps_its_keys(opened):
    fixed = Keyring(opened.encryption_keys)
    rotate(opened)
    with pytest.raises(DecryptionError):
        Keyring(keys_in(opened)).decrypt("x", fixed.encrypt("x", {}))


def saved(channel_id, app, number):
    """Save a channel as the page does."""
    with app.test_request_context():
        form = {
            "url": f"https://hooks.example/{number}",
            "auth": "bearer",
            "auth_secret": f"s3cret-{number}",
        }
        version = str(Channel.get_by_id(channel_id).version)
        edit = open_edit(
            channel_id, MultiDict(form_of(name=f"Saved {channel_id}", version=version, **form))
        )
        assert edit.form.validate(), edit.form.invalid_fields()
        save(edit)


def test_saves_during_rotations_are_all_encrypted_with_the_last_key(app, config):
    stored(Keyring(config.encryption_keys), 6)
    together = threading.Barrier(4)
    rotated = threading.Event()
    last = {}

    def saving(channel_id):
        with db.connection_context():
            together.wait(5)
            for number in itertools.count():
                last_round = rotated.is_set()
                saved(channel_id, app, number)
                last[channel_id] = f"s3cret-{number}"
                if last_round:
                    break

    def rotating():
        together.wait(5)
        with db.connection_context():
            results.extend(rotate(config) for _ in range(8))
        rotated.set()

    results: list[Rotation] = []
    run_together(rotating, *(lambda one=one: saving(one) for one in (1, 2, 3)))
    assert results == [Rotation(6, (), old_keys_removed=True)] * 8
    [key] = keys_in(config)
    assert problems(key) == [""] * 6
    opened = {
        channel.id: read_settings(channel, Keyring((key,))).settings for channel in Channel.listed()
    }
    assert {one: opened[one].auth_secret for one in (1, 2, 3)} == last


def test_every_row_is_encrypted_inside_the_transaction_that_stores_it(client, monkeypatch):
    """A rotation beside a running server depends on it."""
    original, inside = Keyring.encrypt, []

    def watched(self, purpose, values):
        if purpose.startswith("channel "):
            inside.append(db.in_transaction())
        return original(self, purpose, values)

    monkeypatch.setattr(Keyring, "encrypt", watched)
    channel_id = create(client, auth="bearer", auth_secret="s3cret")
    client.post(f"/channels/{channel_id}", stored_form(client, channel_id))
    client.post(f"/channels/{channel_id}/duplicate")
    assert inside == [True, True, True]


@only_sqlite
def test_a_transaction_holds_the_write_lock_from_its_beginning(opened):
    statements = []
    db.connection().set_trace_callback(statements.append)
    with db.atomic():
        pass
    db.connection().set_trace_callback(None)
    assert statements == ["BEGIN IMMEDIATE", "COMMIT"]


# --- fingerprints of stored secrets ---------------------------------------------------------------

SECRETS = {
    "auth": "bearer",
    "auth_secret": "s3cret-auth",
    "signing": "standard",
    "signing_secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "signing_secret_old": "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=",
    "headers-0-name": "X-Key",
    "headers-0-value": "s3cret-row",
    "headers-0-secret": "1",
}
URL = "https://hooks.example/x"
TELEGRAM = {
    "kind": "telegram",
    "options-chat_id": "-100",
    "options-bot_token": "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
}
# Every write-only field: the form that sets it, and the name of the field with its message.
WRITE_ONLY = {
    name: (SECRETS, name)
    for name in ("auth_secret", "signing_secret", "signing_secret_old", "headers-0-value")
}
WRITE_ONLY |= {
    f"options-{option.name} of {kind.name}": (
        {
            "kind": kind.name,
            **{
                f"options-{one.name}": "x" * 32
                for one in kind.options
                if one.required or one.secret
            },
        },
        f"options-{option.name}",
    )
    for kind in kinds().values()
    for option in kind.options
    if option.secret
}
write_only = pytest.mark.parametrize(("fields", "name"), WRITE_ONLY.values(), ids=WRITE_ONLY)


def fingerprints(page):
    """Return all fingerprints of a page."""
    return re.findall(r"\(fingerprint ([0-9a-f]{8})\)|stored, not shown · ([0-9a-f]{8})", page)


def fingerprint_of(page, name):
    """Return the fingerprint beside a field, empty when there is none."""
    help_text = re.search(
        rf'id="{name}-help">\s*A secret is stored \(fingerprint ([0-9a-f]{{8}})\)\. '
        "Leave this empty",
        page,
    )
    placeholder = re.search(
        rf'id="{name}"[^>]*placeholder="stored, not shown · ([0-9a-f]{{8}})"', page
    )
    found = help_text or placeholder
    return found[1] if found else ""


def page_of(client, channel_id):
    return client.get(f"/channels/{channel_id}/edit").text


def made(client, fields, **others):
    """Create a channel with these fields, and return its id."""
    return create(client, URL, **{**fields, **others})


@write_only
def test_only_another_value_changes_the_fingerprint_of_a_stored_secret(client, fields, name):
    channel_id = made(client, fields)
    first = fingerprint_of(page_of(client, channel_id), name)
    assert first
    for value, same in (
        ("", True),
        (fields[name], True),
        (another(fields[name]), False),
        (fields[name], True),
    ):
        saved_now = client.post(
            f"/channels/{channel_id}", {**stored_form(client, channel_id), name: value}
        )
        assert saved_now.status_code == 303, saved_now.text
        assert (fingerprint_of(page_of(client, channel_id), name) == first) == same


def another(secret):
    """Return another secret that is valid for the field."""
    return (
        secret.replace("M", "N")
        .replace("Z", "Y")
        .replace("s3cret", "an0ther")
        .replace("xxxx", "yyyy")
    )


def test_fingerprints_are_equal_for_the_same_field_of_two_channels_and_differ_between_fields(
    client,
):
    pages = [
        page_of(
            client,
            made(client, {**SECRETS, "signing_secret_old": SECRETS["signing_secret"]}, name=name),
        )
        for name in "ab"
    ]
    assert fingerprints(pages[0]) == fingerprints(pages[1])
    assert len(set(fingerprints(pages[0]))) == 4


def test_fingerprints_of_two_installations_differ(client, config):
    stored = Settings(auth="bearer", auth_secret="s3cret-auth")
    forms = []
    for key in (config.secret_key, "the secret key of another"):
        services = SimpleNamespace(config=replace(config, secret_key=key))
        forms.append(ChannelForm(Context(stored, lambda _name: False, services)))
    one, two = (form.auth_secret.fingerprint for form in forms)
    assert re.fullmatch(r"[0-9a-f]{8}", one)
    assert one != two


def test_a_typed_secret_has_no_fingerprint(client):
    invalid = {**form_of(URL, name=""), **SECRETS}
    new = client.post("/channels", invalid)
    assert new.status_code == 422
    assert fingerprints(new.text) == []
    channel_id = made(client, SECRETS)
    typed = {
        **stored_form(client, channel_id),
        "name": "",
        "auth_secret": "typed-now",
        "headers-0-value": "typed-now",
    }
    page = client.post(f"/channels/{channel_id}", typed).text
    assert [fingerprint_of(page, name) for name in ("auth_secret", "headers-0-value")] == ["", ""]
    assert fingerprint_of(page, "signing_secret")


def test_a_secret_to_remove_or_of_another_name_or_kind_has_no_fingerprint(client):
    channel_id = made(client, SECRETS)
    form = {
        **stored_form(client, channel_id),
        "auth_secret-remove": "1",
        "headers-0-name": "X-Other",
    }
    page = client.post(f"/channels/{channel_id}", form).text
    assert [fingerprint_of(page, name) for name in ("auth_secret", "headers-0-value")] == ["", ""]
    telegram = create(client, "", **{**TELEGRAM, "name": "Phone"})
    other = client.post(
        f"/channels/{telegram}/kind", {**stored_form(client, telegram), "kind": "webhook"}
    ).text
    assert fingerprints(other) == []


def test_a_rotation_changes_no_fingerprint(client, config):
    channel_id = made(client, SECRETS)
    before = fingerprints(page_of(client, channel_id))
    assert len(before) == 4
    assert rotate(config).old_keys_removed
    assert fingerprints(page_of(client, channel_id)) == before


def test_the_secrets_in_an_open_page_survive_a_rotation(client, config):
    invalid = client.post("/channels", {**form_of(URL, name=""), **SECRETS})
    rotate(config)
    assert client.post("/channels", {**fields_in(invalid.text), "name": "Now"}).status_code == 303
    settings = read_settings(Channel.get(name="Now"), Keyring(keys_in(config))).settings
    assert (settings.auth_secret, settings.headers[0].value) == ("s3cret-auth", "s3cret-row")


# --- keeping, replacing and removing secrets ------------------------------------------------------


@write_only
@pytest.mark.parametrize("action", ["", "/test"], ids=["save", "test"])
def test_no_kept_secret_goes_to_another_origin(client, fields, name, action):
    channel_id = made(client, fields)
    moved = {**stored_form(client, channel_id), "url": "https://elsewhere.example/x"}
    response = client.post(f"/channels/{channel_id}{action}", moved)
    assert response.status_code == 422
    assert "enter it again" in message_at(response.text, name)


@write_only
def test_each_secret_is_kept_replaced_or_removed_explicitly(client, config, fields, name):
    channel_id = made(client, fields)

    def stored_value():
        settings, problem = read_settings(Channel.get_by_id(channel_id), Keyring(keys_in(config)))
        assert problem == ""
        hidden = {f"options-{option.name}": option.value for option in settings.options}
        return (
            {"headers-0-value": "".join(row.value for row in settings.headers)}
            | vars(settings)
            | hidden
        ).get(name, "")

    def post(**changes):
        form = {**stored_form(client, channel_id), **changes}
        return client.post(f"/channels/{channel_id}", form).status_code

    assert (post(), stored_value()) == (303, fields[name])
    assert (post(**{name: another(fields[name])}), stored_value()) == (303, another(fields[name]))
    if name == "headers-0-value":
        removal = {"headers-0-name": "", "headers-0-secret": ""}
    else:
        removal = {f"{name}-remove": "1", **({"auth": "none"} if name == "auth_secret" else {})}
        removal |= {"signing": "none"} if name == "signing_secret" else {}
    if post(**removal) == 303:
        assert stored_value() == ""
    else:  # an option without which no message can be sent
        assert name.startswith("options-")
        assert stored_value() == another(fields[name])


def test_an_interrupted_rotation_changes_no_channel_and_can_be_run_again(config, client, app):
    create(client, name="One")
    create(client, name="Two")
    with db.connection_context():
        before = [channel.sealed for channel in Channel.listed()]
        calls = iter((None,))

        def interrupt(_number):
            if next(calls, "over") == "over":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rotate(config, interrupt)
        assert [channel.sealed for channel in Channel.listed()] == before
        assert rotate(config.with_keys()).reencrypted == 2
