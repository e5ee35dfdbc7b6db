"""The page of an alert: who was notified, why not, what follows, and closing by hand."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from browsing import open_page
from channels import create
from conftest import PASSWORD
from databases import ON_POSTGRESQL
from markup import token_in
from markupsafe import Markup, escape
from test_deliveries import HOSTILE, create_alert, create_channel, create_delivery, visible_text
from test_silences import form_in

from clock import HOUR, MINUTE, SECOND, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert as AlertOf
from delivery.alerts.causes import EXPIRED
from delivery.alerts.matchers import labels_of, matches, parse_matchers
from delivery.alerts.received import ReceivedAlert, alert_from_json
from delivery.outbox import store
from delivery.outbox.silences import active_silences
from delivery.queue import wakeup
from models import Alert, Channel, Delivery, Notification, Silence, db
from web.deliveries.notifications import ChannelNotification

NOW = 1_790_000_000_000
AGO = "2026-09-21 14:10:20 UTC (3 minutes ago)"
SOON = "2026-09-21 14:13:40 UTC (in 20 s)"
REFUSED = "The receiver r.test answered 400."
MAYBE = "The message may have arrived: it was sent, and no clear response came."
HELD_PAUSED = "held: the channel is paused. To send it, resume the channel."
SENT_AGAIN = "A message is sent when the source sends the alert again"


def delivery(state, event="open", number=7, **columns):
    """Return a delivery that ended three minutes ago, or is due in 20 seconds."""
    times = {"settled_at": NOW - 3 * MINUTE, "due_at": NOW + 20 * SECOND}
    return Delivery(id=number, state=state, event=event, **{**times, **columns})


def describe(last=None, told=None, channel="delivering", is_open=True, matches=True, **facts):
    """Return whether a channel was notified, and the text."""
    notification = ChannelNotification(
        channel=Channel(state=channel, retries=""),
        is_open=is_open,
        matches=matches,
        now=NOW,
        last=last,
        notified_by=told,
        **facts,
    )
    return notification.notified, notification.text


def silence(until):
    return Silence(id=3, reason="Moving the database", until=until)


ARRIVED = delivery("delivered")
UNCERTAIN = delivery("pending", attempts=1, cause="No response within 10 s.")
LATER = {"number": 8}
OPEN_CASES = [
    ((ARRIVED, ARRIVED), {}, "yes", f"The message arrived at {AGO}."),
    (
        (delivery("accepted"), delivery("accepted")),
        {},
        "yes",
        f"The receiver queued the message at {AGO}. "
        "It does not confirm whether the message reaches anyone.",
    ),
    (
        (ARRIVED, ARRIVED),
        {"review_at": NOW + 20 * SECOND},
        "yes",
        f"The message arrived at {AGO}. The next repeat is due at {SOON}.",
    ),
    (
        (delivery("sending", attempts=1, **LATER), ARRIVED),
        {},
        "yes",
        f"The message arrived at {AGO}. The next message is being sent now, attempt 1.",
    ),
    (
        (delivery("failed", cause=REFUSED, **LATER), ARRIVED),
        {},
        "yes",
        f"The message arrived at {AGO}. The last delivery failed at {AGO}. {REFUSED} {SENT_AGAIN}. "
        "To send it now, open the delivery and select Retry now.",
    ),
    (
        (UNCERTAIN, UNCERTAIN),
        {},
        "maybe",
        f"{MAYBE} No response within 10 s. The next attempt to send the message is due at {SOON}.",
    ),
    (
        (delivery("failed", cause="No response."), delivery("failed", cause="No response.")),
        {"failures": 4},
        "maybe",
        f"{MAYBE} The last delivery failed at {AGO}. No response. {SENT_AGAIN}, "
        "but not before 2026-09-21 14:40:20 UTC (in 27 min). "
        "To send it now, open the delivery and select Retry now.",
    ),
    (
        (delivery("sending", attempts=2), None),
        {},
        "no",
        "The message is being sent now, attempt 2.",
    ),
    (
        (delivery("pending", due_at=NOW), None),
        {},
        "no",
        "The message is due now.",
    ),
    (
        (delivery("pending", attempts=3, cause=REFUSED), None),
        {},
        "no",
        f"{REFUSED} The next attempt to send the message is due at {SOON}.",
    ),
    ((delivery("held"), None), {"channel": "paused"}, "no", f"The message is {HELD_PAUSED}"),
    (
        (delivery("held"), None),
        {"channel": "failing"},
        "no",
        "The message is held: the channel is failing, because its receiver says that the URL no "
        "longer exists. Correct and save the channel. "
        "Until then, one message is tried every ten minutes.",
    ),
    ((delivery("held", due_at=NOW), None), {}, "no", "The message is due now."),
    (
        (delivery("dropped"), None),
        {"silence": silence(NOW + 20 * SECOND)},
        "no",
        "Silence 3 (“Moving the database”) stops the message. "
        f"If the alert is still open when it ends at {SOON}, the message is sent.",
    ),
    (
        (delivery("dropped"), None),
        {"silence": silence(NOW)},
        "no",
        "Silence 3 (“Moving the database”) has ended: a message that it stopped is sent now.",
    ),
    (
        (ARRIVED, ARRIVED),
        {"silence": silence(NOW + 20 * SECOND)},
        "yes",
        f"The message arrived at {AGO}. "
        f"Silence 3 (“Moving the database”) stops further messages. It ends at {SOON}.",
    ),
    (
        (delivery("failed", cause=REFUSED), None),
        {},
        "no",
        f"The last delivery failed at {AGO}. {REFUSED} {SENT_AGAIN}. "
        "To send it now, open the delivery and select Retry now.",
    ),
    (
        (delivery("failed", cause=EXPIRED, config_hash="old"), None),
        {"failures": 4},
        "no",
        f"The last delivery failed at {AGO}. {EXPIRED} {SENT_AGAIN}. "
        "To send it now, open the delivery and select Retry now.",
    ),
    (
        (delivery("given_up", cause="Canceled by ada."), None),
        {"channel": "paused"},
        "no",
        f"The last delivery was canceled at {AGO}. Canceled by ada. {SENT_AGAIN}. "
        "It is held then: the channel is paused. To send it, resume the channel.",
    ),
    (
        (delivery("parked", cause="It crashed the worker."), None),
        {},
        "no",
        f"The last delivery was set aside at {AGO}. It crashed the worker. {SENT_AGAIN}. "
        "To send it now, open the delivery and select Retry now.",
    ),
    (
        (delivery("failed", cause=REFUSED), None),
        {"matches": False},
        "no",
        f"The last delivery failed at {AGO}. {REFUSED} The channel's matchers no longer match the "
        "alert, so no message is sent until it does.",
    ),
    (
        (delivery("delivered", "closed"), None),
        {},
        "no",
        f"The alert has opened again since its resolution arrived. {SENT_AGAIN}.",
    ),
    (
        (None, None),
        {},
        "no",
        "The channel has no delivery of this alert yet: it is newer than the alert, or was edited. "
        f"{SENT_AGAIN}.",
    ),
]
UNSENT = "The alert closed before this was delivered: neither message is sent."
NEITHER = "The alert has closed, so neither message is sent."
CLOSED_CASES = [
    ((delivery("delivered", "closed"), None), {}, "yes", f"The resolution arrived at {AGO}."),
    (
        (delivery("pending", "closed", attempts=1, cause=REFUSED, **LATER), ARRIVED),
        {},
        "yes",
        f"The message arrived at {AGO}. {REFUSED} "
        f"The next attempt to send the resolution is due at {SOON}.",
    ),
    (
        (delivery("held", "closed", **LATER), ARRIVED),
        {"channel": "paused"},
        "yes",
        f"The message arrived at {AGO}. The resolution is {HELD_PAUSED}",
    ),
    (
        (delivery("failed", "closed", cause=REFUSED, **LATER), ARRIVED),
        {},
        "yes",
        f"The message arrived at {AGO}. The resolution failed at {AGO}. {REFUSED} The receiver may "
        "still show the alert as open. "
        "The resolution is sent again when the source sends it again. To send it now, open the "
        "delivery and select Retry now.",
    ),
    (
        (delivery("given_up", "closed", cause="Canceled by ada.", **LATER), UNCERTAIN),
        {"channel": "paused"},
        "maybe",
        f"{MAYBE} The resolution was canceled at {AGO}. Canceled by ada. The receiver may still "
        "show the alert as open. The resolution is sent again when the source sends it again. "
        "To send it now, resume the channel, "
        "open the delivery and select Retry now.",
    ),
    (
        (delivery("pending", "closed"), None),
        {},
        "no",
        "The alert closed while the message was being sent. "
        "If the message arrives, the resolution follows.",
    ),
    ((delivery("superseded", cause=UNSENT), None), {}, "no", UNSENT),
    (
        (delivery("superseded", "closed"), None),
        {},
        "no",
        "The message did not arrive, and the alert has closed, so no resolution is sent.",
    ),
    (
        (delivery("dropped", cause="Silence 3: Moving (ada)"), None),
        {},
        "no",
        f"The message was dropped. Silence 3: Moving (ada). {NEITHER}",
    ),
    (
        (delivery("failed", cause=REFUSED), None),
        {},
        "no",
        f"The last delivery failed at {AGO}. {REFUSED} {NEITHER}",
    ),
    (
        (None, None),
        {},
        "no",
        "The alert closed before the channel had a delivery of it: no message is sent.",
    ),
]


@pytest.mark.parametrize(("deliveries", "facts", "notified", "text"), OPEN_CASES)
def test_each_case_of_an_open_alert_has_its_words(deliveries, facts, notified, text):
    assert describe(*deliveries, **facts) == (notified, text)


@pytest.mark.parametrize(("deliveries", "facts", "notified", "text"), CLOSED_CASES)
def test_each_case_of_a_closed_alert_has_its_words(deliveries, facts, notified, text):
    assert describe(*deliveries, is_open=False, **facts) == (notified, text)


# --- page -----------------------------------------------------------------------------------------


def notify(last, told=None, **columns):
    """Store whether the channel of a delivery was notified of its alert."""
    ids = {"delivery_id": last.id, "notified_id": told and told.id}
    return Notification.create(alert=last.alert, channel=last.channel, **ids, **columns)


def marks(page):
    """Return whether each channel was notified, by id."""
    found = re.findall(r'<li id="notification-(\d+)" data-notified="(\w+)">', page)
    return {int(number): notified for number, notified in found}


def row_text(page, channel):
    """Return the text of a channel's row."""
    return visible_text(re.search(rf'<li id="notification-{channel}".*?</li>', page, re.DOTALL)[0])


