"""Each key of the painting window does what the table of keys says."""

from __future__ import annotations

import numpy as np
import pytest

from icas.segmentimg.windows.events import PAINTING_KEYS

pytestmark = pytest.mark.gui

RED, BLUE = (204, 0, 0), (0, 0, 255)
NAMES = {"]": "bracketright", "[": "bracketleft", ",": "comma", ".": "period"}
NAMES |= {"+": "plus", "=": "equal", "-": "minus", "escape": "Escape"}
NAMES |= {name: name.capitalize() for name in ("left", "right", "up", "down")}
PRESSED: dict[str, tuple[str, ...]] = {
    row.action: tuple(NAMES.get(key, key) for key in row.keys) for row in PAINTING_KEYS
}


def test_undo_redo_reset_and_escape(sit):
    one = sit()
    driver, document = one.driver, one.document
    first, second = one.places(2)
    driver.click(first)
    document.fill(*first, RED)
    driver.click(second)
    document.fill(*second, RED)
    for key, command in (
        ("undo", document.undo),
        ("undo", document.undo),
        ("redo", document.redo),
        ("reset", document.reset),
        ("undo", document.undo),
    ):
        driver.press(*PRESSED[key])
        command()
        one.save()
    driver.click((80, 20), "middle")
    driver.press(*PRESSED["escape"])
    driver.click((80, 200), "middle")
    driver.press(*PRESSED["escape"])
    one.save()


def test_colours_1_to_9(sit):
    one = sit()
    places = one.places(9)
    colors = [(204, 0, 0), (0, 0, 255), (0, 255, 0), (204, 0, 153), (255, 204, 0), (0, 102, 0)]
    colors += [(0, 153, 255), (0, 255, 204), (0, 0, 102)]
    for key, place, color in zip(PRESSED["color"], places, colors, strict=True):
        one.driver.press(key, shows=key != "1")
        one.driver.click(place)
        one.document.fill(*place, color)
    one.save()


def test_growing_and_shrinking(sit):
    one = sit()
    place = one.places(8)[7]
    one.driver.move(place)
    one.driver.press(*PRESSED["grow"])
    one.driver.press(*PRESSED["grow"])
    one.driver.press(*PRESSED["shrink"])
    one.driver.click(place)
    one.driver.press("s")
    (mask,) = one.saved().values()
    labels = one.document.labels
    assert len(np.unique(labels[mask])) > 1
    assert mask[labels == labels[place]].all()
    for _ in range(2):
        one.driver.press(*PRESSED["shrink"], shows=False)
    one.driver.click(place, "right")
    one.driver.press("s")
    assert (one.saved()[RED] == (mask & (labels != labels[place]))).all()


def test_brush_thinner_and_thicker(sit):
    one = sit()
    one.driver.press(*PRESSED["brush"])
    one.driver.press(*PRESSED["thicker"])
    one.driver.click((40, 60))
    one.document.brush(40, 60, 12, RED)
    one.driver.press("2")
    one.driver.press(*PRESSED["thinner"])
    one.driver.press(*PRESSED["thinner"])
    one.driver.click((100, 60))
    one.document.brush(100, 60, 6, BLUE)
    one.save()


def test_zoom_and_arrows(sit):
    one = sit()
    one.driver.press(*PRESSED["borders"])
    whole = one.driver.shown()
    assert (whole == one.document.image).all()
    for key in PRESSED["zoom_in"]:
        one.driver.press(key)
    assert one.driver.shown().shape == whole.shape
    assert (one.driver.shown() != whole).any()
    one.driver.press(*PRESSED["zoom_out"])
    one.driver.press(*PRESSED["whole"])
    assert (one.driver.shown() == whole).all()
    for _ in range(9):
        one.driver.press(PRESSED["zoom_in"][0])
    there = one.driver.shown()
    for way, back in (("pan_left", "pan_right"), ("pan_up", "pan_down")):
        one.driver.press(*PRESSED[way])
        moved = one.driver.shown()
        one.driver.press(*PRESSED[back])
        assert (one.driver.shown() == there).all()
        assert way in _moves(there, moved)


def _moves(before, after):
    """Which way the view moved by 80 pixels."""
    ways = {
        "pan_left": (after[:, 80:], before[:, :-80]),
        "pan_right": (after[:, :-80], before[:, 80:]),
        "pan_up": (after[80:], before[:-80]),
        "pan_down": (after[:-80], before[80:]),
    }
    return {way for way, (now, then) in ways.items() if (now == then).all()}


def test_opacity_and_borders(sit):
    one = sit()
    place, other = one.places(2)
    one.driver.click(place)
    one.document.fill(*place, RED)
    one.driver.move(other)
    one.driver.press(*PRESSED["borders"])
    mask = one.document.masks()[RED]
    image = one.document.image
    for share in (0.75, 1.0, 0.0, 0.25, 0.5):
        one.driver.press(*PRESSED["opacity"])
        one.driver.press("Escape")
        shown = one.driver.shown()
        mixed = (1 - share) * image + share * np.array(RED)
        wanted = np.where(mask[..., None], mixed, image)
        unlit = one.document.labels != one.document.labels[other]
        assert np.abs(shown - wanted)[unlit].max() <= 0.5


def test_help_takes_a_click_and_paints_nothing(sit):
    one = sit()
    before = one.driver.shown()
    one.driver.press(*PRESSED["help"])
    assert (one.driver.shown() != before).any()
    one.driver.press(*PRESSED["help"])
    assert (one.driver.shown() == before).all()
    one.driver.press(*PRESSED["help"])
    one.driver.click(one.places(1)[0])
    one.driver.move((159, 239))
    assert not one.driver.title().endswith("…")
    assert one.driver.end("q").code == 0
    assert not one.out.exists()


def test_debug_pictures_and_the_colour_window_again(sit):
    one = sit()
    one.driver.press(*PRESSED["debug"])
    one.driver.until("the debug window is there", lambda: one.driver.shown("Debug").mean() > 20)
    one.driver.press(*PRESSED["debug"])
    one.driver.until("the debug window is gone", lambda: not one.driver.find("Debug"))
    one.driver.cross("Colours")
    one.driver.until("the colour window is gone", lambda: not one.driver.find("Colours"))
    one.driver.press(*PRESSED["colors"])
    one.driver.until("the colour window is back", lambda: one.driver.find("Colours"))
    one.driver.press("2")
    place = one.places(1)[0]
    one.driver.click(place)
    one.document.fill(*place, BLUE)
    one.save()


def test_no_key_of_the_table_is_left_out():
    here = "undo redo reset escape color grow shrink brush thinner thicker zoom_in zoom_out whole"
    here += " pan_left pan_right pan_up pan_down opacity borders help debug colors save"
    elsewhere = "save_next next previous quit templates annotate new_object pick"
    elsewhere += " add_class edit_class smooth number unpainted files"
    assert set(PRESSED) <= {*here.split(), *elsewhere.split()}
