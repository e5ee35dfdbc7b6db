"""Parsers for the messages of webhooks: those of Alertmanager, Grafana and Uptrace.

They are lenient, because the sender of a webhook never sends a corrected message.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from delivery.alerts.alert import PAYLOAD, Alert, to_json, to_text
from delivery.alerts.members import InvalidMember, set_time, to_count
from delivery.alerts.parsed import (
    InvalidPayload,
    ParsedAlerts,
    label_identity,
    parse_each,
    shorten,
    to_received,
)
from delivery.alerts.received import ReceivedAlert
from delivery.alerts.values import value_of
from delivery.guard.url import MAX_LINK_LENGTH, first_link

# Grafana's members by the names in `Alert.links`.
_LINKS = {"dashboard": "dashboardURL", "panel": "panelURL", "silence": "silenceURL"}


def parse_webhook(value: Any, _now: int) -> ParsedAlerts:
    """Parse what Alertmanager and Grafana send to a webhook; only `alerts` is required.

    Raises:
        InvalidPayload: There is no list `alerts`.
    """
    group_alerts = _get(value, "alerts")
    if not isinstance(group_alerts, list):
        raise InvalidPayload("The list “alerts” is missing.")
    default_status = value.get("status")
    if not default_status and value.get("state") == "ok":
        default_status = "resolved"
    alerts, invalid = parse_each(group_alerts, partial(_webhook_alert, default_status))
    problems = [f"alerts[{index}]: {error}" for index, error in invalid.items()]
    return ParsedAlerts(alerts, shorten(problems), to_count(value.get("truncatedAlerts")))


def parse_uptrace(value: Any, _now: int) -> ParsedAlerts:
    """Parse what Uptrace sends to a webhook: one alert, and the channel's own payload.

    Raises:
        InvalidPayload: There is no alert, or it is invalid.
    """
    members = _get(value, "alert")
    if not (_get(members, "id") or _get(members, "name")):
        raise InvalidPayload("The object “alert” with an “id” is missing.")
    annotations = {}
    if value.get("payload") is not None:
        annotations[PAYLOAD] = to_json(value["payload"])
    alert = Alert.from_json(
        {
            **members,
            "status": members.get("status") or members.get("state"),  # Uptrace's help says state
            "labels": {},
            "annotations": annotations,
            "starts_at": members.get("createdAt"),
            "ends_at": value.get("createdAt"),
        }
    )
    if not alert.closed:
        alert = replace(alert, ends_at=None)
    # Two installations both count their alerts from 1; the host of the links tells them apart.
    origin = alert.url.split("/", 3)[:3]
    try:
        received = to_received(("uptrace", *origin, alert.id or alert.name), alert)
    except InvalidMember as error:
        raise InvalidPayload(f"The alert: {error}.") from None
    # An alert of Uptrace that opens again keeps its start.
    return ParsedAlerts([received._replace(resolves=False)], [])


def _webhook_alert(default_status: object, members: dict) -> ReceivedAlert:
    """Parse an alert of a webhook leniently: its sender never sends a corrected one."""
    links = _links_of(members)
    alert = Alert.from_json(
        {
            "status": members.get("status", default_status),
            "labels": members.get("labels"),
            "annotations": members.get("annotations"),
            "starts_at": set_time(members.get("startsAt")),
            "ends_at": set_time(members.get("endsAt")),
            "url": first_link(
                to_text(members.get("generatorURL")),
                links.get("panel", ""),
                links.get("dashboard", ""),
            ),
            "links": links,
        }
    )
    alert = replace(alert, value=value_of(members, alert.annotations))
    identity = label_identity(alert.labels)
    if not identity[1]:
        raise InvalidMember("labels", "it has no labels, so it cannot be identified")
    return to_received(identity, alert)


def _links_of(members: dict) -> dict[str, str]:
    """Return Grafana's links that can be links, by their names in `Alert.links`."""
    texts = {name: to_text(members.get(member)) for name, member in _LINKS.items()}
    return {name: text for name, text in texts.items() if 0 < len(text) <= MAX_LINK_LENGTH}


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None
