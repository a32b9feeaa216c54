"""The screens Questions, Threshold, Name, Quality, Export and History, and Apply, in Chromium."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.web.conftest import Client, Held, drawing, make_folder, wait_until

import icas

Open = Callable[[str], Any]
SCREENS = ("questions", "threshold", "name", "quality", "export", "history")
BAD_NAME = '<img src=x onerror="document.title=1">'


@pytest.fixture
def open_screen(page: Any) -> Open:
    """Opens a screen of the page and waits until it is ready."""

    def show(name: str) -> Any:
        page.wait_for_selector(".rail a")
        page.evaluate("place => { location.hash = '#/' + place }", name)
        page.wait_for_selector(f".screen.{name.partition('/')[0]}")
        page.wait_for_selector(".waiting", state="detached")
        return page

    return show


def partition(state: dict[str, Any]) -> set[frozenset[int]]:
    """The clusters of a state as sets of images."""
    return {frozenset(one["members"]) for one in state["clusters"]}


def wait_for_rev(page: Any, client: Client, least: int) -> dict[str, Any]:
    """The state once the server is at a revision, and the page has taken it over."""
    page.wait_for_function("least => Number(document.body.dataset.rev) >= least", arg=least)
    page.wait_for_selector("body:not([data-waiting])")
    page.wait_for_selector(".waiting", state="detached")
    state = client.state()
    assert state["rev"] >= least
    return state


def truth_of(client: Client, kinds: dict[str, str]) -> list[str]:
    """The kind of each image, by number."""
    return [kinds[Path(file).name] for file in client.get("images")["files"]]


def test_keys_answer_questions_until_nothing_is_left(
    open_screen: Open, client: Client, kinds: dict[str, str]
) -> None:
    client.command("threshold", value=0.9)  # splits clusters: there is something to ask
    truth = truth_of(client, kinds)
    page = open_screen("questions")
    page.get_by_role("button", name="Apply 1").wait_for()
    rev, answers = client.state()["rev"], 0
    while page.locator(".photo-name").count() == 2 and answers < 80:
        names = page.locator(".photo-name").all_inner_texts()
        first, second = (kinds[Path(name).name] for name in names)
        key = "?" if answers == 0 else "y" if first == second else "n"
        page.keyboard.press(key)
        answers += 1
        wait_for_rev(page, client, rev + answers)
        page.wait_for_function(
            """names => document.querySelector('.empty')
                || [...document.querySelectorAll('.photo-name')].some((one, i) =>
                    one.textContent !== names[i])""",
            arg=names,
        )
    assert client.get("questions/next")["done"]
    page.wait_for_selector("text=Nothing is left to ask.")
    for cluster in client.state()["clusters"]:
        assert len({truth[image] for image in cluster["members"]}) == 1
    before = partition(client.state())
    page.keyboard.press("z")
    wait_for_rev(page, client, rev + answers + 1)
    page.keyboard.press("Control+y")
    wait_until(page, lambda: partition(client.state()) == before)


def test_the_slider_counts_as_labels_at(open_screen: Open, client: Client, finished: Path) -> None:
    from icas.clusterimg.results.saved import SavedState

    forest = SavedState.read(finished).forest
    page = open_screen("threshold")
    page.wait_for_selector(".stats strong")
    counted = "() => [...document.querySelectorAll('.stats strong')].map(one => +one.textContent)"
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight", "ArrowLeft"):
        before = page.input_value(".threshold-number")
        page.keyboard.press(key)
        wait_until(page, lambda before=before: page.input_value(".threshold-number") != before)
        labels = icas.labels_at(forest, float(page.input_value(".threshold-number")) - 5e-4)
        inside = labels[labels >= 0]
        expected = [labels.max() + 1, len(inside), len(labels) - len(inside)]
        expected.append(np.bincount(inside).max())
        wait_until(page, lambda expected=expected: page.evaluate(counted) == expected)
    assert page.locator(".lost .pair:visible").count() > 0
    page.keyboard.press("Enter")
    state = wait_for_rev(page, client, 1)
    assert len(state["clusters"]) == expected[0]
    page.keyboard.press("z")
    wait_for_rev(page, client, 2)
    assert len(client.state()["clusters"]) == 6
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Escape")
    wait_until(page, page.locator(".button.primary").is_disabled)


def test_the_worker_finds_the_clusters_of_random_forests(open_screen: Open) -> None:
    from icas.clusterimg.graph.forest import Forest, labels_at

    page = open_screen("threshold")
    rng = np.random.default_rng(1)
    for count in (2, 30, 200):
        a = np.arange(1, count)
        b = np.array([rng.integers(0, one) for one in a])
        similarity = np.sort(rng.integers(0, 40, count - 1) / 40).astype(np.float32)[::-1]
        forest = Forest(count, a, b, similarity)
        script = """async ([count, a, b, similarity, values]) => {
            const { Forest } = await import('/static/threshold-worker.js');
            const forest = new Forest(count, Int32Array.from(a), Int32Array.from(b),
                Float32Array.from(similarity), new Uint8Array(count));
            return values.map(value => forest.countsAt(forest.linksAt(value)));
        }"""
        values = [0.0, 0.25, 0.26, 0.5, 0.999, 1.0]
        given = [count, a.tolist(), b.tolist(), similarity.tolist(), values]
        for value, found in zip(values, page.evaluate(script, given), strict=True):
            labels = labels_at(forest, value)
            inside = labels[labels >= 0]
            assert found == {
                "clusters": int(labels.max()) + 1,
                "clustered": len(inside),
                "largest": int(np.bincount(inside).max()) if len(inside) else 0,
            }


def test_names_are_typed_completed_and_spread(open_screen: Open, client: Client) -> None:
    page = open_screen("name")
    page.wait_for_selector(".name-field input")
    page.keyboard.type("alpha")
    page.keyboard.press("Enter")
    state = wait_for_rev(page, client, 1)
    assert [one["name"] for one in state["classes"]] == ["alpha"]
    page.wait_for_selector(".class-row")
    page.keyboard.type("alp")
    page.keyboard.press("Tab")
    assert page.input_value(".name-field input") == "alpha"
    page.keyboard.press("Escape")
    page.locator(".name-field input").focus()
    page.keyboard.press("ArrowRight")  # skip
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("1")
    state = wait_for_rev(page, client, 2)
    assert [one["name"] for one in state["classes"]] == ["alpha"]
    page.wait_for_selector(".name-keys button")
    page.keyboard.type(BAD_NAME)
    page.keyboard.press("Control+Enter")  # this image only
    state = wait_for_rev(page, client, 3)
    assert [value[:2] for value in state["labels"].values()].count([BAD_NAME, "image"]) == 1
    page.wait_for_selector(f".class-name[title='{BAD_NAME}']")
    assert page.locator(".class-row img").count() == 0
    page.locator(".keep-row input").fill("0")
    page.get_by_role("button", name="Keep names").click()
    state = wait_for_rev(page, client, 4)
    sources = [value[1] for value in state["labels"].values()]
    assert sum(one["count"] for one in state["classes"]) == state["run"]["images"]
    assert "spread" in sources
    page.locator(".name-body").wait_for()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("z")
    state = wait_for_rev(page, client, 5)
    assert "spread" not in [value[1] for value in state["labels"].values()]


def test_names_wait_for_each_other_and_for_what_they_spread(
    open_screen: Open, client: Client
) -> None:
    client.command("label", images=[0], name="alpha")

    def older(route: Any) -> None:
        answer = {**route.fetch().json(), "spread": {}, "unsure": [], "stale": True}
        route.fulfill(json=answer)

    page = open_screen("history")
    page.route("**/api/naming?*", older, times=2)
    open_screen("name")
    page.wait_for_selector(".unsure-cell")  # what is not stale any more
    held = Held(page, "**/api/commands")
    page.wait_for_selector(".name-field input")
    for _ in range(4):
        page.keyboard.press("1")
    held.release()
    wait_for_rev(page, client, 5)
    assert len(client.get("history")) == 5


def test_the_slider_stays_where_it_is_moved_to_while_a_threshold_is_set(
    open_screen: Open, client: Client
) -> None:
    page = open_screen("threshold")
    page.wait_for_selector(".stats strong")

    def moved(key: str) -> str:
        before = page.input_value(".threshold-number")
        page.keyboard.press(key)
        wait_until(page, lambda: page.input_value(".threshold-number") != before)
        return str(page.input_value(".threshold-number"))

    held = Held(page, "**/api/commands")
    moved("ArrowRight")
    page.keyboard.press("Enter")
    held.wait()
    later = moved("ArrowRight")
    held.release()
    wait_for_rev(page, client, 1)
    assert page.input_value(".threshold-number") == later
    page.keyboard.press("Escape")
    wait_until(page, lambda: page.input_value(".threshold-number") < later)
    assert client.state()["rev"] == 1


@pytest.fixture(scope="module")
def checked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over ``train`` and ``test`` with copies and blurred images."""
    folder = tmp_path_factory.mktemp("checks")
    make_folder(folder / "made", each=4)
    for number, path in enumerate(sorted((folder / "made").glob("img*"))):
        image = np.asarray(Image.open(path))
        split = folder / "images" / ("test" if number % 4 == 0 else "train")
        split.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(split / path.name)
        if number in (1, 2):
            Image.fromarray(image).save(split / f"copy-{path.name}")
        if number == 5:
            soft = cv2.GaussianBlur(drawing("discs") * 200, (0, 0), 9).astype(np.uint8)
            Image.fromarray(soft).convert("RGB").save(split / "soft.png")
    icas.cluster(
        folder / "images",
        method="imagehash",
        threshold=0.75,
        dst=folder / "sorted",
        recursive=True,
        cache=folder / "cache",
        jobs=1,
    )
    return folder / "sorted"


