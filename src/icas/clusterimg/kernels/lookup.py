"""Hamming distances by table look-up, for processors with AVX2 that cannot count bits in vectors.

Codes are taken half a byte at a time. For two rows, the number of bits in which each differs from
each value of a half byte fits the two halves of a byte: a table of 16 bytes, and one instruction
looks up 32 columns for both rows. The counts of three half bytes still fit their halves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from icas.clusterimg.kernels import Bytes, Words
from icas.clusterimg.kernels.numba_support import compiled
from icas.clusterimg.kernels.vectors import (
    I8,
    I32,
    I64,
    called,
    everywhere,
    loaded,
    lower,
    variable,
)

AVX2_NAMES = ("haswell", "broadwell", "skylake", "znver1", "znver2", "znver3", "x86-64-v3")
"""Processors of this kind, as ``NUMBA_CPU_NAME`` names them without a list of features."""


def _tables_pay() -> bool:
    triple, name, features = cast(
        tuple[str, str, str], cpu_target.target_context.codegen().magic_tuple()
    )
    if not triple.startswith("x86_64"):
        return False
    if features:
        return "+avx2" in features and "+avx512vpopcntdq" not in features
    return name in AVX2_NAMES


TABLES: bool = _tables_pay()
"""Whether code is compiled for such a processor."""
COLUMNS = 32
"""Columns that are looked up at once."""
ROWS = 4
"""Rows whose tables are used together."""
TOGETHER = 3
"""Half bytes whose counts fit half a byte."""
HALVES = 16
"""Half bytes of a word."""
EARLY = 12
"""Half bytes of one-word codes that are looked at first."""
TABLE = 16
"""Bytes of a table."""
VECTOR = ir.VectorType(I8, COLUMNS)
_SHORT = ir.VectorType(I8, TABLE)


def _all_tables() -> Words:
    """(256, 2) uint64: by the half byte of each of two rows, the first one's in the low bits."""
    values = np.arange(16, dtype=np.uint8)
    counts = np.bitwise_count(values[:, None] ^ values)
    both = counts[None, :, :] | counts[:, None, :] << np.uint8(4)
    return np.ascontiguousarray(both).view(np.uint64).reshape(256, 2)


_TABLES = _all_tables()


@compiled
def fill_tables(words: Words, into: Words) -> None:
    """Write the tables of four codes, (4, words) uint64, into (2, 16 words, 2) uint64."""
    for pair in range(2):
        for word in range(words.shape[1]):
            one, other = words[2 * pair, word], words[2 * pair + 1, word]
            for half in range(HALVES):
                shift = np.uint64(4 * half)
                low, high = (one >> shift) & np.uint64(15), (other >> shift) & np.uint64(15)
                number = low | high << np.uint64(4)
                into[pair, word * HALVES + half, 0] = _TABLES[number, 0]
                into[pair, word * HALVES + half, 1] = _TABLES[number, 1]


@compiled
def fill_planes(words: Words, columns: int, into: Bytes) -> None:
    """Write the half bytes of codes, (n, words) uint64, into (16 words, width) uint8.

    Columns from `columns` on are copies of the first code.
    """
    for word in range(words.shape[1]):
        for column in range(into.shape[1]):
            code = words[column if column < columns else 0, word]
            for half in range(HALVES):
                into[word * HALVES + half, column] = np.uint8(
                    (code >> np.uint64(4 * half)) & np.uint64(15)
                )


def _look_up(builder: Any, table: Any, values: Any) -> Any:
    """What `table`, (32,) bytes, the same 16 twice, holds for each of `values`."""
    kind = ir.FunctionType(VECTOR, [VECTOR, VECTOR])
    made: Any = cgutils.get_or_insert_function
    return builder.call(made(builder.module, kind, "llvm.x86.avx2.pshuf.b"), [table, values])


def _table(builder: Any, address: Any) -> Any:
    """The table at an address, twice."""
    half = loaded(builder, _SHORT, address)
    order = ir.Constant(ir.VectorType(I32, COLUMNS), [*range(TABLE)] * 2)
    return builder.shuffle_vector(half, ir.Constant(_SHORT, ir.Undefined), order)


def looked_up(
    builder: Any, tables: list[Any], planes: Any, plane: Any, count: int, vectors: int
) -> list[list[Any]]:
    """Counts of both rows of each of `tables` (addresses), for `count` half bytes, in one byte.

    planes: address of the first plane; plane: bytes from one to the next; vectors: how many
    vectors of columns. Gives, for each table, a list of vectors. `count` is at most `TOGETHER`.
    """
    sums: list[list[Any]] = [[] for _ in tables]
    for half in range(count):
        start = builder.add(planes, builder.mul(plane, I64(half)))
        values = [loaded(builder, VECTOR, start, COLUMNS * v) for v in range(vectors)]
        for held, address in zip(sums, tables, strict=True):
            table = _table(builder, builder.add(address, I64(TABLE * half)))
            counts = [_look_up(builder, table, one) for one in values]
            held[:] = (
                [builder.add(a, b) for a, b in zip(held, counts, strict=True)] if held else counts
            )
    return sums


