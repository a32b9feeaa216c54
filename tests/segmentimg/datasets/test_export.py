"""Exported data sets, read with other libraries; targets, splits, orientation."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from making import box, contents, paint, three_images
from PIL import Image, ImageDraw

import icas
from icas.segmentimg.commands.main import main
from icas.segmentimg.datasets import target

yaml = pytest.importorskip("yaml")


def files(folder):
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if path.parts[0] != ".icas"}


def masks(photos, name):
    size = np.asarray(Image.open(photos / name)).shape[:2]
    return [np.frombuffer(pixels, bool).reshape(size) for _, pixels in contents(photos)[name]]


def test_coco_is_read_by_pycocotools_and_scores_1_against_itself(tmp_path):
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    out = three_images(tmp_path / "photos")
    for polygons in (False, True):
        icas.export_instances(out, tmp_path / "set", "coco", polygons=polygons, overwrite=True)
        path = tmp_path / "set" / "annotations" / "instances.json"
        truth = coco_module.COCO(str(path))
        assert [entry["name"] for entry in truth.loadCats(truth.getCatIds())] == ["cat", "dog"]
        for entry in truth.loadImgs(truth.getImgIds()):
            assert (tmp_path / "set" / "images" / entry["file_name"]).is_file()
            found = truth.loadAnns(truth.getAnnIds(entry["id"]))
            wanted = masks(tmp_path / "photos", entry["file_name"])
            for one, mask in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(truth.annToMask(one), mask)
                assert one["area"] == mask.sum()
        results = [{**one, "score": 1.0} for one in truth.dataset["annotations"]]
        score = COCOeval(truth, truth.loadRes(results), "segm")
        score.evaluate()
        score.accumulate()
        score.summarize()
        assert score.stats[0] == pytest.approx(1.0)


def test_compressed_run_lengths_are_those_of_pycocotools(tmp_path):
    coder = pytest.importorskip("pycocotools.mask")
    from icas.segmentimg.formats.coco import compressed, encode_rle

    random = np.random.default_rng(0)
    for share in (0, 0.01, 0.5, 1):
        mask = random.random((90, 70)) < share
        wanted = coder.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert compressed(encode_rle(mask))["counts"] == wanted


def read_yolo(folder, split="train"):
    """A reader of the published format: class, then x and y as shares."""
    content = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    for path in sorted((folder / content[split]).iterdir()):
        width, height = Image.open(path).size
        label = folder / content[split].replace("images", "labels") / f"{path.stem}.txt"
        objects = []
        for line in label.read_text().splitlines():
            number, *shares = line.split()
            ring = np.array(shares, float).reshape(-1, 2) * (width, height)
            objects.append((content["names"][int(number)], ring))
        yield path.name, (height, width), objects


def test_yolo_is_read_by_the_published_format(tmp_path):
    size = (400, 300)
    rows, columns = np.ogrid[:400, :300]
    disc = (rows - 150) ** 2 + (columns - 120) ** 2 < 90**2
    hole = (rows - 150) ** 2 + (columns - 120) ** 2 < 40**2
    objects = [("disc", disc & ~hole, None), ("bar: wide", box(size, 300, 20, 380, 280), None)]
    out = paint(tmp_path / "photos", {"a.jpg": (size, objects), "e.jpg": (size, [])})
    report = icas.export_instances(out, tmp_path / "set", "yolo")
    assert report.keyholes == 1
    read = list(read_yolo(tmp_path / "set"))
    assert [(name, len(found)) for name, _, found in read] == [("a.jpg", 2), ("e.jpg", 0)]
    for (name, mask, _), (found, ring) in zip(objects, read[0][2], strict=True):
        assert name == found
        x, y = ring.T
        area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        assert area == pytest.approx(mask.sum(), rel=0.01)
        drawn = Image.new("L", size[::-1])
        ImageDraw.Draw(drawn).polygon([tuple(point) for point in ring], fill=1, outline=0)
        both = np.asarray(drawn).astype(bool)
        assert (both & mask).sum() / (both | mask).sum() > 0.95


def test_voc_files_are_read_by_pillow_and_an_xml_parser(tmp_path):
    out = three_images(tmp_path / "photos")
    icas.export_instances(out, tmp_path / "set", "voc")
    folder = tmp_path / "set"
    names = (folder / "class_names.txt").read_text().split()
    assert names == ["_background_", "cat", "dog"]
    assert (folder / "ImageSets/Segmentation/trainval.txt").read_text() == "a\nb\nc\n"
    classes = Image.open(folder / "SegmentationClass/a.png")
    assert classes.mode == "P"
    assert classes.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    objects = np.asarray(Image.open(folder / "SegmentationObject/a.png"))
    for number, mask in enumerate(masks(tmp_path / "photos", "a.png"), start=1):
        np.testing.assert_array_equal(objects == number, mask)
        assert set(np.asarray(classes)[mask]) == {1 if number < 3 else 2}
    root = ET.parse(folder / "Annotations/a.xml").getroot()
    assert [one.findtext("name") for one in root.iter("object")] == ["cat", "cat", "dog"]
    first = [root.findtext(f"object/bndbox/{tag}") for tag in ("xmin", "ymin", "xmax", "ymax")]
    assert first == ["4", "3", "20", "12"]
    icas.export_instances(out, folder, "voc", borders=True, overwrite=True)
    marked = np.asarray(Image.open(folder / "SegmentationObject/a.png"))
    assert (marked == 255).any()
    assert set(np.unique(marked[marked != objects])) == {255}


def test_labelme_files_have_a_group_per_object(tmp_path):
    out = three_images(tmp_path / "photos")
    icas.export_instances(out, tmp_path / "set", "labelme", polygons=True)
    content = json.loads((tmp_path / "set" / "a.json").read_text())
    assert content["imagePath"] == "a.png"
    assert content["imageData"] is None
    found = [(one["label"], one["group_id"], one["shape_type"]) for one in content["shapes"]]
    assert found == [
        ("cat", 1, "polygon"),
        ("cat", 2, "polygon"),
        ("dog", 1, "polygon"),
        ("dog", 1, "polygon"),
    ]


def test_a_huggingface_folder_lists_the_objects(tmp_path):
    out = three_images(tmp_path / "photos")
    icas.export_instances(out, tmp_path / "set", "hf", split="train=0.6,test=0.4")
    lines = [
        json.loads(line)
        for split in ("train", "test")
        for line in (tmp_path / "set" / split / "metadata.jsonl").read_text().splitlines()
    ]
    assert sorted(line["file_name"] for line in lines) == ["a.png", "b.png", "c.png"]
    ring = next(line for line in lines if line["file_name"] == "b.png")["objects"]
    assert (ring["bbox"], ring["category"], ring["area"]) == ([[5, 5, 25, 25]], ["dog"], [525])


def test_objects_of_one_cluster_are_in_one_split(tmp_path):
    size = (8, 8)
    images = {f"{n:02}.png": (size, [("cat", box(size, 1, 1, 5, 5), None)]) for n in range(12)}
    out = paint(tmp_path / "photos", images)
    table = tmp_path / "clusters.csv"
    with table.open("w", newline="") as file:
        rows = [(name, place // 3 if place < 9 else -1) for place, name in enumerate(images)]
        csv.writer(file).writerows([("file", "cluster"), *rows])
    words = ["--format", "coco,yolo", "--split", "train=0.5,val=0.5", "--clusters", str(table)]
    assert main(["export", str(out), "--to", str(tmp_path / "set"), *words]) == 0
    where = {path.name: path.parent.name for path in (tmp_path / "set/yolo/images").rglob("*.png")}
    assert set(where) == set(images)
    for first in (0, 3, 6):
        assert len({where[f"{n:02}.png"] for n in range(first, first + 3)}) == 1
    assert (tmp_path / "set/coco/annotations/instances_val.json").is_file()
    content = yaml.safe_load((tmp_path / "set/yolo/data.yaml").read_text())
    assert (content["train"], content["val"]) == ("images/train", "images/val")


def test_images_are_written_upright(tmp_path, capsys):
    out = paint(tmp_path / "photos", {"a.jpg": ((20, 30), [])})
    path = tmp_path / "photos" / "a.jpg"
    exif = Image.Exif()
    exif[274] = 6  # seen, it is 20 wide and 30 high
    Image.open(path).save(path, exif=exif)
    mask = box((30, 20), 2, 3, 12, 15)
    Image.fromarray(mask).save(out / "a_mask_(R=204,G=0,B=0).png")
    (out / "a_labels.png").unlink()
    (out / "a.json").unlink()
    assert main(["export", str(out), "--format", "coco", "--to", str(tmp_path / "set")]) == 0
    assert "1 image turned upright (EXIF orientation)" in capsys.readouterr().out
    with Image.open(tmp_path / "set/images/a.jpg") as image:
        assert image.size == (20, 30)
        assert image.getexif().get(274, 1) == 1
    content = json.loads((tmp_path / "set/annotations/instances.json").read_text())
    assert content["annotations"][0]["bbox"] == [3, 2, 12, 10]


def test_images_of_one_stem_have_labels_of_their_own(tmp_path):
    size = (8, 8)
    images = {
        "a.jpg": (size, [("cat", box(size, 0, 0, 4, 4), None)]),
        "a.png": (size, [("dog", box(size, 0, 0, 4, 4), None)]),
    }
    out = paint(tmp_path / "photos", images)
    icas.export_instances(out, tmp_path / "set", "yolo")
    found = {path.name for path in (tmp_path / "set/labels/train").iterdir()}
    assert found == {"a.jpg.txt", "a.png.txt"}
    assert len(list(read_yolo(tmp_path / "set"))) == 2


def test_what_cannot_be_read_is_listed_and_the_rest_exported(tmp_path, capsys):
    out = three_images(tmp_path / "photos")
    (out / "a_labels.png").write_bytes(b"broken")
    (tmp_path / "photos" / "b.png").unlink()
    Image.new("RGB", (9, 9)).save(tmp_path / "photos" / "new.png")
    words = ["export", str(out), "--format", "coco", "--to", str(tmp_path / "set")]
    assert main(words) == 3
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "1 image without objects, exported as such",
        "1 image not painted, left out",
        f"1 image, 0 objects, 2 classes -> {tmp_path / 'set'}",
    ]
    lines = shown.err.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"{out / 'b.json'}: its image b.png is missing"
    assert "a_labels.png" in lines[1]


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    out = three_images(tmp_path / "photos")
    words = ["export", str(out), "--format", "voc", "--to", str(tmp_path / "set"), "--dry-run"]
    assert main(words) == 0
    last = f"would write 3 images, 4 objects, 2 classes -> {tmp_path / 'set'}"
    assert capsys.readouterr().out.splitlines()[-1] == last
    assert not (tmp_path / "set").exists()


def test_a_folder_of_others_is_refused_and_kept(tmp_path, capsys):
    out = three_images(tmp_path / "photos")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine.txt").write_text("mine")
    for more in ([], ["--overwrite"]):
        words = ["export", str(out), "--format", "coco", "--to", str(tmp_path / "set"), *more]
        assert main(words) == 1
        assert "is not empty" in capsys.readouterr().err
    assert files(tmp_path / "set") == {"mine.txt"}


def test_overwrite_removes_only_what_was_exported(tmp_path, capsys):
    out = three_images(tmp_path / "photos")
    words = ["export", str(out), "--to", str(tmp_path / "set"), "--format"]
    assert main([*words, "coco"]) == 0
    (tmp_path / "set/annotations/mine.txt").write_text("mine")
    assert main([*words, "yolo"]) == 1
    assert "holds an earlier export" in capsys.readouterr().err
    assert main([*words, "yolo", "--overwrite"]) == 0
    found = files(tmp_path / "set")
    assert "annotations/mine.txt" in found
    assert "annotations/instances.json" not in found
    assert "data.yaml" in found
    (tmp_path / "set/data.yaml").write_text("changed")
    assert main([*words, "yolo", "--overwrite"]) == 1
    assert "data.yaml was changed after the export" in capsys.readouterr().err


@pytest.mark.parametrize("when", ["write", "publish"])
def test_an_interrupted_export_is_nothing_or_replaced(tmp_path, monkeypatch, when):
    out = three_images(tmp_path / "photos")
    with monkeypatch.context() as patch:
        if when == "write":
            patch.setattr(target.Stage, "write", _interrupt)
        else:
            patch.setattr(target, "_remove_empty", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            icas.export_instances(out, tmp_path / "set", "coco")
    if when == "write":
        assert not (tmp_path / "set").exists()
        return
    with pytest.raises(icas.ConflictError, match="earlier export"):
        icas.export_instances(out, tmp_path / "set", "yolo")
    icas.export_instances(out, tmp_path / "set", "yolo", overwrite=True)
    assert not any(name.startswith("annotations") for name in files(tmp_path / "set"))


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["hardlink", "symlink", "none"])
def test_images_can_be_linked_or_left(tmp_path, how):
    out = three_images(tmp_path / "photos")
    icas.export_instances(out, tmp_path / "set", "coco", transfer=how)
    image = tmp_path / "set/images/a.png"
    if how == "none":
        assert not image.exists()
        return
    assert image.samefile(tmp_path / "photos/a.png")
    assert image.is_symlink() == (how == "symlink")


def test_more_than_a_format_can_number(tmp_path, capsys):
    size = (20, 20)
    cells = [np.arange(400).reshape(size) == place for place in range(300)]
    objects = [("dot", cell, None) for cell in cells]
    classes = [(f"class {place}", cell, None) for place, cell in enumerate(cells)]
    images = {"few.png": (size, objects[:3]), "many.png": (size, objects), "z.png": (size, classes)}
    out = paint(tmp_path / "photos", images)
    words = ["export", str(out), "--to", str(tmp_path / "set"), "--format"]
    assert main([*words, "voc"]) == 1  # with the classes of all images
    assert "VOC has at most 254: use --format coco" in capsys.readouterr().err
    assert main([*words, "coco"]) == 0
    assert "3 images, 603 objects, 301 classes" in capsys.readouterr().out


def test_classes_of_a_file_come_first(tmp_path):
    out = three_images(tmp_path / "photos")
    (tmp_path / "classes.txt").write_text("bird,#0000cc\ndog,#00cc00\n")
    for classes in (tmp_path / "classes.txt", ["bird", "dog"]):
        report = icas.export_instances(
            out, tmp_path / "set", "yolo", classes=classes, overwrite=True
        )
        assert report.classes == ("bird", "dog", "cat")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "coc"], "unknown data set format 'coc': choose from coco, yolo"),
        (["--format", "coco", "--split", "train=2"], "the shares sum to 2"),
        (["--format", "coco", "--clusters", "x.csv"], "--clusters goes with --split"),
        (["--format", "coco", "--images", "nowhere"], "nowhere is not a folder"),
        (["--format", ","], "no data set format"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path, capsys, words, message):
    out = three_images(tmp_path / "photos")
    assert main(["export", str(out), "--to", str(tmp_path / "set"), *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_the_folder_of_images_will_do(tmp_path):
    three_images(tmp_path / "photos")
    report = icas.export_instances(tmp_path / "photos", tmp_path / "set")
    assert report.objects == 4