def notice(client, path):
    found = re.search(r'<p class="notice (\w+)">(.*?)</p>', client.get(path).text)
    return found.groups()


def test_page_shows_the_alert(client):
    parts = {"labels": {"job": "db"}, "annotations": {"summary": "two\nlines"}}
    times = {"starts_at": "2026-03-02T09:15:07Z", "url": "https://m.example/?a=1&b=2"}
    alert = create_alert(**parts, **times)
    Alert.update(closes_at=NOW, changed_at=NOW, seen_at=now_ms() - HOUR).execute()
    page = client.get(f"/alerts/{alert.id}").text
    text = visible_text(page)
    for part in (
        "Disk full",
        "open since 2026-09-21 14:13:20 UTC",
        "1 hour ago",
        "2026-09-21 14:13:20 UTC, unless its source sends it again",
        "Started 2026-03-02 09:15:07 UTC",
        "job db",
        "summary two lines",
        "No channel matches this alert, so nobody is notified.",
    ):
        assert part in text
    assert 'href="https://m.example/?a=1&amp;b=2" rel="noreferrer noopener"' in page
    assert f'href="/deliveries?alert={alert.id}"' in page


def test_page_shows_each_channel_with_its_links(client):
    alert = create_alert(labels={"team": "db"})
    told = create_delivery("delivered", create_channel("Told"), alert, 1, settled_at=now_ms())
    unsure = create_delivery("failed", create_channel("Unsure"), alert, 2, cause=REFUSED)
    silenced = create_delivery("dropped", create_channel("Silenced"), alert, 3)
    held = create_delivery("held", create_channel("Held", "paused"), alert, 4)
    end = now_ms() + HOUR
    why = {"matchers": "a=b", "reason": "Moving", "made_by": "ada", "created_at": 1, "until": end}
    silence = Silence.create(**why)
    notify(told, told)
    notify(unsure, unsure)
    notify(silenced, review_at=end, silence_id=silence.id)
    notify(held)
    newer = create_channel("Newer")
    other = create_channel("Other")
    Channel.update(matchers="team=web").where(Channel.id == other.id).execute()
    page = client.get(f"/alerts/{alert.id}").text
    numbers = [row.channel.id for row in (told, unsure, silenced, held)]
    expected = dict(zip(numbers, ("yes", "maybe", "no", "no"), strict=True))
    assert marks(page) == {**expected, newer.id: "no", other.id: "no"}
    for channel, parts in (
        (numbers[0], ("Told The message arrived at 20", "(just now)", "notified")),
        (numbers[1], ("may have arrived", REFUSED, "maybe notified")),
        (numbers[2], ("Silence 1 (“Moving”) stops the message", "not notified")),
        (numbers[3], ("resume the channel", "paused", "not notified")),
        (newer.id, ("no delivery of this alert yet", "not notified")),
    ):
        assert all(part in row_text(page, channel) for part in parts), row_text(page, channel)
    assert "Notified: 1 of 5 channels." in page
    assert "1 other channel that does not get this alert" in page
    assert 'href="/silences#silence-1"' in page
    assert 'href="/deliveries/msg_2"' in page


