"""Shards of features on disk: arrays in files that every worker maps."""

from __future__ import annotations

import json
import math
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

    @property
    def image_bytes(self) -> int:
        """Bytes of the features of an image."""
        arrays = self.arrays.values()
        return max(1, sum(np.dtype(kind).itemsize * math.prod(shape[1:]) for kind, shape in arrays))

    def features(self) -> FeatureSet:
        """The features, mapped from their files.

        Raises IcasError: a file is missing or too short.
        """
        arrays = {name: self._array(name) for name in self.arrays}
        return FeatureSet(self.method, arrays, self.settings)

    def _array(self, name: str) -> NDArray[Any]:
        kind, shape = self.arrays[name]
        path = Path(f"{self.path}-{name}")
        try:
            array = ArrayReference(str(path), kind, 0, shape, self.limit).array()
        except (IcasError, ValueError, OSError) as error:
            cause = error.__cause__ or error
            why = cause.strerror if isinstance(cause, OSError) else "it is damaged"
            raise unreadable(path, why or str(cause)) from error
        # A machine with another byte order may have written it.
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def files(self) -> list[str]:
        """Names of the images; empty where they have none."""
        return list(read_json(Path(f"{self.path}-files.json")))

    def unreadable(self) -> list[Unreadable]:
        """Images of the shard that could not be read."""
        return [Unreadable(*one) for one in read_json(Path(f"{self.path}.json"))["unreadable"]]


def shard_path(folder: Path, number: int) -> Path:
    """The files of a shard, without their endings."""
    return folder / f"{number:05d}"


def is_written(folder: Path, number: int) -> bool:
    """Whether the shard is complete: its description is written last, and no file is cut short."""
    path = shard_path(folder, number)
    try:
        about = read_json(path.with_suffix(".json"))
        sizes = {
            name: np.dtype(kind).itemsize * math.prod(shape)
            for name, (kind, shape) in about["arrays"].items()
        }
        sizes["files.json"] = about["files_bytes"]
        return all(
            path.with_name(f"{path.name}-{name}").stat().st_size == size
            for name, size in sizes.items()
        )
    except (IcasError, OSError, KeyError):
        return False


def write_shard(folder: Path, number: int, features: FeatureSet) -> None:
    """Write a shard."""
    path = shard_path(folder, number)
    for name, array in features.arrays.items():
        write_whole(path.with_name(f"{path.name}-{name}"), _bytes_of(array))
    files = json.dumps(features.files).encode()
    write_whole(path.with_name(f"{path.name}-files.json"), files)
    about = {
        "count": len(features),
        "method": features.method,
        "settings": {name: plain(value) for name, value in features.settings.items()},
        "arrays": {name: [each.dtype.str, each.shape] for name, each in features.arrays.items()},
        "files_bytes": len(files),
        "unreadable": [[lost.file, lost.reason] for lost in features.unreadable],
    }
    write_whole(path.with_suffix(".json"), json.dumps(about).encode())


def _bytes_of(array: NDArray[Any]) -> Iterator[bytes]:
    step = max(1, COPIED_BYTES * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(picked(array, slice(start, start + step))).tobytes()


def read_json(path: Path) -> Any:
    """Content of a JSON file of a run; IcasError where it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise unreadable(path, "it is damaged") from error


def unreadable(path: Path, why: str) -> IcasError:
    """An error about a file of a run, with what to do."""
    return IcasError(
        f"cannot read {path} ({why}): the result folder must be the same on all machines; --resume"
        " writes missing and damaged files again"
    )


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
            about = read_json(path.with_suffix(".json"))
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
