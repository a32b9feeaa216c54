"""What commands changed, as values: applied to an earlier state they give the later one."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import icas
from icas.common.errors import ConflictError, IcasError
from icas.segmentimg.formats.autosave import read_autosave, write_autosave
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.session.changes import Change, Recorder, replayed
from icas.segmentimg.session.folders import painting_locked
from icas.segmentimg.session.log import Entry, PaintingLog, log_path, with_logged
from icas.segmentimg.settings import SegmentSettings

COLORS = [(204, 0, 0), (0, 0, 255), (0, 255, 0)]
SHAPE = (12, 16)
pixels = st.tuples(st.integers(0, 11), st.integers(0, 15))
commands = st.one_of(
    st.tuples(st.just("fill"), pixels, st.sampled_from(COLORS), st.integers(1, 3)),
    st.tuples(st.just("brush"), pixels, st.sampled_from([*COLORS, None]), st.integers(1, 3)),
    st.tuples(st.just("cut"), pixels, pixels),
    st.tuples(st.sampled_from(["undo", "redo", "reset"])),
)


def document_of():
    labels = np.repeat(np.arange(1, 5).reshape(1, 4), 12, axis=0).repeat(4, axis=1)
    return icas.PaintDocument(np.zeros((*SHAPE, 3), np.uint8), labels, colors=COLORS)


def run(document, command):
    op, *args = command
    if op == "fill":
        (row, col), color, number = args
        return document.fill(row, col, color, number)
    if op == "brush":
        (row, col), color, number = args
        return document.brush(row, col, 2, color, instance=number)
    return getattr(document, op)(*args)


@settings(max_examples=60, deadline=None)
@given(st.lists(commands, max_size=8), st.lists(commands, max_size=8))
def test_a_state_with_changes_is_the_later_state(before, after):
    document = document_of()
    for command in before:
        run(document, command)
    state, changes = document.state(), []
    for command in after:
        recorder = Recorder(document)
        change = recorder.change(run(document, command))
        changes.append(Change.unpacked(change.packed()))
    restored = icas.PaintDocument.restored(document.image, replayed(state, changes))
    assert np.array_equal(restored.labels, document.labels)
    assert np.array_equal(restored.codes, document.codes)
    assert np.array_equal(restored.codes_of(np.s_[:, :]), document.codes_of(np.s_[:, :]))


@pytest.fixture
def picture(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (16, 12)).save(folder / "a.png")
    return find_image_files([folder])[0]


def entry(rev, **given):
    values = {"id": str(rev), "image": "a", "base": "first", "op": "fill", "args": {}}
    return Entry(rev, **{**values, "text": "fill", "time": "now", **given})


def logged(picture, revs, base="first", at=0):
    """An autosaved document, and the same with rows of the log after it."""
    opened = SegmentSettings().make_opener().open(picture)
    opened.base, opened.rev = base, at
    path = picture.out / ".icas" / "a.paint"
    write_autosave(path, opened.snapshot())
    log = PaintingLog(picture.out)
    for rev in revs:
        recorder = Recorder(opened.document)
        change = recorder.change(opened.document.brush(rev, rev, 0, COLORS[0]))
        log.append(entry(rev), change.packed())
    log.close()
    return with_logged(picture, read_autosave(path))


def test_rows_that_follow_an_autosave_file_are_applied(picture):
    kept = logged(picture, [3, 4, 5], at=3)
    assert not kept.saved
    assert np.argwhere(kept.state.overrides == 1).tolist() == [[4, 4], [5, 5]]


@pytest.mark.parametrize("base", ["second", ""])
def test_rows_of_another_autosave_file_are_not_applied(picture, base):
    assert logged(picture, [3, 4], base).state.overrides is None


def test_ids_are_found_and_unique(picture):
    log = PaintingLog(picture.out)
    log.append(entry(1, args={"row": 1}), None)
    assert log.find("1") == entry(1, args={"row": 1})
    assert (log.find("2"), log.last) == (None, 1)
    with pytest.raises(IcasError, match="cannot use the painting log"):
        log.append(entry(2, id="1"), None)
    log.set_fact("unsure:a", "1")
    assert log.facts("unsure:") == {"a": "1"}
    log.close()


def test_logs_of_others_and_damaged_ones(picture):
    path = log_path(picture.out)
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA application_id = 7")
    with pytest.raises(IcasError, match="is not a painting log of icas: move it away"):
        PaintingLog(picture.out)
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(IcasError, match="is not a painting log of icas"):
        PaintingLog(picture.out)
    with pytest.raises(IcasError, match="damaged"):
        Change.unpacked(b"no change")


def test_one_session_for_a_folder(tmp_path):
    out = tmp_path / "out"
    with painting_locked([out, tmp_path / "other"]):
        refused = pytest.raises(ConflictError, match="another icas process uses")
        with refused, painting_locked([out]):
            raise AssertionError
        assert out.exists()
    assert not out.exists()
