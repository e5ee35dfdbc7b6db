"""Options of kinds, hints about pasted URLs, and suggested changes of the form."""

import html
import json
import re

import pytest
from channels import create, fields_in, form_of, marks, message_at, stored_form
from receiver import reply

from delivery import channel_test
from delivery.kinds import kinds
from delivery.settings import read_settings
from models import Attempt, Channel, db

TOKEN = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"
PASTED = f"https://api.telegram.org/bot{TOKEN}/sendMessage?chat_id=-1001234"


def telegram(url="", **fields):
    given = {"options-bot_token": TOKEN, "options-chat_id": "-100", **fields}
    return form_of(url, kind="telegram", **given)


def checked(client, field, form):
    """Return the message of a field check, and the hints beside it."""
    text = client.post(f"/channels/new/validate/{field}", form, htmx=True).text
    message, _, hints = text.partition("<div")
    if hints:
        hints = html.unescape(re.sub(r"<[^>]*>", " ", f"<div{hints}"))
    return html.unescape(message).strip(), hints


def change_behind(page, label):
    """Return the encrypted change behind the button with this label."""
    return re.search(rf'name="change" value="([^"]+)"[^>]*>{re.escape(label)}</button>', page)[1]


# --- options --------------------------------------------------------------------------------------


def test_a_kind_has_its_own_options_and_marks_the_required_ones(client):
    page = client.get("/channels/new?kind=telegram").text
    for name in ("bot_token", "chat_id"):
        assert re.search(rf'<input id="options-{name}"[^>]*\srequired', page)
    assert 'id="options-chat_id"' not in client.get("/channels/new?kind=webhook").text


@pytest.mark.parametrize(
    "kind",
    [kind for kind in kinds().values() if any(one.required for one in kind.options)],
    ids=lambda k: k.name,
)
def test_a_missing_required_option_gets_a_message_at_its_own_field(client, kind):
    response = client.post("/channels", form_of("https://own.example.com", kind=kind.name))
    assert response.status_code == 422
    for option in kind.options:
        assert bool(message_at(response.text, f"options-{option.name}")) == option.required


@pytest.mark.parametrize("value", ["line\nbreak", "nul\x00", "語", "x" * 5000], ids=ascii)
def test_an_option_that_cannot_be_sent_is_refused(client, value):
    assert client.post("/channels", telegram(**{"options-chat_id": value})).status_code == 422


@pytest.mark.parametrize("value", ["@channel", "no usual id", "-100", "<b>"])
def test_an_unusual_option_is_accepted(client, value):
    assert client.post("/channels", telegram(**{"options-chat_id": value})).status_code == 303


def test_an_option_with_fixed_values_is_a_list_of_them(client):
    page = client.get("/channels/new?kind=telegram").text
    options = re.search(r'<select id="options-silent".*?</select>', page, re.DOTALL)[0]
    assert re.findall(r'<option value="(\w*)"( selected)?>([^<]+)', options) == [
        ("", " selected", "Every open alert makes a sound"),
        ("below_critical", "", "Only critical alerts make a sound"),
    ]
    assert "A resolution never makes a sound." in page


@pytest.mark.parametrize("value", ["", "below_critical"])
def test_a_listed_value_of_an_option_is_saved_and_chosen_again(client, config, value):
    assert client.post("/channels", telegram(**{"options-silent": value})).status_code == 303
    channel_id = Channel.get().id
    assert option_of(channel_id, config, "silent") == value
    page = client.get(f"/channels/{channel_id}/edit").text
    assert f'<option value="{value}" selected>' in page


@pytest.mark.parametrize("value", ["above", "critical", "BELOW_CRITICAL", "<b>", "x" * 5000])
def test_any_other_value_of_an_option_with_a_list_is_refused(client, value):
    sentence = "Leave this empty, or choose one of these values: below_critical."
    form = telegram(**{"options-silent": value})
    assert checked(client, "options-silent", form)[0] == sentence
    response = client.post("/channels", form)
    assert response.status_code == 422
    assert message_at(response.text, "options-silent") == sentence
    assert not Channel.select().count()


def test_a_stored_value_that_is_no_longer_listed_can_be_seen_and_changed(client):
    client.post("/channels", telegram(**{"options-silent": "below_critical"}))
    db.execute_sql("UPDATE channel SET settings = replace(settings, 'below_critical', 'below_all')")
    channel_id = Channel.get().id
    assert "unknown: below_all" in client.get(f"/channels/{channel_id}/edit").text
    form = {**stored_form(client, channel_id), "options-silent": ""}
    assert client.post(f"/channels/{channel_id}", form).status_code == 303


