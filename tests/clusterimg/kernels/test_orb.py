"""The compiled loops of ORB against NumPy, OpenCV and brute force: the same bits."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from skimage import data as samples

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.links import links_in
from icas.clusterimg.kernels.numba_support import compiled_kernels
from icas.clusterimg.methods import orb as orb_module
from icas.clusterimg.methods.orb import Orb
from icas.clusterimg.methods.orb_matching import Features, mutual_matches
from icas.io.reading import read_image

THRESHOLDS = [-np.inf, -1.0, 0.0, 1e-6, 0.05, 0.15, 0.3, 0.75, 1.0, 1.5, np.inf]
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def loops() -> ModuleType:
    """The loops, loaded: from here on `Orb` uses them whatever the work."""
    pytest.importorskip("numba")
    found = compiled_kernels("orb.pairs", np.inf)
    assert found is not None
    return found


def made_up(
    random: np.random.Generator, images: int, keypoints: int, *, alike: float = 0.5
) -> FeatureSet:
    """Features with many near and equal descriptors, among few places, angles and levels."""
    shape = (images, keypoints)
    base = random.integers(0, 256, (max(1, keypoints // 2), 32), dtype=np.uint8)
    descriptors = base[random.integers(0, len(base), shape)]
    flips = random.integers(0, 256, (*shape, 32), dtype=np.uint8)
    descriptors ^= np.where(random.random((*shape, 32)) < random.random() * alike, flips, 0)
    descriptors[random.random(shape) < 0.05] = 0
    descriptors[random.random(shape) < 0.05] = 255
    counts = random.integers(0, keypoints + 1, images).astype(np.int32)
    counts[random.random(images) < 0.5] = keypoints
    places = (random.integers(0, 9, (*shape, 2)) / 8 + random.random() / 64).astype(np.float32)
    angles = random.choice(np.array([0, 3, 20, 21, 128, 250], np.uint8), shape)
    levels = random.integers(0, 8, shape).astype(np.int8)
    for image, count in enumerate(counts):
        for rows in (descriptors, places, angles, levels):
            rows[image, count:] = 0
    digest = random.integers(0, 2 * images + 1, images).astype(np.uint64)
    arrays = {
        "descriptors": descriptors,
        "counts": counts,
        "places": places,
        "angles": angles,
        "levels": levels,
        "digest": digest,
    }
    return FeatureSet("orb", arrays)


def by_loops(a: Features, b: Features, most: int) -> list[tuple[int, int, int]]:
    """Mutual matches of two images by the loops: (ours, theirs, bits), sorted."""
    from icas.clusterimg.kernels.orb import matching as orb_matches

    if min(a.counts, b.counts) == 0:
        return []
    ours, theirs = laid_out(a, b)
    bench = orb_matches.bench_for(len(a.descriptors), len(b.descriptors))
    # Those of a part first, as for pairs that may be far from the threshold.
    seen = int(b.counts) // 64 * 64
    if seen:
        orb_matches.match(ours, a.counts, theirs, 0, seen, most, bench)
    found = orb_matches.match(ours, a.counts, theirs, seen, b.counts, most, bench)
    columns = (bench.first[:found], bench.second[:found], bench.bits[:found])
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def laid_out(a: Features, b: Features) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two images as the loops take them on the left and on the right."""
    from icas.clusterimg.kernels.orb import matching as orb_matches

    ours = orb_matches.in_rows(a.descriptors.view(np.uint64)[None], a.counts[None])[0]
    theirs = orb_matches.room_for(len(b.descriptors))
    orb_matches.lay_out(b.descriptors.view(np.uint64), b.counts, theirs)
    return ours, theirs


def by_numpy(a: Features, b: Features, most: int) -> list[tuple[int, int, int]]:
    many = Features(*(array[None] for array in b))
    found = mutual_matches(a, many, most)
    columns = (found.first, found.second, found.bits)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def by_opencv(a: Features, b: Features, most: int) -> list[tuple[int, int, int]]:
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    found = matcher.match(a.descriptors[: a.counts], b.descriptors[: b.counts])
    return sorted((m.queryIdx, m.trainIdx, int(m.distance)) for m in found if m.distance <= most)


