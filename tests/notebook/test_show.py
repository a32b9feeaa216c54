"""`icas.show` and what notebooks show of icas's own objects."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
from icas.notebook.html import table
from icas.notebook.show import MOST

RED = (204, 0, 0)


class Seen(HTMLParser):
    """Tags, texts and pictures of a piece of HTML, which has to be whole."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text += data

    def pictures(self) -> list[np.ndarray]:
        coded = [attrs["src"].partition(",")[2] for tag, attrs in self.tags if tag == "img"]
        files = [io.BytesIO(base64.b64decode(one)) for one in coded]
        return [np.asarray(Image.open(one).convert("RGB")) for one in files]


def pictures_of(thing) -> list[np.ndarray]:
    return Seen(thing._repr_html_()).pictures()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return samples.coffee()[::2, ::2]


@pytest.fixture(scope="module")
def labels(image) -> np.ndarray:
    return icas.segment(image, "graph", k=400.0)


def test_a_picture_is_shown_as_it_is(image) -> None:
    (shown,) = pictures_of(icas.show(image))
    assert shown.shape == image.shape
    assert np.abs(shown.astype(int) - image).mean() < 6  # JPEG
    sheet = np.asarray(Image.open(io.BytesIO(icas.show(image).png())))
    assert (sheet[12:212, 12:312] == image).all()
    assert (sheet[:12] == 255).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([[0, 255]], np.uint8), [[0, 0, 0], [255, 255, 255]]),
        (np.array([[0, 65535]], np.uint16), [[0, 0, 0], [255, 255, 255]]),
        (np.array([[0.0, 1.0]]), [[0, 0, 0], [255, 255, 255]]),
        (np.array([[[0, 0, 9, 0], [0, 0, 9, 255]]], np.uint8), [[255, 255, 255], [0, 0, 9]]),
        (np.array([[False, True]]), [[0, 0, 0], [255, 255, 255]]),
    ],
)
def test_kinds_of_arrays(given, expected) -> None:
    sheet = np.asarray(Image.open(io.BytesIO(icas.show(given).png())))
    # two pixels, each shown 48 times as large
    assert sheet[36, [36, 84]].tolist() == expected


def test_labels_get_colours_and_zero_is_black() -> None:
    for kind in (np.int32, np.int64, np.uint32, np.int16):
        (shown,) = pictures_of(icas.show(np.array([[0, 7], [7, 9]], kind)))
        assert (shown[0, 0] == 0).all()
        assert (shown[0, 1] == shown[1, 0]).all()
        assert (shown[1, 1] != shown[0, 1]).any()
    assert "2 labels" in icas.show(np.array([[0, 7], [7, 9]]))._repr_html_()


def test_borders_and_masks_lie_over_a_picture(image, labels) -> None:
    outlined, masked = pictures_of(icas.show((image, labels), (image, labels == labels[75, 130])))
    inside = labels == labels[75, 130]
    assert outlined.shape == masked.shape == image.shape
    border = np.zeros(labels.shape, bool)
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    border[:-1] |= labels[:-1] != labels[1:]
    changed = np.abs(outlined.astype(int) - image).sum(axis=2)
    assert changed[border].mean() > 4 * changed[~border].mean()
    assert masked[inside].astype(int)[:, 0].mean() > image[inside].astype(int)[:, 0].mean()
    assert masked[~inside].mean() > image[~inside].mean()  # paler
    assert f"{labels.max()} segments" in icas.show((image, labels))._repr_html_()


def test_a_document_is_shown_with_its_paint(image, labels) -> None:
    document = icas.PaintDocument(image, labels)
    before = pictures_of(document)[0].astype(int)
    document.fill(75, 130, RED)
    after = pictures_of(document)[0].astype(int)
    painted = document.masks()[RED]
    changed = np.abs(after - before).sum(axis=2)
    assert changed[painted].mean() > 20 * changed[~painted].mean()
    assert "1 colour" in Seen(document._repr_html_()).text


def test_colours_are_shown_beside_the_original(image) -> None:
    made = icas.kmeans_colors(image, 4)
    original, clustered = pictures_of(made)
    assert np.abs(original.astype(int) - image).mean() < 6
    assert np.abs(clustered.astype(int) - made.picture).mean() < 6
    labels, centres, picture = made
    assert (labels.shape, centres.shape, picture.shape) == (image.shape[:2], (4, 3), image.shape)
    assert len(pictures_of(made._replace(picture=image))) == 1  # made by hand: no original


def test_places_are_framed(image) -> None:
    found = icas.paint_templates(image, [image[60:90, 100:140]], threshold=0.001)
    place = found.places[0]
    alone, over = (pictures_of(one)[0] for one in (found, icas.show((image, found))))
    for shown in (alone, over):
        row = shown[place.row, place.col : place.col + place.width].astype(int)
        assert row[:, 0].mean() > row[:, 1:].mean() + 60
    assert (alone[:40, :80] < 10).all()


