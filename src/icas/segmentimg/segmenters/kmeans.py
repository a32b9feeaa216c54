"""k-means of colors, with weighted positions for segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icas.cli.options import option
from icas.common.errors import UsageError
from icas.io.reading import Image, as_image
from icas.segmentimg.labels.label_map import label_map
from icas.segmentimg.labels.labels import Labels, absorb_small, connected, sizes_of
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.segmenters.superpixels import Superpixels

Points = NDArray[np.float32]
SEGMENT_SAMPLE, COLOR_SAMPLE = 20_000, 12_000
"""Pixels from which `KMeans` and `kmeans_colors` compute centres."""
ROUNDS, LAST_ROUNDS = 30, 8
"""Maximum rounds of a run, and of `kmeans_colors` after the best run, among all colors."""
RUNS = 3
"""Runs of `kmeans_colors` from different first centres."""
TOLERANCE = 0.1
"""Movement of the centres below which they have converged, in the unit of the points."""
CHUNK = 1 << 16
"""Points whose nearest centres are computed at a time."""
FINE_BITS, COARSE_BITS = 6, 5
"""Bits per channel of the distinct colors of `kmeans_colors`, and in the runs."""
POSITION_UNIT = 255.0
"""Color units of the longer side at weights of 1."""


class _Parts(NamedTuple):
    labels: Labels
    centres: NDArray[np.float64]
    picture: Image


class KMeansColors(_Parts):
    """Result of `icas.kmeans_colors`, a named tuple.

    Attributes
    ----------
    labels : (h, w) int32 ndarray
        Cluster of each pixel, 0…k - 1.
    centres : (k, 3) float64 ndarray
        Cluster centers, RGB, 0-255; the largest cluster first.
    picture : (h, w, 3) uint8 ndarray
        The image with each pixel replaced by its center.

    See Also
    --------
    icas.kmeans_colors : computes it.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> image = np.zeros((2, 3, 3), np.uint8)
    >>> image[:, 2] = 255, 0, 0
    >>> labels, centres, picture = icas.kmeans_colors(image, 2)
    >>> labels
    array([[0, 0, 1],
           [0, 0, 1]], dtype=int32)
    >>> centres.tolist(), picture.dtype
    ([[0.0, 0.0, 0.0], [255.0, 0.0, 0.0]], dtype('uint8'))
    """

    original: Image | None = None

    def _repr_html_(self) -> str:
        from icas.notebook.show import show

        before = [] if self.original is None else [self.original]
        titles = ["original", f"{len(self.centres)} colours"]
        return show(*before, self, titles=titles[-1 - len(before) :])._repr_html_()


def kmeans_colors(image: NDArray[Any], k: int = 5, seed: int = 0) -> KMeansColors:
    """Reduce an image to `k` colors by k-means.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; or any other image that `icas.segment` takes.
    k : int, default 5
        Number of colors, at least 1; fewer are returned if the image has fewer.
    seed : int, default 0
        Random seed of the first centers.

    Returns
    -------
    KMeansColors
        ``labels``, ``centres`` and ``picture``.

    Raises
    ------
    UsageError
        `k` is below 1, or the array is not an image.

    See Also
    --------
    icas.segment : ``method="kmeans"``, connected segments in place of colors.

    Notes
    -----
    Approximates scikit-learn's ``KMeans(n_clusters=k)`` on the pixels, faster. Centers are
    computed from about 12,000 evenly spaced pixels, grouped to 6 bits per channel, with k-means++
    and Lloyd's algorithm from several starts. All pixels are then assigned to the
    nearest center, and the centers moved to the means.

    References
    ----------
    - S. Lloyd, "Least squares quantization in PCM", 1982.
    - D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding",
      SODA 2007.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> labels, centres, picture = icas.kmeans_colors(data.coffee(), 5)
    >>> labels.shape, centres.shape, picture.shape
    ((400, 600), (5, 3), (400, 600, 3))
    """
    if not np.issubdtype(type(k), np.integer):
        raise UsageError(f"k {k!r}: expected an integer")
    if k < 1:
        raise UsageError(f"k {k}: must be at least 1")
    picture = as_image(image)
    colors, weights = _distinct(
        picture.reshape(-1, 3)[:: max(1, picture.size // 3 // COLOR_SAMPLE)]
    )
    start = _best_start(colors, weights, k, seed)
    centres = lloyd(colors, weights, start, LAST_ROUNDS)
    return _painted(picture, centres)


def _distinct(pixels: NDArray[np.uint8]) -> tuple[Points, NDArray[np.float64]]:
    """Mean and pixels of every distinct color, at `FINE_BITS` per channel."""
    high = (pixels >> (8 - FINE_BITS)).astype(np.int32)
    code = (high[:, 0] << 2 * FINE_BITS) | (high[:, 1] << FINE_BITS) | high[:, 2]
    return _means(np.unique(code, return_inverse=True)[1], pixels, np.ones(len(pixels)))


def _means(
    cell: NDArray[np.int64], points: NDArray[Any], weights: NDArray[np.float64]
) -> tuple[Points, NDArray[np.float64]]:
    """Weighted mean and weight of the points in each cell."""
    mass = np.asarray(np.bincount(cell, weights), np.float64)
    sums = [np.bincount(cell, weights * column) for column in points.T]
    return (np.stack(sums, axis=1) / mass[:, None]).astype(np.float32), mass


def _best_start(points: Points, weights: NDArray[np.float64], k: int, seed: int) -> Points:
    """The centres of the best of several runs on a few hundred coarser colors."""
    shift = float(1 << 8 - COARSE_BITS)
    code = np.floor(points / shift).astype(np.int64) @ np.array([1, 64, 4096])
    coarse, mass = _means(np.unique(code, return_inverse=True)[1], points, weights)
    if len(coarse) < k:
        return find_centres(points, weights, k, seed)
    runs = [find_centres(coarse, mass, k, [seed, run]) for run in range(RUNS)]
    return min(runs, key=lambda centres: inertia(coarse, mass, centres))


def _painted(picture: Image, centres: Points) -> KMeansColors:
    """Assign pixels to their nearest centres; sort these by size, move them to the means."""
    import cv2

    planes = np.stack(cv2.split(picture)).reshape(3, -1).astype(np.float32)
    label = _nearest_by_plane(planes, centres)
    mass = np.bincount(label, minlength=len(centres))
    order = np.argsort(-mass, kind="stable")
    order = order[mass[order] > 0]
    rank = np.zeros(len(centres), np.int32)
    rank[order] = np.arange(len(order))
    sums = [np.bincount(label, plane, len(centres)) for plane in planes]
    means = np.stack(sums, axis=1)[order] / mass[order, None]
    labels = rank[label].reshape(picture.shape[:2])
    painted = np.take(np.rint(means).astype(np.uint8), labels, axis=0)
    result = KMeansColors(label_map(labels), means, painted)
    result.original = picture
    return result


def _nearest_by_plane(planes: Points, centres: Points) -> NDArray[np.int64]:
    """Nearest centre of each column of `planes` (3, n); the lowest of equals."""
    distance = (centres * centres).sum(axis=1)[:, None] - 2 * (centres @ planes)
    least, label = distance[0], np.zeros(planes.shape[1], np.int64)
    for number in range(1, len(centres)):
        closer = distance[number] < least
        np.copyto(label, number, where=closer)
        np.minimum(least, distance[number], out=least)
    return label


def find_centres(
    points: Points, weights: NDArray[np.float64], k: int, seed: int | list[int]
) -> Points:
    """Up to k centres: greedy k-means++, then Lloyd's rounds until they converge."""
    rng = np.random.default_rng(seed)
    return lloyd(points, weights, _first_centres(points, weights, min(k, len(points)), rng), ROUNDS)


