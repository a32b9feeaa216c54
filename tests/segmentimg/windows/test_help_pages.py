"""The pages of the segmenters name the method and its flags; `make pages` writes the flags."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from icas.cli.options import options_of
from icas.segmentimg.segmenters import SEGMENTERS, segmenter_class

DOCS = Path(__file__).resolve().parents[3] / "docs"
SHARED = {"slickmeans": "kmeans"}
SHORTENED = {"sam", "slickmeans"}


@pytest.mark.parametrize("name", SEGMENTERS)
def test_the_page_of_a_segmenter_has_its_flags(name):
    text = (DOCS / "segmenters" / f"{SHARED.get(name, name)}.md").read_text(encoding="utf-8")
    assert f"--method {name}" in text
    part = text.split(f"<!-- flags:{name} -->")[1].split("<!--")[0]
    shown = re.findall(r"^- `(--[\w-]+)`: ", part, re.MULTILINE)
    known = [
        option.flag_of(field) for field, (_, option) in options_of(segmenter_class(name)).items()
    ]
    assert sorted(set(shown) - set(known)) == []
    assert name in SHORTENED or shown == known
