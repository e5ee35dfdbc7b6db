"""Moving in: the configurations of Alertmanager, Grafana and Uptrace become channels."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.alerts.matchers import matches, parse_matchers
from models import Channel, db
from web.transfer import alertmanager, grafana, uptrace
from web.transfer.reading import FileError
from web.transfer.routes import Route, destinations

FOLDER = Path(__file__).parent / "foreign"
TRANSLATORS = {
    "alertmanager": (alertmanager.translate, "alertmanager.yml"),
    "grafana": (grafana.translate, "grafana.yaml"),
    "uptrace": (uptrace.translate, "uptrace.json"),
}


def translated(system):
    translate, file = TRANSLATORS[system]
    return translate((FOLDER / file).read_text())


def entries_of(system):
    return {entry["name"]: entry for entry in translated(system).entries}


def notes_of(system):
    return list(map(str, translated(system).notes))


# --- routes -----------------------------------------------------------------------------------

MATCHERS = ['a="1"', 'a="2"', 'a!="1"', 'b="1"', 'b=~"1|2"', 'b!~"1"', 'c="1"', 'c=""', 'a=~".+"']
LABELS = [
    {name: value for name, value in {"a": a, "b": b, "c": c}.items() if value}
    for a in ("", "1", "2")
    for b in ("", "1", "2")
    for c in ("", "1")
]


def routes(depth):
    children = st.lists(routes(depth - 1), max_size=3) if depth else st.just([])
    matchers = st.lists(st.sampled_from(MATCHERS), max_size=2)
    return st.builds(
        lambda texts, continues, below: Route(
            0, "r", parse_matchers(", ".join(texts)), continues, routes=tuple(below)
        ),
        matchers,
        st.booleans(),
        children,
    )


def routes_of_alert(route, labels):
    """Return the routes that Alertmanager's dispatcher finds for an alert."""
    if not matches(route.matchers, labels):
        return []
    found = []
    for child in route.routes:
        below = routes_of_alert(child, labels)
        found += below
        if below and not child.continues:
            break
    return found or [route]


@given(st.lists(routes(1), max_size=3))
def test_channels_get_exactly_the_alerts_that_their_routes_get(children):
    root = Route(0, "r", routes=tuple(children))
    found = destinations(root)
    if not all(destination.is_exact for destination in found):
        return
    for labels in LABELS:
        expected = [id(route) for route in routes_of_alert(root, labels)]
        reached = [
            id(destination.route)
            for destination in found
            for condition in destination.conditions
            if matches(condition, labels)
        ]
        assert sorted(reached) == sorted(expected), labels


def test_a_route_that_excludes_too_much_gets_more_alerts_and_says_so():
    many = parse_matchers(", ".join(f'l{n}="1"' for n in range(9)))
    [_, own] = destinations(Route(0, "r", routes=(Route(0, "child", many),)))
    assert not own.is_exact
    assert own.conditions == [()]


# --- Alertmanager -----------------------------------------------------------------------------


def test_receivers_of_alertmanager_become_channels_with_the_matchers_of_their_routes():
    entries = entries_of("alertmanager")
    assert {name: entry.get("matchers", "") for name, entry in entries.items()} == {
        "web-pager pagerduty": 'service=~"web1|web2|cache", severity="critical"',
        "web-pager opsgenie": 'service=~"web1|web2|cache", severity="critical"',
        "web-mail": 'service=~"web1|web2|cache", severity!="critical"',
        "files-hook": 'service="files"',
        "phone pushover": 'service!~"web1|web2|cache", team=~"db|storage", owner="night", '
        'severity!="info"',
        "phone telegram": 'service!~"web1|web2|cache", team=~"db|storage", owner="night", '
        'severity!="info"',
        "db teams": 'service!~"web1|web2|cache", team=~"db|storage", owner!="night"',
        "db mattermost": 'service!~"web1|web2|cache", team=~"db|storage", owner!="night"',
        "db teams (2)": 'service!~"web1|web2|cache", team=~"db|storage", owner="night", '
        'severity="info"',
        "db mattermost (2)": 'service!~"web1|web2|cache", team=~"db|storage", owner="night", '
        'severity="info"',
        "team-chat": 'service!~"web1|web2|cache", service!="files", team!~"db|storage"',
    }


def test_groups_and_repeats_are_inherited_as_in_alertmanager():
    entries = entries_of("alertmanager")
    chat = entries["team-chat"]
    assert (chat["group_by"], chat["group_wait"], chat["repeat"]) == (
        "alertname, cluster, service",
        30,
        180,
    )
    assert "group_by" not in entries["db teams"]
    assert entries["phone telegram"]["repeat"] == 90


def test_credentials_of_alertmanager_become_options_and_authentication():
    entries = entries_of("alertmanager")
    assert entries["team-chat"]["url"].startswith("https://hooks.slack.com/services/T00000000/")
    assert entries["web-pager opsgenie"]["options"] == {
        "api_key": "00000000-0000-0000-0000-000000000000"
    }
    hook = entries["files-hook"]
    assert hook["kind"] == "alertmanager_webhook"
    assert (hook["auth"], hook["auth_username"], hook["auth_secret"]) == (
        "basic",
        "tocsin",
        "s3cret",
    )
    assert hook["verify_tls"] is False


