"""No window can be opened: one line says why, and what to do instead."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import pytest

from icas.cli import display as displays
from icas.common.errors import UsageError
from icas.segmentimg.commands.main import main

linux_only = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="X11 is asked on Linux only"
)


def run(words, **variables):
    """The command in a process of its own; a variable that is None is not set."""
    env = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
    command = [sys.executable, "-m", "icas.segmentimg", *map(str, words)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


@linux_only
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (None, "no display (DISPLAY is not set), so no window can be opened"),
        ("", "no display (DISPLAY is not set), so no window can be opened"),
        (":99999", "the display :99999 does not answer, so no window can be opened"),
        ("nonsense", "the display nonsense does not answer, so no window can be opened"),
    ],
)
def test_without_a_display_one_line_and_exit_2(pictures, tmp_path, name, words):
    done = run([pictures, "--out", tmp_path / "out"], DISPLAY=name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"segmentimg: {words}: use --no-gui to segment without windows\n"
    assert not (tmp_path / "out").exists()


@linux_only
def test_no_gui_needs_no_display(pictures, tmp_path):
    done = run([pictures, "--out", tmp_path / "out", "--no-gui"], DISPLAY=None)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "out").glob("*_segments.png"))) == 3


def test_headless_opencv_is_reported_with_its_cure(pictures, monkeypatch, capsys):
    monkeypatch.setattr(displays, "gui_backend", lambda: "NONE")
    monkeypatch.setattr(
        displays, "opencv_packages", lambda: ["opencv-contrib-python-headless 4.12.0.88"]
    )
    assert main([str(pictures)]) == 2
    assert capsys.readouterr().err == (
        "segmentimg: this OpenCV is built without windows: pip uninstall -y"
        " opencv-contrib-python-headless, then pip install --force-reinstall"
        " opencv-contrib-python, or use --no-gui to segment without windows\n"
    )


def test_two_opencv_packages_are_named(pictures, monkeypatch, capsys):
    monkeypatch.delattr(cv2.ximgproc, "createSuperpixelSLIC")
    there = ["opencv-contrib-python 4.12.0.88", "opencv-python-headless 4.11.0.86"]
    monkeypatch.setattr(displays, "opencv_packages", lambda: there)
    assert main([str(pictures), "--method", "graph"]) == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert f"OpenCV lacks its contrib modules; {there[0]} and {there[1]} overwrite" in output
    assert "pip uninstall -y opencv-contrib-python opencv-python-headless" in output


def test_opencv_that_is_whole_is_left_alone():
    displays.require_whole_opencv()
    assert displays.gui_backend()
    assert any("opencv" in one for one in displays.opencv_packages())


@linux_only
def test_without_libx11_another_process_tries(monkeypatch):
    monkeypatch.setattr(displays, "_x11_size", lambda: None)
    monkeypatch.setenv("DISPLAY", ":99999")
    with pytest.raises(UsageError, match="does not answer"):
        displays.require_windows("do without")
    assert displays.screen_size() == displays.USUAL_SCREEN


@pytest.mark.gui
def test_the_display_is_asked_for_its_size(display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display.name)
    displays.require_windows("do without")
    assert displays.screen_size() == (1280, 900)


@pytest.mark.gui
def test_where_masks_cannot_go_is_reported_before_a_window_opens(display, pictures, tmp_path):
    (tmp_path / "file").write_text("")
    done = run([pictures, "--out", tmp_path / "file" / "out"], DISPLAY=display.name)
    assert done.returncode == 2
    assert done.stderr == (
        f"segmentimg: cannot write masks to {tmp_path}/file/out: {tmp_path}/file is not a folder:"
        " choose another --out\n"
    )
