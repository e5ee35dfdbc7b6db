"""Pages of deliveries and alerts: filters, states, hints, actions and escaping."""

import json
import re

import pytest
from browsing import open_page, violations
from channels import create, row_marks, stored_form
from conftest import ROOT
from databases import only_sqlite
from markupsafe import Markup, escape
from receiver import reply

from clock import HOUR, now_ms
from delivery.alerts.plans import DELIVERY_LIFETIME
from delivery.log import search
from delivery.log.log_filter import ARRIVED, PROBLEMS, STATE_FILTERS, WAITING, LogFilter
from delivery.queue import wakeup
from models import Alert, Attempt, Channel, ChannelState, Delivery, db
from web.deliveries import queries

STATES = [state for state in STATE_FILTERS if state not in (WAITING, PROBLEMS, ARRIVED)]
NOW = 1_790_000_000_000
HOSTILE = "<script>alert(1)</script>\"' & {{ 7*7 }} \u202egnp"
STAGES = json.dumps(
    [
        {"name": "tcp", "milliseconds": 4.0, "detail": HOSTILE, "ok": True},
        {"name": "verdict", "milliseconds": 0.2, "detail": "retry", "ok": False},
    ]
)


def create_channel(name="Ops", state="delivering"):
    return Channel.create(name=name, kind="webhook", state=state, created_at=1, updated_at=1)


def create_alert(name="Disk full", **body):
    key = f"{name} {Alert.select().count()}"
    text = json.dumps({"name": name, **body})
    times = {"changed_at": now_ms(), "seen_at": now_ms()}
    return Alert.create(key=key, name=name, status=body.get("status", "open"), body=text, **times)


def create_delivery(state="pending", to=None, of=None, number=7, **columns):
    now = now_ms()
    times = {"due_at": now + 25_000, "expires_at": now + DELIVERY_LIFETIME, "created_at": now}
    row = {**times, "event": "open", "state": state, **columns}
    return Delivery.create(
        id=number, channel=to or create_channel(), alert=of or create_alert(), **row
    )


def create_attempt(delivery, number=1, says="The receiver r.test answered 503.", **columns):
    row = {
        "verdict": "retry",
        "reason": "http_status",
        "actor": "receiver",
        "status": 503,
        "milliseconds": 42,
        **columns,
    }
    sent = {
        "channel": delivery.channel_id,
        "delivery": delivery,
        "purpose": "delivery",
        "at": now_ms(),
        "config_hash": "",
    }
    return Attempt.create(**sent, number=number, says=says, receiver="r.test", **row)


def rows_in(page):
    """Return the ids and states of the deliveries in a page, in order."""
    return re.findall(r'<li id="delivery-(msg_\d+)" data-state="(\w+)"', page)


def visible_text(html):
    """Return the visible text of a page on one line."""
    return " ".join(Markup(re.sub("<[^>]+>", " ", html)).unescape().split())


# --- list -----------------------------------------------------------------------------------------


def test_empty_list_explains_how_to_send_an_alert(client):
    page = client.get("/deliveries").text
    for text in (
        "No deliveries yet",
        'href="/tokens"',
        "/api/v1/alerts",
        "Create a channel first",
        "none waiting",
    ):
        assert text in page.replace("</a>", "")
    assert "No alerts yet" in client.get("/alerts").text


