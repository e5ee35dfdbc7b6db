"""The list of channels: search, filters, pages, and actions on several channels at once."""

import re

import pytest
from browsing import open_page, violations
from channels import create, row_marks
from peewee import OperationalError
from test_deliveries import create_alert, create_delivery, visible_text

from clock import HOUR, now_ms
from delivery import outbox
from delivery.kinds import kinds
from delivery.settings import read_settings
from models import Channel, Delivery, db
from web.channels import listing, views
from web.channels.listing import InvalidQuery, page_of, read_page, read_query, select_entries

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
NOW = 1_800_000_000_000
HTMX = {"HX-Request": "true"}


def make(name="Ops", **columns):
    """Create a channel whose row is complete, without the form; return its id."""
    row = {"kind": "webhook", "created_at": 1, "updated_at": 1, **columns}
    return Channel.create(name=name, **row).id


def proven(proof):
    return {"proof": proof, "proof_hash": "h", "config_hash": "h", "proven_at": NOW}


def fill(count, **columns):
    """Create `Channel 001` and so on; return their ids."""
    return [make(f"Channel {number:03}", **columns) for number in range(1, count + 1)]


def names(entries):
    return [entry.name for entry in entries]


def found(html):
    """Return the names in the list of a page, in order."""
    rows = re.findall(r'<a class="name"[^>]*>(.*?)</a>', html)
    return [visible_text(name) for name in rows]


def options(html, name):
    """Return the texts of the options of a filter."""
    select = re.search(rf'<select id="{name}".*?</select>', html, re.DOTALL)[0]
    return re.findall("<option[^>]*>(.*?)</option>", select)


@pytest.fixture(autouse=True)
def _database(request):
    if "app" in request.fixturenames:
        request.getfixturevalue("app")
        db.connect(reuse_if_open=True)


# --- search and filters: pure ---------------------------------------------------------------------

