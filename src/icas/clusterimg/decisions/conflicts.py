"""A new constraint and the stored ones: which it replaces, and which it contradicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from icas.clusterimg.decisions.model import TOGETHER, Constraint, ImageContent, Sides
from icas.common.errors import ConflictError

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
        return f"changes {self.before.description()}: the rest of it stays"


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
                f"{new.how} cannot be together with {named}{more}: forget one of them first"
                " (clusterimg decide DST forget N); nothing was remembered"
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
