"""The open images of a session: evicted from memory when it is full, autosaved always."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from icas.io.formats import os_reason
from icas.segmentimg.formats.autosave import AutosaveWriter, autosave_path
from icas.segmentimg.session.open import OpenImage

AUTOSAVE_SECONDS = 2.0
"""Interval of autosaves; no more than this is lost when the process dies."""
RETRY_SECONDS = 10.0
"""Interval after an autosave that failed."""


class ImageStore:
    """Open images by index, up to `limit` bytes; what could not be autosaved is never evicted."""

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
            text = f"painting cannot be kept in {folder}: {reason}"
            message = message if index in self.errors else text
            self.errors[index] = text
            self._next_autosave = self._clock() + RETRY_SECONDS
        return message
