"""Whether a request to the lab is signed rightly, and if not, why. Pure."""

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from werkzeug.datastructures import Headers

from delivery.json_text import parse_or_none
from delivery.settings import Settings
from delivery.signing import (
    GITHUB_HEADER,
    GRAFANA_HEADER,
    STANDARD_HEADER,
    sign,
    standard_key,
)

MAX_AGE = 5 * 60  # seconds; the Standard Webhooks libraries refuse older and newer ones
SIGNATURE_HEADERS = {
    "standard": STANDARD_HEADER,
    "github": GITHUB_HEADER,
    "grafana": GRAFANA_HEADER,
}
RIGHT = "right"
WRONG = "wrong"
_HEX = re.compile("[0-9a-f]{64}", re.ASCII | re.IGNORECASE)


class Signer(NamedTuple):
    """A channel that sends to the receiver, and how it signs."""

    id: int
    name: str
    settings: Settings


class Check(NamedTuple):
    """Whether a signature is `right` or `wrong` (empty: not checked), and a sentence on it."""

    verdict: str
    finding: str


class Signed(NamedTuple):
    """A request as far as it is signed; `now` is when it came, in epoch seconds."""

    headers: Headers
    body: bytes
    now: int


class _Claim(NamedTuple):
    """What a request says is signed, and the signatures that it states."""

    message_id: str
    timestamp: int | None
    body: bytes
    signatures: set[str]

    def fits(self, settings: Settings) -> bool:
        """Return True if these settings sign the request with one of its signatures."""
        try:
            headers = sign(settings, self.message_id, self.timestamp or 0, self.body)
        except ValueError:  # a secret that the form would refuse
            return False
        if not headers:  # no secret
            return False
        expected = headers[-1][1].removeprefix("sha256=").split()
        pairs = product(expected, self.signatures)
        return any(hmac.compare_digest(one.encode(), other.encode()) for one, other in pairs)


class _Wrong(Exception):
    """The signature is wrong; the message is the finding."""


def check_signature(request: Signed, settings: Settings, channels: Iterable[Signer]) -> Check:
    """Check a request against the scheme and the secret of a receiver.

    `channels` are those that send here: with them, a wrong signature is explained.
    """
    if settings.signing not in SIGNATURE_HEADERS or not settings.signing_secret:
        return Check("", _describe_unchecked(request.headers))
    try:
        claim = _read_claim(request, settings)
        if not claim.fits(settings):
            raise _Wrong(_explain(claim, request.headers, settings, channels))
        if claim.timestamp is not None:
            _check_age(request.now - claim.timestamp)
    except _Wrong as wrong:
        return Check(WRONG, str(wrong))
    return Check(RIGHT, "It fits the secret of this receiver.")


def _describe_unchecked(headers: Headers) -> str:
    """Return why nothing is checked, with the signature that the request has."""
    present = [header for header in SIGNATURE_HEADERS.values() if header in headers]
    if not present:
        return "The request is not signed, and this receiver has no signing secret."
    return f"The request has the header {present[0]}, but this receiver has no signing secret."


def _read_claim(request: Signed, settings: Settings) -> _Claim:
    headers = request.headers
    header = SIGNATURE_HEADERS[settings.signing]
    if header not in headers:
        raise _Wrong(_describe_missing(headers, header))
    return _Claim(
        headers.get("webhook-id", ""),
        _read_timestamp(headers, settings),
        request.body,
        _read_signatures(headers[header], settings.signing),
    )


def _describe_missing(headers: Headers, header: str) -> str:
    sentence = f"The header {header} is missing."
    others = [name for name in SIGNATURE_HEADERS.values() if name in headers]
    if others:
        return f"{sentence} The request is signed in another way: it has the header {others[0]}."
    return f"{sentence} The sender does not sign."


def _read_timestamp(headers: Headers, settings: Settings) -> int | None:
    """Return the timestamp that is signed, None if the scheme has none."""
    header = settings.signing_timestamp_header
    if settings.signing == "standard":
        header = "webhook-timestamp"
        if "webhook-id" not in headers:
            raise _Wrong("The header webhook-id is missing, which is signed as well.")
    elif settings.signing != "grafana" or not header:
        return None
    if header not in headers:
        raise _Wrong(f"The header {header} is missing, which is signed as well.")
    text = headers[header]
    if not re.fullmatch("[0-9]{1,12}", text, re.ASCII):
        raise _Wrong(f"The header {header} is not a time in seconds: “{text[:40]}”.")
    return int(text)


