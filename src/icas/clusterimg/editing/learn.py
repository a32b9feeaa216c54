"""Files that a person moved between the folders of a result, as decisions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from icas.clusterimg.decisions.model import APART, TOGETHER, Decision, Picture, picture_of
from icas.clusterimg.editing.lookup import NamedImages
from icas.clusterimg.transfer.plan import OUTLIERS, TREE
from icas.clusterimg.transfer.verify import files_below
from icas.common.errors import IcasError

_NAMED = 3
"""Files that a decision names; it counts the others."""


@dataclass(frozen=True)
class ByHand:
    """What is otherwise in ``result/`` than it is on record; all places relative to the result.

    Attributes
    ----------
    moved : dict of str to str
        Place on record -> place where the same file is now.
    missing : tuple of str
        Places whose file is nowhere to be found, or may be one of several.
    unknown : tuple of str
        Files that are none of those on record, or may be one of several.
    """

    moved: dict[str, str]
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def moved_by_hand(images: NamedImages) -> ByHand:
    """Find the files of ``result/`` that are not where they are on record.

    A file is found by its content where its source is still there, and else by its size and time,
    if there is no doubt.

    Raises
    ------
    IcasError
        A file cannot be read.
    """
    there = set(files_below(images.root, TREE))
    missing = sorted(set(images.made) - there)
    fresh = sorted(there - set(images.made))
    content_of = {place: _content(Path(str(images.made[place].source))) for place in missing}
    certain = [place for place in missing if content_of[place] is not None]
    sizes = {one.size for one in content_of.values() if one is not None}
    alike = [place for place in fresh if _size(images.root / place) in sizes]
    content_of |= {place: _content(images.root / place) for place in alike}
    moved = dict(_paired(certain, alike, lambda place: content_of[place], sure=True))
    doubtful = [place for place in missing if content_of[place] is None]
    left = [place for place in fresh if place not in set(moved.values())]
    states = {place: (images.made[place].size, images.made[place].mtime_ns) for place in doubtful}
    states |= {place: _state(images.root / place) for place in left}
    moved |= _paired(doubtful, left, lambda place: states[place], sure=False)
    return ByHand(
        moved,
        tuple(place for place in missing if place not in moved),
        tuple(place for place in fresh if place not in set(moved.values())),
    )


def _paired(
    old: Sequence[str], new: Sequence[str], of: Callable[[str], Any], *, sure: bool
) -> Iterator[tuple[str, str]]:
    """Old places with the new ones of the same `of`: those of one name first, then the others.

    Where `of` is not `sure` to tell files apart, others only if one alone is left of both.
    """
    alike: dict[Any, list[str]] = {}
    for place in new:
        alike.setdefault(of(place), []).append(place)
    lost: dict[Any, list[str]] = {}
    for place in old:
        lost.setdefault(of(place), []).append(place)
    for value, ours in lost.items():
        theirs = alike.get(value, [])
        for place in list(ours):
            named = [one for one in theirs if _name(one) == _name(place)]
            if len(named) == 1 or (sure and named):
                yield place, named[0]
                ours.remove(place)
                theirs.remove(named[0])
        if sure or (len(ours), len(theirs)) == (1, 1):
            yield from zip(ours, theirs, strict=False)


def decisions_learned(images: NamedImages, by_hand: ByHand) -> list[Decision]:
    """What the moves say.

    What left a cluster is apart from what stayed in it, and from what went elsewhere; what went
    to the outliers is apart from all of it. What came into a folder is together with all that is
    in it now.

    Raises
    ------
    IcasError
        A file cannot be read.
    """
    missing = set(by_hand.missing)
    now = {
        place: by_hand.moved.get(place, place)
        for place in sorted(images.made)
        if place not in missing
    }
    pictures: dict[str, Picture] = {}
    files = {target: file for file, target in images.places.items()}

    def picture(place: str) -> Picture:
        if place not in pictures:
            pictures[place] = _picture(images.root / now[place], files[place])
        return pictures[place]

    found = []
    left = dict.fromkeys(_folder(place) for place in by_hand.moved if not _is_loose(place))
    for folder in left:
        inside = [place for place in now if _folder(place) == folder]
        sides = _sides(inside, now)
        gone = [place for place in inside if _folder(now[place]) != folder]
        if len(sides) > 1:
            how = f"learned: {_names(gone)} out of {folder}"
            found.append(_decision(APART, [list(map(picture, side)) for side in sides], how))
    came = dict.fromkeys(_folder(place) for place in by_hand.moved.values() if not _is_loose(place))
    for folder in came:
        inside = [place for place in now if _folder(now[place]) == folder]
        new = [place for place in inside if _folder(place) != folder]
        if new and len(inside) > 1:
            how = f"learned: {_names(new)} into {folder}"
            found.append(_decision(TOGETHER, [list(map(picture, inside))], how))
    return [one for one in found if len(one.pictures) > 1 and _says_something(one)]


def _sides(inside: Iterable[str], now: dict[str, str]) -> list[list[str]]:
    """The files of a cluster by where they are now; those among the outliers each by itself."""
    sides: dict[str, list[str]] = {}
    for place in inside:
        goal = now[place] if _is_loose(now[place]) else _folder(now[place])
        sides.setdefault(goal, []).append(place)
    return sorted(sides.values(), key=len)


def _decision(kind: str, sides: Sequence[Sequence[Picture]], how: str) -> Decision:
    """A decision in which no content comes twice: on the smaller side, if on several."""
    return distinct(Decision(kind, tuple(map(tuple, sides)), how))


def distinct(decision: Decision) -> Decision:
    """`decision` with each content once, where it comes first."""
    seen: set[bytes] = set()
    sides = []
    for side in decision.sides:
        fresh = {one.key: one for one in reversed(side) if one.key not in seen}
        seen |= set(fresh)
        sides.append(tuple(reversed(fresh.values())))
    return Decision(decision.kind, tuple(side for side in sides if side), decision.how)


def _says_something(decision: Decision) -> bool:
    return decision.kind == TOGETHER or len(decision.sides) > 1


def _picture(path: Path, file: str) -> Picture:
    try:
        return picture_of(path, file)
    except OSError as error:
        raise IcasError(f"cannot read {path}: {error.strerror or error}") from error


def _content(path: Path) -> Picture | None:
    """What a file holds; None where it is not there."""
    try:
        return picture_of(path, "") if path.is_file() else None
    except OSError as error:
        raise IcasError(f"cannot read {path}: {error.strerror or error}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link that leads nowhere
        return -1


def _state(path: Path) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_size, status.st_mtime_ns


def _folder(place: str) -> str:
    """The folder of ``result/`` that a place is in; empty for ``result/`` itself."""
    return "/".join(PurePosixPath(place).parts[1:-1])


def _is_loose(place: str) -> bool:
    """Whether what lies there is in no cluster."""
    return _folder(place) in (OUTLIERS, "")


def _name(place: str) -> str:
    return PurePosixPath(place).name


def _names(places: Sequence[str]) -> str:
    named = " ".join(_name(place) for place in places[:_NAMED])
    return named + (f" and {len(places) - _NAMED} more" if len(places) > _NAMED else "")
