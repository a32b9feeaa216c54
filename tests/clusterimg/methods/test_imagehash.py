"""ImageHash: bit for bit the package's phash, and Hamming distances that are right."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image
from skimage import data as samples

from icas.clusterimg.api.functions import links, similarity_matrix
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.images import scan
from icas.clusterimg.methods import imagehash as phash
from icas.clusterimg.methods.base import Image as Pixels
from icas.clusterimg.methods.hamming import hamming
from icas.clusterimg.methods.imagehash import ImageHash
from icas.common.errors import UnreadableImageError, UsageError
from icas.io.reading import read_image, resize

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


def packed(images: list[Pixels], hash_size: int, factor: int) -> list[list[int]]:
    """What the package itself makes of each image."""
    found = [imagehash.phash(Image.fromarray(image), hash_size, factor) for image in images]
    return [np.packbits(one.hash).tolist() for one in found]


@pytest.mark.parametrize(
    ("hash_size", "factor", "most"), [(8, 4, 20), (8, 1, 20), (16, 4, 10), (64, 4, 2), (64, 1, 8)]
)
def test_equals_the_package_on_real_images(
    data: Path, hash_size: int, factor: int, most: int
) -> None:
    images = []
    for folder in sorted(path.parent for path in data.glob("*/labels.csv")):
        for ref in scan(folder / "images").images[:most]:
            try:
                images.append(read_image(ref.path))
            except UnreadableImageError:
                continue
    assert images
    found = phash.phashes(images, hash_size, factor)
    assert found.tolist() == packed(images, hash_size, factor)


@given(
    seed=st.integers(0, 2**32 - 1),
    shapes=st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), max_size=6),
    levels=st.integers(1, 256),
    hash_size=st.integers(2, 17),
    factor=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_package_on_any_pixels(
    seed: int, shapes: list[tuple[int, int]], levels: int, hash_size: int, factor: int
) -> None:
    rng = np.random.default_rng(seed)
    images: list[Pixels] = [
        rng.integers(0, levels, (*shape, 3), dtype=np.uint8) for shape in shapes
    ]
    found = phash.phashes(images, hash_size, factor)
    assert found.tolist() == packed(images, hash_size, factor)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    levels=st.sampled_from([2, 5, 256]),
    factor=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_equals_the_package_on_many_images_of_one_shape(
    seed: int, shape: tuple[int, int], levels: int, factor: int
) -> None:
    rng = np.random.default_rng(seed)
    plain = np.full((*shape, 3), 9, np.uint8)
    bands = np.repeat(rng.integers(0, levels, (1, shape[1], 3), dtype=np.uint8), shape[0], axis=0)
    noise = [rng.integers(0, levels, (*shape, 3), dtype=np.uint8) * (255 // (levels - 1))] * 4
    images: list[Pixels] = [plain, plain, bands, bands, *noise, plain, bands]
    assert phash.phashes(images, 8, factor).tolist() == packed(images, 8, factor)


@pytest.mark.parametrize("shape", [(600, 900), (1100, 300), (32, 400), (2, 70000)])
def test_equals_the_package_on_many_large_images(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(5)]
    assert phash.phashes(images, 8, 4).tolist() == packed(images, 8, 4)


def test_symmetric_images_have_the_bits_of_the_package() -> None:
    """Half of their frequencies are zero, but for rounding."""
    half = cv2.resize(ASTRONAUT, (64, 128))
    mirrored = np.concatenate([half, half[:, ::-1]], axis=1)
    images = [mirrored, np.concatenate([mirrored[:64], mirrored[63::-1]]), np.rot90(mirrored)]
    for factor in (1, 3, 4):
        assert phash.phashes(images, 8, factor).tolist() == packed(images, 8, factor)


def test_gray_is_that_of_pillow_for_every_colour() -> None:
    every = np.arange(256, dtype=np.uint8)
    for red in range(256):
        colours = np.empty((256, 256, 3), np.uint8)
        colours[..., 0], colours[..., 1], colours[..., 2] = red, every[:, None], every
        expected = np.asarray(Image.fromarray(colours).convert("L"))
        np.testing.assert_array_equal(phash.pillow_gray(colours), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 70000), (70000, 1), (300, 500)])
def test_gray_by_bands_is_that_of_pillow(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for view in (image, image[::-1, ::-1]):
        expected = np.asarray(Image.fromarray(view).convert("L"))
        np.testing.assert_array_equal(phash.pillow_gray(view), expected)


def test_how_many_are_transformed_together_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = [*PICTURES, *ODD] * 15
    whole = phash.phashes(iter(images), 16, 4)
    monkeypatch.setattr(phash, "STACK_BYTES", 1)
    np.testing.assert_array_equal(whole, phash.phashes(images, 16, 4))


def test_views_and_read_only_pixels_will_do() -> None:
    turned = ASTRONAUT[::-1, ::2]
    fixed = turned.copy()
    fixed.flags.writeable = False
    found = phash.phashes([turned, fixed], 8, 4)
    assert found.tolist() == packed([fixed, fixed], 8, 4)


def test_it_finds_its_links_by_itself() -> None:
    method = ImageHash(hash_size=9)
    features = method.extract([*PICTURES, *ODD, *PICTURES[:2]])
    values = method.similarity(features, features)
    for threshold in (-np.inf, 0.0, 0.5, float(values[0, 1]), 0.85, 1.0):
        linked = values >= np.float32(threshold)
        found = method.links(features, features, threshold)
        rows, columns = np.nonzero(np.triu(linked, 1))
        np.testing.assert_array_equal(found.a, rows)
        np.testing.assert_array_equal(found.b, columns)
        np.testing.assert_array_equal(found.similarity, values[rows, columns])
        copied = method.links(features, features[:], threshold)
        np.testing.assert_array_equal([copied.a, copied.b], np.nonzero(linked))


def test_links_and_matrix_from_python() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
    codes[40], codes[41] = codes[7], codes[7] ^ np.uint8(1)
    features = FeatureSet.from_bits(codes)
    values = similarity_matrix(features)
    found = links(features, 1 - 10 / 64)
    rows, columns = np.nonzero(np.triu(values >= np.float32(1 - 10 / 64), 1))
    assert list(zip(rows, columns, strict=True)) == [(7, 40), (7, 41), (40, 41)]
    np.testing.assert_array_equal(found["a"], rows)
    np.testing.assert_array_equal(found["similarity"], values[rows, columns])


def test_features_without_settings_count_the_methods_own_bits() -> None:
    method = ImageHash(hash_size=9)
    features = method.extract(PICTURES)
    bare = FeatureSet("imagehash", dict(features.arrays))
    expected = method.similarity(features, features)
    np.testing.assert_array_equal(method.similarity(bare, bare), expected)


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
    with pytest.raises(UsageError, match="cannot be compared"):
        ImageHash().similarity(a, b)
    with pytest.raises(UsageError, match="cannot be compared"):
        ImageHash().links(a, b, 0.5)


@pytest.mark.parametrize("width", [1, 8, 13])
def test_lists_of_pairs_have_the_similarities_of_the_matrix(width: int) -> None:
    codes = np.random.default_rng(width).integers(0, 256, (40, width), dtype=np.uint8)
    features, method = FeatureSet.from_bits(codes), ImageHash()
    matrix = method.similarity(features, features[::-1])
    listed = method.similarity_of_pairs(features, features[::-1])
    np.testing.assert_array_equal(listed, np.diag(matrix))
