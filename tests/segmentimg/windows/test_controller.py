"""Keys, both windows, saving and quitting, on a scripted screen."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

import icas
from icas.cli.console import Console
from icas.io.reading import write_image
from icas.segmentimg.formats.autosave import autosave_path
from icas.segmentimg.segmenters import make_segmenter
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.windows.controller import COLORS, DEBUG, FILES, PAINTING
from icas.segmentimg.windows.events import PAINTING_KEYS as KEYS, Closed, Key, Mouse, Resized
from icas.segmentimg.windows.file_list import HEAD, ROW
from icas.segmentimg.windows.painting_view import OPACITIES
from icas.segmentimg.windows.panels import BAR, CELL, MARGIN, WIDTH

RED, BLUE, GREEN = (204, 0, 0), (0, 0, 255), (0, 255, 0)
BARE = [[0] * 4] * 3
ONE = [[1, 0, 0, 0], [0] * 4, [0] * 4]


def squares(table):
    return table.doc.class_map()[4::8, 4::8].tolist()


def saved(table, name):
    """The masks on the disk, by colour."""
    out = table.session.pictures[0].out
    found = {}
    for path in sorted(out.glob(f"{name}_mask_*.png")):
        color = tuple(int(part[2:]) for part in path.stem.split("(")[1].rstrip(")").split(","))
        found[color] = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) > 0
    return found


def assert_saved(table, name, masks):
    found = saved(table, name)
    assert set(found) == set(masks)
    assert all((found[color] == masks[color]).all() for color in masks)


def choose(place):
    """A click on the nth class in the colour window."""
    x = MARGIN + place % 2 * ((WIDTH - 2 * MARGIN) // 2) + 5
    return [Mouse(COLORS, kind, x, MARGIN + place // 2 * CELL + 5, "left") for kind in _CLICK]


_CLICK = ("down", "up")


def test_clicks_paint_and_space_saves_what_is_there_and_goes_on(make_table, user):
    table = make_table()
    at = user.at

    def script(table):
        yield user.click(at(4, 4))
        yield choose(1)
        yield user.click(at(12, 12))
        yield user.click(at(20, 28)) + user.click(at(20, 28), "right")
        assert squares(table) == [[1, 0, 0, 0], [0, 2, 0, 0], [0] * 4]
        table.masks = table.doc.masks()
        yield Key("space")
        assert table.session.index == 1
        yield from table.opened()
        assert squares(table) == BARE
        yield user.click(at(4, 28))  # the colour stays chosen
        assert squares(table)[0] == [0, 0, 0, 2]
        yield Key("space")
        yield from table.opened()
        yield Key("space")  # the last one: it stays
        assert table.session.index == 2
        yield None
        assert not table.controller.finished
        yield Key("q")
        yield [Key("z")]  # nothing any more
        raise AssertionError("the controller goes on after q")

    summary = table.play(script)
    assert (summary.saved, summary.unsaved, summary.failed) == (3, (), {})
    assert_saved(table, "a", table.masks)
    assert set(saved(table, "b")) == {BLUE}
    assert saved(table, "c") == {}
    labels = cv2.imread(str(table.session.pictures[0].file("_labels.png")), -1)
    assert labels.dtype == np.uint16
    assert labels[4, 4] == 1
    assert labels[12, 12] == 2


def test_next_and_previous_save_nothing_and_lose_nothing(make_table, user):
    def script(table):
        yield user.click(user.at(4, 4))
        yield Key("N")  # capital letters count
        yield from table.opened()
        assert (table.session.index, squares(table)) == (1, BARE)
        yield Key("p")
        yield from table.opened()
        assert squares(table) == ONE
        yield Key("p")  # there is none
        assert table.session.index == 0
        assert squares(table) == ONE

    table = make_table()
    assert [path.name for path in table.play(script).unsaved] == ["a.png"]
    assert saved(table, "a") == {}


def test_painting_lives_through_the_cross_of_the_window(make_table, user):
    def script(table):
        yield user.drag(user.at(4, 4), user.at(4, 28))[:-1]  # the button is still down
        yield Closed(PAINTING)

    assert make_table().play(script).unsaved

    def again(table):
        assert squares(table)[0] == [1, 1, 1, 1]
        yield user.keys("s", "q")

    table = make_table()
    assert table.play(again).saved == 1
    assert saved(table, "a")[RED].sum() == 8 * 32


def test_undo_redo_reset(make_table, user):
    def script(table):
        yield user.click(user.at(4, 4))
        yield user.drag(user.at(12, 4), user.at(12, 28))
        yield user.click(user.at(23, 0), "middle") + user.click(user.at(20, 31), "middle")
        whole, labels = squares(table), table.doc.labels.copy()
        assert whole == [[1, 0, 0, 0], [1, 1, 1, 1], [0] * 4]
        yield Key("r")
        assert squares(table) == BARE
        assert table.doc.labels.max() == 12
        yield Key("z")
        assert squares(table) == whole
        assert (table.doc.labels == labels).all()
        yield user.keys("z", "z", "z")
        assert squares(table) == BARE
        assert table.doc.labels.min() == 1
        yield Key("z")
        yield user.keys("y", "y", "y", "y", "y")
        assert squares(table) == BARE  # the reset, too
        yield user.keys("z")
        assert squares(table) == whole

    make_table().play(script)


def test_quit_asks_once_where_something_is_not_saved(make_table, user):
    def script(table):
        yield Key("h")
        yield user.click(user.at(4, 4))  # closes the help, paints nothing
        assert squares(table) == BARE
        yield user.click(user.at(4, 4))
        yield Key("q")
        assert not table.controller.finished
        yield user.click(user.at(4, 12))  # the question is off the table
        yield Key("q")
        assert not table.controller.finished
        yield [Key("n"), Key("q")]
        assert not table.controller.finished
        yield from table.opened()
        yield Key("!")  # no key of ours: the question stays
        yield Key("q")
        raise AssertionError("twice is enough")

    table = make_table()
    assert len(table.play(script).unsaved) == 1

    def nothing(table):
        yield Key("n")
        yield Key("q")
        raise AssertionError("nothing is unsaved here")

    autosave_path(table.session.pictures[0]).unlink()
    make_table().play(nothing)


def test_brush_and_its_sizes(make_table, user):
    at = user.at

    def script(table):
        yield user.click(at(4, 4))
        yield user.keys("2", "b", *",,,,")
        yield user.drag(at(12, 4), at(12, 20))
        found = table.doc.class_map()
        assert (found[10:15, 4:21] == 2).all()
        assert found[9, 3] == 0
        yield user.keys(*",,,,,,,,,,,,,,,,")
        yield user.click(at(12, 10), "right")
        assert (table.doc.class_map() != found).sum() == 1  # one pixel, the smallest brush
        yield user.keys(".", ".")
        yield user.click(at(12, 10), "right")
        assert (table.doc.class_map()[12, 8:13] == 0).all()
        yield user.keys("b")
        yield user.click(at(12, 12))  # a fill takes the brush off
        assert squares(table)[1][1] == 2
        yield user.keys(*".................", "b")
        yield user.click(at(12, 12))
        assert (table.doc.class_map() == 2).all()

    make_table().play(script)


def test_grow_and_shrink(make_table, user, own_photos, squares):
    def script(table):
        yield user.move((120, 90))
        for key in ("]", "]", "]", "["):
            yield Key(key)
            yield user.click((120, 90))
            painted = table.doc.class_map() > 0
            assert (painted == np.isin(table.doc.labels, table.controller._view.highlighted)).all()
            yield Key("z")
            assert not table.doc.painted
        yield user.wheel((120, 90), 1, ctrl=True)
        yield user.click((120, 90))
        assert (table.doc.class_map() > 0).sum() > painted.sum()
        table.masks = table.doc.masks()
        yield Key("s")

    opener = dataclasses.replace(squares, segmenter=make_segmenter("superpixel"))
    table = make_table([own_photos / "coffee-1.png"], opener)
    table.play(script)
    assert_saved(table, "coffee-1", table.masks)


def test_zooming_and_moving_by_keys(make_table, user):
    def script(table):
        def view():
            return table.controller._view.viewport

        first = view()
        yield user.keys("+", "=")
        assert view().scale == pytest.approx(15 * 1.25**2)
        yield user.keys(*["+"] * 6)
        assert view().scale == 40  # no further
        height, width = table.shown[PAINTING].shape[:2]
        assert (height, width) == (388, 480)
        for key, name, sign in (
            ("right", "left", 1),
            ("left", "left", -1),
            ("down", "top", 1),
            ("up", "top", -1),
        ):
            before = getattr(view(), name)
            yield Key(key)
            assert (getattr(view(), name) - before) * sign > 0
        row, col = view().to_picture(444, 333)
        yield user.click((444, 333))
        assert table.doc.class_map()[row, col] == 1
        yield Key("-")
        assert view().scale == 32
        yield Key("0")
        assert view() == first
        yield Key("-")
        assert view() == first

    make_table().play(script)


def test_colours_by_key_and_in_their_window(make_table, user):
    def script(table):
        for key in "129":
            yield [Key(key), *user.click(user.at(4, 4))]
            assert squares(table)[0][0] == int(key)
        yield choose(23) + user.click(user.at(4, 4))
        assert squares(table)[0][0] == 24
        yield [Mouse(COLORS, "wheel", 9, 9, wheel=-3), Mouse(COLORS, "move", 9, 9)]
        yield choose(0) + user.click(user.at(4, 4))
        assert squares(table)[0][0] == 1  # all have room: nothing moves away
        yield Closed(COLORS)
        yield user.click(user.at(4, 12))
        assert squares(table)[0][1] == 1  # the painting goes on
        assert COLORS not in table.shown
        count = table.screen.frames
        yield Key("c")
        yield None
        assert table.screen.frames > count
        assert COLORS in table.shown

    make_table().play(script)


def test_the_colour_window_shows_the_status(make_table, user):
    def script(table):
        before = table.shown[COLORS]
        for events in (
            user.click(user.at(4, 4)),
            [Key("5")],
            [Key("b")],
            [Key(".")],
            [Key("b")],
            user.double(user.at(4, 12)),
            [Key("escape")],
            user.click(user.at(9, 9), "middle"),
            [Key("o")],
            [Key("s")],
            [Key("n")],
        ):
            yield events
            yield None
            after = table.shown[COLORS]
            assert after.shape != before.shape or (after != before).any(), events
            before = after

    make_table().play(script)


def test_help_debug_and_the_look(make_table, user):
    def script(table):
        plain = table.shown[PAINTING]
        yield Key("h")
        yield None
        helping = table.shown[PAINTING]
        assert helping.shape[0] >= plain.shape[0]
        assert helping[: plain.shape[0], : plain.shape[1]].mean() < plain.mean()
        yield Key("h")
        yield None
        assert (table.shown[PAINTING] == plain).all()
        yield user.keys("h", "escape")
        yield None
        assert (table.shown[PAINTING] == plain).all()
        yield Key("e")
        yield None
        assert (table.shown[PAINTING] != plain).any()
        yield Key("e")
        yield Key("d")
        yield None
        assert table.shown[DEBUG].max() > 0
        yield Key("d")
        yield None
        assert DEBUG not in table.shown
        yield Key("d")
        yield Closed(DEBUG)
        yield Key("d")
        yield None
        assert DEBUG in table.shown
        yield Key("space")
        yield from table.opened()
        yield None
        assert DEBUG not in table.shown  # it was of another picture

    make_table().play(script)


def test_opacity_goes_round_and_the_picture_stays_as_it_is(make_table, user):
    def script(table):
        yield user.keys("e")
        yield user.click(user.at(4, 4))
        x, y = user.at(20, 20)
        yield user.move((x, y))
        seen = []
        image = table.doc.image[4, 4]
        for _ in OPACITIES:
            yield None
            seen.append(table.shown[PAINTING][user.at(4, 4)[::-1]].astype(float))
            yield Key("o")
        for share, found in zip(OPACITIES, seen, strict=True):
            expected = (1 - share) * image + share * np.array(RED)
            assert np.abs(found - expected).max() <= 1

    make_table().play(script)


def test_a_button_let_go_under_the_help_is_let_go(make_table, user):
    def script(table):
        yield user.drag(user.at(4, 4), user.at(4, 12))[:-1]
        yield Key("h")
        yield user.mouse("up", user.at(4, 12), "left")
        yield Key("h")
        yield user.move(user.at(12, 12), user.at(20, 20))
        assert squares(table) == [[1, 1, 0, 0], [0] * 4, [0] * 4]
        yield Key("z")
        assert squares(table) == BARE

    make_table().play(script)


def test_a_picture_that_cannot_be_read_shows_why_and_the_rest_goes_on(make_table, user, folder):
    (folder / "b.png").write_text("no picture")

    def script(table):
        yield user.keys("n")
        yield from table.opened()
        yield None
        assert table.session.error == "not an image (text)"
        shown = table.shown[PAINTING]
        assert shown.max() > 200  # words
        yield user.click(user.at(4, 4)) + user.drag((5, 5), (90, 90), button="right")
        yield user.keys(*"szyrbtdoe0+-[]1,.", "escape", "left", "space")
        assert table.session.index == 1
        yield user.wheel((9, 9), 2)
        yield Key("n")
        yield from table.opened()
        assert squares(table) == BARE
        yield user.keys("p", "p")
        yield from table.opened()
        yield user.click(user.at(4, 4))
        assert squares(table) == ONE

    summary = make_table().play(script)
    assert list(summary.unreadable) == [folder / "b.png"]


def test_a_save_that_fails_is_said_and_the_painting_stays(
    make_table, user, monkeypatch, capsys, folder
):
    def refusing(opened, *saves):
        raise icas.IcasError("cannot write to /there: no space left on device")

    def script(table):
        yield user.click(user.at(4, 4))
        yield None
        before = table.shown[PAINTING]
        monkeypatch.setattr(OpenImage, "save", refusing)
        yield Key("space")
        yield None
        assert table.session.index == 0
        assert (table.shown[PAINTING][-30:] != before[-30:]).any()
        assert squares(table) == ONE

    table = make_table()
    summary = table.play(script)
    text = "not saved: cannot write to /there: no space left on device"
    assert capsys.readouterr().err.splitlines() == [text]
    assert summary.failed == {folder / "a.png": text.removeprefix("not saved: ")}
    assert summary.unsaved == (folder / "a.png",)
    monkeypatch.undo()

    def again(table):
        assert squares(table) == ONE
        monkeypatch.setattr(OpenImage, "save", refusing)
        yield Key("s")
        monkeypatch.undo()
        yield Key("s")

    summary = make_table().play(again)
    assert (summary.failed, summary.unsaved, summary.saved) == ({}, (), 1)


def test_messages_go_after_a_while(make_table, user):
    now = [50.0]

    def script(table):
        plain = table.shown[PAINTING]
        yield Key("p")
        yield None
        assert (table.shown[PAINTING] != plain).any()
        now[0] += 7
        yield None
        assert (table.shown[PAINTING] == plain).all()
        yield Key("p")
        yield None
        yield Key("escape")
        yield None
        assert (table.shown[PAINTING] == plain).all()

    make_table(clock=lambda: now[0]).play(script)


def test_details_name_the_files_that_were_saved(make_table, user, capsys):
    def script(table):
        yield user.click(user.at(4, 4))
        yield Key("s")

    make_table(console=Console(results=True, details=True)).play(script)
    names = "a_mask_(R:204,G:0,B:0).png, a_labels.png, a.json"
    assert capsys.readouterr().out == f"saved {names}\n"


def test_every_key_of_the_table_may_come_at_any_time(make_table, user, folder):
    write_image(folder / "a.png", np.full((3, 5, 3), 77, np.uint8))
    names = [key for row in KEYS for key in row.keys if row.action != "quit"]

    def script(table):
        for name in names + names[::-1]:
            yield [Key(name), *user.move((7, 7)), *user.click((7, 7), "middle")]
        yield user.double((3, 3))
        for name in names:
            yield Key(name)
        yield user.drag((3, 3), (200, 200))[:-1]
        for name in names:
            yield Key(name)

    make_table().play(script)


def test_going_to_an_image_by_number_and_to_the_next_unpainted(make_table, user):
    def script(table):
        yield user.keys("g", "7", "backspace", "3", "enter")
        yield from table.opened()
        assert table.session.index == 2
        yield user.keys("g", "9", "enter", "g", "1", "escape")
        assert table.session.index == 2
        yield user.click(user.at(4, 4))
        yield Key("u")
        yield from table.opened()
        assert table.session.index == 0
        yield [*user.click(user.at(4, 4)), Key("s"), Key("u")]
        yield from table.opened()
        assert table.session.index == 1
        yield user.click(user.at(4, 4))
        yield Key("u")
        assert table.session.index == 1

    make_table().play(script)


def test_the_file_list_shows_what_is_painted_and_opens_images(make_table, user):
    def script(table):
        yield Key("f")
        yield None
        plain = table.shown[FILES]
        yield user.click(user.at(4, 4))
        yield None
        unsaved = table.shown[FILES]
        assert (unsaved != plain).any()
        yield Key("s")
        yield None
        assert (table.shown[FILES] != unsaved).any()
        place = 40, HEAD + 2 * ROW + 3
        yield [Mouse(FILES, kind, *place, "left") for kind in ("down", "up")]
        yield from table.opened()
        assert table.session.index == 2
        assert table.screen.titles[PAINTING] == "Painting: c.png, 3 of 3, red"
        yield Key("f")
        yield None
        assert FILES not in table.shown

    make_table().play(script)


def test_a_window_of_another_size(make_table, user):
    def script(table):
        yield Resized(PAINTING, 480 + BAR, 640)
        yield None
        assert table.shown[PAINTING].shape == (480 + BAR, 640, 3)
        yield [Mouse(PAINTING, kind, 90, 90, "left") for kind in ("down", "up")]
        assert table.doc.class_map()[4, 4] == 1
        yield [Key("+"), Resized(PAINTING, 300, 300)]
        yield None
        assert table.shown[PAINTING].shape == (300, 300, 3)

    make_table().play(script)
