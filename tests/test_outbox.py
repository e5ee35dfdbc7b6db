"""The outbox: one delivery for each change, in order, and none lost when the clock jumps."""

import itertools

import pytest
from attempts import answered, claim_deliveries, result_of

from clock import HOUR, MINUTE
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.alerts.received import NO_CHANNEL, TOO_LATE, ReceivedAlert
from delivery.outbox import (
    AttemptResult,
    claim,
    count_unmatched,
    release_claim,
    settle,
    store,
    take_over,
)
from delivery.outbox.results import PROBE_INTERVAL
from delivery.outcome import Reason, Verdict
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


def result(
    delivery,
    state="delivered",
    due=NOW,
    *,
    verdict=Verdict.RETRY,
    reason=Reason.OK,
    status: int | None = 200,
    sent=True,
    is_probe=False,
) -> AttemptResult:
    """Return the result of an attempt; `verdict` is used unless the delivery arrived."""
    if state == "delivered":
        verdict = Verdict.DELIVERED
    elif reason == Reason.OK:
        reason = Reason.HTTP_STATUS
    outcome = answered(verdict, reason, status, sent=sent)
    return result_of(
        delivery,
        outcome,
        NOW,
        config_hash="x",
        state=DeliveryState(state),
        due_at=due,
        cause="why",
        is_probe=is_probe,
    )


def arrive(now=NOW, **parts) -> None:
    """Store an open alert and let its deliveries arrive."""
    store([alert(**parts)], now)
    settle([result(delivery) for delivery in claim_due(now)], now)


def claim_due(now=NOW, *, max_count=64, room=None, **options):
    return claim_deliveries(now, max_count=max_count, room=room or {}, **options)


def claim_messages(now=NOW):
    return claim(now, max_count=64, room={})


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
def test_a_change_of_status_makes_a_delivery_and_a_repetition_does_not(statuses, events):
    channel()
    for status in statuses:
        store([alert(status=status)], NOW)
        settle([result(delivery) for delivery in claim_due()], NOW)
    assert [row[1:] for row in deliveries()] == [(event, "delivered") for event in events]
    assert AlertRow.get().status == statuses[-1]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("state", ["delivering", "paused", "failing"])
def test_an_opening_that_was_never_sent_makes_neither_message_when_its_alert_closes(at_once, state):
    channel(state=state)
    alerts = [alert(), alert(status="closed")]
    for batch in [alerts] if at_once else [[received] for received in alerts]:
        store(batch, NOW)
    assert [row[1:] for row in deliveries()] == [("open", "superseded")]
    assert "neither message is sent" in Delivery.get().cause
    store([alert()], NOW)
    assert len(deliveries()) == 2


def test_an_open_alert_that_matches_no_channel_is_noted_and_counted_when_it_opens():
    def notes(**parts):
        return [one.note for one in store([alert(**parts), alert(key="other", **parts)], NOW)]

    assert notes() == [NO_CHANNEL, NO_CHANNEL]
    here = channel(matchers="severity=info")
    assert notes() == [NO_CHANNEL, NO_CHANNEL]
    assert notes(status="closed") == ["", ""]
    assert count_unmatched() == 2
    assert notes(labels={"severity": "info"}) == ["", ""]
    assert notes(labels={"severity": "info"}) == ["", ""]
    assert notes() == [NO_CHANNEL, NO_CHANNEL]
    assert count_unmatched() == 2
    Channel.update(state="paused", matchers="").where(Channel.id == here).execute()
    assert notes(status="closed") + notes() == [""] * 4
    Channel.delete().execute()
    assert notes(status="closed") + notes() == ["", "", NO_CHANNEL, NO_CHANNEL]
    assert count_unmatched() == 4


def test_an_internal_label_is_stored_and_can_be_matched():
    here = channel(matchers='__alert_rule_uid__="rule-1"')
    store([alert(labels={"__alert_rule_uid__": "rule-1"}), alert(key="other")], NOW)
    assert deliveries() == [(here, "open", "pending")]
    assert '"__alert_rule_uid__": "rule-1"' in AlertRow.get().body


@pytest.mark.parametrize("at_once", [True, False])
def test_a_newer_event_supersedes_a_waiting_delivery(at_once):
    here = channel()
    arrive()
    alerts = [alert(status="closed"), alert()]
    for batch in [alerts] if at_once else [[received] for received in alerts]:
        store(batch, NOW)
    assert deliveries()[1:] == [(here, "closed", "superseded"), (here, "open", "pending")]
    store([alert(status="closed")], NOW)
    assert [row[2] for row in deliveries()[1:]] == ["superseded", "superseded", "pending"]


