"""Google Chat's webhooks: a text for the notification, and a card."""

from delivery.answer import by_body, gives
from delivery.kinds import Event, Kind, Limit, Shape, asking, dumps
from delivery.settings import Settings
from delivery.wording import Words, apart, cut, entities, spelled

TEXT, BODY = Limit(4096, "characters", "text"), Limit(32_000, "bytes")  # (?)
_TITLE = 1000


def body(_settings: Settings, event: Event) -> str:
    """The message. A text of at most three bytes a character and little else stays below the limit of the whole."""
    words = Words(event.alert)
    widgets: list[dict] = [{"textParagraph": {"text": TEXT.cut(words.text() or words.title, entities)}}]
    if words.link:
        button = {"text": "Open alert", "onClick": {"openLink": {"url": words.link}}}
        widgets.append({"buttonList": {"buttons": [button]}})
    title = cut(words.title, _TITLE, spelled, apart)
    card = {"header": {"title": title}, "sections": [{"widgets": widgets}]}
    cards = [{"cardId": words.key, "card": card}]
    return dumps({"text": title, "thread": {"threadKey": words.key}, "cardsV2": cards})


KIND = Kind(
    name="googlechat",
    label="Google Chat",
    help="Posts a card to a space, open and closed alert in one thread.",
    url_help="The webhook's URL, from the space's settings under Apps and integrations.",
    docs="https://developers.google.com/workspace/chat/quickstart/webhooks",
    shapes=(Shape(r"/v1/spaces/[^/]+/messages", r"chat\.googleapis\.com"),),
    limits=(TEXT, BODY),
    pace=((1, 1), (60, 60)),
    body=body,
    complete=lambda target, *_: asking(target, messageReplyOption="REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"),
    judge=by_body(gives("name", "error"), gone=(403, 404)),
)
