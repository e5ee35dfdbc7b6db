"""Google Chat's messages: a text for the notification, and a card in a thread."""

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

from delivery.escaping import escape_html
from delivery.json_text import dumps
from delivery.text import MARK, utf8_length

NAME = "PostgresReplicationLag"
SUBJECT = "db-2.prod:9187"


def message(key, text, title, subtitle, *widgets):
    header = {"title": title, "subtitle": subtitle}
    card = {"header": header, "sections": [{"widgets": list(widgets)}]}
    return {
        "text": text,
        "thread": {"threadKey": key},
        "cardsV2": [{"cardId": key, "card": card}],
    }


def paragraph(text):
    return {"textParagraph": {"text": text}}


def fact(name, value):
    return {"decoratedText": {"topLabel": name, "text": value, "wrapText": True}}


def buttons(**urls):
    pressed = [
        {"text": name.replace("_", " "), "onClick": {"openLink": {"url": url}}}
        for name, url in urls.items()
    ]
    return {"buttonList": {"buttons": pressed}}


def widgets_of(body):
    [section] = body["cardsV2"][0]["card"]["sections"]
    return section["widgets"]


def facts_of(body):
    facts = [widget["decoratedText"] for widget in widgets_of(body) if "decoratedText" in widget]
    return [(fact["topLabel"], fact["text"]) for fact in facts]


def test_an_open_alert_has_its_texts_facts_start_and_links():
    assert body_about("googlechat", LAG, **BERLIN) == message(
        "tocsin-4711",
        f"CRITICAL {NAME} · {SUBJECT}",
        NAME,
        f"CRITICAL · {SUBJECT}",
        paragraph("Replication lag is 48 s &amp; rising"),
        paragraph("Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&amp;y=2 first."),
        fact("value", "48.2"),
        fact("namespace", "data"),
        fact("team", "db_core"),
        fact("Started", "2026-03-02 10:03 +01:00 (12 min ago)"),
        buttons(Source=PROMETHEUS, Runbook=RUNBOOK, Open_in_Tocsin=IN_TOCSIN),
    )


def test_a_resolution_is_short_and_in_the_thread_of_the_alert():
    assert body_about("googlechat", LAG, closed=True) == message(
        "tocsin-4711",
        f"Resolved after 12 min: {NAME} · {SUBJECT}",
        NAME,
        f"Resolved after 12 min · {SUBJECT}",
        paragraph("Was critical: Replication lag is 48 s &amp; rising"),
        fact("Started", "2026-03-02 09:03 +00:00, ended 09:15 +00:00"),
        buttons(Source=PROMETHEUS),
    )


@pytest.mark.parametrize(("closed", "words"), [(False, "FIRING"), (True, "Resolved")])
def test_the_card_of_an_alert_with_only_a_name_has_a_widget(closed, words):
    body = body_about("googlechat", {"name": "R&D"}, closed)
    title = f"{words}{':' if closed else ''} R&D"
    key = body["thread"]["threadKey"]
    assert body == message(key, title, "R&D", words, paragraph(escape_html(title)))


def test_a_group_has_a_line_for_each_alert():
    assert body_about_group("googlechat", closed=1) == message(
        "tocsin-1nsta11ed-group-disks",
        "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu",
        "DiskFull",
        "CRITICAL 2 open, 1 resolved · cluster eu",
        paragraph("CRITICAL DiskFull · db-2\nINFO DiskFull · db-3\nResolved: DiskFull · db-1"),
        buttons(Open_in_Tocsin="https://tocsin.example/alerts"),
    )
    [text, _links] = widgets_of(body_about_group("googlechat", count=5000))
    assert utf8_length(text["textParagraph"]["text"]) <= 4096
    assert text["textParagraph"]["text"].split("\n")[-1].startswith("and ")


def test_hostile_texts_cause_no_mention_and_no_tag():
    body = body_about("googlechat", HOSTILE)
    escaped = escape_html(TRAPS)
    card = body["cardsV2"][0]["card"]
    assert body["text"] == f"WARNING {TRAPS} RESOLVED · {TRAPS}"
    assert card["header"] == {"title": f"{TRAPS} RESOLVED", "subtitle": f"WARNING · {TRAPS}"}
    assert widgets_of(body)[:2] == [
        paragraph(escaped),
        paragraph(f"# {escaped}\n- b\n\u202e{escaped}"),
    ]
    assert facts_of(body) == [
        (TRAPS, f"{escaped} severity: info"),
        ("link", "javascript:alert(1)"),
        ("Started", "2026-03-02 09:14 +00:00 (1 min ago)"),
    ]


def test_a_mention_or_a_link_in_a_name_does_not_act_in_the_notification():
    body = body_about("googlechat", {"name": "<users/all> <https://evil.example|here>"})
    assert body["text"] == "FIRING <\u200busers/all> <\u200bhttps://evil.example|here>"
    title = body["cardsV2"][0]["card"]["header"]["title"]
    assert title == "<users/all> <https://evil.example|here>"


@pytest.mark.parametrize("parts", [HUGE, MANY_URLS])
def test_a_huge_alert_keeps_its_title_facts_times_and_links(parts):
    body = body_about("googlechat", parts)
    assert utf8_length(dumps(body)) <= 32_000
    assert utf8_length(body["text"]) <= 4096
    texts = [part["textParagraph"]["text"] for part in widgets_of(body)[:2]]
    assert all(text.endswith(MARK) for text in texts)
    assert utf8_length(texts[1]) > 4000
    facts = facts_of(body)
    assert [name for name, _ in facts[:3]] == ["pod", "namespace", "label_000"]
    assert facts[-2:] == [("…", "and 180 more"), ("Started", "2026-03-02 09:14 +00:00 (1 min ago)")]
    assert widgets_of(body)[-1] == buttons(
        Source=PROMETHEUS, Runbook=RUNBOOK, Open_in_Tocsin=IN_TOCSIN
    )


def test_the_description_gets_what_is_left_when_every_part_is_of_wide_letters_and_long_links():
    links = {"dashboard": "d", "panel": "p", "silence": "s", "runbook": "r"}
    parts = {
        "name": '"' * 3000,
        "labels": {f"{'語' * 90}{number}": '"' * 900 for number in range(20)},
        "annotations": {"summary": "\\" * 3000, "description": "語" * 9000},
        "links": {name: f"https://h.example/{letter * 2400}" for name, letter in links.items()},
    }
    body = body_about("googlechat", parts)
    assert utf8_length(dumps(body)) <= 32_000
    assert len(widgets_of(body)[-1]["buttonList"]["buttons"]) == 4


@pytest.mark.parametrize("year", [FIRST_YEAR, LAST_YEAR])
@pytest.mark.parametrize("closed", [False, True])
def test_a_time_at_the_end_of_the_calendar_is_shown(year, closed):
    parts = {"name": "DiskFull", "starts_at": year, "ends_at": year}
    [(name, started)] = facts_of(body_about("googlechat", parts, closed))
    assert name == "Started"
    assert started.startswith(year[:10])


def test_minimal_texts_are_never_empty():
    for parts in (MINIMAL, {}, {"labels": {"": ""}, "annotations": {"summary": " "}}):
        body = body_about("googlechat", parts)
        assert body["text"]
        assert widgets_of(body)[0]["textParagraph"]["text"]
