"""Runs ``clusterimg`` and strikes at its n-th step: a change to the disk, or a write to a journal.

    python steps.py --fault kill|half|stop|ENOSPC|EIO|… --at N --in DIR -- WORDS …

A step is what changes files below DIR: making, opening for writing, linking, renaming, removing,
copying, setting times, forcing to disk, and each statement and commit of SQLite. *kill* is SIGKILL
just before the step, *half* the same in the middle of a copy, *stop* is SIGSTOP, and a name of
`errno` is the error that this step, and it alone, meets; with ``+`` behind it every later one too.

``--serve`` keeps one warm process that forks one child for each command it reads (`Commands`).
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import json
import mmap
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EVENTS = {
    "os.link": 1,
    "os.rename": 1,
    "os.remove": 0,
    "os.mkdir": 0,
    "os.rmdir": 0,
    "os.utime": 0,
    "os.symlink": 1,
    "os.truncate": 0,
    "os.chmod": 0,
    "shutil.copyfile": 1,
}
"""Audit events that are steps, with the argument that says where."""
SIGNALS = {"kill": signal.SIGKILL, "half": signal.SIGKILL, "stop": signal.SIGSTOP}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_SAID_BY_SQLITE = {
    errno.ENOSPC: "database or disk is full",
    errno.EDQUOT: "database or disk is full",
    errno.EROFS: "attempt to write a readonly database",
}


@dataclass(frozen=True)
class Strike:
    """What happens to a command, and when.

    Attributes
    ----------
    fault : str
        ``none`` (steps are only counted), ``kill``, ``half``, ``stop`` or an errno's name, perhaps
        with + behind it.
    at : int
        The number of the step, from 1.
    hard_links : bool
        False: as on a file system that knows none.
    """

    fault: str = "none"
    at: int = 0
    hard_links: bool = True


class Steps:
    """Counts the steps of this process below `world`, and strikes."""

    def __init__(self, world: Path, strike: Strike, count: mmap.mmap) -> None:
        self.world = os.fsencode(world.resolve())
        self.strike = strike
        self.error = getattr(errno, strike.fault.rstrip("+"), None)
        self.lasting = strike.fault.endswith("+")
        self._count = count
        self._lock = threading.Lock()

    def install(self) -> None:
        """Begin; there is no way back for this process."""
        sys.addaudithook(self._audit)
        for name in ("fsync", "sendfile"):
            setattr(os, name, self._before(name, getattr(os, name)))
        sqlite3.connect = self._connect

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITES:
                self._at_path(event, path)
        elif event in EVENTS:
            self._at_path(event, args[EVENTS[event]])

    def _at_path(self, event: str, path: object) -> None:
        if not isinstance(path, (str, bytes)):
            return
        whole = os.path.abspath(os.fsencode(path))  # noqa: PTH100  (resolve would follow links)
        if whole.startswith(self.world):
            if event == "os.link" and not self.strike.hard_links:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)
            self.step(path)

    def _before(self, name: str, act: Any) -> Any:
        def stepped(*args: Any) -> Any:
            if name == "sendfile" and self.is_next("half"):
                act(args[0], args[1], args[2], max(1, os.fstat(args[1]).st_size // 2))
            self.step(None)
            return act(*args)

        return stepped

    def _connect(self, *args: Any, **named: Any) -> sqlite3.Connection:
        return _database(self)(*args, **named)

    def is_next(self, fault: str) -> bool:
        """Whether the next step is the one that `fault` is to strike at."""
        return self.strike.fault == fault and self._read() + 1 == self.strike.at

    def _read(self) -> int:
        return int(struct.unpack("q", self._count[:8])[0])

    def strikes(self) -> bool:
        """Count one step; whether it is struck."""
        with self._lock:
            number = self._read() + 1
            self._count[:8] = struct.pack("q", number)
        if number == self.strike.at and self.strike.fault in SIGNALS:
            os.kill(os.getpid(), SIGNALS[self.strike.fault])
        struck = number >= self.strike.at if self.lasting else number == self.strike.at
        return self.error is not None and struck

    def step(self, path: Any) -> None:
        """One step of the file system."""
        if self.strikes():
            raise OSError(self.error, os.strerror(self.error), path)

    def statement(self) -> None:
        """One step of a database."""
        if self.strikes():
            raise sqlite3.OperationalError(_SAID_BY_SQLITE.get(self.error, "disk I/O error"))


def _database(steps: Steps) -> type[sqlite3.Connection]:
    """Connections whose writes are steps."""

    class Database(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            if not args[0].lstrip().upper().startswith(("SELECT", "PRAGMA TABLE_INFO")):
                steps.statement()
            return super().execute(*args)

        def executemany(self, *args: Any) -> sqlite3.Cursor:
            steps.statement()
            return super().executemany(*args)

        def executescript(self, *args: Any) -> sqlite3.Cursor:
            steps.statement()
            return super().executescript(*args)

        def __exit__(self, kind: Any, *rest: Any) -> Any:
            if kind is None:
                try:
                    steps.statement()
                except sqlite3.Error:
                    self.rollback()
                    raise
            return super().__exit__(kind, *rest)

    return Database


def run_here(words: Sequence[str], world: Path, strike: Strike, count: mmap.mmap) -> int:
    """The exit code of ``clusterimg WORDS``, run in this process under `strike`."""
    from icas.clusterimg.commands.main import main

    Steps(world, strike, count).install()
    try:
        return main(list(words))
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1


# -- one warm process for many commands --


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Attributes
    ----------
    code : int
        Its exit code; -9 = killed.
    steps : int
        Steps that it came to.
    out, err : str
    """

    code: int
    steps: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Commands:
    """Commands run by a warm process, each in a child of its own; a context manager.

    Parameters
    ----------
    world : Path
        Where steps count, and the working folder.
    """

    def __init__(self, world: Path) -> None:
        self.world = world
        environ = os.environ | {"XDG_CACHE_HOME": str(world / "cache")}
        self._server = subprocess.Popen(
            [sys.executable, __file__, "--serve", "--in", str(world)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=world,
            env=environ,
        )

    def __enter__(self) -> Commands:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def run(self, words: Sequence[object], strike: Strike | None = None) -> Done:
        """Run ``clusterimg WORDS`` to its end, or until it is killed."""
        asked = {"words": list(map(os.fspath, words)), "strike": asdict(strike or Strike())}
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        return Done(*json.loads(self._server.stdout.readline()))


def serve(world: Path) -> None:
    """Read commands, one a line; answer each with how it ended."""
    count = mmap.mmap(-1, 8)
    warm_up()
    for line in sys.stdin:
        asked = json.loads(line)
        count[:8] = bytes(8)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                code = 70
                try:
                    code = run_here(asked["words"], world, Strike(**asked["strike"]), count)
                    sys.stdout.flush()
                    sys.stderr.flush()
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            told = [_text(out), _text(err)]
        steps = struct.unpack("q", count[:8])[0]
        print(json.dumps([os.waitstatus_to_exitcode(status), steps, *told]), flush=True)


def warm_up() -> None:
    """Import what a run imports; the run itself, with its threads, is that of a child."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as names:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                _small_run(Path(folder))
                names.write("\n".join(sys.modules).encode())
                names.flush()
            os._exit(0)
        os.waitpid(child, 0)
        for name in _text(names).split():
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _small_run(folder: Path) -> None:
    from PIL import Image

    from icas.clusterimg.commands.main import main

    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    (folder / "src").mkdir()
    for number in range(3):
        Image.new("RGB", (16, 16), (number * 80, 9, 9)).save(folder / "src" / f"{number}.png")
    words = ["--src", folder / "src", "--dst", folder / "dst", "--method", "imagehash", "-q"]
    main([*map(str, words), "--threshold", "0.9", "--no-cache"])
    main(["undo", str(folder / "dst")])


def _text(file: Any) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fault", default="none")
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--no-hard-links", action="store_true")
    parser.add_argument("--in", dest="world", type=Path, default=Path())
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    if given.serve:
        serve(given.world)
        return 0
    strike = Strike(given.fault, given.at, not given.no_hard_links)
    count = mmap.mmap(-1, 8)
    code = run_here(given.words, given.world, strike, count)
    print(f"{struct.unpack('q', count[:8])[0]} steps", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
