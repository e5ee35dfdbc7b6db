"""The health of channels: what an attempt changes, how it is judged, and where it is shown."""

import html
import re
from datetime import UTC, datetime

import pytest
from attempts import answered, claim_deliveries, result_of
from channels import create, form_of, row_marks, stored_form
from databases import only_sqlite
from receiver import reply

from clock import HOUR, MINUTE, SECOND, now_ms
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.health import FAILING_AFTER, MAX_FAILURES, Health, health_of, trouble_length
from delivery.outbox import settle, store
from delivery.outbox.maintenance import move_with_clock
from delivery.outbox.results import ATTEMPT_INTERVAL
from delivery.outcome import Reason, Verdict
from models import Attempt, Channel, Delivery, DeliveryState, db
from web.channels.health import MAX_TROUBLE_LENGTH, describe_health, health_banner

NOW = 1_790_000_000_000
FAILED = answered(Verdict.FAILED, Reason.HTTP_STATUS, 400)
RETRY = answered(Verdict.RETRY, Reason.HTTP_STATUS, 503)
GONE = answered(Verdict.GONE, Reason.HTTP_STATUS, 410)
UNBUILT = answered(Verdict.FAILED, Reason.TEMPLATE_ERROR, None, sent=False)


@pytest.fixture(autouse=True)
def _database(app):
    db.connect(reuse_if_open=True)


def make_channel(name="C", **columns) -> Channel:
    given = {"kind": "webhook", "config_hash": "x", "created_at": NOW, "updated_at": NOW}
    return Channel.create(name=name, **{**given, **columns})


def read() -> Channel:
    return Channel.get()


def trouble() -> tuple:
    row = read()
    return row.trouble_since, row.trouble, row.failures


def attempt(outcome, now=NOW, config_hash="x", key="k", state=None) -> None:
    """Let an attempt at the delivery of an alert end with an outcome."""
    store([ReceivedAlert(key, Alert.from_json({"name": "Disk", "status": "open"}))], now)
    [delivery] = claim_deliveries(now, max_count=1)
    if state is None:
        state = DeliveryState.DELIVERED if outcome.good else DeliveryState.PENDING
    settle([result_of(delivery, outcome, now, config_hash=config_hash, state=state)], now)


# --- judged ---


@pytest.mark.parametrize(
    ("columns", "health"),
    [
        ({}, "unused"),
        ({"attempted_at": NOW}, "ok"),
        ({"attempted_at": NOW, "failures": 99}, "ok"),
        ({"trouble_since": NOW}, "retrying"),
        ({"trouble_since": NOW + HOUR}, "retrying"),
        ({"trouble_since": NOW - 99 * HOUR}, "retrying"),
        ({"trouble_since": NOW - 99 * HOUR, "failures": MAX_FAILURES - 1}, "retrying"),
        ({"trouble_since": NOW - FAILING_AFTER + 1, "failures": 99}, "retrying"),
        ({"trouble_since": NOW - FAILING_AFTER, "failures": MAX_FAILURES}, "failing"),
        ({"state": "failing"}, "failing"),
        ({"state": "failing", "trouble_since": NOW}, "failing"),
        ({"state": "paused"}, "paused"),
        ({"state": "paused", "trouble_since": NOW - 99 * HOUR, "failures": 99}, "paused"),
        ({"state": "damaged", "attempted_at": NOW}, "paused"),
    ],
)
def test_health_follows_from_the_row(columns, health):
    assert health_of(Channel(**columns), NOW) == health


@pytest.mark.parametrize(
    ("columns", "length"),
    [
        ({}, 0),
        ({"trouble_since": NOW - HOUR}, HOUR),
        ({"trouble_since": NOW + HOUR}, 0),
        ({"trouble_since": NOW - HOUR, "state": "failing"}, HOUR),
        ({"trouble_since": NOW - HOUR, "state": "paused"}, 0),
        ({"state": "failing"}, 0),
    ],
)
def test_trouble_lasts_while_a_channel_is_not_getting_through(columns, length):
    assert trouble_length(Channel(**columns), NOW) == length


# --- stored ---


@pytest.mark.parametrize(
    ("outcome", "state", "failures"),
    [
        (RETRY, DeliveryState.PENDING, 0),
        (RETRY, DeliveryState.FAILED, 1),
        (FAILED, DeliveryState.FAILED, 1),
        (UNBUILT, DeliveryState.FAILED, 1),
        (GONE, DeliveryState.HELD, 0),
    ],
)
def test_an_attempt_that_fails_starts_trouble(outcome, state, failures):
    make_channel()
    attempt(outcome, state=state)
    assert trouble() == (NOW, "What happened.", failures)
    assert read().attempted_at == NOW
    assert health_of(read(), NOW) == ("failing" if outcome is GONE else "retrying")