@pytest.mark.parametrize("zone", ["Europe/Berlin", " UTC ", ""])
def test_a_time_zone_or_none_is_accepted(client, zone):
    assert client.post("/channels", telegram(**{"options-time_zone": zone})).status_code == 303


@pytest.mark.parametrize("zone", ["Mars", "Europe", "+02:00", "../UTC", "x" * 500])
def test_an_unknown_time_zone_is_refused_while_typing_and_on_save(client, zone):
    sentence = "There is no such time zone: enter a name such as Europe/Berlin or UTC."
    form = telegram(**{"options-time_zone": zone})
    assert checked(client, "options-time_zone", form)[0] == sentence
    response = client.post("/channels", form)
    assert response.status_code == 422
    assert message_at(response.text, "options-time_zone") == sentence
    assert not Channel.select().count()


def test_an_unusual_token_gets_a_hint_and_no_message(client):
    message, note = checked(
        client, "options-bot_token", telegram(**{"options-bot_token": "unusual"})
    )
    assert message == ""
    assert "has an unusual format" in note
    assert checked(client, "options-bot_token", telegram()) == ("", "")


def test_a_check_of_an_unknown_option_is_404(client):
    assert client.post("/channels/new/validate/options-nonsense", telegram()).status_code == 404
    assert client.post("/channels/new/validate/options-bot_token", form_of()).status_code == 404


def test_a_secret_option_is_stored_encrypted_and_never_shown(client):
    channel_id = create(
        client, "", **{k: v for k, v in telegram().items() if k not in ("url", "name")}
    )
    channel = Channel.get_by_id(channel_id)
    assert TOKEN not in channel.settings + channel.sealed
    page = client.get(f"/channels/{channel_id}/edit").text
    assert TOKEN not in page
    form = fields_in(page)
    assert (form["options-bot_token"], form["options-chat_id"]) == ("", "-100")
    assert "stored, not shown" in page


def test_a_blank_secret_option_keeps_the_stored_one_and_remove_removes_it(client, config):
    channel_id = create(
        client, "", **{k: v for k, v in telegram().items() if k not in ("url", "name")}
    )
    assert (
        client.post(f"/channels/{channel_id}", stored_form(client, channel_id)).status_code == 303
    )
    assert option_of(channel_id, config, "bot_token") == TOKEN
    removed = {**stored_form(client, channel_id), "options-bot_token-remove": "1"}
    assert client.post(f"/channels/{channel_id}", removed).status_code == 422


def option_of(channel_id, config, name):
    from delivery.secrets.encryption import Keyring

    settings, problem = read_settings(
        Channel.get_by_id(channel_id), Keyring(config.encryption_keys)
    )
    assert problem == ""
    return settings.option(name)


def test_a_stored_token_is_never_sent_to_another_origin(client):
    channel_id = create(
        client, "", **{k: v for k, v in telegram().items() if k not in ("url", "name")}
    )
    moved = {**stored_form(client, channel_id), "url": "https://proxy.example.com"}
    response = client.post(f"/channels/{channel_id}", moved)
    assert response.status_code == 422
    assert "enter it again" in message_at(response.text, "options-bot_token")
    assert (
        client.post(f"/channels/{channel_id}", {**moved, "options-bot_token": TOKEN}).status_code
        == 303
    )


def test_an_option_of_another_kind_is_not_kept(client, config):
    channel_id = create(
        client, "", **{k: v for k, v in telegram().items() if k not in ("url", "name")}
    )
    pushover = {
        **stored_form(client, channel_id),
        "kind": "pushover",
        "url": "https://api.pushover.net",
    }
    response = client.post(f"/channels/{channel_id}", pushover)
    assert response.status_code == 422
    assert message_at(response.text, "options-token")


