"""How good the methods are: best pairwise F1 on every image set, written into docs/methods.md.

The six sets of `AIMS` also go to the pages of the methods, with the thresholds; that of deep is
written by benchmarks/deep.py.

``python benchmarks/quality.py [--sets copies,multiview] [--methods orb] [--most 1000]`` with the
image sets in ICAS_DATA (default ../shared/data beside the checkout). For every set and method all
pairs are compared once; the maximum spanning forest then gives the clusters, and their F1, at every
threshold. Beside the best F1 stands the one at the threshold that ``--threshold auto`` takes, which
nothing here was told about the set.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from icas.clusterimg.commands.thresholds import full_forest
from icas.clusterimg.data.images import scan
from icas.clusterimg.evaluation.scores import curve, evaluate, match_labels, read_labels
from icas.clusterimg.features.inputs import extract
from icas.clusterimg.graph.forest import labels_at
from icas.clusterimg.methods import METHODS, make_method
from icas.clusterimg.methods.base import Method
from icas.clusterimg.networks.onnx_export import export_onnx
from icas.clusterimg.thresholds.auto import auto, sample_of
from icas.parallel.executors import start_workers

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "methods.md"
BEGIN, END = "<!-- made by make quality -->", "<!-- end -->"
AIMS = ("copies", "video-frames", "deeppcb-pairs", "multiview", "coil100", "faces-orl")
ALIKE = (*AIMS, "faces-umist", "gtsrb-tracks", "neu-textures", "coil20")
"""The sets whose labels similarities can find; the default is judged by them."""
BY_NETWORK, BY_DEFAULT = "deep", "deep+orb"
"""The second is the default, auto, where a network is installed; without one that is orb."""
COMPARED = (*METHODS, BY_DEFAULT)
COIL_OBJECTS = 17
"""Of coil100 the objects of lowest label, as in the figures that these are compared with."""


@dataclass(frozen=True)
class Quality:
    """One method on one set."""

    best_f1: float
    best_threshold: float
    auto_f1: float
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", help="names with commas (default: all that have labels)")
    parser.add_argument("--methods", default=",".join(COMPARED), help="names with commas")
    parser.add_argument("--most", type=int, default=1300, help="images of a set at most")
    given = parser.parse_args()
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not data.is_dir():
        print(f"quality: no image sets at {data}: set ICAS_DATA to their folder", file=sys.stderr)
        return 2
    sets = given.sets.split(",") if given.sets else sets_of(data)
    methods = {name: method_called(name, data) for name in given.methods.split(",")}
    found = {
        (name, method): measured(data / name, methods[method], given.most)
        for name in sets
        for method in methods
    }
    lines = table(sets, methods, found)
    if given.sets or given.methods != ",".join(COMPARED):
        print("\n".join(lines))
    else:
        write(lines)
        for method in methods:
            if BY_NETWORK not in method:
                write(method_table(method, found), PAGE.parent / "methods" / f"{method}.md")
    return 0


def method_called(name: str, data: Path) -> Method:
    """A method with its defaults; with a network as ONNX from the weights beside the sets."""
    if BY_NETWORK not in name:
        return make_method(name)
    return make_method(name, weights=network(data / "weights/mobilenet_v2_dequantized_fp16.pth"))


@cache
def network(weights: Path) -> Path:
    """mobilenet_v2 as a temporary ONNX file, as ``clusterimg weights get`` installs it."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return export_onnx("mobilenet_v2", weights, folder / "mobilenet_v2.onnx")


def sets_of(data: Path) -> list[str]:
    """Sets with groups: those with an aim first, then the others by name."""
    labels = {path.parent.name: read_labels(path) for path in data.glob("*/labels.csv")}
    others = sorted(name for name, of in labels.items() if len(set(of.values())) < len(of))
    return [*AIMS, *(name for name in others if name not in AIMS)]


