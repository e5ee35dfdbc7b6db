"""The history of channels: versions, what they changed, restoring them, and failing attempts."""

import html
import re
import shutil

import pytest
from attempts import answered, claim_deliveries, result_of
from browsing import open_page, violations
from channels import create, fields_in, form_of, message_at, stored_form
from databases import only_sqlite
from markup import token_in
from playhouse.migrations import Runner
from playwright.sync_api import expect
from receiver import reply
from test_api import Script

import database
from clock import DAY, MINUTE, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.kinds import kinds
from delivery.outbox import settle, store
from delivery.outbox.retention import HISTORY_DAYS
from delivery.outcome import Reason, Verdict
from delivery.worker import Worker
from models import Attempt, Channel, ChannelState, ChannelVersion, Delivery, DeliveryState, db
from models.history import CONFIGURATION, MAX_VERSIONS
from web.channels.comparison import MAX_SHOWN
from web.channels.health import describe_health

URL = "https://hooks.example.com/services/t0ken"
OTHER_URL = "https://hooks.example.com/services/an0ther"
NOW = 1_790_000_000_000
GOOD = answered(Verdict.DELIVERED, Reason.OK, 200)
RETRY = answered(Verdict.RETRY, Reason.HTTP_STATUS, 503)


@pytest.fixture(autouse=True)
def _database(app):
    db.connect(reuse_if_open=True)


def edit(client, channel_id, **fields):
    """Save a change of a channel."""
    form = {**stored_form(client, channel_id), **fields}
    response = client.post(f"/channels/{channel_id}", form)
    assert response.status_code == 303, response.text


def versions(channel_id) -> list[tuple]:
    """Return (number, event, author) of each version, oldest first."""
    rows = ChannelVersion.of(Channel.get_by_id(channel_id))
    return [(row.version, row.event, row.made_by) for row in rows][::-1]


def history(client, channel_id) -> str:
    response = client.get(f"/channels/{channel_id}/history")
    assert response.status_code == 200
    return response.text


def changes(page, number) -> list[tuple[str, str, str]]:
    """Return (label, before, after) of the fields that a version changed."""
    entry = page.partition(f'id="version-{number}"')[2].partition("<li id=")[0]
    rows = re.findall(r'<tr data-field="([^"]*)">.*?<pre>(.*?)</pre>.*?<pre>(.*?)</pre>', entry)
    return [tuple(map(html.unescape, row)) for row in rows]


def restore(client, channel_id, number, version=None):
    if version is None:
        version = Channel.get_by_id(channel_id).version
    path = f"/channels/{channel_id}/history/{number}/restore"
    return client.post(path, {"version": str(version)})


def notice_after(client, response) -> str:
    """Return the latest notice of the page that a response redirects to."""
    assert response.status_code == 303, response.text
    page = client.get(response.headers["Location"]).text
    return html.unescape(re.findall(r'<p class="notice (?:good|bad)">(.*?)</p>', page)[-1])


# --- versions ---


def test_every_way_of_saving_a_channel_makes_a_version(client, app):
    channel_id = create(client, URL)
    edit(client, channel_id, timeout="7")
    restore(client, channel_id, 1)
    assert versions(channel_id) == [
        (1, "created", "ada"),
        (2, "saved", "ada"),
        (3, "restored from version 1", "ada"),
    ]
    client.post(f"/channels/{channel_id}/duplicate")
    copy = Channel.get(Channel.name == "Team db (copy)")
    event = f"duplicated from “Team db” (channel {channel_id})"
    assert versions(copy.id) == [(1, event, "ada")]
    script = Script(app, "channels:read", "channels:write")
    made = script.create(name="By a script")
    assert script.request("PUT", f"/{made['id']}", made).status_code == 200
    author = "token “channels:read channels:write”"
    assert versions(made["id"]) == [(1, "created", author), (2, "saved", author)]


def test_a_version_is_the_row_that_the_save_stored_and_actions_make_none(client):
    channel_id = create(client, URL, auth="bearer", auth_secret="s3cret")
    client.post(f"/channels/{channel_id}/pause")
    client.post(f"/channels/{channel_id}/resume")
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    row = Channel.get_by_id(channel_id)
    [version] = ChannelVersion.of(row)
    assert [getattr(version, name) for name in CONFIGURATION] == [
        getattr(row, name) for name in CONFIGURATION
    ]


