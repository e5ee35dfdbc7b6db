"""Tests of the channel API: authentication, responses without secrets, writing and refusals."""

import json

import pytest
from channels import create, stored_form
from receiver import reply

from clock import now_ms
from delivery.alerts.alert import rfc3339
from delivery.channel_test import TestSlotsFull
from delivery.settings import read_settings
from models import Channel, ChannelState
from web.accounts.api_tokens import create_token
from web.api import channel_schema, channels
from web.channels.editor import save
from web.services import services

URL = "https://hooks.example.com/services/t0ken-of-the-url"
SECRETS = {
    "auth": "bearer",
    "auth_secret": "s3cret-of-auth",
    "signing": "github",
    "signing_secret": "s3cret-of-signing",
}
ROWS = [
    {"name": "X-Key", "value": "s3cret-of-row", "secret": True},
    {"name": "X-Team", "value": "db"},
]
FULL = {
    "name": "Full",
    "url": URL,
    **SECRETS,
    "headers": ROWS,
    "payload": '{ "n": 1.10 }',
    "timeout": 7,
    "verify_tls": False,
}
PATHS = [
    ("GET", "/api/v1/channels", "channels:read"),
    ("GET", "/api/v1/channels/1", "channels:read"),
    ("POST", "/api/v1/channels", "channels:write"),
    ("PUT", "/api/v1/channels/1", "channels:write"),
    ("DELETE", "/api/v1/channels/1", "channels:write"),
    ("POST", "/api/v1/channels/1/test", "channels:write"),
]


class Script:
    """A client of the API with a token, without cookies."""

    def __init__(self, app, *scopes):
        self._app = app
        with app.app_context():
            _token, self.secret = create_token(
                " ".join(scopes), list(scopes), None, "ada", now_ms()
            )

    def request(self, method, path="", sent=None, **kwargs):
        """Send a request below /api/v1/channels; anything but a string becomes JSON."""
        data = sent if sent is None or isinstance(sent, str | bytes) else json.dumps(sent)
        headers = {"Authorization": f"Bearer {self.secret}"}
        response = self._app.test_client().open(
            f"/api/v1/channels{path}", method=method, data=data, headers=headers, **kwargs
        )
        assert "Set-Cookie" not in response.headers
        if response.status_code >= 400:
            assert response.mimetype == "application/problem+json", response.text
            assert {"type", "title", "status", "detail"} <= set(response.json)
            assert response.json["status"] == response.status_code
        return response

    def create(self, **members):
        """Create a channel, and return its JSON."""
        response = self.request("POST", "", {"name": "Made", "url": URL, **members})
        assert response.status_code == 201, response.text
        return response.json

    def errors(self, members, method="POST", path="", status=422):
        """Return the messages that a channel is refused with."""
        response = self.request(method, path, members)
        assert response.status_code == status, response.text
        return response.json["errors"]


@pytest.fixture
def script(app):
    """Return a client with both scopes for channels."""
    return Script(app, "channels:read", "channels:write")


def settings_of(app, channel_id):
    """Return the stored settings with decrypted secrets."""
    with app.app_context():
        return read_settings(Channel.find(channel_id), services().keyring).settings


# --- authentication ---


@pytest.mark.parametrize(("method", "path", "scope"), PATHS)
def test_every_route_requires_a_token_with_its_scope(app, client, method, path, scope):
    create(client)
    others = {"ingest", "metrics", "channels:read", "channels:write"} - {scope}
    script = Script(app, *sorted(others))
    answers = {
        "no token": app.test_client().open(path, method=method),
        "an unknown token": app.test_client().open(
            path, method=method, headers={"Authorization": "Bearer tocsin_x"}
        ),
        "a password": app.test_client().open(path, method=method, auth=("x", script.secret)),
        "a person's cookie": client._client.open(path, method=method),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        answers, 401
    )
    assert all(
        answer.headers["WWW-Authenticate"].startswith("Bearer") for answer in answers.values()
    )
    assert all(answer.mimetype == "application/problem+json" for answer in answers.values())
    denied = script.request(method, path.removeprefix("/api/v1/channels"))
    assert (denied.status_code, scope in denied.json["detail"]) == (403, True)
    assert Channel.select().count() == 1


