"""Pictures from files and back; every kind comes in as upright RGB of 8 bits.

What a file holds decides how it is read, not its suffix. Pillow decodes; its readers are called
one by one (`_READERS`) rather than through ``Image.open``, so that the size limit is ours and no
reader runs that starts other programs.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError, UsageError
from icas.common.files import write_whole
from icas.common.find import IMAGE_SUFFIXES, Found, find_files, find_images, why_not_an_image
from icas.common.kinds import HEAD_BYTES, os_reason, picture_kind, require_file, what_it_is
from icas.common.options import Size
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

FilePath = str | os.PathLike[str]

_READERS = {
    "JPEG": "PIL.JpegImagePlugin:JpegImageFile",
    "PNG": "PIL.PngImagePlugin:PngImageFile",
    "GIF": "PIL.GifImagePlugin:GifImageFile",
    "BMP": "PIL.BmpImagePlugin:BmpImageFile",
    "TIFF": "PIL.TiffImagePlugin:TiffImageFile",
    "WEBP": "PIL.WebPImagePlugin:WebPImageFile",
    "JPEG2000": "PIL.Jpeg2KImagePlugin:Jpeg2KImageFile",
    "PNM": "PIL.PpmImagePlugin:PpmImageFile",
    "AVIF": "PIL.AvifImagePlugin:AvifImageFile",
    "PSD": "PIL.PsdImagePlugin:PsdImageFile",
}
_ORIENTATION = 274

_LARGE_PIXELS = 1 << 26
_ONE_LARGE = threading.Lock()
"""Pictures above _LARGE_PIXELS are decoded one at a time: each takes some 7 bytes a pixel."""


def read_image(path: FilePath, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The picture in the file `path` as upright RGB.

    EXIF orientation is applied, 16-bit and float pixels are scaled to 8 bits, gray, CMYK, Lab and
    palettes become RGB, transparency is laid over white; of animated files the first frame counts.
    Colour profiles are not applied. May be called from several threads at once.

    Parameters
    ----------
    path
        A file; its content decides how it is read, not its suffix.
    max_pixels
        A picture whose header claims more is refused before memory for its pixels is taken.

    Returns
    -------
    (h, w, 3) uint8, C-contiguous, writable, memory of its own.

    Raises
    ------
    UnreadableImageError
        The file is no picture, is cut short, damaged, too large or may not be read. The message
        is the reason in a few words, without the file's name.
    """
    with _opened(path, max_pixels) as picture:
        large = picture.size[0] * picture.size[1] > _LARGE_PIXELS
        with _ONE_LARGE if large else nullcontext():
            picture.load()
            return upright_rgb(picture, _orientation(picture))


def image_size(path: FilePath, *, max_pixels: int = MAX_PIXELS) -> Size:
    """Width and height of the upright picture in `path`, from its header alone.

    Raises
    ------
    UnreadableImageError
        As `read_image`, as far as the header tells.
    """
    with _opened(path, max_pixels) as picture:
        if picture.format == "PNG" and _has_exif_chunk(cast("IO[bytes]", picture.fp)):
            picture.load()  # the chunk may stand behind the pixels
        width, height = picture.size
        return (height, width) if _orientation(picture) >= 5 else (width, height)


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
    with _opened(path, max_pixels) as picture:
        picture.draft(None, _fit(picture.size, side))
        picture.load()
        image = upright_rgb(picture, _orientation(picture))
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
        raise UsageError(f"can't write {suffix or 'without a suffix'}: .png or .jpg is needed")
    colour = image.ndim == 3 and image.shape[2] == 3
    fits = image.dtype == np.uint8 or (image.dtype == np.uint16 and suffix == ".png")
    if not (fits and image.size and (colour or image.ndim == 2)):
        raise UsageError(
            f"can't write {image.dtype} of shape {image.shape} as {suffix}: "
            "(h, w, 3) or (h, w) of uint8 is needed, uint16 for .png alone"
        )
    import cv2

    done, data = cv2.imencode(suffix, image[..., ::-1] if colour else image)
    if not done:
        raise UsageError(f"can't write an image of shape {image.shape} as {suffix}")
    write_whole(path, data.tobytes())


