"""Pausing and resuming a channel: what becomes of waiting deliveries, and what the pages ask."""

import re

import pytest
from browsing import open_page, violations
from channels import create, form_of, row_marks
from databases import only_sqlite
from test_deliveries import create_alert, create_channel, create_delivery, visible_text
from test_outbox import NOW, alert, channel, claim_due, deliveries, result

from clock import MINUTE
from delivery import outbox
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.kinds import kinds
from delivery.outbox import ClaimedMessage, HeldChoice, store
from models import Alert, Channel, ChannelState, Delivery, db
from web.deliveries.notifications import ChannelNotification

LATER = NOW + MINUTE
DROPPED = "The channel was paused, and its openings are dropped."
SENT_AGAIN = "A message is sent when the source sends the alert again."
DISCARDED = "Discarded by ada when the channel was resumed."


@pytest.fixture(autouse=True)
def _database(app):
    db.connect(reuse_if_open=True)


def columns_of(*names):
    """Return these columns of every delivery, oldest first."""
    rows = Delivery.select().order_by(Delivery.id)
    return [tuple(getattr(row, name) for name in names) for row in rows]


def hold_deliveries(to, openings, closings=0):
    """Store held deliveries of a channel; the closings come first."""
    for number in range(closings + openings):
        event = "closed" if number < closings else "open"
        create_delivery("held", to, create_alert(), 100 + number, event=event)


# --- pausing --------------------------------------------------------------------------------------

# Whether openings are dropped, the event and the state of a delivery, and its state afterwards.
PAUSED = [
    (False, "open", "pending", "held"),
    (False, "open", "held", "held"),
    (False, "closed", "pending", "held"),
    (False, "closed", "held", "held"),
    (True, "open", "pending", "dropped"),
    (True, "open", "held", "dropped"),
    (True, "closed", "pending", "held"),
    (True, "closed", "held", "held"),
    (True, "open", "sending", "sending"),
    (True, "open", "failed", "failed"),
    (True, "open", "delivered", "delivered"),
]


@pytest.mark.parametrize(("drops", "event", "state", "after"), PAUSED)
def test_pausing_holds_or_drops_each_delivery(drops, event, state, after):
    here = channel()
    create_delivery(state, here, event=event, number=7)
    create_delivery(state, channel(), event=event, number=8)
    assert outbox.pause(here, drops, LATER) == (after == "dropped")
    assert columns_of("state") == [(after,), (state,)]
    settled = (DROPPED, LATER) if after == "dropped" else (Delivery.get_by_id(7).cause, None)
    assert columns_of("cause", "settled_at")[0] == settled
    row = Channel.get_by_id(here)
    assert (row.state, row.drops, row.updated_at) == ("paused", drops, LATER)


def test_pausing_again_changes_whether_openings_are_dropped():
    here = channel(state="paused")
    create_delivery("held", here)
    outbox.pause(here, True, NOW)
    assert (columns_of("state"), Channel.get().drops) == ([("dropped",)], 1)
    outbox.pause(here, False, NOW)
    assert (columns_of("state"), Channel.get().drops) == ([("dropped",)], 0)


def return_by_result(claimed):
    outbox.settle([result(delivery, "pending", sent=False) for delivery in claimed], NOW)


def return_by_crash(_claimed):
    outbox.take_over(NOW)


def return_unsent(claimed):
    outbox.release_claim([ClaimedMessage.alone(delivery) for delivery in claimed], NOW)


@pytest.mark.parametrize("give_back", [return_by_result, return_by_crash, return_unsent])
@pytest.mark.parametrize(
    ("state", "drops", "event", "after"),
    [
        ("paused", True, "open", "dropped"),
        ("paused", True, "closed", "held"),
        ("paused", False, "open", "held"),
        ("failing", True, "open", "held"),
    ],
)
def test_what_is_under_way_when_its_channel_is_paused_is_dropped_if_it_does_not_arrive(
    give_back, state, drops, event, after
):
    here = channel()
    store([alert()], NOW)
    if event == "closed":
        outbox.settle([result(delivery) for delivery in claim_due()], NOW)
        store([alert(status="closed")], NOW)
    claimed = claim_due()
    outbox.pause(here, drops, NOW)
    Channel.update(state=state).execute()
    give_back(claimed)
    assert columns_of("state")[-1] == (after,)
    assert (columns_of("cause")[-1] == (DROPPED,)) == (after == "dropped")


