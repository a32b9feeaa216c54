"""Vector operations written for LLVM; only other kernels import this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from icas.clusterimg.kernels.vectors import (
    I8,
    I32,
    I64,
    added_up,
    called,
    everywhere,
    loaded,
    lower,
    spread,
    store,
    variable,
)

ROWS = 4
"""Rows processed together: data of the other image is loaded once for them."""
WORDS = 4
"""Words of eight bytes of a descriptor."""
LANES = 8
"""Descriptors of the other image that are compared at once."""
RUN = 64
"""Distances that are looked at together."""
VOTES = 16
"""Matches that are looked at together."""
VOTE_ROWS = 11
"""What `vote` reads of a match: x and y in each image, by how many levels it grows, its weight;
cosine and sine, divided by the size, in each image; how far off is allowed."""

_WORDS = ir.VectorType(I64, 8)
_FEW = ir.VectorType(I8, 8)
_MANY = ir.VectorType(I8, RUN)
_INTS, _FLOATS = ir.VectorType(I32, VOTES), ir.VectorType(ir.FloatType(), VOTES)


def _compare(
    typing: Any, words_a: Any, words_b: Any, plane: Any, width: Any, near: Any, row: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words_a, words_b, plane, width, near, row = arguments
        own_words = [
            [
                spread(builder, loaded(builder, I64, words_a, 8 * (WORDS * r + w)), _WORDS)
                for w in range(WORDS)
            ]
            for r in range(ROWS)
        ]
        planes = [builder.add(words_b, builder.mul(plane, I64(w))) for w in range(WORDS)]
        rows = [builder.add(near, builder.mul(row, I64(r))) for r in range(ROWS)]
        most = everywhere(_WORDS, 255)
        with cgutils.for_range(builder, builder.udiv(width, I64(8))) as loop:
            start = builder.mul(loop.index, I64(8))
            at = builder.mul(start, I64(8))
            words = [loaded(builder, _WORDS, builder.add(one, at)) for one in planes]
            for r in range(ROWS):
                parts = [
                    called(builder, "llvm.ctpop.v8i64", _WORDS, builder.xor(word, other))
                    for word, other in zip(words, own_words[r], strict=True)
                ]
                bits = builder.add(builder.add(parts[0], parts[1]), builder.add(parts[2], parts[3]))
                bits = builder.trunc(lower(builder, bits, most), _FEW)
                store(builder, bits, builder.add(rows[r], start))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


def _least(typing: Any, near: Any, row: Any, width: Any, rows: Any, columns: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        near, row, width, rows, columns = arguments
        starts = [builder.add(near, builder.mul(row, I64(r))) for r in range(ROWS)]
        held = [variable(builder, everywhere(_MANY, 255)) for _ in range(ROWS)]
        with cgutils.for_range(builder, builder.udiv(width, I64(RUN))) as loop:
            at = builder.mul(loop.index, I64(RUN))
            column = builder.add(columns, at)
            lowest = loaded(builder, _MANY, column)
            for start, place in zip(starts, held, strict=True):
                some = loaded(builder, _MANY, builder.add(start, at))
                builder.store(lower(builder, builder.load(place), some), place)
                lowest = lower(builder, lowest, some)
            store(builder, lowest, column)
        for r, place in enumerate(held):
            lowest = called(builder, "llvm.vector.reduce.umin.v64i8", I8, builder.load(place))
            store(builder, lowest, builder.add(rows, I64(r)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


def _first_rows(
    typing: Any, near: Any, row: Any, rows: Any, width: Any, columns: Any, firsts: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        near, row, rows, width, columns, firsts = arguments
        strides = [builder.mul(row, I64(r)) for r in range(ROWS)]
        with cgutils.for_range(builder, builder.udiv(width, I64(RUN))) as blocks:
            at = builder.mul(blocks.index, I64(RUN))
            lowest = loaded(builder, _MANY, builder.add(columns, at))
            numbers = [variable(builder, everywhere(_MANY, 0)) for _ in range(ROWS)]
            held = [variable(builder, everywhere(_MANY, 0)) for _ in range(ROWS)]
            for r in range(ROWS):
                builder.store(everywhere(_MANY, r), numbers[r])
                builder.store(everywhere(_MANY, 255), held[r])
            with cgutils.for_range(builder, builder.udiv(rows, I64(ROWS))) as loop:
                down = builder.mul(builder.mul(loop.index, row), I64(ROWS))
                start = builder.add(builder.add(near, at), down)
                for stride, number, place in zip(strides, numbers, held, strict=True):
                    some = loaded(builder, _MANY, builder.add(start, stride))
                    index, before = builder.load(number), builder.load(place)
                    same = builder.icmp_unsigned("==", some, lowest)
                    index_or_none = builder.select(same, index, everywhere(_MANY, 255))
                    builder.store(lower(builder, before, index_or_none), place)
                    builder.store(builder.add(index, everywhere(_MANY, ROWS)), number)
            first = builder.load(held[0])
            for place in held[1:]:
                first = lower(builder, first, builder.load(place))
            store(builder, first, builder.add(firsts, at))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


def _first_equal(typing: Any, row: Any, width: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, width, value = arguments
        wanted = spread(builder, builder.trunc(value, I8), _MANY)
        found = variable(builder, I64(0))
        last = builder.sub(width, I64(RUN))
        # All runs from the last on, without a branch: none could be foretold.
        with cgutils.for_range(builder, builder.udiv(width, I64(RUN))) as loop:
            start = builder.sub(last, builder.mul(loop.index, I64(RUN)))
            some = loaded(builder, _MANY, builder.add(row, start))
            mask = builder.bitcast(builder.icmp_unsigned("==", some, wanted), I64)
            here = builder.add(start, builder.cttz(mask, ir.IntType(1)(0)))
            none = builder.icmp_unsigned("==", mask, I64(0))
            builder.store(builder.select(none, builder.load(found), here), found)
        return builder.load(found)

    return types.intp(types.intp, types.intp, types.intp), generate


def _vote(typing: Any, own: Any, first: Any, count: Any, row: Any, grow: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own, first, count, row, grow = arguments
        rows = [builder.mul(row, I64(number)) for number in range(VOTE_ROWS)]
        x, y, u, v, own_level, _, cos, sin, other_cos, other_sin, allowed = (
            spread(builder, loaded(builder, ir.FloatType(), builder.add(own, one)), _FLOATS)
            for one in rows
        )
        most = spread(builder, grow, _FLOATS)
        least = spread(builder, builder.fneg(grow), _FLOATS)
        end = spread(builder, builder.trunc(count, I32), _INTS)
        total = variable(builder, everywhere(_FLOATS, 0))
        left = builder.add(count, I64(VOTES - 1))
        with cgutils.for_range(builder, builder.udiv(left, I64(VOTES))) as loop:
            at = builder.add(first, builder.mul(loop.index, I64(4 * VOTES)))
            xs, ys, us, vs, levels, weights = (
                loaded(builder, _FLOATS, builder.add(at, one)) for one in rows[:6]
            )
            turned_a = _seen(builder, builder.fsub(xs, x), builder.fsub(ys, y), cos, sin)
            turned_b = _seen(
                builder, builder.fsub(us, u), builder.fsub(vs, v), other_cos, other_sin
            )
            dx, dy = (builder.fsub(a, b) for a, b in zip(turned_a, turned_b, strict=True))
            far = builder.fadd(builder.fmul(dx, dx), builder.fmul(dy, dy))
            grown = builder.fsub(levels, own_level)
            start = builder.trunc(builder.mul(loop.index, I64(VOTES)), I32)
            number = builder.add(
                spread(builder, start, _INTS), ir.Constant(_INTS, list(range(VOTES)))
            )
            agrees = builder.and_(
                builder.and_(
                    builder.fcmp_ordered("<=", far, allowed), builder.icmp_signed("<", number, end)
                ),
                builder.and_(
                    builder.fcmp_ordered("<=", grown, most),
                    builder.fcmp_ordered(">=", grown, least),
                ),
            )
            votes = builder.select(agrees, weights, everywhere(_FLOATS, 0))
            builder.store(builder.fadd(builder.load(total), votes), total)
        whole = builder.fptosi(builder.load(total), _INTS)
        return builder.sext(added_up(builder, whole), I64)

    result = types.intp(*[types.intp] * 4, types.float32)
    return result, generate


def _seen(builder: Any, x: Any, y: Any, cos: Any, sin: Any) -> tuple[Any, Any]:
    """A place turned and scaled; in this order of operations."""
    return (
        builder.fadd(builder.fmul(cos, x), builder.fmul(sin, y)),
        builder.fsub(builder.fmul(cos, y), builder.fmul(sin, x)),
    )


compare = cast(Callable[[int, int, int, int, int, int], None], intrinsic(_compare))
"""``(ours, theirs, plane, width, near, row)``: Hamming distances of `ROWS` descriptors, one behind
the other, with `width` (a multiple of `LANES`) of theirs, whose words lie in planes `plane` bytes
apart; as bytes, 255 for 256, into rows `row` bytes apart."""
least = cast(Callable[[int, int, int, int, int], None], intrinsic(_least))
"""``(near, row, width, rows, columns)``: least of each of `ROWS` rows of `width` (a multiple of
`RUN`) distances; what `columns` holds is lowered to the least of each column."""
first_rows = cast(Callable[[int, int, int, int, int, int], None], intrinsic(_first_rows))
"""``(near, row, rows, width, columns, firsts)``: of each column the first of at most 256 rows that
holds what `columns` says; `rows` is a multiple of `ROWS`."""
first_equal = cast(Callable[[int, int, int], int], intrinsic(_first_equal))
"""``(row, width, value)``: where a row of `width` (a multiple of `RUN`) bytes first holds `value`,
which it does hold."""
vote = cast(Callable[[int, int, int, int, np.float32], int], intrinsic(_vote))
"""``(own, first, count, row, grow)``: weight of those of `count` matches that agree with another on
scale and shift. Matches are columns of floats, `VOTE_ROWS` rows that lie `row` bytes apart; `own`
and `first` are addresses in the first row. Values after the last match are read, not counted."""
