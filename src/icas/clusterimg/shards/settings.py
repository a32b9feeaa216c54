"""Settings of a run in shards."""

from __future__ import annotations

from dataclasses import dataclass, field

from icas.cli.options import check_options, option
from icas.cli.parser import INPUT, METHOD, PERFORMANCE
from icas.clusterimg.data.memory import default_memory
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import UsageError

SHARED = (
    "dst",
    "method",
    "threshold",
    "sample",
    "size",
    "scale",
    "recursive",
    "jobs",
    "executor",
    "scheduler",
    "max_pixels",
    "memory",
    "isolate",
    "decode_timeout",
    "cache",
    "cache_size",
    "seed",
    "resume",
)
"""Settings of `icas.cluster` that a run in shards has, too."""
MOST_IMAGES = 1_000_000
"""Images of a shard at most: a pair of shards of hashes takes seconds."""
IMAGE_BYTES = 400
"""Memory for an image of a shard beside its features: its links, keys, and forest."""


@dataclass(frozen=True)
class ShardSettings:
    """What a run in shards has beside the settings of `icas.cluster`."""

    shard_size: int | None = option(
        None,
        "images per shard",
        minimum=2,
        default_text="as many as fit --memory, at most 1000000",
        group=PERFORMANCE,
    )
    cells: int | None = option(
        None,
        "compare images only within N cells of k-means (deep, orb, ssim, tm)",
        minimum=2,
        default_text="compare all pairs",
        group=METHOD,
    )
    column: str | None = option(
        None,
        "column of hash codes or embeddings in Parquet files",
        parse=str,
        metavar="NAME",
        default_text="the only such column",
        group=INPUT,
    )
    cluster: ClusterSettings = field(default_factory=ClusterSettings)

    def __post_init__(self) -> None:
        check_options(self)
        if self.cluster.threshold == "pick":
            raise UsageError("--threshold pick needs a window: give a number, or auto")

    def images_of_shard(self, image_bytes: int, jobs: int) -> int:
        """Images of a shard: each worker holds two shards."""
        if self.shard_size is not None:
            return self.shard_size
        memory = self.cluster.memory or default_memory()
        most = memory // (jobs + 1) // (2 * (image_bytes + IMAGE_BYTES))
        return max(1000, min(MOST_IMAGES, most))
