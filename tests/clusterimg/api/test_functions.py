"""The steps from Python: features, links, matrices."""

from __future__ import annotations

import numpy as np
import pytest

import icas


def test_features_know_their_files_and_what_could_not_be_read(own_photos):
    (own_photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    found = icas.features(own_photos, method="imagehash", jobs=2)
    assert isinstance(found, icas.FeatureSet)
    assert len(found) == len(found.files) == len(found.array) == 14
    assert [one.file for one in found.unreadable] == ["broken.jpg"]
    some = found[3:5]
    assert (len(some), some.files) == (2, found.files[3:5])


def test_links_are_the_pairs_of_the_matrix(photos, method_and_options):
    found = icas.features(photos, **method_and_options)
    matrix = icas.similarity_matrix(found)
    assert matrix.dtype == np.float32
    assert matrix.shape == (14, 14)
    assert (matrix == matrix.T).all()
    assert (matrix.diagonal() == 1).all()
    assert matrix.max() <= 1
    for threshold in (0.1, 0.5, 0.9):
        links = icas.links(found, threshold=threshold)
        a, b = np.nonzero(np.triu(matrix >= threshold, 1))
        assert links["a"].tolist() == a.tolist()
        assert links["b"].tolist() == b.tolist()
        assert (links["similarity"] == matrix[a, b]).all()


def test_awkward_pictures_go_through_every_method(method_and_options):
    rng = np.random.default_rng(0)
    pictures = [
        np.full((1, 1, 3), 7, np.uint8),
        np.full((40, 60, 3), 128, np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        rng.integers(0, 256, (1, 300, 3), dtype=np.uint8),
        rng.integers(0, 256, (50, 30), dtype=np.uint8),
        rng.integers(0, 256, (200, 90, 3), dtype=np.uint8),
        rng.integers(0, 256, (33, 20, 4), dtype=np.uint8),
    ]
    matrix = icas.similarity_matrix(pictures, pictures, **method_and_options)
    assert np.isfinite(matrix).all()
    assert matrix.max() <= 1
    assert (matrix.diagonal() == 1).all()
    assert (matrix == matrix.T).all()


def test_codes_made_elsewhere_are_compared(photos):
    made = icas.features(photos, method="imagehash")
    given = icas.FeatureSet.from_bits(made.array, method="imagehash")
    assert (icas.links(given, threshold=0.7) == icas.links(made, threshold=0.7)).all()
    with pytest.raises(icas.UsageError, match="uint8"):
        icas.FeatureSet.from_bits(np.zeros((3, 8)), method="imagehash")
    with pytest.raises(icas.UsageError, match="imagehash"):
        icas.FeatureSet.from_bits(made.array, method="orb")


def test_features_of_two_methods_are_not_compared(photos):
    with pytest.raises(icas.UsageError, match="cannot compare features"):
        icas.similarity_matrix(icas.features(photos, "imagehash"), icas.features(photos, "tm"))


def test_options_are_flags_with_underscores(photos):
    small = icas.features(photos, method="imagehash", hash_size=4)
    assert small.array.shape == (14, 2)
    sized = icas.similarity_matrix(photos, method="ssim", size="32x24")
    assert sized.shape == (14, 14)


def test_the_public_face_is_all_there():
    for name in icas.__all__:
        assert getattr(icas, name) is not None
    assert set(icas.__all__) <= set(dir(icas))
    with pytest.raises(AttributeError, match="nothing"):
        icas.nothing  # noqa: B018
