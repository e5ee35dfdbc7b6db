"""Tests of the parsers: what each format yields, which alerts are the same, what is refused."""

import json

import pytest
from cpu_time import cpu_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.alerts.alert import rfc3339
from delivery.alerts.parsed import MAX_ALERTS, InvalidPayload, TooManyAlerts
from delivery.alerts.parsers import RESOLVE_TIMEOUT, parse_alertmanager, parse_native
from delivery.alerts.received import alert_from_json, alert_to_json
from delivery.alerts.webhooks import parse_uptrace, parse_webhook
from delivery.json_text import parse_strict

NOW = 1772444490004  # 2026-03-02T09:41:30.004Z
LABELS = {"alertname": "DiskFull", "instance": "db-2"}


def at(milliseconds):
    return rfc3339(NOW + milliseconds)


def one(read, value):
    found, problems, _truncated = read(value, NOW)
    assert (len(found), problems) == (1, [])
    return found[0]


def v2(**parts):
    return one(parse_alertmanager, [{"labels": LABELS, **parts}])


def refused(read, value):
    with pytest.raises(InvalidPayload) as error:
        read(value, NOW)
    return error.value


# --- native format ---


def test_the_native_format_keeps_every_member():
    given = {
        "key": "k",
        "name": " Disk full ",
        "status": "open",
        "labels": {"a": "b", "e": ""},
        "annotations": {"summary": "s"},
    }
    found = one(
        parse_native,
        {
            **given,
            "type": "error",
            "starts_at": at(-5),
            "ends_at": at(60_000),
            "url": "https://x.example/1",
        },
    )
    alert = found.alert
    assert (alert.name, alert.status, alert.type, alert.url) == (
        "Disk full",
        "open",
        "error",
        "https://x.example/1",
    )
    assert (alert.labels, alert.annotations) == ({"a": "b", "e": ""}, {"summary": "s"})
    assert (alert.starts_at, alert.ends_at, found.closes_at) == (
        NOW - 5,
        NOW + 60_000,
        NOW + 60_000,
    )


def test_only_a_name_is_required():
    found = one(parse_native, {"name": "Disk full"})
    assert (found.alert.status, found.alert.labels, found.closes_at) == ("open", {}, None)
    nothing = dict.fromkeys(
        ("key", "status", "labels", "annotations", "starts_at", "ends_at", "url")
    )
    assert one(parse_native, {"name": "Disk full", **nothing}) == found


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("open", "open"),
        ("FIRING", "open"),
        ("", "open"),
        ("closed", "closed"),
        ("resolved", "closed"),
    ],
)
def test_a_status_has_two_names(status, expected):
    assert one(parse_native, {"name": "n", "status": status}).alert.status == expected


@pytest.mark.parametrize(
    "time",
    [
        NOW,
        "2026-03-02T09:41:30.004Z",
        "2026-03-02t10:41:30.004123456+01:00",
        parse_strict(str(NOW).encode()),
    ],
)
def test_a_time_is_rfc_3339_or_milliseconds(time):
    assert one(parse_native, {"name": "n", "starts_at": time}).alert.starts_at == NOW


@pytest.mark.parametrize("time", [None, "", "0001-01-01T00:00:00Z"])
def test_an_empty_or_zero_time_is_none(time):
    assert one(parse_native, {"name": "n", "ends_at": time}).closes_at is None


@pytest.mark.parametrize("status", ["open", "firing", "closed", None])
@pytest.mark.parametrize(
    ("ends", "is_closed"), [(-86_400_000, True), (-1, True), (0, True), (1, False), (60_000, False)]
)
def test_an_end_in_the_past_closes_a_native_alert_whatever_its_status(status, ends, is_closed):
    members = {"name": "n", "ends_at": at(ends)}
    if status:
        members["status"] = status
    found = one(parse_native, members)
    is_closed = is_closed or status == "closed"
    assert found.alert.status == ("closed" if is_closed else "open")
    assert found.alert.ends_at == NOW + ends
    assert found.closes_at == (None if is_closed else NOW + ends)


