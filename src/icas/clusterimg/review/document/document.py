"""The review document: clusters, names, marks and answers over the images of a finished run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icas.clusterimg.graph.forest import Labels, number_clusters
from icas.clusterimg.review.document.changes import (
    DONE,
    DOUBTFUL,
    HELD,
    IN_CLUSTER,
    OUTLIER,
    REJECTED,
    UNTOUCHED,
    Change,
    Cluster,
    Label,
    Pair,
)
from icas.clusterimg.review.document.tree import Shape, Tree
from icas.common.errors import UsageError
from icas.dataset.image_labels import CLUSTER, IMAGE

NAMED = "named"


@dataclass
class Touched:
    """What changes have touched: ids of clusters, images whose labels changed, and lists."""

    clusters: set[int] = field(default_factory=set)
    labels: set[int] = field(default_factory=set)
    places: bool = False

    def add(self, change: Change) -> None:
        """Also what `change` touches."""
        self.clusters |= set(change.clusters)
        self.labels |= set(change.labels)
        self.places = self.places or bool(change.places)

    def update(self, other: Touched) -> None:
        """Also what is in `other`."""
        self.clusters |= other.clusters
        self.labels |= other.labels
        self.places = self.places or other.places


class ReviewDocument:
    """A partition of `count` images with names, marks and answers; changed by `apply`.

    place: for each image the id of its cluster, or `OUTLIER`, `HELD` or `REJECTED`.
    """

    def __init__(self, count: int, tree: Tree) -> None:
        self.count, self.tree = count, tree
        self.clusters: dict[int, Cluster] = {}
        self.shapes: dict[int, Shape] = {}
        self.place = [OUTLIER] * count
        self.labels: dict[int, Label] = {}
        self.answers: dict[Pair, tuple[bool | None]] = {}
        self.threshold: float | None = None
        self.next_id = 0
        self._used: Counter[str] = Counter()

    def apply(self, change: Change) -> None:
        """Make the new values of `change` the current ones."""
        images = self._images_of(change)
        self._count_names(images, -1)
        for number, (_, new) in change.clusters.items():
            self.shapes.pop(number, None)
            if new is None:
                self.clusters.pop(number, None)
                continue
            self.clusters[number] = new
            self.next_id = max(self.next_id, number + 1)
        for number, (_, new) in change.clusters.items():
            for image in new.members if new is not None else ():
                self.place[image] = number
        for image, (_, place) in change.places.items():
            if place != IN_CLUSTER:
                self.place[image] = place
        for image, (_, label) in change.labels.items():
            if label is None:
                self.labels.pop(image, None)
            else:
                self.labels[image] = label
        for pair, (_, answer) in change.answers.items():
            if answer is None:
                self.answers.pop(pair, None)
            else:
                self.answers[pair] = answer
        if change.threshold is not None:
            self.threshold = change.threshold[1]
        self._count_names(images, 1)

    def _images_of(self, change: Change) -> set[int]:
        images = {*change.places, *change.labels}
        for both in change.clusters.values():
            for one in both:
                images.update(one.members if one is not None else ())
        return images

    def _count_names(self, images: Iterable[int], step: int) -> None:
        for image in images:
            label = self.label_of(image)
            if label is not None:
                self._used[label.name] += step

    def label_of(self, image: int) -> Label | None:
        """The class of an image: its own name, the name of its cluster, or a spread name."""
        own = self.labels.get(image)
        if own is not None and own.source == IMAGE:
            return own
        place = self.place[image]
        name = self.clusters[place].name if place in self.clusters else None
        return own if name is None else Label(name, CLUSTER)

    def all_labels(self) -> dict[int, Label]:
        """The class of each image that has one."""
        found = ((image, self.label_of(image)) for image in range(self.count))
        return {image: label for image, label in found if label is not None}

    def classes(self) -> list[dict[str, Any]]:
        """The classes in the order of first use, with the number of images of each."""
        return [{"name": name, "count": count} for name, count in self._used.items() if count > 0]

    def partition(self) -> Labels:
        """(n,) clusters, the largest is 0; -1 = outlier."""
        places = np.array(self.place, np.int64)
        return number_clusters(np.where(places < 0, -1, places))

    def cluster(self, number: object) -> Cluster:
        """The cluster with an id; UsageError where there is none."""
        if isinstance(number, bool) or not isinstance(number, int) or number not in self.clusters:
            raise UsageError(f"no cluster {number!r}")
        return self.clusters[number]

    def shape(self, number: int) -> Shape:
        """The shape of a cluster."""
        if number not in self.shapes:
            self.shapes[number] = self.tree.shape(self.clusters[number].members)
        return self.shapes[number]

    def is_confirmed(self, number: int) -> bool:
        """Whether a person said that the bridge of a cluster joins what belongs together."""
        bridge = self.shape(number).bridge
        if bridge is None:
            return False
        pair = (min(bridge.a, bridge.b), max(bridge.a, bridge.b))
        return self.answers.get(pair) == (True,)

    def state(self, number: int) -> str:
        """``untouched``, ``named``, ``doubtful`` or ``done``."""
        one = self.clusters[number]
        if one.mark in (DONE, DOUBTFUL):
            return one.mark
        if one.name is not None:
            return NAMED
        bridge = self.shape(number).bridge
        striking = bridge is not None and bridge.striking and not self.is_confirmed(number)
        return DOUBTFUL if striking else UNTOUCHED

    def outside(self, *places: int) -> list[int]:
        """The images outside of clusters that are in one of these places."""
        return [image for image, place in enumerate(self.place) if place in places]

    def shown(self, number: int) -> dict[str, Any]:
        """A cluster as the page gets it."""
        one, shape = self.clusters[number], self.shape(number)
        confirmed = self.is_confirmed(number)
        return {
            "id": number,
            "members": list(shape.order),
            "name": one.name,
            "weakest": None if shape.weakest is None else round(shape.weakest, 4),
            "doubt": 0.0 if confirmed else shape.doubt,
            "state": self.state(number),
            "fixed": one.fixed,
            "bridge": bool(shape.bridge and shape.bridge.striking and not confirmed),
        }

    def shown_state(self, touched: Touched | None = None) -> dict[str, Any]:
        """The document as the page gets it, or only what was touched."""
        if touched is None:
            return {
                "clusters": [self.shown(number) for number in self.clusters],
                "outliers": self.outside(OUTLIER, HELD),
                "held": self.outside(HELD),
                "rejected": self.outside(REJECTED),
                "labels": {str(image): list(label) for image, label in self.labels.items()},
                "classes": self.classes(),
                "best": self._best(),
                "threshold": self.threshold,
            }
        numbers = sorted(touched.clusters)
        return {
            "clusters": [self.shown(number) for number in numbers if number in self.clusters],
            "removed": [number for number in numbers if number not in self.clusters],
            "outliers": self.outside(OUTLIER, HELD) if touched.places else None,
            "held": self.outside(HELD) if touched.places else None,
            "rejected": self.outside(REJECTED) if touched.places else None,
            "labels": {
                str(image): list(self.labels[image]) if image in self.labels else None
                for image in sorted(touched.labels)
            },
            "classes": self.classes(),
            "best": self._best(),
            "threshold": self.threshold,
        }

    def _best(self) -> dict[str, int]:
        return {
            str(number): one.best for number, one in self.clusters.items() if one.best is not None
        }
