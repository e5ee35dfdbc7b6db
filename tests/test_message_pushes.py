"""The push notifications of ntfy, Gotify and Pushover."""

import pytest
from alert_samples import (
    BERLIN,
    FIRST_YEAR,
    HOSTILE,
    HUGE,
    IN_TOCSIN,
    LAG,
    LAST_YEAR,
    MINIMAL,
    PROMETHEUS,
    RUNBOOK,
    TRAPS,
    body_about,
    body_about_group,
)
from kind_support import AT

from delivery.text import MARK, utf8_length, utf16_length

PUSHES = ["ntfy", "gotify", "pushover"]
TITLE = "CRITICAL PostgresReplicationLag · db-2.prod:9187"
TEXTS = (
    "Replication lag is 48 s & rising\n\n"
    "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&y=2 first.\n\n"
    "value: 48.2\nnamespace: data\nteam: db_core\n\n"
    "Started 2026-03-02 10:03 +01:00 (12 min ago)"
)
RESOLVED = "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187"
ENDED = (
    "Was critical: Replication lag is 48 s & rising\n\n"
    "Started 2026-03-02 10:03 +01:00, ended 10:15 +01:00"
)
GROUP = "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu"
GROUP_LINES = "CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1"
ALERTS = "https://tocsin.example/alerts"


def view(label, url):
    return {"action": "view", "label": label, "url": url}


def ntfy(title, message, priority, *tags, **parts):
    head = {"topic": "ops-alerts", "title": title, "message": message}
    return {**head, "priority": priority, "tags": list(tags), **parts}


def gotify(title, message, priority, url=""):
    extras = {"client::display": {"contentType": "text/plain"}}
    if url:
        extras["client::notification"] = {"click": {"url": url}}
    return {"title": title, "message": message, "priority": priority, "extras": extras}


def pushover(title, message, priority, **parts):
    keys = {"token": "APPTOKEN30CHARS", "user": "USERKEY30CHARS"}
    return {**keys, "title": title, "message": message, "priority": priority, **parts}


OPEN = {
    "ntfy": ntfy(
        TITLE,
        TEXTS,
        5,
        "rotating_light",
        "critical",
        click=PROMETHEUS,
        actions=[
            view("Source", PROMETHEUS),
            view("Runbook", RUNBOOK),
            view("Open in Tocsin", IN_TOCSIN),
        ],
    ),
    "gotify": gotify(
        TITLE,
        f"{TEXTS}\nSource: {PROMETHEUS}\nRunbook: {RUNBOOK}\nOpen in Tocsin: {IN_TOCSIN}",
        8,
        PROMETHEUS,
    ),
    "pushover": pushover(
        TITLE,
        f"{TEXTS}\nRunbook: {RUNBOOK}\nOpen in Tocsin: {IN_TOCSIN}",
        1,
        url=PROMETHEUS,
        url_title="Source",
        sound="siren",
        timestamp=1772442180,
    ),
}
CLOSED = {
    "ntfy": ntfy(
        RESOLVED,
        ENDED,
        2,
        "white_check_mark",
        "critical",
        click=PROMETHEUS,
        actions=[view("Source", PROMETHEUS)],
    ),
    "gotify": gotify(RESOLVED, f"{ENDED}\nSource: {PROMETHEUS}", 2, PROMETHEUS),
    "pushover": pushover(RESOLVED, ENDED, -1, url=PROMETHEUS, url_title="Source"),
}
ONLY_NAMED = {
    "ntfy": ntfy("FIRING DiskFull", "FIRING DiskFull", 4, "red_circle"),
    "gotify": gotify("FIRING DiskFull", "FIRING DiskFull", 7),
    "pushover": pushover("FIRING DiskFull", "FIRING DiskFull", 1, sound="falling"),
}
GROUPS = {
    "ntfy": ntfy(
        GROUP,
        GROUP_LINES,
        5,
        "rotating_light",
        "critical",
        click=ALERTS,
        actions=[view("Open in Tocsin", ALERTS)],
    ),
    "gotify": gotify(GROUP, f"{GROUP_LINES}\n\nOpen in Tocsin: {ALERTS}", 8, ALERTS),
    "pushover": pushover(
        GROUP, GROUP_LINES, 1, url=ALERTS, url_title="Open in Tocsin", sound="siren"
    ),
}


