"""`tocsin prune`."""

import click

from clock import now_ms
from commands.installation import InstallationCommand
from commands.progress import interruptible, progress
from config import Config
from delivery.queue.pruner import prune_now
from models import db


@click.command(cls=InstallationCommand)
@click.option("--days", type=click.IntRange(1, 3650), help="Days to keep, for once.")
@click.pass_obj
def prune(config: Config, days: int | None) -> None:
    """Delete old data and shrink the database, also while a server runs."""
    before = db.size
    with interruptible(), progress("Deleting", 0) as advance:
        counts = prune_now(config, days or config.keep_days, now_ms(), advance)
    deleted = [f"{count:,} {name}" for name, count in counts.items() if count]
    click.echo(f"Deleted: {', '.join(deleted) or 'nothing'}.")
    after = db.size
    click.echo(f"The database has {after / 1e6:,.1f} MB; it had {before / 1e6:,.1f} MB.")
