"""Checks of the database, which is only read: with SQLite, no file appears or changes."""

import contextlib
import json
import sqlite3 as standard_sqlite
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from peewee import DatabaseError, sqlite3  # type: ignore[attr-defined]

from clock import DAY, HOUR, MINUTE, SECOND
from config import VERSION, Config
from config.database_url import DatabaseServer
from database import describe_error
from database.schema import known_steps, newer_steps
from database.sqlite import WAL_IS_SAFE
from delivery.queue.pulse import FACT, read_state
from delivery.secrets.encryption import DecryptionError, Keyring, channel_purpose
from models import Fact
from operating.backup import LAST_BACKUP
from operating.doctor.findings import Finding, fine, problem, warning

ERRORS = (sqlite3.Error, standard_sqlite.Error, psycopg.Error, DatabaseError, OSError)
TIMEOUT = 3.0  # seconds
CHECK_STEPS = 200_000_000  # of SQLite's machine: some seconds
MAX_LATENESS = 5 * MINUTE
MAX_AHEAD = MINUTE
MAX_BACKUP_AGE = 7 * DAY
_JOURNAL_BYTE = 18  # https://sqlite.org/fileformat.html: 2 for a write-ahead log
_DATABASE = "database"
_KEYS = "keys"
_CLOCK = "clock"
_DUE = "deliveries"
_BACKUP = "backup"
_HEARTBEAT = "heartbeat"


@contextlib.contextmanager
def reading(config: Config) -> Iterator[Any]:
    """Yield a connection that changes nothing."""
    if isinstance(config.database, DatabaseServer):
        from database.postgresql import database_of

        connection = database_of(config.database).open_connection()
        connection.execute("SET default_transaction_read_only = on")
    else:
        connection = _open_file(config.database)
    with contextlib.closing(connection):
        yield connection


