"""ORB: its matches against OpenCV's, its laws, and what it is for: turned, scaled, cut pictures."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from skimage import data as samples

from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.methods.orb import Corners, Orb, features_of, spread
from icas.clusterimg.methods.orb_matching import Features, agreeing, mutual_matches
from icas.common.errors import UsageError


def turned(image: NDArray[np.uint8], degrees: float, scale: float = 1.0) -> NDArray[np.uint8]:
    """Turned about the middle, corners filled by mirroring."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    mirrored = cv2.BORDER_REFLECT
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=mirrored), np.uint8)


PICTURES = [samples.astronaut(), samples.chelsea(), samples.coffee(), samples.rocket()]
ASTRONAUT = PICTURES[0]
FLAT = np.full((40, 50, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def pictures() -> FeatureSet:
    noise = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    thin = np.ascontiguousarray(ASTRONAUT[200:230, :, :])
    extra = [turned(ASTRONAUT, 40), ASTRONAUT[100:400, 80:400], FLAT, noise, thin]
    return Orb().extract([*PICTURES, *extra])


def pairs_of_opencv(a: NDArray[np.uint8], b: NDArray[np.uint8], most: int) -> list[tuple[int, int]]:
    found = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(a, b)
    return sorted((m.queryIdx, m.trainIdx) for m in found if m.distance <= most)


@pytest.mark.parametrize("keypoints", [60, 200, 400])
def test_mutual_matches_are_those_of_opencv(keypoints: int) -> None:
    images = [*PICTURES, turned(ASTRONAUT, 20), turned(PICTURES[1], -10, 1.2)]
    features = features_of(Orb(keypoints=keypoints).extract(images))
    for row in range(len(images)):
        one = features.rows(row)
        ours = mutual_matches(one, features, 128)
        for other in range(len(images)):
            mine = ours.image == other
            got = sorted(zip(ours.first[mine].tolist(), ours.second[mine].tolist(), strict=True))
            counts = features.counts[[row, other]]
            a = features.descriptors[row, : counts[0]]
            b = features.descriptors[other, : counts[1]]
            assert got == pairs_of_opencv(a, b, 128)


def bare(descriptors: NDArray[np.uint8], counts: NDArray[np.int32]) -> Features:
    """Features that have descriptors and nothing else."""
    shape = descriptors.shape[:2]
    places = np.zeros((*shape, 2), np.float32)
    return Features(
        descriptors, counts, places, np.zeros(shape, np.uint8), np.zeros(shape, np.int8)
    )


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 3), most=st.integers(0, 128))
@settings(max_examples=40, deadline=None)
def test_ties_go_to_the_lowest_index_both_ways(seed: int, bits: int, most: int) -> None:
    random = np.random.default_rng(seed)
    # Few distinct bytes make ties; opposite descriptors (all 256 bits differ) are among them.
    values = random.integers(0, 2**bits, (2, 12, 32), dtype=np.uint8)
    values[:, 0], values[:, 1] = 0, 255
    counts = random.integers(0, 13, 2).astype(np.int32)
    features = bare(values, counts)
    a, b = values[0, : counts[0]], values[1, : counts[1]]
    far = np.bitwise_count(a[:, None] ^ b[None]).sum(axis=2, dtype=np.int64)
    expected = []
    if a.size and b.size:
        forth, back = far.argmin(axis=1), far.argmin(axis=0)
        expected = [(i, int(j)) for i, j in enumerate(forth) if back[j] == i and far[i, j] <= most]
    got = mutual_matches(features.rows(0), features.rows(slice(1, 2)), most)
    assert sorted(zip(got.first.tolist(), got.second.tolist(), strict=True)) == expected


def test_similarity_is_symmetric_one_with_itself_and_at_most_one(pictures: FeatureSet) -> None:
    orb = Orb()
    whole = orb.similarity(pictures, pictures)
    assert whole.dtype == np.float32
    assert whole.shape == (len(pictures), len(pictures))
    np.testing.assert_array_equal(whole, whole.T)
    np.testing.assert_array_equal(np.diag(whole), 1)
    assert whole.min() >= 0
    assert whole.max() <= 1
    first, second = pictures[:4], pictures[3:]
    there, back = orb.similarity(first, second), orb.similarity(second, first)
    np.testing.assert_array_equal(there, back.T)
    np.testing.assert_array_equal(there, whole[:4, 3:])


def test_how_images_are_divided_changes_nothing(pictures: FeatureSet) -> None:
    orb = Orb()
    whole = orb.similarity(pictures, pictures)
    for rows, columns in product([1, 2, 5], repeat=2):
        tiles = [
            [
                orb.similarity(pictures[i : i + rows], pictures[j : j + columns])
                for j in range(0, len(pictures), columns)
            ]
            for i in range(0, len(pictures), rows)
        ]
        np.testing.assert_array_equal(np.block(tiles), whole)


def test_extraction_is_deterministic_and_image_by_image(pictures: FeatureSet) -> None:
    again = Orb().extract(iter(PICTURES))
    alone = concatenate([Orb().extract([image]) for image in PICTURES])
    for name, array in again.arrays.items():
        np.testing.assert_array_equal(array, pictures.arrays[name][: len(PICTURES)])
        np.testing.assert_array_equal(array, alone.arrays[name])


