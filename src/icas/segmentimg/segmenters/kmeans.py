"""k-means of colours, with the place of a pixel as far as one wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import cv2
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
SAMPLE = 20_000
"""Pixels that `KMeans` looks for centres among."""
ROUNDS = 30
AT_ONCE = 1 << 16
"""Points whose nearest centres are looked for at a time."""
REST = 0.1
"""Centres that move by less have come to rest, in the points' unit."""
FINE_BITS = 6
"""Bits a channel of the colours that `kmeans_colors` tells apart."""
COARSE_BITS = 5
"""Bits a channel while it looks for a good start."""
LOOKED_AT = 12_000
"""Pixels that `kmeans_colors` looks for centres among."""
LAST_ROUNDS = 8
"""Rounds from that start, among all colours."""
RUNS = 3
"""Runs from different first centres, of which the best is taken."""


class _Parts(NamedTuple):
    labels: Labels
    centres: NDArray[np.float64]
    picture: Image


class KMeansColors(_Parts):
    """Colours of a picture brought down to a few; what `icas.kmeans_colors` gives.

    A named tuple: ``labels, centres, picture = icas.kmeans_colors(image, 5)``.

    Attributes
    ----------
    labels : (h, w) int32 ndarray
        Number of each pixel's centre, 0…k - 1.
    centres : (k, 3) float64 ndarray
        Colours of the centres, RGB, 0-255, in the order of their size, largest first.
    picture : (h, w, 3) uint8 ndarray
        The picture painted with the centres.

    See Also
    --------
    icas.kmeans_colors : makes one.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> image = np.zeros((2, 3, 3), np.uint8)
    >>> image[:, 2] = 255, 0, 0
    >>> found = icas.kmeans_colors(image, 2)
    >>> found.labels
    array([[0, 0, 1],
           [0, 0, 1]], dtype=int32)
    >>> found.centres.tolist(), found.picture.dtype
    ([[0.0, 0.0, 0.0], [255.0, 0.0, 0.0]], dtype('uint8'))
    """

    original: Image | None = None

    def _repr_html_(self) -> str:
        from icas.notebook.show import show

        before = [] if self.original is None else [self.original]
        titles = ["original", f"{len(self.centres)} colours"]
        return show(*before, self, titles=titles[-1 - len(before) :])._repr_html_()


