"""The facts of a message: their order, and what of an alert is one."""

import itertools

import pytest
from kind_support import AT

from delivery.alerts.alert import Alert
from delivery.content.alert_text import AlertText
from delivery.content.facts import MAX_TEXT_LENGTH, label_for, subject_label
from delivery.event import Event

_ORDER = "severity instance host pod namespace service job node cluster team"
ORDER = _ORDER.split()
_NOISE = """endpoint grafana_folder metrics_path monitor prometheus prometheus_replica receive
    ref_id replica rule_uid scrape_job tenant_id uid"""
NOISE = _NOISE.split()


def text_of(**parts):
    """Return the text of the alert with these parts."""
    return AlertText(Event(Alert.from_json(parts), 1, AT))


def facts_of(labels=None, **parts):
    """Return the facts of the alert with these labels and parts, as pairs."""
    return list(map(tuple, text_of(labels=labels or {}, **parts).facts))


def names_of(labels, **parts):
    return [name for name, _ in facts_of(labels, **parts)]


def test_facts_are_in_the_order_of_their_importance():
    names = ["zone", *reversed(NOISE), *reversed(ORDER), "app", "priority"]
    labels = {name: f"{name} 1" for name in names}
    found = names_of(labels, value="7.1", annotations={"owner": "db"})
    # The subject, here the instance, stands in the title.
    important = ["value", "severity", "priority", *ORDER[2:]]
    assert found == [*important, "app", "zone", *sorted(NOISE), "owner"]


@pytest.mark.parametrize("first", range(5))
def test_the_order_does_not_depend_on_the_order_of_the_labels(first):
    names = ["team", "pod", "zone", "prometheus", "app"]
    labels = dict.fromkeys(names[first:] + names[:first], "1")
    assert names_of(labels) == ["team", "app", "zone", "prometheus"]


def test_names_of_opentelemetry_stand_with_their_plain_names():
    labels = dict.fromkeys(
        [
            *("service.name", "k8s.pod.name", "k8s.namespace.name", "k8s.cluster.name"),
            *("host.name", "k8s.node.name", "app", "instance"),
        ],
        "x",
    )
    assert names_of(labels) == [
        *("host.name", "k8s.pod.name", "k8s.namespace.name", "service.name", "k8s.node.name"),
        *("k8s.cluster.name", "app"),
    ]


@pytest.mark.parametrize(
    ("labels", "subject"),
    [
        ({}, ""),
        ({"severity": "critical", "team": "db"}, ""),
        ({"instance": "db-2:9187", "host": "db-2", "job": "pg"}, "db-2:9187"),
        ({"job": "pg", "host": "db-2"}, "db-2"),
        ({"namespace": "prod", "pod": "web-1"}, "web-1"),
        ({"cluster": "eu", "namespace": "prod"}, "prod"),
        ({"service.name": "checkout"}, "checkout"),
        ({"k8s.pod.name": "web-1", "service.name": "checkout"}, "web-1"),
        ({"pod_name": "web-1"}, "web-1"),
        ({"hostname": "db-2"}, "db-2"),
        ({"kubernetes.pod_name": "web-1"}, "web-1"),
        ({"Instance": "db-2"}, "db-2"),
        ({"instance": " ", "host": "db-2"}, "db-2"),
        ({"instance": "db-2\nfiring"}, "db-2 firing"),
        ({"username": "u", "filename": "f", "name": "n"}, ""),
        ({"__instance__": "x", "__host": "y"}, ""),
        ({"x" * 2**16: "x", "host": "db-2"}, "db-2"),
    ],
)
def test_the_subject_is_the_first_label_that_says_what_the_alert_is_about(labels, subject):
    assert text_of(labels=labels).subject == subject


def test_the_subject_is_no_fact_and_another_label_of_its_kind_is():
    labels = {"host": "db-2", "hostname": "db-2.prod", "node": "n1"}
    assert subject_label(labels) == "host"
    assert facts_of(labels) == [("hostname", "db-2.prod"), ("node", "n1")]


@pytest.mark.parametrize(
    ("labels", "facts"),
    [
        ({"severity": "critical"}, []),
        ({"severity": "Critical "}, []),
        ({"severity": "SEV-1"}, [("severity", "SEV-1")]),
        ({"severity": "P1 - Critical"}, [("severity", "P1 - Critical")]),
        ({"severity": "purple"}, [("severity", "purple")]),
        ({"priority": "warning"}, []),
        ({"severity": "critical", "priority": "P1"}, [("priority", "P1")]),
        ({"severity": "critical", "priority": "critical"}, [("priority", "critical")]),
        ({"severity": "purple", "priority": "error"}, [("severity", "purple")]),
    ],
)
def test_a_severity_is_a_fact_unless_the_title_has_the_same_word(labels, facts):
    assert facts_of(labels) == facts


@pytest.mark.parametrize(
    ("name", "labels", "title", "facts"),
    [
        ("DiskFull", {"alertname": "DiskFull"}, "DiskFull", []),
        ("Disk full", {"alertname": "DiskFull"}, "Disk full", [("alertname", "DiskFull")]),
        ("", {"alertname": "DiskFull"}, "DiskFull", []),
        ("Disk\nfull", {}, "Disk full", []),
        ("\x00\x1b", {}, "Alert", []),
        ("", {}, "Unnamed alert", []),
        ("DatasourceNoData", {"rulename": "Disk full"}, "Disk full (no data)", []),
        ("DatasourceError", {"rulename": "Disk full"}, "Disk full (query error)", []),
        ("DatasourceError", {"rulename": " "}, "DatasourceError", []),
        ("DatasourceNoData", {}, "DatasourceNoData", []),
        ("Other", {"rulename": "Disk full"}, "Other", [("rulename", "Disk full")]),
    ],
)
def test_the_name_is_never_empty_and_no_fact(name, labels, title, facts):
    text = text_of(name=name, labels=labels)
    assert text.name == title
    assert list(map(tuple, text.facts)) == facts


