"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Where the real image sets lie: ICAS_DATA, else ../shared/data beside the checkout."""
    given = os.environ.get("ICAS_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no image sets at {folder}: set ICAS_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def bad_inputs(data: Path) -> Path:
    folder = data / "badinputs"
    if not folder.is_dir():
        pytest.skip(f"no bad inputs at {folder}")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small mixed folder: four variants of three pictures, two singles; the name tells which."""
    from PIL import Image
    from skimage import data as samples

    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "rocket"):
        picture = Image.fromarray(getattr(samples, name)()).resize((240, 180))
        picture.save(folder / f"{name}-1.png")
        picture.save(folder / f"{name}-2.jpg", quality=60)
        picture.resize((120, 90)).save(folder / f"{name}-3.png")
        picture.point(lambda value: min(255, value + 20)).save(folder / f"{name}-10.bmp")
    for name in ("moon", "page"):
        Image.fromarray(getattr(samples, name)()).resize((240, 180)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def own_photos(photos: Path, tmp_path: Path) -> Path:
    """A copy of `photos` that a test may change."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    return folder
