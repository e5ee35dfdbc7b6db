"""Compare two configurations of a channel field by field, without showing a secret."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from delivery.alerts.grouping import DEFAULT_GROUP_WAIT
from delivery.kinds import kinds
from delivery.kinds.spec import Option
from delivery.settings import SECRET_FIELDS, Header, Settings
from delivery.text import truncate
from models import Channel
from web.channels.fields import SwitchField
from web.channels.forms import ChannelForm, values_of
from web.channels.kind_fields import PREFIX

MAX_SHOWN = 2000  # characters of a value
SECRET = "(secret)"
_DELETED_CHANNEL = "(a deleted channel)"


class Configuration(NamedTuple):
    """The fields of a channel: values by the names of the form, header rows, and secrets."""

    values: dict[str, Any]
    headers: Iterable[Header]
    secrets: dict[str, str]


class Difference(NamedTuple):
    """A field that differs, with the texts that pages show of it; empty for no value."""

    label: str
    before: str
    after: str


class _Shown(NamedTuple):
    """A field: its label, the value that is compared, and the text that is shown."""

    label: str
    value: str
    text: str


_NOTHING = _Shown("", "", "")


def options_of(kind_name: str) -> Sequence[Option]:
    """Return the options of a kind; none of one that there is no longer."""
    kind = kinds().get(kind_name)
    return kind.options if kind else ()


def stored_configuration(channel: Channel, settings: Settings) -> Configuration:
    """Return the configuration of a stored channel, or of one of its versions."""
    values = values_of(channel, settings)
    values["fallback"] = str(channel.fallback_id or "")
    secrets = {name: getattr(settings, name) for name in SECRET_FIELDS}
    for option in settings.options:
        if option.secret:
            secrets[PREFIX + option.name] = option.value
    return Configuration(values, settings.headers, secrets)


def typed_configuration(form: ChannelForm) -> Configuration:
    """Return the configuration that a form would save, valid or not."""
    values = {**form.data, "url": form.effective_url}
    if form.group_by.text and not form.group_wait.text:
        values["group_wait"] = str(DEFAULT_GROUP_WAIT)  # as it is stored
    options = [field.name for field in form.options if field.option.secret]
    secrets = {name: form[name].value for name in (*SECRET_FIELDS, *options)}
    return Configuration(values, [row.header for row in form.headers.filled if row.key], secrets)


def secret_headers(*lists: Iterable[Header]) -> frozenset[str]:
    """Return the names, in lower case, of the headers that are secret in one of the lists."""
    headers = chain.from_iterable(lists)
    return frozenset(header.name.lower() for header in headers if header.secret)


def differences(
    before: Configuration,
    after: Configuration,
    form: ChannelForm,
    hidden: frozenset[str] = frozenset(),
) -> list[Difference]:
    """Return the fields that differ; the form has the labels and the choices of the fields.

    Where both texts are the same because a part is masked, the second says that it was changed.
    The values of the `hidden` headers, and of those that are secret on one side, are not shown.
    """
    hidden |= secret_headers(before.headers, after.headers)
    old_fields = _shown(before, form, hidden)
    new_fields = _shown(after, form, hidden)
    order = [*form.data, *old_fields, *new_fields]  # that of the form, then the headers
    found = []
    for name in sorted(old_fields | new_fields, key=order.index):
        old = old_fields.get(name, _NOTHING)
        new = new_fields.get(name, _NOTHING)
        if old.value != new.value:
            text = new.text
            if text == old.text:
                text = _changed(name, text)
            found.append(Difference(new.label or old.label, old.text, text))
    return found


def _changed(name: str, text: str) -> str:
    """Return what stands for a new value that looks like the old one."""
    if text == SECRET:
        return "changed (not shown)"
    if name == "url":
        return f"{text} changed (the masked part)"
    return f"{text} changed (a part that is not shown)"


def _shown(
    configuration: Configuration, form: ChannelForm, hidden: frozenset[str]
) -> dict[str, _Shown]:
    labels = _labels(configuration, form)
    fields = {}
    for name, value in configuration.values.items():
        if name not in ("version", "headers", *configuration.secrets):
            text = _text(name, value, form)
            fields[name] = _Shown(labels.get(name, name), str(value or ""), text)
    for header in configuration.headers:
        name = header.name.lower()
        text = SECRET if name in hidden else header.value
        value = repr((header.value, header.secret))
        fields[f"header {name}"] = _Shown(f"Header {header.name}", value, text)
    for name, value in configuration.secrets.items():
        fields[name] = _Shown(labels.get(name, name), value, value and SECRET)
    return fields


def _labels(configuration: Configuration, form: ChannelForm) -> dict[str, str]:
    """Return the labels of the fields, with those of the options of the configuration's kind."""
    labels = {field.name: field.label.text for field in form}
    for option in options_of(configuration.values["kind"]):
        labels[PREFIX + option.name] = option.label
    return labels


def _text(name: str, value: Any, form: ChannelForm) -> str:
    """Return a value as a page shows it; the URL is a credential."""
    if name == "url":
        return Settings(url=value).masked_url or "(no usable URL)"
    field = form.all_fields().get(name)
    if isinstance(field, SwitchField):
        return "yes" if value else "no"
    choices = dict(getattr(field, "choices", ()))
    if name == "fallback":
        return choices.get(value, _DELETED_CHANNEL)
    return truncate(str(choices.get(value, value)), MAX_SHOWN)
