"""Cutting one object out: strokes are kept, the rectangle alone is OpenCV's, nonsense is named."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.common.errors import UsageError
from icas.segmentimg.grabcut.annotation import (
    Annotation,
    box_of,
    parse_box,
    parse_point,
    point_strokes,
)
from icas.segmentimg.grabcut.api import GrabCutSession, grabcut
from icas.segmentimg.grabcut.full_size import reduce_annotation
from icas.segmentimg.grabcut.mixtures import Mixture
from icas.segmentimg.segmenters.grabcut import GrabCut

SHAPE = (90, 120)


def disc(shape=SHAPE, centre=(45, 60), radius=22):
    rows, columns = np.indices(shape)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2


def picture(object_mask, seed=0):
    rng = np.random.default_rng(seed)
    image = np.where(object_mask[..., None], (200, 90, 40), (40, 90, 160))
    return np.clip(image + rng.normal(0, 14, image.shape), 0, 255).astype(np.uint8)


def at(rows, columns, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


DISC = disc()
IMAGE = picture(DISC)
INSIDE = at(slice(40, 50), slice(55, 66))
OUTSIDE = at(slice(3, 8), slice(10, 110))


def iou(a, b):
    return (a & b).sum() / max(1, (a | b).sum())


def opencv(image, kinds, rounds=5):
    found, back, front = kinds.copy(), np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, found, None, back, front, rounds, cv2.GC_INIT_WITH_MASK)
    return (found & 1) > 0


@pytest.mark.parametrize(
    "said",
    [
        {"box": (30, 15, 90, 75)},
        {"box": [(30, 15, 60, 75), (58, 15, 90, 75)]},
        {"box": (90, 75, 30, 15)},
        {"foreground": INSIDE, "background": OUTSIDE},
        {"foreground": INSIDE},
        {"background": OUTSIDE},
        {"probable_foreground": INSIDE, "probable_background": OUTSIDE},
        {"box": (30, 15, 90, 75), "foreground": INSIDE, "background": OUTSIDE},
        {"box": (0, 0, 120, 90), "background": OUTSIDE},
        {"box": (30, 15, 61, 75), "foreground": INSIDE},
        {"box": (-20, 15, 90, 75)},
    ],
)
def test_a_plain_object_is_found_by_whatever_is_said(said):
    mask = grabcut(IMAGE, **said)
    assert mask.shape == SHAPE
    assert mask.dtype == np.bool_
    assert iou(mask, DISC) > 0.97
    assert (mask == grabcut(IMAGE, **said)).all()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "no annotation"),
        ({"box": ()}, "no annotation"),
        ({"foreground": np.zeros(SHAPE, bool)}, "no annotation"),
        ({"box": (0, 0, 120, 90)}, "whole image"),
        ({"box": (-5, -5, 500, 500), "foreground": INSIDE}, "whole image"),
        ({"box": (10, 10, 10, 50)}, "no area"),
        ({"box": (200, 10, 300, 50)}, "outside the image"),
        ({"box": (1, 2, 3)}, "four numbers"),
        ({"box": "abc"}, "x0, y0, x1, y1"),
        ({"foreground": np.ones((3, 3), bool)}, "shape"),
        ({"box": (1, 1, 9, 9), "rounds": 0}, "rounds 0"),
    ],
)
def test_what_is_missing_is_said(said, words):
    with pytest.raises(UsageError, match=words):
        grabcut(IMAGE, **said)


def test_a_rectangle_alone_is_opencv():
    kinds = np.zeros(SHAPE, np.uint8)
    kinds[15:75, 30:90] = cv2.GC_PR_FGD
    assert (grabcut(IMAGE, (30, 15, 90, 75), rounds=1) == opencv(IMAGE, kinds, 1)).all()
    assert iou(grabcut(IMAGE, (30, 15, 90, 75)), opencv(IMAGE, kinds)) > 0.99


def test_outside_the_rectangle_is_background_unless_strokes_lie_there():
    two = disc(centre=(45, 30), radius=16) | disc(centre=(45, 90), radius=16)
    image = picture(two)
    box = (8, 20, 52, 70)
    assert not grabcut(image, box)[:, 52:].any()
    with_stroke = grabcut(image, box, foreground=at(slice(43, 47), slice(86, 94)))
    assert iou(with_stroke, two) > 0.95


def strokes_maps():
    patch = st.tuples(
        st.integers(0, 28),
        st.integers(0, 38),
        st.integers(1, 12),
        st.integers(1, 12),
        st.integers(1, 4),
    )
    return st.lists(patch, max_size=5)


@given(
    strokes_maps(),
    st.lists(st.tuples(*[st.integers(-5, 45)] * 4), max_size=2),
    st.sampled_from(["noise", "flat", "two", "gray steps"]),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_sure_strokes_are_kept_on_any_picture(patches, corners, kind, rounds):
    shape = (30, 40)
    image = {
        "noise": np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8),
        "flat": np.full((*shape, 3), 90, np.uint8),
        "two": np.repeat(np.where(disc(shape, (15, 20), 8), 230, 20)[..., None], 3, 2),
        "gray steps": np.repeat((np.indices(shape)[1] * 6)[..., None], 3, 2),
    }[kind].astype(np.uint8)
    strokes = np.zeros(shape, np.uint8)
    for row, column, height, width, value in patches:
        strokes[row : row + height, column : column + width] = value
    masks = {
        name: strokes == value
        for value, name in enumerate(
            ("foreground", "background", "probable_foreground", "probable_background"), 1
        )
    }
    try:
        mask = grabcut(image, corners, rounds=rounds, **masks)
    except UsageError:
        return
    assert mask.shape == shape
    assert mask.dtype == np.bool_
    assert mask[strokes == 1].all()
    assert not mask[strokes == 2].any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (5, 9), (9, 300)])
def test_awkward_sizes(shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    front = np.zeros(shape, bool)
    front[0, 0] = True
    back = np.zeros(shape, bool)
    back[-1, -1] = True
    mask = grabcut(image, foreground=front, background=back & ~front)
    assert mask.shape == shape
    assert mask[0, 0]


def test_every_pixel_under_strokes():
    mask = grabcut(IMAGE, foreground=DISC, background=~DISC)
    assert (mask == DISC).all()
    assert grabcut(IMAGE, foreground=np.ones(SHAPE, bool)).all()
    assert not grabcut(IMAGE, background=np.ones(SHAPE, bool)).any()


def test_large_pictures_are_cut_smaller_and_keep_strokes_and_border():
    shape = (900, 1200)
    true = disc(shape, (450, 600), 220)
    image = picture(true)
    thin = at(450, slice(560, 640), shape)
    back = at(slice(0, 1200), 30, shape)
    mask = grabcut(image, foreground=thin, background=back)
    assert iou(mask, true) > 0.99
    assert mask[thin].all()
    assert not mask[back].any()
    box = (360, 210, 840, 690)
    kinds = np.zeros(shape, np.uint8)
    kinds[210:690, 360:840] = cv2.GC_PR_FGD
    assert iou(grabcut(image, box, rounds=1), opencv(image, kinds, 1)) > 0.985
    assert not grabcut(image, box)[~at(slice(210, 690), slice(360, 840), shape)].any()


@given(st.integers(1, 400), st.integers(1, 400), st.data())
@settings(max_examples=60, deadline=None)
def test_nothing_annotated_gets_lost_in_a_smaller_picture(height, width, data):
    strokes = np.zeros((height, width), np.uint8)
    row = data.draw(st.integers(0, height - 1))
    column = data.draw(st.integers(0, width - 1))
    value = data.draw(st.integers(1, 4))
    strokes[row, column] = value
    small = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    box = (row, row + 1, column, column + 1)
    found = reduce_annotation(Annotation((box,), strokes), small)
    assert set(np.unique(found.strokes)) - {0} == {value}
    assert found.inside().any()


def test_rounds_go_on_and_reset_forgets():
    strokes = np.zeros(SHAPE, np.uint8)
    strokes[INSIDE], strokes[OUTSIDE] = 1, 2
    for said in (Annotation((), strokes), Annotation(((15, 75, 30, 90),), np.zeros_like(strokes))):
        cutout = GrabCutSession(IMAGE)
        first = cutout.round(said)
        for _ in range(3):
            again = cutout.round(said)
        assert iou(again, DISC) > 0.97
        cutout.reset()
        assert (cutout.round(said) == first).all()


def test_new_strokes_count_in_the_next_round():
    cutout, nothing = GrabCutSession(IMAGE), np.zeros(SHAPE, np.uint8)
    cutout.round(Annotation(((15, 75, 30, 90),), nothing))
    strokes = nothing.copy()
    strokes[30:34, 50:60] = 2
    mask = cutout.round(Annotation(((15, 75, 30, 90),), strokes))
    assert not mask[30:34, 50:60].any()
    assert mask[45, 60]


def test_a_round_on_another_thread_gives_the_same():
    said = Annotation(((15, 75, 30, 90),), np.zeros(SHAPE, np.uint8))
    found = []
    thread = threading.Thread(target=lambda: found.append(GrabCutSession(IMAGE).round(said)))
    thread.start()
    thread.join()
    assert (found[0] == GrabCutSession(IMAGE).round(said)).all()


def test_inputs_are_spared():
    image, front = IMAGE.copy(), INSIDE.copy()
    grabcut(image, (30, 15, 90, 75), foreground=front)
    assert (image == IMAGE).all()
    assert (front == INSIDE).all()


def test_an_annotation_checks_itself():
    with pytest.raises(UsageError, match="box 5,5,5,9"):
        Annotation(((5, 9, 5, 5),), np.zeros(SHAPE, np.uint8))
    with pytest.raises(UsageError, match="0 to 4"):
        Annotation((), np.full(SHAPE, 5, np.uint8))
    with pytest.raises(UsageError, match="shape"):
        GrabCutSession(IMAGE).round(Annotation((), np.ones((4, 4), np.uint8)))


def test_boxes_and_points_as_typed():
    assert parse_box("1, 2,30,40") == (1, 2, 30, 40)
    assert parse_point("3,4,0") == (3, 4, 0)
    for text in ("1,2,3", "a,b,c,d", ""):
        with pytest.raises(ValueError, match="box like"):
            parse_box(text)
    for text in ("1,2,3", "1,2", "x,1,1"):
        with pytest.raises(ValueError, match="point like"):
            parse_point(text)
    assert box_of((30, 40, 1, 2), (35, 200)) == (2, 35, 1, 30)
    strokes = point_strokes([(60, 45, 1), (60, 45, 0)], SHAPE)
    assert strokes[45, 60] == 2
    with pytest.raises(UsageError, match="outside the image"):
        point_strokes([(120, 0, 1)], SHAPE)


def test_the_segmenter_gives_two_groups():
    by_box = GrabCut(boxes=((30, 15, 90, 75),)).groups(IMAGE)
    assert set(np.unique(by_box)) == {1, 2}
    assert iou(by_box == 2, DISC) > 0.97
    by_points = GrabCut(points=("60,45,1", "5,5,0")).groups(IMAGE)
    assert iou(by_points == 2, DISC) > 0.95
    assert GrabCut(boxes=(30, 15, 90, 75)) == GrabCut(boxes="30,15,90,75")
    with pytest.raises(UsageError, match="needs box"):
        GrabCut().groups(IMAGE)
    with pytest.raises(UsageError, match="point"):
        GrabCut(points=((1, 2, 3),))
    with pytest.raises(UsageError, match="rounds"):
        GrabCut(boxes=((1, 1, 9, 9),), rounds=0)


def test_a_raised_mixture_weighs_colours_so_many_times():
    colors = np.random.default_rng(0).normal(100, 20, (500, 3)).astype(np.float32)
    start = Mixture(
        np.array([1.0, 0, 0, 0, 0]), np.full((5, 3), 90.0), np.tile(np.eye(3), (5, 1, 1))
    )
    learned = start.fit(colors)
    assert np.allclose(learned.means[0], colors.mean(axis=0), atol=1e-3)
    assert np.allclose(Mixture.unpacked(learned.packed()).covariances, learned.covariances)
    plain = learned.negative_log_density(colors)[:, 0]
    raised = learned.raised(6.0).negative_log_density(colors)[:, 0]
    assert np.allclose(raised - raised[0], 6 * (plain - plain[0]), rtol=1e-3, atol=1e-2)
