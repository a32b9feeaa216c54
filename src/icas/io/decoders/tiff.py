"""TIFF images whose samples Pillow refuses or misreads.

Their strips or tiles are unpacked as rows of bytes, by libtiff in Pillow, and NumPy makes samples
of the bytes. Other TIFF images are left to Pillow.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage, ImageFile, ImageOps
from PIL.TiffImagePlugin import OPEN_INFO, TiffImageFile

from icas.common.errors import UnreadableImageError
from icas.io.conversion.depth import shifted, to_8_bits
from icas.io.limits import CUT_SHORT

_GROUP_BYTES = 1 << 24
"""Unpacked bytes of the strips that are decoded together."""
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _FORMAT = 322, 323, 324, 325, 338, 339
_ORIENTATION, _ICC = 274, 34675
_MAXIMA = (341, 281)
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_MOST_SAMPLES = 6
_COLORS = {0: 1, 1: 1, 2: 3, 5: 4}
"""Channels of color by photometric interpretation: gray (0: inverted), RGB, CMYK."""
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_INK_SET, _CMYK = 332, 1
_PACKED = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions of bytes: none, LZW, deflate, PackBits, LZMA, Zstandard."""


@dataclass(frozen=True)
class Layout:
    """How the samples of an image are stored.

    `colors`: channels of color, 1 gray, 3 RGB, 4 CMYK. `alpha`: 0 none, 1 premultiplied, 2 not.
    `share`: of the image that a strip or tile holds.
    """

    width: int
    height: int
    bits: int
    format: int
    samples: int
    colors: int
    inverted: bool
    alpha: int
    planar: bool
    compression: int
    predictor: int
    byte_order: Literal["<", ">"]
    share: float

    @property
    def cost(self) -> float:
        """Bytes of memory per pixel while it is read."""
        size = self.samples * max(self.bits, 8) / 8
        copies = 1 if self.compression == 1 else 3  # of the bytes of a strip
        unpacked = 12 * self.samples if self.bits % 8 else 0
        inks = 8 if self.colors == 4 else 0
        return size + max(7.0, size * copies * self.share) + unpacked + inks + 1


class TiffFile(TiffImageFile):
    """Pillow's reader of TIFF, and the layouts that it lacks."""

    layout: Layout | None = None

    def _setup(self) -> None:
        self.layout = layout_of(self.tag_v2)
        if self.layout is None:
            super()._setup()  # type: ignore[no-untyped-call, unused-ignore]
            return
        width, height = self.layout.width, self.layout.height
        turned = self.tag_v2.get(_ORIENTATION) in (5, 6, 7, 8)
        self._size = (height, width) if turned else (width, height)
        self._tile_size = (width, height)
        self._mode = _MODES[self.layout.colors]
        self.tile = []
        self.use_load_libtiff = False
        self._compression = "raw"
        self._planar_configuration = 1
        if _ICC in self.tag_v2:
            self.info["icc_profile"] = self.tag_v2[_ICC]

    def load(self) -> Any:
        if self.layout is not None and self._im is None:
            pixels = _pixels(cast("IO[bytes]", self.fp), self.tag_v2, self.layout)
            image = _as_pillow(pixels, self.layout)
            self.im, self._mode = image.im, image.mode
            self._size = image.size
            ImageOps.exif_transpose(self, in_place=True)
            if _ORIENTATION in self.tag_v2:
                del self.tag_v2[_ORIENTATION]
        return super().load()