@pytest.mark.parametrize(
    ("state", "wait", "cause", "expected"),
    [
        (
            "pending",
            25_000,
            "r.test answered 429. The receiver asked for 120 s.",
            "Next attempt in 25 s. r.test answered 429.",
        ),
        ("pending", 24_001, "", "Next attempt in 25 s."),
        ("pending", 120_000, "", "Next attempt in 120 s."),
        ("pending", 3_000_000, "", "Next attempt in 50 min."),
        ("pending", 30_000_000, "", "Next attempt in 8 h."),
        ("pending", 0, "", "The next attempt is due now."),
        ("pending", -5_000, "", "The next attempt is due now."),
        ("sending", -5_000, "", "Attempt 2 is in progress."),
        (
            "held",
            25_000,
            "The channel is not delivering: held until it does.",
            "The channel is not delivering",
        ),
        ("failed", 0, "r.test answered 404.", "r.test answered 404."),
        ("delivered", 0, "", ""),
    ],
)
def test_explanation_states_the_next_attempt_and_the_cause(state, wait, cause, expected):
    delivery = Delivery(state=state, due_at=NOW + wait, cause=cause, attempts=2)
    assert queries.explain(delivery, NOW).startswith(expected)
    delivery.last_message = "It refused."
    assert queries.explain(delivery, NOW).endswith("Last attempt: It refused.")


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_row_shows_alert_channel_state_attempts_and_explanation(client, attempts):
    create_delivery(
        attempts=attempts,
        cause="A user snoozed the delivery for 60 minutes.",
        due_at=now_ms() + 90_000,
    )
    page = client.get("/deliveries").text
    assert rows_in(page) == [("msg_7", "pending")]
    count = "1 attempt ·" if attempts == 1 else f"{attempts} attempts ·"
    for text in (
        "Disk full open · to Ops · alert Next attempt in ",
        " s. A user snoozed the delivery for 60 minutes.",
        f"pending {count} just now",
    ):
        assert text in visible_text(page)


def test_a_row_says_what_its_alert_is_about(client):
    create_delivery(of=create_alert("HighLatency", labels={"instance": HOSTILE}))
    row = visible_text(client.get("/deliveries").text)
    assert "HighLatency · <script>alert(1)</script>" in row


@pytest.mark.parametrize(
    ("attempts", "shown"),
    [(0, "The message has not been sent yet."), (1, "The message has not arrived yet.")],
)
def test_a_pending_delivery_says_whether_it_was_tried(client, attempts, shown):
    create_delivery(attempts=attempts)
    assert shown in visible_text(client.get("/deliveries/msg_7").text)


def test_last_message_is_shown_unless_the_cause_contains_it(client):
    create_attempt(create_delivery("given_up", cause="Canceled by ada.", attempts=2))
    create_attempt(Delivery.get(), 2, says="The receiver r.test answered 502.")
    for path in ("/deliveries", "/deliveries/msg_7"):
        assert "Canceled by ada. Last attempt: The receiver r.test answered 502." in visible_text(
            client.get(path).text
        )
    Delivery.update(
        cause="The receiver r.test answered 502. That was the last attempt, number 2."
    ).execute()
    assert "Last attempt: " not in client.get("/deliveries").text


@pytest.mark.parametrize("state", [*STATES, "nonsense"])
def test_every_state_has_a_tag_a_description_and_a_page(client, state):
    create_delivery(state)
    page = client.get("/deliveries/msg_7").text
    described = re.search(r"<p><strong>[A-Z][^<]+\.</strong></p>", page) is not None
    assert described == (state != "nonsense")
    assert f'data-state="{state}"' in page
    name = state.replace("_", "-")
    assert f'class="tag {name}"' in client.get("/deliveries").text
    signs = re.findall(r"\.tag\.([a-z-]+)::before", (ROOT / "static/site.css").read_text())
    assert state == "nonsense" or name in signs, "a state must be visible without color"


