"""Apply the plan of an import, all or nothing."""

from collections.abc import Callable, Iterable

from peewee import IntegrityError

from clock import now_ms
from delivery import outbox
from delivery.queue import wakeup
from models import AuditAction, Channel, db
from web import audit
from web.channels.editor import VersionConflict, save
from web.services import services
from web.transfer.plan import Action, Plan, Step


class PlanOutdated(Exception):
    """A channel of the plan has been changed since; nothing was imported."""

    def __init__(self) -> None:
        super().__init__("Another user has changed these channels just now. Nothing was imported.")


def apply_plan(
    plan: Plan,
    source: str,
    provisioned: str = "",
    track: Callable[[list], Iterable] = iter,
) -> None:
    """Save, create, pause and delete the channels of a plan, in one transaction.

    `source` names the file in the audit log. Channels that `provisioned` marks say that they are
    provisioned by it. `track` wraps the steps, to show the progress.

    Raises:
        PlanOutdated: a channel has been changed since the plan was made.
    """
    if plan.problems:
        raise ValueError("a plan with problems is never applied")
    try:
        with db.atomic():
            ids = {channel.name: channel.id for channel in Channel.listed()}
            for step in track(plan.steps):
                _apply(step, ids, provisioned)
            if not plan.is_empty:
                audit.record(AuditAction.CHANNELS_IMPORTED, f"{source}: {describe_result(plan)}")
    except (VersionConflict, IntegrityError):
        raise PlanOutdated from None
    if plan.count(Action.DELETE):
        outbox.delete_part_of_rest()
    wakeup.notify(services().config.data_dir)


def _apply(step: Step, ids: dict[str, int], provisioned: str) -> None:
    """Apply a step; `ids` are those of the channels by name, which a new one joins."""
    channel = step.channel
    if step.action == Action.DELETE:
        outbox.mark_deleted(channel.id, now_ms())
        audit.record(AuditAction.CHANNEL_DELETED, audit.named(channel))
        return
    if step.edit and step.action != Action.NOTHING:
        step.edit.form.fallback.data = str(ids.get(step.fallback, ""))
        channel = save(step.edit, provisioned=provisioned)
        ids[step.name] = channel.id
    if step.pause:
        outbox.pause(channel.id, step.pause == "drop", now_ms())
        audit.record(AuditAction.CHANNEL_PAUSED, f"{audit.named(channel)}: {step.pause}")
    if channel.id and channel.provisioned != provisioned:
        Channel.set_by_id(channel.id, {"provisioned": provisioned})


def describe_plan(plan: Plan) -> str:
    """Return how many channels the plan creates, changes, deletes and leaves as they are."""
    return _counts(plan, _TO_DO)


def describe_result(plan: Plan) -> str:
    """Return how many channels were created, changed, deleted and left as they are."""
    return _counts(plan, _DONE)


def _counts(plan: Plan, words: dict[Action, str]) -> str:
    parts = []
    for action in Action:
        number = plan.count(action)
        if number:
            parts.append(f"{number:,} {words[action]}")
    return ", ".join(parts) or "no channel"


_TO_DO = {
    Action.CREATE: "to create",
    Action.CHANGE: "to change",
    Action.DELETE: "to delete",
    Action.NOTHING: "unchanged",
}
_DONE = {
    Action.CREATE: "created",
    Action.CHANGE: "changed",
    Action.DELETE: "deleted",
    Action.NOTHING: "unchanged",
}
