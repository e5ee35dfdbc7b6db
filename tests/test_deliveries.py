"""The log: what it says of every state, how it is found, what may be done there, and that hostile text stays text."""

import json
import re

import pytest
from browsing import open_page, violations
from channels import create, row_marks, stored_form
from conftest import ROOT
from markupsafe import Markup, escape
from peewee import SqliteDatabase

from clock import now_ms
from delivery.alerts.routing import DELIVERY_LIFETIME
from delivery.queue import wakeup
from models import Alert, Attempt, Channel, ChannelState, Delivery, db
from web.deliveries import queries

STATES = [state for state in queries.STATES if state != queries.WAITING]
NOW = 1_790_000_000_000
HOSTILE = "<script>alert(1)</script>\"' & {{ 7*7 }} \u202egnp"
STAGES = json.dumps(
    [
        {"name": "tcp", "milliseconds": 4.0, "detail": HOSTILE, "ok": True},
        {"name": "verdict", "milliseconds": 0.2, "detail": "retry", "ok": False},
    ]
)


def channel(name="Ops", state="delivering"):
    return Channel.create(name=name, kind="webhook", state=state, created_at=1, updated_at=1)


def alert(name="Disk full", **body):
    key, parts = f"{name} {Alert.select().count()}", json.dumps({"name": name, **body})
    times = {"changed_at": now_ms(), "seen_at": now_ms()}
    return Alert.create(key=key, name=name, status=body.get("status", "open"), body=parts, **times)


def owed(state="pending", to=None, of=None, number=7, **columns):
    now = now_ms()
    times = {"due_at": now + 25_000, "expires_at": now + DELIVERY_LIFETIME, "created_at": now}
    row = {**times, "event": "open", "state": state, **columns}
    return Delivery.create(id=number, channel=to or channel(), alert=of or alert(), **row)


def tried(delivery, number=1, says="The receiver r.test answered 503.", **columns):
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


def listed(page):
    """The ids of a log page's rows, in order, with their states."""
    return re.findall(r'<li id="delivery-(msg_\d+)" data-state="(\w+)"', page)


def words_of(html):
    """What a person reads, on one line."""
    return " ".join(Markup(re.sub("<[^>]+>", " ", html)).unescape().split())


# --- the log ------------------------------------------------------------------------------------------------------------


def test_an_empty_log_says_how_an_alert_comes_in(client):
    page = client.get("/deliveries").text
    for text in (
        "Nothing was to be delivered yet",
        'href="/tokens"',
        "/api/v1/alerts",
        "begin there",
        "none waiting",
    ):
        assert text in page.replace("</a>", "")
    assert "No alert came in yet" in client.get("/alerts").text


@pytest.mark.parametrize(
    ("state", "wait", "cause", "words"),
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
        ("sending", -5_000, "", "Attempt 2 is under way."),
        (
            "held",
            25_000,
            "The channel does not deliver just now: held until it does.",
            "The channel does not deliver just now",
        ),
        ("failed", 0, "r.test answered 404.", "r.test answered 404."),
        ("delivered", 0, "", ""),
    ],
)
def test_it_is_said_what_comes_next_and_why(state, wait, cause, words):
    delivery = Delivery(state=state, due_at=NOW + wait, cause=cause, attempts=2)
    assert queries.standing(delivery, "", NOW).startswith(words)
    assert queries.standing(delivery, "It said no.", NOW).endswith("The last attempt: It said no.")


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_a_row_names_alert_channel_state_attempts_and_what_comes_next(client, attempts):
    owed(attempts=attempts, cause="Somebody put it off by 60 minutes.", due_at=now_ms() + 90_000)
    page = client.get("/deliveries").text
    assert listed(page) == [("msg_7", "pending")]
    counted = "1 attempt ·" if attempts == 1 else f"{attempts} attempts ·"
    for text in (
        "Disk full open · to Ops Next attempt in ",
        " s. Somebody put it off by 60 minutes.",
        f"pending {counted} just now",
    ):
        assert text in words_of(page)


