"""Signature headers, in the three styles that receivers verify. Pure."""

import base64
import contextlib
import hashlib
import hmac

from delivery.settings import Settings

GITHUB_HEADER = "X-Hub-Signature-256"
GRAFANA_HEADER = "X-Grafana-Alerting-Signature"
STANDARD_HEADER = "webhook-signature"


def sign(settings: Settings, message_id: str, timestamp: int, body: bytes) -> list[tuple[str, str]]:
    """The headers that sign `body` as the channel asks, at `timestamp` (seconds since the epoch). No secret, no headers."""
    if not settings.signing_secret or settings.signing not in _STYLES:
        return []
    return _STYLES[settings.signing](settings, message_id, timestamp, body)


def standard_key(secret: str) -> bytes:
    """The bytes behind `whsec_…` (standard-webhooks.md, "Signature scheme": base64 after the prefix). Raises ValueError."""
    with contextlib.suppress(ValueError):
        if key := base64.b64decode(secret.removeprefix("whsec_"), validate=True):
            return key
    raise ValueError(
        "A Standard Webhooks secret is whsec_ and base64, such as whsec_MDEyMzQ1Njc4OWFi…."
    )


def _standard(settings, message_id, timestamp, body):
    signed = f"{message_id}.{timestamp}.".encode() + body
    secrets = [
        secret for secret in (settings.signing_secret, settings.signing_secret_old) if secret
    ]
    # Several signatures, blank-separated: during a rotation a receiver may verify with either secret.
    signatures = [
        base64.b64encode(_digest(standard_key(secret), signed).digest()).decode()
        for secret in secrets
    ]
    return [(STANDARD_HEADER, " ".join(f"v1,{signature}" for signature in signatures))]


def _github(settings, _message_id, _timestamp, body):
    return [
        (GITHUB_HEADER, "sha256=" + _digest(settings.signing_secret.encode(), body).hexdigest())
    ]


def _grafana(settings, _message_id, timestamp, body):
    key, named = settings.signing_secret.encode(), settings.signing_timestamp_header
    signed = f"{timestamp}:".encode() + body if named else body
    return [
        *([(named, str(timestamp))] if named else []),
        (GRAFANA_HEADER, _digest(key, signed).hexdigest()),
    ]


def _digest(key: bytes, signed: bytes):
    return hmac.new(key, signed, hashlib.sha256)


_STYLES = {"standard": _standard, "github": _github, "grafana": _grafana}
