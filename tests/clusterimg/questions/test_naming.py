"""The order of names, and names of the other images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from questioned import similarities

from icas.clusterimg.questions.naming import naming_order, spread_names
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


def test_the_rest_gets_the_name_of_the_nearest():
    truth = np.repeat(np.arange(5), 6)
    matrix = similarities(truth, 0.05)
    order = naming_order(matrix, 5)
    spread = spread_names(matrix[:, order], [f"class {truth[image]}" for image in order])
    assert spread.names == [f"class {label}" for label in truth]
    assert ((spread.confidence >= 0) & (spread.confidence <= 1)).all()


def test_confidence_is_low_between_two_names():
    matrix = np.eye(3, dtype=np.float32)
    matrix[2, :2] = matrix[:2, 2] = 0.7
    spread = spread_names(matrix[:, :2], ["cat", "dog"])
    assert spread.confidence[2] == 0
    matrix[2, 0] = matrix[0, 2] = 0.95
    spread = spread_names(matrix[:, :2], ["cat", "dog"])
    assert spread.names[2] == "cat"
    assert spread.confidence[2] > 0.5


def test_a_name_is_needed():
    with pytest.raises(UsageError, match="name at least one"):
        spread_names(np.ones((2, 0), np.float32), [])
