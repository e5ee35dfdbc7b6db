"""The limits of the vendors: no alert, however large or strange, exceeds one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_support import (
    AT,
    LINK,
    VENDOR_KINDS,
    WORKFLOW_URL,
    assert_within_limits,
    body_of,
    message_of,
)

from delivery.alerts.samples import samples
from delivery.escaping import (
    break_markdown,
    break_mentions,
    escape_html,
    escape_lark,
    escape_markdown,
    escape_mattermost,
)
from delivery.event import Event
from delivery.kinds import kinds
from delivery.message import build
from delivery.settings import Settings
from delivery.text import MARK, json_length, truncate, utf8_length, utf16_length

LIMITS = {
    "slack": {("text", 4000), ("header", 150), ("section", 3000)},
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
IN_BYTES = {
    ("teams", "body"),
    ("googlechat", "body"),
    ("feishu", "body"),
    ("dingtalk", "body"),
    ("pagerduty", "body"),
    ("wecom", "content"),
    ("ntfy", "message"),
}


def test_the_limits_are_those_of_the_contract():
    for kind in VENDOR_KINDS:
        limits = kinds()[kind].limits
        assert {(limit.part, limit.maximum) for limit in limits} == LIMITS[kind]
        in_bytes = {(kind, limit.part) for limit in limits if limit.unit == "bytes"}
        assert in_bytes == {part for part in IN_BYTES if part[0] == kind}


@pytest.mark.parametrize(
    "letter",
    ["x", "é", "語", "🔔", '"', "\\", "\n", "<", "&", "*", "@", "\x01", "\u2028", " x", "👩‍👩‍👧"],
)
@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_a_huge_alert_of_any_letter_keeps_every_limit_and_is_marked_as_cut(kind, letter):
    big = letter * 20_000
    parts = {
        "name": big,
        "labels": {f"{letter * 700}{number}": letter * 2000 for number in range(30)},
        "annotations": {"summary": big},
    }
    for url, closed in (
        (LINK, True),
        ("https://h.example/" + "&" * 2000, False),
        ("https://h.example/?" + "x" * 2000, False),
    ):
        message = message_of(kind, {**parts, "id": big, "url": url}, closed=closed)
        assert_within_limits(kind, message)
    if letter.strip() and letter != "\x01" and kind not in ("pagerduty",):
        assert MARK in message.body.decode()


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_the_sample_alerts_keep_every_limit(kind):
    for alert in samples(AT, LINK).values():
        channel = Settings(kind=kind, url="https://own.example.test/x")
        assert_within_limits(kind, build(channel, Event(alert, 1, AT)))


def test_discords_description_uses_the_room_that_the_fields_leave():
    parts = {
        "name": "x",
        "labels": {f"l{number:02}": "y" * 500 for number in range(20)},
        "annotations": {"summary": "s", "description": "z" * 9000},
    }
    [embed] = body_of("discord", parts)["embeds"]
    facts = [field for field in embed["fields"] if field["inline"]]
    lengths = [utf16_length(field["name"] + field["value"]) for field in embed["fields"]]
    assert len(facts) > 5
    assert facts[-1]["value"] == f"and {20 - len(facts) + 1} more"
    total = utf16_length(embed["title"] + embed["description"]) + sum(lengths)
    assert 5300 < total <= 6000


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


@settings(deadline=None, max_examples=60)
@given(_alerts, st.one_of(st.just(AT), st.integers(), st.just(10**5000), st.just(-(10**5000))))
def test_no_alert_and_no_time_breaks_a_message_or_a_limit(parts, at):
    for kind in VENDOR_KINDS:
        options = {option.name: "x" for option in kinds()[kind].options}
        assert_within_limits(kind, message_of(kind, parts, at=at, **options))
    assert_within_limits("slack", message_of("slack", parts, at=at, url=WORKFLOW_URL))


@pytest.mark.parametrize(
    "escape",
    [
        str,
        escape_html,
        escape_markdown,
        escape_mattermost,
        escape_lark,
        break_markdown,
        break_mentions,
    ],
)
@pytest.mark.parametrize("measure", [utf16_length, utf8_length, json_length])
@settings(deadline=None, max_examples=30)
@given(_texts, st.integers(-3, 40))
def test_a_truncated_text_fits_and_never_ends_inside_an_escape(escape, measure, text, max_length):
    text = text.replace("\ud800", "?")
    cut = truncate(text, max_length, measure, escape)
    assert measure(cut) <= max(max_length, 0)
    if cut.endswith(MARK):
        kept = {escape(text[:end].rstrip()) for end in range(min(len(text), 40) + 1)}
        assert cut.removesuffix(MARK) in kept
    else:
        assert cut in ("", escape(text))
