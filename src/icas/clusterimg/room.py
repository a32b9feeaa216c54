"""What the tables of links take on the disk, told and made sure of before they are written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from icas.clusterimg.clustering import Clustering
from icas.clusterimg.ways import existing
from icas.common.errors import ConflictError
from icas.common.progress import Console

MANY = 10_000_000
"""Links from which on their tables are worth a word: some 400 MB."""
SIMILARITY = 12
"""Bytes of a line beside its two names: commas, similarity, end."""


def check_links_fit(root: Path, clustering: Clustering, console: Console) -> None:
    """Say how much the tables of many links take, and make sure that the disk has it.

    Images that are all alike form a cluster in which every pair is a link: 10,000 of them
    50 million.

    Raises
    ------
    ConflictError
        The disk of the result folder `root` is too full.
    """
    links = len(clustering.merged_links) + sum(len(batch.links) for batch in clustering.batches)
    if links < MANY:
        return
    needed = links * (2 * _mean_length(clustering.files) + SIMILARITY)
    console.line(f"plan: list {links:,} links in tables of some {needed / 1e9:,.1f} GB")
    free = shutil.disk_usage(existing(root)).free
    if needed > free:
        raise ConflictError(
            f"the tables of {links:,} links need some {needed / 1e9:,.1f} GB and the disk of {root}"
            f" has {free / 1e9:,.1f} GB free: make room, choose another --dst, or a higher"
            " --threshold, which links fewer"
        )


def _mean_length(names: Sequence[str]) -> int:
    return sum(len(os.fsencode(name)) for name in names) // max(1, len(names))
