"""A picture -> its segments: the method at a workable size, the labels brought back up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.arrays import as_image
from icas.common.errors import UsageError
from icas.common.images import Image, resize
from icas.segmentimg.labels import (
    Labels,
    absorb_small,
    border_band,
    connected,
    mean_colors,
)
from icas.segmentimg.segmenters import Segmenter, make_segmenter

WORK_SIZE = 1_500_000
"""Pixels at which large pictures are cut."""


def segment(
    image: NDArray[Any], method: str = "superpixel", *, work_size: int = WORK_SIZE, **options: Any
) -> Labels:
    """Cut a picture into segments.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; gray, RGBA (over white) and uint16 (the upper eight bits) do too.
    method : str
        ``superpixel``, ``edge``, ``kmeans``, ``slickmeans``, ``chanvese``, ``felzenszwalb``,
        ``quickshift`` or ``graph``; case does not matter.
    work_size : int
        A picture of more pixels is cut at this size; its labels are brought back up and their
        borders refined at full size. Options in pixels count at the working size.
    **options
        The method's own options.

    Returns
    -------
    (h, w) int32 ndarray
        1…K, each one connected piece (by sides), numbered in the order of their first pixel; 0 on
        edges only.

    Raises
    ------
    UsageError
        No such method or option, a value outside its limits, or an array that is no picture.
    """
    return cut(as_image(image), make_segmenter(method, **options), work_size)


def cut(image: Image, segmenter: Segmenter, work_size: int = WORK_SIZE) -> Labels:
    """Segments of an RGB picture; see `segment`."""
    if work_size < 1:
        raise UsageError(f"--work-size {work_size}: at least 1 pixel")
    height, width = image.shape[:2]
    share = min(1.0, (work_size / (height * width)) ** 0.5)
    if share == 1 or getattr(segmenter, "full_size", False):
        return connected(segmenter.groups(image), edges=True)
    small = resize(image, (max(1, round(width * share)), max(1, round(height * share))))
    labels = connected(segmenter.groups(small), edges=True)
    colors = mean_colors(small, labels).astype(np.float32)
    reach = max(1, round(1 / share))
    return refined(image, enlarged(labels, (width, height)), colors, reach)


def enlarged(labels: Labels, size: tuple[int, int]) -> Labels:
    """Labels at `size` (width, height), each pixel as the nearest one."""
    import cv2

    return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int32)


def refined(image: Image, labels: Labels, colors: NDArray[np.float32], reach: int) -> Labels:
    """Borders moved, by up to `reach` pixels, to where the picture's own colours part.

    Every pixel within `reach` of a border goes to that one of the segments around it (its own
    and those `reach` pixels up, down, left and right) whose mean colour is nearest to its own;
    `colors` are the mean colours, a row a label.
    """
    rows, columns = np.nonzero(border_band(labels, reach))
    if len(rows) == 0:
        return labels
    own = image[rows, columns].astype(np.float32)
    best = labels[rows, columns]
    least = _apart(colors[best], own)
    edge = best == 0
    for down, right in ((-reach, 0), (reach, 0), (0, -reach), (0, reach)):
        place = (
            np.clip(rows + down, 0, labels.shape[0] - 1),
            np.clip(columns + right, 0, labels.shape[1] - 1),
        )
        other = labels[place]
        distance = _apart(colors[other], own)
        better = (distance < least) & (other > 0) & ~edge
        best, least = np.where(better, other, best), np.where(better, distance, least)
    moved = labels.copy()
    moved[rows, columns] = best
    return absorb_small(image, connected(moved, edges=True), 4 * reach * reach)


def _apart(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distance of the colours in each row."""
    step = a - b
    return np.asarray(np.einsum("ij,ij->i", step, step), np.float32)
