"""Remembered decisions: kept by content, followed by later runs, seen and taken back."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from hypothesis import given, settings, strategies as st

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.decisions import apply as remembering
from icas.clusterimg.decisions.apply import (
    applied,
    check_consistent,
    implied_by,
    revisions_by,
    stored_constraints,
)
from icas.clusterimg.decisions.store import (
    APART,
    NAME,
    TOGETHER,
    Constraint,
    ConstraintStore,
    ImageContent,
    content_of,
)
from icas.clusterimg.journal.journal import Journal


@pytest.fixture
def cache(tmp_path):
    """Where decisions are kept: never the user's own folder."""
    return tmp_path / "cache"


@pytest.fixture
def result(own_photos, tmp_path, cache):
    """A result of three clusters of four, cluster_0 the astronauts, and two outliers."""
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=tmp_path / "result", cache=cache
    )
    return tmp_path / "result"


def clusters(dst):
    """Cluster of each file; outliers have none."""
    with (dst / "clusters.csv").open(newline="") as file:
        found = {row["file"]: int(row["cluster"]) for row in csv.DictReader(file)}
    return {name: cluster if cluster >= 0 else None for name, cluster in found.items()}


def together(dst, *names):
    found = clusters(dst)
    return len({found[name] for name in names}) == 1 and found[names[0]] is not None


def pairs_in_clusters(dst, root):
    """Each two contents that lie in one cluster."""
    groups = {}
    for name, cluster in clusters(dst).items():
        if cluster is not None:
            groups.setdefault(cluster, []).append((root / name).read_bytes())
    return {frozenset(pair) for members in groups.values() for pair in combinations(members, 2)}


def places(dst):
    return sorted(
        path.relative_to(dst / "result").as_posix()
        for path in (dst / "result").rglob("*")
        if path.is_file()
    )


# --- followed by later runs -------------------------------------------------------------------


def test_the_functions_are_the_actions_of_decide(result, cache):
    apart = icas.cannot_link(result, "coffee-1.png", "coffee-2.jpg")
    joined = icas.must_link(result, "moon.png", "page.png", cache=cache)
    rejected = icas.reject(result, 0)
    assert [report.what for report in (apart, joined, rejected)] == [
        "cannot-link",
        "must-link",
        "reject",
    ]
    assert icas.decide(result, "must-link", "moon.png", "page.png").already == joined.decisions
    listed = icas.decide(result, "list").decisions
    assert [one.how for one in listed][:2] == [
        "cannot-link coffee-1.png coffee-2.jpg",
        "must-link moon.png page.png",
    ]
    with pytest.raises(icas.UsageError, match="no image nothing"):
        icas.must_link(result, "moon.png", "nothing.png")


