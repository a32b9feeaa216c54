"""Cutting by rectangles: OpenCV's GrabCut as it is, with strokes that it has to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.common.images import Image
from icas.segmentimg.cutout.annotation import (
    BACKGROUND,
    FOREGROUND,
    PROBABLE_BACKGROUND,
    PROBABLE_FOREGROUND,
    Annotation,
)
from icas.segmentimg.cutout.colours import (
    MAYBE_BACK,
    MAYBE_FRONT,
    SURE_BACK,
    SURE_FRONT,
    Kinds,
    Mixtures,
    front_of,
)


def spills(annotation: Annotation) -> bool:
    """Whether the object may leave the rectangles: there are none, or its strokes leave them."""
    if not annotation.boxes:
        return True
    front = (annotation.strokes == FOREGROUND) | (annotation.strokes == PROBABLE_FOREGROUND)
    return bool((front & ~annotation.inside()).any())


class BoxCut:
    """Rounds of one picture. New rectangles begin anew, new strokes go on from the round before.

    `scale` says how much smaller, per side, the picture is than the one that is meant.
    """

    def __init__(self, image: Image, seed: int, scale: float = 1.0) -> None:
        self._image, self._seed, self._scale = image, seed, scale
        self.reset()

    def reset(self) -> None:
        """Forget the rounds so far."""
        self._mixtures = Mixtures(self._scale)
        self._frame: NDArray[np.bool_] | None = None
        self._front: NDArray[np.bool_] | None = None

    def round(self, annotation: Annotation) -> NDArray[np.bool_]:
        """(h, w) bool: the object."""
        inside = annotation.inside() if annotation.boxes else np.ones(self._image.shape[:2], bool)
        if self._frame is None or not np.array_equal(self._frame, inside):
            self.reset()
        before = inside if self._front is None else self._front
        kinds = _kinds(annotation, inside, before)
        self._frame = inside
        self._front = front_of(self._mixtures.cut(self._image, kinds, self._seed))
        return self._front


def _kinds(annotation: Annotation, inside: NDArray[np.bool_], before: NDArray[np.bool_]) -> Kinds:
    strokes = annotation.strokes
    kinds = np.where(before, MAYBE_FRONT, MAYBE_BACK).astype(np.uint8)
    if not spills(annotation):
        kinds[~inside] = SURE_BACK
    kinds[strokes == PROBABLE_FOREGROUND] = MAYBE_FRONT
    kinds[strokes == PROBABLE_BACKGROUND] = MAYBE_BACK
    kinds[strokes == FOREGROUND] = SURE_FRONT
    kinds[strokes == BACKGROUND] = SURE_BACK
    return kinds
