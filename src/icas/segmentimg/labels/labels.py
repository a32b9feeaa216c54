"""Label maps and boxes: connected segments, neighbours, small segments, borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.common.union_find import unions
from icas.io.reading import Image

Labels = NDArray[np.int32]
"""(h, w) int32: 0 = edge, 1…K = segments, each one connected region."""
Box = tuple[int, int, int, int]
"""Row and column ranges: first row, end row, first column, end column; ends are exclusive."""


def label_map_of(labels: Any, image: Image) -> Labels:
    """Label map of `image`, an int32 array itself where it is one.

    Raises UsageError: no 2-D array of integers, or of another size.
    """
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise UsageError("labels: expected a 2-D array of integers, as icas.segment returns it")
    if labels.shape != image.shape[:2]:
        raise UsageError(f"shape mismatch: labels {labels.shape}, image {image.shape[:2]}")
    return np.asarray(labels, np.int32)


def connected(groups: NDArray[np.integer[Any]], *, edges: bool = False) -> Labels:
    """Number the regions of equal values, connected by sides, 1…K by their first pixel.

    `edges`: 0 is an edge and stays 0, not a value like any other.
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
    """The m pairs of adjacent segments, a < b, each once."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    length: NDArray[np.int64]
    """Common sides of pixels."""
    contrast: NDArray[np.float64]
    """Mean distance of the colors on both sides of the border, in gray levels."""


def borders(image: Image, labels: Labels) -> Borders:
    """Borders between segments; across edges, the nearest segments are adjacent."""
    whole = filled(labels)
    sides = [_sides(whole, axis) for axis in (0, 1)]
    before = np.concatenate([first for first, _ in sides])
    after = np.concatenate([second for _, second in sides])
    flat, pixels = whole.ravel(), image.reshape(-1, 3)
    step = pixels[before].astype(np.float32) - pixels[after]
    return _count_borders(flat[before], flat[after], np.sqrt((step * step).sum(axis=1)))


def _sides(labels: Labels, axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat indices of pixels and of the next ones along `axis` that have another label."""
    width = labels.shape[1]
    differ = labels[:-1] != labels[1:] if axis == 0 else labels[:, :-1] != labels[:, 1:]
    rows, columns = np.nonzero(differ)
    before = rows * width + columns
    return before, before + (width if axis == 0 else 1)


def _count_borders(
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
    """Assign every edge pixel to the nearest segment."""
    from scipy.ndimage import distance_transform_edt

    edge = labels == 0
    if not edge.any() or edge.all():
        return labels
    nearest = distance_transform_edt(edge, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)], np.int32)


def absorb_small(image: Image, labels: Labels, min_size: int) -> Labels:
    """Join every segment of fewer than `min_size` pixels with its neighbour nearest in color.

    Edge pixels stay edges. Pixels are visited once; the rounds of joining are among segments.
    """
    sizes = sizes_of(labels).astype(float)
    if not (sizes[1:] < min_size).any():
        return labels
    touching = borders(image, labels)
    sums = mean_colors(image, labels) * sizes[:, None]
    group = np.arange(len(sizes))
    while True:
        joined = _join_small(group, sizes, sums, touching, min_size)
        if joined is None:
            return numbered(group)[labels]
        group = joined


def _join_small(
    group: NDArray[np.int64],
    sizes: NDArray[np.float64],
    sums: NDArray[np.float64],
    touching: Borders,
    min_size: int,
) -> NDArray[np.int64] | None:
    """One round: each small group joins its nearest neighbour in color; None if all are large.

    A group has the number of its lowest segment, so that group 0 stays the edge.
    """
    count = len(group)
    size = np.bincount(group, sizes, count)
    small = (size < min_size) & (size > 0)
    small[0] = False
    a, b = group[touching.a], group[touching.b]
    candidates = (a != b) & (small[a] | small[b])
    if not candidates.any():
        return None
    totals = np.stack([np.bincount(group, column, count) for column in sums.T], axis=1)
    means = totals / np.maximum(size, 1)[:, None]
    source = np.concatenate([a[candidates], b[candidates]])
    target = np.concatenate([b[candidates], a[candidates]])
    source, target = source[small[source]], target[small[source]]
    distance = np.linalg.norm(means[source] - means[target], axis=1)
    order = np.lexsort((target, distance, source))
    nearest = order[np.unique(source[order], return_index=True)[1]]
    joined = unions(count, source[nearest], target[nearest])
    lowest = np.full(count, count)
    np.minimum.at(lowest, joined[group], np.arange(count))
    return np.asarray(lowest[joined[group]], np.int64)


def numbered(group: NDArray[np.int64]) -> NDArray[np.int32]:
    """(K + 1,) table from old to new labels: groups 1… in the order of their lowest segment."""
    _, lowest, inverse = np.unique(group[1:], return_index=True, return_inverse=True)
    rank = np.empty(len(lowest), np.int32)
    rank[np.argsort(lowest)] = np.arange(1, len(lowest) + 1)
    return np.concatenate([np.zeros(1, np.int32), rank[inverse]]).astype(np.int32)


def border_band(labels: Labels, reach: int) -> NDArray[np.bool_]:
    """(h, w) bool: pixels within `reach` pixels of another segment."""
    import cv2

    side = 2 * reach + 1
    square = np.ones((side, side), np.uint8)
    return np.asarray(cv2.dilate(last_pixels(labels).astype(np.uint8), square), bool)


def last_pixels(labels: Labels) -> NDArray[np.bool_]:
    """(h, w) bool: pixels whose next one to the right or below has another label."""
    last = np.zeros(labels.shape, bool)
    last[:-1] |= labels[:-1] != labels[1:]
    last[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return last


def rows_of(box: Box) -> tuple[slice, slice]:
    """The rectangle as an index of an array."""
    return slice(box[0], box[1]), slice(box[2], box[3])


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of the True pixels of a mask; empty, (0, 0, 0, 0), where there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def union(boxes: list[Box]) -> Box:
    """The least rectangle that holds all `boxes`."""
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    return min(tops), max(bottoms), min(lefts), max(rights)


def swept(box: Box, start: tuple[int, int], end: tuple[int, int], radius: int) -> NDArray[np.bool_]:
    """Pixels of `box` within `radius` of the line from `start` to `end` (row, column)."""
    rows, columns = np.ogrid[box[0] : box[1], box[2] : box[3]]
    down, right = rows - start[0], columns - start[1]
    along = (end[0] - start[0], end[1] - start[1])
    length = along[0] ** 2 + along[1] ** 2
    share = np.clip((down * along[0] + right * along[1]) / max(length, 1), 0, 1)
    return np.asarray((down - share * along[0]) ** 2 + (right - share * along[1]) ** 2 <= radius**2)
