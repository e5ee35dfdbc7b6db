"""Alertmanager's reading API, used by the real `amtool`, and its details."""

import json
import re

import pytest
from channels import create
from conftest import Client
from programs import find_program, run

from clock import HOUR, now_ms
from delivery.alerts.alert import rfc3339
from delivery.alerts.matchers import parse_matchers
from delivery.alerts.own_alerts import key_of_channel
from delivery.outbox.routes import read_routes
from models import Alert, Notification, Silence
from web.accounts.api_tokens import create_token
from web.api import alertmanager

DB = ("alertname=DiskFull", "team=db", "severity=critical")
BOTH = "alertname=~Disk.*|Idle"
SCOPES = ("ingest", "alerts:read", "silences:read", "silences:write")


@pytest.fixture
def amtool(own_live, tmp_path):
    """Return a function that runs amtool with a token for everything, in its configuration."""
    find_program("amtool")
    name = f"amtool {tmp_path.name}"
    secret = own_live.create_secret(name, SCOPES)
    path = tmp_path / "http.yml"
    path.write_text(f"authorization: {{credentials: {secret}}}")

    def call(*arguments):
        url = f"--alertmanager.url={own_live.url}"
        return run("amtool", url, f"--http.config.file={path}", "-o", "json", *arguments)

    call.secret = secret
    return call


def ids(text):
    return re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)


def names_of(text):
    """Return the names of alerts, but not those of the other test of the same server."""
    names = [alert["labels"]["alertname"] for alert in json.loads(text)]
    return [name for name in names if not name.startswith("Over")]


def test_amtool_adds_queries_and_silences_alerts(own_live, receiver, amtool):
    own_live.create_channel(receiver.url, name="Team db", matchers="team=db", group_by="team")
    amtool("alert", "add", "--annotation=summary=/var is full", *DB)
    amtool("alert", "add", "Idle", "team=web")
    (alert,) = json.loads(amtool("alert", "query", "team=db"))
    assert alert["labels"] == dict(one.split("=") for one in DB)
    assert alert["annotations"] == {"summary": "/var is full"}
    assert alert["receivers"] == [{"name": "Team db"}]
    assert alert["status"]["state"] == "active"
    assert names_of(amtool("alert", "query", BOTH, "severity!=critical")) == ["Idle"]
    assert names_of(amtool("alert", "query", "--receiver=Team.*")) == ["DiskFull"]
    assert names_of(amtool("alert", "query", "--inhibited", "--unprocessed")) == []
    output = amtool("silence", "add", "-c", "Moving", "-a", "ada", "-d5m", "team=~db|x", "a!=b")
    (number,) = ids(output)
    assert names_of(amtool("alert", "query", "--active", BOTH)) == ["Idle"]
    (silenced,) = json.loads(amtool("alert", "query", "--silenced", "--receiver=Team db"))
    assert (silenced["status"]["state"], silenced["status"]["silencedBy"]) == (
        "suppressed",
        [number],
    )
    (silence,) = json.loads(amtool("silence", "query", "team=db|x"))
    assert (silence["id"], silence["createdBy"], silence["comment"]) == (number, "ada", "Moving")
    assert silence["status"] == {"state": "active"}
    assert own_live.query("SELECT matchers FROM silence")[0] == ('team=~"db|x", a!="b"',)
    amtool("silence", "update", "-d", "2h", "-c", "Longer", number)
    (longer,) = json.loads(amtool("silence", "query"))
    assert (longer["id"], longer["comment"]) == (number, "Longer")
    assert longer["endsAt"] > silence["endsAt"]
    amtool("silence", "expire", number)
    assert json.loads(amtool("silence", "query")) == []
    (ended,) = json.loads(amtool("silence", "query", "--expired"))
    assert (ended["id"], ended["status"]) == (number, {"state": "expired"})
    assert names_of(amtool("alert", "query", "team=db")) == ["DiskFull"]
    entries = own_live.query("SELECT action, made_by FROM audit_entry ORDER BY id DESC LIMIT 3")
    actions = ["silence ended", "silence changed", "silence created"]
    assert [action for action, made_by in entries if made_by.startswith("token “")] == actions


def test_amtool_presents_a_token_as_password_or_in_the_path(own_live, amtool, tmp_path):
    host = own_live.url.removeprefix("http://")
    for url in (f"http://x:{amtool.secret}@{host}", f"http://{host}/t/{amtool.secret}"):
        assert "Cluster" in run("amtool", f"--alertmanager.url={url}", "cluster", "show")
        run("amtool", f"--alertmanager.url={url}", "alert", "add", f"Over{url[-4:]}")
        assert run("amtool", f"--alertmanager.url={url}", "alert", "query", f"Over{url[-4:]}")


# --- the same without amtool ---