def test_a_dropped_opening_is_sent_when_its_source_sends_it_again_after_resuming():
    here = channel()
    store([alert()], NOW)
    outbox.pause(here, True, NOW)
    outbox.resume(here, HeldChoice.ALL, "ada", LATER)
    assert claim_due(LATER) == []
    store([alert()], LATER)
    assert deliveries() == [(here, "open", "dropped"), (here, "open", "pending")]


def test_an_alert_that_closes_after_its_opening_was_dropped_makes_no_message():
    here = channel()
    store([alert()], NOW)
    outbox.pause(here, True, NOW)
    store([alert(status="closed")], NOW)
    assert deliveries() == [(here, "open", "dropped")]


def test_the_resolution_of_a_notified_alert_is_held_although_a_later_opening_was_dropped():
    here = channel()
    store([alert()], NOW)
    outbox.settle([result(delivery) for delivery in claim_due()], NOW)
    store([alert(labels={"severity": "info"})], NOW)
    outbox.pause(here, True, NOW)
    store([alert(status="closed")], NOW)
    assert [row[1:] for row in deliveries()] == [
        ("open", "delivered"),
        ("open", "dropped"),
        ("closed", "held"),
    ]


# --- resuming -------------------------------------------------------------------------------------

SENT = ("pending", "")
# The state and the cause of a held opening and of a held closing after each choice.
RESUMED = [
    (HeldChoice.ALL, SENT, SENT, ("", "")),
    (HeldChoice.OPEN, SENT, ("given_up", DISCARDED), ("", "")),
    (HeldChoice.DIGEST, SENT, SENT, (f"digest-{LATER}", f"digest-{LATER}")),
    (HeldChoice.NONE, ("given_up", DISCARDED), ("given_up", DISCARDED), ("", "")),
]


@pytest.mark.parametrize("state", ["paused", "failing"])
@pytest.mark.parametrize(("choice", "opening", "closing", "group_keys"), RESUMED)
def test_resuming_sends_or_discards_what_is_held(state, choice, opening, closing, group_keys):
    here = channel(state=state, drops=1)
    create_delivery("held", here, number=7)
    create_delivery("held", here, number=8, event="closed")
    create_delivery("held", channel(state=state), number=9)
    create_delivery("failed", here, number=10)
    discarded = outbox.resume(here, choice, "ada", LATER)
    rows = columns_of("state", "cause")
    assert (rows[:2], rows[2:]) == ([opening, closing], [("held", ""), ("failed", "")])
    assert discarded == [opening, closing].count(("given_up", DISCARDED))
    assert [key for (key,) in columns_of("group_key")] == [*group_keys, "", ""]
    for row in Delivery.select().where(Delivery.state == "pending"):
        assert (row.due_at, row.expires_at) == (LATER, LATER + DELIVERY_LIFETIME)
    for row in Delivery.select().where(Delivery.state == "given_up"):
        assert row.settled_at == LATER
    row = Channel.get_by_id(here)
    assert (row.state, row.drops, row.updated_at) == ("delivering", 0, LATER)


@pytest.mark.parametrize("status", ["open", "closed"])
def test_a_discarded_message_is_due_again_when_its_source_sends_it_again(status):
    here = channel()
    store([alert()], NOW)
    if status == "closed":
        outbox.settle([result(delivery) for delivery in claim_due()], NOW)
        store([alert(status="closed")], NOW)
    outbox.pause(here, False, NOW)
    outbox.resume(here, HeldChoice.NONE, "ada", NOW)
    assert deliveries()[-1] == (here, status, "given_up")
    store([alert(status=status)], LATER)
    assert deliveries()[-1] == (here, status, "pending")


@only_sqlite
def test_held_deliveries_are_counted_by_the_index():
    here = channel(state="paused")
    hold_deliveries(here, openings=2, closings=1)
    create_delivery("pending", here, number=7)
    create_delivery("held", channel(state="delivering"), number=8)
    held = outbox.count_held(here)
    assert (held.total, held.openings, held.closings) == (3, 2, 1)
    assert outbox.channels_holding() == {here}
    for statement in (outbox.pausing._COUNT_HELD, outbox.pausing._HOLDING_CHANNELS):
        plan = db.execute_sql(f"EXPLAIN QUERY PLAN {statement}", {"channels": f"[{here}]"})
        steps = " ".join(step for *_, step in plan.fetchall())
        assert "(channel_id=? AND state=?)" in steps


@pytest.mark.parametrize(("total", "digests"), [(1, 1), (1_000, 1), (1_001, 2), (2_500, 3)])
def test_a_digest_has_at_most_a_thousand_alerts_in_a_message(total, digests):
    assert outbox.HeldCount(total, 0).digests == digests


