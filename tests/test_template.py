"""Templates: rendering, errors with their place, and valid JSON for any template and any alert."""

import json
import tomllib
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from cpu_time import cpu_time
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from delivery import template
from delivery.alerts.alert import Alert, to_text
from delivery.alerts.samples import samples
from delivery.content.alert_text import AlertText
from delivery.content.group_text import text_of_group
from delivery.event import Event
from delivery.installation import Installation
from delivery.json_text import MAX_DEPTH
from delivery.kinds import kinds
from delivery.kinds.custom import STARTERS
from delivery.placeholder_mistakes import find_literals
from delivery.placeholders import NAMES, PlaceholderValues
from delivery.settings import Header, Settings
from delivery.template import MAX_BYTES, TemplateError, parse

NOW = 1772444490004  # 2026-03-02T09:41:30.004Z
SAMPLES = samples(NOW, "https://tocsin.example/alerts/4711")
LATENCY = Alert.from_json(
    {
        "id": "4711",
        "name": 'p99 "latency"',
        "labels": {
            "severity": "critical",
            "service.name": "checkout",
            "größe": "7 µm",
            "": "x",
            "two words": "b",
        },
        "annotations": {"summary": "1.2 s,\nlimit 800 ms", "runbook": "https://wiki.example/"},
        "starts_at": "2026-03-02T09:15:00.120Z",
        "url": "https://alerts.example/4711",
    }
)


def values_of(alert, repeated=False):
    """Return the values of the placeholders for an alert."""
    return PlaceholderValues(AlertText(Event(alert, 5, NOW, repeated)))


VALUES = values_of(LATENCY)
CIRCLE = []
CIRCLE.append(CIRCLE)


def strict_json(text):
    """Read JSON as strictly as a receiver may.

    Numbers stay as they are spelled, the members of objects become pairs.
    """
    number = {
        "parse_int": lambda digits: ("number", digits),
        "parse_float": lambda digits: ("number", digits),
    }
    read = json.loads(
        text,
        parse_constant=pytest.fail,
        object_pairs_hook=lambda pairs: ("object", pairs),
        **number,
    )
    text.encode("utf-8")
    return read


def rendered(text, values=VALUES, **options):
    """Render the template; fail unless the result is JSON of at most 256 KB."""
    message = parse(text, **options).render(values)
    strict_json(message)
    assert len(message.encode()) <= MAX_BYTES
    return message


def error_of(text):
    """Return the sentence of the error."""
    with pytest.raises(TemplateError) as raised:
        parse(text)
    return str(raised.value)


# --- rendering ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"text": "{{ alert.name }}"}', '{"text":"p99 \\"latency\\""}'),
        ('"{{alert.id}}"', '"4711"'),
        ('"{{   alert.id\\t}}"', '"4711"'),
        (
            '["[{{ alert.status }}] {{ alert.name }}: {{ alert.type }}"]',
            '["[open] p99 \\"latency\\": metric"]',
        ),
        ('"{{ alert.summary }}"', '"1.2 s,\\nlimit 800 ms"'),
        ('"{{ alert.labels.service.name }} {{ alert.labels.two words }}"', '"checkout b"'),
        ('"{{ alert.labels.größe }}"', '"7 µm"'),
        ('"{{ alert.labels.gr\\u00f6\\u00dfe }}"', '"7 µm"'),
        ('"{{ alert.labels.absent }}"', '""'),
        ('"<{{ alert.labels.absent }}>"', '"<>"'),
        ('"{{ alert.annotations.runbook }}"', '"https://wiki.example/"'),
        (
            '"{{ message.id }} {{ message.at }} {{ message.event }}"',
            '"msg_5 2026-03-02T09:41:30.004Z created"',
        ),
        ('"{{ alert.id }}{{ alert.id }}"', '"47114711"'),
        ('"{{ alert.id }} "', '"4711 "'),
        ('"é {{ alert.id }} \\n\\u00e9\\/"', '"é 4711 \\n\\u00e9\\/"'),
        ('"{ { alert.id } } {} }{ {{ alert.id }}}"', '"{ { alert.id } } {} }{ 4711}"'),
        ('"\\u007b{ alert.id }\\u007d"', '"\\u007b{ alert.id }\\u007d"'),
        (' \r\n[ 1 ,\t{ "a" : [ ] } ]\n', '[1,{"a":[]}]'),
        ('{"{{ alert.id }}": 1, "}}" : 2, "{{": 3}', '{"{{ alert.id }}":1,"}}":2,"{{":3}'),
        ('{"b": 1, "a": 2, "b": 3}', '{"b":1,"a":2,"b":3}'),
        ("null", "null"),
        ('" a  b "', '" a  b "'),
    ],
)
def test_placeholders_are_replaced_and_all_else_stays(text, message):
    assert rendered(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"{{ alert.starts_at_ms }}"', "1772442900120"),
        ('"{{ alert.starts_at_ms }} ms"', '"1772442900120 ms"'),
        ('"{{ alert.ends_at }}"', "null"),
        ('"{{ alert.ends_at_ms }}"', "null"),
        ('"until {{ alert.ends_at }}"', '"until "'),
        (
            '"{{ alert.annotations }}"',
            '{"summary":"1.2 s,\\nlimit 800 ms","runbook":"https://wiki.example/"}',
        ),
        (
            '"all: {{ alert.annotations }}"',
            '"all: {\\"summary\\":\\"1.2 s,\\\\nlimit 800 ms\\",\\"runbook\\":\\"https://wiki.example/\\"}"',
        ),
    ],
)
def test_a_placeholder_that_is_a_whole_string_keeps_its_type(text, message):
    assert rendered(text) == message


