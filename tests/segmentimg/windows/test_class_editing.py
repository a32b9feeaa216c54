"""Classes that are added, renamed, recoloured and reordered while painting."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from icas.segmentimg.document.palette import PaintClass, Palette
from icas.segmentimg.windows import panels
from icas.segmentimg.windows.controller import COLORS
from icas.segmentimg.windows.events import Key, Mouse

RED, BLUE, GREEN = (204, 0, 0), (0, 0, 255), (0, 255, 0)
CLASSES = 24


def typed(text):
    names = {" ": "space", "\b": "backspace", "\n": "enter", "\t": "tab", "\x1b": "escape"}
    return [Key(names.get(letter, letter)) for letter in text]


def cell(place):
    """Position of a class's cell in the colour window."""
    inside = [
        (x, y)
        for y in range(420)
        for x in range(panels.WIDTH)
        if panels.class_under(x, y, 0, range(CLASSES + 1)) == place
    ]
    return inside[len(inside) // 2]


def at(place, kind="down", button="left"):
    return Mouse(COLORS, kind, *cell(place), button)


def cell_of_add(table):
    count = len(classes_of(table))
    return next(
        (x, y)
        for y in range(420)
        for x in range(panels.WIDTH)
        if panels.class_under(x, y, 0, range(count + 1)) == count
    )


def classes_of(table):
    return table.session.current.classes


def saved_classes(table, name="a"):
    path = table.session.pictures[0].out / f"{name}.json"
    return {one["name"]: tuple(one["color"]) for one in json.loads(path.read_text())["classes"]}


def test_a_class_is_added_by_typing_its_name(make_table, user):
    def script(table):
        yield [Key("l"), *typed("big  dog\b\b\to\n")]
        assert classes_of(table)[-1].name == "big  Do"
        yield user.click(user.at(4, 4))
        assert table.doc.object_at(4, 4)[0] == classes_of(table)[-1].color
        yield [Key("l"), Key("escape"), Key("m"), Key("escape")]
        assert len(classes_of(table)) == CLASSES + 1
        yield [Mouse(COLORS, "down", *cell_of_add(table), "left"), *typed("cat,102030\n")]
        assert classes_of(table)[-1] == PaintClass("cat", (16, 32, 48))
        assert "cat,#102030" in listing(table)

    make_table().play(script)


def listing(table):
    return (table.session.pictures[0].out / "classes.txt").read_text().splitlines()


def test_a_new_name_and_color_replace_the_masks_of_the_image(make_table, user):
    def script(table):
        yield user.click(user.at(4, 4))
        yield Key("s")
        out = table.session.pictures[0].out
        assert (out / "a_mask_(R=204,G=0,B=0).png").exists()
        yield [Key("m"), *typed("\b" * 11 + "cup,102030\n")]
        assert table.session.current.unsaved
        assert table.doc.object_at(4, 4) == ((16, 32, 48), 1)
        yield Key("s")
        assert saved_classes(table) == {"cup": (16, 32, 48)}
        masks = sorted(path.name for path in out.glob("a_mask*"))
        assert masks == ["a_mask_(R=16,G=32,B=48).png"]

    make_table(portable_names=True).play(script)


def test_another_image_keeps_its_masks_and_is_matched_by_name(make_table, user, squares):
    def script(table):
        yield user.click(user.at(4, 4))
        yield Key("space")
        yield from table.opened()
        yield [Key("m"), *typed("\b" * 7 + "102030\n")]
        yield user.click(user.at(4, 4))
        yield Key("p")
        yield from table.opened()
        assert table.doc.object_at(4, 4) == ((16, 32, 48), 1)
        assert saved_classes(table) == {"red": RED}

    make_table().play(script)

    def reopen(table):
        yield None
        assert table.doc.object_at(4, 4) == ((16, 32, 48), 1)
        yield Key("s")
        assert saved_classes(table) == {"red": (16, 32, 48)}

    palette = Palette([PaintClass("red", (16, 32, 48))])
    make_table(opener=replace(squares, palette=palette)).play(reopen)


def test_dragging_a_class_changes_its_number_and_no_paint(make_table, user):
    def script(table):
        yield user.click(user.at(4, 4))
        yield [at(0), at(2, "up")]
        assert [one.name for one in classes_of(table)[:3]] == ["blue", "green", "red"]
        assert table.doc.object_at(4, 4) == (RED, 1)
        assert table.doc.class_map()[4, 4] == 3
        yield Key("z")
        assert table.doc.object_at(4, 4) is None
        assert listing(table)[1].startswith("blue,")

    make_table().play(script)


def test_a_taken_name_is_refused_and_escape_leaves_all_as_it_was(make_table):
    def script(table):
        before = classes_of(table)
        yield [Key("l"), *typed("red\n")]
        assert classes_of(table) == before
        yield [*typed("\x1b"), Key("2")]
        assert classes_of(table) == before

    make_table().play(script)


def test_adding_a_class_is_no_unsaved_change(make_table):
    def script(table):
        yield [Key("l"), *typed("cat\n")]
        assert not table.session.unsaved

    make_table().play(script)


def test_classes_that_become_alike_stay_apart(opened):
    one = opened()
    one.document.fill(4, 4, RED)
    one.document.fill(4, 12, GREEN)
    red, green = one.classes[0], one.classes[2]
    palette = Palette([PaintClass("cat", GREEN), one.classes[1]])
    one.change_classes(palette, {red: palette[0]})
    names = {entry.color: entry.name for entry in one.classes}
    found = [names[one.document.object_at(4, col)[0]] for col in (4, 12)]
    assert found == ["cat", green.name]
    assert np.unique(one.document.class_map()).tolist() == [
        0,
        1,
        1 + one.classes.index(next(entry for entry in one.classes if entry.name == green.name)),
    ]
