"""The plan of a transfer, complete before the disk is touched, and its pre-flight checks."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from icas.cli.console import Console
from icas.clusterimg.data.images import LONGEST_PATH, ImageRef
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.journal.journal import FOLDER, PARTS
from icas.common.errors import ConflictError
from icas.io.files import distinct_names

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
    existing_images = [ref.path for ref in images if ref.state is not None]
    check_folders({path.parent for path in existing_images}, root, how)
    if how in _LINKS and (root / FOLDER).is_dir():
        _check_links(root, how)
        if how == "hardlink":
            _check_foreign(root, existing_images)


def check_folders(sources: Iterable[Path], root: Path, how: str) -> None:
    """Check that files of the folders `sources` can be transferred to the result folder `root`."""
    parent = existing(root)
    _check_writable([parent], "so images cannot be written there: choose another --dst")
    if how == "move":
        _check_writable(sources, "so images cannot be moved out of it: use --transfer copy")
    unreachable = on_other_disks(sources, parent) if how == "hardlink" else ()
    if unreachable:
        raise ConflictError(
            f"{min(unreachable)} and {root} are on different file systems, which hard links"
            " cannot cross: use --transfer copy or symlink"
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
            raise ConflictError(f"no permission to write to folder {folder}, {consequence}")


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
            f"{what} cannot be created in {root} ({(error.strerror or str(error)).lower()}): use"
            f" --transfer {instead}"
        ) from error
    finally:
        for path in names:
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            parts.rmdir()


def _check_foreign(root: Path, images: Iterable[Path]) -> None:
    """Create a hard link to an image of another user, which Linux often does not allow."""
    if not hasattr(os, "geteuid"):
        return
    user = os.geteuid()
    foreign = next((path for path in images if _owner(path) not in (user, None)), None)
    if foreign is None:
        return
    link = (root / PARTS).absolute() / f"{secrets.token_hex(6)}.probe"
    try:
        link.parent.mkdir(exist_ok=True)
        os.link(foreign.resolve(), link)
    except PermissionError as error:
        raise ConflictError(
            f"{foreign} belongs to another user, and hard links to it are not permitted here: use"
            " --transfer copy or symlink"
        ) from error
    except OSError:  # reported when the image is transferred
        return
    finally:
        with contextlib.suppress(OSError):
            link.unlink()
        with contextlib.suppress(OSError):
            link.parent.rmdir()


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def check_links_fit(root: Path, links: int, files: Sequence[str], console: Console) -> None:
    """Print the size of the tables of many links, and check that the disk has it.

    A cluster of 10,000 equal images has 50 million links.
    """
    if links < MANY:
        return
    mean = sum(len(os.fsencode(name)) for name in files) // max(1, len(files))
    needed = links * (2 * mean + _BYTES_PER_LINK)
    console.line(f"plan: write tables with {links:,} links, about {needed / 1e9:,.1f} GB")
    free = shutil.disk_usage(existing(root)).free
    if needed > free:
        raise ConflictError(
            f"the tables of {links:,} links need about {needed / 1e9:,.1f} GB, but the disk of"
            f" {root} has {free / 1e9:,.1f} GB free: free some space, choose another --dst, or"
            " use a higher --threshold"
        )


TREE, OUTLIERS = "result", "outliers"
"""Folder of the clusters, and its sub-folder of the outliers."""


@dataclass(frozen=True)
class Operation:
    """One image, its target relative to the result folder, and its size and mtime when scanned."""

    source: Path
    target: PurePosixPath
    state: tuple[int, int] | None = None


@dataclass(frozen=True)
class Plan:
    """All images of the result in `root`, each once per tree (``result/``, ``batches/``)."""

    root: Path
    operations: tuple[Operation, ...]

    def folders(self) -> Counter[PurePosixPath]:
        """Folders that will hold images, with their numbers, in the plan's order."""
        return Counter(operation.target.parent for operation in self.operations)

    def bytes(self) -> int:
        """Total size of the images."""
        return sum(map(_size, self.operations))


def _size(operation: Operation) -> int:
    if operation.state is not None:
        return operation.state[0]
    try:
        return operation.source.stat().st_size
    except OSError:  # reported when it is transferred
        return 0


def plan_tree(
    root: Path, folder: PurePosixPath, images: Sequence[ImageRef], labels: Labels
) -> Plan:
    """One tree of ``cluster_0/ cluster_1/ … outliers/`` below ``root/folder``."""
    operations = []
    for name, members in _by_folder(labels):
        chosen = [images[member] for member in members]
        for ref, file in zip(chosen, distinct_names(ref.path.name for ref in chosen), strict=True):
            operations.append(Operation(ref.path, folder / name / file, ref.state))
    return Plan(root, tuple(operations))


def join_plans(plans: Sequence[Plan]) -> Plan:
    """All operations of `plans`, which have one result folder and different trees."""
    return Plan(plans[0].root, tuple(operation for plan in plans for operation in plan.operations))


def _by_folder(labels: Labels) -> Iterator[tuple[str, list[int]]]:
    """Folder name and images of each cluster, then of the outliers."""
    members: dict[int, list[int]] = {}
    for image, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(image)
    for label in sorted(members, key=lambda number: (number < 0, number)):
        yield (f"cluster_{label}" if label >= 0 else OUTLIERS), members[label]


def check_plan(plan: Plan, how: str, removed: Collection[Path] = ()) -> None:
    """Detect conflicts of the plan before anything is changed; files in `removed` go first."""
    for operation in plan.operations:
        target = plan.root / operation.target
        if os.path.lexists(target) and target not in removed:
            raise ConflictError(
                f"{target} already exists and is not overwritten: move it"
                " elsewhere, or choose another --dst"
            )
        if len(os.fsencode(target.absolute())) >= LONGEST_PATH and sys.platform == "linux":
            raise ConflictError(
                f"the path of {target.name} in the result exceeds {LONGEST_PATH - 1} bytes:"
                " choose a shorter --dst"
            )
    sources = {operation.source.parent for operation in plan.operations}
    check_folders(sources, plan.root, how)
    parent = existing(plan.root)
    copied = {"copy": sources, "move": on_other_disks(sources, parent)}.get(how)
    if copied:
        _check_free_space(plan, parent, copied, removed)


def _check_free_space(plan: Plan, parent: Path, copied: set[Path], removed: Iterable[Path]) -> None:
    needed = sum(
        _size(operation) for operation in plan.operations if operation.source.parent in copied
    )
    statuses = [path.lstat() for path in removed]
    freed = sum(status.st_size for status in statuses if status.st_nlink == 1)
    free = shutil.disk_usage(parent).free + freed
    if needed > free:
        raise ConflictError(
            f"{plan.root} needs {needed / 1e6:,.1f} MB, but its disk has {free / 1e6:,.1f} MB"
            " free: free some space, use --transfer hardlink or symlink, or choose another --dst"
        )
