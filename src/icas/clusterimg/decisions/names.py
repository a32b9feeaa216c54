"""Class names stored by the content of images -> names of the images of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.decisions.apply import keys_of
from icas.clusterimg.decisions.store import (
    TOGETHER,
    Constraint,
    ConstraintStore,
    constraints_folder,
    has_constraints,
)
from icas.clusterimg.graph.forest import Labels
from icas.common.errors import IcasError
from icas.dataset.image_labels import CLUSTER, LABELS, SPREAD, ImageLabel, count_names
from icas.notebook.html import counted

LISTED = 5
"""Contradictions that a command lists."""


@dataclass(frozen=True)
class StoredNames:
    """Class names of the images of a run.

    labels: by file; stored: how many of them were stored, the others have the name of their
    cluster; contradictions: clusters whose images have different names, for messages.
    """

    labels: Mapping[str, ImageLabel] = field(default_factory=dict)
    stored: int = 0
    contradictions: tuple[str, ...] = ()

    def show(self, console: Console) -> None:
        """Print how many images are named, and warn of contradictions."""
        if self.labels:
            more = len(self.labels) - self.stored
            rest = f", {more} more by their cluster" if more else ""
            console.line(f"names: {counted(self.stored, 'image')} by content{rest} -> {LABELS}")
        for message in shortened(self.contradictions):
            console.warn(message)


def shortened(messages: Sequence[str]) -> list[str]:
    """The first of `messages`, and how many more there are."""
    more = len(messages) - LISTED
    return [*messages[:LISTED], *([f"{more} more contradictions"] if more > 0 else [])]


def stored_labels(
    files: Mapping[str, Path], cache: str | Path | bool | None = None, jobs: int | None = None
) -> dict[str, ImageLabel]:
    """The stored names of images, by file; the parameters are those of `stored_constraints`."""
    try:
        folder = constraints_folder(cache)
    except IcasError:  # without a home folder nothing can have been stored
        return {}
    if not has_constraints(folder):
        return {}
    try:
        with ConstraintStore(folder) as store:
            names = {one.image.key: one for one in store.names()}
    except IcasError as error:
        raise IcasError(f"{error.message}; --no-decisions ignores them") from error
    keys = keys_of(files, {one.image.size for one in names.values()}, jobs)
    return {file: names[key].label for file, key in keys.items() if key in names}


def names_of_run(
    stored: Mapping[str, ImageLabel], files: Sequence[str], labels: Labels
) -> StoredNames:
    """Names of the images of a run; its clusters get the name of their named images.

    An image without a stored name gets that of its cluster, if the images of the cluster that a
    person named have one name. With k such images the confidence is (k + 1) / (k + 2).
    """
    if not stored:
        return StoredNames()
    clusters = {
        file: f"cluster_{label}"
        for file, label in zip(files, labels.tolist(), strict=True)
        if label >= 0
    }
    named = _by_cluster(clusters, stored)
    result = {}
    for file in files:
        names = count_names(named.get(clusters.get(file, ""), {}).values())
        if file in stored:
            result[file] = stored[file]
        elif len(names) == 1:
            [(name, count)] = names.items()
            result[file] = ImageLabel(name, CLUSTER, (count + 1) / (count + 2))
    return StoredNames(result, len(stored), tuple(contradictions(clusters, stored)))


def _by_cluster(
    clusters: Mapping[str, str], labels: Mapping[str, ImageLabel]
) -> dict[str, dict[str, ImageLabel]]:
    """The images of each cluster whose name is from a person."""
    named: dict[str, dict[str, ImageLabel]] = {}
    for file, cluster in clusters.items():
        if file in labels and labels[file].source != SPREAD:
            named.setdefault(cluster, {})[file] = labels[file]
    return named


def contradictions(clusters: Mapping[str, str], labels: Mapping[str, ImageLabel]) -> Iterator[str]:
    """The clusters whose images a person gave different names; `clusters` are by file."""
    for cluster, named in _by_cluster(clusters, labels).items():
        names = count_names(named.values())
        if len(names) > 1:
            listed = ", ".join(f"{name} ({count})" for name, count in names.items())
            yield f"{cluster} has images with different names: {listed}"


def linked_contradictions(
    constraints: Sequence[Constraint], labels: Mapping[bytes, ImageLabel]
) -> Iterator[str]:
    """Images with different names that constraints put in one cluster; `labels` are by key."""
    for constraint in constraints:
        for side in constraint.sides if constraint.kind == TOGETHER else ():
            first: dict[str, str] = {}
            for image in side:
                label = labels.get(image.key)
                if label is not None and label.source != SPREAD:
                    first.setdefault(label.label, image.name)
            if len(first) > 1:
                listed = ", ".join(f"{file} is {name}" for name, file in first.items())
                yield f"{constraint.description()} joins images with different names: {listed}"
