"""The option that the kinds have whose messages state times as text."""

from delivery.content.alert_text import TIME_ZONE_OPTION
from delivery.content.times import find_zone
from delivery.kinds.spec import Option


def _check(name: str) -> None:
    if find_zone(name.strip()) is None:
        raise ValueError("There is no such time zone: enter a name such as Europe/Berlin or UTC.")


TIME_ZONE = Option(
    TIME_ZONE_OPTION,
    "Time zone",
    "Of the times in messages, such as Europe/Berlin. If empty, that of the server.",
    check=_check,
)
