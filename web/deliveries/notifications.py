"""Say whether a channel was notified of an alert, why, and what follows. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from delivery.alerts.alert import AlertStatus
from delivery.alerts.due import next_step
from delivery.alerts.plans import ACTIVE_STATES, NOT_ARRIVED_STATES
from models import Channel, ChannelState, Delivery, DeliveryState, Silence
from web.filters import ago, second, until

_ARRIVED_STATES = (DeliveryState.DELIVERED, DeliveryState.ACCEPTED)
_ENDINGS = {
    DeliveryState.FAILED: "failed",
    DeliveryState.GIVEN_UP: "was canceled",
    DeliveryState.PARKED: "was set aside",
}
_HELD = {
    ChannelState.PAUSED: "the channel is paused. To send it, resume the channel.",
    ChannelState.FAILING: (
        "the channel is failing, because its receiver says that the URL no longer exists. "
        "Correct and save the channel. Until then, one message is tried every ten minutes."
    ),
}
_DROPPING = (
    "A message is sent when the channel has been resumed and the source sends the alert again."
)
_NO_DELIVERY = (
    "The channel has no delivery of this alert yet: it is newer than the alert, or was edited."
)
_NO_MATCH = "The channel's matchers no longer match the alert, so no message is sent until it does."
_NOT_SENT = "The alert has closed, so neither message is sent."
_RETRY_NOW = "open the delivery and select Retry now."


class Notified(StrEnum):
    """Whether a channel was notified of an alert."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True, kw_only=True)
class ChannelNotification:
    """What is known about an alert and a channel; `models.Notification` explains the fields.

    `last` and `notified_by` are the deliveries with `delivery_id` and `notified_id`. `silence` is
    the one that the channel waits for. `mismatch` says why the channel does not match.
    """

    channel: Channel
    is_open: bool
    matches: bool
    now: int
    last: Delivery | None = None
    notified_by: Delivery | None = None
    failures: int = 0
    review_at: int | None = None
    flapping: bool = False
    silence: Silence | None = None
    mismatch: str = ""

    @property
    def is_concerned(self) -> bool:
        """Whether the channel has a delivery of the alert, or gets one."""
        return self.last is not None or (self.matches and self.is_open)

    @property
    def notified(self) -> Notified:
        """Whether the channel was notified of the alert, or of its end once that is reported."""
        message = self.notified_by or self.last
        if message and message.state in _ARRIVED_STATES:
            is_current = self.notified_by or (message.event == AlertStatus.OPEN) == self.is_open
            return Notified.YES if is_current else Notified.NO
        return Notified.MAYBE if self.notified_by else Notified.NO

    @property
    def text(self) -> str:
        """When the channel was notified or why it was not, and what follows."""
        next_step = _after_opening if self.is_open else _after_closing
        return " ".join(f"{_arrival(self)} {next_step(self)}".split())


def _arrival(notification: ChannelNotification) -> str:
    """Return when the message arrived that the channel was notified with."""
    message = notification.notified_by or notification.last
    if message is None or notification.notified == Notified.NO:
        return ""
    if notification.notified == Notified.MAYBE:
        return "The message may have arrived: it was sent, and no clear response came."
    subject = _subject(message)
    arrived_at = _at(message.settled_at, notification.now)
    if message.state == DeliveryState.DELIVERED:
        return f"The {subject} arrived{arrived_at}."
    return (
        f"The receiver queued the {subject}{arrived_at}. "
        "It does not confirm whether the message reaches anyone."
    )


def _after_opening(notification: ChannelNotification) -> str:
    """Return what follows while the alert is open."""
    last = notification.last
    if last is None:
        return f"{_NO_DELIVERY} {_when_received(notification)}"
    if notification.flapping:
        return _when_calm(notification, last)
    if notification.silence and last.state != DeliveryState.SENDING:
        return _silenced(notification, notification.silence)
    if last.state in ACTIVE_STATES:
        return _progress(notification, last)
    if last.state in _ARRIVED_STATES and last.event == AlertStatus.OPEN:
        return _next_repeat(notification)
    return f"{_ending(last, notification.now)} {_when_received(notification)}"


def _when_calm(notification: ChannelNotification, last: Delivery) -> str:
    """Return what an alert waits for that changes too often."""
    progress = _progress(notification, last) if last.state in ACTIVE_STATES else ""
    calm_at = _at(notification.review_at, notification.now)
    return (
        f"{progress} The alert is flapping: it has changed so often that changes are not sent. "
        f"Its state is sent when it has not changed for ten minutes, at the earliest{calm_at}."
    )


def _silenced(notification: ChannelNotification, silence: Silence) -> str:
    name = f"Silence {silence.id} (“{silence.reason}”)"
    if silence.until <= notification.now:
        return f"{name} has ended: a message that it stopped is sent now."
    end = _at(silence.until, notification.now)
    if notification.notified_by:
        return f"{name} stops further messages. It ends{end}."
    return (
        f"{name} stops the message. "
        f"If the alert is still open when it ends{end}, the message is sent."
    )


