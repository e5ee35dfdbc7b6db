"""Access control: which routes are public, and which need a user or a token.

Every new route needs a signed-in user. A view for machines is marked with `require_scope`.
"""

import ipaddress
import re
import time

from flask import Flask, abort, current_app, g, request, session
from werkzeug.exceptions import SecurityError

from clock import now_ms
from models import Role, User
from web.accounts import users
from web.accounts.passwords import network
from web.auth.tokens import require_token
from web.problems import ApiError
from web.services import services

# The lab's receiving address is an unguessable path; senders use any host name, at any rate.
RECEIVERS = ("lab.receive",)
HEALTH = ("health.healthz", "health.readyz", "health.healthy", "health.ready")
PUBLIC = ("static", "signin.login", "signin.setup", *HEALTH, *RECEIVERS)
# Unsafe requests that a viewer may send.
PERSONAL = ("signin.logout", "people.account")
# Pages that only an editor may open.
EDITOR_PAGES = ("channels.new", "channels.confirm_delete")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# 300 requests a second for a user or an address, in one web process: more than a person sends.
REQUEST_RATE = ((300, 1.0),)


class SignInRequired(Exception):
    """The page needs a signed-in user."""


def require_scope(scope: str):
    """Mark a view as one for machines, which present a token with this scope."""

    def mark(view):
        view.scope = scope
        return view

    return mark


def scope_of(app: Flask, endpoint: str) -> str:
    """Return the scope that an endpoint requires, or "" for a page."""
    return getattr(app.view_functions.get(endpoint), "scope", "")


def is_machine_request() -> bool:
    """Return True if the current request is for a machine's endpoint or path."""
    is_machine_path = request.path.startswith(("/api/", "/ingest/", "/t/"))
    return is_machine_path or bool(scope_of(current_app, request.endpoint or ""))


def user_context() -> dict:
    """Return what every template knows: the user, and the time."""
    person = g.get("person")
    may_edit = person is not None and person.role == Role.EDITOR
    return {"person": person, "may_edit": may_edit, "now": now_ms()}


def check_request() -> None:
    """Check a request before it is handled, and set `g.person` or `g.token_id`.

    Raises:
        SignInRequired: the page needs a signed-in user.
        ApiError: the token is missing or insufficient, or there are too many requests.
    """
    g.person = None
    endpoint = request.endpoint
    if endpoint is None or endpoint == "static" or endpoint in RECEIVERS:
        return
    cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if cross_site and request.method not in SAFE_METHODS:
        abort(403, "Another website sent this form. Nothing was done.")
    scope = scope_of(current_app, endpoint)
    if scope:
        require_token(scope)
    else:
        _check_user(endpoint)


def _check_user(endpoint: str) -> None:
    if not is_known_host():
        raise SecurityError
    g.person = _current_user()
    client = g.person.id if g.person else network(request.remote_addr or "")
    seconds = services().rate_limiter.wait(client, REQUEST_RATE, time.monotonic())
    if seconds:
        raise ApiError(429, "These are more than 300 requests in a second.", retry_after=seconds)
    if endpoint in PUBLIC:
        return
    if g.person is None:
        raise SignInRequired
    unsafe = request.method not in SAFE_METHODS and endpoint not in PERSONAL
    if g.person.role != Role.EDITOR and (unsafe or endpoint in EDITOR_PAGES):
        abort(403, "Your role is viewer: you can see everything but secrets, and change nothing.")


def _current_user() -> User | None:
    name = request.environ.get("tocsin.user", "").strip()
    if not name:
        secret = session.get("login", "")
        return users.session_user(secret, now_ms()) if secret else None
    try:
        return User.named(name) or users.add(name, Role.VIEWER, now_ms())
    except users.AccountError as error:
        abort(403, f"The proxy in front of Tocsin sent an invalid user name. {error}")


def is_known_host() -> bool:
    """Return True if the request's host is an IP address or one of Tocsin's names.

    A foreign page that points its own name at this server (DNS rebinding) matches neither.
    """
    host = re.sub(":[0-9]*$", "", request.host)
    if host.lower() in services().config.hosts:
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
