"""Workers of a Dask cluster, on this machine or on many."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import dask
import distributed
from distributed.scheduler import KilledWorker

from icas.common.errors import IcasError
from icas.parallel.child_processes import children_of_one_thread, deaf_children, interrupted_later
from icas.parallel.dask_tasks import Place, Seen, icas_version, run_packed, unpacked
from icas.parallel.sharing import LARGE, Here, Shared, Task, pack

COMPUTING = ("numpy", "opencv-contrib-python", "Pillow", "ImageHash", "scikit-image", "scipy")
"""Packages on which features and similarities depend; two versions may differ in a bit."""
TALKING = ("dask", "distributed")


def check_cluster(client: Any, scheduler: str) -> None:
    """Compare the versions of the scheduler and of all workers with those here.

    Raises
    ------
    IcasError
        The first machine that lacks icas, or has other versions.
    """
    _check_icas(client, scheduler)
    found = client.get_versions(packages=list(COMPUTING))
    ours = found["client"]["packages"]
    _compare(f"the Dask scheduler at {scheduler}", ours, found["scheduler"]["packages"], TALKING)
    for address, told in sorted(found["workers"].items()):
        _compare(f"Dask worker {address}", ours, told["packages"], (*TALKING, *COMPUTING))


def _check_icas(client: Any, scheduler: str) -> None:
    """All machines must have the icas that is here; tasks name its functions."""
    own = icas_version()
    told: dict[str, Any] = client.run(icas_version, on_error="return")
    try:
        told = {**told, scheduler: client.run_on_scheduler(icas_version)}
    except Exception as error:
        told = {**told, scheduler: error}
    for address, version in sorted(told.items()):
        who = f"{'the Dask scheduler at' if address == scheduler else 'Dask worker'} {address}"
        if isinstance(version, Exception) and "ModuleNotFoundError" in repr(version):
            raise IcasError(f"{who} cannot load icas ({version}): pip install 'icas[dask]' there")
        if isinstance(version, Exception):
            raise IcasError(f"{who} does not answer: {version}")
        if version != own:
            raise IcasError(f"{who} has icas {version}, here is {own}: install the same")


def _compare(
    who: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], names: tuple[str, ...]
) -> None:
    """What both have must be the same; of Python the first two numbers."""
    other = [
        f"{name} {theirs[name]} (here {ours[name]})"
        for name in names
        if ours.get(name) and theirs.get(name) and ours[name] != theirs[name]
    ]
    if _python(ours) != _python(theirs):
        other.insert(0, f"Python {_python(theirs)} (here {_python(ours)})")
    if other:
        raise IcasError(
            f"{who} has {', '.join(other)}: install the same versions everywhere, else what comes"
            " out depends on who computes it"
        )


def _python(versions: Mapping[str, Any]) -> str:
    return ".".join(str(versions["python"]).split(".")[:2])


CONNECT = 10
"""Seconds in which a scheduler must answer, and have a worker."""
LOOK = 2.0
"""Seconds after which a wait for a result looks whether the cluster is still there."""
PATIENCE = 60.0
"""Seconds for which a cluster may be without workers: they may be on their way."""
RETRIES = 2
"""How often a task that fails is tried again, perhaps on a machine with more memory."""
WORTH = 0.3
"""Seconds of work that go to a worker at a time, at the least."""
TOLL = 0.006
"""... and more where there are many workers: so many seconds for each thread of the cluster. One
scheduler serves them all, and takes some 3 ms for what is sent, whatever it is."""
MOST = 256
"""Tasks that go to a worker at a time, however short they are."""
LIVES = 3
"""Workers that may die of one task before it is given up (in a local cluster; Dask's default)."""


@contextmanager
def local_pool(count: int) -> Iterator[DaskPool]:
    """A Dask cluster of `count` processes on this machine, gone when the block is left.

    Raises
    ------
    IcasError
        It does not start.
    """
    with _calm(), _local_cluster(count) as client:
        yield DaskPool(client, "of this machine", count)


@contextmanager
def _local_cluster(count: int) -> Iterator[Any]:
    with interrupted_later(), deaf_children(), children_of_one_thread():
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
                f"the local Dask cluster does not start ({error}); in a script, whatever starts it"
                " stands below if __name__ == '__main__':"
            ) from error
    try:
        yield client
    finally:
        with interrupted_later():
            client.close()
            cluster.close()


@contextmanager
def cluster_pool(scheduler: str) -> Iterator[DaskPool]:
    """The cluster of the scheduler at that address.

    Raises
    ------
    IcasError
        No scheduler answers, it has no workers, or they have other versions of what computes.
    """
    with _calm():
        try:
            with warnings.catch_warnings():  # versions are looked at below
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
            check_cluster(client, scheduler)
            yield DaskPool(client, f"at {scheduler}", sum(client.nthreads().values()))


