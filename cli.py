"""The `tocsin` command.

Results go to standard output, notes and errors to standard error. Exit codes: 0 success, 1 refused,
2 wrong usage or an installation that cannot be used, 130 interrupted.
"""

import sys

import click

from commands.backup import backup, restore_backup
from commands.channels import channels_group
from commands.doctor import doctor
from commands.importing import import_group
from commands.keys import keys_group
from commands.migrate import migrate
from commands.processes import serve, worker
from commands.prune import prune
from commands.tokens import token_group
from commands.users import user_group
from config import VERSION, ConfigError
from database import StorageError
from web.accounts.users import AccountError
from web.transfer.reading import FileError


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    try:
        code = tocsin.main(arguments, prog_name="tocsin", standalone_mode=False)
        return code or 0
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except AccountError as error:
        return _fail(error, 1)
    except UnicodeError:
        return _fail("A name or a password is not UTF-8.", 1)
    except FileError as error:
        return _fail(f"Nothing was imported: {error}", 1)
    except (ConfigError, StorageError, OSError) as error:
        return _fail(error, 2)


def _fail(message: object, code: int) -> int:
    click.echo(f"tocsin: {message}", err=True)
    return code


@click.group()
@click.version_option(VERSION, message="tocsin %(version)s")
def tocsin() -> None:
    """Deliver alerts to webhook channels and show what happened."""


COMMANDS = (
    serve,
    worker,
    backup,
    restore_backup,
    migrate,
    doctor,
    prune,
    user_group,
    token_group,
    keys_group,
    channels_group,
    import_group,
)
for command in COMMANDS:
    tocsin.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
