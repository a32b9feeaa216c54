"""Lines and paint stay visible whatever colors an image has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.render.canvas import BORDER_SHARE, Canvas, CanvasStyle, Viewport
from icas.segmentimg.render.contrast import CLEAR, LineColors, distances, paint_opacity

colors = st.tuples(*[st.integers(0, 255)] * 3)


@given(colors, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_borders_are_clear_on_any_color(color, seed):
    noise = np.random.default_rng(seed).integers(-12, 13, (24, 24, 3))
    image = (np.array(color) + noise).clip(0, 255).astype(np.uint8)
    labels = np.repeat(np.arange(1, 25).reshape(1, 24) > 12, 24, axis=0) + 1
    document = icas.PaintDocument(image, labels.astype(np.int32))
    canvas = Canvas(document, Viewport.whole((24, 24), (24, 24)), CanvasStyle())
    line = canvas.picture[:, 11:12]
    assert np.median(distances(image[:, 11:12], line)) > CLEAR


@pytest.mark.parametrize(
    ("color", "like"),
    [((140, 80, 40), "yellow"), ((30, 60, 160), "cyan"), ((120, 70, 120), "plum")],
)
def test_the_hue_differs_from_that_of_the_image(color, like):
    image = np.full((20, 20, 3), color, np.uint8)
    lines = LineColors.on(image, BORDER_SHARE)
    drawn = (1 - BORDER_SHARE) * image + BORDER_SHARE * lines.light
    assert distances(image, drawn.astype(np.uint8)).min() > 2 * CLEAR


def test_paint_of_the_color_of_the_image_is_more_opaque():
    brown = np.full((30, 30, 3), (150, 90, 40), np.uint8)
    assert paint_opacity(brown, (0, 0, 255), 0.5) == 0.5
    assert paint_opacity(brown, (180, 110, 50), 0.5) == pytest.approx(0.7)


def test_borders_of_small_segments_are_fainter():
    image = np.full((40, 40, 3), 90, np.uint8)
    seen = []
    for side in (2, 20):
        rows = np.arange(40) // side
        labels = rows[:, None] * 100 + rows + 1
        document = icas.PaintDocument(
            image, np.unique(labels, return_inverse=True)[1].reshape(40, 40).astype(np.int32) + 1
        )
        canvas = Canvas(document, Viewport.whole((40, 40), (40, 40)), CanvasStyle())
        seen.append(np.abs(canvas.picture.astype(int) - image).max())
    assert seen[0] < 0.6 * seen[1]
