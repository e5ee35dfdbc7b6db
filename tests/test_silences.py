"""Silences: creating and ending them, permissions, and the page."""

import re

import pytest
from channels import create, message_at
from markupsafe import Markup

from clock import HOUR, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert as AlertOf
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import store
from models import MAX_ID, Alert, Channel, Delivery, DeliveryState, Silence

FIELDS = {"matchers": 'team=~"db|web"', "hours": "2", "reason": "Moving the database"}


def post_silence(client, **fields):
    """Post the form of a silence."""
    return client.post("/silences", {**FIELDS, **fields})


def store_silence(until, **fields):
    """Store a silence without the form."""
    row = {"matchers": "a=b", "reason": "Why not", "made_by": "ada", "created_at": 1, **fields}
    return Silence.create(until=until, **row)


def rows(html):
    """Return the silences of a page in order: id, active or not, text."""
    items = re.findall(r'<li id="silence-(\d+)" data-active="(\w+)">(.*?)</li>', html, re.DOTALL)
    return [
        (int(number), active, str(Markup(" ".join(inner.split())).striptags()))
        for number, active, inner in items
    ]


def form_in(html):
    """Return the fields of the form of a silence as a browser would post them."""
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", html, re.DOTALL)[1]
    inputs = dict(re.findall(r'<input id="(hours|reason)"[^>]*? value="([^"]*)"', html))
    fields = {"matchers": text, **inputs}
    return {name: str(Markup(value).unescape()) for name, value in fields.items()}


def test_created_silence_is_stored_and_shown(client):
    before = now_ms()
    assert post_silence(client).headers["Location"] == "/silences"
    row = Silence.get()
    assert (row.matchers, row.reason, row.made_by) == (FIELDS["matchers"], FIELDS["reason"], "ada")
    assert 0 <= row.until - 2 * HOUR - before < 10_000
    assert row.until - row.created_at == 2 * HOUR
    [(number, active, text)] = rows(client.get("/silences").text)
    assert (number, active) == (row.id, "yes")
    for text_part in (
        'team=~"db|web"',
        "Moving the database",
        "by ada",
        "until 20",
        "no deliveries dropped",
        "active",
    ):
        assert text_part in text


@pytest.mark.parametrize(
    ("hours", "length"), [("", 2.0), ("0.1", 0.1), (" 1.5 ", 1.5), ("8760", 8760.0), ("0001", 1.0)]
)
def test_silence_lasts_the_entered_hours(client, hours, length):
    assert post_silence(client, hours=hours).status_code == 303
    assert Silence.get().until - Silence.get().created_at == round(length * HOUR)


REFUSED = [
    ("matchers", "", 'To silence every alert, enter alertname=~".*"'),
    ("matchers", " {} ", "To silence every alert"),
    ("matchers", "severity", "Line 1, column 9"),
    ("matchers", 'a=~"("', "not a valid RE2 regular expression"),
    ("hours", "0", "from 0.1 to 8760"),
    ("hours", "0.09", "from 0.1 to 8760"),
    ("hours", "8760.1", "from 0.1 to 8760"),
    ("hours", "-1", "from 0.1 to 8760"),
    ("hours", "two", "from 0.1 to 8760"),
    ("hours", "nan", "from 0.1 to 8760"),
    ("hours", "1e3", "from 0.1 to 8760"),
    ("hours", "٣", "from 0.1 to 8760"),
    ("hours", "9" * 5000, "from 0.1 to 8760"),
    ("reason", "", "Enter a comment"),
    ("reason", " \u3164 ", "Enter a comment"),
    ("reason", "a\nb", "Enter a comment"),
    ("reason", "a\u202eb", "Enter a comment"),
    ("reason", "x" * 301, "1 to 300 visible characters"),
]


@pytest.mark.parametrize(("field", "text", "message"), REFUSED)
def test_invalid_field_gets_its_own_message_and_input_is_kept(client, field, text, message):
    response = post_silence(client, **{field: text})
    assert response.status_code == 422
    assert message in message_at(response.text, field)
    for name, typed in {**FIELDS, field: text}.items():
        assert str(Markup.escape(typed)) in response.text
        assert (message_at(response.text, name) == "") is (name != field)
    assert Silence.select().count() == 0
    assert (
        re.search(r"<(?:input|textarea)[^>]*autofocus", response.text)[0].count(f'id="{field}"')
        == 1
    )


def test_all_invalid_fields_get_messages_at_once(client):
    response = client.post("/silences", {"matchers": "", "hours": "x", "reason": ""})
    assert all(message_at(response.text, field) for field in FIELDS)


def test_matcher_for_every_alert_is_accepted(client):
    assert post_silence(client, matchers='alertname=~".*"', reason="y" * 300).status_code == 303


def test_silence_ends_immediately_and_only_once(client):
    post_silence(client)
    assert 'aria-label="End now: Moving the database"' in client.get("/silences").text
    assert "The silence has ended." in client.post("/silences/1/end", follow_redirects=True).text
    ended = Silence.get().until
    assert ended <= now_ms()
    page = client.post("/silences/1/end", follow_redirects=True).text
    assert "had already ended" in page
    assert Silence.get().until == ended
    [(_number, active, text)] = rows(page)
    assert active == "no"
    assert "ended 20" in text
    assert "End now" not in text


