"""Pictures to measure with: real ones, the same in every run."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from icas.io.find import find_images
from icas.io.reading import Image, read_image, write_image

WIDTH, HEIGHT = 200, 150
SAMPLES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "immunohistochemistry")
SETS = ("copies", "flowers5", "ants-bees", "video-frames", "multiview", "coil100", "neu-textures")


def photos(count: int) -> list[Image]:
    """`count` crops of 200x150 pixels: of the image sets where they are, else of samples."""
    sources = _from_sets() or [np.ascontiguousarray(getattr(data, name)()) for name in SAMPLES]
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        whole = sources[number % len(sources)]
        top = rng.integers(0, whole.shape[0] - HEIGHT + 1)
        left = rng.integers(0, whole.shape[1] - WIDTH + 1)
        found.append(np.ascontiguousarray(whole[top : top + HEIGHT, left : left + WIDTH]))
    return found


def _from_sets() -> list[Image]:
    """Pictures of the image sets that are large enough to be cut, some of each set."""
    top = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("ICAS_DATA") or top.parent / "shared" / "data")
    found = []
    for name in SETS:
        images = find_images(folder / name / "images") if (folder / name).is_dir() else []
        for path in images[:: max(1, len(images) // 60)]:
            image = read_image(path)
            if image.shape[0] >= HEIGHT and image.shape[1] >= WIDTH:
                found.append(image)
    return found


def as_jpegs(pictures: list[Image], folder: Path) -> Path:
    """`pictures` as JPEG files in a new folder."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        write_image(folder / f"picture{number:05}.jpg", picture)
    return folder


def large_jpegs(folder: Path, count: int = 8) -> list[Path]:
    """JPEGs of 4000x3000 pixels: photographs, enlarged, with the grain of a camera."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        whole = getattr(data, SAMPLES[number % len(SAMPLES)])()
        large = cv2.resize(whole, (4000, 3000), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        large += rng.normal(0, 4, large.shape).astype(np.float32)
        files.append(folder / f"photograph{number}.jpg")
        write_image(files[-1], large.round().clip(0, 255).astype(np.uint8))
    return files