# --- pages ----------------------------------------------------------------------------------------


def notice(client):
    """Return the latest message on the list of channels, and whether it reports a failure."""
    found = re.findall(r'<p class="notice (\w+)"[^>]*>(.*?)</p>', client.get("/channels").text)
    category, text = found[-1]
    return visible_text(text), category == "bad"


def choices(page):
    """Return the labels of the buttons that resume a channel, by their value."""
    found = re.findall(r'<button[^>]*name="held" value="(\w+)">(.*?)</button>', page)
    return {value: visible_text(label) for value, label in found}


def paused_channel(client, openings=0, closings=0, state="paused", **fields):
    to = create(client, name="Ops", **fields)
    Channel.update(state=state).execute()
    hold_deliveries(to, openings, closings)
    return to


@pytest.mark.parametrize(
    ("posted", "drops", "after", "message"),
    [
        ({}, 0, "held", "“Ops” is paused. Its alerts are held until you resume it."),
        ({"waiting": ""}, 0, "held", "“Ops” is paused. Its alerts are held until you resume it."),
        (
            {"waiting": "hold"},
            0,
            "held",
            "“Ops” is paused. Its alerts are held until you resume it.",
        ),
        (
            {"waiting": "drop"},
            1,
            "dropped",
            "“Ops” is paused. Until you resume it, alerts that open are dropped, and resolutions "
            "are held. 1 message that waited was dropped.",
        ),
    ],
)
def test_pause_takes_a_choice_and_holds_without_one(client, posted, drops, after, message):
    to = create(client, name="Ops")
    create_delivery("pending", to)
    assert client.post(f"/channels/{to}/pause", posted).status_code == 303
    row = Channel.get()
    assert (row.state, row.drops, columns_of("state")) == ("paused", drops, [(after,)])
    assert notice(client) == (message, False)


def test_an_unknown_choice_pauses_nothing(client):
    to = create(client)
    create_delivery("pending", to)
    client.post(f"/channels/{to}/pause", {"waiting": "burn"})
    message = "Nothing was changed: choose whether the alerts are held or dropped."
    assert notice(client) == (message, True)
    assert (Channel.get().state, columns_of("state")) == ("delivering", [("pending",)])


def test_the_list_asks_before_a_channel_is_paused(client, viewer):
    to = create(client, name="Ops")
    form = re.search(
        rf'<form method="post" action="/channels/{to}/pause">.*?</form>',
        client.get("/channels").text,
        re.DOTALL,
    )[0]
    buttons = re.findall(r'name="waiting" value="(\w+)">(.*?)</button>', form)
    assert buttons == [("hold", "Hold them until you resume"), ("drop", "Drop them")]
    assert f"/channels/{to}/pause" not in viewer.get("/channels").text


# What is held, and the labels of the choices.
OFFERED = [
    (
        (12, 3),
        {
            "open": "Only what is still open: 12",
            "all": "Everything: 15 (12 openings, 3 resolutions)",
            "digest": "One digest: 15 alerts in one message",
            "none": "Nothing: discard 15",
        },
    ),
    (
        (1, 0),
        {
            "open": "Only what is still open: 1",
            "all": "Everything: 1 (1 opening, 0 resolutions)",
            "digest": "One digest: 1 alert in one message",
            "none": "Nothing: discard 1",
        },
    ),
    (
        (0, 1),
        {
            "open": "Only what is still open: 0",
            "all": "Everything: 1 (0 openings, 1 resolution)",
            "digest": "One digest: 1 alert in one message",
            "none": "Nothing: discard 1",
        },
    ),
]


@pytest.mark.parametrize("state", ["paused", "failing"])
@pytest.mark.parametrize(("held", "labels"), OFFERED)
def test_each_choice_of_resume_has_its_number(client, state, held, labels):
    to = paused_channel(client, *held, state=state)
    page = client.get(f"/channels/{to}/resume").text
    assert choices(page) == labels
    assert "still open is sent when its source sends it again" in page


def test_a_digest_of_many_alerts_names_the_number_of_its_messages(client, monkeypatch):
    to = paused_channel(client)
    monkeypatch.setattr(outbox, "count_held", lambda _id: outbox.HeldCount(2_500, 500))
    page = client.get(f"/channels/{to}/resume").text
    assert choices(page)["digest"] == "One digest: 2,500 alerts in 3 messages"
    assert "A message has at most 1,000 alerts." in page


