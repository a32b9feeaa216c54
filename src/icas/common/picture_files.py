"""Picture files opened: by what they hold, with Pillow's readers, every failure in a few words."""

from __future__ import annotations

import errno
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
from icas.common.picture_limits import check_scans, check_size, check_tiles, jpeg2000_cost
from icas.common.pnm import CUT_SHORT, as_binary, pnm_header
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
    if not _holds_something(path):
        require_file(path)  # says what it is instead
        raise UnreadableImageError("empty file")
    try:
        with io.BufferedReader(io.FileIO(path)) as file, PILLOW_IS_QUIET:
            yield _header(file, max_pixels, pixels)
    except UnreadableImageError:
        raise
    # Broken files make Pillow's readers raise nearly anything (SyntaxError, struct.error,
    # OverflowError, zlib.error, RecursionError ...); to the user all of it is one file unread.
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error


def _holds_something(path: FilePath) -> bool:
    """Whether `path` is a regular file that is not empty.

    Files of the system (``/proc``) are empty by their size, and reading one may take for ever.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a third of the time of Path
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _header(file: IO[bytes], max_pixels: int, pixels: bool) -> ImageFile.ImageFile:
    head = file.read(HEAD_BYTES)
    kind = picture_kind(head)
    if kind is None:
        raise UnreadableImageError(what_it_is(head))
    if kind not in _READERS:
        raise UnreadableImageError(f"{kind} pictures cannot be read here: save them as JPEG or PNG")
    if kind == "WEBP":
        check_size(_webp_canvas(head), max_pixels, kind)  # its reader takes memory when it opens
    cost = jpeg2000_cost(file, head) if kind == "JPEG2000" else 0.0
    file.seek(0)
    if kind == "PNM":
        pnm_header(file)
    source = _source(file, kind, max_pixels) if pixels else file
    source.seek(0)
    # No file name is handed over, or Pillow would map some files into memory: one that shrinks
    # while it is read would kill the process.
    picture = _reader(kind)(source, "")
    check_size(picture.size, max_pixels, kind, cost)
    check_tiles(picture)
    if kind == "JPEG" and isinstance(source, io.BytesIO):
        picture.decodermaxblock = source.getbuffer().nbytes  # the decoder gets all of it at once
    return picture


def _source(file: IO[bytes], kind: str, max_pixels: int) -> IO[bytes]:
    """What the reader gets: the file, or what it holds where that serves better."""
    file.seek(0)
    if kind == "PNM":
        return as_binary(file, max_pixels) or file
    if kind not in _READ_AT_ONCE:
        return file
    large = os.fstat(file.fileno()).st_size > _LARGE_BYTES
    data = file.read(4 * _LARGE_BYTES)
    if kind == "JPEG":
        check_scans(data)
    return file if large else io.BytesIO(data)


@cache
def _reader(kind: str) -> Callable[[IO[bytes], str], ImageFile.ImageFile]:
    module, name = _READERS[kind].split(":")
    return cast(
        "Callable[[IO[bytes], str], ImageFile.ImageFile]",
        getattr(importlib.import_module(module), name),
    )


def _webp_canvas(head: bytes) -> tuple[int, int]:
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
    if isinstance(error, OSError) and error.errno == errno.EINVAL:
        return "damaged: it points to a place outside itself"
    if isinstance(error, OSError) and error.errno is not None:
        return os_reason(error)
    plain = "".join(letter if letter.isprintable() else " " for letter in str(error))
    words = " ".join(plain.split())[:120] or type(error).__name__
    if isinstance(error, EOFError) or "truncated" in words.lower():
        return CUT_SHORT
    if isinstance(error, ImportError) or any(part in words for part in _UNKNOWN_TO_PILLOW):
        return f"of a rare kind that cannot be read here ({words}): save it as JPEG or PNG"
    return f"damaged: {words}"
