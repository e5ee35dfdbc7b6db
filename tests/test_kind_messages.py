"""The messages of the kinds: their exact form for each vendor, escaping, links and keys."""

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

from delivery.alerts.alert import Alert
from delivery.event import Event
from delivery.message import build

EXAMPLES = Path(__file__).parent.parent.parent / "shared" / "wire-examples"

DETAILS = "p99 is 1.2 s, limit 800 ms\nservice.name: checkout\nseverity: critical"

FIRING = "FIRING: p99 latency above 800 ms"
RESOLVED = "RESOLVED: p99 latency above 800 ms"

LINK_BUTTON = {"type": "Action.OpenUrl", "title": "Open alert", "url": LINK}

DISCORD_EMBED = {
    "title": FIRING,
    "url": LINK,
    "description": "p99 is 1.2 s, limit 800 ms",
    "color": 0xD0342C,
    "timestamp": "2026-03-02T09:15:00.120Z",
    "fields": [
        {"name": "service.name", "value": "checkout", "inline": True},
        {"name": "severity", "value": "critical", "inline": True},
    ],
}

LABELS = {"service.name": "checkout", "severity": "critical"}

CHAT_CARD = {
    "header": {"title": FIRING},
    "sections": [
        {
            "widgets": [
                {"textParagraph": {"text": DETAILS}},
                {
                    "buttonList": {
                        "buttons": [{"text": "Open alert", "onClick": {"openLink": {"url": LINK}}}]
                    }
                },
            ]
        }
    ],
}

FEISHU_BUTTON = {"tag": "plain_text", "content": "Open alert"}

FEISHU_CARD = {
    "config": {"wide_screen_mode": True},
    "header": {"template": "red", "title": {"tag": "plain_text", "content": FIRING}},
    "elements": [
        {"tag": "div", "text": {"tag": "plain_text", "content": DETAILS}},
        {
            "tag": "action",
            "actions": [{"tag": "button", "type": "primary", "text": FEISHU_BUTTON, "url": LINK}],
        },
    ],
}

OPEN_MESSAGES = {
    "slack": {
        "text": FIRING,
        "attachments": [
            {
                "color": "#d0342c",
                "title": FIRING,
                "title_link": LINK,
                "text": DETAILS,
                "fallback": FIRING,
            }
        ],
    },
    "discord": {"content": "", "allowed_mentions": {"parse": []}, "embeds": [DISCORD_EMBED]},
    "telegram": {
        "chat_id": -1001234567890,
        "text": f'<b>{FIRING}</b>\n{DETAILS}\n<a href="{LINK}">Open alert</a>',
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    },
    "mattermost": {"text": f"#### {FIRING}\n{DETAILS}\n[Open alert]({LINK})"},
    "googlechat": {
        "text": FIRING,
        "thread": {"threadKey": "tocsin-4711"},
        "cardsV2": [{"cardId": "tocsin-4711", "card": CHAT_CARD}],
    },
    "feishu": {"msg_type": "interactive", "card": FEISHU_CARD},
    "dingtalk": {
        "msgtype": "markdown",
        "markdown": {
            "title": FIRING,
            "text": f"#### {FIRING}\n\n"
            + DETAILS.replace("\n", "\n\n")
            + f"\n\n[Open alert]({LINK})",
        },
        "at": {"isAtAll": False},
    },
    "wecom": {
        "msgtype": "markdown",
        "markdown": {
            "content": '**FIRING** <font color="warning">p99 latency above 800 ms</font>\n'
            f"{DETAILS}\n[Open alert]({LINK})"
        },
    },
    "ntfy": {
        "topic": "ops-alerts",
        "title": FIRING,
        "message": DETAILS,
        "priority": 5,
        "tags": ["rotating_light"],
        "click": LINK,
    },
    "pagerduty": {
        "routing_key": "R0UT1NGKEY000000000000000000000A",
        "dedup_key": "tocsin-4711",
        "event_action": "trigger",
        "payload": {
            "summary": "p99 latency above 800 ms",
            "source": "checkout",
            "severity": "critical",
            "timestamp": "2026-03-02T09:15:00.120Z",
            "custom_details": {"description": "p99 is 1.2 s, limit 800 ms", **LABELS},
        },
        "client": "Tocsin",
        "links": [{"href": LINK, "text": "Open alert"}],
    },
    "opsgenie": {
        "message": "p99 latency above 800 ms",
        "alias": "tocsin-4711",
        "priority": "P1",
        "source": "Tocsin",
        "description": "p99 is 1.2 s, limit 800 ms",
        "details": {"url": LINK, **LABELS},
    },
    "pushover": {
        "token": "APPTOKEN30CHARS",
        "user": "USERKEY30CHARS",
        "title": FIRING,
        "message": DETAILS,
        "url": LINK,
        "url_title": "Open alert",
        "priority": 1,
    },
    "gotify": {
        "title": FIRING,
        "message": DETAILS,
        "priority": 8,
        "extras": {"client::notification": {"click": {"url": LINK}}},
    },
}


@pytest.mark.parametrize("kind", OPEN_MESSAGES)
def test_an_open_alert_makes_exactly_this_message(requests_mock, kind):
    assert json_of(requests_mock, kind) == OPEN_MESSAGES[kind]
    assert requests_mock.last_request.method == "POST"


def test_teams_gets_exactly_this_card(requests_mock):
    [attachment] = json_of(requests_mock, "teams").pop("attachments")
    card = attachment.pop("content")
    assert attachment == {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
    }
    assert card.pop("$schema").startswith("http://adaptivecards.io/")
    look = {"weight": "Bolder", "size": "Medium", "color": "Attention", "wrap": True}
    assert card == {
        "type": "AdaptiveCard",
        "version": "1.2",
        "fallbackText": FIRING,
        "body": [
            {"type": "TextBlock", "text": FIRING, **look},
            {"type": "TextBlock", "text": "p99 is 1.2 s, limit 800 ms", "wrap": True},
            {
                "type": "FactSet",
                "facts": [{"title": name, "value": value} for name, value in LABELS.items()],
            },
        ],
        "actions": [LINK_BUTTON],
    }


