"""The OpenAPI document: valid, complete, and true of every answer."""

import copy
import re
import secrets
import socket

import pytest
from channels import create
from conftest import Client
from fuzzing import ADDRESS, fuzz
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from clock import HOUR, now_ms
from models import Alert, Channel, Delivery, Replay, Silence
from web.accounts.api_tokens import SCOPES, create_token
from web.api.channel_schema import CHANNEL_MEMBERS
from web.api.openapi import documented_rules
from web.auth.access import HEALTH, scopes_of


def token_of(scope=None):
    """Return the header with a token for one scope, or for all."""
    scopes = [scope] if scope else list(SCOPES)
    _, secret = create_token(secrets.token_hex(8), scopes, None, "ada", now_ms())
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def document(app):
    """Return the document as a client reads it."""
    response = app.test_client().get(ADDRESS, headers=token_of())
    assert (response.status_code, response.mimetype) == (200, "application/json")
    return response.json


def test_the_document_is_valid_openapi(document):
    validate(document)
    assert document["openapi"] == "3.1.0"


def test_every_route_of_machines_is_documented_and_nothing_else(app, document):
    routes = set()
    for rule in app.url_map.iter_rules():
        if scopes_of(app, rule.endpoint) or rule.endpoint in HEALTH:
            path = re.sub(r"<(?:int:)?(\w+)>", r"{\1}", rule.rule)
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                routes.add((method.lower(), path))
    direct = {route for route in routes if not route[1].startswith("/t/")}
    by_path = {(method, path.removeprefix("/t/{token}")) for method, path in routes - direct}
    documented = {(method, path) for path, item in document["paths"].items() for method in item}
    assert documented == direct
    assert by_path <= direct
    assert len(documented) > 45


def test_every_operation_says_what_it_does_and_which_scope_it_needs(app, document):
    seen = set()
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"].endswith("."), path
            seen.add(operation["operationId"])
            scopes = re.findall(r"`([a-z:]+)`", operation["description"])
            assert bool(operation["security"]) == any(scope in SCOPES for scope in scopes), path
    assert len(seen) == sum(map(len, document["paths"].values()))
    for rule in documented_rules(app):
        assert not scopes_of(app, rule.endpoint) or set(scopes_of(app, rule.endpoint)) <= set(
            SCOPES
        )


def test_a_token_with_any_scope_reads_the_document_and_a_stranger_does_not(app):
    client = app.test_client()
    assert client.get(ADDRESS).status_code == 401
    for scope in SCOPES:
        assert client.get(ADDRESS, headers=token_of(scope)).status_code == 200


def test_the_servers_are_at_the_public_address(app, document):
    assert document["servers"] == [{"url": "http://127.0.0.1:8000"}]


# --- real answers ---


def closed(document):
    """Return the document with objects that have no other members than those that it names."""
    document = copy.deepcopy(document)
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return document


def check(document, method, path, response):
    """Check a response against what the document says of its operation."""
    answer = document["paths"][path][method]["responses"][str(response.status_code)]
    if "content" not in answer:
        assert response.data == b""
        return
    assert response.mimetype in answer["content"], (path, response.mimetype)
    if response.mimetype != "text/plain":
        schema = {
            **answer["content"][response.mimetype]["schema"],
            "components": document["components"],
        }
        Draft202012Validator(schema).validate(response.json)
    for header in set(answer.get("headers", ())) - {"Link", "Tocsin-Note", "Retry-After"}:
        assert header in response.headers, (path, header)


def fill(app, receiver):
    """Store a row of everything, and return the values of the parameters in paths."""
    client = Client(app)
    create(
        client, receiver.url, name="Team db", repeat="60", headers_0_name="X-A", headers_0_value="b"
    )
    client.post(
        "/channels/1", {"name": "Renamed", "kind": "webhook", "url": receiver.url, "version": "1"}
    )
    headers = token_of("ingest")
    labels = {"alertname": "Disk", "team": "db"}
    app.test_client().post("/api/v2/alerts", json=[{"labels": labels}], headers=headers)
    Client(app).post("/silences", {"matchers": "team=db", "hours": "2", "reason": "Moving"})
    client.post("/deliveries/replay", {"state": "failed", "choice": "all"})
    assert all(model.select().count() for model in (Alert, Channel, Delivery, Replay, Silence))
    return {
        "channel_id": 1,
        "alert_id": 1,
        "replay_id": 1,
        "silence_id": 1,
        "number": Delivery.get().id,
    }


