"""icas.propagate: masks carried between images in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError
from icas.io.find import find_images
from icas.io.reading import Image, as_image
from icas.parallel.executors import start_workers
from icas.segmentimg.document.palette import MAX_CLASSES, MAX_OBJECTS
from icas.segmentimg.propagation.carry import Key, Painted
from icas.segmentimg.propagation.features import ImageFeatures, image_features
from icas.segmentimg.propagation.network import FeatureNetwork, load_network
from icas.segmentimg.propagation.queue import ACCEPT, accepted, review_order
from icas.segmentimg.propagation.sources import similarities, suggest
from icas.segmentimg.propagation_run.carrying import carry_masks, check_checkpoint
from icas.segmentimg.propagation_run.relations import forest_parents, sources_of

OUTLIER = -1


@dataclass(frozen=True)
class _Entry:
    """What is known about one image; replaced, never changed."""

    state: str = "blank"
    class_map: NDArray[np.int16] | None = None
    instances: NDArray[np.uint16] | None = None
    confidence: float = 0.0
    source: int = -1
    route: str = ""

    @property
    def is_source(self) -> bool:
        painted = self.class_map is not None and bool(self.class_map.any())
        return painted and self.state in ("painted", "fixed")


class Propagation:
    """Masks carried from some images to the others; made by `icas.propagate`.

    Attributes
    ----------
    masks : list of (h, w) bool ndarray or (h, w) int16 ndarray
        Mask of each image, in its size: bool if all given masks are bool, else class numbers,
        0 = not painted. Given masks are as given.
    instances : list of (h, w) uint16 ndarray
        Object number of each pixel within its class, from 1; 0 = not painted.
    confidence : (n,) float64 ndarray
        Estimated probability that a mask is right (IoU of at least 0.75), 0 to 1; 1 for masks given
        or checked by a person, 0 for images without a source.
    states : list of str
        ``painted``, ``carried``, ``accepted``, ``fixed``, ``rejected``, or ``blank`` for images
        whose cluster has no painted image.
    sources : (n,) int64 ndarray
        Most similar painted image that a mask was carried from, -1 for none.
    routes : list of str
        How each mask was carried: ``geometry``, ``appearance``, ``sam``, ``absent``, or "".
    absent : (n,) bool ndarray
        Images in which nothing was found.

    Examples
    --------
    A mask carried to a shifted copy:

    >>> import icas
    >>> import numpy as np
    >>> from skimage.data import astronaut
    >>> image = astronaut()[::2, ::2]
    >>> copy = np.roll(image, (4, 6), axis=(0, 1))
    >>> mask = np.zeros(image.shape[:2], bool)
    >>> mask[20:90, 85:140] = True
    >>> done = icas.propagate([image, copy], {0: mask})
    >>> done.states[0], done.masks[1].shape, int(done.sources[1])
    ('painted', (256, 256), 0)

    A person corrects a mask, checks another, and undoes it:

    >>> done.correct(1, np.roll(mask, (4, 6), axis=(0, 1)))
    []
    >>> done.states, done.queue(), done.confidence.tolist()
    (['painted', 'fixed'], [], [1.0, 1.0])
    >>> done.undo(), done.states[1] in ("carried", "accepted")
    (True, True)
    >>> done.accept(1)
    >>> done.states[1]
    'accepted'
    >>> done.reject(1)
    >>> done.states[1], bool(done.masks[1].any()), bool(done.absent[1])
    ('rejected', False, True)
    >>> done.suggest(1)
    []
    """

    def __init__(
        self,
        images: Sequence[Any],
        features: Sequence[ImageFeatures],
        clusters: NDArray[np.int64],
        options: Mapping[str, Any],
        boolean: bool,
    ) -> None:
        self._images, self._features = list(images), list(features)
        self._clusters, self._options, self._boolean = clusters, dict(options), boolean
        self._shapes: dict[int, tuple[int, int]] = {}
        self._entries = [_Entry() for _ in images]
        self._undo: list[list[_Entry]] = []

    def __repr__(self) -> str:
        counts = {state: self.states.count(state) for state in dict.fromkeys(self.states)}
        text = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"<Propagation: {len(self._entries)} images: {text}>"

    @property
    def masks(self) -> list[NDArray[Any]]:
        """list of (h, w) bool or int16 ndarray: mask of each image."""
        maps = [self._map(index) for index in range(len(self._entries))]
        return [one > 0 for one in maps] if self._boolean else list(maps)

    @property
    def instances(self) -> list[NDArray[np.uint16]]:
        """list of (h, w) uint16 ndarray: object numbers of each image."""
        maps = []
        for index, entry in enumerate(self._entries):
            painted = (self._map(index) > 0).astype(np.uint16)
            maps.append(painted if entry.instances is None else entry.instances)
        return maps

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(n,) float64 ndarray: estimated probability that each mask is right."""
        return np.array([entry.confidence for entry in self._entries], np.float64)

    @property
    def states(self) -> list[str]:
        """list of str: state of each image."""
        return [entry.state for entry in self._entries]

    @property
    def sources(self) -> NDArray[np.int64]:
        """(n,) int64 ndarray: image that each mask was carried from, -1 for none."""
        return np.array([entry.source for entry in self._entries], np.int64)

    @property
    def routes(self) -> list[str]:
        """list of str: how each mask was carried."""
        return [entry.route for entry in self._entries]

    @property
    def absent(self) -> NDArray[np.bool_]:
        """(n,) bool ndarray: images in which nothing was found."""
        return np.array(
            [entry.class_map is not None and not entry.class_map.any() for entry in self._entries]
        )

    def queue(self) -> list[int]:
        """Images below the acceptance level, least sure first.

        Returns
        -------
        list of int
        """
        return review_order(
            {i: one.confidence for i, one in enumerate(self._entries) if one.state == "carried"}
        )

    def correct(
        self, index: int, mask: Any, instances: NDArray[np.integer[Any]] | None = None
    ) -> list[int]:
        """Replace a mask; carry again to the images of its cluster that are not accepted.

        Parameters
        ----------
        index : int
            Image, 0 to n - 1.
        mask : (h, w) bool or int ndarray
            Its true mask; without any pixel: the object is absent.
        instances : (h, w) int ndarray, optional
            Object numbers, from 1.

        Returns
        -------
        list of int
            Images that were carried again.

        Raises
        ------
        UsageError
            There is no such image, or the mask has another size or type.
        """
        index = self._index(index)
        entry = self._painted(index, mask, instances, "fixed")
        if entry.class_map is not None and not entry.class_map.any():
            entry = replace(entry, state="rejected")
        self._remember()
        self._entries[index] = entry
        waiting = [
            i
            for i, one in enumerate(self._entries)
            if one.state in ("carried", "blank") and self._clusters[i] == self._clusters[index]
        ]
        return self._carry(waiting) if entry.is_source else []

    def accept(self, index: int) -> None:
        """Accept a mask after a look at it: it never changes again.

        Parameters
        ----------
        index : int
            Image, 0 to n - 1.

        Raises
        ------
        UsageError
            There is no such image, or it has no mask.
        """
        index = self._index(index)
        if self._entries[index].state == "blank":
            raise UsageError(f"image {index} has no mask: give one with correct")
        self._remember()
        self._entries[index] = replace(self._entries[index], state="accepted", confidence=1.0)

    def reject(self, index: int) -> None:
        """Say that nothing of what was painted is in an image.

        Parameters
        ----------
        index : int
            Image, 0 to n - 1.

        Raises
        ------
        UsageError
            There is no such image.
        """
        index = self._index(index)
        self._remember()
        empty = np.zeros(self._map(index).shape, np.int16)
        self._entries[index] = _Entry("rejected", empty, None, 1.0)

    def undo(self) -> bool:
        """Undo the last `correct`, `accept` or `reject`, and what was carried again.

        Returns
        -------
        bool
            False where there was none.
        """
        if not self._undo:
            return False
        self._entries = self._undo.pop()
        return True

    def suggest(self, count: int = 1) -> list[int]:
        """Images whose painting would help the others most, best first.

        Parameters
        ----------
        count : int, default 1

        Returns
        -------
        list of int
            At most `count` images that are carried or blank.
        """
        waiting = {i for i, one in enumerate(self._entries) if one.state in ("carried", "blank")}
        if not waiting:
            return []
        matrix = similarities(self._features)
        matrix = np.where(self._clusters[:, None] == self._clusters[None, :], matrix, 0.0)
        painted = [i for i, one in enumerate(self._entries) if one.is_source]
        best = suggest(matrix, painted, len(self._entries) - len(painted))
        return [int(i) for i in best if i in waiting][:count]

    def _remember(self) -> None:
        self._undo.append(list(self._entries))

    def _index(self, index: Any) -> int:
        if not isinstance(index, (int, np.integer)) or not 0 <= index < len(self._entries):
            raise UsageError(f"image {index!r}: must be 0 to {len(self._entries) - 1}")
        return int(index)

    def _map(self, index: int) -> NDArray[np.int16]:
        class_map = self._entries[index].class_map
        return np.zeros(self._shape(index), np.int16) if class_map is None else class_map

    def _shape(self, index: int) -> tuple[int, int]:
        if index not in self._shapes:
            height, width = as_image(self._images[index]).shape[:2]
            self._shapes[index] = height, width
        return self._shapes[index]

    def _painted(self, index: int, mask: Any, instances: Any, state: str) -> _Entry:
        class_map = _class_map(mask, index, self._shape(index))
        numbers = None
        if instances is not None:
            numbers = _instance_map(instances, index, class_map)
        return _Entry(state, class_map, numbers, 1.0)

    def _carry(self, targets: Sequence[int]) -> list[int]:
        """Carry to images of clusters that have a source; returns those that were."""
        sources = [i for i, one in enumerate(self._entries) if one.is_source]
        painted = {i: self._source(i) for i in sources}
        done: list[int] = []
        with start_workers("threads", self._options["jobs"]) as workers:
            for cluster in dict.fromkeys(self._clusters[list(targets)].tolist()):
                own = [i for i in sources if self._clusters[i] == cluster]
                waiting = [i for i in targets if self._clusters[i] == cluster]
                if not own or cluster == OUTLIER:
                    continue
                parents = self._parents(own, waiting)
                left = list(waiting)
                while left:
                    wave = [i for i in left if parents.get(i) not in left]
                    left = [i for i in left if i not in set(wave)]
                    tasks = [(i, own, painted, parents.get(i, -1)) for i in wave]
                    for i, entry in zip(wave, workers.ordered(self._carried, tasks), strict=True):
                        self._entries[i] = entry
                        done.append(i)
        return sorted(done)

    def _carried(
        self, index: int, own: Sequence[int], painted: Mapping[int, Painted], parent: int
    ) -> _Entry:
        chained = []
        if parent >= 0 and self._map(parent).any():
            chained = [self._source(parent)]
        image = as_image(self._images[index])
        near = sources_of(self._features[index], [painted[i] for i in own])
        own = [own[i] for i in near]
        given = [painted[i] for i in own]
        result = carry_masks(self._features[index], given, chained, self._options["sam_checkpoint"])
        class_map = np.zeros(image.shape[:2], np.int16)
        numbers = np.zeros(image.shape[:2], np.uint16)
        for (name, number), mask in result.full_size(image).items():
            class_map[mask], numbers[mask] = int(str(name)), number
        good = accepted(result.confidence, self._options["accept"])
        route = "absent" if result.is_absent else result.route
        return _Entry(
            "accepted" if good else "carried",
            class_map,
            numbers,
            float(result.confidence),
            own[result.source],
            route,
        )

    def _parents(self, own: Sequence[int], targets: Sequence[int]) -> dict[int, int]:
        """The carried image before each target in the similarity forest; none without chains."""
        if self._options["chain"] == "off":
            return {}
        return forest_parents(dict(enumerate(self._features)), own, targets)

    def _source(self, index: int) -> Painted:
        class_map, instances = self._map(index), self._entries[index].instances
        numbers = (class_map > 0).astype(np.uint16) if instances is None else instances
        keys: dict[Key, Any] = {
            (str(name), int(number)): (class_map == name) & (numbers == number)
            for name in np.unique(class_map[class_map > 0])
            for number in np.unique(numbers[class_map == name])
        }
        return Painted.of(self._features[index], keys)


