"""Take the screenshots of ``segmentimg serve`` for the documentation.

    python scripts/painting_screenshots.py [--to docs/images] [--size 1280x800] [--theme light]
        [--sam-checkpoint ENCODER.onnx,DECODER.onnx] [--only page,prompt,queue]

It needs the extra ``web``, Playwright and Chromium, and for the screenshot of Segment Anything its
checkpoint. The images are the samples of scikit-image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from painting_scenes import NOTCHES, OUTLINES, PARTS, SUIT, segment_owners
from PIL import Image, ImageEnhance
from review_screenshots import chromium, save
from skimage import data as samples

import icas
from icas.cli.console import Console
from icas.segmentimg.document.palette import PaintClass, Painting
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.propagation_run.run import PropagationRun
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.settings import SegmentSettings
from icas.web.painting import serving

SHOTS = ("page", "prompt", "queue")
NAMES = (
    "astronaut",
    "cat",
    "coffee",
    "rocket",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "coins",
    "moon",
)
BACKGROUNDS = ("astronaut", "cat", "rocket", "immunohistochemistry", "grass", "gravel", "brick")
CUP = (90, 10, 480, 350)
"""Box around the cup on the image of coffee, x0, y0, x1, y1."""
UNPAINTED = 1
"""Class of `PARTS` that is not painted yet: the pointer is on it."""


@contextmanager
def opened(
    browser: Any, folder: Path, look: dict[str, Any], sam: Any = None, **given: Any
) -> Iterator[Any]:
    """The painting page of a folder."""
    with serving([folder], SegmentSettings(**given), sam=sam) as server:
        server.start()
        context = browser.new_context(**look)
        page = context.new_page()
        page.goto(server.address.url)
        page.wait_for_selector("body[data-image='0']", timeout=120_000)
        page.painting = server.painting
        yield page
        context.close()
        server.stop()


def until(page: Any, expression: str) -> None:
    """Wait until an expression of the page is true."""
    while not page.evaluate(expression):
        page.wait_for_timeout(100)


def command(page: Any, op: str, **args: Any) -> None:
    """Send a command on the open image as the page does."""
    page.evaluate("([op, args]) => painting.store.command(op, args)", [op, args])


def show(page: Any, name: str) -> None:
    """Open an image by its name."""
    number = page.evaluate("name => painting.store.files.indexOf(name + '.png')", name)
    page.evaluate("number => painting.store.open(number)", number)
    page.wait_for_selector(f"body[data-image='{number}']", timeout=120_000)


def point(page: Any, row: float, col: float) -> tuple[float, float]:
    """Where a pixel of the image is in the window."""
    x, y = page.evaluate(
        """([row, col]) => {
            const [x, y] = painting.viewer.toCanvas(row, col);
            const box = painting.viewer.over.getBoundingClientRect();
            return [x + box.left, y + box.top];
        }""",
        [row, col],
    )
    return x, y


def take_page(browser: Any, folder: Path, look: dict[str, Any]) -> bytes:
    """The page while an image is painted, with marks in the file strip."""
    (folder.parent / "parts.txt").write_text(PARTS)
    with opened(browser, folder, look, palette=folder.parent / "parts.txt") as page:
        for name, box in (("rocket", [40, 290, 390, 350]), ("coffee", [40, 120, 250, 450])):
            show(page, name)
            command(page, "rectangle", box=box, **{"class": 3})
            command(page, "save")
        show(page, "moon")
        command(page, "mark", unsure=True)
        show(page, "astronaut")
        labels = page.painting.opened(0).document.labels
        owners = segment_owners(labels, OUTLINES)
        for number in range(1, len(OUTLINES) + 1):
            segments = np.flatnonzero(owners == number).tolist()
            if number != UNPAINTED:
                command(page, "fill_segments", segments=segments, number=1, **{"class": number})
        page.evaluate("number => painting.store.select(number)", UNPAINTED)
        page.mouse.move(*point(page, *SUIT))
        for _ in range(NOTCHES):
            page.keyboard.press("]")
        page.wait_for_timeout(1500)
        return bytes(page.screenshot())


def take_prompt(browser: Any, folder: Path, look: dict[str, Any], checkpoint: str) -> bytes:
    """A mask that follows the clicks of Segment Anything."""
    (folder.parent / "cat.txt").write_text("cat,#e8590c\nnose,#ffd43b\nwall,#1c7ed6\n")
    sam = {"checkpoint": checkpoint} if checkpoint else None
    with opened(browser, folder, look, sam, palette=folder.parent / "cat.txt") as page:
        show(page, "cat")
        page.keyboard.press("S")
        page.keyboard.press("e")
        for row, col in ((150, 180), (250, 100)):
            page.mouse.click(*point(page, row, col))
            page.wait_for_timeout(1000)
            until(page, "!document.querySelector('.options-bar').innerText.includes('Reading')")
        page.mouse.move(*point(page, 200, 420))
        until(page, "document.querySelector('.embedding').hidden")
        return bytes(page.screenshot())


def take_queue(browser: Any, folder: Path, look: dict[str, Any]) -> bytes:
    """The queue of masks carried to a cup on other backgrounds."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    cup = samples.coffee()
    mask = icas.grabcut(cup, box=CUP)
    Image.fromarray(cup).save(photos / "cup-0.png")
    cut_out = Image.fromarray(np.dstack([cup, 255 * mask.astype(np.uint8)]))
    for number, name in enumerate(BACKGROUNDS, start=1):
        ground = Image.fromarray(getattr(samples, name)()).convert("RGB").resize(cut_out.size)
        share = 1 - 0.07 * number
        size = round(cut_out.width * share), round(cut_out.height * share)
        turned = cut_out.resize(size).rotate(7 * number - 20, Image.Resampling.BICUBIC, expand=True)
        ground.paste(turned, (17 * number, 9 * number), turned)
        ImageEnhance.Brightness(ground).enhance(1.15 - 0.06 * number).save(
            photos / f"cup-{number}.png"
        )
    [picture] = find_image_files([photos / "cup-0.png"])
    painting = Painting(mask.astype(np.int16), (PaintClass("cup", (232, 89, 12)),))
    save_painting(picture, painting, {"image": picture.path.name})
    PropagationRun([photos], PropagateSettings(clusters="one", jobs=1), Console()).carry()
    with opened(browser, photos, look) as page:
        until(page, "painting.store.state.queue > 1")
        page.keyboard.press("q")
        page.wait_for_selector(".queue-sure")
        until(page, "painting.store.current > 0 && painting.store.doc !== null")
        page.keyboard.press("Space")
        page.wait_for_selector(".shot[data-mark=saved]")
        page.wait_for_timeout(2000)
        return bytes(page.screenshot())


def main() -> int:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--sam-checkpoint", default="")
    parser.add_argument("--only", default=",".join(SHOTS), help="names of screenshots, with commas")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    look = {"viewport": {"width": width, "height": height}, "color_scheme": given.theme}
    given.to.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as made, chromium() as browser:
        folder = Path(made) / "pictures"
        folder.mkdir()
        for name in NAMES:
            Image.fromarray(getattr(samples, name)()).save(folder / f"{name}.png")
        for name in given.only.split(","):
            if name == "page":
                data = take_page(browser, folder, look)
            elif name == "prompt":
                data = take_prompt(browser, folder, look, given.sam_checkpoint)
            else:
                data = take_queue(browser, Path(made) / "queue", look)
            save(data, given.to / f"paint-{name}.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
