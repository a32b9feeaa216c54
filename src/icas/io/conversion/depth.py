"""Scaling of samples of any depth to 8 bits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOG = logging.getLogger(__name__)
_BAND_VALUES = 1 << 18
_FEW_BITS = (8, 10, 12)
"""Depths that are recognized from the greatest value of an image."""


def used_bits(greatest: int, bits: int, declared: int | None) -> int:
    """How many of `bits` an image uses.

    Cameras of 10, 12 or 14 bits store their values in 16, without scaling them.

    Parameters
    ----------
    greatest : int
        Greatest value of the image.
    bits : int
        Bits per sample.
    declared : int or None
        Greatest possible value, if the file declares one.
    """
    if bits <= 8:
        return bits
    used = greatest.bit_length()
    if declared is not None:
        used = max(8, used, declared.bit_length())
    else:
        used = next((few for few in _FEW_BITS if used <= few < bits == 16), bits)
    if used < bits and greatest:
        # Console prints a message once per run.
        LOG.info(
            "some images use 8 to 14 of their 16 bits, by their header or greatest value: they are"
            " scaled by the bits used"
        )
    return min(used, bits)


def shifted(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Unsigned values of so many bits, scaled to 8."""
    if bits < 8:
        scaled = values.astype(np.uint16) * 255 // ((1 << bits) - 1)
    else:
        scaled = np.minimum(values >> (bits - 8), 255)
    result: NDArray[np.uint8] = scaled.astype(np.uint8)
    return result


def to_8_bits(values: NDArray[Any], bits: int, declared: int | None = None) -> NDArray[np.uint8]:
    """Samples of any type as uint8, in the same shape.

    Unsigned values of up to 16 bits are scaled by the bits they use, signed ones of 8 bits by 128
    more, floats within 0..1 by 255; all others from the least to the greatest value. NaN is black.
    """
    result = np.empty(values.shape, np.uint8)
    if values.dtype.kind == "u" and bits <= 16:
        depth = used_bits(int(values.max()), bits, declared)
        for part, band in _bands(result, values):
            part[:] = shifted(band, depth)
    elif values.dtype == np.int8:
        result[:] = (values.astype(np.int16) + 128).astype(np.uint8)
    else:
        low, high = finite_range(band for _, band in _bands(result, values))
        if values.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        for part, band in _bands(result, values):
            part[:] = stretched(band, low, high)
    return result


def stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """`low` to `high` as 0 to 255; NaN is black."""
    scale = 255.0 / (high - low) if np.isfinite(high - low) and high > low else 0.0
    wide = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((wide - low) * scale).astype(np.uint8)


def finite_range(bands: Iterator[NDArray[Any]]) -> tuple[float, float]:
    """The least and the greatest value; (0, 0) where none is finite."""
    low, high = np.inf, -np.inf
    for values in bands:
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _bands(
    result: NDArray[np.uint8], values: NDArray[Any]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[Any]]]:
    """Rows of both, some at a time."""
    rows = max(1, _BAND_VALUES // max(1, values[0].size))
    for top in range(0, len(values), rows):
        yield result[top : top + rows], values[top : top + rows]