@pytest.mark.parametrize(
    "kind", [kind for kind in kinds().values() if kind.base], ids=lambda kind: kind.name
)
def test_an_empty_url_means_the_vendors_own_server(client, kind, config):
    options = {f"options-{option.name}": "x" * 32 for option in kind.options if option.required}
    channel_id = create(client, "", kind=kind.name, **options)
    assert stored_form(client, channel_id)["url"] == kind.base


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_accepts_any_server_custom_headers_and_authentication(client, receiver, kind):
    options = {
        f"options-{option.name}": "x" * 32 for option in kinds()[kind].options if option.required
    }
    fields = {
        **options,
        "headers-0-name": "X-Team",
        "headers-0-value": "db",
        "body": '{"a": "{{ alert.name }}"}',
    }
    form = form_of(
        f"http://127.0.0.1:{receiver.port}/",
        kind=kind,
        auth="bearer",
        auth_secret="s3cret-token",
        **fields,
    )
    assert client.post("/channels/new/test", form).status_code == 200
    [request] = receiver.requests
    assert request.headers["X-Team"] == "db"
    assert request.headers["Authorization"] == "Bearer s3cret-token"
    assert json.loads(request.body)


def test_choosing_a_kind_loads_its_options_and_keeps_typed_values(client):
    form = telegram(name="Typed", payload="[1]")
    page = client.post("/channels/new/kind", form).text
    assert fields_in(page)["name"] == "Typed"
    fragment = client.post("/channels/new/kind", form, htmx=True).text
    assert "<!doctype" not in fragment
    assert 'id="options-bot_token"' in fragment
    assert TOKEN not in fragment + page


def test_stored_options_survive_a_change_of_the_kind_and_back(client):
    channel_id = create(client, kind="custom", body="{}", **{"options-closed_body": '{"mine": 1}'})
    form = stored_form(client, channel_id)
    away = fields_in(client.post(f"/channels/{channel_id}/kind", {**form, "kind": "slack"}).text)
    assert "options-closed_body" not in away
    back = fields_in(client.post(f"/channels/{channel_id}/kind", {**away, "kind": "custom"}).text)
    assert back["options-closed_body"] == '{"mine": 1}'


def test_a_renamed_secret_header_needs_its_value_again(client):
    row = {"headers-0-name": "X-Key", "headers-0-value": "s3cret-value", "headers-0-secret": "1"}
    channel_id = create(client, **row)
    renamed = {**stored_form(client, channel_id), "headers-0-name": "X-Api-Key"}
    response = client.post(f"/channels/{channel_id}", renamed)
    assert response.status_code == 422
    assert "none is stored under this header name" in message_at(response.text, "headers-0-value")


# --- pasted URLs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["url", "name", "payload", "auth_secret", "headers-0-value", "options-app_token"]
)
def test_a_url_pasted_into_any_field_suggests_its_kind(client, field):
    kind = "gotify" if field.startswith("options-") else "webhook"
    message, note = checked(client, field, {**form_of(kind=kind), field: PASTED})
    assert "This is a URL of Telegram." in note
    assert "Use Telegram" in note
    assert TOKEN not in message + note


def test_applying_the_suggestion_moves_the_token_into_its_own_field(client, config):
    form = form_of(PASTED, name="Ops")
    page = client.post("/channels/new/validate/url", form, htmx=True).text
    changed = client.post(
        "/channels/new/apply", {**form, "change": change_behind(page, "Use Telegram")}
    ).text
    back = fields_in(changed)
    assert (back["kind"], back["url"], back["options-chat_id"], back["name"]) == (
        "telegram",
        "https://api.telegram.org",
        "-1001234",
        "Ops",
    )
    assert back["options-bot_token"] == ""
    assert TOKEN not in changed
    assert client.post("/channels", back).status_code == 303
    assert option_of(Channel.get().id, config, "bot_token") == TOKEN


def test_a_url_in_the_wrong_field_moves_into_its_own(client):
    form = {**form_of(""), "name": PASTED}
    page = client.post("/channels/new/validate/name", form, htmx=True).text
    back = fields_in(
        client.post(
            "/channels/new/apply", {**form, "change": change_behind(page, "Use Telegram")}
        ).text
    )
    assert (back["name"], back["url"]) == ("", "https://api.telegram.org")


