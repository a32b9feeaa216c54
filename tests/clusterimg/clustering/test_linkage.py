"""Linkage: components cut as scipy cuts them, whatever the tiles, workers and batches."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

import icas
from icas.clusterimg.clustering import dense_linkage as cutting
from icas.clusterimg.clustering.base import SingleLinkage
from icas.clusterimg.clustering.batches import cluster_batches, split
from icas.clusterimg.clustering.dense_linkage import AverageLinkage
from icas.clusterimg.clustering.linkages import make_clusterer
from icas.clusterimg.commands.main import main
from icas.clusterimg.data.featureset import FeatureSet
from icas.clusterimg.graph.forest import components, labels_at, members_of, number_clusters
from icas.clusterimg.methods.base import Method
from icas.clusterimg.model_selection.grid import Grid
from icas.clusterimg.results.report import ClusterReport
from icas.common.errors import UsageError
from icas.parallel.executors import start_workers

LINKAGES = ["complete", "average"]


@dataclass(frozen=True)
class FromMatrix(Method):
    """A method whose features are rows of a similarity matrix."""

    name: ClassVar[str] = "matrix"
    tile: ClassVar[int] = 3
    default_threshold: ClassVar[float] = 0.5

    def extract(self, images):
        raise NotImplementedError

    def similarity(self, a, b):
        return a.arrays["rows"][:, b.arrays["number"]]


METHOD = FromMatrix()


def features_of(matrix):
    matrix = np.asarray(matrix, np.float32)
    return FeatureSet("matrix", {"rows": matrix, "number": np.arange(len(matrix))})


def symmetric(upper):
    matrix = np.triu(upper, 1)
    matrix = (matrix + matrix.T).astype(np.float32)
    np.fill_diagonal(matrix, 1.0)
    return matrix


@st.composite
def matrices(draw, most=24, *, ties=False):
    """Random symmetric similarities; with groups, so that components are of all sizes."""
    count = draw(st.integers(2, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    group = rng.integers(0, draw(st.integers(1, 4)), count)
    values = rng.random((count, count))
    values = np.where(group[:, None] == group, 0.3 + 0.7 * values, 0.7 * values)
    return symmetric(np.round(values, 1) if ties else values)


def scipys(matrix, threshold, kind):
    """fcluster on a full matrix, numbered as clusters are."""
    distances = squareform(1.0 - matrix.astype(np.float64), checks=False)
    height = 1.0 - float(np.float32(threshold))
    return number_clusters(fcluster(linkage(distances, kind), height, criterion="distance"))


def found(matrix, threshold, kind, **given):
    clusterer = make_clusterer(METHOD, threshold, kind)
    return cluster_batches(clusterer, [(features_of(matrix), None)], **given)


thresholds = st.floats(0.05, 0.95)


@given(matrices(), thresholds, st.sampled_from(LINKAGES), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_clusters_are_scipys_of_the_full_matrix(matrix, threshold, kind, jobs):
    with start_workers("threads", jobs) as workers:
        mine = found(matrix, threshold, kind, workers=workers)
    assert mine.labels.tolist() == scipys(matrix, threshold, kind).tolist()


@given(matrices(ties=True), st.sampled_from([0.2, 0.5, 0.6, 0.8]), st.sampled_from(LINKAGES))
@settings(max_examples=150, deadline=None)
def test_with_ties_they_are_scipys_of_each_components_matrix(matrix, threshold, kind):
    a, b = np.nonzero(np.triu(matrix >= np.float32(threshold), 1))
    expected, most = np.full(len(matrix), -1), 0
    for members in members_of(components(len(matrix), a, b)):
        inside = scipys(matrix[np.ix_(members, members)], threshold, kind)
        expected[members] = np.where(inside < 0, -1, inside + most)
        most += len(members)
    assert found(matrix, threshold, kind).labels.tolist() == number_clusters(expected).tolist()


@given(matrices(ties=True), st.sampled_from([0.2, 0.5, 0.6, 0.8]), st.sampled_from(LINKAGES))
@settings(max_examples=80, deadline=None)
def test_what_holds_of_every_cluster(matrix, threshold, kind):
    mine, single = found(matrix, threshold, kind), found(matrix, threshold, "single")
    for members, weakest in zip(members_of(mine.labels), mine.weakest_links(), strict=True):
        inside = matrix[np.ix_(members, members)]
        pairs = inside[~np.eye(len(members), dtype=bool)]
        assert len(set(single.labels[members])) == 1  # it lies in one component
        assert (pairs.min() if kind == "complete" else pairs.mean() + 1e-6) >= np.float32(threshold)
        heights = linkage(squareform(1.0 - inside.astype(float), checks=False), "single")[:, 2]
        assert weakest == pytest.approx(1.0 - heights.max())
    links = mine.links()
    assert (mine.labels[links.a] == mine.labels[links.b]).all()
    assert components(len(matrix), links.a, links.b).tolist() == mine.labels.tolist()
    assert mine.compared == len(matrix) * (len(matrix) - 1) // 2


def test_a_chain_of_four_stays_one_by_links_alone():
    """A-B-C-D: neighbours are alike, the ends are not."""
    upper = np.zeros((4, 4))
    upper[0, 1], upper[1, 2], upper[2, 3] = 0.9, 0.85, 0.9
    upper[0, 2] = upper[1, 3] = 0.5
    matrix = symmetric(upper)
    assert found(matrix, 0.8, "single").labels.tolist() == [0, 0, 0, 0]
    assert found(matrix, 0.8, "complete").labels.tolist() == [0, 0, 1, 1]
    assert found(matrix, 0.8, "average").labels.tolist() == [0, 0, 1, 1]
    # the mean of the four pairs between AB and CD is 0.4625
    assert found(matrix, 0.46, "average").labels.tolist() == [0, 0, 0, 0]
    assert found(matrix, 0.46, "complete").labels.tolist() == [0, 0, 1, 1]
    assert found(matrix, 0.8, "complete").weakest_links() == pytest.approx([0.9, 0.9])


@pytest.mark.parametrize("kind", LINKAGES)
def test_pairs_exactly_at_the_threshold_are_joined(kind):
    matrix = symmetric(np.full((7, 7), 0.7))
    matrix[0, 6] = matrix[6, 0] = 0.95
    assert found(matrix, 0.7, kind).labels.tolist() == [0] * 7
    assert found(matrix, 0.71, kind).labels.tolist() == [0, -1, -1, -1, -1, -1, 0]


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.0])
@pytest.mark.parametrize("kind", LINKAGES)
def test_thresholds_at_the_ends(kind, threshold):
    rng = np.random.default_rng(5)
    matrix = symmetric(np.where(rng.random((9, 9)) < 0.5, 1.0, rng.uniform(-1, 1, (9, 9))))
    assert found(matrix, threshold, kind).labels.shape == (9,)
    if kind == "complete":
        for members in members_of(found(matrix, threshold, kind).labels):
            assert matrix[np.ix_(members, members)].min() >= threshold


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images(count):
    matrix = np.ones((count, count), np.float32)
    assert found(matrix, 0.9, "complete").labels.tolist() == ([-1] if count == 1 else [0] * count)


def batches_of(matrix, size):
    features = features_of(matrix)
    return [(features[part], None) for part in split(len(matrix), size)]


@given(matrices(), thresholds, st.integers(2, 7), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_representatives_are_joined_by_the_same_linkage(matrix, threshold, size, jobs):
    clusterer = make_clusterer(METHOD, threshold, "complete")
    with start_workers("threads", jobs) as workers:
        merged = cluster_batches(clusterer, batches_of(matrix, size), workers=workers)
    standing = np.flatnonzero(merged.representative)
    for cluster in range(merged.labels.max(initial=-1) + 1):
        own = standing[merged.labels[standing] == cluster]
        assert matrix[np.ix_(own, own)].min() >= np.float32(threshold)  # all of them, no chain
        assert len(set(merged.batch[own])) == len(own)  # what a batch parted stays parted
    for batch, start in zip(merged.batches, merged.starts, strict=False):
        for members in members_of(batch.labels):
            assert len(set(merged.labels[members + start])) == 1
    assert not np.isnan(merged.weakest_links()).any()
    assert all(weakest >= np.float32(threshold) for weakest in merged.weakest_links())


def test_no_chain_through_representatives():
    """Three batches of two copies each; the batches' representatives are a chain."""
    upper = np.kron([[0.0, 0.9, 0.5], [0.0, 0.0, 0.85], [0.0, 0.0, 0.0]], np.ones((2, 2)))
    upper[[0, 2, 4], [1, 3, 5]] = 1.0
    parts = batches_of(symmetric(upper), 2)
    chain = cluster_batches(SingleLinkage(METHOD, 0.8), parts)
    assert chain.labels.tolist() == [0] * 6
    for kind in LINKAGES:
        mine = cluster_batches(make_clusterer(METHOD, 0.8, kind), parts)
        assert mine.labels.tolist() == [0, 0, 0, 0, 1, 1]
        assert len(mine.merged_links) == 1


