"""Conversion of Pillow images of any mode to upright 8-bit RGB over white."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from icas.io.conversion.depth import finite_range, shifted, stretched, used_bits

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
_MAXIMA = (341, 281)
_WHITE_IS_ZERO = 0
SIGNIFICANT_BITS = "icas significant bits"
"""Key of `Image.info` for the significant bits that a PNG declares."""


def upright_rgb(pil: PillowImage.Image, orientation: int = 1) -> Image:
    """Pixels of a loaded Pillow image as new (h, w, 3) uint8, turned by the EXIF `orientation`.

    Transparent pixels are blended with white, color profiles are converted to sRGB. More than 8
    bits are scaled by the depth that the file declares or the image uses, floats in 0..1 by 255,
    other floats and 32-bit integers from their least to their greatest value (NaN is black).
    Conversion goes by bands of rows: besides the result and Pillow's own pixels no third copy of a
    large image exists.
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
_ToSrgb = Callable[["PillowImage.Image"], "PillowImage.Image"]


def _converter(pil: PillowImage.Image) -> _Converter:
    """Conversion to (h, w, 3) or (h, w, 1) uint8 of a band of the image."""
    mode = pil.mode
    profile = pil.info.get("icc_profile")
    to_srgb = _srgb_of(profile, mode) if profile else None
    if mode.startswith("I;16"):
        return _deep_gray(pil, to_srgb)
    if mode == "I" and pil.format != "TIFF":
        # Pillow has brought the 9 to 16 bits of a PGM or PNG to 0..65535.
        return lambda band: (np.asarray(band).clip(0, 65535) >> 8).astype(np.uint8)[..., None]
    if mode in ("I", "F"):
        return _scaled_gray(pil)
    if mode == "LAB":
        return _lab()
    if to_srgb is not None:
        return lambda band: _opaque(to_srgb(band))
    if pil.has_transparency_data:
        return _over_white
    if mode in ("L", "1"):
        return lambda band: np.asarray(band.convert("L"))[..., None]
    return lambda band: np.asarray(band.convert("RGB") if mode != "RGB" else band)


def _srgb_of(profile: Any, mode: str) -> _ToSrgb | None:
    from icas.io.conversion.color import srgb_converter

    return srgb_converter(profile, mode)


def _opaque(band: PillowImage.Image) -> NDArray[np.uint8]:
    return _over_white(band) if band.mode == "RGBA" else np.asarray(band)


def _over_white(band: PillowImage.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(band.convert("RGBA"))
    color, alpha = pixels[..., :3], pixels[..., 3:].astype(np.uint16)
    mixed = color * alpha + np.uint16(255) * (255 - alpha)  # at most 255 * 255
    opaque: NDArray[np.uint8] = ((mixed + 127) // 255).astype(np.uint8)
    return opaque


def _deep_gray(pil: PillowImage.Image, to_srgb: _ToSrgb | None) -> _Converter:
    """16 bits, or the fewer that a TIFF declares or the image uses, to 8."""
    depth = _depth_of(pil)
    inverted = _tiff_tag(pil, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
    clear = pil.info.get("transparency")  # PNG: the one gray that is transparent

    def convert(band: PillowImage.Image) -> NDArray[np.uint8]:
        deep = np.asarray(band)
        gray = shifted(deep, depth)
        if inverted:
            gray = 255 - gray
        pixels = gray[..., None]
        if to_srgb is not None:
            from PIL import Image as PillowImage

            pixels = np.array(to_srgb(PillowImage.fromarray(gray)))
        if isinstance(clear, int):
            pixels[deep == clear] = 255
        return pixels

    return convert


def _depth_of(pil: PillowImage.Image) -> int:
    """Bits that the values of a deep gray image use."""
    greatest, ones = 0, 0
    for _, band in _bands(pil):
        values = np.asarray(band)
        greatest = max(greatest, int(values.max()))
        ones |= int(np.bitwise_or.reduce(values, axis=None))
    significant = pil.info.get(SIGNIFICANT_BITS)
    maximum = png_maximum(significant, ones) if significant else None
    for tag in _MAXIMA:
        declared = _tiff_tag(pil, tag, 0)
        maximum = maximum or (declared if 0 < declared < 1 << 16 else None)
    return used_bits(greatest, max(8, _tiff_tag(pil, _BITS_PER_SAMPLE, 16)), maximum)


def png_maximum(significant: int, ones: int) -> int | None:
    """Greatest value of a PNG with so many significant bits (sBIT); None for 65535.

    Values should be scaled to 16 bits, but some programs do not. `ones`: all bits that are set.
    """
    unscaled = ones < 1 << significant and ones & ((1 << (16 - significant)) - 1)
    return (1 << significant) - 1 if unscaled else None


def _tiff_tag(pil: PillowImage.Image, tag: int, default: int) -> int:
    value: Any = getattr(pil, "tag_v2", {}).get(tag, default)
    if isinstance(value, tuple):
        value = value[0] if value else default
    return value if isinstance(value, int) else default


def _scaled_gray(pil: PillowImage.Image) -> _Converter:
    """Floats and 32-bit integers, of which no file says how far they reach, to 8 bits."""
    low, high = finite_range(np.asarray(band) for _, band in _bands(pil))
    if pil.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0

    def convert(band: PillowImage.Image) -> NDArray[np.uint8]:
        return stretched(np.asarray(band), low, high)[..., None]

    return convert


def _lab() -> _Converter:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )

    def convert(band: PillowImage.Image) -> NDArray[np.uint8]:
        rgb: NDArray[np.uint8] = np.asarray(ImageCms.applyTransform(band, transform))
        return rgb

    return convert