def test_an_end_in_the_past_does_not_change_the_identity_of_a_native_alert():
    members = {"name": "n", "labels": LABELS}
    ended = {**members, "ends_at": at(-1)}
    assert one(parse_native, ended).key == one(parse_native, members).key


def test_only_the_status_decides_in_the_formats_of_webhooks():
    firing = {"status": "firing", "labels": LABELS, "endsAt": at(-1)}
    found = one(parse_webhook, {"alerts": [firing]})
    assert (found.alert.status, found.closes_at) == ("open", None)


TIMES = [
    "10000-01-01T00:00:00Z",
    "2026-03-02",
    "2026-03-02T09:15:00",
    "2026-13-02T09:15:00Z",
    "now",
    1.5,
    True,
    [],
    {},
]
TIMES += [
    10**15 - 1,
    -(10**14),
    10**400,
    "9999-12-31T23:59:59-23:59",
    " 2026-03-02T09:15:00Z",
    "٢٠٢٦-03-02T09:15:00Z",
]


@pytest.mark.parametrize("time", TIMES)
def test_an_invalid_time_is_refused_by_strict_formats(time):
    assert "in the years 1 to 9999" in str(refused(parse_native, {"name": "n", "starts_at": time}))
    found, problems, _truncated = parse_alertmanager(
        [{"labels": LABELS, "endsAt": time}, {"labels": LABELS}], NOW
    )
    assert (len(found), len(problems)) == (1, 1)
    assert problems[0].startswith("endsAt must be an RFC 3339 time")


UNKNOWN = "this member is unknown"
MIXED = "this member of Alertmanager's format cannot be mixed with native ones"
WRONG = [
    (3, "", "an alert is a JSON object"),
    (None, "", "an alert is a JSON object"),
    ({}, "name", "an alert needs a name"),
    ({"name": " \n"}, "name", "an alert needs a name"),
    ({"name": 3}, "name", "name must be a string"),
    ({"name": parse_strict(b"3")}, "name", "name must be a string"),
    ({"name": "n", "key": ["k"]}, "key", "key must be a string"),
    ({"name": "n", "url": {}}, "url", "url must be a string"),
    ({"name": "n", "status": "pending"}, "status", "this must be open or closed"),
    ({"name": "n", "status": True}, "status", "status must be a string"),
    ({"name": "n", "labels": []}, "labels", "labels must be an object"),
    ({"name": "n", "labels": {"a": 1}}, "labels", "the value of 'a' must be a string"),
    ({"name": "n", "labels": {"a": None}}, "labels", "the value of 'a' must be a string"),
    ({"name": "n", "annotations": {"": "x"}}, "annotations", 'invalid name ""'),
    ({"name": "n", "starts_at": NOW, "ends_at": NOW - 1}, "ends_at", "this is before starts_at"),
    ({"name": "n", "foo": None}, "foo", "this member is unknown"),
    ({"name": "n", "x" * 99: 1}, "x" * 80, "this member is unknown"),
    ({"name": "n", "sumary": ""}, "sumary", f"{UNKNOWN} (did you mean annotations.summary?)"),
    ({"name": "n", "state": "closed"}, "state", f"{UNKNOWN} (did you mean status?)"),
    ({"name": "n", "Status": "closed"}, "Status", f"{UNKNOWN} (did you mean status?)"),
    ({"name": "n", "lables": {}}, "lables", f"{UNKNOWN} (did you mean labels?)"),
    ({"labels": LABELS, "startsAt": at(0), "foo": 1}, "foo", "this member is unknown"),
    (
        {"labels": LABELS, "endsAt": at(0), "status": ""},
        "endsAt",
        f"{MIXED} (did you mean ends_at?)",
    ),
    ({"name": "n", "generatorURL": ""}, "generatorURL", f"{MIXED} (did you mean url?)"),
    (
        {"name": "n", "labels": {str(number): "x" for number in range(101)}},
        "",
        "it has more than 100 labels or annotations",
    ),
    ({"name": "n" * 65_537}, "", "it is longer than 65,536 characters"),
    ({"name": "n", "key": "k" * 65_536}, "", "it is longer than 65,536 characters"),
]


