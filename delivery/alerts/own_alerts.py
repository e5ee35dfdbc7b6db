"""Tocsin's own alerts: that a channel is not getting through. Pure."""

KEY_PREFIX = "tocsin:channel:"  # the keys of received alerts are hexadecimal


def key_of_channel(channel_id: int) -> str:
    """Return the key of the alert that a channel is not getting through."""
    return f"{KEY_PREFIX}{channel_id}"


def channel_of_key(key: str) -> int | None:
    """Return the id of the channel that an alert of Tocsin is about; None for any other alert."""
    number = key.removeprefix(KEY_PREFIX)
    return int(number) if number != key and number.isdecimal() else None
