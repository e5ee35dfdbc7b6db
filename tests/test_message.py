"""Messages: their exact form, the payload as it was typed, and no alert that breaks one."""

import json
import random
import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from delivery import sender
from delivery.alerts.alert import Alert, milliseconds, rfc3339, to_text
from delivery.alerts.samples import sample_alert
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.guard.exchange import Policy
from delivery.guard.url import InvalidUrl
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.message import MessageError, build, write_body
from delivery.settings import METHODS, Settings

URL = "https://receiver.example.test/uptrace-hook"
OPENED = 1772442900120  # 2026-03-02T09:15:00.120Z
CLOSED = 1772444490004  # 2026-03-02T09:41:30.004Z
NUMBER = 1772442900120457000

LATENCY = {
    "id": "4711",
    "name": "p99 latency above 800 ms",
    "status": "open",
    "labels": {"service.name": "checkout", "severity": "critical", "team": ""},
    "annotations": {
        "summary": "p99 is 1.2 s, limit 800 ms",
        "runbook-url": "https://wiki.example.test/rb/latency",
    },
    "starts_at": "2026-03-02T09:15:00.120457Z",
    "url": "https://alerts.example.test/alerts/4711",
}
RESOLVED = {**LATENCY, "status": "closed", "ends_at": "2026-03-02T09:41:30.004Z"}


def message_of(parts, kind="webhook", at=OPENED, number=NUMBER, repeated=False, **settings):
    """Return the message of a channel of this kind for the alert that `parts` describes."""
    channel = Settings(**{"kind": kind, "url": URL, **settings})
    return build(channel, Event(Alert.from_json(parts), number, at, repeated))


def request_of(requests_mock, parts, kind="webhook", at=OPENED, number=NUMBER, **settings):
    """Send the message of a channel of this kind, and return the request."""
    message = message_of(parts, kind, at, number, **settings)
    requests_mock.request(message.method, message.target.url)
    channel = Settings(**{"kind": kind, "url": URL, **settings})
    assert sender.send(message, channel, Policy()).outcome.verdict == "delivered"
    return requests_mock.last_request


def body_of(parts, kind="webhook", **options):
    """Return the body of the message, parsed as strictly as a receiver may parse it."""
    return json.loads(
        message_of(parts, kind, **options).body.decode("utf-8"), parse_constant=pytest.fail
    )


# --- the webhook kind: Uptrace's wire form ---


def test_a_webhook_message_has_exactly_the_form_that_uptrace_sends(requests_mock):
    request = request_of(requests_mock, LATENCY, payload='{"team": "checkout", "tier": 1}')
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers["Content-Type"] == "application/json"
    assert request.json(parse_constant=pytest.fail) == {
        "id": "1772442900120457000",
        "eventName": "created",
        "payload": {"team": "checkout", "tier": 1},
        "createdAt": "2026-03-02T09:15:00.120Z",
        "alert": {
            "id": "4711",
            "url": "https://alerts.example.test/alerts/4711",
            "name": "p99 latency above 800 ms",
            "type": "metric",
            "status": "open",
            "createdAt": "2026-03-02T09:15:00.120Z",
            "labels": LATENCY["labels"],
            "annotations": LATENCY["annotations"],
            "startsAt": "2026-03-02T09:15:00.120Z",
            "endsAt": None,
            "updatedAt": "2026-03-02T09:15:00.120Z",
        },
    }


def test_a_closed_alert_has_a_changed_status_and_not_a_changed_state(requests_mock):
    request = request_of(requests_mock, RESOLVED, at=CLOSED, number=1772444490004000000)
    assert request.json(parse_constant=pytest.fail) == {
        "id": "1772444490004000000",
        "eventName": "status-changed",
        "payload": None,
        "createdAt": "2026-03-02T09:41:30.004Z",
        "alert": {
            "id": "4711",
            "url": "https://alerts.example.test/alerts/4711",
            "name": "p99 latency above 800 ms",
            "type": "metric",
            "status": "closed",
            "createdAt": "2026-03-02T09:15:00.120Z",
            "labels": LATENCY["labels"],
            "annotations": LATENCY["annotations"],
            "startsAt": "2026-03-02T09:15:00.120Z",
            "endsAt": "2026-03-02T09:41:30.004Z",
            "updatedAt": "2026-03-02T09:41:30.004Z",
        },
    }


