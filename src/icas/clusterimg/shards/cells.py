"""Cells of k-means, as SemDeDup uses them: only images that share a cell are compared.

K. Tirumala et al. and A. Abbas et al., SemDeDup: data-efficient learning at web scale through
semantic deduplication, 2023. Here each image belongs to its two nearest cells, so that pairs at the
border of cells are compared too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, appended
from icas.clusterimg.graph.forest import Labels
from icas.clusterimg.linking.candidates import Checked
from icas.clusterimg.linking.sketches import FITTED_TO, Sketcher
from icas.clusterimg.methods.base import Method
from icas.clusterimg.shards.forests import forest_of_images
from icas.clusterimg.shards.store import Rows, Shard, Shards
from icas.common.errors import UsageError
from icas.io.files import peak_memory_mb, write_whole
from icas.parallel.executors import Workers

NEAREST = 2
"""Cells of an image."""
SAMPLED = 64
"""Images per cell by which the centres are found."""
ROUNDS = 10
AT_ONCE = 4096
"""Images assigned at a time."""
TASK_PAIRS = 1 << 24
"""Pairs of small cells compared in a task."""
CHECKED = 100
"""Images that are compared with all others."""

Centres = NDArray[np.float32]


def check_cells(method: Method) -> None:
    """Raise UsageError for a method without vectors for k-means."""
    if type(method.extractor).sketch is Method.sketch:
        raise UsageError(
            f"--cells: method {method.name!r} compares all pairs faster without it; remove it"
        )


@dataclass(frozen=True)
class Cells:
    """Sketches of images, and the centres of the cells."""

    sketcher: Sketcher
    centres: Centres

    @classmethod
    def fitted(cls, method: Method, shards: Shards, count: int, seed: int) -> Cells:
        """`count` cells, by k-means on a sample.

        Raises UsageError: the method has no vectors for it, or there are too few images.
        """
        if count > len(shards) // 2:
            raise UsageError(f"--cells {count}: at most half of the {len(shards)} images")
        rng = np.random.default_rng(seed)
        drawn = np.sort(rng.permutation(len(shards))[: max(FITTED_TO, SAMPLED * count)])
        features = shards.gathered(drawn)
        some = np.linspace(0, len(drawn) - 1, min(FITTED_TO, len(drawn))).astype(np.int64)
        sketcher = Sketcher.fitted(method, features[some], seed)
        sketches = np.concatenate(list(_sketches(sketcher, features)))
        return cls(sketcher, _k_means(sketches, count, rng))

    def nearest(self, features: FeatureSet) -> Rows:
        """(n, `NEAREST`) the nearest cells of each image, the nearest first."""
        found = [np.empty((0, min(NEAREST, len(self.centres))), np.int64)]
        for sketches in _sketches(self.sketcher, features):
            found.append(_nearest(sketches, self.centres, found[0].shape[1]))
        return np.concatenate(found)


def _sketches(sketcher: Sketcher, features: FeatureSet) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(features), AT_ONCE):
        yield sketcher.sketches(features[start : start + AT_ONCE]).astype(np.float32)


def _k_means(points: NDArray[np.float32], count: int, rng: np.random.Generator) -> Centres:
    centres = points[rng.choice(len(points), count, replace=False)]
    for _ in range(ROUNDS):
        own = np.concatenate(
            [
                _nearest(points[start : start + AT_ONCE], centres, 1)[:, 0]
                for start in range(0, len(points), AT_ONCE)
            ]
        )
        sizes = np.bincount(own, minlength=count)
        order = np.argsort(own, kind="stable")
        starts = np.cumsum(sizes) - sizes
        full = sizes > 0
        sums = np.add.reduceat(points[order], starts[full], axis=0)
        centres[full] = sums / sizes[full, None]
        centres[~full] = points[rng.choice(len(points), int((~full).sum()))]
    return centres


def _nearest(points: NDArray[np.float32], centres: Centres, count: int) -> Rows:
    far = np.square(centres).sum(axis=1) / 2 - points @ centres.T
    nearest = np.argpartition(far, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(far, nearest, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(nearest, order, axis=1), np.int64)


def cells_file(folder: Path, shard: Shard) -> Path:
    """The cells of the images of a shard."""
    return folder / f"cells-{shard.number:05d}.npy"


def write_cells(cells: Cells, shard: Shard, target: Path) -> float:
    """Write the nearest cells of the images of a shard."""
    stream = io.BytesIO()
    np.save(stream, cells.nearest(shard.features()).astype(np.int32))
    write_whole(target, stream.getvalue())
    return peak_memory_mb() or 0.0


def has_cells(file: Path) -> bool:
    """Whether the file is there and not cut short."""
    try:
        np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return False
    return True


def _read(files: Sequence[Path]) -> NDArray[np.int32]:
    """The cells of all images, (n, 2): of each image the nearest ones."""
    return np.concatenate([np.load(file, allow_pickle=False) for file in files])


def cell_tasks(shards: Shards, files: Sequence[Path]) -> Iterator[tuple[int, Rows, Rows]]:
    """Cells to compare in a task: number of the first; their images, ascending in each; sizes."""
    cells = _read(files)
    width = cells.shape[1]
    order = np.argsort(cells.ravel(), kind="stable")
    images, sizes = order // width, np.bincount(cells.ravel())
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        last, pairs = first, 0
        while last < len(sizes) and (last == first or pairs + sizes[last] ** 2 <= TASK_PAIRS):
            pairs += int(sizes[last]) ** 2
            last += 1
        yield first, images[ends[first] - sizes[first] : ends[last - 1]], sizes[first:last]
        first = last


def forest_of_cells(
    method: Method, shards: Shards, images: Rows, sizes: Rows, threshold: float, target: Path
) -> float:
    """Write the forest of the links within some cells."""
    groups = np.split(images, np.cumsum(sizes)[:-1])
    return forest_of_images(method, shards, groups, threshold, target)


def compared_pairs(files: Sequence[Path]) -> int:
    """Pairs compared within all cells; a pair of two common cells counts twice."""
    sizes = np.bincount(_read(files).ravel())
    return int((sizes * (sizes - 1) // 2).sum())


def check(
    method: Method,
    shards: Shards,
    files: Sequence[Path],
    labels: Labels,
    threshold: float,
    seed: int,
    workers: Workers,
) -> Checked:
    """The links that are found within cells, by comparing some images with all others."""
    rng = np.random.default_rng(seed + 1)
    drawn = np.sort(rng.permutation(len(shards))[:CHECKED]).astype(np.int64)
    features = shards.gathered(drawn)
    cells = _read(files)
    tasks = [(method, features, shard, threshold) for shard in shards.each if shard.count]
    links = appended(workers.ordered(links_of_sample, tasks))
    a, b = drawn[links.a], links.b
    other = (a != b) & ~(np.isin(b, drawn) & (b < a))  # each pair of the sample once
    a, b = a[other], b[other]
    common = (cells[a][:, :, None] == cells[b][:, None, :]).any(axis=(1, 2))
    joined = (labels[a] == labels[b]) & (labels[a] >= 0)
    return Checked(len(drawn), len(a), int(common.sum()), int(joined.sum()))


def links_of_sample(method: Method, sample: FeatureSet, shard: Shard, threshold: float) -> Links:
    """Links of the images of a sample with those of a shard."""
    features, side = shard.features(), method.links_tile
    parts = []
    for start in range(0, len(features), side):
        links = method.links(sample, features[start : start + side], threshold)
        parts.append(Links(links.a, links.b + shard.start + start, links.similarity))
    return appended(parts)
