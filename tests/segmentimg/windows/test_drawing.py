"""What the small windows show, the keymap, and events of HighGUI."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.io.reading import write_image
from icas.segmentimg.document.palette import PaintClass, Palette, default_palette
from icas.segmentimg.windows import events as keymap
from icas.segmentimg.windows.events import Mouse
from icas.segmentimg.windows.panels import (
    BAR,
    MAX_ROWS,
    WIDTH,
    PaletteStatus,
    blank,
    class_under,
    debug_image,
    help_over,
    palette_image,
    waiting_image,
    with_bar,
    wrapped,
    write,
)
from icas.segmentimg.windows.screen.highgui import key_name, mouse_event


def classes(count):
    return Palette(
        PaintClass(f"a class of number {n}", (n % 256, 50 + n // 256, 250)) for n in range(count)
    )


def status(palette, chosen=0, first_row=0, **given):
    reported = {
        "name": "picture.jpg",
        "number": 3,
        "pictures": 14,
        "mode": "fill",
        "details": ("3 segments painted", "h shows the keys"),
        "unsaved": False,
        **given,
    }
    return PaletteStatus(palette, chosen, first_row, **reported)


@given(st.integers(1, 90), st.integers(0, 40), st.data())
@settings(max_examples=30, deadline=None)
def test_a_click_on_a_colour_gives_that_colour(count, first_row, data):
    palette = classes(count)
    first_row = min(first_row, max(0, -(-count // 2) - MAX_ROWS))
    picture = palette_image(status(palette, data.draw(st.integers(0, count - 1)), first_row))
    assert picture.shape[1] == WIDTH
    seen = set()
    for y in range(1, min(picture.shape[0], 30 * MAX_ROWS), 7):
        for x in range(1, WIDTH, 5):
            place = class_under(x, y, first_row, palette)
            if place is None:
                continue
            seen.add(place)
            swatches = [tuple(one) for one in picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)]
            if len(set(swatches)) == 1 and swatches[0][2] == 250:
                assert swatches[0] == palette[place].color
    assert seen == set(range(2 * first_row, min(count, 2 * (first_row + MAX_ROWS))))


def test_nothing_lies_outside_the_colours():
    palette = default_palette()
    for place in ((-1, 20), (20, -1), (WIDTH, 20), (WIDTH - 1, 20), (20, 900), (2, 2)):
        assert class_under(*place, 0, palette) is None


@pytest.mark.parametrize("count", [1, 2, 24, 64, 300])
def test_the_colour_window_fits_its_text(count):
    palette = classes(count)
    plain = palette_image(status(palette, chosen=count - 1))
    assert plain.shape[0] < 700
    for other in (
        status(palette, chosen=count - 1, unsaved=True),
        status(palette, chosen=count - 1, mode="brush, radius 8"),
        status(palette, chosen=count - 1, name="a_very_long_name" * 9 + ".jpg"),
        status(palette, chosen=count - 1, name="ärger 図.png"),
        status(palette, chosen=count - 1, number=14),
    ):
        picture = palette_image(other)
        assert picture.shape != plain.shape or (picture != plain).any()


def test_each_key_has_one_action_and_each_action_a_deed():
    keys = [key for row in keymap.PAINTING_KEYS for key in row.keys]
    assert len(keys) == len(set(keys))
    actions = [row.action for row in keymap.PAINTING_KEYS]
    assert len(actions) == len(set(actions))
    for row in keymap.PAINTING_KEYS:
        assert {keymap.action_of(key) for key in row.keys} == {row.action}
    assert keymap.action_of("Q") == "quit"
    assert keymap.action_of("tab") is None
    contract = {"q": "quit", "n": "next", "p": "previous", "space": "save_next", "z": "undo"}
    more = {"y": "redo", "r": "reset", "d": "debug", "t": "templates", "h": "help"}
    for key, action in {**contract, **more}.items():
        assert keymap.action_of(key) == action
    reported = keymap.help_rows()
    assert reported[:4] == keymap.MOUSE[keymap.PAINTING_KEYS]
    assert all(key and words for key, words in reported)
    assert ("1 … 9", "colour 1 to 9") in reported


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (-1, ""),
        (ord("q"), "q"),
        (ord("Q"), "Q"),
        (ord("]"), "]"),
        (32, "space"),
        (27, "escape"),
        (0xFF51, "left"),
        (0x280000, "down"),
        (63233, "down"),
        (0xFFE1, ""),
        (200, ""),
        (0, ""),
    ],
)
def test_codes_of_keys(code, name):
    assert key_name(code) == name


def test_words_of_the_mouse():
    left, ctrl, shift = (
        getattr(cv2, f"EVENT_FLAG_{name}") for name in ("LBUTTON", "CTRLKEY", "SHIFTKEY")
    )
    for number, expected in (
        ((cv2.EVENT_LBUTTONDOWN, left), ("down", "left")),
        ((cv2.EVENT_RBUTTONUP, 0), ("up", "right")),
        ((cv2.EVENT_MBUTTONDOWN, 0), ("down", "middle")),
        ((cv2.EVENT_LBUTTONDBLCLK, left), ("double", "left")),
        ((cv2.EVENT_MOUSEMOVE, left), ("move", "left")),
        ((cv2.EVENT_MOUSEMOVE, 0), ("move", "")),
    ):
        event = mouse_event("w", number[0], 5, 6, number[1])
        assert (event.kind, event.button, event.x, event.y) == (*expected, 5, 6)
    for steps in (1, -1, 3, -2):
        flags = (steps * 120) << 16 | ctrl
        event = mouse_event("w", cv2.EVENT_MOUSEWHEEL, 5, 6, flags)
        assert event == Mouse("w", "wheel", 5, 6, wheel=steps, ctrl=True)
    tilted = mouse_event("w", cv2.EVENT_MOUSEHWHEEL, 5, 6, (-120 << 16) | shift)
    assert (tilted.wheel, tilted.sideways, tilted.shift) == (-1, True, True)


def test_words_stay_inside_their_picture():
    for size, place in (((40, 20), (35, 15)), ((40, 20), (39, 19)), ((3, 3), (0, 0))):
        picture = blank(*size)
        write(picture, place, "Weit über den Rand", 14)
        assert picture.shape == (size[1], size[0], 3)
    picture = blank(200, 40)
    write(picture, (5, 5), "words", 14)
    assert (picture[:, 120:] == blank(80, 40)).all()
    assert picture.max() > 200
    image = np.full((100, 400, 3), 90, np.uint8)
    for text in ("", "one line", "more lines than there is space for " * 6):
        whole = with_bar(image, text, "a hint")
        assert whole.shape == (100 + BAR, 400, 3)
        assert (whole[:100] == image).all()
        assert whole[100:].max() > 120
    assert wrapped("", 100, 12) == [""]
    assert all(len(line) <= 20 for line in wrapped("one two three four five six", 130, 12))


@pytest.mark.parametrize("keys", [keymap.PAINTING_KEYS, keymap.GRABCUT_KEYS, keymap.SAM_KEYS])
@pytest.mark.parametrize("shape", [(30, 40), (330, 480), (690, 1020), (1000, 1600)])
def test_the_help_fits_into_the_window(shape, keys):
    groups = keymap.help_groups(keys)
    image = np.full((*shape, 3), 200, np.uint8)
    whole = help_over(image, groups)
    assert whole.shape == image.shape
    assert (whole != image).any()
    if shape[0] >= 690:
        assert (whole[:, :8] == 66).all()  # nothing is cut off
        assert (whole[:8] == 66).all()


@pytest.mark.parametrize("shape", [(3, 5), (60, 700), (700, 60), (1500, 2000)])
def test_the_waiting_picture_is_as_large_as_the_painted_one_will_be(tmp_path, shape):
    path = tmp_path / "img.png"
    write_image(path, np.full((*shape, 3), 210, np.uint8))
    for error in ("", "a reason of many words " * 8):
        picture = waiting_image(path, error, (600, 800))
        assert picture.shape == (600, 800, 3)
        assert picture.min() < 60
        assert picture.max() > 200
    assert waiting_image(Path("none.png"), "it is gone", (600, 800)).shape == (600, 800, 3)


def test_the_debug_picture_shows_what_is_there(opened):
    work = opened()
    work.document.fill(4, 4, (204, 0, 0))
    first = debug_image(work, (600, 900))
    assert first.shape[0] <= 600
    assert first.shape[1] <= 900
    work.document.cut((0, 0), (23, 31))
    assert (debug_image(work, (600, 900)) != first).any()