class TestQuality:
    """Issues, copies and leaks of a run over the folders of two splits."""

    @pytest.fixture
    def finished(self, checked_folder: Path) -> Path:
        import shutil

        shutil.rmtree(checked_folder / ".icas" / "review", ignore_errors=True)
        return checked_folder

    def test_keys_reject_bad_images_and_copies(self, open_screen: Open, client: Client) -> None:
        files = client.get("images")["files"]
        page = open_screen("quality")
        page.wait_for_selector(".q-cell")
        assert "blurred" in page.locator(".filter-chips").inner_text()
        page.keyboard.press("a")
        assert page.locator(".q-cell.picked").count() == page.locator(".q-cell:visible").count()
        page.keyboard.press("a")
        page.keyboard.press(" ")
        page.keyboard.press("x")
        state = wait_for_rev(page, client, 1)
        assert [files[image] for image in state["rejected"]] == ["train/soft.png"]
        page.keyboard.press("z")
        assert wait_for_rev(page, client, 2)["rejected"] == []
        page.wait_for_selector(".q-cell")
        page.keyboard.press("Tab")
        page.wait_for_selector(".copy-row")
        assert page.locator(".copy-row").count() == 2
        page.keyboard.press("X")
        state = wait_for_rev(page, client, 3)
        assert all("copy-" in files[image] for image in state["rejected"])
        page.wait_for_selector("text=No copies.")
        page.keyboard.press("z")
        wait_for_rev(page, client, 4)
        page.wait_for_selector(".copy-row")
        page.keyboard.press("b")  # keep the other one
        page.keyboard.press("x")
        [image] = wait_for_rev(page, client, 5)["rejected"]
        assert "copy-" not in files[image]

    def test_clusters_across_splits(self, open_screen: Open, client: Client) -> None:
        files = client.get("images")["files"]
        page = open_screen("quality/leaks")
        page.wait_for_selector(".copy-row")
        page.keyboard.press("X")
        state = wait_for_rev(page, client, 1)
        page.wait_for_selector("text=No leaks found.")
        assert {files[image].split("/")[0] for image in state["rejected"]} == {"test"}