@given(
    seed=seeds,
    keypoints=st.one_of(st.integers(1, 40), st.sampled_from([64, 255, 256, 257, 511, 600, 1030])),
    most=st.sampled_from([0, 10, 64, 95, 128]),
)
@settings(max_examples=60, deadline=None)
def test_mutual_matches_are_those_of_numpy_and_opencv(seed: int, keypoints: int, most: int) -> None:
    made = orb_module.features_of(made_up(np.random.default_rng(seed), 2, keypoints))
    a, b = made.rows(0), made.rows(1)
    expected = by_numpy(a, b, most)
    assert by_loops(a, b, most) == expected
    assert sorted((i, j, bits) for j, i, bits in by_loops(b, a, most)) == expected
    if min(a.counts, b.counts) > 0:
        assert by_opencv(a, b, most) == expected


@given(
    seed=seeds,
    keypoints=st.one_of(st.integers(1, 70), st.integers(125, 140)),
    most=st.sampled_from([0, 31, 95, 128]),
    tolerance=st.sampled_from([0.0, 0.12, 2.0]),
)
@settings(max_examples=60, deadline=None)
def test_values_and_links_are_those_of_numpy(
    seed: int, keypoints: int, most: int, tolerance: float
) -> None:
    random = np.random.default_rng(seed)
    a, b = made_up(random, 7, keypoints), made_up(random, 5, keypoints)
    b.arrays["descriptors"][:3] = a.arrays["descriptors"][:3]
    b.arrays["counts"][:3] = a.arrays["counts"][:3]
    method = Orb(keypoints=keypoints, match_bits=most, tolerance=tolerance)
    for ours, theirs in ((a, b), (a, a)):
        expected = method._plain_values(ours, theirs, np.float32(-np.inf))
        values = method.similarity(ours, theirs)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(method.similarity(theirs, ours), expected.T)
        for threshold in [*THRESHOLDS, float(np.median(expected)), float(expected.max())]:
            wanted = links_in(expected, threshold, triangle=ours is theirs)
            plain = method._plain_values(ours, theirs, np.float32(threshold))
            for found in (
                method.links(ours, theirs, threshold),
                links_in(plain, threshold, triangle=ours is theirs),
            ):
                assert found.structured().tolist() == wanted.structured().tolist()


@given(seed=seeds, keypoints=st.integers(65, 140), turn=st.sampled_from([0, 20, 127]))
@settings(max_examples=40, deadline=None)
def test_the_bound_by_a_part_of_the_features_holds(seed: int, keypoints: int, turn: int) -> None:
    from icas.clusterimg.kernels.orb import matching, pairs, voting

    made = made_up(np.random.default_rng(seed), 2, keypoints, alike=0.1)
    made.arrays["counts"][:] = keypoints
    images = orb_module.features_of(made)
    ours, theirs = laid_out(images.rows(0), images.rows(1))
    placed = pairs.described(made.arrays).placed
    pair = voting.Pair(placed, 0, placed, 1)
    made_rules = orb_module.rules_of(Orb()._weights(), 0.12)
    rules = voting.Rules(*made_rules)._replace(turn=turn)
    bench, ballot = matching.bench_for(keypoints, keypoints), voting.ballot_for(keypoints)
    seen = keypoints // 64 * 64

    def weights(first: int, last: int) -> tuple[int, int]:
        found = matching.match(ours, keypoints, theirs, first, last, 95, bench)
        most = voting.most_turned(pair, bench, found, rules, ballot)
        return most, voting.heaviest(pair, bench, found, 0, rules, ballot)

    part, _ = weights(0, seen)
    whole, weight = weights(seen, keypoints)
    assert weight <= whole <= part + 256 * (keypoints - seen)


def test_without_compiled_loops_the_answer_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = crops_of([samples.astronaut(), samples.coffee(), samples.chelsea()])
    orb = Orb()
    fast = orb.extract(pictures)
    values, found = orb.similarity(fast, fast), orb.links(fast, fast, 0.15)
    monkeypatch.setattr(orb_module, "compiled_kernels", lambda name, seconds: None)
    plain = orb.extract(pictures)
    for name, array in fast.arrays.items():
        np.testing.assert_array_equal(array, plain.arrays[name])
    np.testing.assert_array_equal(values, orb.similarity(plain, plain))
    again = orb.links(plain, plain, 0.15)
    assert len(again) > 3
    assert again.structured().tolist() == found.structured().tolist()


