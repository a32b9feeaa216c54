"""Clusters that follow decisions: as a slow, obvious way has them, over batches and merges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from icas.clusterimg.clustering import constrained_linkage as joining
from icas.clusterimg.clustering.base import partition_of
from icas.clusterimg.clustering.batches import cluster_batches
from icas.clusterimg.clustering.constrained_linkage import inside, join_apart
from icas.clusterimg.clustering.linkages import make_clusterer
from icas.clusterimg.data.featureset import FeatureSet, concatenate
from icas.clusterimg.data.links import Links
from icas.clusterimg.decisions.constraints import NOTHING, ConstraintArrays, Constraints
from icas.clusterimg.graph.forest import components, labels_at, number_clusters, spanning_forest
from icas.clusterimg.methods import make_method
from icas.clusterimg.results.report import certificates_of

HASH = make_method("imagehash")


def kruskal(count, links, classes, apart):
    """Clusters by the definition, one link after the other."""
    group = list(range(count))

    def join(one, other):
        group[:] = [one if each == other else each for each in group]

    def allowed(one, other):
        inside = [classes[image] for image in range(count) if group[image] in (one, other)]
        return all(len({sides[each] for each in inside if each in sides}) < 2 for sides in apart)

    for image in range(count):
        for other in range(image):
            if classes[image] == classes[other] >= 0 and group[image] != group[other]:
                join(group[other], group[image])
    for _, a, b in sorted((-similarity, a, b) for a, b, similarity in links):
        if group[a] != group[b] and allowed(group[a], group[b]):
            join(group[a], group[b])
    return number_clusters(np.array(group, np.int64))


@st.composite
def decided_classes(draw, count, most=5):
    """Class of each of `count` images, and sides of the classes."""
    classes = draw(st.lists(st.integers(-1, most - 1), min_size=count, max_size=count))
    sides = st.dictionaries(st.integers(0, most - 1), st.integers(0, 2), min_size=2)
    return np.array(classes, np.int64), tuple(draw(st.lists(sides, max_size=3)))


@st.composite
def linked_and_decided(draw):
    count = draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    # Few similarities, so that many are equal.
    values = draw(st.lists(st.integers(1, 4), min_size=len(chosen), max_size=len(chosen)))
    links = [(a, b, value / 4) for (a, b), value in sorted(zip(chosen, values, strict=True))]
    return count, links, *draw(decided_classes(count))


def links_of(rows):
    a, b, similarity = zip(*rows, strict=True) if rows else ((), (), ())
    return Links(np.array(a, np.int64), np.array(b, np.int64), np.array(similarity, np.float32))


@pytest.mark.parametrize("band", [1, 5, 1 << 22])
@settings(max_examples=150, deadline=None)
@given(case=linked_and_decided())
def test_it_gives_what_the_definition_gives(band, case):
    count, rows, classes, apart = case
    links, marks = links_of(rows), ConstraintArrays(classes, apart)
    tree = spanning_forest(count, [links]).links()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "BAND", band)
        patch.setattr(joining, "_SAMPLED", 1)
        found = join_apart(marks.starts(), tree, marks, lambda _: links)
    np.testing.assert_array_equal(found.labels, kruskal(count, rows, classes, apart))


@settings(max_examples=100, deadline=None)
@given(case=linked_and_decided())
def test_what_is_together_and_apart_holds_at_every_threshold(case):
    """Clusters at a higher threshold are parts of those at a lower one, together held or not."""
    count, rows, classes, apart = case
    marks = ConstraintArrays(classes, apart)
    for threshold in (0.25, 0.5, 0.75, 1.0):
        links = links_of([row for row in rows if row[2] >= threshold])
        tree = spanning_forest(count, [links]).links()
        found = join_apart(marks.starts(), tree, marks, lambda _: links)  # noqa: B023
        check_decided(found.labels, marks)
        held = inside(found.known, found.labels)
        a, b = marks.pairs()
        joined = components(count, np.append(held.a, a), np.append(held.b, b))
        np.testing.assert_array_equal(joined, found.labels)


def check_decided(labels, marks):
    """Images of one class are in one cluster, images of different sides are not."""
    for image, one in enumerate(marks.classes):
        for other in range(image):
            both = labels[image] == labels[other] >= 0
            if one >= 0 and one == marks.classes[other]:
                assert both
            for sides in marks.apart:
                here, there = sides.get(int(one)), sides.get(int(marks.classes[other]))
                if None not in (here, there) and here != there:
                    assert not both


@dataclass(frozen=True)
class Case:
    features: FeatureSet
    constraints: Constraints


@st.composite
def hashes_and_decisions(draw):
    count = draw(st.integers(2, 24))
    bits = draw(st.lists(st.integers(0, 255), min_size=count, max_size=count))
    codes = np.zeros((count, 8), np.uint8)
    codes[:, 0] = bits
    files = tuple(f"{image}.jpg" for image in range(count))
    classes, apart = draw(decided_classes(count))
    named = {file: int(one) for file, one in zip(files, classes, strict=True) if one >= 0}
    return Case(FeatureSet("imagehash", {"bits": codes}, files=files), Constraints(named, apart))


def batches(features, size, given=None):
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        yield features[part], None if given is None else number_clusters(given[part])


def run(case, size, merge="representatives", linkage="single", threshold=0.97, **more):
    clusterer = make_clusterer(HASH, threshold, linkage)
    parts = batches(case.features, size, more.pop("given", None))
    return cluster_batches(
        clusterer, parts, merge=merge, **{"constraints": case.constraints, **more}
    )


@pytest.mark.parametrize("linkage", ["single", "complete", "average"])
@pytest.mark.parametrize("merge", ["representatives", "exact"])
@settings(max_examples=25, deadline=None)
@given(case=hashes_and_decisions(), size=st.integers(2, 25))
def test_no_way_of_merging_breaks_a_decision(linkage, merge, case, size):
    found = run(case, size, merge, linkage)
    check_decided(found.labels, case.constraints.arrays(case.features.files))
    check_whole(found, case)


def check_whole(found, case):
    """The tables' figures are those of the clusters that were found."""
    trees = found.trees()
    assert (found.labels[trees.a] == found.labels[trees.b]).all()
    np.testing.assert_array_equal(components(found.count, trees.a, trees.b), found.labels)
    assert not np.isnan(found.weakest_links()).any()
    similar = HASH.similarity(case.features, case.features)
    np.testing.assert_array_equal(similar[trees.a, trees.b], trees.similarity)
    for cluster, one in enumerate(found.cohesions):
        members = np.flatnonzero(found.labels == cluster)
        assert one.medoid in members
        assert one.least_similar_pair >= similar[np.ix_(members, members)].min()
        if len(found.batches) == 1:
            assert one.least_similar_pair == similar[np.ix_(members, members)].min()
            sums = similar[np.ix_(members, members)].astype(np.float64).sum(axis=1)
            assert one.medoid == members[np.argmax(sums)]