class Reader:
    """A client of Alertmanager's API with a token for everything."""

    def __init__(self, app):
        _, secret = create_token("reader", list(SCOPES), None, "ada", now_ms())
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path, status=200):
        """Return the JSON of a response."""
        response = self._client.get(f"/api/v2/{path}", headers=self._headers)
        assert (response.status_code, response.mimetype) == (status, "application/json")
        return response.json

    def post(self, path, status=200, **members):
        """Post a JSON object, and return that of the response."""
        body = members.pop("body", members)
        response = self._client.post(f"/api/v2/{path}", json=body, headers=self._headers)
        assert response.status_code == status, response.text
        return response.json

    def delete(self, path):
        """Delete something, and return the status."""
        return self._client.delete(f"/api/v2/{path}", headers=self._headers).status_code

    def silence(self, *matchers, status=200, **members):
        """Post a silence of an hour, and return the JSON of the response."""
        now = now_ms()
        rows = []
        for name, value, is_regex, is_equal in matchers:
            rows.append({"name": name, "value": value, "isRegex": is_regex, "isEqual": is_equal})
        silence = {
            "matchers": rows,
            "startsAt": rfc3339(now),
            "endsAt": rfc3339(now + HOUR),
            "createdBy": "ada",
            "comment": "Moving",
            **members,
        }
        return self.post("silences", status, body=silence)


@pytest.fixture
def reader(app):
    """Return a client of Alertmanager's API."""
    return Reader(app)


MATCHERS = [
    ("team", "db", False, True),
    ("team", "", False, False),
    ("team", r"db\d+|\"", True, True),
    ("a b", 'quote " and \\ and\nline', True, False),
    ("job", "ü, }", False, True),
]


def test_every_matcher_of_a_silence_is_stored_exactly(reader):
    number = reader.silence(*MATCHERS)["silenceID"]
    shown = reader.get(f"silence/{number}")
    columns = ("name", "value", "isRegex", "isEqual")
    assert [tuple(one[name] for name in columns) for one in shown["matchers"]] == MATCHERS
    assert len(parse_matchers(Silence.get().matchers)) == len(MATCHERS)
    assert (shown["comment"], shown["createdBy"]) == ("Moving", "ada")
    assert shown["status"] == {"state": "active"}


A_MATCHER = ("team", "db", False, True)
REFUSED = [
    ([], {}, "To silence every alert"),
    ([("team", "(", True, True)], {}, "RE2"),
    ([A_MATCHER] * 21, {}, "21 matchers"),
    ([("team\ud800", "db", False, True)], {}, "surrogate"),
    ([A_MATCHER], {"startsAt": "2100-01-01T00:00:00Z"}, "starts at once"),
    ([A_MATCHER], {"endsAt": "2020-01-01T00:00:00Z"}, "has passed"),
    ([A_MATCHER], {"endsAt": "2100-01-01T00:00:00Z"}, "more than a year"),
    ([A_MATCHER], {"endsAt": "tomorrow"}, "endsAt"),
    ([A_MATCHER], {"comment": ""}, "Enter a comment"),
    ([A_MATCHER], {"createdBy": "a\nb"}, "createdBy"),
    ([A_MATCHER], {"matchers": 3}, "matchers"),
    ([A_MATCHER], {"comment": None}, "comment"),
]


@pytest.mark.parametrize(("matchers", "members", "words"), REFUSED)
def test_a_silence_that_cannot_be_stored_as_sent_is_refused_in_words(
    reader, matchers, members, words
):
    assert words in reader.silence(*matchers, status=400, **members)
    assert Silence.select().count() == 0


@pytest.mark.parametrize("number", ["7", "x", "746f6373-696e-4000-8000-000000000009", "9" * 400])
def test_an_unknown_silence_is_not_found(reader, number):
    assert reader.get(f"silence/{number}", 404) == "There is no such silence."
    assert reader.delete(f"silence/{number}") == 404
    assert reader.silence(A_MATCHER, status=404, id=number) == "There is no such silence."


def test_a_changed_silence_with_other_matchers_takes_the_place_of_the_old_one(reader):
    first = reader.silence(A_MATCHER)["silenceID"]
    assert reader.silence(A_MATCHER, id=first, comment="Longer")["silenceID"] == first
    second = reader.silence(("team", "web", False, True), id=first)["silenceID"]
    assert second != first
    states = [(one["id"], one["status"]["state"]) for one in reader.get("silences")]
    assert states == [(second, "active"), (first, "expired")]
    assert [reader.delete(f"silence/{second}") for _ in range(2)] == [200, 200]
    third = reader.silence(A_MATCHER, id=first)["silenceID"]
    assert third not in (first, second)


def test_alerts_that_an_extended_silence_stopped_are_planned_again_at_its_new_end(app, reader):
    Silence.create(matchers='team="db"', reason="x", made_by="ada", created_at=1, until=now_ms())
    number = reader.silence(A_MATCHER)["silenceID"]
    create(Client(app), "http://127.0.0.1:1")
    reader.post("alerts", body=[{"labels": {"alertname": "Disk", "team": "db"}}])
    end = now_ms() + 2 * HOUR
    reader.silence(A_MATCHER, id=number, endsAt=rfc3339(end))
    assert Notification.get().review_at == end


