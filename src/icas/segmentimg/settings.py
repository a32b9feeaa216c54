"""Settings of a run of segmentimg; flags, help, defaults and checks are made from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icas.common.errors import UsageError
from icas.common.images import MAX_PIXELS
from icas.common.options import check_options, flag_of, option
from icas.segmentimg.mask_files import PAINT_SAVES
from icas.segmentimg.segment import WORK_SIZE
from icas.segmentimg.segmenters import SEGMENTERS, Segmenter, make_segmenter

if TYPE_CHECKING:
    from icas.segmentimg.opening import Opener
    from icas.segmentimg.palette import Palette
    from icas.segmentimg.template_files import TemplateSet

DEFAULT_METHOD = "superpixel"
CUT_SAVES = ("segments", "overlay", "json", "centres")
SAVES = PAINT_SAVES + CUT_SAVES


def parse_saves(text: str) -> tuple[str, ...]:
    """``"masks,coco"`` -> ``("masks", "coco")``.

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
    save: tuple[str, ...] | None = option(
        None,
        "what is written: of what is painted, masks (a picture a colour), labels (16 bit, number of"
        " the class), coco (one file for the folder), labelme; with --no-gui also segments (16"
        " bit), overlay (contours on the picture), json, centres (the picture painted with the"
        " k-means colours)",
        parse=parse_saves,
        metavar="LIST",
        default_text="masks,labels; with --no-gui segments,overlay,json, with --templates all five",
    )
    portable_names: bool = option(
        False, "masks are called NAME_mask_(R=204,G=0,B=0).png, without colons; always on Windows"
    )
    palette: Path | None = option(
        None,
        "colours to paint with: a picture, or a text file with lines like  cat,#cc0000",
        parse=Path,
        metavar="FILE",
        default_text="24 colours of ours",
    )
    templates: Path | None = option(
        None, "pictures of what is to be found and painted", parse=Path, metavar="DIR"
    )
    attentions: Path | None = option(
        None,
        "which pixels of each template count, those that are not black",
        parse=Path,
        metavar="DIR",
        default_text="all but the connected border of one colour",
    )
    segments: Path | None = option(
        None,
        "the colours that each template is painted with",
        parse=Path,
        metavar="DIR",
        default_text="a colour of the palette each",
    )
    masks: Path | None = option(
        None,
        "which pixels of each template are painted, those that are not black",
        parse=Path,
        metavar="DIR",
        default_text="what is not black in the segments, else what counts of the template",
    )
    template_threshold: float | None = option(
        None,
        "all places are painted where a template differs by no more (0 = equal, 1 = nothing alike)",
        parse=float,
        minimum=0.0,
        maximum=1.0,
        metavar="F",
        default_text="the best place of each template",
    )
    work_size: int = option(
        WORK_SIZE, "pictures of more are cut at this size", unit="pixels", minimum=1
    )
    max_pixels: int = option(
        MAX_PIXELS, "pictures that claim more are not read", unit="pixels", minimum=1
    )
    recursive: bool = option(False, "sub-folders too")
    jobs: int | None = option(None, "workers", parse=int, minimum=1, default_text="all cores")
    ahead: int = option(
        2, "how many of the next pictures are cut in the background while one is painted", minimum=0
    )
    resume: bool | None = option(
        None,
        "go on with what was painted before; with --no-gui, leave out pictures whose files are"
        " there",
        parse=bool,
        default_text="on in the windows, off with --no-gui",
    )
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self)
        if "centres" in (self.save or ()) and self.method.casefold() != "kmeans":
            raise UsageError("--save centres goes with --method kmeans")
        for name in ("attentions", "segments", "masks", "template_threshold"):
            if getattr(self, name) is not None and self.templates is None:
                raise UsageError(f"{flag_of(name)} goes with --templates")

    @property
    def painted_saves(self) -> tuple[str, ...]:
        """What is written of a painting."""
        given = self.save
        if given is None:
            return ("masks", "labels")
        return tuple(name for name in given if name in PAINT_SAVES)

    @property
    def cut_saves(self) -> tuple[str, ...]:
        """What is written of the segments, without a window."""
        given = self.save
        if given is None:
            return ("segments", "overlay", "json")
        return tuple(name for name in given if name in CUT_SAVES)

    @property
    def paints(self) -> bool:
        """Whether a run without a window writes a painting too."""
        told = any(self.options.get(name) for name in ("boxes", "points"))
        return self.templates is not None or told or bool(self.save and self.painted_saves)

    def make_segmenter(self) -> Segmenter:
        """The method with its options."""
        return make_segmenter(self.method, **self.options)

    def make_opener(self, *, by_hand: bool = False) -> Opener:
        """How pictures of a run are opened to be painted; `by_hand` in windows.

        Raises
        ------
        UsageError
            The palette cannot be read.
        """
        from icas.segmentimg.opening import Opener

        return Opener(
            self.make_segmenter(),
            self.work_size,
            self.max_pixels,
            self.classes(),
            self.resume is not False,
            by_hand,
        )

    def classes(self) -> Palette:
        """The classes to paint with.

        Raises
        ------
        UsageError
            The palette cannot be read.
        """
        from icas.segmentimg.palette import default_palette, read_palette

        return default_palette() if self.palette is None else read_palette(self.palette)

    def template_set(self) -> TemplateSet:
        """The templates to be found; none where none are asked for.

        Raises
        ------
        UsageError
            Their number or sizes do not fit together, or one cannot be read.
        """
        from icas.segmentimg.template_files import TemplateSet, load_templates

        if self.templates is None:
            return TemplateSet()
        colors = [one.color for one in self.classes()]
        loaded = load_templates(
            self.templates, self.attentions, self.segments, self.masks, colors=colors
        )
        return TemplateSet(tuple(loaded), self.template_threshold)
