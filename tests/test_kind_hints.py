"""What a person is offered after a refusal: the field to change, a fix, a keyword."""

import json
import re
from datetime import datetime

import pytest
from channels import form_of
from kind_support import OPTIONS, body_of, message_of, outcome_of
from receiver import reply
from test_api import Script
from test_kind_fields import change_behind

from delivery.kinds import kinds
from delivery.outcome import SuggestedFix
from delivery.settings import Settings
from delivery.text import json_length
from models import Attempt

HINTS = [
    ("telegram", 404, {"error_code": 404, "description": "Not Found"}, "Bot token"),
    ("telegram", 401, {"error_code": 401, "description": "Unauthorized"}, "Bot token"),
    ("telegram", 400, {"error_code": 400, "description": "Bad Request: chat not found"}, "Chat ID"),
    ("telegram", 403, {"error_code": 403, "description": "Forbidden: bot was kicked"}, "Chat ID"),
    (
        "telegram",
        400,
        {"error_code": 400, "description": "Bad Request: message thread not found"},
        "Topic ID",
    ),
    ("dingtalk", 200, {"errcode": 310000, "errmsg": "keywords not in content"}, "Keyword"),
    ("dingtalk", 200, {"errcode": 310000, "errmsg": "错误描述:关键词不匹配"}, "Keyword"),
    ("dingtalk", 200, {"errcode": 310000, "errmsg": "sign not match"}, "Signing secret"),
    ("dingtalk", 200, {"errcode": 310000, "errmsg": "invalid timestamp"}, "Signing secret"),
    ("feishu", 200, {"code": 19024, "msg": "Key Words Not Found"}, "Keyword"),
    ("feishu", 200, {"code": 19021, "msg": "sign match fail"}, "Signing secret"),
    ("ntfy", 403, {"code": 40301, "error": "forbidden"}, "Access token"),
    ("ntfy", 401, {"code": 40101, "error": "unauthorized"}, "Access token"),
    ("ntfy", 400, {"code": 40009, "error": "invalid request: topic invalid"}, "Topic"),
    ("pagerduty", 400, {"message": "Invalid routing key"}, "Integration key"),
    ("pagerduty", 400, {"errors": ["Length of 'routing_key' is incorrect"]}, "Integration key"),
    ("pagerduty", 403, "", "Integration key"),
    ("pagerduty", 404, "", "URL"),
    ("opsgenie", 401, {"message": "Could not authenticate"}, "API key"),
    ("opsgenie", 403, {"message": "You are not authorized"}, "API key"),
    ("opsgenie", 404, "", "URL"),
    ("gotify", 401, {"error": "Unauthorized"}, "Application token"),
    ("gotify", 404, "", "URL"),
    ("pushover", 400, {"errors": ["application token is invalid"]}, "Application token"),
    ("pushover", 400, {"errors": ["user identifier is not valid"]}, "User or group key"),
    ("pushover", 400, {"errors": ["device name is not valid"]}, "Device"),
    ("discord", 401, {"code": 50027, "message": "Invalid Webhook Token"}, "URL"),
    ("teams", 401, "", "URL"),
    ("googlechat", 401, "", "URL"),
    ("slack", 400, "invalid_token", "URL"),
    ("slack", 403, "action_prohibited", "URL"),
    ("alertmanager", 404, "404 page not found", "URL"),
]


@pytest.mark.parametrize(("kind", "status", "body", "field"), HINTS)
def test_a_hint_names_the_field_to_change(requests_mock, kind, status, body, field):
    outcome = outcome_of(requests_mock, kind, status, body)
    assert f"“{field}”" in outcome.hint


@pytest.mark.parametrize(
    ("kind", "status", "body", "part"),
    [
        (
            "dingtalk",
            200,
            {"errcode": 310000, "errmsg": "ip 1.2.3.4 not in whitelist"},
            "addresses",
        ),
        ("feishu", 200, {"code": 19022, "msg": "Ip Not Allowed"}, "addresses"),
        ("slack", 404, "no_service", "create a new one"),
        ("feishu", 200, {"code": 19001, "msg": "param invalid"}, "create a new one"),
        ("discord", 404, {"code": 10015}, "create a new one"),
        ("mattermost", 403, "", "check the credentials"),
        ("webhook", 404, "", "compare the URL"),
        ("webhook", 200, "Hook rules were not satisfied.", "the signing secret"),
        ("custom", 200, "Hook rules were not satisfied.", "the signing secret"),
        ("webhook", 401, "", "check the authentication"),
    ],
)
def test_a_hint_fits_the_refusal(requests_mock, kind, status, body, part):
    assert part in outcome_of(requests_mock, kind, status, body).hint


@pytest.mark.parametrize("status", [405, 413, 501])
def test_a_hint_of_a_status_names_no_field_that_only_some_kinds_have(requests_mock, status):
    hint = outcome_of(requests_mock, "telegram", status, "").hint
    assert "change the method" not in hint
    assert "shorten the payload." not in hint


