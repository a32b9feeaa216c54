"""Connected components and spanning forests beside those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from icas.common.union_find import components_and_tree, unions

EDGES = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(*[st.integers(0, count - 1)] * 2), max_size=120, unique=True),
    )
)


def as_arrays(edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


@given(EDGES)
def test_components_are_those_of_scipy(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    a, b = as_arrays(edges)
    found = unions(count, a, b)
    matrix = coo_array((np.ones(len(a)), (a, b)), shape=(count, count))
    _, expected = connected_components(matrix, directed=False)
    assert len(set(found)) == len(set(expected)) == len(set(zip(found, expected, strict=True)))


@given(EDGES)
def test_the_tree_is_the_minimum_spanning_tree_by_the_order_of_the_edges(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, edges = graph
    edges = [(a, b) for a, b in edges if a < b]
    a, b = as_arrays(edges)
    _, tree = components_and_tree(count, a, b)
    costs = coo_array((np.arange(1.0, len(a) + 1), (a, b)), shape=(count, count)).tocsr()
    assert sorted(tree) == sorted(minimum_spanning_tree(costs).data.astype(int) - 1)


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_a_path_is_one_component_and_its_own_tree(count: int) -> None:
    nodes = np.random.default_rng(0).permutation(count)
    components, tree = components_and_tree(count, nodes[:-1], nodes[1:])
    assert len(set(components)) == 1
    assert sorted(tree) == list(range(count - 1))


def test_no_nodes() -> None:
    nothing = np.empty(0, np.int64)
    assert unions(0, nothing, nothing).shape == (0,)
