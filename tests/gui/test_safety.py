"""Painting survives what may happen: closed windows, signals, a full disk."""

from __future__ import annotations

import io
import json
import resource
import shutil
import signal
import time

import pytest
from PIL import Image

import icas
from icas.segmentimg.formats.autosave import read_autosave

pytestmark = pytest.mark.gui

RED, BLUE = (204, 0, 0), (0, 0, 255)
PROMISE = 5.0
"""Seconds after which painting is on the disk."""


def kept_masks(one):
    """What the document that is kept beside the masks holds, by colour."""
    kept = read_autosave(one.out / ".icas" / "coffee.paint")
    if kept is None:
        return {}
    return icas.PaintDocument.restored(one.document.image, kept.state).masks()


def holds(one, color, place):
    mask = kept_masks(one).get(color)
    return mask is not None and mask[place]


def all_files_are_whole(folder):
    for path in folder.rglob("*"):
        if path.name.endswith(".part") or path.name == "lock" or path.is_dir():
            continue
        if path.suffix == ".png":
            Image.open(io.BytesIO(path.read_bytes())).load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        else:
            assert read_autosave(path) is not None


def test_killed_while_painting(sit):
    one = sit()
    first, second = one.places(2)
    one.driver.click(first)
    one.document.fill(*first, RED)
    one.driver.until("it is kept", lambda: holds(one, RED, first), PROMISE)
    one.driver.press("2")
    one.driver.click(second)
    one.driver.kill()
    assert one.driver.end().code == -signal.SIGKILL
    all_files_are_whole(one.out)

    again = sit()
    again.driver.press("s")
    saved = again.saved()
    assert (saved.pop(RED) == one.document.masks()[RED]).all()
    assert set(saved) <= {BLUE}


@pytest.mark.parametrize("seconds", [0.002, 0.02])
def test_killed_while_saving(sit, seconds):
    one = sit("coffee", "--save", "masks,labels,coco,labelme")
    first, second = one.places(2)
    one.driver.click(first)
    one.document.fill(*first, RED)
    one.save()
    one.driver.press("2")
    one.driver.click(second)
    one.driver.until("it is kept", lambda: holds(one, BLUE, second), PROMISE)
    one.driver.type("s")
    time.sleep(seconds)  # how far the save comes by then is chance, and has to be all the same
    one.driver.kill()
    one.driver.end()
    all_files_are_whole(one.out)
    one.document.fill(*second, BLUE)
    again = sit()
    again.document = one.document
    again.save()
    assert again.driver.end("q").code == 0


def test_closed_by_the_cross_nothing_is_lost(sit):
    one = sit()
    place = one.places(1)[0]
    one.driver.click(place)
    one.document.fill(*place, RED)
    one.driver.cross("Painting")
    ended = one.driver.end()
    assert ended.code == 0
    assert "1 painted but not saved" in ended.out
    assert (kept_masks(one)[RED] == one.document.masks()[RED]).all()
    assert not list(one.out.glob("*.png"))


def test_interrupted_nothing_is_lost(sit):
    one = sit()
    place = one.places(1)[0]
    one.driver.click(place)
    one.document.fill(*place, RED)
    one.driver.kill(signal.SIGINT)
    ended = one.driver.end()
    assert (ended.code, ended.err) == (130, "segmentimg: interrupted\n")
    assert (kept_masks(one)[RED] == one.document.masks()[RED]).all()


def test_quitting_asks_once_where_something_is_not_saved(sit):
    one = sit()
    one.driver.click(one.places(1)[0])
    one.driver.press("q")
    assert one.driver.process.poll() is None
    one.driver.press("o")  # anything else takes the question back
    one.driver.press("q")
    assert one.driver.process.poll() is None
    assert one.driver.end("q").code == 0

    saved = sit()
    saved.driver.press("s")
    assert saved.driver.end("q").code == 0


def test_a_folder_that_cannot_be_made(sit, tmp_path):
    one = sit()
    shutil.rmtree(tmp_path / "out")  # of the lock
    (tmp_path / "out").write_text("a file")
    one.driver.click(one.places(1)[0])
    one.driver.press("s")
    one.driver.until("it is output", lambda: "not saved: " in one.driver.err)
    one.driver.press("2")
    one.driver.press("q")
    ended = one.driver.end("q")
    assert ended.code == 1
    assert f"not saved: {tmp_path / 'pictures' / 'coffee.png'}: " in ended.err
    assert "Traceback" not in ended.err
    assert (tmp_path / "out").read_text() == "a file"


def test_a_full_disk_is_reported_and_painting_goes_on(sit):
    one = sit()
    first, second = one.places(2)
    one.driver.click(first)
    one.document.fill(*first, RED)
    one.save()
    before = {path: path.read_bytes() for path in one.out.iterdir() if path.is_file()}
    # no file may grow beyond some bytes: what a full disk does to a program
    _, most = resource.prlimit(one.driver.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(one.driver.process.pid, resource.RLIMIT_FSIZE, (64, most))
    one.driver.press("2")
    one.driver.click(second)
    one.document.fill(*second, BLUE)
    one.driver.press("s")
    one.driver.until("it is output", lambda: "not saved: " in one.driver.err)
    assert {path: path.read_bytes() for path in one.out.iterdir() if path.is_file()} == before
    resource.prlimit(one.driver.process.pid, resource.RLIMIT_FSIZE, (most, most))
    one.save()
    assert one.driver.end("q").code == 0
    assert not list(one.out.rglob("*.part"))


def test_a_disk_that_stays_full_ends_in_failure(sit):
    one = sit()
    first = one.places(1)[0]
    one.driver.click(first)
    _, most = resource.prlimit(one.driver.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(one.driver.process.pid, resource.RLIMIT_FSIZE, (64, most))
    one.driver.press("2")
    one.driver.click(first)
    one.driver.until("it is output", lambda: "cannot autosave" in one.driver.err)
    one.driver.press("q")
    ended = one.driver.end("q")
    assert ended.code == 1
    assert ended.err.count("cannot autosave to") == 2
    assert "Traceback" not in ended.err
