"""Signature headers in the three styles that receivers verify. Pure."""

import base64
import hmac
from functools import lru_cache

from delivery.settings import Settings

GITHUB_HEADER = "X-Hub-Signature-256"
GRAFANA_HEADER = "X-Grafana-Alerting-Signature"
STANDARD_HEADER = "webhook-signature"


def sign(settings: Settings, message_id: str, timestamp: int, body: bytes) -> list[tuple[str, str]]:
    """Return the headers that sign `body` as the channel configures; none without a secret.

    `timestamp` is in epoch seconds.
    """
    secret = settings.signing_secret
    if not secret:
        return []
    if settings.signing == "standard":
        return [(STANDARD_HEADER, _standard_signature(settings, message_id, timestamp, body))]
    headers = []
    if settings.signing == "grafana" and settings.signing_timestamp_header:
        headers.append((settings.signing_timestamp_header, str(timestamp)))
        body = f"{timestamp}:".encode() + body
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    if settings.signing == "grafana":
        return [*headers, (GRAFANA_HEADER, signature)]
    if settings.signing == "github":
        return [(GITHUB_HEADER, f"sha256={signature}")]
    return []


@lru_cache(maxsize=1024)
def standard_key(secret: str) -> bytes:
    """Return the key that `whsec_…` encodes.

    The Standard Webhooks specification ("Signature scheme") defines base64 after the prefix.

    Raises: ValueError with a sentence for the user.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError(
            "A Standard Webhooks secret is whsec_ and base64, such as whsec_MDEyMzQ1Njc4OWFi…."
        )
    return key


def _standard_signature(settings: Settings, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature for each secret; during a rotation, the receiver may know either."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = []
    for secret in filter(None, (settings.signing_secret, settings.signing_secret_old)):
        digest = hmac.digest(standard_key(secret), content, "sha256")
        signatures.append("v1," + base64.b64encode(digest).decode())
    return " ".join(signatures)