@pytest.mark.parametrize(
    ("kind", "url", "note"),
    [
        (
            "slack",
            "https://discord.com/api/webhooks/123456789012345678/abcDEF-token",
            "This is a URL of Discord.",
        ),
        ("teams", "https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w", "retired"),
        ("opsgenie", "", "5 April 2027"),
    ],
)
def test_a_url_of_another_vendor_or_a_retired_service_gets_only_a_hint(client, kind, url, note):
    options = {
        f"options-{option.name}": "x" * 36 for option in kinds()[kind].options if option.required
    }
    form = form_of(url, kind=kind, **options)
    message, said = checked(client, "url", form)
    assert message == ""
    assert note in said
    assert client.post("/channels", form).status_code == 303


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/x",
        "http://127.0.0.1:9/",
        "https://example.com/?x=hooks.slack.com",
    ],
)
def test_an_ordinary_url_gets_no_hints(client, url):
    response = client.post("/channels/new/validate/url", form_of(url), htmx=True)
    assert response.text == ""


def test_a_suggestion_for_a_value_that_has_changed_is_not_applied(client):
    form = form_of(
        "https://own.example.com/x", **{"headers-0-name": "X-A", "headers-0-value": PASTED}
    )
    page = client.post("/channels/new/validate/headers-0-value", form, htmx=True).text
    late = {**form, "headers-0-value": "other", "change": change_behind(page, "Use Telegram")}
    back = fields_in(client.post("/channels/new/apply", late).text)
    assert (back["kind"], back["url"], back["headers-0-value"]) == (
        "webhook",
        "https://own.example.com/x",
        "other",
    )


def test_the_server_of_another_vendor_gets_a_hint_that_clears_the_url(client):
    form = form_of(
        "https://api.telegram.org", kind="pushover", **{"options-token": "x", "options-user": "y"}
    )
    page = client.post("/channels/new/validate/url", form, htmx=True).text
    assert "This is the server of Telegram." in page
    back = fields_in(
        client.post(
            "/channels/new/apply", {**form, "change": change_behind(page, "Clear the URL")}
        ).text
    )
    assert back["url"] == ""


@pytest.mark.parametrize("change", ["", "nonsense", "gAAAAAB"])
def test_a_change_that_cannot_be_decrypted_is_not_applied(client, change):
    page = client.post("/channels/new/apply", {**form_of(name="Typed"), "change": change}).text
    assert "Nothing was changed" in page
    assert fields_in(page)["name"] == "Typed"
    assert not Channel.select().count()


# --- suggested fixes ------------------------------------------------------------------------------


def test_a_new_chat_id_from_telegram_is_applied_with_one_click(client, receiver):
    body = {
        "ok": False,
        "error_code": 400,
        "description": "upgraded",
        "parameters": {"migrate_to_chat_id": -1009876543210},
    }
    receiver.script = reply(400, json.dumps(body).encode())
    form = telegram(f"http://127.0.0.1:{receiver.port}")
    page = client.post("/channels/new/test", form).text
    assert marks(page)["verdict"] == "failed"
    change = re.search(r'form="channel-form" name="change" value="([^"]+)"', page)[1]
    back = fields_in(client.post("/channels/new/apply", {**form, "change": change}).text)
    assert back["options-chat_id"] == "-1009876543210"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (
            "https://127.0.0.1:8443/hooks/t0ken-of-the-path",
            "https://127.0.0.1:8443/hooks/t0ken-of-the-path",
        ),
        ("https://new.example/elsewhere", "https://new.example/elsewhere"),
    ],
)
def test_a_redirect_suggests_its_location_without_showing_its_secrets(
    client, receiver, location, url
):
    receiver.script = reply(301, Location=location)
    page = client.post("/channels/new/test", form_of(receiver.url), htmx=True).text
    assert "t0ken-of-the-path" not in page
    change = change_behind(page, "Use this URL")
    back = fields_in(
        client.post("/channels/new/apply", {**form_of(receiver.url), "change": change}).text
    )
    assert back["url"] == url


def test_an_ntfy_topic_in_the_url_is_moved_with_one_click(client, receiver):
    receiver.script = reply(200, b'{"id": "x"}')
    form = form_of(f"http://127.0.0.1:{receiver.port}/ops", kind="ntfy", **{"options-topic": "ops"})
    page = client.post("/channels/new/test", form).text
    change = re.search(r'form="channel-form" name="change" value="([^"]+)"', page)[1]
    back = fields_in(client.post("/channels/new/apply", {**form, "change": change}).text)
    assert (back["url"].rstrip("/"), back["options-topic"]) == (
        f"http://127.0.0.1:{receiver.port}",
        "ops",
    )


# --- custom bodies --------------------------------------------------------------------------------