def test_images_without_features_are_like_themselves_only() -> None:
    shapes = [(1, 1, 3), (1, 40, 3), (40, 1, 3), (2, 3, 3), (30, 200, 3), (64, 64, 3)]
    flat = [np.full(shape, 128, np.uint8) for shape in shapes]
    red = np.full((64, 64, 3), (200, 0, 0), np.uint8)
    orb = Orb()
    features = orb.extract([*flat, red, ASTRONAUT, flat[-1].copy()])
    assert features.arrays["counts"][:7].tolist() == [0] * 7
    expected = np.eye(9, dtype=np.float32)
    expected[5, 8] = expected[8, 5] = 1
    np.testing.assert_array_equal(orb.similarity(features, features), expected)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    gray=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_images_of_any_size_work(height: int, width: int, gray: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if gray:
        image[...] = image[..., :1]
    orb = Orb()
    features = orb.extract([image, FLAT, image[::-1]])
    similarity = orb.similarity(features, features)
    assert similarity[0, 0] == 1
    assert 0 <= similarity.min() <= similarity.max() <= 1
    np.testing.assert_array_equal(similarity, similarity.T)


def test_no_images_give_an_empty_tile(pictures: FeatureSet) -> None:
    none = Orb().extract([])
    assert len(none) == 0
    assert Orb().similarity(none, pictures).shape == (0, len(pictures))
    assert Orb().similarity(pictures, none).shape == (len(pictures), 0)
    assert Orb().similarity(none, none).shape == (0, 0)


@pytest.mark.parametrize("picture", range(len(PICTURES)))
def test_altered_copies_are_more_similar_than_any_other_picture(picture: int) -> None:
    image = PICTURES[picture]
    height, width = image.shape[:2]
    altered = [
        turned(image, 5),
        turned(image, 90),
        turned(image, 180, 0.9),
        cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA),
        image[height // 8 :, : width - width // 8],
        cv2.convertScaleAbs(image, alpha=0.8, beta=30),
        cv2.GaussianBlur(image, (0, 0), 2.0),
    ]
    others = PICTURES[:picture] + PICTURES[picture + 1 :]
    orb = Orb()
    copies = orb.similarity(orb.extract([image]), orb.extract(altered))
    strangers = orb.similarity(orb.extract([image, *altered]), orb.extract(others))
    assert copies.min() > orb.default_threshold > strangers.max()


def test_gray_and_colour_of_one_picture_are_alike() -> None:
    gray = cv2.cvtColor(cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    orb = Orb()
    features = orb.extract([ASTRONAUT, gray])
    assert orb.similarity(features, features)[0, 1] > 0.95


def test_agreement_counts_the_matches_of_one_turn_scale_and_shift() -> None:
    """Places made by a known similarity agree; those strewn at random stand aside."""
    random = np.random.default_rng(5)
    places = random.random((1, 30, 2)).astype(np.float32)
    angle = np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (0.6 * places @ turn.T + 0.1).astype(np.float32)
    moved[0, 20:] = random.random((10, 2)) + 3
    descriptors = random.integers(0, 256, (1, 30, 32), dtype=np.uint8)
    counts = np.array([30], np.int32)
    plain = bare(descriptors, counts)
    a = plain._replace(places=places, levels=np.full((1, 30), 3, np.int8))
    b = plain._replace(places=moved, angles=np.full((1, 30), 64, np.uint8))
    matches = mutual_matches(a.rows(0), b, 64)
    assert len(matches.image) == 30
    weights = np.where(np.arange(256) <= 64, 0.5, 0).astype(np.float32)
    assert agreeing(a.rows(0), b, matches, weights, 0.1).tolist() == [10]


def test_corners_are_spread_over_the_image() -> None:
    strong = [(float(x), 5.0, 100.0 + x) for x in range(30)]
    x, y, response = np.array([*strong, (200.0, 200.0, 1.0)], np.float32).T
    kept = spread(Corners(x, y, response, np.zeros(31, np.int64)), 256, 3)
    assert response[kept].tolist() == [129.0, 1.0, 128.0]


@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 4), wanted=st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_spread_takes_the_strongest_of_each_cell_then_the_second(
    seed: int, levels: int, wanted: int
) -> None:
    """Held against a plain sort; equal strengths are told apart by place, then by level."""
    random = np.random.default_rng(seed)
    x, y = random.integers(0, 40, (2, 80)).astype(np.float32)
    response = random.integers(0, 10**levels, 80).astype(np.float32)
    level = random.integers(0, 8, 80)
    got = spread(Corners(x, y, response, level), 40, wanted)
    taken: dict[tuple[int, int], int] = {}
    ranked = []
    for index in sorted(range(80), key=lambda i: (-response[i], y[i], x[i], level[i])):
        cell = (int(x[index] * 8 / 40), int(y[index] * 8 / 40))
        ranked.append((taken.get(cell, 0), index))
        taken[cell] = taken.get(cell, 0) + 1
    expected = [index for _, index in sorted(ranked, key=lambda one: one[0])][:wanted]
    same = [(x[i], y[i], response[i], level[i]) for i in expected]
    assert [(x[i], y[i], response[i], level[i]) for i in got] == same


def test_size_brings_images_to_it() -> None:
    small = Orb(size=(64, 48)).extract([ASTRONAUT])
    assert 0 < small.arrays["counts"][0] < Orb().extract([ASTRONAUT]).arrays["counts"][0]


@pytest.mark.parametrize(
    ("option", "value"),
    [("keypoints", 0), ("match_bits", 200), ("tolerance", -0.1), ("size", (0, 5))],
)
def test_options_outside_their_limits_are_refused(option: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"^{option} "):
        Orb(**{option: value})  # type: ignore[arg-type]
