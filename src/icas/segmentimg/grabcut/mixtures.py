"""OpenCV's GrabCut: Gaussian mixtures of five colors per side, also for reduced images.

At full size each pixel counts once and each pixel of the border once. In an image of 1/s of the
width and height, a pixel represents s² pixels and a side of it s sides, so that likelihoods have
to be weighted by s relative to the border. `cv2.grabCut` has no such weight, but uses mixtures as
they are given: here with densities to the power of s.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut import annotation as marks

Floats = NDArray[np.float64]
Colors = NDArray[np.float32]

_COUNT = 5
_MIN_VARIANCE = 0.01
_MAX_LOG = 690.0
"""Logarithm of about the largest float64."""


@dataclass(frozen=True)
class Mixture:
    """Gaussians in the space of BGR colors."""

    shares: Floats
    """(5,): 0 where there is no such component."""
    means: Floats
    """(5, 3)."""
    covariances: Floats
    """(5, 3, 3)."""

    @classmethod
    def unpacked(cls, row: Floats) -> Mixture:
        """From the 65 numbers of a model of `cv2.grabCut`."""
        numbers = row.ravel()
        means, covariances = numbers[5:20].reshape(5, 3), numbers[20:].reshape(5, 3, 3)
        return cls(numbers[:5].copy(), means.copy(), covariances.copy())

    def packed(self) -> Floats:
        return np.concatenate([self.shares, self.means.ravel(), self.covariances.ravel()])[None]

    def negative_log_density(
        self, colors: Colors, *, with_shares: bool = True
    ) -> NDArray[np.float32]:
        """(n, 5) of each component, without constants."""
        result = np.full((len(colors), _COUNT), np.inf, np.float32)
        for k in np.flatnonzero(self.shares):
            root = np.linalg.cholesky(np.linalg.inv(self.covariances[k])).astype(np.float32)
            moved = (colors - self.means[k].astype(np.float32)) @ root
            constant = 0.5 * np.log(np.linalg.det(self.covariances[k]))
            if with_shares:
                constant -= np.log(self.shares[k])
            result[:, k] = 0.5 * np.einsum("ij,ij->i", moved, moved) + np.float32(constant)
        return result

    def fit(self, colors: Colors) -> Mixture:
        """The mixture of these colors, each assigned to its most likely component."""
        nearest = self.negative_log_density(colors, with_shares=False).argmin(axis=1)
        shares, means = np.zeros(_COUNT), np.zeros((_COUNT, 3))
        covariances = np.tile(np.eye(3), (_COUNT, 1, 1))
        for k in range(_COUNT):
            members = colors[nearest == k].astype(np.float64)
            if len(members):
                shares[k], means[k] = len(members) / len(colors), members.mean(axis=0)
                covariance = np.cov(members.T, bias=True)
                covariances[k] = covariance + _MIN_VARIANCE * np.eye(3)
        return Mixture(shares, means, covariances)

    def raised(self, power: float) -> Mixture:
        """Each component's density to this power, times a constant that keeps numbers in range."""
        shares, used = np.zeros(_COUNT), self.shares > 0
        volume = np.log(np.linalg.det(self.covariances[used]))
        logs = power * (np.log(self.shares[used]) - 0.5 * volume)
        shares[used] = np.exp(logs + 0.5 * (volume - 3 * np.log(power)) + _headroom(power))
        return Mixture(shares, self.means, self.covariances / power)


def _headroom(power: float) -> float:
    return _MAX_LOG - 7.5 * power


def _too_far(
    back: NDArray[np.float32], front: NDArray[np.float32], power: float
) -> NDArray[np.bool_]:
    """(n,) bool: colours so far from a mixture that its raised density is 0."""
    return np.asarray(np.maximum(back, front) * power > _headroom(power) + 650, bool)


SURE_BACK, SURE_FRONT, MAYBE_BACK, MAYBE_FRONT = range(4)
"""Values of OpenCV's mask: ``GC_BGD``, ``GC_FGD``, ``GC_PR_BGD``, ``GC_PR_FGD``."""

Kinds = NDArray[np.uint8]
"""(h, w) uint8: one of the four values above."""


