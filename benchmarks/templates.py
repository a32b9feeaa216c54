"""How well template painting finds things on real pictures: three tables on stdout.

``python benchmarks/templates.py`` with the image sets in ICAS_DATA (default ../shared/data beside
the checkout): every coin and every third blood cell as template for the others of its picture, and
patches of circuit boards looked for in another picture of the board.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image, read_image
from icas.segmentimg.templates.search import TemplateMatch, difference_map, find_template
from icas.segmentimg.templates.templates import Template, make_template

TOP = Path(__file__).resolve().parent.parent
PRECISION, SAME_OBJECT = 0.9, 0.4
SIDES, PATCHES, NEAR = (64, 96), 4, 2
ALIKE, SURROUNDINGS, FARTHEST = 0.1, 192, 12
"""A patch with a second place that differs by less than ALIKE has no one true place. How far a
pair is off itself is measured by SURROUNDINGS pixels around a patch, up to FARTHEST pixels."""

Boxes = NDArray[np.int64]


def main() -> int:
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not (data / "tm-coins").is_dir():
        print(f"templates: no pictures at {data}: set ICAS_DATA", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    print("\n".join(objects_table(data)), end="\n\n")
    print("\n".join(patches_table(data / "deeppcb-pairs")), end="\n\n")
    print("\n".join(speed_table(data / "tm-coins" / "images" / "coins.png")))
    return 0


def objects_table(data: Path) -> list[str]:
    """A row a set: recall at the threshold that suits each template best."""
    lines = [
        f"| set | templates | recall at precision {PRECISION}, median | mean | recall, precision"
        " at 0.05, mean |",
        "|---|---|---|---|---|",
    ]
    for name, kind, step in (("tm-coins", "coin", 1), ("tm-bloodcells", "RBC", 3)):
        best, fixed = [], []
        for image, template, truth in objects(data / name, kind, step):
            found = find_template(image, template, 1.0)
            hits = matched(found, truth)
            best.append(best_recall(hits, len(truth)))
            near = sum(place.difference <= 0.05 for place in found)
            fixed.append((sum(hits[:near]) / len(truth), sum(hits[:near]) / max(1, near)))
        recall, precision = np.mean(fixed, axis=0)
        lines.append(
            f"| {name} | {len(best)} | {np.median(best):.3f} | {np.mean(best):.3f} |"
            f" {recall:.3f}, {precision:.3f} |"
        )
    return lines


def objects(folder: Path, kind: str, step: int) -> Iterator[tuple[Image, Template, Boxes]]:
    """Every `step`-th whole object of each picture as a template with a round attention."""
    boxes: dict[str, list[list[int]]] = defaultdict(list)
    with (folder / "boxes.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["class"] == kind:
                boxes[line["file"]].append([int(line[side]) for side in ("x1", "y1", "x2", "y2")])
    for name, listed in sorted(boxes.items()):
        image, truth = read_image(folder / "images" / name), np.array(listed)
        height, width = image.shape[:2]
        whole = (truth[:, :2] > 0).all(axis=1) & (truth[:, 2:] < (width, height)).all(axis=1)
        for left, top, right, bottom in truth[whole][::step]:
            patch = image[top:bottom, left:right]
            yield image, make_template(patch, attention=ellipse(*patch.shape[:2])), truth


def ellipse(height: int, width: int) -> NDArray[np.bool_]:
    """(height, width) bool: the ellipse that touches all four sides."""
    rows, columns = np.ogrid[:height, :width]
    down, right = (rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5
    return np.asarray(down**2 + right**2 <= 0.25)


def matched(found: list[TemplateMatch], truth: Boxes) -> list[bool]:
    """Which places, best first, are objects that no better place took."""
    free, hits = np.ones(len(truth), bool), []
    for place in found:
        ends = np.minimum(truth[:, 2:], (place.col + place.width, place.row + place.height))
        sides = np.clip(ends - np.maximum(truth[:, :2], (place.col, place.row)), 0, None)
        common = sides.prod(axis=1)
        both = (truth[:, 2:] - truth[:, :2]).prod(axis=1) + place.width * place.height - common
        overlap = np.where(free, common / both, 0)
        hits.append(bool(overlap.max() >= SAME_OBJECT))
        free[overlap.argmax()] &= not hits[-1]
    return hits


def best_recall(hits: list[bool], count: int) -> float:
    """Most of `count` objects found by any threshold with a precision of PRECISION or more."""
    true = np.cumsum(hits)
    precise = true / np.arange(1, len(hits) + 1) >= PRECISION
    return float(true[precise].max(initial=0) / count)


@dataclass(frozen=True)
class Patch:
    """A patch of a board's template picture, and how the best place in the test picture lies."""

    side: int
    alone: bool
    off: int
    off_shifted: int
    off_made: int


