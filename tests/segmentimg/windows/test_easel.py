"""The mouse on a picture: what is clicked, crossed, cut and brushed, and what undo makes of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from icas.segmentimg.formats.inputs import find_pictures
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.windows.painting_view import Easel, Hand

RED, BLUE = (204, 0, 0), (0, 0, 255)
ORDERS = ("double down up", "double up", "down double up")
"""The second press of a double click as Qt, Windows and GTK tell it."""


@pytest.fixture
def easel(opened):
    return Easel(opened(), (700, 900), Hand(RED))


def do(easel, *events):
    for event in events:
        for one in event if isinstance(event, list) else [event]:
            easel.mouse(one)


def painted(easel):
    """Class of each square: three rows of four."""
    return easel.work.document.class_map()[4::8, 4::8].tolist()


def undos(easel):
    document = easel.work.document
    return sum(1 for _ in iter(document.undo, None))


def test_left_fills_right_unfills_and_another_colour_recolours(easel, person):
    do(easel, person.click(person.at(4, 12)))
    assert painted(easel) == [[0, 1, 0, 0], [0] * 4, [0] * 4]
    easel._hand.color = BLUE
    do(easel, person.click(person.at(4, 12)), person.click(person.at(20, 4)))
    assert painted(easel) == [[0, 2, 0, 0], [0] * 4, [2, 0, 0, 0]]
    do(easel, person.click(person.at(4, 12), "right"), person.click(person.at(4, 28), "right"))
    assert painted(easel) == [[0] * 4, [0] * 4, [2, 0, 0, 0]]
    assert undos(easel) == 4


@pytest.mark.parametrize("button", ["left", "right"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_double_click_turns_continuous_painting_on_and_off(easel, person, button, order):
    at = person.at
    if button == "right":
        easel.work.document.fill_segments(range(1, 13), RED)
    document = easel.work.document
    do(easel, person.double(at(4, 4), button, order))
    assert easel.continuous == button
    do(easel, person.move(at(4, 12), at(12, 12), at(13, 12), at(12, 20)))
    do(easel, person.click(at(20, 20), button))
    do(easel, person.double(at(20, 28), button, order))
    assert easel.continuous is None
    do(easel, person.move(at(12, 28), at(4, 28)))
    new, old = (1, 0) if button == "left" else (0, 1)
    whole = [[new, new, old, old], [old, new, new, old], [old, old, new, new]]
    assert painted(easel) == whole
    assert easel.level == 0
    easel.undo()  # all that was crossed, at once
    assert painted(easel) == [[new, old, old, old], [old] * 4, [old] * 4]
    easel.redo()
    assert painted(easel) == whole
    assert undos(easel) == (2 if button == "left" else 3)
    assert not document.painted


def test_undo_during_continuous_painting_takes_back_what_it_crossed(easel, person):
    at = person.at
    do(easel, person.double(at(4, 4)), person.move(at(4, 12), at(4, 20)))
    easel.undo()
    assert painted(easel)[0] == [1, 0, 0, 0]
    do(easel, person.move(at(12, 20), at(12, 28)))
    assert easel.continuous == "left"
    assert painted(easel)[1] == [0, 0, 1, 1]
    easel.leave()
    assert undos(easel) == 2


def test_a_drag_paints_all_it_crosses_as_one_entry(easel, person):
    at = person.at
    do(easel, person.drag(at(4, 4), at(4, 12), at(12, 12)))
    assert painted(easel) == [[1, 1, 0, 0], [0, 1, 0, 0], [0] * 4]
    easel.undo()
    assert not easel.work.document.painted
    do(easel, person.drag(at(4, 4), at(4, 28)))  # so fast that nothing is told between
    assert painted(easel)[0] == [1, 1, 1, 1]
    do(easel, person.drag(at(4, 28), at(4, 12), button="right"))
    assert painted(easel)[0] == [1, 0, 0, 0]
    do(easel, person.drag(at(20, 28), (479, 400), (5000, 400), (5000, 5)))
    assert painted(easel) == [[1, 0, 0, 0], [0] * 4, [0, 0, 0, 1]]
    assert undos(easel) == 3


def test_a_click_that_trembles_paints_one_segment(easel, person):
    x, y = 8 * 15 - 1, 40  # the last pixel before the next square
    do(easel, person.drag((x, y), (x + 2, y + 2), (x - 1, y), (x + 2, y)))
    assert painted(easel)[0] == [1, 0, 0, 0]
    do(easel, person.drag((x, y), (x + 4, y)))
    assert painted(easel)[0] == [1, 1, 0, 0]


@pytest.mark.parametrize("order", ["up", *ORDERS])
def test_after_a_stroke_a_move_paints_nothing(easel, person, order):
    at = person.at
    do(easel, person.drag(at(4, 4), at(4, 12)))
    easel.escape()
    if order != "up":
        do(easel, person.double(at(4, 4), "left", order), person.double(at(4, 4), "left", order))
    do(easel, person.move(at(12, 12), at(20, 20)))
    assert painted(easel) == [[1, 1, 0, 0], [0] * 4, [0] * 4]


def test_what_ends_a_stroke_ends_the_press(easel, person):
    at = person.at
    for end in (easel.escape, easel.leave):
        do(easel, person.drag(at(4, 4), at(4, 12))[:-1])
        end()
        do(easel, person.move(at(12, 12), at(20, 20), button="left"))
        do(easel, person.mouse("up", at(20, 20), "left"))
        assert painted(easel) == [[1, 1, 0, 0], [0] * 4, [0] * 4]
        assert undos(easel) == 1


def test_middle_clicks_cut_and_the_third_goes_on(easel, person):
    at, document = person.at, easel.work.document
    document.fill(4, 4, RED)
    do(easel, person.click(at(4, 0), "middle"))
    assert easel.cut_from == (4, 0)
    assert not easel.work.document.cuts
    do(easel, person.click(at(4, 15), "middle"))
    assert (document.labels[4, :16] == 0).all()
    assert (document.labels[4, 16:] > 0).all()
    do(easel, person.click(at(23, 15), "middle"))
    assert (document.labels[4:, 15] == 0).all()
    do(easel, person.click(at(2, 4)), person.click(at(6, 12)))
    assert easel.cut_from is None
    assert document.segment_at(2, 4) != document.segment_at(6, 4)
    assert document.class_map()[6, 4] == document.class_map()[6, 12] == 1
    assert document.class_map()[2, 12] == 0
    before = document.labels.copy()
    do(easel, person.click(at(0, 28), "middle"))
    assert easel.escape()
    do(easel, person.click(at(9, 28), "middle"))
    assert (document.labels == before).all()
    do(easel, person.click((9000, -5), "middle"))  # beyond the edges: to the corner
    assert document.labels[0, 31] == 0
    easel.undo()
    assert (document.labels == before).all()
    assert undos(easel) == 4  # two cuts, one piece filled; the first piece was red before


def test_the_line_vanishes_with_the_click_that_ends_it(easel, person):
    x, y = person.at(4, 4)
    do(easel, person.click((x, y)), person.click((x, y), "middle"))
    easel.picture()
    do(easel, person.click((x, y)))  # paints nothing new
    assert easel.changed


def test_the_wheel_zooms_and_clicks_hit_what_is_seen(opened, person):
    easel = Easel(opened(), (360, 480), Hand(RED))  # no room for the window to grow
    document = easel.work.document
    place = person.at(13, 21)
    for steps in (3, 1, 2):
        before = easel.viewport.to_picture(*place)
        do(easel, person.wheel(place, steps))
        assert easel.viewport.to_picture(*place) == before == (13, 21)
    assert easel.viewport.scale > 35
    height, width = easel.viewport.size
    rng = np.random.default_rng(0)
    for x, y in rng.integers(0, (width, height), (12, 2)).tolist():
        row, col = easel.viewport.rows(y, y + 1)[0], easel.viewport.columns(x, x + 1)[0]
        do(easel, person.click((x, y)))
        assert document.class_map()[row, col] == 1
        do(easel, person.click((x, y), "right"))
        assert not document.painted
    do(easel, person.wheel(place, -20))
    assert easel.viewport.scale == 15
    easel.zoom(2)
    easel.whole()
    assert (easel.viewport.scale, easel.viewport.top, easel.viewport.left) == (15, 0, 0)


def test_shift_and_drag_moves_the_picture_and_paints_nothing(opened, person):
    easel = Easel(opened(), (360, 480), Hand(RED))
    do(easel, person.wheel((240, 180), 4))
    before = easel.viewport
    do(easel, person.drag((300, 200), (270, 190), (250, 220), shift=True))
    assert easel.viewport.left == pytest.approx(before.left + 50 / before.scale)
    assert easel.viewport.top == pytest.approx(before.top - 20 / before.scale)
    # two short pulls at one place are no double click
    do(easel, person.drag((250, 220), (251, 220), shift=True))
    do(easel, person.mouse("double", (250, 220), "left", shift=True))
    do(easel, person.move((100, 100), (300, 300)))
    assert easel.continuous is None
    assert not easel.work.document.painted
    before = easel.viewport
    easel.pan(-10_000, 10_000)
    assert easel.viewport.left == 0
    do(easel, person.wheel((9, 9), -1, sideways=True))
    assert easel.viewport.left == pytest.approx(80 / before.scale)


def test_what_is_lit_is_what_a_click_paints_at_any_level(opened, person, squares, photos):
    opener = dataclasses.replace(squares, segmenter=make_segmenter("graph"))
    work = opener.open(find_pictures([photos / "coffee-1.png"])[0])
    easel, document = Easel(work, (700, 900), Hand(RED)), work.document
    spot, sizes = (120, 90), []
    for event in [*[person.wheel(spot, 1, ctrl=True)] * 4, person.wheel(spot, -1, ctrl=True)]:
        do(easel, event)
        sizes.append(len(easel.lit))
        lit = np.isin(document.labels, easel.lit)
        do(easel, person.click(spot))
        assert ((document.class_map() > 0) == lit).all()
        easel.undo()
        assert not document.painted
    assert 1 < sizes[0] < sizes[1] < sizes[2] < sizes[3] > sizes[4]
    do(easel, person.move((20, 20)))  # the level stays
    assert len(easel.lit) > 1
    for _ in range(40):
        easel.grow(1)
    assert len(easel.lit) == work.tree.count
    do(easel, person.click((5, 40), "middle"), person.click((200, 90), "middle"))
    do(easel, person.move((21, 21)))
    lit = np.isin(document.labels, easel.lit)
    assert (lit == (document.labels > 0)).all()
    do(easel, person.click((21, 21)))
    assert ((document.class_map() > 0) == lit).all()
    for _ in range(60):
        easel.grow(-1)
    assert easel.level == 0
    assert len(easel.lit) == 1


def test_the_brush_paints_over_and_erases_and_joins_its_places(easel, person):
    at, document = person.at, easel.work.document
    do(easel, person.click(at(4, 4)))
    easel._hand.brush, easel._hand.color = True, BLUE
    easel._hand.thickness = 2
    easel.look()
    assert len(easel.lit) == 0
    do(easel, person.drag(at(4, 4), at(4, 28)))
    assert easel._hand.radius == 2
    found = document.class_map()
    assert (found[2:7, 4:29] == 2).all()
    assert (found[:2, :8] == 1).all()
    assert (found == 2).sum() == 5 * 25 + 2 * 4
    do(easel, person.drag(at(4, 12), at(20, 12), button="right"))
    assert (document.class_map()[4:21, 10:15] == 0).all()
    assert document.class_map()[4, 4] == 2
    assert undos(easel) == 3
    assert not document.painted


@pytest.mark.parametrize("order", ORDERS)
def test_quick_dabs_of_the_brush_are_dabs(easel, person, order):
    easel._hand.brush, easel._hand.thickness = True, 2
    x, y = person.at(10, 10)
    do(easel, person.double((x, y), "left", order)[:-1])  # held down
    do(easel, person.move((x + 60, y), button="left"), person.mouse("up", (x + 60, y), "left"))
    assert easel.continuous is None
    assert (easel.work.document.class_map()[10, 10:15] == 1).all()
    do(easel, person.move((x, y + 100)))
    assert easel.work.document.class_map()[16, 10] == 0