@pytest.mark.parametrize(
    ("value", "alone", "inside"),
    [
        (None, "null", ""),
        ("", '""', ""),
        ({}, "{}", ""),
        ([], "[]", ""),
        (0, "0", "0"),
        (False, "false", "false"),
        (1.5, "1.5", "1.5"),
        (float("nan"), "null", ""),
        (float("-inf"), "null", ""),
        (10**5000, "null", ""),
        (2**70, str(2**70), str(2**70)),
        ([1, None], "[1,null]", "[1,null]"),
        ({"a": float("nan")}, "null", ""),
        ({("a",): 1}, "null", ""),
        ({1: {2: 3}}, '{"1":{"2":3}}', '{\\"1\\":{\\"2\\":3}}'),
        (b"bytes", "null", ""),
        (object(), "null", ""),
        (CIRCLE, "null", ""),
        ("a\ud800b", '"a?b"', "a?b"),
        ({"\udfff": ["\ud800\udc00"]}, '{"?":["??"]}', '{\\"?\\":[\\"??\\"]}'),
        ("{{ alert.id }}", '"{{ alert.id }}"', "{{ alert.id }}"),
        ('\\"', '"\\\\\\""', '\\\\\\"'),
        ("\x00\u2028🔔", '"\\u0000\u2028🔔"', "\\u0000\u2028🔔"),
    ],
    ids=lambda value: (
        ascii(value)[:16] if not isinstance(value, int) or abs(value) < 2**64 else "int"
    ),
)
def test_a_value_of_any_type_is_rendered(value, alone, inside):
    assert rendered('["{{ alert.id }}"]', {"alert.id": value}) == f"[{alone}]"
    assert rendered('["<{{ alert.id }}>"]', {"alert.id": value}) == f'["<{inside}>"]'


def test_a_missing_value_is_an_empty_text():
    assert rendered('["{{ alert.id }}", "<{{ alert.labels }}>"]', {}) == '["","<>"]'


@pytest.mark.parametrize(
    "number",
    ["1.10", "-0", "12345678901234567890", "1e400", "-1E-400", "0.30000000000000004", "9" * 5000],
)
def test_numbers_stay_exactly_as_they_were_typed(number):
    assert rendered(f'[{number}, {{"a":{number}}}]') == f'[{number},{{"a":{number}}}]'
    assert rendered(f'["{{{{ alert.ends_at | {number} }}}}"]') == f"[{number}]"


# --- defaults ---


@pytest.mark.parametrize(
    ("default", "alone", "inside"),
    [
        ('\\"none\\"', '"none"', "none"),
        ("'none'", '"none"', "none"),
        ("''", '""', ""),
        ("'it is \\\"quoted\\\"'", '"it is \\"quoted\\""', 'it is \\"quoted\\"'),
        ('\\"it\'s\\"', '"it\'s"', "it's"),
        (
            "'a | b, { c } \\\\ \\n é \\u00e9'",
            '"a | b, { c } \\\\ \\n é é"',
            "a | b, { c } \\\\ \\n é é",
        ),
        ("0", "0", "0"),
        ("-1.50e+3", "-1.50e+3", "-1.50e+3"),
        ("true", "true", "true"),
        ("false", "false", "false"),
        ("null", "null", ""),
    ],
)
@pytest.mark.parametrize("value", ["", None, {}, [], float("nan")])
def test_the_default_replaces_an_absent_or_empty_value(default, alone, inside, value):
    text = f'["{{{{ alert.url | {default} }}}}", "<{{{{alert.url|{default}}}}}>"]'
    assert rendered(text, {"alert.url": value}) == f'[{alone},"<{inside}>"]'
    assert rendered(text, {}) == f'[{alone},"<{inside}>"]'


def test_the_default_does_not_replace_a_value():
    for value in ("null", "{}", '""', " "):
        spelled = json.dumps(value)
        assert (
            rendered('["{{ alert.id | 7 }}", "<{{ alert.id | 7 }}>"]', {"alert.id": value})
            == f'[{spelled},"<{spelled[1:-1]}>"]'
        )
    assert (
        rendered('["{{ alert.id | 7 }}", "{{ alert.starts_at_ms | null }}"]')
        == '["4711",1772442900120]'
    )
    assert (
        rendered(
            '["{{ alert.id | 7 }}", "{{ alert.url | 7 }}"]', {"alert.id": 0, "alert.url": False}
        )
        == "[0,false]"
    )


