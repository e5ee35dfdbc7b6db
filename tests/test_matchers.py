"""Tests of matchers: parsing as in Alertmanager, error messages, matching and its speed."""

import pytest
from cpu_time import cpu_time
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery.alerts.alert import Alert
from delivery.alerts.matchers import (
    MAX_MATCHERS,
    MatcherError,
    explain_mismatch,
    labels_of,
    matches,
    parse_matchers,
    write_matcher,
)
from delivery.alerts.samples import samples
from delivery.silencing import matchers_of


def triples(text):
    """Return the matchers of a text as (name, operator, value)."""
    return [(one.name, one.operator, one.value) for one in parse_matchers(text)]


FOO, BAZ = ("foo", "=", "bar"), ("baz", "!=", "quux")
# The first part is from Alertmanager's tests of its two parsers (matcher/parse and pkg/labels).
PARSED = [
    ("", []),
    ("{}", []),
    ("{foo=bar}", [FOO]),
    ("{foo=bar,}", [FOO]),
    ("foo=bar,", [FOO]),
    ("{foo!=bar}", [("foo", "!=", "bar")]),
    ("{foo=~[a-z]+}", [("foo", "=~", "[a-z]+")]),
    ("foo!~[a-z]+", [("foo", "!~", "[a-z]+")]),
    ("{foo=🙂bar}", [("foo", "=", "🙂bar")]),
    ('{"foo"="bar",}', [FOO]),
    ('{"foo"="🙂"}', [("foo", "=", "🙂")]),
    ('{"foo"="bar\\n"}', [("foo", "=", "bar\n")]),
    ('{"foo"="\\"bar\\""}', [("foo", "=", '"bar"')]),
    ('{"foo"="bar\\\\"}', [("foo", "=", "bar\\")]),
    ('{foo=""}', [("foo", "=", "")]),
    ('{foo="bar", baz!="quux"}', [FOO, BAZ]),
    ('{foo = "bar", baz != "quux", }', [FOO, BAZ]),
    ("foo=bar,baz!=quux", [FOO, BAZ]),
    ('{foo="bar,quux", job="job1"}', [("foo", "=", "bar,quux"), ("job", "=", "job1")]),
    ('statuscode=~"5.."', [("statuscode", "=~", "5..")]),
    ('q != "\\"" , c !~ "foo,bar" , ', [("q", "!=", '"'), ("c", "!~", "foo,bar")]),
    # Tocsin adds line breaks, and is lenient with blanks.
    (" \r\n\t", []),
    ("{ }", []),
    ("foo=bar\r\nbaz!=quux\r\n", [FOO, BAZ]),
    ("{\n  foo=bar,\n  baz!=quux\n}\n", [FOO, BAZ]),
    ("foo=bar\n\n , baz!=quux", [FOO, BAZ]),
    ("foo\u00a0=\u00a0bar", [FOO]),
    ('"app.kubernetes.io/name"="db"', [("app.kubernetes.io/name", "=", "db")]),
    ('"größe"=x', [("größe", "=", "x")]),
    ("a.b-c_D=1", [("a.b-c_D", "=", "1")]),
    ("url=http://db:9187/metrics?x", [("url", "=", "http://db:9187/metrics?x")]),
    (r'instance=~"db\d+\.example"', [("instance", "=~", r"db\d+\.example")]),
    (r'a="\\n"', [("a", "=", r"\n")]),
    ('a=~"x{2,3}"', [("a", "=~", "x{2,3}")]),
    ("foo=bar,foo=bar", [FOO, FOO]),
]


@pytest.mark.parametrize(("text", "expected"), PARSED)
def test_a_text_is_parsed_as_in_alertmanager(text, expected):
    assert triples(text) == expected


