"""The lists of deliveries and alerts: filters in the address, pages, counts, searches."""

import re

import pytest
from browsing import open_page
from test_deliveries import (
    create_alert,
    create_attempt,
    create_channel,
    create_delivery,
    rows_in,
    visible_text,
)

from clock import DAY, HOUR, MINUTE, now_ms
from delivery import outbox
from delivery.alerts import alert as received
from delivery.alerts.received import ReceivedAlert
from delivery.content.severity import urgency_of
from delivery.log import search, slices
from models import Alert, Channel
from web.deliveries import alert_list, log


def deliver(number, name="Disk full", ago=0, labels=None, annotations=None, **columns):
    """Create a delivery of a new alert to a channel; `ago` is in milliseconds."""
    alert = create_alert(name, labels=labels or {}, annotations=annotations or {})
    Alert.update(urgency=urgency_of(labels or {})).where(Alert.id == alert.id).execute()
    to = columns.pop("to", None) or Channel.get_or_none() or create_channel()
    identifier = (now_ms() - ago) * search.ID_PER_MS + number
    return create_delivery(columns.pop("state", "delivered"), to, alert, identifier, **columns)


def listed(client, query=""):
    """Return the numbers that the listed deliveries were created with, and check their order."""
    response = client.get(f"/deliveries?{query}")
    assert response.status_code == 200
    ids = [int(mark.removeprefix("msg_")) for mark, _ in rows_in(response.text)]
    assert ids == sorted(ids, reverse=True)
    return {number % search.ID_PER_MS for number in ids}


@pytest.fixture
def deliveries(client):
    deliver(1, "Disk full", labels={"severity": "critical", "team": "db"}, state="failed")
    deliver(2, "Latency", ago=2 * HOUR, labels={"severity": "warning", "team": "web"})
    deliver(3, "Disk slow", ago=3 * DAY, annotations={"summary": "RAID on Straße"}, cause="Zap.")
    deliver(4, "Backup", ago=9 * DAY, labels={"severity": "P3"}, state="parked")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {1, 2, 3, 4}),
        ("state=problems", {1, 4}),
        ("since=1h", {1}),
        ("since=1d", {1, 2}),
        ("since=7d&until=90m", {2, 3}),
        ("until=3h", {3, 4}),
        ("severity=critical", {1}),
        ("severity=warning", {2, 4}),
        ("severity=error", {3}),
        ("matchers=team%3D%22db%22", {1}),
        ("matchers=team%3D~%22db|web%22", {1, 2}),
        ("matchers=team%3D%22%22", {3, 4}),
        ("matchers=alertname%3D~%22Disk.*%22", {1, 3}),
        ("q=disk", {1, 3}),
        ("q=STRASSE", {3}),
        ("q=zap", {3}),
        ("q=%20latency%20", {2}),
        ("q=nothing", set()),
        ("q=disk&severity=critical&state=failed&since=1d", {1}),
        ("q=disk&state=delivered", {3}),
    ],
)
def test_filters_can_be_combined(client, deliveries, query, expected):
    assert listed(client, query) == expected


def test_a_date_is_a_time_in_utc(client, deliveries):
    assert listed(client, "since=2001-01-01") == {1, 2, 3, 4}
    assert listed(client, "since=2001-01-01 10:00 UTC&until=2001-01-02T10:00:00Z") == set()


def test_the_reason_is_that_of_the_last_attempt(client):
    first, second = deliver(1), deliver(2)
    create_attempt(first, 1, reason="timeout_total")
    create_attempt(first, 2, reason="dns_failure")
    create_attempt(second, 1, reason="timeout_total")
    assert listed(client, "reason=timeout_total") == {2}
    assert listed(client, "reason=dns_failure") == {1}


@pytest.mark.parametrize("path", ["/deliveries", "/alerts"])
@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("matchers={x", "matchers", "Line 1, column 3: write = != =~ or !~"),
        ("since=yesterday", "since", "Enter a time such as 2h, 7d or"),
        ("until=99999999h", "until", "Enter a time such as 2h, 7d or"),
        (f"q={'x' * 201}", "q", "Enter at most 200 characters."),
    ],
)
def test_a_filter_that_cannot_be_used_has_a_message_and_lists_nothing(
    client, deliveries, path, query, field, message
):
    response = client.get(f"{path}?{query}")
    assert response.status_code == 422
    assert f'id="{field}-error">{message}' in response.text
    assert 'aria-invalid="true"' in response.text
    assert "Nothing is listed" in response.text
    assert "<ul" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/deliveries?severity=loud",
        "/deliveries?reason=bad",
        "/deliveries?found=x",
        "/alerts?status=ajar",
        "/alerts?severity=loud",
        "/alerts?before=7",
    ],
)
def test_an_address_that_no_form_makes_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_the_filters_stay_in_the_form_and_in_the_links(client, deliveries, monkeypatch):
    monkeypatch.setattr(log, "PAGE_SIZE", 1)
    page = client.get("/deliveries?state=problems&since=30d&channel=1").text
    assert '<option value="problems" selected>' in page
    assert 'name="since" value="30d"' in page
    assert re.search(r'rel="next" href="[^"]*state=problems[^"]*since=30d', page)
    assert "state=waiting&amp;channel=1&amp;since=30d" in page


