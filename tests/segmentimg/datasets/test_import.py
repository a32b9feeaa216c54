"""Data sets of other programs as saved paintings: pixels, matching, what is left out."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from making import box, contents, three_images, write_image
from PIL import Image

import icas
from icas.segmentimg.commands.main import main

SIZE = (40, 60)


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "photos" / name, SIZE)
    return tmp_path / "photos"


def objects_of(photos, name="a.png", out=None):
    """Class and mask of each object."""
    return [
        (label, np.frombuffer(pixels, bool).reshape(SIZE))
        for label, pixels in contents(photos, out).get(name, ())
    ]


def coco(photos, annotations, images=None, categories=None):
    content = {
        "images": images or [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": annotations,
        "categories": categories or [{"id": 7, "name": "cat"}],
    }
    path = photos.parent / "set.json"
    path.write_text(json.dumps(content))
    return path


def square(left, top, side, **more):
    ring = [left, top, left + side, top, left + side, top + side, left, top + side]
    return {"image_id": 1, "category_id": 7, "segmentation": [ring], **more}


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels>
<label><name>cat</name><color>#112233</color><type>any</type></label>
<label><name>dog</name><color>#445566</color><type>any</type></label>
</labels></task></meta>
<image id="0" name="photos/a.png" width="60" height="40">
<polygon label="cat" points="2,2;12,2;12,12;2,12" z_order="1" occluded="0"/>
<box label="cat" xtl="20" ytl="5" xbr="30" ybr="25" rotation="90.00" z_order="0"/>
<ellipse label="dog" cx="45" cy="20" rx="10" ry="6" z_order="0"/>
<mask label="dog" left="2" top="30" width="4" height="3" rle="1,3,0,4,2,2" z_order="0">
<attribute name="state">wet</attribute></mask>
<polyline label="cat" points="1,1;5,5" z_order="0"/>
<polygon label="cat" points="1,1;5,5" z_order="0"/>
<box label="cat" xtl="14" ytl="30" xbr="18" ybr="34" group_id="3"/>
<box label="cat" xtl="22" ytl="30" xbr="26" ybr="34" group_id="3"/>
<cuboid label="dog" xtl1="40" ytl1="30" xbl1="40" ybl1="38" xtr1="50" ytr1="30" xbr1="50"
 ybr1="38" xtl2="42" ytl2="28" xbl2="42" ybl2="36" xtr2="52" ytr2="28" xbr2="52" ybr2="36"/>
<box label="cat" xtl="a" ytl="5" xbr="30" ybr="25"/>
</image>
<image id="1" name="gone.png" width="60" height="40"/>
</annotations>
"""


def test_cvat_shapes(photos, tmp_path, capsys):
    path = tmp_path / "annotations.xml"
    path.write_text(CVAT)
    assert main(["import", str(path), "--images", str(photos), "--format", "cvat"]) == 3
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        f"{path}: photos/a.png: shape 5, polyline 'cat', has no area: ignored",
        f"{path}: photos/a.png: shape 6, polygon, left out: polygon with fewer than 3 points",
        f"{path}: photos/a.png: shape 10, box, left out: could not convert string to float: 'a'",
    ]
    assert shown.out.splitlines() == [
        "1 image without annotations, not changed",
        "1 listed image not in the folder",
        f"1 image, 6 objects, 2 classes -> {photos}_segmented",
    ]
    found = objects_of(photos)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    inside = ((columns + 0.5 - 45) / 10) ** 2 + ((rows + 0.5 - 20) / 6) ** 2 <= 1
    small = box(SIZE, 30, 3, 31, 6) | box(SIZE, 31, 2, 32, 6) | box(SIZE, 32, 4, 33, 6)
    small[31, 2:6] = [True, True, True, True]
    wanted = [
        ("cat", box(SIZE, 2, 2, 12, 12)),
        ("cat", box(SIZE, 10, 15, 20, 35)),  # turned by 90 degrees
        ("cat", box(SIZE, 30, 14, 34, 18) | box(SIZE, 30, 22, 34, 26)),
        ("dog", inside),
        ("dog", small),
        ("dog", box(SIZE, 30, 40, 38, 50)),
    ]
    for name, mask in wanted:
        best = min(int((mask != other).sum()) for label, other in found if label == name)
        assert best <= (6 if mask is inside else 0), (name, best)
    record = json.loads((tmp_path / "photos_segmented/a.json").read_text())
    assert {tuple(row["color"]) for row in record["classes"]} == {(17, 34, 51), (68, 85, 102)}
    assert any(row.get("attributes") == {"state": "wet"} for row in record["annotations"])