@pytest.mark.parametrize(
    "default",
    [
        "",
        "none",
        "'none",
        "none'",
        "'a' 'b'",
        "01",
        "1.",
        "+1",
        "NaN",
        "True",
        "'a' | upper",
        "٣",
        "{}",
    ],
)
def test_an_invalid_default_is_refused(default):
    assert error_of(f'["{{{{ alert.url | {default} }}}}"]') == (
        "Line 1, column 3: the default after | must be a string in quotes, a number, true, false "
        "or null."
    )


# --- errors ---


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Line 1, column 1: the JSON ends too early; a value or a closing bracket is missing."),
        (
            "  \n ",
            "Line 2, column 2: the JSON ends too early; a value or a closing bracket is missing.",
        ),
        ("{{ alert.name }}", 'Line 1, column 2: a name in double quotes ("name") is missing here.'),
        (
            '{"a": {{ alert.name }}}',
            'Line 1, column 8: a name in double quotes ("name") is missing here.',
        ),
        ('{"a": NaN}', "Line 1, column 7: NaN is not JSON; use a number, null or a string."),
        ("[" * 65, f"Line 1, column 65: the JSON is nested deeper than {MAX_DEPTH} levels."),
        ('"' + "x" * 65_535 + '"', "The JSON has 65,537 bytes; at most 65,536 are allowed."),
        (
            '{"a":\n 1,\n "text": "so {{ alert.nmae }}"}',
            "Line 3, column 14: alert.nmae is not known; did you mean alert.name?",
        ),
        (
            '"{{alert.url}} {{ alert.ur }}"',
            "Line 1, column 16: alert.ur is not known; did you mean alert.url?",
        ),
        (
            '"\\n\\u00e9\\"{{alert.idd}}"',
            "Line 1, column 12: alert.idd is not known; did you mean alert.id?",
        ),
        ('"🔔é{{alert.idd}}"', "Line 1, column 4: alert.idd is not known; did you mean alert.id?"),
        (
            '["a",\r\n"{{alert.idd}}"]',
            "Line 2, column 2: alert.idd is not known; did you mean alert.id?",
        ),
        (
            '"{{ alert.label.team }}"',
            "Line 1, column 2: alert.label.team is not known; did you mean alert.labels.team?",
        ),
        (
            '"{{ severity }}"',
            "Line 1, column 2: severity is not known; did you mean alert.severity?",
        ),
        (
            '"{{ Alert.Name }}"',
            "Line 1, column 2: Alert.Name is not known; did you mean alert.name?",
        ),
        (
            '"{{ alert.labels. }}"',
            "Line 1, column 2: alert.labels. is not known; did you mean alert.labels?",
        ),
        (
            '"{{ § }}"',
            "Line 1, column 2: § is not known; names begin with alert., group. or message.",
        ),
        (
            '"{{ \\u202e\\n§ | 1 }}"',
            "Line 1, column 2: § is not known; names begin with alert., group. or message.",
        ),
        ('"a {{ alert.name"', "Line 1, column 4: {{ has no }} in the same string."),
        ('["{{ alert.name", "}}"]', "Line 1, column 3: {{ has no }} in the same string."),
        ('"{{ {{ alert.name }}"', "Line 1, column 2: {{ has no }} in the same string."),
        ('"a }}"', "Line 1, column 4: }} has no {{ before it."),
        ('"\\t{{ alert.id }} }}"', "Line 1, column 19: }} has no {{ before it."),
        ('"{{ alert.id }}}}"', "Line 1, column 16: }} has no {{ before it."),
        ('"{{ alert.id }}{{ alert.id }}x}}y}}"', "Line 1, column 31: }} has no {{ before it."),
        (
            '"{{}}"',
            "Line 1, column 2: a name is missing between {{ and }}, such as {{ alert.name }}.",
        ),
        (
            '"{{ | 1 }}"',
            "Line 1, column 2: a name is missing between {{ and }}, such as {{ alert.name }}.",
        ),
        ('"a\\ud800"', "Line 1, column 3: this is half of a character, which cannot be sent."),
        (
            '{"a\\uDFFFb": 1}',
            "Line 1, column 4: this is half of a character, which cannot be sent.",
        ),
        (
            '"\\udd14\\ud83d"',
            "Line 1, column 2: this is half of a character, which cannot be sent.",
        ),
        (
            '"\\ud83d{{ alert.id }}\\udd14"',
            "Line 1, column 2: this is half of a character, which cannot be sent.",
        ),
        (
            '"\\\\\ud800"',
            "Line 1, column 4: this is half of a character, which cannot be sent.",
        ),
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_an_error_states_place_and_cause(text, sentence):
    assert error_of(text) == sentence


