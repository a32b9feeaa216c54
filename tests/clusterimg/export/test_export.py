"""``clusterimg export`` and `icas.export`: data sets that other programs read."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

import icas
from icas.clusterimg.commands.main import main
from icas.dataset.formats import FORMATS
from icas.dataset.image_labels import ImageLabel, labels_table

SPLIT = {"train": 0.6, "val": 0.2, "test": 0.2}
NAMES = ("astronaut", "coffee", "rocket", "chelsea")


@pytest.fixture
def result(crowd, tmp_path, monkeypatch):
    """A result in the current folder, with a label for each image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ICAS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(crowd, "photos")
    shutil.copy("photos/0-coffee.jpg", "photos/copy.jpg")
    icas.cluster("photos", dst="sorted", method="ssim", threshold=0.87)
    files = icas_files(Path("sorted"))
    label(Path("sorted"), {file: ImageLabel(name_of(file)) for file in files})
    return Path("sorted")


def icas_files(root):
    return [row["file"] for row in rows(root / "clusters.csv")]


def rows(path):
    with path.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def name_of(file):
    return next((name for name in NAMES if name in file), "coffee")


def label(root, labels):
    (root / "labels.csv").write_bytes(labels_table(labels))


def files_below(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.relative_to(folder).as_posix() for path in paths if ".icas" not in path.parts
    )


def test_torchvision_reads_an_image_folder(result):
    datasets = pytest.importorskip("torchvision.datasets")
    report = icas.export(result, "dataset", split=SPLIT)
    found = {split: datasets.ImageFolder(f"dataset/{split}", allow_empty=True) for split in SPLIT}
    assert sum(map(len, found.values())) == len(icas_files(result))
    assert found["train"].classes == sorted(NAMES)
    for split, images in found.items():
        counts = Counter(images.classes[target] for target in images.targets)
        assert counts == {
            name: by_split[split] for name, by_split in report.counts.items() if by_split[split]
        }
        for path, target in images.samples:
            assert name_of(Path(path).name) == images.classes[target]
    table = rows(Path("dataset/classes.csv"))
    assert {row["class"]: int(row["id"]) for row in table} == found["train"].class_to_idx


def test_a_class_has_its_number_in_every_split(result):
    datasets = pytest.importorskip("torchvision.datasets")
    labels = {file: ImageLabel(name_of(file)) for file in icas_files(result) if "20-" not in file}
    label(result, labels)
    icas.export(result, "dataset", split={"train": 0.5, "test": 0.5})
    train, test = (
        datasets.ImageFolder(f"dataset/{split}", allow_empty=True) for split in ("train", "test")
    )
    assert train.class_to_idx == test.class_to_idx
    assert len(train) + len(test) == len(labels)
    assert icas.undo("dataset").left == ()
    assert not Path("dataset").exists()


def test_no_cluster_link_or_equal_file_is_in_two_splits(result):
    icas.export(result, "dataset", format="csv", split=SPLIT, seed=3)
    split_of = {row["file"]: row["split"] for row in rows(Path("dataset/dataset.csv"))}
    for row in rows(result / "clusters.csv"):
        if row["cluster"] != "-1":
            same = [
                one for one in rows(result / "clusters.csv") if one["cluster"] == row["cluster"]
            ]
            assert len({split_of[one["file"]] for one in same}) == 1
    for link in rows(result / "similarities" / "merge.csv"):
        assert split_of[link["a"]] == split_of[link["b"]]
    assert split_of["copy.jpg"] == split_of["0-coffee.jpg"]


def test_parts_of_a_cluster_that_was_split_are_in_one_split(result):
    label(result, {file: ImageLabel("all") for file in icas_files(result)})
    (cluster,) = {
        row["cluster"] for row in rows(result / "clusters.csv") if "rocket" in row["file"]
    } - {"-1"}
    icas.split(result, int(cluster))
    icas.export(result, "dataset", format="csv", split=SPLIT)
    table = rows(Path("dataset/dataset.csv"))
    parts = [row for row in table if "rocket" in row["file"] and "20-" not in row["file"]]
    assert len({row["cluster"] for row in parts}) > 1
    assert len({row["split"] for row in parts}) == 1


def test_must_linked_images_are_in_one_split(result):
    label(result, {file: ImageLabel("all") for file in icas_files(result)})
    outliers = [row["file"] for row in rows(result / "clusters.csv") if row["cluster"] == "-1"]
    for file in outliers[1:]:
        icas.must_link(result, outliers[0], file)
    icas.export(result, "dataset", format="csv", split=SPLIT)
    split_of = {row["file"]: row["split"] for row in rows(Path("dataset/dataset.csv"))}
    assert len({split_of[file] for file in outliers}) == 1