@pytest.mark.parametrize(("given", "member", "words"), WRONG)
def test_an_invalid_member_refuses_all_alerts_with_index_and_member(given, member, words):
    alone = refused(parse_native, given)
    assert alone.errors == {member: [words]}
    assert str(alone) == f"Nothing was stored. {member or 'the alert'}: {words}."
    assert refused(parse_native, [{"name": "good"}, given]).errors == {
        f"1.{member}".rstrip("."): [words]
    }


def test_only_the_first_problems_are_listed():
    many = refused(parse_native, [{}] * 1000)
    assert (len(many.errors), "and 980 more" in str(many)) == (20, True)
    assert parse_alertmanager([{}] * 1000, NOW)[1][-1] == "and 980 more"
    assert parse_webhook({"alerts": [{}] * 1000}, NOW)[1][-1] == "and 980 more"


@pytest.mark.parametrize(
    "read",
    [parse_native, parse_alertmanager, lambda alerts, now: parse_webhook({"alerts": alerts}, now)],
)
def test_more_than_ten_thousand_alerts_are_refused(read):
    error = refused(read, [{"name": "n", "labels": LABELS}] * (MAX_ALERTS + 1))
    assert isinstance(error, TooManyAlerts)
    assert "at most 10,000" in str(error)
    assert len(read([{"name": "n", "labels": LABELS}] * MAX_ALERTS, NOW)[0]) == MAX_ALERTS


# --- identity ---


def test_the_key_identifies_an_alert_or_else_name_and_labels_do():
    def key(**parts):
        return one(parse_native, {"name": "n", **parts}).key

    assert key(key="k") == key(key="k", name="other", labels={"a": "b"}, status="closed")
    assert key(labels={"a": "b", "c": "d"}) == key(
        labels={"c": "d", "a": "b"}, annotations={"x": "y"}, status="closed"
    )
    different = [
        key(),
        key(key="k"),
        key(key="n"),
        key(name="m"),
        key(labels={"a": "b"}),
        key(labels={"a": "c"}),
    ]
    assert len(set(different)) == 6
    assert all(len(one) == 64 for one in different)


def test_labels_identify_an_alert_in_every_other_format():
    ways = [
        v2(),
        one(parse_webhook, {"alerts": [{"labels": LABELS}]}),
        v2(labels=dict(reversed(LABELS.items())), endsAt=at(-1)),
    ]
    assert len({found.key for found in ways}) == 1
    empty = {**LABELS, "team": ""}
    assert (
        v2(labels=empty).key
        == ways[0].key
        == one(parse_webhook, {"alerts": [{"labels": empty}]}).key
    )
    assert one(parse_native, {"name": "DiskFull", "labels": LABELS}).key != ways[0].key
    assert v2(labels={**LABELS, "team": "db"}).key != ways[0].key
    assert v2(labels={**LABELS, "__alert_rule_uid__": "rule-1"}).key != ways[0].key


def test_a_native_key_never_equals_the_key_of_another_format():
    labels = json.dumps(sorted(LABELS.items()))
    for key in (labels, f'"labels", {labels}', v2().key, 'uptrace", "4711'):
        assert one(parse_native, {"name": "n", "key": key}).key != v2().key


def test_labels_identify_a_native_alert_without_a_name_too():
    found = one(parse_native, {"labels": {**LABELS, "team": ""}})
    assert (found.key, found.alert.name) == (v2().key, "DiskFull")
    assert one(parse_native, {"name": " ", "labels": LABELS, "status": "closed"}).key == v2().key


# --- Alertmanager's API ---


