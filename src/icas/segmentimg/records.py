"""What ``NAME.json`` tells of a picture and of how it was cut."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from icas._version import __version__
from icas.common.errors import UnreadableImageError
from icas.common.images import Image
from icas.common.kinds import os_reason, require_file
from icas.segmentimg.segmenters import Segmenter

Record = dict[str, Any]
_PART = 1 << 20
"""Bytes read at a time."""


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits.

    Raises
    ------
    UnreadableImageError
        The file cannot be read, or is none.
    """
    if require_file(path).st_size == 0:
        raise UnreadableImageError("empty file")  # as the system's own are, which never end
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(_PART):
                digest.update(part)
    except OSError as error:
        raise UnreadableImageError(os_reason(error)) from error
    return digest.hexdigest()


def method_record(segmenter: Segmenter, work_size: int) -> Record:
    """How pictures are cut: method, its options, the size at which it works."""
    return {
        "method": segmenter.name,
        "options": asdict(segmenter),  # type: ignore[call-overload]
        "work_size": work_size,
    }


def picture_record(
    path: Path, image: Image, digest: str, method: Record, segments: int, seconds: float
) -> Record:
    """All that is told of a picture that was cut.

    Parameters
    ----------
    path : Path
    image : (h, w, 3) uint8 ndarray
    digest : str
        SHA-256 of the file.
    method : dict
        What `method_record` gives.
    segments : int
    seconds : float
        Time that the cutting took.
    """
    return {
        "icas": __version__,
        "image": path.name,
        "width": image.shape[1],
        "height": image.shape[0],
        "sha256": digest,
        **method,
        "segments": segments,
        "seconds": round(seconds, 3),
    }
