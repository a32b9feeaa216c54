"""A folder of images -> a trained network: what is checked and read before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from icas.cli.console import Console
from icas.clusterimg.data.images import ImageRef, Scan, scan
from icas.clusterimg.training.checkpoints import Places, origin_of, places_of
from icas.clusterimg.training.dataset import Pixels, opened_pixels
from icas.clusterimg.training.report import TrainReport
from icas.clusterimg.training.settings import TrainSettings
from icas.common.devices import choose_device
from icas.common.errors import IcasError
from icas.common.registry import need
from icas.io.sandbox import DECODERS
from icas.parallel.executors import start_workers


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
    from icas.clusterimg.training.losses import make_loss
    from icas.clusterimg.training.session import Session

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
            curve = session.run(pixels, loss)
    unreadable = (*pixels.unreadable, *scanned.unreadable)
    return TrainReport(places.model, len(pixels.files), curve, unreadable)


def _scanned(folder: Path, settings: TrainSettings) -> Scan:
    scanned = scan(folder, recursive=settings.recursive)
    if not scanned.images:
        hint = "" if settings.recursive else " (--recursive goes into sub-folders)"
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
        raise IcasError(f"no images in {folder} could be read")
    if count == 1:
        raise IcasError(f"one image in {folder}: training needs at least 2 that differ")
    if pixels.all_equal():
        raise IcasError(
            f"all {count} images in {folder} are the same at {settings.size}x{settings.size}"
            " pixels: there is nothing to learn"
        )
