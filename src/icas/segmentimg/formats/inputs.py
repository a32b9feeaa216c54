"""What ``NAME.json`` tells of a picture and of how it was cut."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from icas._version import __version__
from icas.common.errors import IcasError, UnreadableImageError, UsageError
from icas.io.files import beside
from icas.io.find import find_images
from icas.io.formats import os_reason, require_file
from icas.io.reading import Image
from icas.segmentimg.segmenters import Segmenter


@dataclass(frozen=True)
class Picture:
    """One picture and where its files go."""

    path: Path
    out: Path
    name: str

    def file(self, ending: str) -> Path:
        """``out/NAME_segments.png`` for ``_segments.png``."""
        return self.out / f"{self.name}{ending}"


def find_pictures(
    paths: Sequence[str | Path], out: Path | None = None, recursive: bool = False
) -> list[Picture]:
    """The pictures that `paths` name, files or folders, in order and each once."""
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists() and not path.is_symlink():
            raise UsageError(f"{path} does not exist")
        found.update(
            dict.fromkeys(find_images(path, recursive=recursive) if path.is_dir() else [path])
        )
    if not found:
        raise IcasError(f"no pictures in {', '.join(map(str, paths))}")
    pictures = [
        Picture(path, out or beside(path.parent, "_segmented"), name)
        for path, name in _named(found)
    ]
    _refuse_equal_files(pictures)
    return pictures


def _named(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Each picture with its name; all pictures of a folder count, whether named or not."""
    listed = list(paths)
    taken: Counter[tuple[Path, str]] = Counter()
    for folder in {path.parent for path in listed}:
        inside = {*find_images(folder), *(path for path in listed if path.parent == folder)}
        taken.update((folder, path.stem.casefold()) for path in inside)
    return [
        (path, path.stem if taken[path.parent, path.stem.casefold()] == 1 else path.name)
        for path in listed
    ]


def _refuse_equal_files(pictures: Sequence[Picture]) -> None:
    seen: dict[tuple[Path, str], Path] = {}
    for picture in pictures:
        key = (picture.out, picture.name.casefold())
        if key in seen:
            raise UsageError(
                f"{seen[key]} and {picture.path} would share their files in {picture.out}:"
                " leave --out away, or name them one at a time"
            )
        seen[key] = picture.path


Record = dict[str, Any]
_PART = 1 << 20
"""Bytes read at a time."""


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
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
    """All that is told of a picture that was cut."""
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
