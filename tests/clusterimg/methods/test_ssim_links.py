"""SSIM by tiles: NumPy and compiled loops give the same values and links; the bound holds."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import Links, links_in
from icas.clusterimg.kernels.numba_support import SWITCH
from icas.clusterimg.kernels.ssim import block_bounds as ssim_blocks, windows as ssim_windows
from icas.clusterimg.kernels.ssim.windows import least_total, maps_of, similarity_of, window_count
from icas.clusterimg.methods import ssim
from icas.clusterimg.methods.ssim import Ssim
from icas.io.reading import read_image

THRESHOLDS = [-np.inf, -0.2, 0.0, 0.3, 0.62, 0.8, 1.0, 1.1, np.inf]
SETS = ["ants-bees", "copies", "coil100", "deeppcb-pairs", "mnist", "neu-textures"]


def loops(name: str) -> ModuleType:
    """A module of compiled loops."""
    pytest.importorskip("numba", reason="numba is not installed: pip install 'icas[fast]'")
    module = __import__(f"icas.clusterimg.kernels.{name}", fromlist=["warm_up"])
    assert isinstance(module, ModuleType)
    return module


@pytest.fixture(params=["numpy", "numba"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every comparison by NumPy, or every one by compiled loops."""

    def chosen(name: str, _seconds: float) -> ModuleType | None:
        return loops(name) if request.param == "numba" else None

    monkeypatch.setattr(ssim, "compiled_kernels", chosen)
    return str(request.param)


def features(gray: NDArray[np.uint8]) -> FeatureSet:
    return FeatureSet("ssim", {"gray": gray})


def assert_links(found: Links, expected: Links) -> None:
    np.testing.assert_array_equal(found.a, expected.a)
    np.testing.assert_array_equal(found.b, expected.b)
    np.testing.assert_array_equal(found.similarity, expected.similarity)
    assert found.similarity.dtype == np.float32


