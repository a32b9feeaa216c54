"""What mouse and colours do in the painting window, against the document without windows."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import icas
from icas.segmentimg.labels.growth import Growth
from icas.segmentimg.labels.merge_tree import segment_graph, tree_of
from icas.segmentimg.render.canvas import Viewport
from icas.segmentimg.windows.panels import BAR, WIDTH, class_under

pytestmark = pytest.mark.gui

RED, BLUE, GREEN = (204, 0, 0), (0, 0, 255), (0, 255, 0)
MIDDLE = (80, 120)


def cell(place, classes, first_row=0):
    """A pixel (row, column) in the middle of a class's cell in the colour window."""
    inside = [
        (y, x)
        for y in range(420)
        for x in range(WIDTH)
        if class_under(x, y, first_row, range(classes)) == place
    ]
    return inside[len(inside) // 2]


def test_clicks_fill_and_unfill(sit):
    one = sit()
    driver, document = one.driver, one.document
    first, second, third = one.places(3)
    driver.click(first)
    document.fill(*first, RED)
    driver.press("2")
    for place in (second, third):
        driver.click(place)
        document.fill(*place, BLUE)
    driver.click(second, "right")
    document.unfill(*second)
    one.save()
    driver.press("3")
    driver.click(first)
    document.fill(*first, GREEN)
    one.save()
    labels = np.asarray(Image.open(one.out / "coffee_labels.png"))
    masks = document.masks()
    assert (labels == 3 * masks[GREEN] + 2 * masks[BLUE]).all()


def test_a_click_hits_the_very_pixel(sit):
    one = sit(method="felzenszwalb")
    labels = one.document.labels
    rows, columns = np.nonzero(labels[:, :-1] != labels[:, 1:])
    row, col = int(rows[len(rows) // 2]), int(columns[len(rows) // 2])
    one.driver.click((row, col))
    one.document.fill(row, col, RED)
    one.driver.press("2")
    one.driver.click((row, col + 1))
    one.document.fill(row, col + 1, BLUE)
    one.save()


def test_dragging_fills_what_is_crossed_in_one_step(sit):
    one = sit()
    first, second, third, outside = one.places(4)
    one.driver.drag([first, second, third])
    one.driver.move(outside)
    paint_line(one.document, first, second, RED)
    paint_line(one.document, second, third, RED)
    one.save()
    one.driver.drag([third, first], "right")
    paint_line(one.document, third, first, None)
    one.save()
    one.driver.press("z")
    one.driver.press("z")
    one.document = icas.PaintDocument(one.document.image, one.document.labels)
    one.save()


def paint_line(document, start, end, color):
    """Paint every segment that a straight line crosses."""
    for share in np.linspace(0, 1, 1 + max(abs(end[0] - start[0]), abs(end[1] - start[1]))):
        row, col = (
            round(here + share * (there - here)) for here, there in zip(start, end, strict=True)
        )
        document.fill_segments([document.segment_at(row, col)], color)


def test_a_double_click_fills_until_the_next_one(sit):
    one = sit()
    places = one.places(6)
    one.driver.click(places[0], times=2)
    for place in places[1:4]:
        one.driver.move(place)
    one.driver.click(places[3], times=2)
    one.driver.move(places[4])
    for place in places[:4]:
        one.document.fill(*place, RED)
    one.save()
    one.driver.press("z")
    one.document.unfill(*places[1])
    one.document.unfill(*places[2])
    one.document.unfill(*places[3])
    one.save()
    one.driver.press("y")
    for place in places[1:4]:
        one.document.fill(*place, RED)
    one.save()


def test_a_double_right_click_unfills_until_escape(sit):
    one = sit()
    places = one.places(5)
    for place in places:
        one.driver.click(place)
        one.document.fill(*place, RED)
    one.driver.click(places[0], "right", times=2)
    for place in places[1:3]:
        one.driver.move(place)
    one.driver.press("Escape")
    one.driver.move(places[3])
    for place in places[:3]:
        one.document.unfill(*place)
    one.save()


def test_middle_clicks_cut(sit):
    one = sit()
    driver, document = one.driver, one.document
    start, bend, end = (80, 12), (84, 120), (60, 225)
    for place in (start, bend, end):
        driver.click(place, "middle")
    document.cut(start, bend)
    document.cut(bend, end)
    driver.press("Escape")
    for place in ((20, 30), (50, 30)):
        driver.click(place, "middle")
    document.cut((20, 30), (50, 30))
    driver.press("Escape")
    for color, above, below in ((RED, (75, 40), (87, 40)), (BLUE, (66, 160), (80, 160))):
        driver.click(above)
        document.fill(*above, color)
        driver.press("3")
        driver.click(below)
        document.fill(*below, GREEN)
        driver.press("2")
    driver.click((35, 31))
    document.fill(35, 31, BLUE)
    one.save()
    assert document.labels.max() > document.first.max()


def test_colours_are_chosen_in_their_window(sit, tmp_path):
    lines = [f"class {n},#{n:02x}80{255 - n:02x}" for n in range(40)]
    (tmp_path / "classes.txt").write_text("\n".join(lines))
    one = sit("coffee", "--palette", tmp_path / "classes.txt")
    first, second, third = one.places(3)
    one.driver.click(cell(17, 40), window="Colours")
    one.driver.click(first)
    one.document.fill(*first, (17, 128, 255 - 17))
    one.driver.click(cell(17, 40), "wheel down", window="Colours", times=8)
    one.driver.click(cell(39, 40, first_row=7), window="Colours")
    one.driver.click(second)
    one.document.fill(*second, (39, 128, 255 - 39))
    one.driver.click((cell(39, 40, 7)[0], 2), window="Colours", shows=False)
    one.driver.click(third)
    one.document.fill(*third, (39, 128, 255 - 39))
    one.save()


def zoomed(one, steps):
    """Turn the wheel over the middle of the picture; the part of it that has to be seen then."""
    viewport = Viewport.fitted((160, 240), (160, 240))
    for _ in range(abs(steps)):
        one.driver.click(MIDDLE, "wheel up" if steps > 0 else "wheel down")
        viewport = viewport.zoomed(1.25 if steps > 0 else 0.8, MIDDLE[1], MIDDLE[0])
    return viewport


def check_window(one, viewport, pointer=MIDDLE):
    """The window shows the picture's own pixels; no others but in the segment that is lit."""
    height, width = viewport.size
    rows, columns = viewport.rows(0, height), viewport.columns(0, width)
    image, labels = one.document.image[rows][:, columns], one.document.labels[rows][:, columns]
    one.driver.press("Escape", shows=False)  # takes a message away
    one.driver.press("e")
    shown = one.driver.shown()
    assert shown.shape == image.shape
    assert (shown == image).all(axis=2)[labels != labels[pointer]].all()
    one.driver.press("e")


def test_the_wheel_enlarges_the_picture(sit):
    one = sit()
    one.driver.press("v")  # sharp pixels
    one.driver.press("v")
    viewport = zoomed(one, 3)
    check_window(one, viewport)
    one.driver.click((140, 200))
    one.document.fill(*viewport.to_picture(200, 140), RED)
    one.save()
    zoomed(one, -3)
    one.driver.press("2")
    one.driver.click((140, 220))
    one.document.fill(140, 220, BLUE)
    one.save()


def test_far_zoomed_in_a_click_fills_what_is_under_it(sit):
    one = sit()
    viewport = zoomed(one, 10)
    check_window(one, viewport)
    one.driver.click((120, 200))
    one.document.fill(*viewport.to_picture(200, 120), RED)
    one.driver.drag([(60, 50), (75, 80), (90, 140)], hold="shift")
    viewport = viewport.panned(50 - 140, 60 - 90)
    one.driver.press("2")
    one.driver.click((20, 30))
    one.document.fill(*viewport.to_picture(30, 20), BLUE)
    one.save()
    one.driver.press("r")
    check_window(one, viewport, (20, 30))


def test_ctrl_and_wheel_take_in_more_of_what_is_alike(sit):
    one = sit()
    place = one.places(8)[7]
    one.driver.click(place, "wheel up", times=6, hold="ctrl")
    one.driver.click(place)
    one.driver.press("s")
    (mask,) = one.saved().values()
    labels = one.document.labels
    graph = segment_graph(one.document.image, labels)
    growth = Growth(tree_of(graph, labels), graph)
    segment = int(labels[place])
    level = float(growth.steps(segment)[6])
    assert (mask == np.isin(labels, growth.group(segment, level))).all()
    one.driver.click(place, "wheel down", times=9, hold="ctrl")
    one.driver.click(place, "right")
    one.driver.press("s")
    assert (one.saved()[RED] == (mask & (labels != labels[place]))).all()


def test_the_brush_paints_and_erases_pixels(sit):
    one = sit()
    driver, document = one.driver, one.document
    filled = one.places(1)[0]
    driver.click(filled)
    document.fill(*filled, RED)
    driver.press("b")
    driver.press("2")
    driver.press("period")
    way = [(30, 40), (60, 110), (100, 90)]
    driver.drag(way)
    rows, columns = np.ogrid[:160, :240]
    stroke = np.zeros((160, 240), bool)
    for share in np.linspace(0, 1, 400):
        for (row, col), (to_row, to_col) in pairwise(way):
            at = row + share * (to_row - row), col + share * (to_col - col)
            stroke |= (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= 12**2
    document.brush(*way[0], 12, BLUE)
    document.brush(*way[1], 12, BLUE, way[0])
    document.brush(*way[2], 12, BLUE, way[1])
    one.save()
    assert (stroke != one.saved()[BLUE]).sum() < 8
    for _ in range(3):
        driver.press("comma")
    driver.drag([(60, 100), (60, 140)], "right")
    document.brush(60, 100, 4, None)
    document.brush(60, 140, 4, None, (60, 100))
    one.save()
    driver.press("b")
    driver.click(filled)
    document.fill(*filled, BLUE)
    one.save()


def test_a_large_picture_is_shown_smaller_and_painted_at_its_own_size(start, tmp_path):
    from skimage import data as samples

    image = Image.fromarray(samples.astronaut()).resize((2000, 2100))
    image.save(tmp_path / "large.png")
    driver = start(tmp_path / "large.png", "--out", tmp_path / "out", "--work-size", "200000")
    driver.open((1026, 900 - BAR))
    driver.until("it is cut", lambda: driver.shown().mean() > 0.8 * np.asarray(image).mean())
    view = Viewport.fitted((2100, 2000), (900 - BAR, 1026))
    driver.click(view.to_window(1051, 1000)[::-1])
    driver.press("s")
    document = icas.PaintDocument(
        np.asarray(image), icas.segment(np.asarray(image), work_size=200000)
    )
    document.fill(1051, 1000, RED)
    (path,) = (tmp_path / "out").glob("*_mask_*")
    mask = np.asarray(Image.open(path)) == 255
    assert (mask == document.masks()[RED]).all()


def test_objects_are_told_apart_by_keys(sit):
    one = sit()
    driver, document = one.driver, one.document
    first, second, third = one.places(3)
    driver.click(first)
    document.fill(*first, RED)
    driver.press("i")
    driver.click(second)
    document.fill(*second, RED, 2)
    driver.move(first)
    driver.press("k")
    driver.click(third)
    document.fill(*third, RED, 1)
    one.save()
    found = np.asarray(Image.open(one.out / "coffee_instances.png"))
    assert (found == document.instance_map()).all()


def test_a_class_is_typed_and_changed(sit):
    one = sit()
    driver = one.driver
    first, second = one.places(2)
    driver.press("l")
    for key in ("c", "u", "p", "comma", "1", "0", "2", "0", "3", "0"):
        driver.press(key, window="Colours")
    driver.press("Return", window="Colours")
    driver.click(first)
    one.document.fill(*first, (16, 32, 48))
    one.save()
    driver.press("m")
    for key in ("BackSpace",) * 6 + ("4", "0", "5", "0", "6", "0"):
        driver.press(key, window="Colours")
    driver.press("Return", window="Colours")
    driver.click(second)
    one.document = icas.PaintDocument(one.document.image, one.document.labels)
    one.document.fill(*first, (64, 80, 96))
    one.document.fill(*second, (64, 80, 96))
    one.save()
    record = json.loads((one.out / "coffee.json").read_text())
    assert [entry["name"] for entry in record["classes"]] == ["cup"]
    assert (one.out / "classes.txt").read_text().splitlines()[-1] == "cup,#405060"
