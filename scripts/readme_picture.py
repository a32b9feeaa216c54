"""Make the images that README.md and docs/index.md show: ``python scripts/readme_picture.py``.

Sorting: the clusters of three photographs in the report of ``clusterimg demo``, in a headless
Chromium. Painting: ``segmentimg`` on a virtual display (Xvfb), worked with mouse and keyboard
(xdotool), and the masks that it saves. The photographs are samples of scikit-image.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import DEVNULL

import numpy as np
from painting_scenes import painted
from PIL import Image as Images, ImageDraw
from screenshots import TOP, Room, load_gui
from window_frames import write_picture

from icas.segmentimg.windows.panels import BACKGROUND as PANEL, font_of

SHOWN = ("coffee", "rocket", "chelsea")
"""Sample photographs whose clusters are shown."""
EACH = 4
COMMAND = "segmentimg photos --palette classes.txt"
MASKS = ("R:47,G:111,B:222", "R:255,G:212,B:59", "R:47,G:179,B:80")
"""Colors of the masks shown: suit, face, helmet."""
REPORT = 880
"""Width of the report."""
BAR, GAP = 46, 20
PAGE, BAR_COLOR, RIM, WORDS = "#eceef2", "#d9dde3", "#b8bec8", "#1a1e26"
MOST = 350_000
"""Bytes of an image at most."""
CARD = re.compile(r"<article .*?</article>", re.DOTALL)
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
CARDS = """<!DOCTYPE html><meta charset="utf-8"><style>{style}
.grid {{ padding: 10px; }} .grid > .card {{ grid-column: auto; }}
.row {{ grid-template-columns: repeat(4, 1fr); }} .row .name, .facts {{ display: none; }}
.row .file, .row .file > * {{ display: block; padding: 0; }}
</style><div class="grid">{cards}</div>"""
"""A page with cards of a report and the report's own style."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--out", type=Path, default=TOP / "docs" / "images", metavar="DIR")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clusters = sorted_photographs(Path(folder), given.chromium)
        window, masks = painted_photograph(Path(folder))
    left = framed("photos_clustered/report.html", clusters)
    painting = framed(COMMAND, window)
    saved = framed("photos_segmented/: one mask per class", masks)
    right = stacked([painting, saved])
    height = max(left.height, right.height)
    sheet = Images.new("RGB", (left.width + right.width + 3 * GAP, height + 2 * GAP), PAGE)
    sheet.paste(left, (GAP, GAP))
    sheet.paste(right, (left.width + 2 * GAP, GAP))
    for name, image in (
        ("icas.jpg", sheet),
        ("home-sorted.jpg", left),
        ("home-painted.jpg", painting),
        ("home-masks.jpg", saved),
    ):
        size = write_picture(given.out / name, np.asarray(image), MOST)
        print(f"{name}: {image.width}x{image.height}, {size // 1000} kB")
    return 0


def sorted_photographs(folder: Path, chromium: str) -> Images.Image:
    """Cards of the report of the demo's folder, with fewer versions of the samples in `SHOWN`."""
    icas = [sys.executable, "-m", "icas.clusterimg"]
    subprocess.run([*icas, "demo", "--dst", "demo", "-q"], cwd=folder, check=True, stdout=DEVNULL)
    label = column(folder / "demo" / "labels.csv", "label")
    photos = folder / "photos"
    shutil.copytree(folder / "demo" / "mixed", photos)
    for name in SHOWN:
        for file in [file for file in label if label[file] == name][EACH:]:
            (photos / file).unlink()
    words = ["photos", "--method", "orb", "--threshold", "auto", "-q"]
    subprocess.run([*icas, *words], cwd=folder, check=True)
    result = folder / "photos_clustered"
    cluster = column(result / "clusters.csv", "cluster")
    number = {label[file]: found for file, found in cluster.items()}
    report = (result / "report.html").read_text("utf-8")
    cards = {re.search(r'id="cluster_(\d+)"', card)[1]: card for card in CARD.findall(report)}
    page = folder / "cards.html"
    chosen = "".join(cards[number[name]] for name in SHOWN)
    page.write_text(CARDS.format(style=STYLE.search(report)[1], cards=chosen), "utf-8")
    picture = folder / "cards.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags += ["--force-device-scale-factor=2", f"--window-size={REPORT // 2},1200"]
    shot = [chromium, *flags, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(shot, check=True, capture_output=True)
    image = Images.open(picture).convert("RGB")
    rows = np.flatnonzero((np.asarray(image) != np.asarray(image)[-1, 0]).any(axis=(1, 2)))
    return image.crop((0, 0, image.width, int(rows[-1]) + 1 + GAP))


def column(table: Path, name: str) -> dict[str, str]:
    """One column of a CSV file, by the column ``file``."""
    with table.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row[name] for row in csv.DictReader(file)}


def painted_photograph(folder: Path) -> tuple[Images.Image, Images.Image]:
    """The color window beside the painting window, and a row of the masks saved."""
    gui = load_gui("conftest")
    display = gui.Display(folder)
    try:
        room = Room(folder, display, gui.window_driver.WindowDriver)
        [(_, shots)] = painted(room)
    finally:
        display.close()
    colors, painting = (Images.fromarray(shot.picture) for shot in shots)
    windows = Images.new("RGB", (colors.width + painting.width, painting.height), PANEL)
    windows.paste(colors, (0, 0))
    windows.paste(painting, (colors.width, 0))
    result = folder / "pictures_segmented"
    masks = [Images.open(result / f"astronaut_mask_({color}).png") for color in MASKS]
    return windows, in_a_row(masks, windows.width)


def in_a_row(masks: list[Images.Image], width: int) -> Images.Image:
    """Square masks side by side."""
    side = (width - GAP * (len(masks) - 1)) // len(masks)
    row = Images.new("RGB", (width, side), RIM)
    for place, mask in enumerate(masks):
        small = mask.convert("RGB").resize((side, side), Images.Resampling.LANCZOS)
        row.paste(small, (place * (side + GAP), 0))
    return row


def framed(title: str, content: Images.Image) -> Images.Image:
    """An image below a bar with its title."""
    frame = Images.new("RGB", (content.width + 2, content.height + BAR + 1), RIM)
    draw = ImageDraw.Draw(frame)
    draw.rectangle((1, 1, content.width, BAR - 2), fill=BAR_COLOR)
    draw.text((16, BAR // 2), title, WORDS, font_of(24), anchor="lm")
    frame.paste(content, (1, BAR))
    return frame


def stacked(images: list[Images.Image]) -> Images.Image:
    height = sum(image.height for image in images) + GAP * (len(images) - 1)
    sheet = Images.new("RGB", (max(image.width for image in images), height), PAGE)
    top = 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height + GAP
    return sheet


if __name__ == "__main__":
    sys.exit(main())
