"""The images of a folder, and its other files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from icas.io.find import find_files, why_not_an_image


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read, and why.

    Attributes
    ----------
    file : str
        Its name, relative to the folder where one was given.
    reason : str
        In a few words.
    """

    file: str
    reason: str


T = TypeVar("T")
LONGEST_PATH = 4096
"""Bytes of a path that Linux takes, its end counted."""
TOO_LONG = "its path is too long"


@dataclass(frozen=True)
class ImageRef:
    """One image of the source.

    path: its path; file: its name relative to the source folder, '/' between the parts, on
    every system; state: (int, int) or None, size in bytes and time of change in nanoseconds, as
    they were when it was found.
    """

    path: Path
    file: str
    state: tuple[int, int] | None = None

    @classmethod
    def found(cls, path: Path, file: str) -> ImageRef:
        """The image at `path` as it is now."""
        try:
            status = path.stat()
        except OSError:  # reading it gives the reason
            return cls(path, file)
        return cls(path, file, (status.st_size, status.st_mtime_ns))


@dataclass(frozen=True)
class Scan:
    """The content of a source folder.

    images: in natural order (img2 before img10); unreadable: files that are neither images nor of a
    kind that is known to lie beside images; ignored: files known to lie beside images (labels.csv,
    Thumbs.db, …).
    """

    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...] = ()
    ignored: tuple[str, ...] = ()


def scan(source: Path, *, recursive: bool = False, exclude: Path | None = None) -> Scan:
    """The images of `source`.

    source: a folder; recursive: Sub-folders too; hidden ones and links to folders are left out;
    exclude: a folder not to enter (the result, if it is inside the source). Raises UsageError:
    no such folder, or one that cannot be read.
    """
    found = find_files(source, recursive=recursive, exclude=exclude)
    short = longest_name_below(source)
    named = [(path, path.relative_to(source).as_posix()) for path in found.images]
    too_long = [file for _, file in named if len(os.fsencode(file)) > short]
    return Scan(
        tuple(
            ImageRef.found(path, file) for path, file in named if len(os.fsencode(file)) <= short
        ),
        tuple(Unreadable(file, TOO_LONG) for file in too_long)
        + tuple(
            Unreadable(path.relative_to(source).as_posix(), why_not_an_image(path))
            for path in found.others
        ),
        tuple(path.relative_to(source).as_posix() for path in found.ignored),
    )


def longest_name_below(folder: Path) -> int:
    """Bytes that the name of a file relative to `folder` may have, so that its whole path works.

    A file may be reached from the folder that a run is started in and yet by no whole path, which
    is what the run puts on record.
    """
    if sys.platform == "win32":
        return 1 << 15  # what is too long there cannot be read
    return LONGEST_PATH - len(os.fsencode(folder.absolute())) - 2


def sampled(images: Sequence[T], most: int, seed: int) -> list[T]:
    """At most `most` of `images` (0: all), drawn with `seed`, in their order."""
    if not 0 < most < len(images):
        return list(images)
    rows = np.random.default_rng(seed).choice(len(images), most, replace=False)
    return [images[row] for row in np.sort(rows)]
