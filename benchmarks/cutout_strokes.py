"""Pictures with one true object, and strokes and clicks as a user might draw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize

from icas.io.find import find_images
from icas.io.reading import Image, read_image
from icas.segmentimg.grabcut.annotation import BACKGROUND, FOREGROUND, Strokes, point_strokes

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A picture, its object, and the pixels that count (the boundary band does not)."""

    name: str
    image: Image
    object: Mask
    counted: Mask


def cases(folder: Path) -> list[Case]:
    """The pictures of ``images`` with ``masks/NAME.png`` (0, 255; else not counted)."""
    found = []
    for path in find_images(folder / "images"):
        truth = read_image(folder / "masks" / f"{path.stem}.png")[..., 0]
        counted = (truth == 0) | (truth == 255)
        found.append(Case(path.stem, read_image(path), truth == 255, counted))
    return found


def read_strokes(folder: Path, kind: str, name: str) -> Strokes:
    return np.ascontiguousarray(read_image(folder / kind / f"{name}.png")[..., 0])


def iou(case: Case, mask: Mask) -> float:
    """Intersection over union with the object, among the pixels that count."""
    found, true = mask & case.counted, case.object & case.counted
    return float((found & true).sum() / max(1, (found | true).sum()))


def few_lines(case: Case, rng: np.random.Generator) -> Strokes:
    """A straight line in the thick of the object, three around it."""
    back = case.counted & ~case.object
    inward = distance_transform_edt(np.pad(case.object, 1))[1:-1, 1:-1]
    outward = distance_transform_edt(back)
    strokes = np.zeros(case.object.shape, np.uint8)
    middle = _any_of(inward >= 0.6 * inward.max(), rng)
    lines = [
        _line(strokes.shape, middle, rng.uniform(0, np.pi), rng.uniform(30, 110) / 2)
        for _ in range(200)
    ]
    fitting = [line for line in lines if (inward[line] > 3).all()]
    longest = max(fitting, key=np.count_nonzero) if fitting else _disc(strokes.shape, middle)
    strokes[longest & case.object] = FOREGROUND
    taken: list[float] = []
    for _ in range(3000):
        centre = _any_of((outward > 8) & (outward < 0.25 * max(strokes.shape)), rng)
        line = _line(strokes.shape, centre, rng.uniform(0, np.pi), rng.uniform(45, 130) / 2)
        angle = float(np.arctan2(*(centre - middle)))
        if outward[line].min() < 8 or any(np.cos(angle - other) > 0.4 for other in taken):
            continue
        strokes[line] = BACKGROUND
        taken.append(angle)
        if len(taken) == 3:
            break
    if not taken:
        strokes[outward >= 0.8 * outward.max()] = BACKGROUND
    return strokes


def many_lines(case: Case, rng: np.random.Generator) -> Strokes:
    """The skeleton of the object's inner part, and three arcs at some distance around it."""
    back = case.counted & ~case.object
    inward = distance_transform_edt(np.pad(case.object, 1))[1:-1, 1:-1]
    outward = distance_transform_edt(back)
    strokes = np.zeros(case.object.shape, np.uint8)
    skeleton = skeletonize(inward > max(3, 0.25 * inward.max())).astype(np.uint8)
    strokes[(cv2.dilate(skeleton, np.ones((5, 5), np.uint8)) > 0) & (inward > 1)] = FOREGROUND
    ring = back & (np.abs(outward - rng.uniform(12, 22)) < 2.5)
    centre = np.argwhere(case.object).mean(axis=0)
    rows, columns = np.indices(strokes.shape)
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    for _ in range(3):
        apart = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(-np.pi, np.pi)))))
        strokes[ring & (apart < rng.uniform(0.35, 0.7))] = BACKGROUND
    if not (strokes == BACKGROUND).any():
        strokes[ring] = BACKGROUND
    return strokes


def one_side(case: Case, rng: np.random.Generator) -> Strokes:
    """Strokes of the object as by the other styles, an arc around one half of it."""
    style = few_lines if rng.uniform() < 0.5 else many_lines
    strokes = style(case, rng)
    strokes[strokes == BACKGROUND] = 0
    outward = distance_transform_edt(case.counted & ~case.object)
    centre = np.argwhere(case.object).mean(axis=0)
    rows, columns = np.indices(strokes.shape)
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    apart = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(-np.pi, np.pi)))))
    ring = np.abs(outward - rng.uniform(12, 22)) < 2.5
    here = ring & (apart < rng.uniform(0.5, 1.5))
    strokes[here if here.any() else ring] = BACKGROUND
    return strokes


def some_clicks(case: Case, rng: np.random.Generator) -> Strokes:
    """One to four clicks in the object, one to five around it."""
    inward = distance_transform_edt(np.pad(case.object, 1))[1:-1, 1:-1]
    outward = distance_transform_edt(case.counted & ~case.object)
    front = [_any_of(inward > 0.5 * inward.max(), rng)]
    front += [_any_of(inward > min(4, inward.max() / 2), rng) for _ in range(rng.integers(0, 4))]
    back = [_any_of((outward > 5) & (outward < 80), rng) for _ in range(rng.integers(1, 6))]
    points = [(int(column), int(row), 1) for row, column in front]
    points += [(int(column), int(row), 0) for row, column in back]
    return point_strokes(points, case.object.shape)


STYLES: dict[str, Callable[[Case, np.random.Generator], Strokes]] = {
    "few lines": few_lines,
    "many lines": many_lines,
    "one side": one_side,
    "clicks": some_clicks,
}


def drawn(style: str, given: list[Case], seed: int) -> list[Strokes]:
    """Strokes of one style for each picture; the same at every run."""
    return [STYLES[style](case, np.random.default_rng([seed, k])) for k, case in enumerate(given)]


def _any_of(mask: Mask, rng: np.random.Generator) -> NDArray[np.intp]:
    places = np.argwhere(mask)
    return places[rng.integers(len(places))] if len(places) else np.array(mask.shape) // 2


def _line(shape: tuple[int, ...], middle: NDArray[np.intp], angle: float, half: float) -> Mask:
    step = half * np.array([np.sin(angle), np.cos(angle)])
    ends = [np.rint(middle + sign * step).astype(int)[::-1].tolist() for sign in (-1, 1)]
    made = np.zeros(shape, np.uint8)
    cv2.line(made, ends[0], ends[1], 1, 5)
    return made > 0


def _disc(shape: tuple[int, ...], middle: NDArray[np.intp]) -> Mask:
    made = np.zeros(shape, np.uint8)
    cv2.circle(made, (int(middle[1]), int(middle[0])), 3, 1, cv2.FILLED)
    return made > 0
