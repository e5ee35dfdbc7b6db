"""Tokens for machines: made once, shown once, known by their hash."""

import re
import secrets
from contextlib import suppress
from typing import NamedTuple

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from peewee import OperationalError

from clock import DAY, MINUTE, now_ms
from database import relaxed_durability
from models import Token, db
from web.accounts.users import AccountError, digest
from web.problems import ApiError

bp = Blueprint("tokens", __name__, url_prefix="/tokens")

SCOPES = {
    "ingest": "post alerts",
    "channels:read": "read channels, without their secrets",
    "channels:write": "make, change, test and delete channels",
    "metrics": "read /metrics",
}
PREFIX = "tocsin_"
# Written out, and read into a tuple: with peewee this would be a fifth of what a post of an alert costs.
_SHOWN = "SELECT id, name, scopes, expires_at, used_at FROM token WHERE digest = ?"
LONGEST_LIFE_DAYS = 3650


class Shown(NamedTuple):
    """The token that a request shows."""

    id: int
    name: str
    scopes: str
    expires_at: int | None
    used_at: int | None


def make(
    name: str, scopes: list[str], days: int | None, made_by: str, now: int
) -> tuple[Token, str]:
    """A new token, and its secret, which nothing can show again; `days` None: it does not expire. Raises Refused."""
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise AccountError("A token's name has 1 to 64 visible characters: what will use it.")
    if Token.get_or_none(Token.name == name):
        raise AccountError(f"There is a token “{name}” already.")
    if not scopes or set(scopes) - set(SCOPES):
        raise AccountError(f"Choose at least one scope of {', '.join(SCOPES)}.")
    if days is not None and not 1 <= days <= LONGEST_LIFE_DAYS:
        raise AccountError(f"A token lives 1 to {LONGEST_LIFE_DAYS} days, or does not expire.")
    secret = PREFIX + secrets.token_urlsafe(32)
    expires = now + days * DAY if days is not None else None
    row = {
        "scopes": " ".join(sorted(set(scopes))),
        "made_by": made_by,
        "created_at": now,
        "expires_at": expires,
    }
    return Token.create(name=name, digest=digest(secret), **row), secret


def bearer(scope: str, now: int) -> None:
    """Lets a request pass that shows a token with this scope, which then is `g.token`. Raises Denied."""
    shown = _shown(scope)
    row = db.execute_sql(_SHOWN, (digest(shown),)).fetchone() if shown else None
    token = Shown(*row) if row else None
    if token is None:
        raise ApiError(
            401,
            "This needs a token."
            if not shown
            else "This token is unknown: it may have been revoked.",
        )
    if token.expires_at is not None and token.expires_at <= now:
        raise ApiError(401, f"The token “{token.name}” has expired.")
    if scope not in token.scopes.split():
        raise ApiError(403, f"The token “{token.name}” lacks the scope {scope}.")
    if token.used_at is None or not 0 <= now - token.used_at < MINUTE:
        _note_use(token, now)
    g.token = token


def _note_use(token: Shown, now: int) -> None:
    """When a token was last used is worth no waiting: while the database is busy or full, the next use is noted."""
    patience = db.execute_sql("PRAGMA busy_timeout").fetchone()[0]
    db.execute_sql("PRAGMA busy_timeout = 0")
    try:
        with suppress(OperationalError), relaxed_durability():
            Token.update(used_at=now).where(Token.id == token.id).execute()
    finally:
        db.execute_sql(f"PRAGMA busy_timeout = {patience}")


def _shown(scope: str) -> str:
    """The token of a request. Senders of alerts may have only a URL, or a user name and a password."""
    given = request.authorization
    if given and given.type == "bearer":
        return given.token or ""
    if scope != "ingest":
        return ""
    return (
        (given.password or "")
        if given and given.type == "basic"
        else (request.view_args or {}).get("token", "")
    )


# --- the page ----------------------------------------------------------------------------------------------------------


@bp.get("")
def index():
    """All tokens; none can be read again."""
    return _page()


def _page(status: int = 200, **shown):
    return render_template(
        "tokens/index.html", tokens=Token.listed(), scopes=SCOPES, now=now_ms(), **shown
    ), status


@bp.post("")
def add():
    """A new token, shown this once."""
    days = request.form.get("days", "")
    try:
        if days and not re.fullmatch("[0-9]{1,4}", days, re.ASCII):
            raise AccountError(
                "Enter the days that the token lives as a whole number, or leave them empty."
            )
        token, secret = make(
            request.form.get("name", ""),
            request.form.getlist("scope"),
            int(days) if days else None,
            g.person.name,
            now_ms(),
        )
    except AccountError as refused:
        return _page(422, words=str(refused), posted=request.form)
    return _page(token=token, secret=secret)


@bp.post("/<int:token_id>/revoke")
def revoke(token_id: int):
    """Ends a token: whatever shows it is refused from now on."""
    token = Token.get_or_none(Token.id == token_id) or abort(
        404, "There is no such token. It may have been revoked."
    )
    token.delete_instance()
    flash(f"The token “{token.name}” is revoked.")
    return redirect(url_for("tokens.index"), 303)
