"""Discord's messages: a text for the notification, and one embed."""

import pytest
from alert_samples import (
    BERLIN,
    FIRST_YEAR,
    HOSTILE,
    HUGE,
    IN_TOCSIN,
    LAG,
    LAST_YEAR,
    MANY_URLS,
    MINIMAL,
    PROMETHEUS,
    RUNBOOK,
    body_about,
    body_about_group,
)
from kind_support import LATENCY

from delivery.text import MARK, utf16_length

TITLE = "CRITICAL PostgresReplicationLag · db-2.prod:9187"
IN_TOCSIN_LINK = f"[Open in Tocsin]({IN_TOCSIN})"
RED = 0xD0342C
GREEN = 0x2E8540
SUPPRESS_NOTIFICATIONS = 4096


def message(content, **embed):
    embed["footer"] = {"text": "Tocsin"}
    return {"content": content, "allowed_mentions": {"parse": []}, "embeds": [embed]}


def fact(name, value):
    return {"name": name, "value": value, "inline": True}


def line(name, value):
    return {"name": name, "value": value, "inline": False}


def fields_of(body):
    return {field["name"]: field["value"] for field in body["embeds"][0]["fields"]}


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("discord", LAG, **BERLIN) == message(
        TITLE,
        title="PostgresReplicationLag",
        url=PROMETHEUS,
        description="Replication lag is 48 s & rising\n\n"
        "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&y=2 first.",
        color=RED,
        timestamp="2026-03-02T09:03:00.120Z",
        fields=[
            fact("value", "48.2"),
            fact("namespace", "data"),
            fact("team", "db_core"),
            line("Started", "<t:1772442180:f> (<t:1772442180:R>)"),
            line("Links", f"[Source]({PROMETHEUS}) · [Runbook]({RUNBOOK}) · {IN_TOCSIN_LINK}"),
        ],
    )


def test_a_resolution_is_short_green_and_silent():
    body = body_about("discord", LAG, closed=True)
    assert body.pop("flags") == SUPPRESS_NOTIFICATIONS
    assert body == message(
        "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187",
        title="PostgresReplicationLag",
        url=PROMETHEUS,
        description="Was critical: Replication lag is 48 s & rising",
        color=GREEN,
        timestamp="2026-03-02T09:15:00.120Z",
        fields=[
            line("Started", "<t:1772442180:f>, ended <t:1772442900:f>"),
            line("Links", f"[Source]({PROMETHEUS})"),
        ],
    )


def test_an_alert_with_only_a_name_has_no_empty_part():
    assert body_about("discord", MINIMAL) == message("FIRING DiskFull", title="DiskFull", color=RED)


def test_a_group_has_a_line_for_each_alert():
    url = "https://tocsin.example/alerts"
    assert body_about_group("discord", closed=1) == message(
        "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu",
        title="DiskFull",
        url=url,
        description="CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1",
        color=RED,
        fields=[line("Links", f"[Open in Tocsin]({url})")],
    )
    [embed] = body_about_group("discord", count=500)["embeds"]
    assert embed["description"].splitlines()[-1].startswith("and ")
    assert utf16_length(embed["description"]) <= 4096


def test_a_hostile_text_causes_no_mention_no_markup_and_no_link():
    body = body_about("discord", HOSTILE)
    escaped = (
        "\\<!channel> \\<@U1> @everyone \\</b> \\&amp; \\*x\\* \\_y\\_ \\`z\\` "
        "[a]\\(https://evil.example) \\ | > q"
    )
    [embed] = body["embeds"]
    assert body["content"] == f"WARNING {escaped} RESOLVED · {escaped}"
    assert body["allowed_mentions"] == {"parse": []}
    assert embed["title"] == f"{escaped} RESOLVED"
    assert embed["description"] == f"{escaped}\n\n\\# {escaped}\n\\- b\n\u202e{escaped}"
    assert "url" not in embed
    assert embed["fields"][:2] == [
        fact(escaped, f"{escaped} severity: info"),
        fact("link", "javascript:alert(1)"),
    ]
    assert [field["name"] for field in embed["fields"][2:]] == ["Started"]


def embed_length(embed):
    """Return the length that Discord limits to 6,000 characters."""
    texts = [embed["title"], embed.get("description", ""), embed["footer"]["text"]]
    texts += [field[key] for field in embed["fields"] for key in ("name", "value")]
    return sum(map(utf16_length, texts))


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_keeps_the_limits_of_the_embed(parts):
    body = body_about("discord", parts)
    [embed] = body["embeds"]
    names = [field["name"] for field in embed["fields"]]
    assert utf16_length(body["content"]) <= 2000
    assert utf16_length(embed["title"]) == 256
    assert embed["description"].endswith(MARK)
    assert 5000 < embed_length(embed) <= 6000
    assert names[:3] == ["pod", "namespace", "label_000"]
    assert names[-3:] == ["Facts", "Started", "Links"]
    assert len(names) <= 25
    shown = len(names) - 3
    assert fields_of(body)["Facts"] == f"and {192 - shown} more"
    for name in ("Source", "Runbook", "Open in Tocsin"):
        assert f"[{name}](https://" in fields_of(body)["Links"]


def test_the_description_gets_the_room_that_short_facts_leave():
    parts = {**LAG, "annotations": {"summary": "s", "description": "d" * 9000}}
    [embed] = body_about("discord", parts)["embeds"]
    assert utf16_length(embed["description"]) == 4096


def test_twenty_facts_are_shown_and_the_others_are_counted():
    parts = {**LATENCY, "labels": {f"label_{number:02}": "v" for number in range(23)}}
    [embed] = body_about("discord", parts)["embeds"]
    assert embed["fields"][19] == fact("label_19", "v")
    assert embed["fields"][20] == fact("Facts", "and 3 more")


def test_a_link_that_is_too_long_leaves_the_others():
    parts = {**LAG, "url": "https://h.example/?q=" + "x" * 1900}
    body = body_about("discord", parts)
    assert body["embeds"][0]["url"] == parts["url"]
    assert fields_of(body)["Links"] == f"[Runbook]({RUNBOOK}) · {IN_TOCSIN_LINK}"
    longer = body_about("discord", {**LAG, "url": parts["url"] * 2})
    assert "url" not in longer["embeds"][0]


@pytest.mark.parametrize(
    ("year", "closed", "times"),
    [
        (FIRST_YEAR, False, "0001-01-01 00:00 +00:00"),
        (LAST_YEAR, False, "9999-12-31 23:59 +00:00"),
        (LAST_YEAR, True, "9999-12-31 23:59 +00:00, ended 9999-12-31 23:59 +00:00"),
    ],
)
def test_a_time_that_discord_cannot_show_is_plain_text(year, closed, times):
    parts = {**MINIMAL, "starts_at": year, "ends_at": year}
    [embed] = body_about("discord", parts, closed, time_zone="UTC")["embeds"]
    assert embed["fields"] == [line("Started", times)]
    assert "timestamp" not in embed


@pytest.mark.parametrize(
    ("severity", "color"),
    [("critical", 0xD0342C), ("error", 0xE8590C), ("warning", 0xE0A100), ("info", 0x2B6CB0)],
)
def test_the_color_follows_the_severity(severity, color):
    parts = {**LAG, "labels": {"severity": severity}}
    assert body_about("discord", parts)["embeds"][0]["color"] == color
