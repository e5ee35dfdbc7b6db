"""Actions of users and tokens on deliveries and alerts, for the pages and for the API.

Each returns why nothing was changed, or an empty text.
"""

from flask import abort

from clock import now_ms
from delivery import outbox
from delivery.outbox import Redelivery, ReplayChoice
from delivery.queue import wakeup
from models import Alert, AuditAction, Delivery
from web import audit
from web.deliveries import alert_queries, queries
from web.services import services

MAX_SNOOZE_MINUTES = 720
_REFUSALS = {
    Redelivery.CLOSED_SINCE: "its alert has closed since, and there is no resolution to send.",
    Redelivery.NEWER: "a newer delivery of its alert to its channel has replaced it.",
    Redelivery.UNDER_WAY: "it is still under way.",
    Redelivery.SET_ASIDE: "select Retry now instead.",
    Redelivery.PAUSED: "its channel is paused. Resume the channel first.",
    Redelivery.SILENCED: "its alert is silenced now.",
    Redelivery.UNMATCHED: "the channel's matchers no longer match its alert.",
}


def load_delivery(number: int) -> Delivery:
    """Return a delivery, or end the request with 404."""
    return queries.find_delivery(number) or abort(
        404,
        "There is no such delivery. It is deleted together with its channel, "
        "or when it is older than Tocsin keeps deliveries.",
    )


def load_alert(alert_id: int) -> Alert:
    """Return an alert, or end the request with 404."""
    return alert_queries.find_alert(alert_id) or abort(
        404, "There is no such alert. A closed alert is deleted with its last delivery."
    )


def retry_now(number: int) -> str:
    """Make a delivery due now."""
    if not outbox.retry_now(number, now_ms()):
        return _why_not(number)
    audit.record(AuditAction.DELIVERY_RETRIED, f"msg_{number}")
    notify_worker()
    return ""


def snooze(number: int, minutes: int) -> str:
    """Delay the next attempt of a delivery."""
    if not 1 <= minutes <= MAX_SNOOZE_MINUTES:
        return f"enter whole minutes from 1 to {MAX_SNOOZE_MINUTES}."
    if not outbox.snooze(number, minutes, now_ms()):
        return _why_not(number)
    audit.record(AuditAction.DELIVERY_SNOOZED, f"msg_{number}, {minutes} minutes")
    return ""


def cancel(number: int) -> str:
    """Cancel a delivery."""
    if not outbox.cancel(number, audit.actor(), now_ms()):
        return _why_not(number)
    audit.record(AuditAction.DELIVERY_CANCELED, f"msg_{number}")
    return ""


def _why_not(number: int) -> str:
    """Return what keeps a delivery from being changed: its state."""
    delivery = load_delivery(number)
    state = delivery.state.replace("_", " ")
    return f"the delivery is {state}. {queries.why_not_retried(delivery)}".strip()


def redeliver(number: int) -> str:
    """Send one delivery again that has ended."""
    results = outbox.redeliver([number], ReplayChoice.ALL, audit.actor(), now_ms())
    if not results:
        abort(404, "There is no such delivery.")
    [result] = results
    if result not in outbox.SENDABLE:
        return _REFUSALS[result]
    audit.record(AuditAction.DELIVERY_REPLAYED, f"delivery msg_{number}")
    notify_worker()
    return ""


def close_alert(row: Alert) -> str:
    """Close an alert that its source will never close."""
    if not outbox.close_alert(row.id, now_ms()):
        return "the alert is closed already."
    audit.record(AuditAction.ALERT_CLOSED, f"“{row.name}” (alert {row.id})")
    notify_worker()
    return ""


def notify_worker() -> None:
    """Wake the workers."""
    wakeup.notify(services().config.data_dir)