def test_a_version_has_every_column_that_a_save_writes(client):
    """A new column of a channel is either of its configuration, or named here."""
    others = {"id", "state", "version", "proof", "proof_hash", "proven_at", "created_at"}
    others |= {"updated_at", "probe_at", "deleted_at", "drops", "attempted_at", "trouble_since"}
    others |= {"trouble", "trouble_version", "failures", "drill_at", "drill_failures"}
    others |= {"provisioned"}
    assert set(Channel._meta.columns) - others == set(CONFIGURATION)
    assert set(CONFIGURATION) <= set(ChannelVersion._meta.columns)


def test_a_refused_save_makes_no_version(client):
    channel_id = create(client, URL)
    form = stored_form(client, channel_id)
    assert client.post(f"/channels/{channel_id}", {**form, "url": "nonsense"}).status_code == 422
    assert client.post(f"/channels/{channel_id}", {**form, "version": "9"}).status_code == 409
    assert len(versions(channel_id)) == 1


def test_the_newest_versions_stay(client):
    channel_id = create(client, URL)
    for number in range(2, MAX_VERSIONS + 4):
        Channel.update(version=number).where(Channel.id == channel_id).execute()
        ChannelVersion.store(channel_id, "saved", "ada", NOW)
    stored = versions(channel_id)
    assert len(stored) == MAX_VERSIONS
    assert stored[-1][0] == MAX_VERSIONS + 3
    assert history(client, channel_id).count("<li id=") == MAX_VERSIONS


def test_a_version_goes_a_year_after_it_was_replaced_and_the_current_one_stays(client):
    channel_id = create(client, URL)
    for number in (2, 3, 4):
        edit(client, channel_id, timeout=str(number))
    now = now_ms()
    ages = {1: 900, 2: 800, 3: HISTORY_DAYS + 1, 4: HISTORY_DAYS - 1}
    for number, days in ages.items():
        row = ChannelVersion.version == number
        ChannelVersion.update(at=now - days * DAY).where(row).execute()
    list(outbox.prune(now, 30, 1000))
    assert [number for number, *_ in versions(channel_id)] == [3, 4]
    list(outbox.prune(now + 9 * DAY, 30, 1000))
    assert [number for number, *_ in versions(channel_id)] == [4]
    list(outbox.prune(now + 9999 * DAY, 30, 1000))
    assert [number for number, *_ in versions(channel_id)] == [4]
    assert "No earlier version is kept" in history(client, channel_id)


def test_a_deleted_channel_leaves_no_version_with_its_secrets(client, monkeypatch):
    monkeypatch.setattr("delivery.outbox.deletion.MAX_SLICES_AT_ONCE", 0)
    channel_id = create(client, URL)
    other = create(client, URL, name="Other")
    client.post(f"/channels/{channel_id}/delete")
    assert [row.channel_id for row in ChannelVersion.select()] == [other]


def test_the_older_versions_can_be_deleted_with_their_secrets(client):
    channel_id = create(client, URL)
    edit(client, channel_id, url=OTHER_URL)
    response = client.post(f"/channels/{channel_id}/history/delete")
    assert "deleted" in notice_after(client, response)
    assert [number for number, *_ in versions(channel_id)] == [2]
    assert "Delete older versions" not in history(client, channel_id)


