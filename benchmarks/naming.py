"""Names with few words: suggestions, spreading and confidence, through ``clusterimg label``.

``python benchmarks/naming.py NETWORK.onnx [SET ...]`` with the image sets in ICAS_DATA (default
../shared/data beside the checkout). NETWORK.onnx is mobilenet_v2 of ``clusterimg weights export``.

A simulated person names the suggested images by their true class. Each row is a set: the share of
all images that are right with one, two and three names per class on average, and the least share
of named images with which 95 % are right. ``--reliability`` fits the confidence to all other sets
and compares it with the share that is right, for several methods, suggested and random images.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

import icas
from icas.clusterimg.data.images import scan
from icas.clusterimg.evaluation.scores import match_labels, read_labels
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.linking.tiles import similarities
from icas.clusterimg.methods import make_method
from icas.clusterimg.questions import naming
from icas.parallel.executors import start_workers

DATA = Path(os.environ.get("ICAS_DATA") or Path(__file__).parents[2] / "shared" / "data")
CLASS_LIKE = ("coil100", "faces-orl", "faces-umist", "gtsrb-tracks", "neu-textures", "coil20")
MORE = (
    "ants-bees",
    "flowers5",
    "sign-digits",
    "mnist",
    "cifar10-scale",
    "video-frames",
    "copies",
)
METHODS = ("deep", "imagehash", "orb")
SLOW = ("gtsrb-tracks", "mnist", "cifar10-scale", "coil20")
"""Sets that orb leaves out."""
SHARES = (0.03, 0.05, 0.08, 0.11, 0.14, 0.17)
MOST = 900
"""Images of a set for the reliability, drawn at random."""
BOUNDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01)


def main() -> int:
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    network, chosen = Path(words[0]).resolve(), words[1:]
    if "--reliability" in sys.argv:
        print(*reliability(network, chosen or (*CLASS_LIKE, *MORE)), sep="\n")
        return 0
    print("| set | images | classes | 1 name | 2 names | 3 names | named for 95 % |")
    print("|---|---|---|---|---|---|---|")
    for name in chosen or CLASS_LIKE:
        print(row(name, network), flush=True)
    return 0


def row(name: str, network: Path) -> str:
    """A row of the table, by the functions of the command."""
    truth = read_labels(DATA / name / "labels.csv")
    classes = len(set(truth.values()))
    with tempfile.TemporaryDirectory() as folder:
        dst, cache = Path(folder) / "sorted", Path(folder) / "cache"
        report = icas.cluster(
            DATA / name / "images",
            dst=dst,
            method="deep",
            weights=network,
            transfer="none",
            report=False,
            cache=cache,
        )
        count = len(report.files)
        order = [path.name for path in icas.label(dst, suggest=count // 4).suggested]

        def right(named: int) -> float:
            icas.label(dst, {file: truth[file] for file in order[:named]}, clear=True)
            icas.label(dst, spread=True)
            with (dst / "labels.csv").open(newline="") as table:
                rows = list(csv.DictReader(table))
            return float(np.mean([truth[one["file"]] == one["label"] for one in rows]))

        few = [right(names * classes) for names in (1, 2, 3)]
        enough = next((share for share in SHARES if right(round(share * count)) >= 0.95), None)
    shown = " | ".join(f"{value:.3f}" for value in few)
    least = "more than 17 %" if enough is None else f"{100 * enough:.0f} %"
    return f"| {name} | {count} | {classes} | {shown} | {least} |"


@dataclass(frozen=True)
class Case:
    """Images without a name in one simulation: two variables of the confidence, and the truth."""

    method: str
    name: str
    variables: NDArray[np.float64]
    right: NDArray[np.bool_]


def reliability(network: Path, names: Sequence[str]) -> Iterator[str]:
    """Estimated and true shares of right names; each set estimated from all others."""
    cases = [
        case
        for method in METHODS
        for name in names
        if (method, name) not in {("orb", slow) for slow in SLOW}
        for case in simulated(method, name, network)
    ]
    estimates = {
        name: fitted([case for case in cases if case.name != name])
        for name in dict.fromkeys(case.name for case in cases)
    }
    print("all sets:", np.round(fitted(cases), 3))
    parts = [(case, chance(case.variables, estimates[case.name])) for case in cases]
    yield "| estimate | share of names | mean estimate | right | " + " | ".join(METHODS) + " |"
    yield "|---" * (4 + len(METHODS)) + "|"
    for low, high in itertools.pairwise(BOUNDS):
        shares = [means(parts, low, high)]
        shares += [
            means([part for part in parts if part[0].method == method], low, high)
            for method in METHODS
        ]
        by_method = " | ".join(f"{right:.2f}" for _, _, right in shares[1:])
        share, estimate, right = shares[0]
        yield (
            f"| {low:g} to {min(high, 1):g} | {share:.2f} | {estimate:.2f} | {right:.2f} |"
            f" {by_method} |"
        )


def means(
    parts: Sequence[tuple[Case, NDArray[np.float64]]], low: float, high: float
) -> tuple[float, float, float]:
    """Share of the names with such an estimate, their mean estimate, and how many are right."""
    weights = np.concatenate([np.full(len(values), 1 / len(values)) for _, values in parts])
    values = np.concatenate([values for _, values in parts])
    right = np.concatenate([case.right for case, _ in parts])
    inside = np.where((values >= low) & (values < high), weights, 0)
    total = max(inside.sum(), 1e-9)
    return (
        float(inside.sum() / weights.sum()),
        float((inside * values).sum() / total),
        float((inside * right).sum() / total),
    )


def simulated(method: str, name: str, network: Path) -> Iterator[Case]:
    """One half, one, two and three names per class, of suggested and of random images."""
    similarity, truth = read(method, name, network)
    kinds, truth_of = np.unique(truth, return_inverse=True)
    count, classes = len(truth), len(kinds)
    suggested = np.array(naming.naming_order(similarity, min(count - 5, 3 * classes)))
    for order in (suggested, np.random.default_rng(0).permutation(count)):
        for names in sorted({max(2, classes // 2), classes, 2 * classes, 3 * classes}):
            rows = np.sort(order[:names])
            if names > count / 2 or len(set(truth_of[rows])) < 2:
                continue
            near = naming.nearest(similarity, np.arange(count), 0, naming.NEIGHBOURS)
            own = naming.nearest(similarity[:, rows], rows, 0, 1)
            own.similarity[(near.images == own.images).any(axis=1)] = -np.inf
            neighbours = naming.Neighbours(
                np.hstack([near.images, own.images]), np.hstack([near.similarity, own.similarity])
            )
            named = {int(row): int(truth_of[row]) for row in rows}
            spread = naming.spread_names(neighbours, named)
            rest = np.setdiff1d(np.arange(count), rows)
            right = np.array(spread.names)[rest] == truth_of[rest]
            yield Case(method, name, spread.variables[rest], right)


def read(method: str, name: str, network: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Similarities of the images of a set, and their classes."""
    options = {"weights": network} if method == "deep" else {}
    chosen = make_method(method, **options).by_links()
    refs = scan(DATA / name / "images").images
    numbers = {ref.file: number for number, ref in enumerate(refs)}
    matched = match_labels(numbers, read_labels(DATA / name / "labels.csv"))
    keep = np.random.default_rng(0).permutation(len(matched.truth))[:MOST]
    refs = tuple(refs[int(matched.clusters[one])] for one in keep)
    with start_workers("threads") as workers:
        features = Reading(chosen, workers).scan_features(refs).features(refs)
        return similarities(chosen, features, features, workers), [
            matched.truth[one] for one in keep
        ]


def fitted(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Coefficients of the logistic regression; every case has the same weight."""
    variables = np.concatenate([case.variables for case in cases])
    right = np.concatenate([case.right for case in cases]).astype(float)
    weights = np.concatenate([np.full(len(case.right), 1 / len(case.right)) for case in cases])

    def loss(coefficients: NDArray[np.float64]) -> float:
        odds = coefficients[0] + variables @ coefficients[1:]
        each = np.logaddexp(0, odds) - right * odds
        return float((weights * each).sum() / weights.sum()) + 1e-3 * float(
            (coefficients[1:] ** 2).sum()
        )

    return np.asarray(minimize(loss, np.zeros(3)).x)


def chance(
    variables: NDArray[np.float64], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Estimated share of right names."""
    return np.asarray(1 / (1 + np.exp(-coefficients[0] - variables @ coefficients[1:])))


if __name__ == "__main__":
    sys.exit(main())
