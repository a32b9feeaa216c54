"""Numba kernels that find the features of two images that are each other's nearest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from icas.clusterimg.kernels import Bytes, Ints, Words
from icas.clusterimg.kernels.lookup import TABLES
from icas.clusterimg.kernels.numba_support import compiled, uncounted
from icas.clusterimg.kernels.orb import tables as by_tables
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

CHUNK = 1024 if TABLES else 256
"""Features of the left image whose distances are held at once: their numbers fit a byte; by tables
those of `ROWS` together do."""
NONE = 0xFF
"""More than any distance that counts."""
DISTANCE = 16
"""A key is the distance, that many bits up, and the index: the least is the nearest and, of
equally near features, the one of lowest index."""
INDEX = (1 << DISTANCE) - 1


class Bench(NamedTuple):
    """Scratch memory for matching, and the last matches.

    near: (rows, columns) uint8, Distances; `NONE` from column `written` on; row_least,
    column_least: (CHUNK,), (columns,) uint8; column_first: (columns,) int32, first row of `near`
    that holds the least of the column; firsts: (columns,) uint8, the same as `simd` and `tables`
    give it; row_key, column_key: keys of the nearest, of images whose distances are not held all at
    once; first, second, bits: Matches: our feature, theirs, their distance; written: (1,) int32;
    lanes, halfway: (rows, 32), (rows, 64) uint8, for `tables`.
    """

    near: Bytes
    row_least: Bytes
    column_least: Bytes
    column_first: Ints
    firsts: Bytes
    row_key: Ints
    column_key: Ints
    first: Ints
    second: Ints
    bits: Ints
    written: Ints
    lanes: Bytes
    halfway: Bytes


@compiled
def bench_for(left: int, right: int) -> Bench:
    """Scratch memory for images of at most that many features."""
    width = -(-right // RUN) * RUN
    rows = -(-left // ROWS) * ROWS
    held = min(rows, CHUNK)
    return Bench(
        np.full((held, width), NONE, np.uint8),
        np.empty(CHUNK, np.uint8),
        np.empty(width, np.uint8),
        np.empty(width, np.int32),
        np.empty(width, np.uint8),
        np.empty(rows, np.int32),
        np.empty(width, np.int32),
        np.empty(right + 1, np.int32),
        np.empty(right + 1, np.int32),
        np.empty(right + 1, np.int32),
        np.zeros(1, np.int32),
        np.empty((held, by_tables.VECTOR), np.uint8),
        np.empty((held, 2 * by_tables.VECTOR), np.uint8),
    )


@compiled
def _rows_of_words(words: Words, counts: Ints) -> Bytes:
    filled = -(-words.shape[1] // ROWS) * ROWS
    rows = np.empty((len(words), filled, WORDS), np.uint64)
    for image in range(len(words)):
        for row in range(filled):
            rows[image, row] = words[image, row if row < counts[image] else 0]
    return rows.view(np.uint8)


@compiled
def _room_of_words(keypoints: int) -> Bytes:
    return np.empty(WORDS * 8 * (-(-keypoints // LANES) * LANES), np.uint8)


@compiled
def _room_of_tables(keypoints: int) -> Bytes:
    return np.empty(-(-keypoints // by_tables.BLOCK) * by_tables.TABLES, np.uint8)


@compiled
def _planes_of_words(words: Words, count: int, into: Bytes) -> None:
    planes = into.view(np.uint64).reshape(WORDS, len(into) // (8 * WORDS))
    for word in range(WORDS):
        for row in range(planes.shape[1]):
            planes[word, row] = words[row if row < count else 0, word]


in_rows = by_tables.in_rows if TABLES else _rows_of_words
"""``(words, counts)``: descriptors (n, K, 4) of images as `match` takes them on the left; (n, rows,
bytes) uint8.

