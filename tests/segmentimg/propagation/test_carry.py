"""Masks carried from painted images to others."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from scenes import BLUE, GREEN, RED, SAND, iou, scene

from icas.segmentimg.propagation.carry import Painted, carry
from icas.segmentimg.propagation.features import image_features

HORSE, RIDER = ("horse", 1), ("rider", 1)


def painted(image, masks):
    return Painted.of(image_features(image), masks)


def test_a_copy_gets_the_same_mask_with_high_confidence():
    image, (mask,) = scene([((60, 70), 30, RED)])
    moved = np.roll(image, (4, 9), (0, 1))
    result = carry(image_features(moved), [painted(image, {HORSE: mask})])
    assert iou(result.masks[HORSE], np.roll(mask, (4, 9), (0, 1))) > 0.93
    assert result.confidence > 0.8
    assert result.source == 0
    assert not result.absent


def test_an_object_on_another_background_is_found():
    image, (mask,) = scene([((60, 60), 28, RED)])
    other, (true,) = scene([((50, 110), 24, RED)], background=5, colors=GREEN)
    result = carry(image_features(other), [painted(image, {HORSE: mask})])
    assert iou(result.masks[HORSE], true) > 0.8


def test_two_classes_are_carried_and_are_disjoint():
    image, masks = scene([((60, 45), 28, RED), ((60, 115), 28, BLUE)])
    other, true = scene([((55, 55), 28, RED), ((65, 120), 28, BLUE)], background=3)
    source = painted(image, dict(zip((HORSE, RIDER), masks, strict=True)))
    result = carry(image_features(other), [source])
    assert [
        iou(result.masks[key], mask) > 0.8 for key, mask in zip(source.shares, true, strict=True)
    ]
    assert not (result.masks[HORSE] & result.masks[RIDER]).any()


def test_objects_of_one_class_keep_their_numbers():
    image, masks = scene([((60, 40), 26, RED), ((60, 120), 26, RED)])
    source = painted(image, {("horse", k + 1): mask for k, mask in enumerate(masks)})
    moved = np.roll(image, (5, 6), (0, 1))
    result = carry(image_features(moved), [source])
    for number, mask in enumerate(masks):
        assert iou(result.masks["horse", number + 1], np.roll(mask, (5, 6), (0, 1))) > 0.85


def test_an_image_without_the_object_has_it_absent():
    image, (mask,) = scene([((60, 70), 25, RED)])
    other, _ = scene([], background=7, colors=GREEN)
    result = carry(image_features(other), [painted(image, {HORSE: mask})])
    assert result.is_absent
    assert result.absent == {HORSE}
    assert result.route == "absent"
    assert result.masks == {}


def test_a_painted_image_without_a_class_is_evidence_against_it():
    image, (mask,) = scene([((60, 60), 28, RED)])
    without, _ = scene([], background=2)
    other, (true,) = scene([((70, 90), 28, RED)], background=2)
    sources = [painted(image, {HORSE: mask}), painted(without, {})]
    result = carry(image_features(other), sources)
    assert iou(result.masks[HORSE], true) > 0.8


def test_the_result_depends_on_neither_the_order_of_painted_images_nor_the_run():
    images = [scene([((60, 50 + 8 * k), 26, RED)], background=k) for k in range(3)]
    sources = [painted(image, {HORSE: mask}) for image, (mask,) in images]
    target = image_features(scene([((64, 90), 26, RED)], background=9)[0])
    results = [carry(target, order) for order in (sources, sources, sources[::-1])]
    for result in results[1:]:
        assert np.array_equal(result.masks[HORSE], results[0].masks[HORSE])
        assert result.confidence == pytest.approx(results[0].confidence, abs=1e-6)


def test_masks_come_back_at_the_size_of_the_image():
    image, (mask,) = scene([((60, 70), 30, RED)])
    size = (1600, 1200)
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    whole = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    source = Painted.of(image_features(large), {HORSE: whole})
    moved = np.roll(large, 60, axis=1)
    full = carry(image_features(moved), [source]).full_size(moved)
    assert full[HORSE].shape == (1200, 1600)
    assert iou(full[HORSE], np.roll(whole, 60, axis=1)) > 0.93


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (9, 9), (40, 31)])
def test_images_of_any_shape_are_taken(shape):
    image = scene([], shape=shape, colors=SAND)[0]
    mask = np.zeros(shape, bool)
    mask[0, 0] = True
    features = image_features(image)
    result = carry(features, [Painted.of(features, {HORSE: mask})])
    for found in result.full_size(image).values():
        assert found.shape == shape


def test_results_and_sources_can_be_sent_to_other_processes():
    image, (mask,) = scene([((60, 70), 30, RED)])
    source = painted(image, {HORSE: mask})
    result = carry(source.features, [pickle.loads(pickle.dumps(source))])
    again = pickle.loads(pickle.dumps(result))
    assert np.array_equal(again.masks[HORSE], result.masks[HORSE])


def test_no_painted_image_is_an_error():
    with pytest.raises(ValueError, match="no painted image"):
        carry(image_features(scene([])[0]), [])