def test_the_keys_of_a_webhook_message_are_in_uptraces_order(requests_mock):
    body = request_of(requests_mock, LATENCY).json(parse_constant=pytest.fail)
    assert list(body) == ["id", "eventName", "payload", "createdAt", "alert"]
    own = ["id", "url", "name", "type", "status", "createdAt"]
    assert list(body["alert"])[: len(own)] == own


def test_the_alert_has_no_internal_label_and_all_others():
    parts = {"labels": {"__uid__": "1", "a": ""}, "annotations": {"__value__": "1", "b": "c"}}
    alert = body_of({**LATENCY, **parts})["alert"]
    assert (alert["labels"], alert["annotations"]) == ({"a": ""}, {"b": "c"})


def test_the_update_of_an_alert_is_the_time_of_the_event():
    alert = body_of(LATENCY, at=CLOSED, repeated=True)["alert"]
    assert alert["updatedAt"] == "2026-03-02T09:41:30.004Z"
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-03-02T09:15:00.120Z", None)
    assert body_of({"status": "closed"}, at=CLOSED)["alert"]["endsAt"] == alert["updatedAt"]


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        ('{"tier": 1.10}', '"payload":{"tier": 1.10}'),
        ("null", '"payload":null'),
        ("words", '"payload":"words"'),
        ("NaN", '"payload":"NaN"'),
        ("", None),
    ],
)
def test_the_payload_of_uptrace_is_a_member_of_its_alert(annotation, sent):
    parts = {**LATENCY, "annotations": {"payload": annotation}}
    text = message_of(parts, payload='{"own": 1}').body.decode()
    body = json.loads(text, parse_constant=pytest.fail)
    assert body["payload"] == {"own": 1}
    assert ("payload" in body["alert"]) is (sent is not None)
    assert sent is None or text.endswith(f"{sent}}}}}")


def group_body(kind):
    """Return the body for a group: an open alert, a warning, and one that is closed."""
    events = [
        Event(Alert.from_json({**RESOLVED, "id": "1"}), NUMBER, CLOSED),
        Event(Alert.from_json({"id": "2", "name": "Slow"}), NUMBER + 1, CLOSED),
        Event(Alert.from_json({**LATENCY, "id": "3"}), NUMBER + 2, CLOSED),
    ]
    settings = Settings(kind=kind, url=URL)
    group = text_of_group(events, "team-db", settings, Installation())
    return json.loads(write_body(group), parse_constant=pytest.fail)


def test_a_webhook_of_a_group_has_the_list_of_its_alerts_beside_the_most_severe():
    body = group_body("webhook")
    assert list(body) == ["id", "eventName", "payload", "createdAt", "alert", "alerts"]
    assert sorted(alert["id"] for alert in body["alerts"]) == ["1", "2", "3"]
    assert body["alert"] == body["alerts"][0]
    assert [alert["status"] for alert in body["alerts"]] == ["open", "open", "closed"]


def test_an_alertmanager_gets_every_alert_of_a_group():
    sent = group_body("alertmanager")
    assert sorted(alert["labels"]["alertname"] for alert in sent) == [
        "Slow",
        LATENCY["name"],
        LATENCY["name"],
    ]


def test_a_repeat_is_recurring():
    assert body_of(LATENCY, repeated=True)["eventName"] == "recurring"


@pytest.mark.parametrize(
    ("status", "read"),
    [
        ("open", "open"),
        ("closed", "closed"),
        ("CLOSED", "closed"),
        ("resolved", "closed"),
        ("firing", "open"),
        ("x", "open"),
    ],
)
def test_the_status_is_open_unless_it_is_closed_or_resolved(status, read):
    body = body_of({**LATENCY, "status": status})
    assert body["alert"]["status"] == read
    assert body["eventName"] == {"open": "created", "closed": "status-changed"}[read]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("metric", "metric"),
        ("error", "error"),
        ("ERROR", "error"),
        ("log", "metric"),
        ("", "metric"),
    ],
)
def test_the_type_is_metric_or_error(given, read):
    assert body_of({**LATENCY, "type": given})["alert"]["type"] == read