They are filled up by copies of the first: it has the same distances and a lower index, so that a
copy is never the nearest.
"""
room_for = _room_of_tables if TABLES else _room_of_words
"""``(keypoints)``: memory for `lay_out`."""
lay_out = by_tables.fill_tables if TABLES else _planes_of_words
"""``(words, count, into)``: write descriptors (K, 4) of an image, `count` of them features, as
`match` takes them on the right; filled up in the same way."""


@uncounted
def match(
    left: Bytes,
    left_count: int,
    right: Bytes,
    seen: int,
    right_count: int,
    most_bits: int,
    bench: Bench,
) -> int:
    """Find the pairs of features that are each other's nearest and differ in few enough bits.

    left: an image of `in_rows`; the first `left_count` (at least 1) are features; right: as
    `lay_out` writes it; the first `right_count` (at least 1) are looked at; seen: how many of them
    the call before, of the same images, has looked at, a multiple of `RUN`; most_bits: at most 254;
    bench: its `first`, `second` and `bits` are filled in. Gives number of pairs.
    """
    looked = -(-right_count // RUN) * RUN
    if left_count <= CHUNK:
        _compare(left, 0, left_count, right, seen, right_count, bench)
        return _mutual(right_count, looked, most_bits, bench)
    for start in range(0, left_count, CHUNK):
        count = min(CHUNK, left_count - start)
        _compare(left, start, count, right, 0, right_count, bench)
        _keep_nearest(start, count, right_count, looked, most_bits, bench)
    return _mutual_by_keys(left_count, bench)


@uncounted
def _compare_words(
    left: Bytes, start: int, count: int, right: Bytes, seen: int, right_count: int, bench: Bench
) -> None:
    width = -(-right_count // LANES) * LANES
    looked = -(-right_count // RUN) * RUN
    for row in range(len(bench.near) if bench.written[0] > width else 0):
        for column in range(width, bench.written[0]):
            bench.near[row, column] = NONE
    bench.written[0] = width
    for column in range(looked):
        bench.column_least[column] = NONE
    near, row = bench.near.ctypes.data, bench.near.strides[0]
    columns, rows = bench.column_least.ctypes.data, bench.row_least.ctypes.data
    ours, own = left.ctypes.data, left.strides[0]
    planes, plane = right.ctypes.data, len(right) // WORDS
    for at in range(0, count, ROWS):
        here = near + at * row
        compare(ours + (start + at) * own, planes, plane, width, here, row)
        least(here, row, looked, rows + at, columns)
    filled = -(-count // ROWS) * ROWS
    first_rows(near, row, filled, looked, columns, bench.firsts.ctypes.data)
    for column in range(looked):
        bench.column_first[column] = bench.firsts[column]


@uncounted
def _compare_tables(
    left: Bytes, start: int, count: int, right: Bytes, seen: int, right_count: int, bench: Bench
) -> None:
    near, row = bench.near.ctypes.data, bench.near.strides[0]
    columns, firsts = bench.column_least.ctypes.data, bench.firsts.ctypes.data
    lanes, halfway = bench.lanes.ctypes.data, bench.halfway.ctypes.data
    ours, tables = left[start].ctypes.data, right.ctypes.data
    filled = -(-count // ROWS) * ROWS
    if seen == 0:
        bench.lanes[:filled] = NONE
    for at in range(seen, right_count, by_tables.BLOCK):
        here = tables + at // by_tables.BLOCK * by_tables.TABLES
        into = columns + at, firsts + at
        by_tables.compare(here, ours, filled, halfway, near + at, row, lanes, into[0], into[1])
    for at in range(count):
        bench.row_least[at] = by_tables.least(lanes + at * by_tables.VECTOR)
    for column in range(seen, right_count):
        first, distance = int(bench.firsts[column]) * ROWS, bench.column_least[column]
        past = 0
        # Without a branch, which would often be mispredicted.
        for step in range(ROWS - 1, 0, -1):
            past = past if bench.near[first + step, column] != distance else step
        past = past if bench.near[first, column] != distance else 0
        bench.column_first[column] = first + past


_compare = _compare_tables if TABLES else _compare_words
"""Distances of `count` left features, from `start` on, from the right ones; the least per row and
column, and the first row that holds the least of each column. Those from the `seen` first ones may
be there already."""


@uncounted
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


@uncounted
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


@uncounted
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
