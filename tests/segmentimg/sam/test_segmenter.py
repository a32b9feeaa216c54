"""The method ``sam``: automatic masks make a partition; boxes and points make a mask."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from skimage.measure import label

import icas
from icas.common.registry import Entry
from icas.segmentimg.labels.labels import rows_of
from icas.segmentimg.sam.automatic import (
    AutomaticOptions,
    automatic_labels,
    automatic_masks,
    layers_with_pixels,
)
from icas.segmentimg.sam.embedding import (
    Embedder,
    EmbeddingCache,
    default_cache_folder,
    load_shared,
)
from icas.segmentimg.segmenters import SEGMENTERS
from icas.segmentimg.segmenters.sam import SamSegmenter

ANY = {
    "pred_iou_thresh": -10,
    "stability_score_thresh": -1,
    "box_nms_thresh": 1.0,
    "points_per_side": 4,
}
"""What random weights need, to give many masks that overlap."""
BOX, POINT = (20, 15, 120, 110), (30, 40, 1)


@pytest.fixture(scope="module")
def small(photo):
    return np.ascontiguousarray(photo[::2, ::2])


@pytest.fixture(autouse=True)
def _in_the_table(monkeypatch):
    row = Entry("icas.segmentimg.segmenters.sam:SamSegmenter", "Segment Anything")
    monkeypatch.setitem(SEGMENTERS, "sam", row)


def obeys_the_law(labels, shape):
    assert labels.dtype == np.int32
    assert labels.shape == shape
    assert labels.min() == 1
    assert set(np.unique(labels)) == set(range(1, labels.max() + 1))
    assert label(labels, background=0, connectivity=1).max() == labels.max()


def generated(reference, image, **options):
    from segment_anything import SamAutomaticMaskGenerator

    return SamAutomaticMaskGenerator(reference, **ANY, **options).generate(image)


@pytest.mark.parametrize("options", [{}, {"crop_n_layers": 1}, {"min_mask_region_area": 30}])
def test_the_masks_are_the_generators_the_best_first(reference, checkpoint, small, options):
    theirs = generated(reference, small, points_per_batch=16, **options)
    embedder = Embedder(load_shared(checkpoint, device="cpu"))
    ours = automatic_masks(embedder, small, AutomaticOptions(**ANY, **options))
    assert len(ours) == len(theirs) > 20
    expected = sorted(theirs, key=lambda one: (-one["predicted_iou"], -one["area"]))
    for one, other in zip(ours, expected, strict=True):
        whole = np.zeros(small.shape[:2], bool)
        whole[rows_of(one.cropped.box)] = one.cropped.pixels
        assert (whole == other["segmentation"]).all()
        assert one.quality == other["predicted_iou"]


@pytest.mark.parametrize("min_size", [1, 60])
def test_the_partition_obeys_the_law_and_covers_every_mask(reference, checkpoint, small, min_size):
    theirs = generated(reference, small, points_per_batch=16)
    theirs.sort(key=lambda one: (-one["predicted_iou"], -one["area"]))
    labels = icas.segment(
        small, "sam", checkpoint=checkpoint, device="cpu", min_size=min_size, **ANY
    )
    obeys_the_law(labels, small.shape[:2])
    masks = [one["segmentation"] for one in theirs if one["area"]]
    union = np.logical_or.reduce(masks)
    for number in range(1, labels.max() + 1):
        here = labels == number
        if min_size == 1:
            assert union[here].all() or not union[here].any()  # the rest is segments of its own
        if union[here].any():  # a segment lies in one mask
            assert any((mask | ~union)[here].all() for mask in masks)
    # by quality order: each mask keeps what no better one has and no later part takes
    free = np.ones(small.shape[:2], bool)
    for place, mask in enumerate(masks):
        parts = [np.zeros_like(mask), *masks[place + 1 :]]
        own = mask & free & ~np.logical_or.reduce(parts)
        outside = ~mask & union
        assert not set(labels[own]) & set(labels[outside])
        free &= ~mask


def test_a_partition_without_any_mask_is_one_segment(checkpoint, small):
    labels = icas.segment(small, "sam", checkpoint=checkpoint, device="cpu", pred_iou_thresh=900)
    assert (labels == 1).all()


SHAPES = [(1, 1), (1, 40), (40, 1), (2, 2), (9, 100), (90, 20)]


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        *((shape, 0) for shape in SHAPES),
        *((shape, 2) for shape in SHAPES[:4]),
        *(pytest.param(shape, 2, marks=pytest.mark.slow) for shape in SHAPES[4:]),
    ],
)
def test_the_law_on_awkward_pictures(checkpoint, shape, layers):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    options = {**ANY, "points_per_side": 2, "crop_n_layers": layers}
    labels = icas.segment(image, "sam", checkpoint=checkpoint, device="cpu", **options)
    obeys_the_law(labels, shape)
    again = icas.segment(image, "sam", checkpoint=checkpoint, device="cpu", **options)
    assert (labels == again).all()


@pytest.mark.parametrize("ratio", [0, 512 / 1500, 0.9])
def test_no_crop_is_empty(torch, ratio):
    from segment_anything.utils.amg import generate_crop_boxes

    assert layers_with_pixels((1, 1), 4, ratio) == 0
    assert layers_with_pixels((600, 800), 4, ratio) == 4
    for size in [(1, 9), (2, 2), (3, 70), (17, 5), (40, 33), (64, 64)]:
        layers = layers_with_pixels(size, 4, ratio)
        boxes, _ = generate_crop_boxes(size, layers, ratio)
        assert all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in boxes)


def test_points_a_side_go_by_the_device(checkpoint, small, monkeypatch):
    import segment_anything

    seen = []
    real = segment_anything.SamAutomaticMaskGenerator

    def made(sam, **options):
        seen.append(options["points_per_side"])
        return real(sam, **options)

    monkeypatch.setattr(segment_anything, "SamAutomaticMaskGenerator", made)
    embedder = Embedder(load_shared(checkpoint, device="cpu"))
    automatic_labels(embedder, small, AutomaticOptions())
    automatic_labels(embedder, small, AutomaticOptions(points_per_side=3))
    assert seen == [8, 3]


def test_the_second_run_computes_no_embedding(checkpoint, small, tmp_path):
    options = AutomaticOptions(**ANY, crop_n_layers=1)
    found = []
    for expected in (5, 0):
        cache = EmbeddingCache(tmp_path / "kept")
        embedder = Embedder(load_shared(checkpoint, device="cpu"), cache)
        found.append(automatic_labels(embedder, small, options))
        assert embedder.computed == expected
    assert (found[0] == found[1]).all()


def test_prompts_give_object_and_background(reference, checkpoint, photo):
    from segment_anything import SamPredictor

    theirs = SamPredictor(reference)
    theirs.set_image(photo)
    masks, quality, _ = theirs.predict(np.array([POINT[:2]]), np.array([1]), np.array(BOX))
    mask = masks[np.argmax(quality)]
    labels = icas.segment(
        photo, "sam", checkpoint=checkpoint, device="cpu", boxes=[BOX], points=[POINT]
    )
    obeys_the_law(labels, photo.shape[:2])
    for number in range(1, labels.max() + 1):
        assert len(set(mask[labels == number])) == 1
    # a border of the mask is a border of segments
    assert ((mask[1:] != mask[:-1]) <= (labels[1:] != labels[:-1])).all()
    assert len(list(default_cache_folder().iterdir())) == 1


def test_cache_in_a_folder_or_nowhere(checkpoint, photo, tmp_path):
    made = SamSegmenter(checkpoint=checkpoint, device="cpu", boxes=(BOX,), cache=tmp_path / "here")
    made.groups(photo)
    assert len(list((tmp_path / "here").iterdir())) == 1
    replace(made, cache="none").groups(photo)
    assert not default_cache_folder().exists()


def test_its_options_go_into_the_record(checkpoint):
    made = SamSegmenter(checkpoint=checkpoint, boxes=[BOX], points=[(3, 4)])
    reported = json.loads(json.dumps(asdict(made)))
    assert reported["checkpoint"] == str(checkpoint)
    assert reported["boxes"] == [list(BOX)]
    assert reported["points"] == [[3, 4, 1]]
    assert made.full_size
    assert not SamSegmenter(checkpoint=checkpoint).full_size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "both"}, "both: choose from prompt, auto"),
        ({"model": "vit_x"}, "vit_x: choose from vit_b, vit_l, vit_h, vit_t"),
        ({"device": "gpu"}, "device gpu: choose from auto, cpu, cuda"),
        ({"mode": "auto", "boxes": [BOX]}, "auto takes no boxes or points"),
        ({"mode": "prompt"}, "give a box or a foreground point"),
        ({"points": [(1, 2, 0)]}, "give a box or a foreground point"),
        ({"points": [(900, 2)]}, "point 900,2 is outside the image"),
        ({"boxes": [(1, 2, 3)]}, "box 1,2,3: expected 4 numbers"),
        ({"points_per_side": 0}, "points_per_side 0"),
        (
            {"points_per_side": 3, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2},
            "points_per_side 3: must be at least 4",
        ),
        ({"model": "vit_b"}, "model vit_b: "),
        ({"wrong": 1}, "unknown keyword wrong"),
    ],
)
def test_wrong_options_are_reported(checkpoint, photo, options, words):
    with pytest.raises(icas.UsageError, match=words):
        icas.segment(photo, "sam", checkpoint=checkpoint, **options)


def test_no_checkpoint_is_reported_before_anything_else():
    with pytest.raises(icas.UsageError, match=r"checkpoint FILE: .*weights get"):
        icas.segment(np.zeros((4, 4, 3), np.uint8), "sam")
    with pytest.raises(icas.UsageError, match="no such file"):
        icas.segment(np.zeros((4, 4, 3), np.uint8), "sam", checkpoint="nowhere.pth")