def test_the_next_run_follows_what_was_decided(result, own_photos, tmp_path, cache, capsys):
    icas.decide(result, "must-link", "moon.png", "page.png")
    icas.decide(result, "cannot-link", "coffee-1.png", "result/cluster_1/coffee-3.png")
    assert main([str(own_photos), "--method", "imagehash", "--threshold", "0.8",
                 "--dst", str(tmp_path / "b"), "--cache", str(cache)]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "constraints: 2 stored constraints apply to these images\n" in said
    assert together(tmp_path / "b", "moon.png", "page.png")
    assert not together(tmp_path / "b", "coffee-1.png", "coffee-3.png")
    assert together(tmp_path / "b", "rocket-1.png", "rocket-2.jpg", "rocket-3.png")
    told = json.loads((tmp_path / "b" / "run.json").read_text())
    assert told["decisions"] == {"together": 1, "apart": 1}


def test_without_decisions_nothing_is_looked_into(own_photos, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(remembering, "content_of", lambda *_: pytest.fail("looked into a file"))
    report = icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=tmp_path / "a", cache=cache
    )
    assert "decisions" not in report.as_dict()
    assert not (cache / NAME).exists()


def test_only_files_of_a_decided_size_are_looked_into(result, own_photos, cache, monkeypatch):
    icas.decide(result, "must-link", "moon.png", "page.png")
    looked = []

    def spy(path, name):
        looked.append(path.name)
        return content_of(path, name)

    monkeypatch.setattr(remembering, "content_of", spy)
    found = stored_constraints({path.name: path for path in own_photos.iterdir()}, cache)
    assert sorted(looked) == ["moon.png", "page.png"]
    assert (found.together, found.apart) == (1, 0)


@pytest.mark.parametrize(
    "how",
    [
        {"method": "imagehash", "threshold": 0.6},
        {"method": "orb", "threshold": 0.05},
        {"method": "ssim", "threshold": 0.2},
        {"method": "tm", "threshold": 0.5, "linkage": "complete"},
        {"method": "minhash", "threshold": 0.01, "linkage": "average"},
        {"batch_size": 5, "threshold": 0.6},
        {"batch_size": 3, "threshold": 0.6, "merge": "exact"},
        {"batch_size": 4, "threshold": 0.6, "linkage": "complete"},
        {"threshold": 0.5, "executor": "processes", "jobs": 2},
        {"threshold": 0.6, "cache": False},
    ],
    ids=lambda how: "-".join(map(str, how.values())),
)
def test_a_rejected_pair_never_comes_back(how, result, own_photos, tmp_path, cache, monkeypatch):
    """Under other names, in other folders, by other methods, in batches, however it is asked."""
    if how.get("cache") is False:  # decisions are a person's work: also a run without has them
        monkeypatch.setenv("ICAS_CACHE", str(cache))
    icas.decide(result, "reject", "cluster_0")
    icas.decide(result, "must-link", "moon.png", "rocket-1.png")
    contents = [path.read_bytes() for path in (result / "result" / "cluster_0").iterdir()]
    elsewhere = tmp_path / "elsewhere"
    for number, path in enumerate(sorted(own_photos.iterdir(), reverse=True)):
        folder = elsewhere / f"folder {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{number:03}{path.suffix}")
    settings = {"cache": cache, "recursive": True, "dst": tmp_path / "b", **how}
    icas.cluster(elsewhere, **settings)
    pairs = pairs_in_clusters(tmp_path / "b", elsewhere)
    assert not pairs & set(map(frozenset, combinations(contents, 2)))
    linked = [(own_photos / name).read_bytes() for name in ("moon.png", "rocket-1.png")]
    assert frozenset(linked) in pairs
    assert len(pairs) > 1


def test_models_follow_decisions_too(result, own_photos, tmp_path, cache):
    pytest.importorskip("sklearn")
    pytest.importorskip("torchvision")
    icas.decide(result, "reject", "cluster_0")
    icas.decide(result, "must-link", "moon.png", "rocket-1.png")
    icas.cluster(
        own_photos,
        method="deep",
        model="squeezenet1_0",
        weights="random",
        size=(64, 64),
        cluster_model="kmeans",
        clusters=(2,),
        dst=tmp_path / "b",
        cache=cache,
    )
    found = clusters(tmp_path / "b")
    names = [path.name for path in (result / "result" / "cluster_0").iterdir()]
    kept = [found[name] for name in names if found[name] is not None]
    assert len(set(kept)) == len(kept)
    assert together(tmp_path / "b", "moon.png", "rocket-1.png")


def test_no_decisions_leaves_them_out(result, own_photos, tmp_path, cache):
    icas.decide(result, "reject", "cluster_0")
    again = ["--method", "imagehash", "--threshold", "0.8", "--cache", str(cache), "--no-decisions"]
    assert main([str(own_photos), "--dst", str(tmp_path / "b"), *again]) == 0
    assert clusters(tmp_path / "b") == clusters(result)


def test_batch_folders_follow_decisions_and_count_more_when_merged(result, own_photos, cache):
    icas.decide(result, "cannot-link", "coffee-1.png", "coffee-2.jpg")
    parts, merged = result.parent / "parts", result.parent / "merged"
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=parts, stage="batch", cache=cache
    )
    found = {path.name: path for path in (parts / "batches").rglob("coffee-*")}
    assert found["coffee-1.png"].parent != found["coffee-2.jpg"].parent
    one = found["coffee-2.jpg"]
    one.rename(found["coffee-1.png"].parent / one.name)  # by hand, against the decision
    icas.cluster(parts, dst=merged, stage="merge", cache=cache)
    inside = {name.rsplit("/", 1)[1]: cluster for name, cluster in clusters(merged).items()}
    assert inside["coffee-1.png"] == inside["coffee-2.jpg"] is not None


