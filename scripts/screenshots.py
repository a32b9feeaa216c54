"""Takes the pictures of windows that docs/ shows: ``python scripts/screenshots.py [--only SCENE]``.

The windows are real: ``segmentimg`` runs on a virtual display (Xvfb, for whole screens with
openbox) and is worked with mouse and
keyboard (xdotool), by the same driver as in tests/gui. The pictures painted are scikit-image's.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from painting_scenes import SCENES, SCREENS
from PIL import Image as Pictures, ImageDraw
from skimage import data as samples
from window_frames import side_by_side, write_picture

TOP = Path(__file__).resolve().parent.parent
MOST = 200_000
"""Bytes that a picture takes at most."""
THINGS = (
    "suit,#e8590c\nface,#ffd43b\nhair,#7048e8\nflag,#1c7ed6\n"
    "rocket,#2f9e44\ncup,#d6336c\ntable,#a0703c\nsky,#22b8cf\n"
)
COIN = (135, 179, 173, 217)
"""Left, top, right and bottom of the template in the picture of coins."""


PLACES = {
    "Painting": (270, 40, 512, 512),
    "Annotations": (6, 40, 600, 430),
    "Segments": (640, 40, 600, 430),
}
"""Left, top, width and height of the images in the windows."""


class Room:
    """A folder with pictures, a display, and somebody who paints there.

    Attributes
    ----------
    folder : Path
        Holds ``pictures``, ``things.txt``, ``coins.png`` and ``coin/coin.png``.
    template : (h, w, 3) uint8 ndarray
        What is in ``coin/coin.png``.
    """

    def __init__(self, folder: Path, display: Any, driver: Callable[..., Any]) -> None:
        self.folder, self._display, self._hand = folder, display, driver
        self.screen = display.screen
        (folder / "pictures").mkdir()
        for name in ("astronaut", "coffee", "rocket"):
            picture = Pictures.fromarray(getattr(samples, name)())
            picture.save(folder / "pictures" / f"{name}.png")
        (folder / "things.txt").write_text(THINGS, encoding="utf-8")
        (folder / "coin").mkdir()
        coins = Pictures.fromarray(samples.coins()).convert("RGB")
        coins.save(folder / "coins.png")
        template = _disc(coins.crop(COIN))
        template.save(folder / "coin" / "coin.png")
        self.template = np.asarray(template)

    @contextmanager
    def start(self, *words: str | Path, places: dict[str, Any] | None = None) -> Iterator[Any]:
        """``segmentimg`` with its files in the folder, killed in the end if it still runs."""
        places = PLACES if places is None else places
        driver = self._hand(self._display, [self._placed(word) for word in words], places)
        try:
            yield driver
        finally:
            driver.kill()
            driver.end()

    def _placed(self, word: str | Path) -> str | Path:
        there = self.folder / str(word)
        return there if there.exists() else word


def _disc(square: Any) -> Any:
    """A square picture with black corners."""
    mask = Pictures.new("L", square.size)
    ImageDraw.Draw(mask).ellipse((0, 0, square.width - 1, square.height - 1), fill=255)
    return Pictures.composite(square, Pictures.new("RGB", square.size), mask)


def take(scene: str, out: Path, folder: Path) -> list[Path]:
    """Play a scene in an empty folder; the pictures taken."""
    gui = load_gui("conftest")
    display, taken = gui.Display(folder, SCREENS.get(scene, "1280x900")), []
    manager = None
    if scene in SCREENS:
        manager = subprocess.Popen(["openbox"], env=display.env, stderr=subprocess.DEVNULL)
        display.managed = True
    try:
        for title, shots in SCENES[scene](Room(folder, display, gui.window_driver.WindowDriver)):
            taken.append(out / title)
            size = write_picture(taken[-1], side_by_side(shots), MOST)
            print(f"{taken[-1].name} {size // 1000} kB")
    finally:
        if manager is not None:
            manager.kill()
            manager.wait()
        display.close()
    return taken


def load_gui(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOP / "tests" / "gui" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=TOP / "docs" / "images", metavar="DIR")
    parser.add_argument("--only", choices=SCENES, nargs="+", help="scenes (default: all)")
    given = parser.parse_args(argv)
    given.out.mkdir(parents=True, exist_ok=True)
    for scene in given.only or SCENES:
        with tempfile.TemporaryDirectory() as folder:
            take(scene, given.out, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
