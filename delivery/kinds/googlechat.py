"""Google Chat's webhooks: a text for the notification, and a card."""

from delivery.content.alert_text import AlertText
from delivery.content.facts import Fact
from delivery.content.links import links_that_fit
from delivery.escaping import break_chat_tags, escape_html
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.time_zone import TIME_ZONE
from delivery.response import judge_by_body, judge_by_member
from delivery.text import json_length, truncate, utf8_length

TEXT = Limit(4096, "text")
BODY = Limit(32_000, unit="bytes")  # not confirmed by the vendor
# In bytes. The description has what these and the frames leave, but no more than a text message.
_MAX_TITLE = 800
_MAX_SUMMARY = 2000
_MAX_NAME = 150
_MAX_VALUE = 600
_MAX_FACTS = 12
_MAX_LINKS = 10_000


def body(alert: AlertText) -> dict:
    """Return the text of the notification and a card, in the alert's thread."""
    room = BODY.maximum - utf8_length(dumps(_message(alert, "…")))
    room = min(room, TEXT.maximum)
    return _message(alert, alert.description_within(room, json_length, escape_html))


def _message(alert: AlertText, description: str) -> dict:
    words = [alert.status_words.removesuffix(":"), alert.subject]
    subtitle = " · ".join(filter(None, words))
    header = {
        "title": truncate(alert.name, _MAX_TITLE, json_length),
        "subtitle": truncate(subtitle, _MAX_TITLE, json_length),
    }
    card = {"header": header, "sections": [{"widgets": _widgets(alert, description)}]}
    return {
        "text": alert.title_within(_MAX_TITLE, json_length, break_chat_tags),
        "thread": {"threadKey": alert.dedup_key},
        "cardsV2": [{"cardId": alert.dedup_key, "card": card}],
    }


def _widgets(alert: AlertText, description: str) -> list[dict]:
    """Return texts, facts and links; the title if there are none, as a card needs a widget."""
    widgets = [*_texts(alert, description), *_facts(alert), *_links(alert)]
    title = alert.title_within(_MAX_TITLE, json_length, escape_html)
    return widgets or [_paragraph(title)]


def _texts(alert: AlertText, description: str) -> list[dict]:
    summary = truncate(alert.summary, _MAX_SUMMARY, json_length, escape_html)
    return [_paragraph(text) for text in (summary, description) if text]


def _paragraph(text: str) -> dict:
    return {"textParagraph": {"text": text}}


def _facts(alert: AlertText) -> list[dict]:
    facts, rest = alert.facts_within(_MAX_FACTS)
    shown = [*facts, Fact("…", rest), Fact("Started", alert.times.removeprefix("Started "))]
    return [
        {
            "decoratedText": {
                "topLabel": truncate(fact.name, _MAX_NAME, json_length),
                "text": truncate(fact.value, _MAX_VALUE, json_length, escape_html),
                "wrapText": True,
            }
        }
        for fact in shown
        if fact.value
    ]


def _links(alert: AlertText) -> list[dict]:
    buttons = [
        {"text": link.name, "onClick": {"openLink": {"url": link.url}}}
        for link in links_that_fit(alert.links, _MAX_LINKS)
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
