"""States and roles, as the tables hold them."""

from enum import StrEnum


class ChannelState(StrEnum):
    """State of a channel; `failing` is set by Tocsin, `paused` by a user.

    A channel fails when its hook is gone. A delivered message, a save or *Resume* heals it.
    """

    DELIVERING = "delivering"
    PAUSED = "paused"
    FAILING = "failing"


class Proof(StrEnum):
    """Evidence that a channel's current configuration works."""

    UNPROVEN = "unproven"
    BY_TEST = "proven by test"
    BY_DELIVERY = "proven by delivery"


class DeliveryState(StrEnum):
    """State of a delivery. Only `delivery.outbox` writes it."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    FAILED = "failed"
    HELD = "held"
    SUPERSEDED = "superseded"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"
    PARKED = "parked"


class ReplayState(StrEnum):
    """State of a replay; a stopped one can be continued."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class Role(StrEnum):
    """Role of a user: a viewer changes nothing and sees no secret."""

    EDITOR = "editor"
    VIEWER = "viewer"
