"""Messages for Teams: an Adaptive Card whose texts no Markdown changes."""

import json
import re

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
    TRAPS,
    body_about,
    body_about_group,
)

from delivery.json_text import dumps
from delivery.text import MARK, utf8_length

TITLE = "CRITICAL PostgresReplicationLag · db-2.prod:9187"
WIKI = "https://wiki.example/a_b?x=1&y=2"


def run(text, url=""):
    action = {"selectAction": {"type": "Action.OpenUrl", "url": url}} if url else {}
    return {"type": "TextRun", "text": text, **action}


def text(*runs, **parts):
    written = [run(part) if isinstance(part, str) else part for part in runs]
    return {"type": "RichTextBlock", "inlines": written, **parts}


def next_line(*runs):
    return text(*runs, spacing="None")


def headline(title, color):
    return text({**run(title), "weight": "Bolder", "size": "Medium", "color": color})


def facts(**values):
    found = [{"title": name, "value": value} for name, value in values.items()]
    return {"type": "FactSet", "facts": found}


def open_url(**urls):
    return [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in urls.items()]


def message(title, *blocks, actions=()):
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "fallbackText": title,
        "msteams": {"width": "Full"},
        "body": list(blocks),
        "actions": list(actions),
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "summary": title, "attachments": [attachment]}


def card_about(parts, closed=False, **options):
    return body_about("teams", parts, closed, **options)["attachments"][0]["content"]


def lines_of(card):
    """Return the text of each block of text, the headline first."""
    blocks = [block for block in card["body"] if block["type"] == "RichTextBlock"]
    return ["".join(run["text"] for run in block["inlines"]) for block in blocks]


def facts_in(card):
    [block] = [block for block in card["body"] if block["type"] == "FactSet"]
    return {fact["title"]: fact["value"] for fact in block["facts"]}


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("teams", LAG, **BERLIN) == message(
        TITLE,
        headline(TITLE, "Attention"),
        text("Replication lag is 48 s & rising"),
        text("Reads from db-2 are stale."),
        text("See ", run(WIKI, WIKI), " first."),
        facts(
            value="48.2",
            namespace="data",
            team="db_core",
            Started="2026-03-02 10:03 +01:00 (12 min ago)",
        ),
        actions=open_url(**{"Source": PROMETHEUS, "Runbook": RUNBOOK, "Open in Tocsin": IN_TOCSIN}),
    )


def test_a_resolution_is_short_and_green():
    title = "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187"
    assert body_about("teams", LAG, closed=True, **BERLIN) == message(
        title,
        headline(title, "Good"),
        text("Was critical: Replication lag is 48 s & rising"),
        facts(Started="2026-03-02 10:03 +01:00, ended 10:15 +01:00"),
        actions=open_url(Source=PROMETHEUS),
    )


def test_an_alert_with_only_a_name_has_only_a_headline():
    title = "FIRING DiskFull"
    assert body_about("teams", MINIMAL) == message(title, headline(title, "Attention"))


def test_a_group_has_a_line_for_each_alert():
    title = "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu"
    assert body_about_group("teams", closed=1) == message(
        title,
        headline(title, "Attention"),
        text("CRITICAL DiskFull · db-2"),
        next_line("INFO DiskFull · db-3"),
        next_line("Resolved: DiskFull · db-1"),
        actions=open_url(**{"Open in Tocsin": "https://tocsin.example/alerts"}),
    )


