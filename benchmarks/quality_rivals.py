"""How good other programs' similarities are on the same image sets, written into docs/compare.md.

``python benchmarks/quality_rivals.py [--sets copies,multiview]``, after ``make rivals``. Each
program tells the similarities that it finds; single-link clusters are made of them at every
threshold as for the methods of icas (benchmarks/quality.py), so that only the similarities are
compared. In parentheses the F1 at the threshold that each takes by itself: the program's default;
with icas the one that ``--threshold auto`` finds.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from quality import AIMS, TOP, chosen_files, measured, method_called, write
from rivals_links import DEFAULTS, PROGRAMS

from icas.clusterimg.data.links import Links
from icas.clusterimg.evaluation.scores import curve, evaluate
from icas.clusterimg.graph.forest import labels_at, spanning_forest

PAGE = TOP / "docs" / "compare.md"
BEGIN = "<!-- made by benchmarks/quality_rivals.py -->"
RIVALS = TOP / ".venv-rivals" / "bin" / "python"
OURS = ("imagehash", "minhash", "orb", "deep")
SETS = (*AIMS, "coil20", "faces-umist", "gtsrb-tracks")
"""Sets in which something of the pixels tells who belongs together."""
READ_BY_ALL = (".jpg", ".jpeg", ".png", ".bmp")
Found = tuple[float, float]
"""Best F1, and that at the program's own threshold."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS), help="names with commas")
    parser.add_argument("--methods", default=",".join(OURS), help="methods of icas, with commas")
    parser.add_argument("--most", type=int, default=1300, help="images of a set at most")
    parser.add_argument("--python", type=Path, default=RIVALS, help="that of the other programs")
    given = parser.parse_args()
    data = Path(os.environ.get("ICAS_DATA") or TOP.parent / "shared" / "data")
    if not data.is_dir() or not given.python.exists():
        print(
            f"quality_rivals: {data} and {given.python} are needed (make rivals)", file=sys.stderr
        )
        return 2
    sets, methods = given.sets.split(","), given.methods.split(",")
    rows = {}
    for name in sets:
        ours = [_ours(data, name, method, given.most) for method in methods]
        theirs = [_theirs(given.python, program, data / name, given.most) for program in PROGRAMS]
        rows[name] = [*ours, *theirs]
    lines = table([f"icas {method}" for method in methods] + list(PROGRAMS), rows)
    if given.sets == ",".join(SETS) and methods == list(OURS):
        write(lines, PAGE, BEGIN)
    else:
        print("\n".join(lines))
    return 0


def _ours(data: Path, name: str, method: str, most: int) -> Found:
    found = measured(data / name, method_called(method, data), most)
    return found.best_f1, found.auto_f1


def _theirs(python: Path, program: str, folder: Path, most: int) -> Found:
    labels = chosen_files(folder, most)
    files = sorted(labels)
    truth = [labels[file] for file in files]
    forest = spanning_forest(len(files), [_links(python, program, folder / "images", files)])
    best = max(point.f1 or 0.0 for point in curve(forest, truth))
    print(f"{folder.name} {program}: {best:.3f}", file=sys.stderr)
    return best, evaluate(labels_at(forest, DEFAULTS[program]), truth).f1


def _links(python: Path, program: str, images: Path, files: Sequence[str]) -> Links:
    """What a program says of the images that take part, seen in a folder of their own."""
    place = {_seen_as(file): number for number, file in enumerate(files)}
    if len(place) < len(files):
        raise SystemExit(f"two images of {images} have one name: these programs cannot tell them")
    with tempfile.TemporaryDirectory() as folder:
        seen, told = Path(folder) / "images", Path(folder) / "links.csv"
        seen.mkdir()
        for file in files:
            _lay(images / file, seen / _seen_as(file))
        inner = Path(__file__).with_name("rivals_links.py")
        subprocess.run([python, inner, program, seen, told], check=True, capture_output=True)
        with told.open(newline="", encoding="utf-8") as file:
            found = {
                tuple(sorted((place[row["a"]], place[row["b"]]))): float(row["similarity"])
                for row in csv.DictReader(file)
            }
    ends = np.array(list(found), np.int64).reshape(-1, 2).T
    return Links(ends[0], ends[1], np.array(list(found.values()), np.float32))


def _seen_as(file: str) -> str:
    """Name of an image for programs that do not read every format."""
    path = Path(file)
    return path.name if path.suffix.lower() in READ_BY_ALL else f"{path.name}.png"


def _lay(source: Path, target: Path) -> None:
    if source.name == target.name:
        shutil.copyfile(source, target)  # not a link: not all of them follow links
    else:
        with Image.open(source) as picture:
            picture.save(target)


def table(names: Sequence[str], rows: dict[str, list[Found]]) -> list[str]:
    """Markdown: a row a set, a column a program."""
    lines = [f"| set | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for name, found in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{best:.2f} ({own:.2f})' for best, own in found)} |")
    means = np.array(list(rows.values())).mean(axis=0)
    lines.append(
        f"| **mean** | {' | '.join(f'**{best:.2f}** ({own:.2f})' for best, own in means)} |"
    )
    return lines


if __name__ == "__main__":
    sys.exit(main())
