"""From the plan on record to the whole result: by the run itself, or by whoever comes after it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.journal.records import Made
from icas.clusterimg.transfer.cleanup import remove_unfinished
from icas.clusterimg.transfer.staging import put_in_place, tell_afterwards
from icas.clusterimg.transfer.transfer import TRANSFERS, carry_out
from icas.common.errors import ConflictError, IcasError

_NAMED = 8
"""Files left alone that are named on stderr; the table has them all."""


def complete(root: Path, console: Console, jobs: int | None = None) -> dict[str, str]:
    """Carry out what the journal of `root` holds and is not done yet.

    Returns
    -------
    dict of str to str
        Sources that were left alone, with the reason. They are listed in ``unreadable.csv``.

    Raises
    ------
    ConflictError
        Something of somebody else's stands at a place.
    IcasError
        The disk fails. Nothing is lost; another call goes on.
    """
    start = time.perf_counter()
    try:
        with Journal(root) as journal:
            made = list(journal.made())
            images = [one for one in made if one.how in TRANSFERS and one.is_pending]
            if images:
                with console.bar(len(images), images[0].how, "images") as bar:
                    carry_out(root, images, journal, jobs, bar)
            left = _left_alone(journal.made(), Path(journal.about().get("folder", "")))
            tell_afterwards(root, journal, left, time.perf_counter() - start)
            _write_down_times(journal)
            put_in_place(root, journal, [one for one in journal.made() if one.how == "write"])
            remove_unfinished(root)  # before the end is on record: who comes later looks no more
            journal.enter("done")
    except ConflictError:
        raise
    except IcasError as error:
        raise IcasError(f"{error}; nothing is lost: {_goes_on(root)}") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"nothing is lost: {_goes_on(root)}") from None
    _tell(left, console)
    return left


def _goes_on(root: Path) -> str:
    return (
        "the same command with --resume goes on where it stopped,"
        f" clusterimg undo {root} takes it back"
    )


def _left_alone(made: Iterable[Made], source: Path) -> dict[str, str]:
    """Images that were left alone, named as in ``clusters.csv``, with the reason."""
    left = {}
    for one in made:
        if one.left_alone is not None and one.source is not None:
            path = Path(one.source)
            inside = path.is_relative_to(source)
            left[(path.relative_to(source) if inside else path).as_posix()] = (
                f"not transferred: {one.left_alone}"
            )
    return left


def _write_down_times(journal: Journal) -> None:
    """The times that the run leaves its source folders with; undo looks whether they are so."""
    times = {}
    for folder in journal.folders():
        if not folder.made and folder.after_ns is None:
            try:
                times[folder.path] = Path(folder.path).stat().st_mtime_ns
            except OSError:
                continue
    journal.folders_after(times)


def _tell(left: dict[str, str], console: Console) -> None:
    for file, reason in list(left.items())[:_NAMED]:
        console.warn(f"{file}: {reason}")
    if len(left) > _NAMED:
        console.warn(f"{len(left) - _NAMED} more were not transferred, all in unreadable.csv")
