"""Computing in the background while a window is shown."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class BackgroundTask:
    """Computations in a thread of its own, one at a time; of those that wait, only the newest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="icas-annotate")
        self._future: Future[Any] | None = None
        self._next: Callable[[], Any] | None = None
        self._started = 0.0

    @property
    def busy(self) -> bool:
        """Whether a computation is in progress."""
        return self._future is not None

    @property
    def seconds(self) -> float:
        """Time since its start."""
        return self._clock() - self._started

    def start(self, compute: Callable[[], Any]) -> None:
        """Start a computation, after the one in progress, whose result is dropped."""
        if self.busy:
            self._next = compute
        else:
            self._started, self._future = self._clock(), self._pool.submit(compute)

    def run_between(self, function: Callable[[], object]) -> None:
        """Run something in the thread after the present computation; no result is collected."""
        self._pool.submit(function)

    def collect(self) -> Any:
        """The result of a computation that has ended, once, or what it raised; else None."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        if self._next is not None:
            compute, self._next = self._next, None
            self.start(compute)
            return None
        return future.result()

    def discard(self) -> None:
        """Ignore the result of the computation in progress, and start none after it."""
        self._future = self._next = None

    def close(self) -> None:
        """Start nothing more."""
        self.discard()
        self._pool.shutdown(wait=False, cancel_futures=True)
