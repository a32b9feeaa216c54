"""A small source, the command as users call it, and whether anything was lost."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from skimage import data as samples

from icas.clusterimg.commands.main import main

FLAGS = ("--method", "imagehash", "--threshold", "0.8", "--no-cache")
TRANSFERS = ("copy", "move", "hardlink", "symlink", "none")
NAMES = ("astronaut-1.png", "astronaut-2.jpg", "coffee-1.png", "coffee-2.jpg", "moon.png")
UNLUCKY = ("Traceback", "unexpected error")
CAPABILITIES = 64
DROP_FROM_BOUNDING_SET = 24


@dataclass(frozen=True)
class Ran:
    """A command that came to its end."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said on stderr."""
        return self.err.splitlines()


@dataclass
class World:
    """A folder with a source, in which commands run.

    Attributes
    ----------
    root : Path
    capsys : fixture
    """

    root: Path
    capsys: pytest.CaptureFixture[str] = field(repr=False)

    @property
    def source(self) -> Path:
        return self.root / "src"

    @property
    def result(self) -> Path:
        return self.root / "dst"

    def words(self, *more: str | Path, source: str | Path | None = None) -> list[str]:
        """The words of a run from the source into the result."""
        folders = ("--src", source or self.source, "--dst", self.result)
        return [str(word) for word in (*folders, *FLAGS, *more)]

    def run(self, *more: str | Path, source: str | Path | None = None) -> Ran:
        """A run, in this process."""
        return self.command(*self.words(*more, source=source))

    def command(self, *words: str | Path) -> Ran:
        """``clusterimg`` with these words, in this process."""
        self.capsys.readouterr()
        code = main([str(word) for word in words])
        said = self.capsys.readouterr()
        return lucky(Ran(code, said.out, said.err))

    def undo(self) -> Ran:
        """The run taken back."""
        return self.command("undo", self.result)

    def apart(self, words: Sequence[str], **how: object) -> Ran:
        """``clusterimg`` with these words, in a process of its own."""
        return run_apart(words, cwd=self.root, **how)

    def unprivileged(self, *more: str | Path) -> Ran:
        """A run that may do no more than the permissions of files allow."""
        return self.apart(self.words(*more), preexec_fn=drop_privileges)

    def undo_unprivileged(self) -> Ran:
        return self.apart(["undo", str(self.result)], preexec_fn=drop_privileges)

    def unreadable(self) -> dict[str, str]:
        """What ``unreadable.csv`` says."""
        text = (self.result / "unreadable.csv").read_bytes().decode("utf-8", "surrogateescape")
        rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
        return dict(rows)

    def placed(self) -> list[str]:
        """Names of the files in ``result/``, sorted."""
        found = (files for _, _, files in os.walk(self.result / "result"))
        return sorted(name for files in found for name in files)


def lucky(ran: Ran) -> Ran:
    """`ran`, if whatever it said is meant for users."""
    for word in UNLUCKY:
        assert word not in ran.out + ran.err
    assert all(line.isprintable() for line in (ran.out + ran.err).split("\n"))
    return ran


def run_apart(words: Sequence[str], *, code: str | None = None, **how: object) -> Ran:
    """``clusterimg`` with these words in a process of its own, after the program `code`."""
    start = ["-m", "icas.clusterimg"] if code is None else ["-c", code]
    environment = how.pop("env", {})
    assert isinstance(environment, Mapping)
    done = subprocess.run(
        [sys.executable, *start, *words],
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
        **how,
    )
    out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return lucky(Ran(done.returncode, out, err))


def drop_privileges() -> None:
    """What the superuser may beyond others is gone with the next program that is started."""
    import ctypes

    libc = ctypes.CDLL(None)
    for capability in range(CAPABILITIES):
        libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)


def state(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Every name below `folder`, with kind, bytes and time; links as links."""
    found: dict[bytes, tuple[object, ...]] = {}
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            status = path.lstat()
            content = b""
            if path.is_symlink():
                content = os.fsencode(path.readlink())
            elif path.is_file() and os.access(path, os.R_OK):
                content = hashlib.blake2b(path.read_bytes()).digest()
            time = None if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
            name = os.fsencode(path.relative_to(folder))
            found[name] = (stat.S_IFMT(status.st_mode), content, time)
    return found


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of pictures that are alike, and one alone."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "coffee"):
        picture = Image.fromarray(getattr(samples, name)()).resize((120, 90))
        picture.save(folder / f"{name}-1.png")
        picture.save(folder / f"{name}-2.jpg", quality=80)
    Image.fromarray(samples.moon()).resize((120, 90)).save(folder / "moon.png")
    return folder


@pytest.fixture
def world(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    shutil.copytree(pictures, tmp_path / "src")
    return World(tmp_path, capsys)


@pytest.fixture
def tools() -> SimpleNamespace:
    """What tests of bad worlds share."""
    return SimpleNamespace(
        state=state, run_apart=run_apart, drop_privileges=drop_privileges, flags=FLAGS
    )


@pytest.fixture(params=TRANSFERS)
def transfer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def unharmed(world: World) -> Callable[[], None]:
    """Asserts that the source is as it was when the test asked for this, and no result is left."""
    before = state(world.source)

    def check() -> None:
        assert state(world.source) == before
        assert not os.path.lexists(world.result)

    return check
