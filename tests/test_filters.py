"""How pages place the stages of an exchange on a line."""

import re

import pytest
from channels import form_of
from hypothesis import given
from hypothesis import strategies as st
from receiver import reply

from delivery.outcome import StageResult
from web.filters import NARROWEST, waterfall


def bars(*milliseconds):
    return [
        (start, length)
        for _, start, length in waterfall([StageResult("s", one) for one in milliseconds])
    ]


@pytest.mark.parametrize(
    ("milliseconds", "placed"),
    [
        ((), []),
        ((5.0,), [(0, 100)]),
        ((25.0, 75.0), [(0, 25), (25, 75)]),
        ((50.0, 0.0, 50.0), [(0, 50), (50, NARROWEST), (50, 50)]),
        ((100.0, 0.0), [(0, 100), (100 - NARROWEST, NARROWEST)]),
        ((0.0, 0.0), [(0, NARROWEST), (0, NARROWEST)]),
    ],
)
def test_each_bar_begins_where_the_one_before_ends_and_none_is_too_narrow_to_see(
    milliseconds, placed
):
    assert bars(*milliseconds) == placed


@given(st.lists(st.floats(0, 1e9, allow_subnormal=False), max_size=9))
def test_no_bar_leaves_the_line(milliseconds):
    for start, length in bars(*milliseconds):
        assert start >= 0
        assert length >= NARROWEST
        assert start + length <= 100.02


@pytest.mark.parametrize(("status", "signs"), [(200, "✓✓✓✓✓✓"), (404, "✓✓✓✓✓✗")])
def test_the_waterfall_of_a_test_says_without_colour_what_went_wrong(
    client, receiver, status, signs
):
    receiver.script = reply(status)
    page = client.post("/channels/new/test", form_of(receiver.url)).text
    table = re.search(r'<table class="stages">.*?</table>', page, re.DOTALL)[0]
    assert "".join(re.findall("[✓✗]", table)) == signs
    assert table.count("<rect ") == 6
    assert table.count(": failed") == signs.count("✗")
    assert "style=" not in table
    for text in (
        "policy",
        "dns",
        "tcp",
        "sent",
        "first byte",
        "verdict",
        " ms",
        "connected to 127.0.0.1",
        " bytes",
    ):
        assert text in table
