"""One cluster of a finished result cut in parts."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.links import Links
from icas.clusterimg.editing.split import cluster_number, split_cluster
from icas.clusterimg.graph.forest import components, number_clusters, spanning_forest
from icas.clusterimg.results.saved import SavedState


def clusters_on_disk(dst):
    """Cluster -> contents of the files in its folder; -1 = outliers."""
    return {
        -1 if folder.name == "outliers" else int(folder.name.removeprefix("cluster_")): sorted(
            path.read_bytes() for path in folder.iterdir()
        )
        for folder in (dst / "result").iterdir()
    }


def check_disk_and_tables_agree(dst, source):
    with (dst / "clusters.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    expected = {}
    for row in rows:
        content = (source / row["file"]).read_bytes()
        expected.setdefault(int(row["cluster"]), []).append(content)
    assert clusters_on_disk(dst) == {key: sorted(value) for key, value in expected.items()}
    with (dst / "certificate.csv").open() as stream:
        sizes = [int(row["images"]) for row in csv.DictReader(stream)]
    assert sizes == [len(expected[number]) for number in range(len(sizes))]


@pytest.fixture
def joined(source, tmp_path, tools):
    """A result with one large cluster, which a low threshold gives."""
    return tools.made_at(source, tmp_path / "joined", 0.3, recursive=True)


def test_a_cluster_breaks_at_its_weakest_link(joined, source, capsys):
    with (joined / "certificate.csv").open() as stream:
        before = next(csv.DictReader(stream))
    assert main(["split", str(joined), "cluster_0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "removed, split into " in lines[0]
    assert lines[1].startswith("plan: move ")
    assert lines[-1].startswith("14 images, ")
    check_disk_and_tables_agree(joined, source)
    told = json.loads((joined / "run.json").read_text())
    assert told["splits"] == [{"cluster": 0, "at": "weakest"}]
    assert told["threshold"] == 0.3
    forest, weakest = SavedState.read(joined).forest, float(before["weakest_link"])
    just_above = float(np.nextafter(np.float32(weakest), np.float32(2)))
    with (joined / "clusters.csv").open() as stream:
        labels = np.array([int(row["cluster"]) for row in csv.DictReader(stream)])
    whole = icas.labels_at(forest, 0.3) == 0
    expected = np.where(whole, icas.labels_at(forest, just_above) + 1, 0)[whole]
    groups = labels[whole]
    assert [(groups == a).tolist() for a in groups] == [(expected == a).tolist() for a in expected]


@given(st.data())
def test_parts_are_the_components_of_what_is_left(drawn):
    count = drawn.draw(st.integers(2, 25))
    pairs = drawn.draw(
        st.lists(
            st.tuples(
                st.integers(0, count - 1), st.integers(0, count - 1), st.integers(0, 5)
            ).filter(lambda pair: pair[0] < pair[1]),
            min_size=1,
            max_size=60,
            unique_by=lambda pair: pair[:2],
        )
    )
    a, b = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    similarity = np.array([pair[2] / 5 for pair in pairs], np.float32)
    labels = components(count, a, b)
    number = drawn.draw(st.integers(0, int(labels.max())))
    at = drawn.draw(st.one_of(st.none(), st.sampled_from([0.2, 0.6, 1.0])))
    forest = spanning_forest(count, [Links(a, b, similarity)])
    inside = labels[a] == number
    if at is None:
        steps = np.unique(similarity[inside])
        weakest = max(s for s in steps if spans(labels == number, a, b, similarity >= s))
        keep = inside & (similarity > weakest)
    else:
        keep = inside & (similarity >= np.float32(at))
    if spans(labels == number, a, b, keep):
        with pytest.raises(icas.UsageError, match="does not split"):
            split_cluster(forest, labels, number, at)
        return
    found, _ = split_cluster(forest, labels, number, at)
    others = (labels != number) & (labels >= 0)
    rest = others[a]
    truth = components(count, np.r_[a[keep], a[rest]], np.r_[b[keep], b[rest]])
    assert np.array_equal(found, truth)
    assert np.array_equal(found, number_clusters(found))


def spans(members, a, b, keep):
    """Whether the links `keep` join all of `members`."""
    places = np.cumsum(members) - 1
    chosen = keep & members[a] & members[b]
    graph = coo_array(
        (np.ones(chosen.sum()), (places[a[chosen]], places[b[chosen]])), shape=(members.sum(),) * 2
    )
    return bool(connected_components(graph, directed=False)[0] == 1)


def test_python_and_a_similarity(joined, source):
    before = clusters_on_disk(joined)
    report = icas.split(joined, 0, at=1.0)
    check_disk_and_tables_agree(joined, source)
    assert report.members(0)
    assert sum(map(len, clusters_on_disk(joined).values())) == sum(map(len, before.values()))
    icas.split(joined, "cluster_0", dry_run=True)


def test_a_dry_run_writes_nothing(joined, tools):
    before = tools.files_below(joined)
    assert main(["split", str(joined), "cluster_0", "--dry-run"]) == 0
    assert tools.files_below(joined) == before


def test_a_recut_forgets_splits(joined, source, tools):
    before = tools.files_below(joined / "result")
    icas.split(joined, 0)
    icas.recut(joined, 0.3)
    assert tools.files_below(joined / "result") == before
    assert "splits" not in json.loads((joined / "run.json").read_text())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cluster_99"], "has no cluster_99"),
        (["outliers"], "like cluster_7"),
        (["cluster_0", "--at", "high"], "or weakest"),
        (["cluster_0", "--at", "1.5"], "up to 1"),
        (["cluster_0", "--at", "0.1"], "does not split"),
    ],
)
def test_what_cannot_be_is_one_line(joined, capsys, words, told):
    assert main(["split", str(joined), *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_names_of_clusters():
    assert {cluster_number(name) for name in (7, "7", "cluster_7", "cluster_7/")} == {7}


def test_clusters_put_together_by_hand_break_too(photos, tmp_path, tools):
    parts = tools.made_at(photos, tmp_path / "parts", 0.3, stage="batch")
    merged = tools.made_at(parts, tmp_path / "merged", 0.9, stage="merge")
    before = clusters_on_disk(merged)
    report = icas.split(merged, 0)
    after = clusters_on_disk(merged)
    assert sorted(chain(*after.values())) == sorted(chain(*before.values()))
    assert [len(after[number]) for number in range(report.clusters)] == [
        one.images for one in report.certificates
    ]


@pytest.mark.deep
def test_clusters_of_models_break_too(torch, photos, tmp_path):
    options = {"model": "squeezenet1_0", "weights": "random", "size": (64, 64)}
    out = tmp_path / "out"
    icas.cluster(photos, dst=out, method="deep", cluster_model="kmeans", clusters=(3,), **options)
    models = json.loads((out / "run.json").read_text())["models"]
    report = icas.split(out, 0)
    assert sum(map(len, clusters_on_disk(out).values())) == 14
    assert json.loads((out / "run.json").read_text())["models"] == models
    assert report.threshold is None


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize(
    "step", [1, 8, 13, *(pytest.param(step, marks=pytest.mark.slow) for step in (5, 7, 9, 11))]
)
def test_kill_9_and_the_same_command_again_splits_once(photos, tmp_path, step, tools):
    source, kept = (tools.same_names(photos, tmp_path / name) for name in ("photos", "kept"))
    out = tools.made_at(source, tmp_path / "out", 0.3, recursive=True, transfer="move")
    once = tools.made_at(kept, tmp_path / "once", 0.3, recursive=True)
    icas.split(once, 0)
    words = ["split", str(out), "cluster_0"]
    command = [sys.executable, "-c", tools.KILLER, str(step), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert main(words) == 0
    for name in ("result", "clusters.csv", "certificate.csv"):
        expected, found = (
            tools.files_below(dst / name) if name == "result" else (dst / name).read_bytes()
            for dst in (once, out)
        )
        assert found == expected


def test_another_split_after_an_interruption_asks_to_look(joined, monkeypatch, tools, source):
    with pytest.raises(tools.Killed), tools.killed_before_step(monkeypatch, 12):
        icas.split(joined, 0)
    with pytest.raises(icas.ConflictError, match="run split again"):
        icas.split(joined, 0, at=1.0)
    check_disk_and_tables_agree(joined, source)
