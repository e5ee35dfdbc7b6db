"""The seven promises of the design. The first is tested with more inputs in test_message.py."""

import json

import pytest
from channels import create, fields_in, form_of, marks, row_marks, stored_form
from receiver import raw, reply

from clock import now_ms
from delivery.alerts.alert import Alert
from delivery.alerts.received import ReceivedAlert
from delivery.event import Event
from delivery.kinds import kinds
from delivery.message import build
from delivery.outbox import store
from delivery.settings import Settings
from delivery.worker import Worker
from models import Channel, Delivery, db

NOTHING = [
    {},
    None,
    [],
    "text",
    {"labels": None, "annotations": 7, "starts_at": "soon", "url": [], "name": {}, "status": 0},
]


@pytest.mark.parametrize("parts", NOTHING)
@pytest.mark.parametrize("kind", list(kinds()))
def test_1_missing_optional_parts_never_break_a_message(kind, parts):
    settings = Settings(kind=kind, url="https://h.example/", body='{"name": "{{ alert.name }}"}')
    message = build(settings, Event(Alert.from_json(parts), 1, 0))
    assert json.loads(message.body)


GARBAGE = [
    "",
    "{",
    "[]",
    "null",
    '{"headers": 7, "timeout": "x", "method": [], "payload": {}}',
    "\x00",
    "[" * 10_000,
    "\ud7ff",
    '{"payload": "\\ud800"}',
]


SHORT = ["", "\x00", "\ud7ff"]
DAMAGE = [(column, garbage) for column in ("settings", "sealed") for garbage in GARBAGE]
DAMAGE += [
    (column, garbage)
    for column in ("kind", "state", "origin", "config_hash", "proof", "proof_hash")
    for garbage in SHORT
]


@pytest.mark.parametrize(("column", "garbage"), DAMAGE)
def test_2_a_damaged_row_can_be_listed_opened_repaired_and_deleted(
    client, receiver, column, garbage
):
    channel_id = create(client, receiver.url, name="Ops", auth="bearer", auth_secret="s3cret-token")
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    db.execute_sql(f"UPDATE channel SET {column} = ?", (garbage,))
    assert client.get("/channels").status_code == 200
    assert client.get(f"/channels/{channel_id}/edit").status_code == 200
    assert client.get(f"/channels/{channel_id}/delete").status_code == 200
    for action in ("pause", "resume", "duplicate"):
        assert client.post(f"/channels/{channel_id}/{action}").status_code == 303
    for action in ("test", "preview", "validate/url", "rows"):
        response = client.post(f"/channels/{channel_id}/{action}", stored_form(client, channel_id))
        assert response.status_code in (200, 422)
    version = stored_form(client, channel_id)["version"]
    repaired = form_of(receiver.url, name="Repaired", version=version)
    assert client.post(f"/channels/{channel_id}", repaired).status_code == 303
    assert client.post(f"/channels/{channel_id}/resume").status_code == 303
    assert row_marks(client.get("/channels").text, channel_id)["state"] == "delivering"
    assert "damaged" not in client.get(f"/channels/{channel_id}/edit").text
    assert client.post(f"/channels/{channel_id}/delete").status_code == 303


def test_2_a_row_that_cannot_be_decrypted_says_so_and_breaks_nothing_else(client):
    create(client, name="Good")
    bad = create(client, name="Bad")
    sealed = Channel.get(Channel.name == "Good").sealed
    db.execute_sql("UPDATE channel SET sealed = ? WHERE id = ?", (sealed, bad))
    page = client.get("/channels").text
    assert page.count("Damaged:") == 1
    assert "belong to another channel" in client.get(f"/channels/{bad}/edit").text


@pytest.mark.parametrize(
    ("script", "who", "what_to_do"),
    [
        (reply(404), "The receiver 127.0.0.1", "compare the URL"),
        (
            reply(400, b"bad payload"),
            "answered 400 Bad Request. Tocsin is fine.",
            "read its response below",
        ),
        (reply(500), "answered 500 Internal Server Error", "its log says why"),
        (
            reply(302, Location="https://new.example/x"),
            "redirects to https://new.example/x",
            "URL field",
        ),
        (raw(b""), "closed the connection", "receiver's log"),
        (raw(b"nonsense\r\n\r\n"), "does not speak valid HTTP", "Check the port"),
    ],
)
def test_3_every_failure_says_who_responded_and_what_to_do(
    client, receiver, script, who, what_to_do
):
    receiver.script = script
    response = client.post("/channels/new/test", form_of(receiver.url))
    assert response.status_code == 200
    assert who in response.text.replace("&#39;", "'")
    assert what_to_do in response.text.replace("&#39;", "'")
    assert "Answered by Tocsin itself" not in response.text