def test_equal_input_gives_an_equal_data_set(result):
    for out in ("one", "two"):
        icas.export(result, out, split=SPLIT, seed=5)
    assert files_below(Path("one")) == files_below(Path("two"))


def test_coco_has_a_category_for_each_image(result):
    coco = pytest.importorskip("pycocotools.coco")
    icas.export(result, "dataset", format="coco", split=SPLIT)
    numbers = []
    for split in SPLIT:
        found = coco.COCO(f"dataset/annotations/{split}.json")
        assert [one["name"] for one in found.cats.values()] == sorted(NAMES)
        for image in found.imgs.values():
            assert (image["width"], image["height"]) == (160, 120)
            assert Path("dataset", split, image["file_name"]).is_file()
            (annotation,) = found.imgToAnns[image["id"]]
            assert found.cats[annotation["category_id"]]["name"] == name_of(image["file_name"])
        numbers += found.imgs
    assert sorted(numbers) == list(range(1, len(icas_files(result)) + 1))


def test_coco_is_as_documented_without_its_library(result):
    icas.export(result, "dataset", format="coco")
    content = json.loads(Path("dataset/annotations/train.json").read_bytes())
    assert content["categories"][0] == {"id": 1, "name": "astronaut"}
    assert {one["image_id"] for one in content["annotations"]} == {
        one["id"] for one in content["images"]
    }
    assert len(content["images"]) == len(icas_files(result))


