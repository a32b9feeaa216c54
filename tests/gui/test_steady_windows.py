"""Zooming never moves a window or opens it again, and no window is off the screen."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icas.segmentimg.render.canvas import Viewport
from icas.segmentimg.windows.panels import BAR

pytestmark = pytest.mark.gui

_SPEC = importlib.util.spec_from_file_location(
    "gui_conftest", Path(__file__).with_name("conftest.py")
)
gui = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(gui)


@pytest.fixture(params=["bare", pytest.param("openbox", marks=pytest.mark.slow)])
def screen(request, tmp_path_factory, display):
    """A display of its own, with a window manager or without."""
    manager = request.param
    if manager != "bare" and shutil.which(manager) is None:
        pytest.skip(f"{manager} not installed (apt-get install {manager})")
    yield from managed(tmp_path_factory, manager, "1280x900")


def managed(tmp_path_factory, manager, size):
    made = gui.Display(tmp_path_factory.mktemp("screen"), size)
    running = None
    if manager != "bare":
        made.managed = True
        running = subprocess.Popen([manager], env=made.env, stderr=subprocess.DEVNULL)
    try:
        yield made
    finally:
        if running is not None:
            running.kill()
            running.wait()
        made.close()


@pytest.fixture
def begin(screen):
    """Starts ``segmentimg`` on that display."""
    begun = []

    def start(*words, places=None):
        driver = gui.window_driver.WindowDriver(screen, words, places)
        begun.append(driver)
        driver.until("a window is open", lambda: driver.find("Painting"))
        driver.until("it is segmented", lambda: ":" in (t := driver.title()) and "…" not in t)
        driver.until("it stays where it is", lambda: still(driver))
        return driver

    yield start
    for driver in begun:
        driver.kill()
        driver.end()


def still(driver):
    import time

    before = driver.box("Painting")
    time.sleep(0.4)
    return driver.box("Painting") == before


def test_100_notches_leave_the_window_and_the_pixel_under_the_pointer(begin, pictures, tmp_path):
    driver = begin(pictures / "coffee.png", "--out", tmp_path / "out")
    number, box = driver.find("Painting"), driver.box("Painting")
    view = Viewport.fitted((160, 240), (box[3] - BAR, box[2]))
    place = view.to_window(90, 130)[::-1]
    image = np.asarray(Image.open(pictures / "coffee.png"))
    driver.press("e")  # no borders
    for button, count in (("wheel up", 50), ("wheel down", 50)):
        driver.click(place, button, times=count)
        assert driver.find("Painting") == number
        assert driver.box("Painting") == box
        assert "coffee.png" in driver.title()
        driver.press("b")  # no highlight
        if button == "wheel up":
            beside = place[0] + 15, place[1] + 15
            assert (driver.shown()[beside] == image[90, 130]).all()
        driver.press("b")
    driver.click(place)
    driver.press("s")
    labels = driver_labels(tmp_path / "out")
    assert labels[90, 130] == 1
    assert driver.end("q").code == 0


def driver_labels(out):
    return np.asarray(Image.open(out / "coffee_labels.png"))


def test_the_wheel_while_a_button_is_held_keeps_positions(begin, pictures, tmp_path):
    """Qt magnifies then, because its own grab of the pointer comes first."""
    driver = begin(pictures / "coffee.png", "--out", tmp_path / "out")
    box = driver.box("Painting")
    view = Viewport.fitted((160, 240), (box[3] - BAR, box[2]))
    driver.press("e")
    driver.press("b")
    driver.move((5, 5))
    driver._xdotool("mousedown", "1", "click", "4", "click", "4", "mouseup", "1")
    driver._settle()
    driver.press("0")
    driver.press("r", shows=False)
    row, col = 40, 200
    driver.press("b")
    driver.click(view.to_window(row, col)[::-1])
    driver.press("s")
    labels = driver_labels(tmp_path / "out")
    assert labels[row, col] == 1
    assert driver.box("Painting") == box


def test_windows_are_side_by_side_on_the_screen(begin, pictures, tmp_path):
    driver = begin(pictures, "--out", tmp_path / "out")
    driver.until("the list is there", lambda: driver.box("Files")[2] > 1)
    boxes = [driver.box(window) for window in ("Painting", "Colours", "Files")]
    for left, top, width, height in boxes:
        assert left >= 0
        assert top >= 0
        assert left + width <= 1280
        assert top + height <= 900
    painting, colors, files = boxes
    assert colors[0] + colors[2] <= painting[0]
    assert files[0] + files[2] <= painting[0]
    assert colors[1] + colors[3] <= files[1]
    assert painting[2] > 1000
    assert painting[3] > 850


@pytest.mark.slow
def test_places_are_kept_between_runs(begin, pictures, tmp_path):
    driver = begin(pictures / "coffee.png", "--out", tmp_path / "out")
    number = driver.find("Painting")
    driver._xdotool("windowsize", "--sync", number, "640", "480")
    driver._xdotool("windowmove", "--sync", number, "400", "300")
    import time

    time.sleep(2.5)  # until moves count as the user's
    driver._xdotool("windowmove", "--sync", number, "420", "310")
    driver.until("it is there", lambda: still(driver))
    box = driver.box("Painting")
    assert driver.end("q").code == 0
    saved = json.loads(driver.state.read_text())["1280x900"]
    assert saved["Painting"] == list(box)
    again = begin(
        pictures / "coffee.png",
        "--out",
        tmp_path / "out",
        places={"Painting": (*box[:3], box[3] - BAR)},
    )
    again.until("it has its place again", lambda: again.box("Painting") == box)
