"""Annotating before painting: strokes, boxes, rounds, candidates, and on to painting."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from icas.common.errors import IcasError
from icas.io.reading import MAX_PIXELS
from icas.segmentimg.document.palette import default_palette
from icas.segmentimg.formats.autosave import autosave_path
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.session.open import ImageOpener
from icas.segmentimg.windows.annotation_views import ANNOTATIONS, BRUSH, GAP, SEGMENTS
from icas.segmentimg.windows.controller import COLORS, PAINTING
from icas.segmentimg.windows.events import Closed, Key, Mouse, Slider

RED = (204, 0, 0)


@dataclass
class Marks:
    """A guide for strokes: what is marked as object, and what lies in boxes, is the object."""

    rounds: list[Any] = field(default_factory=list)
    resets: int = 0
    hold: threading.Event | None = None

    def round(self, annotation):
        if self.hold is not None:
            assert self.hold.wait(10)
        self.rounds.append(annotation)
        if annotation.empty:
            raise IcasError("nothing is marked")
        return (annotation.strokes == 1) | (annotation.inside() & (annotation.strokes != 2))

    def reset(self):
        self.resets += 1


@dataclass
class Answer:
    """Two candidates: the boxes, and the boxes without their first row."""

    masks: Any
    quality: tuple[float, ...] = (0.9, 0.4)

    def candidate(self, number):
        return self.masks[number % 2]


@dataclass
class Pointed:
    """A guide for points: boxes are objects, points a pixel each."""

    asked: list[Any] = field(default_factory=list)
    shape: tuple[int, int] = (24, 32)

    def predict(self, prompts, last=None, number=0):
        self.asked.append((prompts, last, number))
        mask = np.zeros(self.shape, bool)
        for x0, y0, x1, y1 in prompts.boxes:
            mask[int(y0) : int(y1), int(x0) : int(x1)] = True
        for x, y, label in prompts.points:
            mask[int(y), int(x)] = label
        rows = np.flatnonzero(mask.any(axis=1))
        other = mask.copy()
        other[rows[:1]] = False
        return Answer((mask, other))

    def refine(self, prompts, last, number):
        return self.predict(prompts, last, number)


@dataclass(frozen=True)
class ByHand(Segmenter):
    name: ClassVar[str] = "grabcut"
    made: Any = field(default_factory=list, compare=False, repr=False)

    needs_annotation: ClassVar[bool] = True

    def annotator(self, image):
        self.made.append(Marks())
        return self.made[-1]

    def groups(self, image):
        raise AssertionError("a user was to be asked")


@dataclass(frozen=True)
class ByPoints(ByHand):
    name: ClassVar[str] = "sam"

    def annotator(self, image):
        self.made.append(Pointed())
        return self.made[-1]


def opener_of(segmenter):
    return ImageOpener(segmenter, 1_500_000, MAX_PIXELS, default_palette(), interactive=True)


@pytest.fixture(autouse=True)
def plain_options(monkeypatch):
    """What the stand-ins hold is no option."""
    from icas.segmentimg.formats import inputs as records

    monkeypatch.setattr(records, "asdict", lambda segmenter: {})


SCALE = 15
"""Window pixels to a pixel of the picture."""
TWO = (388, 2 * (480 + GAP))
"""Height and width of both windows of GrabCut together."""


def at(row, col, scale=SCALE):
    return int((col + 0.5) * scale), int((row + 0.5) * scale)


def drag(start, end, button, scale=SCALE, **held):
    place = [at(*start, scale), at(*end, scale)]
    return [
        Mouse(ANNOTATIONS, "down", *place[0], button, **held),
        Mouse(ANNOTATIONS, "move", *place[1], button, **held),
        Mouse(ANNOTATIONS, "up", *place[1], button, **held),
    ]


def click(row, col, button):
    return [Mouse(ANNOTATIONS, kind, *at(row, col), button) for kind in ("down", "up")]


def settled(table):
    """Let the work in the background come to an end."""
    for _ in range(400):
        yield None
        if not table.controller._view.task.busy:
            break
    yield None


def test_boxes_and_strokes_become_segments_to_be_painted(make_table):
    segmenter = ByHand()
    table = make_table(opener=opener_of(segmenter), annotation_size=TWO)

    def script(table):
        assert set(table.shown) == {ANNOTATIONS, SEGMENTS}
        yield drag((4, 4), (15, 19), "middle")
        yield Slider(ANNOTATIONS, BRUSH, 0)
        yield drag((6, 6), (6, 10), "right")
        yield drag((20, 20), (20, 24), "left", ctrl=True)
        before = table.shown[SEGMENTS]
        yield Key("space")
        yield from settled(table)
        assert (table.shown[SEGMENTS] != before).any()
        yield Key("space")  # one more round of the same
        yield from settled(table)
        yield Key("f")
        yield None
        assert set(table.shown) == {PAINTING, COLORS}
        yield [Mouse(PAINTING, kind, *at(10, 10), "left") for kind in ("down", "up")]
        yield Key("s")
        yield Key("q")

    summary = table.play(script)
    assert (summary.saved, summary.failed) == (1, {})
    annotation = segmenter.made[0].rounds[-1]
    assert annotation.boxes == ((4, 16, 4, 20),)
    assert (annotation.strokes == 2).sum() == 5
    assert (annotation.strokes[20, 20:25] == 3).all()
    mask = table.doc.masks()[RED]
    wanted = np.zeros((24, 32), bool)
    wanted[4:16, 4:20] = True
    wanted[6, 6:11] = False
    assert (mask == wanted).all()


def test_the_cut_is_kept_and_painting_goes_on_without_asking_again(make_table, folder):
    segmenter = ByHand()
    table = make_table([folder / "a.png"], opener=opener_of(segmenter), annotation_size=TWO)

    def script(table):
        yield drag((4, 4), (15, 19), "middle")
        yield Key("space")
        yield from settled(table)
        yield Key("f")
        yield None
        yield Closed(PAINTING)

    table.play(script)
    assert autosave_path(table.session.pictures[0]).exists()
    again = make_table([folder / "a.png"], opener=opener_of(ByHand()), annotation_size=TWO)

    def later(table):
        assert PAINTING in table.shown
        assert table.doc.labels.max() == 2
        yield Key("a")  # and once more by hand
        yield None
        assert set(table.shown) == {ANNOTATIONS, SEGMENTS}
        yield Key("q")

    again.play(later)


def test_undo_reset_and_what_is_missing(make_table):
    segmenter = ByHand()
    table = make_table(opener=opener_of(segmenter), annotation_size=TWO)
    marks, resets = [], []

    def script(table):
        plain = table.shown[ANNOTATIONS]
        yield Key("f")  # nothing cut out yet
        assert set(table.shown) == {ANNOTATIONS, SEGMENTS}
        yield Key("space")
        yield from settled(table)  # reported in the window, and nothing is cut
        yield drag((4, 4), (9, 9), "left")
        yield drag((14, 4), (19, 9), "right")
        sketch = table.controller._view.layer
        marks.append(set(np.unique(sketch.strokes)))
        yield Key("z")
        marks.append(set(np.unique(sketch.strokes)))
        yield Key("space")
        yield from settled(table)
        assert segmenter.made[0].rounds[-1].strokes.any()
        resets.append(segmenter.made[0].resets)
        yield Key("r")
        marks.append(set(np.unique(sketch.strokes)))
        yield Key("h")
        assert (
            table.shown[ANNOTATIONS].shape != plain.shape
            or (table.shown[ANNOTATIONS] != plain).any()
        )
        yield Key("h")
        yield Key("q")

    table.play(script)
    assert marks == [{0, 1, 2}, {0, 1}, {0}]
    assert segmenter.made[0].resets > resets[0] > 0


def test_a_round_runs_in_the_background_and_one_at_a_time(make_table):
    segmenter = ByHand()
    table = make_table(opener=opener_of(segmenter), annotation_size=TWO)

    def script(table):
        marks = segmenter.made[0]
        marks.hold = threading.Event()
        yield drag((4, 4), (15, 19), "left")
        yield None
        busy = table.shown[SEGMENTS]
        yield Key("space")
        for _ in range(3):
            yield drag((2, 2), (3, 3), "left")  # the window is alive
        marks.hold.set()
        yield from settled(table)
        assert len(marks.rounds) == 2  # the first and the newest
        assert (table.shown[SEGMENTS] != busy).any()
        yield Key("q")

    table.play(script)


def test_points_and_boxes_candidates_and_refining(make_table):
    segmenter = ByPoints()
    table = make_table(opener=opener_of(segmenter))

    def script(table):
        assert set(table.shown) == {ANNOTATIONS}
        yield drag((4, 4), (15, 19), "middle")
        yield click(20, 3, "left")
        yield click(6, 6, "right")
        yield Key("space")
        yield from settled(table)
        yield Key("m")
        yield click(22, 30, "left")
        yield Key("space")
        yield from settled(table)
        yield Key("m")
        yield Key("f")
        yield None
        yield Key("q")

    table.play(script)
    guide = segmenter.made[0]
    first = next(asked for asked in guide.asked if len(asked[0].points) == 2)
    second = guide.asked[-1]
    assert first[0].boxes == ((4, 4, 20, 16),)
    assert first[0].points == ((3, 20, 1), (6, 6, 0))
    assert isinstance(second[1], Answer)
    assert second[2] == 1  # the candidate that was looked at goes in again
    wanted = guide.predict(second[0]).candidate(1)
    labels = table.doc.first
    assert {*labels[wanted]}.isdisjoint({*labels[~wanted]})


def test_next_asks_again_and_painting_from_before_stays(make_table):
    segmenter = ByHand()
    table = make_table(opener=opener_of(segmenter))

    def script(table):
        yield Key("n")
        yield from table.opened()
        assert table.session.index == 1
        assert set(table.shown) == {ANNOTATIONS, SEGMENTS}
        yield Key("p")
        yield from table.opened()
        yield drag((4, 4), (15, 19), "middle")
        yield Key("space")
        yield from settled(table)
        yield Key("f")
        yield None
        yield [Mouse(PAINTING, kind, *at(10, 10), "left") for kind in ("down", "up")]
        painted = table.doc.class_map()
        yield Key("a")
        yield None
        yield drag((20, 20), (22, 25), "left")
        yield Key("space")
        yield from settled(table)
        yield Key("f")
        yield None
        assert (table.doc.class_map() == painted).all()
        yield Key("q")
        assert not table.controller.finished
        yield Key("q")

    summary = table.play(script)
    assert len(summary.unsaved) == 1


def test_closing_the_annotations_leaves(make_table):
    table = make_table(opener=opener_of(ByHand()), annotation_size=TWO)

    def script(table):
        yield Closed(SEGMENTS)
        yield Closed(ANNOTATIONS)
        raise AssertionError("the controller is to be finished")
        yield

    assert table.play(script).unsaved == ()
