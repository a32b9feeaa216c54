"""Template matching by tiles: the same values and links from NumPy and compiled loops."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, links_in
from icas.clusterimg.kernels import tm as tm_products
from icas.clusterimg.methods import tm
from icas.clusterimg.methods.tm import TemplateMatching
from icas.io.reading import read_image
from icas.parallel.child_processes import BLAS_THREADS, one_thread_each

THRESHOLDS = [-np.inf, -0.5, 0.0, 1e-9, 0.3, 0.8, 0.97, 1.0, 1.1, np.inf]
SETS = ["ants-bees", "copies", "coil100", "deeppcb-pairs", "mnist", "sign-digits"]


def loops() -> ModuleType:
    pytest.importorskip("numba", reason="numba is not installed: pip install 'icas[fast]'")
    from icas.clusterimg.kernels import tm_numba as tm_loops

    return tm_loops


def use(engine: str, patch: pytest.MonkeyPatch) -> None:
    """Compare by NumPy alone, or always by compiled loops."""
    found = loops() if engine == "numba" else None
    patch.setattr(tm, "compiled_kernels", lambda *_: found)


@pytest.fixture(params=["numpy", "numba"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    use(request.param, monkeypatch)
    return str(request.param)


def features(pixels: NDArray[np.uint8]) -> FeatureSet:
    return FeatureSet("tm", {"pixels": pixels})


def assert_links(found: Links, expected: Links) -> None:
    np.testing.assert_array_equal(found.a, expected.a)
    np.testing.assert_array_equal(found.b, expected.b)
    np.testing.assert_array_equal(found.similarity, expected.similarity)
    assert found.similarity.dtype == np.float32


def pictures(seed: int, height: int, width: int, brightest: int) -> NDArray[np.uint8]:
    """Black, white, flat, noisy and smooth images, and some that are almost the same."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, brightest + 1, (13, height, width, 3), dtype=np.uint8)
    pixels[0], pixels[1], pixels[2] = 0, 255, rng.integers(256)
    pixels[3] = pixels[4]
    pixels[3, 0, 0, 0] ^= 1
    pixels[5] = pixels[4] // 2
    ramp = np.linspace(0, 255, width)[:, None]
    pixels[6], pixels[7] = ramp, ramp[::-1]
    pixels[8] = np.clip(ramp + rng.normal(0, 12, (height, width, 3)), 0, 255)
    pixels[9], pixels[10] = pixels[8], 0
    pixels[10, -1, -1, -1] = 1
    return pixels


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    brightest=st.sampled_from([1, 3, 40, 255]),
    threshold=st.sampled_from(THRESHOLDS),
    exactly=st.booleans(),
    dense=st.booleans(),
)
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("by", ["numpy", "numba"])
def test_links_are_those_of_all_values(
    by: str,
    seed: int,
    height: int,
    width: int,
    brightest: int,
    threshold: float,
    exactly: bool,
    dense: bool,
) -> None:
    pixels = pictures(seed, height, width, brightest)
    a, b = features(pixels), features(pixels[::-1][:6])
    with pytest.MonkeyPatch.context() as patch:
        use(by, patch)
        patch.setattr(tm, "ROWS", 5)
        for name in ("DENSE", "DENSE_NUMPY"):
            patch.setattr(tm, name, 0.1 if dense else 2.0)
        values = TemplateMatching().similarity(a, a)
        if exactly:
            threshold = float(values[seed % 13, seed // 13 % 13])
        found = TemplateMatching().links(a, a, threshold)
        assert_links(found, links_in(values, threshold, triangle=True))
        found = TemplateMatching().links(a, b, threshold)
        assert_links(found, links_in(TemplateMatching().similarity(a, b), threshold))


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    brightest=st.sampled_from([1, 40, 255]),
)
@settings(max_examples=60, deadline=None)
def test_compiled_loops_give_the_values_of_numpy(
    seed: int, height: int, width: int, brightest: int
) -> None:
    a = features(pictures(seed, height, width, brightest))
    b = features(a.array[:7])
    found = []
    for engine in ("numpy", "numba"):
        with pytest.MonkeyPatch.context() as patch:
            use(engine, patch)
            patch.setattr(tm_products, "ROWS", 4)
            found.append(TemplateMatching().similarity(a, b))
    np.testing.assert_array_equal(found[0], found[1])


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(12, 60), width=st.integers(12, 60))
@settings(max_examples=30, deadline=None)
def test_cells_are_no_farther_apart_than_images(seed: int, height: int, width: int) -> None:
    pixels = pictures(seed, height, width, 255)
    rows = pixels.reshape(len(pixels), -1)
    norms = tm_products.norms_of(rows, None)
    vectors = tm_products._coordinates(pixels, norms, None).astype(np.float64)
    np.testing.assert_allclose(np.square(vectors).sum(axis=1), norms.squares, rtol=1e-6)
    near = np.square(vectors[:, None] - vectors).sum(axis=2)
    apart = np.square(rows[:, None].astype(np.float64) - rows).sum(axis=2)
    assert (near <= apart + 1e-6 * norms.squares.max()).all()


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 60), width=st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_compiled_loops_sum_as_numpy_does(seed: int, height: int, width: int) -> None:
    module = loops()
    pixels = pictures(seed, height, width, 255)
    rows = pixels.reshape(len(pixels), -1)
    for ours, expected in zip(
        tm_products.norms_of(rows, module), tm_products.norms_of(rows, None), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
    down, along = tm_products._edges(height), tm_products._edges(width)
    found = module.cell_sums(pixels.reshape(len(pixels), height, -1), down, along)
    np.testing.assert_array_equal(found, tm_products._cell_sums(pixels, down, along))


@pytest.mark.parametrize("folder", SETS)
@pytest.mark.parametrize("size", [(10, 10), (64, 48)])
def test_links_of_real_pictures(
    engine: str, data: Path, folder: str, size: tuple[int, int]
) -> None:
    files = sorted((data / folder / "images").iterdir())[:60]
    found = TemplateMatching(size=size).extract(read_image(file) for file in files)
    values = TemplateMatching().similarity(found, found)
    for threshold in (0.0, 0.5, 0.9, 0.97, 1.0, float(values[3, 5])):
        expected = links_in(values, threshold, triangle=True)
        assert_links(TemplateMatching().links(found, found, threshold), expected)


def test_no_images_have_no_links(engine: str) -> None:
    none, some = (features(np.zeros((count, 40, 30, 3), np.uint8)) for count in (0, 2))
    for threshold in (-1, 0.97):
        assert len(TemplateMatching().links(none, none, threshold)) == 0
        assert len(TemplateMatching().links(none, some, threshold)) == 0
        assert len(TemplateMatching().links(some, none, threshold)) == 0


@pytest.mark.parametrize("threshold", [None, 0.97])
def test_large_images_are_never_copied_whole(engine: str, threshold: float | None) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (150, 256, 256, 3), dtype=np.uint8)
    pixels[::2] = pixels[0]
    tracemalloc.start()
    try:
        if threshold is None:
            TemplateMatching().similarity(features(pixels), features(pixels))
        else:
            TemplateMatching().links(features(pixels), features(pixels), threshold)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Below a copy of one side, in bytes; in float32 it would be four times that.
    assert peak < pixels.nbytes


def test_one_thread_each_changes_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (40, 40, 40, 3), dtype=np.uint8)
    a = features(pixels)
    expected = TemplateMatching().similarity(a, a)
    monkeypatch.setenv(BLAS_THREADS[0], "3")
    monkeypatch.delenv(BLAS_THREADS[1], raising=False)
    with one_thread_each():
        assert [os.environ[name] for name in BLAS_THREADS[:2]] == ["3", "1"]
        np.testing.assert_array_equal(TemplateMatching().similarity(a, a), expected)
    assert BLAS_THREADS[1] not in os.environ
    assert os.environ[BLAS_THREADS[0]] == "3"