def _progress(notification: ChannelNotification, last: Delivery) -> str:
    """Return when a delivery that has not ended is sent, and what it waits for."""
    subject = _subject(last)
    notified_by = notification.notified_by
    if notified_by and notified_by.id != last.id and subject == "message":
        subject = "next message"
    if last.state == DeliveryState.SENDING:
        return f"The {subject} is being sent now, attempt {last.attempts}."
    if last.state == DeliveryState.HELD and notification.channel.state in _HELD:
        return f"The {subject} is held: {_HELD[ChannelState(notification.channel.state)]}"
    due_at = " now"
    if last.due_at > notification.now:
        due_at = _at(last.due_at, notification.now)
    if last.attempts:
        subject = f"next attempt to send the {subject}"
    return f"{last.cause} The {subject} is due{due_at}."


def _next_repeat(notification: ChannelNotification) -> str:
    review_at = notification.review_at
    if not notification.matches:
        return _NO_MATCH
    if review_at is None or review_at <= notification.now:
        return ""
    return f"The next repeat is due{_at(review_at, notification.now)}."


def _ending(last: Delivery, now: int) -> str:
    """Return how a delivery ended that did not arrive."""
    if last.state in _ARRIVED_STATES:
        return "The alert has opened again since its resolution arrived."
    if last.state == DeliveryState.DROPPED:
        return f"The message was dropped. {last.cause.rstrip('.')}."
    if last.state not in _ENDINGS:
        return last.cause
    subject = "resolution" if last.event == AlertStatus.CLOSED else "last delivery"
    ending = _ENDINGS[DeliveryState(last.state)]
    return f"The {subject} {ending}{_at(last.settled_at, now)}. {last.cause}"


def _when_received(notification: ChannelNotification) -> str:
    """Return when a message is sent that has no delivery yet."""
    if not notification.matches:
        return _NO_MATCH
    if notification.channel.state == ChannelState.PAUSED and notification.channel.drops:
        return _DROPPING
    text = "A message is sent when the source sends the alert again"
    action = ""
    last = notification.last
    now = notification.now
    if last and last.event == AlertStatus.OPEN and last.state in NOT_ARRIVED_STATES:
        action = f"To send it now, {_RETRY_NOW}"
        earliest = next_step(notification.channel, last, notification.failures, now)
        if earliest > now:
            text += f", but not before{_at(earliest, now).removeprefix(' at')}"
    if notification.channel.state in _HELD:
        action = f"It is held then: {_HELD[ChannelState(notification.channel.state)]}"
    return f"{text}. {action}"


def _after_closing(notification: ChannelNotification) -> str:
    """Return what follows once the alert is closed."""
    last = notification.last
    if last and notification.flapping:
        return _when_calm(notification, last)
    if last is None:
        return "The alert closed before the channel had a delivery of it: no message is sent."
    if last.state in ACTIVE_STATES:
        return _closing_progress(notification, last)
    if last.event == AlertStatus.OPEN:
        return _opening_of_closed(notification, last)
    if last.state in _ENDINGS:
        return _failed_closing(notification, last)
    if last.state == DeliveryState.SUPERSEDED and not notification.notified_by:
        return "The message did not arrive, and the alert has closed, so no resolution is sent."
    return last.cause


def _closing_progress(notification: ChannelNotification, last: Delivery) -> str:
    if notification.notified_by and last.event == AlertStatus.CLOSED:
        return _progress(notification, last)
    return (
        "The alert closed while the message was being sent. "
        "If the message arrives, the resolution follows."
    )


def _opening_of_closed(notification: ChannelNotification, last: Delivery) -> str:
    """Return why a closed alert has no delivery of its resolution."""
    if notification.notified_by:
        return "There is no delivery of its resolution."
    if last.state == DeliveryState.SUPERSEDED:
        return last.cause
    return f"{_ending(last, notification.now)} {_NOT_SENT}"


def _failed_closing(notification: ChannelNotification, last: Delivery) -> str:
    action = _RETRY_NOW
    if notification.channel.state == ChannelState.PAUSED:
        action = f"resume the channel, {_RETRY_NOW}"
    return (
        f"{_ending(last, notification.now)} The receiver may still show the alert as open. "
        "The resolution is sent again when the source sends it again. "
        f"To send it now, {action}"
    )


def _subject(message: Delivery) -> str:
    return "resolution" if message.event == AlertStatus.CLOSED else "message"


def _at(time: int | None, now: int) -> str:
    """Return ` at 2026-03-02 09:15:07 UTC (3 minutes ago)`; nothing for an unknown time."""
    if time is None:
        return ""
    distance = ago(time, now) if time <= now else until(time, now)
    return f" at {second(time)} ({distance})"
