"""Whether Tocsin runs on an installation, and keeping it from starting."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from config import Config
from config.database_url import DatabaseServer
from locks import file_lock

SERVING = "serving.lock"  # every web process shares it


class StillRunning(Exception):
    """Tocsin runs on the installation; the message says what to do."""


@contextlib.contextmanager
def not_running(config: Config) -> Iterator[None]:
    """Keep the processes of a data folder from running.

    Raises:
        StillRunning: one of them runs.
    """
    with contextlib.ExitStack() as stack:
        for path in _locks(config.data_dir):
            try:
                stack.enter_context(file_lock(path, wait=False))
            except BlockingIOError:
                raise StillRunning(
                    f"Tocsin runs on {config.data_dir} ({path.name} is locked). Stop it first: "
                    "tocsin serve, tocsin worker, and whatever starts them again."
                ) from None
        if isinstance(config.database, Path):
            lock = config.database.with_name(f"{config.database.name}.lock")
            stack.enter_context(file_lock(lock))
        else:
            _refuse_sessions(config.database)
        yield


def _locks(folder: Path) -> list[Path]:
    return [folder / SERVING, *sorted(folder.glob("worker*.lock"))]


def _refuse_sessions(server: DatabaseServer) -> None:
    """Refuse if another session of Tocsin is connected to a server, from whichever machine."""
    from database.postgresql import database_of

    database = database_of(server)
    with database.connection_context():
        count = database.execute_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = current_setting('application_name') "
            "AND pid <> pg_backend_pid()"
        ).fetchone()[0]
    if count:
        raise StillRunning(
            f"Tocsin is connected to the database {server} ({count} sessions). Stop it on every "
            "machine first."
        )