def kmeans_colors(image: NDArray[Any], k: int = 5, seed: int = 0) -> KMeansColors:
    """The `k` colours that a picture is best painted with.

    What scikit-learn's ``KMeans(n_clusters=k)`` gives on the pixels as rows, faster: centres are
    looked for among the distinct colours, at 6 bits a channel, of some 12,000 evenly spread
    pixels, each weighted by its pixels and standing at their mean; the start is the best of
    several. Every pixel then goes to its nearest centre, and the centres to the means of theirs.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; gray and RGBA do too.
    k : int, default 5
        Number of colours, at least 1; fewer come back where the picture has fewer.
    seed : int, default 0
        Where chance comes in: the first centres.

    Returns
    -------
    KMeansColors
        ``labels``, ``centres`` and ``picture``.

    Raises
    ------
    UsageError
        `k` is below 1, or the array is no picture.

    See Also
    --------
    icas.segment : ``method="kmeans"``, connected segments in place of colours.

    Notes
    -----
    Sources: S. Lloyd, Least squares quantization in PCM, 1982; D. Arthur and S. Vassilvitskii,
    k-means++: the advantages of careful seeding, SODA 2007.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> labels, centres, picture = icas.kmeans_colors(data.coffee(), 5)
    >>> labels.shape, centres.shape, picture.shape
    ((400, 600), (5, 3), (400, 600, 3))
    """
    if k < 1:
        raise UsageError(f"k {k}: must be at least 1 colour")
    picture = as_image(image)
    colors, weights = _distinct(picture.reshape(-1, 3)[:: max(1, picture.size // 3 // LOOKED_AT)])
    start = _best_start(colors, weights, k, seed)
    centres = lloyd(colors, weights, start, LAST_ROUNDS)
    return _painted(picture, centres)


def _distinct(pixels: NDArray[np.uint8]) -> tuple[Points, NDArray[np.float64]]:
    """Mean colour and pixels of every colour that is there, at `FINE_BITS` a channel."""
    high = (pixels >> (8 - FINE_BITS)).astype(np.int32)
    code = (high[:, 0] << 2 * FINE_BITS) | (high[:, 1] << FINE_BITS) | high[:, 2]
    return _means(np.unique(code, return_inverse=True)[1], pixels, np.ones(len(pixels)))


def _means(
    cell: NDArray[np.int64], points: NDArray[Any], weights: NDArray[np.float64]
) -> tuple[Points, NDArray[np.float64]]:
    """Weighted mean of the points in each cell, and its weight."""
    mass = np.asarray(np.bincount(cell, weights), np.float64)
    sums = [np.bincount(cell, weights * column) for column in points.T]
    return (np.stack(sums, axis=1) / mass[:, None]).astype(np.float32), mass


def _best_start(points: Points, weights: NDArray[np.float64], k: int, seed: int) -> Points:
    """The best of several runs of k-means on colours brought down further.

    One run may rest in a poor place; several are cheap on a few hundred colours.
    """
    shift = float(1 << 8 - COARSE_BITS)
    code = np.floor(points / shift).astype(np.int64) @ np.array([1, 64, 4096])
    coarse, mass = _means(np.unique(code, return_inverse=True)[1], points, weights)
    if len(coarse) < k:
        return find_centres(points, weights, k, seed)
    runs = [find_centres(coarse, mass, k, [seed, run]) for run in range(RUNS)]
    return min(runs, key=lambda centres: inertia(coarse, mass, centres))


def _painted(picture: Image, centres: Points) -> KMeansColors:
    """Every pixel with its nearest centre; the centres, by size, become the means of theirs."""
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
    made = KMeansColors(label_map(labels), means, painted)
    made.original = picture
    return made


def _nearest_by_plane(planes: Points, centres: Points) -> NDArray[np.int64]:
    """Number of the nearest centre of each column of `planes`; the lowest of equals."""
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
    """Centres of k-means: k-means++ with a few tries a centre, then Lloyd's rounds until they rest.

    Source: D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, SODA
    2007. At most as many centres as there are points.
    """
    rng = np.random.default_rng(seed)
    return lloyd(points, weights, _first_centres(points, weights, min(k, len(points)), rng), ROUNDS)


def lloyd(points: Points, weights: NDArray[np.float64], centres: Points, rounds: int) -> Points:
    """Centres moved to the mean of their points until they rest, `rounds` times at most."""
    weighted = np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)
    weighted *= weights[:, None].astype(np.float32)
    numbers = np.arange(len(centres))[:, None]
    for _ in range(rounds):
        label = nearest(points, centres)
        sums = (label == numbers).astype(np.float32) @ weighted
        kept = sums[:, -1:] > 0
        moved = np.where(kept, sums[:, :-1] / np.maximum(sums[:, -1:], 1e-9), centres)
        if np.abs(moved - centres).max() < REST:
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
    """Squared distance of each point to each centre."""
    dot = points @ centres.T
    own = (points * points).sum(axis=1)[:, None] + (centres * centres).sum(axis=1)[None, :]
    return np.asarray(np.maximum(own - 2 * dot, 0), np.float64)


def nearest(points: Points, centres: Points) -> NDArray[np.int32]:
    """Number of the nearest centre of each point; the lowest of equals."""
    found = np.empty(len(points), np.int32)
    offset = (centres * centres).sum(axis=1)
    for start in range(0, len(points), AT_ONCE):
        part = points[start : start + AT_ONCE]
        found[start : start + AT_ONCE] = np.argmin(offset - 2 * (part @ centres.T), axis=1)
    return found


@dataclass(frozen=True)
class KMeans(Segmenter):
    """Connected pieces of the clusters that k-means finds among colours and weighted places.

    Colours are CIE Lab, places in units of the picture's longer side; a piece of fewer than
    `min_size` pixels joins its neighbour of nearest colour.
    """

    k: int = option(80, "clusters", minimum=1, maximum=10_000)
    color_importance: float = option(
        1.0, "how much colour counts beside place", minimum=0, maximum=1000
    )
    position_weight: float = option(
        0.5, "how much place counts beside colour; 0 = colours alone", minimum=0, maximum=1000
    )
    sigma: float = option(1.0, "smoothing before", unit="pixels", minimum=0, maximum=100)
    min_size: int = option(40, "least piece", unit="pixels", minimum=1, maximum=1_000_000)
    seed: int = option(0, "draws the first centres", minimum=0)

    name: ClassVar[str] = "kmeans"
    saves: ClassVar[tuple[str, ...]] = ("centres",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.color_importance == 0 and self.position_weight == 0:
            raise UsageError(
                "--color-importance 0 and --position-weight 0 leave nothing to compare"
            )

    def groups(self, image: Image) -> Labels:
        """Number of the connected piece of each pixel."""
        points = self._points(image)
        drawn = np.random.default_rng(self.seed).permutation(len(points))[:SAMPLE]
        chosen = points[np.sort(drawn)]
        centres = find_centres(chosen, np.ones(len(chosen)), self.k, self.seed)
        found = nearest(points, centres).reshape(image.shape[:2])
        return absorb_small(image, connected(found), self.min_size)

    def extra_files(self, image: Image) -> tuple[dict[str, Image], dict[str, Any]]:
        """The image in its `k` colours, and the colours."""
        colors = kmeans_colors(image, self.k, self.seed)
        return {"centres": colors.picture}, {"centres": colors.centres.round(2).tolist()}

    def _points(self, image: Image) -> Points:
        """A row a pixel: Lab times its weight, row and column times theirs."""
        smooth = image if self.sigma == 0 else cv2.GaussianBlur(image, (0, 0), self.sigma)
        lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2Lab).astype(np.float32)
        return _features(lab, self.color_importance, self.position_weight)


PLACE = 255.0
"""Colour units across the longer side at weights of 1."""


def _features(lab: NDArray[np.float32], color: float, place: float) -> Points:
    height, width = lab.shape[:2]
    unit = PLACE / max(height, width)
    rows, columns = np.mgrid[:height, :width].astype(np.float32) * np.float32(unit * place)
    return np.concatenate(
        [lab.reshape(-1, 3) * np.float32(color), rows.reshape(-1, 1), columns.reshape(-1, 1)],
        axis=1,
    )


@dataclass(frozen=True)
class SlicKMeans(Segmenter):
    """Superpixels first, then k-means of their mean colours and places."""

    region_size: int = option(
        8, "side of a superpixel, about", unit="pixels", minimum=2, maximum=1000
    )
    ruler: float = option(10.0, "how much an even shape counts", minimum=0, maximum=1000)
    k: int = option(200, "clusters of superpixels", minimum=1, maximum=10_000)
    color_importance: float = option(
        1.0, "how much colour counts beside place", minimum=0, maximum=1000
    )
    position_weight: float = option(
        1.0, "how much place counts beside colour", minimum=0, maximum=1000
    )
    min_size: int = option(40, "least piece", unit="pixels", minimum=1, maximum=1_000_000)
    seed: int = option(0, "draws the first centres", minimum=0)

    name: ClassVar[str] = "slickmeans"

    def groups(self, image: Image) -> Labels:
        """Number of the connected piece of each pixel."""
        cut = Superpixels(algorithm="slic", region_size=self.region_size, ruler=self.ruler)
        pieces = connected(cut.groups(image))
        points = self._points(image, pieces)
        weights = sizes_of(pieces)[1:].astype(np.float64)
        centres = find_centres(points, weights, self.k, self.seed)
        cluster = np.concatenate([[0], nearest(points, centres)]).astype(np.int32)
        return absorb_small(image, connected(cluster[pieces]), self.min_size)

    def _points(self, image: Image, pieces: Labels) -> Points:
        """Mean colour and mean place of each superpixel."""
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab).astype(np.float32)
        whole = _features(lab, self.color_importance, self.position_weight)
        flat = pieces.ravel()
        sums = [np.bincount(flat, column)[1:] for column in whole.T]
        return (np.stack(sums, axis=1) / sizes_of(pieces)[1:, None]).astype(np.float32)
