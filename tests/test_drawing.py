"""Drawings of messages: the dialects, the kinds, and docs/messages.md."""

import importlib.util
import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kind_support import AT, LINK, VENDOR_KINDS, channel_of

from delivery.alerts.alert import Alert
from delivery.alerts.samples import samples
from delivery.channel_test import sample_bodies, sample_texts
from delivery.content.alert_text import AlertText
from delivery.drawing import lines, markup
from delivery.drawing.drawers import DRAWERS, draw
from delivery.drawing.lines import read_lines
from delivery.drawing.markup import Inline
from delivery.drawing.model import Family, Viewer, nearest_color
from delivery.drawing.tags import read_tag_blocks, read_tags
from delivery.event import Event
from delivery.installation import Installation
from delivery.kinds import kinds
from delivery.message import write_body

ROOT = Path(__file__).parent.parent
VIEWER = Viewer(AT, UTC)
INSTALLATION = Installation("1", "https://tocsin.example", UTC)
SECONDS = AT // 1000 - 12 * 60


def show(spans):
    """Return spans as text, with the look of each part in braces before it."""
    shown = ""
    for span in spans:
        look = [*sorted(span.styles), *filter(None, [span.color, span.link])]
        shown += f"{{{' '.join(look)}|{span.text}}}" if look else span.text
    return shown


# --- inside a line ---

MARKDOWN = [
    ("a **b** c", "a {bold|b} c"),
    ("a *b* _c_ d_e_f", "a {italic|b} {italic|c} d_e_f"),
    ("**a *b* c**", "{bold|a }{bold italic|b}{bold| c}"),
    ("~~a~~ ~b~", "{strike|a} ~b~"),
    ("`a*b*` c", "{code|a*b*} c"),
    ("[a](https://x.example/_b_) c", "{https://x.example/_b_|a} c"),
    (
        "see https://x.example/a_b_c, then",
        "see {https://x.example/a_b_c|https://x.example/a_b_c}, then",
    ),
    ("2 * 3 * 4 and ** and __", "2 * 3 * 4 and ** and __"),
    ("**a\nb**", "**a\nb**"),
]
ESCAPED = [
    (r"\*a\* \_b\_ \`c\` \[d](https\://x)", "*a* _b_ `c` [d](https://x)"),
    (r"**a\*b**", "{bold|a*b}"),
    (r"C:\dir \# x", r"C:\dir # x"),
]
FONT = [
    ('<font color="warning">a</font> b', "{orange|a} b"),
    ('**<font color="info">a</font>** b', "{bold green|a} b"),
    ("<font color='#d0342c'>a</font>", "{red|a}"),
    ('<font color="nope">a</font>', "a"),
]
DIALECTS = {
    "MRKDWN": [
        ("a *b* _c_ ~d~ `e`", "a {bold|b} {italic|c} {strike|d} {code|e}"),
        ("&lt;b&gt; &amp;amp; \\* **c**", "<b> &amp; \\* **c**"),
        ("<https://x.example/?a=1&amp;b|c> d", "{https://x.example/?a=1&b|c} d"),
        ("<https://x.example>", "{https://x.example|https://x.example}"),
        ("<!channel> <@U123> &lt;!here&gt;", "{mention|@channel} {mention|@U123} <!here>"),
        (
            f"at <!date^{SECONDS}^{{date_short_pretty}} {{time}}|then>",
            "at {time|Mar 2, 2026 09:03}",
        ),
        (f"<!date^{SECONDS}^{{ago}}|then>", "{time|12 min ago}"),
        ("<!date^999999999999^{date}|long ago>", "long ago"),
        ("```a *b*\n&lt;c```", "{code|a *b*\n<c}"),
    ],
    "DISCORD": [
        *MARKDOWN,
        *ESCAPED,
        (f"<t:{SECONDS}:f>", "{time|2 March 2026 09:03}"),
        (f"<t:{SECONDS}> (<t:{SECONDS}:R>)", "{time|2 March 2026 09:03} ({time|12 min ago})"),
        ("<t:999999999999999:R>", "Invalid date"),
        ("||a|| <@&42> <b>", "{spoiler|a} {mention|@&42} <b>"),
    ],
    "MATTERMOST": [*MARKDOWN, *ESCAPED, ("@channel a@b.example", "{mention|@channel} a@b.example")],
    "TEAMS": [MARKDOWN[0], MARKDOWN[1], *ESCAPED[1:], ("<b>a</b>", "<b>a</b>")],
    "LARK": [*MARKDOWN, *FONT, ("&#42;a&#42; &#38;lt;", "*a* &lt;"), (r"\*a", r"\*a")],
    "DINGTALK": [*MARKDOWN, *FONT, (r"\_a", r"\_a")],
    "WECOM": [*FONT, MARKDOWN[0], ("*a* _b_ <@user>", "*a* _b_ {mention|@user}")],
    "CHAT_TEXT": [
        (
            "*a* <users/all> <https://x.example|b>",
            "{bold|a} {mention|@users/all} {https://x.example|b}",
        ),
        ("&lt; <\u200busers/all>", "&lt; <\u200busers/all>"),
    ],
    "PLAIN": [("*a* https://x.example/b.", "*a* {https://x.example/b|https://x.example/b}.")],
}


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [(name, *row) for name, table in DIALECTS.items() for row in table],
)
def test_a_dialect_reads_what_its_service_reads(dialect, text, expected):
    assert show(Inline(getattr(markup, dialect), VIEWER).read(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>a</b> <i>b</i> &lt;c&gt;", "{bold|a} {italic|b} <c>"),
        ('<a href="https://x.example/?a=1&amp;b">c</a>', "{https://x.example/?a=1&b|c}"),
        ("<b>a<u>b</u></b>", "{bold|a}{bold underline|b}"),
        ('<font color="#d0342c">a</font><br>b', "{red|a}\nb"),
        ("a < b </b> <script>x</script>", "a < b </b> <script>x</script>"),
        ("<b>never closed", "{bold|never closed}"),
        ("@channel_name x", "{mention|@channel_name} x"),
    ],
)
def test_tags_are_read_and_unknown_ones_are_texts(text, expected):
    assert show(read_tags(text, Inline(markup.TELEGRAM, VIEWER))) == expected


