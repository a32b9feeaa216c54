"""Totals of pairs that reach a least total, by numba; the bound of `block_bounds` skips most."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from icas.clusterimg.kernels import Bytes, Floats, Longs
from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.ssim import block_bounds as bounds
from icas.clusterimg.kernels.ssim.pairs_numba import (
    LANES,
    Scratch,
    Side,
    advance,
    aligned,
    begin,
    maps_of as maps_of,
    new_scratch,
    padded,
)
from icas.clusterimg.kernels.ssim.windows import BRIGHT, NONE, VARIED, WHOLE, WINDOW

TOGETHER = 8
"""Images of one side whose bounds with a group of the other are computed at a time."""
GROUP = 64
"""Images whose features lie beside each other."""
_U = np.uint64
_G = np.uint64(GROUP)
_LINES = [bounds.FLAT.tolist(), bounds.SLOPE.tolist(), bounds.CURVE.tolist()]
DOWN = np.array([vertical for vertical, _ in bounds.SHAPES], np.float32)
"""Weights of the rows of a window, for each of `SHAPES`."""
ALONG = np.array([_LINES.index(horizontal.tolist()) for _, horizontal in bounds.SHAPES])
"""Which of flat, slope, curve the weights of its columns are."""
SCALES = np.array(
    [
        WINDOW / np.sqrt(np.square(vertical).sum() * np.square(horizontal).sum())
        for vertical, horizontal in bounds.SHAPES
    ],
    np.float32,
)
CONSTANT = np.float32(np.sqrt(VARIED))
DARK = np.float32(np.sqrt(VARIED) * np.sqrt(BRIGHT))


def features_of(side: Side, shape: tuple[int, ...]) -> Floats:
    """`block_bounds.features_of` up to rounding, with `GROUP` images interleaved.

    shape: (int, int), height and width of the images. Gives (groups, blocks, `FEATURES`, `GROUP`)
    float32, zeros behind the last image.
    """
    grid = bounds.grid_of(shape)
    across = padded(shape[1])
    count = len(side.pixels) // (shape[0] * across)
    size = (-(-count // GROUP), grid.counts.size, bounds.FEATURES, GROUP)
    result = aligned(math.prod(size), np.float32).reshape(size)
    room = shape[0] * across + LANES
    fill_features(
        side,
        count,
        _U(shape[0]),
        shape[1],
        _U(across),
        grid.counts,
        np.pad(bounds.places(grid.rows), (0, -grid.rows % bounds.SIDE)),
        np.pad(bounds.places(grid.columns), (0, across - grid.columns)),
        aligned(3 * room, np.float32).reshape(3, room),
        aligned(4 * room, np.float32).reshape(4, room),
        np.zeros((2, across + LANES), np.float32),
        result,
    )
    return result


@compiled
def fill_features(
    side: Side,
    images: int,
    height: Any,
    width: int,
    across: Any,
    counts: Floats,
    down: Floats,
    along: Floats,
    filtered: Floats,
    values: Floats,
    lines: Floats,
    result: Floats,
) -> None:
    """Fill `result` with the features of all images; the memory before it is scratch space."""
    count = height * across
    windows = count - _U(6) * across
    bright, spread, share, value = values[0], values[1], values[2], values[3]
    even = np.ones_like(down)
    for image in range(images):
        _filter(side.pixels, _U(image) * count, count, filtered)
        _lengths(side, _U(image) * windows, windows, bright, spread, share)
        number = 0
        for shape in range(len(ALONG)):
            rows = filtered[ALONG[shape]]
            _project(rows, DOWN[shape], SCALES[shape], share, across, windows, value)
            sloped = shape < 2
            _means(value, lines, across, even, along, sloped, counts, result, number, 2, image)
            if sloped:
                _means(
                    value, lines, across, down, along, False, counts, result, number + 1, 0, image
                )
            number += 3 if sloped else 1
        for i in range(windows):
            value[i] = CONSTANT * share[i]
        _means(value, lines, across, even, along, False, counts, result, number, 0, image)
        for i in range(windows):
            value[i] = np.divide(DARK, bright[i] * spread[i])
        _means(value, lines, across, even, along, False, counts, result, number + 1, 0, image)
        rows, columns = height - _U(6), width - 6
        _ranges(spread, lines, across, counts, rows, columns, result, bounds.REST + 1, image)
        _ranges(bright, lines, across, counts, rows, columns, result, bounds.REST + 3, image)
        _rest(result, image)


@compiled
def _filter(pixels: Bytes, start: Any, count: Any, filtered: Floats) -> None:
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
    side: Side, start: Any, count: Any, bright: Floats, spread: Floats, share: Floats
) -> None:
    """M, E and S / (M E) of all windows."""
    for i in range(count):
        total = np.int32(side.sums[start + i])
        bright[i] = np.sqrt(np.float32(np.int32(total * total)) + BRIGHT)
        spread[i] = np.sqrt(side.spreads[start + i])
        share[i] = np.divide(np.float32(total), bright[i] * spread[i])


@compiled
def _project(
    rows: Floats, weights: Floats, scale: Any, share: Floats, across: Any, count: Any, value: Floats
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
    value: Floats,
    lines: Floats,
    across: Any,
    down: Floats,
    along: Floats,
    sloped: bool,
    counts: Floats,
    result: Floats,
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
        at, first = _U(band * bounds.SIDE) * across, band * bounds.SIDE
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
                mean = np.divide(other[block * bounds.SIDE], counts[band, block])
                result[group, band * counts.shape[1] + block, number + turn * step, lane] = mean


@compiled
def _ranges(
    value: Floats,
    lines: Floats,
    across: Any,
    counts: Floats,
    rows: Any,
    columns: int,
    result: Floats,
    number: int,
    image: int,
) -> None:
    """Least and greatest of `value` in each block."""
    group, lane = image // GROUP, image % GROUP
    lows, highs = lines[0], lines[1]
    for band in range(counts.shape[0]):
        first = _U(band * bounds.SIDE)
        for i in range(across):
            lows[i] = value[first * across + i]
            highs[i] = lows[i]
        for row in range(first + _U(1), min(first + _U(bounds.SIDE), rows)):
            for i in range(across):
                this = value[row * across + i]
                lows[i] = lows[i] if lows[i] < this else this
                highs[i] = highs[i] if highs[i] > this else this
        for block in range(counts.shape[1]):
            left = block * bounds.SIDE
            low, high = lows[left], highs[left]
            for column in range(left + 1, min(left + bounds.SIDE, columns)):
                low, high = min(low, lows[column]), max(high, highs[column])
            result[group, band * counts.shape[1] + block, number, lane] = low
            result[group, band * counts.shape[1] + block, number + 1, lane] = high


@compiled
def _rest(result: Floats, image: int) -> None:
    """Remaining length of each block, after its means."""
    group, lane = image // GROUP, image % GROUP
    for block in range(result.shape[1]):
        left = np.float32(1)
        for number in range(bounds.MEANS):
            left -= result[group, block, number, lane] * result[group, block, number, lane]
        result[group, block, bounds.REST, lane] = np.sqrt(max(left, np.float32(0)) + bounds.LEFT)


def totals_from(
    a: Side,
    b: Side,
    features: tuple[Floats, Floats],
    shape: tuple[int, ...],
    least: int,
    triangle: bool,
) -> Longs:
    """As `block_bounds.totals_from`."""
    height, across = shape[0], padded(shape[1])
    grid = bounds.grid_of(shape)
    images = [len(side.pixels) // (height * across) for side in (a, b)]
    result = np.full((images[0], images[1]), NONE)
    # A trade-off between needless computation and the cost of the test.
    together = max(2, len(grid.counts) // 8)
    windows = grid.counts.sum(axis=1, dtype=np.float64)
    allowed = np.floor(windows * bounds.MARGIN * WHOLE).astype(np.int64)
    fill_found(
        a,
        b,
        new_scratch(together * bounds.SIDE, across),
        features[0].reshape(-1),
        features[1].reshape(-1),
        grid.counts,
        allowed + 1,
        _U(height),
        _U(across),
        together,
        least,
        triangle,
        result,
    )
    return result


@compiled
def fill_found(
    a: Side,
    b: Side,
    scratch: Scratch,
    features_a: Floats,
    features_b: Floats,
    counts: Floats,
    allowed: Longs,
    height: Any,
    across: Any,
    together: int,
    least: int,
    triangle: bool,
    result: Longs,
) -> None:
    """Fill `result`; `together` bands of blocks are computed between two tests of the bound."""
    down = height - _U(6)
    image, maps = height * across, down * across
    bands = counts.shape[0]
    steps = -(-bands // together)
    # Start below the top, where most images have the least detail.
    middle = steps // 3 * together
    bound = np.zeros(TOGETHER * bands * GROUP, np.float32)
    above = np.zeros((TOGETHER, GROUP), np.int64)
    for first in range(0, result.shape[1], GROUP):
        group = _U(first // GROUP)
        # Below the diagonal there is nothing to look at.
        end = min(result.shape[0], first + GROUP) if triangle else result.shape[0]
        for top in range(0, end, TOGETHER):
            bottom = min(top + TOGETHER, end)
            bound[:] = 0
            _bound_group(features_a, top, bottom, features_b, group, counts, bound)
            for i in range(top, bottom):
                _from_below(bound, _U((i - top) * bands * GROUP), allowed, above[i - top])
            for lane in range(GROUP):
                j = first + lane
                for i in range(top, bottom):
                    if (
                        j >= result.shape[1]
                        or (triangle and j <= i)
                        or above[i - top, lane] < least
                    ):
                        continue
                    start = _U((i - top) * bands * GROUP)
                    at_a, at_b = _U(i) * image, _U(j) * image
                    from_a, from_b = _U(i) * maps, _U(j) * maps
                    total, left, step, band = np.int64(0), above[i - top, lane], 0, middle
                    while step < steps and total + left >= least:
                        last = min(band + together, bands)
                        for known in range(band, last):
                            part = bound[start + _U(known) * _G + _U(lane)]
                            left -= np.int64(part * np.float32(WHOLE)) + allowed[known]
                        row = _U(band * bounds.SIDE)
                        high = min(_U(last * bounds.SIDE), down) - row
                        at, below = row * across, (row + _U(6)) * across
                        if step == 0 or band == 0:
                            begin(a, at_a + at, b, at_b + at, scratch.products, across)
                        total += advance(
                            a,
                            at_a + below,
                            from_a + at,
                            b,
                            at_b + below,
                            from_b + at,
                            scratch,
                            high,
                            across,
                        )
                        band = last if last < bands else 0
                        step += 1
                    if step == steps and total >= least:
                        result[i, j] = total


@compiled
def _from_below(bound: Floats, start: Any, allowed: Longs, above: Longs) -> None:
    """Upper bounds of the totals of one image with a group of others."""
    above[:] = 0
    for band in range(len(allowed)):
        at = start + _U(band) * _G
        for lane in range(_G):
            above[lane] += np.int64(bound[at + lane] * np.float32(WHOLE)) + allowed[band]


@compiled
def _bound_group(
    features_a: Floats,
    top: int,
    bottom: int,
    features_b: Floats,
    group: Any,
    counts: Floats,
    bound: Floats,
) -> None:
    """Add to `bound`, for each image from `top` to `bottom` and each band, those of its blocks."""
    bands, blocks = counts.shape
    size = _U(bounds.FEATURES * GROUP)
    for band in range(bands):
        for block in range(blocks):
            at = _U(band * blocks + block)
            start_b = (group * _U(counts.size) + at) * size
            for i in range(top, bottom):
                start_a = (_U(i // GROUP) * _U(counts.size) + at) * size + _U(i % GROUP)
                into = _U(((i - top) * bands + band) * GROUP)
                _bound_block(
                    features_a, start_a, features_b, start_b, counts[band, block], bound, into
                )


@compiled
def _bound_block(
    a: Floats, x: Any, b: Floats, y: Any, count: Any, bound: Floats, into: Any
) -> None:
    """Bound of a block of one image with those of a group (as in `block_bounds.bounds`)."""
    a0, a1, a2, a3 = a[x], a[x + _G], a[x + _U(2) * _G], a[x + _U(3) * _G]
    a4, a5, a6 = a[x + _U(4) * _G], a[x + _U(5) * _G], a[x + _U(6) * _G]
    a7, a8, a9 = a[x + _U(7) * _G], a[x + _U(8) * _G], a[x + _U(9) * _G]
    a10, a11 = a[x + _U(10) * _G], a[x + _U(11) * _G]
    low, high = a[x + _U(12) * _G], a[x + _U(13) * _G]
    dark, bright = a[x + _U(14) * _G], a[x + _U(15) * _G]
    contrast, light = low * high, dark * bright
    one, weight = np.float32(1), np.float32(2) * count
    for lane in range(_G):
        z = y + lane
        products = a0 * b[z] + a1 * b[z + _G]
        products += a2 * b[z + _U(2) * _G] + a3 * b[z + _U(3) * _G]
        products += a4 * b[z + _U(4) * _G] + a5 * b[z + _U(5) * _G]
        products += a6 * b[z + _U(6) * _G] + a7 * b[z + _U(7) * _G]
        products += a8 * b[z + _U(8) * _G] + a9 * b[z + _U(9) * _G]
        products += a10 * b[z + _U(10) * _G] + a11 * b[z + _U(11) * _G]
        low_b, high_b = b[z + _U(12) * _G], b[z + _U(13) * _G]
        dark_b, bright_b = b[z + _U(14) * _G], b[z + _U(15) * _G]
        start = low if low > low_b else low_b
        p = start if start < high else high
        q = start if start < high_b else high_b
        start = dark if dark > dark_b else dark_b
        r = start if start < bright else bright
        s = start if start < bright_b else bright_b
        near, over = (p * q) * (r * s), (p * p + q * q) * (r * r + s * s)
        beyond = low_b * high_b > contrast
        p, q = (low, high_b) if beyond else (high, low_b)
        beyond = dark_b * bright_b > light
        r, s = (dark, bright_b) if beyond else (bright, dark_b)
        far, under = (p * q) * (r * s), (p * p + q * q) * (r * r + s * s)
        # Both quotients by one division; the greatest product, 6e32, is within float32.
        value = (near * under) * (products + one) + (far * over) * (products - one)
        bound[into + lane] += weight * np.divide(value, over * under)


def warm_up() -> None:
    """Compile each kernel."""
    gray = np.zeros((2, 8, 8), np.uint8)
    side = maps_of(gray)
    features = features_of(side, (8, 8))
    totals_from(side, side, (features, features), (8, 8), 0, True)
