"""The pairs next to a threshold: which they are, and the picture of their thumbnails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.links import Links
from icas.clusterimg.picking.places import Places, Rect
from icas.clusterimg.picking.thumbs import fitted
from icas.clusterimg.sample import Sample
from icas.common.images import Image

PAPER = (255, 255, 255)
WAITING = (238, 241, 245)
"""Behind a thumbnail, and where one is still to come."""


@dataclass(frozen=True)
class Pair:
    """Two images of the sample and their similarity."""

    a: int
    b: int
    similarity: float


@dataclass(frozen=True)
class Nearest:
    """The pairs next to a threshold, the nearest first: linked ones, and ones that are not."""

    above: tuple[Pair, ...]
    below: tuple[Pair, ...]

    @classmethod
    def of(cls, sample: Sample, threshold: float, count: int) -> Nearest:
        """At most `count` pairs on each side of `threshold`."""
        above, below = sample.pairs_around(threshold, count)
        return cls(_pairs(above), _pairs(below))

    @property
    def images(self) -> tuple[int, ...]:
        """Images in the order in which their thumbnails are wanted; each once."""
        pairs = (*self.above, *self.below)
        return tuple(dict.fromkeys(image for pair in pairs for image in (pair.a, pair.b)))


def _pairs(links: Links) -> tuple[Pair, ...]:
    rows = zip(links.a.tolist(), links.b.tolist(), links.similarity.tolist(), strict=True)
    return tuple(Pair(*row) for row in rows)


def pairs_picture(
    nearest: Nearest,
    thumbnails: Mapping[int, Image | None],
    places: Places,
    density: float = 1.0,
) -> NDArray[np.uint8]:
    """The thumbnails of both rows, each in its place.

    Parameters
    ----------
    nearest : Nearest
    thumbnails : mapping
        Those that have come; None = cannot be read.
    places : Places
    density : float
        Pixels of the picture to one of `places`.

    Returns
    -------
    (h, w, 3) uint8 ndarray
        Of `pairs_area`.
    """
    area = pairs_area(places)
    shape = round(area.height * density), round(area.width * density)
    paper = np.full((*shape, 3), PAPER, np.uint8)
    for row, pairs in zip(places.rows, (nearest.above, nearest.below), strict=True):
        for cell, pair in zip(row.cells, pairs, strict=False):
            for place, image in zip(cell, (pair.a, pair.b), strict=True):
                _put(paper, place, area, density, thumbnails.get(image))
    return paper


def pairs_area(places: Places) -> Rect:
    """The least rectangle around all thumbnails."""
    first, last = places.rows[0].cells[0][0], places.rows[1].cells[-1][1]
    return Rect(first.left, first.top, last.right - first.left, last.bottom - first.top)


def _put(
    paper: NDArray[np.uint8], place: Rect, area: Rect, density: float, picture: Image | None
) -> None:
    side = max(1, int(place.width * density))
    top, left = round((place.top - area.top) * density), round((place.left - area.left) * density)
    ground = paper[top : top + side, left : left + side]
    ground[:] = WAITING
    if picture is None:
        return
    small = fitted(picture, side)[: ground.shape[0], : ground.shape[1]]
    height, width = small.shape[:2]
    row, col = (ground.shape[0] - height) // 2, (ground.shape[1] - width) // 2
    ground[row : row + height, col : col + width] = small


def unread_places(
    nearest: Nearest, thumbnails: Mapping[int, Image | None], places: Places
) -> list[tuple[Rect, int]]:
    """Where an image cannot be shown, and which it is."""
    found = []
    for row, pairs in zip(places.rows, (nearest.above, nearest.below), strict=True):
        for cell, pair in zip(row.cells, pairs, strict=False):
            for place, image in zip(cell, (pair.a, pair.b), strict=True):
                if image in thumbnails and thumbnails[image] is None:
                    found.append((place, image))
    return found


def shortened(name: str, length: int) -> str:
    """`name` without its folders, its middle left out where it is longer than `length`."""
    short = name.rpartition("/")[2]
    if len(short) <= length:
        return short
    if length < 5:
        return short[: max(length, 0)]
    behind = (length - 1) // 2
    return f"{short[: length - 1 - behind]}…{short[len(short) - behind :]}"
