"""Whatever a hand does: the window shows what there is, and undo takes all of it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.render.canvas import Canvas
from icas.segmentimg.windows.painting_view import Easel, Hand

RED, BLUE = (204, 0, 0), (0, 0, 255)
places = st.tuples(st.integers(-9, 110), st.integers(-9, 80))
buttons = st.sampled_from(["left", "right", "middle"])
kinds = st.sampled_from(["move", "down", "up", "double", "wheel", "grow", "drag", "click"])
acts = st.one_of(
    st.tuples(kinds, places, buttons, st.booleans(), st.booleans()),
    st.sampled_from(["undo", "redo", "reset", "escape", "whole", "brush", "color"]),
)


def do(easel, *events):
    for event in events:
        for one in event if isinstance(event, list) else [event]:
            easel.mouse(one)


def perform(easel, person, act):
    if isinstance(act, str):
        if act == "brush":
            easel.leave()
            easel._hand.brush = not easel._hand.brush
            easel.look()
        elif act == "color":
            easel._hand.color = BLUE
        else:
            getattr(easel, act)()
        return
    kind, place, button, shift, up = act
    if kind in ("wheel", "grow"):
        do(easel, person.wheel(place, 1 if up else -2, ctrl=kind == "grow"))
    elif kind == "click":
        do(easel, person.click(place, button))
    elif kind == "drag":
        do(easel, person.drag(place, (place[1], place[0]), button=button))
    else:
        do(easel, person.mouse(kind, place, "" if kind == "move" else button, shift=shift))


@pytest.fixture(scope="module")
def small(squares_of):
    return squares_of(8)


@given(st.lists(acts, max_size=14))
@settings(max_examples=80, deadline=None)
def test_whatever_is_done_the_window_is_up_to_date_and_undo_takes_all_back(small, person, script):
    document = icas.PaintDocument(small.document.image, small.document.first)
    easel = Easel(replace(small, document=document), (72, 96), Hand(RED, thickness=2))
    first = document.labels.copy()
    shown = easel.picture()
    for act in script:
        perform(easel, person, act)
        again = easel.changed
        anew = easel.picture()
        assert again or (anew == shown).all(), act
        shown = anew
    canvas = Canvas(document, easel.viewport, easel._hand.look)
    canvas.light(easel.lit)
    assert (easel._canvas.picture == canvas.picture).all()
    easel.leave()
    while document.undo() is not None:
        pass
    assert not document.painted
    assert (document.class_map() == 0).all()
    assert (document.labels == first).all()
