"""SSIM: equal to scikit-image's, its laws, and how images come to the common size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from skimage import data as samples
from skimage.metrics import structural_similarity

from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.kernels.ssim import windows as ssim_windows
from icas.clusterimg.kernels.ssim.windows import window_sums
from icas.clusterimg.methods import ssim
from icas.clusterimg.methods.ssim import Ssim, gray_at
from icas.common.errors import UsageError

ASTRONAUT = samples.astronaut()
GRAY = np.repeat(samples.camera()[..., None], 3, axis=2)
PICTURES = [ASTRONAUT, samples.coffee(), samples.chelsea(), samples.rocket(), GRAY]
ODD = [
    np.full((1, 1, 3), 7, np.uint8),
    np.full((40, 50, 3), 255, np.uint8),
    np.zeros((9, 9, 3), np.uint8),
    np.ascontiguousarray(ASTRONAUT[:1, :300]),
    np.ascontiguousarray(ASTRONAUT[:300, :1]),
]


def by_skimage(gray: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array(
        [[structural_similarity(x, y, data_range=255) for y in gray] for x in gray], np.float64
    )


@pytest.mark.parametrize("size", [(7, 7), (96, 96), (150, 100), (33, 201)])
def test_equals_scikit_image_on_sample_pictures(size: tuple[int, int]) -> None:
    features = Ssim(size=size).extract([*PICTURES, *ODD])
    found = Ssim(size=size).similarity(features, features)
    np.testing.assert_allclose(found, by_skimage(features.array), atol=1e-6, rtol=0)


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(7, 30),
    height=st.integers(7, 30),
    steps=st.sampled_from([1, 2, 3, 16, 256]),
)
@settings(max_examples=60, deadline=None)
def test_equals_scikit_image_on_any_pixels(seed: int, width: int, height: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    grays = rng.integers(256 - steps, 256, (4, height, width), dtype=np.uint8)
    grays[1] = 255 - grays[0]
    grays[2, : height // 2] = 0
    images = [np.repeat(gray[..., None], 3, axis=2) for gray in grays]
    method = Ssim(size=(width, height))
    features = method.extract(images)
    np.testing.assert_array_equal(features.array, grays)
    found = method.similarity(features, features)
    np.testing.assert_allclose(found, by_skimage(grays), atol=1e-6, rtol=0)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert found.max() <= 1


def test_many_images_at_once_give_what_few_give(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(23)]
    method = Ssim(size=(24, 16))
    whole = method.extract(images)
    parts = concatenate([method.extract(images[:5]), method.extract(images[5:])])
    np.testing.assert_array_equal(whole.array, parts.array)
    expected = method.similarity(whole, whole)
    np.testing.assert_array_equal(method.similarity(whole[3:9], whole[8:]), expected[3:9, 8:])
    monkeypatch.setattr(ssim, "MAPPED", 5 * 24 * 16)
    monkeypatch.setattr(ssim_windows, "BLOCK", 2 * 24 * 16)
    np.testing.assert_array_equal(method.similarity(whole, whole), expected)


def test_window_sums_are_exact() -> None:
    stack = np.full((3, 9, 12), 65025, np.uint16)
    stack[1] = np.random.default_rng(1).integers(0, 65026, (9, 12))
    windows = np.lib.stride_tricks.sliding_window_view(stack.astype(np.int64), (7, 7), (1, 2))
    np.testing.assert_array_equal(window_sums(stack), windows.sum(axis=(3, 4)))


def test_an_image_of_the_common_size_stays_as_it_is() -> None:
    expected = np.ascontiguousarray(GRAY[:96, :96])
    np.testing.assert_array_equal(gray_at(expected, (96, 96)), expected[..., 0])


def test_larger_images_are_smoothed_and_smaller_ones_are_not() -> None:
    board = np.where(np.indices((192, 192)).sum(axis=0) // 4 % 2, 255, 0).astype(np.uint8)
    image = np.repeat(board[..., None], 3, axis=2)
    assert gray_at(image, (96, 96)).std() < 0.5 * board.std()
    small = np.ascontiguousarray(image[:48, :48])
    assert gray_at(small, (48, 48)).std() == small[..., 0].std()


def test_changed_pictures_stay_close_and_others_do_not() -> None:
    brighter = np.clip(ASTRONAUT * 1.2, 0, 255).astype(np.uint8)
    half = np.ascontiguousarray(ASTRONAUT[::2, ::2])
    features = Ssim().extract([ASTRONAUT, brighter, half, *PICTURES[1:]])
    found = Ssim().similarity(features, features)
    assert found[0, 1] > Ssim.default_threshold
    assert found[0, 2] > Ssim.default_threshold
    assert found[:3, 3:].max() < Ssim.default_threshold


def test_no_images_make_an_empty_feature_set() -> None:
    none = Ssim().extract([])
    assert len(none) == 0
    assert Ssim().similarity(none, Ssim().extract([ASTRONAUT])).shape == (0, 1)


def test_a_size_below_the_window_is_refused() -> None:
    with pytest.raises(UsageError, match="size 6: must be at least 7"):
        Ssim(size=(200, 6))


def test_features_of_two_sizes_are_refused() -> None:
    a: FeatureSet = Ssim(size=(20, 30)).extract([ASTRONAUT])
    b = Ssim(size=(30, 20)).extract([ASTRONAUT])
    with pytest.raises(UsageError, match=r"\(30, 20\) cannot be compared .* \(20, 30\)"):
        Ssim().similarity(a, b)
