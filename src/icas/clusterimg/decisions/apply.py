"""Stored constraints -> constraints on the images of a run, contradictions resolved."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from icas.clusterimg.decisions.constraints import NOTHING, Constraints
from icas.clusterimg.decisions.store import (
    TOGETHER,
    Constraint,
    ConstraintStore,
    ImageContent,
    Sides,
    constraints_folder,
    content_of,
    has_constraints,
)
from icas.common.errors import ConflictError, IcasError

_NAMED = 5
"""Constraints that an error names."""


@dataclass(frozen=True)
class Revision:
    """A stored constraint that is changed, or removed where `after` is None."""

    before: Constraint
    after: Constraint | None

    def description(self) -> str:
        """What happens, for messages."""
        if self.after is None:
            return f"replaces {self.before.description()}"
        return f"changes {self.before.description()}; its other images stay"


def implied_by(new: Constraint, stored: Iterable[Constraint]) -> Constraint | None:
    """The one of `stored` that implies `new`, if there is one."""
    keys = [{image.key for image in side} for side in new.sides]
    for one in stored:
        if one.kind != new.kind:
            continue
        side_of = one.side_of()
        sides = [{side_of.get(key, -1) for key in side} for side in keys]
        if any(-1 in numbers for numbers in sides):
            continue
        if new.kind == TOGETHER and all(len(numbers) == 1 for numbers in sides):
            return one
        if new.kind != TOGETHER and sum(map(len, sides)) == len(set().union(*sides)):
            return one
    return None


def revisions_by(new: Constraint, stored: Iterable[Constraint]) -> list[Revision]:
    """The stored constraints that `new` contradicts directly, and what is left of them."""
    revisions = []
    for one in stored:
        if one.kind == new.kind:
            continue
        sides = _joined(one, new) if new.kind == TOGETHER else _parted(one, new)
        if sides != one.sides:
            least = 1 if one.kind == TOGETHER else 2
            after = replace(one, sides=sides) if len(sides) >= least else None
            revisions.append(Revision(one, after))
    return revisions


def _joined(apart: Constraint, new: Constraint) -> Sides:
    """The sides of `apart` with the images that `new` joins on one side, the smallest."""
    sides = [list(side) for side in apart.sides]
    for group in new.sides:
        keys = {image.key for image in group}
        hit = [number for number, side in enumerate(sides) if any(one.key in keys for one in side)]
        if len(hit) < 2:
            continue
        goal = min(hit, key=lambda number: len(sides[number]))
        for number in hit:
            if number != goal:
                sides[goal] += [one for one in sides[number] if one.key in keys]
                sides[number] = [one for one in sides[number] if one.key not in keys]
    return tuple(tuple(side) for side in sides if side)


def _parted(together: Constraint, new: Constraint) -> Sides:
    """The sides of `together`, divided as `new` requires; each part of two or more stays.

    Images that are not in `new` stay with the largest part, if there is one.
    """
    side_of = new.side_of()
    sides: list[tuple[ImageContent, ...]] = []
    for group in together.sides:
        parts: dict[int, list[ImageContent]] = {}
        rest = [one for one in group if one.key not in side_of]
        for one in group:
            if one.key in side_of:
                parts.setdefault(side_of[one.key], []).append(one)
        if len(parts) < 2:
            sides.append(group)
            continue
        ordered = sorted(parts.values(), key=lambda part: -len(part))
        if len(ordered[0]) > len(ordered[1]):
            ordered[0] += rest
        else:
            ordered.append(rest)
        sides += [tuple(part) for part in ordered if len(part) > 1]
    return tuple(sides)


def check_consistent(new: Constraint, stored: Sequence[Constraint]) -> None:
    """Check that no chain of must-link constraints joins images that must be apart."""
    constraints = [*stored, new]
    for apart in constraints:
        if apart.kind == TOGETHER:
            continue
        for chain in _chains(constraints, apart.side_of()):
            numbered = {one.number: one for one in (*chain, apart) if one is not new}
            conflicts = [numbered[number] for number in sorted(numbered)]
            named = ", ".join(one.description() for one in conflicts[:_NAMED])
            more = f" and {len(conflicts) - _NAMED} more" if len(conflicts) > _NAMED else ""
            raise ConflictError(
                f"{new.how} contradicts {named}{more}: remove one first with clusterimg decide"
                " DST forget N; nothing was stored"
            )


def _chains(
    constraints: Sequence[Constraint], side_of: dict[bytes, int]
) -> Iterator[list[Constraint]]:
    """The first chain of must-link constraints between images of different sides, if any."""
    groups = [
        (one, [image.key for image in side])
        for one in constraints
        if one.kind == TOGETHER
        for side in one.sides
    ]
    groups_of: dict[bytes, list[int]] = {}
    for number, (_, keys) in enumerate(groups):
        for key in keys:
            groups_of.setdefault(key, []).append(number)
    visited: set[bytes] = set()
    for start, side in side_of.items():
        if start in visited:
            continue
        previous: dict[bytes, tuple[bytes, int]] = {}
        reached, used, queue = {start}, set[int](), deque([start])
        while queue:
            key = queue.popleft()
            if side_of.get(key, side) != side:
                chain = []
                while key != start:
                    key, number = previous[key]
                    chain.append(groups[number][0])
                yield chain
                return
            for number in groups_of.get(key, ()):
                if number not in used:
                    used.add(number)
                    fresh = [other for other in groups[number][1] if other not in reached]
                    reached.update(fresh)
                    previous.update((other, (key, number)) for other in fresh)
                    queue.extend(fresh)
        visited |= reached


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
        ones = "constraint applies" if count == 1 else "constraints apply"
        return f"constraints: {count} stored {ones} to these images"

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
        raise IcasError(f"{error.message}; --no-decisions ignores them") from error
    sizes = {image.size for one in constraints for image in one.images}
    return applied(constraints, keys_of(files, sizes, jobs))


def keys_of(files: Mapping[str, Path], sizes: set[int], jobs: int | None) -> dict[str, bytes]:
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
