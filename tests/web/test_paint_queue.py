"""The queue of carried masks in the painting page: decisions by one key, undo, carrying again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

CAT = (204, 0, 0)
NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """Five near copies of a photograph: a is painted, masks of the others wait for a decision."""
    from skimage import data as samples

    from icas.cli.console import Console
    from icas.segmentimg.document.palette import PaintClass, Painting
    from icas.segmentimg.formats.inputs import find_image_files
    from icas.segmentimg.formats.masks import save_painting
    from icas.segmentimg.propagation_run.run import PropagationRun
    from icas.segmentimg.propagation_run.settings import PropagateSettings

    folder = tmp_path_factory.mktemp("carried") / "photos"
    folder.mkdir()
    photo = Image.fromarray(samples.cat()).resize((150, 100))
    for number, name in enumerate(NAMES):
        turned = photo.rotate(3 * number, Image.Resampling.BICUBIC)
        ImageEnhance.Brightness(turned).enhance(1 - 0.12 * number).save(folder / f"{name}.png")
    painted = np.zeros((100, 150), np.int16)
    painted[25:75, 45:110] = 1
    [picture] = find_image_files([folder / "a.png"])
    save_painting(picture, Painting(painted, (PaintClass("cat", CAT),)), {"image": "a.png"})
    settings = PropagateSettings(clusters="one", accept=1.0, jobs=1)
    PropagationRun([folder], settings, Console()).carry()
    return folder.parent


@pytest.fixture
def painting_server(carried, tmp_path):
    """The running server of a copy of the carried masks."""
    import shutil

    from icas.web.painting import serving

    shutil.copytree(carried, tmp_path / "work")
    with serving([tmp_path / "work" / "photos"]) as running:
        running.start()
        yield running
        running.stop()


def until(page, expression, expected=True):
    """Wait until an expression of the page has a value."""
    for _ in range(1200):
        value = page.evaluate(expression)
        if value == expected:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression}: {value}, not {expected}")


def rows(page):
    """The queue of the server."""
    return page.evaluate("painting.store.get('queue')")["rows"]


def states(page):
    return {row["file"][0]: row["state"] for row in rows(page)}


@pytest.fixture
def queue(open_painting):
    """The page with the queue open, once its first image is drawn."""
    page = open_painting()
    until(page, "painting.store.state.queue", 4)
    page.keyboard.press("q")
    page.wait_for_selector("[data-panel=queue] .queue-sure")
    first(page)
    return page


def first(page):
    """Wait until the least sure image that waits is open."""
    until(page, "painting.store.waiting", 0)
    waiting = [row for row in rows(page) if row["state"] == "carried"]
    page.wait_for_selector(f"body[data-image='{waiting[0]['image']}']", timeout=60_000)
    return waiting[0]


def test_least_sure_first_with_source_and_confidence(queue):
    order = [row["image"] for row in rows(queue)]
    shown = queue.eval_on_selector_all(
        ".shot:not([hidden])",
        "all => all.sort((a, b) => a.dataset.index - b.dataset.index).map(e => +e.dataset.image)",
    )
    assert shown == order
    confidence = first(queue)["confidence"]
    percent = f"{min(99, round(100 * confidence))} %"
    assert queue.locator(".queue-sure").inner_text() == f"{percent} sure"
    assert queue.locator(".queue-source b").inner_text() == "a.png"
    assert queue.locator(".shot.current b").inner_text() == percent
    assert queue.evaluate("painting.store.view.borders") is False
    queue.keyboard.press("q")
    assert queue.locator("[data-panel=queue]").is_hidden()
    assert queue.evaluate("painting.store.view.borders") is True
    assert queue.locator(".shot:not([hidden])").count() == 5


def test_accept_absent_skip_and_undo(queue):
    one = first(queue)["file"][0]
    queue.keyboard.press("Space")
    two = first(queue)["file"][0]
    assert states(queue)[one] == "accepted"
    queue.keyboard.press("x")
    until(queue, "painting.store.waiting", 0)
    assert states(queue)[two] == "rejected"
    first(queue)
    queue.keyboard.press("z")
    until(queue, "painting.store.waiting", 0)
    assert first(queue)["file"][0] == two
    assert states(queue) == {**states(queue), one: "accepted", two: "carried"}
    here = queue.evaluate("painting.store.current")
    queue.keyboard.press("n")
    until(queue, f"painting.store.current !== {here}")
    assert states(queue)[two] == "carried"


def test_a_fixed_mask_is_carried_again(queue):
    assert queue.locator(".queue-again").is_hidden()
    one = first(queue)
    queue.evaluate("painting.store.command('rectangle', {box: [10, 10, 40, 40], class: 1})")
    until(queue, "painting.store.waiting", 0)
    queue.wait_for_selector("text=changed: Accept stores it as fixed")
    queue.keyboard.press("Space")
    until(queue, "painting.store.waiting", 0)
    assert states(queue)[one["file"][0]] == "fixed"
    queue.click(".queue-again")
    queue.wait_for_selector(".toast >> text=/carried|accepted/", timeout=120_000)
    until(queue, "document.querySelector('.queue-progress').hidden")
    assert queue.locator(".queue-again").is_hidden()
    waiting = [row for row in rows(queue) if row["state"] == "carried"]
    assert len(waiting) == 3
    assert queue.evaluate("painting.store.current") in [row["image"] for row in waiting]
