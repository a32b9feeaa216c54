"""What the tests of re-cuts and splits share: results to cut, snapshots, and ways to be killed."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import icas
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.results.saved import SavedState

PICTURES = (".png", ".jpg", ".bmp")


class Killed(BaseException):
    """Stands for the end of the process."""


def same_names(photos: Path, folder: Path) -> Path:
    """The photos of `photos`, each in a folder of its own, in which all are called alike."""
    for path in photos.iterdir():
        place = folder / path.stem
        place.mkdir(parents=True)
        shutil.copy2(path, place / f"picture{path.suffix}")
    return folder


def thresholds(dst: Path) -> list[float]:
    """Thresholds at which a result changes, ascending; the first is the one it was made at."""
    forest = SavedState.read(dst).forest
    steps = sorted({float(value) for value in forest.similarity})
    return [forest.floor, *(step for step in steps if step > forest.floor)]


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its content, the database of the journal left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".db", ".db-wal", ".db-shm")
    }


def pictures_below(folder: Path) -> list[bytes]:
    """Contents of all pictures below ``result`` and in between, sorted."""
    places = [folder / "result", folder / ".icas" / "moving"]
    paths = [path for place in places for path in place.rglob("*") if path.is_file()]
    return sorted(path.read_bytes() for path in paths if path.suffix in PICTURES)


@contextmanager
def killed_before_step(monkeypatch, step: int):
    """Whatever renames, removes or commits last is step `step`, counted from 0; then `Killed`."""
    left = step

    def deadly(function):
        def run(*args, **kwargs):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return function(*args, **kwargs)

        return run

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "rmdir", "mkdir"):
            patch.setattr(Path, name, deadly(getattr(Path, name)))
        for name in ("begin_rearrangement", "begin_placing", "begin_writing", "end_rearrangement"):
            patch.setattr(Journal, name, deadly(getattr(Journal, name)))
        yield


KILLER = """
import os, signal, sys
from pathlib import Path
from icas.clusterimg.commands import main as cli
from icas.clusterimg.journal.journal import Journal

left = int(sys.argv[1])

def deadly(function):
    def run(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return run

for name in ("rename", "replace", "rmdir"):
    setattr(Path, name, deadly(getattr(Path, name)))
for name in ("begin_rearrangement", "begin_placing", "begin_writing", "end_rearrangement"):
    setattr(Journal, name, deadly(getattr(Journal, name)))
sys.exit(cli.main(sys.argv[2:]))
"""


def made_at(source: Path, dst: Path, threshold: float = 0.5, **settings) -> Path:
    """A result of `source` in `dst`."""
    given = {"method": "imagehash", "threshold": threshold, **settings}
    icas.cluster(source, dst=dst, **given)
    return dst


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above, which tests cannot import."""
    return SimpleNamespace(
        Killed=Killed,
        KILLER=KILLER,
        files_below=files_below,
        killed_before_step=killed_before_step,
        made_at=made_at,
        pictures_below=pictures_below,
        same_names=same_names,
        thresholds=thresholds,
    )


@pytest.fixture
def source(photos, tmp_path) -> Path:
    """A folder of photos of which many have the same name."""
    return same_names(photos, tmp_path / "photos")


@pytest.fixture
def result(source, tmp_path) -> Path:
    """A result whose files have the same names, so that places must be swapped."""
    return made_at(source, tmp_path / "out", recursive=True)
