"""What taking a run back means for each file on record; nothing is changed here."""

from __future__ import annotations

import filecmp
import os
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.carrying import fingerprint
from icas.clusterimg.made import Made
from icas.clusterimg.removing import why_kept


@dataclass(frozen=True)
class Step:
    """What becomes of one file on record.

    Attributes
    ----------
    made : Made
    what : str
        ``back`` (moved back), ``remove``, ``nothing`` (it is not there, and needs not be) or
        ``leave``.
    why : str
        Why it is left.
    """

    made: Made
    what: str
    why: str = ""


def step_of(root: Path, made: Made) -> Step:
    """What becomes of the file `made` in the result `root`, as it lies there now."""
    path = root / made.target
    if not os.path.lexists(path):
        if made.how == "move" and made.is_done and not _is_back(made):
            return Step(made, "leave", "is not there any more: it was moved or removed since")
        return Step(made, "nothing")
    if made.how == "move":
        return _step_of_moved(path, made)
    why = why_kept(root, made)
    return Step(made, "remove") if why is None else Step(made, "leave", why)


def _is_back(made: Made) -> bool:
    return os.path.lexists(made.source or "")


def _step_of_moved(path: Path, made: Made) -> Step:
    source = Path(made.source or "")
    if os.path.lexists(source):
        if os.path.realpath(source) == os.path.realpath(path):
            return Step(made, "leave", f"cannot go back: a link to it is at {source}")
        if source.exists() and (source.samefile(path) or filecmp.cmp(source, path, shallow=False)):
            return Step(made, "remove")
        return Step(made, "leave", f"cannot go back: another file is at {source}")
    known = {(made.size, made.mtime_ns), (made.from_size, made.from_mtime_ns)}
    if fingerprint(path) not in known:
        return Step(made, "leave", "was changed since the run that moved it")
    return Step(made, "back")
