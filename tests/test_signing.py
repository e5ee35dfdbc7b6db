"""Signatures: published vectors, rotation, and verification by the receivers' library."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from delivery.settings import SIGNINGS, Settings
from delivery.signing import sign, standard_key

BODY = b'{"test":true}'
TIMESTAMP = 1772442900
ID = "msg_2yZ0000000000000000000000"
STANDARD = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OTHER = "whsec_" + base64.b64encode(b"another secret of 24 byt").decode()


def signed(style, secret, body=BODY, timestamp=TIMESTAMP, **settings):
    """Return the signature headers of a channel with this style."""
    return sign(Settings(signing=style, signing_secret=secret, **settings), ID, timestamp, body)


def test_the_standard_webhooks_vector_holds():
    signature = "v1,fdIa8kKD/VdRlsOo9qfXxXKiorlyJqOuDprIDdsRLF8="
    assert signed("standard", STANDARD) == [("webhook-signature", signature)]


def test_a_standard_secret_needs_no_prefix():
    assert signed("standard", STANDARD.removeprefix("whsec_")) == signed("standard", STANDARD)


def test_the_github_vector_holds():
    signature = "sha256=9d6e6b16b0fa2f239a02bd3bf470a6b792ed7777f5298ebb74929a67b3fe03f6"
    assert signed("github", "topsecret") == [("X-Hub-Signature-256", signature)]


def test_the_grafana_vector_without_a_timestamp_holds():
    signature = "9d6e6b16b0fa2f239a02bd3bf470a6b792ed7777f5298ebb74929a67b3fe03f6"
    assert signed("grafana", "topsecret") == [("X-Grafana-Alerting-Signature", signature)]


def test_the_grafana_vector_with_a_timestamp_holds_and_the_timestamp_is_sent():
    signature = "6d21e1b88132c78f64ff6b619e8a329338ef56530417062d495309e5aa4ffebb"
    assert signed("grafana", "topsecret", signing_timestamp_header="X-When") == [
        ("X-When", "1772442900"),
        ("X-Grafana-Alerting-Signature", signature),
    ]


def test_during_a_rotation_there_is_a_signature_of_each_secret():
    [(name, value)] = signed("standard", OTHER, signing_secret_old=STANDARD)
    assert name == "webhook-signature"
    [(_, new)], [(_, old)] = signed("standard", OTHER), signed("standard", STANDARD)
    assert value.split(" ") == [new, old]


@pytest.mark.parametrize("style", ["github", "grafana"])
def test_an_outgoing_secret_has_no_effect_in_styles_without_rotation(style):
    assert signed(style, "topsecret", signing_secret_old="older") == signed(style, "topsecret")


def delivered(body=BODY, timestamp=None, **settings):
    """Return the headers of a delivery, as the receivers' library expects them."""
    timestamp = int(datetime.now(UTC).timestamp()) if timestamp is None else timestamp
    headers = signed("standard", settings.pop("secret", STANDARD), body, timestamp, **settings)
    return {"webhook-id": ID, "webhook-timestamp": str(timestamp), **dict(headers)}


def test_the_receivers_library_verifies_a_current_message():
    assert Webhook(STANDARD).verify(BODY, delivered()) == json.loads(BODY)


@pytest.mark.parametrize("secret", [STANDARD, OTHER])
def test_during_a_rotation_a_receiver_verifies_with_either_secret(secret):
    assert Webhook(secret).verify(
        BODY, delivered(secret=OTHER, signing_secret_old=STANDARD)
    ) == json.loads(BODY)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"test":false}', {}),
        (BODY, {"webhook-id": "msg_1"}),
        (BODY, {"webhook-timestamp": str(TIMESTAMP)}),
        (BODY, {"webhook-signature": "v1,AAAA"}),
    ],
)
def test_the_receivers_library_refuses_a_changed_message(body, headers):
    with pytest.raises(WebhookVerificationError):
        Webhook(STANDARD).verify(body, {**delivered(), **headers})


def test_the_receivers_library_refuses_another_secret():
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, delivered())


@budget(deadline=None)
@given(
    st.recursive(st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(value, ensure_ascii=False)
    ),
    st.binary(min_size=1, max_size=64),
)
def test_any_body_verifies_with_any_key(text, key):
    secret = "whsec_" + base64.b64encode(key).decode()
    assert Webhook(secret).verify(
        text.encode(), delivered(text.encode(), secret=secret)
    ) == json.loads(text)


@pytest.mark.parametrize("style", SIGNINGS)
def test_without_a_secret_there_is_no_header(style):
    assert signed(style, "", signing_secret_old=STANDARD, signing_timestamp_header="X-When") == []


@pytest.mark.parametrize("style", ["none", "", "sha1", "Standard"])
def test_an_unknown_style_gives_no_header(style):
    assert signed(style, STANDARD) == []


@pytest.mark.parametrize("style", ["standard", "github", "grafana"])
def test_a_message_without_a_body_is_signed_too(style):
    assert signed(style, STANDARD, b"")
    assert signed(style, STANDARD, b"") != signed(style, STANDARD)


def test_a_secret_is_encoded_as_utf_8():
    assert signed("github", "geheimnis-ü") != signed("github", "geheimnis-u")


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_no base64!", "whsec_abc", "whsec_é", "whsec_YWJj YWJj", "topsecret"],
)
def test_an_invalid_standard_secret_is_refused(secret):
    with pytest.raises(ValueError, match=r"base64|ASCII|empty"):
        standard_key(secret)


def test_the_key_is_decoded_from_base64_after_the_prefix():
    assert (
        standard_key(STANDARD)
        == standard_key(STANDARD.removeprefix("whsec_"))
        == b"0123456789abcdef01234567"
    )