def test_page_of_an_alert_that_no_channel_matches_says_why_and_what_to_do(client):
    path = f"/alerts/{create_alert(labels={'team': 'db'}).id}"
    text = visible_text(client.get(path).text)
    assert "There is no channel yet: create a channel" in text
    other = create_channel("Other")
    Channel.update(matchers="team=web").execute()
    page = client.get(path).text
    assert '<details class="others" open>' in page
    reason = 'The matcher team="web" does not match: the alert has team="db".'
    assert row_text(page, other.id) == f"Other {reason}"
    assert "Change the matchers of a channel below, or create a channel" in visible_text(page)
    Channel.update(matchers="", state="paused").execute()
    assert "It is held then: the channel is paused." in row_text(client.get(path).text, other.id)


def test_pages_show_no_internal_label_and_each_label_on_one_line(client):
    labels = {"__alert_rule_uid__": "rule-1", "job": "db\u2028team\nweb"}
    annotations = {"__value_string__": "value-1", "description": "two\nlines"}
    last = create_delivery(of=create_alert(labels=labels, annotations=annotations))
    for path in (f"/alerts/{last.alert.id}", "/deliveries/msg_7"):
        page = client.get(path).text
        assert "<bdi>db team web</bdi>" in page
        assert "<bdi>two\nlines</bdi>" in page
        for hidden in ("rule-1", "value-1", "__"):
            assert hidden not in page.split("<main")[1]


