"""What reading costs, and what decoding JPEGs at a fraction of their size changes.

``python benchmarks/reading.py FOLDER [FOLDER ...]``: every picture of the folders with a side of
at least 400 pixels is decoded whole and at a half, a quarter and an eighth, and each method makes
features of both. The table says how far they differ, by how many times larger than the method's
own size the reduced picture still was. scikit-image's large samples are always among them.

``python benchmarks/reading.py --speed FOLDER``: pictures a second of CPU time, in turns with
Pillow alone.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from skimage import data

from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.io.conversion.pixels import upright_rgb
from icas.io.find import find_images
from icas.io.reading import Image, read_image

SAMPLES = ("astronaut", "coffee", "rocket", "hubble_deep_field", "retina", "immunohistochemistry")
LEAST_SIDE = 400
QUALITY = 90
STEPS = (2, 4, 8)
METHODS: dict[str, tuple[Method, int]] = {
    "imagehash, 64 bits": (make_method("imagehash"), 32),
    "imagehash, 256 bits": (make_method("imagehash", hash_size=16), 64),
    "ssim, 32x32": (make_method("ssim", size=(32, 32)), 32),
    "ssim, 96x96": (make_method("ssim"), 96),
    "tm, 10x10": (make_method("tm"), 10),
    "tm, 64x64": (make_method("tm", size=(64, 64)), 64),
    "minhash, 96x96": (make_method("minhash"), 96),
    "orb, long side 256": (make_method("orb"), 256),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--most", type=int, default=60, help="pictures of a folder")
    given = parser.parse_args()
    if given.speed:
        return print_speed([path for folder in given.folders for path in find_images(folder)])
    return print_changes(list(jpegs(given.folders, given.most)))


def jpegs(folders: Sequence[Path], most: int) -> Iterator[bytes]:
    """Large pictures as JPEG: files as they are, others saved with quality 90."""
    for name in SAMPLES:
        yield as_jpeg(Pictures.fromarray(getattr(data, name)()))
    for folder in folders:
        for path in find_images(folder, recursive=True)[:most]:
            picture = Pictures.open(path)
            if min(picture.size) >= LEAST_SIDE:
                yield path.read_bytes() if picture.format == "JPEG" else as_jpeg(picture)


def as_jpeg(picture: Pictures.Image) -> bytes:
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def decoded(jpeg: bytes, step: int = 1) -> Image:
    picture = Pictures.open(io.BytesIO(jpeg))
    if step > 1:
        picture.draft(None, (picture.width // step, picture.height // step))
    picture.load()
    return upright_rgb(picture)


def print_changes(pictures: Sequence[bytes]) -> int:
    whole = [decoded(one) for one in pictures]
    reduced = {step: [decoded(one, step) for one in pictures] for step in STEPS}
    print(f"{len(pictures)} pictures, JPEG\n")
    print(
        "| method | times larger | pictures | unchanged | least like | mean | others, most | mean |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, (method, side) in METHODS.items():
        for (low, high), rows in by_ratio(method, side, whole, reduced).items():
            own, others = (np.concatenate(part) for part in zip(*rows, strict=True))
            print(
                f"| {name} | {low} to {high} | {len(rows)} | {(own == 1).mean():.0%}"
                f" | {own.min():.4f} | {own.mean():.4f}"
                f" | {others.max():.4f} | {others.mean():.4f} |",
                flush=True,
            )
    return 0


Row = tuple[NDArray[np.float32], NDArray[np.float32]]


def by_ratio(
    method: Method, side: int, whole: Sequence[Image], reduced: dict[int, list[Image]]
) -> dict[tuple[int, int], list[Row]]:
    """For each range of sizes: similarity to the whole picture, and changes of all others."""
    features = method.extract(whole)
    before = method.similarity(features, features)
    found: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for pictures in reduced.values():
        after = method.similarity(method.extract(pictures), features)
        for row, picture in enumerate(pictures):
            sides = picture.shape[:2]
            ratio = (max(sides) if method.name == "orb" else min(sides)) / side
            if ratio < 1:
                continue
            low = 2 ** int(np.log2(ratio))
            others = np.abs(np.delete(after[row] - before[row], row))
            found[low, 2 * low].append((after[row, row : row + 1], others))
    return dict(sorted(found.items()))


def print_speed(paths: Sequence[Path], rounds: int = 5) -> int:
    ways: dict[str, Callable[[Path], object]] = {
        "Pillow, np.asarray": lambda path: np.asarray(Pictures.open(path).convert("RGB")),
        "icas, whole": read_image,
        "icas, at least 256x256": lambda path: read_image(path, at_least=(256, 256)),
        "icas, at least 80x80": lambda path: read_image(path, at_least=(80, 80)),
    }
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, read in ways.items():
            start = time.process_time()
            for path in paths:
                read(path)
            seconds[name].append(time.process_time() - start)
    print("| way | pictures a CPU second | ratio |\n|---|---|---|")
    plain = median(seconds["Pillow, np.asarray"])
    for name, taken in seconds.items():
        print(f"| {name} | {len(paths) / median(taken):,.0f} | {plain / median(taken):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
