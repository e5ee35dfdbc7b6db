"""Every kind against the contract with its vendor: its messages, limits and URLs, and what it makes of an answer."""

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

import delivery.kinds
from delivery.alerts.alert import Alert
from delivery.alerts.samples import samples
from delivery.event import Event
from delivery.guard.url import parse_url
from delivery.kinds import kinds, match_url
from delivery.message import build
from delivery.outcome import REASONS, SuggestedFix
from delivery.response import Judgement, Response, error_text, judge_by_body
from delivery.retry import retry_after
from delivery.settings import Header, Settings
from delivery.text import (
    MARK,
    AlertText,
    break_mentions,
    escape_html,
    escape_markdown,
    json_length,
    truncate,
    utf8_length,
    utf16_length,
)

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "wire-examples"
NEW = [
    "slack",
    "discord",
    "teams",
    "telegram",
    "mattermost",
    "googlechat",
    "feishu",
    "dingtalk",
    "wecom",
    "ntfy",
    "pagerduty",
    "opsgenie",
    "pushover",
    "gotify",
]
AT = 1772442900120  # 2026-03-02T09:15:00.120Z
LINK = "https://alerts.example.test/alerts/4711"
OPTIONS = {
    "bot_token": "123456:AA-TOKEN",
    "chat_id": "-1001234567890",
    "topic": "ops-alerts",
    "access_token": "tk_TOKEN",
    "routing_key": "R0UT1NGKEY000000000000000000000A",
    "api_key": "00000000-0000-0000-0000-000000000000",
    "token": "APPTOKEN30CHARS",
    "user": "USERKEY30CHARS",
    "app_token": "APPTOKEN",
}
LATENCY = {
    "id": "4711",
    "name": "p99 latency above 800 ms",
    "labels": {"service.name": "checkout", "severity": "critical", "team": ""},
    "annotations": {"summary": "p99 is 1.2 s, limit 800 ms"},
    "starts_at": "2026-03-02T09:15:00.120457Z",
    "url": LINK,
}
FLOW = "https://hooks.slack.com/triggers/T0/123/abc"


def message_of(kind, parts=LATENCY, url="", at=AT, closed=False, **options):
    """The message of a channel of this kind, with the options that it needs."""
    known = kinds()[kind]
    given = {**{one.name: OPTIONS[one.name] for one in known.options if one.required}, **options}
    rows = tuple(Header(name, text, True) for name, text in given.items())
    if closed and isinstance(parts, dict):
        parts = {**parts, "status": "closed"}
    settings = Settings(
        kind=kind, url=url or known.base or "https://own.example.test/hook", body="{}", options=rows
    )
    return build(settings, Event(Alert.read(parts), 1, at))


def body_of(kind, parts=LATENCY, **given):
    """Its body, parsed as strictly as a receiver may parse it."""
    return json.loads(
        message_of(kind, parts, **given).body.decode("utf-8"), parse_constant=pytest.fail
    )


def test_every_kind_of_the_contract_is_a_small_file_with_its_words():
    assert {*NEW, "webhook", "alertmanager", "custom"} == set(kinds())
    for name in NEW:
        kind, file = kinds()[name], ROOT / "delivery" / "kinds" / f"{name}.py"
        assert len(file.read_text().splitlines()) < 110, name
        assert kind.name == name
        assert kind.label
        assert kind.help.endswith(".")
        assert kind.url_help.endswith(".")
        assert kind.docs.startswith("https://")


def test_options_are_those_that_the_form_knows():
    required = {
        (kind.name, one.name) for kind in kinds().values() for one in kind.options if one.required
    }
    secret = {
        (kind.name, one.name) for kind in kinds().values() for one in kind.options if one.secret
    }
    others = (
        {(kind.name, one.name) for kind in kinds().values() for one in kind.options}
        - required
        - secret
    )
    assert required == {
        ("telegram", "bot_token"),
        ("telegram", "chat_id"),
        ("ntfy", "topic"),
        ("pagerduty", "routing_key"),
        ("opsgenie", "api_key"),
        ("pushover", "token"),
        ("pushover", "user"),
        ("gotify", "app_token"),
    }
    assert secret == required - {("telegram", "chat_id"), ("ntfy", "topic")} | {
        ("ntfy", "access_token"),
        ("feishu", "secret"),
        ("dingtalk", "secret"),
    }
    assert others == {
        ("telegram", "message_thread_id"),
        ("pushover", "device"),
        ("custom", "closed_body"),
    }


@pytest.mark.parametrize(
    ("kind", "pace"),
    [
        ("slack", ((1, 1),)),
        ("discord", ((5, 2), (30, 60))),
        ("telegram", ((1, 1), (20, 60))),
        ("googlechat", ((1, 1), (60, 60))),
        ("feishu", ((5, 1), (100, 60))),
        ("dingtalk", ((20, 60),)),
        ("wecom", ((20, 60),)),
    ],
)
def test_the_vendors_rate_is_kept(kind, pace):
    assert kinds()[kind].rate_limit == pace
    assert not kinds()["ntfy"].rate_limit


# --- messages ---------------------------------------------------------------------------------------------------------

