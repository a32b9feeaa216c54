"""What the bound of `ssim_blocks` needs of an image, by compiled loops.

Flat arrays, padding and unsigned indices are those of `ssim_map_loops`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.ssim.block_bounds import (
    CURVE,
    FEATURES,
    FLAT,
    LEFT,
    MEANS,
    REST,
    SHAPES,
    SIDE,
    SLOPE,
    grid_of,
    places,
)
from icas.clusterimg.kernels.ssim.maps import LANES, Side, aligned, padded
from icas.clusterimg.kernels.ssim.windows import BRIGHT, VARIED, WINDOW

GROUP = 64
"""Images whose features lie beside each other."""
_U = np.uint64
_LINES = [FLAT.tolist(), SLOPE.tolist(), CURVE.tolist()]
DOWN = np.array([vertical for vertical, _ in SHAPES], np.float32)
"""Weights of the rows of a window, for each of `SHAPES`."""
ALONG = np.array([_LINES.index(horizontal.tolist()) for _, horizontal in SHAPES])
"""Which of flat, slope, curve the weights of its columns are."""
SCALES = np.array(
    [
        WINDOW / np.sqrt(np.square(vertical).sum() * np.square(horizontal).sum())
        for vertical, horizontal in SHAPES
    ],
    np.float32,
)
CONSTANT = np.float32(np.sqrt(VARIED))
DARK = np.float32(np.sqrt(VARIED) * np.sqrt(BRIGHT))


def features_of(side: Side, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """What `ssim_blocks.features_of` gives, but for rounding, `GROUP` images beside each other.

    Parameters
    ----------
    side : Side
    shape : (int, int)
        Height and width of the images.

    Returns
    -------
    (groups, blocks, `FEATURES`, `GROUP`) float32 ndarray
        Zeros behind the last image.
    """
    grid = grid_of(shape)
    across = padded(shape[1])
    count = len(side.pixels) // (shape[0] * across)
    size = (-(-count // GROUP), grid.counts.size, FEATURES, GROUP)
    found = aligned(math.prod(size), np.float32).reshape(size)
    room = shape[0] * across + LANES
    fill_features(
        *side,
        count,
        _U(shape[0]),
        shape[1],
        _U(across),
        grid.counts,
        np.pad(places(grid.rows), (0, -grid.rows % SIDE)),
        np.pad(places(grid.columns), (0, across - grid.columns)),
        aligned(3 * room, np.float32).reshape(3, room),
        aligned(4 * room, np.float32).reshape(4, room),
        np.zeros((2, across + LANES), np.float32),
        found,
    )
    return found


@compiled
def fill_features(
    pixels: NDArray[np.uint8],
    sums: NDArray[np.int16],
    spreads: NDArray[np.float32],
    images: int,
    height: Any,
    width: int,
    across: Any,
    counts: NDArray[np.float32],
    down: NDArray[np.float32],
    along: NDArray[np.float32],
    filtered: NDArray[np.float32],
    values: NDArray[np.float32],
    lines: NDArray[np.float32],
    found: NDArray[np.float32],
) -> None:
    """Fill `found` with the features of all images; there is room to work in before it."""
    count = height * across
    windows = count - _U(6) * across
    bright, spread, share, value = values[0], values[1], values[2], values[3]
    even = np.ones_like(down)
    for image in range(images):
        _filter(pixels, _U(image) * count, count, filtered)
        _lengths(sums, spreads, _U(image) * windows, windows, bright, spread, share)
        number = 0
        for shape in range(len(ALONG)):
            rows = filtered[ALONG[shape]]
            _project(rows, DOWN[shape], SCALES[shape], share, across, windows, value)
            sloped = shape < 2
            _means(value, lines, across, even, along, sloped, counts, found, number, 2, image)
            if sloped:
                _means(
                    value, lines, across, down, along, False, counts, found, number + 1, 0, image
                )
            number += 3 if sloped else 1
        for i in range(windows):
            value[i] = CONSTANT * share[i]
        _means(value, lines, across, even, along, False, counts, found, number, 0, image)
        for i in range(windows):
            value[i] = np.divide(DARK, bright[i] * spread[i])
        _means(value, lines, across, even, along, False, counts, found, number + 1, 0, image)
        rows, columns = height - _U(6), width - 6
        _ranges(spread, lines, across, counts, rows, columns, found, REST + 1, image)
        _ranges(bright, lines, across, counts, rows, columns, found, REST + 3, image)
        _rest(found, image)


@compiled
def _filter(
    pixels: NDArray[np.uint8], start: Any, count: Any, filtered: NDArray[np.float32]
) -> None:
    """Sums along the rows with the weights flat, slope, curve."""
    flat, slope, curve = filtered[0], filtered[1], filtered[2]
    for i in range(count - _U(6)):
        at = start + i
        far = np.int32(pixels[at]) + np.int32(pixels[at + _U(6)])
        mid = np.int32(pixels[at + _U(1)]) + np.int32(pixels[at + _U(5)])
        near = np.int32(pixels[at + _U(2)]) + np.int32(pixels[at + _U(4)])
        middle = np.int32(pixels[at + _U(3)])
        flat[i] = far + mid + near + middle
        curve[i] = np.int32(5) * far - np.int32(3) * near - np.int32(4) * middle
    for i in range(count - _U(6)):
        at = start + i
        far = np.int32(pixels[at + _U(6)]) - np.int32(pixels[at])
        mid = np.int32(pixels[at + _U(5)]) - np.int32(pixels[at + _U(1)])
        near = np.int32(pixels[at + _U(4)]) - np.int32(pixels[at + _U(2)])
        slope[i] = np.int32(3) * far + np.int32(2) * mid + near


@compiled
def _lengths(
    sums: NDArray[np.int16],
    spreads: NDArray[np.float32],
    start: Any,
    count: Any,
    bright: NDArray[np.float32],
    spread: NDArray[np.float32],
    share: NDArray[np.float32],
) -> None:
    """M, E and S / (M E) of all windows."""
    for i in range(count):
        total = np.int32(sums[start + i])
        bright[i] = np.sqrt(np.float32(np.int32(total * total)) + BRIGHT)
        spread[i] = np.sqrt(spreads[start + i])
        share[i] = np.divide(np.float32(total), bright[i] * spread[i])


@compiled
def _project(
    rows: NDArray[np.float32],
    weights: NDArray[np.float32],
    scale: Any,
    share: NDArray[np.float32],
    across: Any,
    count: Any,
    value: NDArray[np.float32],
) -> None:
    """Component of all windows along one of `SHAPES`."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    w4, w5, w6 = weights[4], weights[5], weights[6]
    for i in range(count):
        total = w0 * rows[i] + w1 * rows[i + across]
        total += w2 * rows[i + _U(2) * across] + w3 * rows[i + _U(3) * across]
        total += w4 * rows[i + _U(4) * across] + w5 * rows[i + _U(5) * across]
        total += w6 * rows[i + _U(6) * across]
        value[i] = total * scale * share[i]


