"""Painting: laws over any sequence of commands, and what a person would check by eye."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage.measure import label

import icas
from icas.segmentimg.labels.labels import connected

RED, BLUE, BLACK = (204, 0, 0), (0, 0, 255), (0, 0, 0)
HEIGHT, WIDTH = 12, 15
rows, columns = st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1)
colors = st.sampled_from([RED, BLUE, BLACK])
commands = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), rows, columns, colors),
        st.tuples(st.just("unfill"), rows, columns),
        st.tuples(st.just("cut"), st.tuples(rows, columns), st.tuples(rows, columns)),
        st.tuples(st.just("brush"), rows, columns, st.integers(0, 4), st.none() | colors),
        st.tuples(st.just("reset")),
    ),
    max_size=14,
)


def fresh(seed: int = 0) -> icas.PaintDocument:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    blocks = rng.integers(0, 4, (HEIGHT // 3, WIDTH // 3)).repeat(3, axis=0).repeat(3, axis=1)
    return icas.PaintDocument(image, connected(blocks, edges=True))


def state(doc):
    found = doc.class_map()
    shown = {color: mask.tobytes() for color, mask in doc.masks().items()}
    return doc.labels.tobytes(), len(doc.classes), (found > 0).tobytes(), shown


def run(doc, command):
    name, *given = command
    return getattr(doc, name)(*given)


@given(commands, st.integers(0, 50))
@settings(max_examples=150, deadline=None)
def test_as_many_undos_as_commands_give_the_first_state_and_redos_the_last(script, seed):
    doc = fresh(seed)
    states = [state(doc)]
    for command in script:
        if run(doc, command) is not None:
            states.append(state(doc))
        else:
            assert state(doc) == states[-1]
    for expected in states[-2::-1]:
        assert doc.undo() is not None
        assert state(doc) == expected
    assert doc.undo() is None
    for expected in states[1:]:
        assert doc.redo() is not None
        assert state(doc) == expected
    assert doc.redo() is None


@given(commands, st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_masks_are_disjoint_and_their_union_is_what_is_painted(script, seed):
    doc = fresh(seed)
    for command in script:
        run(doc, command)
    masks = doc.masks()
    total = sum((mask.astype(int) for mask in masks.values()), np.zeros((HEIGHT, WIDTH), int))
    assert total.max(initial=0) <= 1
    assert ((total == 1) == (doc.class_map() > 0)).all()
    assert all(mask.any() for mask in masks.values())


@given(commands, st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_what_changes_lies_in_the_rectangle_that_is_reported(script, seed):
    doc = fresh(seed)
    for command in script:
        labels, found = doc.labels.copy(), doc.class_map()
        names = [None, *doc.colors]
        box = run(doc, command)
        changed = (labels != doc.labels) | (found != doc.class_map())
        assert names == [None, *doc.colors][: len(names)]
        if box is None:
            assert not changed.any()
        else:
            changed[box[0] : box[1], box[2] : box[3]] = False
            assert not changed.any()


@given(commands, st.integers(0, 50))
@settings(max_examples=80, deadline=None)
def test_segments_stay_connected_and_a_cut_touches_its_line_alone(script, seed):
    doc = fresh(seed)
    for command in script:
        edge, shown = doc.labels == 0, doc.class_map()
        run(doc, command)
        for number in np.unique(doc.labels[doc.labels > 0]):
            assert label(doc.labels == number, connectivity=1).max() == 1
        assert doc.labels.max() < len(doc.classes)
        if command[0] == "cut":
            line = (doc.labels == 0) & ~edge
            assert (doc.class_map()[~line] == shown[~line]).all()


def two_halves() -> icas.PaintDocument:
    labels = np.repeat([[1, 1, 1, 1, 2, 2, 2, 2]], 6, axis=0)
    return icas.PaintDocument(np.full((6, 8, 3), 90, np.uint8), labels)


def test_a_click_fills_a_segment_and_another_colour_refills_it():
    doc = two_halves()
    assert doc.fill(2, 1, RED) == (0, 6, 0, 4)
    assert doc.masks()[RED].sum() == 24
    assert doc.fill(2, 1, RED) is None
    doc.fill(0, 3, BLACK)
    assert list(doc.masks()) == [BLACK]
    doc.unfill(5, 0)
    assert doc.masks() == {}
    assert (doc.image == 90).all()


def test_a_cut_makes_two_segments_that_keep_their_paint():
    doc = two_halves()
    doc.fill(0, 0, RED)
    assert doc.cut((3, 0), (3, 7)) == (0, 6, 0, 8)
    assert (doc.labels[3] == 0).all()
    assert len({doc.labels[0, 0], doc.labels[5, 0], doc.labels[0, 7], doc.labels[5, 7]}) == 4
    assert doc.masks()[RED].sum() == 20
    doc.fill(5, 0, BLUE)
    assert (doc.masks()[RED].sum(), doc.masks()[BLUE].sum()) == (12, 8)
    assert doc.fill(3, 3, BLUE) is None  # an edge is no segment


def test_a_stroke_is_one_entry():
    doc = two_halves()
    with doc.stroke():
        doc.fill(0, 0, RED)
        doc.fill(0, 7, RED)
    assert doc.undo() == (0, 6, 0, 8)
    assert doc.masks() == {}
    doc.redo()
    assert doc.masks()[RED].all()


def test_filling_a_segment_takes_the_brush_off_it():
    doc = two_halves()
    doc.brush(2, 3, 2, BLUE)
    assert doc.masks()[BLUE].sum() == 13
    doc.fill(0, 0, RED)
    assert doc.masks()[RED].sum() == 24
    assert (doc.masks()[BLUE].sum(), doc.class_map()[2, 4]) == (4, 1)
    doc.brush(0, 0, 0, None)
    assert doc.masks()[RED].sum() == 23


def test_a_stamp_paints_a_mask():
    doc = two_halves()
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:6] = True
    assert doc.stamp(mask, RED) == (1, 3, 2, 6)
    assert (doc.masks()[RED] == mask).all()
    with pytest.raises(icas.UsageError, match="shape mismatch: mask"):
        doc.stamp(mask[1:], RED)


def test_an_undo_entry_of_a_fill_is_small_and_history_is_bounded_by_bytes():
    doc = two_halves()
    doc.fill(0, 0, RED)
    assert doc.history_nbytes < 1000
    small = icas.PaintDocument(doc.image, doc.labels, history_bytes=1000)
    for number in range(50):
        small.fill(0, 0, (number, 0, 0))
    assert small.history_nbytes <= 1000
    undone = sum(1 for _ in iter(small.undo, None))
    assert 0 < undone < 50
    assert list(small.masks()) == [(49 - undone, 0, 0)]


def test_wrong_input_is_reported():
    doc = two_halves()
    with pytest.raises(icas.UsageError, match="must be 0 to 255"):
        doc.fill(0, 0, (0, 0, 256))
    assert doc.fill(-1, 0, RED) is None
    assert doc.fill(0, 8, RED) is None
    with pytest.raises(icas.UsageError, match="shape mismatch: labels"):
        icas.PaintDocument(doc.image, doc.labels[1:])
