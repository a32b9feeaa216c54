"""The merge tree merges neighbours, the most similar first, and a level is a table look-up."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data as samples
from skimage.measure import label

import icas
from icas.segmentimg.labels.merge_tree import labels_at


@pytest.fixture(scope="module")
def coffee():
    image = samples.coffee()
    return image, icas.segment(image, "superpixel", region_size=30)


@pytest.fixture(scope="module")
def tree(coffee):
    return icas.merge_tree(*coffee)


def test_there_is_a_merge_for_every_segment_but_one(coffee, tree):
    count = coffee[1].max()
    assert tree.merges.shape == (count - 1, 4)
    assert sorted(tree.merges[:, :2].ravel()) == list(range(2 * count - 2))
    assert tree.merges[-1, 3] == coffee[1].size
    assert (np.diff(tree.merges[:, 2]) >= 0).all()


@pytest.mark.parametrize("n", [1, 2, 7, 50, 10**6])
def test_every_level_is_a_segmentation_of_connected_pieces(coffee, tree, n):
    found = icas.labels_at(tree, n)
    assert found.dtype == np.int32
    assert found.max() == min(n, coffee[1].max())
    assert label(found, background=0, connectivity=1).max() == found.max()
    assert (found == tree.table(n)[coffee[1]]).all()


def test_levels_are_nested(tree):
    fine, coarse = labels_at(tree, 60), labels_at(tree, 20)
    for number in range(1, 61):
        assert len(np.unique(coarse[fine == number])) == 1


def test_the_most_similar_merge_first():
    image = np.zeros((4, 12, 3), np.uint8)
    image[:, 4:8], image[:, 8:] = 20, 220
    labels = np.repeat([[1, 2, 3]], 4, axis=1).repeat(4, axis=0).astype(np.int32)
    assert icas.labels_at(icas.merge_tree(image, labels), 2)[0, ::4].tolist() == [1, 1, 2]


def test_edges_stay_edges():
    image = np.zeros((3, 5, 3), np.uint8)
    labels = np.array([[1, 1, 0, 2, 2]] * 3, np.int32)
    tree = icas.merge_tree(image, labels)
    assert icas.labels_at(tree, 1).tolist() == [[1, 1, 0, 1, 1]] * 3


def test_wrong_input_is_reported(coffee, tree):
    with pytest.raises(icas.UsageError, match="shape mismatch: labels"):
        icas.merge_tree(coffee[0], coffee[1][1:])
    with pytest.raises(icas.UsageError, match="at least 1"):
        icas.labels_at(tree, 0)
    with pytest.raises(icas.UsageError, match="expected a Forest or a MergeTree"):
        icas.labels_at(coffee[1], 3)


def test_one_segment_has_an_empty_tree():
    tree = icas.merge_tree(np.zeros((3, 3, 3), np.uint8), np.ones((3, 3), np.int32))
    assert tree.merges.shape == (0, 4)
    assert icas.labels_at(tree, 5).tolist() == [[1] * 3] * 3
