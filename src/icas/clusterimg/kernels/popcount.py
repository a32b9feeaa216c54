"""Ones in a word, as the one instruction that processors have for it, also for many words at once.

Only modules that are loaded through `loading` import this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba.extending import intrinsic


def _popcount(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return word(word), generate


popcount = cast(Callable[[np.uint64], np.uint64], intrinsic(_popcount))
"""Number of ones in a word; of the word's type. LLVM writes it out where there is no such one."""
