"""Tables of a run in shards: clusters part by part, forest, certificate, thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.data.parquet import links_file, table_file
from icas.clusterimg.graph.forest import Forest, Labels
from icas.clusterimg.shards.certificate import Certificates, curve_of
from icas.clusterimg.shards.report import (
    CERTIFICATE,
    CLUSTERS,
    FOREST,
    THRESHOLDS,
    UNREADABLE,
)
from icas.clusterimg.shards.store import Rows, Shard, Shards
from icas.io.files import shown, table, write_whole
from icas.parallel.executors import Workers


def write_tables(
    folder: Path,
    shards: Shards,
    forest: Forest,
    labels: Labels,
    certificates: Certificates,
    unreadable: Iterable[Unreadable],
    workers: Workers,
) -> None:
    """Write all tables but ``run.json``; names of files are in memory shard by shard."""
    (folder / CLUSTERS).mkdir(parents=True, exist_ok=True)
    order = np.argsort(certificates.medoid)
    medoids = certificates.medoid[order]
    ends = np.searchsorted(medoids, [*shards.starts, len(shards)])
    tasks = (
        (shard, labels[shard.start : shard.start + shard.count], medoids[left:right], folder)
        for shard, (left, right) in zip(shards.each, pairwise(ends), strict=True)
    )
    names = [name for some in workers.ordered(write_part, tasks) for name in some]
    write_whole(folder / FOREST, links_file(forest.links(), forest.floor))
    columns: dict[str, Any] = {
        "cluster": np.arange(len(certificates.images)),
        "images": certificates.images,
        "weakest_link": certificates.weakest_link,
        "least_similar_pair": certificates.least_similar_pair,
        "medoid": certificates.medoid,
        "compared": certificates.compared,
    }
    if names:
        files = np.empty(len(order), object)
        files[order] = names
        columns["file"] = files
    write_whole(folder / CERTIFICATE, table_file(columns))
    write_whole(folder / THRESHOLDS, _thresholds(forest))
    lost = ((one.file, one.reason) for one in unreadable)
    write_whole(folder / UNREADABLE, table(("file", "reason"), lost))


def write_part(shard: Shard, labels: Labels, medoids: Rows, folder: Path) -> list[str]:
    """Write the clusters of the images of a shard; the names of `medoids`, if images have some."""
    files = shard.files()
    images = np.arange(shard.start, shard.start + shard.count)
    columns: dict[str, Any] = {"file": files} if files else {}
    columns |= {"image": images, "cluster": labels}
    write_whole(folder / CLUSTERS / f"part-{shard.number:05d}.parquet", table_file(columns))
    return [files[medoid - shard.start] for medoid in medoids.tolist()] if files else []


def unreadable_in(shards: Shards) -> Iterator[Unreadable]:
    """Images of all shards that could not be read."""
    for shard in shards.each:
        yield from shard.unreadable()


def _thresholds(forest: Forest) -> bytes:
    curve = curve_of(forest)
    rows = zip(map(shown, curve.threshold), curve.clusters, curve.clustered_images, strict=True)
    return table(("threshold", "clusters", "clustered_images"), rows)
