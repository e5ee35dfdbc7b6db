"""A channel's parameters, opened: everything that shapes an exchange. Reading a stored row is total."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from delivery.guard.url import InvalidUrl, ParsedUrl, parse_url
from delivery.secrets.encryption import DecryptionError, Keyring
from models import Channel

METHODS = ("POST", "PUT", "PATCH", "GET")
AUTHS = ("none", "basic", "bearer", "header")
SIGNINGS = ("none", "standard", "github", "grafana")
_CHOICES = {"method": METHODS, "auth": AUTHS, "signing": SIGNINGS}
SECRET_FIELDS = ("auth_secret", "signing_secret", "signing_secret_old")
_HIDDEN, _ROWS = ("url", *SECRET_FIELDS), ("headers", "options")
MIN_TIMEOUT, MAX_TIMEOUT, DEFAULT_TIMEOUT = 1, 30, 10


@dataclass(frozen=True)
class Header:
    """One header row of a channel, or one option of its kind."""

    name: str
    value: str = field(repr=False)
    secret: bool = False


@dataclass(frozen=True)
class Settings:
    """What a person configured, secrets opened. `timeout` is seconds; `payload` and `body` are as they were typed."""

    kind: str = "webhook"
    url: str = field(default="", repr=False)
    method: str = "POST"
    headers: tuple[Header, ...] = ()
    auth: str = "none"
    auth_username: str = ""
    auth_secret: str = field(default="", repr=False)
    signing: str = "none"
    signing_secret: str = field(default="", repr=False)
    signing_secret_old: str = field(default="", repr=False)
    signing_timestamp_header: str = ""
    payload: str = ""
    body: str = ""
    options: tuple[Header, ...] = ()
    timeout: int = DEFAULT_TIMEOUT
    verify_tls: bool = True
    ca_pem: str = ""

    @property
    def target(self) -> ParsedUrl | None:
        """The URL, read; None when it cannot be."""
        try:
            return parse_url(self.url)
        except InvalidUrl:
            return None

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URL, which kept secrets are bound to; empty when the URL cannot be read."""
        return self.target.origin if self.target else ""

    def option(self, name: str) -> str:
        """The value of an option, empty when it was not given."""
        return next((one.value for one in self.options if one.name == name), "")

    def fingerprint(self, key: str) -> str:
        """Names this configuration: equal for equal exchanges. Keyed, so that it tells nothing about a weak secret."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def write(channel: Channel, settings: Settings, keyring: Keyring, key: str) -> None:
    """Puts the settings into the row's columns, secrets sealed to the row's id. The row must have one; it is not saved."""
    public = {name: value for name, value in asdict(settings).items() if name not in _HIDDEN}
    hidden = {name: getattr(settings, name) for name in _HIDDEN}
    for name in _ROWS:
        rows = getattr(settings, name)
        public[name] = [asdict(replace(row, value="") if row.secret else row) for row in rows]
        hidden[name] = {row.name.lower(): row.value for row in rows if row.secret}
    channel.kind = settings.kind
    channel.origin = settings.origin
    channel.settings = json.dumps(public, ensure_ascii=True)
    channel.sealed = keyring.encrypt(f"channel {channel.id}", hidden)
    channel.config_hash = settings.fingerprint(key)


def read(channel: Channel, keyring: Keyring) -> tuple[Settings, str]:
    """The row's settings, and what is wrong with the row (empty when nothing is).

    What cannot be read stands at its default, so that a damaged row still opens and can be mended.
    """
    public, problem = _loaded(channel.settings)
    try:
        hidden = keyring.decrypt(f"channel {channel.id}", channel.sealed)
    except DecryptionError as error:
        hidden, problem = {}, str(error)
    stored = public | hidden
    values: dict[str, Any] = {
        one.name: _typed(stored.get(one.name), one.default) for one in fields(Settings)
    }
    values |= {
        name: values[name] if values[name] in known else known[0]
        for name, known in _CHOICES.items()
    }
    values |= {name: _headers(public.get(name), hidden.get(name)) for name in _ROWS}
    timeout = min(max(values["timeout"], MIN_TIMEOUT), MAX_TIMEOUT)
    return Settings(**values | {"kind": channel.kind, "timeout": timeout}), problem


def _loaded(text: str) -> tuple[dict, str]:
    try:
        public = json.loads(text)
    except (ValueError, RecursionError):
        public = None
    return (public, "") if isinstance(public, dict) else ({}, "Its stored settings are damaged.")


def _typed(value: object, default: object) -> object:
    """The value where it has the type of the default (a true is no number), else the default; texts are valid UTF-8."""
    if type(value) is not type(default):
        return default
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _headers(rows: object, secrets: object) -> tuple[Header, ...]:
    hidden = secrets if isinstance(secrets, Mapping) else {}
    read_rows = (
        [_header(row, hidden) for row in rows if isinstance(row, Mapping)]
        if isinstance(rows, list)
        else []
    )
    return tuple(row for row in read_rows if row.name)


def _header(row: Mapping, hidden: Mapping) -> Header:
    name, secret = _typed(row.get("name"), ""), row.get("secret") is True
    value = hidden.get(str(name).lower()) if secret else row.get("value")
    return Header(str(name), str(_typed(value, "")), secret)
