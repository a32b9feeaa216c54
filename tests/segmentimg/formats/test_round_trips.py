"""Random documents with objects: the same document again from every file that keeps everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.segmentimg.document.palette import PaintClass, Painting, Palette
from icas.segmentimg.formats.autosave import Autosave, read_autosave, write_autosave
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.labels.labels import connected

CLASSES = Palette(
    [PaintClass("car", (204, 0, 0)), PaintClass("tree", (0, 102, 0)), PaintClass("sky", (9, 9, 9))]
)
COLORS = [entry.color for entry in CLASSES]
HEIGHT, WIDTH = 14, 17
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
SAVES = (
    ("masks",),
    ("labels",),
    ("masks", "labels"),
    ("labelme",),
    ("coco",),
    ("instances",),
    ("masks", "labels", "instances", "labelme", "coco"),
)
rows, columns = st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1)
colors = st.sampled_from(COLORS)
numbers = st.integers(1, 5) | st.sampled_from([300, 32_767])
commands = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), rows, columns, colors, numbers),
        st.tuples(st.just("brush"), rows, columns, st.integers(0, 3), colors, st.none(), numbers),
        st.tuples(st.just("cut"), st.tuples(rows, columns), st.tuples(rows, columns)),
        st.tuples(st.just("unfill"), rows, columns),
        st.tuples(st.just("undo")),
    ),
    max_size=12,
)


def painted(script, seed):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 4, (5, 6)).repeat(3, axis=0).repeat(3, axis=1)[:HEIGHT, :WIDTH]
    doc = icas.PaintDocument(IMAGE, connected(blocks, edges=True), colors=COLORS)
    for name, *values in script:
        getattr(doc, name)(*values)
    return doc


def there_and_back(folder, script, seed, saves, polygons=False):
    doc = painted(script, seed)
    picture = ImageFile(folder / "a.jpg", folder / "out", "a")
    (folder / "a.jpg").touch()
    one = Painting(doc.class_map(), CLASSES, doc.instance_map())
    save_painting(picture, one, {"image": "a.jpg"}, saves, polygons=polygons)
    found = load_painting(picture, (HEIGHT, WIDTH), CLASSES).painting
    again = icas.PaintDocument(IMAGE, doc.labels, colors=COLORS)
    again.take_over(found.class_map, found.instance_map)
    assert (again.class_map() == doc.class_map()).all()
    assert (again.instance_map() == doc.instance_map()).all()
    kept = Autosave(doc.state(), tuple(entry.name for entry in CLASSES), {}, False)
    write_autosave(folder / "a.paint", kept)
    state = read_autosave(folder / "a.paint").state
    restored = icas.PaintDocument.restored(IMAGE, state)
    assert (restored.codes_of(np.s_[:]) == doc.codes_of(np.s_[:])).all()
    assert (restored.labels == doc.labels).all()


@given(commands, st.integers(0, 999), st.sampled_from(SAVES), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_document_comes_back(tmp_path_factory, script, seed, saves, polygons):
    there_and_back(tmp_path_factory.mktemp("document"), script, seed, saves, polygons)


@pytest.mark.slow
@given(commands, st.integers(0, 999))
@settings(max_examples=500, deadline=None)
def test_500_documents_come_back_through_every_save(tmp_path_factory, script, seed):
    folder = tmp_path_factory.mktemp("document")
    for saves in SAVES:
        there_and_back(folder, script, seed, saves)
    there_and_back(folder, script, seed, ("coco",), polygons=True)