@pytest.mark.parametrize("number", [7, MAX_ID + 1, 10**40])
def test_ending_an_unknown_silence_is_not_found(client, number):
    response = client.post(f"/silences/{number}/end")
    assert response.status_code == 404
    assert "There is no such silence." in response.text


def test_active_silences_come_first_then_the_latest_50_expired_ones(client):
    now = now_ms()
    for ago in range(60):
        store_silence(now - HOUR - ago)
    later, sooner = store_silence(now + 3 * HOUR), store_silence(now + HOUR)
    shown = rows(client.get("/silences").text)
    assert [number for number, _active, _text in shown] == [sooner.id, later.id, *range(1, 51)]
    assert [active for _number, active, _text in shown] == ["yes"] * 2 + ["no"] * 50


def test_silence_shows_how_many_deliveries_it_dropped(client):
    first, eleventh = [store_silence(now_ms() + HOUR) for _ in range(11)][::10]
    channel = Channel.get_by_id(create(client))
    alert = Alert.create(key="k", name="x", status="open", body="{}", changed_at=1, seen_at=1)
    common = {
        "channel": channel,
        "alert": alert,
        "event": "open",
        "due_at": 1,
        "expires_at": 1,
        "created_at": 1,
    }
    causes = [(DeliveryState.DROPPED, f"Silence {first.id}: Why: not (ada)")] + [
        (DeliveryState.DROPPED, f"Silence {eleventh.id}: Why not (ada)")
    ] * 2
    causes += [
        (DeliveryState.PENDING, f"Silence {first.id}: it is not"),
        (DeliveryState.DROPPED, "Another cause: Silence 1: no"),
        (DeliveryState.DROPPED, "Silence"),
    ]
    for number, (state, cause) in enumerate(causes, 1):
        Delivery.create(id=number, state=state, cause=cause, **common)
    dropped = {
        number: re.search(r"\S+ deliver\w+ dropped", text)[0]
        for number, _active, text in rows(client.get("/silences").text)
    }
    assert (dropped[first.id], dropped[eleventh.id], dropped[2]) == (
        "1 delivery dropped",
        "2 deliveries dropped",
        "no deliveries dropped",
    )


def test_silence_stops_pending_openings_until_it_ends(client):
    create(client)
    alert = AlertOf.from_json({"name": "Disk full", "labels": {"team": "db"}})
    store([ReceivedAlert("k", alert)], now_ms())
    post_silence(client)
    assert Delivery.get().state == DeliveryState.DROPPED
    client.post("/silences/1/end")
    assert outbox.review(now_ms()) == 1
    assert [row.state for row in Delivery.select().order_by(Delivery.id)] == ["dropped", "pending"]


def test_viewer_sees_silences_and_cannot_change_them(client, viewer):
    post_silence(client)
    page = viewer.get("/silences").text
    assert len(rows(page)) == 1
    assert "<form" not in page.partition("<main")[2]
    for path, fields in (("/silences", FIELDS), ("/silences/1/end", {})):
        assert viewer.post(path, fields).status_code == 403
    assert Silence.get().until > now_ms()
    assert Silence.select().count() == 1


def test_anonymous_user_is_redirected_to_sign_in(anonymous):
    assert anonymous.get("/silences").headers["Location"].startswith("/login")


def test_matchers_and_comment_are_escaped(client):
    post_silence(client, matchers='a="<script>alert(1)</script>"', reason="<b>bold</b>")
    page = client.get("/silences").text
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


def test_navigation_links_to_silences(client):
    html = client.get("/silences").text
    assert '<a href="/silences" aria-current="true">Silences</a>' in html
    assert "There are no silences." in html


def test_link_fills_in_the_form_and_only_the_duration_is_left(client):
    text = 'alertname="Disk \\"full\\"", instance="<b>db-2</b>"'
    query = {"matchers": text, "reason": "Silenced from the page of <b>Disk</b>"}
    page = client.get("/silences", query_string=query).text
    fields = form_in(page)
    assert (fields["matchers"], fields["reason"]) == (text, query["reason"])
    assert (fields["hours"], "<b>" in page) == ("2", False)
    assert re.findall(r'<input id="(\w+)"[^>]*autofocus', page) == ["hours"]
    assert Silence.select().count() == 0
    assert post_silence(client, **fields).status_code == 303
    assert Silence.get().matchers == text


def test_form_has_no_focus_without_a_link(client):
    assert "autofocus" not in client.get("/silences").text


def test_viewer_of_a_link_sees_no_form(viewer):
    assert "<form" not in viewer.get("/silences?matchers=a=b").text.partition("<main")[2]


@pytest.mark.parametrize(
    ("alert", "location"),
    [("7", "/alerts/7"), ("", "/silences"), ("x", "/silences"), ("//x.example", "/silences")],
)
def test_ending_a_silence_leads_back_to_the_page_that_it_was_ended_on(client, alert, location):
    post_silence(client)
    response = client.post("/silences/1/end", {"alert": alert})
    assert response.headers["Location"] == location
