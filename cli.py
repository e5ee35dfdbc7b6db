"""The `tocsin` command.

Results go to standard output, notes and errors to standard error. Exit codes: 0 success, 1 refused,
2 wrong usage or an installation that cannot be used, 130 interrupted.
"""

import sys
from typing import Any

import click
from peewee import DatabaseError

import database
from clock import DAY, now_ms
from config import VERSION, Config, ConfigError
from delivery.queue.pruner import prune_now
from delivery.secrets import rotation
from models import AuditAction, Role, Token, User, db
from serving import worker_process
from serving.server import serve as run_server
from startup import open_installation, prepare
from web import filters
from web.accounts import api_tokens, users
from web.accounts.passwords import PasswordChecker

MAX_INPUT_BYTES = 8192


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    try:
        tocsin.main(arguments, prog_name="tocsin", standalone_mode=False)
        return 0
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except users.AccountError as error:
        return _fail(error, 1)
    except UnicodeError:
        return _fail("A name or a password is not UTF-8.", 1)
    except (ConfigError, database.StorageError, OSError) as error:
        return _fail(error, 2)


def _fail(message: object, code: int) -> int:
    click.echo(f"tocsin: {message}", err=True)
    return code


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


@click.group()
@click.version_option(VERSION, message="tocsin %(version)s")
def tocsin() -> None:
    """Deliver alerts to webhook channels and show what happened."""


@tocsin.group("user", cls=InstallationGroup)
def user_group() -> None:
    """Manage users."""


@tocsin.group("token", cls=InstallationGroup)
def token_group() -> None:
    """Manage API tokens."""


@tocsin.group("keys", cls=InstallationGroup)
def keys_group() -> None:
    """Manage the encryption keys."""


# --- processes ------------------------------------------------------------------------------------


@tocsin.command()
@click.option("--no-worker", is_flag=True, help="Serve the pages only; run a worker elsewhere.")
def serve(no_worker: bool) -> None:
    """Serve the pages and deliver alerts until stopped."""
    run_server(prepare(Config.from_env()), with_worker=not no_worker)


@tocsin.command()
@click.option("--lock", type=int, hidden=True, help="Descriptor of the worker's lock.")
@click.option("--parent", type=int, hidden=True, help="The process that supervises this one.")
@click.option("--slot", type=int, default=0, hidden=True, help="The number of this worker.")
@click.option("--core", type=int, hidden=True, help="The core that this worker is bound to.")
@click.option("--bind", hidden=True, help="Where the pages are, if not at TOCSIN_BIND.")
@click.option("--file", type=(int, int), hidden=True, help="Device and inode of the database.")
@click.option("--crashed", is_flag=True, hidden=True, help="The worker before this one crashed.")
def worker(lock: int | None, **given: Any) -> None:
    """Deliver alerts until stopped, in TOCSIN_SENDERS processes.

    On one data folder, a second one waits until the first has ended.
    """
    config = Config.from_env()
    if lock is None:
        worker_process.supervise(open_installation(config))
    else:
        worker_process.run(config, lock, **given)


@tocsin.command(cls=InstallationCommand)
@click.option("--days", type=click.IntRange(1, 3650), help="Days to keep, for once.")
@click.pass_obj
def prune(config: Config, days: int | None) -> None:
    """Delete old data and shrink the database, also while a server runs."""
    before = db.size
    counts = prune_now(config, days or config.keep_days, now_ms())
    deleted = [f"{count:,} {name}" for name, count in counts.items() if count]
    click.echo(f"Deleted: {', '.join(deleted) or 'nothing'}.")
    after = db.size
    click.echo(f"The database has {after / 1e6:,.1f} MB; it had {before / 1e6:,.1f} MB.")


# --- users ----------------------------------------------------------------------------------------

role_type = click.Choice([role.value for role in Role])
password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input: one line, UTF-8.",
)


@user_group.command("list")
def list_users() -> None:
    """List the users: name, role, last visit, password."""
    for user in User.listed():
        password = "password" if user.password else "no password"
        seen = filters.ago(user.seen_at, now_ms())
        click.echo(f"{user.name:20}  {user.role:6}  last here {seen:14}  {password}")


