"""Settings of segmentimg; flags, help, defaults and checks are made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icas.cli import shared_options
from icas.cli.options import alternatives, check_options, flag_of, option, options_of
from icas.cli.parser import (
    OUTPUT,
    PAINTING,
    PERFORMANCE,
    SEGMENTATION,
    TEMPLATES,
)
from icas.cli.shared_options import parse_names
from icas.common.errors import UsageError
from icas.parallel.executors import core_count
from icas.segmentimg.formats import FORMATS
from icas.segmentimg.segmenters import SEGMENTERS, Segmenter, make_segmenter, segmenter_class
from icas.segmentimg.segmenters.segment import WORK_SIZE

if TYPE_CHECKING:
    from icas.segmentimg.document.palette import Palette
    from icas.segmentimg.formats.inputs import ImageFile
    from icas.segmentimg.session.open import ImageOpener, OpenImage
    from icas.segmentimg.session.session import Session
    from icas.segmentimg.templates.files import TemplateSet

DEFAULT_METHOD = "superpixel"
SEGMENT_SAVES = ("segments", "overlay", "json", "centres")
SAVES = (*FORMATS, *SEGMENT_SAVES)


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
        alternatives(SEGMENTERS),
        metavar="NAME",
        group=SEGMENTATION,
        words=tuple(SEGMENTERS),
    )
    out: Path | None = option(
        None,
        "output folder",
        metavar="DIR",
        default_text="<folder>_segmented",
        group=OUTPUT,
    )
    save: tuple[str, ...] | None = option(
        None,
        "files to write: masks, labels, coco, labelme, instances; with --no-gui also segments,"
        " overlay, json, centres",
        parse=parse_names(SAVES, FORMATS),
        metavar="LIST",
        default_text="masks,labels; with --no-gui segments,overlay,json; with --templates all five",
        group=OUTPUT,
        words=SAVES,
        listed=True,
    )
    portable_names: bool = shared_options.portable_names()
    polygons: bool = option(
        False, "outlines in coco.json, in place of run lengths", default_text="off", group=OUTPUT
    )
    palette: Path | None = option(
        None,
        "classes and colours: a text file with lines like cat,#cc0000, or an image",
        metavar="FILE",
        default_text="24 colours",
        group=PAINTING,
    )
    class_file: Path | None = option(
        None,
        "class names, some with colours: lines, a YAML list, or a COCO or YOLO file",
        metavar="FILE",
        group=PAINTING,
        flag="--classes",
    )
    templates: Path | None = option(
        None, "images of objects to find and paint", metavar="DIR", group=TEMPLATES
    )
    attentions: Path | None = option(
        None,
        "matching masks: template pixels to compare, non-black",
        metavar="DIR",
        default_text="all but a border of one colour",
        group=TEMPLATES,
    )
    segments: Path | None = option(
        None,
        "painted templates: the colours to paint with",
        metavar="DIR",
        default_text="one palette colour per template",
        group=TEMPLATES,
    )
    masks: Path | None = option(
        None,
        "painting masks: template pixels to paint, non-black",
        metavar="DIR",
        default_text="non-black pixels of --segments, else of --attentions",
        group=TEMPLATES,
    )
    template_threshold: float | None = option(
        None,
        "paint all matches up to this difference: 0 = equal, 1 = maximum",
        minimum=0.0,
        maximum=1.0,
        metavar="F",
        default_text="the best match of each template",
        group=TEMPLATES,
    )
    work_size: int = option(
        WORK_SIZE,
        "segment larger images at this size",
        unit="pixels",
        minimum=1,
        group=SEGMENTATION,
    )
    max_pixels: int = shared_options.max_pixels()
    recursive: bool = shared_options.recursive()
    jobs: int | None = shared_options.jobs()
    ahead: int = option(
        2,
        "images to segment in advance while painting",
        unit="images",
        minimum=0,
        group=PERFORMANCE,
    )
    resume: bool | None = option(
        None,
        "continue earlier painting; with --no-gui: skip finished images",
        default_text="on; with --no-gui off",
        group=OUTPUT,
    )
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self)
        if "centres" in (self.save or ()) and "centres" not in segmenter_class(self.method).saves:
            names = [name for name in SEGMENTERS if "centres" in segmenter_class(name).saves]
            raise UsageError(f"--save centres goes with --method {', '.join(names)}")
        if self.palette is not None and self.class_file is not None:
            raise UsageError("--palette and --classes both list the classes: give one of them")
        for name in ("attentions", "segments", "masks", "template_threshold"):
            if getattr(self, name) is not None and self.templates is None:
                raise UsageError(f"{flag_of(name)} goes with --templates")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> SegmentSettings:
        """Settings of values by name; those that are no setting of a run are of the method.

        UsageError for a wrong one.
        """
        known = set(options_of(cls))
        own = {name: value for name, value in given.items() if name in known}
        options = {name: value for name, value in given.items() if name not in known}
        settings = cls(**own, options=options)
        settings.make_segmenter()  # a wrong option raises before any work
        return settings

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

    def make_opener(
        self, *, interactive: bool = False, classes: Palette | None = None
    ) -> ImageOpener:
        """Opener of images to paint, `interactive` in windows; UsageError for a bad palette.

        `classes`: default those of the palette.
        """
        from icas.segmentimg.session.open import ImageOpener

        return ImageOpener(
            self.make_segmenter(),
            self.work_size,
            self.max_pixels,
            self.classes() if classes is None else classes,
            self.resume is not False,
            interactive,
        )

    def make_session(
        self,
        pictures: Sequence[ImageFile],
        opener: ImageOpener,
        prepare: Callable[[OpenImage], None] | None = None,
    ) -> Session:
        """Painting session of images; `prepare` is called for each one in the background."""
        from icas.segmentimg.session.session import Session

        return Session(
            pictures,
            opener,
            self.painted_saves,
            self.portable_names,
            self.polygons,
            ahead=self.ahead,
            jobs=self.jobs or max(1, core_count() - 1),
            prepare=prepare,
        )

    def classes(self) -> Palette:
        """The classes to paint with; UsageError if the palette cannot be read."""
        from icas.segmentimg.document.palette import (
            default_palette,
            palette_of_classes,
            read_palette,
        )

        if self.class_file is not None:
            return palette_of_classes(self.class_file)
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
