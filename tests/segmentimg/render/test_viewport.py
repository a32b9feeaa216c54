"""The viewport: to the picture and back, zooming, moving, and what changes where."""

from __future__ import annotations

import numpy as np
import pytest
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
    how = draw(st.sampled_from([Viewport.whole, Viewport.fitted]))
    found = how(draw(sides), draw(rooms))
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
    top, bottom, left, right = view.inside
    assert 0 <= top < bottom <= height
    assert 0 <= left < right <= width
    for y in range(height):
        row = view.to_picture(left, y)[0]
        assert row == rows[y] if top <= y < bottom else not 0 <= row < view.shape[0]
    for x in range(width):
        col = view.to_picture(x, top)[1]
        assert col == columns[x] if left <= x < right else not 0 <= col < view.shape[1]
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
    outside = np.ones(shown.shape, bool)
    inside = view.inside
    outside[inside[0] : inside[1], inside[2] : inside[3]] = False
    near[outside] = False
    box = view.box_in_window((top, bottom, left, right))
    near[box[0] : box[1], box[2] : box[3]] = False
    assert not near.any()
    assert 0 <= box[0] <= box[1] <= height
    assert 0 <= box[2] <= box[3] <= width


@given(viewports(), st.floats(0, 1), st.floats(0, 1), st.sampled_from([1.25, 2.0, 0.8, 0.5]))
@settings(max_examples=100, deadline=None)
def test_zooming_keeps_what_is_under_the_pointer(view, down, right, factor):
    """Zooming in always does; out, unless the image would leave the place that it fills least."""
    top, bottom, left, right_end = view.inside
    x = left + int(right * (right_end - 1 - left))
    y = top + int(down * (bottom - 1 - top))
    new = view.zoomed(factor, x, y)
    assert new.size == view.size
    assert view.least <= new.scale <= max(LARGEST_PIXEL, view.least)
    for first, old_first, place, side, room in (
        (new.top, view.top, y, view.shape[0], new.size[0]),
        (new.left, view.left, x, view.shape[1], new.size[1]),
    ):
        wanted = old_first + (place + 0.5) / view.scale - (place + 0.5) / new.scale
        margin = (room - side * view.least) / 2
        low, high = -margin / new.scale, side - (room - margin) / new.scale
        assert abs(first - max(min(wanted, high), low)) < 1e-6
        over = -0.5 <= (place + 0.5) / view.scale + old_first <= side + 0.5
        if factor > 1 and over and view.scale >= 1:
            assert abs(first - wanted) < 1


@given(sides, rooms, st.floats(0, 1), st.floats(0, 1), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_in_and_out_again_shows_the_same(shape, size, right, down, times):
    first = found = Viewport.fitted(shape, size)
    top, bottom, left, right_end = first.inside
    x, y = left + int(right * (right_end - 1 - left)), top + int(down * (bottom - 1 - top))
    place = first.top + (y + 0.5) / first.scale, first.left + (x + 0.5) / first.scale
    for factor in [1.25] * times:
        if found.scale * factor <= LARGEST_PIXEL:
            found = found.zoomed(factor, x, y)
            now = found.top + (y + 0.5) / found.scale, found.left + (x + 0.5) / found.scale
            assert now == pytest.approx(place, abs=0.5 / first.scale)
    back = found.zoomed(first.scale / found.scale, x, y)
    assert max(abs(back.top - first.top), abs(back.left - first.left)) * first.scale <= 1


@given(viewports(), st.floats(-90, 90), st.floats(-90, 90))
@settings(max_examples=100, deadline=None)
def test_moving_stops_at_the_edges(view, right, down):
    new = view.panned(right, down)
    assert (new.scale, new.size) == (view.scale, view.size)
    covered = Viewport(view.shape, view.size, view.least)
    for first, side, room in zip((new.top, new.left), view.shape, new.size, strict=True):
        margin = (room - side * covered.scale) / 2
        assert -margin - 1e-6 <= first * view.scale
        assert (side - first) * view.scale >= room - margin - 1e-6


@given(viewports(), rooms)
@settings(max_examples=100, deadline=None)
def test_another_size_keeps_the_middle(view, size):
    new = view.resized(size)
    assert new.size == size
    assert new.scale == max(view.scale, new.least)


def test_how_a_picture_is_shown_first():
    assert Viewport.whole((300, 400), (700, 900)).scale == 1
    assert Viewport.whole((1400, 900), (700, 900)).scale == 0.5
    assert Viewport.whole((3000, 4000), (700, 900)).size == (675, 900)
    thin = Viewport.whole((1, 4000), (700, 900))
    assert thin.size == (1, 900)
    assert thin.to_picture(450, 0)[0] == 0
    sharp = Viewport.fitted((100, 150), (700, 900))
    assert (sharp.scale, sharp.inside) == (6, (50, 650, 0, 900))
    assert Viewport.fitted((100, 150), (700, 990)).scale == 6
    assert Viewport.fitted((400, 600), (700, 900)).scale == 1.5
    assert Viewport.fitted((400, 600), (700, 900), smooth=False).scale == 1
    assert Viewport.fitted((100, 150), (700, 990), smooth=True).scale == 6.6
    assert Viewport.fitted((3000, 4000), (700, 900)).inside == (12, 687, 0, 900)
    assert Viewport.fitted((2, 2), (700, 900)).scale == LARGEST_PIXEL
