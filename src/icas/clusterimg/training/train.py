"""Train an autoencoder on a folder of images: checks, pixels, and the training itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Bar, Console
from icas.clusterimg.data.images import ImageRef, Scan, Unreadable, scan
from icas.clusterimg.features.extraction import Decoding, read_chunk
from icas.clusterimg.training.checkpoints import Places, origin_of, places_of
from icas.clusterimg.training.report import TrainReport
from icas.clusterimg.training.settings import TrainSettings
from icas.common.devices import choose_device
from icas.common.errors import IcasError
from icas.common.registry import need
from icas.io.sandbox import DECODERS
from icas.parallel.executors import Workers, start_workers

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
    with _pixel_array((len(images), size, size, 3), scratch, budget) as array:
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
def _pixel_array(shape: tuple[int, ...], scratch: Path, budget: int) -> Iterator[NDArray[np.uint8]]:
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
                f"{scratch} has no space for the {needed:,} bytes of all pixels"
                f" ({error.strerror or error}): use a smaller --size"
            ) from error
        yield np.memmap(file, np.uint8, "r+", shape=shape)


def _reserve(descriptor: int, size: int) -> None:
    # A hole that cannot be filled later would end the process when it is written to.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def train(
    src: str | Path, settings: TrainSettings | None = None, console: Console | None = None
) -> TrainReport:
    """Train an autoencoder on a folder of images and write it into a file.

    Parameters
    ----------
    src : path
    settings : TrainSettings
    console : Console
        Output of the run; default none.

    Raises
    ------
    MissingExtraError
        torch is not installed.
    UsageError
        No such folder or device, settings that do not fit it, or a resume of another training.
    ConflictError
        A result is there already.
    IcasError
        Too few images or all the same; weights of the loss cannot be fetched; the loss is no
        finite number any more (the best weights before that are written); or the disk fails.
    """
    need("training", "deep", "torch", "torchvision")
    from icas.clusterimg.training.loop import Session
    from icas.clusterimg.training.losses import make_loss

    settings, console, folder = settings or TrainSettings(), console or Console(), Path(src)
    scanned = _scanned(folder, settings)
    places = places_of(folder, settings)
    device = choose_device(settings.device)
    loss = make_loss(settings)
    with ExitStack() as stack:
        pixels = _read(stack, scanned, settings, places, console)
        for item in (*pixels.unreadable, *scanned.unreadable):
            console.warn(f"unreadable: {item.file}: {item.reason}")
        _check_content(pixels, folder, settings)
        read = set(pixels.files)
        origin = origin_of(settings, device, [item for item in scanned.images if item.file in read])
        session = Session(places, settings, origin, device, console)
        curve = session.earlier_curve()
        if curve is None:
            curve = session.run(pixels.array, loss)
    unreadable = (*pixels.unreadable, *scanned.unreadable)
    return TrainReport(places.model, len(pixels.files), curve, unreadable)


def _scanned(folder: Path, settings: TrainSettings) -> Scan:
    scanned = scan(folder, recursive=settings.recursive)
    if not scanned.images:
        hint = "" if settings.recursive else " (use --recursive to include sub-folders)"
        raise IcasError(f"no images in {folder}{hint}")
    return scanned


def _read(
    stack: ExitStack, scanned: Scan, settings: TrainSettings, places: Places, console: Console
) -> Pixels:
    images: Sequence[ImageRef] = scanned.images
    with (
        start_workers("threads", settings.jobs) as workers,
        DECODERS,
        console.bar(len(images), "reading", "images") as bar,
    ):
        return stack.enter_context(
            opened_pixels(
                images,
                settings.size,
                workers,
                places.model.resolve().parent,
                how=settings.decoding(),
                bar=bar,
            )
        )


def _check_content(pixels: Pixels, folder: Path, settings: TrainSettings) -> None:
    count = len(pixels.files)
    if count == 0:
        raise IcasError(f"none of the images in {folder} could be read")
    if count == 1:
        raise IcasError(f"only one image in {folder}: training needs at least 2 different images")
    if pixels.all_equal():
        raise IcasError(
            f"all {count} images in {folder} are identical at {settings.size}x{settings.size}"
            " pixels: training needs different images"
        )
