"""The fields that only the chosen kind has, `options-NAME`, and what the kind makes of the others."""

from wtforms import StringField, TextAreaField
from wtforms.validators import ValidationError

from delivery.kinds import kinds
from delivery.kinds.spec import Kind, Option
from delivery.settings import Header, Settings
from web.channels.fields import check_header_value, said_as_message
from web.channels.secret_fields import SecretFields


class KindFields(SecretFields):
    """What the channel form knows of the kind that is chosen in it."""

    @property
    def kind_chosen(self) -> Kind | None:
        """The kind, when it is one that is known."""
        return kinds().get(self.kind.data)

    def uses(self, name: str) -> bool:
        """Whether the chosen kind has this field."""
        return self.kind_chosen is not None and name in self.kind_chosen.uses

    @property
    def address(self) -> str:
        """The URL as typed; the vendor's own server when it is empty and the kind knows it."""
        return self.url.data.strip() or (self.kind_chosen.base if self.kind_chosen else "")

    def add_options(self, values: dict[str, str]) -> None:
        """Adds the kind's own fields, as posted, else with these values by their names."""
        for option in self.kind_chosen.options if self.kind_chosen else ():
            name = f"options-{option.name}"
            kind_of_field = TextAreaField if option.lines > 1 else StringField
            unbound = kind_of_field(option.label, default="", validators=[_check_option])
            field = self._fields[name] = self.meta.bind_field(
                self, unbound, {"name": name, "prefix": ""}
            )
            field.process(
                self.context.posted or None, values.get(name, self._stored_option(option))
            )
            field.option = option

    def _stored_option(self, option: Option) -> str:
        """What counts where the form does not name the option at all, as after another kind was chosen and this one again."""
        stored = self.context.stored
        return (
            stored.option(option.name)
            if stored and stored.kind == self.kind.data and not option.secret
            else ""
        )

    @property
    def options(self) -> list:
        """The kind's own fields."""
        return [field for field in self if hasattr(field, "option")]

    def option_values(self) -> tuple[Header, ...]:
        """What counts of each option that was given."""
        given = [(field.option, self.option(field)) for field in self.options]
        return tuple(Header(option.name, text, option.secret) for option, text in given if text)

    def option(self, field) -> str:
        """The value of an option that counts; a longer text is left as it was typed."""
        if field.option.secret:
            return self.secret(field.name).strip()
        return field.data if field.option.lines > 1 else field.data.strip()

    def refuse_changed_origin(self, keeps: bool) -> None:
        """A kept secret goes only to the origin that it was saved for."""
        old, new = (
            (self.context.stored.origin if self.context.stored else ""),
            Settings(url=self.address).origin,
        )
        if keeps and old != new and new:
            words = f"The URL now leads to {new}, and this secret was kept for {old or 'another'}: type it again."
            raise ValidationError(words)


def _check_option(form: KindFields, field) -> None:
    """An option is refused only when it is missing or cannot be sent."""
    option: Option = field.option
    text = form.option(field)
    if option.required and not text:
        raise ValidationError("Enter this: without it no message can be sent.")
    if option.lines == 1:
        check_header_value(text, "This")
    if option.secret:
        form.refuse_changed_origin(form.keeps(field.name))
    if text.strip():
        with said_as_message():
            option.check(text)
