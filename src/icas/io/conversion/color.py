"""ICC color profiles: conversion of pixels to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from itertools import product
from typing import Any, cast

import numpy as np
from PIL import Image as PillowImage, ImageCms

_SAME = 3
"""Gray levels by which an sRGB profile may differ from Pillow's own."""
_NO_CACHE = 0x0040
"""Flag of Little CMS: threads share a transform."""
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_MODES = {
    "RGB": ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA"),
    "L": ("L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"),
    "CMYK": ("CMYK",),
}


class ToSrgb:
    """Conversion of images from the color space of a profile to sRGB."""

    def __init__(self, mode: str, transform: Any) -> None:
        self.mode = mode
        self._transform = transform

    def __call__(self, band: PillowImage.Image) -> PillowImage.Image:
        """`band` as RGB, or as RGBA if it has transparency."""
        if self.mode == "CMYK" or band.mode == self.mode:
            converted = self._apply(band)
        else:
            converted = self._apply(band.convert("RGB").convert(self.mode))
        if band.has_transparency_data:
            converted.putalpha(band.convert("RGBA").getchannel("A"))
        return converted

    def _apply(self, image: PillowImage.Image) -> PillowImage.Image:
        return cast(PillowImage.Image, ImageCms.applyTransform(image, self._transform))


def srgb_converter(profile: Any, mode: str) -> ToSrgb | None:
    """Conversion of images of `mode` with that profile; None if there is nothing to convert.

    Profiles of sRGB itself, broken profiles, and profiles of another color space than the image
    are not applied.
    """
    if not isinstance(profile, bytes):
        return None
    found = _converter(profile)
    return found if found is not None and mode in _MODES[found.mode] else None


@lru_cache(maxsize=16)
def _converter(profile: bytes) -> ToSrgb | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", flags=ImageCms.Flags(_NO_CACHE)
        )
        found = ToSrgb(mode, transform)
        return None if _changes_nothing(found) else found
    except Exception:  # a broken profile is no reason to refuse the pixels
        return None


def _changes_nothing(converter: ToSrgb) -> bool:
    if converter.mode == "CMYK":
        return False
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    if converter.mode == "L":
        colors = np.repeat(levels[:, None], 3, axis=1)
    else:
        colors = np.array(list(product(levels, repeat=3)), np.uint8)
    sample = PillowImage.fromarray(colors[None]).convert(converter.mode)
    change = np.asarray(converter(sample)).astype(int) - colors[None]
    return bool(np.abs(change).max() <= _SAME)