def _read_signatures(text: str, scheme: str) -> set[str]:
    """Return the signatures that a header states: several while a standard secret is rotated."""
    if scheme == "standard":
        versioned = {one for one in text.split() if one.startswith("v1,")}
        if not versioned:
            raise _Wrong("The header has no signature that begins with “v1,”.")
        if not any(map(_is_base64_digest, versioned)):
            raise _Wrong("The signature is damaged: after “v1,” comes the base64 of 32 bytes.")
        return versioned
    if scheme == "github":
        if not text.startswith("sha256="):
            raise _Wrong("The signature does not begin with “sha256=”.")
        text = text.removeprefix("sha256=")
    if not _HEX.fullmatch(text):
        raise _Wrong("The signature is damaged: it is not 64 hexadecimal digits.")
    return {text.lower()}


def _is_base64_digest(signature: str) -> bool:
    try:
        return len(base64.b64decode(signature.removeprefix("v1,"), validate=True)) == 32
    except ValueError:
        return False


def _check_age(seconds: int) -> None:
    minutes = f"{abs(seconds) // 60} minutes"
    if seconds > MAX_AGE:
        raise _Wrong(f"The timestamp is old: it was signed {minutes} ago. Receivers accept 5.")
    if seconds < -MAX_AGE:
        raise _Wrong(f"The timestamp is {minutes} in the future. Receivers accept 5.")


def _explain(
    claim: _Claim, headers: Headers, settings: Settings, channels: Iterable[Signer]
) -> str:
    """Return why a signature does not fit, as precisely as can be found out."""
    for body, change in _earlier_bodies(claim.body):
        if claim._replace(body=body).fits(settings):
            return f"The body was changed after it was signed: {change}."
    if settings.signing == "standard" and _fits_text_of_secret(claim, settings):
        return (
            "The sender signs with the text of the secret. The key is what the base64 after whsec_ "
            "encodes."
        )
    if settings.signing == "grafana" and claim.timestamp is None:
        header = _find_timestamp_header(claim, headers, settings)
        if header:
            return f"The time in the header {header} is signed as well: enter its name here."
    return _explain_by_channels(claim, settings, channels)


def _earlier_bodies(body: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield what a body may have been, and what a program on the way did to it."""
    yield body.rstrip(b"\r\n"), "a line break was added at its end"
    yield body + b"\n", "the line break at its end was removed"
    value = parse_or_none(body.decode(errors="replace"))
    if value is not None:
        spacings = ((",", ":"), (", ", ": "))
        for is_ascii, separators in product((False, True), spacings):
            text = json.dumps(value, ensure_ascii=is_ascii, separators=separators)
            change = "it is the same JSON, written with other white space or escapes"
            yield text.encode(errors="replace"), change


def _fits_text_of_secret(claim: _Claim, settings: Settings) -> bool:
    secret = settings.signing_secret
    for text in (secret, secret.removeprefix("whsec_")):
        encoded = base64.b64encode(text.encode()).decode()
        if claim.fits(replace(settings, signing_secret=encoded)):
            return True
    return False


def _find_timestamp_header(claim: _Claim, headers: Headers, settings: Settings) -> str:
    """Return the header with the time that is signed although it is not entered; or empty."""
    for name, text in headers:
        is_own = name.lower() == "webhook-timestamp"  # always there, and never signed by Grafana
        if not is_own and re.fullmatch("[0-9]{9,12}", text, re.ASCII):
            timed = replace(settings, signing_timestamp_header=name)
            if claim._replace(timestamp=int(text)).fits(timed):
                return name
    return ""


def _explain_by_channels(claim: _Claim, settings: Settings, channels: Iterable[Signer]) -> str:
    shares_secret = False
    for channel in channels:
        if channel.settings.signing != settings.signing:
            continue
        if claim.fits(channel.settings):
            return (
                f"It is signed with another secret, that of the channel “{channel.name}”: this "
                "receiver has a different one."
            )
        shares_secret |= channel.settings.signing_secret == settings.signing_secret
    if shares_secret:
        return (
            "What is signed was changed on the way, or another sender signed it: the channel that "
            "sends here has the secret of this receiver."
        )
    return "It is signed with another secret, or what is signed was changed on the way."


def check_secret(scheme: str, secret: str) -> None:
    """Check that a scheme can use a secret.

    Raises:
        ValueError: It cannot; the message is a sentence for the form.
    """
    if scheme == "standard":
        standard_key(secret)
