"""Groups on the wire: one message for the alerts of a group, and none lost on the way."""

import json
import threading

import pytest
from channels import form_of, stored_form
from cpu_time import cpu_time
from databases import only_sqlite
from receiver import after, one_after_another, reply
from workers import post, states, until

from clock import MINUTE
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import store
from delivery.queue.seats import Room
from delivery.settings import Header
from models import Alert as AlertRow
from models import Attempt, Channel, Delivery, GroupMessage, Notification, Silence, db

PAGERDUTY = {"kind": "pagerduty", "options": (Header("routing_key", "r" * 32, True),)}
ACCEPTED = reply(202, b'{"status": "success"}')


def post_in(clocks, cluster, *names, **parts):
    """Post an alert with each of these names in a cluster."""
    labels = {"cluster": cluster, **parts.pop("labels", {})}
    for name in names:
        post(clocks, name, name=name, labels=labels, **parts)


def messages(receiver):
    return [json.loads(request.body) for request in receiver.requests]


def names_in(message):
    return [alert["name"] for alert in message["alerts"]]


def ids(receiver):
    return [request.headers["webhook-id"] for request in receiver.requests]


def arrived(number):
    """Return whether so many deliveries have arrived."""
    query = Delivery.select().where(Delivery.state == "delivered")
    return lambda: query.count() == number


@pytest.fixture
def grouped(channel):
    """Create a channel that groups by cluster, and waits 30 seconds."""

    def grouped(**settings):
        columns = {"group_by": "cluster", "group_wait": 30, **settings.pop("columns", {})}
        return channel(columns=columns, **settings)

    return grouped


# --- one message ---


def test_the_alerts_of_a_group_that_are_due_together_are_one_message(
    make, grouped, clocks, receiver
):
    grouped()
    post_in(clocks, "eu", "a", "b", "c")
    post_in(clocks, "us", "d")
    worker = make()
    worker.run_once(0.01)
    assert not receiver.requests
    clocks.move(30)
    until(worker, arrived(4))
    assert sorted(map(names_in, messages(receiver))) == [["a", "b", "c"], ["d"]]
    assert len(set(ids(receiver))) == 2
    assert {row.attempts for row in Delivery.select()} == {1}
    assert Attempt.select().count() == 2
    assert all(row.notified_id for row in Notification.select())
    assert {f"msg_{row.message_id}" for row in Delivery.select()} == set(ids(receiver))


def test_an_alert_that_comes_later_joins_the_message_and_does_not_delay_it(
    make, grouped, clocks, receiver
):
    grouped()
    post_in(clocks, "eu", "a")
    clocks.move(20)
    post_in(clocks, "eu", "b")
    worker = make()
    clocks.move(9)
    worker.run_once(0.01)
    assert not receiver.requests
    clocks.move(1)
    until(worker, arrived(2))
    assert [names_in(message) for message in messages(receiver)] == [["a", "b"]]


def test_an_alert_that_closes_while_its_group_waits_makes_neither_message(
    make, grouped, clocks, receiver
):
    grouped()
    post_in(clocks, "eu", "a", "b")
    post_in(clocks, "eu", "a", status="closed")
    clocks.move(30)
    until(make(), states("superseded", "delivered"))
    assert [names_in(message) for message in messages(receiver)] == [["b"]]


def test_labels_that_no_alert_has_make_one_group(make, channel, clocks, receiver):
    channel(columns={"group_by": "clustr, no_such_label", "group_wait": 0})
    post_in(clocks, "eu", "a")
    post_in(clocks, "us", "b")
    until(make(), arrived(2))
    assert [names_in(message) for message in messages(receiver)] == [["a", "b"]]


def test_nothing_waits_in_memory(make, grouped, clocks, receiver):
    grouped()
    post_in(clocks, "eu", "a", "b")
    make().run_once(0.01)
    clocks.move(30)
    until(make(), arrived(2))  # another worker: the first one was killed
    assert [names_in(message) for message in messages(receiver)] == [["a", "b"]]


