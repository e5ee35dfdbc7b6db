"""The audit log: who did what, and the page that shows it.

The page only reads: no request changes or deletes an entry.
"""

import re

from flask import Blueprint, abort, g, render_template, request
from peewee import fn

from clock import MINUTE, now_ms
from models import MAX_ID, AuditAction, AuditEntry, Channel, Token, User, db

bp = Blueprint("audit", __name__)

PAGE_SIZE = 50
REFUSAL_WINDOW = 15 * MINUTE
MAX_OFTEN = 100  # entries of one action and user in that time
MAX_REFUSALS = 10  # entries of one window: guessing passwords does not fill the log
# Not the name that was typed: it may be a password in the wrong field.
UNKNOWN_NAME = "a name that no user has"


def actor() -> str:
    """Return who makes this request: the name of the user, or the token; empty for a stranger.

    Outside of requests, it is the part of Tocsin that `acting` names.
    """
    if "acting" in g:
        return g.acting
    person = g.get("person")
    if person:
        return person.name
    token = Token.get_or_none(Token.id == g.get("token_id"))
    return f"token “{token.name}”" if token else ""


def named(channel: Channel) -> str:
    """Return a channel as the details of entries name it."""
    return f"“{channel.name}” (channel {channel.id})"


def record(action: AuditAction, detail: str, made_by: str = "") -> None:
    """Add what this request does to the audit log, by its user or token unless that is given."""
    address = request.remote_addr if request else ""
    AuditEntry.record(action, made_by or actor(), detail, now_ms(), address or "")


def record_often(action: AuditAction, detail: str) -> None:
    """Add what may be done again and again, but not so often that it flushes the log."""
    since = now_ms() - REFUSAL_WINDOW
    same = (AuditEntry.action == action) & (AuditEntry.made_by == actor())
    if AuditEntry.select().where(same, AuditEntry.at > since).count() < MAX_OFTEN:
        record(action, detail)


def record_refusal(name: str) -> None:
    """Add a refused sign-in with a typed name, unless there are similar or many entries of late."""
    user = User.named(name.strip())
    detail = user.name if user else UNKNOWN_NAME
    now = now_ms()
    refused = AuditEntry.action == AuditAction.SIGN_IN_REFUSED
    recent = AuditEntry.at.between(now - REFUSAL_WINDOW, now)
    similar = (AuditEntry.detail == detail) & (AuditEntry.address == request.remote_addr)
    with db.atomic():
        entries = AuditEntry.select().where(refused, recent)
        if entries.count() < MAX_REFUSALS and not entries.where(similar).exists():
            record(AuditAction.SIGN_IN_REFUSED, detail)


@bp.get("/audit")
def index():
    """Show the entries, newest first, one page at a time."""
    names = ("action", "by", "text", "before")
    query = {name: request.args[name].strip() for name in names if request.args.get(name)}
    entries = _page_of_entries(query)
    older = None
    if len(entries) > PAGE_SIZE:
        entries.pop()
        older = {**query, "before": entries[-1].id}
    return render_template(
        "audit/index.html",
        query=query,
        entries=entries,
        older=older,
        actions=list(AuditAction),
        users=User.listed(),
    )


def _page_of_entries(query: dict[str, str]) -> list[AuditEntry]:
    """Return the newest entries that the filters allow, one more than fits on a page."""
    entries = AuditEntry.select().order_by(AuditEntry.id.desc()).limit(PAGE_SIZE + 1)
    if "before" in query:
        if not re.fullmatch("[0-9]{1,19}", query["before"], re.ASCII):
            abort(404, "The value of “before” in the address is not a number.")
        entries = entries.where(AuditEntry.id < min(int(query["before"]), MAX_ID))
    if "action" in query:
        entries = entries.where(AuditEntry.action == query["action"])
    if "by" in query:
        name = query["by"].encode().lower().decode()  # only A to Z, as the database does
        entries = entries.where(fn.LOWER(AuditEntry.made_by) == name)
    if "text" in query:
        text = query["text"]
        entries = entries.where(
            AuditEntry.detail.contains(text) | AuditEntry.address.contains(text)
        )
    return list(entries)
