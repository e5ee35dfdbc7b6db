"""Over 100 000 generated alerts, for every kind of receiver and for random templates: is each body JSON and within its limits,
and how long does one build take? `messages.py 5000 7` makes about so many with another seed.
"""

import gc
import json
import random
import sys
import time
from collections import Counter

from parts.figures import figure, summary

from delivery.alerts.alert import Alert
from delivery.alerts.samples import samples
from delivery.event import Event
from delivery.kinds import kinds
from delivery.kinds.spec import Kind
from delivery.message import build
from delivery.settings import METHODS, Header, Settings
from delivery.template import NAMES, TemplateError, parse
from delivery.text import utf8_length, utf16_length

COUNT, SEED, TARGET = 102_000, 1, 5.0
NOW = 1772444490004
URLS = {
    "telegram": "https://api.telegram.org",
    "teams": "https://x.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=s",
}
MEASURES = {"characters": utf16_length, "bytes": utf8_length}
PARTS = ("id", "name", "status", "type", "labels", "annotations", "starts_at", "ends_at", "url")
ODD = [
    "",
    " ",
    '"',
    "\\",
    "\n",
    "\r\n",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "🔔",
    "é",
    "<b>",
    "&",
    "*",
    "_",
    "`",
    "|",
    "](",
]
ODD += [
    "{{ alert.name }}",
    "}}",
    "https://alerts.example/4711",
    "critical",
    "service.name",
    "severity",
    "summary",
    "x" * 70,
]
VALUES = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    float("nan"),
    [],
    {},
    [1, None],
    {"a": [{}]},
    b"x",
    NOW,
    "2026-03-02T09:15:00Z",
    2**63,
]
DEFAULTS = ["", "", "", ' | "none"', " | 'none'", " | 1.10", " | null", " | true"]
WRONG = ["{{ alert.nmae }}", "{{", "}}", "{{ }}", "{{ alert.id | none }}"]


