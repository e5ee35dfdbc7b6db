"""The links of a message: which texts are links, their names, and their order."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kind_support import AT

from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.links import OPEN_IN_TOCSIN, texts_without_link
from delivery.event import Event
from delivery.guard.url import MAX_LINK_LENGTH, first_link, to_link
from delivery.installation import Installation
from delivery.settings import Settings

SOURCE = "https://prom.example/graph"
WIKI = "https://wiki.example/run_books"
PANEL = "https://grafana.example/d/1?viewPanel=2"
BOARD = "https://grafana.example/d/1"
SILENCE = "https://grafana.example/alerting/silence/new"
REACHABLE = Installation("1nsta11ed", "https://tocsin.example")


def links_of(installation=REACHABLE, is_test=False, closed=False, **parts):
    """Return the links that a message of the alert with these parts shows, as pairs."""
    status = "closed" if closed else "open"
    alert = Alert.from_json({"id": "4711", "status": status, **parts})
    text = AlertText(Event(alert, 1, AT, is_test=is_test), Settings(), installation)
    return list(map(tuple, text.links))


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://wiki.example/a_b", "https://wiki.example/a_b"),
        (" https://wiki.example/a\n", "https://wiki.example/a"),
        ("https://wiki.example/a b", "https://wiki.example/a%20b"),
        ("https://wiki.example/a\nb", "https://wiki.example/a%0Ab"),
        ("https://wiki.example/a(b)*~'\"", "https://wiki.example/a%28b%29*~%27%22"),
        ("https://wiki.example/<x>|`\\", "https://wiki.example/%3Cx%3E%7C%60%5C"),
        ("https://wiki.example/%zz%41", "https://wiki.example/%25zz%41"),
        ("https://wiki.example/ü?q=ü#ü", "https://wiki.example/%C3%BC?q=%C3%BC#%C3%BC"),
        ("HTTPS://Wiki.EXAMPLE:443/A", "https://wiki.example/A"),
        ("http://wiki.example:80", "http://wiki.example/"),
        ("http://grafana:3000/d?from={{x}}", "http://grafana:3000/d?from=%7B%7Bx%7D%7D"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://[::1]:9093/x", "https://[::1]:9093/x"),
        ("https://wiki.example?x=1", "https://wiki.example?x=1"),
        ("http://prom.example/graph?q=rate(x[5m])", "http://prom.example/graph?q=rate%28x[5m]%29"),
    ],
)
def test_a_url_is_encoded_before_it_is_judged(text, url):
    assert to_link(text) == url
    assert to_link(url) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "see the wiki", "/runbooks/x", "//wiki.example/x", "www.wiki.example"),
        *("javascript:alert(1)", "data:text/html,x", "ftp://wiki.example/", "mailto:a@b.example"),
        *("https://", "https:///x", "https://[bad/x", "https://a b.example/", "https://-/"),
        *("https://wiki.example:0/", "https://wiki.example:99999/", "https://wiki.example\\x"),
        *("<https://wiki.example/x>", "[wiki](https://wiki.example/x)", "see https://wiki.example"),
        *("https://wiki.example/" + "x" * 2**16, "https://" + "x" * 2**16, "x" * 2**16),
        *("https://wiki.example/" + "ü" * 1000, "https://user:pass@", "https://xn--a/"),
        *("https://user:pass@wiki.example/x", "https://user@wiki.example/x"),
    ],
)
def test_any_other_text_is_no_link(text):
    assert to_link(text) == ""


@given(
    st.text() | st.text().map("https://wiki.example/".__add__) | st.text().map("http://".__add__)
)
def test_every_link_can_stand_in_any_markup(text):
    url = to_link(text)
    assert re.fullmatch(r"(https?://[!#-&*-;=?-\[\]_a-z~]+)?", url)
    assert len(url) <= MAX_LINK_LENGTH
    assert to_link(url) == url


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["", SOURCE], SOURCE),
        ([SOURCE, WIKI], SOURCE),
        (["see the wiki", "/graph", WIKI, SOURCE], WIKI),
        (["https://[bad/", "HTTPS://Wiki.EXAMPLE/ü"], "HTTPS://Wiki.EXAMPLE/ü"),
        (["", "see the wiki", "/graph"], "see the wiki"),
        (["", ""], ""),
        ([], ""),
    ],
)
def test_the_first_absolute_url_is_the_link(texts, found):
    assert first_link(*texts) == found


def test_links_are_named_for_their_targets_in_the_order_of_their_use():
    found = links_of(
        url=SOURCE,
        links={"silence": SILENCE, "dashboard": BOARD, "panel": PANEL},
        annotations={"runbook_url": WIKI},
    )
    assert found == [
        ("Source", SOURCE),
        ("Runbook", WIKI),
        ("Panel", PANEL),
        ("Dashboard", BOARD),
        ("Silence in Grafana", SILENCE),
        ("Open in Tocsin", "https://tocsin.example/alerts/4711"),
    ]


@pytest.mark.parametrize(
    ("annotations", "url"),
    [
        ({"runbook_url": WIKI}, WIKI),
        ({"runbook": WIKI}, WIKI),
        ({"runbook_url": "see the wiki", "runbook": WIKI}, WIKI),
        ({"runbook_url": WIKI, "runbook": "see the wiki"}, WIKI),
        ({"runbook_url": f" {WIKI} "}, WIKI),
    ],
)
def test_a_runbook_is_found_under_both_names(annotations, url):
    assert ("Runbook", url) in links_of(annotations=annotations)


def test_a_link_of_the_source_counts_before_an_annotation():
    found = links_of(links={"panel": PANEL}, annotations={"panel_url": BOARD})
    assert ("Panel", PANEL) in found
    found = links_of(links={"panel": "none"}, annotations={"panel_url": BOARD})
    assert ("Panel", BOARD) in found


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ({"url": WIKI, "annotations": {"runbook_url": WIKI}}, ["Source"]),
        ({"url": PANEL, "links": {"panel": PANEL}}, ["Panel"]),
        ({"url": BOARD, "links": {"dashboard": BOARD, "panel": PANEL}}, ["Panel", "Dashboard"]),
        ({"links": {"panel": BOARD, "dashboard": BOARD}}, ["Panel"]),
        ({"url": "HTTPS://Wiki.example/a b", "links": {"runbook": "x"}}, ["Source"]),
        (
            {"url": "https://wiki.example", "annotations": {"runbook": "HTTPS://WIKI.example/"}},
            ["Source"],
        ),
        ({"url": "https://tocsin.example/alerts/4711"}, ["Source"]),
    ],
)
def test_each_url_is_shown_once(parts, names):
    found = links_of(**parts)
    assert [name for name, _ in found if name != "Open in Tocsin"] == names
    assert len({url for _, url in found}) == len(found)


@pytest.mark.parametrize("alert_id", ["", "abc", "47/11", "-1", "٣", "9" * 2**16, "1?x=2"])
def test_no_link_leads_to_a_page_that_cannot_exist(alert_id):
    assert links_of(id=alert_id) == []


def test_nothing_leads_to_tocsin_without_its_public_url():
    assert links_of(Installation("1nsta11ed"), url=SOURCE) == [("Source", SOURCE)]
    assert links_of(Installation("1nsta11ed")) == []


def test_the_link_of_a_test_leads_to_tocsin():
    url = "https://tocsin.example/channels/1"
    assert links_of(is_test=True, url=url) == [("Open in Tocsin", url)]
    assert links_of(is_test=True, url="") == []


def test_a_resolution_has_one_link():
    parts = {"url": SOURCE, "annotations": {"runbook_url": WIKI}}
    assert links_of(closed=True, **parts) == [("Source", SOURCE)]
    assert links_of(closed=True, annotations={"runbook_url": WIKI}) == [("Runbook", WIKI)]
    assert links_of(closed=True) == [("Open in Tocsin", "https://tocsin.example/alerts/4711")]


def test_links_that_are_too_long_for_a_vendor_are_left_out():
    annotations = {"runbook_url": WIKI + "/" + "x" * 500}
    alert = Alert.from_json({"url": SOURCE, "annotations": annotations})
    text = AlertText(Event(alert, 1, AT))
    assert [link.name for link in text.links_within(512)] == ["Source"]
    assert [link.name for link in text.links_within(1000)] == ["Source", "Runbook"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("see the wiki", True),
        ("/graph?g0.expr=up", True),
        ("[wiki](https://wiki.example)", True),
        ("https://[bad/x", True),
        (WIKI, False),
        (f" {WIKI}", False),
        ("HTTPS://user:pass@wiki.example", False),
        ("https://user:pass@[bad/x", False),
        ("", False),
        ("https://wiki.example/" + "x" * MAX_LINK_LENGTH, False),
        ("x" * 2**16, True),
    ],
)
def test_a_text_that_is_no_link_is_kept_as_a_text(text, kept):
    alert = Alert(url=text, annotations={"runbook_url": text})
    assert list(texts_without_link(alert).values()) == [text, text] * kept


@pytest.mark.parametrize(
    ("url", "links", "names"),
    [
        (SOURCE, {"panel": f"{SOURCE}/p"}, ["Source", "Runbook", "Panel"]),
        (
            "",
            {"panel": f"{SOURCE}/p", "dashboard": f"{SOURCE}/d"},
            ["Panel", "Runbook", "Dashboard"],
        ),
        (f"{SOURCE}/p", {"panel": f"{SOURCE}/p"}, ["Panel", "Runbook"]),
        ("/relative", {"dashboard": f"{SOURCE}/d"}, ["Dashboard", "Runbook"]),
        ("", {}, ["Runbook"]),
    ],
)
def test_the_first_link_shows_the_alert_at_its_source(url, links, names):
    found = links_of(url=url, links=links, annotations={"runbook_url": WIKI})
    assert [name for name, _url in found if name != OPEN_IN_TOCSIN] == names
