"""Take the screenshots of ``clusterimg review`` for the documentation.

    python scripts/review_screenshots.py [--to docs/images] [--size 1280x800] [--theme light]

It needs the extra ``web``, Playwright and Chromium. The images are the samples of scikit-image.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any

import cv2
import httpx
import numpy as np
from PIL import Image

import icas
from icas.cli.console import Console
from icas.clusterimg.commands.demo import make_mixed_folder
from icas.web.review import serving

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser")
MOST_BYTES = 150_000
"""Bytes of a screenshot in the repository."""
TEST_SHARE = 4
"""One image in so many is in the folder of the test split."""


def make_folder(folder: Path) -> dict[str, str]:
    """Samples of scikit-image in ``train`` and ``test``, some of them bad; class of each file."""
    with TemporaryDirectory() as made:
        mixed = Path(made) / "mixed"
        kinds = make_mixed_folder(mixed, Console())
        truth = {}
        for number, (file, kind) in enumerate(sorted(kinds.items())):
            split = "test" if number % TEST_SHARE == 0 else "train"
            name = f"{split}/{file}"
            truth[name] = kind
            image = np.asarray(Image.open(mixed / file).convert("RGB"))
            targets = [(name, image)]
            if number % 9 == 1:
                targets.append((f"train/copy-{file}", image))
            if number % 13 == 2:
                targets.append((f"train/soft-{file}", cv2.GaussianBlur(image, (0, 0), 5)))
            if number % 17 == 3:
                targets.append((f"train/night-{file}", (image // 9).astype(np.uint8)))
            for target, pixels in targets:
                path = folder / target
                path = path.with_suffix(".png") if "/copy-" in target else path
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
                truth[path.relative_to(folder).as_posix()] = kind
    return truth


class Client:
    """Sends commands to the server as a page does."""

    def __init__(self, url: str) -> None:
        base = url.partition("/?")[0]
        self._http = httpx.Client(
            base_url=base, headers={"Origin": base, "X-Icas": "1"}, timeout=120
        )
        self._http.get(url)
        self._number = 0

    def get(self, path: str) -> Any:
        """The answer of a GET request."""
        return self._http.get(f"/api/{path}").raise_for_status().json()

    def command(self, op: str, **args: Any) -> None:
        """Send a command."""
        self._number += 1
        rev = self.get("state")["rev"]
        body = {"rev": rev, "id": f"shot-{self._number}", "op": op, "args": args}
        self._http.post("/api/commands", json=body).raise_for_status()


def work_a_little(client: Client, truth: dict[str, str], more: bool) -> None:
    """Name some clusters, or nearly all, so that the screens look as they do during the work."""
    files = client.get("images")["files"]
    clusters = sorted(client.get("state")["clusters"], key=lambda one: one["id"])
    for one in clusters[2:7]:
        client.command("name", cluster=one["id"], name=truth[files[one["members"][0]]])
    client.command("mark", cluster=clusters[3]["id"], state="done")
    if more:
        for one in clusters[7:]:
            client.command("name", cluster=one["id"], name=truth[files[one["members"][0]]])
        client.command("merge", clusters=[clusters[0]["id"], clusters[1]["id"]])
        while client.get("naming")["wait"]:
            sleep(0.2)
        client.command("spread", least=0.5)


PLACES = {
    "clusters": "clusters",
    "cluster": "cluster/{doubtful}",
    "compare": "compare/{pair}",
    "questions": "questions",
    "threshold": "threshold",
    "name": "name",
    "quality": "quality",
    "copies": "quality/copies",
    "leaks": "quality/leaks",
    "apply": "history",
    "history": "history",
    "export": "export",
}
"""Screenshot -> where it is in the page."""
SHOTS = tuple(PLACES)
"""The last three, from ``apply`` on, are of a result of its own with more clusters."""


def places(client: Client) -> dict[str, Any]:
    """What the places are about: a doubtful cluster, and two images of another."""
    clusters = client.get("state")["clusters"]
    doubtful = max(clusters, key=lambda one: (one["bridge"], one["doubt"]))
    files = client.get("images")["files"]
    soft = [
        (one["members"][0], image)
        for one in clusters
        for image in one["members"][1:]
        if "soft-" in files[image] and not one["bridge"]
    ]
    pair = soft[0] if soft else doubtful["members"][:2]
    return {"doubtful": doubtful["id"], "pair": f"{pair[0]},{pair[1]}"}


def prepare(page: Any, name: str) -> None:
    """Bring a screen into a state worth showing."""
    if name == "threshold":
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
    if name == "clusters":
        page.keyboard.press("ArrowDown")
    if name == "name":
        dark = "document.querySelector('.photo-name').textContent.match(/night|soft/)"
        while page.evaluate(dark):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(100)
    if name in ("name", "questions"):
        whole = "() => [...document.querySelectorAll('.photo-facts')].every(one => one.textContent)"
        page.wait_for_function(whole)
    if name == "apply":
        page.keyboard.press("Control+s")
        page.wait_for_selector(".plan-lines li")
    if name == "export":
        page.wait_for_selector(".counts")


@contextmanager
def chromium() -> Iterator[Any]:
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = next((one for one in CHROMIUM if os.access(one, os.X_OK)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def save(data: bytes, target: Path) -> None:
    """Write a PNG as a JPEG that is small enough for the repository."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    for quality in range(85, 30, -5):
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(encoded) <= MOST_BYTES:
            break
    target.write_bytes(encoded)
    print(f"{target}  {len(encoded) / 1000:.0f} kB, quality {quality}")


def main() -> int:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--only", default="", help="names of screenshots, with commas")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    given.to.mkdir(parents=True, exist_ok=True)
    wanted = given.only.split(",") if given.only else list(SHOTS)
    with TemporaryDirectory() as made, chromium() as browser:
        folder = Path(made)
        truth = make_folder(folder / "samples")
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=given.theme
        )
        for threshold, shots in ((0.05, SHOTS[:-3]), (0.5, SHOTS[-3:])):
            dst = folder / f"sorted-{threshold}" / "sorted"
            icas.cluster(
                folder / "samples",
                method="orb",
                threshold=threshold,
                dst=dst,
                recursive=True,
                cache=folder / f"cache-{threshold}",
            )
            take(context, dst, truth, [name for name in shots if name in wanted], given.to)
        context.close()
    return 0


def take(context: Any, dst: Path, truth: dict[str, str], names: Sequence[str], to: Path) -> None:
    """Take screenshots of the review of a result."""
    page = context.new_page()
    with serving(dst) as server:
        server.start()
        client = Client(server.address.url)
        work_a_little(client, truth, "apply" in names)
        known = places(client)
        page.goto(server.address.url)
        page.wait_for_selector(".rail a")
        for name in names:
            page.goto(f"{page.url.partition('#')[0]}#/{PLACES[name].format(**known)}")
            page.wait_for_timeout(500)
            page.wait_for_selector(".waiting", state="detached", timeout=120_000)
            prepare(page, name)
            page.wait_for_timeout(900)
            save(page.screenshot(), to / f"review-{name}.jpg")
            if name == "apply":
                page.keyboard.press("Enter")
                page.wait_for_selector("text=all applied")
                page.wait_for_selector(".toast", state="detached")
        page.close()
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
