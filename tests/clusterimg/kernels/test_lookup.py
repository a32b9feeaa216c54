"""Distances by tables of half bytes, and by counting the bits of words, are those of NumPy.

Which of them a machine uses depends on its processor; numba reads the name of one when it is
loaded, so each is checked in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")

CHECK = """
import sys
import numpy as np
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import links_in
from icas.clusterimg.kernels import hamming, lookup
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.kernels.orb import matching
from icas.clusterimg.methods.orb import Orb

assert lookup.TABLES == (sys.argv[1] == "tables"), lookup.TABLES
rng = np.random.default_rng(0)


def codes(count, words):
    result = rng.integers(0, 1 << 64, (count, words), dtype=np.uint64)
    near = rng.integers(0, count, count // 3)
    flips = np.uint64(1) << rng.integers(0, 64, len(near), dtype=np.uint64)
    result[rng.integers(0, count, len(near))] = result[near] ^ flips[:, None]
    result[count // 2] = ~result[0]
    return result


def apart(a, b):
    return np.bitwise_count(a[:, None] ^ b[None]).sum(axis=2, dtype=np.int64)


for count, others, side in ((1, 1, 64), (70, 131, 64), (301, 257, 128), (1500, 1030, 1024)):
    a, b = codes(count, 1), codes(others, 1)
    for same in (False, True):
        right = a if same else b
        far = apart(a, right)
        for radius in (0, 3, 10, 25, 40, 64):
            near = np.triu(far <= radius, 1) if same else far <= radius
            starts = np.arange(0, len(right), side)
            wanted = np.add.reduceat(near.astype(np.int64), starts, axis=1)
            counts = np.zeros(wanted.shape, np.uint16)
            hamming.count_short(
                a[:, 0].copy(), right[:, 0].copy(), side, np.uint64(radius), same, counts
            )
            assert (counts == wanted).all(), (count, others, same, radius)

sizes = (1, 1, 5), (4, 33, 40), (200, 200, 200), (7, 200, 200), (300, 270, 300), (1027, 70, 1027)
for count, others, most in sizes:
    a, b = codes(most, 4), codes(most, 4)
    b[: most // 2] = a[most - most // 2 :] ^ np.uint64(5 << 40)
    b[0] = ~a[0]
    bench = matching.bench_for(most, most)
    left = matching.in_rows(a[None], np.array([count], np.int32))[0]
    right = matching.room_for(most)
    matching.lay_out(b, others, right)
    far = np.minimum(apart(a[:count], b[:others]), 255)
    for bits in (30, 95, 128):
        for seen in {0, others // 64 * 64}:
            if seen:
                matching.match(left, count, right, 0, seen, bits, bench)
            found = matching.match(left, count, right, seen, others, bits, bench)
            pairs = zip(bench.first[:found], bench.second[:found], bench.bits[:found])
            forth, back = far.argmin(axis=1), far.argmin(axis=0)
            wanted = {
                (i, j, far[i, j]) for i, j in enumerate(forth) if back[j] == i and far[i, j] <= bits
            }
            assert set(pairs) == wanted, (count, others, most, bits, seen)

compiled_kernels("orb.pairs", np.inf)
for keypoints in (60, 70, 200):
    arrays = {
        "descriptors": codes(12 * keypoints, 4).view(np.uint8).reshape(12, keypoints, 32),
        "counts": np.full(12, keypoints, np.int32),
        "places": rng.random((12, keypoints, 2)).astype(np.float32),
        "angles": rng.integers(0, 40, (12, keypoints)).astype(np.uint8),
        "levels": np.zeros((12, keypoints), np.int8),
        "digest": np.arange(12, dtype=np.uint64),
    }
    for image in range(1, 12):  # more and more of the features of the first
        same = slice(keypoints * (11 - image) // 11, None)
        for name in ("descriptors", "places", "angles"):
            arrays[name][image, same] = arrays[name][0, same]
    features, orb = FeatureSet("orb", arrays), Orb(keypoints=keypoints)
    wanted = orb._plain_values(features, features, np.float32(-np.inf))
    assert (orb.similarity(features, features) == wanted).all()
    assert (orb.similarity(features[:3], features) == wanted[:3]).all()
    for threshold in (0.02, 0.15, 0.3, 0.8):
        links = links_in(wanted, threshold, triangle=True).structured().tolist()
        assert len(links) > 1
        assert orb.links(features, features, threshold).structured().tolist() == links
print("same")
"""


def is_avx2() -> bool:
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("avx2"))


@pytest.mark.parametrize(("processor", "kind"), [("haswell", "tables"), ("x86-64", "words")])
def test_distances_are_those_of_numpy(processor: str, kind: str) -> None:
    if not is_avx2():
        pytest.skip("this processor has no AVX2")
    environment = {**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, kind], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "same\n", done.stderr