def test_pages_list_every_delivery_exactly_once(client):
    to, of = create_channel(), create_alert()
    for number in range(1, 121):
        create_delivery("delivered", to, of, number)
    page, seen = client.get(f"/deliveries?state=delivered&channel={to.id}").text, []
    while True:
        seen += rows_in(page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if not older:
            break
        page = client.get(str(Markup(older[1]).unescape())).text
        assert (
            'href="/deliveries?state=delivered&amp;channel=' in page
        )  # back to the newest of the same
    assert seen == [(f"msg_{number}", "delivered") for number in range(120, 0, -1)]


def test_filters_select_by_state_channel_and_alert(client):
    ops = create_channel("Ops")
    team = create_channel("Team")
    disk = create_alert("Disk")
    fire = create_alert("Fire")
    for number, state in enumerate(STATES, 1):
        create_delivery(state, ops if number % 2 else team, disk if number < 4 else fire, number)

    def selected(query):
        return [state for _, state in rows_in(client.get(f"/deliveries?{query}").text)]

    assert selected("") == STATES[::-1]
    assert selected("state=&channel=&alert=&before=") == STATES[::-1]
    assert [selected(f"state={state}") for state in STATES] == [[state] for state in STATES]
    assert selected("state=waiting") == ["held", "sending", "pending"]
    assert selected(f"alert={disk.id}") == STATES[2::-1]
    assert selected(f"channel={ops.id}&state=waiting") == ["pending"]
    assert selected(f"channel={team.id}&state=waiting") == ["held", "sending"]
    assert selected("before=msg_3") == selected("before=3") == STATES[1::-1]
    assert selected(f"before={'9' * 19}") == STATES[::-1]
    page = client.get(f"/deliveries?channel={ops.id}&alert={fire.id}&state=held").text
    assert f'name="alert" value="{fire.id}"' in page
    assert "No delivery matches these filters" in page
    assert [f'value="{value}" selected' in page for value in (ops.id, team.id, "held")] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "path",
    [
        "?state=broken",
        "?channel=x",
        "?channel=-1",
        "?alert=1.5",
        "?before=" + "9" * 20,
        "?before=١",
        "/7",
        "/msg_",
        "/msg_8",
        "/msg_x",
    ]
    + ["/msg_" + "9" * 20, "/msg_7/now"],
)
def test_invalid_addresses_are_not_found(client, path):
    create_delivery()
    assert client.get(f"/deliveries{path}").status_code == (405 if path.endswith("now") else 404)


def test_waiting_deliveries_and_problems_are_counted_up_to_a_limit(client, monkeypatch):
    to, of = create_channel(), create_alert()
    for number, state in enumerate(["pending", "held", "sending", "parked", "failed"], 1):
        create_delivery(state, to, of, number)
    assert "3 waiting 2 problems" in visible_text(client.get("/deliveries").text)
    monkeypatch.setattr("delivery.log.search.MAX_COUNT", 2)
    assert "more than 2 waiting 2 problems" in visible_text(client.get("/deliveries").text)


@only_sqlite
@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "delivery USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ({"states": ("parked",)}, "delivery_state (state=? AND rowid>? AND rowid<?)"),
        ({"channel": 5}, "delivery_channel_id_state (channel_id=? AND state=? AND rowid>? AND row"),
        ({"alert": 5}, "_channel_id_state (alert_id=? AND channel_id=? AND state=? AND rowid>"),
        (
            {"states": ("parked",), "channel": 5, "alert": 5},
            "_channel_id_state (alert_id=? AND channel_id=? AND state=? AND rowid>? AND rowid<?)",
        ),
    ],
)
def test_every_filter_finds_the_newest_deliveries_by_an_index(app, filters, index):
    log_filter = LogFilter(**filters)
    statement = search.choose_statement(log_filter)
    values = {**search.parameters_of(log_filter), "limit": 51}
    with db.connection_context():
        plan = [row[3] for row in db.execute_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any(index in step for step in plan), plan
    assert not any(step.startswith(("SCAN d", "SCAN a")) for step in plan), plan


# --- detail page ----------------------------------------------------------------------------------


def test_attempts_are_shown_in_order_with_stages_and_response(client):
    delivery = create_delivery(
        attempts=2, body="THE BODY", cause="The receiver r.test answered 503."
    )
    create_attempt(delivery, 1, stages=STAGES, excerpt="busy <b>now</b>")
    create_attempt(
        delivery,
        2,
        "The name server did not answer in time.",
        actor="network",
        reason="dns_timeout",
        status=None,
        stages="[",
    )
    page = client.get("/deliveries/msg_7").text
    assert re.findall(r"Attempt \d", visible_text(page)) == ["Attempt 1", "Attempt 2"]
    assert re.findall(
        r'<li data-verdict="(\w+)" data-reason="(\w+)" data-actor="(\w+)" data-status="(\d*)"', page
    ) == [
        ("retry", "http_status", "receiver", "503"),
        ("retry", "dns_timeout", "network", ""),
    ]
    for text in (
        "busy &lt;b&gt;now",
        "decided by the network",
        "42 ms",
        "status 503",
        "What to do:",
        "resolv.conf",
        "msg_7",
    ):
        assert text in page
    assert page.count("<rect ") == 2
    assert "THE BODY" not in page


def test_all_parts_of_the_alert_are_shown(client):
    parts = {
        "labels": {"job": "db"},
        "annotations": {"summary": "two\nlines"},
        "url": "https://m.example/?a=1&b=2",
    }
    create_delivery(
        of=create_alert(
            **parts,
            starts_at="2026-03-02T09:15:07Z",
            ends_at="2026-03-02T10:00:00Z",
            status="closed",
        ),
        event="closed",
    )
    page = client.get("/deliveries/msg_7").text
    for text in (
        "job",
        "db",
        "two\nlines",
        "2026-03-02 09:15:07 UTC",
        "2026-03-02 10:00:00 UTC",
        ">Ops</bdi>",
    ):
        assert text in page
    assert 'href="https://m.example/?a=1&amp;b=2" rel="noreferrer noopener"' in page


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)//https://x",
        " javascript:alert(1)",
        "data:text/html,x",
        "ftp://x",
        "https://",
    ],
)
def test_url_that_is_not_http_is_shown_as_text(client, url):
    create_delivery(of=create_alert(url=url))
    page = client.get("/deliveries/msg_7").text
    assert f"<code>{escape(url)}</code>" in page
    assert f'href="{url.strip()[:4]}' not in page