def test_a_quote_of_telegram_is_a_block():
    blocks = read_tag_blocks(
        "a\n<blockquote expandable>b\nc</blockquote>", Inline(markup.TELEGRAM, VIEWER)
    )
    assert [(one.shape, one.text) for one in blocks] == [("text", "a"), ("quote", "b\nc")]


# --- lines ---


@pytest.mark.parametrize(
    ("signs", "text", "expected"),
    [
        ("MARKDOWN", "#### a\n\nb\nc\n\nd", ["heading a", "text b\nc", "text d"]),
        ("MARKDOWN", "- a\n2. b\n> c\n> d", ["item • a", "item 2. b", "quote c\nd"]),
        ("DISCORD", "#### a\n# b", ["text #### a", "heading b"]),
        ("WECOM", "- a\n> b", ["text - a", "quote b"]),
        ("SLACK", "a\n&gt; b", ["text a", "quote b"]),
        ("TEAMS", "# a\n- b", ["text # a", "item • b"]),
    ],
)
def test_signs_at_the_beginning_of_a_line_make_blocks(signs, text, expected):
    blocks = read_lines(text, getattr(lines, signs), Inline(markup.DINGTALK, VIEWER))
    assert [f"{one.shape} {one.text}" for one in blocks] == expected


def test_dingtalk_joins_lines_unless_two_blanks_or_an_empty_line_are_between_them():
    inline = Inline(markup.DINGTALK, VIEWER)
    blocks = read_lines("a\nb  \nc\n\nd", lines.MARKDOWN, inline, joins_lines=True)
    assert [one.text for one in blocks] == ["a b  \nc", "d"]


@pytest.mark.parametrize(
    ("color", "name"),
    [("#d0342c", "red"), (0x2E8540, "green"), ("e0a100", ""), (None, ""), (-1, ""), (2**40, "")],
)
def test_a_color_is_the_nearest_of_the_palette(color, name):
    assert nearest_color(color) == name


# --- the kinds ---


def drawing_of(kind, sample="open", **options):
    text = sample_texts(channel_of(kind, **options), INSTALLATION, AT * 1_000_000)[sample]
    return draw(kind, write_body(text), VIEWER)


