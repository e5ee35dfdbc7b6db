"""A JSON body of a person's own, as `delivery.template` describes it."""

import tomllib
from functools import lru_cache
from pathlib import Path

from delivery import template
from delivery.alerts.alert import AlertStatus
from delivery.event import Event
from delivery.kinds.spec import Kind, Limit, Option
from delivery.outcome import SuggestedFix
from delivery.settings import Settings

_FILE = Path(__file__).parent.parent / "starters.toml"
_ROWS: dict[str, dict[str, str]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
STARTERS = {
    name: SuggestedFix(
        row["label"],
        {"body": row["body"].strip(), "options-closed_body": row.get("closed", "").strip()},
    )
    for name, row in _ROWS.items()
}


def body(settings: Settings, event: Event) -> str:
    """The message, whatever the alert holds. Raises TemplateProblem when what is stored is no template (a damaged row)."""
    closed = settings.option("closed_body") if event.alert.status == AlertStatus.CLOSED else ""
    return _template(closed if closed.strip() else settings.body).fill(template.values_of(event))


@lru_cache(maxsize=64)
def _template(text: str) -> template.Template:
    """Unknown names are empty here: they are refused in the form, and may be those of a newer version."""
    return template.parse(text, strict=False)


KIND = Kind(
    name="custom",
    label="Custom JSON",
    help="Sends a JSON body of your own, with values of the alert filled in.",
    url_help="The address that takes the message, as the receiver gave it to you.",
    body=body,
    options=(
        Option(
            "closed_body",
            "Body for a closed alert",
            "A JSON document like the body; empty sends the same body.",
            lines=10,
            check=template.parse,
        ),
    ),
    limits=(Limit(template.LARGEST_BYTES, "bytes"),),
    uses=frozenset({"method", "body"}),
    starters=STARTERS,
)
