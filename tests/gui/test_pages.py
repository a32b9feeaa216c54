"""The commands of the README and the pages of docs that open windows."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui

_SPEC = importlib.util.spec_from_file_location(
    "pages", Path(__file__).resolve().parent.parent / "test_readme.py"
)
pages = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(pages)
desk, weights = pages.desk, pages.weights
COMMANDS = [
    words for page in pages.PAGES for words in pages.commands(page) if pages.opens_windows(words)
]


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_windows_open_and_q_closes_them(words, desk, start, request, monkeypatch):
    if "--sam-checkpoint" in words:
        request.getfixturevalue("weights")
    monkeypatch.chdir(desk)
    monkeypatch.setenv("ICAS_CACHE", str(desk / "cache"))
    hand = start(*words[1:])
    asks = {"grabcut", "sam"} & set(words) and "auto" not in words
    window = "Annotations" if asks else "Painting"
    hand.until("a window is there", lambda: hand.box(window)[2] > 100)
    hand.close_by("q", window)
    ended = hand.end()
    assert (ended.code, ended.err) == (0, "")
