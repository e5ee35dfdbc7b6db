"""Backups: written while Tocsin runs, checked, rotated, and restored without losing anything."""

import json
import os
import signal
import stat
import sys
import threading
import zipfile
from collections import namedtuple
from contextlib import contextmanager

import pytest
from channels import create
from databases import ON_POSTGRESQL, contents_of, only_postgresql, only_sqlite
from processes import wait_until
from workers import post

import cli
import database
from commands.progress import interruptible, progress
from config import Config
from database import schema
from delivery.secrets.encryption import Keyring
from delivery.secrets.rotation import check_keys, rotate
from delivery.settings import read_settings
from locks import file_lock
from models import Channel, Fact, User, db
from operating import backup
from operating.archive import BackupError
from operating.backup import write_backup
from operating.restore import restore
from operating.running import SERVING, StillRunning

Ran = namedtuple("Ran", "code out err")


@contextmanager
def silent(_label, _total):
    """Stand in for a progress bar."""
    yield lambda _number: None


@pytest.fixture
def filled(app, client, clocks):
    """Return the configuration of an installation with a channel and an alert."""
    create(client, name="Team of the backup", auth="bearer", auth_secret="s3cret")
    with db.connection_context():
        post(clocks, name="Disk full")
    return app.extensions["tocsin"].config


@pytest.fixture
def run(config, monkeypatch, capsys):
    """Return a function that runs the command."""
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.data_dir))
    monkeypatch.setattr(os, "nice", lambda _by: None)

    def run(*arguments):
        return Ran(cli.main([str(argument) for argument in arguments]), *capsys.readouterr())

    return run


@pytest.fixture
def another(tmp_path, request):
    """Return the configuration of an empty place to restore into."""
    environment = {"TOCSIN_DATA_DIR": str(tmp_path / "other")}
    if ON_POSTGRESQL:
        environment["TOCSIN_DATABASE_URL"] = request.getfixturevalue("cluster").create("restored")
    return Config.from_env(environment)


def written(config, target, **options):
    """Write a backup and return its path."""
    with db.connection_context():
        return write_backup(config, target, silent, **{"with_keys": True, **options}).path


def rows_of(location):
    """Return the rows of every table of a database, without facts that the backup itself stores."""
    opened = database.open_database(location)
    found = {}
    with opened.connection_context():
        for model in backup_models():
            rows = map(tuple, opened.execute_sql(f'SELECT * FROM "{model}"').fetchall())
            found[model] = sorted(row for row in rows if row[0] != backup.LAST_BACKUP)
    return found


def backup_models():
    from database.server_copy import tables

    return tables()


def test_a_restored_backup_has_every_row_and_its_keys_decrypt_the_channels(
    filled, another, tmp_path
):
    path = written(filled, tmp_path / "b.zip")
    before = rows_of(filled.database)
    assert restore(path, another, silent, force=False) == []
    assert rows_of(another.database) == before
    restored = another.with_keys(create=False)
    assert restored.encryption_keys == filled.encryption_keys
    database.prepare(another.database)
    with db.connection_context():
        channel = Channel.get(Channel.name == "Team of the backup")
        values = Keyring(restored.encryption_keys).decrypt(f"channel {channel.id}", channel.sealed)
        assert values["auth_secret"] == "s3cret"
        created = User.create(name="new", role="viewer", created_at=1)
        assert created.id > max(row[0] for row in before["user"])
    database.open_database(filled.database)


def test_a_backup_has_all_tables(migrated):
    with database.open_database(migrated).connection_context():
        stored = {name for name in db.get_tables() if not name.startswith("sqlite_")}
    assert stored == {*backup_models(), "schema_migration"}


def test_a_backup_is_private_has_no_keys_unless_wanted_and_says_so(filled, run, tmp_path, caplog):
    path = tmp_path / "b.zip"
    caplog.set_level("INFO", "tocsin.backup")
    ran = run("backup", path)
    assert (ran.code, stat.S_IMODE(path.stat().st_mode)) == (0, 0o600)
    assert "1 channels, 1 alerts, 1 deliveries" in ran.out
    assert "This backup has no keys" in ran.err
    assert "backup written" in caplog.text  # nobody looks on: a line for the journal
    content = zipfile.ZipFile(path)
    for name in content.namelist():
        assert filled.encryption_keys[0].encode() not in content.read(name)
    manifest = json.loads(content.read("manifest.json"))
    assert manifest["version"] == "0.1.0"
    assert manifest["steps"] == schema.known_steps()
    ran = run("backup", "--with-keys", tmp_path / "k.zip")
    assert "This backup has the keys" in ran.err
    keys = zipfile.ZipFile(tmp_path / "k.zip").read("encryption.keys").decode()
    assert keys.split() == list(filled.encryption_keys)
    with db.connection_context():
        assert json.loads(Fact.get_by_id(backup.LAST_BACKUP).value)["path"] == str(
            tmp_path / "k.zip"
        )


