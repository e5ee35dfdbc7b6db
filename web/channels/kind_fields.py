"""The fields that only the chosen kind has, `options-NAME`."""

from wtforms.validators import ValidationError

from delivery.kinds.spec import Option
from delivery.settings import Header
from web.channels.secret_fields import SecretField
from web.validation import as_validation_error, check_header_value, check_line

PREFIX = "options-"


class OptionField(SecretField):
    """One option of the chosen kind; a secret one is write-only."""

    def __init__(self, option: Option, **kwargs):
        super().__init__(option.label, **kwargs)
        self.option = option

    @property
    def stored(self) -> str:
        """The stored option, if the kind is still the same; else empty."""
        settings = self.channel_form.context.stored
        if settings.kind != self.channel_form.kind.data:
            return ""
        return settings.option(self.option.name)

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """The values that the option may have, each with its label; empty for any value."""
        return self.option.choices

    @property
    def header(self) -> Header:
        """The option as it is stored; a text of several lines stays as it was typed."""
        value = self.value if self.option.secret else self.data
        if self.option.lines == 1:
            value = value.strip()
        return Header(self.option.name, value, self.option.secret)

    def pre_validate(self, form):
        """Refuse a value that is missing or cannot be sent, and no other."""
        value = self.header.value
        if self.choices and value not in dict(self.choices):
            values = ", ".join(filter(None, dict(self.choices)))
            raise ValidationError(f"Leave this empty, or choose one of these values: {values}.")
        if self.option.required and not value:
            raise ValidationError("This field is required: no message can be sent without it.")
        if self.option.lines == 1:
            check_line(value)
            if not self.option.any_letters:
                check_header_value(value)
        if self.option.secret:
            self.refuse_changed_origin()
        if value.strip():
            with as_validation_error():
                self.option.check(value)
