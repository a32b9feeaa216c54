"""Reading and writing of image files."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import io
import logging
import os
import stat
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.conversion.depth import to_8_bits
from icas.io.conversion.pixels import (
    SIGNIFICANT_BITS,
    Image as Image,
    Size,
    png_maximum,
    upright_rgb,
)
from icas.io.files import write_whole
from icas.io.formats import (
    HEAD_BYTES,
    RAW_KINDS,
    describe_content,
    image_kind,
    os_reason,
    require_file,
    why_not_read,
)
from icas.io.limits import (
    CUT_SHORT,
    check_icons,
    check_scans,
    check_size,
    check_tiles,
    complete_scans,
    fast_pnm,
    jpeg2000_cost,
    pnm_header,
)

if TYPE_CHECKING:
    from PIL import Image as PillowImage, ImageFile

FilePath = str | os.PathLike[str]
MAX_PIXELS = 178_956_970
"""Default limit of pixels: 512 MiB of RGB, Pillow's own limit for an error."""
_LARGE_PIXELS = 1 << 26
_ONE_LARGE = threading.Lock()
"""Images above _LARGE_PIXELS are decoded one at a time: each takes some 7 bytes a pixel."""


class _QuietPillow:
    """Keeps Pillow's warnings and log lines off stderr while any thread is inside.

    ``warnings.catch_warnings`` saves and restores the filters of the whole process, so two threads
    undo each other's changes; here the first to enter adds a filter and the last to leave removes
    it. Code that reads many images enters once around all of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._handler = logging.NullHandler()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._filter = warnings.filters[0]
                logging.getLogger("PIL").addHandler(self._handler)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                logging.getLogger("PIL").removeHandler(self._handler)
                if self._filter in warnings.filters:
                    cast("list[Any]", warnings.filters).remove(self._filter)


QUIET_PILLOW = _QuietPillow()

_READERS = {
    kind: f"PIL.{name}ImagePlugin:{name}ImageFile"
    for kind, name in (
        *(("JPEG", "Jpeg"), ("PNG", "Png"), ("GIF", "Gif"), ("BMP", "Bmp"), ("WEBP", "WebP")),
        *(("JPEG2000", "Jpeg2K"), ("PNM", "Ppm"), ("AVIF", "Avif"), ("PSD", "Psd")),
        *(("ICO", "Ico"), ("TGA", "Tga")),
    )
}
_READERS |= {"TIFF": "icas.io.decoders.tiff:TiffFile", "HEIF": "pillow_heif:HeifImageFile"}
_READERS |= {"RAW": "icas.io.decoders.raw:RawFile"}
"""Readers of formats: modules and classes."""
_NEEDED = {"HEIF": "pillow_heif", "RAW": "rawpy"}
_ORIENTATION = 274

_READ_AT_ONCE = frozenset(("JPEG", "PNG"))
"""Formats whose readers read a few bytes at a time: the whole file is read first, ..."""
_LARGE_BYTES = 1 << 24
"""... unless it is larger than this."""
_SMALL_BYTES = 1 << 20
"""Files of any format up to this size are read first."""


@contextmanager
def open_image(
    path: FilePath, max_pixels: int, *, pixels: bool = False
) -> Iterator[ImageFile.ImageFile]:
    """The image of `path` with its header read and its size checked; `pixels`: to be decoded next.

    Any error inside becomes an UnreadableImageError.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a third of the time of Path
        # Files of the system (/proc) are empty by their size, and reading one may never end.
        readable = stat.S_ISREG(status.st_mode) and status.st_size > 0
    except (OSError, ValueError):
        readable = False
    if not readable:
        require_file(path)  # raises what it is instead
        raise UnreadableImageError("empty file")
    try:
        with io.FileIO(path) as raw, QUIET_PILLOW:
            small = pixels and status.st_size <= _SMALL_BYTES  # then one call reads all of it
            file = io.BytesIO(raw.read(status.st_size)) if small else io.BufferedReader(raw)
            yield _header(file, max_pixels, pixels)
    except UnreadableImageError:
        raise
    # Broken files make Pillow's readers raise almost any error: SyntaxError, struct.error, ...
    except Exception as error:
        raise UnreadableImageError(_reason(error)) from error


