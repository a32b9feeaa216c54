"""Worker processes of this machine; blocks that tasks share are mapped files."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from icas.common.errors import IcasError
from icas.parallel.child_processes import children_of_one_thread
from icas.parallel.notes import Note, log_again, noting
from icas.parallel.pool import LARGE, Here, Packed, Pool, Shared, Task, pack, run_all

DIED = (
    "a worker process died, probably out of memory: use a smaller --jobs, --batch-size or"
    " --size, or --executor threads"
)
NOT_STARTED = (
    "the worker processes died at start: in a script, put the call under if __name__ == '__main__':"
)
_OPEN_BLOCKS = 64
"""Mapped blocks that a worker keeps open."""
_HEAD = "head"


@contextmanager
def process_pool(count: int) -> Iterator[ProcessPool]:
    """`count` processes and a folder for what they share; both end with the block."""
    folder = Path(tempfile.mkdtemp(prefix="icas-"))
    try:
        # Forking a process in which OpenCV has already started threads can hang, so spawn.
        executor = ProcessPoolExecutor(
            count, multiprocessing.get_context("spawn"), _initialize, (folder,)
        )
        before = set(multiprocessing.active_children())
        try:
            with children_of_one_thread(), main_without_file():
                # A process is started for each, as none is idle yet.
                started = [executor.submit(os.getpid) for _ in range(count)]
            try:
                wait(started)
                started[0].result()
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


@contextmanager
def main_without_file() -> Iterator[None]:
    """Keep children from importing a main module that is no file, such as ``<stdin>``."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or Path(file).exists():
        yield
        return
    del main.__file__  # type: ignore[union-attr]
    try:
        yield
    finally:
        main.__file__ = file  # type: ignore[union-attr]


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
    folder : Path
        For shared blocks.
    """

    def __init__(self, executor: Executor | None, folder: Path) -> None:
        super().__init__(executor)
        self._folder = folder

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Any:
        with _died_workers():
            return self._executor.submit(_run_noting, function, tasks)

    def results(self, future: Any) -> list[Any]:
        with _died_workers():
            results, notes = future.result()
        log_again(notes)
        return list(results)

    def share(self, value: Any) -> Shared:
        """Files that the processes map: their pages are in memory once for all.

        Values with small pickles (arrays that are mapped already) travel with the tasks.
        """
        packed = pack(value)
        if packed.nbytes < LARGE:
            return Here(value)
        try:
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            (folder / _HEAD).write_bytes(packed.head)
            for number, buffer in enumerate(packed.buffers):
                buffer.tofile(folder / str(number))
        except OSError as error:
            raise IcasError(
                f"cannot write features for worker processes to {self._folder}:"
                f" {error.strerror or error}; set TMPDIR to a folder with free space, or use"
                " --executor threads"
            ) from error
        return Saved(str(folder), len(packed.buffers))


def _run_noting(
    function: Callable[..., Any], tasks: Sequence[Task]
) -> tuple[list[Any], list[Note]]:
    """In a worker: the results of tasks, and what they logged."""
    with noting() as notes:
        return run_all(function, tasks), notes


@contextmanager
def _died_workers() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise IcasError(DIED) from None


@dataclass(frozen=True)
class Saved(Shared):
    """A value in a folder of this machine: its pickle, and a file for each large buffer."""

    name: str
    buffers: int

    def open(self) -> Any:
        return _load(self.name, self.buffers)

    def release(self) -> None:
        # Windows keeps mapped files; they go with the folder of the pool.
        shutil.rmtree(self.name, ignore_errors=True)


@lru_cache(maxsize=_OPEN_BLOCKS)
def _load(folder: str, buffers: int) -> Any:
    """The value in a folder; its arrays are mapped pages, copied when written to."""
    files = [Path(folder, str(number)) for number in range(buffers)]
    mapped = [np.memmap(file, np.uint8, mode="c") for file in files]
    return Packed(Path(folder, _HEAD).read_bytes(), list(mapped)).open()
