"""What many tasks refer to, sent to the workers once in place of once a task."""

from __future__ import annotations

import io
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

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
