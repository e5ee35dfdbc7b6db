"""The pages of channels: list, create, edit, duplicate, pause, resume, delete. No view here sends anything."""

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from peewee import IntegrityError
from werkzeug.wrappers import Response

from clock import now_ms
from delivery import outbox
from delivery.kinds import kinds
from delivery.queue import wakeup
from delivery.settings import Settings, read_settings, write_settings
from models import Channel, ChannelState, Role, db
from web.channels.conflict import differences
from web.channels.editor import (
    Edit,
    VersionConflict,
    copy_name,
    drawn_again,
    get_channel_or_404,
    open_edit,
    page,
    save,
)
from web.services import services

bp = Blueprint("channels", __name__, url_prefix="/channels")


@bp.get("")
def index():
    """Every channel, with its state and its proof."""
    rows = [_row(channel) for channel in Channel.listed()]
    return render_template("channels/index.html", rows=rows, now=now_ms())


def _row(channel: Channel) -> dict:
    settings, problem = read_settings(channel, services().keyring)
    kind = kinds().get(channel.kind)
    state = (
        channel.state
        if channel.state in (ChannelState.DELIVERING, ChannelState.PAUSED, ChannelState.FAILING)
        else ChannelState.PAUSED
    )
    return {
        "channel": channel,
        "kind": kind.label if kind else f"unknown kind “{channel.kind[:40]}”",
        "address": settings.target.masked if settings.target else "",
        "state": state,
        "problem": problem or unusable(channel, settings),
    }


def unusable(channel: Channel, settings: Settings) -> str:
    """Why nothing can be sent to a channel whose row is whole; empty when it can."""
    return "" if settings.target and channel.kind in kinds() else "Its kind or URL cannot be used."


@bp.get("/new")
def new():
    """An empty form, of the kind that `?kind=` names; `?url=` fills in the lab's address, and no other."""
    url = request.args.get("url", "")
    own = url if url == services().policy.lab.url else ""
    return page(open_edit(None, kind=request.args.get("kind", ""), url=own))


@bp.get("/<int:channel_id>/edit")
def edit(channel_id: int):
    """The form of a stored channel; a viewer sees it without what is secret in its URL."""
    edit = open_edit(channel_id)
    if g.person.role != Role.EDITOR:
        edit.form.url.data = edit.stored.target.masked if edit.stored and edit.stored.target else ""
    return page(edit)


@bp.post("")
def create():
    """Saves a new channel."""
    return _save(open_edit(None, request.form))


@bp.post("/<int:channel_id>")
def update(channel_id: int):
    """Saves a stored channel; one that was deleted meanwhile comes back as a new one that is not saved yet."""
    if Channel.find(channel_id) is None:
        return drawn_again(
            channel_id, request.form, 404, "This channel was deleted meanwhile. Save makes it anew."
        )
    return _save(open_edit(channel_id, request.form))


def _save(edit: Edit) -> Response:
    if edit.channel.id and edit.form.version.data != str(edit.channel.version):
        return _conflict(edit)
    if not edit.form.validate():
        return page(edit, 422)
    try:
        channel = save(edit)
    except VersionConflict:
        return _conflict(open_edit(edit.channel.id, request.form))
    except IntegrityError:
        edit.form.name.errors = ["Another channel has got this name just now: choose another."]
        return page(edit, 422)
    flash("Saved.")
    return redirect(url_for("channels.edit", channel_id=channel.id), 303)


def _conflict(edit: Edit) -> Response:
    """409: the form keeps what was typed, and a next Save replaces what the other person saved, knowingly."""
    edit.form.validate()
    changed = differences(edit)
    edit.form.version.data = str(edit.channel.version)
    return page(edit, 409, differences=changed)


@bp.post("/<int:channel_id>/pause")
def pause(channel_id: int):
    """Holds the channel's alerts until somebody resumes it."""
    return _set_state(
        channel_id, ChannelState.PAUSED, "is paused: alerts for it are held until you resume it."
    )


@bp.post("/<int:channel_id>/resume")
def resume(channel_id: int):
    """Lets the channel deliver again."""
    return _set_state(channel_id, ChannelState.DELIVERING, "delivers again.")


def _set_state(channel_id: int, state: str, words: str) -> Response:
    channel, now = get_channel_or_404(channel_id), now_ms()
    with db.atomic():
        Channel.update(state=state, updated_at=now).where(Channel.id == channel.id).execute()
        (outbox.hold if state == ChannelState.PAUSED else outbox.release)(channel.id, now)
    wakeup.notify(services().config.data_dir)
    flash(f"“{channel.name}” {words}")
    return redirect(url_for("channels.index"), 303)


@bp.post("/<int:channel_id>/duplicate")
def duplicate(channel_id: int):
    """A copy under a free name, with its secrets; paused, so that nobody is told twice before it was changed."""
    source = get_channel_or_404(channel_id)
    settings, problem = read_settings(source, services().keyring)
    if problem:
        flash(
            f"“{source.name}” cannot be duplicated. {problem} Open it, mend it, and save it first."
        )
        return redirect(url_for("channels.index"), 303)
    now = now_ms()
    with db.atomic():
        kept = {
            name: getattr(source, name)
            for name in ("kind", "matchers", "retries", "repeat_minutes")
        }
        copy = Channel.create(
            name=copy_name(source.name),
            state=ChannelState.PAUSED,
            created_at=now,
            updated_at=now,
            **kept,
        )
        write_settings(copy, settings, services().keyring, services().config.secret_key)
        copy.proof, copy.proof_hash, copy.proven_at = (
            source.proof,
            source.proof_hash,
            source.proven_at,
        )
        copy.save()
    flash("This is the copy. It is paused until you resume it in the list.")
    return redirect(url_for("channels.edit", channel_id=copy.id), 303)


@bp.get("/<int:channel_id>/delete")
def confirm_delete(channel_id: int):
    """The question before a channel is deleted."""
    return render_template("channels/delete.html", channel=get_channel_or_404(channel_id))


@bp.post("/<int:channel_id>/delete")
def delete(channel_id: int):
    """Deletes the channel and its attempts."""
    channel = get_channel_or_404(channel_id)
    Channel.delete().where(Channel.id == channel.id).execute()
    flash(f"“{channel.name}” is deleted.")
    return redirect(url_for("channels.index"), 303)
