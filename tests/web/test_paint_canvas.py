"""The canvas of the painting page: tools, keys, and pixels equal to those of `PaintDocument`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import icas

from .painting_commands import apply

SHAPE = (100, 150)
MAPS = """() => {
  const { doc } = painting.store;
  const codes = [];
  for (let row = 0; row < doc.height; row++)
    for (let col = 0; col < doc.width; col++) codes.push(Math.max(0, doc.codeAt(row, col)));
  return { codes, labels: [...doc.labels] };
}"""
PLACE = """([row, col]) => {
  const [x, y] = painting.viewer.toCanvas(row + 0.5, col + 0.5);
  const box = painting.viewer.over.getBoundingClientRect();
  return [box.left + x, box.top + y];
}"""


class Painter:
    """A person at the page of one tab: places are rows and columns of the image."""

    def __init__(self, page, server):
        self.page, self.server = page, server
        self.posted = []
        page.on("request", self._record)

    def _record(self, request):
        path = request.url.rpartition("/api/")[2]
        if request.method == "POST" and path in ("commands", "undo", "redo"):
            body = json.loads(request.post_data)
            self.posted.append((body.get("op", path), body.get("args", {})))

    def until(self, expression, expected=True, seconds=60):
        """Wait until an expression of the page has a value."""
        for _ in range(seconds * 20):
            value = self.page.evaluate(expression)
            if value == expected:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{expression}: {value}, not {expected}")

    def settle(self):
        """Wait until the server has answered everything."""
        self.until("painting.store.waiting", 0)

    def move(self, row, col, **given):
        """Move the pointer."""
        self.page.mouse.move(*self.page.evaluate(PLACE, [row, col]), **given)

    def click(self, row, col, button="left"):
        """Click a pixel."""
        self.move(row, col)
        self.page.mouse.down(button=button)
        self.page.mouse.up(button=button)
        self.page.wait_for_timeout(360)  # the next click is no double click

    def drag(self, *places, button="left"):
        """Drag over pixels."""
        self.move(*places[0])
        self.page.mouse.down(button=button)
        for place in places[1:]:
            self.move(*place, steps=4)
        self.page.mouse.up(button=button)

    def press(self, *keys):
        """Press keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def codes(self):
        """Class and object number of each pixel that the page shows."""
        maps = self.page.evaluate(MAPS)
        return np.array(maps["codes"], np.int32).reshape(SHAPE)

    def document(self, number=0):
        """The document of the server."""
        return self.server.painting.opened(number).document

    def count(self):
        """Painted pixels that the page shows."""
        return int((self.codes() > 0).sum())


@pytest.fixture
def painter(open_painting, painting_server):
    return Painter(open_painting(), painting_server)


def same_pixels(painter):
    """What the page shows, the server has, and the same commands give on a `PaintDocument`."""
    painter.settle()
    maps = painter.page.evaluate(MAPS)
    codes = np.array(maps["codes"], np.int32).reshape(SHAPE)
    labels = np.array(maps["labels"], np.int32).reshape(SHAPE)
    document = painter.document()
    assert (labels == document.labels).all()
    assert (codes == document.codes_of(np.s_[:, :])).all()
    own = icas.PaintDocument(document.image, document.first, colors=document.colors)
    for op, args in painter.posted:
        apply(own, op, args)
    assert (codes == own.codes_of(np.s_[:, :])).all()
    assert (labels == own.labels).all()
    return codes


