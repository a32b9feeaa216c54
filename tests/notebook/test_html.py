"""Pieces of HTML: whatever a name holds, it stays text."""

from __future__ import annotations

import html
from math import nan

import pytest
from hypothesis import given, strategies as st

from icas.notebook.html import counted, similarity, text


@given(st.text())
def test_any_text_is_safe_between_tags_and_in_quotes(value: str) -> None:
    shown = text(value)
    assert not set(shown) & set("<>\"'\n\r\0")
    shown.encode("utf-8")


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_text_that_can_be_seen_stays_as_it_is(value: str) -> None:
    assert html.unescape(text(value)) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("bad\udcff.jpg", r"bad\xff.jpg"),
        ("half\ud800.jpg", r"half\ud800.jpg"),
        ("a\nb", r"a\nb"),
        ("turned\u202egpj.exe", r"turned\u202egpj.exe"),
        ("3.00\u202fPM", "3.00\u202fPM"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
    ],
)
def test_signs_that_cannot_be_seen_are_shown_escaped(value: str, shown: str) -> None:
    assert text(value) == shown


def test_numbers_read_well() -> None:
    assert [counted(number, "image") for number in (0, 1, 1200)] == [
        "0 images",
        "1 image",
        "1,200 images",
    ]
    assert [similarity(value) for value in (1.0, 0.91234, nan)] == ["1.000", "0.912", "–"]
