"""What every message says: a checklist over all kinds and 1,000 generated alerts."""

import html
import json
import random
import re

import pytest
from kind_support import AT, assert_within_limits, channel_of

from clock import HOUR, MINUTE
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.facts import MAX_TEXT_LENGTH
from delivery.event import Event
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.message import build
from delivery.text import one_line

COUNT = 1000
_WORDS = """replication lag disk full on latency above 800 ms checkout failed_requests queue_depth
    *.log a*b <b>bold</b> @channel <@U1> [x](y) `code` 50% R&D über 語 🔔 {{x}} C:\\temp 1. - # >
    ~~x~~ https://wiki.example/run_books/a_b?x=1&y=2 mail@host.example \\n &amp; |pipe|"""
_LABELS = """instance host node pod namespace service job cluster team k8s.pod.name service_name
    device mount_point __internal__ __alert_rule_uid__ prometheus region owner"""
INSTALLATION = Installation("1nsta11ed", "https://tocsin.example")
FOR_PROGRAMS = {"webhook", "alertmanager", "alertmanager_webhook", "custom"}
PEOPLE_READ = sorted(set(kinds()) - FOR_PROGRAMS)
CLOSED_BY_KEY = {"pagerduty", "opsgenie"}
WORDS = _WORDS.split()
LABELS = _LABELS.split()
SEVERITIES = ["critical", "error", "warning", "info", "P1 - Critical", "sev-3", "", "purple"]


def random_text(rng, most):
    return " ".join(rng.choices(WORDS, k=rng.randint(1, most)))


def random_alert(rng) -> dict:
    """Return an alert of ordinary size, whose texts may hold any markup."""
    labels = {"alertname": "Rule"}
    for name in rng.sample(LABELS, rng.randint(0, 7)):
        labels[name] = random_text(rng, 2)
    if rng.random() < 0.8:
        labels["severity"] = rng.choice(SEVERITIES)
    annotations = {}
    for name, most in {"summary": 12, "description": 20}.items():
        if rng.random() < 0.8:
            annotations[name] = random_text(rng, most)
    if rng.random() < 0.5:
        annotations["description"] = "\n".join(random_text(rng, 6) for _ in range(3))
    links = {}
    for name in ("runbook_url", "dashboard_url"):
        if rng.random() < 0.5:
            annotations[name] = f"https://docs.example/{name}/a_b/{rng.randrange(999)}"
    if rng.random() < 0.3:
        links = {"panel": "https://g.example/d/1?p=2", "silence": "https://g.example/silence/new"}
    return {
        "id": str(rng.randrange(1, 10**6)),
        "name": random_text(rng, 3),
        "labels": labels,
        "annotations": annotations,
        "links": links,
        "value": rng.choice(["", "7.1", "A=3, B=7.1"]),
        "starts_at": AT - rng.randrange(MINUTE, 48 * HOUR),
        "url": rng.choice(["", "http://prom.example/graph?g0.expr=a_b", "see the wiki"]),
    }


def alerts(seed=14):
    rng = random.Random(seed)
    return [random_alert(rng) for _ in range(COUNT)]


def event_of(parts, status="open", at=AT):
    closing = {"ends_at": at} if status == "closed" else {}
    return Event(Alert.from_json({**parts, **closing, "status": status}), 1, at, opening=at)


def message_of(kind, parts, status="open"):
    return build(channel_of(kind), event_of(parts, status), installation=INSTALLATION)


def read(text: str) -> str:
    """Return a text as people read it: without escapes, and on one line."""
    text = html.unescape(text.replace("\u200b", ""))
    text = re.sub(r"\\(?=[\\`*_~|\[\]()<>&=#+.!@-])", "", text)
    return " ".join(text.split())


def reading_of(message) -> str:
    """Return everything that people read in a message."""
    found: list[str] = []

    def collect(value):
        if isinstance(value, dict):
            for name, member in value.items():
                found.append(name)
                collect(member)
        elif isinstance(value, list):
            # The runs of a text, between which nothing stands.
            runs = [run["text"] for run in value if isinstance(run, dict) and "selectAction" in run]
            if runs:
                found.append("".join(run.get("text", "") for run in value))
            for member in value:
                collect(member)
        else:
            found.append(str(value))

    collect(json.loads(message.body))
    return read("\n".join(found)) + "\n" + "\n".join(found)


def is_in(text: str, reading: str) -> bool:
    return read(text) in reading or text in reading


