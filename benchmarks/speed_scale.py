"""Much: a million codes, the stored features of a hundred thousand images; each in its own process.

Run as a program it does one of these and prints seconds and memory as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import icas
from icas.clusterimg.clustering.base import SingleLinkage
from icas.clusterimg.clustering.batches import cluster_batches, default_batch_size, split
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.methods import make_method
from icas.io.files import peak_memory_mb
from icas.parallel.executors import start_workers


def measured(name: str) -> dict[str, float]:
    """One of `TASKS`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, name], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def a_million_codes() -> int:
    """All pairs of 1,000,000 random 64-bit codes within 10 bits; how many there are."""
    codes = np.random.default_rng(0).integers(0, 256, (1_000_000, 8), dtype=np.uint8)
    return len(icas.links(FeatureSet.from_bits(codes), 1 - 10 / 64))


def stored_features() -> int:
    """Clusters and certificate of 100,000 stored hashes, most of them in copies of up to six."""
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (30_000, 8), dtype=np.uint8)
    codes = np.repeat(centres, rng.integers(1, 7, len(centres)), axis=0)[:100_000]
    bits = np.unpackbits(codes, axis=1)
    for _ in range(3):
        bits[np.arange(len(bits)), rng.integers(0, 64, len(bits))] ^= 1
    features = FeatureSet.from_bits(rng.permutation(np.packbits(bits, axis=1)))
    method = make_method("imagehash")
    parts = split(len(features), default_batch_size(method))
    with start_workers("threads", None) as workers:
        found = cluster_batches(
            SingleLinkage(method, 0.85),
            ((features[part], None) for part in parts),
            workers=workers,
        )
    found.weakest_links()
    return len(found.cohesions)


def own_peak_mb() -> float:
    """Peak memory of this process alone; what the system else tells counts the one it came from."""
    told = Path("/proc/self/status")
    if not told.is_file():
        return peak_memory_mb()
    lines = dict(line.split(":", 1) for line in told.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1000


TASKS: dict[str, Callable[[], int]] = {
    "a million codes of 64 bits, radius 10, all pairs": a_million_codes,
    "100,000 stored hashes -> clusters and certificate": stored_features,
}


if __name__ == "__main__":
    begun = time.perf_counter()
    count = TASKS[sys.argv[1]]()
    told = {
        "found": count,
        "wall": time.perf_counter() - begun,
        "cpu": time.process_time(),
        "memory_mb": own_peak_mb(),
    }
    print(json.dumps(told))
