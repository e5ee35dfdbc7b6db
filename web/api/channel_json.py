"""A channel in JSON: what the API shows of one, and the form that a body of a request fills in."""

from typing import Any

import msgspec
from msgspec import Raw
from werkzeug.datastructures import MultiDict

from clock import now_ms
from delivery.alerts.alert import rfc3339
from delivery.health import health_of
from delivery.kinds import kinds
from delivery.settings import SECRET_FIELDS, Settings
from models import Channel
from web.api.channel_schema import CHANNEL_MEMBERS, ChannelBody, decode_members, invalid_channel
from web.channels.forms import values_of
from web.channels.views import read_channel


def channel_json(channel: Channel) -> dict[str, Any]:
    """Return a channel as the API shows it: without secrets, with a shortened URL."""
    settings, problem = read_channel(channel)
    values = values_of(channel, settings)
    secrets = [name for name in SECRET_FIELDS if getattr(settings, name)]
    options = {}
    for option in settings.options:
        if option.secret:
            secrets.append(f"options-{option.name}")
        else:
            options[option.name] = option.value
    members = {
        **{name: values[name] for name in CHANNEL_MEMBERS if name in values},
        "id": channel.id,
        "url": settings.masked_url,
        "options": options,
        "timeout": settings.timeout,
        "group_wait": _number(values["group_wait"]),
        "fallback": _number(values["fallback"]),
        "repeat": channel.repeat_minutes or None,
        "drill": channel.drill_days or None,
        "version": channel.version,
        "secrets": secrets,
        "state": channel.state,
        "proof": channel.proven,
        "health": health_of(channel, now_ms()),
        "trouble": _trouble_json(channel),
        "origin": channel.origin,
        "provisioned": channel.provisioned or None,
        "created_at": rfc3339(channel.created_at),
        "updated_at": rfc3339(channel.updated_at),
    }
    if problem:
        members["problem"] = problem
    return members


def _number(text: str) -> int | None:
    return int(text) if text else None


def _trouble_json(channel: Channel) -> dict[str, str] | None:
    if channel.trouble_since is None:
        return None
    return {"since": rfc3339(channel.trouble_since), "text": channel.trouble}


def form_data(body: ChannelBody, stored: Settings, version: int) -> MultiDict:
    """Return what a page would post for this body, for a channel with these settings.

    Raises:
        ApiError: a member is of another type, or the URL is shortened.
    """
    values: dict[str, Any] = {**body, "headers": None, "options": None}
    values["url"] = _full_url(body, stored)
    values["version"] = version
    for number, row in enumerate(body.get("headers") or []):
        for name, value in msgspec.structs.asdict(row).items():
            values[f"headers-{number}-{name}"] = value
    options = _options(body)
    # An option that is not posted would keep its stored value.
    data = MultiDict(dict.fromkeys(options, ""))
    for name, value in {**values, **options}.items():
        if isinstance(value, Raw):
            value = _json_text(bytes(value))
        if value is not None:
            data[name] = str(value)
        else:
            data[f"{name}-remove"] = "1"
    return data


def _json_text(data: bytes) -> str | None:
    """Return the value of a string, None for null, and any other JSON unchanged."""
    if data == b"null":
        return None
    if data.startswith(b'"'):
        return msgspec.json.decode(data, type=str)
    return data.decode()


def _options(body: ChannelBody) -> dict[str, str | None]:
    """Return the options of the kind by their names in the form; an absent option is blank."""
    sent = body.get("options") or {}
    kind = kinds().get(body.get("kind") or "webhook")
    names = [option.name for option in kind.options] if kind else list(sent)
    options = decode_members(sent, dict.fromkeys(names, str | None), "options-")
    return {f"options-{name}": options.get(name, "") for name in names}


def _full_url(body: ChannelBody, stored: Settings) -> str | None:
    """Return the stored URL for none, an empty or the shortened one; null is no URL."""
    url = body.get("url", "")
    if url is None:
        return None
    if url.strip() in ("", stored.masked_url):
        return stored.url
    if "/…" in url:
        message = "This URL is shortened: leave it out to keep the stored one, or send all of it."
        raise invalid_channel({"url": [message]})
    return url
