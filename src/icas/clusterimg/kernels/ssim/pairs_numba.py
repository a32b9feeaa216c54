"""SSIM of all pairs by compiled loops; `ssim_map_loops` tells how the arrays lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.ssim.maps import LANES, Side, aligned, maps_of as maps_of, padded
from icas.clusterimg.kernels.ssim.windows import BRIGHT, PIXELS, QUARTERED, VARIED, WINDOW

STRIP = 2048
"""Windows worked on at a time: what they need stays in the faster caches."""
PART = 1024
"""Windows whose parts are added up in 32 bits, 2^20 each at most."""
BLOCK = 8
"""Images of one side that some of the other are compared with before the next are."""
SOME = 32
"""How many of the other: their maps stay in the cache that cores share."""
CACHED = 1 << 19
"""Bytes of maps of those images that are worked on at a time: they stay in a core's cache."""

_PIXELS = np.int32(PIXELS)
_U = np.uint64


class Scratch(NamedTuple):
    """Room for the rows that are worked on."""

    products: NDArray[np.int32]
    """Of all pixels of the rows."""
    columns: NDArray[np.int32]
    """Sums of seven products below each other."""


def totals(ours: Side, theirs: Side, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Sum of the whole parts of all windows of each image of `ours` with each of `theirs`.

    Parameters
    ----------
    ours, theirs : Side
        Of n and m images; the same Side twice takes half the time.
    shape : (int, int)
        Height and width of the images.

    Returns
    -------
    (n, m) int64 ndarray
    """
    height, across = shape[0], padded(shape[1])
    counts = [len(side.pixels) // (height * across) for side in (ours, theirs)]
    found = np.zeros((counts[0], counts[1]), np.int64)
    down = height - WINDOW + 1
    rows = even(down, STRIP // across)
    band = rows * even(-(-down // rows), CACHED // (BLOCK * 8 * across * rows))
    sizes = _U(height), _U(across), _U(rows), _U(band)
    same = ours is theirs
    fill_totals(*ours, *theirs, *scratch(rows, across), *sizes, same, found)
    return found + np.triu(found, 1).T if same else found


def even(count: int, most: int) -> int:
    """A length in which `count` is cut into pieces that are almost equal, of about `most`."""
    pieces = max(1, round(count / max(1, most)))
    return max(1, -(-count // pieces))


def scratch(rows: int, across: int) -> Scratch:
    """Room for `rows` rows of windows and the pixels below them."""
    tall = (rows + WINDOW - 1) * across
    return Scratch(aligned(tall, np.int32), aligned(rows * across + LANES, np.int32))


def warm_up() -> None:
    """Run each loop once."""
    side = maps_of(np.zeros((1, 8, 8), np.uint8))
    totals(side, side, (8, 8))


@compiled
def begin(
    a: NDArray[np.uint8],
    at_a: Any,
    b: NDArray[np.uint8],
    at_b: Any,
    products: NDArray[np.int32],
    across: Any,
) -> None:
    """Multiply the six rows of pixels from `at_a` and `at_b` on."""
    for i in range(_U(6) * across):
        products[i] = np.int32(a[at_a + i]) * np.int32(b[at_b + i])


@compiled
def advance(
    a: NDArray[np.uint8],
    at_a: Any,
    sums_a: NDArray[np.int16],
    spreads_a: NDArray[np.float32],
    from_a: Any,
    b: NDArray[np.uint8],
    at_b: Any,
    sums_b: NDArray[np.int16],
    spreads_b: NDArray[np.float32],
    from_b: Any,
    products: NDArray[np.int32],
    columns: NDArray[np.int32],
    rows: Any,
    across: Any,
) -> np.int64:
    """Total of the next `rows` rows of windows, once `begin` or this has been there before.

    `at_a` and `at_b` are where the seventh row of pixels of the first of them begins, `from_a` and
    `from_b` where their first row of windows does.
    """
    count = rows * across
    two, three, four = _U(2) * across, _U(3) * across, _U(4) * across
    five, six = _U(5) * across, _U(6) * across
    for i in range(count):
        products[six + i] = np.int32(a[at_a + i]) * np.int32(b[at_b + i])
    for i in range(count):
        upper = products[i] + products[i + across] + products[i + two]
        lower = products[i + four] + products[i + five] + products[i + six]
        columns[i] = upper + products[i + three] + lower
    total = np.int64(0)
    start = _U(0)
    while start < count:
        end = min(start + _U(PART), count)
        part = np.int32(0)
        for i in range(start, end):
            window = (
                columns[i]
                + columns[i + _U(1)]
                + columns[i + _U(2)]
                + columns[i + _U(3)]
                + columns[i + _U(4)]
                + columns[i + _U(5)]
                + columns[i + _U(6)]
            )
            one, other = np.int32(sums_a[from_a + i]), np.int32(sums_b[from_b + i])
            means = np.int32(one * other)
            covariance = np.int32(np.int32(_PIXELS * np.int32(window)) - means)
            value = (np.float32(means) + BRIGHT) * (np.float32(covariance) + VARIED)
            below = (np.float32(np.int32(one * one)) + BRIGHT) + (
                np.float32(np.int32(other * other)) + BRIGHT
            )
            below *= spreads_a[from_a + i] + spreads_b[from_b + i]
            # np.divide: a division by / looks for zeros, one window after the other.
            part = np.int32(part + np.int32(np.rint(np.divide(value, below) * QUARTERED)))
        total += part
        start = end
    for i in range(six):
        products[i] = products[count + i]
    return total


@compiled
def fill_totals(
    pixels_a: NDArray[np.uint8],
    sums_a: NDArray[np.int16],
    spreads_a: NDArray[np.float32],
    pixels_b: NDArray[np.uint8],
    sums_b: NDArray[np.int16],
    spreads_b: NDArray[np.float32],
    products: NDArray[np.int32],
    columns: NDArray[np.int32],
    height: Any,
    across: Any,
    rows: Any,
    band: Any,
    triangle: bool,
    found: NDArray[np.int64],
) -> None:
    """Add the totals of all pairs to `found`, band by band of rows and block by block of images.

    With `triangle` only those of pairs on and above the diagonal.
    """
    down = height - _U(6)
    block = _U(BLOCK)
    theirs = _U(found.shape[1])
    image, maps = height * across, down * across
    for head in range(0, found.shape[0], SOME):
        tail = min(head + SOME, found.shape[0])
        first = _U(head) if triangle else _U(0)
        while first < theirs:
            last = min(first + block, theirs)
            top = _U(0)
            while top < down:
                bottom = min(top + band, down)
                for i in range(_U(head), _U(tail)):
                    start = i if triangle and i > first else first
                    for j in range(start, last):
                        at_a, at_b = i * image + top * across, j * image + top * across
                        from_a, from_b = i * maps + top * across, j * maps + top * across
                        begin(pixels_a, at_a, pixels_b, at_b, products, across)
                        row = top
                        while row < bottom:
                            high = min(rows, bottom - row)
                            past = (row - top + _U(6)) * across
                            done = (row - top) * across
                            found[i, j] += advance(
                                pixels_a,
                                at_a + past,
                                sums_a,
                                spreads_a,
                                from_a + done,
                                pixels_b,
                                at_b + past,
                                sums_b,
                                spreads_b,
                                from_b + done,
                                products,
                                columns,
                                high,
                                across,
                            )
                            row += high
                top = bottom
            first = last
