"""`tocsin import`: move in from another system."""

from collections.abc import Callable

import click

from commands.channels import ChannelsGroup, read_input
from commands.plans import carry_out
from config.references import read_reference
from web.transfer import alertmanager, grafana, uptrace
from web.transfer.foreign import Translation


@click.group("import", cls=ChannelsGroup)
def import_group() -> None:
    """Create channels from the configuration of another system.

    What cannot be carried over is listed with its line. The same file changes nothing the second
    time.
    """


def _add(name: str, translate: Callable[[str], Translation], help_text: str) -> None:
    @import_group.command(name, help=help_text)
    @click.argument("file", type=click.Path(allow_dash=True))
    @click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
    @click.option("--yes", is_flag=True, help="Do not ask before changing channels.")
    def command(file: str, dry_run: bool, yes: bool) -> None:
        translation = translate(read_input(file))
        for note in sorted(translation.notes):
            click.echo(f"{file}, {note}", err=True)
        carry_out(translation.entries, file, resolve=read_reference, dry_run=dry_run, yes=yes)


_add(
    "alertmanager",
    alertmanager.translate,
    "Import alertmanager.yml: receivers become channels, and routes their matchers and groups.",
)
_add(
    "grafana",
    grafana.translate,
    "Import a provisioning file with contactPoints, and the policies if it has them.",
)
_add(
    "uptrace",
    uptrace.translate,
    "Import notification channels: the rows of notif_channels as a JSON list. FILE may be - for "
    "standard input.",
)
