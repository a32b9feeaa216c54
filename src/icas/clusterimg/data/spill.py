"""Links as they are found: in memory while they are few, in a file of their own beyond."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.links import NONE, Links, join_links
from icas.common.errors import IcasError

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
        """Keep `links` behind those that are there.

        Raises IcasError: the disk is full.
        """
        self._held.append(links)
        self._count += len(links)
        if self._files is not None or self._count > self._most:
            self._spill()

    def links(self) -> Links:
        """All of them; beyond `most` read-only arrays that lie in a file."""
        if self._files is None:
            return _side_by_side(self._held)
        arrays = (_mapped(file, kind) for file, kind in zip(self._files, _KINDS, strict=True))
        return Links(*arrays)

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
                f"cannot keep {self._count:,} links in {place}: {error.strerror or error};"
                " --scratch DIR names another folder"
            ) from error
        self._held.clear()

    def _open(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._scratch, buffering=0)


_KINDS = (np.int64, np.int64, np.float32)


def _mapped(file: IO[bytes], kind: type[Any]) -> NDArray[Any]:
    return np.memmap(file, kind, mode="r")


def _side_by_side(parts: list[Links]) -> Links:
    kept = [part for part in parts if len(part)]
    if len(kept) < 2:
        return kept[0] if kept else NONE
    a, b, similarity = zip(*((one.a, one.b, one.similarity) for one in kept), strict=True)
    return Links(np.concatenate(a), np.concatenate(b), np.concatenate(similarity))


def by_bands(tiles: Iterable[Links], across: int) -> Iterator[Links]:
    """Links of tiles that come row of tiles by row, each row sorted by a, then b.

    So links are sorted as they come, without ever being all in memory.

    tiles: of the upper triangle of `across` by `across` tiles, row by row.
    """
    rest = iter(tiles)
    for row in range(across):
        yield join_links(islice(rest, across - row))
