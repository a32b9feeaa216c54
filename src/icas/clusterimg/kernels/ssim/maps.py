"""Maps of the windows of images, by compiled loops.

Pixels and maps are flat arrays: image after image, row after row, each row padded to a multiple of
`LANES`. So the loops run over many rows at once and the processor works on 16 windows a step. Every
index is unsigned: numba asks of a signed one whether it counts from the end, and then nothing is
done side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.ssim.windows import PIXELS, VARIED, WINDOW

LANES = 16
"""Columns of an image are padded to a multiple of this."""
LINE = 64
"""Bytes of a line of the cache, and of the widest registers."""

Number = TypeVar("Number", bound=np.generic)
_PIXELS = np.int32(PIXELS)
_U = np.uint64


class Side(NamedTuple):
    """Padded pixels and maps of n images, flat; h windows high and p columns wide with padding."""

    pixels: NDArray[np.uint8]
    """(n (h + 6) p,)"""
    sums: NDArray[np.int16]
    """(n h p,): sum over each window."""
    spreads: NDArray[np.float32]
    """(n h p,): variance as in `ssim.Maps`; infinite where there is no window: it adds 0."""


def padded(width: int) -> int:
    """Columns of a row with its padding."""
    return -(-width // LANES) * LANES


def maps_of(gray: NDArray[np.uint8]) -> Side:
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
    fill_maps(*side, _U(count), _U(height), _U(width), _U(across))
    return side


def aligned(count: int, kind: type[Number]) -> NDArray[Number]:
    """(count,) zeros that begin where a line of the cache does: a fifth faster than elsewhere."""
    item = np.dtype(kind).itemsize
    room = np.zeros(count * item + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + count * item].view(kind)


@compiled
def fill_maps(
    pixels: NDArray[np.uint8],
    sums: NDArray[np.int16],
    spreads: NDArray[np.float32],
    count: Any,
    height: Any,
    width: Any,
    across: Any,
) -> None:
    """Fill `sums` and `spreads` from `pixels`."""
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
