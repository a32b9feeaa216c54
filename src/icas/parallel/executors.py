"""Workers behind one interface: threads, processes, or a Dask cluster."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from icas.common.errors import UsageError
from icas.common.registry import need
from icas.parallel.child_processes import one_thread_each
from icas.parallel.sharing import Here, Shared, Task, opened, run_all

T = TypeVar("T")
EXECUTORS = ("threads", "processes", "dask")
AHEAD = 2
"""Groups of tasks a worker that are under way or wait to be fetched."""
CLUSTER_AHEAD = 4
"""The same where a task and its result travel: the next one should be there already."""


class Pool(Protocol):
    """What runs tasks. What it calls a future, it alone looks into."""

    def at_once(self, function: Callable[..., Any]) -> int:
        """How many tasks should go to a worker together."""
        ...

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Any:
        """A future of ``function(*task)`` for each task; a `Shared` is opened where it runs."""
        ...

    def results(self, future: Any) -> list[Any]:
        """Wait for a future; what the function raises is raised, dead workers are an IcasError."""
        ...

    def drop(self, futures: Iterable[Any]) -> None:
        """Nobody will ask for these any more."""
        ...

    def share(self, value: Any) -> Shared:
        """`value`, ready to be referred to by many tasks."""
        ...

    def reading(self, files: Iterable[Path]) -> Pool:
        """The same workers, which first look whether they see these files as this process does."""
        ...


@dataclass(frozen=True)
class Workers:
    """Some workers. Without a pool the caller's own thread does the work.

    Attributes
    ----------
    pool : Pool or None
    jobs : int
        How many.
    remote : bool
        They are other processes: what a task needs is sent to them.
    ahead : int
        Groups of tasks a worker that are under way or wait to be fetched.
    """

    pool: Pool | None
    jobs: int
    remote: bool = False
    ahead: int = AHEAD

    def ordered(self, function: Callable[..., T], tasks: Iterable[Task]) -> Iterator[T]:
        """Results of ``function(*task)`` in the order of `tasks`.

        A `Shared` among the arguments stands for its value. What is under way or waiting to be
        fetched is bounded, so that memory stays bounded however long `tasks` is: with threads and
        processes two tasks a worker.
        """
        if self.pool is None:
            for task in tasks:
                yield function(*opened(task))
            return
        waiting: deque[Any] = deque()
        left = iter(tasks)
        try:
            while group := list(islice(left, self.pool.at_once(function))):
                waiting.append(self.pool.submit(function, group))
                if len(waiting) >= self.ahead * self.jobs:
                    yield from self.pool.results(waiting.popleft())
            while waiting:
                yield from self.pool.results(waiting.popleft())
        finally:
            self.pool.drop(waiting)

    def share(self, value: Any) -> Shared:
        """`value`, to be put among the arguments of many tasks: no worker is sent it twice.

        Its `release` says that no further task will refer to it; `Shelf` sees to that.
        """
        return Here(value) if self.pool is None else self.pool.share(value)

    def reading(self, files: Iterable[Path]) -> Workers:
        """The same workers for tasks that read files, of which these are some.

        Workers on other machines may have no such files, or others in their place. Each looks once
        before its first task, and a worker that does not find these as they are here ends the run
        with one line.
        """
        return self if self.pool is None else replace(self, pool=self.pool.reading(files))


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
        How many; default all cores that this process may use, and with `scheduler` all threads of
        the cluster.
    scheduler : str, optional
        Address of a Dask scheduler; without it a local Dask cluster is started.

    Raises
    ------
    UsageError
        No such kind, fewer than one worker, or a scheduler without Dask.
    MissingExtraError
        Dask is asked for and not installed.
    IcasError
        There is no such scheduler, or its workers are none that this process can work with.
    """
    if kind not in EXECUTORS:
        raise UsageError(f"no executor {kind!r}; choose from {', '.join(EXECUTORS)}")
    if scheduler is not None and kind != "dask":
        raise UsageError(f"--scheduler goes with --executor dask, not with {kind}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}: must be at least 1")
    with one_thread_each(), _STARTED[kind](jobs, scheduler) as workers:
        yield workers


@contextmanager
def _threads(jobs: int | None, _: str | None) -> Iterator[Workers]:
    count = jobs or core_count()
    if count == 1:
        yield Workers(None, 1)
        return
    executor = ThreadPoolExecutor(count, thread_name_prefix="icas")
    try:
        yield Workers(_Threads(executor), count)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Threads:
    """Threads of this process."""

    executor: ThreadPoolExecutor

    def at_once(self, function: Callable[..., Any]) -> int:
        return 1

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Future[list[Any]]:
        return self.executor.submit(run_all, function, tasks)

    def results(self, future: Future[list[Any]]) -> list[Any]:
        return future.result()

    def drop(self, futures: Iterable[Future[Any]]) -> None:
        for future in futures:
            future.cancel()

    def share(self, value: Any) -> Shared:
        return Here(value)

    def reading(self, files: Iterable[Path]) -> _Threads:
        return self


@contextmanager
def _processes(jobs: int | None, _: str | None) -> Iterator[Workers]:
    from icas.parallel.processes import process_pool

    count = jobs or core_count()
    with process_pool(count) as pool:
        yield Workers(pool, count, remote=True)


@contextmanager
def _dask(jobs: int | None, scheduler: str | None) -> Iterator[Workers]:
    need("executor 'dask'", "dask", "dask", "distributed")
    from icas.parallel.dask_cluster import cluster_pool, local_pool

    if scheduler is None:
        count = jobs or core_count()
        with local_pool(count) as pool:
            yield Workers(pool, count, remote=True, ahead=CLUSTER_AHEAD)
        return
    with cluster_pool(scheduler) as pool:
        if jobs is None:
            yield Workers(pool, pool.threads, remote=True, ahead=CLUSTER_AHEAD)
        else:  # no more is under way than was asked for
            yield Workers(pool, min(jobs, pool.threads), remote=True, ahead=1)


_STARTED: dict[str, Callable[[int | None, str | None], AbstractContextManager[Workers]]] = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
}


ALONE = Workers(None, 1)
