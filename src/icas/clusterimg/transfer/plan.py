"""The plan of a transfer: the target of every image, complete before the disk is touched."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from icas.clusterimg.data.images import LONGEST_PATH, ImageRef
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.transfer.preflight import check_folders, existing, on_other_disks
from icas.common.errors import ConflictError

TREE, OUTLIERS = "result", "outliers"
"""Folder of the clusters, and its sub-folder of the outliers."""
LONGEST_NAME = 255
"""Bytes that common file systems allow in a file name."""


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


def distinct_names(names: Iterable[str]) -> list[str]:
    """`names`, repeated ones with `` (2)``, `` (3)`` … before the suffix.

    Names that differ only in case or Unicode normalization count as equal, as on some systems.
    """
    taken: set[str] = set()
    distinct = []
    for name in names:
        candidate, number = name, 1
        while folded(candidate) in taken:
            number += 1
            candidate = _numbered(name, number)
        taken.add(folded(candidate))
        distinct.append(candidate)
    return distinct


def folded(name: str) -> str:
    """`name` without case and in one Unicode normalization."""
    return unicodedata.normalize("NFC", name).casefold()


def _numbered(name: str, number: int) -> str:
    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix)
    ending = f" ({number}){suffix}"
    while len(os.fsencode(stem)) > LONGEST_NAME - len(os.fsencode(ending)):
        stem = stem[:-1]
    return stem + ending


def check_plan(plan: Plan, how: str, removed: Collection[Path] = ()) -> None:
    """Detect conflicts of the plan before anything is changed; files in `removed` go first."""
    for operation in plan.operations:
        target = plan.root / operation.target
        if os.path.lexists(target) and target not in removed:
            raise ConflictError(f"{target} exists already and is not overwritten")
        if len(os.fsencode(target.absolute())) >= LONGEST_PATH and sys.platform == "linux":
            raise ConflictError(
                f"the path of {target.name} in the result would be longer than {LONGEST_PATH - 1}"
                " bytes: choose a shorter --dst"
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
            f"{plan.root} needs {needed / 1e6:,.1f} MB and its disk has {free / 1e6:,.1f} MB free:"
            " make room, use --transfer hardlink or symlink, or choose another --dst"
        )
