"""Yes/no questions about pairs of images, in the order in which they correct most of a clustering.

The state is a partition of the images. A question is about two medoids: of the halves of a cluster
by average linkage (is it one?), or of a cluster and one of its nearest clusters (are they one?).
Yes merges or marks as whole, no splits or keeps apart. The probability of "same" is a logistic
function of the mean of -log(1 - s + 0.01) between the two groups, fitted to the current partition
and, with more weight, to the answers. The question with the greatest expected correction is next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from icas.common.errors import UsageError

Floats = NDArray[np.float64]
Members = NDArray[np.int64]

MOST_IMAGES = 10_000
"""Images up to which questions are chosen: all similarities and their sums are in memory."""
NEAREST = 4
"""Neighbouring clusters that each cluster may be merged with."""
_OFFSET = 0.01
_WEIGHT, _ANSWER_WEIGHT = 0.3, 2.0
_SLOPE = 2.0
_RIDGE = np.array([0.05, 0.3])
_ROUNDS = 30


@dataclass(frozen=True)
class Question:
    """Do two images belong to one cluster?

    Attributes
    ----------
    a, b : int
        Images: medoids of the two groups.
    first, second : (n,) int64
        The images of the two groups, sorted.
    same : float
        Estimated probability that the answer is yes, 0 to 1.
    together : bool
        Whether the groups are in one cluster now: no splits it. Else yes merges them.
    evidence : float
        Mean of -log(1 - s + 0.01) between the groups.
    """

    a: int
    b: int
    first: Members
    second: Members
    same: float
    together: bool
    evidence: float

    @property
    def pairs(self) -> int:
        """Pairs of images that the answer decides."""
        return len(self.first) * len(self.second)

    @property
    def gain(self) -> float:
        """Probability that the partition is wrong here, times the root of the number of pairs."""
        return (1 - self.same if self.together else self.same) * float(np.sqrt(self.pairs))


@dataclass(eq=False)
class _Cluster:
    members: Members
    halves: tuple[Members, Members, float, int, int] | None = None
    """The two halves, the evidence between them, and their medoids."""


@dataclass
class PairQuestions:
    """Chooses questions, and applies the answers to a partition.

    Parameters
    ----------
    similarity : (n, n) float array
        Similarities, symmetric, at most 1; 1 on the diagonal.
    labels : (n,) int array
        Clusters to start from; -1 = outlier.

    Raises
    ------
    UsageError
        More than `MOST_IMAGES` images, or arrays whose shapes do not match.

    Notes
    -----
    No pair is asked about twice. An answer changes only the clusters that it is about.
    """

    similarity: NDArray[np.float32]
    labels: NDArray[np.int64]
    asked: int = 0
    _answers: list[tuple[float, bool]] = field(default_factory=list, init=False)
    _closed: set[tuple[int, int]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.similarity.shape != (count, count):
            raise UsageError(
                f"similarities of shape {self.similarity.shape} do not match {count} labels"
            )
        if count > MOST_IMAGES:
            raise UsageError(
                f"{count} images: questions are chosen for at most {MOST_IMAGES}; ask about a part"
                " of the folder"
            )
        self.labels = np.asarray(self.labels, np.int64)
        apart = np.maximum(1 - np.asarray(self.similarity, np.float64), 0)
        self._evidence = -np.log(apart + _OFFSET)
        groups = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        if len(self.labels) and self.labels.min() < 0:
            groups = [np.array([image]) for image in groups[0]] + groups[1:]
        self._clusters = [_Cluster(members) for members in groups]
        self._medoids = [self._medoid(members) for members in groups]
        self._sums = self._sums_of(groups)

    @property
    def partition(self) -> NDArray[np.int64]:
        """(n,) int64: the current clusters, the largest is 0; -1 = outlier."""
        ordered = sorted(
            (cluster.members for cluster in self._clusters if len(cluster.members) > 1),
            key=lambda members: (-len(members), int(members[0])),
        )
        labels = np.full(len(self.labels), -1, np.int64)
        for number, members in enumerate(ordered):
            labels[members] = number
        return labels

    def next(self) -> Question | None:
        """The best question; None when nothing is left to ask."""
        return max(self._questions(), key=lambda question: question.gain, default=None)

    def open(self) -> list[Question]:
        """Every question that is left, in no particular order."""
        return list(self._questions())

    def restarted(self, labels: NDArray[np.int64]) -> PairQuestions:
        """Questions about another partition of the same images; answers are kept."""
        fresh = replace(self, labels=labels)
        fresh._answers, fresh._closed = list(self._answers), set(self._closed)
        return fresh

    def know(self, a: int, b: int, same: bool | None) -> None:
        """Take an earlier answer into account; the partition is not changed."""
        self._closed.add(_key(a, b))
        if same is not None:
            self._answers.append((float(self._evidence[a, b]), same))

    def answer(self, question: Question, same: bool | None) -> None:
        """Apply the answer: True = same, False = not the same, None = unsure (never asked again).

        `question` is the last one that `next` returned.
        """
        self.asked += 1
        self._closed.add(_key(question.a, question.b))
        if same is None:
            return
        self._answers.append((question.evidence, same))
        if question.together and not same:
            self._split(question)
        elif same and not question.together:
            self._merge(question)

    def _questions(self) -> Iterator[Question]:
        found = [*self._splits(), *self._merges()]
        if not found:
            return
        evidence = np.array([it[4] for it in found])
        together = np.array([it[5] for it in found])
        chances = self._chances(evidence, together)
        for (a, b, first, second, value, one), chance in zip(found, chances, strict=True):
            yield Question(a, b, first, second, float(chance), one, value)

    def _splits(self) -> Iterator[tuple[int, int, Members, Members, float, bool]]:
        for cluster in self._clusters:
            if len(cluster.members) < 2:
                continue
            if cluster.halves is None:
                cluster.halves = self._halves(cluster.members)
            first, second, value, a, b = cluster.halves
            if _key(a, b) not in self._closed:
                yield a, b, first, second, value, True

    def _merges(self) -> Iterator[tuple[int, int, Members, Members, float, bool]]:
        count = len(self._clusters)
        if count < 2:
            return
        sizes = np.array([len(cluster.members) for cluster in self._clusters], float)
        means = self._sums / np.outer(sizes, sizes)
        np.fill_diagonal(means, -np.inf)
        near = np.argsort(-means, axis=1, kind="stable")[:, :NEAREST]
        pairs = {_key(i, int(j)) for i in range(count) for j in near[i] if i != j}
        for i, j in sorted(pairs):
            a, b = self._medoids[i], self._medoids[j]
            if _key(a, b) not in self._closed:
                first, second = self._clusters[i].members, self._clusters[j].members
                yield a, b, first, second, float(means[i, j]), False

    def _chances(self, evidence: Floats, together: NDArray[np.bool_]) -> Floats:
        """Probabilities of "same", by the partition as it is and the answers so far."""
        values = np.append(evidence, [value for value, _ in self._answers])
        same = np.append(together, [same for _, same in self._answers]).astype(float)
        weights = np.full(len(values), _ANSWER_WEIGHT)
        weights[: len(evidence)] = _WEIGHT
        return logistic(values, same, weights, evidence)

    def _halves(self, members: Members) -> tuple[Members, Members, float, int, int]:
        first, second = average_halves(self.similarity[np.ix_(members, members)])
        a, b = members[first], members[second]
        value = float(self._evidence[np.ix_(a, b)].mean())
        return a, b, value, self._medoid(a), self._medoid(b)

    def _medoid(self, members: Members) -> int:
        within = self.similarity[np.ix_(members, members)].sum(axis=1, dtype=np.float64)
        return int(members[int(within.argmax())])

    def _split(self, question: Question) -> None:
        place = self._place(question.first)
        del self._clusters[place], self._medoids[place]
        self._sums = np.delete(np.delete(self._sums, place, 0), place, 1)
        for members in (question.first, question.second):
            self._add(members)

    def _merge(self, question: Question) -> None:
        for members in (question.first, question.second):
            place = self._place(members)
            del self._clusters[place], self._medoids[place]
            self._sums = np.delete(np.delete(self._sums, place, 0), place, 1)
        self._add(np.sort(np.concatenate([question.first, question.second])))

    def _add(self, members: Members) -> None:
        rows = self._evidence[members].sum(axis=0)
        sums = [float(rows[cluster.members].sum()) for cluster in self._clusters]
        self._clusters.append(_Cluster(members))
        self._medoids.append(self._medoid(members))
        count = len(self._clusters)
        grown = np.zeros((count, count))
        grown[:-1, :-1] = self._sums
        grown[-1, :-1] = grown[:-1, -1] = sums
        self._sums = grown

    def _place(self, members: Members) -> int:
        image = int(members[0])
        return next(place for place, one in enumerate(self._clusters) if image in one.members)

    def _sums_of(self, groups: list[Members]) -> Floats:
        """Sums of the evidence between any two groups."""
        if not groups:
            return np.zeros((0, 0))
        order, starts = np.concatenate(groups), np.cumsum([0, *map(len, groups[:-1])])
        ordered = self._evidence[np.ix_(order, order)]
        return np.asarray(np.add.reduceat(np.add.reduceat(ordered, starts, 0), starts, 1))


def average_halves(similarity: NDArray[np.float32]) -> tuple[Members, Members]:
    """The two groups that average linkage joins last, as sorted places; the first has place 0."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = np.maximum(1 - np.asarray(similarity, np.float64), 0)
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    parts = fcluster(tree, 2, "maxclust")
    if parts.max() < 2:  # all at one distance
        parts = np.arange(len(parts)) + 1
        parts[1:] = 2
    return np.flatnonzero(parts == parts[0]), np.flatnonzero(parts != parts[0])


def logistic(values: Floats, same: Floats, weights: Floats, at: Floats) -> Floats:
    """Probabilities at `at` by a weighted logistic regression on one variable.

    Ridge penalty towards an intercept of 0 and a slope of 2 in standard deviations; Newton's
    method.
    """
    center = np.average(values, weights=weights)
    spread = values.std() + 1e-9
    z, prior = (values - center) / spread, np.array([0.0, _SLOPE])
    b = prior.copy()
    for _ in range(_ROUNDS):
        chance = _sigmoid(b[0] + b[1] * z)
        error, curve = weights * (same - chance), weights * chance * (1 - chance)
        gradient = np.array([error.sum(), (error * z).sum()]) - _RIDGE * (b - prior)
        cross = (curve * z).sum()
        hessian = np.array([[curve.sum(), cross], [cross, (curve * z * z).sum()]])
        b = b + np.linalg.solve(hessian + np.diag(_RIDGE), gradient)
        b = np.clip(b, (-8, 0.3), (8, 8))
    return _sigmoid(b[0] + b[1] * (at - center) / spread)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))))


def _key(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