def distances(
    builder: Any, tables: Any, planes: Any, plane: Any, halves: int, vectors: int
) -> list[list[Any]]:
    """Distances of `ROWS` rows: for each row a list of vectors of bytes, 255 for 256.

    tables: address of the tables of two pairs of rows, each of `halves` half bytes, one pair
    `TABLE` * `halves` bytes after the other unless more are stored.
    """
    stored = 16 * -(-halves // HALVES) * TABLE
    pairs = [builder.add(tables, I64(stored * pair)) for pair in range(ROWS // 2)]
    # Sums of the whole bytes, modulo 256, and of their upper halves.
    whole, upper = (
        [[variable(builder, everywhere(VECTOR, 0)) for _ in range(vectors)] for _ in pairs]
        for _ in range(2)
    )
    four = everywhere(VECTOR, 4)

    def add(places: Any, values: Any) -> None:
        builder.store(builder.add(builder.load(places), values), places)

    # The last half byte is added at the end: it alone may exceed 255.
    full, left = divmod(halves - 1, TOGETHER)
    left += 1
    with cgutils.for_range(builder, I64(full)) as loop:
        first = builder.mul(loop.index, I64(TOGETHER))
        at = builder.add(planes, builder.mul(plane, first))
        here = [builder.add(one, builder.mul(first, I64(TABLE))) for one in pairs]
        sums = looked_up(builder, here, at, plane, TOGETHER, vectors)
        for pair, counts in enumerate(sums):
            for v, both in enumerate(counts):
                add(whole[pair][v], both)
                add(upper[pair][v], builder.lshr(both, four))
    first = I64(full * TOGETHER)
    at = builder.add(planes, builder.mul(plane, first))
    here = [builder.add(one, I64(full * TOGETHER * TABLE)) for one in pairs]
    result: list[list[Any]] = []
    for pair, counts in enumerate(looked_up(builder, here, at, plane, left, vectors)):
        low, high = [], []
        for v, both in enumerate(counts):
            above = builder.load(upper[pair][v])
            below = builder.sub(builder.load(whole[pair][v]), builder.shl(above, four))
            low.append(_held(builder, below, builder.and_(both, everywhere(VECTOR, 15))))
            high.append(_held(builder, above, builder.lshr(both, four)))
        result += [low, high]
    return result


def _held(builder: Any, a: Any, b: Any) -> Any:
    """Sum of bytes, at most 255."""
    made: Any = cgutils.get_or_insert_function
    kind = ir.FunctionType(VECTOR, [VECTOR, VECTOR])
    return builder.call(made(builder.module, kind, "llvm.uadd.sat.v32i8"), [a, b])


def _within(halves: int) -> Any:
    """The intrinsic `within` of the first so many half bytes."""

    def written(typing: Any, tables: Any, planes: Any, width: Any, radius: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            tables, planes, width, radius = arguments
            least = [variable(builder, everywhere(VECTOR, 255)) for _ in range(ROWS)]
            with cgutils.for_range(builder, builder.udiv(width, I64(2 * COLUMNS))) as loop:
                at = builder.add(planes, builder.mul(loop.index, I64(2 * COLUMNS)))
                for place, row in zip(
                    least, distances(builder, tables, at, width, halves, 2), strict=True
                ):
                    held = builder.load(place)
                    for one in row:
                        held = lower(builder, held, one)
                    builder.store(held, place)
            near: Any = I64(0)
            for number, place in enumerate(least):
                some = called(builder, "llvm.vector.reduce.umin.v32i8", I8, builder.load(place))
                reached = builder.icmp_unsigned("<=", builder.zext(some, I64), radius)
                near = builder.or_(near, builder.select(reached, I64(1 << number), I64(0)))
            return near

        return types.intp(*[types.intp] * 4), generate

    return written


within = cast(Callable[[int, int, int, int], int], intrinsic(_within(HALVES)))
"""``(tables, planes, width, radius)``: which of `ROWS` rows, one bit each, have one-word codes
within `radius` of any of `width` columns, a multiple of 64. Addresses of what `fill_tables` and
`fill_planes` write."""
maybe_within = cast(Callable[[int, int, int, int], int], intrinsic(_within(EARLY)))
"""The same by the first `EARLY` half bytes: no other row is within `radius`."""
