"""The messages of the kinds: their exact form for each vendor, escaping, links and keys."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_support import (
    AT,
    LATENCY,
    LINK,
    VENDOR_KINDS,
    WORKFLOW_URL,
    body_of,
    channel_of,
    json_of,
    request_of,
    text_of,
    texts_of,
)

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.event import Event
from delivery.kinds import kinds
from delivery.message import build

EXAMPLES = Path(__file__).parent.parent.parent / "shared" / "wire-examples"

TITLE = "CRITICAL p99 latency above 800 ms · checkout"
RESOLVED = "Resolved after 12 min: p99 latency above 800 ms · checkout"
AGO = {"starts_at": AT - 12 * MINUTE}
CLOSED = {**LATENCY, **AGO, "ends_at": AT}


def test_a_slack_workflow_gets_flat_variables_and_no_text(requests_mock):
    parts = {
        **LATENCY,
        **AGO,
        "annotations": {"summary": "p99 is 1.2 s", "runbook_url": "https://wiki.example/p99"},
    }
    for path in ("/triggers/T0/123/abc", "/workflows/T0/A0/123/abc"):
        assert json_of(requests_mock, "slack", parts, url=f"https://hooks.slack.com{path}") == {
            "title": TITLE,
            "name": "p99 latency above 800 ms",
            "status": "FIRING",
            "severity": "critical",
            "subject": "checkout",
            "summary": "p99 is 1.2 s",
            "description": "",
            "labels": "",
            "started": "2026-03-02 09:03 +00:00",
            "duration": "12 min",
            "link": LINK,
            "runbook": "https://wiki.example/p99",
            "tocsin": "",
        }
    closed = json_of(requests_mock, "slack", CLOSED, url=WORKFLOW_URL, closed=True)
    assert (closed["status"], closed["title"]) == ("RESOLVED", RESOLVED)


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_a_closed_alert_is_marked_as_resolved_and_keeps_its_key(requests_mock, kind):
    opened = json_of(requests_mock, kind)
    closed = json_of(requests_mock, kind, CLOSED, closed=True)
    if kind == "pagerduty":
        assert closed == {
            "routing_key": opened["routing_key"],
            "dedup_key": opened["dedup_key"],
            "event_action": "resolve",
        }
    elif kind == "opsgenie":
        assert closed == {"source": "Tocsin", "note": RESOLVED}
    else:
        text = read(closed)
        assert "Resolved after 12 min:" in text
        assert "CRITICAL" not in text
        assert "p99 latency above 800 ms" in text


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_only_a_valid_url_becomes_a_link(requests_mock, kind):
    assert LINK in request_of(requests_mock, kind).text
    for url in ("", None, "see the wiki", "javascript:alert(1)", "/alerts/1", "http://["):
        body = json_of(requests_mock, kind, {**LATENCY, "url": url})
        assert not [text for text in read(body).split() if text == "Source"]
        links = [text for _name, text in texts_of(body) if "://" in text]
        assert not [text for text in links if "javascript" in text]


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_a_link_that_is_no_url_is_shown_as_a_text(kind):
    assert "see the wiki" in read(body_of(kind, {**LATENCY, "url": "see the wiki"}))


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_a_link_with_a_space_is_encoded_in_every_message(kind):
    parts = {**LATENCY, "url": "http://prometheus.example/graph?g0.expr=a b#c d"}
    channel = replace(channel_of(kind), body='"{{ alert.url }}"')
    text = build(channel, Event(Alert.from_json(parts), 1, AT)).body.decode()
    assert "http://prometheus.example/graph?g0.expr=a%20b#c%20d" in text


def test_a_link_is_safe_in_any_markup(requests_mock):
    assert text_of(url="https://h.example/a'(b)|<é>\"?x=%20&y=1").link == (
        "https://h.example/a%27%28b%29%7C%3C%C3%A9%3E%22?x=%20&y=1"
    )
    assert text_of(url="https://h.example/" + "🔔" * 2000).link == ""
    assert text_of(url="https://h.example/?a=1#/alerts/(1)").link == (
        "https://h.example/?a=1#/alerts/%281%29"
    )
    long_link = {**LATENCY, "url": "https://h.example/" + "x" * 600}
    body = json_of(requests_mock, "pushover", long_link)
    assert "url" not in body
    assert "x" * 600 in body["message"]


@pytest.mark.parametrize(
    "parts", [{}, None, {"labels": {"": ""}, "annotations": {"summary": " "}, "name": "\x00"}]
)
@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_no_text_that_a_vendor_requires_is_empty(requests_mock, kind, parts):
    for closed in (False, True):
        texts = [*texts_of(json_of(requests_mock, kind, parts, closed=closed))]
        empty = {name for name, text in texts if text == ""}
        assert empty <= {"content"}, empty
        assert any("alert" in text.lower() for _, text in texts) or kind == "pagerduty"
    assert json_of(requests_mock, "wecom", parts)["markdown"]["content"]


HOSTILE = (
    "<!channel> <@U1> @everyone @all </b> &amp; *x* _y_ `z` [a](https://evil.example) # \\ "
    "<at id=all></at> <users/all> | > q my_file.log https://wiki.example/run_books/a_b*c"
)
URL = "https://wiki.example/run_books/a_b*c"
# What would act in the texts that a service formats: mentions, links, tags.
TRAPS = {
    "slack": r"<[!@b/]|(?<!\w)@(everyone|all)",
    "discord": r"(?<!\\)\[a\]\(|(?<!\\)\*x\*|(?<!\\)<@",
    "telegram": r"</b> &amp; |<!|<@|<at",
    "mattermost": r"(?<!\w)@(everyone|all)|(?<!\\)\[a\]\(|(?<!\\)\*x\*",
    "googlechat": r"<users/|<http",
    "feishu": r"<at|\[a\]\(|\*x\*",
    "dingtalk": r"\[a\]\(|<at",
    "wecom": r"\[a\]\(|<@|<at",
}
# The names of the texts that a service shows as they are.
PLAIN = {
    "slack": {"plain_text"},
    "discord": {"title", "name"},
    "mattermost": {"fallback", "title"},
    "googlechat": {"title", "subtitle", "topLabel"},
    "feishu": {"plain_text"},
    "dingtalk": {"title"},
}
PLAIN_KINDS = {"ntfy", "gotify", "pushover", "pagerduty", "opsgenie"}


def formatted_texts(value, kind, name=""):
    """Yield the texts of a body that the service formats."""
    if isinstance(value, dict):
        if value.get("type", value.get("tag")) in PLAIN.get(kind, ()):
            return
        for key, member in value.items():
            yield from formatted_texts(member, kind, key)
    elif isinstance(value, list):
        for member in value:
            yield from formatted_texts(member, kind, name)
    elif isinstance(value, str) and name not in PLAIN.get(kind, ()):
        yield value


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_hostile_texts_cause_no_mentions_and_no_markup(requests_mock, kind):
    parts = {
        "name": HOSTILE,
        "annotations": {"summary": HOSTILE, "description": f"{HOSTILE} again"},
        "labels": {HOSTILE: HOSTILE},
        "url": LINK,
    }
    body = json_of(requests_mock, kind, parts)
    formatted = "\n".join(formatted_texts(body, kind))
    if kind in TRAPS:
        ours = formatted.replace("</b>\n", "\n").replace("<b>", "")
        assert not re.search(TRAPS[kind], ours), re.search(TRAPS[kind], ours)
    everything = "\n".join(text for _name, text in texts_of(body))
    assert URL in everything
    assert "my_file.log" in everything
    if kind in PLAIN_KINDS:
        assert HOSTILE in everything
    if kind == "discord":
        assert body["allowed_mentions"] == {"parse": []}
    if kind == "dingtalk":
        assert body["at"] == {"isAtAll": False}


def test_texts_of_an_alert_stand_in_a_teams_card_where_no_markdown_acts(requests_mock):
    parts = {"name": HOSTILE, "annotations": {"summary": HOSTILE}, "url": LINK}
    [attachment] = json_of(requests_mock, "teams", parts)["attachments"]
    blocks = attachment["content"]["body"]
    assert {block["type"] for block in blocks} <= {"RichTextBlock", "FactSet"}
    runs = [run for block in blocks[:2] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert [run["text"] for run in runs if "selectAction" in run] == ["https://evil.example", URL]


@pytest.mark.parametrize(
    ("labels", "severity", "ntfy", "opsgenie", "pushover", "gotify"),
    [
        ({"severity": "critical"}, "critical", 5, "P1", 1, 8),
        ({"priority": "P2"}, "error", 4, "P2", 1, 7),
        ({}, "error", 4, "P2", 1, 7),
        ({"severity": " Warning "}, "warning", 3, "P3", 0, 5),
        ({"severity": "info"}, "info", 2, "P5", -1, 3),
    ],
)
def test_a_severity_becomes_the_vendors_priority(
    requests_mock, labels, severity, ntfy, opsgenie, pushover, gotify
):
    parts = {**LATENCY, "labels": labels}
    assert json_of(requests_mock, "pagerduty", parts)["payload"]["severity"] == severity
    assert json_of(requests_mock, "ntfy", parts)["priority"] == ntfy
    assert json_of(requests_mock, "opsgenie", parts)["priority"] == opsgenie
    assert json_of(requests_mock, "pushover", parts)["priority"] == pushover
    assert json_of(requests_mock, "gotify", parts)["priority"] == gotify


INTERNAL = {
    "labels": {"__alert_rule_uid__": "rule-1", "team": "db"},
    "annotations": {"__value_string__": "value-1", "summary": "s"},
}


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("kind", sorted(kinds()))
def test_internal_labels_and_annotations_are_in_no_message(kind, closed):
    template = '[{"all": "{{ alert.labels }}, {{ alert.annotations }}"}, "{{ alert.labels }}"]'
    parts = {**LATENCY, **INTERNAL, "status": "closed" if closed else "open"}
    channel = replace(channel_of(kind), body=template)
    text = build(channel, Event(Alert.from_json(parts), 1, AT)).body.decode()
    # Alertmanager identifies an alert by all its labels.
    assert ("rule-1" in text) is (kind == "alertmanager")
    assert "value-1" not in text
    assert "__value_string__" not in text


def test_a_template_can_name_an_internal_label():
    channel = replace(channel_of("custom"), body='["{{ alert.labels.__alert_rule_uid__ }}"]')
    assert json.loads(build(channel, Event(Alert.from_json(INTERNAL), 1, AT)).body) == ["rule-1"]


BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029"]
_broken = st.lists(st.sampled_from([*BREAKS, "FIRING: other", "team: web", " ", "a"]), max_size=6)


def lines_of(kind, name, label, value, **options):
    """Return how many lines each text of a message has."""
    parts = {**LATENCY, "name": f"n{name}", "labels": {f"l{label}": f"v{value}"}}
    return [len(text.splitlines()) for _name, text in texts_of(body_of(kind, parts, **options))]


@settings(deadline=None, max_examples=60)
@given(*[st.builds("".join, _broken)] * 3)
def test_no_name_and_no_label_adds_a_line_to_a_message(name, label, value):
    for kind in VENDOR_KINDS:
        added = " " + " ".join(value.split()) if value.split() else ""
        assert lines_of(kind, name, label, value) == lines_of(kind, "", "", added)
    workflow = {"kind": "slack", "url": WORKFLOW_URL}
    assert max(lines_of(name=name, label=label, value=value, **workflow)) == 1


@pytest.mark.parametrize("line_break", BREAKS)
def test_a_line_break_in_a_name_or_a_label_becomes_a_blank(line_break):
    text = text_of(
        name=f"a{line_break}b", labels={f"c{line_break}d": f"{line_break}e{line_break}f"}
    )
    assert (text.name, text.facts) == ("a b", [("c d", "e f")])


def test_a_summary_keeps_its_lines():
    text = text_of(annotations={"summary": "a\r\nb\x85c\u2028d\x0be\tf\x9b"})
    assert text.summary == "a\nb\nc\nd\ne f"


def read(body) -> str:
    """Return everything that people read in a body, without escapes."""
    text = "\n".join(text for _name, text in texts_of(body))
    return html.unescape(re.sub(r"\\([^\w\s])|<[^>]*>|\u200b", r"\1", text))


def test_the_dedup_key_is_short_plain_and_unique():
    def key(**parts):
        return text_of(**parts).dedup_key

    assert key(id="4711") == key(id="4711", status="closed", name="x") == "tocsin-4711"
    keys = [
        key(id="a/b"),
        key(id="x" * 9999),
        key(name="x"),
        key(name="x", labels={"a": "1"}),
        key(name="x", labels={"a": "2"}),
    ]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("tocsin-[0-9a-f]{64}", plain) for plain in keys)
    assert key(name="x", labels={"a": "1"}, status="closed") == keys[3]


EXAMPLE_KINDS = {
    "dingtalk-markdown-signed": "dingtalk",
    "discord-execute-webhook": "discord",
    "feishu-lark-interactive": "feishu",
    "google-chat": "googlechat",
    "gotify": "gotify",
    "mattermost-incoming-webhook": "mattermost",
    "msteams-workflows": "teams",
    "ntfy-publish-json": "ntfy",
    "opsgenie-create-alert": "opsgenie",
    "pagerduty-events-v2-trigger": "pagerduty",
    "pushover": "pushover",
    "slack-incoming-webhook": "slack",
    "telegram-sendmessage": "telegram",
    "wecom-group-robot-markdown": "wecom",
}


# Parts of the examples that Tocsin does not send, or sends under another name.
ACCEPTED_NAMES = {
    "username",
    "props",
    "at",
    "disable_notification",
    "msteams",
    "ts",
    "extras",
    "tags",
    "retry",
    "expire",
    "subtitle",
}
ACCEPTED_PATHS = {
    "payload/component",
    "payload/group",
    "payload/class",
    "payload/custom_details/p99_ms",
    "payload/custom_details/limit_ms",
    "client_url",
    # Slack, Teams and the cards have other blocks.
    "attachments/title",
    "attachments/title_link",
    "attachments/text",
    "attachments/content/body/text",
    "attachments/content/body/weight",
    "attachments/content/body/size",
    "attachments/content/body/color",
    "attachments/content/body/wrap",
    "attachments/content/body/facts",
    "cardsV2/card/sections/widgets/buttonList",
    "card/elements/actions",
}


@pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the shared examples are not beside this checkout"
)
@pytest.mark.parametrize("file", EXAMPLE_KINDS)
def test_a_message_has_every_part_of_the_example_with_the_same_types(requests_mock, file):
    example = json.loads((EXAMPLES / f"{file}.json").read_text())["body"]
    body = json_of(requests_mock, EXAMPLE_KINDS[file])
    missing = set(missing_parts(example, body)) - ACCEPTED_PATHS
    assert [path for path in missing if not ACCEPTED_NAMES & set(path.split("/"))] == []


def missing_parts(example, body, path=""):
    """Yield the paths where the body lacks a part of the example, or has another type there.

    A chat ID may be a number or a text.
    """
    if isinstance(example, dict) and isinstance(body, dict):
        for name, part in example.items():
            here = f"{path}/{name}".strip("/")
            yield from missing_parts(part, body[name], here) if name in body else [here]
    elif isinstance(example, list) and isinstance(body, list):
        for part, member in zip(example, body, strict=False):
            yield from missing_parts(part, member, path)
    elif type(example) is not type(body) and not path.endswith("chat_id"):
        yield path
