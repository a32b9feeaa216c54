"""Image files of a folder, found by suffix or content, in natural order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.files import path_of
from icas.io.formats import describe_content, image_kind, os_reason, read_head

IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for names in ("jpg jpeg jpe png bmp tif tiff", "webp gif jp2 ppm pgm pbm")
    for name in names.split()
)
"""Suffixes that make a file an image whatever its content; lower case, with the dot."""

COMPANION_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        "txt text md rst html htm css js csv tsv json jsonl geojson xml xmp yaml yml toml ini",
        "cfg conf log db sqlite py pyc ipynb sh bat npy npz pkl h5 mat pt pth md5 sha256 bib",
    )
    for name in names.split()
)
"""Suffixes of files that accompany images (labels, notes, tables): ignored without a message."""

COMPANION_NAMES = frozenset(
    ("thumbs.db", "desktop.ini", "readme", "license", "licence", "copying", "makefile", "checksums")
)
"""Whole names, lower case, that are ignored too."""

RESULT_MARK = ".icas"
"""Sub-folder that identifies the result of an earlier run."""


@dataclass(frozen=True)
class Found:
    """The files of a folder, each list in natural order.

    `images`: by suffix or content, readable or not; `others`: neither image nor companion, and
    sub-folders that cannot be read (`why_not_an_image` gives the reason); `ignored`: companions,
    results of earlier runs, and links to folders where sub-folders are entered.
    """

    images: list[Path]
    others: list[Path]
    ignored: list[Path]


def find_images(folder: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the image files of a folder in natural order (img2 before img10).

    A file is an image by its suffix (``.jpg``, ``.png``, ``.webp``, …; not case-sensitive) or, with
    an unknown or missing suffix, by its first bytes. Hidden files and folders are skipped.

    Parameters
    ----------
    folder : str or Path
        Folder to search.
    recursive : bool, default False
        Include sub-folders, but not links to folders.

    Returns
    -------
    list of Path
        ``folder / name`` of each file. The files are not opened, so some may be unreadable.

    Raises
    ------
    UsageError
        `folder` does not exist, is not a folder or cannot be read.

    See Also
    --------
    icas.read_image : Read an image file.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> for name in ("img10.png", "img2.png", ".hidden.png"):
    ...     Image.new("RGB", (4, 3)).save(name)
    >>> Path("notes.txt").touch()
    >>> [path.name for path in icas.find_images(".")]
    ['img2.png', 'img10.png']
    """
    return find_files(path_of(folder, "folder"), recursive=recursive).images


def find_files(
    folder: str | os.PathLike[str],
    *,
    recursive: bool = False,
    exclude: str | os.PathLike[str] | None = None,
) -> Found:
    """The files of `folder`, sorted into images, others and companions; see `find_images`.

    Parameters
    ----------
    exclude
        A sub-folder that is not entered (such as the result of an earlier run).
    """
    root = Path(folder)
    _require_folder(root)
    lists: dict[str, list[str]] = {"image": [], "other": [], "companion": []}
    excluded = None if exclude is None or not _is_dir(exclude) else Path(exclude).stat()
    for relative, sort in _walk(root, recursive, excluded):
        lists[sort or _sort_of(root, relative)].append(relative)
    images, others, ignored = (
        [root / relative for relative in sorted(names, key=natural_key)] for names in lists.values()
    )
    return Found(images, others, ignored)


def why_not_an_image(path: str | os.PathLike[str]) -> str:
    """Why a file among `Found.others` is no image, in a few words."""
    if _is_dir(path):
        try:
            os.scandir(path).close()
        except OSError as error:
            return f"unreadable folder ({os_reason(error)})"
        return "not a regular file (a folder)"
    try:
        return describe_content(read_head(path))
    except UnreadableImageError as error:
        return error.message


def is_result(folder: str | os.PathLike[str]) -> bool:
    """Whether `folder` holds the result of an earlier run."""
    return _is_dir(Path(folder, RESULT_MARK))


def natural_key(relative: str) -> tuple[object, ...]:
    """Sort key of a path relative to its folder: by parts, numbers by value, case last.

    ``img2.png`` comes before ``IMG10.png``; names that differ only in case or leading zeros are
    ordered by their bytes, so the order is total and the same everywhere.
    """
    parts = PurePath(relative).parts
    # Every second piece is a number, so numbers are compared with numbers only.
    keys = tuple(
        tuple(int(piece) if number % 2 else piece for number, piece in enumerate(pieces))
        for pieces in (_DIGITS.split(part.casefold()) for part in parts)
    )
    return keys, tuple(os.fsencode(part) for part in parts)


_DIGITS = re.compile("([0-9]+)")


def _require_folder(folder: Path) -> None:
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        raise UsageError(f"no folder {str(folder)!r}") from None
    except NotADirectoryError:
        raise UsageError(f"{str(folder)!r} is a file: give a folder with images") from None
    except (OSError, ValueError) as error:
        words = os_reason(error) if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read folder {str(folder)!r}: {words}") from None


def _is_dir(path: str | os.PathLike[str]) -> bool:
    """Whether `path` leads to a folder; False where that may not be read."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises


def _walk(
    root: Path, recursive: bool, excluded: os.stat_result | None
) -> Iterator[tuple[str, str | None]]:
    """Paths relative to `root`, with "other" or "companion" for folders and None for files.

    A sub-folder that cannot be read is "other". Results of earlier runs, which hold copies, and
    links to folders, which could form loops, are companions.
    """
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            yield below, "other"
            continue
        for entry in visible:
            relative = f"{below}{os.sep}{entry.name}" if below else entry.name
            if not _is_folder(entry):
                yield relative, None
            elif recursive and _is_link(entry):
                yield relative, "companion"
            elif recursive and not _is_same(entry, excluded):
                if is_result(entry.path):
                    yield relative, "companion"
                else:
                    waiting.append(relative)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_link(entry: os.DirEntry[str]) -> bool:
    # Junctions are Windows' other links to folders; Python knows them from 3.12 on.
    return entry.is_symlink() or getattr(entry, "is_junction", bool)()


def _is_same(entry: os.DirEntry[str], excluded: os.stat_result | None) -> bool:
    if excluded is None:
        return False
    try:
        return os.path.samestat(Path(entry.path).stat(), excluded)
    except OSError:
        return False


def _sort_of(root: Path, relative: str) -> str:
    name = relative.rpartition(os.sep)[2].lower()
    _, dot, ending = name.rpartition(".")
    suffix = dot + ending if dot else ""
    if suffix in IMAGE_SUFFIXES:
        return "image"
    if suffix in COMPANION_SUFFIXES or name in COMPANION_NAMES:
        return "companion"
    try:
        return "image" if image_kind(read_head(root / relative)) else "other"
    except UnreadableImageError:
        return "other"
