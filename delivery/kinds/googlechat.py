"""Google Chat's webhooks: a text for the notification, and a card."""

from delivery.content.alert_text import AlertText
from delivery.escaping import break_chat_tags, escape_html
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.response import judge_by_body, judge_by_member
from delivery.text import json_length, truncate

TEXT = Limit(4096, "text")
BODY = Limit(32_000, unit="bytes")  # not confirmed by the vendor
# In bytes: title, texts, facts and links together leave 7,000 for the frames.
_MAX_TITLE = 800
_MAX_SUMMARY = 2000
_MAX_DESCRIPTION = 4000
_MAX_NAME = 150
_MAX_VALUE = 600
_MAX_FACTS = 12
_MAX_URL = 1000


def body(alert: AlertText) -> dict:
    """Return the text of the notification and a card, in the alert's thread."""
    header = {"title": truncate(alert.name, _MAX_TITLE, json_length)}
    subtitle = f"{alert.status_words} {alert.subject}".strip()
    header["subtitle"] = truncate(subtitle, _MAX_TITLE, json_length)
    widgets = [*_texts(alert), *_facts(alert), *_links(alert)]
    card = {"header": header, "sections": [{"widgets": widgets}] if widgets else []}
    return {
        "text": alert.title_within(_MAX_TITLE, json_length, break_chat_tags),
        "thread": {"threadKey": alert.dedup_key},
        "cardsV2": [{"cardId": alert.dedup_key, "card": card}],
    }


def _texts(alert: AlertText) -> list[dict]:
    texts = (
        truncate(alert.summary, _MAX_SUMMARY, json_length, escape_html),
        alert.description_within(_MAX_DESCRIPTION, json_length, escape_html),
    )
    return [{"textParagraph": {"text": text}} for text in texts if text]


def _facts(alert: AlertText) -> list[dict]:
    facts, rest = alert.facts_within(_MAX_FACTS)
    pairs = [*facts, ("Facts", rest), ("Started", alert.times.removeprefix("Started "))]
    return [
        {
            "decoratedText": {
                "topLabel": truncate(name, _MAX_NAME, json_length),
                "text": truncate(value, _MAX_VALUE, json_length, escape_html),
                "wrapText": True,
            }
        }
        for name, value in pairs
        if value
    ]


def _links(alert: AlertText) -> list[dict]:
    buttons = [
        {"text": link.name, "onClick": {"openLink": {"url": link.url}}}
        for link in alert.links_within(_MAX_URL)
    ]
    return [{"buttonList": {"buttons": buttons}}] if buttons else []


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
    options=(TIME_ZONE,),
    limits=(TEXT, BODY),
    rate_limit=((1, 1), (60, 60)),
    body=body,
    judge=judge_by_body(judge_by_member("name", "error"), gone=(403, 404)),
)
