"""Similarities of whole tiles computed by torch; loaded only where a device is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

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


def hamming(a: NDArray[np.uint8], b: NDArray[np.uint8], device: str) -> NDArray[np.int64]:
    """Number of different bits of each row of packed codes of `a` with each of `b`, (n, m)."""
    ours, theirs = _signs(a, device), _signs(b, device)
    # Products of 1 and -1: whole numbers up to the number of bits, in TF32 as in float32.
    apart = (ours.shape[1] - ours @ theirs.T) / 2
    return np.asarray(apart.to(torch.int64).cpu().numpy(), np.int64)


def _signs(codes: NDArray[np.uint8], device: str) -> Tensor:
    """1 for each bit that is set, -1 for each other."""
    packed = torch.from_numpy(np.ascontiguousarray(codes)).to(device)
    places = torch.arange(8, device=device, dtype=torch.uint8)
    bits = (packed[:, :, None] >> places) & 1
    return bits.reshape(len(codes), -1).to(torch.float32) * 2 - 1


def colour_shares(a: NDArray[np.uint8], b: NDArray[np.uint8], device: str) -> NDArray[np.float32]:
    """1 - TM_SQDIFF_NORMED of each row of `a` with each of `b`, (n, values) and (m, values)."""
    one, other = (_norms(side, device) for side in (a, b))
    difference = (one[0][:, None] + other[0]) - 2 * _products_of_pixels(a, b, device)
    scale = one[1][:, None] * other[1]
    share = torch.where(difference < scale, difference / scale, torch.ones_like(difference))
    share[difference == 0] = 0
    return np.asarray((1 - share).to(torch.float32).cpu().numpy(), np.float32)


def _norms(rows: NDArray[np.uint8], device: str) -> tuple[Tensor, Tensor]:
    """The fields of `tm_products.Norms`, made where the CPU's own are made."""
    squares, lengths = norms_of(rows, None)
    return torch.from_numpy(squares).to(device), torch.from_numpy(lengths).to(device)


def _products_of_pixels(a: NDArray[np.uint8], b: NDArray[np.uint8], device: str) -> Tensor:
    ours, theirs = (torch.from_numpy(np.ascontiguousarray(side)).to(device) for side in (a, b))
    found = torch.zeros(len(ours), len(theirs), dtype=torch.float64, device=device)
    for start in range(0, ours.shape[1], CHUNK):
        # At most 1024 * 128^2 = 2^24, up to which float32 holds every whole number.
        part = ours[:, start : start + CHUNK].to(torch.float32) - MIDDLE
        found += part @ (theirs[:, start : start + CHUNK].to(torch.float32) - MIDDLE).T
    return found


def products(a: NDArray[np.float64], b: NDArray[np.float64], device: str) -> NDArray[np.float64]:
    """Products of each row of `a` with each of `b`; exact where the rows are rounded for it."""
    ours, theirs = (torch.from_numpy(np.ascontiguousarray(side)).to(device) for side in (a, b))
    return np.asarray((ours @ theirs.T).cpu().numpy(), np.float64)


def structural(a: NDArray[np.uint8], b: NDArray[np.uint8], device: str) -> NDArray[np.float32]:
    """SSIM of each gray image of `a`, (n, h, w), with each of `b`, (m, h, w)."""
    ours, theirs = _Maps(a, device), _Maps(b, device)
    windows = ours.sums.shape[1]
    totals = np.empty((len(a), len(b)), np.int64)
    step = max(1, WINDOWS // max(1, windows * len(b)))
    for start in range(0, len(a), step):
        totals[start : start + step] = _totals(ours, slice(start, start + step), theirs)
    return similarity_of(totals, a.shape[1:])


class _Maps:
    """What the windows of n images say on their own; windows are the last axis."""

    def __init__(self, gray: NDArray[np.uint8], device: str) -> None:
        self.pixels = torch.from_numpy(np.ascontiguousarray(gray)).to(device).to(torch.float32)
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


def _totals(ours: _Maps, rows: slice, theirs: _Maps) -> NDArray[np.int64]:
    """As `ssim_windows.totals_with`, for some images with all of the others."""
    one = ours.pixels[rows]
    pairs = (one[:, None] * theirs.pixels).reshape(-1, *one.shape[1:])
    shape = (len(one), len(theirs.pixels), -1)
    means = ours.sums[rows][:, None] * theirs.sums
    covariances = _window_sums(pairs).to(torch.int32).reshape(shape) * PIXELS - means
    value = means.to(torch.float32) + float(BRIGHT)
    value *= covariances.to(torch.float32) + float(VARIED)
    below = ours.squares[rows][:, None] + theirs.squares
    below *= ours.spreads[rows][:, None] + theirs.spreads
    value /= below
    value *= float(QUARTERED)
    found = torch.round(value).sum(dim=2, dtype=torch.float64)  # exact up to 2^53
    return np.asarray(found.to(torch.int64).cpu().numpy(), np.int64)