def test_list_marks_open_alerts_that_no_channel_matches(client):
    here = create_delivery("delivered", of=create_alert("Matched"))
    notify(here, here)
    Delivery.delete().execute()  # its retention is over
    create_alert("Alone")
    create_alert("Closed", status="closed")
    page = client.get("/alerts").text
    marked = re.findall(r"<bdi>(\w+)</bdi>(?:(?!<li).)*?no channel matches", page, re.DOTALL)
    assert marked == ["Alone"]


def test_failed_resolution_is_marked_and_channels_without_a_delivery_are_collapsed(client):
    alert = create_alert(status="closed")
    ops = create_channel()
    told = create_delivery("delivered", ops, alert, 1)
    notify(create_delivery("failed", ops, alert, 2, event="closed"), told)
    newer = create_channel("Newer")
    page = client.get(f"/alerts/{alert.id}").text
    assert marks(page) == {ops.id: "yes", newer.id: "no"}
    assert row_text(page, ops.id).endswith("failed notified")
    assert "1 other channel without a delivery of this alert" in page
    assert "Notified: 1 of 1 channel." in page


def test_page_reads_no_more_when_an_alert_has_more_deliveries(client, monkeypatch):
    alert = create_alert()
    to = create_channel()
    for number in range(1, 60):
        create_delivery("delivered", to, alert, number)
    notify(Delivery.get_by_id(59), Delivery.get_by_id(58))
    statements = []
    execute = type(db.obj).execute_sql

    def record(self, sql, params=None, *rest):
        statements.append((sql, params))
        return execute(self, sql, params, *rest)

    monkeypatch.setattr(type(db.obj), "execute_sql", record)
    monkeypatch.setattr("web.deliveries.alert_views.MAX_IN_TIMELINE", 2)
    client.get(f"/alerts/{alert.id}")
    monkeypatch.undo()
    read = [(sql, params) for sql, params in statements if '"delivery"' in sql]
    assert [len(params) for _, params in read] == [2, 4]  # of the notification, of the timeline
    for sql, params in [] if ON_POSTGRESQL else read:
        with db.connection_context():
            plan = [row[3] for row in db.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params)]
        assert "SEARCH t1 USING INTEGER PRIMARY KEY (rowid=?)" in plan


