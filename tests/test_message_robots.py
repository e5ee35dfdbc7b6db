"""The messages of the group robots of DingTalk and WeCom: Markdown that their clients know."""

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
    MINIMAL,
    PROMETHEUS,
    RUNBOOK,
    TRAPS,
    body_about,
    body_about_group,
)

from delivery.escaping import ZERO_WIDTH_SPACE
from delivery.json_text import dumps
from delivery.text import MARK, utf8_length

ROBOTS = ["dingtalk", "wecom"]
LINKS = f"[Source]({PROMETHEUS}) · [Runbook]({RUNBOOK}) · [Open in Tocsin]({IN_TOCSIN})"
ALERTS = "[Open in Tocsin](https://tocsin.example/alerts)"


def dingtalk(title, text):
    content = {"title": title, "text": text}
    return {"msgtype": "markdown", "markdown": content, "at": {"isAtAll": False}}


def wecom(content):
    return {"msgtype": "markdown", "markdown": {"content": content}}


def text_of(body):
    """Return the Markdown of a message."""
    return body["markdown"].get("text") or body["markdown"]["content"]


def test_dingtalk_shows_an_open_alert():
    assert body_about("dingtalk", LAG, **BERLIN) == dingtalk(
        "CRITICAL PostgresReplicationLag · db-2.prod:9187",
        '#### <font color="#d0342c">CRITICAL</font> PostgresReplicationLag · db-2.prod:9187\n\n'
        "Replication lag is 48 s & rising\n\n"
        "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&y=2 first.\n\n"
        "- value: 48.2\n- namespace: data\n- team: db_core\n\n"
        "Started 2026-03-02 10:03 +01:00 (12 min ago)\n\n"
        f"{LINKS}",
    )


def test_wecom_shows_an_open_alert():
    assert body_about("wecom", LAG, **BERLIN) == wecom(
        '**<font color="warning">CRITICAL</font>** PostgresReplicationLag · db-2.prod:9187\n'
        "Replication lag is 48 s & rising\n\n"
        "Reads from db-2 are stale.\n\nSee https://wiki.example/a_b?x=1&y=2 first.\n\n"
        "> value: 48.2\n> namespace: data\n> team: db_core\n\n"
        '<font color="comment">Started 2026-03-02 10:03 +01:00 (12 min ago)</font>\n'
        f"{LINKS}"
    )


def test_dingtalk_shows_a_resolution():
    assert body_about("dingtalk", LAG, closed=True) == dingtalk(
        "Resolved after 12 min: PostgresReplicationLag · db-2.prod:9187",
        '#### <font color="#2e8540">Resolved after 12 min:</font> '
        "PostgresReplicationLag · db-2.prod:9187\n\n"
        "Was critical: Replication lag is 48 s & rising\n\n"
        "Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00\n\n"
        f"[Source]({PROMETHEUS})",
    )


def test_wecom_shows_a_resolution():
    assert body_about("wecom", LAG, closed=True) == wecom(
        '**<font color="info">Resolved after 12 min:</font>** '
        "PostgresReplicationLag · db-2.prod:9187\n"
        "Was critical: Replication lag is 48 s & rising\n\n"
        '<font color="comment">Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00</font>\n'
        f"[Source]({PROMETHEUS})"
    )


def test_an_alert_with_only_a_name_is_one_line():
    assert body_about("dingtalk", MINIMAL) == dingtalk(
        "FIRING DiskFull", '#### <font color="#d0342c">FIRING</font> DiskFull'
    )
    assert body_about("wecom", MINIMAL) == wecom('**<font color="warning">FIRING</font>** DiskFull')


def test_a_group_has_a_line_for_each_alert():
    title = "CRITICAL 2 open, 1 resolved: DiskFull · cluster eu"
    lines = ["CRITICAL DiskFull · db-2", "INFO DiskFull · db-3", "Resolved: DiskFull · db-1"]
    words = "CRITICAL 2 open, 1 resolved:"
    assert body_about_group("dingtalk", closed=1) == dingtalk(
        title,
        "\n\n".join(
            [f'#### <font color="#d0342c">{words}</font> DiskFull · cluster eu', *lines, ALERTS]
        ),
    )
    assert body_about_group("wecom", closed=1) == wecom(
        f'**<font color="warning">{words}</font>** DiskFull · cluster eu\n\n'
        + "\n".join(lines)
        + f"\n\n{ALERTS}"
    )


@pytest.mark.parametrize("kind", ROBOTS)
def test_a_large_group_says_how_many_alerts_are_left_out(kind):
    body = body_about_group(kind, count=1000)
    assert_within_limit(kind, body)
    hidden = re.search(r"^and (\d+) more$", text_of(body), re.MULTILINE)
    assert int(hidden[1]) + len(re.findall("DiskFull · db-", text_of(body))) == 1000


