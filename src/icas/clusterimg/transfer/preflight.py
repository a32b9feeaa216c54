"""Whether images can go into the result the way that is asked for: known before any is read."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.journal.journal import FOLDER, PARTS
from icas.common.errors import ConflictError

_LINKS = {
    "hardlink": ("link", "hard links", "copy or symlink"),
    "symlink": ("symlink", "symbolic links", "copy"),
}
"""What makes each kind of link, its name, and what else there is."""


def check_ways(images: Iterable[ImageRef], root: Path, how: str) -> None:
    """Find out before hours of work what would stop the transfer after them.

    Raises
    ------
    ConflictError
        As `check_folders`, or the file system of the result folder `root` knows no such links.
    """
    found = {ref.path.parent for ref in images if ref.state is not None}
    check_folders(found, root, how)
    if how in _LINKS and (root / FOLDER).is_dir():
        _check_links(root, how)


def check_folders(sources: Iterable[Path], root: Path, how: str) -> None:
    """Make sure that files of the folders `sources` can go into the result folder `root`.

    Raises
    ------
    ConflictError
        A folder may not be written, or hard links cannot reach from one into the result.
    """
    ground = existing(root)
    _check_writable([ground], "images cannot be put there")
    if how == "move":
        _check_writable(sources, "images cannot be moved out of it: use --transfer copy")
    away = elsewhere(sources, ground) if how == "hardlink" else ()
    if away:
        raise ConflictError(
            f"hard links cannot reach from {min(away)} to {root}, which are"
            " different file systems: use --transfer copy or symlink"
        )


def elsewhere(folders: Iterable[Path], ground: Path) -> set[Path]:
    """Those of `folders` that are on another file system than the folder `ground`."""
    device = ground.stat().st_dev
    return {folder for folder in folders if _device(folder) not in (device, None)}


def existing(folder: Path) -> Path:
    """`folder`, or the first above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _check_writable(folders: Iterable[Path], instead: str) -> None:
    for folder in sorted(folders):
        there = os.access(folder, os.F_OK)  # what is not is told when its images are carried
        if there and not os.access(folder, os.W_OK | os.X_OK):
            raise ConflictError(f"folder {folder} may not be written, {instead}")


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None  # told when its images are carried


def _check_links(root: Path, how: str) -> None:
    """Make a link to a file, as network shares and memory cards often cannot."""
    call, what, instead = _LINKS[how]
    parts = (root / PARTS).absolute()  # emptied by whoever comes after a run that was killed
    names = [parts / f"{secrets.token_hex(6)}.probe" for _ in range(2)]
    try:
        parts.mkdir(exist_ok=True)
        with names[0].open("xb"):
            getattr(os, call)(*names)
    except OSError as error:
        raise ConflictError(
            f"{what} cannot be made in {root} ({(error.strerror or str(error)).lower()}):"
            f" use --transfer {instead}"
        ) from error
    finally:
        _remove(names)
        with contextlib.suppress(OSError):
            parts.rmdir()


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


MANY = 10_000_000
"""Links from which on their tables are worth a word: some 400 MB."""
SIMILARITY = 12
"""Bytes of a line beside its two names: commas, similarity, end."""


def check_links_fit(root: Path, links: int, files: Sequence[str], console: Console) -> None:
    """Say how much the tables of many links take, and make sure that the disk has it.

    Images that are all alike form a cluster in which every pair is a link: 10,000 of them
    50 million.

    Raises
    ------
    ConflictError
        The disk of the result folder `root` is too full.
    """
    if links < MANY:
        return
    needed = links * (2 * _mean_length(files) + SIMILARITY)
    console.line(f"plan: list {links:,} links in tables of some {needed / 1e9:,.1f} GB")
    free = shutil.disk_usage(existing(root)).free
    if needed > free:
        raise ConflictError(
            f"the tables of {links:,} links need some {needed / 1e9:,.1f} GB and the disk of {root}"
            f" has {free / 1e9:,.1f} GB free: make room, choose another --dst, or a higher"
            " --threshold, which links fewer"
        )


def _mean_length(names: Sequence[str]) -> int:
    return sum(len(os.fsencode(name)) for name in names) // max(1, len(names))
