"""Google Chat's webhooks: a text for the notification, and a card."""

from delivery.content.alert_text import AlertText
from delivery.escaping import break_mentions, escape_html
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.response import judge_by_body, judge_by_member
from delivery.text import json_length, truncate

# A text of 4,096 characters, three bytes each, keeps the body within its limit.
TEXT = Limit(4096, "text")
BODY = Limit(32_000, unit="bytes")  # not confirmed by the vendor
_MAX_TITLE = 1000


def body(alert: AlertText) -> dict:
    """Return a text and a card in the alert's thread."""
    title = truncate(alert.title, _MAX_TITLE, json_length, break_mentions)
    text = TEXT.truncate(alert.details_or_title, escape_html)
    widgets: list[dict] = [{"textParagraph": {"text": text}}]
    if alert.link:
        button = {"text": "Open alert", "onClick": {"openLink": {"url": alert.link}}}
        widgets.append({"buttonList": {"buttons": [button]}})
    card = {"header": {"title": title}, "sections": [{"widgets": widgets}]}
    return {
        "text": title,
        "thread": {"threadKey": alert.dedup_key},
        "cardsV2": [{"cardId": alert.dedup_key, "card": card}],
    }


KIND = Kind(
    name="googlechat",
    label="Google Chat",
    help="Posts a card to a space. The open and the closed alert share a thread.",
    url_help="The webhook URL, from the space's settings under Apps and integrations.",
    docs="https://developers.google.com/workspace/chat/quickstart/webhooks",
    query={"messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"},
    url_patterns=(
        UrlPattern(r"/v1/spaces/[^/]+/messages", r"chat\.googleapis\.com", needs=("key", "token")),
    ),
    limits=(TEXT, BODY),
    rate_limit=((1, 1), (60, 60)),
    body=body,
    judge=judge_by_body(judge_by_member("name", "error"), gone=(403, 404)),
)
