"""Borders of carried masks: by GrabCut, and by a model prompted with them."""

from __future__ import annotations

import threading

import cv2
import numpy as np
from scenes import BLUE, RED, disc, iou, scene

from icas.segmentimg.propagation.carry import Painted, carry
from icas.segmentimg.propagation.features import image_features
from icas.segmentimg.propagation.refine import (
    SamRefinement,
    continued,
    to_border,
    without_small_parts,
)
from icas.segmentimg.sam.embedding import Embedder

KEY = ("horse", 1)
HALF = np.full((120, 160), 0.5, np.float32)


class Model:
    """In place of Segment Anything: returns given masks for any prompt, and keeps the prompts.

    `painted`: an image, and the mask that is returned for it instead.
    """

    identity = "model of a test"

    def __init__(self, *masks, painted=None):
        self.masks, self.prompts, self.given = np.stack(masks), [], []
        self.painted = painted
        self.alone = threading.RLock()

    def features_shape(self):
        return (1, 1, 64, 64)

    def features(self, image):
        is_painted = self.painted is not None and np.array_equal(image, self.painted[0])
        return np.full(self.features_shape(), is_painted, np.float32)

    def predict(self, features, size, prompt, mask_input):
        self.prompts.append(prompt)
        self.given.append(mask_input)
        masks = np.stack([self.painted[1]]) if features.any() else self.masks
        logits = np.stack([logits_of(mask) for mask in masks])
        return masks, np.linspace(1, 0.5, len(masks)), logits


def logits_of(mask):
    """A mask as logits of a square frame of 64 pixels."""
    height, width = mask.shape
    square = np.full((max(mask.shape),) * 2, -8, np.float32)
    square[:height, :width] = np.where(mask, 8, -8)
    return cv2.resize(square, (64, 64), interpolation=cv2.INTER_AREA)


def refined(model, image, mask, **options):
    share = np.where(mask, 0.9, 0.05).astype(np.float32)
    return SamRefinement(Embedder(model))(image, mask, share, **options)


def test_small_parts_are_dropped_and_small_holes_filled():
    mask = disc((100, 100), (50, 50), 30)
    marked = mask.copy()
    marked[2:4, 2:4] = True
    marked[50, 50] = False
    assert np.array_equal(without_small_parts(marked), mask)


def test_the_border_moves_to_the_edge_of_the_object():
    image, (true,) = scene([((60, 80), 30, RED)])
    rough = disc(true.shape, (60, 80), 27)
    assert iou(to_border(image, rough, HALF), true) > iou(rough, true)


def test_where_the_estimate_is_sure_the_border_stays():
    image, (true,) = scene([((60, 80), 30, RED)])
    rough = disc(true.shape, (60, 80), 27)
    sure = np.where(rough, 0.99, 0.01).astype(np.float32)
    assert np.array_equal(to_border(image, rough, sure), rough)


def test_a_mask_is_continued_where_its_image_ends():
    row = np.zeros((3, 9), bool)
    mask, beyond = row.copy(), row.copy()
    mask[:, 2:4] = True
    beyond[:, 4:6] = beyond[:, 7:] = True
    assert np.array_equal(continued(mask, beyond)[0], [0, 0, 1, 1, 1, 1, 0, 0, 0])
    assert np.array_equal(continued(row, beyond), beyond)


def test_empty_and_full_masks_stay_as_they_are():
    image, _ = scene([])
    for mask in (np.zeros(image.shape[:2], bool), np.ones(image.shape[:2], bool)):
        assert np.array_equal(to_border(image, mask, HALF), mask)


def test_prompts_are_boxes_points_and_masks():
    image, (true,) = scene([((60, 80), 30, RED)])
    model = Model(true, ~true)
    rough = disc(true.shape, (60, 80), 28)
    assert iou(refined(model, image, rough), true) > 0.95
    for prompt in model.prompts:
        x0, y0, x1, y1 = prompt["box"]
        assert x0 < 53 < 107 < x1
        assert y0 < 33 < 87 < y1
    with_points = [prompt for prompt in model.prompts if prompt["point_labels"] is not None]
    for prompt in with_points:
        labels, places = prompt["point_labels"], prompt["point_coords"]
        assert set(labels) == {0, 1}
        assert [true[int(y), int(x)] for x, y in places] == [bool(label) for label in labels]
    assert len(with_points) == 2
    assert any(one is None for one in model.given)
    for given in (one for one in model.given if one is not None):
        assert given.shape == (256, 256)
        inside = cv2.resize((given > 0).astype("u1"), (160, 160))[: true.shape[0]] > 0
        assert iou(inside, true) > 0.8


def test_masks_of_other_objects_are_not_used():
    image, (true,) = scene([((60, 80), 30, RED)])
    assert np.array_equal(refined(Model(~true), image, true), true)
    none = np.zeros_like(true)
    assert not refined(Model(true), image, none).any()


def test_large_parts_are_refined_apart_where_they_are_objects():
    image, masks = scene([((60, 40), 20, RED), ((60, 120), 20, RED)])
    left, right = masks[0], masks[1]
    model = Model(left)
    together = refined(model, image, left | right)
    assert iou(together, left) > 0.9
    apart = refined(model, image, left | right, apart=True)
    assert (apart & right).sum() > 0.9 * right.sum()
    assert iou(apart & left, left) > 0.9


def test_masks_of_a_model_are_used_where_it_reproduces_the_painted_mask():
    image, (mask,) = scene([((60, 60), 28, RED)])
    other, (_, true) = scene([((15, 15), 8, BLUE), ((70, 100), 28, RED)], background=4)
    source = Painted.of(image_features(image), {KEY: mask})
    target = image_features(other)
    by_model = disc(true.shape, (70, 100), 25)
    good, poor = (
        SamRefinement(Embedder(Model(by_model, painted=(image, one))))
        for one in (mask, disc(mask.shape, (60, 60), 15))
    )
    plain, result, without = (carry(target, [source], sam=sam) for sam in (None, good, poor))
    assert plain.route == without.route == "appearance"
    assert np.array_equal(without.masks[KEY], plain.masks[KEY])
    assert result.route == "sam"
    assert iou(result.masks[KEY], by_model) > iou(plain.masks[KEY], by_model)
