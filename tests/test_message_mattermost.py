"""Mattermost's messages: a headline, and an attachment."""

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

from delivery.escaping import ZERO_WIDTH_SPACE
from delivery.text import MARK, utf16_length

TITLE = "CRITICAL PostgresReplicationLag · db-2.prod:9187"
RED = "#d0342c"
GREEN = "#2e8540"
Z = ZERO_WIDTH_SPACE


def message(title, *attachments):
    return {"text": f"#### {title}", "attachments": list(attachments)}


def fact(name, value):
    return {"title": name, "value": value, "short": True}


def attachment_of(body):
    [attachment] = body["attachments"]
    return attachment


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("mattermost", LAG, **BERLIN) == message(
        TITLE,
        {
            "fallback": TITLE,
            "color": RED,
            "text": "Replication lag is 48 s & rising\n\nReads from db-2 are stale.\n\n"
            "See https://wiki.example/a_b?x=1&y=2 first.\n\n"
            f"[Source]({PROMETHEUS}) · [Runbook]({RUNBOOK}) · [Open in Tocsin]({IN_TOCSIN})",
            "fields": [fact("value", "48.2"), fact("namespace", "data"), fact("team", "db_core")],
            "footer": "Started 2026-03-02 10:03 +01:00 (12 min ago)",
        },
    )


def test_a_resolution_is_short_and_green():
    title = "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187"
    assert body_about("mattermost", LAG, closed=True) == message(
        title,
        {
            "fallback": title,
            "color": GREEN,
            "text": f"Was critical: Replication lag is 48 s & rising\n\n[Source]({PROMETHEUS})",
            "footer": "Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00",
        },
    )


def test_an_alert_with_only_a_name_is_its_title():
    assert body_about("mattermost", MINIMAL) == message("FIRING DiskFull")
    assert body_about("mattermost", MINIMAL, closed=True) == message("Resolved: DiskFull")


def test_a_group_has_a_line_for_each_alert():
    title = "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu"
    assert body_about_group("mattermost", closed=1) == message(
        title,
        {
            "fallback": title,
            "color": RED,
            "text": "CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1\n\n"
            "[Open in Tocsin](https://tocsin.example/alerts)",
        },
    )
    text = attachment_of(body_about_group("mattermost", count=5000))["text"]
    assert utf16_length(text) <= 16_383
    assert text.split("\n")[-3].startswith("and ")


def test_hostile_texts_cause_no_mention_no_markup_and_no_link():
    body = body_about("mattermost", HOSTILE)
    attachment = attachment_of(body)
    escaped = (
        f"&#60;!channel> &#60;@{Z}U1> @{Z}everyone &#60;/b> &#38;amp; \\*x\\* \\_y\\_ \\`z\\` "
        "[a]\\(https://evil.example) \\ | > q"
    )
    assert body["text"] == f"#### WARNING {escaped} RESOLVED · {escaped}"
    assert attachment["text"] == f"{escaped}\n\n\\# {escaped}\n\\- b\n\u202e{escaped}"
    assert attachment["fields"] == [
        fact(TRAPS, f"{escaped} severity: info"),
        fact("link", "javascript:alert(1)"),
    ]
    assert attachment["fallback"] == f"WARNING {TRAPS} RESOLVED · {TRAPS}"


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_keeps_its_title_facts_times_and_links(parts):
    body = body_about("mattermost", parts)
    attachment = attachment_of(body)
    fields = attachment["fields"]
    texts = [attachment["text"], *(text for field in fields for text in list(field.values())[:2])]
    assert 16_000 < sum(map(utf16_length, texts)) <= 16_383
    assert body["text"].startswith("#### CRITICAL NNN")
    assert utf16_length(body["text"]) <= 510
    names = [field["title"] for field in fields]
    assert names[:3] == ["pod", "namespace", "label_000"]
    assert len(names) == 13
    assert fields[-1] == fact("…", "and 180 more")
    summary, *description, links = attachment["text"].split("\n\n")
    assert utf16_length(summary) <= 2000
    assert description[-1].endswith(MARK)
    assert links == f"[Source]({PROMETHEUS}) · [Runbook]({RUNBOOK}) · [Open in Tocsin]({IN_TOCSIN})"
    assert attachment["footer"].startswith("Started 2026-03-02 09:14")


@pytest.mark.parametrize("year", [FIRST_YEAR, LAST_YEAR])
@pytest.mark.parametrize("closed", [False, True])
def test_a_time_at_the_end_of_the_calendar_is_shown(year, closed):
    parts = {"name": "DiskFull", "starts_at": year, "ends_at": year}
    footer = attachment_of(body_about("mattermost", parts, closed))["footer"]
    assert footer.startswith(f"Started {year[:10]}")