class ColorModels:
    """Color mixtures of background and foreground, fitted from round to round.

    `scale`: by how much the image is reduced per side; 1 is `cv2.grabCut` itself.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._back = np.zeros((1, 65))
        self._front = np.zeros((1, 65))
        self._fitted = False

    def update(self, image: Image, kinds: Kinds, seed: int) -> Kinds:
        """One round: `kinds` with new values for the pixels that are not sure.

        The first call fits the mixtures to `kinds`, later ones continue from them. Where a side
        has no pixel, nothing can be fitted, and `kinds` is returned.
        """
        found = kinds.copy()
        front = is_front(found)
        if front.all() or not front.any() or not (found >= MAYBE_BACK).any():
            return found
        bgr = np.ascontiguousarray(image[..., ::-1])
        cv2.setRNGSeed(seed)
        if self._scale > 1:
            return self._scaled_update(bgr, found, front)
        mode = cv2.GC_EVAL if self._fitted else cv2.GC_INIT_WITH_MASK
        cv2.grabCut(bgr, found, None, self._back, self._front, 1, mode)  # type: ignore[call-overload]
        self._fitted = True
        return found

    def _scaled_update(self, bgr: Image, kinds: Kinds, front: NDArray[np.bool_]) -> Kinds:
        if not self._fitted:  # no round yet: only k-means
            cv2.grabCut(bgr, kinds, None, self._back, self._front, 0, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
            self._fitted = True
        colors = bgr.reshape(-1, 3).astype(np.float32)
        sides = (colors[~front.ravel()], colors[front.ravel()])
        back, before = (
            Mixture.unpacked(row).fit(side)
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
    """`kinds` with pixels of colors that are unlikely in a mixture decided by the likelier one."""
    flat = kinds.ravel().copy()
    undecided = np.flatnonzero(flat >= MAYBE_BACK)
    to_back = back.negative_log_density(colors[undecided]).min(axis=1)
    to_front = front.negative_log_density(colors[undecided]).min(axis=1)
    far = _too_far(to_back, to_front, power)
    flat[undecided[far]] = np.where(to_front < to_back, SURE_FRONT, SURE_BACK)[far]
    return flat.reshape(kinds.shape)


def is_front(kinds: Kinds) -> NDArray[np.bool_]:
    """(h, w) bool: surely or maybe foreground."""
    return np.asarray((kinds & 1) > 0, bool)


def exceeds_boxes(annotation: marks.Annotation) -> bool:
    """Whether the object may be outside the rectangles: there are none, or strokes are outside."""
    if not annotation.boxes:
        return True
    front = (annotation.strokes == marks.FOREGROUND) | (
        annotation.strokes == marks.PROBABLE_FOREGROUND
    )
    return bool((front & ~annotation.inside()).any())


class BoxRounds:
    """Rounds with rectangles. New rectangles restart, new strokes continue from the last round.

    `scale`: by how much the image is reduced per side.
    """

    def __init__(self, image: Image, seed: int, scale: float = 1.0) -> None:
        self._image, self._seed, self._scale = image, seed, scale
        self.reset()

    def reset(self) -> None:
        """Forget the rounds so far."""
        self._models = ColorModels(self._scale)
        self._frame: NDArray[np.bool_] | None = None
        self._front: NDArray[np.bool_] | None = None

    def round(self, annotation: marks.Annotation) -> NDArray[np.bool_]:
        """(h, w) bool: the object."""
        inside = annotation.inside() if annotation.boxes else np.ones(self._image.shape[:2], bool)
        if self._frame is None or not np.array_equal(self._frame, inside):
            self.reset()
        before = inside if self._front is None else self._front
        kinds = _kinds(annotation, inside, before)
        self._frame = inside
        self._front = is_front(self._models.update(self._image, kinds, self._seed))
        return self._front


def _kinds(
    annotation: marks.Annotation, inside: NDArray[np.bool_], before: NDArray[np.bool_]
) -> Kinds:
    strokes = annotation.strokes
    kinds = np.where(before, MAYBE_FRONT, MAYBE_BACK).astype(np.uint8)
    if not exceeds_boxes(annotation):
        kinds[~inside] = SURE_BACK
    kinds[strokes == marks.PROBABLE_FOREGROUND] = MAYBE_FRONT
    kinds[strokes == marks.PROBABLE_BACKGROUND] = MAYBE_BACK
    kinds[strokes == marks.FOREGROUND] = SURE_FRONT
    kinds[strokes == marks.BACKGROUND] = SURE_BACK
    return kinds
