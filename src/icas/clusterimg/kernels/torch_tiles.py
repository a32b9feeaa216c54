"""Tiles of similarities computed by torch on a GPU, bit for bit those of the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from icas.clusterimg.kernels import Bytes, Doubles, Floats, Longs
from icas.clusterimg.kernels.ssim.windows import (
    BRIGHT,
    PIXELS,
    QUARTERED,
    VARIED,
    WINDOW,
    similarity_of,
)
from icas.clusterimg.kernels.tm import CHUNK, MIDDLE, norms_of

Tensor = Any
"""torch.Tensor; torch has no types where it is not installed."""
WINDOWS = 1 << 25
"""Windows of pairs of images held at a time, 4 bytes each, a few times over."""


def hamming(a: Bytes, b: Bytes, device: str) -> Longs:
    """Number of different bits of each row of packed codes of `a` with each of `b`, (n, m)."""
    rows, columns = _signs(a, device), _signs(b, device)
    # Products of 1 and -1: whole numbers up to the number of bits, in TF32 as in float32.
    distances = (rows.shape[1] - rows @ columns.T) / 2
    return np.asarray(distances.to(torch.int64).cpu().numpy(), np.int64)


def _signs(codes: Bytes, device: str) -> Tensor:
    """1 for each bit that is set, -1 for each other."""
    packed = _tensor(codes, device)
    shifts = torch.arange(8, device=device, dtype=torch.uint8)
    bits = (packed[:, :, None] >> shifts) & 1
    return bits.reshape(len(codes), -1).to(torch.float32) * 2 - 1


def _tensor(array: NDArray[Any], device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def color_shares(a: Bytes, b: Bytes, device: str) -> Floats:
    """1 - TM_SQDIFF_NORMED of each row of `a` with each of `b`, (n, values) and (m, values)."""
    # Norms come from the CPU, so that they are the same.
    squares, lengths = zip(*(norms_of(side, None) for side in (a, b)), strict=True)
    rows, columns = (_tensor(side, device) for side in squares)
    difference = (rows[:, None] + columns) - 2 * _products_of_pixels(a, b, device)
    rows, columns = (_tensor(side, device) for side in lengths)
    scale = rows[:, None] * columns
    share = torch.where(difference < scale, difference / scale, torch.ones_like(difference))
    share[difference == 0] = 0
    return np.asarray((1 - share).to(torch.float32).cpu().numpy(), np.float32)


def _products_of_pixels(a: Bytes, b: Bytes, device: str) -> Tensor:
    rows, columns = _tensor(a, device), _tensor(b, device)
    total = torch.zeros(len(rows), len(columns), dtype=torch.float64, device=device)
    for start in range(0, rows.shape[1], CHUNK):
        # At most 1024 * 128^2 = 2^24, up to which float32 holds every whole number.
        part = rows[:, start : start + CHUNK].to(torch.float32) - MIDDLE
        total += part @ (columns[:, start : start + CHUNK].to(torch.float32) - MIDDLE).T
    return total


def products(a: Doubles, b: Doubles, device: str) -> Doubles:
    """Products of each row of `a` with each of `b`; exact where the rows are rounded for it."""
    return np.asarray((_tensor(a, device) @ _tensor(b, device).T).cpu().numpy(), np.float64)


def ssim(a: Bytes, b: Bytes, device: str) -> Floats:
    """SSIM of each gray image of `a`, (n, h, w), with each of `b`, (m, h, w)."""
    rows, columns = _Maps(a, device), _Maps(b, device)
    windows = rows.sums.shape[1]
    totals = np.empty((len(a), len(b)), np.int64)
    step = max(1, WINDOWS // max(1, windows * len(b)))
    for start in range(0, len(a), step):
        totals[start : start + step] = _totals(rows, slice(start, start + step), columns)
    return similarity_of(totals, a.shape[1:])


class _Maps:
    """Statistics of the windows of n images; windows are the last axis."""

    def __init__(self, gray: Bytes, device: str) -> None:
        self.pixels = _tensor(gray, device).to(torch.float32)
        sums = _window_sums(self.pixels)
        # Up to 156 million: whole numbers that float32 does not hold, so they are int32.
        self.sums = sums.to(torch.int32)
        squares = self.sums * self.sums
        variances = PIXELS * _window_sums(self.pixels**2).to(torch.int32) - squares
        self.squares = squares.to(torch.float32) + float(BRIGHT)
        self.spreads = variances.to(torch.float32) + float(VARIED)


def _window_sums(stack: Tensor) -> Tensor:
    """Sum over every 7x7 window, (n, h, w) -> (n, windows); at most 49 * 255^2, exact."""
    pooled = torch.nn.functional.avg_pool2d(stack[:, None], WINDOW, 1, divisor_override=1)
    return pooled.reshape(len(stack), -1)


def _totals(a: _Maps, rows: slice, b: _Maps) -> Longs:
    """As `ssim.windows.totals_with`, for some images of `a` with all of `b`."""
    pixels = a.pixels[rows]
    pairs = (pixels[:, None] * b.pixels).reshape(-1, *pixels.shape[1:])
    shape = (len(pixels), len(b.pixels), -1)
    means = a.sums[rows][:, None] * b.sums
    covariances = _window_sums(pairs).to(torch.int32).reshape(shape) * PIXELS - means
    value = means.to(torch.float32) + float(BRIGHT)
    value *= covariances.to(torch.float32) + float(VARIED)
    below = a.squares[rows][:, None] + b.squares
    below *= a.spreads[rows][:, None] + b.spreads
    value /= below
    value *= float(QUARTERED)
    total = torch.round(value).sum(dim=2, dtype=torch.float64)  # exact up to 2^53
    return np.asarray(total.to(torch.int64).cpu().numpy(), np.int64)