def test_an_expired_token_is_refused(app):
    with app.app_context():
        _token, secret = create_token(
            "old", ["channels:read"], 1, "ada", now_ms() - 2 * 24 * 60 * 60 * 1000
        )
    answer = app.test_client().get(
        "/api/v1/channels", headers={"Authorization": f"Bearer {secret}"}
    )
    assert (answer.status_code, "expired" in answer.json["detail"]) == (401, True)


# --- responses ---


def test_without_channels_the_list_is_empty(script):
    assert script.request("GET").json == {"channels": []}


def test_a_created_channel_is_at_its_location(app, script):
    response = script.request("POST", "", FULL)
    assert response.status_code == 201
    channel_id = response.json["id"]
    assert response.headers["Location"] == f"/api/v1/channels/{channel_id}"
    assert script.request("GET", f"/{channel_id}").json == response.json
    assert script.request("GET").json == {"channels": [response.json]}
    settings = settings_of(app, channel_id)
    assert (settings.url, settings.auth_secret, settings.signing_secret) == (
        URL,
        "s3cret-of-auth",
        "s3cret-of-signing",
    )
    assert (settings.timeout, settings.verify_tls, settings.headers[0].value) == (
        7,
        False,
        "s3cret-of-row",
    )


def test_a_response_has_every_member_but_no_secret(script):
    shown = script.create(**FULL)
    assert shown == {
        "id": 1,
        "name": "Full",
        "kind": "webhook",
        "url": "https://hooks.example.com/…-url",
        "method": "POST",
        "headers": [
            {"name": "X-Key", "value": "", "secret": True},
            {"name": "X-Team", "value": "db", "secret": False},
        ],
        "auth": "bearer",
        "auth_username": "",
        "signing": "github",
        "signing_timestamp_header": "",
        "options": {},
        "matchers": "",
        "group_by": "",
        "group_wait": None,
        "separate": False,
        "fallback": None,
        "retries": "",
        "repeat": None,
        "drill": None,
        "payload": '{ "n": 1.10 }',
        "body": "",
        "timeout": 7,
        "verify_tls": False,
        "ca_pem": "",
        "version": 1,
        "secrets": ["auth_secret", "signing_secret"],
        "state": "delivering",
        "proof": "unproven",
        "health": "unused",
        "trouble": None,
        "origin": "https://hooks.example.com",
        "provisioned": None,
        "created_at": shown["created_at"],
        "updated_at": shown["updated_at"],
    }
    assert shown["created_at"].endswith("Z")


def test_no_response_contains_a_secret(script):
    options = {"bot_token": "12345678:s3cret-of-option", "chat_id": "7"}
    telegram = {"kind": "telegram", "name": "Telegram", "url": "", "options": options}
    wrong = {**FULL, "name": "", "timeout": 99}
    responses = [
        *(script.request("POST", "", sent).text for sent in (FULL, telegram, FULL, wrong)),
        *(script.request("PUT", "/1", sent).text for sent in (FULL, wrong, {**FULL, "version": 1})),
        *(script.request("GET", path).text for path in ("", "/1", "/2")),
    ]
    assert not [text for text in responses if "s3cret" in text or "t0ken-of-the-url" in text]
    assert script.request("GET", "/2").json["secrets"] == ["options-bot_token"]
    assert script.request("GET", "/2").json["options"]["chat_id"] == "7"


def test_a_damaged_channel_is_listed_with_its_problem(client, script):
    whole, damaged = create(client, name="Whole"), create(client, name="Damaged")
    Channel.update(sealed="nonsense", settings="[", kind="unheard").where(
        Channel.id == damaged
    ).execute()
    rows = {row["name"]: row for row in script.request("GET").json["channels"]}
    assert "problem" not in rows["Whole"]
    assert "cannot be decrypted" in rows["Damaged"]["problem"]
    assert (rows["Damaged"]["url"], rows["Damaged"]["id"], rows["Whole"]["id"]) == (
        "",
        damaged,
        whole,
    )


