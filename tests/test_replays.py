"""Replays: which deliveries are sent again, what the question says, progress, and interruptions."""

import json
import re

import pytest
from attempts import answered, claim_deliveries, result_of
from browsing import open_page, violations
from receiver import reply
from test_deliveries import create_alert, create_channel, create_delivery, visible_text

from clock import DAY, HOUR, now_ms
from delivery import outbox
from delivery.log.log_filter import LogFilter
from delivery.log.search import ID_PER_MS
from delivery.outbox import Redelivery, ReplayChoice, replays
from delivery.outcome import Verdict
from models import AuditEntry, Channel, Delivery, DeliveryState, Notification, Replay, Silence, db


@pytest.fixture(autouse=True)
def connected(app):
    db.connect(reuse_if_open=True)


def notify(row, notified=None):
    Notification.create(
        alert=row.alert_id,
        channel=row.channel_id,
        delivery_id=row.id,
        notified_id=notified,
    )
    return row


def ended(state="failed", status="open", event="open", to=None, notified=False, **columns):
    """Create an ended delivery of a new alert, with its notification."""
    number = Delivery.select().count() + 1
    row = create_delivery(
        state,
        to or Channel.get_or_none() or create_channel(),
        create_alert(f"A{number}", status=status),
        now_ms() * ID_PER_MS + number,
        event=event,
        settled_at=None if state in ("pending", "sending", "held") else now_ms(),
        **columns,
    )
    return notify(row, row.id if notified else None)


def redeliver(row, choice=ReplayChoice.ALL, digest=""):
    [result] = outbox.redeliver([row.id], choice, "ana", now_ms(), digest)
    return result


def state_of(row):
    return Delivery.get_by_id(row.id).state


# --- what is sent again ---


@pytest.mark.parametrize("state", ["failed", "delivered", "accepted", "dropped", "superseded"])
def test_an_ended_opening_of_an_open_alert_is_sent_again_with_a_whole_schedule(state):
    row = ended(state, attempts=9, retries=8, not_found=2, claims=3)
    assert redeliver(row) == Redelivery.OPENING
    row = Delivery.get_by_id(row.id)
    assert (row.state, row.retries, row.not_found, row.claims) == ("pending", 0, 0, 0)
    assert (row.cause, row.settled_at, row.attempts) == ("Redelivered by ana.", None, 9)
    assert row.due_at <= now_ms() < row.expires_at - DAY + HOUR
    [claimed] = claim_deliveries(now_ms())
    assert (claimed.id, claimed.attempt) == (row.id, 10)


@pytest.mark.parametrize(
    ("columns", "result"),
    [
        ({"state": "pending"}, Redelivery.UNDER_WAY),
        ({"state": "held"}, Redelivery.UNDER_WAY),
        ({"state": "sending"}, Redelivery.UNDER_WAY),
        ({"status": "closed"}, Redelivery.CLOSED_SINCE),
        ({"status": "closed", "state": "delivered", "notified": True}, Redelivery.CLOSED_SINCE),
        ({"event": "closed"}, Redelivery.NEWER),
        ({"event": "closed", "status": "closed", "state": "superseded"}, Redelivery.CLOSED_SINCE),
        ({"state": "given_up"}, Redelivery.SET_ASIDE),
        ({"state": "parked"}, Redelivery.SET_ASIDE),
    ],
)
def test_what_is_no_longer_true_or_under_way_is_left_out(columns, result):
    row = ended(**columns)
    before = row.state
    assert redeliver(row) == result
    assert state_of(row) == before


def test_a_silence_and_the_matchers_count_as_always():
    row = ended("delivered", notified=True)
    Silence.create(
        matchers='alertname="A1"', reason="R", made_by="ana", created_at=1, until=now_ms() + HOUR
    )
    assert redeliver(row) == Redelivery.SILENCED
    Silence.delete().execute()
    Channel.update(matchers='team="db"').execute()
    assert redeliver(row) == Redelivery.UNMATCHED
    assert state_of(row) == "delivered"


