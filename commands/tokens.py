"""`tocsin token`."""

import click

from clock import now_ms
from commands.installation import InstallationGroup, find_row
from models import AuditAction, Token
from web import filters
from web.accounts import api_tokens, users


@click.group("token", cls=InstallationGroup)
def token_group() -> None:
    """Manage API tokens."""


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
    token = find_row(Token, name)
    token.delete_instance()
    users.record_command(AuditAction.TOKEN_REVOKED, f"“{token.name}”", now_ms())
