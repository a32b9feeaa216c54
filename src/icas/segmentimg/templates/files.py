"""Folders of templates, attentions, segments and masks -> templates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.find import find_images
from icas.io.reading import Image, image_size, read_image
from icas.segmentimg.document.palette import Color
from icas.segmentimg.templates.paint import TemplatePaint, paint_templates
from icas.segmentimg.templates.templates import Template, colors_for, make_template


@dataclass(frozen=True)
class TemplateSet:
    """Templates to be found in each picture of a run.

    Attributes
    ----------
    templates : tuple of Template
        May be empty.
    threshold : float or None
        As for `paint_templates`; None: the best place of each.
    """

    templates: tuple[Template, ...] = ()
    threshold: float | None = None

    def find(self, image: Image) -> TemplatePaint:
        """The places of all templates in a picture, and what is painted there.

        Raises
        ------
        UsageError
            There are no templates, or one is larger than the picture.
        """
        return paint_templates(image, self.templates, self.threshold)

    def record(self) -> dict[str, Any]:
        """What ``NAME.json`` tells of them; the digest tells whether they are the same again."""
        if not self.templates:
            return {}
        digest = hashlib.sha256()
        for one in self.templates:
            for array in (one.image, one.attention, one.segment, one.mask):
                digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        told = {"count": len(self.templates), "sha256": digest.hexdigest()}
        return {"templates": {**told, "threshold": self.threshold}}


def load_templates(
    templates: Path,
    attentions: Path | None = None,
    segments: Path | None = None,
    masks: Path | None = None,
    *,
    colors: Sequence[Color] | None = None,
) -> list[Template]:
    """The templates in a folder, each named by its file.

    The first template goes with the first attention, segment and mask, and so on, in natural
    order (img2 before img10). Number and sizes of all pictures are checked before any is read.

    Parameters
    ----------
    templates : Path
        Folder of the pictures to be found.
    attentions : Path, optional
        Folder of what counts of each: pixels that are not black. Not given: made from templates.
    segments : Path, optional
        Folder of what is painted for each. Not given: one colour each, all different.
    masks : Path, optional
        Folder of what is painted of each: pixels that are not black. Not given: the pixels of the
        segment that are not black, or with no segments the attention.
    colors : sequence of (int, int, int), optional
        Colours for templates without segments, in order; more are found where they do not
        suffice. Not given: the default palette's.

    Raises
    ------
    UsageError
        A folder is none or has another number of pictures than `templates`, there are no
        templates, a picture can't be read or has another size than its template, or `Template`
        refuses one.
    """
    files = _pictures(templates, "template")
    folders = {"attention": attentions, "segment": segments, "mask": masks}
    parts = {name: _pictures(folder, name) for name, folder in folders.items() if folder}
    for name, paths in parts.items():
        _check_number(files, paths, name)
    for name, paths in parts.items():
        _check_sizes(files, paths, name)
    return [
        make_template(
            _read(path, "template"),
            **{name: _read(paths[at], name) for name, paths in parts.items()},
            color=color,
            name=path.name,
        )
        for at, (path, color) in enumerate(zip(files, colors_for(len(files), colors), strict=True))
    ]


def _pictures(folder: Path, name: str) -> list[Path]:
    found = find_images(folder)
    if not found:
        raise UsageError(f"no pictures in {folder}, the folder of {name}s")
    return found


def _check_number(files: list[Path], paths: list[Path], name: str) -> None:
    if len(files) != len(paths):
        raise UsageError(
            f"{len(files)} templates in {files[0].parent}, but {len(paths)} {name}s in"
            f" {paths[0].parent}: each template needs its own, in the order of their names"
        )


def _check_sizes(files: list[Path], paths: list[Path], name: str) -> None:
    for template, other in zip(files, paths, strict=True):
        wide, high = _size(template, "template")
        width, height = _size(other, name)
        if (wide, high) != (width, height):
            raise UsageError(
                f"{name} {other} is {width}x{height} pixels, but its template {template} is"
                f" {wide}x{high}"
            )


def _size(path: Path, name: str) -> tuple[int, int]:
    try:
        return image_size(path)
    except UnreadableImageError as error:
        raise UsageError(f"{name} {path} cannot be read: {error}") from error


def _read(path: Path, name: str) -> Image:
    try:
        return read_image(path)
    except UnreadableImageError as error:
        raise UsageError(f"{name} {path} cannot be read: {error}") from error