def test_alerts_are_listed_by_state_labels_and_receiver(app, reader):
    client = Client(app)
    create(client, "http://127.0.0.1:1", name="Team db", matchers="team=db", group_by="team, x")
    create(client, "http://127.0.0.1:1", name="All")
    for name, team in (("Disk", "db"), ("Load", "db"), ("Idle", "web")):
        reader.post("alerts", body=[{"labels": {"alertname": name, "team": team}}])
    ended = rfc3339(now_ms() - 1000)
    reader.post("alerts", body=[{"labels": {"alertname": "Over"}, "endsAt": ended}])
    reader.silence(("alertname", "Load", False, True))

    def names(query):
        return sorted(one["labels"]["alertname"] for one in reader.get(f"alerts?{query}"))

    assert names("") == ["Disk", "Idle", "Load"]
    assert names("silenced=false") == ["Disk", "Idle"]
    assert names("active=false") == ["Load"]
    assert names("filter=team%3Ddb&filter=alertname!%3DLoad") == ["Disk"]
    assert names("receiver=Team.*") == ["Disk", "Load"]
    assert names("receiver=Team") == []
    groups = reader.get("alerts/groups?silenced=false")
    found = [
        (one["receiver"]["name"], one["labels"], [alert["labels"] for alert in one["alerts"]])
        for one in groups
    ]
    disk = {"alertname": "Disk", "team": "db"}
    assert ("Team db", {"team": "db"}, [disk]) in found
    assert ("All", disk, [disk]) in found
    assert len(found) == 3
    assert {one["receiver"]["name"] for one in reader.get("alerts/groups?receiver=All")} == {"All"}
    assert reader.get("receivers") == [{"name": "All"}, {"name": "Team db"}]


@pytest.mark.parametrize(
    "query", ["filter=team", "filter=a%3D~%22(%22", "receiver=(", "active=maybe", "unprocessed="]
)
def test_an_invalid_filter_is_refused_with_a_json_string(reader, query):
    assert isinstance(reader.get(f"alerts?{query}", 400), str)
    assert isinstance(reader.get(f"alerts/groups?{query}", 400), str)


def test_an_alert_about_a_channel_goes_to_its_fallback_only(app, reader):
    client = Client(app)
    fallback = create(client, "http://127.0.0.1:1", name="Second", matchers="a=b")
    broken = create(client, "http://127.0.0.1:1", name="First", fallback=fallback)
    now = now_ms()
    columns = {"name": "First", "status": "open", "body": "{}", "changed_at": now, "seen_at": now}
    Alert.create(key=key_of_channel(broken), **columns)
    Alert.create(key=key_of_channel(broken + 7), **columns)
    assert [one["receivers"] for one in reader.get("alerts")] == [[{"name": "Second"}], []]


def test_the_channels_are_read_once_for_all_groups(app, reader, monkeypatch):
    create(Client(app), "http://127.0.0.1:1", name="All")
    reader.post(
        "alerts", body=[{"labels": {"alertname": name}} for name in ("Disk", "Load", "Idle")]
    )
    reads = []

    def read_once():
        reads.append(1)
        return read_routes()

    monkeypatch.setattr(alertmanager, "read_routes", read_once)
    assert len(reader.get("alerts/groups")) == 3
    assert len(reads) == 1


def test_a_long_list_says_that_it_is_cut(app, reader, monkeypatch):
    monkeypatch.setattr(alertmanager, "MAX_ALERTS", 1)
    for name in ("Disk", "Load"):
        reader.post("alerts", body=[{"labels": {"alertname": name}}])
    response = reader._client.get("/api/v2/alerts", headers=reader._headers)
    assert (len(response.json), response.headers["Tocsin-Note"]) == (
        1,
        "Only the first 1 are listed.",
    )


@pytest.mark.parametrize(("path", "status"), [("nothing", 404), ("", 404), ("silence/1/2", 404)])
def test_errors_of_unknown_paths_are_json_strings(reader, path, status):
    assert isinstance(reader.get(path, status), str)


def test_a_wrong_method_is_a_json_string(reader):
    assert isinstance(reader.post("status", 405), str)


def test_a_token_for_posting_alerts_reads_the_status_only(app):
    _, secret = create_token("sender", ["ingest"], None, "ada", now_ms())
    headers = {"Authorization": f"Bearer {secret}"}
    codes = {}
    for path in ("status", "alerts", "alerts/groups", "silences", "receivers"):
        codes[path] = app.test_client().get(f"/api/v2/{path}", headers=headers).status_code
    assert codes == {**dict.fromkeys(codes, 403), "status": 200}
