"""The opened pictures of a session: held in memory while there is room, kept on disk always."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from icas.io.formats import os_reason
from icas.segmentimg.formats.autosave import Keeper, place_of
from icas.segmentimg.session.open import Work
from icas.segmentimg.session.save import kept_of

KEEP_SECONDS = 2.0
"""Painting is kept this long after it changed; no more than this is lost when the process dies."""
AGAIN_SECONDS = 10.0
"""Time until a document that could not be kept is tried again."""


class Shelf:
    """Pictures that were opened, by their place in the session's list.

    Parameters
    ----------
    limit : int
        Bytes that they may take together; what is painted and could not be kept stays in any case.
    clock : callable
        Seconds, as `time.monotonic`.

    Attributes
    ----------
    errors : dict
        Place -> why the painting there could not be kept.
    written : set of int
        Places whose documents were written since the session began.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit, clock
        self._works: dict[int, Work] = {}
        self._keeper = Keeper()
        self._writing: dict[int, tuple[Future[None], int]] = {}
        self._due = 0.0
        self._left_unsaved: set[int] = set()
        self.errors: dict[int, str] = {}
        self.written: set[int] = set()

    def __contains__(self, place: int) -> bool:
        return place in self._works

    def get(self, place: int) -> Work | None:
        """A picture that is held; None for another."""
        return self._works.get(place)

    def put(self, place: int, work: Work) -> None:
        """Hold a picture that was opened."""
        self._works[place] = work
        self._left_unsaved.discard(place)

    @property
    def unsaved(self) -> set[int]:
        """Places of painting that the masks do not hold."""
        return self._left_unsaved | {place for place, work in self._works.items() if work.unsaved}

    def keep(self, place: int, *, again: bool = False) -> None:
        """Have a document written if it has changed, or in any case (`again`)."""
        work = self._works.get(place)
        if work is None or (work.kept and not again):
            return
        revision = work.document.revision
        if not again and place in self._writing and self._writing[place][1] == revision:
            return
        self._writing[place] = self._keeper.submit(place_of(work.picture), kept_of(work)), revision

    def tick(self) -> str:
        """Keep what has changed if it is time; a message where that has failed, else ""."""
        told = self._settle()
        now = self._clock()
        if now >= self._due and not self._writing:
            self._due = now + KEEP_SECONDS
            self._keep_all()
        return told

    def forget(self, near: list[int]) -> None:
        """Let go of what is kept, until the rest has room; never of the places in `near`."""
        held = sum(work.nbytes for work in self._works.values())
        for place, work in list(self._works.items()):
            if held <= self._limit:
                return
            if place not in near and work.kept and place not in self._writing:
                held -= work.nbytes
                del self._works[place]
                if work.unsaved:
                    self._left_unsaved.add(place)

    def close(self) -> None:
        """Keep all that has changed, and wait for the disk."""
        self._keep_all()
        self._keeper.close()
        self._settle()

    def _keep_all(self) -> None:
        for place in self._works:
            self.keep(place)

    def _settle(self) -> str:
        """Note which documents are on the disk now."""
        told = ""
        for place, (future, revision) in list(self._writing.items()):
            if not future.done():
                continue
            del self._writing[place]
            error = future.exception()
            if error is None:
                self._works[place].kept_revision = revision
                self.written.add(place)
                self.errors.pop(place, None)
                continue
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            folder = place_of(self._works[place].picture).parent
            text = f"painting cannot be kept in {folder}: {reason}"
            told = told if place in self.errors else text
            self.errors[place] = text
            self._due = self._clock() + AGAIN_SECONDS
        return told