def test_hugging_face_reads_its_folder(result, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    icas.export(result, "dataset", format="hf", split=SPLIT)
    found = datasets.load_dataset("dataset", cache_dir=str(tmp_path / "hf"))
    assert set(found) == {"train", "validation", "test"}
    assert sum(map(len, found.values())) == len(icas_files(result))


def test_each_line_of_metadata_names_an_image_in_its_folder(result):
    icas.export(result, "dataset", format="hf", split=SPLIT)
    card = Path("dataset/README.md").read_text().split("\n")
    assert card[0] == card[10] == "---"
    found = 0
    for split in SPLIT:
        text = Path("dataset", split, "metadata.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        images = {path.name for path in Path("dataset", split).iterdir()} - {"metadata.jsonl"}
        assert {one["file_name"] for one in lines} == images
        assert all(one["label"] == name_of(one["file_name"]) for one in lines)
        found += len(lines)
    assert found == len(icas_files(result))


def test_fiftyone_samples_have_paths_tags_and_labels(result):
    icas.export(result, "dataset", format="fiftyone", split=SPLIT)
    samples = json.loads(Path("dataset/samples.json").read_bytes())["samples"]
    for one in samples:
        path = Path("dataset", one["filepath"])
        assert path.is_file()
        assert one["tags"] == [path.parent.name]
        assert one["ground_truth"] == {
            "_cls": "Classification", "label": name_of(path.name), "confidence": 1.0,
        }  # fmt: skip
    assert len(samples) == len(icas_files(result))
    assert "version" not in json.loads(Path("dataset/metadata.json").read_bytes())


def test_several_formats_have_folders_of_their_own(result):
    report = icas.export(result, "dataset", format=list(FORMATS), split=SPLIT)
    folders = {path.name for path in Path("dataset").iterdir() if path.is_dir()}
    assert folders == {*FORMATS, ".icas"}
    assert files_below(Path("dataset/csv")) == ["dataset.csv"]
    assert files_below(Path("dataset/yolo")) == files_below(Path("dataset/imagefolder"))
    alone = icas.export(result, "alone", split=SPLIT)
    assert report.counts == alone.counts
    assert files_below(Path("dataset/imagefolder")) == [
        file for file in files_below(Path("alone")) if "/" in file
    ]


def test_class_names_are_kept_in_a_table(result):
    names = {"astronaut": "a/b", "coffee": "CON", "rocket": "Cat", "chelsea": "cat"}
    label(result, {file: ImageLabel(names[name_of(file)]) for file in icas_files(result)})
    icas.export(result, "dataset")
    folders = {row["class"]: row["folder"] for row in rows(Path("dataset/classes.csv"))}
    assert folders == {"CON": "CON_", "Cat": "Cat", "a/b": "a_b", "cat": "cat_2"}
    made = [path for path in Path("dataset/train").iterdir() if path.is_dir()]
    assert {path.name for path in made} == set(folders.values())


def test_equal_file_names_stay_apart(result, capsys):
    Path("deep/a").mkdir(parents=True)
    Path("deep/b").mkdir()
    shutil.copy("photos/0-coffee.jpg", "deep/a/x.jpg")
    shutil.copy("photos/0-rocket.jpg", "deep/b/x.jpg")
    icas.cluster("deep", dst="deep-sorted", recursive=True, method="ssim", threshold=0.9)
    label(Path("deep-sorted"), {"a/x.jpg": ImageLabel("x"), "b/x.jpg": ImageLabel("x")})
    icas.export("deep-sorted", "dataset")
    assert sorted(path.name for path in Path("dataset/train/x").iterdir()) == ["x (2).jpg", "x.jpg"]


def test_the_command_prints_classes_and_splits(result, capsys):
    words = ["export", "sorted", "dataset", "--split", "train=0.6,test=0.4"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith(f"plan: copy {len(icas_files(result))} images (")
    assert lines[1].split() == ["class", "train", "test", "groups"]
    assert (
        lines[-1]
        == f"{len(icas_files(result))} images, 4 classes, 0 left out, 0 missing -> dataset"
    )
    assert main([*words, "--overwrite", "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert err == ""
    assert summary["images"] == len(icas_files(result))
    assert summary["settings"]["split"] == {"train": 0.6, "test": 0.4}


def test_classes_of_one_group_are_named(result, capsys):
    files = icas_files(result)
    label(result, {file: ImageLabel(name_of(file)) for file in files if "20-" not in file})
    assert main(["export", "sorted", "dataset", "--split", "train=0.5,test=0.5", "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert "is only in train, not in test: it has 1 group of similar images" in err
    assert err.endswith("load such splits with ImageFolder(..., allow_empty=True)\n")
    assert not Path("dataset").exists()


def test_images_without_a_label_or_confidence_are_left_out(result):
    first, second, third = icas_files(result)[:3]
    label(
        result,
        {
            first: ImageLabel("cup"),
            second: ImageLabel("cup", "spread", 0.4),
            third: ImageLabel("cup", "spread", 0.9),
        },
    )
    report = icas.export(result, "dataset", min_confidence=0.5)
    assert report.counts == {"cup": {"train": 2}}
    left_out = {row["file"]: row["reason"] for row in rows(Path("dataset/left_out.csv"))}
    assert left_out[second] == "confidence 0.4"
    assert Counter(left_out.values())["no label"] == len(icas_files(result)) - 3


def test_contradicting_labels_are_listed(result, capsys):
    labels = {file: ImageLabel(name_of(file)) for file in icas_files(result)}
    label(result, labels | {"copy.jpg": ImageLabel("tea")})
    report = icas.export(result, "dataset", dry_run=True)
    assert any("has several labels" in one for one in report.contradictions)
    assert any("are equal files" in one and "tea" in one for one in report.contradictions)


def test_vanished_images_are_listed(result, capsys):
    shutil.rmtree(result)
    icas.cluster("photos", dst=result, method="ssim", threshold=0.87, transfer="none")
    label(result, {file: ImageLabel(name_of(file)) for file in icas_files(result)})
    Path("photos/1-rocket.jpg").unlink()
    assert main(["export", "sorted", "dataset", "--format", "coco,imagefolder"]) == 3
    out, err = capsys.readouterr()
    assert "1-rocket.jpg: its file is missing" in err
    assert "0 left out, 1 missing -> dataset" in out
    assert rows(Path("dataset/left_out.csv")) == [
        {"file": "1-rocket.jpg", "reason": "its file is missing"}
    ]


def test_images_that_vanish_meanwhile_are_in_no_table(result, monkeypatch, capsys):
    from icas.clusterimg.export import export as module

    complete = module.complete

    def later(*given, **named):
        Path("photos/1-rocket.jpg").unlink()
        return complete(*given, **named)

    monkeypatch.setattr(module, "complete", later)
    assert main(["export", "sorted", "dataset", "--format", "hf,coco", "-q"]) == 3
    assert "1 missing -> dataset" in capsys.readouterr().out
    names = {
        one["file_name"]
        for one in json.loads(Path("dataset/coco/annotations/train.json").read_bytes())["images"]
    }
    assert names == {path.name for path in Path("dataset/coco/train").iterdir()}
    assert "1-rocket.jpg" not in names
    assert "1-rocket" not in Path("dataset/hf/train/metadata.jsonl").read_text()
    (row,) = rows(Path("dataset/left_out.csv"))
    assert row["reason"] == "not transferred: deleted since the run read it"
    assert main(["export", "sorted", "dataset", "--format", "hf,coco", "--resume"]) == 3
    assert "already finished" in capsys.readouterr().out


def test_an_image_that_changed_is_taken_from_the_result(result):
    before = Path("photos/1-rocket.jpg").read_bytes()
    Path("photos/1-rocket.jpg").write_bytes(Path("photos/2-rocket.jpg").read_bytes())
    icas.export(result, "dataset")
    assert Path("dataset/train/rocket/1-rocket.jpg").read_bytes() == before


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
def test_every_transfer_and_its_undo(result, how):
    before = files_below(Path())
    icas.export(result, "dataset", transfer=how, split=SPLIT)
    made = next(path for path in Path("dataset/train/rocket").iterdir())
    source = Path("photos") / made.name
    assert made.is_symlink() == (how == "symlink")
    assert made.samefile(source) == (how != "copy")
    assert made.read_bytes() == source.read_bytes()
    undone = icas.undo("dataset")
    assert undone.left == ()
    assert not Path("dataset").exists()
    assert files_below(Path()) == before


def test_overwrite_replaces_a_data_set_only(result, capsys):
    icas.export(result, "dataset")
    with pytest.raises(icas.ConflictError, match="is not empty: choose another OUT, or use"):
        icas.export(result, "dataset", format="csv")
    icas.export(result, "dataset", format="csv", overwrite=True)
    assert files_below(Path("dataset")) == ["classes.csv", "dataset.csv", "left_out.csv"]
    icas.cluster("photos", dst="other", method="imagehash", threshold=0.9)
    with pytest.raises(icas.ConflictError, match="is no data set of clusterimg export"):
        icas.export(result, "other", overwrite=True)
    Path("mine").mkdir()
    Path("mine/a.txt").write_text("mine")
    with pytest.raises(icas.ConflictError, match="has no record of a clusterimg run"):
        icas.export(result, "mine", overwrite=True)


def test_resume_needs_the_same_command(result):
    icas.export(result, "dataset")
    with pytest.raises(icas.UsageError, match=r"seed 1: the export to dataset used 0"):
        icas.export(result, "dataset", seed=1, resume=True)
    report = icas.export(result, "dataset", resume=True)
    assert report.summary().endswith("-> dataset")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--format", "tfrecord"], "unknown data set format 'tfrecord': choose from csv,"),
        (["--split", "train=0.5"], "--split: the shares sum to 0.5 instead of 1"),
        (["--transfer", "move"], "--transfer move: a data set is made of copies or links"),
        (["--transfer", "none"], "--transfer none: choose from copy, hardlink, symlink"),
        (["--min-confidence", "2"], "--min-confidence 2.0: must be between 0 and 1"),
        (["--overwrite", "--resume"], "--overwrite and --resume exclude each other"),
    ],
)
def test_wrong_usage_is_one_line(result, capsys, words, why):
    assert main(["export", "sorted", "dataset", *words]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert len(err.splitlines()) == 1


def test_wrong_folders_are_one_line(result, capsys):
    cases = {
        ("export", "nowhere", "dataset"): "no folder 'nowhere'",
        ("export", "photos", "dataset"): "photos is not the result of a finished clusterimg run",
        ("export", "sorted", "sorted/dataset"): "is in the result folder sorted",
        ("export", "sorted", "sorted"): "is in the result folder sorted",
    }
    for words, why in cases.items():
        assert main(list(words)) == 2
        assert why in capsys.readouterr().err
    (result / "labels.csv").unlink()
    assert main(["export", "sorted", "dataset"]) == 2
    assert "sorted has no labels: name clusters first, with clusterimg label" in (
        capsys.readouterr().err
    )


def test_files_that_readers_skip_are_counted(result, capsys):
    Path("photos/1-rocket.jpg").rename("photos/1-rocket.gif")
    shutil.rmtree(result)
    icas.cluster("photos", dst=result, method="ssim", threshold=0.87)
    label(result, {file: ImageLabel(name_of(file)) for file in icas_files(result)})
    assert main(["export", "sorted", "dataset"]) == 0
    assert "1 image (.gif) cannot be loaded by readers of imagefolder" in capsys.readouterr().err