def custom(body, **fields):
    return form_of(kind="custom", body=body, **fields)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "Enter a JSON document"),
        ("{", "Line 1, column 2"),
        ('{"a": "{{ alert.nmae }}"}', "did you mean alert.name?"),
        ('{\n  "a": "{{ alert.name"\n}', "Line 2, column 9"),
        ('{"a": "' + "x" * 1_000_00 + '"}', "65,536"),
        ('{"a": "\\ud800"}', "half of a character"),
        ("[" + ", ".join(['"{{ nonsense }}"'] * 2000) + "]", "nonsense is not known"),
    ],
    ids=lambda text: text[:20],
)
def test_an_invalid_body_is_refused_while_typing_and_on_save_and_stays_in_the_form(
    client, body, message
):
    assert message in checked(client, "body", custom(body))[0]
    response = client.post("/channels", custom(body))
    assert response.status_code == 422
    assert fields_in(response.text)["body"] == body


def test_a_body_for_a_closed_alert_is_validated_like_the_body(client):
    refused = client.post("/channels", custom("{}", **{"options-closed_body": "{{"}))
    assert refused.status_code == 422
    assert message_at(refused.text, "options-closed_body")
    assert (
        client.post(
            "/channels", custom("{}", **{"options-closed_body": '\n {"a": 1.10}\n'})
        ).status_code
        == 303
    )
    assert stored_form(client, Channel.get().id)["options-closed_body"] == '\n {"a": 1.10}\n'


BODY_HINTS = [
    ("${alert.name}", "For the value, write {{ alert.name }}."),
    ("${labels.team}", "For the value, write {{ alert.labels.team }}."),
    ("$alert.severity!", "For the value, write {{ alert.severity }}."),
    ("${HOME}", "${HOME} is sent as it is: it is no placeholder."),
    ("<${alert.name}>", "${alert.name} is sent as it is"),
]


@pytest.mark.parametrize("field", ["body", "options-closed_body"])
@pytest.mark.parametrize(("text", "words"), BODY_HINTS)
def test_a_text_that_looks_like_a_placeholder_gets_a_hint_and_no_error(client, field, text, words):
    form = custom('{"a": "b"}')
    form[field] = json.dumps({"text": text})
    message, hints = checked(client, field, form)
    assert (message, words in hints) == ("", True)
    assert (
        f'id="{field}-note"' in client.post(f"/channels/new/validate/{field}", form, htmx=True).text
    )
    saved = client.post("/channels", form)
    assert saved.status_code == 303
    assert words in html.unescape(client.get(f"/channels/{Channel.get().id}/edit").text)


def test_the_hint_on_a_body_disappears_with_its_cause(client):
    form = custom('{"text": "${alert.name}"}')
    assert "as it is" in checked(client, "body", form)[1]
    form["body"] = '{"text": "{{ alert.name }} for $5 and ${{ alert.value }}"}'
    message, hints = checked(client, "body", form)
    assert (message, hints.strip()) == ("", "")


def test_a_body_has_at_most_three_hints_and_only_the_kind_custom_has_any(client):
    body = json.dumps([f"${{alert.labels.a{number}}}" for number in range(9)])
    assert checked(client, "body", custom(body))[1].count("as it is") == 3
    form = form_of(body=body, payload='{"a": "${alert.name}"}')
    assert "as it is" not in checked(client, "body", form)[1]
    assert "as it is" not in checked(client, "payload", form)[1]


def test_a_viewer_sees_no_hint_on_a_body(client, viewer):
    client.post("/channels", custom('{"text": "${alert.name}"}'))
    page = viewer.get(f"/channels/{Channel.get().id}/edit")
    assert "as it is: it is no placeholder" not in page.text


def test_a_starter_body_fills_only_empty_fields(client):
    for name in kinds()["custom"].starters:
        filled = fields_in(client.post("/channels/new/apply", {**custom(""), "starter": name}).text)
        assert client.post("/channels/new/preview", {**custom(filled["body"])}).status_code == 200
        kept = fields_in(
            client.post("/channels/new/apply", {**custom("[1]"), "starter": name}).text
        )
        assert kept["body"] == "[1]"
        own = custom("", **{"options-closed_body": '{"mine": 1}'})
        kept = fields_in(client.post("/channels/new/apply", {**own, "starter": name}).text)
        assert kept["options-closed_body"] == '{"mine": 1}'


