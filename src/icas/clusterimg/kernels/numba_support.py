"""Choice between numba kernels and NumPy, by the cost of loading numba."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar, cast

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile `loop` with numba; the machine code is cached on disk.

    The GIL is released, so that threads run in parallel. Sums are added in the order of the code,
    without fused multiply-add, so that results equal those of NumPy bit for bit.
    """
    import numba

    return cast(Loop, numba.njit(cache=True, nogil=True)(loop))


def uncounted(loop: Loop) -> Loop:
    """As `compiled`, for a loop that makes no arrays and is called by compiled ones only.

    Numba counts the references to each array that a loop takes from a tuple. Those take an eighth
    of the time of a loop that is called for each pair of images. Where numba has no such option,
    the loop is compiled as any other.
    """
    from numba.core.options import DefaultOptions

    if not hasattr(DefaultOptions, "_nrt"):
        return compiled(loop)
    import numba

    made: Any = numba.njit
    return cast(Loop, made(cache=True, nogil=True, _nrt=False)(loop))


SWITCH = "ICAS_KERNELS"
"""Environment variable: ``numpy`` leaves numba kernels unused though numba is installed."""
WORTH = 0.5
"""Seconds of work in NumPy above which loading numba pays (loading takes about as long)."""
PATIENCE = 1.0
"""Seconds of compiling after which a message is logged."""

_PACKAGE = "icas.clusterimg.kernels"
_LOADING = threading.RLock()
_LOG = logging.getLogger(__name__)


def compiled_kernels(name: str, seconds: float) -> ModuleType | None:
    """The module of numba kernels `name`, ready to run, or None where NumPy does the work.

    Loading numba does not pay for little work, so NumPy is used until the work of all calls
    together would have been worth it; from then on numba kernels do. The answer is the same
    either way.

    name: a module of this package with a function ``warm_up()``, which runs each of its loops once;
    seconds: approximate time of this work in NumPy.
    """
    full = f"{_PACKAGE}.{name}"
    ready = _READY.get(full)
    if ready is not None:
        return ready
    if os.environ.get(SWITCH) == "numpy":
        return None
    with _LOADING:
        _ASKED[full] = _ASKED.get(full, 0.0) + seconds
        if full not in _READY:
            if _ASKED[full] < WORTH or not _numba_is_there():
                return None
            _READY[full] = _warmed_up(full)
        return _READY[full]


_READY: dict[str, ModuleType] = {}
_ASKED: dict[str, float] = {}
"""Seconds of work done by NumPy so far in this process, by module."""


def _numba_is_there() -> bool:
    return "numba" in sys.modules or importlib.util.find_spec("numba") is not None


def _warmed_up(name: str) -> ModuleType:
    """The module, its loops compiled or fetched from disk, before any thread runs them."""
    module = importlib.import_module(name)
    warm_up: Callable[[], None] = module.warm_up
    teller = threading.Timer(PATIENCE, _tell)
    teller.daemon = True
    teller.start()
    try:
        warm_up()
    finally:
        teller.cancel()
    return module


def _tell() -> None:
    _LOG.info("compiling numba kernels (once on this machine) …")
