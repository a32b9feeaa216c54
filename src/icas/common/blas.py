"""Threads of the linear algebra library (BLAS) that NumPy multiplies matrices with."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
"""Environment variables by which a process that is started is told to use one thread."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let BLAS use one thread a caller while workers multiply matrices side by side.

    By itself OpenBLAS splits every product among all cores. When two workers multiply at once, one
    waits for the other's threads, and threads that wait spin: on two busy cores each product then
    took more than twice the processor time and the wall time of one-threaded ones.

    Similarities do not depend on it, as what is added up there is exact. Eigenvectors do, in their
    last bits: whoever computes some does it in here, so that they are the same with one worker
    and with many, in threads and in processes.

    It takes effect in this process where threadpoolctl is installed (extras fast and deep), and in
    any case in processes that are started meanwhile, by environment variables that are not set
    otherwise.
    """
    unset = [name for name in VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    try:
        if importlib.util.find_spec("threadpoolctl") is None:
            yield
        else:
            from threadpoolctl import threadpool_limits

            with threadpool_limits(1, user_api="blas"):
                yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
