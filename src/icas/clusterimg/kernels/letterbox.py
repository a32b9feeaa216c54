"""Letterbox bars: the part of an image inside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SAMPLES = 128
"""Pixels of a row or column that are looked at."""
TOLERANCE = 12
"""Most that a channel of a pixel of a bar differs from the color of the bar: noise of JPEG."""
FLAT = 0.97
"""Least share of the pixels of a row of a bar that have its color."""
STEP = 0.8
"""Least share of the pixels beside a bar that have another color: bars end in a straight edge."""
BESIDE = 0.02
"""Share of the rows in which this edge is looked for."""
LEAST = 0.03
"""Least share of the rows in each of two bars."""
INSIDE = 0.2
"""Least share of the rows between two bars."""
UNEVEN = 4
"""Most times that one bar is as wide as the other."""


def inside_bars(image: Pixels) -> Pixels:
    """The view of an RGB image, (h, w, 3), without bars of one color at opposite sides.

    Bars are above and below, left and right, or both, and end in straight edges. So the plain
    background of an object stays. An image without bars is returned as it is.
    """
    turned = image.transpose(1, 0, 2)
    color = image[0, 0].astype(np.int16)
    if _other(image[[0, -1, -1], [-1, 0, -1]], color).any():
        return image
    rows, columns = _between(image, color), _between(turned, color)
    inside = image[rows, columns]
    if inside.shape == image.shape:
        return image
    edges = [inside, inside[::-1]] if rows != ALL else []
    if columns != ALL:
        edges += [inside.transpose(1, 0, 2), inside.transpose(1, 0, 2)[::-1]]
    return inside if all(_is_edge(one, color) for one in edges) else image


ALL = slice(0, None)


def _between(image: Pixels, color: NDArray[np.int16]) -> slice:
    """The rows between a bar at the top and one at the bottom; all if there are no two bars."""
    count = len(image)
    least = max(2, round(LEAST * count))
    sampled = _sampled(image)
    if count < 3 * least or not _flat(sampled[[0, least - 1, -least, -1]], color).all():
        return ALL
    flat = _flat(sampled, color)
    top, bottom = int(np.argmin(flat)), int(np.argmin(flat[::-1]))
    few, many = sorted((top, bottom))
    if few < least or many > UNEVEN * few or count - top - bottom < INSIDE * count:
        return ALL
    return slice(top, count - bottom)


def _sampled(image: Pixels) -> Pixels:
    step = max(1, image.shape[1] // SAMPLES)
    return image[:, step // 2 :: step]


def _is_edge(inside: Pixels, color: NDArray[np.int16]) -> bool:
    """Whether one of the first rows differs from the bar beside it over most of its length."""
    beside = 1 + max(2, round(BESIDE * len(inside)))
    return bool(_other(_sampled(inside[:beside]), color).mean(axis=1).max() >= STEP)


def _flat(rows: Pixels, color: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(h,) which rows have one color."""
    return np.asarray(_other(rows, color).mean(axis=1) <= 1 - FLAT, np.bool_)


def _other(pixels: Pixels, color: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which pixels have another color."""
    apart = np.abs(pixels.astype(np.int16) - color)
    return np.asarray((apart > TOLERANCE).any(axis=-1), np.bool_)