@pytest.mark.parametrize(
    "text", ['"\\ud83d\\udd14 \\\\ud800 \\\\\\ud83d\\udd14 🔔"', '["\\\\", "ud800"]']
)
def test_whole_surrogate_pairs_are_valid(text):
    assert strict_json(rendered(text)) == json.loads(text)


def test_a_very_long_name_is_quoted_only_in_part():
    assert len(error_of('"{{ ' + "x" * 60_000 + ' }}"')) < 250


def test_one_megabyte_is_refused():
    assert (
        error_of('["' + "{{ alert.id }}" * 75_000 + '"]')
        == "The JSON has 1,050,004 bytes; at most 65,536 are allowed."
    )


def test_sixty_four_levels_are_accepted():
    deep = "[" * MAX_DEPTH + '"{{ alert.labels }}"' + "]" * MAX_DEPTH
    assert rendered(deep).startswith("[" * MAX_DEPTH + "{")


def test_an_unknown_name_is_empty_at_delivery():
    assert (
        rendered('["{{ alert.of_tomorrow }}", "<{{ x }}>", "{{ y | 1.0 }}"]', strict=False)
        == '["","<>",1.0]'
    )


@pytest.mark.parametrize(
    "text",
    [
        '"' + "{{ alert.id }}" * 4680 + '"',
        "[" + '"{{alert.id}}",' * 4300 + "1]",
        '"' + "{{a}}" * 10_000 + '"',
        '"' + "{{ alert.id }}" * 10_000 + '"',
        '"' + "{{" * 32_000 + '"',
        '"' + "}}" * 32_000 + '"',
        '"' + "{" * 65_000 + "}}" + '"',
        '"' + "{{}}" * 16_000 + '"',
        '"{{' + " " * 65_000 + '"',
        '"{{ alert.id |' + "'" * 65_000 + ' }}"',
        "{" * 65_536,
        '"' + '\\"' * 32_000 + '"',
        '"' + "\\u0041" * 10_000 + '"',
        '["",' * 60 + '"",' * 21_000 + '""' + "]" * 60,
        '"{{ ' + "alert." * 10_000 + ' }}"',
        '"' + "".join(f"{{{{alert.labels|{number}}}}}" for number in range(2900)) + '"',
        "[" + "".join(f'"{{{{alert.labels|{number}}}}}",' for number in range(2500)) + "1]",
    ],
    ids=lambda text: text[:16],
)
def test_many_placeholders_and_braces_take_no_time(text):
    values = values_of(SAMPLES["huge"])
    with cpu_time() as spent, suppress(TemplateError):
        parse(text).render(values)
    assert spent.seconds < 0.5  # about 0.03 s on a machine that is not busy


# --- at most 256 KB ---

