"""Predictions that refine one another depend on the steps, not on what was predicted before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from icas.segmentimg.sam.predictor import Prompts, Refinement


@dataclass
class Writer:
    """A predictor whose prediction is the list of what it was given."""

    calls: list[Any] = field(default_factory=list)

    def predict(self, prompts):
        self.calls.append(prompts)
        return [prompts]

    def refine(self, prompts, last, candidate):
        self.calls.append(prompts)
        return [*last, candidate, prompts]


def steps(count):
    return [(Prompts((), [(x, 0, 1) for x in range(n + 1)]), n % 3) for n in range(count)]


def wanted(count):
    found = [steps(1)[0][0]]
    for prompts, candidate in steps(count)[1:]:
        found += [candidate, prompts]
    return found


def test_dropped_and_repeated_predictions_change_nothing():
    one, other = Refinement(Writer()), Refinement(Writer())
    for count in (1, 2, 2, 5, 7):
        assert one.predict(steps(count)) == wanted(count)
    assert other.predict(steps(7)) == wanted(7)
    assert len(one._predictor.calls) == 7


def test_an_undone_step_is_not_predicted_again():
    writer = Writer()
    refinement = Refinement(writer)
    refinement.predict(steps(6))
    assert refinement.predict(steps(5)) == wanted(5)
    assert refinement.predict(steps(4)) == wanted(4)
    assert len(writer.calls) == 6
    other = [*steps(3), (Prompts((), [(9, 9, 0), (1, 1, 1)]), 0)]
    assert refinement.predict(other)[-1] == other[-1][0]
    assert len(writer.calls) == 7
    assert refinement.predict(steps(1)) == wanted(1)  # no longer kept: predicted again


def test_no_steps():
    with pytest.raises(ValueError, match="no steps"):
        Refinement(Writer()).predict([])