TEXT = "p99 is 1.2 s, limit 800 ms\nservice.name: checkout\nseverity: critical"
OPEN, OVER = "FIRING: p99 latency above 800 ms", "RESOLVED: p99 latency above 800 ms"
BUTTON = {"type": "Action.OpenUrl", "title": "Open alert", "url": LINK}
DISCORD = {
    "title": OPEN,
    "url": LINK,
    "description": "p99 is 1.2 s, limit 800 ms",
    "color": 0xD0342C,
    "timestamp": "2026-03-02T09:15:00.120Z",
    "fields": [
        {"name": "service.name", "value": "checkout", "inline": True},
        {"name": "severity", "value": "critical", "inline": True},
    ],
}
FACTS = {"service.name": "checkout", "severity": "critical"}
CHAT_CARD = {
    "header": {"title": OPEN},
    "sections": [
        {
            "widgets": [
                {"textParagraph": {"text": TEXT}},
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
FEISHU = {
    "config": {"wide_screen_mode": True},
    "header": {"template": "red", "title": {"tag": "plain_text", "content": OPEN}},
    "elements": [
        {"tag": "div", "text": {"tag": "plain_text", "content": TEXT}},
        {
            "tag": "action",
            "actions": [{"tag": "button", "type": "primary", "text": FEISHU_BUTTON, "url": LINK}],
        },
    ],
}
OPENED = {
    "slack": {
        "text": OPEN,
        "attachments": [
            {"color": "#d0342c", "title": OPEN, "title_link": LINK, "text": TEXT, "fallback": OPEN}
        ],
    },
    "discord": {"content": "", "allowed_mentions": {"parse": []}, "embeds": [DISCORD]},
    "telegram": {
        "chat_id": -1001234567890,
        "text": f'<b>{OPEN}</b>\n{TEXT}\n<a href="{LINK}">Open alert</a>',
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    },
    "mattermost": {"text": f"#### {OPEN}\n{TEXT}\n[Open alert]({LINK})"},
    "googlechat": {
        "text": OPEN,
        "thread": {"threadKey": "tocsin-4711"},
        "cardsV2": [{"cardId": "tocsin-4711", "card": CHAT_CARD}],
    },
    "feishu": {"msg_type": "interactive", "card": FEISHU},
    "dingtalk": {
        "msgtype": "markdown",
        "markdown": {
            "title": OPEN,
            "text": f"#### {OPEN}\n\n" + TEXT.replace("\n", "\n\n") + f"\n\n[Open alert]({LINK})",
        },
        "at": {"isAtAll": False},
    },
    "wecom": {
        "msgtype": "markdown",
        "markdown": {
            "content": f'**FIRING** <font color="warning">p99 latency above 800 ms</font>\n{TEXT}\n[Open alert]({LINK})'
        },
    },
    "ntfy": {
        "topic": "ops-alerts",
        "title": OPEN,
        "message": TEXT,
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
            "custom_details": {"description": "p99 is 1.2 s, limit 800 ms", **FACTS},
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
        "details": {"url": LINK, **FACTS},
    },
    "pushover": {
        "token": "APPTOKEN30CHARS",
        "user": "USERKEY30CHARS",
        "title": OPEN,
        "message": TEXT,
        "url": LINK,
        "url_title": "Open alert",
        "priority": 1,
    },
    "gotify": {
        "title": OPEN,
        "message": TEXT,
        "priority": 8,
        "extras": {"client::notification": {"click": {"url": LINK}}},
    },
}


@pytest.mark.parametrize("kind", OPENED)
def test_the_message_of_an_open_alert_has_exactly_this_shape(kind):
    assert body_of(kind) == OPENED[kind]


def test_a_card_of_teams_has_exactly_this_shape():
    [attachment] = body_of("teams").pop("attachments")
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
        "fallbackText": OPEN,
        "body": [
            {"type": "TextBlock", "text": OPEN, **look},
            {"type": "TextBlock", "text": "p99 is 1.2 s, limit 800 ms", "wrap": True},
            {
                "type": "FactSet",
                "facts": [{"title": name, "value": value} for name, value in FACTS.items()],
            },
        ],
        "actions": [BUTTON],
    }


def test_a_workflow_of_slack_gets_flat_variables_and_no_text():
    for path in ("/triggers/T0/123/abc", "/workflows/T0/A0/123/abc"):
        assert body_of("slack", url=f"https://hooks.slack.com{path}") == {
            "title": OPEN,
            "link": LINK,
            "status": "FIRING",
            "summary": "p99 is 1.2 s, limit 800 ms",
            "severity": "critical",
            "labels": "service.name: checkout\nseverity: critical",
        }
    assert body_of("slack", url=FLOW, closed=True)["status"] == "RESOLVED"


@pytest.mark.parametrize("kind", NEW)
def test_a_closed_alert_is_recognisably_over_and_has_the_same_key(kind):
    opened, closed = body_of(kind), body_of(kind, closed=True)
    if kind == "pagerduty":
        assert closed == {
            "routing_key": opened["routing_key"],
            "dedup_key": opened["dedup_key"],
            "event_action": "resolve",
        }
    elif kind == "opsgenie":
        assert closed == {"source": "Tocsin", "note": OVER}
    else:
        assert "RESOLVED" in json.dumps(closed)
        assert "FIRING" not in json.dumps(closed)
        assert "p99 latency above 800 ms" in json.dumps(closed)


@pytest.mark.parametrize("kind", NEW)
def test_a_link_stands_in_the_message_only_when_it_is_one(kind):
    assert LINK in message_of(kind).body.decode()
    for url in (
        "",
        None,
        "see the wiki",
        "javascript:alert(1)",
        "/alerts/1",
        "ftp://h.example/",
        "http://[",
    ):
        text = message_of(kind, {**LATENCY, "url": url}).body.decode()
        assert "Open alert" not in text
        assert "wiki" not in text
        assert "javascript" not in text


def test_a_link_is_plain_enough_to_stand_in_any_markup():
    assert AlertText(Alert.read({"url": "https://h.example/a'(b)|<é>\"?x=%20&y=1"})).link == (
        "https://h.example/a%27%28b%29%7C%3C%C3%A9%3E%22?x=%20&y=1"
    )
    assert AlertText(Alert.read({"url": "https://h.example/" + "🔔" * 1000})).link == ""
    assert "url" not in body_of("pushover", {**LATENCY, "url": "https://h.example/" + "x" * 600})


@pytest.mark.parametrize(
    "parts", [{}, None, {"labels": {"": ""}, "annotations": {"summary": " "}, "name": "\x00"}]
)
@pytest.mark.parametrize("kind", NEW)
def test_no_text_is_empty_where_a_vendor_refuses_that(kind, parts):
    for closed in (False, True):
        texts = [*members(body_of(kind, parts, closed=closed))]
        empty = {name for name, text in texts if text == ""}
        assert empty <= {"content"}, empty
        assert any("alert" in text.lower() for _, text in texts) or kind == "pagerduty"
    assert body_of("wecom", parts)["markdown"]["content"]


HOSTILE = "<!channel> <@U1> @everyone @all </b> &amp; *x* _y_ `z` [a](https://evil.example) # \\ <at id=all></at> | > q"


@pytest.mark.parametrize("kind", NEW)
def test_hostile_texts_mention_nobody_and_open_no_markup(kind):
    parts = {
        "name": HOSTILE,
        "annotations": {"summary": HOSTILE},
        "labels": {HOSTILE: HOSTILE},
        "url": LINK,
    }
    text = "\n".join(text for _, text in members(body_of(kind, parts)))
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
        assert body_of(kind, parts)["allowed_mentions"] == {"parse": []}
    if kind == "dingtalk":
        assert body_of(kind, parts)["at"] == {"isAtAll": False}
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
    labels, severity, ntfy, opsgenie, pushover, gotify
):
    parts = {**LATENCY, "labels": labels}
    assert body_of("pagerduty", parts)["payload"]["severity"] == severity
    assert body_of("ntfy", parts)["priority"] == ntfy
    assert body_of("opsgenie", parts)["priority"] == opsgenie
    assert body_of("pushover", parts)["priority"] == pushover
    assert body_of("gotify", parts)["priority"] == gotify


def test_the_key_of_an_alert_is_short_plain_and_its_own():
    def key(**parts):
        return AlertText(Alert.read(parts)).key

    assert key(id="4711") == key(id="4711", status="closed", name="x") == "tocsin-4711"
    keys = [
        key(id="a/b"),
        key(id="x" * 9999),
        key(name="x"),
        key(name="x", labels={"a": "1"}),
        key(name="x", labels={"a": "2"}),
    ]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch("tocsin-[0-9a-f]{64}", one) for one in keys)
    assert key(name="x", labels={"a": "1"}, status="closed") == keys[3]


# --- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "url", "requested"),
    [
        ("telegram", "", "https://api.telegram.org/bot123456:AA-TOKEN/sendMessage"),
        (
            "telegram",
            "https://own.example.test/tg/",
            "https://own.example.test/tg/bot123456:AA-TOKEN/sendMessage",
        ),
        (
            "telegram",
            "https://own.example.test/p/bot9:x/sendMessage",
            "https://own.example.test/p/bot9:x/sendMessage",
        ),
        ("ntfy", "", "https://ntfy.sh/"),
        ("ntfy", "https://own.example.test/topic", "https://own.example.test/topic"),
        ("pagerduty", "", "https://events.pagerduty.com/v2/enqueue"),
        (
            "pagerduty",
            "https://events.eu.pagerduty.com/",
            "https://events.eu.pagerduty.com/v2/enqueue",
        ),
        ("pagerduty", "https://own.example.test/pd", "https://own.example.test/pd/v2/enqueue"),
        (
            "pagerduty",
            "https://own.example.test/pd/v2/enqueue",
            "https://own.example.test/pd/v2/enqueue",
        ),
        ("opsgenie", "", "https://api.opsgenie.com/v2/alerts"),
        (
            "opsgenie",
            "https://own.example.test/og/v2/alerts",
            "https://own.example.test/og/v2/alerts",
        ),
        ("pushover", "", "https://api.pushover.net/1/messages.json"),
        ("pushover", "https://own.example.test/p", "https://own.example.test/p/1/messages.json"),
        ("gotify", "https://own.example.test", "https://own.example.test/message"),
        (
            "gotify",
            "https://own.example.test/push/message",
            "https://own.example.test/push/message",
        ),
        (
            "discord",
            "https://discord.com/api/webhooks/1/t?thread_id=2&wait=0",
            "https://discord.com/api/webhooks/1/t?thread_id=2&wait=true",
        ),
        (
            "slack",
            "https://hooks.slack.com/services/T0/B0/x",
            "https://hooks.slack.com/services/T0/B0/x",
        ),
        (
            "dingtalk",
            "https://oapi.dingtalk.com/robot/send?access_token=T",
            "https://oapi.dingtalk.com/robot/send?access_token=T",
        ),
        (
            "googlechat",
            "https://chat.googleapis.com/v1/spaces/S/messages?key=K&token=a%3D",
            "https://chat.googleapis.com/v1/spaces/S/messages?key=K&token=a%3D&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
        ),
    ],
)
def test_the_address_is_completed_and_a_prefix_stays(kind, url, requested):
    assert message_of(kind, url=url).target.url == requested


