"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
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
