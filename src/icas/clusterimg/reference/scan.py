"""A folder that new images are looked up in: what lies in it, and what was found there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from icas.clusterimg.data.images import ImageRef, Scan, Unreadable, scan
from icas.clusterimg.data.links import Links
from icas.common.errors import IcasError, UsageError
from icas.io.find import is_result

Entry = tuple[int, int, str]
"""A name in a folder: device and number of the folder, and the name. However the folder is
reached, it is the same."""


@dataclass(frozen=True)
class Reference:
    """The images of a reference folder.

    Attributes
    ----------
    folder : Path
    images : tuple of ImageRef
        Each named by its absolute path: so no name of the source is like it.
    unreadable : tuple of Unreadable
        Files that are no images, by absolute path too.
    notes : tuple of str
        What is to be told of them, a line each.
    """

    folder: Path
    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    def names(self, files: Iterable[str]) -> tuple[str, ...]:
        """Names relative to the folder, '/' between the parts, of images by absolute path."""
        before = self.folder.absolute()
        return tuple(Path(file).relative_to(before).as_posix() for file in files)


class Match(NamedTuple):
    """An image of the run and one of the reference that it is linked to."""

    file: str
    reference: str
    similarity: float


@dataclass(frozen=True)
class InReference:
    """What a run found in its reference folder.

    Attributes
    ----------
    folder : Path
        Absolute.
    files : tuple of str
        The images in it that were read, relative to it, '/' between the parts.
    unreadable : tuple of Unreadable
        Its files that could not be read, by absolute path.
    links : Links
        `a` is the number of an image of the run, `b` that of a file of the reference. Sorted by a;
        of one image the most similar first.
    """

    folder: Path
    files: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    links: Links

    @cached_property
    def found(self) -> int:
        """How many images of the run are linked to at least one of the reference."""
        return int(np.count_nonzero(np.diff(self.links.a))) + bool(len(self.links))

    def matches(self, files: Sequence[str]) -> tuple[Match, ...]:
        """All links by name; `files` are those of the run."""
        rows = zip(*(side.tolist() for side in _sides(self.links)), strict=True)
        return tuple(Match(files[a], self.files[b], similarity) for a, b, similarity in rows)

    def words(self, images: int, *, written: bool) -> str:
        """How many of the run's `images` were found, in a line."""
        verb = "is" if images == 1 else "are"
        counted = f"{self.found} of {images} image{'' if images == 1 else 's'} {verb}"
        return f"{counted} in the reference" + (" (reference.csv names them)" if written else "")

    def as_dict(self) -> dict[str, Any]:
        """What ``run.json`` tells of it."""
        return {
            "folder": str(self.folder),
            "images": len(self.files),
            "unreadable": len(self.unreadable),
            "found": self.found,
        }


def _sides(links: Links) -> tuple[Any, ...]:
    return links.a, links.b, links.similarity


def read_reference(folder: Path, *, recursive: bool, exclude: Path) -> Reference:
    """The images of the reference folder.

    Parameters
    ----------
    folder : Path
    recursive : bool
        Sub-folders too.
    exclude : Path
        A folder not to enter: the result.

    Raises
    ------
    UsageError
        No such folder, or one that cannot be read.
    IcasError
        There are no images in it.
    """
    try:
        found = scan(folder, recursive=recursive, exclude=exclude)
    except UsageError as error:
        raise UsageError(f"--reference: {error}") from None
    if not found.images:
        hint = "" if recursive else " (--recursive goes into sub-folders)"
        raise IcasError(f"no images in the reference {folder}{hint}")
    root = folder.absolute()
    images = tuple(
        replace(ref, path=root / ref.file, file=(root / ref.file).as_posix())
        for ref in found.images
    )
    unreadable = tuple(replace(one, file=(root / one.file).as_posix()) for one in found.unreadable)
    return Reference(folder, images, unreadable, _left_out(folder, found))


def _left_out(folder: Path, found: Scan) -> tuple[str, ...]:
    """Results of earlier runs, which hold pictures that somebody may miss."""
    results = [file for file in found.ignored if is_result(folder / file)]
    if not results:
        return ()
    named = ", ".join(results[:3]) + (", …" if len(results) > 3 else "")
    return (
        f"reference: results of earlier runs in it are left out ({named}): give one of them as"
        " --reference itself where its pictures count",
    )


def apart(source: Path, found: Scan, reference: Reference) -> tuple[Scan, Reference]:
    """Source and reference without a file in common, so that none is compared with itself.

    A file that lies in both counts for the inner folder: below the source it is of the source,
    unless the reference is a folder inside the source. A link in the reference that leads to a
    file of the source is left out, too: the picture itself is not there.

    Raises
    ------
    IcasError
        One of the two has no other images.
    """
    if _is_inside(reference.folder, source):
        ours = {_entry(path) for path in _paths(reference)}
        kept = _keep(source, found, lambda path: _entry(path) not in ours)
        left = len(found.images) - len(kept.images)
        if not kept.images:
            raise IcasError(f"no images in {source} but those of the reference {reference.folder}")
        return kept, _noting(reference, left, "source", "reference, which lies inside it")
    theirs = {_entry(ref.path) for ref in found.images}
    theirs |= {_entry(source / one.file) for one in found.unreadable}
    images = tuple(ref for ref in reference.images if _target(ref.path) not in theirs)
    others = tuple(one for one in reference.unreadable if _target(Path(one.file)) not in theirs)
    if not images:
        raise IcasError(
            f"no images in the reference {reference.folder} but those of the source: a file is not"
            " compared with itself"
        )
    left = len(reference.images) - len(images)
    reference = replace(reference, images=images, unreadable=others)
    return found, _noting(reference, left, "reference", "source")


def _noting(reference: Reference, left: int, side: str, other: str) -> Reference:
    """`reference` with a note of how many images of one side count for the other."""
    if not left:
        return reference
    files = "1 image" if left == 1 else f"{left} images"
    note = f"{side}: {files} in it belong{'s' if left == 1 else ''} to the {other}, left out"
    return replace(reference, notes=(*reference.notes, note))


def _keep(source: Path, found: Scan, wanted: Callable[[Path], bool]) -> Scan:
    return Scan(
        tuple(ref for ref in found.images if wanted(ref.path)),
        tuple(one for one in found.unreadable if wanted(source / one.file)),
        tuple(file for file in found.ignored if wanted(source / file)),
    )


def _paths(reference: Reference) -> Iterable[Path]:
    yield from (ref.path for ref in reference.images)
    yield from (Path(one.file) for one in reference.unreadable)


def _is_inside(folder: Path, other: Path) -> bool:
    """Whether `folder` lies below `other`."""
    return any(parent.samefile(other) for parent in folder.resolve().parents)


def _entry(path: Path) -> Entry:
    """The name of a file itself, whatever it leads to."""
    try:
        status = path.parent.stat()
    except OSError:  # gone meanwhile: reading it will tell
        return -1, -1, str(path)
    return status.st_dev, status.st_ino, path.name


def _target(path: Path) -> Entry:
    """The name of the file that `path` is, or leads to."""
    try:
        return _entry(path.resolve() if path.is_symlink() else path)
    except (OSError, RuntimeError):  # leads to nothing, or to itself: reading it will tell
        return _entry(path)
