"""Small pictures to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from icas.io.reading import write_image


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
