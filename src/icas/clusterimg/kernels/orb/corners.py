"""Steps of the corner detector on many pixels at once, written as vectors.

All take addresses in images of one byte a pixel, and the bytes between rows. Only modules that are
loaded through `compiled_kernels` import this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from icas.clusterimg.kernels import Bytes, Floats, Ints
from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.vectors import (
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


BORDER = 16
"""Mirrored pixels around a level of the pyramid: half a patch reaches that far."""
RIGHT = BORDER + PIXELS
"""Pixels behind the right edge of a level: corners are looked for in whole runs."""
HARRIS = np.float32(0.04)
DEGREES = np.float32(180 / np.pi)
ARCTAN = (
    np.float32(0.9997878412794807) * DEGREES,
    np.float32(-0.3258083974640975) * DEGREES,
    np.float32(0.1555786518463281) * DEGREES,
    np.float32(-0.04432655554792128) * DEGREES,
)
"""Of the powers 1, 3, 5, 7, in degrees."""
TINY = np.float32(np.finfo(np.float64).eps)
NONE = np.uint64(0)
ONE = np.uint64(1)


class Corners(NamedTuple):
    """Corners of one level of the pyramid, row by row.

    x, y: (n,) int32; response: (n,) float32, Harris' measure; angle: (n,) float32, from the corner
    to the centroid of the patch around it, in degrees; cut: there were more.
    """

    x: Ints
    y: Ints
    response: Floats
    angle: Floats
    cut: bool


@compiled
def corners(level: Bytes, edge: int, threshold: int, most: int) -> Corners:
    """Corners of a level of the pyramid that FAST finds.

    level: (h, w) uint8, with `BORDER` mirrored pixels around it, `RIGHT` on the right; edge: pixels
    beside the level's edge without corners; threshold: of FAST; most: corners wanted, at least 1,
    by the score of FAST; those as good as the last come on top.
    """
    x, y, scores = _fast(level, edge, threshold)
    least = _least_score(scores, most)
    response = np.empty(len(x), np.float32)
    angle = np.empty(len(x), np.float32)
    sums = np.empty(3, np.int32)
    row, start = level.strides[0], level.ctypes.data + BORDER * level.strides[0] + BORDER
    count = 0
    for corner in range(len(x)):
        if scores[corner] >= least:
            x[count], y[count] = x[corner], y[corner]
            middle = start + y[corner] * row + x[corner]
            gradients(middle - SIDE // 2 * row - SIDE // 2, row, sums.ctypes.data)
            response[count] = _harris(sums)
            moments(middle, row, sums.ctypes.data)
            angle[count] = _direction(sums[0], sums[1])
            count += 1
    return Corners(x[:count], y[:count], response[:count], angle[:count], count < len(x))


@compiled
def _fast(level: Bytes, edge: int, threshold: int) -> tuple[Ints, Ints, Bytes]:
    """Corners by FAST that stand out among their neighbours."""
    height, width = level.shape[0] - 2 * BORDER, level.shape[1] - BORDER - RIGHT
    across = width - 2 * edge
    runs = -(-(across + 2) // PIXELS)
    scores = np.zeros((height - 2 * edge + 2, runs * PIXELS + PIXELS), np.uint8)
    row, line = level.strides[0], scores.strides[0]
    first = level.ctypes.data + (BORDER + edge - 1) * row + BORDER + edge - 1
    for y in range(len(scores)):
        score(first + y * row, row, runs, threshold, scores.ctypes.data + y * line)
    most = (len(scores) // 2 + 1) * (across // 2 + 1)
    xs, ys, result = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.uint8)
    count = 0
    for y in range(1, len(scores) - 1):
        for start in range(1, across + 1, PIXELS):
            mask = peaks(scores.ctypes.data + y * line + start, line)
            x = start + lowest(mask)
            while x <= across and mask != NONE:
                xs[count], ys[count], result[count] = x + edge - 1, y + edge - 1, scores[y, x]
                count += 1
                mask &= mask - ONE
                x = start + lowest(mask)
    return xs[:count], ys[:count], result[:count]


@compiled
def _least_score(scores: Bytes, most: int) -> int:
    """The least of the `most` highest."""
    counts = np.zeros(256, np.int64)
    for place in range(len(scores)):
        counts[scores[place]] += 1
    least, held = 256, 0
    while least > 0 and held < most:
        least -= 1
        held += counts[least]
    return least


@compiled
def _harris(sums: Ints) -> np.float32:
    a, b, c = np.float32(sums[0]), np.float32(sums[1]), np.float32(sums[2])
    scale = np.float32(1) / np.float32(4 * SIDE * 255)
    return (a * b - c * c - HARRIS * (a + b) * (a + b)) * (scale * scale * scale * scale)


@compiled
def _direction(down: int, across: int) -> np.float32:
    """Angle in degrees, by the polynomial for arctangents that OpenCV uses."""
    y, x = np.float32(down), np.float32(across)
    high, wide = abs(y), abs(x)
    ratio = min(high, wide) / (max(high, wide) + TINY)
    square = ratio * ratio
    angle = (((ARCTAN[3] * square + ARCTAN[2]) * square + ARCTAN[1]) * square + ARCTAN[0]) * ratio
    if wide < high:
        angle = np.float32(90) - angle
    if x < 0:
        angle = np.float32(180) - angle
    if y < 0:
        angle = np.float32(360) - angle
    return angle


def warm_up() -> None:
    """Compile each kernel on arrays of the types that it is for."""
    level = np.zeros((40 + 2 * BORDER, 40 + BORDER + RIGHT), np.uint8)
    level[40:, 40:] = 200
    corners(level, 12, 7, 1)
