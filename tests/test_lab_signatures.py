"""The lab says whether a request is signed rightly, and if not, why."""

import hmac
import json

import pytest
from channels import create, message_at
from werkzeug.datastructures import Headers

from delivery.settings import Settings
from delivery.signing import sign
from models import LabReceiver, LabRequest
from web.lab.signatures import Signed, Signer, check_signature

NOW = 1_790_000_000
BODY = b'{"name":"Disk full","value":1}'
SECRET = "whsec_MDEyMzQ1Njc4OWFiMDEyMzQ1Njc4OWFi"
OTHER = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
STANDARD = Settings(signing="standard", signing_secret=SECRET)
GITHUB = Settings(signing="github", signing_secret="It's a secret")
GRAFANA = Settings(signing="grafana", signing_secret="s")
TIMED = Settings(signing="grafana", signing_secret="s", signing_timestamp_header="X-Time")
SCHEMES = {"standard": STANDARD, "github": GITHUB, "grafana": GRAFANA, "grafana, timed": TIMED}


def signed(settings, body=BODY, at=NOW, changes=(), sent=None):
    """Return a request that these settings sign; `changes` are headers that are different.

    `sent` is the body that arrives. A header that is None is missing.
    """
    headers = {"webhook-id": "msg_7", "webhook-timestamp": str(at)}
    headers |= dict(sign(settings, "msg_7", at, body)) | dict(changes)
    present = [(name, value) for name, value in headers.items() if value is not None]
    return Signed(Headers(present), body if sent is None else sent, NOW)


def with_secret(settings, secret):
    return Settings(
        signing=settings.signing,
        signing_secret=secret,
        signing_timestamp_header=settings.signing_timestamp_header,
    )


