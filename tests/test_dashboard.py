"""The dashboard: the verdict, the numbers and their links, the charts, and the poll."""

import re

import pytest
from browsing import open_page, violations
from test_deliveries import create_alert, create_channel, rows_in, visible_text
from test_log import deliver

from clock import DAY, HOUR, MINUTE, now_ms
from models import Activity, Alert, Channel, DelayCount, db
from web.dashboard import queries
from web.dashboard.charts import HOURS, HourlyCount, Look, bars, fill_hours, look_of, strip

NOW = 1_790_000_000_000 // HOUR * HOUR + 20 * MINUTE


def channel(name="Ops", **columns):
    row = create_channel(name)
    columns = {"attempted_at": now_ms(), **columns}
    Channel.update(columns).where(Channel.id == row.id).execute()
    return row


def verdict(page):
    return re.search(r'<h1 id="verdict"[^>]*>([^<]*)</h1>', page)[1]


def text_of(page, mark):
    """Return the text of a card on one line."""
    return visible_text(re.search(rf'<li id="{mark}".*?</li>', page, re.DOTALL)[0])


# --- the verdict ---


def test_a_new_installation_is_led_through_its_first_steps(client):
    page = client.get("/").text
    assert verdict(page) == "Welcome to Tocsin"
    assert page.count('<li class="done">') == 0
    for path in ("/channels/new", "/lab", "/tokens", "/deliveries"):
        assert f'href="{path}"' in page.split('id="steps-heading"')[1]
    channel()
    client.post("/tokens", data={"name": "prometheus", "scope": ["ingest"]})
    assert client.get("/").text.count('<li class="done">') == 2
    deliver(1)
    assert "First steps" not in client.get("/").text


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([{}], "Notifications are getting through"),
        ([{"attempted_at": None}], "No channel has been used yet"),
        ([{}, {"attempted_at": None}], "Notifications are getting through"),
        ([{"trouble_since": 1}], "1 of 1 channel is not getting through"),
        ([{}, {"state": "failing"}], "1 of 2 channels is not getting through"),
        ([{"state": "failing"}] * 2, "2 of 2 channels are not getting through"),
        ([{"state": "paused"}], "No channel delivers"),
        ([{"state": "paused"}, {"attempted_at": None}], "No channel delivers"),
    ],
)
def test_the_heading_says_whether_notifications_arrive(client, channels, expected):
    for number, columns in enumerate(channels):
        channel(f"C{number}", **columns)
    page = client.get("/").text
    assert verdict(page) == expected
    assert 'id="channel-health"' not in page  # the heading says it


# --- numbers ---


def test_every_number_links_to_the_list_behind_it(client):
    ops = channel()
    for number, state in enumerate(["pending", "held", "failed", "parked", "delivered"], 1):
        deliver(number, to=ops, state=state, due_at=now_ms() - 3 * MINUTE)
    deliver(9, to=ops, state="failed", ago=2 * DAY)
    Activity.create(
        hour=queries._first_hour(now_ms()), channel_id=1, delivered=7, retried=1, failed=1
    )
    page = client.get("/").text
    assert text_of(page, "number-waiting") == "2 waiting the oldest was due 3 minutes ago"
    assert text_of(page, "number-delivered") == "7 delivered in the last 24 hours"
    assert text_of(page, "number-problems") == "2 did not arrive in the last 24 hours"
    for link, expected in (
        ("/deliveries?state=waiting", 2),
        ("/deliveries?state=problems&since=24h", 2),
    ):
        assert f'href="{link.replace("&", "&amp;")}"' in page
        assert len(rows_in(client.get(link).text)) == expected
    assert [state for _, state in rows_in(page)] == ["parked", "failed"]


def test_an_editor_can_redeliver_what_did_not_arrive(client, viewer):
    deliver(1, to=channel(), state="failed")
    link = "/deliveries/replay?state=problems&since=24h"
    assert f'href="{link.replace("&", "&amp;")}"' in client.get("/").text
    assert "1 delivery matches." in client.get(link).text
    assert "/deliveries/replay" not in viewer.get("/").text


def test_the_delay_is_that_of_the_last_24_hours(client):
    channel()
    assert "no delivery in 24 hours" in text_of(client.get("/").text, "number-delay")
    first = queries._first_hour(now_ms())
    DelayCount.create(hour=first, bucket=10, number=90)
    DelayCount.create(hour=first, bucket=40, number=10)
    DelayCount.create(hour=first - HOUR, bucket=60, number=500)
    assert text_of(client.get("/").text, "number-delay") == "9.3 ms median delay 95 % within 7.5 s"


def test_open_alerts_are_counted_by_severity_with_a_shape(client):
    channel()
    for urgency, status in ((0, "open"), (0, "open"), (3, "open"), (0, "closed")):
        row = create_alert(status=status)
        Alert.update(urgency=urgency).where(Alert.id == row.id).execute()
    page = client.get("/").text
    assert text_of(page, "number-alerts") == "3 open alerts 2 critical 1 info"
    assert "/alerts?status=open&amp;severity=critical" in page


# --- charts ---