@pytest.mark.parametrize(
    "payload",
    [
        "1.10",
        "12345678901234567890",
        "1e400",
        "-0",
        "9" * 5000,
        "null",
        "false",
        '""',
        "[]",
        "{}",
        '"[object Object]"',
        '"{{ alert.name }}"',
        '{"b": 1,  "a" : 1.0, "a": 2}',
        '{"deep": [[{"é": ["\\u00e9", "🔔", "\\ud83d\\udd14", "\\ud800", null, 1E+2]}]]}',
        '{\r\n  "lines": "\\n"\r\n}',
        "[" * 64 + "]" * 64,
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_the_payload_is_sent_exactly_as_typed(requests_mock, payload):
    text = request_of(requests_mock, LATENCY, payload=payload).text
    assert f'"payload":{payload},"createdAt"' in text
    assert json.loads(text, parse_int=str, parse_float=str)["alert"]["id"] == "4711"


@pytest.mark.parametrize("payload", ["", " ", "\r\n\t "])
def test_an_empty_payload_is_null(payload):
    assert body_of(LATENCY, payload=payload)["payload"] is None


@pytest.mark.parametrize(
    "payload",
    ["{", "NaN", "[object Object]", "'a'", "1 2", "\x00", '"\ud800', "[" * 1000, "é" * 70_000],
)
def test_a_stored_payload_that_is_not_json_is_sent_as_a_string(payload):
    assert body_of(LATENCY, payload=payload)["payload"] == payload.replace("\ud800", "?")


# --- the alertmanager kind ---


def alertmanager(parts, **options):
    """Return the only alert of an Alertmanager message."""
    [alert] = body_of(parts, "alertmanager", **options)
    return alert


def test_an_alertmanager_message_is_an_array_of_one_alert_with_exactly_these_keys(requests_mock):
    request = request_of(requests_mock, LATENCY, "alertmanager")
    assert request.json(parse_constant=pytest.fail) == [
        {
            "labels": {
                "alertname": "p99 latency above 800 ms",
                "service_name": "checkout",
                "severity": "critical",
            },
            "annotations": {
                "summary": "p99 is 1.2 s, limit 800 ms",
                "runbook_url": "https://wiki.example.test/rb/latency",
            },
            "startsAt": "2026-03-02T09:15:00.120Z",
            "endsAt": "2026-04-01T09:15:00.120Z",
            "generatorURL": "https://alerts.example.test/alerts/4711",
        }
    ]


def test_a_closed_alert_ends_when_it_ended():
    alert = alertmanager(RESOLVED, at=CLOSED)
    assert (alert["startsAt"], alert["endsAt"]) == (
        "2026-03-02T09:15:00.120Z",
        "2026-03-02T09:41:30.004Z",
    )


def test_an_alert_has_the_same_labels_open_and_closed():
    mixed = list(LATENCY["labels"].items())
    random.Random(1).shuffle(mixed)
    closed = {**RESOLVED, "labels": dict(mixed), "annotations": {}, "url": "", "type": "error"}
    assert json.dumps(alertmanager(LATENCY)["labels"]) == json.dumps(
        alertmanager(closed, at=CLOSED, number=5)["labels"]
    )


@pytest.mark.parametrize(
    ("parts", "alertname"),
    [
        ({"name": "Disk"}, "Disk"),
        ({"name": "Disk", "labels": {"alertname": "DiskFull"}}, "DiskFull"),
        ({"labels": {"alertname": "DiskFull"}}, "DiskFull"),
        ({"name": "Disk", "labels": {"alertname": ""}}, "Disk"),
        ({"name": "Disk", "labels": {"alertname": None}}, "Disk"),
        ({"name": " ", "labels": {"alertname": " "}}, "Unnamed alert"),
        ({}, "Unnamed alert"),
        ({"name": None, "labels": None}, "Unnamed alert"),
        ({"name": 7}, "7"),
    ],
)
def test_there_is_always_an_alertname(parts, alertname):
    assert alertmanager(parts)["labels"]["alertname"] == alertname


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"service.name": "a"}, {"service_name": "a"}),
        ({"k8s.pod/name-x": "a"}, {"k8s_pod_name_x": "a"}),
        ({"größe": "a"}, {"gr__e": "a"}),
        ({"🔔": "a"}, {"_": "a"}),
        ({"1st": "a"}, {"_1st": "a"}),
        ({"a b": "x"}, {"a_b": "x"}),
        ({"a\nb": "x"}, {"a_b": "x"}),
        ({"empty": "", "blank": " ", "none": None, "kept": "x"}, {"kept": "x"}),
        ({"": "x"}, {}),
        ({"a.b": "1", "a_b": "2"}, {"a_b": "1", "a_b_2": "2"}),
        ({"a_b": "2", "a.b": "1"}, {"a_b": "1", "a_b_2": "2"}),
        ({"a.b": "1", "a-b": "2", "a b": "3"}, {"a_b": "3", "a_b_2": "2", "a_b_3": "1"}),
        ({"a.b": "", "a_b": "2"}, {"a_b": "2"}),
        (
            {"number": 1.5, "yes": True, "list": [1], "object": {"a": None}},
            {"list": "[1]", "number": "1.5", "object": '{"a": null}', "yes": "true"},
        ),
    ],
)
def test_names_have_letters_digits_and_underscores_and_collisions_are_numbered(given, sent):
    alert = alertmanager({"name": "Disk", "labels": given, "annotations": given})
    assert alert["labels"] == {"alertname": "Disk", **sent}
    assert alert["annotations"] == sent


