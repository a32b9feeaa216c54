"""The page of a review at 100,000 images, in headless Chromium.

``python benchmarks/review_page.py FOLDER`` uses the result that ``review.py scale FOLDER`` left and
measures, over a server of its own: the first paint, the time from a key to the frame that shows the
next cluster, the time of a frame while the threshold slider moves, and the memory of the page.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import CDPSession, Page, sync_playwright

from icas.web.review import serving

CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1280, "height": 800}
KEYS = 120

# milliseconds from a key to the first task after the frame that it caused
WATCH = """() => {
  window.keyTimes = [];
  const after = new MessageChannel();
  const waiting = [];
  after.port1.onmessage = () => {
    for (const start of waiting.splice(0)) window.keyTimes.push(performance.now() - start);
  };
  addEventListener('keydown', event => {
    const start = event.timeStamp;
    requestAnimationFrame(() => { waiting.push(start); after.port2.postMessage(0); });
  }, true);
}"""
# milliseconds between frames while the slider moves through its range
SLIDE = """() => new Promise(done => {
  const slider = document.querySelector('.screen.threshold input[type=range]');
  const low = Number(slider.min), high = Number(slider.max), times = [];
  let step = 0, last = performance.now();
  const frame = now => {
    times.push(now - last);
    last = now;
    slider.value = low + (high - low) * (step / 200);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    if (++step <= 200) requestAnimationFrame(frame); else done(times.slice(5));
  };
  requestAnimationFrame(frame);
})"""


def line(what: str, values: list[float], busy: float = float("nan")) -> None:
    """Print the median, the 95th percentile and the maximum of some milliseconds."""
    middle, high = np.percentile(values, [50, 95])
    print(f"| {what} | {middle:.1f} | {high:.1f} | {max(values):.1f} | {busy:.1f} |", flush=True)


def work(browser: CDPSession) -> float:
    """Milliseconds of processor time that the main thread of the page has taken."""
    taken = []
    for process in browser.send("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] == "renderer":
            number = process["id"]
            schedule = Path(f"/proc/{number}/task/{number}/schedstat").read_text()
            taken.append(int(schedule.split()[0]) / 1e6)
    return max(taken)


def keys(
    page: Page, browser: CDPSession, what: str, pressed: list[str], *, settled: bool = False
) -> None:
    """Press keys at reading speed and print how long each took."""
    page.evaluate("window.keyTimes.length = 0")
    before = work(browser)
    for key in pressed:
        page.keyboard.press(key)
        page.wait_for_timeout(40)
        if settled:
            page.wait_for_selector("body:not([data-waiting])")
    line(what, page.evaluate("window.keyTimes"), (work(browser) - before) / len(pressed))


def memory(cdp: CDPSession, browser: CDPSession, what: str) -> None:
    """Print the JavaScript heap and the memory of the renderer process."""
    cdp.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
    heap = metrics["JSHeapUsedSize"] / 2**20
    private = []
    for process in browser.send("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] == "renderer":
            rollup = Path(f"/proc/{process['id']}/smaps_rollup").read_text().splitlines()
            kinds = dict(row.split(":") for row in rollup[1:])
            private.append(
                sum(int(kinds[kind].split()[0]) for kind in ("Private_Clean", "Private_Dirty"))
            )
    print(f"memory {what}: heap {heap:.0f} MB, renderer {max(private) / 1024:.0f} MB", flush=True)


def first_paint(page: Page, url: str) -> None:
    """Print when the first content, the rows and the images of the first view are there."""
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".row.current")
    rows = page.evaluate("performance.now()")
    page.wait_for_function(
        """() => [...document.querySelectorAll('.row:not([hidden]) .row-image:not([hidden]) img')]
            .every(image => image.complete && image.naturalWidth)"""
    )
    images = page.evaluate("performance.now()")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    print(f"first paint {paint:.0f} ms, rows {rows:.0f} ms, their images {images:.0f} ms")


def measure(result: Path) -> None:
    """All figures."""
    with serving(result) as server, sync_playwright() as playwright:
        server.start()
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        browser: Any = started.new_browser_cdp_session()
        page = started.new_page(viewport=SIZE)
        for _ in range(3):
            first_paint(page, server.address.url)
            page.goto("about:blank")
        page.goto(server.address.url)
        page.wait_for_selector(".row.current")
        cdp = page.context.new_cdp_session(page)
        cdp.send("Performance.enable")
        page.evaluate(WATCH)
        print("| ms from a key to its frame | median | p95 | most | processor ms of the page |")
        print("|---|---|---|---|---|")
        keys(page, browser, "next cluster (j)", ["j"] * KEYS)
        keys(page, browser, "a page down", ["PageDown"] * KEYS)
        page.keyboard.press("n")
        page.keyboard.type("cat")
        page.keyboard.press("Enter")
        page.wait_for_selector(".class-key")
        keys(page, browser, "name the cluster, next one (1)", ["1"] * KEYS)
        keys(page, browser, "undo (z)", ["z"] * 40, settled=True)
        memory(cdp, browser, "after the keys")
        page.keyboard.press("Enter")
        page.wait_for_selector(".tile.current")
        keys(page, browser, "next cluster opened (])", ["]"] * KEYS)
        keys(page, browser, "name the opened cluster, next one (1)", ["1"] * 60)
        page.evaluate("location.hash = '#/cluster/outliers'")
        page.wait_for_selector(".loose .tile.current")
        keys(page, browser, "a page of outliers", ["PageDown"] * KEYS)
        memory(cdp, browser, "after the outliers")
        page.evaluate("location.hash = '#/threshold'")
        page.wait_for_selector(".screen.threshold input[type=range]")
        page.wait_for_timeout(3000)
        line("frame while the slider moves", page.evaluate(SLIDE))
        memory(cdp, browser, "after the slider")
        started.close()
        server.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    given = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=given) as temporary:
        copy = Path(temporary) / "sorted"
        shutil.copytree(given / "sorted", copy)
        shutil.rmtree(copy / ".icas" / "review", ignore_errors=True)
        measure(copy)
