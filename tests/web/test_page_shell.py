"""The shell of the review page: keys, theme, reload, two tabs, untrusted names, lost connection."""

from __future__ import annotations

import pytest
from PIL import Image

import icas


def settle(page):
    """Wait until every command is answered and drawn."""
    page.wait_for_selector("body:not([data-waiting])")


def test_help_shows_every_key_of_the_screen(page):
    page.wait_for_selector(".row.current")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    text = page.inner_text("dialog")
    for key in ("m", "s", "x", "b", "u", "Tab", "Space", "Enter", "z", "y", "/", "?"):
        assert page.locator(f"dialog kbd:text-is('{key}')").count(), key
    assert "merge the selected clusters" in text
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_g_and_a_letter_open_screens(page):
    page.wait_for_selector(".row.current")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_selector(".screen.compare")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_selector(".row.current")


def test_reload_in_the_middle_keeps_place_and_order(page, client):
    page.wait_for_selector(".row.current")
    page.select_option(".screen-head select", "size")
    page.focus(".rows")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.type("Wave")
    page.keyboard.press("Enter")
    settle(page)
    name = page.text_content(".row.current strong")
    page.reload()
    page.wait_for_selector(".row.current")
    assert page.text_content(".row.current strong") == name
    assert page.input_value(".screen-head select") == "size"
    page.keyboard.press("x")
    settle(page)
    assert len(client.state()["rejected"]) == 6
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile.current")
    page.reload()
    page.wait_for_selector(".tile.current")


def test_the_second_tab_is_read_only_and_follows(page, chromium, client):
    page.wait_for_selector(".row.current")
    second = page.context.new_page()
    second.goto(page.url)
    second.wait_for_selector(".row.current")
    assert second.is_visible(".lock")
    assert not second.is_visible(".bar")
    second.keyboard.press("x")
    assert "read only" in second.text_content("#toasts")
    page.keyboard.type("Wave")
    page.keyboard.press("Enter")
    second.wait_for_selector(".row strong:has-text('Wave')")
    assert client.state()["rejected"] == []
    second.click(".lock button")
    second.wait_for_selector(".lock", state="hidden")
    page.wait_for_selector(".lock:visible")
    second.keyboard.press("x")
    settle(second)
    assert len(client.state()["rejected"]) == 6


def test_theme_is_switched_and_kept(page):
    page.wait_for_selector(".row.current")
    color = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(color)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(color)
    assert dark != light
    page.get_by_label("Theme: as the system").click()
    page.get_by_label("Theme: light").click()
    assert page.evaluate(color) == dark
    page.reload()
    page.wait_for_selector(".row.current")
    assert page.evaluate(color) == dark


def test_every_control_has_a_name(page):
    nameless = """() => [...document.querySelectorAll(
            'button, a[href], input, select, [role=listbox], [role=option]')]
        .filter(node => !node.closest('[hidden], [aria-hidden=true]'))
        .filter(node => !(node.getAttribute('aria-label') || node.textContent.trim()))
        .map(node => node.outerHTML)"""
    for place, sign in (
        ("clusters", ".row.current"),
        ("cluster/0", ".goal"),
        ("compare/0,1", ".pane"),
    ):
        page.evaluate("place => { location.hash = '#/' + place }", place)
        page.wait_for_selector(sign)
        assert page.evaluate(nameless) == []


def test_commands_wait_for_the_connection(page, client):
    page.wait_for_selector(".row.current")
    page.route("**/api/commands", lambda route: route.abort())
    page.keyboard.type("Wave")
    page.keyboard.press("Enter")
    page.wait_for_selector("#banner:has-text('No connection')")
    page.keyboard.press("u")
    assert client.state()["classes"] == []
    page.unroute("**/api/commands")
    settle(page)
    page.wait_for_selector("#banner", state="hidden")
    assert client.state()["classes"] == [{"name": "Wave", "count": 6}]
    assert client.state()["rev"] == 2
    page.errors.clear()  # the failed requests


