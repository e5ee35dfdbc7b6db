"""Write channels into a file that `import` reads.

Only what differs from a new channel is written, always in the same order: the same channels give
the same bytes.
"""

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

import yaml

from delivery.settings import DEFAULT_TIMEOUT, SECRET_FIELDS, Header, Settings, read_settings
from models import Channel, ChannelState
from web.api.channel_json import channel_json
from web.api.channel_schema import CHANNEL_MEMBERS
from web.channels.kind_fields import PREFIX
from web.channels.secret_fields import fingerprint_of
from web.services import services
from web.transfer.reading import plain_value
from web.transfer.secret_texts import KEEP, literal

FORMAT = 1  # of the file
_ALWAYS = ("name", "kind", "url")
# A new channel has these; empty values are left out as well.
_DEFAULTS = {
    "method": "POST",
    "auth": "none",
    "signing": "none",
    "timeout": DEFAULT_TIMEOUT,
    "verify_tls": True,
    "separate": False,
}
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Secrets(StrEnum):
    """How an export writes secrets, and the URL, which is one."""

    FINGERPRINTS = "fingerprints"
    ENV = "env"
    CLEAR = "clear"


class FileFormat(StrEnum):
    """The format of a file of channels."""

    YAML = "yaml"
    JSON = "json"


class Export(NamedTuple):
    """A file of channels, the variables that it names, and the channels that it lacks."""

    text: str
    variables: list[str]
    damaged: list[str]


def export_channels(channels: Iterable[Channel], secrets: Secrets, form: FileFormat) -> Export:
    """Return the file of these channels; one whose row is damaged is left out."""
    entries = []
    damaged = []
    names = {channel.id: channel.name for channel in Channel.listed()}
    writer = _SecretWriter(secrets)
    for channel in channels:
        settings, problem = read_settings(channel, services().keyring)
        if problem:
            damaged.append(f"{channel.name}: {problem}")
            continue
        writer.begin(channel.name)
        entries.append(_entry(channel, settings, names, writer))
    document = {"tocsin": FORMAT, "channels": entries}
    return Export(_written(document, form), writer.variables, damaged)


def _entry(
    channel: Channel, settings: Settings, names: dict[int, str], writer: "_SecretWriter"
) -> dict[str, Any]:
    values = channel_json(channel)
    values["url"] = writer.write("url", "url", settings.url, settings.masked_url)
    values["headers"] = [_header(header, writer) for header in settings.headers]
    values["options"] = _options(settings, writer)
    for name in ("payload", "body"):
        values[name] = getattr(settings, name)
    for name in SECRET_FIELDS:
        values[name] = writer.write(name, name, getattr(settings, name))
    values["fallback"] = names.get(channel.fallback_id or 0)
    del values["version"]
    entry = {}
    for name in CHANNEL_MEMBERS:
        value = values.get(name)
        if name in _ALWAYS or not _is_default(name, value):
            entry[name] = value
    if channel.state == ChannelState.PAUSED:
        entry["paused"] = "drop" if channel.drops else "hold"
    return entry


def _is_default(name: str, value: Any) -> bool:
    if name in _DEFAULTS:
        return value == _DEFAULTS[name]
    return value in (None, "", [], {})


def _header(header: Header, writer: "_SecretWriter") -> dict[str, Any]:
    if not header.secret:
        return {"name": header.name, "value": header.value}
    key = header.name.lower()
    value = writer.write(f"header {key}", f"header {header.name}", header.value)
    return {"name": header.name, "value": value, "secret": True}


def _options(settings: Settings, writer: "_SecretWriter") -> dict[str, str]:
    options = {}
    for option in settings.options:
        value = option.value
        if option.secret:
            value = writer.write(f"{PREFIX}{option.name}", option.name, value)
        options[option.name] = value
    return options


class _SecretWriter:
    """Writes the secrets of one channel after another."""

    def __init__(self, secrets: Secrets):
        self.variables: list[str] = []
        self._secrets = secrets
        self._key = services().config.secret_key
        self._channel = ""

    def begin(self, channel_name: str) -> None:
        """Write the secrets of this channel from now on."""
        self._channel = channel_name

    def write(self, identity: str, label: str, secret: str, shown: str = "") -> str:
        """Return the text that stands for a secret; empty for none.

        `identity` belongs to the fingerprint, `label` to the name of a variable, and `shown`, the
        part of the secret that everybody may see, is a comment.
        """
        if not secret:
            return ""
        if self._secrets == Secrets.CLEAR:
            return literal(secret)
        if self._secrets == Secrets.ENV:
            return f"env:{self._variable(label)}"
        text = f"{KEEP}:{fingerprint_of(self._key, identity, secret)}"
        return f"{text} {shown}".rstrip()

    def _variable(self, label: str) -> str:
        """Return an unused name such as CHANNEL_TEAM_DB_AUTH_SECRET."""
        words = re.findall("[A-Z0-9]+", f"{self._channel} {label}".upper())
        name = "_".join(["CHANNEL", *words])
        unique = name
        number = 1
        while unique in self.variables:
            number += 1
            unique = f"{name}_{number}"
        self.variables.append(unique)
        return unique


def _written(document: dict[str, Any], form: FileFormat) -> str:
    if form == FileFormat.JSON:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump(
        document, Dumper=_ChannelDumper, sort_keys=False, allow_unicode=True, width=1_000_000
    )


class _ChannelDumper(_Dumper):
    """Writes a text of several lines as a block, which people can read and edit."""


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text.rstrip("\n"):
        style = "|"
    elif plain_value(text) != text:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_ChannelDumper.add_representer(str, _represent_text)