@pytest.mark.parametrize("number", [7, 2**63, 2**70, 10**40])
def test_unknown_alert_is_not_found(client, number):
    for response in (client.get(f"/alerts/{number}"), client.post(f"/alerts/{number}/close")):
        assert response.status_code == 404
        assert "There is no such alert." in response.text


def test_hostile_text_is_escaped(client):
    texts = {"labels": {HOSTILE: HOSTILE}, "annotations": {HOSTILE: HOSTILE}, "url": HOSTILE}
    last = create_delivery("failed", create_channel(HOSTILE), create_alert(HOSTILE, **texts))
    Delivery.update(cause=HOSTILE).execute()
    Silence.create(matchers="a=b", reason=HOSTILE, made_by="", created_at=1, until=NOW * 2)
    notify(last, silence_id=1)
    page = client.get(f"/alerts/{last.alert.id}").text
    assert "<script>alert" not in page
    assert f"<h1><bdi>{escape(HOSTILE)}</bdi></h1>" in page
    assert page.count(f"<bdi>{escape(HOSTILE)}</bdi>") == 7


@pytest.mark.parametrize("body", ["", "{", "[1]", '{"labels": 3, "starts_at": 1e300}'])
def test_damaged_rows_break_no_page(client, body):
    of = Alert.create(key="k", name=" ", status="?", body=body, changed_at=-(2**62), seen_at=2**62)
    last = create_delivery("?", create_channel(" ", "?"), of, event="?", settled_at=2**62)
    notify(last, last, review_at=-(2**62), silence_id=9)
    assert client.get(f"/alerts/{of.id}").status_code == 200


def test_lists_and_delivery_pages_link_to_the_page(client):
    last = create_delivery()
    link = f'href="/alerts/{last.alert.id}"'
    for path in ("/alerts", "/deliveries", "/deliveries/msg_7"):
        assert link in client.get(path).text, path
    page = client.get(f"/deliveries?alert={last.alert.id}").text
    assert "Only the deliveries of the alert Disk full" in visible_text(page)


# --- close by hand --------------------------------------------------------------------------------