@pytest.mark.parametrize(
    ("counts", "look"),
    [
        ((0, 0, 0), Look.QUIET),
        ((5, 0, 0), Look.GOOD),
        ((5, 1, 0), Look.MIXED),
        ((5, 0, 1), Look.MIXED),
        ((0, 1, 0), Look.BAD),
        ((0, 0, 1), Look.BAD),
    ],
)
def test_an_hour_looks_as_its_attempts_went(counts, look):
    assert look_of(HourlyCount(NOW, *counts)) == look


def test_hours_without_attempts_have_a_place_and_older_ones_have_none():
    latest = NOW - 20 * MINUTE
    hours = fill_hours([HourlyCount(latest, 1), HourlyCount(latest - 24 * HOUR, 9)], NOW)
    assert len(hours) == HOURS
    assert hours[-1] == HourlyCount(latest, 1)
    assert hours[0] == HourlyCount(latest - 23 * HOUR)


def test_bars_fit_and_a_single_delivery_is_visible():
    found = bars([HourlyCount(1, 9999, 0, 1), HourlyCount(2, 1), HourlyCount(3, 0, 4, 0)])
    assert all(0 <= bar.delivered + bar.failed <= 100 for bar in found)
    assert found[0].failed >= 2
    assert found[1].delivered >= 2
    assert (found[2].delivered, found[2].failed) == (0, 0)
    assert bars([HourlyCount(1)])[0].delivered == 0


def test_a_strip_is_described_in_words():
    assert strip([HourlyCount(NOW)]).text == "No attempt in the last 24 hours."
    hours = [HourlyCount(NOW - HOUR, 4, 2, 1), HourlyCount(NOW, 1000)]
    assert strip(hours).text == (
        "Last 24 hours: 1,004 delivered, 1 failed, 2 attempts repeated; "
        "the last trouble was in the hour from 2026-09-21 13:20 UTC."
    )


def test_channels_in_trouble_come_first_and_the_rest_is_a_link(client, monkeypatch):
    for name, columns in (
        ("A", {}),
        ("B", {"attempted_at": None}),
        ("C", {"trouble_since": now_ms() - HOUR, "trouble": "It answered 503."}),
        ("D", {"state": "failing"}),
    ):
        channel(name, **columns)
    monkeypatch.setattr(queries, "MAX_CHANNELS", 3)
    page = client.get("/").text
    names = re.findall(r'<li id="health-\d+" data-health="(\w+)"', page)
    assert names == ["failing", "retrying", "ok"]
    assert "It answered 503." in page
    assert "Enter the new URL and save" in page
    assert "All 4 channels" in page
    for health in ("failing", "retrying", "ok", "unused"):
        assert f'href="/channels?health={health}"' in page


def test_the_chart_has_a_table_with_links_to_the_hours(client):
    ops = channel()
    hour = queries._first_hour(now_ms())
    Activity.create(hour=hour, channel_id=ops.id, delivered=3, retried=2, failed=1)
    Activity.create(hour=hour, channel_id=99, delivered=1, retried=0, failed=0)
    page = client.get("/").text
    row = re.search(r"<tbody>.*?</tbody>", page, re.DOTALL)[0]
    assert visible_text(row).endswith("UTC 4 2 1")
    assert client.get(re.search('href="([^"]+)"', row)[1].replace("&amp;", "&")).status_code == 200


# --- the poll ---


def poll_of(page):
    found = re.search(r'hx-get="(/pulse[^"]+)" hx-trigger="every 5s"', page)
    return found and found[1].replace("&amp;", "&")


def test_the_dashboard_polls_only_while_something_waits(client):
    ops = channel()
    deliver(1, to=ops, state="held")
    assert poll_of(client.get("/").text) is None
    deliver(2, to=ops, state="pending")
    poll = poll_of(client.get("/").text)
    assert client.get(poll).status_code == 204
    db.execute_sql("UPDATE delivery SET state = 'delivered' WHERE state = 'pending'")
    changed = client.get(poll)
    assert changed.status_code == 200
    assert changed.text.strip().startswith('<div id="dashboard">')
    assert poll_of(changed.text) is None


def test_a_poll_without_a_change_takes_one_query_beside_that_of_the_sign_in(client, monkeypatch):
    deliver(1, to=channel(), state="pending")
    poll = poll_of(client.get("/").text)
    statements = []
    execute = type(db.obj).execute_sql

    def record(database, sql, *arguments, **named):
        statements.append(sql)
        return execute(database, sql, *arguments, **named)

    monkeypatch.setattr(type(db.obj), "execute_sql", record)
    assert client.get(poll).status_code == 204
    of_poll = [sql for sql in statements if "login" not in sql]
    assert of_poll == [queries._PULSE]


def test_damaged_rows_break_no_dashboard(client):
    ops = channel(proof="?", kind="?", state="?", proven_at=-(2**62), trouble_since=2**62)
    deliver(1, to=ops, state="failed", cause="")
    Activity.create(
        hour=queries._first_hour(now_ms()), channel_id=ops.id, delivered=-1, retried=0, failed=0
    )
    assert client.get("/").status_code == 200


# --- in a browser ---


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dashboard_has_no_violation_and_fits(chromium, live, width, scheme):
    page = open_page(chromium, live, width=width, scheme=scheme)
    page.goto(f"{live.url}/")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