@given(matrices(most=16), thresholds, st.integers(2, 5), st.sampled_from(LINKAGES), st.data())
@settings(max_examples=80, deadline=None)
def test_clusters_made_by_hand_are_joined_as_a_whole(matrix, threshold, size, kind, data):
    """merge="exact" of given batches: agglomeration that starts from their clusters."""
    parts, groups = [], []
    for features, _ in batches_of(matrix, size):
        drawn = data.draw(st.lists(st.integers(-1, 1), min_size=len(features)))
        labels = number_clusters(np.array(drawn[: len(features)]))
        parts.append((features, labels))
        groups.append(np.where(labels < 0, -1, labels + 10 * len(groups)))
    clusterer = make_clusterer(METHOD, threshold, kind)
    mine = cluster_batches(clusterer, parts, merge="exact")
    batch = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])
    assert mine.labels.tolist() == agglomerated(
        matrix, batch, np.concatenate(groups), threshold, kind
    )


def agglomerated(matrix, batch, groups, threshold, kind):
    """The same by the book: join the two nearest clusters until none are near enough."""
    close = np.where(matrix >= np.float32(threshold), True, False)
    apart = 1.0 - float(np.nextafter(np.float32(threshold), np.float32(-1)))
    distance = 1.0 - matrix.astype(np.float64)
    distance = np.where((batch[:, None] == batch) & close, apart, distance)
    clusters = [np.flatnonzero(groups == one) for one in np.unique(groups[groups >= 0])]
    clusters += [np.array([one]) for one in np.flatnonzero(groups < 0)]
    measure = np.max if kind == "complete" else np.mean
    while len(clusters) > 1:
        heights = {
            (i, j): measure(distance[np.ix_(clusters[i], clusters[j])])
            for j in range(len(clusters))
            for i in range(j)
        }
        i, j = min(heights, key=heights.get)
        if heights[i, j] > 1.0 - float(np.float32(threshold)):
            break
        joined = np.concatenate([clusters[i], clusters[j]])
        clusters = [one for k, one in enumerate(clusters) if k not in (i, j)] + [joined]
    numbered = np.empty(len(matrix), np.int64)
    for number, members in enumerate(clusters):
        numbered[members] = number
    return number_clusters(numbered).tolist()


