"""Fit the weights by which ``--threshold auto`` judges thresholds, and test them set by set.

``python benchmarks/auto_weights.py --cache DIR`` with the image sets in ICAS_DATA (default
../shared/data beside the checkout). Folders of many kinds are made from the sets: whole sets, parts
of them, unrelated photographs, unrelated photographs with a few copies, many groups of variants.
The tables show each set with weights that were fitted without it; the second one compares expected
with measured shares of wrong links in whole sets. The last lines are the weights
fitted to all sets, for src/icas/clusterimg/thresholds/auto.py. Similarities are kept in DIR.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import skimage.data
from PIL import Image
from quality import TOP, chosen_files, method_called
from sklearn.linear_model import LogisticRegression
from variants import write_variants

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import scan
from icas.clusterimg.data.links import Links
from icas.clusterimg.evaluation.scores import evaluate
from icas.clusterimg.features.inputs import extract
from icas.clusterimg.graph.forest import Merges, labels_at
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.thresholds.auto import KNOWN, RESOLUTION, best_step, share_of_right
from icas.clusterimg.thresholds.evidence import Evidence
from icas.clusterimg.thresholds.sample import Sample

METHODS = ("imagehash", "minhash", "tm", "ssim", "orb", "deep")
GROUPED = (
    *("copies", "video-frames", "deeppcb-pairs", "multiview", "coil100", "faces-orl"),
    *("faces-umist", "gtsrb-tracks", "coil20", "neu-textures"),
)
UNRELATED = ("ants-bees", "flowers5", "cifar10-scale")
"""Photographs of kinds of things, which share nothing that pixels show."""
STRANGERS = "strangers"
SAME = "00277.jpg", "00156.jpg"
"""Two of the photographs are one, in color and in gray."""
SKIMAGE = (
    *("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "moon", "page", "text"),
    *("hubble_deep_field", "retina", "brick", "grass", "gravel", "immunohistochemistry", "cell"),
    *("clock", "horse"),
)
"""Images of skimage.data: microscopy, textures, documents, few subjects in common."""
VARIANTS = {"skimage": (None, 5), "282x10": (None, 10), "140x20": (140, 20), "60x50": (60, 50)}
MANY_LABELS = ("copies", "deeppcb-pairs", "coil100", "faces-orl", "gtsrb-tracks")


@dataclass(frozen=True)
class Case:
    """A folder, compared by a method: evidence at each threshold, and how right it would be."""

    kind: str  # of set; the photographs of `STRANGERS` are one kind
    name: str
    method: str
    weight: float
    evidence: Evidence
    right: np.ndarray  # share of right links
    f1: np.ndarray
    best: float  # F1 of the best of all thresholds
    clustered: np.ndarray  # share of the images that are in clusters


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for similarities")
    parser.add_argument("--methods", default=",".join(METHODS), help="names with commas")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    cases = []
    for method in given.methods.split(","):
        cases += list(cases_of(method, data, given.cache))
        print(f"{method}: {len(cases)} folders so far", file=sys.stderr, flush=True)
    print_table(cases)
    print_reliability(cases)
    for name, weights in zip(("RIGHT", "GOOD"), fitted(cases), strict=True):
        print(f"{name} = ({', '.join(f'{weight:.4g}' for weight in weights)})")
    return 0


def cases_of(method: str, data: Path, cache: Path) -> Iterator[Case]:
    def case(kind: str, name: str, rows: np.ndarray, weight: float, source: str = "") -> Case:
        similarities, truth = compared(source or kind, method, data, cache)
        return judged(kind, name, method, weight, similarities[np.ix_(rows, rows)], truth[rows])

    most = 700 if method == "orb" else 1300
    for kind in (*GROUPED, *UNRELATED):
        rng = np.random.default_rng(5)
        _, truth = compared(kind, method, data, cache)
        count, labels = len(truth), np.unique(truth)
        whole, some = (2, 1.4) if kind in UNRELATED else (1, 0.7)
        yield case(kind, kind, part(rng, np.arange(count), most), whole)
        if count >= 100:
            rows = part(rng, np.arange(count), min(400, count // 2))
            yield case(kind, f"{kind}-half", rows, some)
            few = rng.permutation(labels)[: max(2, min(8, len(labels) // 2))]
            rows = part(rng, np.flatnonzero(np.isin(truth, few)), 80)
            yield case(kind, f"{kind}-labels", rows, some)
        if kind in UNRELATED:
            for size in (8,) * 5 + (20,) * 5 + (60,) * 4:
                yield case(kind, f"{kind}-{size}", rng.permutation(count)[:size], some)
        else:
            for size in (12, 25, 50):
                yield case(kind, f"{kind}-{size}", groups(rng, truth, size, 8)[:size], 0.7)
        if kind in MANY_LABELS:
            for copied in (0, 1, 3, 10):
                yield case(kind, f"{kind}-few", groups(rng, truth, 500, 5, copied, 50), 0.7)
    rng = np.random.default_rng(9)
    _, truth = compared("skimage", method, data, cache)
    for copied in (0,) * 6 + (1, 1, 2, 2, 4):
        for size in (8, 12, 18):
            rows = groups(rng, truth, 500, 5, copied, size)
            yield case("skimage", f"skimage-{size}-{copied}", rows, 0.9)
    rng = np.random.default_rng(7)
    for size in (282,) + (140,) * 2 + (60,) * 4 + (20,) * 6 + (8,) * 6:
        yield case(STRANGERS, f"{STRANGERS}-{size}", rng.permutation(282)[:size], 0.9)
    if method == "deep":
        return
    for copied in (1, 3, 10):
        for _ in range(4):
            _, truth = compared("282x10", method, data, cache)
            rows = groups(rng, truth, 500, 5, copied, 50)
            yield case("few", f"few-{copied}", rows, 0.7, "282x10")
    for name in ("282x10", "140x20", "60x50"):
        _, truth = compared(name, method, data, cache)
        sampled = part(rng, np.arange(len(truth)), make_method(method).sample_size)
        yield case("many", name, sampled, 1, name)


def part(rng: np.random.Generator, rows: np.ndarray, most: int) -> np.ndarray:
    return np.sort(rng.permutation(rows)[:most])


def groups(
    rng: np.random.Generator,
    truth: np.ndarray,
    images: int,
    most: int,
    copied: int | None = None,
    labels: int | None = None,
) -> np.ndarray:
    """Two to `most` - 1 images of each label; of those beyond `copied` labels one."""
    rows: list[int] = []
    for number, label in enumerate(rng.permutation(np.unique(truth))[:labels]):
        some = copied is None or number < copied
        wanted = int(rng.integers(2, most)) if some else 1
        rows += rng.permutation(np.flatnonzero(truth == label))[:wanted].tolist()
        if len(rows) >= images:
            break
    return np.array(rows)


def compared(name: str, method: str, data: Path, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of all pairs of a set or of a folder of variants, and the labels."""
    file = cache / f"{name}.{method}.npz"
    if not file.exists():
        if name in VARIANTS:
            with TemporaryDirectory() as scratch:
                folder = Path(scratch, name)
                source = (
                    skimages(Path(scratch, "source"))
                    if name == "skimage"
                    else data / STRANGERS / "images"
                )
                write_variants(source, folder, *VARIANTS[name])
                save(file, folder, method_called(method, data))
        else:
            save(file, data / name, method_called(method, data))
    with np.load(file) as saved:
        return saved["s"], saved["truth"]


