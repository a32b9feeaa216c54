"""Forests in files are merged to the forest of all links, in any number of levels."""

from __future__ import annotations

import numpy as np
import pytest

import icas
from icas.cli.console import Console
from icas.clusterimg.data.links import Links
from icas.clusterimg.graph.forest import spanning_forest
from icas.clusterimg.shards import forests
from icas.clusterimg.shards.edges import EdgeFile, write_edges
from icas.parallel.executors import ALONE

COUNT = 300


def links_of_files(decimals: int) -> list[Links]:
    """Sorted links of some files, which share images and even pairs."""
    rng = np.random.default_rng(decimals)
    table = rng.uniform(-1, 1, (COUNT, COUNT)).round(decimals).astype(np.float32)
    parts = []
    for _ in range(9):
        a, b = np.sort(rng.integers(0, COUNT, (2, int(rng.integers(0, 120)))), axis=0)
        a, b = np.unique(np.array([a, b])[:, a < b], axis=1)
        order = np.lexsort((b, a, -table[a, b]))
        parts.append(Links(a[order], b[order], table[a, b][order]))
    return parts


@pytest.mark.parametrize(("decimals", "files", "band"), [(1, 256, 50), (7, 2, 7), (1, 3, 1 << 22)])
def test_the_forest_does_not_depend_on_files_and_levels(
    tmp_path, decimals, files, band, monkeypatch
):
    monkeypatch.setattr(forests, "OPEN_FILES", files)
    monkeypatch.setattr(forests, "FAN", 2)
    monkeypatch.setattr(forests, "BAND", band)
    parts = links_of_files(decimals)
    paths = [tmp_path / f"{number}" for number in range(len(parts))]
    for path, links in zip(paths, parts, strict=True):
        write_edges(path, links)
        assert EdgeFile.of(path).links().structured().tolist() == links.structured().tolist()
    merged, _ = forests.merged(paths, tmp_path, ALONE, Console())
    assert len(merged) <= files
    expected = spanning_forest(COUNT, parts)
    for jobs in (1, 2):
        forest, first = forests.whole_forest(COUNT, merged, -1, jobs)
        assert forest.links().structured().tolist() == expected.links().structured().tolist()
    assert (first[forest.a] == first[forest.b]).all()
    assert len(np.unique(first)) == COUNT - len(forest.a)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "pair-00000-00001"
    with pytest.raises(icas.IcasError, match=r"cannot read .*pair-00000-00001 \(No such file"):
        EdgeFile.of(path)
    write_edges(path, links_of_files(1)[0])
    data = path.read_bytes()
    for damaged in (data[:-1], data[:20], b"", b"x" + data[1:]):
        path.write_bytes(damaged)
        with pytest.raises(icas.IcasError, match=r"it is damaged.*resume writes"):
            EdgeFile.of(path)