def test_the_page_of_a_proxy_does_not_name_a_field_of_the_kind(requests_mock):
    outcome = outcome_of(requests_mock, "googlechat", 403, "<!doctype html><h1>Blocked</h1>")
    assert "URL in “URL”" not in outcome.hint
    assert outcome.actor == "proxy"


# --- keywords of robots ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
@pytest.mark.parametrize("keyword", ["告警", "my_key", "a*b", "x" * 100])
@pytest.mark.parametrize("closed", [False, True])
def test_a_keyword_is_added_to_every_message_as_it_was_typed(kind, keyword, closed):
    body = body_of(kind, keyword=keyword, closed=closed)
    content = {
        "dingtalk": lambda: body["markdown"]["text"],
        "feishu": lambda: body["card"]["elements"][-1]["text"]["content"],
    }[kind]()
    assert content.count(keyword) == 1
    assert content.endswith(keyword)


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
@pytest.mark.parametrize("keyword", ["CRITICAL", "checkout", ""])
def test_a_keyword_that_the_message_has_is_not_added(kind, keyword):
    assert body_of(kind, keyword=keyword) == body_of(kind)


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
def test_a_long_message_with_a_keyword_keeps_the_limit(kind):
    parts = {
        "name": "\\" * 9000,
        "annotations": {"summary": "語\n" * 9000},
        "url": "https://a.example",
    }
    message = message_of(kind, parts, keyword="\\" * 5000)
    assert len(message.body) <= kinds()[kind].limits[0].maximum
    assert json_length("語" * 100) < 600


def test_a_keyword_of_any_script_is_accepted_and_a_long_one_is_not(client):
    url = "https://oapi.dingtalk.com/robot/send?access_token=" + "a" * 64
    form = form_of(url, kind="dingtalk", **{"options-keyword": "告警"})
    assert client.post("/channels", form).status_code == 303
    long = {**form, "name": "Long", "options-keyword": "x" * 101}
    page = client.post("/channels", long)
    assert page.status_code == 422
    assert "at most 100 characters" in page.text


# --- fixes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "fixed"),
    [
        ("https://a.example/tools/alertmanager", "https://a.example/tools/alertmanager"),
        ("https://a.example/tools/alertmanager/?x=1", "https://a.example/tools/alertmanager"),
        ("https://a.example", None),
        ("https://a.example/api/v2/alerts", None),
        ("https://a.example/am/api/v1/alerts/", None),
    ],
)
@pytest.mark.parametrize(
    ("status", "body"), [(404, "404 page not found"), (405, ""), (200, "<!doctype html>")]
)
def test_a_path_prefix_of_alertmanager_gets_the_path_of_the_api(
    requests_mock, url, fixed, status, body
):
    outcome = outcome_of(requests_mock, "alertmanager", status, body, url=url)
    expected = None
    if fixed:
        query = url.partition("?")[2]
        changed = f"{fixed}/api/v2/alerts" + (f"?{query}" if query else "")
        expected = SuggestedFix("Add /api/v2/alerts to the URL", {"url": changed})
    assert outcome.suggested_fix == expected


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_another_answer_of_alertmanager_suggests_no_path(requests_mock, status):
    url = "https://a.example/tools/alertmanager"
    assert outcome_of(requests_mock, "alertmanager", status, "", url=url).suggested_fix is None
    assert kinds()["alertmanager"].suggest_fix(None, Settings(url="nonsense")) is None


def test_the_button_of_the_alertmanager_path_changes_the_form(client, receiver):
    receiver.script = reply(404, b"404 page not found")
    form = form_of(f"http://127.0.0.1:{receiver.port}/tools/am", kind="alertmanager")
    page = client.post("/channels/new/test", form, htmx=True).text
    change = change_behind(page, "Add /api/v2/alerts to the URL")
    applied = client.post("/channels/new/apply", {**form, "change": change}).text
    assert f"http://127.0.0.1:{receiver.port}/tools/am/api/v2/alerts" in applied


def test_the_button_beside_an_ntfy_topic_says_that_raw_json_is_shown(client, receiver):
    receiver.script = reply(200, b'{"id": "x"}')
    url = f"http://127.0.0.1:{receiver.port}/ops"
    form = form_of(url, kind="ntfy", **{"options-topic": "ops"})
    page = client.post("/channels/new/test", form, htmx=True).text
    assert "ntfy shows the message as raw JSON" in page
    note = client.post("/channels/new/validate/url", form, htmx=True).text
    assert "ntfy shows the message as raw JSON" in note


@pytest.mark.parametrize(
    ("field", "fields"),
    [("group_by", {"group_by": "cluster"}), ("headers-0-value", {"headers_0_name": "X-Api-Key"})],
)
def test_nothing_but_the_note_comes_for_a_valid_field(client, field, fields):
    form = form_of(**fields)
    answer = client.post(f"/channels/new/validate/{field}", form, htmx=True).text
    rest = re.sub("<div .*</div>|<input [^>]*>", "", answer, flags=re.DOTALL)
    assert answer
    assert rest == ""  # a line break would be a message, shown as “✗”


