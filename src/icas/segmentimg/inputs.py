"""Paths on the command line -> pictures to be cut, each with the names of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from icas.common.errors import IcasError, UsageError
from icas.common.files import beside
from icas.common.find import find_images


@dataclass(frozen=True)
class Picture:
    """One picture and where its files go.

    Attributes
    ----------
    path : Path
        The picture.
    out : Path
        Folder of its files.
    name : str
        What their names begin with: the picture's name without its suffix, or with it where
        another picture of the folder has the same name without.
    """

    path: Path
    out: Path
    name: str

    def file(self, ending: str) -> Path:
        """``out/NAME_segments.png`` for ``_segments.png``."""
        return self.out / f"{self.name}{ending}"


def find_pictures(
    paths: Sequence[str | Path], out: Path | None = None, recursive: bool = False
) -> list[Picture]:
    """The pictures that `paths` name, files or folders, in order and each once.

    Raises
    ------
    UsageError
        A path does not exist, or two folders hold pictures of one name and share `out`.
    IcasError
        There are no pictures.
    """
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