def test_opsgenie_closes_by_alias():
    end = "/v2/alerts/tocsin-4711/close?identifierType=alias"
    assert message_of("opsgenie", closed=True).target.url == "https://api.opsgenie.com" + end
    assert (
        message_of("opsgenie", closed=True, url="https://own.example.test/x/").target.url
        == "https://own.example.test/x" + end
    )


def test_a_bots_token_cannot_leave_its_segment_of_the_path():
    url = message_of("telegram", bot_token="../../x?y#z é\ud800").target.url
    assert url == "https://api.telegram.org/bot..%2F..%2Fx%3Fy%23z%20%C3%A9%3F/sendMessage"


def test_tokens_go_into_the_header_of_the_vendor():
    assert message_of("gotify").headers == (("X-Gotify-Key", "APPTOKEN"),)
    assert message_of("opsgenie").headers == (("Authorization", f"GenieKey {OPTIONS['api_key']}"),)
    assert message_of("ntfy", access_token="tk_TOKEN").headers == (
        ("Authorization", "Bearer tk_TOKEN"),
    )
    assert message_of("ntfy").headers == ()


def test_feishu_and_dingtalk_sign_each_in_its_own_way():
    body = body_of("feishu", secret="demo-feishu-secret")
    assert (body["timestamp"], body["sign"]) == (
        "1772442900",
        "Emawsud1vU7n6HhVIuGaqnP++ShcYP0lQLiAaeTHkiI=",
    )
    url = "https://oapi.dingtalk.com/robot/send?access_token=TOKEN"
    assert message_of("dingtalk", url=url, secret="SECdemo0123456789").target.url == (
        f"{url}&timestamp=1772442900120&sign=XmhKc03ZZ7kOYFHUNuzoh%2FXSDspKmtDVWky%2FyQp%2BcMA%3D"
    )
    again = message_of(
        "dingtalk", url=f"{url}&timestamp=1&sign=x", secret="SECdemo0123456789"
    ).target
    assert parse_qs(again.query)["timestamp"] == ["1772442900120"]


@pytest.mark.parametrize("kind", [kind for kind in NEW if kinds()[kind].base])
def test_a_vendors_own_server_is_its_base_and_every_message_to_it_is_known_as_such(kind):
    assert message_of(kind).at_vendor or kind == "ntfy"
    assert message_of(kind, closed=True).at_vendor or kind == "ntfy"
    assert not message_of(kind, url="https://own.example.test/x").at_vendor


# --- pasted URLs ------------------------------------------------------------------------------------------------------

AZURE = "/workflows/ID/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SIG"
POWER = "https://default1.ab.environment.api.powerplatform.com:443/powerautomate/automations/direct"
TOKEN = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"
HOOK = "abcdefghijklmnopqrstuvwxyz"
KNOWN = [
    ("https://hooks.slack.com/services/T00000000/B00000000/XXXX", "slack", None, {}),
    ("https://hooks.slack-gov.com/services/T0/B0/x", "slack", None, {}),
    ("https://hooks.slack.com/workflows/T0/A0/123/abc", "slack", None, {}),
    (FLOW, "slack", None, {}),
    ("https://discord.com/api/webhooks/100000000000000000/TOKEN", "discord", None, {}),
    ("https://discordapp.com/api/v10/webhooks/1/a-b_c", "discord", None, {}),
    ("https://discord.com/api/webhooks/1/abc/slack", "discord", None, {}),
    ("https://discord.com/api/webhooks/1/abc/github", "discord", None, {}),
    (
        f"https://prod-00.logic.azure.com:443{AZURE}",
        "teams",
        f"https://prod-00.logic.azure.com{AZURE}",
        {},
    ),
    (POWER + AZURE, "teams", POWER.replace(":443", "") + AZURE, {}),
    ("https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w", "teams", None, {}),
    (
        f"https://api.telegram.org/bot{TOKEN}/sendMessage?chat_id=-100&message_thread_id=7",
        "telegram",
        "https://api.telegram.org",
        {"bot_token": TOKEN, "chat_id": "-100", "message_thread_id": "7"},
    ),
    (
        "https://chat.googleapis.com/v1/spaces/SPACE/messages?key=KEY&token=TOKEN",
        "googlechat",
        None,
        {},
    ),
    (
        "https://open.feishu.cn/open-apis/bot/v2/hook/00000000-0000-0000-0000-000000000000",
        "feishu",
        None,
        {},
    ),
    ("https://open.larksuite.com/open-apis/bot/v2/hook/0-1", "feishu", None, {}),
    ("https://oapi.dingtalk.com/robot/send?access_token=TOKEN", "dingtalk", None, {}),
    ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0-1", "wecom", None, {}),
    ("https://ntfy.sh/ops-alerts", "ntfy", "https://ntfy.sh", {"topic": "ops-alerts"}),
    ("https://events.pagerduty.com/v2/enqueue", "pagerduty", "https://events.pagerduty.com", {}),
    (
        "https://events.eu.pagerduty.com/v2/enqueue",
        "pagerduty",
        "https://events.eu.pagerduty.com",
        {},
    ),
    ("https://api.opsgenie.com/v2/alerts", "opsgenie", "https://api.opsgenie.com", {}),
    ("https://api.eu.opsgenie.com/v2/alerts", "opsgenie", "https://api.eu.opsgenie.com", {}),
    ("https://api.pushover.net/1/messages.json", "pushover", "https://api.pushover.net", {}),
    (
        "https://api.pushover.net/1/messages.json?token=t&user=u",
        "pushover",
        "https://api.pushover.net",
        {"token": "t", "user": "u"},
    ),
]
GUESSED = [
    (f"https://mattermost.example.test/hooks/{HOOK}", "mattermost", None, {}),
    (f"https://example.test/chat/hooks/{HOOK}", "mattermost", None, {}),
    ("https://gotify.example.test/message", "gotify", "https://gotify.example.test", {}),
    (
        "https://example.test/push/message?token=Aabc",
        "gotify",
        "https://example.test/push",
        {"app_token": "Aabc"},
    ),
    (
        f"https://example.test/tg/bot{TOKEN}/sendMessage",
        "telegram",
        "https://example.test/tg",
        {"bot_token": TOKEN},
    ),
]


@pytest.mark.parametrize(
    ("url", "kind", "left", "options", "certain"),
    [(*row, True) for row in KNOWN] + [(*row, False) for row in GUESSED],
)
def test_a_pasted_url_tells_its_kind_and_what_is_secret_in_it(url, kind, left, options, certain):
    pasted = match_url(parse_url(url))
    assert pasted is not None
    assert (pasted.kind.name, pasted.url, dict(pasted.options), pasted.certain) == (
        kind,
        left or url,
        options,
        certain,
    )


