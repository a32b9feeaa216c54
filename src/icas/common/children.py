"""How processes are started so that Ctrl+C and many cores do no harm."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

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