def _header(file: IO[bytes], max_pixels: int, pixels: bool) -> ImageFile.ImageFile:
    head = file.read(HEAD_BYTES)
    kind = _readable_kind(file, head)
    if kind == "WEBP":
        check_size(_webp_canvas(head), max_pixels, kind)  # its reader takes memory when it opens
    if kind == "ICO":
        check_icons(file, max_pixels)
    cost = jpeg2000_cost(file, head) if kind == "JPEG2000" else 0.0
    file.seek(0)
    if kind == "PNM":
        pnm_header(file)
        file.seek(0)
    source = _source(file, kind, max_pixels) if pixels else file
    source.seek(0)
    # Without a file name, or Pillow would map some files into memory: one that shrinks while it is
    # read would kill the process.
    pil = _reader(kind)(source, "")
    layout = getattr(pil, "layout", None)
    check_size(pil.size, max_pixels, kind, layout.cost if layout else cost)
    check_tiles(pil)
    if kind == "JPEG" and isinstance(source, io.BytesIO):
        pil.decodermaxblock = source.getbuffer().nbytes  # the decoder gets all of it at once
    return pil


def _readable_kind(file: IO[bytes], head: bytes) -> str:
    """The format, which has a reader; that of RAW photos is RAW."""
    found = image_kind(head)
    if found is None:
        raise UnreadableImageError(describe_content(head))
    if found == "TIFF":
        from icas.io.decoders.raw import raw_tiff_kind

        found = raw_tiff_kind(file, head) or found
    kind = "RAW" if found in RAW_KINDS else found
    needed = _NEEDED.get(kind)
    if kind not in _READERS or (needed and importlib.util.find_spec(needed) is None):
        raise UnreadableImageError(why_not_read(found))
    if kind == "AVIF" and not _has_avif():
        raise UnreadableImageError(why_not_read(found))
    return kind


@cache
def _has_avif() -> bool:
    from PIL import features

    return bool(features.check("avif"))


def _source(file: IO[bytes], kind: str, max_pixels: int) -> IO[bytes]:
    """What the reader gets: the file, its bytes, or the same image in a faster format."""
    if kind == "PNM":
        return fast_pnm(file, max_pixels) or file
    if kind not in _READ_AT_ONCE:
        return file
    if isinstance(file, io.BytesIO):
        source: IO[bytes] = file
        data = file.getvalue()
    else:
        size = os.fstat(file.fileno()).st_size
        # Memory for all bytes that are asked for is taken first, so no more than there are.
        data = file.read(min(size, 4 * _LARGE_BYTES))
        source = file if size > _LARGE_BYTES else io.BytesIO(data)
    if kind == "JPEG":
        check_scans(data)
    return source


@cache
def _reader(kind: str) -> Callable[[IO[bytes], str], ImageFile.ImageFile]:
    module, _, name = _READERS[kind].partition(":")
    reader: Callable[[IO[bytes], str], ImageFile.ImageFile]
    reader = getattr(importlib.import_module(module), name)
    return reader


def _webp_canvas(head: bytes) -> tuple[int, int]:
    """Width and height in an extended WebP header; 1x1 where there is none (then both <= 16384)."""
    if head[12:16] != b"VP8X" or len(head) < 30:
        return 1, 1
    return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")


def _orientation_of(pil: ImageFile.ImageFile) -> int:
    """EXIF orientation, 1 to 8; 1 where it is broken or absent."""
    if pil.format == "TIFF":
        return 1  # its reader turns the pixels itself
    from PIL import Image as PillowImage

    try:
        # Not the PNG reader's own getexif, which would decode all pixels first.
        value: Any = PillowImage.Image.getexif(pil).get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _has_exif_chunk(file: IO[bytes]) -> bool:
    return any(kind == b"eXIf" for _, kind in _chunks(file))


