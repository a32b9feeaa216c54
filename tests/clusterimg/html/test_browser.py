"""The report page in a real browser: no error, keys, search, phones, and 10,000 images."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from icas.cli.console import Console
from icas.clusterimg.api.functions import method_of
from icas.clusterimg.clustering.cohesion import Certificate
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import ImageRef
from icas.clusterimg.html.page import report_page
from icas.clusterimg.html.thumbnails import MOST
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.thresholds.sample import Sample

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
DESK = {"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": False}

# the browser reads commands from file 3 and answers on file 4
START = """
import os, sys
given, told = os.dup(int(sys.argv[1])), os.dup(int(sys.argv[2]))
given, told = os.dup(given), os.dup(told)
os.dup2(given, 3); os.dup2(told, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """A headless browser with one page, spoken to over its devtools pipe."""

    def __init__(self, program: str, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        flags += [f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(ours[0]), str(theirs[1]), program, *flags],
            pass_fds=(ours[0], theirs[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.to, self.back = os.fdopen(ours[1], "wb"), os.fdopen(theirs[0], "rb")
        self.number, self.buffer, self.session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Performance"):
            self.call(f"{domain}.enable")

    def call(self, command: str, **given: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; events on the way are kept."""
        self.number += 1
        message = {"id": self.number, "method": command, "params": given}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self._message()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            read = self.back.read1(1 << 20)
            assert read, "the browser has gone"
            self.buffer += read
        one, _, self.buffer = self.buffer.partition(b"\0")
        return dict(json.loads(one))

    def open(self, page: Path, screen: dict[str, Any], *, dark: bool = False) -> None:
        """Show a file and wait until it is loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; of a promise what it is kept with."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key, and wait until the page was drawn again."""
        code = {"Tab": 9, "Escape": 27, "ArrowRight": 39}.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            given = {"text": text} if text and kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **given
            )
        self.settle()

    def settle(self) -> None:
        """Wait for two frames."""
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def picture(self, file: Path) -> None:
        """Write what is seen as PNG."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Errors and warnings that the page gave since it was opened."""
        told = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in told]

    def close(self) -> None:
        self.session = ""
        self.call("Browser.close")
        self.process.wait(30)
        self.to.close()
        self.back.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None or os.name == "nt":
        pytest.skip("no chromium")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def make_folder(folder: Path, count: int, side: int = 160) -> list[str]:
    """Small JPEGs: families of 1 to 40 pictures, each a gradient of its own with other noise."""
    random = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    up, across = np.mgrid[0:side, 0 : side * 4 // 3]
    names = []
    for number in range(count):
        shift, turn = (number // 20) % 97, (number // 20) % 89
        waves = np.sin(up / (5 + shift)) + np.cos(across / (5 + turn))
        picture = 128 + 50 * waves[:, :, None] + random.normal(0, 12, (*waves.shape, 3))
        name = f"IMG_{number:05}.jpg"
        assert cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
        names.append(name)
    return names


def make_report(names: list[str], **changed: Any) -> ClusterReport:
    """A report with clusters of 40, 20, 10 … images, outliers, and a sample of random hashes."""
    sizes = [40, 20, 10, 5, 3, 2]
    labels = np.full(len(names), -1, np.int64)
    start, certificates = 0, []
    for cluster in range(len(names)):
        size = sizes[cluster % len(sizes)]
        if start + size > len(names) * 0.9:
            break
        labels[start : start + size] = cluster
        bridge = (size - 2, 2) if cluster % 5 == 2 else None
        certificates.append(Certificate(cluster, size, 0.81, 0.76, names[start], bridge))
        start += size
    drawn = np.linspace(0, len(names) - 1, min(len(names), 300)).round().astype(int)
    codes = np.random.default_rng(0).integers(0, 256, (len(drawn), 8), dtype=np.uint8)
    files = tuple(names[image] for image in drawn)
    codes[labels[drawn] >= 0] = codes[0] ^ (codes[labels[drawn] >= 0] & 17)
    features = replace(FeatureSet.from_bits(codes), files=files)
    plain = ClusterReport(
        dst=Path("sorted"),
        method="imagehash",
        threshold=0.85,
        threshold_reason="as given",
        files=tuple(names),
        labels=labels,
        batch=np.zeros(len(names), np.int64),
        representative=np.zeros(len(names), np.bool_),
        certificates=tuple(certificates),
        unreadable=(),
        ignored=(),
        comparisons={"possible": 4950, "made": 4000, "skipped": 950},
        seconds={"scan": 0.5, "features": 1.25, "links": 2.0, "merge": 0.0, "transfer": 0.0},
        peak_memory_mb=123.4,
        settings={"transfer": "copy", "stage": "all", "jobs": 2, "size": None},
        options={"hash_size": 8},
        source="/home/someone/holiday",
        sample=Sample.of(method_of(features), features, len(names)),
    )
    return replace(plain, **changed)


def write_page(folder: Path, count: int) -> Path:
    names = make_folder(folder, count)
    images = [ImageRef(folder / name, name) for name in names]
    page = folder / "report.html"
    page.write_bytes(report_page(make_report(names), images, 10_000_000, Console()))
    return page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("few"), 120)


FOCUS = "document.activeElement.id || document.activeElement.getAttribute('href')"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHOWN = "document.querySelectorAll('article:not([hidden])').length"


@pytest.mark.parametrize("screen", [DESK, PHONE, {**PHONE, "width": 320}])
def test_the_page_fits_and_does_not_complain(
    browser: Browser, page: Path, screen: dict[str, Any]
) -> None:
    for dark in (False, True):
        browser.open(page, screen, dark=dark)
        assert browser.run(WIDER) == 0
        assert browser.complaints == []


def test_keys_reach_all_that_can_be_done(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    reached = []
    for _ in range(11):
        browser.press("Tab")
        reached.append(browser.run(FOCUS))
        outline = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached
    tiles = ["#clusters", "#clusters", "#outliers", "#unreadable"]
    assert reached[:8] == ["#clusters", *tiles, "query", "#pairs", "probe"]


def test_slash_searches_and_escape_clears(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    every = browser.run(SHOWN)
    browser.press("/", "/")
    assert browser.run(FOCUS) == "query"
    for letter in "00041":
        browser.press(letter, letter)
    assert browser.run("found.textContent") == "1 file, in 1 cluster"
    assert browser.run(SHOWN) == 1
    browser.press("Escape")
    assert browser.run("query.value + found.textContent") == ""
    assert browser.run(SHOWN) == every
    assert browser.complaints == []


def test_a_threshold_can_be_tried(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    assert browser.run("probed.textContent").startswith("0.85: ")
    assert browser.run("document.querySelectorAll('line.probe:not([hidden])').length") == 0
    browser.run("probe.focus()")
    browser.press("ArrowRight")
    assert not browser.run("probed.textContent").startswith("0.85: ")
    assert browser.run("document.querySelectorAll('line.probe:not([hidden])').length") == 2
    assert browser.run("probe.getAttribute('aria-valuetext') === probed.textContent")


def test_a_printed_page_shows_every_cluster(browser: Browser, page: Path) -> None:
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser.open(page, DESK)
    browser.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert browser.run("getComputedStyle(document.body).color") == "rgb(26, 30, 38)"
    assert browser.run("getComputedStyle(bar).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('article')).contentVisibility") == (
        "visible"
    )
    printed = base64.b64decode(browser.call("Page.printToPDF")["data"])
    browser.call("Emulation.setEmulatedMedia", media="")
    assert printed.startswith(b"%PDF")


@pytest.mark.slow
def test_ten_thousand_images_open_and_scroll(browser: Browser, tmp_path: Path) -> None:
    page = write_page(tmp_path, 10_000)
    assert page.stat().st_size < 30e6
    browser.open(page, DESK)
    assert browser.complaints == []
    assert browser.run("document.querySelectorAll('.group .file .name').length") == 10_000
    assert browser.run("document.images.length") <= MOST
    seen = browser.run(
        "(async () => { const seen = [];"
        " for (let y = 0; y < document.body.scrollHeight; y += 20000) {"
        "  scrollTo(0, y); await new Promise(r => setTimeout(r, 20)); seen.push(scrollY); }"
        " return seen; })()"
    )
    assert len(seen) > 5
    assert all(later > earlier for earlier, later in pairwise(seen[:-1]))
    browser.run("document.querySelector('#pairs').scrollIntoView()")
    browser.settle()
    assert browser.run(
        "[...document.querySelectorAll('.near img')].slice(0, 2).every(image => image.complete)"
    )
    assert browser.complaints == []