V1 = {
    "labels": LABELS,
    "annotations": {"summary": "s"},
    "startsAt": at(-60_000),
    "endsAt": at(60_000),
    "generatorURL": "http://loki.example/graph",
}


@pytest.mark.parametrize("ends", [60_000, -1])
def test_an_alert_of_alertmanagers_first_api_is_read_as_one_of_the_second(ends):
    members = {**V1, "endsAt": at(ends)}
    assert parse_native([members], NOW) == parse_alertmanager([members], NOW)
    assert parse_native(members, NOW) == parse_alertmanager([members], NOW)
    for name in ("startsAt", "endsAt", "generatorURL"):
        shorter = {"labels": LABELS, name: members[name]}
        assert parse_native([shorter], NOW) == parse_alertmanager([shorter], NOW)


def test_only_valid_alerts_of_a_client_of_the_first_api_are_accepted():
    found, problems, _truncated = parse_native([{**V1, "labels": {}}, V1], NOW)
    assert ([one.alert.labels for one in found], problems) == (
        [LABELS],
        ["at least one label pair required"],
    )


def test_each_alert_of_a_list_is_native_or_of_the_first_api():
    found, problems, _truncated = parse_native([{**V1, "endsAt": at(-1)}, {"name": "n"}], NOW)
    assert [(one.alert.name, one.alert.status) for one in found] == [
        ("DiskFull", "closed"),
        ("n", "open"),
    ]
    assert problems == []
    assert refused(parse_native, [{"name": "n"}, {**V1, "labels": {}}]).errors == {
        "1": ["at least one label pair required"]
    }


def test_alertmanager_without_times_is_open_and_closes_after_five_minutes():
    found = v2()
    assert (found.alert.name, found.alert.status, found.alert.starts_at) == (
        "DiskFull",
        "open",
        None,
    )
    assert found.closes_at == NOW + RESOLVE_TIMEOUT


@pytest.mark.parametrize(
    ("starts", "ends", "status", "closes_at"),
    [
        (None, at(1), "open", NOW + 1),
        (None, at(0), "closed", None),
        (at(-9), at(-9), "closed", None),
        (at(-9), at(86_400_000 * 30), "open", NOW + 86_400_000 * 30),
        (at(60_000), None, "open", NOW + RESOLVE_TIMEOUT),
        (at(60_000), at(120_000), "open", NOW + 120_000),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "open", NOW + RESOLVE_TIMEOUT),
    ],
)
def test_the_end_of_an_alertmanager_alert_decides_its_status(starts, ends, status, closes_at):
    found = v2(startsAt=starts, endsAt=ends)
    assert (found.alert.status, found.closes_at) == (status, closes_at)


PARTIAL = [
    ({"labels": {}}, "at least one label pair required"),
    ({}, "at least one label pair required"),
    ({"labels": {"a": "", "b": ""}}, "at least one label pair required"),
    ({"labels": {"": "x", "a": "b"}}, 'invalid label set: invalid name ""'),
    ({"labels": {"a": "b"}, "annotations": {"": ""}}, 'invalid annotations: invalid name ""'),
    (
        {"labels": {"a": "b"}, "startsAt": at(0), "endsAt": at(-1)},
        "start time must be before end time",
    ),
    (
        {"labels": {"a": "b"}, "startsAt": at(RESOLVE_TIMEOUT + 1)},
        "start time must be before end time",
    ),
    ({"labels": {"a": 1}}, "invalid label set: the value of 'a' must be a string"),
    ({"labels": "a"}, "invalid label set: labels must be an object"),
    ({"labels": {"a": "b"}, "generatorURL": 1}, "generatorURL must be a string"),
    ([], "an alert is a JSON object"),
]


@pytest.mark.parametrize(("given", "words"), PARTIAL)
def test_alertmanager_accepts_valid_alerts_and_reports_the_invalid_one(given, words):
    found, problems, _truncated = parse_alertmanager(
        [{"labels": LABELS}, given, {"labels": {"a": "z"}}], NOW
    )
    assert [one.alert.labels for one in found] == [LABELS, {"a": "z"}]
    assert problems == [words]