MISSES = [
    "https://hooks.slack.com.evil.example/services/T0/B0/x",
    "https://evil-hooks.slack.com/services/T0/B0/x",
    "https://xhooks.slack.com/services/T0/B0/x",
    "https://hooks-slack.com/services/T0/B0/x",
    "https://hooks.slack.com/",
    "https://hooks.slack.com/services/T0/B0",
    "https://hooks.slack.com/x/services/T0/B0/x",
    "https://evil.example/?u=https%3A%2F%2Fhooks.slack.com/services/T0/B0/x",
    "https://evil.example/hooks.slack.com/services/T0/B0/x",
    "https://discord.com/api/webhooks/abc/TOKEN",
    "https://discord.com/api/webhooks/1",
    "https://discord.com/channels/1/2",
    "https://discord.com.evil.example/api/webhooks/1/TOKEN",
    "https://notdiscord.com/api/webhooks/1/TOKEN",
    "https://logic.azure.com" + AZURE,
    "https://xlogic.azure.com" + AZURE,
    "https://prod.logic.azure.com.evil.example" + AZURE,
    "https://prod.logic.azure.com/workflows/ID/triggers/other/paths/invoke",
    "https://prod.api.powerplatform.com/x",
    "https://webhook.office.com/webhookb2/x",
    "https://evil.example/webhookb2/x?h=a.webhook.office.com",
    "https://api.telegram.org/",
    "https://api.telegram.org/bot/sendMessage",
    f"https://api.telegram.org/bot{TOKEN}/getMe",
    "https://chat.googleapis.com/v1/spaces/S",
    "https://open.feishu.cn/open-apis/bot/hook/0-1",
    "https://open.feishu.cn.evil.example/open-apis/bot/v2/hook/0-1",
    "https://oapi.dingtalk.com/robot/send/x",
    "https://evil.example/robot/send?access_token=T",
    "https://qyapi.weixin.qq.com/cgi-bin/message/send",
    "https://ntfy.sh/",
    "https://ntfy.sh/a/b",
    "https://x.ntfy.sh/topic",
    "https://events.pagerduty.com/v1/enqueue",
    "https://x.events.pagerduty.com/v2/enqueue",
    "https://api.opsgenie.com/v1/alerts",
    "https://api.us.opsgenie.com/v2/alerts",
    "https://api.pushover.net/1/users.json",
    f"https://mattermost.example.test/hooks/{HOOK}x",
    f"https://mattermost.example.test/hooks/{HOOK[1:]}",
    f"https://mattermost.example.test/x?y=/hooks/{HOOK}",
    "https://gotify.example.test/messages",
    "https://gotify.example.test/x?y=/message",
]


@pytest.mark.parametrize("url", MISSES)
def test_a_near_miss_is_no_vendors_url(url):
    assert match_url(parse_url(url)) is None


@pytest.mark.parametrize(
    ("kind", "url", "words"),
    [
        ("teams", "https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w", "retired"),
        ("teams", "https://prod.logic.azure.com" + AZURE, ""),
        ("opsgenie", "https://api.opsgenie.com/", "5 April 2027"),
        ("opsgenie", "https://own.example.test/", "5 April 2027"),
        ("discord", "https://discord.com/api/webhooks/1/abc/slack", "remove"),
        ("discord", "https://discord.com/api/webhooks/1/abc/github", "remove"),
        ("discord", "https://discord.com/api/webhooks/1/abc", ""),
        ("slack", FLOW, "declare"),
        ("slack", "https://hooks.slack.com/workflows/T0/A0/1/x", "declare"),
        ("slack", "https://hooks.slack.com/services/T0/B0/x", ""),
        ("ntfy", "https://ntfy.sh/topic", ""),
    ],
)
def test_what_is_retired_or_special_about_a_url_is_said(kind, url, words):
    warning = kinds()[kind].warn(parse_url(url))
    assert words in warning
    assert bool(words) == bool(warning)


# --- answers ----------------------------------------------------------------------------------------------------------

