"""Settings of a run of segmentimg; flags, help, defaults and checks are made from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icas.common.errors import UsageError
from icas.common.images import MAX_PIXELS
from icas.common.options import check_options, option
from icas.segmentimg.segment import WORK_SIZE
from icas.segmentimg.segmenters import SEGMENTERS, Segmenter, make_segmenter

DEFAULT_METHOD = "superpixel"
SAVES = ("segments", "overlay", "json", "centres")


def parse_saves(text: str) -> tuple[str, ...]:
    """``"segments,centres"`` -> ``("segments", "centres")``.

    Raises
    ------
    ValueError
        Something that cannot be saved.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    wrong = [name for name in names if name not in SAVES]
    if wrong or not names:
        raise ValueError(f"some of {', '.join(SAVES)}, with commas")
    return names


@dataclass(frozen=True)
class SegmentSettings:
    """Settings of a run.

    Raises
    ------
    UsageError
        A value is outside its limits, or the method has no such option.
    """

    method: str = option(
        DEFAULT_METHOD, f"how pictures are cut: {', '.join(SEGMENTERS)}", metavar="METHOD"
    )
    out: Path | None = option(
        None,
        "folder for what is written",
        parse=Path,
        metavar="DIR",
        default_text="<folder>_segmented beside the folder of the picture",
    )
    save: tuple[str, ...] = option(
        ("segments", "overlay", "json"),
        "what is written: segments (16-bit labels), overlay (contours on the picture), json,"
        " centres (the picture painted with the k-means colours)",
        parse=parse_saves,
        metavar="LIST",
        default_text="segments,overlay,json",
    )
    work_size: int = option(
        WORK_SIZE, "pictures of more are cut at this size", unit="pixels", minimum=1
    )
    max_pixels: int = option(
        MAX_PIXELS, "pictures that claim more are not read", unit="pixels", minimum=1
    )
    recursive: bool = option(False, "sub-folders too")
    jobs: int | None = option(None, "workers", parse=int, minimum=1, default_text="all cores")
    resume: bool = option(False, "leave pictures out whose files are there already")
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self)
        if "centres" in self.save and self.method.casefold() != "kmeans":
            raise UsageError("--save centres goes with --method kmeans")

    def make_segmenter(self) -> Segmenter:
        """The method with its options."""
        return make_segmenter(self.method, **self.options)
