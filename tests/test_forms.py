"""The rules of the channel form as tables of accepted and refused values."""

import pytest
from channels import create, fields_in, form_of, stored_form

from web.channels.header_rows import MAX_HEADERS


def message(client, field, path="/channels/new", **fields):
    """Return the message of a field check."""
    response = client.post(f"{path}/validate/{field}", form_of(**fields), htmx=True)
    assert response.status_code == 200, response.text
    return response.text


ACCEPTED = [
    ("name", {"name": "x"}),
    ("name", {"name": "  trimmed  "}),
    ("name", {"name": "Überwachung ✓ 監視"}),
    ("name", {"name": "n" * 100}),
    ("url", {"url": "http://alertmanager:9093"}),
    ("url", {"url": "http://alertmanager:9093", "kind": "alertmanager"}),
    ("url", {"url": "https://[2606:4700::7]:8443/h?x=1"}),
    ("url", {"url": "https://bücher.example/haken"}),
    ("url", {"url": " \thttps://h.example/x\r\n"}),
    ("url", {"url": "https://h.example/" + "a" * 2030}),
    ("url", {"url": "https://h.example:65535/#part"}),
    ("url", {"url": "http://127.0.0.1:9000/"}),
    ("payload", {"payload": ""}),
    ("payload", {"payload": " \n"}),
    ("payload", {"payload": "null"}),
    ("payload", {"payload": "[]"}),
    ("payload", {"payload": "0"}),
    ("payload", {"payload": '"text"'}),
    ("payload", {"payload": "1e400"}),
    ("payload", {"payload": "[" * 64 + "]" * 64}),
    ("payload", {"payload": "{", "kind": "alertmanager"}),
    ("timeout", {"timeout": ""}),
    ("timeout", {"timeout": "1"}),
    ("timeout", {"timeout": "30"}),
    ("timeout", {"timeout": " 7 "}),
    ("headers-0-name", {"headers_0_name": "X-Team"}),
    ("headers-0-name", {"headers_0_name": "Content-Type", "headers_0_value": "text/plain"}),
    ("headers-0-name", {"headers_0_name": "", "headers_0_value": ""}),
    ("headers-0-value", {"headers_0_name": "X-A", "headers_0_value": "übrig"}),
    ("headers-0-value", {"headers_0_name": "X-A", "headers_0_value": ""}),
    ("headers-0-name", {"headers_0_name": "Authorization", "headers_0_value": "Bearer x"}),
    ("auth_secret", {"auth": "none"}),
    ("auth_secret", {"auth": "basic", "auth_username": "me", "auth_secret": ""}),
    ("auth_username", {"auth": "header", "auth_username": "X-Api-Key"}),
    ("signing_secret", {"signing": "github", "signing_secret": "x"}),
    (
        "signing_secret",
        {"signing": "standard", "signing_secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"},
    ),
    ("signing_secret", {"signing": "standard", "signing_secret": "MDEyMzQ1Njc4OWFi"}),
    ("signing_timestamp_header", {"signing": "grafana", "signing_timestamp_header": ""}),
    ("ca_pem", {"ca_pem": ""}),
    ("verify_tls", {"verify_tls": "0"}),
    ("method", {"method": "PATCH"}),
]


@pytest.mark.parametrize(("field", "fields"), ACCEPTED)
def test_a_valid_value_gets_no_message(client, field, fields):
    assert message(client, field, **fields) == ""


