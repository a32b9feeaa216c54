"""Per-user folders of icas."""

from __future__ import annotations

import os
from pathlib import Path

from icas.common.errors import IcasError

VARIABLE = "ICAS_CACHE"
"""Environment variable that overrides the cache folder."""


def cache_folder() -> Path:
    """Folder for results that can be computed again; it need not exist yet.

    The environment variable ICAS_CACHE, else ``icas`` in the user's cache folder: XDG_CACHE_HOME,
    ``~/.cache``, ``~/Library/Caches`` on macOS, LOCALAPPDATA on Windows.

    Raises
    ------
    IcasError
        The user has no home folder.
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
    raise IcasError(f"this user has no home folder: {VARIABLE} names another one")
