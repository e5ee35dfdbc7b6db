"""The severity that a message takes from the words that people write."""

import pytest

from delivery.content.severity import Severity, read_severity, severity_of, severity_rank

CRITICAL = Severity.CRITICAL
ERROR = Severity.ERROR
WARNING = Severity.WARNING
INFO = Severity.INFO


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("SEV-1", CRITICAL),
        ("sev1", CRITICAL),
        ("SEV 2", ERROR),
        ("Sev.3", WARNING),
        ("sev_4", INFO),
        ("SEV0", CRITICAL),
        ("S2", ERROR),
        ("severity: 2", ERROR),
        ("P1 - Critical", CRITICAL),
        ("P0", CRITICAL),
        ("p3", WARNING),
        ("P5", INFO),
        ("Prio 2", ERROR),
        ("Priority-1", CRITICAL),
        ("Critical (P1)", CRITICAL),
        ("low (P4)", INFO),
    ],
)
def test_numbered_severities_are_read(text, severity):
    assert read_severity(text) == severity


@pytest.mark.parametrize("text", ["P6", "P10", "p99", "http2", "top1", "1", "5", "SEV", "SEV-12"])
def test_other_numbers_name_no_severity(text):
    # Sources count in both directions: 1 is the lowest in some, the highest in others.
    assert read_severity(text) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "Zabbix",
            {
                "Disaster": CRITICAL,
                "High": ERROR,
                "Average": WARNING,
                "Warning": WARNING,
                "Information": INFO,
                "Not classified": None,
            },
        ),
        (
            "syslog",
            {
                "emerg": CRITICAL,
                "alert": CRITICAL,
                "crit": CRITICAL,
                "err": ERROR,
                "warning": WARNING,
                "notice": INFO,
                "info": INFO,
                "debug": INFO,
            },
        ),
        (
            "Nagios",
            {
                "CRITICAL": CRITICAL,
                "WARNING": WARNING,
                "UNKNOWN": None,
                "OK": INFO,
                "DOWN": CRITICAL,
                "UNREACHABLE": CRITICAL,
            },
        ),
        ("PagerDuty", {"critical": CRITICAL, "error": ERROR, "warning": WARNING, "info": INFO}),
        ("Jira", {"Highest": CRITICAL, "High": ERROR, "Medium": WARNING, "Lowest": INFO}),
        ("Prometheus", {"page": CRITICAL, "none": INFO, "ticket": None}),
        ("OpenTelemetry", {"FATAL": CRITICAL, "ERROR": ERROR, "WARN": WARNING, "TRACE": INFO}),
    ],
)
def test_the_words_of_monitoring_systems_are_read(source, words):
    assert {word: read_severity(word) for word in words} == words


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("disaster", CRITICAL),
        ("🔥 critical!", CRITICAL),
        ("critical_page", CRITICAL),
        ("  Urgent\n", CRITICAL),
        ("very high", ERROR),
        ("major", ERROR),
        ("minor", WARNING),
        ("normal", INFO),
        ("none", INFO),
        ("ok", INFO),
    ],
)
def test_a_word_is_read_however_it_is_written(text, severity):
    assert read_severity(text) == severity


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("non-critical", WARNING),
        ("noncritical", WARNING),
        ("Not critical", WARNING),
        ("non_urgent", WARNING),
        ("not ok", None),
        ("non-fatal", None),
        ("not critically low", None),
    ],
)
def test_a_negated_word_never_names_its_own_severity(text, severity):
    assert read_severity(text) == severity


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n", "purple", "errors-budget", "criticality", "okra", "x" * 2**16, " " * 2**16],
)
def test_other_texts_name_no_severity(text):
    assert read_severity(text) is None


def test_only_the_beginning_of_a_long_text_is_read():
    assert read_severity("SEV-1 " * 2**14) == CRITICAL
    assert read_severity("critical" + " " * 2**16) == CRITICAL
    assert read_severity(" " * 2**16 + "critical") is None


@pytest.mark.parametrize(
    ("labels", "severity"),
    [
        ({}, None),
        ({"severity": "warning"}, WARNING),
        ({"priority": "P1"}, CRITICAL),
        ({"severity": "warning", "priority": "P1"}, WARNING),
        ({"priority": "P1", "severity": "info"}, INFO),
        ({"severity": "", "priority": "P2"}, ERROR),
        ({"severity": "purple", "priority": "P2"}, ERROR),
        ({"severity": "purple", "priority": "green"}, None),
        ({"level": "critical"}, None),
    ],
)
def test_the_severity_counts_before_the_priority(labels, severity):
    assert severity_of(labels) == severity


def test_the_most_severe_one_has_the_lowest_rank():
    assert sorted([INFO, ERROR, CRITICAL, WARNING], key=severity_rank) == list(Severity)
    assert severity_rank(CRITICAL) == 0
