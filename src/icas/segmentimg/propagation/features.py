"""What is kept of an image to carry masks to it and from it."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image, resize
from icas.segmentimg.grabcut.features import SuperpixelGraph, superpixel_graph
from icas.segmentimg.propagation.network import FeatureNetwork, Maps, joined, normalised

Floats = NDArray[np.float32]

WORK_SIDE = 320
"""Longer side to which larger images are reduced."""
KEYPOINTS = 1500
VERSION = 2
_MAGIC = b"icas propagation %d\n" % VERSION
_SMALLEST = 16
"""Images of a smaller side are enlarged to it."""
_LAB_STEP = 8
"""Pixels between the places of dense SIFT."""
_LAB_WEIGHT = 0.8
_THUMBNAIL = 24


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """An image at working size, and its features.

    Attributes
    ----------
    image : (h, w, 3) uint8 ndarray
    size : tuple of int
        Height and width of the whole image.
    graph : SuperpixelGraph
        About 2,500 superpixels.
    maps : tuple of maps and weights
        Maps of the image at several depths, finest first.
    points : (k, 2) float32 ndarray
        x and y of SIFT keypoints.
    descriptors : (k, 128) uint8 ndarray
    network : str
        Identity of the network that gave the maps; empty where dense SIFT and Lab colors did.
    """

    image: Image
    size: tuple[int, int]
    graph: SuperpixelGraph
    maps: Maps
    points: Floats
    descriptors: NDArray[np.uint8]
    network: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at working size."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def gray(self) -> NDArray[np.uint8]:
        """(h, w) uint8."""
        import cv2

        return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def grid(self) -> Floats:
        """(rows, columns, channels) features of the cells of a grid, L2-normalised."""
        return joined(self.maps)

    @cached_property
    def cells(self) -> Floats:
        """(rows * columns, channels) features of the cells."""
        return self.grid.reshape(-1, self.grid.shape[2])

    @cached_property
    def cell_places(self) -> Floats:
        """(rows * columns, 2) row and column of the cells, 0 to 1."""
        rows, columns = self.grid.shape[:2]
        down, right = np.indices((rows, columns), np.float32)
        places = np.stack([(down + 0.5) / rows, (right + 0.5) / columns], axis=-1)
        return np.asarray(places.reshape(-1, 2), np.float32)

    @cached_property
    def places(self) -> Floats:
        """(n, 2) row and column of the superpixels, 0 to 1."""
        height, width = self.shape
        pixels = self.graph.centers * (height * width) ** 0.5 + 0.5
        return np.asarray(pixels / (height, width), np.float32)

    @cached_property
    def pieces(self) -> Floats:
        """(n, channels) features of the superpixels, L2-normalised."""
        rows, columns = self.grid.shape[:2]
        down, right = (
            np.clip(self.places[:, axis] * side - 0.5, 0, side - 1)
            for axis, side in enumerate((rows, columns))
        )
        top, left = down.astype(int), right.astype(int)
        below, beside = np.minimum(top + 1, rows - 1), np.minimum(left + 1, columns - 1)
        y, x = (down - top)[:, None], (right - left)[:, None]
        maps = self.grid
        upper = maps[top, left] * (1 - x) + maps[top, beside] * x
        lower = maps[below, left] * (1 - x) + maps[below, beside] * x
        return normalised(np.asarray(upper * (1 - y) + lower * y, np.float32))

    @cached_property
    def summary(self) -> Floats:
        """One vector of length 1: mean of the cells."""
        return normalised(self.cells.mean(axis=0))

    @cached_property
    def thumbnail(self) -> Floats:
        """Lab colors of the image at 24 x 24 pixels, centred, as a vector of length 1."""
        import cv2

        lab = cv2.cvtColor(self.image, cv2.COLOR_RGB2Lab)
        small = cv2.resize(lab, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        small = small.astype(np.float32)
        return normalised((small - small.mean(axis=(0, 1))).ravel())

    def __getstate__(self) -> dict[str, object]:
        """Without what can be computed again."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}