def pictures(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Flat, black, white, noisy, smooth, inverted, and almost the same images."""
    rng = np.random.default_rng(seed)
    gray = rng.integers(0, 256, (12, height, width), dtype=np.uint8)
    gray[0], gray[1], gray[2] = 0, 255, rng.integers(256)
    gray[3] = 255 - gray[4]
    waves = np.add.outer(np.arange(height), np.arange(width)) * rng.uniform(0.05, 0.6)
    gray[5] = 120 + 100 * np.sin(waves)
    gray[6] = 255 - gray[5]
    gray[7] = np.clip(gray[5] + rng.normal(0, 3, (height, width)), 0, 255)
    gray[8] = gray[5]
    gray[8, 0, 0] ^= 1
    gray[9, : height // 2] = 0
    gray[10] = gray[9] // 2
    return gray


shapes = st.tuples(st.integers(7, 45), st.integers(7, 45))


@given(seed=st.integers(0, 2**32 - 1), shape=shapes)
@settings(max_examples=60, deadline=None)
def test_compiled_loops_give_the_totals_of_numpy(seed: int, shape: tuple[int, int]) -> None:
    module = loops("ssim.pairs_numba")
    gray = pictures(seed, *shape)
    ours, theirs = maps_of(gray[:7]), maps_of(gray)
    found = module.totals(module.maps_of(gray[:7]), module.maps_of(gray), shape)
    np.testing.assert_array_equal(found, ssim_windows.totals(ours, theirs, shape))


@given(seed=st.integers(0, 2**32 - 1), shape=shapes)
@settings(max_examples=40, deadline=None)
def test_no_total_is_above_its_bound(seed: int, shape: tuple[int, int]) -> None:
    maps = maps_of(pictures(seed, *shape))
    known = ssim_blocks.features_of(maps, shape)
    bounds = ssim_blocks.bounds(known, known, ssim_blocks.grid_of(shape))
    spare = bounds - ssim_windows.totals(maps, maps, shape)
    assert spare.min() > 0
    # Nor is it far above where two images are the same.
    assert np.diag(spare).max() < 0.01 * window_count(shape) * ssim_windows.WHOLE


@given(seed=st.integers(0, 2**32 - 1), shape=shapes)
@settings(max_examples=30, deadline=None)
def test_compiled_loops_see_the_blocks_that_numpy_sees(seed: int, shape: tuple[int, int]) -> None:
    module = loops("ssim.links_numba")
    gray = np.tile(pictures(seed, *shape), (6, 1, 1))
    expected = ssim_blocks.features_of(maps_of(gray), shape)
    found = module.features_of(loops("ssim.pairs_numba").maps_of(gray), shape)
    found = np.concatenate(list(found), axis=2)[:, :, : len(gray)]
    means = slice(0, ssim_blocks.MEANS)
    np.testing.assert_allclose(found[:, means], expected[:, means], atol=5e-6, rtol=0)
    rest = ssim_blocks.REST
    np.testing.assert_allclose(found[:, rest] ** 2, expected[:, rest] ** 2, atol=5e-5, rtol=0)
    np.testing.assert_allclose(found[:, rest + 1 :], expected[:, rest + 1 :], rtol=1e-6)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=shapes,
    threshold=st.sampled_from(THRESHOLDS),
    exactly=st.booleans(),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("by", ["numpy", "numba"])
def test_links_are_those_of_all_values(
    by: str, seed: int, shape: tuple[int, int], threshold: float, exactly: bool
) -> None:
    gray = pictures(seed, *shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ssim, "compiled_kernels", lambda name, _: loops(name) if by == "numba" else None
        )
        a, b = features(gray), features(gray[::-1][:5])
        values = Ssim().similarity(a, a)
        if exactly:
            threshold = float(values[seed % 12, seed // 12 % 12])
        assert_links(Ssim().links(a, a, threshold), links_in(values, threshold, triangle=True))
        values = Ssim().similarity(a, b)
        assert_links(Ssim().links(a, b, threshold), links_in(values, threshold))


def test_many_images_are_compared_part_by_part(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gray = np.concatenate([pictures(seed, 20, 17) for seed in range(12)])
    a, b = features(gray), features(gray[20:])
    values, others = Ssim().similarity(a, a), Ssim().similarity(a, b)
    monkeypatch.setattr(ssim, "MAPPED", 20 * 17 * 31)
    monkeypatch.setattr(ssim, "FEATURED", 20 * 17 * 67)
    np.testing.assert_array_equal(Ssim().similarity(a, a), values)
    for threshold in (0.1, 0.62, 0.9):
        expected = links_in(values, threshold, triangle=True)
        assert_links(Ssim().links(a, a, threshold), expected)
        assert_links(Ssim().links(a, b, threshold), links_in(others, threshold))


def test_an_image_wider_than_a_strip(engine: str) -> None:
    rng = np.random.default_rng(5)
    gray = rng.integers(0, 256, (3, 9, 5000), dtype=np.uint8)
    gray[1] = gray[0]
    gray[1, :, :900] = 0
    a = features(gray)
    values = Ssim().similarity(a, a)
    maps = maps_of(gray)
    np.testing.assert_array_equal(
        values, similarity_of(ssim_windows.totals(maps, maps, (9, 5000)), (9, 5000))
    )
    assert_links(Ssim().links(a, a, 0.5), links_in(values, 0.5, triangle=True))


@pytest.mark.parametrize("folder", SETS)
@pytest.mark.parametrize("size", [(96, 96), (67, 40)])
def test_links_of_real_pictures(
    engine: str, data: Path, folder: str, size: tuple[int, int]
) -> None:
    files = sorted((data / folder / "images").iterdir())[:40]
    found = Ssim(size=size).extract(read_image(file) for file in files)
    values = Ssim().similarity(found, found)
    for threshold in (-np.inf, 0.0, 0.62, 0.8, 1.0, float(values[3, 5])):
        expected = links_in(values, threshold, triangle=True)
        assert_links(Ssim().links(found, found, threshold), expected)


def test_no_images_have_no_links(engine: str) -> None:
    none, some = features(np.zeros((0, 9, 8), np.uint8)), features(np.zeros((2, 9, 8), np.uint8))
    assert len(Ssim().links(none, none, -1)) == 0
    assert len(Ssim().links(none, some, -1)) == 0
    assert len(Ssim().links(some, none, -1)) == 0
    assert Ssim().similarity(some, none).shape == (2, 0)


def test_numpy_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = pictures(3, 30, 30)
    monkeypatch.setattr(ssim, "COST", 1.0)
    expected = Ssim().similarity(features(gray), features(gray))
    monkeypatch.setenv(SWITCH, "numpy")
    np.testing.assert_array_equal(Ssim().similarity(features(gray), features(gray)), expected)


@given(total=st.integers(-(2**30), 2**30), shape=shapes)
def test_the_least_total_is_the_least(total: int, shape: tuple[int, int]) -> None:
    whole = window_count(shape) * ssim_windows.WHOLE
    total = max(-whole, min(whole, total))
    threshold = float(similarity_of(np.array([total]), shape)[0])
    least = least_total(threshold, shape)
    around = similarity_of(np.array([least - 1, least]), shape)
    assert least <= total
    assert around[0] < np.float32(threshold) == around[1]


def test_blocks_are_prepared_once_unless_their_images_change(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gray = pictures(3, 24, 31)
    sides = (features(gray)[:7], features(gray)[7:])
    expected = Ssim().links(features(gray.copy())[:7], features(gray.copy())[7:], 0.3)
    for _ in range(3):
        assert_links(Ssim().links(*sides, 0.3), expected)
    gray[9] = gray[0]
    changed = Ssim().links(features(gray.copy())[:7], features(gray.copy())[7:], 0.3)
    assert (changed.similarity != expected.similarity).any()
    assert_links(Ssim().links(*sides, 0.3), changed)
    monkeypatch.setattr(ssim, "KEPT", 0)  # no room for any block
    assert_links(Ssim().links(*sides, 0.3), changed)