def test_every_vendor_kind_is_drawn_and_other_kinds_are_not():
    assert set(DRAWERS) == set(VENDOR_KINDS)
    for kind in kinds().keys() - DRAWERS.keys():
        assert drawing_of(kind) is None
    assert draw("of a newer version", "{}", VIEWER) is None


FAMILIES = {
    **dict.fromkeys(VENDOR_KINDS, Family.CARD),
    **dict.fromkeys(["ntfy", "gotify", "pushover"], Family.PUSH),
    **dict.fromkeys(["pagerduty", "opsgenie"], Family.INCIDENT),
}


@pytest.mark.parametrize("kind", VENDOR_KINDS)
@pytest.mark.parametrize("sample", ["open", "closed", "hostile", "huge", "group"])
def test_every_sample_has_a_drawing_of_the_family_with_a_notification(kind, sample):
    drawing = drawing_of(kind, sample)
    assert drawing.family == FAMILIES[kind]
    assert drawing.push_title or drawing.push_text
    assert drawing.blocks or drawing.lead
    for one in (*drawing.lead, *drawing.blocks):
        assert one.text.strip(), (kind, one)


def without_breaks(text):
    """Return a text without zero-width spaces, and with single blanks for white space."""
    return " ".join(text.replace("\u200b", "").split())


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_every_text_of_an_open_alert_is_visible(kind):
    shown = without_breaks(drawing_of(kind).text)
    alert = sample_texts(channel_of(kind), INSTALLATION, AT * 1_000_000)["open"]
    texts = [alert.subject, alert.summary, *alert.description.split("\n")]
    texts += [part for fact in alert.facts for part in fact]
    for text in texts:
        assert without_breaks(text) in shown, (kind, text)
    # A link is a button with its name, or a line with its URL.
    for link in alert.links:
        assert link.name in shown or link.url in shown, (kind, link)


MARKUP = (
    "a *b* _c_ `d` [e](https://f.example/g_h) ~~i~~ **j** &amp; <b>k</b> "
    "<font color='red'>l</font> # m"
)
# These services know no escape for some of these signs.
WITHOUT_ESCAPES = {"slack", "dingtalk", "wecom"}


@pytest.mark.parametrize("kind", sorted(set(VENDOR_KINDS) - WITHOUT_ESCAPES))
def test_markup_in_an_alert_is_read_as_text(kind):
    alert = Alert(
        name=MARKUP,
        labels={"instance": MARKUP, "team": MARKUP},
        annotations={"summary": MARKUP, "description": f"{MARKUP}\n- n\n> o\n1. p"},
        starts_at=AT,
        url=LINK,
    )
    body = write_body(AlertText(Event(alert, 1, AT), channel_of(kind)))
    shown = without_breaks(draw(kind, body, VIEWER).text)
    assert shown.count(without_breaks(MARKUP)) >= 2, shown
    assert "- n > o 1. p" in shown


def test_a_workflow_of_slack_decides_what_its_message_looks_like():
    url = "https://hooks.slack.com/triggers/T0/123/abc"
    text = sample_texts(channel_of("slack", url), INSTALLATION, AT * 1_000_000)["open"]
    assert draw("slack", write_body(text), VIEWER) is None


@pytest.mark.parametrize("kind", VENDOR_KINDS)
def test_a_secret_of_the_channel_is_masked_in_a_drawing_too(kind):
    channel = replace(channel_of(kind), auth="bearer", auth_secret="storage")
    for sample in sample_bodies(channel, INSTALLATION):
        assert "storage" not in sample.body
        assert "storage" not in sample.drawing.text
        assert "eu-1" in sample.drawing.text or sample.name != "open"


@pytest.mark.parametrize(
    ("kind", "body", "note"),
    [
        ("telegram", {"disable_notification": True}, "Arrives without a sound."),
        ("discord", {"content": "x", "flags": 4096}, "Arrives without a sound."),
        ("ntfy", {"priority": 5}, "Priority 5 of 5"),
        ("gotify", {"priority": 2}, "Priority 2 of 10: no sound."),
        ("pushover", {"priority": -1, "sound": "siren"}, "no sound. Sound: siren."),
    ],
)
def test_a_drawing_says_how_loud_the_message_is(kind, body, note):
    assert note in draw(kind, json.dumps(body), VIEWER).note


