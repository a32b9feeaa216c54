"""Blocks of data that many tasks refer to, sent to the workers once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from icas.parallel.executors import Workers
from icas.parallel.sharing import Here, Shared, Task

Key = TypeVar("Key", bound=Hashable)
T = TypeVar("T")


class Shelf(Generic[Key]):
    """Blocks that tasks refer to; each is shared from its first task to its last.

    In one process there is nothing to share: a block is loaded for each task, which costs nothing
    where it is a slice, and mapped blocks leave memory as soon as they are not looked at.

    Parameters
    ----------
    workers : Workers
    load : callable
        Key of a block -> the block.
    uses : callable
        Key of a block -> how often tasks refer to it. What is referred to once goes with its task.
    """

    def __init__(
        self, workers: Workers, load: Callable[[Key], Any], uses: Callable[[Key], int]
    ) -> None:
        self._workers = workers
        self._load = load
        self._uses = uses
        self._shared: dict[Key, Shared] = {}
        self._left: dict[Key, int] = {}

    def ordered(
        self,
        function: Callable[..., T],
        tasks: Iterable[tuple[Sequence[Key], Task]],
    ) -> Iterator[T]:
        """As `Workers.ordered`: ``function(*rest, *blocks)`` of each (keys, rest) of `tasks`."""
        under_way: deque[Sequence[Key]] = deque()

        def full() -> Iterator[Task]:
            for keys, rest in tasks:
                under_way.append(keys)
                yield (*rest, *(self._taken(key) for key in keys))

        try:
            for result in self._workers.ordered(function, full()):
                for key in under_way.popleft():
                    self._used(key)
                yield result
        finally:
            for one in self._shared.values():
                one.release()
            self._shared.clear()

    def _taken(self, key: Key) -> Shared:
        if not self._workers.remote:
            return Here(self._load(key))  # held while its task runs, and no longer
        if key not in self._shared:
            self._left[key] = self._uses(key)
            value = self._load(key)
            once = self._left[key] == 1
            self._shared[key] = Here(value) if once else self._workers.share(value)
        return self._shared[key]

    def _used(self, key: Key) -> None:
        if key not in self._shared:
            return
        self._left[key] -= 1
        if self._left[key] == 0:
            del self._left[key]
            self._shared.pop(key).release()