def test_trouble_began_with_the_first_attempt_and_has_the_reason_of_the_last():
    make_channel()
    attempt(answered(Verdict.RETRY, Reason.HTTP_STATUS, 503), state=DeliveryState.FAILED)
    later = answered(Verdict.FAILED, Reason.HTTP_STATUS, 404)
    object.__setattr__(later, "says", "Not found.")
    attempt(later, NOW + MINUTE, key="l", state=DeliveryState.FAILED)
    assert trouble() == (NOW, "Not found.", 2)


@pytest.mark.parametrize("verdict", [Verdict.DELIVERED, Verdict.ACCEPTED])
def test_an_attempt_that_succeeds_ends_trouble(verdict):
    make_channel(trouble_since=NOW - HOUR, trouble="Why.", failures=30)
    attempt(answered(verdict), state=DeliveryState(verdict))
    assert trouble() == (None, "", 0)
    assert health_of(read(), NOW) == Health.OK


@pytest.mark.parametrize("outcome", [answered(), RETRY, FAILED, GONE])
def test_an_attempt_with_another_configuration_changes_nothing(outcome):
    make_channel(trouble_since=NOW - HOUR, trouble="Why.", failures=3)
    attempt(outcome, config_hash="another", state=DeliveryState.FAILED)
    assert trouble() == (NOW - HOUR, "Why.", 3)
    assert read().attempted_at is None


def test_the_results_of_one_batch_count_in_their_order():
    make_channel()
    alerts = [ReceivedAlert(key, Alert.from_json({"name": key})) for key in "abc"]
    store(alerts, NOW)
    first, second, third = claim_deliveries(NOW)
    settle(
        [
            result_of(first, FAILED, NOW, config_hash="x", state=DeliveryState.FAILED),
            result_of(second, answered(), NOW, config_hash="x"),
            result_of(third, FAILED, NOW + 1, config_hash="x", state=DeliveryState.FAILED),
        ],
        NOW + 1,
    )
    assert trouble() == (NOW + 1, "What happened.", 1)


@pytest.mark.parametrize(
    ("age", "written"), [(0, False), (ATTEMPT_INTERVAL, False), (ATTEMPT_INTERVAL + 1, True)]
)
def test_a_success_without_news_is_written_every_ten_minutes_only(age, written):
    make_channel(attempted_at=NOW - age)
    attempt(answered())
    assert read().attempted_at == (NOW if written else NOW - age)


def test_a_clock_that_went_back_does_not_stop_the_writing():
    make_channel(attempted_at=NOW + 99 * HOUR)
    attempt(answered())
    assert read().attempted_at == NOW


def test_twenty_final_failures_over_six_hours_make_a_channel_failing():
    make_channel()
    healths = []
    for number in range(MAX_FAILURES + 1):
        now = NOW + number * FAILING_AFTER // MAX_FAILURES
        attempt(FAILED, now, key=str(number), state=DeliveryState.FAILED)
        healths.append(health_of(read(), now))
    assert healths == [Health.RETRYING] * MAX_FAILURES + [Health.FAILING]
    attempt(answered(), NOW + FAILING_AFTER, key="ok")
    assert health_of(read(), NOW + FAILING_AFTER) == Health.OK


def test_trouble_moves_with_a_clock_that_jumps():
    make_channel(trouble_since=NOW)
    make_channel("Fine")
    move_with_clock(HOUR, NOW + HOUR, 0)
    troubles = [row.trouble_since for row in Channel.select().order_by(Channel.id)]
    assert troubles == [NOW + HOUR, None]


# --- tests, saves and copies ---


def in_trouble(channel_id, since=NOW, **columns) -> None:
    """Put a channel in trouble."""
    values = {"trouble_since": since, "trouble": "Why.", "failures": 3, **columns}
    Channel.update(values).where(Channel.id == channel_id).execute()


@pytest.mark.parametrize(("status", "ends"), [(200, True), (503, False)])
def test_a_test_of_the_stored_configuration_ends_trouble_if_it_succeeds(
    client, receiver, status, ends
):
    here = create(client, receiver.url)
    in_trouble(here)
    receiver.script = reply(status)
    client.post(f"/channels/{here}/test", form_of(receiver.url))
    assert trouble() == ((None, "", 0) if ends else (NOW, "Why.", 3))


