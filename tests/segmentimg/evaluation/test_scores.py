"""Boundary recall, undersegmentation error and ASA by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.evaluation.scores import border_pixels, evaluate
from icas.segmentimg.labels.labels import connected

pairs = st.integers(0, 10**6).map(
    lambda seed: tuple(np.random.default_rng(seed).integers(0, 3, (2, 8, 9)))
)


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_values_are_what_the_definitions_say(pair):
    labels, truth = connected(pair[0]), pair[1]
    found = evaluate(labels, [truth])
    leak = right = 0
    for segment in range(1, labels.max() + 1):
        inside = labels == segment
        overlaps = [int((inside & (truth == value)).sum()) for value in np.unique(truth)]
        right += max(overlaps)
        leak += sum(min(part, inside.sum() - part) for part in overlaps if part)
    assert found.accuracy == pytest.approx(right / labels.size)
    assert found.undersegmentation == pytest.approx(leak / labels.size)
    wanted, drawn = border_pixels(truth), border_pixels(labels)
    hits = [
        drawn[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].any()
        for row, column in zip(*np.nonzero(wanted), strict=True)
    ]
    assert found.recall == pytest.approx(np.mean(hits) if hits else 1.0)


def test_the_truth_itself_is_perfect():
    truth = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    found = evaluate(connected(truth), [truth, truth])
    assert (found.segments, found.recall, found.undersegmentation, found.accuracy) == (2, 1, 0, 1)


def test_several_annotators_are_averaged():
    labels = connected(np.repeat([[1, 1, 2, 2]], 4, axis=0))
    one, other = np.repeat([[1, 1, 2, 2]], 4, axis=0), np.repeat([[1, 2, 2, 2]], 4, axis=0)
    both = evaluate(labels, [one, other]).accuracy
    assert both == (evaluate(labels, [one]).accuracy + evaluate(labels, [other]).accuracy) / 2


def test_sizes_must_agree():
    with pytest.raises(icas.UsageError, match="ground truth"):
        evaluate(np.ones((3, 3), np.int32), [np.ones((3, 4))])
    with pytest.raises(icas.UsageError, match="no ground-truth"):
        evaluate(np.ones((3, 3), np.int32), [])


FIGURES = {  # least ASA on seg-bsds500, at no more than 1,500 segments a picture
    "superpixel": 0.94,
    "graph": 0.94,
    "felzenszwalb": 0.94,
    "slickmeans": 0.94,
    "kmeans": 0.94,
    "quickshift": 0.94,
    "edge": 0.90,
    "chanvese": 0.90,
}


QUICK = ("superpixel", "graph", "edge")


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in FIGURES],
)
def test_defaults_reach_their_figures_on_real_pictures(data, method):
    from icas.segmentimg.evaluation.scores import evaluate_folder
    from icas.segmentimg.segmenters import make_segmenter

    folder = data / "seg-bsds500"
    found = evaluate_folder(folder / "images", folder / "gt_npz", make_segmenter(method))
    assert found.scores.accuracy >= FIGURES[method]
    assert found.most_segments <= 1500
    if method == "superpixel":
        assert found.scores.recall >= 0.82
        assert found.most_segments <= 700
