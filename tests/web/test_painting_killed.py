"""A painting server killed in the middle of random commands continues with all it has answered."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from icas.segmentimg.settings import SegmentSettings

from .conftest import Client, Held, wait_until
from .painting_commands import Mirror, random_command

COMMANDS = 60


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(samples, name)()).resize((120, 80)).save(folder / f"{name}.png")
    return folder


@contextlib.contextmanager
def process(folder, port=0):
    """The command ``segmentimg serve`` as a process, and its address."""
    command = [sys.executable, "-m", "icas.segmentimg", "serve", folder, "--no-browser"]
    command += ["--port", str(port)]
    environment = {**os.environ, "SSH_CONNECTION": "", "DISPLAY": ":0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            yield running, running.stdout.readline().split()[1]
        finally:
            running.kill()


def random_request(rng, mirror):
    """Path and body of a random request about an image."""
    if rng.random() < 0.2 and (mirror.doc["undo"] or mirror.doc["redo"]):
        return ("undo" if mirror.doc["undo"] else "redo"), {"image": mirror.number}
    chosen = rng.random()
    if chosen < 0.03:
        return "commands", {"op": "save", "image": mirror.number, "args": {}}
    if chosen < 0.06:
        name = f"class {rng.random()}"
        args = {"number": rng.randint(1, 4), "name": name}
        return "commands", {"op": "class_change", "image": mirror.number, "args": args}
    op, args = random_command(rng, mirror.shape, len(mirror.codes) - 1)
    return "commands", {"op": op, "image": mirror.number, "args": args}


def kill_and_compare(folder, seed):
    """One round: commands until the server is killed at a random moment, then a restart."""
    rng = random.Random(seed)
    last = rng.randrange(5, COMMANDS)
    with process(folder) as (running, url):
        client = Client(url, f"round-{seed}")
        mirrors = [Mirror(client, number) for number in (0, 1)]
        for number in range(COMMANDS):
            mirror = rng.choice(mirrors)
            path, body = random_request(rng, mirror)
            body |= {"rev": client.rev, "id": f"{seed}-{number}"}
            if number == last:
                threading.Timer(rng.random() * 0.03, running.kill).start()
            try:
                answer = client.http.post(f"/api/{path}", json=body)
            except httpx.TransportError:
                break
            if answer.status_code == 200:
                client.rev = answer.json()["rev"]
                if body.get("op") not in ("save", "class_change"):
                    mirror.update(answer.json()["delta"])
            else:
                assert answer.status_code == 400, answer.text
        running.wait(30)
    before = [mirror.pixels() for mirror in mirrors]
    with process(folder) as (_, url):
        again = Client(url, f"again-{seed}")
        assert client.rev <= again.rev <= client.rev + 1
        unanswered = again.rev > client.rev
        for mirror, pixels in zip(mirrors, before, strict=True):
            now = Mirror(again, mirror.number)
            if unanswered and body["image"] == mirror.number:  # stored, but not answered
                answer = again.http.post(f"/api/{path}", json=body)
                assert (answer.status_code, answer.json()["stale"]) == (200, True)
                continue
            assert np.array_equal(now.pixels(), pixels)
            assert np.array_equal(now.labels, mirror.labels)


def test_killed_three_times(pictures):
    for seed in range(3):
        kill_and_compare(pictures, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_fifty_times(pictures):
    for seed in range(100, 150):
        kill_and_compare(pictures, seed)


def test_windows_get_all_commands_of_a_killed_server(pictures):
    """Segments, brushed pixels and edges, of which the autosave file has only some."""
    with process(pictures) as (running, url):
        client = Client(url, "killed")
        mirror = Mirror(client, 0)
        for op, args in (
            ("fill", {"row": 40, "col": 60, "class": 1}),
            ("brush", {"points": [[5, 5], [60, 90]], "radius": 6, "class": 2}),
            ("cut", {"from": [0, 0], "to": [79, 119]}),
            ("fill", {"row": 20, "col": 100, "class": 3, "number": 7}),
        ):
            mirror.update(client.done("commands", op=op, image=0, args=args)["delta"])
        mirror.update(client.done("undo", image=0)["delta"])
        running.kill()
        running.wait(30)
    from icas.segmentimg.formats.inputs import find_image_files

    opened = SegmentSettings().make_opener().open(find_image_files([pictures])[0])
    assert np.array_equal(opened.document.codes_of(np.s_[:, :]), mirror.pixels())
    assert np.array_equal(opened.document.labels, mirror.labels)
    assert opened.unsaved


SHOWN = """() => {
  const { doc } = painting.store, codes = [];
  for (let row = 0; row < doc.height; row++)
    for (let col = 0; col < doc.width; col++) codes.push(Math.max(0, doc.codeAt(row, col)));
  return codes;
}"""
PLACE = """([row, col]) => {
  const [x, y] = painting.viewer.toCanvas(row + 0.5, col + 0.5);
  const box = painting.viewer.over.getBoundingClientRect();
  return [box.left + x, box.top + y];
}"""


def drag(page, *places):
    """Drag over pixels of the image."""
    page.mouse.move(*page.evaluate(PLACE, places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*page.evaluate(PLACE, place), steps=4)
    page.mouse.up()


def test_a_page_goes_on_after_its_server_was_killed(pictures, chromium):
    """Paint that was acknowledged is there again, and paint since then is sent."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    with process(pictures) as (running, url):
        page.goto(url)
        page.wait_for_selector("body[data-image='0']", timeout=120_000)
        page.keyboard.press("B")
        drag(page, (10, 10), (20, 60))
        page.keyboard.press("2")
        drag(page, (60, 20), (40, 90))
        wait_until(page, lambda: page.evaluate("painting.store.waiting") == 0)
        acknowledged = page.evaluate(SHOWN)
        page.route("**/api/commands", lambda route: route.abort())
        page.keyboard.press("3")
        drag(page, (50, 50), (70, 70))
        running.kill()
        running.wait(30)
    page.wait_for_selector("#banner:has-text('No connection')")
    page.keyboard.press("R")
    drag(page, (5, 90), (15, 110))
    wait_until(page, lambda: page.evaluate("painting.store.waiting") == 2)
    page.unroute("**/api/commands")
    with process(pictures, port=url.split(":")[2].split("/")[0]) as (_, again):
        page.wait_for_selector("#banner:has-text('refused')")
        other = context.new_page()
        other.goto(again)
        other.wait_for_selector("body[data-image='0']", timeout=120_000)
        assert other.evaluate(SHOWN) == acknowledged
        page.locator(".lock button").click(timeout=60_000)
        wait_until(page, lambda: page.evaluate("painting.store.waiting") == 0)
        shown = np.array(page.evaluate(SHOWN))
        assert {1, 2, 3} <= set(np.unique(shown & 0xFFFF))
        assert (shown.reshape(80, 120)[5:16, 90:111] == 3).all()
        wait_until(page, lambda: other.evaluate(SHOWN) == shown.tolist())
        assert Mirror(Client(again, "end"), 0).pixels().ravel().tolist() == shown.tolist()
    context.close()


def test_a_page_that_still_sends_asks_before_it_is_left(pictures, chromium):
    with process(pictures) as (_, url):
        page = chromium.new_page()
        page.goto(url)
        page.wait_for_selector("body[data-image='0']", timeout=120_000)
        held = Held(page, "**/api/commands")
        page.keyboard.press("B")
        drag(page, (10, 10), (20, 60))
        leave = "dispatchEvent(new Event('beforeunload', { cancelable: true }))"
        held.wait()
        assert page.evaluate(leave) is False
        held.release()
        wait_until(page, lambda: page.evaluate("painting.store.waiting") == 0)
        assert page.evaluate(leave) is True
        page.close()
