"""Sign-in, sign-out, and the page behind an invitation link."""

import re

from flask import (
    Blueprint,
    abort,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from clock import now_ms
from delivery.secrets.encryption import DecryptionError
from models import AuditAction, Role, User
from web import audit
from web.accounts import passwords, users
from web.channels.editor import redraw_edit
from web.redirects import redirect_with
from web.services import services

bp = Blueprint("signin", __name__)

EDIT_FIELD = "typed"


@bp.route("/login", methods=["GET", "POST"])
def login():
    """Show the form, or sign in and restore the edit that an ended session interrupted."""
    next_url = _next_path() or url_for("dashboard.index")
    if request.method == "GET":
        return redirect(next_url) if g.person else sign_in_page(200)
    try:
        user = authenticate(request.form.get("username", ""), request.form.get("password", ""))
    except passwords.TooManyAttempts as error:
        audit.record_refusal(request.form.get("username", ""))
        response = sign_in_page(429, str(error))
        response.headers["Retry-After"] = str(round(error.seconds) + 1)
        return response
    if user is None:
        audit.record_refusal(request.form.get("username", ""))
        return sign_in_page(401, "Name or password is wrong.")
    start_session(user)
    audit.record(AuditAction.SIGNED_IN, user.name, user.name)
    return _restored_edit(user) or redirect(next_url, 303)


def authenticate(name: str, password: str) -> User | None:
    """Return the user, or None if the name or the password is wrong.

    Raises:
        TooManyAttempts: too many guesses; the password was not checked.
    """
    return passwords.authenticate(
        services().passwords,
        name,
        password,
        request.remote_addr or "",
        session.get("known"),
        now_ms(),
    )


def sign_in_page(status: int, message: str = "", sealed_edit: str = "") -> Response:
    """Return the sign-in page, with everything that was sent to it but the password."""
    html = render_template(
        "signin/login.html",
        message=message,
        next_path=_next_path(),
        sealed_edit=sealed_edit or request.form.get(EDIT_FIELD, ""),
        no_editor=not User.editors().exists(),
    )
    return make_response(html, status)


def _next_path() -> str:
    path = own_path(request.values.get("next", ""))
    return path if f"{path}/".startswith(f"{request.script_root}/") else ""


def sign_in_required() -> Response:
    """Return the sign-in page; it carries an interrupted edit, encrypted with its secrets."""
    if request.method == "GET":
        path = request.script_root + request.full_path.rstrip("?")
        return redirect(url_for("signin.login", next=path), 303)
    if not is_posted_edit():
        message = "Your session has ended, so nothing was done. Sign in and try again."
        return sign_in_page(401, message)
    edit = {"channel": posted_channel_id(), "form": list(request.form.items(multi=True))}
    return sign_in_page(
        401,
        "Your session has ended, so nothing was saved or sent. Sign in to get your edit back.",
        services().keyring.encrypt(EDIT_FIELD, edit),
    )


def is_posted_edit() -> bool:
    """Return True if the form of the channel editor was posted."""
    return request.blueprint in ("channels", "checks") and "kind" in request.form


def posted_channel_id() -> int | None:
    """Return the id of the channel in the request's path, if there is one."""
    return (request.view_args or {}).get("channel_id")


def _restored_edit(user: User) -> Response | None:
    """Return the editor as it was when the session ended; nothing is saved or sent."""
    try:
        edit = services().keyring.decrypt(EDIT_FIELD, request.form.get(EDIT_FIELD, ""))
    except DecryptionError:
        return None
    if user.role != Role.EDITOR:
        flash("Your interrupted edit was discarded: saving it needs the role editor.")
        return None
    g.person = user
    message = "You are signed in again. Your edit is below; nothing is saved or sent yet."
    return redraw_edit(edit["channel"], MultiDict(edit["form"]), 200, message)


def start_session(user: User) -> None:
    """Sign the browser in."""
    _end_session(user.id)
    session["login"] = users.start_session(user, now_ms())


def _end_session(known: int | None) -> None:
    """Sign the browser out; it gets a new CSRF token and stays known to an account."""
    users.end_session(session.get("login", ""))
    session.clear()
    session.permanent = True
    session["known"] = known


@bp.post("/logout")
def logout():
    """End the session; the browser stays known to the account."""
    if g.person:
        audit.record(AuditAction.SIGNED_OUT, g.person.name)
    _end_session(session.get("known"))
    return redirect_with("You are signed out.", "signin.login")


@bp.route("/setup/<secret>", methods=["GET", "POST"])
def setup(secret: str):
    """Let the user of an invitation choose a password, and the first editor a name too."""
    invitation = users.find_invitation(secret, now_ms()) or abort(
        404, "This link is no longer valid: it was used, replaced by a newer one, or expired."
    )
    user = invitation.user
    if request.method == "GET":
        return render_template("signin/setup.html", user=user)
    name = request.form.get("username", "")
    try:
        user = users.accept_invitation(invitation, name, hash_new_password(), now_ms())
    except users.AccountError as error:
        return render_template("signin/setup.html", user=user, message=str(error)), 422
    start_session(user)
    if invitation.user is None:
        audit.record(AuditAction.USER_ADDED, f"{user.name}, {user.role}", user.name)
    audit.record(AuditAction.PASSWORD_CHANGED, f"{user.name}, with a link", user.name)
    audit.record(AuditAction.SIGNED_IN, user.name, user.name)
    return redirect_with(f"Welcome, {user.name}.", "dashboard.index")


def hash_new_password() -> str:
    """Return the hash of the password in the posted form.

    Raises:
        AccountError: its two entries differ, or its length is wrong.
        TooManyAttempts: too many passwords are being hashed.
    """
    password = request.form.get("password", "")
    if request.form.get("again", password) != password:
        raise users.AccountError("The two passwords differ. Enter the same password twice.")
    return services().passwords.hash(password)


def own_path(text: str) -> str:
    """Return the text if it is a path on this site, otherwise an empty string."""
    # Browsers read "\" as "/", and drop line ends and tabs.
    if re.fullmatch(r"/(?!/)[^\\]*", text) and text.isprintable():
        return text
    return ""