def test_three_names_stay_when_they_collide_with_a_numbered_name():
    labels = alertmanager({"name": "Disk", "labels": {"a.b": "1", "a_b": "2", "a_b_2": "3"}})[
        "labels"
    ]
    assert sorted(labels.values()) == ["1", "2", "3", "Disk"]


@pytest.mark.parametrize(
    ("starts", "at"),
    [
        (None, OPENED),
        (OPENED, OPENED),
        (OPENED - 90 * 86_400_000, OPENED),
        (OPENED + 60_000, OPENED),
        (0, OPENED),
        ("x", OPENED),
    ],
)
def test_an_open_alert_ends_long_after_now(starts, at):
    alert = alertmanager({"status": "open", "starts_at": starts}, at=at)
    assert moment(alert["endsAt"]) >= at + 29 * 86_400_000
    assert moment(alert["endsAt"]) > moment(alert["startsAt"])


def test_an_open_alert_with_an_end_does_not_resolve():
    assert moment(alertmanager({**LATENCY, "ends_at": OPENED - 1})["endsAt"]) > OPENED


@pytest.mark.parametrize(
    ("starts", "ends", "sent"),
    [
        (OPENED, CLOSED, CLOSED),
        (OPENED, None, CLOSED),
        (OPENED, "x", CLOSED),
        (OPENED, OPENED - 5, OPENED),
        (OPENED, "0001-01-01T00:00:00Z", OPENED),
        (None, CLOSED, CLOSED),
        (None, None, CLOSED),
    ],
)
def test_a_closed_alert_never_ends_before_it_starts(starts, ends, sent):
    alert = alertmanager({"status": "closed", "starts_at": starts, "ends_at": ends}, at=CLOSED)
    assert moment(alert["endsAt"]) == sent
    assert moment(alert["endsAt"]) >= moment(alert["startsAt"])


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        (OPENED, CLOSED + 86_400_000),
        (CLOSED + 60_000, None),
        (CLOSED + 60_000, CLOSED + 120_000),
        (None, CLOSED + 1),
    ],
)
def test_a_closed_alert_with_times_in_the_future_is_resolved_now(starts, ends):
    alert = alertmanager({"status": "closed", "starts_at": starts, "ends_at": ends}, at=CLOSED)
    assert moment(alert["startsAt"]) <= moment(alert["endsAt"]) <= CLOSED


@pytest.mark.parametrize(
    "url",
    [
        "see the wiki",
        "alerts/4711",
        "4711",
        7,
        ["https://a.example/"],
        {"href": "x"},
        "http://[",
        True,
    ],
)
def test_an_invalid_link_is_left_out_because_alertmanager_would_refuse_the_alert(url):
    # Its API has `format: uri` there and answers 422 to the whole request.
    assert alertmanager({**LATENCY, "url": url})["generatorURL"] == ""


