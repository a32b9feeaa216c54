"""Folders of templates, attentions, segments and masks."""

from __future__ import annotations

import numpy as np
import pytest

from icas.common.errors import UsageError
from icas.io.reading import write_image
from icas.segmentimg.templates.files import load_templates
from icas.segmentimg.templates.templates import colors_for, made_attention

NAMES = ["t1.png", "t2.png", "t10.png"]
SIZES = [(10, 12), (20, 8), (16, 16)]


def pictures(folder, names=NAMES, sizes=SIZES, seed=0, order=1):
    """A folder of noise, one size each; files are made in `order`."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    made = {
        name: rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        for name, size in zip(names, sizes, strict=True)
    }
    for name in names[::order]:
        write_image(folder / name, made[name])
    return [made[name] for name in names]


def flags(folder, names, value=255):
    """A folder of pictures that are black but for the upper half."""
    folder.mkdir()
    for name, size in zip(names, SIZES, strict=True):
        image = np.zeros(size, np.uint8)
        image[: size[0] // 2] = value
        write_image(folder / name, image)


def upper(size) -> np.ndarray:
    return np.arange(size[0])[:, None] * np.ones(size) < size[0] // 2


def test_templates_alone(tmp_path):
    images = pictures(tmp_path / "t")
    found = load_templates(tmp_path / "t")
    assert [one.name for one in found] == NAMES
    assert [tuple(one.segment[0, 0]) for one in found] == colors_for(3)
    for one, image in zip(found, images, strict=True):
        assert (one.image == image).all()
        assert (one.attention == made_attention(image)).all()
        assert (one.mask == one.attention).all()


def test_four_folders_go_together_by_the_order_of_names(tmp_path):
    images = pictures(tmp_path / "t", order=-1)
    flags(tmp_path / "a", ["x1.png", "x3.png", "x20.png"], value=1)
    segments = pictures(tmp_path / "s", ["a.png", "b.png", "c.png"], seed=1, order=-1)
    flags(tmp_path / "m", ["1.png", "5.png", "11.png"])
    found = load_templates(*(tmp_path / name for name in "tasm"))
    for one, image, segment, size in zip(found, images, segments, SIZES, strict=True):
        assert (one.image == image).all()
        assert (one.segment == segment).all()
        assert (one.attention == upper(size)).all()
        assert (one.mask == upper(size)).all()


def test_masks_come_from_segments(tmp_path):
    pictures(tmp_path / "t")
    flags(tmp_path / "s", NAMES, value=7)
    for one, size in zip(
        load_templates(tmp_path / "t", segments=tmp_path / "s"), SIZES, strict=True
    ):
        assert (one.mask == upper(size)).all()


def test_colours_in_order(tmp_path):
    pictures(tmp_path / "t")
    found = load_templates(tmp_path / "t", colors=[(1, 2, 3), (4, 5, 6)])
    colors = [tuple(map(int, one.segment[0, 0])) for one in found]
    assert colors[:2] == [(1, 2, 3), (4, 5, 6)]
    assert len(set(colors)) == 3


def test_another_number_of_pictures(tmp_path):
    pictures(tmp_path / "t")
    pictures(tmp_path / "m", NAMES[:2], SIZES[:2])
    with pytest.raises(UsageError) as error:
        load_templates(tmp_path / "t", masks=tmp_path / "m")
    words = str(error.value)
    assert f"3 templates in {tmp_path / 't'}" in words
    assert f"2 masks in {tmp_path / 'm'}" in words
    assert "\n" not in words


def test_another_size(tmp_path):
    pictures(tmp_path / "t")
    pictures(tmp_path / "a", NAMES, [SIZES[0], (20, 9), SIZES[2]])
    with pytest.raises(UsageError) as error:
        load_templates(tmp_path / "t", tmp_path / "a")
    words = str(error.value)
    assert f"{tmp_path / 'a' / 't2.png'} is 9x20" in words
    assert f"{tmp_path / 't' / 't2.png'} is 8x20" in words


def test_sizes_are_checked_before_any_picture_is_read(tmp_path, monkeypatch):
    pictures(tmp_path / "t")
    pictures(tmp_path / "a", NAMES, SIZES[::-1])
    monkeypatch.setattr("icas.segmentimg.templates.files.read_image", lambda path: 1 / 0)
    with pytest.raises(UsageError):
        load_templates(tmp_path / "t", tmp_path / "a")


def test_folders_that_are_empty_or_none(tmp_path):
    (tmp_path / "t").mkdir()
    with pytest.raises(UsageError, match=r"no images in .*the folder of templates"):
        load_templates(tmp_path / "t")
    with pytest.raises(UsageError, match="no folder"):
        load_templates(tmp_path / "none")
    pictures(tmp_path / "full")
    with pytest.raises(UsageError, match="the folder of segments"):
        load_templates(tmp_path / "full", segments=tmp_path / "t")


@pytest.mark.parametrize("part", ["template", "mask"])
def test_a_picture_that_cannot_be_read(tmp_path, part):
    for name in ("template", "mask"):
        pictures(tmp_path / name)
    whole = (tmp_path / part / "t2.png").read_bytes()
    (tmp_path / part / "t2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=rf"cannot read {part} .*t2\.png: "):
        load_templates(tmp_path / "template", masks=tmp_path / "mask")
    (tmp_path / part / "t2.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=rf"cannot read {part} .*t2\.png: "):
        load_templates(tmp_path / "template", masks=tmp_path / "mask")


def test_a_template_that_nothing_counts_of_is_named(tmp_path):
    pictures(tmp_path / "t")
    flags(tmp_path / "a", NAMES, value=0)
    with pytest.raises(UsageError, match=r"'t1\.png'.*attention is all black"):
        load_templates(tmp_path / "t", tmp_path / "a")
