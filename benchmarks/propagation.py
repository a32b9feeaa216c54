"""Quality of carried masks, and the numbers fitted for it.

``python benchmarks/propagation.py --weights mobilenet_v2.onnx`` with the image sets in ICAS_DATA
prints mean IoU from one painted image (the medoid) beside simple ways, the gain by corrections,
and how reliable the confidence is. Weights are fitted without the set that is judged: to the other
sets and to the images of ``propagation_scenes.py``. ``--fit`` fits them to all and prints the
constants of src/icas/segmentimg/propagation/model.py.
Without ``--weights`` features are dense SIFT and Lab colors. ``--sam ENCODER.onnx,DECODER.onnx``
adds the borders by Segment Anything.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pickle
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from propagation_scenes import made_clusters
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from icas.io.reading import read_image
from icas.segmentimg.propagation import combine
from icas.segmentimg.propagation.appearance import CellSimilarity
from icas.segmentimg.propagation.carry import Carried, carry
from icas.segmentimg.propagation.confidence import find_clues
from icas.segmentimg.propagation.estimate import Signals, find_signals, segmented
from icas.segmentimg.propagation.features import ImageFeatures, image_features
from icas.segmentimg.propagation.model import Model
from icas.segmentimg.propagation.network import FeatureNetwork, load_network
from icas.segmentimg.propagation.queue import ACCEPT
from icas.segmentimg.propagation.refine import SamRefinement
from icas.segmentimg.propagation.sources import Painted, medoid, similarities
from icas.segmentimg.sam.embedding import Embedder
from icas.segmentimg.sam.onnx_model import load_onnx_sam

TOP = Path(__file__).resolve().parent.parent
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
KEY = ("object", 1)
SETS = ("copies", "coil100-diff", "davis", "horses")
HORSE_GROUPS, HORSES = 10, 8
KIND_WEIGHT = dict.fromkeys(SETS, 1.0)
MADE_WEIGHT = 0.5
"""Of a kind of images in the fit: one of the sets, and one of the made kinds."""
LOGISTIC, RIDGE = 0.2, 1e-3
"""Weights of the logistic loss, and of the squares of the weights."""
GOOD = 0.75
SIGNS = {True: (1, -1, -1, 0), False: (1, -1, -1, 1)}
"""Of the weights of the clues, with and without a network; with one, inliers do not help."""


@dataclass(frozen=True, eq=False)
class Picture:
    features: ImageFeatures
    mask: Mask
    """At working size."""

    def painted(self) -> Painted:
        return Painted.of(self.features, {KEY: self.mask})


@dataclass(frozen=True, eq=False)
class Pair:
    """One image of a cluster, to which masks are carried from the medoid."""

    kind: str
    cluster: str
    medoid: Picture
    target: Picture
    found: Signals
    compared: CellSimilarity

    def truth(self) -> Floats:
        """True share of each superpixel."""
        return self.target.features.graph.share(self.target.mask)


class Read(NamedTuple):
    """Clusters of the image sets, pairs of them, and pairs of the made clusters."""

    clusters: dict[str, list[Picture]]
    judged: list[Pair]
    made: list[Pair]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", help="ONNX network (default: dense SIFT and Lab colors)")
    parser.add_argument("--sam", help="ENCODER.onnx,DECODER.onnx: refine borders as well")
    parser.add_argument("--fit", action="store_true", help="print the constants fitted to all sets")
    parser.add_argument(
        "--corrections", action="store_true", help="gain by one and two corrections"
    )
    parser.add_argument(
        "--cache", type=Path, help="file of features and matches, made if it is not there"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    network = load_network(options.weights) if options.weights else None
    clusters, judged, made = cached(options.cache, lambda: read_pairs(network))
    without = {
        kind: fit_weights([pair for pair in judged + made if pair.kind != kind]) for kind in SETS
    }
    clues = [clues_of(pair, without[pair.kind]) for pair in judged]
    if options.fit:
        quality = fitted_confidence(clues)
        weights = fit_weights(judged + made)
        print_model(
            "WITH_NETWORK" if network else "WITHOUT_NETWORK",
            Model(weights.first, weights.second, quality),
        )
        return 0
    models = {}
    for kind in SETS:
        quality = fitted_confidence([one for one in clues if one.pair.kind != kind])
        models[kind] = Model(without[kind].first, without[kind].second, quality)
    sam = load_sam(options.sam) if options.sam else None
    found = [judge(pair, models[pair.kind], sam) for pair in judged]
    print_ways(judged, found)
    print_confidence([one.confidence for one, _ in found], [iou for _, iou in found])
    if options.corrections:
        print_corrections(clusters, models)
    return 0


# image sets


def read_clusters(network: FeatureNetwork | None) -> dict[str, list[Picture]]:
    data = data_folder()
    files = {
        folder.name: [(path, path.with_name(f"{path.stem}_mask.png")) for path in images]
        for folder in sorted((data / "propagate").iterdir())
        if (images := sorted(folder.glob("*.jpg")))
    }
    horses = sorted((data / "seg-horses" / "images").iterdir())
    random = np.random.default_rng(0)
    for group in range(HORSE_GROUPS):
        chosen = random.choice(len(horses), HORSES, replace=False)
        files[f"horses_{group}"] = [
            (horses[k], data / "seg-horses" / "masks" / f"{horses[k].stem}.png") for k in chosen
        ]
    known: dict[Path, Picture] = {}
    for pairs in files.values():
        for image, mask in pairs:
            if image not in known:
                known[image] = picture(image, mask, network)
    return {name: [known[image] for image, _ in pairs] for name, pairs in files.items()}


def made_pictures(network: FeatureNetwork | None) -> dict[str, list[Picture]]:
    return {
        name: [Picture(image_features(image, network), mask) for image, mask in scenes]
        for name, scenes in made_clusters(data_folder())
    }


def data_folder() -> Path:
    return Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")


def picture(image: Path, mask: Path, network: FeatureNetwork | None) -> Picture:
    features = image_features(read_image(image), network)
    true = (read_image(mask)[..., 0] > 127).astype(np.float32)
    small = cv2.resize(true, features.shape[::-1], interpolation=cv2.INTER_AREA)
    return Picture(features, small > 0.5)


def cached(path: Path | None, make: Callable[[], Read]) -> Read:
    if path is not None and path.exists():
        return Read(*pickle.loads(path.read_bytes()))
    found = make()
    if path is not None:
        path.write_bytes(pickle.dumps(tuple(found)))
    return found


def read_pairs(network: FeatureNetwork | None) -> Read:
    started = time.process_time()
    clusters, made = read_clusters(network), made_pictures(network)
    count = len({id(one) for pictures in [*clusters.values(), *made.values()] for one in pictures})
    print(f"features: {(time.process_time() - started) / count:.2f} CPU s per image")
    return Read(clusters, make_pairs(clusters), make_pairs(made))


def make_pairs(clusters: dict[str, list[Picture]]) -> list[Pair]:
    pairs = []
    for name, pictures in clusters.items():
        chosen = medoid(similarities([one.features for one in pictures]))
        source = pictures[chosen]
        for number, target in enumerate(pictures):
            if number != chosen:
                found, compared = find_signals(target.features, [source.painted()], [KEY[0]])
                pairs.append(Pair(name.split("_")[0], name, source, target, found[0], compared))
    return pairs


# fit


@dataclass(frozen=True, eq=False)
class Weights:
    """Of both logistic models."""

    first: Floats
    second: Floats


def fit_weights(pairs: Sequence[Pair]) -> Weights:
    """Weights of both logistic models; the second one by odds of pairs that the first left out."""
    folds = folds_of(pairs)
    columns = [pair.found.columns for pair in pairs]
    odds: list[Floats] = [np.zeros(0)] * len(pairs)
    for fold in np.unique(folds):
        others = np.flatnonzero(folds != fold).tolist()
        weights = fitted([pairs[k] for k in others], [columns[k] for k in others])
        for k in np.flatnonzero(folds == fold):
            odds[k] = combine.odds(columns[k], weights)
    again = [
        combine.second_signals(
            pair.target.features.graph, odd, pair.found.columns, pair.found.painted
        )
        for pair, odd in zip(pairs, odds, strict=True)
    ]
    return Weights(fitted(pairs, columns), fitted(pairs, again))


def folds_of(pairs: Sequence[Pair]) -> NDArray[np.int_]:
    """Three folds by cluster; groups of horses share images and are one fold more."""
    numbers: dict[str, int] = {}
    for pair in pairs:
        numbers.setdefault(pair.cluster, 3 if pair.kind == "horses" else len(numbers) % 3)
    return np.array([numbers[pair.cluster] for pair in pairs])


def fitted(pairs: Sequence[Pair], columns: Sequence[NDArray[np.float32]]) -> Floats:
    """Weights with a high IoU of the shares of superpixels; each kind of pairs counts the same.

    The loss of a pair is 1 - IoU of the shares, and a part of the logistic loss over the area of
    the object.
    """
    shares = [pair.truth() for pair in pairs]
    starts = np.cumsum([0, *(len(one) for one in shares[:-1])])
    number = np.repeat(np.arange(len(pairs)), [len(one) for one in shares])
    sizes = np.concatenate([pair.target.features.graph.sizes for pair in pairs])
    true = np.concatenate(shares)
    x = np.vstack(columns)
    scale = x.std(axis=0)
    scale[scale < 1e-9] = 1
    x /= scale
    kinds = Counter(pair.kind for pair in pairs)
    parts = np.array([KIND_WEIGHT.get(pair.kind, MADE_WEIGHT) / kinds[pair.kind] for pair in pairs])
    parts /= parts.sum()
    area = np.add.reduceat(sizes * true, starts)
    pull = LOGISTIC * (parts / np.maximum(area, 1e-9))[number] * sizes

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = np.clip(x @ weights.astype(np.float32), -20, 20).astype(np.float64)
        share = 1 / (1 + np.exp(-odds))
        common = np.add.reduceat(sizes * share * true, starts)
        union = np.add.reduceat(sizes * (share + true - share * true), starts)
        value = (parts * (1 - common / union)).sum()
        value += (pull * (np.logaddexp(0, odds) - true * odds)).sum()
        by_common, by_union = parts / union, parts * common / union**2
        slope = sizes * (by_union[number] * (1 - true) - by_common[number] * true)
        slope = slope * share * (1 - share) + pull * (share - true)
        gradient = (x.T @ slope.astype(np.float32)).astype(np.float64)
        return value + RIDGE / 2 * weights @ weights, gradient + RIDGE * weights

    start = np.zeros(x.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x / scale, np.float64)


@dataclass(frozen=True, eq=False)
class Judged:
    """The clues of a mask, and its IoU with the true one."""

    pair: Pair
    row: Floats
    iou: float


def clues_of(pair: Pair, weights: Weights) -> Judged:
    sources = [pair.medoid.painted()]
    model = Model(weights.first, weights.second, np.zeros(5))
    target = pair.target.features
    result = segmented(target, [pair.found], pair.compared, model)
    clues = find_clues(target, sources, [KEY[0]], result, model)
    return Judged(pair, clues[0].row(), iou(result.masks[0], pair.target.mask))


def fitted_confidence(judged: Sequence[Judged]) -> Floats:
    """Weights of the clues for the log odds of a good mask.

    The log odds are scaled by Platt's method: to masks of clusters that they were not fitted to.
    """
    rows = np.stack([one.row for one in judged])
    good = np.array([one.iou >= GOOD for one in judged], float)
    network = bool(judged[0].pair.target.features.network)
    signs = SIGNS[network]
    folds = folds_of([one.pair for one in judged])
    odds = np.zeros(len(rows))
    for fold in np.unique(folds):
        inside = folds == fold
        odds[inside] = rows[inside] @ logistic(rows[~inside], good[~inside], signs)
    shift, scale = logistic(np.column_stack([np.ones_like(odds), odds]), good, (1,), 0.0)
    weights = scale * logistic(rows, good, signs)
    weights[0] += shift
    return weights


def logistic(rows: Floats, good: Floats, signs: Sequence[int], strength: float = 1.0) -> Floats:
    """Weights of a logistic regression with given signs; 0: the column is not used."""
    direction = np.array(signs, float)
    columns = rows[:, 1:] * direction
    centre, spread = columns.mean(axis=0), columns.std(axis=0) + 1e-6
    scaled = (columns - centre) / spread

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = scaled @ weights[1:] + weights[0]
        error = 1 / (1 + np.exp(-odds)) - good
        total = (np.logaddexp(0, odds) - good * odds).sum()
        gradient = np.r_[error.sum(), scaled.T @ error + strength * weights[1:]]
        return float(total + strength / 2 * (weights[1:] ** 2).sum()), gradient

    bounds = [(None, None)] + [(0, None)] * len(direction)
    found = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = found[1:] / spread
    return np.r_[found[0] - (slopes * centre).sum(), direction * slopes]


def print_model(name: str, model: Model) -> None:
    print(f"{name} = Model(")
    for field in ("first", "second", "quality"):
        values = getattr(model, field)
        print(f"    {field}=np.array([")
        for start in range(0, len(values), 9):
            print("        " + " ".join(f"{value:.4f}," for value in values[start : start + 9]))
        print("    ]),")
    print(")")


# judgement


def load_sam(files: str) -> SamRefinement:
    encoder, decoder = files.split(",")
    return SamRefinement(Embedder(load_onnx_sam(Path(encoder), Path(decoder))))


def judge(pair: Pair, model: Model, sam: SamRefinement | None = None) -> tuple[Carried, float]:
    result = carry(pair.target.features, [pair.medoid.painted()], model=model, sam=sam)
    return result, overlap(result, pair.target)


def overlap(result: Carried, target: Picture) -> float:
    return iou(result.masks.get(KEY, np.zeros_like(target.mask)), target.mask)


def iou(a: Mask, b: Mask) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def simple_ways(pair: Pair) -> dict[str, Mask]:
    """Masks by ways that need no fit."""
    target, geometry = pair.target.features, pair.found.geometry
    height, width = target.shape
    copied = cv2.resize(pair.found.painted[0], (width, height)) > 0.5
    return {
        "copied mask": copied,
        "GrabCut from it": grabcut_of(target, copied),
        "SIFT warp": geometry.homography > 0.5,
        "DIS flow": geometry.flow > 0.5,
        "SIFT warp and DIS flow": geometry.best > 0.5,
    }


def grabcut_of(target: ImageFeatures, mask: Mask) -> Mask:
    kinds = np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    if not mask.any() or mask.all():
        return mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(target.image[..., ::-1])
    cv2.grabCut(bgr, kinds, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    return (kinds & 1) > 0


def print_ways(pairs: Sequence[Pair], judged: Sequence[tuple[Carried, float]]) -> None:
    rows: dict[str, list[float]] = defaultdict(list)
    for pair, (_, found) in zip(pairs, judged, strict=True):
        for name, mask in simple_ways(pair).items():
            rows[name].append(iou(mask, pair.target.mask))
        rows["icas"].append(found)
    print("\nmean IoU from one painted image\n\n| way | " + " | ".join(SETS) + " |")
    print("|---|" + "---|" * len(SETS))
    for name, values in rows.items():
        print(
            f"| {name} | " + " | ".join(f"{mean(pairs, values, kind):.3f}" for kind in SETS) + " |"
        )


def mean(pairs: Sequence[Pair], values: Sequence[float], kind: str) -> float:
    """Mean over the clusters of a set."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for pair, value in zip(pairs, values, strict=True):
        if pair.kind == kind:
            clusters[pair.cluster].append(value)
    return float(np.mean([np.mean(one) for one in clusters.values()]))