def test_coco_of_cvat_is_read_as_coco(photos, tmp_path):
    path = coco(photos, [square(3, 4, 10, id=1, attributes={"occluded": False})])
    report = icas.import_instances(path, photos, "cvat")
    assert report.objects == 1
    assert objects_of(photos)[0][1].sum() == 100


def test_unusable_annotations_are_listed_with_file_and_number(photos, capsys):
    annotations = [
        square(3, 4, 10, id=11),
        square(3, 4, 10, id=12, segmentation=[[1, 2, 3]]),
        square(3, 4, 10, id=13, image_id=99),
        square(3, 4, 10, id=14, segmentation={"size": [3, 3], "counts": [9]}),
    ]
    path = coco(photos, annotations)
    assert main(["import", str(path), "--images", str(photos)]) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: annotation 12 of a.png left out: polygon with fewer than 3 points",
        f"{path}: annotation 14 of a.png left out: run lengths for 3x3 pixels",
        f"{path}: annotation 13 of no listed image left out",
    ]
    assert len(objects_of(photos)) == 1


def test_an_image_of_another_size_is_an_error_of_that_image(photos, capsys):
    images = [
        {"id": 1, "file_name": "a.png", "height": 60, "width": 40},
        {"id": 2, "file_name": "b.png", "height": 40, "width": 60},
    ]
    path = coco(photos, [square(3, 4, 10), square(3, 4, 10, image_id=2)], images)
    assert main(["import", str(path), "--images", str(photos)]) == 3
    line = (
        f"{path}: a.png is 40x60 pixels, the image {photos / 'a.png'} is 60x40"
        " (coordinates must be those of the upright image)"
    )
    assert capsys.readouterr().err.splitlines() == [line]
    assert not objects_of(photos)
    assert len(objects_of(photos, "b.png")) == 1


def test_coordinates_are_those_of_the_upright_image(photos):
    exif = Image.Exif()
    exif[274] = 6
    Image.open(photos / "a.png").convert("RGB").save(photos / "a.jpg", exif=exif)
    (photos / "a.png").unlink()
    images = [{"id": 1, "file_name": "a.jpg", "height": 60, "width": 40}]
    icas.import_instances(coco(photos, [square(3, 44, 10)], images), photos)
    labels = np.asarray(Image.open(f"{photos}_segmented/a_labels.png"))
    assert labels.shape == (60, 40)
    np.testing.assert_array_equal(labels > 0, box((60, 40), 44, 3, 54, 13))


def test_crowds_are_below_and_overlaps_are_counted(photos, capsys):
    annotations = [
        square(10, 10, 10, id=1),
        square(0, 0, 30, id=2, iscrowd=1),
        square(12, 12, 3, id=3),
        square(12, 12, 3, id=4),
    ]
    assert main(["import", str(coco(photos, annotations)), "--images", str(photos)]) == 3
    shown = capsys.readouterr()
    assert "2 objects partly covered by later ones" in shown.out
    left = f"{photos / 'a.png'}: cat at [12, 12, 3, 3] left out: covered by later ones"
    assert shown.err.splitlines() == [left]
    assert sorted(int(mask.sum()) for _, mask in objects_of(photos)) == [9, 91, 800]
    record = json.loads((photos.parent / "photos_segmented/a.json").read_text())
    assert [row for row in record["annotations"] if row.get("crowd")]


def test_paintings_are_kept_unless_overwritten(photos, capsys):
    path = coco(photos, [square(3, 4, 10)])
    assert main(["import", str(path), "--images", str(photos)]) == 0
    path = coco(photos, [square(3, 4, 20)])
    assert main(["import", str(path), "--images", str(photos)]) == 0
    assert "1 image painted before, kept" in capsys.readouterr().out
    assert objects_of(photos)[0][1].sum() == 100
    assert main(["import", str(path), "--images", str(photos), "--overwrite"]) == 0
    assert objects_of(photos)[0][1].sum() == 400


