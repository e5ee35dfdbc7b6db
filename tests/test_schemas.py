"""Bodies against what others publish of the services: models of their SDKs, and a JSON schema.

A model may skip what it does not know: a body must leave each as it came.
"""

import copy
import json
import random
from functools import cache
from importlib import resources
from xml.etree import ElementTree

import jsonschema
import pytest
from kind_support import AT, channel_of
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block
from test_kind_messages import HOSTILE
from test_message_checklist import INSTALLATION, LONG, event_of, random_alert

from clock import MINUTE
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.kinds import kinds
from delivery.message import write_body
from delivery.text import utf16_length

COUNT = 200


def validate_slack(body: dict) -> None:
    """Validate with the models of Slack's SDK, which count every text and list of a block."""
    assert body.keys() == {"text", "blocks", "attachments"}
    assert 0 < len(body["text"]) <= 40_000
    blocks = read_blocks(body["blocks"])
    for attachment in body["attachments"]:
        inner = read_blocks(attachment["blocks"])
        assert BlockAttachment(**{**attachment, "blocks": inner}).to_dict() == attachment
        blocks += inner
    assert len(blocks) <= 50
    elements = [element for block in blocks for element in getattr(block, "elements", [])]
    buttons = [element.action_id for element in elements if element.type == "button"]
    assert len(buttons) == len(set(buttons))


def read_blocks(parts: list[dict]) -> list[Block]:
    blocks = Block.parse_all(parts)
    for block, part in zip(blocks, parts, strict=True):
        assert block, part
        assert block.to_dict() == part
    return blocks


def validate_discord(body: dict) -> None:
    """Validate with the models of a client, which counts every text of an embed and their sum."""
    import disnake  # loads asyncio and aiohttp: only the process that runs the test does

    assert body.keys() <= {"content", "allowed_mentions", "embeds", "flags"}
    assert body.get("flags", 0) in (0, disnake.MessageFlags(suppress_notifications=True).value)
    assert 0 < utf16_length(body["content"]) <= 2000
    assert body["allowed_mentions"] == disnake.AllowedMentions.none().to_dict()
    assert 0 < len(body["embeds"]) <= 10
    for part in body["embeds"]:
        embed = disnake.Embed.from_dict(part)
        embed.check_limits()
        # A model writes a time differently, and the kind of an embed.
        read = {"type": "rich", **embed.to_dict(), "timestamp": embed.timestamp}
        time = disnake.utils.parse_time(part.get("timestamp"))
        assert read == {"type": "rich", **part, "timestamp": time}


@cache
def card_schema() -> jsonschema.Draft6Validator:
    schema = resources.files("adaptive_cards") / "schemas" / "schema-1.5.json"
    return jsonschema.Draft6Validator(json.loads(schema.read_text("utf-8")))


def validate_teams(body: dict) -> None:
    """Validate the card with the schema of Adaptive Cards 1.5, which does not know Teams."""
    assert body["type"] == "message"
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = dict(attachment["content"])
    assert card["version"] == "1.5"
    assert card.pop("msteams") == {"width": "Full"}
    card_schema().validate(card)


@cache
def send_message() -> type:
    from aiogram.methods import SendMessage  # takes seconds: only the process that runs the test

    return SendMessage


def validate_telegram(body: dict) -> None:
    """Validate with the model of a client, and the text as the HTML that Telegram accepts."""
    message = send_message().model_validate(body, strict=True)
    assert not message.model_extra
    assert not message.link_preview_options.model_extra
    assert message.parse_mode == "HTML"
    # Tags must be closed in order, and only the named entities of XML are known but for one.
    text = ElementTree.fromstring(f"<message>{message.text}</message>")
    assert {part.tag for part in text.iter()} <= {"message", "b", "a"}
    assert all(part.attrib.keys() == {"href"} for part in text.iter("a"))
    assert "&apos;" not in message.text
    assert 0 < utf16_length("".join(text.itertext()).strip()) <= 4096


VALIDATORS = {
    "slack": validate_slack,
    "discord": validate_discord,
    "teams": validate_teams,
    "telegram": validate_telegram,
}
ALERTS = {
    "minimal": {},
    "empty": {"name": "", "labels": {"": ""}, "annotations": {"summary": " "}, "url": " "},
    "hostile": {
        "name": HOSTILE,
        "annotations": {"summary": HOSTILE, "description": f"{HOSTILE}\n" * 50},
        "labels": {HOSTILE: HOSTILE, "severity": HOSTILE, "host": f"{HOSTILE}\n{HOSTILE}"},
        "starts_at": "0001-01-01T00:00:00Z",
        "url": f"https://h.example/{HOSTILE}",
    },
    "ordinary": {**LONG, "labels": {"severity": "warning", "host": "db-2"}},
    "huge": LONG,
    "huge with signs": {
        "name": "🔔&" * 30_000,
        "annotations": {"summary": "<&" * 30_000, "description": "https://h.example/& *_\n" * 3000},
        "labels": {f"*{number}&": "<*語" * 1000 for number in range(200)},
        "starts_at": AT - MINUTE,
        "url": "https://h.example/?" + "&" * 3900,
    },
}