def _open_file(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(2, "unable to open: the database file is missing", str(path))
    mode = "mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        mode += "&immutable=1"  # nobody has it open, and no file is created
    uri = f"{path.absolute().as_uri()}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=TIMEOUT, isolation_level=None)


def check_database(config: Config, connection: Any) -> list[Finding]:
    """Check the file for damage, its journal, and the steps of its schema."""
    found = []
    if isinstance(config.database, Path):
        found += _check_file(config.database, connection)
    steps = [name for (name,) in connection.execute("SELECT name FROM schema_migration")]
    if newer_steps(steps):
        text = f"It is of a newer version (step {max(steps)}) than this one, {VERSION}."
        advice = "Install that version, or run tocsin migrate --back with it."
        found.append(problem(_DATABASE, text, advice))
    elif max(steps) != known_steps()[-1]:
        text = f"It is at step {max(steps)}; this version has {known_steps()[-1]}."
        found.append(warning(_DATABASE, text, "The next start migrates it."))
    else:
        found.append(fine(_DATABASE, f"It can be read, and is at step {max(steps)}."))
    return found


def _check_file(path: Path, connection: Any) -> list[Finding]:
    found = []
    calls = iter(range(CHECK_STEPS // 1_000_000))
    connection.set_progress_handler(lambda: next(calls, None) is None, 1_000_000)
    try:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "interrupt" not in str(error):
            raise
        result = "ok"
        text = "It is so large that only a part was checked."
        found.append(fine(_DATABASE, f"{text} tocsin backup checks all of it."))
    finally:
        connection.set_progress_handler(None, 0)
    if result != "ok":
        found.append(problem(_DATABASE, f"It is damaged: {result}", "Restore a backup."))
    with open(path, "rb") as file:
        journal = "WAL" if file.read(_JOURNAL_BYTE + 1).endswith(b"\2") else "TRUNCATE"
    if not WAL_IS_SAFE:
        text = f"SQLite {sqlite3.sqlite_version} can damage a write-ahead log."
        advice = "Install pysqlite3, or SQLite 3.51.3; until then the slower journal is used."
        found.append(warning("SQLite", text, advice))
    else:
        found.append(fine("SQLite", f"Version {sqlite3.sqlite_version}, journal {journal}."))
    return found


def describe_failure(config: Config, error: Exception) -> Finding:
    """Return the finding for a database that cannot be read."""
    return problem(_DATABASE, describe_error(error, config.database), "")


def check_keys(config: Config, connection: Any) -> list[Finding]:
    """Decrypt every channel."""
    keyring = Keyring(config.encryption_keys)
    failed = []
    count = 0
    rows = connection.execute("SELECT id, name, sealed FROM channel WHERE deleted_at IS NULL")
    for channel_id, name, token in rows:
        count += 1
        try:
            keyring.decrypt(channel_purpose(channel_id), token)
        except DecryptionError:
            failed.append(name)
    if not failed:
        return [fine(_KEYS, f"They decrypt all channels ({count}).")]
    names = ", ".join(failed[:5])
    text = f"They do not decrypt {len(failed)} of {count} channels: {names}."
    advice = "Restore the keys of the time of the database, or enter these secrets again."
    return [problem(_KEYS, text, advice)]


def check_clock(connection: Any, now: int) -> list[Finding]:
    """Compare the clock with the newest times in the database."""
    newest = connection.execute("SELECT coalesce(max(seen_at), 0) FROM alert").fetchone()[0]
    attempted = connection.execute(
        "SELECT coalesce(max(at), 0) FROM attempt WHERE id = (SELECT max(id) FROM attempt)"
    ).fetchone()[0]
    ahead = max(newest, attempted) - now
    if ahead > MAX_AHEAD:
        text = f"The database has times that are {_length(ahead)} in the future."
        advice = "Correct the clock (timedatectl): signatures and closings depend on it."
        return [problem(_CLOCK, text, advice)]
    return [fine(_CLOCK, "It is not behind the newest times in the database.")]


def check_due(connection: Any, now: int) -> list[Finding]:
    """Check whether something has been due for long."""
    row = connection.execute("SELECT min(due_at) FROM delivery WHERE state = 'pending'").fetchone()
    age = now - row[0] if row[0] is not None else 0
    if age > MAX_LATENESS:
        text = f"The oldest has been due for {_length(age)}."
        advice = "Look at the worker, and at /deliveries?state=waiting."
        return [problem(_DUE, text, advice)]
    return [fine(_DUE, "None is overdue.")]


def check_backup(connection: Any, now: int) -> list[Finding]:
    """Check the age of the last backup."""
    facts = _facts(connection)
    advice = "Run tocsin backup every day: docs/operating.md has a line for cron."
    if LAST_BACKUP not in facts:
        return [warning(_BACKUP, "None was written by tocsin backup.", advice)]
    about = json.loads(facts[LAST_BACKUP])
    text = f"The last one is {_length(now - about['at'])} old: {about['path']}."
    if now - about["at"] > MAX_BACKUP_AGE:
        return [warning(_BACKUP, text, advice)]
    return [fine(_BACKUP, text)]


def check_heartbeat(config: Config, connection: Any, now: int) -> list[Finding]:
    """Check whether the monitor outside accepts the heartbeat."""
    if not config.heartbeat_url:
        text = "TOCSIN_HEARTBEAT_URL is not set: nobody notices when Tocsin itself is dead."
        return [fine(_HEARTBEAT, text)]
    facts = _facts(connection)
    state = read_state(facts.get(FACT, ""))
    if state.problem:
        advice = "Check TOCSIN_HEARTBEAT_URL, and whether the monitor can be reached."
        return [problem(_HEARTBEAT, state.problem, advice)]
    if now - state.accepted_at > MAX_LATENESS:
        last = f"The last one was {_length(now - state.accepted_at)} ago."
        text = last if state.accepted_at else "None was ever accepted."
        return [warning(_HEARTBEAT, text, "Start Tocsin; if it runs, look into its log.")]
    return [fine(_HEARTBEAT, f"The last one was {_length(now - state.accepted_at)} ago.")]


def check_provisioning(connection: Any) -> list[Finding]:
    """Check whether the files of TOCSIN_PROVISION were applied at the last start."""
    text = _facts(connection).get(Fact.PROVISIONING_PROBLEM)
    if not text:
        return []
    advice = "Correct the file, and restart Tocsin; until then the channels are as before."
    return [problem("provisioning", text, advice)]


def has_leader(config: Config) -> bool:
    """Return True if a worker on any machine is connected to PostgreSQL."""
    if isinstance(config.database, Path):
        return False
    from database.postgresql import database_of

    database = database_of(config.database)
    with database.connection_context():
        return database.has_leader()


def _facts(connection: Any) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM fact").fetchall())


def _length(milliseconds: int) -> str:
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if milliseconds >= 2 * unit:
            return f"{milliseconds // unit} {name}"
    return f"{max(0, milliseconds) // SECOND} seconds"
