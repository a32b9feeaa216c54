"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` into the file `path` so that at no moment a part of it stands under that name.

    It goes into a new file in the same folder, is forced to disk and then takes the name.

    Raises
    ------
    OSError
        The folder is missing, full or not writable; the new file is gone then.
    """
    target = Path(path)
    # A short name: the target's own may be as long as the file system allows.
    part = target.with_name(f".icas-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