def skimages(folder: Path) -> Path:
    """A folder with the images of `SKIMAGE`, the longer side 480 pixels at most."""
    folder.mkdir()
    for name in SKIMAGE:
        pixels = getattr(skimage.data, name)()
        pixels = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
        image = Image.fromarray(pixels[..., :3] if pixels.ndim == 3 else pixels).convert("RGB")
        image.thumbnail((480, 480))
        image.save(folder / f"{name}.png")
    return folder


def save(file: Path, folder: Path, method: Method) -> None:
    labels = chosen_files(folder, 1300 if folder.name not in VARIANTS else 10**6)
    images = [ref for ref in scan(folder / "images").images if ref.file in labels]
    features = extract(method, images)
    if folder.name == STRANGERS:
        labels[SAME[0]] = labels[SAME[1]]
    names = sorted(set(labels.values()))
    truth = np.array([names.index(labels[file]) for file in features.files])
    side, rows = method.tile, len(features)
    linked = method.by_links()
    similarities = np.empty((rows, rows), np.float32)
    for top in range(0, rows, side):
        for left in range(top, rows, side):
            block = linked.similarity(features[top : top + side], features[left : left + side])
            similarities[top : top + side, left : left + side] = block
            similarities[left : left + side, top : top + side] = block.T
    np.savez(file, s=similarities, truth=truth)


def sample_of(similarities: np.ndarray) -> Sample:
    a, b = np.triu_indices(len(similarities), 1)
    values = similarities[a, b]
    order = np.argsort(-values, kind="stable")
    features = FeatureSet("kept", {"rows": np.zeros((len(similarities), 1))})
    return Sample(features, len(similarities), Links(a[order], b[order], values[order]))


