"""What a person does with an edit before it is saved: field checks, tests, previews, header rows. Nothing here saves a channel.

Each route has two rules, one for a stored channel and one for `new`; both take the whole form.
"""

import logging
import time

from flask import Blueprint, Response, abort, make_response, render_template, request
from markupsafe import escape
from peewee import DatabaseError

from delivery.message import Unsendable
from delivery.sender import prepare
from delivery.target import InvalidUrl
from delivery.trial import Busy, Trial, describe, record, sample_message
from storage import in_words
from web.editor import Edit, now_ms, open_edit, page
from web.services import services

bp = Blueprint("checks", __name__, url_prefix="/channels")
log = logging.getLogger("tocsin.web")


def _for_both(rule: str):
    """Registers a POST route below `/channels/<id>` and below `/channels/new`."""

    def register(view):
        bp.post(f"/new/{rule}", defaults={"channel_id": None})(view)
        return bp.post(f"/<int:channel_id>/{rule}")(view)

    return register


@_for_both("validate/<field>")
def validate(channel_id: int | None, field: str):
    """The message of one field, as text; empty when its value is accepted."""
    form = open_edit(channel_id, request.form).form
    errors = _errors_by_field(form, validated=True)
    if field not in errors:
        abort(404, "The form has no such field.")
    return Response(str(escape(" ".join(errors[field]))), mimetype="text/html")


@_for_both("test")
def test(channel_id: int | None):
    """Sends a test of the unsaved edit, and answers 200 however the receiver behaved."""
    edit = open_edit(channel_id, request.form)
    if not edit.form.validate():
        return _shown(edit, "_test_result.html", 422)
    settings = edit.form.settings()
    try:
        trial = services().bench.run(settings, f"{services().base_url}{edit.base}")
    except Busy:
        return _shown(edit, "_test_result.html", 429, {"Retry-After": "1"}, busy=services().config.test_slots)
    return _shown(edit, "_test_result.html", 200, trial=trial, unstored=_record(edit, trial, settings))


def _record(edit: Edit, trial: Trial, settings) -> str:
    """Stores the attempt; a database that cannot take it must not hide what the receiver said. Gives a sentence then."""
    try:
        record(trial.outcome, edit.channel, settings.fingerprint(services().config.secret_key), now_ms())
    except DatabaseError as error:
        log.error("a test could not be stored: %s", error)
        return in_words(error, services().config.database)
    return ""


@_for_both("preview")
def preview(channel_id: int | None):
    """The bytes that would be sent. Sends nothing."""
    edit = open_edit(channel_id, request.form)
    if not edit.form.validate():
        return _shown(edit, "_preview.html", 422)
    settings = edit.form.settings()
    try:
        message = sample_message(settings, f"{services().base_url}{edit.base}")
        shown = describe(message, settings, prepare(message, settings, 1, time.time()))
    except (InvalidUrl, Unsendable) as error:
        return _shown(edit, "_preview.html", 422, refused=str(error))
    return _shown(edit, "_preview.html", 200, preview=shown)


@_for_both("rows")
def rows(channel_id: int | None):
    """The form with one header row more, or without the row that `remove` names; htmx gets the new row alone."""
    edit = open_edit(channel_id, request.form)
    if "remove" in request.form:
        edit.form.headers.entries = [row for row in edit.form.headers if row.name != request.form["remove"]]
        return "" if _wants_fragment() else page(edit)
    edit.form.headers.append_entry({"name": "", "value": "", "secret": False})
    row = edit.form.headers.entries[-1]
    return render_template("channels/_header_row.html", edit=edit, form=edit.form, row=row) if _wants_fragment() else page(edit)


def _shown(edit: Edit, fragment: str, status: int, headers: dict | None = None, **context) -> Response:
    """The fragment with every field's message beside it, or the whole page that includes it."""
    if _wants_fragment():
        errors = _errors_by_field(edit.form)
        html = render_template(f"channels/{fragment}", edit=edit, form=edit.form, errors=errors, out_of_band=True, **context)
        response = make_response(html, status)
    else:
        response = page(edit, status, shown=fragment, **context)
    response.headers.update(headers or {})
    return response


def _wants_fragment() -> bool:
    return "HX-Request" in request.headers


def _errors_by_field(form, validated: bool = False) -> dict[str, list[str]]:
    """The messages of every field of the form, rows included, by the name that the field has in the page."""
    if validated:
        form.validate()
    own = {one.name: list(one.errors) for one in form if one.name != "version"}
    for row in form.headers:
        own |= {part.name: list(part.errors) for part in row.form}
    return own