@only_sqlite
def test_a_channel_of_an_earlier_version_has_its_configuration_as_the_first_version(tmp_path):
    folder = tmp_path / "migrations"
    folder.mkdir()
    for file in database.MIGRATIONS.glob("000[1-8]*.py"):
        shutil.copy(file, folder)
    path = tmp_path / "old.db"
    path.touch()
    Runner(database.open_database(path), str(folder)).up()
    texts = {"name": "Old", "kind": "slack", "origin": "https://x", "settings": '{"a": 1}'}
    texts |= {"sealed": "gAAAA", "config_hash": "h", "state": "paused", "proof": "unproven"}
    columns = {**texts, "proof_hash": "", "version": 5, "created_at": 1, "updated_at": NOW}
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT INTO channel ({', '.join(columns)}) VALUES ({marks})"
    db.execute_sql(insert, tuple(columns.values()))
    deleted = {**columns, "name": "\n2", "deleted_at": 1}
    insert = f"INSERT INTO channel ({', '.join(deleted)}) VALUES ({marks}, ?)"
    db.execute_sql(insert, tuple(deleted.values()))
    db.close()
    database.prepare(path)
    db.connect()
    [row] = ChannelVersion.select()
    assert (row.version, row.at, row.made_by, row.event) == (5, NOW, "", "before the history began")
    assert [getattr(row, name) for name in CONFIGURATION] == [
        getattr(Channel.get_by_id(1), name) for name in CONFIGURATION
    ]
    db.close()


# --- the page ---


def test_the_page_shows_what_each_version_changed_newest_first(client):
    channel_id = create(client, URL, headers_0_name="X-Team", headers_0_value="db")
    edit(client, channel_id, name="Ops", timeout="7", verify_tls="0")
    edit(client, channel_id)
    rows = {"headers-0-value": "web", "headers-1-name": "X-Room", "headers-1-value": "4"}
    edit(client, channel_id, **rows, group_by="team", signing="github", signing_secret="s3cret")
    page = history(client, channel_id)
    assert re.findall(r'id="version-(\d+)" data-version="\d+" data-current="(\w+)"', page) == [
        ("4", "yes"),
        ("3", "no"),
        ("2", "no"),
        ("1", "no"),
    ]
    assert changes(page, 2) == [
        ("Name", "Team db", "Ops"),
        ("Timeout (seconds)", "5", "7"),
        ("Verify the receiver's certificate", "yes", "no"),
    ]
    assert "No field changed." in page.partition('id="version-3"')[2].partition("<li id=")[0]
    assert changes(page, 4) == [
        ("Group by", "(empty)", "team"),
        ("Group wait (seconds)", "(empty)", "30"),
        ("Signature", "None", "GitHub style (X-Hub-Signature-256)"),
        ("Signing secret", "(empty)", "(secret)"),
        ("Header X-Team", "db", "web"),
        ("Header X-Room", "(empty)", "4"),
    ]
    assert "created</bdi> by <bdi>ada" in page
    assert "The first version." in page


def test_the_page_shows_no_secret_and_says_where_one_changed(client, viewer):
    secrets = {
        "auth": "bearer",
        "auth_secret": "s3cret-one",
        "headers_0_name": "X-Api-Key",
        "headers_0_value": "s3cret-row",
        "kind": "telegram",
        "options-bot_token": "1:s3cret-bot",
        "options-chat_id": "5",
    }
    channel_id = create(client, URL, **secrets)
    changed = {"auth_secret": "s3cret-two", "options-bot_token": "2:s3cret-bot"}
    edit(client, channel_id, **changed, **{"headers-0-value": "s3cret-new"}, url=OTHER_URL)
    for page in (history(client, channel_id), history(viewer, channel_id)):
        assert "s3cret" not in page
        assert "t0ken" not in page
        assert "an0ther" not in page
        masked = "https://hooks.example.com/…"
        assert changes(page, 2) == [
            ("URL", masked, f"{masked} changed (the masked part)"),
            ("Password, token or key", "(secret)", "changed (not shown)"),
            ("Bot token", "(secret)", "changed (not shown)"),
            ("Header X-Api-Key", "(secret)", "changed (not shown)"),
        ]


def test_a_header_that_became_a_secret_is_hidden_in_the_versions_before(client):
    channel_id = create(client, URL, headers_0_name="X-Room", headers_0_value="s3cret-1")
    edit(client, channel_id, **{"headers-0-value": "s3cret-2"})
    edit(client, channel_id, **{"headers-0-secret": "1"})
    page = history(client, channel_id)
    assert "s3cret" not in page
    changed = [("Header X-Room", "(secret)", "changed (not shown)")]
    assert [changes(page, number) for number in (2, 3)] == [changed, changed]
    late = {**stored_form(client, channel_id), "version": "1", "headers-0-secret": ""}
    late |= {"headers-0-name": "X-Room", "headers-0-value": "s3cret-3"}
    response = client.post(f"/channels/{channel_id}", late)
    assert response.status_code == 409
    assert response.text.count("s3cret-3") == 1  # in its own field


