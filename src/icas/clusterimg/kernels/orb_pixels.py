"""Steps of the corner detector on many pixels at once, written as vectors.

All take addresses in images of one byte a pixel, and the bytes between rows. Only modules that are
loaded through `loading` import this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from icas.clusterimg.kernels.orb_vectors import (
    I8,
    I16,
    I32,
    I64,
    added_up,
    everywhere,
    higher,
    loaded,
    lower,
    spread,
    store,
)

PIXELS = 64
"""Pixels that are looked at together."""
RING = (
    (0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3),
    (0, -3), (-1, -3), (-2, -2), (-3, -1), (-3, 0), (-3, 1), (-2, 2), (-1, 3),
)  # fmt: skip
"""Circle of 16 pixels, (x, y), that FAST compares the middle with, one beside the other."""
SIDE = 7
"""Side in pixels of the square over which gradients are summed."""
DISC = (15, 15, 15, 15, 14, 14, 14, 13, 13, 12, 11, 10, 9, 8, 6, 3)
"""Half the width of the circular patch in each row, from the middle one on."""

_MANY = ir.VectorType(I8, PIXELS)
_LINE, _LINE_BYTES = ir.VectorType(I32, 8), ir.VectorType(I8, 8)
_WIDE, _WIDE_BYTES = ir.VectorType(I16, 32), ir.VectorType(I8, 32)


def _score(typing: Any, middle: Any, row: Any, width: Any, threshold: Any, into: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        middle, row, width, threshold, into = arguments
        sought = spread(builder, builder.trunc(threshold, I8), _MANY)
        ring = [builder.add(middle, builder.add(builder.mul(row, I64(y)), I64(x))) for x, y in RING]
        with cgutils.for_range(builder, width) as loop:
            at = builder.mul(loop.index, I64(PIXELS))
            centre = loaded(builder, _MANY, builder.add(middle, at))
            others = [loaded(builder, _MANY, builder.add(one, at)) for one in ring]
            brighter = _arc(builder, [_past(builder, other, centre) for other in others])
            darker = _arc(builder, [_past(builder, centre, other) for other in others])
            best = higher(builder, brighter, darker)
            corner = builder.icmp_unsigned(">", best, sought)
            less = builder.sub(best, everywhere(_MANY, 1))
            score = builder.select(corner, less, everywhere(_MANY, 0))
            store(builder, score, builder.add(into, at))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


def _arc(builder: Any, over: list[Any]) -> Any:
    """Greatest least of nine neighbours on the ring."""
    held = over
    for step in (1, 2, 4):
        held = [lower(builder, held[k], held[(k + step) % 16]) for k in range(16)]
    held = [lower(builder, held[k], over[(k + 8) % 16]) for k in range(16)]
    while len(held) > 1:
        held = [higher(builder, a, b) for a, b in zip(held[::2], held[1::2], strict=True)]
    return held[0]


def _peaks(typing: Any, score: Any, row: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        score, row = arguments
        middle = loaded(builder, _MANY, score)
        higher = None
        for y in (-1, 0, 1):
            line = builder.add(score, builder.mul(row, I64(y)))
            for x in (-1, 0, 1):
                if x or y:
                    other = loaded(builder, _MANY, builder.add(line, I64(x)))
                    above = builder.icmp_unsigned(">", middle, other)
                    higher = above if higher is None else builder.and_(higher, above)
        return builder.bitcast(higher, I64)

    return types.uint64(types.intp, types.intp), generate


def _gradients(typing: Any, corner: Any, row: Any, into: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        corner, row, into = arguments
        double = everywhere(_LINE, 1)
        inside = ir.Constant(_LINE, [-1] * SIDE + [0])
        across, down = [], []
        for y in range(-1, SIDE + 1):
            line = builder.add(corner, builder.mul(row, I64(y)))
            left, middle, right = (
                builder.zext(loaded(builder, _LINE_BYTES, builder.add(line, I64(x))), _LINE)
                for x in (-1, 0, 1)
            )
            across.append(builder.sub(right, left))
            down.append(builder.add(builder.add(left, right), builder.shl(middle, double)))
        sums = [everywhere(_LINE, 0) for _ in range(3)]
        for y in range(1, SIDE + 1):
            outer = builder.add(across[y - 1], across[y + 1])
            x_part = builder.and_(builder.add(outer, builder.shl(across[y], double)), inside)
            y_part = builder.and_(builder.sub(down[y + 1], down[y - 1]), inside)
            for place, (a, b) in enumerate(((x_part, x_part), (y_part, y_part), (x_part, y_part))):
                sums[place] = builder.add(sums[place], builder.mul(a, b))
        for place, lanes in enumerate(sums):
            store(builder, added_up(builder, lanes), builder.add(into, I64(4 * place)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate


def _moments(typing: Any, middle: Any, row: Any, into: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        middle, row, into = arguments
        reach = len(DISC) - 1
        columns = down = everywhere(_WIDE, 0)
        for y in range(-reach, reach + 1):
            start = builder.add(builder.add(middle, builder.mul(row, I64(y))), I64(-reach))
            pixels = builder.zext(loaded(builder, _WIDE_BYTES, start), _WIDE)
            half = DISC[abs(y)]
            disc = [-1 if abs(x - reach) <= half else 0 for x in range(_WIDE.count)]
            pixels = builder.and_(pixels, ir.Constant(_WIDE, disc))
            columns = builder.add(columns, pixels)
            # 15 rows of 255 on each side, times 1 to 15: that fits 16 bits.
            lines = everywhere(_WIDE, y)
            down = builder.add(down, builder.mul(pixels, lines))
        whole = ir.VectorType(I32, _WIDE.count)
        places = ir.Constant(whole, [x - reach for x in range(_WIDE.count)])
        across = builder.mul(builder.zext(columns, whole), places)
        store(builder, added_up(builder, builder.sext(down, whole)), into)
        store(builder, added_up(builder, across), builder.add(into, I64(4)))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate


def _lowest(typing: Any, mask: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.intp(types.uint64), generate


def _past(builder: Any, a: Any, b: Any) -> Any:
    """By how much `a` exceeds `b`, else 0."""
    return builder.sub(higher(builder, a, b), b)


score = cast(Callable[[int, int, int, int, int], None], intrinsic(_score))
"""``(middle, row, runs, threshold, into)``: FAST scores of `runs` times `PIXELS` pixels: the
highest threshold at which nine neighbours on the ring are all brighter, or all darker, than the
pixel; 0 below `threshold`."""
peaks = cast(Callable[[int, int], np.uint64], intrinsic(_peaks))
"""``(score, row)``: a bit for each of `PIXELS` scores that is higher than its eight neighbours."""
gradients = cast(Callable[[int, int, int], None], intrinsic(_gradients))
"""``(corner, row, into)``: sums over a square of `SIDE` pixels, that begins at `corner`, of the
squared Sobel gradients along x, along y, and of their product; three int32."""
moments = cast(Callable[[int, int, int], None], intrinsic(_moments))
"""``(middle, row, into)``: sums of y and of x times the brightness over the patch `DISC` around a
pixel; two int32."""
lowest = cast(Callable[[np.uint64], int], intrinsic(_lowest))
"""Place of the lowest bit that is set; 64 where none is."""