def test_editor_closes_an_alert_and_wakes_the_worker(client, monkeypatch):
    notified = []
    monkeypatch.setattr(wakeup, "notify", notified.append)
    to = create(client)
    last = create_delivery("delivered", Channel.get_by_id(to))
    notify(last, last)
    path = f"/alerts/{last.alert.id}"
    page = client.get(path).text
    assert "Use this if its source will never close it." in page
    response = client.post(f"{path}/close")
    assert (response.status_code, response.headers["Location"]) == (303, path)
    closed = "The alert is closed. Channels that were notified get the resolution."
    assert notice(client, path) == ("good", closed)
    assert Alert.get().status == "closed"
    assert "The resolution is due now." in row_text(client.get(path).text, to)
    assert len(notified) == 1


def test_closed_alert_has_no_button_and_is_not_closed_again(client):
    alert = create_alert(status="closed")
    path = f"/alerts/{alert.id}"
    assert "Close alert" not in client.get(path).text
    assert client.post(f"{path}/close").status_code == 303
    text = "Nothing was changed: the alert is closed already."
    assert notice(client, path) == ("bad", text)


def test_viewer_sees_the_page_and_cannot_close(client, viewer, anonymous):
    path = f"/alerts/{create_alert().id}"
    page = viewer.get(path)
    assert (page.status_code, "<form" in page.text.split("<main")[1]) == (200, False)
    assert viewer.post(f"{path}/close").status_code == 403
    assert client.without_token(f"{path}/close").status_code == 400
    assert anonymous.post(f"{path}/close").status_code == 401
    assert Alert.get().status == "open"


# --- retry now ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "newer", "reason"),
    [
        ("closed", None, "the alert is closed now, so this message is out of date."),
        ("open", "delivered", "the channel has a newer delivery of this alert: retry that one"),
        ("open", "dropped", None),
    ],
)
def test_retry_now_is_offered_only_if_it_is_possible(client, status, newer, reason):
    last = create_delivery("failed", of=create_alert(status=status))
    if newer:
        create_delivery(newer, last.channel, last.alert, 8)
    page = visible_text(client.get("/deliveries/msg_7").text)
    assert ("Retry now" in page) is (reason is None)
    client.post("/deliveries/msg_7/now")
    assert (Delivery.get_by_id(7).state == "pending") is (reason is None)
    if reason:
        assert f"It cannot be retried: {reason}" in page
        category, message = notice(client, "/deliveries/msg_7")
        assert category == "bad"
        assert reason in Markup(message).unescape().replace(". The ", ". the ")


# --- silencing in one step ------------------------------------------------------------------------

LABELS = {"instance": 'db-2 "prod"', "path": "C:\\new", "app.kubernetes.io/name": "a\nb"}


def silence_part(page):
    """Return the section of a page that says whether the alert is silenced."""
    found = re.search(r'<section class="silence".*?</section>', page, re.DOTALL)
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("hours", "length", "words"),
    [("1", HOUR, "1 hour"), ("4", 4 * HOUR, "4 hours"), ("24", 24 * HOUR, "1 day")],
)
def test_one_click_silences_exactly_this_alert(client, hours, length, words):
    alert = create_alert("PostgresReplicationLag", labels=LABELS)
    other = create_alert("PostgresReplicationLag", labels={**LABELS, "path": "C:/new"})
    before = now_ms()
    path = f"/alerts/{alert.id}"
    assert f'<button type="submit" name="hours" value="{hours}">{words}' in client.get(path).text
    response = client.post(f"{path}/silence", {"hours": hours})
    assert (response.status_code, response.headers["Location"]) == (303, path)
    row = Silence.get()
    assert 0 <= row.until - before - length < 10_000
    assert row.reason == "Silenced from the page of PostgresReplicationLag"
    assert row.made_by == "ada"
    [active] = active_silences(before)
    assert matches(active.matchers, labels_of(alert_from_json(alert.body)))
    assert not matches(active.matchers, labels_of(alert_from_json(other.body)))
    page = client.get(path).text
    assert f"The alert is silenced for {words}" in page
    assert "by ada" in visible_text(silence_part(page))
    assert "Silenced until" not in client.get(f"/alerts/{other.id}").text


