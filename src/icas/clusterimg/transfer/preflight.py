"""Pre-flight checks for the transfer mode, before any image is read."""

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

MANY = 10_000_000
"""Number of links from which the size of their tables is printed: about 400 MB."""
_BYTES_PER_LINK = 12
"""Bytes of a table row beside its two names."""
_LINKS = {
    "hardlink": ("link", "hard links", "copy or symlink"),
    "symlink": ("symlink", "symbolic links", "copy"),
}
"""Function of `os`, name, and alternatives of each kind of link."""


def check_transfer(images: Iterable[ImageRef], root: Path, how: str) -> None:
    """Detect what would stop the transfer at the end of the run."""
    check_folders({ref.path.parent for ref in images if ref.state is not None}, root, how)
    if how in _LINKS and (root / FOLDER).is_dir():
        _check_links(root, how)


def check_folders(sources: Iterable[Path], root: Path, how: str) -> None:
    """Check that files of the folders `sources` can be transferred to the result folder `root`."""
    parent = existing(root)
    _check_writable([parent], "images cannot be put there")
    if how == "move":
        _check_writable(sources, "images cannot be moved out of it: use --transfer copy")
    unreachable = on_other_disks(sources, parent) if how == "hardlink" else ()
    if unreachable:
        raise ConflictError(
            f"hard links cannot reach from {min(unreachable)} to {root}, which are"
            " different file systems: use --transfer copy or symlink"
        )


def on_other_disks(folders: Iterable[Path], parent: Path) -> set[Path]:
    """Those of `folders` on another file system than `parent`."""
    device, others = parent.stat().st_dev, set()
    for folder in folders:
        with contextlib.suppress(OSError):  # reported when its images are transferred
            if folder.stat().st_dev != device:
                others.add(folder)
    return others


def existing(folder: Path) -> Path:
    """`folder`, or its closest parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _check_writable(folders: Iterable[Path], consequence: str) -> None:
    for folder in sorted(folders):
        exists = os.access(folder, os.F_OK)  # else reported when its images are transferred
        if exists and not os.access(folder, os.W_OK | os.X_OK):
            raise ConflictError(f"folder {folder} may not be written, {consequence}")


def _check_links(root: Path, how: str) -> None:
    """Create a link to a file, which network shares and memory cards often do not allow."""
    function, what, instead = _LINKS[how]
    parts = (root / PARTS).absolute()  # which is cleared if this run is killed
    names = [parts / f"{secrets.token_hex(6)}.probe" for _ in range(2)]
    try:
        parts.mkdir(exist_ok=True)
        with names[0].open("xb"):
            getattr(os, function)(*names)
    except OSError as error:
        raise ConflictError(
            f"{what} cannot be made in {root} ({(error.strerror or str(error)).lower()}):"
            f" use --transfer {instead}"
        ) from error
    finally:
        for path in names:
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            parts.rmdir()


def check_links_fit(root: Path, links: int, files: Sequence[str], console: Console) -> None:
    """Print the size of the tables of many links, and check that the disk has it.

    A cluster of 10,000 equal images has 50 million links.
    """
    if links < MANY:
        return
    mean = sum(len(os.fsencode(name)) for name in files) // max(1, len(files))
    needed = links * (2 * mean + _BYTES_PER_LINK)
    console.line(f"plan: list {links:,} links in tables of some {needed / 1e9:,.1f} GB")
    free = shutil.disk_usage(existing(root)).free
    if needed > free:
        raise ConflictError(
            f"the tables of {links:,} links need some {needed / 1e9:,.1f} GB and the disk of {root}"
            f" has {free / 1e9:,.1f} GB free: make room, choose another --dst, or a higher"
            " --threshold, which links fewer"
        )
