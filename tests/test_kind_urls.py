"""The URLs of the kinds: what is requested, which pasted URLs are recognized, which get a hint."""

from urllib.parse import parse_qs, urlsplit

import pytest
from kind_support import OPTIONS, VENDOR_KINDS, WORKFLOW_URL, json_of, message_of, request_of

from delivery.guard.url import parse_url
from delivery.kinds import kinds, match_url


@pytest.mark.parametrize(
    ("kind", "url", "requested"),
    [
        ("telegram", "", "https://api.telegram.org/bot123456:AA-TOKEN/sendMessage"),
        (
            "telegram",
            "https://own.example.test/tg/",
            "https://own.example.test/tg/bot123456:AA-TOKEN/sendMessage",
        ),
        (
            "telegram",
            "https://own.example.test/p/bot9:x/sendMessage",
            "https://own.example.test/p/bot9:x/sendMessage",
        ),
        ("ntfy", "", "https://ntfy.sh/"),
        ("ntfy", "https://own.example.test/topic", "https://own.example.test/topic"),
        ("pagerduty", "", "https://events.pagerduty.com/v2/enqueue"),
        (
            "pagerduty",
            "https://events.eu.pagerduty.com/",
            "https://events.eu.pagerduty.com/v2/enqueue",
        ),
        ("pagerduty", "https://own.example.test/pd", "https://own.example.test/pd/v2/enqueue"),
        (
            "pagerduty",
            "https://own.example.test/pd/v2/enqueue",
            "https://own.example.test/pd/v2/enqueue",
        ),
        ("opsgenie", "", "https://api.opsgenie.com/v2/alerts"),
        (
            "opsgenie",
            "https://own.example.test/og/v2/alerts",
            "https://own.example.test/og/v2/alerts",
        ),
        ("pushover", "", "https://api.pushover.net/1/messages.json"),
        ("pushover", "https://own.example.test/p", "https://own.example.test/p/1/messages.json"),
        ("gotify", "https://own.example.test", "https://own.example.test/message"),
        (
            "gotify",
            "https://own.example.test/push/message",
            "https://own.example.test/push/message",
        ),
        (
            "discord",
            "https://discord.com/api/webhooks/1/t?thread_id=2&wait=0",
            "https://discord.com/api/webhooks/1/t?thread_id=2&wait=true",
        ),
        (
            "slack",
            "https://hooks.slack.com/services/T0/B0/x",
            "https://hooks.slack.com/services/T0/B0/x",
        ),
        (
            "dingtalk",
            "https://oapi.dingtalk.com/robot/send?access_token=T",
            "https://oapi.dingtalk.com/robot/send?access_token=T",
        ),
        (
            "googlechat",
            "https://chat.googleapis.com/v1/spaces/S/messages?key=K&token=a%3D",
            "https://chat.googleapis.com/v1/spaces/S/messages?key=K&token=a%3D&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
        ),
    ],
)
def test_the_url_is_completed_and_keeps_its_prefix(requests_mock, kind, url, requested):
    assert request_of(requests_mock, kind, url=url).url == requested


def test_opsgenie_closes_an_alert_by_its_alias(requests_mock):
    end = "/v2/alerts/tocsin-4711/close?identifierType=alias"
    assert request_of(requests_mock, "opsgenie", closed=True).url == (
        "https://api.opsgenie.com" + end
    )
    own = "https://own.example.test/x/"
    assert request_of(requests_mock, "opsgenie", url=own, closed=True).url == (
        "https://own.example.test/x" + end
    )


def test_a_bot_token_stays_within_its_path_segment(requests_mock):
    request = request_of(requests_mock, "telegram", bot_token="../../x?y#z é\ud800")
    assert request.url == (
        "https://api.telegram.org/bot..%2F..%2Fx%3Fy%23z%20%C3%A9%3F/sendMessage"
    )


