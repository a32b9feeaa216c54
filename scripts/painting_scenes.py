"""What is done in the windows of which docs/ shows pictures, and when each picture is taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image as Pictures, ImageDraw
from scipy.ndimage import distance_transform_edt
from skimage import data as samples
from window_frames import Image, Point, Shot

import icas
from icas.segmentimg.labels.growth import Growth
from icas.segmentimg.labels.merge_tree import segment_graph, tree_of
from icas.segmentimg.render.canvas import Viewport
from icas.segmentimg.windows.view import ZOOM

COMMAND = "pictures", "--palette", "things.txt", "--save", "masks,labels,coco"
"""As docs/tutorials/painting.md has it."""
SUIT, FACE, TANK, ROCKET = (330, 110), (140, 222), (60, 415), (300, 320)
SHUTTLE = [TANK, (20, 410), (120, 428), (160, 430)]
REST_OF_SUIT = [(450, 60), (300, 300), (380, 290), (430, 215), (480, 130), (260, 90), (350, 30)]
REST_OF_FACE = [(100, 200), (100, 247), (145, 222), (170, 222), (120, 262), (125, 178)]
HAIR = [(60, 170), (45, 200), (60, 240), (40, 250), (90, 285), (60, 280), (110, 165), (25, 230)]
FLAG = [(20, 40), (60, 35), (120, 20), (150, 60), (60, 5), (35, 20)]
BADGE = ((370, 150), (375, 195), (395, 145), (395, 200), (415, 160))
FOOT, CUT, ABOVE = (262, 300), ((264, 268), (264, 332)), (254, 300)
SAUCER = [(200, 420), (180, 120), (280, 130), (340, 280), (250, 250)]
CUP = [(150, 280), (100, 190), (60, 300), (220, 280)]
TABLE = [(330, 500), (100, 500), (50, 150), (250, 30), (380, 550)]
PARTS = (
    "suit,#2f6fde\nflag,#e02a5a\nshuttle,#00b8c8\nhelmet,#2fb350\n"
    "collar,#f08c00\nhair,#b83cd8\nface,#ffd43b\nwall,#9a7b4f\n"
)
OUTLINES: tuple[tuple[int, ...], ...] = (
    (109, 210, 68, 244, 44, 285, 27, 341, 19, 393, 23, 426, 19, 475, 28, 511, 108, 511, 133, 488)
    + (154, 483, 157, 465, 175, 464, 194, 482, 192, 511, 225, 511, 224, 479, 241, 464, 242, 447)
    + (254, 443, 262, 483, 256, 511, 285, 511, 276, 433, 296, 392, 329, 360, 358, 349, 354, 307)
    + (339, 263, 318, 243, 297, 237, 285, 263, 267, 276, 187, 275, 149, 258, 131, 237, 118, 209),
    (0, 0, 42, 0, 61, 90, 92, 178, 96, 215, 70, 236, 43, 277, 26, 335, 19, 393, 0, 400),
    (427, 0, 404, 0, 397, 30, 384, 45, 380, 80, 378, 181, 357, 212, 357, 222, 377, 224, 367, 260)
    + (368, 282, 389, 290, 425, 284, 459, 276, 457, 200, 453, 110, 454, 65, 446, 41, 436, 39),
    (281, 438, 280, 511, 511, 511, 511, 474, 496, 452, 491, 415, 483, 394, 457, 363, 422, 346)
    + (390, 342, 375, 347, 329, 365, 304, 390),
    (116, 189, 116, 215, 140, 248, 157, 262, 197, 282, 221, 288, 274, 287, 290, 275, 303, 254)
    + (304, 236, 298, 218, 283, 197, 262, 180, 242, 191, 201, 187, 186, 179, 183, 153, 138, 161),
    (156, 60, 156, 99, 169, 115, 176, 115, 187, 75, 232, 79, 267, 89, 271, 127, 279, 127, 292, 113)
    + (300, 92, 295, 58, 287, 42, 275, 31, 243, 17, 203, 23),
    (
        186,
        76,
        178,
        122,
        188,
        180,
        230,
        190,
        248,
        187,
        253,
        182,
        265,
        139,
        271,
        133,
        268,
        92,
        229,
        80,
    ),
)
"""x, y, … around the parts of the astronaut; later ones are on top."""
WALL = (150, 335)
NOTCHES, WALL_NOTCHES, SUIT_NOTCHES = 14, 9, 16

OBJECT = (
    [(130, 100), (190, 90), (240, 130)],
    [(60, 200), (140, 250), (90, 340)],
    [(340, 200), (370, 290), (290, 420)],
)
BACKGROUND = ([(20, 30), (20, 120)], [(40, 480), (170, 550), (330, 540)], [(375, 30), (385, 110)])

WIDEST = 1280
"""Maximum width of a picture of a screen."""

Scene = Iterator[tuple[str, list[Shot]]]


class Place(Protocol):
    """A folder with pictures in which ``segmentimg`` is started."""

    folder: Path
    template: Image
    screen: str

    def start(self, *words: str, places: dict[str, Any] | None = None) -> Any:
        """A context: a driver of the windows."""
        ...


def shot(driver: Any, window: str = "Painting", pointer: Point | None = None) -> Shot:
    """What a window shows now."""
    return Shot(driver.title(window), driver.whole(window), pointer)


def both(driver: Any, pointer: Point | None = None) -> list[Shot]:
    """The colour window and the painting window."""
    return [shot(driver, "Colours"), shot(driver, pointer=pointer)]


def opened(driver: Any, name: str, size: tuple[int, int]) -> None:
    """Wait for a picture of a size (width, height), in a window in which pixels are its own."""
    driver.until("the window is there", lambda: driver.find("Painting"))
    driver.image(name)
    driver.resize(size)
    driver.open(size)


def wheel(driver: Any, place: Point, notches: int) -> None:
    """Ctrl and the wheel, a notch at a time; negative ones shrink."""
    for _ in range(abs(notches)):
        driver.click(place, "wheel up" if notches > 0 else "wheel down", hold="ctrl", shows=False)


def paint(driver: Any, key: str, *places: Point) -> None:
    """Click on some places in the colour of a key."""
    driver.press(key, shows=False)
    for place in places:
        driver.click(place, shows=False)


def tutorial(room: Place) -> Scene:
    """The tutorial on painting, from the first window to the third image."""
    with room.start(*COMMAND) as driver:
        opened(driver, "astronaut.png", (512, 512))
        yield from _astronaut(driver)
        driver.press("space")
        opened(driver, "coffee.png", (600, 400))
        yield from _coffee(driver)
        driver.press("space")
        opened(driver, "rocket.png", (640, 427))
        wheel(driver, ROCKET, 9)
        paint(driver, "5", ROCKET)
        driver.press("q")
        driver.until("it asks", lambda: driver.bar().max() > 200)
        yield "painting-quit.jpg", both(driver, ROCKET)
        driver.end("q")


def _astronaut(driver: Any) -> Scene:
    driver.move(SUIT)
    yield "painting-open.jpg", both(driver, SUIT)
    first = shot(driver, pointer=SUIT).part(200, 512, 0, 370)
    wheel(driver, SUIT, SUIT_NOTCHES)
    yield "painting-grow.jpg", [first, shot(driver, pointer=SUIT).part(200, 512, 0, 370)]
    paint(driver, "1", SUIT, *REST_OF_SUIT)
    paint(driver, "2", FACE, *REST_OF_FACE)
    paint(driver, "3", *HAIR)
    yield "painting-classes.jpg", both(driver, HAIR[-1])
    driver.press("1")
    driver.press("b")
    driver.press("period")
    driver.drag(BADGE)
    brushed = shot(driver, pointer=BADGE[-1]).part(200, 512, 0, 370)
    yield "painting-brush.jpg", [shot(driver, "Colours"), brushed]
    driver.press("b")
    paint(driver, "4", *FLAG)
    wheel(driver, TANK, -4)
    paint(driver, "5", *SHUTTLE)


def painted(room: Place) -> Scene:
    """A photograph with seven classes painted, by clicks on groups of segments."""
    (room.folder / "parts.txt").write_text(PARTS, encoding="utf-8")
    with room.start("pictures/astronaut.png", "--palette", "parts.txt") as driver:
        opened(driver, "astronaut.png", (512, 512))
        wheel(driver, SUIT, NOTCHES)
        for places in planned_clicks(samples.astronaut(), OUTLINES):
            for key, group in enumerate(places, start=1):
                if group:
                    paint(driver, str(key), *far_apart(group))
            wheel(driver, SUIT, -1)
        driver.press("e")
        driver.press("8", shows=False)
        wheel(driver, WALL, WALL_NOTCHES)
        yield "painting.jpg", both(driver, WALL)
        driver.press("s", shows=False)
        saved = room.folder / "pictures_segmented" / "astronaut.json"
        driver.until("it is saved", saved.exists)
        driver.press("q", shows=False)


def planned_clicks(image: Image, outlines: tuple[tuple[int, ...], ...]) -> list[list[list[Point]]]:
    """For each step of the wheel, down from NOTCHES at SUIT, and each outline: where to click."""
    labels = icas.segment(image)
    graph = segment_graph(image, labels)
    growth = Growth(tree_of(graph, labels), graph)
    winners = segment_owners(labels, outlines)
    pointed, levels = int(labels[SUIT]), [0.0]
    for _ in range(NOTCHES):
        levels[0] = growth.grown(pointed, levels[0])
    while levels[-1]:
        levels.append(growth.shrunk(pointed, levels[-1]))
    painted, plan = np.zeros(winners.size, bool), []
    for level in levels:
        plan.append([[] for _ in outlines])
        for segment in np.flatnonzero(winners):
            group = growth.group(int(segment), level)
            if not painted[group].any() and (winners[group] == winners[segment]).all():
                painted[group] = True
                plan[-1][winners[segment] - 1].append(_middle(labels == segment))
    return plan


def segment_owners(labels: Any, outlines: tuple[tuple[int, ...], ...]) -> Any:
    """For each segment the number of the outline that holds most of it, or 0."""
    drawn = Pictures.new("L", labels.shape[::-1])
    for number, outline in enumerate(outlines, start=1):
        ImageDraw.Draw(drawn).polygon(outline, fill=number)
    votes = np.zeros((labels.max() + 1, len(outlines) + 1), int)
    np.add.at(votes, (labels.ravel(), np.asarray(drawn).ravel()), 1)
    return votes.argmax(axis=1)


def _middle(mask: Any) -> Point:
    """The pixel of a mask that is farthest from its border."""
    inner = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, col = np.unravel_index(inner.argmax(), inner.shape)
    return int(row), int(col)


def far_apart(places: list[Point]) -> list[Point]:
    """The places in an order in which no two in a row pass for a double click."""
    return sorted(places, key=lambda place: places.index(place) % 7)


def _coffee(driver: Any) -> Scene:
    """Cut the cup's foot off the shadow below it, which is in the same segment."""
    wheel(driver, FOOT, -30)
    driver.move(FOOT)
    view = Viewport.fitted((400, 600), (400, 600))
    for _ in range(4):
        driver.press("plus")
        view = view.zoomed(ZOOM, FOOT[1], FOOT[0])
    start, end, above = (view.to_window(*place)[::-1] for place in (*CUT, ABOVE))
    driver.click(start, "middle")
    driver.move(end)
    row, col = view.to_window(*FOOT)[::-1]
    part = row - 150, row + 150, col - 180, col + 180
    line = shot(driver, pointer=end).part(*part)
    driver.click(end, "middle")
    driver.press("Escape")
    paint(driver, "6", above)
    yield "painting-cut.jpg", [line, shot(driver, pointer=above).part(*part)]
    driver.press("0")
    wheel(driver, SAUCER[0], 8)
    paint(driver, "6", *SAUCER, *CUP)
    paint(driver, "7", *TABLE)
    yield "painting-done.jpg", both(driver, TABLE[-1])


