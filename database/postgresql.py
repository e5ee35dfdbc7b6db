"""PostgreSQL: connections, transactions, migrations, error sentences.

A transaction that writes holds one lock of the whole database from its beginning, as in SQLite:
what it decides by reading stays true until it commits, in any number of processes and machines.
"""

import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import peewee
import psycopg
from peewee import DatabaseError, PostgresqlDatabase
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from config.database_url import DatabaseServer
from database.dialect import is_write, translate, translate_definition
from database.errors import StorageError
from database.schema import MIGRATIONS, migrate, runner_of
from database.server_errors import describe_error

SCHEMA = MIGRATIONS / "postgresql.sql"
IN_SCHEMA = "0007_groups_and_health"  # the last migration that the schema has in it
MIN_VERSION = 130_000
CHANNEL = "tocsin"  # of LISTEN and NOTIFY

# Unless the URL has others: a server whose machine is gone is noticed within a minute.
_DEFAULTS: dict[str, Any] = {
    "application_name": "tocsin",
    "connect_timeout": 5,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
RECONNECT_SECONDS = 1.0

# The keys of advisory locks ("TOC" and a number).
_WRITE_LOCK = 0x544F4301
_MIGRATION_LOCK = 0x544F4302
_LEADER_LOCK = 0x544F4303
_NUMBER_LOCK = 0x544F4304  # and the number of a worker
# Compiling a statement takes longer than running it: each reads only a few rows.
_SET_UP = "SET lock_timeout = 5000; SET jit = off"


class _TextDumper(StrDumper):
    """Send text without the character NUL, which PostgreSQL does not store."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


class _FlagDumper(psycopg.adapt.Dumper):
    """Send a bool as 1 or 0 without a type: the columns of flags are integers, as in SQLite."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


# One type for all integers: a statement has one plan, whatever the size of its parameters.
_DUMPERS = ((int, Int8Dumper), (str, _TextDumper), (bool, _FlagDumper))


class _Options(threading.local):
    """How the transactions of a thread begin."""

    begin: tuple[str, ...] = ()


class ServerDatabase(PostgresqlDatabase):
    """PostgreSQL with the interface of `database.sqlite.FileDatabase`."""

    is_shared = True  # processes on other machines may use it
    file = None

    def __init__(self, server: DatabaseServer):
        super().__init__(server.name, prefer_psycopg3=True)
        self.server = server
        self._options = _Options()

    def open_connection(self) -> Any:
        """Return a new connection, which the caller closes."""
        parameters = {**_DEFAULTS, **conninfo_to_dict(self.server.url)}
        connection = psycopg.connect(**parameters, autocommit=True)
        for python_type, dumper in _DUMPERS:
            connection.adapters.register_dumper(python_type, dumper)
        return connection

    def _connect(self):
        connection = self.open_connection()
        connection.execute(_SET_UP)
        return connection

    def check(self) -> None:
        """Replace the connection of this thread if the server has closed it.

        An idle server sends nothing else: what can be read is a farewell.
        """
        connection = self.connection()
        poll = select.poll()
        if not connection.closed:
            poll.register(connection.fileno(), select.POLLIN)
        if connection.closed or poll.poll(0):
            self.close()
            self.connect()

    def begin(self, *_isolation_level) -> None:
        """Begin a transaction, and wait for those of other processes."""
        lock = f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"
        with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
            try:
                # One message to the server: `prepare` would allow one statement only.
                statements = "; ".join(("BEGIN", *self._options.begin, lock))
                self.cursor().execute(statements, prepare=False)
            except psycopg.Error:
                with contextlib.suppress(psycopg.Error):
                    self.cursor().execute("ROLLBACK")
                raise

    def execute_sql(self, sql, params=None):
        """Run a statement of peewee, or one of ours: with names, or with question marks.

        One that writes is always in a transaction, because that waits for the others.
        """
        if isinstance(params, dict):
            sql = translate(sql)
        elif params:
            sql = sql.replace("?", "%s")
        elif sql.startswith(("CREATE TABLE", "ALTER TABLE")):
            sql = translate_definition(sql)
        if self.in_transaction() or not is_write(sql):
            return super().execute_sql(sql, params)
        with self.atomic():
            return super().execute_sql(sql, params)

    def execute_many(self, statement: str, parameters: Iterable[Any]) -> None:
        """Run a statement once for each mapping of parameters, without waiting for each result."""
        rows = list(parameters)
        if not rows:
            return
        with contextlib.ExitStack() as stack:
            if not self.in_transaction():
                stack.enter_context(self.atomic())
            stack.enter_context(peewee.__exception_wrapper__)  # type: ignore[attr-defined]
            self.cursor().executemany(translate(statement), rows)

    @contextlib.contextmanager
    def _beginning_with(self, *statements: str) -> Iterator[None]:
        before = self._options.begin
        self._options.begin = (*before, *statements)
        try:
            yield
        finally:
            self._options.begin = before

    def relaxed_durability(self) -> contextlib.AbstractContextManager[None]:
        """Commit without waiting for the disk of the server."""
        return self._beginning_with("SET LOCAL synchronous_commit = off")

    def without_waiting(self) -> contextlib.AbstractContextManager[None]:
        """Fail at once if another process writes."""
        return self._beginning_with("SET LOCAL lock_timeout = 1")

    @property
    def size(self) -> int:
        """The size of the database in bytes."""
        return self.execute_sql("SELECT pg_database_size(current_database())").fetchone()[0]

    def can_shrink(self) -> bool:
        """Return True: autovacuum makes the space of deleted rows free for new ones."""
        return True

    def shrink(self) -> bool:
        """Return False: the server does that."""
        return False

    def finish_shrinking(self) -> None:
        """Do nothing: the server does that."""

    def analyze(self) -> None:
        """Have the server count the rows that its choice of indexes depends on."""
        self.execute_sql("ANALYZE (SKIP_LOCKED) delivery, notification, alert, attempt")

    def lead(self, _number: int) -> bool:
        """Let the worker of this connection be the leader; return False if another one is.

        The server frees that place when the connection ends.
        """
        statement = f"SELECT pg_try_advisory_lock({_LEADER_LOCK})"
        return self.execute_sql(statement).fetchone()[0]

    def has_leader(self) -> bool:
        """Return True if a worker on any machine is the leader."""
        statement = """
            SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
            WHERE locktype = 'advisory' AND datname = current_database() AND classid = 0
                AND objid = CAST(:lock AS BIGINT)"""
        return self.execute_sql(statement, {"lock": _LEADER_LOCK}).fetchone() is not None

    def take_number(self, number: int) -> bool:
        """Take the number of a worker until this connection ends; return False if it is taken."""
        statement = f"SELECT pg_try_advisory_lock({_NUMBER_LOCK}, {number})"
        return self.execute_sql(statement).fetchone()[0]

    def free_number(self, number: int) -> None:
        """Free the number of a worker."""
        self.execute_sql(f"SELECT pg_advisory_unlock({_NUMBER_LOCK}, {number})")

    def notify(self) -> None:
        """Wake the processes that listen, on every machine."""
        self.execute_sql(f"NOTIFY {CHANNEL}")

    def listen(self, on_wakeup: Callable[[], None]) -> None:
        """Call `on_wakeup` at every `notify`, without end; connect again after a failure."""
        while True:
            with contextlib.suppress(psycopg.Error), self.open_connection() as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                on_wakeup()  # for what came while nobody listened
                for _ in connection.notifies():
                    on_wakeup()
            time.sleep(RECONNECT_SECONDS)


def database_of(server: DatabaseServer) -> ServerDatabase:
    """Return the database of a server, not yet connected. Each thread keeps its own connection."""
    return ServerDatabase(server)


def prepare(database: ServerDatabase) -> None:
    """Create or migrate the tables, one process at a time.

    Raises:
        StorageError: the server cannot be reached, or the database cannot be used.
    """
    try:
        with database.connection_context():
            _check_server(database)
            database.execute_sql("SET lock_timeout = 0")
            database.execute_sql(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
            create_tables(database)
            migrate(database, database.server)
            database.execute_sql(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK})")
            database.execute_sql(_SET_UP)
    except (DatabaseError, psycopg.Error) as error:
        raise StorageError(describe_error(error, database.server)) from error


def create_tables(database: ServerDatabase) -> None:
    """Create the tables in an empty database, as a released step left them."""
    runner = runner_of(database)
    if not runner.applied():
        with database.atomic():
            database.cursor().execute(SCHEMA.read_text(), prepare=False)
            runner.fake(IN_SCHEMA)


def _check_server(database: ServerDatabase) -> None:
    encoding = database.execute_sql("SHOW server_encoding").fetchone()[0]
    if encoding != "UTF8":
        raise StorageError(
            f"The database {database.server} has the encoding {encoding}. Create one with "
            "ENCODING 'UTF8' (and TEMPLATE template0)."
        )
    if database.server_version < MIN_VERSION:
        raise StorageError(f"The server of {database.server} is older than PostgreSQL 13.")
