"""Recall and CPU time of --candidates against all pairs.

Prints the table of docs/performance.md and one of single image sets.

python benchmarks/candidates.py [--images N] [--orb-images N] [--data DIR]
CPU seconds of one process; every run has its loops compiled and loaded before.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

import icas
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import components
from icas.clusterimg.linking.candidates import CandidateStage, Search, candidate_pairs
from icas.clusterimg.linking.tiles import all_links
from icas.clusterimg.methods import make_method

T = TypeVar("T")
SETS = ("copies", "video-frames", "coil20", "deeppcb-pairs", "gtsrb-tracks")
LARGE = ("gtsrb-tracks", "cifar10-scale")
MIXED = ("copies", "multiview", "video-frames", "coil20", "coil100", "deeppcb-pairs", "flowers5")
MOST = (10, 20, 50)


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="of the large ssim and tm sets")
    parser.add_argument("--orb-images", type=int, default=3_000, help="of the large orb set")
    parser.add_argument("--data", type=Path, default=_data())
    given = parser.parse_args()
    print("| set | method | images | links | candidates | found | joined | clusters (all pairs) |")
    print("|---|---|---|---|---|---|---|---|")
    for name in SETS:
        for method in ("orb", "ssim", "tm"):
            features = icas.features(given.data / name / "images", method)
            for line in _quality(name, features):
                print(line, flush=True)
    print("\n| method | images | candidates | found | joined | CPU s | CPU s all pairs | pairs |")
    print("|---|---|---|---|---|---|---|---|")
    for method, names, images in (
        ("orb", (*MIXED, "gtsrb-tracks", "faces-orl", "faces-umist"), given.orb_images),
        ("ssim", LARGE, given.images),
        ("tm", LARGE, given.images),
    ):
        for line in _cost(_large(given.data, names, method, images)):
            print(line, flush=True)


def _data() -> Path:
    top = Path(__file__).resolve().parent.parent
    return Path(os.environ.get("ICAS_DATA") or top.parent / "shared" / "data")


def _large(data: Path, names: tuple[str, ...], method: str, images: int) -> FeatureSet:
    """Features of pictures of several sets, mixed."""
    parts = [icas.features(data / name / "images", method) for name in names]
    together = concatenate(parts)
    rows = np.random.default_rng(0).permutation(len(together))[:images]
    return together[np.sort(rows)]


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def _quality(name: str, features: FeatureSet) -> Iterator[str]:
    method = make_method(features.method)
    every = all_links(method, features, method.default_threshold)
    exact = components(len(features), every.a, every.b)
    for most in MOST:
        if most >= len(features) - 1:
            continue
        found, joined, links = _found(features, every, most)
        label = components(len(features), links.a, links.b)
        yield (
            f"| {name} | {method.name} | {len(features):,} | {len(every):,} | {most} |"
            f" {found:.1%} | {joined:.1%} | {label.max() + 1} ({exact.max() + 1}) |"
        )


def _found(features: FeatureSet, every: Links, most: int) -> tuple[float, float, Links]:
    """Share of all links between candidates, and of those whose images hang together by these.

    Without what the check of a run finds on top: in a small folder that is much. The links, too.
    """
    count = len(features)
    method = make_method(features.method, **features.settings)
    pairs = candidate_pairs(Search(method, features, np.arange(count), 0.0), most, 0)
    found = np.isin(every.a * count + every.b, pairs)
    links = Links(every.a[found], every.b[found], every.similarity[found])
    label = components(count, links.a, links.b)
    joined = (label[every.a] == label[every.b]) & (label[every.a] >= 0)
    return found.mean(), joined.mean(), links


def _cost(features: FeatureSet) -> Iterator[str]:
    method = make_method(features.method)
    threshold = method.default_threshold
    all_links(method, features[:300], threshold)
    every, exact = _timed(lambda: all_links(method, features, threshold))
    for most in MOST:
        stage = CandidateStage(most)

        def run(stage: CandidateStage = stage) -> tuple[Links, int]:
            return stage.within(method, features, threshold)

        (_, compared), seconds = _timed(run)
        found, joined, _ = _found(features, every, most)
        possible = len(features) * (len(features) - 1) // 2
        yield (
            f"| {method.name} | {len(features):,} | {most} | {found:.1%} | {joined:.1%} |"
            f" {seconds:.1f} | {exact:.1f} | {compared / possible:.1%} |"
        )


if __name__ == "__main__":
    main()
