"""The screen *Clusters* in Chromium: rows, filters, search, and each key."""

from __future__ import annotations

import pytest


@pytest.fixture
def rows(page):
    """The page once the rows are there."""
    page.wait_for_selector(".row.current")
    return page


def settle(page):
    """Wait until every command is answered and drawn."""
    page.wait_for_selector("body:not([data-waiting])")


def names(page):
    """The names of the rows in view, from top to bottom."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.row:not([hidden])')]
            .sort((a, b) => a.dataset.index - b.dataset.index)
            .map(row => row.querySelector('strong').textContent)"""
    )


def current(page):
    """The name of the current row."""
    return page.text_content(".row.current strong")


def press(page, *keys):
    """Press keys, and wait for what they cause."""
    for key in keys:
        page.keyboard.press(key)
        settle(page)


def clusters_of(client):
    """The clusters that the server has, by id."""
    return {one["id"]: one for one in client.state()["clusters"]}


def test_rows_show_medoid_size_link_and_state(rows, client):
    assert len(names(rows)) == 6
    first = clusters_of(client)[int(current(rows).split()[1])]
    text = rows.text_content(".row.current .row-facts")
    assert text == f"6 images · weakest link {first['weakest']:.2f}"
    medoid = rows.get_attribute(".row.current .row-image img", "src")
    assert medoid.startswith(f"api/thumb/{first['members'][0]}?")
    assert rows.text_content(".row.current .chip") in ("Untouched", "Doubtful")
    assert "6 clusters" in rows.text_content(".progress")


def test_arrows_and_letters_move(rows):
    order = names(rows)
    for key, expected in (
        ("ArrowDown", 1),
        ("j", 2),
        ("l", 3),
        ("ArrowRight", 4),
        ("k", 3),
        ("h", 2),
        ("ArrowUp", 1),
        ("End", 5),
        ("ArrowDown", 5),
        ("Home", 0),
        ("PageDown", 4),
        ("PageUp", 0),
    ):
        press(rows, key)
        if key == "PageDown":
            assert current(rows) != order[0]
        else:
            assert current(rows) == order[expected], key


def test_a_typed_name_goes_to_the_server_and_the_next_row_is_current(rows, client):
    order = names(rows)
    press(rows, "n")
    rows.keyboard.type("red cat")
    press(rows, "Enter")
    assert current(rows) == order[1]
    assert [one["name"] for one in clusters_of(client).values()].count("red cat") == 1
    assert client.state()["classes"] == [{"name": "red cat", "count": 6}]
    assert rows.text_content(".class-key span") == "red cat"
    assert "1 of 6 clusters decided" in rows.text_content(".progress")


def test_letters_without_a_key_start_a_name_and_digits_repeat_it(rows, client):
    rows.keyboard.type("Wave")
    assert rows.input_value(".bar .field") == "Wave"
    press(rows, "Enter", "1")
    assert client.state()["classes"] == [{"name": "Wave", "count": 12}]
    press(rows, "9")
    assert "No class has the number 9" in rows.text_content("#toasts")


def test_names_are_completed(rows, client):
    press(rows, "n")
    rows.keyboard.type("tabby")
    press(rows, "Enter", "n")
    rows.keyboard.type("ab")
    assert rows.text_content(".option") == "tabby"
    press(rows, "ArrowDown", "Enter", "n")
    rows.keyboard.type("ta")
    press(rows, "Tab")
    assert rows.input_value(".bar .field") == "tabby"
    press(rows, "Enter", "n", "Escape")
    assert client.state()["classes"] == [{"name": "tabby", "count": 18}]


def test_name_is_removed(rows, client):
    rows.keyboard.type("Wave")
    press(rows, "Enter", "Home", "Backspace")
    assert client.state()["classes"] == []


def test_space_selects_and_m_merges(rows, client):
    press(rows, "Space", "ArrowDown", "Space")
    assert rows.text_content(".bar-target") == "2 clusters"
    press(rows, "m")
    assert sorted(len(one["members"]) for one in clusters_of(client).values()) == [6] * 4 + [12]
    assert "Merge 2 clusters" in rows.text_content("#toasts")
    rows.click("#toasts button")
    settle(rows)
    assert len(clusters_of(client)) == 6


