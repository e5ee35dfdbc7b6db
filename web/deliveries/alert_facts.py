"""What the pages show of an alert."""

import re

from delivery.alerts.alert import without_internal
from delivery.alerts.received import alert_from_json
from delivery.content.facts import subject_of
from delivery.content.links import links_of
from delivery.content.severity import Severity
from delivery.message import ANONYMOUS
from delivery.text import one_line
from models import Alert


def alert_facts(row: Alert) -> dict:
    """Return the variables of the templates that show an alert."""
    alert = alert_from_json(row.body)
    # Any other scheme could run a script.
    is_link = re.match(r"https?://\S", alert.url, re.IGNORECASE)
    labels = {name: one_line(text) for name, text in without_internal(alert.labels).items()}
    texts = {"Labels": labels, "Annotations": without_internal(alert.annotations)}
    links = links_of(alert, ANONYMOUS, is_test=False)
    return {"row": row, "alert": alert, "is_link": is_link, "links": links, "texts": texts}


def subject_of_row(row: Alert) -> str:
    """Return what an alert is about, such as its host; empty if its labels do not say it."""
    return subject_of(alert_from_json(row.body).labels)


def severity_of_row(row: Alert) -> Severity:
    """Return the severity of an alert; the default one if its labels name none."""
    return list(Severity)[row.urgency]
