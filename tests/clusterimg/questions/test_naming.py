"""The order of names, and names of the other images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from questioned import similarities

from icas.clusterimg.questions.naming import naming_order, nearest, spread_names
from icas.common.errors import UsageError


@given(truth=st.lists(st.integers(0, 3), max_size=12).map(np.array), count=st.integers(0, 14))
def test_every_image_is_in_the_order_once(truth, count):
    matrix = similarities(truth, 0.2)
    order = naming_order(matrix)
    assert sorted(order) == list(range(len(truth)))
    assert naming_order(matrix, count) == order[:count]


@given(truth=st.lists(st.integers(0, 3), min_size=2, max_size=12).map(np.array), done=st.data())
def test_the_order_continues_after_named_images(truth, done):
    matrix = similarities(truth, 0.2)
    order = naming_order(matrix)
    count = done.draw(st.integers(1, len(order)))
    assert naming_order(matrix, named=order[:count]) == order[count:]


def test_one_image_of_each_class_comes_first():
    truth = np.random.default_rng(2).permutation(np.repeat(np.arange(7), 9))
    order = naming_order(similarities(truth, 0.05))
    assert set(truth[order[:7]]) == set(range(7))


def neighbours(matrix, count=5):
    return nearest(matrix, np.arange(len(matrix)), 0, count)


def test_neighbours_are_the_most_similar_others():
    matrix = similarities(np.repeat(np.arange(4), 5), 0.3)
    found = neighbours(matrix, 3)
    for image, row in enumerate(matrix):
        others = sorted((-value, other) for other, value in enumerate(row) if other != image)
        assert found.similarity[image].tolist() == [-value for value, _ in others[:3]]
    assert nearest(matrix[7:9, [2, 7]], np.array([2, 7]), 7, 2).similarity[0, 1] == -np.inf


def test_the_rest_gets_the_name_of_its_group():
    truth = np.repeat(np.arange(5), 6)
    matrix = similarities(truth, 0.05)
    order = naming_order(matrix, 5)
    spread = spread_names(neighbours(matrix), {image: f"class {truth[image]}" for image in order})
    assert spread.names == [f"class {label}" for label in truth]
    assert (spread.confidence[order] == 1).all()
    assert ((spread.confidence > 0.5) & (spread.confidence <= 1)).all()


def test_names_follow_chains_of_similar_images():
    place = np.r_[np.arange(10), 13 + np.arange(10)].astype(float)
    matrix = np.exp(-np.abs(place[:, None] - place[None]) / 5).astype(np.float32)
    spread = spread_names(neighbours(matrix, 2), {0: "left", 10: "right"})
    assert spread.names == ["left"] * 10 + ["right"] * 10  # image 9 is nearer to 10 than to 0


def test_confidence_is_low_between_two_names():
    matrix = np.eye(3, dtype=np.float32)
    matrix[2, :2] = matrix[:2, 2] = 0.7
    between = spread_names(neighbours(matrix), {0: "cat", 1: "dog"}).confidence[2]
    matrix[2, 0] = matrix[0, 2] = 0.95
    spread = spread_names(neighbours(matrix), {0: "cat", 1: "dog"})
    assert spread.names[2] == "cat"
    assert spread.confidence[2] > between


def test_a_name_is_needed():
    with pytest.raises(UsageError, match="name at least one"):
        spread_names(neighbours(np.eye(2, dtype=np.float32)), {})
