"""Open an image for painting: read, segment, restore earlier painting."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError, UnreadableImageError
from icas.io.reading import Image, read_image
from icas.segmentimg.document.document import NO_OVERRIDE, PaintDocument, PaintState
from icas.segmentimg.document.palette import (
    Color,
    PaintClass,
    Painting,
    Palette,
    free_color,
    hex_code,
)
from icas.segmentimg.formats import autosave
from icas.segmentimg.formats.inputs import ImageFile, Record, digest_of, image_record, method_record
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.formats.masks import save_painting
from icas.segmentimg.labels.growth import Growth
from icas.segmentimg.labels.labels import Labels, connected, count_of
from icas.segmentimg.labels.merge_tree import MergeTree, segment_graph, tree_of
from icas.segmentimg.segmenters import Segmenter
from icas.segmentimg.segmenters.segment import run_segmenter
from icas.segmentimg.session.log import with_logged

MAX_LINES = 3
"""Lines about ignored annotations in the message of a window."""
NEVER_SAVED = -1
"""Revision of a document of which no file holds the present state."""


@dataclass
class OpenImage:
    """An image being painted."""

    picture: ImageFile
    document: PaintDocument
    classes: Palette
    """Names of the document's colors, in its order; colors added later are named on saving."""
    record: Record
    """Content of ``NAME.json``."""
    note: str = ""
    """Message about the restored painting."""
    ignored: tuple[str, ...] = ()
    """Lines about loaded files or shapes that are ignored."""
    left_out: tuple[str, ...] = ()
    """Lines about annotations that cannot be read."""
    unlisted: tuple[Path, ...] = ()
    """COCO files of other programs that do not list the image."""
    guide: Any = None
    """Computes masks from annotations; None for automatic methods."""
    segments_are_objects: bool = False
    """Each segment that is painted is an object of its own."""
    needs_annotation: bool = False
    """The user has to annotate before there are segments."""
    prompted: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """Segments selected by the boxes and points of the command line."""
    class_edits: int = 0
    """Number of the session's class edits that are applied."""
    files: autosave.Stamps = field(default_factory=dict)
    """Size and time of the files of the last save."""
    saved_revision: int = 0
    """Revision of the document in the masks."""
    autosaved_revision: int = 0
    base: str = ""
    """Name of the autosave file for the command log; see `Autosave`."""
    rev: int = 0
    """Revision of the last command in the log that is applied."""
    prepared: Any = None
    """What a page gets, computed ahead; its size is ``nbytes``."""
    click_levels: dict[int, float] = field(init=False)
    """Level of the merge tree of the clicks on each original segment."""
    tree: MergeTree = field(init=False)
    growth: Growth = field(init=False)

    def __post_init__(self) -> None:
        graph = segment_graph(self.document.image, self.document.first)
        self.tree = tree_of(graph, self.document.first)
        self.growth, self.click_levels = Growth(self.tree, graph), {}
        self.document.box_of(1)  # computes the boxes of all segments, so that no click waits

    @property
    def unsaved(self) -> bool:
        """Whether the masks lack any painting."""
        return self.document.revision != self.saved_revision

    @property
    def autosaved(self) -> bool:
        """Whether all painting is on disk, as masks or in the autosave file."""
        return self.autosaved_revision == self.document.revision

    @property
    def nbytes(self) -> int:
        """Size in bytes, approximately."""
        ahead = 0 if self.prepared is None else self.prepared.nbytes
        return self.document.nbytes + self.tree.merges.nbytes + ahead

    def name_of(self, color: Color) -> str:
        """Name of the class of a color."""
        names = {entry.color: entry.name for entry in self.classes}
        return names.get(color) or hex_code(color)

    def change_classes(self, palette: Palette, changed: Mapping[PaintClass, PaintClass]) -> None:
        """Continue with the classes of `palette`; those of the image that it lacks come after.

        `changed`: new names and colors of present classes.
        """
        self._name_colors()
        unsaved, autosaved, before = self.unsaved, self.autosaved, self.classes
        wanted = [changed.get(entry, entry) for entry in before]
        numbers = {entry: number for number, entry in enumerate(palette, start=1)}
        rest = [number for number, entry in enumerate(wanted) if entry not in numbers]
        classes = palette
        for number in rest:
            color, taken = before[number].color, classes.numbers()
            color = free_color(taken) if color in taken else color
            classes = classes.joined([PaintClass(before[number].name, color)])
            wanted[number] = classes[-1]
        places = {entry: number for number, entry in enumerate(wanted, start=1)}
        order = [places.get(entry, 0) for entry in classes]
        used = np.flatnonzero(np.bincount(self.document.class_map().ravel()))
        same = all(
            classes[number - 1 : number] == before[number - 1 : number] for number in used[used > 0]
        )
        self.document.replace_colors([entry.color for entry in classes], order)
        self.classes = classes
        if same and not unsaved:
            self.saved_revision = self.document.revision
        if same and autosaved:
            self.autosaved_revision = self.document.revision

    def replace_segments(self, labels: Labels) -> None:
        """Continue on other segments; the paint is kept."""
        before, unsaved = self.document, self.unsaved
        self.document = PaintDocument(before.image, labels, colors=before.colors)
        if before.painted:
            numbers = before.instance_map() if before.several_objects else None
            self.document.take_over(before.class_map(), numbers)
            self.document.new_objects()  # the mask is an object of its own
        self.__post_init__()
        self.record["segments"] = count_of(labels)
        self.needs_annotation = False
        self.saved_revision = NEVER_SAVED if unsaved else self.document.revision
        self.autosaved_revision = NEVER_SAVED

    def use_mask(self, mask: NDArray[np.bool_], color: Color | None = None) -> None:
        """Continue on the connected regions of a mask; with a color, paint it as a new object."""
        self.replace_segments(connected(mask.astype(np.int32) + 1))
        if color is not None:
            segments = np.unique(self.document.labels[mask])
            number = self.document.new_object(color)
            self.document.fill_segments(segments, color, number)

    def painting_classes(self) -> Palette:
        """The class of each color of the document."""
        self._name_colors()
        return self.classes

    def painting(self) -> Painting:
        """What is painted now, with the names of its classes."""
        self._name_colors()
        return _painting_of(self.document, self.classes)

    def save(
        self, saves: Sequence[str], portable_names: bool = False, polygons: bool = False
    ) -> list[Path]:
        """Write the requested files."""
        files = save_painting(
            self.picture,
            self.painting(),
            self.record,
            saves,
            portable_names,
            polygons,
        )
        self.saved_revision = self.document.revision
        self.files = autosave.painting_stamps(self.picture)
        return files

    def snapshot(self) -> autosave.Autosave:
        """A copy for the autosave file."""
        self._name_colors()
        names = tuple(entry.name for entry in self.classes)
        state = self.document.state()
        return autosave.Autosave(
            state, names, self.record, not self.unsaved, self.files, self.base, self.rev
        )

    def _name_colors(self) -> None:
        """Add classes for colors without one, named ``#rrggbb``."""
        colors = self.document.colors
        added = map(PaintClass, map(hex_code, colors), colors)
        by_color = {entry.color: entry for entry in self.classes.joined(added)}
        self.classes = Palette(by_color[color] for color in colors)