@pytest.mark.parametrize("kind", LINKAGES)
def test_a_component_that_is_too_large_is_told(monkeypatch, kind):
    monkeypatch.setattr(cutting, "LARGEST", 5)
    upper = np.eye(6, k=1)
    with pytest.raises(
        UsageError, match=f"linkage {kind}: 6 images are connected at threshold 0.8"
    ) as told:
        found(symmetric(upper), 0.8, kind)
    assert "\n" not in str(told.value)
    assert found(symmetric(np.ones((6, 6))), 0.8, kind).labels.tolist() == [0] * 6


def test_last_digits_that_differ_between_tiles_do_no_harm():
    class Jumpy(FromMatrix):
        def similarity(self, a, b):
            """The last digit depends on the shape of the tile."""
            values = super().similarity(a, b)
            towards = np.float32(-2 if len(a) % 2 else 1)
            return np.nextafter(values, towards)

    rng = np.random.default_rng(0)
    for _ in range(40):
        matrix = symmetric(rng.choice(np.float32([0.3, 0.7, 0.9]), (11, 11)))
        for kind in LINKAGES:
            clusterer = make_clusterer(Jumpy(), 0.7, kind)
            mine = cluster_batches(clusterer, [(features_of(matrix), None)])
            assert not np.isnan(mine.weakest_links()).any()


