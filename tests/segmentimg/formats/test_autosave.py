"""Documents between runs: there and back, damage, and a death in the middle of writing."""

from __future__ import annotations

import dataclasses
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import icas
from icas.segmentimg.document.document import PaintState
from icas.segmentimg.formats.autosave import (
    Autosave,
    AutosaveWriter,
    autosave_path,
    painting_stamps,
    read_autosave,
    saved_since,
    set_aside,
    write_autosave,
)
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.labels.labels import connected

RED, BLUE = (204, 0, 0), (0, 0, 255)
rows, columns = st.integers(0, 11), st.integers(0, 14)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), rows, columns, st.sampled_from([RED, BLUE])),
        st.tuples(st.just("cut"), st.tuples(rows, columns), st.tuples(rows, columns)),
        st.tuples(st.just("brush"), rows, columns, st.integers(0, 3), st.sampled_from([None, RED])),
        st.tuples(st.just("undo")),
        st.tuples(st.just("reset")),
    ),
    max_size=8,
)
in_tmp = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def painted(script, seed=0) -> icas.PaintDocument:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 4, (4, 5)).repeat(3, axis=0).repeat(3, axis=1)
    doc = icas.PaintDocument(
        np.zeros((12, 15, 3), np.uint8), connected(blocks, edges=True), colors=[BLUE]
    )
    for name, *values in script:
        getattr(doc, name)(*values)
    return doc


def kept_of(state, **given) -> Autosave:
    names = tuple(f"class {number}" for number in range(len(state.colors)))
    return Autosave(state, names, given.pop("about", {"image": "ä.png"}), given.pop("saved", False))


def assert_equal(found: Autosave, kept: Autosave) -> None:
    for one in dataclasses.fields(PaintState):
        is_, was = (getattr(side.state, one.name) for side in (found, kept))
        if isinstance(was, np.ndarray):
            assert is_.dtype == was.dtype
            assert (is_ == was).all()
        else:
            assert is_ == was
    for name in ("names", "about", "saved", "files"):
        assert getattr(found, name) == getattr(kept, name)


@given(steps, st.integers(0, 30), st.booleans())
@in_tmp
def test_what_is_kept_comes_back(tmp_path, script, seed, saved):
    doc = painted(script, seed)
    kept = dataclasses.replace(kept_of(doc.state(), saved=saved), files={"a.png": (7, 10**18)})
    place = tmp_path / "deep" / ".icas" / "a.paint"
    write_autosave(place, kept)
    found = read_autosave(place)
    assert_equal(found, kept)
    again = icas.PaintDocument.restored(doc.image, found.state)
    assert (again.class_map() == doc.class_map()).all()
    assert [path.name for path in place.parent.iterdir()] == ["a.paint"]
    for other in (doc, again):  # a painter goes on as if nothing had been between
        other.cut((0, 7), (11, 7))
        other.fill(2, 2, RED)
    assert (again.labels == doc.labels).all()
    assert (again.class_map() == doc.class_map()).all()
    there = np.unique(doc.labels).tolist()  # a piece that was cut away altogether is forgotten
    assert [again.origin_of(n) for n in there] == [doc.origin_of(n) for n in there]


@pytest.mark.parametrize("count", [(1 << 16) - 1, 1 << 16, 70_001])
def test_more_segments_than_16_bits_hold(tmp_path, count):
    labels = np.arange(1, count + 1, dtype=np.int32)[None]
    doc = icas.PaintDocument(np.zeros((1, count, 3), np.uint8), labels)
    doc.fill(0, count - 1, RED)
    doc.brush(0, 9, 2, BLUE)
    place = tmp_path / "large.paint"
    write_autosave(place, kept_of(doc.state()))
    assert_equal(read_autosave(place), kept_of(doc.state()))
    assert read_autosave(place).state.labels.max() == count


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("kept") / "a.paint"
    script = [("fill", 2, 2, RED), ("cut", (0, 0), (11, 14)), ("brush", 5, 5, 2, BLUE)]
    kept = kept_of(painted(script).state())
    write_autosave(place, kept)
    return kept, place.read_bytes()


@given(st.data())
@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_file_is_reported_by_its_name_or_does_no_harm(tmp_path, whole, data):
    kept, content = whole
    place = tmp_path / "damaged.paint"
    if data.draw(st.booleans()):
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.binary(min_size=1, max_size=4))
        damaged = content[:at] + new + content[at + len(new) :]
    place.write_bytes(damaged)
    found, reported = None, str(place)
    try:
        found = read_autosave(place)
    except icas.IcasError as error:
        reported = str(error)
    assert str(place) in reported
    assert "\n" not in reported
    if found is not None:
        assert_equal(found, kept)


