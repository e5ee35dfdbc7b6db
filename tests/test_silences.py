"""Silences: how they are made and ended, who may, and what the page says of them."""

import re

import pytest
from channels import create, message_at
from markupsafe import Markup

from clock import HOUR, now_ms
from models import LARGEST_ID, Alert, Channel, Delivery, DeliveryState, Silence

FIELDS = {"matchers": 'team=~"db|web"', "hours": "2", "reason": "Moving the database"}


def silence(client, **fields):
    """Posts a silence."""
    return client.post("/silences", {**FIELDS, **fields})


def stored(until, **fields):
    """A silence that is stored as it is."""
    row = {"matchers": "a=b", "reason": "Why not", "made_by": "ada", "created_at": 1, **fields}
    return Silence.create(until=until, **row)


def rows(html):
    """The silences of the page in its order: id, whether it is active, its text."""
    found = re.findall(r'<li id="silence-(\d+)" data-active="(\w+)">(.*?)</li>', html, re.DOTALL)
    return [
        (int(number), active, str(Markup(" ".join(inner.split())).striptags()))
        for number, active, inner in found
    ]


def test_a_silence_is_made_and_shown_with_all_that_it_says(client):
    before = now_ms()
    assert silence(client).headers["Location"] == "/silences"
    row = Silence.get()
    assert (row.matchers, row.reason, row.made_by) == (FIELDS["matchers"], FIELDS["reason"], "ada")
    assert 0 <= row.until - 2 * HOUR - before < 10_000
    assert row.until - row.created_at == 2 * HOUR
    [(number, active, text)] = rows(client.get("/silences").text)
    assert (number, active) == (row.id, "yes")
    for words in (
        'team=~"db|web"',
        "Moving the database",
        "by ada",
        "until 20",
        "no delivery held back",
        "active",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("hours", "length"), [("", 2.0), ("0.1", 0.1), (" 1.5 ", 1.5), ("8760", 8760.0), ("0001", 1.0)]
)
def test_it_lasts_as_many_hours_as_said(client, hours, length):
    assert silence(client, hours=hours).status_code == 303
    assert Silence.get().until - Silence.get().created_at == round(length * HOUR)


REFUSED = [
    ("matchers", "", 'To silence everything, write alertname=~".*"'),
    ("matchers", " {} ", "To silence everything"),
    ("matchers", "severity", "Line 1, column 9"),
    ("matchers", 'a=~"("', "no regular expression"),
    ("hours", "0", "from 0.1 to 8760"),
    ("hours", "0.09", "from 0.1 to 8760"),
    ("hours", "8760.1", "from 0.1 to 8760"),
    ("hours", "-1", "from 0.1 to 8760"),
    ("hours", "two", "from 0.1 to 8760"),
    ("hours", "nan", "from 0.1 to 8760"),
    ("hours", "1e3", "from 0.1 to 8760"),
    ("hours", "٣", "from 0.1 to 8760"),
    ("hours", "9" * 5000, "from 0.1 to 8760"),
    ("reason", "", "Write why"),
    ("reason", " \u3164 ", "Write why"),
    ("reason", "a\nb", "Write why"),
    ("reason", "a\u202eb", "Write why"),
    ("reason", "x" * 301, "1 to 300 visible characters"),
]


@pytest.mark.parametrize(("field", "text", "words"), REFUSED)
def test_what_cannot_be_is_refused_at_its_own_field_and_nothing_typed_is_lost(
    client, field, text, words
):
    response = silence(client, **{field: text})
    assert response.status_code == 422
    assert words in message_at(response.text, field)
    for name, typed in {**FIELDS, field: text}.items():
        assert str(Markup.escape(typed)) in response.text
        assert (message_at(response.text, name) == "") is (name != field)
    assert Silence.select().count() == 0
    assert (
        re.search(r"<(?:input|textarea)[^>]*autofocus", response.text)[0].count(f'id="{field}"')
        == 1
    )


def test_every_field_says_at_once_what_is_wrong_with_it(client):
    response = client.post("/silences", {"matchers": "", "hours": "x", "reason": ""})
    assert all(message_at(response.text, field) for field in FIELDS)


def test_everything_can_be_silenced_when_it_is_written_as_such(client):
    assert silence(client, matchers='alertname=~".*"', reason="y" * 300).status_code == 303


def test_a_silence_ends_at_once_and_only_once(client):
    silence(client)
    assert 'aria-label="End now: Moving the database"' in client.get("/silences").text
    assert "The silence has ended." in client.post("/silences/1/end", follow_redirects=True).text
    ended = Silence.get().until
    assert ended <= now_ms()
    page = client.post("/silences/1/end", follow_redirects=True).text
    assert "had ended already" in page
    assert Silence.get().until == ended
    [(_number, active, text)] = rows(page)
    assert active == "no"
    assert "ended 20" in text
    assert "End now" not in text


@pytest.mark.parametrize("number", [7, LARGEST_ID + 1, 10**40])
def test_what_is_not_there_cannot_be_ended(client, number):
    response = client.post(f"/silences/{number}/end")
    assert response.status_code == 404
    assert "There is no such silence." in response.text


def test_those_that_hold_come_first_and_fifty_that_have_ended_follow(client):
    now = now_ms()
    for ago in range(60):
        stored(now - HOUR - ago)
    later, sooner = stored(now + 3 * HOUR), stored(now + HOUR)
    shown = rows(client.get("/silences").text)
    assert [number for number, _active, _text in shown] == [sooner.id, later.id, *range(1, 51)]
    assert [active for _number, active, _text in shown] == ["yes"] * 2 + ["no"] * 50


def test_each_says_how_many_deliveries_it_held_back(client):
    first, eleventh = [stored(now_ms() + HOUR) for _ in range(11)][::10]
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
        (DeliveryState.DROPPED, "Somebody dropped it: Silence 1: no"),
        (DeliveryState.DROPPED, "Silence"),
    ]
    for number, (state, cause) in enumerate(causes, 1):
        Delivery.create(id=number, state=state, cause=cause, **common)
    held = {
        number: re.search(r"\S+ deliver\w+ held back", text)[0]
        for number, _active, text in rows(client.get("/silences").text)
    }
    assert (held[first.id], held[eleventh.id], held[2]) == (
        "1 delivery held back",
        "2 deliveries held back",
        "no delivery held back",
    )


def test_a_viewer_sees_them_and_changes_nothing(client, viewer):
    silence(client)
    page = viewer.get("/silences").text
    assert len(rows(page)) == 1
    assert "<form" not in page.partition("<main")[2]
    for path, fields in (("/silences", FIELDS), ("/silences/1/end", {})):
        assert viewer.post(path, fields).status_code == 403
    assert Silence.get().until > now_ms()
    assert Silence.select().count() == 1


def test_who_is_not_known_sees_nothing(anonymous):
    assert anonymous.get("/silences").headers["Location"].startswith("/login")


def test_what_people_wrote_is_shown_as_text(client):
    silence(client, matchers='a="<script>alert(1)</script>"', reason="<b>bold</b>")
    page = client.get("/silences").text
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


def test_every_page_leads_to_the_silences(client):
    html = client.get("/silences").text
    assert '<a href="/silences" aria-current="true">Silences</a>' in html
    assert "Nothing is silenced." in html
