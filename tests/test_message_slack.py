"""Slack's messages: a header, and an attachment of blocks in the color of the severity."""

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
from kind_support import WORKFLOW_URL

from delivery.text import MARK, utf16_length

TITLE = "CRITICAL PostgresReplicationLag · db-2.prod:9187"
RESOLVED = "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187"
STARTED = "<!date^1772442180^{date_short_pretty} {time}|2026-03-02 10:03 +01:00>"
ENDED = "<!date^1772442900^{date_short_pretty} {time}|2026-03-02 10:15 +01:00>"


def markup(text):
    return {"type": "mrkdwn", "text": text}


def section(text):
    return {"type": "section", "text": markup(text)}


def fields(*texts):
    return {"type": "section", "fields": [markup(text) for text in texts]}


def context(text):
    return {"type": "context", "elements": [markup(text)]}


def buttons(**urls):
    """Return a block of buttons, which have names such as `open_in_tocsin`."""
    elements = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": text, "emoji": False},
            "url": url,
            "action_id": text.lower().replace(" ", "_"),
        }
        for text, url in urls.items()
    ]
    return {"type": "actions", "elements": elements}


def message(title, push, color, *blocks):
    """Return a message whose title needs no escape."""
    text = {"type": "plain_text", "text": title, "emoji": False}
    attachment = {"color": color, "fallback": title, "blocks": list(blocks)}
    return {
        "text": push,
        "blocks": [{"type": "header", "text": text}],
        "attachments": [attachment] if blocks else [],
    }


def attached(body):
    """Return the blocks of the attachment, by their types."""
    [attachment] = body["attachments"]
    found = {}
    for block in attachment["blocks"]:
        name = block["type"]
        found["fields" if "fields" in block else name] = block
    return found


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("slack", LAG, **BERLIN) == message(
        TITLE,
        f"{TITLE}\nReplication lag is 48 s &amp; rising",
        "#d0342c",
        section(
            "Replication lag is 48 s &amp; rising\n"
            "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&amp;y=2 first."
        ),
        fields("*value*\n48.2", "*namespace*\ndata", "*team*\ndb_core"),
        context(f"Started {STARTED} (12 min ago)"),
        buttons(**{"Source": PROMETHEUS, "Runbook": RUNBOOK, "Open in Tocsin": IN_TOCSIN}),
    )


def test_a_resolution_is_short_and_green():
    assert body_about("slack", LAG, closed=True, **BERLIN) == message(
        RESOLVED,
        f"{RESOLVED}\nWas critical: Replication lag is 48 s &amp; rising",
        "#2e8540",
        section("Was critical: Replication lag is 48 s &amp; rising"),
        context(f"Started {STARTED}, ended {ENDED}"),
        buttons(Source=PROMETHEUS),
    )


def test_an_alert_with_only_a_name_has_only_a_header():
    assert body_about("slack", MINIMAL) == message("FIRING DiskFull", "FIRING DiskFull", "")


def test_a_group_has_a_line_for_each_alert():
    title = "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu"
    assert body_about_group("slack", closed=1) == message(
        title,
        title,
        "#d0342c",
        section("CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1"),
        buttons(**{"Open in Tocsin": "https://tocsin.example/alerts"}),
    )
    many = attached(body_about_group("slack", count=500))["section"]["text"]["text"]
    assert many.splitlines()[-1].startswith("and ")
    assert utf16_length(many) <= 3000


def test_a_hostile_text_causes_no_mention_and_no_link():
    body = body_about("slack", HOSTILE, **BERLIN)
    blocks = attached(body)
    escaped = (
        "&lt;!channel&gt; &lt;@U1&gt; @\u200beveryone &lt;/b&gt; &amp;amp; *x* _y_ `z` "
        "[a](https://evil.example) \\ | &gt; q"
    )
    assert body["text"] == f"WARNING {escaped} RESOLVED · {escaped}\n{escaped}"
    assert blocks["section"] == section(f"{escaped}\n# {escaped}\n- b\n\u202e{escaped}")
    assert blocks["fields"] == fields(
        f"*{escaped}*\n{escaped} severity: info", "*link*\njavascript:alert(1)"
    )
    assert "actions" not in blocks
    header = body["blocks"][0]["text"]
    assert header["text"].startswith("WARNING <!channel> <@U1> @everyone </b> &amp; *x*")
    assert header["type"] == "plain_text"


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_keeps_the_limits_of_every_block(parts):
    body = body_about("slack", parts)
    blocks = attached(body)
    assert utf16_length(body["text"]) <= 4000
    assert utf16_length(body["blocks"][0]["text"]["text"]) <= 150
    text = blocks["section"]["text"]["text"]
    assert 2900 < utf16_length(text) <= 3000
    assert text.endswith(MARK)
    written = [field["text"] for field in blocks["fields"]["fields"]]
    assert written[:2] == ["*pod*\npg-0", "*namespace*\ndata"]
    assert written[-1] == "and 183 more"
    assert len(written) == 10
    assert max(map(utf16_length, written)) <= 2000
    names = [button["text"]["text"] for button in blocks["actions"]["elements"]]
    assert names == ["Source", "Runbook", "Open in Tocsin"]


