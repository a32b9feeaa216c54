"""Sources of shards: Parquet files of features, or a folder of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.parquet import read_rows, row_count
from icas.clusterimg.shards.store import spans, write_shard
from icas.common.errors import IcasError, UsageError
from icas.io.files import peak_memory_mb
from icas.io.find import natural_key

SUFFIX, FILES = ".parquet", "file"
"""Ending of the files, and the column of the names of images."""
Piece = tuple[Path, int, int]
"""Rows of a file, from the first to before the last."""


def parquet_files(src: Path, recursive: bool) -> list[Path]:
    """The Parquet files that `src` is or holds; none for a folder of images.

    Raises UsageError: `src` does not exist, or is another file.
    """
    if src.is_dir():
        found = src.rglob(f"*{SUFFIX}") if recursive else src.glob(f"*{SUFFIX}")
        names = (path.relative_to(src).as_posix() for path in found if path.is_file())
        return [src / name for name in sorted(names, key=natural_key)]
    if not src.exists():
        raise UsageError(f"{src} does not exist")
    if src.suffix.lower() != SUFFIX:
        raise UsageError(f"{src}: expected a folder of images or of Parquet files, or one of these")
    return [src]


@dataclass(frozen=True)
class Rows:
    """Rows of Parquet files, one after the other."""

    files: tuple[Path, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, files: Sequence[Path]) -> Rows:
        counts = tuple(map(row_count, files))
        if not sum(counts):
            raise IcasError(f"no rows in {files[0]}{' and others' if len(files) > 1 else ''}")
        return cls(tuple(path.absolute() for path in files), counts)

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def first(self) -> Path:
        """The first file with rows."""
        return next(file for file, count in zip(self.files, self.counts, strict=True) if count)

    def pieces(self, size: int) -> list[list[Piece]]:
        """The rows of each shard."""
        result: list[list[Piece]] = []
        for start, stop in spans(len(self), size):
            pieces, first = [], 0
            for file, count in zip(self.files, self.counts, strict=True):
                left, right = max(start, first), min(stop, first + count)
                if left < right:
                    pieces.append((file, left - first, right - first))
                first += count
            result.append(pieces)
        return result


def shard_of_rows(folder: Path, number: int, pieces: Sequence[Piece], column: str | None) -> float:
    """Write a shard of rows of Parquet files; returns the peak memory of the process in MB."""
    parts = [FeatureSet(*read_rows(*piece, column, FILES)) for piece in pieces]
    kinds = {(part.method, part.array.shape[1:]) for part in parts}
    if len(kinds) > 1:
        raise IcasError(f"{pieces[0][0]} and {pieces[-1][0]} hold features of different kinds")
    write_shard(folder, number, concatenate(parts))
    return peak_memory_mb() or 0.0


def fingerprint(parts: Iterable[object]) -> str:
    """A short text that changes with any of `parts`."""
    state = hashlib.blake2b(digest_size=12)
    for part in parts:
        state.update(f"{part}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def state_of(path: Path) -> tuple[str, int, int]:
    """Path, size and time of change of a file."""
    about = path.stat()
    return str(path.absolute()), about.st_size, about.st_mtime_ns
