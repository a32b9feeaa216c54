"""The viewport: to the picture and back, zooming, moving, and what changes where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings, strategies as st

from icas.segmentimg.render.canvas import LARGEST_PIXEL, Viewport

sides = st.tuples(st.integers(1, 60), st.integers(1, 60))
rooms = st.tuples(st.integers(8, 70), st.integers(8, 70))
steps = st.lists(
    st.tuples(st.sampled_from([1.25, 0.8, 1.25**3, 2.0, 0.5]), st.floats(0, 1), st.floats(0, 1)),
    max_size=6,
)


@st.composite
def viewports(draw):
    """What a person can reach by zooming and moving."""
    found = Viewport.whole(draw(sides), draw(rooms))
    for factor, down, right in draw(steps):
        height, width = found.size
        found = found.zoomed(factor, int(right * (width - 1)), int(down * (height - 1)))
        found = found.panned(*draw(st.tuples(st.integers(-30, 30), st.integers(-30, 30))))
    return found


@given(viewports())
@settings(max_examples=100, deadline=None)
def test_what_a_place_shows_is_what_a_click_there_hits(view):
    height, width = view.size
    rows, columns = view.rows(0, height), view.columns(0, width)
    hits = [[view.to_picture(x, y) for x in (0, width // 2, width - 1)] for y in range(height)]
    assert [line[0][0] for line in hits] == rows.tolist()
    assert {line[2][1] for line in hits} == {columns[-1]}
    across = [view.to_picture(x, height - 1)[1] for x in range(width)]
    assert across == columns.tolist()
    assert 0 <= rows.min() <= rows.max() < view.shape[0]
    assert 0 <= columns.min() <= columns.max() < view.shape[1]


@given(viewports(), st.integers(0, 59), st.integers(0, 59))
@settings(max_examples=100, deadline=None)
def test_a_pixel_goes_to_the_window_and_comes_back(view, row, col):
    row, col = min(row, view.shape[0] - 1), min(col, view.shape[1] - 1)
    if view.scale >= 1:
        assert view.to_picture(*view.to_window(row, col)) == (row, col)


@given(sides, st.floats(0, 40), st.floats(0, 40), st.floats(1, 40))
@settings(max_examples=100, deadline=None)
def test_so_it_does_wherever_the_corner_lies(shape, top, left, scale):
    view = Viewport(shape, (70, 70), scale, top, left)
    row, col = shape[0] // 2, shape[1] - 1
    assert view.to_picture(*view.to_window(row, col)) == (row, col)


@given(viewports(), st.data())
@settings(max_examples=100, deadline=None)
def test_all_that_shows_a_rectangle_lies_in_its_box(view, data):
    top, left = (data.draw(st.integers(0, side - 1)) for side in view.shape)
    bottom = data.draw(st.integers(top + 1, view.shape[0]))
    right = data.draw(st.integers(left + 1, view.shape[1]))
    height, width = view.size
    rows, columns = view.rows(0, height), view.columns(0, width)
    shown = np.logical_and.outer(
        (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    )
    # a border is drawn beside a pixel that changes, too
    near = shown.copy()
    near[:-1] |= shown[1:]
    near[:, :-1] |= shown[:, 1:]
    box = view.box_in_window((top, bottom, left, right))
    near[box[0] : box[1], box[2] : box[3]] = False
    assert not near.any()
    assert 0 <= box[0] <= box[1] <= height
    assert 0 <= box[2] <= box[3] <= width


@given(viewports(), st.floats(0, 1), st.floats(0, 1), st.sampled_from([1.25, 2.0, 0.8, 0.5]))
@settings(max_examples=100, deadline=None)
def test_zooming_keeps_what_is_under_the_pointer_where_the_edges_allow(view, down, right, factor):
    height, width = view.size
    x, y = int(right * (width - 1)), int(down * (height - 1))
    new = view.zoomed(factor, x, y)
    for first, old_first, place, side, room in (
        (new.top, view.top, y, view.shape[0], new.size[0]),
        (new.left, view.left, x, view.shape[1], new.size[1]),
    ):
        wanted = old_first + (place + 0.5) / view.scale - (place + 0.5) / new.scale
        most = max(0.0, side - room / new.scale)
        assert abs(first - min(max(wanted, 0.0), most)) < 1e-6
        if 0 < wanted < most:
            before = old_first + (place + 0.5) / view.scale
            assert abs(first + (place + 0.5) / new.scale - before) < 1e-6
    least = Viewport.whole(view.shape, view.most).scale
    assert least <= new.scale <= max(LARGEST_PIXEL, least)
    assert new.size[0] <= view.most[0]
    assert new.size[1] <= view.most[1]


@given(sides, rooms, st.floats(0, 1), st.floats(0, 1), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_out_as_often_as_in_shows_the_whole_picture_again(shape, most, right, down, times):
    first = found = Viewport.whole(shape, most)
    for factor in [1.25] * times + [0.8] * (times + 1):
        height, width = found.size
        found = found.zoomed(factor, int(right * (width - 1)), int(down * (height - 1)))
    assert found.size == first.size
    assert found.scale == first.scale
    assert max(abs(found.top - first.top), abs(found.left - first.left)) * first.scale <= 0.51


@given(viewports(), st.floats(-90, 90), st.floats(-90, 90))
@settings(max_examples=100, deadline=None)
def test_moving_stops_at_the_edges(view, right, down):
    new = view.panned(right, down)
    assert (new.scale, new.size) == (view.scale, view.size)
    for first, side, room in zip((new.top, new.left), view.shape, new.size, strict=True):
        assert 0 <= first <= max(0.0, side - room / new.scale)
    height, width = view.size
    back = new.panned(-right, -down)
    if 0 < new.top < view.shape[0] - height / view.scale:
        assert abs(back.top - view.top) < 1e-9
    if 0 < new.left < view.shape[1] - width / view.scale:
        assert abs(back.left - view.left) < 1e-9


def test_how_a_picture_is_shown_first():
    assert Viewport.whole((300, 400), (700, 900)).scale == 1
    assert Viewport.whole((24, 32), (700, 900)).scale == 15
    assert Viewport.whole((24, 32), (48, 900)).scale == 2
    assert Viewport.whole((1400, 900), (700, 900)).scale == 0.5
    assert Viewport.whole((3000, 4000), (700, 900)).size == (675, 900)
    thin = Viewport.whole((1, 4000), (700, 900))
    assert thin.size == (1, 900)
    assert thin.to_picture(450, 0)[0] == 0
    assert replace(thin, scale=1.0).size == (1, 900)
