"""Arrays in files: written row by row, mapped read-only, sent to other processes by reference."""

from __future__ import annotations

import errno
import math
import mmap
import secrets
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError

COPIED_BYTES = 1 << 24
"""Bytes copied at a time from one file to another."""
TOUCHED_SHARE = 16
"""Of the memory budget so much (one part in 16) may be resident through rows picked singly."""


class MappedFile(mmap.mmap):
    """A whole file, mapped read-only.

    Its pages count as memory of the process once they are read, until they are dropped; they are
    read again from the file.

    limit: bytes of the memory budget under which it was written; address: where its first byte is
    in memory; touched: bytes read since all pages were dropped.
    """

    path: str
    limit: int
    address: int
    touched: int

    @classmethod
    def of(cls, path: str, limit: int) -> MappedFile:
        """The file `path`, which is not empty."""
        try:
            with Path(path).open("rb") as file:
                mapped = cls(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise IcasError(
                f"cannot open the features in {path}: {error.strerror or error}; workers on"
                " several machines need a --scratch DIR that all of them share"
            ) from error
        mapped.path, mapped.limit, mapped.touched = path, limit, 0
        mapped.address = _address(np.frombuffer(mapped, np.uint8))
        return mapped

    def drop(self, start: int, length: int) -> None:
        """Give the pages of `length` bytes from `start` on back to the system."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which trims by itself
            first = start - start % mmap.PAGESIZE
            self.madvise(mmap.MADV_DONTNEED, first, min(start + length, len(self)) - first)

    def touch(self, length: int) -> None:
        """Count `length` bytes all over the file that were read and are not needed further."""
        self.touched += length
        if self.touched * TOUCHED_SHARE > self.limit:
            self.touched = 0
            self.drop(0, len(self))


@dataclass(frozen=True)
class ArrayReference:
    """Reference to a mapped array: enough to map it again, also in another process."""

    path: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    limit: int

    def array(self) -> NDArray[Any]:
        """The array, mapped read-only.

        Raises IcasError: there is no such file here.
        """
        count = math.prod(self.shape)
        if count == 0:
            return np.empty(self.shape, self.dtype)
        mapped = MappedFile.of(self.path, self.limit)
        return np.frombuffer(mapped, self.dtype, count, self.offset).reshape(self.shape)


class ArrayWriter:
    """An array that is written to a new file, rows after rows.

    limit: bytes of the memory budget, passed on to those who read. Raises IcasError: the folder
    cannot be written or is full; here, and from `add`.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._path = folder / f"{secrets.token_hex(8)}.features"
        self._limit = limit
        self._rows = 0
        try:
            self._file = self._path.open("xb")
        except OSError as error:
            raise _no_room(folder, error) from error

    def add(self, rows: NDArray[Any]) -> None:
        """Append `rows`."""
        try:
            for part in _parts(rows):
                self._file.write(np.ascontiguousarray(part).view(np.uint8).data)
        except OSError as error:
            raise _no_room(self._path.parent, error) from error
        self._rows += len(rows)

    def array(self, like: NDArray[Any]) -> NDArray[Any]:
        """All rows that were written, mapped; each has the shape and type of a row of `like`."""
        try:
            self._file.close()
        except OSError as error:
            raise _no_room(self._path.parent, error) from error
        shape = (self._rows, *like.shape[1:])
        return ArrayReference(
            str(self._path.absolute()), like.dtype.str, 0, shape, self._limit
        ).array()


def mapped_file_of(array: NDArray[Any]) -> MappedFile | None:
    """The mapped file that `array` is a part of; None for an array in memory."""
    base: Any = array.base
    while base is not None:
        if isinstance(base, MappedFile):
            return base
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return None


def reference_of(array: NDArray[Any]) -> ArrayReference | None:
    """Reference to a mapped array; None for one in memory, or that is not contiguous."""
    mapped = mapped_file_of(array)
    if mapped is None or not array.flags.c_contiguous:
        return None
    offset = _address(array) - mapped.address
    return ArrayReference(mapped.path, array.dtype.str, offset, array.shape, mapped.limit)


def release(array: NDArray[Any]) -> None:
    """Give the pages of a mapped `array` back; nothing is done to one in memory."""
    mapped = mapped_file_of(array)
    if mapped is not None and array.size:
        mapped.drop(*_extent(array, mapped))


def _extent(array: NDArray[Any], mapped: MappedFile) -> tuple[int, int]:
    """Where a part of the file begins and how many bytes it spans; its rows lie in order."""
    return _address(array) - mapped.address, (len(array) - 1) * array.strides[0] + array[0].nbytes


def picked(array: NDArray[Any], rows: Any) -> NDArray[Any]:
    """``array[rows]``; pages of a mapped array are given back when the part is no longer used."""
    part = cast("NDArray[Any]", array[rows])
    mapped = mapped_file_of(array)
    if mapped is not None and part.size:
        if mapped_file_of(part) is None:
            mapped.touch(part.nbytes)
        else:
            weakref.finalize(part, mapped.drop, *_extent(part, mapped)).atexit = False
    return part


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Rows of all `arrays`, in order: in memory, or in a file where one of them is in a file."""
    mapped = next((result for result in map(mapped_file_of, arrays) if result is not None), None)
    if mapped is None:
        return np.concatenate(arrays)
    file = ArrayWriter(Path(mapped.path).parent, mapped.limit)
    for array in arrays:
        file.add(array)
    return file.array(arrays[0])


def _parts(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """`rows` in parts of some megabytes, without empty ones."""
    if rows.size == 0:
        return
    step = max(1, COPIED_BYTES // rows[0].nbytes)
    for start in range(0, len(rows), step):
        yield picked(rows, slice(start, start + step))


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _no_room(folder: Path, error: OSError) -> IcasError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else (error.strerror or str(error))
    return IcasError(
        f"cannot write features to {folder.parent}: {why}; choose another folder with --scratch"
        " DIR, or a larger --memory"
    )