def test_long_values_are_cut_and_a_change_behind_the_cut_is_named(client):
    texts = [f'["{"x" * 3000}{letter}"]' for letter in "ab"]
    channel_id = create(client, URL, payload=texts[0])
    edit(client, channel_id, payload=texts[1])
    [(label, before, after)] = changes(history(client, channel_id), 2)
    assert (label, after) == ("Payload", f"{before} changed (a part that is not shown)")
    assert len(before) <= MAX_SHOWN


def test_the_options_of_two_kinds_have_their_labels(client):
    channel_id = create(client, "https://ntfy.sh", kind="ntfy", **{"options-topic": "abc"})
    edit(client, channel_id, kind="webhook", url=URL)
    labels = [label for label, *_ in changes(history(client, channel_id), 2)]
    assert labels == ["Kind", "URL", "Topic"]


def test_a_version_that_cannot_be_decrypted_shows_as_such_and_breaks_nothing(client):
    channel_id = create(client, URL)
    for seconds in (6, 7, 8):
        edit(client, channel_id, timeout=str(seconds))
    damaged = (ChannelVersion.channel == channel_id) & (ChannelVersion.version == 2)
    ChannelVersion.update(sealed="damaged", settings="[").where(damaged).execute()
    page = history(client, channel_id)
    assert "This version cannot be read." in page
    assert [len(changes(page, number)) for number in (4, 3, 2, 1)] == [1, 0, 0, 0]
    assert "history/2/restore" not in page
    message = notice_after(client, restore(client, channel_id, 2))
    assert message.startswith("Version 2 cannot be restored. ")
    assert Channel.get_by_id(channel_id).version == 4


def test_a_viewer_sees_the_history_and_restores_nothing(client, viewer):
    channel_id = create(client, URL)
    edit(client, channel_id, timeout="7")
    page = history(viewer, channel_id)
    assert "Version 2" in page
    assert "Restore" not in page
    assert restore(viewer, channel_id, 1).status_code == 403
    assert viewer.post(f"/channels/{channel_id}/history/delete").status_code == 403
    assert len(versions(channel_id)) == 2


def test_the_editor_links_to_the_history_and_unknown_ones_are_404(client):
    channel_id = create(client, URL)
    assert (
        f'href="/channels/{channel_id}/history"' in client.get(f"/channels/{channel_id}/edit").text
    )
    assert client.get("/channels/99/history").status_code == 404
    assert restore(client, channel_id, 9).status_code == 404
    assert client.post("/channels/99/history/1/restore").status_code == 404


# --- restoring ---


def test_a_restored_version_sends_with_its_own_url_and_secrets(client, receiver):
    rows = {"headers_0_name": "X-Api-Key", "headers_0_value": "s3cret-row"}
    first = {"auth": "bearer", "auth_secret": "s3cret-one", "payload": '{ "a":  1 }', **rows}
    channel_id = create(client, receiver.url, **first)
    hash_of_first = Channel.get_by_id(channel_id).config_hash
    other = {"url": OTHER_URL, "auth": "none", "payload": "", "headers-0-name": ""}
    edit(client, channel_id, **other)
    response = restore(client, channel_id, 1)
    assert notice_after(client, response) == "Version 1 is restored."
    assert Channel.get_by_id(channel_id).config_hash == hash_of_first
    assert stored_form(client, channel_id)["payload"] == '{ "a":  1 }'
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    [request] = receiver.requests
    assert request.headers["Authorization"] == "Bearer s3cret-one"
    assert request.headers["X-Api-Key"] == "s3cret-row"


OPTIONAL = {
    "matchers": 'team="db"',
    "group_by": "team",
    "group_wait": "5",
    "separate": "1",
    "retries": "10s, 2m",
    "repeat": "60",
    "drill": "7",
    "timeout": "7",
    "verify_tls": "0",
    "method": "PUT",
    "kind": "custom",
    "body": '{"text": "{{ alert.name }}"}',
    "signing": "standard",
    "signing_secret": "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=",
    "signing_secret_old": "whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0LQ==",
}


