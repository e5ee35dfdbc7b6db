"""The steps of the schema: which ones a database has, and which ones this version knows."""

from pathlib import Path
from typing import Any

from playhouse.migrations import Runner

from config import VERSION
from database.errors import StorageError

MIGRATIONS = Path(__file__).parents[1] / "migrations"
_VERSION = "version"  # the fact with the version of Tocsin that made the last step
_READ_VERSION = "SELECT value FROM fact WHERE name = :name"
_STORE_VERSION = """
    INSERT INTO fact (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""


def runner_of(database: Any) -> Runner:
    """Return what applies the steps to an open database, and takes them back."""
    return Runner(database, str(MIGRATIONS))


def known_steps() -> list[str]:
    """Return the names of all steps that this version knows, in their order."""
    return sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))


def applied_steps(database: Any) -> list[str]:
    """Return the names of the steps that an open database has, in their order."""
    return sorted(runner_of(database).applied())


def migrate(database: Any, where: object) -> None:
    """Apply the missing steps to an open database.

    Raises:
        StorageError: the database is of a newer version.
    """
    refuse_newer(database, where)
    if runner_of(database).up():
        database.execute_sql(_STORE_VERSION, {"name": _VERSION, "value": VERSION})


def refuse_newer(database: Any, where: object) -> None:
    """Refuse a database with steps that this version does not know.

    Raises:
        StorageError: the database is of a newer version.
    """
    unknown = newer_steps(applied_steps(database))
    if not unknown:
        return
    version = version_of(database)
    raise StorageError(
        f"The database {where} belongs to a newer version of Tocsin ({version or 'unknown'}, "
        f"step {unknown[-1]}); this is version {VERSION}, which knows the steps up to "
        f"{known_steps()[-1]}. Install {version or 'the newer version'} again, or take the step "
        "back with it (tocsin migrate --back), or restore a backup of before the upgrade."
    )


def check_reversible(database: Any, where: object) -> str:
    """Return the name of the last step of an open database, which can be taken back.

    Raises:
        StorageError: it cannot, or the database is of a newer version.
    """
    refuse_newer(database, where)
    applied = [step for step in runner_of(database).status() if step.applied]
    if not applied:
        raise StorageError(f"The database {where} has no tables yet.")
    step = applied[-1]
    if not hasattr(step.load(), "down"):
        raise StorageError(
            f"{step.name} cannot be taken back: it has replaced data. Restore a backup of before "
            "the upgrade with the version that wrote it."
        )
    return step.name


def take_back(database: Any) -> None:
    """Take the last step of an open database back, all of it or nothing."""
    runner_of(database).down()


def newer_steps(steps: list[str]) -> list[str]:
    """Return those of the steps that this version does not know, in their order."""
    return sorted(set(steps) - set(known_steps()))


def version_of(database: Any) -> str:
    """Return the version of Tocsin that made the last step; empty if it stored none."""
    row = database.execute_sql(_READ_VERSION, {"name": _VERSION}).fetchone()
    return row[0] if row else ""