def after_told(parts, told, at=OPENED):
    """Return the alerts of the message to an Alertmanager that was notified of `told`."""
    event = Event(Alert.from_json(parts), NUMBER, at, notified=Alert.from_json(told))
    return json.loads(build(Settings(kind="alertmanager", url=URL), event).body)


OTHER_IDENTITY = {"name": "latency", "labels": {"severity": "warning"}}


def test_a_closing_has_the_name_and_labels_that_alertmanager_was_told():
    [closing] = after_told(RESOLVED, OTHER_IDENTITY, CLOSED)
    assert closing["labels"] == {"alertname": "latency", "severity": "warning"}
    assert closing["endsAt"] == "2026-03-02T09:41:30.004Z"
    assert closing["annotations"]["summary"] == "p99 is 1.2 s, limit 800 ms"


def test_an_opening_with_other_labels_resolves_the_alert_that_alertmanager_knows():
    ended, opened = after_told(LATENCY, OTHER_IDENTITY)
    assert ended["labels"] == {"alertname": "latency", "severity": "warning"}
    assert moment(ended["endsAt"]) <= OPENED < moment(opened["endsAt"])
    assert opened["labels"]["severity"] == "critical"


@pytest.mark.parametrize(
    "told",
    [
        {"name": LATENCY["name"], "labels": LATENCY["labels"]},
        {"name": LATENCY["name"], "labels": {"service_name": "checkout", "severity": "critical"}},
    ],
)
def test_a_repeat_of_the_same_alert_is_one_alert_with_an_end_far_ahead(told):
    [repeat] = after_told(LATENCY, told)
    assert repeat["labels"]["service_name"] == "checkout"
    assert moment(repeat["endsAt"]) > OPENED


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("http://alertmanager:9093", "http://alertmanager:9093/api/v2/alerts"),
        ("http://alertmanager:9093/", "http://alertmanager:9093/api/v2/alerts"),
        ("http://alertmanager:9093?tenant=1", "http://alertmanager:9093/api/v2/alerts?tenant=1"),
        ("http://alertmanager:9093/api/v2/alerts", "http://alertmanager:9093/api/v2/alerts"),
        ("https://example.test/prefix/api/v2/alerts", "https://example.test/prefix/api/v2/alerts"),
        ("https://example.test/tunnel?to=am", "https://example.test/tunnel?to=am"),
    ],
)
def test_the_base_url_of_an_alertmanager_is_completed(requests_mock, url, requested):
    assert request_of(requests_mock, LATENCY, "alertmanager", url=url).url == requested


@pytest.mark.parametrize(
    ("url", "requested"),
    [
        ("https://example.test", "https://example.test/"),
        ("https://example.test/a/?b=%20#c", "https://example.test/a/?b=%20"),
    ],
)
def test_the_url_of_a_webhook_is_used_as_it_is(requests_mock, url, requested):
    assert request_of(requests_mock, LATENCY, url=url).url == requested


# --- the message around the body ---


@pytest.mark.parametrize("method", METHODS)
def test_a_webhook_uses_its_own_method_and_alertmanager_only_post(requests_mock, method):
    assert request_of(requests_mock, LATENCY, method=method).method == method
    assert request_of(requests_mock, LATENCY, "alertmanager", method=method).method == "POST"


def test_a_get_has_no_body(requests_mock):
    request = request_of(requests_mock, LATENCY, method="GET", payload='{"a": 1}')
    assert request.body is None
    assert not {"Content-Type", "Content-Length"} & set(request.headers)
    assert request_of(requests_mock, LATENCY, "alertmanager", method="GET").body


@pytest.mark.parametrize("kind", kinds())
def test_the_id_and_the_body_are_the_same_at_every_attempt(kind):
    first, second = (message_of(RESOLVED, kind, at=CLOSED, body="{}") for _ in range(2))
    assert first == second
    assert first.id == f"msg_{NUMBER}"


@pytest.mark.parametrize("kind", ["", "Webhook", "slack-of-a-newer-version", "__init__", "\x00"])
def test_an_unknown_kind_is_an_error(kind):
    with pytest.raises(MessageError):
        message_of(LATENCY, kind)


