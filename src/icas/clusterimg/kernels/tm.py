"""Normalised squared differences of many pairs of images by products of matrices, exactly.

Values are centred by `MIDDLE`, so that the products of `CHUNK` of them add up to integers that
float32 holds, in whatever order the library adds them; chunks add up in float64. What comes after
is a few float64 steps a pair, the same ones in the same order in NumPy and in the numba kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

import numpy as np

from icas.clusterimg.kernels import Bytes, Doubles, Floats, Longs

MIDDLE = 128
"""Subtracted from every value, so that absolute values are at most 128."""
CHUNK = 1024
"""Values multiplied at a time: 1024 * 128^2 = 2^24, up to which float32 holds every integer."""
ROWS = 128
"""Images of one side whose pairs are finished at a time: they stay in a core's cache."""
GATHERED = 1 << 20
"""Values of single pairs that are brought together at a time."""
CELLS = 12
"""Cells a side, at most, of the grid by which images are compared first."""
FEW = 64
"""Values up to which a grid is of no use."""


class Norms(NamedTuple):
    """Of n images, (n,) float64 each."""

    squares: Doubles
    """Sum of the squared distances of the values from `MIDDLE`, exact."""
    lengths: Doubles
    """Root of the sum of the squared values."""

    def picked(self, images: slice | Longs) -> Norms:
        """Those of the chosen images."""
        return Norms(self.squares[images], self.lengths[images])


def norms_of(rows: Bytes, kernels: ModuleType | None) -> Norms:
    """Norms of the images `rows`, (n, values); `kernels` is `tm_numba` or None."""
    values = rows.shape[1]
    if kernels is not None:
        sums, squares = kernels.moments(rows)
        centred = squares - 2 * MIDDLE * sums + values * MIDDLE**2
        return Norms(centred.astype(np.float64), np.sqrt(squares.astype(np.float64)))
    centred, totals = np.zeros(len(rows)), np.zeros(len(rows))
    for columns in chunks(values):
        part = _centred(rows[:, columns])
        centred += np.einsum("ij,ij->i", part, part)
        totals += part.sum(axis=1)
    return Norms(centred, np.sqrt(centred + 2 * MIDDLE * totals + values * MIDDLE**2))


def similarities(
    a: Bytes, b: Bytes, norms: tuple[Norms, Norms], kernels: ModuleType | None
) -> Floats:
    """Similarity of each of n images with each of m, (n, m) float32.

    a, b: (n, values) and (m, values) uint8; norms: of the same images; kernels: `tm_numba`
    where it is there.
    """
    values = np.empty((len(a), len(b)), np.float32)
    for rows, products in _products(a, b):
        one, other = norms[0].picked(rows), norms[1]
        if kernels is not None:
            kernels.finish(products, *one, *other, values[rows])
        else:
            apart = (one.squares[:, None] + other.squares) - 2.0 * products
            values[rows] = similarity_of(apart, one.lengths[:, None] * other.lengths)
    return values


def similarity_of(apart: Doubles, scale: Doubles) -> Floats:
    """Similarities by sums of squared differences and products of lengths, in [0, 1]."""
    share = np.ones(apart.shape)
    np.divide(apart, scale, out=share, where=apart < scale)
    share[apart == 0] = 0
    return (1 - share).astype(np.float32)


def pair_similarities(
    a: Bytes,
    b: Bytes,
    norms: tuple[Norms, Norms],
    pairs: tuple[Longs, Longs],
    kernels: ModuleType | None,
) -> Floats:
    """What `similarities` has at the `pairs` (rows, columns), (pairs,) float32."""
    one, other = norms[0].picked(pairs[0]), norms[1].picked(pairs[1])
    if kernels is not None:
        apart = kernels.differences(a, b, *pairs)
    else:
        apart = (one.squares + other.squares) - 2.0 * _pair_products(a, b, *pairs)
    return similarity_of(apart, one.lengths * other.lengths)


