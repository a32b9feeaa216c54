"""What a worker does: features, sources, and the painting of one image carried and saved."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from icas.common.errors import IcasError
from icas.io.files import write_whole
from icas.io.reading import Image, read_image
from icas.segmentimg.datasets.saved import recorded
from icas.segmentimg.document.palette import Painting, Palette
from icas.segmentimg.formats.inputs import ImageFile, digest_of, image_record
from icas.segmentimg.formats.masks import save_painting, update_record
from icas.segmentimg.propagation.carry import Carried, Painted, carry
from icas.segmentimg.propagation.features import (
    ImageFeatures,
    from_bytes,
    image_features,
    to_bytes,
)
from icas.segmentimg.propagation.network import FeatureNetwork
from icas.segmentimg.propagation.queue import accepted
from icas.segmentimg.propagation.refine import SamRefinement
from icas.segmentimg.propagation_run.history import run_folder, write_backup
from icas.segmentimg.propagation_run.images import (
    ACCEPTED,
    CARRIED,
    LEVEL,
    CarriedObject,
    ImageState,
    Mark,
    keyed_masks,
    painting_digest,
    saved_painting,
)
from icas.segmentimg.propagation_run.relations import sources_of
from icas.segmentimg.segmenters.sam import SamSegmenter

METHOD = "propagate"
"""Method in NAME.json of a carried image."""
ABSENT = "absent"
FEATURES_ENDING = ".features"


@dataclass(frozen=True)
class CarrySettings:
    """What all images of a run have in common; small, as it travels with every task."""

    run: int
    network: FeatureNetwork | None
    sam_checkpoint: str | None
    accept: float
    palette: Palette
    saves: tuple[str, ...]
    portable_names: bool
    max_pixels: int
    record: dict[str, Any]
    """Options in NAME.json."""


def features_file(picture: ImageFile) -> Any:
    """Where the features of an image are kept between runs."""
    return run_folder(picture.out) / f"{picture.name}{FEATURES_ENDING}"


def identity_of(network: FeatureNetwork | None) -> str:
    """Identifies a network; "" for none."""
    return "" if network is None else network.identity


def load_features(
    picture: ImageFile, network: FeatureNetwork | None, max_pixels: int, image: Image | None = None
) -> ImageFeatures:
    """The features of an image, from its file of an earlier run if it fits."""
    key = hashlib.sha256(f"{digest_of(picture.path)} {identity_of(network)}".encode()).digest()
    path = features_file(picture)
    try:
        data = path.read_bytes()
        if data[: len(key)] == key:
            return from_bytes(data[len(key) :])
    except (OSError, ValueError):
        pass  # computed again
    if image is None:
        image = read_image(picture.path, max_pixels=max_pixels)
    features = image_features(image, network)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, key + to_bytes(features))
    except OSError:
        pass  # only costs time
    return features


def features_of(state: ImageState, network: FeatureNetwork | None, max_pixels: int) -> Any:
    """The features of an image; the reason where it cannot be read."""
    try:
        return load_features(state.picture, network, max_pixels)
    except IcasError as error:
        return error.message


def keep_features(state: ImageState, network: FeatureNetwork | None, max_pixels: int) -> None:
    """Compute the features of an image, so that other workers find them in its file."""
    features_of(state, network, max_pixels)


def painted_of(state: ImageState, network: FeatureNetwork | None, max_pixels: int) -> Any:
    """A source with its saved painting; the reason where it cannot be read."""
    try:
        features = load_features(state.picture, network, max_pixels)
        return Painted.of(features, keyed_masks(saved_painting(state, max_pixels)))
    except IcasError as error:
        return error.message


@lru_cache(maxsize=2)
def _sources(
    origin: str, states: tuple[ImageState, ...], network: FeatureNetwork | None, max_pixels: int
) -> list[tuple[str, Painted]]:
    """The sources of a cluster, with their files; those that cannot be read are left out.

    Cached, as all images of the cluster need them.
    """
    loaded = ((state.file, painted_of(state, network, max_pixels)) for state in states)
    return [(file, one) for file, one in loaded if not isinstance(one, str)]


def carry_image(
    state: ImageState,
    origin: str,
    sources: tuple[ImageState, ...],
    parent: ImageState | None,
    settings: CarrySettings,
) -> ImageState:
    """Carry the sources to an image and save the painting.

    Parameters
    ----------
    origin : str
        Digest of the sources and settings, for the mark.
    parent : ImageState, optional
        A similar image that was carried before and is one more source.

    Returns
    -------
    ImageState
        As saved; with a `reason` where the image could not be read or saved.
    """
    picture = state.picture
    common = (settings.network, settings.max_pixels)
    start = time.perf_counter()
    try:
        digest = digest_of(picture.path)
        image = read_image(picture.path, max_pixels=settings.max_pixels)
        features = load_features(picture, settings.network, settings.max_pixels, image)
        painted = _sources(origin, sources, *common)
        if not painted:
            raise IcasError("no painted image of its cluster can be read")
        painted = [painted[i] for i in sources_of(features, [one for _, one in painted])]
        chained = [] if parent is None else [painted_of(parent, *common)]
        chained = [one for one in chained if not isinstance(one, str)]
        carried = carry_masks(
            features, [one for _, one in painted], chained, settings.sam_checkpoint
        )
        painting = painting_of(carried, image, settings.palette)
        via = parent.file if parent is not None and chained else ""
        source = painted[carried.source][0]
        mark = _mark(state, carried, painting, origin, source, via, settings)
        options = {"options": settings.record, "work_size": int(np.prod(features.shape))}
        seconds = time.perf_counter() - start
        about = image_record(picture.path, image, digest, {"method": METHOD, **options}, 0, seconds)
        if state.digest:
            before = recorded(picture)
            write_backup(picture, settings.run, saved_painting(state, settings.max_pixels), before)
        about.update(mark.entry())
        save_painting(picture, painting, about, settings.saves, settings.portable_names)
    except IcasError as error:
        return replace(state, reason=error.message)
    used = painting.painted()
    classes = tuple(painting.classes[number - 1] for number in used)
    return replace(state, state=mark.state, digest=mark.painting, mark=mark, classes=classes)


def carry_masks(
    features: ImageFeatures,
    painted: Sequence[Painted],
    chained: Sequence[Painted],
    sam_checkpoint: str | None,
) -> Carried:
    """Carry masks to an image, with borders refined if there is a checkpoint."""
    sam = None if sam_checkpoint is None else _refinement(sam_checkpoint)
    return carry(features, painted, chained=chained, sam=sam)


def check_checkpoint(checkpoint: str | None) -> None:
    """Raise a UsageError for a wrong checkpoint, before any work."""
    if checkpoint is not None:
        SamSegmenter(checkpoint=checkpoint)


@lru_cache(maxsize=1)
def _refinement(checkpoint: str) -> SamRefinement:
    """The refinement with a checkpoint, one per process."""
    return SamRefinement(SamSegmenter(checkpoint=checkpoint).embedder())


def painting_of(carried: Carried, image: Image, palette: Palette) -> Painting:
    """The painting of a result, at the size of the image."""
    shape = image.shape[:2]
    class_map, numbers = np.zeros(shape, np.int16), np.zeros(shape, np.uint16)
    places = {entry.name: number for number, entry in enumerate(palette, start=1)}
    for (name, number), mask in carried.full_size(image).items():
        class_map[mask], numbers[mask] = places[str(name)], number
    return Painting(class_map, palette, numbers)


def _mark(
    state: ImageState,
    carried: Carried,
    painting: Painting,
    origin: str,
    source: str,
    parent: str,
    settings: CarrySettings,
) -> Mark:
    via = f" via {parent}" if parent else ""
    present = set(painting.painted())
    names = {painting.classes[number - 1].name for number in present}
    objects = tuple(
        CarriedObject(
            str(name),
            number,
            source,
            ABSENT if (name, number) in carried.absent else carried.route + via,
            float(confidence),
        )
        for (name, number), confidence in sorted(carried.confidences.items())
        if (name, number) in carried.absent or name in names
    )
    if not objects:
        objects = (CarriedObject("", 0, source, ABSENT, float(carried.confidence)),)
    good = accepted(carried.confidence, settings.accept)
    before = state.mark.before if state.mark is not None else recorded(state.picture) or None
    return Mark(
        settings.run,
        ACCEPTED if good else CARRIED,
        LEVEL if good else "",
        float(carried.confidence),
        objects,
        origin,
        painting_digest(painting),
        before,
    )


def accept_by_level(state: ImageState, level: float) -> ImageState:
    """Accept a carried image that an earlier, higher level did not."""
    mark = state.mark
    if state.state != CARRIED or mark is None or not accepted(mark.confidence, level):
        return state
    mark = replace(mark, state=ACCEPTED, by=LEVEL)
    update_record(state.picture, mark.entry())
    return replace(state, state=ACCEPTED, mark=mark)


def complete_save(state: ImageState, settings: CarrySettings) -> ImageState:
    """Save the painting of an image again whose last save was interrupted."""
    painting = saved_painting(state, settings.max_pixels)
    save_painting(state.picture, painting, {}, settings.saves, settings.portable_names)
    return replace(state, interrupted=False)