def templates(room: Place) -> Scene:
    """One coin is the template, and all that are like it are painted."""
    with room.start("coins.png", "--templates", "coin", "--template-threshold", "0.07") as driver:
        opened(driver, "coins.png", (600, 474))
        driver.press("e")
        driver.press("t")
        driver.until("they are found", lambda: _red(driver))
        found = shot(driver)
        big = room.template.repeat(3, 0).repeat(3, 1)
        yield "templates.png", [Shot("coin/coin.png", big), found]


def _red(driver: Any) -> bool:
    shown = driver.shown().astype(int)
    return bool((shown[..., 0] - shown[..., 1] > 60).mean() > 0.1)


def grabcut(room: Place) -> Scene:
    """Strokes on what is meant and on what is not, and what is cut out."""
    with room.start("pictures/coffee.png", "--method", "grabcut") as driver:
        driver.until(
            "it asks", lambda: driver.box("Annotations")[2] > 400 and driver.find("Segments")
        )
        for stroke in OBJECT:
            driver.drag(stroke, window="Annotations")
        for stroke in BACKGROUND:
            driver.drag(stroke, "right", window="Annotations")
        driver.until("the mask follows", lambda: _still(driver))
        yield "grabcut.jpg", [shot(driver, "Annotations"), shot(driver, "Segments")]


