"""`tocsin doctor`: what it finds, and that it changes nothing."""

import contextlib
import json
import os
import time
from collections import namedtuple

import pytest
from channels import create
from databases import another_writer, contents_of, only_sqlite
from peewee import sqlite3
from workers import post

import cli
import database
from clock import DAY, HOUR, now_ms
from config import Config
from delivery.queue import heartbeat
from locks import file_lock
from models import Delivery, Fact, db
from operating.backup import LAST_BACKUP
from operating.doctor import files, settings
from operating.doctor.examination import examine
from operating.running import SERVING

Ran = namedtuple("Ran", "code out err")
SHA = "sha384-" + "a" * 64


@pytest.fixture
def environ(config):
    """Return the environment of the test's installation."""
    location = config.database
    url = getattr(location, "url", f"sqlite:///{location}")
    os.chmod(config.data_dir, 0o700)
    for path in config.data_dir.iterdir():
        path.chmod(0o600)
    return {"TOCSIN_DATA_DIR": str(config.data_dir), "TOCSIN_DATABASE_URL": url}


@pytest.fixture
def doctor(environ, monkeypatch, capsys):
    """Return a function that runs the command."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def run(*arguments):
        return Ran(cli.main(["doctor", *arguments]), *capsys.readouterr())

    return run


def levels(found):
    """Return the worst level of each subject."""
    order = ["ok", "warning", "problem"]
    worst = {}
    for finding in found:
        before = worst.get(finding.subject, "ok")
        worst[finding.subject] = max(before, str(finding.level), key=order.index)
    return worst


def snapshot(folder):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}


def test_a_sound_installation_has_no_problem_and_nothing_is_changed(config, environ, doctor, app):
    db.close()
    before = snapshot(config.data_dir)
    stored = list(contents_of(config.database))
    ran = doctor()
    assert ran.code == 0, ran.out
    assert "problem" not in ran.out
    assert snapshot(config.data_dir) == before
    assert list(contents_of(config.database)) == stored
    rows = json.loads(doctor("--json").out)
    assert {row["level"] for row in rows} <= {"ok", "warning"}
    assert {"database", "keys", "clock", "worker"} <= {row["subject"] for row in rows}


def test_every_line_begins_with_its_level_and_a_problem_has_exit_code_1(doctor, monkeypatch):
    monkeypatch.setenv("TOCSIN_KEEP_DAYS", "none")
    ran = doctor()
    assert ran.code == 1
    assert "problem  variables: TOCSIN_KEEP_DAYS" in ran.out
    assert "→ Correct the variable." in ran.out
    for line in ran.out.splitlines():
        assert line.startswith(("ok ", "warning ", "problem ", "         → "))


@only_sqlite
@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "missing"), (b"no database at all" * 100, "damaged"), (b"", "cannot be used")],
)
def test_a_missing_or_damaged_database_is_one_problem_among_other_lines(
    config, environ, content, words
):
    config.database.unlink()
    if content is not None:
        config.database.write_bytes(content)
        config.database.chmod(0o600)
    found = examine(environ)
    assert levels(found)["database"] == "problem"
    [text] = [one.text for one in found if one.subject == "database" and one.level == "problem"]
    assert words in text
    assert "address policy" in levels(found)
    assert config.database.exists() == (content is not None)


@only_sqlite
def test_a_locked_database_is_said_to_be_busy(config, environ, monkeypatch):
    monkeypatch.setattr("operating.doctor.data.TIMEOUT", 0.05)
    with contextlib.closing(sqlite3.connect(config.database, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        config.database.with_name("tocsin.db-wal").touch()  # as if it were in use
        found = examine(environ)
    [text] = [one.text for one in found if one.level == "problem"]
    assert "busy" in text


def test_a_writer_beside_it_does_not_matter(config, environ, app):
    with another_writer(config.database):
        assert levels(examine(environ))["database"] == "ok"


def test_keys_that_do_not_decrypt_a_channel_are_named(config, environ, client):
    create(client, name="Team of the keys")
    environ["TOCSIN_ENCRYPTION_KEYS"] = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
    [text] = [one.text for one in examine(environ) if one.subject == "keys"]
    assert "1 of 1 channels: Team of the keys" in text
    del environ["TOCSIN_ENCRYPTION_KEYS"]
    (config.data_dir / "encryption.keys").unlink()
    assert levels(examine(environ))["keys"] == "problem"


def test_a_newer_database_and_an_older_one_are_told_apart(environ, app):
    with db.connection_context():
        last = db.execute_sql("SELECT max(name) FROM schema_migration").fetchone()[0]
        statement = "UPDATE schema_migration SET name = :new WHERE name = :name"
        db.execute_sql(statement, {"new": "9999_x", "name": last})
    assert levels(examine(environ))["database"] == "problem"
    with db.connection_context():
        db.execute_sql("DELETE FROM schema_migration WHERE name = '9999_x'")
    assert levels(examine(environ))["database"] == "warning"


def test_a_clock_behind_the_database_and_an_overdue_delivery_are_problems(environ, client, clocks):
    create(client)
    with db.connection_context():
        post(clocks)
        db.execute_sql("UPDATE alert SET seen_at = :at", {"at": now_ms() + HOUR + 1000})
        Delivery.update(due_at=now_ms() - HOUR).execute()
    found = {one.subject: one.text for one in examine(environ)}
    assert "60 minutes in the future" in found["clock"]
    assert "due for 60 minutes" in found["deliveries"]


@pytest.mark.parametrize(("age", "level"), [(None, "warning"), (DAY, "ok"), (9 * DAY, "warning")])
def test_the_age_of_the_last_backup(environ, app, age, level):
    if age is not None:
        with db.connection_context():
            about = {"at": now_ms() - age, "path": "/b.zip", "has_keys": False}
            Fact.store(LAST_BACKUP, json.dumps(about))
    assert levels(examine(environ))["backup"] == level


def test_a_silent_worker_is_a_problem_only_while_tocsin_serves(config):
    path = heartbeat.lock_path(config.data_dir)
    assert levels(files.check_worker(config, False)) == {"worker": "ok"}
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert levels(files.check_worker(config, False)) == {"worker": "warning"}
    with file_lock(config.data_dir / SERVING, shared=True):
        assert levels(files.check_worker(config, False)) == {"worker": "problem"}
    assert levels(files.check_worker(config, True)) == {"worker": "ok"}


def test_keys_and_folders_that_others_can_use_are_named_with_the_command(config, environ):
    assert levels(files.check_permissions(config)) == {"data folder": "ok"}
    config.data_dir.chmod(0o755)
    assert levels(files.check_permissions(config)) == {"data folder": "warning"}
    (config.data_dir / "encryption.keys").chmod(0o644)
    found = files.check_permissions(config)
    assert levels(found) == {"data folder": "problem"}
    assert "chmod 600" in " ".join(one.advice for one in found)


def test_little_disk_space_is_a_problem(config, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _path: usage(1, 1, 10**6))
    assert levels(files.check_space(config)) == {"disk space": "problem"}


@pytest.mark.parametrize(
    ("variables", "check", "level"),
    [
        ({}, settings.check_policy, "ok"),
        ({"ALLOW_NETWORKS": "10.0.0.0/8,nas.lan:80"}, settings.check_policy, "ok"),
        ({"ALLOW_NETWORKS": "127.0.0.1:9093"}, settings.check_policy, "ok"),
        ({"ALLOW_NETWORKS": "127.0.0.0/8"}, settings.check_policy, "warning"),
        ({"ALLOW_NETWORKS": "localhost"}, settings.check_policy, "warning"),
        ({"ALLOW_NETWORKS": "::/0"}, settings.check_policy, "warning"),
        ({"ALLOW_NETWORKS": "8.8.8.8"}, settings.check_policy, "warning"),
        ({}, settings.check_script, "ok"),
        ({"HTMX_INTEGRITY": SHA}, settings.check_script, "problem"),
        ({"HTMX_URL": "https://cdn.example/h.js"}, settings.check_script, "warning"),
        (
            {"HTMX_URL": "https://cdn.example/h.js", "HTMX_INTEGRITY": SHA},
            settings.check_script,
            "ok",
        ),
        (
            {
                "HTMX_URL": "http://cdn.example/h.js",
                "HTMX_INTEGRITY": SHA,
                "PUBLIC_URL": "https://tocsin.example",
            },
            settings.check_script,
            "problem",
        ),
        ({}, settings.check_proxy, "ok"),
        ({"BIND": "0.0.0.0:8000"}, settings.check_proxy, "warning"),
        ({"PUBLIC_URL": "https://tocsin.example"}, settings.check_proxy, "warning"),
        ({"TRUSTED_PROXIES": "127.0.0.1"}, settings.check_proxy, "warning"),
        (
            {"PUBLIC_URL": "https://tocsin.example", "TRUSTED_PROXIES": "127.0.0.1"},
            settings.check_proxy,
            "ok",
        ),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, settings.check_proxy, "problem"),
    ],
)
def test_settings_are_judged_without_the_network(tmp_path, variables, check, level):
    variables = {f"TOCSIN_{name}": value for name, value in variables.items()}
    found = check(Config.from_env({"TOCSIN_DATA_DIR": str(tmp_path), **variables}))
    assert {finding.level for finding in found} == {level}
    assert all(finding.advice for finding in found if level != "ok")


def test_a_misspelt_variable_is_a_warning(environ):
    environ["TOCSIN_PUBLC_URL"] = "https://x.example"
    found = examine(environ)
    assert levels(found)["variables"] == "warning"
    assert "TOCSIN_PUBLIC_URL" in found[0].text


def test_a_server_that_is_gone_is_a_problem(environ):
    environ["TOCSIN_DATABASE_URL"] = "postgresql://tocsin:s3cret@127.0.0.1:9/none"
    found = examine(environ)
    assert levels(found)["database"] == "problem"
    assert "s3cret" not in str(found)
    database.open_database(Config.from_env(environ).database)


URL = "https://monitor.example/s3cret"


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [
        ({"accepted_at": 10_000}, "ok", "The last one was 10 seconds ago."),
        ({"accepted_at": 10 * 60_000}, "warning", "The last one was 10 minutes ago."),
        ({}, "warning", "None was ever accepted."),
        ({"accepted_at": 10_000, "problem": "It broke."}, "problem", "It broke."),
    ],
)
def test_it_says_whether_the_monitor_accepts_the_heartbeat(app, environ, state, level, words):
    if "accepted_at" in state:
        state = {**state, "accepted_at": now_ms() - state["accepted_at"]}
    with db.connection_context():
        Fact.store("heartbeat", json.dumps(state))
    found = examine({**environ, "TOCSIN_HEARTBEAT_URL": URL})
    [finding] = [one for one in found if one.subject == "heartbeat"]
    assert (finding.level, finding.text) == (level, words)
    assert "s3cret" not in str(found)


def test_without_a_monitor_it_names_the_variable(environ):
    [finding] = [one for one in examine(environ) if one.subject == "heartbeat"]
    assert finding.level == "ok"
    assert "TOCSIN_HEARTBEAT_URL" in finding.text


def test_files_that_were_not_provisioned_are_a_problem(config, environ, app):
    assert "provisioning" not in levels(examine(environ))
    Fact.store(Fact.PROVISIONING_PROBLEM, "TOCSIN_PROVISION: a.yml: line 3: there is a mistake.")
    assert levels(examine(environ))["provisioning"] == "problem"