HUGE = {
    "alert.id": "4711",
    "alert.name": "🔔" * 100_000,
    "alert.summary": '\\"\n\x00' * 100_000,
    "alert.url": "x" * 1_000_000,
    "alert.labels": {
        "severity": "critical",
        **{f"label_{number}": "é" * 500 for number in range(1000)},
    },
    "alert.annotations": {"é" * 300_000: 1, "kept": "yes"},
    "alert.ends_at": [["x" * 1000]] * 1000,
    "alert.starts_at_ms": 10**4000,
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("times", [1, 2, 1500])
@pytest.mark.parametrize("leaf", ['"{{ %s }}"', '"é{{ %s }}"', "\"{{ %s | 'of its own' }}\""])
def test_values_are_cut_so_that_256_kilobytes_are_never_exceeded(name, times, leaf):
    message = rendered("[" + ",".join([leaf % name] * times) + "]", HUGE)
    whole = len(json.dumps(HUGE[name], ensure_ascii=False).encode())
    if times * whole > MAX_BYTES:
        assert "…" in message
        assert len(message.encode()) > MAX_BYTES / 2 or isinstance(HUGE[name], dict | list)


def test_an_object_that_is_too_large_keeps_the_members_that_fit():
    text = '["{{ alert.labels }}", "{{ alert.annotations }}"]'
    labels, annotations = json.loads(rendered(text, HUGE))
    assert labels["severity"] == "critical"
    assert labels["label_7"] == "é" * 500
    assert labels["…"] == "…"
    assert 100 < len(labels) < 300
    assert annotations == {"kept": "yes", "…": "…"}


def test_the_text_of_the_template_is_never_cut():
    own = "own text, " * 5000
    message = rendered(
        f'["{own}", "{{{{ alert.url }}}}", "{{{{ alert.of | \'default\' }}}}"]', HUGE, strict=False
    )
    assert message.startswith(f'["{own}","xxx')
    assert message.endswith('x…","default"]')


def test_nothing_is_cut_up_to_256_kilobytes():
    message = rendered('["{{ alert.url }}"]', {"alert.url": "x" * (MAX_BYTES - 4)})
    assert (len(message), "…" in message) == (MAX_BYTES, False)
    assert rendered('["{{ alert.url }}"]', {"alert.url": "x" * (MAX_BYTES - 3)}).endswith('x…"]')


@pytest.mark.parametrize(
    "value", ["🔔" * 80_000, '"' * 200_000, "\x00" * 80_000, "\\" * 200_000, "a\n" * 200_000]
)
@pytest.mark.parametrize("before", range(7))
def test_no_character_and_no_escape_is_cut_apart(value, before):
    cut = json.loads(rendered('["' + "x" * before + '{{ alert.url }}"]', {"alert.url": value}))[0]
    assert cut.endswith("…")
    assert value.startswith(cut[before:-1])


# --- names ---


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_value_in_every_sample(name):
    parse(f'"{{{{ {name} }}}}"')
    for alert in SAMPLES.values():
        values = values_of(alert)
        assert name in values or name in ("alert.labels.severity", "alert.annotations.summary")


DETAILED = {
    "id": "4711",
    "name": "p99 latency above 800 ms",
    "labels": {"service": "checkout", "severity": "critical"},
    "annotations": {
        "summary": "p99 is 1.2 s, limit 800 ms",
        "description": "Requests are queueing.\nCustomers see errors.",
        "runbook_url": "https://wiki.example.com/latency",
        "payload": '{"team": "shop"}',
    },
    "starts_at": "2026-03-02T09:15:30.004Z",
    "url": "https://alerts.example.com/alerts/4711",
    "links": {
        "dashboard": "https://grafana.example.com/d/1",
        "panel": "https://grafana.example.com/d/1?viewPanel=2",
        "silence": "https://grafana.example.com/alerting/silence/new",
    },
    "value": "1.2",
}
PUBLIC = Installation(public_url="https://tocsin.example.com")


def values_with_links(parts):
    """Return the values for an alert of an installation that has a public URL."""
    return PlaceholderValues(AlertText(Event(Alert.from_json(parts), 5, NOW), Settings(), PUBLIC))


def test_the_editors_list_has_a_meaning_and_an_example_for_each_name():
    values = values_with_links(DETAILED)
    assert all(row["meaning"] for row in NAMES.values())
    alone = NAMES.keys() - {"alerts"}
    examples = {name: NAMES[name]["example"] for name in alone}
    assert examples == {name: to_text(values[name]) for name in alone}
    shown = NAMES["alerts"]["example"].removesuffix("…}]")
    assert to_text(values["alerts"]).startswith(shown)


def test_every_name_of_an_alert_is_in_the_object_of_a_list():
    [member] = values_with_links(DETAILED)["alerts"]
    named = {name for name in NAMES if name.startswith("alert.") and name.count(".") == 1}
    assert {f"alert.{name}" for name in member} == named
    values = values_with_links(DETAILED)
    assert all(values[f"alert.{name}"] == value for name, value in member.items())


def test_a_resolution_has_its_duration_and_says_what_it_was_about():
    closed = {**DETAILED, "status": "closed", "ends_at": "2026-03-02T09:27:30.004Z"}
    values = values_with_links(closed)
    assert values["alert.title"] == "Resolved after 12 min: p99 latency above 800 ms · checkout"
    assert values["message.summary"] == "Was critical: p99 is 1.2 s, limit 800 ms"
    assert values["alert.summary"] == "p99 is 1.2 s, limit 800 ms"
    assert values["alert.description"] == "Requests are queueing.\nCustomers see errors."
    assert (values["alert.duration"], values["alert.duration_ms"]) == ("12 min", 720_000)
    assert values["alert.runbook_url"] == "https://wiki.example.com/latency"
    assert (values["group.open"], values["group.resolved"]) == (0, 1)


@pytest.mark.parametrize(
    ("parts", "name", "value"),
    [
        ({}, "alert.duration_ms", None),
        ({"starts_at": "2027-01-01T00:00:00Z"}, "alert.duration_ms", None),
        ({"starts_at": "0001-01-01T00:00:00Z"}, "alert.duration_ms", None),
        ({}, "alert.payload", None),
        ({"annotations": {"payload": "[1, null]"}}, "alert.payload", [1, None]),
        ({"annotations": {"payload": "words"}}, "alert.payload", "words"),
        ({"annotations": {"payload": "[" * 9000}}, "alert.payload", "[" * 9000),
        ({"annotations": {"runbook_url": "see the wiki"}}, "alert.runbook_url", ""),
        ({"annotations": {"dashboard_url": "https://g.example/d"}}, "alert.dashboard_url", None),
        ({}, "alert.tocsin_url", ""),
        ({}, "alert.value", ""),
        ({}, "alert.subject", ""),
    ],
)
def test_an_absent_value_is_empty(parts, name, value):
    if value is None and name.endswith("_url"):
        value = parts["annotations"]["dashboard_url"]
    assert values_with_links(parts)[name] == value


GROUP = text_of_group(
    [
        Event(Alert.from_json({**DETAILED, "id": "1", "status": "closed"}), 1, NOW),
        Event(Alert.from_json({**DETAILED, "id": "2", "name": "DiskFull"}), 2, NOW),
        Event(Alert.from_json({"id": "3", "name": "Slow"}), 3, NOW),
    ],
    "team-db",
    Settings(kind="custom", body='{"all": "{{ alerts }}", "n": "{{ group.size }}"}'),
    Installation("abc", "https://tocsin.example.com"),
)


def test_a_group_has_its_alerts_as_a_list_and_their_number():
    values = PlaceholderValues(GROUP)
    assert values["group.title"] == values["alert.title"] == GROUP.title
    counts = [values[f"group.{name}"] for name in ("size", "open", "resolved")]
    assert counts == [3, 2, 1]
    assert [member["id"] for member in values["alerts"]] == ["3", "2", "1"]
    assert [member["status"] for member in values["alerts"]] == ["open", "open", "closed"]
    assert len({member["key"] for member in values["alerts"]} | {values["alert.key"]}) == 4
    assert values["alert.tocsin_url"] == "https://tocsin.example.com/alerts"
    sent = json.loads(kinds()["custom"].body(GROUP))
    assert (sent["n"], len(sent["all"])) == (3, 3)
    assert sent["all"][1]["runbook_url"] == "https://wiki.example.com/latency"


def test_a_list_that_is_too_large_keeps_the_first_alerts_that_fit():
    alerts = [{"id": number, "text": "é" * 5000} for number in range(100)]
    [kept] = json.loads(rendered('["{{ alerts }}"]', {"alerts": alerts}))
    assert kept[:-1] == alerts[: len(kept) - 1]
    assert (kept[-1], len(kept)) == ("…", 27)


def test_the_values_that_a_template_does_not_use_take_no_time():
    parts = {**DETAILED, "annotations": {"summary": "s", "description": "long " * 12_000}}
    text = '{"text": "{{ alert.title }}: {{ alert.summary }} {{ alert.url }}"}'
    with cpu_time() as spent:
        for _ in range(200):
            body(text, Alert.from_json(parts))
    assert spent.seconds < 0.2  # a build takes 0.1 ms


def test_the_values_are_those_of_the_alert():
    closed = replace(LATENCY, status="closed", ends_at=NOW)
    values = values_of(closed)
    assert (values["alert.status"], values["message.event"], values["alert.severity"]) == (
        "closed",
        "status-changed",
        "critical",
    )
    assert (values["alert.ends_at"], values["alert.ends_at_ms"]) == (
        "2026-03-02T09:41:30.004Z",
        NOW,
    )
    assert values_of(closed, repeated=True)["message.event"] == "recurring"


def test_a_label_cannot_replace_another_name():
    odd = Alert.from_json(
        {"id": "1", "labels": {"NAME": "x", "severity": "page"}, "annotations": {"": "x"}}
    )
    assert set(values_of(odd)) - set(NAMES) == {"alert.labels.NAME"}


# --- mistakes in names ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("title", "alert.title"),
        ("Severity", "alert.severity"),
        ("size", "group.size"),
        ("labels.team", "alert.labels.team"),
        ("alert.description_url", "alert.description"),
        # Go templates of Alertmanager and Grafana.
        (".Alerts", "alerts"),
        (".Alerts.Firing", "alerts"),
        (".Status", "alert.status"),
        (".Labels.instance", "alert.labels.instance"),
        ("$labels.instance", "alert.labels.instance"),
        (".CommonLabels.alertname", "alert.labels.alertname"),
        (".GroupLabels", "alert.labels"),
        (".CommonAnnotations.summary", "alert.annotations.summary"),
        ("- .Annotations.summary -", "alert.annotations.summary"),
        (".StartsAt", "alert.starts_at"),
        (".EndsAt", "alert.ends_at"),
        (".GeneratorURL", "alert.url"),
        (".PanelURL", "alert.panel_url"),
        (".ExternalURL", "alert.tocsin_url"),
        (".ValueString", "alert.value"),
        (".Values.B", "alert.value"),
        ("$value", "alert.value"),
        (".Fingerprint", "alert.key"),
        ("$alert.name", "alert.name"),
    ],
)
def test_a_name_of_another_language_gets_the_name_that_is_meant(name, meant):
    assert error_of(f'"{{{{ {name} }}}}"') == (
        f"Line 1, column 2: {name} is not known; did you mean {meant}?"
    )


