"""Conversion of Pillow images of any mode to upright 8-bit RGB over white."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image as PillowImage

Image = NDArray[np.uint8]
"""(h, w, 3) uint8, RGB."""
Size = tuple[int, int]
"""Width and height."""

_BAND_PIXELS = 1 << 16
"""Pixels converted at a time: the intermediate arrays stay in the processor cache."""

_PHOTOMETRIC = 262
_BITS_PER_SAMPLE = 258
_WHITE_IS_ZERO = 0


def upright_rgb(pil: PillowImage.Image, orientation: int = 1) -> Image:
    """Pixels of a loaded Pillow image as new (h, w, 3) uint8, turned by the EXIF `orientation`.

    Transparent pixels are blended with white. More than 8 bits are scaled by the depth that the
    file declares, floats in 0..1 by 255, other floats and 32-bit integers from their least to
    their greatest value (NaN is black). Conversion goes by bands of rows: besides the result and
    Pillow's own pixels no third copy of a large image exists.
    """
    width, height = pil.size
    turned = orientation in (5, 6, 7, 8)
    result = np.empty((width, height, 3) if turned else (height, width, 3), np.uint8)
    stored = _as_stored(result, orientation)
    to_rgb = _converter(pil)
    for top, band in _bands(pil):
        stored[top : top + band.size[1]] = to_rgb(band)
    return result


def _bands(pil: PillowImage.Image) -> Iterator[tuple[int, PillowImage.Image]]:
    """The image in bands of rows, from the top, each with the number of its first row."""
    width, height = pil.size
    rows = max(1, _BAND_PIXELS // width)
    if rows >= height:
        yield 0, pil
        return
    for top in range(0, height, rows):
        yield top, pil.crop((0, top, width, min(top + rows, height)))


def _as_stored(upright: Image, orientation: int) -> Image:
    """The view of `upright` whose rows and columns are those of the file (TIFF 6.0, tag 274)."""
    swapped = upright.swapaxes(0, 1)
    views = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: swapped,
        6: swapped[::-1],
        7: swapped[::-1, ::-1],
        8: swapped[:, ::-1],
    }
    return views.get(orientation, upright)


_Converter = Callable[["PillowImage.Image"], NDArray[np.uint8]]


def _converter(pil: PillowImage.Image) -> _Converter:
    """Conversion to (h, w, 3) or (h, w, 1) uint8 of a band of the image."""
    mode = pil.mode
    if mode.startswith("I;16"):
        return _deep_gray(pil)
    if mode == "I" and pil.format != "TIFF":
        # Pillow has brought the 9 to 16 bits of a PGM or PNG to 0..65535.
        return lambda band: (np.asarray(band).clip(0, 65535) >> 8).astype(np.uint8)[..., None]
    if mode in ("I", "F"):
        return _scaled_gray(pil)
    if mode == "LAB":
        return _lab()
    if pil.has_transparency_data:
        return _over_white
    if mode in ("L", "1"):
        return lambda band: np.asarray(band.convert("L"))[..., None]
    return lambda band: np.asarray(band.convert("RGB") if mode != "RGB" else band)


def _over_white(band: PillowImage.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(band.convert("RGBA"))
    color, alpha = pixels[..., :3], pixels[..., 3:].astype(np.uint16)
    mixed = color * alpha + np.uint16(255) * (255 - alpha)  # at most 255 * 255
    opaque: NDArray[np.uint8] = ((mixed + 127) // 255).astype(np.uint8)
    return opaque


def _deep_gray(pil: PillowImage.Image) -> _Converter:
    """16 bits, or the fewer that a TIFF declares, to 8."""
    shift = max(0, _tiff_tag(pil, _BITS_PER_SAMPLE, 16) - 8)
    inverted = _tiff_tag(pil, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    clear = pil.info.get("transparency")  # PNG: the one gray that is transparent

    def convert(band: PillowImage.Image) -> NDArray[np.uint8]:
        deep = np.asarray(band)
        gray: NDArray[np.uint8] = np.minimum(deep >> shift, 255).astype(np.uint8)
        if inverted:
            gray = 255 - gray
        if isinstance(clear, int):
            gray[deep == clear] = 255
        return gray[..., None]

    return convert


def _tiff_tag(pil: PillowImage.Image, tag: int, default: int) -> int:
    value: Any = getattr(pil, "tag_v2", {}).get(tag, default)
    if isinstance(value, tuple):
        value = value[0] if value else default
    return value if isinstance(value, int) else default


def _scaled_gray(pil: PillowImage.Image) -> _Converter:
    """Floats and 32-bit integers, of which no file says how far they reach, to 8 bits."""
    low, high = _finite_range(pil)
    if pil.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = 255.0 / (high - low) if high > low else 0.0

    def convert(band: PillowImage.Image) -> NDArray[np.uint8]:
        values = np.asarray(band).astype(np.float64)
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        gray: NDArray[np.uint8] = np.rint((values - low) * scale).astype(np.uint8)
        return gray[..., None]

    return convert


def _finite_range(pil: PillowImage.Image) -> tuple[float, float]:
    """The least and the greatest value; (0, 0) where none is finite."""
    low, high = np.inf, -np.inf
    for _, band in _bands(pil):
        values = np.asarray(band)
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _lab() -> _Converter:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )

    def convert(band: PillowImage.Image) -> NDArray[np.uint8]:
        rgb: NDArray[np.uint8] = np.asarray(ImageCms.applyTransform(band, transform))
        return rgb

    return convert