def chosen_files(folder: Path, most: int) -> dict[str, str]:
    """Label of each image that takes part; of a large set a sample drawn with a fixed seed."""
    labels = read_labels(folder / "labels.csv")
    if folder.name == "coil100":
        objects = sorted(set(labels.values()), key=lambda label: int(label.removeprefix("obj")))
        labels = {f: label for f, label in labels.items() if label in objects[:COIL_OBJECTS]}
    if len(labels) <= most:
        return labels
    files = sorted(labels)
    rows = np.sort(np.random.default_rng(0).choice(len(files), most, replace=False))
    return {files[row]: labels[files[row]] for row in rows}


def measured(folder: Path, method: Method, most: int) -> Quality:
    """Compare all pairs of a set once, and judge every threshold."""
    labels = chosen_files(folder, most)
    images = [ref for ref in scan(folder / "images").images if ref.file in labels]
    start = processor_seconds()
    with start_workers() as workers:
        features = extract(method, images, workers)
        forest, _ = full_forest(method, features, workers)
    seconds = processor_seconds() - start
    truth = match_labels(dict.fromkeys(features.files, 0), labels).truth
    best = max(curve(forest, truth), key=lambda point: point.f1 or 0.0)
    threshold = auto(sample_of(method, features), method).threshold
    found = evaluate(labels_at(forest, threshold), truth)
    print(f"{folder.name} {method.name}: {best.f1:.3f} at {best.threshold:.3f}", file=sys.stderr)
    return Quality(best.f1 or 0.0, best.threshold, found.f1, seconds)


def processor_seconds() -> float:
    """Processor time of this process and of the workers that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def table(
    sets: list[str],
    methods: dict[str, Method],
    found: dict[tuple[str, str], Quality],
) -> list[str]:
    """Markdown: a row a set, a column a method: best F1, in parentheses F1 with auto."""
    lines = [f"| set | {' | '.join(methods)} |", f"|---|{'---|' * len(methods)}"]
    for name in sets:
        cells = [cell(found[name, method]) for method in methods]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for title, chosen in (
        ("mean of the first six", AIMS),
        ("mean of ten sets", ALIKE),
        ("mean of all", tuple(sets)),
    ):
        present = [name for name in chosen if name in sets]
        if present:
            means = [mean_cell([found[name, method] for name in present]) for method in methods]
            lines.append(f"| **{title}** | {' | '.join(means)} |")
    seconds = [f"{sum(found[name, method].seconds for name in sets):.0f} s" for method in methods]
    lines.append(f"| processor time for all sets | {' | '.join(seconds)} |")
    shares = [f"{share_of_best([found[name, method] for name in sets]):.2f}" for method in methods]
    lines.append(f"| `auto` / best, mean | {' | '.join(shares)} |")
    return lines


def method_table(method: str, found: dict[tuple[str, str], Quality]) -> list[str]:
    """Markdown: a row for each set of `AIMS`."""
    lines = ["| set | best F1 | threshold | F1 with `auto` |", "|---|---|---|---|"]
    for name in AIMS:
        at = found[name, method]
        lines.append(f"| {name} | {at.best_f1:.2f} | {at.best_threshold:.2f} | {at.auto_f1:.2f} |")
    return lines


def share_of_best(rows: list[Quality]) -> float:
    """Mean share of the best F1 that auto reaches, over the sets where any F1 is above 0."""
    shares = [row.auto_f1 / row.best_f1 for row in rows if row.best_f1 > 0]
    return float(np.mean(shares)) if shares else float("nan")


def cell(quality: Quality) -> str:
    return f"{quality.best_f1:.2f} ({quality.auto_f1:.2f})"


def mean_cell(rows: list[Quality]) -> str:
    best = float(np.mean([row.best_f1 for row in rows]))
    by_auto = float(np.mean([row.auto_f1 for row in rows]))
    return f"**{best:.3f}** ({by_auto:.3f})"


def write(lines: list[str], page: Path = PAGE, begin: str = BEGIN) -> None:
    """Put the table into a page, between the mark that begins it and `END`."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n\n{chr(10).join(lines)}\n\n{END}{after}", encoding="utf-8")
    print(f"written into {page}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
