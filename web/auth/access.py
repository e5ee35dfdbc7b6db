"""Access control: which routes are public, and which need a user or a token.

Every new route needs a signed-in user. A view for machines is marked with `require_scope`.
"""

import ipaddress
import re
import time

from flask import Flask, abort, current_app, g, request, session
from werkzeug.exceptions import SecurityError

from clock import now_ms
from models import AuditAction, Role, User
from web import audit
from web.accounts import users
from web.accounts.passwords import network
from web.auth.tokens import require_token
from web.problems import ApiError
from web.security_headers import is_https
from web.services import services

LIVENESS = ("health.healthz", "health.healthy")
HEALTH = (*LIVENESS, "health.readyz", "health.ready")
# Everyone may use these, under any host name and at any rate: probes and senders choose the name,
# nothing here depends on a session, and the lab's receiving address is an unguessable path. Views
# with a scope are also reached under any name, because a browser does not add their token.
OPEN = ("static", "lab.receive", *HEALTH)
# Answered even if the database cannot be opened.
WITHOUT_DATABASE = ("static", *LIVENESS)
PUBLIC = ("signin.login", "signin.setup", *OPEN)
# Unsafe requests that a viewer may send.
PERSONAL = ("signin.logout", "people.account")
# Pages that only an editor may open.
EDITOR_PAGES = (
    "audit.index",
    "channels.new",
    "channels.confirm_delete",
    "pausing.choose",
    "transfer.export_page",
    "transfer.export_file",
    "transfer.import_page",
)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MAX_ORIGIN_LENGTH = 200
# 300 requests a second for a user or an address, in one web process: more than a person sends.
REQUEST_RATE = ((300, 1.0),)


class SignInRequired(Exception):
    """The page needs a signed-in user."""


class WrongOrigin(Exception):
    """A form comes from another address than Tocsin's; the message is for the user."""

    def __init__(self, stated: str, expected: str):
        message = (
            f"Your browser is at {stated[:MAX_ORIGIN_LENGTH]}, but the request reached Tocsin as "
            f"{expected}, so nothing was done. A reverse proxy must pass on the Host header of "
            "the browser with its port (nginx: proxy_set_header Host $http_host). Or set "
            "TOCSIN_PUBLIC_URL to the address in the browser."
        )
        if not stated:
            message = (
                "Your browser did not state which page sent this form, so nothing was done. Allow "
                f"it to send the Referer header to {expected}."
            )
        super().__init__(message)


def require_scope(*scopes: str, anywhere: bool = False):
    """Mark a view as one for machines, which present a token with one of these scopes.

    With `anywhere`, the token may also be the password, or a part of the path.
    """

    def mark(view):
        view.scopes = scopes
        view.takes_token_anywhere = anywhere
        return view

    return mark


def scopes_of(app: Flask, endpoint: str) -> tuple[str, ...]:
    """Return the scopes of which an endpoint requires one; none for a page."""
    return getattr(app.view_functions.get(endpoint), "scopes", ())


def takes_token_anywhere(app: Flask, endpoint: str) -> bool:
    """Return True if the token of an endpoint may be the password, or a part of the path."""
    return getattr(app.view_functions.get(endpoint), "takes_token_anywhere", False)


def is_machine_request() -> bool:
    """Return True if the current request is for a machine's endpoint or path."""
    endpoint = request.endpoint or ""
    if endpoint in HEALTH or scopes_of(current_app, endpoint):
        return True
    return request.path.lstrip("/").startswith(("api/", "ingest/", "t/"))


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
    if endpoint is None or endpoint in OPEN:
        return
    cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if cross_site and request.method not in SAFE_METHODS:
        abort(403, "Another website sent this form. Nothing was done.")
    scopes = scopes_of(current_app, endpoint)
    if scopes:
        require_token(scopes, takes_token_anywhere(current_app, endpoint))
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
    if g.person is None and endpoint not in PUBLIC:
        raise SignInRequired
    _check_origin()
    if g.person is not None and endpoint not in PUBLIC:
        _check_role(g.person, endpoint)


def _check_role(person: User, endpoint: str) -> None:
    unsafe = request.method not in SAFE_METHODS and endpoint not in PERSONAL
    if person.role != Role.EDITOR and (unsafe or endpoint in EDITOR_PAGES):
        abort(
            403,
            "Your role is viewer: you can see everything but secrets and the audit log, and change "
            "nothing.",
        )


def _check_origin() -> None:
    """Over HTTPS, refuse a form that does not come from Tocsin's own address.

    Raises:
        WrongOrigin: the browser names another origin, or none.
    """
    if request.method in SAFE_METHODS or not is_https():
        return
    stated = _origin(request.headers.get("Origin", "")) or _origin(request.referrer or "")
    expected = _origin(f"https://{request.host}")
    public = _origin(services().config.public_url)
    if not stated or stated not in (expected, public):
        raise WrongOrigin(stated, expected)


def _origin(url: str) -> str:
    """Return the scheme, host and port of a URL, in lower case and without the port of https."""
    match = re.match(r"https?://[^/?#]+", url.lower())
    return match[0].removesuffix(":443") if match else ""


def _current_user() -> User | None:
    name = request.environ.get("tocsin.user", "").strip()
    if not name:
        secret = session.get("login", "")
        return users.session_user(secret, now_ms()) if secret else None
    try:
        user = User.named(name)
        if user is None:
            user = users.add(name, Role.VIEWER, now_ms())
            audit.record(AuditAction.USER_ADDED, f"{user.name}, {user.role}", "the proxy")
        return user
    except users.AccountError as error:
        message = f"The proxy in front of Tocsin sent an invalid user name. {error}"
        # Another request of the same new user may have added it in the meantime.
        return User.named(name) or abort(403, message)


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
