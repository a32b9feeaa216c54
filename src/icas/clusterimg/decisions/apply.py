"""Stored constraints -> constraints on the images of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.decisions.constraints import NOTHING, Constraints
from icas.clusterimg.decisions.model import TOGETHER, Constraint, content_of
from icas.clusterimg.decisions.store import ConstraintStore, constraints_folder, has_constraints
from icas.common.errors import IcasError


@dataclass(frozen=True)
class Applied:
    """Constraints on the images of a run, and the number of stored ones of each kind."""

    constraints: Constraints = NOTHING
    together: int = 0
    apart: int = 0

    def __bool__(self) -> bool:
        return self.together + self.apart > 0

    def summary(self) -> str:
        """A line to print."""
        count = self.together + self.apart
        ones = "one applies" if count == 1 else "ones apply"
        return f"decisions: {count} remembered {ones} to these images"

    def as_dict(self) -> dict[str, int]:
        """What ``run.json`` holds."""
        return {"together": self.together, "apart": self.apart}


def stored_constraints(
    files: Mapping[str, Path], cache: str | Path | bool | None = None, jobs: int | None = None
) -> Applied:
    """The stored constraints that apply to images.

    Only files whose size is that of a file with a constraint are read. `files` are names with
    paths, `cache` is as ``--cache``, `jobs` the number of threads.
    """
    try:
        folder = constraints_folder(cache)
    except IcasError:  # without a home folder nothing can have been stored
        return Applied()
    if not has_constraints(folder):
        return Applied()
    try:
        with ConstraintStore(folder) as store:
            constraints = store.all()
    except IcasError as error:
        raise IcasError(f"{error}; --no-decisions leaves them out") from error
    sizes = {image.size for one in constraints for image in one.images}
    return applied(constraints, _keys(files, sizes, jobs))


def _keys(files: Mapping[str, Path], sizes: set[int], jobs: int | None) -> dict[str, bytes]:
    """Key of each readable file of one of `sizes`."""

    def key(path: Path) -> bytes | None:
        try:
            return content_of(path, "").key if path.stat().st_size in sizes else None
        except OSError:  # reported when it is decoded
            return None

    if not sizes:
        return {}
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        keys = pool.map(key, files.values())
        return {file: key for file, key in zip(files, keys, strict=True) if key is not None}


def applied(constraints: Sequence[Constraint], keys: Mapping[str, bytes]) -> Applied:
    """Those of `constraints` that apply to files with these `keys`.

    Must-link constraints are transitive, also over files that are not there. Files with equal
    content are one image.
    """
    class_of = _classes(constraints)
    present = set(keys.values())
    images = Counter(class_of[key] for key in present if key in class_of)
    apart = []
    for one in constraints:
        sides = {class_of[key]: side for key, side in one.side_of().items()}
        sides = {name: side for name, side in sides.items() if name in images}
        if one.kind != TOGETHER and len(set(sides.values())) > 1:
            apart.append(sides)
    used = {name for name, count in images.items() if count > 1}.union(*apart)
    classes = {file: class_of[key] for file, key in keys.items() if class_of.get(key, -1) in used}
    together = _count_together(constraints, class_of, present, images)
    if not apart and not together:
        return Applied()
    return Applied(Constraints(classes, tuple(apart)), together, len(apart))


def _classes(constraints: Iterable[Constraint]) -> dict[bytes, int]:
    """Key -> number of its must-link class, for all images with constraints."""
    parents: dict[bytes, bytes] = {}

    def root(key: bytes) -> bytes:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for constraint in constraints:
        for side in constraint.sides:
            for image in side:
                a, b = root(image.key), root(side[0].key)
                if constraint.kind == TOGETHER and a != b:
                    parents[a] = b
    numbers = {key: number for number, key in enumerate(sorted({root(key) for key in parents}))}
    return {key: numbers[root(key)] for key in parents}


def _count_together(
    constraints: Sequence[Constraint],
    class_of: Mapping[bytes, int],
    present: set[bytes],
    images: Mapping[int, int],
) -> int:
    """Number of must-link constraints that join two images that are present, also indirectly."""
    direct, indirect = Counter[int](), Counter[int]()
    for constraint in constraints:
        for side in constraint.sides if constraint.kind == TOGETHER else ():
            name = class_of[side[0].key]
            if images.get(name, 0) > 1:
                count = sum(image.key in present for image in side)
                direct[name] += count > 1
                indirect[name] += count == 1
                break
    return sum(direct[name] or indirect[name] for name in {*direct, *indirect})
