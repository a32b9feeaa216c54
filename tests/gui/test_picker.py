"""The picker's real window: what it shows under the pointer, and how it ends."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import icas
from icas.clusterimg.methods import make_method
from icas.clusterimg.thresholds.sample import Sample

pytestmark = pytest.mark.gui
pytest.importorskip("tkinter", reason="no tkinter here: python3-tk, or another Python")

_SPEC = importlib.util.spec_from_file_location(
    "window_driver", Path(__file__).with_name("window_driver.py")
)
window_driver = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(window_driver)

WINDOW = ".* - clusterimg"
TITLE = re.compile(
    r"(?P<what>\w+) (?P<threshold>[\d.]+): (?P<pairs>[\d,]+) similar pairs,"
    r" (?P<clusters>[\d,]+) clusters, (?P<images>[\d,]+) images in clusters"
)
PROGRAM = """
import sys, icas
from icas.cli.program import guarded

def run():
    picked = icas.pick_threshold(sys.argv[1], sys.argv[2], start=0.8)
    print(float(picked))
    return 0

sys.exit(guarded("clusterimg", run, debug=False))
"""


class Picking(window_driver.WindowDriver):
    """A hand on the picker's window."""

    def __init__(self, display, folder, method="imagehash", **variables):
        self._display, self._env = display, {**display.env, **variables}
        self._xdotool("mousemove", "1275", "895")
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), method],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._output = {"out": [], "err": []}
        self._readers = [
            self._reader(self.process.stdout, "out"),
            self._reader(self.process.stderr, "err"),
        ]
        self.until("the window is open", lambda: self.find(WINDOW))
        self.until("it is drawn", lambda: np.ptp(self.shown(WINDOW).reshape(-1)) > 200)
        self._settle()

    def title(self):
        """What the window's title tells."""
        found = TITLE.match(self._xdotool("getwindowname", self.find(WINDOW)))
        assert found is not None
        return found.groupdict()

    def until_title(self, **wanted):
        self.until(f"the title tells {wanted}", lambda: wanted.items() <= self.title().items())

    def hover(self, part):
        """Move the pointer; the threshold that the title tells of it."""
        before = self.title()
        self.move(self.at(part), WINDOW)
        self.until("the title follows", lambda: self.title() != before)
        assert self.title()["what"] == "pointer"
        return float(self.title()["threshold"])

    def at(self, part):
        """A pixel beside the curve's middle, `part` of the window from the top."""
        _, _, width, height = self.box(WINDOW)
        return round(part * height), round(0.3 * width)


@pytest.fixture
def sit(display):
    begun = []

    def open_(folder, *words, **variables):
        begun.append(Picking(display, folder, *words, **variables))
        return begun[-1]

    yield open_
    for hand in begun:
        hand.kill()
        hand.end()


@pytest.fixture(scope="module")
def sample(photos):
    features = icas.features(photos, "imagehash")
    return Sample.of(make_method("imagehash"), features, len(features))


def told_by(sample, threshold):
    """What the title has to tell of a threshold."""
    found = sample.expected(threshold)
    return {
        "pairs": f"{found.pairs:,.0f}",
        "clusters": f"{found.clusters:,.0f}",
        "images": f"{found.clustered_images:,.0f}",
    }


def test_hover_click_keys_and_enter(sit, photos, sample):
    hand = sit(photos)
    assert hand.title() == {"what": "chosen", "threshold": "0.800", **told_by(sample, 0.8)}
    seen = []
    for part in (0.2, 0.35, 0.5):
        seen.append(hand.hover(part))
        told = hand.title()
        assert told == {**told, **told_by(sample, seen[-1])}
    assert seen == sorted(seen, reverse=True)
    clicked = hand.hover(0.4)
    hand.click(hand.at(0.4), window=WINDOW)
    assert seen[2] < clicked < seen[1]
    hand.press("Up", window=WINDOW)
    hand.until_title(what="chosen", threshold=f"{clicked + 0.001:.3f}")
    hand.press("Page_Down", window=WINDOW)
    hand.until_title(threshold=f"{clicked - 0.009:.3f}")
    hand.press("shift+Up", window=WINDOW)
    hand.until_title(threshold=f"{clicked + 0.001:.3f}")
    hand.press("l", window=WINDOW)
    hand.press("Right", window=WINDOW)
    chosen = float(hand.title()["threshold"])
    assert chosen < clicked
    assert sample.labels_at(chosen).tolist() != sample.labels_at(clicked).tolist()
    ended = hand.end("Return", WINDOW)
    assert (ended.code, ended.out, ended.err) == (0, f"{chosen}\n", "")


