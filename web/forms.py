"""The channel form. One class judges a field check, a test and a save, whole each time, and never looks anything up outside."""

from wtforms import Form, FormField, HiddenField, StringField, TextAreaField
from wtforms.validators import ValidationError

from delivery.addresses import why_literal_refused
from delivery.kinds import kinds
from delivery.sender import refuse_ambiguous
from delivery.settings import DEFAULT_TIMEOUT, LONGEST_TIMEOUT, METHODS, SHORTEST_TIMEOUT, Header, Settings
from delivery.signing import standard_key
from delivery.strictjson import JsonProblem, check
from delivery.target import InvalidUrl, Target, read_url
from delivery.tls import refuse_broken_pem
from web.fields import (
    MOST_HEADERS,
    ChoiceField,
    HeaderRow,
    Rows,
    SwitchField,
    check_header_name,
    check_header_value,
    check_name,
    seconds,
)
from web.writeonly import Context, WriteOnly

AUTH_LABELS = {
    "none": "None",
    "basic": "User name and password (Basic)",
    "bearer": "Token (Bearer)",
    "header": "Key in a header of its own",
}
SIGNING_LABELS = {
    "none": "None",
    "standard": "Standard Webhooks (webhook-signature)",
    "github": "GitHub style (X-Hub-Signature-256)",
    "grafana": "Grafana style (X-Grafana-Alerting-Signature)",
}


