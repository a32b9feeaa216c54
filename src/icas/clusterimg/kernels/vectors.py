"""Building blocks for vector instructions written for LLVM; only other kernels import this."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def loaded(builder: Any, kind: Any, address: Any, past: int = 0) -> Any:
    """The address `past` bytes after `address`."""
    if past:
        address = builder.add(address, I64(past))
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


def store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=1)


def everywhere(kind: Any, value: int) -> Any:
    """A constant vector that holds `value` in all places."""
    return ir.Constant(kind, [value] * kind.count)


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """A vector that holds `value` in all places."""
    none = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(none, value, I32(0))
    return builder.shuffle_vector(first, none, everywhere(ir.VectorType(I32, kind.count), 0))


def lower(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_unsigned("<", a, b), a, b)


def higher(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_unsigned(">", a, b), a, b)


def called(builder: Any, name: str, result: Any, operand: Any) -> Any:
    """What LLVM's function `name` makes of one operand."""
    made: Any = cgutils.get_or_insert_function
    function = made(builder.module, ir.FunctionType(result, [operand.type]), name)
    return builder.call(function, [operand])


def added_up(builder: Any, lanes: Any) -> Any:
    """Sum of a vector of 32-bit integers."""
    return called(builder, f"llvm.vector.reduce.add.v{lanes.type.count}i32", I32, lanes)


def variable(builder: Any, value: Any) -> Any:
    """A variable with the initial `value`."""
    made: Any = cgutils.alloca_once_value
    return made(builder, value)
