"""What the kinds make of a response: verdict, reason, actor, wait, detail and suggested fix."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from kind_support import PROXY_PAGE, VENDOR_KINDS, outcome_of, response_of
from requests_mock import Mocker

from delivery.kinds import kinds
from delivery.outcome import Reason, SuggestedFix, Verdict
from delivery.response import Judgement, error_text, judge_by_body
from delivery.retry import verdict_of_status
from delivery.sender import MAX_BODY_BYTES
from delivery.settings import Settings

EXAMPLES = Path(__file__).parent.parent.parent / "shared" / "wire-examples"

DELIVERY_FAILED = "Webhook message delivery failed with error"

RESPONSES = {
    "slack": [
        (200, "ok", "delivered"),
        (200, {"ok": True}, "delivered"),
        (200, {"success": True}, "delivered"),
        (200, {"success": False, "error": "invalid-channel"}, "failed body"),
        (200, {"success": "true"}, "failed body"),
        (200, "", "failed body"),
        (200, "OKAY", "failed body"),
        (200, "invalid_payload", "failed body"),
        (200, {}, "failed body"),
        (200, {"ok": False, "error": "invalid_auth"}, "failed body"),
        (200, {"ok": False}, "failed body"),
        (200, {"ok": 1}, "failed body"),
        (200, {"ok": "true"}, "failed body"),
        (200, {"error": "ok"}, "failed body"),
        (200, {"ok": False, "error": "ratelimited"}, "retry body"),
        (200, {"ok": False, "error": "no_service"}, "gone body"),
        (400, "invalid_payload", "failed"),
        (400, "no_text", "failed"),
        (400, "invalid_blocks", "failed"),
        (400, "invalid_token", "failed"),
        (403, "action_prohibited", "failed"),
        (404, "no_service", "gone"),
        (404, "no_team", "gone"),
        (404, "channel_not_found", "gone"),
        (404, "no_active_hooks", "gone"),
        (410, "channel_is_archived", "gone"),
        (500, "rollup_error", "retry"),
        (503, "", "retry"),
        (429, "", "retry 30", {"Retry-After": "30"}),
    ],
    "discord": [
        (204, "", "delivered"),
        (200, {"id": "1", "type": 0}, "delivered"),
        (200, {}, "failed body"),
        (200, "hello", "failed body"),
        (200, {"id": True}, "failed body"),
        (
            400,
            {"message": "Invalid Form Body", "code": 50035, "errors": {"embeds": ["0"]}},
            "failed",
        ),
        (400, {"code": 50006, "message": "Cannot send an empty message"}, "failed"),
        (401, {"code": 50027, "message": "Invalid Webhook Token"}, "failed"),
        (404, {"code": 10015, "message": "Unknown Webhook"}, "gone body"),
        (404, {"code": 0, "message": "404: Not Found"}, "failed"),
        (404, {"code": "10015"}, "failed"),
        (
            429,
            {"message": "Too many.", "retry_after": 0.376, "global": False},
            "retry 0.376",
            {"Retry-After": "1"},
        ),
        (429, {"retry_after": 64.5, "global": True}, "retry 64.5"),
        (429, {"retry_after": "soon"}, "retry 2", {"Retry-After": "2"}),
        (500, "", "retry"),
        (502, PROXY_PAGE, "retry"),
    ],
    "teams": [
        (202, "", "accepted accepted"),
        (200, "", "accepted accepted"),
        (200, "1", "delivered"),
        (200, f"{DELIVERY_FAILED}: Microsoft Teams endpoint returned HTTP error 429", "retry body"),
        (
            200,
            f"{DELIVERY_FAILED}: Microsoft Teams endpoint returned HTTP error 503 with x",
            "retry body",
        ),
        (
            200,
            f"{DELIVERY_FAILED}: Microsoft Teams endpoint returned HTTP error 403",
            "failed body",
        ),
        (200, "Webhook message delivery failed", "failed body"),
        (400, {"error": {"code": "TriggerInputSchemaMismatch", "message": "x"}}, "failed"),
        (401, {"error": {"code": "DirectApiAuthorizationRequired"}}, "failed"),
        (404, {"error": {"code": "WorkflowNotFound"}}, "failed"),
        (410, "", "gone"),
        (413, "", "failed"),
        (429, "", "retry 20", {"Retry-After": "20"}),
        (502, "", "retry"),
    ],
    "telegram": [
        (200, {"ok": True, "result": {"message_id": 1}}, "delivered"),
        (200, {"ok": False, "error_code": 400, "description": "Bad Request"}, "failed body"),
        (
            200,
            {"ok": False, "error_code": 403, "description": "Forbidden: bot was kicked"},
            "gone body",
        ),
        (200, {"ok": False, "error_code": 429, "parameters": {"retry_after": 9}}, "retry body 9"),
        (200, {"ok": False, "error_code": 502}, "retry body"),
        (200, {"ok": False, "error_code": 200}, "failed body"),
        (200, {"ok": False}, "failed body"),
        (200, {"ok": 1}, "failed body"),
        (200, {"ok": "true"}, "failed body"),
        (200, "ok", "failed body"),
        (
            400,
            {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"},
            "failed",
        ),
        (
            400,
            {"ok": False, "error_code": 400, "parameters": {"migrate_to_chat_id": -1009876543210}},
            "failed",
        ),
        (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, "failed"),
        (
            403,
            {
                "ok": False,
                "error_code": 403,
                "description": "Forbidden: bot was blocked by the user",
            },
            "gone",
        ),
        (404, {"ok": False, "error_code": 404, "description": "Not Found"}, "failed"),
        (429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 14}}, "retry 14"),
        (429, {"ok": False, "parameters": 14}, "retry 3", {"Retry-After": "3"}),
        (500, {"ok": False, "error_code": 500}, "retry"),
    ],
    "mattermost": [
        (200, "ok", "delivered"),
        (200, {"success": True}, "delivered"),
        (200, {"success": False, "error": "no"}, "failed body"),
        (200, "", "failed body"),
        (200, {"ok": True}, "failed body"),
        (
            400,
            {"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook"},
            "gone body",
        ),
        (400, {"id": "api.incoming_webhook.invalid.app_error"}, "gone body"),
        (404, {"id": "app.invalid_webhook.app_error"}, "gone body"),
        (
            400,
            {
                "id": "web.incoming_webhook.channel.app_error",
                "message": "Couldn't find the channel.",
            },
            "failed",
        ),
        (400, {"id": "web.incoming_webhook.parse.app_error"}, "failed"),
        (400, {"id": "api.incoming_webhook.invalid_username.app_error"}, "failed"),
        (403, {"id": "web.incoming_webhook.permissions.app_error"}, "failed"),
        (400, {"id": 7}, "failed"),
        (404, "404 page not found", "failed"),
        (429, "", "retry"),
        (500, {"id": "x"}, "retry"),
    ],
    "googlechat": [
        (200, {"name": "spaces/S/messages/M"}, "delivered"),
        (200, {}, "failed body"),
        (200, {"name": ""}, "failed body"),
        (200, {"name": True}, "failed body"),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "Message cannot be empty.",
                    "status": "INVALID_ARGUMENT",
                }
            },
            "failed",
        ),
        (401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, "failed"),
        (
            403,
            {"error": {"code": 403, "message": "No permission", "status": "PERMISSION_DENIED"}},
            "gone",
        ),
        (404, {"error": {"code": 404, "status": "NOT_FOUND"}}, "gone"),
        (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, "retry"),
        (503, {"error": {"status": "UNAVAILABLE"}}, "retry"),
    ],
    "feishu": [
        (
            200,
            {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"},
            "delivered",
        ),
        (200, {"code": 0}, "delivered"),
        (200, {"StatusCode": 0, "StatusMessage": "success"}, "delivered"),
        (200, {"StatusCode": 19001, "StatusMessage": "bad"}, "gone body"),
        (200, {"StatusCode": 0, "code": 19024, "msg": "Key Words Not Found"}, "failed body"),
        (
            200,
            {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"},
            "gone body",
        ),
        (200, {"code": 19002, "msg": "params error"}, "failed body"),
        (
            200,
            {
                "code": 19021,
                "msg": "sign match fail or timestamp is not within one hour from current time",
            },
            "failed body",
        ),
        (200, {"code": 19022, "msg": "Ip Not Allowed"}, "failed body"),
        (200, {"code": 19024, "msg": "Key Words Not Found"}, "failed body"),
        (200, {"code": 9499, "msg": "Bad Request"}, "failed body"),
        (200, {"code": 11232, "msg": "frequency limited"}, "retry body"),
        (200, {"code": 11232}, "retry body 5", {"Retry-After": "5"}),
        (200, {"code": "0"}, "failed body"),
        (200, {"code": False}, "failed body"),
        (200, {"code": None}, "failed body"),
        (200, {}, "failed body"),
        (200, "", "failed body"),
        (200, [], "failed body"),
        (400, {"code": 9499, "msg": "Bad Request"}, "failed"),
        (400, {"code": 11232, "msg": "frequency limited"}, "retry body"),
        (400, {"code": 19001}, "gone body"),
        (404, "", "failed"),
        (429, "", "retry"),
        (500, {"code": 0}, "retry"),
    ],
    "dingtalk": [
        (200, {"errcode": 0, "errmsg": "ok"}, "delivered"),
        (200, {"errcode": 310000, "errmsg": "keywords not in content"}, "failed body"),
        (200, {"errcode": 310000, "errmsg": "sign not match"}, "failed body"),
        (200, {"errcode": 310000, "errmsg": "ip 1.2.3.4 not in whitelist"}, "failed body"),
        (200, {"errcode": 130101, "errmsg": "send too fast"}, "retry body 600"),
        (200, {"errcode": 130101}, "retry body 600", {"Retry-After": "1"}),
        (200, {"errcode": 300001, "errmsg": "token is not exist"}, "gone body"),
        (200, {"errcode": 40035, "errmsg": "param error"}, "failed body"),
        (200, {"errcode": "0"}, "failed body"),
        (200, {"errcode": False}, "failed body"),
        (200, {"errcode": 0.5}, "failed body"),
        (200, {"errmsg": "ok"}, "failed body"),
        (400, "", "failed"),
        (429, {"errcode": 130101}, "retry body 600"),
        (503, "", "retry"),
    ],
    "wecom": [
        (200, {"errcode": 0, "errmsg": "ok"}, "delivered"),
        (
            200,
            {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"},
            "failed body",
        ),
        (200, {"errcode": 93000, "errmsg": "invalid webhook url"}, "gone body"),
        (200, {"errcode": 45009, "errmsg": "api freq out of limit"}, "retry body 60"),
        (200, {"errcode": 1, "errmsg": "x"}, "failed body"),
        (200, {"errcode": "93000"}, "failed body"),
        (200, {"errcode": [0]}, "failed body"),
        (200, "ok", "failed body"),
        (404, "", "failed"),
        (500, "", "retry"),
    ],
    "ntfy": [
        (200, {"id": "sPs71M8A2T", "event": "message"}, "delivered"),
        (200, {"event": "message"}, "failed body"),
        (200, {"id": ""}, "failed body"),
        (200, "", "failed body"),
        (400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"}, "failed"),
        (401, {"code": 40101, "http": 401, "error": "unauthorized"}, "failed"),
        (403, {"code": 40301, "http": 403, "error": "forbidden"}, "failed"),
        (413, {"code": 41301}, "failed"),
        (429, {"code": 42901, "http": 429, "error": "limit reached"}, "retry"),
        (507, {"code": 50701}, "retry"),
    ],
    "gotify": [
        (200, {"id": 25, "message": "x"}, "delivered"),
        (200, {"message": "x"}, "failed body"),
        (200, {"id": None}, "failed body"),
        (200, {"id": True}, "failed body"),
        (400, {"error": "Bad Request", "errorCode": 400, "errorDescription": "x"}, "failed"),
        (
            401,
            {
                "error": "Unauthorized",
                "errorCode": 401,
                "errorDescription": "no valid access token",
            },
            "failed",
        ),
        (403, {"error": "Forbidden", "errorCode": 403}, "failed"),
        (404, "", "failed"),
        (429, "", "retry"),
        (500, "", "retry"),
    ],
    "pagerduty": [
        (
            202,
            {"status": "success", "message": "Event processed", "dedup_key": "x"},
            "accepted accepted",
        ),
        (202, {"status": "invalid event"}, "failed body"),
        (202, {}, "failed body"),
        (202, "", "failed body"),
        (202, {"status": ["success"]}, "failed body"),
        (
            400,
            {
                "status": "invalid event",
                "message": "Invalid",
                "errors": ["Length of 'routing_key'"],
            },
            "failed",
        ),
        (403, "", "failed"),
        (429, "", "retry"),
        (500, "", "retry"),
        (503, "", "retry"),
    ],
    "opsgenie": [
        (
            202,
            {"result": "Request will be processed", "took": 0.1, "requestId": "43a29c5c"},
            "accepted accepted",
        ),
        (202, {"result": "x"}, "failed body"),
        (202, {"requestId": None}, "failed body"),
        (202, "", "failed body"),
        (400, {"message": "Message can not be empty.", "took": 0.0, "requestId": "x"}, "failed"),
        (401, {"message": "Could not authenticate"}, "failed"),
        (403, {"message": "You are not authorized"}, "failed"),
        (
            422,
            {
                "message": "Request body is not processable",
                "errors": {"message": "Message can not be empty."},
            },
            "failed",
        ),
        (429, {"message": "You are making too many requests!"}, "retry"),
        (500, "", "retry"),
        (503, "", "retry"),
    ],
    "pushover": [
        (200, {"status": 1, "request": "x"}, "delivered"),
        (200, {"status": 0, "errors": ["application token is invalid"]}, "failed body"),
        (200, {"status": True}, "failed body"),
        (200, {"status": "1"}, "failed body"),
        (200, {}, "failed body"),
        (400, {"status": 0, "user": "invalid", "errors": ["user identifier is invalid"]}, "failed"),
        (429, {"status": 0, "errors": ["application is over its quota"]}, "failed"),
        (408, "", "failed"),
        (410, "", "failed"),
        (500, "", "retry"),
        (503, "", "retry 8", {"Retry-After": "8"}),
    ],
    "alertmanager": [
        (200, "", "delivered"),
        (400, '"invalid label set: invalid name \\"\\""', "failed"),
        (422, "", "failed"),
        (500, '"storage"', "retry"),
        (410, "", "gone"),
    ],
    "webhook": [
        (200, "", "delivered"),
        (201, "made", "delivered"),
        (202, {"code": 1}, "delivered"),
        (204, "", "delivered"),
        (200, PROXY_PAGE, "delivered"),
        (200, "Hook rules were not satisfied.", "failed body"),
        (200, "Hook rules were not satisfied. So it was queued.", "delivered"),
        (400, "Hook rules were not satisfied.", "failed"),
        (400, "", "failed"),
        (404, "", "failed"),
        (408, "", "retry"),
        (410, "", "gone"),
        (425, "", "retry"),
        (429, "", "retry"),
        (500, "", "retry"),
        (503, "", "retry 120", {"Retry-After": "120"}),
    ],
}

PROXY_PAGES = [
    PROXY_PAGE,
    "<html>proxy login</html>",
    " \n<!-- x --><!-- y -->\n<HTML>",
    "\ufeff<?xml version='1.0'?><html xmlns='x'>",
    "<head>",
]


@pytest.mark.parametrize(
    ("host", "text", "verdict", "reason"),
    [
        ("acme.webhook.office.com", "1", "delivered", "ok"),
        ("acme.webhook.office.com", "", "failed", "body_says_error"),
        (
            "acme.webhook.office.com",
            "Bad payload received by generic incoming webhook.",
            "failed",
            "body_says_error",
        ),
        ("prod-00.westeurope.logic.azure.com", "", "accepted", "accepted"),
        ("prod-00.westeurope.logic.azure.com", "queued", "accepted", "accepted"),
        ("teams.proxy.example", "1", "delivered", "ok"),
    ],
)
def test_a_retired_teams_connector_must_respond_with_exactly_1(
    requests_mock, host, text, verdict, reason
):
    outcome = outcome_of(requests_mock, "teams", 200, text, url=f"https://{host}/hook")
    assert (outcome.verdict, outcome.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("telegram", 403), ("slack", 404), ("googlechat", 403), ("googlechat", 404)],
)
def test_a_proxys_page_does_not_mean_that_a_hook_is_gone(requests_mock, kind, status):
    page = "<!doctype html><h1>Blocked by the company's proxy</h1>"
    outcome = outcome_of(requests_mock, kind, status, page)
    assert (outcome.verdict, outcome.reason, outcome.actor) == ("failed", "http_status", "proxy")


@pytest.mark.parametrize("path", ["/triggers/T0/123/abc", "/workflows/T0/A0/123/abc"])
@pytest.mark.parametrize(
    ("body", "verdict", "reason"),
    [
        ("", "accepted", "accepted"),
        (" \n", "accepted", "accepted"),
        ({"ok": True}, "delivered", "ok"),
        ({"ok": False, "error": "invalid_workflow_input"}, "failed", "body_says_error"),
        ("no", "failed", "body_says_error"),
        (PROXY_PAGE, "failed", "body_says_error"),
    ],
)
def test_a_slack_workflow_that_confirms_nothing_is_accepted(
    requests_mock, path, body, verdict, reason
):
    url = f"https://hooks.slack.com{path}"
    outcome = outcome_of(requests_mock, "slack", 200, body, url=url)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)


# How the last words of an expectation are spelled in the table of responses.
REASONS = {"body": "body_says_error", "accepted": "accepted"}


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected", "headers"),
    [
        (kind, *row[:3], row[3] if len(row) > 3 else {})
        for kind, rows in RESPONSES.items()
        for row in rows
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_response_is_judged_as_its_vendor_documents(
    requests_mock, kind, status, body, expected, headers
):
    verdict, *words = expected.split()
    reason = "ok" if verdict == "delivered" else "http_status"
    wait = None
    for word in words:
        if word in REASONS:
            reason = REASONS[word]
        else:
            wait = float(word)
    outcome = outcome_of(requests_mock, kind, status, body, headers)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert (outcome.actor, outcome.retry_after) == ("receiver", wait)


def test_every_kind_has_rows_in_the_table_of_responses():
    assert set(RESPONSES) == {*VENDOR_KINDS, "alertmanager", "webhook"}
    assert sum(map(len, RESPONSES.values())) >= 140


@pytest.mark.parametrize("page", PROXY_PAGES)
@pytest.mark.parametrize("kind", [*VENDOR_KINDS, "alertmanager"])
def test_a_web_page_with_a_200_is_the_response_of_a_proxy(requests_mock, kind, page):
    html = {"Content-Type": "text/html; charset=utf-8"}
    for outcome in (
        outcome_of(requests_mock, kind, 200, page),
        outcome_of(requests_mock, kind, 200, "<div>Sign in</div>", html),
    ):
        assert (outcome.verdict, outcome.reason) == ("failed", "body_says_error")
        assert (outcome.actor, outcome.retry_after) == ("proxy", None)


def test_ok_is_accepted_with_any_content_type(requests_mock):
    html = {"Content-Type": "text/html"}
    assert outcome_of(requests_mock, "slack", 200, "ok", html).verdict == "delivered"
    assert outcome_of(requests_mock, "mattermost", 200, "ok\n").verdict == "delivered"


def test_an_unclosed_comment_costs_no_time():
    text = ("<!--" * 4000 + "<!---->" * 4000)[: 16 * 1024]
    assert not response_of(200, text).is_page
    assert not response_of(200, "<!---->" * 2300).is_page


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_an_incomplete_body_that_decides_is_retried(kind):
    judge = kinds()[kind].judge
    for body, reason in (
        ('{"id', Reason.TOO_LARGE),
        ("", Reason.TIMEOUT_TOTAL),
        ("", Reason.PROTOCOL_ERROR),
    ):
        response = response_of(200, body, incomplete=reason)
        assert judge(response) == Judgement(reason, verdict=Verdict.RETRY)


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_a_body_of_more_than_16_kb_that_decides_is_retried(requests_mock, kind):
    outcome = outcome_of(requests_mock, kind, 200, '{"id": "' + "x" * MAX_BODY_BYTES)
    assert (outcome.verdict, outcome.reason) == ("retry", "too_large")
    assert (outcome.actor, outcome.retry_after) == ("receiver", None)


@pytest.mark.parametrize(
    ("kind", "status", "body", "detail"),
    [
        ("slack", 200, {"ok": False, "error": "invalid_auth"}, "invalid_auth"),
        ("slack", 404, "no_service", "no_service"),
        (
            "discord",
            400,
            {"code": 50035, "message": "Bad", "errors": {"x": ["y"]}},
            '50035: Bad: ["y"]',
        ),
        (
            "telegram",
            403,
            {"error_code": 403, "description": "Forbidden: kicked"},
            "403: Forbidden: kicked",
        ),
        ("mattermost", 400, {"id": "a.b", "message": "No."}, "a.b: No."),
        (
            "googlechat",
            403,
            {"error": {"code": 403, "message": "No.", "status": "DENIED"}},
            "403: No.: DENIED",
        ),
        ("feishu", 200, {"code": 19021, "msg": "sign match fail"}, "19021: sign match fail"),
        ("dingtalk", 200, {"errcode": 310000, "errmsg": "keywords"}, "310000: keywords"),
        ("wecom", 200, {"errcode": 40058, "errmsg": "too long"}, "40058: too long"),
        ("ntfy", 403, {"code": 40301, "error": "forbidden"}, "40301: forbidden"),
        ("pagerduty", 400, {"message": "Invalid", "errors": ["a", "b"]}, "Invalid: a: b"),
        ("opsgenie", 422, {"message": "No.", "errors": {"message": "empty"}}, "No.: empty"),
        ("pushover", 400, {"status": 0, "errors": ["user is invalid"]}, "user is invalid"),
        (
            "gotify",
            401,
            {"error": "Unauthorized", "errorDescription": "token"},
            "Unauthorized: token",
        ),
        ("teams", 200, "Webhook message delivery failed: x", "Webhook message delivery failed: x"),
        ("wecom", 200, "", "it does not confirm the message"),
    ],
)
def test_the_detail_is_the_code_and_message_of_the_vendor(
    requests_mock, kind, status, body, detail
):
    outcome = outcome_of(requests_mock, kind, status, body)
    if outcome.reason == "body_says_error":
        assert f" refused the message: {detail}. Tocsin" in outcome.says
    else:
        assert f" ({detail}). Tocsin" in outcome.says


@pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the shared examples are not beside this checkout"
)
def test_every_example_response_is_judged_as_expected(requests_mock):
    files = sorted((EXAMPLES / "responses").glob("*.json"))
    assert files
    for file in files:
        row = json.loads(file.read_text())
        body = row["body"]
        if row["kind"] == "alertmanager":  # its body is a JSON string
            body = json.dumps(body)
        outcome = outcome_of(requests_mock, row["kind"], row["status"], body, row["headers"])
        assert outcome.verdict == row["expect"]["verdict"], file.name
        assert outcome.retry_after == row["expect"].get("retry_after_s"), file.name
        assert outcome.actor == row["expect"].get("actor", "receiver"), file.name


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_a_group_that_became_a_supergroup_gets_its_new_id(requests_mock, status):
    body = {"ok": False, "parameters": {"migrate_to_chat_id": -1009876543210}}
    outcome = outcome_of(requests_mock, "telegram", status, body)
    assert outcome.suggested_fix == SuggestedFix(
        "Use the new chat ID", {"options-chat_id": "-1009876543210"}
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        [],
        {},
        {"parameters": 7},
        {"parameters": {"migrate_to_chat_id": True}},
        {"parameters": {}},
    ],
)
def test_a_response_without_a_new_id_suggests_no_fix(requests_mock, body):
    outcome = outcome_of(requests_mock, "telegram", 400, body)
    assert (outcome.status, outcome.suggested_fix) == (400, None)


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("https://ntfy.sh/ops", "ops"),
        ("http://127.0.0.1:8080/ops_1-x", "ops_1-x"),
        ("https://ntfy.sh/", None),
        ("https://ntfy.sh/a/b", None),
        ("https://ntfy.sh/" + "x" * 65, None),
    ],
)
def test_an_ntfy_topic_in_the_url_is_moved_to_its_field(requests_mock, url, topic):
    expected = None
    if topic:
        changes = {"url": url.rsplit("/", 1)[0], "options-topic": topic}
        expected = SuggestedFix("Move the topic to its own field", changes)
    for status in (200, 400, 500):
        outcome = outcome_of(requests_mock, "ntfy", status, "{}", url=url)
        assert (outcome.status, outcome.suggested_fix) == (status, expected)


@pytest.mark.parametrize("url", ["nonsense", ""])
def test_an_invalid_ntfy_url_has_no_topic_to_move(url):
    for status in (200, 400, 500):
        assert kinds()["ntfy"].suggest_fix(response_of(status, "{}"), Settings(url=url)) is None


_any_text = st.text(st.characters(exclude_categories=[]), max_size=12)
_NAMES = [
    "ok",
    "error",
    "id",
    "code",
    "StatusCode",
    "errcode",
    "errmsg",
    "msg",
    "message",
    "errors",
    "status",
    "requestId",
    "name",
    "parameters",
    "retry_after",
    "error_code",
]

_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        _any_text,
        st.sampled_from([0, 1, 403, 10015, 19001, 45009]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(_NAMES), _any_text), inner, max_size=4),
    ),
    max_leaves=8,
)

_bodies = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from(_NAMES), _json, max_size=6).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [
            b"ok",
            b"1",
            b"[" * 16_000,
            b'{"code":' + b"9" * 5000 + b"}",
            b'{"code": NaN}',
            b'{"id": 1e999}',
            b"\xff\xfe{",
        ]
    ),
)


@budget(deadline=None, max_examples=250)
@given(
    st.sampled_from([200, 202, 204, 299, 400, 403, 404, 410, 429, 500, 503, 599, 999]),
    _bodies,
    st.booleans(),
)
def test_no_response_breaks_a_judgement(status, body, cut):
    if cut:
        body += b" " * MAX_BODY_BYTES
    json_header = {"Content-Type": "application/json"}
    with Mocker() as mocker:
        for kind in VENDOR_KINDS:
            outcome = outcome_of(mocker, kind, status, body, json_header, "https://ntfy.sh/x")
            assert outcome.status == status
            assert outcome.actor != "tocsin"
            if outcome.good:
                assert verdict_of_status(status) == "delivered"
                assert outcome.reason in ("ok", "accepted")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((None, "", [], {}), ""),
        ((19001, "bad"), "19001: bad"),
        ((["a", None, "b"],), "a: b"),
        (({"x": "a", "y": ["b"]},), 'a: ["b"]'),
        ((True, 1.5), "true: 1.5"),
    ],
)
def test_the_parts_of_an_error_become_one_text(parts, text):
    assert error_text(*parts) == text


def test_a_vendors_own_statuses_mean_gone():
    judge = judge_by_body(lambda _response: Judgement("http_status", verdict="failed"), gone=(403,))
    assert judge(response_of(403, "")).verdict == "gone"
    assert judge(response_of(404, "")).verdict == "failed"
