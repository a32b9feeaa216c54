"""Small painted images, and a carrier that copies the mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.propagation.carry import Carried

SIZE = (60, 80)
CLASSES = (PaintClass("cat", (204, 0, 0)), PaintClass("dog", (0, 0, 255)))


def picture_of(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Coarse random colours: images of one seed are equal, of two seeds unlike."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    rows = np.arange(size[0]) * 6 // size[0]
    columns = np.arange(size[1]) * 8 // size[1]
    return small[rows][:, columns]


def mask_of(number: int = 1) -> NDArray[np.int16]:
    """A class map with one rectangle."""
    class_map = np.zeros(SIZE, np.int16)
    class_map[10:40, 20:50] = number
    return class_map


def paint(path: Path, class_map: NDArray[np.int16], instances: Any = None) -> None:
    """Save a painting of an image, as a person does."""
    painting = Painting(class_map, CLASSES, instances)
    for picture in find_image_files([path]):
        save_painting(picture, painting, {"image": path.name})


def copied(features: Any, painted: Sequence[Any], chained: Any, *_: Any) -> Carried:
    """The masks of the first source; the darker the image, the surer."""
    shares = painted[0].shares
    size = features.shape[::-1]
    masks = {key: cv2.resize(share, size) > 0.5 for key, share in shares.items()}
    confidence = float(1 - features.image.mean() / 255) if len(painted) == 1 else 0.99
    confidences = dict.fromkeys(masks, confidence)
    return Carried(masks, confidence, confidences, frozenset(), "geometry", 0, features.image)
