"""Pictures from files and back; every kind comes in as upright RGB of 8 bits.

What a file holds decides how it is read, not its suffix. Pillow decodes; `picture_files` calls its
readers one by one rather than through ``Image.open``, so that the size limit is ours and no reader
runs that starts other programs.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.common.files import write_whole
from icas.common.find import IMAGE_SUFFIXES, Found, find_files, find_images, why_not_an_image
from icas.common.options import Size
from icas.common.picture_files import FilePath, has_exif_chunk, opened, orientation_of
from icas.common.pixels import Image, upright_rgb

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Found",
    "Image",
    "find_files",
    "find_images",
    "image_size",
    "read_image",
    "resize",
    "thumbnail",
    "why_not_an_image",
    "write_image",
]

MAX_PIXELS = 178_956_970
"""Largest picture read unless told otherwise: 512 MiB of RGB, Pillow's own limit for an error."""

_LARGE_PIXELS = 1 << 26
_ONE_LARGE = threading.Lock()
"""Pictures above _LARGE_PIXELS are decoded one at a time: each takes some 7 bytes a pixel."""


def read_image(
    path: FilePath, *, max_pixels: int = MAX_PIXELS, at_least: Size | int | None = None
) -> Image:
    """The picture in the file `path` as upright RGB.

    EXIF orientation is applied, 16-bit and float pixels are scaled to 8 bits, gray, CMYK, Lab and
    palettes become RGB, transparency is laid over white; of animated files the first frame counts.
    Colour profiles are not applied. May be called from several threads at once.

    Parameters
    ----------
    path : str or Path
        A file; its content decides how it is read, not its suffix.
    max_pixels : int, default 178,956,970
        A picture whose header claims more is refused before memory for its pixels is taken.
    at_least : (int, int) or int, optional
        Width and height, or the longer side, in pixels that are enough: a JPEG is decoded at a
        half, a quarter or an eighth of its size, the smallest that leaves the upright picture at
        least so wide and high. That takes a fraction of the time. Other formats come at their full
        size.

    Returns
    -------
    (h, w, 3) uint8 ndarray
        RGB; C-contiguous, writable, memory of its own.

    Raises
    ------
    UnreadableImageError
        The file is no picture, is cut short, damaged, too large or may not be read. The message
        is the reason in a few words, without the file's name.

    Notes
    -----
    Pillow decodes.

    Examples
    --------
    >>> import icas
    >>> from PIL import Image
    >>> Image.new("L", (40, 30), 200).save("gray.png")
    >>> picture = icas.read_image("gray.png")
    >>> picture.shape, picture.dtype, picture[0, 0].tolist()
    ((30, 40, 3), dtype('uint8'), [200, 200, 200])
    """
    with opened(path, max_pixels, pixels=True) as picture:
        if at_least is not None and picture.format == "JPEG":
            picture.draft(None, _as_stored(at_least, picture))
        large = picture.size[0] * picture.size[1] > _LARGE_PIXELS
        with _ONE_LARGE if large else nullcontext():
            picture.load()
            return upright_rgb(picture, orientation_of(picture))


def _as_stored(size: Size | int, picture: ImageFile.ImageFile) -> Size:
    """The least width and height of the stored `picture`, which may lie on its side."""
    if isinstance(size, int):
        return (size, 1) if picture.size[0] >= picture.size[1] else (1, size)
    return (size[1], size[0]) if orientation_of(picture) >= 5 else size


def image_size(path: FilePath, *, max_pixels: int = MAX_PIXELS) -> Size:
    """Width and height of the upright picture in `path`, from its header alone.

    Raises
    ------
    UnreadableImageError
        As `read_image`, as far as the header tells.
    """
    with opened(path, max_pixels) as picture:
        if picture.format == "PNG" and has_exif_chunk(cast("IO[bytes]", picture.fp)):
            picture.load()  # the chunk may stand behind the pixels
        width, height = picture.size
        return (height, width) if orientation_of(picture) >= 5 else (width, height)


def thumbnail(path: FilePath, side: int, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The picture in `path` made small: (h, w, 3) uint8 RGB with neither side above `side`.

    A JPEG is decoded at a fraction of its size, which takes a fraction of the time. Small pictures
    are not made larger.

    Raises
    ------
    UnreadableImageError
        As `read_image`.
    UsageError
        `side` is less than 1.
    """
    if side < 1:
        raise UsageError(f"thumbnail side {side}: must be at least 1 pixel")
    with opened(path, max_pixels, pixels=True) as picture:
        picture.draft(None, _fit(picture.size, side))
        picture.load()
        image = upright_rgb(picture, orientation_of(picture))
    return resize(image, _fit((image.shape[1], image.shape[0]), side))


def _fit(size: Size, side: int) -> Size:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize(image: Image, size: Size) -> Image:
    """`image` at `size` (width, height): by area where neither side grows, else bilinear.

    Parameters
    ----------
    image
        (h, w, 3) or (h, w) uint8.

    Returns
    -------
    The array itself, not a copy, where the size is the same already.
    """
    height, width = image.shape[:2]
    if (width, height) == tuple(size):
        return image
    import cv2

    smaller = size[0] <= width and size[1] <= height
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cast(Image, cv2.resize(image, size, interpolation=way))


def write_image(path: FilePath, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write `image` as PNG or JPEG (quality 95), by the suffix of `path`; whole or not at all.

    Parameters
    ----------
    path
        Ends in .png, .jpg, .jpeg or .jpe. A file that is there is replaced.
    image
        (h, w, 3) RGB or (h, w) gray; uint8, for PNG also uint16.

    Raises
    ------
    UsageError
        Another suffix, shape or type of numbers.
    OSError
        The folder is missing, full or not writable; nothing new is left behind.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg", ".jpe"):
        raise UsageError(f"cannot write {suffix or 'without a suffix'}: .png or .jpg is needed")
    colour = image.ndim == 3 and image.shape[2] == 3
    fits = image.dtype == np.uint8 or (image.dtype == np.uint16 and suffix == ".png")
    if not (fits and image.size and (colour or image.ndim == 2)):
        raise UsageError(
            f"cannot write {image.dtype} of shape {image.shape} as {suffix}: "
            "(h, w, 3) or (h, w) of uint8 is needed, uint16 for .png alone"
        )
    import cv2

    done, data = cv2.imencode(suffix, image[..., ::-1] if colour else image)
    if not done:
        raise UsageError(f"cannot write an image of shape {image.shape} as {suffix}")
    write_whole(path, data.tobytes())