def image_features(image: Image, network: FeatureNetwork | None = None) -> ImageFeatures:
    """Features of an RGB image of any size; without a network, dense SIFT and Lab colors."""
    size = (image.shape[0], image.shape[1])
    small = resize(image, work_size(size)[::-1])
    graph = superpixel_graph(small)
    maps = _color_maps(small) if network is None else network(small)
    points, descriptors = _keypoints(small)
    return ImageFeatures(
        small,
        size,
        graph,
        maps,
        points,
        descriptors,
        "" if network is None else network.identity,
    )


def work_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width to which an image of `size` is reduced, or enlarged if it is tiny."""
    height, width = size
    scale = min(1.0, WORK_SIDE / max(height, width))
    rows, columns = (max(_SMALLEST, round(side * scale)) for side in (height, width))
    return rows, columns


def to_bytes(features: ImageFeatures) -> bytes:
    """Features as bytes for a cache."""
    arrays: dict[str, Any] = {name: getattr(features, name) for name in _ARRAYS}
    arrays |= {f"graph_{name}": getattr(features.graph, name) for name in _GRAPH}
    arrays |= {f"map_{number}": map for number, (map, _) in enumerate(features.maps)}
    arrays["weights"] = np.array([weight for _, weight in features.maps])
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    data = stream.getvalue()
    return _MAGIC + zlib.crc32(data).to_bytes(4, "big") + data


def from_bytes(data: bytes) -> ImageFeatures:
    """Features from `to_bytes`.

    Raises ValueError: the bytes are damaged, or of another version.
    """
    start = len(_MAGIC) + 4
    body = data[start:]
    if (
        data[: len(_MAGIC)] != _MAGIC
        or zlib.crc32(body).to_bytes(4, "big") != data[start - 4 : start]
    ):
        raise ValueError("not features of this version")
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        graph = SuperpixelGraph(*(arrays[f"graph_{name}"] for name in _GRAPH))
        weights = arrays["weights"].tolist()
        maps = tuple((arrays[f"map_{number}"], one) for number, one in enumerate(weights))
        height, width = arrays["size"].tolist()
        points, descriptors = arrays["points"], arrays["descriptors"]
        return ImageFeatures(
            arrays["image"],
            (height, width),
            graph,
            maps,
            points,
            descriptors,
            str(arrays["network"]),
        )


_ARRAYS = ("image", "size", "points", "descriptors", "network")
_GRAPH = tuple(each.name for each in fields(SuperpixelGraph))


def _keypoints(image: Image) -> tuple[Floats, NDArray[np.uint8]]:
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    sift: Any = cv2.SIFT.create(KEYPOINTS, contrastThreshold=0.02)
    found, descriptors = sift.detectAndCompute(gray, None)
    if descriptors is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8)
    return np.array([point.pt for point in found], np.float32), np.asarray(descriptors, np.uint8)


def _color_maps(image: Image) -> Maps:
    """Dense SIFT of two sizes and Lab colors of two widths, L2-normalised together."""
    import cv2

    height, width = image.shape[:2]
    rows, columns = (max(1, round(side / _LAB_STEP)) for side in (height, width))
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    down, right = (np.indices((rows, columns)) + 0.5) * np.array(
        [height / rows, width / columns]
    ).reshape(2, 1, 1)
    parts = []
    sift = cv2.SIFT.create()
    for diameter in (12.0, 28.0):
        points = [
            cv2.KeyPoint(float(x), float(y), diameter)
            for x, y in zip(right.ravel(), down.ravel(), strict=True)
        ]
        descriptors = sift.compute(gray, points)[1]
        parts.append(0.5 * normalised(np.sqrt(np.asarray(descriptors, np.float32))))
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    for sigma in (3.0, 10.0):
        smooth = cv2.GaussianBlur(lab, (0, 0), sigma)
        small = cv2.resize(smooth, (columns, rows), interpolation=cv2.INTER_AREA).reshape(-1, 3)
        parts.append(_LAB_WEIGHT * _color_code(np.asarray(small, np.float32)))
    joint = np.concatenate(parts, axis=1).reshape(rows, columns, -1)
    return ((joint.astype(np.float16), 1.0),)


def _color_code(colors: Floats) -> Floats:
    """Random Fourier features of Lab colors: their product falls with the distance of colors."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(3, 24)).astype(np.float32) / 14
    phases = colors @ directions
    waves = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
    return normalised(np.asarray(waves, np.float32))
