"""Picture files opened: by what they hold, with Pillow's readers, every failure in a few words."""

from __future__ import annotations

import importlib
import io
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, TYPE_CHECKING, Any, cast

from icas.common.errors import UnreadableImageError
from icas.common.kinds import HEAD_BYTES, os_reason, picture_kind, require_file, what_it_is
from icas.common.options import Size
from icas.common.silence import PILLOW_IS_QUIET

if TYPE_CHECKING:
    from PIL import ImageFile

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

_READ_AT_ONCE = frozenset(("JPEG", "PNG"))
"""Formats whose readers ask for a few bytes at a time: their files are read as a whole first."""
_LARGE_BYTES = 1 << 24
"""Files above that are not."""


@contextmanager
def opened(
    path: FilePath, max_pixels: int, *, pixels: bool = False
) -> Iterator[ImageFile.ImageFile]:
    """The picture of `path` with its header read and its size checked, its pixels not yet decoded.

    Whatever fails inside becomes an UnreadableImageError. `pixels` says that they are wanted next.
    """
    if not _is_file(path):
        require_file(path)  # says what it is instead
    try:
        with io.BufferedReader(io.FileIO(path)) as file, PILLOW_IS_QUIET:
            yield _header(file, max_pixels, pixels)
    except UnreadableImageError:
        raise
    # Broken files make Pillow's readers raise nearly anything (SyntaxError, struct.error,
    # OverflowError, zlib.error, RecursionError ...); to the user all of it is one file unread.
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error


def _is_file(path: FilePath) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - a third of the time of Path
    except (OSError, ValueError):
        return False


def _header(file: IO[bytes], max_pixels: int, pixels: bool) -> ImageFile.ImageFile:
    head = file.read(HEAD_BYTES)
    kind = picture_kind(head)
    if kind is None:
        raise UnreadableImageError(what_it_is(head))
    if kind not in _READERS:
        raise UnreadableImageError(f"{kind} pictures can't be read here: save it as JPEG or PNG")
    if kind == "WEBP":
        _check_size(_webp_canvas(head), max_pixels)  # its reader takes memory when it opens
    source: IO[bytes] = file
    if pixels and kind in _READ_AT_ONCE and os.fstat(file.fileno()).st_size <= _LARGE_BYTES:
        source = io.BytesIO(head + file.read())
    source.seek(0)
    # No file name is handed over, or Pillow would map some files into memory: one that shrinks
    # while it is read would kill the process.
    picture = _reader(kind)(source, "")
    _check_size(picture.size, max_pixels)
    if kind == "JPEG" and isinstance(source, io.BytesIO):
        picture.decodermaxblock = source.getbuffer().nbytes  # the decoder gets all of it at once
    return picture


@cache
def _reader(kind: str) -> Callable[[IO[bytes], str], ImageFile.ImageFile]:
    module, name = _READERS[kind].split(":")
    return cast(
        "Callable[[IO[bytes], str], ImageFile.ImageFile]",
        getattr(importlib.import_module(module), name),
    )


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


def orientation_of(picture: ImageFile.ImageFile) -> int:
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


def has_exif_chunk(file: IO[bytes]) -> bool:
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
