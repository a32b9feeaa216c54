"""Choice of the painted images, of the next one to paint, and of the order of review."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import BLUE, RED, scene

from icas.segmentimg.propagation.features import from_bytes, image_features, to_bytes
from icas.segmentimg.propagation.queue import accepted, review_order
from icas.segmentimg.propagation.sources import (
    choose_sources,
    groups,
    medoid,
    similarities,
    similarity,
    suggest,
)

TWO_GROUPS = np.array(
    [
        [1.0, 0.9, 0.8, 0.1, 0.1],
        [0.9, 1.0, 0.9, 0.1, 0.1],
        [0.8, 0.9, 1.0, 0.1, 0.1],
        [0.1, 0.1, 0.1, 1.0, 0.9],
        [0.1, 0.1, 0.1, 0.9, 1.0],
    ]
)


def test_the_medoid_is_suggested_first_and_then_the_other_group():
    assert medoid(TWO_GROUPS) == 1
    assert suggest(TWO_GROUPS, [], 2) == [1, 3]
    assert suggest(TWO_GROUPS, [3], 1) == [1]


def test_suggestions_end_where_all_images_are_painted():
    assert sorted(suggest(TWO_GROUPS, [0], 9)) == [1, 2, 3, 4]


def test_each_image_belongs_to_its_most_similar_painted_one():
    assert groups(TWO_GROUPS, [0, 4]) == [0, 0, 0, 4, 4]
    with pytest.raises(ValueError, match="no image is painted"):
        groups(TWO_GROUPS, [])


def test_similar_images_are_chosen_first():
    features = [
        image_features(scene([((60, 60 + 4 * k), 26, color)])[0])
        for k, color in enumerate((RED, BLUE, RED))
    ]
    assert choose_sources(features[0], features[1:]) == [1, 0]
    assert similarity(features[0], features[0]) == pytest.approx(1, abs=1e-5)
    matrix = similarities(features)
    assert np.array_equal(matrix, matrix.T)
    assert matrix[0, 2] == pytest.approx(similarity(features[0], features[2]), abs=1e-5)


def test_features_are_the_same_after_a_cache():
    features = image_features(scene([((60, 60), 26, RED)])[0])
    again = from_bytes(to_bytes(features))
    assert np.array_equal(again.cells, features.cells)
    assert np.array_equal(again.graph.labels, features.graph.labels)
    assert again.size == (120, 160)


def test_damaged_features_are_an_error():
    data = to_bytes(image_features(scene([])[0]))
    for wrong in (b"", data[:-1], data[:40] + b"x" + data[41:]):
        with pytest.raises(ValueError, match="not features"):
            from_bytes(wrong)


def test_the_least_sure_image_is_reviewed_first():
    assert review_order({0: 0.9, 1: 0.2, 2: 0.9}) == [1, 0, 2]
    assert accepted(0.95)
    assert not accepted(0.949)
    assert accepted(0.6, level=0.5)
