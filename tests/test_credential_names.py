"""A header whose name is that of a credential is a secret, ticked or not."""

import pytest
from channels import create, fields_in, form_of, message_at, stored_form
from receiver import reply
from test_api import Script

from delivery.settings import names_credential
from models import Attempt, Channel, db

VALUE = "Basic b3BzOmh1bnRlcjI="
ROW = {"headers_0_name": "Authorization", "headers_0_value": VALUE}
NAMES = """
    Authorization authorization Proxy-Authorization X-Authorisation X-Auth Cookie Set-Cookie
    X-Api-Key Api-Key apikey X-ApiKey X_API_KEY DD-API-KEY X-Gotify-Key X-Functions-Key Key
    X-Access-Key Ocp-Apim-Subscription-Key X-Auth-Token PRIVATE-TOKEN X-Vault-Token access_token
    X-Webhook-Secret CF-Access-Client-Secret X-Password X-Passphrase X-Credentials X-JWT X-Bearer
    X-Session-Id X-Signature sig sign"""
OTHER_NAMES = """
    X-Team X-Keyword X-Monkey X-Author Authority X-Source Accept Accept-Language Content-Type
    X-Scope-OrgID X-Request-Id X-Design X-Passage X-Environment template channel api-version"""


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_of_a_credential_is_recognized(name):
    assert names_credential(name)


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_another_name_is_not_that_of_a_credential(name):
    assert not names_credential(name)


def test_a_credential_is_stored_as_a_secret_although_it_was_not_ticked(client, viewer):
    channel_id = create(client, **ROW)
    row = Channel.get_by_id(channel_id)
    assert VALUE not in row.settings + row.sealed
    for session in (client, viewer):
        page = session.get(f"/channels/{channel_id}/edit").text
        assert VALUE not in page
        assert "This name is that of a credential" in page
    form = stored_form(client, channel_id)
    assert (form["headers-0-value"], form["headers-0-secret"]) == ("", "1")


def test_a_credential_cannot_be_made_readable(client):
    channel_id = create(client, **ROW)
    form = stored_form(client, channel_id)
    del form["headers-0-secret"]
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    assert stored_form(client, channel_id)["headers-0-secret"] == "1"
    assert VALUE not in Channel.get_by_id(channel_id).settings


@pytest.fixture
def old_channel(client, receiver):
    """Return a channel whose row is of an older version, with a readable credential."""
    channel_id = create(client, receiver.url, headers_0_name="X-Old-Header", headers_0_value=VALUE)
    db.execute_sql("UPDATE channel SET settings = replace(settings, 'X-Old-Header', 'X-Api-Key')")
    assert VALUE in Channel.get_by_id(channel_id).settings
    return channel_id


def test_a_readable_credential_of_an_older_row_is_not_shown(app, client, viewer, old_channel):
    for session in (client, viewer):
        assert VALUE not in session.get(f"/channels/{old_channel}/edit").text
    script = Script(app, "channels:read")
    answer = script.request("GET", f"/{old_channel}")
    assert answer.json["headers"] == [{"name": "X-Api-Key", "value": "", "secret": True}]


def test_a_readable_credential_of_an_older_row_is_kept_and_encrypted_by_a_save(
    client, receiver, old_channel
):
    form = stored_form(client, old_channel)
    assert client.post(f"/channels/{old_channel}", form).status_code == 303
    assert VALUE not in Channel.get_by_id(old_channel).settings
    client.post(f"/channels/{old_channel}/test", stored_form(client, old_channel))
    assert receiver.requests[0].headers["X-Api-Key"] == VALUE


def test_a_readable_credential_of_an_older_row_is_not_sent_to_another_origin(client, old_channel):
    form = {**stored_form(client, old_channel), "url": "https://other.example.com/x"}
    response = client.post(f"/channels/{old_channel}", form)
    assert response.status_code == 422
    assert "was saved for" in message_at(response.text, "headers-0-value")


def test_an_echoed_credential_is_masked(client, receiver):
    receiver.script = reply(400, f"bad header {VALUE}".encode(), X_Echo=VALUE)
    page = client.post("/channels/new/test", form_of(receiver.url, **ROW), htmx=True).text
    assert VALUE not in page
    assert "bad header ••••" in page
    assert VALUE not in repr([row.__data__ for row in Attempt.select()])


def test_a_redrawn_page_keeps_a_typed_credential_without_showing_it(client):
    page = client.post("/channels", form_of("nonsense", **ROW))
    assert page.status_code == 422
    assert VALUE not in page.text
    form = {**fields_in(page.text), "url": "https://hooks.example.com/x"}
    assert client.post("/channels", form).status_code == 303


def test_a_conflict_does_not_show_a_typed_credential(client):
    channel_id = create(client)
    stale = {**stored_form(client, channel_id), "version": "0"}
    stale |= {"headers-0-name": "Authorization", "headers-0-value": VALUE}
    page = client.post(f"/channels/{channel_id}", stale)
    assert page.status_code == 409
    assert VALUE not in page.text
    assert '<tr data-field="Header Authorization">' in page.text
    assert "(secret)" in page.text


def test_a_script_gets_no_credential_back(app):
    script = Script(app, "channels:read", "channels:write")
    row = {"name": "PRIVATE-TOKEN", "value": "glpat-abcdef", "secret": False}
    made = script.create(headers=[row])
    assert made["headers"] == [{"name": "PRIVATE-TOKEN", "value": "", "secret": True}]


def test_the_value_of_a_credential_gets_its_note_and_its_tick_while_typing(client):
    path = "/channels/new/validate/headers-0-value"
    html = client.post(path, form_of(**ROW), htmx=True).text
    assert 'id="headers-0-name-note"' in html
    assert "always a secret" in html
    assert 'id="headers-0-secret"' in html
    assert "checked" in html
    assert VALUE not in html
    other = {"headers_0_name": "X-Team", "headers_0_value": "db"}
    assert client.post(path, form_of(**other), htmx=True).text == ""