class ChannelForm(WriteOnly, Form):
    """Every field of a channel. Secrets are write-only: blank keeps the stored one, `<field>-remove` removes it."""

    name = StringField("Name", default="")
    kind = ChoiceField("Kind", [(kind.name, kind.label) for kind in kinds().values()], default="webhook")
    url = StringField("URL", default="")
    method = ChoiceField("Method", [(method, method) for method in METHODS], default="POST")
    headers = Rows(FormField(HeaderRow))
    auth = ChoiceField("Sign in with", list(AUTH_LABELS.items()), default="none")
    auth_username = StringField("User name, or name of the header", default="")
    auth_secret = StringField("Password, token or key", default="")
    signing = ChoiceField("Sign with", list(SIGNING_LABELS.items()), default="none")
    signing_secret = StringField("Signing secret", default="")
    signing_secret_old = StringField("Outgoing secret, during a rotation", default="")
    signing_timestamp_header = StringField("Timestamp header", default="")
    payload = TextAreaField("Payload", default="")
    timeout = StringField("Timeout in seconds", default="")
    verify_tls = SwitchField("Verify the receiver's certificate", default=True)
    ca_pem = TextAreaField("Certificate authorities", default="")
    version = HiddenField(default="")

    def __init__(self, context: Context, **values):
        self.context = context
        super().__init__(formdata=context.posted or None, **values)

    # --- what a field's text means -------------------------------------------------------------------------------

    @property
    def target(self) -> Target | None:
        """The URL as typed, read; None when it cannot be."""
        try:
            return read_url(self.url.data)
        except InvalidUrl:
            return None

    def filled_rows(self) -> list:
        """The rows that say something; an empty one is as good as none."""
        return [row for row in self.headers if row.form.name.data.strip() or row.value.data or self._carried(row.value.name)]

    def settings(self) -> Settings:
        """What the form says, once it is valid."""
        auth, signing = self.auth.data, self.signing.data
        rows = [Header(row.form.name.data.strip(), self.row_value(row), bool(row.secret.data)) for row in self.filled_rows()]
        return Settings(
            kind=self.kind.data,
            url=self.url.data.strip(),
            method=self.method.data,
            headers=tuple(rows),
            auth=auth,
            auth_username=self.auth_username.data.strip() if auth in ("basic", "header") else "",
            auth_secret=self.secret("auth_secret") if auth != "none" else "",
            signing=signing,
            signing_secret=self.secret("signing_secret") if signing != "none" else "",
            signing_secret_old=self.secret("signing_secret_old") if signing == "standard" else "",
            signing_timestamp_header=self.signing_timestamp_header.data.strip() if signing == "grafana" else "",
            payload=self.payload.data,
            timeout=seconds(self.timeout.data, SHORTEST_TIMEOUT, LONGEST_TIMEOUT, DEFAULT_TIMEOUT),
            verify_tls=self.verify_tls.data,
            ca_pem=self.ca_pem.data,
        )

    def problems(self) -> list[tuple[str, str, str]]:
        """Every message as (name of the field, its label, words), in the order of the form."""
        own = [(one.name, one.label.text, " ".join(one.errors)) for one in self if one.errors]
        parts = [(part, row) for row in self.headers for part in row.form if part.errors]
        rows = [(part.name, f"Header {row.form.name.data or 'without a name'}", " ".join(part.errors)) for part, row in parts]
        return own + rows

    # --- rules ----------------------------------------------------------------------------------------------------

    def validate(self, extra_validators=None) -> bool:
        """Judges the whole form; each field's messages stand in its `errors`."""
        valid = super().validate(extra_validators)
        rows_valid = [self._row_valid(row) for row in self.filled_rows()]
        return valid and all(rows_valid)

    def validate_name(self, name):
        check_name(name.data.strip())
        if self.context.name_taken(name.data.strip()):
            raise ValidationError("Another channel has this name already: choose another.")

    def validate_url(self, url):
        try:
            target = read_url(url.data)
            refuse_ambiguous(target)
        except InvalidUrl as error:
            raise ValidationError(str(error)) from None
        refusal = why_literal_refused(target, self.context.allow)
        if refusal:
            raise ValidationError(refusal)

    def validate_headers(self, headers):
        if len(self.filled_rows()) > MOST_HEADERS:
            raise ValidationError(f"There are {len(self.filled_rows())} headers; at most {MOST_HEADERS} are possible.")

    def validate_auth_username(self, username):
        text = username.data.strip()
        if self.auth.data == "header":
            check_header_name(text)
        if self.auth.data == "basic":
            if not text:
                raise ValidationError("Enter the user name.")
            if ":" in text or any(ord(one) < 32 for one in text):
                raise ValidationError("A user name for Basic cannot hold a colon or a control character.")

    def validate_auth_secret(self, secret):
        if self.auth.data in ("bearer", "header"):
            self._require_secret("auth_secret")
            check_header_value(self.secret("auth_secret"), "This")
        if self.auth.data != "none":
            self._refuse_changed_origin(self.keeps("auth_secret"))

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
        uses = kinds()[self.kind.data].uses if self.kind.data in kinds() else ()
        if payload.data.strip() and "payload" in uses:
            try:
                check(payload.data)
            except JsonProblem as problem:
                raise ValidationError(str(problem)) from None

    def validate_timeout(self, timeout):
        seconds(timeout.data, SHORTEST_TIMEOUT, LONGEST_TIMEOUT, DEFAULT_TIMEOUT)

    def validate_ca_pem(self, ca_pem):
        if not ca_pem.data.strip():
            return
        try:
            refuse_broken_pem(ca_pem.data)
        except ValueError:
            raise ValidationError("This is no certificate in PEM form (-----BEGIN CERTIFICATE----- …).") from None

    # --- helpers of the rules ---------------------------------------------------------------------------------------

    def _row_valid(self, row) -> bool:
        name, errors = row.form.name, dict[str, list[str]](name=[], value=[])
        for part, rule in (("name", self._check_row_name), ("value", self._check_row_value)):
            try:
                rule(row)
            except ValidationError as error:
                errors[part].append(str(error))
        name.errors, row.value.errors = errors["name"], errors["value"]
        return not any(errors.values())

    def _check_row_name(self, row) -> None:
        name = row.form.name.data.strip()
        check_header_name(name)
        others = [other.form.name.data.strip().lower() for other in self.filled_rows() if other is not row]
        if name.lower() in others:
            raise ValidationError("This header stands here twice: put both values into one row, or remove one.")
        taken = "authorization" if self.auth.data in ("basic", "bearer") else self.auth_username.data.strip().lower()
        if self.auth.data != "none" and name.lower() == taken:
            raise ValidationError("The authentication below sets this header already: remove the row, or choose None there.")

    def _check_row_value(self, row) -> None:
        check_header_value(self.row_value(row))
        self._refuse_changed_origin(self.row_keeps(row))
        if not row.secret.data and not row.value.data and self._stored_header(row):
            raise ValidationError("This value was kept as a secret: type it again to make it readable.")

    def _require_secret(self, name: str) -> None:
        if not self.secret(name):
            raise ValidationError("Enter the secret: without it the receiver will refuse the message.")

    def _check_signing_secret(self, name: str) -> None:
        self._refuse_changed_origin(self.keeps(name))
        if self.signing.data == "standard":
            try:
                standard_key(self.secret(name))
            except ValueError:
                raise ValidationError(
                    "A Standard Webhooks secret is whsec_ and base64, such as whsec_MDEyMzQ1Njc4OWFi…."
                ) from None

    def _refuse_changed_origin(self, keeps: bool) -> None:
        """A kept secret goes only to the origin that it was saved for."""
        old, new = (self.context.stored.origin if self.context.stored else ""), (self.target.origin if self.target else "")
        if keeps and old != new and new:
            raise ValidationError(
                f"The URL now leads to {new}, and this secret was kept for {old or 'another'}: type it again."
            )


def values_of(name: str, version: int, settings: Settings) -> dict:
    """The form's values for a stored channel; secrets stay out."""
    rows = [{"name": row.name, "value": "" if row.secret else row.value, "secret": row.secret} for row in settings.headers]
    same = ("kind", "url", "method", "auth", "auth_username", "signing", "signing_timestamp_header", "payload", "ca_pem")
    return {
        **{one: getattr(settings, one) for one in (*same, "verify_tls")},
        "name": name,
        "version": str(version),
        "headers": rows,
        "timeout": "" if settings.timeout == DEFAULT_TIMEOUT else str(settings.timeout),
    }
