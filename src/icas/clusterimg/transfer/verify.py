"""Checks that a finished result is as its run left it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from icas.clusterimg.journal.records import FileRecord
from icas.clusterimg.transfer.plan import TREE
from icas.common.errors import ConflictError

SYSTEM_FILES = frozenset((".ds_store", "thumbs.db", "desktop.ini"))
"""Files that file managers create; they are ignored."""
_NAMED = 3
"""Files that an error names."""


def check_untouched(root: Path, records: Iterable[FileRecord]) -> None:
    """Check that tables and ``result/`` are as they were written."""
    records = [one for one in records if one.left_alone is None]
    tree = {one.target: one for one in records if PurePosixPath(one.target).parts[0] == TREE}
    tables = [one for one in records if one.how == "write"]
    existing = set(files_below(root, TREE))
    removed = [target for target in tree if target not in existing]
    removed += [one.target for one in tables if not os.path.lexists(root / one.target)]
    _refuse(root, removed, "was removed", "put it back")
    _refuse(root, sorted(existing - set(tree)), "was added", "move it away")
    changed = [one.target for one in (*tree.values(), *tables) if not is_unchanged(root, one)]
    _refuse(root, changed, "was changed", "keep your changes elsewhere and start a new run")


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Files and links below `root`/`folder`, relative to `root`; no link is followed."""
    for path, folders, names in os.walk(root / folder):
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        for name in (*names, *links):
            if name.lower() not in SYSTEM_FILES:
                yield (Path(path) / name).relative_to(root).as_posix()


def is_unchanged(root: Path, record: FileRecord) -> bool:
    """Whether the file has the size and mtime of the journal."""
    status = os.lstat(root / record.target)
    return (status.st_size, status.st_mtime_ns) == record.state


def _refuse(root: Path, targets: list[str], what: str, instead: str) -> None:
    if targets:
        named = ", ".join(str(root / target) for target in targets[:_NAMED])
        more = f" and {len(targets) - _NAMED} more" if len(targets) > _NAMED else ""
        raise ConflictError(f"{named}{more} {what} since the run: {instead}; nothing was moved")
