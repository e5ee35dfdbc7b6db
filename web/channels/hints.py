"""Hints beside a field: a recognized URL, a retired service, an unusual value.

A hint never refuses a value.
"""

import re
from dataclasses import dataclass
from itertools import islice

from wtforms import Field

from delivery import template
from delivery.alerts.grouping import group_key, parse_group_by
from delivery.alerts.matchers import labels_of, matches, parse_matchers
from delivery.alerts.received import alert_from_json
from delivery.guard.url import ParsedUrl
from delivery.kinds import kinds, match_url
from delivery.kinds.spec import RecognizedUrl
from delivery.placeholder_mistakes import find_literals
from delivery.settings import Settings
from models import Alert
from web.channels.forms import ChannelForm
from web.channels.kind_fields import PREFIX, OptionField

CHANGE = "change"
MAX_ALERTS_COUNTED = 100
MAX_LITERALS = 3
_NO_ALERT = "No alert has been received yet."


@dataclass(frozen=True)
class Hint:
    """A sentence, and a button for the change that it suggests.

    `change` is encrypted (see `encrypt_change`). It is empty, as `label` is, without a suggestion.
    """

    text: str
    label: str = ""
    change: str = ""


def hints_for(form: ChannelForm, field: Field) -> list[Hint]:
    """Return the hints beside a field of the form or of a header row."""
    if field is form.matchers:
        if field.errors:
            return []
        return [Hint(count_matches(field.data))]
    if field is form.group_by:
        names = () if field.errors else parse_group_by(field.data)
        return [Hint(sentence) for sentence in describe_groups(names)]
    if field is form.url:
        return _url_hints(form, field, form.effective_url) + _vendor_hints(form)
    if is_template(form, field):
        return _literal_hints(field.data or "")
    if not isinstance(field.data, str):
        return []
    return _url_hints(form, field, field.data) + _pattern_hints(field)


def is_template(form: ChannelForm, field: Field) -> bool:
    """Return True for a field whose text may have placeholders."""
    if field is form.body:
        return "body" in form.chosen_kind.uses
    return isinstance(field, OptionField) and field.option.check is template.parse


def encrypt_change(form: ChannelForm, changes: dict[str, str]) -> str:
    """Return a change of form fields, encrypted: it may hold a secret."""
    return form.context.services.keyring.encrypt(CHANGE, changes)


def count_matches(text: str) -> str:
    """Return a sentence that says how many of the latest alerts these matchers match."""
    matchers = parse_matchers(text)
    hits = [matches(matchers, labels) for labels in _latest_labels()]
    if not hits:
        return _NO_ALERT
    alerts = "the only alert so far" if len(hits) == 1 else f"the last {len(hits)} alerts"
    return f"Of {alerts}, {sum(hits)} {'matches' if sum(hits) == 1 else 'match'}."


def describe_groups(names: tuple[str, ...]) -> list[str]:
    """Return sentences on the latest alerts: the labels that none has, and the number of groups.

    There are none without names.
    """
    if not names:
        return []
    latest = _latest_labels()
    if not latest:
        return [_NO_ALERT]
    missing = [name for name in names if not any(labels.get(name) for labels in latest)]
    number = len({group_key(names, labels) for labels in latest})
    if len(latest) == 1:
        sentences = ["The only alert so far is one group."]
        absent = "The only alert so far does not have"
    else:
        groups = "1 group" if number == 1 else f"{number} groups"
        sentences = [f"The last {len(latest)} alerts fall into {groups}."]
        absent = f"Of the last {len(latest)} alerts, none has"
    if missing:
        noun = "label" if len(missing) == 1 else "labels"
        sentences.insert(0, f"{absent} the {noun} {', '.join(missing)}.")
    return sentences


def _latest_labels() -> list[dict[str, str]]:
    rows = Alert.latest(MAX_ALERTS_COUNTED).select(Alert.body).namedtuples()
    return [labels_of(alert_from_json(row.body)) for row in rows]


def _url_hints(form: ChannelForm, field: Field, text: str) -> list[Hint]:
    """Return the hints for a URL in its own field, or for one pasted into another field."""
    target = Settings(url=text).target
    if target is None:
        return []
    recognized = _recognize(form, target)
    pasted_elsewhere = field is not form.url
    if recognized is None and pasted_elsewhere:
        return []
    hints = []
    kind = form.chosen_kind
    if recognized:
        if pasted_elsewhere or recognized.options or recognized.kind is not kind:
            hints.append(_suggestion(form, field, recognized))
        if recognized.certain:
            kind = recognized.kind
    if kind.url_hint(target):
        hints.append(Hint(kind.url_hint(target)))
    return hints


def _recognize(form: ChannelForm, target: ParsedUrl) -> RecognizedUrl | None:
    """Return the kind of a URL; a guess counts only while the kind is the default."""
    recognized = match_url(target)
    if recognized and not recognized.certain and form.kind.data != "webhook":
        return None
    return recognized


def _vendor_hints(form: ChannelForm) -> list[Hint]:
    """Return a hint if the URL is the server of a vendor other than the chosen kind's."""
    chosen = form.chosen_kind
    if not chosen.base:
        return []
    for kind in kinds().values():
        if kind is not chosen and kind.base and kind.base == form.origin:
            change = encrypt_change(form, {"url": ""})
            return [Hint(f"This is the server of {kind.label}.", "Clear the URL", change)]
    return []


def _suggestion(form: ChannelForm, field: Field, recognized: RecognizedUrl) -> Hint:
    """Return the hint that offers to use the kind of a recognized URL."""
    kind = recognized.kind
    text = f"This {'is' if recognized.certain else 'looks like'} a URL of {kind.label}."
    if recognized.options:
        text += " Its secret parts move into their own fields and are not shown again."
    changes = {field.name: "", "kind": kind.name, "url": recognized.url}
    for option, value in recognized.options.items():
        changes[PREFIX + option] = value
    changes.update(source=field.name, typed=field.data)
    return Hint(text, f"Use {kind.label}", encrypt_change(form, changes))


def _pattern_hints(field: Field) -> list[Hint]:
    """Return a hint for an option that does not look as the vendor's values usually do."""
    if not isinstance(field, OptionField):
        return []
    pattern = field.option.pattern
    if not pattern or not field.text or re.fullmatch(pattern, field.text):
        return []
    return [Hint("This value has an unusual format. Check it for typing errors; it is sent as is.")]


def _literal_hints(text: str) -> list[Hint]:
    """Return a hint for each of the first texts that look like placeholders and are none."""
    hints = []
    for literal in islice(find_literals(text), MAX_LITERALS):
        hint = f"{literal.text} is sent as it is: it is no placeholder."
        if literal.meant:
            hint += f" For the value, write {{{{ {literal.meant} }}}}."
        hints.append(Hint(hint))
    return hints