@pytest.mark.parametrize(
    "note",
    [
        "line 8: templates: Tocsin writes the messages.",
        "line 38: inhibit_rules: Tocsin has no inhibition; use silences.",
        "line 36: mute_time_intervals: Tocsin has no time intervals; use silences.",
        "line 51: “team-chat”, slack: not carried over: channel, title.",
        "line 56: “web-mail”, email: not carried over, no kind sends email.",
        "line 66: “files-hook”, webhook: Tocsin also sends resolutions.",
        "line 70: “files-hook”, webhook: not carried over: proxy_url.",
        "line 86: “phone”, telegram: not carried over: parse_mode.",
    ],
)
def test_what_is_not_carried_over_from_alertmanager_is_listed_with_its_line(note):
    assert note in notes_of("alertmanager")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("receivers: []", "line 1: this is no configuration of Alertmanager"),
        ("route: {receiver: a, routes: [{matchers: ['a b']}]}", "line 1: matchers:"),
        ("route:\n  receiver: a\n  group_wait: soon", "line 2: group_wait: “soon” is no time"),
        ("route: {receiver: a, routes: [3]}", "line 1: a route below this one has no members"),
        ("a: [", "line 2: "),
    ],
)
def test_a_broken_configuration_of_alertmanager_is_refused_with_its_line(text, message):
    with pytest.raises(FileError) as refusal:
        alertmanager.translate(text)
    assert str(refusal.value).startswith(message)


# --- Grafana ----------------------------------------------------------------------------------


def test_contact_points_of_grafana_become_channels_with_the_matchers_of_their_policies():
    entries = entries_of("grafana")
    assert {name: entry.get("matchers", "") for name, entry in entries.items()} == {
        "on call": 'severity="critical"',
        "hooks alertmanager_webhook": 'env=~"prod|stage"',
        "hooks alertmanager": 'env=~"prod|stage"',
        "hooks telegram": 'env=~"prod|stage"',
        "platform": 'severity!="critical", env!~"prod|stage"',
    }
    assert entries["platform"]["url"] == "env:SLACK_URL"
    assert entries["platform"]["group_by"] == "grafana_folder, alertname"
    assert entries["hooks alertmanager"]["repeat"] == 720
    hook = entries["hooks alertmanager_webhook"]
    assert (hook["method"], hook["auth"], hook["auth_secret"]) == ("PUT", "basic", "s3cret")


def test_what_is_not_carried_over_from_grafana_is_listed_with_its_line():
    notes = notes_of("grafana")
    assert "line 8: “platform”, slack: not carried over: recipient, title." in notes
    assert "line 15: “platform”, email: not carried over, no kind sends email." in notes
    assert "line 22: “on call”, pagerduty: Tocsin also sends resolutions." in notes
    assert any(note.startswith("line 62: mute_time_intervals") for note in notes)


def test_contact_points_without_policies_get_every_alert():
    text = "contactPoints: [{name: a, receivers: [{type: slack, settings: {url: https://s/}}]}]"
    translation = grafana.translate(text)
    assert (
        translation.entries
        == [{"name": "a", "kind": "slack", "url": "https://s/", "repeat": None} | {}]
        or "matchers" not in translation.entries[0]
    )
    assert "every channel gets every alert" in str(translation.notes[0])


def test_a_secret_that_grafana_hides_is_kept():
    text = "contactPoints: [{name: a, receivers: [{type: slack, settings: {url: '[REDACTED]'}}]}]"
    assert grafana.translate(text).entries[0]["url"] == "keep"


# --- Uptrace ----------------------------------------------------------------------------------


def test_rows_of_uptrace_become_channels():
    entries = entries_of("uptrace")
    assert {name: entry["kind"] for name, entry in entries.items()} == {
        "Ops": "slack",
        "Hook": "webhook",
        "Ops (2)": "alertmanager",
    }
    assert entries["Hook"]["paused"] == "hold"


def test_a_payload_of_uptrace_keeps_every_character():
    payload = '{"team": "db",  "limit": 1.10, "id": 12345678901234567890}'
    assert entries_of("uptrace")["Hook"]["payload"] == payload


def test_a_telegram_channel_of_uptrace_is_listed_because_its_token_is_elsewhere():
    [note, _] = notes_of("uptrace")
    assert note.startswith("line 4: “Uptrace 4”: not carried over, Uptrace keeps the bot's token")


def stored():
    with db.connection_context():
        return list(Channel.listed())


# --- the command ------------------------------------------------------------------------------


@pytest.mark.parametrize("system", TRANSLATORS)
def test_every_channel_of_another_system_is_accepted_and_the_second_import_changes_nothing(
    tocsin, config, monkeypatch, system
):
    monkeypatch.setenv("SLACK_URL", "https://hooks.slack.com/services/T0/B0/x")
    file = str(FOLDER / TRANSLATORS[system][1])
    number = len(translated(system).entries)
    dry = tocsin("import", system, file, "--dry-run")
    assert dry.code == 0, dry.err
    assert f"{number} to create" in dry.out
    assert not stored()
    first = tocsin("import", system, file, "--yes")
    assert first.code == 0, first.err
    assert len(stored()) == number
    second = tocsin("import", system, file, "--yes")
    assert f"{number} unchanged." in second.out
    assert {channel.version for channel in stored()} == {1}