def test_the_last_attempt_is_told_where_the_cause_does_not_tell_it(client):
    tried(owed("given_up", cause="Given up by ada.", attempts=2))
    tried(Delivery.get(), 2, says="The receiver r.test answered 502.")
    for path in ("/deliveries", "/deliveries/msg_7"):
        assert "Given up by ada. The last attempt: The receiver r.test answered 502." in words_of(
            client.get(path).text
        )
    Delivery.update(
        cause="The receiver r.test answered 502. That was the last attempt, number 2."
    ).execute()
    assert "The last attempt: " not in client.get("/deliveries").text


@pytest.mark.parametrize("state", [*STATES, "nonsense"])
def test_every_state_has_a_tag_a_sentence_and_a_page(client, state):
    owed(state)
    page = client.get("/deliveries/msg_7").text
    assert (queries.SAYS.get(state, "") in words_of(page), f'data-state="{state}"' in page) == (
        True,
        True,
    )
    name = state.replace("_", "-")
    assert f'class="tag {name}"' in client.get("/deliveries").text
    signs = re.findall(r"\.tag\.([a-z-]+)::before", (ROOT / "static/site.css").read_text())
    assert state == "nonsense" or name in signs, "a state must be told without its colour"


def test_the_log_is_read_page_by_page_and_nothing_comes_twice_or_never(client):
    to, of = channel(), alert()
    for number in range(1, 121):
        owed("delivered", to, of, number)
    page, seen = client.get(f"/deliveries?state=delivered&channel={to.id}").text, []
    while True:
        seen += listed(page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if not older:
            break
        page = client.get(str(Markup(older[1]).unescape())).text
        assert (
            'href="/deliveries?state=delivered&amp;channel=' in page
        )  # back to the newest of the same
    assert seen == [(f"msg_{number}", "delivered") for number in range(120, 0, -1)]


def test_the_filters_choose_by_state_channel_and_alert(client):
    ops, team, disk, fire = channel("Ops"), channel("Team"), alert("Disk"), alert("Fire")
    for number, state in enumerate(STATES, 1):
        owed(state, ops if number % 2 else team, disk if number < 4 else fire, number)

    def chosen(query):
        return [state for _, state in listed(client.get(f"/deliveries?{query}").text)]

    assert chosen("") == STATES[::-1]
    assert chosen("state=&channel=&alert=&before=") == STATES[::-1]
    assert [chosen(f"state={state}") for state in STATES] == [[state] for state in STATES]
    assert chosen("state=waiting") == ["held", "sending", "pending"]
    assert chosen(f"alert={disk.id}") == STATES[2::-1]
    assert chosen(f"channel={ops.id}&state=waiting") == ["held", "pending"]
    assert chosen("before=msg_3") == chosen("before=3") == STATES[1::-1]
    assert chosen(f"before={'9' * 19}") == STATES[::-1]
    page = client.get(f"/deliveries?channel={ops.id}&alert={fire.id}&state=held").text
    assert f'name="alert" value="{fire.id}"' in page
    assert "No delivery is like that" in page
    assert [f'value="{one}" selected' in page for one in (ops.id, team.id, "held")] == [
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
def test_an_address_that_leads_to_nothing_says_so(client, path):
    owed()
    assert client.get(f"/deliveries{path}").status_code == (405 if path.endswith("now") else 404)


def test_what_waits_and_what_is_parked_is_counted_up_to_a_bound(client, monkeypatch):
    to, of = channel(), alert()
    for number, state in enumerate(["pending", "held", "sending", "parked", "failed"], 1):
        owed(state, to, of, number)
    assert "3 waiting · 1 parked in all" in words_of(client.get("/deliveries").text)
    monkeypatch.setattr("web.deliveries.queries.MOST_COUNTED", 2)
    assert "more than 2 waiting · 1 parked" in words_of(client.get("/deliveries").text)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (((), 0, 0, 0), "INTEGER PRIMARY KEY (rowid<?)"),
        ((("parked",), 0, 0, 0), "delivery_state_due_at (state=?)"),
        ((queries.STATES["waiting"], 0, 0, 9), "delivery_state_due_at (state=?)"),
        ((("parked",), 5, 0, 0), "COVERING INDEX delivery_channel_id_id (channel_id=? AND id=?"),
        (((), 5, 0, 9), "delivery_channel_id_id (channel_id=? AND id<?)"),
        (((), 0, 5, 0), "delivery_alert_id_channel_id (alert_id=?)"),
    ],
)
def test_every_list_is_found_in_an_index(app, monkeypatch, filters, index):
    with db.connection_context():
        asked = []
        monkeypatch.setattr("web.deliveries.queries.list", asked.append, raising=False)
        queries.listed(*filters)
        sql, values = asked[0].sql()
        plan = [row[3] for row in db.execute_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert [one for one in plan if index in one], plan
    assert not [one for one in plan if one.startswith("SCAN")], plan


# --- one delivery ---------------------------------------------------------------------------------------------------------


def test_a_delivery_shows_its_attempts_in_order_with_stages_and_what_came_back(client):
    delivery = owed(attempts=2, body="THE BODY", cause="The receiver r.test answered 503.")
    tried(delivery, 1, stages=STAGES, excerpt="busy <b>now</b>")
    tried(
        delivery,
        2,
        "Nobody said in time.",
        actor="network",
        reason="dns_timeout",
        status=None,
        stages="[",
    )
    page = client.get("/deliveries/msg_7").text
    assert re.findall(r"Attempt \d", words_of(page)) == ["Attempt 1", "Attempt 2"]
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


def test_the_alert_of_a_delivery_is_shown_whole(client):
    parts = {
        "labels": {"job": "db"},
        "annotations": {"summary": "two\nlines"},
        "url": "https://m.example/?a=1&b=2",
    }
    owed(
        of=alert(
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
def test_a_link_that_is_no_web_address_is_shown_and_cannot_be_clicked(client, url):
    owed(of=alert(url=url))
    page = client.get("/deliveries/msg_7").text
    assert f"<code>{escape(url)}</code>" in page
    assert f'href="{url.strip()[:4]}' not in page


def test_hostile_text_stays_text_everywhere(client):
    texts = {"labels": {HOSTILE: HOSTILE}, "annotations": {HOSTILE: HOSTILE}, "url": HOSTILE}
    delivery = owed(to=channel(HOSTILE), of=alert(HOSTILE, **texts), cause=HOSTILE)
    tried(
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
def test_a_damaged_row_breaks_no_page(client, body):
    of = Alert.create(key="k", name=" ", status="?", body=body, changed_at=-(2**62), seen_at=2**62)
    delivery = owed("?", of=of, due_at=-(2**62), settled_at=2**62, created_at=2**62, event="?")
    for number, stages in enumerate(("", "{}", "[1]", '[{"name": 1}]', "null", "[" * 5000), 1):
        tried(delivery, number, stages=stages)
    for path in ("/deliveries", "/deliveries/msg_7", "/alerts"):
        assert client.get(path).status_code == 200
        assert "(no name)" in client.get(path).text


def test_a_parked_delivery_says_that_it_ended_the_worker_three_times_and_what_to_do(client):
    owed(
        "parked",
        cause="Making this message has ended the worker 3 times: parked, so that it holds up no other.",
    )
    page = words_of(client.get("/deliveries/msg_7").text)
    for text in (
        "has ended the worker 3 times",
        "What to do:",
        "please report it",
        "press Now to try again",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("state", "attempt", "hint"),
    [
        ("pending", {"status": 503}, "Deliveries are tried again by themselves."),
        ("failed", {"status": 503}, "Once it is well again, press Now."),
        ("failed", {"status": 404, "verdict": "failed"}, "compare the URL letter by letter"),
        ("failed", {"status": None, "reason": "dns_failure"}, "Check the spelling of the host."),
        ("failed", {"actor": "proxy"}, ""),
        ("failed", {"reason": "nonsense"}, ""),
        ("delivered", {"status": 404}, ""),
    ],
)
def test_the_advice_fits_how_it_ended_and_never_promises_what_will_not_come(
    client, state, attempt, hint
):
    tried(owed(state), **attempt)
    page = words_of(client.get("/deliveries/msg_7").text)
    assert (hint in page, "What to do:" in page) == (True, bool(hint))


def test_only_the_latest_hundred_attempts_are_shown(client):
    delivery = owed()
    for number in range(1, 103):
        tried(delivery, number)
    page = words_of(client.get("/deliveries/msg_7").text)
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


# --- what may be done --------------------------------------------------------------------------------------------------------


def buttons(page):
    return re.findall(r'action="/deliveries/msg_7/([\w-]+)"', page)


def done(client, action, **form):
    """Presses a button; the notice, and whether it is a bad one."""
    answer = client.post(f"/deliveries/msg_7/{action}", form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/deliveries/msg_7")
    kind, words = re.search(
        r'<p class="notice (\w+)">(.*?)</p>', client.get("/deliveries/msg_7").text
    ).groups()
    return words, kind == "bad"


@pytest.mark.parametrize("state", STATES)
def test_each_state_offers_what_can_be_done_in_it_and_nothing_else_is_done(client, state):
    owed(state)
    offered = {
        "pending": ["now", "postpone", "give-up"],
        "failed": ["now"],
        "given_up": ["now"],
        "held": ["give-up"],
        "parked": ["now", "give-up"],
    }.get(state, [])
    assert buttons(client.get("/deliveries/msg_7").text) == offered
    for action in {"now", "postpone", "give-up"} - set(offered):
        words, bad = done(client, action)
        assert (bad, f"this delivery is {state.replace('_', ' ')} by now" in words) == (True, True)
    assert Delivery.get().state == state


def test_now_makes_it_due_and_wakes_the_worker(client, monkeypatch):
    rung = []
    monkeypatch.setattr(wakeup, "notify", rung.append)
    for state in ("pending", "failed", "given_up", "parked"):
        Delivery.delete().execute()
        owed(state, to=Channel.get_or_none() or channel(), claims=3)
        assert done(client, "now") == (
            "It is due now. Reload this page in a moment to see what comes of it.",
            False,
        )
        row = Delivery.get()
        assert (row.state, row.claims, row.due_at <= now_ms()) == ("pending", 0, True)
    assert len(rung) == 4


def test_postpone_puts_it_off_by_the_minutes_that_were_typed(client):
    owed()
    for form, minutes in (({}, 60), ({"minutes": " 5 "}, 5), ({"minutes": "720"}, 720)):
        assert done(client, "postpone", **form) == (
            f"The next attempt is put off by {minutes} minutes.",
            False,
        )
        assert Delivery.get().due_at == pytest.approx(now_ms() + minutes * 60_000, abs=2000)


@pytest.mark.parametrize("minutes", ["0", "1441", "-1", "1.5", "", "x", "١", "9" * 5000])
def test_minutes_that_are_no_such_number_are_refused(client, minutes):
    before = owed().due_at
    assert done(client, "postpone", minutes=minutes) == (
        "Nothing was done: enter whole minutes, from 1 to 720.",
        True,
    )
    assert Delivery.get().due_at == before


def test_give_up_ends_it_and_names_who_did(client):
    owed("held")
    assert done(client, "give-up", minutes="x") == (
        "It is given up, and not tried again by itself.",
        False,
    )
    assert (Delivery.get().state, Delivery.get().cause) == ("given_up", "Given up by ada.")


def test_what_was_delivered_meanwhile_is_said_to_be(client, monkeypatch):
    owed()

    def meanwhile(*_given):
        Delivery.update(state="delivered").execute()
        return False

    for name in ("retry_now", "snooze", "cancel"):
        monkeypatch.setattr(f"web.deliveries.views.outbox.{name}", meanwhile)
    for action in ("now", "postpone", "give-up"):
        Delivery.update(state="pending").execute()
        assert done(client, action) == (
            "Nothing was done: this delivery is delivered by now.",
            True,
        )


def test_nothing_is_sent_to_a_paused_channel_whoever_asks(client):
    owed("failed", to=channel(state=ChannelState.PAUSED))
    page = client.get("/deliveries/msg_7").text
    assert (buttons(page), "resume the channel</a> first" in page) == ([], True)
    assert "Resume the channel first" in done(client, "now")[0]
    assert Delivery.get().state == "failed"


def test_a_viewer_sees_all_of_it_and_presses_nothing(client, viewer, anonymous):
    tried(owed("pending"))
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


# --- alerts and channels ------------------------------------------------------------------------------------------------------


def test_the_alerts_say_how_they_are_and_how_much_they_made(client):
    disk, to = alert("Disk"), channel()
    alert("Fire", status="closed")
    for number in (1, 2):
        owed(to=to, of=disk, number=number)
    page = client.get("/alerts").text
    assert re.findall(r'<li id="alert-\d+" data-status="(\w+)"', page) == ["closed", "open"]
    assert f'<a href="/deliveries?alert={disk.id}">2 deliveries</a>' in page
    assert "no delivery" in page


def test_pausing_holds_what_waits_and_resuming_makes_it_due(client):
    to = create(client)
    owed(to=to)
    client.post(f"/channels/{to}/pause")
    assert (Delivery.get().state, "held until it does" in Delivery.get().cause) == ("held", True)
    client.post(f"/channels/{to}/resume")
    assert (Delivery.get().state, Delivery.get().due_at <= now_ms()) == ("pending", True)


@pytest.mark.parametrize(
    ("state", "after"),
    [(ChannelState.FAILING, ("delivering", "pending")), (ChannelState.PAUSED, ("paused", "held"))],
)
def test_a_save_mends_a_failing_channel_and_resumes_no_paused_one(client, state, after):
    to = create(client)
    Channel.update(state=state).execute()
    owed("held", to=to)
    refused = client.post(f"/channels/{to}", {**stored_form(client, to), "url": "nonsense"})
    assert (refused.status_code, Channel.get().state, Delivery.get().state) == (422, state, "held")
    assert client.post(f"/channels/{to}", stored_form(client, to)).status_code == 303
    assert (Channel.get().state, Delivery.get().state) == after


def test_the_list_says_what_failing_means_and_leads_to_the_log(client, viewer):
    to = create(client, name="Ops")
    assert "no more" not in client.get("/channels").text
    Channel.update(state=ChannelState.FAILING).execute()
    page = client.get("/channels").text
    assert row_marks(page, to)["state"] == "failing"
    assert "one of them is tried every ten minutes" in page
    assert (f"/channels/{to}/resume" in page, f"/channels/{to}/pause" in page) == (True, False)
    for one in (page, viewer.get("/channels").text):
        assert f'href="/deliveries?channel={to}" aria-label="Log of Ops"' in one


# --- looks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_log_is_accessible_and_fits_a_phone_in_the_dark(chromium, live):
    database = SqliteDatabase(live.folder / "data" / "tocsin.db", pragmas={"foreign_keys": 1})
    with database.bind_ctx([Channel, Alert, Delivery, Attempt]):
        to = channel("A channel with a name " + "that-never-ends" * 5, ChannelState.PAUSED)
        of = alert(
            "DiskFull" * 20,
            labels={"instance" * 9: "x" * 200},
            annotations={"summary": "It is full. " * 30},
        )
        tried(
            owed("held", to, of, 7, cause="The channel does not deliver just now."),
            stages=STAGES,
            excerpt="y" * 500,
        )
        tried(owed("parked", to, of, 8), says="z" * 300)
        page = open_page(chromium, live, scheme="dark", width=390)
        try:
            for path in (
                "/deliveries",
                "/deliveries/msg_7",
                "/deliveries/msg_8",
                "/alerts",
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
    database.close()
