"""Template matching: equal to OpenCV's matchTemplate, exact, and its laws."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from skimage import data as samples

from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.methods.tm import TemplateMatching
from icas.common.errors import UsageError

ASTRONAUT = samples.astronaut()
GRAY = np.repeat(samples.camera()[..., None], 3, axis=2)
PICTURES = [ASTRONAUT, samples.coffee(), samples.chelsea(), samples.rocket(), GRAY]
BLACK = np.zeros((20, 30, 3), np.uint8)
WHITE = np.full((30, 20, 3), 255, np.uint8)
ODD = [BLACK, WHITE, np.full((1, 1, 3), 7, np.uint8), np.ascontiguousarray(ASTRONAUT[:1, :90])]


def by_opencv(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    def one(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
        if np.array_equal(a, b):
            return 1.0  # OpenCV's answer for two black images is the greatest difference
        return 1.0 - float(cv2.matchTemplate(a, b, cv2.TM_SQDIFF_NORMED).min())

    return np.array([[one(a, b) for b in pixels] for a in pixels])


@pytest.mark.parametrize("size", [(10, 10), (64, 64), (1, 1), (37, 5)])
def test_equals_opencv_on_sample_pictures(size: tuple[int, int]) -> None:
    features = TemplateMatching(size=size).extract([*PICTURES, *ODD])
    found = TemplateMatching(size=size).similarity(features, features)
    np.testing.assert_allclose(found, by_opencv(features.array), atol=1e-5, rtol=0)


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 30),
    height=st.integers(1, 30),
    brightest=st.sampled_from([1, 3, 40, 255]),
)
@settings(max_examples=60, deadline=None)
def test_equals_opencv_on_any_pixels(seed: int, width: int, height: int, brightest: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, brightest + 1, (4, height, width, 3), dtype=np.uint8)
    pixels[1] = pixels[0]
    pixels[1, 0, 0, 0] ^= 1
    pixels[2] = 0
    method = TemplateMatching(size=(width, height))
    features = method.extract(list(pixels))
    np.testing.assert_array_equal(features.array, pixels)
    found = method.similarity(features, features)
    np.testing.assert_allclose(found, by_opencv(pixels), atol=1e-5, rtol=0)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert found.min() >= 0
    assert found.max() <= 1


def test_differences_are_exact_past_one_chunk() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 2, (6, 25, 100, 3), dtype=np.uint8) * np.uint8(255)
    pixels[0], pixels[1], pixels[2] = 0, 255, 255
    pixels[2, 24, 99, 2] = 254
    wide = pixels.reshape(6, -1).astype(np.int64)
    apart = np.square(wide[:, None] - wide[None]).sum(axis=2)
    length = np.sqrt(np.square(wide).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(apart == 0, 0, np.fmin(apart / (length[:, None] * length), 1))
    features = FeatureSet("tm", {"pixels": pixels})
    found = TemplateMatching().similarity(features, features)
    np.testing.assert_array_equal(found, (1 - share).astype(np.float32))


def test_black_is_like_black_alone() -> None:
    features = TemplateMatching().extract([BLACK, WHITE, np.zeros((1, 1, 3), np.uint8)])
    found = TemplateMatching().similarity(features, features)
    np.testing.assert_array_equal(found, [[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def test_the_split_of_the_images_changes_nothing() -> None:
    images = [*PICTURES, *ODD]
    method = TemplateMatching(size=(40, 40))
    whole = method.extract(images)
    parts = concatenate([method.extract(images[:2]), method.extract(images[2:])])
    np.testing.assert_array_equal(whole.array, parts.array)
    expected = method.similarity(whole, whole)
    np.testing.assert_array_equal(method.similarity(whole[1:3], whole[4:]), expected[1:3, 4:])


def test_changed_pictures_stay_close_and_others_do_not() -> None:
    noise = np.random.default_rng(0).normal(0, 20, ASTRONAUT.shape)
    noisy = np.clip(ASTRONAUT + noise, 0, 255).astype(np.uint8)
    half = np.ascontiguousarray(ASTRONAUT[::2, ::2])
    features = TemplateMatching().extract([ASTRONAUT, noisy, half, *PICTURES[1:]])
    found = TemplateMatching().similarity(features, features)
    assert found[0, 1:3].min() > TemplateMatching.default_threshold
    assert found[:3, 3:].max() < TemplateMatching.default_threshold


def test_no_images_make_an_empty_feature_set() -> None:
    none = TemplateMatching().extract([])
    some = TemplateMatching().extract([ASTRONAUT])
    assert TemplateMatching().similarity(none, some).shape == (0, 1)
    assert TemplateMatching().similarity(some, none).shape == (1, 0)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="size 0: must be at least 1"):
        TemplateMatching(size=(0, 5))
    a = TemplateMatching(size=(2, 3)).extract([ASTRONAUT])
    b = TemplateMatching(size=(3, 2)).extract([ASTRONAUT])
    with pytest.raises(UsageError, match="cannot be compared"):
        TemplateMatching().similarity(a, b)
