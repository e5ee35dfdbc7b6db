"""Escapes: what would act is disarmed, and every other text stays as it is."""

import html
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from delivery.escaping import (
    URL,
    ZERO_WIDTH_SPACE,
    break_chat_tags,
    break_group_mentions,
    break_markdown,
    break_mentions,
    escape_html,
    escape_lark,
    escape_markdown,
    escape_mattermost,
)

ESCAPES: dict[str, Callable[[str], str]] = {
    "html": escape_html,
    "markdown": escape_markdown,
    "mattermost": escape_mattermost,
    "lark": escape_lark,
    "break_markdown": break_markdown,
    "break_mentions": break_mentions,
    "break_group_mentions": break_group_mentions,
    "break_chat_tags": break_chat_tags,
}
MARKDOWN = ["markdown", "mattermost", "lark"]

# --- what does not act stays ---

ORDINARY = [
    "Replication lag is 48 s, 50% above the limit!",
    "file_name_with_underscores and snake_case.py",
    "ops@example.com, first_last@mail-host.example",
    "p99 5 * 3 = 15, a - b + c, x _ y",
    "100 * rate(errors[5m]) > 0.5",
    "C:\\Windows\\Temp",
    "[ERROR] disk full (see [1] and [2])",
    "R and D, a:b, 12:30:45, {{ x }}, ${HOME}, 'quoted' \"twice\"",
    "-5 degrees\n+49 30 1234\n1.5 s\n#1 of 3",
    "~10 min, a|b, a ~ b",
    "語 über 🔔",
    "",
]
URLS = [
    "https://wiki.example/run_books/_a_/*b*/c_?x=1&y=2#f",
    "https://wiki.example/a_(b)_(c)/d",
    "http://host.example:9090/graph?g0.expr=rate%28x%5B5m%5D%29&g0.tab=1",
    "HTTPS://WIKI.EXAMPLE/A_B_",
    "https://wiki.example/~user/_x_",
]


@pytest.mark.parametrize("text", ORDINARY)
@pytest.mark.parametrize("name", sorted(ESCAPES.keys() - {"html", "break_markdown"}))
def test_a_text_without_markup_stays_as_it_is(name, text):
    assert ESCAPES[name](text) == text


@pytest.mark.parametrize("text", [text for text in ORDINARY if "#1" not in text])
def test_a_text_without_markup_has_no_zero_width_space(text):
    assert break_markdown(text) == text


@pytest.mark.parametrize("frame", ["{}", "see {}, now", "({})", "At {}.", "<{}>", "{}: x", "“{}”!"])
@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("name", [*MARKDOWN, "break_mentions", "break_group_mentions"])
def test_a_url_stays_as_it_is_wherever_it_stands(name, url, frame):
    text = frame.format(url)
    assert ESCAPES[name](text) == text


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("See https://wiki.example/a_b.", "https://wiki.example/a_b"),
        ("(https://wiki.example/a)", "https://wiki.example/a"),
        ("**https://wiki.example/a**", "https://wiki.example/a"),
        ("[x](https://wiki.example/a)", "https://wiki.example/a"),
        ("'https://wiki.example/a', …", "https://wiki.example/a"),
        ("https://wiki.example/a?b=1&c=2, d", "https://wiki.example/a?b=1&c=2"),
    ],
)
def test_a_url_ends_before_what_ends_a_sentence(text, url):
    assert URL.search(text)[1] == url


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("**https://wiki.example/a**", "\\*\\*https://wiki.example/a**"),
        ("_https://wiki.example/a_ and _b_", "\\_https://wiki.example/a_ and \\_b\\_"),
        ("`https://wiki.example/a`", "\\`https://wiki.example/a\\`"),
        ("[x](https://wiki.example/a)", "[x]\\(https://wiki.example/a)"),
    ],
)
def test_the_markup_around_a_url_is_escaped_before_it_and_is_no_part_of_it(text, escaped):
    assert escape_markdown(text) == escaped
    assert escape_mattermost(text) == escaped


# --- what acts is disarmed ---

