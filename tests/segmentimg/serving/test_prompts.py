"""Live prompts: masks equal those of `icas.grabcut` and of Segment Anything by the same prompts."""

from __future__ import annotations

import base64
import gzip
import threading
import time

import numpy as np
import pytest

import icas
from icas.common.errors import UsageError
from icas.segmentimg.sam.predictor import Prompts, Refinement
from icas.segmentimg.segmenters.sam import SamSegmenter
from icas.segmentimg.serving.prompts import LivePrompts

SHAPE = (120, 160)
BOX = [20, 30, 100, 130]


def disc_image(seed: int = 0) -> np.ndarray:
    """A bright disc with noise on a dark ground."""
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 900
    noise = np.random.default_rng(seed).normal(0, 12, (*SHAPE, 3))
    return (
        (np.where(disc[..., None], (200, 140, 40), (40, 70, 100)) + noise).clip(0, 255).astype("u1")
    )


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [disc_image(seed) for seed in range(3)]


@pytest.fixture
def live(images):
    prompts = LivePrompts(images.__getitem__, len(images), "no checkpoint")
    yield prompts
    prompts.close()


def mask_in(content, shape=SHAPE) -> np.ndarray:
    """The mask of an answer at the size of the image."""
    top, left, bottom, right = content["box"]
    bits = np.frombuffer(gzip.decompress(base64.b64decode(content["data"])), np.uint8)
    rows = np.unpackbits(bits.reshape(bottom - top, -1), axis=1, count=right - left)
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = rows
    assert content["area"] == mask.sum()
    return mask


def until_final(live, body):
    """Send a request again until no more rounds follow."""
    for serial in range(10):
        status, content = live.answer({**body, "serial": serial}, "tab")
        assert (status, content["serial"]) == (200, serial)
        if not content.get("more"):
            return content
    raise AssertionError("the rounds do not end")


def grabcut(image, **drawn):
    return {"image": image, "tool": "grabcut", **drawn}


def test_a_box_gives_the_mask_of_grabcut(live, images):
    content = until_final(live, grabcut(1, box=BOX))
    expected = icas.grabcut(images[1], box=(30, 20, 130, 100))
    np.testing.assert_array_equal(mask_in(content), expected)


def test_the_mask_depends_on_the_annotations_only(live):
    stroke = {"points": [[60, 70], [60, 90]], "radius": 3, "label": 1}
    first = until_final(live, grabcut(0, box=BOX))
    both = until_final(live, grabcut(0, box=BOX, strokes=[stroke]))
    again = until_final(live, grabcut(0, box=BOX))
    assert again == first
    assert both["prompt"] == until_final(live, grabcut(0, box=BOX, strokes=[stroke]))["prompt"]


def test_strokes_and_points_give_the_mask_of_grabcut(live, images):
    stroke = {"points": [[60, 70], [60, 90]], "radius": 2, "label": 1}
    away = {"points": [[5, 5], [5, 150]], "radius": 2, "label": 0}
    content = until_final(live, grabcut(2, strokes=[stroke, away], points=[[115, 80, 0]]))
    mask = mask_in(content)
    assert mask[60, 70:91].all()
    assert not mask[5, 5:151].any()
    assert not mask[115, 80]
    result = live.result(content["prompt"], 2)
    top, bottom, left, right = result.box
    np.testing.assert_array_equal(mask[top:bottom, left:right], result.mask())


def test_masks_of_other_images_are_refused(live):
    prompt = until_final(live, grabcut(0, box=BOX))["prompt"]
    for number, image in ((prompt, 1), ("unknown", 0), (None, 0), ([], 0)):
        with pytest.raises(UsageError, match="no such mask"):
            live.result(number, image)


def test_no_mask_says_why(live):
    whole = live.answer(grabcut(0, box=[0, 0, *SHAPE]))[1]
    assert whole["prompt"] is None
    assert "covers the whole image" in whole["note"]
    assert live.answer(grabcut(0))[1] == {"serial": 0, "ready": True}


