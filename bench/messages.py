"""Build over 100,000 messages of generated alerts, for every kind and for random templates.

Checks that each body is JSON and within its limits, and measures how long one build takes.
`messages.py 5000 7` builds about 5,000 messages with the seed 7.
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
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.kinds.spec import Kind
from delivery.message import build
from delivery.placeholders import NAMES
from delivery.settings import METHODS, Header, Settings
from delivery.template import TemplateError, parse
from delivery.text import utf8_length, utf16_length

COUNT = 102_000
SEED = 1
MAX_P99_MS = 5.0
NOW = 1772444490004
URLS = {
    "telegram": "https://api.telegram.org",
    "teams": "https://x.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=s",
}
INSTALLATION = Installation("bench", "https://tocsin.example")
DAY_MS = 86_400_000
MEASURES = {"characters": utf16_length, "bytes": utf8_length}
ALERT_PARTS = (
    "id",
    "name",
    "status",
    "type",
    "labels",
    "annotations",
    "starts_at",
    "ends_at",
    "url",
)
PIECES = [
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
PIECES += [
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
INVALID_PLACEHOLDERS = ["{{ alert.nmae }}", "{{", "}}", "{{ }}", "{{ alert.id | none }}"]

NOT_JSON = "not JSON"
OVER_LIMIT = "over a limit"
DIFFERENT = "different when built again"
ACCEPTED = "made by an invalid template"
DEFECTS = (NOT_JSON, OVER_LIMIT, DIFFERENT, ACCEPTED)


def main(count: int = COUNT, seed: int = SEED) -> None:
    rng = random.Random(seed)
    counts = Counter()
    durations = {}
    each = -(-count // (len(kinds()) + 3))
    for name, kind in kinds().items():
        rounds = each * 4 if name == "custom" else each
        durations[name] = [timed_build(rng, kind, counts) for _ in range(rounds)]
    total = sum(map(len, durations.values()))
    templates = counts["templates"]
    print(f"{total:,} messages of {len(durations)} kinds, {templates:,} templates, seed {seed}")
    for name, times in durations.items():
        print(f"{name}, one build: {summary(times)}")
    ordered = sorted(time for times in durations.values() for time in times)
    figure("one build, p50", ordered[len(ordered) // 2], "ms", places=3)
    figure("one build, p99", ordered[len(ordered) * 99 // 100], "ms", MAX_P99_MS, places=3)
    figure("one build, max", ordered[-1], "ms", places=1)
    for defect in DEFECTS:
        figure(f"messages, {defect}", counts[defect], "messages", 0, places=0)


def timed_build(rng: random.Random, kind: Kind, counts: Counter) -> float:
    """Build and check one message; return the milliseconds that the build took."""
    settings = random_settings(rng, kind, counts)
    event = random_event(rng)
    gc.disable()
    began = time.perf_counter()
    message = build(settings, event, installation=INSTALLATION)
    took = (time.perf_counter() - began) * 1000
    gc.enable()
    if message.method != "GET":
        check(kind, message.body, counts)
    if rng.random() < 0.02:
        differs = message != build(settings, event, installation=INSTALLATION)
        count_defect(counts, DIFFERENT, differs, kind, settings)
    return took


def check(kind: Kind, body: bytes, counts: Counter) -> None:
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=int)
    except ValueError:
        count_defect(counts, NOT_JSON, True, kind, body[:200])
        return
    for limit in kind.limits:
        texts = [text] if limit.part == "body" else texts_of(value, limit.part)
        longest = max(map(MEASURES[limit.unit], texts), default=0)
        too_long = longest > limit.maximum
        count_defect(counts, OVER_LIMIT, too_long, kind, (limit, longest))


def texts_of(value: object, name: str) -> list[str]:
    """Return the texts under this name, at any depth."""
    if isinstance(value, list):
        return [text for member in value for text in texts_of(member, name)]
    if isinstance(value, dict):
        own = [value[name]] if isinstance(value.get(name), str) else []
        return own + [text for member in value.values() for text in texts_of(member, name)]
    return []


def count_defect(counts: Counter, defect: str, found: bool, kind: Kind, detail: object) -> None:
    """Count a defect if it was found, and print the first five."""
    if not found:
        return
    counts[defect] += 1
    if counts[defect] <= 5:
        print(f"{kind.name}, {defect}: {detail!a:.300}", file=sys.stderr)


def random_event(rng: random.Random) -> Event:
    alert = realistic_alert(rng) if rng.random() < 0.4 else random_alert(rng)
    number = rng.randrange(2**62)
    return Event(alert, number, NOW, rng.random() < 0.2, opening=rng.choice([None, 1]))


def realistic_alert(rng: random.Random) -> Alert:
    """Return an alert with everything that a source can send; some are as large as allowed."""
    names = ("severity", "instance", "host.name", "k8s.pod.name", "namespace", "job", "team")
    labels = {name: f"{name}_{rng.randrange(99)}.prod" for name in names}
    labels |= {"severity": rng.choice(["critical", "SEV-2", "P3 - Moderate", "info", "purple"])}
    if rng.random() < 0.1:
        labels |= {f"label_{number:03}": "value " * 40 for number in range(200)}
    sentence = "Reads from db-2 are *stale*, see https://wiki.example/run_books/a_b?x=1&y=2.\n"
    length = 2**16 if rng.random() < 0.1 else rng.randrange(400)
    return Alert.from_json(
        {
            "id": str(rng.randrange(10**6)),
            "name": "PostgresReplicationLag",
            "status": rng.choice(["open", "open", "closed"]),
            "labels": labels,
            "annotations": {
                "summary": f"Replication lag of {rng.randrange(99)} s & rising",
                "description": (sentence * (length // len(sentence) + 1))[:length],
                "runbook_url": "https://wiki.example/run_books/lag",
                "owner": "db_core",
            },
            "value": f"B={rng.random()}, C=1",
            "starts_at": NOW - rng.randrange(DAY_MS),
            "ends_at": NOW,
            "url": 'https://prometheus.example/graph?g0.expr=rate(pg_lag{job="pg"}[5m])',
            "links": {
                "panel": "https://grafana.example/d/x?viewPanel=2",
                "dashboard": "https://grafana.example/d/x",
                "silence": "https://grafana.example/alerting/silence/new?matcher=job%3Dpg",
            },
        }
    )


def random_alert(rng: random.Random) -> Alert:
    """Return a sample alert, one without any valid part, or one with some odd or wrong parts."""
    choice = rng.random()
    if choice < 0.02:
        return rng.choice(list(samples(NOW, "https://tocsin.example/alerts/1").values()))
    if choice < 0.03:
        return Alert.from_json(rng.choice(VALUES))
    parts = {
        "name": random_text(rng),
        "url": rng.choice(PIECES),
        "status": rng.choice(["open", "closed"]),
    }
    parts |= {
        "id": str(rng.randrange(10**6)),
        "starts_at": rng.choice(VALUES),
        "ends_at": rng.choice(VALUES),
    }
    parts |= {name: random_pairs(rng) for name in ("labels", "annotations")}
    for part in ALERT_PARTS:
        if rng.random() < 0.1:
            parts[part] = rng.choice(VALUES)
    return Alert.from_json(parts)


def random_pairs(rng: random.Random) -> dict:
    return {
        random_text(rng, 3): random_text(rng) if rng.random() < 0.9 else rng.choice(VALUES)
        for _ in range(rng.randrange(9))
    }


def random_text(rng: random.Random, max_pieces: int = 12) -> str:
    """Return a text of odd pieces; one in a hundred is long."""
    text = "".join(rng.choices(PIECES, k=rng.randrange(max_pieces)))
    return text * rng.randrange(1000) if max_pieces > 3 and rng.random() < 0.01 else text


def random_settings(rng: random.Random, kind: Kind, counts: Counter) -> Settings:
    options = tuple(
        Header(option.name, option_value(option.name), option.secret)
        for option in kind.options
        if option.lines == 1
    )
    payload = rng.choice(["", "1.10", '{"team": "checkout"}', "{", "[object Object]"])
    settings = {
        "kind": kind.name,
        "url": URLS.get(kind.name, kind.base or "https://receiver.example"),
        "options": options,
    }
    if "body" in kind.uses:
        closed = random_template(rng, kind, counts) if rng.random() < 0.3 else ""
        settings |= {
            "body": random_template(rng, kind, counts),
            "options": (*options, Header("closed_body", closed)),
        }
    return Settings(**settings, payload=payload, method=rng.choice(METHODS[:3]))


def option_value(name: str) -> str:
    """Return a plausible value of an option."""
    known = {
        "chat_id": "-1001234567890",
        "priority": "1",
        "topic": "alerts",
        "app_token": "A" + "x" * 14,
        "region": "us",
    }
    return known.get(name, "x" * 32)


def random_template(rng: random.Random, kind: Kind, counts: Counter) -> str:
    """Return a starter or a random document, and sometimes check that an invalid one is refused."""
    counts["templates"] += 1
    if rng.random() < 0.1:
        return rng.choice(list(kind.starters.values())).changes["body"]
    text = random_document(rng, rng.randrange(1, 5), "")
    if rng.random() < 0.05:
        try:
            parse(random_document(rng, 0, rng.choice(INVALID_PLACEHOLDERS)))
            count_defect(counts, ACCEPTED, True, kind, text)
        except TemplateError:
            pass
    return text


def random_document(rng: random.Random, depth: int, invalid: str) -> str:
    choice = rng.random() if depth and not invalid else 1.0
    if choice < 0.4:
        names = [
            json.dumps(random_text(rng, 3).replace("\ud800", "")) for _ in range(rng.randrange(6))
        ]
        return (
            "{"
            + ", ".join(f"{name}: {random_document(rng, depth - 1, '')}" for name in names)
            + "}"
        )
    if choice < 0.6:
        return (
            "["
            + ",\n".join(random_document(rng, depth - 1, "") for _ in range(rng.randrange(6)))
            + "]"
        )
    if choice < 0.7:
        return rng.choice(["1.10", "12345678901234567890", "1e400", "null", "true", "[]", '""'])
    pieces = [random_piece(rng) for _ in range(rng.choice([1, 1, 1, 2, 5, 40]))]
    return json.dumps("".join([*pieces, invalid]), ensure_ascii=rng.random() < 0.5)


def random_piece(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(PIECES[:9] + PIECES[10:19])
    return f"{{{{ {rng.choice([*NAMES, 'alert.labels.service.name'])}{rng.choice(DEFAULTS)} }}}}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
