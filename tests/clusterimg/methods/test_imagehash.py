"""ImageHash: bit for bit the package's phash, and Hamming distances that are right."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as samples

from icas.clusterimg.features import FeatureSet, concatenate
from icas.clusterimg.methods.imagehash import ImageHash, hamming
from icas.common.errors import UsageError
from icas.common.images import resize

ASTRONAUT = samples.astronaut()
GRAY = np.repeat(samples.camera()[..., None], 3, axis=2)
PICTURES = [ASTRONAUT, samples.coffee(), samples.chelsea(), samples.rocket(), GRAY]
ODD = [
    np.full((1, 1, 3), 7, np.uint8),
    np.full((40, 50, 3), 255, np.uint8),
    np.ascontiguousarray(ASTRONAUT[:1, :300]),
    np.ascontiguousarray(ASTRONAUT[:300, :1]),
]


@pytest.mark.parametrize(
    ("hash_size", "factor"), [(8, 4), (2, 4), (9, 4), (16, 4), (32, 2), (11, 1)]
)
def test_equals_the_package_bit_for_bit(hash_size: int, factor: int) -> None:
    images = [*PICTURES, *ODD]
    method = ImageHash(hash_size=hash_size, highfreq_factor=factor)
    features = method.extract(images)
    expected = [imagehash.phash(Image.fromarray(image), hash_size, factor) for image in images]
    bits = np.unpackbits(features.arrays["bits"], axis=1, count=hash_size**2)
    np.testing.assert_array_equal(bits, [found.hash.ravel() for found in expected])
    distances = np.array([[a - b for b in expected] for a in expected])
    shares = (1 - distances / hash_size**2).astype(np.float32)
    np.testing.assert_array_equal(method.similarity(features, features), shares)


def test_defaults_are_those_of_the_package() -> None:
    features = ImageHash().extract([ASTRONAUT])
    expected = imagehash.phash(Image.fromarray(ASTRONAUT))
    assert features.array.tobytes().hex() == str(expected)


def test_a_size_is_taken_before_hashing() -> None:
    features = ImageHash(size=(40, 20)).extract([ASTRONAUT])
    expected = imagehash.phash(Image.fromarray(resize(ASTRONAUT, (40, 20))))
    assert features.array.tobytes().hex() == str(expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 40),
    columns=st.integers(0, 40),
    width=st.integers(1, 70),
)
@settings(max_examples=60, deadline=None)
def test_hamming_counts_the_different_bits(seed: int, rows: int, columns: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (rows, width), dtype=np.uint8)
    b = rng.integers(0, 256, (columns, width), dtype=np.uint8)
    different = np.unpackbits(a, axis=1)[:, None] != np.unpackbits(b, axis=1)[None]
    np.testing.assert_array_equal(hamming(a, b), different.sum(axis=2))


def test_hamming_by_blocks_is_the_same() -> None:
    rng = np.random.default_rng(4)
    a = rng.integers(0, 256, (70, 9), dtype=np.uint8)
    b = rng.integers(0, 256, (1500, 9), dtype=np.uint8)
    different = np.unpackbits(a, axis=1)[:, None] != np.unpackbits(b, axis=1)[None]
    np.testing.assert_array_equal(hamming(a, b), different.sum(axis=2))


def test_codes_made_elsewhere_count_eight_bits_a_byte() -> None:
    codes = FeatureSet.from_bits(np.array([[0, 0], [255, 255], [0, 1]], np.uint8))
    found = ImageHash().similarity(codes, codes)
    expected = [[1, 0, 15 / 16], [0, 1, 1 / 16], [15 / 16, 1 / 16, 1]]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_the_laws_and_the_split() -> None:
    images = [*PICTURES, *ODD]
    method = ImageHash(hash_size=5)
    whole = method.extract(images)
    parts = concatenate([method.extract(images[:4]), method.extract(images[4:])])
    np.testing.assert_array_equal(whole.array, parts.array)
    found = method.similarity(whole, whole)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    np.testing.assert_array_equal(method.similarity(whole[2:], whole[:3]), found[2:, :3])


def test_changed_pictures_stay_close_and_others_do_not() -> None:
    darker = (ASTRONAUT * 0.8).astype(np.uint8)
    half = np.ascontiguousarray(ASTRONAUT[::2, ::2])
    features = ImageHash().extract([ASTRONAUT, darker, half, *PICTURES[1:]])
    found = ImageHash().similarity(features, features)
    assert found[0, 1:3].min() > ImageHash.default_threshold
    assert found[:3, 3:].max() < ImageHash.default_threshold


def test_no_images_make_an_empty_feature_set() -> None:
    none = ImageHash().extract([])
    assert ImageHash().similarity(none, ImageHash().extract([ASTRONAUT])).shape == (0, 1)


@pytest.mark.parametrize("options", [{"hash_size": 1}, {"highfreq_factor": 0}, {"size": (0, 4)}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="must be at least"):
        ImageHash(**options)  # type: ignore[arg-type]


def test_codes_of_two_lengths_are_refused() -> None:
    a = ImageHash(hash_size=8).extract([ASTRONAUT])
    b = ImageHash(hash_size=9).extract([ASTRONAUT])
    with pytest.raises(UsageError, match="can't be compared"):
        ImageHash().similarity(a, b)
