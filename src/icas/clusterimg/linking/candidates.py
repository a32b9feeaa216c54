"""Links of large folders through candidates: of each image only the most promising others are
compared, and a sample tells what share of the links is found so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icas.cli.console import Console, counted
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import NONE, Links, join_links, links_in
from icas.clusterimg.graph.forest import components, members_of
from icas.clusterimg.linking.nearest import NONE as NOBODY, nearest
from icas.clusterimg.linking.sketches import FITTED_TO, Sketcher, Sketches, fingerprints
from icas.clusterimg.linking.tiles import links_within, side_for
from icas.clusterimg.methods import METHODS, method_class
from icas.clusterimg.methods.base import Method
from icas.common.errors import UsageError
from icas.parallel.executors import ALONE, Workers

SKETCH_TASK = 256
"""Images that are sketched in a task."""
PAIRS_TASK = 4096
"""Pairs that are compared in a task, roughly."""

Numbers = NDArray[np.int64]


def candidate_pairs(
    method: Method,
    features: FeatureSet,
    parts: Numbers,
    most: int,
    seed: int,
    workers: Workers,
    console: Console,
) -> Numbers:
    """Pairs a < b of different parts as a * n + b, ascending, (p,) int64.

    The `most` nearest sketches of each image; and of images with the same features each with the
    next, so that copies hang together however many there are.
    """
    count = len(features)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(count)[:FITTED_TO])
    sketcher = Sketcher.fitted(method, features[sample], seed)
    tasks = (
        (sketcher, features[start : start + SKETCH_TASK]) for start in range(0, count, SKETCH_TASK)
    )
    with console.bar(-(-count // SKETCH_TASK), "sketches", "tasks") as bar:
        made = list(counted(workers.ordered(_sketched, tasks), bar))
    sketches = np.concatenate([one for one, _ in made])
    found = nearest(sketches, parts, most, workers, console)
    first = np.repeat(np.arange(count), most)
    there = found.ravel() != NOBODY
    alike, next_alike = _copies(np.concatenate([one for _, one in made]), parts)
    a = np.concatenate([first[there], alike])
    b = np.concatenate([found.ravel()[there], next_alike])
    pairs: Numbers = np.unique(np.minimum(a, b) * count + np.maximum(a, b))
    return pairs


def _sketched(sketcher: Sketcher, features: FeatureSet) -> tuple[Sketches, NDArray[np.uint64]]:
    return sketcher.sketches(features), fingerprints(features)


def _copies(prints: NDArray[np.uint64], parts: Numbers) -> tuple[Numbers, Numbers]:
    """Images of equal fingerprints, each with the next one, where that is of another part."""
    order = np.argsort(prints, kind="stable")
    one, other = order[:-1], order[1:]
    alike = (prints[one] == prints[other]) & (parts[one] != parts[other])
    return one[alike], other[alike]


def links_among(
    method: Method,
    features: FeatureSet,
    pairs: Numbers,
    threshold: float,
    workers: Workers,
    console: Console,
) -> Iterator[Links]:
    """The links among `pairs`, in their order; an image is compared with all its others at once."""
    shared = workers.share(features)
    try:
        tasks = (
            (method, shared, pairs[start : start + PAIRS_TASK], threshold)
            for start in range(0, len(pairs), PAIRS_TASK)
        )
        with console.bar(-(-len(pairs) // PAIRS_TASK), "links", "tasks") as bar:
            yield from counted(workers.ordered(_links_of_some, tasks), bar)
    finally:
        shared.release()


def _links_of_some(method: Method, features: FeatureSet, pairs: Numbers, threshold: float) -> Links:
    """Links among some of the pairs."""
    a, b = np.divmod(pairs, len(features))
    images, starts = np.unique(a, return_index=True)
    found = [NONE]
    for image, start, end in zip(images, starts, [*starts[1:], len(a)], strict=True):
        others = b[start:end]
        # Of so few pairs a method's `links` is slower than its similarities.
        links = links_in(method.similarity(features[[image]], features[others]), threshold)
        found.append(Links(links.a + image, others[links.b], links.similarity))
    features.release()
    return join_links(found)


LEAST_CHECKED, MOST_CHECKED = 50, 100
"""Images that are compared with all others: one in a hundred, but so many at least and at most."""


@dataclass(frozen=True)
class Checked:
    """What the candidates of some images are worth, by comparing these with all others.

    images: how many were compared with all others; links: links that they have; found: those of
    them that are between candidates; joined: those of them whose images hang together by links
    between candidates, found or not.
    """

    images: int = 0
    links: int = 0
    found: int = 0
    joined: int = 0

    def __add__(self, other: Checked) -> Checked:
        return Checked(
            self.images + other.images,
            self.links + other.links,
            self.found + other.found,
            self.joined + other.joined,
        )

    @property
    def recall(self) -> float | None:
        """Share of the links that candidates find; None where there are no links."""
        return self.found / self.links if self.links else None


@dataclass(frozen=True)
class CandidateStage:
    """Finds links by comparing each image with its most promising others.

    most: candidates an image. A pair is compared where either is a candidate of the other; seed:
    draws the images that are compared with all others; whole: all pairs of what links join are
    compared, as complete and average linkage need it; checks: what was found so far: one a batch,
    the merge of batches last.
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
        """Links among the images of one FeatureSet, and how many pairs were compared."""
        parts, console = np.arange(len(features)), console or Console()
        return self._links(method, features, parts, threshold, workers, console)

    def across(
        self,
        method: Method,
        parts: Sequence[FeatureSet],
        threshold: float,
        workers: Workers = ALONE,
    ) -> tuple[Links, int]:
        """Links between images of different parts, numbered through all; and pairs compared."""
        lengths = [len(part) for part in parts]
        together, numbers = concatenate(list(parts)), np.repeat(np.arange(len(parts)), lengths)
        return self._links(method, together, numbers, threshold, workers, Console())

    def pays(self, count: int) -> bool:
        """Whether `count` images have pairs that are no candidates."""
        return self.most < count - 1

    def words(self) -> str:
        """What the checks found, in a line."""
        found = sum(self.checks, Checked())
        if not self.checks:
            return f"candidates: {self.most} an image, not needed: all pairs were compared"
        images = f"{found.images} sampled images"
        if found.recall is None:
            return (
                f"candidates: {self.most} an image; {images} have no link at all, so what share of"
                " the links is found is not known"
            )
        return (
            f"candidates: {self.most} an image; {_percent(found.found, found.links)} of the"
            f" {found.links} links of {images} were found, {_percent(found.joined, found.links)}"
            " join what hangs together anyway (checked exactly)"
        )

    def as_dict(self) -> dict[str, Any]:
        """What ``run.json`` tells of it."""
        found = sum(self.checks, Checked())
        joined = found.joined / found.links if found.links else None
        return {
            "k": self.most,
            "recall": found.recall,
            "joined": joined,
            "images_checked": found.images,
            "links_checked": found.links,
        }

    def _links(
        self,
        method: Method,
        features: FeatureSet,
        parts: Numbers,
        threshold: float,
        workers: Workers,
        console: Console,
    ) -> tuple[Links, int]:
        bare = replace(features, files=(), unreadable=())
        sample = self._sample(len(bare))
        pairs = candidate_pairs(method, bare, parts, self.most, self.seed, workers, console)
        truth = _links_of_sample(method, bare, parts, sample, threshold, workers)
        checked = np.isin(pairs // len(bare), sample) | np.isin(pairs % len(bare), sample)
        rest = pairs[~checked]
        found = join_links(links_among(method, bare, rest, threshold, workers, console))
        known = _are_among(pairs, truth, len(bare))
        by_candidates = [found, _chosen(truth, known)]
        label = _labels(len(bare), by_candidates)
        joined = label[truth.a] == label[truth.b]
        self.checks.append(Checked(len(sample), len(truth), int(known.sum()), int(joined.sum())))
        links = join_links([found, truth])
        compared = len(rest) + _pairs_of_sample(parts, sample)
        if self.whole:
            return _completed(method, bare, parts, links, threshold, workers), compared
        return links, compared

    def _sample(self, count: int) -> Numbers:
        """Numbers of the images that are compared with all others, ascending."""
        wanted = min(count, max(LEAST_CHECKED, min(count // 100, MOST_CHECKED)))
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.choice(count, wanted, replace=False)).astype(np.int64)


def check_candidates(method: Method, most: int) -> None:
    """Make sure that `method` can take the way through candidates.

    Raises UsageError: it cannot, or compares all pairs faster than candidates are found.
    """
    if most < 1:
        raise UsageError(f"--candidates {most}: must be at least 1")
    if not method.extractor.sketched:
        sketched = sorted(name for name in METHODS if method_class(name).sketched)
        raise UsageError(
            f"--candidates: method {method.name!r} compares all pairs faster than candidates are"
            f" found; it goes with {', '.join(sketched)}. Leave it out"
        )


def _percent(part: int, whole: int) -> str:
    """A share that says 100 % only where nothing is missing."""
    tenths = 1000 * part // whole
    return f"{tenths / 10:.1f} %" if tenths < 1000 else "100 %"


def _links_of_sample(
    method: Method,
    features: FeatureSet,
    parts: Numbers,
    sample: Numbers,
    threshold: float,
    workers: Workers,
) -> Links:
    """All links of the images `sample` with images of other parts, each once, a < b."""
    chosen, side = features[sample], side_for(method, features, threshold, workers.jobs)
    shared = workers.share(chosen)
    try:
        starts = range(0, len(features), side)
        tasks = (
            (method, threshold, shared, features[start : start + side], start) for start in starts
        )
        found = list(workers.ordered(_of_block, tasks))
    finally:
        shared.release()
    links = join_links(found)
    ours = sample[links.a]
    apart = parts[ours] != parts[links.b]
    a, b = np.minimum(ours, links.b)[apart], np.maximum(ours, links.b)[apart]
    _, once = np.unique(a * len(features) + b, return_index=True)
    return Links(a[once], b[once], links.similarity[apart][once])


def _of_block(
    method: Method, threshold: float, chosen: FeatureSet, block: FeatureSet, start: int
) -> Links:
    found = method.links(chosen, block, threshold)
    return Links(found.a, found.b + start, found.similarity)


def _pairs_of_sample(parts: Numbers, sample: Numbers) -> int:
    """Pairs of different parts with an image of `sample` in them."""
    everyone, drawn = np.bincount(parts), np.bincount(parts[sample], minlength=parts[-1] + 1)
    others = drawn * (len(parts) - everyone)
    twice = drawn * (len(sample) - drawn)
    return int(others.sum()) - int(twice.sum()) // 2


def _are_among(pairs: Numbers, links: Links, count: int) -> NDArray[np.bool_]:
    """Which of `links` are among the ascending `pairs`."""
    return np.isin(links.a * count + links.b, pairs)


def _chosen(links: Links, which: NDArray[np.bool_]) -> Links:
    return Links(links.a[which], links.b[which], links.similarity[which])


def _labels(count: int, links: Sequence[Links]) -> Numbers:
    """A number for each image, the same for those that hang together."""
    joined = join_links(links)
    labels = components(count, joined.a, joined.b)
    alone = labels < 0
    return np.where(alone, len(labels) + np.arange(count), labels)


def _completed(
    method: Method,
    features: FeatureSet,
    parts: Numbers,
    links: Links,
    threshold: float,
    workers: Workers,
) -> Links:
    """`links`, and all others of different parts within what they join."""
    labels = components(len(features), links.a, links.b)
    found = []
    for members in members_of(labels):
        inside = join_links(links_within(method, features[members], threshold, workers))
        inside = inside.renumbered(members)
        found.append(_chosen(inside, parts[inside.a] != parts[inside.b]))
    return join_links(found)