def _chunks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lengths and kinds of the chunks of a PNG; the file is at the content of each."""
    at = 8
    file.seek(at)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield length, kind
        at += length + 12
        file.seek(at)


_UNKNOWN_TO_PILLOW = ("support not installed", "unknown pixel mode", "not supported", "Unsupported")


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    if isinstance(error, OSError) and error.errno == errno.EINVAL:
        return "damaged: an offset points outside the file"
    if isinstance(error, OSError) and error.errno is not None:
        return os_reason(error)
    if isinstance(error, KeyError):
        return "damaged: its header has unknown values"
    text = str(error)
    if error.args and isinstance(error.args[0], bytes):
        text = error.args[0].decode("latin-1")  # LibRaw
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    words = " ".join(plain.split())[:120] or type(error).__name__
    if isinstance(error, (EOFError, struct.error)) or "truncated" in words.lower():
        return CUT_SHORT
    if isinstance(error, ImportError) or any(part in words for part in _UNKNOWN_TO_PILLOW):
        return f"unsupported variant of the format ({words}): convert it to JPEG or PNG"
    return f"damaged: {words}"


def read_image(
    path: FilePath, *, max_pixels: int = MAX_PIXELS, at_least: Size | int | None = None
) -> Image:
    """Read an image file as upright 8-bit RGB.

    EXIF orientation is applied. 16-bit, integer and float pixels are scaled to 8 bits; data of 10,
    12 or 14 bits in 16 is scaled by the bits it uses. Gray, CMYK, Lab and palette images are
    converted to RGB, color profiles to sRGB, transparent images are blended with white. Of
    animations the first frame is read. Thread-safe.

    Parameters
    ----------
    path : str or Path
        File; the format is detected from its content, not its suffix.
    max_pixels : int, default 178,956,970
        Larger images are an error, before memory for the pixels is allocated.
    at_least : (int, int) or int, optional
        Minimum width and height, or minimum longer side, in pixels. A JPEG is decoded at 1/2, 1/4
        or 1/8 of its size if the upright image is still at least this large, which is faster.
        Without effect on other formats.

    Returns
    -------
    (h, w, 3) uint8 ndarray
        RGB pixels; C-contiguous and writable.

    Raises
    ------
    UnreadableImageError
        The file is not an image, or is truncated, damaged, too large or not readable. The message
        is the reason, without the file name.

    Examples
    --------
    >>> import icas
    >>> from PIL import Image
    >>> Image.new("L", (40, 30), 200).save("gray.png")
    >>> picture = icas.read_image("gray.png")
    >>> picture.shape, picture.dtype, picture[0, 0].tolist()
    ((30, 40, 3), dtype('uint8'), [200, 200, 200])
    """
    if path is None:
        raise UsageError("path: expected the path of an image file, got None")
    with open_image(path, max_pixels, pixels=True) as pil:
        size = None
        if at_least is not None and pil.format == "JPEG":
            size = _as_stored(at_least, pil)
        large = pil.size[0] * pil.size[1] > _LARGE_PIXELS
        with _ONE_LARGE if large else nullcontext():
            return upright_rgb(_loaded(pil, size, max_pixels), _orientation_of(pil))


def _loaded(pil: ImageFile.ImageFile, size: Size | None, max_pixels: int) -> PillowImage.Image:
    """`pil` with its pixels; a JPEG is decoded at a fraction that is at least `size`."""
    if size is not None:
        pil.draft(None, size)
    file = pil.fp
    if pil.format == "PNG" and _is_deep(pil):
        pil.info[SIGNIFICANT_BITS] = _significant_bits(cast("IO[bytes]", file))
        pil.load()
        return pil if pil.mode.startswith("I") else _whole_depth(pil, cast("IO[bytes]", file))
    try:
        pil.load()
    except OSError:
        if pil.format != "JPEG" or not isinstance(file, io.BytesIO):
            raise
        whole = _without_end(file.getvalue(), size)
        if whole is None:
            raise
        return whole
    if pil.format in ("HEIF", "RAW"):
        check_size(pil.size, max_pixels, pil.format)  # may differ from the header
    return pil


def _without_end(data: bytes, size: Size | None) -> PillowImage.Image | None:
    """A JPEG that lacks only its end marker; None if pixels are missing.

    If all pixels are there, the bytes behind them do not matter: both decodings are the same.
    """
    data = data.removesuffix(b"\xff")
    if not complete_scans(data):
        return None
    images = []
    for filler in (b"", b"\x55" * 64, b"\xaa" * 64):
        restarts = (bytes((0xFF, 0xD0 + number)) + filler for number in range(8))
        more = filler + b"".join(restarts) if filler else b""
        image = _reader("JPEG")(io.BytesIO(data + more + b"\xff\xd9"), "")
        image.decodermaxblock = len(data) + 1000
        if size is not None:
            image.draft(None, size)
        try:
            image.load()
        except OSError:
            return None
        images.append(image)
    first, *others = images
    return first if all(first.tobytes() == image.tobytes() for image in others) else None


def _is_deep(pil: ImageFile.ImageFile) -> bool:
    return any(";16" in str(tile[3]) for tile in pil.tile)


def _significant_bits(file: IO[bytes]) -> int | None:
    """The significant bits that the chunk sBIT of a PNG declares, if they are 9 to 15."""
    before = file.tell()
    try:
        for length, kind in _chunks(file):
            if kind == b"IDAT":
                return None
            if kind == b"sBIT":
                bits = max(file.read(min(length, 4)), default=0)
                return bits if 8 < bits < 16 else None
        return None
    finally:
        file.seek(before)


def _whole_depth(pil: ImageFile.ImageFile, file: IO[bytes]) -> PillowImage.Image:
    """A color PNG of 16 bits, of which `pil` has the upper eight, scaled by the bits it uses."""
    bands = pil.mode.rstrip("Aa")
    greatest = max(cast(int, pil.getchannel(band).getextrema()[1]) for band in bands)
    significant = pil.info.get(SIGNIFICANT_BITS) or 0
    if greatest >= 1 << max(4, significant - 8):
        return pil
    import cv2
    from PIL import Image as PillowImage

    file.seek(0)
    deep = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if deep is None or deep.ndim != 3 or deep.dtype != np.uint16:
        return pil
    colors = deep[..., 2::-1]
    maximum = None
    if significant:
        maximum = png_maximum(significant, int(np.bitwise_or.reduce(colors, axis=None)))
    image = PillowImage.fromarray(to_8_bits(colors, 16, maximum))
    image.info.update(pil.info)
    image.info.pop("transparency", None)
    if pil.has_transparency_data:
        image.putalpha(pil.convert("RGBA").getchannel("A"))
    return image


def read_rgba(path: FilePath, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image with its alpha channel: (h, w, 4) uint8, or (h, w, 3) where it has none.

    As `read_image`, but transparent pixels keep their color.
    """
    with open_image(path, max_pixels, pixels=True) as pil:
        return _upright_rgba(_loaded(pil, None, max_pixels))