def test_a_channel_deleted_while_its_group_waits_sends_nothing_and_stops_no_other(
    make, grouped, clocks, receiver
):
    deleted = grouped()
    grouped()
    post_in(clocks, "eu", "a", "b")
    worker = make()
    outbox.delete_channel(deleted, clocks.now)
    clocks.move(30)
    until(worker, arrived(2))
    assert len(receiver.requests) == 1
    assert GroupMessage.select().count() == 1


def test_a_group_that_is_too_large_for_one_message_is_sent_in_several(
    make, channel, clocks, receiver
):
    channel(columns={"group_by": "cluster"})
    labels = {"cluster": "eu"}
    alerts = [Alert.from_json({"name": f"a{n}", "labels": labels}) for n in range(4100)]
    store([ReceivedAlert(alert.name, alert) for alert in alerts], clocks.now)
    with cpu_time() as spent:
        until(make(), arrived(4100))
    assert spent.seconds < 4  # it was 6 when every delivery looked at all others
    # Up to 500 that are known already are listed, too.
    sizes = [len(message["alerts"]) for message in messages(receiver)]
    assert sizes == [1000, 1500, 1500, 1500, 600]
    assert Delivery.select(Delivery.message).distinct().count() == 5


# --- retries ---


def test_a_message_that_is_repeated_unchanged_keeps_its_id_and_body(
    make, grouped, clocks, receiver
):
    grouped()
    receiver.script = reply(503)
    post_in(clocks, "eu", "a", "b")
    clocks.move(30)
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    clocks.move(11)
    receiver.script = reply(200)
    until(worker, arrived(2))
    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert second.headers["X-Delivery-Attempt"] == "2"
    assert [(row.number, row.delivery_id) for row in Attempt.select()] == [(1, None), (2, None)]


@pytest.mark.parametrize("change", ["another alert", "one has closed", "silenced"])
def test_a_message_with_other_alerts_has_another_id(make, channel, clocks, receiver, change):
    channel(columns={"group_by": "cluster"})
    receiver.script = reply(503)
    post_in(clocks, "eu", "a", "b")
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    clocks.move(11)
    expected = {"another alert": ["a", "b", "c"]}.get(change, ["b"])
    if change == "another alert":
        post_in(clocks, "eu", "c")
    elif change == "silenced":
        times = {"created_at": clocks.now, "until": clocks.now + MINUTE}
        Silence.create(matchers="alertname=a", reason="x", made_by="ada", **times)
        outbox.apply_silences(clocks.now)
    else:
        post_in(clocks, "eu", "a", status="closed")
    receiver.script = reply(200)
    until(worker, arrived(len(expected)))
    assert names_in(messages(receiver)[-1]) == expected
    assert len(set(ids(receiver))) == 2


@pytest.mark.parametrize(("status", "most"), [(400, 15), (413, 15), (422, 15), (403, 1)])
def test_a_receiver_that_refuses_everything_gets_few_messages(
    make, channel, clocks, receiver, status, most
):
    channel(columns={"group_by": "cluster"})
    receiver.script = reply(status)
    post_in(clocks, "eu", *(f"a{number}" for number in range(40)))
    until(make(), states(*["failed"] * 40))
    assert len(receiver.requests) == most
    assert len(set(ids(receiver))) == most


def test_the_halves_of_a_refused_message_keep_the_incident_of_their_group(
    make, channel, clocks, receiver
):
    channel(**PAGERDUTY, columns={"group_by": "cluster"})
    receiver.script = one_after_another(reply(400, b'{"status": "invalid event"}'), ACCEPTED)
    post_in(clocks, "eu", "a", "b")
    worker = make()
    accepted = Delivery.select().where(Delivery.state == "accepted")
    until(worker, lambda: accepted.count() == 2)
    post_in(clocks, "eu", "a", "b", status="closed")
    until(worker, lambda: accepted.count() == 4)
    sent = messages(receiver)
    assert [message["event_action"] for message in sent] == [*["trigger"] * 3, "resolve"]
    assert len({message["dedup_key"] for message in sent}) == 1


