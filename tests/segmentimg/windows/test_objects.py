"""Objects in the painting window: new ones, continued ones, and how they are shown."""

from __future__ import annotations

import shutil

import numpy as np

from icas.segmentimg.render.canvas import Canvas, CanvasStyle, Viewport
from icas.segmentimg.windows.events import Key
from icas.segmentimg.windows.painting_view import PaintingView, Tool

RED, BLUE = (204, 0, 0), (0, 0, 255)


def numbers(document):
    return document.instance_map()[4::8, 4::8].tolist()


def viewed(opened, **given):
    one = opened()
    for name, value in given.items():
        setattr(one, name, value)
    view = PaintingView(one, (388, 480), Tool(RED))
    return view, view.opened.document


def click(view, user, *places):
    for place in places:
        for event in user.click(user.at(*place)):
            view.mouse(event)


def test_a_new_object_gets_the_next_number_and_a_picked_one_continues(opened, user):
    view, document = viewed(opened)
    click(view, user, (4, 4))
    assert view.act("new_object") == "red: object 2"
    assert view.act("new_object") == "red: object 2"
    click(view, user, (4, 12))
    view.mouse(user.move(user.at(4, 4))[0])
    assert view.act("pick") == "red: object 1 continues"
    click(view, user, (4, 28))
    assert numbers(document)[0] == [1, 2, 0, 1]
    view.mouse(user.move(user.at(20, 4))[0])
    assert view.act("pick") == "no object under the pointer"


def test_picking_selects_the_class(opened, user):
    view, _ = viewed(opened)
    click(view, user, (4, 4))
    view.tool.color = BLUE
    view.mouse(user.move(user.at(4, 4))[0])
    view.act("pick")
    assert view.tool.color == RED


def test_a_new_object_while_filling_begins_a_new_step(opened, user):
    view, document = viewed(opened)
    for event in user.double(user.at(4, 4)):
        view.mouse(event)
    view.act("new_object")
    view.mouse(user.move(user.at(4, 12))[0])
    assert numbers(document)[0] == [1, 2, 0, 0]
    view.act("undo")
    assert numbers(document)[0] == [1, 0, 0, 0]


def test_segments_that_are_objects_get_a_number_each(opened, user):
    view, document = viewed(opened, segments_are_objects=True)
    for event in user.drag(user.at(4, 4), user.at(4, 20)):
        view.mouse(event)
    assert sorted(numbers(document)[0]) == [0, 1, 2, 3]
    before = numbers(document)
    click(view, user, (4, 4))  # it is of the class already
    assert numbers(document) == before
    view.mouse(user.move(user.at(4, 4))[0])
    view.act("pick")
    click(view, user, (12, 4))
    assert numbers(document)[1][0] == before[0][0]
    view.act("new_object")
    click(view, user, (12, 12))
    assert numbers(document)[1][1] == 4


def test_an_annotated_mask_is_a_new_object(opened):
    one = opened()
    one.document.fill(4, 4, RED)
    one.replace_segments(np.array(one.document.labels))
    assert one.document.current_object(RED) == 2
    assert one.document.object_at(4, 4) == (RED, 1)


def test_objects_of_a_class_have_a_line_between_them_and_other_shades(opened):
    document = opened().document
    document.fill(4, 4, RED)
    document.fill(4, 12, RED)
    look = Viewport.whole(document.labels.shape, (24, 32))
    style = CanvasStyle(opacity=1.0, borders=False)
    canvas = Canvas(document, look, style)
    same = canvas.picture.copy()
    assert (same[4, 2:14] == RED).all()
    canvas.refresh(document.fill(4, 12, RED, 2))
    assert (canvas.picture[4, 7] == (255, 255, 255)).all()
    assert (canvas.picture[4, 2] == RED).all()
    assert (canvas.picture[4, 12] != RED).any()
    whole = Canvas(document, look, style).picture
    assert (canvas.picture == whole).all()
    canvas.refresh(document.fill(4, 12, RED, 1))
    assert (canvas.picture == same).all()


def test_objects_are_there_again_with_and_without_the_autosave_file(make_table, user):
    seen = []

    def paint(table):
        yield user.click(user.at(4, 4))
        yield [Key("i"), *user.click(user.at(4, 12)), Key("s")]
        seen.append(numbers(table.doc))
        yield user.click(user.at(12, 12))  # not saved
        seen.append(numbers(table.doc))

    def again(table):
        yield None
        seen.append(numbers(table.doc))
        assert table.doc.current_object(RED) == 2

    table = make_table()
    table.play(paint)
    assert seen[0][0] == [1, 2, 0, 0]
    assert seen[1][1][1] == 2
    make_table().play(again)
    assert seen[2] == seen[1]
    shutil.rmtree(table.session.pictures[0].out / ".icas")
    make_table().play(again)
    assert seen[3] == seen[0]
