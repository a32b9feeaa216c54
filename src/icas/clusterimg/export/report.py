"""What an export wrote: images of each class and split, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icas.dataset.formats.base import Dataset

_MOST = 20
"""Classes of the printed table; ``classes.csv`` has them all."""


@dataclass(frozen=True)
class ExportReport:
    """Result of `icas.export`.

    Attributes
    ----------
    dst : Path
        Result folder of the run.
    out : Path
        Folder of the data set.
    counts : dict of str to dict of str to int
        Number of images by class and split.
    left_out : dict of str to str
        Images without a label, or with too low a confidence, with the reason.
    missing : dict of str to str
        Labelled images whose files could not be exported, with the reason.
    contradictions : tuple of str
        Clusters and equal files with several labels.
    settings : dict
        Formats, shares, seed and the like.
    written : bool
        False after a dry run.

    See Also
    --------
    icas.export : Write a data set.

    Examples
    --------
    >>> import icas
    >>> from pathlib import Path
    >>> counts = {"cup": {"train": 8, "test": 2}}
    >>> report = icas.ExportReport(
    ...     Path("sorted"), Path("dataset"), counts, {"sky.jpg": "no label"}, {}, (), {}
    ... )
    >>> report.summary()
    '10 images, 1 class, 1 left out, 0 missing -> dataset'
    >>> report.as_dict()["images"]
    10
    """

    dst: Path
    out: Path
    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, str]
    missing: Mapping[str, str]
    contradictions: tuple[str, ...]
    settings: Mapping[str, Any]
    written: bool = True

    def summary(self) -> str:
        """Return the last line that the command prints.

        Returns
        -------
        str
        """
        images = sum(sum(splits.values()) for splits in self.counts.values())
        classes = f"{len(self.counts)} class{'es' if len(self.counts) != 1 else ''}"
        dry = "" if self.written else " (dry run, nothing written)"
        return (
            f"{images} image{'s' if images != 1 else ''}, {classes}, {len(self.left_out)} left out,"
            f" {len(self.missing)} missing -> {self.out}{dry}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the result as for ``--json``.

        Returns
        -------
        dict
            With ``dst``, ``out``, ``images``, ``classes``, ``left_out``, ``missing``,
            ``contradictions``, ``settings`` and ``dry_run``.
        """
        return {
            "dst": str(self.dst),
            "out": str(self.out),
            "images": sum(sum(splits.values()) for splits in self.counts.values()),
            "classes": {name: dict(splits) for name, splits in self.counts.items()},
            "left_out": Counter(self.left_out.values()),
            "missing": dict(self.missing),
            "contradictions": list(self.contradictions),
            "settings": dict(self.settings),
            "dry_run": not self.written,
        }


def counts_of(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Number of images by class and split."""
    found = Counter((one.label, one.split) for one in dataset.images)
    return {
        name: {split: found[name, split] for split in dataset.splits} for name in dataset.classes
    }


def split_table(
    counts: Mapping[str, Mapping[str, int]], groups: Mapping[str, int]
) -> Iterator[str]:
    """Lines of a table of images by class and split; `groups` by class."""
    splits = list(next(iter(counts.values()), {}))
    shown = dict(list(counts.items())[:_MOST])
    width = max(map(len, ("class", *shown)))
    yield "  ".join((f"{'class':{width}}", *(f"{split:>6}" for split in splits), "groups"))
    for name, by_split in shown.items():
        numbers = (f"{count:>6}" for count in by_split.values())
        yield "  ".join((f"{name:{width}}", *numbers, f"{groups[name]:>6}"))
    if len(counts) > _MOST:
        yield f"… {len(counts) - _MOST} more classes: see classes.csv"
    total = (f"{sum(one[split] for one in counts.values()):>6}" for split in splits)
    yield "  ".join((f"{'all':{width}}", *total, f"{sum(groups.values()):>6}"))


def absent(counts: Mapping[str, Mapping[str, int]], groups: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each class that some split has no image of."""
    for name, by_split in counts.items():
        without = [split for split, count in by_split.items() if not count]
        if without:
            inside = [split for split, count in by_split.items() if count]
            many = f"{groups[name]} group{'s' if groups[name] != 1 else ''} of similar images"
            yield (
                f"class {name} is only in {' and '.join(inside)}, not in {' and '.join(without)}:"
                f" it has {many}"
            )
