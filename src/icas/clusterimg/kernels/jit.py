"""How a loop is compiled; only modules that are loaded through `loading` import this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """`loop` as machine code, kept on disk for the next run.

    The interpreter's lock is let go, so that threads run beside each other; sums are added in the
    order that stands in the code and no multiplication is melted into an addition, so that the
    results are NumPy's, bit for bit.
    """
    return cast(Loop, numba.njit(cache=True, nogil=True)(loop))
