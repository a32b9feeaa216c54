"""How fast the methods are, as a ratio to the library pair by pair, measured in one run.

``python benchmarks/speed.py [--images 120] [--rounds 5]``. Both sides take turns, so that a busy
machine slows both; the medians and their ratio are printed. The pictures are crops of
scikit-image's samples, 200x150 pixels, so no data set is needed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import combinations, islice
from statistics import median

import cv2
import imagehash
import numpy as np
from PIL import Image as Pictures
from skimage import data
from skimage.metrics import structural_similarity

from icas.clusterimg.features import FeatureSet
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Image, Method
from icas.common.images import resize

WIDTH, HEIGHT = 200, 150
SAMPLES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "immunohistochemistry")
Pair = tuple[int, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    pictures = crops(given.images)
    print("| method | library, pairs/s | icas, pairs/s | ratio |\n|---|---|---|---|")
    for name, library in LIBRARIES.items():
        method = make_method(name)
        features = method.extract(pictures)
        compare = library(method, pictures)
        theirs, ours = rates(compare, method, features, given.rounds)
        print(f"| {name} | {theirs:,.0f} | {ours:,.0f} | {ours / theirs:,.0f} |", flush=True)
    return 0


def crops(count: int) -> list[Image]:
    """Crops of real pictures, drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        whole = getattr(data, SAMPLES[number % len(SAMPLES)])()
        top = rng.integers(0, whole.shape[0] - HEIGHT)
        left = rng.integers(0, whole.shape[1] - WIDTH)
        found.append(np.ascontiguousarray(whole[top : top + HEIGHT, left : left + WIDTH]))
    return found


def rates(
    compare: Callable[[Pair], object], method: Method, features: FeatureSet, rounds: int
) -> tuple[float, float]:
    """Pairs a second of the library and of a tile, medians over rounds in turn."""
    pairs = list(islice(combinations(range(len(features)), 2), 200))
    theirs, ours = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        for pair in pairs:
            compare(pair)
        theirs.append(len(pairs) / (time.perf_counter() - start))
        start = time.perf_counter()
        half = len(features) // 2
        method.similarity(features[:half], features[half:])
        ours.append(half * (len(features) - half) / (time.perf_counter() - start))
    return median(theirs), median(ours)


def common_size(method: Method, pictures: Sequence[Image]) -> list[Image]:
    """The pictures at the method's size."""
    return [resize(picture, getattr(method, "size")) for picture in pictures]  # noqa: B009


def by_skimage(method: Method, pictures: Sequence[Image]) -> Callable[[Pair], object]:
    gray = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in common_size(method, pictures)]
    return lambda pair: structural_similarity(gray[pair[0]], gray[pair[1]], data_range=255)


def by_match_template(method: Method, pictures: Sequence[Image]) -> Callable[[Pair], object]:
    small = common_size(method, pictures)
    return lambda pair: cv2.matchTemplate(small[pair[0]], small[pair[1]], cv2.TM_SQDIFF_NORMED)


def by_imagehash(method: Method, pictures: Sequence[Image]) -> Callable[[Pair], object]:
    hashes = [imagehash.phash(Pictures.fromarray(one)) for one in pictures]
    return lambda pair: hashes[pair[0]] - hashes[pair[1]]


def by_bfmatcher(method: Method, pictures: Sequence[Image]) -> Callable[[Pair], object]:
    features = method.extract(pictures)
    described = [
        array[:count]
        for array, count in zip(features.array, features.arrays["counts"], strict=True)
    ]
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    return lambda pair: matcher.match(described[pair[0]], described[pair[1]])


def by_datasketch(method: Method, pictures: Sequence[Image]) -> Callable[[Pair], object]:
    from datasketch import MinHash

    signatures = method.extract(pictures).array
    sketches = [MinHash(len(row)) for row in signatures]
    for sketch, row in zip(sketches, signatures, strict=True):
        sketch.hashvalues = row.astype(np.uint64)
    return lambda pair: sketches[pair[0]].jaccard(sketches[pair[1]])


LIBRARIES: dict[str, Callable[[Method, Sequence[Image]], Callable[[Pair], object]]] = {
    "imagehash": by_imagehash,
    "minhash": by_datasketch,
    "orb": by_bfmatcher,
    "ssim": by_skimage,
    "tm": by_match_template,
}


if __name__ == "__main__":
    sys.exit(main())
