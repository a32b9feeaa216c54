"""What runs inside a Dask worker: light to load, for the scheduler loads it too."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from icas.common.errors import IcasError
from icas.parallel.sharing import Packed


@dataclass(frozen=True)
class Place:
    """Stands in a task for the block of that number, which Dask brings to the worker."""

    number: int


@dataclass(frozen=True)
class Seen:
    """A file as the process that started the run sees it."""

    path: str
    size: int


def run_packed(packed: Packed, seen: tuple[Seen, ...], *blocks: Any) -> tuple[list[Any], float]:
    """The results of the packed (function, tasks), and the seconds that they took.

    Nothing is kept of them here, so that they may run again anywhere.

    Raises
    ------
    IcasError
        This machine does not see the files that the tasks need.
    """
    _check_sees(seen)
    function, tasks = packed.open()
    start = time.perf_counter()
    with OPENCV_ALONE:
        found = [
            function(*(blocks[part.number] if isinstance(part, Place) else part for part in task))
            for task in tasks
        ]
    return found, time.perf_counter() - start


def unpacked(packed: Packed) -> Any:
    """The packed value: a block, where it is a task of its own."""
    return packed.open()


@lru_cache(maxsize=16)
def _check_sees(seen: tuple[Seen, ...]) -> None:
    """Once a process; a failure is looked at again by the next task."""
    for one in seen:
        told = f"the Dask worker on {socket.gethostname()}"
        where = "images must lie at the same place on every machine, as in a shared folder"
        try:
            with open(one.path, "rb") as stream:  # noqa: PTH123 - as it was sent, whatever the system
                size = os.fstat(stream.fileno()).st_size
        except OSError as error:
            raise IcasError(f"{told} cannot read {one.path} ({error.strerror}): {where}") from error
        if size != one.size:
            raise IcasError(f"{told} has another file as {one.path}: {where}")


def icas_version() -> str:
    """The version of icas here."""
    from icas._version import __version__

    return __version__


class _OneOpenCvThread:
    """OpenCV's own threads are off while tasks run: the cluster's threads are what is counted.

    The setting is the process's, and the worker may be someone else's too: the last task to end
    puts back what it was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._earlier = 0

    def __enter__(self) -> None:
        cv2 = sys.modules.get("cv2")
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._earlier = 0
            if cv2 is not None and self._earlier == 0:
                self._earlier = cv2.getNumThreads()
                cv2.setNumThreads(1)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._earlier > 0:
                sys.modules["cv2"].setNumThreads(self._earlier)


OPENCV_ALONE = _OneOpenCvThread()
