"""The key t: templates are looked for in the background and painted as one entry for undo."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import icas
from icas.io.reading import read_image
from icas.segmentimg.templates.files import TemplateSet
from icas.segmentimg.templates.templates import make_template
from icas.segmentimg.windows.controller import PAINTING
from icas.segmentimg.windows.events import Key

PINK, TEAL = (255, 153, 204), (51, 153, 153)


class Slow(TemplateSet):
    """Templates that are found when a test says so."""

    gate = threading.Event()

    def find(self, image):
        assert self.gate.wait(5)
        return super().find(image)


@pytest.fixture
def crops(photos):
    image = read_image(photos / "coffee-1.png")
    whole = np.ones((30, 40), bool)
    return tuple(
        make_template(
            image[row : row + 30, col : col + 40],
            attention=whole,
            segment=np.full((30, 40, 3), color, np.uint8),
            mask=whole,
            color=color,
            name=f"{row}",
        )
        for row, col, color in ((20, 30, PINK), (100, 150, TEAL))
    )


def done(table):
    """Wait until what was looked for is found and painted."""
    until = time.monotonic() + 10
    while table.controller._search is not None:
        assert time.monotonic() < until
        yield None


def test_a_template_is_stamped_where_it_was_cut_out_as_one_entry(
    make_table, user, own_photos, crops
):
    def script(table):
        yield user.click((5, 5))
        before = table.doc.class_map()
        yield Key("t")
        yield from done(table)
        masks = table.doc.masks()
        for (row, col), color in (((20, 30), PINK), ((100, 150), TEAL)):
            expected = np.zeros((180, 240), bool)
            expected[row : row + 30, col : col + 40] = True
            assert (masks[color] == expected).all()
        yield Key("z")
        assert (table.doc.class_map() == before).all()
        yield Key("y")
        assert set(table.doc.masks()) == {PINK, TEAL, (204, 0, 0)}
        yield Key("z")
        yield Key("z")
        assert not table.doc.painted

    make_table([own_photos / "coffee-1.png"], templates=TemplateSet(crops)).play(script)


def test_without_templates_it_says_so(make_table, user):
    def script(table):
        before = table.shown[PAINTING]
        yield Key("t")
        yield None
        assert (table.shown[PAINTING][-25:] != before[-25:]).any()
        assert not table.doc.painted

    make_table().play(script)


def test_templates_that_do_not_fit_are_said(make_table, user, crops, capsys):
    def script(table):
        yield Key("t")
        yield from done(table)
        assert not table.doc.painted

    make_table(templates=TemplateSet(crops)).play(script)
    assert "40x30" in capsys.readouterr().err


def test_what_is_found_for_a_picture_that_was_left_is_not_painted_on_another(
    make_table, user, own_photos, crops
):
    Slow.gate.clear()

    def script(table):
        yield Key("t")
        yield Key("t")  # once is enough
        yield Key("n")
        yield from table.opened()
        yield Key("t")
        Slow.gate.set()
        yield from done(table)
        assert table.doc.masks()[PINK].sum() == table.doc.masks()[TEAL].sum() == 1200
        assert table.doc.masks()[PINK][20:50, 30:70].all()
        yield Key("z")
        assert not table.doc.painted
        yield Key("p")
        yield from table.opened()
        assert not table.doc.painted

    paths = [own_photos / "moon.png", own_photos / "coffee-1.png"]
    make_table(paths, templates=Slow(crops)).play(script)


def test_leaving_does_not_wait_for_a_search(make_table, crops):
    Slow.gate.clear()

    def script(table):
        yield Key("t")
        yield Key("q")

    table = make_table(templates=Slow(crops))
    table.play(script)
    assert table.controller.finished
    Slow.gate.set()


def test_a_stamp_in_the_middle_of_a_stroke_is_an_entry_of_its_own(opened, user):
    from icas.segmentimg.windows.painting_view import PaintingView, Tool

    view = PaintingView(opened(), (388, 480), Tool((204, 0, 0)))
    document = view.opened.document
    for event in user.double(user.at(4, 4)) + user.move(user.at(4, 12)):
        view.mouse(event)
    mask = np.zeros((24, 32), bool)
    mask[10:20, 10:20] = True
    view.stamp([(PINK, mask, (0, 0)), (TEAL, ~mask & (np.arange(32) > 20), (0, 0))])
    view.mouse(user.move(user.at(4, 20))[0])
    found = document.masks()
    assert (found[PINK] == mask).all()
    view.close()
    assert isinstance(document, icas.PaintDocument)
    for expected in (True, False):
        document.undo()
        assert (PINK in document.masks()) == expected