@contextmanager
def _opened(path: FilePath, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """The picture of `path` with its header read and its size checked, its pixels not yet decoded.

    Whatever fails inside becomes an UnreadableImageError.
    """
    require_file(path)
    try:
        with Path(path).open("rb") as file, _SILENCE:
            yield _header(file, max_pixels)
    except UnreadableImageError:
        raise
    # Broken files make Pillow's readers raise nearly anything (SyntaxError, struct.error,
    # OverflowError, zlib.error, RecursionError ...); to the user all of it is one file unread.
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error


def _header(file: IO[bytes], max_pixels: int) -> ImageFile.ImageFile:
    head = file.read(HEAD_BYTES)
    kind = picture_kind(head)
    if kind is None:
        raise UnreadableImageError(what_it_is(head))
    if kind not in _READERS:
        raise UnreadableImageError(f"{kind} pictures can't be read here: save it as JPEG or PNG")
    if kind == "WEBP":
        _check_size(_webp_canvas(head), max_pixels)  # its reader takes memory when it opens
    module, name = _READERS[kind].split(":")
    file.seek(0)
    # No file name is handed over, or Pillow would map some files into memory: one that shrinks
    # while it is read would kill the process.
    picture = getattr(importlib.import_module(module), name)(file, "")
    _check_size(picture.size, max_pixels)
    return cast("ImageFile.ImageFile", picture)


def _check_size(size: Size, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableImageError(f"damaged: claims {width}x{height} pixels")
    if width * height > max_pixels:
        raise UnreadableImageError(
            f"claims {width}x{height} pixels, more than the limit of {max_pixels:,} (--max-pixels)"
        )


def _webp_canvas(head: bytes) -> Size:
    """Width and height in an extended WebP header; 1x1 where there is none (then both <= 16384)."""
    if head[12:16] != b"VP8X" or len(head) < 30:
        return 1, 1
    return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")


def _orientation(picture: ImageFile.ImageFile) -> int:
    """How the stored pixels lie, 1 to 8 as EXIF counts; 1 where that is broken or absent."""
    if picture.format == "TIFF":
        return 1  # its reader turns the pixels itself
    from PIL import Image as PillowImage

    try:
        # Not the PNG reader's own getexif, which would decode all pixels first.
        value: Any = PillowImage.Image.getexif(picture).get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _has_exif_chunk(file: IO[bytes]) -> bool:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            return True
        file.seek(length + 4, io.SEEK_CUR)
    return False


_UNKNOWN_TO_PILLOW = ("support not installed", "unknown pixel mode", "not supported", "Unsupported")


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    if isinstance(error, OSError) and error.errno is not None:
        return os_reason(error)
    plain = "".join(letter if letter.isprintable() else " " for letter in str(error))
    words = " ".join(plain.split())[:120] or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in words.lower():
        return "cut short: the file ends before its pixels do"
    if isinstance(error, ImportError) or any(part in words for part in _UNKNOWN_TO_PILLOW):
        return f"of a rare kind that can't be read here ({words}): save it as JPEG or PNG"
    return f"damaged: {words}"


class _Silence:
    """Pillow's warnings and log lines are kept off stderr while any thread reads a picture.

    ``warnings.catch_warnings`` saves and restores the filters of the whole process, so two threads
    in it undo each other's; here the first to come adds one filter and the last to go removes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._handler = logging.NullHandler()

    def __enter__(self) -> None:
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._filter = warnings.filters[0]
                logging.getLogger("PIL").addHandler(self._handler)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                logging.getLogger("PIL").removeHandler(self._handler)
                if self._filter in warnings.filters:
                    cast("list[Any]", warnings.filters).remove(self._filter)


_SILENCE = _Silence()
