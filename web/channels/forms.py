"""The channel form.

One class judges a field check, a test and a save, always as a whole. It never uses the network.
"""

from wtforms import Field, Form, FormField
from wtforms.validators import ValidationError

from delivery import json_text, retry, template
from delivery.alerts import matchers as alert_matchers
from delivery.guard.addresses import literal_refusal_of
from delivery.guard.tls import refuse_broken_pem
from delivery.guard.url import parse_url
from delivery.kinds import kinds
from delivery.kinds.spec import Kind
from delivery.sender import unambiguous_url
from delivery.settings import DEFAULT_TIMEOUT, METHODS, Settings
from delivery.signing import standard_key
from models import Channel
from web.channels.fields import ChoiceField, SwitchField, TextField
from web.channels.header_rows import HeaderRow, HeaderRows
from web.channels.kind_fields import PREFIX, OptionField, add_options
from web.channels.secret_fields import Context, SecretField
from web.validation import (
    as_validation_error,
    check_header_name,
    check_header_value,
    check_name,
    parse_repeat,
    parse_timeout,
)

_AS_TYPED = ("kind", "method", "auth", "signing", "payload", "body", "verify_tls", "ca_pem")
_READABLE = (*_AS_TYPED, "url", "auth_username", "signing_timestamp_header")
_AUTHS = [
    ("none", "None"),
    ("basic", "User name and password (Basic)"),
    ("bearer", "Token (Bearer)"),
    ("header", "Key in a custom header"),
]
_SIGNINGS = [
    ("none", "None"),
    ("standard", "Standard Webhooks (webhook-signature)"),
    ("github", "GitHub style (X-Hub-Signature-256)"),
    ("grafana", "Grafana style (X-Grafana-Alerting-Signature)"),
]