@pytest.mark.parametrize("url", ["", "nonsense", "http://[", "ftp://example.test/"])
def test_an_invalid_url_is_an_error(url):
    with pytest.raises(InvalidUrl):
        message_of(LATENCY, url=url)


def test_every_kind_has_a_label_and_help_and_is_sorted_by_label():
    assert {"webhook", "alertmanager"} <= set(kinds())
    for name, kind in kinds().items():
        assert kind.name == name
        assert kind.label
        assert kind.help.endswith(".")
        assert kind.url_help.endswith(".")
    assert [kind.label.lower() for kind in kinds().values()] == sorted(
        kind.label.lower() for kind in kinds().values()
    )


def test_a_sample_alert_is_open_starts_now_and_names_itself_a_test():
    alert = sample_alert(OPENED, "http://127.0.0.1:8000/channels/1/edit")
    assert (alert.status, alert.starts_at, alert.ends_at) == ("open", OPENED, None)
    assert "test" in alert.name.lower()
    assert alert.url == "http://127.0.0.1:8000/channels/1/edit"


# --- a missing optional value never breaks a message ---


PARTS = ["id", "name", "status", "type", "labels", "annotations", "starts_at", "ends_at", "url"]
MISSING = object()
CIRCLE = []
CIRCLE.append(CIRCLE)


def nested(levels):
    """Return a list with this many levels."""
    value = []
    for _ in range(levels):
        value = [value]
    return value


WRONG = [
    MISSING,
    None,
    "",
    " ",
    "\x00",
    "x",
    "\ud800",
    "é🔔\u202e",
    "NaN",
    "9" * 5000,
    "2026-03-02T09:15:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T00:00:00Z",
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    -(2**63),
    10**400,
    10**5000,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    [],
    {},
    [None],
    {"a": None},
    {"": ""},
    {None: None, 1: 2, ("a",): {}},
    {"a": {"b": [float("nan")]}},
    {"alertname": []},
    {"a.b": 1, "a_b": 2},
    {"\ud800": "\ud800"},
    {"alertname": "\ud800"},
    b"bytes",
    object(),
    datetime(2026, 3, 2, tzinfo=UTC),
    {1, 2},
    CIRCLE,
    {"a": CIRCLE},
    nested(50),
    nested(50_000),
    {"a": nested(50_000)},
    "x" * 300_000,
]