def propagate(
    images: Any,
    painted: Mapping[int, Any],
    *,
    instances: Mapping[int, Any] | None = None,
    clusters: Iterable[int] | None = None,
    weights: str | Path | None = None,
    sam_checkpoint: str | Path | None = None,
    accept: float = ACCEPT,
    chain: str = "off",
    jobs: int | None = None,
) -> Propagation:
    """Carry the masks of some images to the others, with a confidence for each.

    Runs on a CPU. The result does not depend on the order of the images or the number of workers.

    Parameters
    ----------
    images : str or Path, or iterable of image
        A folder, or paths, PIL images and arrays: (h, w) or (h, w, 1|3|4), uint8, or floats in
        [0, 1].
    painted : mapping of int to (h, w) ndarray
        Masks of some images, by index, in the size of their image: bool, or ints with 0 = not
        painted and 1…n = classes.
    instances : mapping of int to (h, w) int ndarray, optional
        Object numbers within the classes, from 1, of some of the painted images.
    clusters : iterable of int, optional
        Cluster of each image, -1 for none, as ``ImageClusterer.labels_``. Masks are carried
        within clusters only. Default: all images are one cluster.
    weights : str or Path, optional
        ONNX file of a network, or the name of installed weights. Default: the installed
        mobilenet_v2, else no network.
    sam_checkpoint : str or Path, optional
        ``ENCODER.onnx,DECODER.onnx`` or a checkpoint, to refine masks with.
    accept : float, default 0.95
        Confidence from which a mask is accepted, 0 to 1.
    chain : {"off", "forest"}
        ``forest`` also carries on from carried masks of similar images.
    jobs : int, default all cores
        Number of threads.

    Returns
    -------
    Propagation
        Masks, confidences, and methods for corrections.

    Raises
    ------
    UsageError
        An image cannot be read, a mask has another size or type, or an option is wrong.

    See Also
    --------
    icas.ImageClusterer : finds the clusters.
    icas.PaintDocument : paints a mask.

    Examples
    --------
    >>> import icas
    >>> import numpy as np
    >>> from skimage.data import astronaut
    >>> image = astronaut()[::2, ::2]
    >>> mask = np.zeros(image.shape[:2], bool)
    >>> mask[20:90, 85:140] = True
    >>> done = icas.propagate([image, image[:, 3:]], {0: mask})
    >>> done.masks[1].shape, done.confidence.shape, done.states[0]
    ((256, 253), (2,), 'painted')
    """
    items = _items(images)
    if not painted:
        raise UsageError("painted: no mask was given: give one of an image, {0: mask}")
    if chain not in ("off", "forest"):
        raise UsageError(f"chain {chain!r}: choose from off, forest")
    if not 0 <= accept <= 1:
        raise UsageError(f"accept {accept}: must be 0 to 1")
    network = load_network(weights)
    checkpoint = None if sam_checkpoint is None else os.fspath(sam_checkpoint)
    check_checkpoint(checkpoint)
    labels = _labels(clusters, len(items))
    options = {"accept": accept, "chain": chain, "jobs": jobs, "sam_checkpoint": checkpoint}
    boolean = all(np.asarray(mask).dtype == bool for mask in painted.values())
    with start_workers("threads", jobs) as workers:
        tasks = ((item, f"image {index}", network) for index, item in enumerate(items))
        features = list(workers.ordered(_features, tasks))
    done = Propagation(items, features, labels, options, boolean)
    numbers = instances or {}
    for index in sorted({*painted, *numbers}):
        at = done._index(index)
        if index not in painted:
            raise UsageError(f"instances: image {index} has no mask in painted")
        done._entries[at] = done._painted(at, painted[index], numbers.get(index), "painted")
    done._carry([i for i, entry in enumerate(done._entries) if entry.state == "blank"])
    return done


