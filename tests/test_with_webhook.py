"""Debian's `webhook` (github.com/adnanh/webhook) as a receiver that checks our signature."""

import json

import pytest
from conftest import free_port
from processes import wait_until
from programs import get_json

SECRET = "three large bells"
RULE = {
    "match": {
        "type": "payload-hmac-sha256",
        "secret": SECRET,
        "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
    }
}
COMMAND = """#!/bin/sh
echo "$1" >> {folder}/ran
"""


@pytest.fixture
def start_webhook(programs):
    """Return a function that starts `webhook` with one hook, and returns the hook's URL."""

    def start(**members):
        command = programs.folder / "command"
        command.write_text(COMMAND.format(folder=programs.folder))
        command.chmod(0o700)
        hook = {
            "id": "tocsin",
            "execute-command": str(command),
            "pass-arguments-to-command": [{"source": "payload", "name": "alert.name"}],
            "trigger-rule": RULE,
            **members,
        }
        (programs.folder / "hooks.json").write_text(json.dumps([hook]))
        port = free_port()
        hooks = ("-hooks", programs.folder / "hooks.json", "-verbose")
        url = f"http://127.0.0.1:{port}"
        programs.start("webhook", "-ip", "127.0.0.1", "-port", port, *hooks, url=url)
        return f"{url}/hooks/tocsin"

    return start


def deliver(live, url, **fields):
    """Send an alert to a channel with these fields; return the API's view of the channel."""
    channel_id = live.create_channel(url, name=url, matchers=f'hook="{url}"', **fields)
    headers = live.create_token(url, "channels:read")
    live.post_alert(name="Disk full", labels={"hook": url})

    def attempted():
        channel = get_json(f"{live.url}/api/v1/channels/{channel_id}", headers)
        return channel["health"] != "unused" and channel

    return wait_until(attempted)


def test_a_message_with_the_right_signature_runs_the_command(own_live, programs, start_webhook):
    channel = deliver(own_live, start_webhook(), signing="github", signing_secret=SECRET)
    assert (channel["health"], channel["trouble"]) == ("ok", None)
    wait_until((programs.folder / "ran").exists)
    wait_until(lambda: (programs.folder / "ran").read_text() == "Disk full\n")


def test_a_wrong_signature_is_a_failure_of_webhook(own_live, programs, start_webhook):
    channel = deliver(own_live, start_webhook(), signing="github", signing_secret="other")
    assert channel["health"] == "retrying"
    assert "answered 500 Internal Server Error" in channel["trouble"]["text"]
    assert not (programs.folder / "ran").exists()


@pytest.mark.parametrize(
    ("members", "answer"),
    [
        ({"trigger-rule-mismatch-http-response-code": 403}, "answered 403 Forbidden"),
        ({}, "answered 200 OK, but its body says that it refused the message: Hook rules were not"),
    ],
)
def test_an_unsigned_message_is_refused_whatever_the_status_is(
    own_live, programs, start_webhook, members, answer
):
    channel = deliver(own_live, start_webhook(**members))
    assert channel["health"] == "retrying"
    assert answer in channel["trouble"]["text"]
    assert not (programs.folder / "ran").exists()
