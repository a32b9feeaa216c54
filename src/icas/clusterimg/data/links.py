"""Links: pairs of images at or above a threshold, in memory or, if they are many, in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import IcasError

PART = 1 << 22
"""Links processed at a time."""
LINK_DTYPE = np.dtype([("a", np.int64), ("b", np.int64), ("similarity", np.float32)])


@dataclass(frozen=True)
class Links:
    """Pairs of images and their similarity, a structure of arrays of equal length m."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.a)

    def structured(self) -> NDArray[Any]:
        """(m,) structured array with the fields a, b, similarity."""
        packed = np.empty(len(self), LINK_DTYPE)
        packed["a"], packed["b"], packed["similarity"] = self.a, self.b, self.similarity
        return packed

    def at_least(self, threshold: float) -> Links:
        """The links at or above `threshold`."""
        return self.select(self.similarity >= np.float32(threshold))

    def renumbered(self, numbers: NDArray[np.int64]) -> Links:
        """The same links between other numbers: image i becomes ``numbers[i]``, a < b kept."""
        first, second = numbers[self.a], numbers[self.b]
        return Links(np.minimum(first, second), np.maximum(first, second), self.similarity)

    def select(self, rows: NDArray[Any]) -> Links:
        """Those of given rows, or where a mask is true."""
        return Links(self.a[rows], self.b[rows], self.similarity[rows])

    def shifted(self, start: int) -> Links:
        """The same links between images numbered from `start`."""
        return self if start == 0 else Links(self.a + start, self.b + start, self.similarity)

    def part(self, start: int, end: int) -> Links:
        """Links number `start` to `end`, without a copy."""
        return Links(self.a[start:end], self.b[start:end], self.similarity[start:end])

    def parts(self, size: int = PART) -> Iterator[Links]:
        """All links, at most `size` at a time: what is made of each then needs little memory."""
        for start in range(0, len(self), size):
            yield self.part(start, start + size)


NONE = Links(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


def appended(parts: Iterable[Links]) -> Links:
    """The links of `parts` one after the other."""
    kept = [part for part in parts if len(part)]
    if len(kept) < 2:
        return kept[0] if kept else NONE
    arrays = zip(*((part.a, part.b, part.similarity) for part in kept), strict=True)
    return Links(*map(np.concatenate, arrays))


def join_links(parts: Iterable[Links]) -> Links:
    """All links of `parts`, sorted by a, then b."""
    links = appended(parts)
    a, b = links.a, links.b
    if np.all((a[1:] > a[:-1]) | ((a[1:] == a[:-1]) & (b[1:] >= b[:-1]))):
        return links
    order = np.lexsort((b, a))
    return Links(a[order], b[order], links.similarity[order])


def each_once(links: Links) -> Links:
    """Every pair once, sorted by a, then b."""
    ordered = join_links([links])
    fresh = np.ones(len(ordered), bool)
    fresh[1:] = (ordered.a[1:] != ordered.a[:-1]) | (ordered.b[1:] != ordered.b[:-1])
    return ordered if fresh.all() else ordered.select(fresh)


def links_in(values: NDArray[np.float32], threshold: float, *, triangle: bool = False) -> Links:
    """Links in a matrix of similarities, sorted by row, then column.

    values: (n, m) float32; threshold: compared as float32; triangle: rows and columns are the same
    images: only pairs above the diagonal count.
    """
    linked = values >= np.float32(threshold)
    if triangle:
        linked = np.triu(linked, 1)
    rows, columns = np.nonzero(linked)
    return Links(rows, columns, values[rows, columns])


IN_MEMORY = 1 << 24
"""Links kept in memory, at 20 bytes each; what comes after them goes to disk."""


class LinkStore:
    """Takes links in their order and gives them back as one.

    most: links held in memory; scratch: folder for those beyond; default the system's. The files
    have no name there: they are gone when nothing uses them any more, even after a crash.
    """

    def __init__(self, most: int = IN_MEMORY, scratch: Path | None = None) -> None:
        self._most = most
        self._scratch = scratch
        self._held: list[Links] = []
        self._count = 0
        self._files: tuple[IO[bytes], ...] | None = None

    @staticmethod
    def most_within(memory: int) -> int:
        """Links to hold where a run may take `memory` bytes: one part in ten of it."""
        return min(IN_MEMORY, memory // 10 // 20)

    def add(self, links: Links) -> None:
        """Append `links`.

        Raises IcasError: the disk is full.
        """
        self._held.append(links)
        self._count += len(links)
        if self._files is not None or self._count > self._most:
            self._spill()

    def links(self) -> Links:
        """All links; if there are more than `most`, as read-only arrays mapped from a file."""
        if self._files is None:
            return appended(self._held)
        kinds = zip(self._files, _KINDS, strict=True)
        return Links(*(np.memmap(file, kind, mode="r") for file, kind in kinds))

    def _spill(self) -> None:
        try:
            if self._files is None:
                self._files = tuple(self._open() for _ in _KINDS)
            for links in self._held:
                arrays = (links.a, links.b, links.similarity)
                for file, array in zip(self._files, arrays, strict=True):
                    np.ascontiguousarray(array).tofile(file)
        except OSError as error:
            place = self._scratch or tempfile.gettempdir()
            raise IcasError(
                f"cannot write {self._count:,} links to {place}: {error.strerror or error};"
                " choose another folder with --scratch DIR"
            ) from error
        self._held.clear()

    def _open(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._scratch, buffering=0)


_KINDS = (np.int64, np.int64, np.float32)


def by_bands(tiles: Iterable[Links], across: int) -> Iterator[Links]:
    """Links of tiles that come row of tiles by row, each row sorted by a, then b.

    So links are sorted as they come, without ever being all in memory.

    tiles: of the upper triangle of `across` by `across` tiles, row by row.
    """
    rest = iter(tiles)
    for row in range(across):
        yield join_links(islice(rest, across - row))
