"""Workers of a Dask cluster, on this machine or on many."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import distributed
from distributed.scheduler import KilledWorker

from icas._version import __version__
from icas.common.errors import IcasError
from icas.parallel.child_processes import children_of_one_thread, interrupted_later
from icas.parallel.notes import Note, log_again, noting
from icas.parallel.pool import LARGE, Here, Packed, Pool, Shared, Task, pack

CONNECT = 10
"""Seconds in which a scheduler must answer, and have a worker."""
POLL = 2.0
"""Seconds of waiting for a result between two checks that the cluster is still there."""
PATIENCE = 60.0
"""Seconds for which a cluster may have no workers: they may be starting."""
RETRIES = 2
"""How often a failed task is tried again, perhaps on a machine with more memory."""
GROUP_SECONDS = 0.3
"""Least seconds of work that go to a worker together."""
SECONDS_PER_THREAD = 0.006
"""... and more in a large cluster, for each of its threads: one scheduler serves them all, and
needs some 3 ms for each group."""
MOST = 256
"""Tasks that go to a worker together, however short they are."""
ALLOWED_FAILURES = 3
"""Workers that may die of one task before it is given up (in a local cluster; Dask's default)."""
_TRANSPORT = ("dask", "distributed")
_COMPUTING = ("numpy", "opencv-contrib-python", "Pillow", "ImageHash", "scikit-image", "scipy")
"""Packages on which features and similarities depend; two versions may differ in a bit."""


@contextmanager
def local_pool(count: int) -> Iterator[DaskPool]:
    """A Dask cluster of `count` processes on this machine, which ends with the block."""
    with _quiet():
        with interrupted_later(), children_of_one_thread():
            try:
                cluster = distributed.LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.DEBUG if _debugging() else logging.CRITICAL,
                )
                client = distributed.Client(cluster, set_as_default=False)
            except (RuntimeError, OSError, distributed.TimeoutError) as error:
                raise IcasError(
                    f"the local Dask cluster does not start ({error}): in a script, put the call"
                    " under if __name__ == '__main__':"
                ) from error
        try:
            yield DaskPool(client, "of this machine", count)
        finally:
            with interrupted_later():
                client.close()
                cluster.close()


