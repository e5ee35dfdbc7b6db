"""Feishu's and Lark's messages: a card."""

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


def message(template, title, *elements):
    header = {"template": template, "title": plain(title)}
    card = {"config": {"wide_screen_mode": True}, "header": header, "elements": list(elements)}
    return {"msg_type": "interactive", "card": card}


def plain(text):
    return {"tag": "plain_text", "content": text}


def lark(text):
    return {"tag": "lark_md", "content": text}


def paragraph(text):
    return {"tag": "div", "text": lark(text)}


def facts(**values):
    fields = [
        {"is_short": True, "text": lark(f"**{name}**\n{value}")} for name, value in values.items()
    ]
    return {"tag": "div", "fields": fields}


def note(text):
    return {"tag": "note", "elements": [plain(text)]}


def buttons(**urls):
    pressed = [
        {"tag": "button", "text": plain(name.replace("_", " ")), "url": url, "type": "default"}
        for name, url in urls.items()
    ]
    pressed[0]["type"] = "primary"
    return {"tag": "action", "actions": pressed}


def elements_of(body):
    return body["card"]["elements"]


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("feishu", LAG, **BERLIN) == message(
        "red",
        TITLE,
        paragraph(
            "Replication lag is 48 s & rising\n\nReads from db-2 are stale.\n\n"
            "See https://wiki.example/a_b?x=1&y=2 first."
        ),
        facts(value="48.2", namespace="data", team="db_core"),
        note("Started 2026-03-02 10:03 +01:00 (12 min ago)"),
        buttons(Source=PROMETHEUS, Runbook=RUNBOOK, Open_in_Tocsin=IN_TOCSIN),
    )


def test_a_resolution_is_short_and_green():
    assert body_about("feishu", LAG, closed=True) == message(
        "green",
        "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187",
        paragraph("Was critical: Replication lag is 48 s & rising"),
        note("Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00"),
        buttons(Source=PROMETHEUS),
    )


@pytest.mark.parametrize(
    ("severity", "template"),
    [
        ("critical", "red"),
        ("", "red"),
        ("P2", "orange"),
        ("warning", "yellow"),
        ("info", "blue"),
    ],
)
def test_the_color_follows_the_severity_and_the_status(severity, template):
    parts = {"name": "DiskFull", "labels": {"severity": severity}}
    assert body_about("feishu", parts)["card"]["header"]["template"] == template
    assert body_about("feishu", parts, closed=True)["card"]["header"]["template"] == "green"


def test_the_card_of_an_alert_with_only_a_name_has_an_element():
    line = {"tag": "div", "text": plain("FIRING DiskFull")}
    assert body_about("feishu", MINIMAL) == message("red", "FIRING DiskFull", line)


def test_a_group_has_a_line_for_each_alert():
    assert body_about_group("feishu", closed=1) == message(
        "red",
        "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu",
        paragraph("CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1"),
        buttons(Open_in_Tocsin="https://tocsin.example/alerts"),
    )
    body = body_about_group("feishu", count=5000)
    assert 18_000 < utf8_length(dumps(body)) <= 20_000
    assert elements_of(body)[0]["text"]["content"].split("\n")[-1].startswith("and ")


def test_hostile_texts_cause_no_mention_no_markup_and_no_link():
    body = body_about("feishu", HOSTILE)
    escaped = (
        "&#60;!channel> &#60;@U1> @everyone &#60;/b> &#38;amp; &#42;x&#42; &#95;y&#95; "
        "&#96;z&#96; [a]&#40;https://evil.example) \\ | > q"
    )
    [texts, fields, _times] = elements_of(body)
    assert body["card"]["header"]["title"] == plain(f"WARNING {TRAPS} RESOLVED · {TRAPS}")
    assert texts == paragraph(f"{escaped}\n\n&#35; {escaped}\n&#45; b\n\u202e{escaped}")
    name, value = fields["fields"][0]["text"]["content"].split("\n")
    assert name == f"**{escaped[: escaped.index(' &#96;z')]}…**"
    assert value == f"{escaped} severity: info"


def test_a_mention_of_everybody_does_not_act():
    body = body_about("feishu", {"annotations": {"summary": "<at id=all></at>"}})
    assert elements_of(body) == [paragraph("&#60;at id=all>&#60;/at>")]


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_keeps_its_title_facts_times_and_links(parts):
    body = body_about("feishu", parts, keyword="alarm", secret="s")
    assert 18_000 < utf8_length(dumps(body)) <= 20_000
    [texts, fields, times, links, keyword] = elements_of(body)
    assert texts["text"]["content"].startswith(parts["annotations"]["summary"][:9])
    assert texts["text"]["content"].endswith(MARK)
    shown = [field["text"]["content"] for field in fields["fields"]]
    assert shown[:2] == ["**pod**\npg-0", "**namespace**\ndata"]
    assert shown[-1] == "**…**\nand 180 more"
    assert times == note("Started 2026-03-02 09:14 +00:00 (1 min ago)")
    assert links == buttons(Source=PROMETHEUS, Runbook=RUNBOOK, Open_in_Tocsin=IN_TOCSIN)
    assert keyword == {"tag": "div", "text": plain("alarm")}


@pytest.mark.parametrize(
    ("keyword", "added"),
    [
        ("CRITICAL", False),
        ("stale", False),
        ("alarm", True),
        ("s & r", False),
        ("", False),
    ],
)
def test_a_keyword_is_added_only_to_a_message_that_lacks_it(keyword, added):
    elements = elements_of(body_about("feishu", LAG, keyword=keyword))
    assert ({"tag": "div", "text": plain(keyword)} in elements) is added


@pytest.mark.parametrize("summary", ["語" * 700 + "alarm", "*alarm* is cut: " + "x" * 3000])
def test_a_keyword_that_the_message_shows_otherwise_or_cuts_is_added(summary):
    keyword = "alarm" if summary[0] == "語" else "*alarm*"
    elements = elements_of(
        body_about("feishu", {"annotations": {"summary": summary}}, keyword=keyword)
    )
    assert {"tag": "div", "text": plain(keyword)} in elements


@pytest.mark.parametrize("year", [FIRST_YEAR, LAST_YEAR])
@pytest.mark.parametrize("closed", [False, True])
def test_a_time_at_the_end_of_the_calendar_is_shown(year, closed):
    parts = {"name": "DiskFull", "starts_at": year, "ends_at": year}
    [times] = elements_of(body_about("feishu", parts, closed))
    assert times["elements"][0]["content"].startswith(f"Started {year[:10]}")
