"""Runs of `segmentimg propagate`: what is carried, written, kept, undone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from carrying_images import mask_of, paint, picture_of

import icas
from icas.cli.console import Console
from icas.io.reading import write_image
from icas.segmentimg.commands.main import main
from icas.segmentimg.formats.inputs import find_image_files
from icas.segmentimg.formats.load import load_painting
from icas.segmentimg.propagation_run.history import locked, undo_run
from icas.segmentimg.propagation_run.run import (
    PropagationRun,
    exclusive_run,
    propagate_files,
)
from icas.segmentimg.propagation_run.settings import PropagateSettings
from icas.segmentimg.session.folders import painting_locked

ONE = PropagateSettings(clusters="one", jobs=1)


def carry(folder, settings=ONE, **options):
    return propagate_files([folder], settings, Console(results=False, warnings=False), **options)


def painting_of(folder, name):
    picture = next(one for one in find_image_files([folder]) if one.path.name == name)
    loaded = load_painting(picture, (60, 80))
    return None if loaded is None else loaded.painting


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and ".icas" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.usefixtures("copying")
def test_masks_are_written_as_ordinary_paintings_with_a_table(photos, table_of):
    report = carry(photos)
    out = photos.with_name("photos_segmented")
    assert (report.carried, report.sources) == (5, 1)
    for name in "bcdef":
        painting = painting_of(photos, f"{name}.png")
        np.testing.assert_array_equal(painting.class_map, mask_of())
        assert painting.classes[0].name == "cat"
        assert (out / f"{name}_mask_(R:204,G:0,B:0).png").exists()
    rows = table_of(out)
    assert [row["file"] for row in rows] == [f"{name}.png" for name in "bcdef"]
    assert {row["class"] for row in rows} == {"cat"}
    assert {(row["instance"], row["source"], row["route"]) for row in rows} == {
        ("1", "a.png", "geometry")
    }
    assert {row["state"] for row in rows} <= {"carried", "accepted"}


@pytest.mark.usefixtures("copying")
def test_a_second_run_without_new_painting_changes_nothing(photos):
    carry(photos)
    out = photos.with_name("photos_segmented")
    before = tree(out)
    assert carry(photos).carried == 0
    assert tree(out) == before


@pytest.mark.usefixtures("copying")
def test_a_dry_run_writes_nothing(photos):
    out = photos.with_name("photos_segmented")
    before = tree(out)
    report = carry(photos, dry_run=True)
    assert (report.planned, report.carried) == (True, 5)
    assert tree(out) == before
    assert not (out / ".icas").exists()


@pytest.mark.usefixtures("copying")
def test_a_fixed_image_joins_the_sources_and_accepted_ones_never_change(photos, table_of):
    write_image(photos / "b.png", np.full((60, 80, 3), 2, np.uint8))  # dark: accepted
    (photos.with_name("photos_segmented") / "c.json").write_text('{"icas": "0"}')
    carry(photos)
    out = photos.with_name("photos_segmented")
    accepted = {name: data for name, data in tree(out).items() if name.startswith("b")}
    states = {row["file"]: row["state"] for row in table_of(out)}
    assert states.pop("b.png") == "accepted"
    assert set(states.values()) == {"carried"}
    fixed = mask_of()
    fixed[50:, :20] = 2
    paint(photos / "c.png", fixed)
    report = carry(photos)
    assert (report.carried, report.sources, report.states["fixed"]) == (3, 2, 1)
    np.testing.assert_array_equal(painting_of(photos, "c.png").class_map, fixed)
    assert {name: data for name, data in tree(out).items() if name.startswith("b")} == accepted
    assert {row["state"] for row in table_of(out) if row["file"] == "c.png"} == {"fixed"}
    assert carry(photos).carried == 0


@pytest.mark.usefixtures("copying")
def test_undo_goes_back_run_by_run_and_keeps_what_a_person_fixed(photos):
    out = photos.with_name("photos_segmented")
    first = tree(out)
    carry(photos)
    paint(photos / "c.png", mask_of(2))
    second = tree(out)
    carry(photos)
    undone = undo_run([photos], ONE)
    assert (undone.run, undone.restored, undone.removed) == (2, 4, 0)
    now = tree(out)
    del now["propagated.csv"], second["propagated.csv"]
    assert now == second
    undone = undo_run([photos], ONE)
    assert (undone.run, undone.removed, undone.kept) == (1, 4, ["c.png"])
    left = tree(out)
    assert left.items() >= first.items()
    assert {name[0] for name in left if name != "propagated.csv"} == {"a", "c"}
    with pytest.raises(icas.UsageError, match="no run of propagate"):
        undo_run([photos / "a.png"], ONE)


@pytest.mark.usefixtures("copying")
def test_undo_of_the_only_run_leaves_the_folder_as_it_was(photos):
    out = photos.with_name("photos_segmented")
    (out / "b.json").write_text(json.dumps({"icas": "0", "segments": 7}))
    before = tree(out)
    carry(photos)
    assert json.loads((out / "b.json").read_text())["segments"] == 0
    undo_run([photos], ONE)
    assert json.loads((out / "b.json").read_text()) == {"icas": "0", "segments": 7}
    after = tree(out)
    assert after.keys() == before.keys()
    assert main(["propagate", str(photos), "--undo", "-q"]) == 2


@pytest.mark.usefixtures("copying")
def test_images_with_unsaved_painting_are_left_alone(photos):
    from icas.segmentimg.document.document import PaintDocument
    from icas.segmentimg.formats.autosave import Autosave, autosave_path, write_autosave

    document = PaintDocument(picture_of(1), np.ones((60, 80), np.int32))
    picture = find_image_files([photos / "b.png"])[0]
    write_autosave(autosave_path(picture), Autosave(document.state(), (), {}, False))
    report = carry(photos)
    assert (report.carried, report.unsaved) == (4, ["b.png"])
    assert painting_of(photos, "b.png") is None


@pytest.mark.usefixtures("copying")
def test_broken_images_are_listed_and_the_rest_is_carried(photos, capfd):
    (photos / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert main(["propagate", str(photos), "--clusters", "one", "--jobs", "1"]) == 3
    out, err = capfd.readouterr()
    assert "4 images carried from 1 painted" in out
    assert "unreadable: " in err
    assert "c.png" in err


@pytest.mark.usefixtures("copying")
def test_classes_objects_and_numbers_are_those_of_the_sources(photos):
    class_map = mask_of(2)
    instances = (class_map > 0).astype(np.uint16)
    instances[:, 35:] *= 4
    paint(photos / "a.png", class_map, instances)
    carry(photos)
    out = photos.with_name("photos_segmented")
    labels = icas.read_image(out / "b_labels.png")  # 16 bit, shown as 8
    assert labels.shape[:2] == (60, 80)
    import cv2

    raw = cv2.imread(str(out / "b_labels.png"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(raw)) == {0, 2}
    painting = painting_of(photos, "b.png")
    assert set(np.unique(painting.instance_map)) == {0, 1, 4}


@pytest.mark.usefixtures("copying")
def test_a_lower_level_accepts_carried_masks_and_a_higher_one_keeps_them(photos, table_of):
    carry(photos)
    out = photos.with_name("photos_segmented")
    masks = {name: data for name, data in tree(out).items() if name.endswith(".png")}
    report = carry(photos, PropagateSettings(clusters="one", jobs=1, accept=0.0))
    assert (report.carried, report.queue) == (0, [])
    assert {row["state"] for row in table_of(out)} == {"accepted"}
    carry(photos)
    assert {row["state"] for row in table_of(out)} == {"accepted"}
    assert {name: data for name, data in tree(out).items() if name.endswith(".png")} == masks


@pytest.mark.usefixtures("copying")
def test_the_table_of_another_program_is_not_overwritten(photos):
    out = photos.with_name("photos_segmented")
    (out / "propagated.csv").write_text("mine\n")
    with pytest.raises(icas.ConflictError, match="another program"):
        carry(photos)
    assert (out / "propagated.csv").read_text() == "mine\n"


@pytest.mark.usefixtures("copying")
def test_two_runs_at_once_are_refused(photos):
    with (
        locked([photos.with_name("photos_segmented")]),
        pytest.raises(icas.ConflictError, match="another icas process uses"),
    ):
        carry(photos)


@pytest.mark.usefixtures("copying")
def test_a_folder_open_in_a_window_or_a_server_is_refused_in_one_line(photos, capfd):
    out = photos.with_name("photos_segmented")
    words = ["propagate", str(photos), "--clusters", "one", "--jobs", "1"]
    before = tree(out)
    with painting_locked([out]):
        assert main(words) == 1
        line = capfd.readouterr().err
        assert len(line.splitlines()) == 1
        assert f"another icas process uses {out} (process {os.getpid()} on " in line
        assert tree(out) == before
        assert main([*words, "--dry-run"]) == 0
    assert main(words) == 0
    with painting_locked([out]):
        assert main([*words, "--undo"]) == 1
        assert "another icas process uses" in capfd.readouterr().err
    assert main([*words, "--undo"]) == 0
    assert tree(out) == before


def test_nothing_is_painted_in_the_folder_while_masks_are_carried(photos):
    out = photos.with_name("photos_segmented")
    with exclusive_run([photos], ONE, Console(results=False)):
        refused = pytest.raises(icas.ConflictError, match="another icas process uses")
        with refused, painting_locked([out]):
            raise AssertionError


def test_without_a_painted_image_there_is_one_line(tmp_path, capfd):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        write_image(folder / f"{number}.png", picture_of(number))
    assert main(["propagate", str(folder), "--clusters", "one"]) == 2
    assert "--suggest N" in capfd.readouterr().err
    assert not Path(f"{folder}_segmented").exists() or not tree(Path(f"{folder}_segmented"))


@pytest.mark.usefixtures("copying")
def test_suggestions_name_an_image_of_each_cluster_without_a_painted_one(photos, tmp_path, capfd):
    table = tmp_path / "clusters.csv"
    rows = [("a", 0), ("b", 0), ("c", 1), ("d", 1), ("e", 1), ("f", -1)]
    table.write_text("file,cluster\n" + "".join(f"{name}.png,{n}\n" for name, n in rows))
    words = ["propagate", str(photos), "--clusters", str(table), "--jobs", "1"]
    assert main([*words, "--suggest", "3"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "cluster 1, nearest to 2 images" in lines[0]
    assert main(words) == 0
    out = capfd.readouterr().out
    assert "cluster 1, no painted image: 3 images, c.png, d.png, e.png" in out
    assert "1 image in no cluster, not carried" in out


@pytest.mark.usefixtures("copying")
def test_classes_of_another_scene_in_the_cluster_are_not_carried(photos):
    write_image(photos / "e.png", picture_of(3))  # like d.png
    paint(photos / "d.png", mask_of(2))
    carry(photos)
    assert set(np.unique(painting_of(photos, "e.png").class_map)) == {0, 1}
    assert painting_of(photos, "e.png").classes[0].name == "dog"


@pytest.mark.usefixtures("copying")
def test_the_order_of_the_images_does_not_matter(photos, tmp_path):
    carry(photos)
    out = photos.with_name("photos_segmented")
    before = tree(out)
    undo_run([photos], ONE)
    paths = sorted(photos.iterdir(), reverse=True)
    PropagationRun(paths, ONE, Console(results=False)).carry()
    after = tree(out)
    for name in before:
        if name.endswith((".png", ".csv")):
            assert after[name] == before[name]


@pytest.mark.parametrize("words", [
    ["--accept", "2"], ["--chain", "no"], ["--save", "coco"], ["--suggest", "0"],
    ["--sam-checkpoint", "a.onnx"], ["--undo", "--review"], ["--clusters", "missing.csv"],
    ["--weights", "missing.onnx"],
])  # fmt: skip
def test_wrong_flags_are_refused_in_one_line(photos, capfd, words):
    assert main(["propagate", str(photos), *words]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
