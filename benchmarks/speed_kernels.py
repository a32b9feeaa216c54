"""Kernels beside the libraries that users would call pair by pair, or by the block."""

from __future__ import annotations

import importlib.util
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from typing import TypeVar

import cv2
import imagehash
import numpy as np
from speed_limits import popcount_peak
from speed_pictures import as_jpegs
from speed_timing import Comparison, Work, compared

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.linking.tiles import all_links
from icas.clusterimg.methods import make_method
from icas.clusterimg.methods.base import Method
from icas.io.reading import Image, read_image, resize
from icas.parallel.child_processes import one_thread_each

T = TypeVar("T")
LOOPS = (
    "hamming",
    "minhash",
    "jaccard",
    "orb.pairs",
    "ssim.pairs_numba",
    "ssim.links_numba",
    "tm_numba",
)
RADIUS = 10
THRESHOLD = 0.8


def kernels(pictures: Sequence[Image], rounds: int) -> Iterator[Comparison]:
    """Every kernel beside what it replaces; compiled loops are loaded before the first is timed."""
    for name in LOOPS:
        compiled_kernels(name, np.inf)
    yield from hamming(rounds)
    yield from minhash(pictures, rounds)
    yield from orb(pictures, rounds)
    for size in ((64, 64), (200, 150)):
        yield from ssim(pictures, size, rounds)
    for size in ((10, 10), (64, 64), (200, 150)):
        yield from matching(pictures, size, rounds)


def hamming(rounds: int) -> Iterator[Comparison]:
    """Random codes of 64 and 4096 bits, pairs within a radius."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (100_000, 8), dtype=np.uint8)
    threshold = 1 - RADIUS / 64
    ours = links_of(make_method("imagehash"), FeatureSet.from_bits(codes), threshold)
    rivals = {"NumPy, tiles of bitwise_count": numpy_tiles(codes[:20_000])}
    if importlib.util.find_spec("faiss") is not None:
        rivals["faiss IndexBinaryFlat"] = faiss_flat(codes[:20_000])
    yield from compared(f"Hamming, 64 bits, radius {RADIUS}", "pairs/s", ours, rivals, rounds)
    long = rng.integers(0, 256, (6000, 512), dtype=np.uint8)
    ours = links_of(make_method("imagehash", hash_size=64), FeatureSet.from_bits(long), 0.85)
    hashes = [imagehash.ImageHash(np.unpackbits(row).reshape(64, 64) > 0) for row in long[:200]]
    rivals = {"ImageHash, `-`": by_pairs(hashes, lambda a, b: a - b)}
    yield from compared("Hamming, 4096 bits, links at 0.85", "pairs/s", ours, rivals, rounds)


def minhash(pictures: Sequence[Image], rounds: int) -> Iterator[Comparison]:
    """Signatures of two lengths, and the sets themselves."""
    if importlib.util.find_spec("datasketch") is None:
        return
    from datasketch import MinHash

    for permutations in (128, 512):
        method = make_method("minhash", exact=False, permutations=permutations)
        features = method.extract(pictures)
        sketches = [MinHash(permutations) for _ in range(200)]
        for sketch, row in zip(sketches, features.array, strict=False):
            sketch.hashvalues = row.astype(np.uint64)
        rivals = {"datasketch, jaccard": by_pairs(sketches, lambda a, b: a.jaccard(b))}
        task = f"MinHash, {permutations} permutations"
        yield from compared(f"{task}, all", "pairs/s", all_of(method, features), rivals, rounds)
        ours = links_of(method, repeated(features, 16), 0.5)
        yield from compared(f"{task}, links at 0.5", "pairs/s", ours, rivals, rounds)
    exact = make_method("minhash", exact=True)
    ours = links_of(exact, repeated(exact.extract(pictures), 16), 0.5)
    yield from compared("Jaccard of the sets, links at 0.5", "pairs/s", ours, rivals, rounds)


def orb(pictures: Sequence[Image], rounds: int) -> Iterator[Comparison]:
    """Mutual matches that agree, beside OpenCV's mutual matches alone."""
    for keypoints in (500, 200):
        method = make_method("orb", keypoints=keypoints)
        features = method.extract(pictures[:400])
        described = [
            array[:count]
            for array, count in zip(features.array, features.arrays["counts"], strict=True)
        ]
        matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
        match = by_pairs(described[:30], matcher.match)
        task, rivals = f"ORB, {keypoints} features", {"cv2.BFMatcher, crossCheck": match}
        yield from compared(f"{task}, all", "pairs/s", all_of(method, features), rivals, rounds)
        ours = links_of(method, features, 0.15)
        yield from compared(f"{task}, links at 0.15", "pairs/s", ours, rivals, rounds)


def ssim(pictures: Sequence[Image], size: tuple[int, int], rounds: int) -> Iterator[Comparison]:
    """Structural similarity of gray images."""
    from skimage.metrics import structural_similarity

    method = make_method("ssim", size=size)
    features = method.extract(pictures)
    gray = features.array
    one = by_pairs(gray[:25], lambda a, b: structural_similarity(a, b, data_range=255))
    task, rivals = f"SSIM, {size[0]}x{size[1]}", {"scikit-image": one}
    some = features[: 600 if size == (64, 64) else 200]
    yield from compared(f"{task}, all", "pairs/s", all_of(method, some), rivals, rounds)
    for threshold in (THRESHOLD, method.default_threshold):
        ours = links_of(method, features, threshold)
        yield from compared(f"{task}, links at {threshold:g}", "pairs/s", ours, rivals, rounds)


