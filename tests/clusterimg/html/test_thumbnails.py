"""Thumbnails: shared out fairly, made small, shown at a fitting size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from icas.clusterimg.html.thumbnails import SIDE, SIDES, fair_shares, make_thumbnail, side_for
from icas.io.reading import write_image

MAX_PIXELS = 10_000_000


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(0, 300))
def test_shares_are_fair(wanted: list[int], total: int) -> None:
    shares = fair_shares(wanted, total)
    assert sum(shares) == min(total, sum(wanted))
    assert all(0 <= share <= want for share, want in zip(shares, wanted, strict=True))
    unfed = [share for share, want in zip(shares, wanted, strict=True) if share < want]
    assert all(share <= least + 1 for least in unfed for share in shares)
    assert unfed == sorted(unfed, reverse=True)  # the first get what does not divide evenly


@pytest.mark.parametrize(
    ("size", "shown"),
    [((400, 300), (112, 84)), ((32, 20), (96, 60)), ((1, 1), (112, 112)), ((3000, 2), (112, 1))],
)
def test_thumbnails_are_shown_at_a_fitting_size(
    size: tuple[int, int], shown: tuple[int, int], tmp_path: Path
) -> None:
    write_image(tmp_path / "a.png", np.zeros((size[1], size[0], 3), np.uint8))
    made = make_thumbnail(tmp_path / "a.png", SIDES[0], MAX_PIXELS)
    assert made is not None
    assert (made.width, made.height) == shown


def test_fewer_thumbnails_are_sharper() -> None:
    assert [side_for(count) for count in (0, 1, 500, 2000)] == [SIDES[0]] * 3 + [SIDE]
    assert SIDE < side_for(1000) < SIDES[0]


def test_a_file_above_the_limit_gets_none(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((20, 20, 3), np.uint8))
    assert make_thumbnail(tmp_path / "a.png", SIDE, 400) is not None
    assert make_thumbnail(tmp_path / "a.png", SIDE, 399) is None
    assert make_thumbnail(tmp_path / "gone.png", SIDE, 400) is None
