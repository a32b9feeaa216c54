"""Images in every form that Python programs have them in; one label each; errors in one line."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import icas
from icas import UsageError

CUP, CAT = data.coffee()[:200, :300], data.chelsea()[:200, :300]
SMALL = CUP[::2, ::2]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two cups and a cat, and two files that cannot be read."""
    monkeypatch.chdir(tmp_path)
    for name, image in (("cup", CUP), ("small", SMALL), ("cat", CAT)):
        Image.fromarray(image).save(f"{name}.png")
    Path("text.jpg").write_text("no image")
    return ["cup.png", "text.jpg", "small.png", "gone.png", "cat.png"]


FORMS = {
    "arrays": lambda image: image,
    "floats": lambda image: image / 255,
    "float32": lambda image: (image / 255).astype(np.float32),
    "PIL": Image.fromarray,
    "RGBA": lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("container", [list, tuple, iter])
def test_every_form_gives_the_same_clusters(form, container):
    images = container([FORMS[form](image) for image in (CUP, CAT, SMALL)])
    assert icas.ImageClusterer(method="imagehash", threshold=0.9).fit_predict(images).tolist() == [
        0,
        -1,
        0,
    ]


def test_a_series_of_paths(files):
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["cup.png", "small.png"], index=[7, 3])
    assert icas.ImageClusterer(method="imagehash", threshold=0.9).fit_predict(series).tolist() == [
        0,
        0,
    ]


def test_gray_forms():
    gray = CUP[..., 0]
    shapes = [gray, gray[..., None], np.repeat(gray[..., None], 3, 2), Image.fromarray(gray)]
    matrix = icas.similarity_matrix(shapes, method="tm")
    assert (matrix == 1).all()