@pytest.mark.parametrize("fields", [{}, OPTIONAL], ids=["least", "most"])
def test_every_field_comes_back_whatever_the_current_version_has(client, fields):
    other = OPTIONAL if not fields else {}
    fallback = create(client, URL, name="Phone")
    channel_id = create(client, URL, **fields, fallback=str(fallback) if fields else "")
    row = ChannelVersion.get(ChannelVersion.channel == channel_id)
    cleared = ("matchers", "group_by", "group_wait", "retries", "repeat", "drill", "body")
    blank = dict.fromkeys(cleared, "")
    late = {**form_of(URL, **{**blank, "separate": "0", **other}), "version": "1"}
    late |= {"signing_secret-remove": "1", "signing_secret_old-remove": "1"}
    assert client.post(f"/channels/{channel_id}", late).status_code == 303
    assert restore(client, channel_id, 1).status_code == 303
    restored = Channel.get_by_id(channel_id)
    for name in set(CONFIGURATION) - {"sealed"}:
        assert getattr(restored, name) == getattr(row, name), name


def test_a_restored_version_has_the_effects_of_a_save(client):
    channel_id = create(client, URL)
    edit(client, channel_id, url="https://gone.example.com/x")
    store([ReceivedAlert("k", Alert.from_json({"name": "Disk", "status": "open"}))], now_ms())
    Delivery.update(state=DeliveryState.HELD).execute()
    Channel.update(state=ChannelState.FAILING).where(Channel.id == channel_id).execute()
    restore(client, channel_id, 1)
    assert Channel.get_by_id(channel_id).state == ChannelState.DELIVERING
    delivery = Delivery.get()
    assert delivery.state == DeliveryState.PENDING
    Delivery.update(due_at=now_ms() + DAY).execute()
    restore(client, channel_id, 2)
    assert Delivery.get().due_at <= now_ms()


def test_restoring_what_the_channel_has_already_changes_nothing(client):
    channel_id = create(client, URL)
    edit(client, channel_id, timeout="7")
    edit(client, channel_id, timeout="5")
    message = notice_after(client, restore(client, channel_id, 1))
    assert message == "Nothing was changed: version 1 is the same as the current version."
    assert Channel.get_by_id(channel_id).version == 3


@pytest.mark.parametrize("version", ["", "1", "2", "abc"])
def test_a_version_is_not_restored_if_somebody_saved_after_the_page_was_opened(client, version):
    channel_id = create(client, URL, auth="bearer", auth_secret="s3cret-one")
    for seconds in (7, 8):
        edit(client, channel_id, timeout=str(seconds))
    response = restore(client, channel_id, 1, version)
    assert response.status_code == 409
    assert "Nothing was restored." in response.text
    assert "Version 3 was saved by <bdi>ada</bdi>" in response.text
    assert "s3cret" not in response.text
    assert Channel.get_by_id(channel_id).version == 3
    form = fields_in(response.text)
    assert (form["timeout"], form["version"]) == ("5", "3")
    assert client.post(f"/channels/{channel_id}", form).status_code == 303


def test_a_version_whose_name_or_fallback_is_gone_says_what_to_change(client):
    fallback = create(client, URL, name="Phone")
    channel_id = create(client, URL, name="Ops", fallback=str(fallback))
    edit(client, channel_id, name="Ops 2", fallback="")
    client.post(f"/channels/{fallback}/delete")
    create(client, URL, name="Ops")
    page = history(client, channel_id)
    assert ("Fallback channel", "(a deleted channel)", "None") in changes(page, 2)
    response = restore(client, channel_id, 1)
    assert response.status_code == 422
    assert "Version 1 cannot be restored as it was." in response.text
    assert "already taken" in message_at(response.text, "name")
    assert "There is no such channel." in message_at(response.text, "fallback")
    form = {**fields_in(response.text), "name": "Ops 3", "fallback": ""}
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    assert versions(channel_id)[-1][1] == "saved"