def test_a_page_without_access_says_so_until_it_has_access_again(page, client):
    page.wait_for_selector(".row.current")
    page.route("**/api/state?*", lambda route: route.fulfill(status=403, json={"error": "no"}))
    page.route("**/api/commands", lambda route: route.fulfill(status=403, json={"error": "no"}))
    page.keyboard.press("u")
    page.wait_for_selector("#banner:has-text('refused')")
    page.unroute("**/api/state?*")
    page.unroute("**/api/commands")
    page.wait_for_selector("#banner", state="hidden")  # it asks again after a while
    settle(page)
    assert "doubtful" in {one["state"] for one in client.state()["clusters"]}
    client.rev = client.state()["rev"]
    client.command("name", cluster=5, name="other")
    page.wait_for_selector(".row strong:has-text('other')")
    page.errors.clear()  # the refused requests


def test_a_refusal_is_seen_while_an_older_answer_is_on_its_way(page, client):
    page.wait_for_selector(".row.current")
    held = []

    def refuse(route):
        route.fulfill(status=403, json={"error": "no"})

    page.route("**/api/state?*", lambda route: refuse(route) if held else held.append(route))
    page.route("**/api/commands", refuse)
    client.command("name", cluster=5, name="other")
    while not held:
        page.wait_for_timeout(20)
    with page.expect_response("**/api/commands"):
        page.keyboard.press("u")
    held[0].continue_()
    page.wait_for_selector("#banner:has-text('refused')")
    page.errors.clear()  # the refused requests


@pytest.mark.parametrize("state_first", [False, True], ids=["conflict-first", "state-first"])
def test_a_stale_command_is_sent_again_where_its_cluster_is_the_same(page, client, state_first):
    page.wait_for_selector(".row.current")
    held, connected = [], []
    page.route("**/api/state?*", lambda route: route.continue_() if connected else route.abort())
    page.route("**/api/commands", lambda route: route.continue_() if held else held.append(route))
    client.command("name", cluster=5, name="other")
    page.keyboard.type("Wave")
    page.keyboard.press("Enter")
    while not held:
        page.wait_for_timeout(20)
    answer = held[0].fetch()
    if not state_first:
        held[0].fulfill(response=answer)
    connected.append(True)
    page.wait_for_selector(".row strong:has-text('other')")
    if state_first:
        held[0].fulfill(response=answer)
    settle(page)
    assert {one["name"] for one in client.state()["classes"]} == {"other", "Wave"}
    page.errors.clear()  # 409 and the failed requests


EVIL = "<img src=x onerror=alert(1)>"


def test_names_of_files_and_classes_are_text(chromium, tmp_path):
    pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")
    from icas.web.review import serving

    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        name = f"{EVIL.replace('/', '')} & 'b' \"c\" {number}.png"
        Image.new("RGB", (40, 40), (200, 30, 30 + number)).save(folder / name)
    result = tmp_path / "sorted"
    icas.cluster(folder, method="imagehash", threshold=0.5, dst=result, jobs=1, transfer="none")
    with serving(result) as server:
        server.start()
        context = chromium.new_context()
        page = context.new_page()
        alerts = []
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        page.goto(server.address.url)
        page.wait_for_selector(".row.current")
        page.keyboard.press("n")
        page.keyboard.type(EVIL)
        page.keyboard.press("Enter")
        settle(page)
        assert page.text_content(".row strong") == EVIL
        assert page.text_content(".class-key span") == EVIL
        page.keyboard.press("Enter")
        page.wait_for_selector(".tile.current")
        assert "onerror" in page.text_content(".tile-text span")
        page.evaluate("location.hash = '#/compare/0,1'")
        page.wait_for_selector(".pane")
        page.evaluate(f"location.hash = '#/cluster/{'%3Cimg src=x onerror=alert(1)%3E'}'")
        page.wait_for_selector(".empty:visible")
        page.wait_for_timeout(100)
        assert alerts == []
        assert page.locator("img[src=x]").count() == 0
        context.close()
        server.stop()


def test_phone_width_needs_no_sideways_scrolling(page):
    page.set_viewport_size({"width": 390, "height": 844})
    for place, sign in (
        ("clusters", ".row.current"),
        ("cluster/0", ".tile"),
        ("compare/0,1", ".pane"),
    ):
        page.evaluate("place => { location.hash = '#/' + place }", place)
        page.wait_for_selector(sign)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for node in page.locator(".bar button:visible, .rail a:visible").all():
            box = node.bounding_box()
            assert box is None or box["height"] >= 36
