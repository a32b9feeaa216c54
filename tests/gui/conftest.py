"""Real windows on a virtual display, driven by mouse and keyboard."""

from __future__ import annotations

import importlib.util
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import icas
from icas.segmentimg.windows.screen.x11 import X11

SIZES = {"coffee": (240, 160), "astronaut": (200, 210), "chelsea": (230, 170)}
MASK = re.compile(r"_mask_\(R[:=](\d+),G[:=](\d+),B[:=](\d+)\)\.png$")

_SPEC = importlib.util.spec_from_file_location(
    "window_driver", Path(__file__).with_name("window_driver.py")
)
assert _SPEC is not None
assert _SPEC.loader is not None
window_driver = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(window_driver)

Point = tuple[int, int]


class Display:
    """An X server without a screen, whose picture can be read from a file."""

    def __init__(self, folder: Path, screen: str = "1280x900") -> None:
        self.screen, self.managed = screen, False
        self._pipe, its_end = os.pipe()
        words = ["-screen", "0", f"{screen}x24", "-nolisten", "tcp", "-noreset", "-nocursor"]
        with (folder / "Xvfb.log").open("wb") as log:
            self._server = subprocess.Popen(
                ["Xvfb", "-displayfd", str(its_end), *words, "-fbdir", str(folder)],
                pass_fds=[its_end],
                stderr=log,
            )
        os.close(its_end)
        self.name = f":{self._number()}"
        self._pixels = self._mapped(folder / "Xvfb_screen0")

    def _number(self) -> int:
        output = b""
        while not output.endswith(b"\n"):
            ready, _, _ = select.select([self._pipe], [], [], window_driver.DEADLINE)
            piece = os.read(self._pipe, 16) if ready else b""
            if not piece:
                self.close()
                pytest.fail("Xvfb does not start")
            output += piece
        return int(output)

    @staticmethod
    def _mapped(file: Path) -> NDArray[np.uint8]:
        """(900, 1280, 4) BGR and a byte more: the screen at any moment; the file is one of xwd."""
        whole = np.memmap(file, np.uint8, "r")
        head = whole[:100].view(">u4").astype(int)
        width, height, row, start = head[4], head[5], head[12], head[0] + 12 * head[19]
        rows = whole[start : start + row * height].reshape(height, row)
        return rows[:, : 4 * width].reshape(height, width, 4)

    def pixels(self) -> NDArray[np.uint8]:
        """What is on the screen now, as it lies in memory: quick, to compare."""
        return np.array(self._pixels)

    def picture(self) -> NDArray[np.uint8]:
        """(900, 1280, 3) RGB: what is on the screen now."""
        return self.pixels()[..., 2::-1]

    def position(self, window: int) -> tuple[int, int]:
        """Left and top of a window inside its frame."""
        before = os.environ.get("DISPLAY")
        os.environ["DISPLAY"] = self.name
        try:
            server = X11.connect()
            assert server is not None
            found = server.position(window)
            server.close()
        finally:
            del os.environ["DISPLAY"]
            if before is not None:
                os.environ["DISPLAY"] = before
        return found

    @property
    def env(self) -> dict[str, str]:
        """Variables of a process that opens its windows here."""
        qt = {name for name in os.environ if name.startswith(("QT_", "WAYLAND_"))}
        kept = {name: value for name, value in os.environ.items() if name not in qt}
        return {**kept, "DISPLAY": self.name}

    def close(self) -> None:
        """Switch it off."""
        self._server.kill()
        self._server.wait()
        os.close(self._pipe)


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    if not sys.platform.startswith("linux"):
        pytest.skip("windows are tested under Xvfb, which is on Linux")
    missing = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed (apt-get install xvfb xdotool)")
    made = Display(tmp_path_factory.mktemp("display"))
    yield made
    made.close()


@pytest.fixture
def start(display: Display) -> Iterator[Callable[..., Any]]:
    """Starts ``segmentimg`` with the words given; what still runs in the end is killed."""
    begun: list[Any] = []

    def begin(*words: str | Path, places: dict[str, Any] | None = None) -> Any:
        begun.append(window_driver.WindowDriver(display, words, places))
        return begun[-1]

    yield begin
    for driver in begun:
        driver.kill()
        driver.end()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three small pictures, by `SIZES`."""
    from PIL import Image as Pictures
    from skimage import data as samples

    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, size in SIZES.items():
        Pictures.fromarray(getattr(samples, name)()).resize(size).save(folder / f"{name}.png")
    return folder


class Sitting:
    """A picture open in the windows, and the document that the same commands make without them.

    Attributes
    ----------
    driver : WindowDriver
    document : PaintDocument
        What has to come out; tests give it the same commands as the driver.
    """

    def __init__(self, driver: Any, picture: Path, out: Path, method: str) -> None:
        self.driver, self._name, self.out = driver, picture.stem, out
        image = icas.read_image(picture)
        self.document = icas.PaintDocument(image, icas.segment(image, method))
        driver.open((image.shape[1], image.shape[0]))

    def places(self, count: int) -> list[Point]:
        """Pixels in the middle of the `count` largest segments."""
        from scipy.ndimage import distance_transform_edt

        labels = self.document.labels
        largest = np.argsort(-np.bincount(labels.ravel())[1:], kind="stable")[:count] + 1
        deepest = [distance_transform_edt(np.pad(labels == one, 1))[1:-1, 1:-1] for one in largest]
        return [
            (int(place[0]), int(place[1]))
            for depth in deepest
            for place in [np.unravel_index(depth.argmax(), depth.shape)]
        ]

    def saved(self) -> dict[tuple[int, ...], NDArray[np.bool_]]:
        """Masks in the folder by their colours."""
        masks = {}
        for path in sorted(self.out.glob(f"{self._name}_mask_*.png")):
            named = MASK.search(path.name)
            assert named is not None, path.name
            assert path.stat().st_size
            masks[tuple(map(int, named.groups()))] = _white(path)
        return masks

    def save(self, key: str = "s") -> None:
        """Save, and compare the masks with the document, pixel by pixel."""
        self.driver.press(key)
        self.check()

    def check(self) -> None:
        """Compare the masks in the folder with the document, pixel by pixel."""
        found, wanted = self.saved(), self.document.masks()
        assert sorted(found) == sorted(wanted)
        for color, mask in wanted.items():
            assert (found[color] == mask).all(), color


def _white(path: Path) -> NDArray[np.bool_]:
    from PIL import Image as Pictures

    pixels = np.asarray(Pictures.open(path))
    assert set(np.unique(pixels)) <= {0, 255}
    return np.asarray(pixels == 255)


@pytest.fixture
def sit(start: Callable[..., Any], pictures: Path, tmp_path: Path) -> Callable[..., Sitting]:
    """Opens one of the pictures, or the whole folder at its first one, to be painted."""

    def open_(name: str = "coffee", *words: str | Path, method: str = "superpixel") -> Sitting:
        first = pictures / f"{name or sorted(SIZES)[0]}.png"
        out = tmp_path / "out"
        words = ("--out", out, "--method", method, *words)
        # windows as large as the pictures, so that pixels are where they are in the picture
        places = {"Painting": (270, 40, *SIZES[first.stem])}
        driver = start(first if name else pictures, *words, places=places)
        return Sitting(driver, first, out, method)

    return open_