# --- tests at receivers that keep state -----------------------------------------------------------

STATEFUL = ["pagerduty", "opsgenie"]
ACCEPTED = {
    "pagerduty": b'{"status": "success"}',
    "opsgenie": b'{"requestId": "43a29c5c"}',
}


def posted(kind, receiver):
    """Return the form of a channel of this kind at the receiver."""
    known = kinds()[kind]
    options = {f"options-{one.name}": OPTIONS[one.name] for one in known.options if one.required}
    return form_of(f"http://127.0.0.1:{receiver.port}", kind=kind, **options)


def key_of(kind, request):
    """Return the key under which a request opens or closes an alert."""
    if "/close" in request.path:
        return request.path.split("/")[-2]
    return json.loads(request.body)["dedup_key" if kind == "pagerduty" else "alias"]


@pytest.mark.parametrize("kind", STATEFUL)
def test_a_test_is_closed_again_under_a_key_of_its_own(client, receiver, kind):
    receiver.script = reply(202, ACCEPTED[kind])
    page = client.post("/channels/new/test", posted(kind, receiver), htmx=True).text
    opening, closing = receiver.requests
    assert key_of(kind, opening) == key_of(kind, closing)
    assert key_of(kind, opening).startswith("tocsin-test-")
    assert opening.headers["webhook-id"] != closing.headers["webhook-id"]
    if kind == "pagerduty":
        assert json.loads(closing.body)["event_action"] == "resolve"
    assert kinds()[kind].test_note in page
    assert Attempt.select().count() == 1


@pytest.mark.parametrize("kind", STATEFUL)
def test_a_test_that_could_not_be_closed_says_so(client, receiver, kind):
    def once(receiver, connection):
        script = reply(202, ACCEPTED[kind]) if len(receiver.requests) == 1 else reply(500)
        script(receiver, connection)

    receiver.script = once
    page = client.post("/channels/new/test", posted(kind, receiver), htmx=True).text
    assert 'data-verdict="accepted"' in page
    assert f"The alert of this test is still open at {kinds()[kind].label}" in page
    assert kinds()[kind].test_note not in page


@pytest.mark.parametrize("kind", STATEFUL)
def test_a_refused_test_has_nothing_to_close(client, receiver, kind):
    receiver.script = reply(400, b"{}")
    client.post("/channels/new/test", posted(kind, receiver), htmx=True)
    assert len(receiver.requests) == 1


def test_a_test_without_an_answer_is_closed_because_it_may_have_arrived(client, receiver):
    def half(receiver, connection):
        if len(receiver.requests) > 1:
            reply(202, ACCEPTED["pagerduty"])(receiver, connection)

    receiver.script = half
    page = client.post("/channels/new/test", posted("pagerduty", receiver), htmx=True).text
    assert 'data-reason="connection_closed"' in page
    assert json.loads(receiver.requests[-1].body)["event_action"] == "resolve"


def test_a_script_gets_the_outcome_of_the_closing(app, receiver):
    receiver.script = reply(202, ACCEPTED["pagerduty"])
    script = Script(app, "channels:read", "channels:write")
    made = script.create(
        kind="pagerduty",
        url=f"http://127.0.0.1:{receiver.port}",
        options={"routing_key": OPTIONS["routing_key"]},
    )
    answer = script.request("POST", f"/{made['id']}/test").json
    assert (answer["verdict"], answer["closing"]["verdict"]) == ("accepted", "accepted")
    assert answer["note"].startswith(kinds()["pagerduty"].test_note)
    plain = script.create(name="Plain", url=receiver.url)
    assert script.request("POST", f"/{plain['id']}/test").json["closing"] is None


def test_a_test_at_an_alertmanager_ends_after_five_minutes_and_merges_with_nothing(
    client, receiver
):
    url = f"http://127.0.0.1:{receiver.port}"
    pages = [
        client.post("/channels/new/test", form_of(url, kind="alertmanager"), htmx=True).text
        for _ in range(2)
    ]
    alerts = [json.loads(request.body)[0] for request in receiver.requests]
    assert len(alerts) == 2
    assert alerts[0]["labels"] != alerts[1]["labels"]
    for alert in alerts:
        assert alert["labels"]["tocsin_test"]
        assert minutes_between(alert["startsAt"], alert["endsAt"]) == 5
    assert "ends after five minutes" in pages[0]


def minutes_between(start, end):
    """Return the minutes between two times of RFC 3339."""
    seconds = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return seconds.total_seconds() / 60


def test_a_delivery_to_an_alertmanager_is_open_for_thirty_days_as_before():
    [alert] = body_of("alertmanager")
    assert minutes_between(alert["startsAt"], alert["endsAt"]) == 30 * 24 * 60
    assert "tocsin_test" not in alert["labels"]
