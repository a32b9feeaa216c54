"""One dataclass gives defaults, flags, help and checks."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

import icas
from icas.cli.options import Size, add_flags, check_options, option, parse_size


@dataclass(frozen=True)
class Settings:
    count: int = option(5, "how many", minimum=1, maximum=9, unit="pieces")
    share: float = option(0.5, "how much", minimum=0)
    size: Size | None = option(None, "how large", parse=parse_size, minimum=2)
    kind: str = option("a", "which", choices=("a", "b"))
    keep: bool = option(False, "keep it")
    show: bool = option(True, "show it")

    def __post_init__(self) -> None:
        check_options(self)


def parsed(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser, Settings)
    return vars(parser.parse_args(words))


def test_what_is_not_given_is_not_there():
    assert parsed() == {}
    assert parsed("--count", "3", "--size", "20x10", "--keep", "--no-show") == {
        "count": 3,
        "size": (20, 10),
        "keep": True,
        "show": False,
    }


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"count": 0}, "count 0: must be between 1 and 9"),
        ({"share": -1.0}, "share -1.0: must be at least 0"),
        ({"share": "much"}, "expected a number"),
        ({"size": (1, 5)}, "size 1: must be at least 2"),
        ({"kind": "c"}, "choose from a, b"),
    ],
)
def test_values_outside_their_limits_are_refused(wrong, words):
    with pytest.raises(icas.UsageError, match=words):
        Settings(**wrong)


def test_help_gives_default_and_unit():
    parser = argparse.ArgumentParser()
    add_flags(parser, Settings)
    shown = parser.format_help()
    assert "(default: 5 pieces)" in shown
    assert "(default: none)" in shown
    assert "(default: off)" in shown


@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_sizes_are_width_by_height(width, height):
    assert parse_size(f"{width}x{height}") == parse_size((width, height)) == (width, height)


@pytest.mark.parametrize("text", ["", "64", "64x", "ax3", "1x2x3", "-1x2"])
def test_invalid_sizes_are_refused(text):
    with pytest.raises(ValueError, match="200x150"):
        parse_size(text)
