"""The audit log: what it names, who may read it, and what it never holds."""

import html
import re

import pytest
from browsing import open_page, violations
from channels import create, form_of, stored_form
from conftest import PASSWORD, Client
from playwright.sync_api import expect
from test_api import Script

import cli
from clock import DAY, MINUTE, now_ms
from delivery import outbox
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.outbox import retention, store
from delivery.outbox.retention import HISTORY_DAYS
from models import AuditAction, AuditEntry, Delivery, LabReceiver, Role, Silence, Token, User, db
from web import audit
from web.accounts import users

URL = "https://hooks.example.com/services/t0ken"


@pytest.fixture(autouse=True)
def connected(app):
    db.connect(reuse_if_open=True)


def entries() -> list[tuple[str, str, str]]:
    """Return (who, action, detail) of every entry, oldest first, without those of the start."""
    rows = AuditEntry.select().order_by(AuditEntry.id)
    found = [(row.made_by, row.action, row.detail) for row in rows]
    return [entry for entry in found if entry[0] != "Tocsin"]


def latest() -> tuple[str, str, str]:
    return entries()[-1]


def sign_in(client, name="ada", password=PASSWORD, address="192.0.2.7"):
    form = {"username": name, "password": password}
    return client.post("/login", form, environ_base={"REMOTE_ADDR": address})


# --- sign-ins ---


def test_sign_ins_sign_outs_and_a_new_password_are_recorded_with_the_address(app, anonymous):
    assert sign_in(anonymous, "ADA").status_code == 303
    anonymous.token = ""
    form = {"old": PASSWORD, "password": "another password", "again": "another password"}
    assert anonymous.post("/account", form).status_code == 303
    anonymous.token = ""
    assert anonymous.post("/logout").status_code == 303
    assert entries() == [
        ("ada", "signed in", "ada"),
        ("ada", "password changed", "ada"),
        ("ada", "signed out", "ada"),
    ]
    assert AuditEntry.get(AuditEntry.action == "signed in").address == "192.0.2.7"
    assert "password" not in "".join(detail for *_, detail in entries())


def test_a_refused_sign_in_names_the_user_but_never_what_was_typed(anonymous):
    assert sign_in(anonymous, " Vera ", "wrong").status_code == 401
    assert sign_in(anonymous, PASSWORD, "ada").status_code == 401  # in the wrong fields
    assert entries() == [
        ("", "sign-in refused", "vera"),
        ("", "sign-in refused", audit.UNKNOWN_NAME),
    ]


def test_guessing_passwords_does_not_fill_the_log(anonymous, monkeypatch):
    for _ in range(20):  # the last ones are not even checked
        assert sign_in(anonymous, "ada", "wrong").status_code in (401, 429)
    assert len(entries()) == 1
    for number in range(audit.MAX_REFUSALS + 5):
        sign_in(anonymous, f"nobody {number}", "wrong", f"198.51.100.{number}")
    assert len(entries()) == audit.MAX_REFUSALS
    AuditEntry.update(at=AuditEntry.at - 15 * MINUTE - 1000).execute()
    sign_in(anonymous, "vera", "wrong")
    assert len(entries()) == audit.MAX_REFUSALS + 1


def test_a_link_for_a_password_is_recorded_when_it_is_made_and_when_it_is_used(client, anonymous):
    page = client.post("/people", {"name": "bo", "role": "viewer"}).text
    path = re.search(r"/setup/[\w-]+", page)[0]
    form = {"password": "another password", "again": "another password"}
    assert anonymous.post(path, form).status_code == 303
    assert entries() == [
        ("ada", "user added", "bo, viewer"),
        ("ada", "password link created", "bo"),
        ("bo", "password changed", "bo, with a link"),
        ("bo", "signed in", "bo"),
    ]


def test_the_first_editor_is_recorded(anonymous):
    User.delete().execute()
    path = f"/setup/{users.setup_secret(now_ms())}"
    form = {"username": "eve", "password": "another password", "again": "another password"}
    assert anonymous.post(path, form).status_code == 303
    assert entries()[0] == ("eve", "user added", "eve, editor")


