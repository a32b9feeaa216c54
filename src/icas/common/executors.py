"""Workers behind one interface: threads, processes, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from icas.common.errors import IcasError, UsageError
from icas.common.registry import need

T = TypeVar("T")
EXECUTORS = ("threads", "processes", "dask")


@dataclass(frozen=True)
class Workers:
    """Some workers. Without an executor the caller's own thread does the work.

    Attributes
    ----------
    executor : Executor or None
    jobs : int
        How many.
    remote : bool
        They are other processes: what a task needs is sent to them.
    """

    executor: Executor | None
    jobs: int
    remote: bool = False

    def ordered(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """Results of ``function(*task)`` in the order of `tasks`.

        No more than two tasks a worker are under way or waiting to be fetched, so that memory
        stays bounded however long `tasks` is.
        """
        if self.executor is None:
            for task in tasks:
                yield function(*task)
            return
        waiting: deque[Future[T]] = deque()
        try:
            for task in tasks:
                waiting.append(self.executor.submit(function, *task))
                if len(waiting) >= 2 * self.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def start_workers(
    kind: str = "threads", jobs: int | None = None, scheduler: str | None = None
) -> Iterator[Workers]:
    """Workers of the named kind, gone when the block is left.

    Parameters
    ----------
    kind : {"threads", "processes", "dask"}
    jobs : int, optional
        How many; default all cores that this process may use.
    scheduler : str, optional
        Address of a Dask scheduler; without it a local Dask cluster is started.

    Raises
    ------
    UsageError
        No such kind, fewer than one worker, or a scheduler without Dask.
    MissingExtraError
        Dask is asked for and not installed.
    """
    if kind not in EXECUTORS:
        raise UsageError(f"no executor {kind!r}; choose from {', '.join(EXECUTORS)}")
    if scheduler is not None and kind != "dask":
        raise UsageError(f"--scheduler goes with --executor dask, not with {kind}")
    count = core_count() if jobs is None else jobs
    if count < 1:
        raise UsageError(f"--jobs {count}: at least 1")
    if kind == "dask":
        with _dask_workers(count, scheduler) as workers:
            yield workers
    elif count == 1 and kind == "threads":
        yield Workers(None, 1)
    else:
        pool = _thread_pool(count) if kind == "threads" else _process_pool(count)
        try:
            yield Workers(pool, count, remote=kind == "processes")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _thread_pool(count: int) -> Executor:
    return ThreadPoolExecutor(count, thread_name_prefix="icas")


def _process_pool(count: int) -> Executor:
    # Forking a process in which OpenCV has already started threads can hang, so spawn.
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


@contextmanager
def _dask_workers(count: int, scheduler: str | None) -> Iterator[Workers]:
    need("executor 'dask'", "dask", "distributed")
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise IcasError(f"no Dask scheduler answers at {scheduler}: {error}") from error
        with client:
            total = sum(client.nthreads().values()) or count
            yield Workers(client.get_executor(), total, remote=True)
        return
    with (
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield Workers(client.get_executor(), count, remote=True)
