"""Objects of the classes: numbers through every command, undo, state and class edits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.common.errors import UsageError
from icas.segmentimg.labels.labels import connected

RED, BLUE, GREEN = (204, 0, 0), (0, 0, 255), (0, 170, 68)
HEIGHT, WIDTH = 12, 15
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
rows, columns = st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1)
colors = st.sampled_from([RED, BLUE])
numbers = st.sampled_from([None, 1, 2, 3, 500])
commands = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), rows, columns, colors, numbers),
        st.tuples(st.just("new_object"), colors),
        st.tuples(st.just("pick_object"), rows, columns),
        st.tuples(st.just("unfill"), rows, columns),
        st.tuples(st.just("cut"), st.tuples(rows, columns), st.tuples(rows, columns)),
        st.tuples(
            st.just("brush"),
            rows,
            columns,
            st.integers(0, 4),
            st.none() | colors,
            st.none(),
            numbers,
        ),
        st.tuples(st.just("reset")),
    ),
    max_size=14,
)


def fresh(seed=0):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 4, (HEIGHT // 3, WIDTH // 3)).repeat(3, axis=0).repeat(3, axis=1)
    return icas.PaintDocument(IMAGE, connected(blocks, edges=True), colors=[RED, BLUE])


def run(doc, script):
    for name, *given_values in script:
        getattr(doc, name)(*given_values)
    return doc


def seen(doc):
    return doc.class_map().tolist(), doc.instance_map().tolist(), doc.labels.tolist()


def changes(command):
    return command[0] not in ("new_object", "pick_object")


@given(commands, st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_undo_and_redo_restore_object_numbers(script, seed):
    doc = fresh(seed)
    states = [seen(doc)]
    for command in script:
        changed = run(doc, [command]) and changes(command) and seen(doc) != states[-1]
        if changed:
            states.append(seen(doc))
    last = seen(doc)
    while doc.undo() is not None:
        assert seen(doc) in states
    assert seen(doc) == states[0]
    while doc.redo() is not None:
        pass
    assert seen(doc) == last


@given(commands, st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_objects_are_the_pixels_of_each_class_and_number(script, seed):
    doc = run(fresh(seed), script)
    classes, instances = doc.class_map(), doc.instance_map()
    assert ((classes > 0) == (instances > 0)).all()
    left = classes > 0
    for one in doc.objects():
        whole = one.full_mask(classes.shape)
        wanted = (classes == one.class_number) & (instances == one.number)
        assert (whole == wanted).all()
        assert (whole.sum(), one.mask.any(axis=1)[[0, -1]].all()) == (one.area, True)
        assert doc.colors[one.class_number - 1] == one.color
        left &= ~whole
    assert not left.any()
    assert doc.several_objects or instances.max(initial=0) <= 1


@given(commands, st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_a_restored_state_has_the_same_objects(script, seed):
    doc = run(fresh(seed), script)
    again = icas.PaintDocument.restored(IMAGE, doc.state())
    assert seen(again) == seen(doc)
    other = fresh(seed + 1)
    other.add_colors(doc.colors)
    other.take_over(doc.class_map(), doc.instance_map())
    assert seen(other)[:2] == seen(doc)[:2]


@given(commands, commands, st.permutations([1, 2]), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_reordered_classes_keep_the_paint_and_the_undo_stack(before, after, order, seed):
    doc, same = run(fresh(seed), before), run(fresh(seed), before)
    new = {RED: GREEN, BLUE: RED}
    doc.replace_colors([new[same.colors[number - 1]] for number in order], order)
    table = np.array([0, *(order.index(number) + 1 for number in (1, 2))])
    swapped = [
        tuple(new.get(value, value) if isinstance(value, tuple) else value for value in command)
        for command in after
    ]
    for script, plain in zip(swapped, after, strict=True):
        run(doc, [script])
        run(same, [plain])
    while True:
        assert (doc.class_map() == table[same.class_map()]).all()
        assert (doc.instance_map() == same.instance_map()).all()
        if (doc.undo() is None) | (same.undo() is None):
            break


def test_new_paint_belongs_to_the_current_object():
    doc = icas.PaintDocument(IMAGE, np.arange(1, 181).reshape(HEIGHT, WIDTH))
    doc.fill(0, 0, RED)
    assert doc.new_object(RED) == doc.new_object(RED) == 2
    doc.fill(0, 1, RED)
    doc.fill(0, 2, BLUE)
    doc.brush(5, 5, 1, RED)
    assert doc.instance_map()[0, :3].tolist() == [1, 2, 1]
    assert (doc.object_at(5, 5), doc.object_at(9, 9)) == ((RED, 2), None)
    assert doc.pick_object(0, 0) == (RED, 1)
    doc.fill(0, 3, RED)
    assert doc.object_at(0, 3) == (RED, 1)
    doc.new_objects()
    assert (doc.current_object(RED), doc.current_object(BLUE)) == (3, 2)
    assert icas.PaintDocument.restored(IMAGE, doc.state()).current_object(RED) == 2


def test_a_fill_with_another_object_is_a_change():
    doc = fresh()
    row, col = np.argwhere(doc.labels > 0)[0]
    assert doc.fill(row, col, RED) is not None
    assert doc.fill(row, col, RED, 2) is not None
    assert doc.fill(row, col, RED, 2) is None
    assert doc.undo() is not None
    assert doc.object_at(row, col) == (RED, 1)


def test_a_small_mask_is_stamped_at_its_place():
    doc = fresh()
    box = doc.stamp(np.eye(3, dtype=bool), BLUE, 7, at=(4, 5))
    assert box == (4, 7, 5, 8)
    (one,) = doc.objects()
    assert (one.number, one.box, one.mask.tolist()) == (7, box, np.eye(3, dtype=bool).tolist())
    with pytest.raises(UsageError, match="mask"):
        doc.stamp(np.ones((3, 3), bool), BLUE, at=(10, 0))


@pytest.mark.parametrize("number", [0, -1, 32_768])
def test_wrong_object_numbers_are_refused(number):
    with pytest.raises(UsageError, match="1 to 32,767"):
        fresh().brush(0, 0, 1, RED, instance=number)
    with pytest.raises(UsageError, match="1 to 32,767"):
        fresh().take_over(np.ones((HEIGHT, WIDTH), int), np.full((HEIGHT, WIDTH), number))


def test_a_brush_without_several_objects_stays_small():
    doc = fresh()
    doc.brush(3, 3, 2, RED)
    assert doc.state().override_numbers is None
    assert not doc.several_objects
    before = doc.history_nbytes
    doc.brush(8, 8, 2, RED, instance=2)
    assert doc.several_objects
    assert doc.history_nbytes - before < 600
