"""Brings files, and the lists of names that folders are, to disk."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

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
