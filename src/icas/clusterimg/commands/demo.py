"""The command ``clusterimg demo``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from icas.cli.console import Console
from icas.cli.parser import COMPARED, OUTPUT, About, LineParser, Typed
from icas.cli.program import Command
from icas.clusterimg.evaluation.scores import Evaluation, evaluate
from icas.clusterimg.pipeline.pipeline import run
from icas.clusterimg.results.report import ClusterReport
from icas.clusterimg.settings import ClusterSettings
from icas.common.errors import ConflictError
from icas.io.arrays import as_image
from icas.io.files import write_whole
from icas.io.reading import Image, resize, write_image
from icas.io.tables import table

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
"""Sample pictures that scikit-image carries; each gets a family of variants."""
SINGLES = ("cell", "colorwheel", "horse", "logo", "microaneurysms", "retina")
LONG_SIDE = 400


def free_folder() -> Path:
    """``icas-demo`` here, or the next such name that is not taken."""
    names = ("icas-demo" if number == 1 else f"icas-demo-{number}" for number in count(1))
    return next(Path(name) for name in names if not Path(name).exists())


def run_demo(folder: Path, method: str, console: Console) -> tuple[ClusterReport, Evaluation]:
    """Make the mixed folder, sort it, and compare the clusters with the truth.

    Raises
    ------
    ConflictError
        `folder` exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder} is not empty: give the demo another place with --dst")
    truth = make_mixed_folder(folder / "mixed", console)
    write_whole(folder / "labels.csv", table(("file", "label"), sorted(truth.items())))
    console.line(f"made {len(truth)} pictures of {len(set(truth.values()))} kinds")
    settings = ClusterSettings(dst=folder / "sorted", method=method)
    report = run(folder / "mixed", settings, console)
    found = evaluate(report.labels, [truth[file] for file in report.files])
    console.line(
        f"against the known truth: precision {found.precision:.3f}, recall {found.recall:.3f},"
        f" F1 {found.f1:.3f}"
    )
    console.line(f"look at {(folder / 'sorted' / 'report.html').absolute()}")
    console.line(report.summary())
    return report, found


def make_mixed_folder(folder: Path, console: Console) -> dict[str, str]:
    """Write the pictures under neutral names, in no order; the label of each file comes back."""
    folder.mkdir(parents=True)
    pictures = list(_pictures(console))
    order = np.random.default_rng(0).permutation(len(pictures))
    truth = {}
    for place, number in enumerate(order):
        label, suffix, picture = pictures[number]
        file = f"img{place:03}{suffix}"
        write_image(folder / file, picture)
        truth[file] = label
    return truth


def _pictures(console: Console) -> Iterator[tuple[str, str, Image]]:
    """Label, suffix and pixels of every picture of the demo."""
    with console.bar(len(FAMILIES) + len(SINGLES), "making pictures", "kinds") as bar:
        for name in FAMILIES:
            for suffix, picture in _variants(_sample(name)):
                yield name, suffix, picture
            bar.update(1)
        for name in SINGLES:
            yield name, ".png", _sample(name)
            bar.update(1)


def _sample(name: str) -> Image:
    """A sample picture as RGB, its long side at most `LONG_SIDE` pixels."""
    from skimage import data

    made = getattr(data, name)()
    if made.dtype == bool:
        made = made.astype(np.uint8) * 255
    picture = as_image(made)
    share = min(1.0, LONG_SIDE / max(picture.shape[:2]))
    return resize(picture, (round(picture.shape[1] * share), round(picture.shape[0] * share)))


def _variants(picture: Image) -> Iterator[tuple[str, Image]]:
    """What happens to pictures on their way: suffix and pixels of each variant."""
    height, width = picture.shape[:2]
    yield ".png", picture
    yield ".jpg", picture  # JPEG at the writer's usual quality
    yield ".png", picture[height // 10 : height * 9 // 10, width // 10 : width * 9 // 10].copy()
    yield ".png", np.clip(picture.astype(np.int16) + 35, 0, 255).astype(np.uint8)
    yield ".png", resize(picture, (width * 6 // 10, height * 6 // 10))
    yield ".png", _warped(picture, degrees=4.0, shift=(0, 0))
    yield ".png", _warped(picture, degrees=0.0, shift=(width // 16, height // 16))


def _warped(picture: Image, degrees: float, shift: tuple[int, int]) -> Image:
    """`picture` turned about its centre, then shifted right and down; gaps are mirrored."""
    import cv2

    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    matrix[:, 2] += shift
    turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.uint8)


TEXT = "Make a mixed folder from scikit-image's sample pictures and sort it."


def _parser() -> LineParser:
    from icas.clusterimg.methods import METHODS

    parser = LineParser("clusterimg demo", About(TEXT, examples=(("clusterimg demo", ""),)))
    parser.add_value(
        OUTPUT,
        "--dst",
        type=Path,
        metavar="DIR",
        help="where (default: icas-demo, or the next free icas-demo-2, …)",
    )
    parser.add_value(
        COMPARED,
        "--method",
        type=Typed(str, tuple(METHODS)),
        metavar="METHOD",
        help=f"one of {', '.join(METHODS)} (default: orb)",
    )
    return parser


def _demo(given: dict[str, Any]) -> int:
    pass

    quiet = given.get("quiet", False)
    console = Console(results=True, warnings=not quiet, bars=not quiet)
    run_demo(given.get("dst") or free_folder(), given.get("method", "orb"), console)
    return 0


DEMO = Command(_parser, _demo)
