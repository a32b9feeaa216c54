"""Pictures cut without a window: read, cut, write, the next; and all methods on one picture."""

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
from icas.common.errors import IcasError, UnreadableImageError
from icas.io.files import write_whole
from icas.io.formats import os_reason
from icas.io.reading import Image, read_image, resize, write_image
from icas.notebook.html import plural
from icas.parallel.executors import start_workers
from icas.segmentimg.document.document import PaintDocument
from icas.segmentimg.formats.autosave import keep, place_of
from icas.segmentimg.formats.inputs import (
    Picture,
    digest_of,
    find_pictures,
    method_record,
    picture_record,
)
from icas.segmentimg.formats.masks import saved_json
from icas.segmentimg.labels.labels import Labels, count_of
from icas.segmentimg.labels.overlay import cell_size, contact_sheet, overlay
from icas.segmentimg.segmenters import AUTOMATIC, Segmenter, make_segmenter
from icas.segmentimg.segmenters.kmeans import KMeans, kmeans_colors
from icas.segmentimg.segmenters.segment import cut, enlarged
from icas.segmentimg.session.open import Work
from icas.segmentimg.session.save import Saving, kept_of, save_work
from icas.segmentimg.settings import SegmentSettings
from icas.segmentimg.templates.files import TemplateSet

MOST_SEGMENTS = 65_535
UNATTENDED = "unattended"
"""Key of NAME.json: digest of a painting that no hand has touched."""
ENDINGS = {
    "segments": "_segments.png",
    "overlay": "_overlay.png",
    "centres": "_centres.png",
    "json": ".json",
}


@dataclass(frozen=True)
class Cut:
    """What became of one picture: `segments` of it, or an `error`; `kept` from an earlier run.

    `places` are those at which templates were found.
    """

    picture: Picture
    segments: int = 0
    seconds: float = 0.0
    error: str = ""
    kept: bool = False
    places: int = 0


@dataclass(frozen=True)
class SegmentReport:
    """What a run did."""

    cuts: tuple[Cut, ...]

    @property
    def failed(self) -> tuple[Cut, ...]:
        """Pictures that could not be cut."""
        return tuple(one for one in self.cuts if one.error)

    def summary(self) -> str:
        """The line that a run ends with."""
        good = [one for one in self.cuts if not one.error]
        places = sorted({str(one.picture.out) for one in self.cuts})
        kept = sum(one.kept for one in good)
        kept_text = f" ({kept} from before)" if kept else ""
        found = sum(one.places for one in good)
        places_text = f" {found} {plural('place', found)} of templates," if found else ""
        segments = sum(one.segments for one in good)
        return (
            f"{len(good)} {plural('picture', len(good))}{kept_text},"
            f" {segments} {plural('segment', segments)},"
            f"{places_text} {len(self.failed)} unreadable -> {', '.join(places)}"
        )


def segment_files(
    paths: Sequence[str | Path],
    settings: SegmentSettings | None = None,
    console: Console | None = None,
) -> SegmentReport:
    """Cut pictures and write what ``settings.save`` names for each.

    Raises
    ------
    UsageError
        A path or an option is wrong.
    IcasError
        There are no pictures, or the disk fails.
    """
    settings, console = settings or SegmentSettings(), console or Console()
    segmenter = settings.make_segmenter()
    templates = settings.template_set()
    pictures = find_pictures(paths, settings.out, settings.recursive)
    cuts = []
    # one after the other into the one COCO file, so that its ids do not hang on who comes first
    jobs = 1 if "coco" in settings.painted_saves else settings.jobs
    with (
        start_workers("threads", jobs) as workers,
        console.bar(len(pictures), settings.method, "pictures") as bar,
    ):
        tasks = ((picture, segmenter, settings, templates) for picture in pictures)
        for one in workers.ordered(cut_file, tasks):
            cuts.append(one)
            bar.update(1)
            if one.error:
                console.warn(f"unreadable: {one.picture.path}: {one.error}")
            else:
                console.detail(f"{one.picture.path}: {one.segments} segments")
    return SegmentReport(tuple(cuts))


def cut_file(
    picture: Picture, segmenter: Segmenter, settings: SegmentSettings, templates: TemplateSet
) -> Cut:
    """Read, cut and write one picture; paint its templates where there are any."""
    about = {**method_record(segmenter, settings.work_size), **templates.record()}
    try:
        digest = digest_of(picture.path)
        if settings.resume and (kept := _kept(picture, digest, about, settings)) is not None:
            return Cut(picture, kept, kept=True)
        if settings.paints:
            return _paint_file(picture, segmenter, settings, templates)
        image = read_image(picture.path, max_pixels=settings.max_pixels)
    except UnreadableImageError as error:
        return Cut(picture, error=str(error))
    start = time.perf_counter()
    labels = cut(image, segmenter, settings.work_size)
    seconds = time.perf_counter() - start
    told = picture_record(picture.path, image, digest, about, count_of(labels), seconds)
    _write(picture, image, labels, segmenter, told, settings.cut_saves)
    return Cut(picture, count_of(labels), seconds)