def test_an_accepted_test_ends_trouble_too():
    make_channel(trouble_since=NOW, trouble="Why.", failures=3)
    outcome = answered(Verdict.ACCEPTED, Reason.ACCEPTED, 202)
    row = {
        "channel_id": read().id,
        "at": NOW,
        "config_hash": "x",
        "version": 1,
        **outcome.columns(),
    }
    Attempt.store_test({**row, "config_hash": "another"})
    assert trouble() == (NOW, "Why.", 3)
    Attempt.store_test(row)
    assert trouble() == (None, "", 0)


@pytest.mark.parametrize(("offset", "ends"), [(-MINUTE, True), (MINUTE, False)])
def test_saving_a_tested_edit_ends_trouble_that_began_before_the_test(
    client, receiver, offset, ends
):
    here = create(client)
    since = now_ms() + offset
    in_trouble(here, since)
    edited = {**stored_form(client, here), "url": receiver.url}
    client.post(f"/channels/{here}/test", edited)
    assert trouble() == (since, "Why.", 3)
    assert client.post(f"/channels/{here}", edited).status_code == 303
    assert read().proven == "proven by test"
    assert trouble() == ((None, "", 0) if ends else (since, "Why.", 3))


def test_saving_an_untested_edit_leaves_trouble(client):
    here = create(client)
    in_trouble(here)
    edited = {**stored_form(client, here), "url": "https://hooks.example.com/other"}
    client.post(f"/channels/{here}", edited)
    assert trouble() == (NOW, "Why.", 3)


def test_a_copy_has_no_trouble(client):
    here = create(client)
    in_trouble(here, attempted_at=NOW)
    client.post(f"/channels/{here}/duplicate")
    client.post("/channels/2/resume")
    copy = Channel.get_by_id(2)
    assert (copy.trouble_since, copy.trouble, copy.failures) == (None, "", 0)
    assert health_of(copy, NOW) == Health.UNUSED


# --- in sentences ---


def add_delivery(of, due_at, state=DeliveryState.PENDING) -> None:
    """Add a delivery to a channel."""
    store([ReceivedAlert(f"{due_at}", Alert.from_json({"name": "Disk"}))], NOW)
    values = {"due_at": due_at, "state": state}
    newest = Delivery.select().order_by(Delivery.id.desc()).get()
    Delivery.update({**values, "channel": of}).where(Delivery.id == newest.id).execute()


def sentence(now=NOW) -> str:
    return describe_health([read()], now)[read().id].text


@pytest.mark.parametrize(
    ("deliveries", "words"),
    [
        ([], "No attempt is planned: the next alert is the next attempt."),
        ([(NOW + 40 * SECOND, "pending")], "Next attempt in 40 s."),
        ([(NOW + HOUR, "pending"), (NOW + MINUTE, "pending")], "Next attempt in 60 s."),
        ([(NOW - 1, "pending")], "The next attempt is due now."),
        ([(NOW + HOUR, "pending"), (NOW - 1, "sending")], "An attempt is being made now."),
        ([(NOW - 1, "failed"), (NOW - 2, "held")], "No attempt is planned"),
    ],
)
def test_the_sentence_says_since_when_why_and_what_happens_next(deliveries, words):
    of = make_channel(trouble_since=NOW - 12 * MINUTE, trouble="It answered 503.")
    for due_at, state in deliveries:
        add_delivery(of, due_at, DeliveryState(state))
    began = datetime.fromtimestamp((NOW - 12 * MINUTE) / 1000, UTC)
    start = f"Not getting through since {began:%Y-%m-%d %H:%M} UTC (12 minutes ago): "
    assert sentence().startswith(f"{start}It answered 503. {words}")


def test_the_sentence_of_a_failing_channel_counts_its_failures():
    make_channel(trouble_since=NOW - 7 * HOUR, trouble="It answered 503.", failures=23)
    assert "(7 hours ago), and 23 deliveries have failed for good: It answered 503." in sentence()


@pytest.mark.parametrize(
    "columns", [{}, {"attempted_at": NOW}, {"state": "paused", "trouble_since": NOW}]
)
def test_a_channel_without_trouble_has_no_sentence(columns):
    make_channel(**columns)
    assert sentence() == ""


def test_a_long_reason_is_cut():
    make_channel(trouble_since=NOW, trouble="x" * 5000)
    assert len(sentence()) < MAX_TROUBLE_LENGTH + 200


