"""Prefetching in the background: the most urgent item first, memory bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Makes numbered items in threads, in an order that can change at any time.

    Items not yet taken take up to `limit` bytes, assuming that the next one is as large as the
    largest so far; the most urgent one is made in any case.
    """

    def __init__(
        self, make: Callable[[int], T], size_of: Callable[[T], int], limit: int, jobs: int = 1
    ) -> None:
        self._make, self._size_of, self._limit = make, size_of, limit
        self._changed = threading.Condition()
        self._order: list[int] = []
        self._running: set[int] = set()
        self._outdated: set[int] = set()
        self._items: dict[int, T] = {}
        self._errors: dict[int, Exception] = {}
        self._largest = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"icas-prefetch-{number}", daemon=True)
            for number in range(jobs)
        ]
        for thread in self._threads:
            thread.start()

    def request(self, order: Sequence[int]) -> None:
        """Replace the requested items, the most urgent first; others are dropped when made."""
        with self._changed:
            self._order = list(dict.fromkeys(order))
            for number in self._items.keys() - set(self._order):
                del self._items[number]
            self._changed.notify_all()

    def take(self, number: int) -> T | None:
        """Remove and return an item, or raise what `make` raised; None while it is not made."""
        with self._changed:
            if number in self._errors:
                raise self._errors[number]
            item = self._items.pop(number, None)
            if item is not None:
                self._order = [requested for requested in self._order if requested != number]
                self._changed.notify_all()
            return item

    def drop(self, number: int) -> None:
        """Make an item again that is made, is being made, or has failed."""
        with self._changed:
            self._items.pop(number, None)
            self._errors.pop(number, None)
            self._outdated |= {number} & self._running
            self._changed.notify_all()

    def wait(self, number: int, seconds: float) -> bool:
        """Wait until an item is made or has failed; whether it is."""
        with self._changed:
            return self._changed.wait_for(
                lambda: number in self._items or number in self._errors, seconds
            )

    @property
    def nbytes(self) -> int:
        """Bytes of the items not yet taken."""
        with self._changed:
            return sum(map(self._size_of, self._items.values()))

    def close(self, seconds: float = 0.5) -> bool:
        """Start nothing more and wait up to some seconds; whether all threads have ended."""
        with self._changed:
            self._closed = True
            self._order = []
            self._items.clear()
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
                self._running.add(number)
            self._make_item(number)

    def _make_item(self, number: int) -> None:
        try:
            item, error = self._make(number), None
        except Exception as raised:  # raised again by `take`
            item, error = None, raised
        with self._changed:
            self._running.discard(number)
            if number in self._outdated:
                self._outdated.discard(number)
            elif error is not None:
                self._errors[number] = error
            elif item is not None and not self._closed:
                self._largest = max(self._largest, self._size_of(item))
                if number in self._order:
                    self._items[number] = item
            self._changed.notify_all()

    def _next(self) -> int | None:
        """The item to make next; None if all are made or memory is full."""
        held = sum(map(self._size_of, self._items.values()))
        free = self._limit - held - len(self._running) * self._largest
        size_unknown = self._largest == 0 and bool(self._running)
        for position, number in enumerate(self._order):
            if number in self._items or number in self._errors or number in self._running:
                continue
            fits = free >= self._largest and not size_unknown
            return number if position == 0 or fits else None
        return None
