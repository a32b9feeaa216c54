"""Settings of segmentimg; flags, help, defaults and checks are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icas.cli.options import check_options, flag_of, option
from icas.cli.parser import INPUT, OUTPUT, PAINTING, SAFETY, SEGMENTS, WORKERS
from icas.common.errors import UsageError
from icas.io.reading import MAX_PIXELS
from icas.segmentimg.formats import FORMATS
from icas.segmentimg.segmenters import SEGMENTERS, Segmenter, make_segmenter, segmenter_class
from icas.segmentimg.segmenters.segment import WORK_SIZE

if TYPE_CHECKING:
    from icas.segmentimg.document.palette import Palette
    from icas.segmentimg.session.open import ImageOpener
    from icas.segmentimg.templates.files import TemplateSet

DEFAULT_METHOD = "superpixel"
SEGMENT_SAVES = ("segments", "overlay", "json", "centres")
SAVES = (*FORMATS, *SEGMENT_SAVES)


def parse_saves(text: str) -> tuple[str, ...]:
    """``"masks,coco"`` -> ``("masks", "coco")``.

    Raises
    ------
    ValueError
        Something that cannot be saved.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    wrong = [name for name in names if name not in SAVES and name not in FORMATS]
    if wrong or not names:
        raise ValueError(f"a list of some of {', '.join(SAVES)}, with commas,")
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
        DEFAULT_METHOD,
        f"one of {', '.join(SEGMENTERS)}: see below",
        metavar="METHOD",
        group=SEGMENTS,
        words=tuple(SEGMENTERS),
    )
    out: Path | None = option(
        None,
        "folder for what is written",
        metavar="DIR",
        default_text="<folder>_segmented beside the folder of the picture",
        group=OUTPUT,
    )
    save: tuple[str, ...] | None = option(
        None,
        "of what is painted: masks (a picture a colour), labels (numbers of the classes), coco (one"
        " file for all), labelme; with --no-gui also segments (their numbers), overlay (contours on"
        " the picture), json, centres (the k-means colours)",
        parse=parse_saves,
        metavar="LIST",
        default_text="masks,labels; with --no-gui segments,overlay,json, with --templates all five",
        group=OUTPUT,
        words=SAVES,
        listed=True,
    )
    portable_names: bool = option(
        False, "NAME_mask_(R=204,G=0,B=0).png, without colons; always so on Windows", group=OUTPUT
    )
    palette: Path | None = option(
        None,
        "colours to paint with: a picture, or a text file with lines like cat,#cc0000",
        metavar="FILE",
        default_text="24 colours of ours",
        group=PAINTING,
    )
    templates: Path | None = option(
        None, "pictures of what is to be found and painted", metavar="DIR", group=PAINTING
    )
    attentions: Path | None = option(
        None,
        "pixels of each template that count: those that are not black",
        metavar="DIR",
        default_text="all but the connected border of one colour",
        group=PAINTING,
    )
    segments: Path | None = option(
        None,
        "colours that each template is painted with",
        metavar="DIR",
        default_text="a colour of the palette each",
        group=PAINTING,
    )
    masks: Path | None = option(
        None,
        "pixels of each template that are painted: those that are not black",
        metavar="DIR",
        default_text="what is not black in the segments, else what counts of the template",
        group=PAINTING,
    )
    template_threshold: float | None = option(
        None,
        "paint every place that differs by no more: 0 = equal, 1 = nothing alike",
        minimum=0.0,
        maximum=1.0,
        metavar="F",
        default_text="the best place of each template",
        group=PAINTING,
    )
    work_size: int = option(
        WORK_SIZE, "pictures of more are cut at this size", unit="pixels", minimum=1, group=SEGMENTS
    )
    max_pixels: int = option(
        MAX_PIXELS, "pictures that claim more are not read", unit="pixels", minimum=1, group=SAFETY
    )
    recursive: bool = option(False, "sub-folders too", group=INPUT)
    jobs: int | None = option(None, "workers", minimum=1, default_text="all cores", group=WORKERS)
    ahead: int = option(
        2,
        "next pictures that are cut while one is painted",
        unit="pictures",
        minimum=0,
        group=WORKERS,
    )
    resume: bool | None = option(
        None,
        "go on with what was painted before; with --no-gui, leave out pictures whose files are"
        " there",
        default_text="on in the windows, off with --no-gui",
        group=OUTPUT,
    )
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self)
        if "centres" in (self.save or ()) and "centres" not in segmenter_class(self.method).saves:
            names = [name for name in SEGMENTERS if "centres" in segmenter_class(name).saves]
            raise UsageError(f"--save centres goes with --method {', '.join(names)}")
        for name in ("attentions", "segments", "masks", "template_threshold"):
            if getattr(self, name) is not None and self.templates is None:
                raise UsageError(f"{flag_of(name)} goes with --templates")

    @property
    def painted_saves(self) -> tuple[str, ...]:
        """The files written of a painting."""
        save = ("masks", "labels") if self.save is None else self.save
        return tuple(name for name in save if name in FORMATS)

    @property
    def segment_saves(self) -> tuple[str, ...]:
        """The files written of the segments, without a window."""
        save = ("segments", "overlay", "json") if self.save is None else self.save
        return tuple(name for name in save if name in SEGMENT_SAVES)

    @property
    def paints(self) -> bool:
        """Whether a run without a window writes a painting too."""
        prompted = self.make_segmenter().prompted
        return self.templates is not None or prompted or bool(self.save and self.painted_saves)

    def make_segmenter(self) -> Segmenter:
        """The method with its options."""
        return make_segmenter(self.method, **self.options)

    def make_opener(self, *, interactive: bool = False) -> ImageOpener:
        """Opener of images to paint, `interactive` in windows; UsageError for a bad palette."""
        from icas.segmentimg.session.open import ImageOpener

        return ImageOpener(
            self.make_segmenter(),
            self.work_size,
            self.max_pixels,
            self.classes(),
            self.resume is not False,
            interactive,
        )

    def classes(self) -> Palette:
        """The classes to paint with; UsageError if the palette cannot be read."""
        from icas.segmentimg.document.palette import default_palette, read_palette

        return default_palette() if self.palette is None else read_palette(self.palette)

    def template_set(self) -> TemplateSet:
        """The templates to find, possibly none; UsageError for bad templates or a bad palette."""
        from icas.segmentimg.templates.files import TemplateSet, load_templates

        colors = [entry.color for entry in self.classes()]  # a bad palette raises in any case
        if self.templates is None:
            return TemplateSet()
        loaded = load_templates(
            self.templates, self.attentions, self.segments, self.masks, colors=colors
        )
        return TemplateSet(tuple(loaded), self.template_threshold)
