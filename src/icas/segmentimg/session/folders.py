"""Output folders of a painting session: writable, and used by one session at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from icas.common.errors import UsageError
from icas.io.files import one_line_errors
from icas.io.find import RESULT_MARK
from icas.io.locks import folder_lock
from icas.segmentimg.formats.masks import remove_orphans

FOLDER = "painting"
MOST_LOCKS = 256
"""Folders that are locked: each lock is an open file."""


def painting_folder(out: Path) -> Path:
    """The folder of the lock and the command log in an output folder."""
    return out / RESULT_MARK / FOLDER


def require_writable(folders: Iterable[Path]) -> None:
    """Refuse folders that cannot be made or written into."""
    for folder in sorted(folders):
        whole = folder.resolve()
        existing = next(path for path in (whole, *whole.parents) if path.exists())
        why = "is not a folder" if not existing.is_dir() else "is not writable"
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            raise UsageError(
                f"cannot write masks to {folder}: {existing} {why}: choose another --out"
            )


@contextmanager
def painting_locked(outs: Iterable[Path]) -> Iterator[None]:
    """Keep other sessions, of windows or a server, out of output folders while the block runs.

    ConflictError where there is one. Folders in which nothing was written are removed at the end.
    """
    with ExitStack() as stack:
        for out in sorted(set(outs))[:MOST_LOCKS]:
            folder = painting_folder(out)
            with one_line_errors(f"cannot write to {out}"):
                missing = [path for path in (folder, *folder.parents) if not path.exists()]
                folder.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_empty, missing)
            stack.enter_context(folder_lock(folder, out))
            remove_orphans(out)
        yield


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that are empty, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
