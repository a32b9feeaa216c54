"""Draws the pictures of docs/segmenters: ``python scripts/segmenter_pictures.py [--out DIR]``.

Two sample images of scikit-image, segmented by every method with its default options; one object
selected by GrabCut; an image in few colours; and all methods side by side. With
``--sam-checkpoint FILE`` also the segments of Segment Anything (a minute per image on a CPU).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures, ImageDraw
from skimage import data as samples
from skimage.segmentation import find_boundaries
from window_frames import write_picture

import icas

Image = NDArray[np.uint8]
TOP = Path(__file__).resolve().parent.parent
METHODS = (
    *("superpixel", "edge", "kmeans", "slickmeans"),
    *("chanvese", "felzenszwalb", "quickshift", "graph"),
)
HEIGHT, GAP, SHEET_WIDTH = 340, 8, 980
MOST, MOST_OF_SHEET = 150_000, 200_000
SAM_POINTS = 16
"""Points per side that Segment Anything samples: more than its default on a CPU."""
LINE, BOX = (255, 214, 0), (70, 18, 482, 388)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=TOP / "docs" / "images", metavar="DIR")
    parser.add_argument("--sam-checkpoint", metavar="FILE")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="such as segmenter-sam, methods")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    coffee, astronaut = shrunk(samples.coffee()), shrunk(samples.astronaut())
    scenes = {
        f"segmenter-{name}": partial(both_outlined, coffee, astronaut, name) for name in METHODS
    }
    scenes["segmenter-grabcut"] = partial(cut_out, samples.coffee())
    scenes["segmenter-colours"] = partial(few_colours, samples.coffee(), 5)
    if given.sam_checkpoint:
        options = {"checkpoint": given.sam_checkpoint, "mode": "auto"}
        scenes["segmenter-sam"] = partial(
            both_outlined, coffee, astronaut, "sam", points_per_side=SAM_POINTS, **options
        )
    scenes["methods"] = preview
    for name, draw in scenes.items():
        if not given.only or name in given.only:
            most = MOST_OF_SHEET if draw is preview else MOST
            size = write_picture(given.out / f"{name}.jpg", draw(), most)
            print(f"{name}.jpg {size // 1000} kB")
    return 0


def both_outlined(first: Image, second: Image, method: str, **options: object) -> Image:
    """Two images with the borders of their segments, side by side."""
    return row([outlined(one, method, **options) for one in (first, second)])


def shrunk(picture: Image) -> Image:
    """A picture brought to the height that the pages show."""
    width = round(picture.shape[1] * HEIGHT / picture.shape[0])
    return np.asarray(Pictures.fromarray(picture).resize((width, HEIGHT), Pictures.LANCZOS))


def outlined(picture: Image, method: str, **options: object) -> Image:
    """The picture with the borders of its segments."""
    labels = icas.segment(picture, method, **options)
    print(f"{method}: {labels.max()} segments")
    drawn = picture.copy()
    drawn[find_boundaries(labels, mode="inner", background=-1) & ~_second(labels)] = LINE
    return drawn


def _second(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Border pixels on the side that is not drawn, so that lines are one pixel wide."""
    second = np.zeros(labels.shape, bool)
    second[1:] |= labels[1:] != labels[:-1]
    second[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    last = np.zeros(labels.shape, bool)
    last[:-1] |= labels[1:] != labels[:-1]
    last[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    return second & ~last


def cut_out(picture: Image) -> Image:
    """A box around an object, and the object in front of black."""
    mask = icas.grabcut(picture, box=BOX)
    boxed = Pictures.fromarray(picture)
    ImageDraw.Draw(boxed).rectangle(BOX, outline=LINE, width=3)
    return row(
        [shrunk(np.asarray(boxed)), shrunk(np.where(mask[..., None], picture, picture // 5))]
    )


def few_colours(picture: Image, count: int) -> Image:
    """A picture, and the same in a few colours."""
    return row([shrunk(picture), shrunk(icas.kmeans_colors(picture, count, seed=0).picture)])


def row(pictures: list[Image]) -> Image:
    """Pictures of one height side by side."""
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    return np.hstack([part for one in pictures for part in (one, gap)][:-1])


def preview() -> Image:
    """What ``segmentimg coffee.png --preview`` draws, made smaller."""
    with tempfile.TemporaryDirectory() as folder:
        source, sheet = Path(folder) / "coffee.png", Path(folder) / "methods.png"
        Pictures.fromarray(samples.coffee()).save(source)
        words = ["icas.segmentimg", str(source), "--preview", str(sheet), "--quiet"]
        subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL)
        with Pictures.open(sheet) as whole:
            size = SHEET_WIDTH, round(whole.height * SHEET_WIDTH / whole.width)
            return np.asarray(whole.convert("RGB").resize(size, Pictures.LANCZOS))


if __name__ == "__main__":
    sys.exit(main())