def test_a_channel_of_an_unknown_kind_has_a_problem(client, script):
    Channel.update(kind="unheard").where(Channel.id == create(client)).execute()
    assert script.request("GET", "/1").json["problem"] == "Its kind or URL cannot be used."


@pytest.mark.parametrize("path", ["/7", "/0", f"/{10**30}"])
@pytest.mark.parametrize(
    ("method", "below"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test")]
)
def test_a_channel_that_does_not_exist_is_not_found(script, method, path, below):
    assert script.request(method, path + below, {}).status_code == 404


def test_a_deleted_channel_is_not_found(script):
    script.create()
    response = script.request("DELETE", "/1")
    assert (response.status_code, response.data) == (204, b"")
    assert script.request("GET", "/1").status_code == 404


# --- writing ---


@pytest.mark.parametrize(
    "dropped", [[], ["url"], ["version"], ["secrets", "problem", "state", "proof", "id", "origin"]]
)
def test_a_response_can_be_sent_back_and_changes_nothing(app, script, dropped):
    read = script.create(**FULL)
    before = settings_of(app, 1)
    sent = {name: value for name, value in read.items() if name not in dropped}
    response = script.request("PUT", "/1", sent)
    assert response.status_code == 200, response.text
    assert {**response.json, "updated_at": ""} == {**read, "version": 2, "updated_at": ""}
    assert settings_of(app, 1) == before


def test_a_response_has_health_and_trouble_which_a_request_may_repeat(script):
    script.create()
    since = 1_790_000_000_000
    Channel.update(trouble_since=since, trouble="It answered 503.").execute()
    read = script.request("GET", "/1").json
    assert read["health"] == "retrying"
    assert read["trouble"] == {"since": rfc3339(since), "text": "It answered 503."}
    response = script.request("PUT", "/1", {**read, "health": "ok", "trouble": None})
    assert response.status_code == 200
    assert response.json["trouble"] == read["trouble"]


def test_a_page_and_a_script_read_and_write_the_same_channel(client, script):
    script.create(**FULL)
    form = stored_form(client, 1)
    assert (form["url"], form["payload"], form["timeout"], form["headers-1-value"]) == (
        URL,
        FULL["payload"],
        "7",
        "db",
    )
    assert client.post("/channels/1", form).status_code == 303
    assert script.request("GET", "/1").json["version"] == 2


def test_an_absent_member_gets_its_default_except_url_and_secrets(app, script):
    script.create(**FULL)
    kept = {name: SECRETS[name] for name in ("auth", "signing")}
    shown = script.request("PUT", "/1", {"name": "Less", **kept}).json
    assert (shown["payload"], shown["timeout"], shown["verify_tls"], shown["headers"]) == (
        "",
        10,
        True,
        [],
    )
    settings = settings_of(app, 1)
    assert (settings.url, settings.auth_secret, settings.signing_secret) == (
        URL,
        "s3cret-of-auth",
        "s3cret-of-signing",
    )


STORED = "whsec_b2xkLXNlY3JldA=="
OLD = {
    "signing": "standard",
    "signing_secret": "whsec_bmV3LXNlY3JldA==",
    "signing_secret_old": STORED,
}


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ({}, "whsec_b2xkLXNlY3JldA=="),
        ({"signing_secret_old": ""}, "whsec_b2xkLXNlY3JldA=="),
        ({"signing_secret_old": None}, ""),
    ],
)
def test_a_secret_stays_when_absent_or_empty_and_is_removed_by_null(app, script, sent, left):
    script.create(**OLD)
    shown = script.request("PUT", "/1", {"name": "Made", "signing": "standard", **sent}).json
    assert settings_of(app, 1).signing_secret_old == left
    assert ("signing_secret_old" in shown["secrets"]) == bool(left)


