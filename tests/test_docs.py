"""The pictures and the links of README.md and docs/design-notes.md."""

import re

import pytest
from conftest import ROOT

MAX_PICTURE_SIZE = 150_000
PAGES = ("README.md", "docs/design-notes.md")


def pictures_of(page):
    """Return the files of the pictures that a page shows or links to."""
    file = ROOT / page
    names = re.findall(r"\]\(([^)]+\.png)\)", file.read_text(encoding="utf-8"))
    return {file.parent / name for name in names}


def test_every_screenshot_is_shown_and_small():
    shown = set().union(*map(pictures_of, PAGES))
    taken = set((ROOT / "docs" / "screenshots").iterdir())
    assert shown == taken, "run `make screenshot`"
    assert {file.name for file in taken if file.stat().st_size > MAX_PICTURE_SIZE} == set()


def test_the_design_notes_name_the_source_of_every_link():
    text = (ROOT / "docs" / "design-notes.md").read_text(encoding="utf-8")
    used = set(re.findall(r"\]\[([\w-]+)\]", text))
    assert used == set(re.findall(r"^\[([\w-]+)\]: https://", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page):
    file = ROOT / page
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text(encoding="utf-8")):
        assert (file.parent / link).exists(), link
