"""Where windows open on the screen, and their places in the user's state folder."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from icas.common.errors import IcasError
from icas.io.files import write_whole
from icas.io.folders import state_folder
from icas.segmentimg.render.canvas import Shape

COLORS_WIDTH = 252
"""Width of the colour window and the file list, which are on the left."""
MIN_SIZE = (360, 480)
SPACING = 2
FILE = "windows.json"


class Frame(NamedTuple):
    """Width of the frame that a window manager draws around a window."""

    left: int
    right: int
    top: int
    bottom: int


USUAL_FRAME = Frame(4, 4, 32, 4)
NO_FRAME = Frame(0, 0, 0, 0)


class Place(NamedTuple):
    """Position and size of a window, inside its frame."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """Windows side by side on a screen: classes and files on the left, images right of them."""

    area: Place
    """The screen without panels."""
    frame: Frame = USUAL_FRAME

    @property
    def painting(self) -> Shape:
        """Height and width of the painting window."""
        return self._height, max(MIN_SIZE[1], self.area.width - self._left_column - self._sides)

    @property
    def annotations(self) -> Shape:
        """Height and width of the area for the windows in which images are annotated."""
        return self._height, max(MIN_SIZE[1], self.area.width - self._sides)

    def position(self, window: str, width: int, height: int) -> tuple[int, int]:
        """Where a window of a size opens (x, y)."""
        x = self.area.x + self.frame.left
        y = self.area.y + self.frame.top
        if window == "Painting":
            x += self._left_column
        elif window == "Debug":
            x, y = x + self._left_column + 24, y + self.frame.top + 24
        elif window == "Files":
            y = self.area.y + self.area.height - self.frame.bottom - height
        elif window == "Segments":
            x = self.area.x + self.area.width - self.frame.right - width
        return self.clamped(Place(x, y, width, height))[:2]

    def clamped(self, place: Place) -> Place:
        """The place, moved and made smaller so that the window with its frame is on the screen."""
        area, frame = self.area, self.frame
        width = min(place.width, area.width - self._sides)
        height = min(place.height, self._height)
        x = min(place.x, area.x + area.width - frame.right - width)
        y = min(place.y, area.y + area.height - frame.bottom - height)
        return Place(max(x, area.x + frame.left), max(y, area.y + frame.top), width, height)

    @property
    def _sides(self) -> int:
        return self.frame.left + self.frame.right

    @property
    def _left_column(self) -> int:
        return COLORS_WIDTH + self._sides + SPACING

    @property
    def _height(self) -> int:
        return max(MIN_SIZE[0], self.area.height - self.frame.top - self.frame.bottom)


class SavedPlaces:
    """Places of windows that the user has moved or resized, by screen size; kept between runs."""

    def __init__(self, area: Place, path: Path | None = None) -> None:
        self._path = path or _default_path()
        self._screen = f"{area.width}x{area.height}"
        self._content = _read(self._path)

    def get(self, window: str) -> Place | None:
        """The saved place of a window."""
        saved = self._content.get(self._screen, {})
        numbers = saved.get(window) if isinstance(saved, dict) else None
        if not isinstance(numbers, list) or len(numbers) != len(Place._fields):
            return None
        if not all(isinstance(number, int) for number in numbers) or min(numbers[2:]) < 1:
            return None
        return Place(*numbers)

    def save(self, places: dict[str, Place]) -> None:
        """Write places of windows; nothing happens where the folder cannot be written."""
        if not places or self._path is None:
            return
        content = _read(self._path)  # another program may have written since
        before = content.get(self._screen)
        content[self._screen] = {
            **(before if isinstance(before, dict) else {}),
            **{window: list(place) for window, place in places.items()},
        }
        if content != _read(self._path):
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._path, json.dumps(content, indent=1).encode())
        self._content = content


def _default_path() -> Path | None:
    try:
        return state_folder() / FILE
    except IcasError:
        return None


def _read(path: Path | None) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes()) if path is not None else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
