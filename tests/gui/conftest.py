"""Real windows: a virtual display, and a hand that paints on it with mouse and keyboard."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import icas

DEADLINE = 30.0
"""Seconds after which a thing that is waited for will not come any more."""
STILL = 0.05
"""Seconds without a change on the screen after which a program has done what it was told."""
BUTTONS = {"left": "1", "middle": "2", "right": "3", "wheel up": "4", "wheel down": "5"}
SIZES = {"coffee": (240, 160), "astronaut": (200, 210), "chelsea": (230, 170)}
MASK = re.compile(r"_mask_\(R[:=](\d+),G[:=](\d+),B[:=](\d+)\)\.png$")
# xdotool of 2016, which Debian 12 has, cannot ask a window to close. A process of its own, for
# Xlib ends the one that names a window which is gone.
CROSS = """
import ctypes, sys
class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("rest", ctypes.c_long * 24)]
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XInternAtom.restype = ctypes.c_ulong
display, window = ctypes.c_void_p(x.XOpenDisplay(None)), int(sys.argv[1])
atom = [x.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")]
message = Message(type=33, window=window, message_type=atom[0], format=32)
message.data[0] = atom[1]
x.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
x.XCloseDisplay(display)
"""

Point = tuple[int, int]
Image = NDArray[np.uint8]


def wait_for(what: str, met: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """What `met` gives as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := met()):
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)
    return found


class Display:
    """An X server without a screen, whose picture can be read from a file."""

    def __init__(self, folder: Path) -> None:
        self._pipe, its_end = os.pipe()
        words = ["-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset", "-nocursor"]
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
        told = b""
        while not told.endswith(b"\n"):
            ready, _, _ = select.select([self._pipe], [], [], DEADLINE)
            piece = os.read(self._pipe, 16) if ready else b""
            if not piece:
                self.close()
                pytest.fail("Xvfb does not start")
            told += piece
        return int(told)

    @staticmethod
    def _mapped(file: Path) -> NDArray[np.uint8]:
        """(900, 1280, 3) RGB: the screen as it is at any moment; the file is one of ``xwd``."""
        whole = np.memmap(file, np.uint8, "r")
        head = whole[:100].view(">u4").astype(int)
        width, height, row, start = head[4], head[5], head[12], head[0] + 12 * head[19]
        rows = whole[start : start + row * height].reshape(height, row)
        return rows[:, : 4 * width].reshape(height, width, 4)[..., 2::-1]

    def picture(self) -> Image:
        """What is on the screen now."""
        return np.array(self._pixels)

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


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


