"""Totals of the pairs that reach a least total, by compiled loops; most are told by the bound."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.ssim.block_bounds import FEATURES, MARGIN, SIDE, grid_of
from icas.clusterimg.kernels.ssim.block_bounds_numba import GROUP, features_of as features_of
from icas.clusterimg.kernels.ssim.maps import Side, maps_of as maps_of, padded
from icas.clusterimg.kernels.ssim.pairs_numba import advance, begin, scratch
from icas.clusterimg.kernels.ssim.windows import NONE, WHOLE

TOGETHER = 8
"""Images of one side whose bounds with a group of the other are computed at a time."""
_G = np.uint64(GROUP)
_U = np.uint64


def totals_from(
    ours: Side,
    theirs: Side,
    features: tuple[NDArray[np.float32], NDArray[np.float32]],
    shape: tuple[int, ...],
    least: int,
    triangle: bool,
) -> NDArray[np.int64]:
    """Totals as those of `ssim_loops.totals` where they are `least` or more, `NONE` elsewhere.

    Parameters
    ----------
    ours, theirs : Side
        Of n and m images.
    features : two arrays
        Of the same images, by `ssim_block_loops.features_of`.
    shape : (int, int)
        Height and width of the images.
    least : int
    triangle : bool
        Both sides are the same images: only pairs above the diagonal are looked at.

    Returns
    -------
    (n, m) int64 ndarray
    """
    height, across = shape[0], padded(shape[1])
    grid = grid_of(shape)
    images = [len(side.pixels) // (height * across) for side in (ours, theirs)]
    found = np.full((images[0], images[1]), NONE)
    # So often that little is computed in vain, so seldom that stopping costs little.
    together = max(2, len(grid.counts) // 8)
    allowed = np.floor(grid.counts.sum(axis=1, dtype=np.float64) * MARGIN * WHOLE).astype(np.int64)
    fill_found(
        *ours,
        *theirs,
        *scratch(together * SIDE, across),
        features[0].reshape(-1),
        features[1].reshape(-1),
        grid.counts,
        allowed + 1,
        _U(height),
        _U(across),
        together,
        least,
        triangle,
        found,
    )
    return found


def warm_up() -> None:
    """Run each loop once."""
    gray = np.zeros((2, 8, 8), np.uint8)
    side = maps_of(gray)
    features = features_of(side, (8, 8))
    totals_from(side, side, (features, features), (8, 8), 0, True)


@compiled
def fill_found(
    pixels_a: NDArray[np.uint8],
    sums_a: NDArray[np.int16],
    spreads_a: NDArray[np.float32],
    pixels_b: NDArray[np.uint8],
    sums_b: NDArray[np.int16],
    spreads_b: NDArray[np.float32],
    products: NDArray[np.int32],
    columns: NDArray[np.int32],
    features_a: NDArray[np.float32],
    features_b: NDArray[np.float32],
    counts: NDArray[np.float32],
    allowed: NDArray[np.int64],
    height: Any,
    across: Any,
    together: int,
    least: int,
    triangle: bool,
    found: NDArray[np.int64],
) -> None:
    """Fill `found`; `together` bands of blocks are computed before the bound is looked at again."""
    down = height - _U(6)
    image, maps = height * across, down * across
    bands = counts.shape[0]
    steps = -(-bands // together)
    # Most pictures show the least at the top.
    middle = steps // 3 * together
    bound = np.zeros(TOGETHER * bands * GROUP, np.float32)
    above = np.zeros((TOGETHER, GROUP), np.int64)
    for first in range(0, found.shape[1], GROUP):
        group = _U(first // GROUP)
        # Below the diagonal there is nothing to look at.
        end = min(found.shape[0], first + GROUP) if triangle else found.shape[0]
        for top in range(0, end, TOGETHER):
            bottom = min(top + TOGETHER, end)
            bound[:] = 0
            _bound_group(features_a, top, bottom, features_b, group, counts, bound)
            for i in range(top, bottom):
                _from_below(bound, _U((i - top) * bands * GROUP), allowed, above[i - top])
            for lane in range(GROUP):
                j = first + lane
                for i in range(top, bottom):
                    if j >= found.shape[1] or (triangle and j <= i) or above[i - top, lane] < least:
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
                        row = _U(band * SIDE)
                        high = min(_U(last * SIDE), down) - row
                        at, below = row * across, (row + _U(6)) * across
                        if step == 0 or band == 0:
                            begin(pixels_a, at_a + at, pixels_b, at_b + at, products, across)
                        total += advance(
                            pixels_a,
                            at_a + below,
                            sums_a,
                            spreads_a,
                            from_a + at,
                            pixels_b,
                            at_b + below,
                            sums_b,
                            spreads_b,
                            from_b + at,
                            products,
                            columns,
                            high,
                            across,
                        )
                        band = last if last < bands else 0
                        step += 1
                    if step == steps and total >= least:
                        found[i, j] = total


@compiled
def _from_below(
    bound: NDArray[np.float32], start: Any, allowed: NDArray[np.int64], above: NDArray[np.int64]
) -> None:
    """What the totals of one image with a group of others are not above."""
    above[:] = 0
    for band in range(len(allowed)):
        at = start + _U(band) * _G
        for lane in range(_G):
            above[lane] += np.int64(bound[at + lane] * np.float32(WHOLE)) + allowed[band]


@compiled
def _bound_group(
    features_a: NDArray[np.float32],
    top: int,
    bottom: int,
    features_b: NDArray[np.float32],
    group: Any,
    counts: NDArray[np.float32],
    bound: NDArray[np.float32],
) -> None:
    """Add to `bound`, for each image from `top` to `bottom` and each band, those of its blocks."""
    bands, blocks = counts.shape
    size = _U(FEATURES * GROUP)
    for band in range(bands):
        for block in range(blocks):
            at = _U(band * blocks + block)
            theirs = (group * _U(counts.size) + at) * size
            for i in range(top, bottom):
                ours = (_U(i // GROUP) * _U(counts.size) + at) * size + _U(i % GROUP)
                into = _U(((i - top) * bands + band) * GROUP)
                _bound_block(features_a, ours, features_b, theirs, counts[band, block], bound, into)


@compiled
def _bound_block(
    a: NDArray[np.float32],
    x: Any,
    b: NDArray[np.float32],
    y: Any,
    count: Any,
    bound: NDArray[np.float32],
    into: Any,
) -> None:
    """Bound of a block of one image with those of a group (as in `ssim_blocks.bounds`)."""
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
