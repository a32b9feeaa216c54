"""Masks warped from one image to another: SIFT with a robust homography, and dense optical flow."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.segmentimg.propagation.features import ImageFeatures

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]

_RATIO = 0.8
_REACH_PIXELS = 3.0
"""Residual of an inlier."""
_FEWEST = 6
_FEW_ON_OBJECT = 10
_ON_SCENE = 15
_MIN_WARP, MIN_INLIERS = 8, 12
"""Inliers with which a homography replaces stretching, and with which flow starts from it."""
_MARGIN_PIXELS = 9
_BRIGHTNESS = 25.0
_PLACING_SIDE = 64
"""Longer side to which shares are reduced to place a mask."""
_SCALES = np.exp(np.linspace(-np.log(2), np.log(2), 13))
_ANGLES = (-20.0, 0.0, 20.0)
_MIRROR_COST, _TURN_COST, _SCALE_COST = 0.03, 0.01, 0.02
"""Overlap that a mirrored, a turned and a scaled mask must gain."""
_BLUR = 0.06
"""Width of the blur of a placed mask, over the root of its area."""
_COPY_INLIERS, _COPY_EVIDENCE, _MANY_INLIERS = 20, 0.2, 60
"""Inliers on the object of near copies, with this consistency or with more of them."""


@dataclass(frozen=True, eq=False)
class Matches:
    """Keypoints of two images that match mutually: x and y, (k, 2) each."""

    source: Floats
    target: Floats


@dataclass(frozen=True, eq=False)
class Warp:
    """A homography from the source to the target.

    Attributes
    ----------
    matrix : (3, 3) float64 ndarray or None
    inliers : int
    on_object : bool
        Whether it was fitted to the object alone.
    """

    matrix: Matrix | None
    inliers: int
    on_object: bool


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the pixels of the target are in the source, after a homography.

    Attributes
    ----------
    matrix : (3, 3) float64 ndarray
        From the source to the target.
    places : (h, w, 2) float32 ndarray
        x and y in the warped source.
    consistency : (h, w) float32 ndarray
        0 to 1: agreement of the flow with the flow back, and of the brightness.
    """

    matrix: Matrix
    places: Floats
    consistency: Floats

    def carried(self, plane: Floats) -> Floats:
        """(h, w) values of the source seen from the target."""
        height, width = self.consistency.shape
        warped = cv2.warpPerspective(plane, self.matrix, (width, height))
        return np.asarray(_sampled(warped, self.places), np.float32)

    def support(self, carried: Floats) -> float:
        """Mean consistency under carried values."""
        return float((carried * self.consistency).sum() / (carried.sum() + 1e-3))


def match(source: ImageFeatures, target: ImageFeatures) -> Matches:
    """Mutual nearest SIFT keypoints that pass the ratio test."""
    none = np.zeros((0, 2), np.float32)
    if min(len(source.points), len(target.points)) < 8:
        return Matches(none, none)
    a, b = (one.descriptors.astype(np.float32) for one in (source, target))
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    two = np.argpartition(squares, 1, axis=1)[:, :2]
    rows = np.arange(len(squares))
    distances = np.sqrt(np.maximum(np.take_along_axis(squares, two, axis=1), 0))
    nearest = two[rows, distances.argmin(axis=1)]
    distinct = distances.min(axis=1) < _RATIO * distances.max(axis=1)
    kept = np.flatnonzero(distinct & (squares.argmin(axis=0)[nearest] == rows))
    return Matches(source.points[kept], target.points[nearest[kept]])


def fit_warp(matches: Matches, mask: NDArray[np.bool_]) -> Warp:
    """A homography by the matches on the object, else by those of the whole scene."""
    if len(matches.source) < _FEWEST:
        return Warp(None, 0, False)
    square = np.ones((_MARGIN_PIXELS, _MARGIN_PIXELS), np.uint8)
    near = cv2.dilate(mask.astype(np.uint8), square)
    columns, rows = matches.source.astype(int).T
    height, width = mask.shape
    inside = near[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)] > 0
    matrix, inliers = _homography(matches.source[inside], matches.target[inside])
    if inliers >= _FEW_ON_OBJECT:
        return Warp(matrix, inliers, True)
    scene, more = _homography(matches.source, matches.target)
    if more >= max(_ON_SCENE, inliers):
        return Warp(scene, more, False)
    return Warp(matrix, inliers, True)


def _homography(source: Floats, target: Floats) -> tuple[Matrix | None, int]:
    if len(source) < _FEWEST:
        return None, 0
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, _REACH_PIXELS)
    if matrix is None or not 0.1 < np.linalg.det(matrix[:2, :2]) < 10:
        return None, 0
    return np.asarray(matrix, np.float64), int(inliers.sum())


def stretch(source: ImageFeatures, target: ImageFeatures) -> Matrix:
    """The homography that stretches one image to the size of the other."""
    (height, width), (rows, columns) = source.shape, target.shape
    return np.diag([columns / width, rows / height, 1.0])