# with pictures


def images(photos):
    return sorted(photos.iterdir())


def matrix_of(photos, **given):
    return icas.similarity_matrix(images(photos), **given)


@pytest.mark.parametrize("kind", LINKAGES)
@pytest.mark.parametrize(("method", "threshold"), [("ssim", 0.3), ("orb", 0.02), ("tm", 0.85)])
def test_pictures_are_clustered_as_scipy_does(photos, method, threshold, kind):
    model = icas.ImageClusterer(method=method, threshold=threshold, linkage=kind)
    matrix = matrix_of(photos, method=method)
    matrix = np.triu(matrix, 1) + np.triu(matrix, 1).T
    assert model.fit_predict(images(photos)).tolist() == scipys(matrix, threshold, kind).tolist()
    assert labels_at(model.forest_, threshold).tolist() == model.labels_.tolist()


@pytest.mark.parametrize("kind", LINKAGES)
def test_workers_and_batches_do_not_matter(photos, kind):
    fitted = [
        icas.ImageClusterer("imagehash", 0.55, linkage=kind, merge="exact", **given)
        .fit(images(photos))
        .labels_.tolist()
        for given in (
            {"jobs": 1},
            {"jobs": 3, "batch_size": 5},
            {"jobs": 2, "executor": "processes", "batch_size": 4},
        )
    ]
    assert fitted[0] == fitted[1] == fitted[2]
    assert max(fitted[0]) >= 1


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_command(photos, tmp_path, capsys):
    dst = tmp_path / "out"
    words = [str(photos), "--method", "ssim", "--threshold", "0.3", "--linkage", "complete"]
    assert main([*words, "--dst", str(dst)]) == 0
    assert "linkage complete: " in capsys.readouterr().out
    assert json.loads((dst / "run.json").read_text())["settings"]["linkage"] == "complete"
    names = [row["file"] for row in rows(dst / "clusters.csv")]
    matrix = icas.similarity_matrix([photos / name for name in names], method="ssim")
    expected = scipys(np.triu(matrix, 1) + np.triu(matrix, 1).T, 0.3, "complete")
    assert [int(row["cluster"]) for row in rows(dst / "clusters.csv")] == expected.tolist()
    assert any(
        float(row["least_similar_pair"]) < float(row["weakest_link"])
        for row in rows(dst / "certificate.csv")
    )
    for row in rows(dst / "certificate.csv"):
        assert 0.3 <= float(row["least_similar_pair"]) <= float(row["weakest_link"])


def test_exact_is_one_big_batch(photos, tmp_path):
    found = [
        icas.cluster(
            photos,
            method="imagehash",
            threshold=0.55,
            linkage="average",
            dst=tmp_path / str(number),
            transfer="none",
            **given,
        )
        for number, given in enumerate(({}, {"batch_size": 4, "merge": "exact"}))
    ]
    assert found[0].labels.tolist() == found[1].labels.tolist()
    assert found[0].comparisons == found[1].comparisons


def clusters_of(report):
    """Every cluster as the names of its images, without their folders."""
    return {
        frozenset(file.rsplit("/", 1)[-1] for file in report.members(number))
        for number in range(report.clusters)
    }


@pytest.mark.parametrize("merge", ["representatives", "exact"])
def test_the_merge_stage_keeps_the_linkage(photos, tmp_path, merge):
    given = {"method": "imagehash", "threshold": 0.55, "linkage": "complete", "batch_size": 5}
    icas.cluster(photos, dst=tmp_path / "parts", stage="batch", **given)
    dst = tmp_path / "out"
    two = icas.cluster(tmp_path / "parts", dst=dst, stage="merge", merge=merge)
    told = json.loads((dst / "run.json").read_text())
    assert told["settings"]["linkage"] == "complete"
    assert two.threshold == 0.55
    if merge == "representatives":
        one = icas.cluster(photos, dst=tmp_path / "one", **given)
        assert clusters_of(one) == clusters_of(two)
    other = icas.cluster(
        tmp_path / "parts", dst=tmp_path / "other", stage="merge", linkage="single"
    )
    assert other.settings["linkage"] == "single"