@contextmanager
def cluster_pool(scheduler: str) -> Iterator[DaskPool]:
    """The cluster of the scheduler at that address."""
    with _quiet():
        try:
            with warnings.catch_warnings():  # of versions, which are compared below
                warnings.simplefilter("ignore")
                client = distributed.Client(scheduler, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise IcasError(f"no Dask scheduler answers at {scheduler}: {error}") from error
        with client:
            try:
                client.wait_for_workers(1, timeout=CONNECT)
            except distributed.TimeoutError:
                raise IcasError(
                    f"the Dask scheduler at {scheduler} has no workers: start some with"
                    f" dask worker {scheduler}"
                ) from None
            _check_icas(client, scheduler)
            _check_packages(client, scheduler)
            yield DaskPool(client, f"at {scheduler}", sum(client.nthreads().values()))


def _check_icas(client: Any, scheduler: str) -> None:
    """All machines need the same icas; tasks name its functions."""
    versions: dict[str, Any] = client.run(icas_version, on_error="return")
    try:
        versions = {**versions, scheduler: client.run_on_scheduler(icas_version)}
    except Exception as error:
        versions = {**versions, scheduler: error}
    for address, version in sorted(versions.items()):
        who = f"{'the Dask scheduler at' if address == scheduler else 'Dask worker'} {address}"
        if isinstance(version, Exception) and "ModuleNotFoundError" in repr(version):
            raise IcasError(
                f"{who} cannot import icas ({version}): run pip install 'icas[dask]' there"
            )
        if isinstance(version, Exception):
            raise IcasError(f"{who} does not answer: {version}")
        if version != __version__:
            raise IcasError(
                f"{who} has icas {version}, this machine has {__version__}: install"
                " the same version"
            )


def icas_version() -> str:
    """The version of icas on the machine that runs this."""
    return __version__


def _check_packages(client: Any, scheduler: str) -> None:
    versions = client.get_versions(packages=list(_COMPUTING))
    here, there = versions["client"]["packages"], versions["scheduler"]["packages"]
    _compare(f"the Dask scheduler at {scheduler}", here, there, _TRANSPORT)
    for address, worker in sorted(versions["workers"].items()):
        names = (*_TRANSPORT, *_COMPUTING)
        _compare(f"Dask worker {address}", here, worker["packages"], names)


def _compare(
    who: str, here: Mapping[str, Any], there: Mapping[str, Any], names: tuple[str, ...]
) -> None:
    """Packages on both sides need equal versions; of Python the first two numbers."""
    python, expected = (
        ".".join(str(packages["python"]).split(".")[:2]) for packages in (there, here)
    )
    different = [f"Python {python} (here {expected})"] if python != expected else []
    different += [
        f"{name} {there[name]} (here {here[name]})"
        for name in names
        if here.get(name) and there.get(name) and here[name] != there[name]
    ]
    if different:
        raise IcasError(
            f"{who} has {', '.join(different)}: install the same versions on all machines, or"
            " results may differ"
        )


@dataclass(frozen=True)
class SourceFile:
    """A file with the size that the process which started the run sees."""

    path: str
    size: int


class DaskPool(Pool):
    """Workers of a Dask cluster.

    A task is packed, with futures of the blocks that it refers to. Blocks are tasks as well: if a
    worker dies, the scheduler runs them again elsewhere, and no block is lost that only that worker
    had (as it would be if it were scattered).

    Parameters
    ----------
    where : str
        The scheduler, for messages.
    threads : int
        Of all workers together.
    files : tuple of SourceFile
        Files that a worker must see.
    pace : dict of str to float
        Seconds that the last tasks of each function took.
    """

    def __init__(
        self,
        client: Any,
        where: str,
        threads: int,
        files: tuple[SourceFile, ...] = (),
        pace: dict[str, float] | None = None,
    ) -> None:
        self.threads = threads
        self._client = client
        self._where = where
        self._files = files
        self._pace: dict[str, float] = {} if pace is None else pace

    def group_size(self, function: Callable[..., Any]) -> int:
        seconds = self._pace.get(function.__qualname__)
        if seconds is None:
            return 1
        wanted = max(GROUP_SECONDS, SECONDS_PER_THREAD * self.threads)
        return max(1, min(MOST, int(wanted / max(seconds, 1e-6))))

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Any:
        blocks: list[Any] = []
        plain = [[_plain(part, blocks) for part in task] for task in tasks]
        future = self._submit(run_packed, pack((function, plain)), self._files, *blocks)
        return Sent(future, function.__qualname__, len(tasks))

    def _submit(self, function: Callable[..., Any], *task: Any) -> Any:
        try:
            return self._client.submit(function, *task, pure=False, retries=RETRIES)
        except (OSError, RuntimeError) as error:  # the client closes when its scheduler is gone
            if self._client.status == "running":
                raise
            raise self._lost() from error

    def results(self, sent: Any) -> list[Any]:
        results: list[Any]
        results, seconds, notes = self._result(sent.future)
        sent.future.release()
        log_again(notes)
        self._pace[sent.function] = seconds / sent.tasks
        return results

    def _result(self, future: Any) -> Any:
        without_workers: float | None = None
        while True:
            try:
                return future.result(timeout=POLL)
            except distributed.TimeoutError:
                if future.status == "error":
                    raise future.exception() from None  # it came meanwhile
                without_workers = self._without_workers_since(without_workers)
            except KilledWorker as error:
                raise IcasError(
                    f"a task crashed {error.allowed_failures + 1} Dask workers in a row,"
                    " probably out of memory: give workers more memory, or use a smaller"
                    " --batch-size or --size"
                ) from error
            # distributed returns an unset variable where its own event loop cancels the wait.
            except (CancelledError, UnboundLocalError) as error:
                raise self._lost() from error
            except ModuleNotFoundError as error:
                raise IcasError(f"a Dask worker cannot import icas: {error}") from error

    def _without_workers_since(self, since: float | None) -> float | None:
        """Since when the cluster has no workers; None while it has some."""
        if self._client.status in ("closed", "closing"):
            raise self._lost()
        if self._client.status != "running" or self._client.nthreads():
            return None
        now = time.monotonic()
        if since is not None and now - since > PATIENCE:
            raise IcasError(
                f"the Dask scheduler {self._where} has had no workers for {PATIENCE:g} seconds:"
                " all workers have stopped"
            )
        return now if since is None else since

    def _lost(self) -> IcasError:
        return IcasError(
            f"the connection to the Dask scheduler {self._where} was lost during the run"
        )

    def drop(self, futures: Iterable[Any]) -> None:
        for sent in futures:
            sent.future.release()

    def share(self, value: Any) -> Shared:
        packed = pack(value)
        return Here(value) if packed.nbytes < LARGE else Remote(self._submit(unpack, packed))

    def reading(self, files: Iterable[Path]) -> DaskPool:
        sample = _sample(list(files))
        return DaskPool(self._client, self._where, self.threads, sample, self._pace)


@dataclass(frozen=True)
class Sent:
    """Tasks under way: their future, the name of their function, and their number."""

    future: Any
    function: str
    tasks: int


@dataclass(frozen=True)
class Remote(Shared):
    """A block that Dask keeps."""

    future: Any

    def open(self) -> Any:
        raise TypeError("a block of a Dask cluster is opened by its workers")

    def release(self) -> None:
        self.future.release()


@dataclass(frozen=True)
class Block:
    """Placeholder in a packed task for the block of that number, which Dask sends to the worker."""

    number: int


def _plain(part: Any, blocks: list[Any]) -> Any:
    """An argument as a packed task has it; futures that it needs are appended to `blocks`."""
    if not isinstance(part, Remote):
        return part.open() if isinstance(part, Shared) else part
    if part.future not in blocks:
        blocks.append(part.future)
    return Block(blocks.index(part.future))


def _sample(files: Sequence[Path]) -> tuple[SourceFile, ...]:
    """The first of `files`, one in the middle and the last, if they exist."""
    sample = []
    for index in sorted({0, len(files) // 2, len(files) - 1}) if files else []:
        path = files[index].absolute()
        with contextlib.suppress(OSError):
            sample.append(SourceFile(str(path), path.stat().st_size))
    return tuple(sample)


def _debugging() -> bool:
    return logging.getLogger("icas").isEnabledFor(logging.DEBUG)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log lines about workers that come and go off stderr, unless with --debug.

    Errors and results say what matters. Dask would warn of large blocks, too.
    """
    loggers = []
    if not _debugging():
        names = ("distributed", "tornado", "asyncio")
        known = {*logging.root.manager.loggerDict, *names}
        loggers = [logging.getLogger(name) for name in known if name.split(".")[0] in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    options = {
        "distributed.admin.large-graph-warning-threshold": "1TB",
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
    }
    try:
        with dask.config.set(options):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


# -- what runs in a worker --


def run_packed(
    packed: Packed, files: tuple[SourceFile, ...], *blocks: Any
) -> tuple[list[Any], float, list[Note]]:
    """The results of the packed (function, tasks), the seconds that they took, and what they log.

    It keeps no state, so that it may run again anywhere.
    """
    _check_files(files)
    function, tasks = packed.open()
    start = time.perf_counter()
    with ONE_OPENCV_THREAD, noting() as notes:
        results = [
            function(*(blocks[part.number] if isinstance(part, Block) else part for part in task))
            for task in tasks
        ]
    return results, time.perf_counter() - start, notes


def unpack(packed: Packed) -> Any:
    """The packed value: a block, where it is a task of its own."""
    return packed.open()


@lru_cache(maxsize=16)
def _check_files(files: tuple[SourceFile, ...]) -> None:
    """Once per process; after a failure the next task checks again."""
    for file in files:
        who = f"the Dask worker on {socket.gethostname()}"
        advice = "images need the same path on every machine, for example in a shared folder"
        try:
            with open(file.path, "rb") as stream:  # noqa: PTH123 - as sent, whatever the system
                size = os.fstat(stream.fileno()).st_size
        except OSError as error:
            raise IcasError(
                f"{who} cannot read {file.path} ({error.strerror}): {advice}"
            ) from error
        if size != file.size:
            raise IcasError(f"{who} has a different file at {file.path}: {advice}")


class _OneOpenCvThread:
    """Turns OpenCV's own threads off while tasks run: the threads of the cluster are enough.

    The worker may serve other programs, too: the last task to end restores the setting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._earlier = 0

    def __enter__(self) -> None:
        cv2 = sys.modules.get("cv2")
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._earlier = 0
            if cv2 is not None and self._earlier == 0:
                self._earlier = cv2.getNumThreads()
                cv2.setNumThreads(1)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0 and self._earlier > 0:
                sys.modules["cv2"].setNumThreads(self._earlier)


ONE_OPENCV_THREAD = _OneOpenCvThread()
