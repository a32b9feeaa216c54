"""Pictures cut without a window: read, cut, write, the next; and all methods on one picture."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icas._version import __version__
from icas.common.errors import IcasError, UnreadableImageError
from icas.common.executors import start_workers
from icas.common.files import write_whole
from icas.common.images import Image, read_image, resize, write_image
from icas.common.progress import Console
from icas.segmentimg.inputs import Picture, find_pictures
from icas.segmentimg.labels import Labels, count_of
from icas.segmentimg.pictures import cell_size, contact_sheet, overlay
from icas.segmentimg.segment import cut, enlarged
from icas.segmentimg.segmenters import SEGMENTERS, Segmenter, make_segmenter
from icas.segmentimg.segmenters.kmeans import KMeans, kmeans_colors
from icas.segmentimg.settings import SegmentSettings

MOST_SEGMENTS = 65_535
ENDINGS = {
    "segments": "_segments.png",
    "overlay": "_overlay.png",
    "centres": "_centres.png",
    "json": ".json",
}


@dataclass(frozen=True)
class Cut:
    """What became of one picture: `segments` of it, or an `error`; `kept` from an earlier run."""

    picture: Picture
    segments: int = 0
    seconds: float = 0.0
    error: str = ""
    kept: bool = False


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
        return (
            f"{len(good)} pictures{kept_text}, {sum(one.segments for one in good)} segments,"
            f" {len(self.failed)} unreadable -> {', '.join(places)}"
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
    pictures = find_pictures(paths, settings.out, settings.recursive)
    cuts = []
    with (
        start_workers("threads", settings.jobs) as workers,
        console.bar(len(pictures), settings.method, "pictures") as bar,
    ):
        tasks = ((picture, segmenter, settings) for picture in pictures)
        for one in workers.ordered(cut_file, tasks):
            cuts.append(one)
            bar.update(1)
            if one.error:
                console.warn(f"unreadable: {one.picture.path}: {one.error}")
            else:
                console.detail(f"{one.picture.path}: {one.segments} segments")
    return SegmentReport(tuple(cuts))


def cut_file(picture: Picture, segmenter: Segmenter, settings: SegmentSettings) -> Cut:
    """Read, cut and write one picture."""
    about: dict[str, Any] = {
        "method": segmenter.name,
        "options": asdict(segmenter),  # type: ignore[call-overload]
        "work_size": settings.work_size,
    }
    try:
        digest = hashlib.sha256(picture.path.read_bytes()).hexdigest()
        if settings.resume and (kept := _kept(picture, digest, about, settings)) is not None:
            return Cut(picture, kept, kept=True)
        image = read_image(picture.path, max_pixels=settings.max_pixels)
    except UnreadableImageError as error:
        return Cut(picture, error=str(error))
    except OSError as error:
        return Cut(picture, error=error.strerror or str(error))
    start = time.perf_counter()
    labels = cut(image, segmenter, settings.work_size)
    seconds = time.perf_counter() - start
    count = count_of(labels)
    if count > MOST_SEGMENTS:
        raise IcasError(
            f"{picture.path} falls into {count} segments, more than the {MOST_SEGMENTS} that"
            " NAME_segments.png can number: choose larger segments"
        )
    told = {
        "icas": __version__,
        "image": picture.path.name,
        "width": image.shape[1],
        "height": image.shape[0],
        "sha256": digest,
        **about,
        "segments": count,
        "seconds": round(seconds, 3),
    }
    _write(picture, image, labels, segmenter, told, settings.save)
    return Cut(picture, count, seconds)


def _kept(
    picture: Picture, digest: str, about: dict[str, Any], settings: SegmentSettings
) -> int | None:
    """Segments that an earlier run with the same settings found in the same picture."""
    wanted = [picture.file(ENDINGS[name]) for name in settings.save]
    try:
        told = json.loads(picture.file(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
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
    """Write what is asked for; the JSON last, because it says that the others are there."""
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
            content = json.dumps(told, indent=2) + "\n"
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
    with console.bar(len(SEGMENTERS), "preview", "methods") as bar:
        for name in SEGMENTERS:
            start = time.perf_counter()
            labels = cut(image, make_segmenter(name), settings.work_size)
            seconds = time.perf_counter() - start
            lines.append(f"{name}: {count_of(labels)} segments, {seconds:.2f} s")
            cells.append((lines[-1], overlay(small, enlarged(labels, size))))
            bar.update(1)
    write_image(out, contact_sheet(cells, columns=3))
    return lines