CHANNELS = {
    "Database": {"kind": "slack", "origin": "https://hooks.slack.com", **proven("proven by test")},
    "Edge": {"state": "failing", "origin": "https://edge.example.com:8443"},
    "Größe": {"trouble_since": NOW - 1, **proven("proven by delivery")},
    "Old": {"state": "paused", "kind": "gone-kind"},
    "Strange": {"state": "melted", "proof": "nonsense", "kind": "slack"},
    "Works": {"attempted_at": NOW, "kind": "pagerduty", **proven("proven by test")},
    "Worse": {"trouble_since": NOW - 7 * HOUR, "failures": 20, "attempted_at": NOW},
}
QUERIES = [
    ({}, list(CHANNELS)),
    ({"q": "database"}, ["Database"]),
    ({"q": "GRÖSSE"}, ["Größe"]),
    ({"q": "SLACK.com"}, ["Database"]),
    ({"q": "example edge"}, ["Edge"]),
    ({"q": "8443"}, ["Edge"]),
    ({"q": "%"}, []),
    ({"q": "edge database"}, []),
    ({"health": "ok"}, ["Works"]),
    ({"health": "unused"}, ["Database"]),
    ({"health": "paused"}, ["Old", "Strange"]),
    ({"health": "retrying"}, ["Größe"]),
    ({"health": "failing"}, ["Edge", "Worse"]),
    ({"health": "trouble"}, ["Edge", "Größe", "Worse"]),
    ({"health": "trouble", "sort": "trouble"}, ["Edge", "Worse", "Größe"]),
    ({"state": "failing"}, ["Edge"]),
    ({"state": "paused"}, ["Old", "Strange"]),
    ({"kind": "slack"}, ["Database", "Strange"]),
    ({"kind": "gone-kind"}, ["Old"]),
    ({"kind": "telegram"}, []),
    ({"proof": "proven by test"}, ["Database", "Works"]),
    ({"proof": "unproven"}, ["Edge", "Old", "Strange", "Worse"]),
    ({"kind": "slack", "proof": "unproven"}, ["Strange"]),
    ({"sort": "trouble"}, ["Edge", "Worse", "Größe", "Old", "Strange", "Database", "Works"]),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_the_list_is_searched_filtered_and_sorted(app, query, expected):
    for name, columns in CHANNELS.items():
        make(name, **columns)
    make("Deleted", deleted_at=NOW)
    entries = listing.load(NOW)
    assert names(select_entries(entries, read_query(query)).matching) == expected


def test_an_option_counts_what_it_would_show_beside_the_other_filters(app):
    for name, columns in CHANNELS.items():
        make(name, **columns)
    chosen = select_entries(listing.load(NOW), {"kind": "slack", "health": "paused"}).options
    counts = {name: {one.value: one.number for one in chosen[name]} for name in chosen}
    assert counts["kind"]["slack"] == 1
    assert counts["kind"]["gone-kind"] == 1
    assert counts["health"] == {
        "trouble": 0,
        "failing": 0,
        "retrying": 0,
        "paused": 1,
        "unused": 1,
        "ok": 0,
    }
    assert counts["state"] == {"delivering": 0, "paused": 1, "failing": 0}
    assert counts["proof"]["unproven"] == 1
    labels = [option.label for option in chosen["kind"]]
    assert labels == [*(kind.label for kind in kinds().values()), "unknown kind “gone-kind”"]


@pytest.mark.parametrize("name", ["health", "state", "kind", "proof"])
def test_a_filter_has_no_other_values(app, name):
    with pytest.raises(InvalidQuery, match=name):
        select_entries(listing.load(NOW), {name: "nonsense"})


@pytest.mark.parametrize(
    ("count", "number", "expected"),
    [
        (0, 1, (1, 0)),
        (50, 1, (1, 50)),
        (51, 1, (2, 50)),
        (51, 2, (2, 1)),
        (51, 3, (2, 0)),
        (1000, 20, (20, 50)),
    ],
)
def test_a_page_has_fifty_channels(count, number, expected):
    page = page_of(list(range(count)), number)
    assert (page.last, len(page.entries)) == expected


@pytest.mark.parametrize("text", ["0", "-1", "x", "1e3", "²", "1.5", "9" * 10, "9" * 5000])
def test_a_page_has_a_number(text):
    with pytest.raises(InvalidQuery):
        read_page({"page": text})


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "query", "shown"), [(10, "", False), (11, "", True), (3, "?health=ok", True)]
)
def test_a_list_that_is_seen_at_a_glance_has_no_filters(client, count, query, shown):
    fill(count)
    assert ('id="filters"' in client.get(f"/channels{query}").text) == shown


def test_the_page_shows_the_matching_channels_their_number_and_the_counts(client):
    fill(60)
    make("Broken", state="failing")
    page = client.get("/channels").text
    assert len(found(page)) == 50
    assert found(page)[0] == "Broken"
    assert "61 channels · 1 failing · Troubled first" in visible_text(page)
    assert options(page, "health")[1:4] == ["not getting through 1", "failing 1", "retrying 0"]
    assert options(page, "kind") == ["All", "Webhook (Uptrace JSON) 61"]
    second = client.get("/channels?page=2").text
    assert found(second) == [f"Channel {number:03}" for number in range(50, 61)]
    failing = client.get("/channels?health=failing").text
    assert found(failing) == ["Broken"]
    assert "1 of 61 channels" in visible_text(failing)
    assert '<option value="failing" selected>' in failing
    assert row_marks(failing, 61) == {
        "state": "failing",
        "proof": "unproven",
        "health": "failing",
    }


def test_the_banner_of_several_troubled_channels_leads_to_them(client):
    fill(20)
    make("Troubled", trouble_since=now_ms())
    make("Broken", state="failing")
    banner = re.search(r'<p id="channel-health".*?</p>', client.get("/account").text, re.DOTALL)[0]
    target = re.search('href="([^"]+)"', banner)[1]
    assert found(client.get(target).text) == ["Broken", "Troubled"]