def _still(driver: Any) -> bool:
    """Whether the mask stays as it is for longer than the clock of a round ticks."""
    before = driver.whole("Segments")
    time.sleep(1.5)
    return bool((driver.whole("Segments") == before).all())


def debug(room: Place) -> Scene:
    """What a picture was cut into, and how it hangs together."""
    with room.start("pictures/astronaut.png", "--palette", "things.txt") as driver:
        opened(driver, "astronaut.png", (512, 512))
        wheel(driver, SUIT, SUIT_NOTCHES)
        paint(driver, "1", SUIT, *REST_OF_SUIT)
        driver.press("d")
        driver.until("it shows", lambda: driver.box("Debug")[2] > 400)
        yield "painting-debug.jpg", [shot(driver, "Debug")]


def windows(room: Place) -> Scene:
    """The whole screen: all windows where they open, with the frames of a window manager."""
    with room.start("pictures", "--palette", "things.txt", places={}) as driver:
        driver.until("the window is there", lambda: driver.find("Painting"))
        driver.image("astronaut.png")
        driver.until("the list is there", lambda: driver.find("Files"))
        height, width = driver.shown().shape[:2]
        view = Viewport.fitted((512, 512), (height, width))
        places = [view.to_window(*place)[::-1] for place in (SUIT, FACE)]
        for key, place, notches in zip("12", places, (SUIT_NOTCHES, -4), strict=True):
            driver.press(key, shows=False)
            wheel(driver, place, notches)
            driver.click(place, shows=False)
        driver.press("s")
        driver.press("Escape", shows=False)
        time.sleep(2)
        whole = Pictures.fromarray(driver.screen())
        whole.thumbnail((WIDEST, WIDEST))
        yield f"painting-windows-{room.screen}.jpg", [Shot("", np.asarray(whole))]


SCENES: dict[str, Callable[[Any], Scene]] = {
    "tutorial": tutorial,
    "painted": painted,
    "templates": templates,
    "grabcut": grabcut,
    "debug": debug,
    "windows": windows,
    "large-windows": windows,
}
SCREENS = {"windows": "1280x900", "large-windows": "1920x1080"}
"""Scenes with a window manager, and their screens."""
