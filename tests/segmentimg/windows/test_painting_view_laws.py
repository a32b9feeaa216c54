"""After any events the window is up to date, and undo reverts all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.render.canvas import Canvas
from icas.segmentimg.windows.painting_view import PaintingView, Tool

RED, BLUE = (204, 0, 0), (0, 0, 255)
places = st.tuples(st.integers(-9, 110), st.integers(-9, 80))
buttons = st.sampled_from(["left", "right", "middle"])
kinds = st.sampled_from(["move", "down", "up", "double", "wheel", "grow", "drag", "click"])
acts = st.one_of(
    st.tuples(kinds, places, buttons, st.booleans(), st.booleans()),
    st.sampled_from(["undo", "redo", "reset", "escape", "whole", "brush", "color"]),
)


def do(view, *events):
    for event in events:
        for one in event if isinstance(event, list) else [event]:
            view.mouse(one)


def perform(view, user, act):
    if isinstance(act, str):
        if act == "brush":
            view.close()
            view.tool.brush = not view.tool.brush
            view.show(view.viewport)
        elif act == "color":
            view.tool.color = BLUE
        else:
            view.escape() if act == "escape" else view.act(act)
        return
    kind, place, button, shift, up = act
    if kind in ("wheel", "grow"):
        do(view, user.wheel(place, 1 if up else -2, ctrl=kind == "grow"))
    elif kind == "click":
        do(view, user.click(place, button))
    elif kind == "drag":
        do(view, user.drag(place, (place[1], place[0]), button=button))
    else:
        do(view, user.mouse(kind, place, "" if kind == "move" else button, shift=shift))


@pytest.fixture(scope="module")
def small(squares_of):
    return squares_of(8)


@given(st.lists(acts, max_size=14))
@settings(max_examples=80, deadline=None)
def test_whatever_is_done_the_window_is_up_to_date_and_undo_takes_all_back(small, user, script):
    document = icas.PaintDocument(small.document.image, small.document.first)
    view = PaintingView(replace(small, document=document), (100, 96), Tool(RED, size=2))
    first = document.labels.copy()
    shown = view.render()
    for act in script:
        perform(view, user, act)
        again = view.changed
        redrawn = view.render()
        assert again or (redrawn == shown).all(), act
        shown = redrawn
    canvas = Canvas(document, view.viewport, view.tool.look)
    canvas.highlight(view.highlighted)
    assert (view._canvas.picture == canvas.picture).all()
    view.close()
    while document.undo() is not None:
        pass
    assert not document.painted
    assert (document.class_map() == 0).all()
    assert (document.labels == first).all()