@pytest.mark.parametrize(
    "statement",
    ["range .Alerts", "end", "if eq .Status 'firing'", "- with .Labels -", "$x := 1", "#each a"],
)
def test_a_statement_of_another_language_is_explained(statement):
    assert error_of(f'"{{{{ {statement} }}}}"').startswith(
        f"Line 1, column 2: {statement} is a statement of another template language; "
    )


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ("${alert.name}", [("${alert.name}", "alert.name")]),
        ("${ alert.nmae }", [("${ alert.nmae }", "alert.name")]),
        ("${labels.team} ${labels.team}", [("${labels.team}", "alert.labels.team")]),
        ("${HOME}", [("${HOME}", "")]),
        ("$alert.name.", [("$alert.name", "alert.name")]),
        ("$labels.team", [("$labels.team", "alert.labels.team")]),
        ("{% if alert %}", [("{% if alert %}", "")]),
        ("${{ alert.name }} $5 $alert ${} {{ alert.name }} %alert.name%", []),
        ("", []),
    ],
)
def test_a_text_that_looks_like_a_placeholder_is_found_with_the_name_that_it_means(text, literals):
    assert list(find_literals(f'{{"text": "{text}"}}')) == literals


@pytest.mark.parametrize("piece", ["${", "${a", "{%", "$alert.", "$alert.a", "$labels.a.b.c"])
def test_looking_for_such_texts_takes_no_time(piece):
    with cpu_time() as spent:
        list(find_literals(piece * 10_000))
    assert spent.seconds < 0.5


