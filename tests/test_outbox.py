"""The outbox: one delivery for each change, in order, and none lost when the clock jumps."""

import itertools

import pytest

from clock import HOUR, MINUTE
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.routing import DELIVERY_LIFETIME, PROBE_INTERVAL, ReceivedAlert
from delivery.outbox import AttemptResult, claim, release_claim, settle, store, take_over
from delivery.outcome import Actor, Outcome, Reason, Verdict
from models import Alert as AlertRow
from models import Attempt, Channel, Delivery, DeliveryState, Silence, db

NOW = 1_790_000_000_000
_names = itertools.count(1)


@pytest.fixture(autouse=True)
def _database(app):
    db.connect(reuse_if_open=True)


def channel(**fields) -> int:
    """Create a channel; without matchers it takes every alert. Return its id."""
    return Channel.create(
        name=f"C{next(_names)}", kind="webhook", created_at=NOW, updated_at=NOW, **fields
    ).id


def alert(key="k", status="open", closes_at=None, **parts) -> ReceivedAlert:
    parts = {"name": "Disk full", "labels": {"severity": "critical"}, "status": status, **parts}
    return ReceivedAlert(key, Alert.from_json(parts), closes_at)


def deliveries(**where) -> list[tuple]:
    """Return the deliveries as (channel, event, state), oldest first."""
    rows = Delivery.select().order_by(Delivery.id)
    return [
        (row.channel_id, row.event, row.state)
        for row in rows
        if all(getattr(row, k) == v for k, v in where.items())
    ]


def result(delivery, state="delivered", due=NOW, verdict=Verdict.RETRY) -> AttemptResult:
    """Return the result of an attempt; `verdict` is used unless the delivery arrived."""
    if state == "delivered":
        verdict = Verdict.DELIVERED
    outcome = Outcome(
        verdict, Reason.OK, Actor.RECEIVER, "What happened.", "", "r", milliseconds=3, status=200
    )
    return AttemptResult(
        delivery_id=delivery.id,
        channel_id=delivery.channel_id,
        number=delivery.attempt,
        config_hash="x",
        started_at=NOW,
        outcome=outcome,
        state=DeliveryState(state),
        due_at=due,
        cause="why",
    )


def claim_due(now=NOW, *, max_count=64, room=None):
    return claim(now, max_count=max_count, room=room or {})


# --- store ---


def test_an_alert_makes_a_delivery_for_every_matching_channel():
    everything = channel()
    critical = channel(matchers='severity="critical"')
    channel(matchers='severity="info"')
    [stored] = store([alert()], NOW)
    assert deliveries() == [(everything, "open", "pending"), (critical, "open", "pending")]
    assert stored.deliveries == tuple(
        f"msg_{row.id}" for row in Delivery.select().order_by(Delivery.id)
    )
    assert AlertRow.get().id == stored.id


