"""Folders of small images, some painted, and a carrier that copies the mask."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules share carrying_images

from carrying_images import copied, mask_of, paint, picture_of

from icas.io.reading import write_image
from icas.segmentimg.propagation_run import api, carrying


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks are copied from the first source, which takes no time."""
    monkeypatch.setattr(carrying, "carry_masks", copied)
    monkeypatch.setattr(api, "carry_masks", copied)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six images, of which ``a.png`` is painted as a cat."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("abcdef"):
        write_image(folder / f"{name}.png", picture_of(number))
    paint(folder / "a.png", mask_of())
    return folder


@pytest.fixture
def table_of() -> Callable[[Path], list[dict[str, str]]]:
    """Reads propagated.csv."""

    def read(out: Path) -> list[dict[str, str]]:
        with (out / "propagated.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    return read