def test_a_label_has_any_name_and_empty_labels_are_dropped():
    labels = {"service.name": "x", "größe": "y", " ": "z"}
    assert v2(labels={**labels, "": ""}).alert.labels == labels


@pytest.mark.parametrize("value", [{}, None, "x", 3])
def test_alertmanager_accepts_only_a_list(value):
    assert str(refused(parse_alertmanager, value)) == "Nothing was stored. Send a list of alerts."
    assert parse_alertmanager([], NOW) == ([], [], 0)


# --- webhooks ---


def test_a_webhook_needs_only_its_alerts():
    alert = {
        "labels": LABELS,
        "annotations": {"summary": "s"},
        "startsAt": at(-9),
        "endsAt": "0001-01-01T00:00:00Z",
    }
    found = one(parse_webhook, {"alerts": [alert]})
    assert (found.alert.name, found.alert.status, found.closes_at) == ("DiskFull", "open", None)
    assert (found.alert.starts_at, found.alert.ends_at) == (NOW - 9, None)
    assert parse_webhook({"alerts": []}, NOW) == ([], [], 0)


@pytest.mark.parametrize(
    ("group", "own", "expected"),
    [
        ({"status": "resolved"}, {}, "closed"),
        ({"status": "resolved"}, {"status": "firing"}, "open"),
        ({"status": "firing"}, {"status": "resolved", "endsAt": at(-1)}, "closed"),
        ({"state": "ok"}, {}, "closed"),
        ({"state": "alerting"}, {}, "open"),
        ({"state": ["ok"], "status": {}}, {"status": 7}, "open"),
    ],
)
def test_the_status_of_an_alert_precedes_that_of_its_group(group, own, expected):
    assert (
        one(parse_webhook, {**group, "alerts": [{"labels": LABELS, **own}]}).alert.status
        == expected
    )


@pytest.mark.parametrize("member", ["generatorURL", "panelURL", "dashboardURL"])
def test_the_first_link_is_the_url_of_the_alert(member):
    links = {
        "generatorURL": "",
        "panelURL": None,
        "dashboardURL": "",
        member: "https://grafana.example/1",
    }
    assert (
        one(parse_webhook, {"alerts": [{"labels": LABELS, **links}]}).alert.url
        == "https://grafana.example/1"
    )


def from_grafana(**parts):
    return one(parse_webhook, {"alerts": [{"labels": LABELS, **parts}]}).alert


PANEL = "https://grafana.example/d/x?viewPanel=1"


@pytest.mark.parametrize(
    ("generator", "panel", "dashboard", "url"),
    [
        ("https://g.example/1", PANEL, "", "https://g.example/1"),
        ("/alerting/grafana/1/view", PANEL, "", PANEL),
        ("/alerting/grafana/1/view", "/d/x", "https://g.example/d", "https://g.example/d"),
        ("https://g.example/a b", PANEL, "", "https://g.example/a%20b"),
        ("https://", PANEL, "", PANEL),
        ("javascript:alert(1)", PANEL, "", PANEL),
        ("https://user:secret@g.example/", PANEL, "", PANEL),
        ("see the wiki", "", "", "see the wiki"),
        ("", "panel 1", "dashboard", "panel 1"),
        (["https://g.example/"], PANEL, 7, PANEL),
    ],
)
def test_the_url_is_the_first_absolute_link_else_the_first_text(generator, panel, dashboard, url):
    sent = {"generatorURL": generator, "panelURL": panel, "dashboardURL": dashboard}
    assert from_grafana(**sent).url == url


