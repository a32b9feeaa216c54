"""Quality of deep features: links by cosine and clustering models.

Written into docs/methods/deep.md.

``python benchmarks/deep.py`` with the image sets and the weights of mobilenet_v2 in ICAS_DATA
(default ../shared/data beside the checkout), the extra ``deep`` installed. Features are made once
a set. Plain ones are the averaged maps of the last stage, of length 1, and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.commands.thresholds import full_forest
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import scan
from icas.clusterimg.evaluation.scores import curve, evaluate, match_labels
from icas.clusterimg.features.extraction import Reading
from icas.clusterimg.features.inputs import fitted_together
from icas.clusterimg.graph.forest import labels_at
from icas.clusterimg.methods.deep import Deep
from icas.clusterimg.model_selection.grid import Grid
from icas.clusterimg.model_selection.search import group
from icas.clusterimg.networks.whitening import unit
from icas.clusterimg.thresholds.auto import auto, sample_of
from icas.parallel.executors import start_workers

sys.path.insert(0, str(Path(__file__).parent))
from quality import AIMS, chosen_files
from segment_quality import between

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "methods" / "deep.md"
GROUPED = (
    "coil20",
    "coil100",
    "faces-orl",
    "faces-umist",
    "neu-textures",
    "deeppcb-pairs",
    "gtsrb-tracks",
    "video-frames",
)
LAST_STAGE = 1280
"""Channels of the last stage of mobilenet_v2."""


@dataclass(frozen=True)
class Case:
    """A set with its features, not whitened."""

    name: str
    features: FeatureSet
    truth: list[str]

    @property
    def plain(self) -> FeatureSet:
        """Features of the last stage alone."""
        vectors = unit(self.features.array[:, -LAST_STAGE:])
        return FeatureSet("deep", {"vectors": vectors}, self.features.settings, self.features.files)


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    weights = data / "weights" / "mobilenet_v2_dequantized_fp16.pth"
    if not weights.is_file():
        print(f"deep: no weights at {weights}: set ICAS_DATA", file=sys.stderr)
        return 2
    method = Deep(model="mobilenet_v2", weights=weights)
    names = list(dict.fromkeys((*AIMS, *GROUPED)))
    cases = {name: read(data / name, method) for name in names}
    text = PAGE.read_text(encoding="utf-8")
    text = between(text, "links", list(links_table(method, [cases[name] for name in AIMS])))
    whole = [
        read(data / name, method, whole=True) if name == "coil100" else cases[name]
        for name in GROUPED
    ]
    text = between(text, "models", list(models_table(whole)))
    PAGE.write_text(text, encoding="utf-8")
    print(f"written into {PAGE}", file=sys.stderr)
    return 0


def read(folder: Path, method: Deep, *, whole: bool = False) -> Case:
    """Features of a set as benchmarks/quality.py takes it, or of all of it."""
    from icas.clusterimg.evaluation.scores import read_labels

    labels = read_labels(folder / "labels.csv") if whole else chosen_files(folder, 1300)
    images = [ref for ref in scan(folder / "images").images if ref.file in labels]
    with start_workers() as workers:
        features = Reading(method, workers).raw(images)
    truth = match_labels(dict.fromkeys(features.files, 0), labels).truth
    print(f"{folder.name}: {len(features)} images", file=sys.stderr)
    return Case(folder.name, features, truth)


def links_table(method: Deep, cases: list[Case]) -> Iterator[str]:
    """Best F1 of links by cosine, its threshold, and the F1 with auto; other features on stderr."""
    ways: dict[str, Any] = {
        "last stage alone": lambda case: case.plain,
        "two stages": lambda case: case.features,
        "two stages, whitened (default)": lambda case: fitted_together(method, [case.features])[0],
    }
    yield "| set | best F1 | threshold | F1 with `auto` |"
    yield "|---|---|---|---|"
    best: dict[str, list[float]] = {way: [] for way in ways}
    fixed: list[float] = []
    for case in cases:
        cells = []
        for way, of_case in ways.items():
            features = of_case(case)
            forest, _ = full_forest(method, features)
            top = max(curve(forest, case.truth), key=lambda point: point.f1 or 0.0)
            best[way].append(top.f1 or 0.0)
            cell = f"{top.f1:.3f} @{top.threshold:.2f}"
            if way.endswith("(default)"):
                number = auto(sample_of(method, features), method).threshold
                there = evaluate(labels_at(forest, number), case.truth).f1
                fixed.append(there)
                row = f"| {case.name} | {top.f1:.2f} | {top.threshold:.2f} | {there:.2f} |"
            cells.append(cell)
        yield row
        print(case.name, *cells, file=sys.stderr)
    means = [f"{np.mean(values):.3f}" for values in best.values()]
    print("mean", *means, file=sys.stderr)
    yield f"| **mean** | **{means[-1]}** | | {np.mean(fixed):.2f} |"


def models_table(cases: list[Case]) -> Iterator[str]:
    """Adjusted Rand index of k-means with the true number, and of the default grid."""
    ways = (
        "`KMeans` of scikit-learn, last stage, true k",
        "kmeans, true k",
        "default grid",
    )
    yield f"| set | k | {' | '.join(ways)} |"
    yield f"|---|---|{'---|' * len(ways)}"
    rows = []
    for case in cases:
        row = list(indexes(case))
        rows.append(row)
        cells = " | ".join(f"{value:.2f}" for value in row)
        yield f"| {case.name} | {len(set(case.truth))} | {cells} |"
        print(case.name, cells, file=sys.stderr)
    means = " | ".join(f"**{value:.3f}**" for value in np.mean(rows, axis=0))
    yield f"| **mean** | | {means} |"


def indexes(case: Case) -> Iterator[float]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    count = len(set(case.truth))

    def judged(labels: NDArray[Any]) -> float:
        return float(adjusted_rand_score(case.truth, labels))

    yield judged(KMeans(count, n_init=10, random_state=0).fit_predict(case.plain.array))
    for grid in (
        Grid(kinds=("kmeans",), clusters=(count,)),
        Grid(),
    ):
        yield judged(group(case.features.array, grid).labels)


if __name__ == "__main__":
    sys.exit(main())