def test_a_preview_shows_the_bodies_for_four_alerts_and_a_group_and_their_sizes(client, receiver):
    page = client.post(
        "/channels/new/preview", custom('{"t": "{{ alert.status }} {{ alert.name }}"}')
    ).text
    assert [summary.strip() for summary in re.findall(r"<summary>(.*?)\s*<span", page)][:5] == [
        "An open alert",
        "The same alert, closed",
        "Hostile texts",
        "A huge alert",
        "A group of nine alerts",
    ]
    assert re.search(r"\d+ characters, \d+ bytes", page)
    assert "closed PostgresReplicationLag" in page
    assert receiver.requests == []


def test_a_body_is_previewed_while_typed_even_if_other_fields_are_invalid(client):
    form = {**custom('{"t": "{{ alert.name }}"}', url="", name="", timeout="x")}
    response = client.post("/channels/new/preview?live=1", form, htmx=True)
    assert response.status_code == 200
    assert "PostgresReplicationLag" in response.text
    assert "-error" not in response.text
    broken = client.post("/channels/new/preview?live=1", {**form, "body": "{"}, htmx=True)
    assert broken.status_code == 422
    assert "There is nothing to show" in broken.text


@pytest.mark.parametrize("kind", list(kinds()))
def test_no_kind_shows_a_secret_in_its_preview(client, kind):
    options = {
        f"options-{option.name}": f"s3cret-{option.name}-{'x' * 20}"
        for option in kinds()[kind].options
        if option.secret
    }
    plain = {
        f"options-{option.name}": "plain"
        for option in kinds()[kind].options
        if option.required and not option.secret
    }
    page = client.post(
        "/channels/new/preview",
        form_of("https://own.example.com", kind=kind, body="{}", **options, **plain),
    )
    assert page.status_code == 200
    assert "s3cret-" not in page.text


@pytest.mark.parametrize(
    "kind",
    [kind for kind in kinds().values() if any(one.secret for one in kind.options)],
    ids=lambda kind: kind.name,
)
def test_no_secret_is_shown_when_a_receiver_echoes_the_request(client, receiver, kind):
    def echo(receiver, connection):
        request = receiver.requests[-1]
        seen = f"{request.path}\n{request.headers}\n".encode() + request.body
        reply(500, seen, Location=request.path)(receiver, connection)

    receiver.script = echo
    options = {
        f"options-{option.name}": f"s3cret-{option.name}-{'x' * 20}"
        for option in kind.options
        if option.secret or option.required
    }
    form = form_of(f"http://127.0.0.1:{receiver.port}/", kind=kind.name, **options)
    page = client.post("/channels/new/test", form, htmx=True).text
    assert len(receiver.requests) == 1
    for option in kind.options:
        assert not option.secret or f"s3cret-{option.name}" not in page
    channel_id = create(client, f"http://127.0.0.1:{receiver.port}/", kind=kind.name, **options)
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    rows = repr([vars(row)["__data__"] for row in Attempt.select()])
    for option in kind.options:
        assert not option.secret or f"s3cret-{option.name}" not in rows


# --- rate limits ----------------------------------------------------------------------------------


def test_a_test_over_the_vendors_rate_limit_is_not_sent(client, monkeypatch):
    sent = []
    outcome = channel_test.send
    monkeypatch.setattr(
        channel_test,
        "send",
        lambda message, *rest, **more: sent.append(message) or outcome(message, *rest, **more),
    )
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_kwargs: [])
    form = form_of("https://oapi.dingtalk.com/robot/send?access_token=" + "a" * 64, kind="dingtalk")
    answers = [client.post("/channels/new/test", form, htmx=True) for _ in range(22)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 2
    assert len(sent) == 20
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert "is reached: it would refuse" in answers[-1].text


def test_a_self_hosted_server_has_no_rate_limit(client, receiver):
    form = form_of(f"http://127.0.0.1:{receiver.port}/robot/send?access_token=x", kind="dingtalk")
    assert {client.post("/channels/new/test", form, htmx=True).status_code for _ in range(25)} == {
        200
    }


def test_an_invalid_stored_body_breaks_nothing(client, receiver):
    channel_id = create(client, receiver.url, kind="custom", body="{}")
    db.execute_sql(
        """UPDATE channel SET settings = replace(settings, '"body": "{}"', '"body": "{"')"""
    )
    form = stored_form(client, channel_id)
    assert form["body"] == "{"
    assert client.post(f"/channels/{channel_id}/test", form).status_code == 422
    assert client.get("/channels").status_code == 200
