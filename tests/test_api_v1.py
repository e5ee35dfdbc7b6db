"""Deliveries, alerts, silences, replays and the history of channels for scripts."""

import json

import pytest
from channels import create
from conftest import Client

from clock import HOUR, now_ms
from delivery import outbox
from models import AuditEntry, Channel, Delivery, DeliveryState, Replay, Silence
from web.accounts.api_tokens import SCOPES, create_token
from web.api import channels as channels_api
from web.channels.editor import save

URL = "http://127.0.0.1:1"


class Api:
    """A client of /api/v1 with a token for everything."""

    def __init__(self, app):
        _, secret = create_token("all", list(SCOPES), None, "ada", now_ms())
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {secret}"}

    def send(self, method, path, body=None, **headers):
        """Send a request, and return the response; every error is a problem document."""
        data = None if body is None else json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self._client.open(
            f"/api/v1{path}", method=method, data=data, headers={**self._headers, **names}
        )
        if response.status_code >= 400:
            assert response.mimetype == "application/problem+json", response.text
            assert response.json["status"] == response.status_code
        return response

    def get(self, path, status=200, **headers):
        """Return the JSON of a response."""
        response = self.send("GET", path, **headers)
        assert response.status_code == status, response.text
        return response.json

    def post(self, path, body=None, status=200, **headers):
        """Post something, and return the JSON of the response."""
        response = self.send("POST", path, body, **headers)
        assert response.status_code == status, response.text
        return response.json

    def alert(self, name="Disk", **members):
        """Store an alert, and return its id and those of its deliveries."""
        answer = self.post("/alerts", {"name": name, **members}, 202)["alerts"][0]
        return answer["id"], answer["deliveries"]


@pytest.fixture
def api(app):
    """Return a client for scripts."""
    return Api(app)


@pytest.fixture
def channel_id(app):
    """Return the id of a channel that gets every alert."""
    return create(Client(app), URL, name="Team db")


def pages_of(api, path, name, cursor=""):
    """Return the ids of the rows of every page, and the number of pages."""
    found = []
    pages = 0
    separator = "&" if "?" in path else "?"
    while cursor is not None:
        page = api.get(f"{path}{separator}cursor={cursor}" if cursor else path)
        found += [row["id"] for row in page[name]]
        pages += 1
        cursor = page["next"]
    return found, pages


# --- deliveries ---


def test_deliveries_are_listed_page_by_page_while_rows_are_added(api, channel_id):
    ids = [api.alert(f"Alert {number}")[1][0] for number in range(5)]
    first = api.send("GET", "/deliveries?limit=2&state=pending")
    assert [row["id"] for row in first.json["deliveries"]] == ids[:2:-1]
    link = f'</api/v1/deliveries?limit=2&state=pending&cursor={first.json["next"]}>; rel="next"'
    assert sorted(first.headers["Link"].split("&")) == sorted(link.split("&"))
    api.alert("Newer")
    rest, pages = pages_of(api, "/deliveries?limit=2", "deliveries", first.json["next"])
    assert (rest, pages) == (ids[2::-1], 2)
    row = first.json["deliveries"][0]
    assert (row["channel"], row["alert"]["name"]) == (
        {"id": channel_id, "name": "Team db"},
        "Alert 4",
    )
    assert (row["state"], row["event"], row["attempts"]) == ("pending", "open", 0)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("state=pending", ["Disk", "Load"]),
        ("state=delivered", []),
        ("matchers=team%3Dweb", ["Load"]),
        ("q=dis", ["Disk"]),
        ("since=1h", ["Disk", "Load"]),
        ("until=2020-01-01", []),
        ("channel=1&severity=critical", ["Disk"]),
        ("alert=2", ["Load"]),
    ],
)
def test_deliveries_are_filtered_as_on_the_page(api, channel_id, query, names):
    api.alert("Disk", labels={"team": "db", "severity": "critical"})
    api.alert("Load", labels={"team": "web"})
    rows = api.get(f"/deliveries?{query}")["deliveries"]
    assert sorted(row["alert"]["name"] for row in rows) == names


@pytest.mark.parametrize(
    "query",
    [
        "state=nothing",
        "channel=x",
        "severity=loud",
        "matchers=team",
        "since=soon",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "cursor=MTIz!",
        "cursor=%ff",
        "colour=red",
        "limit=1&limit=2",
    ],
)
@pytest.mark.parametrize("path", ["deliveries", "alerts"])
def test_a_parameter_that_cannot_be_used_is_refused(api, path, query):
    answer = api.get(f"/{path}?{query}", 422)
    assert answer["errors"]