def print_confidence(confidences: Sequence[float], ious: Sequence[float]) -> None:
    sure, true = np.array(confidences), np.array(ious)
    order = np.argsort(-sure, kind="stable")
    top = true[order[: round(0.8 * len(order))]].mean()
    accepted = sure >= ACCEPT
    print(f"\nAUC of the confidence for IoU < {GOOD}: {roc_auc_score(true < GOOD, -sure):.3f}")
    print(f"mean IoU {true.mean():.3f}, of the surest 80 % {top:.3f}")
    bad = (true[accepted] < GOOD).mean() if accepted.any() else 0.0
    print(
        f"accepted at {ACCEPT}: {accepted.mean():.0%} of the images, {bad:.1%} of them below {GOOD}"
    )
    print(f"\n| confidence | images | mean IoU | IoU >= {GOOD} |\n|---|---|---|---|")
    limits = [0, 0.2, 0.4, 0.6, 0.8, 0.9, ACCEPT, 1.01]
    for low, high in itertools.pairwise(limits):
        inside = (sure >= low) & (sure < high)
        if inside.any():
            share = (true[inside] >= GOOD).mean()
            mean_iou = true[inside].mean()
            print(
                f"| {low:.2f}-{min(high, 1):.2f} | {inside.sum()} | {mean_iou:.3f} | {share:.2f} |"
            )