class Hand:
    """``segmentimg`` in a process of its own, and a hand on its mouse and keyboard.

    Everything that is done waits until the screen shows it and then stands still, for Qt keeps
    only the last of several keys and moves that come while the program is busy.
    """

    def __init__(self, display: Display, words: Sequence[str | Path]) -> None:
        self._display, self._env = display, display.env
        self._xdotool("mousemove", "1275", "895")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "icas.segmentimg", *map(str, words)],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._told: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            self._reader(self.process.stdout, "out"),
            self._reader(self.process.stderr, "err"),
        ]

    def _reader(self, stream: IO[str] | None, name: str) -> threading.Thread:
        thread = threading.Thread(target=lambda: self._told[name].extend(stream or ()))
        thread.start()
        return thread

    @property
    def err(self) -> str:
        """What it has told on stderr so far."""
        return "".join(self._told["err"])

    def open(self, size: tuple[int, int]) -> Hand:
        """Wait until the painting window shows a picture of a size (width, height)."""
        self.until("the picture is open", lambda: self.box("Painting")[2:] == size)
        self.until("the colours are there", lambda: self.find("Colours"))
        self._settle()
        return self

    def until(self, what: str, met: Callable[[], Any], seconds: float = DEADLINE) -> Any:
        """Wait for something while the program runs."""

        def there() -> Any:
            found = met()
            if not found and self.process.poll() is not None:
                pytest.fail(f"ended with {self.process.returncode} before {what}: {self.err}")
            return found

        return wait_for(what, there, seconds)

    def find(self, window: str) -> str:
        """The number of a window; "" where it does not show."""
        told = self._xdotool(*_found(window), check=False)
        return (told.split() or [""])[0]

    def box(self, window: str) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window; zeros where it does not show."""
        words = [*_found(window), "getwindowgeometry", "--shell", "%1"]
        told = self._xdotool(*words, check=False)
        parts = dict(line.split("=") for line in told.split())
        left, top, width, height = (int(parts.get(n, 0)) for n in ("X", "Y", "WIDTH", "HEIGHT"))
        return left, top, width, height

    def shown(self, window: str = "Painting") -> Image:
        """(h, w, 3): what a window shows."""
        left, top, width, height = self.box(window)
        return self._display.picture()[top : top + height, left : left + width]

    def move(self, place: Point, window: str = "Painting") -> None:
        """Put the pointer on a pixel of a window, (row, column)."""
        row, col = place
        self._xdotool(*_found(window), "mousemove", "--window", "%1", str(col), str(row))
        self._settle()

    def click(
        self,
        place: Point,
        button: str = "left",
        *,
        window: str = "Painting",
        times: int = 1,
        hold: str = "",
        shows: bool = True,
    ) -> None:
        """Click on a pixel; `hold` is a key held down, `shows` whether anything will change."""
        self.move(place, window)
        words = ["click", "--repeat", str(times), "--delay", "60", BUTTONS[button]]
        held = ["keydown", hold, *words, "keyup", hold] if hold else words
        self._do(held, f"{button} click at {place} shows", shows)

    def drag(
        self,
        places: Sequence[Point],
        button: str = "left",
        *,
        window: str = "Painting",
        hold: str = "",
    ) -> None:
        """Press a button at the first place and let it go at the last."""
        self.move(places[0], window)
        if hold:
            self._do(["keydown", hold], "", False)
        self._do(["mousedown", BUTTONS[button]], "", False)
        for place in places[1:]:
            self.move(place, window)
        self._do(["mouseup", BUTTONS[button]], "", False)
        if hold:
            self._do(["keyup", hold], "", False)

    def press(self, key: str, *, window: str = "Painting", shows: bool = True) -> None:
        """Press a key by its X name; `shows`: whether anything will change."""
        self._do(self._key(key, window), f"key {key} shows", shows)

    def type(self, key: str, window: str = "Painting") -> None:
        """Press a key and wait for nothing."""
        self._xdotool(*self._key(key, window))

    def _key(self, key: str, window: str) -> list[str]:
        # no window manager gives a window the keyboard here
        return ["windowfocus", "--sync", self.find(window), "key", key]

    def cross(self, window: str) -> None:
        """Close a window by its cross."""
        words = [sys.executable, "-c", CROSS, self.find(window)]
        subprocess.run(words, env=self._env, check=True, timeout=DEADLINE)

    def end(self, key: str = "", window: str = "Painting") -> Ended:
        """Wait for the end, after a last key."""
        if key:
            self.type(key, window)
        wait_for("the program ends", lambda: self.process.poll() is not None)
        for reader in self._readers:
            reader.join()
        return Ended(self.process.returncode, "".join(self._told["out"]), self.err)

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)

    def _do(self, words: list[str], what: str, shows: bool) -> None:
        before = self._display.picture()
        self._xdotool(*words)
        if shows:
            self.until(what, lambda: (self._display.picture() != before).any())
        self._settle()

    def _settle(self) -> None:
        """Wait until the screen stands still."""
        last, since = self._display.picture(), time.monotonic()
        while time.monotonic() - since < STILL:
            time.sleep(0.01)
            now = self._display.picture()
            if (now != last).any():
                last, since = now, time.monotonic()

    def _xdotool(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self._env, capture_output=True, text=True, timeout=DEADLINE
        )
        if check and done.returncode:
            pytest.fail(f"xdotool {' '.join(words)}: {done.stderr} {self.err}")
        return done.stdout


def _found(window: str) -> list[str]:
    """Words of xdotool after which %1 is a window."""
    return ["search", "--onlyvisible", "--name", f"^{window}$"]


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
def start(display: Display) -> Iterator[Callable[..., Hand]]:
    """Starts ``segmentimg`` with the words given; what still runs in the end is killed."""
    hands: list[Hand] = []

    def begin(*words: str | Path) -> Hand:
        hands.append(Hand(display, words))
        return hands[-1]

    yield begin
    for hand in hands:
        hand.kill()
        hand.end()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three small pictures, which windows show at their own size; in order, and by `SIZES`."""
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
    hand : Hand
    document : PaintDocument
        What has to come out; tests give it the commands that they give the hand.
    """

    def __init__(self, hand: Hand, picture: Path, out: Path, method: str) -> None:
        self.hand, self._name, self.out = hand, picture.stem, out
        image = icas.read_image(picture)
        self.document = icas.PaintDocument(image, icas.segment(image, method))
        hand.open((image.shape[1], image.shape[0]))

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
        self.hand.press(key)
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
def sit(start: Callable[..., Hand], pictures: Path, tmp_path: Path) -> Callable[..., Sitting]:
    """Opens one of the pictures, or the whole folder at its first one, to be painted."""

    def open_(name: str = "coffee", *words: str | Path, method: str = "superpixel") -> Sitting:
        first = pictures / f"{name or sorted(SIZES)[0]}.png"
        out = tmp_path / "out"
        hand = start(first if name else pictures, "--out", out, "--method", method, *words)
        return Sitting(hand, first, out, method)

    return open_