def test_a_delivery_is_read_with_its_attempts(api, channel_id, app):
    _, [number] = api.alert()
    Channel.update(state="paused").execute()
    answer = api.get(f"/deliveries/{number}")
    assert (answer["id"], answer["tried"], answer["hint"]) == (number, [], "")
    assert answer["explanation"] == "The next attempt is due now."
    assert api.get("/deliveries/msg_7", 404)["title"] == "Not Found"


def test_a_delivery_is_canceled_retried_snoozed_and_replayed(api, channel_id):
    _, [number] = api.alert()
    path = f"/deliveries/{number}"
    assert api.post(f"{path}/snooze", {"minutes": 5})["state"] == "pending"
    assert api.post(f"{path}/snooze", {"minutes": 0}, 422)["errors"] == {
        "minutes": ["This must be a number of at least 1."]
    }
    assert api.post(f"{path}/replay", status=409)["detail"].endswith("it is still under way.")
    assert api.post(f"{path}/cancel")["state"] == "given_up"
    assert Delivery.get().cause == "Canceled by token “all”."
    assert "given up" in api.post(f"{path}/cancel", status=409)["detail"]
    assert api.post(f"{path}/retry")["state"] == "pending"
    Delivery.update(state=DeliveryState.DELIVERED, settled_at=1).execute()
    assert api.post(f"{path}/replay", {})["state"] == "pending"
    assert Delivery.get().cause == "Redelivered by token “all”."
    actions = [entry.action for entry in AuditEntry.select().order_by(AuditEntry.id)]
    assert actions[-4:] == [
        "delivery snoozed",
        "delivery canceled",
        "delivery retried",
        "delivery replayed",
    ]
    for action in ("retry", "cancel", "snooze", "replay"):
        assert api.post(f"/deliveries/msg_7/{action}", status=404)


@pytest.mark.parametrize("body", ['{"a": 1}', "[]", "3", '"x"'])
def test_an_action_without_choices_takes_no_members(api, channel_id, body):
    _, [number] = api.alert()
    assert api.post(f"/deliveries/{number}/cancel", json.loads(body), 422)["errors"]
    assert Delivery.get().state == "pending"


# --- alerts ---


def test_alerts_are_listed_and_read_with_their_deliveries_and_timeline(api, channel_id):
    number, [delivery] = api.alert(labels={"team": "db", "__uid__": "7"}, annotations={"a": "b"})
    api.alert("Load", status="closed")
    assert pages_of(api, "/alerts?limit=1", "alerts") == ([2, 1], 2)
    (row,) = api.get("/alerts?status=open")["alerts"]
    assert (row["id"], row["labels"], row["annotations"]) == (number, {"team": "db"}, {"a": "b"})
    alert = api.get(f"/alerts/{number}")
    assert {name: alert[name] for name in row} == row
    (channel,) = alert["channels"]
    assert (channel["channel"]["name"], channel["notified"]) == ("Team db", "no")
    assert [one["id"] for one in alert["deliveries"]] == [delivery]
    assert {event["text"] for event in alert["timeline"]} >= {"Opened"}
    assert api.get("/alerts/99", 404)


def test_an_alert_is_closed_once(api, channel_id):
    number, _ = api.alert()
    assert api.post(f"/alerts/{number}/close")["status"] == "closed"
    assert "closed already" in api.post(f"/alerts/{number}/close", status=409)["detail"]
    assert api.post("/alerts/99/close", status=404)


# --- silences ---