def test_a_page_beyond_the_last_says_so_and_leads_back(client):
    fill(60)
    page = client.get("/channels?page=30&state=delivering").text
    assert "There is no page 30: the last one is page 2" in visible_text(page)
    back = re.search(r'<a href="([^"]+)">page 2</a>', page)[1].replace("&amp;", "&")
    assert len(found(client.get(back).text)) == 10


def test_a_search_without_result_leads_to_all(client):
    fill(11)
    page = client.get("/channels?q=nothing").text
    assert "No channel matches. Show all 11 channels" in visible_text(page)
    assert "0 of 11 channels · Clear filters" in visible_text(page)


@pytest.mark.parametrize(
    "query",
    ["health=x", "state=x", "kind=x", "proof=x", "sort=x", "page=x", "page=0", "health=%00%ff"],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_address_that_does_not_exist_is_a_plain_404(client, query, headers):
    response = client.get(f"/channels?{query}", headers=headers)
    assert response.status_code == 404
    assert re.search("There is no such|not the number of a page|cannot be sorted", response.text)


@pytest.mark.parametrize("q", ["t0ken", "services", "%00", "<script>", "a" * 5000, "\\", "😀"])
def test_a_search_reads_neither_the_path_of_a_url_nor_fails(client, q):
    create(client, name="Secret")
    response = client.get("/channels", query_string={"q": q})
    assert (response.status_code, found(response.text)) == (200, [])
    assert "<script>" not in response.text.split("<main")[1]


def test_only_the_channels_of_the_page_are_decrypted(client, monkeypatch):
    fill(120)
    read = []

    def record(channel, keyring):
        read.append(channel.id)
        return read_settings(channel, keyring)

    monkeypatch.setattr(views, "read_settings", record)
    client.get("/channels?page=3")
    assert len(read) == 20


def test_htmx_gets_the_list_and_the_counts_and_a_short_address(client):
    fill(11)
    make("Other")
    address = "/channels?q=other&health=&kind=&sort="
    response = client.get(address, headers=HTMX)
    assert response.headers["HX-Push-Url"] == "/channels?q=other"
    assert found(response.text) == ["Other"]
    assert response.text.strip().startswith('<div id="channels">')
    assert "1 of 12 channels" in visible_text(response.text)
    assert options(response.text, "state")[1] == "delivering 1"
    assert response.text.count("hx-swap-oob") == 5
    restored = client.get(address, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert restored.text.startswith("<!doctype")


def test_a_viewer_sees_and_filters_but_selects_nothing(client, viewer):
    ids = fill(12)
    page = viewer.get("/channels?q=channel").text
    assert len(found(page)) == 12
    assert 'type="checkbox"' not in page
    assert 'id="bulk"' not in page
    for path in ("", "/pause", "/resume", "/delete"):
        form = {"action": "delete", "channel": ids}
        assert viewer.post(f"/channels/bulk{path}", form).status_code == 403
    assert Channel.select().where(Channel.deleted_at.is_null()).count() == 12


def test_an_action_of_a_row_leads_back_to_the_same_page_of_the_list(client):
    ids = fill(12)
    headers = {"Referer": "http://localhost/channels?q=chan&state=delivering&page=1"}
    client.get("/account")
    for path, referrer, target in (
        ("pause", headers, "/channels?q=chan&state=delivering&page=1"),
        ("resume", headers, "/channels?q=chan&state=delivering&page=1"),
        ("pause", {"Referer": "http://localhost/channels?page=x"}, "/channels"),
        ("pause", {"Referer": "http://localhost/deliveries?state=held"}, "/channels"),
        ("pause", {}, "/channels"),
    ):
        response = client.post(f"/channels/{ids[0]}/{path}", headers=referrer)
        assert response.headers["Location"] == target


# --- actions on several ---------------------------------------------------------------------------


def confirm(client, action, channels=(), **form):
    """Return the page that asks, as visible text, and the ids that it would post."""
    response = client.post("/channels/bulk", {"action": action, "channel": list(channels), **form})
    assert response.status_code == 200, response.headers
    ids = re.findall(r'<input type="hidden" name="channel" value="(\d+)">', response.text)
    main = response.text.split('<section class="failure">')[1]
    return visible_text(main), list(map(int, ids))


def flash(client, response):
    """Return what the list says after an action."""
    assert response.status_code == 303, visible_text(response.text)
    page = client.get(response.headers["Location"]).text
    return visible_text(re.findall(r'<p class="notice (?:good|bad)">(.*?)</p>', page)[-1])


def states():
    rows = Channel.select().where(Channel.deleted_at.is_null()).order_by(Channel.id)
    return [row.state for row in rows]


def hold(to, openings, closings=0, first=100):
    for number in range(openings + closings):
        event = "closed" if number < closings else "open"
        create_delivery("held", to, create_alert(), first + number, event=event)


def test_ticked_channels_all_of_the_page_or_all_that_match_are_selected(client):
    ids = fill(60)
    other = make("Other")
    assert confirm(client, "pause", [ids[3], ids[1], ids[3]])[1] == [ids[1], ids[3]]
    shown = " ".join(map(str, ids[:50]))
    assert confirm(client, "pause", [ids[0]], all="shown", shown=shown)[1] == ids[:50]
    assert confirm(client, "pause", [other], all="matching", q="channel")[1] == ids
    assert confirm(client, "pause", all=["shown", "matching"], shown=shown)[1] == [*ids, other]
    assert confirm(client, "pause", [ids[0], 999, "x", "²", "9" * 40, ""])[1] == [ids[0]]


def test_what_is_asked_about_does_not_change_when_another_channel_matches(client):
    ids = fill(12)
    _text, asked = confirm(client, "delete", all="matching", q="channel")
    late = make("Channel that came later")
    client.post("/channels/bulk/delete", {"channel": asked, "q": "channel"})
    left = [row.id for row in Channel.listed()]
    assert (asked, left) == (ids, [late])


@pytest.mark.parametrize("form", [{}, {"channel": "999"}, {"all": "matching", "q": "nothing"}])
def test_without_a_selected_channel_nothing_happens(client, form):
    fill(12)
    response = client.post("/channels/bulk", {"action": "delete", "q": "chan", **form})
    message = "Nothing was changed: no channel is selected."
    assert flash(client, response) == message
    assert response.headers["Location"] == f"/channels?q={form.get('q', 'chan')}"


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("", {"action": "explode"}, 400),
        ("", {}, 400),
        ("", {"action": "pause", "all": "matching", "kind": "x"}, 404),
        ("", {"action": "pause", "sort": "x"}, 404),
        ("/pause", {"waiting": "burn"}, 303),
        ("/resume", {"held": "burn"}, 303),
    ],
)
def test_a_form_that_no_page_has_changes_nothing(client, path, form, status):
    one = make(state="paused")
    two = make("Two")
    response = client.post(f"/channels/bulk{path}", {"channel": [one, two], **form})
    assert response.status_code == status
    assert states() == ["paused", "delivering"]


