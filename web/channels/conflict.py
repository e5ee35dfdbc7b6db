"""Compare a stale form with the stored channel."""

from web.channels.comparison import (
    Difference,
    differences,
    stored_configuration,
    typed_configuration,
)
from web.channels.editor import Edit


def conflicts_of(edit: Edit) -> list[Difference]:
    """Return the fields that differ between the stored channel and the form."""
    stored = stored_configuration(edit.channel, edit.stored)
    return differences(stored, typed_configuration(edit.form), edit.form)