@settings(max_examples=60, deadline=None)
@given(case=hashes_and_decisions(), size=st.integers(2, 12))
def test_merged_exactly_it_is_as_one_big_batch(case, size):
    one, several = run(case, 100), run(case, size, "exact")
    np.testing.assert_array_equal(several.labels, one.labels)
    assert several.weakest_links() == pytest.approx(one.weakest_links())
    assert several.cohesions == one.cohesions


@pytest.mark.parametrize("linkage", ["single", "complete"])
@settings(max_examples=12, deadline=None)
@given(case=hashes_and_decisions(), size=st.integers(2, 25))
def test_without_decisions_nothing_changes(linkage, case, size):
    for constraints in (NOTHING, Constraints({"not here.jpg": 0}, ({0: 0},))):
        for merge in ("representatives", "exact", "none"):
            clusterer = make_clusterer(HASH, 0.97, linkage)
            plain = cluster_batches(clusterer, batches(case.features, size), merge=merge)
            found = run(case, size, merge, linkage, constraints=constraints)
            np.testing.assert_array_equal(found.labels, plain.labels)
            assert found.cohesions == plain.cohesions
            assert found.weakest_links() == plain.weakest_links()
            np.testing.assert_array_equal(found.links().structured(), plain.links().structured())


@settings(max_examples=60, deadline=None)
@given(case=hashes_and_decisions(), size=st.integers(2, 12), seed=st.integers(0, 9))
def test_folders_put_together_by_hand_count_more(case, size, seed):
    """What lies in a folder stays together; else every decision holds."""
    count = len(case.features)
    folders = np.random.default_rng(seed).integers(-1, 3, count)
    for merge in ("representatives", "exact"):
        found = run(case, size, merge, given=folders)
        for start in range(0, count, size):
            part = slice(start, start + size)
            for folder in range(3):
                inside = found.labels[part][folders[part] == folder]
                assert len(set(inside.tolist())) <= 1
        marks = case.constraints.arrays(case.features.files)
        together = ConstraintArrays(marks.classes)
        check_decided(found.labels, together)


