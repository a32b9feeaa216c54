"""The canvas: kept up to date rectangle by rectangle, it equals a new canvas."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.labels.labels import connected
from icas.segmentimg.render.canvas import NOTHING, Canvas, CanvasStyle, Viewport

RED, BLUE, BLACK = (204, 0, 0), (0, 0, 255), (0, 0, 0)
HEIGHT, WIDTH = 18, 24
rows, columns = st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1)
places = st.tuples(rows, columns)
colors = st.sampled_from([RED, BLUE, BLACK])
looks = st.builds(CanvasStyle, st.sampled_from([0.5, 1.0, 0.0, 0.25]), st.booleans())
steps = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), places, colors),
        st.tuples(st.just("unfill"), places),
        st.tuples(st.just("cut"), places, places),
        st.tuples(st.just("brush"), places, st.integers(0, 4), st.none() | colors),
        st.tuples(st.sampled_from(["undo", "redo", "reset"])),
        st.tuples(st.just("light"), st.lists(places, max_size=3)),
        st.tuples(st.just("zoom"), st.sampled_from([1.25, 2.0, 0.8]), places),
    ),
    max_size=12,
)


def document(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    blocks = rng.integers(0, 4, (HEIGHT // 3, WIDTH // 3)).repeat(3, axis=0).repeat(3, axis=1)
    return icas.PaintDocument(image, connected(blocks, edges=True))


def change(doc, name, given):
    if name in ("undo", "redo", "reset"):
        return getattr(doc, name)()
    if name == "cut":
        return doc.cut(*given)
    return getattr(doc, name)(*given[0], *given[1:])


def play(canvas, doc, step):
    name, *given = step
    if name == "light":
        under = {doc.segment_at(*place) for place in given[0]} - {0}
        canvas.highlight(np.array(sorted(under), np.int32))
    elif name == "zoom":
        canvas.show(canvas.viewport.zoomed(given[0], given[1][1], given[1][0]), canvas.style)
    else:
        box = change(doc, name, given)
        if box is not None:
            canvas.refresh(box)


def redrawn(canvas, doc):
    made = Canvas(doc, canvas.viewport, canvas.style)
    made.highlight(canvas.highlighted)
    made.show(canvas.viewport, canvas.style)
    return made.picture


@given(steps, st.integers(0, 30), looks, st.sampled_from([(99, 99), (12, 13), (54, 72), (40, 20)]))
@settings(max_examples=100, deadline=None)
def test_refreshed_piece_by_piece_it_is_as_if_redrawn(script, seed, look, most):
    doc = document(seed)
    canvas = Canvas(doc, Viewport.fitted((HEIGHT, WIDTH), most), look)
    for step in script:
        play(canvas, doc, step)
        assert (canvas.picture == redrawn(canvas, doc)).all(), step


@given(steps, st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_at_its_own_size_unlit_pixels_are_picture_or_paint(script, seed):
    doc = document(seed)
    canvas = Canvas(
        doc, Viewport((HEIGHT, WIDTH), (HEIGHT, WIDTH), 1.0), CanvasStyle(1.0, borders=False)
    )
    for step in script:
        if step[0] not in ("zoom", "light"):
            play(canvas, doc, step)
    expected = doc.image.copy()
    for color, mask in doc.masks().items():
        expected[mask] = color
    assert (canvas.picture == expected).all()


def test_light_and_borders_are_seen_where_segments_are():
    labels = np.repeat([[1, 1, 1, 1, 2, 2, 2, 2]], 6, axis=0)
    doc = icas.PaintDocument(np.full((6, 8, 3), 90, np.uint8), labels)
    canvas = Canvas(doc, Viewport((6, 8), (6, 8), 1.0), CanvasStyle())
    plain = canvas.picture.copy()
    assert (plain[:, 3] != 90).any(axis=1).all()  # the border
    assert (plain[:, [0, 1, 2, 4, 5, 6, 7]] == 90).all()
    assert canvas.highlight(np.array([2], np.int32))
    assert not canvas.highlight(np.array([2], np.int32))
    assert (canvas.picture[:, :4] == plain[:, :4]).all()
    assert (canvas.picture[:, 4:] > 90).all()
    assert (canvas.picture[:, 4] == 255).all()  # its rim
    assert canvas.highlight(NOTHING)
    assert (canvas.picture == plain).all()


def test_a_large_picture_is_shown_smaller_without_jags():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (400, 600, 3), dtype=np.uint8)
    doc = icas.PaintDocument(image, np.ones((400, 600), np.int32))
    canvas = Canvas(doc, Viewport.whole((400, 600), (100, 150)), CanvasStyle(borders=False))
    assert canvas.picture.shape == (100, 150, 3)
    assert canvas.picture.std() < 0.5 * image.std()  # means of pixels, not a choice of them
    assert np.abs(canvas.picture.mean() - image.mean()) < 2
    doc.fill(0, 0, RED)
    canvas.refresh((0, 400, 0, 600))
    assert canvas.picture[..., 0].mean() > 140