def test_only_the_newest_delivery_of_an_alert_to_a_channel_is_sent_again():
    first = ended()
    second = create_delivery("failed", first.channel, first.alert, first.id + 1)
    assert redeliver(first) == Redelivery.NEWER
    assert redeliver(second) == Redelivery.OPENING


def test_nothing_is_sent_again_to_a_paused_channel():
    row = ended(to=create_channel(state="paused"))
    assert redeliver(row) == Redelivery.PAUSED
    assert state_of(row) == "failed"


def test_what_a_failing_channel_gets_is_held():
    row = ended(to=create_channel(state="failing"))
    assert redeliver(row) == Redelivery.OPENING
    assert state_of(row) == "held"


def test_a_resolution_is_sent_again_unless_only_what_is_open_is_chosen():
    row = ended("delivered", "closed", "closed")
    assert redeliver(row, ReplayChoice.OPEN) == Redelivery.NOT_CHOSEN
    assert state_of(row) == "delivered"
    assert redeliver(row) == Redelivery.RESOLUTION
    [claimed] = claim_deliveries(now_ms())
    again = result_of(claimed, answered(Verdict.RETRY), now_ms(), state=DeliveryState.PENDING)
    outbox.settle([again], now_ms())
    assert state_of(row) == "pending"  # not withdrawn as that of an opening that never arrived
    assert Notification.get().notified_id is None


def test_a_digest_is_one_message_for_a_channel(monkeypatch):
    monkeypatch.setattr(replays, "SLICE", 1)
    rows = [ended(), ended("delivered"), ended("accepted")]
    replay(ReplayChoice.DIGEST)
    outbox.run_replay_slice(now_ms())
    assert outbox.claim(now_ms(), max_count=9, room={}) == []  # it waits for the others
    while outbox.run_replay_slice(now_ms()):
        pass
    [message] = outbox.claim(now_ms(), max_count=9, room={})
    assert sorted(one.id for one in message.deliveries) == sorted(row.id for row in rows)


def test_a_digest_that_is_stopped_is_sent_as_far_as_it_has_come(monkeypatch):
    monkeypatch.setattr(replays, "SLICE", 1)
    rows = [ended(), ended()]
    started = replay(ReplayChoice.DIGEST)
    outbox.run_replay_slice(now_ms())
    outbox.stop_replay(started.id, now_ms())
    [message] = outbox.claim(now_ms(), max_count=9, room={})
    assert [one.id for one in message.deliveries] == [rows[1].id]


def test_a_service_that_keeps_incidents_gets_no_digest():
    channel = create_channel()
    Channel.update(kind="pagerduty").execute()
    rows = [ended(to=channel), ended(to=channel)]
    outbox.redeliver([row.id for row in rows], ReplayChoice.DIGEST, "ana", now_ms(), "digest-1")
    assert len(outbox.claim(now_ms(), max_count=9, room={})) == 2


def test_settled_deliveries_stay_counted():
    ended("delivered"), ended("failed")
    counted = "SELECT state, number FROM settled_count WHERE number > 0"
    db.execute_sql("DELETE FROM settled_count")
    db.execute_sql("INSERT INTO settled_count SELECT state, count(*) FROM delivery GROUP BY state")
    outbox.redeliver([row.id for row in Delivery.select()], ReplayChoice.ALL, "ana", now_ms())
    assert db.execute_sql(counted).fetchall() == []


# --- slices ---


def replay(choice=ReplayChoice.ALL, **filters):
    return outbox.start_replay(LogFilter(**filters), "{}", choice, "ana", now_ms())


def test_a_replay_goes_through_the_log_in_slices_and_ends(monkeypatch):
    monkeypatch.setattr(replays, "SLICE", 2)
    rows = [ended() for _ in range(5)]
    started = replay(states=("failed",))
    later = ended()
    assert [outbox.run_replay_slice(now_ms()) for _ in range(4)] == [True, True, True, False]
    assert [state_of(row) for row in rows] == ["pending"] * 5
    assert state_of(later) == "failed"  # it came after the start
    started = Replay.get_by_id(started.id)
    assert started.state == "done"
    assert json.loads(started.counts) == {"opening": 5}