def test_a_merge_tree_is_shown_at_several_levels(image) -> None:
    tree = icas.merge_tree(image, icas.segment(image))
    text = Seen(tree._repr_html_()).text
    wanted = (tree.count, tree.count // 4, tree.count // 16)
    assert [int(one) for one in re.findall(r"(\d+) labels?", text)][:3] == list(wanted)


def test_numbers_are_shown_as_tables() -> None:
    found = icas.evaluate([0, 0, 1, 1], ["a", "a", "a", "b"])
    seen = Seen(found._repr_html_())
    assert "4 images" in seen.text
    assert f"{found.precision:.3f}" in seen.text
    told = Seen(icas.estimate(20000, 50, 2500, 0.5)._repr_html_()).text
    assert all(word in told for word in ("20,000 images", "batches8", "all pairs199,990,000"))
    assert Seen(table("<b>", [("<i>", "&")])).text == "<b><i>&"


def test_folders_and_paths(photos, tmp_path) -> None:
    (tmp_path / "no<b>.png").write_bytes(b"nonsense")
    Image.new("RGB", (30, 20), RED).save(tmp_path / "red.png")
    seen = Seen(icas.show(tmp_path, photos / "moon.png")._repr_html_())
    assert "no<b>.png: " in seen.text
    assert "moon.png" in seen.text
    assert len(seen.pictures()) == 3
    with pytest.raises(icas.UsageError, match="not an image"):
        icas.show(tmp_path / "no<b>.png")


def test_there_is_an_end(photos) -> None:
    sheet = icas.show([np.zeros((4, 4), np.uint8)] * (MOST + 12))
    seen = Seen(sheet._repr_html_())
    assert len(seen.pictures()) == MOST
    assert "… and 12 more" in seen.text
    large = np.zeros((9000, 2000, 3), np.uint8)
    assert pictures_of(icas.show(large, width=50))[0].shape == (100, 22, 3)


def test_titles_are_text(image) -> None:
    title = '<script>"\N{RIGHT-TO-LEFT OVERRIDE}\udcff'
    html = icas.show(image, titles=title)._repr_html_()
    html.encode()
    assert "<script>" not in html
    assert Seen(html).text == '<script>"\\u202e\\xff'
    assert icas.show(image, titles=title).png()


def test_grids(image) -> None:
    sheet = icas.show([image] * 5, columns=2, width=60)
    assert "repeat(2," in sheet._repr_html_()
    size = Image.open(io.BytesIO(sheet.png())).size
    assert size == (12 + 2 * 72, 12 + 3 * (40 + 26 + 12))


def test_results_stand_beside_pictures(image, tmp_path) -> None:
    found = icas.evaluate([0, 0], ["a", "a"])
    sheet = icas.show(image, found, titles=["picture", "numbers"])
    assert Seen(sheet._repr_html_()).text.startswith("picture2 images")
    sheet.save(tmp_path / "sheet.html")
    assert b"numbers" in (tmp_path / "sheet.html").read_bytes()
    with pytest.raises(icas.UsageError, match=r"save it as \.html"):
        sheet.save(tmp_path / "sheet.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_sheet_is_saved(image, tmp_path, suffix) -> None:
    icas.show(image, image).save(tmp_path / f"sheet{suffix}")
    with Image.open(tmp_path / f"sheet{suffix}") as saved:
        assert saved.size == (12 + 2 * 312, 12 + 200 + 26 + 12)


@pytest.mark.parametrize(
    ("things", "settings", "words"),
    [
        ((3,), {}, "cannot show int"),
        ((np.zeros((2, 2, 5), np.uint8),), {}, "5 channels"),
        ((np.array([[0.0, 7.0]]),), {}, "values from 0 to 7"),
        (((np.zeros((4, 4), np.uint8), np.zeros((4, 5), bool)),), {}, "the overlay"),
        (((np.zeros((4, 4), np.uint8), "a"),), {}, "cannot use str as overlay"),
        (((1, 2, 3),), {}, "got 3 items"),
        ((np.zeros((4, 4), np.uint8),), {"titles": ["a", "b"]}, "2 titles for 1 item"),
        ((np.zeros((4, 4), np.uint8),), {"columns": 0}, "columns 0"),
        ((np.zeros((4, 4), np.uint8),), {"width": 0}, "width 0"),
        (("nowhere.png",), {}, "cannot show nowhere.png"),
    ],
)
def test_what_cannot_be_shown_is_said(things, settings, words) -> None:
    with pytest.raises(icas.UsageError, match=re.escape(words)):
        icas.show(*things, **settings)


def test_other_suffixes_are_refused(image, tmp_path) -> None:
    with pytest.raises(icas.UsageError, match=r"\.png, \.jpg or \.html"):
        icas.show(image).save(tmp_path / "sheet.gif")


def test_nothing_is_printed_and_ipython_is_not_loaded() -> None:
    code = (
        "import sys, icas, numpy as np; before = set(sys.modules);"
        "assert not any(name.startswith('icas._show') for name in before);"
        "icas.show(np.zeros((4, 4), np.uint8))._repr_html_();"
        "assert not {'IPython', 'matplotlib', 'torch'} & set(sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
