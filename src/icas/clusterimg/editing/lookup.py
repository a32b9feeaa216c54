"""The images of a finished result, by the names that people call them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from icas.clusterimg.journal.journal import Journal, being_undone
from icas.clusterimg.journal.records import Made
from icas.clusterimg.journal.relocation_log import unfinished
from icas.clusterimg.results.saved import FOREST, SavedState, Tables, check_recorded
from icas.clusterimg.results.tables import earlier_run
from icas.clusterimg.transfer.plan import TREE
from icas.clusterimg.transfer.verify import SYSTEMS_OWN
from icas.common.errors import ConflictError, UsageError


@dataclass(frozen=True)
class NamedImages:
    """The images of a finished result.

    Attributes
    ----------
    root : Path
    told : mapping
        What ``run.json`` says.
    places : mapping of str to str
        Image, as ``clusters.csv`` names it -> its place in ``result/`` as it is on record,
        relative to `root`; none where the run wrote tables only.
    sources : mapping of str to Path
        Image -> where it came from.
    clusters : mapping of str to int
        Image -> its cluster in ``clusters.csv``; -1 = outlier.
    made : mapping of str to Made
        Place -> what is on record about it.
    """

    root: Path
    told: Mapping[str, Any]
    places: Mapping[str, str]
    sources: Mapping[str, Path]
    clusters: Mapping[str, int]
    made: Mapping[str, Made]

    @classmethod
    def read(cls, root: Path) -> NamedImages:
        """The images of the result in `root`.

        Raises
        ------
        UsageError
            There is no finished result of clusters.
        IcasError
            A table cannot be read.
        """
        check_recorded(root)
        with Journal(root) as journal:
            phase, made = journal.phase, {one.target: one for one in journal.made()}
            begun = unfinished(journal.database)
        if phase == "undoing":
            raise being_undone(root)
        if phase != "done" or FOREST not in made:
            raise UsageError(
                f"{root} holds no finished clusters: something can be decided about the result of"
                " a run that went to its end, without --stage batch or --reference"
            )
        if begun is not None:
            raise ConflictError(f"a {begun.told()} of {root} was interrupted: finish that first")
        kept, tables = SavedState.read(root), Tables.read(root)
        files = dict(zip(kept.sources, kept.files, strict=True))
        tree = {
            target: one
            for target, one in made.items()
            if one.source in files and one.left_alone is None and _folder(target) is not None
        }
        return cls(
            root,
            earlier_run(root),
            {files[str(one.source)]: target for target, one in tree.items()},
            {file: Path(source) for source, file in files.items()},
            dict(zip(tables.files, tables.labels.tolist(), strict=True)),
            tree,
        )

    def place(self, file: str) -> Path:
        """Where the image is now.

        Raises
        ------
        ConflictError
            It is not where it is on record.
        """
        if file not in self.places:
            return self.sources[file]
        place = self.root / self.places[file]
        if not os.path.lexists(place):
            raise ConflictError(
                f"{place} is not there any more: if it was moved to another folder, take that as a"
                f" decision first (clusterimg decide {self.root} --learn)"
            )
        return place

    def called(self, name: str) -> str:
        """The image that people call `name`, as ``clusters.csv`` names it.

        Parameters
        ----------
        name : str
            As in ``clusters.csv``, or a place in the result, or the path that it came from.

        Raises
        ------
        UsageError
            There is no such image, or there are several.
        """
        found = {name} if name in self.sources else set()
        by_place = {target: file for file, target in self.places.items()}
        for path in (self.root / name, Path(name)):
            below = _below(path, self.root)
            if below in by_place:
                found.add(by_place[below])
        here = os.path.normpath(Path(name).absolute())
        found |= {file for file, path in self.sources.items() if str(path) == here}
        if not found:
            raise UsageError(
                f"no image {name} in {self.root}: names are as in clusters.csv, or places in"
                f" {TREE}/"
            )
        if len(found) > 1:
            others = " and ".join(sorted(found))
            raise UsageError(f"{name} may be {others}: say which by its place in {TREE}/")
        return found.pop()

    def members(self, cluster: int | str) -> list[str]:
        """The images of a cluster, in the order of ``clusters.csv``.

        Parameters
        ----------
        cluster : int or str
            A folder of ``result/``, or the number of its cluster.

        Raises
        ------
        UsageError
            There is no such cluster.
        ConflictError
            Files were moved into its folder, or out of it, since.
        """
        name = str(cluster).rstrip("/").removeprefix(f"{TREE}/")
        name = f"cluster_{name}" if name.isdigit() else name
        if self.places:
            found = [file for file in self.clusters if _folder(self.places.get(file, "")) == name]
            self._check_folder(name, found)
        else:
            found = [file for file, one in self.clusters.items() if f"cluster_{one}" == name]
        if not found or name == "outliers":
            raise UsageError(f"{self.root} has no cluster {name}")
        return found

    def _check_folder(self, name: str, files: list[str]) -> None:
        """Make sure that the folder of a cluster holds what is on record."""
        folder = self.root / TREE / name
        entries = list(folder.iterdir()) if folder.is_dir() else []
        there = {f"{TREE}/{name}/{entry.name}" for entry in entries if not entry.is_dir()}
        there = {place for place in there if PurePosixPath(place).name.lower() not in SYSTEMS_OWN}
        if files and there != {self.places[file] for file in files}:
            raise ConflictError(
                f"files were moved into {folder} or out of it since the run: take that as decisions"
                f" first (clusterimg decide {self.root} --learn)"
            )


def _folder(target: str) -> str | None:
    """The cluster's folder that a place is in; None for one outside of ``result/``."""
    parts = PurePosixPath(target).parts
    return "/".join(parts[1:-1]) if len(parts) > 2 and parts[0] == TREE else None


def _below(path: Path, root: Path) -> str | None:
    """`path` relative to `root`, '/' between; None where it lies elsewhere."""
    absolute = Path(os.path.normpath(path.absolute()))
    for top in (Path(os.path.normpath(root.absolute())), root.resolve()):
        if absolute.is_relative_to(top):
            return absolute.relative_to(top).as_posix()
    return None
