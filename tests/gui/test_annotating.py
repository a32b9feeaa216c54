"""Boxes, strokes and points in real windows, against the same marks without windows."""

from __future__ import annotations

import numpy as np
import pytest

import icas
from icas.segmentimg.grabcut.annotation import Annotation
from icas.segmentimg.grabcut.api import GrabCutSession
from icas.segmentimg.labels.labels import connected
from icas.segmentimg.sam.predictor import Prompts, Refinement
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.session.annotations import AnnotationLayer, Stroke
from icas.segmentimg.windows.annotation_views import (
    ANNOTATIONS,
    BOX_ROUNDS,
    BRUSH_SIZE,
    SEGMENTS,
)

pytestmark = pytest.mark.gui

RED = (204, 0, 0)


PLACES = {"Annotations": (6, 40, 240, 160), "Painting": (270, 40, 240, 160)}
HIGHER = {name: (x, y, 240, 230) for name, (x, y, *_) in PLACES.items()}
"""With space for the slider."""


def marked(driver, image=None):
    driver.until("the annotations are there", lambda: driver.box(ANNOTATIONS)[2] > 1)
    driver.until("the message shows", lambda: driver.shown(ANNOTATIONS).any())
    if image is not None:
        driver.until("the slider is there", lambda: still(driver, ANNOTATIONS))
        shown = driver.shown(ANNOTATIONS)
        rows = [row for row in range(len(shown)) if (shown[row, :240] == image[0]).all()]
        driver.origins = {ANNOTATIONS: (rows[0], 0)}


def painted(driver, place):
    """On to painting, a click, a save, the end."""
    driver.press("f", window=ANNOTATIONS)
    driver.until("the painting window is there", lambda: driver.box("Painting")[2] > 1)
    driver.until("the colours are there", lambda: driver.find("Colours"))
    assert not driver.find(ANNOTATIONS)
    driver.click(place)
    driver.press("s")
    return driver.end("q")


def mask_of(out, name):
    from PIL import Image

    return np.array(Image.open(out / f"{name}_mask_(R:204,G:0,B:0).png")) > 0


def test_a_box_and_strokes_cut_an_object_out(start, pictures, tmp_path):
    out = tmp_path / "out"
    path = pictures / "coffee.png"
    places = {**HIGHER, "Painting": PLACES["Painting"]}
    driver = start(path, "--method", "grabcut", "--out", out, places=places)
    marked(driver, icas.read_image(path))
    driver.until("the windows are there", lambda: still(driver))
    before = driver.shown(SEGMENTS)
    driver.drag([(30, 50), (90, 120), (139, 209)], "middle", window=ANNOTATIONS)
    driver.until("a round shows", lambda: (driver.shown(SEGMENTS) != before).any())
    driver.until("a round ends", lambda: (driver.shown(SEGMENTS)[20:60] < before[20:60]).any())
    driver.drag([(60, 100), (70, 110), (80, 130)], window=ANNOTATIONS)
    driver.drag([(150, 20), (150, 60)], "right", window=ANNOTATIONS)
    driver.drag([(35, 60), (35, 70)], "right", hold="ctrl", window=ANNOTATIONS)
    driver.press("z", window=ANNOTATIONS)  # starts again with the box and two strokes
    driver.until("no round is under way", lambda: still(driver))
    ended = painted(driver, (70, 110))
    assert (ended.code, ended.err) == (0, "")

    image = icas.read_image(path)
    sketch, cut = AnnotationLayer(image.shape[:2]), GrabCutSession(image)
    sketch.add((30, 140, 50, 210))
    sketch.add(Stroke(1, BRUSH_SIZE, ((60, 100), (70, 110), (80, 130))))
    sketch.add(Stroke(2, BRUSH_SIZE, ((150, 20), (150, 60))))
    mask = cut.run(Annotation(sketch.boxes, sketch.strokes), BOX_ROUNDS)
    labels = connected(mask.astype(np.int32))
    assert (mask_of(out, "coffee") == (labels == labels[70, 110])).all()


def still(driver, window=SEGMENTS):
    """Whether a window has stood still for longer than the clock of a round ticks."""
    import time

    before = driver.shown(window)
    time.sleep(0.6)
    after = driver.shown(window)
    return bool(after.size) and after.shape == before.shape and bool((after == before).all())


def test_points_and_a_box_ask_the_model(start, pictures, tmp_path, checkpoint, monkeypatch):
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    path = pictures / "coffee.png"
    words = ["--method", "sam", "--sam-checkpoint", checkpoint, "--out", out]
    driver = start(path, *words, places=PLACES)
    marked(driver)
    before = driver.shown(ANNOTATIONS)
    driver.drag([(30, 50), (139, 209)], "middle", window=ANNOTATIONS)
    driver.click((70, 110), window=ANNOTATIONS)
    driver.click((40, 60), "right", window=ANNOTATIONS)
    driver.until(
        "a mask shows", lambda: (driver.shown(ANNOTATIONS)[:100] != before[:100]).mean() > 0.1
    )
    driver.until("all points count", lambda: still(driver, ANNOTATIONS))
    first = driver.shown(ANNOTATIONS)
    driver.press("m", window=ANNOTATIONS)
    driver.until("another mask shows", lambda: (driver.shown(ANNOTATIONS) != first).any())
    ended = painted(driver, (70, 110))
    assert (ended.code, ended.err) == (0, "")

    image = icas.read_image(path)
    box, points = (50, 30, 210, 140), ((110, 70, 1), (60, 40, 0))
    segmenter = make_segmenter("sam", checkpoint=checkpoint, cache="none", mode="prompt")
    steps = [(Prompts((box,), points[:count]), 0) for count in range(3)]
    mask = Refinement(segmenter.annotator(image)).predict(steps).candidate(1)
    labels = connected(mask.astype(np.int32))
    assert (mask_of(out, "coffee") == (labels == labels[70, 110])).all()


def test_strokes_show_at_once_and_enter_paints(start, pictures, tmp_path):
    out = tmp_path / "out"
    path = pictures / "coffee.png"
    places = {**HIGHER, "Painting": PLACES["Painting"]}
    driver = start(path, "--method", "grabcut", "--out", out, places=places)
    marked(driver, icas.read_image(path))
    driver.until("the windows are there", lambda: still(driver))
    before = driver.shown(SEGMENTS)
    driver.drag([(60, 100), (70, 110), (80, 130)], window=ANNOTATIONS)

    def changed():
        now = driver.shown(SEGMENTS)
        return now.shape == before.shape and (now != before).mean() > 0.1

    driver.until("the object shows", changed)
    driver.drag([(150, 20), (150, 60)], "right", window=ANNOTATIONS)
    driver.press("Return", window=ANNOTATIONS)  # accepted as soon as it is computed
    driver.until("the colours are there", lambda: driver.find("Colours"))
    assert not driver.find(ANNOTATIONS)
    driver.press("s")
    ended = driver.end("q")
    assert (ended.code, ended.err) == (0, "")

    image = icas.read_image(path)
    sketch = AnnotationLayer(image.shape[:2])
    sketch.add(Stroke(1, BRUSH_SIZE, ((60, 100), (70, 110), (80, 130))))
    sketch.add(Stroke(2, BRUSH_SIZE, ((150, 20), (150, 60))))
    wanted = GrabCutSession(image).round(Annotation((), sketch.strokes))
    assert (mask_of(out, "coffee") == wanted).all()