@dataclass(frozen=True)
class DaskPool:
    """Workers of a Dask cluster.

    A task is its packed self and the blocks that it refers to. Blocks are tasks as well, which
    give what they hold: where a worker dies, the scheduler runs them again elsewhere, and no block
    is lost that only that worker had (as it would be if it were scattered).

    Attributes
    ----------
    client : distributed.Client
    where : str
        The scheduler, in words.
    threads : int
        Of all workers together.
    seen : tuple of Seen
        Files that a worker must see.
    pace : dict of str to float
        Seconds that a task of each function took last.
    """

    client: Any
    where: str
    threads: int
    seen: tuple[Seen, ...] = ()
    pace: dict[str, float] = field(default_factory=dict)

    def at_once(self, function: Callable[..., Any]) -> int:
        seconds = self.pace.get(function.__qualname__)
        if seconds is None:
            return 1
        wanted = max(WORTH, TOLL * self.threads)
        return max(1, min(MOST, int(wanted / max(seconds, 1e-6))))

    def submit(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Any:
        blocks: list[Any] = []
        plain = [[self._plain(part, blocks) for part in task] for task in tasks]
        packed = pack((function, plain))
        future = self._submitted(run_packed, packed, self.seen, *blocks)
        return Sent(future, function.__qualname__, len(tasks))

    def _plain(self, part: Any, blocks: list[Any]) -> Any:
        """What stands for an argument in a packed task; futures that it needs go into `blocks`."""
        if not isinstance(part, Far):
            return part.open() if isinstance(part, Shared) else part
        if part.future not in blocks:
            blocks.append(part.future)
        return Place(blocks.index(part.future))

    def _submitted(self, function: Callable[..., Any], *task: Any) -> Any:
        try:
            return self.client.submit(function, *task, pure=False, retries=RETRIES)
        except (OSError, RuntimeError) as error:  # the client closes when its scheduler is gone
            if self.client.status == "running":
                raise
            raise self._lost() from error

    def results(self, sent: Sent) -> list[Any]:
        found, seconds = self._result(sent.future)
        sent.future.release()
        self.pace[sent.function] = seconds / sent.tasks
        return cast("list[Any]", found)

    def _result(self, future: Any) -> Any:
        alone_since: float | None = None
        while True:
            try:
                return future.result(timeout=LOOK)
            except distributed.TimeoutError:
                if future.status == "error":
                    raise future.exception() from None  # it came meanwhile
                alone_since = self._alone_since(alone_since)
            except KilledWorker as error:
                raise IcasError(
                    f"a task took {error.allowed_failures + 1} Dask workers with it, one after the"
                    " other, as it does when their memory runs out: give them more, or try a"
                    " smaller --batch-size or --size"
                ) from error
            except CancelledError as error:
                raise self._lost() from error
            except ModuleNotFoundError as error:
                raise IcasError(f"a Dask worker cannot load icas: {error}") from error

    def _alone_since(self, since: float | None) -> float | None:
        """Since when the cluster has no workers; None while it has some."""
        if self.client.status in ("closed", "closing"):
            raise self._lost()
        if self.client.status != "running" or self.client.nthreads():
            return None
        now = time.monotonic()
        if since is not None and now - since > PATIENCE:
            raise IcasError(
                f"the Dask scheduler {self.where} has had no workers for {PATIENCE:g} seconds: all"
                " have stopped or died"
            )
        return now if since is None else since

    def _lost(self) -> IcasError:
        return IcasError(f"the Dask scheduler {self.where} was lost in the middle of the run")

    def drop(self, futures: Iterable[Sent]) -> None:
        for sent in futures:
            sent.future.release()

    def share(self, value: Any) -> Shared:
        packed = pack(value)
        if packed.nbytes < LARGE:
            return Here(value)
        return Far(self._submitted(unpacked, packed))

    def reading(self, files: Iterable[Path]) -> DaskPool:
        return replace(self, seen=_some(list(files)))


@dataclass(frozen=True)
class Sent:
    """Tasks under way: their future, what they call, and how many they are."""

    future: Any
    function: str
    tasks: int


@dataclass(frozen=True)
class Far(Shared):
    """A block that Dask keeps."""

    future: Any

    def open(self) -> Any:
        raise TypeError("a block of a Dask cluster is opened by its workers")

    def release(self) -> None:
        self.future.release()


def _some(files: Sequence[Path]) -> tuple[Seen, ...]:
    """The first of `files`, one in the middle and the last, as far as they are there."""
    places = sorted({0, len(files) // 2, len(files) - 1}) if files else []
    found = []
    for path in (files[place].absolute() for place in places):
        try:
            found.append(Seen(str(path), path.stat().st_size))
        except OSError:
            continue
    return tuple(found)


def _debugging() -> bool:
    """Whether the user asked to see everything (--debug)."""
    return logging.getLogger("icas").isEnabledFor(logging.DEBUG)


@contextmanager
def _calm() -> Iterator[None]:
    """What Dask would say of workers that come and go stays off stderr: results tell, or errors.

    Blocks are large for Dask's taste as well: it would warn of them, too.
    """
    loggers = [] if _debugging() else list(_loggers("distributed", "tornado", "asyncio"))
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    own = {
        "distributed.admin.large-graph-warning-threshold": "1TB",
        "distributed.scheduler.allowed-failures": LIVES,
    }
    try:
        with dask.config.set(own):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _loggers(*names: str) -> Iterator[logging.Logger]:
    """The loggers of these names and all below them."""
    known = {**logging.root.manager.loggerDict, **dict.fromkeys(names)}
    for name in sorted(known):
        if name.split(".")[0] in names:
            yield logging.getLogger(name)
