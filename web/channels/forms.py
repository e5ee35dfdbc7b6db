"""The channel form.

One class judges a field check, a test and a save, always as a whole. It never uses the network.
"""

import re

from wtforms import Field, Form, FormField
from wtforms.validators import ValidationError

from delivery import json_text, template
from delivery.alerts.grouping import parse_group_by
from delivery.alerts.matchers import parse_matchers
from delivery.guard.addresses import literal_refusal_of
from delivery.guard.tls import refuse_broken_pem
from delivery.guard.url import parse_url
from delivery.kinds import kinds
from delivery.kinds.spec import Kind
from delivery.retry import parse_steps
from delivery.sender import unambiguous_url
from delivery.settings import DEFAULT_TIMEOUT, METHODS, Settings
from delivery.signing import standard_key
from models import Channel
from web.channels.fallback_field import FallbackField, stored_fallback
from web.channels.fields import ChoiceField, SwitchField, TextField
from web.channels.header_rows import HeaderRow, HeaderRows
from web.channels.kind_fields import PREFIX, OptionField
from web.channels.secret_fields import Context, SecretField
from web.validation import (
    as_validation_error,
    check_header_name,
    check_header_value,
    check_name,
    parse_drill,
    parse_group_wait,
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
    matchers = TextField("Matchers", check=parse_matchers)
    group_by = TextField("Group by", check=parse_group_by)
    group_wait = TextField("Group wait (seconds)", check=parse_group_wait)
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
    timeout = TextField("Timeout (seconds)", check=parse_timeout)
    verify_tls = SwitchField("Verify the receiver's certificate", default=True)
    ca_pem = TextField("Certificate authorities (PEM)", check=refuse_broken_pem)
    retries = TextField("Retry schedule", check=parse_steps)
    repeat = TextField("Repeat interval (minutes)", check=parse_repeat)
    separate = SwitchField(
        "Send waiting alerts separately, even when there are many", default=False
    )
    fallback = FallbackField("Fallback channel")
    drill = TextField("Fire drill (days)", check=parse_drill)
    version = TextField()

    def __init__(self, context: Context, **values):
        self.context = context
        formdata = context.posted or None
        super().__init__(formdata=formdata, **values)
        for option in self.chosen_kind.options:
            field = OptionField(option).bind(self, PREFIX + option.name)
            # An option that is not posted is as stored, also after a change of the kind and back.
            field.process(formdata, "" if option.secret else field.stored)
            self._fields[field.name] = field

    # --- the kind and the URL --------------------------------------------------------------------

    @property
    def chosen_kind(self) -> Kind:
        """The chosen kind; the default one in place of an unknown one, which is an error."""
        return kinds().get(self.kind.data, kinds()[self.kind.default])

    @property
    def effective_url(self) -> str:
        """The URL as typed, or the vendor's own server when it is empty."""
        return self.url.text or self.chosen_kind.base

    @property
    def origin(self) -> str:
        """The origin of the URL; empty when the URL cannot be read."""
        return Settings(url=self.effective_url).origin

    @property
    def options(self) -> list[OptionField]:
        """The options of the chosen kind."""
        return [field for field in self if isinstance(field, OptionField)]

    @property
    def group_wait_seconds(self) -> int:
        """The valid group wait in seconds; an empty one is the default if there are groups."""
        if self.group_by.text or self.group_wait.text:
            return parse_group_wait(self.group_wait.data)
        return 0

    # --- results ---------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """Return the settings in the form; an invalid field may count as its default."""
        auth = self.auth.data
        signing = self.signing.data
        options = (field.header for field in self.options)
        settings = {
            **{name: self[name].data for name in _AS_TYPED},
            "url": self.effective_url,
            "headers": tuple(row.header for row in self.headers.filled),
            "options": tuple(option for option in options if option.value),
        }
        if not self.timeout.errors:
            settings["timeout"] = parse_timeout(self.timeout.data)
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

    def all_fields(self) -> dict[str, Field]:
        """Return every field that can have a message by its name, with those of header rows."""
        fields = [field for field in self if field is not self.version]
        for row in self.headers:
            fields += row.form
        return {field.name: field for field in fields}

    def invalid_fields(self) -> list[Field]:
        """Return every field that has a message."""
        return [field for field in self.all_fields().values() if field.errors]

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
        policy = self.context.services.policy
        refusal = literal_refusal_of(target, policy.permissions(target))
        if refusal:
            raise ValidationError(refusal)

    def validate_auth_username(self, field):
        name = field.text
        if self.auth.data == "header":
            check_header_name(name)
        if self.auth.data == "basic":
            if not name:
                raise ValidationError("Enter the user name.")
            if re.search(r"[:\x00-\x1f]", name):
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
        if field.text and "payload" in self.chosen_kind.uses:
            with as_validation_error():
                json_text.check_json(field.data)

    def validate_body(self, field):
        if "body" not in self.chosen_kind.uses:
            return
        if not field.text:
            raise ValidationError("Enter a JSON document, or choose a starter body.")
        with as_validation_error():
            template.parse(field.data)

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
        group_by=channel.group_by,
        group_wait=_shown_group_wait(channel),
        separate=bool(channel.separate),
        fallback=stored_fallback(channel),
        drill=str(channel.drill_days or ""),
        retries=channel.retries,
        repeat=str(channel.repeat_minutes or ""),
        version=str(channel.version),
    )
    return values


def _shown_group_wait(channel: Channel) -> str:
    """Return the group wait; without groups, an unused 0 stands for an empty field."""
    if channel.group_by or channel.group_wait:
        return str(channel.group_wait)
    return ""


def _require(field: SecretField) -> None:
    if not field.value:
        raise ValidationError("Enter the secret: the receiver requires it.")
