"""Links that come part by part: kept in memory or on disk, thinned to a forest, written."""

import csv
import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.data.links import Links, LinkStore, by_bands, join_links, links_in
from icas.clusterimg.graph.forest import GrowingForest, labels_at, spanning_forest
from icas.clusterimg.linking.tiles import upper_tiles
from icas.clusterimg.results.saved import links_table
from icas.common.errors import IcasError


def same(a: Links, b: Links) -> bool:
    return (
        np.array_equal(a.a, b.a)
        and np.array_equal(a.b, b.b)
        and np.array_equal(a.similarity, b.similarity)
    )


def random_links(count: int, seed: int, levels: int = 5) -> Links:
    """Links of `count` images with many equal similarities, about half of all pairs."""
    rng = np.random.default_rng(seed)
    values = (rng.integers(0, levels, (count, count)) / levels).astype(np.float32)
    return links_in(values, 0.5, triangle=True)


def in_parts(links: Links, cuts: list[int]) -> list[Links]:
    places = sorted({0, len(links), *(cut % (len(links) + 1) for cut in cuts)})
    return [links.part(a, b) for a, b in pairwise(places)]


@given(st.integers(2, 25), st.integers(0, 99), st.lists(st.integers(0, 400)), st.integers(0, 200))
def test_a_store_gives_back_what_it_took_from_memory_or_from_disk(count, seed, cuts, most):
    links = random_links(count, seed)
    store = LinkStore(most=most)
    for part in in_parts(links, cuts):
        store.add(part)
    assert same(store.links(), links)


def test_few_links_stay_in_memory_and_many_lie_in_a_file(tmp_path):
    links = random_links(20, 0)
    few, many = LinkStore(most=1000, scratch=tmp_path), LinkStore(most=10, scratch=tmp_path)
    few.add(links)
    many.add(links)
    assert not isinstance(few.links().a, np.memmap)
    assert isinstance(many.links().a, np.memmap)
    assert not any(tmp_path.iterdir())  # the files have no name: nothing can be left behind


def test_a_full_or_missing_scratch_folder_is_told_in_one_line(tmp_path):
    store = LinkStore(most=1, scratch=tmp_path / "gone")
    with pytest.raises(IcasError, match=r"cannot write \d+ links to .*gone: No such file"):
        store.add(random_links(20, 0))


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_bands_of_tiles_are_sorted_as_a_whole(count, side, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((count, count), np.float32)
    tiles = []
    for rows, columns in upper_tiles(count, side):
        part = links_in(values[rows, columns], 0.4, triangle=rows == columns)
        tiles.append(Links(part.a + rows.start, part.b + columns.start, part.similarity))
    across = -(-count // side)
    bands = list(by_bands(tiles, across))
    assert len(bands) == across
    joined = Links(
        *(
            np.concatenate(arrays)
            for arrays in zip(*((band.a, band.b, band.similarity) for band in bands), strict=True)
        )
    )
    assert same(joined, links_in(values, 0.4, triangle=True))


@settings(deadline=None)
@given(st.integers(2, 25), st.integers(0, 99), st.lists(st.integers(0, 400)))
def test_the_forest_is_the_same_in_whatever_parts_links_come(count, seed, cuts):
    links = random_links(count, seed)
    whole = spanning_forest(count, [links])
    growing = GrowingForest(count)
    for part in in_parts(links, cuts):
        growing.add(part)
        growing.forest()  # thinned after every part: the hardest case
    parts = growing.forest()
    assert same(whole.links(), parts.links())
    for threshold in (0.6, 0.8):
        kept = links.at_least(threshold)
        assert np.array_equal(
            labels_at(whole, threshold), labels_at(spanning_forest(count, [kept]), threshold)
        )


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=9), st.integers(0, 99))
def test_the_table_of_links_reads_back(names, seed):
    links = random_links(len(names), seed)
    content = b"".join(links_table(links, ["elsewhere", *names], start=1)).decode(
        "utf-8", "surrogateescape"
    )
    rows = list(csv.reader(io.StringIO(content, newline="")))
    assert rows[0] == ["a", "b", "similarity"]
    assert [(row[0], row[1]) for row in rows[1:]] == [
        (names[a], names[b]) for a, b in zip(links.a, links.b, strict=True)
    ]
    assert [np.float32(row[2]) for row in rows[1:]] == list(links.similarity)


def test_joined_links_are_sorted():
    parts = [random_links(9, seed).part(0, 5) for seed in (1, 2, 3)]
    joined = join_links(reversed(parts))
    assert sorted(zip(joined.a, joined.b, strict=True)) == list(
        zip(joined.a, joined.b, strict=True)
    )
