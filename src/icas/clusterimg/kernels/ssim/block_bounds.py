"""An upper bound of SSIM by blocks of windows: it excludes most pairs.

The similarity of a window (see `windows`) is a product of two fractions. With
``M = sqrt(S^2 + b)`` and ``E = sqrt(V)`` (the spread, its constant included) they are

    r(M, M') <m, m'>  and  r(E, E') <e, e'>,    r(x, y) = 2 x y / (x^2 + y^2) in (0, 1],

where m is the unit vector (S, sqrt b) / M and e the unit vector of the window's 49 centred values
and sqrt v, over E. So a window is a unit vector f of 100 components (all products of one of e with
one of m), and a pair of windows has the similarity ``w <f, f'>`` with ``w = r(M, M') r(E, E')``.

Over a block of n windows let w lie in [W, H]. As no ``<f, f'>`` is beyond -1 and 1, the sum of
``w <f, f'>`` is at most

    (H + W) / 2 * sum <f, f'>  +  n (H - W) / 2.

The sum of the products is that of two long vectors. On some orthonormal directions of their space
it is computed (the means of `MEANS` components: slopes and curvatures of the window, the constants,
and how the slopes change within the block); for the rest Cauchy and Schwarz bound it by the product
of what lengths are left, R R'. H is r at the nearest ends of the ranges of M and E in the block, W
at the farthest.

Rounding. A component of a window is a few steps of float32 on exact integers, so its relative
error is under 2^-20; a mean adds 36 of them, with weights of mean square 1. So each of the means is
off by less than 5e-6, all of them by less than 2e-5 in length, and R^2 by less than 5e-5. `LEFT` is
added to R^2, so that R is never too short. Then the sum of the products is less than 5e-5 a window
too small; `MARGIN` a window covers that, the float32 steps from there on (2^-24 for each block that
a row of blocks holds), and what rounding adds to the similarity itself, less than 2e-6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from icas.clusterimg.kernels import Doubles, Floats, Longs, Shorts
from icas.clusterimg.kernels.ssim.windows import (
    BLOCK,
    BRIGHT,
    NONE,
    VARIED,
    WHOLE,
    WINDOW,
    Maps,
    maps_of as maps_of,
    totals_with,
    within,
)

SIDE = 6
"""Windows a side of a block."""
MEANS = 11
"""Components whose means over a block are known."""
REST = MEANS
"""Index of the remaining length; the least and greatest E and M follow."""
FEATURES = MEANS + 5
ROWS = 64
"""Images whose bounds with all others are computed at a time."""
LEFT = np.float32(1e-4)
MARGIN = 5e-4

FLAT: Doubles = np.ones(WINDOW)
SLOPE: Doubles = np.arange(WINDOW, dtype=np.float64) - WINDOW // 2
CURVE: Doubles = np.square(SLOPE) - 4
"""The three are orthogonal: so are all products of one down the rows with one along them."""
SHAPES = ((FLAT, SLOPE), (SLOPE, FLAT), (SLOPE, SLOPE), (FLAT, CURVE), (CURVE, FLAT))


class Grid(NamedTuple):
    """Blocks of `SIDE` x `SIDE` windows that cover all windows; smaller at the ends."""

    rows: int
    columns: int

    @property
    def starts(self) -> tuple[Longs, Longs]:
        """First row and first column of the blocks."""
        return np.arange(0, self.rows, SIDE), np.arange(0, self.columns, SIDE)

    @property
    def counts(self) -> Floats:
        """(blocks down, blocks across) float32: how many windows they hold."""
        down, across = self.starts
        high = np.diff(down, append=self.rows)
        wide = np.diff(across, append=self.columns)
        return np.outer(high, wide).astype(np.float32)


def grid_of(shape: tuple[int, ...]) -> Grid:
    """Blocks of images of `shape` (height, width)."""
    return Grid(shape[0] - WINDOW + 1, shape[1] - WINDOW + 1)


def places(length: int) -> Floats:
    """Position of windows in their blocks, (length,): in each block of mean 0 and mean square 1."""
    result = np.zeros(length, np.float32)
    for start in range(0, length, SIDE):
        size = min(SIDE, length - start)
        if size > 1:
            result[start : start + size] = np.arange(size) - (size - 1) / 2
            result[start : start + size] /= np.sqrt((size**2 - 1) / 12)
    return result


def features_of(maps: Maps, shape: tuple[int, ...]) -> Floats:
    """Features of n images of `shape` for the bound, (blocks, `FEATURES`, n) float32."""
    grid = grid_of(shape)
    result = np.empty((grid.counts.size, FEATURES, len(maps.pixels)), np.float32)
    step = max(1, BLOCK // (shape[0] * shape[1]))
    for start in range(0, len(maps.pixels), step):
        some = slice(start, start + step)
        _fill_features(maps.picked(some), grid, result[:, :, some])
    return result


def _fill_features(maps: Maps, grid: Grid, result: Floats) -> None:
    brightness, spread = np.sqrt(maps.squares), np.sqrt(maps.spreads)
    for number, component in enumerate(_components(maps, brightness * spread)):
        result[:, number] = _by_block(component, grid, np.add) / grid.counts.reshape(-1, 1)
    left = 1 - np.square(result[:, :MEANS]).sum(axis=1)
    result[:, REST] = np.sqrt(np.maximum(left, 0) + LEFT)
    result[:, REST + 1] = _by_block(spread, grid, np.minimum)
    result[:, REST + 2] = _by_block(spread, grid, np.maximum)
    result[:, REST + 3] = _by_block(brightness, grid, np.minimum)
    result[:, REST + 4] = _by_block(brightness, grid, np.maximum)


def _components(maps: Maps, length: Floats) -> Iterator[Floats]:
    """Components of all windows, (n, h', w') float32 each; `length` is M E."""
    share = maps.sums.astype(np.float32) / length
    down = places(share.shape[1])[:, None]
    along = places(share.shape[2])
    for number, (vertical, horizontal) in enumerate(SHAPES):
        component = _filtered(maps.pixels, vertical, horizontal) * share
        yield component
        if number < 2:
            yield component * down
            yield component * along
    yield np.sqrt(VARIED) * share
    yield np.sqrt(VARIED) * np.sqrt(BRIGHT) / length


def _filtered(pixels: Shorts, vertical: Doubles, horizontal: Doubles) -> Floats:
    """7 times the component of each window along a direction, (n, h', w') float32.

    The sums are integers below 2^24, so exact in float32.
    """
    import cv2

    tall = pixels.reshape(-1, pixels.shape[2]).astype(np.float32)
    sums = within(cv2.sepFilter2D(tall, cv2.CV_32F, horizontal, vertical), pixels.shape)
    length = np.sqrt(np.square(vertical).sum() * np.square(horizontal).sum())
    return np.asarray(sums * np.float32(WINDOW / length), np.float32)


def _by_block(values: Floats, grid: Grid, reduction: np.ufunc) -> Floats:
    """(n, h', w') reduced to (blocks, n)."""
    down, along = grid.starts
    reduced = reduction.reduceat(reduction.reduceat(values, along, axis=2), down, axis=1)
    return np.asarray(reduced.reshape(len(values), -1).T, np.float32)


def bounds(a: Floats, b: Floats, grid: Grid) -> Doubles:
    """Upper bounds of the totals of n images with m, (n, m) float64.

    a, b: (blocks, `FEATURES`, n) and (blocks, `FEATURES`, m) float32.
    """
    result = np.full((a.shape[2], b.shape[2]), grid.rows * grid.columns * MARGIN)
    for one, other, count in zip(a, b, grid.counts.ravel(), strict=True):
        highest, lowest = _ratios(one[REST + 1 :], other[REST + 1 :])
        products = one[: REST + 1].T @ other[: REST + 1]
        products *= highest + lowest
        products += highest - lowest
        products *= count / 2
        result += products
    result *= WHOLE
    return result


def totals_from(
    a: Maps,
    b: Maps,
    features: tuple[Floats, Floats],
    shape: tuple[int, ...],
    least: int,
    triangle: bool,
) -> Longs:
    """Totals of n images with m where they are `least` or more, `NONE` elsewhere.

    features: of the same images, by `features_of`; shape: (int, int), height and width of the
    images; triangle: both sides are the same images: only pairs above the diagonal are looked at.
    Gives (n, m) int64.
    """
    result = np.full((features[0].shape[2], features[1].shape[2]), NONE)
    for start in range(0, len(result), ROWS):
        first = start if triangle else 0
        some, others = features[0][:, :, start : start + ROWS], features[1][:, :, first:]
        reached = bounds(some, others, grid_of(shape)) >= least
        if triangle:
            reached = np.triu(reached, 1)
        for row in np.flatnonzero(reached.any(axis=1)).tolist():
            columns = np.flatnonzero(reached[row]) + first
            result[start + row, columns] = _few_totals(a.picked(start + row), b, columns)
    result[result < least] = NONE
    return result


def _few_totals(one: Maps, b: Maps, columns: Longs) -> Doubles:
    """Totals of one image with the chosen others, (columns,)."""
    step = max(1, BLOCK // one.pixels.size)
    runs = range(0, len(columns), step)
    result = [totals_with(one, b.picked(columns[start : start + step])) for start in runs]
    return np.concatenate(result)


def _ratios(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Greatest and least w of a block, by the ranges of E and M, (4, n) and (4, m)."""
    highest = _ratio(*_nearest(one[:2, :, None], other[:2, None]))
    highest *= _ratio(*_nearest(one[2:, :, None], other[2:, None]))
    lowest = _ratio(*_farthest(one[:2, :, None], other[:2, None]))
    lowest *= _ratio(*_farthest(one[2:, :, None], other[2:, None]))
    return highest, lowest


def _ratio(x: Floats, y: Floats) -> Floats:
    return np.asarray(2 * x * y / (x * x + y * y), np.float32)


def _nearest(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The nearest values of two ranges, the same where they overlap."""
    start = np.maximum(one[0], other[0])
    return np.minimum(start, one[1]), np.minimum(start, other[1])


def _farthest(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The values of two ranges of positive numbers whose quotient is farthest from 1."""
    above = other[0] * other[1] > one[0] * one[1]
    return np.where(above, one[0], one[1]), np.where(above, other[1], other[0])
