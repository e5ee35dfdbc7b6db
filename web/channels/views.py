"""The pages of channels: list, create, edit, duplicate, delete.

No view here sends a message.
"""

from typing import Any

from flask import Blueprint, abort, g, make_response, render_template, request, url_for
from peewee import IntegrityError
from werkzeug.wrappers import Response

from clock import now_ms
from delivery import outbox
from delivery.kinds import kinds
from delivery.settings import Settings, read_settings, write_settings
from models import AuditAction, Channel, ChannelState, ChannelVersion, Role, db
from web import audit
from web.channels import listing
from web.channels.conflict import changers_of, conflicts_of
from web.channels.editor import (
    Edit,
    VersionConflict,
    edit_page,
    get_channel_or_404,
    name_copy,
    open_edit,
    redraw_edit,
    save,
    store_version,
)
from web.channels.health import ChannelHealth, describe_health
from web.channels.listing import Entry
from web.channels.provisioned import ProvisionedChannel, refuse_provisioned
from web.redirects import redirect_with
from web.services import services

bp = Blueprint("channels", __name__, url_prefix="/channels")
# Columns that a copy does not have from its source.
_IDENTITY = ("id", "version", "created_at", "updated_at", "provisioned")
_TROUBLE = ("trouble_since", "trouble_version", "trouble", "failures")
_HEALTH = ("probe_at", "drops", "attempted_at", "drill_at", "drill_failures", *_TROUBLE)


@bp.get("")
def index() -> Response | str:
    """List the channels that match, with their state, proof and health; for htmx the list alone."""
    now = now_ms()
    entries = listing.load(now)
    try:
        query = listing.read_query(request.args)
        number = listing.read_page(request.args)
        found = listing.select_entries(entries, query)
    except listing.InvalidQuery as error:
        abort(404, str(error))
    page = listing.page_of(found.matching, number)
    context = {
        "rows": _rows(page.entries, now),
        "page": page,
        "query": query,
        "options": found.options,
        "total": len(entries),
        "matching": len(found.matching),
        "has_filters": bool(query) or len(entries) > listing.MAX_WITHOUT_FILTERS,
    }
    if "HX-Request" not in request.headers or "HX-History-Restore-Request" in request.headers:
        return render_template("channels/index.html", **context)
    response = make_response(render_template("channels/_found.html", **context))
    response.headers["HX-Push-Url"] = url_for("channels.index", **query)
    return response


def _rows(entries: list[Entry], now: int) -> list[dict]:
    """Return the channels as the list shows them, in the same order, with their secrets."""
    ids = [entry.id for entry in entries]
    read = Channel.select().where(Channel.id << ids, Channel.deleted_at.is_null())
    channels = sorted(read, key=lambda channel: ids.index(channel.id))
    healths = describe_health(channels, now)
    holding = outbox.channels_holding()
    return [_row(channel, healths[channel.id], channel.id in holding) for channel in channels]


def _row(channel: Channel, health: ChannelHealth, holds: bool) -> dict:
    """Return a channel as the list shows it; `problem` says what is wrong with the stored row."""
    settings, problem = read_channel(channel)
    return {
        "channel": channel,
        "kind": listing.kind_label(channel.kind),
        "url": settings.masked_url,
        "state": listing.shown_state(channel.state),
        "health": health,
        "problem": problem,
        "holds": holds,
    }


def read_channel(channel: Channel) -> tuple[Settings, str]:
    """Return the settings of a channel, and why it cannot send; empty when it can."""
    settings, problem = read_settings(channel, services().keyring)
    if not problem and (settings.target is None or channel.kind not in kinds()):
        problem = "Its kind or URL cannot be used."
    return settings, problem


@bp.get("/new")
def new():
    """Show an empty form for the kind in `?kind=`.

    `?url=` may only be that of a receiver in the lab, which also fills in a name and matchers.
    """
    kind = kinds().get(request.args.get("kind", ""), kinds()["webhook"])
    values = {"kind": kind.name, "url": kind.base}
    url = request.args.get("url", "")
    if services().policy.lab.has_url(url):
        name = request.args.get("name", "")
        if Channel.name_taken(name, None):
            name = name_copy(name)
        matchers = request.args.get("matchers", "")
        values |= {"url": url, "name": name, "matchers": matchers}
    return edit_page(open_edit(None, values=values))


@bp.get("/<int:channel_id>/edit")
def edit(channel_id: int):
    """Show the form of a stored channel; a viewer sees a masked URL."""
    edit = open_edit(channel_id)
    if g.person.role != Role.EDITOR:
        edit.form.url.data = Settings(url=edit.form.url.data).masked_url
    return edit_page(edit)