# A text, and what it becomes with backslashes.
ACTS = [
    ("*bold* and **bold**", "\\*bold\\* and \\*\\*bold\\*\\*"),
    ("*.log and *.txt", "\\*.log and \\*.txt"),
    ("_italic_ and __init__", "\\_italic\\_ and \\_\\_init\\_\\_"),
    ("a_ _b", "a\\_ \\_b"),
    ("`code` and ```code```", "\\`code\\` and \\`\\`\\`code\\`\\`\\`"),
    ("~~deleted~~", "\\~\\~deleted\\~\\~"),
    ("||hidden||", "\\|\\|hidden\\|\\|"),
    ("[x](y), ![x](y), [a [b] c](d)", "[x]\\(y), ![x]\\(y), [a [b] c]\\(d)"),
    ("\\*x\\*", "\\\\\\*x\\\\\\*"),
    ("\\\\server\\share", "\\\\\\server\\share"),
    ("a\\\nb", "a\\\\\nb"),
    ("# heading\n### heading\n   # heading", "\\# heading\n\\### heading\n   \\# heading"),
    ("> quote\n>quote", "\\> quote\n\\>quote"),
    ("- item\n+ item\n* item\n-# small", "\\- item\n\\+ item\n\\* item\n\\-# small"),
    ("1. item\n23) item", "1\\. item\n23\\) item"),
    ("x\n---\n- - -\n* * *\n_ _ _", "x\n\\---\n\\- - -\n\\* * *\n\\_ _ _"),
    ("| a | b |\n|---|:--|", "| a | b |\n\\|---|:--|"),
    ("a | b\n:-- | --:", "a | b\n:\\-- | --:"),
    ("[ERROR]: disk\n[a\nb]: c", "\\[ERROR]: disk\n\\[a\nb]: c"),
]
# Signs that Mattermost shows with a backslash: it reads entities.
ACTS_OTHERWISE = [
    ("<b>x</b> <!-- y -->", "\\<b>x\\</b> \\<!-- y -->", "&#60;b>x&#60;/b> &#60;!-- y -->"),
    ("<@U1> <#C1> <:e:1> <t:1:R>", "\\<@U1> \\<#C1> \\<:e:1> \\<t:1:R>", None),
    ("a < b, 1 <2, x<-y", "a < b, 1 <2, x<-y", "a < b, 1 <2, x<-y"),
    ("&amp; &#42; R&D; R&D", "\\&amp; \\&#42; R\\&D; R&D", "&#38;amp; &#38;#42; R&#38;D; R&D"),
    ("x\n===\na = b", "x\n\\===\na = b", "x\n&#61;==\na = b"),
]


@pytest.mark.parametrize(("text", "escaped"), ACTS)
def test_markdown_is_disarmed_with_backslashes(text, escaped):
    assert escape_markdown(text) == escaped
    assert escape_mattermost(text) == escaped


@pytest.mark.parametrize(("text", "markdown", "mattermost"), ACTS_OTHERWISE)
def test_a_sign_without_a_backslash_in_mattermost_is_an_entity_there(text, markdown, mattermost):
    assert escape_markdown(text) == markdown
    assert mattermost is None or escape_mattermost(text) == mattermost


def test_a_deep_indentation_makes_no_code_in_mattermost():
    text = "Run:\n\n    rm *.log\n  x"
    assert escape_mattermost(text) == "Run:\n\n&#160;   rm \\*.log\n  x"
    assert escape_markdown(text) == "Run:\n\n    rm \\*.log\n  x"


@pytest.mark.parametrize("text", [text for text, *_ in (*ACTS, *ACTS_OTHERWISE)])
def test_lark_gets_an_entity_for_every_sign_that_others_escape(text):
    escaped = escape_lark(text)
    assert html.unescape(escaped) == text
    backslash = re.compile(r"\\([^0-9A-Za-z ])")
    signs = backslash.sub(lambda sign: f"&#{ord(sign[1])};", escape_markdown(text))
    assert escaped == signs


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b> & </b> > <!channel>", "&lt;b&gt; &amp; &lt;/b&gt; &gt; &lt;!channel&gt;"),
        ("&amp;", "&amp;amp;"),
        ("'a' \"b\" *c* _d_", "'a' \"b\" *c* _d_"),
        ("https://h.example/?a=1&b=2", "https://h.example/?a=1&amp;b=2"),
    ],
)
def test_tags_and_entities_are_escaped_for_html_and_quotes_are_not(text, escaped):
    assert escape_html(text) == escaped
    assert html.unescape(escaped) == text


