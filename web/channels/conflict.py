"""Compare a stale form with the stored channel, and both with the version that was edited."""

import re

from delivery.settings import read_settings
from models import ChannelVersion
from web.channels.comparison import (
    Configuration,
    Difference,
    differences,
    stored_configuration,
    typed_configuration,
)
from web.channels.editor import Edit
from web.services import services


def conflicts_of(edit: Edit) -> list[Difference]:
    """Return the fields that differ between the stored channel and the form."""
    stored = stored_configuration(edit.channel, edit.stored)
    return differences(stored, typed_configuration(edit.form), edit.form)


def changers_of(edit: Edit) -> dict[str, str]:
    """Return which side changed a field, by label; nothing if the edited version is not kept."""
    edited = _edited_configuration(edit)
    if edited is None:
        return {}
    stored = stored_configuration(edit.channel, edit.stored)
    theirs = differences(edited, stored, edit.form)
    mine = differences(edited, typed_configuration(edit.form), edit.form)
    changers = {difference.label: "changed in the saved version" for difference in theirs}
    for difference in mine:
        is_both = difference.label in changers
        changers[difference.label] = "changed in both" if is_both else "changed by you"
    return changers


def _edited_configuration(edit: Edit) -> Configuration | None:
    """Return the configuration that the form was opened with."""
    number = edit.form.version.data or ""
    if not re.fullmatch("[0-9]{1,9}", number, re.ASCII):
        return None
    version = ChannelVersion.find(edit.channel, int(number))
    if version is None:
        return None
    channel = version.as_channel()
    settings, problem = read_settings(channel, services().keyring)
    return None if problem else stored_configuration(channel, settings)