def test_the_question_of_pause_says_what_is_paused_already(client):
    ids = [make("A"), make("B", state="paused"), make("C", state="paused", drops=1)]
    ids.append(make("<i>D", state="failing"))
    text, asked = confirm(client, "pause", ids)
    assert asked == [ids[3], *ids[:3]]
    for sentence in (
        "Pause 4 channels?",
        "1 channel is delivering.",
        "1 channel is failing.",
        "2 channels are paused: 1 holds alerts, 1 drops them.",
        "Channels that are paused in the way you choose stay as they are.",
        "<i>D failing A delivering B paused C paused",
        "Hold them until you resume",
        "Drop them",
    ):
        assert sentence in text


@pytest.mark.parametrize(
    ("waiting", "message", "drops"),
    [
        ("hold", "3 channels are paused. 1 channel was paused like that already.", [0, 0, 0, 0]),
        (
            "drop",
            "3 channels are paused. 1 channel was paused like that already. "
            "2 messages that waited were dropped.",
            [1, 1, 1, 1],
        ),
    ],
)
def test_several_channels_are_paused(client, monkeypatch, waiting, message, drops):
    notified = []
    monkeypatch.setattr("web.channels.bulk.wakeup.notify", notified.append)
    ids = [make("A"), make("B", state="paused"), make("C", state="paused", drops=1)]
    ids.append(make("D", state="failing"))
    create_delivery("pending", ids[0], number=1)
    create_delivery("held", ids[3], number=2)
    response = client.post("/channels/bulk/pause", {"channel": ids, "waiting": waiting})
    assert flash(client, response) == message
    assert states() == ["paused"] * 4
    assert [row.drops for row in Channel.select().order_by(Channel.id)] == drops
    after = "dropped" if waiting == "drop" else "held"
    assert {row.state for row in Delivery.select()} == {after}
    assert len(notified) == 1


