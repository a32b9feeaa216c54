"""Workers behind one interface: threads, processes, or a Dask cluster."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from icas.common.errors import UsageError
from icas.common.registry import need
from icas.parallel.child_processes import one_thread_each
from icas.parallel.pool import Here, Pool, Shared, Task, run_all

T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)
EXECUTORS = ("threads", "processes", "dask")
AHEAD = 2
"""Groups of tasks per worker that are under way or wait to be fetched."""
CLUSTER_AHEAD = 4
"""The same where tasks and results travel: the next one should be there already."""


@dataclass(frozen=True)
class Workers:
    """Some workers; without a pool, the calling thread does the work.

    Attributes
    ----------
    jobs : int
        Number of workers.
    remote : bool
        They are other processes, to which the arguments of tasks are sent.
    ahead : int
        Groups of tasks per worker that are under way or wait to be fetched.
    """

    pool: Pool | None
    jobs: int
    remote: bool = False
    ahead: int = AHEAD

    def ordered(self, function: Callable[..., T], tasks: Iterable[Task]) -> Iterator[T]:
        """Results of ``function(*task)`` in the order of `tasks`.

        A `Shared` among the arguments is replaced by its value. The number of tasks that run or
        wait to be fetched is bounded, and so is memory, for any number of `tasks`.
        """
        if self.pool is None:
            for task in tasks:
                yield from run_all(function, [task])
            return
        waiting: deque[Any] = deque()
        remaining = iter(tasks)
        size = 1  # until a result shows how long these tasks take
        try:
            while group := list(islice(remaining, size)):
                waiting.append(self.pool.submit(function, group))
                if len(waiting) >= self.ahead * self.jobs:
                    yield from self.pool.results(waiting.popleft())
                    size = self.pool.group_size(function)
            while waiting:
                yield from self.pool.results(waiting.popleft())
        finally:
            self.pool.drop(waiting)

    def share(self, value: Any) -> Shared:
        """`value`, for the arguments of many tasks: no worker is sent it twice.

        Its `release` says that no further task will refer to it; `BlockCache` calls that.
        """
        return Here(value) if self.pool is None else self.pool.share(value)

    def reading(self, files: Iterable[Path]) -> Workers:
        """The same workers for tasks that read files, of which these are some.

        Workers on other machines may lack such files, or have others in their place. Each checks
        once before its first task; a difference ends the run with one line.
        """
        return self if self.pool is None else replace(self, pool=self.pool.reading(files))


ALONE = Workers(None, 1)
"""The calling thread."""


class BlockCache(Generic[Key]):
    """Blocks of data that tasks refer to, each shared from its first task to its last.

    In one process there is nothing to share: a block is loaded for each task, which is free for a
    slice, and mapped blocks leave memory after their use.

    Parameters
    ----------
    load : callable
        Key of a block -> the block.
    uses : callable
        Key of a block -> number of tasks that refer to it. A block with one use travels with it.
    """

    def __init__(
        self, workers: Workers, load: Callable[[Key], Any], uses: Callable[[Key], int]
    ) -> None:
        self._workers = workers
        self._load = load
        self._uses = uses
        self._shared: dict[Key, Shared] = {}
        self._remaining: dict[Key, int] = {}

    def ordered(
        self, function: Callable[..., T], tasks: Iterable[tuple[Sequence[Key], Task]]
    ) -> Iterator[T]:
        """As `Workers.ordered`: ``function(*rest, *blocks)`` of each (keys, rest) of `tasks`."""
        under_way: deque[Sequence[Key]] = deque()

        def with_blocks() -> Iterator[Task]:
            for keys, rest in tasks:
                under_way.append(keys)
                yield (*rest, *(self._block(key) for key in keys))

        try:
            for result in self._workers.ordered(function, with_blocks()):
                for key in under_way.popleft():
                    self._release(key)
                yield result
        finally:
            for shared in self._shared.values():
                shared.release()
            self._shared.clear()

    def _block(self, key: Key) -> Shared:
        if not self._workers.remote:
            return Here(self._load(key))
        if key not in self._shared:
            self._remaining[key] = self._uses(key)
            value = self._load(key)
            once = self._remaining[key] == 1
            self._shared[key] = Here(value) if once else self._workers.share(value)
        return self._shared[key]

    def _release(self, key: Key) -> None:
        if key not in self._shared:
            return
        self._remaining[key] -= 1
        if self._remaining[key] == 0:
            del self._remaining[key]
            self._shared.pop(key).release()


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def start_workers(
    kind: str = "threads", jobs: int | None = None, scheduler: str | None = None
) -> Iterator[Workers]:
    """Workers of a kind, which end with the block.

    Parameters
    ----------
    jobs : int, optional
        Number of workers; default all cores that this process may use, and with `scheduler` all
        threads of the cluster.
    scheduler : str, optional
        Address of a Dask scheduler; without it a local Dask cluster is started.
    """
    if kind not in EXECUTORS:
        raise UsageError(f"unknown executor {kind!r}: choose from {', '.join(EXECUTORS)}")
    if scheduler is not None and kind != "dask":
        raise UsageError(f"--scheduler requires --executor dask, not {kind}")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}: must be at least 1")
    with one_thread_each(), _STARTED[kind](jobs, scheduler) as workers:
        yield workers


@contextmanager
def _threads(jobs: int | None, _: str | None) -> Iterator[Workers]:
    count = jobs or core_count()
    if count == 1:
        yield ALONE
        return
    executor = ThreadPoolExecutor(count, thread_name_prefix="icas")
    try:
        yield Workers(Pool(executor), count)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


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
        else:  # no more is under way than `jobs` allows
            yield Workers(pool, min(jobs, pool.threads), remote=True, ahead=1)


_STARTED: dict[str, Callable[[int | None, str | None], AbstractContextManager[Workers]]] = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
}