def test_a_slice_that_fails_is_repeated_whole(monkeypatch):
    rows = [ended(), ended()]
    started = replay()
    monkeypatch.setattr(replays, "redeliver", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outbox.run_replay_slice(now_ms())
    monkeypatch.undo()
    assert Replay.get_by_id(started.id).before == started.before
    outbox.run_replay_slice(now_ms())
    assert {state_of(row) for row in rows} == {"pending"}


def test_a_stopped_replay_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(replays, "SLICE", 1)
    rows = [ended(), ended()]
    started = replay()
    outbox.run_replay_slice(now_ms())
    assert outbox.stop_replay(started.id, now_ms())
    assert not outbox.run_replay_slice(now_ms())
    assert [state_of(row) for row in rows] == ["failed", "pending"]
    assert outbox.continue_replay(started.id)
    assert not outbox.continue_replay(started.id)
    while outbox.run_replay_slice(now_ms()):
        pass
    assert [state_of(row) for row in rows] == ["pending", "pending"]


@pytest.mark.parametrize("choice", [ReplayChoice.ALL, ReplayChoice.DIGEST])
def test_a_replay_waits_while_much_waits(monkeypatch, choice):
    row = ended()
    replay(choice)
    monkeypatch.setattr(replays, "is_full", lambda _now: True)
    monkeypatch.setattr(replays, "MAX_PENDING", 1)
    ended("pending")
    assert outbox.run_replay_slice(now_ms())
    assert state_of(row) == "failed"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"states": ["?"]}', '{"new": 1}'])
def test_a_filter_that_cannot_be_read_stops_its_replay(text):
    started = replay()
    Replay.update(log_filter=text).execute()
    assert outbox.run_replay_slice(now_ms())
    assert Replay.get_by_id(started.id).state == "stopped"
    assert not outbox.run_replay_slice(now_ms())


def test_a_second_click_starts_no_second_replay():
    assert replay().id == replay().id
    assert replay(ReplayChoice.OPEN).id != replay().id


def test_the_filter_of_a_replay_survives_its_way_through_the_database():
    matchers = 'team="d\\"b", "odd name"!~"x|y"'
    log_filter = LogFilter(
        states=("failed",), channel=3, severity="critical", matchers=matchers, text="ß", since=-5
    )
    assert LogFilter.from_json(log_filter.to_json()) == log_filter


# --- pages ---


def test_the_question_says_how_many_and_how_many_alerts_have_closed_since(client):
    ended(), ended("delivered", notified=True), ended(status="closed")
    ended("delivered", "closed", "closed"), ended("pending")
    ended(to=create_channel("Quiet", "paused"))
    page = client.get("/deliveries/replay?since=1h").text
    text = visible_text(page)
    for sentence in (
        "6 deliveries match.",
        "2 of alerts that are still open",
        "1 resolution of alerts that have closed since",
        "1 of alerts that have closed since, without a resolution to send: not sent again",
        "1 still under way: not sent again",
        "1 to paused channels: resume them first: not sent again",
        "2 of them have arrived before: the receivers get them again",
        "Only what is still open: 2",
        "Everything: 3, with the resolutions",
    ):
        assert sentence in text
    assert Delivery.select().where(Delivery.state == "pending").count() == 1


def test_a_replay_is_started_followed_and_recorded(client):
    rows = [ended(), ended(status="closed")]
    form = {"since": "1h", "state": "problems", "choice": "open"}
    response = client.post("/deliveries/replay", form)
    assert response.status_code == 303
    address = response.headers["Location"]
    page = client.get(address).text
    assert 'data-state="running"' in page
    poll = re.search(r'hx-get="([^"]+)" hx-trigger="every 1s"', page)[1].replace("&amp;", "&")
    assert client.get(poll).status_code == 204
    outbox.run_replay_slice(now_ms())
    done = client.get(poll).text
    assert "1 of 2 deliveries was made due again." in visible_text(done)
    assert "hx-get" not in done.split('id="replay"')[1].split(">")[0]
    assert [state_of(row) for row in rows] == ["pending", "failed"]
    last = AuditEntry.select().order_by(AuditEntry.id.desc()).get()
    assert (last.action, last.detail) == ("delivery replayed", "replay 1: state problems, since 1h")
    assert "Replay 1" in client.get("/deliveries/replay?since=1h").text


