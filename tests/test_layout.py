"""A message that is one text: what stays, what is cut, and how the parts are set apart."""

import re

import pytest
from alert_samples import INSTALLATION, LAG
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_support import AT, text_of

from clock import MINUTE
from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.content.layout import FIRST_FACTS, MAX_FACTS, Markup, lay_out
from delivery.content.links import Link
from delivery.escaping import break_markdown, escape_html
from delivery.event import Event
from delivery.settings import Settings
from delivery.text import MARK, json_length, utf8_length, utf16_length

PLAIN = Markup()
HTML = Markup(escape=escape_html, link='<a href="{0.url}">{0.name}</a>'.format)
LISTS = Markup(
    escape=break_markdown,
    fact="- {}: {}".format,
    more="- {}".format,
    line="\n\n",
    link="[{0.name}]({0.url})".format,
    link_separator=" · ",
)
TITLE = "CRITICAL PostgresReplicationLag"
SUMMARY = "Replication lag is 48 s and rising"
STARTED = "Started 2026-03-02 09:03 +00:00 (12 min ago)"
SOURCE = Link("Source", "https://prometheus.example/graph")
RUNBOOK = Link("Runbook", "https://wiki.example/lag")
TOO_LONG = Link("Panel", "https://grafana.example/" + "p" * 5000)
LINKS = [SOURCE, RUNBOOK]
LABELS = {"pod": "pg-0", "namespace": "data", "service": "postgres", "team": "db"}


def alert(description="", count=0, summary=SUMMARY, closed=False, **labels):
    """Return an alert with these texts, these labels, and so many more labels."""
    more = {f"label_{number:03}": f"value_{number}" for number in range(count)}
    return text_of(
        name="PostgresReplicationLag",
        status="closed" if closed else "open",
        labels={"severity": "critical", "host": "db-2", **labels, **more},
        annotations={"summary": summary, "description": description},
        starts_at=AT - 12 * MINUTE,
        ends_at=AT,
    )


def laid_out(text, maximum=1000, markup=PLAIN, measure=utf16_length, title=TITLE, links=LINKS):
    result = lay_out(text, markup, maximum, measure, title, links)
    assert measure(result) <= maximum
    return result


def hidden_facts(result):
    """Return how many facts the text says are left out."""
    found = re.search(r"and ([\d,]+) more", result)
    return int(found[1].replace(",", "")) if found else 0


def test_the_parts_stand_in_one_order_and_are_set_apart():
    assert laid_out(alert("Reads are stale.\nFail over.", pod="pg-0", team="db")) == (
        f"{TITLE}\n{SUMMARY}\n\n"
        "Reads are stale.\nFail over.\n\n"
        "pod: pg-0\nteam: db\n\n"
        f"{STARTED}\nSource: {SOURCE.url}\nRunbook: {RUNBOOK.url}"
    )


def test_a_markup_decides_how_each_part_is_written():
    text = alert("First.\nSecond.", count=20, pod="pg-0")
    assert laid_out(text, 500, LISTS).startswith(
        f"{TITLE}\n\n{SUMMARY}\n\nFirst.\n\nSecond.\n\n- pod: pg-0\n- label_000: value_0\n"
    )
    assert laid_out(text, 500, LISTS).endswith(
        f"more\n\n{STARTED}\n\n[Source]({SOURCE.url}) · [Runbook]({RUNBOOK.url})"
    )
    assert "\n- and " in laid_out(text, 500, LISTS)


def test_a_resolution_has_no_description_and_no_facts():
    assert laid_out(alert("Reads are stale.", closed=True, **LABELS), links=[SOURCE]) == (
        f"{TITLE}\nWas critical: {SUMMARY}\n\n"
        f"Started 2026-03-02 09:03 +00:00, ended 09:15 +00:00\nSource: {SOURCE.url}"
    )


@pytest.mark.parametrize(
    ("text", "title", "links", "expected"),
    [
        (text_of(name="x"), "", [], ""),
        (text_of(name="x"), "FIRING x", [], "FIRING x"),
        (text_of(name="x"), "", [SOURCE], f"Source: {SOURCE.url}"),
        (text_of(annotations={"summary": "s"}), "", [], "s"),
        (text_of(annotations={"summary": "s"}), "t", [], "t\ns"),
        (text_of(labels={"host": "h", "pod": "p"}), "t", [], "t\n\npod: p"),
    ],
)
def test_parts_that_are_missing_leave_no_blank_lines(text, title, links, expected):
    assert laid_out(text, title=title, links=links) == expected


