"""Replays: deliveries are sent again, one or all that a filter accepts.

Before anything is sent, a page says how many there are and what has changed since.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from flask import Blueprint, abort, make_response, render_template, request
from werkzeug.wrappers import Response

from clock import now_ms
from delivery import outbox
from delivery.alerts.alert import rfc3339
from delivery.log.log_filter import LogFilter
from delivery.log.search import find
from delivery.outbox import Redelivery, ReplayChoice
from models import ID_PER_MS, AuditAction, Replay
from web import audit
from web.deliveries import actions
from web.deliveries.log_filter import FilterQuery, read_filter, read_number
from web.deliveries.views import report
from web.redirects import redirect_with

bp = Blueprint("replays", __name__)

MAX_LOOKED_AT = 10_000  # deliveries, before the question
LOOK_SLICE = 1000
MAX_PARTS = 20  # of a search, before the question
LEFT_OUT = {
    Redelivery.CLOSED_SINCE: "of alerts that have closed since, without a resolution to send",
    Redelivery.NEWER: "replaced by a newer delivery of the same alert to the same channel",
    Redelivery.UNDER_WAY: "still under way",
    Redelivery.SET_ASIDE: "canceled, or set aside after a crash: retry these on their own pages",
    Redelivery.PAUSED: "to paused channels: resume them first",
    Redelivery.SILENCED: "of alerts that are silenced now",
    Redelivery.UNMATCHED: "of alerts that the channel's matchers no longer match",
    Redelivery.NOT_CHOSEN: "resolutions, which were not chosen",
}


class Prospect(NamedTuple):
    """What a replay would do: the number of deliveries by result, and how many arrived before.

    Those with ids below `before` were looked at; if not all, back to the time `looked_to`.
    """

    counts: Counter[Redelivery]
    arrived: int
    before: int
    looked_to: int | None = None

    @property
    def matching(self) -> int:
        """The number of deliveries that were looked at."""
        return self.counts.total()

    @property
    def openings(self) -> int:
        """The number of deliveries of alerts that are still open."""
        return self.counts[Redelivery.OPENING]

    @property
    def resolutions(self) -> int:
        """The number of resolutions of alerts that have closed."""
        return self.counts[Redelivery.RESOLUTION]


@bp.get("/deliveries/replay")
def choose():
    """Ask which of the deliveries that the filters of the address accept are sent again."""
    query = read_filter(request.args, now_ms())
    prospect = None
    texts = dict(query.texts)
    if query.texts and not query.errors:
        prospect = _look(query.filter)
        for name in ("since", "until"):  # what is posted later means the same times
            if name in texts:
                texts[name] = rfc3339(getattr(query.filter, name))
    html = render_template(
        "deliveries/replay.html",
        filter=query,
        prospect=prospect,
        texts=texts,
        left_out=LEFT_OUT,
        latest=list(Replay.select().order_by(Replay.id.desc()).limit(5)),
        counts_of=counts_of,
    )
    return html, 422 if query.errors else 200


def _look(log_filter: LogFilter) -> Prospect:
    """Look at the newest deliveries that a filter accepts, at most `MAX_LOOKED_AT`."""
    counts: Counter[Redelivery] = Counter()
    arrived = 0
    newest = outbox.newest_id() + 1
    before = newest
    for _ in range(MAX_PARTS):
        found = find(log_filter, before, LOOK_SLICE)
        looked = outbox.look(found.ids, now_ms())
        counts.update(looked.counts)
        arrived += looked.arrived
        if found.older is None:
            return Prospect(counts, arrived, newest)
        before = found.older
        if counts.total() >= MAX_LOOKED_AT:
            break
    return Prospect(counts, arrived, newest, before // ID_PER_MS)


@bp.post("/deliveries/replay")
def start() -> Response:
    """Start a replay of what the posted filters accept, as chosen."""
    query = read_filter(request.form, now_ms())
    choice = _read_choice(request.form.get("choice", ""))
    if query.errors or not query.texts:
        message = "Nothing was sent: choose which deliveries are sent again."
        return redirect_with(message, "replays.choose", "bad", **query.texts)
    replay = start_replay(query, choice, read_number(request.form, "before"))
    return redirect_with("The replay has started.", "replays.detail", replay_id=replay.id)


def start_replay(query: FilterQuery, choice: ReplayChoice, before: int = 0) -> Replay:
    """Start a replay of the deliveries that filters accept, with ids below `before` (0: all)."""
    texts = json.dumps(query.texts)
    now = now_ms()
    replay = outbox.start_replay(query.filter, texts, choice, audit.actor(), now, before)
    audit.record(AuditAction.DELIVERY_REPLAYED, f"replay {replay.id}: {query.described}")
    actions.notify_worker()
    return replay


def _read_choice(text: str) -> ReplayChoice:
    if text not in set(ReplayChoice):
        abort(422, "Choose what is sent: only what is still open, everything, or one digest.")
    return ReplayChoice(text)


@bp.get("/replays/<int:replay_id>")
def detail(replay_id: int):
    """Show how far a replay has come; the answer is 204 to a poll that has `seen` that."""
    replay = load_replay(replay_id)
    seen = f"{replay.state}-{replay.before}"
    if request.args.get("seen") == seen:
        return make_response("", 204)
    counts = counts_of(replay)
    return render_template(
        "deliveries/replay_detail.html",
        replay=replay,
        seen=seen,
        texts=json.loads(replay.query),
        sent=_sum(counts, outbox.SENDABLE),
        left_out=[(text, counts[result]) for result, text in LEFT_OUT.items() if counts[result]],
        looked_at=counts.total(),
    )


def counts_of(replay: Replay) -> Counter[str]:
    """Return the number of deliveries by result so far."""
    return Counter(json.loads(replay.counts))


def _sum(counts: Counter[str], results: Iterable[Redelivery]) -> int:
    return sum(counts[result] for result in results)


@bp.post("/replays/<int:replay_id>/stop")
def stop(replay_id: int) -> Response:
    """Stop a replay; what it has sent stays sent."""
    if not stop_replay(replay_id):
        return _to_detail(replay_id, "Nothing was changed: the replay has ended already.", "bad")
    return _to_detail(replay_id, "The replay is stopped.")


@bp.post("/replays/<int:replay_id>/continue")
def go_on(replay_id: int) -> Response:
    """Continue a stopped replay where it was."""
    if not continue_replay(replay_id):
        return _to_detail(replay_id, "Nothing was changed: the replay is not stopped.", "bad")
    return _to_detail(replay_id, "The replay goes on.")


def stop_replay(replay_id: int) -> bool:
    """Stop a replay; return False if it has ended."""
    load_replay(replay_id)
    is_stopped = outbox.stop_replay(replay_id, now_ms())
    if is_stopped:
        audit.record(AuditAction.DELIVERY_REPLAYED, f"replay {replay_id} stopped")
    return is_stopped


def continue_replay(replay_id: int) -> bool:
    """Continue a replay; return False if it is not stopped."""
    load_replay(replay_id)
    goes_on = outbox.continue_replay(replay_id)
    if goes_on:
        audit.record(AuditAction.DELIVERY_REPLAYED, f"replay {replay_id} continued")
        actions.notify_worker()
    return goes_on


def _to_detail(replay_id: int, message: str, category: str = "message") -> Response:
    return redirect_with(message, "replays.detail", category, replay_id=replay_id)


def load_replay(replay_id: int) -> Replay:
    """Return a replay, or end the request with 404."""
    return Replay.get_or_none(Replay.id == replay_id) or abort(
        404, "There is no such replay. It is deleted when it is older than Tocsin keeps deliveries."
    )


@bp.post("/deliveries/msg_<int:number>/redeliver")
def redeliver(number: int) -> Response:
    """Send one delivery again that has ended."""
    return report(number, actions.redeliver(number), "The delivery is due again.")
