"""The fields for matchers, groups, retry schedule and repeat interval."""

import json
import re

import pytest
from channels import create, fields_in, form_of, message_at, stored_form
from cpu_time import cpu_time
from markupsafe import Markup
from test_api import Script

from delivery.alerts.alert import Alert as Seen
from delivery.alerts.grouping import MAX_LABELS, MAX_NAME_LENGTH
from delivery.alerts.received import alert_to_json
from delivery.retry import MAX_STEP, MAX_STEPS, SCHEDULE, parse_steps
from models import Alert, Channel
from web.channels.hints import count_matches, describe_groups

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
        f'<div id="{field}-note" class="note" hx-swap-oob="innerMorph">'
    )
    return str(Markup(message).unescape()).strip(), str(Markup(note).striptags())


LONG_NAME = "n" * MAX_NAME_LENGTH


JUDGED = [
    ("matchers", "", ""),
    ("matchers", FIELDS["matchers"], ""),
    ("matchers", "severity: x", "Line 1, column 9: write = != =~ or !~ and then"),
    ("matchers", "a=b\r\nteam=~(", "Line 2, column 7: this is not a valid RE2"),
    ("group_by", "", ""),
    ("group_by", " , ", ""),
    ("group_by", "alertname, cluster", ""),
    ("group_by", "cluster", ""),
    ("group_by", "k8s.io/app b-c Ümlaut", ""),
    ("group_by", LONG_NAME, ""),
    ("group_by", ", ".join(f"l{number}" for number in range(MAX_LABELS)), ""),
    ("group_by", "cluster, " * 50, ""),
    ("group_by", f"{LONG_NAME}n", "“nnnnnnnnnnnnnnnnnnnn” is not the name of a label"),
    ("group_by", 'cluster="eu"', "“cluster="),
    ("group_by", "clus\x00ter", "is not the name of a label"),
    ("group_by", "cluster; team=", "“team=” is not the name of a label: enter names such as"),
    ("group_by", "[cluster], {team}", "“{team}” is not the name of a label"),
    ("group_by", " ".join(f"l{number}" for number in range(MAX_LABELS + 1)), "11 labels; at most"),
    ("group_wait", "", ""),
    ("group_wait", "0", ""),
    ("group_wait", " 30 ", ""),
    ("group_wait", "300", ""),
    ("group_wait", "301", "a whole number of seconds from 0 to 300, or leave it empty for 30."),
    ("group_wait", "-1", "from 0 to 300"),
    ("group_wait", "1.5", "from 0 to 300"),
    ("group_wait", "30s", "from 0 to 300"),
    ("group_wait", "٣", "from 0 to 300"),
    ("group_wait", "9" * 5000, "from 0 to 300"),
    ("separate", "1", ""),
    ("separate", "anything", ""),
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
    ("drill", "", ""),
    ("drill", " 7 ", ""),
    ("drill", "365", ""),
    ("drill", "0", "a whole number of days from 1 to 365, or leave it empty for no drills."),
    ("drill", "366", "from 1 to 365"),
    ("drill", "weekly", "from 1 to 365"),
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


GROUPS = [
    # typed group_by and group_wait, stored group_wait, shown group_wait
    ("", "", 0, ""),
    ("", "45", 45, "45"),
    ("", "30", 30, "30"),
    ("alertname, cluster", "", 30, "30"),
    ("alertname, cluster", "30", 30, "30"),
    ("alertname, cluster", "0", 0, "0"),
    ("  alertname,cluster ", " 300 ", 300, "300"),
]


@pytest.mark.parametrize(("group_by", "wait", "stored", "shown"), GROUPS)
def test_a_group_wait_is_thirty_seconds_unless_another_is_typed(
    client, group_by, wait, stored, shown
):
    channel_id = create(client, group_by=group_by, group_wait=wait)
    channel = Channel.get()
    assert (channel.group_by, channel.group_wait) == (group_by.strip(), stored)
    form = stored_form(client, channel_id)
    assert (form["group_by"], form["group_wait"]) == (group_by.strip(), shown)
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    assert Channel.get().group_wait == stored


def test_a_box_that_is_unticked_combines_a_backlog_again(client):
    channel_id = create(client, separate="1")
    form = stored_form(client, channel_id)
    assert (Channel.get().separate, form.pop("separate")) == (1, "1")
    assert client.post(f"/channels/{channel_id}", form).status_code == 303
    assert Channel.get().separate == 0
    assert "separate" not in stored_form(client, channel_id)


def test_a_form_without_the_fields_of_groups_stores_the_defaults(client):
    channel_id = create(client, group_by="cluster", group_wait="5", separate="1")
    posted = form_of(version="1")
    assert not {"group_by", "group_wait", "separate", "fallback"} & set(posted)
    assert client.post(f"/channels/{channel_id}", posted).status_code == 303
    channel = Channel.get()
    stored = (channel.group_by, channel.group_wait, channel.separate, channel.fallback_id)
    assert stored == ("", 0, 0, None)


def test_an_invalid_save_keeps_the_typed_groups_and_the_tick(client):
    wrong = {"group_by": "a={b}", "group_wait": "soon", "separate": "1"}
    response = client.post("/channels", form_of(**wrong))
    assert response.status_code == 422
    assert wrong.items() <= fields_in(response.text).items()
    for field in ("group_by", "group_wait"):
        assert message_at(response.text, field)
    assert Channel.select().count() == 0


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


def test_a_copy_has_the_same_groups_and_none_of_the_health(client):
    fallback_id = create(client, name="Phone")
    channel_id = create(client, group_by="cluster", group_wait="5", fallback=str(fallback_id))
    health = {"trouble_since": 1, "trouble": "It broke.", "failures": 3, "attempted_at": 2}
    Channel.update(separate=1, drops=1, probe_at=3, **health).where(
        Channel.id == channel_id
    ).execute()
    client.post(f"/channels/{channel_id}/duplicate")
    copy = Channel.get(Channel.name == "Team db (copy)")
    assert (copy.group_by, copy.group_wait, copy.separate) == ("cluster", 5, 1)
    assert (copy.fallback_id, copy.version) == (fallback_id, 1)
    assert (copy.trouble_since, copy.trouble, copy.failures) == (None, "", 0)
    assert (copy.attempted_at, copy.drops, copy.probe_at) == (None, 0, None)


def conflict_of(client, channel_id, theirs, yours):
    """Return the rows of the conflict page: label, saved and typed value."""
    mine = stored_form(client, channel_id)
    assert client.post(f"/channels/{channel_id}", {**mine, **theirs}).status_code == 303
    response = client.post(f"/channels/{channel_id}", {**mine, **yours})
    assert response.status_code == 409
    pattern = r'<tr data-field="([^"]*)">.*?<pre>(.*?)</pre>.*?<pre>(.*?)</pre>'
    return re.findall(pattern, response.text)


def test_a_conflict_page_compares_groups_backlog_and_fallback(client):
    fallback_id = create(client, name="Phone")
    channel_id = create(client, name="Ops")
    theirs = {"group_by": "team", "group_wait": "5", "separate": "1", "fallback": str(fallback_id)}
    assert conflict_of(client, channel_id, theirs, {"group_by": "cluster"}) == [
        ("Group by", "team", "cluster"),
        ("Group wait (seconds)", "5", "30"),
        ("Send waiting alerts separately, even when there are many", "yes", "no"),
        ("Fallback channel", "Phone", "None"),
    ]


def test_an_empty_group_wait_is_no_conflict_with_the_default(client):
    channel_id = create(client)
    both = {"group_by": "cluster", "group_wait": ""}
    assert conflict_of(client, channel_id, both, both) == []


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


def test_the_api_reads_and_writes_groups(app):
    script = Script(app, "channels:read", "channels:write")
    groups = {"group_by": "alertname, cluster", "group_wait": 0, "separate": True}
    made = script.create(**groups)
    assert {name: made[name] for name in groups} == groups
    again = script.request("PUT", f"/{made['id']}", made).json
    assert {name: again[name] for name in groups} == groups
    default = {"name": "Made", "group_by": "cluster", "group_wait": None, "separate": None}
    shown = script.request("PUT", f"/{made['id']}", default).json
    assert (shown["group_wait"], shown["separate"]) == (30, False)
    bare = script.request("PUT", f"/{made['id']}", {"name": "Made"}).json
    assert [bare[name] for name in groups] == ["", None, False]
    assert script.request("PUT", f"/{made['id']}", bare).status_code == 200
    wrong = {"name": "x", "url": "https://h.example/", "group_by": "{a}", "group_wait": 301}
    assert set(script.errors(wrong)) == {"group_by", "group_wait"}
    assert script.errors({"name": "x", "group_by": 5, "group_wait": "5", "separate": 1}) == {
        "group_by": ["This must be a string."],
        "group_wait": ["This must be a number."],
        "separate": ["This must be true or false."],
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


# --- into how many groups they fall ---------------------------------------------------------------

NO_CLUSTR = "Of the last 12 alerts, none has the label clustr."
HINTS = [
    ("", ""),
    (", ", ""),
    ("{", ""),
    ("alertname", "The last 12 alerts fall into 1 group."),
    ("severity alertname", "The last 12 alerts fall into 2 groups."),
    ("instance", "The last 12 alerts fall into 12 groups."),
    ("severity, clustr", f"{NO_CLUSTR} The last 12 alerts fall into 2 groups."),
    (
        "clustr, <b>",
        "Of the last 12 alerts, none has the labels clustr, &lt;b&gt;. "
        "The last 12 alerts fall into 1 group.",
    ),
]


@pytest.mark.parametrize(("text", "words"), HINTS)
def test_a_hint_says_into_how_many_groups_the_latest_alerts_fall(client, text, words):
    store_alerts(12)
    message, note = checked(client, "group_by", text)
    assert bool(message) == (text == "{")
    assert " ".join(str(Markup(note)).split()) == str(Markup(words).unescape())


def test_the_hint_beside_group_by_counts_at_most_a_hundred_alerts(client):
    assert checked(client, "group_by", "cluster") == ("", "No alert has been received yet.")
    store_alerts(1)
    assert checked(client, "group_by", "severity")[1] == "The only alert so far is one group."
    assert checked(client, "group_by", "clustr")[1].startswith(
        "The only alert so far does not have the label clustr."
    )
    store_alerts(150, team="web")
    assert checked(client, "group_by", "instance")[1] == "The last 100 alerts fall into 100 groups."


def test_an_empty_label_counts_as_an_absent_one(client):
    store_alerts(2, cluster="")
    assert "none has the label cluster." in checked(client, "group_by", "cluster")[1]


def test_describing_the_groups_of_a_hundred_alerts_takes_a_few_milliseconds(client):
    store_alerts(100)
    seconds = []
    for _ in range(10):
        with cpu_time() as spent:
            assert len(describe_groups(tuple("abcdefghij"))) == 2
        seconds.append(spent.seconds)
    assert min(seconds) < 0.009, seconds
