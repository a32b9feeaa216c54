"""The page ``quality.html``: the images with issues, with thumbnails."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from icas._version import __version__
from icas.cli.console import Console
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.html.groups import Pictures
from icas.clusterimg.html.page import ROWS
from icas.clusterimg.html.rendering import asset, render
from icas.clusterimg.html.thumbnails import BYTES, MOST, fair_shares, make_thumbnails

SECTION = 120
"""Thumbnails of one issue."""
NAMES = 10_000
"""Names listed of images with an issue and without a thumbnail."""


class QualityView(Protocol):
    """The attributes of `icas.QualityReport` that are shown; documented there."""

    @property
    def source(self) -> Path: ...
    @property
    def files(self) -> Sequence[str]: ...
    @property
    def duplicate_of(self) -> Sequence[str]: ...
    @property
    def thresholds(self) -> Mapping[str, float]: ...
    @property
    def unreadable(self) -> Sequence[Unreadable]: ...
    def found(self, issue: str) -> list[int]: ...
    def caption(self, image: int, issue: str) -> str: ...


@dataclass(frozen=True)
class Section:
    """The images with one issue, worst first: those with a thumbnail, and the others."""

    name: str
    help: str
    pictured: Sequence[int]
    named: Sequence[int]
    left_out: int

    @property
    def size(self) -> int:
        return len(self.pictured) + len(self.named) + self.left_out


def quality_page(
    report: QualityView,
    helps: Mapping[str, str],
    numbers: Mapping[str, str],
    paths: Mapping[str, Path],
    page: Path,
    max_pixels: int,
    jobs: int | None,
    console: Console,
) -> bytes:
    """The page of a checked folder: self-contained, with thumbnails inside, without script.

    `helps` are the issues and what they are, in their order; `numbers` what `report.caption` gives;
    `paths` the images by file; `page` is where it will be written, which links are relative to.
    """
    found = {name: report.found(name) for name in helps}
    most = MOST
    sections = _sections(found, helps, most)
    chosen = _chosen(sections)
    files = [paths[report.files[image]] for image in chosen]
    made = make_thumbnails(files, max_pixels, jobs, console)
    thumbnails = dict(zip(chosen, made, strict=True))
    while (size := _bytes(sections, thumbnails)) > BYTES:
        most = min(most, sum(len(one.pictured) for one in sections)) * BYTES // size
        sections = _sections(found, helps, most)
    listed = {image for section in sections for image in (*section.pictured, *section.named)}
    targets = {image: _relative(paths[report.files[image]], page.parent) for image in listed}
    pictures = Pictures(
        report.files, thumbnails, {image: at for image, at in targets.items() if at is not None}
    )
    content = render(
        "quality.html",
        report=report,
        folder=re.split(r"[/\\]", str(report.source).rstrip("/\\"))[-1] or str(report.source),
        flagged=len({image for images in found.values() for image in images}),
        helps=helps,
        numbers=numbers,
        found=found,
        sections=[section for section in sections if section.size],
        pictures=pictures,
        rows=ROWS,
        style=asset("style.css"),
        version=__version__,
    )
    return content.encode("utf-8")


def _sections(found: Mapping[str, list[int]], helps: Mapping[str, str], most: int) -> list[Section]:
    """The images of each issue, with together at most `most` thumbnails."""
    shares = fair_shares([min(SECTION, len(images)) for images in found.values()], most)
    rest = [len(images) - share for images, share in zip(found.values(), shares, strict=True)]
    names = fair_shares(rest, NAMES)
    return [
        Section(
            name,
            helps[name],
            images[:share],
            images[share : share + listed],
            len(images) - share - listed,
        )
        for (name, images), share, listed in zip(found.items(), shares, names, strict=True)
    ]


def _chosen(sections: Sequence[Section]) -> list[int]:
    return sorted({image for section in sections for image in section.pictured})


def _bytes(sections: Sequence[Section], thumbnails: Mapping[int, object]) -> int:
    """Bytes of all thumbnails; an image with two issues is there twice."""
    shown = (thumbnails[image] for section in sections for image in section.pictured)
    return sum(len(getattr(one, "uri", "")) for one in shown)


def _relative(path: Path, folder: Path) -> PurePosixPath | None:
    """`path` relative to `folder`; None on another drive."""
    try:
        return PurePosixPath(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:
        return None
