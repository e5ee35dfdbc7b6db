"""Tests of the JSON readers: what each accepts, and the position of an error."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivery.json_text import (
    MAX_BYTES,
    MAX_DEPTH,
    JsonError,
    check_json,
    parse_lenient,
    parse_or_none,
    parse_strict,
)


def problem(text):
    """Return the message of a refusal."""
    with pytest.raises(JsonError) as refusal:
        check_json(text)
    return str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "null",
            "true",
            "false",
            "[]",
            "{}",
            '""',
            "0",
            "-0",
            "-0.0",
            "1.10",
            "1e400",
            "-1E-400",
            "12345678901234567890",
        ),
        "9" * 5000,
        f"0.{'1' * 5000}e{'9' * 50}",
        ' \r\n\t{"a" : [1 , null]}\n ',
        '{"a": 1, "a": 2}',
        '{"": {"é": "\\ud83d\\udd14 🔔 \\u0000"}}',
        '"\\ud800"',
        '"\ud800"',
        '"NaN Infinity -Infinity"',
        "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH,
        "[" + "[[]]," * 1000 + "[]]",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_any_json_value_is_accepted(text):
    check_json(text)


@pytest.mark.parametrize(
    "text",
    [
        '"' + "[" * 100 + '"',
        '{"' + "{[" * 100 + '": "' + "}]" * 100 + '"}',
        '["\\"' + "[" * 100 + '\\\\"]',
        json.dumps('"[' * 500),
    ],
)
def test_brackets_inside_strings_are_not_counted(text):
    check_json(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "[" * 30_000, '["x",' * 65, "[[{" * 22],
)
def test_more_than_64_levels_are_refused(text):
    assert "nested deeper than 64 levels" in problem(text)


def test_the_message_points_at_the_first_level_that_is_too_deep():
    assert problem("[" * 65 + "]" * 65).startswith("Line 1, column 65:")
    assert problem("[\n" * 65).startswith("Line 65, column 1:")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000,
        '"' * 100_000,
        "\\" * 100_000,
    ],
)
def test_a_hundred_thousand_levels_are_refused_by_their_size(text):
    assert "at most 65,536" in problem(text)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("around", ["{}", "[1, {}]", ' {{"a": {}}}'])
def test_nan_and_infinity_are_refused_by_name(name, around):
    text = around.format(name)
    assert problem(text).startswith(f"Line 1, column {text.index(name) + 1}: {name} is not JSON")


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "inf",
        "+Infinity",
        "-NaN",
        "undefined",
        "None",
        "True",
        "0x10",
        "1_000",
        ".5",
        "+1",
        "01",
        "1.",
        "٣",
    ],
)
def test_a_text_that_resembles_a_value_is_refused(text):
    assert problem(text).startswith("Line 1, column ")


@pytest.mark.parametrize("character", ["a", "é", "€", "🔔"])
def test_64_kilobytes_are_accepted_and_one_more_byte_is_refused(character):
    width = len(character.encode())
    text = '"' + character * ((MAX_BYTES - 2) // width)
    text += "x" * (MAX_BYTES - 1 - len(text.encode())) + '"'
    assert len(text.encode()) == MAX_BYTES
    check_json(text)
    assert problem(f"{text} ") == "The JSON has 65,537 bytes; at most 65,536 are allowed."


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "Line 1, column 1", "ends too early"),
        ("  \n ", "Line 2, column 2", "ends too early"),
        ("[1, 2", "Line 1, column 6", "a comma or a closing bracket"),
        ('{"a": ', "Line 1, column 7", "ends too early"),
        ('{"a": 1,\n "b": nul}', "Line 2, column 7", "a value is missing"),
        ("[,]", "Line 1, column 2", "a value is missing"),
        ('{"a" 1}', "Line 1, column 6", "a colon is missing"),
        ("{a: 1}", "Line 1, column 2", "a name in double quotes"),
        ("{'a': 1}", "Line 1, column 2", "use double quotes for a string"),
        ("['a']", "Line 1, column 2", "use double quotes for a string"),
        ("[1 2]", "Line 1, column 4", "a comma or a closing bracket"),
        ("[\r\n  1\r\n  2\r\n]", "Line 3, column 3", "a comma or a closing bracket"),
        ("[1,]", "Line 1, column 4", "remove the comma before the closing bracket"),
        ('{"a": 1,\n}', "Line 2, column 1", "remove the comma before the closing bracket"),
        ("{} {}", "Line 1, column 4", "the JSON ends before this"),
        ("]", "Line 1, column 1", "a value is missing"),
        ('["é", x]', "Line 1, column 7", "a value is missing"),
        ('"a\nb"', "Line 1, column 3", "a line break or another control character"),
        ('"a\tb"', "Line 1, column 3", "a line break or another control character"),
        ('["\\x"]', "Line 1, column 3", "a backslash in a string must be doubled"),
        ('["\\u12"]', "Line 1, column 4", "four hexadecimal digits"),
        ('[\n"abc]', "Line 2, column 1", "no closing quote"),
        ("\ufeff{}", "Line 1, column 1", ""),
    ],
)
def test_a_message_has_position_and_reason(text, place, words):
    sentence = problem(text)
    assert sentence.startswith(f"{place}: ")
    assert words in sentence
    assert sentence.endswith(".")


_shards = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            '"',
            "\\",
            ",",
            ":",
            "'",
            "null",
            "NaN",
            "-Infinity",
            "1e9",
            "-",
            "\n",
            " ",
            "é",
            "\ud800",
            "\\u",
        ]
    )
).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(st.characters(exclude_categories=[])), _shards))
@example("[" * 65_536)
@example('"\\' * 30_000)
@example("9" * 65_536)
def test_no_text_raises_another_exception(text):
    try:
        check_json(text)
    except JsonError:
        return
    json.loads(text, parse_int=str, parse_float=str, parse_constant=pytest.fail)


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(_values, st.booleans(), st.sampled_from([None, 2]))
def test_the_output_of_a_json_library_is_accepted(value, plain, indent):
    check_json(json.dumps(value, ensure_ascii=plain, indent=indent))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("NaN", "Line 1, column 1"),
        ('["NaN",\n -Infinity]', "Line 2, column 2"),
        ('{"a": Infinity}', "Line 1, column 7"),
    ],
)
def test_a_constant_that_is_not_json_is_named_with_its_position(text, place):
    with pytest.raises(JsonError, match=f"^{place}: "):
        check_json(text)


@pytest.mark.parametrize("parse", [parse_strict, parse_lenient])
def test_the_parsers_return_ordinary_values(parse):
    text = '\ufeff{"a": [1, 1.5, true, null, "é", "\\ud83d\\ude00"]}'
    assert parse(text.encode()) == {"a": [1, 1.5, True, None, "é", "😀"]}
    assert parse(b"9" * 4000) == int("9" * 4000)
    assert parse(b"9" * 5000) == float("inf")


@pytest.mark.parametrize("parse", [parse_strict, parse_lenient])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Line 1, column 1: the JSON ends too early"),
        (b'{"a": NaN}', "Line 1, column 7: NaN is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1,]", "Line 1, column 4: remove the comma"),
    ],
)
def test_the_parsers_refuse_what_is_not_json(parse, data, message):
    with pytest.raises(JsonError) as refusal:
        parse(data)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("data", "message", "lenient"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "The member 'a' appears twice", {"a": 3, "b": 2}),
        (b'["\xff"]', "not valid UTF-8", ["\ufffd"]),
        (b'["\\ud800"]', "half of a surrogate pair", ["?"]),
        (b'{"\\uDC00": 1}', "half of a surrogate pair", {"?": 1}),
    ],
)
def test_only_the_lenient_parser_accepts_an_ambiguous_text(data, message, lenient):
    with pytest.raises(JsonError) as refusal:
        parse_strict(data)
    assert message in str(refusal.value)
    assert parse_lenient(data) == lenient


@pytest.mark.parametrize("parse", [parse_strict, parse_lenient])
def test_the_parsers_raise_no_other_error_at_any_depth(parse):
    for depth in range(900, 1100):
        try:
            parse(b'["\\ud83d\\ude00",' * depth + b"1" + b"]" * depth)
        except JsonError as error:
            assert "nested too deeply" in str(error)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000])
def test_an_invalid_stored_text_is_none(text):
    assert parse_or_none(text) is None
    assert parse_or_none('{"a": 1}') == {"a": 1}