def test_a_folder_keeps_the_newest_backups_and_whatever_else_is_in_it(filled, run, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in ("01", "02", "03"):
        (folder / f"tocsin-202601{day}T000000Z.zip").touch()
    (folder / "tocsin-notes.zip").touch()
    (folder / ".tocsin-20260101T000000Z.zip.partial").touch()  # of a backup that was killed
    (folder / ".download.partial").touch()  # of another program
    ran = run("backup", "--keep", 2, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names[:2] == [".download.partial", "tocsin-20260103T000000Z.zip"]
    assert names[-1] == "tocsin-notes.zip"
    assert len(names) == 4
    assert ran.out.count("Deleted: ") == 2


def test_a_backup_beside_a_rotation_has_the_keys_of_before_and_after_it(
    filled, another, tmp_path, monkeypatch
):
    copy = backup._add_tables if ON_POSTGRESQL else backup._add_file

    def rotate_and_copy(*given):
        rotate(filled)
        return copy(*given)

    monkeypatch.setattr(backup, copy.__name__, rotate_and_copy)
    path = written(filled, tmp_path / "b.zip")
    restore(path, another, silent, force=False)
    keys = another.with_keys(create=False).encryption_keys
    assert keys[1:] == filled.encryption_keys
    database.open_database(another.database)
    with db.connection_context():
        check_keys(Keyring(keys))
        assert not read_settings(Channel.get(), Keyring(keys[:1])).problem


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--keep", "2", "file.zip"), "--keep is for a folder"),
        (("notes.txt",), "exists and is not replaced"),
    ],
)
def test_a_backup_never_replaces_another_file(filled, run, tmp_path, arguments, message):
    (tmp_path / "notes.txt").write_text("notes")
    *options, name = arguments
    ran = run("backup", *options, tmp_path / name)
    assert ran.code in (1, 2)
    assert message in ran.err
    assert (tmp_path / "notes.txt").read_text() == "notes"


def test_two_backups_are_not_written_into_a_folder_at_once(filled, run, tmp_path):
    with file_lock(tmp_path):
        assert "Another backup is being written" in run("backup", tmp_path / "b.zip").err


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_backup_leaves_nothing_and_the_older_one_as_it_is(filled, tmp_path, failure):
    folder = tmp_path / "b"
    folder.mkdir()
    path = written(filled, folder / "b.zip")
    before = path.read_bytes()

    @contextmanager
    def failing(label, _total):
        def advance(_number):
            if label == "Reading it back":
                raise failure

        yield advance

    with pytest.raises((KeyboardInterrupt, OSError)), db.connection_context():
        write_backup(filled, path, failing, with_keys=False)
    assert [one.name for one in folder.iterdir()] == ["b.zip"]
    assert path.read_bytes() == before


def test_sigterm_ends_long_work_as_ctrl_c_does():
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(("is_terminal", "shows"), [(True, True), (False, False)])
def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys, is_terminal, shows):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with progress("Copying", 200) as advance:
        advance(100)
    out, err = capsys.readouterr()
    assert (out, "Copying" in err, "100%" in err) == ("", shows, shows)


def test_an_unknown_total_is_a_number_without_an_end(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress("Deleting", 0) as advance:
        advance(7)
        advance(5)
    err = capsys.readouterr().err
    assert "12" in err
    assert "%" not in err


@only_sqlite
def test_a_backup_is_consistent_while_others_write(filled, another, tmp_path, monkeypatch):
    monkeypatch.setattr("database.copying.PAGES_AT_ONCE", 1)
    monkeypatch.setattr("database.copying.REST", 0.001)
    stop = threading.Event()
    sums = []

    def write():
        writer = database.sqlite.database_of(filled.database)
        number = 0
        with writer.connection_context():
            while not stop.is_set():
                number += 1
                with writer.atomic():
                    for name in ("a", "b"):
                        writer.execute_sql(
                            "INSERT INTO fact VALUES (:name, :value) "
                            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                            {"name": name, "value": str(number)},
                        )
                sums.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: sums)
    try:
        path = written(filled, tmp_path / "b.zip")
    finally:
        stop.set()
        thread.join()
    restore(path, another, silent, force=False)
    with database.open_database(another.database).connection_context():
        assert Fact.get_by_id("a").value == Fact.get_by_id("b").value
    database.open_database(filled.database)


# --- restoring ------------------------------------------------------------------------------------


@only_sqlite
def test_what_a_backup_replaces_is_moved_aside_and_only_if_wanted(filled, run, tmp_path):
    path = written(filled, tmp_path / "b.zip")
    db.close()
    before = filled.database.read_bytes()
    ran = run("restore", path)
    assert ran.code == 1
    assert "tocsin.db and" in ran.err
    assert "--force" in ran.err
    assert filled.database.read_bytes() == before
    ran = run("restore", "--force", path)
    assert (ran.code, ran.out.count("Moved aside")) == (0, 3)
    [aside] = filled.data_dir.glob("tocsin.db.before-*Z")
    assert aside.read_bytes() == before
    assert stat.S_IMODE(filled.database.stat().st_mode) == 0o600
    assert list(filled.data_dir.glob("*.restored*")) == []