BODIES = {
    "/api/v1/channels": {"name": "Other", "url": "https://hooks.example.com/x"},
    "/api/v1/channels/{channel_id}": {"name": "Third"},
    "/api/v1/silences": {"matchers": "a=b", "reason": "x"},
    "/api/v1/replays": {"filter": {"state": "failed"}},
    "/api/v1/alerts": [{"name": "Disk"}],
    "/api/v2/alerts": [{"labels": {"alertname": "Load"}}],
    "/api/v2/silences": {
        "matchers": [{"name": "a", "value": "b", "isRegex": False}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2020-01-01T00:00:00Z",
        "createdBy": "ada",
        "comment": "x",
    },
    "/ingest/alertmanager": {"alerts": [{"labels": {"alertname": "a"}, "status": "firing"}]},
    "/ingest/grafana": {"alerts": [{"labels": {"alertname": "a"}, "status": "firing"}]},
    "/ingest/uptrace": {"alert": {"id": "1", "name": "a", "status": "open"}},
}
# The states in which the actions are possible.
STATES = {
    "/resume": lambda: Channel.update(state="paused").execute(),
    "/cancel": lambda: Delivery.update(state="pending").execute(),
    "/snooze": lambda: Delivery.update(state="pending").execute(),
    "/retry": lambda: Delivery.update(state="given_up").execute(),
    "/replay": lambda: Delivery.update(state="failed").execute(),
    "/end": lambda: Silence.update(until=now_ms() + HOUR).execute(),
    "/stop": lambda: Replay.update(state="running").execute(),
    "/continue": lambda: Replay.update(state="stopped").execute(),
}


def test_real_answers_are_as_documented(app, receiver, document):
    document = closed(document)
    arguments = fill(app, receiver)
    headers = token_of()
    client = app.test_client()
    items = [(method, path) for path, item in document["paths"].items() for method in item]
    seen = {}
    for method, path in sorted(items, key=lambda item: item[0] == "delete"):
        values = dict(arguments)
        if path.startswith("/api/v2/"):
            values["silence_id"] = "746f6373-696e-4000-8000-000000000001"
        if "/history/" in path:
            values["number"] = 1
        address = path.format(**values)
        Alert.update(status="open").execute()
        Silence.update(until=1).execute()
        for ending, prepare in STATES.items():
            if path.endswith(ending):
                prepare()
        response = client.open(address, method=method, json=BODIES.get(path, {}), headers=headers)
        check(document, method, path, response)
        seen[method, path] = response.status_code
        if "{" in path:
            unknown = path.format(**dict.fromkeys(values, 999))
            check(
                document,
                method,
                path,
                client.open(unknown, method=method, json={}, headers=headers),
            )
    refused = {route for route, status in seen.items() if not 200 <= status < 300}
    assert refused == {("post", "/api/v2/silences")}  # its example has passed


def test_the_members_of_a_channel_have_the_limits_of_the_form(document):
    schemas = document["components"]["schemas"]
    for name in ("ChannelBody", "ChannelAnswer"):
        members = schemas[name]["properties"]
        assert "1 to 30 seconds" in members["timeout"]["description"]
        assert "1 to 100 characters" in members["name"]["description"]
    members = schemas["ChannelBody"]["properties"]
    assert {"webhook", "telegram", None} <= set(members["kind"]["enum"])
    assert members["signing"]["enum"] == ["none", "standard", "github", "grafana", None]
    assert set(members["timeout"]["anyOf"][0].items()) >= {("minimum", 1), ("maximum", 30)}
    assert members["health"]["readOnly"]
    for name in CHANNEL_MEMBERS:
        for kind in ("ChannelBody", "VersionAnswer"):
            member = schemas[kind]["properties"].get(name)
            assert member is None or member["description"], (kind, name)


def test_an_answer_can_be_sent_back_by_the_schema_of_a_request(app, document, receiver):
    fill(app, receiver)
    channel = app.test_client().get("/api/v1/channels/1", headers=token_of()).json
    schema = document["components"]["schemas"]["ChannelBody"]
    assert schema["additionalProperties"] is False
    Draft202012Validator({**schema, "components": document["components"]}).validate(channel)


def test_every_example_is_valid(document):
    checked = 0
    for item in document["paths"].values():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            for media in content.values():
                schema = {**media["schema"], "components": document["components"]}
                if "example" in media:
                    Draft202012Validator(schema).validate(media["example"])
                    checked += 1
    assert checked >= 2


# --- schemathesis ---


@pytest.fixture
def nowhere(monkeypatch):
    """Know no name and no address but those of the loopback, so that nothing is contacted."""
    getaddrinfo = socket.getaddrinfo
    connect = socket.socket.connect

    def resolve(host, *arguments, **options):
        if host in ("127.0.0.1", "localhost"):
            return getaddrinfo(host, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, "no name is known in this test")

    def connect_to_loopback(self, address):
        if isinstance(address, tuple) and not address[0].startswith("127."):
            raise ConnectionRefusedError("nothing but the loopback is contacted in this test")
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)


def test_no_request_fails_or_gets_an_answer_outside_the_document(app, receiver, document, nowhere):
    report = fuzz(app, token_of(), receiver.url, examples=3)
    assert report.problems == {}
    assert report.failures == 0
    operations = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    assert set(report.cases) == operations
    # The state of a row, or a rule of the form, refuses most of some requests.
    assert len(report.successes) > 30
