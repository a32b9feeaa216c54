"""The grid of models: kinds of scikit-learn models, and the parameters to try them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

from icas.cli.options import check_options, flag_of, option, options_of
from icas.common.errors import UsageError

Parameters = Mapping[str, Any]

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "kmeans": ("clusters", "max_iter"),
        "hierarchy": ("clusters",),
        "dbscan": ("eps", "min_samples"),
        "gaussian": ("clusters", "max_iter"),
        "hdbscan": ("min_cluster_size", "max_cluster_size", "min_samples"),
    }
)
"""The kinds of models and the parameters each has."""

PARAMETERS = tuple(dict.fromkeys(name for names in KINDS.values() for name in names))
"""All parameters, in the order of the tables."""

STEP = 2**0.5
"""Factor between the numbers of clusters that are tried where none are given."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """``"kmeans,hdbscan"`` -> ``("kmeans", "hdbscan")``; case does not matter."""
    return tuple(part.strip().casefold() for part in text.split(",") if part.strip())


def parse_whole_numbers(text: str) -> tuple[int, ...]:
    """``"5,10,20"`` -> ``(5, 10, 20)``."""
    try:
        return _filled(tuple(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        raise ValueError("a list of integers like 5,10,20") from None


def parse_numbers(text: str) -> tuple[float, ...]:
    """``"0.4,0.6"`` -> ``(0.4, 0.6)``."""
    try:
        return _filled(tuple(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        raise ValueError("a list of numbers like 0.4,0.6") from None


def _filled(numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    if not numbers:
        raise ValueError("empty list")
    return numbers


@dataclass(frozen=True)
class Grid:
    """Kinds of models, and for each parameter the values to try; None = chosen by the images.

    Every kind is tried with all combinations of the parameters that it has.
    """

    kinds: tuple[str, ...] = option(
        ("kmeans", "hierarchy", "hdbscan"),
        f"cluster models to try: {', '.join(KINDS)}",
        parse=parse_kinds,
        flag="--cluster-model",
        metavar="NAME,...",
        default_text="kmeans,hierarchy,hdbscan",
    )
    clusters: tuple[int, ...] | None = option(
        None,
        "numbers of clusters to try (kmeans, hierarchy, gaussian)",
        parse=parse_whole_numbers,
        minimum=1,
        metavar="N,...",
        default_text="2, 3, 4, 6, 8, 11, 16, ... up to half the images",
    )
    max_iter: tuple[int, ...] | None = option(
        None,
        "maximum number of iterations (kmeans, gaussian)",
        parse=parse_whole_numbers,
        minimum=1,
        metavar="N,...",
        default_text="300",
    )
    eps: tuple[float, ...] | None = option(
        None,
        "neighbourhood radii to try, 0 to 2 (dbscan)",
        parse=parse_numbers,
        minimum=1e-6,
        maximum=2,
        metavar="F,...",
        default_text="10, 30, 50, 70 and 90 % quantiles of the core distances",
    )
    min_samples: tuple[int, ...] | None = option(
        None,
        "minimum neighbourhood sizes to try (dbscan, hdbscan)",
        parse=parse_whole_numbers,
        minimum=1,
        metavar="N,...",
        default_text="2, 3 and 5; hdbscan: the minimum cluster size",
    )
    min_cluster_size: tuple[int, ...] | None = option(
        None,
        "minimum cluster sizes to try (hdbscan)",
        parse=parse_whole_numbers,
        minimum=2,
        metavar="N,...",
        default_text="2, 3, 5 and 10",
    )
    max_cluster_size: tuple[int, ...] | None = option(
        None,
        "maximum cluster sizes to try (hdbscan)",
        parse=parse_whole_numbers,
        minimum=2,
        metavar="N,...",
        default_text="no limit",
    )

    def __post_init__(self) -> None:
        self._check_kinds()
        for name in PARAMETERS:
            values = getattr(self, name)
            if values is not None:
                self._check_values(name, values)
        check_options(self)

    def _check_kinds(self) -> None:
        if not self.kinds:
            raise UsageError(f"--cluster-model is empty: choose from {', '.join(KINDS)}")
        for kind in self.kinds:
            if kind not in KINDS:
                raise UsageError(f"--cluster-model {kind}: choose from {', '.join(KINDS)}")
        if len(set(self.kinds)) < len(self.kinds):
            raise UsageError(f"--cluster-model {','.join(self.kinds)}: give each model only once")

    def _check_values(self, name: str, values: Any) -> None:
        flag = flag_of(name)
        if not isinstance(values, tuple) or not values:
            raise UsageError(f"{flag} {values!r}: expected one or more numbers")
        parse = options_of(Grid)[name][1].parse
        if parse is parse_whole_numbers and not all(type(value) is int for value in values):
            raise UsageError(f"{flag} {_listed(values)}: expected integers")
        having = [kind for kind, names in KINDS.items() if name in names]
        if not set(having) & set(self.kinds):
            raise UsageError(
                f"{flag} applies to --cluster-model {' or '.join(having)}, not to"
                f" {','.join(self.kinds)}"
            )

    def of_kind(self, kind: str, images: int) -> Iterator[Parameters]:
        """Combinations of parameters of `kind` for so many images.

        ``eps`` is left out where it has to come from the images' distances.
        """
        names = KINDS[kind]
        lists = [self._values(kind, name, images) for name in names]
        for values in product(*lists):
            given = zip(names, values, strict=True)
            yield {name: value for name, value in given if value is not None}

    def _values(self, kind: str, name: str, images: int) -> tuple[Any, ...]:
        given = getattr(self, name)
        if given is not None:
            return tuple(dict.fromkeys(given))
        if name == "clusters":
            return default_clusters(images)
        if name == "min_cluster_size":
            # One size is always tried, so that every kind has a line in the table.
            return tuple(size for size in (2, 3, 5, 10) if size == 2 or size <= images // 2)
        if name == "min_samples" and kind == "dbscan":
            return (2, 3, 5)
        return (300,) if name == "max_iter" else (None,)


def default_clusters(images: int, most: int | None = None, step: float = STEP) -> tuple[int, ...]:
    """Numbers of clusters in a geometric progression: 2, 3, 4, 6, 8, 11, … to half the images.

    With more, most clusters would have fewer than two images; and the true number is never
    further than a factor of 1.2 from one that is tried.

    Parameters
    ----------
    most : int, optional
        The most clusters, where not half the images.
    step : float
        Factor between the numbers.
    """
    limit = max(2, images // 2 if most is None else most)
    numbers = {2}
    number = 2.0
    while number * step <= limit + 0.5:
        number *= step
        numbers.add(min(limit, round(number)))
    return tuple(sorted(numbers))


def _listed(values: tuple[Any, ...]) -> str:
    return ",".join(map(str, values))
