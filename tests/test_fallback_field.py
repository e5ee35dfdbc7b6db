"""The fallback of a channel in the form, on its pages and in the API."""

import pytest
from channels import create, fields_in, form_of, message_at, stored_form
from test_api import Script

from clock import now_ms
from delivery import outbox
from models import MAX_ID, Channel
from web.channels.editor import open_edit, save

UNKNOWN = "There is no such channel. It may have been deleted: choose another one, or none."
ITSELF = "A channel cannot be its own fallback: choose another one, or none."


@pytest.fixture
def chain(client):
    """Return the ids of four channels, A to D, each with the next one as its fallback."""
    ids = []
    for name in "DCBA":
        fallback = str(ids[-1]) if ids else ""
        ids.append(create(client, name=name, fallback=fallback))
    return ids[::-1]


def message(client, fallback, path="new"):
    """Return the message of a check of the field."""
    form = form_of(name="Other", fallback=str(fallback))
    response = client.post(f"/channels/{path}/validate/fallback", form, htmx=True)
    assert response.status_code == 200
    return response.text


def test_another_channel_or_none_is_a_valid_fallback(client, chain):
    for fallback in ("", " ", *chain, f" {chain[0]} "):
        assert message(client, fallback) == ""
    assert message(client, chain[2], chain[0]) == ""


@pytest.mark.parametrize(
    "fallback", ["0", "-1", "99", "1.0", "x", "A", "٣", str(MAX_ID), str(MAX_ID + 1), "9" * 5000]
)
def test_a_fallback_that_does_not_exist_is_refused(client, chain, fallback):
    assert message(client, fallback) == UNKNOWN


def test_a_channel_is_not_its_own_fallback(client, chain):
    assert message(client, chain[0], chain[0]) == ITSELF


def test_a_circle_is_refused_with_the_channel_at_which_it_closes(client, chain):
    for start in chain[:3]:
        expected = "This makes a circle: the fallback of “C” is this channel."
        assert message(client, start, chain[3]).startswith(expected)
    assert "the fallback of “A” is this channel" in message(client, chain[0], chain[1])
    form = {**stored_form(client, chain[3]), "fallback": str(chain[0])}
    response = client.post(f"/channels/{chain[3]}", form)
    assert response.status_code == 422
    assert "the fallback of “C” is this channel" in message_at(response.text, "fallback")
    assert fields_in(response.text)["fallback"] == str(chain[0])


def test_a_stored_circle_of_other_channels_ends_the_check(client, chain):
    Channel.update(fallback_id=chain[1]).where(Channel.id == chain[2]).execute()
    assert message(client, chain[1], chain[0]) == ""


def test_the_page_offers_every_other_channel_and_none(client, chain):
    page = client.get(f"/channels/{chain[1]}/edit").text
    select = page.partition('<select id="fallback"')[2].partition("</select>")[0]
    options = [part.partition(">")[2].partition("<")[0] for part in select.split("<option")[1:]]
    assert options == ["None", "A", "C", "D"]
    assert stored_form(client, chain[1])["fallback"] == str(chain[2])
    assert stored_form(client, chain[3])["fallback"] == ""


def test_a_deleted_channel_is_no_fallback_any_more(client, chain):
    open_form = stored_form(client, chain[0])
    assert client.post(f"/channels/{chain[1]}/delete").status_code == 303
    assert Channel.get_by_id(chain[0]).fallback_id is None
    assert Channel.get_by_id(chain[2]).fallback_id == chain[3]
    form = stored_form(client, chain[0])
    assert form["fallback"] == ""
    stale = client.post(f"/channels/{chain[0]}", open_form)
    assert (stale.status_code, message_at(stale.text, "fallback")) == (422, UNKNOWN)
    assert client.post(f"/channels/{chain[0]}", form).status_code == 303


def test_a_channel_whose_stored_fallback_does_not_exist_shows_none_and_saves(client, chain):
    Channel.update(fallback_id=99).where(Channel.id == chain[0]).execute()
    form = stored_form(client, chain[0])
    assert form["fallback"] == ""
    assert client.post(f"/channels/{chain[0]}", form).status_code == 303
    assert Channel.get_by_id(chain[0]).fallback_id is None


def test_a_channel_deleted_between_the_check_and_the_save_is_not_stored(client, app, chain):
    form = {**stored_form(client, chain[0]), "fallback": str(chain[3])}
    with app.test_request_context(f"/channels/{chain[0]}", method="POST", data=form) as context:
        edit = open_edit(chain[0], context.request.form)
        assert edit.form.validate()
        outbox.delete_channel(chain[3], now_ms())
        save(edit)
    assert Channel.get_by_id(chain[0]).fallback_id is None


def test_the_api_reads_and_writes_a_fallback(app):
    script = Script(app, "channels:read", "channels:write")
    first = script.create(name="First")
    made = script.create(name="Second", fallback=first["id"])
    assert (first["fallback"], made["fallback"]) == (None, first["id"])
    again = script.request("PUT", f"/{made['id']}", made).json
    assert again["fallback"] == first["id"]
    circle = {**first, "fallback": made["id"]}
    errors = script.errors(circle, "PUT", f"/{first['id']}")
    assert "the fallback of “Second” is this channel" in errors["fallback"][0]
    other = {"name": "Other", "url": "https://h.example/"}
    assert script.errors({**other, "fallback": 99})["fallback"] == [UNKNOWN]
    assert script.errors({**other, "fallback": 1.5})["fallback"] == [UNKNOWN]
    assert script.errors({**other, "fallback": "1"})["fallback"] == ["This must be a number."]
    assert script.errors({**other, "fallback": True})["fallback"] == ["This must be a number."]
    none = script.request("PUT", f"/{made['id']}", {**again, "version": None, "fallback": None})
    assert none.json["fallback"] is None
    assert script.request("DELETE", f"/{first['id']}").status_code == 204