def test_internal_names_are_never_shown():
    labels = {"__alert_rule_uid__": "x1", "__name__": "up", "__": "x2", "_one": "shown"}
    annotations = {"__value_string__": "x3", "__panelId__": "7"}
    assert facts_of(labels, annotations=annotations) == [("_one", "shown")]


def test_annotations_that_nothing_else_shows_are_facts():
    annotations = {
        "summary": "s",
        "description": "d",
        "message": "m",
        "value": "7.1",
        "payload": "{}",
        "runbook_url": "https://wiki.example/x",
        "dashboard_url": "https://g.example/d",
        "owner": "db",
        "grafana": "x",
    }
    assert facts_of(annotations=annotations) == [
        ("value", "7.1"),
        ("grafana", "x"),
        ("owner", "db"),
    ]


def test_a_link_that_is_no_url_is_a_fact():
    annotations = {"runbook": "see the wiki\npage 7", "panel_url": "/d/1", "dashboard": " "}
    found = facts_of({"team": "db"}, annotations=annotations, url="graph?q=up")
    assert found == [
        ("team", "db"),
        ("panel_url", "/d/1"),
        ("runbook", "see the wiki page 7"),
        ("link", "graph?q=up"),
    ]


def test_no_text_is_lost_to_another_of_the_same_name():
    found = facts_of(
        {"value": "label", "team": "db", "owner": "ops", "link": "label"},
        value="7.1",
        annotations={"team": "web", "owner": "ops"},
        url="see the wiki",
    )
    assert found == [
        ("value", "7.1"),
        ("value (label)", "label"),
        ("team", "db"),
        ("link", "label"),
        ("owner", "ops"),
        ("team (annotation)", "web"),
        ("link (annotation)", "see the wiki"),
    ]


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"value": "7.1"}, "7.1"),
        ({"value": 7.1}, "7.1"),
        ({"value": "A=3,\nB=7.1"}, "A=3, B=7.1"),
        ({"annotations": {"value": "7.1"}}, "7.1"),
        ({"value": "7.1", "annotations": {"value": "8"}}, "7.1"),
        ({"value": None}, ""),
        ({"value": " \n"}, ""),
    ],
)
def test_the_value_is_the_first_fact(sent, value):
    found = facts_of({"severity": "SEV-1"}, **sent)
    assert found == [("value", value)] * bool(value) + [("severity", "SEV-1")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x0b", "\x0c", "\x85"])
def test_no_value_and_no_name_can_imitate_another_line(end):
    found = facts_of({f"a{end}b": f"x{end}severity: critical{end}"})
    assert found == [("a b", "x severity: critical")]


def test_facts_without_a_name_or_a_text_are_left_out():
    assert facts_of({" ": "x", "a": "", "b": "\n", "\x00": "x", "c": "1"}) == [("c", "1")]


def test_a_text_of_any_length_is_cut_to_a_line():
    (fact,) = facts_of({"x" * 2**16: "y" * 2**16})
    assert tuple(map(len, fact)) == (MAX_TEXT_LENGTH, MAX_TEXT_LENGTH)


@pytest.mark.parametrize(("maximum", "rest"), [(199, ""), (198, "and 1 more"), (0, "and 199 more")])
def test_hidden_facts_are_counted(maximum, rest):
    text = text_of(labels={"instance": "db-2"} | {f"label_{n:03}": "x" for n in range(199)})
    facts, more = text.facts_within(maximum)
    assert facts == text.facts[:maximum]
    assert more == rest


def test_the_first_facts_are_those_that_matter_however_many_there_are():
    labels = {f"a_{number}": "x" for number in range(200)}
    labels |= {"severity": "SEV-1", "host": "db-2", "pod": "web-1", "team": "db"}
    facts, rest = text_of(labels=labels).facts_within(3)
    assert facts == [("severity", "SEV-1"), ("pod", "web-1"), ("team", "db")]
    assert rest == "and 200 more"


def test_a_resolution_has_no_facts_and_its_alert_has():
    text = text_of(status="closed", labels={"team": "db"})
    assert text.facts == []
    assert text.facts_within(3) == ([], "")
    assert list(map(tuple, text.all_facts)) == [("team", "db")]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({"component": "disk", "service": "db"}, "disk"),
        ({"service.name": "db"}, "db"),
        ({"component": " ", "service_name": "db\n1"}, "db 1"),
        ({"k8s.container.name": "pg"}, "pg"),
        ({"__component": "x"}, ""),
        ({}, ""),
    ],
)
def test_a_label_is_found_under_its_plain_name(labels, text):
    assert label_for(labels, ["component", "service", "container"]) == text


def test_the_same_labels_give_the_same_facts():
    pairs = [("service.name", "a"), ("service_name", "b"), ("service", "c"), ("app", "d")]
    found = {str(facts_of(dict(order))) for order in itertools.permutations(pairs)}
    assert len(found) == 1