@dataclass(frozen=True)
class ImageOpener:
    """Opens images with the same settings; thread-safe."""

    segmenter: Segmenter
    work_size: int
    max_pixels: int
    palette: Palette = field(default_factory=Palette)
    """Classes 1…n of every image."""
    resume: bool = True
    interactive: bool = False
    """There are windows in which the user can annotate."""

    def open(self, picture: ImageFile) -> OpenImage:
        """Read and segment an image; restore its autosaved or saved painting."""
        digest = digest_of(picture.path)
        image = read_image(picture.path, max_pixels=self.max_pixels)
        kept, note, outdated = self._read_autosave(picture)
        method = method_record(self.segmenter, self.work_size)
        ask = self.interactive and self.segmenter.needs_annotation
        guide = self.segmenter.annotator(image) if ask else None
        unsaved = kept is not None and not kept.saved
        if kept is not None and is_same_input(kept.about, method, digest):
            opened = self._restore(picture, image, kept)
        else:
            opened = self._segment(picture, image, digest, method, ask=ask)
            if kept is not None and unsaved:
                _paint_over(opened, kept)
        opened.guide, opened.segments_are_objects = guide, self.segmenter.segments_are_objects
        if self.resume and opened.note == "":
            _load(opened)
        if kept is not None and outdated and not _is_same_painting(opened, kept):
            note = _set_aside(picture)
        if self.interactive and not unsaved and not opened.document.painted:
            opened.document.fill_segments(opened.prompted, self.palette[0].color)
        opened.note = "; ".join(filter(None, [opened.note, note]))
        return opened

    def _read_autosave(self, picture: ImageFile) -> tuple[autosave.Autosave | None, str, bool]:
        """The autosaved document, a message about it, and whether later masks replace its paint.

        The paint is that of the masks where only the autosave after their save is missing.
        """
        kept = autosave.read_autosave(autosave.autosave_path(picture))
        if kept is not None:
            kept = with_logged(picture, kept)
        if kept is None or (kept.saved and not self.resume):
            return None, "", False
        if not self.resume:
            return None, _set_aside(picture), False
        outdated = not kept.saved and autosave.saved_since(picture, kept)
        return replace(kept, saved=kept.saved or outdated), "", outdated

    def _restore(self, picture: ImageFile, image: Image, kept: autosave.Autosave) -> OpenImage:
        """The autosaved document; `note` is empty if the masks have changed since."""
        classes, state = _adopted(self.palette, kept)
        document = PaintDocument.restored(image, state)
        opened = OpenImage(picture, document, classes, dict(kept.about))
        if not kept.saved:
            opened.note = "restored unsaved painting"
            opened.saved_revision = NEVER_SAVED
        elif autosave.painting_stamps(picture) == dict(kept.files):
            opened.note, opened.files = "restored the painting", kept.files
        return opened

    def _segment(
        self, picture: ImageFile, image: Image, digest: str, method: Record, *, ask: bool
    ) -> OpenImage:
        start = time.perf_counter()
        mask = None
        if ask:
            labels = np.ones(image.shape[:2], np.int32)
        elif self.segmenter.prompted:
            mask = self.segmenter.object_mask(image)
            labels = connected(mask.astype(np.int32))
        else:
            labels = run_segmenter(self.segmenter, image, self.work_size)
        seconds = time.perf_counter() - start
        record = image_record(picture.path, image, digest, method, count_of(labels), seconds)
        document = PaintDocument(image, labels, colors=[entry.color for entry in self.palette])
        opened = OpenImage(picture, document, self.palette, record, needs_annotation=ask)
        if mask is not None:
            opened.prompted = np.unique(labels[mask])
        return opened