@only_sqlite
def test_a_damaged_database_and_its_log_are_moved_aside_too(filled, tmp_path):
    path = written(filled, tmp_path / "b.zip")
    db.close()
    filled.database.write_bytes(b"no database")
    log = filled.database.with_name("tocsin.db-wal")
    log.write_bytes(b"its log")
    moved = restore(path, filled, silent, force=True)
    assert not log.exists()
    assert [one.name.endswith("-wal") for one in moved].count(True) == 1


@only_postgresql
def test_a_backup_is_restored_only_into_an_empty_database(filled, tmp_path):
    path = written(filled, tmp_path / "b.zip", with_keys=False)
    db.close()
    before = list(contents_of(filled.database))
    with pytest.raises(BackupError, match="is not empty"):
        restore(path, filled, silent, force=True)
    assert list(contents_of(filled.database)) == before


@pytest.mark.parametrize("name", [SERVING, "worker.lock", "worker-3.lock"])
def test_nothing_is_restored_while_tocsin_runs(filled, tmp_path, name):
    path = written(filled, tmp_path / "b.zip")
    db.close()
    with (
        file_lock(filled.data_dir / name, shared=name == SERVING),
        pytest.raises(StillRunning, match="Stop it first"),
    ):
        restore(path, filled, silent, force=True)


@only_postgresql
def test_nothing_is_restored_while_tocsin_is_connected_from_another_machine(filled, tmp_path):
    path = written(filled, tmp_path / "b.zip")
    with (
        database.postgresql.database_of(filled.database).connection_context(),
        pytest.raises(StillRunning, match="sessions"),
    ):
        restore(path, filled, silent, force=True)


def test_a_running_server_is_backed_up_and_refuses_a_restore(own_live, tmp_path, monkeypatch):
    environment = {"TOCSIN_DATA_DIR": str(own_live.folder / "data")}
    if ON_POSTGRESQL:
        environment["TOCSIN_DATABASE_URL"] = own_live.database.server.url
    config = Config.from_env(environment).with_keys()
    database.open_database(config.database)
    path = written(config, tmp_path / "b.zip")
    with pytest.raises(StillRunning):
        restore(path, config, silent, force=True)


def changed(path, name, change):
    """Write a copy of a backup with another content of a member; without a change, without it."""
    copy = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == name:
                data = change(data) if change else None
            if data is not None:
                new.writestr(member, data)
    return copy


MEMBER = "tables/channel" if ON_POSTGRESQL else "tocsin.db"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (MEMBER, lambda data: data + b"x", "is damaged"),
        (MEMBER, None, "is missing"),
        ("manifest.json", None, "no manifest"),
        ("manifest.json", lambda data: b"{}", "no manifest"),
        ("manifest.json", lambda data: data.replace(b'"format": 1', b'"format": 2'), "format 2"),
        (
            "manifest.json",
            lambda data: data.replace(b"0013_", b"9913_").replace(b"0.1.0", b"7.8.9"),
            r"Tocsin 7\.8\.9 \(step 9913_replays\), which is newer than this version 0\.1\.0",
        ),
        (
            "manifest.json",
            lambda data: data.replace(b'"sqlite"', b'"x"').replace(b'"postgresql"', b'"x"'),
            "a backup of x",
        ),
    ],
)
def test_a_damaged_newer_or_foreign_backup_is_refused(
    filled, another, tmp_path, name, change, message
):
    path = changed(written(filled, tmp_path / "b.zip"), name, change)
    with pytest.raises(BackupError, match=message):
        restore(path, another, silent, force=False)
    assert not (another.data_dir / "tocsin.db").exists()


def test_a_file_that_is_no_backup_is_refused_in_words(run, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(b"not a zip")
    ran = run("restore", path)
    assert (ran.code, "is no backup of Tocsin" in ran.err) == (1, True)


@only_sqlite
@pytest.mark.parametrize(
    ("with_keys", "keys_here", "message"),
    [
        (True, None, "can be restored.\n"),
        (False, "same", "those of this installation decrypt it"),
        (False, "other", "do not decrypt it"),
        (False, None, "there are none here"),
    ],
)
def test_a_check_changes_nothing_and_says_whose_keys_fit(
    filled, run, tmp_path, monkeypatch, with_keys, keys_here, message
):
    path = written(filled, tmp_path / "b.zip", with_keys=with_keys)
    db.close()
    keys = filled.data_dir / "encryption.keys"
    if keys_here == "other":
        keys.write_text("eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=")
    elif keys_here is None:
        keys.unlink()
    before = {one.name: one.read_bytes() for one in filled.data_dir.iterdir() if one.is_file()}
    ran = run("restore", "--check", path)
    assert ran.code == 0, ran.err
    assert message in ran.out
    assert {
        one.name: one.read_bytes() for one in filled.data_dir.iterdir() if one.is_file()
    } == before


def test_a_full_disk_is_noticed_before_anything_is_written(filled, tmp_path, monkeypatch):
    if ON_POSTGRESQL:
        pytest.skip("the size of a compressed dump is not known")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _path: usage(1, 1, 1))
    with pytest.raises(BackupError, match="Free some space"):
        written(filled, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
