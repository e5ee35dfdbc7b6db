"""`tocsin channels`: export and import."""

import os
import sys
from pathlib import Path

import click

from commands.installation import AppCommand
from commands.plans import carry_out
from config.references import read_reference
from models import AuditAction, Channel
from web import audit
from web.transfer.documents import read_channels
from web.transfer.export import Export, FileFormat, Secrets, export_channels
from web.transfer.reading import MAX_FILE_BYTES, FileError


class ChannelsGroup(click.Group):
    """A group of commands that use the rules of the pages."""

    command_class = AppCommand


@click.group("channels", cls=ChannelsGroup)
def channels_group() -> None:
    """Export channels into a file, and import them from one."""


@channels_group.command("export")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--format", "form", type=click.Choice([one.value for one in FileFormat]), default="yaml"
)
@click.option(
    "--secrets",
    type=click.Choice([one.value for one in Secrets]),
    default=Secrets.FINGERPRINTS.value,
    show_default=True,
    help="How the URL and the secrets are written: as fingerprints, which an import keeps; as "
    "names of environment variables; or in clear.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write a file, mode 0600.")
def export_command(names: tuple[str, ...], form: str, secrets: str, output: Path | None) -> None:
    """Write all channels, or those with these names, into a file."""
    channels = list(Channel.listed())
    missing = set(names) - {channel.name for channel in channels}
    if missing:
        raise click.ClickException(f"There is no channel {_quoted(missing)}.")
    if names:
        channels = [channel for channel in channels if channel.name in names]
    export = export_channels(channels, Secrets(secrets), FileFormat(form))
    audit.record(AuditAction.CHANNELS_EXPORTED, f"{len(channels)}, secrets: {secrets}")
    _write(export.text, output)
    _report(export)


def _quoted(names: set[str]) -> str:
    return ", ".join(f"“{name}”" for name in sorted(names))


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


def _report(export: Export) -> None:
    if export.variables:
        click.echo(f"Set these variables for the import: {', '.join(export.variables)}", err=True)
    if export.damaged:
        lines = "\n".join(export.damaged)
        raise click.ClickException(f"These channels are damaged and not in the file:\n{lines}")


@channels_group.command("import")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before changing channels.")
def import_command(file: str, dry_run: bool, yes: bool) -> None:
    """Create and change channels as a file says, all or none of them.

    FILE may be - for standard input. Channels that the file does not name stay as they are.
    """
    entries = read_channels(read_input(file))
    carry_out(entries, file, resolve=read_reference, dry_run=dry_run, yes=yes)


def read_input(file: str) -> str:
    """Return the text of a file, or of standard input for `-`.

    Raises:
        FileError: it is too large, or not UTF-8.
    """
    stream = sys.stdin.buffer if file == "-" else open(file, "rb")  # noqa: SIM115 (closed below)
    with stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise FileError(1, f"the file is larger than {MAX_FILE_BYTES // 2**20} MB.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(line, "the file is not UTF-8.") from None