@user_group.command("add")
@click.argument("name")
@click.option("--role", type=role_type, default=Role.VIEWER.value, show_default=True)
@password_option
def add_user(name: str, role: str, password_stdin: bool) -> None:
    """Create a user and print a sign-up link, unless a password is given."""
    password_hash = _read_password(password_stdin)
    user = users.add(name, role, now_ms())
    users.record_command(AuditAction.USER_ADDED, f"{user.name}, {role}", now_ms())
    _set_password_or_print_link(user, password_hash)


@user_group.command("password")
@click.argument("name")
@password_option
def set_password(name: str, password_stdin: bool) -> None:
    """Print a link to choose a new password, or set the given one.

    A new password ends all sessions of the user.
    """
    _set_password_or_print_link(_find(User, name), _read_password(password_stdin))


@user_group.command("role")
@click.argument("name")
@click.argument("role", type=role_type)
def set_role(name: str, role: str) -> None:
    """Change the role of a user; a viewer keeps no token that can change anything."""
    user = _find(User, name)
    _report(AuditAction.ROLE_CHANGED, f"{user.name}: {role}", users.set_role(user, role))


@user_group.command("remove")
@click.argument("name")
def remove_user(name: str) -> None:
    """Delete a user, end all sessions of the user, and revoke the user's tokens."""
    user = _find(User, name)
    _report(AuditAction.USER_REMOVED, user.name, users.remove(user))


def _report(action: AuditAction, detail: str, revoked: list[str]) -> None:
    users.record_command(action, detail, now_ms(), revoked)
    if revoked:
        click.echo(f"These tokens of the user are revoked: {', '.join(revoked)}.", err=True)


@click.pass_obj
def _read_password(config: Config, password_stdin: bool) -> str:
    """Return the hash of a password from standard input, or from a prompt on a terminal.

    Without `--password-stdin`, return an empty string.
    """
    if not password_stdin:
        return ""
    if not sys.stdin:
        password = ""
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.buffer.readline(MAX_INPUT_BYTES).decode("utf-8-sig").rstrip("\r\n")
    return PasswordChecker(config.data_dir).hash(password)


@click.pass_obj
def _set_password_or_print_link(config: Config, user: User, password_hash: str) -> None:
    if password_hash:
        users.set_password(user, password_hash)
        users.record_command(AuditAction.PASSWORD_CHANGED, user.name, now_ms())
        return
    users.record_command(AuditAction.USER_INVITED, user.name, now_ms())
    click.echo(f"{config.base_url}/setup/{users.create_invitation(user, now_ms())}")
    days = users.INVITATION_LIFETIME // DAY
    click.echo(f"Give this link to {user.name}. It works once, for {days} days.", err=True)


# --- tokens ---------------------------------------------------------------------------------------


@token_group.command("list")
def list_tokens() -> None:
    """List the tokens: name, last use, expiry, scopes."""
    for token in Token.listed():
        expires = "never" if token.expires_at is None else filters.moment(token.expires_at)
        uses = f"last used {filters.ago(token.used_at, now_ms()):14}  expires {expires:20}"
        click.echo(f"{token.name:20}  {uses}  {token.scopes}")


@token_group.command("add")
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(api_tokens.SCOPES), multiple=True, required=True
)
@click.option("--days", type=int, help="Days until the token expires; without it, never.")
def add_token(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Create a token and print it; it cannot be shown again."""
    token, secret = api_tokens.create_token(name, list(scopes), days, users.THE_COMMAND, now_ms())
    users.record_command(AuditAction.TOKEN_CREATED, f"“{token.name}”: {token.scopes}", now_ms())
    click.echo(secret)
    click.echo("Store this token now. It cannot be shown again.", err=True)


@token_group.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> None:
    """Delete a token; requests with it are refused from then on."""
    token = _find(Token, name)
    token.delete_instance()
    users.record_command(AuditAction.TOKEN_REVOKED, f"“{token.name}”", now_ms())


# --- keys -----------------------------------------------------------------------------------------


@keys_group.command("rotate")
@click.pass_obj
def rotate_keys(config: Config) -> None:
    """Encrypt the URL and the secrets of every channel with a new key."""
    result = rotation.rotate(config)
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


# --- shared ---------------------------------------------------------------------------------------


def _find(table: type[User] | type[Token], name: str) -> Any:
    row = table.named(name.strip())
    if row is None:
        raise users.AccountError(f"There is no {table._meta.name} “{name.strip()}”.")
    return row


if __name__ == "__main__":
    sys.exit(main())