def test_a_silence_is_created_listed_read_and_ended(api, channel_id):
    body = {"matchers": 'team="db"', "reason": "Moving", "hours": 1.5}
    response = api.send("POST", "/silences", body)
    assert (response.status_code, response.headers["Location"]) == (201, "/api/v1/silences/1")
    silence = response.json
    assert (silence["matchers"], silence["made_by"], silence["active"]) == (
        'team="db"',
        "token “all”",
        True,
    )
    row = Silence.get()
    assert abs(row.until - row.created_at - 1.5 * HOUR) < 1000
    assert api.get("/silences/1") == silence
    number, _ = api.alert(labels={"team": "db"})
    assert api.get(f"/alerts/{number}")["silences"] == [1]
    assert api.post("/silences/1/end")["active"] is False
    assert "already ended" in api.post("/silences/1/end", status=409)["detail"]
    api.post("/silences", {**body, "hours": 2}, 201)
    assert pages_of(api, "/silences?limit=1", "silences") == ([2, 1], 2)
    assert api.get("/silences/9", 404)
    assert api.post("/silences/9/end", status=404)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("matchers", "", "To silence every alert"),
        ("matchers", 'a=~"("', "RE2"),
        ("hours", 0, "from 0.1 to 8760"),
        ("hours", -1, "from 0.1 to 8760"),
        ("hours", 1e30, "from 0.1 to 8760"),
        ("hours", "2", "This must be"),
        ("reason", "", "Enter a comment"),
        ("colour", "red", "There is no such member."),
    ],
)
def test_the_rules_of_the_form_judge_a_silence(api, member, value, words):
    body = {"matchers": "a=b", "reason": "x", "hours": 2, member: value}
    (message,) = api.post("/silences", body, 422)["errors"][member]
    assert words in message
    assert Silence.select().count() == 0


# --- replays ---


def test_many_deliveries_are_replayed_by_a_filter(api, channel_id):
    for name in ("Disk", "Load"):
        api.alert(name)
    Delivery.update(state=DeliveryState.FAILED, settled_at=1).execute()
    response = api.send("POST", "/replays", {"filter": {"state": "failed"}, "choice": "all"})
    assert (response.status_code, response.headers["Location"]) == (202, "/api/v1/replays/1")
    assert (response.json["state"], response.json["filter"]) == ("running", {"state": "failed"})
    assert api.post("/replays/1/stop")["state"] == "stopped"
    assert api.post("/replays/1/stop", status=409)
    assert api.post("/replays/1/continue")["state"] == "running"
    assert api.post("/replays/1/continue", status=409)
    outbox.run_replay_slice(now_ms())
    replay = api.get("/replays/1")
    assert (replay["state"], replay["sent"], replay["looked_at"]) == ("done", 2, 2)
    assert replay["counts"] == {"opening": 2}
    assert pages_of(api, "/replays", "replays") == ([1], 1)
    for path in ("/replays/9/stop", "/replays/9/continue"):
        assert api.post(path, status=404)


def test_a_filter_of_a_replay_takes_the_number_of_a_channel(api, channel_id):
    replay = api.post("/replays", {"filter": {"channel": channel_id, "alert": "1"}}, 202)
    assert replay["filter"] == {"channel": str(channel_id), "alert": "1"}
    assert api.post("/replays", {"filter": {"channel": -1}}, 422)["errors"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}},
        {"filter": {"state": "nothing"}},
        {"filter": {"colour": "red"}},
        {"filter": {"state": "failed"}, "choice": "some"},
        {"filter": {"since": "soon"}},
    ],
)
def test_a_replay_of_nothing_or_of_an_invalid_filter_is_refused(api, body):
    assert api.post("/replays", body, 422)["errors"]
    assert Replay.select().count() == 0


# --- channels ---


def test_a_channel_is_paused_and_resumed(api, channel_id):
    _, [number] = api.alert()
    assert api.post(f"/channels/{channel_id}/pause")["state"] == "paused"
    assert api.get(f"/deliveries/{number}")["state"] == "held"
    assert api.post(f"/channels/{channel_id}/resume", {"held": "some"}, 422)
    assert api.post(f"/channels/{channel_id}/resume", {"held": "none"})["state"] == "delivering"
    assert api.post(f"/channels/{channel_id}/resume", status=409)
    assert api.post(f"/channels/{channel_id}/pause", {"waiting": "drop"})["state"] == "paused"
    assert api.post(f"/channels/{channel_id}/pause", {"waiting": 7}, 422)
    for action in ("pause", "resume"):
        assert api.post(f"/channels/99/{action}", status=404)


