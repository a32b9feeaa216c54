"""Values of the wrong type give one UsageError that names what is wrong, in Python too."""

from __future__ import annotations

import numpy as np
import pytest

import icas

IMAGE = np.zeros((20, 20, 3), np.uint8)
MAP = np.ones((20, 20), np.int32)
WRONG = {
    "features": lambda: icas.links(None, 0.5),
    "labels": lambda: icas.merge_tree(IMAGE, None),
    "labels: expected a 2-D": lambda: icas.PaintDocument(IMAGE, MAP.astype(float)),
    "shape mismatch": lambda: icas.PaintDocument(IMAGE, MAP[1:]),
    "colour 'red'": lambda: icas.PaintDocument(IMAGE, MAP).fill(0, 0, "red"),
    "k 'a'": lambda: icas.kmeans_colors(IMAGE, "a"),
    "two 1-D sequences": lambda: icas.evaluate(None, None),
    "path": lambda: icas.read_image(None),
    "folder: expected a path, got None": lambda: icas.find_images(None),
    "dst: expected a path, got None": lambda: icas.undo(None),
    "dst: expected a path, got a dict": lambda: icas.recut({}, 0.5),
    "dst: expected a path, got a list": lambda: icas.split([], 0),
    "dst: expected a path, got a bytes": lambda: icas.add(b"out", "new"),
    "batch_size 'x'": lambda: icas.ImageClusterer("tm", batch_size="x").fit([IMAGE, IMAGE]),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_value_of_the_wrong_type_is_one_line(said):
    with pytest.raises(icas.UsageError) as error:
        WRONG[said]()
    assert said in str(error.value)
    assert "\n" not in str(error.value)