def test_the_question_of_resume_counts_what_is_held(client):
    ids = [make("A", state="paused"), make("B", state="failing"), make("C"), make("D")]
    pager = make("Pager", state="paused", kind="pagerduty", drops=1)
    hold(ids[0], 3, 1)
    hold(ids[1], 2, 0, first=200)
    hold(pager, 5, 0, first=300)
    text, _asked = confirm(client, "resume", [*ids, pager])
    for sentence in (
        "Resume 5 channels?",
        "They hold 11 messages.",
        "2 channels that deliver stay as they are.",
        "Alerts that were dropped are sent when their source sends them again",
        "Only what is still open: 10",
        "1 resolution is discarded: the receivers may go on showing that alert as open.",
        "Everything: 11 (10 openings, 1 resolution)",
        "One digest for each channel: 6 alerts in 2 messages",
        "1 channel stays as it is: its receiver keeps an incident for each alert.",
        "Nothing: discard 11",
    ):
        assert sentence in text


@pytest.mark.parametrize(("ids", "offered"), [(2, False), (1, True)])
def test_the_question_of_resume_without_held_messages_is_one_button(client, ids, offered):
    here = [make("A"), make("B", state="delivering" if ids == 2 else "paused")]
    text, _asked = confirm(client, "resume", here)
    assert "messages" not in text
    assert text.endswith("Resume Cancel") == offered


@pytest.mark.parametrize(
    ("held", "message", "left"),
    [
        ("all", "2 channels deliver again. 1 channel was not paused.", "pending"),
        ("", "2 channels deliver again. 1 channel was not paused.", "pending"),
        (
            "none",
            "2 channels deliver again. 1 channel was not paused. 3 held messages are discarded.",
            "given_up",
        ),
        ("digest", "2 channels deliver again. 1 channel was not paused.", "pending"),
    ],
)
def test_several_channels_are_resumed(client, held, message, left):
    ids = [make("A", state="paused"), make("B", state="failing"), make("C")]
    hold(ids[0], 1, 1)
    hold(ids[1], 1, 0, first=200)
    response = client.post("/channels/bulk/resume", {"channel": ids, "held": held})
    assert flash(client, response) == message
    assert states() == ["delivering"] * 3
    assert {row.state for row in Delivery.select()} == {left}
    digests = {(row.channel_id, row.group_key) for row in Delivery.select() if row.group_key}
    assert len(digests) == (2 if held == "digest" else 0)


def test_a_digest_leaves_channels_that_keep_incidents_and_says_why(client):
    ids = [make("A", state="paused"), make("Pager", state="paused", kind="pagerduty")]
    ids.append(make("Idle pager", state="paused", kind="pagerduty"))
    hold(ids[0], 2)
    hold(ids[1], 2, first=200)
    response = client.post("/channels/bulk/resume", {"channel": ids, "held": "digest", "q": "a"})
    assert response.status_code == 200
    text = visible_text(response.text)
    assert "2 channels deliver again. 1 channel was not changed." in text
    assert "Pager : PagerDuty keeps an incident for each alert, so it gets no digest." in text
    assert 'href="/channels?q=a"' in response.text
    assert states() == ["delivering", "paused", "delivering"]