def added_headers(request):
    """Return the headers that the message of another kind would not have."""
    every_message = {
        "Host",
        "User-Agent",
        "Accept-Encoding",
        "webhook-id",
        "webhook-timestamp",
        "X-Delivery-Attempt",
        "Content-Type",
        "Content-Length",
    }
    return {name: value for name, value in request.headers.items() if name not in every_message}


def test_tokens_are_sent_in_the_vendors_header(requests_mock):
    gotify = request_of(requests_mock, "gotify")
    assert added_headers(gotify) == {"X-Gotify-Key": "APPTOKEN"}
    opsgenie = request_of(requests_mock, "opsgenie")
    assert added_headers(opsgenie) == {"Authorization": f"GenieKey {OPTIONS['api_key']}"}
    protected = request_of(requests_mock, "ntfy", access_token="tk_TOKEN")
    assert added_headers(protected) == {"Authorization": "Bearer tk_TOKEN"}
    assert added_headers(request_of(requests_mock, "ntfy")) == {}


def test_feishu_and_dingtalk_sign_in_their_own_ways(requests_mock):
    body = json_of(requests_mock, "feishu", secret="demo-feishu-secret")
    assert (body["timestamp"], body["sign"]) == (
        "1772442900",
        "Emawsud1vU7n6HhVIuGaqnP++ShcYP0lQLiAaeTHkiI=",
    )
    url = "https://oapi.dingtalk.com/robot/send?access_token=TOKEN"
    secret = "SECdemo0123456789"
    assert request_of(requests_mock, "dingtalk", url=url, secret=secret).url == (
        f"{url}&timestamp=1772442900120&sign=XmhKc03ZZ7kOYFHUNuzoh%2FXSDspKmtDVWky%2FyQp%2BcMA%3D"
    )
    signed_url = f"{url}&timestamp=1&sign=x"
    signed_again = request_of(requests_mock, "dingtalk", url=signed_url, secret=secret).url
    assert parse_qs(urlsplit(signed_again).query)["timestamp"] == ["1772442900120"]


@pytest.mark.parametrize("kind", [kind for kind in VENDOR_KINDS if kinds()[kind].base])
def test_a_message_to_the_vendors_own_server_is_recognized(kind):
    assert message_of(kind).at_vendor or kind == "ntfy"
    assert message_of(kind, closed=True).at_vendor or kind == "ntfy"
    assert not message_of(kind, url="https://own.example.test/x").at_vendor


AZURE_PATH = "/workflows/ID/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SIG"

POWER_URL = (
    "https://default1.ab.environment.api.powerplatform.com:443/powerautomate/automations/direct"
)

TOKEN = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"

HOOK = "abcdefghijklmnopqrstuvwxyz"

