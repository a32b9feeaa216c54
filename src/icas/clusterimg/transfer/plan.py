"""What would stop a plan, found before anything is touched."""

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
from icas.clusterimg.transfer.preflight import check_folders, elsewhere, existing
from icas.common.errors import ConflictError

OUTLIERS = "outliers"
LONGEST_NAME = 255
"""Bytes that common file systems allow in one file name."""


@dataclass(frozen=True)
class Move:
    """One image and the place in the result that it is to have.

    Attributes
    ----------
    source : Path
        The image.
    target : PurePosixPath
        Its place, relative to the result folder.
    state : (int, int) or None
        Size and time of the image as it was found.
    """

    source: Path
    target: PurePosixPath
    state: tuple[int, int] | None = None


@dataclass(frozen=True)
class Plan:
    """All that a run is going to put into the result folder.

    Attributes
    ----------
    root : Path
        The result folder.
    moves : tuple of Move
        Every image once a tree (``result/``, ``batches/``), no target twice.
    """

    root: Path
    moves: tuple[Move, ...]

    def folders(self) -> Counter[PurePosixPath]:
        """Folders that will hold images, with how many, in the plan's order."""
        return Counter(move.target.parent for move in self.moves)

    def bytes(self) -> int:
        """Bytes that the images take."""
        return sum(_size(move) for move in self.moves)


def _size(move: Move) -> int:
    if move.state is not None:
        return move.state[0]
    try:
        return move.source.stat().st_size
    except OSError:  # gone meanwhile: told when it is carried
        return 0


def plan_tree(
    root: Path, folder: PurePosixPath, images: Sequence[ImageRef], labels: Labels
) -> Plan:
    """One tree of ``cluster_0/ cluster_1/ … outliers/`` below ``root/folder``."""
    moves = []
    for name, members in _by_folder(labels):
        place = folder / name
        chosen = [images[member] for member in members]
        for ref, file in zip(chosen, distinct_names(ref.path.name for ref in chosen), strict=True):
            moves.append(Move(ref.path, place / file, ref.state))
    return Plan(root, tuple(moves))


def join_plans(plans: Sequence[Plan]) -> Plan:
    """All moves of `plans`, which share one result folder and write into different trees."""
    return Plan(plans[0].root, tuple(move for plan in plans for move in plan.moves))


def _by_folder(labels: Labels) -> Iterator[tuple[str, list[int]]]:
    """Folder name and images of each cluster in turn, then of the outliers."""
    members: dict[int, list[int]] = {}
    for image, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(image)
    for label in sorted(members, key=lambda number: (number < 0, number)):
        yield (f"cluster_{label}" if label >= 0 else OUTLIERS), members[label]


def distinct_names(names: Iterable[str]) -> list[str]:
    """`names` with `` (2)``, `` (3)`` … before the suffix of those that came before.

    Names that differ only in case or in Unicode form count as the same, because on some systems
    they are.
    """
    taken: set[str] = set()
    found = []
    for name in names:
        candidate, number = name, 1
        while folded(candidate) in taken:
            number += 1
            candidate = _numbered(name, number)
        taken.add(folded(candidate))
        found.append(candidate)
    return found


def folded(name: str) -> str:
    """`name` as a file system that knows no case and one Unicode form would compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _numbered(name: str, number: int) -> str:
    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix)
    ending = f" ({number}){suffix}"
    room = LONGEST_NAME - len(os.fsencode(ending))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def check_plan(plan: Plan, how: str, going: Collection[Path] = ()) -> None:
    """Find out what would stop the plan before anything is touched.

    Parameters
    ----------
    going : collection of Path
        Files that are going to be removed before.

    Raises
    ------
    ConflictError
        A target exists already or its path is too long, the disk is too full, hard links cannot
        reach it, or a folder may not be written.
    """
    for move in plan.moves:
        _check_target(plan.root / move.target, going)
    sources = {move.source.parent for move in plan.moves}
    check_folders(sources, plan.root, how)
    ground = existing(plan.root)
    copied = sources if how == "copy" else elsewhere(sources, ground) if how == "move" else set()
    if copied:
        _check_room(plan, ground, copied, going)


def _check_target(target: Path, going: Collection[Path]) -> None:
    if os.path.lexists(target) and target not in going:
        raise ConflictError(f"{target} exists already and is not overwritten")
    if len(os.fsencode(target.absolute())) >= LONGEST_PATH and sys.platform == "linux":
        raise ConflictError(
            f"the path of {target.name} in the result would be longer than {LONGEST_PATH - 1}"
            " bytes: choose a shorter --dst"
        )


def _check_room(plan: Plan, ground: Path, copied: set[Path], going: Iterable[Path]) -> None:
    moves = tuple(move for move in plan.moves if move.source.parent in copied)
    needed = Plan(plan.root, moves).bytes()
    freed = (path.lstat() for path in going)
    free = shutil.disk_usage(ground).free + sum(
        status.st_size for status in freed if status.st_nlink == 1
    )
    if needed > free:
        raise ConflictError(
            f"{plan.root} needs {needed / 1e6:,.1f} MB and its disk has {free / 1e6:,.1f} MB free:"
            " make room, use --transfer hardlink or symlink, or choose another --dst"
        )


TREE = "result"
"""Folder of the clusters, the only one whose files get other places."""
