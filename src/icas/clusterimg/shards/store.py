"""Shards of features on disk: arrays in files that every worker maps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import Unreadable
from icas.clusterimg.data.memmap import COPIED_BYTES, ArrayReference, picked
from icas.clusterimg.data.parquet import plain, restored
from icas.common.errors import IcasError
from icas.io.files import write_whole

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """Some images that follow one another.

    number: of the shard; start, count: first image and number of images; path: its files without
    their endings; arrays: data type and shape of each array; limit: memory budget in bytes.
    """

    number: int
    start: int
    count: int
    path: str
    method: str
    settings: Mapping[str, Any]
    arrays: Mapping[str, tuple[str, tuple[int, ...]]]
    limit: int

    def features(self) -> FeatureSet:
        """The features, mapped from their files."""
        arrays = {
            name: ArrayReference(f"{self.path}-{name}", dtype, 0, shape, self.limit).array()
            for name, (dtype, shape) in self.arrays.items()
        }
        return FeatureSet(self.method, arrays, self.settings)

    def files(self) -> list[str]:
        """Names of the images; empty where they have none."""
        return list(_about(Path(f"{self.path}-files.json")))

    def unreadable(self) -> list[Unreadable]:
        """Images of the shard that could not be read."""
        return [Unreadable(*one) for one in _about(Path(f"{self.path}.json"))["unreadable"]]


def shard_path(folder: Path, number: int) -> Path:
    """The files of a shard, without their endings."""
    return folder / f"{number:05d}"


def is_written(folder: Path, number: int) -> bool:
    """Whether the shard is complete: its description is written last."""
    return shard_path(folder, number).with_suffix(".json").exists()


def write_shard(folder: Path, number: int, features: FeatureSet) -> None:
    """Write a shard."""
    path = shard_path(folder, number)
    for name, array in features.arrays.items():
        write_whole(path.with_name(f"{path.name}-{name}"), _bytes_of(array))
    write_whole(path.with_name(f"{path.name}-files.json"), json.dumps(features.files).encode())
    about = {
        "count": len(features),
        "method": features.method,
        "settings": {name: plain(value) for name, value in features.settings.items()},
        "arrays": {name: [each.dtype.str, each.shape] for name, each in features.arrays.items()},
        "unreadable": [[lost.file, lost.reason] for lost in features.unreadable],
    }
    write_whole(path.with_suffix(".json"), json.dumps(about).encode())


def _bytes_of(array: NDArray[Any]) -> Iterator[bytes]:
    step = max(1, COPIED_BYTES * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(picked(array, slice(start, start + step))).tobytes()


def _about(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise IcasError(
            f"cannot read {path} ({error}): the result folder must be the same on all machines"
        ) from error


@dataclass(frozen=True)
class Shards:
    """All shards, in order."""

    each: tuple[Shard, ...]

    @classmethod
    def read(cls, folder: Path, count: int, limit: int) -> Shards:
        """`count` shards in `folder`.

        Raises IcasError: they are of different methods.
        """
        shards, start = [], 0
        for number in range(count):
            path = shard_path(folder, number)
            about = _about(path.with_suffix(".json"))
            settings = {name: restored(value) for name, value in about["settings"].items()}
            arrays = {name: (kind, tuple(shape)) for name, (kind, shape) in about["arrays"].items()}
            shards.append(
                Shard(
                    number, start, about["count"], str(path.absolute()), about["method"],
                    settings, arrays, limit,
                )
            )  # fmt: skip
            start += about["count"]
        kinds = {(one.method, tuple(_row(one))) for one in shards if one.count}
        if len(kinds) > 1:
            raise IcasError(
                "the sources hold features of different methods or sizes:"
                f" {' and '.join(sorted(f'{name} {row}' for name, row in kinds)[:2])}"
            )
        return cls(tuple(shards))

    def __len__(self) -> int:
        """Number of images."""
        return self.each[-1].start + self.each[-1].count if self.each else 0

    @cached_property
    def starts(self) -> Rows:
        """(shards,) number of the first image of each."""
        return np.array([one.start for one in self.each], np.int64)

    @property
    def first(self) -> Shard:
        """The first shard that is not empty."""
        return next(one for one in self.each if one.count)

    def gathered(self, images: Rows) -> FeatureSet:
        """Features of some images, in memory, in their order."""
        return self._gathered(np.searchsorted(self.starts, images, side="right") - 1, images)

    def _gathered(self, shard_of: Rows, images: Rows) -> FeatureSet:
        first = self.first
        arrays = {
            name: np.empty((len(images), *shape[1:]), kind)
            for name, (kind, shape) in first.arrays.items()
        }
        for number in np.unique(shard_of).tolist():
            places = np.flatnonzero(shard_of == number)
            shard = self.each[number]
            features = shard.features()
            for name, array in features.arrays.items():
                arrays[name][places] = picked(array, images[places] - shard.start)
        return FeatureSet(first.method, arrays, first.settings)


def _row(shard: Shard) -> Iterable[str]:
    return [f"{name} {kind} {shape[1:]}" for name, (kind, shape) in sorted(shard.arrays.items())]


def spans(total: int, most: int) -> Sequence[tuple[int, int]]:
    """Start and stop of each shard of at most `most` of `total` images."""
    return [(start, min(start + most, total)) for start in range(0, total, most)]