def test_hostile_text_is_escaped_on_every_page(client):
    texts = {"labels": {HOSTILE: HOSTILE}, "annotations": {HOSTILE: HOSTILE}, "url": HOSTILE}
    delivery = create_delivery(
        to=create_channel(HOSTILE), of=create_alert(HOSTILE, **texts), cause=HOSTILE
    )
    create_attempt(
        delivery,
        says=HOSTILE,
        excerpt=HOSTILE,
        stages=STAGES,
        actor=HOSTILE,
        reason=HOSTILE,
        verdict=HOSTILE,
    )
    for path in ("/deliveries", "/deliveries/msg_7", "/alerts"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert page.count(str(escape(HOSTILE))) >= 1


@pytest.mark.parametrize(
    "body", ["", "{", "[1]", '{"labels": 3, "starts_at": 1e300}', '{"starts_at": -1}']
)
def test_damaged_rows_break_no_page(client, body):
    of = Alert.create(
        key="k", name=" ", status="open", body=body, changed_at=-(2**62), seen_at=2**62
    )
    delivery = create_delivery(
        "?", of=of, due_at=-(2**62), settled_at=2**62, created_at=2**62, event="?"
    )
    for number, stages in enumerate(("", "{}", "[1]", '[{"name": 1}]', "null", "[" * 5000), 1):
        create_attempt(delivery, number, stages=stages)
    for path in ("/deliveries", "/deliveries/msg_7", "/alerts"):
        assert client.get(path).status_code == 200
        assert "(no name)" in client.get(path).text


def test_parked_delivery_shows_its_cause_and_what_to_do(client):
    create_delivery(
        "parked",
        cause="It crashed the worker 3 times: parked, so that others are sent.",
    )
    page = visible_text(client.get("/deliveries/msg_7").text)
    for text in (
        "crashed the worker 3 times",
        "What to do:",
        "please report it",
        "select Retry now, or cancel the delivery",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("state", "attempt", "hint"),
    [
        ("pending", {"status": 503}, "Deliveries are retried automatically."),
        ("failed", {"status": 503}, "When the receiver works again, select Retry now."),
        ("failed", {"status": 404, "verdict": "failed"}, "compare the URL character by character"),
        (
            "failed",
            {"status": None, "reason": "dns_failure"},
            "Check the spelling of the host name.",
        ),
        ("failed", {"actor": "proxy"}, ""),
        ("failed", {"reason": "nonsense"}, ""),
        ("delivered", {"status": 404}, ""),
    ],
)
def test_hint_matches_the_last_attempt_and_promises_no_retry_that_will_not_happen(
    client, state, attempt, hint
):
    create_attempt(create_delivery(state), **attempt)
    page = visible_text(client.get("/deliveries/msg_7").text)
    assert (hint in page, "What to do:" in page) == (True, bool(hint))


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        ({"status": 404, "verdict": "failed"}, "check the field “Bot token”"),
        ({"status": 403, "verdict": "gone"}, "check the field “Chat ID”"),
        ({"status": 404, "verdict": "failed", "actor": "proxy"}, ""),
        ({"status": 410, "verdict": "gone"}, "create a new one there"),
    ],
)
def test_hint_names_the_field_of_the_kind_that_holds_the_mistake(client, attempt, hint):
    channel = create_channel()
    Channel.update(kind="telegram").execute()
    create_attempt(create_delivery("failed", to=channel), says="It answered.", **attempt)
    page = visible_text(client.get("/deliveries/msg_7").text)
    assert (hint in page, "What to do:" in page) == (True, bool(hint))


