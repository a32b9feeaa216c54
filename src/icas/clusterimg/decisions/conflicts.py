"""A new decision beside the earlier ones: what it replaces, and what stands in its way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from icas.clusterimg.decisions.model import TOGETHER, Decision, Picture, Sides
from icas.common.errors import ConflictError

_NAMED = 5
"""Decisions that an error names; it counts the others."""


@dataclass(frozen=True)
class Change:
    """What becomes of an earlier decision.

    Attributes
    ----------
    before : Decision
    after : Decision or None
        None: it is replaced as a whole.
    """

    before: Decision
    after: Decision | None

    def told(self) -> str:
        """In words."""
        if self.after is None:
            return f"replaces {self.before.told()}"
        return f"changes {self.before.told()}: the rest of it stays"


def known_already(new: Decision, earlier: Iterable[Decision]) -> Decision | None:
    """The one of `earlier` that says all that `new` says."""
    wanted = [{picture.key for picture in side} for side in new.sides]
    for one in earlier:
        if one.kind != new.kind:
            continue
        side_of = _side_of(one)
        found = [{side_of.get(key, -1) for key in side} for side in wanted]
        if any(-1 in sides for sides in found):
            continue
        if new.kind == TOGETHER and all(len(sides) == 1 for sides in found):
            return one
        if new.kind != TOGETHER and sum(map(len, found)) == len(set().union(*found)):
            return one
    return None


def changes_by(new: Decision, earlier: Iterable[Decision]) -> list[Change]:
    """What of `earlier` says directly the contrary of `new`, and what is left of it."""
    changes = []
    for one in earlier:
        if one.kind == new.kind:
            continue
        sides = _joined(one, new) if new.kind == TOGETHER else _parted(one, new)
        if sides != one.sides:
            least = 1 if one.kind == TOGETHER else 2
            changes.append(Change(one, replace(one, sides=sides) if len(sides) >= least else None))
    return changes


def _joined(apart: Decision, new: Decision) -> Sides:
    """The sides of `apart` where pictures that `new` brings together are on one side."""
    sides = [list(side) for side in apart.sides]
    for group in new.sides:
        keys = {picture.key for picture in group}
        hit = [number for number, side in enumerate(sides) if any(one.key in keys for one in side)]
        if len(hit) < 2:
            continue
        goal = min(hit, key=lambda number: len(sides[number]))
        for number in hit:
            if number != goal:
                sides[goal] += [one for one in sides[number] if one.key in keys]
                sides[number] = [one for one in sides[number] if one.key not in keys]
    return tuple(tuple(side) for side in sides if side)


def _parted(together: Decision, new: Decision) -> Sides:
    """The sides of `together` without what `new` keeps apart; each part of two or more stays.

    What `new` says nothing about goes with the largest part, if there is one.
    """
    side_of = _side_of(new)
    found: list[tuple[Picture, ...]] = []
    for group in together.sides:
        parts: dict[int, list[Picture]] = {}
        others = [one for one in group if one.key not in side_of]
        for one in group:
            if one.key in side_of:
                parts.setdefault(side_of[one.key], []).append(one)
        if len(parts) < 2:
            found.append(group)
            continue
        ordered = sorted(parts.values(), key=lambda part: -len(part))
        if len(ordered[0]) > len(ordered[1]):
            ordered[0] += others
        else:
            ordered.append(others)
        found += [tuple(part) for part in ordered if len(part) > 1]
    return tuple(found)


def check_no_chain(new: Decision, earlier: Sequence[Decision]) -> None:
    """Make sure that what is together by all decisions in a row is nowhere to be apart.

    Raises
    ------
    ConflictError
        Somewhere it is; the message names the decisions that stand in the way.
    """
    every = [*earlier, new]
    for one in every:
        if one.kind == TOGETHER:
            continue
        side_of = _side_of(one)
        for chain in _chains(every, side_of):
            by_number = {step.number: step for step in (*chain, one) if step is not new}
            raise ConflictError(_refused(new, [by_number[number] for number in sorted(by_number)]))


def _refused(new: Decision, others: Sequence[Decision]) -> str:
    named = ", ".join(one.told() for one in others[:_NAMED])
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return (
        f"{new.how} cannot be together with {named}{more}: forget one of them first"
        " (clusterimg decide DST forget N); nothing was remembered"
    )


def _chains(
    decisions: Sequence[Decision], side_of: Mapping[bytes, int]
) -> Iterable[list[Decision]]:
    """Decisions by which two pictures of different sides are together, if there are such."""
    groups = [
        (one, [picture.key for picture in side])
        for one in decisions
        if one.kind == TOGETHER
        for side in one.sides
    ]
    holding: dict[bytes, list[int]] = {}
    for number, (_, keys) in enumerate(groups):
        for key in keys:
            holding.setdefault(key, []).append(number)
    seen: set[bytes] = set()
    for start, side in side_of.items():
        if start in seen:
            continue
        came: dict[bytes, tuple[bytes, int]] = {}
        reached, used, queue = {start}, set[int](), deque([start])
        while queue:
            key = queue.popleft()
            if side_of.get(key, side) != side:
                yield _way(groups, came, key, start)
                return
            for number in holding.get(key, ()):
                if number not in used:
                    used.add(number)
                    fresh = [other for other in groups[number][1] if other not in reached]
                    reached.update(fresh)
                    came.update((other, (key, number)) for other in fresh)
                    queue.extend(fresh)
        seen |= reached


def _way(
    groups: Sequence[tuple[Decision, list[bytes]]],
    came: Mapping[bytes, tuple[bytes, int]],
    key: bytes,
    start: bytes,
) -> list[Decision]:
    found = []
    while key != start:
        key, number = came[key]
        found.append(groups[number][0])
    return found


def _side_of(decision: Decision) -> dict[bytes, int]:
    return {picture.key: number for number, side in enumerate(decision.sides) for picture in side}
