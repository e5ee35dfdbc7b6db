"""Who may sign in, and one's own account."""

from flask import Blueprint, abort, flash, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from clock import now_ms
from models import Role, User
from web.accounts import passwords, users
from web.auth.login import signed_in
from web.services import services

bp = Blueprint("people", __name__)


@bp.get("/people")
def index():
    """Everybody who may sign in."""
    return _page()


def _page(status: int = 200, **shown):
    return render_template(
        "people/index.html",
        people=User.listed(),
        roles=(Role.EDITOR, Role.VIEWER),
        now=now_ms(),
        **shown,
    ), status


@bp.post("/people")
def add():
    """A new person, and the link with which they choose their password: it is shown this once."""
    name = request.form.get("name", "")
    try:
        user = users.add(name, request.form.get("role", Role.VIEWER), now_ms())
    except users.AccountError as refused:
        return _page(422, words=str(refused), name=name)
    return _page(link=_link(user), user=user)


@bp.post("/people/<int:user_id>/link")
def link(user_id: int):
    """A link to choose a new password; the old one counts until it is used."""
    user = _found(user_id)
    return _page(link=_link(user), user=user)


def _link(user: User) -> str:
    return services().config.base_url + url_for("signin.setup", secret=users.invite(user, now_ms()))


@bp.post("/people/<int:user_id>/role")
def role(user_id: int):
    """Makes somebody an editor or a viewer."""
    user, chosen = _found(user_id), request.form.get("role", "")
    return _done(
        lambda: users.set_role(user, chosen),
        f"{user.name} is now {'an' if chosen == Role.EDITOR else 'a'} {chosen}.",
    )


@bp.post("/people/<int:user_id>/remove")
def remove(user_id: int):
    """Removes somebody, and signs them out."""
    user = _found(user_id)
    return _done(lambda: users.remove(user), f"{user.name} is removed.")


def _done(action, words: str) -> Response | tuple[str, int]:
    try:
        action()
    except users.AccountError as refused:
        return _page(422, words=str(refused))
    flash(words)
    return redirect(url_for("people.index"), 303)


def _found(user_id: int) -> User:
    return User.get_or_none(User.id == user_id) or abort(
        404, "There is no such person. They may have been removed."
    )


@bp.route("/account", methods=["GET", "POST"])
def account():
    """One's own account: another password ends every other session."""
    words = ""
    if request.method == "POST":
        try:
            _change_password(g.person)
        except users.AccountError as refused:
            words = str(refused)
        else:
            flash("Your password is changed. Every other browser is signed out.")
            return redirect(url_for("people.account"), 303)
    return render_template("people/account.html", words=words), 422 if words else 200


def _change_password(user: User) -> None:
    old, new = request.form.get("old", ""), request.form.get("password", "")
    if new != request.form.get("again", new):
        raise users.AccountError("The two new passwords differ: type the same one twice.")
    try:
        known, address = session.get("known"), request.remote_addr or ""
        right = passwords.sign_in(services().passwords, user.name, old, address, known, now_ms())
    except passwords.TooManyAttempts as many:
        raise users.AccountError(
            f"Too many wrong passwords. Try again in {round(many.seconds / 60) + 1} minutes."
        ) from None
    if right is None:
        raise users.AccountError("The old password is not right.")
    users.set_password(user, services().passwords.hash(new))
    signed_in(user)