def _upright_rgba(pil: Any) -> NDArray[np.uint8]:
    orientation = _orientation_of(pil)
    if not pil.has_transparency_data or pil.mode.startswith("I"):
        return upright_rgb(pil, orientation)
    rgba = pil.convert("RGBA")
    channel = rgba.getchannel("A")
    channel.info = {}  # the color profile is not for alpha
    alpha = upright_rgb(channel, orientation)[..., :1]
    return np.concatenate([upright_rgb(rgba.convert("RGB"), orientation), alpha], axis=2)


def _as_stored(size: Size | int, pil: ImageFile.ImageFile) -> Size:
    """The least width and height of the stored `pil`, which may have to be turned."""
    if isinstance(size, int):
        return (size, 1) if pil.size[0] >= pil.size[1] else (1, size)
    return (size[1], size[0]) if _orientation_of(pil) >= 5 else size


def image_size(path: FilePath, *, max_pixels: int = MAX_PIXELS) -> Size:
    """Width and height of the upright image in `path`, from its header."""
    with open_image(path, max_pixels) as pil:
        if pil.format == "PNG" and _has_exif_chunk(cast("IO[bytes]", pil.fp)):
            pil.load()  # the chunk may follow the pixels
        width, height = pil.size
        return (height, width) if _orientation_of(pil) >= 5 else (width, height)