# --- changes ---


def test_changes_of_users_and_tokens_are_recorded(client):
    vera = User.named("vera")
    client.post(f"/people/{vera.id}/role", {"role": "editor"})
    client.post("/tokens", {"name": "deploy", "scope": "ingest"})
    [token] = Token.select()
    client.post(f"/tokens/{token.id}/revoke")
    client.post("/tokens", {"name": "of vera", "scope": "ingest"})
    Token.update(made_by="vera").execute()
    client.post(f"/people/{vera.id}/remove")
    client.post(f"/people/{User.named('ada').id}/remove")  # the last editor stays
    assert entries() == [
        ("ada", "role changed", "vera: editor"),
        ("ada", "token created", "“deploy”: ingest"),
        ("ada", "token revoked", "“deploy”"),
        ("ada", "token created", "“of vera”: ingest"),
        ("ada", "user removed", "vera"),
        ("ada", "token revoked", "“of vera”"),
    ]


def test_changes_of_channels_and_tests_are_recorded(client, receiver):
    here = create(client, receiver.url, name="Ops", auth="bearer", auth_secret="s3cret")
    named = f"“Ops” (channel {here})"
    form = stored_form(client, here)
    client.post(f"/channels/{here}/test", form)
    client.post("/channels/new/test", form_of(receiver.url))
    client.post(f"/channels/{here}", {**form, "timeout": "7"})
    client.post(f"/channels/{here}/history/1/restore", {"version": "2"})
    client.post(f"/channels/{here}/history/delete")
    client.post(f"/channels/{here}/pause", {"waiting": "drop"})
    client.post(f"/channels/{here}/resume", {"held": "none"})
    client.post(f"/channels/{here}/duplicate")
    client.post(f"/channels/{here}/delete")
    assert [(action, detail) for _, action, detail in entries()] == [
        ("channel created", f"{named}, version 1"),
        ("test sent", f"{named}: delivered"),
        ("test sent", "a new channel: delivered"),
        ("channel saved", f"{named}, version 2"),
        ("channel restored", f"{named}, version 3"),
        ("versions deleted", f"{named}: 2"),
        ("channel paused", f"{named}: drop"),
        ("channel resumed", f"{named}: none"),
        ("channel duplicated", f"“Ops (copy)” (channel {here + 1}), version 1"),
        ("channel deleted", named),
    ]
    texts = "".join(detail for *_, detail in entries())
    assert "s3cret" not in texts
    assert receiver.url not in texts


def test_what_a_script_does_is_recorded_under_its_token(app):
    script = Script(app, "channels:read", "channels:write")
    made = script.create(name="By a script")
    script.request("PUT", f"/{made['id']}", made)
    script.request("DELETE", f"/{made['id']}")
    who = "token “channels:read channels:write”"
    assert [entry[:2] for entry in entries()] == [
        (who, "channel created"),
        (who, "channel saved"),
        (who, "channel deleted"),
    ]


def test_what_is_refused_is_not_recorded(client, viewer):
    here = create(client, URL)
    number = len(entries())
    form = stored_form(client, here)
    assert client.post(f"/channels/{here}", {**form, "url": "x"}).status_code == 422
    assert client.post(f"/channels/{here}", {**form, "version": "9"}).status_code == 409
    assert client.post(f"/channels/{here}/pause", {"waiting": "x"}).status_code == 303
    assert viewer.post(f"/channels/{here}/pause").status_code == 403
    assert client.post("/tokens", {"name": "", "scope": "ingest"}).status_code == 422
    assert client.post("/deliveries/msg_1/now").status_code == 404
    assert len(entries()) == number


