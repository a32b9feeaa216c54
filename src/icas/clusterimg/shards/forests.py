"""Spanning forests of pairs of shards, in files, merged until one is left.

A maximum spanning forest of all links is that of the forests of any parts of them. Links that are
equally similar count in the order of their images, so the forest is the same however the images
are divided into shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icas.cli.console import Console, counted
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import Forest, GrowingForest
from icas.clusterimg.methods.base import Method
from icas.clusterimg.shards.store import Rows, Shard, Shards
from icas.common.errors import IcasError
from icas.io.files import peak_memory_mb, write_whole
from icas.parallel.executors import Workers

FAN = 8
"""Forests that a task merges."""
LINK_BYTES = 20
"""Bytes of a link in a file."""


def write_links(path: Path, links: Links) -> None:
    """Write links: all a, all b (int64), all similarities (float32)."""
    arrays = (links.a, links.b, links.similarity)
    write_whole(path, (np.ascontiguousarray(array).tobytes() for array in arrays))


def read_links(path: Path) -> Links:
    """The links in a file of `write_links`."""
    try:
        count = path.stat().st_size // LINK_BYTES
        with path.open("rb") as file:
            a, b = (np.fromfile(file, np.int64, count) for _ in range(2))
            return Links(a, b, np.fromfile(file, np.float32, count))
    except OSError as error:
        raise IcasError(f"cannot read {path}: {error.strerror or error}") from error


def pairs_of(shards: Shards) -> list[tuple[Shard, Shard | None]]:
    """Each shard with itself, and each pair of shards, row by row."""
    full = [shard for shard in shards.each if shard.count]
    return [
        (first, None if first is second else second)
        for place, first in enumerate(full)
        for second in full[place:]
    ]


def pair_file(folder: Path, first: Shard, second: Shard | None) -> Path:
    """The forest of a pair of shards."""
    other = first if second is None else second
    return folder / f"pair-{first.number:05d}-{other.number:05d}"


def forest_of_pair(
    method: Method, first: Shard, second: Shard | None, threshold: float, target: Path
) -> float:
    """Write the forest of the links of one shard, or of those between two.

    Returns the peak memory of the process in MB.
    """
    a = first.features()
    b = a if second is None else second.features()
    growing = GrowingForest(len(a) if second is None else len(a) + len(b))
    behind = 0 if second is None else len(a)
    for links in method.spanning_links(a, b, threshold):
        growing.add(Links(links.a, links.b + behind, links.similarity))
    edges = growing.forest().links()
    start = first.start if second is None else second.start - len(a)
    b_images = edges.b + (first.start if second is None else start)
    write_links(target, Links(edges.a + first.start, b_images, edges.similarity))
    return peak_memory_mb() or 0.0


def forest_of_images(
    method: Method, shards: Shards, groups: Sequence[Rows], threshold: float, target: Path
) -> float:
    """Write the forest of the links within each group of images; images ascend in each."""
    parts = []
    for images in groups:
        features, growing = shards.gathered(images), GrowingForest(len(images))
        for links in method.spanning_links(features, features, threshold):
            growing.add(links)
        parts.append(growing.forest().links().renumbered(images))
    write_links(target, _forest_of_links(parts))
    return peak_memory_mb() or 0.0


def merge_files(sources: Sequence[Path], target: Path) -> float:
    """Write the forest of the links in some files."""
    write_links(target, _forest_of_links([read_links(source) for source in sources]))
    return peak_memory_mb() or 0.0


def _forest_of_links(parts: Sequence[Links]) -> Links:
    """The forest of links; only images that have some are numbered."""
    ends = np.concatenate([end for links in parts for end in (links.a, links.b)])
    ends.sort()  # np.unique is many times slower
    images = ends[np.diff(ends, prepend=-1) > 0]
    growing = GrowingForest(len(images))
    for links in parts:
        a, b = np.searchsorted(images, links.a), np.searchsorted(images, links.b)
        growing.add(Links(a, b, links.similarity))
    return growing.forest().links().renumbered(images)


def merged(
    files: Sequence[Path], folder: Path, workers: Workers, console: Console
) -> tuple[Path, float]:
    """The file of the forest of all `files`, merged level by level; and the peak memory in MB."""
    peak, level = 0.0, 0
    while len(files) > 1:
        level += 1
        groups = [files[start : start + FAN] for start in range(0, len(files), FAN)]
        targets = [folder / f"merge-{level}-{number:05d}" for number in range(len(groups))]
        tasks = [
            (group, target)
            for group, target in zip(groups, targets, strict=True)
            if not target.exists()
        ]
        with console.bar(len(tasks), "merges", "tasks") as bar:
            peak = max([peak, *counted(workers.ordered(merge_files, tasks), bar)])
        files = targets
    return files[0], peak


def whole_forest(count: int, path: Path, floor: float) -> Forest:
    """The forest in a file, of `count` images."""
    links = read_links(path)  # the most similar first, as the last task wrote them
    return Forest(count, links.a, links.b, links.similarity, floor)