REFUSED = [
    (",", "Line 1, column 1: write the name of a label"),
    ("{,}", "Line 1, column 2: write the name of a label"),
    ("foo=bar,,baz=x", "Line 1, column 9: write the name of a label"),
    ("1a=x", "Line 1, column 1: write the name of a label"),
    ("“foo”=bar", "Line 1, column 1: write the name of a label"),
    ("{", "Line 1, column 2: put braces around all matchers"),
    ("}", "Line 1, column 1: put braces around all matchers"),
    ("foo=bar}", "Line 1, column 8: put braces"),
    ("{foo=bar", "Line 1, column 9: put braces"),
    ("{{foo=bar}}", "Line 1, column 2: write the name of a label"),
    ("severity", "Line 1, column 9: write = != =~ or !~ and then"),
    ("severity: critical", "Line 1, column 9: write = != =~ or !~ and then"),
    ("foo=bar\nteam is db", "Line 2, column 6: write = != =~ or !~ and then"),
    (
        "app.kubernetes.io/name=db",
        "column 18: write = != =~ or !~ and then a value; put a name with other characters",
    ),
    ("job=", "Line 1, column 5: write a value"),
    ("job=\n", "Line 1, column 5: write a value"),
    ("job==x", "Line 1, column 5: write a value"),
    ('job="value', 'Line 1, column 5: write a value: one word, or text between two "'),
    ('job="two\nlines"', "Line 1, column 5: write a value"),
    ("job=“x”", "Line 1, column 5: write a value"),
    ("job='x'", "Line 1, column 5: write a value"),
    ('job=value"', "Line 1, column 10: write a comma"),
    ("job=two words", "Line 1, column 9: write a comma"),
    ("foo=bar\\n", "Line 1, column 8: write a comma"),
    ('a="b" c="d"', "Line 1, column 7: write a comma or start a new line"),
    ("a=b}{c=d", "Line 1, column 4: write a comma"),
    (
        'foo=~"invalid[regexp"',
        "Line 1, column 6: this is not a valid RE2 regular expression (missing ]: [regexp).",
    ),
    (
        'a=b\nfoo!~"(?=x)"',
        "Line 2, column 6: this is not a valid RE2 regular expression "
        "(invalid perl operator: (?=).",
    ),
    ('foo=~"' + ".{0,900}" * 40 + '"', "(pattern too large - compile failed)"),
    (r'foo=~"(a)\\1"', r"(invalid escape sequence: \1)"),
    ("a=b," * (MAX_MATCHERS + 1), "These are 21 matchers; at most 20 are allowed"),
    ("a=" + "ä" * 2048, "at most 4,096 bytes"),
    ('a="\ud800"', "valid Unicode"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_an_invalid_text_is_refused_with_position_and_advice(text, words, capfd):
    with pytest.raises(MatcherError) as refused:
        parse_matchers(text)
    assert words in str(refused.value)
    assert str(refused.value).endswith(".")
    assert capfd.readouterr() == ("", "")  # RE2 must not write to standard error


def test_the_maximum_is_accepted():
    assert len(parse_matchers("a=b," * MAX_MATCHERS)) == MAX_MATCHERS
    assert parse_matchers("a=" + "b" * 4094)


LABELS = {
    "severity": "critical",
    "team": "db",
    "instance": "db-1:9100",
    "empty": "",
    "lines": "one\ntwo",
    "city": "Köln",
}
MATCHING = [
    # `=` and `!=` compare the whole value; an absent label is empty (as in Alertmanager).
    ("", True),
    ('severity="critical"', True),
    ('severity="Critical"', False),
    ('severity="crit"', False),
    ('severity!="critical"', False),
    ('severity!="warning"', True),
    ('absent=""', True),
    ('absent!=""', False),
    ('absent!="x"', True),
    ('absent="x"', False),
    ('empty=""', True),
    # Expressions match the whole value.
    ('team=~"db|web"', True),
    ('team=~"d"', False),
    ('team=~"d.*"', True),
    ('team=~"d|b"', False),
    ('team!~"d"', True),
    ('team!~"db|web"', False),
    ('team=~"DB"', False),
    ('team=~"(?i)DB"', True),
    ('team=~"^db$"', True),
    ('absent=~".*"', True),
    ('absent=~".+"', False),
    ('absent!~".+"', True),
    ('absent=~""', True),
    ('absent=~"x|"', True),
    ('city=~"K.ln"', True),
    ('city=~"K\\\\pLln"', True),
    # Go's `.` does not match a line break either without (?s).
    ('lines=~"one.two"', False),
    ('lines=~"(?s)one.two"', True),
    ('lines="one\\ntwo"', True),
    ('lines=~"one"', False),
    ('instance=~"db-\\d:9100"', True),
    # Every matcher must match.
    ('severity="critical", team="db"', True),
    ('severity="critical", team="web"', False),
    ('team="db", team!="db"', False),
]


@pytest.mark.parametrize(("text", "expected"), MATCHING)
def test_alerts_match_as_in_alertmanager(text, expected):
    assert matches(parse_matchers(text), LABELS) is expected


def test_the_name_of_an_alert_is_the_default_of_alertname():
    assert labels_of(Alert.from_json({"name": "Disk full", "labels": {"a": "b"}})) == {
        "alertname": "Disk full",
        "a": "b",
    }
    assert labels_of(
        Alert.from_json({"name": "Disk full", "labels": {"alertname": "DiskFull"}})
    ) == {"alertname": "DiskFull"}
    assert labels_of(Alert.from_json(None)) == {"alertname": "Unnamed alert"}


# --- any input ---

SIGNS = st.text("abäx=~!{}\",\\\n\r \t'“.*+?()[]|^$0\x00", max_size=60)


@given(st.one_of(SIGNS, st.text(st.characters(), max_size=60)))
@example("\ud800=x")
@example('a=~"\x00"')
@settings(max_examples=400, deadline=None)
def test_any_text_is_parsed_or_refused_with_a_message(text):
    try:
        matchers = parse_matchers(text)
    except MatcherError as refused:
        assert str(refused)
    else:
        assert matches(matchers, {}) in (True, False)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        st.text(st.characters(codec="utf-8"), max_size=20),
    )
)
@settings(max_examples=150, deadline=None)
def test_a_quoted_text_is_unchanged_and_matches_itself(labels):
    def quoted(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    some = dict(list(labels.items())[:MAX_MATCHERS])
    text = ", ".join(f"{quoted(name)}={quoted(value)}" for name, value in some.items())
    assert triples(text) == [(name, "=", value) for name, value in some.items()]
    assert matches(parse_matchers(text), some)
    for name, value in some.items():
        assert not matches(parse_matchers(f"{quoted(name)}!={quoted(value)}"), some)


ANY_VALUE = parse_matchers('a=~"(?s).*", b!~"x+", c="", d!="y"')


@given(st.dictionaries(st.sampled_from("abcd"), st.text(st.characters(), max_size=40)))
@example({"a": "\ud800", "b": "\udfff\x00"})
@settings(max_examples=200, deadline=None)
def test_no_value_of_a_label_raises_an_error(labels):
    assert matches(ANY_VALUE, labels) is (
        set(labels.get("b", "")) != {"x"} and not labels.get("c") and labels.get("d") != "y"
    )


def test_hostile_and_huge_alerts_are_matched():
    for alert in samples(0, "").values():
        assert matches(parse_matchers('alertname=~"(?s).+", none=""'), labels_of(alert))
    assert not matches(parse_matchers('alertname=~"(?s).*z"'), {"alertname": "\x00" * 5_000_000})


@pytest.mark.parametrize(
    "expression",
    ["(a|a)*b", "(a*)*b", "(a+)+b", "(.*)(.*)(.*)(.*)[^a]", "(a?){60}a{60}b", "(?:a|aa)+$b"],
)
def test_no_expression_needs_exponential_time(expression):
    matchers = parse_matchers(f'a=~"{expression}"')
    labels = {"a": "a" * 100_000}
    with cpu_time() as spent:
        assert not matches(matchers, labels)
    assert spent.seconds < 0.1


def test_many_alerts_are_matched_quickly():
    matchers = parse_matchers('severity=~"critical|warning", team!="x", instance=~"db.*"')
    text = "a=b," * MAX_MATCHERS
    with cpu_time() as spent:
        for _ in range(1000):
            assert matches(matchers, LABELS)
            parse_matchers(text)
    assert spent.seconds < 0.2


@pytest.mark.parametrize(
    ("matchers", "sentence"),
    [
        ("", ""),
        ('severity=critical, team=~"d.*"', ""),
        ("severity=critical, team=~web", 'The matcher team=~"web" does not match: {} team="db".'),
        (
            "severity!=critical",
            'The matcher severity!="critical" does not match: {} severity="critical".',
        ),
        ("zone=eu, team=web", 'The matcher zone="eu" does not match: the alert has no label zone.'),
    ],
)
def test_the_first_matcher_that_does_not_match_is_explained(matchers, sentence):
    labels = {"severity": "critical", "team": "db"}
    found = explain_mismatch(parse_matchers(matchers), labels)
    assert found == sentence.format("the alert has")
    assert bool(found) is not matches(parse_matchers(matchers), labels)


# --- matchers of one alert ---

HARD = [
    "",
    "plain",
    'quoted "text"',
    "back\\slash",
    "\\",
    '\\"',
    "\\n",
    "\n",
    "two\nlines\r\n",
    "\t\x00\x0b\u2028\u3000",
    "{a=b}, c=~d",
    "größe 🔔",
    "'“”`",
    " blanks ",
    "=~.*",
]


@pytest.mark.parametrize("value", HARD)
@pytest.mark.parametrize("name", ["team", "a.b-c", "1st", *HARD[1:]])
def test_a_written_matcher_is_read_as_the_same_name_and_value(name, value):
    assert triples(write_matcher(name, value)) == [(name, "=", value)]


_values = st.one_of(
    st.sampled_from(HARD),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text('"\\\n\r{}=~!, n', max_size=12),
)
_labels = st.dictionaries(_values.filter(bool), _values, max_size=8)


@settings(deadline=None, max_examples=300)
@given(_values, _labels, _values, st.integers(0, 8))
@example("Disk full", {}, "Disk", 0)
@example('a"\\', {'na"me\n': '\\"\n', "1": ""}, '\\"n', 1)
def test_the_matchers_of_an_alert_match_exactly_such_an_alert(name, labels, value, index):
    alert = Alert.from_json({"name": name, "labels": labels})
    matchers = parse_matchers(matchers_of(alert))
    own = labels_of(alert)
    assert matches(matchers, own)
    assert {(one.name, one.operator, one.value) for one in matchers} == {
        (label, "=", text) for label, text in own.items()
    }
    changed = sorted(own)[index % len(own)]
    other = {**own, changed: value}
    assert matches(matchers, other) is (other == own)
    without = {label: text for label, text in own.items() if label != changed}
    assert matches(matchers, without) is (own[changed] == "")


def test_an_alert_without_labels_is_matched_by_its_name():
    assert matchers_of(Alert.from_json({"name": 'Disk "full"'})) == 'alertname="Disk \\"full\\""'


def test_of_too_many_labels_the_most_important_ones_are_matched():
    noise = {f"label_{number:02}": "x" * 100 for number in range(40)}
    places = {"instance": "db-2", "severity": "critical", "pod": "web-1"}
    alert = Alert.from_json({"name": "n", "labels": {**noise, **places, "__uid__": "1"}})
    matchers = parse_matchers(matchers_of(alert))
    names = [matcher.name for matcher in matchers]
    assert len(names) == MAX_MATCHERS
    assert set(names[:4]) == {"alertname", *places}
    assert matches(matchers, labels_of(alert))


@pytest.mark.parametrize("size", [100, 1000, 4096])
def test_the_matchers_of_an_alert_stay_within_their_limit(size):
    labels = {f"label_{number}": "é" * 200 for number in range(30)}
    alert = Alert.from_json({"name": "n", "labels": {**labels, "huge": "x" * 60_000}})
    text = matchers_of(alert, size)
    assert text
    assert len(text.encode()) <= size
    assert matches(parse_matchers(text), labels_of(alert))


def test_an_alert_whose_texts_are_all_too_long_has_no_matchers():
    assert matchers_of(Alert.from_json({"name": "x" * 5000, "labels": {"a": "y" * 5000}})) == ""


def test_the_matchers_of_the_samples_match_them():
    for alert in samples(0, "https://tocsin.example/").values():
        text = matchers_of(alert)
        assert matches(parse_matchers(text), labels_of(alert)) is True
