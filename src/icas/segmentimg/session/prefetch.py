"""Work done ahead in the background: the most wanted first, memory bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Makes numbered things in threads of its own, in an order that can change at any time.

    Parameters
    ----------
    make : callable
        Number -> the thing; may raise.
    size_of : callable
        Bytes that a thing takes.
    limit : int
        Bytes that the things waiting to be fetched may take together, as far as the largest one
        so far tells how large the next will be. The most wanted one is made in any case.
    jobs : int
        Threads.
    """

    def __init__(
        self, make: Callable[[int], T], size_of: Callable[[T], int], limit: int, jobs: int = 1
    ) -> None:
        self._make, self._size_of, self._limit = make, size_of, limit
        self._changed = threading.Condition()
        self._wanted: list[int] = []
        self._under_way: set[int] = set()
        self._made: dict[int, T] = {}
        self._failed: dict[int, Exception] = {}
        self._largest = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"icas-ahead-{number}", daemon=True)
            for number in range(jobs)
        ]
        for thread in self._threads:
            thread.start()

    def want(self, order: Sequence[int]) -> None:
        """What is wanted from now on, the most urgent first; all else is dropped.

        What is under way is made to its end, and dropped then if it is not wanted.
        """
        with self._changed:
            self._wanted = list(dict.fromkeys(order))
            for number in self._made.keys() - set(self._wanted):
                del self._made[number]
            self._changed.notify_all()

    def take(self, number: int) -> T | None:
        """The thing, now the caller's own; None while it is not made.

        Raises
        ------
        Exception
            What `make` raised, each time that it is asked for.
        """
        with self._changed:
            if number in self._failed:
                raise self._failed[number]
            made = self._made.pop(number, None)
            if made is not None:
                self._wanted = [other for other in self._wanted if other != number]
                self._changed.notify_all()
            return made

    def wait(self, number: int, seconds: float) -> bool:
        """Wait until a thing is made or has failed; whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: number in self._made or number in self._failed, seconds
            )

    @property
    def nbytes(self) -> int:
        """Bytes of what waits to be fetched."""
        with self._changed:
            return sum(map(self._size_of, self._made.values()))

    def close(self, seconds: float = 0.5) -> bool:
        """Start nothing more; whether all has ended, which is waited for up to some seconds.

        What is still under way then ends with the process at the latest.
        """
        with self._changed:
            self._closed = True
            self._wanted = []
            self._made.clear()
            self._changed.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next() is not None)
                number = self._next()
                if self._closed or number is None:
                    return
                self._under_way.add(number)
            self._finish(number, *self._attempt(number))

    def _attempt(self, number: int) -> tuple[T | None, Exception | None]:
        try:
            return self._make(number), None
        except Exception as error:  # told where the thing is asked for
            return None, error

    def _finish(self, number: int, made: T | None, error: Exception | None) -> None:
        with self._changed:
            self._under_way.discard(number)
            if error is not None:
                self._failed[number] = error
            elif made is not None and not self._closed:
                self._largest = max(self._largest, self._size_of(made))
                if number in self._wanted:
                    self._made[number] = made
            self._changed.notify_all()

    def _next(self) -> int | None:
        """What to make next; None where all is made or there is no room."""
        held = sum(map(self._size_of, self._made.values()))
        room = self._limit - held - len(self._under_way) * self._largest
        guessing = self._largest == 0 and bool(self._under_way)
        for place, number in enumerate(self._wanted):
            if number in self._made or number in self._failed or number in self._under_way:
                continue
            fits = room >= self._largest and not guessing
            return number if place == 0 or fits else None
        return None
