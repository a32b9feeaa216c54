"""Open the painting session of a server: checks, classes, locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from icas.common.errors import IcasError, UsageError
from icas.segmentimg.document.palette import Palette, default_palette
from icas.segmentimg.formats import FORMATS
from icas.segmentimg.formats.folder_classes import folder_classes
from icas.segmentimg.formats.inputs import ImageFile, find_image_files
from icas.segmentimg.propagation_run.history import carried_classes
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.serving.painting import PaintingSession
from icas.segmentimg.serving.served import ServedImage
from icas.segmentimg.session.folders import painting_locked, require_writable
from icas.segmentimg.session.open import OpenImage
from icas.segmentimg.settings import SEGMENT_SAVES, SegmentSettings

SAM_OPTIONS = ("checkpoint", "model", "device", "cache")
"""Options of Segment Anything that live prompts take, whatever method makes the segments."""


@contextmanager
def open_painting(
    paths: Sequence[str | Path],
    settings: SegmentSettings | None = None,
    sam: Mapping[str, Any] | None = None,
) -> Iterator[PaintingSession]:
    """The painting session of images and folders.

    `sam`: options of `SamSegmenter` for live prompts, such as its ``checkpoint``.
    """
    settings = settings or SegmentSettings()
    wrong = [name for name in settings.save or () if name in SEGMENT_SAVES and name != "json"]
    if wrong:
        raise UsageError(
            f"--save {','.join(wrong)}: choose from {', '.join(FORMATS)}; the others are written"
            " by segmentimg --no-gui"
        )
    classes = settings.classes()
    pictures = find_image_files(paths, settings.out, settings.recursive)
    with painting_of(pictures, settings, classes, sam) as painting:
        yield painting


@contextmanager
def painting_of(
    pictures: Sequence[ImageFile],
    settings: SegmentSettings,
    classes: Palette,
    sam: Mapping[str, Any] | None = None,
) -> Iterator[PaintingSession]:
    """The painting session of images whose folders are known; no other session may use them."""
    model, templates = _sam(settings, sam or {}), settings.template_set()
    if settings.resume is not False:
        classes = folder_classes(pictures, classes)
    outs = {picture.out for picture in pictures}
    require_writable(outs)
    if classes == default_palette():  # carried masks keep the names of their classes
        classes = Palette().adopted(carried_classes(sorted(outs)))[0].adopted(classes)[0]
    opener = settings.make_opener(interactive=True, classes=classes)
    if opener.segmenter.needs_annotation:
        raise UsageError(
            f"--method {settings.method} makes no segments without a box or point: choose another"
            " method; GrabCut and Segment Anything are tools of the page with any of them"
        )
    with painting_locked(outs):
        session = settings.make_session(pictures, opener, _prepare)
        limit = settings.max_pixels
        with closing(PaintingSession(session, settings.method, limit, model, templates)) as one:
            yield one


def _sam(settings: SegmentSettings, options: Mapping[str, Any]) -> SamSegmenter | str:
    """The model for live prompts; the reason where there is none and none was given."""
    if settings.method == SamSegmenter.name:
        given = {name: settings.options.get(name) for name in SAM_OPTIONS}
        options = {**{name: one for name, one in given.items() if one is not None}, **options}
    try:
        return SamSegmenter(**options, mode="prompt")
    except IcasError as error:
        if options:
            raise
        return error.message


def _prepare(opened: OpenImage) -> None:
    ServedImage.of(opened).prepare()
