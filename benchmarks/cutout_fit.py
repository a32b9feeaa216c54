"""Fit the weights of the features in src/icas/segmentimg/grabcut/features.py.

``python benchmarks/cutout_fit.py`` with the image sets in ICAS_DATA. Logistic regression on the
pieces of seg-grabcut (its own strokes and simulated ones) and of every second picture of
seg-horses. First the figures of a five-fold cross-validation by pictures are shown, then the
weights fitted to all are printed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cutout_strokes import STYLES, Case, cases, drawn, iou, read_strokes
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from icas.segmentimg.grabcut.annotation import Strokes
from icas.segmentimg.grabcut.features import SuperpixelGraph, superpixel_graph
from icas.segmentimg.grabcut.mixtures import ColorModels
from icas.segmentimg.grabcut.strokes import (
    Estimate,
    Seeds,
    estimate,
    find_seeds,
    first_features,
    later_features,
)

TOP = Path(__file__).resolve().parent.parent
Floats = NDArray[np.float64]
FOLDS = 5
LEAN = {"first": 0.6, "later": 0.4}
"""Added to the constant: IoU asks for more foreground than the likelihood does."""
WEIGHT = {"seg-horses": 0.5, "clicks": 0.3, "one side": 0.4, "scribbles1": 2, "scribbles2": 3}
"""Of sets and styles; 1 where not listed."""


@dataclass(frozen=True)
class Sample:
    """One picture with strokes, and the true share of its pieces."""

    group: str
    style: str
    case: Case
    strokes: Strokes
    pieces: SuperpixelGraph
    known: Seeds
    clues: Floats

    def truth(self) -> tuple[NDArray[np.bool_], Floats]:
        """Whether each piece is foreground, and what it weighs: those under strokes little."""
        counted = self.pieces.share(self.case.counted)
        true = self.pieces.share(self.case.object) > 0.5 * counted
        under = self.known.foreground | self.known.background
        weights = self.pieces.sizes * counted * np.where(under, 0.1, 1.0)
        scale = WEIGHT.get(self.group, 1) * WEIGHT.get(self.style, 1)
        return true, 1000 * scale * weights / max(1.0, float(weights[true].sum()))


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    samples = gathered(data)
    names = sorted({sample.case.name for sample in samples})
    fold = {name: k % FOLDS for k, name in enumerate(names)}
    figures: dict[str, list[tuple[float, float]]] = {}
    for left_out in range(FOLDS if "--no-validation" not in sys.argv else 0):
        held = [sample for sample in samples if fold[sample.case.name] == left_out]
        rest = [sample for sample in samples if fold[sample.case.name] != left_out]
        first, later = fitted(rest)
        for sample in held:
            one = guessed(sample, sample.clues, first)
            two = guessed(sample, later_of(sample, one), later)
            figures.setdefault(f"{sample.group}, {sample.style}", []).append(
                (iou(sample.case, one.mask), iou(sample.case, two.mask))
            )
    for name, pairs in figures.items():
        print(f"{name}: mean IoU {np.round(np.mean(pairs, axis=0), 3)} by the two guesses")
    print_weights(*fitted(samples))
    return 0


def gathered(data: Path) -> list[Sample]:
    samples = []
    for group, step in (("seg-grabcut", 1), ("seg-horses", 2)):
        chosen = cases(data / group)[::step]
        pieces = [superpixel_graph(case.image) for case in chosen]
        styles = {style: drawn(style, chosen, seed=1) for style in STYLES}
        if group == "seg-grabcut":
            for kind in ("scribbles1", "scribbles2"):
                styles[kind] = [read_strokes(data / group, kind, case.name) for case in chosen]
        for style, all_strokes in styles.items():
            for case, pieced, strokes in zip(chosen, pieces, all_strokes, strict=True):
                known = find_seeds(pieced, strokes)
                clues = first_features(pieced, known)
                samples.append(Sample(group, style, case, strokes, pieced, known, clues))
    return samples


def fitted(samples: list[Sample]) -> tuple[Floats, Floats]:
    """Weights of the first clues and of the later ones, the constant first."""
    first = regression(samples, [sample.clues for sample in samples], LEAN["first"])
    anew = [later_of(sample, guessed(sample, sample.clues, first)) for sample in samples]
    return first, regression(samples, anew, LEAN["later"])


def regression(samples: list[Sample], clues: list[Floats], lean: float) -> Floats:
    truths = [sample.truth() for sample in samples]
    scaler = StandardScaler().fit(np.vstack(clues))
    model = LogisticRegression(max_iter=3000).fit(
        scaler.transform(np.vstack(clues)),
        np.concatenate([true for true, _ in truths]),
        sample_weight=np.concatenate([weights for _, weights in truths]),
    )
    slopes = model.coef_[0] / scaler.scale_
    return np.concatenate([model.intercept_ - slopes @ scaler.mean_ + lean, slopes])


def guessed(sample: Sample, clues: Floats, weights: Floats) -> Estimate:
    image, strokes = sample.case.image, sample.strokes
    return estimate(image, sample.pieces, sample.known, clues, weights, strokes, ColorModels(), 0)


def later_of(sample: Sample, before: Estimate) -> Floats:
    return later_features(sample.pieces, sample.known, sample.clues, before)


def print_weights(first: Floats, later: Floats) -> None:
    """Print the arrays for ``src/icas/segmentimg/grabcut/features.py``."""
    for name, weights in (("FIRST", first), ("LATER", later)):
        rows = [weights[start : start + 10] for start in range(0, len(weights), 10)]
        lines = ["    " + " ".join(f"{value:.4f}," for value in row) for row in rows]
        print(f"{name} = np.array([", *lines, "])", sep="\n")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    sys.exit(main())
