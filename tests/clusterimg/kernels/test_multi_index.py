"""Multi-index search finds the pairs that a comparison of all pairs finds."""

from __future__ import annotations

import numpy as np
import pytest

import icas
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.graph.forest import spanning_forest
from icas.clusterimg.kernels.multi_index.search import cheapest, parts_of
from icas.clusterimg.methods import make_method

pytest.importorskip("numba", reason="numba is not installed: pip install 'icas[fast]'")
COUNT = 3_000


@pytest.fixture(autouse=True)
def pays(monkeypatch):
    """Multi-index search pays for few codes, too."""
    monkeypatch.setattr("icas.clusterimg.kernels.multi_index.search.LEAST_PAIRS", 0)
    monkeypatch.setattr("icas.clusterimg.kernels.multi_index.search.LOOKUP", 1)
    monkeypatch.setattr("icas.clusterimg.kernels.numba_support.WORTH", 0.0)


def codes_near_each_other(seed: int) -> np.ndarray:
    """(n, 8) uint8: groups of near codes, and 100 copies of one."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (COUNT // 4, 8), dtype=np.uint8)
    bits = np.unpackbits(centres[rng.integers(0, len(centres), COUNT)], axis=1)
    bits ^= rng.random(bits.shape) < 0.06
    codes = np.packbits(bits, axis=1)
    codes[rng.permutation(COUNT)[:300]] = 7
    return codes


def brute_force(codes: np.ndarray, radius: int) -> dict[tuple[int, int], int]:
    """Distance of each pair within the radius."""
    signs = np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1
    found = {}
    for start in range(0, COUNT, 1000):
        distances = ((64 - signs[start : start + 1000] @ signs.T) / 2).astype(int)
        for row, column in zip(*np.nonzero(distances <= radius), strict=True):
            if row + start < column:
                found[int(row + start), int(column)] = int(distances[row, column])
    return found


@pytest.mark.parametrize("radius", [4, 10])
def test_links_are_those_of_all_pairs(radius):
    codes = codes_near_each_other(radius)
    words = codes.view(np.uint64)[:, 0]
    assert cheapest(words, words, 64, radius) is not None
    links = icas.links(FeatureSet.from_bits(codes), threshold=1 - radius / 64, jobs=1)
    expected = brute_force(codes, radius)
    pairs = zip(links["a"].tolist(), links["b"].tolist(), strict=True)
    assert dict(zip(pairs, ((1 - links["similarity"]) * 64).tolist(), strict=True)) == expected


@pytest.mark.parametrize("threshold", [0.85, 0.95])
def test_forest_of_two_parts_is_that_of_all_links(threshold):
    features = FeatureSet.from_bits(codes_near_each_other(1))
    method = make_method("imagehash")
    whole = spanning_forest(COUNT, [method.links(features, features, threshold)])
    few = spanning_forest(COUNT, method.spanning_links(features, features, threshold))
    for name in ("a", "b", "similarity"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(few, name))


def test_parts_miss_no_pair_within_the_radius():
    for radius in range(12):
        for count in range(4, 9):
            parts = parts_of(64, radius, count)
            assert sum(part.radius + 1 for part in parts) == radius + 1
            assert len(set().union(*(range(p.shift, p.shift + p.width) for p in parts))) == sum(
                part.width for part in parts
            )


def test_few_codes_and_wide_radii_compare_all_pairs():
    few = np.arange(20, dtype=np.uint64)
    assert cheapest(few, few, 64, 5) is None
    many = np.random.default_rng(0).integers(0, 2**63, COUNT).astype(np.uint64)
    assert cheapest(many, many, 64, 4) is not None
    assert cheapest(many, many, 64, 30) is None
