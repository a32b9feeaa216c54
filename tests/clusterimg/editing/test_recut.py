"""A finished result at another threshold: as a fresh run's, and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import icas
from icas.cli.console import Console
from icas.clusterimg.commands.main import main
from icas.clusterimg.html import thumbnails as report_pictures
from icas.clusterimg.journal.journal import Journal
from icas.clusterimg.results.saved import FEATURES, SavedState
from icas.clusterimg.transfer.destination import locked
from icas.clusterimg.transfer.relocation import finish_interrupted

WITHOUT = {".icas", "similarities", "run.json", "report.html"}


def comparable(tools, dst: Path) -> dict[str, bytes]:
    """What a re-cut has in common with a fresh run: places, contents and tables."""
    return {
        name: content for name, content in tools.files_below(dst).items()
        if name.split("/")[0] not in WITHOUT
    }  # fmt: skip


@pytest.mark.parametrize("how", ["copy", "move", "hardlink", "symlink", "none"])
def test_a_recut_is_what_a_fresh_run_gives(photos, tmp_path, how, tools):
    for number, name in enumerate(("a", "b", "c")):
        tools.same_names(photos, tmp_path / name)
        dst = tmp_path / f"out{number}"
        tools.made_at(tmp_path / name, dst, recursive=True, transfer=how)
    out = tmp_path / "out0"
    steps = tools.thresholds(out)
    for threshold in (steps[len(steps) // 2], steps[-1], steps[0]):
        report = icas.recut(out, threshold)
        fresh = tmp_path / "fresh"
        if how == "move":
            shutil.rmtree(tmp_path / "b")
            tools.same_names(photos, tmp_path / "b")
        kept_source = tmp_path / ("b" if how == "move" else "a")
        tools.made_at(kept_source, fresh, threshold, recursive=True, transfer=how)
        assert comparable(tools, out) == comparable(tools, fresh)
        if how == "symlink":
            links = [path for path in (out / "result").rglob("*") if not path.is_dir()]
            assert all(path.is_symlink() and path.exists() for path in links)
        assert np.array_equal(report.labels, icas.labels_at(SavedState.read(out).forest, threshold))
        shutil.rmtree(fresh)


@pytest.mark.parametrize("merge", ["exact", "representatives"])
def test_batches_are_cut_along_their_forest(photos, tmp_path, merge, tools):
    out = tools.made_at(photos, tmp_path / "out", batch_size=4, merge=merge, keep_batches=True)
    before = tools.files_below(out / "batches")
    threshold = tools.thresholds(out)[-1]
    report = icas.recut(out, threshold)
    assert np.array_equal(report.labels, icas.labels_at(SavedState.read(out).forest, threshold))
    assert tools.files_below(out / "batches") == before
    if merge == "exact":
        fresh = icas.cluster(
            photos,
            method="imagehash",
            dst=tmp_path / "fresh",
            threshold=threshold,
            batch_size=4,
            merge=merge,
        )
        assert np.array_equal(fresh.labels, report.labels)
        assert (tmp_path / "fresh/certificate.csv").read_bytes() == (
            out / "certificate.csv"
        ).read_bytes()


def test_run_json_has_both_thresholds(result, tools):
    threshold = tools.thresholds(result)[-1]
    report = icas.recut(result, threshold)
    told = json.loads((result / "run.json").read_text())
    assert (told["threshold"], told["compared_at"], told["recut"]) == (threshold, 0.5, True)
    assert told["clusters"] == report.clusters
    assert told["seconds"]["recut"] > 0
    assert set(told) == set(report.as_dict())


def test_below_the_floor_is_refused_and_the_floor_is_told(result, capsys):
    words = ["--src", str(result.parent / "photos"), "--dst", str(result), "--resume"]
    assert main([*words, "--recursive", "--threshold", "0.4"]) == 2
    assert "below 0.5, the lowest similarity that was stored" in capsys.readouterr().err


def test_the_command_tells_plan_and_summary(result, capsys, tools):
    words = ["--src", str(result.parent / "photos"), "--dst", str(result), "--recursive"]
    threshold = tools.thresholds(result)[-1]
    assert main([*words, "--resume", "--threshold", str(threshold), "-v"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("(recut; the run compared images down to 0.5)")
    assert lines[1].startswith("plan: move ")
    assert lines[2].startswith("plan: move ")
    assert " -> " in lines[2]
    assert lines[-1].startswith("14 images, ")


def test_a_dry_run_writes_nothing(result, tools):
    journal = (result / ".icas/journal.db").read_bytes()
    before = {path: path.stat().st_mtime_ns for path in result.rglob("*") if path.is_file()}
    report = icas.recut(result, tools.thresholds(result)[-1], dry_run=True)
    assert not report.written
    after = {path: path.stat().st_mtime_ns for path in result.rglob("*") if path.is_file()}
    assert before == after
    assert (result / ".icas/journal.db").read_bytes() == journal


@pytest.mark.parametrize("what", ["changed", "touched", "added", "removed", "table", "folder"])
def test_a_result_that_was_touched_is_refused_with_the_name(result, what, tools):
    picture = next(path for path in sorted((result / "result").rglob("*")) if path.is_file())
    if what == "changed":
        picture.write_bytes(b"mine")
    elif what == "touched":
        os.utime(picture, (1, 1))
    elif what == "added":
        picture = picture.with_name("mine.png")
        picture.write_bytes(b"mine")
    elif what == "removed":
        picture.unlink()
    elif what == "table":
        picture = result / "clusters.csv"
        picture.write_text(picture.read_text() + "\n")
    else:
        away = result / "elsewhere"
        picture.parent.rename(away)
        picture.parent.symlink_to(away, target_is_directory=True)
    before = tools.files_below(result)
    with pytest.raises(icas.ConflictError) as told:
        icas.recut(result, tools.thresholds(result)[-1])
    assert str(picture if what != "folder" else picture.parent) in str(told.value)
    assert tools.files_below(result) == before


def test_files_that_systems_leave_in_folders_are_no_obstacle(result):
    for folder in (result / "result").iterdir():
        (folder / ".DS_Store").write_bytes(b"")
    icas.recut(result, 1.0)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_it_is_killed_at_every_step_and_finished_by_the_next_call(
    result, tmp_path, monkeypatch, tools, every
):
    steps = tools.thresholds(result)
    middle, top = steps[len(steps) // 2], steps[-1]
    whole = sorted(tools.pictures_below(result))
    expected = {}
    for threshold in (middle, top):
        copied = shutil.copytree(result, tmp_path / f"copy{threshold}")
        icas.recut(copied, threshold)
        expected[threshold] = comparable(tools, copied)
    for step in range(0, 1000, every):
        dst = shutil.copytree(result, tmp_path / f"step{step}")
        try:
            with tools.killed_before_step(monkeypatch, step):
                icas.recut(dst, middle)
        except tools.Killed:
            assert tools.pictures_below(dst) == whole
            threshold = middle if step % 2 else top
            icas.recut(dst, threshold)
            assert comparable(tools, dst) == expected[threshold]
            assert not (dst / ".icas/moving").exists()
            shutil.rmtree(dst)
        else:
            break
    assert step > 20
    assert comparable(tools, dst) == expected[middle]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize(
    "step", [0, 9, 22, *(pytest.param(step, marks=pytest.mark.slow) for step in (3, 6, 12, 18))]
)
def test_kill_9_loses_nothing(photos, tmp_path, step, tools):
    source = tools.same_names(photos, tmp_path / "photos")
    whole = sorted(path.read_bytes() for path in source.rglob("*.*"))
    out = tools.made_at(source, tmp_path / "out", recursive=True, transfer="move")
    threshold = tools.thresholds(out)[-1]
    words = [str(source), "--dst", str(out), "--resume", "--threshold", str(threshold)]
    command = [sys.executable, "-c", tools.KILLER, str(step), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert tools.pictures_below(out) == whole
    assert main(words) == 0
    assert sorted(path.read_bytes() for path in (out / "result").rglob("*.*")) == whole
    with Journal(out) as journal:
        made = [one for one in journal.files() if one.how == "move"]
    assert sorted(one.source for one in made) == sorted(SavedState.read(out).sources)
    assert all((out / one.target).stat().st_size == one.size for one in made)


def test_overwrite_knows_the_new_places(result, tools):
    icas.recut(result, tools.thresholds(result)[-1])
    source = result.parent / "photos"
    icas.cluster(
        source, method="imagehash", dst=result, threshold=0.9, recursive=True, overwrite=True
    )
    fresh = tools.made_at(source, result.parent / "fresh", 0.9, recursive=True)
    assert comparable(tools, result) == comparable(tools, fresh)


def test_overwrite_spares_images_that_were_moved(photos, tmp_path, tools):
    source = tools.same_names(photos, tmp_path / "photos")
    out = tools.made_at(source, tmp_path / "out", recursive=True, transfer="move")
    icas.recut(out, tools.thresholds(out)[-1])
    shutil.copytree(photos, tmp_path / "photos", dirs_exist_ok=True)
    with pytest.raises(icas.ConflictError, match="only copy"):
        icas.cluster(source, dst=out, overwrite=True)


def test_overwrite_waits_for_what_was_interrupted(result, monkeypatch, tools):
    with pytest.raises(tools.Killed), tools.killed_before_step(monkeypatch, 12):
        icas.recut(result, 1.0)
    with pytest.raises(icas.ConflictError, match="an interrupted recut"):
        icas.cluster(result.parent / "photos", dst=result, overwrite=True)
    with pytest.raises(icas.ConflictError, match="interrupted"):
        icas.recut(result, 1.0, dry_run=True)
    assert main([str(result.parent / "photos"), "--dst", str(result), "--resume"]) == 0


def test_two_at_a_time_are_refused(result):
    with locked(result), pytest.raises(icas.ConflictError, match="another icas process"):
        icas.recut(result, 1.0)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--threshold", "0.9", "--method", "orb"], 2, "--method orb"),
        (["--threshold", "0.9", "--hash-size", "16"], 2, "--hash-size 16"),
        (["--threshold", "0.9", "--transfer", "move"], 2, "--transfer move"),
        (["--threshold", "0.9", "--overwrite"], 2, "exclude each other"),
    ],
)
def test_what_does_not_fit_the_run_is_one_line(result, capsys, words, code, told):
    source = str(result.parent / "photos")
    assert main([source, "--dst", str(result), "--resume", *words]) == code
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["--threshold", "auto"], ["--threshold", "0.5"]])
def test_a_finished_run_has_nothing_left_to_do(result, capsys, tools, words):
    source = str(result.parent / "photos")
    before = tools.files_below(result)
    words = [source, "--dst", str(result), "--resume", "--recursive", *words]
    assert main(words) == 0
    assert "is already finished" in capsys.readouterr().out
    assert tools.files_below(result) == before


def test_settings_of_the_run_may_be_said_again(result):
    source = str(result.parent / "photos")
    words = ["--method", "ImageHash", "--hash-size", "8", "--transfer", "copy", "--recursive"]
    assert main([source, "--dst", str(result), "--resume", "--threshold", "0.9", *words]) == 0


def test_another_source_is_refused(result, photos, capsys):
    assert main([str(photos), "--dst", str(result), "--resume", "--threshold", "0.9"]) == 2
    assert "is a result of" in capsys.readouterr().err


def test_what_a_threshold_does_not_cut_is_told_in_one_line(photos, tmp_path, tools):
    with pytest.raises(icas.UsageError, match="is not the result of a finished"):
        icas.recut(tmp_path, 0.9)
    parts = tools.made_at(photos, tmp_path / "parts", stage="batch")
    with pytest.raises(icas.UsageError, match="stage batch"):
        icas.recut(parts, 0.9)
    merged = tools.made_at(parts, tmp_path / "merged", stage="merge")
    with pytest.raises(icas.UsageError, match="were edited"):
        icas.recut(merged, 0.9)
    complete = tools.made_at(photos, tmp_path / "complete", linkage="complete")
    with pytest.raises(icas.UsageError, match="linkage complete"):
        icas.recut(complete, 0.9)


def test_a_killed_run_is_told(result):
    with Journal(result) as journal:
        journal.enter("carrying")
    with pytest.raises(icas.UsageError, match="with resume to continue"):
        icas.recut(result, 0.9)


@pytest.mark.deep
def test_results_of_models_are_told_in_one_line(torch, photos, tmp_path):
    options = {"model": "squeezenet1_0", "weights": "random", "size": (64, 64)}
    icas.cluster(
        photos,
        dst=tmp_path / "out",
        method="deep",
        cluster_model="kmeans",
        clusters=(3,),
        **options,
    )
    with pytest.raises(icas.UsageError, match="come from clustering models"):
        icas.recut(tmp_path / "out", 0.9)


def test_thumbnails_of_the_earlier_page_are_used_again(result, monkeypatch, tools):
    asked = []
    real = report_pictures.make_thumbnails

    def counting(paths, *rest):
        asked.extend(paths)
        return real(paths, *rest)

    monkeypatch.setattr(report_pictures, "make_thumbnails", counting)
    icas.recut(result, tools.thresholds(result)[-1])
    page = (result / "report.html").read_text()
    assert asked == []
    assert page.count("data:image/jpeg") >= 14
    for name in {path.relative_to(result).as_posix() for path in (result / "result").rglob("*.*")}:
        assert name.replace(" ", "%20").replace("(", "%28").replace(")", "%29") in page


def test_without_features_medoids_are_left_empty(result, tools):
    (result / FEATURES).unlink()
    with Journal(result) as journal, journal.database:
        journal.database.execute("DELETE FROM made WHERE target = ?", (FEATURES.encode(),))
    report = icas.recut(result, tools.thresholds(result)[-1])
    assert any(one.medoid == "" and np.isnan(one.least_similar_pair) for one in report.certificates)
    assert not any(np.isnan(one.weakest_link) for one in report.certificates)
    icas.recut(result, 0.5)


def test_a_disk_that_fails_is_one_line_and_another_call_goes_on(result, monkeypatch, capsys, tools):
    source = str(result.parent / "photos")
    words = [source, "--dst", str(result), "--resume", "--threshold", "1"]
    whole = tools.pictures_below(result)

    def refused(self, target):
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        assert main(words) == 1
    err = capsys.readouterr().err
    assert "Permission denied" in err
    assert err.count("\n") == 1
    assert tools.pictures_below(result) == whole
    assert main(words) == 0


def test_folders_that_may_not_be_written_are_found_out_before(result, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(icas.ConflictError, match="no permission to write"):
        icas.recut(result, 1.0)


def test_a_table_changed_after_a_kill_is_not_overwritten(result, monkeypatch, tools):
    for step in range(100):
        with pytest.raises(tools.Killed), tools.killed_before_step(monkeypatch, step):
            icas.recut(result, 1.0)
        with Journal(result) as journal:
            one = journal.rearrangement()
        prepared = result / ".icas/moving/clusters.csv"
        if one is not None and one.phase == "writing" and prepared.exists():
            break
    (result / "clusters.csv").write_text("mine")
    with pytest.raises(icas.ConflictError, match="was changed"):
        icas.recut(result, 1.0)
    assert (result / "clusters.csv").read_text() == "mine"
    (result / "clusters.csv").unlink()
    icas.recut(result, 1.0)


def test_the_sample_is_kept(tmp_path, photos, tools):
    out = tools.made_at(photos, tmp_path / "out")
    sample = SavedState.read(out).sample
    if sample is None:
        pytest.skip("this run drew no sample")
    assert len(sample) == 14
    assert len(sample.links) == 91
    assert (np.diff(sample.links.similarity) <= 0).all()
    matrix = icas.similarity_matrix(photos, method="imagehash")
    places = [
        sorted(path.name for path in photos.iterdir()).index(f) for f in sample.features.files
    ]
    assert len(places) == len(set(places))
    order = icas.features(photos, method="imagehash").files
    rows = np.array([order.index(file) for file in sample.features.files])
    links = sample.links
    assert np.allclose(matrix[rows[links.a], rows[links.b]], links.similarity)


def test_a_real_set_at_another_threshold(data, tmp_path, tools):
    images = data / "gtsrb-tracks" / "images"
    out = tools.made_at(images, tmp_path / "out", 0.8, transfer="hardlink")
    report = icas.recut(out, 0.9)
    fresh = icas.cluster(
        images, method="imagehash", dst=tmp_path / "fresh", threshold=0.9, transfer="hardlink"
    )
    assert np.array_equal(report.labels, fresh.labels)
    assert comparable(tools, out) == comparable(tools, tmp_path / "fresh")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_of_any_bytes(own_photos, tmp_path, tools):
    for number, name in enumerate((b"caf\xe9.png", b"a\nb.png", b'<b>"&.png', b" .png")):
        origin = own_photos / ("moon.png", "page.png", "coffee-1.png", "coffee-3.png")[number]
        origin.rename(os.fsdecode(os.path.join(os.fsencode(own_photos), name)))  # noqa: PTH118
    out = tools.made_at(own_photos, tmp_path / "out", transfer="move")
    whole = tools.pictures_below(out)
    before = tools.files_below(out / "result")
    icas.recut(out, tools.thresholds(out)[-1])
    assert tools.pictures_below(out) == whole
    icas.recut(out, 0.5)
    assert tools.files_below(out / "result") == before


def test_nothing_moves_at_the_threshold_that_it_has(result):
    before = {path: path.stat().st_ino for path in (result / "result").rglob("*")}
    report = icas.recut(result, 0.5)
    assert {path: path.stat().st_ino for path in (result / "result").rglob("*")} == before
    assert report.written
    assert finish_interrupted(result, Console(), dry_run=False) is None
