"""Grafana's provisioning files of contact points and notification policies, as channels.

https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/
"""

from typing import Any

from web.transfer.foreign import (
    Fields,
    Receiver,
    Translation,
    add_channels,
    note_left_out,
    without_unset,
)
from web.transfer.reading import FileError, Mapping, read_file
from web.transfer.route_files import read_route
from web.transfer.routes import Destination, Route, destinations

DEFAULT_GROUP_BY = ("grafana_folder", "alertname")
_NOT_CARRIED = {
    "templates": "Tocsin writes the messages",
    "muteTimes": "Tocsin has no time intervals; use silences",
    "groups": "alert rules stay in Grafana",
}
_NO_KIND = {
    "email": "no kind sends email",
    "kafka": "no kind writes to Kafka",
    "mqtt": "no kind publishes to MQTT",
    "oncall": "use the kind custom with the starter Grafana OnCall",
    "sns": "no kind publishes to SNS",
    "victorops": "use the kind custom with the starter Splunk On-Call",
    "webex": "use the kind custom with the starter Webex",
}
# The kinds whose only setting is a URL.
_BY_URL = {
    "slack": "slack",
    "discord": "discord",
    "teams": "teams",
    "googlechat": "googlechat",
    "dingding": "dingtalk",
    "wecom": "wecom",
}
# The options of the other kinds by the names of Grafana's settings; those in `_SECRETS` are secret.
_OPTIONS = {
    "telegram": {
        "bottoken": "bot_token",
        "chatid": "chat_id",
        "message_thread_id": "message_thread_id",
    },
    "pagerduty": {"integrationKey": "routing_key"},
    "opsgenie": {"apiKey": "api_key"},
    "pushover": {"apiToken": "token", "userKey": "user", "device": "device"},
}
_SECRETS = ("bottoken", "integrationKey", "apiKey", "apiToken", "userKey")
_SERVERS = {
    "telegram": "https://api.telegram.org",
    "pagerduty": "https://events.pagerduty.com",
    "opsgenie": "https://api.opsgenie.com",
    "pushover": "https://api.pushover.net",
}


def translate(text: str) -> Translation:
    """Return the channels of provisioning files, and what is not carried over.

    Without policies, contact points get every alert.

    Raises:
        FileError: the text has no contact points, or a policy is invalid.
    """
    document = read_file(text)
    if not isinstance(document, Mapping) or not document.get("contactPoints"):
        message = (
            "this is no provisioning file with “contactPoints”; put the policies into it, too."
        )
        raise FileError(1, message)
    translation = Translation()
    note_left_out(translation, document, _NOT_CARRIED)
    receivers = _receivers(document["contactPoints"], translation)
    add_channels(translation, receivers, _destinations(document, receivers, translation))
    return translation


def _destinations(
    document: Mapping, receivers: list[Receiver], translation: Translation
) -> list[Destination]:
    found: list[Destination] = []
    for policy in document.get("policies") or []:
        found += destinations(read_route(policy, translation, DEFAULT_GROUP_BY))
    if not found:
        translation.note(1, "there are no “policies”: every channel gets every alert.")
        for name in dict.fromkeys(receiver.name for receiver in receivers):
            found += destinations(Route(1, name))
    return found


def _receivers(points: list, translation: Translation) -> list[Receiver]:
    receivers = []
    for point in points:
        for config in point.get("receivers") or []:
            receiver = _receiver(str(point.get("name", "")), config, translation)
            if receiver:
                receivers.append(receiver)
    return receivers


def _receiver(name: str, config: Mapping, translation: Translation) -> Receiver | None:
    kind = str(config.get("type", ""))
    where = f"“{name}”, {kind}"
    secure = config.get("secureSettings") or config.get("secure_settings") or Mapping(config.line)
    settings = Fields(config.get("settings") or Mapping(config.line), secure)
    members = _members(kind, settings)
    if not members.get("url"):
        reason = _NO_KIND.get(kind, "Tocsin has no such kind, or it has no URL")
        translation.note(config.line, f"{where}: not carried over, {reason}.")
        return None
    if Fields(config).is_on("disableResolveMessage"):
        translation.note(config.line, f"{where}: Tocsin also sends resolutions.")
    left = settings.unread()
    if left:
        translation.note(config.line, f"{where}: not carried over: {', '.join(left)}.")
    return Receiver(config.line, name, without_unset(members))


def _members(kind: str, settings: Fields) -> dict[str, Any]:
    """Return the members of a channel; without a URL for a type that Tocsin has no kind for."""
    if kind in _BY_URL:
        return {"kind": _BY_URL[kind], "url": settings.secret("url")}
    if kind == "webhook":
        return _webhook(settings)
    if kind == "prometheus-alertmanager":
        members = _basic(settings, "basicAuthUser", "basicAuthPassword")
        return {"kind": "alertmanager", "url": settings.secret("url"), **members}
    if kind in _OPTIONS:
        url = settings.text("apiUrl").removesuffix("/v2/alerts") or _SERVERS[kind]
        return {"kind": kind, "url": url, "options": _options(kind, settings)}
    return {}


def _options(kind: str, settings: Fields) -> dict[str, str]:
    options = {}
    for name, option in _OPTIONS[kind].items():
        value = settings.secret(name) if name in _SECRETS else settings.text(name)
        if value:
            options[option] = value
    return options


def _webhook(settings: Fields) -> dict[str, Any]:
    members = {
        "kind": "alertmanager_webhook",
        "url": settings.secret("url"),
        "method": settings.text("httpMethod"),
        **_basic(settings, "username", "password"),
    }
    credentials = settings.secret("authorization_credentials")
    if credentials:
        members |= {"auth": "bearer", "auth_secret": credentials}
    return members


def _basic(settings: Fields, user: str, password: str) -> dict[str, str]:
    username = settings.text(user)
    secret = settings.secret(password)
    if not username:
        return {}
    return {"auth": "basic", "auth_username": username, "auth_secret": secret}