def test_a_version_that_would_make_a_circle_of_fallbacks_is_not_restored(client):
    first = create(client, URL, name="First")
    second = create(client, URL, name="Second", fallback=str(first))
    edit(client, second, fallback="")
    edit(client, first, fallback=str(second))
    response = restore(client, second, 1)
    assert response.status_code == 422
    assert "circle" in message_at(response.text, "fallback")


def test_a_version_of_a_kind_that_there_is_no_longer_is_not_restored(client):
    channel_id = create(client, URL)
    edit(client, channel_id, timeout="7")
    ChannelVersion.update(kind="carrier pigeon").where(ChannelVersion.version == 1).execute()
    kind = ("Kind", "carrier pigeon", kinds()["webhook"].label)
    assert kind in changes(history(client, channel_id), 2)
    response = restore(client, channel_id, 1)
    assert response.status_code == 422
    assert message_at(response.text, "kind") == "Choose one of the listed values."


def test_a_version_repairs_a_channel_that_cannot_be_decrypted(client):
    channel_id = create(client, URL)
    Channel.update(sealed="damaged").where(Channel.id == channel_id).execute()
    assert notice_after(client, restore(client, channel_id, 1)) == "Version 1 is restored."
    assert stored_form(client, channel_id)["url"] == URL


def test_a_conflict_says_who_saved_the_newer_version(client):
    channel_id = create(client, URL)
    stale = stored_form(client, channel_id)
    edit(client, channel_id, timeout="7")
    response = client.post(f"/channels/{channel_id}", {**stale, "timeout": "8"})
    assert response.status_code == 409
    assert "Version 2 was saved by <bdi>ada</bdi>" in response.text
    assert response.text.count(f'href="/channels/{channel_id}/history"') == 2
    ChannelVersion.delete().execute()  # a channel of an earlier Tocsin
    assert client.post(f"/channels/{channel_id}", {**stale, "timeout": "8"}).status_code == 409
    assert "No version of this channel is kept." in history(client, channel_id)


# --- attempts ---


def test_every_attempt_names_the_version_that_made_it(client, config, receiver):
    channel_id = create(client, receiver.url)
    edit(client, channel_id, timeout="7")
    worker = Worker(config)
    worker.begin()
    store([ReceivedAlert("k", Alert.from_json({"name": "Disk", "status": "open"}))], now_ms())
    for _ in range(3):
        worker.run_once(0.1)
    saved = stored_form(client, channel_id)
    client.post(f"/channels/{channel_id}/test", saved)
    client.post(f"/channels/{channel_id}/test", {**saved, "timeout": "9"})
    client.post("/channels/new/test", form_of(receiver.url, name="New"))
    rows = Attempt.select().order_by(Attempt.id)
    assert [(row.purpose, row.version) for row in rows] == [
        ("delivery", 2),
        ("test", 2),
        ("test", None),
        ("test", None),
    ]
    assert "· version 2" in client.get(f"/channels/{channel_id}/edit").text


def attempt(outcome, now, version, config_hash, key="k"):
    """Let a version of the channel, of this configuration, make an attempt."""
    row = Channel.get()
    if row.version != version:
        Channel.update(version=version, config_hash=config_hash).execute()
        ChannelVersion.store(row.id, "saved", f"author of {version}", now - MINUTE)
    store([ReceivedAlert(key, Alert.from_json({"name": "Disk", "status": "open"}))], now)
    [delivery] = claim_deliveries(now, max_count=1)
    state = DeliveryState.DELIVERED if outcome.good else DeliveryState.FAILED
    result = result_of(
        delivery, outcome, now, config_hash=config_hash, version=version, state=state
    )
    settle([result], now)