def text_of(kind, parts, status="open"):
    return AlertText(event_of(parts, status), channel_of(kind), INSTALLATION)


def validate(text) -> None:
    VALIDATORS[text.settings.kind](json.loads(write_body(text)))


@pytest.mark.parametrize("status", ["open", "closed"])
@pytest.mark.parametrize("name", ALERTS)
@pytest.mark.parametrize("kind", VALIDATORS)
def test_the_models_accept_the_body(kind, name, status):
    validate(text_of(kind, ALERTS[name], status))


@pytest.mark.parametrize("kind", VALIDATORS)
def test_the_models_accept_the_body_of_a_group(kind):
    for events in (
        [event_of(parts) for parts in ALERTS.values()],
        [event_of(parts, "closed") for parts in ALERTS.values()],
        [event_of(LONG, "closed"), event_of({})],
        [event_of(random_alert(random.Random(seed))) for seed in range(100)],
    ):
        validate(text_of_group(events, "key", channel_of(kind), INSTALLATION))


@pytest.mark.parametrize("kind", VALIDATORS)
def test_the_models_accept_the_bodies_of_random_alerts(kind):
    rng = random.Random(200)
    for _ in range(COUNT):
        validate(text_of(kind, random_alert(rng), rng.choice(["open", "closed"])))


BROKEN = {
    "slack": [
        (("blocks", 0, "text", "text"), "x" * 151),
        (("blocks", 0, "text", "text"), ""),
        (("blocks", 0, "type"), "headline"),
        (("blocks", 0, "color"), "#d0342c"),
        (("attachments", 0, "blocks", 0, "text", "text"), "x" * 3001),
        (("attachments", 0, "blocks", 1, "fields"), [{"type": "mrkdwn", "text": "x"}] * 11),
        (("attachments", 0, "blocks", -1, "elements", 0, "text", "text"), "x" * 76),
        (("attachments", 0, "blocks", -1, "elements", 0, "url"), "https://h.example/" * 200),
        (("attachments", 0, "blocks", -1, "elements", 0, "type"), "link"),
        (("attachments", 0, "colour"), "#d0342c"),
    ],
    "discord": [
        (("content",), "x" * 2001),
        (("allowed_mentions", "parse"), ["everyone"]),
        (("flags",), 64),
        (("embeds", 0, "title"), "x" * 257),
        (("embeds", 0, "description"), "x" * 4097),
        (("embeds", 0, "fields"), [{"name": "x", "value": "y", "inline": True}] * 26),
        (("embeds", 0, "fields", 0, "name"), "x" * 257),
        (("embeds", 0, "fields", 0, "value"), "x" * 1025),
        (("embeds", 0, "footer", "text"), "x" * 2049),
        (("embeds", 0, "timestamp"), "yesterday"),
        (("embeds", 0, "colour"), 1),
    ],
    "teams": [
        (("attachments", 0, "content", "version"), 1.5),
        (("attachments", 0, "content", "subtitle"), "x"),
        (("attachments", 0, "content", "body", 0, "type"), "RichText"),
        (("attachments", 0, "content", "body", 0, "inlines", 0, "color"), "Red"),
        (("attachments", 0, "content", "body", 0, "inlines", 0, "text"), None),
        (("attachments", 0, "content", "body", -1, "facts", 0, "value"), 7),
        (("attachments", 0, "content", "actions", 0, "type"), "Action.Open"),
        (("attachments", 0, "content", "actions", 0, "link"), "https://h.example/"),
    ],
    "telegram": [
        (("text",), None),
        (("text",), "x" * 4097),
        (("text",), "<b> </b>"),
        (("text",), "<b>x"),
        (("text",), "<b><a href='https://h.example/'>x</b></a>"),
        (("text",), "<br/>x"),
        (("text",), "a &nbsp; b"),
        (("text",), "a & b"),
        (("chat_id",), 1.5),
        (("message_thread_id",), "7"),
        (("link_preview_options", "is_disabled"), "true"),
        (("link_preview_options", "disabled"), True),
        (("silent",), True),
        (("disable_notification",), "no"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [(kind, path, value) for kind, parts in BROKEN.items() for path, value in parts],
    ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else None,
)
def test_the_models_refuse_a_body_with_a_broken_part(kind, path, value):
    body = json.loads(write_body(text_of(kind, ALERTS["ordinary"])))
    VALIDATORS[kind](copy.deepcopy(body))
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    refusals = (
        AssertionError,
        ElementTree.ParseError,
        SlackObjectFormationError,
        TypeError,
        ValueError,
        jsonschema.ValidationError,
    )
    with pytest.raises(refusals):
        VALIDATORS[kind](body)


def test_every_kind_with_a_validator_is_known():
    assert VALIDATORS.keys() <= kinds().keys()