def _load(opened: OpenImage) -> None:
    """Load the masks, labels, or annotations of other programs.

    UnreadableImageError for files that cannot be read: without them, a save would lose them.
    """
    document = opened.document
    try:
        loaded = load_painting(opened.picture, document.labels.shape, opened.classes)
    except IcasError as error:
        raise UnreadableImageError(error.message) from None
    if loaded is not None:
        _take_over(opened, loaded.painting)
        opened.ignored, opened.left_out = tuple(loaded.notes), loaded.left_out
        opened.unlisted = loaded.unlisted
        missing = [f"{path} does not list the image" for path in loaded.unlisted]
        lines = [*loaded.notes, *loaded.left_out, *missing]
        more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        others = " and others" if len(loaded.files) > 1 else ""
        names = [f"loaded {path.name}{others}" for path in loaded.files[:1]]
        opened.note = "; ".join([*names, *lines[:MAX_LINES], *more])
    elif document.painted:
        document.take_over(np.zeros(document.labels.shape, np.int16))
        opened.note = "no masks found: nothing is painted"
    opened.saved_revision = opened.autosaved_revision = document.revision


def _set_aside(picture: ImageFile) -> str:
    path = autosave.set_aside(autosave.autosave_path(picture))
    return f"older unsaved painting was renamed to {path.name}"


def _is_same_painting(opened: OpenImage, kept: autosave.Autosave) -> bool:
    """Whether an autosaved document has the paint of the masks that were loaded."""
    document = opened.document
    if kept.state.labels.shape != document.labels.shape:
        return False
    _, state = _adopted(opened.classes, kept)
    before = PaintDocument.restored(document.image, state)
    return np.array_equal(before.codes_of(np.s_[:, :]), document.codes_of(np.s_[:, :]))


def is_same_input(record: Mapping[str, Any], about: Record, digest: str) -> bool:
    """Whether an earlier record is of the same method and image file."""
    # through JSON, as the file was, so that (1, 2) equals [1, 2]
    wanted = json.loads(json.dumps({**about, "sha256": digest}))
    return all(record.get(name) == value for name, value in wanted.items())


def _take_over(opened: OpenImage, painting: Painting) -> None:
    opened.classes = Palette(painting.classes)
    opened.document.add_colors(entry.color for entry in opened.classes)
    numbers = {color: number for number, color in enumerate(opened.document.colors, start=1)}
    table = [0, *(numbers[entry.color] for entry in opened.classes)]
    opened.document.take_over(np.array(table, np.int16)[painting.class_map], painting.instance_map)


def _painting_of(document: PaintDocument, classes: Palette) -> Painting:
    return Painting(document.class_map(), classes, document.instance_map())


def _paint_over(opened: OpenImage, kept: autosave.Autosave) -> None:
    """Transfer unsaved painting to new segments."""
    size, now = kept.state.first.shape, opened.document.labels.shape
    if size != now:
        path = autosave.autosave_path(opened.picture)
        raise IcasError(
            f"{path} holds unsaved painting for {size[1]}x{size[0]} pixels, but the image is now"
            f" {now[1]}x{now[0]}: move that file away to start over"
        )
    classes, state = _adopted(opened.classes, kept)
    before = PaintDocument.restored(opened.document.image, state)
    _take_over(opened, _painting_of(before, classes))
    opened.note = "restored unsaved painting on new segments"


def _adopted(palette: Palette, kept: autosave.Autosave) -> tuple[Palette, PaintState]:
    """The palette with the classes of an autosave file, and its painting with their numbers."""
    state = kept.state
    classes, mapped = palette.adopted(list(map(PaintClass, kept.names, state.colors)))
    numbers = classes.numbers()
    table = np.array([0, *(numbers[entry.color] for entry in mapped), NO_OVERRIDE], np.int16)
    overrides = None if state.overrides is None else table[state.overrides]
    colors = tuple(entry.color for entry in classes)
    changed = replace(state, classes=table[state.classes], overrides=overrides, colors=colors)
    return classes, changed