def test_shift_and_clicks_select(rows):
    press(rows, "Shift+ArrowDown", "Shift+ArrowDown")
    assert rows.text_content(".bar-target") == "3 clusters"
    press(rows, "Escape")
    assert rows.locator(".row.selected").count() == 0
    rows.locator(".row-check").nth(0).click()
    rows.locator(".row").nth(3).click(modifiers=["Control"], position={"x": 90, "y": 20})
    assert rows.text_content(".bar-target") == "2 clusters"


def test_m_without_a_selection_asks_for_a_cluster(rows, client):
    press(rows, "m")
    rows.wait_for_selector("dialog[open]")
    target = next(name for name in names(rows) if name != current(rows))
    rows.fill("dialog .field", target)
    press(rows, "Enter")
    rows.wait_for_selector("dialog", state="detached")
    settle(rows)
    assert len(clusters_of(client)) == 5


def test_m_offers_the_most_similar_clusters(rows, client):
    state = client.state()
    one = next(one for one in state["clusters"] if f"Cluster {one['id']}" == current(rows))
    images = ",".join(map(str, one["members"]))
    for _ in range(200):
        near = client.get(f"near?images={images}&count=20")
        if not near["wait"]:
            break
        rows.wait_for_timeout(50)
    values = [row["similarity"] for row in near["rows"]]
    assert values == sorted(values, reverse=True)
    assert not set(one["members"]) & {row["image"] for row in near["rows"]}
    home = {image: other["id"] for other in state["clusters"] for image in other["members"]}
    first = near["rows"][0]["image"]
    press(rows, "m")
    rows.wait_for_selector("dialog .near-row")
    expected = f"Cluster {home[first]}" if first in home else client.get("images")["files"][first]
    assert rows.text_content("dialog .near-row b") == expected
    press(rows, "1")
    rows.wait_for_selector("dialog", state="detached")
    settle(rows)
    members = client.get(f"cluster/{one['id']}")["members"]
    assert first in members
    assert len(members) in (7, 12)


def test_s_splits_and_z_and_y_undo_and_redo(rows, client):
    press(rows, "s")
    after = client.state()
    assert len(after["clusters"]) + len(after["outliers"]) > 6 + 4
    press(rows, "z")
    before = client.state()
    assert (len(before["clusters"]), len(before["outliers"])) == (6, 4)
    press(rows, "y")
    again = client.state()
    assert len(again["clusters"]) == len(after["clusters"])


def test_x_u_b_and_the_dot_decide(rows, client):
    press(rows, "u", ".", "b")
    states = [one["state"] for one in clusters_of(client).values()]
    assert states.count("doubtful") >= 1
    assert states.count("done") == 1
    assert len(client.state()["best"]) == 1
    press(rows, "x")
    state = client.state()
    assert len(state["rejected"]) == 6
    assert len(state["clusters"]) == 5
    assert rows.text_content("a[href='#/cluster/rejected'] small") == "6"


def test_tab_goes_to_the_next_doubtful_cluster(rows):
    order = names(rows)
    press(rows, "End", "u", "Home")
    marked = order[-1]
    press(rows, "Tab")
    assert rows.text_content(".row.current .chip") == "Doubtful"
    if current(rows) != marked:  # another one is doubtful as well
        press(rows, "Tab")
    press(rows, "Escape", "Tab")
    assert rows.evaluate("document.activeElement.dataset.filter") == "untouched"


def test_filters_sorting_and_search(rows):
    rows.keyboard.type("Wave")
    press(rows, "Enter")
    rows.click("[data-filter=named]")
    assert names(rows) == ["Wave"]
    rows.click("[data-filter=done]")
    assert rows.is_visible(".empty")
    rows.click(".empty button")
    assert len(names(rows)) == 6
    rows.select_option(".screen-head select", "name")
    assert names(rows)[0] == "Wave"
    press(rows, "Escape")
    rows.focus(".rows")
    press(rows, "/")
    rows.keyboard.type("wav")
    assert names(rows) == ["Wave"]
    rows.fill("[data-search]", "img00.png")
    assert len(names(rows)) == 1
    press(rows, "Escape")
    assert len(names(rows)) == 6


def test_enter_opens_the_cluster_and_escape_comes_back(rows):
    press(rows, "j")
    name = current(rows)
    press(rows, "Enter")
    rows.wait_for_selector(".tile")
    assert rows.text_content("h1") == name
    press(rows, "Escape")
    rows.wait_for_selector(".row.current")
    assert current(rows) == name