def test_pages_are_stable_while_new_deliveries_come(client, monkeypatch):
    monkeypatch.setattr(log, "PAGE_SIZE", 3)
    for number in range(1, 8):
        deliver(number, ago=(10 - number) * MINUTE)
    first = client.get("/deliveries").text
    deliver(8)
    older = re.search(r'rel="next" href="([^"]+)"', first)[1]
    second = client.get(older).text
    numbers = [
        [int(mark[4:]) % search.ID_PER_MS for mark, _ in rows_in(page)] for page in (first, second)
    ]
    assert numbers == [[7, 6, 5], [4, 3, 2]]
    last = client.get(re.search(r'rel="next" href="([^"]+)"', second)[1]).text
    assert len(rows_in(last)) == 1
    assert 'rel="next"' not in last
    assert "No older delivery matches" in client.get("/deliveries?before=1").text


def test_the_number_of_deliveries_is_counted_up_to_a_limit(client, deliveries, monkeypatch):
    assert "4 deliveries, the newest first" in visible_text(client.get("/deliveries").text)
    assert "1 delivery, the newest" in visible_text(client.get("/deliveries?since=1h").text)
    page = visible_text(client.get("/deliveries?since=1d").text)
    assert "none waiting 1 problems" in page
    monkeypatch.setattr(search, "MAX_COUNT", 3)
    assert "more than 3 deliveries" in visible_text(client.get("/deliveries").text)


def search_little(monkeypatch, slice_size):
    """Have each page search one slice of so many rows."""
    monkeypatch.setattr(slices, "SLICE", slice_size)
    monkeypatch.setattr(slices, "MAX_SECONDS", 0)


@pytest.mark.parametrize(
    ("rows", "size", "seconds", "expected", "read"),
    [
        (10, 100, 60, ([8, 4, 0], None), 10),  # until the end
        (10, 1, 60, ([8, 4], 4), 6),  # until the page is full
        (10, 100, 0, ([8], 8), 2),  # until time is up
        (0, 100, 60, ([], None), 0),
    ],
)
def test_a_search_reads_slices_until_it_has_enough(
    monkeypatch, rows, size, seconds, expected, read
):
    monkeypatch.setattr(slices, "SLICE", 2)
    monkeypatch.setattr(slices, "MAX_SECONDS", seconds)
    seen = []

    def read_slice(before, limit):
        seen.extend(found := list(range(before))[::-1][:limit])
        return found

    def accept(numbers):
        return [number for number in numbers if number % 4 == 0]

    assert slices.search_slices(read_slice, accept, rows, size) == expected
    assert len(seen) == read