@pytest.mark.parametrize("settings", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("body", [BODY, b"", b"\xff\n", b"a" * 100_000])
def test_a_right_signature_is_right(settings, body):
    assert check_signature(signed(settings, body), settings, ()).verdict == "right"


def test_either_secret_of_a_rotation_is_right():
    rotating = Settings(signing="standard", signing_secret=OTHER, signing_secret_old=SECRET)
    assert check_signature(signed(rotating), STANDARD, ()).verdict == "right"


def hex_signature(body, secret="s"):
    return hmac.digest(secret.encode(), body, "sha256").hex()


WRONG = {
    "missing": (STANDARD, {"changes": {"webhook-signature": None}}, "The sender does not sign."),
    "missing, another scheme": (
        GITHUB,
        {"changes": {"X-Hub-Signature-256": None, "X-Grafana-Alerting-Signature": "a"}},
        "it has the header X-Grafana-Alerting-Signature.",
    ),
    "no id": (STANDARD, {"changes": {"webhook-id": None}}, "The header webhook-id is missing"),
    "no time": (
        STANDARD,
        {"changes": {"webhook-timestamp": None}},
        "The header webhook-timestamp is missing",
    ),
    "no time of Grafana": (TIMED, {"changes": {"X-Time": None}}, "The header X-Time is missing"),
    "a date as time": (
        STANDARD,
        {"changes": {"webhook-timestamp": "2026-11-27"}},
        "is not a time in seconds: “2026-11-27”.",
    ),
    "an old time": (STANDARD, {"at": NOW - 1260}, "it was signed 21 minutes ago. Receivers accept"),
    "an old time of Grafana": (TIMED, {"at": NOW - 301}, "it was signed 5 minutes ago."),
    "a time to come": (STANDARD, {"at": NOW + 3600}, "is 60 minutes in the future"),
    "a changed time": (
        STANDARD,
        {"changes": {"webhook-timestamp": str(NOW - 1)}},
        "another secret, or what is signed was changed",
    ),
    "no version": (
        STANDARD,
        {"changes": {"webhook-signature": "yIB5bw"}},
        "no signature that begins with “v1,”",
    ),
    "damaged": (STANDARD, {"changes": {"webhook-signature": "v1,abc"}}, "the base64 of 32 bytes"),
    "not sha256=": (GITHUB, {"changes": {"X-Hub-Signature-256": "a" * 64}}, "“sha256=”"),
    "not hexadecimal": (
        GITHUB,
        {"changes": {"X-Hub-Signature-256": "sha256=" + "x" * 64}},
        "64 hexadecimal digits",
    ),
    "a changed body": (GITHUB, {"sent": BODY.replace(b"1", b"2")}, "or what is signed was changed"),
    "a line break more": (GITHUB, {"sent": BODY + b"\r\n"}, "a line break was added at its end"),
    "a line break less": (
        GITHUB,
        {"body": BODY + b"\n", "sent": BODY},
        "the line break at its end was removed",
    ),
    "other white space": (
        GRAFANA,
        {"sent": json.dumps(json.loads(BODY), indent=2).encode()},
        "it is the same JSON, written with other white space",
    ),
    "the text of the secret": (
        STANDARD,
        {
            "changes": sign(
                with_secret(STANDARD, "d2hzZWNfTURFeU16UTFOamM0T1dGaU1ERXlNelExTmpjNE9XRmk="),
                "msg_7",
                NOW,
                BODY,
            )
        },
        "The sender signs with the text of the secret.",
    ),
    "a time that is not expected": (
        GRAFANA,
        {
            "changes": {
                "X-Time": str(NOW),
                "X-Grafana-Alerting-Signature": hex_signature(f"{NOW}:".encode() + BODY),
            }
        },
        "The time in the header X-Time is signed as well",
    ),
}


@pytest.mark.parametrize(("settings", "change", "finding"), WRONG.values(), ids=WRONG)
def test_a_wrong_signature_is_explained(settings, change, finding):
    check = check_signature(signed(settings, **change), settings, ())
    assert (check.verdict, finding in check.finding) == ("wrong", True), check


@pytest.mark.parametrize("settings", SCHEMES.values(), ids=SCHEMES)
def test_the_secret_of_a_channel_tells_another_secret_from_a_changed_body(settings):
    other = with_secret(settings, OTHER)
    unrelated = Signer(2, "Unrelated", Settings(signing="none"))
    channels = [unrelated, Signer(1, "Team db", other)]
    check = check_signature(signed(other), settings, channels)
    assert "another secret, that of the channel “Team db”" in check.finding
    channels = [unrelated, Signer(1, "Team db", settings)]
    check = check_signature(signed(settings, sent=b"changed"), settings, channels)
    assert check.verdict == "wrong"
    assert "What is signed was changed on the way" in check.finding


@pytest.mark.parametrize(
    ("sender", "finding"),
    [
        (Settings(), "The request is not signed"),
        (STANDARD, "has the header webhook-signature, but"),
        (GITHUB, "has the header X-Hub-Signature-256, but"),
    ],
)
def test_without_a_secret_nothing_is_checked(sender, finding):
    check = check_signature(signed(sender), Settings(), ())
    assert (check.verdict, finding in check.finding) == ("", True)


# --- a receiver and its secret --------------------------------------------------------------------


@pytest.fixture
def own(client):
    client.get("/lab")
    LabReceiver.update(responses="200").execute()
    return LabReceiver.get()


@pytest.fixture
def url(app, own):
    return f"{app.extensions['tocsin'].policy.lab.origin}/lab/in/{own.path}"


def post(app, own, settings, body=BODY):
    """Post a signed request to the receiver, and return how it was stored."""
    now = int(LabReceiver.get().created_at // 1000)
    headers = {"webhook-id": "msg_7", "webhook-timestamp": str(now)}
    headers |= dict(sign(settings, "msg_7", now, body))
    app.test_client().post(f"/lab/in/{own.path}", data=body, headers=headers)
    return LabRequest.select().order_by(LabRequest.id.desc()).first()


def apply(client, own, **form):
    return client.post(f"/lab/{own.id}/signature", form)


def test_an_entered_secret_is_stored_encrypted_and_checks_requests(app, client, own):
    response = apply(client, own, signing="github", secret="s3cret of mine")
    assert response.status_code == 303
    row = LabReceiver.get()
    assert "s3cret" not in row.sealed
    page = client.get(f"/lab/{own.id}").text
    assert "s3cret" not in page
    assert "stored, not shown" in page
    sender = with_secret(GITHUB, "s3cret of mine")
    assert post(app, own, sender).signature == "right"
    long_body = b'{"text": "%s"}' % (b"a" * 200_000)  # longer than what is stored of it
    assert post(app, own, sender, long_body).signature == "right"
    assert post(app, own, GITHUB).signature == "wrong"
    page = client.get(f"/lab/{own.id}").text
    assert "signature right" in page
    assert "signature wrong" in page
    assert "or what is signed was changed on the way" in page


def test_an_empty_secret_keeps_the_stored_one_and_none_deletes_it(client, own):
    apply(client, own, signing="grafana", secret="s", timestamp_header="X-Time")
    row = LabReceiver.get()
    assert (row.signing, row.timestamp_header) == ("grafana", "X-Time")
    assert apply(client, own, signing="github").status_code == 303
    row = LabReceiver.get()
    assert (row.signing, row.timestamp_header, bool(row.sealed)) == ("github", "", True)
    apply(client, own, signing="none")
    assert (LabReceiver.get().signing, LabReceiver.get().sealed) == ("none", "")


@pytest.mark.parametrize(
    ("form", "field", "message"),
    [
        ({"signing": "github"}, "secret", "Enter the secret"),
        ({"signing": "standard", "secret": "whsec_x"}, "secret", "A Standard Webhooks secret is"),
        ({"signing": "github", "secret": "a" * 4097}, "secret", "at most 4,096"),
        ({"signing": "sha1", "secret": "a"}, "signing", "Select one"),
        (
            {"signing": "grafana", "secret": "a", "timestamp_header": "X Time"},
            "timestamp_header",
            "",
        ),
    ],
)
def test_a_wrong_form_is_refused_with_a_message(client, own, form, field, message):
    response = apply(client, own, **form)
    assert response.status_code == 422
    found = message_at(response.text, field)
    assert found
    assert message in found
    assert LabReceiver.get().sealed == ""


CHANNELS = {
    "standard": {"signing": "standard", "signing_secret": SECRET},
    "github": {"signing": "github", "signing_secret": "s3cret"},
    "grafana": {
        "signing": "grafana",
        "signing_secret": "s3cret",
        "signing_timestamp_header": "X-Time",
    },
}


@pytest.mark.parametrize("fields", CHANNELS.values(), ids=CHANNELS)
def test_the_secret_of_a_channel_that_sends_here_needs_no_typing(app, client, own, url, fields):
    channel_id = create(client, f"{url}?a=b", name="Signs", **fields)
    page = client.get(f"/lab/{own.id}").text
    assert "Use the secret of Signs" in page
    assert apply(client, own, channel=str(channel_id)).status_code == 303
    page = client.get(f"/lab/{own.id}").text
    assert "has the secret of “Signs”" in page
    assert "Use the secret of Signs" not in page
    assert fields["signing_secret"] not in page
    assert post(app, own, Settings(**fields)).signature == "right"


@pytest.mark.parametrize("channel", ["", "x", "99", "elsewhere"])
def test_the_secret_of_no_other_channel_is_taken(client, own, url, channel):
    create(client, url, name="Signs not")
    elsewhere = create(client, name="Elsewhere", **CHANNELS["github"])
    apply(client, own, channel=channel.replace("elsewhere", str(elsewhere)))
    assert "Nothing was changed." in client.get(f"/lab/{own.id}").text
    assert LabReceiver.get().sealed == ""


def test_a_secret_that_cannot_be_decrypted_is_reported_and_breaks_nothing(app, client, own):
    LabReceiver.update(signing="github", sealed="damaged").execute()
    assert "cannot be decrypted" in client.get(f"/lab/{own.id}").text
    assert post(app, own, GITHUB).signature == ""
    assert apply(client, own, signing="github", secret="It's a secret").status_code == 303
    assert post(app, own, GITHUB).signature == "right"
