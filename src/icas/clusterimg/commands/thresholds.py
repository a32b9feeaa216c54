"""The command ``clusterimg thresholds``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console
from icas.cli.options import parse_size
from icas.cli.parser import (
    INPUT,
    METHOD,
    OUTPUT,
    PERFORMANCE,
    ArgumentType,
    CommandParser,
    take_source,
)
from icas.cli.program import Command
from icas.clusterimg.api.functions import make_method_from
from icas.clusterimg.cache.cache import open_cache
from icas.clusterimg.commands import flags
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.data.images import sampled, scan
from icas.clusterimg.evaluation.scores import CurvePoint, curve, match_labels, read_labels
from icas.clusterimg.features.inputs import extract
from icas.clusterimg.graph.forest import Forest, spanning_forest
from icas.clusterimg.linking.tiles import links_within, tile_count
from icas.clusterimg.methods import choose, is_auto
from icas.clusterimg.methods.base import Method, linking
from icas.clusterimg.settings import DEFAULT_METHOD
from icas.common.errors import IcasError, UsageError
from icas.io.files import shown, table, write_whole
from icas.parallel.executors import ALONE, Workers, start_workers

COLUMNS = ("threshold", "links", "clusters", "clustered_images")
QUALITY = ("precision", "recall", "f1")
SAMPLE = 1000
AT_ONCE = 1 << 22
"""Similarities that are collected before they are counted."""


def full_forest(
    method: Method,
    features: FeatureSet,
    workers: Workers = ALONE,
    console: Console | None = None,
) -> tuple[Forest, LinkCounts]:
    """The maximum spanning forest of all pairs, and the number of pairs at each similarity."""
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
    """The number of pairs at each similarity."""

    def __init__(self) -> None:
        self._values = np.empty(0, np.float32)
        self._counts = np.empty(0, np.int64)
        self._pending: list[NDArray[np.float32]] = []

    def add(self, similarities: NDArray[np.float32]) -> None:
        """Count more pairs."""
        self._pending.append(similarities)
        if sum(map(len, self._pending)) > AT_ONCE:
            self._count_pending()

    def _count_pending(self) -> None:
        pending = np.concatenate([np.empty(0, np.float32), *self._pending])
        self._pending = []
        counts = np.concatenate([self._counts, np.ones(len(pending), np.int64)])
        self._values, index = np.unique(
            np.concatenate([self._values, pending]), return_inverse=True
        )
        self._counts = np.bincount(index, counts, len(self._values)).astype(np.int64)

    def at_least(self, thresholds: Sequence[float]) -> list[int]:
        """The number of pairs at or above each threshold."""
        self._count_pending()
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
    """Write or print the table of all thresholds; return whether some files were unreadable.

    `sample` 0 compares all images; `cache` None is the user's cache folder, False is none.
    """
    if plot is not None and plot.suffix.lower() != ".png":
        raise UsageError(f"--plot {plot}: choose a file name that ends in .png")
    truth = read_labels(labels) if labels is not None else None
    choice = choose(options).lines() if is_auto(method) else ()
    linked = linking(make_method_from(method, options))
    with (
        console.show_logging(),
        open_cache(cache) as kept,
        start_workers("threads", jobs) as workers,
    ):
        images = sampled(scan(Path(src), recursive=recursive).images, sample, seed)
        with console.bar(len(images), "features", "images") as bar:
            features = extract(linked, images, workers, bar=bar, cache=kept)
        if len(features) == 0:
            raise IcasError(f"no images in {src} could be read")
        true_labels = None
        if truth is not None:
            numbers = {file: image for image, file in enumerate(features.files)}
            matched = match_labels(numbers, truth)
            true_labels = matched.truth
            for line in matched.warnings(cast(Path, labels)):
                console.warn(line)
            features = features[matched.clusters]
        forest, counts = full_forest(linked, features, workers, console)
    points = curve(forest, true_labels)
    links = counts.at_least([point.threshold for point in points])
    content = _table(points, links, with_quality=truth is not None)
    if out is None:
        for row in content.decode("utf-8", "surrogateescape").splitlines():
            console.line(row)
    else:
        _save(out, content)
    if plot is not None:
        _save(plot, _plot(points, links, len(features), linked.name))
    for line in choice:
        console.line(line)
    console.line(_last_line(points, len(features), [path for path in (out, plot) if path]))
    for entry in features.unreadable:
        console.warn(f"unreadable: {entry.file}: {entry.reason}")
    return bool(features.unreadable)


def _table(points: Sequence[CurvePoint], links: Sequence[int], with_quality: bool) -> bytes:
    rows: list[tuple[Any, ...]] = []
    for point, count in zip(points, links, strict=True):
        row = (shown(point.threshold), count, point.clusters, point.clustered_images)
        quality = (point.precision, point.recall, point.f1) if with_quality else ()
        rows.append((*row, *(f"{value:.6f}" for value in quality if value is not None)))
    return table((*COLUMNS, *(QUALITY if with_quality else ())), rows)


def _plot(points: Sequence[CurvePoint], links: Sequence[int], images: int, method: str) -> bytes:
    """The curves as a PNG file."""
    from icas.clusterimg.picker.curve import Curve, picture_of, png_of

    return png_of(picture_of(Curve.of_points(points, links, images), method))


def _save(out: Path, content: bytes) -> None:
    try:
        write_whole(out, content)
    except OSError as error:
        raise IcasError(f"cannot write {out}: {error.strerror or error}") from error


def _last_line(points: Sequence[CurvePoint], images: int, written: Sequence[Path]) -> str:
    line = f"{images} images, {len(points)} thresholds"
    best = max(points, key=lambda point: point.f1 or 0.0, default=None)
    if best is not None and best.f1 is not None:
        line += (
            f", best pairwise F1 {best.f1:.4f} (precision {best.precision:.4f}, recall"
            f" {best.recall:.4f}) at {shown(best.threshold)}"
        )
    return f"{line} -> {', '.join(map(str, written))}" if written else line


COMMON = (
    "--src",
    "--recursive",
    "--labels",
    "--sample",
    "--seed",
    "--method",
    "--size",
    "--out",
    "--plot",
    "--jobs",
)


def _parser() -> CommandParser:
    text = "List links, clusters and clustered images at every threshold where they change."
    examples = (
        ("clusterimg thresholds photos --method orb", ""),
        ("clusterimg thresholds photos --labels labels.csv --out curve.csv --plot curve.png", ""),
    )
    parser = CommandParser("clusterimg thresholds", text, common=COMMON, examples=examples)
    parser.add_source()
    add = parser.add_value
    labels = "true labels: a table with columns file,label (default: none)"
    add(INPUT, "--labels", type=Path, metavar="CSV", help=labels)
    parser.add_switch(INPUT, "--recursive", help="include sub-folders")
    sample = "images to sample; 0 = all (default: 1000 images)"
    add(INPUT, "--sample", type=int, metavar="N", help=sample)
    add(INPUT, "--seed", type=int, metavar="N", help="random seed for sampling (default: 0)")
    flags.add_method(parser, DEFAULT_METHOD)
    size = "resize images to this size in pixels (default: the method's)"
    add(METHOD, "--size", type=ArgumentType(parse_size), metavar="WxH", help=size)
    out = "write the table as CSV (default: print it)"
    add(OUTPUT, "--out", type=Path, metavar="FILE", help=out)
    plot = "plot the curves as PNG (default: none)"
    add(OUTPUT, "--plot", type=Path, metavar="FILE", help=plot)
    add(PERFORMANCE, "--jobs", type=int, metavar="N", help="number of workers (default: all cores)")
    flags.add_cache(parser)
    flags.add_no_cache(parser)
    flags.add_method_flags(parser, {"seed", "size"})
    return parser


def _thresholds(given: dict[str, Any]) -> int:
    flags.take_cache(given)
    console, _ = flags.take_console(given)
    some_unreadable = write_curve(take_source(given, "clusterimg"), console, **given)
    return flags.SOME_UNREADABLE if some_unreadable else 0


THRESHOLDS = Command(_parser, _thresholds, flags.discover_methods)
