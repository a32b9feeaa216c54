"""Segmentation without windows: read, segment, write, image after image; and the preview."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icas.cli.console import Console
from icas.common.errors import ConflictError, IcasError, UnreadableImageError
from icas.io.files import write_whole
from icas.io.formats import os_reason
from icas.io.reading import Image, read_image, resize, write_image
from icas.notebook.html import counted, plural
from icas.parallel.executors import start_workers
from icas.segmentimg.document.document import PaintDocument
from icas.segmentimg.document.palette import Palette
from icas.segmentimg.formats.autosave import autosave_path, write_autosave
from icas.segmentimg.formats.folder_classes import folder_classes
from icas.segmentimg.formats.inputs import (
    ImageFile,
    digest_of,
    find_image_files,
    image_record,
    method_record,
    saved_record,
)
from icas.segmentimg.labels.label_map import cell_size, contact_sheet, overlay
from icas.segmentimg.labels.labels import Labels, count_of
from icas.segmentimg.segmenters import Segmenter, automatic_segmenters, make_segmenter
from icas.segmentimg.segmenters.segment import enlarge, run_segmenter
from icas.segmentimg.session.open import OpenImage, is_same_input
from icas.segmentimg.settings import SegmentSettings
from icas.segmentimg.templates.files import TemplateSet

MAX_SEGMENTS = 65_535
UNATTENDED = "unattended"
"""Key of NAME.json: digest of a painting made without windows."""


@dataclass(frozen=True)
class ImageResult:
    """Result of one image: number of `segments`, or an `error`; `kept` from an earlier run."""

    picture: ImageFile
    segments: int = 0
    seconds: float = 0.0
    error: str = ""
    kept: bool = False
    matches: int = 0
    """Positions at which templates were found."""
    ignored: tuple[str, ...] = ()
    """Lines about loaded files or shapes that are ignored."""
    left_out: tuple[str, ...] = ()
    """Lines about annotations that cannot be read."""
    unlisted: tuple[Path, ...] = ()
    """COCO files of other programs that do not list the image."""


@dataclass(frozen=True)
class SegmentReport:
    """Results of a run."""

    results: tuple[ImageResult, ...]

    @property
    def failed(self) -> tuple[ImageResult, ...]:
        """Images that could not be segmented."""
        return tuple(result for result in self.results if result.error)

    @property
    def complete(self) -> bool:
        """Whether all images and annotations could be read."""
        return not any(result.error or result.left_out for result in self.results)

    def summary(self) -> str:
        """The last line of the command."""
        good = [result for result in self.results if not result.error]
        folders = sorted({str(result.picture.out) for result in self.results})
        kept = sum(result.kept for result in good)
        kept_text = f" ({kept} done before)" if kept else ""
        matches = sum(result.matches for result in good)
        matches_text = (
            f" {matches} template {'match' if matches == 1 else 'matches'}," if matches else ""
        )
        segments = sum(result.segments for result in good)
        return (
            f"{len(good)} {plural('image', len(good))}{kept_text},"
            f" {segments} {plural('segment', segments)},"
            f"{matches_text} {len(self.failed)} unreadable -> {', '.join(folders)}"
        )


def segment_files(
    paths: Sequence[str | Path],
    settings: SegmentSettings | None = None,
    console: Console | None = None,
) -> SegmentReport:
    """Segment images and write the files named in ``settings.save`` for each."""
    settings, console = settings or SegmentSettings(), console or Console()
    segmenter = settings.make_segmenter()
    templates = settings.template_set()
    pictures = find_image_files(paths, settings.out, settings.recursive)
    classes = settings.classes()
    if settings.paints and settings.resume is not False:
        classes = folder_classes(pictures, classes)
    results = []
    # one at a time into the one COCO file, so that its ids do not depend on the order of workers
    jobs = 1 if "coco" in settings.painted_saves else settings.jobs
    with (
        start_workers("threads", jobs) as workers,
        console.bar(len(pictures), settings.method, "images") as bar,
    ):
        tasks = ((picture, segmenter, settings, templates, classes) for picture in pictures)
        for result in workers.ordered(segment_file, tasks):
            results.append(result)
            bar.update(1)
            for line in (*result.ignored, *result.left_out):
                console.warn(line)
            if result.error:
                console.warn(f"unreadable: {result.picture.path}: {result.error}")
            else:
                count = result.segments
                console.detail(f"{result.picture.path}: {count} {plural('segment', count)}")
    for line in _unlisted(results):
        console.warn(line)
    return SegmentReport(tuple(results))


def _unlisted(results: Iterable[ImageResult]) -> list[str]:
    """A line for each COCO file that does not list all images."""
    names: dict[Path, list[str]] = {}
    for result in results:
        for path in result.unlisted:
            names.setdefault(path, []).append(result.picture.path.name)
    return [
        f"{path} does not list {counted(len(own), 'image')}: {', '.join(own[:3])}"
        + (", …" if len(own) > 3 else "")
        for path, own in names.items()
    ]


def segment_file(
    picture: ImageFile,
    segmenter: Segmenter,
    settings: SegmentSettings,
    templates: TemplateSet,
    classes: Palette,
) -> ImageResult:
    """Read, segment and write one image; paint its templates if there are any."""
    about = {**method_record(segmenter, settings.work_size), **templates.record()}
    try:
        digest = digest_of(picture.path)
        if settings.paints or "json" in settings.segment_saves:
            _check_record(picture)
        if settings.resume:
            kept = _finished_segments(picture, digest, about, settings)
            if kept is not None:
                return ImageResult(picture, kept, kept=True)
        if settings.paints:
            return _paint_file(picture, segmenter, settings, templates, classes)
        image = read_image(picture.path, max_pixels=settings.max_pixels)
    except UnreadableImageError as error:
        return ImageResult(picture, error=error.message)
    start = time.perf_counter()
    labels = run_segmenter(segmenter, image, settings.work_size)
    seconds = time.perf_counter() - start
    record = image_record(picture.path, image, digest, about, count_of(labels), seconds)
    _write(picture, image, labels, segmenter, record, settings.segment_saves)
    return ImageResult(picture, count_of(labels), seconds)


def _check_record(picture: ImageFile) -> None:
    """Raise UnreadableImageError where NAME.json is damaged or of another program."""
    try:
        saved_record(picture)
    except ConflictError as error:
        raise UnreadableImageError(error.message) from None


def _paint_file(
    picture: ImageFile,
    segmenter: Segmenter,
    settings: SegmentSettings,
    templates: TemplateSet,
    classes: Palette,
) -> ImageResult:
    """Paint templates over what was painted before, and write everything."""
    start = time.perf_counter()
    opener = settings.make_opener(classes=classes)
    opened = opener.open(picture)
    document, matches = opened.document, 0
    # paint of an earlier run without windows is replaced
    unattended = not document.painted or (saved_record(picture) or {}).get(
        UNATTENDED
    ) == _digest_of(document)
    if unattended and (templates.templates or len(opened.prompted)):
        document.take_over(np.zeros(document.labels.shape, np.int16))
    document.fill_segments(opened.prompted, opener.palette[0].color)
    if templates.templates:
        found = templates.find(document.image)
        matches = len(found.places)
        document.stamp_objects(found.objects())
    opened.record[UNATTENDED] = _digest_of(document) if unattended else None
    opened.record.update(templates.record())
    record = dict(opened.record)
    _write(picture, document.image, document.first, segmenter, record, settings.segment_saves)
    if settings.painted_saves:
        opened.save(settings.painted_saves, settings.portable_names, settings.polygons)
        _update_autosave(opened)
    seconds = time.perf_counter() - start
    return ImageResult(
        picture,
        count_of(document.first),
        seconds,
        matches=matches,
        ignored=opened.ignored,
        left_out=opened.left_out,
        unlisted=opened.unlisted,
    )


def _digest_of(document: PaintDocument) -> str:
    colors = repr(document.colors).encode()
    numbers = document.instance_map().tobytes() if document.several_objects else b""
    return hashlib.sha256(colors + document.class_map().tobytes() + numbers).hexdigest()


def _update_autosave(opened: OpenImage) -> None:
    """Replace the autosave file of the windows, which is older than the masks now."""
    path = autosave_path(opened.picture)
    if path.exists():
        try:
            write_autosave(path, opened.snapshot())
        except OSError as error:
            raise IcasError(f"cannot write {path}: {os_reason(error)}") from error


def _finished_segments(
    picture: ImageFile, digest: str, about: dict[str, Any], settings: SegmentSettings
) -> int | None:
    """Number of segments in the result of an earlier run with the same settings."""
    wanted = [
        picture.record_file if name == "json" else picture.file(f"_{name}.png")
        for name in settings.segment_saves
    ]
    try:
        record = json.loads(picture.record_file.read_text(encoding="utf-8"))
        if settings.paints:
            wanted += [picture.out / name for name in record["painted_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = isinstance(record, dict) and is_same_input(record, about, digest)
    return int(record["segments"]) if same and all(file.exists() for file in wanted) else None


def _write(
    picture: ImageFile,
    image: Image,
    labels: Labels,
    segmenter: Segmenter,
    record: dict[str, Any],
    saves: Iterable[str],
) -> None:
    """Write the requested files; the JSON last, because it says that the others exist.

    Entries of a painting in an existing JSON are kept.
    """
    if "segments" in saves and count_of(labels) > MAX_SEGMENTS:
        raise IcasError(
            f"{picture.path}: {count_of(labels)} segments, more than the {MAX_SEGMENTS} that"
            " NAME_segments.png can number: change the method's options to get fewer"
        )
    before = saved_record(picture) or {} if "json" in saves else {}
    try:
        picture.out.mkdir(parents=True, exist_ok=True)
        if "segments" in saves:
            write_image(picture.file("_segments.png"), labels.astype(np.uint16))
        if "overlay" in saves:
            write_image(picture.file("_overlay.png"), overlay(image, labels))
        if set(saves) & set(segmenter.saves):
            images, entries = segmenter.extra_files(image)
            for name in images.keys() & set(saves):
                write_image(picture.file(f"_{name}.png"), images[name])
            record.update(entries)
        if "json" in saves:
            content = json.dumps({**before, **record}, indent=2) + "\n"
            write_whole(picture.record_file, content.encode())
    except OSError as error:
        reason = "not a folder" if isinstance(error, FileExistsError) else os_reason(error)
        raise IcasError(f"cannot write to {picture.out}: {reason}") from error


def write_preview(path: Path, out: Path, settings: SegmentSettings, console: Console) -> list[str]:
    """Write the results of all methods on one image side by side; returns a line per method."""
    image = read_image(path, max_pixels=settings.max_pixels)
    size = cell_size(image)
    small = resize(image, size)
    cells, lines = [(path.name, small)], []
    methods = automatic_segmenters()
    with console.bar(len(methods), "preview", "methods") as bar:
        for name in methods:
            start = time.perf_counter()
            labels = run_segmenter(make_segmenter(name), image, settings.work_size)
            seconds = time.perf_counter() - start
            count = count_of(labels)
            lines.append(f"{name}: {count} {plural('segment', count)}, {seconds:.2f} s")
            cells.append((lines[-1], overlay(small, enlarge(labels, size))))
            bar.update(1)
    write_image(out, contact_sheet(cells, columns=3))
    return lines
