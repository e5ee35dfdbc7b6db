"""`tocsin migrate`."""

from datetime import UTC, datetime
from pathlib import Path

import click

import database
from commands.progress import interruptible, progress
from config import VERSION, Config
from database.schema import (
    applied_steps,
    check_reversible,
    known_steps,
    newer_steps,
    take_back,
)
from models import db
from operating.archive import BackupError
from operating.backup import write_backup
from operating.running import StillRunning, not_running
from startup import open_installation


@click.command()
@click.option("--list", "only_list", is_flag=True, help="Show the steps; change nothing.")
@click.option("--back", is_flag=True, help="Take the last step back, after a backup.")
def migrate(only_list: bool, back: bool) -> None:
    """Bring the database to this version; every start does it as well.

    With --back, the last step is taken back: for the version before this one.
    """
    config = Config.from_env()
    if only_list:
        _list(config)
    elif back:
        _take_back(config)
    else:
        open_installation(config)
        with db.connection_context():
            click.echo(f"The database is at step {applied_steps(db)[-1]}.")


def _list(config: Config) -> None:
    """Show which steps the database has, and which ones this version knows."""
    applied: list[str] = []
    if not isinstance(config.database, Path) or config.database.exists():
        opened = database.open_database(config.database)
        with opened.connection_context():
            applied = applied_steps(opened)
    for name in sorted({*known_steps(), *applied}):
        state = "applied" if name in applied else "not applied"
        if name in newer_steps(applied):
            state = "applied by a newer version"
        click.echo(f"{name:32}  {state}")


def _take_back(config: Config) -> None:
    """Take the last step back, where Tocsin does not run, after writing a backup."""
    config = config.with_keys(create=False)
    opened = database.open_database(config.database)
    try:
        with not_running(config), opened.connection_context(), interruptible():
            step = check_reversible(opened, config.database)
            time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            target = config.data_dir / f"before-{step}-{time}.zip"
            write_backup(config, target, progress, with_keys=False)
            click.echo(f"Backup written to {target}.")
            take_back(opened)
    except (StillRunning, BackupError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{step} is taken back. Start the version before {VERSION} now: this version makes the "
        "step again when it starts."
    )
