"""Maps of the windows of images, and SSIM of all pairs, by numba.

Pixels and maps are flat arrays: image after image, row after row, each row padded to a multiple of
`LANES`. So the kernels run over many rows at once, 16 windows a step. Indices are unsigned: numba
checks whether a signed one counts from the end, and then LLVM does not vectorize.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Floats, Ints, Longs
from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.ssim.windows import BRIGHT, PIXELS, QUARTERED, VARIED, WINDOW

Number = TypeVar("Number", bound=np.generic)
_PIXELS = np.int32(PIXELS)
_U = np.uint64
LANES = 16
"""Columns of an image are padded to a multiple of this."""
LINE = 64
"""Bytes of a line of the cache, and of the widest registers."""
STRIP = 2048
"""Windows worked on at a time: what they need stays in the faster caches."""
PART = 1024
"""Windows whose parts are added up in 32 bits, 2^20 each at most."""
BLOCK = 8
"""Images of one side that some of the other are compared with before the next are."""
SOME = 32
"""Images of the other side at a time: their maps fit the shared cache."""
CACHED = 1 << 19
"""Bytes of maps of those images that are worked on at a time: they stay in a core's cache."""


class Side(NamedTuple):
    """Padded pixels and maps of n images, flat; h windows high and p columns wide with padding."""

    pixels: Bytes
    """(n (h + 6) p,)"""
    sums: NDArray[np.int16]
    """(n h p,): sum over each window."""
    spreads: Floats
    """(n h p,): variance as in `windows.Maps`; infinite where there is no window: it adds 0."""