def main(count: int = COUNT, seed: int = SEED) -> None:
    chance, found, took = random.Random(seed), Counter(), {}
    each = -(-count // (len(kinds()) + 3))
    for name, kind in kinds().items():
        rounds = each * 4 if name == "custom" else each
        took[name] = [one_build(chance, kind, found) for _ in range(rounds)]
    print(
        f"{sum(map(len, took.values())):,} messages of {len(took)} kinds, {found['templates']:,} templates, seed {seed}"
    )
    for name, times in took.items():
        print(f"{name}, one build: {summary(times)}")
    together = sorted(time for times in took.values() for time in times)
    figure("one build, p50", together[len(together) // 2], "ms", places=3)
    figure("one build, p99", together[len(together) * 99 // 100], "ms", TARGET, places=3)
    figure("one build, max", together[-1], "ms", places=1)
    for wrong in (
        "no JSON",
        "over a limit",
        "another one at the second time",
        "made by a template that should be refused",
    ):
        figure(f"messages, {wrong}", found[wrong], "messages", 0, places=0)


def one_build(chance: random.Random, kind: Kind, found: Counter) -> float:
    """The milliseconds that one message took; what is wrong with it is counted and told."""
    settings, event = settings_of(chance, kind, found), event_of(chance)
    gc.disable()
    began = time.perf_counter()
    message = build(settings, event)
    took = (time.perf_counter() - began) * 1000
    gc.enable()
    if message.method != "GET":
        check(kind, message.body, found)
    if chance.random() < 0.02:
        count(
            found,
            "another one at the second time",
            message != build(settings, event),
            kind,
            settings,
        )
    return took


def check(kind: Kind, body: bytes, found: Counter) -> None:
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=int)
    except ValueError:
        count(found, "no JSON", True, kind, body[:200])
        return
    for limit in kind.limits:
        texts = [text] if limit.part == "body" else members(value, limit.part)
        longest = max(map(MEASURES[limit.unit], texts), default=0)
        count(found, "over a limit", longest > limit.maximum, kind, (limit, longest))


def members(value: object, name: str) -> list[str]:
    """The texts that are called so, wherever they stand."""
    if isinstance(value, list):
        return [text for one in value for text in members(one, name)]
    if isinstance(value, dict):
        own = [value[name]] if isinstance(value.get(name), str) else []
        return own + [text for one in value.values() for text in members(one, name)]
    return []


def count(found: Counter, what: str, wrong: bool, kind: Kind, about: object) -> None:
    found[what] += wrong
    if wrong and found[what] <= 5:
        print(f"{kind.name}, {what}: {about!a:.300}", file=sys.stderr)


def event_of(chance: random.Random) -> Event:
    return Event(alert_from_json(chance), chance.randrange(2**62), NOW, chance.random() < 0.2)


def alert_from_json(chance: random.Random) -> Alert:
    """An alert: a plausible one, one of a preview, one with parts that are missing or of a wrong type, or none at all."""
    way = chance.random()
    if way < 0.02:
        return chance.choice(list(samples(NOW, "https://tocsin.example/alerts/1").values()))
    if way < 0.03:
        return Alert.read(chance.choice(VALUES))
    parts = {
        "name": to_text(chance),
        "url": chance.choice(ODD),
        "status": chance.choice(["open", "closed"]),
    }
    parts |= {
        "id": str(chance.randrange(10**6)),
        "starts_at": chance.choice(VALUES),
        "ends_at": chance.choice(VALUES),
    }
    parts |= {name: pairs_of(chance) for name in ("labels", "annotations")}
    for part in PARTS:
        if chance.random() < 0.1:
            parts[part] = chance.choice(VALUES)
    return Alert.read(parts)


def pairs_of(chance: random.Random) -> dict:
    return {
        to_text(chance, 3): to_text(chance) if chance.random() < 0.9 else chance.choice(VALUES)
        for _ in range(chance.randrange(9))
    }


def to_text(chance: random.Random, most: int = 12) -> str:
    """A text of odd pieces; one in a hundred is long."""
    text = "".join(chance.choices(ODD, k=chance.randrange(most)))
    return text * chance.randrange(1000) if most > 3 and chance.random() < 0.01 else text


def settings_of(chance: random.Random, kind: Kind, found: Counter) -> Settings:
    options = tuple(
        Header(option.name, option_of(option.name), option.secret)
        for option in kind.options
        if option.lines == 1
    )
    payload = chance.choice(["", "1.10", '{"team": "checkout"}', "{", "[object Object]"])
    settings = {
        "kind": kind.name,
        "url": URLS.get(kind.name, kind.base or "https://receiver.example"),
        "options": options,
    }
    if "body" in kind.uses:
        closed = template_of(chance, kind, found) if chance.random() < 0.3 else ""
        settings |= {
            "body": template_of(chance, kind, found),
            "options": (*options, Header("closed_body", closed)),
        }
    return Settings(**settings, payload=payload, method=chance.choice(METHODS[:3]))


def option_of(name: str) -> str:
    """What a person would fill in, as far as the name tells."""
    known = {
        "chat_id": "-1001234567890",
        "priority": "1",
        "topic": "alerts",
        "app_token": "A" + "x" * 14,
        "region": "us",
    }
    return known.get(name, "x" * 32)


def template_of(chance: random.Random, kind: Kind, found: Counter) -> str:
    """A starter or a random document. A document that is wrong on purpose must be refused, and does not count."""
    found["templates"] += 1
    if chance.random() < 0.1:
        return chance.choice(list(kind.starters.values())).changes["body"]
    text = document_of(chance, chance.randrange(1, 5), "")
    if chance.random() < 0.05:
        try:
            parse(document_of(chance, 0, chance.choice(WRONG)))
            count(found, "made by a template that should be refused", True, kind, text)
        except TemplateError:
            pass
    return text


def document_of(chance: random.Random, depth: int, wrong: str) -> str:
    way = chance.random() if depth and not wrong else 1.0
    if way < 0.4:
        names = [
            json.dumps(to_text(chance, 3).replace("\ud800", "")) for _ in range(chance.randrange(6))
        ]
        return (
            "{" + ", ".join(f"{name}: {document_of(chance, depth - 1, '')}" for name in names) + "}"
        )
    if way < 0.6:
        return (
            "["
            + ",\n".join(document_of(chance, depth - 1, "") for _ in range(chance.randrange(6)))
            + "]"
        )
    if way < 0.7:
        return chance.choice(["1.10", "12345678901234567890", "1e400", "null", "true", "[]", '""'])
    pieces = [piece_of(chance) for _ in range(chance.choice([1, 1, 1, 2, 5, 40]))]
    return json.dumps("".join([*pieces, wrong]), ensure_ascii=chance.random() < 0.5)


def piece_of(chance: random.Random) -> str:
    if chance.random() < 0.4:
        return chance.choice(ODD[:9] + ODD[10:19])
    return (
        f"{{{{ {chance.choice([*NAMES, 'alert.labels.service.name'])}{chance.choice(DEFAULTS)} }}}}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