def edited(content, name, change):
    """The file with one of its parts changed, its checksums right."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for one in old.namelist():
            new.writestr(one, change(old.read(one)) if one == name else old.read(one))
    return target.getvalue()


def array_of(changed):
    def change(data):
        array = np.lib.format.read_array(io.BytesIO(data))
        target = io.BytesIO()
        np.lib.format.write_array(target, changed(array))
        return target.getvalue()

    return change


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("document.json", lambda _: b"[]", ""),
        ("document.json", lambda _: b"{", ""),
        ("document.json", lambda data: data.replace(b'"format": 1', b'"format": 2'), "reads 1"),
        ("document.json", lambda data: data.replace(b'"files": {}', b'"files": []'), ""),
        (
            "document.json",
            lambda data: data.replace(b'"class 1"]', b'"one", "two"]'),
            "inconsistent",
        ),
        ("first.npy", array_of(lambda labels: labels[1:]), "inconsistent"),
        ("first.npy", array_of(lambda labels: labels + 1000), "inconsistent"),
        ("first.npy", array_of(lambda labels: labels.astype(np.int32) - 5), "inconsistent"),
        ("classes.npy", array_of(lambda classes: classes + 9), "without a colour"),
        ("classes.npy", array_of(lambda classes: classes - 9), "without a colour"),
        ("overrides.npy", array_of(lambda pixels: pixels + 9), "without a colour"),
        ("overrides.npy", array_of(lambda pixels: pixels - 9), "without a colour"),
        ("overrides.npy", lambda data: data[:40], ""),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, whole, name, change, reason):
    place = tmp_path / "odd.paint"
    place.write_bytes(edited(whole[1], name, change))
    with pytest.raises(
        icas.IcasError, match=rf"cannot read autosave .*odd\.paint.*{reason}.*move it away"
    ):
        read_autosave(place)


def test_no_file_is_no_document_and_a_folder_is_reported(tmp_path):
    assert read_autosave(tmp_path / "none.paint") is None
    (tmp_path / "a.paint").mkdir()
    with pytest.raises(icas.IcasError, match=r"cannot read autosave .*a\.paint"):
        read_autosave(tmp_path / "a.paint")


def test_a_death_in_the_middle_leaves_the_old_document(tmp_path, monkeypatch, whole):
    place = tmp_path / "a.paint"
    write_autosave(place, whole[0])
    before = place.read_bytes()

    def dying(self, target):
        raise OSError(5, "Input/output error")

    new = kept_of(painted([("fill", 0, 0, RED)]).state())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dying)
        with pytest.raises(OSError, match="Input"):
            write_autosave(place, new)
    assert place.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.paint"]
    write_autosave(place, new)
    assert_equal(read_autosave(place), new)


def test_the_keeper_writes_in_order_and_reports_what_failed(tmp_path):
    keeper = AutosaveWriter()
    states = [painted([("fill", row, 0, RED)]).state() for row in (0, 4, 8)]
    futures = [keeper.submit(tmp_path / "a.paint", kept_of(state)) for state in states]
    (tmp_path / "file").touch()
    failed = keeper.submit(tmp_path / "file" / "b.paint", kept_of(states[0]))
    keeper.close()
    assert all(future.result() is None for future in futures)
    assert_equal(read_autosave(tmp_path / "a.paint"), kept_of(states[2]))
    assert isinstance(failed.exception(), OSError)


def test_stamps_tell_whether_paint_was_changed_added_or_taken_away(tmp_path):
    picture = ImageFile(tmp_path / "a.png", tmp_path / "out", "a")
    assert painting_stamps(picture) == {}
    picture.out.mkdir()
    names = ["a_mask_(R:204,G:0,B:0).png", "a_mask_(R=1,G=2,B=3).PNG", "a_labels.png"]
    for name in [*names, "a_segments.png", "a.json", "a_2_labels.png", "b_labels.png"]:
        (picture.out / name).write_bytes(b"first")
    stamps = painting_stamps(picture)
    assert sorted(stamps) == sorted(names)
    assert painting_stamps(picture) == stamps
    (picture.out / names[0]).write_bytes(b"longer now")
    assert painting_stamps(picture) != stamps
    stamps = painting_stamps(picture)
    (picture.out / names[1]).unlink()
    assert painting_stamps(picture) != stamps
    stamps = painting_stamps(picture)
    (picture.out / "a_labelme.json").touch()
    assert painting_stamps(picture) != stamps


def test_a_save_that_the_kept_document_does_not_know_of_is_seen(tmp_path):
    picture = ImageFile(tmp_path / "a.png", tmp_path, "a")
    kept = kept_of(painted([]).state())
    assert not saved_since(picture, kept)
    write_autosave(autosave_path(picture), kept)
    for name in ("a.json", "a_labels.png"):
        (tmp_path / name).touch()
    for seconds, known, expected in ((-1, {}, False), (1, {}, True), (1, None, False)):
        at = autosave_path(picture).stat().st_mtime_ns + seconds * 10**9
        os.utime(tmp_path / "a.json", ns=(at, at))
        files = painting_stamps(picture) if known is None else known
        assert saved_since(picture, dataclasses.replace(kept, files=files)) == expected


def test_what_is_set_aside_stands_in_nobodys_place(tmp_path):
    for count in range(3):
        (tmp_path / "a.paint").write_bytes(bytes([count]))
        set_aside(tmp_path / "a.paint")
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"a.paint.old": b"\0", "a.paint.old2": b"\1", "a.paint.old3": b"\2"}


def test_a_document_lies_beside_the_masks(tmp_path):
    picture = ImageFile(tmp_path / "img.jpg", tmp_path / "out", "img")
    assert autosave_path(picture) == tmp_path / "out" / ".icas" / "img.paint"