def test_a_replay_is_stopped_and_continued_on_its_page(client):
    ended()
    started = replay()
    for action, state, message in (
        ("stop", "stopped", "The replay is stopped."),
        ("stop", "stopped", "Nothing was changed: the replay has ended already."),
        ("continue", "running", "The replay goes on."),
        ("continue", "running", "Nothing was changed: the replay is not stopped."),
    ):
        response = client.post(f"/replays/{started.id}/{action}")
        page = client.get(response.headers["Location"]).text
        assert f'data-state="{state}"' in page
        assert message in page


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"choice": "open"}, 303),
        ({"choice": "open", "since": "soon"}, 303),
        ({"choice": "best", "since": "1h"}, 422),
        ({"since": "1h"}, 422),
    ],
)
def test_a_replay_without_a_filter_or_a_choice_is_refused_in_words(client, form, status):
    ended()
    response = client.post("/deliveries/replay", form)
    assert response.status_code == status
    assert Replay.select().count() == 0


def test_without_a_filter_the_page_asks_for_a_time(client):
    page = client.get("/deliveries/replay").text
    assert "Choose the time since which" in page
    assert client.get("/deliveries/replay?since=soon").status_code == 422
    assert "There is nothing to send again." in client.get("/deliveries/replay?since=1h").text


def test_one_delivery_is_sent_again_from_its_page(client):
    row = ended("delivered", notified=True)
    assert (
        f'action="/deliveries/msg_{row.id}/redeliver"'
        in client.get(f"/deliveries/msg_{row.id}").text
    )
    response = client.post(f"/deliveries/msg_{row.id}/redeliver")
    assert "The delivery is due again." in client.get(response.headers["Location"]).text
    assert state_of(row) == "pending"
    response = client.post(f"/deliveries/msg_{row.id}/redeliver")
    assert (
        "Nothing was changed: it is still under way."
        in client.get(response.headers["Location"]).text
    )
    assert client.post("/deliveries/msg_5/redeliver").status_code == 404
    assert client.get("/replays/5").status_code == 404


def test_a_viewer_sees_the_question_and_cannot_start(client, viewer):
    ended()
    page = viewer.get("/deliveries/replay?since=1h").text
    assert "1 delivery matches." in visible_text(page)
    assert 'name="choice"' not in page
    assert viewer.post("/deliveries/replay", {"since": "1h", "choice": "all"}).status_code == 403


def test_a_long_log_is_looked_at_in_part(client, monkeypatch):
    monkeypatch.setattr("web.deliveries.replays.MAX_LOOKED_AT", 2)
    monkeypatch.setattr("web.deliveries.replays.LOOK_SLICE", 1)
    for _ in range(4):
        ended()
    text = visible_text(client.get("/deliveries/replay?since=1h").text)
    assert "At least 2 deliveries match. There are too many to look at all of them before" in text


@pytest.mark.browser
def test_a_failed_delivery_is_redelivered_with_the_keyboard(chromium, live, receiver):
    expect = pytest.importorskip("playwright.sync_api").expect
    receiver.script = reply(400)
    channel_id = live.create_channel(receiver.url, name="Replayed")
    live.post_alert(name="Replayed")
    page = open_page(chromium, live)
    page.goto(f"{live.url}/deliveries?channel={channel_id}&state=problems")
    for _ in range(50):
        if page.locator('li[data-state="failed"]').count():
            break
        page.reload()
    receiver.script = reply(200)
    page.get_by_role("link", name="Redeliver …").press("Enter")
    expect(page.locator("#matching")).to_have_text("1 delivery matches.")
    assert violations(page) == []
    page.get_by_role("button", name="Redeliver").press("Enter")
    expect(page.locator("#replay")).to_have_attribute("data-state", "done")
    assert violations(page) == []
    page.goto(f"{live.url}/deliveries?channel={channel_id}")
    expect(page.locator('li[id^="delivery-"]')).to_have_attribute("data-state", "delivered")
    assert page.complaints == []