@pytest.mark.parametrize("kind", PUSHES)
def test_an_open_alert_has_its_texts_facts_start_and_links(kind):
    assert body_about(kind, LAG, **BERLIN) == OPEN[kind]


@pytest.mark.parametrize("kind", PUSHES)
def test_a_resolution_is_short_and_quiet(kind):
    assert body_about(kind, LAG, closed=True, **BERLIN) == CLOSED[kind]


@pytest.mark.parametrize("kind", PUSHES)
def test_an_alert_with_only_a_name_has_no_empty_part(kind):
    assert body_about(kind, MINIMAL) == ONLY_NAMED[kind]


@pytest.mark.parametrize("kind", PUSHES)
def test_a_group_has_a_line_for_each_alert(kind):
    assert body_about_group(kind, closed=1) == GROUPS[kind]


@pytest.mark.parametrize("kind", PUSHES)
def test_a_large_group_says_how_many_alerts_are_left_out(kind):
    message = body_about_group(kind, count=500)["message"]
    assert_within_limit(kind, message)
    lines = message.split("\n\n", maxsplit=1)[0].splitlines()
    assert lines[-1] == f"and {500 - len(lines) + 1} more"
    assert len(lines) > 20


@pytest.mark.parametrize("kind", PUSHES)
def test_a_closed_group_is_quiet(kind):
    body = body_about_group(kind, closed=3)
    assert body["title"] == "All 3 resolved: DiskFull · cluster eu"
    assert body["priority"] == CLOSED[kind]["priority"]


# ntfy: 1 to 5, Gotify: 0 to 10, Pushover: -2 to 2.
@pytest.mark.parametrize(
    ("severity", "ntfy_priority", "gotify_priority", "pushover_priority", "sound", "tags"),
    [
        ("critical", 5, 8, 1, "siren", ["rotating_light", "critical"]),
        ("SEV-1", 5, 8, 1, "siren", ["rotating_light", "critical"]),
        ("error", 4, 7, 1, "falling", ["red_circle", "error"]),
        ("", 4, 7, 1, "falling", ["red_circle"]),
        ("purple", 4, 7, 1, "falling", ["red_circle"]),
        ("warning", 3, 5, 0, None, ["warning"]),
        ("info", 2, 3, -1, None, ["information_source", "info"]),
        ("none", 2, 3, -1, None, ["information_source", "info"]),
    ],
)
def test_priority_sound_and_tags_follow_the_severity(
    severity, ntfy_priority, gotify_priority, pushover_priority, sound, tags
):
    parts = {"name": "DiskFull", "labels": {"severity": severity}}
    bodies = {kind: body_about(kind, parts) for kind in PUSHES}
    priorities = [bodies[kind]["priority"] for kind in PUSHES]
    assert priorities == [ntfy_priority, gotify_priority, pushover_priority]
    assert bodies["pushover"].get("sound") == sound
    assert bodies["ntfy"]["tags"] == tags


@pytest.mark.parametrize("severity", ["critical", "error", "warning", "info", ""])
@pytest.mark.parametrize("kind", PUSHES)
def test_a_resolution_is_no_louder_than_any_open_alert(kind, severity):
    parts = {"labels": {"severity": severity}}
    closed = body_about(kind, parts, closed=True)
    assert closed["priority"] <= body_about(kind, {"labels": {"severity": "info"}})["priority"]
    assert "sound" not in closed


@pytest.mark.parametrize("kind", PUSHES)
def test_texts_are_sent_as_they_are(kind):
    body = body_about(kind, HOSTILE)
    assert body["title"] == f"WARNING {TRAPS} RESOLVED · {TRAPS}"
    summary, description, facts, times = body["message"].split("\n\n")
    assert summary == TRAPS
    assert description.splitlines() == [f"# {TRAPS}", "- b", f"\u202e{TRAPS}"]
    assert facts.splitlines() == [
        f"{TRAPS}: {TRAPS} severity: info",
        "link: javascript:alert(1)",
    ]
    assert times == "Started 2026-03-02 09:14 +00:00 (1 min ago)"
    assert not {"url", "click", "actions"} & set(body)