# --- the kind `custom` ---


def body(text, alert, closed=""):
    """Return the body that a channel of kind `custom` sends."""
    settings = Settings(kind="custom", body=text, options=(Header("closed_body", closed),))
    return kinds()["custom"].body(AlertText(Event(alert, 5, NOW), settings))


def test_a_closed_alert_uses_its_own_body_if_there_is_one():
    assert body('["a"]', SAMPLES["open"], '["b"]') == '["a"]'
    assert body('["a"]', SAMPLES["closed"], '["b"]') == '["b"]'
    assert body('["a"]', SAMPLES["closed"], " \r\n") == '["a"]'


@pytest.mark.parametrize("text", ["", "{", '"{{"', '"\\ud800"', "x" * 70_000])
def test_an_invalid_stored_template_fails_every_time(text):
    for _ in range(2):
        with pytest.raises(TemplateError):
            body(text, SAMPLES["open"])


def test_the_form_checks_the_body_for_closed_alerts_like_the_body():
    [option] = kinds()["custom"].options
    assert option.name == "closed_body"
    with pytest.raises(TemplateError):
        option.check('"{{ alert.nmae }}"')
    assert not option.required


@pytest.mark.parametrize("name", STARTERS)
def test_every_starter_renders_every_sample(name):
    starter = STARTERS[name]
    assert 3 <= len(starter.label) <= 24
    assert starter.changes.keys() == {"body", "options-closed_body"}
    for text in filter(None, starter.changes.values()):
        parse(text)
        assert text == text.strip()
        for alert in SAMPLES.values():
            assert isinstance(json.loads(body(text, alert)), dict)


def test_the_starters_are_those_of_the_file():
    rows = tomllib.loads((Path(template.__file__).with_name("starters.toml")).read_text())
    assert list(STARTERS) == list(rows)
    assert kinds()["custom"].starters == STARTERS
    assert all(
        STARTERS[name].changes["options-closed_body"]
        for name, row in rows.items()
        if "closed" in row
    )
    assert all(set(row) <= {"label", "body", "closed"} for row in rows.values())


def test_the_labels_of_a_servicenow_event_are_json_in_a_string():
    for alert in SAMPLES.values():
        [record] = json.loads(body(STARTERS["servicenow"].changes["body"], alert))["records"]
        assert json.loads(record["additional_info"])["labels"] == dict(alert.labels)
    [record] = json.loads(body(STARTERS["servicenow"].changes["body"], Alert()))["records"]
    assert json.loads(record["additional_info"])["labels"] == {}


def test_the_samples_are_open_closed_hostile_and_huge():
    assert list(SAMPLES) == ["open", "closed", "hostile", "huge"]
    assert (SAMPLES["closed"].status, SAMPLES["closed"].ends_at) == ("closed", NOW)
    hostile, huge = SAMPLES["hostile"], SAMPLES["huge"]
    for text in (
        hostile.id,
        hostile.name,
        hostile.url,
        *hostile.labels,
        *hostile.labels.values(),
        *hostile.annotations.values(),
    ):
        assert all(
            trap in text
            for trap in ('"', "\\", "<b>", "{{ alert.name }}", "\x00", "\u202e", "🔔", "\n")
        )
    assert (len(huge.name), len(huge.labels), {len(text) for text in huge.labels.values()}) == (
        10_000,
        200,
        {500},
    )


# --- any template, any alert ---