def test_the_links_of_grafana_are_kept_by_name():
    sent = {
        "dashboardURL": "https://g.example/d",
        "panelURL": PANEL,
        "silenceURL": "https://g.example/alerting/silence/new?matcher=a%3Db",
    }
    assert from_grafana(**sent).links == {
        "dashboard": sent["dashboardURL"],
        "panel": PANEL,
        "silence": sent["silenceURL"],
    }
    assert from_grafana(dashboardURL="", panelURL=None).links == {}
    assert from_grafana(silenceURL="https://g.example/" + "x" * 5000).links == {}
    assert alert_from_json(alert_to_json(from_grafana(**sent))) == from_grafana(**sent)


ONE_VALUE = "[ var='B' labels={host=web} value=7.1 ]"


@pytest.mark.parametrize(
    ("values", "value_string", "text"),
    [
        ({"B": 7.1}, "", "7.1"),
        ({"A": 3, "B": 7.1}, ONE_VALUE, "A=3, B=7.1"),
        ({"A": 3.0, "B": 7.100000000000001}, "", "A=3, B=7.1"),
        ({"B": 48}, "", "48"),
        ({"B": 0}, "", "0"),
        ({"B": -0.0}, "", "0"),
        ({"B": 123456789}, "", "123456789"),
        ({"B": 1234567.89}, "", "1234568"),
        ({"B": 0.000012345678}, "", "1.23457e-05"),
        ({"B": 93.2894736842}, "", "93.2895"),
        ({"B": 1e300}, "", "1e+300"),
        ({"B": 10**400}, "", ""),
        ({"B": "7.10"}, "", "7.1"),
        # Numbers that are none, and wrong types.
        ({"A": float("nan"), "B": 7.1}, "", "7.1"),
        ({"A": None, "B": "NaN", "C": "+Inf"}, "", ""),
        ({"A": True, "B": [1], "C": {"x": 1}, "D": "high"}, "", ""),
        ([7.1], "", ""),
        ("7.1", "", ""),
        (7.1, None, ""),
        # The text counts if there are no values.
        ({}, ONE_VALUE, "7.1"),
        (None, ONE_VALUE, "7.1"),
        ({"B": None}, ONE_VALUE, "7.1"),
        (None, "[ metric='cpu' labels={a=], host=web} value=93.25 ]", "93.25"),
        (None, "[ var='B' metric='cpu' labels={value=3} value=7.1 ]", "7.1"),
        (None, "[ var='A' labels={} value=3 ], [ var='B' labels={} value=7.1 ]", "A=3, B=7.1"),
        (None, "[ var='A' labels={} value=NaN ], [ var='B' labels={} value=7.1 ]", "7.1"),
        (None, "[ var='B' labels={} value=null ]", ""),
        (None, " 12 requests ", "12 requests"),
        (None, 7.1, "7.1"),
        (None, ["x"], '["x"]'),
    ],
)
def test_the_values_of_grafana_are_a_text_that_people_read(values, value_string, text):
    assert from_grafana(values=values, valueString=value_string).value == text


def test_an_alertmanager_gets_the_values_of_grafana_as_annotations():
    values = {"__values__": '{"B":7.1}', "__value_string__": ONE_VALUE}
    assert v2(annotations=values).alert.value == "7.1"
    assert v2(annotations={"__value_string__": ONE_VALUE}).alert.value == "7.1"
    assert v2(annotations={"__values__": "{", "summary": "s"}).alert.value == ""


@pytest.mark.parametrize("piece", ["[ var='", "value=1 ", "[ var='B' value=1 ", "x" * 9])
def test_a_value_of_any_length_is_bounded_and_takes_no_time(piece):
    with cpu_time() as spent:
        assert len(from_grafana(valueString=piece * 100_000).value) <= 1000
        values = {str(number): number for number in range(100_000)}
        assert from_grafana(values=values).value.count("=") == 20
    assert spent.seconds < 1


