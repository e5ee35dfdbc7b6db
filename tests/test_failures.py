"""Invalid input and failures: each gets a message, and the form is kept."""

import logging

import pytest
from channels import create, fields_in, form_of, stored_form
from databases import another_writer, make_read_only, set_patience

from models import Channel
from web.channels import views


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/nowhere", 404),
        ("get", "/channels/1/edit", 404),
        ("get", "/channels/99999999999999999999999/edit", 404),
        ("get", "/channels/-1/edit", 404),
        ("get", "/channels/abc/edit", 404),
        ("get", "/channels/1/delete", 404),
        ("post", "/channels/7/pause", 404),
        ("post", "/channels/99999999999999999999999", 404),
        ("post", "/channels/99999999999999999999999/test", 404),
        ("get", "/channels/1/test", 405),
        ("get", "/channels/1/pause", 405),
        ("post", "/channels/1/edit", 405),
        ("get", "/%00", 404),
        ("get", "/channels/new/validate/name", 405),
    ],
)
def test_every_failure_is_a_page_with_a_message(client, method, path, status):
    response = getattr(client, method)(path)
    assert response.status_code == status
    assert (
        f"Answered by Tocsin itself, with status {status}" in response.text
        or "deleted in the meantime" in response.text
    )
    assert "Traceback" not in response.text


def test_a_failure_of_an_htmx_request_is_a_fragment(client):
    response = client.post("/channels/7/test", form_of(), htmx=True)
    assert response.status_code == 404
    assert "<!doctype" not in response.text
    assert "no such channel" in response.text


@pytest.mark.parametrize("token", [{}, {"csrf_token": "forged"}, {"csrf_token": ""}])
@pytest.mark.parametrize(
    "path",
    ["/channels", "/channels/1", "/channels/1/test", "/channels/new/preview", "/channels/new/rows"],
)
def test_a_missing_or_forged_csrf_token_changes_nothing_and_keeps_the_form(client, path, token):
    create(client, name="Before")
    response = client.without_token(path, {**form_of(name="Typed name", payload="[42]"), **token})
    assert response.status_code == 400
    assert "press the button again" in response.text
    back = fields_in(response.text)
    assert (back["name"], back["payload"]) == ("Typed name", "[42]")
    assert [channel.name for channel in Channel.select()] == ["Before"]


@pytest.mark.parametrize("action", ["pause", "resume", "duplicate", "delete"])
def test_every_button_of_the_list_requires_the_csrf_token(client, action):
    channel_id = create(client)
    assert client.without_token(f"/channels/{channel_id}/{action}").status_code == 400
    assert Channel.select().count() == 1


def test_a_field_check_without_a_csrf_token_gets_a_fragment(client):
    response = client.without_token(
        "/channels/new/validate/name", form_of(), headers={"HX-Request": "true"}
    )
    assert response.status_code == 400
    assert "<!doctype" not in response.text


@pytest.mark.parametrize(
    "path", ["/channels", "/channels/new/test", "/channels/new/validate/payload"]
)
def test_a_form_of_ten_megabytes_is_refused(client, path):
    response = client.post(path, form_of(payload='"' + "a" * 10_000_000 + '"'))
    assert response.status_code == 413
    assert "64 KB" in response.text


@pytest.mark.parametrize(
    "payload",
    [
        "[" * 60_000,
        "9" * 60_000,
        '"\\ud800"',
        "\x00",
        '{"a":' * 100 + "1" + "}" * 100,
        "{" + '"a":1,' * 9000 + '"a":1}',
    ],
)
def test_no_payload_breaks_a_page(client, payload):
    response = client.post("/channels", form_of(payload=payload))
    assert response.status_code in (303, 422)


@pytest.mark.parametrize(
    "field",
    ["name", "url", "payload", "timeout", "auth", "kind", "method", "version", "headers-0-name"],
)
@pytest.mark.parametrize(
    "value",
    ["\x00", "\ud7ff\U0010ffff", "%s %d {0} {{x}}", "' OR 1=1 --", "a" * 5000, "<img src=x>"],
)
def test_no_value_of_any_field_breaks_a_page(client, field, value):
    form = form_of(**{"headers-0-name": "X-A"}) | {field: value}
    for path in ("/channels", "/channels/new/preview"):
        response = client.post(path, form)
        assert response.status_code in (200, 303, 422)
        assert "<img src=x>" not in response.text


def test_unknown_fields_are_ignored(client):
    response = client.post(
        "/channels", form_of(nonsense="x", id="7", state="paused", __class__="y")
    )
    assert response.status_code == 303
    assert Channel.get().state == "delivering"


def test_an_empty_multipart_body_is_a_form_without_fields(client):
    response = client.post("/channels", content_type="multipart/form-data")
    assert response.status_code == 422


def test_a_foreign_host_is_refused(client):
    assert client.get("/channels", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/channels", headers={"Host": "localhost:8000"}).status_code == 200


def test_an_internal_error_shows_a_reference_that_the_log_has_too(client, monkeypatch, caplog):
    def broken(_channel):
        raise RuntimeError("a bug")

    create(client)
    monkeypatch.setattr(views, "_row", broken)
    with caplog.at_level(logging.ERROR):
        response = client.get("/channels")
    assert response.status_code == 500
    assert "Tocsin made a mistake" in response.text
    assert "a bug" not in response.text
    reference = response.text.split("details under ")[1][:16]
    assert f"internal error {reference}" in caplog.text


# --- database failures ----------------------------------------------------------------------------


def test_a_locked_database_gets_a_message_and_keeps_the_form(client, config):
    channel_id = create(client, name="Ops")
    form = {**stored_form(client, channel_id), "payload": "[42]"}
    set_patience(10)
    with another_writer(config.database):
        response = client.post(f"/channels/{channel_id}", form)
        assert response.status_code == 503
        assert "The database is busy" in response.text
        assert fields_in(response.text)["payload"] == "[42]"
        assert client.post(f"/channels/{channel_id}/pause").status_code == 503
        assert client.get("/channels").status_code == 200
    assert client.post(f"/channels/{channel_id}", form).status_code == 303


def test_a_read_only_database_gets_a_message_and_still_serves_pages(client):
    channel_id = create(client, name="Ops")
    make_read_only()
    response = client.post(f"/channels/{channel_id}", stored_form(client, channel_id))
    assert response.status_code == 503
    assert "read-only" in response.text
    assert "Ops" in client.get("/channels").text


def test_a_test_result_is_shown_even_if_it_cannot_be_stored(client, receiver):
    channel_id = create(client, receiver.url)
    form = stored_form(client, channel_id)
    make_read_only()
    response = client.post(f"/channels/{channel_id}/test", form, htmx=True)
    assert response.status_code == 200
    assert 'data-verdict="delivered"' in response.text
    assert "could not be stored" in response.text