@bp.post("")
def create():
    """Save a new channel."""
    return save_or_explain(open_edit(None, request.form))


@bp.post("/<int:channel_id>")
def update(channel_id: int):
    """Save a stored channel; a deleted one comes back as a new one that is not saved yet."""
    if Channel.find(channel_id) is None:
        notice = "This channel was deleted in the meantime. Save to create it again."
        return redraw_edit(channel_id, request.form, 404, notice)
    return save_or_explain(open_edit(channel_id, request.form))


def save_or_explain(edit: Edit, restored: int | None = None) -> Response:
    """Save a posted edit, or return the editor with what keeps it from being saved.

    `restored` is the number of the version that the edit restores, if so.
    """
    try:
        refuse_provisioned(edit.channel)
    except ProvisionedChannel as error:
        return edit_page(edit, 409, notice=str(error))
    if edit.channel.id and edit.form.version.data != str(edit.channel.version):
        return _conflict(edit, restored)
    if not edit.form.validate():
        return _invalid(edit, restored)
    try:
        channel = save(edit, restored)
    except VersionConflict:
        return _conflict(open_edit(edit.channel.id, edit.form.context.posted), restored)
    except IntegrityError:
        edit.form.name.errors = ["This name was just taken by another channel: choose another."]
        return _invalid(edit, restored)
    if restored:
        message = f"Version {restored} is restored."
        return redirect_with(message, "history.index", channel_id=channel.id)
    return redirect_with("Saved.", "channels.edit", channel_id=channel.id)


def _invalid(edit: Edit, restored: int | None) -> Response:
    """Return 422: the form keeps what was typed, or has the values of the older version."""
    notice = ""
    if restored:
        notice = f"Version {restored} cannot be restored as it was. The form has its values: "
        notice += "correct the fields with a message and save, or cancel."
    return edit_page(edit, 422, notice=notice)


def _conflict(edit: Edit, restored: int | None) -> Response:
    """Return 409: the form keeps what was typed, and the next Save overwrites the stored one."""
    notice = ""
    if restored:
        notice = f"Nothing was restored. The form has the values of version {restored}."
    edit.form.validate()
    context = {
        "differences": conflicts_of(edit),
        "changers": changers_of(edit),
        "newer": ChannelVersion.find(edit.channel, edit.channel.version),
    }
    edit.form.version.data = str(edit.channel.version)
    return edit_page(edit, 409, notice=notice, **context)


def _copied(source: Channel) -> dict[str, Any]:
    """Return the columns that a copy has from its source."""
    own = {*_IDENTITY, *_HEALTH}
    return {name: value for name, value in source.__data__.items() if name not in own}


@bp.post("/<int:channel_id>/duplicate")
def duplicate(channel_id: int):
    """Copy a channel with its secrets, paused, so that no alert is sent twice."""
    source = get_channel_or_404(channel_id)
    settings, problem = read_settings(source, services().keyring)
    if problem:
        message = f"“{source.name}” cannot be duplicated. {problem}"
        message += " Open it, repair it and save it first."
        return redirect_with(message, "channels.index")
    now = now_ms()
    with db.atomic():
        copy = Channel(**_copied(source), created_at=now, updated_at=now)
        copy.name = name_copy(source.name)
        copy.state = ChannelState.PAUSED
        copy.save()
        write_settings(copy, settings, services().keyring, services().config.secret_key)
        copy.save()
        event = f"duplicated from {audit.named(source)}"
        store_version(copy.id, AuditAction.CHANNEL_DUPLICATED, event, now)
    message = "This is the copy. It is paused until you resume it."
    return redirect_with(message, "channels.edit", channel_id=copy.id)


@bp.get("/<int:channel_id>/delete")
def confirm_delete(channel_id: int):
    """Ask before a channel is deleted."""
    channel = get_channel_or_404(channel_id)
    refuse_provisioned(channel)
    return render_template("channels/delete.html", channel=channel)


@bp.post("/<int:channel_id>/delete")
def delete(channel_id: int):
    """Delete a channel, its deliveries and its attempts."""
    channel = get_channel_or_404(channel_id)
    refuse_provisioned(channel)
    outbox.delete_channel(channel.id, now_ms())
    audit.record(AuditAction.CHANNEL_DELETED, audit.named(channel))
    return redirect_with(f"“{channel.name}” is deleted.", "channels.index")