LINKS = [
    ("http://p.example/graph?g0.expr=a > 1", "http://p.example/graph?g0.expr=a%20%3E%201"),
    ("http://p.example/a b", "http://p.example/a%20b"),
    (
        ' https://p.example/"{x|y}"\\^`<é>#/a b ',
        "https://p.example/%22%7Bx%7Cy%7D%22%5C%5E%60%3C%C3%A9%3E#/a%20b",
    ),
    ("https://p.example?q=100%&r=%41%zz", "https://p.example?q=100%25&r=%41%25zz"),
    ("https://p.example/a\nb\tc", "https://p.example/a%0Ab%09c"),
    ("https://münchen.example/ü", "https://münchen.example/%C3%BC"),
    ("https://p.example/a'(b)[c]!$&*+,;=:@~-._?d?#e", None),
    ("see the wiki: https://p.example/a b", None),
    ("javascript:alert( 1 )", None),
    ("http:// ", None),
    ("", None),
]


@pytest.mark.parametrize(("sent", "stored"), LINKS)
def test_a_link_with_characters_that_no_url_has_is_encoded_in_every_format(sent, stored):
    stored = sent if stored is None else stored
    for found in (
        one(parse_native, {"name": "n", "url": sent}),
        v2(generatorURL=sent),
        one(parse_native, [{"labels": LABELS, "generatorURL": sent}]),
        one(parse_webhook, {"alerts": [{"labels": LABELS, "generatorURL": sent}]}),
        one(parse_webhook, {"alerts": [{"labels": LABELS, "panelURL": sent}]}),
        one(parse_webhook, {"alerts": [{"labels": LABELS, "dashboardURL": sent}]}),
        from_uptrace({"url": sent}),
    ):
        assert found.alert.url == stored
    assert one(parse_native, {"name": "n", "url": stored}).alert.url == stored


@pytest.mark.parametrize(
    ("member", "count"),
    [(12, 12), (0, 0), (-1, 0), (10**400, 10**9), (True, 0), (1.5, 0), ("12", 0), (None, 0)],
)
def test_a_webhook_says_how_many_alerts_its_sender_cut_off(member, count):
    group = {"alerts": [{"labels": LABELS}], "truncatedAlerts": member}
    assert parse_webhook(group, NOW).truncated == count


def test_a_webhook_accepts_valid_alerts_beside_invalid_ones():
    found, problems, _truncated = parse_webhook(
        {"alerts": [{"labels": {}}, {"labels": LABELS}, "x", {"labels": 3}]}, NOW
    )
    assert [one.alert.labels for one in found] == [LABELS]
    words = "it has no labels, so it cannot be identified"
    assert problems == [
        f"alerts[0]: {words}",
        "alerts[2]: an alert is a JSON object",
        f"alerts[3]: {words}",
    ]


@pytest.mark.parametrize("value", [{}, [], None, {"alerts": {}}, {"title": "custom"}])
def test_a_webhook_without_alerts_is_refused(value):
    assert "The list “alerts” is missing." in str(refused(parse_webhook, value))


UPTRACE = {
    "id": "1772442900120457000",
    "eventName": "created",
    "payload": {"team": "checkout", "tier": 1},
    "createdAt": "2026-03-02T09:15:00.120457Z",
    "alert": {
        "id": "4711",
        "url": "https://alerts.example.test/alerts/4711",
        "name": "p99 latency above 800 ms",
        "type": "error",
        "status": "open",
        "createdAt": "2026-03-02T09:15:00.120457Z",
    },
}


def from_uptrace(alert=None, **parts):
    return one(parse_uptrace, {**UPTRACE, **parts, "alert": {**UPTRACE["alert"], **(alert or {})}})


def test_uptrace_keeps_every_member():
    found = from_uptrace()
    alert = found.alert
    assert (alert.name, alert.type, alert.status) == ("p99 latency above 800 ms", "error", "open")
    assert alert.url == "https://alerts.example.test/alerts/4711"
    assert (json.loads(alert.annotations["payload"]), rfc3339(alert.starts_at)) == (
        UPTRACE["payload"],
        "2026-03-02T09:15:00.120Z",
    )
    assert (alert.ends_at, found.closes_at) == (None, None)


