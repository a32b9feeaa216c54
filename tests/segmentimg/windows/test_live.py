"""Masks that follow the annotations: the newest counts, and Enter paints it with the class."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.segmentimg.document.palette import default_palette
from icas.segmentimg.grabcut.api import GrabCutSession
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.session.open import ImageOpener
from icas.segmentimg.windows.annotation_views import ANNOTATIONS, SEGMENTS
from icas.segmentimg.windows.controller import COLORS, PAINTING
from icas.segmentimg.windows.events import Key, Mouse

RED, SHAPE = (204, 0, 0), (24, 32)


@dataclass
class Strokes:
    """A guide whose object is what is marked; the first rounds wait for a gate."""

    rounds: list[Any] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    resets: int = 0

    def round(self, annotation):
        self.rounds.append(annotation)
        if self.closed:
            assert self.gate.wait(10)
        if annotation.boxes and annotation.inside().all():
            raise UsageError("the box covers the whole image")
        return (annotation.strokes == 1) | annotation.inside()

    def reset(self):
        self.resets += 1


@dataclass
class Answer:
    mask: Any
    quality: tuple[float, ...] = (0.9,)

    def candidate(self, number):
        return self.mask


@dataclass
class Points:
    """A guide whose object is the points on it."""

    asked: list[Any] = field(default_factory=list)

    def predict(self, prompts):
        self.asked.append(prompts)
        mask = np.zeros(SHAPE, bool)
        for x, y, label in prompts.points:
            mask[int(y), int(x)] = label
        return Answer(mask)

    def refine(self, prompts, last, number):
        return self.predict(prompts)


@dataclass(frozen=True)
class Guided(Segmenter):
    name: ClassVar[str] = "grabcut"
    needs_annotation: ClassVar[bool] = True
    make: Any = field(default=Strokes, compare=False)
    made: Any = field(default_factory=list, compare=False, repr=False)

    def annotator(self, image):
        self.made.append(self.make(image) if self.make is GrabCutSession else self.make())
        return self.made[-1]

    def groups(self, image):
        raise AssertionError("needs annotations")


@dataclass(frozen=True)
class Pointed(Guided):
    name: ClassVar[str] = "sam"
    make: Any = field(default=Points, compare=False)


@pytest.fixture(autouse=True)
def plain_options(monkeypatch):
    from icas.segmentimg.formats import inputs

    monkeypatch.setattr(inputs, "asdict", lambda segmenter: {})


@pytest.fixture
def make(make_table):
    def making(segmenter):
        opener = ImageOpener(segmenter, 1_500_000, MAX_PIXELS, default_palette(), interactive=True)
        return make_table(opener=opener)

    return making


def events(table, kinds, pixels, button):
    to_window = table.controller._view.viewport.to_window
    return [
        Mouse(ANNOTATIONS, kind, *to_window(*pixel), button)
        for kind, pixel in zip(kinds, pixels, strict=True)
    ]


def drag(table, start, end, button):
    return events(table, ("down", "move", "up"), (start, end, end), button)


def click(table, pixel, button):
    return events(table, ("down", "up"), (pixel, pixel), button)


def settled(table):
    until = time.monotonic() + 10
    yield None
    while table.controller._view.task.busy:
        assert time.monotonic() < until, "still computing"
        yield None
    yield None


def test_each_stroke_updates_the_mask_without_a_key(make):
    segmenter = Guided()
    table = make(segmenter)

    def script(table):
        empty = table.shown[SEGMENTS]
        yield drag(table, (4, 4), (4, 20), "left")
        yield from settled(table)
        view, first = table.controller._view, table.controller._view.mask
        assert first[4, 4:21].all()
        assert (table.shown[SEGMENTS] != empty).any()
        yield drag(table, (16, 4), (16, 20), "left")
        yield from settled(table)
        assert view.mask[16, 4:21].all()
        yield Key("z")
        yield from settled(table)
        assert (view.mask == first).all()
        yield Key("z")
        assert view.mask is None  # nothing is marked
        until = time.monotonic() + 10
        while segmenter.made[0].resets < 2:  # an undone stroke leaves no trace in the rounds
            assert time.monotonic() < until
            yield None
        yield Key("q")

    table.play(script)


def test_results_of_older_strokes_are_dropped(make):
    segmenter = Guided()
    table = make(segmenter)

    def script(table):
        guide = segmenter.made[0]
        guide.closed = True
        for row in (2, 8, 14, 20):
            yield drag(table, (row, 4), (row, 20), "left")
        seen = []
        view = table.controller._view
        assert view.mask is None
        assert view.task.busy
        guide.gate.set()
        while view.task.busy:
            yield None
            if view.mask is not None:
                seen.append(view.mask)
        assert len(guide.rounds) == 2  # the first and the last
        assert all(seen[0][row, 4:21].all() for row in (2, 8, 14, 20))
        yield Key("q")

    table.play(script)


def test_enter_paints_the_object_at_once_even_while_it_is_computed(make):
    segmenter = Guided()
    table = make(segmenter)

    def script(table):
        guide = segmenter.made[0]
        yield Key("enter")
        assert set(table.shown) == {ANNOTATIONS, SEGMENTS}  # nothing to accept
        guide.closed = True
        yield Key("2")
        yield drag(table, (4, 4), (4, 20), "left")
        yield Key("enter")
        yield None
        assert PAINTING not in table.shown
        guide.gate.set()
        until = time.monotonic() + 10
        while PAINTING not in table.shown:
            assert time.monotonic() < until
            yield None
        yield None
        assert set(table.shown) == {PAINTING, COLORS}
        color = default_palette()[1].color
        assert table.doc.masks()[color][4, 4:21].all()
        yield Key("a")
        yield None
        yield drag(table, (18, 4), (18, 20), "left")
        yield Key("enter")
        while PAINTING not in table.shown:
            yield None
        found = {(item.color, item.number) for item in table.doc.objects()}
        assert found == {(color, 1), (color, 2)}
        assert table.doc.masks()[color][4, 4:21].all()
        yield Key("space")
        yield Key("q")

    assert table.play(script).saved == 1


def test_a_wrong_annotation_leaves_no_mask_behind(make):
    table = make(Guided())

    def script(table):
        yield drag(table, (4, 4), (10, 10), "left")
        yield from settled(table)
        yield drag(table, (0, 0), (23, 31), "middle")
        yield from settled(table)
        assert table.controller._view.mask is None
        yield Key("enter")
        assert PAINTING not in table.shown
        yield Key("q")

    table.play(script)


def test_points_predict_at_once_and_background_alone_does_not(make):
    segmenter = Pointed()
    table = make(segmenter)

    def script(table):
        guide, view = segmenter.made[0], table.controller._view
        yield click(table, (20, 20), "right")
        yield from settled(table)
        assert guide.asked == []
        yield click(table, (10, 10), "left")
        yield from settled(table)
        assert view.mask[10, 10]
        yield click(table, (4, 26), "left")
        yield Key("enter")
        while PAINTING not in table.shown:
            yield None
        assert guide.asked[-1].points == ((20, 20, 0), (10, 10, 1), (26, 4, 1))
        mask = table.doc.masks()[RED]
        assert mask[10, 10]
        assert mask[4, 26]
        yield Key("q")
        yield Key("q")

    table.play(script)


def test_a_real_box_is_refined_until_a_round_changes_nothing(make):
    segmenter = Guided(make=GrabCutSession)
    table = make(segmenter)

    def script(table):
        yield drag(table, (4, 4), (19, 27), "middle")
        yield from settled(table)
        live, view = table.controller._view.mask, table.controller._view
        session = GrabCutSession(table.doc.image)
        from icas.segmentimg.grabcut.annotation import Annotation

        wanted = session.run(Annotation(view.layer.boxes, np.zeros(SHAPE, np.uint8)), 5)
        assert (live == wanted).all()
        yield Key("q")

    table.play(script)