def test_a_closing_has_both_times_and_the_details_of_the_opening():
    channel()
    arrive(starts_at=NOW - HOUR, url="https://alerts.example/1", annotations={"summary": "92 %"})
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


NO_ANSWER = {"verdict": Verdict.RETRY, "reason": Reason.TIMEOUT_TOTAL, "status": None}
REFUSED = {"verdict": Verdict.FAILED, "reason": Reason.HTTP_STATUS, "status": 400}


@pytest.mark.parametrize(
    ("state", "how", "is_notified"),
    [
        ("accepted", {"verdict": Verdict.ACCEPTED}, True),
        ("pending", {**NO_ANSWER, "sent": True}, True),
        ("pending", {**NO_ANSWER, "sent": False}, False),
        ("failed", {**NO_ANSWER, "sent": True}, True),
        ("failed", REFUSED, False),
        ("failed", {**REFUSED, "status": 302, "reason": Reason.REDIRECT}, False),
        ("failed", {**REFUSED, "status": 200, "reason": Reason.BODY_SAYS_ERROR}, False),
        ("pending", {"verdict": Verdict.RETRY, "reason": Reason.HTTP_STATUS, "status": 503}, False),
        ("pending", {**NO_ANSWER, "sent": True, "reason": Reason.PROTOCOL_ERROR}, True),
        ("held", {"verdict": Verdict.GONE, "reason": Reason.HTTP_STATUS, "status": 410}, False),
        ("failed", {"verdict": Verdict.BLOCKED, "status": None, "sent": False}, False),
    ],
)
def test_a_closing_goes_to_channels_whose_opening_arrived_or_may_have(state, how, is_notified):
    channel()
    store([alert()], NOW)
    settle([result(delivery, state, NOW + MINUTE, **how) for delivery in claim_due()], NOW)
    store([alert(status="closed")], NOW)
    assert [row[1:] for row in deliveries(event="closed")] == [("closed", "pending")] * is_notified


@pytest.mark.parametrize("state", ["given_up", "parked"])
def test_no_closing_follows_an_opening_that_was_canceled_or_parked(state):
    channel()
    store([alert()], NOW)
    Delivery.update(state=state).execute()
    store([alert(status="closed")], NOW)
    assert [row[1:] for row in deliveries()] == [("open", state)]


