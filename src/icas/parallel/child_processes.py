"""How processes are started so that Ctrl+C and many cores do no harm."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

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


ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)
"""Environment variables by which libraries are told how many threads to start."""


@contextmanager
def children_of_one_thread() -> Iterator[None]:
    """Processes started in the block have libraries of one thread each."""
    earlier = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in earlier.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started in the block, and by threads that it starts, do not hear Ctrl+C.

    A terminal sends it to all of them; this process hears it and ends the others.
    """
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
    """Ctrl+C in the block is heard when it is left: for what cannot be left half done.

    Signals are the main thread's; in others the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def remember(number: int, frame: Any) -> None:
        heard.append(number)

    earlier = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
        if heard:
            raise KeyboardInterrupt
