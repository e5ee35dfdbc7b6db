"""Sign-in, sign-out, and the page behind an invitation link."""

from typing import Any

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
from models import Role, User
from web.accounts import passwords, users
from web.channels.editor import redraw_edit
from web.services import services

bp = Blueprint("signin", __name__)

EDIT_FIELD = "typed"


@bp.route("/login", methods=["GET", "POST"])
def login():
    """Show the form, or sign in and restore the edit that an ended session interrupted."""
    next_url = _next_path() or url_for("home")
    if request.method == "GET":
        return redirect(next_url) if g.person else sign_in_page(200)
    try:
        user = authenticate(request.form.get("username", ""), request.form.get("password", ""))
    except passwords.TooManyAttempts as error:
        response = sign_in_page(429, str(error))
        response.headers["Retry-After"] = str(round(error.seconds) + 1)
        return response
    if user is None:
        return sign_in_page(401, "Name or password is wrong.")
    start_session(user)
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
    return own_path(request.values.get("next", ""))


def sign_in_required() -> Response:
    """Return the sign-in page; it carries an interrupted edit, encrypted with its secrets."""
    if request.method == "GET":
        return redirect(url_for("signin.login", next=request.full_path.rstrip("?")), 303)
    fields = request.form.items(multi=True)
    edit: dict[str, Any] = {
        "channel": posted_channel_id(),
        "form": [field for field in fields if field[0] != "csrf_token"],
    }
    if not is_posted_edit():
        message = "Your session has ended, so nothing was done. Sign in and try again."
        return sign_in_page(401, message)
    return sign_in_page(
        401,
        "Your session has ended, so nothing was saved or sent. Sign in to get your edit back.",
        sealed_edit=services().keyring.encrypt(EDIT_FIELD, edit),
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
    """Sign the browser in with a new session and a new CSRF token."""
    if "login" in session:
        users.end_session(session["login"])
    session.clear()
    session.permanent = True
    session["login"] = users.start_session(user, now_ms())
    session["known"] = user.id


@bp.post("/logout")
def logout():
    """End the session; the browser stays known to the account."""
    known = session.get("known")
    users.end_session(session.get("login", ""))
    session.clear()
    session.permanent = True
    session["known"] = known
    flash("You are signed out.")
    return redirect(url_for("signin.login"), 303)


@bp.route("/setup/<secret>", methods=["GET", "POST"])
def setup(secret: str):
    """Let the user of an invitation choose a password, and the first editor a name too."""
    invitation = users.find_invitation(secret, now_ms())
    if invitation is None:
        abort(
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
    flash(f"Welcome, {user.name}.")
    return redirect(url_for("home"), 303)


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
    is_path = text.startswith("/") and not text.startswith("//")
    # Browsers read "\" as "/", and drop line ends and tabs.
    if not is_path or "\\" in text or not text.isprintable():
        return ""
    return text
