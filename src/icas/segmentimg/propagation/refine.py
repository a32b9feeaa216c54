"""From shares of superpixels to masks with the borders of the image: by GrabCut, and by SAM."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import NONE
from icas.segmentimg.grabcut.features import Floats, SuperpixelGraph, diffuse
from icas.segmentimg.grabcut.mixtures import ColorModels
from icas.segmentimg.grabcut.strokes import refine_band
from icas.segmentimg.sam.embedding import Embedder, Embedding, image_key
from icas.segmentimg.sam.predictor import Point, Prompt

Mask = NDArray[np.bool_]
Planes = NDArray[np.float32]

_WIDTH, _FLOOR, _PULL = 6.0, 0.01, 0.5
"""Arguments of `diffuse`."""
_SMALL_PART, _SMALL_HOLE = 0.03, 0.01
"""Share of the mask below which a part is dropped and a hole is filled."""
_BAND = 0.03
"""Width of the band in which a border moves, see `refine_band`."""
_DOUBT = 0.05
"""Share of the object from which GrabCut decides, and below 1 - share."""
_LEAST, _MOST = 0.4, 2.5
"""Change of the area by GrabCut beyond which its result is discarded."""

_BOX_MARGIN = 0.05
"""By how much the box given to SAM is larger than the mask, over its sides."""
_INSIDE, _OUTSIDE = 3, 4
"""Points given to SAM in the object and beside it."""
_SURE_IN, _SURE_AGAIN, _SURE_OUT = 0.7, 0.85, 0.15
"""Shares where these points are: in the object, in the second round, and beside it."""
_APART = 1.6
"""Distance of two points, over that of the first one from the border."""
_RING = (0.03, 0.25)
"""Distance from the mask of the points beside it, over the longer side of the image."""
_BLUR = 2.0
_MOST_ODDS, _PRIOR = 4.0, 0.7
"""Limit of log odds, and weight of those of the shares beside those of SAM."""
_MOST_GIVEN = 6.0
"""Limit of the log odds given to SAM."""
_LEAST_OVERLAP = 0.1
"""IoU with the carried mask below which a mask of SAM is another object."""
_PAINTED, _REPRODUCED = 0.95, 0.75
"""Share of painted pixels, and the IoU with a painted mask from which SAM is used for others."""
_INPUT_SCALE = 4
"""Side of the mask that SAM takes as an input, over that of its features."""
_LARGE_PART = 0.1
"""Share of the mask from which a part may be an object."""


def smooth(graph: SuperpixelGraph, share: Floats) -> Floats:
    """(n,) shares that vary little between superpixels of similar color."""
    none = np.zeros(graph.count, bool)
    return diffuse(graph, _WIDTH, _FLOOR, _PULL * graph.sizes, np.clip(share, 0, 1), none, none)


def without_small_parts(mask: Mask) -> Mask:
    """A mask without small parts and small holes."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 1:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.r_[False, areas >= _SMALL_PART * areas.sum()][labels]
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] < _SMALL_HOLE * max(1, int(kept.sum()))
    small[0] = False
    return np.asarray(kept | small[labels], bool)


def overlap(a: Mask, b: Mask, sizes: NDArray[Any] | None = None) -> float:
    """IoU of two masks, or of two sets of superpixels with their sizes; 1 if both are empty."""
    both, either = a & b, a | b
    if sizes is None:
        union = float(either.sum())
        return float(both.sum()) / union if union else 1.0
    union = float(sizes[either].sum())
    return float(sizes[both].sum()) / union if union else 1.0


def to_border(image: Image, mask: Mask, share: Floats) -> Mask:
    """A mask whose border follows the image, by GrabCut in a band along it.

    `share`: (h, w) estimated share of the object in each pixel; where that is sure, it is kept.
    """
    if not mask.any() or mask.all():
        return mask
    strokes = np.full(mask.shape, NONE, np.uint8)
    try:
        refined = refine_band(image, mask, strokes, ColorModels(), 0, _BAND)
    except cv2.error:  # a side without pixels
        return mask
    before, after = int(mask.sum()), int(refined.sum())
    if not _LEAST * before < after < _MOST * before:
        return mask
    return without_small_parts((refined & (share > _DOUBT)) | (share > 1 - _DOUBT))


def continued(mask: Mask, beyond: Mask) -> Mask:
    """A mask and the parts of `beyond` that touch it; `beyond` where the mask is empty."""
    if not mask.any():
        return beyond
    _, parts = cv2.connectedComponents((mask | beyond).astype(np.uint8))
    return np.asarray((mask | beyond) & np.isin(parts, np.unique(parts[mask])), bool)


