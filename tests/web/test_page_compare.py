"""The screen *Compare* in Chromium: zoom, pan, difference, facts, and each key."""

from __future__ import annotations

import pytest
from tests.web.conftest import Held, press_at_once

FITS = """() => [...document.querySelectorAll('.pane')].every(pane => {
    const port = pane.querySelector('.port').getBoundingClientRect();
    const image = pane.querySelector('.stage img').getBoundingClientRect();
    const rest = [port.width - image.width, port.height - image.height];
    return Math.abs(Math.min(...rest)) < 1;
})"""
"""Each image fills its pane in one direction and is whole in it."""


@pytest.fixture
def panes(page):
    """The page with the images 0, 6 and 12 compared; they are in one cluster."""
    page.wait_for_selector(".row.current")
    page.evaluate("location.hash = '#/compare/0,6,12'")
    page.wait_for_selector(".board[data-count='3'] .pane.active")
    loaded = (
        "() => [...document.querySelectorAll('.stage img:first-child')].every(i => i.naturalWidth)"
    )
    page.wait_for_function(loaded)
    page.wait_for_selector(".pane-facts .good")
    page.wait_for_function(FITS)
    return page


def settle(page):
    """Wait until every command is answered and drawn."""
    page.wait_for_selector("body:not([data-waiting])")


def transforms(page):
    """The transformation of each image."""
    return page.evaluate("[...document.querySelectorAll('.stage')].map(s => s.style.transform)")


def active(page):
    """The number of the active pane."""
    return page.evaluate(
        "[...document.querySelectorAll('.pane')].findIndex(p => p.classList.contains('active'))"
    )


def test_facts_are_those_of_the_files(panes, client):
    for pane, image in zip(panes.locator(".pane").all(), (0, 6, 12), strict=True):
        info = client.get(f"info/{image}")
        text = pane.text_content()
        assert info["path"] in text
        assert f"{info['width']} × {info['height']}" in text
        assert info["width"] == info["height"] == 96
    sharpness = [client.get(f"info/{image}")["sharpness"] for image in (0, 6, 12)]
    best = sharpness.index(max(sharpness))
    assert panes.locator(".pane").nth(best).locator(".good:has-text('Sharpness')").count() == 1


def test_zoom_and_pan_are_the_same_in_all_panes(panes):
    fit = transforms(panes)
    assert len(set(fit)) == 1
    panes.keyboard.press("+")
    panes.keyboard.press("+")
    zoomed = transforms(panes)
    assert len(set(zoomed)) == 1
    assert zoomed != fit
    panes.keyboard.press("Shift+ArrowRight")
    panned = transforms(panes)
    assert len(set(panned)) == 1
    assert panned != zoomed
    box = panes.locator(".port").nth(1).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    panes.mouse.move(*middle)
    panes.mouse.down()
    panes.mouse.move(middle[0] + 30, middle[1] + 10, steps=3)
    panes.mouse.up()
    dragged = transforms(panes)
    assert len(set(dragged)) == 1
    assert dragged != panned
    panes.mouse.wheel(0, -200)
    panes.wait_for_function(
        "before => document.querySelector('.stage').style.transform !== before", arg=dragged[0]
    )
    panes.keyboard.press("f")
    assert transforms(panes) == fit
    panes.keyboard.press("-")
    assert transforms(panes) == fit
    panes.keyboard.press("p")
    assert panes.text_content(".zoom") in ("100 %", panes.text_content(".zoom"))


def test_images_fit_also_once_the_facts_are_there(page, client):
    page.set_viewport_size({"width": 760, "height": 500})
    page.wait_for_selector(".row.current")
    held = Held(page, "**/api/info/*")
    page.evaluate("location.hash = '#/compare/0,6,12'")
    page.wait_for_function(FITS)
    before = page.locator(".port").first.bounding_box()["height"]
    held.wait(3)
    held.release()
    page.wait_for_selector(".pane-facts .good")
    assert page.locator(".port").first.bounding_box()["height"] < before
    page.wait_for_function(FITS)


def test_the_next_key_is_for_the_image_that_is_left(panes, client):
    held = Held(panes, "**/api/commands")
    press_at_once(panes, "x", "x")
    assert panes.locator(".pane").count() == 1
    held.release()
    settle(panes)
    assert sorted(client.state()["rejected"]) == [0, 6]


def test_difference_is_laid_over_all_but_the_first(panes):
    panes.keyboard.press("d")
    assert panes.locator(".stage .reference:not([hidden])").count() == 2
    assert panes.locator(".port-note:has-text('reference')").count() == 3
    mode = "getComputedStyle(document.querySelectorAll('.reference')[1]).mixBlendMode"
    assert panes.evaluate(mode) == "difference"
    assert panes.is_visible("text=Gain")
    panes.keyboard.press("d")
    assert panes.locator(".stage .reference:not([hidden])").count() == 0


def test_keep_reject_and_leave(panes, client):
    panes.keyboard.press("l")
    assert active(panes) == 1
    panes.keyboard.press("h")
    assert active(panes) == 0
    panes.keyboard.press("ArrowRight")
    panes.keyboard.press("b")
    settle(panes)
    assert list(client.state()["best"].values()) == [6]
    panes.keyboard.press("x")
    panes.wait_for_selector(".board[data-count='2']")
    settle(panes)
    assert client.state()["rejected"] == [6]
    panes.keyboard.press("Escape")
    panes.wait_for_selector(".tile.current")
    assert panes.text_content("h1").startswith("Cluster")


def test_one_image_steps_through_its_cluster(page, client):
    page.wait_for_selector(".row.current")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile.current")
    page.keyboard.press("Enter")
    page.wait_for_selector(".board[data-count='1']")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_function("url => location.href !== url", arg=first)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("url => location.href === url", arg=first)
    page.evaluate("location.hash = '#/compare/none'")
    page.wait_for_selector(".empty:has-text('Nothing to compare')")
