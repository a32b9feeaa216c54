"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def beside(folder: Path, ending: str) -> Path:
    """``<folder><ending>`` beside `folder`: where results go that nobody gave a place."""
    whole = folder.resolve()
    return whole.parent / f"{whole.name or 'images'}{ending}"


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
