"""Google Chat's webhooks: a text for the notification, and a card."""

from delivery.event import Event
from delivery.json_text import dumps
from delivery.kinds.spec import Kind, Limit, UrlPattern
from delivery.kinds.urls import with_query
from delivery.response import judge_by_body, judge_by_member
from delivery.settings import Settings
from delivery.text import AlertText, break_mentions, escape_html, json_length, truncate

TEXT, BODY = Limit(4096, "characters", "text"), Limit(32_000, "bytes")  # (?)
_TITLE = 1000


def body(_settings: Settings, event: Event) -> str:
    """The message. A text of at most three bytes a character and little else stays below the limit of the whole."""
    words = AlertText(event.alert)
    widgets: list[dict] = [
        {"textParagraph": {"text": TEXT.truncate(words.text() or words.title, escape_html)}}
    ]
    if words.link:
        button = {"text": "Open alert", "onClick": {"openLink": {"url": words.link}}}
        widgets.append({"buttonList": {"buttons": [button]}})
    title = truncate(words.title, _TITLE, json_length, break_mentions)
    card = {"header": {"title": title}, "sections": [{"widgets": widgets}]}
    cards = [{"cardId": words.key, "card": card}]
    return dumps({"text": title, "thread": {"threadKey": words.key}, "cardsV2": cards})


KIND = Kind(
    name="googlechat",
    label="Google Chat",
    help="Posts a card to a space, open and closed alert in one thread.",
    url_help="The webhook's URL, from the space's settings under Apps and integrations.",
    docs="https://developers.google.com/workspace/chat/quickstart/webhooks",
    url_patterns=(UrlPattern(r"/v1/spaces/[^/]+/messages", r"chat\.googleapis\.com"),),
    limits=(TEXT, BODY),
    rate_limit=((1, 1), (60, 60)),
    body=body,
    complete_url=lambda target, *_: with_query(
        target, messageReplyOption="REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
    ),
    judge=judge_by_body(judge_by_member("name", "error"), gone=(403, 404)),
)
