"""Label algebra: connected pieces, neighbours, small segments, borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.images import Image

Labels = NDArray[np.int32]
"""(h, w) int32: 0 = edge, 1…K = segments, each one connected piece."""


def connected(groups: NDArray[np.integer[Any]], *, edges: bool = False) -> Labels:
    """Number the connected pieces of equal values 1…K, in the order of their first pixel.

    Parameters
    ----------
    groups : (h, w) int ndarray
        Pixels of one value belong together where they touch.
    edges : bool
        The value 0 is an edge and stays 0; else it is a value like any other.

    Returns
    -------
    (h, w) int32 ndarray
        Pieces are connected by sides, not by corners alone.
    """
    from skimage.measure import label

    values = groups.astype(np.int32)
    if not edges:
        values = values - (values.min(initial=0) - 1)
    pieces: Any = label(values, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    return np.asarray(pieces, np.int32)


def count_of(labels: Labels) -> int:
    """Number of segments."""
    return int(labels.max(initial=0))


def sizes_of(labels: Labels) -> NDArray[np.int64]:
    """(K + 1,) pixels of each label, the edge's first."""
    return np.bincount(labels.ravel(), minlength=1).astype(np.int64)


def mean_colors(image: Image, labels: Labels) -> NDArray[np.float64]:
    """(K + 1, 3) mean colour of each label; 0 where a label has no pixel."""
    flat, count = labels.ravel(), count_of(labels) + 1
    sums = [np.bincount(flat, image[..., channel].ravel(), count) for channel in range(3)]
    return np.stack(sums, axis=1) / np.maximum(np.bincount(flat, minlength=count), 1)[:, None]


@dataclass(frozen=True)
class Borders:
    """Which segments touch, and how.

    Attributes
    ----------
    a, b : (m,) int64 ndarray
        Touching segments, a < b, each pair once.
    length : (m,) int64 ndarray
        Pixel sides that the two share.
    contrast : (m,) float64 ndarray
        Mean distance of the colours on both sides of the border, in gray levels.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    length: NDArray[np.int64]
    contrast: NDArray[np.float64]


def borders(image: Image, labels: Labels) -> Borders:
    """Borders between segments; where edges lie between, the nearest segments touch."""
    whole = filled(labels)
    firsts, seconds, steps = [], [], []
    for axis in (0, 1):
        before, after = _halves(whole, axis)
        differ = before != after
        firsts.append(before[differ])
        seconds.append(after[differ])
        steps.append(_color_step(image, axis)[differ])
    return _gathered(np.concatenate(firsts), np.concatenate(seconds), np.concatenate(steps))


def _halves(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """All pixels that have a next one along `axis`, and those next ones."""
    return (array[:-1], array[1:]) if axis == 0 else (array[:, :-1], array[:, 1:])


def _color_step(image: Image, axis: int) -> NDArray[np.float32]:
    before, after = _halves(image.astype(np.float32), axis)
    return np.asarray(np.sqrt(((before - after) ** 2).sum(axis=2)), np.float32)


def _gathered(
    first: NDArray[np.int32], second: NDArray[np.int32], step: NDArray[np.float32]
) -> Borders:
    low = np.minimum(first, second).astype(np.int64)
    high = np.maximum(first, second).astype(np.int64)
    base = int(high.max(initial=0)) + 1
    pairs, place = np.unique(low * base + high, return_inverse=True)
    length = np.bincount(place, minlength=len(pairs))
    contrast = np.bincount(place, step, len(pairs)) / np.maximum(length, 1)
    a, b = np.divmod(pairs, base)
    return Borders(a, b, length, contrast)


def filled(labels: Labels) -> Labels:
    """`labels` with every edge pixel given to the nearest segment."""
    from scipy.ndimage import distance_transform_edt

    edge = labels == 0
    if not edge.any() or edge.all():
        return labels
    nearest = distance_transform_edt(edge, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)], np.int32)


def absorb_small(image: Image, labels: Labels, min_size: int) -> Labels:
    """Give every segment of fewer than `min_size` pixels to the neighbour nearest in colour.

    Edge pixels stay edges. A picture that is one small segment stays as it is.
    """
    current = labels
    while True:
        sizes = sizes_of(current)
        small = sizes < min_size
        small[0] = False
        touching = borders(image, current)
        if not small[1:].any() or len(touching.a) == 0:
            return current
        current = _joined(image, current, small, touching)


def _joined(image: Image, labels: Labels, small: NDArray[np.bool_], touching: Borders) -> Labels:
    """One round: each small segment joins its nearest neighbour in colour."""
    colors = mean_colors(image, labels)
    distance = np.linalg.norm(colors[touching.a] - colors[touching.b], axis=1)
    source = np.concatenate([touching.a, touching.b])
    target = np.concatenate([touching.b, touching.a])
    order = np.lexsort((target, np.concatenate([distance, distance]), source))
    source, target = source[order], target[order]
    nearest = np.unique(source, return_index=True)[1]
    source, target = source[nearest], target[nearest]
    joins = small[source]
    return merged(labels, source[joins], target[joins])


def merged(labels: Labels, a: NDArray[np.int64], b: NDArray[np.int64]) -> Labels:
    """Segments `a` and `b` joined, pair by pair; numbered 1…K in the order of their first pixel.

    That order is the order of the lowest old number in each new segment, so one look-up does it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = count_of(labels) + 1
    joins = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    _, group = connected_components(joins, directed=False)
    _, lowest, place = np.unique(group[1:], return_index=True, return_inverse=True)
    rank = np.empty(len(lowest), np.int32)
    rank[np.argsort(lowest)] = np.arange(1, len(lowest) + 1)
    return np.concatenate([[np.int32(0)], rank[place]]).astype(np.int32)[labels]


def border_band(labels: Labels, reach: int) -> NDArray[np.bool_]:
    """(h, w) bool: pixels within `reach` pixels of another segment."""
    import cv2

    side = 2 * reach + 1
    square = np.ones((side, side), np.uint8)
    changed = np.zeros(labels.shape, np.uint8)
    changed[:-1] |= labels[:-1] != labels[1:]
    changed[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return np.asarray(cv2.dilate(changed, square), bool)
