"""Fit the weights in src/icas/segmentimg/grabcut/weights.py, and show what they reach left out.

``python benchmarks/cutout_fit.py`` with the image sets in ICAS_DATA. The samples are the strokes of
seg-grabcut, and simulated ones on it, on every second horse, on frames of DAVIS and on objects of
coil100 on other backgrounds. Linear models are fitted to soft IoU and likelihood, with a ridge.
``--write`` writes weights fitted to all. The IoU shown is that of each image by weights that were
fitted to other images, in ten folds; so are the first estimates, to which the later weights are
fitted, in five. ``--cache FILE`` keeps the features. Five minutes of processor time.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cutout_strokes import Case, Mask, cases, drawn, iou, read_strokes
from numpy.typing import NDArray
from scipy.optimize import minimize

from icas.io.find import find_images
from icas.io.reading import read_image
from icas.segmentimg.grabcut.annotation import Strokes
from icas.segmentimg.grabcut.features import FEATURES
from icas.segmentimg.grabcut.mixtures import ColorModels
from icas.segmentimg.grabcut.strokes import (
    Estimate,
    Seeds,
    estimate,
    find_seeds,
    first_features,
    is_one_sided,
    later_features,
    plain_rounds,
)
from icas.segmentimg.grabcut.structure import Structure, structure_of

TOP = Path(__file__).resolve().parent.parent
WEIGHTS = TOP / "src" / "icas" / "segmentimg" / "grabcut" / "weights.py"
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
FOLDS = (5, 10)
"""Folds of images for the first and for the later weights."""
DRAWN = [("few lines", 1), ("few lines", 3), ("many lines", 1), ("clicks", 1), ("clicks", 3)]
"""Styles of simulated strokes and their random seeds."""
LEAN = (0.3, 0.5)
"""Added to the constants of the first and of the later weights: more foreground than is likely."""
RIDGE = 1e-3
LIKELIHOOD = 0.2
"""Weight of the likelihood relative to the soft IoU."""
WEIGHT = ({"clicks": 0.5}, {"clicks": 0.25, "scribbles1": 3.0, "scribbles2": 3.0})
"""Of samples by style, for the first and for the later weights; 1 where not listed."""
STEPS = 100
EACH = 4
"""Every which superpixel is used to fit."""


@dataclass(frozen=True)
class Sample:
    """One image with strokes, and its features from strokes alone."""

    group: str
    style: str
    case: Case
    strokes: Strokes
    structure: Structure
    seeds: Seeds
    features: Singles
    one_sided: bool

    def truth(self) -> tuple[Singles, Singles]:
        """Whether each superpixel is foreground, and its weight: little under strokes."""
        graph = self.structure.graph
        counted = graph.share(self.case.counted)
        true = graph.share(self.case.object) > 0.5 * counted
        under = self.seeds.foreground | self.seeds.background
        weights = graph.sizes * counted * np.where(under, 0.1, 1.0)
        return true.astype(np.float32), (weights / weights.sum()).astype(np.float32)


Model = Floats
"""Weights of features, the constant first."""


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    cache = Path(sys.argv[sys.argv.index("--cache") + 1]) if "--cache" in sys.argv else None
    if cache is not None and cache.exists():
        samples, later = pickle.loads(cache.read_bytes())
    else:
        samples = [one for some in parallel(samples_of, images(data)) for one in some]
        later = parallel(features_of_later, left_out(samples, first_model, FOLDS[0]))
        if cache is not None:
            cache.write_bytes(pickle.dumps((samples, later)))

    def later_model(samples: list[Sample], chosen: Sequence[int]) -> Model:
        return fitted(samples, later, chosen, LEAN[1], WEIGHT[1])

    every = range(len(samples))
    if "--write" in sys.argv:
        write_weights(first_model(samples, every), later_model(samples, every))
    judged = left_out(samples, later_model, FOLDS[1])
    show([(sample, later[k], model) for k, (sample, model) in enumerate(judged)])
    return 0


def left_out(
    samples: list[Sample], model: Callable[[list[Sample], Sequence[int]], Model], folds: int
) -> list[tuple[Sample, Model]]:
    """Each sample with the model of the folds of images without its own."""
    names = sorted({(one.group, one.case.name) for one in samples})
    fold = [names.index((one.group, one.case.name)) % folds for one in samples]
    models = [
        model(samples, [k for k in range(len(samples)) if fold[k] != left]) for left in range(folds)
    ]
    return [(one, models[k]) for one, k in zip(samples, fold, strict=True)]


def first_model(samples: list[Sample], chosen: Sequence[int]) -> Model:
    """The mean of a model of all features and of one without those of the structure."""
    features = [one.features for one in samples]
    few = [one[:, : len(FEATURES)] for one in features]
    model, smaller = (
        fitted(samples, given, chosen, LEAN[0], WEIGHT[0]) for given in (features, few)
    )
    model[: len(smaller)] += smaller
    return model / 2


def parallel(function: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
    with get_context("fork").Pool(2) as pool:
        return pool.map(function, tasks, chunksize=4)


def images(data: Path) -> list[tuple[str, Case, list[tuple[str, Strokes]]]]:
    """The images of each set with the styles of strokes on each."""
    sets = {
        "photographs": cases(data / "seg-grabcut"),
        "horses": cases(data / "seg-horses")[::2],
        "davis": frames(data, "davis"),
        "coil-diff": frames(data, "coil100-diff"),
    }
    found = []
    for group, given in sets.items():
        strokes = [(style, drawn(style, given, seed)) for style, seed in DRAWN]
        if group == "photographs":
            for kind in ("scribbles1", "scribbles2"):
                folder = data / "seg-grabcut"
                strokes += [(kind, [read_strokes(folder, kind, case.name) for case in given])]
        for k, case in enumerate(given):
            found.append((group, case, [(style, every[k]) for style, every in strokes]))
    return found


def frames(data: Path, kind: str) -> list[Case]:
    """Every third image of the clusters of one kind; each has a mask beside it."""
    found = []
    for folder in sorted((data / "propagate").glob(f"{kind}_*")):
        paths = [path for path in find_images(folder) if not path.stem.endswith("_mask")]
        for path in paths[::3]:
            true = read_image(folder / f"{path.stem}_mask.png")[..., 0] > 127
            if true.mean() > 0.005:
                name = f"{folder.name}/{path.stem}"
                found.append(Case(name, read_image(path), true, np.ones(true.shape, bool)))
    return found


def samples_of(given: tuple[str, Case, list[tuple[str, Strokes]]]) -> list[Sample]:
    cv2.setNumThreads(1)
    group, case, strokes = given
    structure = structure_of(case.image)
    found = []
    for style, drawn_ in strokes:
        seeds = find_seeds(structure.graph, drawn_)
        features = first_features(structure, seeds).astype(np.float32)
        sided = is_one_sided(structure.graph, seeds, drawn_)
        found.append(Sample(group, style, case, drawn_, structure, seeds, features, sided))
    return found


def features_of_later(task: tuple[Sample, Model]) -> Singles:
    sample, first = task
    cv2.setNumThreads(1)
    last = estimated(sample, sample.features, first)
    features = sample.features.astype(np.float64)
    return later_features(sample.structure, sample.seeds, features, last).astype(np.float32)


def estimated(sample: Sample, features: Singles, model: Model) -> Estimate:
    image, strokes, graph = sample.case.image, sample.strokes, sample.structure.graph
    return estimate(
        image, graph, sample.seeds, features.astype(float), model, strokes, ColorModels(), 0
    )


def final_iou(task: tuple[Sample, Singles, Model]) -> float:
    """IoU of a round, as `StrokeRounds` computes it."""
    sample, later, model = task
    cv2.setNumThreads(1)
    if sample.one_sided:
        mask: Mask = plain_rounds(sample.case.image, sample.strokes, ColorModels(), 0)
    else:
        mask = estimated(sample, later, model).mask
    return iou(sample.case, mask)


def show(tasks: list[tuple[Sample, Singles, Model]]) -> None:
    """A row per set and style of strokes: mean IoU."""
    figures: dict[str, list[float]] = {}
    for (sample, _, _), figure in zip(tasks, parallel(final_iou, tasks), strict=True):
        figures.setdefault(f"{sample.group} | {sample.style}", []).append(figure)
    print("| images | strokes | IoU left out |\n|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {np.mean(values):.3f} |", flush=True)


def fitted(
    samples: list[Sample],
    features: list[Singles],
    chosen: Iterable[int],
    lean: float,
    weight_of: Mapping[str, float],
) -> Model:
    """Weights, the constant first: of the ridge of soft IoU and likelihood, by L-BFGS."""
    used = [k for k in chosen if not samples[k].one_sided]
    truths = [samples[k].truth() for k in used]
    true, weight = (np.concatenate([part[k][::EACH] for part in truths]) for k in (0, 1))
    counts = [len(truth[0][::EACH]) for truth in truths]
    starts = np.cumsum([0, *counts[:-1]])
    x = np.vstack([features[k][::EACH] for k in used])
    mean, spread = x.mean(axis=0, dtype=float), x.std(axis=0, dtype=float) + 1e-6
    x = ((x - mean) / spread).astype(np.float32)
    scale = np.array([weight_of.get(samples[k].style, 1.0) for k in used])
    scale /= scale.sum()
    least = LIKELIHOOD / np.maximum(0.02, np.add.reduceat(weight * true, starts))
    weight_of_likelihood = weight * np.repeat(least, counts)
    scale_of_row = np.repeat(scale, counts)

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = (x @ weights[1:].astype(np.float32) + weights[0]).astype(float)
        share = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        both = np.add.reduceat(weight * share * true, starts)
        either = np.add.reduceat(weight * (share + true - share * true), starts)
        unlikely = weight_of_likelihood * (np.logaddexp(0, odds) - true * odds)
        total = float(scale @ (1 - both / either) + scale_of_row @ unlikely)
        both, either = np.repeat(both, counts), np.repeat(either, counts)
        slope = weight * (both * (1 - true) - either * true) / either**2 * share * (1 - share)
        slope = scale_of_row * (slope + weight_of_likelihood * (share - true))
        ridge = RIDGE * np.concatenate([[0.0], weights[1:]])
        by_weight = np.concatenate([[slope.sum()], slope.astype(np.float32) @ x]) + ridge
        return total + 0.5 * float(ridge @ weights), by_weight

    start = np.zeros(x.shape[1] + 1)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    slopes = weights[1:] / spread
    return np.concatenate([[weights[0] - slopes @ mean + lean], slopes])


def write_weights(first: Model, later: Model) -> None:
    lines = [
        '"""Weights of the features of strokes, by ``benchmarks/cutout_fit.py --write``."""',
        "",
        "import numpy as np",
        "",
        "# fmt: off",
    ]
    for name, weights in (("FIRST", first), ("LATER", later)):
        rows = [weights[start : start + 10] for start in range(0, len(weights), 10)]
        lines += [f"{name} = np.array(["]
        lines += ["    " + " ".join(f"{value:.4f}," for value in row) for row in rows] + ["])"]
    lines += ["# fmt: on", '"""For the first and for the later estimate, the constant first."""']
    WEIGHTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    sys.exit(main())
