"""From shares of superpixels to masks with the borders of the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut.annotation import NONE
from icas.segmentimg.grabcut.features import Floats, SuperpixelGraph, diffuse
from icas.segmentimg.grabcut.mixtures import ColorModels
from icas.segmentimg.grabcut.strokes import refine_band

Mask = NDArray[np.bool_]

_WIDTH, _FLOOR, _PULL = 6.0, 0.01, 0.5
"""Arguments of `diffuse`."""
_SMALL_PART, _SMALL_HOLE = 0.03, 0.01
"""Share of the mask below which a part is dropped and a hole is filled."""
_LEAST, _MOST = 0.4, 2.5
"""Change of the area by GrabCut beyond which its result is discarded."""


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
        refined = refine_band(image, mask, strokes, ColorModels(), 0)
    except cv2.error:  # a side without pixels
        return mask
    before, after = int(mask.sum()), int(refined.sum())
    if not _LEAST * before < after < _MOST * before:
        return mask
    return without_small_parts(refined)
