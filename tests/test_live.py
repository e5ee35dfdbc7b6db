"""An edit before it is saved: field checks, tests, previews, header rows."""

import re
import threading

import pytest
from channels import create, fields_in, form_of, marks, message_at, stored_form
from conftest import Client
from faults import FAULTS
from receiver import after, raw, reply

from models import Attempt, Channel, db


@pytest.mark.parametrize(
    "field", ["nope", "version", "csrf_token", "headers-0-name", "headers-0", "name-remove", "é"]
)
def test_a_check_of_an_unknown_field_is_404(client, field):
    assert client.post(f"/channels/new/validate/{field}", form_of()).status_code == 404


@pytest.mark.parametrize(
    "field",
    ["name", "kind", "url", "method", "headers", "auth", "auth_username", "auth_secret", "signing"],
)
def test_a_check_of_an_empty_form_returns_at_most_a_message(client, field):
    response = client.post(f"/channels/new/validate/{field}")
    assert response.status_code == 200
    assert "<" not in response.text


def test_a_message_escapes_the_typed_value(client):
    response = client.post(
        "/channels/new/validate/url", form_of("https://h.example:99999999/<script>")
    )
    assert "<script>" not in response.text


def test_a_check_writes_nothing_and_connects_to_nothing(client, receiver):
    client.post("/channels/new/validate/url", form_of(receiver.url))
    assert (Channel.select().count(), Attempt.select().count(), receiver.connections) == (0, 0, 0)


def test_a_test_of_an_unsaved_edit_sends_the_values_in_the_form(client, receiver):
    channel_id = create(client, receiver.url, payload="[1]")
    response = client.post(
        f"/channels/{channel_id}/test",
        {**stored_form(client, channel_id), "payload": "[2.50]"},
        htmx=True,
    )
    assert response.status_code == 200
    assert marks(response.text) == {
        "verdict": "delivered",
        "reason": "ok",
        "actor": "receiver",
        "status": "200",
    }
    assert b'"payload":[2.50]' in receiver.requests[0].body
    assert stored_form(client, channel_id)["payload"] == "[1]"


def test_a_test_is_stored_as_an_attempt_without_secrets(client, receiver):
    receiver.script = reply(404, b"no t0ken-of-the-path here")
    channel_id = create(client, receiver.url, auth="bearer", auth_secret="s3cret-token")
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    attempt = Attempt.get()
    assert (attempt.channel_id, attempt.purpose, attempt.verdict, attempt.status) == (
        channel_id,
        "test",
        "failed",
        404,
    )
    stored = repr(attempt.__data__)
    assert "t0ken-of-the-path" not in stored
    assert "s3cret-token" not in stored
    assert "Latest tests" in client.get(f"/channels/{channel_id}/edit").text


def test_the_latest_fifty_tests_of_a_channel_are_kept(client, receiver, app):
    channel_id = create(client, receiver.url)
    row = {
        "purpose": "test",
        "at": 1,
        "config_hash": "",
        "verdict": "failed",
        "reason": "ok",
        "actor": "receiver",
    }
    Attempt.insert_many(
        [{**row, "channel": channel_id, "milliseconds": 1, "receiver": "x"} for _ in range(70)]
    ).execute()
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    assert Attempt.select().count() == 50
    assert Attempt.tests_of(Channel.get(), 1).get().verdict == "delivered"


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.plain][::12], ids=lambda fault: fault.name
)
def test_a_test_responds_with_200_whatever_the_receiver_does(client, receiver, fault):
    receiver.script = fault.script
    response = client.post("/channels/new/test", form_of(receiver.url, timeout="1"), htmx=True)
    assert response.status_code == 200
    verdict, reason, *status = fault.expected.split()
    shown = marks(response.text)
    assert (shown["verdict"], shown["reason"]) == (verdict, reason)
    assert "?" in status or shown["status"] == "".join(status)


def test_a_receivers_response_never_reaches_our_headers_or_markup(client, receiver):
    receiver.script = reply(
        200,
        b"<script>alert(1)</script>",
        HX_Redirect="http://evil.example/",
        Set_Cookie="a=b",
        X="<b>",
    )
    response = client.post("/channels/new/test", form_of(receiver.url), htmx=True)
    assert "HX-Redirect" not in response.headers
    assert "a=b" not in response.headers.get("Set-Cookie", "")
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert" in response.text


def test_an_invalid_form_is_not_sent_and_shows_its_messages(client, receiver):
    whole = client.post("/channels/new/test", form_of(receiver.url, payload="{"))
    fragment = client.post("/channels/new/test", form_of(receiver.url, payload="{"), htmx=True)
    assert (whole.status_code, fragment.status_code, receiver.connections) == (422, 422, 0)
    assert "Line 1, column 2" in message_at(whole.text, "payload")
    assert re.search(r'id="payload-error"[^>]*hx-swap-oob[^>]*>Line 1, column 2', fragment.text)
    assert "<!doctype" not in fragment.text
    assert marks(fragment.text) == {}


