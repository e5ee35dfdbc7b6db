"""`tocsin backup` and `tocsin restore`."""

import logging
import os
import sys
from pathlib import Path

import click

from clock import now_ms
from commands.installation import InstallationCommand
from commands.progress import interruptible, progress
from config import Config
from database import StorageError
from logs import log_to_stderr
from models import AuditAction
from operating.archive import BackupError
from operating.backup import write_backup
from operating.restore import check, read_backup, restore
from operating.running import StillRunning
from web.accounts import users

_NICENESS = 10  # pages and deliveries come first
_WITHOUT_KEYS = (
    "This backup has no keys. Without encryption.keys of the data folder (or "
    "TOCSIN_ENCRYPTION_KEYS) nobody can decrypt the URLs and secrets of its channels: "
    "keep a copy of the keys in another place, or use --with-keys."
)
_WITH_KEYS = "This backup has the keys: with it, anybody can read every secret of the channels."

log = logging.getLogger("tocsin.backup")


@click.command(cls=InstallationCommand)
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--with-keys/--without-keys", default=False, show_default=True, help="Add the keys to it."
)
@click.option("--keep", type=click.IntRange(1), help="Backups to keep in the folder; without, all.")
@click.pass_obj
def backup(config: Config, target: Path, with_keys: bool, keep: int | None) -> None:
    """Write a backup to a file, or into a folder with the time as its name.

    It can run beside a server. The file is read back before it gets its name.
    """
    os.nice(_NICENESS)
    if keep and not target.is_dir():
        raise click.UsageError("--keep is for a folder, and this is none.")
    try:
        with interruptible():
            written = write_backup(config, target, progress, with_keys=with_keys, keep=keep or 0)
    except (BackupError, StorageError) as error:
        _log(config, logging.ERROR, f"no backup was written: {error}")
        raise click.ClickException(str(error)) from error
    counts = ", ".join(f"{number:,} {name}" for name, number in _plural(written.manifest.counts))
    megabytes = written.path.stat().st_size / 1e6
    sentence = f"{written.path} ({megabytes:,.1f} MB): {counts}"
    users.record_command(AuditAction.BACKUP_WRITTEN, written.path.name, now_ms())
    _log(config, logging.INFO, f"backup written: {sentence}")
    click.echo(f"Backup written to {sentence}.")
    for path in written.deleted:
        click.echo(f"Deleted: {path}")
    click.echo(_WITH_KEYS if with_keys else _WITHOUT_KEYS, err=True)


@click.command("restore")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--check", "only_check", is_flag=True, help="Check it, and change nothing.")
@click.option("--force", is_flag=True, help="Move aside what is in its place.")
def restore_backup(path: Path, only_check: bool, force: bool) -> None:
    """Restore a backup into the data folder, or into an empty database of PostgreSQL.

    Tocsin must not run there.
    """
    config = Config.from_env()
    try:
        with interruptible():
            if only_check:
                note = check(path, config, progress)
                _show(path, config)
                click.echo(f"It is whole and can be restored. {note}".strip())
                return
            moved = restore(path, config, progress, force=force)
    except (BackupError, StillRunning) as error:
        raise click.ClickException(str(error)) from error
    _show(path, config)
    for aside in moved:
        click.echo(f"Moved aside: {aside}")
    click.echo("It is restored. Start Tocsin; what was sent since the backup may be sent again.")


def _show(path: Path, config: Config) -> None:
    manifest = read_backup(path, config)
    counts = ", ".join(f"{number:,} {name}" for name, number in _plural(manifest.counts))
    keys = "with keys" if manifest.has_keys else "without keys"
    click.echo(f"{path}: of {manifest.created_at} by Tocsin {manifest.version}, {keys}: {counts}.")


def _plural(counts: dict[str, int]) -> list[tuple[str, int]]:
    names = {"delivery": "deliveries"}
    return [(names.get(name, f"{name}s"), number) for name, number in counts.items()]


def _log(config: Config, level: int, message: str) -> None:
    """Write a line with the time where nobody looks on, such as under cron."""
    if not sys.stderr.isatty():
        log_to_stderr(config.log_format)
        log.log(level, message)