@compiled
def _means(
    value: NDArray[np.float32],
    lines: NDArray[np.float32],
    across: Any,
    down: NDArray[np.float32],
    along: NDArray[np.float32],
    sloped: bool,
    counts: NDArray[np.float32],
    found: NDArray[np.float32],
    number: int,
    step: int,
    image: int,
) -> None:
    """Mean over each block of `value`, weighed by `down`; `sloped`: `step` on by `along`, too.

    There are zeros behind the last row of `value` and in `down`.
    """
    group, lane = image // GROUP, image % GROUP
    line, other = lines[0], lines[1]
    for band in range(counts.shape[0]):
        at, first = _U(band * SIDE) * across, band * SIDE
        d0, d1, d2 = down[first], down[first + 1], down[first + 2]
        d3, d4, d5 = down[first + 3], down[first + 4], down[first + 5]
        for i in range(across):
            start = at + i
            upper = d0 * value[start] + d1 * value[start + across]
            middle = d2 * value[start + _U(2) * across] + d3 * value[start + _U(3) * across]
            lower = d4 * value[start + _U(4) * across] + d5 * value[start + _U(5) * across]
            line[i] = upper + middle + lower
        for turn in range(2 if sloped else 1):
            if turn == 1:
                for i in range(across):
                    line[i] *= along[i]
            for i in range(across):
                left = line[i] + line[i + _U(1)] + line[i + _U(2)]
                other[i] = left + line[i + _U(3)] + line[i + _U(4)] + line[i + _U(5)]
            for block in range(counts.shape[1]):
                mean = np.divide(other[block * SIDE], counts[band, block])
                found[group, band * counts.shape[1] + block, number + turn * step, lane] = mean


@compiled
def _ranges(
    value: NDArray[np.float32],
    lines: NDArray[np.float32],
    across: Any,
    counts: NDArray[np.float32],
    rows: Any,
    columns: int,
    found: NDArray[np.float32],
    number: int,
    image: int,
) -> None:
    """Least and greatest of `value` in each block."""
    group, lane = image // GROUP, image % GROUP
    lows, highs = lines[0], lines[1]
    for band in range(counts.shape[0]):
        first = _U(band * SIDE)
        for i in range(across):
            lows[i] = value[first * across + i]
            highs[i] = lows[i]
        for row in range(first + _U(1), min(first + _U(SIDE), rows)):
            for i in range(across):
                this = value[row * across + i]
                lows[i] = lows[i] if lows[i] < this else this
                highs[i] = highs[i] if highs[i] > this else this
        for block in range(counts.shape[1]):
            left = block * SIDE
            low, high = lows[left], highs[left]
            for column in range(left + 1, min(left + SIDE, columns)):
                low, high = min(low, lows[column]), max(high, highs[column])
            found[group, band * counts.shape[1] + block, number, lane] = low
            found[group, band * counts.shape[1] + block, number + 1, lane] = high


@compiled
def _rest(found: NDArray[np.float32], image: int) -> None:
    """What length the means of each block leave."""
    group, lane = image // GROUP, image % GROUP
    for block in range(found.shape[1]):
        left = np.float32(1)
        for number in range(MEANS):
            left -= found[group, block, number, lane] * found[group, block, number, lane]
        found[group, block, REST, lane] = np.sqrt(max(left, np.float32(0)) + LEFT)
