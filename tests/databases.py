"""The database of the tests: SQLite, or PostgreSQL with TOCSIN_TEST_DATABASE=postgresql."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from database import postgresql, sqlite
from models import db

ON_POSTGRESQL = os.environ.get("TOCSIN_TEST_DATABASE") == "postgresql"
_OPTIONS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=200",
)

only_sqlite = pytest.mark.skipif(ON_POSTGRESQL, reason="This is about SQLite and its file")
only_postgresql = pytest.mark.skipif(
    not ON_POSTGRESQL, reason="This needs PostgreSQL: TOCSIN_TEST_DATABASE=postgresql"
)


def database_at(location):
    """Return a database, not yet connected, as another process would open it."""
    if isinstance(location, Path):
        return sqlite.database_of(location)
    return postgresql.database_of(location)


def contents_of(location):
    """Yield the parts of a database with their names: the bytes of its files, or of its rows."""
    if isinstance(location, Path):
        for file in location.parent.glob(f"{location.name}*"):
            yield file.name, file.read_bytes()
        return
    tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
    with psycopg.connect(location.url) as connection:
        for (table,) in connection.execute(tables).fetchall():
            for (row,) in connection.execute(f"SELECT t::text FROM {table} t"):
                yield table, row.encode()


@contextlib.contextmanager
def another_writer(location):
    """Hold the lock of those who write, as another process does in a transaction."""
    other = database_at(location)
    with other.connection_context(), other.atomic():
        yield


def set_patience(milliseconds):
    """Set how long the connection of the test waits for another writer; at least 1 ms."""
    name = "SET lock_timeout" if ON_POSTGRESQL else "PRAGMA busy_timeout"
    db.execute_sql(f"{name} = {milliseconds}")


def make_read_only():
    """Have the connection of the test refuse to write."""
    if ON_POSTGRESQL:
        db.execute_sql("SET default_transaction_read_only = on")
    else:
        db.execute_sql("PRAGMA query_only = 1")


def refuse_updates(table, condition):
    """Have the database refuse to update the rows of a table that meet a condition."""
    trigger = f"CREATE TRIGGER refuse BEFORE UPDATE ON {table}"
    if not ON_POSTGRESQL:
        db.execute_sql(f"{trigger} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'no'); END")
        return
    db.execute_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$"
    )
    db.execute_sql(f"{trigger} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()")


def programs():
    """Return the folder of PostgreSQL's programs; without them, skip the test, or fail in CI."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    if found:
        folders.append(Path(found).parent)
    if folders:
        return folders[-1]
    if os.environ.get("CI") == "true":
        pytest.fail("PostgreSQL is missing, and CI does not skip its tests")
    return pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")


def running_cluster():
    """Yield a server of PostgreSQL, and delete it afterwards."""
    cluster = Cluster(tempfile.mkdtemp(prefix="pg"))
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.folder)


class Cluster:
    """A server of PostgreSQL on a socket in a folder, whose data no power cut survives."""

    def __init__(self, folder):
        self._bin = programs()
        # The path of a socket has 107 characters at most.
        self.folder = Path(os.path.realpath(folder))
        self._as_user = []
        if os.geteuid() == 0:
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-D", self.folder / "data", "-A", "trust", "-U", "tocsin", "--no-sync")
        self.start()

    def _run(self, program, *arguments):
        command = [*self._as_user, str(self._bin / program), *map(str, arguments)]
        subprocess.run(
            command,
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def start(self):
        options = " ".join(f'-c "{option}"' for option in _OPTIONS)
        options += f' -k "{self.folder}"'
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-o", options, "-l", log, "-w", "start")

    def stop(self):
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    @contextlib.contextmanager
    def stopped(self):
        """Stop the server as a crash does, and start it again after the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def url(self, name):
        """Return the URL of a database."""
        return f"postgresql:///{name}?host={self.folder}&user=tocsin"

    def ensure(self, name):
        """Create a database unless it exists, and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            exists = found.fetchone()
        return self.url(name) if exists else self.create(name)

    def create(self, name, template="template0"):
        """Create a database in place of an earlier one, and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8' STRATEGY file_copy"
            )
        return self.url(name)
