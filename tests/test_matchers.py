"""Which alerts are meant: what a text of matchers says, what it is refused with, and that judging takes hardly any time."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery.alerts.alert import Alert
from delivery.alerts.matchers import MOST_MATCHERS, MatcherError, labels_of, matches, parse
from delivery.alerts.samples import samples


def said(text):
    """The matchers of a text as (name, operator, value)."""
    return [(one.name, one.operator, one.value) for one in parse(text)]


FOO, BAZ = ("foo", "=", "bar"), ("baz", "!=", "quux")
# The first part is what Alertmanager's own tests say of its two parsers (matcher/parse and pkg/labels).
MEANS = [
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
    # And what is ours, or stands in the way of a person who types.
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


@pytest.mark.parametrize(("text", "means"), MEANS)
def test_a_text_means_what_alertmanager_takes_it_for(text, means):
    assert said(text) == means


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
    ("severity", "Line 1, column 9: write = != =~ or !~ here"),
    ("severity: critical", "Line 1, column 9: write = != =~ or !~ here"),
    ("foo=bar\nteam is db", "Line 2, column 6: write = != =~ or !~ here"),
    (
        "app.kubernetes.io/name=db",
        "column 18: write = != =~ or !~ here, and then a value; a name with other signs",
    ),
    ("job=", "Line 1, column 5: write a value"),
    ("job=\n", "Line 1, column 5: write a value"),
    ("job==x", "Line 1, column 5: write a value"),
    ('job="value', 'Line 1, column 5: write a value here: one word, or a text between two "'),
    ('job="two\nlines"', "Line 1, column 5: write a value"),
    ("job=“x”", "Line 1, column 5: write a value"),
    ("job='x'", "Line 1, column 5: write a value"),
    ('job=value"', "Line 1, column 10: write a comma"),
    ("job=two words", "Line 1, column 9: write a comma"),
    ("foo=bar\\n", "Line 1, column 8: write a comma"),
    ('a="b" c="d"', "Line 1, column 7: write a comma or begin a line"),
    ("a=b}{c=d", "Line 1, column 4: write a comma"),
    (
        'foo=~"invalid[regexp"',
        "Line 1, column 6: this is no regular expression of RE2 (missing ]: [regexp).",
    ),
    (
        'a=b\nfoo!~"(?=x)"',
        "Line 2, column 6: this is no regular expression of RE2 (invalid perl operator: (?=).",
    ),
    ('foo=~"' + ".{0,900}" * 40 + '"', "(pattern too large - compile failed)"),
    (r'foo=~"(a)\\1"', r"(invalid escape sequence: \1)"),
    ("a=b," * (MOST_MATCHERS + 1), "These are 21 matchers; at most 20 are possible"),
    ("a=" + "ä" * 2048, "at most 4,096 bytes"),
    ('a="\ud800"', "whole characters"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_means_nothing_is_refused_with_the_place_and_what_to_write(text, words, capfd):
    with pytest.raises(MatcherError) as refused:
        parse(text)
    assert words in str(refused.value)
    assert str(refused.value).endswith(".")
    assert capfd.readouterr() == ("", "")  # RE2 would say it on the error output too


def test_as_much_as_is_possible_is_taken():
    assert len(parse("a=b," * MOST_MATCHERS)) == MOST_MATCHERS
    assert parse("a=" + "b" * 4094)


LABELS = {
    "severity": "critical",
    "team": "db",
    "instance": "db-1:9100",
    "empty": "",
    "lines": "one\ntwo",
    "city": "Köln",
}
JUDGED = [
    # `=` and `!=` compare all of the value; an absent label is as good as an empty one (Alertmanager: "matchers").
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
    # Expressions match from the first letter to the last.
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
    # Go's `.` stops at a line end too, unless (?s) is said.
    ('lines=~"one.two"', False),
    ('lines=~"(?s)one.two"', True),
    ('lines="one\\ntwo"', True),
    ('lines=~"one"', False),
    ('instance=~"db-\\d:9100"', True),
    # Every matcher has to be met.
    ('severity="critical", team="db"', True),
    ('severity="critical", team="web"', False),
    ('team="db", team!="db"', False),
]


@pytest.mark.parametrize(("text", "meant"), JUDGED)
def test_alerts_are_judged_as_alertmanager_judges_them(text, meant):
    assert matches(parse(text), LABELS) is meant


def test_the_name_of_an_alert_is_a_label_unless_there_is_one():
    assert labels_of(Alert.read({"name": "Disk full", "labels": {"a": "b"}})) == {
        "alertname": "Disk full",
        "a": "b",
    }
    assert labels_of(Alert.read({"name": "Disk full", "labels": {"alertname": "DiskFull"}})) == {
        "alertname": "DiskFull"
    }
    assert labels_of(Alert.read(None)) == {"alertname": "Unnamed alert"}


# --- whatever is thrown at it -------------------------------------------------------------------------------------------

SIGNS = st.text("abäx=~!{}\",\\\n\r \t'“.*+?()[]|^$0\x00", max_size=60)


@given(st.one_of(SIGNS, st.text(st.characters(), max_size=60)))
@example("\ud800=x")
@example('a=~"\x00"')
@settings(max_examples=400, deadline=None)
def test_any_text_is_matchers_or_is_refused_in_words(text):
    try:
        matchers = parse(text)
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
def test_what_is_quoted_comes_back_to_the_letter_and_matches_itself(labels):
    def quoted(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    some = dict(list(labels.items())[:MOST_MATCHERS])
    text = ", ".join(f"{quoted(name)}={quoted(value)}" for name, value in some.items())
    assert said(text) == [(name, "=", value) for name, value in some.items()]
    assert matches(parse(text), some)
    for name, value in some.items():
        assert not matches(parse(f"{quoted(name)}!={quoted(value)}"), some)


ANY_VALUE = parse('a=~"(?s).*", b!~"x+", c="", d!="y"')


@given(st.dictionaries(st.sampled_from("abcd"), st.text(st.characters(), max_size=40)))
@example({"a": "\ud800", "b": "\udfff\x00"})
@settings(max_examples=200, deadline=None)
def test_no_value_of_a_label_raises(labels):
    assert matches(ANY_VALUE, labels) is (
        set(labels.get("b", "")) != {"x"} and not labels.get("c") and labels.get("d") != "y"
    )


def test_hostile_and_huge_alerts_are_judged_too():
    for alert in samples(0, "").values():
        assert matches(parse('alertname=~"(?s).+", none=""'), labels_of(alert))
    assert not matches(parse('alertname=~"(?s).*z"'), {"alertname": "\x00" * 5_000_000})


@pytest.mark.parametrize(
    "expression",
    ["(a|a)*b", "(a*)*b", "(a+)+b", "(.*)(.*)(.*)(.*)[^a]", "(a?){60}a{60}b", "(?:a|aa)+$b"],
)
def test_no_expression_takes_for_ever(expression):
    matchers, labels = parse(f'a=~"{expression}"'), {"a": "a" * 100_000}
    began = time.process_time()
    assert not matches(matchers, labels)
    assert time.process_time() - began < 0.1


def test_many_alerts_are_judged_in_no_time():
    matchers, text = (
        parse('severity=~"critical|warning", team!="x", instance=~"db.*"'),
        "a=b," * MOST_MATCHERS,
    )
    began = time.process_time()
    for _ in range(1000):
        assert matches(matchers, LABELS)
        parse(text)
    assert time.process_time() - began < 0.2