@pytest.mark.parametrize(
    ("closings", "warning"),
    [
        (0, "No resolution is held."),
        (1, "1 resolution is discarded: the receiver may go on showing that alert as open."),
        (2, "2 resolutions are discarded: the receiver may go on showing those alerts as open."),
    ],
)
def test_discarded_resolutions_are_pointed_out(client, closings, warning):
    to = paused_channel(client, 1, closings)
    text = visible_text(client.get(f"/channels/{to}/resume").text)
    assert warning in text
    assert ("showing alerts as open that are resolved" in text) == (closings > 0)


def test_the_page_says_what_became_of_dropped_alerts(client):
    to = paused_channel(client, 1)
    sentence = "Alerts that opened while it was paused were dropped."
    assert sentence not in client.get(f"/channels/{to}/resume").text
    Channel.update(drops=1).execute()
    assert sentence in client.get(f"/channels/{to}/resume").text


@pytest.mark.parametrize(
    ("posted", "states", "message"),
    [
        ({}, ["pending", "pending"], "“Ops” delivers again."),
        ({"held": ""}, ["pending", "pending"], "“Ops” delivers again."),
        ({"held": "all"}, ["pending", "pending"], "“Ops” delivers again."),
        ({"held": "digest"}, ["pending", "pending"], "“Ops” delivers again."),
        (
            {"held": "open"},
            ["given_up", "pending"],
            "“Ops” delivers again. 1 held message is discarded.",
        ),
        (
            {"held": "none"},
            ["given_up", "given_up"],
            "“Ops” delivers again. 2 held messages are discarded.",
        ),
    ],
)
def test_resume_takes_a_choice_and_sends_all_without_one(
    client, monkeypatch, posted, states, message
):
    notified = []
    monkeypatch.setattr("web.channels.pausing.wakeup.notify", notified.append)
    to = paused_channel(client, 1, 1)
    assert client.post(f"/channels/{to}/resume", posted).status_code == 303
    assert [state for (state,) in columns_of("state")] == states
    keys = {key for (key,) in columns_of("group_key")}
    assert (len(keys), "" in keys) == (1, posted.get("held") != "digest")
    assert {cause for (cause,) in columns_of("cause")} <= {"", DISCARDED}
    assert (notice(client), len(notified)) == ((message, False), 1)


@pytest.mark.parametrize(
    ("kind", "held", "reason"),
    [
        ("webhook", "burn", "choose which of the held messages are sent."),
        (
            "pagerduty",
            "digest",
            "PagerDuty keeps an incident for each alert, so it gets no digest.",
        ),
        ("opsgenie", "digest", "Opsgenie"),
    ],
)
def test_a_choice_that_cannot_be_made_changes_nothing(client, kind, held, reason):
    to = paused_channel(client, 1)
    Channel.update(kind=kind, drops=1).execute()
    client.post(f"/channels/{to}/resume", {"held": held})
    message, is_bad = notice(client)
    assert (message.startswith(f"Nothing was changed: {reason}"), is_bad) == (True, True)
    assert (Channel.get().state, Channel.get().drops) == ("paused", 1)
    assert columns_of("state", "group_key") == [("held", "")]


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_a_digest_is_offered_unless_the_receiver_keeps_incidents(client, kind):
    to = paused_channel(client, 2)
    Channel.update(kind=kind).execute()
    offered = set(choices(client.get(f"/channels/{to}/resume").text))
    assert {"open", "all", "none"} <= offered
    assert ("digest" in offered) == (kind not in ("pagerduty", "opsgenie"))


@pytest.mark.parametrize("path", ["/channels", "/channels/{to}/edit"])
@pytest.mark.parametrize(
    ("state", "held", "target"),
    [
        ("paused", 0, 'action="/channels/{to}/resume"'),
        ("paused", 1, 'href="/channels/{to}/resume"'),
        ("failing", 0, 'action="/channels/{to}/resume"'),
        ("failing", 1, 'href="/channels/{to}/resume"'),
        ("delivering", 0, None),
    ],
)
def test_resume_asks_only_if_the_channel_holds_something(client, viewer, path, state, held, target):
    to = paused_channel(client, held, state=state)
    page = client.get(path.format(to=to)).text
    found = re.findall(rf'(?:action|href)="/channels/{to}/resume"', page)
    assert found == ([target.format(to=to)] if target else [])
    assert "/resume" not in viewer.get(path.format(to=to)).text


def test_a_channel_that_holds_nothing_is_resumed_at_once(client):
    to = paused_channel(client)
    page = client.get(f"/channels/{to}/resume").text
    assert ("It holds no messages." in page, choices(page)) == (True, {})
    client.post(f"/channels/{to}/resume")
    assert row_marks(client.get("/channels").text, to)["state"] == "delivering"
    assert client.get(f"/channels/{to}/resume").headers["Location"] == "/channels"


