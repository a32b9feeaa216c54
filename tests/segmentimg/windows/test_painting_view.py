"""Mouse events on an image: fill, drag, cut, brush, and undo of each."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.windows.painting_view import PaintingView, Tool

RED, BLUE = (204, 0, 0), (0, 0, 255)
ORDERS = ("double down up", "double up", "down double up")
"""The second press of a double click as Qt, Windows and GTK tell it."""


@pytest.fixture
def view(opened):
    return PaintingView(opened(), (388, 480), Tool(RED))


def do(view, *events):
    for event in events:
        for one in event if isinstance(event, list) else [event]:
            view.mouse(one)


def painted(view):
    """Class of each square: three rows of four."""
    return view.opened.document.class_map()[4::8, 4::8].tolist()


def undos(view):
    document = view.opened.document
    return sum(1 for _ in iter(document.undo, None))


def test_left_fills_right_unfills_and_another_colour_recolours(view, user):
    do(view, user.click(user.at(4, 12)))
    assert painted(view) == [[0, 1, 0, 0], [0] * 4, [0] * 4]
    view.tool.color = BLUE
    do(view, user.click(user.at(4, 12)), user.click(user.at(20, 4)))
    assert painted(view) == [[0, 2, 0, 0], [0] * 4, [2, 0, 0, 0]]
    do(view, user.click(user.at(4, 12), "right"), user.click(user.at(4, 28), "right"))
    assert painted(view) == [[0] * 4, [0] * 4, [2, 0, 0, 0]]
    assert undos(view) == 4


@pytest.mark.parametrize("button", ["left", "right"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_double_click_turns_continuous_painting_on_and_off(view, user, button, order):
    at = user.at
    if button == "right":
        view.opened.document.fill_segments(range(1, 13), RED)
    document = view.opened.document
    do(view, user.double(at(4, 4), button, order))
    assert view.continuous == button
    do(view, user.move(at(4, 12), at(12, 12), at(13, 12), at(12, 20)))
    do(view, user.click(at(20, 20), button))
    do(view, user.double(at(20, 28), button, order))
    assert view.continuous is None
    do(view, user.move(at(12, 28), at(4, 28)))
    new, old = (1, 0) if button == "left" else (0, 1)
    whole = [[new, new, old, old], [old, new, new, old], [old, old, new, new]]
    assert painted(view) == whole
    assert view.level == 0
    view.act("undo")  # all that was crossed, at once
    assert painted(view) == [[new, old, old, old], [old] * 4, [old] * 4]
    view.act("redo")
    assert painted(view) == whole
    assert undos(view) == (2 if button == "left" else 3)
    assert not document.painted


def test_undo_during_continuous_painting_takes_back_what_it_crossed(view, user):
    at = user.at
    do(view, user.double(at(4, 4)), user.move(at(4, 12), at(4, 20)))
    view.act("undo")
    assert painted(view)[0] == [1, 0, 0, 0]
    do(view, user.move(at(12, 20), at(12, 28)))
    assert view.continuous == "left"
    assert painted(view)[1] == [0, 0, 1, 1]
    view.close()
    assert undos(view) == 2


def test_a_drag_paints_all_it_crosses_as_one_entry(view, user):
    at = user.at
    do(view, user.drag(at(4, 4), at(4, 12), at(12, 12)))
    assert painted(view) == [[1, 1, 0, 0], [0, 1, 0, 0], [0] * 4]
    view.act("undo")
    assert not view.opened.document.painted
    do(view, user.drag(at(4, 4), at(4, 28)))  # so fast that nothing is reported between
    assert painted(view)[0] == [1, 1, 1, 1]
    do(view, user.drag(at(4, 28), at(4, 12), button="right"))
    assert painted(view)[0] == [1, 0, 0, 0]
    do(view, user.drag(at(20, 28), (479, 400), (5000, 400), (5000, 5)))
    assert painted(view) == [[1, 0, 0, 0], [0] * 4, [0, 0, 0, 1]]
    assert undos(view) == 3


def test_a_click_that_trembles_paints_one_segment(view, user):
    x, y = 8 * 15 - 1, 40  # the last pixel before the next square
    do(view, user.drag((x, y), (x + 2, y + 2), (x - 1, y), (x + 2, y)))
    assert painted(view)[0] == [1, 0, 0, 0]
    do(view, user.drag((x, y), (x + 4, y)))
    assert painted(view)[0] == [1, 1, 0, 0]


@pytest.mark.parametrize("order", ["up", *ORDERS])
def test_after_a_stroke_a_move_paints_nothing(view, user, order):
    at = user.at
    do(view, user.drag(at(4, 4), at(4, 12)))
    view.escape()
    if order != "up":
        do(view, user.double(at(4, 4), "left", order), user.double(at(4, 4), "left", order))
    do(view, user.move(at(12, 12), at(20, 20)))
    assert painted(view) == [[1, 1, 0, 0], [0] * 4, [0] * 4]


def test_what_ends_a_stroke_ends_the_press(view, user):
    at = user.at
    for end in (view.escape, view.close):
        do(view, user.drag(at(4, 4), at(4, 12))[:-1])
        end()
        do(view, user.move(at(12, 12), at(20, 20), button="left"))
        do(view, user.mouse("up", at(20, 20), "left"))
        assert painted(view) == [[1, 1, 0, 0], [0] * 4, [0] * 4]
        assert undos(view) == 1


def test_middle_clicks_cut_and_the_third_goes_on(view, user):
    at, document = user.at, view.opened.document
    document.fill(4, 4, RED)
    do(view, user.click(at(4, 0), "middle"))
    assert view.cut_from == (4, 0)
    assert not view.opened.document.cuts
    do(view, user.click(at(4, 15), "middle"))
    assert (document.labels[4, :16] == 0).all()
    assert (document.labels[4, 16:] > 0).all()
    do(view, user.click(at(23, 15), "middle"))
    assert (document.labels[4:, 15] == 0).all()
    do(view, user.click(at(2, 4)), user.click(at(6, 12)))
    assert view.cut_from is None
    assert document.segment_at(2, 4) != document.segment_at(6, 4)
    assert document.class_map()[6, 4] == document.class_map()[6, 12] == 1
    assert document.class_map()[2, 12] == 0
    before = document.labels.copy()
    do(view, user.click(at(0, 28), "middle"))
    assert view.escape()
    do(view, user.click(at(9, 28), "middle"))
    assert (document.labels == before).all()
    do(view, user.click((9000, -5), "middle"))  # beyond the edges: to the corner
    assert document.labels[0, 31] == 0
    view.act("undo")
    assert (document.labels == before).all()
    assert undos(view) == 4  # two cuts, one piece filled; the first piece was red before


def test_the_line_vanishes_with_the_click_that_ends_it(view, user):
    x, y = user.at(4, 4)
    do(view, user.click((x, y)), user.click((x, y), "middle"))
    view.render()
    do(view, user.click((x, y)))  # paints nothing new
    assert view.changed


def test_the_wheel_zooms_and_clicks_hit_what_is_seen(opened, user):
    view = PaintingView(opened(), (388, 480), Tool(RED))  # no room for the window to grow
    document = view.opened.document
    place = user.at(13, 21)
    for steps in (3, 1, 2):
        before = view.viewport.to_picture(*place)
        do(view, user.wheel(place, steps))
        assert view.viewport.to_picture(*place) == before == (13, 21)
    assert view.viewport.scale > 35
    height, width = view.viewport.size
    rng = np.random.default_rng(0)
    for x, y in rng.integers(0, (width, height), (12, 2)).tolist():
        row, col = view.viewport.rows(y, y + 1)[0], view.viewport.columns(x, x + 1)[0]
        do(view, user.click((x, y)))
        assert document.class_map()[row, col] == 1
        do(view, user.click((x, y), "right"))
        assert not document.painted
    do(view, user.wheel(place, -20))
    assert view.viewport.scale == 15
    view.act("zoom_in")
    view.act("whole")
    assert (view.viewport.scale, view.viewport.top, view.viewport.left) == (15, 0, 0)


def test_shift_and_drag_moves_the_picture_and_paints_nothing(opened, user):
    view = PaintingView(opened(), (388, 480), Tool(RED))
    do(view, user.wheel((240, 180), 4))
    before = view.viewport
    do(view, user.drag((300, 200), (270, 190), (250, 220), shift=True))
    assert view.viewport.left == pytest.approx(before.left + 50 / before.scale)
    assert view.viewport.top == pytest.approx(before.top - 20 / before.scale)
    # two short pulls at one place are no double click
    do(view, user.drag((250, 220), (251, 220), shift=True))
    do(view, user.mouse("double", (250, 220), "left", shift=True))
    do(view, user.move((100, 100), (300, 300)))
    assert view.continuous is None
    assert not view.opened.document.painted
    before = view.viewport
    view.show(view.viewport.panned(-10_000, 10_000))
    assert view.viewport.left == 0
    do(view, user.wheel((9, 9), -1, sideways=True))
    assert view.viewport.left == pytest.approx(80 / before.scale)


def test_what_is_lit_is_what_a_click_paints_at_any_level(opened, user, squares, photos):
    opener = dataclasses.replace(squares, segmenter=make_segmenter("graph"))
    work = opener.open(find_image_files([photos / "coffee-1.png"])[0])
    view, document = PaintingView(work, (388, 480), Tool(RED)), work.document
    spot, sizes = (120, 90), []
    for event in [*[user.wheel(spot, 1, ctrl=True)] * 4, user.wheel(spot, -1, ctrl=True)]:
        do(view, event)
        sizes.append(len(view.highlighted))
        lit = np.isin(document.labels, view.highlighted)
        do(view, user.click(spot))
        assert ((document.class_map() > 0) == lit).all()
        view.act("undo")
        assert not document.painted
    assert 1 < sizes[0] < sizes[1] < sizes[2] < sizes[3] > sizes[4]
    do(view, user.move((20, 20)))  # the level stays
    assert len(view.highlighted) > 1
    for _ in range(40):
        view.grow(1)
    assert len(view.highlighted) == work.tree.count
    do(view, user.click((5, 40), "middle"), user.click((200, 90), "middle"))
    do(view, user.move((21, 21)))
    lit = np.isin(document.labels, view.highlighted)
    assert (lit == (document.labels > 0)).all()
    do(view, user.click((21, 21)))
    assert ((document.class_map() > 0) == lit).all()
    for _ in range(60):
        view.grow(-1)
    assert view.level == 0
    assert len(view.highlighted) == 1


def test_the_brush_paints_over_and_erases_and_joins_its_places(view, user):
    at, document = user.at, view.opened.document
    do(view, user.click(at(4, 4)))
    view.tool.brush, view.tool.color = True, BLUE
    view.tool.size = 2
    view.show(view.viewport)
    assert len(view.highlighted) == 0
    do(view, user.drag(at(4, 4), at(4, 28)))
    assert view.tool.radius == 2
    found = document.class_map()
    assert (found[2:7, 4:29] == 2).all()
    assert (found[:2, :8] == 1).all()
    assert (found == 2).sum() == 5 * 25 + 2 * 4
    do(view, user.drag(at(4, 12), at(20, 12), button="right"))
    assert (document.class_map()[4:21, 10:15] == 0).all()
    assert document.class_map()[4, 4] == 2
    assert undos(view) == 3
    assert not document.painted


@pytest.mark.parametrize("order", ORDERS)
def test_quick_dabs_of_the_brush_are_dabs(view, user, order):
    view.tool.brush, view.tool.size = True, 2
    x, y = user.at(10, 10)
    do(view, user.double((x, y), "left", order)[:-1])  # held down
    do(view, user.move((x + 60, y), button="left"), user.mouse("up", (x + 60, y), "left"))
    assert view.continuous is None
    assert (view.opened.document.class_map()[10, 10:15] == 1).all()
    do(view, user.move((x, y + 100)))
    assert view.opened.document.class_map()[16, 10] == 0
