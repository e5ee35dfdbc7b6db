"""Advice beside a field: what a pasted URL says, what is about to end, what looks unusual. Never a refusal."""

import re
from dataclasses import dataclass
from typing import Any

from delivery.alerts.matchers import labels_of, matches, parse_matchers
from delivery.alerts.routing import alert_from_json
from delivery.kinds import kinds, match_url
from delivery.kinds.spec import RecognizedUrl
from delivery.settings import Settings
from models import Alert
from web.channels.forms import ChannelForm

CHANGE = "change"
ALERTS_COUNTED = 100


@dataclass(frozen=True)
class Hint:
    """A sentence, and the button that acts on it: its label, and a sealed change of the form. Both may be empty."""

    text: str
    label: str = ""
    change: str = ""


def notes(form: ChannelForm, name: str) -> list[Hint]:
    """What there is to say beside this field, whatever its own message says. What is pasted into a header row counts too."""
    typed = _typed(form, name)
    if not isinstance(typed, str):
        return []
    if name == "matchers":
        return [] if form.matchers.errors else [Hint(_how_many(typed))]
    text = form.address if name == "url" else typed
    return [*_of_url(form, name, text), *(_of_shape(form[name]) if name in form else ())]


def _how_many(text: str) -> str:
    """How many of the latest alerts these matchers choose."""
    matchers = parse_matchers(text)
    rows = Alert.latest(ALERTS_COUNTED).select(Alert.body).namedtuples()
    hits = [matches(matchers, labels_of(alert_from_json(row.body))) for row in rows]
    if not hits:
        return "No alert has come in yet."
    of = f"Of the last {len(hits)} alerts" if len(hits) > 1 else "Of the one alert so far"
    return f"{of}, {sum(hits)} {'matches' if sum(hits) == 1 else 'match'}."


def _typed(form: ChannelForm, name: str) -> Any:
    """What stands in a field; a part of a header row is no field of the form itself."""
    return form[name].data if name in form else form.context.posted.get(name, "")


def change_of(form: ChannelForm, changes: dict[str, str]) -> str:
    """A change of the form's fields, sealed: it may hold what a page must not show."""
    return form.context.keyring.encrypt(CHANGE, changes)


def _of_url(form: ChannelForm, name: str, text: str) -> list[Hint]:
    target = Settings(url=text).target
    if target is None:
        return []
    pasted, kind = match_url(target), form.kind_chosen
    speaks = pasted.kind if pasted and pasted.certain else kind
    warning = speaks.url_hint(target) if speaks else ""
    found = [Hint(warning)] if warning else []
    other = next(
        (one for one in kinds().values() if one.base == target.origin and one is not kind), None
    )
    if name == "url" and other and kind and kind.base:
        found.append(
            Hint(
                f"This is the server of {other.label}.",
                "Empty the URL",
                change_of(form, {"url": ""}),
            )
        )
    if pasted is None or (not pasted.certain and form.kind.data != "webhook"):
        return found if name == "url" else []
    if name == "url" and pasted.kind is kind and not pasted.options:
        return found
    return [_suggestion(form, name, pasted), *found]


def _suggestion(form: ChannelForm, name: str, pasted: RecognizedUrl) -> Hint:
    options = {f"options-{option}": text for option, text in pasted.options.items()}
    source = {"source": name, "typed": _typed(form, name)}
    changes = {name: "", "kind": pasted.kind.name, "url": pasted.url, **options, **source}
    words = f"This {'is' if pasted.certain else 'looks like'} a URL of {pasted.kind.label}."
    if options:
        words += " What is secret in it moves into a field of its own, and is not shown again."
    return Hint(words, f"Use {pasted.kind.label}", change_of(form, changes))


def _of_shape(field) -> list[Hint]:
    shape = field.option.pattern if hasattr(field, "option") else ""
    if not shape or not field.data.strip() or re.fullmatch(shape, field.data.strip()):
        return []
    return [
        Hint(
            "This does not look as it usually does. Compare it letter by letter; it is sent as it stands."
        )
    ]
