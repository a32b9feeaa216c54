"""Which boxes and points belong together, and which of them can't be."""

from __future__ import annotations

import numpy as np
import pytest

import icas
from icas.segmentimg.sam.predictor import Prompt, Prompts

A, B = (10.0, 10.0, 40.0, 40.0), (60.0, 20.0, 90.0, 50.0)


def test_points_go_with_the_box_that_they_lie_in():
    in_a, in_b, on_edge = (20, 20, 1), (70, 30, 0), (40, 25, 0)
    assert Prompts((A, B), (in_b, in_a, on_edge)).split() == (
        Prompt(A, (in_a, on_edge)),
        Prompt(B, (in_b,)),
    )


def test_a_point_in_two_boxes_goes_with_both():
    wide = (0.0, 0.0, 100.0, 100.0)
    assert Prompts((A, wide), ((20, 20, 1),)).split() == (
        Prompt(A, ((20, 20, 1),)),
        Prompt(wide, ((20, 20, 1),)),
    )


def test_foreground_points_in_no_box_are_one_more_prompt():
    inside, first, second = (20, 20, 1), (50, 5, 1), (55, 60, 1)
    assert Prompts((A,), (first, inside, second)).split() == (
        Prompt(A, (inside,)),
        Prompt(None, (first, second)),
    )


def test_background_points_in_no_box_go_with_every_prompt():
    not_this, inside, outside = (50, 5, 0), (20, 20, 1), (55, 60, 1)
    assert Prompts((A, B), (not_this, inside)).split() == (
        Prompt(A, (not_this, inside)),
        Prompt(B, (not_this,)),
    )
    assert Prompts((A,), (inside, not_this, outside)).split() == (
        Prompt(A, (inside, not_this)),
        Prompt(None, (not_this, outside)),
    )


def test_points_alone_are_one_prompt_in_their_order():
    points = ((5, 6, 0), (1, 2, 1), (3, 4, 1))
    assert Prompts(points=points).split() == (Prompt(None, points),)


@pytest.mark.parametrize("points", [(), ((1, 2, 0),)])
def test_nothing_pointed_at_is_reported(points):
    with pytest.raises(icas.UsageError, match="give a box or a foreground point"):
        Prompts(points=points).split()


def test_values_come_in_order_and_of_one_type():
    made = Prompts(np.array([[40, 40, 10, 10]]), [np.array([3, 4]), ("5", "6", "0")])
    assert made == Prompts((A,), ((3.0, 4.0, 1), (5.0, 6.0, 0)))
    assert type(made.points[0][2]) is int
    assert made
    assert not Prompts()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"boxes": [(1, 2, 3)]}, "box 1,2,3: expected 4 numbers x0,y0,x1,y1"),
        ({"boxes": (1, 2, 3, 4)}, "box 1: expected 4 numbers"),
        ({"boxes": [(1, 2, 1, 9)]}, "box 1,2,1,9 has no area"),
        ({"boxes": [(1, 2, float("nan"), 9)]}, "4 numbers"),
        ({"boxes": ["abcd"]}, "box abcd: expected 4 numbers"),
        ({"points": [(1, 2, 3)]}, "label must be 1"),
        ({"points": [(1,)]}, "point 1: expected 3 numbers x,y,label"),
        ({"points": [(1, 2, 0.5)]}, "label must be 1"),
        ({"points": [(1, 2, 1, 1)]}, "3 numbers"),
    ],
)
def test_what_is_no_box_or_point_is_reported(given, words):
    with pytest.raises(icas.UsageError, match=words):
        Prompts(**given)


def test_what_lies_outside_the_picture_is_reported_or_cut():
    assert Prompts(((-5, 5, 200, 9),)).within((50, 100)).boxes == ((0, 5, 100, 9),)
    with pytest.raises(icas.UsageError, match="point 100,5 is outside the image"):
        Prompts(points=((100, 5, 1),)).within((50, 100))
    with pytest.raises(icas.UsageError, match="box 0,60,9,70 is outside"):
        Prompts(((0, 60, 9, 70),)).within((50, 100))