@pytest.mark.parametrize("maximum", [400, 1000, 4096])
@pytest.mark.parametrize("markup", [PLAIN, HTML, LISTS])
@pytest.mark.parametrize("measure", [utf16_length, utf8_length, json_length])
def test_the_description_gets_what_the_other_parts_leave(maximum, markup, measure):
    result = laid_out(alert("word " * 13_000, **LABELS), maximum, markup, measure)
    for part in (TITLE, SUMMARY, *LABELS.values(), STARTED, SOURCE.url, RUNBOOK.url):
        assert part in result
    assert result.count(MARK) == 1
    assert measure(result) > maximum - 20


@pytest.mark.parametrize(
    ("count", "maximum", "shown"),
    [
        (0, 1000, 4),
        (4, 1000, 8),
        (8, 1000, MAX_FACTS),
        (9, 1000, MAX_FACTS),
        (190, 4096, MAX_FACTS),
        (190, 350, 9),
        (190, 250, FIRST_FACTS),
    ],
)
def test_facts_are_capped_and_the_others_are_counted(count, maximum, shown):
    text = alert(count=count, **LABELS)
    result = laid_out(text, maximum)
    facts = [fact for fact in text.facts if f"{fact.name}: {fact.value}" in result]
    assert facts == text.facts[: len(facts)]
    assert len(facts) == shown
    assert hidden_facts(result) == len(text.facts) - shown


def test_facts_use_the_room_that_a_short_description_leaves():
    long_values = {name: name * 12 for name in LABELS}
    text = alert("Reads are stale.", **long_values)
    assert not hidden_facts(laid_out(text, 650))
    assert hidden_facts(laid_out(alert("Reads are stale. " * 99, **long_values), 650))


@pytest.mark.parametrize("letter", ["v", "語", "🔔", "&", '"'])
@pytest.mark.parametrize("measure", [utf16_length, utf8_length, json_length])
def test_the_first_facts_are_cut_before_one_is_left_out(letter, measure):
    huge = dict.fromkeys(LABELS, letter * 3000)
    result = laid_out(alert("d" * 9000, **huge), 1000, HTML, measure)
    names = re.findall("^(pod|namespace|service|team): ", result, re.MULTILINE)
    assert names == ["pod", "namespace", "service"]
    assert hidden_facts(result) == 1
    assert STARTED in result


def test_an_enormous_summary_is_cut_and_displaces_nothing():
    text = alert("Reads are stale.", summary="summary " * 2000, count=9, **LABELS)
    result = laid_out(text)
    for part in (TITLE, "pod: pg-0", "service: postgres", STARTED, SOURCE.url, RUNBOOK.url):
        assert part in result
    assert len(re.findall("summary", result)) > 50
    assert hidden_facts(result) == 10


def test_a_long_summary_is_whole_where_there_is_room_for_it():
    summary = "summary " * 60
    assert summary.strip() in laid_out(alert("d" * 9000, summary=summary, **LABELS))


@pytest.mark.parametrize(
    ("links", "shown"),
    [
        ([TOO_LONG, SOURCE], [SOURCE]),
        ([SOURCE, TOO_LONG, RUNBOOK], [SOURCE, RUNBOOK]),
        ([TOO_LONG], []),
        ([], []),
    ],
)
def test_a_link_that_is_too_long_displaces_no_other(links, shown):
    result = laid_out(alert("d" * 9000, **LABELS), links=links)
    assert [link for link in links if link.url in result] == shown
    assert "Panel" not in result


def test_many_links_leave_half_of_the_room_to_the_summary():
    links = [Link(f"Link {number}", f"https://h.example/{'x' * 150}") for number in range(9)]
    result = laid_out(alert("d" * 9000, **LABELS), links=links)
    assert SUMMARY in result
    assert "Link 0: " in result
    assert "service: postgres" in result


def test_a_title_that_is_too_long_is_left_out():
    assert TITLE not in laid_out(alert(), maximum=20)
    assert SUMMARY[:10] in laid_out(alert(), maximum=20, links=())


@pytest.mark.parametrize("maximum", range(0, 260, 7))
def test_no_room_is_too_small(maximum):
    for markup in (PLAIN, HTML, LISTS):
        for text in (alert("d & " * 99, count=9, **LABELS), alert(closed=True), text_of()):
            laid_out(text, maximum, markup, json_length)


