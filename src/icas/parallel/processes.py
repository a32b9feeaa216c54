"""Worker processes of this machine; blocks that tasks share are mapped files."""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import shutil
import signal
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from icas.common.errors import IcasError
from icas.parallel.child_processes import children_of_one_thread
from icas.parallel.pool import LARGE, Here, Packed, Pool, Shared, Task, pack

DIED = (
    "a worker process died, as it does when memory runs out: try a smaller --jobs, --batch-size or"
    " --size, or --executor threads"
)
NOT_STARTED = (
    "the worker processes died as they started; in a script, whatever starts them stands below"
    " if __name__ == '__main__':"
)
_OPEN_BLOCKS = 64
"""Mapped blocks that a worker keeps open."""
_ALIGNMENT = 64
"""Offsets of buffers in a file are multiples of it."""


@contextmanager
def process_pool(count: int) -> Iterator[ProcessPool]:
    """`count` processes and a folder for what they share; both end with the block.

    Raises
    ------
    IcasError
        The processes do not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="icas-"))
    try:
        # Forking a process in which OpenCV has already started threads can hang, so spawn.
        executor = ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), _initialize, (folder,)
        )
        before = set(multiprocessing.active_children())
        try:
            with children_of_one_thread():
                first = executor.submit(os.getpid)  # with spawn, it starts all processes
            try:
                first.result()
            except BrokenProcessPool:
                raise IcasError(NOT_STARTED) from None
            yield ProcessPool(executor, folder)
        except BaseException:
            # Tasks under way may take long, and their results are not needed.
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialize(folder: Path) -> None:
    """The first thing that a worker process does."""
    with contextlib.suppress(ValueError):  # where signals cannot be blocked before the start
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()


def _end_with_parent(folder: Path) -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


class ProcessPool(Pool):
    """Processes of this machine.

    Parameters
    ----------
    executor : ProcessPoolExecutor
    folder : Path
        For shared blocks.
    """

    def __init__(self, executor: Executor | None, folder: Path) -> None:
        super().__init__(executor)
        self._folder = folder

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Any:
        with _died_workers():
            return super().submit(function, tasks)

    def results(self, future: Any) -> list[Any]:
        with _died_workers():
            return super().results(future)

    def share(self, value: Any) -> Shared:
        """A file that the processes map: its pages are in memory once for all of them.

        Values with small pickles (arrays that are mapped already) travel with the tasks.
        """
        packed = pack(value)
        if packed.nbytes < LARGE:
            return Here(value)
        try:
            handle, name = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "wb") as stream:
                for part in _layout(packed):
                    stream.write(part)
        except OSError as error:
            raise IcasError(
                f"{self._folder}: {error.strerror or error}: worker processes get features through"
                " files there; set TMPDIR to a folder with room, or use --executor threads"
            ) from error
        return Saved(name)


@contextmanager
def _died_workers() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise IcasError(DIED) from None


@dataclass(frozen=True)
class Saved(Shared):
    """A value in a file of this machine."""

    name: str

    def open(self) -> Any:
        return _load(self.name)

    def release(self) -> None:
        with contextlib.suppress(OSError):  # Windows keeps mapped files; they go with the folder
            os.unlink(self.name)  # noqa: PTH108


@lru_cache(maxsize=_OPEN_BLOCKS)
def _load(name: str) -> Any:
    """The value in a file; its arrays are mapped pages, copied when written to."""
    with Path(name).open("rb") as stream:
        (count,) = struct.unpack("<q", stream.read(8))
        sizes = struct.unpack(f"<{count}q", stream.read(8 * count))
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    parts = [
        np.frombuffer(mapped, np.uint8, size, offset)
        for size, offset in zip(sizes, _offsets(sizes), strict=False)
    ]
    return Packed(parts[0].tobytes(), parts[1:]).open()


def _layout(packed: Packed) -> Iterator[Any]:
    """Bytes of the file: the number of parts, their sizes, and the parts at aligned offsets."""
    parts = [np.frombuffer(packed.head, np.uint8), *packed.buffers]
    sizes = [part.nbytes for part in parts]
    header = struct.pack(f"<{len(sizes) + 1}q", len(sizes), *sizes)
    end = len(header)
    yield header
    for part, offset in zip(parts, _offsets(sizes), strict=False):
        yield bytes(offset - end)
        yield part.data
        end = offset + part.nbytes


def _offsets(sizes: Sequence[int]) -> Iterable[int]:
    lengths = (8 * (len(sizes) + 1), *sizes)
    return accumulate(-(-length // _ALIGNMENT) * _ALIGNMENT for length in lengths)
