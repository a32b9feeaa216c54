"""The cost model: expected number of comparisons of clustering in batches.

A folder has C classes. In each batch, the images of a class are compared with one representative,
and the remaining dissimilar images with each other. Then the representatives and remaining images
of all classes are compared. Finally the representatives of all batches are compared. The formulas
are in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

import numpy as np

from icas.common.errors import UsageError


@dataclass(frozen=True)
class Estimate:
    """Expected number of comparisons, as `icas.estimate` returns it.

    Attributes
    ----------
    images : int
        Number of images.
    classes : int
        Number of classes.
    batches : int
        Number of batches; the last may be smaller.
    within_classes : float
        Comparisons within batches between images of one class.
    between_classes : float
        Comparisons within batches between representatives of classes and remaining images.
    merge : float
        Comparisons between representatives of different batches.
    all_pairs : int
        Number of all pairs of images.

    See Also
    --------
    icas.estimate : Compute the estimate.

    Examples
    --------
    >>> import icas
    >>> found = icas.estimate(images=1000, classes=10, batch_size=500, similar=0.5)
    >>> found.batches, found.all_pairs
    (2, 499500)
    >>> found.comparisons == found.batch_stage + found.merge
    True
    >>> print(found.words()[-1])
    saved                          85.11%
    >>> sorted(found.as_dict())[:3]
    ['all_pairs', 'batch_stage', 'batches']
    """

    images: int
    classes: int
    batches: int
    within_classes: float
    between_classes: float
    merge: float
    all_pairs: int

    @property
    def batch_stage(self) -> float:
        """float: comparisons within all batches."""
        return self.within_classes + self.between_classes

    @property
    def comparisons(self) -> float:
        """float: comparisons of the batch and the merge stage."""
        return self.batch_stage + self.merge

    @property
    def saved(self) -> float:
        """float: share of all pairs that are not compared; can be negative."""
        return 1.0 - self.comparisons / self.all_pairs

    def as_dict(self) -> dict[str, Any]:
        """Return all values by name, as for ``--json``.

        Returns
        -------
        dict of str to float
            Rounded to six decimals.
        """
        sums = {name: getattr(self, name) for name in ("batch_stage", "comparisons", "saved")}
        return {name: round(value, 6) for name, value in {**asdict(self), **sums}.items()}

    def words(self) -> list[str]:
        """Return the lines that the command prints.

        Returns
        -------
        list of str
        """
        lines = [f"{name:16} {value:>20,.0f}" for name, value in self._figures()]
        return [*lines, f"{'saved':16} {self.saved:>20.2%}"]

    def _repr_html_(self) -> str:
        from icas.notebook.html import table

        caption = f"{self.images:,} images of {self.classes:,} classes"
        figures = [(name, f"{value:,.0f}") for name, value in self._figures()]
        return table(caption, [*figures, ("saved", f"{self.saved:.2%}")])

    def _figures(self) -> tuple[tuple[str, float], ...]:
        return (
            ("batches", self.batches),
            ("within classes", self.within_classes),
            ("between classes", self.between_classes),
            ("batch stage", self.batch_stage),
            ("merge stage", self.merge),
            ("comparisons", self.comparisons),
            ("all pairs", self.all_pairs),
        )


def estimate(
    images: int,
    classes: int,
    batch_size: int,
    similar: float | Sequence[float],
    sizes: Sequence[int] | None = None,
) -> Estimate:
    """Estimate the number of comparisons, like ``clusterimg estimate``.

    Parameters
    ----------
    images : int
        Number of images, at least 2.
    classes : int
        Number of classes, from 1 to `images`.
    batch_size : int
        Images per batch, at least 2; the last batch may be smaller. All classes are assumed to be
        spread evenly over the batches.
    similar : float or sequence of float
        Share of its class that an image is similar to, in [0, 1]; one value, or one per class.
    sizes : sequence of int, optional
        Images of each class; their sum is `images`. Default: equal sizes.

    Returns
    -------
    Estimate
        Comparisons of each stage, and the number of all pairs.

    Raises
    ------
    UsageError
        A value is out of range.

    Notes
    -----
    The comparisons that a run really made are in ``report.comparisons``; they can be fewer or more.

    Examples
    --------
    >>> import icas
    >>> found = icas.estimate(images=20000, classes=50, batch_size=2500, similar=0.5)
    >>> round(found.comparisons), found.all_pairs
    (6955874, 199990000)
    >>> round(found.saved, 2)
    0.97
    """
    _check_counts(images, classes, batch_size)
    shares = _shares(similar, classes)
    parts = [size / images for size in _sizes(sizes, images, classes)]
    full, rest = divmod(int(images), int(batch_size))
    kinds = [(full, batch_size), (1, rest)] if rest else [(full, batch_size)]
    batches = [
        (many, _batch([part * size for part in parts], shares)) for many, size in kinds if many
    ]
    first, standing = batches[0][1].standing, sum(many * one.standing for many, one in batches)
    return Estimate(
        images=int(images),
        classes=int(classes),
        batches=full + (rest > 0),
        within_classes=sum(many * one.within for many, one in batches),
        between_classes=sum(many * one.between for many, one in batches),
        merge=_merge(first, standing - first) if full + (rest > 0) > 1 else 0.0,
        all_pairs=int(images) * (int(images) - 1) // 2,
    )


@dataclass(frozen=True)
class _Batch:
    """Comparisons of one batch, and its number of representatives."""

    within: float
    between: float
    standing: float


def _batch(sizes: Sequence[float], shares: Sequence[float]) -> _Batch:
    """One batch with P_i = ``sizes[i]`` images of class i, of which T_i are left over.

    A class with an expected number of less than one image counts as that share of an image.
    """
    left = [(1.0 - share) * size for size, share in zip(sizes, shares, strict=True)]
    within = sum(max(0.0, size - 1.0) for size in sizes) + sum(map(_pairs, left))
    standing, over = sum(min(1.0, size) for size in sizes), sum(left)
    return _Batch(within, _pairs(standing) + _pairs(over) + over * standing, standing)


def _merge(first: float, others: float) -> float:
    """(C - 1) + R (R - 1) / 2 + R, with C images of the first batch and R = `others`."""
    return max(0.0, first - 1.0) + _pairs(others) + others


def _pairs(number: float) -> float:
    """Pairs among so many; less than one image makes none."""
    return max(0.0, number * (number - 1.0) / 2.0)


def _check_counts(images: int, classes: int, batch_size: int) -> None:
    for name, value, least in (("images", images, 2), ("batch-size", batch_size, 2)):
        if not _whole(value) or value < least:
            raise UsageError(f"--{name} {value}: expected an integer of at least {least}")
    if not _whole(classes) or not 1 <= classes <= images:
        raise UsageError(
            f"--classes {classes}: expected an integer from 1 to {images}, the number of images"
        )


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _shares(similar: float | Sequence[float], classes: int) -> list[float]:
    several = isinstance(similar, Iterable) and not isinstance(similar, str)
    given: list[Any] = list(similar) if several else [similar]  # type: ignore[arg-type]
    for share in given:
        if not isinstance(share, (int, float, np.number)) or not 0 <= share <= 1:
            raise UsageError(f"--similar {share}: expected a share from 0 to 1")
    if len(given) not in (1, classes):
        raise UsageError(
            f"--similar has {len(given)} values for {classes} classes: give one value, or one"
            " per class"
        )
    return [float(share) for share in given] * (classes if len(given) == 1 else 1)


def _sizes(sizes: Sequence[int] | None, images: int, classes: int) -> list[float]:
    if sizes is None:
        return [images / classes] * classes
    for size in sizes:
        if not _whole(size) or size < 1:
            raise UsageError(f"--sizes {size}: expected integers of at least 1")
    if len(sizes) != classes:
        raise UsageError(
            f"--sizes has {len(sizes)} values for {classes} classes: give one per class"
        )
    if sum(sizes) != images:
        raise UsageError(f"--sizes sum to {sum(sizes)} images, but --images is {images}")
    return [float(size) for size in sizes]
