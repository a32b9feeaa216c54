"""Numba kernels that find the features of two images that are each other's nearest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from icas.clusterimg.kernels import Bytes, Ints, Words
from icas.clusterimg.kernels.lookup import (
    HALVES,
    TABLE,
    TABLES,
    compare as compare_looked_up,
    fill_planes,
    fill_tables,
)
from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.orb.simd import (
    LANES,
    ROWS,
    RUN,
    WORDS,
    compare,
    first_equal,
    first_rows,
    least,
)

CHUNK = 256
"""Features of the left image whose distances are held at once: their numbers fit a byte."""
NONE = 0xFF
"""More than any distance that counts."""
DISTANCE = 16
"""A key is the distance, that many bits up, and the index: the least is the nearest and, of
equally near features, the one of lowest index."""
INDEX = (1 << DISTANCE) - 1


class Bench(NamedTuple):
    """Scratch memory for matching, and the last matches.

    near: (rows, columns) uint8, Distances; `NONE` from column `written` on; row_least,
    column_least: (CHUNK,), (columns,) uint8; column_first: (columns,) uint8, first row of `near`
    that holds the least of the column; row_key, column_key: keys of the nearest, of images whose
    distances are not held all at once; first, second, bits: Matches: our feature, theirs, their
    distance; written: (1,) int32.
    """

    near: Bytes
    row_least: Bytes
    column_least: Bytes
    column_first: Bytes
    row_key: Ints
    column_key: Ints
    first: Ints
    second: Ints
    bits: Ints
    written: Ints


@compiled
def bench_for(left: int, right: int) -> Bench:
    """Scratch memory for images of at most that many features."""
    width = -(-right // RUN) * RUN
    rows = -(-left // ROWS) * ROWS
    return Bench(
        np.full((min(rows, CHUNK), width), NONE, np.uint8),
        np.empty(CHUNK, np.uint8),
        np.empty(width, np.uint8),
        np.empty(width, np.uint8),
        np.empty(rows, np.int32),
        np.empty(width, np.int32),
        np.empty(right + 1, np.int32),
        np.empty(right + 1, np.int32),
        np.empty(right + 1, np.int32),
        np.zeros(1, np.int32),
    )


@compiled
def _rows_of_words(words: Words, count: int) -> Bytes:
    filled = np.empty((-(-len(words) // ROWS), ROWS * WORDS), np.uint64)
    for row in range(len(filled) * ROWS):
        taken = row if row < count else 0
        for word in range(WORDS):
            filled[row // ROWS, row % ROWS * WORDS + word] = words[taken, word]
    return filled.view(np.uint8)


@compiled
def _rows_of_tables(words: Words, count: int) -> Bytes:
    filled = np.empty((-(-len(words) // ROWS), ROWS // 2 * WORDS * HALVES * TABLE), np.uint8)
    some = np.empty((ROWS, WORDS), np.uint64)
    for block in range(len(filled)):
        for row in range(ROWS):
            taken = block * ROWS + row
            some[row] = words[taken if taken < count else 0]
        tables = filled[block].view(np.uint64).reshape(ROWS // 2, WORDS * HALVES, 2)
        fill_tables(some, tables)
    return filled


@compiled
def _planes_of_words(words: Words, counts: Ints) -> Bytes:
    images, keypoints = words.shape[0], words.shape[1]
    planes = np.empty((images, WORDS, -(-keypoints // LANES) * LANES), np.uint64)
    for image in range(images):
        for word in range(WORDS):
            for row in range(planes.shape[2]):
                taken = row if row < counts[image] else 0
                planes[image, word, row] = words[image, taken, word]
    return planes.view(np.uint8)


@compiled
def _planes_of_halves(words: Words, counts: Ints) -> Bytes:
    images, keypoints = words.shape[0], words.shape[1]
    planes = np.empty((images, WORDS * HALVES, -(-keypoints // LANES) * LANES), np.uint8)
    for image in range(images):
        fill_planes(words[image], counts[image], planes[image])
    return planes


in_rows = _rows_of_tables if TABLES else _rows_of_words
"""``(words, count)``: descriptors (K, 4) of an image as `compare` takes them, `ROWS` an entry.