def find_flow(source: ImageFeatures, target: ImageFeatures, matrix: Matrix) -> Flow:
    """DIS optical flow from the target to the warped source, and its consistency."""
    height, width = target.shape
    gray = cv2.warpPerspective(
        source.gray, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there = dis.calc(target.gray, gray, None)
    back = dis.calc(gray, target.gray, None)
    right, down = np.meshgrid(np.arange(width, dtype="f4"), np.arange(height, dtype="f4"))
    places = np.stack([right, down], axis=-1) + there
    error = np.linalg.norm(there + _sampled(back, places, replicate=True), axis=-1)
    consistency = np.exp(-error / (1 + 0.1 * np.linalg.norm(there, axis=-1)))
    x, y = places[..., 0], places[..., 1]
    consistency[(x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)] = 0
    seen = _smooth(_sampled(gray, places, replicate=True))
    consistency *= np.exp(-np.abs(seen - _smooth(target.gray)) / _BRIGHTNESS)
    return Flow(matrix, places, consistency.astype(np.float32))


def _smooth(image: NDArray[Any]) -> Floats:
    return cv2.GaussianBlur(image, (0, 0), 1.5).astype(np.float32)


def _sampled(plane: NDArray[Any], places: Floats, replicate: bool = False) -> NDArray[Any]:
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return np.asarray(cv2.remap(plane, places, None, cv2.INTER_LINEAR, borderMode=border))


@dataclass(frozen=True, eq=False)
class Carried:
    """A mask of the source seen from the target in three ways, (h, w) float32 each."""

    flow: Floats
    flow_consistency: Floats
    warped_flow: Floats
    warped_consistency: Floats
    homography: Floats
    seen: Floats
    """Where the target is in the frame of the source, by the homography."""
    warp: Warp
    support: float
    """Mean consistency of `flow` under the mask, 0 to 1."""
    warped_support: float

    @property
    def starts_from_warp(self) -> bool:
        return self.warp.matrix is not None and self.warp.inliers >= MIN_INLIERS

    @property
    def evidence(self) -> float:
        """Consistency of the better flow under the mask, 0 to 1."""
        return max(self.support, self.warped_support if self.starts_from_warp else 0.0)

    @property
    def best(self) -> Floats:
        """(h, w) the mask by the more reliable flow."""
        warped = self.starts_from_warp and self.warped_support >= self.support
        return self.warped_flow if warped or self._is_copy else self.flow

    @property
    def _is_copy(self) -> bool:
        return self.warp.on_object and self.warp.inliers >= _COPY_INLIERS

    @property
    def is_sure(self) -> bool:
        """Whether many keypoints on the object agree, and the flow as well."""
        sure = self.evidence > _COPY_EVIDENCE or self.warp.inliers >= _MANY_INLIERS
        return self._is_copy and sure


@dataclass(frozen=True, eq=False)
class Change:
    """What differs from the source after the homography of the whole scene, (h, w) float32 each.

    Where most of two images match, as in frames of a video, what moved differs. Everything is 0
    where the scenes do not match.

    Attributes
    ----------
    difference : log of the difference of colors over its median
    unmatched : 1 - consistency of the flow
    matched : consistency of the flow, outside the masks of the source
    elsewhere : `difference` outside the masks of the source
    """

    difference: Floats
    unmatched: Floats
    matched: Floats
    elsewhere: Floats


def _no_change(shape: tuple[int, int]) -> Change:
    none = np.zeros(shape, np.float32)
    return Change(none, none, none, none)


class Correspondence:
    """Matches and flow of two images; flow by homographies is kept."""

    def __init__(self, source: ImageFeatures, target: ImageFeatures, keypoints: bool = True):
        self.source, self.target = source, target
        none = np.zeros((0, 2), np.float32)
        self._matches = match(source, target) if keypoints else Matches(none, none)
        self._stretch = stretch(source, target)
        self._plain = find_flow(source, target, self._stretch)

    def carry(self, share: Floats) -> Carried:
        """A mask of the source, (h, w) float32 shares, seen from the target."""
        warp = fit_warp(self._matches, share > 0.5)
        flow = self._plain
        plain = flow.carried(share)
        warped, by_warp = flow, plain
        if warp.matrix is not None and warp.inliers >= MIN_INLIERS:
            warped = find_flow(self.source, self.target, warp.matrix)
            by_warp = warped.carried(share)
        height, width = self.target.shape
        matrix = warp.matrix if warp.inliers >= _MIN_WARP else None
        straight, seen = (
            cv2.warpPerspective(plane, self._stretch if matrix is None else matrix, (width, height))
            for plane in (share, np.ones_like(share))
        )
        return Carried(
            plain,
            flow.consistency,
            by_warp,
            warped.consistency,
            np.asarray(straight, np.float32),
            np.asarray(seen, np.float32),
            warp,
            flow.support(plain),
            warped.support(by_warp),
        )

    def change(self, share: Floats) -> Change:
        """What differs, given the masks of the source, (h, w) float32 shares."""
        shape = self.target.shape
        scene = self._scene
        if scene is None:
            return _no_change(shape)
        flow, inliers = scene
        height, width = shape
        warped = cv2.warpPerspective(
            self.source.image, flow.matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        ones = np.ones(self.source.shape, np.float32)
        inside = cv2.warpPerspective(ones, flow.matrix, (width, height)) > 0.9
        carried = flow.carried(share)
        difference = np.abs(_smooth(warped) - _smooth(self.target.image)).mean(axis=2)
        rest = inside & (carried < 0.3)
        if not rest.any():
            return _no_change(shape)
        typical = float(np.median(difference[rest]))
        sure = min(1.0, (inliers - _ON_SCENE) / 60) * max(0.0, 1 - typical / _BRIGHTNESS)
        weight = (sure * inside).astype(np.float32)
        ratio = (np.log((difference + 3) / (typical + 3)) * weight).astype(np.float32)
        consistency = flow.consistency
        elsewhere = 1 - carried
        return Change(
            ratio, (1 - consistency) * weight, consistency * weight * elsewhere, ratio * elsewhere
        )

    @cached_property
    def _scene(self) -> tuple[Flow, int] | None:
        """Flow after the homography of the whole scene, and the inliers of that."""
        matrix, inliers = _homography(self._matches.source, self._matches.target)
        if matrix is None or inliers <= _ON_SCENE:
            return None
        return find_flow(self.source, self.target, matrix), inliers


@dataclass(frozen=True, eq=False)
class Placed:
    """A mask of the source placed where an estimate in the target resembles it.

    Attributes
    ----------
    plane : (h, w) float32 ndarray
        The mask moved, turned, scaled and perhaps mirrored, blurred.
    overlap : float
        Dice coefficient of the placed mask and the estimate, 0 to 1.
    """

    plane: Floats
    overlap: float


def place(mask: Floats, estimate: Floats) -> Placed:
    """Place a mask, (h, w) shares, on estimated shares of another image, (height, width)."""
    height, width = estimate.shape
    (source, by), (target, scale) = _reduced(mask), _reduced(estimate)
    down, right = np.nonzero(source > 0.25)
    area = float(target.sum())
    if not len(down) or area < 1:
        return Placed(np.zeros((height, width), np.float32), 0.0)
    points = np.stack([right, down], axis=1).astype(np.float64)
    margin = _PLACING_SIDE // 2
    padded = np.pad(target, margin)
    equal = float(np.clip(np.sqrt(area / source.sum()), 0.4, 2.5))
    best, overlap, matrix = -1.0, 0.0, np.eye(3)
    for mirrored, angle, factor in itertools.product((False, True), _ANGLES, _SCALES * equal):
        motion = _similar(points, angle, float(factor), mirrored)
        extent = np.ptp(points @ motion[:2, :2].T, axis=0)
        columns, rows = (int(one) for one in np.ceil(extent + 2) + 1)
        if rows > padded.shape[0] or columns > padded.shape[1]:
            continue
        moved = cv2.warpAffine(source, motion[:2], (columns, rows))
        common = cv2.matchTemplate(padded, moved, cv2.TM_CCORR)
        y, x = divmod(int(np.round(common, 3).argmax()), common.shape[1])
        dice = 2 * float(common[y, x]) / (float(moved.sum()) + area)
        cost = _MIRROR_COST * mirrored + _TURN_COST * (angle != 0)
        value = round(dice - cost - _SCALE_COST * abs(float(np.log(factor))), 6)
        if value > best:
            motion[:2, 2] += x - margin, y - margin
            best, overlap, matrix = value, dice, motion
    whole = np.linalg.inv(_reduction(scale)) @ matrix @ _reduction(by)
    plane = cv2.warpAffine(mask, whole[:2], (width, height))
    sigma = _BLUR * max(25.0, float(plane.sum())) ** 0.5
    return Placed(np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32), overlap)


def _reduced(plane: Floats) -> tuple[Floats, float]:
    scale = _PLACING_SIDE / max(plane.shape)
    rows, columns = (max(1, round(side * scale)) for side in plane.shape)
    small = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32), scale


def _reduction(scale: float) -> Matrix:
    """From the centers of pixels to those of the reduced image."""
    shift = (scale - 1) / 2
    return np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1]])


def _similar(points: Matrix, angle: float, scale: float, mirrored: bool) -> Matrix:
    """A turn and scaling that moves points to the upper left corner, with a margin of 1."""
    cosine, sine = np.cos(np.deg2rad(angle)) * scale, np.sin(np.deg2rad(angle)) * scale
    sign = -1 if mirrored else 1
    motion = np.array([[cosine * sign, -sine, 0], [sine * sign, cosine, 0], [0, 0, 1.0]])
    motion[:2, 2] = 1 - (points @ motion[:2, :2].T).min(axis=0)
    return motion
