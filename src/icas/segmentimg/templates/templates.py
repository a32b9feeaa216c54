"""Templates: image to find, pixels to compare, pixels and colors to paint."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.reading import Image, as_image, as_rgb_and_alpha
from icas.segmentimg.document.palette import Color, default_palette

Mask = NDArray[np.bool_]

DEFAULT_COLOR: Color = (204, 0, 0)
MAX_COLORS = 256
"""Colors in a segment: each becomes a mask of the size of the image. A JPEG has thousands."""
BORDER_TOLERANCE = 16
"""Gray levels, in each channel, by which JPEG varies a flat color (quality 75 and better)."""
BORDER_SHARE = 0.65
"""Share of its main color below which a border is that of a patch of a scene. A disc as wide as its
image leaves 2/3, objects photographed before a plain background 3/4 and more (coil100)."""
FREE_SHARE = 0.9
"""Share from which on the object does not touch the border."""
HALF_OPAQUE = 128
"""Alpha from which on a pixel is compared."""
MIN_ATTENTION = 0.02
"""Noise alone leaves less of a flat patch."""


@dataclass(frozen=True, eq=False)
class Template:
    """A small image to find, with the pixels to compare and the colors to paint.

    Parameters
    ----------
    name : str
        For error messages.
    image : (h, w, 3) uint8 ndarray
        RGB.
    attention : (h, w) bool ndarray
        Pixels that are compared; at least one.
    segment : (h, w, 3) uint8 ndarray
        RGB colors to paint; at most 256 different ones inside `mask`.
    mask : (h, w) bool ndarray
        Pixels that are painted; at least one.

    Attributes
    ----------
    name, image, attention, segment, mask
        As given.

    Raises
    ------
    UsageError
        A shape or dtype is wrong, no pixel would be compared or painted, or there are too many
        colors.

    Examples
    --------
    >>> import icas
    >>> from skimage import data
    >>> template = icas.make_template(data.coins()[15:70, 15:75], color=(0, 170, 68))
    >>> template.size, template.segment[0, 0].tolist(), template.mask.dtype
    ((55, 60), [0, 170, 68], dtype('bool'))
    """

    name: str
    image: Image
    attention: Mask
    segment: Image
    mask: Mask

    def __post_init__(self) -> None:
        for part, array, shape, dtype in (
            ("image", self.image, (*self.image.shape[:2], 3), np.uint8),
            ("attention", self.attention, self.image.shape[:2], np.bool_),
            ("segment", self.segment, self.image.shape, np.uint8),
            ("mask", self.mask, self.image.shape[:2], np.bool_),
        ):
            if array.shape != shape or array.dtype != dtype or array.size == 0:
                raise UsageError(
                    f"template {self.name!r}: {part} must be {np.dtype(dtype)} of shape {shape},"
                    f" got {array.dtype} of shape {array.shape}"
                )
        if not self.attention.any():
            raise UsageError(
                f"template {self.name!r}: attention is all black or transparent, nothing would be"
                " compared"
            )
        if not self.mask.any():
            raise UsageError(f"template {self.name!r}: mask is all black, nothing would be painted")
        count = len(np.unique(packed(self.segment)[self.mask]))
        if count > MAX_COLORS:
            raise UsageError(
                f"template {self.name!r}: segment has {count:,} colours, at most {MAX_COLORS} are"
                " allowed: use flat colours and save it as PNG"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(int, int): height and width."""
        return self.image.shape[0], self.image.shape[1]


