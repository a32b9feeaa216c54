"""Quality of the segmenters on BSDS500: tables of docs/segmenters*, benchmarks/segmentation.md.

``python benchmarks/segment_quality.py`` with the image sets in ICAS_DATA (default ../shared/data
beside the checkout). ``--only-settings`` writes the tables of settings alone, which hold no times.
One image at a time on one thread, so that milliseconds compare.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import icas
from icas.cli.options import flag_of
from icas.io.find import find_images
from icas.io.reading import Image, read_image
from icas.segmentimg.evaluation.scores import evaluate_folder
from icas.segmentimg.labels.labels import count_of
from icas.segmentimg.segmenters import automatic_segmenters, make_segmenter
from icas.segmentimg.segmenters.segment import run_segmenter

TOP = Path(__file__).resolve().parent.parent
PAGES = TOP / "docs" / "segmenters"
INDEX = TOP / "docs" / "segmenters.md"
RESULTS = TOP / "benchmarks" / "segmentation.md"
LARGE = (4000, 3000)
COLORS = (2, 5, 12)
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "superpixel": (
        {"region_size": 10},
        {},
        {"region_size": 25},
        {"algorithm": "slic"},
    ),
    "edge": ({"strength": 0.6}, {}, {"strength": 1.2}),
    "kmeans": ({"k": 20}, {}, {"k": 200}, {"k": 12, "position_weight": 0.0}),
    "slickmeans": ({"k": 60}, {}),
    "chanvese": ({"bins": 2}, {}, {"bins": 24}),
    "felzenszwalb": ({"scale": 30.0}, {}, {"scale": 150.0, "min_size": 200}),
    "quickshift": (
        {"kernel_size": 1.5, "max_dist": 6.0},
        {},
        {"kernel_size": 4.0, "max_dist": 20.0},
    ),
    "graph": ({"k": 15.0}, {}, {"k": 150.0, "min_size": 100}),
}
"""Options compared on the page of each segmenter; {} is the default."""
PAGE_OF = {"slickmeans": "kmeans"}
"""Pages that describe two segmenters."""
WITH_METHOD = {*PAGE_OF, *PAGE_OF.values()}


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    folder = data / "seg-bsds500"
    if not folder.is_dir():
        print(f"segment_quality: no pictures at {folder}: set ICAS_DATA", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    for page, lines in settings_tables(folder).items():
        write_between(PAGES / f"{page}.md", {"settings": lines})
    if "--only-settings" not in sys.argv:
        write_between(INDEX, {"table": methods_table(folder)})
        tables = {"tree": tree_table(folder), "colours": colours_table(folder)}
        write_between(RESULTS, tables)
    return 0


def write_between(page: Path, tables: dict[str, list[str]]) -> None:
    """Replace the tables of a page, each between the marks of its name."""
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        text = between(text, name, lines)
    page.write_text(text, encoding="utf-8")
    print(f"written into {page}", file=sys.stderr)


def between(text: str, name: str, lines: list[str]) -> str:
    """`text` with `lines` between the marks called `name`."""
    begin, end = f"<!-- {name}: made by make quality -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{chr(10).join(lines)}\n\n{end}{after}"


def settings_tables(folder: Path) -> dict[str, list[str]]:
    """Page -> table: a row per setting, with the number of segments and two measures."""
    head = [
        "| flags | segments | boundary recall | ASA |",
        "|---|---|---|---|",
    ]
    tables: dict[str, list[str]] = {}
    for name, settings in SETTINGS.items():
        lines = tables.setdefault(PAGE_OF.get(name, name), list(head))
        for options in settings:
            segmenter = make_segmenter(name, **options)
            one = evaluate_folder(folder / "images", folder / "gt_npz", segmenter, jobs=1).scores
            method = (f"--method {name}",) if name in WITH_METHOD else ()
            words = (*method, *map(flag_with_value, options.items()))
            flags = f"`{' '.join(words)}`" if words else "default"
            lines.append(
                f"| {flags} | {one.segments:.0f} | {one.recall:.3f} | {one.accuracy:.3f} |"
            )
            print(lines[-1], file=sys.stderr)
    return tables


def flag_with_value(option: tuple[str, Any]) -> str:
    name, value = option
    return f"{flag_of(name)} {value if isinstance(value, str) else format(value, 'g')}"


def methods_table(folder: Path) -> list[str]:
    """A row a method: segments, recall, undersegmentation, ASA, time small and large."""
    lines = [
        "| method | segments, mean (most) | boundary recall | undersegmentation | ASA | ms |"
        " 12 MP, s |",
        "|---|---|---|---|---|---|---|",
    ]
    large = enlarged(read_image(find_images(folder / "images")[0]))
    for name in automatic_segmenters():
        segmenter = make_segmenter(name)
        found = evaluate_folder(folder / "images", folder / "gt_npz", segmenter, jobs=1)
        start = time.perf_counter()
        run_segmenter(segmenter, large)
        seconds = time.perf_counter() - start
        one = found.scores
        lines.append(
            f"| `{name}` | {one.segments:.0f} ({found.most_segments}) | {one.recall:.3f} |"
            f" {one.undersegmentation:.3f} | {one.accuracy:.3f} | {found.milliseconds:.0f} |"
            f" {seconds:.1f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


def enlarged(image: Image) -> Image:
    size = LARGE if image.shape[1] >= image.shape[0] else LARGE[::-1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def tree_table(folder: Path) -> list[str]:
    """ASA where the merge tree of the superpixels is cut at a few segments."""
    from icas.segmentimg.evaluation.scores import evaluate, read_truth

    levels = (20, 50, 100, 200)
    found: dict[int, list[float]] = {level: [] for level in levels}
    for path in find_images(folder / "images"):
        image, truth = read_image(path), read_truth(folder / "gt_npz" / f"{path.stem}.npz")
        tree = icas.merge_tree(image, icas.segment(image))
        for level in levels:
            labels = icas.labels_at(tree, level)
            found[level].append(evaluate(labels, truth).accuracy)
            assert count_of(labels) <= level
    cells = " | ".join(f"{np.mean(found[level]):.3f}" for level in levels)
    heads = " | ".join(f"{level} segments" for level in levels)
    return [f"| | {heads} |", f"|---|{'---|' * len(levels)}", f"| ASA | {cells} |"]


def colours_table(folder: Path) -> list[str]:
    """k-means colours against scikit-learn: inertia and time, a row a k."""
    from sklearn.cluster import KMeans

    lines = [
        "| k | inertia / scikit-learn's, worst (mean) of 10 images | times as fast, median |",
        "|---|---|---|",
    ]
    for k in COLORS:
        inertias, speeds = [], []
        for path in find_images(folder / "images")[:10]:
            image = read_image(path)
            start = time.perf_counter()
            rows = image.reshape(-1, 3) / 255.0
            theirs = KMeans(n_clusters=k, random_state=0).fit(rows)
            _ = theirs.cluster_centers_[theirs.labels_]
            middle = time.perf_counter()
            ours = icas.kmeans_colors(image, k, seed=0)
            end = time.perf_counter()
            speeds.append((middle - start) / (end - middle))
            apart = rows - ours.centres[ours.labels.ravel()] / 255.0
            inertias.append(float((apart**2).sum()) / theirs.inertia_)
        lines.append(
            f"| {k} | {max(inertias):.4f} ({np.mean(inertias):.4f}) | {np.median(speeds):.1f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


if __name__ == "__main__":
    sys.exit(main())