def test_history_jumps_back_and_forward(open_screen: Open, client: Client) -> None:
    start = partition(client.state())
    ids = [one["id"] for one in client.state()["clusters"]]
    client.command("name", cluster=ids[0], name="one")
    client.command("merge", clusters=ids[1:3])
    merged = partition(client.state())
    client.command("split", cluster=ids[3], at="bridge")
    page = open_screen("history")
    page.get_by_role("button", name="Apply 3").wait_for()
    page.wait_for_selector(".history-row.here")
    assert page.locator(".history-row").count() == 4
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert partition(wait_for_rev(page, client, 4)) == merged
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    state = wait_for_rev(page, client, 5)
    assert partition(state) == start
    assert state["classes"] == []
    page.wait_for_selector(".history-row.undone")
    page.locator(".history-row").first.click()  # the newest: all three again
    state = wait_for_rev(page, client, 6)
    assert state["classes"][0]["name"] == "one"
    assert len(state["clusters"]) == len(start)


def tree(folder: Path) -> dict[str, bytes]:
    """Content of each file below a folder, without the journal."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".icas" not in path.relative_to(folder).parts
    }


def test_apply_opens_again_after_escape_before_the_plan_is_there(
    open_screen: Open, client: Client
) -> None:
    client.command("name", cluster=0, name="bars")
    page = open_screen("history")
    page.get_by_role("button", name="Apply 1").wait_for()
    held: list[Any] = []
    page.route("**/api/plan", lambda route: route.continue_() if held else held.append(route))
    page.keyboard.press("Control+s")
    page.locator("dialog").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    page.locator(".plan-lines li").first.wait_for()
    held[0].continue_()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    assert client.state()["pending"] == 1


def test_the_plan_and_the_page_are_of_the_same_state(open_screen: Open, client: Client) -> None:
    page = open_screen("history")
    held = Held(page, "**/api/state?*")
    client.command("merge", clusters=[one["id"] for one in client.state()["clusters"][:2]])
    client.command("name", cluster=client.state()["clusters"][0]["id"], name="both")
    held.wait()
    with page.expect_response("**/api/plan"):
        page.keyboard.press("Control+s")
    page.evaluate("new Promise(done => setTimeout(done, 50))")  # would be drawn by now
    held.release()
    page.locator(".plan-lead:has-text('2 commands')").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("all applied").wait_for()
    assert client.state()["pending"] == 0


def test_apply_then_export_equals_the_commands(
    open_screen: Open, client: Client, finished: Path, kinds: dict[str, str], tmp_path: Path
) -> None:
    files, truth = client.get("images")["files"], truth_of(client, kinds)
    clusters = client.state()["clusters"]
    names = {one["id"]: truth[one["members"][0]] for one in clusters}
    for number, name in names.items():
        client.command("name", cluster=number, name=name)
    page = open_screen("export")
    page.get_by_text("Apply first.").wait_for()
    page.keyboard.press("Control+s")
    page.locator(".plan-lines li").first.wait_for()
    page.keyboard.press("Escape")
    assert client.state()["pending"] == len(names)
    page.keyboard.press("Control+s")
    page.locator(".plan-lines li").first.wait_for()
    page.keyboard.press("Enter")
    page.locator(".counts").wait_for()
    assert client.state()["pending"] == 0
    with (finished / "labels.csv").open() as table:
        labels = {row["file"]: row["label"] for row in csv.DictReader(table)}
    members = {files[image]: names[one["id"]] for one in clusters for image in one["members"]}
    assert labels == members
    shown = page.locator(".export-text").inner_text()
    page.locator("input[value=csv]").check()
    page.locator(".tree >> text=imagefolder/").first.wait_for()
    page.locator(".field.seed").fill("3")
    page.wait_for_timeout(400)
    page.keyboard.press("Control+Enter")
    page.locator(".export-text.written").wait_for()
    assert shown.split(" -> ")[0] in page.locator(".export-text").inner_text()
    split = {"train": 0.8, "val": 0.1, "test": 0.1}
    icas.export(finished, tmp_path / "by-hand", format=["imagefolder", "csv"], split=split, seed=3)
    assert tree(finished.parent / "sorted_dataset") == tree(tmp_path / "by-hand")


def test_apply_equals_the_commands_with_the_same_decisions(
    open_screen: Open, client: Client, finished: Path, run_folder: Path, tmp_path: Path
) -> None:
    import shutil

    other = tmp_path / "other" / "sorted"
    shutil.copytree(finished, other)
    files, clusters = client.get("images")["files"], client.state()["clusters"]
    first, second = clusters[0], clusters[1]
    client.command("merge", clusters=[first["id"], second["id"]])
    client.command("name", cluster=first["id"], name="both")
    page = open_screen("history")
    page.keyboard.press("Control+s")
    page.locator(".plan-lines li").first.wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("all applied").wait_for()
    for path in (run_folder / "cache").glob("decisions.db*"):
        path.unlink()
    pair = [files[one["members"][0]] for one in (first, second)]
    icas.must_link(other, *pair)
    icas.recut(other, 0.75)
    merged = next(
        name
        for name in (path.name for path in (other / "result").iterdir())
        if (other / "result" / name / pair[0]).exists()
    )
    icas.label(other, {merged: "both"})
    for name in ("clusters.csv", "labels.csv", "certificate.csv"):
        assert (finished / name).read_text() == (other / name).read_text()
    assert set(tree(finished / "result")) == set(tree(other / "result"))


@pytest.mark.parametrize("width", [390, 1280])
def test_every_control_has_a_name_and_nothing_overflows(
    open_screen: Open, page: Any, client: Client, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    unnamed = """() => [...document.querySelectorAll('button, input, select, [role=listbox]')]
        .filter(one => one.offsetParent && !(one.ariaLabel || one.textContent.trim()
            || one.title || one.labels?.length))
        .map(one => one.outerHTML.slice(0, 100))"""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for name in SCREENS:
            open_screen(name)
            page.wait_for_function("new Promise(requestAnimationFrame)")
            assert page.evaluate(unnamed) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
