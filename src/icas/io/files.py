"""Writing of whole files and tables, syncing to disk, and checks of names and links."""

from __future__ import annotations

import csv
import errno
import functools
import json
import os
import secrets
import sqlite3
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import ConflictError, IcasError, UsageError


def peak_memory_mb() -> float | None:
    """Peak memory of this process in MB; None where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file: UTF-8, a header, Unix line ends; undecodable names keep their bytes."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return "".join(lines).encode("utf-8", "surrogateescape")


class _Lines(list[str]):
    """Converts the line ends of a CSV writer from Windows to Unix.

    With those of Windows, the writer quotes names that hold either character.
    """

    def write(self, line: str) -> None:
        self.append(line[:-2] + "\n")


def csv_cells(names: Iterable[str]) -> NDArray[Any]:
    """Names as cells of a CSV file, quoted where needed."""
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows((name, "") for name in names)
    return np.array([line[:-2] for line in lines], object)


def shown(value: float) -> str:
    """A similarity as the shortest text that gives the same float32; empty for NaN."""
    return "" if np.isnan(value) else str(np.float32(value))


def run_json(summary: Mapping[str, Any]) -> bytes:
    """``run.json``."""
    return (json.dumps(summary, indent=2, ensure_ascii=True) + "\n").encode()


_TEMPORARY = ".icas-new-"
"""Prefix of the files that `write_whole` writes."""
_LONGEST_WRITE = 3600.0
"""Seconds after which a temporary file counts as abandoned on a system without locks."""


@contextmanager
def one_line_errors(what: str, hint: str = "", *, subject: str | None = None) -> Iterator[None]:
    """Convert errors of SQLite and the disk into an `IcasError`: ``what: reason hint``.

    With `subject`, the file of the error, or `subject`, is named before the reason.
    """
    try:
        yield
    except IcasError:
        raise
    except (sqlite3.Error, OSError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        if subject is not None:
            reason = f"{getattr(error, 'filename', None) or subject}: {reason}"
        raise IcasError(f"{what}: {reason}{hint}") from error


def beside(folder: Path, ending: str) -> Path:
    """``<folder><ending>`` beside `folder`, as the user wrote it: the default for results."""
    if folder.name not in ("", "..") and not folder.is_symlink():
        return folder.with_name(f"{folder.name}{ending}")
    whole = Path(os.path.realpath(folder))  # unlike resolve, no error for a link to itself
    target = whole.parent / f"{whole.name or 'images'}{ending}"
    absolute = folder.is_absolute() or folder.is_symlink()
    return target if absolute else Path(os.path.relpath(target))


def as_typed(path: str | Path, typed: Path) -> Path:
    """`path` relative to the current folder, if it is below it and `typed` is relative too."""
    here = Path(os.path.realpath(os.curdir))
    if typed.is_absolute() or not Path(path).is_relative_to(here):
        return Path(path)
    return Path(path).relative_to(here)


def path_of(value: Any, name: str) -> Path:
    """The parameter `name` of a function as a path; a UsageError for what is none."""
    if isinstance(value, (str, os.PathLike)) and not isinstance(os.fspath(value), bytes):
        return Path(value)
    kind = "None" if value is None else f"a {type(value).__name__}"
    raise UsageError(f"{name}: expected a path, got {kind}")


def within(root: Path, name: str) -> Path:
    """`root` / `name` for a name read from a file; a ConflictError if it leads out of `root`."""
    relative = PurePath(name)
    climbs = not relative.parts or relative.is_absolute() or ".." in relative.parts
    if climbs or not (root / relative).parent.resolve().is_relative_to(root.resolve()):
        raise ConflictError(f"{name!r} is outside {root}: nothing was changed")
    return root / relative


def check_no_links(folder: Path) -> None:
    """Raise a ConflictError if a folder of icas, or an entry in it, is a link.

    icas makes no links there, so another program made it, to have files elsewhere written.
    """
    entries = folder.iterdir() if folder.is_dir() else ()
    for path in (folder, *entries):
        if path.is_symlink():
            raise ConflictError(f"{path} is a link, which icas never creates there: remove it")


def write_whole(
    path: str | os.PathLike[str], data: bytes | Iterable[bytes], *, replace: bool = True
) -> None:
    """Write a file atomically: a temporary file is written, synced to disk and renamed.

    With `replace` off, a file that is there stays. The first call for a folder removes the
    temporary files of killed processes there.
    """
    target = Path(path)
    _remove_abandoned_once(target.parent.absolute())
    part, file = _temporary(target.parent)
    try:
        with file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":  # open files cannot be renamed there
                file.close()
            if replace:
                part.replace(target)
            else:
                _link(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _temporary(folder: Path) -> tuple[Path, BinaryIO]:
    """A new file, locked as long as it is open; its name is short, as the longest may be taken."""
    while True:
        part = folder / f"{_TEMPORARY}{secrets.token_hex(6)}.part"
        file = part.open("xb")
        if not try_lock(file.fileno(), wait=True) or os.fstat(file.fileno()).st_nlink:
            return part, file
        file.close()  # removed by another process before it was locked


def _link(part: Path, target: Path) -> None:
    """Rename `part`, unless `target` exists."""
    try:
        os.link(part, target)  # unlike a rename, this never replaces another file
    except FileExistsError:
        pass
    except OSError:  # no hard links here
        if not os.path.lexists(target):
            part.replace(target)
            return
    part.unlink()


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes left in `folder`."""
    with suppress(OSError):
        for path in folder.glob(f"{_TEMPORARY}*.part"):
            _remove_if_abandoned(path)


_remove_abandoned_once = functools.cache(remove_abandoned)

if sys.platform == "win32":

    def try_lock(handle: int, *, wait: bool = False) -> bool:
        """Lock an open file for this process, until it is closed; False without such locks."""
        return False

    def _remove_if_abandoned(path: Path) -> None:
        if time.time() - path.stat().st_mtime > _LONGEST_WRITE:
            path.unlink()

else:
    import fcntl

    def try_lock(handle: int, *, wait: bool = False) -> bool:
        """Lock an open file for this process, until it is closed.

        False where another process has it locked, unless `wait`, and without such locks.
        """
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:  # also of a file system without locks
            return False
        return True

    def _remove_if_abandoned(path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if try_lock(handle):
                path.unlink()  # while it is locked: its process may be about to lock it
        finally:
            os.close(handle)


def sync(path: Path) -> None:
    """Sync a file to disk."""
    with path.open("rb+" if sys.platform == "win32" else "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to disk, where the file system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(handle)


LONGEST_NAME = 255
"""Bytes that common file systems allow in a file name."""


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
