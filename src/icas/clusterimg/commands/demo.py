"""The command ``clusterimg demo``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from icas.cli.console import Console
from icas.cli.parser import OUTPUT, CommandParser
from icas.cli.program import Command
from icas.clusterimg.commands.flags import add_method, discover_methods, take_console
from icas.clusterimg.evaluation.scores import Evaluation, evaluate
from icas.clusterimg.pipeline.pipeline import run
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.settings import DEFAULT_METHOD, ClusterSettings
from icas.common.errors import ConflictError
from icas.io.files import table, write_whole
from icas.io.reading import Image, as_image, resize, write_image

FAMILIES = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "clock",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "page",
    "rocket",
    "text",
)
"""Sample images of scikit-image; each gets a family of variants."""
SINGLES = ("cell", "colorwheel", "horse", "logo", "microaneurysms", "retina")
LONG_SIDE = 400


def free_folder() -> Path:
    """``icas-demo`` in the current folder, or the next such name that is free."""
    names = ("icas-demo" if number == 1 else f"icas-demo-{number}" for number in count(1))
    return next(Path(name) for name in names if not Path(name).exists())


def run_demo(folder: Path, method: str, console: Console) -> tuple[ClusterReport, Evaluation]:
    """Create the mixed folder, cluster it, and compare the clusters with the true labels."""
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty: choose another --dst")
    truth = make_mixed_folder(folder / "mixed", console)
    labels = folder / "labels.csv"
    write_whole(labels, table(("file", "label"), sorted(truth.items())))
    kinds = len(set(truth.values()))
    console.line(f"created {len(truth)} images of {kinds} kinds in {folder / 'mixed'}")
    settings = ClusterSettings(dst=folder / "sorted", method=method)
    report = run(folder / "mixed", settings, console)
    scores = evaluate(report.labels, [truth[file] for file in report.files])
    console.line(
        f"compared with {labels}: precision {scores.precision:.3f},"
        f" recall {scores.recall:.3f}, F1 {scores.f1:.3f}"
    )
    console.line(f"report: {folder / 'sorted' / 'report.html'}")
    console.line(report.summary())
    return report, scores


def make_mixed_folder(folder: Path, console: Console) -> dict[str, str]:
    """Write the images under neutral names in random order; return the label of each file."""
    folder.mkdir(parents=True)
    images = list(_images(console))
    order = np.random.default_rng(0).permutation(len(images))
    truth = {}
    for position, number in enumerate(order):
        label, suffix, image = images[number]
        file = f"img{position:03}{suffix}"
        write_image(folder / file, image)
        truth[file] = label
    return truth


def _images(console: Console) -> Iterator[tuple[str, str, Image]]:
    """Label, suffix and pixels of every image of the demo."""
    with console.bar(len(FAMILIES) + len(SINGLES), "create images", "kinds") as bar:
        for name in FAMILIES:
            for suffix, image in _variants(_sample(name)):
                yield name, suffix, image
            bar.update(1)
        for name in SINGLES:
            yield name, ".png", _sample(name)
            bar.update(1)


def _sample(name: str) -> Image:
    """A sample image as RGB, its long side at most `LONG_SIDE` pixels."""
    from skimage import data

    made = getattr(data, name)()
    if made.dtype == bool:
        made = made.astype(np.uint8) * 255
    image = as_image(made)
    share = min(1.0, LONG_SIDE / max(image.shape[:2]))
    return resize(image, (round(image.shape[1] * share), round(image.shape[0] * share)))


def _variants(image: Image) -> Iterator[tuple[str, Image]]:
    """Suffix and pixels of variants as they occur in practice."""
    height, width = image.shape[:2]
    yield ".png", image
    yield ".jpg", image  # JPEG at the writer's usual quality
    yield ".png", image[height // 10 : height * 9 // 10, width // 10 : width * 9 // 10].copy()
    yield ".png", np.clip(image.astype(np.int16) + 35, 0, 255).astype(np.uint8)
    yield ".png", resize(image, (width * 6 // 10, height * 6 // 10))
    yield ".png", _warped(image, degrees=4.0, shift=(0, 0))
    yield ".png", _warped(image, degrees=0.0, shift=(width // 16, height // 16))


def _warped(image: Image, degrees: float, shift: tuple[int, int]) -> Image:
    """`image` rotated about its center, then shifted right and down; borders are reflected."""
    import cv2

    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    matrix[:, 2] += shift
    turned = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.uint8)


def _parser() -> CommandParser:
    text = "Create a folder of sample images of scikit-image, with variants, and sort it."
    parser = CommandParser("clusterimg demo", text, examples=(("clusterimg demo", ""),))
    where = "folder for images and result (default: icas-demo, or icas-demo-2, ...)"
    parser.add_value(OUTPUT, "--dst", type=Path, metavar="DIR", help=where)
    add_method(parser, DEFAULT_METHOD)
    return parser


def _demo(given: dict[str, Any]) -> int:
    console, _ = take_console(given)
    folder = given.get("dst") or free_folder()
    run_demo(folder, given.get("method", DEFAULT_METHOD), console)
    console.line(f"review it in the browser: clusterimg review {quote(str(folder / 'sorted'))}")
    return 0


DEMO = Command(_parser, _demo, discover_methods)
