"""The commands of the README and the pages of docs that open windows."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "docs"))

import needs
from blocks import PAGES, all_commands
from running import Reader, split, write_programs
from workspace import add_checkpoints, lay_out

pytestmark = pytest.mark.gui

COMMANDS = {
    tuple(words): page
    for page in PAGES
    for command in all_commands(page)
    if (words := split(command))[:1] == ["segmentimg"]
    and needs.windows(words)
    and command.exit_code == 0
}


@pytest.fixture(scope="module")
def laid_out(photos, tmp_path_factory):
    """A folder as the pages have it."""
    folder = tmp_path_factory.mktemp("workspace")
    lay_out(folder, photos)
    return folder


def prepared(page, photos, folder):
    """A folder in which all of a page was run that opens no window."""
    for name in ("workspace", "programs"):
        (folder / name).mkdir()
    lay_out(folder / "workspace", photos)
    write_programs(folder / "programs")
    Reader(folder / "workspace", folder / "programs", {"torch", "dask"}).read(page)
    return folder / "workspace"


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_windows_open_and_q_closes_them(
    words, laid_out, photos, tmp_path, start, request, monkeypatch
):
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    there = (laid_out / words[1]).exists()
    workspace = laid_out if there else prepared(COMMANDS[words], photos, tmp_path)
    if needs.checkpoints(shlex.join(words)):
        add_checkpoints(workspace, request.getfixturevalue("checkpoint"))
    monkeypatch.chdir(workspace)
    driver = start(*words[1:])
    asks = {"grabcut", "sam"} & set(words) and "auto" not in words
    window = "Annotations" if asks else "Painting"
    driver.until("a window is there", lambda: driver.box(window)[2] > 100)
    driver.close_by("q", window)
    ended = driver.end()
    assert (ended.code, ended.err) == (0, "")
