"""Candidates: fewer pairs, the same similarities, and an honest word about what is missed."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.cli.console import Console
from icas.clusterimg.clustering.batches import cluster_batches
from icas.clusterimg.clustering.linkages import make_clusterer
from icas.clusterimg.commands.main import main
from icas.clusterimg.graph.forest import components
from icas.clusterimg.linking import candidates as candidate_pairs, sketches as sketch_module
from icas.clusterimg.linking.candidates import CandidateStage, Checked
from icas.clusterimg.linking.sketches import Sketcher
from icas.clusterimg.linking.tiles import all_links, links_across
from icas.clusterimg.methods import make_method
from icas.common.errors import UsageError
from icas.parallel.executors import ALONE, start_workers

THRESHOLDS = {"orb": 0.15, "ssim": 0.3, "tm": 0.97}
SKETCHED = tuple(THRESHOLDS)


def pictures(count, seed=0, kinds=12):
    """Some scenes of blocks, each several times with noise and in other brightness."""
    rng = np.random.default_rng(seed)
    scenes = rng.integers(0, 256, (kinds, 6, 8, 3))
    found = []
    for number in rng.integers(0, kinds, count):
        scene = np.kron(scenes[number], np.ones((12, 12, 1), int))
        noisy = scene + rng.integers(-25, 26, scene.shape) + rng.integers(-20, 21)
        found.append(noisy.clip(0, 255).astype(np.uint8))
    return found


@cache
def example(name, count=130):
    """A method, features and all links of some pictures."""
    method = make_method(name)
    features = method.extract(pictures(count))
    return method, features, all_links(method, features, THRESHOLDS[name])


def codes(links, count):
    return links.a * count + links.b


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("a", "b", "similarity")
    )


@pytest.mark.parametrize("name", SKETCHED)
@settings(max_examples=3, deadline=None)
@given(most=st.integers(1, 20), seed=st.integers(0, 3))
def test_links_are_some_of_all_links_with_the_same_similarities(name, most, seed):
    method, features, every = example(name)
    stage = CandidateStage(most, seed)
    links, compared = stage.within(method, features, THRESHOLDS[name])
    count = len(features)
    places = np.searchsorted(codes(every, count), codes(links, count))
    assert np.array_equal(codes(every, count)[places], codes(links, count))
    assert np.array_equal(every.similarity[places], links.similarity)
    assert np.all(np.diff(codes(links, count)) > 0)
    assert len(links) <= compared <= count * (count - 1) // 2


@pytest.mark.parametrize("name", SKETCHED)
def test_as_many_candidates_as_images_give_all_links(name):
    method, features, every = example(name)
    count = len(features)
    for most in (count - 1, 10 * count):
        links, compared = CandidateStage(most).within(method, features, THRESHOLDS[name])
        assert same(links, every)
        assert compared == count * (count - 1) // 2
        clusterer = make_clusterer(method, THRESHOLDS[name], candidates=most)
        assert same(clusterer.partition(features).links, every)


@pytest.mark.parametrize("name", SKETCHED)
def test_recall_is_what_brute_force_says(name):
    """Also across parts: of the sampled images all links are found, others by candidates alone."""
    method, features, every = example(name)
    count, most = len(features), 4
    stage = CandidateStage(most, seed=1)
    links, compared = stage.within(method, features, THRESHOLDS[name])
    sample = stage._sample(count)
    of_sample = np.isin(every.a, sample) | np.isin(every.b, sample)
    search = candidate_pairs.Search(method, features, np.arange(count), THRESHOLDS[name])
    pairs = candidate_pairs.candidate_pairs(search, most, 1)
    among = np.isin(codes(every, count), pairs)
    label = components(count, every.a[among], every.b[among])
    joined = (label[every.a] == label[every.b]) & (label[every.a] >= 0)
    assert stage.checks == [
        Checked(
            len(sample),
            int(of_sample.sum()),
            int((of_sample & among).sum()),
            int((of_sample & joined).sum()),
        )
    ]
    assert np.array_equal(codes(links, count), codes(every, count)[among | of_sample])
    others = ~np.isin(pairs // count, sample) & ~np.isin(pairs % count, sample)
    all_of_sample = len(sample) * (count - len(sample)) + len(sample) * (len(sample) - 1) // 2
    assert compared == int(others.sum()) + all_of_sample
    told = stage.as_dict()
    assert told["recall"] == pytest.approx((of_sample & among).sum() / of_sample.sum())
    assert 0 < told["recall"] < 1


@pytest.mark.parametrize("name", SKETCHED)
def test_parts_have_candidates_among_one_another(name):
    method, features, _ = example(name)
    parts = [features[:50], features[50:57], features[57:]]
    every, possible = links_across(method, parts, THRESHOLDS[name])
    count = len(features)
    stage = CandidateStage(10)
    links, compared = stage.across(method, parts, THRESHOLDS[name])
    place = np.isin(codes(every, count), codes(links, count))
    assert np.array_equal(every.similarity[place], links.similarity)
    assert len(links) == place.sum() > 0.5 * len(every)
    assert compared < possible
    whole, all_pairs = CandidateStage(count).across(method, parts, THRESHOLDS[name])
    assert same(whole, every)
    assert all_pairs == possible


@pytest.mark.parametrize("name", SKETCHED)
def test_the_same_by_two_workers_and_in_other_tasks(name, monkeypatch):
    method, features, _ = example(name)
    threshold = THRESHOLDS[name]
    expected = CandidateStage(5)
    links, compared = expected.within(method, features, threshold)
    monkeypatch.setattr(candidate_pairs, "SKETCH_TASK", 7)
    monkeypatch.setattr(candidate_pairs, "PAIRS_TASK", 50)
    monkeypatch.setattr(sketch_module, "COLUMNS", 33)
    with start_workers("threads", 2) as workers:
        stage = CandidateStage(5)
        found = stage.within(method, features, threshold, workers)
    assert same(found[0], links)
    assert found[1] == compared
    assert stage.checks == expected.checks


def test_the_same_by_processes():
    method, features, _ = example("tm")
    expected, compared = CandidateStage(5).within(method, features, 0.97)
    with start_workers("processes", 2) as workers:
        found, by_processes = CandidateStage(5).within(method, features, 0.97, workers)
    assert same(found, expected)
    assert by_processes == compared


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 40), most=st.integers(1, 12), rows=st.integers(1, 50))
def test_nearest_is_what_sorting_all_distances_gives(data, count, most, rows):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    sketches = rng.integers(-3, 4, (count, 2)).astype(np.int8)
    parts = np.sort(rng.integers(0, data.draw(st.integers(1, 50)), count))
    found = sketch_module.nearest(sketches, parts, most, ALONE, Console(), rows)
    for image, row in enumerate(found):
        apart = np.flatnonzero(parts != parts[image])
        distances = np.square(sketches[apart].astype(int) - sketches[image]).sum(axis=1)
        expected = apart[np.argsort(distances, kind="stable")][:most]
        assert row[row != sketch_module.NO_NEIGHBOR].tolist() == expected.tolist()


@pytest.mark.parametrize("name", SKETCHED)
def test_copies_are_found_however_many_there_are(name):
    method = make_method(name)
    copies = method.extract([pictures(1, seed=3)[0]] * 30 + pictures(60, seed=4, kinds=60))
    clusterer = make_clusterer(method, 1.0, candidates=2, seed=9)
    assert len(set(clusterer.partition(copies).labels[:30].tolist())) == 1


@pytest.mark.parametrize("name", SKETCHED)
def test_images_of_one_colour(name):
    method = make_method(name)
    flat = [np.full((40, 50, 3), value, np.uint8) for value in range(0, 240, 4)] * 2
    clusterer = make_clusterer(method, 1.0, candidates=1)
    labels = clusterer.partition(method.extract(flat)).labels
    assert np.array_equal(labels[:60], labels[60:])
    assert labels.min() >= 0


@pytest.mark.parametrize("linkage", ["complete", "average"])
def test_other_linkages_see_all_pairs_of_what_links_join(linkage):
    method, features, _ = example("tm")
    exact = make_clusterer(method, 0.97, linkage).partition(features)
    found = make_clusterer(method, 0.97, linkage, candidates=12).partition(features)
    assert np.array_equal(found.labels, exact.labels)
    assert same(found.links, exact.links)


@pytest.mark.parametrize("merge", ["exact", "representatives"])
def test_merging_goes_through_candidates_too(merge):
    method, features, every = example("tm")
    clusterer = make_clusterer(method, 0.97, candidates=8)
    parts = [(features[start : start + 45], None) for start in range(0, 130, 45)]
    found = cluster_batches(clusterer, parts, merge=merge)
    exact = components(len(features), every.a, every.b)
    assert len(clusterer.candidates.checks) == 4
    assert np.array_equal(found.labels, exact)
    assert found.compared < 130 * 129 // 2 or merge == "representatives"


def test_a_sketch_does_not_depend_on_what_is_beside_the_image():
    for name in SKETCHED:
        _, features, _ = example(name)
        sketcher = Sketcher.fitted(make_method(name), features, 0)
        together = sketcher.sketches(features)
        alone = [sketcher.sketches(features[row : row + 1])[0] for row in range(20)]
        assert np.array_equal(together[:20], alone)
        assert together.dtype == np.int8


@pytest.mark.parametrize("name", ["imagehash", "minhash"])
def test_methods_that_need_none_say_so(name, photos, tmp_path):
    with pytest.raises(UsageError, match=f"method '{name}' compares all pairs faster"):
        icas.cluster(photos, method=name, dst=tmp_path / "out", candidates=5)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("most", [0, -3])
def test_at_least_one_candidate(most, photos):
    with pytest.raises(UsageError, match="candidates"):
        icas.cluster(photos, method="tm", candidates=most)
    with pytest.raises(UsageError, match="candidates"):
        icas.ImageClusterer(method="tm", threshold=0.9, candidates=most).fit(photos)


def test_the_command_tells_recall_and_counts_what_was_compared(crowd, tmp_path, capsys):
    words = ["--method", "tm", "--threshold", "0.97", "--no-report", "--candidates", "6"]
    assert main([str(crowd), "--dst", str(tmp_path / "out"), *words]) == 0
    said = capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    # 48 images are fewer than are checked: every one is compared with all others.
    assert told["candidates"]["k"] == 6
    assert told["candidates"]["images_checked"] == 48
    assert 0 < told["candidates"]["recall"] <= told["candidates"]["joined"] <= 1
    assert told["comparisons"] == {"possible": 1128, "made": 1128, "skipped": 0}
    assert told["settings"]["candidates"] == 6
    links = told["candidates"]["links_checked"]
    assert "candidates: 6 per image; " in said
    assert f"({links} links of 48 sampled images checked)" in said


def test_the_command_skips_pairs(tmp_path, capsys):
    folder = tmp_path / "many"
    folder.mkdir()
    from PIL import Image

    for number, picture in enumerate(pictures(150, kinds=40)):
        Image.fromarray(picture).save(folder / f"{number:03}.png")
    words = ["--method", "tm", "--threshold", "0.98", "--candidates", "3", "--sample", "60"]
    assert main([str(folder), "--dst", str(tmp_path / "out"), *words]) == 0
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    made = told["comparisons"]["made"]
    assert told["comparisons"]["skipped"] == 150 * 149 // 2 - made > 0
    assert told["candidates"]["images_checked"] == 50
    assert "recall of links with 3 candidates" in (tmp_path / "out/report.html").read_text()
    assert main([str(folder), "--dst", str(tmp_path / "all"), *words[:4]]) == 0
    exact = (tmp_path / "all" / "clusters.csv").read_text().splitlines()
    assert len((tmp_path / "out" / "clusters.csv").read_text().splitlines()) == len(exact)


def test_batches_and_stages(crowd, tmp_path, capsys):
    words = ["--method", "tm", "--threshold", "0.97", "--no-report", "--candidates", "3"]
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    batch = ["--stage", "batch", "--batch-size", "16"]
    assert main([str(crowd), "--dst", str(parts), *words, *batch]) == 0
    assert main([str(parts), "--dst", str(whole), *words, "--stage", "merge"]) == 0
    told = json.loads((whole / "run.json").read_text())
    assert told["images"] == 48
    assert told["candidates"]["k"] == 3
    for merge in ("exact", "representatives"):
        more = ["--batch-size", "16", "--merge", merge]
        assert main([str(crowd), "--dst", str(tmp_path / merge), *words, *more]) == 0
        assert main([str(crowd), "--dst", str(tmp_path / f"{merge}-all"), *words[:-2], *more]) == 0
        found, every = (
            (tmp_path / name / "clusters.csv").read_text() for name in (merge, f"{merge}-all")
        )
        assert found == every
    assert capsys.readouterr().out.count("candidates: 3 per image") == 4


def test_nothing_to_check_and_nothing_needed_are_said():
    method, features, _ = example("tm")
    lonely = CandidateStage(3)
    assert len(lonely.within(method, features, 1.0)[0]) == 0
    assert "have no links" in lonely.words()
    assert lonely.as_dict()["recall"] is None
    assert "not needed" in CandidateStage(3).words()
    almost = CandidateStage(3, checks=[Checked(50, 100_000, 99_999, 100_000)])
    assert "recall 99.9 % (100000 links" in almost.words()
    assert "100 % of these links" in almost.words()


@pytest.mark.parametrize("name", SKETCHED)
def test_real_pictures(name, data):
    """Of frames of videos, which resemble one another, most links are found."""
    features = icas.features(data / "video-frames" / "images", method=name)
    method = make_method(name)
    stage = CandidateStage(20)
    links, _ = stage.within(method, features, method.default_threshold)
    every = all_links(method, features, method.default_threshold)
    assert len(links) >= 0.9 * len(every)
    exact = components(len(features), every.a, every.b)
    assert np.array_equal(components(len(features), links.a, links.b), exact)


def test_estimator(photos):
    found = icas.ImageClusterer(method="tm", threshold=0.9, candidates=2).fit(photos)
    exact = icas.ImageClusterer(method="tm", threshold=0.9).fit(photos)
    assert np.array_equal(found.labels_, exact.labels_)
    assert found.get_params()["candidates"] == 2
