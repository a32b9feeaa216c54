"""Large images: annotations at a reduced size, and masks refined at full size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image
from icas.segmentimg.grabcut import annotation as marks
from icas.segmentimg.labels.labels import Box

WORK_SIZE = 320_000
"""Pixels to which larger images are reduced: time grows faster than their number."""

_WINDOW = 12
"""Reach, at the reduced size, of the window in which colors of both sides are averaged."""

_SOFT = 0.6
"""Weight of the nearer color relative to the nearer side."""

Mask = NDArray[np.bool_]


def work_size(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns to which an image of `shape` is reduced."""
    height, width = shape
    scale = min(1.0, (WORK_SIZE / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def reduce_annotation(annotation: marks.Annotation, shape: tuple[int, int]) -> marks.Annotation:
    """An annotation at another size; no stroke and no rectangle is lost."""
    before = annotation.strokes.shape
    if before == shape:
        return annotation
    boxes = tuple(_scaled(box, before, shape) for box in annotation.boxes)
    return marks.Annotation(boxes, _reduce_strokes(annotation.strokes, shape))


def _scaled(box: Box, before: tuple[int, ...], after: tuple[int, int]) -> Box:
    first_row, last_row = _interval(box[0], box[1], before[0], after[0])
    first_column, last_column = _interval(box[2], box[3], before[1], after[1])
    return first_row, last_row, first_column, last_column


def _interval(start: int, end: int, before: int, after: int) -> tuple[int, int]:
    low = min(after - 1, round(start * after / before))
    return low, min(after, max(low + 1, round(end * after / before)))


def _reduce_strokes(strokes: marks.Strokes, shape: tuple[int, int]) -> marks.Strokes:
    """The stroke that covers most of each pixel; sure before probable ones."""
    reduced = np.zeros(shape, np.uint8)
    for pair in (
        (marks.PROBABLE_FOREGROUND, marks.PROBABLE_BACKGROUND),
        (marks.FOREGROUND, marks.BACKGROUND),
    ):
        shares = [_share(strokes == value, shape) for value in pair]
        covered = np.maximum(*shares) > 0
        larger = np.where(shares[0] > shares[1], *pair)
        reduced[covered] = larger[covered]
    return reduced


def _share(mask: Mask, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each pixel of the reduced image that a mask covers; any coverage is above 0."""
    import cv2

    if not mask.any():
        return np.zeros(shape, np.float32)
    flat = mask.astype(np.float32)
    return np.asarray(cv2.resize(flat, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def enlarge_mask(image: Image, small: Image, mask: Mask) -> Mask:
    """A mask of the reduced image `small` at full size.

    Pixels near the border go to the side that is nearer in position and in color: their color at
    full size compared with the mean colors of both sides around them.
    """
    import cv2

    height, width = image.shape[:2]
    if mask.shape == (height, width) or mask.all() or not mask.any():
        return np.asarray(cv2.resize(mask.astype(np.uint8), (width, height)) > 0, bool)
    flat = mask.astype(np.uint8)
    whole = cv2.resize(flat, (width, height), interpolation=cv2.INTER_NEAREST)
    square = np.ones((5, 5), np.uint8)
    near = cv2.dilate(flat, square) != cv2.erode(flat, square)
    band = cv2.resize(near.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    rows, columns = np.nonzero(band)
    whole[rows, columns] = _nearer_front(image, small, flat, rows, columns)
    reach = 2 * round(max(1.0, height / mask.shape[0]) / 2) + 1
    return np.asarray(cv2.medianBlur(whole, min(reach, 255)) > 0, bool)


def _nearer_front(
    image: Image,
    small: Image,
    flat: NDArray[np.uint8],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> Mask:
    """(n,) bool: whether the pixels at these positions are nearer to the foreground."""
    soft = _sampled(_blurred(flat.astype(np.float32), 1), rows, columns, image.shape)
    pixels = image[rows, columns].astype(np.float32)
    to_front, to_back = (
        np.linalg.norm(
            pixels - _sampled(_side_colors(small, side), rows, columns, image.shape), axis=1
        )
        for side in (flat, 1 - flat)
    )
    nearer = (to_back - to_front) / (to_back + to_front + 10)
    return np.asarray(soft - 0.5 + _SOFT * nearer > 0, bool)


def _side_colors(small: Image, side: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w, 3) mean color of one side in the window around each pixel."""
    weights = side.astype(np.float32)[..., None]
    share = _blurred(weights[..., 0], _WINDOW)[..., None]
    return np.asarray(_blurred(small * weights, _WINDOW) / np.maximum(share, 1e-4), np.float32)


def _blurred(values: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    import cv2

    side = 2 * reach + 1
    return np.asarray(cv2.blur(values, (side, side)), np.float32)


def _sampled(
    values: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Values of the reduced image at positions of the full one, bilinear."""
    from scipy.ndimage import map_coordinates

    down = (rows + 0.5) * values.shape[0] / shape[0] - 0.5
    right = (columns + 0.5) * values.shape[1] / shape[1] - 0.5
    planes = np.atleast_3d(values)
    channels = [
        map_coordinates(planes[..., channel], (down, right), order=1, mode="nearest")
        for channel in range(planes.shape[2])
    ]
    return np.asarray(np.stack(channels, axis=-1) if values.ndim == 3 else channels[0], np.float32)
