"""The channel form. One class judges a field check, a test and a save, whole each time, and never looks anything up outside."""

from wtforms import FormField, HiddenField, StringField, TextAreaField
from wtforms.validators import ValidationError

from delivery.alerts.matchers import parse_matchers
from delivery.guard.addresses import literal_refusal_of
from delivery.guard.tls import refuse_broken_pem
from delivery.guard.url import parse_url
from delivery.json_text import check_json
from delivery.kinds import kinds
from delivery.retry import parse_steps
from delivery.sender import unambiguous_url
from delivery.settings import (
    DEFAULT_TIMEOUT,
    MAX_TIMEOUT,
    METHODS,
    MIN_TIMEOUT,
    Header,
    Settings,
)
from delivery.signing import standard_key
from delivery.template import parse
from models import Channel
from web import WORDS
from web.channels import fields
from web.channels.fields import (
    ChoiceField,
    HeaderRow,
    Rows,
    SwitchField,
    check_header_name,
    check_header_value,
    said_as_message,
)
from web.channels.kind_fields import KindFields
from web.channels.secret_fields import Context

_AS_TYPED = ("kind", "method", "auth", "signing", "payload", "body", "verify_tls", "ca_pem")


class ChannelForm(KindFields):
    """Every field of a channel. Secrets are write-only: blank keeps the stored one, `<field>-remove` removes it."""

    name = StringField("Name", default="")
    kind = ChoiceField(
        "Kind", [(kind.name, kind.label) for kind in kinds().values()], default="webhook"
    )
    url = StringField("URL", default="")
    method = ChoiceField("Method", [(method, method) for method in METHODS], default="POST")
    matchers = TextAreaField("Matchers", default="")
    headers = Rows(FormField(HeaderRow))
    auth = ChoiceField("Sign in with", list(WORDS["auth"].items()), default="none")
    auth_username = StringField("User name, or name of the header", default="")
    auth_secret = StringField("Password, token or key", default="")
    signing = ChoiceField("Sign with", list(WORDS["signing"].items()), default="none")
    signing_secret = StringField("Signing secret", default="")
    signing_secret_old = StringField("Outgoing secret, during a rotation", default="")
    signing_timestamp_header = StringField("Timestamp header", default="")
    payload = TextAreaField("Payload", default="")
    body = TextAreaField("Body", default="")
    timeout = StringField("Timeout in seconds", default="")
    verify_tls = SwitchField("Verify the receiver's certificate", default=True)
    ca_pem = TextAreaField("Certificate authorities", default="")
    retries = StringField("Retries after", default="")
    repeat = StringField("Tell again after minutes", default="")
    version = HiddenField(default="")

    def __init__(self, context: Context, **values):
        self.context = context
        super().__init__(formdata=context.posted or None, **values)
        self.add_options(values)

    # --- what a field's text means -------------------------------------------------------------------------------

    def filled_rows(self) -> list:
        """The rows that say something; an empty one is as good as none."""
        return [
            row
            for row in self.headers
            if row.form.name.data.strip() or row.value.data or self._carried(row.value.name)
        ]

    def settings(self) -> Settings:
        """What the form says; an invalid field may count as its default."""
        auth, signing = self.auth.data, self.signing.data
        rows = [
            Header(row.form.name.data.strip(), self.row_value(row), bool(row.secret.data))
            for row in self.filled_rows()
        ]
        return Settings(
            **{name: self[name].data for name in _AS_TYPED},
            url=self.address,
            headers=tuple(rows),
            auth_username=self.auth_username.data.strip() if auth in ("basic", "header") else "",
            auth_secret=self.secret("auth_secret") if auth != "none" else "",
            signing_secret=self.secret("signing_secret") if signing != "none" else "",
            signing_secret_old=self.secret("signing_secret_old") if signing == "standard" else "",
            signing_timestamp_header=self.signing_timestamp_header.data.strip()
            if signing == "grafana"
            else "",
            options=self.option_values(),
            timeout=DEFAULT_TIMEOUT if self.timeout.errors else self._seconds(),
        )

    def columns(self) -> dict:
        """What a valid form says beside the settings, by the channel's columns: nothing of it changes the exchange."""
        return {
            "name": self.name.data.strip(),
            "matchers": self.matchers.data,
            "retries": self.retries.data.strip(),
            "repeat_minutes": int(self.repeat.data.strip() or 0),
        }

    def problems(self) -> list[tuple[str, str, str]]:
        """Every message as (name of the field, its label, words), in the order of the form."""
        own = [(one.name, one.label.text, " ".join(one.errors)) for one in self if one.errors]
        parts = [(part, row) for row in self.headers for part in row.form if part.errors]
        rows = [
            (part.name, f"Header {row.form.name.data or 'without a name'}", " ".join(part.errors))
            for part, row in parts
        ]
        return own + rows

    # --- rules ----------------------------------------------------------------------------------------------------

    def validate(self, extra_validators=None) -> bool:
        """Judges the whole form; each field's messages stand in its `errors`."""
        valid = super().validate(extra_validators)
        rows_valid = [self._row_valid(row) for row in self.filled_rows()]
        return valid and all(rows_valid)

    def validate_name(self, name):
        fields.check_name(name.data.strip())
        if self.context.name_taken(name.data.strip()):
            raise ValidationError("Another channel has this name already: choose another.")

    def validate_url(self, url):
        with said_as_message():
            target = parse_url(self.address)
            unambiguous_url(target)
        refusal = literal_refusal_of(
            target, (*self.context.allow, *self.context.lab.permissions(target))
        )
        if refusal:
            raise ValidationError(refusal)

    def validate_headers(self, headers):
        if len(self.filled_rows()) > fields.MOST_HEADERS:
            raise ValidationError(
                f"There are {len(self.filled_rows())} headers; at most {fields.MOST_HEADERS} are possible."
            )

    def validate_auth_username(self, username):
        text = username.data.strip()
        if self.auth.data == "header":
            check_header_name(text)
        if self.auth.data == "basic":
            if not text:
                raise ValidationError("Enter the user name.")
            if ":" in text or any(ord(one) < 32 for one in text):
                raise ValidationError(
                    "A user name for Basic cannot hold a colon or a control character."
                )

    def validate_auth_secret(self, secret):
        if self.auth.data in ("bearer", "header"):
            self._require_secret("auth_secret")
            check_header_value(self.secret("auth_secret"), "This")
        if self.auth.data != "none":
            self.refuse_changed_origin(self.keeps("auth_secret"))

    def validate_signing_secret(self, secret):
        if self.signing.data != "none":
            self._require_secret("signing_secret")
            self._check_signing_secret("signing_secret")

    def validate_signing_secret_old(self, secret):
        if self.signing.data == "standard" and self.secret("signing_secret_old"):
            self._check_signing_secret("signing_secret_old")

    def validate_signing_timestamp_header(self, header):
        if self.signing.data == "grafana" and header.data.strip():
            check_header_name(header.data.strip())

    def validate_payload(self, payload):
        if payload.data.strip() and self.uses("payload"):
            with said_as_message():
                check_json(payload.data)

    def validate_body(self, body):
        if self.uses("body"):
            if not body.data.strip():
                raise ValidationError(
                    "Enter a JSON document, or take one of the bodies to begin with."
                )
            with said_as_message():
                parse(body.data)

    def validate_matchers(self, matchers):
        with said_as_message():
            parse_matchers(matchers.data)

    def validate_retries(self, retries):
        with said_as_message():
            parse_steps(retries.data)

    def validate_repeat(self, repeat):
        fields.check_repeat(repeat.data.strip())

    def validate_timeout(self, timeout):
        self._seconds()

    def validate_ca_pem(self, ca_pem):
        if ca_pem.data.strip():
            with said_as_message():
                refuse_broken_pem(ca_pem.data)

    def _seconds(self) -> int:
        return fields.seconds(self.timeout.data, MIN_TIMEOUT, MAX_TIMEOUT, DEFAULT_TIMEOUT)

    # --- helpers of the rules ---------------------------------------------------------------------------------------

    def _row_valid(self, row) -> bool:
        for part, rule in (
            (row.form.name, self._check_row_name),
            (row.value, self._check_row_value),
        ):
            part.errors = []
            try:
                rule(row)
            except ValidationError as error:
                part.errors = [str(error)]
        return not (row.form.name.errors or row.value.errors)

    def _check_row_name(self, row) -> None:
        name = row.form.name.data.strip()
        check_header_name(name)
        others = [
            other.form.name.data.strip().lower() for other in self.filled_rows() if other is not row
        ]
        if name.lower() in others:
            raise ValidationError(
                "This header stands here twice: put both values into one row, or remove one."
            )
        taken = (
            "authorization"
            if self.auth.data in ("basic", "bearer")
            else self.auth_username.data.strip().lower()
        )
        if self.auth.data != "none" and name.lower() == taken:
            raise ValidationError(
                "The authentication below sets this header already: remove the row, or choose None there."
            )

    def _check_row_value(self, row) -> None:
        check_header_value(self.row_value(row))
        self.refuse_changed_origin(self.row_keeps(row))
        if row.secret.data and not self.row_value(row) and self.context.stored:
            raise ValidationError("Enter the value: none is stored under this name.")
        if not row.secret.data and not row.value.data and self._stored_header(row):
            raise ValidationError(
                "This value was kept as a secret: type it again to make it readable."
            )

    def _require_secret(self, name: str) -> None:
        if not self.secret(name):
            raise ValidationError(
                "Enter the secret: without it the receiver will refuse the message."
            )

    def _check_signing_secret(self, name: str) -> None:
        self.refuse_changed_origin(self.keeps(name))
        if self.signing.data == "standard":
            with said_as_message():
                standard_key(self.secret(name))


def values_of(channel: Channel, settings: Settings) -> dict:
    """The form's values for a stored channel; secrets stay out."""
    rows = [
        {"name": row.name, "value": "" if row.secret else row.value, "secret": row.secret}
        for row in settings.headers
    ]
    return {
        **{f"options-{one.name}": "" if one.secret else one.value for one in settings.options},
        **{
            one: getattr(settings, one)
            for one in (*_AS_TYPED, "url", "auth_username", "signing_timestamp_header")
        },
        **{one: getattr(channel, one) for one in ("name", "matchers", "retries")},
        "repeat": str(channel.repeat_minutes or ""),
        "version": str(channel.version),
        "headers": rows,
        "timeout": "" if settings.timeout == DEFAULT_TIMEOUT else str(settings.timeout),
    }
