"""A picture is opened to be painted: read, cut, and painted as far as it was before."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError
from icas.io.reading import Image, read_image
from icas.segmentimg.document.document import NO_OVERRIDE, PaintDocument, PaintState
from icas.segmentimg.document.palette import PaintClass, Painting, Palette
from icas.segmentimg.formats.autosave import (
    Kept,
    Stamps,
    paint_stamps,
    place_of,
    read_kept,
    saved_since,
    set_aside,
)
from icas.segmentimg.formats.inputs import Picture, Record, digest_of, method_record, picture_record
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.labels.labels import Labels, connected, count_of, sizes_of
from icas.segmentimg.labels.merge_tree import Growth, MergeTree, merge_tree
from icas.segmentimg.segmenters import AsksFirst, Segmenter
from icas.segmentimg.segmenters.segment import cut

NOT_KEPT = -1
"""Revision where nothing on the disk holds a document as it is."""


@dataclass
class Work:
    """A picture that is being painted.

    Attributes
    ----------
    picture : Picture
    document : PaintDocument
    tree : MergeTree
        How its segments join, before any cut.
    growth : Growth
        The same, as groups around a segment.
    classes : Palette
        Names of the document's colours, in its order; new colours get theirs by `name_colors`.
    record : dict
        What ``NAME.json`` tells of the picture.
    note : str
        What it was painted from, for the person at the window; "" for nothing.
    guide : object
        What makes segments of a person's marks; None where the method needs none.
    annotate : bool
        A person has to say what is meant before there are segments.
    meant : (n,) int32 ndarray
        Segments that the boxes and points of the command line mean.
    files : mapping
        Size and time of the files that a save wrote.
    saved_revision, kept_revision : int
        Revision of the document that the masks, and the file that keeps it, hold.
    """

    picture: Picture
    document: PaintDocument
    tree: MergeTree
    growth: Growth
    classes: Palette
    record: Record
    note: str = ""
    guide: Any = None
    annotate: bool = False
    meant: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    files: Stamps = field(default_factory=dict)
    saved_revision: int = 0
    kept_revision: int = 0

    @property
    def unsaved(self) -> bool:
        """Whether there is painting that the masks do not hold."""
        return self.document.revision != self.saved_revision

    @property
    def kept(self) -> bool:
        """Whether all that was done lies on the disk, as masks or as a kept document."""
        return self.kept_revision == self.document.revision

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, about."""
        return self.document.nbytes + self.tree.merges.nbytes

    def recut(self, labels: Labels) -> None:
        """Paint on other segments from now on; what was painted stays where it is."""
        before, unsaved = self.document, self.unsaved
        self.document = PaintDocument(before.image, labels, colors=before.colors)
        if before.painted:
            self.document.take_over(before.class_map())
        self.tree, self.growth = _grown(self.document)
        self.record["segments"] = count_of(labels)
        self.annotate = False
        self.saved_revision = NOT_KEPT if unsaved else self.document.revision
        self.kept_revision = NOT_KEPT

    def name_colors(self) -> None:
        """Make classes of the document's colours that have none, named after themselves."""
        new = (PaintClass("#{:02x}{:02x}{:02x}".format(*one), one) for one in self.document.colors)
        named = {one.color: one for one in self.classes.joined(new)}
        self.classes = Palette(named[color] for color in self.document.colors)

    def painting(self) -> Painting:
        """What is painted now."""
        self.name_colors()
        return Painting(self.document.class_map(), self.classes)


