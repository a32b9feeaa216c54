"""Masks carried between photographs, without a network."""

from __future__ import annotations

import cv2
import pytest
from scenes import iou

from icas.io.reading import read_image
from icas.segmentimg.propagation.carry import Painted, carry
from icas.segmentimg.propagation.features import image_features

KEY = ("object", 1)


@pytest.mark.parametrize(
    ("cluster", "least"), [("copies_153077", 0.95), ("davis_blackswan", 0.8), ("davis_cows", 0.75)]
)
def test_masks_are_carried_to_copies_and_to_frames_of_a_video(data, cluster, least):
    folder = data / "propagate" / cluster
    if not folder.is_dir():
        pytest.skip(f"no images at {folder}")
    (source, mask), (target, true) = (
        (
            image_features(read_image(folder / f"{number}.jpg")),
            read_image(folder / f"{number}_mask.png")[..., 0] > 127,
        )
        for number in ("02", "03")
    )
    result = carry(target, [Painted.of(source, {KEY: mask})])
    small = cv2.resize(true.astype("u1"), target.shape[::-1], interpolation=cv2.INTER_AREA) > 0
    assert iou(result.masks[KEY], small) > least
    assert result.confidence > 0.5
