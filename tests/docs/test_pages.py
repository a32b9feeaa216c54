"""Commands and code in the README and the pages of docs run, and give what the pages say."""

from __future__ import annotations

import re

import needs
import pytest
from blocks import LANGUAGES, PAGES, SHOWN, all_commands, blocks, read
from PIL import Image

from icas.segmentimg.windows.events import help_rows


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_says_runs(page, reader, request):
    text = read(page)
    if "torch" not in reader.missing:
        prepare(text, reader, request)
    if page == "docs/reference/segmentimg.md":
        add_painting(reader.workspace)
    reader.read(page)
    if reader.left_out:
        print("\n".join(reader.left_out))


def add_painting(folder):
    """A saved painting, which the examples of the commands on data sets need."""
    mask = Image.new("L", (240, 180))
    mask.paste(255, (60, 40, 200, 150))
    (folder / "photos_segmented").mkdir()
    mask.save(folder / "photos_segmented" / "coffee-1_mask_(R=204,G=0,B=0).png")


def prepare(text, reader, request):
    """Put the weights that the page names into the workspace."""
    from workspace import add_checkpoints, add_networks

    if needs.networks(text):
        add_networks(
            reader.workspace, reader.workspace.parent / "torch", request.getfixturevalue("torch")
        )
    if needs.checkpoints(text):
        add_checkpoints(reader.workspace, request.getfixturevalue("checkpoint"))


@pytest.mark.parametrize("page", PAGES)
def test_its_blocks_are_of_languages_that_are_known(page):
    for block in blocks(page):
        assert block.language in LANGUAGES | SHOWN, f"{page}:{block.line}: {block.language}"


@pytest.mark.parametrize("page", PAGES)
def test_it_begins_with_its_title(page):
    lines = read(page).splitlines()
    assert lines[0].startswith("# "), f"{page}:1: not '# Title'"
    titles = re.findall(
        r"^# .*$", re.sub(r"^ *```.*?^ *```", "", read(page), flags=re.M | re.S), re.M
    )
    assert len(titles) == 1, f"{page}: more than one title: {titles}"


def test_the_readme_shows_commands_and_what_they_print():
    found = all_commands("README.md")
    assert len(found) >= 6
    assert any(len(command.output or ()) >= 3 for command in found)


def test_the_page_on_painting_has_the_keys_of_the_program():
    shown = read("docs/how-to/paint.md").split("|---|---|\n")[1].split("\n<!--")[0]
    assert shown == "".join(f"| {key} | {words} |\n" for key, words in help_rows())