REFUSED = [
    ("name", {"name": ""}, "Enter a name for the channel"),
    ("name", {"name": " \u200b\u3164 "}, "no visible character"),
    ("name", {"name": "n" * 101}, "101 characters"),
    ("name", {"name": "a\x00b"}, "control character"),
    ("name", {"name": "a\nb"}, "control character"),
    ("name", {"name": "a\u202eb"}, "text direction"),
    ("kind", {"kind": "nonsense"}, "Choose one"),
    ("method", {"method": "DELETE"}, "Choose one"),
    ("auth", {"auth": "x"}, "Choose one"),
    ("signing", {"signing": ""}, "Choose one"),
    ("url", {"url": ""}, "Enter the URL"),
    ("url", {"url": "hooks.example.com/x"}, "Begin the URL with https://"),
    ("url", {"url": "ftp://h.example/"}, "https:// URLs only"),
    ("url", {"url": "https://user:pass@h.example/"}, "authentication fields"),
    ("url", {"url": "https://h.example:0/"}, "Port 0"),
    ("url", {"url": "https://h.example:65536/"}, "port"),
    ("url", {"url": "https://h.example/a b"}, "space"),
    ("url", {"url": "https://h.example/a\x00b"}, "invisible"),
    ("url", {"url": "https://h.example/" + "a" * 2040}, "at most 2048"),
    ("url", {"url": "https:///x"}, "no host"),
    ("url", {"url": "http://10.0.0.5/"}, "TOCSIN_ALLOW_NETWORKS"),
    ("url", {"url": "http://[::1]/"}, "TOCSIN_ALLOW_NETWORKS"),
    ("url", {"url": "http://0xa000005/"}, "TOCSIN_ALLOW_NETWORKS"),
    ("url", {"url": "http://169.254.169.254/"}, "never sends there"),
    ("payload", {"payload": '{"a": 1,}'}, "Line 1, column 9: remove the comma"),
    ("payload", {"payload": "{\n  'a': 1}"}, "Line 2, column 3: use double quotes for a string"),
    ("payload", {"payload": "{"}, "Line 1, column 2"),
    ("payload", {"payload": "[" * 100_000}, "100,000 bytes"),
    ("payload", {"payload": "NaN"}, "NaN is not JSON"),
    ("payload", {"payload": "[" * 65}, "nested deeper than 64"),
    ("payload", {"payload": '"' + "ä" * 40_000 + '"'}, "80,002 bytes"),
    ("timeout", {"timeout": "0"}, "from 1 to 30"),
    ("timeout", {"timeout": "31"}, "from 1 to 30"),
    ("timeout", {"timeout": "abc"}, "from 1 to 30"),
    ("timeout", {"timeout": "1.5"}, "from 1 to 30"),
    ("timeout", {"timeout": "٣"}, "from 1 to 30"),
    (
        "headers-0-name",
        {"headers_0_name": "", "headers_0_value": "x"},
        "Enter a name for the header",
    ),
    ("url", {"url": "https://-/x"}, "host is not valid"),
    ("url", {"url": "https://xn--a/x"}, "xn--a is the encoded form of no name"),
    ("headers-0-name", {"headers_0_name": "X Team"}, "letters, digits and hyphens"),
    ("headers-0-name", {"headers_0_name": "X:"}, "letters, digits and hyphens"),
    ("headers-0-name", {"headers_0_name": "Host"}, "Tocsin sets"),
    ("headers-0-name", {"headers_0_name": "content-length"}, "Tocsin sets"),
    ("headers-0-name", {"headers_0_name": "Webhook-Id"}, "Tocsin sets"),
    (
        "headers-0-name",
        {"headers_0_name": "Authorization", "auth": "bearer", "auth_secret": "x"},
        "already sets this header",
    ),
    ("headers-4-name", {"headers_1_name": "X-A", "headers_4_name": "x-a"}, "twice"),
    ("headers-0-value", {"headers_0_name": "X-A", "headers_0_value": "a\r\nX-B: c"}, "line break"),
    ("headers-0-value", {"headers_0_name": "X-A", "headers_0_value": "監"}, "latin-1"),
    (
        "headers-0-value",
        {"headers_0_name": "X-A", "headers_0_value": "a" * 4097},
        "the maximum is 4096",
    ),
    ("auth_username", {"auth": "basic", "auth_username": ""}, "Enter the user name"),
    ("auth_username", {"auth": "basic", "auth_username": "a:b"}, "colon"),
    ("auth_username", {"auth": "header", "auth_username": ""}, "Enter a name for the header"),
    ("auth_username", {"auth": "header", "auth_username": "Host"}, "Tocsin sets"),
    ("auth_secret", {"auth": "bearer"}, "Enter the secret"),
    ("auth_secret", {"auth": "bearer", "auth_secret": "a\nb"}, "line break"),
    ("signing_secret", {"signing": "github"}, "Enter the secret"),
    ("signing_secret", {"signing": "standard", "signing_secret": "whsec_%%%"}, "whsec_ and base64"),
    (
        "signing_secret_old",
        {"signing": "standard", "signing_secret": "whsec_MDEy", "signing_secret_old": "?"},
        "whsec_ and base64",
    ),
    (
        "signing_timestamp_header",
        {"signing": "grafana", "signing_timestamp_header": "a b"},
        "letters, digits",
    ),
    ("ca_pem", {"ca_pem": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}, "PEM"),
    ("ca_pem", {"ca_pem": "-----BEGIN CERTIFICATE----- ü"}, "PEM"),
]


@pytest.mark.parametrize(("field", "fields", "words"), REFUSED)
def test_an_invalid_value_gets_a_message_at_its_own_field(client, field, fields, words):
    assert words in message(client, field, **fields)


