"""The classification layout of Ultralytics YOLO: ``train/CLASS/image``, ``val``, ``test``."""

from __future__ import annotations

from typing import ClassVar

from icas.dataset.formats.imagefolder import ImageFolder


class Yolo(ImageFolder):
    """As `ImageFolder`; YOLO reads other files."""

    suffixes: ClassVar[frozenset[str]] = frozenset(
        (".bmp", ".dng", ".heic", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
    )
    absent_class: ClassVar[str] = ""
