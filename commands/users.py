"""`tocsin user`."""

import sys

import click

from clock import DAY, now_ms
from commands.installation import InstallationGroup, find_row
from config import Config
from models import AuditAction, Role, User
from web import filters
from web.accounts import users
from web.accounts.passwords import PasswordChecker

MAX_INPUT_BYTES = 8192

role_type = click.Choice([role.value for role in Role])
password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input: one line, UTF-8.",
)


@click.group("user", cls=InstallationGroup)
def user_group() -> None:
    """Manage users."""


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
    _set_password_or_print_link(find_row(User, name), _read_password(password_stdin))


@user_group.command("role")
@click.argument("name")
@click.argument("role", type=role_type)
def set_role(name: str, role: str) -> None:
    """Change the role of a user; a viewer keeps no token that can change anything."""
    user = find_row(User, name)
    _report(AuditAction.ROLE_CHANGED, f"{user.name}: {role}", users.set_role(user, role))


@user_group.command("remove")
@click.argument("name")
def remove_user(name: str) -> None:
    """Delete a user, end all sessions of the user, and revoke the user's tokens."""
    user = find_row(User, name)
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