def thumbnail(path: FilePath, side: int, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The image in `path`, (h, w, 3) uint8 RGB, reduced to at most `side` pixels per side.

    A JPEG is decoded at a fraction of its size, which takes a fraction of the time. Small images
    are not made larger.
    """
    if side < 1:
        raise UsageError(f"thumbnail side {side}: must be at least 1 pixel")
    with open_image(path, max_pixels, pixels=True) as pil:
        image = upright_rgb(_loaded(pil, _fit(pil.size, side), max_pixels), _orientation_of(pil))
    return resize(image, _fit((image.shape[1], image.shape[0]), side))


def _fit(size: Size, side: int) -> Size:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize(image: Image, size: Size) -> Image:
    """`image` at `size` (width, height): by area where neither side grows, else bilinear.

    `image` is (h, w, 3) or (h, w) uint8; it is returned unchanged if it already has the size.
    """
    height, width = image.shape[:2]
    if (width, height) == tuple(size):
        return image
    import cv2

    smaller = size[0] <= width and size[1] <= height
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cast(Image, cv2.resize(image, size, interpolation=interpolation))


def write_image(path: FilePath, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write `image` atomically as PNG or JPEG (quality 95), by the suffix of `path`.

    `image` is (h, w, 3) RGB or (h, w) gray; uint8, for PNG also uint16. Other suffixes, shapes and
    types are a UsageError; an OSError leaves no file behind.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg", ".jpe"):
        raise UsageError(f"cannot write {suffix or 'a file without suffix'}: use .png or .jpg")
    colour = image.ndim == 3 and image.shape[2] == 3
    fits = image.dtype == np.uint8 or (image.dtype == np.uint16 and suffix == ".png")
    if not (fits and image.size and (colour or image.ndim == 2)):
        raise UsageError(
            f"cannot write {image.dtype} of shape {image.shape} as {suffix}: expected uint8 (for"
            " .png also uint16) of shape (h, w) or (h, w, 3)"
        )
    import cv2

    done, data = cv2.imencode(suffix, image[..., ::-1] if colour else image)
    if not done:
        raise UsageError(f"cannot write an image of shape {image.shape} as {suffix}")
    write_whole(path, data.tobytes())


def as_image(value: Any, name: str = "image") -> Image:
    """An image as RGB uint8, whatever form it is given in.

    Parameters
    ----------
    value : array_like, PIL image, str or Path
        Arrays are (h, w) or (h, w, 1|3|4): uint8, uint16 (the upper eight bits count), bool, or
        floats in [0, 1]. Alpha is blended with white. Paths are read.
    name : str
        What messages call the image.

    Raises
    ------
    UsageError
        Another type, shape or range of values, or a file that cannot be read.
    """
    if isinstance(value, (str, Path)):
        try:
            return read_image(value)
        except UnreadableImageError as error:
            raise UsageError(f"cannot read {value}: {error.message}") from error
    if isinstance(value, np.ndarray) or not hasattr(value, "getexif"):
        return _rgb(_array_of(value, name), name)
    return upright_rgb(_pil_loaded(value, name), _orientation_of(value))


def as_rgb_and_alpha(value: Any, name: str = "image") -> tuple[Image, NDArray[np.uint8] | None]:
    """An image as RGB uint8, not blended, and its (h, w) alpha; None where it has none.

    Forms and errors as `as_image`.
    """
    if isinstance(value, (str, Path)):
        try:
            pixels = read_rgba(value)
        except UnreadableImageError as error:
            raise UsageError(f"cannot read {value}: {error.message}") from error
    elif isinstance(value, np.ndarray) or not hasattr(value, "getexif"):
        pixels = _array_of(value, name)
    else:
        pixels = _upright_rgba(_pil_loaded(value, name))
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[..., :3]), pixels[..., 3]
    return _rgb(pixels, name), None


def _pil_loaded(image: Any, name: str) -> Any:
    """A PIL image with its pixels."""
    try:
        image.load()
    except Exception as error:  # as for files, Pillow raises almost any error
        raise UsageError(f"{name} cannot be decoded: {_reason(error)}") from error
    return image


def _array_of(value: Any, name: str) -> NDArray[np.uint8]:
    """An array of uint8; UsageError for what is no array of an image."""
    if value is None or isinstance(value, (bytes, Mapping, set, str, int, float)):
        raise UsageError(
            f"{name} is {_kind_of(value)}: expected a path (str or Path), a PIL image or an array"
        )
    try:
        pixels = np.asarray(value)
    except (TypeError, ValueError):
        pixels = np.empty(0, object)
    except RuntimeError as error:  # a tensor with gradients
        raise UsageError(f"{name} cannot become an array: {error}") from None
    if pixels.ndim in (2, 3) and pixels.size:
        if pixels.dtype == np.uint8:
            return pixels
        if pixels.dtype == np.uint16:
            return (pixels >> 8).astype(np.uint8)
        if pixels.dtype == bool:
            return pixels.astype(np.uint8) * 255
        if pixels.dtype.kind == "f":
            if not (np.isfinite(pixels).all() and 0 <= pixels.min() <= pixels.max() <= 1):
                raise UsageError(
                    f"{name} has {pixels.dtype} values outside [0, 1]: divide them by their"
                    " maximum, or convert values of 0 to 255 with .astype('uint8')"
                )
            scaled: NDArray[np.uint8] = np.rint(pixels * 255).astype(np.uint8)
            return scaled
    raise UsageError(
        f"{name} is {pixels.dtype} of shape {pixels.shape}: expected uint8, or floats in [0, 1],"
        " of shape (h, w), gray, or (h, w, 3), RGB"
    )


def _kind_of(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _rgb(pixels: NDArray[np.uint8], name: str) -> Image:
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    if channels == 3:
        return np.ascontiguousarray(pixels)
    if channels == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if channels == 4:
        return _over_white(pixels)
    first = pixels.shape[0] in (1, 3, 4)
    cure = "; move the first axis to the end, np.moveaxis(image, 0, 2)" if first else ""
    raise UsageError(f"{name} has {channels} channels: expected gray, RGB or RGBA{cure}")


def _over_white(rgba: NDArray[np.uint8]) -> Image:
    from PIL import Image as PillowImage

    white = PillowImage.new("RGBA", rgba.shape[1::-1], "white")
    return np.array(PillowImage.alpha_composite(white, PillowImage.fromarray(rgba)).convert("RGB"))
