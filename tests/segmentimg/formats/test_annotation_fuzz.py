"""Damaged annotation files: the folder is always finished, and nothing is lost in silence."""

from __future__ import annotations

import base64
import copy
import io
import json
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from icas.segmentimg.commands.main import main
from icas.segmentimg.formats.coco import encode_rle

HEIGHT, WIDTH = 18, 24
BOX = [[4, 3], [16, 3], [16, 12], [4, 12]]
ODD = [
    None, True, 0, -1, 7, 2**70, 1e308, float("nan"), float("inf"), "", "x", "\ud800", "\0", "[]",
    "a" * 300, [], {}, [[]], [None], [[1]], [[1, 2]], {"a": 1}, [1, 2, 3], ["x", "y"],
]  # fmt: skip


def png_text(mask):
    data = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def labelme():
    kinds = ("polygon", "rectangle", "quadrilateral", "ellipse", "cuboid")
    shapes = [
        {"label": f"class {number}", "points": BOX, "shape_type": kind, "group_id": None}
        for number, kind in enumerate(kinds)
    ]
    mask = {"shape_type": "mask", "points": [[1, 1], [4, 4]], "mask": png_text(np.ones((4, 4)))}
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [*shapes, {"label": "m", "flags": {}, **mask}],
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def coco():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 4:9] = True
    segmentations = [[[4, 3, 16, 3, 16, 12]], encode_rle(mask), [[1, 1, 9, 1, 9, 9], [2, 2, 3, 3]]]
    return {
        "images": [
            {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}
            for number, name in enumerate(("a.png", "b.png"))
        ],
        "categories": [{"id": 3, "name": "cup"}, {"id": 4, "name": "cat"}],
        "annotations": [
            {
                "id": n,
                "image_id": 0,
                "category_id": 3 + n % 2,
                "segmentation": one,
                "iscrowd": n % 2,
            }
            for n, one in enumerate(segmentations)
        ],
    }


def places(node, path=()):
    """Paths of all values in JSON."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def mutated_json(rng, content):
    """The bytes of a file with one to three mutations."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(places(content)))
        node = content
        for key in path[:-1]:
            node = node[key]
        turn = rng.random()
        if turn < 0.3:
            del node[path[-1]]
        elif turn < 0.4 and isinstance(node, list):
            node.insert(path[-1], copy.deepcopy(rng.choice(ODD)))
        else:
            node[path[-1]] = copy.deepcopy(rng.choice(ODD))
        if not content:
            break
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
    data = json.dumps(content, ensure_ascii=rng.random() < 0.7).encode(encoding, "replace")
    return mutated_bytes(rng, data) if rng.random() < 0.3 else data


def mutated_bytes(rng, data):
    data, place = bytearray(data), rng.randrange(len(data))
    turn = rng.random()
    if turn < 0.3:
        return bytes(data[:place])
    if turn < 0.5:
        del data[place : place + rng.randint(1, 20)]
    else:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def is_empty_on_purpose(data, kind):
    """Whether the file is valid and has no annotation of the image."""
    try:
        content = json.loads(data.decode("utf-16" if b"\0" in data else "utf-8-sig"))
        if kind == "labelme":
            name = content.get("imagePath")
            return "shapes" not in content or content["shapes"] == [] or name == "b.png"
        ids = [entry["id"] for entry in content["images"] if entry.get("file_name") == "a.png"]
        return not any(entry["image_id"] in ids for entry in content["annotations"])
    except Exception:
        return False


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    pixels = np.indices((HEIGHT, WIDTH)).sum(0).astype(np.uint8) * 6
    for name in ("a", "b"):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def saved(source, tmp_path_factory):
    """A folder of results, to be damaged."""
    folder = tmp_path_factory.mktemp("saved")
    (source / "a.json").write_text(json.dumps(labelme()))
    words = ["--no-gui", "--method", "edge", "--save", "masks,labels,coco,labelme", "-q"]
    assert main([str(source), "--out", str(folder), *words]) == 0
    (source / "a.json").unlink()
    return folder


def run(source, out, capsys, kind, data):
    for path in out.glob("b_*"):
        path.unlink()
    words = ["--no-gui", "--method", "edge", "--save", "labels", "--jobs", "1"]
    code = main([str(source), "--out", str(out), *words])
    said = capsys.readouterr().err
    assert code in (0, 3), said
    assert "Traceback" not in said
    shared = f"unreadable: {source / 'b.png'}: " in said and "coco.json" in said
    assert (out / "b_labels.png").exists() or shared, said
    labels = out / "a_labels.png"
    painted = labels.exists() and bool(np.asarray(Image.open(labels)).any())
    assert painted or said or is_empty_on_purpose(data, kind), data[:3000]
    assert code == 3 or labels.exists()


def fuzz(kind, source, saved, tmp_path, capsys, count):
    rng = random.Random(kind)
    for turn in range(count):
        folder, out = tmp_path / f"p{turn}", tmp_path / f"out{turn}"
        shutil.copytree(source, folder)
        if kind in ("labelme", "coco"):
            data = mutated_json(rng, labelme() if kind == "labelme" else coco())
            name = "a.json" if kind == "labelme" else "coco.json"
            same = kind == "labelme" and turn % 3 == 0
            out = folder if same else out
            out.mkdir(exist_ok=True)
            (folder / name if turn % 2 or same else out / name).write_bytes(data)
            if kind == "labelme" and not (folder / name).exists():
                shutil.move(out / name, folder / name)
        else:
            shutil.copytree(saved, out)
            endings = {
                "record": [".json"],
                "masks": [".png"],
                "own": ["a_labelme.json", "coco.json"],
            }
            files = [
                path for path in sorted(out.iterdir()) if path.name.endswith(tuple(endings[kind]))
            ]
            path = rng.choice([path for path in files if not path.name.startswith("b")])
            data = mutated_bytes(rng, path.read_bytes())
            if kind == "own":
                for other in out.glob("a*"):
                    if other != path and other.is_file():
                        other.unlink()
            path.write_bytes(data)
        run(folder, out, capsys, kind, data)
        shutil.rmtree(folder)
        shutil.rmtree(out, ignore_errors=True)


KINDS = ("labelme", "coco", "record", "masks", "own")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_annotations_never_stop_a_folder(kind, source, saved, tmp_path, capsys):
    fuzz(kind, source, saved, tmp_path, capsys, 50)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_annotations_never_stop_a_folder(kind, source, saved, tmp_path, capsys):
    fuzz(f"{kind}", source, saved, tmp_path, capsys, 500)
