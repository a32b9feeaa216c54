"""Review of carried masks in a painting session: queue, decisions with undo, carrying again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pytest

from icas.cli.console import Console
from icas.common.errors import UsageError
from icas.io.reading import write_image
from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.propagation.carry import Carried
from icas.segmentimg.propagation_run import carrying
from icas.segmentimg.propagation_run.run import PropagationRun
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.serving import carried as queue_module
from icas.segmentimg.serving.start import open_painting
from icas.segmentimg.settings import SegmentSettings

SETTINGS = PropagateSettings(clusters="one", jobs=1)
QUIET = Console()
CAT = PaintClass("cat", (204, 0, 0))
SIZE = (60, 80)
NAMES = "abcd"
SURE = {"a": 250, "b": 300, "c": 180, "d": 90}
"""Brightness of the images: the brighter, the surer; b is accepted at once."""


def class_map(shift: int = 0) -> Any:
    painted = np.zeros(SIZE, np.int16)
    painted[10 + shift : 40 + shift, 20:50] = 1
    return painted


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four gray images: a is painted by a person, masks are carried to b (accepted), c and d."""

    def copied(features: Any, painted: Any, *_: Any) -> Carried:
        masks = {key: share > 0.5 for key, share in painted[-1].shares.items()}
        level = float(features.image.mean())
        sure = 0.99 if level > 225 else level / 300
        confidences = dict.fromkeys(masks, sure)
        return Carried(masks, sure, confidences, frozenset(), "geometry", 0, features.image)

    monkeypatch.setattr(carrying, "carry_masks", copied)
    monkeypatch.setattr(queue_module, "core_count", lambda: 2)  # threads see the carrier above
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, value in SURE.items():
        image = np.full((*SIZE, 3), min(value, 255), np.uint8)
        image[:, 40:] -= 20
        write_image(folder / f"{name}.png", image)
    save(folder, "a", class_map())
    PropagationRun([folder], SETTINGS, QUIET).carry()
    return folder


def save(folder: Path, name: str, painted: Any) -> None:
    for picture in find_image_files([folder / f"{name}.png"]):
        save_painting(picture, Painting(painted, (CAT,)), {"image": f"{name}.png"})


class User:
    """Sends commands with the current revision and new ids."""

    def __init__(self, painting: Any) -> None:
        self.painting = painting
        self.events: list[tuple[str, Any]] = []
        painting.on_event(lambda name, data: self.events.append((name, data)))
        until(lambda: self.queue()["wait"] is False)

    def do(self, op: str, name: str | None = None, **args: Any) -> Any:
        number = None if name is None else NAMES.index(name)
        if number is not None:
            until(lambda: self.painting.wait(number, 1))
        return self.painting.execute(op, number, args, self.painting.rev, token_hex(8))

    def undo(self, name: str, redo: bool = False) -> Any:
        step = self.painting.redo if redo else self.painting.undo
        return step(NAMES.index(name), self.painting.rev, token_hex(8))

    def queue(self) -> Any:
        return self.painting.carried.rows()

    def states(self) -> dict[str, str]:
        return {row["file"][0]: row["state"] for row in self.queue()["rows"]}

    def marks(self) -> list[str]:
        return self.painting.files(0, 10)["marks"]

    def document(self, name: str) -> Any:
        number = NAMES.index(name)
        until(lambda: self.painting.wait(number, 1))
        return self.painting.opened(number).document


