"""The forms of the lab's pages."""

from wtforms import Form, StringField
from wtforms.validators import ValidationError

from models import LabReceiver
from web.lab.responses import (
    DEFAULT,
    RESPONSES,
    UnknownResponse,
    parse_responses,
    stored_responses,
)
from web.lab.signatures import SIGNATURE_HEADERS, check_secret
from web.validation import as_validation_error, check_header_name, check_name

SEQUENCE = "sequence"
MAX_SECRET_LENGTH = 4096


class ResponseForm(Form):
    """The responses of a receiver: a single one, or several in turn."""

    answer = StringField("Response", default=DEFAULT)
    sequence = StringField("Responses in turn", default="")
    after = StringField("After the last one", default="repeat")

    @classmethod
    def of(cls, receiver: LabReceiver) -> "ResponseForm":
        """Return the form as a receiver is set."""
        names = stored_responses(receiver.responses)
        after = "restart" if receiver.restarts else "repeat"
        if len(names) == 1:
            return cls(data={"answer": names[0], "after": after})
        return cls(data={"answer": SEQUENCE, "sequence": ", ".join(names), "after": after})

    @property
    def values(self) -> dict[str, object]:
        """The columns of a receiver for a valid form; the sequence starts over."""
        names = [self.answer.data]
        if self.answer.data == SEQUENCE:
            names = parse_responses(self.sequence.data)
        restarts = int(self.after.data == "restart")
        return {"responses": ",".join(names), "restarts": restarts, "served": 0}

    def validate_answer(self, answer):
        if answer.data not in (*RESPONSES, SEQUENCE):
            raise ValidationError("Select one of the responses.")

    def validate_sequence(self, sequence):
        if self.answer.data != SEQUENCE:
            return
        try:
            parse_responses(sequence.data)
        except UnknownResponse as error:
            raise ValidationError(str(error)) from None

    def validate_after(self, after):
        if after.data not in ("repeat", "restart"):
            raise ValidationError("Select what follows after the last response.")


class ReceiverForm(ResponseForm):
    """A new receiver."""

    name = StringField("Name", default="", filters=[lambda text: (text or "").strip()])

    def validate_name(self, name):
        if not name.data:
            raise ValidationError("Enter a name for the receiver.")
        check_name(name.data)
        if LabReceiver.select().where(LabReceiver.name == name.data).exists():
            raise ValidationError("Another receiver already has this name: choose another.")


class SignatureForm(Form):
    """How requests to a receiver must be signed. An empty secret keeps the stored one."""

    signing = StringField("Signature", default="none")
    secret = StringField("Signing secret", default="")
    timestamp_header = StringField(
        "Timestamp header", default="", filters=[lambda text: (text or "").strip()]
    )

    def __init__(self, *args, stored_secret: str = "", **kwargs):
        super().__init__(*args, **kwargs)
        self.stored_secret = stored_secret

    @property
    def effective_secret(self) -> str:
        """The secret to use."""
        return self.secret.data or self.stored_secret

    def validate_signing(self, signing):
        if signing.data not in ("none", *SIGNATURE_HEADERS):
            raise ValidationError("Select one of the signatures.")

    def validate_secret(self, secret):
        if self.signing.data == "none":
            return
        if not self.effective_secret:
            raise ValidationError("Enter the secret with which the sender signs.")
        if len(secret.data) > MAX_SECRET_LENGTH or "\0" in secret.data:
            raise ValidationError(f"A secret has at most {MAX_SECRET_LENGTH:,} characters.")
        with as_validation_error():
            check_secret(self.signing.data, self.effective_secret)

    def validate_timestamp_header(self, header):
        if self.signing.data == "grafana" and header.data:
            check_header_name(header.data)