@pytest.mark.parametrize("state", ["new", "delivering", "paused"])
def test_4_a_test_really_sends(client, receiver, state):
    path = "new" if state == "new" else create(client, receiver.url)
    if state == "paused":
        client.post(f"/channels/{path}/pause")
    form = form_of(receiver.url) if state == "new" else stored_form(client, path)
    response = client.post(f"/channels/{path}/test", form)
    assert marks(response.text)["verdict"] == "delivered"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("url", ["nonsense", "http://10.0.0.1/"])
def test_4_a_test_that_did_not_send_says_so(client, receiver, url):
    response = client.post("/channels/new/test", form_of(url))
    assert response.status_code == 422
    assert "The test was not sent" in response.text


@pytest.mark.parametrize(
    "payload",
    [
        '{"a": {"b": [1, 2.50, null]}}',
        "\n\n[1,\r\n 2]\n",
        '"</textarea>"',
        "12345678901234567890.10",
        '{"ü": "&amp; \\u0041"}',
        "{",
        "",
    ],
)
def test_5_typed_text_comes_back_unchanged(client, payload):
    response = client.post("/channels", form_of(payload=payload))
    if response.status_code == 422:
        assert fields_in(response.text)["payload"] == payload
    else:
        assert stored_form(client, Channel.get().id)["payload"] == payload


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/nobody-listens", "https://hooks.example.com/no-look-up"]
)
def test_6_saving_never_sends_and_never_depends_on_a_receiver(client, monkeypatch, url):
    def forbidden(*_args, **_kwargs):
        raise AssertionError("a save must not touch the network")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    monkeypatch.setattr("socket.getaddrinfo", forbidden)
    channel_id = create(client, url)
    assert (
        client.post(f"/channels/{channel_id}", stored_form(client, channel_id)).status_code == 303
    )


def test_6_a_failing_test_does_not_block_saving(client, receiver):
    receiver.script = reply(500)
    channel_id = create(client, receiver.url)
    edited = {**stored_form(client, channel_id), "payload": "[9]"}
    client.post(f"/channels/{channel_id}/test", edited)
    assert client.post(f"/channels/{channel_id}", edited).status_code == 303


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        (
            {"kind": "telegram", "options-bot_token": "1:x", "options-chat_id": "5"},
            {"options-message_thread_id": "7"},
        ),
        ({"kind": "webhook"}, {"kind": "ntfy", "options-topic": "abc"}),
        ({"kind": "ntfy", "options-topic": "abc"}, {"kind": "webhook"}),
    ],
)
def test_5_a_conflict_shows_both_values_of_every_option_and_no_secret(client, stored, typed):
    channel_id = create(client, "https://own.example.com", **stored)
    form = {**stored_form(client, channel_id), "name": "Renamed"}
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    late = {**form, **typed, "options-bot_token": "999999:S3CRET-typed"}
    response = client.post(f"/channels/{channel_id}", late)
    assert response.status_code == 409
    assert "S3CRET" not in response.text
    assert ("abc" in response.text) == ("ntfy" in (stored["kind"], typed.get("kind")))
    back = fields_in(response.text)
    assert all(back[name] == text for name, text in typed.items())


@pytest.mark.parametrize("hindrance", ["paused", "refused"])
def test_7_nobody_is_told_of_a_resolution_without_the_opening(client, config, receiver, hindrance):
    channel_id = create(client, receiver.url)
    if hindrance == "paused":
        client.post(f"/channels/{channel_id}/pause")
    receiver.script = reply(400)
    worker = Worker(config)
    worker.begin()
    for status in ("open", "closed"):
        alert = Alert.from_json({"name": "Disk full", "status": status})
        store([ReceivedAlert("k", alert)], now_ms())
        for _ in range(3):
            worker.run_once(0.1)
    receiver.script = reply(200)
    client.post(f"/channels/{channel_id}/resume")
    worker.run_once(0)
    sent = [json.loads(request.body)["alert"]["status"] for request in receiver.requests]
    assert sent == ([] if hindrance == "paused" else ["open"])
    assert Delivery.select().count() == 1
