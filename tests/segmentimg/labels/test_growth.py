"""Growth: groups around a segment are those of the merge tree, and steps go one way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.labels.growth import STEP, Growth
from icas.segmentimg.labels.labels import borders, connected
from icas.segmentimg.labels.merge_tree import MergeTree, labels_at, segment_graph, tree_of


def segmented(seed, edges=False):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    low = 0 if edges else 1
    blocks = rng.integers(low, 5, (6, 8)).repeat(2, axis=0).repeat(2, axis=1)
    return image, connected(blocks, edges=True)


def grown(image, labels):
    graph = segment_graph(image, labels)
    tree = tree_of(graph, labels)
    return tree, Growth(tree, graph)


def size_at(growth, labels, segment, level):
    return int(np.isin(labels, growth.group(segment, level)).sum())


@given(st.integers(0, 200), st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_a_group_at_a_level_is_a_label_of_the_tree_there(seed, edges, data):
    image, labels = segmented(seed, edges)
    tree, growth = grown(image, labels)
    for level in {0, tree.count - 1, data.draw(st.integers(0, max(0, tree.count - 1)))}:
        found = labels_at(tree, tree.count - level)
        for segment in range(1, tree.count + 1):
            group = growth.group(segment, level)
            assert group.dtype == np.int32
            assert (np.diff(group) > 0).all()
            inside = found == found[labels == segment][0]
            assert (np.isin(labels, group) == inside).all()


@given(st.integers(0, 200), st.booleans(), st.data())
@settings(max_examples=60, deadline=None)
def test_growing_grows_and_shrinking_shrinks_by_a_step(seed, edges, data):
    image, labels = segmented(seed, edges)
    tree, growth = grown(image, labels)
    segment = data.draw(st.integers(1, tree.count))
    level, sizes = 0, [size_at(growth, labels, segment, 0)]
    while True:
        new = growth.grown(segment, level)
        assert level <= new <= tree.count - 1
        if new == level:
            break
        level = new
        sizes.append(size_at(growth, labels, segment, level))
    assert sizes[-1] == (labels > 0).sum()
    assert all(after >= STEP * before for before, after in itertools.pairwise(sizes[:-1]))
    while level:
        new = growth.shrunk(segment, level)
        assert new < level
        now = size_at(growth, labels, segment, new)
        assert now * STEP <= size_at(growth, labels, segment, level) or new == 0
        level = new
    assert growth.shrunk(segment, 0) == 0


@given(st.integers(0, 200), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_step_is_one_connected_group_that_contains_the_step_before(seed, edges):
    image, labels = segmented(seed, edges)
    tree, growth = grown(image, labels)
    touching = borders(image, labels)
    for segment in range(1, tree.count + 1, 3):
        before = {segment}
        for level in growth.steps(segment):
            group = set(growth.group(segment, float(level)).tolist())
            assert before <= group
            reached, ends = {segment}, {segment}
            while ends:
                ends = {
                    b
                    for pair in zip(touching.a.tolist(), touching.b.tolist(), strict=True)
                    for a, b in (pair, pair[::-1])
                    if a in ends and b in group - reached
                }
                reached |= ends
            assert reached == group
            before = group


def test_a_merge_with_a_large_neighbour_has_steps_in_between():
    rng = np.random.default_rng(0)
    image = np.full((60, 60, 3), 120, np.uint8) + rng.integers(0, 3, (60, 60, 3), np.uint8)
    image[25:35, 25:35] = (200, 60, 60)
    labels = (np.arange(60)[:, None] // 5 * 12 + np.arange(60) // 5 + 1).astype(np.int32)
    tree, growth = grown(image, labels)
    segment = int(labels[30, 30])
    sizes = [size_at(growth, labels, segment, level) for level in growth.steps(segment)]
    assert sizes[0] == 25
    assert 100 in sizes  # the red square
    assert max(after / before for before, after in itertools.pairwise(sizes[2:])) < 1.7
    assert len(sizes) > 12
    red = labels_at(tree, 2)
    assert (np.isin(labels, growth.group(segment, tree.count - 2)) == (red == red[30, 30])).all()


@given(st.integers(0, 100), st.data())
@settings(max_examples=40, deadline=None)
def test_from_any_level_the_ways_never_cross(seed, data):
    image, labels = segmented(seed)
    tree, growth = grown(image, labels)
    segment = data.draw(st.integers(1, tree.count))
    level = data.draw(st.integers(0, tree.count - 1))
    group = set(growth.group(segment, level).tolist())
    assert group <= set(growth.group(segment, growth.grown(segment, level)).tolist())
    assert set(growth.group(segment, growth.shrunk(segment, level)).tolist()) <= group
    assert growth.shrunk(segment, level) <= level


def test_a_real_picture(photos):
    image = icas.read_image(photos / "coffee-1.png")
    labels = icas.segment(image, "superpixel")
    tree, growth = grown(image, labels)
    assert (tree.merges == icas.merge_tree(image, labels).merges).all()
    for level in (0, 1, tree.count // 2, tree.count - 5, tree.count - 1):
        found = icas.labels_at(tree, tree.count - level)
        for segment in range(1, tree.count + 1, 37):
            inside = found == found[labels == segment][0]
            assert (np.isin(labels, growth.group(segment, level)) == inside).all()


@pytest.mark.parametrize("count", [0, 1])
def test_a_picture_of_one_segment_or_none(count):
    labels = np.full((3, 4), count, np.int32)
    tree, growth = grown(np.zeros((3, 4, 3), np.uint8), labels)
    assert isinstance(tree, MergeTree)
    if count:
        assert growth.group(1, 0).tolist() == [1]
        assert growth.grown(1, 0) == growth.shrunk(1, 0) == 0