They are filled up by copies of the first: it has the same distances and a lower index, so that a
copy is never the nearest.
"""
in_planes = _planes_of_halves if TABLES else _planes_of_words
"""``(words, counts)``: descriptors (n, K, 4) of images as `compare` takes them, filled up to
`LANES` in the same way; (n, planes, bytes) uint8."""


@compiled
def match(
    left: Bytes, left_count: int, right: Bytes, right_count: int, most_bits: int, bench: Bench
) -> int:
    """Find the pairs of features that are each other's nearest and differ in few enough bits.

    left: as `in_rows` gives it; the first `left_count` (at least 1) are features;
    right: of one image, as `in_planes` gives it; the first `right_count` (at least 1) are features;
    most_bits: at most 254; bench: its `first`, `second` and `bits` are filled in. Gives number of
    pairs.
    """
    width = -(-right_count // LANES) * LANES
    looked = -(-right_count // RUN) * RUN
    for row in range(len(bench.near) if bench.written[0] > width else 0):
        for column in range(width, bench.written[0]):
            bench.near[row, column] = NONE
    bench.written[0] = width
    if left_count <= CHUNK:
        _compare(left, 0, left_count, right, width, looked, bench)
        return _mutual(right_count, looked, most_bits, bench)
    for start in range(0, left_count, CHUNK):
        count = min(CHUNK, left_count - start)
        _compare(left, start, count, right, width, looked, bench)
        _keep_nearest(start, count, width, looked, most_bits, bench)
    return _mutual_by_keys(left_count, bench)


@compiled
def _compare_words(
    left: Bytes, start: int, count: int, right: Bytes, width: int, looked: int, bench: Bench
) -> None:
    for column in range(looked):
        bench.column_least[column] = NONE
    near, row = bench.near.ctypes.data, bench.near.strides[0]
    columns, rows = bench.column_least.ctypes.data, bench.row_least.ctypes.data
    blocks, block = left.ctypes.data, left.strides[0]
    planes, plane = right.ctypes.data, right.strides[0]
    for at in range(0, count, ROWS):
        here = near + at * row
        compare(blocks + (start + at) // ROWS * block, planes, plane, width, here, row)
        least(here, row, looked, rows + at, columns)
    filled = -(-count // ROWS) * ROWS
    first_rows(near, row, filled, looked, columns, bench.column_first.ctypes.data)


@compiled
def _compare_tables(
    left: Bytes, start: int, count: int, right: Bytes, width: int, looked: int, bench: Bench
) -> None:
    for column in range(looked):
        bench.column_least[column] = NONE
        bench.column_first[column] = 0
    near, row = bench.near.ctypes.data, bench.near.strides[0]
    columns, rows = bench.column_least.ctypes.data, bench.row_least.ctypes.data
    firsts = bench.column_first.ctypes.data
    blocks, block = left.ctypes.data, left.strides[0]
    planes, plane = right.ctypes.data, right.strides[0]
    for at in range(0, count, ROWS):
        compare_looked_up(
            blocks + (start + at) // ROWS * block,
            planes,
            plane,
            width,
            near + at * row,
            row,
            rows + at,
            columns,
            firsts,
            at // ROWS,
        )
    for column in range(width):
        first, distance = int(bench.column_first[column]) * ROWS, bench.column_least[column]
        past = 0
        # Without a branch, which would often be mispredicted.
        for step in range(ROWS - 1, 0, -1):
            past = past if bench.near[first + step, column] != distance else step
        past = past if bench.near[first, column] != distance else 0
        bench.column_first[column] = first + past


_compare = _compare_tables if TABLES else _compare_words
"""Distances of `count` left features from all right ones; the least per row and column, and the
first row that holds the least of each column."""


@compiled
def _mutual(width: int, looked: int, most_bits: int, bench: Bench) -> int:
    """Mutual matches from the matrix of all distances."""
    near, row = bench.near.ctypes.data, bench.near.strides[0]
    row_least, column_least, column_first = bench.row_least, bench.column_least, bench.column_first
    first, second, bits = bench.first, bench.second, bench.bits
    likely = 0
    # Without a branch, which would often be mispredicted: non-matches are overwritten.
    for column in range(width):
        distance = column_least[column]
        at = column_first[column]
        first[likely], second[likely], bits[likely] = at, column, distance
        likely += (distance <= most_bits) & (row_least[at] == distance)
    result = 0
    for place in range(likely):
        at, column, distance = first[place], second[place], bits[place]
        first[result], second[result], bits[result] = at, column, distance
        result += first_equal(near + at * row, looked, int(distance)) == column
    return result


@compiled
def _keep_nearest(
    start: int, count: int, width: int, looked: int, most_bits: int, bench: Bench
) -> None:
    """Update the nearest features in both directions by `count` features of the left image."""
    near, row = bench.near.ctypes.data, bench.near.strides[0]
    for at in range(count):
        distance = int(bench.row_least[at])
        key = -1
        if distance <= most_bits:
            key = distance << DISTANCE | first_equal(near + at * row, looked, distance)
        bench.row_key[start + at] = key
    for column in range(width):
        distance = int(bench.column_least[column])
        key = distance << DISTANCE | (start + bench.column_first[column])
        if start == 0 or key < bench.column_key[column]:
            bench.column_key[column] = key


@compiled
def _mutual_by_keys(count: int, bench: Bench) -> int:
    """Mutual matches from the result of `_keep_nearest`."""
    result = 0
    for row in range(count):
        key = bench.row_key[row]
        column, distance = key & INDEX, key >> DISTANCE
        if key >= 0 and bench.column_key[column] == (distance << DISTANCE | row):
            bench.first[result], bench.second[result], bench.bits[result] = row, column, distance
            result += 1
    return result
