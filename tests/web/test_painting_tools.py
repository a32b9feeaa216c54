"""Tools of painting in the browser, over HTTP: live prompts, growing, templates."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

import icas
from icas.segmentimg.settings import SegmentSettings

SIZE = (180, 120)
"""Width and height of the images."""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two small photographs."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("coffee", "astronaut"):
        Image.fromarray(getattr(samples, name)()).resize(SIZE).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def painting(client_of: Any) -> Any:
    """Serve a folder to a program; images 0 and 1 are open."""

    @contextmanager
    def serve(folder: Path, sam: Any = None, **given: Any) -> Iterator[Any]:
        from icas.web.painting import serving

        with serving([folder], SegmentSettings(**given), sam) as server:
            server.start()
            client = client_of(server.address.url, token_hex(4))  # ids of its own
            for number in (1, 0):
                while client.http.get(f"/api/doc/{number}").status_code == 202:
                    pass
            client.painting = server.painting
            yield client
            client.http.close()
            server.stop()

    return serve


@pytest.fixture
def client(painting: Any, pictures: Path) -> Iterator[Any]:
    with painting(pictures) as one:
        yield one


def prompted(client: Any, **body: Any) -> Any:
    """The final answer to a prompt."""
    for serial in range(10):
        answer = client.http.post("/api/prompt", json={"serial": serial, **body})
        assert answer.status_code == 200, answer.text
        if not answer.json().get("more"):
            return answer.json()
    raise AssertionError("the rounds do not end")


def mask_in(answer: Any, shape: tuple[int, ...] = SIZE[::-1]) -> np.ndarray:
    top, left, bottom, right = answer["box"]
    bits = np.frombuffer(gzip.decompress(base64.b64decode(answer["data"])), np.uint8)
    mask = np.zeros(shape, bool)
    rows = np.unpackbits(bits.reshape(bottom - top, -1), axis=1, count=right - left)
    mask[top:bottom, left:right] = rows
    return mask


def document(client: Any, number: int) -> Any:
    return client.painting.opened(number).document


def test_a_prompt_becomes_an_object(client, pictures):
    box = [20, 30, 110, 160]
    answer = prompted(client, image=1, tool="grabcut", box=box)
    image = icas.read_image(pictures / "coffee.png")
    mask = icas.grabcut(image, box=(30, 20, 160, 110))
    np.testing.assert_array_equal(mask_in(answer), mask)

    args = {"prompt": answer["prompt"], "class": 2}
    done = client.done("commands", op="mask", image=1, args=args)
    assert [(one["class"], one["number"]) for one in done["delta"]["objects"]] == [(2, 1)]
    np.testing.assert_array_equal(document(client, 1).class_map() == 2, mask)
    second = prompted(client, image=1, tool="grabcut", box=[60, 20, 115, 90])
    args = {"prompt": second["prompt"], "class": 2}
    done = client.done("commands", op="mask", image=1, args=args)
    assert {one["number"] for one in done["delta"]["objects"]} == {1, 2}

    undone = client.done("undo", image=1)
    assert [one["number"] for one in undone["delta"]["objects"]] == [1]
    np.testing.assert_array_equal(document(client, 1).class_map() == 2, mask)


def test_a_mask_replaces_a_wrong_one(client):
    client.done("commands", op="rectangle", image=1, args={"box": [0, 0, 30, 30], "class": 2})
    client.done("commands", op="rectangle", image=1, args={"box": [90, 0, 99, 9], "class": 1})
    answer = prompted(client, image=1, tool="grabcut", box=[20, 30, 110, 160])
    args = {"prompt": answer["prompt"], "class": 2, "replace": True}
    done = client.done("commands", op="mask", image=1, args=args)
    found = {(one["class"], one["number"], one["area"]) for one in done["delta"]["objects"]}
    assert found == {(1, 1, 81), (2, 1, answer["area"])}
    np.testing.assert_array_equal(document(client, 1).class_map() == 2, mask_in(answer))
    undone = client.done("undo", image=1)["delta"]["objects"]
    assert {(one["class"], one["area"]) for one in undone} == {(1, 81), (2, 900)}


def test_masks_of_another_image_and_unknown_classes_are_refused(client):
    prompt = prompted(client, image=1, tool="grabcut", box=[20, 30, 110, 160])["prompt"]
    for image, args, words in (
        (0, {"prompt": prompt, "class": 1}, "no such mask"),
        (1, {"prompt": prompt}, "class"),
        (1, {"prompt": prompt, "class": 99}, "class"),
        (1, {"prompt": 5, "class": 1}, "no such mask"),
    ):
        answer = client.post("commands", op="mask", image=image, args=args)
        assert answer.status_code == 400
        assert words in answer.json()["error"]


def test_without_a_model_the_state_says_how_to_get_one(client):
    tools = client.state()["tools"]
    assert tools["grabcut"] is True
    assert "weights get mobile_sam" in tools["sam"]
    body = {"image": 0, "tool": "sam", "points": [[9, 9, 1]]}
    answer = client.http.post("/api/prompt", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == tools["sam"]


def test_mobile_sam_over_http(painting, pictures, data):
    files = [data / "weights" / f"mobile_sam_{part}.onnx" for part in ("encoder", "decoder")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"no MobileSAM in {data / 'weights'}")
    with painting(pictures, sam={"checkpoint": ",".join(map(str, files))}) as client:
        assert client.state()["tools"]["sam"] is True
        body = {"image": 1, "tool": "sam"}
        waiting = client.http.post("/api/prompt", json=body)
        assert waiting.status_code == 202
        assert waiting.json()["wait"] is True
        while client.http.post("/api/prompt", json=body).status_code == 202:
            pass
        answer = prompted(client, **body, points=[[60, 85, 1]])
        assert mask_in(answer)[60, 85]
        args = {"prompt": answer["prompt"], "class": 1}
        done = client.done("commands", op="mask", image=1, args=args)
        assert done["delta"]["objects"][0]["area"] == answer["area"]


@pytest.mark.slow
def test_true_boxes_give_good_masks_over_http(painting, tmp_path, data):
    files = [data / "weights" / f"mobile_sam_{part}.onnx" for part in ("encoder", "decoder")]
    photos = data / "seg-grabcut"
    if not all(file.is_file() for file in files) or not photos.is_dir():
        pytest.skip(f"no MobileSAM or no photographs in {data}")
    found = []
    sam = {"checkpoint": ",".join(map(str, files))}
    with painting(photos / "images", sam, out=tmp_path) as client:
        for number, name in enumerate(client.get("files")["files"]):
            truth = icas.read_image(photos / "masks" / f"{Path(name).stem}.png")[..., 0]
            rows, cols = (np.flatnonzero((truth == 255).any(axis=axis)) for axis in (1, 0))
            box = [int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1]
            body = {"image": number, "tool": "sam", "box": box}
            while client.http.post("/api/prompt", json=body).status_code == 202:
                pass
            mask = mask_in(prompted(client, **body), truth.shape)
            counted = truth != 128
            common, either = mask & (truth == 255), (mask | (truth == 255)) & counted
            found.append(common.sum() / either.sum())
    assert len(found) == 10
    assert np.mean(found) >= 0.85


def test_growing_takes_in_the_segments_of_the_painting_window(client):
    opened = client.painting.opened(0)
    steps = client.get("growth/0?row=40&col=60")["steps"]
    segment = opened.document.segment_at(40, 60)
    assert steps[0] == [segment]
    taken = np.concatenate(steps)
    assert sorted(taken.tolist()) == list(range(1, len(opened.document.codes)))
    levels = opened.growth.steps(segment)
    for count, level in enumerate(levels.tolist(), start=1):
        group = opened.growth.group(segment, level)
        assert sorted(np.concatenate(steps[:count]).tolist()) == group.tolist()
    done = client.done(
        "commands", op="fill_segments", image=0, args={"segments": steps[1], "class": 1}
    )
    assert len(done["delta"]["segments"]) == len(steps[1])
    assert client.get("growth/0?row=9999&col=0")["steps"] == []
    assert client.http.get("/api/growth/0?row=1").status_code in (400, 404)


def test_growing_takes_all_pieces_of_a_split_segment(client):
    opened = client.painting.opened(0)
    segment = opened.document.segment_at(40, 60)
    left, right = opened.document.box_of(segment)[2:]
    args = {"from": [40, left - 1], "to": [40, right]}
    client.done("commands", op="cut", image=0, args=args)
    pieces = opened.document.pieces_of(np.array([segment], np.int32)).tolist()
    assert len(pieces) > 1
    steps = client.get("growth/0?row=41&col=60")["steps"]
    assert len(steps[0]) == 1
    assert set(steps[0]) | set(steps[1]) == set(pieces)


def test_templates_are_painted_as_objects(painting, pictures, tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    image = icas.read_image(pictures / "coffee.png")
    Image.fromarray(image[30:70, 60:110]).save(folder / "cup.png")
    with painting(pictures, templates=folder) as client:
        assert client.state()["templates"] is True
        done = client.done("commands", op="template", image=1, args={})
        assert done["text"] == "paint 1 template match"
        assert done["delta"]["objects"][0]["box"] == [30, 60, 70, 110]
        assert client.done("undo", image=1)["delta"]["objects"] == []
    with painting(pictures) as client:
        assert client.state()["templates"] is False
        answer = client.post("commands", op="template", image=1, args={})
        assert answer.status_code == 400
        assert "--templates DIR" in answer.json()["error"]