def test_a_folder_that_goes_against_a_decision_is_told(capsys):
    from icas.cli.console import Console

    codes = np.zeros((4, 8), np.uint8)
    files = ("a", "b", "c", "d")
    features = FeatureSet("imagehash", {"bits": codes}, files=files)
    constraints = Constraints({"a": 0, "b": 1, "c": 2}, ({0: 0, 1: 1}, {0: 0, 2: 1}))
    found = cluster_batches(
        make_clusterer(HASH, 0.9),
        [(features, np.array([0, 0, -1, -1]))],
        constraints=constraints,
        console=Console(warnings=True),
    )
    assert found.labels.tolist() == [0, 0, -1, -1]
    said = capsys.readouterr().err
    assert said.startswith("constraints: 1 ignored, because the edited batch folders")


def test_a_chain_is_cut_where_it_is_weakest():
    """A 0.9 B 0.8 C 0.7 D: without A with D the weakest link goes, and D finds another way."""
    rows = [(0, 1, 0.9), (1, 2, 0.8), (2, 3, 0.7)]
    marks = ConstraintArrays(np.array([0, -1, -1, 1]), ({0: 0, 1: 1},))
    links = links_of(rows)
    found = join_apart(marks.starts(), links, marks, lambda _: links)
    assert found.labels.tolist() == [0, 0, 0, -1]


def test_where_several_links_are_refused_those_outside_the_forest_count():
    """E is linked with A, and less with C: once A is refused, it goes with C."""
    rows = [(0, 1, 0.9), (0, 2, 0.5), (2, 3, 0.6)]
    marks = ConstraintArrays(np.array([0, 1, 2, -1]), ({0: 0, 1: 1}, {0: 0, 2: 1}))
    rows += [(1, 3, 0.55)]
    links = links_of(sorted(rows))
    found = join_apart(marks.starts(), links, marks, lambda _: links)
    assert found.labels.tolist() == [-1, 0, 0, 0]


def test_a_pair_held_by_a_decision_has_the_similarity_of_the_method():
    codes = np.zeros((2, 8), np.uint8)
    codes[1, :4] = 255
    features = FeatureSet("imagehash", {"bits": codes}, files=("a", "b"))
    found = cluster_batches(
        make_clusterer(HASH, 0.9), [(features, None)], constraints=Constraints({"a": 0, "b": 0})
    )
    certificate = certificates_of(found)[0]
    assert (certificate.weakest_link, certificate.least_similar_pair) == (0.5, 0.5)
    forest = spanning_forest(2, [found.trees()])
    assert labels_at(forest, 0.5).tolist() == [0, 0]


def test_clusters_of_models_follow_decisions_too():
    """Where a model's cluster has to be parted, all of its similarities count."""
    from icas.clusterimg.clustering.constrained_linkage import constrained as apply

    codes = np.zeros((5, 8), np.uint8)
    codes[2, 0], codes[3, 0], codes[4, 0] = 1, 3, 255
    features = FeatureSet("imagehash", {"bits": codes}, files=tuple("abcde"))
    grouped = partition_of(HASH, features, np.array([0, 0, 0, 0, -1]))
    marks = ConstraintArrays(np.array([0, -1, -1, 1, 1]), ({0: 0, 1: 1},))
    found = apply(HASH, features, grouped, marks, by_links=False)
    assert found.labels.tolist() == [0, 0, 0, 1, 1]
    assert len(found.tree) == 3


class ByFirstBits:
    """Stands for models: clusters that no link tells, only the similarities inside them."""

    method = HASH

    threshold = None
    merges_exactly = False

    def partition(self, features, workers, console):
        return partition_of(HASH, features, features.array[:, 0] % 4)

    def links_across(self, parts, workers, groups=None):
        together = concatenate(list(parts))
        return partition_of(HASH, together, together.array[:, 0] % 3).tree, 0


@pytest.mark.parametrize("merge", ["representatives", "exact"])
@settings(max_examples=80, deadline=None)
@given(case=hashes_and_decisions(), size=st.integers(2, 25))
def test_no_merging_of_what_models_group_breaks_a_decision(merge, case, size):
    found = cluster_batches(
        ByFirstBits(),
        batches(case.features, size),
        merge=merge,
        constraints=case.constraints,
    )
    check_decided(found.labels, case.constraints.arrays(case.features.files))
    check_whole(found, case)


def test_a_rejected_cluster_of_thousands_is_parted_soon():
    """All 3,000 images are alike; none is left with another."""
    features = FeatureSet(
        "imagehash",
        {"bits": np.zeros((3000, 8), np.uint8)},
        files=tuple(map(str, range(3000))),
    )
    classes = {str(image): image for image in range(2999)}
    constraints = Constraints(classes, ({one: one for one in range(2999)},))
    found = cluster_batches(make_clusterer(HASH, 0.9), [(features, None)], constraints=constraints)
    assert found.labels.max() == 0  # the last one, about which nothing is decided, with the first
    assert np.flatnonzero(found.labels == 0).tolist() == [0, 2999]
