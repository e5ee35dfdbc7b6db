"""`tocsin keys`."""

import click

from clock import now_ms
from commands.installation import InstallationGroup
from commands.progress import interruptible, progress
from config import Config
from delivery.secrets import rotation
from models import AuditAction, Channel
from web.accounts import users


@click.group("keys", cls=InstallationGroup)
def keys_group() -> None:
    """Manage the encryption keys."""


@keys_group.command("rotate")
@click.pass_obj
def rotate_keys(config: Config) -> None:
    """Encrypt the URL and the secrets of every channel with a new key."""
    with interruptible(), progress("Encrypting", 2 * Channel.listed().count()) as advance:
        result = rotation.rotate(config, advance)
    users.record_command(AuditAction.KEYS_ROTATED, f"{result.reencrypted} channels", now_ms())
    source = config.keys_file or "TOCSIN_ENCRYPTION_KEYS"
    click.echo(f"Channels encrypted with the first key of {source}: {result.reencrypted}.")
    if result.undecryptable:
        raise click.ClickException(
            f"These channels could not be decrypted: {', '.join(result.undecryptable)}. "
            "Keep the old keys, enter the URL and secrets of these channels again, "
            "and rotate again."
        )
    if result.old_keys_removed:
        click.echo("The old keys were removed from it.")
    else:
        click.echo("You can remove all other keys from it now.")
