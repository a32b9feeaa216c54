"""Painting session: current image, unsaved changes, saving, navigation; no windows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from icas.common.errors import IcasError
from icas.io.formats import os_reason
from icas.notebook.html import plural
from icas.segmentimg.document.palette import PaintClass, Palette
from icas.segmentimg.formats.autosave import SUFFIX, AutosaveWriter, autosave_path
from icas.segmentimg.formats.folder_classes import write_listed_classes
from icas.segmentimg.formats.inputs import OTHER_RECORD, ImageFile
from icas.segmentimg.session.open import NEVER_SAVED, ImageOpener, OpenImage
from icas.segmentimg.session.prefetch import Prefetcher

AUTOSAVE_SECONDS = 2.0
"""Interval of autosaves; no more than this is lost when the process dies."""
RETRY_SECONDS = 10.0
"""Interval after an autosave that failed."""


class ImageStore:
    """Open images by index, up to `limit` bytes; only autosaved images are evicted."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit, clock
        self.images: dict[int, OpenImage] = {}
        self._keeper = AutosaveWriter()
        self.writing: dict[int, tuple[Future[None], int]] = {}
        """Autosaves in progress, and the revision of the document in each."""
        self._next_autosave = 0.0
        self._evicted_unsaved: set[int] = set()
        self.errors: dict[int, str] = {}
        """Why an image could not be autosaved."""
        self.written: set[int] = set()
        """Images autosaved in this session."""

    @property
    def unsaved(self) -> set[int]:
        """Images with painting that the masks lack."""
        unsaved = {index for index, opened in self.images.items() if opened.unsaved}
        return unsaved | (self._evicted_unsaved - self.images.keys())

    def autosave(self, index: int, *, force: bool = False) -> None:
        """Write an image in the background if it has changed, or in any case (`force`)."""
        opened = self.images.get(index)
        if opened is None or (opened.autosaved and not force):
            return
        revision = opened.document.revision
        if not force and index in self.writing and self.writing[index][1] == revision:
            return
        future = self._keeper.submit(autosave_path(opened.picture), opened.snapshot())
        self.writing[index] = future, revision

    def keep_now(self, index: int) -> None:
        """Autosave an image before this returns; IcasError where that fails."""
        opened = self.images[index]
        revision, path = opened.document.revision, autosave_path(opened.picture)
        try:
            self._keeper.submit(path, opened.snapshot()).result()
        except OSError as error:
            raise IcasError(f"cannot autosave to {path.parent}: {os_reason(error)}") from error
        opened.autosaved_revision = revision
        self.written.add(index)
        self.writing.pop(index, None)

    def flush(self, index: int) -> None:
        """Wait for the autosave of an image that is in progress."""
        if index in self.writing:
            wait([self.writing[index][0]])

    def tick(self, current: int) -> str:
        """Autosave what has changed if it is time, and evict; a message if that failed, else ""."""
        message = self._collect()
        now = self._clock()
        if now >= self._next_autosave and not self.writing:
            self._next_autosave = now + AUTOSAVE_SECONDS
            self._autosave_all()
        held = sum(opened.nbytes for opened in self.images.values())
        for index, opened in list(self.images.items()):
            if held <= self._limit:
                break
            if index != current and opened.autosaved and index not in self.writing:
                held -= opened.nbytes
                del self.images[index]
                self._evicted_unsaved -= {index}
                self._evicted_unsaved |= {index} if opened.unsaved else set()
        return message

    def close(self) -> None:
        """Autosave all that has changed, and wait for the disk."""
        self._autosave_all()
        self._keeper.close()
        self._collect()

    def _autosave_all(self) -> None:
        for index in self.images:
            self.autosave(index)

    def _collect(self) -> str:
        """Note which autosaves have been written; a message about the first new failure."""
        message = ""
        for index, (future, revision) in list(self.writing.items()):
            if not future.done():
                continue
            del self.writing[index]
            error = future.exception()
            if error is None:
                self.images[index].autosaved_revision = revision
                self.written.add(index)
                self.errors.pop(index, None)
                continue
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            folder = autosave_path(self.images[index].picture).parent
            text = f"cannot autosave to {folder}: {reason}"
            message = message if index in self.errors else text
            self.errors[index] = text
            self._next_autosave = self._clock() + RETRY_SECONDS
        return message


RECENT = 3
"""Images that were requested last, which are opened even if the current one is another."""
MEMORY_BYTES = 512 * 1024**2
"""Memory for prefetched images, and as much again for those visited."""