SUSPECTS = {
    "the edit broke it": ([(1, "a", GOOD), (2, "b", RETRY)], 2),
    "and a later edit did not repair it": ([(1, "a", GOOD), (2, "b", RETRY), (3, "c", RETRY)], 2),
    "it never worked": ([(1, "a", RETRY)], 1),
    "a new name is no reason": ([(1, "a", GOOD), (2, "b", RETRY), (3, "b", RETRY)], 2),
    "the name was changed before it failed": ([(1, "a", GOOD), (2, "b", None), (3, "b", RETRY)], 2),
    "the receiver broke": ([(1, "a", GOOD), (2, "b", GOOD), (2, "b", RETRY)], None),
    "an older version had it and worked": (
        [(1, "a", GOOD), (2, "b", RETRY), (3, "a", GOOD), (3, "a", RETRY)],
        None,
    ),
    "a new name of a version that worked": ([(1, "a", GOOD), (2, "a", RETRY)], None),
}


@pytest.mark.parametrize(("attempts", "suspect"), SUSPECTS.values(), ids=SUSPECTS)
def test_trouble_names_the_version_since_which_nothing_got_through(attempts, suspect):
    Channel.create(name="C", kind="webhook", created_at=NOW, updated_at=NOW, version=0)
    for number, (version, config_hash, outcome) in enumerate(attempts):
        now = NOW + number * 10 * MINUTE
        if outcome:
            attempt(outcome, now, version, config_hash, key=str(number))
        else:
            Channel.update(version=version, config_hash=config_hash).execute()
            ChannelVersion.store(Channel.get().id, "saved", f"author of {version}", now)
    row = Channel.get()
    [health] = describe_health([row], NOW + DAY).values()
    named = re.findall(r"since version (\d+), saved by author of \1, 2026-09-\d\d", health.text)
    assert named == ([str(suspect)] if suspect else [])
    assert health.text.startswith("Not getting through since ")


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (Channel, {"proof_hash": "b"}),  # the attempts that worked are older than the log
        (ChannelVersion, {"made_by": ""}),  # saved before there was a history
    ],
)
def test_no_version_is_named_that_may_have_worked(table, change):
    Channel.create(name="C", kind="webhook", created_at=NOW, updated_at=NOW, version=1)
    attempt(RETRY, NOW, 2, "b")
    table.update(change).execute()
    [health] = describe_health([Channel.get()], NOW + DAY).values()
    assert "version" not in health.text


def test_the_sentence_is_shown_with_the_trouble(client, config, receiver):
    receiver.script = reply(503)
    channel_id = create(client, receiver.url)
    worker = Worker(config)
    worker.begin()
    store([ReceivedAlert("k", Alert.from_json({"name": "Disk", "status": "open"}))], now_ms())
    for _ in range(3):
        worker.run_once(0.1)
    for path in ("/channels", f"/channels/{channel_id}/edit"):
        assert "since version 1, created by ada, " in client.get(path).text


# --- in a browser ---


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_version_is_restored_with_the_keyboard_and_without_scripts(chromium, live, width, scheme):
    channel_id = live.create_channel(URL, name=f"Keyboard {width}", matchers='team="db"')
    form = fields_in(live.person.get(f"{live.url}/channels/{channel_id}/edit", timeout=5).text)
    late = {**form, "name": f"Renamed {width}", "url": OTHER_URL}
    live.person.post(f"{live.url}/channels/{channel_id}", late, timeout=5)
    page = open_page(chromium, live, width=width, scheme=scheme)
    page.goto(f"{live.url}/channels/{channel_id}/edit")
    page.locator("#history-link").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#version-2")).to_contain_text("changed (the masked part)")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    plain = open_page(chromium, live, width=width, javascript=False)
    plain.goto(f"{live.url}/channels/{channel_id}/history")
    plain.get_by_role("button", name="Restore version 1").focus()
    plain.keyboard.press("Enter")
    expect(plain.locator("#version-3")).to_contain_text("restored from version 1 by admin")
    expect(plain.locator("h1")).to_have_text(f"History of Keyboard {width}")
    assert page.complaints == []
    page.context.close()
    plain.context.close()


def test_the_form_of_a_restoration_needs_its_token(client):
    channel_id = create(client, URL)
    edit(client, channel_id, timeout="7")
    page = history(client, channel_id)
    assert token_in(page)
    path = f"/channels/{channel_id}/history/1/restore"
    assert client.without_token(path, {"version": "2"}).status_code == 400
    assert Channel.get_by_id(channel_id).version == 2