def test_segmentimg_opens_what_was_imported(photos):
    path = coco(photos, [square(3, 4, 10), square(20, 4, 10)])
    icas.import_instances(path, photos)
    before = contents(photos)["a.png"]
    assert main([str(photos), "--no-gui", "--method", "edge", "--save", "masks,coco"]) == 0
    assert contents(photos)["a.png"] == before
    written = json.loads((photos.parent / "photos_segmented/coco.json").read_text())
    assert [row["name"] for row in written["categories"] if row["name"] == "cat"] == ["cat"]


def test_a_dry_run_writes_nothing(photos, capsys):
    path = coco(photos, [square(3, 4, 10)])
    assert main(["import", str(path), "--images", str(photos), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("1 image without annotations")
    assert not (photos.parent / "photos_segmented").exists()


def test_a_folder_without_the_images_is_an_error(photos, tmp_path, capsys):
    write_image(tmp_path / "others/x.png", SIZE)
    path = coco(photos, [square(3, 4, 10)])
    assert main(["import", str(path), "--images", str(tmp_path / "others")]) == 2
    line = f"segmentimg: none of the images in {path} is in {tmp_path / 'others'}: choose --images"
    assert capsys.readouterr().err.splitlines() == [line]


def test_images_are_found_by_their_folders(tmp_path):
    for folder in ("one", "two"):
        write_image(tmp_path / "photos" / folder / "a.png", SIZE)
    images = [
        {"id": 1, "file_name": "one/a.png", "height": SIZE[0], "width": SIZE[1]},
        {"id": 2, "file_name": "x\\two\\a.png", "height": SIZE[0], "width": SIZE[1]},
        {"id": 3, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
    ]
    path = coco(tmp_path / "photos", [square(1, 1, 5), square(1, 1, 9, image_id=2)], images)
    report = icas.import_instances(path, tmp_path / "photos", recursive=True)
    assert (report.images, report.objects) == (2, 2)
    assert len(report.left_out) == 1
    assert "a.png can be" in report.left_out[0]
    for folder, count in (("one", 25), ("two", 81)):
        labels = np.asarray(Image.open(tmp_path / f"photos/{folder}_segmented/a_labels.png"))
        assert (labels > 0).sum() == count


def test_labelme_shapes_of_a_group_are_one_object(photos, tmp_path):
    folder = tmp_path / "json"
    folder.mkdir()
    shapes = [
        {"label": "cat", "points": [[left, 2], [left + 5, 2], [left + 5, 8]], "group_id": group}
        for left, group in ((2, 1), (12, 1), (22, None), (32, None))
    ]
    content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": "..\\photos\\a.png"}
    (folder / "a.json").write_text(json.dumps(content), encoding="utf-16")
    (folder / "broken.json").write_text("{")
    report = icas.import_instances(folder, photos)
    assert report.objects == 3
    assert report.left_out == [
        f"{folder / 'broken.json'} is not valid JSON: repair it or move it away"
    ]


@pytest.mark.parametrize(
    "names",
    [
        "['cat', \"dog\"]",
        "{0: cat, 1: 'dog'}",
        "\n- cat\n- dog",
        "\n  0: cat # one\n  1: dog",
    ],
)
def test_yolo_names_and_boxes(photos, tmp_path, names):
    (tmp_path / "set/labels/train").mkdir(parents=True)
    (tmp_path / "set/data.yaml").write_text(f"train: images/train\nnames: {names}\nnc: 2\n")
    lines = ["1 0.5 0.5 0.5 0.5", "0 0 0 0.25 0 0.25 0.25 0 0.25", "0 x", "2 0 0 0 0.1 2.5 0.1"]
    (tmp_path / "set/labels/train/a.txt").write_text("\n".join(lines))
    report = icas.import_instances(tmp_path / "set", photos)
    assert report.classes == ("cat", "dog")
    assert len(report.left_out) == 2
    assert "a.txt: line 3 left out: not a line of numbers" in report.left_out[0]
    assert dict(objects_of(photos))["dog"].sum() == 20 * 30
    np.testing.assert_array_equal(dict(objects_of(photos))["cat"], box(SIZE, 0, 0, 10, 15))


def test_voc_with_boxes_only_and_with_colors(photos, tmp_path):
    folder = tmp_path / "VOC"
    (folder / "Annotations").mkdir(parents=True)
    corners = "<xmin>4</xmin><ymin>3</ymin><xmax>20</xmax><ymax>12</ymax>"
    xml = f"<annotation><object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"
    (folder / "Annotations/a.xml").write_text(xml)
    (folder / "SegmentationClass").mkdir()
    (folder / "labelmap.txt").write_text("# label:color:parts\nbackground:0,0,0::\nsky:9,8,7::\n")
    colored = np.zeros((*SIZE, 3), np.uint8)
    colored[:10] = (9, 8, 7)
    Image.fromarray(colored).save(folder / "SegmentationClass/b.png")
    report = icas.import_instances(folder, photos)
    assert report.left_out == []
    np.testing.assert_array_equal(dict(objects_of(photos))["cat"], box(SIZE, 2, 3, 12, 20))
    assert dict(objects_of(photos, "b.png"))["sky"].sum() == 600


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "labelme", "cvat", None])
def test_what_is_no_data_set_is_one_error(photos, tmp_path, capsys, name):
    (tmp_path / "other.bin").write_bytes(b"\0\1\2")
    words = [] if name is None else ["--format", name]
    for path in (tmp_path / "other.bin", photos):
        code = main(["import", str(path), "--images", str(photos), *words])
        lines = capsys.readouterr().err.splitlines()
        assert code in (2, 3)
        assert len(lines) == 1
        assert "unexpected" not in lines[0]


@pytest.mark.slow
def test_more_objects_than_can_be_numbered(tmp_path):
    size = (200, 200)
    write_image(tmp_path / "photos/a.png", size)
    lines = []
    for place in range(33_000):
        row, column = divmod(place, 200)
        x, y, d = column / 200, row / 200, 1 / 200
        lines.append(f"0 {x} {y} {x + d} {y} {x + d} {y + d} {x} {y + d}\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("".join(lines))
    (tmp_path / "data.yaml").write_text("names: [dot]")
    report = icas.import_instances(tmp_path / "data.yaml", tmp_path / "photos")
    assert report.left_out == [
        f"{tmp_path / 'photos' / 'a.png'}: more than 32,767 objects of one class"
    ]


def mutated(data, chance):
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(max(1, len(data)))
        what = chance.randrange(4)
        if what == 0:
            data[place : place + chance.randint(1, 30)] = b""
        elif what == 1:
            data[place:place] = chance.choice(
                [b"-1", b'"', b"{}", b"null", b"9e999", b"\xff", b"<"]
            )
        elif what == 2 and data:
            data[place] = chance.randrange(256)
        else:
            del data[place:]
    return bytes(data)


def fuzz(tmp_path, capsys, rounds):
    out = three_images(tmp_path / "photos")
    chance = random.Random(0)
    for name in ("coco", "yolo", "voc", "labelme"):
        icas.export_instances(out, tmp_path / name, name, transfer="none")
    (tmp_path / "cvat").mkdir()
    (tmp_path / "cvat/annotations.xml").write_text(CVAT)
    for number in range(rounds):
        name = chance.choice(["coco", "yolo", "voc", "labelme", "cvat"])
        paths = [
            path
            for path in sorted((tmp_path / name).rglob("*"))
            if path.is_file() and ".icas" not in path.parts and path.parent.name != "Segmentation"
        ]
        path = chance.choice(paths)
        before = path.read_bytes()
        path.write_bytes(mutated(before, chance))
        words = ["--images", str(tmp_path / "photos"), "--out", str(tmp_path / "in"), "--overwrite"]
        code = main(["import", str(tmp_path / name), "--format", name, *words])
        err = capsys.readouterr().err
        assert code in (0, 2, 3), (number, name, err)
        assert "unexpected error" not in err, (number, name, path, err)
        assert "Traceback" not in err
        assert code == 0 or err.strip(), (number, name, path)
        path.write_bytes(before)


def test_damaged_files_give_lines(tmp_path, capsys):
    fuzz(tmp_path, capsys, 60)


@pytest.mark.slow
def test_2000_damaged_files_give_lines(tmp_path, capsys):
    fuzz(tmp_path, capsys, 2000)
