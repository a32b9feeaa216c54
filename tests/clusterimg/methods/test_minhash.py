"""MinHash: it estimates the true Jaccard similarity of the sets that it says it does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from datasketch import MinHash as Datasketch
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from skimage import data as samples

from icas.clusterimg.api.functions import features as features_of, links, similarity_matrix
from icas.clusterimg.data.featureset import concatenate
from icas.clusterimg.methods.base import digest
from icas.clusterimg.methods.minhash import (
    ALONE,
    FINEST,
    MinHash,
    permutation_keys,
    signature,
    strongest_corners,
)
from icas.common.errors import UsageError

ASTRONAUT = samples.astronaut()
GRAY = np.repeat(samples.camera()[..., None], 3, axis=2)
PICTURES = [ASTRONAUT, samples.coffee(), samples.chelsea(), samples.rocket(), GRAY]
FLAT = np.full((40, 50, 3), 90, np.uint8)
DOT = np.full((1, 1, 3), 90, np.uint8)


def jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    shared = len(np.intersect1d(a, b))
    return shared / (len(a) + len(b) - shared)


def allowed(true: float, permutations: int) -> float:
    """Four standard errors, and the rounding of float32."""
    return 4 * float(np.sqrt(true * (1 - true) / permutations)) + 1e-6


def variants(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    shifted = np.ascontiguousarray(image[6:, 9:])
    darker = (image * 0.9).astype(np.uint8)
    soft = np.asarray(cv2.GaussianBlur(image, (0, 0), 3), np.uint8)
    return [image, shifted, darker, soft, np.ascontiguousarray(image[::2, ::2])]


@pytest.mark.parametrize("permutations", [64, 512, 2000])
def test_estimates_the_true_jaccard_of_the_sets(permutations: int) -> None:
    method = MinHash(permutations=permutations)
    images = [changed for image in PICTURES for changed in variants(image)]
    sets = [method.places(image) for image in images]
    features = method.extract(images)
    found = method.similarity(features, features)
    for i, one in enumerate(sets):
        for j, other in enumerate(sets):
            true = jaccard(one, other)
            assert abs(found[i, j] - true) <= allowed(true, permutations)


@given(
    shared=st.integers(1, 400),
    left=st.integers(0, 400),
    right=st.integers(0, 400),
    start=st.integers(0, 2**40),
    seed=st.integers(0, 10),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_estimates_even_runs_of_neighbouring_numbers(
    shared: int, left: int, right: int, start: int, seed: int
) -> None:
    numbers = np.arange(start, start + left + shared + right, dtype=np.uint64)
    a, b = numbers[: left + shared], numbers[left:]
    keys = permutation_keys(512, seed)
    share = np.mean(signature(a, keys) == signature(b, keys))
    assert abs(share - jaccard(a, b)) <= allowed(jaccard(a, b), 512)


def test_its_error_is_that_of_datasketch() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = [], []
    for round_number in range(40):
        numbers = rng.choice(1 << 30, 300, replace=False).astype(np.uint64)
        a, b = numbers[:200], numbers[100:]
        keys = permutation_keys(256, round_number)
        ours.append(float(np.mean(signature(a, keys) == signature(b, keys))) - 1 / 3)
        pair = [Datasketch(256, seed=round_number), Datasketch(256, seed=round_number)]
        for sketch, elements in zip(pair, (a, b), strict=True):
            sketch.update_batch([element.tobytes() for element in elements])
        theirs.append(pair[0].jaccard(pair[1]) - 1 / 3)
    expected = np.sqrt(1 / 3 * 2 / 3 / 256)
    assert np.std(ours) < 1.5 * max(expected, float(np.std(theirs)))
    assert abs(np.mean(ours)) < 4 * expected / np.sqrt(len(ours))


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    steps=st.integers(1, 256),
)
@settings(max_examples=40, deadline=None)
def test_laws_on_any_pixels(seed: int, width: int, height: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    images = list(rng.integers(0, steps, (4, height, width, 3), dtype=np.uint8))
    method = MinHash(permutations=32)
    features = method.extract([*images, images[0].copy()])
    found = method.similarity(features, features)
    assert found.shape == (5, 5)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert found[0, 4] == 1
    assert found.min() >= 0
    assert found.max() <= 1


def test_corners_are_where_a_square_has_them() -> None:
    gray = np.zeros((60, 80), np.float32)
    gray[20:40, 30:60] = 1
    rows, columns = strongest_corners(gray, 4)
    found = sorted(zip(rows.tolist(), columns.tolist(), strict=True))
    expected = [(20, 30), (20, 59), (39, 30), (39, 59)]
    np.testing.assert_allclose(found, expected, atol=2)


@pytest.mark.parametrize("brightness", [0, 1, 77, 90, 128, 201, 254, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (37, 53), (96, 96), (300, 111)])
def test_flat_images_have_no_corners(brightness: int, shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), brightness, np.uint8)
    assert MinHash().places(flat).tolist() == [digest(flat) | ALONE]


def test_an_image_without_corners_stands_for_itself_alone() -> None:
    lighter = FLAT + np.uint8(1)
    features = MinHash().extract([FLAT, FLAT.copy(), lighter, DOT, DOT.copy(), ASTRONAUT])
    found = MinHash().similarity(features, features)
    same = np.zeros((6, 6), bool)
    same[:2, :2] = same[3:5, 3:5] = same[2, 2] = same[5, 5] = True
    np.testing.assert_array_equal(found, same.astype(np.float32))
    assert MinHash().places(ASTRONAUT).max() < ALONE


def test_a_corner_fills_one_cell_of_each_grid() -> None:
    for image in PICTURES:
        places = MinHash(corners=1).places(image)
        assert len(places) == 4
    assert len(MinHash(corners=100).places(ASTRONAUT)) <= 400


def test_the_split_of_the_images_changes_nothing() -> None:
    images = [*PICTURES, FLAT, DOT]
    method = MinHash()
    whole = method.extract(images)
    parts = concatenate([method.extract(images[:3]), method.extract(images[3:])])
    np.testing.assert_array_equal(whole.array, parts.array)
    expected = method.similarity(whole, whole)
    np.testing.assert_array_equal(method.similarity(whole[:2], whole[1:]), expected[:2, 1:])


def test_the_seed_alone_draws_the_permutations() -> None:
    one, again, other = (
        MinHash(exact=False, seed=seed).extract([ASTRONAUT]).array for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, again)
    assert np.mean(one == other) < 0.05


def test_changed_pictures_stay_closer_than_others() -> None:
    changed = variants(ASTRONAUT)
    features = MinHash().extract([*changed, *PICTURES[1:]])
    found = MinHash().similarity(features, features)
    assert found[0, [2, 4]].min() > MinHash.default_threshold
    assert found[:5, 5:].max() < found[0, 1:5].min()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 300), (200, 200)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    features = MinHash(size=size, exact=False).extract([ASTRONAUT, GRAY, FLAT])
    assert features.array.shape == (3, 512)
    assert len(MinHash(size=size).extract([ASTRONAUT, GRAY, FLAT])) == 3


def test_no_images_make_an_empty_feature_set() -> None:
    none = MinHash().extract([])
    assert MinHash().similarity(none, MinHash().extract([ASTRONAUT])).shape == (0, 1)


@pytest.mark.parametrize("name", ["corners", "permutations", "grid"])
def test_wrong_options_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} 0: must be"):
        MinHash(**{name: 0})


def test_signatures_of_two_lengths_are_refused() -> None:
    a = MinHash(permutations=8).extract([ASTRONAUT])
    b = MinHash(permutations=9).extract([ASTRONAUT])
    with pytest.raises(UsageError, match="cannot be compared"):
        MinHash().similarity(a, b)


def test_permutations_are_the_same_on_every_machine() -> None:
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # SplitMix64, seed 0
    assert permutation_keys(3, 0).tolist() == published
    assert permutation_keys(2, 7).tolist() == [0x863B891F4C0ABD4F, 0x4D58FBD282EAF415]
    assert len(np.unique(permutation_keys(5000, 0))) == 5000


@pytest.mark.parametrize("options", [{}, {"size": (7, 300)}, {"grid": 64}, {"corners": 3}])
def test_exact_is_the_jaccard_of_the_sets(options: dict[str, object]) -> None:
    method = MinHash(exact=True, **options)  # type: ignore[arg-type]
    images = [changed for image in PICTURES[:3] for changed in variants(image)]
    images += [FLAT, FLAT.copy(), FLAT + np.uint8(1), DOT]
    sets = [method.places(image) for image in images]
    features = method.extract(images)
    found = method.similarity(features, features)
    expected = np.array([[jaccard(one, other) for other in sets] for one in sets], np.float32)
    np.testing.assert_array_equal(found, expected)
    assert found[-4:, :-4].max() == 0
    np.testing.assert_array_equal(features.arrays["sizes"], [len(one) for one in sets])


@pytest.mark.parametrize("exact", [False, True])
def test_it_finds_its_links_by_itself(exact: bool) -> None:
    method = MinHash(exact=exact)
    images = [changed for image in PICTURES for changed in variants(image)]
    features = method.extract([*images, FLAT, FLAT.copy(), DOT])
    values = method.similarity(features, features)
    for threshold in (-np.inf, 0.0, float(values[0, 1]), 0.25, 0.5, 1.0, 1.5):
        linked = values >= np.float32(threshold)
        rows, columns = np.nonzero(np.triu(linked, 1))
        found = method.links(features, features, threshold)
        np.testing.assert_array_equal([found.a, found.b], [rows, columns])
        np.testing.assert_array_equal(found.similarity, values[rows, columns])
        few = method.links(features[3:9], features, threshold)
        np.testing.assert_array_equal([few.a, few.b], np.nonzero(linked[3:9]))


def test_exact_from_python() -> None:
    images = [*variants(ASTRONAUT), *PICTURES[1:]]
    features = features_of(images, "minhash", exact=True)
    values = similarity_matrix(features)
    np.testing.assert_array_equal(values, similarity_matrix(images, method="minhash", exact=True))
    rows, columns = np.nonzero(np.triu(values >= np.float32(0.5), 1))
    found = links(features, 0.5)
    np.testing.assert_array_equal(found["a"], rows)
    np.testing.assert_array_equal(found["b"], columns)


def test_exact_needs_a_grid_that_bitmaps_can_hold() -> None:
    with pytest.raises(UsageError, match=f"exact requires grid {FINEST} or less, not 65"):
        MinHash(exact=True, grid=FINEST + 1)
    MinHash(exact=True, grid=FINEST)


def test_signatures_are_compared_where_they_are_asked_for_or_sets_would_be_too_large() -> None:
    assert MinHash().by_sets
    assert MinHash(grid=FINEST).by_sets
    assert MinHash(exact=True, grid=FINEST).by_sets
    for options in ({"permutations": 64}, {"exact": False}, {"grid": FINEST + 1}):
        method = MinHash(**options)
        assert not method.by_sets
        shape = method.extract([ASTRONAUT]).arrays["signatures"].shape
        assert shape == (1, options.get("permutations", 512))
    with pytest.raises(UsageError, match="exact compares sets"):
        MinHash(exact=True, permutations=64)


def test_sets_and_signatures_are_not_compared() -> None:
    sets = MinHash(exact=True).extract([ASTRONAUT])
    width = sets.array.shape[1]
    as_wide = MinHash(permutations=width).extract([ASTRONAUT])
    for one, other in ((sets, as_wide), (as_wide, sets)):
        with pytest.raises(UsageError, match="cannot be compared"):
            MinHash().similarity(one, other)
        with pytest.raises(UsageError, match="cannot be compared"):
            MinHash(exact=True).links(one, other, 0.5)
    none = MinHash(exact=True).extract([])
    assert MinHash(exact=True).similarity(none, sets).shape == (0, 1)
