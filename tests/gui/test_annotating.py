"""Boxes, strokes and points in real windows, against the same marks without windows."""

from __future__ import annotations

import numpy as np
import pytest

import icas
from icas.segmentimg.grabcut.annotation import Annotation
from icas.segmentimg.grabcut.api import CutOut
from icas.segmentimg.labels.labels import connected
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.windows.annotation import AnnotationLayer, Stroke
from icas.segmentimg.windows.annotation_views import ANNOTATIONS, BRUSH_SIZE, SEGMENTS

pytestmark = pytest.mark.gui

RED = (204, 0, 0)


def marked(hand):
    hand.until("the annotations are there", lambda: hand.box(ANNOTATIONS)[2] > 1)
    hand.until("the message shows", lambda: hand.shown(ANNOTATIONS).any())


def painted(hand, place):
    """On to painting, a click, a save, the end."""
    hand.press("f", window=ANNOTATIONS)
    hand.until("the painting window is there", lambda: hand.box("Painting")[2] > 1)
    hand.until("the colours are there", lambda: hand.find("Colours"))
    assert not hand.find(ANNOTATIONS)
    hand.click(place)
    hand.press("s")
    return hand.end("q")


def mask_of(out, name):
    from PIL import Image

    return np.array(Image.open(out / f"{name}_mask_(R:204,G:0,B:0).png")) > 0


def test_a_box_and_strokes_cut_an_object_out(start, pictures, tmp_path):
    out = tmp_path / "out"
    path = pictures / "coffee.png"
    hand = start(path, "--method", "grabcut", "--out", out)
    marked(hand)
    hand.drag([(30, 50), (90, 120), (139, 209)], "middle", window=ANNOTATIONS)
    before = hand.shown(SEGMENTS)
    hand.press("space", window=ANNOTATIONS)
    hand.until("a round shows", lambda: (hand.shown(SEGMENTS) != before).any())
    hand.until("a round ends", lambda: (hand.shown(SEGMENTS)[5, 5] < before[5, 5]).any())
    hand.drag([(60, 100), (70, 110), (80, 130)], window=ANNOTATIONS)
    hand.drag([(150, 20), (150, 60)], "right", window=ANNOTATIONS)
    hand.drag([(35, 60), (35, 70)], "right", hold="ctrl", window=ANNOTATIONS)
    hand.press("z", window=ANNOTATIONS)
    hand.press("space", window=ANNOTATIONS, shows=False)
    hand.until("no round is under way", lambda: still(hand))
    ended = painted(hand, (70, 110))
    assert (ended.code, ended.err) == (0, "")

    image = icas.read_image(path)
    sketch, cut = AnnotationLayer(image.shape[:2]), CutOut(image)
    sketch.add((30, 140, 50, 210))
    cut.round(Annotation(sketch.boxes, sketch.strokes.copy()))
    sketch.add(Stroke(1, BRUSH_SIZE, ((60, 100), (70, 110), (80, 130))))
    sketch.add(Stroke(2, BRUSH_SIZE, ((150, 20), (150, 60))))
    labels = connected(cut.round(Annotation(sketch.boxes, sketch.strokes)).astype(np.int32))
    assert (mask_of(out, "coffee") == (labels == labels[70, 110])).all()


def still(hand):
    """Whether the segments' window has stood still for longer than the clock of a round ticks."""
    import time

    before = hand.shown(SEGMENTS)
    time.sleep(0.6)
    return (hand.shown(SEGMENTS) == before).all()


def test_points_and_a_box_ask_the_model(start, pictures, tmp_path, checkpoint, monkeypatch):
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    path = pictures / "coffee.png"
    words = ["--method", "sam", "--sam-checkpoint", checkpoint, "--out", out]
    hand = start(path, *words)
    marked(hand)
    hand.drag([(30, 50), (139, 209)], "middle", window=ANNOTATIONS)
    hand.click((70, 110), window=ANNOTATIONS)
    hand.click((40, 60), "right", window=ANNOTATIONS)
    before = hand.shown(ANNOTATIONS)
    hand.press("space", window=ANNOTATIONS)
    hand.until("a mask shows", lambda: (hand.shown(ANNOTATIONS)[:100] != before[:100]).mean() > 0.1)
    first = hand.shown(ANNOTATIONS)
    hand.press("m", window=ANNOTATIONS)
    hand.until("another mask shows", lambda: (hand.shown(ANNOTATIONS) != first).any())
    ended = painted(hand, (70, 110))
    assert (ended.code, ended.err) == (0, "")

    image = icas.read_image(path)
    options = {"boxes": [(50, 30, 210, 140)], "points": [(110, 70, 1), (60, 40, 0)]}
    segmenter = make_segmenter("sam", checkpoint=checkpoint, cache="none", **options)
    mask = segmenter.guide(image).predict(segmenter.prompts).candidate(1)
    labels = connected(mask.astype(np.int32))
    assert (mask_of(out, "coffee") == (labels == labels[70, 110])).all()