CERTAIN_URLS = [
    ("https://hooks.slack.com/services/T00000000/B00000000/XXXX", "slack", None, {}),
    ("https://hooks.slack-gov.com/services/T0/B0/x", "slack", None, {}),
    ("https://hooks.slack.com/workflows/T0/A0/123/abc", "slack", None, {}),
    (WORKFLOW_URL, "slack", None, {}),
    ("https://discord.com/api/webhooks/100000000000000000/TOKEN", "discord", None, {}),
    ("https://discordapp.com/api/v10/webhooks/1/a-b_c", "discord", None, {}),
    ("https://discord.com/api/webhooks/1/abc/slack", "discord", None, {}),
    ("https://discord.com/api/webhooks/1/abc/github", "discord", None, {}),
    (
        f"https://prod-00.logic.azure.com:443{AZURE_PATH}",
        "teams",
        f"https://prod-00.logic.azure.com{AZURE_PATH}",
        {},
    ),
    (POWER_URL + AZURE_PATH, "teams", POWER_URL.replace(":443", "") + AZURE_PATH, {}),
    ("https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w", "teams", None, {}),
    (
        f"https://api.telegram.org/bot{TOKEN}/sendMessage?chat_id=-100&message_thread_id=7",
        "telegram",
        "https://api.telegram.org",
        {"bot_token": TOKEN, "chat_id": "-100", "message_thread_id": "7"},
    ),
    (
        "https://chat.googleapis.com/v1/spaces/SPACE/messages?key=KEY&token=TOKEN",
        "googlechat",
        None,
        {},
    ),
    (
        "https://open.feishu.cn/open-apis/bot/v2/hook/00000000-0000-0000-0000-000000000000",
        "feishu",
        None,
        {},
    ),
    ("https://open.larksuite.com/open-apis/bot/v2/hook/0-1", "feishu", None, {}),
    ("https://oapi.dingtalk.com/robot/send?access_token=TOKEN", "dingtalk", None, {}),
    ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0-1", "wecom", None, {}),
    ("https://ntfy.sh/ops-alerts", "ntfy", "https://ntfy.sh", {"topic": "ops-alerts"}),
    ("https://events.pagerduty.com/v2/enqueue", "pagerduty", "https://events.pagerduty.com", {}),
    (
        "https://events.eu.pagerduty.com/v2/enqueue",
        "pagerduty",
        "https://events.eu.pagerduty.com",
        {},
    ),
    ("https://api.opsgenie.com/v2/alerts", "opsgenie", "https://api.opsgenie.com", {}),
    ("https://api.eu.opsgenie.com/v2/alerts", "opsgenie", "https://api.eu.opsgenie.com", {}),
    ("https://api.pushover.net/1/messages.json", "pushover", "https://api.pushover.net", {}),
    (
        "https://api.pushover.net/1/messages.json?token=t&user=u",
        "pushover",
        "https://api.pushover.net",
        {"token": "t", "user": "u"},
    ),
]

GUESSED_URLS = [
    (f"https://mattermost.example.test/hooks/{HOOK}", "mattermost", None, {}),
    (f"https://example.test/chat/hooks/{HOOK}", "mattermost", None, {}),
    ("https://gotify.example.test/message", "gotify", "https://gotify.example.test", {}),
    (
        "https://example.test/push/message?token=Aabc",
        "gotify",
        "https://example.test/push",
        {"app_token": "Aabc"},
    ),
    (
        f"https://example.test/tg/bot{TOKEN}/sendMessage",
        "telegram",
        "https://example.test/tg",
        {"bot_token": TOKEN},
    ),
]


@pytest.mark.parametrize(
    ("url", "kind", "kept", "options", "certain"),
    [(*row, True) for row in CERTAIN_URLS] + [(*row, False) for row in GUESSED_URLS],
)
def test_a_pasted_url_reveals_its_kind_and_its_secrets(url, kind, kept, options, certain):
    recognized = match_url(parse_url(url))
    assert recognized is not None
    assert recognized.kind.name == kind
    assert recognized.url == (kept or url)
    assert recognized.options == options
    assert recognized.certain == certain


