"""The screen *Cluster* in Chromium: selection, drag, split, best, reject, and each key."""

from __future__ import annotations

import pytest
from tests.web.conftest import Held, press_at_once


@pytest.fixture
def tiles(page):
    """The page with the first cluster open."""
    page.wait_for_selector(".row.current")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tile.current")
    page.wait_for_selector(".goal")
    return page


def settle(page):
    """Wait until every command is answered and drawn."""
    page.wait_for_selector("body:not([data-waiting])")


def press(page, *keys):
    """Press keys, and wait for what they cause."""
    for key in keys:
        page.keyboard.press(key)
        settle(page)


def chosen(page):
    """Numbers of the selected cells."""
    cells = page.locator(".tile.selected:not([hidden])")
    return sorted(int(cell.get_attribute("data-index")) for cell in cells.all())


def chosen_files(page):
    """Names of the selected images."""
    cells = page.locator(".tile.selected:not([hidden])")
    return [cell.get_attribute("aria-label").split(", ")[0] for cell in cells.all()]


def current(page):
    """Number of the current cell."""
    return int(page.get_attribute(".tile.current", "data-index"))


def shown(page, client):
    """The cluster that is open, as the server has it."""
    number = int(page.url.rpartition("cluster/")[2].split("/")[0])
    return client.get(f"cluster/{number}")


