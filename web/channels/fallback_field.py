"""The fallback of a channel: another channel, which is notified when this one fails."""

import re
from functools import cached_property

from wtforms.validators import ValidationError

from models import MAX_ID, Channel
from web.channels.fields import TextField

_UNKNOWN = "There is no such channel. It may have been deleted: choose another one, or none."
_ITSELF = "A channel cannot be its own fallback: choose another one, or none."


class FallbackField(TextField):
    """The id of another channel; empty for none."""

    @cached_property
    def choices(self) -> list[tuple[str, str]]:
        """The values that the field may have, each with its label: none, and the other channels."""
        rows = Channel.listed().select(Channel.id, Channel.name)
        own_id = self._form.context.channel_id
        others = [(str(row.id), row.name) for row in rows if row.id != own_id]
        return [("", "None"), *others]

    @property
    def channel(self) -> Channel | None:
        """The chosen channel; None without one, or if there is no such channel."""
        number = self.text
        if not re.fullmatch("[0-9]{1,19}", number) or int(number) > MAX_ID:
            return None
        return Channel.find(int(number))

    def pre_validate(self, form):
        """Refuse a channel that does not exist, the channel itself, and a circle."""
        if not self.text:
            return
        fallback = self.channel
        if fallback is None:
            raise ValidationError(_UNKNOWN)
        own_id = form.context.channel_id
        if fallback.id == own_id:
            raise ValidationError(_ITSELF)
        last = own_id and _last_before(own_id, fallback)
        if last:
            raise ValidationError(
                f"This makes a circle: the fallback of “{last.name}” is this channel. "
                "Choose another one, or none."
            )


def _last_before(channel_id: int, start: Channel) -> Channel | None:
    """Return the channel in a chain of fallbacks whose fallback is this one; None without one."""
    seen = {start.id}
    channel: Channel | None = start
    while channel and channel.fallback_id:
        if channel.fallback_id == channel_id:
            return channel
        if channel.fallback_id in seen:
            return None
        seen.add(channel.fallback_id)
        channel = Channel.find(channel.fallback_id)
    return None


def stored_fallback(channel: Channel) -> str:
    """Return the form's value for the fallback of a stored channel; none if it was deleted."""
    if channel.fallback_id and Channel.find(channel.fallback_id):
        return str(channel.fallback_id)
    return ""