def matching(pictures: Sequence[Image], size: tuple[int, int], rounds: int) -> Iterator[Comparison]:
    """Normalised colour difference."""
    method = make_method("tm", size=size)
    features = method.extract(pictures)
    small = [resize(picture, size) for picture in pictures[:40]]
    one = by_pairs(small[:40], lambda a, b: cv2.matchTemplate(a, b, cv2.TM_SQDIFF_NORMED))
    task, rivals = f"TM, {size[0]}x{size[1]} colour", {"cv2.matchTemplate": one}
    yield from compared(f"{task}, all", "pairs/s", all_of(method, features), rivals, rounds)
    ours = links_of(method, features, method.default_threshold)
    yield from compared(f"{task}, links at 0.97", "pairs/s", ours, rivals, rounds)


def by_pairs(things: Sequence[T], compare: Callable[[T, T], object], most: int = 2000) -> Work:
    """One pair of `things` after the other, `most` of them."""
    pairs = list(islice(combinations(things, 2), most))

    def work() -> int:
        for a, b in pairs:
            compare(a, b)
        return len(pairs)

    return work


def links_of(method: Method, features: FeatureSet, threshold: float) -> Work:
    """All links among images."""

    def work() -> int:
        # A copy: what is kept for images that were compared before would not be measured.
        arrays = {name: array.copy() for name, array in features.arrays.items()}
        all_links(method, replace(features, arrays=arrays), threshold)
        return len(features) * (len(features) - 1) // 2

    return work


def all_of(method: Method, features: FeatureSet) -> Work:
    """All similarities of one half of images with the other, by the tile."""
    half = len(features) // 2
    ours, theirs = features[:half], features[half : 2 * half]

    def work() -> int:
        for top in range(0, half, method.tile):
            for left in range(0, half, method.tile):
                method.similarity(ours[top : top + method.tile], theirs[left : left + method.tile])
        return half * half

    return work


def repeated(features: FeatureSet, times: int) -> FeatureSet:
    """The images again and again, so that a fast kernel has something to do."""
    return features[np.tile(np.arange(len(features)), times)]


def numpy_tiles(codes: np.ndarray) -> Work:
    """Hamming distances by NumPy's bitwise_count, a block that fits the cache at a time."""
    words = codes.view(np.uint64)[:, 0]

    def work() -> int:
        found = 0
        for start in range(0, len(words), 8):
            apart = np.bitwise_count(words[start : start + 8, None] ^ words)
            found += len(np.flatnonzero(apart <= RADIUS))
        return len(words) ** 2

    return work


def faiss_flat(codes: np.ndarray) -> Work:
    """The same by faiss, on one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)

    def work() -> int:
        index.range_search(codes[:2000], RADIUS + 1)
        return 2000 * len(codes)

    return work


def second_thread(pictures: Sequence[Image], rounds: int) -> Iterator[tuple[str, float]]:
    """How many times as fast two threads are as one, by the clock.

    The first line is the machine's own: two vCPUs may be two halves of one core.
    """
    for name in LOOPS:
        compiled_kernels(name, np.inf)
    peak = popcount_peak()
    if peak is not None:
        yield "the machine: words counted in the first cache", threads_ratio(peak, rounds)
    yield from _reading(pictures, rounds)
    codes = np.random.default_rng(0).integers(0, 256, (200_000, 8), dtype=np.uint8)
    cases: list[tuple[str, Method, FeatureSet, float]] = [
        ("Hamming, 64 bits", make_method("imagehash"), FeatureSet.from_bits(codes), 0.85)
    ]
    for name, times in (("minhash", 10), ("orb", 1), ("ssim", 1), ("tm", 20)):
        method = make_method(name)
        features = repeated(method.extract(pictures[: 400 if name == "orb" else 1000]), times)
        cases.append((f"{name}, links", method, features, float(method.default_threshold)))
    for title, method, features, threshold in cases:
        half = len(features) // 2  # two halves that are not the same
        sides = (features[:half], features[half : 2 * half])

        def one(
            method: Method = method,
            sides: tuple[FeatureSet, FeatureSet] = sides,
            threshold: float = threshold,
        ) -> None:
            for _ in range(5):  # a thread takes some time to start
                method.links(*sides, threshold)

        with one_thread_each():
            yield title, threads_ratio(one, rounds)


def _reading(pictures: Sequence[Image], rounds: int) -> Iterator[tuple[str, float]]:
    """Files read, and files read and hashed."""
    with tempfile.TemporaryDirectory() as place:
        files = sorted(as_jpegs(list(pictures[:500]), Path(place) / "pictures").iterdir())
        hashes = make_method("imagehash")
        yield "reading JPEGs", threads_ratio(lambda: [read_image(file) for file in files], rounds)
        yield (
            "reading and hashing JPEGs",
            threads_ratio(lambda: hashes.extract(map(read_image, files)), rounds),
        )


def threads_ratio(work: Callable[[], object], rounds: int) -> float:
    """Time of doing it twice in a row over that of doing it in two threads at once.

    The least time of each way counts, since other work on the machine adds to both.
    """
    work()
    row, both = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        work()
        row.append(time.perf_counter() - start)
        threads = [threading.Thread(target=work) for _ in range(2)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        both.append(time.perf_counter() - start)
    return min(row) / min(both)