@pytest.mark.parametrize("kind", PEOPLE_READ)
def test_an_open_alert_is_shown_whole(kind):
    for parts in alerts():
        event = event_of(parts)
        text = AlertText(event, channel_of(kind), INSTALLATION)
        message = message_of(kind, parts)
        assert_within_limits(kind, message)
        reading = reading_of(message)
        shown = [text.name, text.subject, text.value]
        if ":R>" not in reading:  # Discord's clients write the duration themselves
            shown.append(text.duration)
        shown += text.reported_summary.splitlines() + text.description.splitlines()
        if text.named_severity:
            assert text.named_severity in reading.lower()
        shown += [link.url for link in text.links]
        shown += [part for fact in text.facts[:6] for part in fact]
        for part in shown:
            assert is_in(part, reading), (kind, part, reading)
        assert text.started in reading or str(text.event.alert.starts_at // 1000) in reading
        assert "__" not in re.sub(r"https?://\S+", "", reading)


@pytest.mark.parametrize("kind", PEOPLE_READ)
def test_a_resolution_has_the_name_the_subject_the_duration_and_one_link(kind):
    for parts in alerts():
        event = event_of(parts, "closed")
        text = AlertText(event, channel_of(kind), INSTALLATION)
        message = message_of(kind, parts, "closed")
        assert_within_limits(kind, message)
        if kind in CLOSED_BY_KEY:
            continue
        reading = reading_of(message)
        assert is_in(f"Resolved after {text.duration}", reading), (kind, reading)
        for part in (text.name, text.subject, text.link):
            assert is_in(part, reading), (kind, part, reading)
        others = {link.url for link in text.all_links} - {text.link}
        assert not [url for url in others if f"{url}\n" in f"{reading}\n"]
        description = text.reported_description.splitlines()
        kept = read(f"{text.reported_summary} {text.name} {text.subject}")
        for line in description:
            if len(line) > 20 and read(line) not in kept:
                assert not is_in(line, reading), (kind, line)


LONG = {
    "name": "PostgresReplicationLag",
    "annotations": {
        "summary": "Replication lag is 48 s and rising",
        "description": "One of many sentences. " * 2800,
        "runbook_url": "https://wiki.example/runbooks/lag",
    },
    "labels": {
        "severity": "critical",
        "instance": "db-2.prod:9187",
        "host": "db-2",
        "pod": "pg-0",
        "namespace": "data",
        "service": "postgres",
        "job": "pg",
        "node": "n-7",
        "cluster": "eu",
        "team": "db",
        **{f"label_{number:03}": f"value_{number}" for number in range(190)},
    },
    "starts_at": AT - 12 * MINUTE,
    "url": "https://prometheus.example/graph?g0.expr=pg_replication_lag",
    "id": "4711",
}
ORDER = ["host", "pod", "namespace", "service", "job", "node", "cluster", "team"]


@pytest.mark.parametrize("kind", PEOPLE_READ)
def test_the_most_important_survives_a_huge_alert_in_a_fixed_order(kind):
    message = message_of(kind, LONG)
    assert_within_limits(kind, message)
    reading = reading_of(message)
    labels = LONG["labels"]
    for part in ("critical", "PostgresReplicationLag", "db-2.prod:9187", "Replication lag is 48 s"):
        assert part.lower() in reading.lower(), part
    assert "12 min" in reading or ":R>" in reading
    for url in (LONG["url"], LONG["annotations"]["runbook_url"]):
        assert url in reading
    assert "https://tocsin.example/alerts/4711" in reading
    body = message.body.decode()
    places = [body.find(labels[name]) for name in ORDER[:4]]
    assert all(place >= 0 for place in places)
    shown = [name for name in labels if name.startswith("label_") and labels[name] in reading]
    assert shown == sorted(shown)
    if kind not in ("opsgenie", "pagerduty"):
        hidden = re.search(r"and (\d+) more", reading)
        assert hidden, reading[-900:]
        assert int(hidden[1]) > 100


@pytest.mark.parametrize("kind", PEOPLE_READ)
def test_a_value_of_several_lines_cannot_imitate_another_fact(kind):
    parts = {**LONG, "labels": {"host": "a\nseverity: critical\r\nteam: db", "pod\nx": "b\u2028c"}}
    reading = reading_of(message_of(kind, parts))
    assert one_line("a\nseverity: critical\r\nteam: db") in reading
    assert "\nseverity: critical" not in reading


@pytest.mark.parametrize("kind", sorted(kinds()))
@pytest.mark.parametrize("year", ["0001-01-01T00:00:00.001Z", "9999-12-31T23:59:59.999Z"])
def test_a_time_at_the_end_of_the_calendar_makes_a_valid_message(kind, year):
    for status in ("open", "closed"):
        parts = {**LONG, "annotations": {}, "starts_at": year, "ends_at": year}
        message = message_of(kind, parts, status)
        json.loads(message.body)
        if kind in PEOPLE_READ and not (status == "closed" and kind in CLOSED_BY_KEY):
            assert year[:4] in message.body.decode()


def test_the_longest_label_is_read_in_part():
    text = AlertText(event_of({"labels": {"host": "h", "big": "x" * 60_000}}))
    [fact] = text.facts
    assert len(fact.value) == MAX_TEXT_LENGTH
