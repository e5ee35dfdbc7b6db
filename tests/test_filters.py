"""Waterfall of the stages of an exchange."""

import re

import pytest
from channels import form_of
from hypothesis import given
from hypothesis import strategies as st
from receiver import reply

from delivery.outcome import StageResult
from web.filters import MIN_BAR_WIDTH, waterfall


def bars(*milliseconds):
    return [
        (start, length)
        for _, start, length in waterfall([StageResult("s", duration) for duration in milliseconds])
    ]


@pytest.mark.parametrize(
    ("milliseconds", "placed"),
    [
        ((), []),
        ((5.0,), [(0, 100)]),
        ((25.0, 75.0), [(0, 25), (25, 75)]),
        ((50.0, 0.0, 50.0), [(0, 50), (50, MIN_BAR_WIDTH), (50, 50)]),
        ((100.0, 0.0), [(0, 100), (100 - MIN_BAR_WIDTH, MIN_BAR_WIDTH)]),
        ((0.0, 0.0), [(0, MIN_BAR_WIDTH), (0, MIN_BAR_WIDTH)]),
    ],
)
def test_bar_starts_where_the_previous_bar_ends_and_is_never_too_narrow(milliseconds, placed):
    assert bars(*milliseconds) == placed


@given(st.lists(st.floats(0, 1e9, allow_subnormal=False), max_size=9))
def test_no_bar_exceeds_the_waterfall(milliseconds):
    for start, length in bars(*milliseconds):
        assert start >= 0
        assert length >= MIN_BAR_WIDTH
        assert start + length <= 100.02


@pytest.mark.parametrize(("status", "signs"), [(200, "✓✓✓✓✓✓"), (404, "✓✓✓✓✓✗")])
def test_waterfall_of_a_test_marks_the_failed_stage_without_color(client, receiver, status, signs):
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
