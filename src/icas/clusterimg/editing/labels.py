"""Class names of the images of a finished result: set, cleared, listed, written to labels.csv."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.decisions.apply import keys_of
from icas.clusterimg.decisions.names import (
    contradictions,
    linked_contradictions,
    stored_labels,
)
from icas.clusterimg.decisions.store import ConstraintStore, NamedImage, has_constraints
from icas.clusterimg.editing.constraints import folder_of
from icas.clusterimg.editing.recut import REPORT
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.evaluation.scores import match_labels, read_labels, read_table
from icas.clusterimg.html.names import names_by_cluster, with_names
from icas.clusterimg.journal.journal import Journal, Rearrangement
from icas.clusterimg.results.saved import Tables, check_recorded, earlier_run
from icas.clusterimg.transfer.cleanup import is_unchanged
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import begin, finish, finish_interrupted
from icas.common.errors import ConflictError, UsageError
from icas.dataset.image_labels import (
    CLUSTER,
    IMAGE,
    LABELS,
    SPREAD,
    ImageLabel,
    class_name,
    labels_table,
    read_image_labels,
    similar_names,
)
from icas.notebook.html import counted

_CLUSTER = re.compile(r"(?:result/)?cluster_\d+(?:/cluster_\d+)*/?|\d+")
Names = Mapping[str, str]
"""Cluster or image -> class name."""


@dataclass(frozen=True)
class NamesTable:
    """Names from a table, by cluster or image, and what was not used of it."""

    names: dict[str, str]
    warnings: tuple[str, ...] = ()
    unmatched: int = 0


@dataclass
class LabelledResult:
    """The images of a finished result and their class names; `write` stores changes.

    labels: by file, those of the table and, unless the run had ``--no-decisions``, the stored ones.
    """

    root: Path
    images: ResultImages
    folder: Path  # of the store
    labels: dict[str, ImageLabel]
    changed: dict[str, ImageLabel | None] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path, cache: str | Path | None = None) -> LabelledResult:
        """The result in `root`, with the names of its images."""
        images, folder = ResultImages.read(root), folder_of(root, cache)
        settings = earlier_run(root).get("settings", {})
        labels = {
            file: label for file, label in read_image_labels(root).items() if file in images.sources
        }
        if settings.get("decisions", True):
            paths = {file: images.path(file) for file in images.sources}
            labels |= stored_labels(paths, folder, settings.get("jobs"))
        ordered = {file: labels[file] for file in images.clusters if file in labels}
        return cls(root, images, folder, ordered)

    @cached_property
    def clusters(self) -> dict[str, str]:
        """The cluster of each image that is in one, by file."""
        return self.images.folders()

    def set_names(self, names: Names) -> None:
        """Name clusters and images; the names of single images prevail.

        An image that a person named keeps its name when its cluster is named.
        """
        targets: dict[str, tuple[str, bool, list[str]]] = {}
        for given, text in names.items():
            name, (place, files) = class_name(text), self._files(given)
            earlier = targets.get(place)
            if earlier is not None and earlier[0] != name:
                raise UsageError(f"{place} has two names, {earlier[0]!r} and {name!r}")
            targets[place] = name, place not in self.images.sources, files
        for is_cluster in (True, False):
            for place, (name, of_cluster, files) in targets.items():
                if of_cluster == is_cluster:
                    source = CLUSTER if is_cluster else IMAGE
                    self._set(place, files, ImageLabel(name, source))

    def _set(self, place: str, files: Sequence[str], label: ImageLabel) -> None:
        own: Counter[str] = Counter()
        for file in files:
            earlier = self.labels.get(file)
            if label.source == CLUSTER and earlier is not None and earlier.source == IMAGE:
                if earlier.label != label.label:
                    own[earlier.label] += 1
                continue
            self.labels[file] = label
            self.changed[file] = label
        for name, count in own.items():
            self.messages.append(
                f"{place} is named {label.label}: {counted(count, 'image')} in it"
                f" {'keeps its' if count == 1 else 'keep their'} own name {name}"
            )

    def replace(self, labels: Mapping[str, ImageLabel | None]) -> None:
        """Set the label of each of these images; None removes it."""
        self._clear(file for file, label in labels.items() if label is None)
        for file, label in labels.items():
            if label is not None:
                self.labels[file] = self.changed[file] = label

    def spread(self, labels: Mapping[str, ImageLabel]) -> None:
        """Set names that similar images have, in place of all earlier ones of that kind."""
        for file, label in list(self.labels.items()):
            if label.source == SPREAD:
                self._clear([file])
        for file, label in labels.items():
            if file not in self.labels:
                self.labels[file] = self.changed[file] = label

    def clear(self, names: Iterable[str] | None = None) -> int:
        """Remove the names of clusters and images, by default all; the number of images."""
        files = list(self.labels)
        if names is not None:
            files = [file for name in names for file in self._files(name)[1]]
        return self._clear(files)

    def _clear(self, files: Iterable[str]) -> int:
        named = [file for file in dict.fromkeys(files) if file in self.labels]
        for file in named:
            del self.labels[file]
            self.changed[file] = None
        return len(named)

    def _files(self, given: str) -> tuple[str, list[str]]:
        """The name of a cluster or an image, and the images."""
        if given not in self.images.sources and _CLUSTER.fullmatch(given):
            files = self.images.members(given)
            return self.clusters[files[0]], files
        file = self.images.named(given)
        return file, [file]

    def find(self, given: str) -> bool:
        """Whether a cluster or an image has this name."""
        try:
            self._files(given)
        except UsageError:
            return False
        return True

    def assignment(self, text: str) -> tuple[str, str]:
        """The two sides of ``NAME=CLASS``; a name or a class may hold ``=`` itself."""
        parts = text.split("=")
        sides = [("=".join(parts[:at]), "=".join(parts[at:])) for at in range(1, len(parts))]
        if not sides:
            raise UsageError(f"{text!r}: expected NAME=CLASS, such as cluster_0=cat")
        return next((side for side in sides if self.find(side[0])), sides[0])

    def table(self, path: Path) -> NamesTable:
        """Names from a table with the columns ``file,label`` or ``cluster,label``."""
        try:
            read_table(path, ("file",))
        except UsageError as error:
            if "no column" not in error.message:
                raise
            return self._clusters_table(path)
        truth = {file: label for file, label in read_labels(path).items() if label}
        matched = match_labels(self.images.clusters, truth)
        unlabelled = set(matched.unlabelled)
        files = [file for file in self.images.clusters if file not in unlabelled]
        names = dict(zip(files, matched.truth, strict=True))
        return NamesTable(names, *_unmatched(path, matched.unused))

    def _clusters_table(self, path: Path) -> NamesTable:
        names: dict[str, str] = {}
        unmatched = []
        for row in read_table(path, ("cluster", "label")):
            given, label = row["cluster"], row["label"]
            if not label:
                continue
            if not self.find(given):
                unmatched.append(given)
            elif names.setdefault(given, label) != label:
                raise UsageError(f"{path}: {given} has two labels, {names[given]!r} and {label!r}")
        if not names:
            raise UsageError(f"{path}: no row names a cluster of {self.root}")
        return NamesTable(names, *_unmatched(path, unmatched))

    def contradictions(self) -> list[str]:
        """Clusters and must-link constraints whose images a person gave different names."""
        found = list(contradictions(self.clusters, self.labels))
        if has_constraints(self.folder):
            with ConstraintStore(self.folder) as store:
                constraints = store.all()
            linked = {image.size for one in constraints for image in one.images}
            paths = {file: self.images.path(file) for file in self.labels}
            keys = keys_of(paths, linked, None)
            by_key = {key: self.labels[file] for file, key in keys.items()}
            found += linked_contradictions(constraints, by_key)
        return found

    def warnings(self) -> list[str]:
        """Names that are nearly equal, and what was kept."""
        similar = similar_names(one.label for one in self.labels.values())
        return [
            *self.messages,
            *(
                f"the names {' and '.join(map(repr, group))} differ only by case, spaces or Unicode"
                " form: they are different classes"
                for group in similar
            ),
        ]

    def classes(self) -> list[str]:
        """The classes of the images, in the order of first use."""
        used = dict.fromkeys(one.label for one in self.labels.values())
        known: list[str] = []
        if has_constraints(self.folder):
            with ConstraintStore(self.folder) as store:
                known = [name for name in store.classes() if name in used]
        return list(dict.fromkeys([*known, *used]))

    def write(self, console: Console) -> None:
        """Store the changes by content, then replace ``labels.csv`` and the report page."""
        self._check_table()
        changed = {file: self.images.content(file) for file in self.changed}
        named, removed = [], []
        for file, content in changed.items():
            label = self.changed[file]
            if label is None:
                removed.append(content.key)
            else:
                named.append(NamedImage(content, label))
        if named or (removed and has_constraints(self.folder)):
            with ConstraintStore(self.folder, write=True) as store, store.transaction():
                store.remove_names(removed)
                store.set_names(named)
        sizes = {content.size for content in changed.values()}
        labels = self._with_copies(named, set(removed), sizes)
        self.labels = labels
        contents = {LABELS: labels_table(labels), **self._page()}
        tables = dict.fromkeys(contents)
        about = {"images": len(labels)}
        begin(self.root, Rearrangement("label", about, tables, ()), contents)
        finish(self.root, Console())

    def _page(self) -> dict[str, bytes]:
        """The report page with the names; nothing where the run wrote none, or it was changed."""
        path = self.root / REPORT
        if not self._is_ours(REPORT):
            return {}
        tables = Tables.read(self.root)
        page = path.read_text(encoding="utf-8")
        names = names_by_cluster(tables.files, tables.labels, self.labels)
        return {REPORT: with_names(page, names).encode("utf-8")}

    def _with_copies(
        self, named: Sequence[NamedImage], removed: set[bytes], sizes: set[int]
    ) -> dict[str, ImageLabel]:
        """The labels, with those of files that have the content of a named one."""
        paths = {file: self.images.path(file) for file in self.images.clusters}
        by_key = {one.image.key: one.label for one in named}
        for file, key in keys_of(paths, sizes, None).items():
            if file in self.changed:
                continue
            if key in by_key:
                self.labels[file] = by_key[key]
            elif key in removed:
                self.labels.pop(file, None)
        return {file: self.labels[file] for file in self.images.clusters if file in self.labels}

    def _check_table(self) -> None:
        """Check that ``labels.csv`` may be replaced."""
        path = self.root / LABELS
        if os.path.lexists(path) and not self._is_ours(LABELS):
            raise ConflictError(
                f"{path} was not written by clusterimg, or was changed: move it elsewhere, then"
                " give it with --from to use its names"
            )

    def _is_ours(self, name: str) -> bool:
        """Whether a file is as clusterimg wrote it."""
        with Journal(self.root) as journal:
            record = next((one for one in journal.files() if one.target == name), None)
        path = self.root / name
        return record is not None and os.path.lexists(path) and is_unchanged(self.root, record)


def _unmatched(path: Path, rows: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """What to say of rows that match nothing, and how many there are."""
    if not rows:
        return (), 0
    kind = "row" if len(rows) == 1 else "rows"
    verb = "matches" if len(rows) == 1 else "match"
    line = f"{len(rows)} {kind} of {path} {verb} no cluster or image, such as {rows[0]}"
    return (f"{line}; ignored",), len(rows)


@dataclass(frozen=True)
class LabelChanges:
    """What `change_labels` does, in this order: clear names, read a table, set names.

    clear: True = all names, or the clusters and images to clear.
    """

    clear: bool | Sequence[str] = False
    table: Path | None = None
    names: Names = field(default_factory=dict)
    words: Sequence[str] = ()  # NAME=CLASS

    def __bool__(self) -> bool:
        return bool(self.clear or self.table or self.names or self.words)

    def apply(self, result: LabelledResult) -> int:
        """Make the changes in memory; returns the rows of the table that match nothing."""
        unmatched = 0
        if self.clear is True:
            result.clear()
        elif self.clear:
            result.clear(self.clear)
        if self.table is not None:
            table = result.table(self.table)
            result.messages += table.warnings
            result.set_names(table.names)
            unmatched = table.unmatched
        if self.words:
            given: dict[str, str] = {}
            for word in self.words:
                name, label = result.assignment(word)
                if given.setdefault(name, label) != label:
                    raise UsageError(f"{name} has two names, {given[name]!r} and {label!r}")
            result.set_names(given)
        result.set_names(self.names)
        return unmatched


@contextmanager
def open_result(
    root: Path, cache: str | Path | None, console: Console, *, locking: bool
) -> Iterator[LabelledResult]:
    """The result in `root`; with `locking` no other process changes it meanwhile."""
    check_recorded(root)
    with locked(root) if locking else nullcontext():
        finish_interrupted(root, console, dry_run=not locking)
        yield LabelledResult.read(root, cache)
