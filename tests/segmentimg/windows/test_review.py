"""The review of carried masks, played without a display."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import icas
from icas.cli.console import Console
from icas.io.reading import write_image
from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.grabcut.api import GrabCutSession
from icas.segmentimg.propagation.carry import Carried
from icas.segmentimg.propagation_run import carrying
from icas.segmentimg.propagation_run.run import PropagationRun
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.windows import app, review
from icas.segmentimg.windows.events import Closed, Event, Key
from icas.segmentimg.windows.review import ReviewController, review_queue

SETTINGS = PropagateSettings(clusters="one", jobs=1)
QUIET = Console(results=False, warnings=False)
CAT = PaintClass("cat", (204, 0, 0))
SIZE = (60, 80)


def mask() -> Any:
    class_map = np.zeros(SIZE, np.int16)
    class_map[10:40, 20:50] = 1
    return class_map


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four gray images: ``a.png`` is painted, ``d.png`` is the least sure one."""

    def copied(features: Any, painted: Any, *_: Any) -> Carried:
        masks = {key: share > 0.5 for key, share in painted[0].shares.items()}
        sure = float(features.image.mean() / 300)
        confidences = dict.fromkeys(masks, sure)
        return Carried(masks, sure, confidences, frozenset(), "geometry", 0, features.image)

    monkeypatch.setattr(carrying, "carry_masks", copied)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, value in {"a": 250, "b": 220, "c": 180, "d": 90}.items():
        image = np.full((*SIZE, 3), value, np.uint8)
        image[:, 40:] -= 60
        write_image(folder / f"{name}.png", image)
    for picture in find_image_files([folder / "a.png"]):
        save_painting(picture, Painting(mask(), (CAT,)), {"image": "a.png"})
    return folder


class Screen:
    """Plays the events of a script once the image it is for is shown."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)
        self.controller: ReviewController | None = None
        self.messages: list[str] = []

    class layout:  # noqa: N801 - an attribute of the real one
        painting = (480, 640)
        annotations = (480, 640)

    def size(self, *_: Any) -> tuple[int, int]:
        return (480, 640)

    def events(self, seconds: float) -> list[Event]:
        assert self.controller is not None
        view, current = self.controller._view, self.controller._session.current
        if view is None or view.opened is not current:
            time.sleep(0.002)
            return []
        self.messages.append(self.controller._message.text)
        return [Key(self._keys.pop(0))] if self._keys else [Closed("Painting")]

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def played(photos: Path, monkeypatch: pytest.MonkeyPatch, *keys: str) -> Any:
    """Carry, review with these keys, and read the states again."""
    screen = Screen(*keys)

    class Watched(ReviewController):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            screen.controller = self

    monkeypatch.setattr(app, "HighGui", lambda: screen)
    monkeypatch.setattr(review, "ReviewController", Watched)
    monkeypatch.setattr(review, "require_windows", lambda _: None)
    run = PropagationRun([photos], SETTINGS, QUIET)
    run.carry()
    assert [state.file for state in run.queue] == ["d.png", "c.png", "b.png"]
    summary = review_queue(run.queue, run.palette, SETTINGS, QUIET)
    again = PropagationRun([photos], SETTINGS, QUIET)
    return summary, {state.file[0]: state.state for state in again.states}, screen


def painted(photos: Path, name: str) -> Any:
    loaded = load_painting(find_image_files([photos / f"{name}.png"])[0], SIZE)
    assert loaded is not None
    return loaded.painting.class_map > 0


def test_keys_accept_reject_and_skip(photos, monkeypatch):
    summary, states, screen = played(photos, monkeypatch, "space", "x", "n", "q")
    assert states == {"a": "painted", "d": "accepted", "c": "rejected", "b": "carried"}
    assert (summary.accepted, summary.rejected, summary.fixed, summary.left) == (1, 1, 0, 1)
    assert not painted(photos, "c").any()
    np.testing.assert_array_equal(painted(photos, "d"), mask() > 0)
    assert any("confidence 0.2" in text for text in screen.messages)


def test_undo_takes_back_decisions_one_by_one(photos, monkeypatch):
    summary, states, _ = played(photos, monkeypatch, "space", "x", "z", "z", "z", "q", "q")
    assert states == {"a": "painted", "d": "carried", "c": "carried", "b": "carried"}
    assert summary.left == 3
    np.testing.assert_array_equal(painted(photos, "c"), mask() > 0)


def test_a_changed_mask_is_fixed_and_becomes_a_source(photos, monkeypatch):
    summary, states, _ = played(photos, monkeypatch, "r", "space", "r", "z", "space", "q")
    assert states == {"a": "painted", "d": "rejected", "c": "accepted", "b": "carried"}
    assert summary.left == 1
    for picture in find_image_files([photos / "b.png"]):
        save_painting(picture, Painting(np.roll(mask(), 5, axis=0), (CAT,)), {})
    run = PropagationRun([photos], SETTINGS, QUIET)
    assert {state.file[0]: state.is_source for state in run.states} == {
        "a": True, "b": True, "c": False, "d": False,
    }  # fmt: skip


def test_a_annotates_with_grabcut_whatever_made_the_segments(photos, monkeypatch):
    _, states, screen = played(photos, monkeypatch, "a", "q")
    assert isinstance(screen.controller._session.current.guide, GrabCutSession)
    assert not any("takes no annotations" in text for text in screen.messages)
    assert set(states.values()) == {"painted", "carried"}


def test_nothing_opens_without_a_queue_or_a_display(photos, monkeypatch):
    assert review_queue([], (), SETTINGS, QUIET).left == 0
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    run = PropagationRun([photos], SETTINGS, QUIET)
    run.carry()
    with pytest.raises(icas.IcasError, match="display"):
        review_queue(run.queue, run.palette, SETTINGS, QUIET)
