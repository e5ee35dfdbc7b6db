"""The settings of a channel: everything that shapes an exchange, decrypted.

Reading a stored row never fails: a value that cannot be read gets its default.
"""

import hmac
import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from delivery.guard.url import InvalidUrl, ParsedUrl, parse_url
from delivery.json_text import parse_or_none
from delivery.secrets.encryption import DecryptionError, Keyring, channel_purpose
from models import Channel

METHODS = ("POST", "PUT", "PATCH", "GET")
AUTHS = ("none", "basic", "bearer", "header")
SIGNINGS = ("none", "standard", "github", "grafana")
SECRET_FIELDS = ("auth_secret", "signing_secret", "signing_secret_old")
MIN_TIMEOUT = 1
MAX_TIMEOUT = 30
DEFAULT_TIMEOUT = 10
_CHOICES = {"method": METHODS, "auth": AUTHS, "signing": SIGNINGS}
_ENCRYPTED_FIELDS = ("url", *SECRET_FIELDS)
_ROW_FIELDS = ("headers", "options")
_CREDENTIAL_NAME = re.compile(
    "authori[sz]ation|cookie|token|secret|passw|passphrase|credential|signature|"
    "(?<![a-z])(x|api|app|auth|access|private|shared|license)*-?_?keys?(?![a-z])|"
    "(?<![a-z])(auth|bearer|jwt|pwd|session|sign?)(?![a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Header:
    """A header row of a channel, or an option of its kind."""

    name: str
    value: str = field(repr=False)
    secret: bool = False


@dataclass(frozen=True)
class Settings:
    """The settings that a person entered, decrypted.

    `timeout` is in seconds; `payload` and `body` are exactly as typed.
    """

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
        """The parsed URL, None if it is invalid."""
        try:
            return parse_url(self.url)
        except InvalidUrl:
            return None

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URL, empty if it is invalid.

        Stored secrets are bound to the origin.
        """
        return self.target.origin if self.target else ""

    @property
    def masked_url(self) -> str:
        """The URL as pages show it; empty when it cannot be read."""
        return self.target.masked if self.target else ""

    def option(self, name: str) -> str:
        """Return the value of an option, empty if it is not set."""
        return next((option.value for option in self.options if option.name == name), "")

    def fingerprint(self, key: str) -> str:
        """Return a keyed hash of the settings, equal for equal exchanges.

        Because of the key, the hash reveals nothing about a weak secret.
        """
        text = json.dumps(asdict(self), sort_keys=True)
        return hmac.new(key.encode(), text.encode(), "sha256").hexdigest()


def names_credential(name: str) -> bool:
    """Return True if a header or parameter of this name holds a credential by its nature."""
    return bool(_CREDENTIAL_NAME.search(name))


def protect_credential(header: Header) -> Header:
    """Return the header row, as a secret if its name is that of a credential."""
    return replace(header, secret=header.secret or names_credential(header.name))


class StoredSettings(NamedTuple):
    """The settings of a stored row, and what is wrong with the row (empty: nothing)."""

    settings: Settings
    problem: str


def write_settings(channel: Channel, settings: Settings, keyring: Keyring, key: str) -> None:
    """Put the settings into the columns of a row, which must have an id, without saving it.

    The secrets are encrypted for the id of the row; `key` is the key of the fingerprint.
    """
    public = asdict(settings)
    hidden: dict[str, Any] = {name: public.pop(name) for name in _ENCRYPTED_FIELDS}
    for name in _ROW_FIELDS:
        hidden[name] = {}
        for row in public[name]:
            if row["secret"]:
                hidden[name][row["name"].lower()] = row["value"]
                row["value"] = ""
    channel.kind = settings.kind
    channel.origin = settings.origin
    channel.settings = json.dumps(public)
    channel.sealed = keyring.encrypt(channel_purpose(channel.id), hidden)
    channel.config_hash = settings.fingerprint(key)


def read_settings(channel: Channel, keyring: Keyring) -> StoredSettings:
    """Return the settings of a row, and what is wrong with it.

    Values that cannot be read are at their defaults, so that a damaged row can be edited.
    """
    problem = ""
    public = parse_or_none(channel.settings)
    if not isinstance(public, dict):
        public = {}
        problem = "Its stored settings are damaged."
    hidden = {}
    try:
        hidden = keyring.decrypt(channel_purpose(channel.id), channel.sealed)
    except DecryptionError as error:
        problem = str(error)
    stored = public | hidden
    values = {item.name: _typed(stored.get(item.name), item.default) for item in fields(Settings)}
    for name, choices in _CHOICES.items():
        if values[name] not in choices:
            values[name] = choices[0]
    for name in _ROW_FIELDS:
        values[name] = _rows(public.get(name), hidden.get(name))
    values["headers"] = tuple(map(protect_credential, values["headers"]))
    values["kind"] = channel.kind
    values["timeout"] = min(max(values["timeout"], MIN_TIMEOUT), MAX_TIMEOUT)
    return StoredSettings(Settings(**values), problem)


def _typed(value: object, default: Any) -> Any:
    """Return the value if it has exactly the type of the default, else the default.

    A string is returned as valid Unicode.
    """
    if type(value) is not type(default):
        return default
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value


def _rows(rows: object, secrets: object) -> tuple[Header, ...]:
    if not isinstance(rows, list):
        return ()
    if not isinstance(secrets, dict):
        secrets = {}
    headers = []
    for row in rows:
        if not isinstance(row, dict):
            continue
        name = _typed(row.get("name"), "")
        value = row.get("value")
        secret = row.get("secret") is True
        if secret:
            value = secrets.get(name.lower())
        if name:
            headers.append(Header(name, _typed(value, ""), secret))
    return tuple(headers)