def test_actions_on_deliveries_and_alerts_are_recorded_if_they_did_something(client):
    create(client, URL)
    store([ReceivedAlert("k", Alert.from_json({"name": "Disk", "status": "open"}))], now_ms())
    row = Delivery.get()
    path = f"/deliveries/msg_{row.id}"
    client.post(f"{path}/now")
    client.post(f"{path}/postpone", {"minutes": "5"})
    client.post(f"{path}/give-up")
    client.post(f"{path}/give-up")
    client.post(f"/alerts/{row.alert_id}/close")
    client.post(f"/alerts/{row.alert_id}/close")
    assert [(action, detail) for _, action, detail in entries()[1:]] == [
        ("delivery retried", f"msg_{row.id}"),
        ("delivery snoozed", f"msg_{row.id}, 5 minutes"),
        ("delivery canceled", f"msg_{row.id}"),
        ("alert closed", f"“Disk” (alert {row.alert_id})"),
    ]


def test_a_silence_is_recorded_when_it_is_created_and_when_it_is_ended(client):
    form = {"matchers": 'severity="info"', "hours": "1", "reason": "Moving the database"}
    assert client.post("/silences", form).status_code == 303
    number = Silence.get().id
    assert client.post(f"/silences/{number}/end").status_code == 303
    assert client.post(f"/silences/{number}/end").status_code == 303  # nothing ends twice
    assert entries() == [
        ("ada", "silence created", 'severity="info": Moving the database'),
        ("ada", "silence ended", f"silence {number}"),
    ]


def test_a_user_whom_the_proxy_signs_in_first_is_recorded_once(app, monkeypatch):
    client = Client(app, "")
    for _ in range(2):
        client.get("/account", environ_overrides={"tocsin.user": "kim"})
    assert entries() == [("the proxy", "user added", "kim, viewer")]


def test_the_command_is_recorded(config, monkeypatch, capsys):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(config.data_dir))
    commands = (
        ("user", "add", "bo"),
        ("user", "role", "bo", "editor"),
        ("token", "add", "ci", "--scope", "ingest"),
        ("token", "revoke", "ci"),
        ("user", "remove", "bo"),
        ("keys", "rotate"),
    )
    db.close()
    for command in commands:
        assert cli.main(list(command)) == 0, capsys.readouterr().err
    db.connect(reuse_if_open=True)
    assert entries() == [
        ("the command", "user added", "bo, viewer"),
        ("the command", "password link created", "bo"),
        ("the command", "role changed", "bo: editor"),
        ("the command", "token created", "“ci”: ingest"),
        ("the command", "token revoked", "“ci”"),
        ("the command", "user removed", "bo"),
        ("the command", "keys rotated", "0 channels"),
    ]


def test_the_first_start_is_recorded(app):
    row = AuditEntry.get(AuditEntry.made_by == "Tocsin")
    assert (row.action, row.address) == ("keys created", "")


# --- the page ---


def add(count, action=AuditAction.EXPORTED, made_by="ada", detail="deliveries"):
    rows = {"at": now_ms(), "action": action, "made_by": made_by, "address": "192.0.2.7"}
    with db.atomic():
        for number in range(count):
            AuditEntry.create(detail=f"{detail} {number}", **rows)


def shown(client, query="") -> list[str]:
    """Return the details of the entries on a page."""
    page = client.get(f"/audit{query}")
    assert page.status_code == 200
    return [html.unescape(text) for text in re.findall(r"</strong> <bdi>(.*?)</bdi>", page.text)]


def test_the_page_shows_the_newest_entries_and_leads_to_older_ones(client):
    add(audit.PAGE_SIZE + 3)
    page = client.get("/audit").text
    assert len(shown(client)) == audit.PAGE_SIZE
    assert shown(client)[0] == f"deliveries {audit.PAGE_SIZE + 2}"
    older = html.unescape(re.search(r'rel="next" href="([^"]+)"', page)[1])
    rest = shown(client, older.removeprefix("/audit"))
    assert rest[:3] == ["deliveries 2", "deliveries 1", "deliveries 0"]
    assert 'rel="next"' not in client.get(older).text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?action=exported", ["a <b> 0"]),
        ("?by=ADA", ["a <b> 0"]),
        ("?by=bo", ["100% of it 0"]),
        ("?text=%3CB%3E", ["a <b> 0"]),
        ("?text=0%25", ["100% of it 0"]),
        ("?text=192.0.2", ["100% of it 0", "a <b> 0"]),
        ("?by=bo&action=exported", []),
        ("?action=nonsense", []),
        ("?before=0", []),
        ("?before=9999999999999999999", ["100% of it 0", "a <b> 0"]),
        ("?text=%00%ED%A0%80&by=%00&action=%00", []),
    ],
)
def test_the_page_is_filtered_by_action_person_and_text(client, query, found):
    AuditEntry.delete().execute()
    add(1, detail="a <b>")
    add(1, AuditAction.TEST_SENT, "bo", "100% of it")
    assert shown(client, query) == found
    if not found:
        assert "matches these filters." in client.get(f"/audit{query}").text


