"""The steps by which a run is taken back; each can be done again after an interruption."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from icas.clusterimg.carrying import Carrying, LeftAloneError, fingerprint, move, part_of
from icas.clusterimg.journal import Journal
from icas.clusterimg.made import Folder, Made
from icas.clusterimg.removing import remove_empty_folders, remove_if_empty, remove_unfinished
from icas.clusterimg.undo_steps import Step
from icas.common.errors import IcasError
from icas.common.progress import Console


def do(root: Path, steps: Sequence[Step], console: Console) -> None:
    """Do every step; all stay on record until the last is done, and can be done again."""
    done = [step.made for step in steps if step.what != "leave"]
    with Journal(root) as journal:
        remove_unfinished(root)  # which makes room on a full disk
        try:
            _begin(journal)
        except IcasError:  # the tables make more, and nobody needs them any longer
            for step in steps:
                if step.what == "remove" and step.made.how == "write":
                    _remove(root, step.made)
            _begin(journal)
        with console.bar(len(steps), "undo", "files") as bar:
            for step in steps:
                if step.what in _DO:
                    _DO[step.what](root, step.made)
                bar.update(1)
        remove_empty_folders(root, done)
        waiting = {step.made.source for step in steps if step.what == "leave"}
        _restore_times(journal.folders(), {str(Path(one).parent) for one in waiting if one})
        journal.forget(one.target for one in done)


def _begin(journal: Journal) -> None:
    """Source folders that were changed since the run keep the times that they have."""
    if journal.phase == "undoing":
        return
    changed = [
        folder.path
        for folder in journal.folders()
        if not folder.made
        and folder.after_ns is not None
        and _time_of(Path(folder.path)) not in (folder.after_ns, None)
    ]
    journal.forget_folders(changed)
    journal.enter("undoing")


def _time_of(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None


def _back(root: Path, made: Made) -> None:
    """One moved image at its old place again, with its old time."""
    source, path = Path(made.source or ""), root / made.target
    source.parent.mkdir(parents=True, exist_ok=True)
    part = source.with_name(f".icas-{part_of(made)}.part")
    if made.link is not None and _shows_the_same(source.parent / made.link, path):
        _make_link(source, part, made)
        path.unlink()
        return
    try:
        move(Carrying(path, source, part))
    except LeftAloneError as error:
        raise IcasError(f"cannot move {path} back to {source}: {error}") from error
    if made.from_mtime_ns is not None and fingerprint(source)[1] != made.from_mtime_ns:
        os.utime(source, ns=(source.stat().st_atime_ns, made.from_mtime_ns))


def _make_link(source: Path, part: Path, made: Made) -> None:
    """The link that `source` was, with its time; it grows under the name `part`."""
    part.unlink(missing_ok=True)
    part.symlink_to(made.link or "")
    if made.link_mtime_ns is not None and os.utime in os.supports_follow_symlinks:
        times = (part.lstat().st_atime_ns, made.link_mtime_ns)
        os.utime(part, ns=times, follow_symlinks=False)
    part.rename(source)


def _shows_the_same(link: Path, path: Path) -> bool:
    return link.is_file() and filecmp.cmp(link, path, shallow=False)


def _remove(root: Path, made: Made) -> None:
    (root / made.target).unlink(missing_ok=True)


_DO: dict[str, Callable[[Path, Made], None]] = {"back": _back, "remove": _remove}


def _restore_times(folders: Iterable[Folder], waiting: Collection[str]) -> None:
    """Give the folders that images were moved out of the times that they had before.

    Not those that still wait for an image.
    """
    for folder in folders:
        path = Path(folder.path)
        if folder.mtime_ns is not None and folder.path not in waiting and path.is_dir():
            os.utime(path, ns=(path.stat().st_atime_ns, folder.mtime_ns))


def remove_folders(root: Path, folders: Sequence[Folder]) -> None:
    """Remove the folders that were made for the result, now that nothing is on record."""
    whole = root.resolve()  # and so are the others: `..` in a path may be said in many ways
    above = [folder for folder in folders if whole.is_relative_to(Path(folder.path).resolve())]
    made = [Path(folder.path) for folder in above if folder.made]
    for folder in sorted(made, key=lambda path: -len(path.parts)):
        remove_if_empty(folder)
    _restore_times(above, ())
