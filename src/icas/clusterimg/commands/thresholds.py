"""The command ``clusterimg thresholds``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.cli.options import parse_size
from icas.cli.parser import COMPARED, INPUT, KEPT, OUTPUT, WORKERS, About, LineParser, Typed
from icas.cli.program import Command
from icas.clusterimg.api.functions import linking, make_method_from
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.commands.flags import add_method_flags, add_no_cache, source, take_cache
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled, scan
from icas.clusterimg.evaluation.scores import CurvePoint, curve, match_labels, read_labels
from icas.clusterimg.features.inputs import extract
from icas.clusterimg.graph.forest import Forest, spanning_forest
from icas.clusterimg.linking.tiles import links_within, tile_count
from icas.clusterimg.methods.base import Method
from icas.clusterimg.settings import DEFAULT_METHOD
from icas.common.errors import IcasError, UsageError
from icas.io.files import write_whole
from icas.io.tables import shown, table
from icas.parallel.executors import ALONE, Workers, start_workers

COLUMNS = ("threshold", "links", "clusters", "clustered_images")
QUALITY = ("precision", "recall", "f1")
SAMPLE = 1000
AT_ONCE = 1 << 22
"""Similarities that are gathered before they are counted."""


def full_forest(
    method: Method,
    features: FeatureSet,
    workers: Workers = ALONE,
    console: Console | None = None,
) -> tuple[Forest, LinkCounts]:
    """The maximum spanning forest of all pairs, and how many pairs reach each similarity."""
    tiles = tile_count(method, features, -np.inf, workers.jobs)
    counts = LinkCounts()
    with (console or Console()).bar(tiles, "links", "tiles") as bar:

        def parts() -> Any:
            for part in links_within(method, features, -np.inf, workers):
                counts.add(part.similarity)
                bar.update(1)
                yield part

        forest = spanning_forest(len(features), parts())
    return forest, counts


class LinkCounts:
    """How many pairs have each similarity; similarities are kept as they are, equal ones once."""

    def __init__(self) -> None:
        self._values = np.empty(0, np.float32)
        self._counts = np.empty(0, np.int64)
        self._fresh: list[NDArray[np.float32]] = []

    def add(self, similarities: NDArray[np.float32]) -> None:
        """Count these pairs too."""
        self._fresh.append(similarities)
        if sum(map(len, self._fresh)) > AT_ONCE:
            self._count_fresh()

    def _count_fresh(self) -> None:
        fresh = np.concatenate([np.empty(0, np.float32), *self._fresh])
        self._fresh = []
        counts = np.concatenate([self._counts, np.ones(len(fresh), np.int64)])
        self._values, place = np.unique(np.concatenate([self._values, fresh]), return_inverse=True)
        self._counts = np.bincount(place, counts, len(self._values)).astype(np.int64)

    def at_least(self, thresholds: Sequence[float]) -> list[int]:
        """For each threshold the pairs at or above it."""
        self._count_fresh()
        above = np.concatenate([np.cumsum(self._counts[::-1])[::-1], [0]])
        wanted = np.array(thresholds, np.float32)
        return [int(count) for count in above[np.searchsorted(self._values, wanted)]]


def write_curve(
    src: str | Path,
    console: Console,
    *,
    method: str = DEFAULT_METHOD,
    labels: Path | None = None,
    out: Path | None = None,
    plot: Path | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    jobs: int | None = None,
    recursive: bool = False,
    cache: Path | bool | None = None,
    **options: Any,
) -> bool:
    """Write the table of all thresholds, or print it; whether some files could not be read.

    `plot` is a PNG file for the same numbers as curves. Features are kept in the folder `cache`;
    None: the user's cache folder, False: nowhere.

    Of a folder with more than `sample` images a sample is compared, drawn with `seed` from all of
    them; `sample` 0 takes all.

    Raises
    ------
    UsageError
        No such folder, method or option, a wrong labels file, or a `plot` that is no .png.
    IcasError
        No images, or the table or the plot cannot be written.
    """
    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"--plot {plot}: the curve is a picture, so a name in .png is needed")
    truth = read_labels(labels) if labels is not None else None
    chosen = linking(make_method_from(method, options))
    with (
        console.listening(),
        open_cache(cache) as kept,
        start_workers("threads", jobs) as workers,
    ):
        found = scan(Path(src), recursive=recursive)
        chosen_images = sampled(found.images, sample, seed)
        with console.bar(len(chosen_images), "features", "images") as bar:
            features = extract(chosen, chosen_images, workers, bar=bar, cache=kept)
        if len(features) == 0:
            raise IcasError(f"no images in {src} could be read")
        if truth is not None:
            features, truth_of_each = _labelled(features, truth)
        else:
            truth_of_each = None
        forest, counts = full_forest(chosen, features, workers, console)
    points = curve(forest, truth_of_each)
    content = _table(points, counts, with_quality=truth is not None)
    if out is None:
        for row in content.decode("utf-8", "surrogateescape").splitlines():
            console.line(row)
    else:
        _save(out, content)
    if plot is not None:
        _save(plot, _picture(points, counts, len(features), chosen.name))
    console.line(_last_line(points, len(features), out))
    for one in features.unreadable:
        console.warn(f"unreadable: {one.file}: {one.reason}")
    return bool(features.unreadable)


def _labelled(features: FeatureSet, truth: dict[str, str]) -> tuple[FeatureSet, list[str]]:
    """The images that have a label, and their labels."""
    numbers = {file: image for image, file in enumerate(features.files)}
    rows, labels = match_labels(numbers, truth)
    return features[rows], labels


def _table(points: Sequence[CurvePoint], counts: LinkCounts, with_quality: bool) -> bytes:
    links = counts.at_least([point.threshold for point in points])
    rows: list[tuple[Any, ...]] = []
    for point, count in zip(points, links, strict=True):
        row = (shown(point.threshold), count, point.clusters, point.clustered_images)
        quality = (point.precision, point.recall, point.f1) if with_quality else ()
        rows.append((*row, *(f"{value:.6f}" for value in quality if value is not None)))
    return table((*COLUMNS, *(QUALITY if with_quality else ())), rows)


def _picture(points: Sequence[CurvePoint], counts: LinkCounts, images: int, method: str) -> bytes:
    """The curves as a PNG file."""
    from icas.clusterimg.picker.curve import Curve, picture_of, png_of

    links = counts.at_least([point.threshold for point in points])
    return png_of(picture_of(Curve.of_points(points, links, images), method))


def _save(out: Path, content: bytes) -> None:
    try:
        write_whole(out, content)
    except OSError as error:
        raise IcasError(f"cannot write {out}: {error.strerror or error}") from error


def _last_line(points: Sequence[CurvePoint], images: int, out: Path | None) -> str:
    told = f"{images} images, {len(points)} thresholds"
    best = max(points, key=lambda point: point.f1 or 0.0, default=None)
    if best is not None and best.f1 is not None:
        told += (
            f", best pairwise F1 {best.f1:.4f} (precision {best.precision:.4f}, recall"
            f" {best.recall:.4f}) at {shown(best.threshold)}"
        )
    return told if out is None else f"{told} -> {out}"


SOME_UNREADABLE = 3
TEXT = "Links, clusters and clustered images at every threshold at which something changes."
EXAMPLES = (
    ("clusterimg thresholds photos --method orb", ""),
    ("clusterimg thresholds photos --labels labels.csv --out curve.csv --plot curve.png", ""),
)


def _parser() -> LineParser:
    from icas.clusterimg.methods import METHODS

    parser = LineParser("clusterimg thresholds", About(TEXT, examples=EXAMPLES))
    parser.add_source()
    add = parser.add_value
    add(INPUT, "--labels", type=Path, metavar="CSV", help="true labels: file,label (default: none)")
    parser.add_switch(INPUT, "--recursive", help="sub-folders too")
    add(
        INPUT,
        "--sample",
        type=int,
        metavar="N",
        help="images compared; 0 = all (default: 1000 images)",
    )
    add(INPUT, "--seed", type=int, metavar="N", help="draws the sample (default: 0)")
    add(
        COMPARED,
        "--method",
        type=Typed(str, tuple(METHODS)),
        metavar="METHOD",
        help=f"one of {', '.join(METHODS)} (default: imagehash)",
    )
    add(
        COMPARED,
        "--size",
        type=Typed(parse_size),
        metavar="WxH",
        help="bring images to this size in pixels first (default: the method's)",
    )
    add(
        OUTPUT,
        "--out",
        type=Path,
        metavar="FILE",
        help="write the table there as CSV (default: print it)",
    )
    add(
        OUTPUT,
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw it as curves: a picture, .png (default: none)",
    )
    add(WORKERS, "--jobs", type=int, metavar="N", help="workers (default: all cores)")
    add(
        KEPT,
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of kept features (default: the user's cache folder)",
    )
    add_no_cache(parser)
    add_method_flags(parser, {"seed", "size"})
    return parser


def _thresholds(given: dict[str, Any]) -> int:
    given.pop("debug", None)
    take_cache(given)
    folder, quiet = source(given), given.pop("quiet", False)

    pass

    console = Console(results=True, warnings=not quiet, bars=not quiet)
    return SOME_UNREADABLE if write_curve(folder, console, **given) else 0


THRESHOLDS = Command(_parser, _thresholds)
