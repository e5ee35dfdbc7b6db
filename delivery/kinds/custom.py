"""The user's own JSON body, a template as `delivery.template` describes it."""

import tomllib
from functools import lru_cache
from pathlib import Path

from delivery.content.alert_text import AlertText
from delivery.kinds import adnanh_webhook
from delivery.kinds.spec import Kind, Limit, Option
from delivery.outcome import SuggestedFix
from delivery.placeholders import PlaceholderValues
from delivery.template import MAX_BYTES, Template, parse

_FILE = Path(__file__).parent.parent / "starters.toml"
STARTERS = {
    name: SuggestedFix(
        row["label"],
        {"body": row["body"].strip(), "options-closed_body": row.get("closed", "").strip()},
    )
    for name, row in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()
}


def body(alert: AlertText) -> str:
    """Return the rendered template.

    Raises:
        TemplateError: If the stored text is not a template.
    """
    body = alert.settings.body
    closed_body = alert.settings.option("closed_body")
    if alert.closed and closed_body.strip():
        body = closed_body
    return _template(body).render(PlaceholderValues(alert))


@lru_cache(maxsize=64)
def _template(text: str) -> Template:
    """Parse a stored template, whose unknown names may be those of a newer version."""
    return parse(text, strict=False)


KIND = Kind(
    name="custom",
    label="Custom JSON",
    help="Sends your own JSON body, with placeholders for the values of the alert.",
    url_help="The URL that receives the message.",
    body=body,
    judge=adnanh_webhook.judge,
    hints=adnanh_webhook.HINTS,
    options=(
        Option(
            "closed_body",
            "Body for a closed alert",
            "A JSON document like the body. Leave it empty to send the same body.",
            lines=10,
            check=parse,
        ),
    ),
    limits=(Limit(MAX_BYTES, unit="bytes"),),
    uses=("method", "body"),
    starters=STARTERS,
)
