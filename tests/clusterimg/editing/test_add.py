"""New images join a finished result; only pairs with a new image are compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.results.saved import FinishedRun

FIXED = {"method": "imagehash", "threshold": 0.8, "cache": False}


def clusters(report):
    return {frozenset(report.members(number)) for number in range(report.labels.max() + 1)}


def tree(dst):
    """Content of every image of a result, by its folder: clusters of equal size may be swapped."""
    folders = [path for path in (dst / "result").iterdir() if path.is_dir()]
    return sorted(sorted(one.read_bytes() for one in folder.iterdir()) for folder in folders)


@pytest.fixture
def halves(photos, tmp_path):
    """Every second photo in one folder, the others in a second."""
    for place, start in (("old", 0), ("new", 1)):
        (tmp_path / place).mkdir()
        for path in sorted(photos.iterdir())[start::2]:
            shutil.copy2(path, tmp_path / place)
    return tmp_path


def all_in(folder: Path, *places: Path) -> Path:
    folder.mkdir()
    for place in places:
        for path in place.iterdir():
            shutil.copy2(path, folder)
    return folder


@pytest.mark.parametrize(
    ("method", "threshold"), [("imagehash", 0.8), ("orb", 0.1), ("ssim", 0.6), ("minhash", 0.4)]
)
def test_clusters_are_those_of_a_run_over_all_images(halves, method, threshold):
    settings = {"method": method, "threshold": threshold, "cache": False}
    icas.cluster(halves / "old", dst=halves / "out", **settings)
    report = icas.add(halves / "out", halves / "new")
    whole = icas.cluster(
        all_in(halves / "all", halves / "old", halves / "new"), dst=halves / "whole", **settings
    )
    plain = {frozenset(Path(file).name for file in one) for one in clusters(report)}
    assert plain == clusters(whole)
    assert report.comparisons == whole.comparisons
    assert tree(halves / "out") == tree(halves / "whole")
    forests = [FinishedRun.read(halves / name).state.forest for name in ("out", "whole")]
    np.testing.assert_array_equal(*(np.sort(forest.similarity) for forest in forests))
    again = icas.recut(halves / "out", 0.9)
    assert len(clusters(again)) == len(clusters(icas.recut(halves / "whole", 0.9)))


def test_only_pairs_with_a_new_image_are_compared(halves, monkeypatch):
    icas.cluster(halves / "old", method="tm", threshold=0.9, dst=halves / "out")
    before = json.loads((halves / "out" / "run.json").read_text())
    report = icas.add(halves / "out", halves / "new")
    old, new = before["images"], len(list((halves / "new").iterdir()))
    made = report.comparisons["made"] - before["comparisons"]["made"]
    assert made == old * new + new * (new - 1) // 2
    assert report.afterwards["added"] == new
    assert {Path(file).parent.name for file in report.files[old:]} == {"new"}


def test_new_files_of_the_source_are_found_and_named_as_the_run_names_them(halves, capsys):
    dst = halves / "out"
    assert (
        main(
            [str(halves / "old"), "--dst", str(dst), "--threshold", "0.8", "--method", "imagehash"]
        )
        == 0
    )
    for path in (halves / "new").iterdir():
        shutil.copy2(path, halves / "old")
    assert main(["add", str(dst), str(halves / "old")]) == 0
    out = capsys.readouterr().out
    assert "7 images skipped" in out
    assert "plan: copy 7 new images to" in out
    assert out.endswith(f"14 images, 3 clusters, 2 outliers, 0 unreadable -> {dst}\n")
    names = {line.split(",")[0] for line in (dst / "clusters.csv").read_text().splitlines()[1:]}
    assert names == {path.name for path in (halves / "old").iterdir()}
    assert main(["add", str(dst), str(halves / "old"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 14


@pytest.mark.parametrize("transfer", ["copy", "move", "hardlink", "symlink", "none"])
def test_images_are_transferred_as_in_the_run_and_undone(halves, transfer, tools):
    before = tools.files_below(halves)
    dst = halves / "out"
    icas.cluster(
        halves / "old", method="imagehash", threshold=0.8, dst=dst, transfer=transfer, cache=False
    )
    icas.add(dst, halves / "new")
    moved = transfer == "move"
    assert len(list((halves / "new").iterdir())) == (0 if moved else 7)
    files = [path for path in (dst / "result").rglob("*") if path.is_file()]
    assert len(files) == (0 if transfer == "none" else 14)
    assert all(path.is_symlink() == (transfer == "symlink") for path in files)
    assert icas.undo(dst).left == ()
    assert tools.files_below(halves) == before


def test_a_dry_run_changes_nothing(halves, capsys, tools):
    dst = halves / "out"
    icas.cluster(halves / "old", method="imagehash", threshold=0.8, dst=dst)
    before = tools.files_below(halves)
    assert main(["add", str(dst), str(halves / "new"), "--dry-run", "-v"]) == 0
    out = capsys.readouterr().out
    assert out.count("plan: copy ") == 8
    assert tools.files_below(halves) == before


def test_several_additions_follow_each_other(halves):
    dst = halves / "out"
    icas.cluster(halves / "old", method="imagehash", threshold=0.8, dst=dst)
    paths = sorted((halves / "new").iterdir())
    for path in paths:
        report = icas.add(dst, path)
    assert report.afterwards["added"] == len(paths)
    tables = sorted(path.name for path in (dst / "similarities").iterdir())
    assert tables[:2] == ["added_1.csv", "added_2.csv"]
    whole = all_in(halves / "all", halves / "old", halves / "new")
    expected = icas.cluster(whole, method="imagehash", threshold=0.8, dst=halves / "whole")
    plain = {frozenset(Path(file).name for file in one) for one in clusters(report)}
    assert plain == clusters(expected)


def test_stored_constraints_apply(halves):
    dst = halves / "out"
    icas.cluster(halves / "old", method="imagehash", threshold=0.8, dst=dst)
    whole = all_in(halves / "all", halves / "old", halves / "new")
    joined = icas.cluster(whole, method="imagehash", threshold=0.8, dst=halves / "whole")
    largest = joined.members(0)
    icas.cannot_link(halves / "whole", largest[0], largest[1])
    report = icas.add(dst, halves / "new")
    label = {
        Path(file).name: number for file, number in zip(report.files, report.labels, strict=True)
    }
    assert label[largest[0]] != label[largest[1]]


def test_an_edited_cluster_stays_as_it_is(halves):
    dst = halves / "out"
    report = icas.cluster(halves / "old", method="imagehash", threshold=0.5, dst=dst)
    parts = icas.split(dst, 0)
    icas.add(dst, next((halves / "new").glob("*")))
    now = FinishedRun.read(dst)
    groups = {frozenset(parts.members(number)) for number in range(parts.labels.max() + 1)}
    found = [
        frozenset(np.array(now.state.files)[now.labels == number].tolist())
        for number in range(now.clusters)
    ]
    assert all(any(group <= one for one in found) for group in groups)
    assert now.run["splits"] == [{"cluster": 0, "at": "weakest"}]
    assert len(now.state.files) == len(report.files) + 1


def test_unreadable_files_are_listed(halves, capsys):
    dst = halves / "out"
    icas.cluster(halves / "old", method="imagehash", threshold=0.8, dst=dst)
    (halves / "new" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    assert main(["add", str(dst), str(halves / "new")]) == 3
    assert "unreadable: new/broken.png: " in capsys.readouterr().err
    assert "new/broken.png," in (dst / "unreadable.csv").read_text()


def test_wrong_usage_is_one_line(halves, tmp_path):
    dst = halves / "out"
    with pytest.raises(icas.UsageError, match="is not the result"):
        icas.add(halves / "old", halves / "new")
    icas.cluster(halves / "old", method="imagehash", threshold=0.8, dst=dst, linkage="average")
    with pytest.raises(icas.UsageError, match="cannot take new images: its clusters come from"):
        icas.add(dst, halves / "new")
    icas.cluster(halves / "old", method="imagehash", threshold=0.8, dst=halves / "single")
    with pytest.raises(icas.UsageError, match="does not exist"):
        icas.add(halves / "single", halves / "none")
    with pytest.raises(icas.UsageError, match="no new images given"):
        icas.add(halves / "single")
    (halves / "single" / "clusters.csv").write_text("mine\n")
    with pytest.raises(icas.IcasError):
        icas.add(halves / "single", halves / "new")


def contents(folder):
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def steps(dst, new, monkeypatch, tools):
    """How many steps an addition has, by trying."""
    for step in range(200):
        try:
            with tools.killed_before_step(monkeypatch, step):
                icas.add(dst, new)
        except tools.Killed:
            continue
        return step
    raise AssertionError("an addition of 200 steps")


@pytest.mark.parametrize("transfer", ["copy", "move"])
def test_an_addition_killed_at_every_step_is_finished_or_undone(
    halves, transfer, monkeypatch, tools
):
    """Each step of one addition: killed before it, then finished by the next call."""
    originals = {
        path.read_bytes() for place in ("old", "new") for path in (halves / place).iterdir()
    }
    dst = halves / "out"
    icas.cluster(
        halves / "old", method="imagehash", threshold=0.8, dst=dst, transfer=transfer, cache=False
    )
    done = steps(dst, halves / "new", monkeypatch, tools)  # killed before 0, 1, 2, … in turn
    assert done > 3
    finished = FinishedRun.read(dst)
    assert len(finished.state.files) == 14
    assert {
        path.read_bytes() for path in (dst / "result").rglob("*") if path.is_file()
    } == originals
    with Journal(dst) as journal:
        assert journal.rearrangement() is None
        assert all(one.is_done for one in journal.files())
    assert icas.undo(dst).left == ()
    assert contents(halves) == originals


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 8, 13])
def test_an_addition_killed_at_a_step_is_undone(halves, step, monkeypatch, tools):
    before = tools.files_below(halves)
    dst = halves / "out"
    icas.cluster(
        halves / "old", method="imagehash", threshold=0.8, dst=dst, transfer="move", cache=False
    )
    with pytest.raises(tools.Killed), tools.killed_before_step(monkeypatch, step):
        icas.add(dst, halves / "new")
    assert icas.undo(dst).left == ()
    assert tools.files_below(halves) == before


def test_new_images_get_the_name_of_their_cluster_or_their_own(halves):
    dst = halves / "out"
    report = icas.cluster(halves / "old", dst=dst, **FIXED)
    icas.label(dst, {"cluster_0": "first"})
    whole = all_in(halves / "all", halves / "old", halves / "new")
    joined = icas.cluster(whole, dst=halves / "whole", **FIXED)
    alone = next(file for file in joined.members(-1) if (halves / "new" / file).exists())
    icas.label(halves / "whole", {alone: "single"})
    added = icas.add(dst, halves / "new")
    names = {Path(file).name: one.label for file, one in added.names.items()}
    cluster = added.labels[added.files.index(report.members(0)[0])]
    members = {Path(file).name for file in added.members(int(cluster))}
    assert len(members) > len(report.members(0))
    assert names == {**dict.fromkeys(members, "first"), alone: "single"}
    assert "single" in (dst / "labels.csv").read_text()
