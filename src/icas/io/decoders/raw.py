"""RAW photos of cameras, developed by LibRaw."""

from __future__ import annotations

import importlib
import struct
from typing import IO, Any

from PIL import Image as PillowImage, ImageFile

_MAKERS = {b"NIKON": "Nikon NEF", b"SONY": "Sony ARW", b"PENTAX": "Pentax PEF", b"SAMSUNG": "SRW"}
_MOST_TAGS = 1000
_SUBFILE, _PHOTOMETRIC, _MAKE, _SUB_IFDS, _DNG = 254, 262, 271, 330, 50706
_REDUCED = 1
_SENSOR = (32803, 34892)
"""Photometric interpretations of sensor data."""


class RawFile(ImageFile.ImageFile):
    """Image of a RAW photo, with the white balance of the camera."""

    format = "RAW"
    format_description = "RAW photo"

    def _open(self) -> None:
        rawpy: Any = importlib.import_module("rawpy")  # an extra
        self._raw = rawpy.imread(self.fp)
        sizes = self._raw.sizes
        turned = sizes.flip in (5, 6)
        size = (sizes.iwidth, sizes.iheight)
        self._size = size[::-1] if turned else size
        self._mode = "RGB"
        self.tile = []

    def load(self) -> Any:
        if self._im is None:
            with self._raw as raw:
                pixels = raw.postprocess(use_camera_wb=True)
            self.im = PillowImage.fromarray(pixels).im
            self._size = self.im.size
        return super().load()


def raw_tiff_kind(file: IO[bytes], head: bytes) -> str | None:
    """The kind of a RAW photo in a TIFF container; None for other TIFF images.

    Its first image is a small preview, which must not be taken for the photo.
    """
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] not in (b"*\0", b"\0*"):
        return None  # BigTIFF
    if head[8:10] == b"CR" and order == "<":
        return "Canon CR2"
    tags = _tags(file, order, struct.unpack(f"{order}I", head[4:8])[0])
    preview = tags.get(_SUBFILE, (0, 0))[1] == _REDUCED
    sensor = tags.get(_PHOTOMETRIC, (0, 0))[1] in _SENSOR
    if _DNG in tags:
        return "DNG" if preview or sensor else None
    if not sensor and not (preview and _SUB_IFDS in tags):
        return None
    length, at = tags.get(_MAKE, (0, 0))
    file.seek(at)
    make = file.read(min(length, 20)).upper()
    return next((kind for start, kind in _MAKERS.items() if make.startswith(start)), "camera RAW")


def _tags(file: IO[bytes], order: str, at: int) -> dict[int, tuple[int, int]]:
    """Count and value (or offset) of the tags in a directory."""
    file.seek(at)
    start = file.read(2)
    count = struct.unpack(f"{order}H", start)[0] if len(start) == 2 else 0
    data = file.read(12 * min(count, _MOST_TAGS))
    found = {}
    for entry in range(0, len(data) - 11, 12):
        tag, kind, number, value = struct.unpack_from(f"{order}HHII", data, entry)
        if kind == 3 and number == 1:
            (value,) = struct.unpack_from(f"{order}H", data, entry + 8)
        found[tag] = (number, value)
    return found