def test_pil_images_are_turned_as_their_files_are(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(CUP).save(tmp_path / "turned.png", exif=exif)
    opened = Image.open(tmp_path / "turned.png")
    expected = icas.read_image(tmp_path / "turned.png")
    assert (icas.PaintDocument(opened, np.ones((300, 200), np.int32)).image == expected).all()


def test_one_label_for_each_file(files):
    model = icas.ImageClusterer(method="imagehash", threshold=0.9)
    with pytest.warns(UserWarning, match=r"cannot read text.jpg .*, and 1 more: labelled -1"):
        labels = model.fit_predict(files)
    assert labels.tolist() == [0, -1, 0, -1, -1]
    assert model.files_ == tuple(files)
    assert [one.file for one in model.unreadable_] == ["text.jpg", "gone.png"]
    assert model.links_[["a", "b"]].tolist() == [(0, 2)]
    assert model.medoids_.tolist()[0] in (0, 2)
    assert icas.labels_at(model.forest_, 0.9).tolist() == labels.tolist()


def test_a_list_of_files_is_clustered_on_disk(files):
    report = icas.cluster([*files, "cup.png"], method="imagehash", threshold=0.9, dst="sorted")
    assert sorted(report.files) == ["cat.png", "cup.png", "small.png"]
    assert {one.file for one in report.unreadable} == {"text.jpg", "gone.png"}
    assert {path.name for path in Path("sorted/result/cluster_0").iterdir()} == {
        "cup.png",
        "small.png",
    }
    Path("other").mkdir()
    Image.fromarray(CUP).save("other/cup.png")
    report = icas.cluster(
        (Path("other/cup.png"), "cup.png"), method="imagehash", threshold=0.9, dst="both"
    )
    assert sorted(report.files) == ["cup.png", "other/cup.png"]
    assert report.clusters == 1
    for wrong, message in (
        ([], "the list is empty"),
        ([CUP], "use icas.ImageClusterer"),
        (None, "None was given"),
    ):
        with pytest.raises(UsageError, match=message):
            icas.cluster(wrong, dst="none")


def test_paths_where_one_image_is_taken(files):
    labels = icas.segment("cup.png", region_size=40)
    assert labels.shape == CUP.shape[:2]
    assert icas.PaintDocument(Path("cup.png"), labels).image.shape == CUP.shape
    assert icas.grabcut("cup.png", box=(20, 20, 100, 100), rounds=1).shape == CUP.shape[:2]
    with pytest.raises(UsageError, match=r"cannot read text.jpg: not an image"):
        icas.segment("text.jpg")


WRONG = {
    "threshold 2": ({"threshold": 2}, [CUP], "threshold 2: expected a number up to 1"),
    "threshold nan": ({"threshold": float("nan")}, [CUP], "threshold nan"),
    "threshold text": ({"threshold": "high"}, [CUP], "threshold 'high'"),
    "scale 0": ({"scale": 0}, [CUP], "scale 0: must be between"),
    "no method": ({"method": None}, [CUP], "method None: expected a name"),
    "no images": ({}, [], "the list is empty"),
    "a dict": ({}, {"a": CUP}, "a dict was given"),
    "None": ({}, None, "None was given"),
    "None inside": ({}, [CUP, None], "image 1 is None"),
    "bytes": ({}, [b"cup.png"], "image 0 is a bytes"),
    "one image": ({}, CUP, r"a single array of shape \(200, 300, 3\)"),
    "one PIL image": ({}, Image.fromarray(CUP), "a single PIL image"),
    "large floats": ({}, [CUP.astype(float)], r"values outside \[0, 1\]"),
    "integers": ({}, [CUP.astype(np.int64)], "image 0 is int64"),
    "channels first": ({}, [np.moveaxis(CUP, 2, 0)], r"300 channels.*np.moveaxis\(image, 0, 2\)"),
    "a missing path": ({}, ["cup.png", float("nan")], "image 1 is nan: expected a path"),
    "no path": ({}, ["cup.png", None], "image 1 is None: expected a path"),
    "typing error": ({"hash_siz": 8}, [CUP], "unknown keyword hash_siz .* did you mean hash_size"),
    "another's option": (
        {"hash_size": 8},
        [CUP],
        "hash_size is an option of method 'imagehash', and method auto",
    ),
    "a wrong option": ({"method": "tm", "corners": 8}, [CUP], "unknown keyword corners of method"),
}


class Place:
    """A path of another library."""

    def __fspath__(self):
        return "cup.png"


def test_paths_of_other_libraries(files):
    model = icas.ImageClusterer("imagehash", 0.9)
    assert model.fit_predict([Place(), "small.png"]).tolist() == [0, 0]


def test_images_of_pil_that_cannot_be_decoded(files):
    closed = Image.open("cup.png")
    closed.close()
    truncated = Image.open(io.BytesIO(Path("cup.png").read_bytes()[:500]))
    for image in (closed, truncated):
        with pytest.raises(UsageError, match="image 0 cannot be decoded: "):
            icas.ImageClusterer(threshold=0.9).fit([image])


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(name):
    options, images, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as caught:
        icas.ImageClusterer(**{"threshold": 0.9, **options}).fit(images)
    assert "\n" not in str(caught.value)


def test_keywords_are_named_as_keywords(files):
    with pytest.raises(UsageError, match=r"unknown keyword transfr of icas.cluster: .* transfer"):
        icas.cluster("photos", transfr="move")
    with pytest.raises(UsageError, match="unknown keyword region_sise of method 'superpixel'"):
        icas.segment(CUP, region_sise=9)
    with pytest.raises(UsageError, match="templates: a dict was given"):
        icas.paint_templates(CUP, {"cup": SMALL})


def test_a_report_becomes_a_table(files):
    pandas = pytest.importorskip("pandas")
    table = icas.cluster(
        ["cup.png", "small.png", "cat.png"], method="imagehash", threshold=0.9, dst="x"
    ).to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == ["file", "cluster", "representative", "label"]
    assert dict(zip(table.file, table.cluster, strict=True)) == {
        "cup.png": 0,
        "small.png": 0,
        "cat.png": -1,
    }


def test_processes_from_a_script_on_standard_input(files):
    script = (
        "import icas\nmodel = icas.ImageClusterer('tm', .9, executor='processes', jobs=2)\n"
        "print(model.fit_predict(['cup.png', 'small.png']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[0 0]\n", done.stderr
    assert done.stderr == ""