def test_ten_facts_need_no_line_for_the_rest():
    labels = {f"label_{number}": "v" for number in range(10)}
    blocks = attached(body_about("slack", {**MINIMAL, "labels": labels}))
    written = [field["text"] for field in blocks["fields"]["fields"]]
    assert written == [f"*label_{number}*\nv" for number in range(10)]


def test_a_link_that_is_too_long_has_no_button():
    parts = {**LAG, "url": "https://h.example/?q=" + "x" * 3000}
    elements = attached(body_about("slack", parts))["actions"]["elements"]
    assert [button["text"]["text"] for button in elements] == ["Runbook", "Open in Tocsin"]


@pytest.mark.parametrize(
    ("year", "closed", "times"),
    [
        (FIRST_YEAR, False, "Started 0001-01-01 00:00 +00:00"),
        (LAST_YEAR, False, "Started 9999-12-31 23:59 +00:00"),
        (LAST_YEAR, True, "Started 9999-12-31 23:59 +00:00, ended 9999-12-31 23:59 +00:00"),
    ],
)
def test_a_time_that_slack_cannot_format_is_plain_text(year, closed, times):
    parts = {**MINIMAL, "starts_at": year, "ends_at": year}
    blocks = attached(body_about("slack", parts, closed, time_zone="UTC"))
    assert blocks == {"context": context(times)}


@pytest.mark.parametrize(
    ("severity", "color"),
    [
        ("critical", "#d0342c"),
        ("error", "#e8590c"),
        ("warning", "#e0a100"),
        ("info", "#2b6cb0"),
    ],
)
def test_the_color_follows_the_severity(severity, color):
    parts = {**LAG, "labels": {"severity": severity}}
    assert body_about("slack", parts)["attachments"][0]["color"] == color


@pytest.mark.parametrize("path", ["/triggers/T0/123/abc", "/workflows/T0/A0/123/abc"])
def test_a_workflow_gets_flat_variables_and_no_text(path):
    url = f"https://hooks.slack.com{path}"
    assert body_about("slack", LAG, url=url, **BERLIN) == {
        "title": TITLE,
        "name": "PostgresReplicationLag",
        "status": "FIRING",
        "severity": "critical",
        "subject": "db-2.prod:9187",
        "summary": "Replication lag is 48 s &amp; rising",
        "description": "Reads from db-2 are stale.\n\n"
        "See https://wiki.example/a_b?x=1&amp;y=2 first.",
        "labels": "value: 48.2\nnamespace: data\nteam: db_core",
        "started": "2026-03-02 10:03 +01:00",
        "duration": "12 min",
        "link": PROMETHEUS,
        "runbook": RUNBOOK,
        "tocsin": IN_TOCSIN,
    }


def test_a_variable_of_a_workflow_is_there_without_a_value():
    body = body_about("slack", {**MINIMAL, "url": ""}, closed=True, url=WORKFLOW_URL)
    filled = {"title": "Resolved: DiskFull", "name": "DiskFull", "status": "RESOLVED"}
    assert body == dict.fromkeys(body, "") | filled | {"severity": "error"}
    assert len(body) == 13


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\x0b", "\x85", "\u2028"])
def test_no_name_and_no_label_adds_a_line_to_a_variable(line_break):
    broken = f"a{line_break}FIRING: other"
    parts = {**LAG, "name": broken, "labels": {broken: broken, "host": broken}}
    body = body_about("slack", parts, url=WORKFLOW_URL)
    assert (body["name"], body["subject"]) == ("a FIRING: other", "a FIRING: other")
    assert body["labels"] == "value: 48.2\na FIRING: other: a FIRING: other"