def sides_of(
    images: tuple[Bytes, Bytes],
    norms: tuple[Norms, Norms],
    threshold: float,
    kernels: ModuleType | None,
) -> tuple[Floats, Floats]:
    """Matrices whose product is 0 or more wherever a similarity reaches `threshold`.

    Two images a, b are linked where |a - b|^2 <= t |a| |b|, with t = 1 - `threshold` and what
    rounding the similarity to float32 may have added, 2^-23. Let p, q be their centred values, or
    for larger images coordinates whose distance is no greater: for each cell of a grid and channel
    the sum over the root of the count (an orthogonal projection), and the length that is left. So
    |p|^2 is the sum of squares P of the centred values in both cases, and linked images have

        p.q - P / 2 - Q / 2 + t / 2 |a| |b| >= 0,

    one product of rows (p, -P/2, 1, t/2 |a|) and (q, 1, -Q/2, |b|).

    Float32 rounds it. A sum of K products is off by at most K u (1 + K u) times the sum of their
    sizes, u = 2^-24, in whatever order it is added; the entries themselves are off by 8 u at most
    (the length that is left by 4 u |p|: it is the root of a difference). The sizes add up to
    P + Q + t/2 |a| |b| at most. With e = (K + 32) u, so, halves of P and Q that are smaller by e P
    and e Q, and a t that is greater by e t, keep every linked pair at 0 or above.

    images: two (n, height, width, 3) uint8, the same array twice for pairs within one set;
    threshold: above 0; kernels: `tm_numba` where it is there.
    """
    same = images[0] is images[1]
    p = _coordinates(images[0], norms[0], kernels)
    q = p if same else _coordinates(images[1], norms[1], kernels)
    slack = (p.shape[1] + 3 + 32) * 2.0**-24
    allowed = (1 - threshold + 2.0**-23) / 2 * (1 + slack)
    halves = [-(0.5 - slack) * norm.squares for norm in norms]
    ones = [np.ones(len(side)) for side in (p, q)]
    left = np.stack([halves[0], ones[0], allowed * norms[0].lengths], axis=1)
    right = np.stack([ones[1], halves[1], norms[1].lengths], axis=1)
    return (
        np.concatenate([p, left.astype(np.float32)], axis=1),
        np.concatenate([q, right.astype(np.float32)], axis=1),
    )


def chunks(values: int) -> Iterator[slice]:
    """Runs of `CHUNK` of `values` values."""
    for start in range(0, values, CHUNK):
        yield slice(start, start + CHUNK)


def _products(a: Bytes, b: Bytes) -> Iterator[tuple[slice, Floats | Doubles]]:
    """`ROWS` images of `a`, and the products of their centred values with all others', exact."""
    runs = [slice(start, start + ROWS) for start in range(0, len(a), ROWS)]
    if a.shape[1] <= CHUNK:
        centred = _centred(a)
        other = centred if a is b else _centred(b)
        for rows in runs:
            yield rows, np.asarray(centred[rows] @ other.T, np.float32)
        return
    total = np.zeros((len(a), len(b)))
    for part in chunks(a.shape[1]):
        # Never more than a chunk of the images in float32.
        centred = _centred(a[:, part])
        total += centred @ (centred if a is b else _centred(b[:, part])).T
    for rows in runs:
        yield rows, total[rows]


def _pair_products(a: Bytes, b: Bytes, rows: Longs, columns: Longs) -> Doubles:
    """Products of the centred values of single pairs, (pairs,), exact."""
    total = np.zeros(len(rows))
    for start in range(0, len(rows), GATHERED // CHUNK):
        some = slice(start, start + GATHERED // CHUNK)
        for part in chunks(a.shape[1]):
            one, other = a[:, part][rows[some]], b[:, part][columns[some]]
            total[some] += np.einsum("ij,ij->i", _centred(one), _centred(other))
    return total


def _centred(values: Bytes) -> Floats:
    return np.subtract(values, np.float32(MIDDLE), dtype=np.float32)


def _coordinates(images: Bytes, norms: Norms, kernels: ModuleType | None) -> Floats:
    """The vectors of `sides_of`, (n, coordinates) float32: all centred values, or cells."""
    count, height, width, channels = images.shape
    # Without numba kernels a pair that is computed for nothing costs more than a long product.
    if height * width * channels <= (CHUNK if kernels is None else FEW):
        return _centred(images.reshape(count, height * width * channels))
    down, along = _edges(height), _edges(width)
    if kernels is not None:
        sums = kernels.cell_sums(images.reshape(count, height, width * channels), down, along)
    else:
        sums = _cell_sums(images, down, along)
    pixels = np.outer(np.diff(down), np.diff(along))[:, :, None]
    cells = ((sums - MIDDLE * pixels) / np.sqrt(pixels)).reshape(count, pixels.size * channels)
    left = norms.squares - np.einsum("ij,ij->i", cells, cells)
    rest = np.sqrt(np.maximum(left, 0))
    return np.concatenate([cells, rest[:, None]], axis=1).astype(np.float32)


def _edges(length: int) -> Longs:
    """Where the cells of a side begin, and its end."""
    cells = max(1, min(CELLS, 2 * length // 5))
    return np.arange(cells + 1) * length // cells


def _cell_sums(images: Bytes, down: Longs, along: Longs) -> Longs:
    """As `tm_numba.cell_sums`, of (n, height, width, 3)."""
    # np.add.reduceat would make an int32 copy of all images first.
    rows = pairwise(down.tolist())
    bands = [images[:, top:end].sum(axis=1, dtype=np.int32) for top, end in rows]
    return np.add.reduceat(np.stack(bands, axis=1), along[:-1], axis=2, dtype=np.int64)
