"""Alertmanager's configuration (alertmanager.yml) as channels.

https://prometheus.io/docs/alerting/latest/configuration/
"""

import re
from collections.abc import Callable
from typing import Any

from web.transfer.foreign import (
    Fields,
    Receiver,
    Translation,
    add_channels,
    duration_seconds,
    note_left_out,
    without_unset,
)
from web.transfer.http_settings import http_members
from web.transfer.reading import FileError, Mapping, read_file
from web.transfer.route_files import read_route
from web.transfer.routes import destinations

# What the whole file has, and Tocsin does in another way.
_NOT_CARRIED = {
    "templates": "Tocsin writes the messages",
    "inhibit_rules": "Tocsin has no inhibition; use silences",
    "mute_time_intervals": "Tocsin has no time intervals; use silences",
    "time_intervals": "Tocsin has no time intervals; use silences",
    "tracing": "Tocsin has no tracing",
}
_NO_KIND = {
    "email": "no kind sends email",
    "jira": "no kind creates Jira issues",
    "rocketchat": "use the kind custom with the starter Rocket.Chat",
    "sns": "no kind publishes to SNS",
    "victorops": "use the kind custom with the starter Splunk On-Call",
    "webex": "use the kind custom with the starter Webex",
    "wechat": "Tocsin supports group robots of WeCom, and no applications",
    "incidentio": "use the kind custom",
}


def translate(text: str) -> Translation:
    """Return the channels of a configuration, and what is not carried over.

    Raises:
        FileError: the text is no configuration of Alertmanager.
    """
    document = read_file(text)
    if not isinstance(document, Mapping) or not isinstance(document.get("route"), Mapping):
        raise FileError(1, "this is no configuration of Alertmanager: it has no “route”.")
    translation = Translation()
    note_left_out(translation, document, _NOT_CARRIED)
    if not document["route"].get("group_by"):
        text = "without group_by, Alertmanager combines all alerts; here each is a message."
        translation.note(document["route"].line, text)
    receivers = _receivers(document, translation)
    root = read_route(document["route"], translation)
    add_channels(translation, receivers, destinations(root))
    return translation


# --- receivers ------------------------------------------------------------------------------------


def _receivers(document: Mapping, translation: Translation) -> list[Receiver]:
    defaults = Fields(document.get("global") or Mapping(1))
    receivers = []
    for mapping in document.get("receivers") or []:
        name = str(mapping.get("name", ""))
        for key, configs in mapping.items():
            if not key.endswith("_configs"):
                continue
            for config in configs or []:
                receiver = _receiver(name, key, config, defaults, translation)
                if receiver:
                    receivers.append(receiver)
    return receivers


def _receiver(
    name: str, key: str, config: Mapping, defaults: Fields, translation: Translation
) -> Receiver | None:
    kind = key.removesuffix("_configs")
    build = _KINDS.get(kind)
    where = f"“{name}”, {kind}"
    if build is None:
        reason = _NO_KIND.get(kind, "Tocsin has no such kind")
        translation.note(config.line, f"{where}: not carried over, {reason}.")
        return None
    fields = Fields(config)
    members = {**build(fields, defaults), **http_members(fields, defaults, translation, where)}
    if fields.is_off("send_resolved"):
        translation.note(config.line, f"{where}: Tocsin also sends resolutions.")
    left = [member for member in fields.unread() if member != "send_resolved"]
    if left:
        translation.note(config.line, f"{where}: not carried over: {', '.join(left)}.")
    return Receiver(config.line, name, without_unset(members))


def _webhook(fields: Fields, _defaults: Fields) -> dict[str, Any]:
    return {
        "kind": "alertmanager_webhook",
        "url": fields.secret("url"),
        "timeout": duration_seconds(fields, "timeout") or None,
    }


def _slack(fields: Fields, defaults: Fields) -> dict[str, Any]:
    url = fields.secret("api_url") or defaults.secret("slack_api_url")
    return {"kind": "slack", "url": url}


def _webhook_url(kind: str) -> Callable[[Fields, Fields], dict[str, Any]]:
    """Return the reader of an integration that has nothing but a URL."""
    return lambda fields, _defaults: {"kind": kind, "url": fields.secret("webhook_url")}


def _telegram(fields: Fields, defaults: Fields) -> dict[str, Any]:
    options = {
        "bot_token": fields.secret("bot_token") or defaults.secret("telegram_bot_token"),
        "chat_id": fields.text("chat_id"),
        "message_thread_id": fields.text("message_thread_id"),
    }
    url = fields.text("api_url") or defaults.text("telegram_api_url") or "https://api.telegram.org"
    return {"kind": "telegram", "url": url, "options": _filled(options)}


def _pagerduty(fields: Fields, defaults: Fields) -> dict[str, Any]:
    url = fields.text("url") or defaults.text("pagerduty_url") or "https://events.pagerduty.com"
    options = {"routing_key": fields.secret("routing_key")}
    return {"kind": "pagerduty", "url": _base(url, "/v2/enqueue"), "options": _filled(options)}


def _opsgenie(fields: Fields, defaults: Fields) -> dict[str, Any]:
    url = fields.text("api_url") or defaults.text("opsgenie_api_url")
    options = {"api_key": fields.secret("api_key") or defaults.secret("opsgenie_api_key")}
    url = url or "https://api.opsgenie.com"
    return {"kind": "opsgenie", "url": url.rstrip("/"), "options": _filled(options)}


def _pushover(fields: Fields, _defaults: Fields) -> dict[str, Any]:
    options = {
        "token": fields.secret("token"),
        "user": fields.secret("user_key"),
        "device": fields.text("device"),
    }
    return {"kind": "pushover", "url": "https://api.pushover.net", "options": _filled(options)}


_KINDS = {
    "webhook": _webhook,
    "slack": _slack,
    "discord": _webhook_url("discord"),
    "mattermost": _webhook_url("mattermost"),
    "msteams": _webhook_url("teams"),
    "msteamsv2": _webhook_url("teams"),
    "telegram": _telegram,
    "pagerduty": _pagerduty,
    "opsgenie": _opsgenie,
    "pushover": _pushover,
}


def _filled(options: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}


def _base(url: str, path: str) -> str:
    return re.sub(f"{re.escape(path)}/?$", "", url)
