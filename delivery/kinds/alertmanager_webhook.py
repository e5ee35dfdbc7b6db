"""The message of Alertmanager's webhook receiver, version 4.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from delivery.alerts.alert import without_internal
from delivery.content.alert_text import AlertText
from delivery.event import Event
from delivery.kinds.alert_json import alert_json
from delivery.kinds.spec import Kind
from delivery.response import judge_by_status

RECEIVER = "tocsin"
# Go's zero time: the alert has not ended.
_NOT_ENDED = "0001-01-01T00:00:00Z"


def body(text: AlertText) -> dict[str, Any]:
    """Return the message: all alerts that it is about, and what they have in common.

    `groupLabels` are all labels that the alerts share; those that the channel groups by are among
    them.
    """
    alerts = [_alert(member.event) for member in text.members]
    common = _common([alert["labels"] for alert in alerts])
    return {
        "version": "4",
        "groupKey": text.dedup_key,
        "truncatedAlerts": text.unlisted,
        "status": "resolved" if text.closed else "firing",
        "receiver": RECEIVER,
        "groupLabels": common,
        "commonLabels": common,
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": text.installation.public_url,
        "alerts": alerts,
    }


def _alert(event: Event) -> dict[str, Any]:
    """Return an alert with Alertmanager's members; the fingerprint is that of its labels."""
    alert = alert_json(event)
    closed = event.alert.closed
    shown = without_internal(alert["labels"])
    labels = json.dumps(shown, sort_keys=True).encode("utf-8", "replace")
    return {
        "status": "resolved" if closed else "firing",
        "labels": shown,
        "annotations": alert["annotations"],
        "startsAt": alert["startsAt"],
        "endsAt": alert["endsAt"] if closed else _NOT_ENDED,
        "generatorURL": alert["generatorURL"],
        "fingerprint": hashlib.sha256(labels).hexdigest()[:16],
    }


def _common(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the texts that all have in common, in the order of the first."""
    first, *others = texts
    common = {}
    for name, text in first.items():
        if all(other.get(name) == text for other in others):
            common[name] = text
    return common


KIND = Kind(
    name="alertmanager_webhook",
    label="Alertmanager webhook (v4)",
    help="Sends the JSON of Alertmanager's webhook receivers, for programs that were written for "
    "them.",
    url_help="The URL of the program, as in “webhook_configs” of Alertmanager.",
    docs="https://prometheus.io/docs/alerting/latest/configuration/#webhook_config",
    body=body,
    judge=judge_by_status,
    uses=("method",),
)