Z = ZERO_WIDTH_SPACE


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("[x](y) [z]", f"[x]{Z}(y) [z]"),
        ("<b> </b> <@u> <!x> a < b", f"<{Z}b> <{Z}/b> <{Z}@u> <{Z}!x> a < b"),
        ("# a\n> b\n- c\n1. d\n2) e", f"{Z}# a\n{Z}> b\n{Z}- c\n{Z}1. d\n{Z}2) e"),
        ("*.log\n-5 x\n+49 1\n1.5 s", "*.log\n-5 x\n+49 1\n1.5 s"),
        ("---\n***\n===\n- - -", f"{Z}---\n{Z}***\n{Z}===\n{Z}- - -"),
        ("file_name, a@b.example", "file_name, a@b.example"),
    ],
)
def test_links_tags_and_line_marks_are_broken_where_no_escape_is_known(text, broken):
    assert break_markdown(text) == broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("@channel @all: @here", f"@{Z}channel @{Z}all: @{Z}here"),
        ("@Channel, (@bob) _@bob é@bob", f"@{Z}Channel, (@{Z}bob) _@{Z}bob é@{Z}bob"),
        ("https://h.example/@bob", "https://h.example/@bob"),
        ("https://h.example/@all", f"https://h.example/@{Z}all"),
        ("ops@mail.example @ 5 a@", "ops@mail.example @ 5 a@"),
    ],
)
def test_mentions_are_broken_and_addresses_are_not(text, broken):
    assert break_mentions(text) == broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("@channel @everyone_ @HERE.", f"@{Z}channel @{Z}everyone_ @{Z}HERE."),
        ("@bob @allison ops@mail.example", "@bob @allison ops@mail.example"),
    ],
)
def test_mentions_of_whole_groups_are_broken(text, broken):
    assert break_group_mentions(text) == broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("<users/all> <USERS/1>", f"<{Z}users/all> <{Z}USERS/1>"),
        ("<https://evil.example|x>", f"<{Z}https://evil.example|x>"),
        ("<mailto:a@b.example|x>", f"<{Z}mailto:a@b.example|x>"),
        ("a < b <b> *x*", "a < b <b> *x*"),
    ],
)
def test_mentions_and_links_of_google_chat_are_broken(text, broken):
    assert break_chat_tags(text) == broken


# --- any text is shown as it is ---

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_pieces = st.sampled_from(
    [
        *"`*_~|[]()<>&\\#+-=.:!1a \n",
        *("é", "語", "🔔", "&amp;", "&#42;", "](", "]:", "  ", "    ", "\n\n", "@x", "a_b"),
        *("---", "===", "| a | b |", "|---|", "1.", "2)", "<b>", "<!--", "**", "__", "~~~", "```"),
    ]
)
_texts = st.lists(_pieces, max_size=14).map("".join)


def shown(markdown):
    """Return the text that a reader of CommonMark shows; fail if any of it is formatted."""
    texts = []
    for block in READER.parse(markdown):
        assert block.type in ("paragraph_open", "inline", "paragraph_close"), markdown
        for part in block.children or ():
            assert part.type in ("text", "softbreak", "hardbreak"), markdown
            texts.append(part.content if part.type == "text" else "\n")
        texts.append("\n")
    return "".join(texts)


def lines_of(text):
    """Return the lines of a text that are not empty, without blanks around them."""
    lines = (line.strip(" ") for line in text.replace("\u00a0", " ").split("\n"))
    return list(filter(None, lines))


@settings(deadline=None, max_examples=500)
@given(_texts)
def test_an_escaped_text_is_shown_as_it_is_by_any_reader_of_markdown(text):
    assert lines_of(shown(escape_mattermost(text))) == lines_of(text)
    # An indentation stays: the services that read these escapes make no code of it.
    text = re.sub("^ +", "", text, flags=re.MULTILINE)
    for escape in (escape_markdown, escape_lark):
        assert lines_of(shown(escape(text))) == lines_of(text)


@settings(deadline=None, max_examples=200)
@given(_texts)
def test_no_escape_loses_or_adds_a_letter(text):
    assert html.unescape(escape_html(text)) == text
    for broken in (break_markdown(text), break_mentions(text), break_chat_tags(text)):
        assert broken.replace(ZERO_WIDTH_SPACE, "") == text
