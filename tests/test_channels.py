"""The pages of channels: list, create, edit, duplicate, pause, resume, delete, proof, conflict."""

import re

import pytest
from channels import create, fields_in, form_of, message_at, row_marks, stored_form
from receiver import reply

from models import Channel, ChannelVersion


def test_an_empty_list_offers_to_create_the_first_channel(client):
    assert "Create the first channel" in client.get("/channels").text


def test_a_new_form_has_the_kind_in_the_query(client):
    assert fields_in(client.get("/channels/new?kind=alertmanager").text)["kind"] == "alertmanager"
    assert client.get("/channels/new?kind=nonsense").status_code == 200


def test_a_created_channel_is_listed_and_its_form_is_unchanged(client):
    typed = {
        "url": "https://[2606:4700::7]:8443/h?x=1",
        "name": "  Ünïcode ✓ <b> ",
        "payload": '{\r\n  "n": 1.10,\n "s": "</textarea> &amp;"}',
        "headers_0_name": "X-Team",
        "headers_0_value": "<db>",
        "method": "PUT",
        "auth": "basic",
        "auth_username": "me",
        "auth_secret": "s3cret-pass",
    }
    channel_id = create(client, **typed)
    assert row_marks(client.get("/channels").text, channel_id) == {
        "state": "delivering",
        "proof": "unproven",
        "health": "unused",
    }
    back = stored_form(client, channel_id)
    assert back["name"] == "Ünïcode ✓ <b>"
    assert back["payload"] == typed["payload"]
    assert (back["url"], back["method"], back["headers-0-name"], back["headers-0-value"]) == (
        typed["url"],
        "PUT",
        "X-Team",
        "<db>",
    )
    assert (back["auth"], back["auth_username"], back["auth_secret"]) == ("basic", "me", "")


def test_saving_an_unchanged_form_changes_only_the_version(client):
    channel_id = create(
        client, auth="bearer", auth_secret="s3cret-token", payload="[1]", timeout="", name="Same"
    )
    before = stored_form(client, channel_id)
    assert client.post(f"/channels/{channel_id}", before).status_code == 303
    after = stored_form(client, channel_id)
    assert {**after, "version": "1", "csrf_token": ""} == {**before, "csrf_token": ""}
    assert after["version"] == "2"


def test_a_name_of_another_channel_is_refused(client):
    first = create(client, name="Ops")
    response = client.post("/channels", form_of(name=" Ops "))
    assert response.status_code == 422
    assert "already" in message_at(response.text, "name")
    assert (
        client.post(
            f"/channels/{first}", {**stored_form(client, first), "timeout": "9"}
        ).status_code
        == 303
    )


def test_an_invalid_form_comes_back_with_all_typed_values(client):
    response = client.post(
        "/channels", form_of(name="Ops", url="htp://x", payload="{", timeout="99")
    )
    assert response.status_code == 422
    assert 'value="htp://x"' in response.text
    assert 'value="99"' in response.text
    assert "https:// URLs only" in message_at(response.text, "url")
    assert "from 1 to 30" in message_at(response.text, "timeout")
    assert Channel.select().count() == 0


def test_pause_and_resume_change_only_the_state(client):
    channel_id = create(client)
    assert client.post(f"/channels/{channel_id}/pause").status_code == 303
    assert row_marks(client.get("/channels").text, channel_id)["state"] == "paused"
    assert client.post(f"/channels/{channel_id}/resume").status_code == 303
    assert row_marks(client.get("/channels").text, channel_id)["state"] == "delivering"
    assert stored_form(client, channel_id)["version"] == "1"


def test_a_copy_is_paused_has_an_unused_name_and_keeps_its_secrets(client, receiver):
    channel_id = create(client, receiver.url, name="Ops", auth="bearer", auth_secret="s3cret-token")
    copies = [
        client.post(f"/channels/{channel_id}/duplicate").headers["Location"] for _ in range(2)
    ]
    assert [stored_form(client, int(copy.split("/")[2]))["name"] for copy in copies] == [
        "Ops (copy)",
        "Ops (copy 2)",
    ]
    copy_id = int(copies[0].split("/")[2])
    assert row_marks(client.get("/channels").text, copy_id)["state"] == "paused"
    client.post(f"/channels/{copy_id}/test", stored_form(client, copy_id))
    assert receiver.requests[0].headers["Authorization"] == "Bearer s3cret-token"


def test_delete_asks_for_confirmation(client):
    channel_id = create(client, name="Ops")
    page = client.get(f"/channels/{channel_id}/delete").text
    assert "Delete “Ops”?" in page
    assert "Messages that wait, such as those of a group, are not sent" in page
    assert Channel.select().count() == 1
    assert client.post(f"/channels/{channel_id}/delete").status_code == 303
    assert client.get(f"/channels/{channel_id}/edit").status_code == 404


def test_the_id_of_a_deleted_channel_is_never_reused(client):
    first = create(client)
    client.post(f"/channels/{first}/delete")
    assert create(client) > first


# --- proofs ---------------------------------------------------------------------------------------


def proof(client, channel_id):
    return row_marks(client.get("/channels").text, channel_id)["proof"]


def test_a_test_of_the_saved_configuration_proves_the_channel(client, receiver):
    channel_id = create(client, receiver.url)
    assert proof(client, channel_id) == "unproven"
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    assert proof(client, channel_id) == "proven by test"
    assert "UTC" in client.get("/channels").text


