"""Links of large folders through candidates: each image is compared with the most promising others.

A sample of images is compared with all others, which measures the share of links that is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import NONE, Links, join_links, links_in
from icas.clusterimg.graph.forest import components, members_of
from icas.clusterimg.linking.sketches import (
    FITTED_TO,
    NO_NEIGHBOR,
    Sketcher,
    Sketches,
    fingerprints,
    nearest,
)
from icas.clusterimg.linking.tiles import links_within, side_for
from icas.clusterimg.methods import METHODS, method_class
from icas.clusterimg.methods.base import Method
from icas.common.errors import UsageError
from icas.parallel.executors import ALONE, Workers

SKETCH_TASK = 256
"""Images that are sketched in a task."""
PAIRS_TASK = 4096
"""Pairs that are compared in a task, roughly."""
LEAST_CHECKED, MOST_CHECKED = 50, 100
"""Images that are compared with all others: one in a hundred, within these limits."""

Numbers = NDArray[np.int64]


def check_candidates(method: Method, most: int) -> None:
    """Check that `method` supports candidates.

    Raises UsageError: it does not, or compares all pairs faster than candidates are found.
    """
    if most < 1:
        raise UsageError(f"--candidates {most}: must be at least 1")
    if not method.extractor.sketched:
        sketched = sorted(name for name in METHODS if method_class(name).sketched)
        raise UsageError(
            f"--candidates: method {method.name!r} compares all pairs faster without it; remove"
            f" it, or use a method of {', '.join(sketched)}"
        )


@dataclass(frozen=True)
class Checked:
    """Quality of the candidates of some images, by comparing these with all others.

    images: number of images compared with all others; links: their links; found: links between
    candidates; joined: links whose images are connected by links between candidates.
    """

    images: int = 0
    links: int = 0
    found: int = 0
    joined: int = 0

    def __add__(self, other: Checked) -> Checked:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Checked(*(a + b for a, b in pairs))

    @property
    def recall(self) -> float | None:
        """Share of the links that candidates find; None where there are no links."""
        return self.found / self.links if self.links else None


@dataclass(frozen=True)
class CandidateStage:
    """Finds links by comparing each image with its most promising others.

    most: candidates an image; a pair is compared where either is a candidate of the other; seed:
    draws the images that are compared with all others; whole: all pairs within connected components
    are compared, as complete and average linkage need it; checks: one a batch, the merge of batches
    last.
    """

    most: int
    seed: int = 0
    whole: bool = False
    checks: list[Checked] = field(default_factory=list)

    def within(
        self,
        method: Method,
        features: FeatureSet,
        threshold: float,
        workers: Workers = ALONE,
        console: Console | None = None,
    ) -> tuple[Links, int]:
        """Links among the images of one FeatureSet, and the number of pairs compared."""
        parts = np.arange(len(features))
        return self._links(Search(method, features, parts, threshold, workers, console))

    def across(
        self,
        method: Method,
        parts: Sequence[FeatureSet],
        threshold: float,
        workers: Workers = ALONE,
    ) -> tuple[Links, int]:
        """Links between images of different parts, numbered through all; and pairs compared."""
        numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        together = concatenate(list(parts))
        return self._links(Search(method, together, numbers, threshold, workers))

    def pays(self, count: int) -> bool:
        """Whether `count` images have pairs that are no candidates."""
        return self.most < count - 1

    def words(self) -> str:
        """Result of the checks, in a line."""
        checked = sum(self.checks, Checked())
        if not self.checks:
            return f"candidates: {self.most} per image; not needed, all pairs were compared"
        images = f"{checked.images} sampled images"
        if checked.recall is None:
            return f"candidates: {self.most} per image; recall unknown, {images} have no links"
        found, joined = (
            _percent(count, checked.links) for count in (checked.found, checked.joined)
        )
        return (
            f"candidates: {self.most} per image; recall {found} ({checked.links} links of {images}"
            f" checked), {joined} of these links are within one cluster"
        )

    def as_dict(self) -> dict[str, Any]:
        """Its entry in ``run.json``."""
        checked = sum(self.checks, Checked())
        return {
            "k": self.most,
            "recall": checked.recall,
            "joined": checked.joined / checked.links if checked.links else None,
            "images_checked": checked.images,
            "links_checked": checked.links,
        }

    def _links(self, search: Search) -> tuple[Links, int]:
        search = replace(search, features=replace(search.features, files=(), unreadable=()))
        count, sample = len(search.features), self._sample(len(search.features))
        pairs = candidate_pairs(search, self.most, self.seed)
        truth = _links_of_sample(search, sample)
        checked = np.isin(pairs // count, sample) | np.isin(pairs % count, sample)
        rest = pairs[~checked]
        found = join_links(links_among(search, rest))
        by_candidates = np.isin(truth.a * count + truth.b, pairs)
        label = _labels(count, join_links([found, truth.select(by_candidates)]))
        joined = label[truth.a] == label[truth.b]
        check = Checked(len(sample), len(truth), int(by_candidates.sum()), int(joined.sum()))
        self.checks.append(check)
        links = join_links([found, truth])
        compared = len(rest) + _pairs_of_sample(search.parts, sample)
        return (_completed(search, links) if self.whole else links), compared

    def _sample(self, count: int) -> Numbers:
        """Numbers of the images that are compared with all others, ascending."""
        wanted = min(count, max(LEAST_CHECKED, min(count // 100, MOST_CHECKED)))
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.choice(count, wanted, replace=False)).astype(np.int64)


@dataclass(frozen=True)
class Search:
    """A search for links: features of n images, and the part that each belongs to, (n,) int64.

    Only images of different parts are compared.
    """

    method: Method
    features: FeatureSet
    parts: Numbers
    threshold: float
    workers: Workers = ALONE
    console: Console | None = None


def candidate_pairs(search: Search, most: int, seed: int) -> Numbers:
    """Pairs a < b of different parts as a * n + b, ascending, (p,) int64.

    The `most` nearest sketches of each image; and of images with the same features each with the
    next, so that copies are connected however many there are.
    """
    features, workers, console = search.features, search.workers, search.console or Console()
    count = len(features)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(count)[:FITTED_TO])
    sketcher = Sketcher.fitted(search.method, features[sample], seed)
    starts = range(0, count, SKETCH_TASK)
    tasks = ((sketcher, features[start : start + SKETCH_TASK]) for start in starts)
    with console.bar(len(starts), "sketches", "tasks") as bar:
        sketched = list(counted(workers.ordered(_sketch, tasks), bar))
    sketches = np.concatenate([sketches for sketches, _ in sketched])
    neighbors = nearest(sketches, search.parts, most, workers, console)
    first, second = np.repeat(np.arange(count), most), neighbors.ravel()
    valid = second != NO_NEIGHBOR
    copy, next_copy = _copies(np.concatenate([prints for _, prints in sketched]), search.parts)
    a, b = np.concatenate([first[valid], copy]), np.concatenate([second[valid], next_copy])
    pairs: Numbers = np.unique(np.minimum(a, b) * count + np.maximum(a, b))
    return pairs


def _sketch(sketcher: Sketcher, features: FeatureSet) -> tuple[Sketches, NDArray[np.uint64]]:
    return sketcher.sketches(features), fingerprints(features)


def _copies(prints: NDArray[np.uint64], parts: Numbers) -> tuple[Numbers, Numbers]:
    """Images of equal fingerprints, each with the next one, where that is of another part."""
    order = np.argsort(prints, kind="stable")
    first, second = order[:-1], order[1:]
    equal = (prints[first] == prints[second]) & (parts[first] != parts[second])
    return first[equal], second[equal]


def links_among(search: Search, pairs: Numbers) -> Iterator[Links]:
    """The links among `pairs`, in their order; an image is compared with all its others at once."""
    shared = search.workers.share(search.features)
    starts = range(0, len(pairs), PAIRS_TASK)
    tasks = (
        (search.method, shared, pairs[start : start + PAIRS_TASK], search.threshold)
        for start in starts
    )
    try:
        with (search.console or Console()).bar(len(starts), "links", "tasks") as bar:
            yield from counted(search.workers.ordered(_links_of_pairs, tasks), bar)
    finally:
        shared.release()


def _links_of_pairs(
    method: Method, features: FeatureSet, pairs: Numbers, threshold: float
) -> Links:
    a, b = np.divmod(pairs, len(features))
    images, starts = np.unique(a, return_index=True)
    found = [NONE]
    for image, start, end in zip(images, starts, [*starts[1:], len(a)], strict=True):
        others = b[start:end]
        # For so few pairs `Method.links` is slower than the similarities.
        links = links_in(method.similarity(features[[image]], features[others]), threshold)
        found.append(Links(links.a + image, others[links.b], links.similarity))
    features.release()
    return join_links(found)


def _percent(part: int, whole: int) -> str:
    """A percentage, 100 % only where nothing is missing."""
    tenths = 1000 * part // whole
    return f"{tenths / 10:.1f} %" if tenths < 1000 else "100 %"


def _links_of_sample(search: Search, sample: Numbers) -> Links:
    """All links of the images `sample` with images of other parts, each once, a < b."""
    method, features, threshold = search.method, search.features, search.threshold
    side = side_for(method, features, threshold, search.workers.jobs)
    shared = search.workers.share(features[sample])
    try:
        tasks = (
            (method, threshold, shared, features[start : start + side], start)
            for start in range(0, len(features), side)
        )
        links = join_links(list(search.workers.ordered(_links_of_block, tasks)))
    finally:
        shared.release()
    first = sample[links.a]
    apart = search.parts[first] != search.parts[links.b]
    a, b = np.minimum(first, links.b)[apart], np.maximum(first, links.b)[apart]
    _, once = np.unique(a * len(features) + b, return_index=True)
    return Links(a[once], b[once], links.similarity[apart][once])


def _links_of_block(
    method: Method, threshold: float, sample: FeatureSet, block: FeatureSet, start: int
) -> Links:
    links = method.links(sample, block, threshold)
    return Links(links.a, links.b + start, links.similarity)


def _pairs_of_sample(parts: Numbers, sample: Numbers) -> int:
    """Pairs of different parts with an image of `sample` in them."""
    sizes, drawn = np.bincount(parts), np.bincount(parts[sample], minlength=parts[-1] + 1)
    others = drawn * (len(parts) - sizes)
    twice = drawn * (len(sample) - drawn)
    return int(others.sum()) - int(twice.sum()) // 2


def _labels(count: int, links: Links) -> Numbers:
    """A number for each image, the same for connected ones."""
    labels = components(count, links.a, links.b)
    return np.where(labels < 0, len(labels) + np.arange(count), labels)


def _completed(search: Search, links: Links) -> Links:
    """`links`, and all others of different parts within their connected components."""
    features, parts = search.features, search.parts
    found = []
    for members in members_of(components(len(features), links.a, links.b)):
        inside = join_links(
            links_within(search.method, features[members], search.threshold, search.workers)
        ).renumbered(members)
        found.append(inside.select(parts[inside.a] != parts[inside.b]))
    return join_links(found)
