"""Borders of carried masks: by GrabCut, and by a model prompted with them."""

from __future__ import annotations

import threading

import numpy as np
from scenes import RED, disc, iou, scene

from icas.segmentimg.propagation.carry import Painted, carry
from icas.segmentimg.propagation.features import image_features
from icas.segmentimg.propagation.refine import SamRefinement, to_border, without_small_parts
from icas.segmentimg.sam.embedding import Embedder

KEY = ("horse", 1)


class Model:
    """In place of Segment Anything: returns given masks for any prompt, and keeps the prompts."""

    identity = "model of a test"

    def __init__(self, *masks):
        self.masks, self.prompts = np.stack(masks), []
        self.alone = threading.RLock()

    def features_shape(self):
        return (1, 1, 1, 1)

    def features(self, image):
        return np.zeros((1, 1, 1, 1), np.float32)

    def predict(self, features, size, prompt, mask_input):
        self.prompts.append(prompt)
        count = len(self.masks)
        return self.masks, np.linspace(1, 0.5, count), np.zeros((count, 4, 4), np.float32)


def test_small_parts_are_dropped_and_small_holes_filled():
    mask = disc((100, 100), (50, 50), 30)
    marked = mask.copy()
    marked[2:4, 2:4] = True
    marked[50, 50] = False
    assert np.array_equal(without_small_parts(marked), mask)


def test_the_border_moves_to_the_edge_of_the_object():
    image, (true,) = scene([((60, 80), 30, RED)])
    rough = disc(true.shape, (60, 80), 27)
    assert iou(to_border(image, rough), true) > iou(rough, true)


def test_empty_and_full_masks_stay_as_they_are():
    image, _ = scene([])
    for mask in (np.zeros(image.shape[:2], bool), np.ones(image.shape[:2], bool)):
        assert np.array_equal(to_border(image, mask), mask)


def test_prompts_are_a_box_around_the_mask_and_points_in_it():
    image, (true,) = scene([((60, 80), 30, RED)])
    model = Model(true, ~true)
    found = SamRefinement(Embedder(model))(image, [disc(true.shape, (60, 80), 28)])
    assert np.array_equal(found[0], true)
    (prompt,) = model.prompts
    x0, y0, x1, y1 = prompt["box"]
    assert x0 < 53 < 107 < x1
    assert y0 < 33 < 87 < y1
    assert all(true[int(y), int(x)] for x, y in prompt["point_coords"])
    assert set(prompt["point_labels"]) == {1}


def test_masks_of_other_objects_are_not_used():
    image, (true,) = scene([((60, 80), 30, RED)])
    refinement = SamRefinement(Embedder(Model(~true)))
    assert refinement(image, [true, np.zeros_like(true)]) == [None, None]


def test_a_mask_that_agrees_less_with_the_painted_one_is_not_used():
    image, (mask,) = scene([((60, 60), 28, RED)])
    other, (true,) = scene([((70, 100), 28, RED)], background=4)
    source, target = Painted.of(image_features(image), {KEY: mask}), image_features(other)
    plain = carry(target, [source])
    worse = SamRefinement(Embedder(Model(disc(true.shape, (70, 100), 23))))
    result = carry(target, [source], sam=worse)
    assert result.route in ("appearance", "geometry", "sam")
    assert iou(result.masks[KEY], true) >= iou(plain.masks[KEY], true) - 0.02
