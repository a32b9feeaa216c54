"""Templates from folders: images, attentions, segments and masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from icas.common.errors import UnreadableImageError, UsageError
from icas.io.find import find_images
from icas.io.reading import Image, image_size, read_image, read_rgba
from icas.notebook.html import counted
from icas.segmentimg.document.palette import Color
from icas.segmentimg.templates.paint import TemplatePaint, paint_templates
from icas.segmentimg.templates.templates import Template, colors_for, make_template

T = TypeVar("T")


@dataclass(frozen=True)
class TemplateSet:
    """Templates to find in each image of a run; `threshold` as for `paint_templates`."""

    templates: tuple[Template, ...] = ()
    threshold: float | None = None

    def find(self, image: Image) -> TemplatePaint:
        """Find and paint all templates in an image."""
        return paint_templates(image, self.templates, self.threshold)

    def record(self) -> dict[str, Any]:
        """Entries of ``NAME.json``; the digest identifies the templates."""
        if not self.templates:
            return {}
        digest = hashlib.sha256()
        for template in self.templates:
            for array in (template.image, template.attention, template.segment, template.mask):
                digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        entries = {"count": len(self.templates), "sha256": digest.hexdigest()}
        return {"templates": {**entries, "threshold": self.threshold}}


def load_templates(
    templates: Path,
    attentions: Path | None = None,
    segments: Path | None = None,
    masks: Path | None = None,
    *,
    colors: Sequence[Color] | None = None,
) -> list[Template]:
    """Load the templates of a folder, named by their files.

    The first template gets the first attention, segment and mask, and so on, in natural order
    (img2 before img10). Nonzero pixels of attentions and masks are used; missing parts are
    derived by `make_template`. `colors` are for templates without segments (default: those of the
    default palette). All numbers and sizes are checked before any image is read.
    """
    files = _images(templates, "template")
    folders = {"attention": attentions, "segment": segments, "mask": masks}
    parts = {name: _images(folder, name) for name, folder in folders.items() if folder}
    for name, paths in parts.items():
        if len(files) != len(paths):
            raise UsageError(
                f"{counted(len(files), 'template')} in {files[0].parent}, but"
                f" {counted(len(paths), name)} in {paths[0].parent}: give one per template, in the"
                " same order of names"
            )
    for name, paths in parts.items():
        for template, part in zip(files, paths, strict=True):
            wide, high = _read(image_size, template, "template")
            width, height = _read(image_size, part, name)
            if (wide, high) != (width, height):
                raise UsageError(
                    f"{name} {part} is {width}x{height} pixels, but its template {template} is"
                    f" {wide}x{high}: the sizes must be equal"
                )
    return [
        make_template(
            _read(read_rgba, path, "template"),
            **{name: _read(read_image, paths[index], name) for name, paths in parts.items()},
            color=color,
            name=path.name,
        )
        for index, (path, color) in enumerate(
            zip(files, colors_for(len(files), colors), strict=True)
        )
    ]


def _images(folder: Path, name: str) -> list[Path]:
    images = find_images(folder)
    if not images:
        raise UsageError(f"no images in {folder}, the folder of {name}s")
    return images


def _read(read: Callable[[Path], T], path: Path, name: str) -> T:
    try:
        return read(path)
    except UnreadableImageError as error:
        raise UsageError(f"cannot read {name} {path}: {error.message}") from error