def test_a_secret_option_stays_and_another_gets_its_default(app, script):
    options = {"bot_token": "12345678:s3cret", "chat_id": "7", "silent": "below_critical"}
    shown = script.create(kind="telegram", url=None, options=options)
    assert (shown["url"], shown["secrets"]) == ("https://api.telegram.org/", ["options-bot_token"])
    shown = script.request(
        "PUT", "/1", {"name": "Made", "kind": "telegram", "options": {"chat_id": "8"}}
    ).json
    settings = settings_of(app, 1)
    assert (settings.option("bot_token"), settings.option("chat_id")) == ("12345678:s3cret", "8")
    assert shown["options"] == {"chat_id": "8"}
    null = {"chat_id": "8", "message_thread_id": None}
    script.request("PUT", "/1", {"name": "Made", "kind": "telegram", "options": options})
    shown = script.request("PUT", "/1", {"name": "Made", "kind": "telegram", "options": null}).json
    assert shown["options"] == {"chat_id": "8"}
    removed = {"name": "Made", "kind": "telegram", "options": {"bot_token": None, "chat_id": "8"}}
    assert list(script.errors(removed, "PUT", "/1")) == ["options-bot_token"]


def test_a_stored_secret_is_not_sent_to_another_origin(app, script):
    script.create(**FULL)
    elsewhere = {**script.request("GET", "/1").json, "url": "https://elsewhere.example.com/x"}
    assert set(script.errors(elsewhere, "PUT", "/1")) == {
        "auth_secret",
        "signing_secret",
        "headers-0-value",
    }
    assert settings_of(app, 1).url == URL


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_shortened_url_is_refused(app, script, method):
    script.create(name="First")
    errors = script.errors(
        {"name": "Second", "url": "https://hooks.example.com/…else"},
        method,
        "/1" if method == "PUT" else "",
    )
    assert "shortened" in errors["url"][0]
    assert settings_of(app, 1).url == URL


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (json.dumps(' {"a":\r\n 1.10}'), ' {"a":\r\n 1.10}'),
        ('{ "a" : 1.10,\n "b": [1e400, -0] }', '{ "a" : 1.10,\n "b": [1e400, -0] }'),
        ('{"a": "\\u007b{ x }}", "b\\"}": "],:é"}', '{"a": "\\u007b{ x }}", "b\\"}": "],:é"}'),
        ("1" * 5000, "1" * 5000),
        ("[]", "[]"),
        ("false", "false"),
        ("0", "0"),
        ("null", ""),
        ('"null"', "null"),
        (json.dumps('"text"'), '"text"'),
    ],
)
def test_a_payload_is_stored_unchanged(app, script, sent, stored):
    body = f'{{"name": "Made", "url": "{URL}", "payload": {sent} , "timeout":null}}'
    response = script.request("POST", "", body.encode())
    assert (response.status_code, response.json.get("payload")) == (201, stored), response.text
    assert settings_of(app, 1).payload == stored


def test_a_body_may_be_an_object(script):
    assert (
        script.create(kind="custom", body={"text": "{{ alert.name }}"})["body"]
        == '{"text": "{{ alert.name }}"}'
    )


@pytest.mark.parametrize(("version", "status"), [(1, 409), (3, 409), (2, 200), (None, 200)])
def test_a_put_with_another_version_is_a_conflict(script, version, status):
    script.create()
    assert script.request("PUT", "/1", {"name": "Second"}).status_code == 200
    assert script.request("PUT", "/1", {"name": "Third", "version": version}).status_code == status


def test_a_concurrent_save_is_not_overwritten(script, monkeypatch):
    script.create()

    def save_after_another_user(edit, _restored):
        Channel.update(version=Channel.version + 1, name="Theirs").execute()
        return save(edit)

    monkeypatch.setattr(channels, "save", save_after_another_user)
    response = script.request("PUT", "/1", {"name": "Mine"})
    assert (response.status_code, Channel.find(1).name) == (409, "Theirs")


def test_a_name_taken_by_a_concurrent_save_is_refused(script, monkeypatch):
    script.create(name="First")
    monkeypatch.setattr(Channel, "name_taken", classmethod(lambda cls, name, except_id: False))
    assert "choose another" in script.errors({"name": "First", "url": URL})["name"][0]
    assert Channel.select().count() == 1


def test_saving_sends_nothing(script, receiver):
    script.create(url=receiver.url)
    script.request("PUT", "/1", {"name": "Again"})
    assert not receiver.connections


