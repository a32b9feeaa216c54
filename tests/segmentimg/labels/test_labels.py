"""Label algebra, on arrays small enough to read."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from skimage.measure import label
from skimage.segmentation import find_boundaries

from icas.segmentimg.evaluation.scores import border_pixels
from icas.segmentimg.labels.labels import (
    absorb_small,
    borders,
    connected,
    filled,
    mean_colors,
    sizes_of,
)

maps = st.integers(0, 10**6).map(
    lambda seed: np.random.default_rng(seed).integers(0, 4, (7, 9)).astype(np.int32)
)


@given(maps)
@settings(deadline=None)
def test_connected_pieces_are_scikit_images(groups):
    found = connected(groups)
    assert found.min() == 1
    assert found.max() == label(groups, background=-1, connectivity=1).max()
    kept = connected(groups, edges=True)
    assert ((kept == 0) == (groups == 0)).all()
    for number in range(1, found.max() + 1):
        assert len(np.unique(groups[found == number])) == 1


def test_corners_do_not_connect():
    assert connected(np.array([[1, 2], [2, 1]])).tolist() == [[1, 2], [3, 4]]


@given(maps)
@settings(deadline=None)
def test_border_pixels_are_scikit_images_thick_boundaries(groups):
    expected = find_boundaries(groups, connectivity=1, mode="thick")
    assert (border_pixels(groups) == expected).all()


@given(maps, st.integers(0, 10**6), st.integers(1, 70))
@settings(deadline=None)
def test_no_small_segment_stays_beside_another(groups, seed, least):
    image = np.random.default_rng(seed).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    labels = connected(groups)
    found = absorb_small(image, labels, least)
    assert found.max() == 1 or (sizes_of(found)[1:] >= least).all()
    assert label(found, background=0, connectivity=1).max() == found.max()
    for number in range(1, labels.max() + 1):  # segments are joined, never cut
        assert len(np.unique(found[labels == number])) == 1


def test_a_small_segment_goes_to_the_nearest_colour():
    image = np.zeros((1, 7, 3), np.uint8)
    image[0, :, 0] = [10, 10, 10, 90, 200, 200, 200]
    labels = np.array([[1, 1, 1, 2, 3, 3, 3]], np.int32)
    assert absorb_small(image, labels, 2).tolist() == [[1, 1, 1, 1, 2, 2, 2]]


def test_borders_have_length_and_contrast():
    image = np.zeros((2, 3, 3), np.uint8)
    image[:, 1:] = [[[30, 40, 0]] * 2, [[0, 0, 100]] * 2]
    labels = np.array([[1, 2, 2], [1, 3, 3]], np.int32)
    found = borders(image, labels)
    assert found.a.tolist() == [1, 1, 2]
    assert found.b.tolist() == [2, 3, 3]
    assert found.length.tolist() == [1, 1, 2]
    assert found.contrast[:2].tolist() == [50, 100]


def test_edges_are_filled_by_the_nearest_segment():
    labels = np.array([[1, 0, 0, 0, 2]], np.int32)
    assert filled(labels).tolist()[0][1] == 1
    assert filled(labels).tolist()[0][3] == 2
    nothing = np.zeros((2, 2), np.int32)
    assert (filled(nothing) == 0).all()


def test_mean_colours():
    image = np.array([[[10, 0, 0], [20, 0, 0], [0, 0, 7]]], np.uint8)
    labels = np.array([[1, 1, 2]], np.int32)
    assert mean_colors(image, labels).tolist() == [[0, 0, 0], [15, 0, 0], [0, 0, 7]]
