"""Channels that a file provisions: only that file changes or deletes them."""

from models import Channel


class ProvisionedChannel(Exception):
    """A channel is not changed, because a file provisions it; the message is for the user."""


def refuse_provisioned(channel: Channel, provisioned: str = "") -> None:
    """Refuse to change a channel that a file provisions, unless it is the given one.

    Raises:
        ProvisionedChannel: it is another one.
    """
    if channel.provisioned not in ("", provisioned):
        raise ProvisionedChannel(
            f"“{channel.name}” is provisioned by {channel.provisioned}, so nothing was changed. "
            "Change it in that file, and restart Tocsin."
        )
