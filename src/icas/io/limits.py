"""Limits on the memory and time that decoders take.

The header of a small file can declare a huge image. The limit is on pixels (``--max-pixels``).
Pixels of some formats take more memory than others, and some structures make a small image as
expensive as a large one.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UnreadableImageError
from icas.io.conversion.pixels import Size

if TYPE_CHECKING:
    from PIL import ImageFile

MOST_SIDE = 1 << 20
"""Longest side: Pillow and OpenCV keep tables of some 50 bytes per pixel of a side."""
MOST_SCANS = 500
"""Scans of a JPEG, each over all pixels. Usual files have 10."""

_BYTES = 9
"""Memory per pixel while it is read, for most formats (measured)."""
_BYTES_OF = {"WEBP": 17, "AVIF": 18, "HEIF": 18, "JPEG2000": 25, "RAW": 20}
"""The same for decoders that keep copies (measured; AVIF of 10 bits)."""
_TILE_PIXELS = 1 << 24
"""Limit of a TIFF tile, unless twice the image is more."""


def check_size(size: Size, max_pixels: int, kind: str = "", cost: float = 0) -> None:
    """Refuse an image that is too large for its format.

    `max_pixels` is the limit for formats with the usual memory per pixel; formats that need more
    (by `kind`, or `cost` in bytes per pixel) have a lower one.
    """
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableImageError(f"damaged: header declares {width}x{height} pixels")
    limit = int(max_pixels * _BYTES / max(cost, _BYTES_OF.get(kind, _BYTES)))
    if width * height > limit:
        of_kind = f" for this {kind} encoding" if limit < max_pixels else ""
        raise UnreadableImageError(
            f"header declares {width}x{height} pixels, more than the limit of {limit:,}{of_kind}"
            " (--max-pixels)"
        )
    if max(width, height) > MOST_SIDE:
        raise UnreadableImageError(
            f"header declares {width}x{height} pixels, more than the"
            f" limit of {MOST_SIDE:,} per side"
        )


def check_tiles(pil: ImageFile.ImageFile) -> None:
    """Refuse a TIFF with tiles far larger than the image: libtiff unpacks whole tiles."""
    tags: Any = getattr(pil, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in (322, 323))
    if not isinstance(width, int) or not isinstance(height, int):
        return
    if width * height > max(_TILE_PIXELS, 2 * pil.size[0] * pil.size[1]):
        raise UnreadableImageError(f"damaged: header declares tiles of {width}x{height} pixels")


def check_scans(data: bytes) -> None:
    """Refuse a JPEG of very many scans."""
    if data.count(b"\xda") <= MOST_SCANS:
        return  # small files; NumPy would let other threads run, which takes longer than the work
    values = np.frombuffer(data, np.uint8)
    before = np.flatnonzero(values[:-1] == 0xFF)  # several times as fast as bytes.count
    if np.count_nonzero(values[before + 1] == 0xDA) <= MOST_SCANS:
        return  # the bytes of a scan marker may also occur in thumbnails and behind the image
    scans = sum(1 for _ in islice(_scans(data), MOST_SCANS + 1))
    if scans > MOST_SCANS:
        raise UnreadableImageError(f"damaged: more than {MOST_SCANS} scans")


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _scans(data: bytes) -> Iterator[int]:
    """Offsets of the scans of a JPEG, up to the end of its first image."""
    at = 2
    while match := _MARKER.search(data, at):
        at, marker = match.end(), data[match.end() - 1]
        if marker == 0xD9:
            return
        if marker == 0xDA:
            yield at
        if marker not in (0x01, 0xD8):  # these have no length
            at += int.from_bytes(data[at : at + 2], "big")


def complete_scans(data: bytes) -> bool:
    """Whether the scans of a JPEG, by their headers, hold every bit of every coefficient."""
    found: dict[int, set[int]] = {}
    scans = list(islice(_scans(data), MOST_SCANS + 1))
    for at in scans:
        count = data[at + 2] if at + 2 < len(data) else 0
        header = data[at + 3 : at + 6 + 2 * count]
        if not 1 <= count <= 4 or len(header) < 2 * count + 3:
            return False
        first, last, bits = header[-3:]
        for component in header[: 2 * count : 2]:
            held = found.setdefault(component, set())
            if bits & 15 == 0:
                held.update(range(first, min(last, 63) + 1))
    return bool(found) and all(len(held) == 64 for held in found.values())


_COMPONENTS = 4
"""Components of a JPEG 2000 image that can be read."""
_BLOCK_BYTES, _PRECINCT_BYTES = 450, 1500
"""Memory that OpenJPEG uses per code block and precinct, however small (measured)."""
_HEADERS = 70_000
"""Headers of a JPEG 2000 stream that are examined; it has at most 65535 tiles."""


def jpeg2000_cost(file: IO[bytes], head: bytes) -> float:
    """Memory per pixel of a JPEG 2000 file while it is decoded.

    Most files have code blocks of 64x64 pixels; with blocks of 4x4, the bookkeeping for a block
    takes far more memory than its pixels.
    """
    file.seek(0)
    start = (head + file.read(1 << 16)[len(head) :]).find(b"\xff\x4f\xff\x51")
    if start < 0:
        raise UnreadableImageError("damaged: no JPEG 2000 stream at the start")
    components, cost = 1, float(_BYTES_OF["JPEG2000"])
    for marker, content in islice(_stream_headers(file, start + 2), _HEADERS):
        if marker == 0x51 and len(content) >= 36:
            (components,) = struct.unpack(">H", content[34:36])
            if components > _COMPONENTS:
                raise UnreadableImageError(f"damaged: header declares {components} components")
        elif marker in (0x52, 0x53):
            cost = max(cost, _BYTES_OF["JPEG2000"] + components * _block_cost(marker, content))
    return cost


def _stream_headers(file: IO[bytes], at: int) -> Iterator[tuple[int, bytes]]:
    """Markers with their contents, of the main header and the tile headers."""
    tile, length = 0, 0
    while True:
        file.seek(at)
        start = file.read(4)
        if len(start) < 4 or start[0] != 0xFF:
            return
        marker, size = start[1], int.from_bytes(start[2:4], "big")
        if marker == 0x93:  # the pixels of a tile
            if length < 14:
                return  # up to the end
            at = tile + length
            continue
        content = file.read(max(0, size - 2))
        if marker == 0x90:  # a tile begins
            tile, length = at, int.from_bytes(content[2:6], "big")
        yield marker, content
        at += 2 + max(2, size)


def _block_cost(marker: int, content: bytes) -> float:
    """Bytes per pixel of one component for its code blocks and precincts."""
    style, values = (content[0], content[5:]) if marker == 0x52 else (content[1], content[2:])
    if len(values) < 5:
        return 0.0
    cost = _BLOCK_BYTES / 2.0 ** (4 + (values[1] & 15) + (values[2] & 15))
    if style & 1:
        sizes = [(size & 15) + (size >> 4) for size in values[5:]]
        # The last has the full resolution, each one before it a quarter of the pixels.
        for level, size in enumerate(reversed(sizes)):
            cost += _PRECINCT_BYTES / 2.0**size / 4.0**level
    return cost


# -- ICO files --


def check_icons(file: IO[bytes], max_pixels: int) -> None:
    """Refuse an icon whose images are larger than they may be: the reader decodes at once."""
    file.seek(0)
    _, _, count = struct.unpack("<HHH", file.read(6))
    entries = file.read(16 * min(count, 256))
    for at in range(0, len(entries) - 15, 16):
        (offset,) = struct.unpack_from("<I", entries, at + 12)
        file.seek(offset)
        start = file.read(24)
        if start[:8] == b"\x89PNG\r\n\x1a\n" and len(start) == 24:
            check_size(struct.unpack(">II", start[16:24]), max_pixels)
        elif len(start) == 24:
            size, width, height = struct.unpack("<III", start[:12])
            if size == 12:
                width, height = struct.unpack("<HH", start[4:8])
            check_size((width, height // 2), max_pixels)


# -- PNM files --

_HEAD_BYTES = 1 << 16
"""Bytes in which a PNM header has to end, with its comments."""
_MOST_TEXT = 1 << 26
"""Bytes of pixels as text that are read."""
_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,10})"
_PNM = re.compile(rb"P(?:[14f]%b%b|[2356]%b%b%b)(?:#[^\r\n]*)?\s" % ((_NUMBER,) * 5))
CUT_SHORT = "truncated: the file ends before its pixel data"


def pnm_header(file: IO[bytes]) -> tuple[int, list[int]]:
    """Length and numbers (width, height, and the greatest value if any) of a PNM header."""
    match = _PNM.match(file.read(_HEAD_BYTES))
    if match is None:
        raise UnreadableImageError("damaged: its header has no end, or an invalid number")
    return match.end(), [int(number) for number in match.groups() if number is not None]


def fast_pnm(file: IO[bytes], max_pixels: int) -> IO[bytes] | None:
    """The same image as a binary PNM file of 8 or 16 bits, scaled as Pillow does; None if it is.

    Pillow decodes all others number by number: those of text (P1 to P3), and binary ones whose
    greatest value is not 255 or 65535. A megabyte of comments took it 9 seconds.
    """
    kind = file.read(2)[1:]
    file.seek(0)
    end, (width, height, *rest) = pnm_header(file)
    greatest = rest[0] if rest else 1
    copied = kind in b"4f" or (kind == b"5" and greatest == 65535)
    copied = copied or (kind in b"56" and greatest == 255)
    if copied or width * height > max_pixels or not 0 < greatest < 65536:
        return None  # the reader refuses the latter two
    file.seek(end)
    count = width * height * (3 if kind in b"36" else 1)
    if kind in b"123":
        values = _text_values(file, kind == b"1", greatest)
    else:
        dtype = np.dtype("u1" if greatest < 256 else ">u2")
        data = file.read(count * dtype.itemsize)
        values = np.frombuffer(data, dtype, len(data) // dtype.itemsize)
    if len(values) < count:
        raise UnreadableImageError(CUT_SHORT)
    most = 65535 if greatest > 255 and kind in b"25" else 255
    scaled = np.rint(np.arange(greatest + 1) / greatest * most)
    table = (most - scaled if kind == b"1" else scaled).astype(">u2" if most > 255 else "u1")
    header = b"P%d %d %d %d\n" % (6 if kind in b"36" else 5, width, height, most)
    pixels = table[np.minimum(values[:count], greatest)]
    return io.BytesIO(header + pixels.tobytes())


def _text_values(file: IO[bytes], bits: bool, greatest: int) -> NDArray[np.integer[Any]]:
    """Numbers of a text with comments; `bits` may have no space between them."""
    text = re.sub(rb"#[^\r\n]*", b"", file.read(_MOST_TEXT + 1))
    if file.read(1):
        raise UnreadableImageError(f"more than {_MOST_TEXT >> 20} MB of pixels as text")
    if re.search(rb"\d{11}", text) and not bits:
        raise UnreadableImageError("damaged: a number has too many digits")
    values: NDArray[np.integer[Any]]
    if bits:
        values = np.frombuffer(text.translate(None, b" \t\r\n\v\f"), np.uint8).astype(np.int16) - 48
    elif text.translate(None, b"0123456789 \t\r\n\v\f"):
        raise UnreadableImageError("damaged: a value is not a number")
    else:  # of spaces alone fromstring makes a -1
        text = text if text.strip() else b""
        values = np.fromstring(text.decode("ascii"), np.int64, sep=" ")
    if len(values) and not 0 <= values.min() <= values.max() <= greatest:
        raise UnreadableImageError(f"damaged: a value is outside 0 to {greatest}")
    return values
