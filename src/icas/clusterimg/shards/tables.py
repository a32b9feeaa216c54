"""Tables of a run in shards: clusters part by part, forest, certificate, thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from icas.clusterimg.shards.store import Shards
from icas.io.files import shown, table, write_whole


def write_tables(
    folder: Path,
    shards: Shards,
    forest: Forest,
    labels: Labels,
    certificates: Certificates,
    unreadable: Iterable[Unreadable],
) -> None:
    """Write all tables but ``run.json``; names of files are in memory shard by shard."""
    (folder / CLUSTERS).mkdir(parents=True, exist_ok=True)
    medoid_files: list[str] = [""] * len(certificates.medoid)
    order = np.argsort(certificates.medoid, kind="stable")
    medoids = certificates.medoid[order]
    for shard in shards.each:
        images = np.arange(shard.start, shard.start + shard.count)
        columns: dict[str, Any] = {"image": images, "cluster": labels[images]}
        files = shard.files()
        if files:
            columns = {"file": files, **columns}
            left, right = np.searchsorted(medoids, [shard.start, shard.start + shard.count])
            for place in range(left, right):
                medoid_files[order[place]] = files[medoids[place] - shard.start]
        write_whole(folder / CLUSTERS / f"part-{shard.number:05d}.parquet", table_file(columns))
    write_whole(folder / FOREST, links_file(forest.links(), forest.floor))
    columns = {
        "cluster": np.arange(len(certificates.images)),
        "images": certificates.images,
        "weakest_link": certificates.weakest_link,
        "least_similar_pair": certificates.least_similar_pair,
        "medoid": certificates.medoid,
        "compared": certificates.compared,
    }
    if any(medoid_files):
        columns["file"] = medoid_files
    write_whole(folder / CERTIFICATE, table_file(columns))
    write_whole(folder / THRESHOLDS, _thresholds(forest))
    lost = ((one.file, one.reason) for one in unreadable)
    write_whole(folder / UNREADABLE, table(("file", "reason"), lost))


def unreadable_in(shards: Shards) -> Iterator[Unreadable]:
    """Images of all shards that could not be read."""
    for shard in shards.each:
        yield from shard.unreadable()


def _thresholds(forest: Forest) -> bytes:
    curve = curve_of(forest)
    rows = zip(map(shown, curve.threshold), curve.clusters, curve.clustered_images, strict=True)
    return table(("threshold", "clusters", "clustered_images"), rows)