def test_a_page_that_is_none_is_404_and_an_empty_log_says_so(client):
    assert client.get("/audit?before=x").status_code == 404
    AuditEntry.delete().execute()
    assert "There is no entry yet." in client.get("/audit").text


def test_only_editors_read_the_log_and_find_its_link(client, viewer, anonymous):
    assert viewer.get("/audit").status_code == 403
    assert anonymous.get("/audit").status_code == 303
    for path in ("/people", "/account"):
        assert 'href="/audit"' in client.get(path).text
        assert 'href="/audit"' not in viewer.get(path).text


def test_no_request_changes_or_deletes_an_entry(app, client):
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("audit.")]
    assert [(rule.rule, rule.methods & {"POST", "PUT", "PATCH", "DELETE"}) for rule in rules] == [
        ("/audit", set())
    ]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_log_is_filtered_in_a_browser(chromium, live, width, scheme):
    live.create_channel(URL, name=f"Audited {width}")
    page = open_page(chromium, live, width=width, scheme=scheme)
    page.goto(f"{live.url}/people")
    page.get_by_role("link", name="Audit log").click()
    page.get_by_label("Action").select_option("channel created")
    page.get_by_label("Text").fill(f"Audited {width}")
    page.keyboard.press("Enter")
    expect(page.locator(".audit li")).to_have_count(1)
    expect(page.locator(".audit li")).to_contain_text("by admin · from 127.0.0.1")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    page.context.close()


# --- retention ---


def test_entries_go_after_a_year_and_the_oldest_beyond_a_number(monkeypatch):
    AuditEntry.delete().execute()
    add(6)
    now = now_ms()
    rows = list(AuditEntry.select().order_by(AuditEntry.id))
    for row, days in zip(rows, (HISTORY_DAYS + 1, HISTORY_DAYS - 1), strict=False):
        AuditEntry.set_by_id(row.id, {"at": now - days * DAY})
    list(outbox.prune(now, 30, 1000))
    assert AuditEntry.select().count() == 5
    list(outbox.prune(now, HISTORY_DAYS * 2, 1000))
    assert AuditEntry.select().count() == 5
    monkeypatch.setattr(retention, "MAX_AUDIT_ENTRIES", 2)
    monkeypatch.setattr(retention, "SLICE", 1)
    list(outbox.prune(now, 30, 1000))
    left = AuditEntry.select().order_by(AuditEntry.id)
    assert [row.id for row in left] == [row.id for row in rows[-2:]]


def test_an_entry_of_a_removed_user_stays():
    user = users.add("bo", Role.VIEWER, now_ms())
    add(1, made_by="bo")
    users.remove(user)
    assert latest()[0] == "bo"


def test_changes_of_the_lab_are_recorded(client):
    client.post("/lab", {"name": "Down"})
    number = LabReceiver.get(LabReceiver.name == "Down").id
    client.post(f"/lab/{number}/delete")
    assert entries()[-2:] == [
        ("ada", "lab changed", "receiver “Down” created"),
        ("ada", "lab changed", "receiver “Down” deleted"),
    ]


def test_each_channel_of_an_action_on_several_is_recorded(client):
    ids = [create(client, name=f"Channel {number}", url=URL) for number in range(2)]
    for action in ("pause", "resume", "delete"):
        client.post(f"/channels/bulk/{action}", {"channel": ids})
    assert [action for _, action, _ in entries()][-6:] == [
        "channel paused",
        "channel paused",
        "channel resumed",
        "channel resumed",
        "channel deleted",
        "channel deleted",
    ]
