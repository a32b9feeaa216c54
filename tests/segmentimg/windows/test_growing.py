"""Growing the selection: steps, their preview, and the level of each click."""

from __future__ import annotations

import numpy as np
import pytest

from icas.segmentimg.windows.painting_view import PaintingView, Tool

RED = (204, 0, 0)


@pytest.fixture
def view(opened):
    return PaintingView(opened(), (700, 900), Tool(RED))


def turn(view, user, place, steps):
    for _ in range(abs(steps)):
        view.mouse(user.wheel(place, 1 if steps > 0 else -1, ctrl=True))


def click(view, user, place, button="left"):
    for event in user.click(place, button):
        view.mouse(event)


def painted(view):
    return view.opened.document.class_map() > 0


def test_each_notch_is_a_step_and_the_way_back_is_the_same(view, user):
    place = user.at(12, 12)
    view.mouse(user.move(place)[0])
    seen = [view.highlighted.tolist()]
    for _ in range(20):
        turn(view, user, place, 1)
        if view.highlighted.tolist() == seen[-1]:
            break
        seen.append(view.highlighted.tolist())
    assert len(seen[-1]) == 12
    assert len(seen) > 3
    for wanted in seen[-2::-1]:
        turn(view, user, place, -1)
        assert view.highlighted.tolist() == wanted


def test_the_next_steps_are_outlined_only_after_the_wheel_was_turned(view, user):
    place = user.at(12, 12)
    view.mouse(user.move(place)[0])
    assert view.details[1].startswith("zoom")
    plain = view.render()
    assert (plain == view._canvas.picture).all()
    turn(view, user, place, 1)
    assert view.changed
    shown = view.render()
    different = (shown != view._canvas.picture).any(axis=2)
    assert different.any()
    assert set(np.unique(shown[different])) == {0, 255}  # dashes
    assert not different[user.at(12, 12)[::-1]]
    assert "step 1 of" in view.details[1]
    turn(view, user, place, -1)
    assert (view.render() == view._canvas.picture).all()


def test_a_click_keeps_its_level_for_the_next_click_on_the_same_segment(view, user):
    first, second = user.at(12, 12), user.at(20, 28)
    turn(view, user, first, 2)
    click(view, user, first)
    group = painted(view)
    assert group.sum() > 64
    turn(view, user, second, -9)
    click(view, user, second)  # one segment
    assert painted(view).sum() in (group.sum(), group.sum() + 64)
    view.mouse(user.move(user.at(4, 20))[0])
    assert len(view.highlighted) == 1  # the level of the last click
    click(view, user, first, "right")
    assert not (painted(view) & group).any()
    turn(view, user, first, -9)  # the wheel decides again
    view.mouse(user.move(user.at(4, 20), first)[1])
    assert len(view.highlighted) == 1


def test_levels_of_clicks_end_with_the_segments(view, user):
    turn(view, user, user.at(12, 12), 2)
    click(view, user, user.at(12, 12))
    assert view.opened.click_levels
    view.opened.replace_segments(np.ones((24, 32), np.int32))
    assert not view.opened.click_levels