def test_only_the_latest_100_attempts_are_shown(client):
    delivery = create_delivery()
    for number in range(1, 103):
        create_attempt(delivery, number)
    page = visible_text(client.get("/deliveries/msg_7").text)
    assert (
        "The latest 100." in page,
        "Attempt 2 " in page,
        "Attempt 3 " in page,
        "Attempt 102 " in page,
    ) == (
        True,
        False,
        True,
        True,
    )


# --- actions --------------------------------------------------------------------------------------


def buttons(page):
    return re.findall(r'action="/deliveries/msg_7/([\w-]+)"', page)


def post_action(client, action, **form):
    """Post an action; return the notice and whether it reports a failure."""
    answer = client.post(f"/deliveries/msg_7/{action}", form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/deliveries/msg_7")
    category, message = re.search(
        r'<p class="notice (\w+)">(.*?)</p>', client.get("/deliveries/msg_7").text
    ).groups()
    return message, category == "bad"


@pytest.mark.parametrize("state", STATES)
def test_each_state_allows_only_its_own_actions(client, state):
    create_delivery(state)
    offered = {
        "pending": ["now", "postpone", "give-up"],
        "failed": ["now"],
        "given_up": ["now"],
        "held": ["give-up"],
        "parked": ["now", "give-up"],
    }.get(state, [])
    if state in ("delivered", "accepted", "dropped", "superseded"):
        offered = ["redeliver"]
    assert buttons(client.get("/deliveries/msg_7").text) == offered
    for action in {"now", "postpone", "give-up"} - set(offered):
        message, failed = post_action(client, action)
        assert (failed, f"the delivery is {state.replace('_', ' ')}." in message) == (True, True)
    assert Delivery.get().state == state


def test_retry_now_makes_a_delivery_due_and_wakes_the_worker(client, monkeypatch):
    notified = []
    monkeypatch.setattr(wakeup, "notify", notified.append)
    for state in ("pending", "failed", "given_up", "parked"):
        Delivery.delete().execute()
        create_delivery(state, to=Channel.get_or_none() or create_channel(), claims=3)
        assert post_action(client, "now") == (
            "The delivery is due now.",
            False,
        )
        row = Delivery.get()
        assert (row.state, row.claims, row.due_at <= now_ms()) == ("pending", 0, True)
    assert len(notified) == 4


def test_snooze_delays_the_next_attempt_by_the_entered_minutes(client):
    create_delivery()
    for form, minutes in (({}, 60), ({"minutes": " 5 "}, 5), ({"minutes": "720"}, 720)):
        assert post_action(client, "postpone", **form) == (
            f"The delivery is snoozed for {minutes} minutes.",
            False,
        )
        assert Delivery.get().due_at == pytest.approx(now_ms() + minutes * 60_000, abs=2000)


@pytest.mark.parametrize("minutes", ["0", "1441", "-1", "1.5", "", "x", "١", "9" * 5000])
def test_snooze_refuses_invalid_minutes(client, minutes):
    before = create_delivery().due_at
    assert post_action(client, "postpone", minutes=minutes) == (
        "Nothing was changed: enter whole minutes from 1 to 720.",
        True,
    )
    assert Delivery.get().due_at == before


def test_cancel_ends_a_delivery_and_names_the_user(client):
    create_delivery("held")
    assert post_action(client, "give-up", minutes="x") == (
        "The delivery is canceled and is not retried automatically.",
        False,
    )
    assert (Delivery.get().state, Delivery.get().cause) == ("given_up", "Canceled by ada.")


def test_action_reports_that_the_delivery_has_ended_in_the_meantime(client, monkeypatch):
    create_delivery()

    def deliver_first(*_arguments):
        Delivery.update(state="delivered").execute()
        return False

    for name in ("retry_now", "snooze", "cancel"):
        monkeypatch.setattr(f"web.deliveries.views.outbox.{name}", deliver_first)
    for action in ("now", "postpone", "give-up"):
        Delivery.update(state="pending").execute()
        assert post_action(client, action) == (
            "Nothing was changed: the delivery is delivered.",
            True,
        )


def test_retry_now_is_refused_while_the_channel_is_paused(client):
    create_delivery("failed", to=create_channel(state=ChannelState.PAUSED))
    page = client.get("/deliveries/msg_7").text
    assert (buttons(page), "resume the channel</a> first" in page) == ([], True)
    assert "resume the channel first" in post_action(client, "now")[0]
    assert Delivery.get().state == "failed"


def test_viewer_sees_deliveries_and_cannot_act(client, viewer, anonymous):
    create_attempt(create_delivery("pending"))
    page = viewer.get("/deliveries/msg_7").text
    assert (buttons(page), "Attempt 1" in page, "<form" in page.split("<main")[1]) == (
        [],
        True,
        False,
    )
    assert viewer.get("/deliveries").status_code == viewer.get("/alerts").status_code == 200
    for action in ("now", "postpone", "give-up"):
        assert viewer.post(f"/deliveries/msg_7/{action}").status_code == 403
        assert client.without_token(f"/deliveries/msg_7/{action}").status_code == 400
        assert anonymous.post(f"/deliveries/msg_7/{action}").status_code == 401
    assert Delivery.get().state == "pending"


# --- alerts and channels --------------------------------------------------------------------------


def test_alerts_show_their_status_and_number_of_deliveries(client):
    disk, to = create_alert("Disk"), create_channel()
    create_alert("Fire", status="closed")
    for number in (1, 2):
        create_delivery(to=to, of=disk, number=number)
    page = client.get("/alerts").text
    assert re.findall(r'<li id="alert-\d+" data-status="(\w+)"', page) == ["closed", "open"]
    assert f'<a href="/deliveries?alert={disk.id}">2 deliveries</a>' in page
    assert "no deliveries" in page


def test_pausing_holds_deliveries_and_resuming_makes_them_due(client):
    to = create(client)
    create_delivery(to=to)
    client.post(f"/channels/{to}/pause")
    assert (Delivery.get().state, "held until it does" in Delivery.get().cause) == ("held", True)
    client.post(f"/channels/{to}/resume")
    assert (Delivery.get().state, Delivery.get().due_at <= now_ms()) == ("pending", True)


@pytest.mark.parametrize(
    ("state", "after"),
    [(ChannelState.FAILING, ("delivering", "pending")), (ChannelState.PAUSED, ("paused", "held"))],
)
def test_saving_restores_a_failing_channel_but_not_a_paused_one(client, state, after):
    to = create(client)
    Channel.update(state=state).execute()
    create_delivery("held", to=to)
    refused = client.post(f"/channels/{to}", {**stored_form(client, to), "url": "nonsense"})
    assert (refused.status_code, Channel.get().state, Delivery.get().state) == (422, state, "held")
    assert client.post(f"/channels/{to}", stored_form(client, to)).status_code == 303
    assert (Channel.get().state, Delivery.get().state) == after


@pytest.mark.parametrize(("change", "is_due"), [({}, False), ({"timeout": "7"}, True)])
def test_saving_another_configuration_makes_pending_deliveries_due(client, change, is_due):
    to = create(client)
    later = now_ms() + HOUR
    create_delivery("pending", to=to, due_at=later)
    client.post(f"/channels/{to}", {**stored_form(client, to), **change})
    assert (Delivery.get().due_at < later) is is_due


def test_channel_list_explains_failing_and_links_to_deliveries(client, viewer):
    to = create(client, name="Ops")
    assert "no more" not in client.get("/channels").text
    Channel.update(state=ChannelState.FAILING).execute()
    page = client.get("/channels").text
    assert row_marks(page, to)["state"] == "failing"
    assert "one of them is tried every ten minutes" in page
    assert (f"/channels/{to}/resume" in page, f"/channels/{to}/pause" in page) == (True, False)
    for html in (page, viewer.get("/channels").text):
        assert f'href="/deliveries?channel={to}" aria-label="Deliveries of Ops"' in html


# --- accessibility --------------------------------------------------------------------------------


@pytest.mark.browser
def test_pages_are_accessible_and_fit_a_phone_in_dark_mode(chromium, live):
    with live.database.bind_ctx([Channel, Alert, Delivery, Attempt]):
        to = create_channel("A channel with a name " + "that-never-ends" * 5, ChannelState.PAUSED)
        of = create_alert(
            "DiskFull" * 20,
            labels={"instance" * 9: "x" * 200},
            annotations={"summary": "It is full. " * 30},
        )
        create_attempt(
            create_delivery("held", to, of, 7, cause="The channel is not delivering."),
            stages=STAGES,
            excerpt="y" * 500,
        )
        create_attempt(create_delivery("parked", to, of, 8), says="z" * 300)
        page = open_page(chromium, live, scheme="dark", width=390)
        try:
            for path in (
                "/deliveries",
                "/deliveries/msg_7",
                "/deliveries/msg_8",
                "/alerts",
                f"/alerts/{of.id}",
                "/channels",
            ):
                page.goto(live.url + path)
                assert violations(page) == []
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert (page.complaints, page.foreign) == ([], [])
        finally:
            page.context.close()
            Alert.delete().execute()
            to.delete_instance()
    live.database.close()


# --- polls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "wait", "interval"),
    [("pending", 60_000, 3), ("sending", 0, 3), ("pending", HOUR, 60), ("failed", 0, None)],
)
def test_the_page_of_a_delivery_polls_until_it_has_ended(client, state, wait, interval):
    create_delivery(state, due_at=now_ms() + wait, attempts=1)
    page = client.get("/deliveries/msg_7").text
    poll = re.search(r'hx-get="([^"]+)" hx-trigger="every (\d+)s"', page)
    assert (poll and int(poll[2])) == interval
    if poll:
        assert client.get(poll[1]).status_code == 204
        Delivery.update(state="delivered", attempts=2).execute()
        assert 'id="delivery-page">' in client.get(poll[1]).text