def patches_table(folder: Path) -> list[str]:
    """A row a size: share of patches whose best place is within NEAR pixels of the true one."""
    patches = [patch for pair in pairs(folder) for patch in patches_of(*pair)]
    lines = [
        f"| patches | number | found within {NEAR} px | and the pair's own shift allowed for |"
        " attention made |",
        "|---|---|---|---|---|",
    ]
    for side in SIDES:
        for words, kept in (("all", False), ("of one place", True)):
            rows = [one for one in patches if one.side == side and (one.alone or not kept)]
            offs = np.array([(one.off, one.off_shifted, one.off_made) for one in rows])
            cells = " | ".join(f"{share:.3f}" for share in (offs <= NEAR).mean(axis=0))
            lines.append(f"| {side} px, {words} | {len(rows)} | {cells} |")
    return lines


def pairs(folder: Path) -> Iterator[tuple[Image, Image]]:
    """Template and test picture of each board."""
    names: dict[str, dict[str, str]] = defaultdict(dict)
    with (folder / "origin.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            board, _, kind = Path(line["origin"]).stem.rpartition("_")
            names[board][kind] = line["file"]
    for _, pair in sorted(names.items()):
        yield (
            read_image(folder / "images" / pair["temp"]),
            read_image(folder / "images" / pair["test"]),
        )


def patches_of(board: Image, test: Image) -> Iterator[Patch]:
    """The PATCHES patches of each size with most corners that do not overlap."""
    gray = cv2.GaussianBlur(board[..., 0], (0, 0), 2)
    corners = cv2.cornerMinEigenVal(gray, 31, 5)
    for side in SIDES:
        half = side // 2
        rest = cv2.boxFilter(corners, -1, (half, half))[half:-half, half:-half].copy()
        for _ in range(PATCHES):
            row, col = map(int, np.unravel_index(int(rest.argmax()), rest.shape))
            rest[max(0, row - side) : row + side, max(0, col - side) : col + side] = -1
            yield judged(board, test, row, col, side)


def judged(board: Image, test: Image, row: int, col: int, side: int) -> Patch:
    patch = board[row : row + side, col : col + side]
    whole = make_template(patch, attention=np.ones((side, side)))
    own = difference_map(board, whole)
    own[max(0, row - 4) : row + 5, max(0, col - 4) : col + 5] = 1
    best, made = find_template(test, whole)[0], find_template(test, patch)[0]
    down, right = own_shift(board, test, row + side // 2, col + side // 2)
    return Patch(
        side,
        bool(own.min() > ALIKE),
        max(abs(best.row - row), abs(best.col - col)),
        max(abs(best.row - row - down), abs(best.col - col - right)),
        max(abs(made.row - row - down), abs(made.col - col - right)),
    )


def own_shift(board: Image, test: Image, row: int, col: int) -> tuple[int, int]:
    """How the test picture lies against the board's around a pixel, by correlation."""
    top, left = (min(max(0, at - SURROUNDINGS // 2), 640 - SURROUNDINGS) for at in (row, col))
    around = board[top : top + SURROUNDINGS, left : left + SURROUNDINGS]
    first_row, first_col = max(0, top - FARTHEST), max(0, left - FARTHEST)
    part = test[
        first_row : top + SURROUNDINGS + FARTHEST, first_col : left + SURROUNDINGS + FARTHEST
    ]
    similar = cv2.matchTemplate(part, around, cv2.TM_CCOEFF_NORMED)
    found = np.unravel_index(int(similar.argmax()), similar.shape)
    return int(found[0]) + first_row - top, int(found[1]) + first_col - left


def speed_table(path: Path) -> list[str]:
    """Seconds for one template of 100 px in 12 megapixels, on one thread."""
    image = np.asarray(cv2.resize(read_image(path), (4000, 3000), interpolation=cv2.INTER_CUBIC))
    template = make_template(image[1000:1100, 2000:2100], attention=ellipse(100, 100))
    lines = ["| 12 megapixels, 100x100 px | s |", "|---|---|"]
    for words, threshold in (("best place", None), ("all places to 0.05", 0.05)):
        start = time.perf_counter()
        find_template(image, template, threshold)
        lines.append(f"| {words} | {time.perf_counter() - start:.1f} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