# --- refusals ---

GOOD = {"name": "Made", "url": URL}
REFUSED = [
    ({**GOOD, "name": ""}, "name", "Enter a name for the channel"),
    ({**GOOD, "name": "\ud83d\ude00\u202e"}, "name", "control character"),
    ({"name": "Made"}, "url", "Enter the URL"),
    ({**GOOD, "url": "http://10.0.0.1/"}, "url", "TOCSIN_ALLOW_NETWORKS"),
    ({**GOOD, "kind": "unheard", "options": {"x": "y"}}, "kind", "Choose one of the list"),
    ({**GOOD, "timeout": 31}, "timeout", "from 1 to 30"),
    ({**GOOD, "timeout": 1.5}, "timeout", "whole number"),
    ({**GOOD, "timeout": 10**400}, "timeout", "whole number"),
    ({**GOOD, "payload": "{"}, "payload", "Line 1"),
    ({**GOOD, "payload": json.loads("[" * 70 + "]" * 70)}, "payload", "nested deeper than 64"),
    ({**GOOD, "payload": "[" * 50_000}, "payload", "nested deeper than 64"),
    ({**GOOD, "payload": ["x" * 70_000]}, "payload", "at most 65,536"),
    (
        {**GOOD, "kind": "custom", "body": {"a": "{{ alert.nam }}"}},
        "body",
        "did you mean alert.name?",
    ),
    ({**GOOD, "auth": "bearer"}, "auth_secret", "Enter the secret"),
    ({**GOOD, "auth": None, "method": "DELETE"}, "method", "Choose one of the list"),
    (
        {**GOOD, "headers": [ROWS[1], {"name": "Host", "value": "x"}]},
        "headers-1-name",
        "Tocsin sets",
    ),
    (
        {**GOOD, "headers": [{"name": f"X-{number}", "value": "x"} for number in range(5000)]},
        "headers",
        "the maximum is 20",
    ),
    (
        {**GOOD, "kind": "telegram", "options": {"chat_id": "7"}},
        "options-bot_token",
        "This field is required",
    ),
    (
        {
            **GOOD,
            "kind": "telegram",
            "options": {"bot_token": "1:x", "chat_id": "7", "silent": "always"},
        },
        "options-silent",
        "choose one of these values: below_critical",
    ),
    (
        {**GOOD, "kind": "slack", "options": {"time_zone": "Mars"}},
        "options-time_zone",
        "no such time zone",
    ),
    # members that do not exist
    ({**GOOD, "naem": "x"}, "naem", "no such member"),
    ({**GOOD, "headers-0-name": "X"}, "headers-0-name", "no such member"),
    ({**GOOD, "auth_secret-remove": "1"}, "auth_secret-remove", "no such member"),
    ({**GOOD, "csrf_token": "1"}, "csrf_token", "no such member"),
    ({**GOOD, "headers": [{"name": "X", "valeu": "y"}]}, "headers-0-valeu", "no such member"),
    ({**GOOD, "options": {"token": "x"}}, "options-token", "no such member"),
    (
        {**GOOD, "kind": "telegram", "options": {"bot_token-remove": "1"}},
        "options-bot_token-remove",
        "no such member",
    ),
    # wrong types
    ({**GOOD, "name": ["x"]}, "name", "must be a string"),
    ({**GOOD, "name": 5}, "name", "must be a string"),
    ({**GOOD, "url": {"a": 1}}, "url", "must be a string"),
    ({**GOOD, "auth_secret": False}, "auth_secret", "must be a string"),
    ({**GOOD, "timeout": "5"}, "timeout", "must be a number"),
    ({**GOOD, "timeout": True}, "timeout", "must be a number"),
    ({**GOOD, "version": "1"}, "version", "must be a number"),
    ({**GOOD, "verify_tls": "no"}, "verify_tls", "must be true or false"),
    ({**GOOD, "verify_tls": 0}, "verify_tls", "must be true or false"),
    ({**GOOD, "headers": {"X-Team": "db"}}, "headers", "must be a list"),
    ({**GOOD, "headers": ["X-Team: db"]}, "headers-0", "must be an object"),
    ({**GOOD, "headers": [{"name": None, "value": "x"}]}, "headers-0-name", "must be a string"),
    (
        {**GOOD, "headers": [{"name": "X", "value": None, "secret": True}]},
        "headers-0-value",
        "must be a string",
    ),
    (
        {**GOOD, "headers": [{"name": "X", "value": "x", "secret": 1}]},
        "headers-0-secret",
        "must be true or false",
    ),
    ({**GOOD, "options": [1]}, "options", "must be an object"),
    (
        {**GOOD, "kind": "telegram", "options": {"bot_token": 5}},
        "options-bot_token",
        "must be a string",
    ),
    ({**GOOD, "kind": "unheard", "options": {"token": []}}, "options-token", "must be a string"),
]