class SamRefinement:
    """Masks of Segment Anything, prompted by carried masks and the shares behind them.

    Three prompts give a mask each: a box, the box with points and the shares, and the box with the
    mask. Their mean, together with the shares, gives the prompts of a second round.

    Parameters
    ----------
    embedder : Embedder
        With its cache: an image is embedded once.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[tuple[str, bytes], bool] = {}

    def reproduces(self, image: Image, mask: Mask, apart: bool = False) -> bool:
        """Whether SAM gives a painted mask back: it has no masks of some parts and groups."""
        key = image_key(image), np.packbits(mask).tobytes()
        if key not in self._known:
            share = np.where(mask, _PAINTED, 1 - _PAINTED).astype(np.float32)
            self._known[key] = overlap(self(image, mask, share, apart), mask) >= _REPRODUCED
        return self._known[key]

    def __call__(self, image: Image, mask: Mask, share: Planes, apart: bool = False) -> Mask:
        """The mask of an object by SAM; as it is where SAM sees another object.

        Parameters
        ----------
        share : (h, w) float32 ndarray
            Of the object, 0 to 1.
        apart : bool
            Whether large parts of the mask are objects of their own.
        """
        if not mask.any():
            return mask
        embedding = self._embedder.embed(image)
        parts = _large_parts(mask) if apart else [mask]
        refined = mask & ~np.any(parts, axis=0)
        for part in parts:
            others = mask & ~part
            refined |= self._refined(embedding, part, np.where(others, 0, share)) & ~others
        return np.asarray(refined, bool)

    def _refined(self, embedding: Embedding, mask: Mask, share: Planes) -> Mask:
        prior = _log_odds(_blurred(share, _BLUR))
        box, points = _box_around(mask), _points(mask, share, _SURE_IN)
        edge = _blurred(mask.astype(np.float32), 1.5 * _BLUR)
        logits = [
            self._logits(embedding, Prompt(box, ()), mask, None),
            self._logits(embedding, Prompt(box, points), mask, prior),
            self._logits(embedding, Prompt(box, ()), mask, 2 * _log_odds(edge)),
        ]
        odds = np.mean(logits, axis=0) + _PRIOR * np.clip(prior, -_MOST_ODDS, _MOST_ODDS)
        first = without_small_parts(odds > 0)
        if not first.any():
            return mask
        share = np.asarray(1 / (1 + np.exp(-odds)), np.float32)
        prompt = Prompt(_box_around(first), _points(first, share, _SURE_AGAIN))
        second = self._logits(embedding, prompt, first, 1.5 * odds)
        found = without_small_parts(second > 0)
        return found if overlap(found, mask) >= _LEAST_OVERLAP else mask

    def _logits(
        self, embedding: Embedding, prompt: Prompt, near: Mask, odds: Planes | None
    ) -> Planes:
        """(h, w) log odds of the mask that is nearest to another one."""
        model, size = self._embedder.loaded, embedding.size
        side = _INPUT_SCALE * model.features_shape()[-1]
        given = None if odds is None else _as_input(odds, side)
        masks, _, logits = model.predict(embedding.features, size, prompt.arrays(), given)
        best = int(np.argmax([overlap(np.asarray(mask, bool), near) for mask in masks]))
        return np.clip(_at_size(logits[best], size), -_MOST_ODDS, _MOST_ODDS)


def _at_size(logits: Planes, size: tuple[int, int]) -> Planes:
    """Log odds of a square frame, whose longer side the image fills, at the size of the image."""
    side = max(size)
    square = cv2.resize(logits, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(square[: size[0], : size[1]], np.float32)


def _as_input(odds: Planes, side: int) -> Planes:
    """(side, side) log odds of a square frame, as SAM takes them."""
    height, width = odds.shape
    square = np.full((max(height, width),) * 2, -_MOST_GIVEN, np.float32)
    square[:height, :width] = np.clip(odds, -_MOST_GIVEN, _MOST_GIVEN)
    return np.asarray(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _blurred(plane: Planes, sigma: float) -> Planes:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _log_odds(share: Planes) -> Planes:
    return np.asarray(np.log((share + 0.003) / (1.003 - share)), np.float32)


def _large_parts(mask: Mask) -> list[Mask]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA]
    numbers = [k for k in range(1, len(areas)) if areas[k] >= _LARGE_PART * mask.sum()]
    return [labels == number for number in numbers]


def _box_around(mask: Mask) -> tuple[float, float, float, float]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    down, right = (_BOX_MARGIN * len(places) for places in (rows, columns))
    return (
        max(0.0, float(columns[0]) - right),
        max(0.0, float(rows[0]) - down),
        min(float(mask.shape[1]), columns[-1] + 1 + right),
        min(float(mask.shape[0]), rows[-1] + 1 + down),
    )


def _points(mask: Mask, share: Planes, least: float) -> tuple[Point, ...]:
    """Points where the object is sure, and beside it where it is surely not."""
    sure = mask & (share > least)
    inside = _deepest(sure if sure.any() else mask, _INSIDE)
    near, far = (round(reach * max(mask.shape)) for reach in _RING)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_C, 3)
    beside = (distance > near) & (distance <= far) & (share < _SURE_OUT)
    outside = _deepest(beside, _OUTSIDE)
    return (*((x, y, 1) for x, y in inside), *((x, y, 0) for x, y in outside))


def _deepest(mask: Mask, count: int) -> list[tuple[float, float]]:
    """x and y of the pixel farthest from the border of a mask, and of the next ones apart."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    depth = np.array(depth)
    rows, columns = np.indices(mask.shape)
    points: list[tuple[float, float]] = []
    while len(points) < count:
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        reach = float(depth[row, column])
        if reach <= 0:
            break
        points.append((float(column), float(row)))
        depth[(rows - row) ** 2 + (columns - column) ** 2 < (_APART * reach) ** 2] = 0
    return points
