"""Matchers that silence one alert."""

from delivery.alerts.alert import Alert
from delivery.alerts.matchers import MAX_BYTES, MAX_MATCHERS, labels_of, write_matcher
from delivery.content.facts import importance
from delivery.text import utf8_length

_SEPARATOR = ", "


def matchers_of(alert: Alert, max_bytes: int = MAX_BYTES) -> str:
    """Return matchers of every label of an alert and of its name, which match such an alert only.

    Of more labels than matchers may have, the most important ones stay. The result is empty if not
    even one fits.
    """
    labels = labels_of(alert)
    written: list[str] = []
    room = max_bytes
    for name in sorted(labels, key=lambda name: _rank(name, labels[name])):
        matcher = write_matcher(name, labels[name])
        size = utf8_length(matcher + _SEPARATOR)
        if size <= room and len(written) < MAX_MATCHERS:
            written.append(matcher)
            room -= size
    return _SEPARATOR.join(written)


def _rank(name: str, value: str) -> tuple:
    """Return the place of a label: the name first, empty and internal labels last."""
    return name != "alertname", not value, name.startswith("__"), importance(name)
