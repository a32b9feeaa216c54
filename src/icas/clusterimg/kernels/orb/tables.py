"""Distances of descriptors by tables in memory, for processors with AVX2.

A descriptor is cut into groups of 5 bits (4 at the end of a word). For 64 features of an image,
and for each value of a group, a table holds in how many of its bits each feature differs: two
features share a byte, so that one load and one addition count a group for all of them. Counts of 15
bits still fit half a byte. The tables of an image serve all images it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from icas.clusterimg.kernels import Bytes, Ints, Words
from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.vectors import (
    I8,
    I16,
    I64,
    called,
    everywhere,
    loaded,
    lower,
    spread,
    store,
    variable,
)

ROWS = 4
"""Descriptors of the left image between two looks at the least of the columns."""
BLOCK = 64
"""Features of the right image that have their tables together."""
WORDS = 4
BITS = 5
"""Bits of a group."""
OF_WORD = 12
"""Groups of 5 bits of a word; the other 4 bits are a group behind all these."""
GROUPS = WORDS * OF_WORD + WORDS
TOGETHER = 3
"""Groups whose counts fit half a byte."""
FIRST = 24
"""Groups that are counted first: the tables of each part fit the first cache (32 KB)."""
ROW = 56
"""Bytes of a descriptor as `in_rows` gives it: `GROUPS`, filled up to words."""
VALUES = 1 << BITS
VECTOR = 32
"""Bytes of a vector."""
TABLES = GROUPS * VALUES * VECTOR
"""Bytes of the tables of a block."""
SHIFT = 2
"""A value of a group is kept times 4: times 8 (which an address may do) it is bytes of a table."""

_MANY = ir.VectorType(I8, VECTOR)
_PAIRS = ir.VectorType(I16, VECTOR // 2)
_ONE = np.uint64(1)


@compiled
def in_rows(words: Words, counts: Ints) -> Bytes:
    """Descriptors (n, K, 4) of images as `compare` takes them, (n, K filled up, `ROW`) uint8.

    They are filled up by copies of the first: it has the same distances and a lower index, so that
    a copy is never the nearest.
    """
    filled = -(-words.shape[1] // ROWS) * ROWS
    rows = np.zeros((len(words), filled, ROW), np.uint8)
    for image in range(len(words)):
        for row in range(filled):
            taken = row if row < counts[image] else 0
            for word in range(WORDS):
                _cut(words[image, taken, word], word, rows[image, row])
    return rows


@compiled
def _cut(bits: np.uint64, word: int, into: Bytes) -> None:
    for group in range(OF_WORD):
        value = (bits >> np.uint64(BITS * group)) & np.uint64(VALUES - 1)
        into[word * OF_WORD + group] = np.uint8(value << np.uint64(SHIFT))
    into[WORDS * OF_WORD + word] = np.uint8((bits >> np.uint64(60)) << np.uint64(SHIFT))


def _fill(typing: Any, values: Any, tables: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, tables = arguments
        one = everywhere(_MANY, 1)
        with cgutils.for_range(builder, I64(GROUPS)) as loop:
            start = builder.add(values, builder.mul(loop.index, I64(BLOCK)))
            into = builder.add(tables, builder.mul(loop.index, I64(VALUES * VECTOR)))
            both = [loaded(builder, _MANY, start, VECTOR * side) for side in range(2)]
            counts, steps = [everywhere(_MANY, 0)], []
            for bit in range(BITS):
                low, high = (
                    builder.and_(builder.lshr(some, everywhere(_MANY, bit)), one) for some in both
                )
                here = builder.add(low, builder.shl(high, everywhere(_MANY, 4)))
                counts[0] = builder.add(counts[0], here)
                # Up by one where the bit is 0, down where it is 1; modulo 256.
                twice = builder.shl(here, one)
                steps.append(builder.sub(everywhere(_MANY, 17), twice))
            for step in steps:
                counts += [builder.add(count, step) for count in counts]
            for value, count in enumerate(counts):
                store(builder, count, builder.add(into, I64(VECTOR * value)))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


fill = cast(Callable[[int, int], None], intrinsic(_fill))
"""``(values, tables)``: write the tables of a block from the values of 64 descriptors, group after
group; addresses of bytes."""


@compiled
def fill_tables(words: Words, count: int, into: Bytes) -> None:
    """Write the tables of the first `count` descriptors, (K, 4), block after block.

    They are filled up in the same way.
    """
    values = np.empty((GROUPS, BLOCK), np.uint8)
    some = np.empty(BLOCK, np.uint64)
    for block in range(-(-count // BLOCK)):
        for word in range(WORDS):
            for place in range(BLOCK):
                column = block * BLOCK + place
                some[place] = words[column if column < count else 0, word]
            for group in range(OF_WORD):
                shift = np.uint64(BITS * group)
                for place in range(BLOCK):
                    value = (some[place] >> shift) & np.uint64(VALUES - 1)
                    values[word * OF_WORD + group, place] = value
            for place in range(BLOCK):
                values[WORDS * OF_WORD + word, place] = some[place] >> np.uint64(60)
        fill(values.ctypes.data, into.ctypes.data + block * TABLES)


def _compare(
    typing: Any,
    tables: Any,
    ours: Any,
    count: Any,
    halfway: Any,
    near: Any,
    row: Any,
    least: Any,
    columns: Any,
    firsts: Any,
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tables, ours, count, halfway, near, row, least, columns, firsts = arguments
        none = everywhere(_MANY, 0)
        with cgutils.for_range(builder, count) as loop:
            codes = builder.add(ours, builder.mul(loop.index, I64(ROW)))
            sums = _counted(builder, tables, codes, (0, FIRST), (none, none))
            into = builder.add(halfway, builder.mul(loop.index, I64(2 * VECTOR)))
            for place, some in enumerate(sums):
                store(builder, some, builder.add(into, I64(VECTOR * place)))
        lowest = [variable(builder, everywhere(_MANY, 255)) for _ in range(2)]
        first = [variable(builder, none) for _ in range(2)]
        with cgutils.for_range(builder, builder.udiv(count, I64(ROWS))) as loop:
            number = spread(builder, builder.trunc(loop.index, I8), _MANY)
            new = [everywhere(_MANY, 255)] * 2
            for step in range(ROWS):
                index = builder.add(builder.mul(loop.index, I64(ROWS)), I64(step))
                codes = builder.add(ours, builder.mul(index, I64(ROW)))
                held = builder.add(halfway, builder.mul(index, I64(2 * VECTOR)))
                sums = loaded(builder, _MANY, held), loaded(builder, _MANY, held, VECTOR)
                end = GROUPS - 1
                sums = _counted(builder, tables, codes, (FIRST, end), sums)
                far = _apart(builder, sums, _entry(builder, tables, codes, end))
                into = builder.add(near, builder.mul(index, row))
                at = builder.add(least, builder.mul(index, I64(VECTOR)))
                both = loaded(builder, _MANY, at)
                for side, some in enumerate(far):
                    store(builder, some, builder.add(into, I64(VECTOR * side)))
                    both = lower(builder, both, some)
                    new[side] = lower(builder, new[side], some)
                store(builder, both, at)
            for some, place, where in zip(new, lowest, first, strict=True):
                before = builder.load(place)
                after = lower(builder, some, before)
                same = builder.icmp_unsigned("==", after, before)
                builder.store(builder.select(same, builder.load(where), number), where)
                builder.store(after, place)
        for side in range(2):
            store(builder, builder.load(lowest[side]), builder.add(columns, I64(VECTOR * side)))
            store(builder, builder.load(first[side]), builder.add(firsts, I64(VECTOR * side)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 9), generate


def _entry(builder: Any, tables: Any, codes: Any, group: int, word: Any = None) -> Any:
    """Counts of a group of a descriptor, whose `word` of values may be loaded already."""
    if word is None:
        word = loaded(builder, I64, codes, group // 8 * 8)
    value = builder.and_(builder.lshr(word, I64(8 * (group % 8))), I64(255))
    at = builder.add(tables, builder.shl(value, I64(8 - BITS)))
    return loaded(builder, _MANY, at, group * VALUES * VECTOR)


def _counted(
    builder: Any, tables: Any, codes: Any, groups: tuple[int, int], sums: tuple[Any, Any]
) -> tuple[Any, Any]:
    """Two sums of bytes, modulo 256, with more groups: of the counts, and of them over 16.

    The second is shifted by pairs of bytes: in the first of each pair are 16 times what the low
    half of the second byte holds, too.
    """
    whole, upper = sums
    word, four = None, everywhere(_PAIRS, 4)
    for start in range(*groups, TOGETHER):
        counts = None
        for group in range(start, start + TOGETHER):
            if group % 8 == 0 or word is None:
                word = loaded(builder, I64, codes, group // 8 * 8)
            one = _entry(builder, tables, codes, group, word)
            counts = one if counts is None else builder.add(counts, one)
        whole = builder.add(whole, counts)
        shifted = builder.lshr(builder.bitcast(counts, _PAIRS), four)
        upper = builder.add(upper, builder.bitcast(shifted, _MANY))
    return whole, upper


def _apart(builder: Any, sums: tuple[Any, Any], last: Any) -> tuple[Any, Any]:
    """Distances of 32 features and of the next 32: `sums` and the counts of the last group."""
    whole, upper = sums
    four = everywhere(_MANY, 4)
    # Right in the second byte of each pair, whose upper half nothing was added to.
    lower_half = builder.sub(whole, builder.shl(upper, four))
    eight, wide = everywhere(_PAIRS, 8), everywhere(_PAIRS, 4)
    second = builder.lshr(builder.bitcast(lower_half, _PAIRS), eight)
    added = builder.and_(builder.shl(second, wide), everywhere(_PAIRS, 255))
    high = builder.sub(upper, builder.bitcast(added, _MANY))
    low = builder.sub(whole, builder.shl(high, four))
    return (
        _held(builder, low, builder.and_(last, everywhere(_MANY, 15))),
        _held(builder, high, builder.lshr(last, four)),
    )


def _held(builder: Any, a: Any, b: Any) -> Any:
    """Sum of bytes, at most 255."""
    made: Any = cgutils.get_or_insert_function
    kind = ir.FunctionType(_MANY, [_MANY, _MANY])
    return builder.call(made(builder.module, kind, "llvm.uadd.sat.v32i8"), [a, b])


compare = cast(Callable[[int, int, int, int, int, int, int, int, int], None], intrinsic(_compare))
"""``(tables, ours, count, halfway, near, row, least, columns, firsts)``: distances of `count`
descriptors, a multiple of `ROWS`, from a block of 64 others.

tables: of the block; ours: as `in_rows` gives them; halfway: 64 bytes for each of them, scratch
memory. The distances are written as bytes, 255 for 256, into rows `row` bytes apart. Each 32 bytes
of `least` are lowered to the least of a descriptor, column by column of two vectors. The least of
each column is written into `columns`, and into `firsts` in which `ROWS` descriptors it first is.
"""


def _least(typing: Any, lanes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        some = loaded(builder, _MANY, arguments[0])
        return called(builder, "llvm.vector.reduce.umin.v32i8", I8, some)

    return types.uint8(types.intp), generate


least = cast(Callable[[int], int], intrinsic(_least))
"""``(address)``: the least of 32 bytes."""
