"""Bearer tokens: the check of a request's token, and the page of tokens."""

import re
from collections.abc import Sequence
from contextlib import suppress

from flask import Blueprint, abort, g, render_template, request
from peewee import OperationalError

from clock import MINUTE, now_ms
from database import relaxed_durability, without_waiting
from models import AuditAction, Token, User, db
from web import audit
from web.accounts.api_tokens import SCOPES, create_token
from web.accounts.users import THE_COMMAND, AccountError, digest
from web.problems import ApiError
from web.redirects import redirect_with

bp = Blueprint("tokens", __name__, url_prefix="/tokens")

# Plain SQL: a peewee query would take a fifth of the time that a posted alert costs.
_FIND_TOKEN = "SELECT id, name, scopes, expires_at, used_at FROM token WHERE digest = ?"


def require_token(scopes: Sequence[str], anywhere: bool) -> None:
    """Check the request's token, and store its id in `g.token_id`.

    With `anywhere`, it may be the password or a part of the path.

    Raises:
        ApiError: the token is missing, unknown, expired, or has none of the scopes.
    """
    secret = _request_secret(anywhere)
    if not secret:
        raise ApiError(401, "This endpoint needs a token.")
    g.token_id = check_token(secret, scopes, now_ms())


def check_token(secret: str, scopes: Sequence[str], now: int) -> int:
    """Return the id of the token with this secret, and record that it is used.

    Raises:
        ApiError: the token is unknown, expired, or has none of the scopes.
    """
    row = db.execute_sql(_FIND_TOKEN, (digest(secret),)).fetchone()
    if row is None:
        raise ApiError(401, "This token is unknown. It may have been revoked.")
    token_id, name, held, expires_at, used_at = row
    if expires_at is not None and expires_at <= now:
        raise ApiError(401, f"The token “{name}” has expired.")
    if set(scopes).isdisjoint(held.split()):
        raise ApiError(403, f"The token “{name}” lacks the scope {' or '.join(scopes)}.")
    if used_at is None or not 0 <= now - used_at < MINUTE:
        _record_use(token_id, now)
    return token_id


def _record_use(token_id: int, now: int) -> None:
    """Store the time without waiting; a busy or full database is ignored until the next use."""
    with without_waiting(), suppress(OperationalError), relaxed_durability():
        Token.set_by_id(token_id, {"used_at": now})


def _request_secret(anywhere: bool) -> str:
    """Return the token's secret; empty without one."""
    authorization = request.authorization
    if authorization and authorization.type == "bearer":
        return authorization.token or ""
    if not anywhere:
        return ""
    if authorization and authorization.type == "basic":
        return authorization.password or ""
    return (request.view_args or {}).get("token", "")


# --- the page -------------------------------------------------------------------------------------


@bp.get("")
def index():
    """Show the tokens, without their secrets."""
    return _page()


@bp.post("")
def add():
    """Create a token and show its secret once."""
    form = request.form
    token, secret = create_token(
        form.get("name", ""),
        form.getlist("scope"),
        _days(form.get("days", "")),
        g.person.name,
        now_ms(),
    )
    audit.record(AuditAction.TOKEN_CREATED, f"“{token.name}”: {token.scopes}")
    return _page(token=token, secret=secret)


@bp.post("/<int:token_id>/revoke")
def revoke(token_id: int):
    """Delete a token; requests with it are refused from then on."""
    token = Token.get_or_none(Token.id == token_id) or abort(
        404, "There is no such token. It may have been revoked."
    )
    token.delete_instance()
    audit.record(AuditAction.TOKEN_REVOKED, f"“{token.name}”")
    return redirect_with(f"The token “{token.name}” is revoked.", "tokens.index")


@bp.errorhandler(AccountError)
def invalid(error: AccountError):
    """Show the page again with the form as it was sent."""
    return _page(422, message=str(error), posted=request.form)


def _days(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,4}", text, re.ASCII):
        raise AccountError("Enter the days as a whole number, or leave the field empty.")
    return int(text)


def _page(status: int = 200, **context):
    html = render_template(
        "tokens/index.html",
        tokens=Token.listed(),
        creators={"", THE_COMMAND, *(user.name for user in User.listed())},
        scopes=SCOPES,
        **context,
    )
    return html, status
