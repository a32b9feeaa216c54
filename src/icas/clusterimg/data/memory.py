"""The memory budget of a run: features beyond their share of it go to files."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import tempfile
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.data.memmap import ArrayWriter, mapped_file_of
from icas.common.errors import IcasError, UsageError
from icas.io.folders import ScratchFolder

LEAST = 50_000_000
"""Smallest budget: Python with its packages takes more than twice that by itself."""
UNKNOWN_MACHINE = 8_000_000_000
"""Bytes of memory assumed if the system does not report them."""
FEATURES = 4
"""One part in so many of the budget is for features in memory, ..."""
TILES = 2
"""... one in so many for the features that workers compare at a time, ..."""
WAITING = 8
"""... and one in so many for features that wait to be stored."""
FEWEST_ROWS = 16
"""Images a side of a tile, however small the budget."""

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def parse_bytes(text: str | float) -> int:
    """``"4GB"`` -> 4,000,000,000; ``"1.5GiB"``, ``"500 MB"`` and plain bytes do, too.

    Raises ValueError: something else.
    """
    if not isinstance(text, str):
        return int(text)
    result = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if result is None or (result[3] and not result[2]):
        raise ValueError("a number of bytes like 500MB, 4GB or 1.5GiB")
    units = _BINARY if result[3] else _UNITS
    return int(float(result[1]) * units[result[2]])


def memory_of(given: str | float, flag: str = "--memory") -> int:
    """A budget as users type it, in bytes; `flag` is what errors call it.

    Raises UsageError: not a number of bytes.
    """
    try:
        return parse_bytes(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{flag} {given!r}: expected {error}") from None


def default_memory() -> int:
    """Half of the memory of the machine, or of the container in which this process runs."""
    limits = [_physical_memory(), *_container_limits()]
    return max(LEAST, min(limits) // 2)


def _physical_memory() -> int:
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return UNKNOWN_MACHINE


def _windows_memory() -> int:
    import ctypes

    kilobytes = ctypes.c_ulonglong()
    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009 - known on Windows alone
    known = kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return kilobytes.value * 1024 if known else UNKNOWN_MACHINE


def _container_limits() -> list[int]:
    result = []
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            result.append(int(Path("/sys/fs/cgroup", name).read_text()))
        except (OSError, ValueError):  # no container, or no limit
            continue
    return result


class MemoryBudget:
    """The memory budget of a run, and a temporary folder for features beyond it.

    A context manager: the folder is removed at its end.

    limit: Bytes; None: all features stay in memory; scratch: folder in which files may lie
    meanwhile; default the system's for temporary files.
    """

    def __init__(self, limit: int | None = None, scratch: Path | None = None) -> None:
        self.limit = limit
        self.scratch = scratch
        self._folder: ScratchFolder | None = None
        self._held = 0
        self._lock = threading.RLock()

    def __enter__(self) -> MemoryBudget:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def store(self, count: int) -> FeatureStore:
        """Takes the features of up to `count` images, part by part."""
        return FeatureStore(self, count)

    def chosen(self, features: FeatureSet, rows: NDArray[np.int64]) -> FeatureSet:
        """``features[rows]``, within the budget; `features` itself where these are all rows."""
        if np.array_equal(rows, np.arange(len(features))):
            return features
        if self.limit is None:
            return features[rows]
        step = max(1, self.limit // WAITING // max(1, bytes_per_image(features)))
        store = self.store(len(rows))
        for start in range(0, max(1, len(rows)), step):
            store.add(replace(features[rows[start : start + step]], unreadable=()))
        return replace(store.features(), unreadable=features.unreadable)

    def chunk(self, features: FeatureSet, jobs: int) -> int:
        """Images whose features a worker should compute at a time, if they are like `features`."""
        if self.limit is None:
            return sys.maxsize
        # Two tasks a worker run or wait; the result of a running one is there twice.
        return max(1, self.limit // WAITING // (3 * jobs) // max(1, bytes_per_image(features)))

    def take(self, wanted: int) -> bool:
        """Whether `wanted` bytes more of features may be kept in memory; they count from now on."""
        with self._lock:
            fits = self.limit is None or self._held + wanted <= self.limit // FEATURES
            self._held += wanted if fits else 0
        return fits

    def give_back(self, held: int) -> None:
        """Free `held` bytes that were taken."""
        with self._lock:
            self._held -= held

    def new_file(self) -> ArrayWriter:
        """A file for one array of features."""
        return ArrayWriter(self._scratch_path(), self.limit or sys.maxsize)

    def check_room(self, wanted: int) -> None:
        """Check that the disk has `wanted` bytes free.

        Raises IcasError: it has less.
        """
        folder = self._scratch_path().parent
        free = shutil.disk_usage(folder).free
        if free < wanted:
            raise IcasError(
                f"{wanted / 1e9:,.1f} GB of features exceed --memory, and {folder} has only"
                f" {free / 1e9:,.1f} GB free: choose another folder with --scratch DIR"
            )

    def _scratch_path(self) -> Path:
        if self._folder is None:
            try:
                self._folder = ScratchFolder(self.scratch)
            except OSError as error:
                raise IcasError(
                    f"--scratch {self.scratch or tempfile.gettempdir()}: cannot create a folder"
                    f" there ({error.strerror or error}); choose another one"
                ) from error
        return self._folder.path


UNLIMITED = MemoryBudget()
"""Keeps all features in memory."""


class FeatureStore:
    """Collects features part by part, in memory or in files; see `MemoryBudget.store`."""

    def __init__(self, budget: MemoryBudget, count: int) -> None:
        self._budget = budget
        self._count = count
        self._like: FeatureSet | None = None
        self._arrays: dict[str, NDArray[Any]] = {}
        self._writers: dict[str, ArrayWriter] = {}
        self._rows = 0
        self._files: list[str] = []
        self._unreadable: list[Unreadable] = []

    def add(self, part: FeatureSet) -> None:
        """Append `part`.

        Raises IcasError: it exceeds the budget, and the scratch folder has not enough space.
        """
        self._files.extend(part.files)
        self._unreadable.extend(part.unreadable)
        if self._like is None:
            self._like = part
        if len(part) == 0:
            return
        if self._rows == 0:
            self._like = part
            self._begin(part)
        end = self._rows + len(part)
        for name, array in part.arrays.items():
            if name in self._writers:
                self._writers[name].add(array)
            else:
                self._arrays[name][self._rows : end] = array
        self._rows = end

    def features(self) -> FeatureSet:
        """All that was added; at least one part, which may be empty."""
        assert self._like is not None
        arrays: dict[str, NDArray[Any]] = {}
        for name, like in self._like.arrays.items():
            if self._rows == 0:
                arrays[name] = like
            elif name in self._writers:
                arrays[name] = self._writers[name].array(like)
            else:
                arrays[name] = self._arrays[name][: self._rows]
        return replace(
            self._like, arrays=arrays, files=tuple(self._files), unreadable=tuple(self._unreadable)
        )

    def _begin(self, part: FeatureSet) -> None:
        wanted = self._count * bytes_per_image(part)
        if not self._budget.take(wanted):
            self._budget.check_room(wanted)
            self._writers = {name: self._budget.new_file() for name in part.arrays}
            return
        for name, like in part.arrays.items():
            array = np.empty((self._count, *like.shape[1:]), like.dtype)
            weakref.finalize(array, self._budget.give_back, array.nbytes).atexit = False
            self._arrays[name] = array


def bytes_per_image(features: FeatureSet) -> int:
    """Bytes that the features of one image take."""
    return sum(array.itemsize * math.prod(array.shape[1:]) for array in features.arrays.values())


def side_within(features: FeatureSet, side: int, jobs: int = 1) -> int:
    """Images a side of the blocks of pairs that `jobs` workers compare at a time.

    `side` itself where the features are in memory, else less where so many of them, mapped, would
    not fit the budget under which they were put into files.
    """
    for mapped in map(mapped_file_of, features.arrays.values()):
        if mapped is not None:
            rows = mapped.limit // TILES // jobs // (2 * bytes_per_image(features))
            return max(1, min(side, max(FEWEST_ROWS, rows)))
    return side