def test_a_slack_workflow_gets_flat_variables_and_no_text(requests_mock):
    for path in ("/triggers/T0/123/abc", "/workflows/T0/A0/123/abc"):
        assert json_of(requests_mock, "slack", url=f"https://hooks.slack.com{path}") == {
            "title": FIRING,
            "link": LINK,
            "status": "FIRING",
            "summary": "p99 is 1.2 s, limit 800 ms",
            "severity": "critical",
            "labels": "service.name: checkout\nseverity: critical",
        }
    closed = json_of(requests_mock, "slack", url=WORKFLOW_URL, closed=True)
    assert closed["status"] == "RESOLVED"


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_a_closed_alert_is_marked_as_resolved_and_keeps_its_key(requests_mock, kind):
    opened = json_of(requests_mock, kind)
    closed = json_of(requests_mock, kind, closed=True)
    if kind == "pagerduty":
        assert closed == {
            "routing_key": opened["routing_key"],
            "dedup_key": opened["dedup_key"],
            "event_action": "resolve",
        }
    elif kind == "opsgenie":
        assert closed == {"source": "Tocsin", "note": RESOLVED}
    else:
        assert "RESOLVED" in json.dumps(closed)
        assert "FIRING" not in json.dumps(closed)
        assert "p99 latency above 800 ms" in json.dumps(closed)


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_only_a_valid_url_becomes_a_link(requests_mock, kind):
    assert LINK in request_of(requests_mock, kind).text
    for url in (
        "",
        None,
        "see the wiki",
        "javascript:alert(1)",
        "/alerts/1",
        "ftp://h.example/",
        "http://[",
    ):
        text = request_of(requests_mock, kind, {**LATENCY, "url": url}).text
        assert "Open alert" not in text
        assert "wiki" not in text
        assert "javascript" not in text


@pytest.mark.parametrize("kind", [*VENDOR_KINDS, "webhook", "alertmanager", "custom"])
def test_a_link_with_a_space_is_encoded_in_every_message(kind):
    parts = {**LATENCY, "url": "http://prometheus.example/graph?g0.expr=a b#c d"}
    channel = replace(channel_of(kind), body='"{{ alert.url }}"')
    text = build(channel, Event(Alert.from_json(parts), 1, AT)).body.decode()
    assert "http://prometheus.example/graph?g0.expr=a%20b#c%20d" in text


def test_a_link_is_safe_in_any_markup(requests_mock):
    assert text_of(url="https://h.example/a'(b)|<é>\"?x=%20&y=1").link == (
        "https://h.example/a%27%28b%29%7C%3C%C3%A9%3E%22?x=%20&y=1"
    )
    assert text_of(url="https://h.example/" + "🔔" * 1000).link == ""
    assert text_of(url="https://h.example/?a=1#/alerts/(1)").link == (
        "https://h.example/?a=1#/alerts/%281%29"
    )
    long_link = {**LATENCY, "url": "https://h.example/" + "x" * 600}
    assert "url" not in json_of(requests_mock, "pushover", long_link)


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
    "<at id=all></at> | > q"
)


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_hostile_texts_cause_no_mentions_and_no_markup(requests_mock, kind):
    parts = {
        "name": HOSTILE,
        "annotations": {"summary": HOSTILE},
        "labels": {HOSTILE: HOSTILE},
        "url": LINK,
    }
    body = json_of(requests_mock, kind, parts)
    text = "\n".join(text for _, text in texts_of(body))
    if kind in ("slack", "telegram", "googlechat"):
        assert "<!channel>" not in text
        assert "</b> &" not in text
    if kind in ("slack", "telegram"):
        assert "&lt;!channel&gt;" in text
        assert "&amp;amp;" in text
    if kind in ("discord", "teams", "mattermost", "dingtalk"):
        assert "\\*x\\*" in text
        assert "\\[a\\]\\(https://evil.example\\)" in text
    if kind in ("discord", "teams", "mattermost", "dingtalk", "wecom"):
        for trap in ("<!channel", "<@U1", "@everyone", "@all", "<at", "](https://evil"):
            assert trap not in text
    if kind == "discord":
        assert body["allowed_mentions"] == {"parse": []}
    if kind == "dingtalk":
        assert body["at"] == {"isAtAll": False}
    if kind == "feishu":
        assert "lark_md" not in text


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
@pytest.mark.parametrize("kind", [*VENDOR_KINDS, "webhook", "alertmanager", "custom"])
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
        assert lines_of(kind, name, label, value) == lines_of(kind, "", "", "")
    workflow = {"kind": "slack", "url": WORKFLOW_URL}
    assert lines_of(name=name, label=label, value=value, **workflow) == [1] * 6


@pytest.mark.parametrize("line_break", BREAKS)
def test_a_line_break_in_a_name_or_a_label_becomes_a_blank(line_break):
    text = text_of(
        name=f"a{line_break}b", labels={f"c{line_break}d": f"{line_break}e{line_break}f"}
    )
    assert (text.name, text.labels) == ("a b", [("c d", "e f")])


def test_a_summary_keeps_its_lines():
    text = text_of(annotations={"summary": "a\r\nb\x85c\u2028d\x0be\tf\x9b"})
    assert text.summary == "a\nb\nc\nd\ne f"


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
    "cardsV2/card/header/subtitle",
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
