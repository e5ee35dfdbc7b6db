"""The `tocsin` command: what is asked for goes to standard output, words about it to standard error."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click
from gunicorn.app.wsgiapp import WSGIApplication
from peewee import DatabaseError

import database
from clock import DAY, now_ms
from config import VERSION, Config, ConfigError
from delivery.secrets import rotation
from delivery.worker import work
from models import Role, Token, User, db
from startup import prepare
from supervisor import Supervisor, die_with_parent
from web import filters
from web.accounts import passwords, users
from web.auth import tokens


def main(arguments: list[str] | None = None) -> int:
    """Runs a subcommand; the exit code: 0 done, 1 refused, 2 a wrong call, or an installation that cannot be used."""
    try:
        tocsin.main(arguments, prog_name="tocsin", standalone_mode=False)
        return 0
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (users.AccountError, UnicodeError, ConfigError, database.StorageError, OSError) as error:
        click.echo(
            f"tocsin: {'A name or a password is not UTF-8.' if isinstance(error, UnicodeError) else error}",
            err=True,
        )
        return 1 if isinstance(error, users.AccountError | UnicodeError) else 2


class InstallationCommand(click.Command):
    """A command on an installation: its database is open, `obj` its configuration, `user` and `token` are rows, not names."""

    def invoke(self, ctx: click.Context) -> Any:
        """Opens the database for the command itself; its `--help` needs none."""
        ctx.obj = Config.from_env().with_keys()
        database.prepare(ctx.obj.database)
        try:
            with db.connection_context():
                ctx.params |= {
                    key: _found(TABLES[key], ctx.params[key])
                    for key in TABLES.keys() & ctx.params.keys()
                }
                return super().invoke(ctx)
        except DatabaseError as error:
            raise database.StorageError(database.describe_error(error, ctx.obj.database)) from error


def _found(table: Any, name: str) -> User | Token:
    if row := table.get_or_none(table.name == name.strip()):
        return row
    raise users.AccountError(f"There is no {table._meta.name} “{name.strip()}”.")


TABLES = {"user": User, "token": Token}
NAME, ROLE = (
    click.Argument(["name"]),
    click.Argument(["role"], type=click.Choice([role.value for role in Role])),
)
USER, TOKEN = click.Argument(["user"], metavar="NAME"), click.Argument(["token"], metavar="NAME")
STDIN = click.Option(
    ["--password-stdin"],
    is_flag=True,
    help="Set the password that is on standard input: one line, UTF-8.",
)
SCOPES = click.Option(
    ["--scope", "scopes"], type=click.Choice([*tokens.SCOPES]), multiple=True, required=True
)
people = click.Group("user", help="People who may sign in.")
machines = click.Group("token", help="Tokens, which machines show instead of signing in.")
keys = click.Group("keys", help="The keys that seal URLs and secrets.")
people.command_class = machines.command_class = keys.command_class = InstallationCommand
tocsin = click.Group(
    "tocsin",
    commands=[people, machines, keys],
    help="Webhook notification channels that say what happened.",
)
click.version_option(VERSION, message="tocsin %(version)s")(tocsin)


@tocsin.command()
@click.option(
    "--no-worker",
    is_flag=True,
    help="Serve the pages alone; a worker runs elsewhere (tocsin worker).",
)
def serve(no_worker: bool) -> int:
    """Serve the pages, and deliver, until it is stopped."""
    prepare(Config.from_env())
    return Supervisor(_web, with_worker=not no_worker).run()


def _web() -> None:
    sys.argv = ["tocsin", "--config", str(Path(__file__).with_name("gunicorn.conf.py")), "wsgi:app"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="tocsin").run()


@tocsin.command()
@click.option("--parent", type=int, default=0, hidden=True)
@click.option("--crashed", is_flag=True, hidden=True)
def worker(parent: int, crashed: bool) -> int:
    """Deliver until it is stopped; one at a time works, a second one waits."""
    stop, config = threading.Event(), Config.from_env().with_keys()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    if parent:
        die_with_parent()
        if os.getppid() != parent:
            return 0
        database.open_database(config.database)  # the parent has looked it over
    else:
        database.prepare(config.database)
    work(config, stop, crashed)
    sys.stdout.flush()
    os._exit(0)  # a thread that still waits for a receiver must not hold up the end


@people.command("list")
def list_users() -> None:
    """Show everybody: name, role, last visit, password."""
    for user in User.listed():
        here = "never" if user.seen_at is None else filters.ago(user.seen_at, now_ms())
        click.echo(
            f"{user.name:20}  {user.role:6}  last here {here:14}  {'password' if user.password else 'no password'}"
        )


@people.command(
    "add",
    params=[
        NAME,
        click.Option(["--role"], type=ROLE.type, default=Role.VIEWER.value, show_default=True),
        STDIN,
    ],
)
def add_user(name: str, role: str, password_stdin: bool) -> None:
    """Let somebody in, and print the link with which they choose a password, unless one is given."""
    hashed = _hash() if password_stdin else ""
    _let_in(users.add(name, role, now_ms()), hashed)


@people.command("password", params=[USER, STDIN])
def set_password(user: User, password_stdin: bool) -> None:
    """Print a link to choose a new password, unless one is given; a new one signs them out everywhere."""
    _let_in(user, _hash() if password_stdin else "")


@click.pass_obj
def _hash(config: Config) -> str:
    """The hash of the password on standard input; on a terminal it is asked for, and not shown."""
    if sys.stdin and sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = (
            (sys.stdin.buffer.readline(8192) if sys.stdin else b"")
            .decode("utf-8-sig")
            .rstrip("\r\n")
        )
    return passwords.Passwords(config.data_dir).hash(given)


@click.pass_obj
def _let_in(config: Config, user: User, hashed: str) -> None:
    if hashed:
        return users.set_password(user, hashed)
    click.echo(f"{config.base_url}/setup/{users.invite(user, now_ms())}")
    return click.echo(
        f"Give it to {user.name}: it is good once, for {users.INVITED_FOR // DAY} days.", err=True
    )


people.command("role", params=[USER, ROLE], help="Make somebody an editor or a viewer.")(
    users.set_role
)
people.command("remove", params=[USER], help="Remove somebody, and sign them out everywhere.")(
    users.remove
)
machines.command("revoke", params=[TOKEN], help="End a token: it is refused then.")(
    lambda token: token.delete_instance()
)


@machines.command("list")
def list_tokens() -> None:
    """Show all tokens: name, scopes, last use, expiry."""
    for token in Token.listed():
        used = "never" if token.used_at is None else filters.ago(token.used_at, now_ms())
        expires = "never" if token.expires_at is None else filters.moment(token.expires_at)
        click.echo(f"{token.name:20}  last used {used:14}  expires {expires:20}  {token.scopes}")


@machines.command(
    "add",
    params=[NAME, SCOPES, click.Option(["--days"], type=int, help="Until it expires; else never.")],
)
def add_token(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Print a new token, which nothing can show again."""
    click.echo(tokens.make(name, list(scopes), days, "the command", now_ms())[1])
    click.echo("Keep this token now: it is shown only this once.", err=True)


@keys.command("rotate")
@click.pass_obj
def rotate_keys(config: Config) -> None:
    """Seal the URL and the secrets of every channel with a new key."""
    done, where = rotation.rotate(config), config.keys_file or "TOCSIN_ENCRYPTION_KEYS"
    click.echo(
        f"Channels whose URL and secrets are sealed with the first key of {where}: {done.resealed}."
    )
    if done.left:
        words = "These could not be opened: {}. Keep the other keys, enter their URL and secrets again, and rotate again."
        raise click.ClickException(words.format(", ".join(done.left)))
    click.echo(
        "The old keys are gone from it."
        if done.dropped
        else "Any other key in it may be taken out now."
    )


if __name__ == "__main__":
    sys.exit(main())