@contextmanager
def older_release(monkeypatch):
    """Runs that write the former name of single linkage into ``run.json``."""
    as_dict = ClusterReport.as_dict

    def with_former_name(self):
        run = as_dict(self)
        return {**run, "settings": {**run["settings"], "linkage": "chain"}}

    with monkeypatch.context() as patch:
        patch.setattr(ClusterReport, "as_dict", with_former_name)
        yield


def linkage_of(result):
    return json.loads((result / "run.json").read_text())["settings"]["linkage"]


GIVEN = {"method": "imagehash", "threshold": 0.55}


def test_chain_is_the_former_name_of_single(photos, tmp_path, capsys):
    words = [str(photos), "--method", "imagehash", "--threshold", "0.55", "--dst"]
    for name in ("chain", "single"):
        assert main([*words, str(tmp_path / name), "--linkage", name]) == 0
        assert linkage_of(tmp_path / name) == "single"
    tables = [(tmp_path / name / "clusters.csv").read_bytes() for name in ("chain", "single")]
    assert tables[0] == tables[1]
    models = [icas.ImageClusterer(linkage=name, **GIVEN) for name in ("chain", "single")]
    former, current = (model.fit_predict(images(photos)).tolist() for model in models)
    assert former == current


@pytest.mark.parametrize("linkage", ["chain", "single", None])
def test_results_with_the_former_name_are_resumed_and_recut(photos, tmp_path, monkeypatch, linkage):
    given = {**GIVEN, "dst": tmp_path / "out", "linkage": linkage}
    with older_release(monkeypatch):
        first = icas.cluster(photos, **given)
    assert linkage_of(tmp_path / "out") == "chain"
    again = icas.cluster(photos, **given, resume=True)
    assert again.labels.tolist() == first.labels.tolist()
    icas.recut(tmp_path / "out", 0.7)
    assert linkage_of(tmp_path / "out") == "single"
    with pytest.raises(UsageError, match="used single"):
        icas.cluster(photos, **given | {"linkage": "complete"}, resume=True)


def test_batches_with_the_former_name_are_merged(photos, tmp_path, monkeypatch):
    parts, out = tmp_path / "parts", tmp_path / "out"
    with older_release(monkeypatch):
        icas.cluster(photos, dst=parts, stage="batch", batch_size=5, **GIVEN)
    icas.cluster(parts, dst=out, stage="merge")
    assert linkage_of(out) == "single"


def test_what_is_not_there_is_told(photos, tmp_path, capsys):
    assert main([str(photos), "--linkage", "centroid-x", "--dst", str(tmp_path / "out")]) == 2
    assert "centroid-x" in capsys.readouterr().err
    with pytest.raises(UsageError, match="choose from single, complete, average"):
        icas.ImageClusterer(linkage="centroid-x").fit(images(photos))
    with pytest.raises(UsageError, match="choose from single, complete, average"):
        icas.cluster(photos, linkage="centroid-x", dst=tmp_path / "out")


def test_models_know_no_linkage():
    @dataclass(frozen=True)
    class Modelled(FromMatrix):
        seed: int = 0
        linked: bool = False

        def model_grid(self):
            return None if self.linked else Grid(kinds=("kmeans",))

        def by_links(self):
            return Modelled(linked=True)

    with pytest.raises(UsageError, match="linkage average needs links, but method") as told:
        make_clusterer(Modelled(), None, "average")
    assert "\n" not in str(told.value)
    by_links = AverageLinkage(Modelled(linked=True), 0.5)
    assert make_clusterer(Modelled(), 0.5, "average") == by_links
    assert type(make_clusterer(METHOD, 0.5)) is SingleLinkage