@pytest.mark.parametrize(
    ("statuses", "events"),
    [
        (["open", "open", "open"], ["open"]),
        (["open", "closed"], ["open", "closed"]),
        (["open", "closed", "closed"], ["open", "closed"]),
        (["open", "closed", "open"], ["open", "closed", "open"]),
        (["closed"], []),
        (["closed", "open"], ["open"]),
        (["closed", "closed", "open", "open", "closed"], ["open", "closed"]),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_change_of_status_makes_a_delivery_and_a_repetition_does_not(statuses, events, at_once):
    channel()
    alerts = [alert(status=status) for status in statuses]
    for batch in [alerts] if at_once else [[received] for received in alerts]:
        store(batch, NOW)
    assert [row[1] for row in deliveries()] == events
    assert AlertRow.get().status == statuses[-1]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_newer_event_supersedes_a_waiting_delivery(at_once):
    here = channel()
    batches = (
        [[alert(), alert(status="closed")]] if at_once else [[alert()], [alert(status="closed")]]
    )
    for batch in batches:
        store(batch, NOW)
    assert deliveries() == [(here, "open", "superseded"), (here, "closed", "pending")]
    store([alert()], NOW)
    assert [row[2] for row in deliveries()] == ["superseded", "superseded", "pending"]


def test_a_closing_has_both_times_and_the_details_of_the_opening():
    channel()
    store(
        [
            alert(
                starts_at=NOW - HOUR,
                url="https://alerts.example/1",
                annotations={"summary": "92 %"},
            )
        ],
        NOW,
    )
    store([ReceivedAlert("k", Alert.from_json({"status": "closed", "ends_at": NOW}))], NOW)
    [claimed] = claim_due()
    sent = claimed.alert
    assert (sent.status, sent.starts_at, sent.ends_at) == ("closed", NOW - HOUR, NOW)
    assert (sent.url, dict(sent.annotations), dict(sent.labels)) == (
        "https://alerts.example/1",
        {"summary": "92 %"},
        {"severity": "critical"},
    )


def test_a_closing_goes_only_to_the_channels_of_its_opening():
    notified = channel(matchers='severity="critical"')
    other = channel(matchers='severity="info"')
    store([alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    Channel.update(matchers='severity="info"').where(Channel.id == notified).execute()
    Channel.update(matchers="").where(Channel.id == other).execute()
    store([alert(status="closed")], NOW)
    assert deliveries(event="closed") == [(notified, "closed", "pending")]


@pytest.mark.parametrize("state", ["failed", "given_up", "parked", "accepted"])
def test_a_closing_is_sent_even_if_the_opening_did_not_arrive(state):
    channel()
    store([alert()], NOW)
    Delivery.update(state=state).execute()
    store([alert(status="closed")], NOW)
    assert [row[1:] for row in deliveries()] == [("open", state), ("closed", "pending")]


@pytest.mark.parametrize(
    ("minutes", "state", "repeated"),
    [
        (59, "delivered", False),
        (60, "delivered", True),
        (60, "pending", False),
        (60, "sending", False),
        (60, "failed", True),
    ],
)
def test_an_open_alert_is_repeated_after_the_repeat_interval(minutes, state, repeated):
    channel(repeat_minutes=60)
    store([alert()], NOW)
    Delivery.update(state=state).execute()
    store([alert()], NOW + minutes * MINUTE)
    assert [row.repeated for row in Delivery.select().order_by(Delivery.id)] == [0, 1][
        : 1 + repeated
    ]


def test_a_new_channel_gets_an_open_alert_when_it_is_sent_again():
    channel()
    store([alert()], NOW)
    new = channel()
    store([alert()], NOW)
    assert deliveries()[1:] == [(new, "open", "pending")]


@pytest.mark.parametrize("state", ["paused", "failing"])
def test_a_delivery_for_a_channel_that_does_not_deliver_is_held(state):
    here = channel(state=state)
    store([alert()], NOW)
    assert deliveries() == [(here, "open", "held")]
    assert claim_due() == []
    outbox.release(here, NOW + 48 * HOUR)
    row = Delivery.get()
    assert (row.state, row.due_at, row.expires_at) == (
        "pending",
        NOW + 48 * HOUR,
        NOW + 48 * HOUR + DELIVERY_LIFETIME,
    )


def silence(**fields):
    columns = {
        "matchers": 'severity="critical"',
        "reason": "Disks are changed",
        "made_by": "ada",
        "created_at": NOW,
    }
    return Silence.create(until=NOW + HOUR, **{**columns, **fields})


def test_a_silenced_delivery_is_dropped_and_names_the_silence():
    channel()
    quiet = silence()
    store([alert()], NOW)
    row = Delivery.get()
    assert (row.state, row.cause, row.settled_at) == (
        "dropped",
        f"Silence {quiet.id}: Disks are changed (ada)",
        NOW,
    )


def test_a_silenced_alert_makes_one_row_and_is_sent_after_the_silence():
    channel()
    silence()
    for minute in range(5):
        store([alert()], NOW + minute * MINUTE)
    assert [row[2] for row in deliveries()] == ["dropped"]
    store([alert()], NOW + 2 * HOUR)
    assert [row[1:] for row in deliveries()] == [("open", "dropped"), ("open", "pending")]


def test_the_closing_of_a_silenced_alert_is_not_sent():
    channel()
    silence()
    store([alert(), alert(status="closed")], NOW)
    assert [row[1:] for row in deliveries()] == [("open", "dropped")]


def test_a_silence_does_not_stop_the_closing_of_a_delivered_alert():
    channel(repeat_minutes=1)
    store([alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    silence()
    store([alert()], NOW + 5 * MINUTE)
    store([alert(status="closed")], NOW + 6 * MINUTE)
    assert [row[1:] for row in deliveries()] == [("open", "delivered"), ("closed", "pending")]


@pytest.mark.parametrize("text", ["not a matcher", '{severity="', "(", "\x00"])
def test_damaged_matchers_match_every_alert(text):
    channel(matchers=text)
    store([alert()], NOW)
    assert len(deliveries()) == 1


def test_an_alert_with_a_damaged_body_can_be_closed():
    channel()
    store([alert()], NOW)
    for body in ("nonsense", "[1]", '{"labels": 3}'):
        AlertRow.update(body=body, status="open").execute()
        store([alert(status="closed")], NOW)
    assert AlertRow.get().status == "closed"


def test_an_open_alert_closes_at_its_end_unless_it_is_sent_again():
    here = channel()
    store([alert(closes_at=NOW + 5 * MINUTE), alert("other")], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    assert outbox.close_overdue(NOW + 5 * MINUTE - 1) == 0
    store([alert(closes_at=NOW + 10 * MINUTE)], NOW + 4 * MINUTE)
    assert outbox.close_overdue(NOW + 9 * MINUTE) == 0
    assert outbox.close_overdue(NOW + 10 * MINUTE) == 1
    assert outbox.close_overdue(NOW + 20 * MINUTE) == 0
    assert deliveries(event="closed") == [(here, "closed", "pending")]
    assert AlertRow.get(AlertRow.key == "k").status == "closed"
    assert AlertRow.get(AlertRow.key == "other").status == "open"


def test_a_thousand_alerts_are_stored_in_one_transaction():
    channel()
    stored = store([alert(f"k{number}") for number in range(1200)], NOW)
    assert (
        len({result.id for result in stored})
        == len({name for result in stored for name in result.deliveries})
        == 1200
    )
    again = store([alert(f"k{number}") for number in range(1200)], NOW)
    assert [result.id for result in again] == [result.id for result in stored]
    assert not any(result.deliveries for result in again)


def test_delivery_ids_increase_when_the_clock_is_set_back():
    channel()
    store([alert("a")], NOW)
    store([alert("b")], NOW - 24 * HOUR)
    first, second = Delivery.select().order_by(Delivery.created_at.desc())
    assert second.id == first.id + 1


def test_a_full_outbox_refuses_alerts_and_stores_no_part_of_them(monkeypatch):
    channel()
    monkeypatch.setattr(outbox.ingest, "MAX_WAITING", 3)
    store([alert(str(number)) for number in range(3)], NOW)
    with pytest.raises(outbox.OutboxFull):
        store([alert("more")], NOW)
    assert AlertRow.select().count() == 3


# --- claim and settle ---


def test_a_claim_counts_as_an_attempt_before_the_delivery_is_sent():
    channel()
    store([alert()], NOW)
    [delivery] = claim_due()
    row = Delivery.get()
    assert (delivery.attempt, row.attempts, row.state) == (1, 1, "sending")
    assert claim_due() == []


@pytest.mark.parametrize(
    ("options", "room", "count"),
    [
        ({}, None, 4),
        ({"max_count": 1}, None, 1),
        ({}, 2, 2),
        ({}, 1, 1),
        ({}, 0, 0),
        ({}, -1, 0),
    ],
)
def test_a_claim_keeps_the_room_of_each_channel(options, room, count):
    here = channel()
    store([alert(str(number)) for number in range(9)], NOW)
    if room is not None:
        options = {**options, "room": {here: room}}
    assert len(claim_due(**options)) == count


def test_deliveries_that_are_due_at_the_same_time_are_claimed_in_the_order_of_their_ids():
    for _ in range(6):
        channel()
    store([alert(str(number)) for number in range(3)], NOW)
    first = [delivery.id for delivery in claim_due(max_count=5)]
    second = [delivery.id for delivery in claim_due()]
    assert first + second == [row.id for row in Delivery.select().order_by(Delivery.id)]


def test_a_channel_that_is_full_does_not_hide_the_others():
    busy = channel(matchers='severity="critical"')
    other = channel(matchers='severity="info"')
    store([alert(str(number)) for number in range(300)], NOW)
    store([alert("info", labels={"severity": "info"})], NOW + 1)
    assert {delivery.channel_id for delivery in claim_due(NOW + 1, room={busy: 0})} == {other}


def test_a_closing_never_overtakes_its_own_opening():
    channel()
    store([alert()], NOW)
    [opening] = claim_due()
    store([alert(status="closed"), alert("other")], NOW)
    assert [delivery.alert.name for delivery in claim_due()] == ["Disk full"]
    assert (
        Delivery.select().where(Delivery.state == "pending", Delivery.event == "closed").count()
        == 1
    )
    settle([result(opening)], NOW)
    assert [delivery.alert.status for delivery in claim_due()] == ["closed"]


def test_a_failed_opening_is_superseded_if_its_alert_closed_during_the_attempt():
    channel()
    store([alert()], NOW)
    [opening] = claim_due()
    store([alert(status="closed")], NOW)
    settle([result(opening, "pending", NOW + MINUTE)], NOW)
    assert [row[1:] for row in deliveries()] == [("open", "superseded"), ("closed", "pending")]


def test_a_delivery_is_held_if_its_channel_was_paused_during_the_attempt():
    here = channel()
    store([alert()], NOW)
    claimed = claim_due()
    Channel.update(state="paused").execute()
    outbox.hold(here, NOW)
    settle([result(claimed[0], "pending", NOW + MINUTE)], NOW)
    assert deliveries() == [(here, "open", "held")]


def test_an_attempt_is_stored_together_with_the_new_state():
    channel()
    store([alert()], NOW)
    settle([result(delivery, "pending", NOW + MINUTE) for delivery in claim_due()], NOW)
    settle([result(delivery) for delivery in claim_due(NOW + MINUTE)], NOW + MINUTE)
    row = Delivery.get()
    assert (row.state, row.attempts, row.claims, row.settled_at) == (
        "delivered",
        2,
        0,
        NOW + MINUTE,
    )
    assert [
        (attempt.number, attempt.purpose) for attempt in Attempt.select().order_by(Attempt.id)
    ] == [
        (1, "delivery"),
        (2, "delivery"),
    ]


def test_a_late_result_changes_nothing():
    channel()
    store([alert()], NOW)
    [late] = claim_due()
    take_over(NOW)
    [again] = claim_due()
    settle([result(late, "failed")], NOW)
    assert (Delivery.get().state, Attempt.select().count()) == ("sending", 0)
    settle([result(again)], NOW)
    assert (Delivery.get().state, Attempt.select().count()) == ("delivered", 1)


def test_a_released_claim_is_pending_again_and_counts_as_no_attempt():
    channel()
    store([alert()], NOW)
    release_claim(claim_due(), NOW + 1000)
    row = Delivery.get()
    assert (row.state, row.attempts, row.due_at) == ("pending", 0, NOW + 1000)


def test_a_takeover_counts_a_crash_only_for_the_delivery_that_caused_it():
    channel(), channel()
    store([alert()], NOW)
    delivery, other = claim_due()
    for time in (1, 2, 3):
        take_over(NOW, delivery.id)
        states = {row.id: row.state for row in Delivery.select()}
        assert states == {delivery.id: "parked" if time == 3 else "pending", other.id: "pending"}
        claim_due()
    assert "crashed the worker 3 times" in Delivery.get_by_id(delivery.id).cause


def test_of_the_deliveries_in_flight_at_a_crash_only_the_one_that_crashes_again_is_parked():
    for _ in range(3):
        channel()
    store([alert()], NOW)
    poison = claim_due()[1].id
    take_over(NOW, crashed=True)
    for _ in range(6):
        suspects = claim_due()
        assert len(suspects) <= 1
        if [delivery.id for delivery in suspects] == [poison]:
            take_over(NOW, crashed=True)
        else:
            settle([result(delivery) for delivery in suspects], NOW)
    assert [row[2] for row in deliveries()] == ["delivered", "parked", "delivered"]
    assert Delivery.get_by_id(poison).claims == 3


def test_a_worker_that_was_killed_from_outside_leaves_no_suspects():
    channel()
    store([alert()], NOW)
    for _ in range(5):
        claim_due()
        take_over(NOW)
    assert (Delivery.get().state, Delivery.get().claims) == ("pending", 0)


def test_a_settled_attempt_resets_the_count_of_crashes():
    channel()
    store([alert()], NOW)
    for _ in range(2):
        [delivery] = claim_due()
        take_over(NOW, delivery.id)
    settle([result(delivery, "pending", NOW) for delivery in claim_due()], NOW)
    for _ in range(2):
        [delivery] = claim_due()
        take_over(NOW, delivery.id)
    assert Delivery.get().state == "pending"


def test_a_hook_that_is_gone_makes_the_channel_failing_and_a_probe_heals_it():
    here = channel(config_hash="x")
    store([alert(str(number)) for number in range(3)], NOW)
    first, *rest = claim_due()
    settle(
        [
            result(first, "failed", verdict=Verdict.GONE),
            *(result(delivery, "pending", NOW) for delivery in rest),
        ],
        NOW,
    )
    assert Channel.get_by_id(here).state == "failing"
    assert [row[2] for row in deliveries()] == ["failed", "held", "held"]
    outbox.sweep(NOW + PROBE_INTERVAL - 1)
    assert claim_due(NOW + PROBE_INTERVAL - 1) == []
    outbox.sweep(NOW + PROBE_INTERVAL)
    [probe] = claim_due(NOW + PROBE_INTERVAL)
    outbox.sweep(NOW + PROBE_INTERVAL)
    settle([result(probe)], NOW + PROBE_INTERVAL)
    assert Channel.get_by_id(here).state == "delivering"
    assert [row[2] for row in deliveries()] == ["failed", "delivered", "pending"]


def test_a_delivery_that_arrives_proves_the_configuration_it_was_sent_with():
    here = channel(config_hash="x")
    store([alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    assert Channel.get_by_id(here).proven == "proven by delivery"


def test_a_gone_verdict_for_an_older_configuration_does_not_fail_the_channel():
    here = channel(config_hash="another since")
    store([alert()], NOW)
    settle([result(delivery, "failed", verdict=Verdict.GONE) for delivery in claim_due()], NOW)
    assert Channel.get_by_id(here).state == "delivering"


def test_a_failing_channel_is_probed_every_ten_minutes_however_many_deliveries_are_held():
    channel(state="failing")
    store([alert(str(number)) for number in range(20)], NOW)
    asked = 0
    for minute in range(60):
        outbox.sweep(NOW + minute * MINUTE)
        for delivery in claim_due(NOW + minute * MINUTE):
            asked += 1
            settle(
                [result(delivery, "held", NOW + minute * MINUTE + PROBE_INTERVAL)],
                NOW + minute * MINUTE,
            )
    assert asked == 5


def test_a_failed_probe_is_pending_if_the_channel_was_resumed_during_it():
    here = channel(state="failing")
    store([alert()], NOW)
    outbox.sweep(NOW + PROBE_INTERVAL)
    [probe] = claim_due(NOW + PROBE_INTERVAL)
    Channel.update(state="delivering").execute()
    outbox.release(here, NOW + PROBE_INTERVAL)
    settle([result(probe, "held", NOW + 2 * PROBE_INTERVAL)], NOW + PROBE_INTERVAL)
    assert deliveries() == [(here, "open", "pending")]


def test_a_silenced_opening_does_not_supersede_a_waiting_closing():
    channel()
    store([alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    store([alert(status="closed")], NOW)
    silence()
    store([alert(), alert(), alert(status="closed")], NOW)
    assert [row[1:] for row in deliveries()] == [
        ("open", "delivered"),
        ("closed", "pending"),
        ("open", "dropped"),
    ]
    [closing] = claim_due()
    settle([result(closing, "pending", NOW + MINUTE)], NOW)
    assert deliveries(event="closed")[0][2] == "pending"


def test_a_released_opening_is_superseded_if_its_alert_has_closed():
    channel(), channel()
    store([alert("a")], NOW)
    claimed = claim_due()
    store([alert("a", status="closed")], NOW)
    release_claim(claimed, NOW + MINUTE)
    assert [row[1:] for row in deliveries()] == [("open", "superseded")] * 2 + [
        ("closed", "pending")
    ] * 2


def test_crash_suspects_do_not_block_other_deliveries():
    for _ in range(12):
        channel(matchers='to="hang"')
    good = channel(matchers='to="good"')
    store([alert(str(number), labels={"to": "hang"}) for number in range(4)], NOW)
    claim_due()
    take_over(NOW, crashed=True)
    store([alert("g", labels={"to": "good"})], NOW + 1)
    first = claim_due(NOW + 1, max_count=4)
    assert good in {delivery.channel_id for delivery in first}
    assert sum(bool(delivery.crashes) for delivery in first) <= 1


@pytest.mark.parametrize("how", ["released", "taken over"])
def test_a_delivery_that_returns_to_a_paused_channel_is_held(how):
    here = channel()
    store([alert()], NOW)
    claimed = claim_due()
    Channel.update(state="paused").execute()
    outbox.hold(here, NOW)
    release_claim(claimed, NOW) if how == "released" else take_over(NOW)
    assert deliveries() == [(here, "open", "held")]


# --- clocks ---


@pytest.mark.parametrize("jump", [-24 * HOUR, 24 * HOUR])
def test_a_clock_jump_moves_only_the_deliveries_that_waited(jump):
    channel()
    store([alert("before", closes_at=NOW + 5 * MINUTE)], NOW)
    Delivery.update(due_at=NOW + MINUTE).execute()
    newest = outbox.newest_id()
    now = NOW + jump
    store([alert("after", closes_at=now + 5 * MINUTE)], now)
    outbox.move_with_clock(jump, now, newest)
    before, after = Delivery.select().order_by(Delivery.id)
    assert (before.due_at, before.expires_at) == (now + MINUTE, now + DELIVERY_LIFETIME)
    assert (after.due_at, after.expires_at) == (now, now + DELIVERY_LIFETIME)
    assert {row.closes_at for row in AlertRow.select()} == {now + 5 * MINUTE}


def test_a_due_time_in_a_far_future_is_corrected():
    channel()
    store([alert("late"), alert("soon")], NOW)
    late, soon = Delivery.select().order_by(Delivery.id)
    Delivery.update(due_at=NOW + 24 * HOUR).where(Delivery.id == late.id).execute()
    Delivery.update(due_at=NOW + 11 * HOUR).where(Delivery.id == soon.id).execute()
    outbox.sweep(NOW)
    assert [row.due_at for row in Delivery.select().order_by(Delivery.id)] == [NOW, NOW + 11 * HOUR]


# --- actions of users ---


@pytest.mark.parametrize(
    ("state", "now", "later", "up"),
    [
        ("pending", True, True, True),
        ("held", False, False, True),
        ("failed", True, False, False),
        ("given_up", True, False, False),
        ("parked", True, False, True),
        ("sending", False, False, False),
        ("delivered", False, False, False),
        ("superseded", False, False, False),
    ],
)
def test_the_actions_of_users_depend_on_the_state(state, now, later, up):
    channel()
    store([alert()], NOW)
    number = Delivery.get().id

    def reset():
        Delivery.update(state=state).execute()
        return number

    assert outbox.snooze(reset(), 60, NOW) == later
    assert outbox.cancel(reset(), "ada", NOW) == up
    assert outbox.retry_now(reset(), NOW) == now
    assert outbox.retry_now(number + 1, NOW) is False


def test_an_opening_cannot_be_retried_after_its_closing():
    channel()
    store([alert()], NOW)
    settle([result(delivery, "failed") for delivery in claim_due()], NOW)
    number = Delivery.get().id
    store([alert(status="closed")], NOW)
    assert outbox.retry_now(number, NOW) is False
    assert deliveries()[0][2] == "failed"


def test_a_delivery_cannot_be_retried_on_a_paused_channel():
    channel(state="paused")
    store([alert()], NOW)
    Delivery.update(state="failed").execute()
    assert outbox.retry_now(Delivery.get().id, NOW) is False


def test_a_snoozed_delivery_expires_after_it_is_due():
    channel()
    store([alert()], NOW)
    outbox.snooze(Delivery.get().id, 48 * 60, NOW)
    row = Delivery.get()
    assert row.expires_at > row.due_at == NOW + 48 * HOUR
