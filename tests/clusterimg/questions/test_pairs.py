"""Questions about pairs: laws, and a simulated person with the true classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from questioned import similarities
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score

from icas.clusterimg.questions.pairs import MOST_IMAGES, PairQuestions, average_halves, logistic
from icas.common.errors import UsageError


def answered(questions, truth, most=10_000):
    """The keys of the pairs that were asked, all answered by `truth`."""
    asked = []
    while len(asked) < most and (question := questions.next()) is not None:
        asked.append(tuple(sorted((question.a, question.b))))
        questions.answer(question, bool(truth[question.a] == truth[question.b]))
    return asked


def as_groups(labels):
    return {frozenset(np.flatnonzero(labels == label)) for label in set(labels) - {-1}}


@given(
    truth=st.lists(st.integers(0, 3), min_size=1, max_size=14).map(np.array),
    start=st.lists(st.integers(-1, 3), min_size=14, max_size=14).map(np.array),
)
def test_no_pair_is_asked_twice_and_the_questions_end(truth, start):
    questions = PairQuestions(similarities(truth, 0.2), start[: len(truth)])
    asked = answered(questions, truth)
    assert len(asked) == len(set(asked)) == questions.asked
    assert questions.next() is None
    assert len(questions.partition) == len(truth)


@pytest.mark.parametrize("start", ["one", "alone", "mixed"])
def test_true_answers_lead_to_the_true_clusters(start):
    truth = np.repeat(np.arange(6), 8)
    begin = {
        "one": np.zeros(48, int),
        "alone": np.full(48, -1),
        "mixed": np.arange(48) // 6,
    }[start]
    questions = PairQuestions(similarities(truth, 0.05), begin)
    before = adjusted_rand_score(truth, np.where(begin < 0, 100 + np.arange(48), begin))
    asked = answered(questions, truth, most=60)
    assert adjusted_rand_score(truth, questions.partition) == 1.0 > before
    assert len(asked) <= 60


def test_an_answer_changes_only_the_clusters_that_it_is_about():
    truth = np.repeat(np.arange(5), 6)
    start = np.repeat([0, 1, 2], 10)
    questions = PairQuestions(similarities(truth, 0.2), start)
    for _ in range(20):
        question, before = questions.next(), as_groups(questions.partition)
        same = bool(truth[question.a] == truth[question.b])
        questions.answer(question, same)
        about = {*question.first, *question.second}
        after = as_groups(questions.partition)
        assert {group for group in before if not group & about} <= after
        if same == question.together:
            assert before == after
        else:
            labels = questions.partition
            assert (labels[question.a] == labels[question.b] >= 0) == same


def test_unsure_changes_nothing_and_is_not_asked_again():
    truth = np.repeat(np.arange(4), 5)
    questions = PairQuestions(similarities(truth, 0.1), truth)
    seen = set()
    for _ in range(8):
        question = questions.next()
        seen.add((question.a, question.b))
        questions.answer(question, None)
    assert len(seen) == 8
    assert as_groups(questions.partition) == as_groups(truth)


def test_the_probability_is_that_of_a_ridge_logistic_regression():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=60), rng.uniform(0.5, 2, 60)
    same = (values + rng.normal(size=60) > 0).astype(float)
    z = (values - np.average(values, weights=weights)) / values.std()
    found = logistic(values, same, weights, values)
    # the prior pulls the slope from 0 to 2; with ten times the weight both agree
    near = LogisticRegression(C=1e6).fit(z[:, None], same, weights).predict_proba(z[:, None])[:, 1]
    strong = logistic(values, same, 1000 * weights, values)
    np.testing.assert_allclose(strong, near, atol=0.02)
    assert np.corrcoef(found, near)[0, 1] > 0.99


def test_halves_are_those_of_average_linkage():
    truth = np.array([0, 1, 0, 1, 1, 0, 0])
    first, second = average_halves(similarities(truth, 0.02))
    assert first.tolist() == [0, 2, 5, 6]
    assert second.tolist() == [1, 3, 4]
    same = average_halves(np.ones((3, 3), np.float32))
    assert [part.tolist() for part in same] == [[0], [1, 2]]


def test_wrong_arrays_are_refused():
    with pytest.raises(UsageError, match="do not match 3 labels"):
        PairQuestions(np.ones((2, 2), np.float32), np.zeros(3, int))
    many = np.broadcast_to(np.float32(1), (MOST_IMAGES + 1,) * 2)
    with pytest.raises(UsageError, match="at most 10000"):
        PairQuestions(many, np.zeros(MOST_IMAGES + 1, int))
    assert PairQuestions(np.ones((0, 0), np.float32), np.zeros(0, int)).next() is None
