"""Sessions: painting outlives leaving, closing, failing disks and little memory."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import icas
from icas.io.reading import MAX_PIXELS, write_image
from icas.segmentimg.document.palette import PaintClass, Palette
from icas.segmentimg.formats import autosave as keeping
from icas.segmentimg.formats.autosave import autosave_path, read_autosave
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.session.open import ImageOpener, OpenImage
from icas.segmentimg.session.session import AUTOSAVE_SECONDS, RETRY_SECONDS, Session

RED, BLUE = (204, 0, 0), (0, 0, 255)
CLASSES = Palette([PaintClass("car", RED), PaintClass("sky", BLUE)])


@dataclass(frozen=True)
class Squares(Segmenter):
    """Squares of `side` pixels: segments that everyone can count."""

    name: ClassVar[str] = "squares"
    side: int = 8

    def groups(self, image):
        rows, columns = (np.arange(length) // self.side for length in image.shape[:2])
        return (rows[:, None] * 1000 + columns + 1).astype(np.int32)


OPENER = ImageOpener(Squares(), 1_500_000, MAX_PIXELS, CLASSES)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "small"
    made.mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        write_image(made / f"{name}.png", rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    return made


@pytest.fixture
def begin(folder):
    """Begin a session with the folder; those not closed by a test are at its end."""
    made = []

    def beginning(opener=OPENER, saves=("masks", "labels"), **given):
        made.append(Session(find_image_files([folder]), opener, saves, **given))
        return made[-1]

    yield beginning
    for session in made:
        session._prefetcher.close()


def until(ready):
    """Wait for what a thread does."""
    end = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.001)


def opened(session):
    until(lambda: session.current is not None or session.error)
    assert not session.error
    return session.current


def settled(session):
    """Tick until nothing is on its way to the disk; what was reported."""
    reported = []
    until(lambda: reported.append(session.tick()) or not session.store.writing)
    return [text for text in reported if text]


def paint(session, row=4, col=4, color=RED):
    assert opened(session).document.fill(row, col, color) is not None


def look(session):
    return opened(session).document.class_map()[4::8, 4::8].tolist()


PAINTED = [[1, 0, 0, 0], [0] * 4, [0] * 4]
BARE = [[0] * 4] * 3


def mask_of(folder, color=RED, name="a"):
    red, green, blue = color
    return folder.parent / "small_segmented" / f"{name}_mask_(R:{red},G:{green},B:{blue}).png"


def test_painting_is_there_again_after_next_and_previous(begin):
    session = begin()
    paint(session)
    assert session.go(1)
    assert look(session) == BARE
    assert session.go(-1)
    assert look(session) == PAINTED
    assert not session.go(-1)
    assert session.index == 0
    assert [path.name for path in session.unsaved] == ["a.png"]


def test_closed_and_begun_again_it_goes_on(begin, folder):
    session = begin()
    paint(session)
    opened(session).document.cut((4, 0), (4, 15))
    opened(session).document.brush(20, 20, 2, BLUE)
    before = opened(session).document.state()
    summary = session.close()
    assert summary.unsaved == (folder / "a.png",)
    assert not summary.failed
    assert not mask_of(folder).exists()
    session = begin()
    after = opened(session).document.state()
    for name in ("first", "labels", "classes", "overrides"):
        assert (getattr(after, name) == getattr(before, name)).all()
    assert session.current.note == "restored unsaved painting"
    assert session.unsaved == (folder / "a.png",)
    assert session.close().unsaved == (folder / "a.png",)


def test_after_a_save_the_document_is_known_again(begin, folder):
    session = begin()
    paint(session)
    opened(session).document.cut((0, 4), (23, 4))
    files = session.save()
    assert mask_of(folder) in files
    assert session.unsaved == ()
    summary = session.close()
    assert (summary.saved, summary.unsaved) == (1, ())
    session = begin()
    assert opened(session).note == "restored the painting"
    assert session.current.document.labels[:, 4].max() == 0  # cuts are more than masks tell
    assert session.current.document.class_map()[4, 3] == 1
    assert session.unsaved == ()


def test_with_another_method_unsaved_painting_lies_over_the_new_segments(begin):
    session = begin()
    paint(session)
    session.close()
    classes = Palette([PaintClass("tree", (0, 102, 0)), PaintClass("sky", BLUE)])
    other = replace(OPENER, segmenter=Squares(12), palette=classes)
    session = begin(other)
    document = opened(session).document
    assert document.labels.max() == 6
    found = document.masks()
    assert list(found) == [RED]
    assert (np.argwhere(found[RED]).max(axis=0) == 7).all()
    assert found[RED].sum() == 64
    assert "on new segments" in session.current.note
    # the palette's classes keep their numbers and names
    assert [one.name for one in session.current.classes] == ["tree", "sky", "car"]
    assert session.unsaved
    session.save()
    reported = json.loads(session.picture.file(".json").read_text())
    assert [(one["name"], one["number"]) for one in reported["classes"]] == [("car", 3)]


def test_saved_painting_is_loaded_onto_other_segments(begin):
    session = begin()
    paint(session)
    session.save()
    session.close()
    session = begin(replace(OPENER, segmenter=Squares(12)))
    assert opened(session).document.masks()[RED].sum() == 64
    assert session.unsaved == ()


@pytest.mark.parametrize("ahead", [0, 2])
def test_masks_edited_by_hand_win_and_cuts_stay(begin, folder, ahead):
    session = begin(ahead=ahead)
    paint(session)
    session.current.document.cut((0, 4), (23, 4))
    session.save()
    session.close()
    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 8:16] = 255
    write_image(mask_of(folder), mask)
    session = begin()
    assert look(session) == [[0] * 4, [0, 1, 0, 0], [0] * 4]
    assert (session.current.document.labels[:, 4] == 0).all()
    assert session.unsaved == ()
    assert "loaded a_mask" in session.current.note


def test_a_mask_that_is_added_by_hand_counts(begin, folder):
    session = begin()
    paint(session)
    session.save()
    session.close()
    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 8:16] = 255
    write_image(mask_of(folder, BLUE), mask)
    assert look(begin()) == [[1, 0, 0, 0], [0, 2, 0, 0], [0] * 4]


def test_masks_that_are_deleted_leave_the_picture_unpainted(begin, folder):
    session = begin()
    paint(session)
    session.save()
    session.close()
    mask_of(folder).unlink()
    (folder.parent / "small_segmented" / "a_labels.png").unlink()
    session = begin()
    assert look(session) == BARE
    assert session.current.note == "no masks found: nothing is painted"


def test_without_resume_unsaved_painting_is_put_aside_and_never_overwritten(begin, folder):
    places = []
    for row in (4, 12, 20):
        session = begin(replace(OPENER, resume=False))
        assert look(session) == BARE
        paint(session, row)
        places.append(autosave_path(session.picture))
        session.close()
    aside = sorted(path.name for path in places[0].parent.iterdir())
    assert aside == ["a.paint", "a.paint.old", "a.paint.old2"]
    rows = [
        int(np.flatnonzero(read_autosave(places[0].with_name(name)).state.classes)[0])
        for name in aside
    ]
    assert rows == [9, 1, 5]  # the segments: all three are there


def test_without_resume_what_was_painted_in_this_session_comes_back(begin):
    session = begin()
    paint(session, 20, 28, BLUE)
    session.save()
    session.close()
    session = begin(replace(OPENER, resume=False), memory_bytes=1)
    assert look(session) == BARE
    session.go(1)
    paint(session)
    session.go(1)
    opened(session)
    settled(session)
    assert 0 not in session.store.images
    assert 1 not in session.store.images
    session.go(-1)
    assert look(session) == PAINTED
    session.go(-1)
    assert look(session) == BARE  # nothing was painted here in this session


def test_a_picture_is_kept_seconds_after_it_has_changed(begin):
    clock = Clock()
    session = begin(clock=clock)
    opened(session)
    place = autosave_path(session.picture)
    settled(session)
    clock.now += AUTOSAVE_SECONDS
    settled(session)
    assert not place.exists()  # nothing has changed
    paint(session)
    clock.now += AUTOSAVE_SECONDS
    session.tick()
    settled(session)
    assert read_autosave(place).state.classes[1] == 1
    assert not read_autosave(place).saved
    paint(session, 12, 12)
    session.tick()
    assert settled(session) == []
    assert read_autosave(place).state.classes[6] == 0  # not yet
    clock.now += AUTOSAVE_SECONDS
    session.tick()
    settled(session)
    assert read_autosave(place).state.classes[6] == 1
    session.save()
    settled(session)
    assert read_autosave(place).saved


def failing(path, kept):
    raise OSError(28, "No space left on device")


def test_a_disk_that_fails_is_reported_once_and_tried_again(begin, monkeypatch, folder):
    clock = Clock()
    session = begin(clock=clock, memory_bytes=1)
    paint(session)
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_autosave", failing)
        clock.now += AUTOSAVE_SECONDS
        session.tick()
        reported = settled(session)
        assert len(reported) == 1
        assert "no space left on device" in reported[0]
        assert str(autosave_path(session.picture).parent) in reported[0]
        session.go(1)
        opened(session)
        for _ in range(3):
            clock.now += RETRY_SECONDS
            session.tick()
            assert settled(session) == []
        assert 0 in session.store.images  # not forgotten, though there is no room
        session.go(-1)
        assert look(session) == PAINTED
        session.go(1)
        opened(session)
        settled(session)
    assert not autosave_path(session.pictures[0]).exists()
    clock.now += RETRY_SECONDS
    session.tick()
    settled(session)
    assert read_autosave(autosave_path(session.pictures[0])).state.classes[1] == 1
    assert session.close().failed == {}


def test_what_could_not_be_kept_at_last_is_reported_in_the_summary(begin, monkeypatch, folder):
    session = begin()
    paint(session)
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_autosave", failing)
        summary = session.close()
    assert list(summary.failed) == [folder / "a.png"]
    assert "no space left" in summary.failed[folder / "a.png"]


def test_a_save_whose_document_could_not_be_kept_wins_over_older_painting(begin, monkeypatch):
    session = begin()
    paint(session)
    session.go(1)
    session.go(-1)
    settled(session)
    assert not read_autosave(autosave_path(session.picture)).saved
    paint(session, 12, 12, BLUE)
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_autosave", failing)  # or the process dies right here
        session.save()
        session.close()
    later = time.time_ns() + 10**9
    os.utime(session.picture.file(".json"), ns=(later, later))
    session = begin()
    assert look(session) == [[1, 0, 0, 0], [0, 2, 0, 0], [0] * 4]
    assert session.unsaved == ()
    assert "a.paint.old" in session.current.note
    assert autosave_path(session.picture).with_name("a.paint.old").is_file()


def test_cuts_are_kept_when_the_process_dies_between_masks_and_autosave(begin, monkeypatch):
    session = begin()
    paint(session)
    session.current.document.cut((0, 3), (23, 3))
    session.go(1)
    session.go(-1)
    settled(session)
    painting, labels = look(session), session.current.document.labels.copy()
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_autosave", failing)
        session.save()
        session.close()
    later = time.time_ns() + 10**9
    os.utime(session.picture.file(".json"), ns=(later, later))
    for _ in range(2):
        session = begin()
        assert look(session) == painting
        assert np.array_equal(session.current.document.labels, labels)
        assert session.unsaved == ()
        assert "a.paint.old" not in session.current.note
        assert [path.name for path in autosave_path(session.picture).parent.iterdir()] == [
            "a.paint"
        ]
        session.close()


def test_a_save_is_kept_at_last_though_keeping_failed_at_first(begin, monkeypatch):
    clock = Clock()
    session = begin(clock=clock)
    paint(session)
    session.go(1)
    session.go(-1)
    settled(session)
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_autosave", failing)
        session.save()
        settled(session)
    clock.now += RETRY_SECONDS
    session.tick()
    settled(session)
    assert read_autosave(autosave_path(session.picture)).saved
    assert session.close().failed == {}


def test_with_little_memory_pictures_are_dropped_and_come_back_painted(begin, folder):
    session = begin(memory_bytes=1, ahead=1)
    for row in (4, 12, 20):
        paint(session, row)
        settled(session)
        session.go(1)
    assert settled(session) == []
    assert [place in session.store.images for place in range(3)] == [False, False, True]
    assert len(session.unsaved) == 3
    for row in (20, 12, 4):
        assert opened(session).document.class_map()[row, 4] == 1
        assert opened(session).document.class_map().astype(bool).sum() == 64
        session.go(-1)
    session.save()
    session.go(1)
    opened(session)
    settled(session)
    assert [path.name for path in session.unsaved] == ["b.png", "c.png"]
    assert len(session.close().unsaved) == 2


def test_a_palette_in_another_order_gives_each_class_its_new_number(begin):
    session = begin()
    paint(session)
    paint(session, 12, 12, BLUE)
    session.current.document.brush(20, 20, 1, RED)
    session.close()
    turned = Palette(
        [PaintClass("sky", BLUE), PaintClass("new", (1, 2, 3)), PaintClass("car", RED)]
    )
    session = begin(replace(OPENER, palette=turned))
    found = opened(session).document.class_map()
    assert (found[4, 4], found[12, 12], found[20, 20], found[4, 12]) == (3, 1, 3, 0)
    assert tuple(session.current.classes) == tuple(turned)
    session.save()
    session.close()
    session = begin()
    assert (opened(session).document.class_map()[4, 4], session.current.note) == (
        1,
        "restored the painting",
    )


def test_a_picture_that_cannot_be_read_is_reported_and_the_rest_goes_on(begin, folder):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:200])
    session = begin()
    paint(session)
    session.go(1)
    until(lambda: session.current is None and session.error)
    assert session.save() == []
    session.go(1)
    opened(session)
    summary = session.close()
    assert list(summary.unreadable) == [folder / "b.png"]
    assert (summary.pictures, summary.saved) == (3, 0)
    assert summary.line() == (
        "3 images, 0 saved, 1 painted but not saved, 1 unreadable ->"
        f" {folder.parent / 'small_segmented'}"
    )


def test_unsaved_painting_of_a_picture_that_has_another_size_now_is_not_thrown_away(begin, folder):
    session = begin()
    paint(session)
    session.close()
    write_image(folder / "a.png", np.zeros((24, 30, 3), np.uint8))
    session = begin()
    until(lambda: session.current is None and session.error)
    assert "32x24" in session.error
    assert "30x24" in session.error
    assert str(autosave_path(session.picture)) in session.error
    assert autosave_path(session.picture).is_file()


def test_a_damaged_document_is_reported_by_its_name(begin, folder):
    session = begin()
    paint(session)
    session.close()
    place = autosave_path(session.picture)
    place.write_bytes(place.read_bytes()[:-30])
    session = begin()
    until(lambda: session.current is None and session.error)
    assert str(place) in session.error


def test_a_save_that_fails_is_in_the_summary_until_one_succeeds(begin, monkeypatch, folder):

    def refusing(opened, *saves):
        raise icas.IcasError("the disk is full")

    session = begin(saves=("labels",))
    paint(session)
    with monkeypatch.context() as patched:
        patched.setattr(OpenImage, "save", refusing)
        with pytest.raises(icas.IcasError, match="disk is full"):
            session.save()
    assert look(session) == PAINTED
    assert session.unsaved
    session.save()
    summary = session.close()
    assert (summary.failed, summary.saved, summary.unsaved) == ({}, 1, ())
    assert not mask_of(folder).exists()
    assert (folder.parent / "small_segmented" / "a_labels.png").exists()


def test_several_jobs_and_a_long_way_ahead(begin, folder):
    for number in range(9):
        os.link(folder / "a.png", folder / f"d{number}.png")
    session = begin(jobs=3, ahead=5)
    for row in (4, 12):
        for _ in range(12):
            paint(session, row)
            session.tick()
            session.go(1 if row == 4 else -1)
    assert len(session.close().unsaved) == 12
    session = begin()
    for _ in range(12):
        assert look(session) == [[1, 0, 0, 0], [1, 0, 0, 0], [0] * 4]
        session.go(1)