def test_only_one_message_of_a_group_is_under_way(make, channel, clocks, receiver):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    channel(columns={"group_by": "cluster"})
    post_in(clocks, "eu", "a")
    worker = make()
    worker.run_once(0)
    assert receiver.wait_for(1)
    post_in(clocks, "eu", "b")
    for _ in range(5):
        worker.run_once(0.01)
    assert len(receiver.requests) == 1
    gate.set()
    until(worker, arrived(2))
    assert list(map(names_in, messages(receiver))) == [["a"], ["b", "a"]]


def test_a_group_survives_an_edit_of_its_labels(make, grouped, clocks, receiver):
    here = grouped()
    post_in(clocks, "eu", "a", "b")
    Channel.update(group_by="team").where(Channel.id == here).execute()
    clocks.move(30)
    worker = make()
    until(worker, arrived(2))
    post_in(clocks, "eu", "a", "b", status="closed")
    clocks.move(30)
    until(worker, arrived(4))
    assert list(map(names_in, messages(receiver))) == [["a", "b"], ["a", "b"]]


# --- incidents ---


def test_an_incident_of_a_group_is_resolved_with_its_last_alert(make, channel, clocks, receiver):
    channel(**PAGERDUTY, columns={"group_by": "cluster"})
    receiver.script = ACCEPTED
    post_in(clocks, "eu", "a", "b")
    worker = make()
    accepted = Delivery.select().where(Delivery.state == "accepted")
    until(worker, lambda: accepted.count() == 2)
    post_in(clocks, "eu", "a", status="closed")
    until(worker, lambda: accepted.count() == 3)
    post_in(clocks, "eu", "b", status="closed")
    until(worker, lambda: accepted.count() == 4)
    sent = messages(receiver)
    assert [message["event_action"] for message in sent] == ["trigger", "trigger", "resolve"]
    assert len({message["dedup_key"] for message in sent}) == 1


def test_an_alert_keeps_its_own_incident_when_the_channel_begins_to_group(
    make, channel, clocks, receiver
):
    here = channel(**PAGERDUTY)
    receiver.script = ACCEPTED
    post_in(clocks, "eu", "a")
    worker = make()
    accepted = Delivery.select().where(Delivery.state == "accepted")
    until(worker, lambda: accepted.count() == 1)
    Channel.update(group_by="cluster").where(Channel.id == here).execute()
    post_in(clocks, "eu", "b")
    until(worker, lambda: accepted.count() == 2)
    post_in(clocks, "eu", "a", status="closed")
    until(worker, lambda: accepted.count() == 3)
    alone, group, resolved = messages(receiver)
    assert resolved["event_action"] == "resolve"
    assert alone["dedup_key"] == resolved["dedup_key"] != group["dedup_key"]


# --- storms ---


def storm(clocks, count, first=0):
    for number in range(first, first + count):
        post(clocks, str(number), name=f"a{number}", labels={"severity": "warning"})


WECOM = {"kind": "wecom", "options": (Header("key", "k", True),)}  # twenty a minute


def test_a_backlog_of_a_paced_channel_is_one_message_with_the_critical_alert_first(
    make, channel, clocks, receiver
):
    channel(**WECOM)
    receiver.script = reply(200, b'{"errcode": 0}')
    worker = make()
    storm(clocks, 1)
    until(worker, arrived(1))
    storm(clocks, 300, first=1)
    post(clocks, "c", name="TheCriticalOne", labels={"severity": "critical"})
    until(worker, arrived(302))
    assert len(receiver.requests) == 2
    text = messages(receiver)[1]["markdown"]["content"]
    assert "TheCriticalOne" in text.splitlines()[0]
    assert "more" in text


