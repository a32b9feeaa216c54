"""Worker processes of this machine; blocks that tasks refer to are mapped files."""

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
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from icas.common.errors import IcasError
from icas.parallel.child_processes import children_of_one_thread, deaf_children
from icas.parallel.sharing import LARGE, Here, Packed, Shared, Task, pack, run_all

DIED = (
    "a worker process died, as it does when memory runs out: try a smaller --jobs, --batch-size or"
    " --size, or --executor threads"
)
NOT_STARTED = (
    "the worker processes died as they started; in a script, whatever starts them stands below"
    " if __name__ == '__main__':"
)
KEPT_OPEN = 64
"""Mapped blocks that a worker keeps open."""
ALIGNED = 64
"""Buffers begin at multiples of it."""


@contextmanager
def process_pool(count: int) -> Iterator[ProcessPool]:
    """`count` processes and a folder for what they share; both are gone when the block is left.

    Raises
    ------
    IcasError
        The processes do not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="icas-"))
    try:
        # Forking a process in which OpenCV has already started threads can hang, so spawn.
        executor = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(folder,),
        )
        before = set(multiprocessing.active_children())
        try:
            _start(executor)
            yield ProcessPool(executor, folder)
        except BaseException:
            # Tasks under way may take long, and nobody waits for them any more.
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(executor: ProcessPoolExecutor) -> None:
    with children_of_one_thread(), deaf_children():
        first = executor.submit(os.getpid)  # with spawn, the first task starts all processes
    try:
        first.result()
    except BrokenProcessPool:
        raise IcasError(NOT_STARTED) from None


def _begin(folder: Path) -> None:
    """What a worker process does first."""
    with contextlib.suppress(ValueError):  # where signals cannot be blocked before the start
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, args=(folder,), daemon=True).start()


def _leave_with_parent(folder: Path) -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


@dataclass(frozen=True)
class ProcessPool:
    """Processes of this machine.

    Attributes
    ----------
    executor : ProcessPoolExecutor
    folder : Path
        For the blocks that tasks refer to.
    """

    executor: ProcessPoolExecutor
    folder: Path

    def at_once(self, function: Callable[..., Any]) -> int:
        return 1

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Future[list[Any]]:
        try:
            return self.executor.submit(run_all, function, tasks)
        except BrokenProcessPool:
            raise IcasError(DIED) from None

    def results(self, future: Future[list[Any]]) -> list[Any]:
        try:
            return future.result()
        except BrokenProcessPool:
            raise IcasError(DIED) from None

    def drop(self, futures: Iterable[Future[Any]]) -> None:
        for future in futures:
            future.cancel()

    def share(self, value: Any) -> Shared:
        """A file that the processes map: its pages are in memory once for all of them.

        What pickles small (arrays that are mapped already) goes with the tasks.
        """
        packed = pack(value)
        if packed.nbytes < LARGE:
            return Here(value)
        try:
            handle, name = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as stream:
                for part in _laid_out(packed):
                    stream.write(part)
        except OSError as error:
            raise IcasError(
                f"{self.folder}: {error.strerror or error}: worker processes get features through"
                " files there; set TMPDIR to a folder with room, or use --executor threads"
            ) from error
        return Saved(name)

    def reading(self, files: Iterable[Path]) -> ProcessPool:
        return self


@dataclass(frozen=True)
class Saved(Shared):
    """A value in a file of this machine."""

    name: str

    def open(self) -> Any:
        return _loaded(self.name)

    def release(self) -> None:
        with contextlib.suppress(OSError):  # Windows keeps it while it is mapped; the end takes it
            os.unlink(self.name)  # noqa: PTH108


@lru_cache(maxsize=KEPT_OPEN)
def _loaded(name: str) -> Any:
    """The value in a file; its arrays are the mapped pages, and written to they are copies."""
    with Path(name).open("rb") as stream:
        (count,) = struct.unpack("<q", stream.read(8))
        sizes = struct.unpack(f"<{count}q", stream.read(8 * count))
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    starts = _starts(sizes)
    parts = [
        np.frombuffer(mapped, np.uint8, size, start)
        for size, start in zip(sizes, starts, strict=False)
    ]
    return Packed(parts[0].tobytes(), parts[1:]).open()


def _laid_out(packed: Packed) -> Iterator[Any]:
    """Bytes of the file: the number of parts, their sizes, and the parts at aligned places."""
    parts = [np.frombuffer(packed.head, np.uint8), *packed.buffers]
    sizes = [part.nbytes for part in parts]
    told = struct.pack(f"<{len(sizes) + 1}q", len(sizes), *sizes)
    end = len(told)
    yield told
    for part, start in zip(parts, _starts(sizes), strict=False):
        yield bytes(start - end)
        yield part.data
        end = start + part.nbytes


def _starts(sizes: Iterable[int]) -> list[int]:
    """Where each part begins in the file."""
    lengths = list(sizes)
    first = _aligned(8 * (len(lengths) + 1))
    return list(accumulate(map(_aligned, lengths), initial=first))


def _aligned(length: int) -> int:
    return -(-length // ALIGNED) * ALIGNED