def layout_of(tags: Any) -> Layout | None:
    """The layout of an image that Pillow would refuse or misread; None for others."""
    compression, photometric = _number(tags, _COMPRESSION, 1), _number(tags, _PHOTOMETRIC, 0)
    bits, formats = _numbers(tags, _BITS, (1,)), set(_numbers(tags, _FORMAT, (1,)))
    samples, planar = _number(tags, _SAMPLES, 1), _number(tags, _PLANAR, 1) == 2
    extra = _numbers(tags, _EXTRA, ())
    fill = _number(tags, _FILL_ORDER, 1)
    if compression not in _PACKED or len(formats) != 1 or len(set(bits)) != 1 or fill != 1:
        return None
    (kind,) = formats
    kind = _UNSIGNED if kind == 4 else kind
    colors = _COLORS.get(photometric, 0)
    if colors == 4 and _number(tags, _INK_SET, _CMYK) != _CMYK:
        colors = 0
    if planar and bits[0] > 8 and samples > 1 and not colors:
        raise UnreadableImageError(
            f"unsupported variant of the format (planes of {bits[0]} bits): convert it to JPEG or"
            " PNG"
        )
    if not colors or not colors <= samples <= _MOST_SAMPLES:
        return None
    key = (tags.prefix, photometric, (kind,), fill, (bits[0],) * samples, extra)
    misread = (
        (kind == _SIGNED and bits[0] == 8)
        or (kind == _UNSIGNED and bits[0] == 32)
        or (photometric == 2 and bits[0] > 8)
        # Pillow swaps bytes that libtiff has swapped.
        or (kind != _UNSIGNED and compression != 1 and tags.prefix == b"MM")
        or (planar and bits[0] > 8 and samples > 1)
    )
    known = cast("dict[Any, Any]", OPEN_INFO)
    if (key in known and not misread) or not _has_dtype(kind, bits[0]):
        return None
    if samples - colors != len(extra) and not (colors == 3 and samples == 4):
        return None  # channels of unknown meaning
    width, height = _number(tags, _WIDTH, 0), _number(tags, _HEIGHT, 0)
    if _TILES in tags:
        held = _number(tags, _TILE_WIDTH, 0) * _number(tags, _TILE_HEIGHT, 0)
    else:
        held = width * min(_number(tags, _ROWS, height), height)
    alpha = extra[0] if extra else 2 * (samples == 4)
    return Layout(
        width=width,
        height=height,
        bits=bits[0],
        format=kind,
        samples=samples,
        colors=colors,
        inverted=photometric == 0,
        alpha=alpha if alpha in (1, 2) and colors != 4 else 0,
        planar=planar and samples > 1,
        compression=compression,
        predictor=_number(tags, _PREDICTOR, 1) if compression not in (1, 32773) else 1,
        byte_order="<" if tags.prefix == b"II" else ">",
        share=held / max(1, width * height),
    )


def declared_maximum(tags: Any) -> int | None:
    """The greatest sample that the tags declare."""
    for tag in _MAXIMA:
        values = tags.get(tag)
        values = values if isinstance(values, tuple) else (values,)
        if values and all(isinstance(value, (int, float)) and value > 0 for value in values):
            return int(min(max(values), 1 << 32))
    return None


def _has_dtype(kind: int, bits: int) -> bool:
    if kind == _UNSIGNED:
        return 1 <= bits <= 16 or bits in (32, 64)
    return (kind == _SIGNED and bits in (8, 16, 32, 64)) or (
        kind == _FLOAT and bits in (16, 32, 64)
    )


def _number(tags: Any, tag: int, default: int) -> int:
    numbers = _numbers(tags, tag, (default,))
    return numbers[0] if numbers else default