def make_template(
    image: NDArray[Any],
    *,
    attention: NDArray[Any] | None = None,
    segment: NDArray[Any] | None = None,
    mask: NDArray[Any] | None = None,
    color: Color | None = None,
    name: str = "template",
) -> Template:
    """Make a template from an image; parts that are not given are derived.

    Parameters
    ----------
    image : (h, w, 3) uint8 ndarray
        RGB; or any other image that `icas.segment` takes.
    attention : (h, w) or (h, w, 3) ndarray, optional
        Nonzero pixels are compared; default: the opaque pixels of an RGBA image, else all but a
        uniform background around the object.
    segment : (h, w, 3) uint8 ndarray, optional
        Colors to paint; default: `color` everywhere.
    mask : (h, w) or (h, w, 3) ndarray, optional
        Nonzero pixels are painted; default: the pixels of `segment` that are not black, or
        `attention` if there is no segment.
    color : (int, int, int), default (204, 0, 0)
        Red, green, blue, 0-255; ignored with a segment.
    name : str, default "template"
        For error messages.

    Returns
    -------
    Template

    Raises
    ------
    UsageError
        As for `Template`; or the image or color is invalid.

    Examples
    --------
    A disc on white; the white background is not compared:

    >>> import icas
    >>> import numpy as np
    >>> image = np.full((20, 20, 3), 255, np.uint8)
    >>> rows, columns = np.ogrid[:20, :20]
    >>> image[(rows - 10) ** 2 + (columns - 10) ** 2 < 64] = 200, 120, 0
    >>> template = icas.make_template(image, color=(0, 0, 255))
    >>> bool(template.attention[10, 10]), bool(template.attention[0, 0])
    (True, False)
    """
    pixels, alpha = as_rgb_and_alpha(image, f"template {name!r}")
    if attention is not None:
        compared = _not_black(attention)
    elif alpha is None or (alpha >= HALF_OPAQUE).all():
        compared = made_attention(pixels)
    else:
        compared = alpha >= HALF_OPAQUE
    if segment is None:
        color = DEFAULT_COLOR if color is None else color
        if len(color) != 3 or not all(0 <= part <= 255 for part in color):
            raise UsageError(f"colour {color}: red, green and blue must be 0 to 255")
        colors = np.full(pixels.shape, color, np.uint8)
        painted = compared if mask is None else _not_black(mask)
    else:
        colors = np.ascontiguousarray(as_image(segment, f"segment of template {name!r}"))
        painted = _not_black(colors if mask is None else mask)
    return Template(name, pixels, compared, colors, painted)


def _not_black(array: NDArray[Any]) -> Mask:
    given = np.asarray(array) != 0
    return np.asarray(given[..., :3].any(axis=2) if given.ndim == 3 else given)


def colors_for(count: int, first: Sequence[Color] | None = None) -> list[Color]:
    """`count` different colors: `first` (default: the default palette without black), then hues."""
    if first is None:
        first = [entry.color for entry in default_palette() if any(entry.color)]
    colors = list(dict.fromkeys(first))[:count]
    turn = 0
    while len(colors) < count:
        parts = colorsys.hsv_to_rgb(turn * 0.618034 % 1, 0.9, 0.9 - 0.15 * (turn % 4))
        color = (round(255 * parts[0]), round(255 * parts[1]), round(255 * parts[2]))
        if color not in colors:
            colors.append(color)
        turn += 1
    return colors


def made_attention(image: Image) -> Mask:
    """(h, w) bool: `image` without the background that surrounds its object.

    The background are the regions of the border's color (within `BORDER_TOLERANCE`) that touch the
    border. The whole image is compared if this would not separate an object:

    - less than `BORDER_SHARE` of the border has that color: a patch of a scene;
    - less than `MIN_ATTENTION` of the image would count: a flat patch;
    - what would count is flat itself, and black (the normalized difference divides by brightness)
      or touches the border (`FREE_SHARE`): its outline is all there is to match.
    """
    whole = np.ones(image.shape[:2], bool)
    color, share = _border_color(image)
    if share < BORDER_SHARE:
        return whole
    attention = ~_connected_to_border(_near(image, color))
    if attention.mean() < MIN_ATTENTION:
        return whole
    middle = np.median(image[attention], axis=0)
    flat = _near(image[attention], middle).mean() >= 0.9
    if flat and (share < FREE_SHARE or middle.max() <= BORDER_TOLERANCE):
        return whole
    return attention


def _border_color(image: Image) -> tuple[NDArray[np.float64], float]:
    """The most common color of the outermost pixels, and the share of them near it."""
    edge = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    colors, counts = np.unique(edge, axis=0, return_counts=True)
    common = colors[np.argsort(-counts, kind="stable")][:MAX_COLORS]
    near = np.array([_near(edge, color).sum() for color in common])
    similar = _near(edge, common[near.argmax()])
    return np.median(edge[similar], axis=0), float(similar.mean())


def _near(pixels: Image, color: NDArray[Any]) -> Mask:
    distance = np.abs(pixels.astype(np.float32) - color.astype(np.float32))
    return np.asarray(distance.max(axis=-1) <= BORDER_TOLERANCE)


def _connected_to_border(pixels: Mask) -> Mask:
    """Regions of `pixels`, connected by sides, that touch the border."""
    from scipy.ndimage import binary_propagation

    border = np.ones(pixels.shape, bool)
    border[1:-1, 1:-1] = False
    return np.asarray(binary_propagation(pixels & border, mask=pixels))


def packed(segment: Image) -> NDArray[np.int32]:
    """Colors of pixels as single numbers."""
    return np.asarray(segment.astype(np.int32) @ np.array([65536, 256, 1], np.int32))
