"""OpenCV's GrabCut: colour mixtures of both sides, and the cheapest border between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import (
    BACKGROUND,
    FOREGROUND,
    PROBABLE_BACKGROUND,
    PROBABLE_FOREGROUND,
    Annotation,
)
from icas.segmentimg.grabcut.mixtures import Mixture, too_far

SURE_BACK, SURE_FRONT, MAYBE_BACK, MAYBE_FRONT = range(4)
"""Values of OpenCV's mask: ``GC_BGD``, ``GC_FGD``, ``GC_PR_BGD``, ``GC_PR_FGD``."""

Kinds = NDArray[np.uint8]
"""(h, w) uint8: one of the four values above."""


class Mixtures:
    """Colour mixtures of background and foreground that learn from round to round."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._back = np.zeros((1, 65))
        self._front = np.zeros((1, 65))
        self._learned = False

    def cut(self, image: Image, kinds: Kinds, seed: int) -> Kinds:
        """One round: `kinds` with the pixels that are not sure set anew.

        The first call learns the mixtures from `kinds`, later ones go on from them. Where a side
        has no pixel, nothing can be learned, and `kinds` comes back.
        """
        import cv2

        found = kinds.copy()
        front = front_of(found)
        if front.all() or not front.any() or not (found >= MAYBE_BACK).any():
            return found
        bgr = np.ascontiguousarray(image[..., ::-1])
        cv2.setRNGSeed(seed)
        if self._scale > 1:
            return self._scaled_cut(bgr, found, front)
        mode = cv2.GC_EVAL if self._learned else cv2.GC_INIT_WITH_MASK
        cv2.grabCut(bgr, found, None, self._back, self._front, 1, mode)  # type: ignore[call-overload]
        self._learned = True
        return found

    def _scaled_cut(self, bgr: Image, kinds: Kinds, front: NDArray[np.bool_]) -> Kinds:
        import cv2

        if not self._learned:  # no round yet: k-means alone
            cv2.grabCut(bgr, kinds, None, self._back, self._front, 0, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
            self._learned = True
        colors = bgr.reshape(-1, 3).astype(np.float32)
        sides = (colors[~front.ravel()], colors[front.ravel()])
        back, before = (
            Mixture.unpacked(row).learned(side)
            for row, side in zip((self._back, self._front), sides, strict=True)
        )
        self._back, self._front = back.packed(), before.packed()
        decided = _decided(colors, kinds, back, before, self._scale)
        raised = (back.raised(self._scale).packed(), before.raised(self._scale).packed())
        cv2.grabCut(bgr, decided, None, *raised, 1, cv2.GC_EVAL_FREEZE_MODEL)  # type: ignore[call-overload]
        return np.where(kinds >= MAYBE_BACK, MAYBE_BACK + (decided & 1), kinds).astype(np.uint8)


def _decided(
    colors: NDArray[np.float32], kinds: Kinds, back: Mixture, front: Mixture, power: float
) -> Kinds:
    """`kinds`; pixels of colours that a mixture knows nothing of go to the nearer one at once."""
    flat = kinds.ravel().copy()
    open_ones = np.flatnonzero(flat >= MAYBE_BACK)
    to_back = back.surprise(colors[open_ones]).min(axis=1)
    to_front = front.surprise(colors[open_ones]).min(axis=1)
    far = too_far(to_back, to_front, power)
    flat[open_ones[far]] = np.where(to_front < to_back, SURE_FRONT, SURE_BACK)[far]
    return flat.reshape(kinds.shape)


def front_of(kinds: Kinds) -> NDArray[np.bool_]:
    """(h, w) bool: surely or maybe foreground."""
    return np.asarray((kinds & 1) > 0, bool)


def spills(annotation: Annotation) -> bool:
    """Whether the object may leave the rectangles: there are none, or its strokes leave them."""
    if not annotation.boxes:
        return True
    front = (annotation.strokes == FOREGROUND) | (annotation.strokes == PROBABLE_FOREGROUND)
    return bool((front & ~annotation.inside()).any())


class BoxRounds:
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
