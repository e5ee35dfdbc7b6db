"""Who may come in: the one place that says which routes are open. Every other route needs a person or a token.

A new route is closed by itself. A view for machines is marked with `scoped`; all others are pages.
"""

import ipaddress
import time

from flask import Flask, abort, current_app, g, request, session
from werkzeug.exceptions import SecurityError

from models import Role, User
from web.accounts import users
from web.auth.tokens import bearer
from web.problems import ApiError
from web.services import services

# What senders post to, under any name and at any pace: an address that cannot be guessed is all that it asks for.
FOR_SENDERS = frozenset({"lab.receive"})
# Nobody has to be known for these.
HEALTH = frozenset({"health.healthz", "health.readyz", "health.healthy", "health.ready"})
OPEN = frozenset({"static", "signin.login", "signin.setup", *HEALTH, *FOR_SENDERS})
# What a viewer may do to their own account; everything else that is unsafe is for editors.
PERSONAL = frozenset({"signin.logout", "people.account"})
FOR_EDITORS = frozenset({"channels.new", "channels.confirm_delete"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Far above what a person can do; a script that runs wild is slowed down. For one person, or address, and web process.
PACE = ((300, 1.0),)


class SignInNeeded(Exception):
    """A page was asked for by nobody who is known."""


def require_scope(scope: str):
    """Marks a view as one for machines, which show a token with this scope."""

    def mark(view):
        view.scope = scope
        return view

    return mark


def scope_of(app: Flask, endpoint: str) -> str:
    """The scope that a route asks for; empty for a page."""
    return getattr(app.view_functions[endpoint], "scope", "")


def register(app: Flask) -> None:
    """Asks everybody who comes in, before anything else looks at the request."""

    @app.before_request
    def ask() -> None:
        g.person = None
        if request.endpoint is None or request.endpoint in ("static", *FOR_SENDERS):
            return
        if request.method not in SAFE and request.headers.get("Sec-Fetch-Site") == "cross-site":
            abort(403, "Another website sent this form. Nothing was done.")
        if scope := scope_of(app, request.endpoint):
            bearer(scope, time.time_ns() // 1_000_000)
        else:
            _a_person(request.endpoint)


def for_machines() -> bool:
    """Whether the current request is one that a machine makes."""
    known = request.endpoint is not None and bool(scope_of(current_app, request.endpoint))
    return known or request.path.startswith(("/api/", "/ingest/", "/t/"))


def visitor() -> dict:
    """What every template knows of who looks: the person (or None), and whether they may change anything."""
    person = g.get("person")
    return {"person": person, "may_edit": person is not None and person.role == Role.EDITOR}


def _a_person(endpoint: str) -> None:
    if not host_is_ours():
        raise SecurityError
    g.person = _who()
    seconds = services().rate_limiter.wait(
        g.person.id if g.person else request.remote_addr, PACE, time.monotonic()
    )
    if seconds:
        raise ApiError(429, "This is more than 300 requests in a second.", retry_after=seconds)
    if endpoint in OPEN:
        return
    if g.person is None:
        raise SignInNeeded
    changes = request.method not in SAFE and endpoint not in PERSONAL
    if g.person.role != Role.EDITOR and (changes or endpoint in FOR_EDITORS):
        abort(
            403,
            "Your account is a viewer's: it sees everything but secrets, and changes and tests nothing.",
        )


def _who() -> User | None:
    """The person that a trusted proxy names, else the one whose session the cookie holds."""
    named = request.environ.get("tocsin.person", "").strip()
    if named:
        return User.named(named) or _newcomer(named)
    secret = session.get("login", "")
    return users.person(secret, time.time_ns() // 1_000_000) if secret else None


def _newcomer(name: str) -> User:
    """Whom the proxy lets in may look; an editor can make them one."""
    try:
        return users.add(name, "viewer", time.time_ns() // 1_000_000)
    except users.AccountError as refused:
        abort(403, f"The proxy in front of Tocsin named somebody whom it cannot take. {refused}")


def host_is_ours() -> bool:
    """Whether the page was asked for under a name of ours, or under an address: a foreign page that points its own name at
    this server (DNS rebinding) can do neither.
    """
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if host.lower() in services().config.hosts:
        return True
    try:
        return bool(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return False