def test_tools_paint_as_the_document_does(painter):
    painter.click(20, 20)
    painter.press("2")
    painter.drag((60, 20), (60, 60))
    painter.drag((60, 20), (60, 30), button="right")
    painter.press("3", "b")
    painter.drag((30, 60), (50, 90), (30, 110))
    painter.press("E")
    painter.drag((40, 70), (45, 100))
    painter.press("P", "4")
    for row, col in ((5, 100), (5, 140), (30, 140)):
        painter.click(row, col)
    painter.press("Enter", "R", "i")
    painter.drag((70, 100), (90, 140))
    painter.drag((75, 105), (80, 110), button="right")
    painter.press("C")
    painter.click(10, 10)
    painter.click(95, 120)
    painter.press("Escape", "X", "F", "5")
    painter.click(92, 20)
    codes = same_pixels(painter)
    assert {"fill_segments", "unfill_segments", "brush", "polygon", "rectangle", "cut"} <= {
        op for op, _ in painter.posted
    }
    assert set(np.unique(codes & 0xFFFF)) >= {0, 1, 2, 3, 4, 5}
    painter.press("z", "z")
    painter.settle()
    painter.press("y", "r", "z")
    same_pixels(painter)
    assert [op for op, _ in painter.posted[-5:]] == ["undo", "undo", "redo", "reset", "undo"]


def test_paint_is_shown_before_the_server_answers(painter):
    held = []
    painter.page.route("**/api/commands", lambda route: held.append(route))
    painter.click(20, 20)
    painter.press("B", "2")
    painter.drag((50, 30), (60, 70), (40, 90))
    shown = painter.codes()
    assert (shown[18:22, 18:22] == 1).any()
    assert len(np.unique(shown)) == 3
    assert not painter.document().painted
    for _ in range(2):
        painter.until("painting.store.waiting > 0")
        while not held:
            painter.page.wait_for_timeout(20)
        held.pop(0).continue_()
    assert (same_pixels(painter) == shown).all()


def test_refused_paint_is_reverted(painter):
    painter.click(20, 20)
    painter.settle()
    before = painter.codes()
    refusal = {"status": 400, "json": {"error": "not today"}}
    painter.page.route("**/api/commands", lambda route: route.fulfill(**refusal))
    painter.press("2")
    painter.click(20, 20)
    painter.press("b")
    painter.drag((50, 30), (60, 70))
    painter.settle()
    assert (painter.codes() == before).all()
    assert "not today" in painter.page.locator("#toasts").inner_text()


def test_continuous_filling_by_a_double_click(painter):
    painter.move(20, 20)
    for _ in range(2):
        painter.page.mouse.down()
        painter.page.mouse.up()
    for place in ((20, 60), (60, 60), (60, 120)):
        painter.move(*place, steps=6)
    painter.press("Escape")
    painter.settle()
    few = painter.count()
    painter.move(90, 20, steps=6)
    painter.settle()
    assert painter.count() == few > 0
    assert (painter.codes()[[20, 60, 60], [60, 60, 120]] == 1).all()
    same_pixels(painter)
    painter.click(20, 60)
    painter.page.mouse.dblclick(*painter.page.evaluate(PLACE, [90, 20]))
    painter.move(90, 120, steps=6)
    painter.press("n")  # what was painted up to now is on the image before
    painter.page.wait_for_selector("body[data-image='1']")
    painter.settle()
    assert painter.count() == 0
    assert np.count_nonzero(painter.document().class_map()) > few
    assert not painter.document(1).painted


def test_selection_grows_with_a_preview(painter):
    painter.move(50, 75)
    painter.until("painting.viewer.highlighted.length", 1)
    painter.press("]", "]", "]")
    painter.until("painting.viewer.highlighted.length > 3")
    many = painter.page.evaluate("painting.viewer.highlighted")
    painter.click(50, 75)
    codes = same_pixels(painter)
    assert set(np.unique(painter.document().labels[codes > 0])) == set(many)
    painter.press("[", "[", "[")
    painter.until("painting.viewer.highlighted.length", 1)


def test_pipette_and_new_objects(painter):
    painter.click(20, 20)
    painter.press("i")
    painter.click(60, 75)
    painter.press("2")
    painter.move(20, 20)
    painter.press("k")
    painter.until("[painting.store.selected, painting.store.objectNumber()]", [1, 1])
    painter.press("K")
    painter.click(60, 75)
    painter.until("[painting.store.selected, painting.store.objectNumber()]", [1, 2])
    assert painter.page.evaluate("painting.viewer.tool.id") == "fill"
    assert len(np.unique(same_pixels(painter))) == 3


