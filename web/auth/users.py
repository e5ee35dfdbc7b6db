"""The page of users, and the account page."""

from collections import defaultdict

from flask import Blueprint, abort, g, render_template, request, url_for

from clock import now_ms
from models import AuditAction, Role, Token, User
from web import audit
from web.accounts import users
from web.auth.login import authenticate, hash_new_password, start_session
from web.prefix import public_link
from web.redirects import redirect_with

bp = Blueprint("people", __name__)


@bp.get("/people")
def index():
    """Show the users."""
    return _page()


@bp.post("/people")
def add():
    """Create a user and show the sign-up link once."""
    form = request.form
    user = users.add(form.get("name", ""), form.get("role", Role.VIEWER), now_ms())
    audit.record(AuditAction.USER_ADDED, f"{user.name}, {user.role}")
    return _page_with_link(user)


@bp.post("/people/<int:user_id>/link")
def link(user_id: int):
    """Show a link to choose a new password; the old password works until it is used."""
    return _page_with_link(_get_user(user_id))


@bp.post("/people/<int:user_id>/role")
def role(user_id: int):
    """Change the role of a user."""
    user = _get_user(user_id)
    new_role = request.form.get("role", "")
    revoked = users.set_role(user, new_role)
    audit.record(AuditAction.ROLE_CHANGED, f"{user.name}: {new_role}")
    return _redirect(f"The role of {user.name} is now {new_role}.", revoked)


@bp.post("/people/<int:user_id>/remove")
def remove(user_id: int):
    """Delete a user with their sessions and tokens."""
    user = _get_user(user_id)
    revoked = users.remove(user)
    audit.record(AuditAction.USER_REMOVED, user.name)
    return _redirect(f"{user.name} is removed.", revoked)


def _redirect(message: str, revoked: list[str]):
    for token in revoked:
        audit.record(AuditAction.TOKEN_REVOKED, f"“{token}”")
    if revoked:
        message += f" These tokens of the user are revoked: {', '.join(revoked)}."
    return redirect_with(message, "people.index")


@bp.errorhandler(users.AccountError)
def invalid(error: users.AccountError):
    """Show the page again with the form as it was sent."""
    return _page(422, message=str(error), posted=request.form)


def _get_user(user_id: int) -> User:
    user = User.get_or_none(User.id == user_id)
    return user or abort(404, "There is no such user. The user may have been removed.")


def _page_with_link(user: User):
    path = url_for("signin.setup", secret=users.create_invitation(user, now_ms()))
    audit.record(AuditAction.USER_INVITED, user.name)
    return _page(link=public_link(path), user=user)


def _page(status: int = 200, **context):
    tokens = defaultdict(list)
    for token in Token.listed():
        tokens[token.made_by].append(token.name)
    html = render_template("people/index.html", people=User.listed(), tokens=tokens, **context)
    return html, status


@bp.route("/account", methods=["GET", "POST"])
def account():
    """Show the user's account; a new password ends all other sessions."""
    if request.method == "GET":
        return render_template("people/account.html")
    try:
        if authenticate(g.person.name, request.form.get("old", "")) is None:
            raise users.AccountError("The current password is wrong.")
        users.set_password(g.person, hash_new_password())
    except users.AccountError as error:
        return render_template("people/account.html", message=str(error)), 422
    audit.record(AuditAction.PASSWORD_CHANGED, g.person.name)
    start_session(g.person)
    return redirect_with(
        "Your password is changed. All other browsers are signed out.", "people.account"
    )
