"""Which tab of the browser may write: the first one; the others are read only until it closes."""

from __future__ import annotations

import time
from collections import Counter

from starlette.exceptions import HTTPException

GRACE = 3.0
"""Seconds for which a tab that is loaded again may still write."""
LONGEST = 100
"""Characters of the name of a tab."""


class Tabs:
    """The tabs with an open event stream, by the name that each has chosen.

    Requests without a name come from programs; they may write. `what` names what is edited.
    """

    def __init__(self, what: str, grace: float = GRACE) -> None:
        self.what, self.grace = what, grace
        self._writer: str | None = None
        self._streams: Counter[str] = Counter()
        self._seen = 0.0

    def may_write(self, tab: str | None) -> bool:
        """Whether a tab may write; the first one that asks may."""
        if tab is None:
            return True
        now = time.monotonic()
        gone = not self._streams[self._writer or ""] and now - self._seen > self.grace
        if self._writer is None or gone:
            self._writer = tab[:LONGEST]
        if self._writer == tab[:LONGEST]:
            self._seen = now
            return True
        return False

    def check(self, tab: str | None) -> None:
        """Refuse a tab that may not write."""
        if not self.may_write(tab):
            raise HTTPException(403, f"another tab edits this {self.what}: this one is read only")

    def take(self, tab: str | None) -> None:
        """Make `tab` the one that may write."""
        self._writer, self._seen = None if tab is None else tab[:LONGEST], time.monotonic()

    def opened(self, tab: str | None) -> None:
        """A tab has opened an event stream."""
        if tab is not None:
            self._streams[tab[:LONGEST]] += 1

    def closed(self, tab: str | None) -> bool:
        """A stream was closed; whether it was the last of the tab that may write."""
        if tab is None:
            return False
        tab = tab[:LONGEST]
        self._streams[tab] -= 1
        if self._streams[tab] > 0:
            return False
        del self._streams[tab]
        return tab == self._writer

    def release(self, tab: str | None) -> bool:
        """Let another tab write, unless this one has come back; whether it was released."""
        if tab is None or self._writer != tab[:LONGEST] or self._streams[tab[:LONGEST]] > 0:
            return False
        self._writer = None
        return True