class ChannelForm(Form):
    """Every field of a channel; secrets are write-only (see `secret_fields`)."""

    name = TextField("Name")
    kind = ChoiceField(
        "Kind", [(kind.name, kind.label) for kind in kinds().values()], default="webhook"
    )
    url = TextField("URL")
    method = ChoiceField("Method", list(zip(METHODS, METHODS, strict=True)), default="POST")
    matchers = TextField("Matchers")
    headers = HeaderRows(FormField(HeaderRow))
    auth = ChoiceField("Authentication", _AUTHS, default="none")
    auth_username = TextField("User name or header name")
    auth_secret = SecretField("Password, token or key")
    signing = ChoiceField("Signature", _SIGNINGS, default="none")
    signing_secret = SecretField("Signing secret")
    signing_secret_old = SecretField("Previous signing secret")
    signing_timestamp_header = TextField("Timestamp header")
    payload = TextField("Payload")
    body = TextField("Body")
    timeout = TextField("Timeout (seconds)")
    verify_tls = SwitchField("Verify the receiver's certificate", default=True)
    ca_pem = TextField("Certificate authorities (PEM)")
    retries = TextField("Retry schedule")
    repeat = TextField("Repeat interval (minutes)")
    version = TextField()

    def __init__(self, context: Context, **values):
        self.context = context
        super().__init__(formdata=context.posted or None, **values)
        add_options(self, values)

    # --- the kind and the URL --------------------------------------------------------------------

    @property
    def chosen_kind(self) -> Kind | None:
        """The chosen kind, or None for an unknown one."""
        return kinds().get(self.kind.data)

    def uses(self, name: str) -> bool:
        """Return True if the chosen kind has this field."""
        return self.chosen_kind is not None and name in self.chosen_kind.uses

    @property
    def effective_url(self) -> str:
        """The URL as typed, or the vendor's own server when it is empty."""
        url = self.url.text
        if self.chosen_kind and not url:
            return self.chosen_kind.base
        return url

    @property
    def origin(self) -> str:
        """The origin of the URL; empty when the URL cannot be read."""
        return Settings(url=self.effective_url).origin

    @property
    def options(self) -> list[OptionField]:
        """The options of the chosen kind."""
        return [field for field in self if isinstance(field, OptionField)]

    # --- results ---------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """Return the settings in the form; an invalid field may count as its default."""
        auth = self.auth.data
        signing = self.signing.data
        settings = {name: self[name].data for name in _AS_TYPED}
        settings["url"] = self.effective_url
        settings["headers"] = tuple(row.header for row in self.headers.filled)
        options = [field.header for field in self.options]
        settings["options"] = tuple(option for option in options if option.value)
        if not self.timeout.errors:
            settings["timeout"] = parse_timeout(self.timeout.text)
        if auth in ("basic", "header"):
            settings["auth_username"] = self.auth_username.text
        if auth != "none":
            settings["auth_secret"] = self.auth_secret.value
        if signing != "none":
            settings["signing_secret"] = self.signing_secret.value
        if signing == "standard":
            settings["signing_secret_old"] = self.signing_secret_old.value
        if signing == "grafana":
            settings["signing_timestamp_header"] = self.signing_timestamp_header.text
        return Settings(**settings)

    def columns(self) -> dict:
        """Return the columns of a valid form that do not change the exchange."""
        return {
            "name": self.name.text,
            "matchers": self.matchers.data,
            "retries": self.retries.text,
            "repeat_minutes": parse_repeat(self.repeat.text),
        }

    def all_fields(self) -> dict[str, Field]:
        """Return every field that can have a message by its name, with those of header rows."""
        fields = [field for field in self if field is not self.version]
        for row in self.headers:
            fields += row.form
        return {field.name: field for field in fields}

    def problems(self) -> list[tuple[str, str, str]]:
        """Return (field name, label, message) of every invalid field."""
        problems = []
        for name, field in self.all_fields().items():
            if field.errors:
                problems.append((name, field.label.text, " ".join(field.errors)))
        return problems

    # --- rules -----------------------------------------------------------------------------------

    def validate_name(self, field):
        name = field.text
        check_name(name)
        if self.context.name_taken(name):
            raise ValidationError("This name is already taken by another channel.")

    def validate_url(self, field):
        with as_validation_error():
            target = parse_url(self.effective_url)
            unambiguous_url(target)
        policy = self.context.policy
        allowed = (*policy.allow, *policy.lab.permissions(target))
        refusal = literal_refusal_of(target, allowed)
        if refusal:
            raise ValidationError(refusal)

    def validate_auth_username(self, field):
        name = field.text
        if self.auth.data == "header":
            check_header_name(name)
        if self.auth.data == "basic":
            if not name:
                raise ValidationError("Enter the user name.")
            if ":" in name or any(ord(letter) < 32 for letter in name):
                raise ValidationError(
                    "A user name for Basic authentication cannot contain a colon "
                    "or a control character."
                )

    def validate_auth_secret(self, field):
        if self.auth.data in ("bearer", "header"):
            _require(field)
            check_header_value(field.value)
        if self.auth.data != "none":
            field.refuse_changed_origin()

    def validate_signing_secret(self, field):
        if self.signing.data != "none":
            _require(field)
            self._check_signing_secret(field)

    def validate_signing_secret_old(self, field):
        if self.signing.data == "standard" and field.value:
            self._check_signing_secret(field)

    def validate_signing_timestamp_header(self, field):
        if self.signing.data == "grafana" and field.text:
            check_header_name(field.text)

    def validate_payload(self, field):
        if field.text and self.uses("payload"):
            with as_validation_error():
                json_text.check_json(field.data)

    def validate_body(self, field):
        if not self.uses("body"):
            return
        if not field.text:
            raise ValidationError("Enter a JSON document, or choose a starter body.")
        with as_validation_error():
            template.parse(field.data)

    def validate_matchers(self, field):
        with as_validation_error():
            alert_matchers.parse_matchers(field.data)

    def validate_retries(self, field):
        with as_validation_error():
            retry.parse_steps(field.data)

    def validate_repeat(self, field):
        parse_repeat(field.text)

    def validate_timeout(self, field):
        parse_timeout(field.text)

    def validate_ca_pem(self, field):
        if field.text:
            with as_validation_error():
                refuse_broken_pem(field.data)

    # --- helpers of the rules --------------------------------------------------------------------

    @property
    def authentication_header(self) -> str:
        """The header that the authentication sets, in lower case; empty without one."""
        if self.auth.data in ("basic", "bearer"):
            return "authorization"
        if self.auth.data == "header":
            return self.auth_username.text.lower()
        return ""

    def _check_signing_secret(self, field: SecretField) -> None:
        field.refuse_changed_origin()
        if self.signing.data == "standard":
            with as_validation_error():
                standard_key(field.value)


def values_of(channel: Channel, settings: Settings) -> dict:
    """Return the form's values for a stored channel, without its secrets."""
    values = {name: getattr(settings, name) for name in _READABLE}
    for option in settings.options:
        values[PREFIX + option.name] = "" if option.secret else option.value
    rows = [vars(header) for header in settings.headers]
    values["headers"] = [{**row, "value": ""} if row["secret"] else row for row in rows]
    values["timeout"] = "" if settings.timeout == DEFAULT_TIMEOUT else str(settings.timeout)
    values.update(
        name=channel.name,
        matchers=channel.matchers,
        retries=channel.retries,
        repeat=str(channel.repeat_minutes or ""),
        version=str(channel.version),
    )
    return values


def _require(field: SecretField) -> None:
    if not field.value:
        raise ValidationError("Enter the secret: the receiver requires it.")