def test_grabcut_follows_a_box_and_a_stroke(painter):
    painter.press("G")
    painter.drag((5, 40), (95, 110))
    status = painter.page.locator(".option-text.status")
    painter.until("!document.querySelector('.primary').disabled || null", True)
    assert "pixels" in status.inner_text()
    painter.drag((50, 60), (60, 70))
    painter.drag((10, 45), (15, 50), button="right")
    painter.press("z", "Enter")
    painter.until("painting.store.doc.objects.length", 1)
    painter.settle()
    assert painter.document().masks()
    assert (painter.codes() == painter.document().codes_of(np.s_[:, :])).all()


def test_view_is_moved_by_wheel_keys_and_drags(painter):
    fit = painter.page.evaluate("painting.viewer.scale")
    painter.move(30, 40)
    before = painter.page.evaluate(PLACE, [30, 40])
    painter.page.mouse.wheel(0, -400)
    painter.until(f"painting.viewer.scale > {2 * fit}")
    assert painter.page.evaluate(PLACE, [30, 40]) == pytest.approx(before, abs=2)
    place = "painting.viewer.toCanvas(30, 40).map(Math.round)"
    x, y = painter.page.evaluate(place)
    painter.page.keyboard.down(" ")
    painter.page.mouse.down()
    painter.page.mouse.move(before[0] + 60, before[1] + 30, steps=3)
    painter.page.mouse.up()
    painter.page.keyboard.up(" ")
    painter.until(place, [x + 60, y + 30])
    painter.press("ArrowLeft")
    painter.until(place, [x + 140, y + 30])
    painter.press("0")
    painter.until("painting.viewer.scale", fit)
    painter.press("e", "o", "d")
    view = painter.page.evaluate(
        "[painting.store.view.borders, painting.store.view.opacity, painting.viewer.mosaic]"
    )
    assert view == [False, 0.75, True]
    assert painter.posted == []


def test_reload_and_a_second_tab(painter, open_painting, painting_server):
    painter.click(20, 20)
    painter.settle()
    painter.press("+", "+", "3", "P")
    scale = painter.page.evaluate("painting.viewer.scale")
    painter.page.reload()
    painter.page.wait_for_selector("body[data-image='0']")
    kept = "[painting.viewer.scale, painting.store.selected, painting.viewer.tool.id]"
    painter.until(kept, [scale, 3, "polygon"])
    assert painter.count() > 0
    other = Painter(open_painting(painter.page.context), painting_server)
    other.until("painting.store.readOnly")
    other.press("F")
    before = other.count()
    other.click(60, 75)
    assert other.count() == before
    assert other.posted == []
    painter.press("F", "0")
    painter.click(60, 75)
    other.until("painting.store.doc.objects.length", 2)
    assert (other.codes() == same_pixels_of(painter)).all()


def same_pixels_of(painter):
    """Codes of the server."""
    painter.settle()
    return painter.document().codes_of(np.s_[:, :])


def test_fingers(open_painting, painting_server):
    painter = Painter(open_painting(has_touch=True), painting_server)
    painter.page.touchscreen.tap(*painter.page.evaluate(PLACE, [20, 20]))
    painter.until("painting.store.doc.objects.length", 1)
    fit = painter.page.evaluate("painting.viewer.scale")
    painter.page.evaluate(
        """() => {
          const { over } = painting.viewer;
          const box = over.getBoundingClientRect();
          const send = (type, id, x) => over.dispatchEvent(new PointerEvent(type, {
            pointerId: id, pointerType: "touch", bubbles: true,
            clientX: box.left + x, clientY: box.top + 200,
          }));
          send("pointerdown", 11, 300); send("pointerdown", 12, 400);
          send("pointermove", 11, 200); send("pointermove", 12, 500);
          send("pointerup", 11, 200); send("pointerup", 12, 500);
        }"""
    )
    painter.until(f"Math.round(10 * painting.viewer.scale / {fit})", 30)
    painter.settle()
    assert len(painter.posted) == 1