def moment(text):
    """Return the time in milliseconds; fail if it is not RFC 3339."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text), text
    return milliseconds(text)


def check_webhook(message):
    """Fail unless this is a complete webhook message."""
    body = json.loads(message.body.decode("utf-8"), parse_constant=pytest.fail)
    assert list(body) == ["id", "eventName", "payload", "createdAt", "alert"]
    alert = body["alert"]
    texts = ["id", "url", "name", "type", "status", "createdAt", "startsAt", "updatedAt"]
    assert list(alert) == [*texts[:6], "labels", "annotations", "startsAt", "endsAt", "updatedAt"]
    assert all(isinstance(alert[name], str) for name in texts)
    for pairs in (alert["labels"], alert["annotations"]):
        assert all(isinstance(text, str) for text in pairs.values())
        assert not [name for name in pairs if name.startswith("__")]
    assert alert["id"]
    assert alert["name"].strip()
    assert alert["type"] in ("metric", "error")
    assert alert["status"] in ("open", "closed")
    assert body["eventName"] == {"open": "created", "closed": "status-changed"}[alert["status"]]
    for name in ("createdAt", "startsAt", "updatedAt"):
        moment(alert[name])
    assert (alert["endsAt"] is None) is (alert["status"] == "open")
    assert alert["endsAt"] is None or moment(alert["endsAt"]) is not None


def check_alertmanager(message):
    """Fail unless Alertmanager accepts this message."""
    [alert] = json.loads(message.body.decode("utf-8"), parse_constant=pytest.fail)
    assert list(alert) == ["labels", "annotations", "startsAt", "endsAt", "generatorURL"]
    assert "alertname" in alert["labels"]
    for name, value in [*alert["labels"].items(), *alert["annotations"].items()]:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        assert value.strip()
    assert moment(alert["startsAt"]) <= moment(alert["endsAt"])
    assert isinstance(alert["generatorURL"], str)


CHECKS = {"webhook": check_webhook, "alertmanager": check_alertmanager}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
def test_an_alert_with_a_missing_or_wrong_part_still_makes_a_message(part, value):
    for status in ("open", "closed"):
        parts = {**LATENCY, "status": status, part: value}
        if value is MISSING:
            del parts[part]
        for kind, check in CHECKS.items():
            check(message_of(parts, kind))


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize(
    "parts",
    [
        {},
        None,
        [],
        "alert",
        7,
        True,
        b"",
        [LATENCY],
        dict.fromkeys(PARTS),
        dict.fromkeys(PARTS, ""),
        {1: 2},
    ],
)
def test_an_empty_alert_still_makes_a_message(kind, parts):
    CHECKS[kind](message_of(parts, kind))


@pytest.mark.parametrize("kind", CHECKS)
def test_an_alert_with_every_part_wrong_still_makes_a_message(kind):
    for value in WRONG[1:]:
        CHECKS[kind](message_of(dict.fromkeys(PARTS, value), kind))


_texts = st.text(st.characters(exclude_categories=[]), max_size=8)
_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    _texts,
    st.binary(max_size=4),
    st.datetimes(),
    st.datetimes().map(datetime.isoformat),
)
_anything = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(_texts, st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)
_alerts = st.one_of(_anything, st.fixed_dictionaries({}, optional=dict.fromkeys(PARTS, _anything)))


@budget(deadline=None, max_examples=300)
@given(_alerts)
@example({"starts_at": float("nan"), "ends_at": float("inf"), "status": "closed"})
def test_no_alert_breaks_a_message(parts):
    for kind, check in CHECKS.items():
        check(message_of(parts, kind))


@budget(deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=[])), st.sampled_from(sorted(CHECKS)))
def test_no_stored_payload_breaks_a_message(payload, kind):
    CHECKS[kind](message_of(LATENCY, kind, payload=payload))


# --- texts and times of an alert ---


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("é🔔", "é🔔"),
        ("a\ud800b", "a?b"),
        (True, "true"),
        (1.10, "1.1"),
        (12345678901234567890, "12345678901234567890"),
        ([1, None], "[1, null]"),
        ({"a": "é"}, '{"a": "é"}'),
        (b"x", '"bytes"'),
        (10**5000, ""),
        (CIRCLE, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_value_has_a_text(value, text):
    assert to_text(value) == text


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (0, 0),
        (OPENED, OPENED),
        (OPENED + 0.7, OPENED),
        (-1, -1),
        ("2026-03-02T09:15:00.120Z", OPENED),
        ("2026-03-02T09:15:00.120457Z", OPENED),
        ("2026-03-02T09:15:00.120457123Z", OPENED),
        (" 2026-03-02T09:15:00.12+00:00 ", OPENED),
        ("2026-03-02T10:15:00.120+01:00", OPENED),
        ("2026-03-02t09:15:00.120z", OPENED),
        ("2026-03-02 09:15:00.120Z", OPENED),
        ("1970-01-01T00:00:00Z", 0),
        ("", None),
        ("yesterday", None),
        (str(OPENED), None),
        ("2026-02-30T00:00:00Z", None),
        (True, None),
        (None, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
        (10**18, None),
        (10**5000, None),
    ],
    ids=lambda value: (
        ascii(value)[:32] if not isinstance(value, int) or abs(value) < 2**64 else "int"
    ),
)
def test_a_time_is_milliseconds_or_rfc3339(value, time):
    assert milliseconds(value) == time


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (None, ""),
        (0, "1970-01-01T00:00:00.000Z"),
        (OPENED, "2026-03-02T09:15:00.120Z"),
        (10**18, ""),
        (-(10**18), ""),
        (float("nan"), ""),
    ],
)
def test_a_time_is_spelled_in_utc_with_milliseconds(time, text):
    assert rfc3339(time) == text


@budget(deadline=None)
@given(st.integers(-62135596800000, 253402300799999))
@example(17179869183)
def test_a_time_survives_formatting_and_parsing(time):
    assert milliseconds(rfc3339(time)) == time
