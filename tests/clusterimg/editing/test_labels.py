"""Class names: set, kept with a result and by content, cleared, and applied by later runs."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.clusterimg.decisions.store import ConstraintStore
from icas.dataset.image_labels import ImageLabel, read_image_labels


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def result(own_photos, tmp_path, cache):
    """Three clusters of four: cluster_0 astronauts, 1 coffee, 2 rockets; and two outliers."""
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=tmp_path / "sorted", cache=cache
    )
    return tmp_path / "sorted"


def names(dst):
    return {file: one.label for file, one in read_image_labels(dst).items()}


def of_class(dst, name):
    return sorted(file for file, label in names(dst).items() if label == name)


def rows(path: Path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


COFFEE = ["coffee-1.png", "coffee-10.bmp", "coffee-2.jpg", "coffee-3.png"]


def test_clusters_and_images_get_names(result):
    report = icas.label(result, {"cluster_1": "cup", "moon.png": "sky", "0": "woman"})
    assert of_class(result, "cup") == COFFEE
    assert names(result)["moon.png"] == "sky"
    assert {row["source"] for row in rows(result / "labels.csv")} == {"cluster", "image"}
    assert report.classes == ("woman", "cup", "sky") or set(report.classes) == {
        "woman", "cup", "sky"
    }  # fmt: skip
    assert report.summary().startswith("9 of 14 images named (8 by cluster, 1 by image), 3 classes")
    assert "<table" in report._repr_html_()
    assert json.loads(json.dumps(report.as_dict()))["classes"]["cup"] == 4


def test_the_name_of_an_image_prevails_over_that_of_its_cluster(result):
    icas.label(result, {"coffee-3.png": "drink", "cluster_1": "cup"})
    assert names(result)["coffee-3.png"] == "drink"
    report = icas.label(result, {"cluster_1": "tea"})
    assert names(result) == {**dict.fromkeys(COFFEE, "tea"), "coffee-3.png": "drink"}
    assert any("drink" in message for message in report.warnings)
    assert any("cluster_1" in message for message in report.contradictions)


@pytest.mark.parametrize(("method", "threshold"), [("imagehash", 0.5), ("tm", 0.9)])
def test_the_same_images_carry_their_names_into_another_run(
    result, own_photos, tmp_path, cache, method, threshold
):
    icas.label(result, {"cluster_1": "cup", "moon.png": "sky"})
    moved = own_photos.rename(tmp_path / "elsewhere")
    (moved / "coffee-1.png").rename(moved / "renamed.png")
    again = tmp_path / "again"
    report = icas.cluster(moved, method=method, threshold=threshold, dst=again, cache=cache)
    assert {*of_class(again, "cup")} >= {"renamed.png", *COFFEE[1:]}
    assert names(again)["moon.png"] == "sky"
    assert {file: one.label for file, one in report.names.items()} == names(again)
    assert b'class="classes"' in (again / "report.html").read_bytes()
    plain = tmp_path / "plain"
    icas.cluster(moved, method="imagehash", threshold=0.8, dst=plain, cache=cache, decisions=False)
    assert not (plain / "labels.csv").exists()


def test_a_new_image_gets_the_name_of_its_cluster(result, own_photos, tmp_path, cache):
    icas.label(result, {"cluster_1": "cup"})
    shutil.copy2(own_photos / "coffee-1.png", own_photos / "same-content.png")
    with (own_photos / "same-content.png").open("ab") as file:
        file.write(b"another file")
    again = tmp_path / "again"
    icas.cluster(own_photos, method="imagehash", threshold=0.8, dst=again, cache=cache)
    label = read_image_labels(again)["same-content.png"]
    assert (label.label, label.source) == ("cup", "cluster")
    assert label.confidence == pytest.approx(5 / 6, abs=1e-3)


def test_two_names_in_a_cluster_are_listed_and_not_resolved(
    result, own_photos, tmp_path, cache, capsys
):
    icas.label(result, {"cluster_0": "woman", "cluster_1": "cup"})
    again = tmp_path / "again"
    main([
        str(own_photos), "--threshold", "0", "--dst", str(again), "--cache", str(cache),
        "--method", "imagehash",
    ])  # fmt: skip
    printed = capsys.readouterr()
    assert "names: 8 images" in printed.out.splitlines()[-2]
    assert "cluster_0 has images with different names: cup (4), woman (4)" in printed.err
    assert len(names(again)) == 8


def test_the_command_prints_lists_and_clears(result, capsys):
    words = ["label", str(result)]
    assert main([*words, "cluster_1=cup", "moon.png=a=b"]) == 0
    assert names(result)["moon.png"] == "a=b"
    assert main([*words, "list"]) == 0
    assert capsys.readouterr().out.count("cup  4 images\n") == 2
    assert main([*words, "clear", "moon.png"]) == 0
    assert set(names(result).values()) == {"cup"}
    assert main([*words, "clear", "--dry-run"]) == 0
    assert set(names(result).values()) == {"cup"}
    assert main([*words, "clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["labels"] == {}
    assert names(result) == {}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("file,label\nphotos/moon.png,sky\ncoffee-1.png,cup\nother.png,x\n", 2),
        ("Cluster;Label\n1;cup\ncluster_0;woman\n99;none\n", 8),
        ("file\tlabel\nmoon.png\tsky\ncoffee-1.png\t\nother.png\tx\n", 1),
    ],
)
def test_names_come_from_a_table(result, tmp_path, capsys, content, expected):
    table = tmp_path / "names.csv"
    table.write_text(content)
    assert main(["label", str(result), "--from", str(table)]) == 0
    assert len(names(result)) == expected
    assert "1 row of" in capsys.readouterr().err
    report = icas.label(result, table)
    assert report.unmatched == 1


def test_a_table_with_two_names_for_a_cluster_is_refused(result, tmp_path):
    table = tmp_path / "names.csv"
    table.write_text("cluster,label\n1,cup\n1,tea\n")
    with pytest.raises(icas.UsageError, match="two labels, 'cup' and 'tea'"):
        icas.label(result, table)
    assert not (result / "labels.csv").exists()


@pytest.mark.parametrize(
    ("names_of", "message"),
    [
        ({"cluster_9": "cat"}, "no cluster cluster_9"),
        ({"nowhere.png": "cat"}, "no image nowhere.png"),
        ({"moon.png": " "}, "class name is empty"),
        ({"moon.png": "a\nb"}, "control characters"),
        ({"1": "cat", "cluster_1": "dog"}, "two names"),
    ],
)
def test_wrong_names_are_refused(result, names_of, message):
    with pytest.raises(icas.UsageError, match=message):
        icas.label(result, names_of)
    assert not (result / "labels.csv").exists()


def test_names_that_differ_only_by_form_are_warned_about(result):
    report = icas.label(result, {"cluster_0": "Café", "cluster_1": "cafe\u0301", "moon.png": "sky"})
    assert len(report.warnings) == 1
    assert "differ only by case" in report.warnings[0]


def test_equal_files_have_one_name(own_photos, tmp_path, cache):
    shutil.copy2(own_photos / "moon.png", own_photos / "moon-copy.png")
    dst = tmp_path / "sorted"
    icas.cluster(own_photos, method="imagehash", threshold=0.8, dst=dst, cache=cache)
    icas.label(dst, {"moon.png": "sky"})
    assert names(dst) == {"moon.png": "sky", "moon-copy.png": "sky"}
    icas.label(dst, clear=["moon-copy.png"])
    assert names(dst) == {}


def test_must_link_names_contradictions(result, cache, capsys):
    icas.label(result, {"cluster_0": "woman", "moon.png": "sky"})
    assert main(["decide", str(result), "must-link", "astronaut-1.png", "moon.png"]) == 0
    printed = capsys.readouterr().out
    assert "joins images with different names: astronaut-1.png is woman, moon.png is sky" in printed
    report = icas.label(result)
    assert any("must-link" in message for message in report.contradictions)


def test_contradictions_are_found_by_content(result, own_photos, tmp_path, cache):
    icas.must_link(result, "astronaut-1.png", "moon.png")
    (own_photos / "moon.png").rename(own_photos / "renamed.png")
    again = tmp_path / "again"
    icas.cluster(own_photos, method="imagehash", threshold=0.8, dst=again, cache=cache)
    report = icas.label(again, {"astronaut-1.png": "woman", "renamed.png": "sky"})
    assert any("joins images with different names" in one for one in report.contradictions)


def test_overwrite_replaces_the_table(result, own_photos, cache):
    icas.label(result, {"cluster_1": "cup"})
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=result, cache=cache, overwrite=True
    )
    assert of_class(result, "cup") == COFFEE
    icas.label(result, clear=True)
    icas.cluster(
        own_photos, method="imagehash", threshold=0.8, dst=result, cache=cache, overwrite=True
    )
    assert not (result / "labels.csv").exists()


def test_a_notebook_shows_names(result):
    icas.label(result, {"cluster_1": "cup"})
    assert " · cup 4" in icas.recut(result, 0.8)._repr_html_()


def test_names_follow_images_that_are_moved(result, capsys):
    icas.label(result, {"cluster_0": "woman", "cluster_1": "cup"})
    (result / "result/cluster_0/astronaut-1.png").rename(
        result / "result/cluster_1/astronaut-1.png"
    )
    assert main(["decide", str(result), "--learn"]) == 0
    assert "astronaut-1.png is woman" in capsys.readouterr().out
    assert names(result)["astronaut-1.png"] == "woman"
    assert any("cluster_1" in one for one in icas.label(result).contradictions)
    icas.label(result, {"cluster_1": "cup"})
    assert names(result)["astronaut-1.png"] == "cup"


def test_a_recut_keeps_the_names(result, tools):
    icas.label(result, {"cluster_1": "cup"})
    report = icas.recut(result, tools.thresholds(result)[-1])
    assert of_class(result, "cup") == COFFEE
    assert {file for file, one in report.names.items() if one.label == "cup"} == set(COFFEE)
    pandas = pytest.importorskip("pandas")
    table = report.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert (table["label"] == "cup").sum() == 4


def test_undo_removes_the_table_and_keeps_the_stored_names(result, own_photos, tmp_path, cache):
    icas.label(result, {"cluster_1": "cup"})
    assert icas.undo(result).left == ()
    assert not result.exists()
    icas.cluster(own_photos, method="imagehash", threshold=0.8, dst=tmp_path / "again", cache=cache)
    assert of_class(tmp_path / "again", "cup") == COFFEE


def test_a_table_of_a_user_is_not_replaced(result):
    (result / "labels.csv").write_text("file,label\nmoon.png,sky\n")
    with pytest.raises(icas.IcasError):
        icas.label(result, {"cluster_1": "cup"})
    assert (result / "labels.csv").read_text() == "file,label\nmoon.png,sky\n"


def test_the_report_page_shows_names_and_counts(result):
    page = result / "report.html"
    before = page.read_text(encoding="utf-8")
    icas.label(result, {"cluster_1": "cup & <saucer>"})
    named = page.read_text(encoding="utf-8")
    assert '<p class="classes"><span>cup &amp; &lt;saucer&gt; <b>4</b></span></p>' in named
    icas.label(result, clear=True)
    assert page.read_text(encoding="utf-8") == before


def test_it_is_killed_at_every_step_and_finished_by_the_next_call(
    result, cache, tmp_path, monkeypatch, tools
):
    icas.label(result, {"cluster_1": "cup"})
    before = (result / "labels.csv").read_bytes()
    for step in range(100):
        dst = shutil.copytree(result, tmp_path / f"step{step}")
        try:
            with tools.killed_before_step(monkeypatch, step):
                icas.label(dst, {"cluster_0": "woman"})
        except tools.Killed:
            held = (dst / "labels.csv").read_bytes()
            icas.label(dst, {"cluster_0": "woman"})
            assert len(names(dst)) == 8
            assert held in (before, (dst / "labels.csv").read_bytes())
            assert not (dst / ".icas/moving").exists()
            assert icas.undo(dst).left == ()
        else:
            break
    assert step > 4


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("step", [0, 2, 4])
def test_kill_9_leaves_the_old_or_the_new_names(result, cache, tools, step):
    icas.label(result, {"cluster_1": "cup"})
    words = ["label", str(result), "cluster_1=tea"]
    command = [sys.executable, "-c", tools.KILLER, str(step), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert set(names(result).values()) in ({"cup"}, {"tea"})
    with ConstraintStore(cache) as store:
        assert {one.label for one in store.names()} in (
            {ImageLabel("cup", "cluster")}, {ImageLabel("tea", "cluster")}
        )  # fmt: skip
    assert main(words) == 0
    assert set(names(result).values()) == {"tea"}


def test_suggestions_are_paths_to_open(result, capsys):
    assert main(["label", str(result), "--suggest", "3"]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(paths) == 3
    assert all(path.is_file() for path in paths)
    first = icas.label(result, suggest=5).suggested
    assert list(first[:3]) == paths
    icas.label(result, {str(paths[0]): "a", str(paths[1]): "b"})
    assert icas.label(result, suggest=3).suggested == first[2:]


def test_spread_names_the_rest(result):
    icas.label(
        result, {"coffee-1.png": "cup", "rocket-1.png": "rocket", "astronaut-1.png": "woman"}
    )
    report = icas.label(result, spread=True)
    assert len(report.labels) == 14
    right = {"coffee": "cup", "rocket": "rocket", "astronaut": "woman"}
    for file, one in report.labels.items():
        kind = file.split("-")[0]
        if kind in right:
            assert one.label == right[kind]
        assert 0 <= one.confidence <= 1
    assert {one.source for one in report.labels.values()} == {"image", "spread"}
    icas.label(result, {"cluster_1": "tea"})
    assert of_class(result, "tea") == COFFEE[1:]


def test_nothing_is_spread_without_names(result):
    with pytest.raises(icas.UsageError, match="name at least one"):
        icas.label(result, spread=True)