def crops_of(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Overlapping parts of each."""
    return [
        np.ascontiguousarray(picture[top : top + 150, left : left + 200])
        for picture in pictures
        for top, left in ((20, 30), (40, 60), (90, 10), (100, 90))
    ]


def test_read_only_features_compile_nothing_anew(loops: ModuleType) -> None:
    features = Orb().extract(crops_of([samples.astronaut()]))
    for array in features.arrays.values():
        array.flags.writeable = False
    before = len(loops.similarities.signatures)
    Orb().similarity(features, features[np.array([2, 0])])
    assert len(loops.similarities.signatures) == before == 1


def test_links_in_real_pictures_are_those_of_numpy(data: Path) -> None:
    files = sorted((data / "copies" / "images").iterdir())[:60]
    orb = Orb()
    features = orb.extract(read_image(file) for file in files)
    expected = orb._plain_values(features, features, np.float32(-np.inf))
    np.testing.assert_array_equal(orb.similarity(features, features), expected)
    for threshold in (0.02, 0.15, 0.5):
        wanted = links_in(expected, threshold, triangle=True).structured().tolist()
        assert orb.links(features, features, threshold).structured().tolist() == wanted
        half = orb.links(features[:25], features[25:], threshold)
        expected_half = links_in(expected[:25, 25:], threshold).structured().tolist()
        assert half.structured().tolist() == expected_half


@pytest.fixture(scope="module")
def corners() -> ModuleType:
    found = compiled_kernels("orb.corners", np.inf)
    assert found is not None
    assert orb_module.as_opencv(found)
    return found


def told(points: Any) -> list[tuple[float, ...]]:
    """All there is to know of keypoints, level by level."""
    values = [(*point.pt, point.angle, point.response, point.octave) for point in points]
    return sorted(values, key=lambda one: one[-1])


@pytest.mark.parametrize("wanted", [1, 5, 40, 200, 1000])
def test_corners_are_opencvs(corners: ModuleType, wanted: int) -> None:
    for picture in (samples.camera(), samples.page(), samples.moon()[:200, :90], samples.text()):
        ours = orb_module.found_by_numba(picture, wanted, corners)
        assert told(ours) == told(orb_module.found_by_opencv(picture, wanted))


@given(
    height=st.integers(25, 140),
    width=st.integers(25, 140),
    coarse=st.integers(1, 9),
    wanted=st.sampled_from([1, 3, 30, 200]),
    seed=seeds,
)
@settings(max_examples=60, deadline=None)
def test_corners_of_random_pictures_are_opencvs(
    corners: ModuleType, height: int, width: int, coarse: int, wanted: int, seed: int
) -> None:
    """Coarse ones have flat patches, with equal scores side by side."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (-(-height // coarse), -(-width // coarse)), dtype=np.uint8)
    picture = np.kron(small, np.ones((coarse, coarse), np.uint8))[:height, :width].copy()
    if seed % 2:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.uint8)
    ours = orb_module.found_by_numba(picture, wanted, corners)
    assert told(ours) == told(orb_module.found_by_opencv(picture, wanted))


def test_features_of_real_pictures_are_the_same_either_way(corners: ModuleType, data: Path) -> None:
    for name in ("copies", "multiview"):
        for file in sorted((data / name / "images").iterdir())[:15]:
            gray = Orb()._brought(read_image(file))
            ours = orb_module.found_by_numba(gray, 200, corners)
            assert told(ours) == told(orb_module.found_by_opencv(gray, 200))


def test_loops_that_find_other_corners_are_not_used(
    corners: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def almost(*arguments: Any) -> Any:
        found = corners.corners(*arguments)
        return found._replace(response=np.nextafter(found.response, np.float32(np.inf)))

    other: Any = SimpleNamespace(BORDER=corners.BORDER, RIGHT=corners.RIGHT, corners=almost)
    monkeypatch.setattr(orb_module, "as_opencv", orb_module.as_opencv.__wrapped__)
    assert not orb_module.as_opencv(other)
    monkeypatch.setattr(orb_module, "compiled_kernels", lambda name, seconds: other)
    assert orb_module.fastest_find() is orb_module.found_by_opencv
