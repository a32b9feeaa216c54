"""A folder -> the images in it, and the files that are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from icas.clusterimg.features import Unreadable
from icas.common.find import find_files, why_not_an_image

T = TypeVar("T")


@dataclass(frozen=True)
class ImageRef:
    """One image of the source.

    Attributes
    ----------
    path : Path
        Where it lies.
    file : str
        Its name relative to the source folder, '/' between the parts, on every system.
    """

    path: Path
    file: str


@dataclass(frozen=True)
class Scan:
    """What a source folder holds.

    Attributes
    ----------
    images : tuple of ImageRef
        In natural order (img2 before img10).
    unreadable : tuple of Unreadable
        Files that are neither images nor of a kind that is known to lie beside images.
    ignored : tuple of str
        Files known to lie beside images (labels.csv, Thumbs.db, …).
    """

    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...] = ()
    ignored: tuple[str, ...] = ()


def scan(source: Path, *, recursive: bool = False, exclude: Path | None = None) -> Scan:
    """The images of `source`.

    Parameters
    ----------
    source : Path
        A folder.
    recursive : bool
        Sub-folders too; hidden ones and links to folders are left out.
    exclude : Path, optional
        A folder not to enter (the result, where it lies inside the source).

    Raises
    ------
    UsageError
        No such folder, or one that cannot be read.
    """
    found = find_files(source, recursive=recursive, exclude=exclude)
    return Scan(
        tuple(ImageRef(path, path.relative_to(source).as_posix()) for path in found.images),
        tuple(
            Unreadable(path.relative_to(source).as_posix(), why_not_an_image(path))
            for path in found.others
        ),
        tuple(path.relative_to(source).as_posix() for path in found.ignored),
    )


def sampled(images: Sequence[T], most: int, seed: int) -> list[T]:
    """At most `most` of `images` (0: all), drawn with `seed`, in their order."""
    if not 0 < most < len(images):
        return list(images)
    rows = np.random.default_rng(seed).choice(len(images), most, replace=False)
    return [images[row] for row in np.sort(rows)]
