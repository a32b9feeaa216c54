"""What would stop a plan, found before anything is touched."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from icas.clusterimg.layout import Plan
from icas.clusterimg.scan import LONGEST_PATH
from icas.clusterimg.ways import check_folders, elsewhere, existing
from icas.common.errors import ConflictError


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