def test_a_hostile_text_stands_in_runs_where_nothing_acts():
    card = card_about(HOSTILE, **BERLIN)
    assert lines_of(card) == [
        f"WARNING {TRAPS} RESOLVED · {TRAPS}",
        TRAPS,
        f"# {TRAPS}",
        "- b",
        f"\u202e{TRAPS}",
    ]
    assert facts_in(card) == {
        "\\<!channel> \\<@U1> @everyone \\</b> \\&amp; \\*x\\* \\_y\\_ \\`z\\` "
        "[a]\\(https://evil.example)…": "\\<!channel> \\<@U1> @everyone \\</b> \\&amp; \\*x\\* "
        "\\_y\\_ \\`z\\` [a]\\(https://evil.example) \\ | > q severity: info",
        "link": "javascript:alert(1)",
        "Started": "2026-03-02 10:14 +01:00 (1 min ago)",
    }
    assert card["actions"] == []
    assert "TextBlock" not in re.sub("RichTextBlock", "", json.dumps(card))


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_fills_the_card_and_keeps_its_limit(parts):
    body = body_about("teams", parts)
    card = body["attachments"][0]["content"]
    assert 27_000 < utf8_length(dumps(body)) <= 28_000
    assert lines_of(card)[-1].endswith(MARK)
    assert lines_of(card)[0].startswith("CRITICAL NNN")
    shown = facts_in(card)
    assert list(shown)[:3] == ["pod", "namespace", "label_000"]
    assert shown["…"] == "and 180 more"
    assert "1 min ago" in shown["Started"]
    titles = [action["title"] for action in card["actions"]]
    assert titles == ["Source", "Runbook", "Open in Tocsin"]


@pytest.mark.parametrize("letter", ["语", '"', "🔔", "\\"])
def test_a_card_of_the_longest_parts_keeps_its_limit(letter):
    links = {
        f"{name}_url": f"https://h.example/{name}?" + "x" * 900 for name in ("runbook", "dashboard")
    }
    parts = {
        **MANY_URLS,
        "name": letter * 3000,
        "labels": {f"{number}" + letter * 300: letter * 900 for number in range(20)},
        "annotations": {**MANY_URLS["annotations"], **links},
        "url": "https://h.example/source?" + "x" * 900,
        "links": {name: f"https://h.example/{name}?" + "x" * 900 for name in ("panel", "silence")},
    }
    body = body_about("teams", parts)
    assert utf8_length(dumps(body)) <= 28_000
    assert len(body["attachments"][0]["content"]["actions"]) == 6


def test_a_text_of_many_lines_keeps_all_its_words():
    description = "\n".join(f"line {number}" for number in range(50))
    card = card_about({**MINIMAL, "annotations": {"summary": "s", "description": description}})
    lines = lines_of(card)[2:]
    assert " ".join(lines).split() == description.split()
    assert len(lines) == 31


def test_a_blank_line_sets_paragraphs_apart():
    annotations = {"summary": "s", "description": "a\nb\n\nc\n \nd"}
    card = card_about({**MINIMAL, "annotations": annotations})
    assert card["body"][2:] == [text("a"), next_line("b"), text("c"), text("d")]


@pytest.mark.parametrize(
    "url", ["https://[", "http://h.example:x/", "https://h.example/" + "x" * 9000]
)
def test_a_url_that_cannot_be_opened_is_plain_text(url):
    card = card_about({**MINIMAL, "annotations": {"summary": "s", "description": f"See {url}"}})
    assert "selectAction" not in json.dumps(card)


def test_a_link_that_is_too_long_has_no_button():
    parts = {**LAG, "url": "https://h.example/?q=" + "x" * 1000}
    assert [action["title"] for action in card_about(parts)["actions"]] == [
        "Runbook",
        "Open in Tocsin",
    ]


@pytest.mark.parametrize(
    ("year", "closed", "times"),
    [
        (FIRST_YEAR, False, "0001-01-01 00:00 +00:00"),
        (LAST_YEAR, False, "9999-12-31 23:59 +00:00"),
        (LAST_YEAR, True, "9999-12-31 23:59 +00:00, ended 23:59 +00:00"),
    ],
)
def test_a_time_at_the_end_of_the_calendar_is_a_fact(year, closed, times):
    parts = {**MINIMAL, "starts_at": year, "ends_at": year}
    assert facts_in(card_about(parts, closed, time_zone="UTC")) == {"Started": times}


@pytest.mark.parametrize(
    ("severity", "color"),
    [
        ("critical", "Attention"),
        ("error", "Attention"),
        ("warning", "Warning"),
        ("info", "Accent"),
    ],
)
def test_the_color_follows_the_severity(severity, color):
    card = card_about({**LAG, "labels": {"severity": severity}})
    assert card["body"][0]["inlines"][0]["color"] == color
