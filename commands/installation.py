"""Commands on an installation: each runs with an open database."""

from typing import Any

import click
from peewee import DatabaseError

import database
from config import Config
from models import Token, User, db
from startup import open_installation
from web.accounts import users


class InstallationCommand(click.Command):
    """A command on an installation, with an open database and the configuration as `obj`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Open the database and run the command; `--help` does not get here."""
        ctx.obj = open_installation(Config.from_env())
        try:
            with db.connection_context():
                return super().invoke(ctx)
        except DatabaseError as error:
            raise database.StorageError(database.describe_error(error, ctx.obj.database)) from error


class InstallationGroup(click.Group):
    """A group of commands on an installation."""

    command_class = InstallationCommand


def find_row(table: type[User] | type[Token], name: str) -> Any:
    """Return the row with this name.

    Raises:
        AccountError: there is none.
    """
    row = table.named(name.strip())
    if row is None:
        raise users.AccountError(f"There is no {table._meta.name} “{name.strip()}”.")
    return row
