"""The audit log: who did what, and the page that shows it."""

from flask import g, request

from clock import now_ms
from models import AuditAction, AuditEntry, Token


def actor() -> str:
    """Return who makes this request: the name of the user, or the token; empty for a stranger."""
    person = g.get("person")
    if person:
        return person.name
    token = Token.get_or_none(Token.id == g.get("token_id"))
    return f"token “{token.name}”" if token else ""


def record(action: AuditAction, detail: str, made_by: str = "") -> None:
    """Add what this request does to the audit log, by its user or token unless that is given."""
    AuditEntry.record(action, made_by or actor(), detail, now_ms(), request.remote_addr or "")
