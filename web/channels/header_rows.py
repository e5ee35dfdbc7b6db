"""The header rows of the channel form, and their rules."""

import re
from dataclasses import replace

from wtforms import FieldList, Form
from wtforms.validators import ValidationError

from delivery.settings import Header, Settings, names_credential, protect_credential
from web.channels.fields import SwitchField, TextField
from web.channels.secret_fields import SecretField
from web.validation import check_header_name, check_header_value

MAX_HEADERS = 20
MAX_ROWS = 60


class HeaderValue(SecretField):
    """The value of a header; a secret one is stored under the header's name."""

    @property
    def row(self) -> "HeaderRow":
        """The row that this value belongs to."""
        return self._form

    @property
    def stored(self) -> str:
        """The stored secret of this header name; empty without one."""
        for header in self.channel_form.context.stored.headers:
            if header.secret and header.name.lower() == self.row.key:
                return header.value
        return ""

    @property
    def identity(self) -> str:
        """The name of the header."""
        return f"header {self.row.key}"


class HeaderRow(Form):
    """One header: a name, a value, and whether the value is a secret."""

    name = TextField("Header")
    value = HeaderValue("Value of the header")
    secret = SwitchField("Secret", default=False)

    @property
    def key(self) -> str:
        """The name of the header in lower case: secrets are stored under it."""
        return self.name.text.lower()

    @property
    def names_credential(self) -> bool:
        """Whether the name alone makes the value a secret."""
        return names_credential(self.key)

    @property
    def header(self) -> Header:
        """The row as it is stored."""
        header = protect_credential(Header(self.name.text, self.value.data, self.secret.data))
        value = self.value.value if header.secret else self.value.data
        return replace(header, value=value.strip())

    def validate_name(self, field):
        check_header_name(field.text)
        names = [row.key for row in self._parent_form.headers.filled]
        if names.count(self.key) > 1:
            raise ValidationError(
                "This header appears twice: put both values into one row, or remove one."
            )
        if self.key == self._parent_form.authentication_header:
            raise ValidationError(
                "The authentication already sets this header: remove the row, "
                "or set Authentication to None."
            )

    def validate_value(self, field):
        header = self.header
        check_header_value(header.value)
        if header.secret:
            field.refuse_changed_origin()
            if field.channel_form.context.stored != Settings() and not header.value:
                raise ValidationError("Enter the value: none is stored under this header name.")
        elif field.stored and not field.data:
            raise ValidationError(
                "This value was saved as a secret: enter it again to make it readable."
            )


class HeaderRows(FieldList):
    """The header rows, under the numbers they were posted with; the first sixty are built."""

    @property
    def filled(self) -> list[HeaderRow]:
        """The rows that have a name or a value; an empty row is ignored."""
        rows = [entry.form for entry in self]
        return [row for row in rows if row.key or row.value.entered]

    def validate(self, form, _extra_validators=()) -> bool:
        """Judge the number of rows here, and each row at its own fields."""
        rows = self.filled
        self.errors = []
        if len(rows) > MAX_HEADERS:
            self.errors = [f"There are {len(rows)} headers; the maximum is {MAX_HEADERS}."]
        valid = [row.validate() for row in rows]
        return all(valid) and not self.errors

    def _extract_indices(self, prefix, formdata):
        pattern = re.compile(rf"{prefix}-([0-9]{{1,6}})-")
        matches = filter(None, map(pattern.match, formdata))
        return sorted({int(match[1]) for match in matches})[:MAX_ROWS]

    def _compact_indices(self):
        """Keep the numbers: WTForms would renumber, and messages would miss their rows."""
