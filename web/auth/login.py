"""Signing in and out, and choosing a password by a link that is good once."""

from typing import Any
from urllib.parse import urlsplit

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
from web import WORDS
from web.accounts import passwords, users
from web.channels.editor import drawn_again
from web.services import services

bp = Blueprint("signin", __name__)

KEPT = "typed"


@bp.route("/login", methods=["GET", "POST"])
def login():
    """The form, and the sign-in itself; what was being typed when the last session ended comes back after it."""
    if request.method == "GET":
        after = request.args.get("next", "")
        return (
            redirect(own_path(after) or url_for("home")) if g.person else sign_in_page(200, after)
        )
    name, given = request.form.get("username", ""), request.form.get("password", "")
    known, address = session.get("known"), request.remote_addr or ""
    try:
        user = passwords.sign_in(services().passwords, name, given, address, known, now_ms())
    except passwords.TooManyAttempts as many:
        return refused(429, WORDS["guessed"].format(_minutes(many.seconds)), many.seconds)
    if user is None:
        return refused(401, WORDS["wrong"])
    signed_in(user)
    return _typed_before(user) or redirect(
        own_path(request.form.get("next", "")) or url_for("home"), 303
    )


def refused(status: int, words: str, seconds: float = 0) -> Response:
    """The sign-in page again, with what it was asked for and the sealed edit, and why."""
    kept = request.form.get(KEPT, "")
    response = sign_in_page(
        status, request.form.get("next", ""), kept, words, request.form.get("username", "")
    )
    if seconds:
        response.headers["Retry-After"] = str(round(seconds) + 1)
    return response


def _minutes(seconds: float) -> str:
    return "a moment" if seconds < 60 else f"{round(seconds / 60) + 1} minutes"


def sign_in_page(
    status: int, after: str = "", kept: str = "", words: str = "", name: str = ""
) -> Response:
    """The sign-in page. `after` is where to go then, `kept` a sealed edit that goes on then."""
    fresh = not User.editors().exists()
    html = render_template(
        "signin/login.html", after=own_path(after), kept=kept, words=words, name=name, fresh=fresh
    )
    return make_response(html, status)


def interrupted() -> Response:
    """The sign-in page for who has to be known first; what was typed into the editor is sealed into it, secrets too."""
    if request.method == "GET":
        return redirect(url_for("signin.login", next=request.full_path.rstrip("?")), 303)
    edits = request.blueprint in ("channels", "checks") and "kind" in request.form
    typed: dict[str, Any] = {"channel": (request.view_args or {}).get("channel_id")}
    typed["form"] = [
        (name, text) for name, text in request.form.items(multi=True) if name != "csrf_token"
    ]
    kept = services().keyring.encrypt(KEPT, typed) if edits else ""
    return sign_in_page(
        401, kept=kept, words=WORDS["interrupted_typed" if edits else "interrupted"]
    )


def _typed_before(user: User) -> Response | None:
    """The editor as it stood when the session ended; nothing of it is saved or sent yet."""
    try:
        typed = services().keyring.decrypt(KEPT, request.form.get(KEPT, ""))
    except DecryptionError:
        return None
    if user.role != Role.EDITOR:
        flash(WORDS["not_yours"])
        return None
    g.person = user
    return drawn_again(typed["channel"], MultiDict(typed["form"]), 200, WORDS["back_again"])


def signed_in(user: User) -> None:
    """Begins a session, with a CSRF token of its own; the browser is known to this account from now on."""
    if "login" in session:
        users.end(session["login"])
    session.clear()
    session.permanent = True
    session["login"], session["known"] = users.begin(user, now_ms()), user.id


@bp.post("/logout")
def logout():
    """Ends the session: its cookie is good for nothing then."""
    known = session.get("known")
    users.end(session.get("login", ""))
    session.clear()
    session.permanent, session["known"] = True, known
    flash("You are signed out.")
    return redirect(url_for("signin.login"), 303)


@bp.route("/setup/<secret>", methods=["GET", "POST"])
def setup(secret: str):
    """The page behind a link that is good once: who opens it chooses a password, and at the first start a name too."""
    invitation = users.invited(secret, now_ms())
    if invitation is None:
        abort(404, WORDS["link_used"])
    if request.method == "GET":
        return render_template("signin/setup.html", user=invitation.user, name="admin", words="")
    name, given = request.form.get("username", ""), request.form.get("password", "")
    try:
        if given != request.form.get("again", given):
            raise users.AccountError("The two passwords differ: type the same one twice.")
        user = users.accept(invitation, name, services().passwords.hash(given), now_ms())
    except users.AccountError as refused:
        return render_template(
            "signin/setup.html", user=invitation.user, name=name, words=str(refused)
        ), 422
    signed_in(user)
    flash(f"Welcome, {user.name}.")
    return redirect(url_for("home"), 303)


def own_path(text: str) -> str:
    """The text if it is a path on this site, else empty: `next` must lead nowhere else."""
    plain = text.isprintable() and "\\" not in text
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return (
        text
        if plain
        and text.startswith("/")
        and not text.startswith("//")
        and not (parts.scheme or parts.netloc)
        else ""
    )
