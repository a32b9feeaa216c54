"""Thresholds and scores of a folder: laws over generated values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from icas.clusterimg.quality.issues import FOUND, ISSUES, scores_of, thresholds_of

values = st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=40).map(np.array)


@pytest.mark.parametrize("name", [name for name, one in ISSUES.items() if one.worst == 1])
@given(values=values)
def test_the_threshold_is_between_floor_and_ceiling(name, values):
    issue = ISSUES[name]
    assert issue.floor <= issue.threshold(values) <= issue.ceiling < issue.worst


@pytest.mark.parametrize("name", ["blurred", "dark", "low_contrast"])
@given(values=values)
def test_scores_follow_the_values_and_the_threshold(name, values):
    issue = ISSUES[name]
    threshold = issue.threshold(values)
    scores = issue.scores(values, threshold)
    assert ((scores >= FOUND) == (values >= threshold)).all()
    assert (np.diff(scores[np.argsort(values, kind="stable")]) >= 0).all()
    assert scores.min() >= 0
    assert scores.max() <= 1


@given(values=values)
def test_no_value_below_the_floor_is_an_issue(values):
    issue = ISSUES["blurred"]
    good = values * issue.floor * 0.999
    assert (issue.scores(good, issue.threshold(good)) < FOUND).all()


def test_a_folder_that_is_soft_throughout_is_not_all_blurred():
    issue = ISSUES["blurred"]
    soft = np.linspace(0.57, 0.63, 100)
    assert (issue.scores(soft, issue.threshold(soft)) < FOUND).all()
    with_worse = np.append(soft, 0.74)
    assert np.flatnonzero(issue.scores(with_worse, issue.threshold(with_worse)) >= FOUND) == [100]


def columns(**given):
    plain = {
        "width": 400.0,
        "height": 300.0,
        "blur": 0.3,
        "brightness_p98": 230.0,
        "brightness_p5": 20.0,
        "clipped_bright": 0.01,
        "contrast": 0.7,
        "entropy": 7.0,
        "colorfulness": 30.0,
    }
    count = max(len(column) for column in given.values())
    whole = {name: np.full(count, value) for name, value in plain.items()}
    return whole | {name: np.array(column, float) for name, column in given.items()}


def flagged(given, name):
    scores = scores_of(given, thresholds_of(given))[name]
    return np.flatnonzero(scores >= FOUND).tolist()


def test_gray_is_an_issue_only_among_images_in_color():
    assert flagged(columns(colorfulness=[30] * 9 + [0]), "grayscale") == [9]
    assert flagged(columns(colorfulness=[30] * 5 + [0] * 5), "grayscale") == []
    assert flagged(columns(colorfulness=[0] * 10), "grayscale") == []


def test_size_is_compared_with_the_folder_and_aspect_with_a_square():
    sizes = columns(width=[400] * 9 + [40], height=[300] * 9 + [30])
    assert flagged(sizes, "odd_size") == [9]
    assert flagged(columns(width=[40] * 10, height=[30] * 10), "odd_size") == []
    assert flagged(columns(width=[400] * 9 + [1500]), "odd_aspect") == [9]
    turned = columns(width=[400] * 5 + [300] * 5, height=[300] * 5 + [400] * 5)
    assert flagged(turned, "odd_aspect") == []
