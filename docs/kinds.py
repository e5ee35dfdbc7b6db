"""Writes docs/kinds/: a page for every kind, made of nothing but the kind itself."""

import json
import sys
from pathlib import Path

from delivery.alerts.alert import AlertStatus

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from delivery.alerts.alert import Alert  # noqa: E402
from delivery.event import Event  # noqa: E402
from delivery.kinds import kinds  # noqa: E402
from delivery.kinds.spec import Kind, UrlPattern  # noqa: E402
from delivery.message import build  # noqa: E402
from delivery.outcome import SuggestedFix  # noqa: E402
from delivery.settings import Header, Settings  # noqa: E402

FOLDER = ROOT / "docs" / "kinds"
AT = 1772442900120
ALERT = {
    "id": "4711",
    "name": "p99 latency above 800 ms",
    "labels": {"service": "checkout", "severity": "critical"},
    "annotations": {"summary": "p99 is 1.2 s, limit 800 ms"},
    "starts_at": AT,
    "url": "https://alerts.example.com/alerts/4711",
}


def page(kind: Kind) -> str:
    """The page of a kind, in Markdown."""
    parts = [
        f"# {kind.label}",
        kind.help,
        "<!-- Made by docs/kinds.py (`make kinds`): mend the kind, not this page. -->",
    ]
    parts += [
        "## URL",
        " ".join([kind.url_help, f"Empty means {kind.base}." if kind.base else ""]).strip(),
    ]
    if kind.url_patterns:
        parts += [
            "A pasted URL is recognised by its whole host and its whole path:",
            "\n".join(map(_shape, kind.url_patterns)),
        ]
    parts += [
        "## Options",
        _table(
            ("Field", "What it is", "Required", "Secret"), [_option(one) for one in kind.options]
        ),
    ]
    parts += ["## Limits", _limits(kind)]
    for name, status, at in (
        ("open", "open", AT),
        ("closed", AlertStatus.CLOSED, AT + 26 * 60_000),
    ):
        parts += [
            f"## An {name} alert" if name == "open" else f"## A {name} alert",
            _example(kind, status, at),
        ]
    if kind.docs:
        parts += ["## More", f"[{kind.label}'s own page]({kind.docs})"]
    return "\n\n".join(parts) + "\n"


def _shape(shape: UrlPattern) -> str:
    where = (
        f"host `{shape.host}`, path `{shape.path}`"
        if shape.host
        else f"any host (only a guess), path `{shape.path}`"
    )
    return f"- {where}"


def _option(option) -> tuple[str, ...]:
    words = f"{option.label}. {option.help}".strip()
    return (
        f"`options-{option.name}`",
        words,
        "yes" if option.required else "no",
        "yes" if option.secret else "no",
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return "None."
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _limits(kind: Kind) -> str:
    lines = [f"- `{limit.part}`: {limit.most:,} {limit.unit}" for limit in kind.limits]
    lines += [
        f"- {count} message{'s' * (count > 1)} in {seconds:g} s, to the vendor's own server"
        for count, seconds in kind.rate_limit
    ]
    return "\n".join(lines) or "None that the vendor documents."


def _example(kind: Kind, status: str, at: int) -> str:
    starter = next(iter(kind.starters.values()), SuggestedFix("", {}))
    given = {one.name: one.name.upper() for one in kind.options if one.required or one.secret}
    options = tuple(Header(name, text) for name, text in given.items())
    url = kind.base or "https://receiver.example.com/hook"
    settings = Settings(
        kind=kind.name, url=url, options=options, body=starter.changes.get("body", "")
    )
    message = build(settings, Event(Alert.read({**ALERT, "status": status}), AT * 1_000_000, at))
    head = [
        f"{message.method} {message.target.url}",
        *(f"{name}: {value}" for name, value in message.headers),
    ]
    body = json.dumps(json.loads(message.body), indent=2, ensure_ascii=False)
    return "```http\n" + "\n".join(head) + f"\n\n{body}\n```"


def main() -> None:
    """Writes every page, and removes those of kinds that are no more."""
    FOLDER.mkdir(exist_ok=True)
    for left in {file.stem for file in FOLDER.iterdir()} - set(kinds()):
        (FOLDER / f"{left}.md").unlink()
    for name, kind in kinds().items():
        (FOLDER / f"{name}.md").write_text(page(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
