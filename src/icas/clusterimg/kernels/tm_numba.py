"""Template matching by numba kernels: sums over images, differences of pairs, similarities.

All sums are of integers and exact. Indices that are added up are unsigned: of a signed one numba
asks whether it counts from the end, and then nothing is done side by side.
"""

from __future__ import annotations

import numpy as np

from icas.clusterimg.kernels import Bytes, Doubles, Floats, Longs
from icas.clusterimg.kernels.numba_support import compiled

PART = 1024
"""Values whose squares are added up in 32 bits."""
_U = np.uint64


def warm_up() -> None:
    """Compile each kernel."""
    rows = np.zeros((2, 12), np.uint8)
    squares = moments(rows)[1].astype(np.float64)
    cell_sums(rows.reshape(2, 2, 6), np.array([0, 1, 2]), np.array([0, 1, 2]))
    one = np.zeros(1, np.int64)
    differences(rows, rows, one, one)
    for kind in (np.float32, np.float64):
        products, result = np.zeros((2, 2), kind), np.zeros((2, 2), np.float32)
        finish(products, squares, squares, squares, squares, result)


def moments(rows: Bytes) -> tuple[Longs, Longs]:
    """Sum of the values and of their squares, (n,) each, of (n, values) rows."""
    sums, squares = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    _fill_moments(_fixed(rows), sums, squares)
    return sums, squares


def cell_sums(images: Bytes, down: Longs, along: Longs) -> Longs:
    """Sums over the cells of a grid, (n, cells down, cells across, 3).

    images: (n, height, 3 width) uint8, rows of pixels of three values; down, along: where the cells
    begin, and behind them the number of rows, of columns.
    """
    result = np.zeros((len(images), len(down) - 1, len(along) - 1, 3), np.int64)
    _fill_cells(_fixed(images), down, along, result)
    return result


def differences(a: Bytes, b: Bytes, rows: Longs, columns: Longs) -> Doubles:
    """Sum of squared differences of the rows `rows` of `a` and `columns` of `b`, (pairs,)."""
    result = np.empty(len(rows), np.float64)
    _fill_differences(_fixed(a), _fixed(b), rows, columns, result)
    return result


def _fixed(values: Bytes) -> Bytes:
    """The same values, not to be written: arrays on disk are not, and each kind is compiled."""
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


@compiled
def _fill_moments(rows: Bytes, sums: Longs, squares: Longs) -> None:
    flat, count = rows.reshape(-1), _U(rows.shape[1])
    for row in range(len(rows)):
        start, end = _U(row) * count, _U(row + 1) * count
        linear, square = np.int64(0), np.int64(0)
        while start < end:
            stop = min(start + _U(PART), end)
            one, two = np.int32(0), np.int32(0)
            for i in range(start, stop):
                value = np.int32(flat[i])
                one = np.int32(one + value)
                two = np.int32(two + np.int32(value * value))
            linear += one
            square += two
            start = stop
        sums[row], squares[row] = linear, square


@compiled
def _fill_cells(images: Bytes, down: Longs, along: Longs, result: Longs) -> None:
    flat, height, width = images.reshape(-1), _U(images.shape[1]), _U(images.shape[2])
    line = np.zeros(width, np.int32)
    for image in range(len(images)):
        for band in range(len(down) - 1):
            line[:] = 0
            for row in range(down[band], down[band + 1]):
                start = (_U(image) * height + _U(row)) * width
                for i in range(width):
                    line[i] += np.int32(flat[start + i])
            for cell in range(len(along) - 1):
                for column in range(along[cell], along[cell + 1]):
                    for channel in range(3):
                        result[image, band, cell, channel] += line[3 * column + channel]


@compiled
def _fill_differences(a: Bytes, b: Bytes, rows: Longs, columns: Longs, result: Doubles) -> None:
    left, right, count = a.reshape(-1), b.reshape(-1), _U(a.shape[1])
    for pair in range(len(rows)):
        one, other = _U(rows[pair]) * count, _U(columns[pair]) * count
        total, start = np.int64(0), _U(0)
        while start < count:
            stop = min(start + _U(PART), count)
            part = np.int32(0)
            for i in range(start, stop):
                apart = np.int32(np.int32(left[one + i]) - np.int32(right[other + i]))
                part = np.int32(part + np.int32(apart * apart))
            total += part
            start = stop
        result[pair] = total


@compiled
def finish(
    products: Floats | Doubles,
    squares_a: Doubles,
    lengths_a: Doubles,
    squares_b: Doubles,
    lengths_b: Doubles,
    result: Floats,
) -> None:
    """Fill `result`, (n, m), by the products of centred images; as `tm.similarity_of`."""
    rows, columns = products.shape
    for row in range(rows):
        for column in range(columns):
            apart = (squares_a[row] + squares_b[column]) - 2.0 * products[row, column]
            scale = lengths_a[row] * lengths_b[column]
            # Where both are black the quotient is not a number; then the same image has been met.
            share = np.divide(apart, scale)
            share = share if apart < scale else 1.0
            share = share if apart != 0.0 else 0.0
            result[row, column] = np.float32(1.0 - share)
