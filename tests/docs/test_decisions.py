"""The table of decisions has a line for each, in their order."""

from __future__ import annotations

import re

from blocks import TOP, read


def test_each_decision_is_in_the_table():
    pages = sorted(page.name for page in TOP.glob("docs/decisions/0*.md"))
    rows = re.findall(r"^\| \[(\d+)\]\(([^)]+)\)", read("docs/decisions/index.md"), re.MULTILINE)
    assert [page for _, page in rows] == pages
    assert all(int(page[:4]) == int(number) for number, page in rows)
