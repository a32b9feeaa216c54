"""Brings files, and the lists of names that folders are, to disk."""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from icas.common.errors import ConflictError, IcasError


@contextmanager
def one_line_errors(what: str, hint: str = "", *, subject: str | None = None) -> Iterator[None]:
    """Convert errors of SQLite and of the disk into one line: ``what: reason``.

    Parameters
    ----------
    hint : str
        What to do, at the end of the line.
    subject : str, optional
        Named before the reason where the error names no file; None: no file is named.

    Raises
    ------
    IcasError
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
    """``<folder><ending>`` beside `folder`: where results go that nobody gave a place."""
    whole = Path(os.path.realpath(folder))  # which a link to itself is no error for
    return whole.parent / f"{whole.name or 'images'}{ending}"


def within(root: Path, name: str) -> Path:
    """The place `name` below `root`, for names that were read from a file of somebody's.

    Raises
    ------
    ConflictError
        It is not below `root`: the name climbs out or is absolute, or a link on the way leads out.
    """
    relative = PurePath(name)
    climbs = not relative.parts or relative.is_absolute() or ".." in relative.parts
    if climbs or not (root / relative).parent.resolve().is_relative_to(root.resolve()):
        raise ConflictError(f"{name!r} is a place outside of {root}: nothing was done")
    return root / relative


def check_no_links(folder: Path) -> None:
    """Make sure that a folder of ours is one, and that nothing right in it is a link.

    We make no links there, so one was put there to have files elsewhere written.

    Raises
    ------
    ConflictError
        It is a link, or holds one.
    """
    inside = folder.iterdir() if folder.is_dir() else ()
    for place in (folder, *inside):
        if place.is_symlink():
            raise ConflictError(f"{place} is a link, which icas makes none of there: remove it")


def unfinished(target: Path) -> Path:
    """A new name in the folder of `target` for a file that is not whole yet.

    It is short, for the target's own may be as long as the file system allows.
    """
    return target.with_name(f".icas-{secrets.token_hex(6)}.part")


def write_whole(path: str | os.PathLike[str], data: bytes | Iterable[bytes]) -> None:
    """Put `data` into the file `path` so that at no moment a part of it stands under that name.

    It goes into a new file in the same folder, is forced to disk and then takes the name. Data
    that come in parts are written part by part.

    Raises
    ------
    OSError
        The folder is missing, full or not writable; the new file is gone then.
    """
    target = Path(path)
    part = unfinished(target)
    try:
        with part.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


_NOT_FOR_FOLDERS = frozenset((errno.EINVAL, errno.ENOTSUP, errno.ENOSYS))
"""What file systems answer that cannot bring a folder alone to disk."""


def sync(path: Path) -> None:
    """Bring what was written to the file `path` to disk."""
    with path.open("rb+" if sys.platform == "win32" else "rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(handle)
