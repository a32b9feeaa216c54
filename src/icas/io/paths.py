"""Where icas keeps things for a user, on each system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from icas.common.errors import IcasError

VARIABLE = "ICAS_CACHE"
"""Environment variable that names another folder."""


def cache_folder() -> Path:
    """Where icas keeps what can be computed again; it need not exist yet.

    The folder that the environment variable ICAS_CACHE names; else ``icas`` in the user's folder
    for such things: XDG_CACHE_HOME where it is set, ``~/.cache``, ``~/Library/Caches`` on macOS,
    LOCALAPPDATA on Windows.

    Raises
    ------
    IcasError
        This user has no home folder.
    """
    own = os.environ.get(VARIABLE)
    return Path(own) if own else _of_all_programs() / "icas"


def _of_all_programs() -> Path:
    named = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    given = os.environ.get(named, "")
    if Path(given).is_absolute():
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise IcasError(f"this user has no home folder: {VARIABLE} names another one") from error
    if sys.platform == "win32":
        return home / "AppData" / "Local"
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
