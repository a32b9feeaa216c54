"""How well ``clusterimg quality`` finds defects, compared with cleanvision.

``python benchmarks/quality_issues.py [--cleanvision PYTHON] [--seeds 3]`` with the image sets in
ICAS_DATA (default ../shared/data beside the checkout). Into 300 real images of a mix of sets go
some that were blurred (Gaussian sigma 2 to 4, or motion over 9 to 21 pixels), darkened,
overexposed or made tiny; these come from images that are not among the 300. For every defect
the average precision of the order by its score is printed. PYTHON is an interpreter that has
cleanvision (0.3.7 was measured); both programs get the same folders.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import icas

TOP = Path(__file__).resolve().parent.parent
REAL, EACH = 300, 17
MIXES = {
    "photographs": ("strangers", "seg-bsds500", "multiview", "seg-horses"),
    "insects": ("ants-bees", "seg-horses", "strangers"),
    "everything": (
        *("strangers", "flowers5", "coil100", "gtsrb-tracks", "video-frames"),
        *("neu-textures", "sign-digits", "ants-bees", "copies"),
    ),
}
DEFECTS = ("gaussian", "motion", "dark", "bright", "tiny")
ISSUES = {
    "blurred": (("gaussian", "motion"), "blurry_score"),
    "dark": (("dark",), "dark_score"),
    "bright": (("bright",), "light_score"),
    "odd_size": (("tiny",), "odd_size_score"),
}
"""Issue -> defects that it is to find, and the score of cleanvision, low for bad images."""
CLEANVISION = """
import sys
from cleanvision import Imagelab
lab = Imagelab(data_path=sys.argv[1])
lab.find_issues(n_jobs=1, verbose=False)
lab.issues.to_csv(sys.argv[2])
"""
Pixels = NDArray[np.uint8]


def gaussian(image: Pixels, chance: np.random.Generator) -> Pixels:
    return cv2.GaussianBlur(image, (0, 0), chance.uniform(2, 4))


def motion(image: Pixels, chance: np.random.Generator) -> Pixels:
    length, angle = int(chance.integers(9, 22)), np.deg2rad(chance.uniform(0, 180))
    across, down = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    kernel = np.zeros((2 * length + 1,) * 2, np.uint8)
    ends = [(round(length + sign * across), round(length + sign * down)) for sign in (-1, 1)]
    cv2.line(kernel, *ends, 255, 1, cv2.LINE_AA)
    return cv2.filter2D(image, -1, kernel / np.float32(kernel.sum()))


def dark(image: Pixels, chance: np.random.Generator) -> Pixels:
    return (image * chance.uniform(0.05, 0.2)).astype(np.uint8)


def bright(image: Pixels, chance: np.random.Generator) -> Pixels:
    gain, offset = chance.uniform(2.5, 5), chance.uniform(40, 100)
    return np.clip(image * gain + offset, 0, 255).astype(np.uint8)


def tiny(image: Pixels, chance: np.random.Generator) -> Pixels:
    share = chance.uniform(10, 40) / max(image.shape[:2])
    return cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


MADE: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "gaussian": gaussian,
    "motion": motion,
    "dark": dark,
    "bright": bright,
    "tiny": tiny,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cleanvision", metavar="PYTHON", help="interpreter that has cleanvision")
    parser.add_argument("--seeds", type=int, default=3, help="folders of each mix")
    given = parser.parse_args()
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not data.is_dir():
        print(f"quality_issues: no image sets at {data}: set ICAS_DATA", file=sys.stderr)
        return 2
    print("| mix | issue | icas | cleanvision | recall | precision |")
    print("|---|---|---|---|---|---|")
    for mix, sets in MIXES.items():
        rows = []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as top:
                truth = make_folder(Path(top, "images"), data, sets, seed)
                rows.append(measured(Path(top, "images"), truth, given.cleanvision))
        for issue in ISSUES:
            values = np.array([row[issue] for row in rows])
            least, mean = values.min(axis=0), values.mean(axis=0)
            cells = [f"{a:.3f} ({b:.3f})" for a, b in zip(mean, least, strict=True)]
            print(f"| {mix} | {issue} | {' | '.join(cells)} |")
    return 0


def make_folder(folder: Path, data: Path, sets: tuple[str, ...], seed: int) -> dict[str, str]:
    """Write real images and defects under neutral names in random order; the defect of each."""
    chance = np.random.default_rng(seed)
    files = [
        path
        for name in sets
        for path in sorted((data / name / "images").iterdir())
        if path.suffix in (".jpg", ".png")
    ]
    files = [files[row] for row in chance.permutation(len(files))]
    kinds = ["real"] * REAL + [defect for defect in DEFECTS for _ in range(EACH)]
    assert len(files) >= len(kinds), "too few images"
    folder.mkdir(parents=True)
    truth = {}
    for number, row in enumerate(chance.permutation(len(kinds))):
        path, kind = files[row], kinds[row]
        name = f"{number:04}{path.suffix}"
        if kind == "real":
            shutil.copyfile(path, folder / name)
        else:
            cv2.imwrite(str(folder / name), MADE[kind](cv2.imread(str(path)), chance))
        truth[name] = kind
    return truth


def measured(
    folder: Path, truth: Mapping[str, str], python: str | None
) -> dict[str, tuple[float, ...]]:
    """For each issue average precision of icas and cleanvision, recall and precision of icas."""
    report = icas.quality(folder)
    other = cleanvision(folder, python) if python else {}
    found = {}
    for issue, (defects, column) in ISSUES.items():
        wanted = np.array([truth[file] in defects for file in report.files])
        scores = report.scores[issue]
        theirs = np.nan
        if other:
            values = np.array([-float(other[file][column]) for file in report.files])
            theirs = average_precision(wanted, values)
        flagged = scores >= 0.5
        hits = float((flagged & wanted).sum())
        precision = hits / max(1, int(flagged.sum()))
        recall = hits / int(wanted.sum())
        found[issue] = (average_precision(wanted, scores), theirs, recall, precision)
    return found


def cleanvision(folder: Path, python: str) -> dict[str, dict[str, str]]:
    """The scores of cleanvision by file."""
    with tempfile.TemporaryDirectory() as top:
        table = Path(top, "scores.csv")
        command = [python, "-c", CLEANVISION, str(folder), str(table)]
        subprocess.run(command, check=True, capture_output=True)
        with table.open(encoding="utf-8", newline="") as stream:
            return {Path(row[""]).name: row for row in csv.DictReader(stream)}


def average_precision(wanted: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wanted, scores))


if __name__ == "__main__":
    sys.exit(main())
