"""What the tests of Segment Anything share beside the tiny model of the whole suite."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A landscape picture of uneven sides."""
    return np.array(Image.fromarray(samples.coffee()).resize((201, 133)))
