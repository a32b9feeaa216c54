"""Thread pool, base of the pools of other kinds; values that many tasks share."""

from __future__ import annotations

import io
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Task = tuple[Any, ...]
"""The arguments of a call."""
LARGE = 1 << 16
"""Bytes from which a buffer is kept outside the pickle, and a value is worth sharing."""


class Shared(ABC):
    """Placeholder for a value among the arguments of tasks; the function gets the value."""

    @abstractmethod
    def open(self) -> Any:
        """The value, where the task runs."""

    def release(self) -> None:  # noqa: B027 - most have nothing to do
        """No further task will refer to it; those under way still can."""


@dataclass(frozen=True)
class Here(Shared):
    """A value that travels with the task: not copied in one process, small elsewhere."""

    value: Any

    def open(self) -> Any:
        return self.value


def run_all(function: Callable[..., T], tasks: Iterable[Task]) -> list[T]:
    """``function(*task)`` of each task, with each `Shared` replaced by its value."""
    return [
        function(*(part.open() if isinstance(part, Shared) else part for part in task))
        for task in tasks
    ]


class Pool:
    """Runs groups of tasks on an executor of `concurrent.futures`; here one of threads.

    Other pools override what differs. Only the pool looks into its futures.
    """

    def __init__(self, executor: Executor | None) -> None:
        self._executor: Any = executor

    def group_size(self, function: Callable[..., Any]) -> int:
        """How many tasks go to a worker together."""
        return 1

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Any:
        """A future of ``function(*task)`` for each task; a `Shared` is opened where it runs."""
        return self._executor.submit(run_all, function, tasks)

    def results(self, future: Any) -> list[Any]:
        """Wait for a future; errors of the function are raised, dead workers are an IcasError."""
        results: list[Any] = future.result()
        return results

    def drop(self, futures: Iterable[Any]) -> None:
        """Cancel futures whose results are not needed."""
        for future in futures:
            future.cancel()

    def share(self, value: Any) -> Shared:
        """`value`, ready for the arguments of many tasks."""
        return Here(value)

    def reading(self, files: Iterable[Path]) -> Pool:
        """The same workers, which first check that they see these files as this process does."""
        return self


@dataclass(frozen=True)
class Packed:
    """A value as bytes.

    Attributes
    ----------
    head : bytes
        Its pickle, without the large buffers.
    buffers : list of (n,) uint8 ndarray
        The large buffers, which share memory with the value until they are sent or saved. Arrays,
        because pickle, files and Dask move these without a copy.
    """

    head: bytes
    buffers: list[NDArray[np.uint8]]

    @property
    def nbytes(self) -> int:
        return len(self.head) + sum(buffer.nbytes for buffer in self.buffers)

    def open(self) -> Any:
        """The value; its arrays are views of the buffers."""
        return pickle.loads(self.head, buffers=self.buffers)


def pack(value: Any) -> Packed:
    """`value` as bytes, with relative paths made absolute for processes in other folders.

    Objects that refer to files (mapped arrays) are as small as their pickles.
    """
    buffers: list[NDArray[np.uint8]] = []

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        flat = np.frombuffer(buffer.raw(), np.uint8)
        if flat.nbytes >= LARGE:
            buffers.append(flat)
        return flat.nbytes < LARGE

    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=in_band).dump(value)
    return Packed(stream.getvalue(), buffers)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Path) and not value.is_absolute():
            return value.absolute().__reduce__()
        return NotImplemented
