"""How fast painting is on 12 megapixels: clicks, views, undo, saving, idling, memory.

python benchmarks/painter.py [PICTURE]     a picture of any size, made 4000x3000

Run it where a display is (``xvfb-run``, say) to have the real windows idle too.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import icas
from icas.cli.display import require_windows
from icas.common.errors import UsageError
from icas.io.reading import Image, resize, write_image
from icas.segmentimg.document.palette import default_palette
from icas.segmentimg.formats.inputs import ImageFile
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.session.open import ImageOpener
from icas.segmentimg.session.session import Session
from icas.segmentimg.windows.app import run
from icas.segmentimg.windows.controller import PAINTING, Controller
from icas.segmentimg.windows.events import Event, Key, Mouse
from icas.segmentimg.windows.screen.highgui import HighGui

SIZE = (4000, 3000)
SCREEN = (780, 1000)
CLICKS, MOVES = 300, 300
IDLE_SECONDS = 8.0


class Blind:
    """A screen that does what HighGUI does to a picture, and shows it to nobody."""

    def show(self, window: str, picture: Image) -> None:
        import cv2

        cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)


class Lazy(HighGui):
    """Real windows in front of which somebody sits and does nothing, then leaves."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._start: tuple[float, float] | None = None
        self.share = 0.0

    def events(self, seconds: float) -> list[Event]:
        found = super().events(seconds)
        now = time.monotonic(), time.process_time()
        if self._start is None:
            self._start = now[0] + 2.0, 0.0  # the first seconds are for opening
        elif self._start[1] == 0.0 and now[0] > self._start[0]:
            self._start = now
        elif self._start[1] and now[0] - self._start[0] > self._seconds:
            self.share = (now[1] - self._start[1]) / (now[0] - self._start[0])
            return [Key("q"), Key("q")]
        return found


def main() -> int:
    from skimage import data as samples

    source = icas.read_image(sys.argv[1]) if len(sys.argv) > 1 else samples.coffee()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.png")
        write_image(path, resize(source, SIZE))
        del source
        measure(path, Path(folder, "out"))
    return 0


def measure(path: Path, out: Path) -> None:
    opener = ImageOpener(make_segmenter("superpixel"), 1_500_000, 10**9, default_palette())
    start = time.perf_counter()
    session = Session([ImageFile(path, out, path.stem)], opener)
    while session.current is None:
        time.sleep(0.01)
    work = session.current
    told("open: read, cut, merge tree", time.perf_counter() - start, "s")
    told("segments", len(work.document.classes) - 1, "")
    controller = Controller(session, default_palette(), size=SCREEN)
    screen, rng = Blind(), random_places()
    show(controller, screen)
    before = work.document.history_nbytes
    clicks = [timed(lambda: click(controller, screen, rng())) for _ in range(CLICKS)]
    entry = (work.document.history_nbytes - before) / CLICKS
    moves = [timed(lambda: move(controller, screen, rng())) for _ in range(MOVES)]
    told("fill and view, median", 1000 * float(np.median(clicks)), "ms (16)")
    told("fill and view, 95 of 100", 1000 * float(np.percentile(clicks, 95)), "ms")
    told("hover, median", 1000 * float(np.median(moves)), "ms")
    told("zoom, median", 1000 * float(np.median(zooms(controller, screen, rng))), "ms")
    told("undo entry of a fill", entry, "bytes (1024)")
    undos = [key(controller, screen, "z") for _ in range(50)]
    told("undo, median", 1000 * float(np.median(undos)), "ms")
    start = time.perf_counter()
    files = session.save()
    told(f"save, {len(files)} files", time.perf_counter() - start, "s (2)")
    session.close()
    idle(path, out, opener)
    told("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB (1500)")


def idle(path: Path, out: Path, opener: ImageOpener) -> None:
    try:
        require_windows("idling is not measured")
    except UsageError as error:
        print(f"{error}")
        return
    session = Session([ImageFile(path, out, path.stem)], opener)
    while session.current is None:
        time.sleep(0.01)
    screen = Lazy(IDLE_SECONDS)
    run(Controller(session, default_palette(), size=SCREEN), screen)
    session.close()
    told("idle, share of a core", 100 * screen.share, "% (10)")


def random_places() -> Callable[[], tuple[int, int]]:
    rng = np.random.default_rng(0)
    return lambda: (int(rng.integers(SCREEN[1])), int(rng.integers(SCREEN[0] - 30)))


def show(controller: Controller, screen: Blind) -> None:
    controller.tick()
    for window, picture in controller.frames().items():
        if picture is not None:
            screen.show(window, picture)


def click(controller: Controller, screen: Blind, place: tuple[int, int]) -> None:
    controller.handle(Key(str(1 + sum(place) % 9)))
    controller.handle(Mouse(PAINTING, "down", *place, "left"))
    controller.handle(Mouse(PAINTING, "up", *place, "left"))
    show(controller, screen)


def move(controller: Controller, screen: Blind, place: tuple[int, int]) -> None:
    controller.handle(Mouse(PAINTING, "move", *place))
    show(controller, screen)


def zooms(controller: Controller, screen: Blind, rng: Callable[[], tuple[int, int]]) -> list[float]:
    def wheel(step: int) -> float:
        def turn() -> None:
            controller.handle(Mouse(PAINTING, "wheel", *rng(), wheel=step))
            show(controller, screen)

        return timed(turn)

    return [wheel(step) for step in [1] * 10 + [-1] * 10]


def key(controller: Controller, screen: Blind, name: str) -> float:
    def press() -> None:
        controller.handle(Key(name))
        show(controller, screen)

    return timed(press)


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def told(what: str, value: float, unit: str) -> None:
    print(f"{what:32} {value:10.2f} {unit}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
