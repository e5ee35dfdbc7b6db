"""Field checks, tests, previews and form changes of an unsaved edit.

No view here saves a channel. Each has two routes, for a stored channel and for `new`; each takes
the whole form, and answers htmx with a fragment and a plain browser with the whole page.
"""

import logging
import math
from functools import wraps

from flask import Blueprint, Response, abort, make_response, render_template, request
from markupsafe import escape
from peewee import DatabaseError

from clock import now_ms
from database import connect, describe_error, relaxed_durability
from delivery.channel_test import (
    TestResult,
    TestSlotsFull,
    sample_bodies,
    sample_request,
)
from delivery.guard.url import InvalidUrl
from delivery.message import MessageError
from delivery.secrets.encryption import DecryptionError
from delivery.settings import Settings
from models import Attempt, AuditAction
from web import audit
from web.channels.editor import Edit, edit_page, open_edit
from web.channels.forms import ChannelForm
from web.channels.header_rows import HeaderValue
from web.channels.hints import CHANGE, encrypt_change, hints_for, is_template
from web.services import services

bp = Blueprint("checks", __name__, url_prefix="/channels")
log = logging.getLogger("tocsin.web")


def _for_both(rule: str):
    """Register a view of the posted edit below `/channels/<id>` and below `/channels/new`."""

    def register(view):
        @wraps(view)
        def view_of_channel(channel_id: int | None = None, **arguments):
            return view(open_edit(channel_id, request.form), **arguments)

        bp.post(f"/new/{rule}")(view_of_channel)
        bp.post(f"/<int:channel_id>/{rule}")(view_of_channel)
        return view

    return register


@_for_both("validate/<field>")
def validate(edit: Edit, field: str):
    """Return the message of one field, empty when it is valid, and the hints beside it."""
    edit.form.validate()
    checked = edit.form.all_fields().get(field)
    if checked is None:
        abort(404, "The form has no such field.")
    html = str(escape(" ".join(checked.errors)))
    if isinstance(checked, HeaderValue) and checked.row.names_credential:
        html += _render("_credential_note.html", edit, row=checked.row, out_of_band=True)
    hints = hints_for(edit.form, checked)
    if hints or is_template(edit.form, checked):  # a hint disappears with its cause
        # A header row has no place for hints.
        name = field if field in edit.form else "url"
        html += _render(
            "_hints.html", edit, name=name, base=edit.base, hints=hints, out_of_band=True
        )
    return html


@_for_both("test")
def test(edit: Edit):
    """Send a test of the unsaved edit; the answer is 200 whatever the receiver does.

    A form with `stored` alone sends the stored channel.
    """
    if edit.channel.id and request.form.get("stored") == "1":
        edit = open_edit(edit.channel.id)
    if not edit.form.validate():
        return _respond(edit, "_test_result.html", 422)
    settings = edit.form.settings()
    try:
        result = services().test_runner.run(settings, edit.alert_url, in_group=edit.in_group)
    except TestSlotsFull as busy:
        response = _respond(edit, "_test_result.html", 429, busy=busy)
        response.headers["Retry-After"] = str(math.ceil(busy.seconds))
        return response
    fix = result.outcome.suggested_fix
    return _respond(
        edit,
        "_test_result.html",
        result=result,
        change=encrypt_change(edit.form, dict(fix.changes)) if fix else "",
        not_stored=store_result(edit, result, settings),
    )


def store_result(edit: Edit, result: TestResult, settings: Settings) -> str:
    """Store the attempt of a test; return why it could not be stored, or an empty text."""
    config_hash = settings.fingerprint(services().config.secret_key)
    is_saved = edit.channel.id and config_hash == edit.channel.config_hash
    attempt = {
        "channel_id": edit.channel.id,
        "at": now_ms(),
        "config_hash": config_hash,
        "version": edit.channel.version if is_saved else None,
        **result.outcome.columns(),
    }
    try:
        connect()  # the database may be gone since the test began
        with relaxed_durability():
            Attempt.store_test(attempt)
            tested = audit.named(edit.channel) if edit.channel.id else "a new channel"
            audit.record_often(AuditAction.TEST_SENT, f"{tested}: {result.outcome.verdict}")
    except DatabaseError as error:
        log.error("a test could not be stored: %s", error)
        return describe_error(error, services().config.database)
    return ""


@_for_both("preview")
def preview(edit: Edit):
    """Show the bodies for the sample alerts and, if the form is valid, the exact request.

    While a body is typed (`?live=1`), the answer is 200 for an invalid form too.
    """
    valid = edit.form.validate()
    settings = edit.form.settings()
    sent = None
    try:
        bodies = sample_bodies(settings, services().installation)
        if valid:
            sent = sample_request(
                settings, edit.alert_url, services().installation, in_group=edit.in_group
            )
    except (InvalidUrl, MessageError) as error:
        return _respond(edit, "_preview.html", 422, refusal=str(error))
    status = 200 if valid or "live" in request.args else 422
    return _respond(edit, "_preview.html", status, bodies=bodies, sent=sent)


@_for_both("kind")
def kind(edit: Edit):
    """Return the form, or its options alone, for the chosen kind."""
    if "HX-Request" in request.headers:
        return _render("_options.html", edit, swapped=True)
    return edit_page(edit)


@_for_both("apply")
def apply(edit: Edit):
    """Return the form with a suggested change; nothing is saved."""
    changes = _suggested_changes(edit.form)
    posted = request.form.copy()
    for name, text in changes.items():
        posted[name] = text
    return edit_page(open_edit(edit.channel.id, posted), applied=bool(changes))


def _suggested_changes(form: ChannelForm) -> dict[str, str]:
    """Return the change behind the pressed button; empty if it no longer applies."""
    posted = form.context.posted
    starter = form.chosen_kind.starters.get(posted.get("starter", ""))
    if starter:
        if form.body.text:
            return {}
        return {name: text for name, text in starter.changes.items() if not form[name].text}
    try:
        changes = services().keyring.decrypt(CHANGE, posted.get(CHANGE, ""))
    except DecryptionError:
        return {}
    source = changes.pop("source", "")
    typed = changes.pop("typed", "")
    if source and posted.get(source) != typed:
        return {}
    return changes


@_for_both("rows")
def rows(edit: Edit):
    """Add a header row, or remove the one that `remove` names; htmx gets the new row alone."""
    headers = edit.form.headers
    fragment = ""
    if "remove" in request.form:
        headers.entries[:] = [row for row in headers if row.name != request.form["remove"]]
    else:
        fragment = _render("_header_row.html", edit, row=headers.append_entry())
    if "HX-Request" in request.headers:
        return fragment
    return edit_page(edit)


def _respond(edit: Edit, fragment: str, status: int = 200, **context) -> Response:
    """Return a fragment with the message of every field, or the whole page that includes it."""
    if "HX-Request" not in request.headers:
        return edit_page(edit, status, fragment=fragment, **context)
    if "live" not in request.args:
        context["out_of_band"] = True
    return make_response(_render(fragment, edit, **context), status)


def _render(template: str, edit: Edit, **context) -> str:
    return render_template(f"channels/{template}", edit=edit, form=edit.form, **context)