_texts = st.text(st.characters(exclude_categories=[]), max_size=12)
_sound = st.text(
    st.one_of(st.sampled_from('{}"\\/\n|<é'), st.characters(exclude_categories=["Cs"])), max_size=8
).map(lambda text: text.replace("{{", "{ {").replace("}}", "} }"))
_names = st.one_of(
    st.sampled_from(list(NAMES)), st.sampled_from(["alert.labels.a.b", "alert.annotations.é"])
)
_defaults = st.sampled_from(
    ["", '| "none"', "| 'it is \"so\"'", "|1.10", "| null", "| true", "| 'é\\'"]
)
_slots = st.tuples(_names, _defaults).map(lambda pair: f"{{{{ {pair[0]} {pair[1]} }}}}")
_runs = st.lists(st.one_of(_slots, _sound.filter(bool)), max_size=5).filter(
    lambda pieces: (
        not any(left.endswith("{") or right.startswith("}") for left, right in pairwise(pieces))
    )
)
_leaves = st.one_of(
    _runs, st.sampled_from(["1.10", "-0", "1e400", "12345678901234567890", "null", "true"])
)
_names_of_members = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | _slots
_documents = st.recursive(
    _leaves.map(lambda leaf: ("leaf", leaf)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: ("list", items)),
        st.lists(st.tuples(_names_of_members, inner), max_size=4).map(
            lambda members: ("members", members)
        ),
    ),
    max_leaves=15,
)
_anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        _texts,
        st.binary(max_size=4),
        st.just("x" * 200_000),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(_texts, st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)
_PARTS = ["id", "name", "status", "type", "labels", "annotations", "starts_at", "ends_at", "url"]
_alerts = st.one_of(_anything, st.fixed_dictionaries({}, optional=dict.fromkeys(_PARTS, _anything)))


def written(document, plain):
    """Return the document as JSON."""
    shape, inner = document
    if shape == "list":
        return "[" + " ,\n".join(written(item, plain) for item in inner) + "]"
    if shape == "members":
        members = [
            f"{json.dumps(name, ensure_ascii=plain)} : {written(item, plain)}"
            for name, item in inner
        ]
        return "{" + ",".join(members) + "}"
    if isinstance(inner, list):
        return json.dumps("".join(inner), ensure_ascii=plain)
    return inner


def compare(document, message):
    """Fail unless the message equals the document outside its placeholders."""
    shape, inner = document
    if shape == "list":
        assert isinstance(message, list)
        assert len(message) == len(inner)
        for item, value in zip(inner, message, strict=True):
            compare(item, value)
    elif shape == "members":
        assert message[0] == "object"
        assert [name for name, _ in message[1]] == [name for name, _ in inner]
        for (_, item), (_, value) in zip(inner, message[1], strict=True):
            compare(item, value)
    elif isinstance(inner, str):
        assert message == strict_json(inner)
    elif not (
        len([piece for piece in inner if piece]) == 1
        and any(piece.startswith("{{") for piece in inner)
    ):
        assert isinstance(message, str)
        rest = message
        for piece in inner:
            if not piece.startswith("{{"):
                assert piece in rest
                rest = rest[rest.index(piece) + len(piece) :]


@budget(deadline=None, max_examples=250)
@given(_documents, _alerts, st.booleans(), st.booleans())
@example(("list", [("leaf", ["{{ alert.name  }}"])] * 40), {"name": "x" * 200_000}, True, False)
def test_any_document_with_any_alert_is_json_of_the_same_shape(document, parts, plain, repeated):
    text = written(document, plain)
    message = parse(text).render(values_of(Alert.from_json(parts), repeated))
    compare(document, strict_json(message))
    assert len(message.encode()) <= MAX_BYTES


@budget(deadline=None, max_examples=150)
@given(_documents, st.dictionaries(st.sampled_from(list(NAMES)), _anything, max_size=6))
def test_any_document_with_any_values_is_json_of_the_same_shape(document, values):
    message = parse(written(document, False)).render(values)
    compare(document, strict_json(message))
    assert len(message.encode()) <= MAX_BYTES


_shards = st.lists(
    st.sampled_from(
        [
            "{{",
            "}}",
            "{",
            "}",
            '"',
            "\\",
            "'",
            "|",
            " ",
            "alert.",
            "name",
            "\\u",
            "d83d",
            "007b",
            "[",
            "]",
            ",",
            ":",
            "\ud800",
        ]
    )
).map("".join)


@budget(deadline=None, max_examples=300)
@given(
    st.one_of(
        st.text(st.characters(exclude_categories=[])),
        _shards,
        _shards.map(lambda text: f'"{text}"'),
    ),
    st.booleans(),
)
@example("[" * 65_536, True)
@example('"\\' * 30_000, True)
@example('"{{alert.labels.\\u0000|\\u0027\\\\\\u0027}}"', True)
def test_no_text_raises_anything_but_an_error_of_one_sentence(text, strict):
    try:
        message = parse(text, strict).render(VALUES)
    except TemplateError as error:
        assert str(error).endswith((".", "?"))
        assert "\n" not in str(error)
        return
    strict_json(message)


@budget(deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | _sound,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_sound, inner, max_size=4),
        max_leaves=20,
    ),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_json_without_placeholders_stays_the_same(value, plain, indent):
    text = json.dumps(value, ensure_ascii=plain, indent=indent)
    assert json.dumps(json.loads(rendered(text))) == json.dumps(value)
