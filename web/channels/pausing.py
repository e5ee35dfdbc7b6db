"""Pause and resume channels.

No view here sends a message.
"""

from urllib.parse import parse_qsl, urlsplit

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from clock import now_ms
from delivery import outbox
from delivery.kinds import keeps_incidents, kinds
from delivery.outbox import HeldChoice, WaitingChoice
from delivery.queue import wakeup
from models import AuditAction, Channel, ChannelState
from web import audit
from web.channels import listing
from web.channels.editor import get_channel_or_404
from web.redirects import redirect_with
from web.services import services

bp = Blueprint("pausing", __name__, url_prefix="/channels")


@bp.post("/<int:channel_id>/pause")
def pause(channel_id: int) -> Response:
    """Pause a channel; until it is resumed, its openings are held, or dropped if that is posted."""
    channel = get_channel_or_404(channel_id)
    choice = request.form.get("waiting") or WaitingChoice.HOLD
    if choice not in set(WaitingChoice):
        return _redirect_unchanged("choose whether the alerts are held or dropped.")
    dropped = pause_channel(channel, WaitingChoice(choice))
    sentence = "Its alerts are held until you resume it."
    if choice == WaitingChoice.DROP:
        sentence = "Until you resume it, alerts that open are dropped, and resolutions are held."
    if dropped:
        sentence += f" {numbered(dropped, 'message that waited was', 'messages that waited were')}"
        sentence += " dropped."
    return _redirect_to_list(f"“{channel.name}” is paused. {sentence}")


@bp.get("/<int:channel_id>/resume")
def choose(channel_id: int) -> Response | str:
    """Ask which of the held deliveries are sent when a channel is resumed."""
    channel = get_channel_or_404(channel_id)
    if channel.state == ChannelState.DELIVERING:
        return redirect_with(f"“{channel.name}” is not paused.", "channels.index")
    held = outbox.count_held(channel.id)
    return render_template(
        "channels/resume.html",
        channel=channel,
        held=held,
        in_digests=0 if keeps_incidents(channel.kind) else held.total,
        digests=held.digests,
        max_in_digest=outbox.MAX_IN_GROUP,
    )


@bp.post("/<int:channel_id>/resume")
def resume(channel_id: int) -> Response:
    """Let a channel deliver again, and send what it holds, or the part that is posted."""
    channel = get_channel_or_404(channel_id)
    choice = request.form.get("held") or HeldChoice.ALL
    if choice not in set(HeldChoice):
        return _redirect_unchanged("choose which of the held messages are sent.")
    if choice == HeldChoice.DIGEST and keeps_incidents(channel.kind):
        reason = f"{refuse_digest(channel.kind)} Choose which of the held messages are sent."
        return _redirect_unchanged(reason)
    discarded = resume_channel(channel, HeldChoice(choice))
    sentence = f"“{channel.name}” delivers again."
    if discarded:
        sentence += f" {numbered(discarded, 'held message is', 'held messages are')} discarded."
    return _redirect_to_list(sentence)


def pause_channel(channel: Channel, choice: WaitingChoice) -> int:
    """Pause a channel; return how many waiting messages that dropped."""
    dropped = outbox.pause(channel.id, choice == WaitingChoice.DROP, now_ms())
    audit.record(AuditAction.CHANNEL_PAUSED, f"{audit.named(channel)}: {choice}")
    wakeup.notify(services().config.data_dir)
    return dropped


def resume_channel(channel: Channel, choice: HeldChoice) -> int:
    """Let a channel deliver again; return how many held messages are discarded."""
    discarded = outbox.resume(channel.id, choice, audit.actor(), now_ms())
    audit.record(AuditAction.CHANNEL_RESUMED, f"{audit.named(channel)}: {choice}")
    wakeup.notify(services().config.data_dir)
    return discarded


def refuse_digest(kind: str) -> str:
    """Return why a kind that keeps incidents gets no digest."""
    return f"{kinds()[kind].label} keeps an incident for each alert, so it gets no digest."


def numbered(count: int, one: str, several: str) -> str:
    """Return a count with the words for one or for several."""
    return f"{count:,} {one if count == 1 else several}"


def _redirect_unchanged(reason: str) -> Response:
    return _redirect_to_list(f"Nothing was changed: {reason}", "bad")


def _redirect_to_list(message: str, category: str = "message") -> Response:
    """Redirect to the list of channels, to the page of it that the form was on."""
    query: dict = {}
    referrer = urlsplit(request.referrer or "")
    if referrer.path == url_for("channels.index"):
        query = listing.same_list(dict(parse_qsl(referrer.query)))
    return redirect_with(message, "channels.index", category, **query)
