"""A small finished run, the server of its review, and a page of Chromium.

`server` runs in this process on a copy of the run that a test may change; `client` talks to it as
a program; `page` is the opened page in Chromium.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import icas

KINDS = ("bars", "boxes", "crosses", "discs", "rings", "waves")
BROWSERS = {
    "chromium": ("/usr/bin/chromium", "/usr/bin/chromium-browser"),
    "firefox": ("/usr/bin/firefox-esr", "/usr/bin/firefox"),
}


def drawing(kind: str, side: int = 96) -> np.ndarray:
    """A gray pattern, (side, side) float in [0, 1]."""
    y, x = np.mgrid[0:side, 0:side] / side
    radius = np.hypot(x - 0.45, y - 0.55)
    return {
        "bars": (abs(x + 0.4 * y - 0.8) < 0.18) * 1.0,
        "boxes": ((abs(x - 0.3) < 0.2) & (abs(y - 0.6) < 0.3)) * 1.0,
        "crosses": ((abs(x - 0.6) < 0.12) | (abs(y - 0.3) < 0.1)) * 1.0,
        "discs": (radius < 0.3) * 1.0,
        "rings": (np.floor(radius * 8) % 2),
        "waves": (np.sin(9 * y + 4 * np.sin(5 * x)) + 1) / 2,
    }[kind]


def make_folder(folder: Path, each: int = 6) -> dict[str, str]:
    """Variants of six patterns in color and four images of noise; the kind of each file."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    kinds = {}
    for number, kind in enumerate(KINDS):
        ground, ink = rng.integers(0, 100, 3), rng.integers(150, 256, 3)
        for variant in range(each):
            pattern = drawing(kind)[..., None]
            noise = rng.normal(0, 4 + variant, (96, 96, 3))
            image = ground + pattern * (ink - ground) + noise + 3 * variant
            name = f"img{number + variant * len(KINDS):02}.png"
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name)
            kinds[name] = kind
    for number in range(4):
        noise = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
        name = f"other{number}.jpg"
        Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(folder / name)
        kinds[name] = f"other{number}"
    return kinds


@pytest.fixture(autouse=True)
def _extras() -> None:
    """Tests of the server are left out where what they need is not installed."""
    for name in ("starlette", "uvicorn"):
        pytest.importorskip(name, reason=f"no {name}: pip install 'icas[web]'")
    pytest.importorskip("httpx", reason="no httpx: pip install httpx")


@pytest.fixture(scope="session")
def kinds(run_folder: Path) -> dict[str, str]:
    """The kind of each image, by file name."""
    rows = (run_folder / "kinds.txt").read_text().splitlines()
    return dict(row.split("\t") for row in rows)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `images` and the finished run `sorted`: 6 clusters of 6, 4 outliers."""
    folder = tmp_path_factory.mktemp("review")
    kinds = make_folder(folder / "images")
    rows = (f"{file}\t{kind}\n" for file, kind in kinds.items())
    (folder / "kinds.txt").write_text("".join(rows))
    icas.cluster(
        folder / "images",
        method="imagehash",
        threshold=0.75,
        dst=folder / "sorted",
        cache=folder / "cache",
        jobs=1,
    )
    return folder


@pytest.fixture
def finished(run_folder: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change; constraints and names of other tests are gone."""
    for path in (run_folder / "cache").glob("decisions.db*"):
        path.unlink()
    folder = tmp_path / "sorted"
    shutil.copytree(run_folder / "sorted", folder)
    return folder


