"""icas.propagate: masks in memory, corrections, undo; misuse in one line."""

from __future__ import annotations

import numpy as np
import pytest
from carrying_images import mask_of, picture_of
from PIL import Image

import icas
from icas.io.reading import write_image


def images(count=4):
    return [picture_of(number) for number in range(count)]


def mask():
    return mask_of() > 0


@pytest.mark.usefixtures("copying")
def test_masks_have_the_size_of_their_images_and_the_kind_of_the_given_ones():
    done = icas.propagate(images(), {0: mask()})
    assert [one.dtype for one in done.masks] == [bool] * 4
    np.testing.assert_array_equal(done.masks[2], mask())
    assert done.sources.tolist() == [-1, 0, 0, 0]
    assert done.confidence[0] == 1
    done = icas.propagate(images(), {0: mask_of(3)})
    assert set(np.unique(done.masks[1])) == {0, 3}
    assert set(np.unique(done.instances[1])) == {0, 1}


@pytest.mark.usefixtures("copying")
def test_paths_pil_images_arrays_and_folders_are_the_same(tmp_path):
    given = images(3)
    for number, image in enumerate(given):
        write_image(tmp_path / f"{number}.png", image)
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    floats = [image / 255 for image in given]
    wanted = icas.propagate(given, {0: mask()}).confidence
    for other in (paths, tmp_path, map(Image.fromarray, given), floats):
        done = icas.propagate(other, {0: mask()})
        np.testing.assert_allclose(done.confidence, wanted, atol=1e-6)


@pytest.mark.usefixtures("copying")
def test_the_queue_is_sorted_and_corrections_redo_only_what_is_not_accepted():
    dark = [np.full((60, 80, 3), value, np.uint8) for value in (90, 60, 30, 0)]
    done = icas.propagate(dark, {3: mask()})
    assert done.states == ["carried", "carried", "carried", "painted"]
    assert done.queue() == [0, 1, 2]
    done.accept(2)
    kept = done.masks[2]
    fixed = np.roll(mask(), 7, axis=1)
    assert done.correct(0, fixed) == [1]
    assert done.states == ["fixed", "accepted", "accepted", "painted"]
    np.testing.assert_array_equal(done.masks[0], fixed)
    np.testing.assert_array_equal(done.masks[2], kept)
    assert done.undo()
    assert done.states == ["carried", "carried", "accepted", "painted"]
    done.reject(1)
    assert done.absent.tolist() == [False, True, False, False]
    assert done.undo()
    assert done.undo()
    assert not done.undo()
    assert done.queue() == [0, 1, 2]


@pytest.mark.usefixtures("copying")
def test_masks_stay_within_clusters():
    done = icas.propagate(images(), {0: mask()}, clusters=[0, 0, 1, -1])
    assert done.states[2:] == ["blank", "blank"]
    assert not done.masks[2].any()
    assert 2 in done.suggest(4)
    done.correct(2, mask())
    assert done.states == ["painted", done.states[1], "fixed", "blank"]


@pytest.mark.parametrize(("painted", "options", "text"), [
    ({}, {}, "no mask was given"),
    ({9: mask()}, {}, "image 9: must be 0 to 1"),
    ({0: np.zeros((3, 3), bool)}, {}, "3x3, but the image is 80x60"),
    ({0: np.zeros((60, 80))}, {}, "expected bool or class numbers"),
    ({0: -np.ones((60, 80), int)}, {}, "class numbers must be"),
    ({0: mask()}, {"clusters": [0]}, "expected 2 integers"),
    ({0: mask()}, {"accept": 2}, "must be 0 to 1"),
    ({0: mask()}, {"chain": "all"}, "choose from off, forest"),
    ({0: mask()}, {"instances": {1: mask_of()}}, "has no mask in painted"),
    ({0: mask()}, {"instances": {0: 0 * mask_of()}}, "where painted"),
    ({0: mask()}, {"weights": "missing.onnx"}, "missing.onnx"),
    ({0: mask()}, {"sam_checkpoint": "missing.onnx"}, "ENCODER.onnx"),
])  # fmt: skip
def test_misuse_is_one_line(painted, options, text):
    with pytest.raises(icas.UsageError) as caught:
        icas.propagate(images(2), painted, **options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given", [None, 3, b"x", picture_of(0), Image.new("RGB", (8, 8)), [], "no"]
)
def test_what_is_no_list_of_images_is_refused(given):
    with pytest.raises(icas.UsageError, match="images: "):
        icas.propagate(given, {0: mask()})


def test_the_same_masks_with_any_number_of_threads_and_chains_of_equal_images():
    given = [*images(3), images(1)[0]]
    one = icas.propagate(given, {0: mask()}, jobs=1, chain="forest")
    two = icas.propagate(given, {0: mask()}, jobs=2, chain="forest")
    for a, b in zip(one.masks, two.masks, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.confidence, two.confidence)
    overlap = (one.masks[3] & mask()).sum() / (one.masks[3] | mask()).sum()
    assert overlap > 0.9  # of an equal image
