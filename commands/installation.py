"""Commands on an installation: each runs with an open database."""

from typing import Any

import click
from flask import g
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


class AppCommand(click.Command):
    """A command that uses the rules of the pages, with the app as `obj`.

    What it does is recorded in the audit log as done by the command.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Assemble the app and run the command in its context; `--help` does not get here."""
        from app import create_app  # other commands do not wait for the pages

        ctx.obj = create_app(Config.from_env())
        config = ctx.obj.extensions["tocsin"].config
        try:
            with ctx.obj.app_context(), db.connection_context():
                g.acting = users.THE_COMMAND
                return super().invoke(ctx)
        except DatabaseError as error:
            raise database.StorageError(database.describe_error(error, config.database)) from error


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
