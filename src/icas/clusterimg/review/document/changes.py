"""What a command changes in a review document, with its inverse, and as bytes for the log."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

IN_CLUSTER, OUTLIER, HELD, REJECTED = 0, -1, -2, -3
"""Where an image is: in a cluster, outside by the run, outside by a person, or rejected."""
UNTOUCHED, DOUBTFUL, DONE = "untouched", "doubtful", "done"

T = TypeVar("T")
Pair = tuple[int, int]
Both = tuple[T, T]
"""A value before and after a command."""


@dataclass(frozen=True)
class Cluster:
    """A cluster of a review.

    members: images, the medoid first; mark: `UNTOUCHED`, `DOUBTFUL` or `DONE`; fixed: whether a
    person worked on it, so that another threshold leaves it as it is; best: the image to keep.
    """

    members: tuple[int, ...]
    name: str | None = None
    mark: str = UNTOUCHED
    fixed: bool = False
    best: int | None = None

    def packed(self) -> list[Any]:
        """JSON-compatible values."""
        return [list(self.members), self.name, self.mark, int(self.fixed), self.best]

    @classmethod
    def unpacked(cls, values: Sequence[Any] | None) -> Cluster | None:
        """The cluster of `packed`; None of None."""
        if values is None:
            return None
        members, name, mark, fixed, best = values
        return cls(tuple(members), name, mark, bool(fixed), best)


class Label(NamedTuple):
    """The class name of one image, with its source and confidence."""

    name: str
    source: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Change:
    """Values before and after a command, by what has changed.

    clusters: by id, None where there is none; places: images that are or were outside of clusters;
    labels: own labels of images; answers: by pair of images, (answer,) or None; threshold.
    """

    clusters: Mapping[int, Both[Cluster | None]] = field(default_factory=dict)
    places: Mapping[int, Both[int]] = field(default_factory=dict)
    labels: Mapping[int, Both[Label | None]] = field(default_factory=dict)
    answers: Mapping[Pair, Both[tuple[bool | None] | None]] = field(default_factory=dict)
    threshold: Both[float | None] | None = None

    def __bool__(self) -> bool:
        parts = (self.clusters, self.places, self.labels, self.answers, self.threshold)
        return any(map(bool, parts))

    def inverse(self) -> Change:
        """The change that undoes this one."""
        return Change(
            _swapped(self.clusters),
            _swapped(self.places),
            _swapped(self.labels),
            _swapped(self.answers),
            None if self.threshold is None else (self.threshold[1], self.threshold[0]),
        )

    def packed(self) -> bytes:
        """The change as compressed JSON."""
        content = {
            "clusters": [
                [key, *(one and one.packed() for one in both)]
                for key, both in self.clusters.items()
            ],
            "places": [[key, *both] for key, both in self.places.items()],
            "labels": [[key, *both] for key, both in self.labels.items()],
            "answers": [[*key, *both] for key, both in self.answers.items()],
            "threshold": self.threshold,
        }
        return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 1)

    @classmethod
    def unpacked(cls, data: bytes) -> Change:
        """The change of `packed`; ValueError, KeyError or zlib.error where it is damaged."""
        content = json.loads(zlib.decompress(data))
        threshold = content["threshold"]
        return cls(
            {
                key: (Cluster.unpacked(old), Cluster.unpacked(new))
                for key, old, new in content["clusters"]
            },
            {key: (old, new) for key, old, new in content["places"]},
            {
                key: (Label(*old) if old else None, Label(*new) if new else None)
                for key, old, new in content["labels"]
            },
            {
                (a, b): (tuple(old) if old else None, tuple(new) if new else None)
                for a, b, old, new in content["answers"]
            },
            None if threshold is None else (threshold[0], threshold[1]),
        )


def _swapped(values: Mapping[Any, Both[T]]) -> dict[Any, Both[T]]:
    return {key: (new, old) for key, (old, new) in values.items()}
