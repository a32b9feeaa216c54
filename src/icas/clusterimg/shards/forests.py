"""Spanning forests of pairs of shards, in files, and the one forest of all of them.

A maximum spanning forest of all links is that of the forests of any parts of them. Links that are
equally similar count in the order of their images, so the forest is the same however the images
are divided into shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.data.links import Links, appended
from icas.clusterimg.graph.forest import Forest, GrowingForest, Labels, Trees, in_order
from icas.clusterimg.methods.base import Method
from icas.clusterimg.shards.edges import EdgeFile, is_whole, write_edges
from icas.clusterimg.shards.store import Rows, Shard, Shards
from icas.io.files import peak_memory_mb
from icas.parallel.executors import Workers

OPEN_FILES = 256
"""Forests from which the whole one is read, edge by edge; of more, some are merged before."""
FAN = 64
"""Forests that a task merges at most."""
TASK_EDGES = 1 << 23
"""Edges that a task merges, except where two forests have more."""
BAND = 1 << 22
"""Edges that are read and sorted at a time."""


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
    write_edges(target, Links(edges.a + first.start, b_images, edges.similarity))
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
    write_edges(target, _forest_of_links(parts))
    return peak_memory_mb() or 0.0


def merge_files(sources: Sequence[Path], target: Path) -> float:
    """Write the forest of the links in some files."""
    write_edges(target, _forest_of_links([EdgeFile.of(source).links() for source in sources]))
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
) -> tuple[Sequence[Path], float]:
    """At most `OPEN_FILES` files with the forest of all `files`; and the peak memory in MB."""
    peak, level = 0.0, 0
    while len(files) > OPEN_FILES:
        level += 1
        groups = list(_groups([len(EdgeFile.of(file)) for file in files]))
        targets = [folder / f"merge-{level}-{number:05d}" for number in range(len(groups))]
        tasks = [
            (files[group], target)
            for group, target in zip(groups, targets, strict=True)
            if not is_whole(target)
        ]
        with console.bar(len(tasks), "merges", "tasks") as bar:
            peak = max([peak, *counted(workers.ordered(merge_files, tasks), bar)])
        files = targets
    return files, peak


def _groups(sizes: Sequence[int]) -> Iterator[slice]:
    """Forests that are merged together, given their numbers of edges: two or more."""
    first = 0
    while first < len(sizes):
        last, edges = first, 0
        while last < min(first + FAN, len(sizes)):
            edges += sizes[last]
            if last > first + 1 and edges > TASK_EDGES:
                break
            last += 1
        yield slice(first, last)
        first = last


def whole_forest(
    count: int, files: Sequence[Path], floor: float, jobs: int = 1
) -> tuple[Forest, Labels]:
    """The forest of the edges in all files, and the first image of the tree of each of `count`.

    The most similar edges are read first, some at a time: those that join two trees stay. With
    two jobs or more, the next edges are read meanwhile.
    """
    parts = [EdgeFile.of(file) for file in files]
    trees, kept = Trees(count, sum(map(len, parts))), []
    bands = _sorted_bands(count, parts)
    for links in bands if jobs == 1 else _one_ahead(bands):
        kept.append(links.select(trees.joining(links)))
    edges = appended(kept)
    return Forest(count, edges.a, edges.b, edges.similarity, floor), trees.roots()


def _sorted_bands(count: int, parts: Sequence[EdgeFile]) -> Iterator[Links]:
    """The edges of all files, the most similar first, some at a time."""
    done = [0] * len(parts)
    for lowest in _bands(parts):
        found = []
        for number, part in enumerate(parts):
            end = int(np.searchsorted(-part.values, -lowest, side="right"))
            found.append(part.between(done[number], end))
            done[number] = end
        yield in_order(count, appended(found))


def _one_ahead(parts: Iterator[Links]) -> Iterator[Links]:
    """The same, computed in a thread while the one before is used."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, parts, None)
        while (part := following.result()) is not None:
            following = thread.submit(next, parts, None)
            yield part


def _bands(parts: Sequence[EdgeFile]) -> NDArray[np.float32]:
    """The lowest similarity of each band of about `BAND` edges, descending."""
    nothing = [np.empty(0, np.float32)]
    values = np.concatenate([*nothing, *(part.values for part in parts)])
    counts = np.concatenate([*nothing, *(np.diff(part.ends, prepend=0) for part in parts)])
    order = np.argsort(-values)
    values, edges = values[order], np.cumsum(counts[order], dtype=np.int64)
    last = np.append(values[1:] != values[:-1], True)[: len(values)]  # of equal ones
    values, edges = values[last], edges[last]
    ends = np.append(edges[1:] // BAND > edges[:-1] // BAND, True)[: len(values)]
    return np.asarray(values[ends])
