"""Telegram's messages: HTML, and when they make a sound."""

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
    body_about,
    body_about_group,
)

from delivery.text import MARK, utf16_length

SILENT = {"silent": "below_critical"}
SOURCE_LINK = f'<a href="{PROMETHEUS}">Source</a>'
TAG = re.compile(r'</?b>|<a href="[^"<>]*">|</a>')


def message(*lines, silent=False):
    return {
        "chat_id": -1001234567890,
        "text": "\n".join(lines),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": silent,
    }


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("telegram", LAG, **BERLIN) == message(
        "<b>CRITICAL PostgresReplicationLag · db-2.prod:9187</b>",
        "Replication lag is 48 s &amp; rising",
        "",
        "Reads from db-2 are stale.",
        "",
        "See https://wiki.example/a_b?x=1&amp;y=2 first.",
        "",
        "value: 48.2",
        "namespace: data",
        "team: db_core",
        "",
        "Started 2026-03-02 10:03 +01:00 (12 min ago)",
        f'{SOURCE_LINK} · <a href="{RUNBOOK}">Runbook</a> · '
        f'<a href="{IN_TOCSIN}">Open in Tocsin</a>',
    )


def test_a_resolution_is_short_and_makes_no_sound():
    assert body_about("telegram", LAG, closed=True) == message(
        "<b>Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187</b>",
        "Was critical: Replication lag is 48 s &amp; rising",
        "",
        "Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00",
        SOURCE_LINK,
        silent=True,
    )


def test_an_alert_with_only_a_name_is_its_title():
    assert body_about("telegram", MINIMAL) == message("<b>FIRING DiskFull</b>")
    closed = body_about("telegram", MINIMAL, closed=True)
    assert closed == message("<b>Resolved: DiskFull</b>", silent=True)


def test_a_group_has_a_line_for_each_alert():
    assert body_about_group("telegram", closed=1) == message(
        "<b>CRITICAL 2 open, 1 resolved: DiskFull · cluster eu</b>",
        "",
        "CRITICAL DiskFull · db-2",
        "INFO DiskFull · db-3",
        "Resolved: DiskFull · db-1",
        "",
        '<a href="https://tocsin.example/alerts">Open in Tocsin</a>',
    )
    text = body_about_group("telegram", count=500)["text"]
    assert utf16_length(text) <= 4096
    assert re.search(r"\nand \d{3} more\n\n<a href", text)


@pytest.mark.parametrize(
    ("option", "severity", "silent"),
    [
        ("", "critical", False),
        ("", "info", False),
        ("", "", False),
        ("below_critical", "critical", False),
        ("below_critical", "SEV-1", False),
        ("below_critical", "error", True),
        ("below_critical", "warning", True),
        ("below_critical", "info", True),
        ("below_critical", "", True),
        ("no such choice", "info", False),
    ],
)
def test_an_alert_below_critical_makes_no_sound_if_the_channel_says_so(option, severity, silent):
    parts = {"name": "DiskFull", "labels": {"severity": severity}}
    assert body_about("telegram", parts, silent=option)["disable_notification"] is silent
    assert body_about("telegram", parts, True, silent=option)["disable_notification"] is True


def test_hostile_texts_add_no_tag():
    text = body_about("telegram", HOSTILE)["text"]
    assert TAG.findall(text) == ["<b>", "</b>"]
    assert not re.search("[<>]", TAG.sub("", text))
    escaped = (
        "&lt;!channel&gt; &lt;@U1&gt; @everyone &lt;/b&gt; &amp;amp; *x* _y_ `z` "
        "[a](https://evil.example) \\ | &gt; q"
    )
    lines = text.split("\n")
    assert lines[0] == f"<b>WARNING {escaped} RESOLVED · {escaped}</b>"
    assert lines[1:5] == [escaped, "", f"# {escaped}", "- b"]
    assert lines[-3:] == [
        "link: javascript:alert(1)",
        "",
        "Started 2026-03-02 09:14 +00:00 (1 min ago)",
    ]


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_keeps_its_title_facts_times_and_links(parts):
    text = body_about("telegram", parts)["text"]
    assert 4000 < utf16_length(text) <= 4096
    title, summary = text.split("\n")[:2]
    assert title.startswith("<b>CRITICAL NNN")
    assert "hhh" in title
    assert title.endswith(f"{MARK}</b>")
    assert summary.startswith(parts["annotations"]["summary"][:9])
    assert "\npod: pg-0\nnamespace: data\nlabel_000: v" in text
    assert re.search(r"\nand \d{3} more\n\nStarted 2026-03-02", text)
    for name in ("Source", "Runbook", "Open in Tocsin"):
        assert f">{name}</a>" in text
    assert len(TAG.findall(text)) == 8


@pytest.mark.parametrize("year", [FIRST_YEAR, LAST_YEAR])
def test_a_time_at_the_end_of_the_calendar_is_shown(year):
    parts = {"name": "DiskFull", "starts_at": year, "ends_at": year}
    assert f"Started {year[:10]}" in body_about("telegram", parts)["text"]
    text = body_about("telegram", parts, closed=True, **BERLIN)["text"]
    assert re.search(r"Started \d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d, ended \d\d:\d\d", text)