@dataclass(frozen=True)
class SessionSummary:
    """Counts and errors of a session."""

    pictures: int
    saved: int
    unsaved: tuple[Path, ...]
    """Images with painting that is autosaved, but not saved."""
    unreadable: dict[Path, str]
    failed: dict[Path, str]
    """Why the painting of an image could not be saved or autosaved."""
    out: tuple[Path, ...]
    ended: bool
    """No image is being opened in the background any more."""
    left_out: tuple[str, ...] = ()
    """Lines about annotations that cannot be read."""

    def line(self) -> str:
        """The last line of the command."""
        return (
            f"{self.pictures} {plural('image', self.pictures)}, {self.saved} saved,"
            f" {len(self.unsaved)} painted but not saved, {len(self.unreadable)} unreadable"
            f" -> {', '.join(map(str, self.out))}"
        )


class Mark(Enum):
    """Whether an image is painted."""

    NONE = ""
    UNSAVED = "unsaved"
    SAVED = "saved"


class Session:
    """Images to be painted one after the other, prefetched in threads and autosaved."""

    def __init__(
        self,
        pictures: Sequence[ImageFile],
        opener: ImageOpener,
        saves: Sequence[str] = ("masks", "labels"),
        portable_names: bool = False,
        polygons: bool = False,
        *,
        ahead: int = 2,
        jobs: int = 1,
        prepare: Callable[[OpenImage], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.pictures = list(pictures)
        self.index = 0
        self._wanted: deque[int] = deque(maxlen=RECENT)
        self.errors: dict[int, str] = {}
        """Why an image could not be opened, by index."""
        self._opener, self._ahead, self._prepare = opener, ahead, prepare
        self._saves = saves, portable_names, polygons
        self._class_edits: list[tuple[Palette, dict[PaintClass, PaintClass]]] = []
        self._saved: set[int] = set()
        self._left_out: dict[str, None] = {}
        self._save_errors: dict[int, str] = {}
        self.store = ImageStore(memory_bytes, clock)
        self._prefetcher: Prefetcher[OpenImage] = Prefetcher(
            self._open, lambda opened: opened.nbytes, memory_bytes, jobs
        )
        self._prefetch()

    @property
    def picture(self) -> ImageFile:
        """The current image and its files."""
        return self.pictures[self.index]

    @property
    def current(self) -> OpenImage | None:
        """The current image, opened; None while it is not, or cannot be."""
        if self.index not in self.store.images and self.index not in self.errors:
            try:
                opened = self._prefetcher.take(self.index)
            except Exception as error:  # of one image; the session continues
                self.errors[self.index] = str(error) or type(error).__name__
                return None
            if opened is not None:
                self.store.images[self.index] = opened
                self._edit_classes(opened)
                self._left_out.update(dict.fromkeys(opened.left_out))
        return self.store.images.get(self.index)

    @property
    def error(self) -> str:
        """Why the current image could not be opened; "" if it could, or is not yet."""
        return self.errors.get(self.index, "")

    @property
    def unsaved(self) -> tuple[Path, ...]:
        """Images with painting that the masks lack."""
        return tuple(self.pictures[index].path for index in sorted(self.store.unsaved))

    @property
    def saves(self) -> Sequence[str]:
        """The formats of a save."""
        return self._saves[0]

    @property
    def portable_names(self) -> bool:
        """Whether names of masks have no colons."""
        return self._saves[1]

    @property
    def palette(self) -> Palette:
        """The classes of every image."""
        return self._opener.palette

    def at(self, index: int) -> OpenImage | None:
        """The image at an index as the current one; None while it is not open, or cannot be."""
        if index != self.index:
            self.go(index - self.index)
        if index not in self._wanted:
            self._wanted.append(index)
            self._prefetch()
        return self.current

    def await_open(self, index: int, seconds: float) -> bool:
        """Wait until an image is opened in the background; whether it is, or cannot be."""
        return self._prefetcher.wait(index, seconds)

    def mark(self, index: int) -> Mark:
        """Whether an image is painted, in this session or by its files."""
        if index in self.store.unsaved:
            return Mark.UNSAVED
        picture = self.pictures[index]
        opened = self.store.images.get(index)
        if opened is not None and not opened.document.painted and index not in self._saved:
            return Mark.NONE
        segments_only = picture.file("_segments.png").exists()
        recorded = picture.record_file.is_file() and not segments_only
        if index in self._saved or recorded or picture.file("_labels.png").exists():
            return Mark.SAVED
        return Mark.UNSAVED if autosave_path(picture).exists() else Mark.NONE

    def may_be_painted(self, index: int, names: Container[str]) -> bool:
        """Whether an image with these files in its output folders may have a mark."""
        picture = self.pictures[index]
        endings = (".json", OTHER_RECORD, "_labels.png", SUFFIX)
        known = index in self._saved or index in self.store.unsaved
        return known or any(picture.name + ending in names for ending in endings)

    def next_unpainted(self) -> int | None:
        """The next image that is not painted, after the last one from the start; None if none."""
        count = len(self.pictures)
        after = ((self.index + step) % count for step in range(1, count))
        return next((index for index in after if self.mark(index) is Mark.NONE), None)

    def go(self, step: int) -> bool:
        """To an image further on, or back if negative; False if there is none."""
        index = self.index + step
        if not 0 <= index < len(self.pictures):
            return False
        self.store.autosave(self.index)
        self.index = index
        self._prefetch()
        return True

    def save(self, saves: Sequence[str] = ()) -> list[Path]:
        """Write the masks of the current image and the other requested files.

        `saves`: other formats than those of the session.
        """
        opened = self.current
        if opened is None:
            return []
        try:
            files = opened.save(saves or self._saves[0], *self._saves[1:])
        except IcasError as error:
            self._save_errors[self.index] = error.message
            raise
        self._save_errors.pop(self.index, None)
        self._saved.add(self.index)
        opened.autosaved_revision = NEVER_SAVED  # the autosave file lacks that it is saved
        self.store.autosave(self.index, force=True)
        return files

    def change_classes(self, palette: Palette, changed: dict[PaintClass, PaintClass]) -> None:
        """Continue with other classes in all images, and list them in the output folders.

        `changed`: new names and colors of present classes. IcasError where a list cannot be
        written; the classes are changed all the same.
        """
        self._class_edits.append((palette, changed))
        self._opener = replace(self._opener, palette=palette)
        for opened in self.store.images.values():
            self._edit_classes(opened)
        for out in sorted({picture.out for picture in self.pictures}):
            write_listed_classes(out, palette)

    def _edit_classes(self, opened: OpenImage) -> None:
        """Apply the class edits made since an image was opened."""
        for palette, changed in self._class_edits[opened.class_edits :]:
            opened.change_classes(palette, changed)
        opened.class_edits = len(self._class_edits)

    def reload(self, index: int) -> None:
        """Open an image again, whose files another program has changed; unsaved paint stays."""
        if index in self.store.unsaved:
            return
        self.store.flush(index)
        self.store.writing.pop(index, None)
        self.store.images.pop(index, None)
        self.store.written.discard(index)
        self._prefetcher.drop(index)
        self._prefetch()

    def tick(self) -> str:
        """Autosave and evict if it is time; a message if an autosave failed, else ""."""
        return self.store.tick(self.index)

    def close(self, seconds: float = 0.5) -> SessionSummary:
        """Autosave all painting, and end the work in the background, for which this waits."""
        ended = self._prefetcher.close(seconds)
        self.store.close()
        failed = {**self.store.errors, **self._save_errors}
        return SessionSummary(
            len(self.pictures),
            len(self._saved),
            self.unsaved,
            {self.pictures[index].path: error for index, error in sorted(self.errors.items())},
            {self.pictures[index].path: error for index, error in sorted(failed.items())},
            tuple(sorted({picture.out for picture in self.pictures})),
            ended,
            tuple(self._left_out),
        )

    def _open(self, index: int) -> OpenImage:
        """Open an image; what was painted in this session is restored in any case."""
        again = index in self.store.written
        edits = len(self._class_edits)
        opener = replace(self._opener, resume=True) if again else self._opener
        opened = opener.open(self.pictures[index])
        opened.class_edits = edits
        if self._prepare is not None:
            self._prepare(opened)
        return opened

    def _prefetch(self) -> None:
        """Open the current image, then the next, the previous, and those further on."""
        near = [self.index]
        if self._ahead:
            near += [self.index + 1, self.index - 1]
            near += range(self.index + 2, self.index + self._ahead + 1)
        near[1:1] = [index for index in self._wanted if index != self.index]
        inside = [index for index in near if 0 <= index < len(self.pictures)]
        self._prefetcher.request([index for index in inside if index not in self.store.images])
