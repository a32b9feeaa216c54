"""Questions of a review: is it one cluster? Answers split, merge or confirm clusters."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from icas.clusterimg.questions.pairs import PairQuestions, Question
from icas.clusterimg.review.analysis.similar import SimilarImages
from icas.clusterimg.review.document.changes import DONE, HELD, REJECTED, Pair
from icas.clusterimg.review.document.commands import Args, Draft, checked_image, merged, separate
from icas.clusterimg.review.document.document import ReviewDocument
from icas.common.errors import UsageError

SURE = 0.5
"""Expected number of wrong pairs, to the power of 1/2, below which a question is not asked."""
SHOWN = 12
"""Images of each group that the page gets."""


@dataclass(frozen=True)
class Asked:
    """A question about two images and the two groups that they stand for."""

    a: int
    b: int
    first: tuple[int, ...]
    second: tuple[int, ...]
    same: float
    together: bool

    @property
    def gain(self) -> float:
        """Probability that the clusters are wrong here, times the root of the number of pairs."""
        wrong = 1 - self.same if self.together else self.same
        return wrong * math.sqrt(len(self.first) * len(self.second))


class ReviewQuestions:
    """Chooses the questions about a document.

    Where all pairs of images were compared, they are those of `PairQuestions`, else whether the
    bridges of clusters are right.
    """

    def __init__(self, document: ReviewDocument) -> None:
        self._document = document
        self._pairs: PairQuestions | None = None
        self._asked: dict[Pair, Asked] = {}
        self._known: dict[Pair, tuple[bool | None]] = {}
        self._most = 0.0

    def next(self, similar: SimilarImages | None, skip: Collection[Pair]) -> dict[str, Any]:
        """The best question as the page gets it, without the pairs to `skip`."""
        document = self._document
        whole = similar if similar is not None and similar.is_whole else None
        found = self._by_bridges() if whole is None else self._by_pairs(whole)
        left = [one for one in found if self._is_open(one)]
        doubt = sum(one.gain for one in left)
        self._most = max(self._most, doubt)
        asking = [one for one in left if _pair(one.a, one.b) not in skip and one.gain >= SURE / 10]
        answer: dict[str, Any] = {
            "a": None,
            "b": None,
            "first": [],
            "second": [],
            "settles": 0,
            "p": None,
            "together": None,
            "answered": sum(one != (None,) for one in document.answers.values()),
            "settled": round(1 - doubt / self._most, 4) if self._most else 1.0,
            "left": sum(one.gain >= SURE for one in left),
            "done": not asking,
        }
        if asking:
            best = max(asking, key=lambda one: (one.gain, -one.a, -one.b))
            self._asked[_pair(best.a, best.b)] = best
            answer |= {
                "a": best.a,
                "b": best.b,
                "first": best.first[:SHOWN],
                "second": best.second[:SHOWN],
                "settles": len(best.first) * len(best.second),
                "p": round(best.same, 4),
                "together": best.together,
            }
        return answer

    def _is_open(self, asked: Asked) -> bool:
        """Whether a question is worth asking: names and rejections settle some."""
        document = self._document
        if _pair(asked.a, asked.b) in document.answers:
            return False
        places = [document.place[image] for image in (asked.a, asked.b)]
        if any(place in (HELD, REJECTED) for place in places):
            return False
        if asked.together:
            return document.clusters[places[0]].mark != DONE
        names = [document.label_of(image) for image in (asked.a, asked.b)]
        return None in names

    def _by_bridges(self) -> list[Asked]:
        document = self._document
        asked = []
        for number in document.clusters:
            bridge = document.shape(number).bridge
            if bridge is not None and bridge.striking:
                same = 1 - document.shape(number).doubt
                asked.append(Asked(bridge.a, bridge.b, bridge.left, bridge.right, same, True))
        return asked

    def _by_pairs(self, similar: SimilarImages) -> list[Asked]:
        labels = self._document.partition()[similar.images]
        answers = dict(self._document.answers)
        if self._pairs is None or not self._known.items() <= answers.items():
            self._pairs, self._known = PairQuestions(similar.matrix, labels), {}
        for (a, b), (same,) in answers.items():
            if (a, b) not in self._known:
                self._pairs.know(a, b, same)
        self._known = answers
        if not np.array_equal(self._pairs.partition, labels):
            self._pairs = self._pairs.restarted(labels)
        return [_asked(one) for one in self._pairs.open()]

    def answer(self, draft: Draft, args: Args) -> str:
        """The command ``answer``: record it, and split or merge the two groups."""
        document = self._document
        a, b = (checked_image(document, args.get(name)) for name in ("a", "b"))
        same = args.get("same")
        if a == b or not (same is None or isinstance(same, bool)):
            raise UsageError("answer: expected two images a and b, and same: true, false or null")
        draft.answer(_pair(a, b), same)
        asked = self._asked.get(_pair(a, b))
        if same is None:
            return "unsure about a pair"
        if same:
            self._join(draft, a, b)
            return "the same"
        self._part(draft, a, b, asked)
        return "not the same"

    def _join(self, draft: Draft, a: int, b: int) -> None:
        document = self._document
        places = document.place[a], document.place[b]
        if places[0] == places[1] >= 0:
            self._confirm(draft, a, b)
            return
        if min(places) >= 0:
            merged(draft, list(places))
        elif max(places) >= 0:
            goal, image = (places[0], b) if places[0] >= 0 else (places[1], a)
            one = document.clusters[goal]
            draft.put(goal, draft.with_members(one, (*one.members, image)))
        else:
            draft.add([a, b])

    def _confirm(self, draft: Draft, a: int, b: int) -> None:
        """The bridge between `a` and `b` joins what belongs together."""
        bridge = self._document.shape(self._document.place[a]).bridge
        if bridge is not None and (a in bridge.left) != (b in bridge.left):
            draft.answer(_pair(bridge.a, bridge.b), True)

    def _part(self, draft: Draft, a: int, b: int, asked: Asked | None) -> None:
        document = self._document
        number = document.place[a]
        if number < 0 or number != document.place[b]:
            return
        inside = set(document.clusters[number].members)
        groups = None
        if asked is not None and asked.together:
            groups = set(asked.first), set(asked.second)
        if groups is None or groups[0] | groups[1] != inside:
            groups = document.tree.split_between(document.clusters[number].members, a, b)
        larger, smaller = sorted(groups, key=len, reverse=True)
        separate(draft, number, sorted(larger), [sorted(smaller)])


def _asked(one: Question) -> Asked:
    first, second = tuple(one.first.tolist()), tuple(one.second.tolist())
    return Asked(one.a, one.b, first, second, one.same, one.together)


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)
