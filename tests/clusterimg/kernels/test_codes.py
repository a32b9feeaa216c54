"""Links and similarities of packed codes: compiled loops, NumPy and brute force agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links
from icas.clusterimg.kernels import numba_support as loading
from icas.clusterimg.methods import hamming, jaccard, minhash as signatures
from icas.clusterimg.methods.imagehash import ImageHash

LOOPS = {
    hamming: "hamming",
    signatures: "minhash",
    jaccard: "jaccard",
}
LIMITS = [-np.inf, -1.0, 0.0, 0.1, 0.3, 0.5, 0.75, 0.85, 1.0, 1.25, np.inf, np.nan]
EITHER = pytest.mark.parametrize("kind", ["numba", "numpy"])

numbers = st.integers(0, 2**32 - 1)
sides = st.integers(0, 300)


@contextmanager
def computed_by(kind: str) -> Iterator[None]:
    """Whatever the amount of work, it is done by compiled loops, or by NumPy."""
    if kind == "numba":
        pytest.importorskip("numba", reason="not installed: pip install 'icas[fast]'")
    with pytest.MonkeyPatch.context() as patch:
        for module, name in LOOPS.items():
            loops = loading.compiled_kernels(name, 1e9) if kind == "numba" else None
            patch.setattr(module, "compiled_kernels", lambda *_, loops=loops: loops)
        yield


def check(found: Links, values: NDArray[np.float32], threshold: float, same: bool) -> None:
    """`found` are just the links in the matrix `values`, in order."""
    linked = values >= np.float32(threshold)
    rows, columns = np.nonzero(np.triu(linked, 1) if same else linked)
    np.testing.assert_array_equal(found.a, rows)
    np.testing.assert_array_equal(found.b, columns)
    np.testing.assert_array_equal(found.similarity, values[rows, columns])
    assert (found.a.dtype, found.b.dtype) == (np.int64, np.int64)
    assert (found.similarity.dtype, values.dtype) == (np.float32, np.float32)


def thresholds(values: NDArray[np.float32], draw: st.DrawFn) -> float:
    """A threshold of any kind, or a value that a pair has, to the last bit."""
    if values.size and draw(st.booleans()):
        return float(values.ravel()[draw(st.integers(0, values.size - 1))])
    return draw(st.sampled_from(LIMITS))


def codes_like(rng: np.random.Generator, base: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Codes near one of a few: some flip hardly a bit, some half of them."""
    noise = rng.integers(0, 256, (5, count, base.shape[1]), dtype=np.uint8)
    kept = rng.integers(1, 6, count)
    flipped = noise[0].copy()
    for number in range(1, 5):
        flipped[kept > number] &= noise[number][kept > number]
    return base[rng.integers(0, len(base), count)] ^ flipped


@EITHER
@given(
    seed=numbers,
    rows=sides,
    columns=sides,
    width=st.one_of(st.sampled_from([1, 8, 9, 16, 32, 33, 512]), st.integers(1, 600)),
    same=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_hamming_is_that_of_brute_force(
    kind: str, seed: int, rows: int, columns: int, width: int, same: bool, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (3, width), dtype=np.uint8)
    a = codes_like(rng, base, rows)
    b = a if same else codes_like(rng, base, columns)
    bits = np.unpackbits(a, axis=1).astype(np.float32), np.unpackbits(b, axis=1).astype(np.float32)
    shared = bits[0] @ bits[1].T
    distances = (bits[0].sum(1)[:, None] + bits[1].sum(1) - 2 * shared).astype(np.int64)
    shares = hamming.shares_by_distance(8 * width, width)
    values = (1 - distances / (8 * width)).astype(np.float32)
    threshold = thresholds(values, data.draw)
    with computed_by(kind):
        np.testing.assert_array_equal(hamming.shares_of(a, b, shares), values)
        check(hamming.links_of(a, b, shares, threshold, same=same), values, threshold, same)
    np.testing.assert_array_equal(hamming.hamming(a, b), distances)


@EITHER
@pytest.mark.parametrize("threshold", [0.0, 0.6, 1 - 20 / 64, 1 - 10 / 64, 1.0])
@pytest.mark.parametrize("same", [True, False])
def test_hamming_over_many_blocks(kind: str, threshold: float, same: bool) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 256, (1030, 8), dtype=np.uint8)
    a[1029], a[500] = a[3], a[499]
    b = a if same else rng.integers(0, 256, (3100, 8), dtype=np.uint8)
    shares = hamming.shares_by_distance(64, 8)
    values = shares[np.bitwise_count(a.view(np.uint64) ^ b.view(np.uint64).T)]
    with computed_by(kind):
        check(hamming.links_of(a, b, shares, threshold, same=same), values, threshold, same)


