"""Mistakes in the placeholders of a body, and the names that were probably meant."""

import difflib
import re
from collections.abc import Iterator
from typing import NamedTuple

from delivery.placeholders import ANNOTATIONS, LABELS, NAMES, PREFIXES, is_known
from delivery.text import truncate

_MAX_QUOTED = 60
# Names of Alertmanager's and Grafana's templates, in lower case and without a dot or dollar sign.
_MEANT = {
    "alertname": "alert.name",
    "alerts": "alerts",
    "commonannotations": "alert.annotations",
    "commonlabels": "alert.labels",
    "dashboardurl": "alert.dashboard_url",
    "endsat": "alert.ends_at",
    "externalurl": "alert.tocsin_url",
    "fingerprint": "alert.key",
    "generatorurl": "alert.url",
    "grouplabels": "alert.labels",
    "message": "alert.description",
    "panelurl": "alert.panel_url",
    "runbook": "alert.runbook_url",
    "silenceurl": "alert.silence_url",
    "startsat": "alert.starts_at",
    "state": "alert.status",
    "values": "alert.value",
    "valuestring": "alert.value",
}
_MAPS = {
    "labels": LABELS,
    "commonlabels": LABELS,
    "grouplabels": LABELS,
    "annotations": ANNOTATIONS,
    "commonannotations": ANNOTATIONS,
}
_PREFIXES = ("alert.", "group.", "message.")
_GO_MARKS = " \t\r\n-$."  # what stands before a name in a Go template
_STATEMENTS = re.compile(
    r"-?\s*(?:(?:range|if|else|end|with|template|define|block|index|printf)(?![\w.])"
    r"|[#/^>%]|\$\w*\s*:?=)"
)
# ${alert.name}, $alert.name and {% if … %}; a dollar sign before {{ is only a dollar sign.
_LITERAL = re.compile(
    r"\$\{(?!\{)(?P<braces>[^{}\"\\]{1,100})\}"
    r"|\$(?P<bare>(?:alert|labels|annotations|group|message)(?:\.\w{1,50}){1,5})"
    r"|\{%[^{}\"\\]{1,100}%\}"
)


class Literal(NamedTuple):
    """A text that looks like a placeholder of another language, and the name that it means.

    `meant` is empty if that is unknown.
    """

    text: str
    meant: str


def explain_unknown(name: str) -> str:
    """Return a sentence on a name that no template can hold, with the name that was meant."""
    quoted = _quote(name)
    if _STATEMENTS.match(name):
        return (
            f"{quoted} is a statement of another template language; a placeholder only inserts "
            "a value, such as {{ alert.title }} or {{ alerts }}."
        )
    meant = find_meant(name)
    if meant:
        return f"{quoted} is not known; did you mean {meant}?"
    return f"{quoted} is not known; names begin with alert., group. or message."


def find_meant(name: str) -> str:
    """Return the known name that a name was probably meant to be; empty if none is near."""
    plain = name[: 2 * _MAX_QUOTED].strip(_GO_MARKS)
    first, _, rest = plain.removeprefix("alert.").partition(".")
    if name.strip() != plain or first == plain:
        prefix = _MAPS.get(first.lower())
        if prefix and rest:
            return prefix + rest
        known = _MEANT.get(first.lower())
        if known:
            return known
    for known in (plain, *(prefix + plain.lower() for prefix in _PREFIXES)):
        if is_known(known):
            return known
    return _nearest(_quote(plain))


def _nearest(name: str) -> str:
    last = name.rpartition(".")[2]
    candidates = list(NAMES)
    if last:
        candidates += [prefix + last for prefix in PREFIXES]
    return next(iter(difflib.get_close_matches(name.lower(), candidates, 1, 0.5)), "")


def find_literals(body: str) -> Iterator[Literal]:
    """Yield each text such as `${alert.name}` once: it is no placeholder, and sent as it is."""
    seen = set()
    for found in _LITERAL.finditer(body):
        if found[0] not in seen:
            seen.add(found[0])
            yield Literal(found[0], find_meant(found["braces"] or found["bare"] or ""))


def _quote(name: str) -> str:
    return truncate("".join(filter(str.isprintable, name[: 2 * _MAX_QUOTED])), _MAX_QUOTED)