def test_a_closing_that_arrived_ends_what_the_channel_was_told():
    channel()
    arrive()
    store([alert(status="closed")], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    store([alert()], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    store([alert(status="closed")], NOW)
    assert [row[1] for row in deliveries()] == ["open", "closed", "open"]


def test_a_closing_that_did_not_arrive_is_owed_until_the_alert_closes_again():
    channel()
    arrive()
    store([alert(status="closed")], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    store([alert()], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    store([alert(status="closed")], NOW)
    assert [row[1] for row in deliveries()] == ["open", "closed", "open", "closed"]


# --- openings that did not arrive ---


@pytest.mark.parametrize("state", ["failed", "given_up", "parked"])
def test_an_opening_that_did_not_arrive_is_due_again_when_its_source_sends_it_again(state):
    channel()
    store([alert()], NOW)
    Delivery.update(state=state, settled_at=NOW).execute()
    assert outbox.review(NOW + HOUR) == 0
    store([alert()], NOW + 2000)
    store([alert()], NOW + 3000)
    [first, second] = Delivery.select().order_by(Delivery.id)
    assert (first.state, second.state, second.due_at) == (state, "pending", NOW + 10_000)
    assert (second.event, second.repeated) == ("open", 0)
    assert "did not arrive" in second.cause
    assert claim_due(NOW + 9_999) == []
    assert len(claim_due(NOW + 10_000)) == 1


@pytest.mark.parametrize(
    ("retries", "waits"),
    [
        ("", [10, 30, 120, 600, 1800, 7200, 21600, 36000, 36000]),
        ("1s, 5s", [1, 5, 5, 5]),
        ("none", [10, 30, 120]),
    ],
)
def test_an_opening_is_sent_again_at_most_once_per_step_of_the_schedule(retries, waits):
    channel(retries=retries, config_hash="x")
    now = NOW
    store([alert()], now)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due(now)], now)
    for wait in waits:
        for part in (0, 0.5, 0.9):
            store([alert()], now + int(wait * part * 1000))
        assert claim_due(now + wait * 1000 - 1) == []
        now += wait * 1000
        [delivery] = claim_due(now)
        settle([result(delivery, "failed", **REFUSED)], now)
    assert len(deliveries()) == len(waits) + 1


def test_an_opening_is_due_at_once_when_the_channel_was_edited_or_the_alert_opened_again():
    channel(config_hash="x")
    store([alert()], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    Channel.update(config_hash="another").execute()
    store([alert()], NOW + 1)
    [again] = claim_due(NOW + 1)
    settle([result(again, "failed", **REFUSED)], NOW + 1)
    store([alert(status="closed"), alert()], NOW + 2)
    assert len(claim_due(NOW + 2)) == 1


@pytest.mark.parametrize("state", ["failed", "given_up", "parked"])
def test_a_closing_that_did_not_arrive_is_due_again_when_its_source_sends_it_again(state):
    channel()
    arrive()
    store([alert(status="closed")], NOW)
    Delivery.update(state=state, settled_at=NOW).where(Delivery.event == "closed").execute()
    store([alert(status="closed")], NOW + 1)
    store([alert(status="closed")], NOW + 2)
    [again] = claim_due(NOW + 10_000)
    settle([result(again)], NOW + 10_000)
    store([alert(status="closed")], NOW + HOUR)
    assert [row[1:] for row in deliveries()] == [
        ("open", "delivered"),
        ("closed", state),
        ("closed", "delivered"),
    ]


def test_an_edit_makes_pending_deliveries_due():
    here = channel()
    store([alert()], NOW)
    settle([result(delivery, "pending", NOW + HOUR) for delivery in claim_due()], NOW)
    outbox.send_now(here, NOW + 1)
    assert len(claim_due(NOW + 1)) == 1


# --- changes of an open alert ---


@pytest.mark.parametrize(
    ("matchers", "labels", "is_due"),
    [
        ("", {"severity": "critical"}, False),
        ("", {"severity": "warning"}, True),
        ("", {"severity": "critical", "pod": "b"}, False),
        ("", {"severity": "critical", "priority": "P1"}, True),
        ('pod!=""', {"severity": "critical", "pod": "b"}, True),
        ('severity="critical"', {"severity": "warning"}, False),
        ('alertname=~".*"', {"severity": "critical", "alertname": "Other"}, True),
    ],
)
@pytest.mark.parametrize("state", ["delivered", "failed", "sending"])
def test_a_change_of_severity_or_of_a_matched_label_notifies_again(matchers, labels, is_due, state):
    channel(matchers=matchers)
    store([alert(labels={"severity": "critical", "pod": "a"})], NOW)
    [delivery] = claim_due()
    if state != "sending":
        settle([result(delivery, state, **({} if state == "delivered" else REFUSED))], NOW)
    if state == "failed" and not is_due:
        return  # it is due again after a step, whatever its labels
    store([alert(labels=labels)], NOW + 1)
    store([alert(labels=labels)], NOW + 2)
    new = Delivery.select().where(Delivery.id > delivery.id)
    assert [(row.due_at, row.repeated) for row in new] == [
        (NOW + 1, int(state == "delivered"))
    ] * is_due


def test_a_change_before_the_message_is_built_makes_no_further_delivery():
    channel()
    store([alert(labels={"severity": "warning"})], NOW)
    store([alert(labels={"severity": "critical"})], NOW)
    [delivery] = claim_due()
    assert delivery.alert.labels == {"severity": "critical"}
    settle([result(delivery)], NOW)
    store([alert(labels={"severity": "critical"})], NOW)
    assert len(deliveries()) == 1


def test_a_change_supersedes_the_retry_of_the_earlier_message():
    channel()
    store([alert(labels={"severity": "warning"})], NOW)
    settle([result(delivery, "pending", NOW + MINUTE) for delivery in claim_due()], NOW)
    store([alert(labels={"severity": "critical"})], NOW + 1)
    assert [row[2] for row in deliveries()] == ["superseded", "pending"]


def test_an_opening_that_waits_is_not_sent_when_the_matchers_no_longer_match():
    channel(matchers='severity="critical"')
    store([alert()], NOW)
    settle([result(delivery, "pending", NOW + MINUTE) for delivery in claim_due()], NOW)
    store([alert(labels={"severity": "warning"})], NOW + 1)
    assert claim_due(NOW + MINUTE) == []
    assert "no longer match" in Delivery.get().cause
    store([alert()], NOW + MINUTE)
    assert [row[2] for row in deliveries()] == ["superseded", "pending"]


def test_a_new_opening_supersedes_an_older_one_that_a_silenced_change_had_followed():
    channel()
    store([alert(labels={"severity": "warning"})], NOW)
    [older] = claim_due()
    store([alert()], NOW)
    silence()
    outbox.apply_silences(NOW)
    settle([result(older, "pending", NOW + 2 * HOUR)], NOW)
    outbox.review(NOW + HOUR)
    assert [row[2] for row in deliveries()] == ["superseded", "dropped", "pending"]


def test_a_closing_knows_the_name_and_labels_that_the_channel_was_told():
    channel()
    arrive(name="Disk full", labels={"severity": "warning", "pod": "a"})
    store([alert(name="Disk", labels={"severity": "warning", "pod": "b"})], NOW)
    store([alert(status="closed", name="Disk", labels={"severity": "warning"})], NOW)
    [closing] = claim_due()
    assert closing.notified_alert.name == "Disk full"
    assert closing.notified_alert.labels == {"severity": "warning", "pod": "a"}
    assert closing.alert.labels == {"severity": "warning"}


# --- repeats ---


@pytest.mark.parametrize(
    ("minutes", "state", "repeats"),
    [
        (59, "delivered", 0),
        (60, "delivered", 1),
        (60, "accepted", 1),
        (60, "pending", 0),
        (60, "sending", 0),
        (60, "failed", 1),
    ],
)
@pytest.mark.parametrize("is_posted", [True, False])
def test_an_open_alert_is_repeated_after_the_repeat_interval(minutes, state, repeats, is_posted):
    channel(repeat_minutes=60)
    arrive()
    Delivery.update(state=state, settled_at=NOW).execute()
    now = NOW + minutes * MINUTE
    if is_posted and state != "failed":
        store([alert()], now)
    outbox.review(now)
    outbox.review(now)
    assert [row.repeated for row in Delivery.select().order_by(Delivery.id)] == [0] + [1] * repeats


def test_the_repeat_interval_is_kept_until_the_alert_closes():
    channel(repeat_minutes=60)
    arrive()
    for hour in range(1, 4):
        now = NOW + hour * HOUR
        assert outbox.review(now - 1) == 0
        assert outbox.review(now) == 1
        settle([result(delivery) for delivery in claim_due(now)], now)
    store([alert(status="closed")], now)
    assert outbox.review(now + 2 * HOUR) == 0
    assert [row[1] for row in deliveries()] == ["open"] * 4 + ["closed"]


def test_the_repeat_interval_holds_for_an_alert_that_closed_and_opened_in_one_request():
    channel(repeat_minutes=60)
    store([alert(), alert(status="closed"), alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    assert outbox.review(NOW + HOUR) == 1
    assert [row[2] for row in deliveries()] == ["superseded", "delivered", "pending"]


def test_another_repeat_interval_holds_for_open_alerts_too():
    here = channel()
    arrive()
    Channel.update(repeat_minutes=60).execute()
    outbox.review_channel(here, NOW + MINUTE)
    outbox.review(NOW + MINUTE)
    assert outbox.review(NOW + HOUR) == 1
    assert [row[1:] for row in deliveries()] == [("open", "delivered"), ("open", "pending")]


def test_an_alertmanager_is_sent_open_alerts_again_because_it_forgets_them():
    row = Channel.get_by_id(channel())
    row.kind = "alertmanager"
    row.save()
    arrive()
    assert outbox.review(NOW + 5 * MINUTE - 1) == 0
    assert outbox.review(NOW + 5 * MINUTE) == 1
    assert [row[1:] for row in deliveries()] == [("open", "delivered"), ("open", "pending")]


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


def silence(until=NOW + HOUR, **fields):
    columns = {
        "matchers": 'severity="critical"',
        "reason": "Disks are changed",
        "made_by": "ada",
        "created_at": NOW,
    }
    return Silence.create(until=until, **{**columns, **fields})


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


@pytest.mark.parametrize("how", ["by time", "by hand"])
def test_a_silenced_alert_that_is_still_open_when_the_silence_ends_is_sent_unprompted(how):
    channel()
    quiet = silence()
    store([alert(), alert("closes")], NOW)
    store([alert("closes", status="closed")], NOW)
    assert outbox.review(NOW + HOUR - 1) == 0
    now = NOW + HOUR
    if how == "by hand":
        now = NOW + MINUTE
        Silence.update(until=now).execute()
        outbox.end_silence(quiet.id, now)
    assert outbox.review(now) == 1
    assert outbox.review(now) == 0
    assert [row[1:] for row in deliveries()] == [("open", "dropped")] * 2 + [("open", "pending")]
    assert [delivery.alert.id for delivery in claim_due(now)] == ["1"]


def test_an_alert_that_was_received_again_under_a_silence_after_a_failure_is_sent_after_it():
    channel()
    store([alert()], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    silence()
    store([alert()], NOW + MINUTE)
    outbox.review(NOW + HOUR - 1)
    assert len(deliveries()) == 1
    outbox.review(NOW + HOUR)
    outbox.review(NOW + HOUR)
    assert [row[2] for row in deliveries()] == ["failed", "pending"]


def test_an_alert_under_two_silences_is_sent_after_the_last_one():
    channel()
    silence(until=NOW + HOUR)
    store([alert()], NOW)
    silence(until=NOW + 2 * HOUR)
    outbox.review(NOW + HOUR)
    assert [row[2] for row in deliveries()] == ["dropped"]
    assert outbox.review(NOW + 2 * HOUR - 1) == 0
    outbox.review(NOW + 2 * HOUR)
    assert [row[2] for row in deliveries()] == ["dropped", "pending"]


@pytest.mark.parametrize("state", ["delivering", "paused"])
def test_a_new_silence_stops_what_is_pending_or_held(state):
    channel(state=state)
    store([alert(str(number)) for number in range(5)], NOW)
    store([alert("other", labels={"severity": "info"})], NOW)
    quiet = silence()
    outbox.apply_silences(NOW)
    waiting = "pending" if state == "delivering" else "held"
    assert [row[2] for row in deliveries()] == ["dropped"] * 5 + [waiting]
    assert f"Silence {quiet.id}: " in Delivery.select().order_by(Delivery.id).first().cause
    assert outbox.review(NOW + HOUR) == 5
    assert len(deliveries(state=waiting)) == 6


def test_a_new_silence_lets_a_closing_pass():
    channel()
    arrive()
    store([alert(status="closed")], NOW)
    silence()
    outbox.apply_silences(NOW)
    assert [delivery.alert.status for delivery in claim_due()] == ["closed"]


def test_a_silence_stops_the_retry_of_an_attempt_that_was_under_way():
    channel()
    store([alert()], NOW)
    claimed = claim_due()
    silence()
    outbox.apply_silences(NOW)
    settle([result(delivery, "pending", NOW + MINUTE) for delivery in claimed], NOW)
    assert claim_due(NOW + MINUTE) == []
    assert [row[2] for row in deliveries()] == ["dropped"]
    outbox.review(NOW + HOUR)
    assert [row[2] for row in deliveries()] == ["dropped", "pending"]


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


@pytest.mark.parametrize("text", ["not a matcher", '{severity="', "\x00"])
def test_a_silence_with_damaged_matchers_silences_nothing(text):
    channel()
    silence(matchers=text)
    store([alert()], NOW)
    outbox.apply_silences(NOW)
    assert len(claim_due()) == 1


def test_a_delivery_with_a_damaged_event_stops_no_other():
    channel()
    store([alert("a"), alert("b")], NOW)
    db.execute_sql(
        "UPDATE delivery SET event = 'nonsense' WHERE id = (SELECT min(id) FROM delivery)"
    )
    assert len(claim_due()) == 2


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
    for now in range(NOW, NOW + 10 * MINUTE, outbox.REPORT_INTERVAL):
        outbox.report_listening(now)
        assert outbox.close_overdue(now) == 0
        if now == NOW + 4 * MINUTE:
            store([alert(closes_at=NOW + 10 * MINUTE)], now)
    outbox.report_listening(NOW + 10 * MINUTE)
    assert outbox.close_overdue(NOW + 10 * MINUTE) == 1
    assert outbox.close_overdue(NOW + 10 * MINUTE) == 0
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


@pytest.mark.parametrize(
    ("room", "others", "counts"),
    [
        ({}, 0, [0, 0]),
        ({}, 1, [1, 1]),
        ({0: 4}, 0, [4, 0]),
        ({0: 0}, 0, [0, 0]),
        ({0: 0}, 1, [0, 1]),
        ({0: -1, 1: 3}, 0, [0, 3]),
        ({0: 2}, 4, [2, 4]),
    ],
)
def test_the_channels_without_a_room_of_their_own_share_a_limit(room, others, counts):
    channels = [channel(), channel()]
    store([alert(str(number)) for number in range(8)], NOW)
    room = {channels[index]: count for index, count in room.items()}
    claimed = [delivery.channel_id for delivery in claim_due(room=room, others=others)]
    assert [claimed.count(channel_id) for channel_id in channels] == counts


def test_channels_that_may_not_start_do_not_hide_those_that_may():
    for _ in range(5):
        channel(matchers='severity="critical"')
    known = channel(matchers='severity="info"')
    store([alert(str(number)) for number in range(9)], NOW)
    store([alert("info", labels={"severity": "info"})], NOW + 1)
    claimed = claim_due(NOW + 1, max_count=4, room={known: 4}, others=0)
    assert {delivery.channel_id for delivery in claimed} == {known}


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


@pytest.mark.parametrize(
    ("state", "how", "opening", "closing"),
    [
        ("delivered", {}, "delivered", "pending"),
        ("pending", REFUSED, "superseded", "superseded"),
        ("failed", REFUSED, "failed", "superseded"),
        ("pending", NO_ANSWER, "superseded", "pending"),
        ("failed", NO_ANSWER, "failed", "pending"),
    ],
)
def test_a_closing_during_the_attempt_is_sent_only_if_the_opening_may_have_arrived(
    state, how, opening, closing
):
    channel()
    store([alert()], NOW)
    [delivery] = claim_due()
    store([alert(status="closed")], NOW)
    assert claim_due() == []
    settle([result(delivery, state, NOW + MINUTE, **how)], NOW)
    assert [row[1:] for row in deliveries()] == [("open", opening), ("closed", closing)]


def test_a_closing_waits_for_an_opening_under_way_though_a_newer_opening_was_planned():
    channel()
    store([alert(labels={"severity": "warning"})], NOW)
    [older] = claim_due()
    store([alert(), alert(status="closed")], NOW)
    settle([result(older)], NOW)
    assert [row[1:] for row in deliveries()] == [
        ("open", "delivered"),
        ("open", "superseded"),
        ("closed", "pending"),
    ]


def test_a_closing_that_arrives_makes_a_second_one_superfluous():
    channel()
    arrive()
    store([alert(status="closed")], NOW)
    [closing] = claim_due()
    store([alert(), alert(status="closed")], NOW)
    settle([result(closing)], NOW)
    assert [row[1:] for row in deliveries()] == [
        ("open", "delivered"),
        ("closed", "delivered"),
        ("open", "superseded"),
        ("closed", "superseded"),
    ]


def test_a_delivery_is_held_if_its_channel_was_paused_during_the_attempt():
    here = channel()
    store([alert()], NOW)
    claimed = claim_due()
    Channel.update(state="paused").execute()
    outbox.hold(here)
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


def test_deliveries_that_must_wait_do_not_hold_up_those_of_other_channels():
    waiting = [channel(matchers='team="a"') for _ in range(5)]
    free = channel(matchers='team="b"')
    store([alert("a", labels={"team": "a"})], NOW)
    assert len(claim_due()) == len(waiting)
    store([alert("a", "closed", labels={"team": "a"})], NOW)
    store([alert("b", labels={"team": "b"})], NOW + 1)
    [claimed] = claim_due(NOW + 1, max_count=1)
    assert claimed.channel_id == free


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
    release_claim(claim_messages(), NOW + 1000)
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


GONE = {"verdict": Verdict.GONE, "reason": Reason.HTTP_STATUS, "status": 410}


def test_a_hook_that_is_gone_makes_the_channel_failing_and_holds_every_delivery():
    here = channel(config_hash="x")
    store([alert(str(number)) for number in range(3)], NOW)
    first, *rest = claim_due()
    settle(
        [
            result(first, "held", **GONE),
            *(result(delivery, "pending", NOW) for delivery in rest),
        ],
        NOW,
    )
    assert Channel.get_by_id(here).state == "failing"
    assert [row[2] for row in deliveries()] == ["held"] * 3
    outbox.sweep(NOW + PROBE_INTERVAL - 1)
    assert claim_due(NOW + PROBE_INTERVAL - 1) == []
    outbox.sweep(NOW + PROBE_INTERVAL)
    [probe] = claim_due(NOW + PROBE_INTERVAL)
    outbox.sweep(NOW + PROBE_INTERVAL)
    assert claim_due(NOW + PROBE_INTERVAL) == []
    settle([result(probe)], NOW + PROBE_INTERVAL)
    assert Channel.get_by_id(here).state == "delivering"
    assert sorted(row[2] for row in deliveries()) == ["delivered", "pending", "pending"]


@pytest.mark.parametrize(
    ("state", "how", "channel_state"),
    [
        ("failed", REFUSED, "delivering"),
        ("failed", {**REFUSED, "status": 302, "reason": Reason.REDIRECT}, "delivering"),
        ("pending", {"verdict": Verdict.RETRY, "status": 503}, "delivering"),
        ("held", GONE, "failing"),
        ("held", NO_ANSWER, "failing"),
    ],
)
def test_a_probe_heals_the_channel_unless_the_hook_is_gone_or_gives_no_answer(
    state, how, channel_state
):
    here = channel(state="failing", config_hash="x")
    store([alert("a"), alert("b")], NOW)
    outbox.sweep(NOW)
    [probe] = claim_due()
    settle([result(probe, state, NOW + MINUTE, is_probe=True, **how)], NOW)
    assert Channel.get_by_id(here).state == channel_state
    assert [row[2] for row in deliveries()] == [
        state,
        "pending" if channel_state == "delivering" else "held",
    ]


def test_probes_take_turns_among_the_held_deliveries():
    channel(state="failing", config_hash="x")
    store([alert(str(number)) for number in range(3)], NOW)
    probed = []
    for round_number in range(6):
        now = NOW + round_number * PROBE_INTERVAL
        outbox.sweep(now)
        [probe] = claim_due(now)
        probed.append(probe.id)
        settle([result(probe, "held", is_probe=True, **GONE)], now)
    assert len(set(probed[:3])) == 3
    assert probed[:3] == probed[3:]


def test_a_delivery_that_arrives_proves_the_configuration_it_was_sent_with():
    here = channel(config_hash="x")
    store([alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    assert Channel.get_by_id(here).proven == "proven by delivery"


def test_a_gone_verdict_for_an_older_configuration_does_not_fail_the_channel():
    here = channel(config_hash="another since")
    store([alert()], NOW)
    settle([result(delivery, "held", **GONE) for delivery in claim_due()], NOW)
    assert Channel.get_by_id(here).state == "delivering"
    assert [row[2] for row in deliveries()] == ["pending"]


@pytest.mark.parametrize("days", [0, 3])
def test_a_failing_channel_is_probed_every_ten_minutes_however_much_is_held_and_how_long(days):
    channel(state="failing")
    store([alert(str(number)) for number in range(20)], NOW)
    begin = NOW + days * 24 * HOUR
    asked = 0
    for second in range(0, 3600, 30):
        now = begin + second * 1000
        outbox.sweep(now)
        for delivery in claim_due(now):
            asked += 1
            settle([result(delivery, "held", now, is_probe=True, **GONE)], now)
    assert asked == 6


def test_a_failed_probe_is_pending_if_the_channel_was_resumed_during_it():
    here = channel(state="failing")
    store([alert()], NOW)
    outbox.sweep(NOW)
    [probe] = claim_due()
    Channel.update(state="delivering").execute()
    outbox.release(here, NOW)
    settle([result(probe, "held", is_probe=True, **NO_ANSWER)], NOW)
    assert deliveries() == [(here, "open", "pending")]


def test_a_silenced_opening_withdraws_a_closing_that_waits_until_its_alert_closes_again():
    channel()
    store([alert()], NOW)
    settle([result(delivery) for delivery in claim_due()], NOW)
    store([alert(status="closed")], NOW)
    silence()
    store([alert(), alert()], NOW)
    assert [row[1:] for row in deliveries()] == [
        ("open", "delivered"),
        ("closed", "superseded"),
        ("open", "dropped"),
    ]
    assert claim_due() == []
    store([alert(status="closed")], NOW)
    [closing] = claim_due()
    settle([result(closing, "pending", NOW + MINUTE)], NOW)
    assert [row[2] for row in deliveries(event="closed")] == ["superseded", "pending"]


def test_a_silenced_opening_in_the_same_request_as_its_closing_keeps_that_due():
    channel()
    arrive()
    silence()
    closed = alert(status="closed")
    store([closed, alert(), alert(), closed], NOW)
    assert [delivery.alert.status for delivery in claim_due()] == ["closed"]


def test_a_released_opening_makes_neither_message_if_its_alert_has_closed():
    channel(), channel()
    store([alert("a")], NOW)
    claimed = claim_messages()
    store([alert("a", status="closed")], NOW)
    release_claim(claimed, NOW + MINUTE)
    assert [row[2] for row in deliveries()] == ["superseded"] * 4


@pytest.mark.parametrize(
    ("was_sent", "has_crashed", "states"),
    [
        (True, False, ["superseded", "pending"]),
        (None, False, ["superseded", "pending"]),
        (False, False, ["superseded", "superseded"]),
        (True, True, ["superseded", "superseded"]),
    ],
)
def test_an_opening_in_flight_at_a_crash_may_have_arrived_unless_its_message_was_not_sent(
    was_sent, has_crashed, states
):
    channel()
    store([alert()], NOW)
    [delivery] = claim_due()
    store([alert(status="closed")], NOW)
    sent = {True: [delivery.id], False: [], None: None}[was_sent]
    take_over(NOW, delivery.id if has_crashed else 0, sent=sent)
    assert [row[2] for row in deliveries()] == states


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
    claimed = claim_messages()
    Channel.update(state="paused").execute()
    outbox.hold(here)
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


def test_a_delivery_cannot_be_retried_when_its_alert_has_another_status():
    channel()
    store([alert()], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    number = Delivery.get().id
    store([alert(status="closed")], NOW)
    assert outbox.retry_now(number, NOW) is False
    assert [row[1:] for row in deliveries()] == [("open", "failed")]


def test_a_closing_cannot_be_retried_after_a_newer_opening():
    channel()
    arrive()
    store([alert(status="closed")], NOW)
    settle([result(delivery, "failed", **REFUSED) for delivery in claim_due()], NOW)
    store([alert()], NOW)
    assert outbox.retry_now(Delivery.get(Delivery.event == "closed").id, NOW) is False


def test_a_delivery_cannot_be_retried_on_a_paused_channel():
    channel(state="paused")
    store([alert()], NOW)
    Delivery.update(state="failed").execute()
    assert outbox.retry_now(Delivery.get().id, NOW) is False


# --- expiry ---


def test_a_delivery_is_never_sent_a_day_after_it_was_first_due():
    channel()
    store([alert()], NOW)
    now = NOW + DELIVERY_LIFETIME
    assert len(claim_due(now - 1)) == 1
    take_over(now)
    assert claim_due(now) == []
    row = Delivery.get()
    assert (row.state, row.settled_at) == ("failed", now)
    assert "24 hours" in row.cause
    store([alert()], now + 10_000)
    assert len(claim_due(now + 10_000)) == 1


def test_a_delivery_that_was_held_for_days_is_sent_when_its_channel_is_resumed():
    here = channel(state="paused")
    store([alert()], NOW)
    now = NOW + 3 * DELIVERY_LIFETIME
    outbox.sweep(now)
    Channel.update(state="delivering").execute()
    outbox.release(here, now)
    outbox.sweep(now)
    assert len(claim_due(now)) == 1


# --- alerts that come late, and those that a user closes ---


@pytest.mark.parametrize(
    ("starts_at", "minutes", "status"),
    [
        (NOW - HOUR, 0, "closed"),
        (NOW - 2 * HOUR, 0, "closed"),
        (NOW - HOUR, 14, "closed"),
        (NOW - HOUR, 15, "open"),
        (NOW - HOUR + 1, 0, "open"),
        (None, 0, "open"),
    ],
)
def test_a_firing_that_is_older_than_the_resolution_changes_nothing(starts_at, minutes, status):
    channel()
    arrive(starts_at=NOW - HOUR)
    [closed] = store([alert(status="closed", starts_at=NOW - HOUR)], NOW)
    [late] = store([alert(starts_at=starts_at)], NOW + minutes * MINUTE)
    assert AlertRow.get().status == status
    assert (late.id, len(late.deliveries)) == (closed.id, int(status == "open"))


@pytest.mark.parametrize("is_known", [True, False])
def test_a_late_firing_changes_nothing_after_a_resolution_that_states_its_end_as_start(is_known):
    if is_known:
        arrive(starts_at=NOW - HOUR)
    store([alert(status="closed", starts_at=NOW, ends_at=NOW)], NOW)
    [late] = store([alert(starts_at=NOW - HOUR)], NOW)
    assert (AlertRow.get().status, late.note) == ("closed", TOO_LATE)
    store([alert(starts_at=NOW + 1)], NOW + 1)
    assert AlertRow.get().status == "open"


def test_a_firing_with_the_same_start_opens_an_alert_that_its_source_did_not_resolve():
    channel()
    arrive(starts_at=NOW - HOUR)
    assert outbox.close_alert(AlertRow.get().id, NOW)
    store([alert(starts_at=NOW - HOUR)], NOW + MINUTE)
    assert AlertRow.get().status == "open"


def test_a_firing_with_the_same_start_opens_an_alert_whose_source_keeps_the_start():
    channel()
    arrive(starts_at=NOW - HOUR)
    closing = alert(status="closed", starts_at=NOW - HOUR)._replace(resolves=False)
    store([closing, alert(starts_at=NOW - HOUR)], NOW)
    assert AlertRow.get().status == "open"


def test_a_user_can_close_an_open_alert():
    here = channel()
    arrive()
    number = AlertRow.get().id
    assert outbox.close_alert(number, NOW) is True
    assert outbox.close_alert(number, NOW) is False
    assert outbox.close_alert(number + 1, NOW) is False
    assert deliveries(event="closed") == [(here, "closed", "pending")]


def test_a_snoozed_delivery_expires_after_it_is_due():
    channel()
    store([alert()], NOW)
    outbox.snooze(Delivery.get().id, 48 * 60, NOW)
    row = Delivery.get()
    assert row.expires_at > row.due_at == NOW + 48 * HOUR