class Client:
    """A program that uses the server: the cookie, the headers, and the current revision."""

    def __init__(self, url: str, name: str = "client") -> None:
        import httpx

        self.url, self.base = url, url.partition("/?")[0]
        headers = {"Origin": self.base, "X-Icas": "1"}
        self.http = httpx.Client(base_url=self.base, headers=headers, timeout=60)
        assert self.http.get(url).status_code == 303
        self._ids = (f"{name}-{number}" for number in count())
        self.rev = self.state()["rev"]

    def get(self, path: str) -> Any:
        """The JSON answer of a GET request that succeeds."""
        answer = self.http.get(f"/api/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> Any:
        """The whole state."""
        return self.get("state")

    def post(self, path: str, **body: Any) -> Any:
        """The answer of a POST request, whatever its status."""
        content = {"rev": self.rev, "id": next(self._ids), **body}
        return self.http.post(f"/api/{path}", json=content)

    def done(self, path: str, **body: Any) -> Any:
        """The JSON answer of a POST request that succeeds."""
        answer = self.post(path, **body)
        assert answer.status_code == 200, answer.text
        self.rev = answer.json().get("rev", self.rev)
        return answer.json()

    def command(self, op: str, **args: Any) -> Any:
        """The JSON answer of a command that succeeds."""
        return self.done("commands", op=op, args=args)


def press_at_once(page: Any, *keys: str) -> None:
    """Press keys with nothing between them, as a busy browser hands them on."""
    page.evaluate(
        """async keys => { for (const key of keys) {
            const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
            (document.activeElement ?? document.body).dispatchEvent(event);
            for (let i = 0; i < 50; i++) await null;
        } }""",
        list(keys),
    )


class Held:
    """Requests to some address, held until `release`; `seen`: how many came."""

    def __init__(self, page: Any, address: str) -> None:
        self._page, self._address = page, address
        self._waiting: list[Any] = []
        self._open = False
        page.route(address, self._handle)

    @property
    def seen(self) -> int:
        return len(self._waiting)

    def _handle(self, route: Any) -> None:
        if self._open:
            route.continue_()
        else:
            self._waiting.append(route)

    def wait(self, count: int = 1) -> None:
        """Wait until that many requests are held."""
        wait_until(self._page, lambda: self.seen >= count)

    def release(self) -> None:
        """Let those held and all later ones go."""
        self._open = True
        for route in self._waiting:
            route.continue_()


def wait_until(page: Any, holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something holds: other programs may use the processor."""
    for _ in range(int(seconds * 20)):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it does not hold after {seconds:g} s")


@pytest.fixture
def client_of() -> type[Client]:
    """Makes programs that use a server, by its address."""
    return Client


@pytest.fixture
def server(finished: Path) -> Iterator[Any]:
    """The running server of the review of `finished`."""
    pytest.importorskip("uvicorn", reason="no uvicorn: pip install 'icas[web]'")
    pytest.importorskip("starlette", reason="no starlette: pip install 'icas[web]'")
    from icas.web.review import serving

    with serving(finished) as running:
        running.start()
        yield running
        running.stop()


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """A program that uses `server`."""
    pytest.importorskip("httpx", reason="no httpx: pip install httpx")
    one = Client(server.address.url)
    yield one
    one.http.close()


def launched(kind: str) -> Iterator[Any]:
    """A headless browser of the system."""
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    path = next((path for path in BROWSERS[kind] if os.access(path, os.X_OK)), None)
    if path is None:
        pytest.skip(f"no {kind} at {' or '.join(BROWSERS[kind])}")
    flags = ["--no-sandbox", "--disable-gpu"] if kind == "chromium" else []
    with api.sync_playwright() as playwright:
        browser = getattr(playwright, kind).launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Headless Chromium, started once."""
    yield from launched("chromium")


@pytest.fixture
def page(chromium: Any, server: Any) -> Iterator[Any]:
    """The page of `server` in Chromium; a test fails where the page reported an error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    opened.goto(server.address.url)
    opened.errors = errors
    yield opened
    context.close()
    assert not errors, errors


@pytest.fixture
def painting_server(tmp_path: Path) -> Iterator[Any]:
    """The running server of two small photographs to paint."""
    from skimage import data as samples

    from icas.segmentimg.settings import SegmentSettings
    from icas.web.painting import serving

    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("astronaut", "coffee"):
        image = Image.fromarray(getattr(samples, name)())
        image.resize((150, 100)).save(folder / f"{name}.png")
    with serving([folder], SegmentSettings(options={"region_size": 12})) as running:
        running.start()
        yield running
        running.stop()


@pytest.fixture
def open_painting(chromium: Any, painting_server: Any) -> Iterator[Any]:
    """Opens the painting page in a new tab; a test fails where a page reported an error."""
    contexts: list[Any] = []
    errors: list[str] = []

    def heard(line: Any) -> None:
        # the browser itself reports each answer that refuses something
        if line.type == "error" and "Failed to load resource" not in line.text:
            errors.append(line.text)

    def open_page(context: Any = None, **given: Any) -> Any:
        if context is None:
            context = chromium.new_context(viewport={"width": 1280, "height": 800}, **given)
            contexts.append(context)
        opened = context.new_page()
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", heard)
        opened.goto(painting_server.address.url)
        opened.wait_for_selector("body[data-image]", timeout=120_000)
        return opened

    yield open_page
    for context in contexts:
        context.close()
    assert not errors, errors