def _paint_file(
    picture: Picture, segmenter: Segmenter, settings: SegmentSettings, templates: TemplateSet
) -> Cut:
    """What was painted before, the templates over it, and all of that on disk."""
    start = time.perf_counter()
    opener = settings.make_opener()
    work = opener.open(picture)
    document, places = work.document, 0
    unattended = not document.painted or _is_unattended(work)
    if unattended and (templates.templates or len(work.meant)):
        document.take_over(np.zeros(document.labels.shape, np.int16))
    document.fill_segments(work.meant, opener.palette[0].color)
    if templates.templates:
        found = templates.find(document.image)
        places = len(found.places)
        for color, mask in found.stamps():
            document.stamp(mask, color)
    work.record[UNATTENDED] = _digest_of(document) if unattended else None
    work.record.update(templates.record())
    told = dict(work.record)
    _write(picture, document.image, document.first, segmenter, told, settings.cut_saves)
    if settings.painted_saves:
        save_work(work, Saving(settings.painted_saves, settings.portable_names))
        _keep_again(work)
    seconds = time.perf_counter() - start
    return Cut(picture, count_of(document.first), seconds, places=places)


def _is_unattended(work: Work) -> bool:
    """Whether all paint is that of an earlier run without a window: such a run begins anew."""
    before = saved_json(work.picture) or {}
    return before.get(UNATTENDED) == _digest_of(work.document)


def _digest_of(document: PaintDocument) -> str:
    colors = repr(document.colors).encode()
    return hashlib.sha256(colors + document.class_map().tobytes()).hexdigest()


def _keep_again(work: Work) -> None:
    """What the windows kept of this picture is older than its masks now."""
    place = place_of(work.picture)
    if place.exists():
        try:
            keep(place, kept_of(work))
        except OSError as error:
            raise IcasError(f"cannot write {place}: {os_reason(error)}") from error


def _kept(
    picture: Picture, digest: str, about: dict[str, Any], settings: SegmentSettings
) -> int | None:
    """Segments that an earlier run with the same settings found in the same picture."""
    wanted = [picture.file(ENDINGS[name]) for name in settings.cut_saves]
    try:
        told = json.loads(picture.file(".json").read_text(encoding="utf-8"))
        if settings.paints:
            wanted += [picture.out / name for name in told["painted_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # through JSON, as the file went, so that (1, 2) equals [1, 2]
    about = json.loads(json.dumps(about))
    same = isinstance(told, dict) and all(told.get(key) == about[key] for key in about)
    if not same or told.get("sha256") != digest or not all(file.exists() for file in wanted):
        return None
    return int(told["segments"])


def _write(
    picture: Picture,
    image: Image,
    labels: Labels,
    segmenter: Segmenter,
    told: dict[str, Any],
    saves: Iterable[str],
) -> None:
    """Write what is asked for; the JSON last, because it says that the others are there.

    What NAME.json told of a painting stays.
    """
    if "segments" in saves and count_of(labels) > MOST_SEGMENTS:
        raise IcasError(
            f"{picture.path} falls into {count_of(labels)} segments, more than the {MOST_SEGMENTS}"
            " that NAME_segments.png can number: choose larger segments"
        )
    before = saved_json(picture) or {} if "json" in saves else {}
    try:
        picture.out.mkdir(parents=True, exist_ok=True)
        if "segments" in saves:
            write_image(picture.file(ENDINGS["segments"]), labels.astype(np.uint16))
        if "overlay" in saves:
            write_image(picture.file(ENDINGS["overlay"]), overlay(image, labels))
        if "centres" in saves and isinstance(segmenter, KMeans):
            made = kmeans_colors(image, segmenter.k, segmenter.seed)
            write_image(picture.file(ENDINGS["centres"]), made.picture)
            told["centres"] = made.centres.round(2).tolist()
        if "json" in saves:
            content = json.dumps({**before, **told}, indent=2) + "\n"
            write_whole(picture.file(ENDINGS["json"]), content.encode())
    except OSError as error:
        raise IcasError(f"cannot write into {picture.out}: {error.strerror or error}") from error


def write_preview(path: Path, out: Path, settings: SegmentSettings, console: Console) -> list[str]:
    """All methods side by side on one picture; a line a method comes back.

    Raises
    ------
    UnreadableImageError
        The picture cannot be read.
    """
    image = read_image(path, max_pixels=settings.max_pixels)
    size = cell_size(image)
    small = resize(image, size)
    cells, lines = [(path.name, small)], []
    with console.bar(len(AUTOMATIC), "preview", "methods") as bar:
        for name in AUTOMATIC:
            start = time.perf_counter()
            labels = cut(image, make_segmenter(name), settings.work_size)
            seconds = time.perf_counter() - start
            lines.append(f"{name}: {count_of(labels)} segments, {seconds:.2f} s")
            cells.append((lines[-1], overlay(small, enlarged(labels, size))))
            bar.update(1)
    write_image(out, contact_sheet(cells, columns=3))
    return lines
