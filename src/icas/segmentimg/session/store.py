"""The open images of a session: evicted from memory when it is full, autosaved always."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from icas.io.formats import os_reason
from icas.segmentimg.formats.autosave import Keeper, place_of
from icas.segmentimg.session.open import OpenImage

AUTOSAVE_SECONDS = 2.0
"""Interval of autosaves; no more than this is lost when the process dies."""
RETRY_SECONDS = 10.0
"""Interval after an autosave that failed."""


class ImageStore:
    """Open images by index, up to `limit` bytes; what could not be autosaved is never evicted."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit, clock
        self._images: dict[int, OpenImage] = {}
        self._keeper = Keeper()
        self._writing: dict[int, tuple[Future[None], int]] = {}
        self._next_autosave = 0.0
        self._evicted_unsaved: set[int] = set()
        self.errors: dict[int, str] = {}
        """Why an image could not be autosaved."""
        self.written: set[int] = set()
        """Images autosaved in this session."""

    def __contains__(self, index: int) -> bool:
        return index in self._images

    def get(self, index: int) -> OpenImage | None:
        """An image in memory; None if it is not."""
        return self._images.get(index)

    def put(self, index: int, opened: OpenImage) -> None:
        """Add an image."""
        self._images[index] = opened
        self._evicted_unsaved.discard(index)

    @property
    def unsaved(self) -> set[int]:
        """Images with painting that the masks lack."""
        return self._evicted_unsaved | {n for n, opened in self._images.items() if opened.unsaved}

    @property
    def writing(self) -> bool:
        """Whether an autosave is being written."""
        return bool(self._writing)

    def autosave(self, index: int, *, force: bool = False) -> None:
        """Write an image in the background if it has changed, or in any case (`force`)."""
        opened = self._images.get(index)
        if opened is None or (opened.autosaved and not force):
            return
        revision = opened.document.revision
        if not force and index in self._writing and self._writing[index][1] == revision:
            return
        future = self._keeper.submit(place_of(opened.picture), opened.snapshot())
        self._writing[index] = future, revision

    def tick(self) -> str:
        """Autosave what has changed if it is time; a message if that failed, else ""."""
        message = self._collect()
        now = self._clock()
        if now >= self._next_autosave and not self._writing:
            self._next_autosave = now + AUTOSAVE_SECONDS
            self._autosave_all()
        return message

    def evict(self, current: int) -> None:
        """Evict autosaved images until the rest fits into memory; never the current one."""
        held = sum(opened.nbytes for opened in self._images.values())
        for index, opened in list(self._images.items()):
            if held <= self._limit:
                return
            if index != current and opened.autosaved and index not in self._writing:
                held -= opened.nbytes
                del self._images[index]
                if opened.unsaved:
                    self._evicted_unsaved.add(index)

    def close(self) -> None:
        """Autosave all that has changed, and wait for the disk."""
        self._autosave_all()
        self._keeper.close()
        self._collect()

    def _autosave_all(self) -> None:
        for index in self._images:
            self.autosave(index)

    def _collect(self) -> str:
        """Note which autosaves have been written; a message about the first new failure."""
        message = ""
        for index, (future, revision) in list(self._writing.items()):
            if not future.done():
                continue
            del self._writing[index]
            error = future.exception()
            if error is None:
                self._images[index].autosaved_revision = revision
                self.written.add(index)
                self.errors.pop(index, None)
                continue
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            folder = place_of(self._images[index].picture).parent
            text = f"painting cannot be kept in {folder}: {reason}"
            message = message if index in self.errors else text
            self.errors[index] = text
            self._next_autosave = self._clock() + RETRY_SECONDS
        return message