SIMILAR_URLS = [
    "https://hooks.slack.com.evil.example/services/T0/B0/x",
    "https://evil-hooks.slack.com/services/T0/B0/x",
    "https://xhooks.slack.com/services/T0/B0/x",
    "https://hooks-slack.com/services/T0/B0/x",
    "https://hooks.slack.com/",
    "https://hooks.slack.com/services/T0/B0",
    "https://hooks.slack.com/x/services/T0/B0/x",
    "https://evil.example/?u=https%3A%2F%2Fhooks.slack.com/services/T0/B0/x",
    "https://evil.example/hooks.slack.com/services/T0/B0/x",
    "https://discord.com/api/webhooks/abc/TOKEN",
    "https://discord.com/api/webhooks/1",
    "https://discord.com/channels/1/2",
    "https://discord.com.evil.example/api/webhooks/1/TOKEN",
    "https://notdiscord.com/api/webhooks/1/TOKEN",
    "https://logic.azure.com" + AZURE_PATH,
    "https://xlogic.azure.com" + AZURE_PATH,
    "https://prod.logic.azure.com.evil.example" + AZURE_PATH,
    "https://prod.logic.azure.com/workflows/ID/triggers/other/paths/invoke",
    "https://prod.api.powerplatform.com/x",
    "https://webhook.office.com/webhookb2/x",
    "https://evil.example/webhookb2/x?h=a.webhook.office.com",
    "https://api.telegram.org/",
    "https://api.telegram.org/bot/sendMessage",
    f"https://api.telegram.org/bot{TOKEN}/getMe",
    "https://chat.googleapis.com/v1/spaces/S",
    "https://open.feishu.cn/open-apis/bot/hook/0-1",
    "https://open.feishu.cn.evil.example/open-apis/bot/v2/hook/0-1",
    "https://oapi.dingtalk.com/robot/send/x",
    "https://evil.example/robot/send?access_token=T",
    "https://qyapi.weixin.qq.com/cgi-bin/message/send",
    "https://ntfy.sh/",
    "https://ntfy.sh/a/b",
    "https://x.ntfy.sh/topic",
    "https://events.pagerduty.com/v1/enqueue",
    "https://x.events.pagerduty.com/v2/enqueue",
    "https://api.opsgenie.com/v1/alerts",
    "https://api.us.opsgenie.com/v2/alerts",
    "https://api.pushover.net/1/users.json",
    f"https://mattermost.example.test/hooks/{HOOK}x",
    f"https://mattermost.example.test/hooks/{HOOK[1:]}",
    f"https://mattermost.example.test/x?y=/hooks/{HOOK}",
    "https://gotify.example.test/messages",
    "https://gotify.example.test/x?y=/message",
]


@pytest.mark.parametrize("url", SIMILAR_URLS)
def test_a_similar_url_is_not_recognized(url):
    assert match_url(parse_url(url)) is None


@pytest.mark.parametrize(
    ("kind", "url", "part"),
    [
        ("teams", "https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w", "retired"),
        ("teams", "https://prod.logic.azure.com" + AZURE_PATH, ""),
        ("opsgenie", "https://api.opsgenie.com/", "5 April 2027"),
        ("opsgenie", "https://own.example.test/", "5 April 2027"),
        ("discord", "https://discord.com/api/webhooks/1/abc/slack", "remove"),
        ("discord", "https://discord.com/api/webhooks/1/abc/github", "remove"),
        ("discord", "https://discord.com/api/webhooks/1/abc", ""),
        ("slack", WORKFLOW_URL, "declare"),
        ("slack", "https://hooks.slack.com/workflows/T0/A0/1/x", "declare"),
        ("slack", "https://hooks.slack.com/services/T0/B0/x", ""),
        ("ntfy", "https://ntfy.sh/topic", ""),
        ("ntfy", "https://ntfy.example.test/topic", "raw JSON"),
        ("ntfy", "https://ntfy.example.test/topic/", "raw JSON"),
        ("ntfy", "https://ntfy.example.test/", ""),
        ("ntfy", "https://ntfy.example.test/a/b", ""),
        (
            "teams",
            "https://prod.logic.azure.com" + AZURE_PATH.partition("&sig")[0],
            "lacks its sig",
        ),
        ("teams", POWER_URL + AZURE_PATH.partition("?")[0], "lacks its sig"),
        ("teams", f"https://prod.logic.azure.com{AZURE_PATH[:-3]}", "lacks its sig"),
        ("teams", "https://own.example.test/hook", ""),
        ("dingtalk", "https://oapi.dingtalk.com/robot/send", "lacks its access_token"),
        ("dingtalk", "https://oapi.dingtalk.com/robot/send?access_token=x", ""),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send", "lacks its key"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x", ""),
        (
            "googlechat",
            "https://chat.googleapis.com/v1/spaces/S/messages",
            "lacks its key and token",
        ),
        ("googlechat", "https://chat.googleapis.com/v1/spaces/S/messages?key=K&token=T", ""),
    ],
)
def test_a_retired_or_special_url_gets_a_hint(kind, url, part):
    hint = kinds()[kind].url_hint(parse_url(url))
    assert part in hint
    assert bool(part) == bool(hint)
