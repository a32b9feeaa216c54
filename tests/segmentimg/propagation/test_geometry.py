"""A mask placed on an estimate of another image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenes import RED, scene

from icas.segmentimg.propagation.combine import SECOND_SIGNALS, SIGNALS, second_signals
from icas.segmentimg.propagation.features import image_features
from icas.segmentimg.propagation.geometry import place


def triangle(shape: tuple[int, int], corners: list[tuple[int, int]]) -> np.ndarray:
    plane = np.zeros(shape, np.float32)
    cv2.fillPoly(plane, [np.array(corners, np.int32)], 1.0)
    return plane


MASK = triangle((120, 160), [(20, 20), (70, 30), (30, 80)])


@pytest.mark.parametrize(
    "corners",
    [
        [(80, 20), (130, 30), (90, 80)],  # moved
        [(60, 40), (135, 55), (75, 130)],  # moved and larger
        [(140, 20), (90, 30), (130, 80)],  # mirrored
    ],
)
def test_a_mask_is_placed_on_what_resembles_it(corners):
    true = triangle((160, 200), corners)
    placed = place(MASK, 0.8 * true + 0.01)
    assert placed.plane.shape == true.shape
    inside = placed.plane > 0.5
    assert (inside & (true > 0)).sum() > 0.75 * (inside | (true > 0)).sum()
    assert placed.overlap > 0.7


def test_a_hole_in_the_estimate_is_filled():
    true = triangle((120, 160), [(60, 20), (110, 30), (70, 80)])
    estimate = true.copy()
    estimate[35:45, 72:84] = 0
    assert place(MASK, estimate).plane[40, 78] > 0.8


def test_nothing_is_placed_without_a_mask_or_an_estimate():
    empty = np.zeros((120, 160), np.float32)
    for placed in (place(MASK, empty), place(empty, MASK)):
        assert placed.overlap == 0
        assert not placed.plane.any()


def test_of_several_painted_masks_the_one_that_fits_best_is_placed():
    image, (mask,) = scene([((60, 80), 26, RED)])
    graph = image_features(image).graph
    odds = 8 * graph.share(mask) - 4
    columns = np.zeros((graph.count, len(SIGNALS)), np.float32)
    disc = mask.astype(np.float32)
    placed = SECOND_SIGNALS.index("placed mask")
    alone = second_signals(graph, odds, columns, [disc])
    assert np.array_equal(second_signals(graph, odds, columns, [MASK, disc]), alone)
    assert not np.allclose(
        second_signals(graph, odds, columns, [MASK])[:, placed], alone[:, placed]
    )
