"""Files of the edges of a forest, the most similar first.

A file has a magic number, the number of edges and of different similarities, these with the edges
of each, then the images a and b of all edges. Images have 32 bits, so an edge of hash codes takes
eight bytes. All numbers are little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.links import NONE, Links
from icas.clusterimg.shards.store import unreadable
from icas.common.errors import IcasError
from icas.io.files import write_whole

MAGIC = int.from_bytes(b"icas-f01", "little")
HEADER, NUMBER, VALUE = np.dtype("<u8"), np.dtype("<u4"), np.dtype("<f4")
MOST_IMAGES = (1 << 31) - 1
"""Images of a run; scipy's graphs have no more, either."""


def write_edges(path: Path, edges: Links) -> None:
    """Write edges, which come the most similar first."""
    values = edges.similarity
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    counts = np.diff(starts, append=len(values))
    arrays = (
        np.array([MAGIC, len(edges), len(starts)], HEADER),
        values[starts].astype(VALUE),
        counts.astype(NUMBER),
        edges.a.astype(NUMBER),
        edges.b.astype(NUMBER),
    )
    write_whole(path, (array.tobytes() for array in arrays))


def is_whole(path: Path) -> bool:
    """Whether `path` is a file of edges that is not cut short."""
    try:
        EdgeFile.of(path)
    except IcasError:
        return False
    return True


@dataclass(frozen=True)
class EdgeFile:
    """A file of `write_edges`.

    values, ends: (k,) the different similarities, descending, and the end of the edges of each.
    """

    path: Path
    values: NDArray[np.float32]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, path: Path) -> EdgeFile:
        """The file at `path`.

        Raises IcasError: it is missing, incomplete, or something else.
        """
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                header = np.fromfile(file, HEADER, 3)
                known = len(header) == 3 and header[0] == MAGIC
                edges, kinds = header[1:].tolist() if known else (0, 0)
                values, counts = np.fromfile(file, VALUE, kinds), np.fromfile(file, NUMBER, kinds)
        except OSError as error:
            raise unreadable(path, error.strerror or str(error)) from error
        ends = np.cumsum(counts, dtype=np.int64)
        whole = known and size == _start(kinds) + edges * 2 * NUMBER.itemsize
        if not whole or ends[-1:].sum() != edges:
            raise unreadable(path, "it is damaged")
        return cls(path, values.astype(np.float32), ends)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def links(self) -> Links:
        """All edges."""
        return self.between(0, len(self.values))

    def between(self, first: int, last: int) -> Links:
        """The edges of the similarities number `first` to before number `last`."""
        ends = np.append(0, self.ends)
        start, stop = int(ends[first]), int(ends[last])
        if start == stop:
            return NONE
        sides: list[NDArray[np.int64]] = []
        try:
            with self.path.open("rb") as file:
                for place in (start, len(self) + start):
                    file.seek(_start(len(self.values)) + place * NUMBER.itemsize)
                    sides.append(np.fromfile(file, NUMBER, stop - start).astype(np.int64))
        except OSError as error:
            raise unreadable(self.path, error.strerror or str(error)) from error
        if any(len(side) < stop - start for side in sides):
            raise unreadable(self.path, "it is damaged")
        similarity = np.repeat(self.values[first:last], np.diff(ends[first : last + 1]))
        return Links(sides[0], sides[1], similarity)


def _start(kinds: int) -> int:
    """Where the edges start in a file."""
    return 3 * HEADER.itemsize + kinds * (VALUE.itemsize + NUMBER.itemsize)