def test_versions_are_listed_read_and_restored(api):
    row = {"name": "X-Key", "value": "readable-once", "secret": False}
    api.post("/channels", {"name": "First", "url": URL, "headers": [row]}, 201)
    secret = {**row, "value": "s3cret", "secret": True}
    api.send("PUT", "/channels/1", {"name": "Second", "headers": [secret]})
    versions = api.get("/channels/1/history")["versions"]
    assert [(one["version"], one["event"]) for one in versions] == [(2, "saved"), (1, "created")]
    assert {"field": "Name", "before": "First", "after": "Second"} in versions[0]["changes"]
    first = api.get("/channels/1/history/1")
    assert (first["name"], first["version"]) == ("First", 1)
    assert first["headers"] == [{"name": "X-Key", "value": "", "secret": True}]
    assert "readable-once" not in json.dumps(versions)
    assert api.get("/channels/1/history/9", 404)
    assert api.post("/channels/1/history/9/restore", status=404)
    restored = api.post("/channels/1/history/1/restore")
    assert (restored["name"], restored["version"]) == ("First", 3)
    assert api.post("/channels/1/history/1/restore")["version"] == 3
    assert api.get("/channels/1/history")["versions"][0]["event"] == "restored from version 1"


@pytest.mark.parametrize(
    ("method", "end"), [("PUT", ""), ("DELETE", ""), ("POST", "/history/1/restore")]
)
def test_only_its_file_changes_a_provisioned_channel(api, channel_id, method, end):
    path = f"/channels/{channel_id}"
    assert api.send("PUT", path, {"name": "Renamed"}).json["provisioned"] is None
    Channel.update(provisioned="team.yaml").execute()
    assert api.get(path)["provisioned"] == "team.yaml"
    refused = api.send(method, path + end, {"name": "Other"} if method == "PUT" else None)
    assert (refused.status_code, "team.yaml" in refused.json["detail"]) == (409, True)
    assert Channel.get().name == "Renamed"
    assert api.post(f"{path}/pause")["state"] == "paused"


def test_an_entity_tag_answers_a_read_and_guards_a_write(api, channel_id):
    path = f"/channels/{channel_id}"
    tag = api.send("GET", path).headers["ETag"]
    assert tag.startswith('"1-')
    unchanged = api.send("GET", path, If_None_Match=tag)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert api.send("GET", path, If_None_Match='"1-other"').status_code == 200
    assert unchanged.headers["Cache-Control"] == "private, no-cache"
    everything = api.send("GET", "/channels").headers["ETag"]
    assert api.send("GET", "/channels", If_None_Match=everything).status_code == 304
    Channel.update(trouble_since=1, trouble="It is down.").execute()
    assert api.send("GET", path, If_None_Match=tag).status_code == 200
    saved = api.send("PUT", path, {"name": "Second"}, If_Match=tag)
    assert (saved.status_code, saved.headers["ETag"][:3]) == (200, '"2-')
    for method, where, body in (
        ("PUT", path, {"name": "Third"}),
        ("DELETE", path, None),
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/resume", None),
        ("POST", f"{path}/history/1/restore", None),
    ):
        for stale in (tag, 'W/"2"', "nonsense", ""):
            assert api.send(method, where, body, If_Match=stale).status_code == 412
    assert Channel.get().name == "Second"
    assert api.send("PUT", path, {"name": "Third"}, If_Match="*").status_code == 200
    assert api.send("DELETE", path, If_Match='"7", "3"').status_code == 204


def test_a_save_at_the_same_time_fails_the_precondition(api, channel_id, monkeypatch):
    def save_after_another_user(edit, _restored):
        Channel.update(version=Channel.version + 1).execute()
        return save(edit)

    monkeypatch.setattr(channels_api, "save", save_after_another_user)
    body = {"name": "Mine"}
    assert api.send("PUT", "/channels/1", body, If_Match='"1"').status_code == 412
    assert api.send("PUT", "/channels/1", body).status_code == 409


# --- errors ---


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("GET", "/channels/x", 404),
        ("GET", "/deliveries/7", 404),
        ("PATCH", "/channels", 405),
        ("DELETE", "/alerts", 405),
        ("POST", "/channels/1", 405),
    ],
)
def test_unknown_paths_and_methods_are_problem_documents(api, method, path, status):
    response = api.send(method, path)
    assert response.status_code == status
    assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/channels", "/silences", "/replays"])
def test_a_large_or_broken_body_is_a_problem_document(api, path):
    for data, status in (("x" * (1024 * 1024 + 1), 413), ("{", 400), ("\ud800", 400)):
        response = api._client.post(
            f"/api/v1{path}",
            data=data.encode("utf-8", "surrogatepass"),
            headers=api._headers,
        )
        assert (response.status_code, response.mimetype) == (status, "application/problem+json")