def test_a_search_says_how_far_it_has_come_and_goes_on_from_there(client, monkeypatch):
    search_little(monkeypatch, 2)
    for number, name in enumerate(["Needle", "Hay", "Hay", "Hay", "Needle"], 1):
        deliver(number, name, ago=(10 - number) * MINUTE)
    page = client.get("/deliveries?q=needle").text
    assert [int(mark[4:]) % search.ID_PER_MS for mark, _ in rows_in(page)] == [5]
    assert "Searching back to 20" in visible_text(page)
    part = client.get(search_address(page), headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert rows_in(part) == []
    last = client.get(search_address(part), headers={"HX-Request": "true"}).text
    assert [int(mark[4:]) % search.ID_PER_MS for mark, _ in rows_in(last)] == [1]
    assert "Search older" not in last


def search_address(page):
    return re.search(r'<li id="search"[^>]* hx-get="([^"]+)"', page)[1].replace("&amp;", "&")


def test_a_search_stops_when_the_page_is_full(client, monkeypatch):
    search_little(monkeypatch, 2)
    monkeypatch.setattr(log, "PAGE_SIZE", 2)
    for number in range(1, 6):
        deliver(number, "Needle" if number > 3 else "Hay", ago=(10 - number) * MINUTE)
    page = client.get("/deliveries?q=needle").text
    assert len(rows_in(page)) == 2
    assert "Searched back to" in visible_text(page)
    assert "hx-get" not in page.split('id="search"')[1].split("</li>")[0]
    assert "Search older" in page


def test_a_part_that_fills_the_page_leads_to_the_older_ones(client, monkeypatch):
    search_little(monkeypatch, 2)
    monkeypatch.setattr(log, "PAGE_SIZE", 1)
    for number, name in enumerate(["Needle", "Needle", "Hay", "Hay"], 1):
        deliver(number, name, ago=(10 - number) * MINUTE)
    page = client.get("/deliveries?q=needle").text
    while not rows_in(page):
        page = client.get(search_address(page), headers={"HX-Request": "true"}).text
    older = re.search('rel="next" href="([^"]+)">Older', page)[1].replace("&amp;", "&")
    assert "found" not in older
    page = client.get(older).text
    assert [int(mark[4:]) % search.ID_PER_MS for mark, _ in rows_in(page)] == [1]


# --- alerts ---------------------------------------------------------------------------------------


def alert(name, status="open", ago=0, severity="warning", **body):
    labels = {"severity": severity, **body.pop("labels", {})}
    row = create_alert(name, status=status, labels=labels, **body)
    row.urgency = urgency_of(labels)
    row.changed_at = now_ms() - ago
    row.save()
    return row


def names_in(page):
    return re.findall(r'href="/alerts/\d+"><bdi>([^<]*)</bdi>', page)


@pytest.fixture
def alerts(client):
    alert("Old", ago=3 * DAY, status="closed")
    alert("Latency", severity="critical", labels={"team": "web"}, ago=5 * MINUTE)
    alert("Disk", labels={"team": "db"}, annotations={"summary": "Full soon"}, ago=2 * HOUR)
    alert("Quiet", severity="info", status="closed", ago=MINUTE)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Quiet", "Latency", "Disk", "Old"]),
        ("status=open", ["Latency", "Disk"]),
        ("status=closed", ["Quiet", "Old"]),
        ("severity=critical", ["Latency"]),
        ("status=open&severity=warning", ["Disk"]),
        ("status=closed&severity=info", ["Quiet"]),
        ("since=1h", ["Quiet", "Latency"]),
        ("until=1h", ["Disk", "Old"]),
        ("matchers=team%3D%22db%22", ["Disk"]),
        ("q=full", ["Disk"]),
        ("q=full&status=closed", []),
    ],
)
def test_alerts_are_filtered_and_the_latest_change_is_first(client, alerts, query, expected):
    assert names_in(client.get(f"/alerts?{query}").text) == expected


def test_pages_of_alerts_follow_each_other(client, monkeypatch):
    monkeypatch.setattr(alert_list, "PAGE_SIZE", 2)
    for number in range(5):
        alert(f"A{number}", ago=MINUTE)
    names, address = [], "/alerts"
    while address:
        page = client.get(address).text
        names += names_in(page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found and found[1]
    assert sorted(names) == ["A0", "A1", "A2", "A3", "A4"]
    assert "No older alert matches" in client.get("/alerts?before=1-1").text


def test_a_search_for_alerts_goes_on(client, alerts, monkeypatch):
    search_little(monkeypatch, 1)
    page = client.get("/alerts?q=full").text
    assert names_in(page) == []
    found = []
    while "<li id=" in page and "search" in page:
        page = client.get(search_address(page), headers={"HX-Request": "true"}).text
        found += names_in(page)
    assert found == ["Disk"]


def test_open_alerts_are_counted_by_severity(client, alerts):
    page = client.get("/alerts").text
    assert "1 open critical 1 open warning" in visible_text(page)
    assert "/alerts?status=open&amp;severity=critical" in page


def test_the_severity_of_an_alert_is_stored_when_it_is_received(app):
    def receive(severity):
        stated = {"name": "A", "status": "open", "labels": {"severity": severity}}
        outbox.store([ReceivedAlert("k", received.Alert.from_json(stated))], now_ms())
        return Alert.get().urgency

    assert [receive(severity) for severity in ("critical", "info", "")] == [0, 3, 1]


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_times_are_in_the_zone_of_the_viewer_with_utc_in_the_title(chromium, live):
    page = open_page(chromium, live, zone="Asia/Kolkata")
    page.goto(f"{live.url}/lab")
    page.evaluate("""() => {
        const text = "Since 2026-03-02 09:15:07 UTC, until 2026-03-02 20:00 UTC.";
        const parts = ["p", "pre"].map((name) => document.createElement(name));
        for (const part of parts) part.textContent = text;
        document.getElementById("main").replaceChildren(...parts);
        localize(document.getElementById("main"));
    }""")
    assert page.inner_text("main p") == "Since 2026-03-02 14:45:07, until 2026-03-03 01:30."
    titles = page.eval_on_selector_all("main time", "all => all.map((one) => one.title)")
    assert titles == ["2026-03-02 09:15:07 UTC", "2026-03-02 20:00 UTC"]
    assert "09:15:07 UTC" in page.inner_text("main pre")
    assert page.complaints == []
