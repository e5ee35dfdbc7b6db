"""The fields for matchers, retry schedule and repeat interval."""

import json

import pytest
from channels import create, form_of, message_at, stored_form
from cpu_time import cpu_time
from markupsafe import Markup
from test_api import Script

from delivery.alerts.alert import Alert as Seen
from delivery.alerts.received import alert_to_json
from delivery.retry import MAX_STEP, MAX_STEPS, SCHEDULE, parse_steps
from models import Alert, Channel
from web.channels.hints import count_matches

FIELDS = {
    "matchers": 'severity="critical",\r\nteam=~"db|web"',
    "retries": "10s, 2m",
    "repeat": "240",
}
STEPS = [
    ("", SCHEDULE),
    (" \n", SCHEDULE),
    ("10s, 30s, 2m, 10m, 30m, 2h, 6h, 10h", SCHEDULE),
    ("none", ()),
    (" None ", ()),
    ("0", ()),
    ("1s", (1,)),
    ("10h", (MAX_STEP,)),
    ("36000S", (MAX_STEP,)),
    ("5m 1h\t6h", (300, 3600, 21600)),
    ("10s,20s,", (10, 20)),
    ("1s," * MAX_STEPS, (1,) * MAX_STEPS),
]
NO_STEPS = [
    ("0s", "“0s” is not a step from 1s to 10h"),
    ("11h", "“11h” is not a step"),
    ("86401s", "“86401s”"),
    ("10", "“10” is not a step"),
    ("10s, soon", "“soon” is not a step"),
    ("1.5h", "“1.5h” is not a step"),
    ("-1s", "“-1s” is not a step"),
    ("10s, none", "“none” is not a step"),
    ("٣s", "“٣s” is not a step"),
    ("9" * 5000 + "s", "“99999999999999999999” is not a step"),
    ("1s," * (MAX_STEPS + 1), "These are 13 steps; at most 12"),
]


@pytest.mark.parametrize(("text", "seconds"), STEPS)
def test_a_retry_schedule_is_parsed(text, seconds):
    assert parse_steps(text) == seconds


@pytest.mark.parametrize(("text", "words"), NO_STEPS)
def test_an_invalid_retry_schedule_is_refused_with_a_message(text, words):
    with pytest.raises(ValueError, match=words):
        parse_steps(text)


# --- the form -------------------------------------------------------------------------------------


def checked(client, field, text):
    """Return the message of a field check, and the hints beside it."""
    response = client.post(f"/channels/new/validate/{field}", form_of(**{field: text}), htmx=True)
    assert response.status_code == 200
    message, _mark, note = response.text.partition(
        '<div id="matchers-note" class="note" hx-swap-oob="innerMorph">'
    )
    return str(Markup(message).unescape()).strip(), str(Markup(note).striptags())


JUDGED = [
    ("matchers", "", ""),
    ("matchers", FIELDS["matchers"], ""),
    ("matchers", "severity: x", "Line 1, column 9: write = != =~ or !~ and then"),
    ("matchers", "a=b\r\nteam=~(", "Line 2, column 7: this is not a valid RE2"),
    ("retries", "", ""),
    ("retries", "none", ""),
    ("retries", "soon", "“soon” is not a step"),
    ("repeat", "", ""),
    ("repeat", " 1 ", ""),
    ("repeat", "10080", ""),
    ("repeat", "0", "a whole number of minutes from 1 to 10080"),
    ("repeat", "10081", "from 1 to 10080"),
    ("repeat", "1.5", "from 1 to 10080"),
    ("repeat", "٣", "from 1 to 10080"),
    ("repeat", "9" * 5000, "from 1 to 10080"),
]


@pytest.mark.parametrize(("field", "text", "words"), JUDGED)
def test_each_field_is_checked_while_it_is_typed(client, field, text, words):
    message, _note = checked(client, field, text)
    assert words in message
    assert bool(words) == bool(message)


def test_saved_values_come_back_unchanged(client):
    channel_id = create(client, **FIELDS)
    channel = Channel.get()
    assert (channel.matchers, channel.retries, channel.repeat_minutes) == (
        FIELDS["matchers"],
        "10s, 2m",
        240,
    )
    form = stored_form(client, channel_id)
    assert {name: form[name] for name in FIELDS} == FIELDS
    assert (
        client.post(f"/channels/{channel_id}", {**form, "matchers": "", "repeat": ""}).status_code
        == 303
    )
    assert (
        Channel.get().matchers,
        Channel.get().repeat_minutes,
        stored_form(client, channel_id)["repeat"],
    ) == ("", 0, "")


def test_changes_of_these_fields_keep_the_proof(client, receiver):
    channel_id = create(client, receiver.url)
    client.post(f"/channels/{channel_id}/test", stored_form(client, channel_id))
    before = Channel.get()
    client.post(f"/channels/{channel_id}", {**stored_form(client, channel_id), **FIELDS})
    after = Channel.get()
    assert (after.config_hash, after.settings, after.proven) == (
        before.config_hash,
        before.settings,
        "proven by test",
    )
    assert (after.version, after.repeat_minutes) == (before.version + 1, 240)


