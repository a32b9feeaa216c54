"""Made clusters of images with true masks, to fit the numbers of propagation.

Segments of photographs (seg-bsds500) and objects of coil20 move, turn, bend and change their light
before the same or other photographs; frames of seg-camvid show classes of a street. None of them is
in the sets that ``benchmarks/propagation.py`` judges.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icas.io.reading import Image, read_image

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Scene = tuple[Image, Mask]

SIDE = 320
SEGMENTS = 48
IMAGES = 3
"""Of a cluster."""
STREET = {"sky": 0, "building": 1, "road": 3, "tree": 5, "car": 8}
_SIZES = ((240, 320), (240, 320), (240, 320), (320, 240), (180, 320))


@dataclass(frozen=True, eq=False)
class Object:
    name: str
    image: Image
    mask: Mask


@dataclass(frozen=True)
class Pose:
    """Of an object: its longer side and place over those of the image, degrees, and bending."""

    scale: float
    place: tuple[float, float]
    angle: float
    bend: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True)
class Window:
    """The part of a photograph that is shown: its share, and its place."""

    share: float
    place: tuple[float, float]


def made_clusters(data: Path) -> Iterator[tuple[str, list[Scene]]]:
    """Names and images; a name begins with the kind: the same for every call."""
    random = np.random.default_rng(5)
    photographs = {
        path.stem: read_image(path) for path in sorted((data / "seg-bsds500" / "images").iterdir())
    }
    segments = segments_of(data, photographs, random)
    for number, one in enumerate(segments):
        others = [image for name, image in photographs.items() if name != one.name]
        if number % 2:
            yield f"changing_{number}", changing(random, one, backgrounds=others)
        else:
            yield f"moving_{number}", moving(random, one, backgrounds=others)
    for number, one in enumerate(segments[:8]):
        yield f"edited_{number}", edited(random, one)
    others = list(photographs.values())
    for name, views in turntable(data, random).items():
        yield f"turning_{name}", changing(random, *views, backgrounds=others)
        yield f"turning-here_{name}", moving(random, *views, backgrounds=others)
    yield from streets(data)


# objects


def segments_of(data: Path, photographs: dict[str, Image], random: Generator) -> list[Object]:
    """Compact segments of photographs that are not cut by the border of the image."""
    found = []
    for name, image in photographs.items():
        labels = read_image(data / "seg-bsds500" / "gt_png" / f"{name}.png")[..., 0]
        for label in np.unique(labels):
            mask = labels == label
            edges = sum(int(line.sum()) for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
            parts = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:, 4]
            whole = parts.max() > 0.9 * mask.sum() and edges < 0.8 * mask.sum() ** 0.5
            if whole and 0.03 < mask.mean() < 0.3:
                found.append(Object(name, image, mask))
    order = random.permutation(len(found))[:SEGMENTS]
    return [found[k] for k in order]


def turntable(data: Path, random: Generator) -> dict[str, list[Object]]:
    """Views of objects of coil20, about 60 degrees apart, in two colors."""
    folder = data / "coil20"
    origins = dict(rows_of(folder / "origin.csv"))
    files: dict[str, list[str]] = {}
    for file, label in rows_of(folder / "labels.csv"):
        files.setdefault(label, []).append(file)
    views = {}
    for name in sorted(files):
        order = sorted(files[name], key=lambda file: int(re.findall(r"\d+", origins[file])[-1]))
        dark, bright = random.uniform(0, 90, 3), random.uniform(120, 255, 3)
        start = int(random.integers(len(order)))
        views[name] = []
        for k in range(IMAGES):
            gray = read_image(folder / "images" / order[(start + 12 * k) % len(order)])[..., :1]
            tone = gray.astype(np.float32) / 255
            waves = 80 * np.sin(6 * tone + dark / 20) * tone * (1 - tone)
            colors = np.clip(dark + (bright - dark) * tone + waves, 0, 255).astype(np.uint8)
            views[name].append(Object(name, colors, silhouette(gray[..., 0])))
    return views


def rows_of(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row[0], row[1]) for row in list(csv.reader(file))[1:]]


def silhouette(gray: NDArray[np.uint8]) -> Mask:
    """An object before black, without holes."""
    bright = cv2.morphologyEx(
        (gray > 22).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
    )
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(bright)
    cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return filled > 0


# clusters


def changing(random: Generator, *objects: Object, backgrounds: list[Image]) -> list[Scene]:
    """Objects before another photograph in each image."""
    scenes = []
    for number in range(IMAGES):
        shape = _SIZES[random.integers(len(_SIZES))]
        pose = Pose(
            random.uniform(0.3, 0.7),
            (random.uniform(0.3, 0.7), random.uniform(0.3, 0.7)),
            random.normal(0, 15),
            random.uniform(0, 0.06) if len(objects) == 1 else 0,
            bool(random.random() < 0.3),
        )
        window = Window(random.uniform(0.6, 1), (random.random(), random.random()))
        behind = shown(backgrounds[random.integers(len(backgrounds))], window, shape)
        scenes.append(composed(random, objects[number % len(objects)], pose, behind, 1.0))
    return scenes


def moving(random: Generator, *objects: Object, backgrounds: list[Image]) -> list[Scene]:
    """Objects that move before one photograph, which moves less."""
    photograph = backgrounds[random.integers(len(backgrounds))]
    shape = _SIZES[random.integers(len(_SIZES))]
    share, (right, down) = random.uniform(0.6, 1), random.random(2)
    scale, angle = random.uniform(0.25, 0.65), random.normal(0, 5)
    place, speed = random.uniform(0.3, 0.7, 2), random.normal(0, 0.08, 2)
    scenes = []
    for number in range(IMAGES):
        share = float(np.clip(share * np.exp(random.normal(0, 0.04)), 0.4, 1))
        right, down = np.clip(random.normal((right, down), (0.1, 0.05)), 0, 1)
        behind = shown(photograph, Window(share, (right, down)), shape)
        x, y = np.clip(place + 1.5 * speed * (number - 1) + random.normal(0, 0.03, 2), 0.1, 0.9)
        pose = Pose(
            scale * np.exp(random.normal(0, 0.1)),
            (x, y),
            angle + random.normal(0, 10),
            random.uniform(0.02, 0.12) if len(objects) == 1 else 0,
        )
        scenes.append(composed(random, objects[number % len(objects)], pose, behind, 0.4))
    return scenes


def edited(random: Generator, one: Object) -> list[Scene]:
    """A photograph and near copies of it."""
    image, mask = reduced(one.image, one.mask)
    height, width = mask.shape
    scenes = [(image, mask)]
    for _ in range(IMAGES - 1):
        turn, scale = random.uniform(-12, 12), random.uniform(0.75, 1.35)
        matrix = np.eye(3)
        matrix[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), turn, scale)
        matrix[:2, 2] += random.uniform(-0.08, 0.08, 2) * (width, height)
        matrix[2, :2] = random.uniform(-2e-4, 2e-4, 2)
        size = (width, height)
        warped = cv2.warpPerspective(image, matrix, size, borderMode=cv2.BORDER_REFLECT)
        true = cv2.warpPerspective(mask.astype(np.float32), matrix, size) > 0.5
        scenes.append((taken(random, warped.astype(np.float32), 1.0), true))
    return scenes


def streets(data: Path) -> Iterator[tuple[str, list[Scene]]]:
    """Frames of several drives, with a class of which there is neither little nor much."""
    folder = data / "seg-camvid"
    for name, label in STREET.items():
        scenes = []
        for path in sorted((folder / "images").iterdir()):
            mask = read_image(folder / "labels" / path.name)[..., 0] == label
            if 0.04 < mask.mean() < 0.5:
                scenes.append(reduced(read_image(path), mask))
        yield f"street_{name}", scenes[:IMAGES]


# images


def reduced(image: Image, mask: Mask) -> Scene:
    scale = SIDE / max(mask.shape)
    size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    true = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5
    return np.asarray(small, np.uint8), true


def shown(photograph: Image, window: Window, shape: tuple[int, int]) -> Image:
    """The part of a photograph in a window, at a size."""
    (rows, columns), (height, width) = shape, photograph.shape[:2]
    step = window.share * min(width / columns, height / rows)
    left = window.place[0] * (width - step * columns)
    top = window.place[1] * (height - step * rows)
    matrix = np.array([[1 / step, 0, -left / step], [0, 1 / step, -top / step]])
    return np.asarray(cv2.warpAffine(photograph, matrix, (columns, rows)), np.uint8)


def composed(random: Generator, one: Object, pose: Pose, behind: Image, light: float) -> Scene:
    """An object in a pose before an image, and its mask."""
    height, width = behind.shape[:2]
    down, right = np.nonzero(one.mask)
    side = pose.scale * max(height, width)
    scale = side / (1 + max(np.ptp(down), np.ptp(right)))
    turn = np.deg2rad(pose.angle)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    sign = -1 if pose.mirrored else 1
    matrix = np.array([[cosine * sign, -sine, 0], [sine * sign, cosine, 0], [0, 0, 1]])
    matrix[2, :2] = random.uniform(-1, 1, 2) * 6e-4
    before, after = np.eye(3), np.eye(3)
    before[:2, 2] = -right.mean(), -down.mean()
    after[:2, 2] = pose.place[0] * width, pose.place[1] * height
    inverse = np.linalg.inv(after @ matrix @ before)
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    waves = random.normal(0, pose.bend * side, (4, 4, 2)).astype(np.float32)
    grid += cv2.resize(waves, (width, height), interpolation=cv2.INTER_CUBIC)
    places = cv2.perspectiveTransform(grid.reshape(-1, 1, 2), inverse).reshape(height, width, 2)
    colors = cv2.remap(one.image, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    soft = cv2.GaussianBlur(one.mask.astype(np.float32), (0, 0), 0.6)
    cover = np.clip(cv2.remap(soft, places, None, cv2.INTER_LINEAR), 0, 1)
    mixed = colors * cover[..., None] + behind * (1 - cover[..., None])
    return taken(random, np.asarray(mixed, np.float32), light), cover > 0.5


def taken(random: Generator, colors: Floats, light: float) -> Image:
    """An image in another light, perhaps blurred, with noise, after JPEG."""
    changed = (colors / 255) ** np.exp(random.normal(0, 0.2 * light))
    changed *= np.exp(random.normal(0, 0.08 * light, 3) + random.normal(0, 0.12 * light))
    changed = np.clip(changed * 255, 0, 255)
    if random.random() < 0.4:
        changed = cv2.GaussianBlur(changed, (0, 0), random.uniform(0.5, 1.2))
    changed = changed + random.normal(0, random.uniform(0, 4), (*changed.shape[:2], 1))
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(50, 95))]
    whole = np.clip(changed, 0, 255).astype(np.uint8)
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", whole, quality)[1], 1), np.uint8)
