"""Carries a plan out: the only place where images are copied, moved or linked."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from icas.clusterimg.journal import Journal
from icas.clusterimg.layout import Plan
from icas.common.errors import ConflictError, IcasError
from icas.common.executors import start_workers
from icas.common.files import unfinished
from icas.common.progress import Bar

TRANSFERS = ("copy", "move", "hardlink", "symlink", "none")
_TOGETHER = 64
"""Files between two entries in the journal."""


def check_plan(plan: Plan, how: str) -> None:
    """Find out what would stop the plan before anything is touched.

    Raises
    ------
    ConflictError
        A target exists already, the disk is too full, or hard links cannot reach it.
    """
    for move in plan.moves:
        target = plan.root / move.target
        if os.path.lexists(target):
            raise ConflictError(f"{target} exists already and is not overwritten")
    ground = _existing(plan.root)
    if how == "copy":
        _check_room(plan, ground)
    elif how == "hardlink":
        for move in plan.moves:
            if move.source.stat().st_dev != ground.stat().st_dev:
                raise ConflictError(
                    f"hard links cannot reach from {move.source.parent} to {plan.root}, which are"
                    " different file systems: use --transfer copy or symlink"
                )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _check_room(plan: Plan, ground: Path) -> None:
    needed, free = plan.bytes(), shutil.disk_usage(ground).free
    if needed > free:
        raise ConflictError(
            f"{plan.root} needs {needed / 1e6:,.0f} MB and its disk has {free / 1e6:,.0f} MB free:"
            " use --transfer hardlink, or another --dst"
        )


def carry_out(plan: Plan, how: str, journal: Journal, jobs: int | None, bar: Bar) -> None:
    """Put every image of `plan` in its place.

    The journal must hold the plan already. A file appears under its name whole or not at all; a
    source is removed (``move``) only after its copy is on disk and equal.

    Raises
    ------
    IcasError
        A file cannot be carried; those before it are done and recorded.
    """
    if how == "none":
        return
    for folder in plan.folders():
        (plan.root / folder).mkdir(parents=True, exist_ok=True)
    pairs = ((move.source, plan.root / move.target) for move in plan.moves)
    # Threads whatever computes: this work waits for the disk, and must run on this machine.
    with start_workers("threads", jobs) as workers, _recorded(journal) as done:
        carried = workers.ordered(_CARRIERS[how], pairs)
        for move, _ in zip(plan.moves, carried, strict=True):
            done.append(str(move.target))
            bar.update(1)
            if len(done) == _TOGETHER:
                journal.done(done)
                done.clear()
    for folder in plan.folders():
        sync_folder(plan.root / folder)


@contextmanager
def _recorded(journal: Journal) -> Iterator[list[str]]:
    """A list of targets that is written to the journal when the block is left, however it is."""
    done: list[str] = []
    try:
        yield done
    finally:
        journal.done(done)


@contextmanager
def _told(source: Path, target: Path) -> Iterator[None]:
    """Turns what the system says into one line with both names."""
    try:
        yield
    except OSError as error:
        raise IcasError(f"cannot put {source} at {target}: {error.strerror or error}") from error


def copy(source: Path, target: Path) -> None:
    """A copy of `source` with its times and mode, under its name only when whole and on disk."""
    with _told(source, target), _temporary(target) as temporary:
        shutil.copy2(source, temporary)
        _sync(temporary)
        place(temporary, target)


def move(source: Path, target: Path) -> None:
    """`source` at `target`; at no moment is the image in neither place.

    Within one file system the file itself gets its second name before it loses the first.
    """
    with _told(source, target):
        if not _second_name(source, target):
            with _temporary(target) as temporary:
                shutil.copy2(source, temporary)
                _sync(temporary)
                if not filecmp.cmp(source, temporary, shallow=False):
                    raise OSError(errno.EIO, "the copy differs from its source, which is kept")
                place(temporary, target)
        sync_folder(target.parent)
        source.unlink()


def hardlink(source: Path, target: Path) -> None:
    """A second name for the file `source` (or for the file that it points to)."""
    with _told(source, target):
        os.link(source.resolve(), target)


def symlink(source: Path, target: Path) -> None:
    """A symbolic link at `target` that points to `source` by its whole path."""
    with _told(source, target):
        target.symlink_to(source.absolute())


_CARRIERS: dict[str, Callable[[Path, Path], None]] = {
    "copy": copy,
    "move": move,
    "hardlink": hardlink,
    "symlink": symlink,
}


def _second_name(source: Path, target: Path) -> bool:
    """Give the file `source` the name `target` too, where the file system can."""
    if source.is_symlink():
        return False
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A short name beside `target`, gone afterwards whatever happens."""
    path = unfinished(target)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def place(temporary: Path, target: Path) -> None:
    """Give `temporary` its final name; fails where that exists."""
    try:
        os.link(temporary, target)
        temporary.unlink()
    except FileExistsError:
        raise
    except OSError:  # no hard links here
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "exists already", str(target)) from None
        temporary.rename(target)


def _sync(path: Path) -> None:
    with path.open("rb+" if sys.platform == "win32" else "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
