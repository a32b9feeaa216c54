"""What many tasks refer to, sent to the workers once in place of once a task."""

from __future__ import annotations

import io
import pickle
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from icas.common.executors import Workers

Key = TypeVar("Key", bound=Hashable)
T = TypeVar("T")
Task = tuple[Any, ...]
"""The arguments of a call."""
LARGE = 1 << 16
"""Bytes from which on a buffer is moved beside the pickle, and a value is worth sharing."""


class Shared(ABC):
    """Stands for a value among the arguments of a task; the task gets the value."""

    @abstractmethod
    def open(self) -> Any:
        """The value, where the task runs."""

    def release(self) -> None:  # noqa: B027 - most have nothing to do
        """No further task will refer to it; those under way still can."""


@dataclass(frozen=True)
class Here(Shared):
    """A value that goes with the task: in one process nothing is moved, elsewhere it is small."""

    value: Any

    def open(self) -> Any:
        return self.value


def opened(task: Iterable[Any]) -> list[Any]:
    """The arguments of a task with each `Shared` replaced by its value."""
    return [part.open() if isinstance(part, Shared) else part for part in task]


def run_all(function: Callable[..., T], tasks: Iterable[Task]) -> list[T]:
    """``function(*task)`` of each task."""
    return [function(*opened(task)) for task in tasks]


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


@dataclass(frozen=True)
class Packed:
    """A value as bytes.

    Attributes
    ----------
    head : bytes
        Its pickle, without the large buffers.
    buffers : list of (n,) uint8 ndarray
        The large buffers. They share memory with the value until they are sent or saved; arrays,
        because pickle, files and Dask move these without a copy.
    """

    head: bytes
    buffers: list[NDArray[np.uint8]]

    @property
    def nbytes(self) -> int:
        return len(self.head) + sum(buffer.nbytes for buffer in self.buffers)

    def open(self) -> Any:
        """The value; its arrays lie in the buffers."""
        return pickle.loads(self.head, buffers=self.buffers)


def pack(value: Any) -> Packed:
    """`value` as bytes; relative paths in it become absolute, for another process may be elsewhere.

    Objects that refer to files (mapped arrays) are as small as they pickle.
    """
    buffers: list[NDArray[np.uint8]] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        """False takes the buffer out of the pickle."""
        flat = np.frombuffer(buffer.raw(), np.uint8)
        if flat.nbytes < LARGE:
            return True
        buffers.append(flat)
        return False

    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=keep).dump(value)
    return Packed(stream.getvalue(), buffers)


class _Pickler(pickle.Pickler):
    """A pickler of relative paths as absolute ones."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, PurePath) and not value.is_absolute():
            absolute = getattr(value, "absolute", None)
            if absolute is not None:
                return absolute().__reduce__()
        return NotImplemented
