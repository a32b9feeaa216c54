"""Draw the pictures of docs/methods: each method at work on scikit-image's sample pictures.

    python scripts/method_pictures.py                                  all but deep
    python scripts/method_pictures.py --weights mobilenet_v2.pth       deep too (needs icas[deep])

Every number drawn is computed by icas on the pictures drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from picture_sheets import Image, coffee, save, saved_anew, sheet, show, two_cameras, two_places
from skimage import data
from skimage.metrics import structural_similarity

import icas
from icas.clusterimg.methods.minhash import MinHash, gray_classes, strongest_corners
from icas.clusterimg.methods.orb import Orb, features_of
from icas.clusterimg.methods.orb_matching import agreeing, mutual_matches
from icas.io.reading import resize

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
GOOD, BAD, QUIET = "#1a9850", "#d73027", "#9a9a9a"
CLASSES = ("#08306b", "#4292c6", "#969696", "#fd8d3c", "#a50f15")
"""Of corners, from the darkest class to the brightest."""


SURFACES = {
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
    "retina": "retina",
    "hubble_deep_field": "stars",
    "immunohistochemistry": "tissue",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="of mobilenet_v2, for the picture of deep")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    for name, draw in DRAWN.items():
        save(draw(), given.out / f"method-{name}.jpg")
    if given.weights is not None:
        save(deep(given.weights.resolve()), given.out / "method-deep.jpg")


def similarity(a: Image, b: Image, method: str) -> float:
    """Similarity of two images."""
    return float(icas.similarity_matrix([a], [b], method=method)[0, 0])


def titles(pictures: list[Image], names: tuple[str, ...], method: str) -> list[str]:
    """Each name with the similarity of its picture to the first."""
    numbers = [similarity(pictures[0], other, method) for other in pictures[1:]]
    return [names[0], *(f"{n}: {s:.2f}" for n, s in zip(names[1:], numbers, strict=True))]


def imagehash() -> Figure:
    """Images, their 32x32 versions, and the bits of their hashes."""
    pictures = [coffee(), saved_anew(coffee(), margin=3), resize(data.rocket(), (300, 200))]
    names = titles(pictures, ("reference", "cropped, brighter", "other image"), "imagehash")
    packed = icas.features(pictures, method="imagehash").array
    bits = np.unpackbits(packed, axis=1).reshape(-1, 8, 8)
    figure, axes = sheet(3, 7.2, 6.6, (0.8, 1, 1))
    for column, (picture, name, own) in enumerate(zip(pictures, names, bits, strict=True)):
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        show(axes[0, column], picture, name)
        show(axes[1, column], resize(gray, (32, 32)), "gray, 32x32", cmap="gray")
        differ = own != bits[0]
        text = f"{int(differ.sum())} of 64 bits differ" if column else "64 bits of the hash"
        show(axes[2, column], own, text, cmap="gray", vmin=-0.4, vmax=1.3)
        for row, place in np.argwhere(differ):
            edge = plt.Rectangle((place - 0.45, row - 0.45), 0.9, 0.9, fill=False, ec=BAD, lw=1.8)
            axes[2, column].add_patch(edge)
    return figure


def ssim() -> Figure:
    """The gray pictures at the common size, and the similarity of every window."""
    changed = saved_anew(coffee())
    changed[60:80, 100:130] = 40
    pictures = [coffee(), changed, resize(data.chelsea(), (300, 200))]
    names = titles(pictures, ("reference", "edited copy, dark patch", "other image"), "ssim")
    gray = icas.features(pictures, method="ssim").array
    figure, axes = sheet(3, 7.2, 4.9, (1, 1))
    for column, (own, name) in enumerate(zip(gray, names, strict=True)):
        show(axes[0, column], own, name, cmap="gray", vmin=0, vmax=255)
        _, full = structural_similarity(gray[0], own, data_range=255, full=True)
        how = {"cmap": "RdYlGn", "vmin": -1, "vmax": 1}
        text = "windows against reference" if column else "windows of reference"
        show(axes[1, column], full, text, **how)
    figure.colorbar(axes[1, 2].images[0], ax=axes[1, :], fraction=0.05, aspect=12)
    return figure


def tm() -> Figure:
    """Pictures at 10x10 in colour, and where they differ."""
    left, right = two_cameras()
    pictures = [left, right, resize(data.chelsea(), (300, 200))]
    names = titles(pictures, ("reference", "second camera", "other image"), "tm")
    small = [resize(picture, (10, 10)) for picture in pictures]
    figure, axes = sheet(3, 7.2, 6.4, (0.8, 1, 1))
    for column, (picture, own, name) in enumerate(zip(pictures, small, names, strict=True)):
        show(axes[0, column], picture, name)
        show(axes[1, column], own, "10x10")
        difference = ((own.astype(float) - small[0]) ** 2).sum(axis=2)
        text = "squared difference" if column else "reference: 0"
        show(axes[2, column], np.sqrt(difference), text, cmap="magma", vmin=0, vmax=250)
    return figure


def minhash() -> Figure:
    """Harris corners in the cells of one of the four grids, coloured by their class of gray."""
    left, right = two_cameras()
    pictures = [left, right, resize(data.chelsea(), (300, 200))]
    names = titles(pictures, ("reference", "second camera", "other image"), "minhash")
    first = {place[2] for place in corners_of(left)}
    figure, axes = sheet(3, 9.6, 3.45)
    for axis, picture, name in zip(axes.flat, pictures, names, strict=True):
        gray = cv2.cvtColor(resize(picture, (96, 96)), cv2.COLOR_RGB2GRAY)
        show(axis, gray, name, cmap="gray", alpha=0.55)
        for line in np.arange(0, 97, 12) - 0.5:
            axis.plot([line, line], [-0.5, 95.5], color=QUIET, lw=0.6)
            axis.plot([-0.5, 95.5], [line, line], color=QUIET, lw=0.6)
        for row, column, element in corners_of(picture):
            colour = CLASSES[element[2]]
            inside = colour if element in first else "none"
            axis.plot(column, row, "o", ms=3.6, mec=colour, mfc=inside, mew=0.9)
    return figure


def corners_of(picture: Image) -> list[tuple[int, int, tuple[int, int, int]]]:
    """Row, column and element (cell down, cell across, class of gray) of each corner."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    brought = resize(gray, (96, 96)).astype(np.float32) / np.float32(255)
    rows, columns = strongest_corners(brought, MinHash().corners)
    classes = gray_classes(brought, rows, columns)
    found = zip(rows.tolist(), columns.tolist(), classes.tolist(), strict=True)
    return [(row, column, (row // 12, column // 12, kind)) for row, column, kind in found]


def orb() -> Figure:
    """Mutual matches of an image with a rotated crop of it, and with another image."""
    whole = resize(data.astronaut(), (320, 320))
    matrix = cv2.getRotationMatrix2D((140, 140), 20, 1.1)
    turned = cv2.warpAffine(whole, matrix, (270, 280), borderMode=cv2.BORDER_REFLECT)
    pairs = [("rotated, enlarged, cropped", turned), ("other image", coffee())]
    figure, axes = sheet(2, 9.6, 2.95)
    for axis, (name, other) in zip(axes.flat, pairs, strict=True):
        height = max(len(whole), len(other))
        board = np.full((height, whole.shape[1] + other.shape[1] + 12, 3), 255, np.uint8)
        board[: len(whole), : whole.shape[1]] = whole
        board[: len(other), whole.shape[1] + 12 :] = other
        lines, good = matches_of(whole, other)
        value = similarity(whole, other, "orb")
        text = f"{name}: {value:.2f}; {good.sum()} of {len(good)} matches agree"
        show(axis, board, text)
        for (x, y, x2, y2), agrees in sorted(zip(lines, good, strict=True), key=lambda one: one[1]):
            colour, width = (GOOD, 1.0) if agrees else (BAD, 0.5)
            axis.plot([x, x2 + whole.shape[1] + 12], [y, y2], color=colour, lw=width, alpha=0.8)
    return figure


def matches_of(a: Image, b: Image) -> tuple[list[tuple[float, ...]], np.ndarray]:
    """Ends of the mutual matches in pixels, and which of them belong to the heaviest set."""
    method = Orb()
    both = features_of(icas.features([a, b], method="orb"))
    one, many = both.rows(0), both.rows(slice(1, 2))
    matches = mutual_matches(one, many, method.match_bits)
    weights = method._weights()

    def weight(kept: np.ndarray) -> float:
        return float(agreeing(one, many, matches.only(kept), weights, method.tolerance)[0])

    everything = np.ones(len(matches.first), bool)
    best = weight(everything)
    # Whatever the heaviest set loses weight without belongs to it.
    good = np.array([weight(~one) < best for one in np.eye(len(everything), dtype=bool)], bool)
    ours = one.places[matches.first] * max(a.shape[:2])
    theirs = many.places[0][matches.second] * max(b.shape[:2])
    return [(*p, *q) for p, q in zip(ours.tolist(), theirs.tolist(), strict=True)], good


def deep(weights: Path) -> Figure:
    """Similarity of two patches of six surfaces, by a network and by a hash."""
    pieces = [piece for name in SURFACES for piece in two_places(getattr(data, name)())]
    names = [f"{name} {place}" for name in SURFACES.values() for place in (1, 2)]
    how = {"model": "mobilenet_v2", "weights": str(weights), "dims": 0}
    found = {
        "deep (mobilenet_v2, cosine)": icas.similarity_matrix(pieces, method="deep", **how),
        "imagehash (equal bits)": icas.similarity_matrix(pieces, method="imagehash"),
    }
    figure = plt.figure(figsize=(9.6, 5.6), layout="constrained")
    axes = figure.subplot_mosaic([[*range(12)], ["left"] * 6 + ["right"] * 6], height_ratios=[1, 5])
    for number, piece in enumerate(pieces):
        show(axes[number], resize(piece, (96, 96)), names[number], cmap="gray")
    for place, (text, matrix) in zip(("left", "right"), found.items(), strict=True):
        off = matrix[~np.eye(len(matrix), dtype=bool)]
        show(axes[place], matrix, text, cmap="viridis", vmin=off.min(), vmax=off.max())
        figure.colorbar(axes[place].images[0], ax=axes[place], shrink=0.8)
    for axis in axes.values():
        axis.set_axis_off()
    return figure


DRAWN = {"imagehash": imagehash, "ssim": ssim, "tm": tm, "minhash": minhash, "orb": orb}

if __name__ == "__main__":
    main()