def assert_within_limit(kind, message):
    lengths = {
        "ntfy": utf8_length(message) - 4096,
        "gotify": utf16_length(message) - 8000,
        "pushover": utf16_length(message) - 1024,
    }
    assert lengths[kind] <= 0


@pytest.mark.parametrize("letter", ["s", "語", "🔔"])
@pytest.mark.parametrize("kind", PUSHES)
def test_a_huge_alert_is_cut_in_the_title_and_in_the_texts_only(kind, letter):
    texts = {"summary": letter * 9000, "description": f"{letter} and " * 9000}
    parts = {**HUGE, "annotations": {**texts, "runbook_url": RUNBOOK}}
    body = body_about(kind, parts)
    title = body["title"]
    message = body["message"]
    assert_within_limit(kind, message)
    assert utf16_length(title) <= 250
    assert title.startswith("CRITICAL NNN")
    assert title.endswith(f"h{MARK}")
    assert message.startswith(letter * 90)
    assert "\npod: pg-0\nnamespace: data\nlabel_000: vvv" in message
    assert "\nand " in message
    assert "Started 2026-03-02 09:14 +00:00 (1 min ago)" in message
    everything = str(body)
    assert all(url in everything for url in (PROMETHEUS, RUNBOOK, IN_TOCSIN))


@pytest.mark.parametrize(
    ("time", "started"),
    [
        (FIRST_YEAR, "Started 0001-01-01 00:00 +00:00"),
        (LAST_YEAR, "Started 9999-12-31 23:59 +00:00"),
    ],
)
@pytest.mark.parametrize("kind", PUSHES)
def test_a_time_that_is_not_plausible_is_stated_as_a_text_only(kind, time, started):
    body = body_about(kind, {"name": "DiskFull", "starts_at": time})
    assert body["message"] == started
    assert "timestamp" not in body
    closed = body_about(kind, {"starts_at": time, "ends_at": time}, closed=True)
    assert closed["message"].startswith(f"{started}, ended ")


LINKED = {
    **LAG,
    "links": {
        "panel": "https://grafana.example/panel",
        "dashboard": "https://grafana.example/dashboard",
        "silence": "https://grafana.example/silence",
    },
}


def test_ntfy_has_three_buttons_and_lists_the_other_links():
    body = body_about("ntfy", LINKED)
    assert [action["label"] for action in body["actions"]] == [
        "Source",
        "Runbook",
        "Open in Tocsin",
    ]
    assert body["message"].endswith(
        "\nPanel: https://grafana.example/panel\nDashboard: https://grafana.example/dashboard\n"
        "Silence in Grafana: https://grafana.example/silence"
    )


def test_ntfy_fills_its_buttons_with_other_links():
    parts = {**LINKED, "id": "", "annotations": {}}
    body = body_about("ntfy", parts)
    assert [action["label"] for action in body["actions"]] == ["Source", "Panel", "Dashboard"]
    assert "Silence in Grafana: " in body["message"]
    assert "Panel: " not in body["message"]


def test_pushover_takes_the_first_link_that_is_short_enough():
    long_url = "https://h.example/" + "x" * 600
    body = body_about("pushover", {**LAG, "url": long_url})
    assert (body["url"], body["url_title"]) == (RUNBOOK, "Runbook")
    assert f"Source: {long_url}" in body["message"]
    assert f"Open in Tocsin: {IN_TOCSIN}" in body["message"]


def test_pushover_keeps_the_name_of_the_device_only_if_there_is_one():
    assert body_about("pushover", MINIMAL, device="phone")["device"] == "phone"
    assert "device" not in body_about("pushover", MINIMAL)


def test_pushover_sends_the_start_in_seconds():
    assert body_about("pushover", {"starts_at": AT})["timestamp"] == AT // 1000