def test_silence_from_the_page_drops_the_waiting_message_and_its_end_sends_it(client):
    alert = AlertOf.from_json({"name": "Disk full", "labels": LABELS})
    create(client)
    store([ReceivedAlert("k", alert)], now_ms())
    path = f"/alerts/{Alert.get().id}"
    client.post(f"{path}/silence", {"hours": "1"})
    assert Delivery.get().state == "dropped"
    page = client.get(path).text
    assert '<span class="tag paused">silenced</span>' in page
    text = visible_text(silence_part(page))
    assert re.search(r"Silenced until 20\S+ \S+ UTC \(in 60 min\) by ada", text)
    assert 'aria-label="End now: silence 1">End now</button>' in page
    response = client.post("/silences/1/end", {"alert": str(Alert.get().id)})
    assert response.headers["Location"] == path
    page = client.get(path).text
    assert "The silence has ended." in page
    assert "Silenced until" not in page
    assert outbox.review(now_ms()) == 1


def test_page_shows_every_silence_that_matches_the_alert(client):
    alert = create_alert(labels={"team": "db"})
    now = now_ms()
    texts = {"team=db": HOUR, "team=~d.": 2 * HOUR, "team=web": HOUR, "a=b": HOUR, "{": HOUR}
    for text, length in texts.items():
        names = {"reason": HOSTILE, "made_by": ""}
        Silence.create(matchers=text, created_at=now, until=now + length, **names)
    Silence.create(matchers="team=db", reason="x", made_by="", created_at=1, until=now - 1)
    part = silence_part(client.get(f"/alerts/{alert.id}").text)
    assert re.findall(r"#silence-(\d+)", part) == ["2", "1"]
    assert escape(HOSTILE[:20]) in part
    assert "<script>" not in part
    assert ") by" not in visible_text(part)
    assert "Silence again for" in visible_text(part)


def test_link_to_another_duration_has_the_matchers_and_the_comment(client):
    alert = create_alert("Disk full", labels=LABELS)
    page = client.get(f"/alerts/{alert.id}").text
    link = Markup(re.search(r'href="(/silences\?[^"]*)"', page)[1]).unescape()
    query = parse_qs(urlsplit(link).query)
    assert query["reason"] == ["Silenced from the page of Disk full"]
    [text] = query["matchers"]
    assert matches(parse_matchers(text), labels_of(alert_from_json(alert.body)))
    fields = form_in(client.get(link).text)
    assert fields["matchers"] == text
    client.post("/silences", {**fields, "hours": "12"})
    assert (Silence.get().matchers, Silence.get().reason) == (text, query["reason"][0])


def test_viewer_sees_that_an_alert_is_silenced_and_can_change_nothing(client, viewer):
    alert = create_alert()
    path = f"/alerts/{alert.id}"
    assert silence_part(viewer.get(path).text) == ""
    client.post(f"{path}/silence", {"hours": "1"})
    part = silence_part(viewer.get(path).text)
    assert "Silenced until" in part
    assert "<button" not in part
    assert "Other duration" not in part
    assert viewer.post(f"{path}/silence", {"hours": "4"}).status_code == 403
    assert Silence.select().count() == 1


@pytest.mark.parametrize("hours", ["", "2", "-1", "1.0", "٤", "9" * 50, "nan"])
def test_only_the_offered_durations_are_accepted(client, hours):
    path = f"/alerts/{create_alert().id}"
    client.post(f"{path}/silence", {"hours": hours})
    reason = "Nothing was changed: choose one of the durations."
    assert notice(client, path) == ("bad", reason)
    assert Silence.select().count() == 0


def test_closed_alert_is_not_silenced(client):
    alert = create_alert(status="closed")
    path = f"/alerts/{alert.id}"
    now = now_ms()
    Silence.create(
        matchers='alertname=~".*"', reason="x", made_by="", created_at=1, until=now + HOUR
    )
    assert silence_part(client.get(path).text) == ""
    assert "silenced</span>" not in client.get(path).text
    client.post(f"{path}/silence", {"hours": "1"})
    assert notice(client, path) == ("bad", "Nothing was changed: the alert is closed.")
    assert client.post("/alerts/999/silence", {"hours": "1"}).status_code == 404
    assert client.without_token(f"{path}/silence", {"hours": "1"}).status_code == 400
    assert Silence.select().count() == 1


