"""Constraints from files that were moved manually between the folders of a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from icas.clusterimg.decisions.store import APART, TOGETHER, Constraint, ImageContent, content_of
from icas.clusterimg.editing.result_images import ResultImages
from icas.clusterimg.transfer.cleanup import file_state, files_below
from icas.clusterimg.transfer.plan import OUTLIERS, TREE
from icas.io.files import one_line_errors

_NAMED = 3
"""Files that a description names."""


@dataclass(frozen=True)
class Moves:
    """Differences between ``result/`` and the journal; paths are relative to the result."""

    moved: dict[str, str]  # path in the journal -> path now
    missing: tuple[str, ...] = ()  # paths in the journal whose file is not identified
    unknown: tuple[str, ...] = ()  # files that are not identified


def find_moves(images: ResultImages) -> Moves:
    """The files of ``result/`` that are not where the journal has them.

    A file is identified by its content where its source still exists, else by its size and mtime,
    if these are unique.
    """
    root, records = images.root, images.records
    existing = set(files_below(root, TREE))
    missing, new = sorted(set(records) - existing), sorted(existing - set(records))
    keys = {path: _key(Path(str(records[path].source))) for path in missing}
    certain = [path for path in missing if keys[path] is not None]
    sizes = {key[1] for key in keys.values() if key is not None}
    candidates = [path for path in new if _size(root / path) in sizes]
    keys |= {path: _key(root / path) for path in candidates}
    moved = dict(_pairs(certain, candidates, keys.__getitem__, sure=True))
    doubtful = [path for path in missing if keys[path] is None]
    rest = [path for path in new if path not in set(moved.values())]
    states = {path: records[path].state for path in doubtful}
    states |= {path: file_state(root / path) for path in rest}
    moved |= _pairs(doubtful, rest, states.__getitem__, sure=False)
    return Moves(
        moved,
        tuple(path for path in missing if path not in moved),
        tuple(path for path in new if path not in set(moved.values())),
    )


def _pairs(
    old: Sequence[str], new: Sequence[str], key: Callable[[str], Any], *, sure: bool
) -> Iterator[tuple[str, str]]:
    """Old and new paths with equal keys: those with equal names first, then the others.

    Where the key is not `sure`, the others only if there is one of each.
    """
    old_paths: dict[Any, list[str]] = {}
    new_paths: dict[Any, list[str]] = {}
    for paths, groups in ((old, old_paths), (new, new_paths)):
        for path in paths:
            groups.setdefault(key(path), []).append(path)
    for value, olds in old_paths.items():
        news = new_paths.get(value, [])
        for path in list(olds):
            same = [one for one in news if PurePosixPath(one).name == PurePosixPath(path).name]
            if len(same) == 1 or (sure and same):
                yield path, same[0]
                olds.remove(path)
                news.remove(same[0])
        if sure or (len(olds), len(news)) == (1, 1):
            yield from zip(olds, news, strict=False)


def constraints_of_moves(images: ResultImages, moves: Moves) -> list[Constraint]:
    """The constraints that the moves express.

    Files that left a cluster are apart from those that stayed, and from those that went elsewhere;
    files that went to the outliers are apart from all of it. Files that came into a folder are
    together with all files in it.
    """
    missing = set(moves.missing)
    now = {
        path: moves.moved.get(path, path) for path in sorted(images.records) if path not in missing
    }
    contents: dict[str, ImageContent] = {}
    files = {target: file for file, target in images.targets.items()}

    def content(path: str) -> ImageContent:
        if path not in contents:
            current = images.root / now[path]
            with one_line_errors(f"cannot read {current}"):
                contents[path] = content_of(current, files[path])
        return contents[path]

    constraints = []
    for folder in dict.fromkeys(_folder(path) for path in moves.moved if not _is_outlier(path)):
        inside = [path for path in now if _folder(path) == folder]
        groups: dict[str, list[str]] = {}
        for path in inside:
            goal = now[path] if _is_outlier(now[path]) else _folder(now[path])
            groups.setdefault(goal, []).append(path)
        left = [path for path in inside if _folder(now[path]) != folder]
        if len(groups) > 1:
            sides = tuple(tuple(map(content, side)) for side in sorted(groups.values(), key=len))
            how = f"learned: {_names(left)} moved out of {folder}"
            constraints.append(distinct(Constraint(APART, sides, how)))
    goals = moves.moved.values()
    for folder in dict.fromkeys(_folder(path) for path in goals if not _is_outlier(path)):
        inside = [path for path in now if _folder(now[path]) == folder]
        new = [path for path in inside if _folder(path) != folder]
        if new and len(inside) > 1:
            how = f"learned: {_names(new)} moved into {folder}"
            side = tuple(map(content, inside))
            constraints.append(distinct(Constraint(TOGETHER, (side,), how)))
    return [
        one
        for one in constraints
        if len(one.images) > 1 and (one.kind == TOGETHER or len(one.sides) > 1)
    ]


def distinct(constraint: Constraint) -> Constraint:
    """`constraint` with each content once, on its first side."""
    known: set[bytes] = set()
    sides = []
    for side in constraint.sides:
        fresh = {image.key: image for image in reversed(side) if image.key not in known}
        known |= set(fresh)
        sides.append(tuple(reversed(fresh.values())))
    return replace(constraint, sides=tuple(side for side in sides if side))


def _key(path: Path) -> tuple[bytes, int] | None:
    """Digest and size of a file; None where it does not exist."""
    with one_line_errors(f"cannot read {path}"):
        if not path.is_file():
            return None
        content = content_of(path, "")
    return content.key, content.size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link that leads nowhere
        return -1


def _folder(path: str) -> str:
    """The folder of ``result/`` that a path is in; empty for ``result/`` itself."""
    return "/".join(PurePosixPath(path).parts[1:-1])


def _is_outlier(path: str) -> bool:
    """Whether a file there is in no cluster."""
    return _folder(path) in (OUTLIERS, "")


def _names(paths: Iterable[str]) -> str:
    names = [PurePosixPath(path).name for path in paths]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return " ".join(names[:_NAMED]) + more