def lloyd(points: Points, weights: NDArray[np.float64], centres: Points, rounds: int) -> Points:
    """Move centres to the mean of their points until they converge, at most `rounds` times."""
    weighted = np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)
    weighted *= weights[:, None].astype(np.float32)
    numbers = np.arange(len(centres))[:, None]
    for _ in range(rounds):
        label = nearest(points, centres)
        sums = (label == numbers).astype(np.float32) @ weighted
        used = sums[:, -1:] > 0
        moved = np.where(used, sums[:, :-1] / np.maximum(sums[:, -1:], 1e-9), centres)
        if np.abs(moved - centres).max() < TOLERANCE:
            return np.asarray(moved, np.float32)
        centres = np.asarray(moved, np.float32)
    return centres


def inertia(points: Points, weights: NDArray[np.float64], centres: Points) -> float:
    """Weighted sum of squared distances to the nearest centre."""
    return float(weights @ _squared(points, centres).min(axis=1))


def _first_centres(
    points: Points, weights: NDArray[np.float64], k: int, rng: np.random.Generator
) -> Points:
    tries = 2 + int(np.log(k))
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = _squared(points, points[chosen])[:, 0]
    while len(chosen) < k:
        mass = weights * distance
        total = mass.sum()
        if total <= 0:
            break
        picks = np.searchsorted(np.cumsum(mass), rng.random(tries) * total)
        picks = np.minimum(picks, len(points) - 1)
        closer = np.minimum(distance[:, None], _squared(points, points[picks]))
        best = int(np.argmin(weights @ closer))
        chosen.append(int(picks[best]))
        distance = closer[:, best]
    return points[chosen].copy()


def _squared(points: Points, centres: Points) -> NDArray[np.float64]:
    """(points, centres) squared distances."""
    dot = points @ centres.T
    norms = (points * points).sum(axis=1)[:, None] + (centres * centres).sum(axis=1)[None, :]
    return np.asarray(np.maximum(norms - 2 * dot, 0), np.float64)