def _numbers(tags: Any, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    values = tags.get(tag, default)
    values = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    if not all(isinstance(value, int) for value in values):
        raise UnreadableImageError(f"damaged: tag {tag} is not a number")
    return values


# -- pixels --


def _pixels(file: IO[bytes], tags: Any, layout: Layout) -> NDArray[np.uint8]:
    """(h, w) or (h, w, 3|4) uint8, with the alpha channel behind if it is to be blended."""
    colors = layout.colors
    values = _samples(file, tags, layout)
    maximum = declared_maximum(tags) if layout.format == _UNSIGNED else None
    pixels = to_8_bits(values[..., :colors], layout.bits, maximum)
    if layout.inverted:
        pixels = 255 - pixels
    if layout.alpha:
        pixels = _with_alpha(pixels, values[..., colors], layout)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def _as_pillow(pixels: NDArray[np.uint8], layout: Layout) -> PillowImage.Image:
    if layout.colors == 4:
        return PillowImage.frombytes("CMYK", pixels.shape[1::-1], pixels.tobytes())
    return PillowImage.fromarray(pixels)


def _with_alpha(
    pixels: NDArray[np.uint8], alpha: NDArray[Any], layout: Layout
) -> NDArray[np.uint8]:
    if layout.format == _UNSIGNED:
        opaque = shifted(alpha, layout.bits)
    elif layout.format == _FLOAT:
        opaque = np.rint(np.nan_to_num(alpha.astype(np.float64)).clip(0, 1) * 255).astype(np.uint8)
    else:
        return pixels
    if layout.alpha == 2:
        return np.dstack([pixels, opaque])
    white = pixels.astype(np.uint16) + (255 - opaque)[..., None]  # premultiplied
    result: NDArray[np.uint8] = np.minimum(white, 255).astype(np.uint8)
    return result


def _samples(file: IO[bytes], tags: Any, layout: Layout) -> NDArray[Any]:
    """All samples, (h, w, samples)."""
    tiled = _TILES in tags
    offsets = _numbers(tags, _TILES if tiled else _STRIPS, ())
    counts = _numbers(tags, _TILE_BYTES if tiled else _STRIP_BYTES, ())
    if tiled:
        wide, rows = _number(tags, _TILE_WIDTH, 0), _number(tags, _TILE_HEIGHT, 0)
    else:
        wide, rows = layout.width, min(_number(tags, _ROWS, layout.height), layout.height)
    if wide < 1 or rows < 1:
        raise UnreadableImageError("damaged: header declares empty strips")
    across, down = -(-layout.width // wide), -(-layout.height // rows)
    planes = layout.samples if layout.planar else 1
    if not counts and len(offsets) == 1:
        counts = (1 << 62,)
    if min(len(offsets), len(counts)) < across * down * planes:
        raise UnreadableImageError("damaged: header declares too few strips")
    per_plane = 1 if layout.planar else layout.samples
    row_bytes = (wide * per_plane * layout.bits + 7) // 8
    result = np.empty((layout.height, layout.width, layout.samples), _dtype(layout))
    parts = [
        (plane, at // across * rows, at % across * wide)
        for plane in range(planes)
        for at in range(across * down)
    ]
    heights = [rows if tiled else min(rows, layout.height - top) for _, top, _ in parts]
    unpacked = _unpacked(file, layout, offsets, counts, heights, rows, row_bytes)
    for (plane, top, left), rows_of_bytes in zip(parts, unpacked, strict=True):
        values = _values(rows_of_bytes, layout, wide, per_plane)
        area = result[top : top + rows, left : left + wide]
        values = values[: area.shape[0], : area.shape[1]]
        if layout.planar:
            area[..., plane] = values[..., 0]
        else:
            area[:] = values
    return result


def _unpacked(
    file: IO[bytes],
    layout: Layout,
    offsets: tuple[int, ...],
    counts: tuple[int, ...],
    heights: list[int],
    rows: int,
    row_bytes: int,
) -> Iterator[NDArray[np.uint8]]:
    """The bytes of each strip or tile, (height, row_bytes) uint8."""
    length = file.seek(0, io.SEEK_END)
    group = max(1, _GROUP_BYTES // (rows * row_bytes))
    most = 2 * rows * row_bytes + 64  # LZW makes noise half as large again
    start = 0
    while start < len(heights):
        # Strips that are not the last of an image have the same height in libtiff.
        end = start + 1
        while end < min(start + group, len(heights)) and heights[end - 1] == rows:
            end += 1
        packed = []
        for offset, count in zip(offsets[start:end], counts[start:end], strict=True):
            file.seek(offset)
            packed.append(file.read(min(count, max(0, length - offset), most)))
        total = sum(heights[start:end])
        if layout.compression == 1:
            pixels = _plain(packed, heights[start:end], row_bytes)
        else:
            pixels = _by_libtiff(packed, layout.compression, rows, total, row_bytes)
        top = 0
        for height in heights[start:end]:
            yield pixels[top : top + height]
            top += height
        start = end


def _plain(packed: list[bytes], heights: list[int], row_bytes: int) -> NDArray[np.uint8]:
    sizes = [height * row_bytes for height in heights]
    if any(len(data) < size for data, size in zip(packed, sizes, strict=True)):
        raise UnreadableImageError(CUT_SHORT)
    data = b"".join(data[:size] for data, size in zip(packed, sizes, strict=True))
    return np.frombuffer(data, np.uint8).reshape(-1, row_bytes)


class _Rows(TiffImageFile):
    """A gray image of 8 bits, without Pillow's limit of pixels: the caller has checked them."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = cast(Any, PillowImage).core.new(self.mode, self.size)
        ImageFile.ImageFile.load_prepare(self)


def _by_libtiff(
    packed: list[bytes], compression: int, rows: int, height: int, row_bytes: int
) -> NDArray[np.uint8]:
    """Packed strips as an image of gray bytes, without a predictor."""
    offsets, at = [], 8
    for data in packed:
        offsets.append(at)
        at += len(data)
    counts = [len(data) for data in packed]
    arrays = at + at % 2
    many = len(packed) > 1
    head = 4 * len(packed) if many else 0
    entries = {_WIDTH: row_bytes, _HEIGHT: height, _BITS: 8, _COMPRESSION: compression}
    entries |= {_PHOTOMETRIC: 1, _STRIPS: arrays if many else offsets[0], _SAMPLES: 1}
    entries |= {_ROWS: min(rows, height), _STRIP_BYTES: arrays + head if many else counts[0]}
    directory = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        count = len(packed) if tag in (_STRIPS, _STRIP_BYTES) else 1
        directory += struct.pack("<HHII", tag, 4, count, value)
    tables = struct.pack(f"<{2 * len(packed)}I", *offsets, *counts) if many else b""
    header = struct.pack("<2sHI", b"II", 42, arrays + len(tables))
    parts = (header, *packed, b"\0" * (at % 2), tables, directory, bytes(4))
    image = _Rows(io.BytesIO(b"".join(parts)), "")
    image.load()
    return np.asarray(image)


# -- samples of bytes --


def _dtype(layout: Layout) -> np.dtype[Any]:
    letter = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}[layout.format]
    size = layout.bits // 8 if layout.bits % 8 == 0 else (1 if layout.bits < 8 else 2)
    return np.dtype(f"{letter}{size}")


def _values(rows: NDArray[np.uint8], layout: Layout, wide: int, samples: int) -> NDArray[Any]:
    """(height, wide, samples) values of rows of bytes."""
    dtype, shape = _dtype(layout), (len(rows), wide, samples)
    if layout.bits % 8:
        if layout.predictor != 1:
            raise UnreadableImageError(
                f"unsupported variant of the format (predictor with {layout.bits} bits): convert it"
                " to JPEG or PNG"
            )
        return _of_bits(rows, layout.bits, wide * samples).reshape(shape).astype(dtype)
    rows = np.ascontiguousarray(rows)
    order = layout.byte_order
    if layout.predictor == 3 and layout.format == _FLOAT:
        steps = rows.reshape(len(rows), -1, samples)
        planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(len(rows), dtype.itemsize, -1)
        data = np.ascontiguousarray(planes.swapaxes(1, 2))
        return data.view(dtype.newbyteorder(">")).reshape(shape).astype(dtype)
    values = rows.view(dtype.newbyteorder(order)).reshape(shape)
    if layout.predictor == 1:
        return values
    if layout.predictor == 2:
        unsigned = np.dtype(f"u{dtype.itemsize}")
        steps = values.view(unsigned.newbyteorder(order))
        sums = np.cumsum(steps.astype(unsigned), axis=1, dtype=unsigned)
        return sums.view(dtype)
    raise UnreadableImageError(f"damaged: header declares predictor {layout.predictor}")


def _of_bits(rows: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint16]:
    """`count` numbers of so many bits from each row."""
    result = np.empty((len(rows), count), np.uint16)
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)
    step = max(1, (1 << 20) // max(1, count * bits))
    for top in range(0, len(rows), step):
        single = np.unpackbits(rows[top : top + step], axis=1)[:, : count * bits]
        result[top : top + step] = single.reshape(-1, count, bits) @ weights
    return result
