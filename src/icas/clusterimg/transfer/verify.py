"""Whether a finished result is as its run left it, and whether its files can move."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from icas.clusterimg.journal.records import Made
from icas.clusterimg.transfer.plan import TREE
from icas.common.errors import ConflictError

SYSTEMS_OWN = frozenset((".ds_store", "thumbs.db", "desktop.ini"))
"""Files that systems put into folders which are looked at; they are left where they are."""

_NAMED = 3
"""Files that an error names; it counts the others."""


def check_untouched(root: Path, made: Iterable[Made]) -> None:
    """Make sure that tables and ``result/`` are as they were left.

    Raises
    ------
    ConflictError
        A file was changed, removed or added since; the message names it.
    """
    made = [one for one in made if one.left_alone is None]
    tree = {one.target: one for one in made if _in_tree(one.target)}
    others = [one for one in made if one.how == "write"]
    found = set(files_below(root, TREE))
    removed = [target for target in tree if target not in found]
    removed += [one.target for one in others if not os.path.lexists(root / one.target)]
    _refuse(root, removed, "was removed", "put it back")
    _refuse(root, sorted(found - set(tree)), "was added", "move it away")
    changed = [one.target for one in (*tree.values(), *others) if not as_left(root, one)]
    _refuse(root, changed, "was changed", "keep your changes elsewhere and start a new run")


def _in_tree(target: str) -> bool:
    return PurePosixPath(target).parts[0] == TREE


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Files and links below `root`/`folder`, relative to `root`; no link is followed."""
    for place, folders, names in os.walk(root / folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*names, *links):
            if name.lower() not in SYSTEMS_OWN:
                yield (Path(place) / name).relative_to(root).as_posix()


def as_left(root: Path, made: Made) -> bool:
    """Whether the file has the size and time that are on record."""
    status = os.lstat(root / made.target)
    return (status.st_size, status.st_mtime_ns) == (made.size, made.mtime_ns)


def _refuse(root: Path, targets: list[str], what: str, instead: str) -> None:
    if targets:
        named = ", ".join(str(root / target) for target in targets[:_NAMED])
        more = f" and {len(targets) - _NAMED} more" if len(targets) > _NAMED else ""
        raise ConflictError(f"{named}{more} {what} since the run: {instead}; nothing was moved")