PAGE = "<!DOCTYPE html><html><body>Sign in</body></html>"
BROKEN = "Webhook message delivery failed with error"
ROWS = {
    "slack": [
        (200, "ok", "delivered"),
        (200, {"ok": True}, "delivered"),
        (200, "", "failed body"),
        (200, "OKAY", "failed body"),
        (200, "invalid_payload", "failed body"),
        (200, {}, "failed body"),
        (200, {"ok": False, "error": "invalid_auth"}, "failed body"),
        (200, {"ok": False}, "failed body"),
        (200, {"ok": 1}, "failed body"),
        (200, {"ok": "true"}, "failed body"),
        (200, {"error": "ok"}, "failed body"),
        (200, {"ok": False, "error": "ratelimited"}, "retry body"),
        (200, {"ok": False, "error": "no_service"}, "gone body"),
        (400, "invalid_payload", "failed"),
        (400, "no_text", "failed"),
        (400, "invalid_blocks", "failed"),
        (400, "invalid_token", "failed"),
        (403, "action_prohibited", "failed"),
        (404, "no_service", "gone"),
        (404, "no_team", "gone"),
        (404, "channel_not_found", "gone"),
        (404, "no_active_hooks", "gone"),
        (410, "channel_is_archived", "gone"),
        (500, "rollup_error", "retry"),
        (503, "", "retry"),
        (429, "", "retry 30", {"Retry-After": "30"}),
    ],
    "discord": [
        (204, "", "delivered"),
        (200, {"id": "1", "type": 0}, "delivered"),
        (200, {}, "failed body"),
        (200, "hello", "failed body"),
        (200, {"id": True}, "failed body"),
        (
            400,
            {"message": "Invalid Form Body", "code": 50035, "errors": {"embeds": ["0"]}},
            "failed",
        ),
        (400, {"code": 50006, "message": "Cannot send an empty message"}, "failed"),
        (401, {"code": 50027, "message": "Invalid Webhook Token"}, "failed"),
        (404, {"code": 10015, "message": "Unknown Webhook"}, "gone body"),
        (404, {"code": 0, "message": "404: Not Found"}, "failed"),
        (404, {"code": "10015"}, "failed"),
        (
            429,
            {"message": "Too many.", "retry_after": 0.376, "global": False},
            "retry 0.376",
            {"Retry-After": "1"},
        ),
        (429, {"retry_after": 64.5, "global": True}, "retry 64.5"),
        (429, {"retry_after": "soon"}, "retry 2", {"Retry-After": "2"}),
        (500, "", "retry"),
        (502, PAGE, "retry"),
    ],
    "teams": [
        (202, "", "accepted accepted"),
        (200, "", "accepted accepted"),
        (200, "1", "delivered"),
        (200, f"{BROKEN}: Microsoft Teams endpoint returned HTTP error 429", "retry body"),
        (200, f"{BROKEN}: Microsoft Teams endpoint returned HTTP error 503 with x", "retry body"),
        (200, f"{BROKEN}: Microsoft Teams endpoint returned HTTP error 403", "failed body"),
        (200, "Webhook message delivery failed", "failed body"),
        (400, {"error": {"code": "TriggerInputSchemaMismatch", "message": "x"}}, "failed"),
        (401, {"error": {"code": "DirectApiAuthorizationRequired"}}, "failed"),
        (404, {"error": {"code": "WorkflowNotFound"}}, "failed"),
        (410, "", "gone"),
        (413, "", "failed"),
        (429, "", "retry 20", {"Retry-After": "20"}),
        (502, "", "retry"),
    ],
    "telegram": [
        (200, {"ok": True, "result": {"message_id": 1}}, "delivered"),
        (200, {"ok": False, "error_code": 400, "description": "Bad Request"}, "failed body"),
        (
            200,
            {"ok": False, "error_code": 403, "description": "Forbidden: bot was kicked"},
            "gone body",
        ),
        (200, {"ok": False, "error_code": 429, "parameters": {"retry_after": 9}}, "retry body 9"),
        (200, {"ok": False, "error_code": 502}, "retry body"),
        (200, {"ok": False, "error_code": 200}, "failed body"),
        (200, {"ok": False}, "failed body"),
        (200, {"ok": 1}, "failed body"),
        (200, {"ok": "true"}, "failed body"),
        (200, "ok", "failed body"),
        (
            400,
            {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"},
            "failed",
        ),
        (
            400,
            {"ok": False, "error_code": 400, "parameters": {"migrate_to_chat_id": -1009876543210}},
            "failed",
        ),
        (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, "failed"),
        (
            403,
            {
                "ok": False,
                "error_code": 403,
                "description": "Forbidden: bot was blocked by the user",
            },
            "gone",
        ),
        (404, {"ok": False, "error_code": 404, "description": "Not Found"}, "failed"),
        (429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 14}}, "retry 14"),
        (429, {"ok": False, "parameters": 14}, "retry 3", {"Retry-After": "3"}),
        (500, {"ok": False, "error_code": 500}, "retry"),
    ],
    "mattermost": [
        (200, "ok", "delivered"),
        (200, "", "failed body"),
        (200, {"ok": True}, "failed body"),
        (
            400,
            {"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook"},
            "gone body",
        ),
        (400, {"id": "api.incoming_webhook.invalid.app_error"}, "gone body"),
        (404, {"id": "app.invalid_webhook.app_error"}, "gone body"),
        (
            400,
            {
                "id": "web.incoming_webhook.channel.app_error",
                "message": "Couldn't find the channel.",
            },
            "failed",
        ),
        (400, {"id": "web.incoming_webhook.parse.app_error"}, "failed"),
        (400, {"id": "api.incoming_webhook.invalid_username.app_error"}, "failed"),
        (403, {"id": "web.incoming_webhook.permissions.app_error"}, "failed"),
        (400, {"id": 7}, "failed"),
        (404, "404 page not found", "failed"),
        (429, "", "retry"),
        (500, {"id": "x"}, "retry"),
    ],
    "googlechat": [
        (200, {"name": "spaces/S/messages/M"}, "delivered"),
        (200, {}, "failed body"),
        (200, {"name": ""}, "failed body"),
        (200, {"name": True}, "failed body"),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "Message cannot be empty.",
                    "status": "INVALID_ARGUMENT",
                }
            },
            "failed",
        ),
        (401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, "failed"),
        (
            403,
            {"error": {"code": 403, "message": "No permission", "status": "PERMISSION_DENIED"}},
            "gone",
        ),
        (404, {"error": {"code": 404, "status": "NOT_FOUND"}}, "gone"),
        (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, "retry"),
        (503, {"error": {"status": "UNAVAILABLE"}}, "retry"),
    ],
    "feishu": [
        (
            200,
            {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"},
            "delivered",
        ),
        (200, {"code": 0}, "delivered"),
        (200, {"StatusCode": 0, "StatusMessage": "success"}, "delivered"),
        (200, {"StatusCode": 19001, "StatusMessage": "bad"}, "gone body"),
        (200, {"StatusCode": 0, "code": 19024, "msg": "Key Words Not Found"}, "failed body"),
        (
            200,
            {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"},
            "gone body",
        ),
        (200, {"code": 19002, "msg": "params error"}, "failed body"),
        (
            200,
            {
                "code": 19021,
                "msg": "sign match fail or timestamp is not within one hour from current time",
            },
            "failed body",
        ),
        (200, {"code": 19022, "msg": "Ip Not Allowed"}, "failed body"),
        (200, {"code": 19024, "msg": "Key Words Not Found"}, "failed body"),
        (200, {"code": 9499, "msg": "Bad Request"}, "failed body"),
        (200, {"code": 11232, "msg": "frequency limited"}, "retry body"),
        (200, {"code": 11232}, "retry body 5", {"Retry-After": "5"}),
        (200, {"code": "0"}, "failed body"),
        (200, {"code": False}, "failed body"),
        (200, {"code": None}, "failed body"),
        (200, {}, "failed body"),
        (200, "", "failed body"),
        (200, [], "failed body"),
        (400, {"code": 9499, "msg": "Bad Request"}, "failed"),
        (400, {"code": 11232, "msg": "frequency limited"}, "retry body"),
        (400, {"code": 19001}, "gone body"),
        (404, "", "failed"),
        (429, "", "retry"),
        (500, {"code": 0}, "retry"),
    ],
    "dingtalk": [
        (200, {"errcode": 0, "errmsg": "ok"}, "delivered"),
        (200, {"errcode": 310000, "errmsg": "keywords not in content"}, "failed body"),
        (200, {"errcode": 310000, "errmsg": "sign not match"}, "failed body"),
        (200, {"errcode": 310000, "errmsg": "ip 1.2.3.4 not in whitelist"}, "failed body"),
        (200, {"errcode": 130101, "errmsg": "send too fast"}, "retry body 600"),
        (200, {"errcode": 130101}, "retry body 600", {"Retry-After": "1"}),
        (200, {"errcode": 300001, "errmsg": "token is not exist"}, "gone body"),
        (200, {"errcode": 40035, "errmsg": "param error"}, "failed body"),
        (200, {"errcode": "0"}, "failed body"),
        (200, {"errcode": False}, "failed body"),
        (200, {"errcode": 0.5}, "failed body"),
        (200, {"errmsg": "ok"}, "failed body"),
        (400, "", "failed"),
        (429, {"errcode": 130101}, "retry body 600"),
        (503, "", "retry"),
    ],
    "wecom": [
        (200, {"errcode": 0, "errmsg": "ok"}, "delivered"),
        (
            200,
            {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"},
            "failed body",
        ),
        (200, {"errcode": 93000, "errmsg": "invalid webhook url"}, "gone body"),
        (200, {"errcode": 45009, "errmsg": "api freq out of limit"}, "retry body 60"),
        (200, {"errcode": 1, "errmsg": "x"}, "failed body"),
        (200, {"errcode": "93000"}, "failed body"),
        (200, {"errcode": [0]}, "failed body"),
        (200, "ok", "failed body"),
        (404, "", "failed"),
        (500, "", "retry"),
    ],
    "ntfy": [
        (200, {"id": "sPs71M8A2T", "event": "message"}, "delivered"),
        (200, {"event": "message"}, "failed body"),
        (200, {"id": ""}, "failed body"),
        (200, "", "failed body"),
        (400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"}, "failed"),
        (401, {"code": 40101, "http": 401, "error": "unauthorized"}, "failed"),
        (403, {"code": 40301, "http": 403, "error": "forbidden"}, "failed"),
        (413, {"code": 41301}, "failed"),
        (429, {"code": 42901, "http": 429, "error": "limit reached"}, "retry"),
        (507, {"code": 50701}, "retry"),
    ],
    "gotify": [
        (200, {"id": 25, "message": "x"}, "delivered"),
        (200, {"message": "x"}, "failed body"),
        (200, {"id": None}, "failed body"),
        (200, {"id": True}, "failed body"),
        (400, {"error": "Bad Request", "errorCode": 400, "errorDescription": "x"}, "failed"),
        (
            401,
            {
                "error": "Unauthorized",
                "errorCode": 401,
                "errorDescription": "no valid access token",
            },
            "failed",
        ),
        (403, {"error": "Forbidden", "errorCode": 403}, "failed"),
        (404, "", "failed"),
        (429, "", "retry"),
        (500, "", "retry"),
    ],
    "pagerduty": [
        (
            202,
            {"status": "success", "message": "Event processed", "dedup_key": "x"},
            "accepted accepted",
        ),
        (202, {"status": "invalid event"}, "failed body"),
        (202, {}, "failed body"),
        (202, "", "failed body"),
        (202, {"status": ["success"]}, "failed body"),
        (
            400,
            {
                "status": "invalid event",
                "message": "Invalid",
                "errors": ["Length of 'routing_key'"],
            },
            "failed",
        ),
        (403, "", "failed"),
        (429, "", "retry"),
        (500, "", "retry"),
        (503, "", "retry"),
    ],
    "opsgenie": [
        (
            202,
            {"result": "Request will be processed", "took": 0.1, "requestId": "43a29c5c"},
            "accepted accepted",
        ),
        (202, {"result": "x"}, "failed body"),
        (202, {"requestId": None}, "failed body"),
        (202, "", "failed body"),
        (400, {"message": "Message can not be empty.", "took": 0.0, "requestId": "x"}, "failed"),
        (401, {"message": "Could not authenticate"}, "failed"),
        (403, {"message": "You are not authorized"}, "failed"),
        (
            422,
            {
                "message": "Request body is not processable",
                "errors": {"message": "Message can not be empty."},
            },
            "failed",
        ),
        (429, {"message": "You are making too many requests!"}, "retry"),
        (500, "", "retry"),
        (503, "", "retry"),
    ],
    "pushover": [
        (200, {"status": 1, "request": "x"}, "delivered"),
        (200, {"status": 0, "errors": ["application token is invalid"]}, "failed body"),
        (200, {"status": True}, "failed body"),
        (200, {"status": "1"}, "failed body"),
        (200, {}, "failed body"),
        (400, {"status": 0, "user": "invalid", "errors": ["user identifier is invalid"]}, "failed"),
        (429, {"status": 0, "errors": ["application is over its quota"]}, "failed"),
        (408, "", "failed"),
        (410, "", "failed"),
        (500, "", "retry"),
        (503, "", "retry 8", {"Retry-After": "8"}),
    ],
    "alertmanager": [
        (200, "", "delivered"),
        (400, '"invalid label set: invalid name \\"\\""', "failed"),
        (422, "", "failed"),
        (500, '"storage"', "retry"),
        (410, "", "gone"),
    ],
    "webhook": [
        (200, "", "delivered"),
        (201, "made", "delivered"),
        (202, {"code": 1}, "delivered"),
        (204, "", "delivered"),
        (200, PAGE, "delivered"),
        (400, "", "failed"),
        (404, "", "failed"),
        (408, "", "retry"),
        (410, "", "gone"),
        (425, "", "retry"),
        (429, "", "retry"),
        (500, "", "retry"),
        (503, "", "retry 120", {"Retry-After": "120"}),
    ],
}
PAGES = [
    PAGE,
    "<html>proxy login</html>",
    " \n<!-- x --><!-- y -->\n<HTML>",
    "\ufeff<?xml version='1.0'?><html xmlns='x'>",
    "<head>",
]
BY_BODY = [kind for kind in NEW if kind != "custom"]


def answer_of(status, body, headers=None):
    """The answer with this body, JSON unless it is a text."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(status, tuple((headers or {}).items()), text.encode())


@pytest.mark.parametrize(
    ("host", "text", "verdict", "reason"),
    [
        ("acme.webhook.office.com", "1", "delivered", "ok"),
        ("acme.webhook.office.com", "", "failed", "body_says_error"),
        (
            "acme.webhook.office.com",
            "Bad payload received by generic incoming webhook.",
            "failed",
            "body_says_error",
        ),
        ("prod-00.westeurope.logic.azure.com", "", "accepted", "accepted"),
        ("prod-00.westeurope.logic.azure.com", "queued", "accepted", "accepted"),
        ("teams.proxy.example", "1", "delivered", "ok"),
    ],
)
def test_a_retired_connector_of_teams_must_say_exactly_1(host, text, verdict, reason):
    assert judged("teams", replace(answer_of(200, text), host=host))[:2] == (verdict, reason)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("telegram", 403), ("slack", 404), ("googlechat", 403), ("googlechat", 404)],
)
def test_a_page_of_a_proxy_does_not_say_that_a_hook_is_gone(kind, status):
    page = answer_of(status, "<!doctype html><h1>Blocked by the company's proxy</h1>")
    assert judged(kind, page)[:3] == ("failed", "http_status", "proxy")


def judged(kind, answer):
    """Verdict, reason, actor and wait, as `delivery.classify` makes them of the kind's judgement."""
    judgement = kinds()[kind].judge(answer)
    row = REASONS[judgement.reason]
    verdict = judgement.verdict or row.verdict
    wait = (
        retry_after(answer.values("Retry-After"), AT / 1000, judgement.retry_after)
        if verdict == "retry"
        else None
    )
    return verdict, judgement.reason, judgement.actor or row.actor, wait


REASON = {"body": "body_says_error", "accepted": "accepted"}


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected", "headers"),
    [
        (kind, *row[:3], row[3] if len(row) > 3 else {})
        for kind, rows in ROWS.items()
        for row in rows
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_an_answer_means_what_the_vendor_says_it_means(kind, status, body, expected, headers):
    verdict, *more = expected.split()
    reason = next(
        (REASON[one] for one in more if one in REASON),
        "ok" if verdict == "delivered" else "http_status",
    )
    wait = next((float(one) for one in more if one[0].isdigit()), None)
    assert judged(kind, answer_of(status, body, headers)) == (verdict, reason, "receiver", wait)


def test_the_table_of_answers_has_rows_for_every_kind():
    assert set(ROWS) == {*NEW, "alertmanager", "webhook"}
    assert sum(map(len, ROWS.values())) >= 140


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", [*BY_BODY, "alertmanager"])
def test_a_page_with_a_200_was_answered_by_something_else(kind, page):
    assert judged(kind, answer_of(200, page)) == ("failed", "body_says_error", "proxy", None)
    part = answer_of(200, "<div>Sign in</div>", {"Content-Type": "text/html; charset=utf-8"})
    assert judged(kind, part)[:3] == ("failed", "body_says_error", "proxy")


def test_ok_is_ok_whatever_content_type_it_claims():
    assert judged("slack", answer_of(200, "ok", {"Content-Type": "text/html"}))[0] == "delivered"
    assert judged("mattermost", answer_of(200, "ok\n"))[0] == "delivered"


def test_a_comment_without_end_costs_no_time():
    text = ("<!--" * 4000 + "<!---->" * 4000)[: 16 * 1024]
    assert not answer_of(200, text).is_page
    assert not answer_of(200, "<!---->" * 2300).is_page


@pytest.mark.parametrize("kind", BY_BODY)
def test_a_body_that_decides_but_was_not_read_to_its_end_is_tried_again(kind):
    assert kinds()[kind].judge(Response(200, (), b'{"id', cut=True)) == Judgement(
        "too_large", verdict="retry"
    )
    assert (
        kinds()[kind].judge(Response(200, (), b"", broken="timeout_total")).reason
        == "timeout_total"
    )
    assert kinds()[kind].judge(Response(200, (), b"", undecodable=True)).reason == "protocol_error"


@pytest.mark.parametrize(
    ("kind", "status", "body", "words"),
    [
        ("slack", 200, {"ok": False, "error": "invalid_auth"}, "invalid_auth"),
        ("slack", 404, "no_service", "no_service"),
        (
            "discord",
            400,
            {"code": 50035, "message": "Bad", "errors": {"x": ["y"]}},
            '50035: Bad: ["y"]',
        ),
        (
            "telegram",
            403,
            {"error_code": 403, "description": "Forbidden: kicked"},
            "403: Forbidden: kicked",
        ),
        ("mattermost", 400, {"id": "a.b", "message": "No."}, "a.b: No."),
        (
            "googlechat",
            403,
            {"error": {"code": 403, "message": "No.", "status": "DENIED"}},
            "403: No.: DENIED",
        ),
        ("feishu", 200, {"code": 19021, "msg": "sign match fail"}, "19021: sign match fail"),
        ("dingtalk", 200, {"errcode": 310000, "errmsg": "keywords"}, "310000: keywords"),
        ("wecom", 200, {"errcode": 40058, "errmsg": "too long"}, "40058: too long"),
        ("ntfy", 403, {"code": 40301, "error": "forbidden"}, "40301: forbidden"),
        ("pagerduty", 400, {"message": "Invalid", "errors": ["a", "b"]}, "Invalid: a: b"),
        ("opsgenie", 422, {"message": "No.", "errors": {"message": "empty"}}, "No.: empty"),
        ("pushover", 400, {"status": 0, "errors": ["user is invalid"]}, "user is invalid"),
        (
            "gotify",
            401,
            {"error": "Unauthorized", "errorDescription": "token"},
            "Unauthorized: token",
        ),
        ("teams", 200, "Webhook message delivery failed: x", "Webhook message delivery failed: x"),
        ("wecom", 200, "", "it does not say that it took the message"),
    ],
)
def test_the_detail_is_the_vendors_own_words_with_its_code(kind, status, body, words):
    assert kinds()[kind].judge(answer_of(status, body)).detail == words


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared examples are not beside this checkout")
def test_every_example_answer_is_judged_as_expected():
    files = sorted((SHARED / "responses").glob("*.json"))
    assert files
    for file in files:
        row = json.loads(file.read_text())
        raw = row["kind"] == "alertmanager"
        answer = answer_of(
            row["status"], json.dumps(row["body"]) if raw else row["body"], row["headers"]
        )
        if row["status"] == 302:  # which no kind is asked about
            continue
        verdict, _, actor, wait = judged(row["kind"], answer)
        assert verdict == row["expect"]["verdict"], file.name
        assert wait == row["expect"].get("retry_after_s"), file.name
        assert actor == row["expect"].get("actor", "receiver"), file.name


EXAMPLES = {
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
# What the examples say besides: of their own app, or where ours says it otherwise.
OURS = {
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


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared examples are not beside this checkout")
@pytest.mark.parametrize("file", EXAMPLES)
def test_a_message_has_every_part_of_the_example_with_the_same_types(file):
    example = json.loads((SHARED / f"{file}.json").read_text())["body"]
    absent = sorted(missing(example, body_of(EXAMPLES[file])))
    allowed = {
        "payload/component",
        "payload/group",
        "payload/class",
        "payload/custom_details/p99_ms",
        "client_url",
    }
    allowed |= {"payload/custom_details/limit_ms", "cardsV2/card/header/subtitle"}
    assert [one for one in absent if one not in allowed and not OURS & set(one.split("/"))] == []


def missing(example, body, path=""):
    """Where the body lacks a part of the example, or has another type there (an id may be a number or a text)."""
    if isinstance(example, dict) and isinstance(body, dict):
        for name, part in example.items():
            here = f"{path}/{name}".strip("/")
            yield from missing(part, body[name], here) if name in body else [here]
    elif isinstance(example, list) and isinstance(body, list):
        for one, other in zip(example, body, strict=False):
            yield from missing(one, other, path)
    elif type(example) is not type(body) and not path.endswith("chat_id"):
        yield path


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_a_group_that_became_a_supergroup_gets_its_new_id(status):
    answer = answer_of(status, {"ok": False, "parameters": {"migrate_to_chat_id": -1009876543210}})
    assert kinds()["telegram"].suggest_fix(answer, Settings()) == SuggestedFix(
        "Use the new chat id", {"options-chat_id": "-1009876543210"}
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        [],
        {},
        {"parameters": 7},
        {"parameters": {"migrate_to_chat_id": True}},
        {"parameters": {}},
    ],
)
def test_an_answer_without_a_new_id_repairs_nothing(body):
    assert kinds()["telegram"].suggest_fix(answer_of(400, body), Settings()) is None


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("https://ntfy.sh/ops", "ops"),
        ("http://127.0.0.1:8080/ops_1-x", "ops_1-x"),
        ("https://ntfy.sh/", None),
        ("https://ntfy.sh/a/b", None),
        ("https://ntfy.sh/" + "x" * 65, None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_an_ntfy_topic_in_the_url_is_split_off(url, topic):
    for status in (200, 400, 500):
        repair = kinds()["ntfy"].suggest_fix(answer_of(status, "{}"), Settings(url=url))
        origin = url.rsplit("/", 1)[0]
        assert repair == (
            SuggestedFix("Split the topic off", {"url": origin, "options-topic": topic})
            if topic
            else None
        )


# --- limits and totality ----------------------------------------------------------------------------------------------

MEASURES = {"characters": utf16_length, "bytes": utf8_length}
LIMITS = {
    "slack": {("text", 4000), ("title", 1024)},
    "discord": {
        ("title", 256),
        ("description", 4096),
        ("name", 256),
        ("value", 1024),
        ("embeds", 6000),
    },
    "teams": {("body", 28_000)},
    "telegram": {("text", 4096)},
    "mattermost": {("text", 16_383)},
    "googlechat": {("text", 4096), ("body", 32_000)},
    "feishu": {("body", 20_000)},
    "dingtalk": {("body", 20_000)},
    "wecom": {("content", 4096)},
    "ntfy": {("message", 4096), ("title", 250)},
    "pagerduty": {("summary", 1024), ("dedup_key", 255), ("body", 512_000)},
    "opsgenie": {("message", 130), ("alias", 512), ("description", 15_000)},
    "pushover": {("message", 1024), ("title", 250), ("url", 512)},
    "gotify": set(),
}


def members(value, name=""):
    """Every text of a message with the name it stands under."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from members(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from members(one, name)
    elif isinstance(value, str):
        yield name, value


def keep_limits(kind, message):
    """Fails unless the message is strict JSON and no part of it is longer than its vendor takes."""
    text = message.body.decode("utf-8")
    body = json.loads(text, parse_constant=pytest.fail)
    texts = [*members(body), ("body", text)]
    for embed in body.get("embeds", []):
        parts = [embed["title"], embed.get("description", "")]
        parts += [part[key] for part in embed.get("fields", []) for key in ("name", "value")]
        texts.append(("embeds", "".join(parts)))
        assert len(embed.get("fields", [])) <= 25
        assert all(part["name"] and part["value"] for part in embed.get("fields", []))
    for limit in kinds()[kind].limits:
        longest = max(
            (MEASURES[limit.unit](one) for name, one in texts if name == limit.part), default=0
        )
        assert longest <= limit.most, (kind, limit, longest)
    for name, one in texts:
        assert name == "body" or not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", one), (kind, name)


def test_the_limits_are_those_of_the_contract():
    assert {kind: {(one.part, one.most) for one in kinds()[kind].limits} for kind in NEW} == LIMITS
    in_bytes = {
        (kind, one.part) for kind in NEW for one in kinds()[kind].limits if one.unit == "bytes"
    }
    assert in_bytes == {
        (kind, "body") for kind in ("teams", "googlechat", "feishu", "dingtalk", "pagerduty")
    } | {
        ("wecom", "content"),
        ("ntfy", "message"),
    }


@pytest.mark.parametrize(
    "letter",
    ["x", "é", "語", "🔔", '"', "\\", "\n", "<", "&", "*", "@", "\x01", "\u2028", " x", "👩‍👩‍👧"],
)
@pytest.mark.parametrize("kind", NEW)
def test_the_hugest_alert_of_any_letter_keeps_every_limit_and_shows_that_it_was_cut(kind, letter):
    big = letter * 20_000
    parts = {
        "name": big,
        "labels": {f"{letter * 700}{one}": letter * 2000 for one in range(30)},
        "annotations": {"summary": big},
    }
    for url, closed in (
        (LINK, True),
        ("https://h.example/" + "&" * 2000, False),
        ("https://h.example/?" + "x" * 2000, False),
    ):
        message = message_of(kind, {**parts, "id": big, "url": url}, closed=closed)
        keep_limits(kind, message)
    if letter.strip() and letter != "\x01" and kind not in ("pagerduty",):
        assert MARK in message.body.decode()


@pytest.mark.parametrize("kind", NEW)
def test_the_alerts_of_a_preview_keep_every_limit(kind):
    for alert in samples(AT, LINK).values():
        settings = Settings(kind=kind, url="https://own.example.test/x")
        keep_limits(kind, build(settings, Event(alert, 1, AT)))


def test_facts_of_discord_get_what_room_the_description_leaves():
    parts = {
        "name": "x",
        "labels": {f"l{one:02}": "y" * 500 for one in range(20)},
        "annotations": {"summary": "z" * 9000},
    }
    [embed] = body_of("discord", parts)["embeds"]
    assert utf16_length(embed["description"]) == 4096
    assert len(embed["fields"]) == 4
    assert embed["fields"][0]["value"] == "y" * 500
    assert embed["fields"][-1]["value"].endswith(MARK)


_pieces = st.sampled_from(
    [
        "a",
        '"',
        "\\",
        "\n",
        "\r\n",
        "\x00",
        "\x1b",
        "🔔",
        "é",
        "語",
        "<",
        "&",
        "*",
        "@",
        "]",
        "\ud800",
        "\u202e",
        " ",
    ]
)
_texts = st.builds(
    lambda parts, times: "".join(parts) * times,
    st.lists(_pieces, max_size=8),
    st.sampled_from([1, 1, 1, 9, 999]),
)
_wrong = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.lists(_texts, max_size=2), _texts
)
_pairs = st.one_of(st.dictionaries(_texts, _wrong, max_size=24), _wrong)
_urls = st.one_of(_wrong, st.builds("https://h.example/{}".format, _texts))
_alerts = st.one_of(
    _wrong,
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("id", "name", "starts_at", "ends_at", "type"), _wrong),
            **dict.fromkeys(("labels", "annotations"), _pairs),
            "annotations": st.one_of(_pairs, st.fixed_dictionaries({"summary": _texts})),
            "status": st.sampled_from(["open", "closed", 7]),
            "url": _urls,
        },
    ),
)


@budget(deadline=None, max_examples=60)
@given(_alerts, st.one_of(st.just(AT), st.integers(), st.just(10**5000), st.just(-(10**5000))))
def test_no_alert_and_no_time_breaks_a_message_or_a_limit(parts, at):
    for kind in NEW:
        keep_limits(
            kind, message_of(kind, parts, at=at, **{one.name: "x" for one in kinds()[kind].options})
        )
    keep_limits("slack", message_of("slack", parts, at=at, url=FLOW))


_any_text = st.text(st.characters(exclude_categories=[]), max_size=12)
_urls_any = st.one_of(
    _any_text,
    st.builds("https://h.example/{}".format, st.text("a/b?&=%:.botsendMessage", max_size=30)),
)


@budget(deadline=None, max_examples=60)
@given(
    _urls_any,
    _any_text,
    st.dictionaries(
        st.sampled_from(sorted(OPTIONS) + ["secret", "device"]), _any_text, max_size=13
    ),
)
def test_no_stored_setting_breaks_a_kind(url, text, options):
    rows = tuple(Header(name, value, True) for name, value in options.items())
    for kind in NEW:
        settings = Settings(kind=kind, url=url, auth=text, payload=text, body=text, options=rows)
        known, event = kinds()[kind], Event(Alert.read(LATENCY), 1, AT)
        assert json.loads(known.body(settings, event).encode("utf-8", "replace"))
        assert isinstance(known.headers(settings), list)
        known.suggest_fix(answer_of(200, "{}"), settings)
        for target in (settings.target, parse_url("https://h.example/x")):
            if target:
                assert known.complete_url(target, settings, event).url.startswith(target.origin)
                assert isinstance(known.warn(target), str)
                known.match_url(target)


_NAMES = [
    "ok",
    "error",
    "id",
    "code",
    "StatusCode",
    "errcode",
    "errmsg",
    "msg",
    "message",
    "errors",
    "status",
    "requestId",
]
_NAMES += ["name", "parameters", "retry_after", "error_code"]
_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        _any_text,
        st.sampled_from([0, 1, 403, 10015, 19001, 45009]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(_NAMES), _any_text), inner, max_size=4),
    ),
    max_leaves=8,
)
_bodies = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from(_NAMES), _json, max_size=6).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [
            b"ok",
            b"1",
            b"[" * 16_000,
            b'{"code":' + b"9" * 5000 + b"}",
            b'{"code": NaN}',
            b'{"id": 1e999}',
            b"\xff\xfe{",
        ]
    ),
)


@budget(deadline=None, max_examples=250)
@given(
    st.sampled_from([200, 202, 204, 299, 400, 403, 404, 410, 429, 500, 503, 599, 999]),
    _bodies,
    st.booleans(),
)
def test_no_answer_breaks_a_judgement(status, body, truncate):
    answer = Response(status, (("Content-Type", "application/json"),), body, truncate)
    for kind in NEW:
        verdict, reason, _, _ = judged(kind, answer)
        assert isinstance(kinds()[kind].judge(answer).detail, str)
        assert (verdict in ("delivered", "accepted")) <= (
            answer.good and reason in ("ok", "accepted")
        )
        kinds()[kind].suggest_fix(answer, Settings(url="https://ntfy.sh/x"))


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("escape", [str, escape_html, escape_markdown, break_mentions])
@pytest.mark.parametrize("measure", [utf16_length, utf8_length, json_length])
@budget(deadline=None, max_examples=30)
@given(_texts, st.integers(-3, 40))
def test_a_cut_text_is_never_too_long_and_never_ends_inside_an_escape(escape, measure, text, most):
    text = text.replace("\ud800", "?")
    shown = truncate(text, most, measure, escape)
    assert measure(shown) <= max(most, 0)
    if shown.endswith(MARK):
        assert escape(text).startswith(shown.removesuffix(MARK))
    else:
        assert shown in ("", escape(text))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((None, "", [], {}), ""),
        ((19001, "bad"), "19001: bad"),
        ((["a", None, "b"],), "a: b"),
        (({"x": "a", "y": ["b"]},), 'a: ["b"]'),
        ((True, 1.5), "true: 1.5"),
    ],
)
def test_what_a_vendor_says_is_one_text(parts, text):
    assert error_text(*parts) == text


def test_statuses_that_mean_gone_are_the_vendors_own():
    judge = judge_by_body(lambda _answer: Judgement("http_status", verdict="failed"), gone=(403,))
    assert judge(Response(403, ())).verdict == "gone"
    assert judge(Response(404, ())).verdict == "failed"


# --- pages ------------------------------------------------------------------------------------------------------------


def docs():
    """The script that writes docs/kinds/."""
    spec = importlib.util.spec_from_file_location("docs_kinds", ROOT / "docs" / "kinds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_kind_has_an_up_to_date_page_and_no_page_is_left_over():
    script, folder = docs(), ROOT / "docs" / "kinds"
    assert {file.name for file in folder.iterdir()} == {f"{name}.md" for name in kinds()}
    for name, kind in kinds().items():
        assert (folder / f"{name}.md").read_text(encoding="utf-8") == script.page(kind), (
            f"run `make kinds` for {name}"
        )


def test_the_kind_of_the_guide_works_as_one_new_file(tmp_path, monkeypatch):
    guide = (ROOT / "docs" / "adding-a-kind.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(\"\"\".*?)```", guide, re.S)
    name = re.search(r'name="(\w+)"', code)[1]
    assert len(code.splitlines()) < 90
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(delivery.kinds, "__path__", [*delivery.kinds.__path__, str(tmp_path)])
    kinds.cache_clear()
    try:
        kind = kinds()[name]
        url = "https://chat.example.test/hooks/" + "a1b2c3d4e5f6g7h8i" + "/x"
        for closed in (False, True):
            body = body_of(name, url=url, closed=closed)
            assert ("RESOLVED" if closed else "FIRING") in json.dumps(body)
        keep_limits(name, message_of(name, {"name": "x" * 99_999}, url=url))
        assert judged(name, answer_of(200, {"success": True}))[0] == "delivered"
        assert judged(name, answer_of(200, {"success": False, "error": "no"}))[0] == "failed"
        assert judged(name, answer_of(200, PAGE))[2] == "proxy"
        assert kind.docs
        assert "#" in docs().page(kind)
    finally:
        kinds.cache_clear()
        sys.modules.pop(f"delivery.kinds.{name}", None)
        if hasattr(delivery.kinds, name):
            delattr(delivery.kinds, name)