def judged(
    kind: str, name: str, method: str, weight: float, similarities: np.ndarray, truth: np.ndarray
) -> Case:
    sample = sample_of(similarities)
    merges = Merges.of(sample.forest)
    evidence = Evidence.of(sample, merges, make_method(method).default_threshold)
    same = np.cumsum(truth[sample.links.a] == truth[sample.links.b])
    right, f1, clustered = [], [], []
    for step in evidence.steps:
        value = merges.similarity[step]
        linked, labels = sample.pairs_at(value), labels_at(sample.forest, value)
        right.append(0.0 if kind in UNRELATED else same[linked - 1] / linked)
        f1.append(evaluate(labels, truth).f1)
        clustered.append((labels >= 0).mean())
    best = 0.0 if kind in UNRELATED else max(f1)
    return Case(
        kind, name, method, weight, evidence, *map(np.array, (right, f1)), best, np.array(clustered)
    )


def fitted(cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the share of right links, a constant first, and of the rank of a threshold."""
    right = logistic(cases, [case.evidence.links for case in cases], [c.right for c in cases])
    good = [case.f1 / case.best if case.best else np.zeros(len(case.f1)) for case in cases]
    return right, logistic(cases, [case.evidence.clusters for case in cases], good)[1:]


def logistic(cases: list[Case], inputs: list[np.ndarray], shares: list[np.ndarray]) -> np.ndarray:
    x, y = np.concatenate(inputs), np.concatenate(shares).clip(0, 1)
    each = np.concatenate(
        [np.full(len(s), c.weight / len(s)) for c, s in zip(cases, shares, strict=True)]
    )
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    scaled = (x - middle) / spread
    weights = np.concatenate([each * y, each * (1 - y)]) * len(cases) / each.sum()
    targets = np.repeat([1, 0], len(x))
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(np.concatenate([scaled, scaled]), targets, sample_weight=weights)
    slopes = model.coef_[0] / spread
    return np.concatenate([model.intercept_ - slopes @ middle, slopes])


def left_out(cases: list[Case]) -> Iterator[tuple[Case, int | None, np.ndarray]]:
    """Each folder, its threshold and shares of right links by weights fitted without its kind."""
    photographs = {STRANGERS, "few", "many"}
    for kind in dict.fromkeys(case.kind for case in cases):
        without = photographs if kind in photographs else {kind}
        right, good = fitted([case for case in cases if case.kind not in without])
        for case in cases:
            if case.kind == kind:
                step = best_step(case.evidence, right, good)
                yield case, step, share_of_right(case.evidence, right)


def print_reliability(cases: list[Case]) -> None:
    """A row a range of expected shares of wrong links: cases, how many are right, measured ones.

    Shares that are not shown to users are left out.
    """
    whole = {*GROUPED, f"{STRANGERS}-282", *VARIANTS}
    found = [
        ((max(RESOLUTION, (1 - share[step]) ** 2), 1 - case.right[step]), case.evidence.images)
        for case, step, share in left_out(cases)
        if step is not None and case.name in whole
    ]
    found = [pair for pair, images in found if pair[0] <= RESOLUTION or images >= KNOWN]
    print("| expected wrong links | cases | right | median | mean |\n|---|---|---|---|---|")
    for least, most in ((0, 0.0101), (0.0101, 0.1), (0.1, 1)):
        inside = np.array([pair for pair in found if least <= pair[0] < most]).reshape(-1, 2)
        if len(inside):
            expected, measured = inside.T
            low, high = np.sort(inside, axis=1).T
            right = (abs(expected - measured) <= 0.01) | (high <= 2 * low)
            cells = f"{right.mean():.2f} | {np.median(measured):.3f} | {measured.mean():.3f}"
            print(f"| {least:.2f} to {most:.2f} | {len(inside)} | {cells} |")


def print_table(cases: list[Case]) -> None:
    """A row a set, a column a method: F1 by auto over the best F1, or images in clusters."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for case, step, _ in left_out(cases):
        found = 0.0 if step is None else (case.f1 if case.best else case.clustered)[step]
        cells[case.name, case.method].append(found / (case.best or 1))
    names = dict.fromkeys(name for name, _ in cells)
    methods = dict.fromkeys(method for _, method in cells)
    print(f"| folder | {' | '.join(methods)} |\n|---|{'---|' * len(methods)}")
    for name in names:
        row = [f"{np.mean(cells[name, m]):.3f}" if (name, m) in cells else "" for m in methods]
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    sys.exit(main())