def padded(width: int) -> int:
    """Columns of a row with its padding."""
    return -(-width // LANES) * LANES


def maps_of(gray: Bytes) -> Side:
    """Pixels and maps of the images `gray`, (n, height, width) uint8."""
    count, height, width = gray.shape
    across = padded(width)
    windows = count * (height - WINDOW + 1) * across
    side = Side(
        aligned(count * height * across, np.uint8),
        aligned(windows, np.int16),
        aligned(windows, np.float32),
    )
    side.pixels.reshape(count, height, across)[:, :, :width] = gray
    fill_maps(side, _U(count), _U(height), _U(width), _U(across))
    return side


def aligned(count: int, kind: type[Number]) -> NDArray[Number]:
    """(count,) zeros that begin where a line of the cache does: a fifth faster than elsewhere."""
    item = np.dtype(kind).itemsize
    room = np.zeros(count * item + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + count * item].view(kind)


@compiled
def fill_maps(side: Side, count: Any, height: Any, width: Any, across: Any) -> None:
    """Fill the maps of `side` from its pixels."""
    pixels, sums, spreads = side
    down = height - _U(6)
    right = width - _U(6)
    linear = np.zeros(across + _U(LANES), np.int32)
    square = np.zeros(across + _U(LANES), np.int32)
    for image in range(count):
        above = image * height * across
        at = image * down * across
        linear[:] = 0
        square[:] = 0
        for row in range(height):
            below = above + row * across
            for column in range(across):
                value = np.int32(pixels[below + column])
                linear[column] += value
                square[column] += np.int32(value * value)
            if row < _U(6):
                continue
            for column in range(across):
                total = np.int32(0)
                power = np.int32(0)
                for step in range(_U(7)):
                    total = np.int32(total + linear[column + step])
                    power = np.int32(power + square[column + step])
                sums[at + column] = np.int16(total)
                spread = np.int32(np.int32(_PIXELS * power) - np.int32(total * total))
                spreads[at + column] = np.float32(spread) + VARIED
            for column in range(right, across):
                sums[at + column] = 0
                spreads[at + column] = np.float32(np.inf)
            top = below - _U(6) * across
            for column in range(across):
                value = np.int32(pixels[top + column])
                linear[column] -= value
                square[column] -= np.int32(value * value)
            at += across


class Scratch(NamedTuple):
    """Scratch memory for the rows being processed."""

    products: Ints
    """Of all pixels of the rows."""
    columns: Ints
    """Sums of seven products below each other."""


def totals(a: Side, b: Side, shape: tuple[int, ...]) -> Longs:
    """Sum of the whole parts of all windows of each image of `a` with each of `b`, (n, m) int64.

    The same Side twice takes half the time.
    """
    height, across = shape[0], padded(shape[1])
    counts = [len(side.pixels) // (height * across) for side in (a, b)]
    result = np.zeros((counts[0], counts[1]), np.int64)
    down = height - WINDOW + 1
    rows = even(down, STRIP // across)
    band = rows * even(-(-down // rows), CACHED // (BLOCK * 8 * across * rows))
    sizes = _U(height), _U(across), _U(rows), _U(band)
    same = a is b
    fill_totals(a, b, new_scratch(rows, across), *sizes, same, result)
    return result + np.triu(result, 1).T if same else result


def even(count: int, most: int) -> int:
    """A length in which `count` is cut into pieces that are almost equal, of about `most`."""
    pieces = max(1, round(count / max(1, most)))
    return max(1, -(-count // pieces))


def new_scratch(rows: int, across: int) -> Scratch:
    """Scratch memory for `rows` rows of windows and the pixels below them."""
    tall = (rows + WINDOW - 1) * across
    return Scratch(aligned(tall, np.int32), aligned(rows * across + LANES, np.int32))


@compiled
def begin(a: Side, at_a: Any, b: Side, at_b: Any, products: Ints, across: Any) -> None:
    """Multiply the six rows of pixels from `at_a` and `at_b` on."""
    for i in range(_U(6) * across):
        products[i] = np.int32(a.pixels[at_a + i]) * np.int32(b.pixels[at_b + i])


@compiled
def advance(
    a: Side,
    at_a: Any,
    from_a: Any,
    b: Side,
    at_b: Any,
    from_b: Any,
    scratch: Scratch,
    rows: Any,
    across: Any,
) -> np.int64:
    """Total of the next `rows` rows of windows, once `begin` or this has been there before.

    `at_a` and `at_b` are where the seventh row of pixels of the first of them begins, `from_a` and
    `from_b` where their first row of windows does.
    """
    products, columns = scratch
    count = rows * across
    two, three, four = _U(2) * across, _U(3) * across, _U(4) * across
    five, six = _U(5) * across, _U(6) * across
    for i in range(count):
        products[six + i] = np.int32(a.pixels[at_a + i]) * np.int32(b.pixels[at_b + i])
    for i in range(across):
        upper = products[i] + products[i + across] + products[i + two]
        lower = products[i + four] + products[i + five] + products[i + six]
        columns[i] = upper + products[i + three] + lower
    # From row to row a product comes in below and one goes out above.
    above, below = _U(0), across
    while below < count:
        for i in range(across):
            change = products[below + six + i] - products[above + i]
            columns[below + i] = columns[above + i] + change
        above, below = below, below + across
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
            one, other = np.int32(a.sums[from_a + i]), np.int32(b.sums[from_b + i])
            means = np.int32(one * other)
            covariance = np.int32(np.int32(_PIXELS * np.int32(window)) - means)
            value = (np.float32(means) + BRIGHT) * (np.float32(covariance) + VARIED)
            below = (np.float32(np.int32(one * one)) + BRIGHT) + (
                np.float32(np.int32(other * other)) + BRIGHT
            )
            below *= a.spreads[from_a + i] + b.spreads[from_b + i]
            # np.divide: a division by / looks for zeros, one window after the other.
            part = np.int32(part + np.int32(np.rint(np.divide(value, below) * QUARTERED)))
        total += part
        start = end
    for i in range(six):
        products[i] = products[count + i]
    return total


@compiled
def fill_totals(
    a: Side,
    b: Side,
    scratch: Scratch,
    height: Any,
    across: Any,
    rows: Any,
    band: Any,
    triangle: bool,
    result: Longs,
) -> None:
    """Add the totals of all pairs to `result`, band by band of rows and block by block of images.

    With `triangle` only those of pairs on and above the diagonal.
    """
    down = height - _U(6)
    block = _U(BLOCK)
    others = _U(result.shape[1])
    image, maps = height * across, down * across
    for head in range(0, result.shape[0], SOME):
        tail = min(head + SOME, result.shape[0])
        first = _U(head) if triangle else _U(0)
        while first < others:
            last = min(first + block, others)
            top = _U(0)
            while top < down:
                bottom = min(top + band, down)
                for i in range(_U(head), _U(tail)):
                    start = i if triangle and i > first else first
                    for j in range(start, last):
                        at_a, at_b = i * image + top * across, j * image + top * across
                        from_a, from_b = i * maps + top * across, j * maps + top * across
                        begin(a, at_a, b, at_b, scratch.products, across)
                        row = top
                        while row < bottom:
                            high = min(rows, bottom - row)
                            past = (row - top + _U(6)) * across
                            done = (row - top) * across
                            result[i, j] += advance(
                                a,
                                at_a + past,
                                from_a + done,
                                b,
                                at_b + past,
                                from_b + done,
                                scratch,
                                high,
                                across,
                            )
                            row += high
                top = bottom
            first = last


def warm_up() -> None:
    """Compile each kernel."""
    side = maps_of(np.zeros((1, 8, 8), np.uint8))
    totals(side, side, (8, 8))
