"""A session: which picture, what is painted on it, what is saved; no window anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icas.common.errors import IcasError
from icas.segmentimg.formats.inputs import Picture
from icas.segmentimg.session.open import NOT_KEPT, Opener, Work
from icas.segmentimg.session.prefetch import Ahead
from icas.segmentimg.session.save import Saving, save_work
from icas.segmentimg.session.store import Shelf

HELD_BYTES = 512 * 1024**2
"""Memory for pictures opened ahead, and as much again for those that were left."""


@dataclass(frozen=True)
class Summary:
    """What a session did.

    Attributes
    ----------
    pictures, saved : int
        Pictures there are, and those saved at least once.
    unsaved : tuple of Path
        Pictures with painting that is kept, but not saved.
    unreadable : dict
        Path -> reason.
    failed : dict
        Path -> why its painting could not be saved or kept.
    out : tuple of Path
        Folders of the files.
    ended : bool
        Whether no picture is being opened any more in the background.
    """

    pictures: int
    saved: int
    unsaved: tuple[Path, ...]
    unreadable: dict[Path, str]
    failed: dict[Path, str]
    out: tuple[Path, ...]
    ended: bool

    def line(self) -> str:
        """The line that a session ends with."""
        return (
            f"{self.pictures} pictures, {self.saved} saved, {len(self.unsaved)} painted but not"
            f" saved, {len(self.unreadable)} unreadable -> {', '.join(map(str, self.out))}"
        )


class Session:
    """Pictures to be painted one after the other.

    The current picture is opened first, then the next ones, in threads of their own. What is
    painted is kept beside the masks every few seconds, so that nobody loses it.

    Parameters
    ----------
    pictures : sequence of Picture
        At least one.
    opener : Opener
    saving : Saving
    ahead : int
        How many of the next pictures are opened in advance.
    jobs : int
        Threads for that.
    clock : callable
        Seconds, as `time.monotonic`.
    held_bytes : int
        Memory for pictures opened ahead, and as much for those left behind.

    Attributes
    ----------
    pictures : list of Picture
    place : int
        The current one.
    errors : dict
        Place -> why the picture there could not be opened.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        opener: Opener,
        saving: Saving | None = None,
        *,
        ahead: int = 2,
        jobs: int = 1,
        clock: Callable[[], float] = time.monotonic,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        self.pictures = list(pictures)
        self.place = 0
        self.errors: dict[int, str] = {}
        self._opener, self._saving, self._reach = opener, saving or Saving(), ahead
        self._saved: set[int] = set()
        self._save_errors: dict[int, str] = {}
        self._shelf = Shelf(held_bytes, clock)
        self._ahead: Ahead[Work] = Ahead(self._open, lambda work: work.nbytes, held_bytes, jobs)
        self._ask()

    @property
    def picture(self) -> Picture:
        """The current picture."""
        return self.pictures[self.place]

    @property
    def work(self) -> Work | None:
        """The current picture, opened; None while it is not, or cannot be."""
        if self.place not in self._shelf and self.place not in self.errors:
            self._fetch()
        return self._shelf.get(self.place)

    @property
    def error(self) -> str:
        """Why the current picture could not be opened; "" where it could, or is not yet."""
        return self.errors.get(self.place, "")

    @property
    def unsaved(self) -> tuple[Path, ...]:
        """Pictures with painting that the masks do not hold."""
        return tuple(self.pictures[place].path for place in sorted(self._shelf.unsaved))

    def go(self, step: int) -> bool:
        """To the next picture (1) or the previous one (-1); False where there is none."""
        place = self.place + step
        if not 0 <= place < len(self.pictures):
            return False
        self._shelf.keep(self.place)
        self.place = place
        self._ask()
        return True

    def save(self) -> list[Path]:
        """Write the masks of the current picture, and what else is asked for.

        Raises
        ------
        IcasError
            The disk fails, or a file that is not ours is in the way; the painting stays as it is.
        """
        work = self.work
        if work is None:
            return []
        try:
            files = save_work(work, self._saving)
        except IcasError as error:
            self._save_errors[self.place] = str(error)
            raise
        self._save_errors.pop(self.place, None)
        self._saved.add(self.place)
        work.kept_revision = NOT_KEPT  # what is kept does not know that it is saved
        self._shelf.keep(self.place, again=True)
        return files

    def tick(self) -> str:
        """What has to be done from time to time; a message where keeping fails, else ""."""
        told = self._shelf.tick()
        self._shelf.forget([self.place])
        return told

    def close(self) -> Summary:
        """Keep all painting, and end the work in the background."""
        ended = self._ahead.close()
        self._shelf.close()
        failed = {**self._shelf.errors, **self._save_errors}
        return Summary(
            len(self.pictures),
            len(self._saved),
            self.unsaved,
            {self.pictures[place].path: error for place, error in sorted(self.errors.items())},
            {self.pictures[place].path: error for place, error in sorted(failed.items())},
            tuple(sorted({picture.out for picture in self.pictures})),
            ended,
        )

    def _open(self, place: int) -> Work:
        """Open a picture; what was painted there in this session counts in any case."""
        again = place in self._shelf.written
        opener = replace(self._opener, resume=True) if again else self._opener
        return opener.open(self.pictures[place])

    def _ask(self) -> None:
        """Have the current picture opened, then the next, the previous, and those further on."""
        near = [self.place, self.place + 1, self.place - 1]
        near += range(self.place + 2, self.place + self._reach + 1)
        if self._reach == 0:
            near = [self.place]
        inside = [place for place in near if 0 <= place < len(self.pictures)]
        self._ahead.want([place for place in inside if place not in self._shelf])

    def _fetch(self) -> None:
        try:
            work = self._ahead.take(self.place)
        except Exception as error:  # of one picture; the session goes on
            self.errors[self.place] = str(error) or type(error).__name__
            return
        if work is not None:
            self._shelf.put(self.place, work)
