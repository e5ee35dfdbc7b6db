"""Actions on several channels: what would happen, and the action itself.

No view here sends a message.
"""

import re
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from flask import Blueprint, abort, g, render_template, request
from werkzeug.wrappers import Response

from clock import now_ms
from database import describe_error
from delivery import outbox
from delivery.outbox import HeldChoice, WaitingChoice
from delivery.queue import wakeup
from models import MAX_ID
from web.channels import bulk_actions, listing
from web.channels.bulk_actions import Action, Report
from web.channels.listing import Entry
from web.channels.pausing import numbered
from web.redirects import redirect_with
from web.services import services

bp = Blueprint("bulk", __name__, url_prefix="/channels/bulk")
PAUSE = "pause"
RESUME = "resume"
DELETE = "delete"
# What a channel is after an action, and what an unchanged one was before.
_DONE = {
    PAUSE: ("is paused", "are paused", "paused like that already"),
    RESUME: ("delivers again", "deliver again", "not paused"),
    DELETE: ("is deleted", "are deleted", "deleted already"),
}
_LOST = {
    PAUSE: ("message that waited was dropped", "messages that waited were dropped"),
    RESUME: ("held message is discarded", "held messages are discarded"),
}


@bp.post("")
def confirm() -> Response | str:
    """Say what an action would do to the selected channels, and ask."""
    action = request.form.get("action", "")
    if action not in _DONE:
        abort(400)
    query = _read_query()
    channels = _selected(query)
    if not channels:
        message = "Nothing was changed: no channel is selected."
        return redirect_with(message, "channels.index", "bad", **query)
    held = bulk_actions.sum_of_held(channels)
    return render_template(
        "channels/bulk.html",
        action=action,
        channels=channels,
        states=Counter(map(attrgetter("state"), channels)),
        dropping=sum(1 for channel in channels if channel.state == "paused" and channel.drops),
        query=query,
        max_in_digest=outbox.MAX_IN_GROUP,
        **held._asdict(),
    )


@bp.post("/pause")
def pause() -> Response | str:
    """Pause the posted channels; their openings are held, or dropped if that is posted."""
    choice = request.form.get("waiting") or WaitingChoice.HOLD
    if choice not in set(WaitingChoice):
        return _redirect_unchanged("choose whether the alerts are held or dropped.")
    report = _run(bulk_actions.pausing(WaitingChoice(choice)))
    wakeup.notify(services().config.data_dir)
    return _report(PAUSE, report)


@bp.post("/resume")
def resume() -> Response | str:
    """Let the posted channels deliver again, and send what they hold, or the posted part."""
    choice = request.form.get("held") or HeldChoice.ALL
    if choice not in set(HeldChoice):
        return _redirect_unchanged("choose which of the held messages are sent.")
    report = _run(bulk_actions.resuming(HeldChoice(choice), g.person.name))
    wakeup.notify(services().config.data_dir)
    return _report(RESUME, report)


@bp.post("/delete")
def delete() -> Response | str:
    """Delete the posted channels, their deliveries and their attempts."""
    report = _run(bulk_actions.delete)
    bulk_actions.delete_rows()
    return _report(DELETE, report)


def _selected(query: dict[str, Any]) -> list[Entry]:
    """Return the selected channels: ticked ones, those of the page, or all that match."""
    channels = listing.load(now_ms())
    scopes = request.form.getlist("all")
    if "matching" in scopes:
        try:
            return listing.select_entries(channels, query).matching
        except listing.InvalidQuery as error:
            abort(404, str(error))
    texts = request.form.getlist("channel")
    if "shown" in scopes:
        texts += request.form.get("shown", "").split()
    ids = set(_read_ids(texts))
    return [channel for channel in channels if channel.id in ids]


def _read_ids(texts: Iterable[str]) -> list[int]:
    """Return the ids, each once and in their order; what is none is left out."""
    ids = {}
    for text in texts:
        if re.fullmatch("[0-9]{1,19}", text, re.ASCII):
            ids[min(int(text), MAX_ID)] = True
    return list(ids)


def _read_query() -> dict[str, Any]:
    try:
        return listing.read_query(request.form)
    except listing.InvalidQuery as error:
        abort(404, str(error))


def _run(action: Action) -> Report:
    location = services().config.database
    ids = _read_ids(request.form.getlist("channel"))
    return bulk_actions.run(ids, action, lambda error: describe_error(error, location))


def _report(action: str, report: Report) -> Response | str:
    """Show the numbers in the list; with failures, on a page that names each of them."""
    query = _read_query()
    sentence = _sentence(action, report)
    if not report.failures:
        return redirect_with(sentence, "channels.index", **query)
    return render_template(
        "channels/bulk_failed.html",
        sentence=sentence,
        failures=report.failures,
        not_tried=report.not_tried,
        query=query,
    )


def _sentence(action: str, report: Report) -> str:
    one, several, before = _DONE[action]
    sentence = "Nothing was changed."
    if report.changed:
        sentence = f"{numbered(report.changed, f'channel {one}', f'channels {several}')}."
    if report.unchanged:
        were = numbered(report.unchanged, "channel was", "channels were")
        sentence += f" {were} {before}."
    if report.messages:
        sentence += f" {numbered(report.messages, *_LOST[action])}."
    return sentence


def _redirect_unchanged(reason: str) -> Response:
    message = f"Nothing was changed: {reason}"
    return redirect_with(message, "channels.index", "bad", **_read_query())