def test_a_newer_request_of_the_tab_ends_an_older_one(images, monkeypatch):
    live = LivePrompts(images.__getitem__, 3, "none")
    started, release = threading.Event(), threading.Event()
    session = live._rounds_of(0, images[0]).session
    round_of = session.round

    def slow(annotation):
        started.set()
        assert release.wait(20)
        return round_of(annotation)

    monkeypatch.setattr(session, "round", slow)
    answers = {}

    def ask(name, serial, box):
        answers[name] = live.answer(grabcut(0, box=box, serial=serial), "tab")[1]

    older = threading.Thread(target=ask, args=("older", 1, BOX))
    older.start()
    assert started.wait(20)
    waiting = threading.Thread(target=ask, args=("waiting", 2, [10, 10, 90, 90]))
    waiting.start()
    until(lambda: live._latest["tab"][1] == 2)
    newest = threading.Thread(target=ask, args=("newest", 3, [15, 20, 110, 140]))
    newest.start()
    until(lambda: live._latest["tab"][1] == 3)
    release.set()
    for thread in (older, waiting, newest):
        thread.join(60)
    assert answers["waiting"] == {"serial": 2, "superseded": True}
    assert answers["newest"]["prompt"]
    assert live.answer(grabcut(0, box=BOX, serial=1), "another tab")[1]["prompt"]


def until(done):
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"tool": "lasso"}, "grabcut or sam"),
        ({"image": 9}, "no image 9"),
        ({"image": True}, "image: expected"),
        ({"box": [1, 2, 3]}, "box: expected"),
        ({"box": [1, 2, 1, 5]}, "no area"),
        ({"box": [500, 500, 600, 600]}, "outside the image"),
        ({"points": [[1, 2, 3]]}, "points: expected"),
        ({"points": [[1, 2]]}, "points: expected"),
        ({"points": "many"}, "points: expected a list"),
        ({"points": [[0, 0, 1]] * 1001}, "at most"),
        ({"strokes": [{"points": [], "radius": 1, "label": 1}]}, "strokes: expected points"),
        ({"strokes": [{"points": [[0, 0]], "radius": -1, "label": 1}]}, "strokes: expected"),
        ({"strokes": [[1, 2]]}, "strokes: expected"),
        ({"strokes": [{"points": [[0, 0]] * 60_000, "radius": 1, "label": 1}] * 2}, "at most"),
        ({"serial": -1}, "serial"),
        ({"tool": "sam", "points": [[1, 1, 1]]}, "no checkpoint"),
        ({"tool": "sam", "strokes": [{}]}, "takes a box and points"),
    ],
)
def test_wrong_requests_are_refused(live, body, words):
    with pytest.raises(UsageError, match=words):
        live.answer({"image": 0, "tool": "grabcut", **body})


def test_tools_name_what_is_missing(live):
    assert live.tools() == {"grabcut": True, "sam": "no checkpoint"}


@pytest.fixture(scope="module")
def mobile_sam(data) -> SamSegmenter:
    """MobileSAM as ONNX files."""
    files = [data / "weights" / f"mobile_sam_{part}.onnx" for part in ("encoder", "decoder")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"no MobileSAM in {data / 'weights'}")
    return SamSegmenter(checkpoint=",".join(map(str, files)), mode="prompt", cache="none")


def test_masks_of_mobile_sam(images, mobile_sam):
    reports: list[tuple[int, float]] = []
    live = LivePrompts(
        images.__getitem__, 2, mobile_sam, lambda image, progress: reports.append((image, progress))
    )
    body = {"image": 0, "tool": "sam"}
    try:
        status, content = live.answer(body)
        assert (status, content["wait"]) == (202, True)
        assert 0 <= content["progress"] < 1
        until_embedded(live, 0)
        assert live.answer(body) == (200, {"serial": 0, "ready": True})
        clicked = live.answer({**body, "points": [[60, 80, 1]]})[1]
        mask = mask_in(clicked)
        assert mask[60, 80]
        assert 0 < clicked["score"] <= 1.1
        assert clicked["candidates"] == 1  # this decoder gives the best mask only
        boxed = {**body, "box": BOX, "points": [[60, 80, 1], [22, 32, 0]], "candidates": [1, 0, 2]}
        shown = mask_in(live.answer(boxed)[1])
        predictor = mobile_sam.annotator(images[0])
        box, points = (30, 20, 130, 100), ((80, 60, 1), (32, 22, 0))
        steps = [(Prompts((box,), points[:count]), (0, 1, 0)[count]) for count in range(3)]
        np.testing.assert_array_equal(shown, Refinement(predictor).predict(steps).candidate(2))
        nothing = live.answer({**body, "points": [[5, 5, 0]]})[1]
        assert nothing["prompt"] is None
        assert "point on the object" in nothing["note"]
        until_embedded(live, 1)  # the next image, ahead
        assert (0, 1.0) in reports
        assert {image for image, _ in reports} == {0, 1}
    finally:
        live.close()


def until_embedded(live, image):
    for _ in range(600):
        live._embeddings.wait(image, 0.2)
        if live.answer({"image": image, "tool": "sam"})[0] == 200:
            return
    raise AssertionError("the embedding is not computed")
