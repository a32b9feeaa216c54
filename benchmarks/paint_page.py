"""The painting page of ``segmentimg serve`` on images of 12 megapixels, in headless Chromium.

``python benchmarks/paint_page.py`` makes its own images and starts the server as a process. It
measures the work of the page for a hover, a fill and a stroke, frames while the view is zoomed and
moved, the time until an image that was computed ahead is shown, the memory of page and server, and
a strip of 50,000 files. ``--sam ENCODER.onnx,DECODER.onnx`` adds clicks of MobileSAM.

A hover or fill is the time of its event handlers and of the frame that they cause; "shown" is the
time from the event to the end of that frame, with the wait for the frame (up to 17 ms). "processor"
is the processor time of the page's main thread for each event, which other programs do not change.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1280, "height": 800}
SHAPES = ((3000, 4000), (3000, 4000), (2448, 4912), (2448, 4912))
"""Up to 4,096 pixels the page loads an image whole, else in tiles."""
EVENTS = 150
FILES = 50_000
HANG = 120.0
TICK = os.sysconf("SC_CLK_TCK")

# handlers of pointer events, and the frame that follows, in milliseconds
WATCH = """() => {
  window.work = []; window.shown = [];
  const after = new MessageChannel();
  let begun = 0, handled = 0, frame = 0, waiting = false;
  after.port1.onmessage = () => {
    const now = performance.now();
    window.work.push(handled + now - frame);
    window.shown.push(now - begun);
    waiting = false; handled = 0;
  };
  for (const type of ['pointermove', 'pointerdown', 'pointerup']) {
    let start = 0;
    addEventListener(type, event => {
      start = performance.now();
      if (!waiting) begun = event.timeStamp;
    }, true);
    addEventListener(type, () => {
      handled += performance.now() - start;
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { frame = performance.now(); after.port2.postMessage(0); });
    });
  }
}"""
# milliseconds between frames while something changes the view in each of them
FRAMES = """([kind, count]) => new Promise(done => {
  const { viewer } = painting, times = [];
  let step = 0, last = performance.now();
  const frame = now => {
    times.push(now - last);
    last = now;
    if (step++ >= count) return done(times.slice(3));
    if (kind === 'zoom') {
      const x = viewer.width * (.3 + .4 * (step % 7) / 7);
      viewer.zoom(step % 60 < 30 ? 1.12 : 1 / 1.12, x, viewer.height / 2);
    }
    else viewer.pan(step % 80 < 40 ? -23 : 23, step % 50 < 25 ? -17 : 17);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""
# milliseconds until another image is drawn
OPEN = """step => new Promise(done => {
  const start = performance.now(), { store } = painting;
  store.on('doc', () => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = () => done(performance.now() - start);
    after.port2.postMessage(0);
  }), AbortSignal.timeout(60000));
  void store.step(step);
})"""
SCROLL = """count => new Promise(done => {
  const strip = document.querySelector('.strip-images');
  const times = [];
  let step = 0, last = performance.now();
  const frame = now => {
    times.push(now - last);
    last = now;
    if (step++ >= count) return done(times.slice(3));
    strip.scrollLeft += 400;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def photograph(shape: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """A scene of smooth regions with texture, such as a photograph has."""
    rng = np.random.default_rng(seed)
    rows, cols = shape
    scene = np.zeros((rows, cols, 3), np.float32)
    for cells, share in ((6, 130), (40, 60), (300, 30), (1500, 12)):
        noise = rng.random((max(2, cells * rows // cols), cells, 3), np.float32)
        scene += share * cv2.resize(noise, (cols, rows), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        center = int(rng.integers(cols)), int(rng.integers(rows))
        axes = tuple(int(one) for one in rng.integers(60, 500, 2))
        color = [float(one) for one in rng.integers(0, 255, 3)]
        angle = float(rng.integers(180))
        layer = np.zeros((rows, cols), np.uint8)
        cv2.ellipse(layer, center, axes, angle, 0, 360, 255, -1)
        inside = layer > 0
        scene[inside] = 0.45 * scene[inside] + 0.55 * np.float32(color)
    return scene.clip(0, 255).astype(np.uint8)


def line(what: str, values: list[float], limit: float | None = None) -> None:
    """Print the median, the 95th percentile and the maximum of some milliseconds."""
    middle, high = np.percentile(values, [50, 95])
    aim = "" if limit is None else f"{limit:g}"
    print(f"| {what} | {middle:.1f} | {high:.1f} | {max(values):.1f} | {aim} |", flush=True)


def processor(process: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(process: int) -> float:
    """Private megabytes of a process."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kinds = dict(row.split(":") for row in rollup)
    return sum(int(kinds[k].split()[0]) for k in ("Private_Clean", "Private_Dirty")) / 1024


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[str, int]]:
    """The address and the process of a server."""
    program = [sys.executable, "-m", "icas.segmentimg", "serve", str(folder), "--no-browser"]
    with subprocess.Popen([*program, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = None
            for text in process.stdout:
                if url := re.search(r"http://\S+", text):
                    break
            if url is None:
                sys.exit("the server did not start")
            yield url.group(), process.pid
        finally:
            process.terminate()


def until(page: Page, expression: str, seconds: float = HANG) -> None:
    """Wait until an expression of the page is true."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            sys.exit(f"not after {seconds:g} s: {expression}")
        page.wait_for_timeout(50)


def idle(process: int) -> None:
    """Wait until a process does nothing."""
    used = -1.0
    while processor(process) - used > 0.1:
        used = processor(process)
        time.sleep(2)


def opened(page: Page, number: int) -> None:
    """Wait until an image is shown, and drawn sharply."""
    page.wait_for_selector(f"body[data-image='{number}']", timeout=1000 * HANG)
    page.wait_for_timeout(1500)


def main_thread(browser: Any) -> Path:
    """The file that counts the processor time of the main thread of the page."""
    found = []
    for one in browser.send("SystemInfo.getProcessInfo")["processInfo"]:
        if one["type"] == "renderer":
            path = Path(f"/proc/{one['id']}/task/{one['id']}/schedstat")
            found.append((used(path), path))
    return max(found)[1]


def used(path: Path) -> float:
    """Milliseconds of processor time, from a file of `main_thread`."""
    return int(path.read_text().split()[0]) / 1e6


def pages(browser: Any, what: str, server: int) -> None:
    """Print the memory of the page's process and of the server."""
    most = max(
        memory(one["id"])
        for one in browser.send("SystemInfo.getProcessInfo")["processInfo"]
        if one["type"] == "renderer"
    )
    print(f"memory {what}: page {most:.0f} MB, server {memory(server):.0f} MB", flush=True)


def pointer(page: Page, rng: np.random.Generator) -> tuple[float, float]:
    """A place over the canvas."""
    x, y = rng.random(2)
    return 220 + 620 * x, 180 + 400 * y


def events(page: Page, browser: Any, name: str) -> None:
    """Hover, fill, draw, zoom and pan on the image that is open."""
    rng = np.random.default_rng(0)
    thread = main_thread(browser)

    def measured(what: str, count: int, act: Callable[[int], None], limit: float | None) -> None:
        page.evaluate("window.work.length = window.shown.length = 0")
        taken = []
        for number in range(count):
            page.mouse.move(*pointer(page, rng))
            time.sleep(0.03)
            before = used(thread)
            act(number)
            time.sleep(0.05)
            taken.append(used(thread) - before)
        work, shown = page.evaluate("[window.work, window.shown]")
        line(f"{name}: {what}", work, limit)
        line(f"{name}: {what}, shown", shown)
        line(f"{name}: {what}, processor", taken, limit)
        until(page, "painting.store.waiting === 0")

    def hover(_: int) -> None:
        page.mouse.move(*places[next(turn)])

    def fill(number: int) -> None:
        page.mouse.down()
        page.mouse.up()
        if number % 20 == 19:
            page.keyboard.press(str(1 + number // 20))

    places = [pointer(page, rng) for _ in range(EVENTS)]
    for scale in ("whole", "enlarged"):
        turn = iter(range(EVENTS))
        measured(f"hover, {scale}", EVENTS, hover, 16)
        measured(f"fill, {scale}", EVENTS // 2, fill, 16)
        page.keyboard.press("b")
        page.mouse.move(*pointer(page, rng))
        page.mouse.down()
        turn = iter(range(EVENTS))
        measured(f"brush, {scale}", EVENTS // 3, hover, None)
        page.mouse.up()
        until(page, "painting.store.waiting === 0")
        page.keyboard.press("b")
        page.evaluate("painting.viewer.zoom(6)")
        page.wait_for_timeout(1000)
    page.keyboard.press("0")
    for kind in ("zoom", "pan"):
        if kind == "pan":
            page.evaluate("painting.viewer.zoom(4)")
            page.wait_for_timeout(500)
        before = used(thread)
        times = page.evaluate(FRAMES, [kind, 240])
        line(f"{name}: frame of a {kind}", times, 20)
        print(f"{kind}: {(used(thread) - before) / 240:.1f} ms of processor time a frame")
    page.keyboard.press("0")


def large(page: Page, browser: Any, folder: Path, words: list[str]) -> None:
    """Images of 12 megapixels."""
    with served(folder, *words) as (url, server):
        start = time.monotonic()
        page.goto(url)
        opened(page, 0)
        print(f"first image segmented and shown after {time.monotonic() - start - 1.5:.1f} s")
        page.evaluate(WATCH)
        print("| milliseconds | median | p95 | most | limit |")
        print("|---|---|---|---|---|", flush=True)
        events(page, browser, "4000 x 3000")
        pages(browser, "after painting one image", server)
        times = []
        for step in (1, 1, 1, -1, -1, -1):
            number = page.evaluate("painting.store.current") + step
            until(page, f"fetch('api/doc/{number}').then(answer => answer.status === 200)")
            page.wait_for_timeout(2500)  # the page takes what was computed ahead
            times.append(page.evaluate(OPEN, step))
            opened(page, number)
        line("next image, computed ahead", times, 300)
        pages(browser, "after four images", server)
        page.evaluate("painting.store.open(2)")
        opened(page, 2)
        events(page, browser, "4912 x 2448, tiles")
        pages(browser, "at the end", server)


def clicks(page: Page, folder: Path, model: str) -> None:
    """Clicks of MobileSAM, by the processor time of the server."""
    with served(folder, "--sam-checkpoint", model) as (url, server):
        page.goto(url)
        opened(page, 0)
        before = processor(server)
        page.keyboard.press("S")
        ask = """body => fetch('api/prompt', {method: 'POST', body: JSON.stringify(body),
            headers: {'Content-Type': 'application/json', 'X-Icas': '1'}})
            .then(answer => answer.status)"""
        body: dict[str, Any] = {"image": 0, "tool": "sam", "points": [], "box": None}
        while page.evaluate(ask, body) == 202:
            page.wait_for_timeout(200)
        idle(server)  # images ahead are segmented and embedded too
        print(f"embeddings of this image and those ahead: {processor(server) - before:.1f} s")
        used, taken = [], []
        rng = np.random.default_rng(1)
        for serial in range(30):
            row, col = int(rng.integers(SHAPES[0][0])), int(rng.integers(SHAPES[0][1]))
            begun, start = processor(server), time.monotonic()
            status = page.evaluate(ask, {**body, "points": [[row, col, 1]], "serial": serial})
            assert status == 200, status
            taken.append(time.monotonic() - start)
            used.append(processor(server) - begun)
        line("MobileSAM: processor time of a click", [1000 * one for one in used], 400)
        line("MobileSAM: answer to a click", [1000 * one for one in taken])


def many(page: Page, browser: Any, folder: Path) -> None:
    """A strip of 50,000 files: one small image under many names."""
    first = folder / "img00000.jpg"
    cv2.imwrite(str(first), photograph((120, 160), 9))
    for number in range(1, FILES):
        os.link(first, folder / f"img{number:05}.jpg")
    start = time.monotonic()
    with served(folder) as (url, server):
        print(f"{FILES:,} files: server after {time.monotonic() - start:.1f} s")
        start = time.monotonic()
        page.goto(url)
        page.wait_for_selector("body[data-image='0']", timeout=1000 * HANG)
        shown = time.monotonic() - start
        until(page, f"painting.store.files.length === {FILES}")
        print(f"first image {shown:.1f} s, all names {time.monotonic() - start:.1f} s")
        line("strip: frame while it scrolls", page.evaluate(SCROLL, 200), 20)
        times = [page.evaluate(OPEN, step) for step in (FILES - 1, -1, -1, -20_000, 1, 1)]
        line("strip: open an image far away or beside", times)
        pages(browser, f"at {FILES:,} files", server)


def measure(parts: list[str], model: str | None) -> None:
    """All figures."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        browser: Any = started.new_browser_cdp_session()
        big, small = folder / "large", folder / "many"
        big.mkdir()
        small.mkdir()
        if {"large", "sam"} & set(parts):
            for number, shape in enumerate(SHAPES):
                cv2.imwrite(str(big / f"scene{number}.jpg"), photograph(shape, number))
        if "large" in parts:
            large(started.new_page(viewport=SIZE), browser, big, [])
        if "sam" in parts and model:
            clicks(started.new_page(viewport=SIZE), big, model)
        if "many" in parts:
            many(started.new_page(viewport=SIZE), browser, small)
        started.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sam", help="model of Segment Anything: ENCODER.onnx,DECODER.onnx")
    parser.add_argument("--parts", default="large,sam,many", help="what to measure")
    given = parser.parse_args()
    measure(given.parts.split(","), given.sam)
