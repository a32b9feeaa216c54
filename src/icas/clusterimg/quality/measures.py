"""Measures of one image: sharpness, exposure, contrast, information and color.

All are taken at one scale: images with a longer side above `SIDE` are reduced to it, smaller ones
are measured as they are.

References
----------
.. [1] J. L. Pech-Pacheco, G. Cristobal, J. Chamorro-Martinez and J. Fernandez-Valdivia, "Diatom
   autofocusing in brightfield microscopy: a comparative study", ICPR 2000 (variance of the
   Laplacian).
.. [2] F. Crété-Roffet, T. Dolmiere, P. Ladret and M. Nicolas, "The blur effect: perception and
   estimation with a new no-reference perceptual blur metric", Proc. SPIE 6492, 2007.
.. [3] D. Hasler and S. Süsstrunk, "Measuring colorfulness in natural images", Proc. SPIE 5007,
   2003.
.. [4] C. E. Shannon, "A mathematical theory of communication", Bell System Technical Journal 27,
   1948 (entropy).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image, resize

SIDE = 512
"""Longer side in pixels at which images are measured."""
CLIPPED_DARK, CLIPPED_BRIGHT = 2, 253
"""Values up to and from which a pixel counts as clipped; JPEG changes 0 and 255 by a little."""
GRID = 4
"""Cells of the grid of mean gray values, each way."""
_STRAIGHT, _DIAGONAL = 11, 9
"""Pixels of the lines over which an image is blurred again, along an axis and a diagonal."""
_FLAT = 0.01
"""Mean gradient, in gray levels, below which an image has no edges that could be blurred."""

Gray = NDArray[np.float32]


@dataclass(frozen=True)
class Measures:
    """Measures of one image.

    Attributes
    ----------
    sharpness : float
        Variance of the Laplacian of the gray image [1]_: higher is sharper.
    blur : float
        0 (sharp) to 1: how little a second blur changes the image, in the direction of four in
        which it changes least [2]_. Motion blur is blur in one direction.
    brightness_p5, brightness_p50, brightness_p98 : float
        Percentiles of the largest of R, G and B, 0 to 255.
    clipped_dark, clipped_bright : float
        Share of pixels that are black, and with at least one channel at its maximum.
    contrast : float
        Range of gray values without the darkest and brightest 2 %, 0 to 1.
    entropy : float
        Of the gray values, 0 to 8 bits [4]_.
    colorfulness : float
        Spread of the opponent colors, 0 for gray images [3]_.
    grid : tuple of float
        Mean gray value of each cell of a grid of `GRID` by `GRID`, row by row.
    """

    sharpness: float
    blur: float
    brightness_p5: float
    brightness_p50: float
    brightness_p98: float
    clipped_dark: float
    clipped_bright: float
    contrast: float
    entropy: float
    colorfulness: float
    grid: tuple[float, ...] = ()


def measures_of(image: Image) -> Measures:
    """The measures of an RGB image."""
    import cv2

    image = reduced(image)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    counts = np.bincount(gray.ravel(), minlength=256)
    value = image.max(axis=2)
    p5, p50, p98 = _percentiles(np.bincount(value.ravel(), minlength=256), (5, 50, 98))
    low, high = _percentiles(counts, (2, 98))
    exact = gray.astype(np.float32)
    grid = cv2.resize(exact, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return Measures(
        sharpness=laplacian_variance(exact),
        blur=blur(exact),
        brightness_p5=p5,
        brightness_p50=p50,
        brightness_p98=p98,
        clipped_dark=float((value <= CLIPPED_DARK).mean()),
        clipped_bright=float((value >= CLIPPED_BRIGHT).mean()),
        contrast=(high - low) / 255,
        entropy=_entropy(counts),
        colorfulness=colorfulness(image),
        grid=tuple(grid.ravel().tolist()),
    )


def reduced(image: Image, side: int = SIDE) -> Image:
    """`image` with a longer side of at most `side` pixels."""
    height, width = image.shape[:2]
    share = min(1.0, side / max(height, width))
    return resize(image, (max(1, round(width * share)), max(1, round(height * share))))


def laplacian_variance(gray: Gray) -> float:
    """Variance of the Laplacian of a gray image (h, w): of the second derivatives."""
    import cv2

    return float(cv2.Laplacian(gray, cv2.CV_32F).var())


def blur(gray: Gray) -> float:
    """How blurred a gray image (h, w) is: 0 to 1; 0 for an image without edges.

    The image is blurred again along a line. Where it was sharp, this takes away most of the
    differences between neighbors along the line; where it was blurred, little. The value is the
    share that stays, in the direction with the largest share.
    """
    import cv2

    shares = []
    for line, difference in _directions():
        before = np.abs(cv2.filter2D(gray, -1, difference))
        after = np.abs(cv2.filter2D(cv2.filter2D(gray, -1, line), -1, difference))
        mean = float(before.mean())
        lost = float(np.maximum(before - after, 0).mean())
        shares.append((mean - lost) / (mean + _FLAT))
    return max(shares)


@cache
def _directions() -> tuple[tuple[Any, Any], ...]:
    """Kernels of a mean along a line and of a difference, for both axes and diagonals."""
    straight = np.full((1, _STRAIGHT), 1 / _STRAIGHT, np.float32)
    diagonal = np.eye(_DIAGONAL, dtype=np.float32) / _DIAGONAL
    step = np.array([[-1, 0, 1]], np.float32)
    oblique = np.diag(np.array([-1, 0, 1], np.float32))
    return (
        (straight, step),
        (straight.T.copy(), step.T.copy()),
        (diagonal, oblique),
        (np.fliplr(diagonal).copy(), np.fliplr(oblique).copy()),
    )


def colorfulness(image: Image) -> float:
    """Colorfulness of an RGB image: standard deviations and means of red-green, yellow-blue."""
    red, green, blue = (image[..., channel].astype(np.float32) for channel in range(3))
    one, two = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean()))


def _percentiles(counts: NDArray[np.int64], shares: tuple[int, ...]) -> list[float]:
    """Values below which these shares, in percent, of the counted pixels are."""
    total = np.cumsum(counts)
    places = np.searchsorted(total, np.array(shares) / 100 * total[-1])
    return [float(place) for place in places]


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(max(0.0, -(shares * np.log2(shares)).sum()))