def _features(item: Any, name: str, network: FeatureNetwork | None) -> ImageFeatures:
    image: Image = as_image(item, name)
    return image_features(image, network)


def _items(images: Any) -> list[Any]:
    if isinstance(images, (str, Path)):
        folder = Path(images)
        if not folder.is_dir():
            raise UsageError(f"images: {images} is no folder: give a folder or a list of images")
        return list(find_images(folder))
    if hasattr(images, "getexif") or getattr(images, "ndim", 0) in (2, 3):
        raise UsageError("images: a single image was given: put it in a list, [image]")
    if isinstance(images, (bytes, Mapping)) or not isinstance(images, Iterable):
        kind = "None" if images is None else f"a {type(images).__name__}"
        raise UsageError(f"images: {kind} was given: expected a folder or a list of images")
    items = list(images)
    if not items:
        raise UsageError("images: the list is empty")
    return items


def _labels(clusters: Iterable[int] | None, count: int) -> NDArray[np.int64]:
    if clusters is None:
        return np.zeros(count, np.int64)
    labels = np.asarray(list(clusters))
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(f"clusters: expected {count} integers, one of each image")
    return labels.astype(np.int64)


def _class_map(mask: Any, index: int, shape: tuple[int, int]) -> NDArray[np.int16]:
    given = np.asarray(mask)
    if given.dtype != bool and not np.issubdtype(given.dtype, np.integer):
        raise UsageError(
            f"mask of image {index}: expected bool or class numbers, got {given.dtype}"
        )
    if given.shape != shape:
        size = f"{given.shape[1]}x{given.shape[0]}" if given.ndim == 2 else f"shape {given.shape}"
        raise UsageError(
            f"mask of image {index}: {size}, but the image is {shape[1]}x{shape[0]}: resize it"
        )
    if int(given.min()) < 0 or int(given.max()) > MAX_CLASSES:
        raise UsageError(f"mask of image {index}: class numbers must be 0 to {MAX_CLASSES:,}")
    return given.astype(np.int16)


def _instance_map(instances: Any, index: int, class_map: NDArray[np.int16]) -> NDArray[np.uint16]:
    given = np.asarray(instances)
    if given.shape != class_map.shape or not np.issubdtype(given.dtype, np.integer):
        raise UsageError(
            f"instances of image {index}: expected integers of shape {class_map.shape}"
        )
    painted = class_map > 0
    if int(given.min(initial=1, where=painted)) < 1 or int(given.max(initial=0)) > MAX_OBJECTS:
        raise UsageError(f"instances of image {index}: must be 1 to {MAX_OBJECTS:,} where painted")
    return np.where(painted, given, 0).astype(np.uint16)
