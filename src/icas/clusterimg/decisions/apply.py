"""Remembered decisions -> what they say about the images of a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from icas.clusterimg.decisions.constraints import NOTHING, Constraints
from icas.clusterimg.decisions.model import TOGETHER, Decision, picture_of
from icas.clusterimg.decisions.store import DecisionStore, decisions_folder, has_decisions
from icas.common.errors import IcasError


@dataclass(frozen=True)
class Remembered:
    """What remembered decisions say about the images of a run.

    Attributes
    ----------
    constraints : Constraints
    together, apart : int
        How many decisions of each kind say something about two images or more.
    """

    constraints: Constraints = NOTHING
    together: int = 0
    apart: int = 0

    def __bool__(self) -> bool:
        return self.together + self.apart > 0

    def told(self) -> str:
        """In one line."""
        count = self.together + self.apart
        ones = "one applies" if count == 1 else "ones apply"
        return f"decisions: {count} remembered {ones} to these images"

    def as_dict(self) -> dict[str, int]:
        """What ``run.json`` holds."""
        return {"together": self.together, "apart": self.apart}


def remembered(
    files: Mapping[str, Path], cache: str | Path | bool | None = None, jobs: int | None = None
) -> Remembered:
    """What is remembered about images.

    Only files whose size is that of a file about which something is decided are looked into.

    Parameters
    ----------
    files : mapping of str to Path
        Name of each image, and where it lies.
    cache : path or bool, optional
        As ``--cache``.
    jobs : int, optional
        How many files are looked into at a time; default as many as there are cores.

    Raises
    ------
    IcasError
        The store of decisions is damaged, or cannot be read.
    """
    try:
        folder = decisions_folder(cache)
    except IcasError:  # no home folder: nothing can have been remembered there
        return Remembered()
    if not has_decisions(folder):
        return Remembered()
    try:
        with DecisionStore(folder) as store:
            decisions = store.all()
    except IcasError as error:
        raise IcasError(f"{error}; --no-decisions leaves them out") from error
    keys = _keys(files, {one.size for each in decisions for one in each.pictures}, jobs)
    return what_applies(decisions, keys)


def _keys(files: Mapping[str, Path], sizes: set[int], jobs: int | None) -> dict[str, bytes]:
    """Content of those files that are of one of `sizes`; one that cannot be read is left out."""
    if not sizes:
        return {}
    alike = [(file, path) for file, path in files.items() if _size(path) in sizes]
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        found = pool.map(_key, (path for _, path in alike))
        return {file: key for (file, _), key in zip(alike, found, strict=True) if key is not None}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _key(path: Path) -> bytes | None:
    try:
        return picture_of(path, "").key
    except OSError:  # whoever reads the picture says so
        return None


def what_applies(decisions: Sequence[Decision], keys: Mapping[str, bytes]) -> Remembered:
    """What `decisions` say about files of the contents `keys`.

    What is together by several decisions in a row is together, also where the files between are
    not there. Files of one content are one picture.
    """
    class_of = _classes(decisions)
    here = set(keys.values())
    pictures = Counter(class_of[key] for key in here if key in class_of)
    present = set(pictures)
    apart = [
        sides
        for one in decisions
        if one.kind != TOGETHER and len(set((sides := _sides(one, class_of, present)).values())) > 1
    ]
    matter = {one for one, count in pictures.items() if count > 1}.union(*apart)
    classes = {file: class_of[key] for file, key in keys.items() if class_of.get(key, -1) in matter}
    together = _count_together(decisions, class_of, here, pictures)
    if not apart and not together:
        return Remembered()
    return Remembered(Constraints(classes, tuple(apart)), together, len(apart))


def _classes(decisions: Iterable[Decision]) -> dict[bytes, int]:
    """Content -> number of what it is together with, of all that something is decided about."""
    above: dict[bytes, bytes] = {}

    def top(key: bytes) -> bytes:
        above.setdefault(key, key)
        while above[key] != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    for decision in decisions:
        for side in decision.sides:
            for picture in side:
                one, first = top(picture.key), top(side[0].key)
                if decision.kind == TOGETHER and one != first:
                    above[one] = first
    numbers = {key: number for number, key in enumerate(sorted({top(key) for key in above}))}
    return {key: numbers[top(key)] for key in above}


def _sides(decision: Decision, class_of: Mapping[bytes, int], present: set[int]) -> dict[int, int]:
    """Class -> side of the pictures of a decision that are here, with their like."""
    return {
        class_of[picture.key]: number
        for number, side in enumerate(decision.sides)
        for picture in side
        if class_of[picture.key] in present
    }


def _count_together(
    decisions: Sequence[Decision],
    class_of: Mapping[bytes, int],
    here: set[bytes],
    pictures: Mapping[int, int],
) -> int:
    """Decisions that bring two pictures together which are here, be it over others that are not."""
    direct, over_others = Counter[int](), Counter[int]()
    for decision in decisions:
        for side in decision.sides if decision.kind == TOGETHER else ():
            one = class_of[side[0].key]
            if pictures.get(one, 0) > 1:
                present = sum(picture.key in here for picture in side)
                direct[one] += present > 1
                over_others[one] += present == 1
                break
    return sum(direct[one] or over_others[one] for one in {*direct, *over_others})
