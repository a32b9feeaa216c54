"""A painting table without a display: a small picture, its segments, and a screen that plays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from icas.cli.console import Console
from icas.io.reading import MAX_PIXELS, Image, write_image
from icas.segmentimg.document.document import PaintDocument
from icas.segmentimg.document.palette import default_palette
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.session.open import ImageOpener, OpenImage
from icas.segmentimg.session.session import Session, SessionSummary
from icas.segmentimg.windows.app import run
from icas.segmentimg.windows.controller import PAINTING, Controller
from icas.segmentimg.windows.events import Button, Closed, Event, Key, Mouse
from icas.segmentimg.windows.panels import BAR

HEIGHT, WIDTH, SIDE = 24, 32, 8
SCALE = 15
"""Window pixels to a pixel of the small picture, which fills the window."""
OPTIONS = ("clock", "console", "annotation_size")
"""Arguments of the controller."""
SIZE = (HEIGHT * SCALE + BAR, WIDTH * SCALE)


@dataclass(frozen=True)
class Squares(Segmenter):
    """A method of which everyone knows what it gives: squares, 1, 2, 3 … along the rows."""

    name: ClassVar[str] = "squares"
    side: int = SIDE

    def groups(self, image: Image) -> Any:
        rows, columns = (np.arange(length) // self.side for length in image.shape[:2])
        return (rows[:, None] * 1000 + columns + 1).astype(np.int32)


class User:
    """What a hand does, as events; places are (x, y) in the window."""

    @staticmethod
    def at(row: int, col: int) -> tuple[int, int]:
        """Place in the window of a pixel of the small picture, shown whole."""
        return col * SCALE + SCALE // 2, row * SCALE + SCALE // 2

    @staticmethod
    def mouse(kind: Any, place: tuple[int, int], button: Button = "", **held: Any) -> Mouse:
        return Mouse(PAINTING, kind, *place, button, **held)

    def click(self, place: tuple[int, int], button: Button = "left", **held: Any) -> list[Event]:
        return [self.mouse(kind, place, button, **held) for kind in ("down", "up")]

    def double(
        self, place: tuple[int, int], button: Button = "left", order: str = "double down up"
    ) -> list[Event]:
        """Two clicks; what the second one is reported as differs by window system."""
        second = [self.mouse(kind, place, button) for kind in order.split()]
        return [*self.click(place, button), *second]

    def move(self, *places: tuple[int, int], button: Button = "") -> list[Event]:
        return [self.mouse("move", place, button) for place in places]

    def drag(self, *places: tuple[int, int], button: Button = "left", **held: Any) -> list[Event]:
        down = self.mouse("down", places[0], button, **held)
        moves = [self.mouse("move", place, button, **held) for place in places[1:]]
        return [down, *moves, self.mouse("up", places[-1], button, **held)]

    def wheel(self, place: tuple[int, int], steps: int, **held: Any) -> Mouse:
        return self.mouse("wheel", place, wheel=steps, **held)

    @staticmethod
    def keys(*names: str) -> list[Event]:
        return [Key(name) for name in names]


@pytest.fixture(scope="session")
def user() -> User:
    return User()


class Playing:
    """A screen on which a script is played: what it yields happens, then windows are drawn."""

    def __init__(self, script: Iterator[Any]) -> None:
        self._script = script
        self.shown: dict[str, Image] = {}
        self.hidden: list[str] = []
        self.titles: dict[str, str] = {}
        self.sliders: dict[tuple[str, str], int] = {}
        self.frames = 0
        self.closed = False

    def show(self, window: str, picture: Image) -> None:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        self.shown[window] = picture.copy()
        self.frames += 1

    def title(self, window: str, text: str) -> None:
        self.titles[window] = text

    def slider(self, window: str, name: str, value: int, most: int) -> None:
        assert window in self.shown
        self.sliders[window, name] = value

    def hide(self, window: str) -> None:
        self.shown.pop(window, None)
        self.hidden.append(window)

    def events(self, seconds: float) -> list[Event]:
        done = next(self._script, Closed(PAINTING))
        if done is None:
            time.sleep(0.001)
            return []
        found = list(done) if isinstance(done, list) else [done]
        for event in found:
            if isinstance(event, Closed):
                self.shown.pop(event.window, None)
        return found

    def close(self) -> None:
        self.shown.clear()
        self.closed = True


@dataclass
class Table:
    """A session at a controller; `play` lets a script be the user."""

    session: Session
    controller: Controller
    screen: Playing | None = None
    summary: SessionSummary | None = None

    @property
    def doc(self) -> PaintDocument:
        work = self.session.current
        assert work is not None
        return work.document

    def opened(self) -> Iterator[None]:
        """Wait until the current picture is open, or cannot be, and lies in the window."""
        until = time.monotonic() + 10
        while self.session.current is None and not self.session.error:
            assert time.monotonic() < until, "the picture does not open"
            yield None
        yield None

    def play(self, script: Callable[[Table], Iterator[Any]]) -> SessionSummary:
        self.screen = Playing(self._whole(script))
        try:
            run(self.controller, self.screen)
        finally:
            self.summary = self.session.close()
        assert self.screen.closed
        return self.summary

    def _whole(self, script: Callable[[Table], Iterator[Any]]) -> Iterator[Any]:
        yield from self.opened()
        yield from script(self)

    @property
    def shown(self) -> dict[str, Image]:
        assert self.screen is not None
        return self.screen.shown


def small_image(seed: int = 0, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Image:
    """Noise on blocks of colour, so that segments differ."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 226, (shape[0] // SIDE + 1, shape[1] // SIDE + 1, 3))
    whole = blocks.repeat(SIDE, axis=0).repeat(SIDE, axis=1)[: shape[0], : shape[1]]
    return (whole + rng.integers(-9, 10, (*shape, 3))).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small pictures, a.png to c.png."""
    made = tmp_path / "small"
    made.mkdir()
    for seed, name in enumerate("abc"):
        write_image(made / f"{name}.png", small_image(seed))
    return made


@pytest.fixture
def squares() -> ImageOpener:
    return ImageOpener(Squares(), 1_500_000, MAX_PIXELS, default_palette())


@pytest.fixture(scope="session")
def squares_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], OpenImage]:
    """Open the small picture, cut into squares of a side; for tests that leave it as it is."""

    def opening(side: int) -> OpenImage:
        path = tmp_path_factory.mktemp("squares") / "small.png"
        write_image(path, small_image())
        return ImageOpener(Squares(side), 1_500_000, MAX_PIXELS, default_palette()).open(
            find_image_files([path])[0]
        )

    return opening


@pytest.fixture
def make_table(folder: Path, squares: ImageOpener) -> Callable[..., Table]:
    """Make a table; sessions that a test does not play to their end are closed."""
    made: list[Table] = []

    def lay(
        paths: Sequence[Path] = (),
        opener: ImageOpener = squares,
        templates: Any = None,
        **given: Any,
    ) -> Table:
        options = {name: given.pop(name) for name in OPTIONS if name in given}
        if "clock" in options:
            given["clock"] = options["clock"]
        session = Session(find_image_files(list(paths) or [folder]), opener, **given)
        options.setdefault("console", Console(warnings=True))
        controller = Controller(session, opener.palette, templates, size=SIZE, **options)
        table = Table(session, controller)
        made.append(table)
        return table

    yield lay
    for table in made:
        if table.summary is None:
            table.controller.close()
            table.session.close()


@pytest.fixture
def opened(folder: Path, squares: ImageOpener) -> Callable[..., OpenImage]:
    """Open the small picture of a name."""

    def opening(name: str = "a", opener: ImageOpener = squares) -> OpenImage:
        picture = find_image_files([folder / f"{name}.png"])[0]
        return opener.open(picture)

    return opening
