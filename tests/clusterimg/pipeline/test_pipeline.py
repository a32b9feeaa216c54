"""A run from the folder to the tables, as CONTRACT says it, on real files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import icas

FAMILIES = {"astronaut": 4, "coffee": 4, "rocket": 4}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below `folder`, links followed."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def images_of(dst: Path) -> dict[str, str]:
    return contents(dst / "result")


def test_every_image_is_once_in_the_table_and_in_the_result(photos, tmp_path, method_and_options):
    dst = tmp_path / "out"
    report = icas.cluster(photos, dst=dst, threshold="auto", **method_and_options)
    table = rows(dst / "clusters.csv")
    assert sorted(row["file"] for row in table) == sorted(path.name for path in photos.iterdir())
    found = {path.name: path.parent.name for path in (dst / "result").rglob("*") if path.is_file()}
    assert found == {
        row["file"]: "outliers" if row["cluster"] == "-1" else f"cluster_{row['cluster']}"
        for row in table
    }
    assert {row["representative"] for row in table} <= {"0", "1"}
    assert report.summary().startswith("14 images, ")
    assert sorted(images_of(dst).values()) == sorted(contents(photos).values())


def test_families_of_variants_are_found(photos, tmp_path):
    report = icas.cluster(photos, method="orb", dst=tmp_path / "out")
    families = [
        {file.split("-")[0] for file in report.members(cluster)}
        for cluster in range(report.clusters)
    ]
    assert sorted(families, key=min) == [{name} for name in FAMILIES]
    assert set(report.members(-1)) == {"moon.png", "page.png"}
    assert [one.images for one in report.certificates] == [4, 4, 4]


def test_files_come_in_natural_order(photos, tmp_path):
    report = icas.cluster(photos, dst=tmp_path / "out", transfer="none")
    assert report.files[:4] == (
        "astronaut-1.png",
        "astronaut-2.jpg",
        "astronaut-3.png",
        "astronaut-10.bmp",
    )


def test_tables_agree_with_each_other(photos, tmp_path):
    dst = tmp_path / "out"
    report = icas.cluster(photos, method="imagehash", threshold=0.8, dst=dst)
    told = json.loads((dst / "run.json").read_text())
    table = rows(dst / "clusters.csv")
    assert told["images"] == len(table) == 14
    assert told["outliers"] == sum(row["cluster"] == "-1" for row in table)
    assert told["clusters"] == len(rows(dst / "certificate.csv")) == report.clusters
    assert told["unreadable"] == len(rows(dst / "unreadable.csv")) == 0
    assert told["comparisons"] == {"possible": 91, "made": 91, "skipped": 0}
    assert set(told["seconds"]) == {"scan", "features", "links", "merge", "transfer"}
    assert {"icas", "method", "threshold", "settings", "peak_memory_mb"} <= set(told)
    links = rows(dst / "similarities" / "batch_0.csv")
    assert rows(dst / "similarities" / "merge.csv") == []
    matrix = icas.similarity_matrix(sorted(photos.iterdir()), method="imagehash")
    assert len(links) == int((np.triu(matrix, 1) >= 0.8).sum())
    assert all(float(row["similarity"]) >= 0.8 for row in links)
    number = {row["file"]: row["cluster"] for row in table}
    assert all(number[row["a"]] == number[row["b"]] != "-1" for row in links)
    for row in rows(dst / "certificate.csv"):
        assert float(row["least_similar_pair"]) <= float(row["weakest_link"])
        assert number[row["medoid"]] == row["cluster"]
    assert (dst / "report.html").read_text(encoding="utf-8").count("data:image/jpeg") >= 14


def test_the_answer_does_not_depend_on_workers(photos, tmp_path):
    tables = []
    for number, settings in enumerate(
        ({"jobs": 1}, {"jobs": 3}, {"jobs": 2, "executor": "processes"})
    ):
        dst = tmp_path / str(number)
        icas.cluster(photos, method="orb", dst=dst, report=False, batch_size=5, **settings)
        found = contents(dst)
        tables.append({name: digest for name, digest in found.items() if name != "run.json"})
        for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
            tables[-1].pop(f".icas/{name}", None)
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink", "none"])
def test_the_source_is_left_alone(own_photos, tmp_path, transfer):
    before = contents(own_photos)
    times = {path.name: path.stat().st_mtime_ns for path in own_photos.iterdir()}
    dst = tmp_path / "out"
    icas.cluster(own_photos, method="imagehash", dst=dst, transfer=transfer)
    assert contents(own_photos) == before
    assert {path.name: path.stat().st_mtime_ns for path in own_photos.iterdir()} == times
    files = [path for path in (dst / "result").rglob("*") if path.is_file()]
    if transfer == "none":
        assert not files
        assert len(rows(dst / "clusters.csv")) == 14
        return
    assert sorted(contents(dst / "result").values()) == sorted(before.values())
    for path in files:
        assert path.is_symlink() == (transfer == "symlink")
        assert path.samefile(own_photos / path.name) == (transfer != "copy")
        assert path.stat().st_mtime_ns == times[path.name]


def test_move_leaves_nothing_behind_and_loses_nothing(own_photos, tmp_path):
    (own_photos / "notes.txt").write_text("mine")
    (own_photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    before = contents(own_photos)
    report = icas.cluster(own_photos, dst=tmp_path / "out", transfer="move")
    kept = contents(own_photos)
    assert set(kept) == {"notes.txt", "broken.jpg"}
    assert [one.file for one in report.unreadable] == ["broken.jpg"]
    moved = images_of(tmp_path / "out")
    assert sorted([*moved.values(), *kept.values()]) == sorted(before.values())


def test_a_dry_run_writes_nothing(own_photos, tmp_path):
    before = contents(tmp_path)
    report = icas.cluster(own_photos, dst=tmp_path / "out", dry_run=True)
    assert contents(tmp_path) == before
    assert not (tmp_path / "out").exists()
    assert "nothing written" in report.summary()


def test_the_default_result_lies_beside_the_source(own_photos):
    report = icas.cluster(own_photos, method="imagehash", report=False)
    assert report.dst == own_photos.parent / "photos_clustered"
    assert (report.dst / "clusters.csv").is_file()


def test_a_used_result_folder_is_refused(own_photos, tmp_path):
    dst = tmp_path / "out"
    dst.mkdir()
    (dst / "mine.txt").write_text("keep")
    with pytest.raises(icas.ConflictError, match="not empty"):
        icas.cluster(own_photos, dst=dst)
    with pytest.raises(icas.ConflictError, match="no record"):
        icas.cluster(own_photos, dst=dst, overwrite=True)
    assert (dst / "mine.txt").read_text() == "keep"
    with pytest.raises(icas.ConflictError, match="is a file"):
        icas.cluster(own_photos, dst=dst / "mine.txt")


def test_overwrite_removes_what_the_run_made_and_nothing_else(own_photos, tmp_path):
    dst = tmp_path / "out"
    icas.cluster(own_photos, dst=dst, method="imagehash", threshold=0.8)
    (dst / "result" / "cluster_0" / "mine.txt").write_text("keep")
    icas.cluster(own_photos, dst=dst, method="orb", overwrite=True)
    assert (dst / "result" / "cluster_0" / "mine.txt").read_text() == "keep"
    images = [path for path in (dst / "result").rglob("*") if path.suffix != ".txt"]
    assert len([path for path in images if path.is_file()]) == 14
    assert json.loads((dst / "run.json").read_text())["method"] == "orb"


def test_overwrite_refuses_where_a_file_was_changed(own_photos, tmp_path):
    dst = tmp_path / "out"
    report = icas.cluster(own_photos, dst=dst)
    folder = "outliers" if report.labels[0] < 0 else f"cluster_{report.labels[0]}"
    changed = dst / "result" / folder / report.files[0]
    changed.write_bytes(b"edited by hand")
    before = contents(dst / "result")
    with pytest.raises(icas.ConflictError, match="changed since"):
        icas.cluster(own_photos, dst=dst, overwrite=True)
    assert contents(dst / "result") == before


def test_overwrite_refuses_to_remove_only_copies(own_photos, tmp_path):
    dst = tmp_path / "out"
    icas.cluster(own_photos, dst=dst, transfer="move")
    before = contents(dst / "result")
    Image.new("RGB", (40, 40)).save(own_photos / "new.png")
    with pytest.raises(icas.ConflictError, match="only copy"):
        icas.cluster(own_photos, dst=dst, overwrite=True)
    assert contents(dst / "result") == before


def test_overwrite_never_removes_what_is_to_be_clustered(photos, tmp_path):
    parts, links = tmp_path / "parts", tmp_path / "links"
    icas.cluster(photos, method="orb", batch_size=7, stage="batch", dst=parts)
    before = contents(parts / "batches")
    with pytest.raises(icas.ConflictError, match="would remove"):
        icas.cluster(parts, stage="merge", dst=parts, overwrite=True)
    links.mkdir()
    (links / "a.png").symlink_to(next(parts.rglob("moon.png")))
    with pytest.raises(icas.ConflictError, match="would remove"):
        icas.cluster(links, dst=parts, overwrite=True, dry_run=True)
    assert contents(parts / "batches") == before


def test_recursive_runs_keep_equal_names_apart(photos, tmp_path):
    src = tmp_path / "src"
    for part in ("a", "b"):
        (src / part).mkdir(parents=True)
        for name in ("coffee-1.png", "rocket-1.png"):
            (src / part / name).write_bytes((photos / name).read_bytes())
    (src / ".hidden").mkdir()
    (src / ".hidden" / "x.png").write_bytes((photos / "moon.png").read_bytes())
    with pytest.raises(icas.IcasError, match="recursive"):
        icas.cluster(src)
    report = icas.cluster(src, recursive=True, dst=src / "sorted")
    assert report.files == ("a/coffee-1.png", "a/rocket-1.png", "b/coffee-1.png", "b/rocket-1.png")
    assert {path.name for path in (src / "sorted" / "result").rglob("*.png")} == {
        "coffee-1.png",
        "coffee-1 (2).png",
        "rocket-1.png",
        "rocket-1 (2).png",
    }
    again = icas.cluster(src, recursive=True, dst=src / "sorted", overwrite=True)
    assert again.files == report.files
    elsewhere = icas.cluster(src, recursive=True, dst=tmp_path / "other")
    assert elsewhere.files == report.files  # the copies of the earlier run are not sources
    assert elsewhere.ignored == ("sorted",)


def test_batch_then_merge_is_one_run(photos, tmp_path):
    one = icas.cluster(photos, method="orb", batch_size=5, dst=tmp_path / "one")
    icas.cluster(photos, method="orb", batch_size=5, stage="batch", dst=tmp_path / "parts")
    assert not (tmp_path / "parts" / "result").exists()
    for number in range(3):
        assert (tmp_path / "parts" / "batches" / f"batch_{number}").is_dir()
    two = icas.cluster(tmp_path / "parts", stage="merge", dst=tmp_path / "two")
    assert two.method == "orb"
    assert two.threshold == one.threshold
    groups_one = {frozenset(one.members(number)) for number in range(one.clusters)}
    groups_two = {
        frozenset(file.rsplit("/", 1)[-1] for file in two.members(number))
        for number in range(two.clusters)
    }
    assert groups_one == groups_two
    assert images_of(tmp_path / "one") == images_of(tmp_path / "two")


def test_what_lies_in_edited_batch_folders_counts(photos, tmp_path):
    parts = tmp_path / "parts"
    icas.cluster(photos, method="orb", batch_size=7, stage="batch", dst=parts)
    by_hand = parts / "batches" / "batch_0" / "my own folder"
    by_hand.mkdir()
    for name in ("astronaut-1.png", "coffee-1.png"):
        found = next(path for path in parts.rglob(name) if path.is_file())
        found.rename(by_hand / name)
    report = icas.cluster(parts, stage="merge", dst=tmp_path / "out")
    names = [file.rsplit("/", 1)[-1] for file in report.files]
    label = dict(zip(names, report.labels.tolist(), strict=True))
    assert label["astronaut-1.png"] == label["coffee-1.png"] >= 0
    assert len(report.files) == 14


def test_merge_wants_batch_folders(photos, tmp_path):
    with pytest.raises(icas.UsageError, match="batches"):
        icas.cluster(photos, stage="merge", dst=tmp_path / "out")


def test_outliers_take_part_in_merging(photos, tmp_path):
    """Two images of one kind that lay alone in their batches come together."""
    src = tmp_path / "src"
    src.mkdir()
    order = ("coffee-1.png", "moon.png", "rocket-1.png", "coffee-2.jpg", "page.png")
    for number, name in enumerate(order):
        (src / f"{number}{Path(name).suffix}").write_bytes((photos / name).read_bytes())
    report = icas.cluster(src, method="orb", batch_size=2, dst=tmp_path / "out")
    assert report.members(0) == ("0.png", "3.jpg")
    assert report.comparisons["made"] == report.comparisons["possible"]


def test_names_that_are_hard_on_a_shell_survive(photos, tmp_path):
    src = tmp_path / "src"
    src.mkdir()
    picture = (photos / "coffee-1.png").read_bytes()
    names = [" lead.png", "-dash.png", "new\nline.png", "semi;colon,comma.png", "quote\"'.png"]
    names += ["日本語.png", "é.png", "$HOME`x`.png", "[brackets].png"]
    for name in names:
        (src / name).write_bytes(picture)
    raw = os.fsencode(src) + b"/not-utf8-\xff.png"
    try:
        Path(os.fsdecode(raw)).write_bytes(picture)
        names.append(os.fsdecode(b"not-utf8-\xff.png"))
    except OSError:
        pass  # this file system takes text only
    report = icas.cluster(src, dst=tmp_path / "out")
    assert sorted(report.files) == sorted(names)
    assert sorted(row["file"] for row in rows(tmp_path / "out" / "clusters.csv")) == sorted(names)
    written = {path.name for path in (tmp_path / "out" / "result" / "cluster_0").iterdir()}
    normal = {unicodedata.normalize("NFC", name) for name in names}
    assert {unicodedata.normalize("NFC", name) for name in written} == normal


def test_bad_files_are_told_and_the_rest_is_sorted(photos, bad_inputs, tmp_path):
    src = tmp_path / "src"
    src.mkdir()
    for folder in (photos, bad_inputs / "files"):
        for path in folder.iterdir():
            if path.is_file():
                (src / path.name).write_bytes(path.read_bytes())
    report = icas.cluster(src, method="orb", dst=tmp_path / "out")
    told = {row["file"] for row in rows(tmp_path / "out" / "unreadable.csv")}
    table = {row["file"] for row in rows(tmp_path / "out" / "clusters.csv")}
    assert told | table == {path.name for path in src.iterdir()}
    assert not told & table
    assert {path.name for path in photos.iterdir()} <= table
    assert told == {one.file for one in report.unreadable}
    assert not any(path.name in told for path in (tmp_path / "out" / "result").rglob("*"))


def test_only_unreadable_files_is_a_result_too(tmp_path):
    src = tmp_path / "src"
    src.mkdir()
    (src / "a.jpg").write_bytes(b"")
    report = icas.cluster(src, dst=tmp_path / "out")
    assert report.summary().startswith("0 images, 0 clusters, 0 outliers, 1 unreadable")
    assert rows(tmp_path / "out" / "unreadable.csv")[0]["file"] == "a.jpg"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "sift"}, "choose from ssim, minhash, imagehash, orb, tm"),
        ({"threshold": 1.5}, "a number up to 1"),
        ({"threshold": "high"}, "a number, auto or pick"),
        ({"threshold": float("nan")}, "a number up to 1"),
        ({"batch_size": 1}, "batch_size 1: must be at least 2"),
        ({"size": "12"}, "size"),
        ({"size": "10x10", "scale": 0.5}, "exclude each other"),
        ({"transfer": "teleport"}, "choose from copy, move"),
        ({"keep_batches": True, "transfer": "move"}, "keep_batches"),
        ({"stage": "batch", "transfer": "none"}, "no folders"),
        ({"hash_sizes": 3}, "unknown keyword hash_sizes"),
        ({"method": "orb", "device": "cuda"}, "runs on the CPU only"),
        ({"jobs": 0}, "at least 1"),
        ({"scheduler": "tcp://localhost:1"}, "dask"),
    ],
)
def test_wrong_settings_are_told_before_any_work(photos, tmp_path, settings, words):
    with pytest.raises(icas.UsageError, match=words):
        icas.cluster(photos, dst=tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_missing_source_is_told(tmp_path):
    with pytest.raises(icas.UsageError, match="nowhere"):
        icas.cluster(tmp_path / "nowhere")


def test_scale_is_taken_by_every_method(photos, tmp_path, method_and_options):
    options = {"transfer": "none", "report": False, **method_and_options, "size": None}
    options["scale"] = 0.5
    report = icas.cluster(photos, dst=tmp_path / "out", **options)
    assert len(report.files) == 14