def test_a_recut_follows_decisions(result, own_photos, tmp_path, cache):
    icas.decide(result, "reject", "cluster_0")
    icas.decide(result, "must-link", "moon.png", "page.png")
    report = icas.recut(result, 0.8)
    assert report.afterwards["decisions"] == {"together": 1, "apart": 1}
    fresh = icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=tmp_path / "b", cache=cache
    )
    assert clusters(result) == clusters(tmp_path / "b")
    assert dict(zip(report.files, report.labels.tolist(), strict=True)) == dict(
        zip(fresh.files, fresh.labels.tolist(), strict=True)
    )
    assert places(result) == places(tmp_path / "b")
    icas.recut(result, 0.95)
    assert together(result, "moon.png", "page.png")


def test_a_recut_of_a_run_that_knew_the_decision_is_as_the_run(result, own_photos, tmp_path, cache):
    icas.decide(result, "must-link", "moon.png", "page.png")
    icas.decide(result, "cannot-link", "rocket-1.png", "rocket-3.png")
    low, high = tmp_path / "low", tmp_path / "high"
    icas.cluster(own_photos, method="imagehash", threshold=0.5, dst=low, cache=cache)
    icas.cluster(own_photos, method="imagehash", threshold=0.9, dst=high, cache=cache)
    icas.recut(low, 0.9)
    assert clusters(low) == clusters(high)
    assert (low / "certificate.csv").read_text() == (high / "certificate.csv").read_text()


def test_a_split_leaves_together_what_was_decided(result, own_photos, tmp_path, cache):
    icas.decide(result, "must-link", "moon.png", "page.png")
    icas.decide(result, "must-link", "moon.png", "coffee-1.png")
    icas.cluster(own_photos, method="imagehash", threshold=0.8, dst=tmp_path / "b", cache=cache)
    number = clusters(tmp_path / "b")["moon.png"]
    icas.split(tmp_path / "b", number)
    assert together(tmp_path / "b", "moon.png", "page.png", "coffee-1.png")
    pair = clusters(tmp_path / "b")["moon.png"]
    members = [name for name, cluster in clusters(tmp_path / "b").items() if cluster == pair]
    if sorted(members) == ["coffee-1.png", "moon.png", "page.png"]:
        with pytest.raises(icas.UsageError, match="by a must-link constraint"):
            icas.split(tmp_path / "b", pair)


def test_a_split_parts_what_was_decided_to_be_apart(result):
    icas.decide(result, "cannot-link", "astronaut-1.png", "astronaut-2.jpg")
    try:
        icas.split(result, 0)
    except icas.UsageError:
        pytest.fail("the cluster holds together")
    assert not together(result, "astronaut-1.png", "astronaut-2.jpg")


def test_what_is_together_in_a_row_is_so_also_where_the_one_between_is_not(result, own_photos):
    icas.decide(result, "must-link", "moon.png", "page.png")
    icas.decide(result, "must-link", "page.png", "rocket-1.png")
    (own_photos / "page.png").unlink()
    dst, cache = result.parent / "b", result.parent / "cache"
    report = icas.cluster(own_photos, method="imagehash", threshold=0.8, dst=dst, cache=cache)
    assert together(dst, "moon.png", "rocket-1.png")
    assert report.decisions == {"together": 2, "apart": 0}


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["copy", "move", "hardlink", "symlink", "none"])
def test_images_are_found_under_every_name(transfer, own_photos, tmp_path, cache, monkeypatch):
    dst = tmp_path / "r"
    sources = {path.name: path for path in own_photos.iterdir()}
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=dst, transfer=transfer, cache=cache
    )
    names = ["rocket-1.png", str(sources["rocket-1.png"].absolute())]
    if transfer != "none":
        place = next((dst / "result").rglob("rocket-1.png"))
        names += [place.relative_to(dst).as_posix(), str(place)]
        monkeypatch.chdir(tmp_path)
        names.append(str(place.relative_to(tmp_path)))
    numbers = set()
    for name in names:
        report = icas.decide(dst, "must-link", name, "moon.png")
        numbers |= {one.number for one in (*report.decisions, *report.already)}
    assert numbers == {1}