def test_the_color_of_a_card_is_that_of_its_body():
    for kind in ("slack", "discord", "mattermost", "feishu", "teams"):
        assert (drawing_of(kind).color, drawing_of(kind, "closed").color) == ("red", "green"), kind


# --- no body breaks a drawer ---

NAMES = """
    text blocks attachments embeds fields name value inline color timestamp footer type elements
    card cardsV2 header title content sections widgets textParagraph decoratedText buttonList
    buttons body inlines facts items columns actions selectAction markdown message tags priority
    extras payload custom_details links event_action details parse_mode url tag"""
PIECES = """
    <!date^ 99999999999999999999 ^{date} |a> <t: :R> ** * _ ` ``` [a]( https://x ) <font> </font>
    <b> </b> > # - &#99999999; &amp; \\ mrkdwn HTML trigger section"""
_names = st.sampled_from(NAMES.split())
_pieces = st.sampled_from([*PIECES.split(), "<font color=", "red>", '<a href="', "\n", "> ", "# "])
_strings = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=12),
    st.lists(_pieces, max_size=12).map("".join),
)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _strings),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(_names | _strings, inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(VENDOR_KINDS), st.dictionaries(_names | _strings, _json, max_size=6))
def test_no_body_breaks_a_drawer(kind, body):
    drawing = draw(kind, json.dumps(body), VIEWER)
    assert drawing is None or isinstance(drawing.text, str)


def nodes_of(value):
    """Yield every list and object of a JSON value."""
    if isinstance(value, dict | list):
        yield value
        for member in value.values() if isinstance(value, dict) else value:
            yield from nodes_of(member)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(VENDOR_KINDS), st.sampled_from(["open", "closed", "group"]), st.data())
def test_no_damaged_body_breaks_a_drawer(kind, sample, data):
    texts = sample_texts(channel_of(kind), INSTALLATION, AT * 1_000_000)
    body = json.loads(write_body(texts[sample]))
    for node in data.draw(st.lists(st.sampled_from(list(nodes_of(body))), min_size=1, max_size=3)):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if keys:
            node[data.draw(st.sampled_from(keys))] = data.draw(_json)
    drawing = draw(kind, json.dumps(body), VIEWER)
    assert drawing is None or isinstance(drawing.text, str)


@pytest.mark.parametrize("body", ["", "{", "[]", '"a"', "null", "[" * 100_000, '{"a":' * 100_000])
def test_a_body_that_is_no_object_has_no_drawing(body):
    for kind in VENDOR_KINDS:
        assert draw(kind, body, VIEWER) is None


@pytest.mark.parametrize(
    "sign", ["*", "**a ", "_a ", "`a ", "[a](", "<b>", "<font color=red>", "||", "<!date^"]
)
def test_marks_without_an_end_are_texts_however_many_there_are(sign):
    text = sign * (20_000 // len(sign))
    for name in DIALECTS:
        spans = Inline(getattr(markup, name), VIEWER).read(text)
        assert len("".join(span.text for span in spans)) > len(text) / 3
    assert read_tags(text, Inline(markup.PLAIN, VIEWER))


def test_only_names_of_the_palette_and_of_styles_reach_a_class():
    body = {"markdown": {"content": '<font color="x y">a</font><font color="lock">b</font>'}}
    drawing = draw("wecom", json.dumps(body), VIEWER)
    assert {span.color for one in drawing.blocks for span in one.spans} == {""}


# --- docs/messages.md ---


def docs_script():
    """Return the script that writes docs/messages.md."""
    spec = importlib.util.spec_from_file_location("docs_messages", ROOT / "docs" / "messages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_messages_and_its_pictures_are_up_to_date():
    script = docs_script()
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    assert page == script.page(), "run `make messages`"
    pictures = {file.name: file for file in (ROOT / "docs" / "messages").iterdir()}
    assert set(pictures) == set(script.pictures())
    for name, file in pictures.items():
        assert f"messages/{name}" in page
        assert file.stat().st_size < 60_000, name


def test_the_page_of_messages_names_every_kind():
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    assert all(f"## {kind.label}" in page for kind in kinds().values())
    assert samples(AT, LINK)["open"].name in page