def test_without_htmx_the_whole_page_has_the_result_and_the_typed_values(client, receiver):
    typed = form_of(receiver.url, payload='{"a":\n1}', auth="bearer", auth_secret="typed-s3cret")
    response = client.post("/channels/new/test", typed)
    assert response.status_code == 200
    assert marks(response.text)["verdict"] == "delivered"
    back = fields_in(response.text)
    assert {name: back[name] for name in typed} == {**typed, "auth_secret": ""}
    assert "typed-s3cret" not in response.text


def test_a_paused_channel_is_tested_and_the_result_says_so(client, receiver):
    channel_id = create(client, receiver.url)
    client.post(f"/channels/{channel_id}/pause")
    response = client.post(
        f"/channels/{channel_id}/test", stored_form(client, channel_id), htmx=True
    )
    assert "This channel is paused" in response.text
    assert len(receiver.requests) == 1


def test_a_new_channel_is_tested_and_the_result_says_that_it_is_not_saved(client, receiver):
    response = client.post("/channels/new/test", form_of(receiver.url), htmx=True)
    assert "not saved yet" in response.text
    assert len(receiver.requests) == 1


def test_a_test_is_not_retried(client, receiver):
    receiver.script = reply(503, Retry_After="1")
    response = client.post("/channels/new/test", form_of(receiver.url), htmx=True)
    assert "asks to wait 1 s" in response.text
    assert len(receiver.requests) == 1


def test_a_test_without_a_free_slot_is_busy_at_once_and_slots_become_free_again(
    app, client, config, receiver
):
    gate = threading.Event()
    receiver.script = after(gate, reply(200))
    form, answers = form_of(receiver.url, timeout="30"), []

    def send():
        answers.append(Client(app).post("/channels/new/test", form).status_code)
        db.close()

    threads = [threading.Thread(target=send) for _ in range(config.test_slots)]
    for thread in threads:
        thread.start()
    receiver.wait_for(config.test_slots)
    busy = client.post("/channels/new/test", form_of(receiver.url), htmx=True)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")
    assert "not sent" in busy.text
    gate.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * config.test_slots
    assert client.post("/channels/new/test", form_of(receiver.url), htmx=True).status_code == 200


def test_a_request_that_was_not_sent_is_labeled_so(client, receiver):
    arrived = client.post("/channels/new/test", form_of(receiver.url), htmx=True).text
    receiver.close()
    refused = client.post("/channels/new/test", form_of(receiver.url), htmx=True).text
    assert "Sent request" in arrived
    assert "Request (not sent)" in refused


def test_a_preview_shows_the_exact_request_and_sends_nothing(client, receiver):
    form = form_of(
        receiver.url,
        payload='{"n": 1.10}',
        auth="basic",
        auth_username="me",
        auth_secret="s3cret-pass",
    )
    response = client.post("/channels/new/preview", form, htmx=True)
    assert response.status_code == 200
    assert "&#34;payload&#34;:{&#34;n&#34;: 1.10}" in response.text
    assert f"Host: 127.0.0.1:{receiver.port}" in response.text
    assert "s3cret-pass" not in response.text
    assert "t0ken-of-the-path" not in response.text
    assert (receiver.connections, Attempt.select().count()) == (0, 0)
    assert client.post("/channels/new/preview", form_of("nonsense"), htmx=True).status_code == 422


def test_an_alertmanager_url_without_a_path_is_completed(client, receiver):
    client.post(
        "/channels/new/test", form_of(f"http://127.0.0.1:{receiver.port}", kind="alertmanager")
    )
    assert (receiver.requests[0].method, receiver.requests[0].path) == ("POST", "/api/v2/alerts")


def test_rows_are_added_and_removed_without_losing_what_was_typed(client):
    typed = form_of("typed-url", name="Typed", headers_0_name="X-A", headers_2_name="X-C")
    more = fields_in(client.post("/channels/new/rows", typed).text)
    assert "headers-3-name" in more
    assert (more["url"], more["name"], more["headers-2-name"]) == ("typed-url", "Typed", "X-C")
    fewer = fields_in(client.post("/channels/new/rows", {**typed, "remove": "headers-0"}).text)
    assert "headers-0-name" not in fewer
    assert fewer["headers-2-name"] == "X-C"


def test_htmx_gets_only_the_new_row(client):
    response = client.post("/channels/new/rows", form_of(headers_0_name="X-A"), htmx=True)
    assert 'id="headers-1-name"' in response.text
    assert "<!doctype" not in response.text
    assert (
        client.post("/channels/new/rows", {**form_of(), "remove": "headers-0"}, htmx=True).text
        == ""
    )


def test_raw_bytes_of_a_receiver_are_shown_as_text(client, receiver):
    receiver.script = raw(
        b"HTTP/1.1 500 Oops\r\nX-Raw: \xff\xfe\r\nContent-Length: 4\r\n\r\n\x00\xff\x1b["
    )
    response = client.post("/channels/new/test", form_of(receiver.url), htmx=True)
    assert "\\u0000" in response.text
    assert "\x1b" not in response.text