@dataclass(frozen=True)
class Opener:
    """Opens pictures, all in the same way; may be called from several threads at once.

    Attributes
    ----------
    segmenter : Segmenter
    work_size, max_pixels : int
    palette : Palette
        Classes 1…n of every picture.
    resume : bool
        Go on with what was painted before.
    by_hand : bool
        There is a person who can be asked what is meant.
    """

    segmenter: Segmenter
    work_size: int
    max_pixels: int
    palette: Palette = field(default_factory=Palette)
    resume: bool = True
    by_hand: bool = False

    def open(self, picture: Picture) -> Work:
        """Read and cut a picture; paint it as it was kept or saved before.

        Raises
        ------
        UnreadableImageError
            The picture cannot be read.
        IcasError
            What was painted before cannot be read.
        """
        digest = digest_of(picture.path)
        image = read_image(picture.path, max_pixels=self.max_pixels)
        kept, note = self._kept(picture)
        method = method_record(self.segmenter, self.work_size)
        asking = self._asks()
        guide = None if asking is None else asking.guide(image)
        if kept is not None and _same(kept.about, method, digest):
            work = self._restored(picture, image, kept)
        else:
            work = self._cut(picture, image, digest, method)
            if kept is not None and not kept.saved:
                _paint_over(work, kept)
                work.guide = guide
                return work
        work.guide = guide
        if self.resume and work.note == "":
            self._load(work)
        if self.by_hand and not work.document.painted:
            work.document.fill_segments(work.meant, self.palette[0].color)
        work.note = "; ".join(filter(None, [work.note, note]))
        return work

    def _kept(self, picture: Picture) -> tuple[Kept | None, str]:
        """What was kept and counts, and what has to be told of it."""
        place = place_of(picture)
        kept = read_kept(place)
        if kept is None or (self.resume and (kept.saved or not saved_since(picture, kept))):
            return kept, ""
        if kept.saved:
            return None, ""
        return None, f"older painting that was not saved is {set_aside(place).name} now"

    def _restored(self, picture: Picture, image: Image, kept: Kept) -> Work:
        """As it was kept; painted, unless someone has changed the masks since."""
        classes = self.palette.joined(map(PaintClass, kept.names, kept.state.colors))
        state = _renumbered(kept.state, classes)
        document = PaintDocument.restored(image, state)
        work = _work(picture, document, classes, dict(kept.about))
        if not kept.saved:
            work.note = "goes on with painting that was not saved"
            work.saved_revision = NOT_KEPT
        elif paint_stamps(picture) == dict(kept.files):
            work.note, work.files = "painted before", kept.files
        return work

    def _cut(self, picture: Picture, image: Image, digest: str, method: Record) -> Work:
        start = time.perf_counter()
        one, meant = self.segmenter, None
        asks = self._asks() is not None
        if asks:
            labels = np.ones(image.shape[:2], np.int32)
        elif isinstance(one, AsksFirst) and one.told:
            meant = one.meant(image)
            labels = connected(meant.astype(np.int32))
        else:
            labels = cut(image, one, self.work_size)
        seconds = time.perf_counter() - start
        record = picture_record(picture.path, image, digest, method, count_of(labels), seconds)
        document = PaintDocument(image, labels, colors=[one.color for one in self.palette])
        work = _work(picture, document, self.palette, record)
        work.annotate = asks
        if meant is not None:
            work.meant = np.unique(labels[meant])
        return work

    def _asks(self) -> AsksFirst | None:
        """The segmenter, if a person at the windows has to tell it what is meant."""
        one = self.segmenter
        return one if self.by_hand and isinstance(one, AsksFirst) and one.asks else None

    def _load(self, work: Work) -> None:
        """Paint what lies in the folder as masks, labels or labelme's shapes."""
        found = load_painting(work.picture, work.document.labels.shape, work.classes)
        if found is None:
            if work.document.painted:
                work.document.take_over(np.zeros(work.document.labels.shape, np.int16))
                work.note = "its masks are gone: not painted"
        else:
            _take_over(work, found.painting)
            more = " and others" if len(found.files) > 1 else ""
            work.note = "; ".join([f"painted from {found.files[0].name}{more}", *found.notes])
        work.saved_revision = work.kept_revision = work.document.revision


def _grown(document: PaintDocument) -> tuple[MergeTree, Growth]:
    tree = merge_tree(document.image, document.first)
    document.box_of(1)  # finds those of all segments, so that no click has to wait for it
    return tree, Growth(tree, sizes_of(document.first))


def _work(picture: Picture, document: PaintDocument, classes: Palette, record: Record) -> Work:
    tree, growth = _grown(document)
    return Work(picture, document, tree, growth, classes, record)


def _same(about: Mapping[str, Any], method: Record, digest: str) -> bool:
    # through JSON, as the file went, so that (1, 2) equals [1, 2]
    wanted = json.loads(json.dumps({**method, "sha256": digest}))
    return all(about.get(name) == value for name, value in wanted.items())


def _take_over(work: Work, painting: Painting) -> None:
    work.classes = Palette(painting.classes)
    work.document.add_colors(one.color for one in work.classes)
    numbers = {color: number for number, color in enumerate(work.document.colors, start=1)}
    table = [0, *(numbers[one.color] for one in work.classes)]
    work.document.take_over(np.array(table, np.int16)[painting.class_map])


def _paint_over(work: Work, kept: Kept) -> None:
    """Painting that was not saved, on segments that are others now."""
    size, now = kept.state.first.shape, work.document.labels.shape
    if size != now:
        raise IcasError(
            f"{place_of(work.picture)} keeps unsaved painting of {size[1]}x{size[0]} pixels, and"
            f" the picture has {now[1]}x{now[0]} now: move that file away to begin anew"
        )
    classes = work.classes.joined(map(PaintClass, kept.names, kept.state.colors))
    before = PaintDocument.restored(work.document.image, _renumbered(kept.state, classes))
    _take_over(work, Painting(before.class_map(), classes))
    work.note = "goes on with painting that was not saved, over new segments"


def _renumbered(state: PaintState, classes: Palette) -> PaintState:
    """The same painting, class n being the nth of `classes`."""
    numbers = classes.numbers()
    table = np.array([0, *(numbers[color] for color in state.colors), NO_OVERRIDE], np.int16)
    overrides = None if state.overrides is None else table[state.overrides]
    colors = tuple(one.color for one in classes)
    return replace(state, classes=table[state.classes], overrides=overrides, colors=colors)
