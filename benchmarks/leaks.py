"""Near copies injected across a split: how many `icas.audit` finds, and how many pairs are wrong.

``python benchmarks/leaks.py [SET ...] [--copies 200] [--method auto] [--seed 0]`` divides each set
of ``ICAS_DATA`` in two halves at random, adds copies of images of the first half to the second (see
``variants.py``: cropped, relit, resized, as JPEG), and prints for each set: recall of the copies,
pairs of images of different labels that are listed, per 1,000 pairs of images, and seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from variants import QUALITY, varied

import icas

SETS = ("gtsrb-tracks", "coil100", "copies")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", default=SETS, metavar="SET")
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data = Path(os.environ.get("ICAS_DATA", "../shared/data"))
    print("| set | images | copies | recall | wrong pairs per 1,000 | seconds |")
    print("|---|---|---|---|---|---|")
    for name in given.sets:
        with tempfile.TemporaryDirectory() as folder:
            print(measured(data / name, Path(folder), given.copies, given.method, given.seed))
    return 0


def measured(source: Path, folder: Path, copies: int, method: str, seed: int) -> str:
    """A row of the table."""
    rng = np.random.default_rng(seed)
    files = sorted((source / "images").iterdir())
    files = [files[row] for row in rng.permutation(len(files))]
    train, test = files[: len(files) // 2], files[len(files) // 2 :]
    for split, paths in (("train", train), ("test", test)):
        (folder / split).mkdir()
        for path in paths:
            shutil.copy(path, folder / split)
    injected = {}
    for number, row in enumerate(rng.permutation(len(train))[:copies]):
        with Image.open(train[row]) as opened:
            copy = varied(opened.convert("RGB"), rng)
        name = f"copy-{number:04d}.jpg"
        copy.save(folder / "test" / name, quality=int(rng.integers(*QUALITY)))
        injected[name] = train[row].name
    with (source / "labels.csv").open(encoding="utf-8") as table:
        labels = {row["file"]: row["label"] for row in csv.DictReader(table)}
    start = time.perf_counter()
    report = icas.audit(folder / "train", folder / "test", method=method, cache=False)
    seconds = time.perf_counter() - start
    pairs = {(one.a, one.b) for one in report.leaks}
    recall = sum((original, copy) in pairs for copy, original in injected.items()) / len(injected)
    wrong = sum(labels[a] != labels[injected.get(b, b)] for a, b in pairs)
    total = report.splits["train"] * report.splits["test"]
    images = sum(report.splits.values())
    return (
        f"| {source.name} | {images} | {len(injected)} | {recall:.3f} | {1000 * wrong / total:.3f}"
        f" | {seconds:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