def test_page_says_when_a_silence_cannot_have_all_labels(client):
    many = create_alert(labels={f"label_{number}": "x" for number in range(40)})
    assert "its most important labels" in client.get(f"/alerts/{many.id}").text
    huge = create_alert("x" * 5000)
    path = f"/alerts/{huge.id}"
    page = client.get(path).text
    assert "Its labels are too long for a silence of this alert only." in page
    assert 'name="hours"' not in page
    client.post(f"{path}/silence", {"hours": "1"})
    reason = "Nothing was changed: its labels are too long for a silence."
    assert notice(client, path) == ("bad", reason)


def test_comment_of_a_silence_is_always_one_that_the_form_accepts(client):
    for name in (HOSTILE, "a\nb\u202e\u3164\x00", "n" * 9000, " "):
        alert = create_alert(name, labels={"a": "b"})
        Silence.delete().execute()
        client.post(f"/alerts/{alert.id}/silence", {"hours": "1"})
        comment = Silence.get().reason
        assert comment.startswith("Silenced from the page of ")
        form = {"matchers": "a=b", "hours": "1", "reason": comment}
        assert client.post("/silences", form).status_code == 303


def test_page_shows_the_value_and_the_links_of_the_source(client):
    links = {"panel": "https://g.example/d/1", "silence": "javascript:alert(1)"}
    body = {"links": links, "value": "A=3, B=7.1", "url": "https://g.example/a"}
    page = client.get(f"/alerts/{create_alert(**body).id}").text
    assert "Value A=3, B=7.1" in visible_text(page)
    assert 'href="https://g.example/d/1" rel="noreferrer noopener"' in page
    assert "Panel https://g.example/d/1" in visible_text(page)
    assert "javascript:" not in page
    same = client.get(f"/alerts/{create_alert(**{**body, 'url': links['panel']}).id}").text
    assert same.count('href="https://g.example/d/1"') == 1


def test_link_of_a_message_leads_to_the_alert_after_signing_in(anonymous):
    path = f"/alerts/{create_alert('Disk full').id}"
    response = anonymous.get(path)
    assert response.status_code == 303
    assert response.headers["Location"] == f"/login?next={path}"
    page = anonymous.get(response.headers["Location"]).text
    assert f'name="next" value="{path}"' in page
    anonymous.token = token_in(page)
    form = {"username": "ada", "password": PASSWORD, "next": path}
    response = anonymous.post("/login", form)
    assert (response.status_code, response.headers["Location"]) == (303, path)
    assert "Disk full" in anonymous.get(path).text


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_silencing_works_by_keyboard_without_a_script(chromium, live, width, scheme):
    headers = live.create_token(f"silence {width} {scheme}")
    name = f"Lag {width} {scheme}"
    answer = requests.post(
        f"{live.url}/api/v1/alerts",
        json={"name": name, "labels": {"instance": 'db-2 "prod"', "severity": "critical"}},
        headers=headers,
        timeout=10,
    ).json()
    page = open_page(chromium, live, javascript=False, width=width, scheme=scheme)
    page.goto(f"{live.url}/alerts/{answer['alerts'][0]['id']}")
    button = page.get_by_role("group", name="Silence this alert for").get_by_role("button")
    button.nth(1).focus()
    page.keyboard.press("Enter")
    page.get_by_text("The alert is silenced for 4 hours").wait_for()
    page.get_by_role("button", name="End now").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The silence has ended.").wait_for()
    page.get_by_role("link", name="Other duration…").click()
    assert 'instance="db-2 \\"prod\\""' in page.input_value("#matchers")
    assert page.locator(":focus").get_attribute("id") == "hours"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()