@pytest.mark.parametrize(
    ("settings", "columns"),
    [
        (WECOM, {"separate": 1}),
        ({"kind": "webhook"}, {}),
        (PAGERDUTY, {}),
    ],
    ids=["refused", "not paced", "incidents"],
)
def test_a_backlog_is_sent_one_by_one_the_most_severe_first(
    make, channel, clocks, receiver, settings, columns
):
    channel(**settings, columns=columns)
    receiver.script = reply(202, b'{"errcode": 0, "status": "success"}')
    worker = make()
    storm(clocks, 25)
    post(clocks, "c", name="TheCriticalOne", labels={"severity": "critical"})
    worker.run_once(0)
    assert receiver.wait_for(1)
    assert b"TheCriticalOne" in receiver.requests[0].body
    done = Delivery.select().where(Delivery.state << ("delivered", "accepted"))
    until(worker, lambda: bool(clocks.move(4)) or done.count() == 26)
    assert len(receiver.requests) == 26


@pytest.mark.parametrize(
    ("severity", "priority"), [("critical", ""), ("", "P1"), ("sev-0", "low"), ("huge", "urgent")]
)
def test_the_severity_and_then_the_priority_decide_the_order(
    make, channel, clocks, receiver, severity, priority
):
    channel()
    for number, name in enumerate(["info", "warning", "unknown", "error"]):
        post(clocks, str(number), name=f"other {name}", labels={"severity": name})
    post(clocks, "x", name="first", labels={"severity": severity, "priority": priority})
    worker = make()
    # Room for one message at a time.
    worker._limits.room = lambda _in_flight: Room({}, int(not worker._in_flight))
    until(worker, arrived(5))
    assert [message["alert"]["name"] for message in messages(receiver)] == [
        "first",
        "other unknown",
        "other error",
        "other warning",
        "other info",
    ]


def test_a_backlog_is_taken_apart_when_its_channel_begins_to_keep_incidents(
    make, channel, clocks, receiver, client
):
    here = channel(**WECOM)
    receiver.script = reply(503)
    worker = make()
    storm(clocks, 1)
    until(worker, lambda: Attempt.select().count() == 1)
    clocks.move(3)
    storm(clocks, 30, first=1)
    until(worker, lambda: Attempt.select().where(Attempt.message.is_null(False)).count() == 1)
    form = stored_form(client, here)
    form |= {"kind": "pagerduty", "url": receiver.url, "options-routing_key": "r" * 32}
    assert client.post(f"/channels/{here}", form).status_code == 303
    assert {row.group_key for row in Delivery.select()} == {""}


# --- what is stored ---


def test_the_outbox_forgets_a_group_message_with_its_deliveries(make, channel, clocks, receiver):
    channel(columns={"group_by": "cluster", "retries": "5s"})
    receiver.script = one_after_another(reply(503), reply(200))
    post_in(clocks, "eu", "a", "b")
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    clocks.move(7)
    until(worker, arrived(2))
    post_in(clocks, "eu", "a", "b", status="closed")
    until(worker, arrived(4))
    clocks.move(3 * 24 * 3600)
    assert [row.body is None for row in GroupMessage.select()] == [False, True]
    for _ in outbox.prune(clocks.now, 365, 1000):
        pass
    assert [row.body is None for row in GroupMessage.select()] == [True, True]
    clocks.move(400 * 24 * 3600)
    for _ in outbox.prune(clocks.now, 365, 1000):
        pass
    for table in (AlertRow, Delivery, GroupMessage, Attempt):
        assert table.select().count() == 0


# --- what the pages say ---


