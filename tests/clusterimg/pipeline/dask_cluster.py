"""A Dask cluster of processes on the loopback, and what kills some of them in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import distributed

from icas.cli.console import Console

SECONDS = 60
"""Patience of the tests: nothing of this takes as long, even on a busy machine."""


class Cluster:
    """A scheduler and workers of one thread each, on the loopback, at free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = folder / "scheduler.json"
        self.workers: list[subprocess.Popen] = []
        self.scheduler = self._start("dask scheduler", "--port", "0")
        self._until(self.told.exists)

    def _start(self, name: str, *words: str, first: str = "") -> subprocess.Popen:
        code = f"{first}\nimport sys\nfrom dask.__main__ import main\nsys.argv[0] = 'dask'\nmain()"
        command = [sys.executable, "-c", code, *name.split()[1:], "--host", "127.0.0.1"]
        command += ["--no-dashboard", "--scheduler-file", str(self.told), *words]
        log = (self.folder / f"{len(self.workers)}-{name}.log").open("wb")
        with log:
            return subprocess.Popen(command, stderr=log, stdout=log, cwd=self.folder)

    def add(self, count: int = 1, *, first: str = "") -> Cluster:
        """Start workers; `first` is Python that each runs before anything else."""
        for _ in range(count):
            own = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
            self.workers.append(self._start("dask worker", *own, first=first))
        if self.workers:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some are old on purpose
                client = distributed.Client(self.address, set_as_default=False)
            with client:
                client.wait_for_workers(len(self.workers), timeout=SECONDS)
        return self

    @property
    def address(self) -> str:
        return json.loads(self.told.read_text())["address"]

    def _until(self, so) -> None:
        end = time.monotonic() + SECONDS
        while not so():
            assert time.monotonic() < end
            assert self.scheduler.poll() is None
            time.sleep(0.05)

    def tasks_of(self, client, workers: list[subprocess.Popen]) -> int:
        """Results and tasks that these workers have."""
        pids = client.run(os.getpid)
        addresses = [address for address, pid in pids.items() if pid in {w.pid for w in workers}]
        has, does = client.has_what(), client.processing()
        return sum(len(has[address]) + len(does[address]) for address in addresses)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def started(folder: Path, workers: int, *, first: str = ""):
    cluster = Cluster(folder)
    try:
        yield cluster.add(workers, first=first)
    finally:
        cluster.stop()


class Mute:
    """A bar that shows nothing."""

    def update(self, steps: int) -> None:
        pass


@dataclass(frozen=True)
class Killer(Console):
    """Kills processes when a bar has moved for the n-th time, in the middle of what it shows."""

    what: str = ""
    after: int = 0
    victims: tuple[subprocess.Popen, ...] = ()
    look: Callable[[], object] = str
    moved: list[int] = field(default_factory=list)
    seen: list[object] = field(default_factory=list)

    @contextmanager
    def bar(self, total, what, unit):
        yield self if what == self.what else Mute()

    def update(self, steps: int) -> None:
        self.moved.append(steps)
        if len(self.moved) == self.after:
            self.seen.append(self.look())
            for process in self.victims:
                process.send_signal(signal.SIGKILL)
                process.wait()
