"""The facts of an alert: its labels by importance, and what it is about."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from delivery.alerts.alert import Alert, without_internal
from delivery.content.links import LINK_ANNOTATIONS, texts_without_link
from delivery.content.severity import SEVERITY_LABELS, read_severity
from delivery.content.summary import SUMMARY_ANNOTATIONS
from delivery.text import one_line

MAX_TEXT_LENGTH = 4000
_MAX_NAME_LENGTH = 200  # of the names that are looked at: others are no known ones
_SUBJECTS = (
    *("instance", "host", "node", "pod", "service", "job", "container", "device", "target"),
    *("app", "application", "deployment", "database", "queue", "topic", "site"),
    *("namespace", "cluster"),
)
_ORDER = (
    *("value", "severity", "priority"),
    *("instance", "host", "pod", "namespace", "service", "job", "node", "cluster", "team"),
)
# Labels by which monitoring systems find their own rules and copies.
_NOISE = {
    *("prometheus", "prometheus_replica", "replica", "receive", "tenant_id", "endpoint"),
    *("metrics_path", "scrape_job", "monitor", "grafana_folder", "ref_id", "rulename"),
    *("rule_uid", "alert_rule_uid", "datasource_uid", "uid"),
}
# Annotations that other parts of a message show.
_SHOWN_ELSEWHERE = LINK_ANNOTATIONS | {*SUMMARY_ANNOTATIONS, "value", "payload"}
_GRAFANA_STATES = {"DatasourceNoData": "no data", "DatasourceError": "query error"}


class Fact(NamedTuple):
    """A name and a value, each on one line."""

    name: str
    value: str


def name_of(alert: Alert) -> str:
    """Return the name of an alert on one line, never empty.

    Grafana names an alert about a rule without data after its own state: the rule says more.
    """
    state = _GRAFANA_STATES.get(alert.name.strip())
    rule = one_line(alert.labels.get("rulename", ""))
    if state and rule:
        return f"{rule} ({state})"
    return one_line(alert.name) or "Alert"


def subject_label(labels: Mapping[str, str]) -> str:
    """Return the name of the label that says what the alert is about; empty if there is none."""
    found: dict[str, str] = {}
    for name in sorted(without_internal(labels)):
        if labels[name].strip():
            found.setdefault(_plain_name(name[:_MAX_NAME_LENGTH]), name)
    return next((found[name] for name in _SUBJECTS if name in found), "")


def subject_of(labels: Mapping[str, str]) -> str:
    """Return what the alert is about, such as a host, on one line; empty if no label says so."""
    return one_line(labels.get(subject_label(labels), ""))


def facts_of(alert: Alert, value: str) -> list[Fact]:
    """Return the facts of an alert, the most important first.

    The name of the alert, its subject and a severity that the title shows are not among them.
    """
    shown = _labels_in_title(alert)
    names = [name for name in without_internal(alert.labels) if name not in shown]
    facts = {"value": value} if value else {}
    for name in sorted(names, key=importance):
        _add(facts, name, alert.labels[name], "label")
    annotations = without_internal(alert.annotations)
    for name in sorted(annotations.keys() - _SHOWN_ELSEWHERE):
        _add(facts, name, annotations[name], "annotation")
    for name, text in texts_without_link(alert).items():
        _add(facts, name, text, "annotation")
    read = (Fact(_to_line(name), _to_line(text)) for name, text in facts.items())
    return [fact for fact in read if fact.name and fact.value]


def _add(facts: dict[str, str], name: str, text: str, origin: str) -> None:
    """Add a fact; under a name that another text has, its origin stands behind the name."""
    if facts.get(name, text) != text:
        name = f"{name} ({origin})"
    facts.setdefault(name, text)


def _to_line(text: str) -> str:
    return one_line(text[:MAX_TEXT_LENGTH])


def _labels_in_title(alert: Alert) -> set[str]:
    names = {subject_label(alert.labels)}
    if alert.labels.get("alertname", "").strip() == alert.name.strip():
        names.add("alertname")
    if alert.name.strip() in _GRAFANA_STATES:
        names.add("rulename")
    for name in SEVERITY_LABELS:
        text = alert.labels.get(name, "")
        severity = read_severity(text)
        if severity:
            if text.strip().lower() == severity:
                names.add(name)
            break
    return names


@lru_cache(maxsize=1024)
def _plain_name(name: str) -> str:
    """Return `pod` for `k8s.pod.name`, `host` for `hostname` and so on (OpenTelemetry's names)."""
    plain = re.sub(r"^(k8s|kubernetes)[._]", "", name.lower())
    return re.sub(r"(?<=.)[._-]?name$", "", plain)


def importance(name: str) -> tuple[int, str]:
    """Return the place of a label among others: the smaller, the more important."""
    plain = _plain_name(name[:_MAX_NAME_LENGTH])
    if plain in _ORDER:
        return _ORDER.index(plain), name
    return len(_ORDER) + (name.lower() in _NOISE), name


def label_for(labels: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the value of the first of these labels that is there, on one line.

    A label counts under its plain name: `service.name` is a `service`.
    """
    found: dict[str, str] = {}
    for name in sorted(without_internal(labels)):
        text = _to_line(labels[name])
        if text:
            found.setdefault(_plain_name(name[:_MAX_NAME_LENGTH]), text)
    return next((found[name] for name in names if name in found), "")