@pytest.mark.parametrize(
    ("severity", "closed", "dingtalk_color", "wecom_color"),
    [
        ("critical", False, "#d0342c", "warning"),
        ("error", False, "#e8590c", "warning"),
        ("", False, "#d0342c", "warning"),
        ("warning", False, "#e0a100", "warning"),
        ("info", False, "#2b6cb0", "comment"),
        ("critical", True, "#2e8540", "info"),
        ("", True, "#2e8540", "info"),
    ],
)
def test_the_color_follows_severity_and_status(severity, closed, dingtalk_color, wecom_color):
    parts = {"labels": {"severity": severity}}
    for kind, color in (("dingtalk", dingtalk_color), ("wecom", wecom_color)):
        assert f'<font color="{color}">' in text_of(body_about(kind, parts, closed))


@pytest.mark.parametrize("kind", ROBOTS)
def test_a_hostile_text_causes_no_mention_no_markup_and_no_link(kind):
    body = body_about(kind, HOSTILE)
    text = text_of(body)
    ours = re.sub(r'</?font( color="[^"]*")?>', "", text)
    assert not re.search(r"<[!@/A-Za-z]|\]\(", ours)
    lines = [line for line in text.splitlines() if line]
    marks = [line for line in lines if re.match(r"[ ]*([#>+*-]|\d+[.)])", line)]
    begins = {"dingtalk": ["#### ", "- ", "- "], "wecom": ["**<font", "> ", "> "]}[kind]
    assert len(marks) == len(begins)
    assert all(line.startswith(begin) for line, begin in zip(marks, begins, strict=True))
    assert TRAPS in text.replace(ZERO_WIDTH_SPACE, "")
    if kind == "dingtalk":
        assert body["markdown"]["title"] == f"WARNING {TRAPS} RESOLVED · {TRAPS}"
        assert body["at"] == {"isAtAll": False}


@pytest.mark.parametrize("value", [">90", "-1.5", "#ops", "*.log", "+5 %", "1. first", "a_b*c"])
@pytest.mark.parametrize("kind", ROBOTS)
def test_a_value_that_only_begins_like_a_list_is_untouched(kind, value):
    parts = {"name": f"{value} name", "labels": {"host": "h", "threshold": value}}
    text = text_of(body_about(kind, parts))
    assert f" threshold: {value}" in text
    assert f" {value} name · h" in text


@pytest.mark.parametrize("kind", ROBOTS)
def test_an_address_in_a_text_can_be_copied(kind):
    summary = (
        "Mail ops@host.example, see https://wiki.example/run_books/a_b*c and /var/log/my_file.log"
    )
    text = text_of(body_about(kind, {"annotations": {"summary": summary}}))
    assert summary in text
    assert ZERO_WIDTH_SPACE not in text


def assert_within_limit(kind, body):
    if kind == "dingtalk":
        assert utf8_length(dumps(body)) <= 20_000
    else:
        assert utf8_length(text_of(body)) <= 4096


@pytest.mark.parametrize("letter", ["s", "語", "🔔", '"', "\\", "<a"])
@pytest.mark.parametrize("kind", ROBOTS)
def test_a_huge_alert_is_cut_in_the_title_and_in_the_texts_only(kind, letter):
    texts = {"summary": letter * 9000, "description": f"{letter} and " * 9000}
    parts = {**HUGE, "annotations": {**texts, "runbook_url": RUNBOOK}}
    body = body_about(kind, parts, **({"keyword": "警报" * 50} if kind == "dingtalk" else {}))
    assert_within_limit(kind, body)
    text = text_of(body)
    assert ">CRITICAL</font>" in text
    assert f"h{MARK}" in text
    assert letter * 40 in text.replace(ZERO_WIDTH_SPACE, "")
    mark = {"dingtalk": "-", "wecom": ">"}[kind]
    assert f"\n{mark} pod: pg-0\n{mark} namespace: data\n{mark} label_000: vvv" in text
    assert re.search(rf"^{mark} and \d+ more$", text, re.MULTILINE)
    assert "Started 2026-03-02 09:14 +00:00 (1 min ago)" in text
    assert text.replace("\n\n" + "警报" * 50, "").endswith(LINKS)


@pytest.mark.parametrize("time", [FIRST_YEAR, LAST_YEAR])
@pytest.mark.parametrize("kind", ROBOTS)
def test_a_time_at_the_end_of_the_calendar_is_stated(kind, time):
    started = f"Started {time[:10]} {time[11:16]} +00:00"
    assert started in text_of(body_about(kind, {"starts_at": time}))
    assert f"{started}, ended " in text_of(
        body_about(kind, {"starts_at": time, "ends_at": time}, closed=True)
    )


def test_the_keyword_of_dingtalk_is_added_where_it_is_missing():
    assert text_of(body_about("dingtalk", MINIMAL, keyword="警报")).endswith(" DiskFull\n\n警报")
    assert text_of(body_about("dingtalk", MINIMAL, keyword="Disk")).endswith(" DiskFull")
