"""The panels of the painting page: files, classes, objects, saving, help, way to a review."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from skimage import data as samples

NAMES = ("astronaut", "cat", "coffee", "rocket")


@pytest.fixture
def painting_server(tmp_path):
    """The running server of four small photographs to paint."""
    from icas.segmentimg.document.palette import PaintClass
    from icas.segmentimg.settings import SegmentSettings
    from icas.web.painting import serving

    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in NAMES:
        image = Image.fromarray(getattr(samples, name)())
        image.resize((90, 60)).save(folder / f"{name}.png")
    classes = (PaintClass("suit", (232, 89, 12)), PaintClass("sky", (34, 184, 207)))
    (tmp_path / "classes.txt").write_text("".join(f"{one.name},{hex_of(one)}\n" for one in classes))
    settings = SegmentSettings(options={"region_size": 12}, palette=tmp_path / "classes.txt")
    with serving([folder], settings) as running:
        running.start()
        running.out = tmp_path / "pictures_segmented"
        yield running
        running.stop()


def hex_of(one):
    return "#{:02x}{:02x}{:02x}".format(*one.color)


@pytest.fixture
def page(open_painting):
    return open_painting()


def until(page, expression, expected=True, argument=None):
    """Wait until an expression of the page has a value."""
    for _ in range(1200):
        value = page.evaluate(expression, argument)
        if value == expected:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression}: {value}, not {expected}")


def settle(page):
    """Wait until the server has answered everything."""
    until(page, "painting.store.waiting", 0)


def opened(page, number):
    """Wait until an image is open."""
    page.wait_for_selector(f"body[data-image='{number}']", timeout=60_000)


def paint(page, row, col, class_=1, number=1):
    """Fill a segment as the canvas does."""
    args = {"row": row, "col": col, "class": class_, "number": number}
    page.evaluate("args => painting.store.command('fill', args)", args)
    settle(page)


def names(page):
    """Names of the images in the strip, in order."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.shot:not([hidden])')]
            .sort((a, b) => a.dataset.index - b.dataset.index)
            .map(cell => cell.querySelector('.shot-text span').textContent)"""
    )


def classes(page):
    """Names of the classes in the panel."""
    return page.eval_on_selector_all(".class-item .class-label", "all => all.map(e => e.innerText)")


def test_strip_marks_filters_and_finds_images(page):
    until(page, "document.querySelectorAll('.shot:not([hidden])').length", 4)
    assert names(page) == [f"{name}.png" for name in NAMES]
    assert page.locator(".save-state").inner_text() == "no unsaved changes"
    paint(page, 30, 30)
    page.wait_for_selector(".shot[data-index='0'][data-mark=unsaved]")
    assert page.locator(".save-state").inner_text() == "unsaved changes"
    page.keyboard.press("s")
    page.wait_for_selector(".shot[data-index='0'][data-mark=saved]")
    page.keyboard.press("w")
    page.wait_for_selector(".shot[data-index='0'][data-mark=unsure]")

    page.keyboard.press("u")
    opened(page, 1)
    page.keyboard.press("U")
    opened(page, 0)
    page.keyboard.press("g")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    opened(page, 3)
    page.keyboard.press("p")
    opened(page, 2)
    page.locator(".shot", has_text="cat.png").click()
    opened(page, 1)

    page.keyboard.press("/")
    page.keyboard.type("OFF")
    until(page, "document.querySelectorAll('.shot:not([hidden])').length", 2)
    assert set(names(page)) == {"cat.png", "coffee.png"}  # the open image stays
    page.keyboard.press("Enter")
    opened(page, 2)
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.click(".strip-filters [data-filter=unsure]")
    assert names(page) == ["astronaut.png", "coffee.png"]
    page.click(".strip-filters [data-filter=all]")
    page.keyboard.press("f")
    assert page.locator(".strip-images").is_hidden()
    page.keyboard.press("f")
    assert page.locator(".strip-images").is_visible()


def test_space_saves_and_goes_on(page, painting_server):
    paint(page, 30, 30)
    page.keyboard.press("Space")
    opened(page, 1)
    until(page, "painting.store.marks[0]", "saved")
    assert (painting_server.out / "astronaut_labels.png").exists()


def test_formats_and_all_unsaved_images_are_saved(page, painting_server):
    paint(page, 30, 30)
    page.keyboard.press("n")
    opened(page, 1)
    paint(page, 20, 20, class_=2)
    assert page.locator(".save-state").inner_text() == "unsaved changes in 2 images"
    page.click(".save-more")
    page.check(".menu input[value=coco]")
    page.uncheck(".menu input[value=masks]")
    page.click(".menu >> text=Save 2 unsaved images")
    until(page, "document.querySelector('.save-state').innerText", "no unsaved changes")
    settle(page)
    written = {path.name for path in painting_server.out.iterdir()}
    assert {"coco.json", "cat_labels.png", "astronaut_labels.png"} <= written
    assert not any("_mask_" in name for name in written)
    coco = json.loads((painting_server.out / "coco.json").read_text())
    assert len(coco["images"]) == 2


def test_classes_are_added_changed_hidden_and_locked(page):
    assert classes(page) == ["suit", "sky"]
    assert page.locator(".class-item kbd").all_inner_texts() == ["1", "2"]
    page.keyboard.press("l")
    page.keyboard.type("moon")
    page.keyboard.press("Enter")
    until(page, "painting.store.classOf(painting.store.selected).name", "moon")
    assert classes(page) == ["suit", "sky", "moon"]
    page.keyboard.press("m")
    page.keyboard.type("planet")
    page.click(".class-editor .swatch[data-color='#911eb4']")
    page.click(".class-editor >> text=Change")
    until(page, "painting.store.classes[2].name", "planet")
    assert page.evaluate("painting.store.classes[2].color") == "#911eb4"
    page.keyboard.press("m")
    page.keyboard.press("Escape")
    assert page.locator(".class-editor").count() == 0

    page.locator(".class-item", has_text="planet").click()
    page.keyboard.press("Alt+ArrowUp")
    until(page, "painting.store.classes.map(one => one.name).join()", "suit,planet,sky")
    until(page, "painting.store.classOf(painting.store.selected).name", "planet")

    page.locator(".class-item", has_text="suit").click()
    assert page.evaluate("painting.store.selected") == 1
    paint(page, 30, 30)
    assert page.locator(".class-item.chosen .class-objects").inner_text() == "1"
    page.locator(".class-item.chosen [aria-label='Hide suit']").click()
    page.wait_for_selector(".class-item.is-hidden")
    page.locator(".class-item.chosen [aria-label='Lock the paint of suit']").click()
    page.wait_for_selector(".class-item.is-locked")
    refused = page.evaluate(
        "painting.store.command('fill', {row: 5, col: 5, class: 1}).catch(error => error.message)"
    )
    assert "suit is locked" in refused


def test_objects_are_chosen_hidden_deleted_and_get_another_class(page):
    page.wait_for_selector("text=Nothing is painted in this image.")
    paint(page, 30, 30)
    paint(page, 5, 5, number=2)
    until(page, "document.querySelectorAll('.object-item:not([hidden])').length", 2)
    row = page.locator(".object-item", has_text="suit 2")
    area = next(
        one["area"] for one in page.evaluate("painting.store.doc.objects") if one["number"] == 2
    )
    assert row.locator(".object-area").inner_text() == f"{100 * area / 5400:.1f} %"
    row.click()
    assert page.evaluate("painting.store.objectNumber(1)") == 2
    row.hover()
    row.locator(".item-tool").click()
    assert page.evaluate("painting.store.hiddenObjects.size") == 1
    page.select_option(".object-class", label="sky")
    until(page, "painting.store.doc.objects.map(one => one.class)", [1, 2])
    page.locator(".object-item", has_text="sky").click()
    page.click(".object-delete")
    until(page, "painting.store.doc.objects.map(one => one.class)", [1])
    page.keyboard.press("z")
    until(page, "painting.store.doc.objects.map(one => one.class)", [1, 2])


def test_templates_are_found_and_painted(open_painting, painting_server, tmp_path):
    from icas.segmentimg.settings import SegmentSettings
    from icas.web.painting import serving

    page = open_painting()
    page.keyboard.press("t")
    page.wait_for_selector(".toast >> text=No templates were given")
    for name in ("coins", "coin"):
        (tmp_path / name).mkdir()
    coins = Image.fromarray(samples.coins())
    coins.save(tmp_path / "coins" / "coins.png")
    coins.crop((140, 184, 168, 212)).save(tmp_path / "coin" / "coin.png")
    settings = SegmentSettings(templates=tmp_path / "coin", template_threshold=0.02)
    with serving([tmp_path / "coins"], settings) as server:
        server.start()
        page.goto(server.address.url)
        page.wait_for_selector(".button.templates")
        opened(page, 0)
        page.keyboard.press("t")
        page.wait_for_selector(".toast >> text=/template match/")
        until(page, "painting.store.doc.objects.length > 0")
        page.goto("about:blank")
        server.stop()


def test_help_has_every_tool_and_every_panel(page):
    page.keyboard.press("h")
    text = page.locator("dialog").inner_text()
    for title in page.evaluate("painting.tools.map(tool => tool.title)"):
        assert title in text
    for group in ("Images", "Classes", "Saving", "Carried masks"):
        assert group in text
    page.keyboard.press("Escape")
    assert page.locator("dialog").count() == 0


def test_fifty_thousand_images(open_painting, chromium, painting_server):
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    count = 50_000

    def state(route):
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "images": count})

    def files(route):
        start = int(route.request.url.partition("from=")[2].partition("&")[0])
        numbers = range(start, min(start + 5000, count))
        marks = ["saved" if number % 7 == 3 else "" for number in numbers]
        route.fulfill(json={"files": [f"img{number:05}.jpg" for number in numbers], "marks": marks})

    context.route("**/api/state*", state)
    context.route("**/api/files*", files)
    context.route("**/api/thumb/*", lambda route: route.fulfill(status=200, body=b""))
    page = open_painting(context)
    until(page, "painting.store.files.length", count)
    until(page, "document.querySelector('.strip-filters').innerText.includes('50,000')")
    assert page.locator(".shot").count() < 80
    page.evaluate("document.querySelector('.strip-images').scrollLeft = 3e6")
    page.wait_for_selector(".shot >> text=/img25.*/")
    assert page.locator(".shot").count() < 80
    page.keyboard.press("/")
    page.keyboard.type("49998")
    until(page, "document.querySelectorAll('.shot:not([hidden])').length", 2)
    page.click(".strip-filters [data-filter=saved]")
    page.fill(".strip-search", "")
    done = sum(number % 7 == 3 for number in range(count))
    until(page, "Number(document.querySelector('.shot:not([hidden])').ariaSetSize)", done + 1)
    context.close()


def test_from_a_review_and_back(chromium, server, client):
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(server.address.url)
    page.wait_for_selector(".row.current")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile.current")
    page.keyboard.press("l")
    place = page.evaluate("location.hash")
    image = int(page.get_attribute(".tile.current img", "src").rpartition("/")[2].partition("?")[0])
    page.keyboard.press("P")
    page.wait_for_selector(f"body[data-image='{image}']", timeout=60_000)
    file = client.get("images")["files"][image]
    assert page.locator(".run strong").inner_text() == file
    page.click(".review-back")
    page.wait_for_selector(".tile.current")
    assert page.evaluate("location.hash") == place
    page.evaluate("image => { location.hash = '#/compare/' + image }", image)
    page.click(".compare .button:has-text('Paint')")
    page.wait_for_selector(f"body[data-image='{image}']", timeout=60_000)
    context.close()
