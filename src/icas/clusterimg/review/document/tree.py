"""The spanning forest of a run, seen from one cluster: order of its images, bridge, doubt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from icas.clusterimg.graph.forest import FACTOR, Forest, odds

NO_BRIDGE_SHARE = 0.5
"""Weight in the doubt of a cluster without two parts of two images or more."""


@dataclass(frozen=True)
class Bridge:
    """The weakest link between two parts of two images or more of a cluster.

    left, right: the images of both parts, the larger first; striking: whether the link is so weak
    that the cluster may be two.
    """

    a: int
    b: int
    similarity: float
    left: tuple[int, ...]
    right: tuple[int, ...]
    striking: bool


@dataclass(frozen=True)
class Shape:
    """What the links inside a cluster say about it.

    order: its images, the medoid first, then by the weakest link on the path to it; strength:
    that link's similarity, None where no path leads there; weakest: the weakest link of the
    spanning tree, None where links do not join the whole cluster; doubt: 0 to 1.
    """

    order: tuple[int, ...]
    strength: tuple[float | None, ...]
    weakest: float | None
    doubt: float
    bridge: Bridge | None
    edges: tuple[tuple[int, int, float], ...]


class Tree:
    """The links of a spanning forest, by image."""

    def __init__(self, forest: Forest) -> None:
        ends = np.concatenate([forest.a, forest.b])
        others = np.concatenate([forest.b, forest.a])
        values = np.concatenate([forest.similarity, forest.similarity])
        order = np.argsort(ends, kind="stable")
        self._starts = np.searchsorted(ends[order], np.arange(forest.count + 1)).tolist()
        self._others = others[order].tolist()
        self._values = values[order].astype(np.float64).tolist()
        self.floor = float(forest.floor) if np.isfinite(forest.floor) else 0.0

    def links(self, image: int) -> Iterator[tuple[int, float]]:
        """Images that `image` is linked with in the forest, and the similarities."""
        start, end = self._starts[image], self._starts[image + 1]
        return zip(self._others[start:end], self._values[start:end], strict=True)

    def shape(self, members: Sequence[int]) -> Shape:
        """The shape of a cluster, whose first member is the medoid."""
        inside = set(members)
        strength: dict[int, float] = {}
        parents: dict[int, tuple[int, float]] = {}
        order: list[int] = []
        reached: list[int] = []
        roots = 0
        for root in members:
            if root in strength:
                continue
            roots += 1
            start = len(reached)
            strength[root] = 1.0
            reached.append(root)
            for image in _growing(reached, start):
                for other, value in self.links(image):
                    if other in inside and other not in strength:
                        strength[other] = min(strength[image], value)
                        parents[other] = (image, value)
                        reached.append(other)
            order += sorted(reached[start:], key=lambda image: (-strength[image], image))
            if roots == 1:
                connected = len(reached)
        values = tuple(
            round(strength[image], 4) if place < connected else None
            for place, image in enumerate(order)
        )
        whole = roots == 1 and len(members) > 1
        edges = tuple((parent, image, value) for image, (parent, value) in parents.items())
        weakest = min((value for _, _, value in edges), default=1.0) if whole else None
        bridge = _bridge(reached, parents) if whole else None
        return Shape(
            tuple(order), values, weakest, self._doubt(weakest, edges, bridge), bridge, edges
        )

    def _doubt(
        self,
        weakest: float | None,
        edges: Sequence[tuple[int, int, float]],
        bridge: Bridge | None,
    ) -> float:
        """How doubtful a cluster is, 0 to 1: by how weak its weakest link is beside the others."""
        if weakest is None or not edges:
            return 0.0
        usual = odds(median(value for _, _, value in edges))
        if bridge is not None and bridge.striking:
            return round(1 - odds(bridge.similarity) / max(usual, odds(bridge.similarity)), 4)
        room = max(1 - self.floor, 1e-6)
        near = 1 - min(1.0, max(0.0, (weakest - self.floor) / room))
        gap = 1 - odds(weakest) / max(usual, odds(weakest))
        return round(NO_BRIDGE_SHARE * max(gap, near * near), 4)

    def split_between(self, members: Sequence[int], a: int, b: int) -> tuple[set[int], set[int]]:
        """The two parts of a cluster without the weakest link on the path from `a` to `b`.

        Where no path leads from `a` to `b`, the images that a path joins with `a`, and the others.
        """
        inside = set(members)
        parents: dict[int, tuple[int, float]] = {a: (a, 1.0)}
        reached = [a]
        for image in _growing(reached, 0):
            for other, value in self.links(image):
                if other in inside and other not in parents:
                    parents[other] = (image, value)
                    reached.append(other)
        if b not in parents:
            return set(reached), inside - set(reached)
        path, image = [], b
        while image != a:
            parent, value = parents[image]
            path.append((value, image))
            image = parent
        below = {min(path)[1]}
        for image in reached:
            if parents[image][0] in below:
                below.add(image)
        return inside - below, below

    def medoid(self, members: Sequence[int]) -> int:
        """The image of a cluster with the greatest sum of link similarities inside it."""
        inside = set(members)
        return max(
            members,
            key=lambda image: (
                sum(value for other, value in self.links(image) if other in inside),
                -image,
            ),
        )


def _growing(images: list[int], place: int) -> Iterator[int]:
    """The images of a list from `place` on, also those that are added meanwhile."""
    while place < len(images):
        yield images[place]
        place += 1


def _bridge(reached: Sequence[int], parents: dict[int, tuple[int, float]]) -> Bridge | None:
    """The weakest link that has two images or more on both sides; the most balanced of equal ones.

    `reached` are the images of a spanning tree, parents before children.
    """
    total = len(reached)
    below = dict.fromkeys(reached, 1)
    for image in reversed(reached[1:]):
        below[parents[image][0]] += below[image]
    candidates = [
        (parents[image][1], -min(below[image], total - below[image]), image)
        for image in reached[1:]
        if 2 <= below[image] <= total - 2
    ]
    if not candidates:
        return None
    similarity, _, top = min(candidates)
    part = {top}
    for image in reached[1:]:
        if parents[image][0] in part:
            part.add(image)
    sides = [image for image in reached if image in part], [i for i in reached if i not in part]
    inner = [
        [parents[image][1] for image in side if image in parents and image != top] for side in sides
    ]
    usual = min(median(values) for values in inner)
    larger, smaller = sorted(sides, key=len, reverse=True)
    a, b = parents[top][0], top
    return Bridge(
        *((a, b) if a in set(larger) else (b, a)),
        similarity,
        tuple(larger),
        tuple(smaller),
        odds(usual) >= FACTOR * odds(similarity),
    )