def test_the_question_of_delete_names_every_channel(client):
    ids = fill(30)
    hold(ids[0], 2)
    Channel.update(state="paused").where(Channel.id == ids[0]).execute()
    text, _asked = confirm(client, "delete", all="matching")
    assert "Delete 30 channels?" in text
    assert all(f"Channel {number:03}" in text for number in range(1, 31))
    assert "They hold 2 messages." in text
    assert "This cannot be undone." in text


def test_several_channels_are_deleted(client):
    ids = fill(3)
    keep = make("Keep", fallback_id=ids[0])
    create_delivery("pending", ids[0])
    response = client.post("/channels/bulk/delete", {"channel": ids, "state": "delivering"})
    assert flash(client, response) == "3 channels are deleted."
    assert response.headers["Location"] == "/channels?state=delivering"
    assert [(row.id, row.fallback_id) for row in Channel.select()] == [(keep, None)]
    assert Delivery.select().count() == 0


@pytest.mark.parametrize("action", ["pause", "resume", "delete"])
def test_a_channel_that_was_deleted_in_the_meantime_is_reported(client, action):
    ids = [make("A", state="failing"), make("B", state="failing")]
    outbox.delete_channel(ids[0], NOW)
    response = client.post(f"/channels/bulk/{action}", {"channel": ids})
    text = visible_text(response.text)
    assert f"The channel with the number {ids[0]} : It was deleted in the meantime." in text
    assert "1 channel was not changed." in text
    assert states() == {"pause": ["paused"], "resume": ["delivering"], "delete": []}[action]


@pytest.mark.parametrize(
    ("action", "function"), [("pause", "pause"), ("resume", "resume"), ("delete", "mark_deleted")]
)
def test_each_channel_has_its_transaction_and_a_failure_of_the_database_ends_the_run(
    client, monkeypatch, action, function
):
    ids = [make(f"Channel {number}", state="failing") for number in range(5)]
    original = getattr(outbox, function)
    calls = []

    def fail_at_third(channel_id, *arguments):
        assert not db.in_transaction()
        calls.append(channel_id)
        if len(calls) == 3:
            raise OperationalError("database is locked")
        return original(channel_id, *arguments)

    monkeypatch.setattr(outbox, function, fail_at_third)
    response = client.post(f"/channels/bulk/{action}", {"channel": ids})
    assert (response.status_code, calls) == (200, ids[:3])
    text = visible_text(response.text)
    assert "2 channels" in text
    assert "3 channels were not changed." in text
    assert "Channel 2 : " in text
    assert "After that, 2 channels were not tried." in text
    assert states()[-3:] == ["failing"] * 3


def test_a_thousand_channels_fit_into_the_forms(client):
    fill(1000)
    _text, ids = confirm(client, "pause", all="matching")
    response = client.post("/channels/bulk/pause", {"channel": ids})
    assert flash(client, response) == "1,000 channels are paused."


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def visit(chromium, own_live):
    """Open the list of a Tocsin with 60 channels of this file, in a new context."""
    if not own_live.query("SELECT 1 FROM channel"):
        one = own_live.create_channel("https://hooks.example.com/x", name="Alpha 00")
        for number in range(1, 60):
            own_live.query(
                "INSERT INTO channel (name, kind, state, version, origin, settings, sealed, "
                "config_hash, proof, proof_hash, created_at, updated_at, matchers, retries, "
                "repeat_minutes, group_by, group_wait, separate, drops, trouble, failures) "
                "SELECT :name, kind, state, 1, origin, settings, sealed, '', proof, '', 1, 1, "
                "'', '', 0, '', 0, 0, 0, '', 0 FROM channel WHERE id = :one",
                name=f"{'Alpha' if number < 10 else 'Beta'} {number:02}",
                one=one,
            )
    own_live.query("UPDATE channel SET state = 'delivering', drops = 0")
    pages = []

    def visit(path="/channels", **settings):
        page = open_page(chromium, own_live, **settings)
        pages.append(page)
        page.goto(own_live.url + path)
        return page

    yield visit
    for page in pages:
        page.context.close()
        assert (page.complaints, page.foreign) == ([], [])