@pytest.mark.parametrize(("sent", "member", "words"), REFUSED)
def test_an_invalid_member_is_refused_with_a_message(script, sent, member, words):
    errors = script.errors(sent)
    assert list(errors) == [member]
    assert words in errors[member][0]
    assert Channel.select().count() == 0


HOSTILE = [
    (b"", 400, "could not be read as JSON"),
    (b"name=Made&kind=webhook", 400, "Line 1, column 1"),
    (b'{"name": "x",\n "url"}', 400, "Line 2, column 7"),
    (b'{"name": "\xff"}', 400, "not valid UTF-8"),
    (b'{"name": "\\ud800"}', 400, "half of a surrogate pair"),
    (b'{"\\ud800": 1}', 400, "half of a surrogate pair"),
    (b'{"timeout": NaN}', 400, "NaN is not JSON"),
    (b'{"payload": [-Infinity]}', 400, "-Infinity is not JSON"),
    (b'{"name": "a", "name": "b"}', 400, "'name' appears twice"),
    (b'{"payload": [{"\\u0061": 1, "a": 2}]}', 400, "'a' appears twice"),
    (b"[" * 100_000, 400, "nested too deep"),
    (b'{"payload":' * 50_000 + b"1" + b"}" * 50_000, 400, "nested too deep"),
    (b"[" * 900 + b"]" * 900, 422, "one JSON object"),
    (b"[]", 422, "one JSON object"),
    (b"null", 422, "one JSON object"),
    (b'"text"', 422, "one JSON object"),
    (b"9" * 5000, 422, "one JSON object"),
    (b'{"name": "\x00"}', 400, "control character"),
    (b'{"name": "x"}' + b" " * 1_100_000, 413, ""),
]


@pytest.mark.parametrize(("body", "status", "words"), HOSTILE)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_hostile_body_is_refused_with_a_message(script, method, body, status, words):
    script.create()
    response = script.request(method, "/1" if method == "PUT" else "", body)
    assert (response.status_code, words in response.json["detail"]) == (status, True), response.text
    assert script.request("GET", "/1").json["version"] == 1


@pytest.mark.parametrize(
    "member", [*channel_schema.READ_ONLY, "headers", "options", "payload", "naem"]
)
@pytest.mark.parametrize(
    "value",
    ["[" * 500 + "]" * 500, '{"a":' * 300 + "1" + "}" * 300, '"\\u0000\\u202e"', "1e999999999"],
)
def test_no_value_of_a_member_causes_an_internal_error(script, member, value):
    response = script.request(
        "POST", "", f'{{"name": "Made", "url": "{URL}", "{member}": {value}}}'
    )
    assert response.status_code in (201, 422)


@pytest.mark.parametrize(
    "sent",
    [b'\xef\xbb\xbf{"name": "Made", "url": "https://x.example/"}', json.dumps(GOOD).encode()],
)
@pytest.mark.parametrize(
    "mimetype",
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"],
)
def test_json_is_accepted_with_any_content_type(script, sent, mimetype):
    assert script.request("POST", "", sent, content_type=mimetype).status_code == 201


def test_an_unsupported_method_gets_the_allowed_ones(script):
    response = script.request("PATCH", "/1", {})
    assert (
        response.status_code,
        set(response.headers["Allow"].split(", ")) >= {"GET", "PUT", "DELETE"},
    ) == (405, True)


