"""Messages are found however they are put together."""

from __future__ import annotations

import pytest
from message_templates import Reader, Sources

MODULE = """
CURE = "give another"
SLOW, CRASHED = "took {:g} s", "crashed"

def plain(path):
    raise UsageError("no folder: " "give one")

def parts(path, error):
    raise UsageError(f"{path}{error} is gone" + f": {CURE}")

def ways(many):
    what = "images" if many else "an image"
    raise UsageError(f"lost {what}")

def made(error):
    raise UsageError(_words(error))

def _words(error):
    if error:
        return f"bad {error!r}"
    return None

def handed():
    _fail("added", more="move it")
    _fail("removed", more="move it")

def _fail(what, more):
    raise UsageError(f"x was {what}: {more}")

def filled(seconds):
    raise UsageError(SLOW.format(seconds))

def numbers(table):
    raise UsageError(f"choose from {', '.join(table)}, {len(table)} in all")

def round_and_round(text):
    text = f"more {text}"
    raise UsageError(text)
"""
FOUND = {
    "plain": ["no folder: give one"],
    "parts": ["… is gone: give another"],
    "ways": ["lost images", "lost an image"],
    "made": ["bad …"],
    "_fail": ["x was added: move it", "x was removed: move it"],
    "filled": ["took … s"],
    "numbers": ["choose from …, … in all"],
    "round_and_round": ["more …"],
}


@pytest.mark.parametrize(("function", "texts"), FOUND.items())
def test_a_message_is_read_from_its_expression(function, texts, tmp_path):
    (tmp_path / "icas").mkdir()
    (tmp_path / "icas" / "one.py").write_text(MODULE)
    sources = Sources(tmp_path / "icas")
    module = sources.modules["icas.one"]
    inside = [call for call in module.calls["UsageError"] if module.around[call].name == function]
    assert Reader(sources, module).templates(inside[0].args[0]) == texts