def test_the_button_takes_the_threshold(sit, photos):
    hand = sit(photos)
    _, _, width, height = hand.box(WINDOW)
    hand.click((round(0.323 * height), round(0.86 * width)), window=WINDOW)
    ended = hand.end()
    assert (ended.code, ended.out, ended.err) == (0, "0.8\n", "")


def test_pairs_are_shown_as_they_are(sit, tmp_path):
    """Two pairs of plain colours, one above the threshold of the beginning, one below it."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "colours"
    folder.mkdir()
    ground = rng.integers(0, 2, (9, 9), np.uint8).repeat(20, 0).repeat(20, 1)
    colors = {"red": (220, 20, 20), "blue": (20, 20, 220)}
    for name, color in colors.items():
        picture = np.where(ground[..., None], np.array(color, np.uint8), np.uint8(0))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}-1.png")
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}-2.png")
        ground = np.rot90(ground)
    hand = sit(folder)

    def count(color, part):
        shown = hand.shown(WINDOW)
        lower = shown[round(part * len(shown)) :].astype(int)
        return int((np.abs(lower - color).max(axis=2) < 30).sum())

    for color in colors.values():
        hand.until("thumbnails are there", lambda color=color: count(color, 0.62) > 2000)
    assert hand.end("Return", WINDOW).out == "0.8\n"


@pytest.mark.parametrize("key", ["Escape", "q"])
def test_a_key_cancels(sit, photos, key):
    hand = sit(photos)
    hand.click(hand.at(0.4), window=WINDOW)
    ended = hand.end(key, WINDOW)
    assert (ended.code, ended.out, ended.err) == (130, "", "clusterimg: interrupted\n")


def test_closing_the_window_cancels(sit, photos):
    hand = sit(photos)
    hand.cross(WINDOW)
    ended = hand.end()
    assert (ended.code, ended.out, ended.err) == (130, "", "clusterimg: interrupted\n")


def test_ctrl_c_in_the_terminal_cancels(sit, photos):
    hand = sit(photos)
    hand.kill(signal.SIGINT)
    ended = hand.end()
    assert (ended.code, ended.out, ended.err) == (130, "", "clusterimg: interrupted\n")


def test_another_size_and_the_wheel(sit, photos):
    hand = sit(photos)
    hand._xdotool("windowsize", "--sync", hand.find(WINDOW), "640", "520")
    hand.until("it has that size", lambda: hand.box(WINDOW)[2:] == (640, 520))
    hand._settle()
    hand.hover(0.4)
    before = hand.shown(WINDOW)
    hand.click(hand.at(0.4), "wheel up", window=WINDOW, times=4)
    assert (hand.shown(WINDOW) != before).any()
    hand.click(hand.at(0.41), window=WINDOW)
    assert hand.end("Return", WINDOW).code == 0


def test_a_folder_of_real_pictures(sit, data):
    hand = sit(data / "copies" / "images", "orb")
    hand.hover(0.35)
    assert int(hand.title()["pairs"].replace(",", "")) > 10
    assert hand.end("Return", WINDOW).out == "0.8\n"


def test_the_users_backend_is_respected(sit, photos):
    hand = sit(photos, MPLBACKEND="TkAgg")
    assert hand.end("Return", WINDOW).code == 0


def test_a_display_that_does_not_answer(photos, tmp_path):
    env = {**os.environ, "DISPLAY": ":99999"}
    words = [sys.executable, "-c", PROGRAM, str(photos), "imagehash"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == (
        "clusterimg: cannot open a window, the display :99999 does not answer: look at the curve"
        " in thresholds.png and give a number, such as --threshold 0.80\n"
    )
    assert (tmp_path / "thresholds.png").stat().st_size > 10_000