def test_the_page_of_a_group_message_lists_its_alerts_and_attempts(
    make, channel, clocks, receiver, client
):
    channel(columns={"group_by": "cluster"})
    receiver.script = reply(503)
    post_in(clocks, "eu", "a", "b")
    worker = make()
    until(worker, lambda: Attempt.select().count() == 1)
    [group] = GroupMessage.select()
    page = client.get(f"/deliveries/{group.webhook_id}").text
    assert "One message for 2 alerts" in page
    assert "2 pending" in page
    assert page.count("<bdi>a</bdi> · <bdi>eu</bdi></a>") == 1
    assert 'data-status="503"' in page
    for row in Delivery.select():
        assert f'id="delivery-{row.webhook_id}"' in page
        detail = client.get(f"/deliveries/{row.webhook_id}").text
        assert "one for 2 alerts" in detail
        assert f"<code>{group.webhook_id}</code>" in detail
        assert 'data-status="503"' in detail
    assert f'href="/deliveries/{group.webhook_id}"' in client.get("/deliveries").text


def test_the_page_of_an_alert_says_that_it_waits_for_its_group(make, grouped, clocks, client):
    grouped()
    post_in(clocks, "eu", "a")
    page = client.get(f"/alerts/{AlertRow.get().id}").text
    assert "It waits for other alerts of its group" in page


def test_every_alert_of_a_storm_is_accounted_for_on_its_page(
    make, channel, clocks, receiver, client
):
    channel(**WECOM)
    receiver.script = reply(200, b'{"errcode": 0}')
    worker = make()
    storm(clocks, 60)
    until(worker, arrived(60))
    assert len(receiver.requests) <= 3
    for row in AlertRow.select():
        page = client.get(f"/alerts/{row.id}").text
        assert "Notified: 1 of 1 channel." in page


def test_a_group_message_of_a_deleted_channel_is_not_found(make, channel, clocks, receiver, client):
    here = channel(columns={"group_by": "cluster"})
    post_in(clocks, "eu", "a")
    until(make(), arrived(1))
    [group] = GroupMessage.select()
    outbox.delete_channel(here, clocks.now)
    assert client.get(f"/deliveries/{group.webhook_id}").status_code == 404


# --- the test and the preview ---


def test_the_test_of_a_channel_with_groups_sends_a_group_of_one(client, receiver):
    form = form_of(receiver.url, group_by="cluster")
    assert client.post("/channels/new/test", form, htmx=True).status_code == 200
    [message] = messages(receiver)
    assert names_in(message) == [message["alert"]["name"]]
    page = client.post("/channels/new/preview", form, htmx=True).text
    assert "&#34;alerts&#34;:[{" in page


def test_the_test_of_an_incident_with_groups_closes_its_own_incident(client, receiver):
    receiver.script = ACCEPTED
    options = {"kind": "pagerduty", "options-routing_key": "r" * 32}
    form = form_of(receiver.url, group_by="cluster", **options)
    assert client.post("/channels/new/test", form, htmx=True).status_code == 200
    opened, closed = messages(receiver)
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert "-group-test-" in opened["dedup_key"]


def statements_of(client, monkeypatch, path):
    """Return every statement that a page runs, with its parameters."""
    seen = []
    execute = db.obj.execute_sql

    def record(_database, sql, params=None, *rest):
        seen.append((sql, params))
        return execute(sql, params, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(db.obj), "execute_sql", record)
        assert client.get(path).status_code == 200
    return seen


@only_sqlite
def test_no_page_of_a_delivery_or_a_group_message_reads_the_whole_log(
    make, channel, clocks, receiver, client, monkeypatch
):
    channel(columns={"group_by": "cluster"})
    channel()
    post_in(clocks, "eu", "a", "b")
    until(make(), arrived(4))
    paths = [
        f"/deliveries/{row.webhook_id}" for row in [*Delivery.select(), *GroupMessage.select()]
    ]
    for path in paths:
        for sql, params in statements_of(client, monkeypatch, path):
            if sql.startswith("SELECT"):
                plan = [row[3] for row in db.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params or ())]
                scans = [step for step in plan if step.startswith("SCAN")]
                assert not [step for step in scans if "channel" not in step], (sql, plan)
