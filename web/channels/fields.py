"""WTForms fields of the channel form."""

from wtforms import StringField
from wtforms.validators import ValidationError

from web.validation import as_validation_error

_OFF = ("", "0", "false", "off", "no")


class TextField(StringField):
    """A text; empty where the form does not name it.

    `check` raises ValueError for a text that is invalid; it does not get a blank one.
    """

    def __init__(self, label="", default="", check=None, **kwargs):
        super().__init__(label, default=default, **kwargs)
        self.check = check

    @property
    def text(self) -> str:
        """The text without the blanks around it."""
        return self.data.strip()

    def pre_validate(self, form):
        if self.check and self.text:
            with as_validation_error():
                self.check(self.data)


class SwitchField(StringField):
    """A check box; a form that does not name it keeps the default.

    The page puts a hidden `0` before the box where the default is on.
    """

    def process_formdata(self, valuelist):
        if valuelist:
            self.data = valuelist[-1].strip().lower() not in _OFF


class ChoiceField(TextField):
    """One of several values, given as (value, label); an unknown value stays visible."""

    def __init__(self, label, choices, **kwargs):
        super().__init__(label, **kwargs)
        self.choices = choices

    def pre_validate(self, form):
        if self.data not in dict(self.choices):
            raise ValidationError("Choose one of the listed values.")