def test_unknown_and_ambiguous_names_are_wrong_usage(tmp_path, cache, photos, capsys):
    source = tmp_path / "source"
    shutil.copytree(photos, source)
    # A picture that is called, in the source, as another is in the result.
    (source / "result" / "cluster_0").mkdir(parents=True)
    shutil.copy(photos / "moon.png", source / "result" / "cluster_0" / "astronaut-1.png")
    dst = tmp_path / "r"
    icas.cluster(source, method="imagehash", threshold=0.8, dst=dst, recursive=True, cache=cache)
    for name in ("nobody.png", "cluster_0", "../moon.png"):
        assert main(["decide", str(dst), "must-link", name, "page.png"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert (
        main(["decide", str(dst), "must-link", "result/cluster_0/astronaut-1.png", "page.png"]) == 2
    )
    assert "is ambiguous" in capsys.readouterr().err
    assert not (cache / NAME).exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["link", "a", "b"],
        ["must-link", "moon.png"],
        ["must-link", "moon.png", "page.png", "rocket-1.png"],
        ["must-link", "moon.png", "moon.png"],
        ["reject", "cluster_9"],
        ["reject", "outliers"],
        ["forget"],
        ["forget", "one"],
        ["forget", "7"],
        ["--learn", "cluster_0"],
    ],
    ids=" ".join,
)
def test_wrong_words_are_told_in_one_line(words, result, capsys):
    assert main(["decide", str(result), *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("clusterimg: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_names_that_are_no_text(photos, tmp_path, cache, capsys):
    source = tmp_path / "source"
    source.mkdir()
    strange = os.fsdecode(b"caf\xe9 \n.png")
    shutil.copy(photos / "moon.png", source / strange)
    shutil.copy(photos / "page.png", source / "page.png")
    place = tmp_path / os.fsdecode(b"cach\xe9")
    icas.cluster(source, method="imagehash", threshold=0.9, dst=tmp_path / "a", cache=place)
    icas.decide(tmp_path / "a", "must-link", strange, "page.png", cache=place)
    report = icas.cluster(
        source, method="imagehash", threshold=0.9, dst=tmp_path / "b", cache=place
    )
    assert report.clusters == 1
    assert main(["decide", str(tmp_path / "a"), "list", "--cache", str(place), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decisions"][0]["sides"] == [[strange, "page.png"]]


# --- learned from moves -----------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["copy", "move", "hardlink", "symlink"])
def test_files_moved_by_hand_are_decisions(transfer, own_photos, tmp_path, cache, capsys):
    dst, again = tmp_path / "r", tmp_path / "again"
    kept = tmp_path / "kept"
    shutil.copytree(own_photos, kept)
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=dst, transfer=transfer, cache=cache
    )
    tree = dst / "result"
    (tree / "my own").mkdir()
    for old, new in (
        ("cluster_0/astronaut-3.png", "cluster_1/astronaut-3.png"),
        ("cluster_1/coffee-10.bmp", "outliers/coffee-10.bmp"),
        ("outliers/moon.png", "my own/moon.png"),
        ("cluster_2/rocket-2.jpg", "my own/renamed.jpg"),
    ):
        (tree / old).rename(tree / new)
    assert main(["decide", str(dst), "--learn"]) == 0
    assert "learned: astronaut-3.png moved out of cluster_0" in capsys.readouterr().out
    icas.cluster(kept, method="imagehash", threshold=0.8, dst=again, cache=cache)
    assert together(again, "astronaut-3.png", "coffee-1.png", "coffee-2.jpg", "coffee-3.png")
    assert together(again, "astronaut-1.png", "astronaut-2.jpg", "astronaut-10.bmp")
    assert not together(again, "astronaut-1.png", "astronaut-3.png")
    assert clusters(again)["coffee-10.bmp"] is None
    assert together(again, "moon.png", "rocket-2.jpg")
    assert not together(again, "rocket-1.png", "rocket-2.jpg")
    assert main(["decide", str(dst), "--learn"]) == 0
    assert capsys.readouterr().out == "no file was moved between cluster folders\n"


def test_after_learning_a_recut_and_undo_know_the_new_places(own_photos, tmp_path, cache):
    dst = tmp_path / "r"
    before = {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in own_photos.iterdir()
    }
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=dst, transfer="move", cache=cache
    )
    tree = dst / "result"
    (tree / "cluster_0" / "astronaut-3.png").rename(tree / "cluster_1" / "a.png")
    icas.decide(dst, "learn")
    with Journal(dst) as journal:
        assert "result/cluster_1/a.png" in {one.target for one in journal.files()}
    icas.recut(dst, 0.8)
    assert (tree / "cluster_0").is_dir()
    assert icas.undo(dst).left == ()
    after = {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in own_photos.iterdir()
    }
    assert after == before


def test_what_cannot_be_told_for_certain_is_named_and_not_learned(result, capsys):
    tree = result / "result"
    gone = tree / "cluster_2" / "rocket-1.png"
    gone.unlink()
    (tree / "cluster_0" / "stranger.png").write_bytes(b"not one of the run")
    (tree / "cluster_0" / "astronaut-3.png").rename(tree / "cluster_1" / "astronaut-3.png")
    assert main(["decide", str(result), "--learn"]) == 1
    said = capsys.readouterr()
    assert "rocket-1.png is missing" in said.err
    assert "stranger.png matches no file" in said.err
    assert "astronaut-3.png moved into cluster_1" in said.out


def test_files_alike_are_told_apart_by_their_content(photos, tmp_path, cache):
    """Three files of one size and one time leave for three folders; one cannot be doubted."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("astronaut-10.bmp", "coffee-10.bmp", "rocket-10.bmp"):
        shutil.copy(photos / name, source / name)
        shutil.copy(photos / name.replace("10.bmp", "1.png"), source)
        os.utime(source / name, ns=(10**18, 10**18))
    dst = tmp_path / "r"
    icas.cluster(source, method="imagehash", threshold=0.8, dst=dst, cache=cache)
    tree = dst / "result"
    (tree / "new").mkdir()
    for number, name in enumerate(("astronaut-10.bmp", "coffee-10.bmp", "rocket-10.bmp")):
        next(tree.rglob(name)).rename(tree / "new" / f"{number}.bmp")
    report = icas.decide(dst, "learn")
    assert report.left == ()
    into = next(one for one in report.decisions if one.kind == TOGETHER)
    assert sorted(one.name for one in into.images) == [
        "astronaut-10.bmp",
        "coffee-10.bmp",
        "rocket-10.bmp",
    ]


def test_a_moved_source_with_several_like_it_is_not_guessed(photos, tmp_path, cache):
    """After --transfer move only size, time and name tell files apart."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("astronaut-10.bmp", "coffee-10.bmp"):
        shutil.copy(photos / name, source / name)
        os.utime(source / name, ns=(10**18, 10**18))
    dst = tmp_path / "r"
    icas.cluster(source, method="imagehash", threshold=0.2, dst=dst, transfer="move", cache=cache)
    tree = dst / "result"
    (tree / "new").mkdir()
    for number, path in enumerate(sorted(tree.rglob("*.bmp"))):
        path.rename(tree / "new" / f"{number}.bmp")
    report = icas.decide(dst, "learn")
    assert len(report.left) == 4
    assert report.decisions == ()
    for number, name in enumerate(("astronaut-10.bmp", "coffee-10.bmp")):
        (tree / "new" / f"{number}.bmp").rename(tree / "new" / name)
    assert icas.decide(dst, "learn").left == ()


def test_moved_back_it_is_replaced(result):
    """Out of its cluster and in again: the later move counts."""
    tree = result / "result"
    away = tree / "outliers" / "astronaut-3.png"
    (tree / "cluster_0" / "astronaut-3.png").rename(away)
    icas.decide(result, "learn")
    away.rename(tree / "cluster_0" / "astronaut-3.png")
    report = icas.decide(result, "learn")
    assert [change.after for change in report.changes] == [None]
    assert [one.kind for one in icas.decide(result, "list").decisions] == [TOGETHER]


def test_a_cluster_that_was_changed_by_hand_is_not_rejected_unseen(result, capsys):
    tree = result / "result"
    (tree / "cluster_0" / "astronaut-3.png").rename(tree / "cluster_1" / "astronaut-3.png")
    for cluster in ("cluster_0", "cluster_1"):
        assert main(["decide", str(result), "reject", cluster]) == 1
        assert "--learn" in capsys.readouterr().err
    icas.decide(result, "learn")
    report = icas.decide(result, "reject", "cluster_1")
    assert len(report.decisions[0].sides) == 5


# --- seen and taken back ----------------------------------------------------------------------


def test_list_and_forget(result, capsys):
    assert main(["decide", str(result), "list"]) == 0
    assert capsys.readouterr().out == "no stored constraints\n"
    icas.decide(result, "must-link", "moon.png", "page.png")
    icas.decide(result, "reject", 1)
    assert main(["decide", str(result), "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("constraint 1 (must-link moon.png page.png), 2 images, 20")
    assert lines[1].startswith("constraint 2 (reject 1 of ")
    assert main(["decide", str(result), "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["decisions"]
    assert [one["kind"] for one in listed] == [TOGETHER, APART]
    assert len(listed[1]["sides"]) == 4
    assert main(["decide", str(result), "forget", "1"]) == 0
    assert "removed: constraint 1" in capsys.readouterr().out
    assert [one.number for one in icas.decide(result, "list").decisions] == [2]
    assert main(["decide", str(result), "forget", "all"]) == 0
    assert icas.decide(result, "list").decisions == ()
    assert icas.decide(result, "must-link", "moon.png", "page.png").decisions[0].number == 3


def test_clearing_the_cache_spares_decisions(result, cache):
    icas.decide(result, "must-link", "moon.png", "page.png")
    assert main(["cache", "clear", "--cache", str(cache)]) == 0
    assert len(icas.decide(result, "list").decisions) == 1


def test_the_same_again_adds_nothing(result):
    first = icas.decide(result, "reject", "cluster_0")
    assert icas.decide(result, "reject", "cluster_0").already == first.decisions
    less = icas.decide(result, "cannot-link", "astronaut-1.png", "astronaut-2.jpg")
    assert less.already == first.decisions
    assert less.decisions == ()


# --- contradictions ---------------------------------------------------------------------------


def picture(letter):
    return ImageContent(letter.encode() * 20, 1, letter)


def decision(kind, *sides, number=0):
    return Constraint(
        kind, tuple(tuple(map(picture, side)) for side in sides), f"{kind} {sides}", "", number
    )


def test_the_later_of_two_that_say_the_contrary_counts(result, capsys):
    icas.decide(result, "must-link", "moon.png", "page.png")
    assert main(["decide", str(result), "cannot-link", "moon.png", "page.png"]) == 0
    said = capsys.readouterr().out
    assert "replaces constraint 1 (must-link moon.png page.png)" in said
    assert [one.kind for one in icas.decide(result, "list").decisions] == [APART]


def test_of_a_rejected_cluster_a_pair_may_be_taken_back(result):
    icas.decide(result, "reject", "cluster_0")
    report = icas.decide(result, "must-link", "astronaut-1.png", "astronaut-2.jpg")
    assert len(report.changes[0].after.sides) == 3
    sizes = sorted(len(side) for side in icas.decide(result, "list").decisions[0].sides)
    assert sizes == [1, 1, 2]


def test_a_contradiction_in_a_row_is_refused_and_names_the_row(result, capsys):
    icas.decide(result, "must-link", "moon.png", "page.png")
    icas.decide(result, "must-link", "page.png", "rocket-1.png")
    icas.decide(result, "must-link", "coffee-1.png", "coffee-2.jpg")
    assert main(["decide", str(result), "cannot-link", "moon.png", "rocket-1.png"]) == 1
    said = capsys.readouterr().err
    assert "constraint 1 (must-link moon.png page.png), constraint 2" in said
    assert "constraint 3" not in said
    assert len(icas.decide(result, "list").decisions) == 3
    icas.decide(result, "forget", 2)
    icas.decide(result, "cannot-link", "moon.png", "rocket-1.png")
    assert main(["decide", str(result), "must-link", "page.png", "rocket-1.png"]) == 1
    assert "constraint 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ((TOGETHER, "abcd"), (APART, "a", "bc"), ["bcd"]),
        ((TOGETHER, "abcd"), (APART, "a", "b"), ["cd"]),
        ((TOGETHER, "ab"), (APART, "a", "b"), None),
        ((TOGETHER, "ab", "cd"), (APART, "a", "b"), ["cd"]),
        ((TOGETHER, "abc"), (APART, "abc", "d"), "same"),
        ((APART, "a", "bcd"), (TOGETHER, "ab"), ["ab", "cd"]),
        ((APART, "a", "bcd"), (TOGETHER, "abcd"), None),
        ((APART, "a", "b", "c"), (TOGETHER, "ab"), ["ab", "c"]),
        ((APART, "a", "b"), (TOGETHER, "ac"), "same"),
    ],
)
def test_what_is_left_of_an_earlier_decision(old, new, left):
    changes = revisions_by(decision(*new), [decision(*old, number=1)])
    if left == "same":
        assert changes == []
    elif left is None:
        assert [change.after for change in changes] == [None]
    else:
        sides = changes[0].after.sides
        assert sorted("".join(sorted(one.name for one in side)) for side in sides) == sorted(left)


@pytest.mark.parametrize(
    ("old", "new", "known"),
    [
        ((TOGETHER, "abc"), (TOGETHER, "ac"), True),
        ((TOGETHER, "ab", "cd"), (TOGETHER, "ac"), False),
        ((APART, "a", "bc"), (APART, "c", "a"), True),
        ((APART, "a", "bc"), (APART, "b", "c"), False),
        ((APART, "a", "b"), (APART, "a", "b", "c"), False),
        ((APART, "a", "b"), (TOGETHER, "ab"), False),
    ],
)
def test_what_is_known_already(old, new, known):
    assert (implied_by(decision(*new), [decision(*old)]) is not None) == known


LETTERS = "abcdef"
sides = st.lists(st.integers(0, 3), min_size=6, max_size=6).map(
    lambda of: [
        "".join(letter for letter, side in zip(LETTERS, of, strict=True) if side == number)
        for number in range(1, 4)
    ]
)


@st.composite
def some_decision(draw):
    kind = draw(st.sampled_from([TOGETHER, APART]))
    least = 2 if kind == TOGETHER else 1
    chosen = [side for side in draw(sides) if len(side) >= least]
    return decision(kind, *chosen) if len(chosen) >= (3 - least) else None


@settings(max_examples=300, deadline=None)
@given(st.lists(some_decision(), max_size=8))
def test_whatever_is_decided_what_is_kept_never_contradicts_itself(asked):
    """As the definition of contradiction has it; what was asked for last holds."""
    kept = []
    for number, new in enumerate(one for one in asked if one is not None):
        after = list(kept)
        for change in revisions_by(new, kept):
            after.remove(change.before)
            after += [change.after] if change.after is not None else []
        try:
            check_consistent(new, after)
        except icas.ConflictError:
            assert contradicts([*after, new])
            continue
        kept = [*after, Constraint(new.kind, new.sides, new.how, "", number + 1)]
        assert not contradicts(kept)
        found = applied(kept, {letter: letter.encode() * 20 for letter in LETTERS})
        classes, apart = found.constraints.classes, found.constraints.apart
        for side in new.sides if new.kind == TOGETHER else ():
            assert len({classes[one.name] for one in side}) == 1
        for one, other in combinations(new.sides, 2) if new.kind == APART else ():
            for a in one:
                for b in other:
                    here = (classes[a.name], classes[b.name])
                    assert any(of.get(here[0], -1) != of.get(here[1], -1) for of in apart)


def contradicts(decisions):
    group = {letter: letter for letter in LETTERS}
    for one in decisions:
        for side in one.sides if one.kind == TOGETHER else ():
            goals = {group[each.name] for each in side}
            group = {a: min(goals) if of in goals else of for a, of in group.items()}
    for one in decisions:
        for first, second in combinations(one.sides, 2) if one.kind == APART else ():
            if {group[each.name] for each in first} & {group[each.name] for each in second}:
                return True
    return False


# --- the store --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["text", "empty", "middle", "other", "newer"])
def test_a_damaged_store_is_told_and_never_begun_anew(
    damage, result, own_photos, cache, tmp_path, capsys
):
    icas.decide(result, "reject", "cluster_0")
    path = cache / NAME
    whole = path.read_bytes()
    if damage == "text":
        path.write_bytes(b"these are no decisions" * 100)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "middle":
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    elif damage == "other":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE decision (a)")
        other.close()
    else:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    broken = path.read_bytes()
    for words in (
        ["decide", str(result), "list"],
        ["decide", str(result), "must-link", "moon.png", "page.png"],
        ["decide", str(result), "forget", "all"],
        [str(own_photos), "--dst", str(tmp_path / "b"), "--cache", str(cache)],
    ):
        assert main(words) == 1, words
        said = capsys.readouterr().err
        assert str(path) in said
        assert said.count("\n") == 1
        assert path.read_bytes() == broken
    assert "--no-decisions" in said
    assert not (tmp_path / "b").exists()
    run = [str(own_photos), "--dst", str(tmp_path / "b"), "--cache", str(cache), "-q"]
    assert main([*run, "--threshold", "0.8", "--no-decisions"]) == 0


def interrupted(store):
    with store.transaction():
        store.add(decision(TOGETHER, "ab"))
        raise KeyboardInterrupt


def test_a_decision_is_whole_or_not_there(tmp_path):
    with ConstraintStore(tmp_path, write=True) as store:
        with pytest.raises(KeyboardInterrupt):
            interrupted(store)
        assert store.all() == []
        with store.transaction():
            kept = store.add(decision(APART, "a", "bc", "d"))
        assert store.all() == [kept]
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME]


def test_a_rejected_cluster_is_kept_as_a_list_not_as_pairs(tmp_path):
    many = [
        (ImageContent(number.to_bytes(20, "big"), number, str(number)),) for number in range(5000)
    ]
    with ConstraintStore(tmp_path, write=True) as store:
        with store.transaction():
            store.add(Constraint(APART, tuple(many), "reject cluster_0"))
        assert len(store.all()[0].sides) == 5000
    assert (tmp_path / NAME).stat().st_size < 1_000_000


def test_two_processes_decide_at_once(result, cache):
    """Nothing is lost, and no number comes twice."""
    names = ["astronaut-1.png", "coffee-1.png"]
    others = [f"rocket-{number}" for number in ("1.png", "2.jpg", "3.png", "10.bmp")]
    pairs = [(a, b) for a in names for b in others]

    def decide(pair):
        words = [sys.executable, "-m", "icas.clusterimg", "decide", result, "cannot-link", *pair]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(decide, pairs))
    assert [one.returncode for one in done] == [0] * len(pairs), done[0].stderr
    kept = icas.decide(result, "list").decisions
    assert sorted(one.number for one in kept) == list(range(1, len(pairs) + 1))
    assert {frozenset(each.name for each in one.images) for one in kept} == set(
        map(frozenset, pairs)
    )


def test_real_pictures_in_batches_of_twenty(data, tmp_path, cache):
    """A rejected cluster of a real folder stays apart, whatever comes between."""
    source = tmp_path / "source"
    source.mkdir()
    found = icas.find_images(data / "faces-umist", recursive=True)[:60]
    for number, path in enumerate(found):
        shutil.copy(path, source / f"{number}{path.suffix}")
    first = icas.cluster(
        source, method="imagehash", threshold=0.55, dst=tmp_path / "a", cache=cache, batch_size=20
    )
    assert first.clusters > 0
    rejected = set(first.members(0))
    icas.decide(tmp_path / "a", "reject", "cluster_0")
    for number, how in enumerate(({}, {"method": "orb", "threshold": 0.02}, {"merge": "exact"})):
        given = {"threshold": 0.5, "batch_size": 20, "cache": cache, **how}
        report = icas.cluster(source, dst=tmp_path / f"b{number}", **given)
        for cluster in range(report.clusters):
            assert len(rejected & set(report.members(cluster))) < 2
