"""Tables in docs that tell what the program has: keys of the windows, flags of the methods."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from icas.cli.options import options_of
from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class
from icas.segmentimg.windows.events import GRABCUT_KEYS, PAINTING_KEYS, SAM_KEYS, help_rows

DOCS = Path(__file__).resolve().parents[3] / "docs"
HEAD = "|---|---|\n"


def test_the_page_of_keys_has_those_of_all_windows():
    text = (DOCS / "how-to" / "painting" / "keys.md").read_text(encoding="utf-8")
    shown = [part.split("\n\n")[0] for part in text.split(HEAD)[1:]]
    tables = (PAINTING_KEYS, GRABCUT_KEYS, SAM_KEYS)
    assert shown == [
        "\n".join(f"| {key} | {words} |" for key, words in help_rows(one)) for one in tables
    ]


@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_page_of_a_method_has_its_flags_and_defaults(name):
    text = (DOCS / "segmenters" / f"{name}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(--[\w-]+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    wanted = options_of(segmenter_class(name))
    assert [flag for flag, _, _ in shown] == [
        one.flag_of(field) for field, (_, one) in wanted.items()
    ]
    for (_, default, words), (value, one) in zip(shown, wanted.values(), strict=True):
        plain = "off" if value is False else "none" if value is None else str(value)
        unit = "" if one.default_text else one.unit
        assert default == f"{one.default_text or plain} {unit}".strip()
        assert words.startswith(one.help)
        assert all(choice in words for choice in one.choices)
    assert f"--method {name}" in text
