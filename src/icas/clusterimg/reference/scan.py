"""The reference folder: its images, and the links of a run to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
"""Device and inode of a folder, and a name in it: the same by whatever path it is reached."""


@dataclass(frozen=True)
class Reference:
    """The images of a reference folder."""

    folder: Path
    # each named by its absolute path, so that no name of the source equals it
    images: tuple[ImageRef, ...]
    unreadable: tuple[Unreadable, ...] = ()  # files that are no images, by absolute path too
    notes: tuple[str, ...] = ()  # messages about them, a line each

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
        return tuple(
            Match(files[a], self.files[b], s) for a, b, s in self.links.structured().tolist()
        )

    def words(self, images: int, *, written: bool) -> str:
        """Number of the run's `images` that match, as a line."""
        verb = "matches" if images == 1 else "match"
        counted = f"{self.found} of {images} image{'' if images == 1 else 's'} {verb}"
        return f"{counted} the reference" + (" (listed in reference.csv)" if written else "")

    def as_dict(self) -> dict[str, Any]:
        """Its part of ``run.json``."""
        return {
            "folder": str(self.folder),
            "images": len(self.files),
            "unreadable": len(self.unreadable),
            "found": self.found,
        }


def read_reference(folder: Path, *, recursive: bool, exclude: Path) -> Reference:
    """The images of the reference folder, but for those in `exclude`, the result."""
    try:
        scanned = scan(folder, recursive=recursive, exclude=exclude)
    except UsageError as error:
        raise UsageError(f"--reference: {error.message}") from None
    if not scanned.images:
        hint = "" if recursive else " (use --recursive to include sub-folders)"
        raise IcasError(f"no images in the reference folder {folder}{hint}")
    root = folder.absolute()
    images = tuple(
        replace(ref, path=root / ref.file, file=(root / ref.file).as_posix())
        for ref in scanned.images
    )
    unreadable = tuple(
        replace(lost, file=(root / lost.file).as_posix()) for lost in scanned.unreadable
    )
    notes: tuple[str, ...] = ()
    results = [file for file in scanned.ignored if is_result(folder / file)]
    if results:  # of earlier runs: their images may be expected here
        named = ", ".join(results[:3]) + (", …" if len(results) > 3 else "")
        notes = (
            f"reference: results of earlier runs in it are skipped ({named}): give such a folder"
            " as --reference to use its images",
        )
    return Reference(folder, images, unreadable, notes)


def apart(source: Path, scanned: Scan, reference: Reference) -> tuple[Scan, Reference]:
    """Source and reference without a file in common, so that none is compared with itself.

    A file in both belongs to the inner folder: to the source, unless the reference is a folder
    inside the source. A link in the reference to a file of the source is left out, too: the image
    itself is not in the reference.
    """
    if any(parent.samefile(source) for parent in reference.folder.resolve().parents):
        paths = [ref.path for ref in reference.images]
        known = {_entry(path) for path in (*paths, *(Path(it.file) for it in reference.unreadable))}
        kept = Scan(
            tuple(ref for ref in scanned.images if _entry(ref.path) not in known),
            tuple(it for it in scanned.unreadable if _entry(source / it.file) not in known),
            tuple(file for file in scanned.ignored if _entry(source / file) not in known),
        )
        if not kept.images:
            raise IcasError(
                f"no images in {source} besides those of the reference folder {reference.folder}"
            )
        left = len(scanned.images) - len(kept.images)
        return kept, _noting(reference, left, "source", "reference folder inside it")
    known = {_entry(ref.path) for ref in scanned.images}
    known |= {_entry(source / lost.file) for lost in scanned.unreadable}
    images = tuple(ref for ref in reference.images if _target(ref.path) not in known)
    unreadable = tuple(it for it in reference.unreadable if _target(Path(it.file)) not in known)
    if not images:
        raise IcasError(
            f"no images in the reference folder {reference.folder} besides those of the source,"
            " and files are not compared with themselves"
        )
    left = len(reference.images) - len(images)
    reference = replace(reference, images=images, unreadable=unreadable)
    return scanned, _noting(reference, left, "reference", "source")


def _noting(reference: Reference, left: int, side: str, other: str) -> Reference:
    """`reference` with a note of how many images of one folder belong to the other."""
    if not left:
        return reference
    files = "1 image" if left == 1 else f"{left} images"
    note = f"{side}: skipped {files} that {'belongs' if left == 1 else 'belong'} to the {other}"
    return replace(reference, notes=(*reference.notes, note))


def _entry(path: Path) -> Entry:
    """Identity of a file itself, wherever it links to."""
    try:
        status = path.parent.stat()
    except OSError:  # gone meanwhile: reading it fails later
        return -1, -1, str(path)
    return status.st_dev, status.st_ino, path.name


def _target(path: Path) -> Entry:
    """Identity of the file that `path` is, or links to."""
    try:
        return _entry(path.resolve() if path.is_symlink() else path)
    except (OSError, RuntimeError):  # a broken or circular link: reading it fails later
        return _entry(path)
