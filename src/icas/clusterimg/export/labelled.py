"""The labelled images of a finished run, and the groups that no split divides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.decisions.apply import stored_constraints
from icas.clusterimg.decisions.store import content_of
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.export.settings import ExportSettings
from icas.clusterimg.results.saved import SavedState, earlier_run
from icas.common.errors import UnreadableImageError, UsageError
from icas.common.union_find import unions
from icas.dataset.image_labels import SPREAD, ImageLabel, read_image_labels
from icas.io.formats import os_reason
from icas.io.reading import image_size

UNLABELLED = "no label"
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class LabelledImages:
    """Labelled images of the result in `root` that exist, in the order of ``clusters.csv``.

    Attributes
    ----------
    labels : sequence of ImageLabel
        Of each image.
    clusters : sequence of int
        Of each image; -1 = outlier.
    groups : ndarray of int
        Of each image: images of one group belong in one split.
    sizes : sequence of (int, int) or None
        Width and height of each image; empty where no format needs them.
    left_out : dict of str to str
        The other images of the run, with the reason.
    missing : dict of str to str
        Labelled images that cannot be exported, with the reason.
    contradictions : tuple of str
        Clusters and equal files with several labels that a person gave.
    """

    root: Path
    images: Sequence[ImageRef]
    labels: Sequence[ImageLabel]
    clusters: Sequence[int]
    groups: NDArray[np.int64]
    sizes: Sequence[tuple[int, int] | None]
    left_out: Mapping[str, str]
    missing: Mapping[str, str]
    contradictions: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, settings: ExportSettings, with_sizes: bool) -> LabelledImages:
        """The images of the result in `root` that have a label."""
        result = ResultImages.read(root)
        given = read_image_labels(root)
        if not given:
            raise UsageError(
                f"{root} has no labels: name clusters first, with clusterimg label {root}"
                " cluster_0=NAME"
            )
        left_out: dict[str, str] = {}
        missing: dict[str, str] = {}
        refs: list[ImageRef] = []
        for file in result.clusters:
            label = given.get(file)
            if label is None:
                left_out[file] = UNLABELLED
            elif label.confidence < settings.min_confidence:
                left_out[file] = f"confidence {label.confidence:.4g}"
            else:
                path = _existing(result, file)
                if path is None:
                    missing[file] = "its file is missing"
                else:
                    refs.append(ImageRef.found(path, file))
        sizes: list[tuple[int, int] | None] = []
        if with_sizes:
            measured = _sizes(refs, settings.jobs)
            missing |= {
                one.file: it for one, it in zip(refs, measured, strict=True) if isinstance(it, str)
            }
            sizes = [it for it in measured if not isinstance(it, str)]
            refs = [one for one in refs if one.file not in missing]
        labels = [given[one.file] for one in refs]
        clusters = [result.clusters[one.file] for one in refs]
        same = _equal_files(refs, settings.jobs)
        groups = _groups(root, result, refs, clusters, same, settings)
        contradictions = (*_mixed_clusters(clusters, labels), *_mixed_files(refs, labels, same))
        return cls(root, refs, labels, clusters, groups, sizes, left_out, missing, contradictions)


def _existing(result: ResultImages, file: str) -> Path | None:
    """The source image if it is as the run saw it, else its copy in the result."""
    source, target = result.sources[file], result.targets.get(file)
    if target is None:
        return source if source.is_file() else None
    found = ImageRef.found(source, file)
    if found.state is not None and result.records[target].planned_state in (
        found.state,
        (None, None),
    ):
        return source
    placed = result.root / target
    return next((path for path in (placed, source) if path.is_file()), None)


def _sizes(images: Sequence[ImageRef], jobs: int | None) -> list[tuple[int, int] | str]:
    """Width and height of each image, or why its header cannot be read."""

    def size(image: ImageRef) -> tuple[int, int] | str:
        try:
            return image_size(image.path)
        except UnreadableImageError as error:
            return error.message
        except OSError as error:
            return os_reason(error)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(size, images))


def _equal_files(images: Sequence[ImageRef], jobs: int | None) -> Pairs:
    """Pairs of files with equal content; only files of equal size are read."""
    counts = Counter(image.state[0] for image in images if image.state)
    twins = [n for n, image in enumerate(images) if image.state and counts[image.state[0]] > 1]

    def key(number: int) -> bytes | None:
        try:
            return content_of(images[number].path, "").key
        except OSError:  # reported when it is transferred
            return None

    with ThreadPoolExecutor(jobs) as pool:
        keys = dict(zip(twins, pool.map(key, twins), strict=True))
    first: dict[bytes, int] = {}
    pairs = [
        (first[content], number)
        for number, content in keys.items()
        if content is not None and first.setdefault(content, number) != number
    ]
    return _as_pairs(pairs)


def _as_pairs(pairs: Sequence[tuple[int, int]]) -> Pairs:
    array = np.array(pairs, np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _groups(
    root: Path,
    result: ResultImages,
    images: Sequence[ImageRef],
    clusters: Sequence[int],
    same: Pairs,
    settings: ExportSettings,
) -> NDArray[np.int64]:
    """Groups of images: clusters, links at the run's threshold, must-links, and equal files."""
    state = SavedState.read(root)
    place = {file: number for number, file in enumerate(state.files)}
    chosen = np.array([place[one.file] for one in images], np.int64)
    edges = [_stars(np.array([result.clusters[file] for file in state.files], np.int64))]
    run = earlier_run(root)
    options = run.get("settings", {})
    if options.get("decisions", True):
        paths = {one.file: one.path for one in images}
        applied = stored_constraints(paths, options.get("cache"), settings.jobs)
        edges.append(applied.constraints.arrays(state.files).pairs())
    edges.append((chosen[same[0]], chosen[same[1]]))
    threshold = run.get("threshold")
    floor = -np.inf if threshold is None else np.float32(threshold)
    linked = ~(state.forest.similarity < floor)  # NaN: joined by a constraint
    edges.append((state.forest.a[linked], state.forest.b[linked]))
    a, b = (np.concatenate(side) for side in zip(*edges, strict=True))
    return unions(len(state.files), a, b)[chosen]


def _stars(groups: NDArray[np.int64]) -> Pairs:
    """The first image of each cluster with each of its others; -1 = alone."""
    inside = np.flatnonzero(groups >= 0)
    _, first, group = np.unique(groups[inside], return_index=True, return_inverse=True)
    return inside[first][group], inside


def _mixed_clusters(clusters: Sequence[int], labels: Sequence[ImageLabel]) -> Iterator[str]:
    """Clusters whose images have several labels of a person."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for cluster, label in zip(clusters, labels, strict=True):
        if cluster >= 0 and label.source != SPREAD:
            found[cluster][label.label] += 1
    for cluster, counts in sorted(found.items()):
        if len(counts) > 1:
            listed = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
            yield f"cluster_{cluster} has several labels: {listed}"


def _mixed_files(
    images: Sequence[ImageRef], labels: Sequence[ImageLabel], same: Pairs
) -> Iterator[str]:
    """Equal files with different labels."""
    for a, b in zip(*(side.tolist() for side in same), strict=True):
        if labels[a].label != labels[b].label:
            yield (
                f"{images[a].file} ({labels[a].label}) and {images[b].file} ({labels[b].label})"
                " are equal files"
            )