# --- tests ---


@pytest.mark.parametrize("sent", [None, "{}", " "])
def test_a_test_sends_and_proves_the_channel(script, receiver, sent):
    script.create(url=receiver.url, payload="[1]")
    response = script.request("POST", "/1/test", sent)
    result = response.json
    marks = {name: result[name] for name in ("verdict", "reason", "actor", "status", "unstored")}
    assert response.status_code == 200
    assert marks == {
        "verdict": "delivered",
        "reason": "ok",
        "actor": "receiver",
        "status": 200,
        "unstored": "",
    }
    message = json.loads(receiver.requests[0].body)
    assert (message["payload"], message["alert"]["url"]) == (
        [1],
        "http://127.0.0.1:8000/channels/1/edit",
    )
    assert [stage["name"] for stage in result["stages"]] == [
        "policy",
        "dns",
        "tcp",
        "sent",
        "first byte",
        "verdict",
    ]
    assert result["says"]
    assert result["milliseconds"] > 0
    assert script.request("GET", "/1").json["proof"] == "proven by test"
    assert len(receiver.requests) == 1


def test_a_test_returns_the_response_of_the_receiver_without_secrets(script, receiver):
    script.create(url=receiver.url, **SECRETS)
    receiver.script = reply(404, b"no hook t0ken-of-the-path for s3cret-of-auth <b>")
    response = script.request("POST", "/1/test")
    assert (response.status_code, response.json["verdict"], response.json["status"]) == (
        200,
        "failed",
        404,
    )
    assert "no hook" in response.json["excerpt"]
    assert response.json["hint"]
    assert not [secret for secret in ("t0ken-of-the-path", "s3cret") if secret in response.text]


def test_a_test_of_a_paused_channel_sends_too(script, receiver):
    script.create(url=receiver.url)
    Channel.update(state=ChannelState.PAUSED).execute()
    assert script.request("POST", "/1/test").json["verdict"] == "delivered"
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"sealed": "x"}, "cannot be decrypted"),
        ({"settings": "["}, "damaged"),
        ({"kind": "x"}, "'x' is not known"),
    ],
)
def test_a_test_of_a_damaged_channel_is_refused(script, receiver, damage, words):
    script.create(url=receiver.url)
    Channel.update(**damage).execute()
    response = script.request("POST", "/1/test")
    assert (response.status_code, response.json["detail"].startswith("Nothing was sent.")) == (
        422,
        True,
    )
    assert words in response.json["detail"]
    assert not receiver.connections


def test_a_test_with_a_body_is_refused(script, receiver):
    script.create(url=receiver.url)
    response = script.request("POST", "/1/test", {"url": "https://elsewhere.example.com/"})
    assert (response.status_code, "no body" in response.json["detail"]) == (422, True)
    assert not receiver.connections


def test_a_test_without_a_free_slot_is_refused_at_once(app, script, receiver):
    script.create(url=receiver.url)
    bench = app.extensions["tocsin"].test_runner
    taken = 0
    while bench._slots.acquire(blocking=False):
        taken += 1
    response = script.request("POST", "/1/test")
    bench._slots.release(taken)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert not receiver.connections
    assert script.request("POST", "/1/test").status_code == 200


def test_the_rate_limit_of_a_vendor_names_the_vendor(app, script, monkeypatch):
    script.create()

    def busy(_settings, _url, _in_group):
        raise TestSlotsFull(2.5, "Telegram")

    monkeypatch.setattr(app.extensions["tocsin"].test_runner, "run", busy)
    response = script.request("POST", "/1/test")
    assert (response.status_code, response.headers["Retry-After"], "Telegram" in response.text) == (
        429,
        "3",
        True,
    )


def test_a_test_that_cannot_be_recorded_still_returns_its_result(script, receiver, monkeypatch):
    script.create(url=receiver.url)
    monkeypatch.setattr(channels, "store_result", lambda *_args: "The disk is full.")
    result = script.request("POST", "/1/test").json
    assert (result["verdict"], result["unstored"]) == ("delivered", "The disk is full.")
