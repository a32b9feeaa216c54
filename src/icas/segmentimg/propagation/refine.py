"""From shares of superpixels to masks with the borders of the image: by GrabCut, and by SAM."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import NONE
from icas.segmentimg.grabcut.features import Floats, SuperpixelGraph, diffuse
from icas.segmentimg.grabcut.mixtures import ColorModels
from icas.segmentimg.grabcut.strokes import refine_band
from icas.segmentimg.sam.embedding import Embedder
from icas.segmentimg.sam.predictor import Point, Predictor, Prompts

Mask = NDArray[np.bool_]

_WIDTH, _FLOOR, _PULL = 6.0, 0.01, 0.5
"""Arguments of `diffuse`."""
_SMALL_PART, _SMALL_HOLE = 0.03, 0.01
"""Share of the mask below which a part is dropped and a hole is filled."""
_BAND = 0.03
"""Width of the band in which a border moves, see `refine_band`."""
_LEAST, _MOST = 0.4, 2.5
"""Change of the area by GrabCut beyond which its result is discarded."""


_BOX_MARGIN = 0.05
"""By how much the box given to SAM is larger than the mask, over its sides."""
_POINTS = 2
_LEAST_OVERLAP = 0.6
"""IoU with the carried mask below which a mask of SAM is another object."""


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


def to_border(image: Image, mask: Mask) -> Mask:
    """A mask whose border follows the image, by GrabCut in a band along it."""
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
    return without_small_parts(refined)


class SamRefinement:
    """Masks of Segment Anything, prompted by carried masks.

    Parameters
    ----------
    embedder : Embedder
        With its cache: an image is embedded once.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._predictor = Predictor(embedder)

    def __call__(self, image: Image, masks: Sequence[Mask]) -> list[Mask | None]:
        """For each mask the one by SAM; None where that is another object."""
        if any(mask.any() for mask in masks):
            self._predictor.set_image(image)
        return [self._refined(mask) if mask.any() else None for mask in masks]

    def _refined(self, mask: Mask) -> Mask | None:
        found = self._predictor.predict(Prompts((_box_around(mask),), _inner_points(mask)))
        overlaps = [(one & mask).sum() / max(1, (one | mask).sum()) for one in found.masks]
        best = int(np.argmax(overlaps))
        if overlaps[best] < _LEAST_OVERLAP:
            return None
        return without_small_parts(np.asarray(found.masks[best], bool))


def _box_around(mask: Mask) -> tuple[float, float, float, float]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    down, right = (_BOX_MARGIN * len(places) for places in (rows, columns))
    return (
        max(0.0, float(columns[0]) - right),
        max(0.0, float(rows[0]) - down),
        min(float(mask.shape[1]), columns[-1] + 1 + right),
        min(float(mask.shape[0]), rows[-1] + 1 + down),
    )


def _inner_points(mask: Mask) -> tuple[Point, ...]:
    """The pixel farthest from the border of the mask, and the next one away from that."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5))[1:-1, 1:-1]
    points: list[Point] = []
    for _ in range(_POINTS):
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        reach = float(depth[row, column])
        if reach <= 0:
            break
        points.append((float(column), float(row), 1))
        rows, columns = np.indices(mask.shape)
        depth[(rows - row) ** 2 + (columns - column) ** 2 < (2 * reach) ** 2] = 0
    return tuple(points)
