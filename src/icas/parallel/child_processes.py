"""Thread counts and Ctrl+C of the processes that workers are."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
"""Environment variables with the number of threads that libraries start."""


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    earlier = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in earlier.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Limit BLAS to one thread per caller while workers multiply matrices side by side.

    OpenBLAS splits every product among all cores. With two workers, each waits (and spins) for the
    threads of the other: on two busy cores a product took more than twice the time.

    Similarities do not depend on it, as their sums are exact. Eigenvectors do, in their last bits:
    code that computes some does it in here, so that they are equal for any number of workers.
    """
    from threadpoolctl import threadpool_limits

    # The variables are for libraries that are loaded meanwhile.
    unset = {name: "1" for name in BLAS_THREADS if name not in os.environ}
    with _environment(unset), threadpool_limits(1, user_api="blas"):
        yield


@contextmanager
def children_of_one_thread() -> Iterator[None]:
    """Processes started in the block have libraries of one thread each; they ignore Ctrl+C.

    A terminal sends it to all of them; this process receives it and ends the others.
    """
    with _environment(dict.fromkeys(ONE_THREAD, "1")):
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        resource_tracker.ensure_running()  # starting it would let the signal through again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def interrupted_later() -> Iterator[None]:
    """Delay Ctrl+C to the end of the block, for work that cannot be left half done.

    Only the main thread gets signals; in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, frame: Any) -> None:
        received.append(number)

    earlier = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
        if received:
            raise KeyboardInterrupt
