"""An open image as a page gets it: encoded image, tiles, label map, objects; computed ahead."""

from __future__ import annotations

import base64
import gzip
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.io.reading import Image, resize
from icas.notebook.html import as_jpeg, as_png
from icas.segmentimg.document.objects import (
    OBJECT_STEP,
    classes_in,
    code_of,
    numbers_in,
    objects_of,
)
from icas.segmentimg.document.palette import hex_code
from icas.segmentimg.labels.labels import Box, bounding_box, rows_of, union
from icas.segmentimg.render.contrast import LineColors, is_bright
from icas.segmentimg.session.changes import Change
from icas.segmentimg.session.open import OpenImage

LARGEST_WHOLE = 4_096
"""Longest side in pixels of an image that is sent whole."""
TILE = 512
BORDER_SHARE = 0.7
"""Opacity of borders for which their color is chosen."""
_KINDS = {16: "<u2", 32: "<i4"}
"""Types of arrays that are sent."""
_LOSSLESS = 512 * 512
"""Pixels up to which a whole image is sent without loss."""
_QUALITY = 92


class ServedImage:
    """What the page gets of an open image; `of` keeps one for each."""

    def __init__(self, opened: OpenImage) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._labels: tuple[int, bytes] | None = None
        self._whole: tuple[bytes, str] | None = None
        self._levels: dict[int, Image] = {}
        lines = LineColors.on(opened.document.image, BORDER_SHARE)
        self.borders = tuple(_color(one) for one in (lines.light, lines.dark))
        """Color of segment borders on dark and on bright pixels."""
        self._codes: NDArray[np.int32] | None = None
        self._edits = 0
        self._objects: dict[int, tuple[int, Box]] = {}

    @classmethod
    def of(cls, opened: OpenImage) -> ServedImage:
        """The one of an open image."""
        if not isinstance(opened.prepared, cls):
            opened.prepared = cls(opened)
        return opened.prepared

    @property
    def border(self) -> tuple[int, int, int]:
        """The border color that most pixels of the image want."""
        bright = is_bright(self._opened.document.image[::16, ::16]).mean() > 0.5
        return self.borders[1 if bright else 0]

    def prepare(self) -> None:
        """Compute ahead what the page gets first."""
        self.labels()
        self.objects()
        if not self.is_tiled:
            self.whole()

    @property
    def nbytes(self) -> int:
        """Size in bytes, approximately."""
        held = 0 if self._codes is None else self._codes.nbytes
        held += 0 if self._labels is None else len(self._labels[1])
        held += 0 if self._whole is None else len(self._whole[0])
        return held + sum(level.nbytes for level in self._levels.values())

    # --- answers ------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        """Segments, sizes and border colors."""
        document = self._opened.document
        codes = document.codes
        height, width = document.labels.shape
        return {
            "width": width,
            "height": height,
            "doc_rev": document.revision,
            "segments": len(codes) - 1,
            "bits": _bits(len(codes) - 1),
            "classes": classes_in(codes).tolist(),
            "numbers": numbers_in(codes).tolist() if document.several_objects else None,
            "overrides": document.by_hand,
            "border": hex_code(self.border),
            "borders": [hex_code(color) for color in self.borders],
            "pyramid": self.pyramid,
            "tile": self.tile_side,
        }

    def shown_change(self, change: Change) -> dict[str, Any]:
        """What a command changed."""
        rows = zip(
            change.segments.tolist(),
            classes_in(change.codes).tolist(),
            numbers_in(change.codes).tolist(),
            strict=True,
        )
        return {
            "doc_rev": self._opened.document.revision,
            "box": _shown_box(change.box),
            "count": change.count,
            "segments": [list(row) for row in rows],
            "labels": _patch(change.box, change.labels, _bits(change.count)),
            "overrides": _patch(change.box, change.overrides, 32),
        }

    def shown_objects(self) -> dict[str, Any]:
        """The objects, and the current object of each class for which it is not the first."""
        document = self._opened.document
        numbers = {
            str(number): document.current_object(color)
            for number, color in enumerate(document.colors, start=1)
        }
        current = {number: instance for number, instance in numbers.items() if instance != 1}
        return {"objects": self.objects(), "current": current}

    # --- pixels -------------------------------------------------------------------------------

    @property
    def is_tiled(self) -> bool:
        """Whether the image is too large to be sent whole."""
        height, width = self._opened.document.labels.shape
        return bool(max(height, width) > LARGEST_WHOLE)

    @property
    def tile_side(self) -> int | None:
        """Side of the tiles in pixels; None: the image is sent whole."""
        return TILE if self.is_tiled else None

    @property
    def pyramid(self) -> list[list[int]]:
        """Width and height of each level, from the full size down to one tile."""
        height, width = self._opened.document.image.shape[:2]
        levels = [[width, height]]
        while self.is_tiled and max(levels[-1]) > TILE:
            levels.append([(side + 1) // 2 for side in levels[-1]])
        return levels

    def whole(self) -> tuple[bytes, str]:
        """The encoded image and its media type."""
        with self._lock:
            if self._whole is None:
                image = self._opened.document.image
                if image.shape[0] * image.shape[1] <= _LOSSLESS:
                    self._whole = as_png(image), "image/png"
                else:
                    self._whole = as_jpeg(image, _QUALITY), "image/jpeg"
            return self._whole

    def tile(self, level: int, row: int, col: int) -> bytes | None:
        """A tile as JPEG; None where there is none."""
        levels = self.pyramid
        if not self.is_tiled or not 0 <= level < len(levels):
            return None
        width, height = levels[level]
        if not (0 <= row * TILE < height and 0 <= col * TILE < width):
            return None
        image = self._level(level)
        part = image[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
        return as_jpeg(part, _QUALITY)

    def _level(self, level: int) -> Image:
        if level == 0:
            return self._opened.document.image
        with self._lock:
            for number in range(1, level + 1):
                if number not in self._levels:
                    above = self._levels.get(number - 1, self._opened.document.image)
                    width, height = self.pyramid[number]
                    self._levels[number] = resize(above, (width, height))
            return self._levels[level]

    # --- segments and objects -----------------------------------------------------------------

    def labels(self) -> bytes:
        """The label map, raw little endian, compressed by gzip."""
        document = self._opened.document
        cuts, labels, count = document.cuts, document.labels, len(document.codes)
        with self._lock:
            if self._labels is None or self._labels[0] != cuts:
                kind = _KINDS[_bits(count - 1)]
                self._labels = cuts, gzip.compress(labels.astype(kind).tobytes(), 1)
            return self._labels[1]

    def objects(self) -> list[dict[str, Any]]:
        """Class, number, area and box of each painted object."""
        if self._codes is None and not self._opened.document.painted:
            return []
        if self._codes is None or self._edits != self._opened.class_edits:
            self._count_all()
        rows = sorted((code % OBJECT_STEP, code // OBJECT_STEP + 1, code) for code in self._objects)
        found = []
        for number, instance, code in rows:
            area, box = self._objects[code]
            row = {"class": number, "number": instance, "area": area, "box": _shown_box(box)}
            found.append(row)
        return found

    def _count_all(self) -> None:
        document = self._opened.document
        self._codes, self._edits = document.codes_of(np.s_[:, :]), self._opened.class_edits
        self._objects = {}
        if document.painted:
            for one in objects_of(self._codes, document.colors):
                code = code_of(one.class_number, one.number)
                self._objects[code] = one.area, one.box

    def update(self, box: Box | None) -> None:
        """Count what changed in a box; `box` None: nothing."""
        if box is None or self._codes is None or self._edits != self._opened.class_edits:
            return
        document = self._opened.document
        place = rows_of(box)
        before, after = self._codes[place], document.codes_of(place)
        changed = before != after
        if not changed.any():
            return
        rows, columns = np.nonzero(changed)
        was, now = before[changed], after[changed]
        self._codes[place] = after
        for code, count in _counts(was):
            area, held = self._objects[code]
            if area == count:
                del self._objects[code]
            else:
                self._objects[code] = area - count, _tightened(self._codes, code, held)
        for code, count in _counts(now):
            own = now == code
            added = (
                int(rows[own].min()) + box[0],
                int(rows[own].max()) + 1 + box[0],
                int(columns[own].min()) + box[2],
                int(columns[own].max()) + 1 + box[2],
            )
            area, held = self._objects.get(code, (0, added))
            self._objects[code] = area + count, union([held, added])


def _counts(codes: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Painted codes and how often each occurs."""
    found, counts = np.unique(codes, return_counts=True)
    return [(int(code), int(count)) for code, count in zip(found, counts, strict=True) if code > 0]


def _tightened(codes: NDArray[np.int32], code: int, box: Box) -> Box:
    """The box of the pixels of a code, which are inside `box`."""
    top, bottom, left, right = bounding_box(codes[rows_of(box)] == code)
    if top == bottom:
        return box
    return box[0] + top, box[0] + bottom, box[2] + left, box[2] + right


def _color(values: NDArray[np.float32]) -> tuple[int, int, int]:
    red, green, blue = (round(float(value)) for value in values)
    return red, green, blue


def _bits(segments: int) -> int:
    """Bits of a number of a label map."""
    return 16 if segments < 1 << 16 else 32


def _shown_box(box: Box | None) -> list[int] | None:
    """[first row, first column, last row + 1, last column + 1]."""
    return None if box is None else [int(box[0]), int(box[2]), int(box[1]), int(box[3])]


def _patch(box: Box | None, values: NDArray[np.int32] | None, bits: int) -> dict[str, Any] | None:
    """Values of a rectangle, raw, compressed by gzip, as text."""
    if box is None or values is None:
        return None
    data = gzip.compress(values.astype(_KINDS[bits]).tobytes(), 1)
    text = base64.b64encode(data).decode("ascii")
    return {"box": _shown_box(box), "bits": bits, "data": text}
