"""Fixtures of the tests of clusterimg."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from icas.clusterimg.methods import METHODS
from icas.io.reading import write_image


@pytest.fixture(params=METHODS)
def method_and_options(request):
    """Every method as keywords; the deep one with a small network of random weights."""
    if request.param != "deep":
        return {"method": request.param}
    request.getfixturevalue("torch")
    return {"method": "deep", "model": "squeezenet1_0", "weights": "random", "size": (64, 64)}


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 small pictures: 11 noisy variants of each of four, and four of noise alone."""
    folder = tmp_path_factory.mktemp("crowd")
    rng = np.random.default_rng(0)
    for name in ("astronaut", "coffee", "rocket", "chelsea"):
        picture = Image.fromarray(getattr(samples, name)()).resize((160, 120))
        for number in range(11):
            noise = rng.integers(-9, 10, (120, 160, 3))
            noisy = (np.asarray(picture).astype(int) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{number}-{name}.jpg", quality=80)
        alone = rng.integers(0, 256, (120, 160, 3), np.uint8)
        Image.fromarray(alone).save(folder / f"20-{name}.png")
    return folder


def picture(rng, side):
    """A bright box of one colour, somewhere on a dark ground: (side, side, 3) uint8."""
    image = np.full((side, side, 3), rng.integers(0, 60), np.uint8)
    row, col = rng.integers(0, side // 2, 2)
    image[row : row + side // 2, col : col + side // 2] = rng.integers(120, 256, 3)
    return image


def make_boxes(folder, count, side=32, seed=0):
    """`count` such pictures in the new folder `folder`, which comes back."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for number in range(count):
        write_image(folder / f"box-{number:03}.png", picture(rng, side))
    return folder


@pytest.fixture(scope="session")
def make_pictures():
    return make_boxes


@pytest.fixture
def one_thread(torch):
    """torch on one thread while a test runs: with more, busy machines wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def boxes(tmp_path):
    """A folder of thirty such pictures."""
    return make_boxes(tmp_path / "boxes", 30)