@pytest.mark.parametrize("alert", [{"status": "closed"}, {"status": None, "state": "closed"}])
@pytest.mark.parametrize("event", ["status-changed", "state-changed", "recurring"])
def test_uptrace_closes_the_same_alert(alert, event):
    found = from_uptrace(alert, eventName=event, createdAt="2026-03-02T09:41:30.004Z", payload=None)
    assert (found.key, found.alert.status, found.alert.ends_at) == (
        from_uptrace().key,
        "closed",
        NOW,
    )
    assert found.alert.annotations == {}


def test_two_uptrace_installations_are_distinguished_by_host():
    keys = {
        from_uptrace({"url": url}).key
        for url in ("https://a.example/1", "https://b.example/1", "", "https://a.example/2")
    }
    assert len(keys) == 3
    assert from_uptrace({"id": 4711}).key == from_uptrace().key


@pytest.mark.parametrize(
    ("payload", "text"),
    [("words", '"words"'), (0, "0"), (False, "false"), ([1, None], "[1, null]")],
)
def test_the_payload_of_uptrace_is_any_json(payload, text):
    assert from_uptrace(payload=payload).alert.annotations == {"payload": text}


@pytest.mark.parametrize(
    "value", [{}, [], None, {"alert": None}, {"alert": {}}, {"alert": {"status": "open"}}]
)
def test_uptrace_without_an_alert_is_refused(value):
    assert "The object “alert” with an “id” is missing" in str(refused(parse_uptrace, value))


def test_a_too_long_payload_of_uptrace_is_refused():
    assert "longer than" in str(refused(parse_uptrace, {**UPTRACE, "payload": "x" * 70_000}))


# --- any input ---

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXTS
    | st.sampled_from([*map(str, TIMES[:6]), at(0)])
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = [
    "key",
    "name",
    "status",
    "state",
    "type",
    "labels",
    "annotations",
    "starts_at",
    "ends_at",
    "startsAt",
    "endsAt",
    "url",
]
MEMBERS += ["generatorURL", "panelURL", "createdAt", "id"]
ALERTS = ANY | st.dictionaries(
    st.sampled_from(MEMBERS), ANY | st.dictionaries(TEXTS, TEXTS, max_size=3) | TEXTS
)
GROUPS = st.fixed_dictionaries(
    {},
    optional={
        "alerts": ANY | st.lists(ALERTS, max_size=4),
        "alert": ALERTS,
        "status": ANY,
        "payload": ANY,
        "truncatedAlerts": ANY,
    },
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY | ALERTS | st.lists(ALERTS, max_size=4) | GROUPS)
def test_any_json_is_refused_or_yields_alerts_that_can_be_stored(value):
    for read in (parse_native, parse_alertmanager, parse_webhook, parse_uptrace):
        try:
            found, problems, truncated = read(value, NOW)
        except InvalidPayload as error:
            assert str(error).startswith("Nothing was stored.")
            continue
        assert type(truncated) is int
        assert all(isinstance(words, str) and words for words in problems)
        for one in found:
            assert len(one.key) == 64
            assert one.closes_at is None or (one.alert.status == "open" and rfc3339(one.closes_at))
            assert "" not in one.alert.labels
            text = alert_to_json(one.alert)
            assert text.encode()
            assert alert_from_json(text) == one.alert


NATIVE = {"key", "name", "status", "type", "labels", "annotations", "starts_at", "ends_at", "url"}


@settings(max_examples=150, deadline=None)
@given(TEXTS | st.sampled_from([*NATIVE, *V1, "state", "sumary"]), ANY)
def test_every_member_of_a_native_alert_is_known_or_refused_by_its_name(name, value):
    if name in NATIVE:
        assert one(parse_native, {"name": "n", name: None, "labels": LABELS}).alert
    else:
        assert list(refused(parse_native, {"name": "n", name: value}).errors) == [name]