def nearest(points: Points, centres: Points) -> NDArray[np.int32]:
    """(n,) nearest centre of each point; the lowest of equals."""
    result = np.empty(len(points), np.int32)
    offset = (centres * centres).sum(axis=1)
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK]
        result[start : start + CHUNK] = np.argmin(offset - 2 * (part @ centres.T), axis=1)
    return result


@dataclass(frozen=True)
class KMeans(Segmenter):
    """Connected regions of k-means clusters of colors and weighted positions.

    Colors are CIE Lab, positions in units of the image's longer side; a region of fewer than
    `min_size` pixels is joined with the neighbour of nearest color.
    """

    k: int = option(80, "number of clusters", minimum=1, maximum=10_000)
    color_importance: float = option(1.0, "weight of colour", minimum=0, maximum=1000)
    position_weight: float = option(
        0.5, "weight of position; 0 = colour only", minimum=0, maximum=1000
    )
    sigma: float = option(1.0, "Gaussian smoothing", unit="pixels", minimum=0, maximum=100)
    min_size: int = option(40, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)
    seed: int = option(0, "random seed", minimum=0)

    name: ClassVar[str] = "kmeans"
    saves: ClassVar[tuple[str, ...]] = ("centres",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.color_importance == 0 and self.position_weight == 0:
            raise UsageError(
                "--color-importance and --position-weight are both 0: one must be above 0"
            )

    def groups(self, image: Image) -> Labels:
        """Connected regions, numbered from 1."""
        points = self._points(image)
        drawn = np.random.default_rng(self.seed).permutation(len(points))[:SEGMENT_SAMPLE]
        chosen = points[np.sort(drawn)]
        centres = find_centres(chosen, np.ones(len(chosen)), self.k, self.seed)
        clusters = nearest(points, centres).reshape(image.shape[:2])
        return absorb_small(image, connected(clusters), self.min_size)

    def extra_files(self, image: Image) -> tuple[dict[str, Image], dict[str, Any]]:
        """The image in its `k` colours, and the colours."""
        colors = kmeans_colors(image, self.k, self.seed)
        return {"centres": colors.picture}, {"centres": colors.centres.round(2).tolist()}

    def _points(self, image: Image) -> Points:
        """(pixels, 5): weighted Lab, row and column."""
        import cv2

        smooth = image if self.sigma == 0 else cv2.GaussianBlur(image, (0, 0), self.sigma)
        lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab).astype(np.float32)
        return _features(lab, self.color_importance, self.position_weight)


def _features(lab: NDArray[np.float32], color: float, place: float) -> Points:
    height, width = lab.shape[:2]
    unit = POSITION_UNIT / max(height, width)
    rows, columns = np.mgrid[:height, :width].astype(np.float32) * np.float32(unit * place)
    return np.concatenate(
        [lab.reshape(-1, 3) * np.float32(color), rows.reshape(-1, 1), columns.reshape(-1, 1)],
        axis=1,
    )


@dataclass(frozen=True)
class SlicKMeans(Segmenter):
    """k-means of the mean colors and positions of superpixels."""

    region_size: int = option(
        8, "approximate side of a superpixel", unit="pixels", minimum=2, maximum=1000
    )
    ruler: float = option(10.0, "slic: weight of compactness", minimum=0, maximum=1000)
    k: int = option(200, "number of clusters", minimum=1, maximum=10_000)
    color_importance: float = option(1.0, "weight of colour", minimum=0, maximum=1000)
    position_weight: float = option(
        1.0, "weight of position; 0 = colour only", minimum=0, maximum=1000
    )
    min_size: int = option(40, "minimum segment size", unit="pixels", minimum=1, maximum=1_000_000)
    seed: int = option(0, "random seed", minimum=0)

    name: ClassVar[str] = "slickmeans"

    def groups(self, image: Image) -> Labels:
        """Connected regions, numbered from 1."""
        superpixels = Superpixels(algorithm="slic", region_size=self.region_size, ruler=self.ruler)
        pieces = connected(superpixels.groups(image))
        points = self._points(image, pieces)
        weights = sizes_of(pieces)[1:].astype(np.float64)
        centres = find_centres(points, weights, self.k, self.seed)
        cluster = np.concatenate([[0], nearest(points, centres)]).astype(np.int32)
        return absorb_small(image, connected(cluster[pieces]), self.min_size)

    def _points(self, image: Image, pieces: Labels) -> Points:
        """(superpixels, 5): mean weighted color and position."""
        import cv2

        lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab).astype(np.float32)
        whole = _features(lab, self.color_importance, self.position_weight)
        flat = pieces.ravel()
        sums = [np.bincount(flat, column)[1:] for column in whole.T]
        return (np.stack(sums, axis=1) / sizes_of(pieces)[1:, None]).astype(np.float32)
