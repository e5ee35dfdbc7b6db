"""What a person does with an edit before it is saved: field checks, tests, previews, header rows. Nothing here saves a channel.

Each route has two rules, one for a stored channel and one for `new`; both take the whole form.
"""

import logging
import math
import time

from flask import Blueprint, Response, abort, make_response, render_template, request
from markupsafe import escape
from peewee import DatabaseError

from clock import now_ms
from database import describe_error
from delivery.channel_test import (
    TestResult,
    TestSlotsFull,
    describe,
    previews,
    record,
    sample_message,
)
from delivery.guard.url import InvalidUrl
from delivery.kinds import kinds
from delivery.message import MessageError
from delivery.secrets.encryption import DecryptionError
from delivery.sender import prepare
from web.channels.editor import Edit, open_edit, page
from web.channels.hints import CHANGE, change_of, notes
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
    edit = open_edit(channel_id, request.form)
    edit.form.validate()
    errors = _errors_by_field(edit.form)
    if field not in errors:
        abort(404, "The form has no such field.")
    beside, place = (
        notes(edit.form, field),
        field if field in edit.form else "url",
    )  # a header row has no place for advice
    advice = (
        render_template(
            "channels/_note.html", name=place, beside=beside, edit=edit, out_of_band=True
        )
        if beside
        else ""
    )
    return Response(str(escape(" ".join(errors[field]))) + advice, mimetype="text/html")


@_for_both("test")
def test(channel_id: int | None):
    """Sends a test of the unsaved edit, and answers 200 however the receiver behaved."""
    edit = open_edit(channel_id, request.form)
    if not edit.form.validate():
        return _shown(edit, "_test_result.html", 422)
    settings = edit.form.settings()
    try:
        trial = services().test_runner.run(settings, edit.link)
    except TestSlotsFull as busy:
        response = _shown(edit, "_test_result.html", 429, busy=busy)
        response.headers["Retry-After"] = str(math.ceil(busy.seconds))
        return response
    repair = trial.outcome.suggested_fix
    change = change_of(edit.form, dict(repair.changes)) if repair else ""
    return _shown(
        edit,
        "_test_result.html",
        200,
        trial=trial,
        change=change,
        unstored=recorded(edit, trial, settings),
    )


def recorded(edit: Edit, trial: TestResult, settings) -> str:
    """Stores the attempt; a database that cannot take it must not hide what the receiver said. Gives a sentence then."""
    try:
        record(
            trial.outcome,
            edit.channel,
            settings.fingerprint(services().config.secret_key),
            now_ms(),
        )
    except DatabaseError as error:
        log.error("a test could not be stored: %s", error)
        return describe_error(error, services().config.database)
    return ""


@_for_both("preview")
def preview(channel_id: int | None):
    """What would be sent for four alerts, and the bytes of the request for one of this moment. Sends nothing.

    While a body is typed (`?live=1`) the bodies are shown whatever the rest of the form says.
    """
    edit, shown = open_edit(channel_id, request.form), None
    valid, settings, url = edit.form.validate(), edit.form.settings(), edit.link
    try:
        samples = previews(settings, url)
        if valid:
            message = sample_message(settings, url)
            shown = describe(message, settings, prepare(message, settings, 1, time.time()))
    except (InvalidUrl, MessageError) as error:
        return _shown(edit, "_preview.html", 422, refused=str(error))
    return _shown(
        edit,
        "_preview.html",
        200 if valid or "live" in request.args else 422,
        samples=samples,
        preview=shown,
    )


@_for_both("kind")
def kind(channel_id: int | None):
    """The form with the fields of the kind that is chosen in it; htmx gets those fields alone."""
    edit = open_edit(channel_id, request.form)
    if not _wants_fragment():
        return page(edit)
    return render_template("channels/_options.html", edit=edit, form=edit.form, swapped=True)


@_for_both("apply")
def apply(channel_id: int | None):
    """The form with a change that was offered: of a pasted URL, a repair, or a starting body. Nothing is saved."""
    posted, changed = request.form.copy(), _changes(request.form)
    for name, text in changed.items():
        posted.setlist(name, [text])
    return page(open_edit(channel_id, posted), applied=bool(changed))


def _changes(posted) -> dict[str, str]:
    chosen = kinds().get(posted.get("kind", ""))
    if chosen and posted.get("starter") in chosen.starters:
        offered = (
            {} if posted.get("body", "").strip() else chosen.starters[posted["starter"]].changes
        )
        return {name: text for name, text in offered.items() if not posted.get(name, "").strip()}
    try:
        offered = {
            str(name): str(text)
            for name, text in services().keyring.decrypt(CHANGE, posted.get(CHANGE, "")).items()
        }
    except DecryptionError:
        return {}
    source, typed = offered.pop("source", ""), offered.pop("typed", "")
    return offered if not source or posted.get(source) == typed else {}


@_for_both("rows")
def rows(channel_id: int | None):
    """The form with one header row more, or without the row that `remove` names; htmx gets the new row alone."""
    edit = open_edit(channel_id, request.form)
    if "remove" in request.form:
        edit.form.headers.entries = [
            row for row in edit.form.headers if row.name != request.form["remove"]
        ]
        return "" if _wants_fragment() else page(edit)
    edit.form.headers.append_entry({"name": "", "value": "", "secret": False})
    row = edit.form.headers.entries[-1]
    return (
        render_template("channels/_header_row.html", edit=edit, form=edit.form, row=row)
        if _wants_fragment()
        else page(edit)
    )


def _shown(edit: Edit, fragment: str, status: int, **context) -> Response:
    """The fragment with every field's message beside it, or the whole page that includes it."""
    if not _wants_fragment():
        return page(edit, status, shown=fragment, **context)
    errors = _errors_by_field(edit.form)
    context |= {} if "live" in request.args else {"out_of_band": True}
    return make_response(
        render_template(
            f"channels/{fragment}", edit=edit, form=edit.form, errors=errors, **context
        ),
        status,
    )


def _wants_fragment() -> bool:
    return "HX-Request" in request.headers


def _errors_by_field(form) -> dict[str, list[str]]:
    """The messages of every field of the form, rows included, by the name that the field has in the page."""
    own = {one.name: list(one.errors) for one in form if one.name != "version"}
    for row in form.headers:
        own |= {part.name: list(part.errors) for part in row.form}
    return own