@only_sqlite
def test_two_queries_describe_the_trouble_of_a_thousand_channels(monkeypatch):
    rows = [
        {"name": f"C{number}", "kind": "webhook", "created_at": 1, "updated_at": 1}
        for number in range(1000)
    ]
    with db.atomic():
        Channel.insert_many(rows).execute()
    Channel.update(trouble_since=NOW).execute()
    channels = list(Channel.listed())
    statements = []
    run = db.execute_sql
    monkeypatch.setattr(
        db.obj, "execute_sql", lambda *given: statements.append(given[0]) or run(*given)
    )
    described = describe_health(channels, NOW)
    assert {health.health for health in described.values()} == {Health.RETRYING}
    plans = []
    for statement in statements:
        rows = run(f"EXPLAIN QUERY PLAN {statement}", {"channels": "[1]"})
        plans.append(" · ".join(row[3] for row in rows))
    next_attempts, suspects = plans
    assert "SCAN delivery" not in next_attempts
    assert "delivery_pending" in next_attempts
    assert not re.search("SCAN (channel|c|failed|began|attempt)", suspects), suspects
    assert "attempt_config_hash_verdict" in suspects


# --- shown ---


def shown(page: str) -> str:
    """Return the text of a page, without its tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", page)))


HEALTHS = [
    ({}, "unused"),
    ({"attempted_at": 1}, "ok"),
    ({"trouble_since": 1, "trouble": "<b>Why & how.</b>"}, "retrying"),
    ({"trouble_since": 1, "trouble": "Why.", "failures": MAX_FAILURES}, "failing"),
    ({"trouble_since": 1, "state": "failing"}, "failing"),
    ({"state": "paused"}, "paused"),
]


@pytest.mark.parametrize(("columns", "health"), HEALTHS)
def test_the_list_and_the_editor_show_the_health(client, viewer, columns, health):
    here = create(client)
    Channel.update({"name": "C", **columns}).where(Channel.id == here).execute()
    for person in (client, viewer):
        listed = person.get("/channels").text
        edited = person.get(f"/channels/{here}/edit").text
        assert row_marks(listed, here)["health"] == health
        assert f'data-health="{health}"' in edited
        for page in (listed, edited):
            words = re.findall(r'class="tag [^"]*">([a-z ]+)<', page)
            assert health in words
            reason = html.unescape(columns.get("trouble", ""))
            assert ("Not getting through since" in page) == (health in ("retrying", "failing"))
            assert reason in shown(page) or reason in html.unescape(page)
            assert "<b>Why" not in page
            assert ("no longer exists" in page) == ("state" in columns and health == "failing")


BANNERS = [
    ([], None),
    ([{}, {"attempted_at": NOW}, {"state": "paused", "trouble_since": NOW}], None),
    ([{"deleted_at": NOW, "trouble_since": NOW}], None),
    ([{"trouble_since": NOW}, {}], "The channel C0 is not getting through."),
    ([{"state": "failing"}], "The channel C0 is not getting through."),
    ([{"trouble_since": NOW}, {}, {"state": "failing"}], "2 channels are not getting through."),
]


@pytest.mark.parametrize(("channels", "words"), BANNERS)
def test_every_page_says_how_many_channels_are_not_getting_through(
    client, anonymous, channels, words
):
    for number, columns in enumerate(channels):
        make_channel(f"C{number}", **columns)
    for path in ("/channels", "/deliveries", "/silences", "/account"):
        banner = re.search(r'<p id="channel-health".*?</p>', client.get(path).text, re.DOTALL)
        assert (banner and shown(banner[0]).strip()) == words
        if banner:
            assert 'role="status"' in banner[0]
            target = "/channels/1/edit" if "C0" in words else "/channels?health=trouble"
            assert f'href="{target}"' in banner[0]
    assert "channel-health" not in anonymous.get("/login").text


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"trouble_since": 1}, "warn"),
        ({"trouble_since": 1, "failures": MAX_FAILURES}, "bad"),
        ({"state": "failing"}, "bad"),
    ],
)
def test_the_banner_warns_of_retries_and_alarms_for_failing_channels(client, columns, name):
    make_channel("One", trouble_since=NOW)
    make_channel("Two", **columns)
    assert f'class="notice {name}"' in client.get("/account").text


def test_a_banner_shows_a_hostile_name_as_text(client):
    make_channel("<b>\u202e &", trouble_since=NOW)
    assert "<bdi>&lt;b&gt;\u202e &amp;</bdi>" in client.get("/account").text


@pytest.mark.parametrize("health", [columns for columns, _ in HEALTHS])
def test_the_banner_counts_the_channels_whose_health_is_trouble(health):
    make_channel(**health)
    expected = health_of(read(), now_ms()) in (Health.RETRYING, Health.FAILING)
    assert (health_banner() is not None) == expected


def test_the_banner_needs_no_database(client):
    make_channel(trouble_since=NOW)
    assert "not getting through" in client.get("/account").text
    db.execute_sql("ALTER TABLE channel RENAME TO moved")
    try:
        page = client.get("/account")
        assert page.status_code == 200
        assert "not getting through" not in page.text
    finally:
        db.execute_sql("ALTER TABLE moved RENAME TO channel")
