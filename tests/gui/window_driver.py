"""Drive a program with windows by mouse and keyboard."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from icas.segmentimg.windows.panels import BAR

DEADLINE = 30.0
"""Seconds after which a thing that is waited for will not come any more."""
STILL = 0.05
"""Seconds without a change on the screen after which a program has done what it was output."""
BUTTONS = {"left": "1", "middle": "2", "right": "3", "wheel up": "4", "wheel down": "5"}
WITH_BAR = ("Painting", "Annotations", "Segments")
CLOSE_WINDOW = Path(__file__).with_name("close_window.py")

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


class Ended(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


class WindowDriver:
    """``segmentimg`` in a process of its own, driven by mouse and keyboard.

    Everything that is done waits until the screen shows it and then stands still, for Qt keeps
    only the last of several keys and moves that come while the program is busy.
    """

    origins: Mapping[str, Point] = {}
    """Row and column in a window of the picture's first pixel, where they are not 0, 0."""

    def __init__(
        self,
        display: Any,
        words: Sequence[str | Path],
        places: dict[str, Sequence[int]] | None = None,
    ) -> None:
        """`places`: left, top, width and height of image areas, as windows had them before."""
        self._display = display
        self.origins = {}
        self._state = tempfile.TemporaryDirectory(prefix="icas-state-")
        self._env = {**display.env, "ICAS_STATE": self._state.name}
        self.state = Path(self._state.name) / "windows.json"
        if places:
            known = {name: [*box[:3], box[3] + BAR] for name, box in places.items()}
            self.state.write_text(json.dumps({display.screen: known}))
        self._xdotool("mousemove", "1275", "895")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "icas.segmentimg", *map(str, words)],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._output: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            self._reader(self.process.stdout, "out"),
            self._reader(self.process.stderr, "err"),
        ]

    def _reader(self, stream: IO[str] | None, name: str) -> threading.Thread:
        thread = threading.Thread(target=lambda: self._output[name].extend(stream or ()))
        thread.start()
        return thread

    @property
    def err(self) -> str:
        """What it has output on stderr so far."""
        return "".join(self._output["err"])

    def open(self, size: tuple[int, int]) -> WindowDriver:
        """Wait until the painting window shows a picture in an area of a size (width, height)."""
        size = size[0], size[1] + BAR
        self.until("the picture is open", lambda: self.box("Painting")[2:] == size)
        self.until("it is segmented", lambda: ":" in (t := self.title()) and "…" not in t)
        self.until("the colours are there", lambda: self.find("Colours"))
        self._settle()
        return self

    def image(self, name: str) -> WindowDriver:
        """Wait until the painting window shows an image, by its file name."""
        self.until(f"{name} is open", lambda: name in (t := self.title()) and "…" not in t)
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
        output = self._xdotool(*_found(window), check=False)
        return (output.split() or [""])[0]

    def box(self, window: str) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window; zeros where it does not show."""
        words = [*_found(window), "getwindowgeometry", "--shell", "%1"]
        output = self._xdotool(*words, check=False)
        parts = dict(line.split("=") for line in output.split())
        left, top, width, height = (int(parts.get(n, 0)) for n in ("X", "Y", "WIDTH", "HEIGHT"))
        if parts and self._display.managed:  # xdotool of 2016 adds the frame twice
            left, top = self._display.position(int(parts["WINDOW"]))
        return left, top, width, height

    def whole(self, window: str = "Painting") -> Image:
        """(h, w, 3): what a window shows, with its message bar."""
        left, top, width, height = self.box(window)
        return self._display.picture()[top : top + height, left : left + width]

    def screen(self) -> Image:
        """(h, w, 3): the whole screen."""
        return np.array(self._display.picture())

    def resize(self, size: tuple[int, int]) -> None:
        """Give the painting window's picture an area of a size (width, height)."""
        words = ["windowsize", "--sync", self.find("Painting"), str(size[0]), str(size[1] + BAR)]
        if self.box("Painting")[2:] != (size[0], size[1] + BAR):
            self._xdotool(*words)
            self._settle()

    def shown(self, window: str = "Painting") -> Image:
        """(h, w, 3): what a window shows, without its message bar."""
        whole = self.whole(window)
        return whole[: len(whole) - BAR] if window in WITH_BAR else whole

    def bar(self, window: str = "Painting") -> Image:
        """(h, w, 3): the message bar of a window."""
        left, top, width, height = self.box(window)
        return self._display.picture()[top + height - BAR : top + height, left : left + width]

    def title(self, window: str = "Painting") -> str:
        """The title of a window."""
        return self._xdotool("getwindowname", self.find(window)).strip()

    def move(self, place: Point, window: str = "Painting") -> None:
        """Put the pointer on a pixel of a window, (row, column)."""
        origin = self.origins.get(window, (0, 0))
        row, col = place[0] + origin[0], place[1] + origin[1]
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

    def close_by(self, key: str, window: str) -> None:
        """Press a key until the program ends: one that comes while a window is made is lost."""

        def ended() -> bool:
            if self.process.poll() is None and (number := self.find(window)):
                self._xdotool("windowfocus", number, "key", key, check=False)
                time.sleep(1)
            return self.process.poll() is not None

        wait_for(f"{key} ends it", ended)

    def _key(self, key: str, window: str) -> list[str]:
        # no window manager gives a window the keyboard here
        return ["windowfocus", "--sync", self.find(window), "key", key]

    def cross(self, window: str) -> None:
        """Close a window by its cross."""
        words = [sys.executable, str(CLOSE_WINDOW), self.find(window)]
        subprocess.run(words, env=self._env, check=True, timeout=DEADLINE)

    def end(self, key: str = "", window: str = "Painting") -> Ended:
        """Wait for the end, after a last key."""
        if key:
            self.type(key, window)
        wait_for("the program ends", lambda: self.process.poll() is not None)
        for reader in self._readers:
            reader.join()
        return Ended(self.process.returncode, "".join(self._output["out"]), self.err)

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """Send a signal if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)

    def _do(self, words: list[str], what: str, shows: bool) -> None:
        before = self._display.pixels()
        self._xdotool(*words)
        if shows:
            self.until(what, lambda: not np.array_equal(self._display.pixels(), before))
        self._settle()

    def _settle(self) -> None:
        """Wait until the screen stands still."""
        last, since = self._display.pixels(), time.monotonic()
        while time.monotonic() - since < STILL:
            time.sleep(0.01)
            now = self._display.pixels()
            if not np.array_equal(now, last):
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
    return ["search", "--onlyvisible", "--name", f"^{window}(:|$)"]