def paused(own_live):
    rows = own_live.query("SELECT name FROM channel WHERE state = 'paused' ORDER BY name")
    return [name for (name,) in rows]


@pytest.mark.browser
def test_the_list_follows_the_search_while_it_is_typed(visit):
    page = visit()
    page.evaluate("window.__same = true")
    page.locator("#q").press_sequentially("alpha")
    expect(page.locator("#found")).to_contain_text("10 of 60 channels")
    expect(page.locator("#channels li")).to_have_count(10)
    expect(page).to_have_url(re.compile(r"/channels\?q=alpha$"))
    expect(page.locator("#q")).to_be_focused()
    expect(page.locator("#state option").nth(1)).to_have_text("delivering 10")
    page.select_option("#health", "failing")
    expect(page.locator("#channels")).to_contain_text("No channel matches.")
    expect(page.locator("#health")).to_have_value("failing")
    expect(page.locator("#kind")).to_have_value("")
    page.locator("#q").press_sequentially(" 0")
    expect(page).to_have_url(re.compile(r"q=alpha\+0&health=failing$"))
    assert page.evaluate("window.__same")
    page.locator("#found").get_by_text("Clear filters").click()
    expect(page.locator("#channels li")).to_have_count(50)
    page.go_back()
    expect(page.locator("#q")).to_have_value("alpha 0")
    expect(page.locator("#health")).to_have_value("failing")


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_the_keyboard_alone_selects_and_pauses(visit, own_live, javascript):
    page = visit(javascript=javascript)
    bar = page.locator("#bulk")
    expect(bar).to_be_hidden()
    for name in ("Alpha 00", "Alpha 01"):
        page.get_by_label(f"Select {name}").focus()
        page.keyboard.press("Space")
    expect(bar).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the actions").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(bar.get_by_role("button", name="Pause …")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pause 2 channels?")).to_be_visible()
    page.get_by_role("button", name="Hold them until you resume").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("2 channels are paused.")
    assert paused(own_live) == ["Alpha 00", "Alpha 01"]


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize(("label", "count"), [("Select all 50 shown", 50), ("Select all 60", 60)])
def test_all_shown_or_all_that_match_are_selected_with_one_box(visit, javascript, label, count):
    page = visit(javascript=javascript)
    page.get_by_label(label, exact=True).check()
    boxes = page.locator("#channels [name=channel]")
    assert boxes.first.is_checked() == javascript
    page.locator("#bulk").get_by_role("button", name="Resume …").click()
    expect(page.get_by_role("heading", name=f"Resume {count} channels?")).to_be_visible()


@pytest.mark.browser
def test_a_box_that_is_unticked_unticks_the_one_that_selects_all(visit):
    page = visit()
    page.locator("#all-shown").check()
    page.locator("#all-matching").check()
    expect(page.locator("#all-shown")).not_to_be_checked()
    page.get_by_label("Select Alpha 03").uncheck()
    expect(page.locator("#all-matching")).not_to_be_checked()
    page.locator("#bulk").get_by_role("button", name="Delete …").click()
    expect(page.get_by_role("heading", name="Delete 49 channels?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("#channels li")).to_have_count(50)


@pytest.mark.browser
def test_the_filters_work_without_javascript(visit):
    page = visit(javascript=False)
    page.fill("#q", "ALPHA")
    page.select_option("#state", "delivering")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#channels li")).to_have_count(10)
    expect(page.locator("#state")).to_have_value("delivering")
    page.get_by_role("link", name="Clear filters").click()
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#channels li")).to_have_count(10)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_list_and_its_questions_are_accessible_at_every_width(visit, scheme, width):
    page = visit(scheme=scheme, width=width)

    def check():
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.get_by_label("Select Alpha 02").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    check()
    for action in ("Pause …", "Resume …", "Delete …"):
        page.locator("#bulk").get_by_role("button", name=action).click()
        check()
        page.get_by_role("link", name="Cancel").click()
        page.get_by_label("Select Alpha 02").check()