@pytest.mark.browser
def test_the_dashboard_and_a_delivery_follow_what_happens_without_a_reload(
    chromium, live, receiver
):
    expect = pytest.importorskip("playwright.sync_api").expect
    receiver.script = reply(503)
    channel_id = live.create_channel(receiver.url, name="Followed")
    live.post_alert(name="Followed", labels={"severity": "critical"})
    [[number]] = live.query(
        "SELECT max(id) FROM delivery WHERE channel_id = :channel_id", channel_id=channel_id
    )
    dashboard = open_page(chromium, live)
    dashboard.goto(f"{live.url}/")
    overview = dashboard.locator("#dashboard")
    first = overview.get_attribute("hx-get")
    page = open_page(chromium, live)
    page.goto(f"{live.url}/deliveries/msg_{number}")
    expect(page.locator("#delivery-page")).to_contain_text("Attempt 1")
    receiver.script = reply(200)
    page.get_by_role("button", name="Retry now").click()
    expect(page.locator(f"#delivery-msg_{number}")).to_have_attribute("data-state", "delivered")
    expect(page.locator("#delivery-page")).to_contain_text("Attempt 2")
    assert page.locator("#delivery-page").get_attribute("hx-get") is None
    expect(overview).not_to_have_attribute("hx-get", first, timeout=20_000)
    assert page.complaints == dashboard.complaints == []