def test_too_many_headers_are_refused_and_stay_in_the_form(client):
    rows = {f"headers_{number}_name": f"X-{number}" for number in range(MAX_HEADERS + 5)}
    assert "25 headers; the maximum is 20" in message(client, "headers", **rows)
    assert client.post("/channels", form_of(**rows)).text.count('value="X-') == 25


@pytest.mark.parametrize("index", ["²", "99999999999999999999", "-1", "x", "0" * 5000])
def test_an_invalid_row_number_is_ignored(client, index):
    assert client.post("/channels", form_of(**{f"headers-{index}-name": "X-A"})).status_code == 303


def test_certificates_are_verified_when_the_form_omits_the_field(client):
    channel_id = create(client)
    assert stored_form(client, channel_id)["verify_tls"] == "1"


def test_an_unticked_box_is_off(client):
    channel_id = create(client, verify_tls="0")
    assert stored_form(client, channel_id)["verify_tls"] == "0"


# --- secrets --------------------------------------------------------------------------------------


def stored_with_secrets(client, url):
    rows = {"headers_0_name": "X-Route", "headers_0_value": "s3cret-row", "headers_0_secret": "1"}
    return create(
        client,
        url,
        auth="bearer",
        auth_secret="s3cret-token",
        signing="github",
        signing_secret="s3cret-sign",
        **rows,
    )


def test_a_blank_secret_keeps_the_stored_one_and_header_rows_match_by_name(client, receiver):
    channel_id = stored_with_secrets(client, receiver.url)
    form = stored_form(client, channel_id)
    assert "s3cret" not in str({name: value for name, value in form.items() if name != "url"})
    moved = {name.replace("headers-0", "headers-7"): value for name, value in form.items()}
    client.post(f"/channels/{channel_id}", moved)
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    headers = receiver.requests[0].headers
    assert (headers["Authorization"], headers["X-Route"]) == ("Bearer s3cret-token", "s3cret-row")
    assert "X-Hub-Signature-256" in headers


def test_a_secret_is_removed_only_by_the_remove_box(client):
    channel_id = stored_with_secrets(client, "https://h.example/x")
    form = {**stored_form(client, channel_id), "auth_secret-remove": "1"}
    assert (
        "Enter the secret" in client.post(f"/channels/{channel_id}/validate/auth_secret", form).text
    )
    assert client.post(f"/channels/{channel_id}", {**form, "auth": "none"}).status_code == 303
    again = {**stored_form(client, channel_id), "auth": "bearer"}
    assert client.post(f"/channels/{channel_id}", again).status_code == 422


@pytest.mark.parametrize(
    "url", ["http://h.example/x", "https://other.example/x", "https://h.example:444/x"]
)
@pytest.mark.parametrize("action", ["", "/test"])
def test_a_stored_secret_is_never_sent_to_another_origin(client, url, action):
    channel_id = stored_with_secrets(client, "https://h.example/x")
    response = client.post(
        f"/channels/{channel_id}{action}", {**stored_form(client, channel_id), "url": url}
    )
    assert response.status_code == 422
    assert response.text.count("enter it again") >= 3


def test_another_path_of_the_same_origin_keeps_the_secrets(client):
    channel_id = stored_with_secrets(client, "https://h.example/x")
    changed = {**stored_form(client, channel_id), "url": "https://h.example/another"}
    assert client.post(f"/channels/{channel_id}", changed).status_code == 303


def test_unticking_secret_does_not_reveal_a_stored_value(client):
    channel_id = stored_with_secrets(client, "https://h.example/x")
    form = {
        name: value
        for name, value in stored_form(client, channel_id).items()
        if name != "headers-0-secret"
    }
    response = client.post(f"/channels/{channel_id}", form)
    assert response.status_code == 422
    assert "enter it again to make it readable" in response.text


def test_a_typed_secret_survives_an_invalid_save_without_being_shown(client, receiver):
    typed = form_of(receiver.url, name="", auth="bearer", auth_secret="typed-s3cret")
    typed |= {"headers-0-name": "X-Key", "headers-0-value": "typed-row", "headers-0-secret": "1"}
    invalid = client.post("/channels", typed)
    assert invalid.status_code == 422
    assert "typed-s3cret" not in invalid.text
    assert "typed-row" not in invalid.text
    assert client.post("/channels", {**fields_in(invalid.text), "name": "Now"}).status_code == 303
    client.post("/channels/1/test", stored_form(client, 1))
    assert receiver.requests[0].headers["Authorization"] == "Bearer typed-s3cret"
    assert receiver.requests[0].headers["X-Key"] == "typed-row"


def test_a_forged_resubmission_token_is_ignored(client):
    response = client.post("/channels", form_of(auth="bearer", **{"auth_secret-carried": "forged"}))
    assert response.status_code == 422
