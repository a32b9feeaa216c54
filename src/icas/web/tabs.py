"""Which tab of the browser may write: the first one; the others are read only until it closes."""

from __future__ import annotations

from collections import Counter

from starlette.exceptions import HTTPException

GRACE = 3.0
"""Seconds for which a tab that is loaded again may still write."""
LONGEST = 100
"""Characters of the name of a tab."""


class Tabs:
    """The tabs with an open event stream, by the name that each has chosen.

    Requests without a name come from programs; they may write.
    """

    def __init__(self, grace: float = GRACE) -> None:
        self.grace = grace
        self._writer: str | None = None
        self._streams: Counter[str] = Counter()

    def may_write(self, tab: str | None) -> bool:
        """Whether a tab may write; the first one that asks may."""
        if tab is None:
            return True
        if self._writer is None:
            self._writer = tab[:LONGEST]
        return self._writer == tab[:LONGEST]

    def check(self, tab: str | None) -> None:
        """Refuse a tab that may not write."""
        if not self.may_write(tab):
            raise HTTPException(403, "another tab edits this review: this one is read only")

    def take(self, tab: str | None) -> None:
        """Make `tab` the one that may write."""
        self._writer = None if tab is None else tab[:LONGEST]

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
