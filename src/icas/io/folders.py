"""The user's cache and state folders, and scratch folders of running processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from icas.common.errors import IcasError
from icas.io.files import try_lock

VARIABLE = "ICAS_CACHE"
"""Environment variable that overrides the cache folder."""


def cache_folder() -> Path:
    """Folder for results that can be computed again; it need not exist yet.

    The environment variable ICAS_CACHE, else ``icas`` in the user's cache folder: XDG_CACHE_HOME,
    ``~/.cache``, ``~/Library/Caches`` on macOS, LOCALAPPDATA on Windows.
    """
    override = os.environ.get(VARIABLE)
    if override:
        return Path(override)
    import platformdirs

    try:
        folder = platformdirs.user_cache_path("icas", appauthor=False, opinion=False)
        if folder.is_absolute():  # older releases return "~/.cache"
            return folder
    except RuntimeError:
        pass
    raise IcasError(f"this user has no home folder: set {VARIABLE} to a folder for the cache")


STATE_VARIABLE = "ICAS_STATE"
"""Environment variable that overrides the state folder."""


def state_folder() -> Path:
    """Folder for what is remembered between runs, such as window positions; maybe not there yet.

    The environment variable ICAS_STATE, else ``icas`` in the user's state folder: XDG_STATE_HOME,
    ``~/.local/state``, ``~/Library/Application Support`` on macOS, LOCALAPPDATA on Windows.
    """
    override = os.environ.get(STATE_VARIABLE)
    if override:
        return Path(override)
    import platformdirs

    try:
        folder = platformdirs.user_state_path("icas", appauthor=False)
        if folder.is_absolute():
            return folder
    except RuntimeError:
        pass
    raise IcasError(f"this user has no home folder: set {STATE_VARIABLE} to a folder")


PREFIX = "icas-"
HELD = "held"
"""A file that is locked as long as its folder is in use."""


class ScratchFolder:
    """A temporary folder in `parent` (default: the system's), removed by `cleanup`.

    A killed process leaves its folder behind, perhaps with gigabytes; the next process that makes
    one in the same parent removes it. A lock shows which are in use.
    """

    def __init__(self, parent: Path | None = None) -> None:
        for folder in _abandoned(Path(parent or tempfile.gettempdir())):
            shutil.rmtree(folder, ignore_errors=True)
        self._folder = tempfile.TemporaryDirectory(
            prefix=PREFIX, dir=parent, ignore_cleanup_errors=True
        )
        self.path = Path(self._folder.name)
        self._handle: int | None = _hold(self.path)

    def cleanup(self) -> None:
        """Remove it with its content."""
        self._folder.cleanup()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


if sys.platform == "win32":  # files in use cannot be removed there

    def _hold(folder: Path) -> int | None:
        return None

    def _abandoned(parent: Path) -> Iterator[Path]:
        return iter(())

else:

    def _hold(folder: Path) -> int | None:
        # Locked before it has its name, so that it never looks abandoned.
        unnamed = folder / f"{HELD}.new"
        handle = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if not try_lock(handle):  # a file system without locks: a killed process leaves its folder
            os.close(handle)
            return None
        unnamed.rename(folder / HELD)
        return handle

    def _abandoned(parent: Path) -> Iterator[Path]:
        """Folders of processes that have ended."""
        with contextlib.suppress(OSError):
            for folder in parent.glob(f"{PREFIX}*"):
                if not folder.is_symlink() and _is_abandoned(folder / HELD):
                    yield folder

    def _is_abandoned(held: Path) -> bool:
        try:
            handle = os.open(held, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # not there, or another user's
            return False
        try:
            return try_lock(handle)
        finally:
            os.close(handle)
