"""`icas.paint`: images of any form, in a frame of a notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    for name in ("coffee", "rocket"):
        Image.fromarray(getattr(samples, name)()).resize((120, 80)).save(made / f"{name}.png")
    return made


def program(client_of, server):
    client = client_of(server.url)
    while client.http.get("/api/doc/0").status_code == 202:
        pass
    return client


def test_masks_follow_the_commands_of_the_page(folder, client_of):
    with icas.paint(folder, classes={"cup": (9, 99, 9), "table": (9, 9, 200)}) as server:
        assert [Path(file).name for file in server.files] == ["coffee.png", "rocket.png"]
        assert server.out == str(folder.parent / "photos_segmented")
        client = program(client_of, server)
        assert [one["name"] for one in client.state()["classes"]] == ["cup", "table"]
        assert client.state()["classes"][0]["color"] == "#096309"
        client.done("commands", op="rectangle", image=0, args={"box": [5, 6, 15, 26], "class": 2})
        masks = server.masks("coffee.png")
        assert list(masks) == ["table"]
        assert masks["table"].shape == (80, 120)
        assert masks["table"].sum() == 200
        assert masks["table"][5:15, 6:26].all()
        assert server.masks(1) == {}
        client.done("commands", op="save", image=0, args={})
        client.http.close()
    saved = icas.read_image(folder.parent / "photos_segmented" / "coffee_labels.png")
    assert (saved[..., 0] > 0).sum() == 200


def test_arrays_and_pillow_images(tmp_path, client_of):
    small = samples.coffee()[::8, ::8]
    for images in (small, [small, Image.fromarray(small)], (small / 255.0).astype(np.float32)):
        with icas.paint(images, out=tmp_path / "out", region_size=12) as server:
            assert Path(server.out) == tmp_path / "out"
            assert len(server.files) == (2 if isinstance(images, list) else 1)
            np.testing.assert_array_equal(icas.read_image(server.files[0]), small)
            program(client_of, server).http.close()
        assert not Path(server.files[0]).exists()


def test_a_cell_that_is_run_again_closes_the_session_before(folder, client_of):
    first = icas.paint(folder)
    second = icas.paint(folder / "coffee.png")
    try:
        assert first.url != second.url
        program(client_of, second).http.close()
    finally:
        second.close()
        first.close()


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        ("nowhere", {}, "nowhere does not exist"),
        ([], {}, "at least one"),
        (3, {}, "image"),
        (np.zeros((4, 4, 7)), {}, "image"),
        (".", {"port": "x"}, "port"),
        (".", {"method": "nothing"}, "nothing"),
        (".", {"region_size": -1}, "region"),
        (".", {"no_such_option": 1}, "^no_such_option is no option"),
        (".", {"classes": [3]}, "classes"),
        (".", {"classes": {"a": "red"}}, "red, green and blue"),
    ],
)
def test_wrong_arguments_are_refused(images, options, words):
    with pytest.raises(icas.UsageError, match=words):
        icas.paint(images, **options)


def test_cell_shows_a_widget(folder):
    pytest.importorskip("anywidget", reason="no anywidget: pip install 'icas[web]'")
    with icas.paint(folder) as server:
        bundle = server._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert "application/vnd.jupyter.widget-view+json" in data
        assert str(server._widget.port) in server.url
        assert server._widget.title == "icas paint"
        assert repr(server).startswith("<PaintServer of 2 images -> ")


def test_masks_of_unknown_images_are_refused(folder):
    with icas.paint(folder) as server:
        for image in (2, -1, "moon.png", True, 0.5):
            with pytest.raises(icas.UsageError, match="image"):
                server.masks(image)