def print_corrections(clusters: dict[str, list[Picture]], models: dict[str, Model]) -> None:
    """The least sure image is painted, twice; the others are carried from all painted ones."""
    before: dict[str, list[float]] = defaultdict(list)
    after: dict[str, list[float]] = defaultdict(list)
    with_fixed: dict[str, list[float]] = defaultdict(list)
    for name, pictures in clusters.items():
        kind = name.split("_")[0]
        painted = {medoid(similarities([one.features for one in pictures]))}
        results = carried(pictures, painted, models[kind])
        for step in (1, 2):
            worst = min(results, key=lambda k: (results[k].confidence, k))
            last = {k: overlap(results[k], pictures[k]) for k in results if k != worst}
            painted.add(worst)
            results = carried(pictures, painted, models[kind])
            now = {k: overlap(results[k], pictures[k]) for k in results}
            before[f"{kind} {step}"].append(float(np.mean(list(last.values()))))
            after[f"{kind} {step}"].append(float(np.mean(list(now.values()))))
            with_fixed[f"{kind} {step}"].append(float(np.mean([*now.values(), *[1.0] * step])))
    print("\n| set, corrections | uncorrected before | after | all but the first, corrected = 1 |")
    print("|---|---|---|---|")
    for key in before:
        values = (np.mean(table[key]) for table in (before, after, with_fixed))
        print(f"| {key} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


def carried(pictures: Sequence[Picture], painted: set[int], model: Model) -> dict[int, Carried]:
    sources = [pictures[k].painted() for k in sorted(painted)]
    return {
        k: carry(one.features, sources, model=model)
        for k, one in enumerate(pictures)
        if k not in painted
    }


if __name__ == "__main__":
    sys.exit(main())