def center(page, selector):
    """The middle of an element."""
    box = page.locator(selector).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, start, end):
    """Drag with the left button."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 20, start[1] + 20, steps=3)
    page.mouse.move(*end, steps=5)
    page.mouse.up()
    settle(page)


def test_images_with_similarity_and_movement(tiles, client):
    one = shown(tiles, client)
    cells = tiles.locator(".tile:not([hidden])")
    assert cells.count() == 6
    files = client.get("images")["files"]
    texts = {cell.get_attribute("aria-label").split(", ")[0] for cell in cells.all()}
    assert texts == {files[image] for image in one["members"]}
    assert "medoid" in cells.first.get_attribute("aria-label")
    order = []
    for key in ("l", "ArrowRight", "h", "ArrowLeft", "End", "Home", "j", "k"):
        press(tiles, key)
        order.append(current(tiles))
    assert order[:6] == [1, 2, 1, 0, 5, 0]
    assert order[6] > 0
    assert order[7] == 0


def test_selection_with_keys_and_mouse(tiles):
    press(tiles, "Space", "l", "l", "Space")
    assert chosen(tiles) == [0, 2]
    press(tiles, "Escape")
    assert chosen(tiles) == []
    press(tiles, "Shift+ArrowRight")
    assert chosen(tiles) == [2, 3]
    press(tiles, "Control+a")
    assert chosen(tiles) == list(range(6))
    cell = tiles.locator(".tile-image")
    cell.nth(1).click()
    assert chosen(tiles) == [1]
    cell.nth(3).click(modifiers=["Shift"])
    assert chosen(tiles) == [1, 2, 3]
    cell.nth(2).click(modifiers=["Control"])
    assert chosen(tiles) == [1, 3]
    box = tiles.locator(".tile").nth(1).bounding_box()
    below = box["y"] + box["height"] + 300
    drag(tiles, (box["x"] + box["width"] + 5, below), (box["x"] + 20, box["y"] + 40))
    assert 1 in chosen(tiles)


def test_dragged_images_go_to_another_cluster(tiles, client):
    one = shown(tiles, client)
    press(tiles, "Space", "l", "Space")
    goal = tiles.locator(".goal[data-goal]:not([data-goal=new]):not([data-goal=outliers])").first
    target = int(goal.get_attribute("data-goal"))
    goal_box = goal.bounding_box()
    place = goal_box["x"] + 60, goal_box["y"] + 15
    drag(tiles, center(tiles, ".tile.selected .tile-image"), place)
    assert len(client.get(f"cluster/{target}")["members"]) == 8
    assert len(client.get(f"cluster/{one['id']}")["members"]) == 4
    assert tiles.locator(".ghost").count() == 0
    press(tiles, "z")
    assert len(client.get(f"cluster/{one['id']}")["members"]) == 6


def test_selected_images_split_off_or_get_a_name(tiles, client):
    one = shown(tiles, client)
    press(tiles, "Space", "l", "Space", "s")
    assert len(client.state()["clusters"]) == 7
    assert len(shown(tiles, client)["members"]) == 4
    press(tiles, "Home", "Space", "n")
    tiles.keyboard.type("odd")
    press(tiles, "Enter")
    labels = client.state()["labels"]
    assert [label[:2] for label in labels.values()] == [["odd", "image"]]
    assert tiles.text_content(".mark:has-text('odd')") == "odd"
    press(tiles, "z", "z")
    assert len(client.get(f"cluster/{one['id']}")["members"]) == 6


def test_naming_goes_on_to_the_next_cluster(tiles, client):
    before = tiles.text_content("h1")
    press(tiles, "n")
    tiles.keyboard.type("cat")
    press(tiles, "Enter")
    tiles.wait_for_function("name => document.querySelector('h1').textContent !== name", arg=before)
    press(tiles, "1")
    assert client.state()["classes"] == [{"name": "cat", "count": 12}]
    place = tiles.text_content("h1")
    press(tiles, "[")
    assert tiles.text_content("h1") == "cat"
    press(tiles, "]")
    assert tiles.text_content("h1") == place


def test_the_next_key_is_for_the_next_cluster(tiles, client):
    first = shown(tiles, client)["id"]
    press_at_once(tiles, "]", "u", "[", "[", ".")
    settle(tiles)
    states = {one["id"]: one["state"] for one in client.state()["clusters"]}
    assert states[first] == "done"
    assert sorted(states.values()).count("doubtful") == 1


def test_the_next_key_is_for_the_images_that_are_left(tiles, client):
    members = shown(tiles, client)["members"]
    held = Held(tiles, "**/api/commands")
    press_at_once(tiles, "x", "x", "l", " ")
    assert tiles.locator(".tile:not([hidden])").count() == 4
    [before] = chosen_files(tiles)
    held.release()
    settle(tiles)
    assert sorted(client.state()["rejected"]) == sorted(members[:2])
    assert chosen_files(tiles) == [before]
    tiles.route("**/api/commands", lambda route: route.fulfill(status=500, json={"error": "no"}))
    press(tiles, "x")
    assert tiles.locator(".tile:not([hidden])").count() == 4
    assert chosen_files(tiles) == [before]
    tiles.errors.clear()  # the failed request


def test_a_choice_in_a_dialog_goes_before_the_next_key(tiles, client):
    one = shown(tiles, client)
    press(tiles, "v")
    tiles.wait_for_selector("dialog .near-row")
    press_at_once(tiles, "1", "z")
    tiles.wait_for_selector("dialog", state="detached")
    settle(tiles)
    history = client.get("history")
    assert [(entry["op"], entry["undone"]) for entry in history] == [("move", True)]
    assert shown(tiles, client)["members"] == one["members"]


def test_best_reject_and_restore(tiles, client):
    one = shown(tiles, client)
    press(tiles, "b")
    [best] = client.state()["best"].values()
    assert best in one["members"]
    press(tiles, "l", "Space", "b")
    assert client.state()["best"][str(one["id"])] == one["members"][1]
    press(tiles, "End", "x")
    rejected = client.state()["rejected"]
    assert len(rejected) == 1
    press(tiles, "Escape")
    tiles.click("a[href='#/cluster/rejected']")
    tiles.wait_for_selector(".loose .tile.current")
    press(tiles, "x")
    state = client.state()
    assert state["rejected"] == []
    assert set(rejected) <= set(state["outliers"])
    assert "Nothing is rejected" in tiles.text_content(".empty")


def test_outliers_move_to_a_new_cluster(tiles, client):
    press(tiles, "Escape")
    tiles.click("a[href='#/cluster/outliers']")
    tiles.wait_for_selector(".loose .tile.current")
    assert tiles.locator(".tile:not([hidden])").count() == 4
    press(tiles, "Space", "l", "Space", "v")
    tiles.wait_for_selector("dialog[open]")
    tiles.click("dialog .near-row:has-text('A new cluster')")
    tiles.wait_for_selector("dialog", state="detached")
    settle(tiles)
    state = client.state()
    assert len(state["outliers"]) == 2
    assert len(state["clusters"]) == 7


def test_marks_and_merge_with_another(tiles, client):
    first = shown(tiles, client)["id"]
    press(tiles, ".")
    tiles.wait_for_function("id => !location.hash.endsWith('cluster/' + id)", arg=str(first))
    second = shown(tiles, client)["id"]
    press(tiles, "[", "m")
    tiles.wait_for_selector("dialog[open]")
    tiles.fill("dialog .field", f"Cluster {second}")
    press(tiles, "Enter")
    tiles.wait_for_selector("dialog", state="detached")
    settle(tiles)
    assert len(client.state()["clusters"]) == 5
    assert tiles.locator(".tile:not([hidden])").count() == 12
    states = {one["id"]: one["state"] for one in client.state()["clusters"]}
    assert states[first] == "done"


def test_the_bridge_is_shown_and_split(tiles, client):
    ids = [one["id"] for one in client.state()["clusters"][:2]]
    press(tiles, "Escape", "Space", "j", "Space", "m")
    one = next(row for row in client.state()["clusters"] if len(row["members"]) == 12)
    bridge = client.get(f"cluster/{one['id']}")["bridge"]
    tiles.evaluate("id => { location.hash = '#/cluster/' + id }", one["id"])
    tiles.wait_for_selector(".tile.current")
    if bridge is not None and bridge["striking"]:
        tiles.wait_for_selector(".bridge-band")
        assert tiles.locator(".tile.at-bridge").count() == 2
    press(tiles, "s")
    state = client.state()
    assert len(state["clusters"]) + len(state["outliers"]) > 5 + 4
    assert ids


def test_size_of_the_images(tiles):
    before = tiles.locator(".tile").first.bounding_box()["width"]
    tiles.locator(".size-range input").fill("280")
    after = tiles.locator(".tile").first.bounding_box()
    assert after["width"] > before
    assert "size=256" in tiles.get_attribute(".tile img", "src")
