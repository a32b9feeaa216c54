"""A folder of images -> one array of pixels, in memory or, where that is too much, on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Bar
from icas.clusterimg.data.images import ImageRef, Unreadable
from icas.clusterimg.features.decoding import Decoding, read_chunk
from icas.common.errors import IcasError
from icas.parallel.executors import Workers

BUDGET = 1 << 31
"""Bytes of pixels that are kept in memory; more lie in a file that the system pages in and out."""

CHUNK = 32
"""Images a task, as when features are made."""

_AT_ONCE = 256


@dataclass(frozen=True)
class Pixels:
    """Images brought to one size.

    Attributes
    ----------
    files : tuple of str
        Their names relative to the source.
    array : (n, size, size, 3) uint8
        RGB, in the order of `files`.
    unreadable : tuple of Unreadable
        The files that could not be read.
    """

    files: tuple[str, ...]
    array: NDArray[np.uint8]
    unreadable: tuple[Unreadable, ...]

    def all_equal(self) -> bool:
        """Whether no image differs from the first."""
        starts = range(0, len(self.array), _AT_ONCE)
        return all((self.array[i : i + _AT_ONCE] == self.array[0]).all() for i in starts)


@contextmanager
def opened_pixels(
    images: Sequence[ImageRef],
    size: int,
    workers: Workers,
    scratch: Path,
    *,
    how: Decoding,
    budget: int = BUDGET,
    bar: Bar | None = None,
) -> Iterator[Pixels]:
    """The `images` at `size` x `size`, each read once, for as long as the block runs.

    Parameters
    ----------
    scratch : Path
        Folder in which a temporary file is made where they take more than `budget` bytes; it is
        gone after the block, and after a kill too where the system can do that.
    """
    with _room((len(images), size, size, 3), scratch, budget) as array:
        chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
        files: list[str] = []
        unreadable: list[Unreadable] = []
        tasks = ((chunk, how, (size, size)) for chunk in chunks)
        for pictures, readable, failed in workers.ordered(read_chunk, tasks):
            for file, image in zip(readable, pictures, strict=True):
                array[len(files)] = image
                files.append(file)
            unreadable += failed
            if bar is not None:
                bar.update(len(readable) + len(failed))
        yield Pixels(tuple(files), array[: len(files)], tuple(unreadable))


@contextmanager
def _room(shape: tuple[int, ...], scratch: Path, budget: int) -> Iterator[NDArray[np.uint8]]:
    """A new array, in a file without a name in `scratch` where it is larger than `budget`."""
    needed = int(np.prod(shape, dtype=np.int64))
    if needed <= budget:
        yield np.empty(shape, np.uint8)
        return
    with tempfile.TemporaryFile(dir=scratch) as file:
        try:
            _reserve(file.fileno(), needed)
        except OSError as error:
            raise IcasError(
                f"no room in {scratch} for the {needed:,} bytes of all pixels"
                f" ({error.strerror or error}): choose a smaller --size"
            ) from error
        yield np.memmap(file, np.uint8, "r+", shape=shape)


def _reserve(descriptor: int, size: int) -> None:
    # A hole that cannot be filled later would end the process when it is written to.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)
