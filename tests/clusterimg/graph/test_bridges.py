"""Bridges: clusters that one weak link holds together, and none else."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import bridges, components


def make_links(rows: list[tuple[int, int, float]]) -> Links:
    a, b, similarity = zip(*rows, strict=True) if rows else ((), (), ())
    return Links(
        np.array(a, np.int64), np.array(b, np.int64), np.array(similarity, dtype=np.float32)
    )


def group(first: int, size: int, similarity: float) -> list[tuple[int, int, float]]:
    return [(a, b, similarity) for a, b in combinations(range(first, first + size), 2)]


def found(count: int, rows: list[tuple[int, int, float]]) -> list[tuple[int, int] | None]:
    links = make_links(rows)
    return bridges(components(count, links.a, links.b), links)


def test_two_groups_and_a_weak_link() -> None:
    assert found(7, [*group(0, 4, 0.9), *group(4, 3, 0.92), (3, 4, 0.7)]) == [(4, 3)]


@pytest.mark.parametrize(("usual", "weakest"), [(0.95, 0.9), (0.6, 0.4), (1.0, 0.98), (0.2, 0.1)])
def test_a_link_little_weaker_is_no_bridge(usual: float, weakest: float) -> None:
    assert found(6, [*group(0, 3, usual), *group(3, 3, usual), (2, 3, weakest)]) == [None]


@pytest.mark.parametrize(("usual", "weakest"), [(0.98, 0.94), (0.6, 0.3), (0.3, 0.1), (0.5, -0.2)])
def test_methods_of_high_and_low_similarities_are_treated_alike(
    usual: float, weakest: float
) -> None:
    assert found(6, [*group(0, 3, usual), *group(3, 3, usual), (2, 3, weakest)]) == [(3, 3)]


def test_the_looser_part_decides() -> None:
    assert found(6, [*group(0, 3, 0.99), *group(3, 3, 0.75), (2, 3, 0.7)]) == [None]


def test_a_single_image_that_hangs_on_is_no_part() -> None:
    assert found(5, [*group(0, 4, 0.95), (3, 4, 0.5)]) == [None]
    assert found(2, [(0, 1, 0.5)]) == [None]


def test_equally_weak_links_leave_more_parts() -> None:
    rows = [*group(0, 4, 0.9), *group(4, 3, 0.9), *group(7, 2, 0.9), (0, 4, 0.6), (4, 7, 0.6)]
    assert found(9, rows) == [(4, 3)]


def test_a_cluster_put_together_by_hand_is_not_judged() -> None:
    links = make_links([*group(0, 3, 0.9), *group(3, 3, 0.9)])
    assert bridges(np.zeros(6, np.int64), links) == [None]
    assert bridges(np.full(3, -1), make_links([])) == []


@given(
    st.lists(st.tuples(st.integers(2, 6), st.integers(2, 6), st.booleans()), max_size=6),
    st.integers(0, 1000),
)
def test_order_and_numbers_of_images_do_not_matter(
    made: list[tuple[int, int, bool]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows, ends = [], [0]
    for large, small, weak in made:
        start = ends[-1]
        rows += [*group(start, large, 0.9), *group(start + large, small, 0.9)]
        rows.append((start, start + large, 0.5 if weak else 0.88))
        ends.append(start + large + small)
    order = random.permutation(ends[-1])
    links = make_links(rows)
    labels = np.full(ends[-1], -1, np.int64)
    for number, (start, end) in enumerate(pairwise(ends)):
        labels[order[start:end]] = number
    shuffled = random.permutation(len(links))
    a, b = order[links.a][shuffled], order[links.b][shuffled]
    turned = Links(np.minimum(a, b), np.maximum(a, b), links.similarity[shuffled])
    wanted = [
        (max(large, small), min(large, small)) if weak else None for large, small, weak in made
    ]
    assert bridges(labels, turned) == wanted