def test_an_invalid_save_keeps_the_typed_values_and_shows_a_message_at_each_field(client):
    wrong = {"matchers": "a=“b”", "retries": "soon", "repeat": "never"}
    response = client.post("/channels", form_of(timeout="", **wrong))
    assert response.status_code == 422
    for field, typed in wrong.items():
        assert message_at(response.text, field)
        assert typed in response.text
    assert response.text.count('<details class="more" open>') == 1
    assert Channel.select().count() == 0


def test_a_copy_has_the_same_matchers_and_schedule(client):
    channel_id = create(client, **FIELDS)
    client.post(f"/channels/{channel_id}/duplicate")
    copy = Channel.get(Channel.id != channel_id)
    assert (copy.matchers, copy.retries, copy.repeat_minutes) == (
        FIELDS["matchers"],
        "10s, 2m",
        240,
    )


def test_a_conflict_page_compares_these_fields(client):
    channel_id = create(client, **FIELDS)
    mine = stored_form(client, channel_id)
    client.post(f"/channels/{channel_id}", {**mine, "matchers": "team=db", "repeat": ""})
    response = client.post(f"/channels/{channel_id}", {**mine, "retries": "none"})
    assert response.status_code == 409
    for label, theirs, yours in (
        ("Matchers", "team=db", FIELDS["matchers"]),
        ("Retry schedule", "10s, 2m", "none"),
        ("Repeat interval (minutes)", "(empty)", "240"),
    ):
        row = str(
            Markup(
                response.text.partition(f'<tr data-field="{label}">')[2].partition("</tr>")[0]
            ).unescape()
        )
        assert f"<td><pre>{theirs}</pre></td><td><pre>{yours}</pre></td>" in row


def test_the_api_reads_and_writes_these_fields(app):
    script = Script(app, "channels:read", "channels:write")
    made = script.create(**{**FIELDS, "repeat": 240})
    assert {name: made[name] for name in FIELDS} == {**FIELDS, "repeat": 240}
    again = script.request("PUT", f"/{made['id']}", made).json
    assert {name: again[name] for name in FIELDS} == {**FIELDS, "repeat": 240}
    bare = script.request("PUT", f"/{made['id']}", {"name": "Made"}).json
    assert {name: bare[name] for name in FIELDS} == {"matchers": "", "retries": "", "repeat": None}
    assert script.request("PUT", f"/{made['id']}", bare).status_code == 200
    errors = script.errors(
        {"name": "x", "url": "https://h.example/", "matchers": "a", "retries": "soon", "repeat": 0}
    )
    assert set(errors) == set(FIELDS)
    assert script.errors({"name": "x", "repeat": "5", "matchers": 5}) == {
        "repeat": ["This must be a number."],
        "matchers": ["This must be a string."],
    }


# --- how many alerts match ------------------------------------------------------------------------


def store_alerts(count, **labels):
    """Store typical alerts, a third of them critical."""
    rows = []
    for number in range(count):
        some = {
            "severity": "critical" if number % 3 == 0 else "warning",
            "instance": f"db-{number}:9100",
            **labels,
        }
        alert = Seen.from_json(
            {"name": "Disk full", "labels": some, "annotations": {"summary": "Nearly full. " * 10}}
        )
        rows.append(
            {
                "key": f"{number}{labels}",
                "name": "x",
                "status": "open",
                "body": alert_to_json(alert),
            }
        )
    Alert.insert_many([{**row, "changed_at": 1, "seen_at": 1} for row in rows]).execute()


def test_a_hint_says_how_many_of_the_latest_alerts_match(client):
    assert checked(client, "matchers", "a=b") == ("", "No alert has been received yet.")
    store_alerts(1)
    assert checked(client, "matchers", "severity=critical") == (
        "",
        "Of the only alert so far, 1 matches.",
    )
    Alert.delete().execute()
    store_alerts(12)
    assert checked(client, "matchers", "severity=critical")[1] == "Of the last 12 alerts, 4 match."
    assert (
        checked(client, "matchers", 'instance=~"db-1:.*"')[1] == "Of the last 12 alerts, 1 matches."
    )
    assert (
        checked(client, "matchers", 'alertname="Disk full"')[1]
        == "Of the last 12 alerts, 12 match."
    )
    assert checked(client, "matchers", "")[1] == "Of the last 12 alerts, 12 match."
    store_alerts(95, team="web")
    assert checked(client, "matchers", "team!=web")[1] == "Of the last 100 alerts, 5 match."


def test_invalid_matchers_get_a_message_and_no_hint(client):
    store_alerts(3)
    message, note = checked(client, "matchers", "severity")
    assert "write = != =~" in message
    assert note == ""


def test_a_damaged_alert_is_counted_as_one_without_labels(client):
    store_alerts(2)
    Alert.update(body="{").where(Alert.id == 1).execute()
    Alert.update(body=json.dumps({"labels": ["severity"]})).where(Alert.id == 2).execute()
    assert checked(client, "matchers", "severity!=x")[1] == "Of the last 2 alerts, 2 match."


def test_counting_a_hundred_alerts_takes_a_few_milliseconds(client):
    store_alerts(100)
    seconds = []
    for _ in range(10):
        with cpu_time() as spent:
            assert count_matches(FIELDS["matchers"]) == "Of the last 100 alerts, 0 match."
        seconds.append(spent.seconds)
    assert min(seconds) < 0.006, seconds