def test_a_group_shows_the_lines_that_fit_and_counts_the_others():
    events = [
        Event(Alert.from_json({"name": f"Rule {number}", "labels": {"cluster": "eu"}}), 1, AT)
        for number in range(300)
    ]
    group = text_of_group(events, "rules", Settings(), INSTALLATION)
    result = laid_out(group, 500, title=group.title, links=group.links)
    lines = result.splitlines()
    shown = [line for line in lines if re.fullmatch(r"FIRING Rule \d+ · eu", line)]
    assert len(shown) > 5
    assert f"and {300 - len(shown)} more" in lines
    assert lines[-1] == "Open in Tocsin: https://tocsin.example/alerts"


_WORDS = ["lag", "db-2", "語", "🔔", "a&b", '"x"', "<b>", "*", "C:\\temp", "50 %", "- ", "x" * 20]
_MARKUPS = [PLAIN, HTML, LISTS]
_MEASURES = [utf16_length, utf8_length, json_length]


def words(most, least=1):
    """Return a strategy of texts of ordinary length."""
    return st.lists(st.sampled_from(_WORDS), min_size=least, max_size=most).map(" ".join)


_labels = st.dictionaries(st.sampled_from([f"label_{n}" for n in range(40)]), words(2))
_paths = st.text("abc/_%20", max_size=60)
_ordinary = st.fixed_dictionaries(
    {
        "name": words(2),
        "labels": st.builds(dict.__or__, _labels, st.fixed_dictionaries({"host": words(2)})),
        "summary": words(5),
        "description": words(5, 0),
        "repeats": st.sampled_from([1, 40, 900]),
        "paths": st.lists(_paths, max_size=5),
        "closed": st.booleans(),
    }
)


def _text_of(parts):
    annotations = {
        "summary": parts["summary"],
        "description": f"{parts['description']}\n" * parts["repeats"],
    }
    members = {
        "name": parts["name"],
        "labels": parts["labels"],
        "annotations": annotations,
        "status": "closed" if parts["closed"] else "open",
        "starts_at": AT - MINUTE,
    }
    return AlertText(Event(Alert.from_json(members), 1, AT))


def _links_of(parts):
    return [Link(f"Link {n}", f"https://h.example/{path}") for n, path in enumerate(parts["paths"])]


@settings(deadline=None, max_examples=300)
@given(
    _ordinary,
    st.sampled_from(_MARKUPS),
    st.sampled_from(_MEASURES),
    st.one_of(st.integers(1000, 1100), st.integers(1000, 20_000)),
)
def test_parts_of_ordinary_length_are_never_cut_however_long_the_description_is(
    parts, markup, measure, maximum
):
    text = _text_of(parts)
    links = [
        Link(f"Link {n}", f"https://h.example/{path}") for n, path in enumerate(parts["paths"])
    ]
    title = text.title_within(maximum // 2, measure, markup.escape)
    result = laid_out(text, maximum, markup, measure, title, links)
    first = [markup.write_fact(fact) for fact in text.facts[:FIRST_FACTS]]
    kept = [title, markup.paragraph(text.summary), *first, markup.write_times(text.times)]
    for part in kept + [markup.link(link) for link in links[:1]]:
        assert part in result
    shown = [fact for fact in text.facts if f"\n{markup.write_fact(fact)}\n" in f"\n{result}\n"]
    assert hidden_facts(result) == len(text.facts) - len(shown)


@settings(deadline=None, max_examples=200)
@given(_ordinary, st.sampled_from(_MARKUPS), st.sampled_from(_MEASURES), st.integers(0, 999))
def test_no_message_is_longer_than_the_maximum(parts, markup, measure, maximum):
    links = [
        Link(f"Link {n}", f"https://h.example/{path}") for n, path in enumerate(parts["paths"])
    ]
    laid_out(_text_of(parts), maximum, markup, measure, parts["name"], links)


def test_the_title_and_the_texts_of_an_alert_are_escaped_and_urls_are_not():
    text = AlertText(Event(Alert.from_json(LAG), 1, AT), Settings(), INSTALLATION)
    result = laid_out(text, 1000, HTML, title="<b>t</b>", links=text.links)
    assert "<b>t</b>\nReplication lag is 48 s &amp; rising" in result
    assert '<a href="https://wiki.example/run_books/lag">Runbook</a>' in result