def until(done: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextmanager
def session(photos: Path) -> Iterator[User]:
    with open_painting([photos], SegmentSettings(jobs=1)) as painting:
        yield User(painting)


@pytest.fixture
def user(photos: Path) -> Iterator[User]:
    with session(photos) as one:
        yield one


def on_disk(photos: Path) -> dict[str, str]:
    states = PropagationRun([photos], SETTINGS, QUIET).states
    return {state.file[0]: state.state for state in states}


def saved(photos: Path, name: str) -> Any:
    loaded = load_painting(find_image_files([photos / f"{name}.png"])[0], SIZE)
    assert loaded is not None
    return loaded.painting.class_map > 0


def test_the_least_sure_mask_comes_first(user):
    rows = user.queue()["rows"]
    assert [row["file"] for row in rows] == ["d.png", "c.png"]
    assert rows[0]["image"] == 3
    assert rows[0]["confidence"] < rows[1]["confidence"] < 0.95
    assert (rows[0]["source"], rows[0]["class"], rows[0]["state"]) == ("a.png", "cat", "carried")
    assert user.painting.state()["queue"] == 2
    assert user.marks() == ["saved", "carried", "unsure", "unsure"]


def test_decisions_are_on_disk_when_answered(user, photos):
    assert user.do("accept", "d")["text"] == "accepted"
    assert user.do("absent", "c")["text"] == "the object is not in the image"
    assert on_disk(photos) == {"a": "painted", "b": "accepted", "c": "rejected", "d": "accepted"}
    assert user.states() == {"d": "accepted", "c": "rejected"}
    assert user.painting.state()["queue"] == 0
    assert user.marks() == ["saved", "carried", "absent", "saved"]
    assert not saved(photos, "c").any()
    assert not user.document("c").painted
    np.testing.assert_array_equal(saved(photos, "d"), class_map() > 0)


def test_undo_and_redo_of_decisions(user, photos):
    user.do("accept", "d")
    absent = user.do("absent", "c")
    assert absent["delta"]["objects"] == []
    assert absent["delta"]["undo"] == "the object is not in the image"
    undone = user.undo("c")
    assert undone["delta"]["objects"][0]["area"] == 900
    assert undone["delta"]["mark"] == "unsure"
    assert on_disk(photos)["c"] == "carried"
    np.testing.assert_array_equal(saved(photos, "c"), class_map() > 0)
    assert user.undo("c", redo=True)["delta"]["objects"] == []
    assert on_disk(photos)["c"] == "rejected"
    assert user.undo("d")["delta"]["mark"] == "unsure"
    assert on_disk(photos)["d"] == "carried"
    with pytest.raises(UsageError, match="nothing to undo"):
        user.undo("d")


def test_a_changed_mask_is_fixed(user, photos):
    user.do("rectangle", "d", box=[0, 0, 20, 20], **{"class": 1})
    assert user.marks()[3] == "unsaved"
    fixed = user.do("accept", "d")
    assert fixed["text"] == "fixed"
    assert user.marks()[3] == "saved"
    assert on_disk(photos)["d"] == "fixed"
    assert saved(photos, "d")[5, 5]
    assert user.undo("d")["text"] == "undo fixed"
    assert on_disk(photos)["d"] == "carried"
    assert not saved(photos, "d")[5, 5]
    assert user.document("d").class_map()[5, 5] == 1  # the paint stays, unsaved
    assert user.marks()[3] == "unsaved"
    user.undo("d")
    assert user.document("d").class_map()[5, 5] == 0


def test_saving_a_changed_mask_fixes_it_too(user, photos):
    user.do("rectangle", "d", box=[0, 0, 20, 20], **{"class": 1})
    user.do("save", "d")
    assert user.states()["d"] == "fixed"
    assert user.painting.state()["queue"] == 1
    assert on_disk(photos)["d"] == "fixed"


def test_decisions_need_a_carried_mask(user):
    for name in "ab":
        with pytest.raises(UsageError, match="no carried mask"):
            user.do("accept", name)


def test_decisions_survive_a_restart(photos):
    with session(photos) as first:
        first.do("accept", "d")
        first.do("absent", "c")
    with session(photos) as second:
        assert second.queue()["rows"] == []
        assert second.marks() == ["saved", "carried", "absent", "saved"]
        assert not second.document("c").painted


def test_fixed_masks_of_an_earlier_session_are_carried_from(photos):
    with session(photos) as first:
        assert first.queue()["again"] is False
        first.do("rectangle", "d", box=[0, 0, 20, 20], **{"class": 1})
        first.do("accept", "d")
    with session(photos) as second:
        assert second.queue()["again"] is True
        second.do("redo_carrying")
        until(lambda: second.painting.carried.progress is None)
        assert second.queue()["again"] is False
        assert saved(photos, "c")[5, 5]


def test_the_queue_follows_images_to_other_paths(photos, tmp_path):
    with session(photos) as user:
        photos.rename(tmp_path / "moved")
        user.painting.move(
            [
                replace(picture, path=tmp_path / "moved" / picture.path.name)
                for picture in user.painting.session.pictures
            ]
        )
        assert user.do("accept", "d")["text"] == "accepted"
        assert user.undo("d")["delta"]["mark"] == "unsure"


def test_masks_are_carried_again_from_fixed_ones(user, photos):
    with pytest.raises(UsageError, match="no mask was fixed"):
        user.do("redo_carrying")
    before = user.document("c").class_map().copy()
    user.do("absent", "d")
    with pytest.raises(UsageError, match="no mask was fixed"):
        user.do("redo_carrying")
    user.undo("d")
    user.do("reset", "d")
    user.do("rectangle", "d", box=[30, 0, 50, 20], **{"class": 1})
    user.do("accept", "d")
    assert user.queue()["again"] is True
    text = user.do("redo_carrying")["text"]
    assert text == "carry masks again from 1 fixed image"
    until(lambda: user.painting.carried.progress is None)
    done = [data for name, data in user.events if name == "carrying"]
    assert done[0]["progress"] == 0.0
    assert done[-1]["done"] is True
    assert done[-1]["text"].startswith("1 image carried from 2 painted")
    assert ("doc", {"n": 2, "doc_rev": -1}) in user.events
    assert on_disk(photos) == {"a": "painted", "b": "accepted", "c": "carried", "d": "fixed"}
    after = user.document("c").class_map()
    assert not (after == before).all()  # copied from d now
    np.testing.assert_array_equal(after > 0, saved(photos, "c"))
    assert user.states() == {"c": "carried", "d": "fixed"}
    assert user.queue()["again"] is False


def test_nothing_is_decided_while_masks_are_carried(user, monkeypatch):
    user.do("rectangle", "d", box=[0, 0, 20, 20], **{"class": 1})
    user.do("accept", "d")
    release = threading.Event()
    carry = PropagationRun.carry

    def slow(run: Any, **options: Any) -> Any:
        assert release.wait(60)
        return carry(run, **options)

    monkeypatch.setattr(PropagationRun, "carry", slow)
    user.do("redo_carrying")
    for op in ("accept", "absent", "save"):
        with pytest.raises(UsageError, match="wait until that is done"):
            user.do(op, "c")
    with pytest.raises(UsageError, match="wait until that is done"):
        user.do("redo_carrying")
    release.set()
    until(lambda: user.painting.carried.progress is None)
    assert user.do("accept", "c")["text"] == "accepted"


def test_unsaved_paint_stays_when_masks_are_carried_again(user, photos):
    user.do("rectangle", "d", box=[0, 0, 20, 20], **{"class": 1})
    user.do("accept", "d")
    user.do("rectangle", "c", box=[50, 60, 60, 80], **{"class": 1})
    user.do("redo_carrying")
    until(lambda: user.painting.carried.progress is None)
    assert user.document("c").class_map()[55, 70] == 1
    assert user.marks()[2] == "unsaved"
    assert not saved(photos, "c")[55, 70]


def test_sessions_without_carried_masks_have_no_queue(tmp_path):
    write_image(tmp_path / "a.png", np.full((*SIZE, 3), 90, np.uint8))
    with open_painting([tmp_path], SegmentSettings(jobs=1)) as painting:
        assert painting.state()["queue"] is None
        assert painting.carried.rows()["rows"] == []
        with pytest.raises(UsageError, match="segmentimg propagate first"):
            painting.carried.carry_again()
