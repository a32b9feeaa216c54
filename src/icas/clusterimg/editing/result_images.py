"""The images of a finished result, found by name, path or cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from icas.clusterimg.decisions.store import ImageContent, content_of
from icas.clusterimg.journal.journal import FileRecord, Journal, being_undone
from icas.clusterimg.results.saved import FOREST, SavedState, Tables, check_recorded
from icas.clusterimg.transfer.cleanup import SYSTEM_FILES
from icas.clusterimg.transfer.plan import OUTLIERS, TREE
from icas.common.errors import ConflictError, UsageError
from icas.io.files import one_line_errors


@dataclass(frozen=True)
class ResultImages:
    """The images of a finished result, by their names in ``clusters.csv``."""

    root: Path
    targets: Mapping[str, str]  # image -> path relative to `root`; none without a transfer
    sources: Mapping[str, Path]  # image -> path in the source folder
    clusters: Mapping[str, int]  # image -> cluster; -1 = outlier
    records: Mapping[str, FileRecord]  # by path relative to `root`

    @classmethod
    def read(cls, root: Path) -> ResultImages:
        """The images of the result in `root`."""
        check_recorded(root)
        with Journal(root) as journal:
            phase, records = journal.phase, {one.target: one for one in journal.files()}
            unfinished = journal.rearrangement()
        if phase == "undoing":
            raise being_undone(root)
        if phase != "done" or FOREST not in records:
            raise UsageError(
                f"{root} has no finished clusters: constraints and names need the result of a"
                " finished run without --stage batch or --reference"
            )
        if unfinished is not None:
            raise ConflictError(
                f"an interrupted {unfinished.description()} of {root} is not finished: run that"
                " command again first"
            )
        saved, tables = SavedState.read(root), Tables.read(root)
        files = dict(zip(saved.sources, saved.files, strict=True))
        tree = {
            target: one
            for target, one in records.items()
            if one.source in files and one.left_alone is None and _folder(target) is not None
        }
        return cls(
            root,
            {files[str(one.source)]: target for target, one in tree.items()},
            {file: Path(source) for source, file in files.items()},
            dict(zip(tables.files, tables.labels.tolist(), strict=True)),
            tree,
        )

    def path(self, file: str) -> Path:
        """The path of an image now."""
        return self.root / self.targets[file] if file in self.targets else self.sources[file]

    def content(self, file: str) -> ImageContent:
        """The content of an image."""
        path = self.path(file)
        if file in self.targets and not os.path.lexists(path):
            raise ConflictError(
                f"{path} is missing: if it was moved to another folder, run clusterimg decide"
                f" {self.root} --learn first"
            )
        with one_line_errors(f"cannot read {path}"):
            return content_of(path, file)

    @cached_property
    def _by_target(self) -> dict[str | None, str]:
        return {target: file for file, target in self.targets.items()}

    @cached_property
    def _by_source(self) -> dict[str, set[str]]:
        files: dict[str, set[str]] = {}
        for file, path in self.sources.items():
            files.setdefault(str(path), set()).add(file)
        return files

    def named(self, name: str) -> str:
        """The image with this name in ``clusters.csv``, path in the result or source path."""
        matches = {name} if name in self.sources else set()
        for path in (self.root / name, Path(name)):
            target = _relative(path, self.root)
            if target in self._by_target:
                matches.add(self._by_target[target])
        matches |= self._by_source.get(os.path.normpath(Path(name).absolute()), set())
        if not matches:
            raise UsageError(
                f"no image {name} in {self.root}: give a name from clusters.csv or a path in"
                f" {TREE}/"
            )
        if len(matches) > 1:
            listed = " and ".join(sorted(matches))
            raise UsageError(f"{name} is ambiguous ({listed}): give its path in {TREE}/")
        return matches.pop()

    def folders(self) -> dict[str, str]:
        """The cluster (``cluster_3``) of each image that is in one."""
        names = {
            file: _folder(self.targets[file]) if file in self.targets else f"cluster_{one}"
            for file, one in self.clusters.items()
            if file in self.targets or one >= 0
        }
        return {file: name for file, name in names.items() if name and name != OUTLIERS}

    def members(self, cluster: int | str) -> list[str]:
        """The images of a cluster (a folder of ``result/`` or its number), in table order."""
        name = str(cluster).rstrip("/").removeprefix(f"{TREE}/")
        name = f"cluster_{name}" if name.isdigit() else name
        if self.targets:
            files = [file for file in self.clusters if _folder(self.targets.get(file, "")) == name]
            self._check_folder(name, files)
        else:
            files = [file for file, one in self.clusters.items() if f"cluster_{one}" == name]
        if not files or name == OUTLIERS:
            raise UsageError(f"{self.root} has no cluster {name}")
        return files

    def _check_folder(self, name: str, files: list[str]) -> None:
        """Check that the folder of a cluster holds the files of the journal."""
        folder = self.root / TREE / name
        entries = list(folder.iterdir()) if files and folder.is_dir() else []
        names = [entry.name for entry in entries if not entry.is_dir()]
        existing = {f"{TREE}/{name}/{one}" for one in names if one.lower() not in SYSTEM_FILES}
        if existing != {self.targets[file] for file in files}:
            raise ConflictError(
                f"files were moved into or out of {folder} since the run: run clusterimg decide"
                f" {self.root} --learn first"
            )


def _folder(target: str) -> str | None:
    """The folder of a cluster that a path is in; None outside of ``result/``."""
    parts = PurePosixPath(target).parts
    return "/".join(parts[1:-1]) if len(parts) > 2 and parts[0] == TREE else None


def _relative(path: Path, root: Path) -> str | None:
    """`path` relative to `root`, with '/'; None outside of it."""
    absolute = Path(os.path.normpath(path.absolute()))
    for top in (Path(os.path.normpath(root.absolute())), root.resolve()):
        if absolute.is_relative_to(top):
            return absolute.relative_to(top).as_posix()
    return None