@given(bits=st.integers(1, 700), threshold=st.floats(-1, 2, width=32))
@settings(max_examples=100, deadline=None)
def test_the_radius_is_the_greatest_distance_that_links(bits: int, threshold: float) -> None:
    width = -(-bits // 8)
    shares = hamming.shares_by_distance(bits, width)
    radius = hamming.radius_of(shares, threshold)
    similar = [distance for distance, share in enumerate(shares) if share >= np.float32(threshold)]
    assert radius == max(similar, default=-1)
    assert similar == list(range(radius + 1))


def test_radius_of_shares_that_are_exact_and_that_are_not() -> None:
    shares = hamming.shares_by_distance(64, 8)
    for distance in range(65):
        assert hamming.radius_of(shares, 1 - distance / 64) == distance
        above = float(np.nextafter(np.float32(1 - distance / 64), np.float32(2)))
        assert hamming.radius_of(shares, above) == distance - 1
    thirds = hamming.shares_by_distance(81, 11)
    assert hamming.radius_of(thirds, 2 / 3) == 27
    assert hamming.radius_of(thirds, -np.inf) == 88


@EITHER
@given(
    seed=numbers,
    rows=sides,
    columns=sides,
    components=st.one_of(st.sampled_from([1, 64, 65, 128, 129, 512]), st.integers(1, 300)),
    same=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_signatures_are_compared_as_by_brute_force(
    kind: str, seed: int, rows: int, columns: int, components: int, same: bool, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**32, (2, components), dtype=np.uint32)

    def signatures_like(count: int) -> NDArray[np.uint32]:
        found = base[rng.integers(0, 2, count)]
        changed = rng.random(found.shape) < rng.random((count, 1))
        # Few values: low bits of different components agree often.
        others = rng.integers(0, 1 << int(rng.integers(1, 33)), found.shape, dtype=np.uint32)
        return np.where(changed, others, found)

    a = signatures_like(rows)
    b = a if same else signatures_like(columns)
    equal = np.array([(b == row).sum(axis=1) for row in a]).reshape(len(a), len(b))
    values = (equal / components).astype(np.float32)
    threshold = thresholds(values, data.draw)
    with computed_by(kind):
        np.testing.assert_array_equal(signatures.shares_of(a, b), values)
        check(signatures.links_of(a, b, threshold, same=same), values, threshold, same)


@EITHER
@given(
    seed=numbers,
    rows=st.integers(0, 150),
    columns=st.integers(0, 150),
    places=st.integers(1, 400),
    same=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_sets_are_compared_as_by_brute_force(
    kind: str, seed: int, rows: int, columns: int, places: int, same: bool, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)

    def some_sets(count: int) -> list[NDArray[np.uint64]]:
        sizes = rng.integers(0, places + 1, count)
        alone = (1 << 63) + rng.integers(0, 3, count).astype(np.uint64)
        return [
            rng.permutation(places)[:size].astype(np.uint64) if size else own[None]
            for size, own in zip(sizes, alone, strict=True)
        ]

    sets = some_sets(rows)
    others = sets if same else some_sets(columns)
    values = np.empty((len(sets), len(others)), np.float32)
    for i, j in np.ndindex(*values.shape):
        shared = len(np.intersect1d(sets[i], others[j]))
        values[i, j] = shared / (len(sets[i]) + len(others[j]) - shared)
    a = jaccard.bitmaps_of(sets, places)
    b = a if same else jaccard.bitmaps_of(others, places)
    threshold = thresholds(values, data.draw)
    with computed_by(kind):
        np.testing.assert_array_equal(jaccard.similarities_of(a, b), values)
        check(jaccard.links_of(a, b, threshold, same=same), values, threshold, same)


@given(seed=numbers, sizes=st.lists(st.integers(1, 300), max_size=5), count=st.integers(1, 100))
@settings(max_examples=30, deadline=None)
def test_signatures_are_made_as_by_numpy(seed: int, sizes: list[int], count: int) -> None:
    rng = np.random.default_rng(seed)
    sets = [rng.integers(0, 2**63, size, dtype=np.uint64) for size in sizes]
    keys = signatures.permutation_keys(count, seed)
    expected = [signatures.signature(elements, keys) for elements in sets]
    for kind in ("numba", "numpy"):
        with computed_by(kind):
            found = signatures.signatures_of(sets, keys)
        np.testing.assert_array_equal(found, np.array(expected).reshape(len(sets), count))


@EITHER
def test_features_in_a_file_will_do(kind: str, tmp_path: Path) -> None:
    """Read-only arrays of a class of their own, and parts of them that are not contiguous."""

    def mapped(name: str, array: NDArray[Any]) -> NDArray[Any]:
        np.save(tmp_path / f"{name}.npy", array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    codes = mapped("codes", np.random.default_rng(0).integers(0, 256, (9, 512), dtype=np.uint8))
    held = mapped("held", codes.view(np.uint32))
    bitmaps = mapped("bitmaps", codes.view(np.uint64))
    sizes = mapped("sizes", np.bitwise_count(bitmaps).sum(axis=1, dtype=np.int64))
    sets = jaccard.Bitmaps(bitmaps, sizes, mapped("digests", np.zeros(9, np.uint64)))
    shares = hamming.shares_by_distance(4096, 512)
    with computed_by(kind):
        assert len(hamming.links_of(codes, codes, shares, 0.0, same=True)) == 36
        assert len(hamming.links_of(codes[:, :8], codes[:, 8:16], shares, 0.0, same=False)) == 81
        assert hamming.shares_of(codes, codes, shares).trace() == 9
        assert len(signatures.links_of(held, held, 0.0, same=True)) == 36
        assert len(signatures.links_of(held[:, ::2], held[:, ::2], 0.5, same=False)) == 9
        assert signatures.shares_of(held, held).trace() == 9
        assert len(jaccard.links_of(sets, sets, 0.0, same=True)) == 36
        assert jaccard.similarities_of(sets, sets).trace() == 9


def test_more_links_than_a_word_counts() -> None:
    """Every pair of a block of columns: as many as its count may be."""
    codes = np.zeros((3, 8), np.uint8)
    many = np.zeros((5000, 8), np.uint8)
    shares = hamming.shares_by_distance(64, 8)
    for kind in ("numba", "numpy"):
        with computed_by(kind):
            found = hamming.links_of(codes, many, shares, 1.0, same=False)
        np.testing.assert_array_equal(found.a, np.repeat(np.arange(3), 5000))
        np.testing.assert_array_equal(found.b, np.tile(np.arange(5000), 3))


@pytest.mark.parametrize("how", ["switched off", "not installed"])
def test_without_compiled_loops_the_links_are_the_same(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = np.random.default_rng(1).integers(0, 4, (400, 8), dtype=np.uint8)
    features = FeatureSet.from_bits(codes)
    with computed_by("numba"):
        expected = ImageHash().links(features, features, 0.9)
    monkeypatch.setattr(loading, "_READY", {})
    monkeypatch.setattr(loading, "WORTH", 0.0)
    if how == "switched off":
        monkeypatch.setenv(loading.SWITCH, "numpy")
    else:
        monkeypatch.setattr(loading, "_numba_is_there", lambda: False)
    assert loading.compiled_kernels("hamming", 10) is None
    found = ImageHash().links(features, features, 0.9)
    assert len(found) > 0
    np.testing.assert_array_equal(found.structured(), expected.structured())