def test_a_viewer_can_neither_pause_nor_resume(client, viewer):
    to = paused_channel(client, 1)
    assert viewer.get(f"/channels/{to}/resume").status_code == 403
    for action in ("pause", "resume"):
        response = viewer.post(f"/channels/{to}/{action}", {"waiting": "drop", "held": "none"})
        assert response.status_code == 403
    assert (Channel.get().drops, columns_of("state")) == (0, [("held",)])


@pytest.mark.parametrize(
    ("method", "path"), [("get", "resume"), ("post", "resume"), ("post", "pause")]
)
def test_a_deleted_channel_is_not_found(client, method, path):
    to = create(client)
    client.post(f"/channels/{to}/delete")
    assert getattr(client, method)(f"/channels/{to}/{path}").status_code == 404


@pytest.mark.parametrize(("waiting", "shown"), [("hold", "held"), ("drop", "dropped")])
@pytest.mark.parametrize("path", ["/channels", "/channels/{}/edit"])
def test_a_paused_channel_says_whether_its_alerts_are_held_or_dropped(client, waiting, shown, path):
    to = create(client)
    page = path.format(to)
    assert "alerts are" not in visible_text(client.get(page).text)
    client.post(f"/channels/{to}/pause", {"waiting": waiting})
    client.get(page)  # the notice of pausing
    assert f"alerts are {shown}" in visible_text(client.get(page).text)


def test_the_copy_of_a_channel_that_drops_holds_its_alerts(client):
    to = create(client)
    client.post(f"/channels/{to}/pause", {"waiting": "drop"})
    client.post(f"/channels/{to}/duplicate")
    assert [row.drops for row in Channel.select().order_by(Channel.id)] == [1, 0]


def test_saving_a_channel_that_drops_changes_nothing_about_that(client):
    to = create(client)
    client.post(f"/channels/{to}/pause", {"waiting": "drop"})
    assert client.post(f"/channels/{to}", form_of(version="1", timeout="9")).status_code == 303
    assert (Channel.get().state, Channel.get().drops) == ("paused", 1)


@pytest.mark.parametrize(
    ("state", "drops", "follows"),
    [
        ("paused", 1, "A message is sent when the channel has been resumed and the source sends"),
        ("paused", 0, f"{SENT_AGAIN} It is held then: the channel is paused."),
        ("delivering", 0, SENT_AGAIN),
    ],
)
def test_the_page_of_an_alert_says_that_its_message_was_dropped(state, drops, follows):
    last = Delivery(id=7, state="dropped", event="open", cause=DROPPED, settled_at=NOW)
    notification = ChannelNotification(
        channel=Channel(state=state, drops=drops, retries=""),
        is_open=True,
        matches=True,
        now=NOW,
        last=last,
    )
    assert notification.text.startswith(f"The message was dropped. {DROPPED} {follows}")


def test_the_page_of_a_dropped_delivery_says_when_another_one_follows(client):
    create_delivery("dropped", create_channel(), cause=DROPPED)
    text = visible_text(client.get("/deliveries/msg_7").text)
    assert DROPPED in text
    assert "when the channel is resumed and the source sends the alert again" in text


# --- browser --------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_the_questions_are_accessible_and_work_in_a_browser(chromium, live, scheme, width):
    with live.database.bind_ctx([Channel, Alert, Delivery]):
        to = create_channel("A channel with a name " + "that-never-ends" * 5)
        page = open_page(chromium, live, scheme=scheme, width=width)

        def check():
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

        try:
            page.goto(f"{live.url}/channels")
            row = page.locator(f"#channel-{to.id}")
            row.locator("summary").click()
            check()
            row.get_by_role("button", name="Drop them").click()
            assert row.get_attribute("data-state") == ChannelState.PAUSED
            hold_deliveries(to, openings=2, closings=1)
            page.reload()
            row.get_by_role("link", name="Resume").click()
            check()
            page.get_by_role("button", name="Nothing: discard 3").click()
            assert "3 held messages are discarded." in page.locator("#notice").inner_text()
            assert row.get_attribute("data-state") == ChannelState.DELIVERING
            held = Delivery.select().where(Delivery.channel == to)
            assert {row.state for row in held} == {"given_up"}
            assert (page.complaints, page.foreign) == ([], [])
        finally:
            page.context.close()
            held = Delivery.select(Delivery.alert).where(Delivery.channel == to)
            Alert.delete().where(Alert.id << [row.alert_id for row in held]).execute()
            to.delete_instance()
    live.database.close()