def test_a_test_of_an_unsaved_edit_proves_the_channel_once_it_is_saved(client, receiver):
    channel_id = create(client, receiver.url)
    edited = {**stored_form(client, channel_id), "payload": "[7]"}
    client.post(f"/channels/{channel_id}/test", edited)
    assert proof(client, channel_id) == "unproven"
    client.post(f"/channels/{channel_id}", edited)
    assert proof(client, channel_id) == "proven by test"


def test_a_new_channel_that_was_tested_before_it_was_saved_is_proven(client, receiver):
    form = form_of(receiver.url)
    client.post("/channels/new/test", form)
    client.post("/channels", form)
    assert proof(client, Channel.get().id) == "proven by test"


def test_a_changed_configuration_is_unproven_but_a_new_name_is_not(client, receiver):
    channel_id = create(client, receiver.url)
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    client.post(f"/channels/{channel_id}", {**stored_form(client, channel_id), "name": "Renamed"})
    assert proof(client, channel_id) == "proven by test"
    client.post(f"/channels/{channel_id}", {**stored_form(client, channel_id), "timeout": "6"})
    assert proof(client, channel_id) == "unproven"


@pytest.mark.parametrize("status", [404, 500, 302])
def test_a_failed_test_proves_nothing(client, receiver, status):
    receiver.script = reply(status)
    channel_id = create(client, receiver.url)
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    assert proof(client, channel_id) == "unproven"


# --- conflicts ------------------------------------------------------------------------------------


def test_a_conflicting_save_shows_both_versions_and_loses_nothing(client):
    channel_id = create(client, name="Ops", payload="[1]")
    mine = theirs = stored_form(client, channel_id)
    client.post(f"/channels/{channel_id}", {**theirs, "name": "Theirs", "timeout": "7"})
    yours = {
        **mine,
        "name": "Yours",
        "payload": "[2]",
        "auth": "bearer",
        "auth_secret": "typed-secret",
    }
    response = client.post(f"/channels/{channel_id}", yours)
    assert response.status_code == 409
    for text in ("Theirs", "Yours", "[1]", "[2]"):
        assert text in response.text
    assert "typed-secret" not in response.text
    assert Channel.get().name == "Theirs"
    again = client.post(f"/channels/{channel_id}", fields_in(response.text))
    assert again.status_code == 303
    assert Channel.get().name == "Yours"


def test_a_conflict_says_which_side_changed_a_field(client):
    channel_id = create(client, name="Ops", payload="[1]")
    mine = theirs = stored_form(client, channel_id)
    client.post(f"/channels/{channel_id}", {**theirs, "timeout": "7", "retries": "1m"})
    mine = {**mine, "timeout": "8", "payload": "[2]"}
    page = client.post(f"/channels/{channel_id}", mine).text
    assert dict(re.findall(r'data-field="([^"]+)".*?<span class="quiet">(.*?)</span>', page)) == {
        "Payload": "changed by you",
        "Timeout (seconds)": "changed in both",
        "Retry schedule": "changed in the saved version",
    }
    ChannelVersion.delete().execute()  # the version that was edited is not kept any more
    page = client.post(f"/channels/{channel_id}", mine).text
    assert 'data-field="Payload"' in page
    assert "changed by you" not in page


def test_the_conflict_page_shows_a_full_url_only_in_its_own_field(client):
    channel_id = create(client, "https://hooks.example.com/services/t0ken-of-theirs")
    mine = {
        **stored_form(client, channel_id),
        "url": "https://hooks.example.com/services/t0ken-of-mine",
    }
    client.post(f"/channels/{channel_id}", stored_form(client, channel_id))
    page = client.post(f"/channels/{channel_id}", mine).text
    assert page.count("t0ken-of-mine") == 1
    assert "t0ken-of-theirs" not in page
    assert "https://hooks.example.com/…" in page


def test_a_typed_secret_survives_a_conflict_without_being_shown(client, receiver):
    channel_id = create(client, receiver.url)
    mine = {**stored_form(client, channel_id), "auth": "bearer", "auth_secret": "typed-secret"}
    client.post(f"/channels/{channel_id}", stored_form(client, channel_id))
    conflict = client.post(f"/channels/{channel_id}", mine)
    client.post(f"/channels/{channel_id}", fields_in(conflict.text))
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    assert receiver.requests[0].headers["Authorization"] == "Bearer typed-secret"


@pytest.mark.parametrize("version", ["", "0", "2", "abc", "9" * 5000])
def test_a_save_of_another_version_than_the_stored_one_is_refused(client, version):
    channel_id = create(client)
    assert (
        client.post(
            f"/channels/{channel_id}", {**stored_form(client, channel_id), "version": version}
        ).status_code
        == 409
    )


def test_a_channel_that_was_deleted_while_edited_can_be_saved_as_a_new_one(client):
    channel_id = create(client, name="Ops")
    mine = stored_form(client, channel_id)
    client.post(f"/channels/{channel_id}/delete")
    response = client.post(f"/channels/{channel_id}", {**mine, "payload": "[3]"})
    assert response.status_code == 404
    assert "[3]" in response.text
    assert client.post("/channels", fields_in(response.text)).status_code == 303
